package ledger_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"guia"
	"guia/directory"
	"guia/guiatest"
	"guia/ledger"
)

// edit changes tables behind the ledger's back.
func edit(t *testing.T, d *guiatest.Directory, fn func(tx *ledger.Tx) error) {
	t.Helper()
	if err := d.Ledger.Batch(t.Context(), 0, fn); err != nil {
		t.Fatal(err)
	}
}

// found is what check says, as keys with the first event of each.
func found(t *testing.T, d *guiatest.Directory) (keys []string, events []guia.Seq) {
	t.Helper()
	r, err := d.Ledger.Check(t.Context(), ledger.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return keysOf(r)
}

func keysOf(r ledger.CheckReport) (keys []string, events []guia.Seq) {
	for _, f := range r.Findings {
		keys = append(keys, f.Key)
		if f.HasSeq {
			events = append(events, f.Seq)
		}
	}
	slices.Sort(keys)
	return keys, events
}

// spoilTiles changes every second hash of the tiles over leaves.
func spoilTiles(t *testing.T, d *guiatest.Directory, tiles int) {
	t.Helper()
	for i := range tiles {
		var hashes []byte
		if err := d.Ledger.Database().QueryRow(t.Context(), "SELECT hashes FROM ledger_tile WHERE level = 0 AND idx = ?", i).Scan(&hashes); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(hashes); at += 64 {
			hashes[at] ^= 1
		}
		edit(t, d, func(tx *ledger.Tx) error {
			_, err := tx.Exec("UPDATE ledger_tile SET hashes = ? WHERE level = 0 AND idx = ?", hashes, i)
			return err
		})
	}
}

func spoilContent(t *testing.T, d *guiatest.Directory, seq guia.Seq) {
	t.Helper()
	row, err := d.Vault.Row(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	row[len(row)-1] ^= 1
	edit(t, d, func(tx *ledger.Tx) error { return d.Vault.Replace(tx.Tx, seq, row) })
}

func TestManyDisagreementsHideNoLaterDamage(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 9*256+20)
	d.Damaged()
	spoilTiles(t, d, 9) // every second of 2,304 leaves does not agree with its tile, and none of them is damaged
	spoilContent(t, d, 9*256+5)
	want := slices.Concat(slices.Repeat([]string{"check.tile_differs"}, 9), []string{"vault.damaged"})
	keys, events := found(t, d)
	if !slices.Equal(keys, want) || !slices.Equal(events, []guia.Seq{9*256 + 5}) {
		t.Errorf("check found %v at %v", keys, events)
	}
}

func TestMoreThanAThousandOfOneKindHideNoOther(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 2*1100)
	d.Damaged()
	for seq := guia.Seq(100); seq < 100+2*1001; seq += 2 {
		spoilContent(t, d, seq)
	}
	edit(t, d, func(tx *ledger.Tx) error {
		_, err := tx.Exec("UPDATE ledger_stream SET owner = zeroblob(16) WHERE name = (SELECT MIN(name) FROM ledger_stream)")
		return err
	})
	keys, events := found(t, d)
	if len(events) != 1000 || !slices.Contains(keys, "check.stream_owner") {
		t.Errorf("check found %d damaged events and %v", len(events), slices.Compact(keys))
	}
}

// TestAShortHeadHidesNoOtherDamage takes one event off the size in the head: that is one finding, and each damage beside it one more.
func TestAShortHeadHidesNoOtherDamage(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 600)
	path := d.Path
	d.Shut()
	d.Damaged()
	for name, tt := range map[string]struct{ statement, key string }{
		"nothing else":     {"UPDATE ledger_head SET clock = clock", ""},
		"an older head":    {"UPDATE ledger_head SET size = size - 300", ""},
		"a counter":        {"UPDATE ledger_stream SET count = count + 1 WHERE name = (SELECT MIN(name) FROM ledger_stream)", "check.stream_count"},
		"a tile too many":  {"INSERT INTO ledger_tile (level, idx, hashes) VALUES (0, 99, zeroblob(32))", "check.tiles_count"},
		"another tile":     {"UPDATE ledger_tile SET hashes = zeroblob(64) WHERE level = 1", "check.tile_differs"},
		"leaves far ahead": {"INSERT INTO ledger_leaf (first, count, data) SELECT 4611686018427387904, count, data FROM ledger_leaf WHERE first = 0", "check.entries_short"},
	} {
		copied := filepath.Join(t.TempDir(), "data")
		copyTree(t, path, copied)
		raw, err := sql.Open("sqlite", filepath.Join(copied, "guia.db"))
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{"UPDATE ledger_head SET size = size - 1", tt.statement} {
			if _, err := raw.Exec(statement); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
		viewed, err := directory.View(t.Context(), copied)
		if err != nil {
			t.Fatal(err)
		}
		for _, quick := range []bool{false, true} {
			r, err := viewed.Ledger.Check(t.Context(), ledger.CheckOptions{Quick: quick})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"check.entries_short"}
			if tt.key != "" {
				want = append(want, tt.key)
			}
			if keys, _ := keysOf(r); !slices.Equal(keys, want) {
				t.Errorf("%s, quick %v: check found %v", name, quick, r.Findings)
			}
		}
		if err := viewed.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
