package blob_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"guia/blob"
	"guia/blob/blobtest"
	"guia/durable"
)

func openDir(t *testing.T) (*blob.Dir, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "blobs")
	d, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	return d, root
}

func pathOf(root string, d blob.Digest) string {
	return filepath.Join(root, "sha256", d.String()[:2], d.String()[2:])
}

func TestDirIsAStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { d, _ := openDir(t); return d })
}

func TestDirNoticesAndHealsDamage(t *testing.T) {
	blobtest.Damage(t, func(t *testing.T) (blob.Store, func(blob.Digest, func([]byte) []byte)) {
		s, root := openDir(t)
		return s, func(d blob.Digest, change func([]byte) []byte) {
			b, err := os.ReadFile(pathOf(root, d))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(pathOf(root, d), change(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDirLayoutSurvivesReopening(t *testing.T) {
	s, root := openDir(t)
	d, _, err := s.Put(t.Context(), bytes.NewReader([]byte("hello\n")))
	if err != nil {
		t.Fatal(err)
	}
	// Frozen: `echo hello | sha256sum`.
	path := filepath.Join(root, "sha256", "58", "91b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
	if got, err := os.ReadFile(path); err != nil || string(got) != "hello\n" {
		t.Errorf("%q, %v", got, err)
	}
	again, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := again.Stat(t.Context(), d); err != nil || n != 6 {
		t.Errorf("after reopening: %d bytes, %v", n, err)
	}
}

func TestSweepRemovesAbandonedTemporaryFilesAndNothingForeign(t *testing.T) {
	s, root := openDir(t)
	f, err := durable.CreateIn(filepath.Join(root, "tmp")) // as a crash leaves it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "sha256", "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := []string{filepath.Join(root, "tmp", "notes.txt"), filepath.Join(root, "sha256", "ab", "README"), filepath.Join(root, "sha256", "README")}
	for _, path := range foreign {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := func(blob.Digest) bool { return false }
	if swept, err := s.Sweep(t.Context(), none, time.Now().Add(-time.Hour)); err != nil || swept != (blob.Swept{}) {
		t.Errorf("young: %+v, %v", swept, err)
	}
	if swept, err := s.Sweep(t.Context(), none, time.Now().Add(time.Hour)); err != nil || swept != (blob.Swept{Temps: 1, Bytes: 4}) {
		t.Errorf("old: %+v, %v", swept, err)
	}
	for _, path := range foreign {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("a foreign file: %v", err)
		}
	}
	if err := s.Walk(t.Context(), func(d blob.Digest, _ int64) error { t.Errorf("walk reports %s", d); return nil }); err != nil {
		t.Error(err)
	}
	if err := f.Abort(); err == nil {
		t.Error("the temporary file was still there")
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
	f.Add("5891B5B522D5DF086D0FF0B110FBD9D21BB4FC7163AF34D08286A2E846F6BE03")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := blob.ParseDigest(s); err == nil && d.String() != s {
			t.Errorf("%q is read as %s", s, d)
		}
	})
}

func BenchmarkPut1MiB(b *testing.B) {
	s, err := blob.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	content := make([]byte, 1<<20)
	b.SetBytes(int64(len(content)))
	for i := byte(0); b.Loop(); i++ {
		content[0] = i
		if _, _, err := s.Put(b.Context(), bytes.NewReader(content)); err != nil {
			b.Fatal(err)
		}
	}
}
