package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia"
	"guia/archive"
	"guia/guiatest"
	"guia/proof"
)

// readExport recomputes the tree of exported entry bundles and compares every tile, partial or full, with it.
func readExport(t *testing.T, dir string, want int64) {
	t.Helper()
	note, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	must(t, err)
	lines := strings.Split(string(note), "\n")
	tree := &proof.Builder{}
	var tiles []proof.Tile
	for index := int64(0); tree.Size() < want; index++ {
		width := min(proof.TileWidth, want-index*proof.TileWidth)
		data, err := os.ReadFile(filepath.Join(dir, proof.EntriesPath(index, int(width))))
		must(t, err)
		leaves, err := proof.ParseEntries(data)
		must(t, err)
		if int64(len(leaves)) != width {
			t.Fatalf("bundle %d has %d leaves", index, len(leaves))
		}
		for _, leaf := range leaves {
			tiles = append(tiles, tree.Append(proof.LeafHash(leaf))...)
		}
	}
	for level, hashes := range tree.Partials() {
		if len(hashes) > 0 {
			tiles = append(tiles, proof.Tile{Level: level, Index: want >> (proof.TileHeight * (level + 1)), Hashes: hashes})
		}
	}
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(dir, proof.TilePath(tile.Level, tile.Index, len(tile.Hashes))))
		if err != nil || !bytes.Equal(data, tile.Bytes()) {
			t.Errorf("tile %d/%d of width %d: %v", tile.Level, tile.Index, len(tile.Hashes), err)
		}
	}
	if lines[2] != tree.Root().String() {
		t.Errorf("the checkpoint has another root than the entries")
	}
}

func TestExportGrowsAndNeverChangesWhatWasRead(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 100)
	dir := filepath.Join(t.TempDir(), "export")
	before := map[string][]byte{}
	var sizes []int64
	for _, records := range []int{100, 180, 300, 300, 900} {
		take(t, c.Directory.Directory, &guiatest.Company{Seed: 1, Records: records, Page: 100})
		size, err := archive.Export(ctx, c.Directory.Directory, c.Owner, dir, nil)
		must(t, err)
		sizes = append(sizes, size)
		readExport(t, dir, size)
		now := map[string][]byte{}
		for _, name := range names(t, dir) {
			if now[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			full, _, partial := strings.Cut(name, ".p/")
			if _, err := os.Stat(filepath.Join(dir, full)); partial && err == nil {
				t.Errorf("size %d: %s is there beside its full tile", size, name)
			}
		}
		for name, data := range before {
			_, _, partial := strings.Cut(name, ".p/")
			have, there := now[name]
			full, _, _ := strings.Cut(name, ".p/")
			if !there && partial && now[full] != nil {
				continue // the full one is there instead
			}
			if name != "checkpoint" && (!there || !bytes.Equal(have, data)) {
				t.Errorf("size %d: %s changed or vanished", size, name)
			}
		}
		before = now
	}
	if sizes[2]+2 != sizes[3] || sizes[4] < 900 { // the end of the export before, and the beginning of this one
		t.Errorf("sizes %v", sizes)
	}
	for _, b := range before {
		if bytes.Contains(b, []byte("Geral")) || bytes.Contains(b, []byte("example.mo")) {
			t.Fatal("something personal is in the export")
		}
	}
}

func TestExportRefusesAnotherHistory(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 50)
	set := c.backup(t)
	dir := filepath.Join(t.TempDir(), "export")
	take(t, c.Directory.Directory, &guiatest.Company{Seed: 1, Records: 90, Page: 100})
	_, err := archive.Export(ctx, c.Directory.Directory, c.Owner, dir, nil)
	must(t, err)
	other := newCompany(t, 20)
	_, err = archive.Export(ctx, other.Directory.Directory, other.Owner, dir, nil)
	refused(t, err, guia.Conflict, "archive.export_foreign")
	to := filepath.Join(t.TempDir(), "restored") // the ledger is set back, and then goes another way
	_, err = c.restore(set.Set, to)
	must(t, err)
	r := guiatest.Open(t, to)
	_, err = archive.Export(ctx, r.Directory, r.Owner, dir, nil)
	refused(t, err, guia.Damaged, "archive.export_ahead")
	take(t, r.Directory, &guiatest.Company{Seed: 9, Records: 300, Page: 100})
	_, err = archive.Export(ctx, r.Directory, r.Owner, dir, nil)
	refused(t, err, guia.Damaged, "archive.export_differs")
	if _, err := os.Stat(filepath.Join(dir, proof.TilePath(0, 0, proof.TileWidth))); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the refused export wrote a tile")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("guia.backup/v1\norigin guia.invalid/log/00\nsize 3\nroot AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nepoch 1\ncreated 2026-11-21T10:00:00Z\nfiles 2\n" +
		strings.Repeat("0", 64) + " 12 guia.db\n" + strings.Repeat("a", 64) + " 0 keys.db\nmac 00112233445566778899aabbccddeeff\n"))
	f.Add([]byte("guia.backup/v2\n"))
	f.Add([]byte("guia.backup/v1\norigin \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := archive.ParseManifest(text)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Text(), text) {
			t.Errorf("%q came back as %q", text, m.Text())
		}
		for _, file := range m.Files {
			if !fs.ValidPath(file.Name) || strings.Contains(file.Name, "epoch.key") {
				t.Errorf("name %q", file.Name)
			}
		}
	})
}

func TestManifestHasOneSpelling(t *testing.T) {
	c := newCompany(t, 30)
	m := c.backup(t)
	text, err := os.ReadFile(filepath.Join(m.Set, "MANIFEST"))
	must(t, err)
	if _, err := archive.ParseManifest(text); err != nil || !bytes.Equal(m.Text(), text) {
		t.Fatalf("not what was written: %v", err)
	}
	for i := range text { // every bit: refused, or another meaning
		for bit := range 8 {
			text[i] ^= 1 << bit
			if other, err := archive.ParseManifest(text); err == nil && bytes.Equal(other.Text(), m.Text()) {
				t.Fatalf("byte %d, bit %d: another spelling of the same", i, bit)
			}
			text[i] ^= 1 << bit
		}
	}
	for _, name := range []string{"../guia.db", "/guia.db", "epoch.key", "escrow/../epoch.key", "escrow/epoch-01.age", "blobs/sha256/" + strings.Repeat("a", 64), "log/rotation-0", "followers/people.db"} {
		bad := bytes.Replace(text, []byte(" VERSION\n"), []byte(" "+name+"\n"), 1)
		if _, err := archive.ParseManifest(bad); err == nil {
			t.Errorf("a manifest with %s was read", name)
		}
	}
}

// TestAnExportIsTwoEvents: who handed the public part out, and up to where; also when it was not finished.
func TestAnExportIsTwoEvents(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 20)
	dir := filepath.Join(t.TempDir(), "export")
	last := func(back guia.Seq, want guia.Type) guia.Event {
		t.Helper()
		e, err := c.Ledger.Event(ctx, c.Ledger.Size()-back)
		must(t, err)
		if e.Type != want || e.Fields.Get("actor") != c.Owner.User.String() {
			t.Fatalf("%s by %s, want %s by %s", e.Type, e.Fields.Get("actor"), want, c.Owner.User)
		}
		return e
	}
	size, err := archive.Export(ctx, c.Directory.Directory, c.Owner, dir, nil)
	must(t, err)
	note, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	must(t, err)
	last(2, guia.TilesStarted)
	if e := last(1, guia.TilesExported); e.Fields.Get("checkpoint") != string(note) || e.Fields.Get("act.outcome") != "done" {
		t.Errorf("recorded %q, outcome %q; handed out %q", e.Fields.Get("checkpoint"), e.Fields.Get("act.outcome"), note)
	}
	if size != int64(c.Ledger.Size())-1 {
		t.Errorf("%d of %d were handed out", size, c.Ledger.Size())
	}

	blocked := t.TempDir() // a file stands where a folder must be made
	must(t, os.WriteFile(filepath.Join(blocked, "tile"), nil, 0o600))
	if _, err = archive.Export(ctx, c.Directory.Directory, c.Owner, blocked, nil); err == nil {
		t.Error("tiles were written below a file")
	}
	last(2, guia.TilesStarted)
	if e := last(1, guia.TilesExported); e.Fields.Get("checkpoint") != "" || e.Fields.Get("act.outcome") != "failed" {
		t.Errorf("recorded %q, outcome %q", e.Fields.Get("checkpoint"), e.Fields.Get("act.outcome"))
	}
	before := c.Ledger.Size()
	_, err = archive.Export(ctx, c.Directory.Directory, guia.Actor{}, dir, nil)
	refused(t, err, guia.Denied, "permit.unknown")
	if now := c.Ledger.Size(); now > before+1 {
		t.Errorf("%d events of a refused export", now-before)
	}
}
