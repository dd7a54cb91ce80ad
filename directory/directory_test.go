package directory_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/directory"
	"guia/intake"
	"guia/ledger"
	"guia/permit"
	"guia/source"
)

// owner is a first user with every role.
func owner() permit.User {
	u := permit.User{ID: guia.NewPersonID(), Login: "ana"}
	for _, r := range []permit.Role{permit.Administrator, permit.Officer} {
		u.Grants = append(u.Grants, permit.Grant{Role: r, Scope: permit.Everything})
	}
	return u
}

func messages(n int, text string) []source.Record {
	records := make([]source.Record, n)
	for i := range records {
		records[i] = source.Record{
			Key: fmt.Sprintf("m%d", i), Type: guia.MessageSent, Stream: "general", StreamName: "General", StreamKind: "channel",
			Time: guia.Moment{Time: time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC), Precision: guia.Second}, HasTime: true,
			TimeOriginal: "x", TimeZone: "UTC", TimeBasis: "source",
			Sender: source.Person{ID: "u1", Name: "Chan Tai Man"}, Text: fmt.Sprintf("%s %d", text, i), Raw: []byte(text), RawType: "text/plain",
		}
	}
	return records
}

func TestRecordsSurviveClosingAndAreStoredOnce(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "data")
	d, err := directory.Create(ctx, path, owner())
	if err != nil {
		t.Fatal(err)
	}
	feed := intake.Feed{Source: "mapped", Instance: "a", Class: "chat", Channel: guia.ChannelFile, Grade: guia.GradeC, Normaliser: "test/1"}
	seqs, at, err := d.Intake.Accept(ctx, feed, messages(700, "the contract of the flat"), intake.Progress{Cursor: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(seqs) != 700 || at.Counts.New != 700 {
		t.Fatalf("stored %d, counted %+v", len(seqs), at.Counts)
	}
	if err := d.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if d, err = directory.Open(ctx, path); err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	seqs2, at, err := d.Intake.Accept(ctx, feed, messages(700, "the contract of the flat"), at)
	if err != nil {
		t.Fatal(err)
	}
	if len(seqs2) != 0 || at.Counts.Known != 700 {
		t.Errorf("offered twice: stored %d, counted %+v", len(seqs2), at.Counts)
	}
	e, err := d.Ledger.Event(ctx, seqs[650])
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Text(); got != "the contract of the flat 650" {
		t.Errorf("text %q", got)
	}
	if _, _, err := d.Ledger.Disclose(ctx, seqs[650]); err != nil {
		t.Error(err)
	}
	if _, at, err = d.Intake.Accept(ctx, feed, messages(1, "the contract of the house"), at); err != nil || at.Counts.Edited != 1 {
		t.Errorf("another content under a known key: %+v, %v", at.Counts, err)
	}
	other := feed
	other.Instance = "b"
	other.Source = "slack"
	if _, at, err = d.Intake.Accept(ctx, other, messages(5, "the contract of the flat"), at); err != nil || at.Counts.Linked != 5 {
		t.Errorf("told by another source: %+v, %v", at.Counts, err)
	}
}

func TestCheckFindsNothingInASoundDirectory(t *testing.T) {
	ctx := context.Background()
	d, err := directory.Create(ctx, filepath.Join(t.TempDir(), "data"), owner())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	feed := intake.Feed{Source: "mapped", Instance: "a", Class: "chat", Channel: guia.ChannelFile, Grade: guia.GradeC, Normaliser: "test/1"}
	if _, _, err := d.Intake.Accept(ctx, feed, messages(3000, "the contract of the flat"), intake.Progress{}); err != nil {
		t.Fatal(err)
	}
	r, err := d.Check(ctx, ledger.CheckOptions{})
	if err != nil || len(r.Findings) > 0 || r.Entries < 3000 || r.Rows != r.Entries {
		t.Errorf("%+v, %v", r, err)
	}
}

// opens is an attachment with that content.
func opens(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}
