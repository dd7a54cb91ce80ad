package ledger_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/directory"
	"guia/guiatest"
	"guia/ledger"
	"guia/proof"
)

// damager changes one thing of a directory behind Guia's back, and notes the events that are no longer what they were.
type damager struct {
	t    *testing.T
	d    *guiatest.Directory
	did  []string
	hurt map[guia.Seq]bool
}

func (x *damager) note(format string, args ...any) {
	x.did = append(x.did, fmt.Sprintf(format, args...))
}

// leaf changes a leaf.
func (x *damager) leaf(seq guia.Seq, change func([]byte)) (leaf []byte) {
	err := x.d.Main.Packed(x.t.Context(), "ledger_leaf", uint64(seq), uint64(seq+1), func(_ uint64, b []byte) error { leaf = bytes.Clone(b); return nil })
	if err != nil {
		x.t.Fatal(err)
	}
	change(leaf)
	edit(x.t, x.d, func(tx *ledger.Tx) error { return tx.ReplacePacked("ledger_leaf", uint64(seq), leaf) })
	x.hurt[seq] = true
	return leaf
}

// backdate changes the time in a leaf, which no content is bound to.
func (x *damager) backdate(seq guia.Seq) []byte {
	x.note("event %d backdated", seq)
	return x.leaf(seq, func(leaf []byte) {
		at := bytes.Index(leaf, []byte("\ncaptured ")) + len("\ncaptured ")
		leaf[at+1] ^= 1 // another century, and back if it was changed before
		leaf[at+3] = '0' + (leaf[at+3]-'0'+1)%10
	})
}

// tile changes a stored tile.
func (x *damager) tile(level, index int, change func(hashes []byte)) {
	var hashes []byte
	if err := x.d.Main.QueryRow(x.t.Context(), "SELECT hashes FROM ledger_tile WHERE level = ? AND idx = ?", level, index).Scan(&hashes); err != nil {
		x.t.Fatal(err)
	}
	change(hashes)
	x.exec("UPDATE ledger_tile SET hashes = ? WHERE level = ? AND idx = ?", hashes, level, index)
}

func (x *damager) exec(statement string, args ...any) {
	x.t.Helper()
	edit(x.t, x.d, func(tx *ledger.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	})
}

// flip changes a bit of a hash in a tile.
func (x *damager) flip(level, index, at int) {
	x.note("tile %d/%d at %d", level, index, at)
	x.tile(level, index, func(hashes []byte) { hashes[32*at+7] ^= 1 })
}

// fit lets a tile agree with a changed leaf, and the tile above with that tile if all.
func (x *damager) fit(seq guia.Seq, leaf []byte, all bool) {
	x.note("tile fitted to %d, all %t", seq, all)
	var b proof.Builder
	x.tile(0, int(seq/256), func(hashes []byte) {
		h := proof.LeafHash(leaf)
		copy(hashes[32*(seq%256):], h[:])
		for at := 0; at < len(hashes); at += 32 {
			b.Append(proof.Hash(hashes[at:]))
		}
	})
	if all {
		x.tile(1, 0, func(hashes []byte) {
			h := b.Root()
			copy(hashes[32*(seq/256):], h[:])
		})
	}
}

// signed returns the sizes of the checkpoints.
func (x *damager) signed() (sizes []int64) {
	rows, err := x.d.Main.Query(x.t.Context(), "SELECT size FROM ledger_checkpoint ORDER BY size")
	if err != nil {
		x.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var size int64
		if err := rows.Scan(&size); err != nil {
			x.t.Fatal(err)
		}
		sizes = append(sizes, size)
	}
	if err := rows.Err(); err != nil {
		x.t.Fatal(err)
	}
	return sizes
}

// random does one damage.
func (x *damager) random(rnd *rand.Rand, size int) {
	seq := guia.Seq(rnd.IntN(size))
	full := guia.Seq(rnd.IntN(size / 256 * 256))
	switch rnd.IntN(7) {
	case 0:
		x.backdate(seq)
	case 1:
		at := rnd.IntN(1000)
		x.note("event %d, a bit of byte %d", seq, at)
		x.leaf(seq, func(leaf []byte) { leaf[at%len(leaf)] ^= 1 << rnd.IntN(8) })
	case 2:
		x.flip(0, rnd.IntN(size/256), rnd.IntN(256))
	case 3:
		x.flip(1, 0, rnd.IntN(size/256))
	case 4:
		x.fit(full, x.backdate(full), false)
	case 5:
		x.fit(full, x.backdate(full), true)
	case 6:
		if sizes := x.signed(); len(sizes) > 0 {
			gone := sizes[rnd.IntN(len(sizes))]
			x.note("checkpoint %d removed", gone)
			x.exec("DELETE FROM ledger_checkpoint WHERE size = ?", gone)
		}
	}
}

// manyCheckpoints makes a directory of about 900 events with checkpoints at several sizes.
func manyCheckpoints(t *testing.T) *guiatest.Directory {
	t.Helper()
	damaged[t.Name()] = "what the test is about"
	d := guiatest.New(t)
	for _, size := range []guia.Seq{70, 256, 300, 520, 600, 768, 850, 900} {
		grow(t, d, size)
		if _, err := d.Ledger.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.Damaged()
	return d
}

// judge demands that each damaged event is named, or among those of which it is said that nobody can tell, and that no other is named.
func judge(t *testing.T, r ledger.CheckReport, x *damager) {
	t.Helper()
	names := func(f ledger.Finding, seq guia.Seq) bool {
		return f.HasSeq && f.Seq <= seq && seq <= max(f.Seq, f.Last) && f.Key != "check.stream_hole" // which says what does not go on
	}
	for seq := range x.hurt {
		if !slices.ContainsFunc(r.Findings, func(f ledger.Finding) bool { return names(f, seq) || f.Unsure <= seq && seq < f.UnsureEnd }) {
			t.Errorf("%s: event %d is not named: %+v", strings.Join(x.did, ", "), seq, r.Findings)
		}
	}
	for seq := range x.d.Ledger.Size() {
		if !x.hurt[seq] && slices.ContainsFunc(r.Findings, func(f ledger.Finding) bool { return names(f, seq) }) {
			t.Errorf("%s: event %d is innocent: %+v", strings.Join(x.did, ", "), seq, r.Findings)
		}
	}
}

// damage lets do change the directory, checks, and puts everything back.
func damage(t *testing.T, d *guiatest.Directory, quick bool, do func(*damager)) (ledger.CheckReport, *damager) {
	t.Helper()
	x := &damager{t: t, d: d, hurt: map[guia.Seq]bool{}}
	tables := []string{"ledger_leaf", "ledger_tile", "ledger_checkpoint", "ledger_head"}
	for _, table := range tables {
		x.exec("CREATE TABLE IF NOT EXISTS sound_" + table + " AS SELECT * FROM " + table)
	}
	do(x)
	r, err := d.Ledger.Check(t.Context(), ledger.CheckOptions{Quick: quick})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, r, x)
	for _, table := range tables {
		x.exec("DELETE FROM " + table)
		x.exec("INSERT INTO " + table + " SELECT * FROM sound_" + table)
	}
	return r, x
}

// TestCheckNamesWhatWasDamagedAndNobodyElse does one to three damages at random places.
func TestCheckNamesWhatWasDamagedAndNobodyElse(t *testing.T) {
	d := manyCheckpoints(t)
	rounds := 60
	if soak {
		rounds = 5000
	}
	const seed = 20261122
	rnd := rand.New(rand.NewPCG(seed, 1))
	for round := range rounds {
		damage(t, d, round%10 > 0, func(x *damager) {
			for range 1 + rnd.IntN(3) {
				x.random(rnd, int(d.Ledger.Size()))
			}
		})
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
}

// TestOneDamagedLeafOrTileIsOneFinding of which the signed checkpoints prove which one it is.
func TestOneDamagedLeafOrTileIsOneFinding(t *testing.T) {
	d := manyCheckpoints(t)
	for name, tt := range map[string]struct {
		do   func(x *damager)
		want []ledger.Finding
	}{
		"a leaf under a whole tile": {
			func(x *damager) { x.backdate(300) },
			[]ledger.Finding{{Key: "check.leaf_differs", Seq: 300, HasSeq: true, Unmatched: 5, FirstUnmatched: 520}},
		},
		"a leaf under no tile": {
			func(x *damager) { x.backdate(880) },
			[]ledger.Finding{{Key: "check.checkpoint_differs", Unsure: 850, UnsureEnd: 900, Unmatched: 1, FirstUnmatched: 900}},
		},
		"a leaf and its tile": {
			func(x *damager) { x.fit(300, x.backdate(300), false) },
			[]ledger.Finding{{Key: "check.leaf_among", Unsure: 300, UnsureEnd: 512, Unmatched: 5, FirstUnmatched: 520}},
		},
		"a leaf and all tiles": {
			func(x *damager) { x.fit(300, x.backdate(300), true) },
			[]ledger.Finding{{Key: "check.checkpoint_differs", Unsure: 300, UnsureEnd: 900, Unmatched: 5, FirstUnmatched: 520}},
		},
		"a hash of a leaf in a tile": {
			func(x *damager) { x.flip(0, 0, 20) },
			[]ledger.Finding{{Key: "check.tile_differs"}},
		},
		"a hash of a tile in the tile above": {
			func(x *damager) { x.flip(1, 0, 1) },
			[]ledger.Finding{{Key: "check.tile_differs"}},
		},
		"a leaf under no tile, and a tile elsewhere": {
			func(x *damager) { x.backdate(880); x.flip(0, 0, 20) },
			[]ledger.Finding{{Key: "check.checkpoint_differs", Unsure: 850, UnsureEnd: 900, Unmatched: 1, FirstUnmatched: 900}, {Key: "check.tile_differs"}},
		},
		"a leaf with its tile, and a tile elsewhere": {
			func(x *damager) { x.fit(300, x.backdate(300), false); x.flip(0, 0, 20) },
			[]ledger.Finding{{Key: "check.leaf_among", Unsure: 300, UnsureEnd: 512, Unmatched: 5, FirstUnmatched: 520}, {Key: "check.tile_differs"}},
		},
		"a leaf, and another hash in the tile over it": {
			func(x *damager) { x.backdate(300); x.flip(0, 1, 100) },
			[]ledger.Finding{{Key: "check.leaf_differs", Seq: 300, HasSeq: true, Unmatched: 5, FirstUnmatched: 520}, {Key: "check.tile_differs"}},
		},
		"a leaf, and the hash of its tile above": {
			func(x *damager) { x.backdate(300); x.flip(1, 0, 1) },
			[]ledger.Finding{{Key: "check.leaf_differs", Seq: 300, HasSeq: true, Unmatched: 5, FirstUnmatched: 520}, {Key: "check.tile_differs"}},
		},
	} {
		r, _ := damage(t, d, false, tt.do)
		got := slices.Clone(r.Findings)
		for i := range got {
			got[i] = ledger.Finding{
				Key: got[i].Key, Seq: got[i].Seq, HasSeq: got[i].HasSeq, Unsure: got[i].Unsure, UnsureEnd: got[i].UnsureEnd,
				Unmatched: got[i].Unmatched, FirstUnmatched: got[i].FirstUnmatched,
			}
		}
		if !slices.EqualFunc(got, tt.want, func(a, b ledger.Finding) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("%s: %+v", name, r.Findings)
		}
	}
}

// TestALeafKnownToBeDamagedHidesNoOther: of what was signed over both it cannot be told whether one alone explains it.
func TestALeafKnownToBeDamagedHidesNoOther(t *testing.T) {
	d := manyCheckpoints(t)
	r, _ := damage(t, d, false, func(x *damager) {
		x.note("event 880 unreadable")
		x.leaf(880, func(leaf []byte) { leaf[0] ^= 1 })
		x.backdate(870)
	})
	if len(r.Findings) != 1 || r.Findings[0].Seq != 880 || r.Findings[0].Unsure != 850 || r.Findings[0].UnsureEnd != 900 {
		t.Errorf("%+v", r.Findings)
	}
}

// TestAForgedHeadDoesNotNameAnEvent: nobody signed the head. It is made to fit a tile in which the hash of an innocent event is another one.
func TestAForgedHeadDoesNotNameAnEvent(t *testing.T) {
	d := manyCheckpoints(t)
	damage(t, d, true, func(x *damager) {
		x.backdate(880)
		var forged proof.Builder
		err := d.Main.Packed(t.Context(), "ledger_leaf", 0, 900, func(n uint64, leaf []byte) error {
			h := proof.LeafHash(leaf)
			if n == 20 {
				h[7] ^= 1
			}
			forged.Append(h)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		x.exec("DELETE FROM ledger_checkpoint")
		x.flip(0, 0, 20)
		x.tile(1, 0, func(hashes []byte) { copy(hashes, forged.Partials()[1][0][:]) })
		root := forged.Root()
		x.exec("UPDATE ledger_head SET root = ?", root[:])
	})
}

// TestAHeadOfAnEnormousSizeIsAFinding at once, whatever else is stored far ahead.
func TestAHeadOfAnEnormousSizeIsAFinding(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 600)
	path := d.Path
	d.Shut()
	d.Damaged()
	for _, statement := range []string{
		"UPDATE ledger_head SET size = 4611686018427387904",
		"UPDATE ledger_head SET size = 4611686018427387904, root = zeroblob(32)",
		"UPDATE ledger_head SET size = 9223372036854775807",
		"UPDATE ledger_head SET size = 4611686018427387904; INSERT INTO ledger_leaf (first, count, data) SELECT 4611686018427387000, count, data FROM ledger_leaf WHERE first = 0",
	} {
		copied := filepath.Join(t.TempDir(), "data")
		copyTree(t, path, copied)
		raw, err := sql.Open("sqlite", filepath.Join(copied, "guia.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(statement); err != nil {
			t.Fatal(err)
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
		viewed, err := directory.View(t.Context(), copied)
		if err != nil {
			t.Fatal(err)
		}
		for _, quick := range []bool{false, true} {
			begun := time.Now()
			r, err := viewed.Check(t.Context(), ledger.CheckOptions{Quick: quick})
			if took := time.Since(begun); err != nil || took > 10*time.Second {
				t.Errorf("%s: %s, %v", statement, took, err)
			}
			if len(r.Findings) == 0 || r.Findings[0].Key != "check.entry_missing" || r.Findings[0].Seq != 600 {
				t.Errorf("%s: %+v", statement, r.Findings)
			}
		}
		if err := viewed.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
