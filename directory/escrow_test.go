package directory_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/directory"
	"guia/intake"
	"guia/ledger"
	"guia/seal"
)

// escrowed makes a directory with an escrow copy for one recipient.
func escrowed(t *testing.T) (d *directory.Directory, actor guia.Actor, recipient string) {
	t.Helper()
	first := owner()
	d, err := directory.Create(t.Context(), filepath.Join(t.TempDir(), "data"), first)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	actor = guia.Actor{User: first.ID, Login: first.Login, Via: "os-login"}
	if _, recipient, err = seal.NewIdentity(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteEscrow(t.Context(), actor, []string{recipient}, true); err != nil {
		t.Fatal(err)
	}
	return d, actor, recipient
}

func TestRecipientsAreAddedAndWhatCannotBeWrittenChangesNothing(t *testing.T) {
	d, actor, first := escrowed(t)
	_, second, err := seal.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	size := d.Ledger.Size()
	before, err := os.ReadFile(d.EscrowPath(1))
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]struct {
		actor guia.Actor
		kind  guia.Kind
	}{"not a recipient": {actor, guia.Invalid}, "nobody": {guia.Actor{Login: "nobody"}, guia.Denied}} {
		if _, err := d.WriteEscrow(t.Context(), bad.actor, []string{"age1nonsense"}, false); guia.KindOf(err) != bad.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	after, err := os.ReadFile(d.EscrowPath(1))
	if err != nil || string(after) != string(before) || d.Ledger.Size() != size+1 { // the refused act
		t.Errorf("refused, and changed: %v, %d events more", err, d.Ledger.Size()-size)
	}
	if _, err := d.WriteEscrow(t.Context(), actor, []string{second}, false); err != nil {
		t.Fatal(err)
	}
	want := []string{first, second}
	slices.Sort(want)
	if got, err := d.Recipients(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if path, err := d.RotateEpoch(t.Context(), actor); err != nil || path != d.EscrowPath(2) {
		t.Errorf("%s, %v", path, err)
	}
	if _, err := d.WriteEscrow(t.Context(), actor, []string{second}, true); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Recipients(); err != nil || !slices.Equal(got, []string{second}) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestWhoCannotBeEncryptedToStopsNoErasure spoils the list of recipients: the epoch key is not changed on purpose then, for nobody could
// restore a backup; an erasure, which must change it, ends all the same.
func TestWhoCannotBeEncryptedToStopsNoErasure(t *testing.T) {
	d, actor, _ := escrowed(t)
	record := messages(1, "the contract")[0]
	record.Sender.ID = "p1"
	if _, _, err := d.Intake.Accept(t.Context(), testFeed, append(messages(1, "x"), record), intake.Progress{}); err != nil {
		t.Fatal(err)
	}
	spoil := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(d.EscrowFolder(), "recipients.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, kind := range map[string]guia.Kind{"": guia.Blocked, "words": guia.Invalid} {
		spoil(text)
		if _, err := d.RotateEpoch(t.Context(), actor); guia.KindOf(err) != kind || d.Keys.Epoch() != 1 {
			t.Errorf("%q: epoch %d, %v", text, d.Keys.Epoch(), err)
		}
	}
	spoil(strings.Repeat("words ", 100))
	done, err := d.Forget(t.Context(), actor, "", []directory.Subject{{Source: "mapped", Key: "p1"}}, nil)
	if err != nil || done.Epoch != 2 || done.Escrowed {
		t.Errorf("%+v, %v", done, err)
	}
	if r, err := d.Check(t.Context(), ledger.CheckOptions{}); err != nil || len(r.Findings) > 0 {
		t.Errorf("%v, %v", r.Findings, err)
	}
}
