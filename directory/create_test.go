package directory_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"guia"
	"guia/directory"
)

func TestCreateStartsOverAfterAnInterruptedAttemptAndLeavesOtherFoldersAlone(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name  string
		files []string
		want  guia.Kind
	}{
		{"nothing", nil, 0},
		{"the mark", []string{"UNFINISHED", "guia.db", "epoch.key"}, 0},
		{"died before the mark had its name", []string{".durable-123"}, 0},
		{"somebody's folder", []string{"notes.txt"}, guia.Conflict},
		{"a directory", []string{"VERSION", "guia.db"}, guia.Conflict},
		{"a directory that has lost its version", []string{"guia.db", "keys.db"}, guia.Damaged},
	} {
		path := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.files {
			if err := os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := directory.Create(ctx, path, owner())
		if guia.KindOf(err) != c.want || c.want == 0 && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			if err := d.Close(ctx); err != nil {
				t.Error(err)
			}
			continue
		}
		for _, name := range c.files {
			if _, err := os.Stat(filepath.Join(path, name)); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestOnlyTheExactVersionTextIsAccepted(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "data")
	d, err := directory.Create(ctx, path, owner())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]guia.Kind{
		"Guia data directory, format 0\n": guia.Damaged, "Guia data directory, format 01\n": guia.Damaged, "Guia data directory, format 1": guia.Damaged,
		"1\n": guia.Damaged, "": guia.Damaged, "Guia data directory, format 2\n": guia.Blocked, "Guia data directory, format 1\n": 0,
	} {
		if err := os.WriteFile(filepath.Join(path, "VERSION"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := directory.Open(ctx, path)
		if guia.KindOf(err) != want || want == 0 && err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil {
			if err := d.Close(ctx); err != nil {
				t.Error(err)
			}
		}
	}
}
