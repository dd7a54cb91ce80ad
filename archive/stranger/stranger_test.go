// Package stranger lets a program that nobody here wrote check what archive.Export writes. It is a module of its own, because that
// program brings seventeen modules with it which the product does not need.
package stranger

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"guia/archive"
	"guia/guiatest"
)

// patience is how long fsck may take. It is seen waiting for ever when a tile differs: not ending is finding damage.
const patience = 8 * time.Second

// accepted runs fsck over an exported directory. It reports false when fsck finds something or does not end.
func accepted(t *testing.T, dir, origin, vkey string) bool {
	t.Helper()
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- fsck.New(origin, verifier, client.FileFetcher{Root: dir}, leafHashes, fsck.Opts{N: 2}).Check(ctx)
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Logf("fsck: %.100s", err)
		}
		return err == nil
	case <-time.After(patience + time.Second):
		t.Log("fsck did not end")
		return false
	}
}

// leafHashes reads an entry bundle with Tessera's parser and hashes its leaves with transparency-dev/merkle.
func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, e := range b.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return hashes, nil
}

// TestTesseraAcceptsAnExport exports a growing ledger and has it checked each time; then damages it, and has that found.
func TestTesseraAcceptsAnExport(t *testing.T) {
	d := guiatest.New(t)
	dir := filepath.Join(t.TempDir(), "export")
	keys, err := d.Ledger.LogKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for i, records := range []int{3, 300, 900, 4000, 140_000} {
		if records > 5000 && os.Getenv("GUIA_SOAK") == "" {
			continue // two full tiles of level 1
		}
		d.Import(&guiatest.Company{Seed: uint64(i + 1), Records: records, Page: 1000})
		if size, err = archive.Export(t.Context(), d.Directory, d.Owner, dir, nil); err != nil {
			t.Fatal(err)
		}
		if !accepted(t, dir, d.Ledger.Origin(), keys[0].VKey) {
			t.Fatalf("an export of %d events is refused", size)
		}
	}
	for _, name := range []string{layout.EntriesPath(1, 0), layout.TilePath(0, 1, 0), layout.TilePath(1, 0, layout.PartialTileSize(1, 0, uint64(size)))} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[40] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if accepted(t, dir, d.Ledger.Origin(), keys[0].VKey) {
			t.Errorf("a changed bit in %s is not found: this test shows nothing", name)
		}
		data[40] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
