package directory_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"guia"
	"guia/directory"
	"guia/ledger"
	"guia/permit"
)

// everything is every file below dir with the digest of its bytes, its mode and, where times is set, its time.
func everything(t testing.TB, dir string, times bool) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var sum [sha256.Size]byte
		if !e.IsDir() && !strings.HasSuffix(path, "-shm") { // the index of the log, which whoever opens makes anew
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(text)
		}
		fmt.Fprintf(&b, "%s %x %v", path, sum, info.Mode())
		if times {
			fmt.Fprint(&b, " ", info.ModTime())
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func made(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	d, err := directory.Create(t.Context(), path, owner())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatCannotBeOpenedIsLeftUntouched(t *testing.T) {
	for what, c := range map[string]struct {
		change func(path string) error
		want   guia.Kind
		key    string
	}{
		"a newer version": {func(p string) error {
			return os.WriteFile(filepath.Join(p, "VERSION"), []byte("Guia data directory, format 2\n"), 0o600)
		}, guia.Blocked, "directory.newer"},
		"no version":   {func(p string) error { return os.Remove(filepath.Join(p, "VERSION")) }, guia.Damaged, "directory.version_missing"},
		"no epoch key": {func(p string) error { return os.Remove(filepath.Join(p, "epoch.key")) }, guia.Damaged, "seal.epoch_missing"},
		"a foreign one": {func(p string) error {
			return os.WriteFile(filepath.Join(p, "epoch.key"), []byte("GUIA-EPOCH-KEY-1 "+strings.Repeat("00", 32)+"\n"), 0o600)
		}, guia.Damaged, "seal.epoch_foreign"},
		"a damaged one":          {func(p string) error { return os.WriteFile(filepath.Join(p, "epoch.key"), []byte("x"), 0o600) }, guia.Damaged, "seal.epoch_damaged"},
		"no main database":       {func(p string) error { return os.Remove(filepath.Join(p, "guia.db")) }, guia.Damaged, "db.missing"},
		"an empty main database": {func(p string) error { return os.Truncate(filepath.Join(p, "guia.db"), 0) }, guia.Damaged, "db.empty"},
		"no key database":        {func(p string) error { return os.Remove(filepath.Join(p, "keys.db")) }, guia.Damaged, "db.missing"},
		"an empty key database":  {func(p string) error { return os.Truncate(filepath.Join(p, "keys.db"), 0) }, guia.Damaged, "db.empty"},
		"words in its place": {func(p string) error {
			return os.WriteFile(filepath.Join(p, "guia.db"), []byte(strings.Repeat("words ", 10000)), 0o600)
		}, guia.Damaged, "db.corrupt"},
	} {
		path := made(t)
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		times := strings.HasSuffix(what, "version") // then not even the lock is taken
		before := everything(t, path, times)
		d, err := directory.Open(t.Context(), path)
		if guia.KindOf(err) != c.want || !strings.Contains(fmt.Sprint(err), c.key) {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			d.Close(t.Context())
		}
		if after := everything(t, path, times); after != before { // nothing was healed over it
			t.Errorf("%s: refused, and changed\n%s\nwas\n%s", what, after, before)
		}
	}
	if _, err := directory.Open(t.Context(), filepath.Join(t.TempDir(), "nothing")); guia.KindOf(err) != guia.NotFound {
		t.Errorf("no directory: %v", err)
	}
}

func TestADirectoryIsHeldByOne(t *testing.T) {
	path := made(t)
	d, err := directory.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := directory.Open(t.Context(), path); !errors.Is(err, directory.ErrHeld) {
		t.Errorf("opened twice: %v", err)
		if err == nil {
			other.Close(t.Context())
		}
	}
	if _, err := directory.Create(t.Context(), path, owner()); guia.KindOf(err) != guia.Conflict {
		t.Errorf("created over an open one: %v", err)
	}
	if r, err := d.Check(t.Context(), ledger.CheckOptions{}); err != nil || len(r.Findings) > 0 {
		t.Errorf("afterwards: %v, %v", r.Findings, err)
	}
	for range 2 {
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if d, err = directory.Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestOneOfSeveralCreatorsWins: none of them may clear away what another is making.
func TestOneOfSeveralCreatorsWins(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"UNFINISHED", "guia.db"} { // of an attempt that was interrupted
			if err := os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		var won []permit.User
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				first := owner()
				d, err := directory.Create(t.Context(), path, first)
				if err != nil {
					if !errors.Is(err, directory.ErrHeld) && guia.KindOf(err) != guia.Conflict {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				won = append(won, first)
				mu.Unlock()
				if err := d.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d creators won", len(won))
		}
		d, err := directory.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		users, err := permit.Users(t.Context(), d.Main)
		if err != nil || len(users) != 1 || users[0].ID != won[0].ID {
			t.Errorf("%v, %v", users, err)
		}
		if r, err := d.Check(t.Context(), ledger.CheckOptions{}); err != nil || len(r.Findings) > 0 {
			t.Errorf("%v, %v", r.Findings, err)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAnInterruptedCreationLeavesNoOpenDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := directory.Create(ctx, path, owner()); err == nil {
		t.Fatal("it was created: this test shows nothing")
	}
	if _, err := directory.Open(t.Context(), path); guia.KindOf(err) != guia.NotFound {
		t.Errorf("half a directory opens: %v", err)
	}
	d, err := directory.Create(t.Context(), path, owner())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(path, "UNFINISHED")); err == nil {
		t.Error("the mark is still there")
	}
}
