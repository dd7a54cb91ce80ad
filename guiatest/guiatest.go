// Package guiatest runs the whole real thing in a temporary directory, for tests.
//
// The model: [New] makes a data directory as `guia init` does, with one first user who has every role, and hands it over open. A
// test takes records in, reads them back, closes and reopens it, and damages it if it likes. Unless the test says that the directory
// is damaged, its end checks the directory and fails when anything was found: one definition of undamaged, asked by nearly every test.
//
// [Company] is a source that invents the records of a small company in three languages, the same ones for the same seed, so that a
// test knows what must be there without keeping it.
//
// Nothing here is fake: the databases are files, the keys are keys, the commits are synced. What is not promised is that the company
// resembles any other.
package guiatest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"guia"
	"guia/directory"
	"guia/intake"
	"guia/ledger"
	"guia/permit"
	"guia/source"
)

// Directory is an open data directory of a test. It is closed and checked when the test ends.
type Directory struct {
	*directory.Directory
	// Owner is the first user, who has every role.
	Owner guia.Actor

	t       testing.TB
	damaged bool
}

// New makes a data directory below the test's temporary directory and opens it.
func New(t testing.TB) *Directory {
	t.Helper()
	return NewAt(t, filepath.Join(t.TempDir(), "data"))
}

// NewAt is [New] at a path that does not exist yet.
func NewAt(t testing.TB, path string) *Directory {
	t.Helper()
	first := FirstUser()
	opened, err := directory.Create(t.Context(), path, first)
	if err != nil {
		t.Fatal(err)
	}
	d := &Directory{Directory: opened, Owner: ActorOf(first), t: t}
	t.Cleanup(d.end)
	return d
}

// Open opens an existing data directory.
func Open(t testing.TB, path string) *Directory {
	t.Helper()
	d := &Directory{t: t}
	d.open(path)
	t.Cleanup(d.end)
	return d
}

func (d *Directory) open(path string) {
	d.t.Helper()
	opened, err := directory.Open(d.t.Context(), path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Directory = opened
	users, err := permit.Users(d.t.Context(), d.Main)
	if err != nil || len(users) == 0 {
		d.t.Fatalf("%d users, %v", len(users), err)
	}
	d.Owner = ActorOf(users[0])
}

// Reopen closes the directory and opens it again.
func (d *Directory) Reopen() {
	d.t.Helper()
	d.Shut()
	d.open(d.Path)
}

// Shut closes the directory before the end of the test.
func (d *Directory) Shut() {
	d.t.Helper()
	if err := d.Close(context.WithoutCancel(d.t.Context())); err != nil {
		d.t.Fatal(err)
	}
}

// Damaged says that the test has damaged the directory: its end is not checked.
func (d *Directory) Damaged() { d.damaged = true }

// end closes what is open, opens it again and checks everything.
func (d *Directory) end() {
	ctx := context.Background()
	if err := d.Close(ctx); err != nil && !d.damaged {
		d.t.Errorf("close: %v", err)
	}
	if d.damaged || d.t.Failed() {
		return
	}
	if _, err := os.Stat(filepath.Join(d.Path, "VERSION")); errors.Is(err, os.ErrNotExist) {
		return // the test has moved it away
	}
	opened, err := directory.Open(ctx, d.Path)
	if err != nil {
		d.t.Errorf("open again: %v", err)
		return
	}
	MustCheck(d.t, opened)
	if err := opened.Close(ctx); err != nil {
		d.t.Errorf("close: %v", err)
	}
}

// Feed is how the records of a test are taken in.
func Feed() intake.Feed {
	return intake.Feed{Source: "mapped", Instance: "guiatest", Class: "chat", Channel: guia.ChannelFile, Grade: guia.GradeC, Normaliser: "guiatest/1"}
}

// Accept takes records in as one page of [Feed] and returns their places.
func (d *Directory) Accept(records ...source.Record) []guia.Seq {
	d.t.Helper()
	at, err := d.Intake.Progress(d.t.Context(), Feed())
	if err != nil {
		d.t.Fatal(err)
	}
	seqs, _, err := d.Intake.Accept(d.t.Context(), Feed(), records, at)
	if err != nil {
		d.t.Fatal(err)
	}
	return seqs
}

// Import takes a whole source in.
func (d *Directory) Import(s source.Source) intake.Progress {
	d.t.Helper()
	at, err := d.Intake.Import(d.t.Context(), d.Owner, Feed(), s, "", false, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return at
}

// MustCheck checks the whole directory and fails the test when anything was found.
func MustCheck(t testing.TB, d *directory.Directory) {
	t.Helper()
	r, err := d.Check(context.WithoutCancel(t.Context()), ledger.CheckOptions{})
	if err != nil {
		t.Errorf("check: %v", err)
	}
	for _, f := range r.Findings {
		t.Errorf("check found: %s %v (event %d, field %q)", f.Key, f.Args, f.Seq, f.Field)
	}
	if size := int64(d.Ledger.Size()); err == nil && (r.Entries != size || r.Rows != size) {
		t.Errorf("check looked at %d entries and %d rows of %d", r.Entries, r.Rows, size)
	}
}

// FirstUser is a user with every role everywhere.
func FirstUser() permit.User {
	u := permit.User{ID: guia.NewPersonID(), Login: "ana", OSLogin: "ana"}
	for _, r := range []permit.Role{permit.Administrator, permit.Officer, permit.Operator, permit.Reviewer, permit.Auditor, permit.Approver} {
		u.Grants = append(u.Grants, permit.Grant{Role: r, Scope: permit.Everything})
	}
	return u
}

// ActorOf is the user acting at the machine itself.
func ActorOf(u permit.User) guia.Actor {
	return guia.Actor{User: u.ID, Login: u.Login, Via: "os-login"}
}
