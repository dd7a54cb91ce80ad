package db

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/fstest"

	"guia"
)

// packed is a database with one packed table, t.
func packed(t testing.TB) *DB {
	t.Helper()
	files := fstest.MapFS{"0001_t.sql": {Data: []byte("CREATE TABLE t (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, data BLOB NOT NULL)")}}
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable, Migrations: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func insert(t testing.TB, d *DB, first uint64, values ...[]byte) {
	t.Helper()
	if err := d.Write(t.Context(), func(tx *Tx) error { return tx.InsertPacked("t", first, values) }); err != nil {
		t.Fatal(err)
	}
}

type numbered struct {
	number uint64
	value  string
}

func read(t testing.TB, d *DB, first, end uint64) []numbered {
	t.Helper()
	var all []numbered
	err := d.Packed(t.Context(), "t", first, end, func(n uint64, value []byte) error {
		all = append(all, numbered{n, string(value)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func rowsOf(t testing.TB, d *DB) (counts []int) {
	t.Helper()
	rows, err := d.Query(t.Context(), "SELECT count FROM t ORDER BY first")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return counts
}

func TestPackedValuesComeBackInWhateverSizesTheyWereStored(t *testing.T) {
	d := packed(t)
	insert(t, d, 0) // an empty batch stores nothing
	if got := rowsOf(t, d); len(got) != 0 {
		t.Fatalf("an empty batch made rows of %v values", got)
	}
	var want []numbered
	next := uint64(0)
	for _, batch := range []int{1, 255, 256, 257, 513, 3} {
		values := make([][]byte, batch)
		for i := range values {
			n := next + uint64(i)
			values[i] = bytes.Repeat([]byte{byte(n)}, int(n%7)*int(n%131)) // also empty ones
			want = append(want, numbered{n, string(values[i])})
		}
		insert(t, d, next, values...)
		next += uint64(batch)
	}
	for _, size := range []int{packBytes - 4, packBytes - 3, packBytes - 2, packBytes, 5 * packBytes} { // a length of three bytes
		value := bytes.Repeat([]byte{'x'}, size)
		insert(t, d, next, value, []byte("after"))
		want = append(want, numbered{next, string(value)}, numbered{next + 1, "after"})
		next += 2
	}
	// No more than 256 to a row, and a row that reached 64 KiB takes no more.
	if got, want := fmt.Sprint(rowsOf(t, d)), "[1 255 256 256 1 256 256 1 3 2 1 1 1 1 1 1 1 1]"; got != want {
		t.Errorf("rows hold %s values, want %s", got, want)
	}
	for _, r := range [][2]uint64{{0, next}, {0, 0}, {0, 1}, {1, 2}, {5, 3}, {100, 400}, {255, 257}, {256, 511}, {511, 512}, {600, 601}, {1290, next}, {next - 1, next + 10}, {next, next + 5}} {
		got := read(t, d, r[0], r[1])
		low, high := min(r[0], next), min(r[1], next)
		if low >= high {
			low, high = 0, 0
		}
		if fmt.Sprint(got) != fmt.Sprint(want[low:high]) {
			t.Errorf("from %d to %d: %d values, want %d", r[0], r[1], len(got), high-low)
		}
	}
}

func TestReplacePackedChangesOneValueWhateverItsSize(t *testing.T) {
	d := packed(t)
	for first := uint64(0); first < 300; first += 100 {
		values := make([][]byte, 100)
		for i := range values {
			values[i] = fmt.Appendf(nil, "value %d", first+uint64(i))
		}
		insert(t, d, first, values...)
	}
	changed := map[uint64]string{0: "", 99: "short", 100: string(bytes.Repeat([]byte("long"), 40_000)), 150: "x", 299: "last"}
	for n, value := range changed {
		if err := d.Write(t.Context(), func(tx *Tx) error { return tx.ReplacePacked("t", n, []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range read(t, d, 0, 300) {
		want, ok := changed[uint64(i)]
		if !ok {
			want = fmt.Sprintf("value %d", i)
		}
		if got.number != uint64(i) || got.value != want {
			t.Errorf("place %d holds number %d, %.20q, want %.20q", i, got.number, got.value, want)
		}
	}
}

func TestReplacingWhatIsNotThereIsDamage(t *testing.T) {
	d := packed(t)
	for _, n := range []uint64{0, 1} {
		err := d.Write(t.Context(), func(tx *Tx) error { return tx.ReplacePacked("t", n, []byte("x")) })
		if guia.KindOf(err) != guia.Damaged {
			t.Errorf("in an empty table, number %d: %v", n, err)
		}
	}
	insert(t, d, 10, []byte("ten"), []byte("eleven"))
	for _, n := range []uint64{9, 12, 1 << 40} {
		err := d.Write(t.Context(), func(tx *Tx) error { return tx.ReplacePacked("t", n, []byte("x")) })
		if guia.KindOf(err) != guia.Damaged {
			t.Errorf("number %d: %v", n, err)
		}
	}
}

func TestDamagedPackedRowsAreNamed(t *testing.T) {
	good := append(binary.AppendUvarint(nil, 3), "abc"...)
	for name, c := range map[string]struct {
		count int
		data  []byte
	}{
		"count too high":     {2, good},
		"count too low":      {1, append(bytes.Clone(good), good...)},
		"no values":          {0, nil},
		"less than none":     {-1, nil},
		"more than a row":    {packCount + 1, make([]byte, packCount+1)},
		"cut off":            {1, good[:3]},
		"cut off in length":  {1, []byte{0x80}},
		"endless length":     {1, bytes.Repeat([]byte{0xff}, 11)},
		"length beyond all":  {1, binary.AppendUvarint(nil, 1<<63)},
		"something left":     {1, append(bytes.Clone(good), 0)},
		"empty, count of it": {1, nil},
	} {
		d := packed(t)
		err := d.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec("INSERT INTO t (first, count, data) VALUES (7, ?, ?)", c.count, append([]byte{}, c.data...))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = d.Packed(t.Context(), "t", 0, 100, func(uint64, []byte) error { return nil })
		if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Kind != guia.Damaged || refusal.Key != "db.packed_damaged" || refusal.Args[0] != "t" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPackedStopsWhereItIsTold(t *testing.T) {
	d := packed(t)
	insert(t, d, 0, []byte("a"), []byte("b"), []byte("c"))
	stop, calls := errors.New("stop"), 0
	err := d.Packed(t.Context(), "t", 0, 3, func(uint64, []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("called %d times, %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Packed(ctx, "t", 0, 3, func(uint64, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(1, []byte("\x03abc"))
	f.Add(2, []byte("\x00\x01x"))
	f.Add(256, bytes.Repeat([]byte{0}, 256))
	f.Add(1, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, count int, data []byte) {
		var again []byte
		n := 0
		err := unpack("t", 5, count, data, func(number uint64, value []byte) error {
			if number != uint64(5+n) {
				t.Fatalf("number %d, want %d", number, 5+n)
			}
			n++
			again = append(binary.AppendUvarint(again, uint64(len(value))), value...)
			return nil
		})
		if err != nil {
			if guia.KindOf(err) != guia.Damaged {
				t.Fatal(err)
			}
			return
		}
		if n != count || len(again) > len(data) { // a length may be spelt longer than needed, never shorter
			t.Fatalf("%d values of %d, %d bytes from %d", n, count, len(again), len(data))
		}
	})
}
