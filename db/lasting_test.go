package db

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func lasting() Options { return Options{Durability: Durable, Lasting: true} }

func header(t testing.TB, path string) []byte {
	t.Helper()
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if len(log) < walHeader {
		t.Fatalf("the log has %d bytes", len(log))
	}
	return log[:walHeader]
}

// TestALastingLogStaysAsLongAsItWas: its file is there after a close, counts for nothing, and is written over by whoever opens next.
func TestALastingLogStaysAsLongAsItWas(t *testing.T) {
	small(t, 256<<10, 4<<20)
	path := filepath.Join(t.TempDir(), "x.db")
	for round := range 5 {
		d := open(t, path, lasting())
		if err := d.Reserve(); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, round, strings.Repeat("x", 100_000)) }); err != nil {
			t.Fatal(err)
		}
		if n := count(t, d); n != round+1 {
			t.Fatalf("round %d: %d rows", round, n)
		}
		if bytes.Count(header(t, path), []byte{0}) == walHeader {
			t.Fatal("nothing is in the log")
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if size := logSize(t, d); size != walFull+walSoft {
			t.Errorf("round %d: the log has %d bytes, not %d", round, size, walFull+walSoft)
		}
		if bytes.Count(header(t, path), []byte{0}) != walHeader {
			t.Errorf("round %d: the log would be read again", round)
		}
	}
}

// TestALastingLogIsReadAfterACrash takes the files as a killed process leaves them: what was written last stands in the log, over what
// an earlier process wrote there, and before what is left of that.
func TestALastingLogIsReadAfterACrash(t *testing.T) {
	small(t, 256<<10, 4<<20)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	d := open(t, path, lasting())
	for n := range 20 {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, strings.Repeat("x", 50_000)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, path, lasting())
	if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 20, "the last") }); err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "x.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crashed+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // and again after it was closed
		again := open(t, crashed, lasting())
		if n := count(t, again); n != 21 {
			t.Errorf("%d of 21 rows", n)
		}
		if found, err := again.Integrity(t.Context()); err != nil || len(found) > 0 {
			t.Error(found, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheEmptyingOfALogMayBeLost: a power cut may keep the log as it was before it was emptied. Its pages are in the file already.
func TestTheEmptyingOfALogMayBeLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	d := open(t, path, lasting())
	for n := range 5 {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, "row") }); err != nil {
			t.Fatal(err)
		}
	}
	before := header(t, path)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	without, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path+"-wal", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(before, 0); err != nil {
		t.Fatal(err)
	}
	file.Close()
	d = open(t, path, lasting())
	if n := count(t, d); n != 5 {
		t.Errorf("%d of 5 rows", n)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if with, err := os.ReadFile(path); err != nil || !bytes.Equal(with, without) {
		t.Errorf("the log held what was not in the file: %v", err)
	}
}

// TestAScrubbedLogHoldsNothingAndIsAsLongAsBefore: what was deleted is not behind what is written next either.
func TestAScrubbedLogHoldsNothingAndIsAsLongAsBefore(t *testing.T) {
	small(t, 256<<10, 4<<20)
	path := filepath.Join(t.TempDir(), "x.db")
	o := lasting()
	o.Forgetful = true
	d := open(t, path, o)
	for n := range 10 {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, "canary "+strings.Repeat("x", 50_000)) }); err != nil {
			t.Fatal(err)
		}
	}
	err := d.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec("DELETE FROM x")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(path + "-wal"); err != nil || !bytes.Contains(log, []byte("canary")) {
		t.Fatalf("the canary is not in the log: %v", err)
	}
	if err := d.Scrub(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		if data, err := os.ReadFile(path + suffix); err != nil || bytes.Contains(data, []byte("canary")) {
			t.Errorf("the canary is in %q: %v", suffix, err)
		}
	}
	if size := logSize(t, d); size != walFull+walSoft {
		t.Errorf("the log has %d bytes, not %d", size, walFull+walSoft)
	}
}

// TestReservingTouchesNothing: what was committed and not yet copied back is read by whoever opens the files after a crash.
func TestReservingTouchesNothing(t *testing.T) {
	small(t, 256<<10, 4<<20)
	path := filepath.Join(t.TempDir(), "x.db")
	d := open(t, path, lasting())
	if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 1, "row") }); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Reserve(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path + "-wal")
	if err != nil || !bytes.HasPrefix(after, before) || int64(len(after)) != walFull+walSoft {
		t.Errorf("%d bytes became %d: %v", len(before), len(after), err)
	}
}

// TestALastingLogIsCopiedBackLate: not before it is nearly full, so that a page that is written again and again is copied once.
func TestALastingLogIsCopiedBackLate(t *testing.T) {
	small(t, 64<<10, 8<<20) // begins to be copied back at nearly 4 MiB
	walIdle = time.Hour
	t.Cleanup(func() { walIdle = time.Second })
	d := open(t, filepath.Join(t.TempDir(), "x.db"), lasting())
	before := fileSize(t, d.path)
	for n := 0; d.used() < 3<<20; n++ {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, strings.Repeat("x", 40_000)) }); err != nil {
			t.Fatal(err)
		}
	}
	if now := fileSize(t, d.path); now != before {
		t.Errorf("it was copied back: %d bytes became %d", before, now)
	}
	deadline := time.Now().Add(20 * time.Second)
	for n := 1000; fileSize(t, d.path) == before; n++ {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, strings.Repeat("x", 40_000)) }); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %d writes nothing was copied back", n-1000)
		}
	}
}

// TestTheLogIsCopiedBackWhenNobodyWrites: the next burst of writes finds the log empty.
func TestTheLogIsCopiedBackWhenNobodyWrites(t *testing.T) {
	walIdle = 5 * time.Millisecond
	t.Cleanup(func() { walIdle = time.Second })
	d := open(t, filepath.Join(t.TempDir(), "x.db"), lasting())
	if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 1, strings.Repeat("x", 500_000)) }); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for fileSize(t, d.path) < 500_000 {
		if time.Now().After(deadline) {
			t.Fatal("it stays in the log")
		}
		<-time.After(time.Millisecond)
	}
	for n := 2; ; n++ { // a copy may just be under way
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, "small") }); err != nil {
			t.Fatal(err)
		}
		if d.used() < 200_000 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log did not begin anew: %d bytes", d.used())
		}
		<-time.After(time.Millisecond)
	}
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
