package db

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"guia"
)

// digests is what lies in a folder.
func digests(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := ""
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		s += fmt.Sprintf("%s %x\n", e.Name(), sha256.Sum256(text))
	}
	return s
}

// TestALogThatWasLeftIsReadAndNotTouched looks at what a killed process leaves: a file and a log that was not copied back, without the
// index that both have while they are open. Half of the rows stand in the log alone.
func TestALogThatWasLeftIsReadAndNotTouched(t *testing.T) {
	dir, left := t.TempDir(), t.TempDir()
	d := open(t, filepath.Join(dir, "x.db"), Options{Durability: Durable})
	for n := range 20 {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, "v") }); err != nil {
			t.Fatal(err)
		}
		if n == 9 {
			if err := d.Scrub(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"x.db", "x.db-wal"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(text) == 0 {
			t.Fatalf("%s: %d bytes, %v", name, len(text), err)
		}
		if err := os.WriteFile(filepath.Join(left, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := digests(t, left)
	r, err := OpenReadOnly(t.Context(), filepath.Join(left, "x.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, r); n != 20 {
		t.Errorf("%d rows of 20", n)
	}
	if found, err := r.Integrity(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	if err := r.Write(t.Context(), func(tx *Tx) error { return put(tx, 99, "v") }); err == nil {
		t.Error("it can be written")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if after := digests(t, left); after != before {
		t.Errorf("left\n%swas\n%s", after, before)
	}
}

func TestWhatWasMadeBeforeIsNotMadeAnew(t *testing.T) {
	for what, key := range map[string]string{"missing": "db.missing", "empty": "db.empty"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.db")
		if what == "empty" {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := digests(t, dir)
		_, writing := Open(t.Context(), path, Options{Durability: Durable, Migrations: one("CREATE TABLE x (n INTEGER)"), Existing: true})
		_, reading := OpenReadOnly(t.Context(), path, nil)
		for _, err := range []error{writing, reading} {
			if r, ok := errors.AsType[*guia.Refusal](err); !ok || r.Kind != guia.Damaged || r.Key != key {
				t.Errorf("%s: %v", what, err)
			}
		}
		if after := digests(t, dir); after != before {
			t.Errorf("%s: left %s", what, after)
		}
	}
}

func TestAFileOfAnotherVersionIsNotLookedAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	d := open(t, path, Options{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for n, key := range map[int]string{0: "db.newer", 1: "", 2: "db.older"} {
		files := fstest.MapFS{}
		for i := range n {
			files[fmt.Sprintf("%04d_x.sql", i+1)] = &fstest.MapFile{}
		}
		r, err := OpenReadOnly(t.Context(), path, files)
		if key == "" && err != nil {
			t.Error(err)
		}
		if refusal, ok := errors.AsType[*guia.Refusal](err); key != "" && (!ok || refusal.Kind != guia.Blocked || refusal.Key != key) {
			t.Errorf("%d: %v", n, err)
		}
		if err == nil {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
