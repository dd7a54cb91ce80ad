package guiatest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/directory"
	"guia/guiatest"
	"guia/source"
)

// contents is what a directory says it was told: the content by key. It is computed once from the records and once from the stored
// events, by different code.
type contents map[string]string

// expected computes the contents of a company from its records.
func expected(c *guiatest.Company) contents {
	all := contents{}
	for i := range c.Records {
		r := c.Record(i)
		all[r.Key] = contentOf(r)
	}
	return all
}

func contentOf(r source.Record) string {
	parts := []string{string(r.Type), r.Stream, r.Sender.Name, r.Text, string(r.Raw), r.TimeOriginal}
	for _, f := range r.Files {
		in, err := f.Open()
		if err != nil {
			panic(err) // Company's files open
		}
		h := sha256.New()
		n, err := io.Copy(h, in)
		if err != nil {
			panic(err)
		}
		parts = append(parts, f.Name, fmt.Sprintf("sha256:%x %d", h.Sum(nil), n))
	}
	return strings.Join(parts, "\x00")
}

// contentsOf reads every event of other sources than Guia itself. A key that is there twice is an error.
func contentsOf(t testing.TB, d *directory.Directory) contents {
	t.Helper()
	all, err := readContents(context.WithoutCancel(t.Context()), d)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readContents(ctx context.Context, d *directory.Directory) (contents, error) {
	all := contents{}
	for seq := range d.Ledger.Size() {
		e, err := d.Ledger.Event(ctx, seq)
		if err != nil {
			return nil, err
		}
		if e.Source == guia.Own {
			continue
		}
		f := e.Fields
		parts := []string{string(e.Type), f.Get("conversation.key"), f.Get("sender.name"), e.Text(), f.Get("raw"), f.Get("time.original")}
		for i := 1; f.Get(fmt.Sprintf("file.%04d.name", i)) != ""; i++ {
			parts = append(parts, f.Get(fmt.Sprintf("file.%04d.name", i)), f.Get(fmt.Sprintf("file.%04d", i)))
		}
		key := f.Get("source_key")
		if _, twice := all[key]; twice {
			return nil, fmt.Errorf("key %s is stored twice, again at %d", key, seq)
		}
		all[key] = strings.Join(parts, "\x00")
	}
	return all, nil
}

func compareContents(t testing.TB, where string, got, want contents) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s: %s: got %q, want %q", where, key, got[key], want[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: %s was never told", where, key)
		}
	}
}

// containsKeys demands that every acknowledged key is there with its content, and nothing that nobody told.
func containsKeys(got, want contents, acknowledged []string) error {
	var lost, strange []string
	for _, key := range acknowledged {
		if got[key] != want[key] || want[key] == "" {
			lost = append(lost, key)
		}
	}
	for key := range got {
		if got[key] != want[key] {
			strange = append(strange, key)
		}
	}
	if len(lost)+len(strange) > 0 {
		return fmt.Errorf("%w: %d of %d acknowledged records (%.80q); %d are there as nobody told them (%.80q)", errLost, len(lost), len(acknowledged), lost, len(strange), strange)
	}
	return nil
}

var errLost = errors.New("lost")

// memory returns a temporary directory on a file system in memory where the machine has one: most faults here are of the process,
// not of the disk, and thousands of syncs take their time.
func memory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "guiatest-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// copyTree copies a directory.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Clean(to), 0o700); err != nil {
		t.Fatal(err)
	}
}

// soak reports whether the long loops are to be run.
func soak() bool { return os.Getenv("GUIA_SOAK") == "1" }

// rounds is short, or long in a soak test.
func rounds(short, long int) int {
	if soak() {
		return long
	}
	return short
}

// needed skips a test that this machine cannot run; in CI that is a failure.
func needed(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needed here: "+format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}
