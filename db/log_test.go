package db

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// small makes the log small for one test.
func small(t *testing.T, soft, hard int64) {
	oldSoft, oldFull, oldHard := walSoft, walFull, walHard
	TestOnlyLog(soft, hard)
	t.Cleanup(func() { walSoft, walFull, walHard = oldSoft, oldFull, oldHard })
}

func logSize(t testing.TB, d *DB) int64 {
	t.Helper()
	info, err := os.Stat(d.path + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestTheLogStaysBoundedWhileEverybodyReadsAndWrites writes ten times the limit, with readers that come and go and a copier that is
// nearly always busy.
func TestTheLogStaysBoundedWhileEverybodyReadsAndWrites(t *testing.T) {
	small(t, 256<<10, 1<<20)
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	for range 2 {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				var n int
				if err := d.QueryRow(ctx, "SELECT COUNT(*) FROM x").Scan(&n); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}()
	}
	text := strings.Repeat("x", 60_000)
	var largest int64
	for n := range 160 {
		if err := d.Write(ctx, func(tx *Tx) error { return put(tx, n, text) }); err != nil {
			t.Fatal(err)
		}
		largest = max(largest, logSize(t, d))
	}
	stop()
	<-done
	<-done
	if largest > 3*walHard {
		t.Errorf("the log grew to %d bytes, the writer waits at %d", largest, walHard)
	}
	if info, err := os.Stat(d.path); err != nil || info.Size() < 5<<20 {
		t.Errorf("nothing was copied back: %v, %v", info, err)
	}
}

// TestALogThatWasLargeShrinks: a log that was large once shrinks when it begins anew.
func TestALogThatWasLargeShrinks(t *testing.T) {
	small(t, 128<<10, 512<<10)
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable})
	if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 1, strings.Repeat("x", 4<<20)) }); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 10+n, "small") }); err != nil {
			t.Fatal(err)
		}
	}
	if size := logSize(t, d); size > walFull+walSoft {
		t.Errorf("after three small writes the log still has %d bytes", size)
	}
}

// TestTheCopierWorksInTheBackground: the writer alone would copy nothing back below the hard limit.
func TestTheCopierWorksInTheBackground(t *testing.T) {
	small(t, 64<<10, 1<<40)
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable})
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; ; n++ {
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, strings.Repeat("x", 40_000)) }); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(d.path); err == nil && info.Size() > 512<<10 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %d writes nothing was copied back", n)
		}
	}
}

// TestTheLogBeginsAnewWithoutTheWriterAndKeepsItsFile: the copier alone lets the log begin anew, and what is written then goes where the
// file has its blocks already.
func TestTheLogBeginsAnewWithoutTheWriterAndKeepsItsFile(t *testing.T) {
	small(t, 256<<10, 1<<40)
	walFull = 1 << 20
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Durable})
	var largest, smallest int64
	for n := range 300 { // twenty times as much as the log may hold
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, strings.Repeat("x", 60_000)) }); err != nil {
			t.Fatal(err)
		}
		size := logSize(t, d)
		largest = max(largest, size)
		if size < largest && (smallest == 0 || size < smallest) {
			smallest = size
		}
	}
	if largest > 8*walFull {
		t.Errorf("the log grew to %d bytes, full it has %d", largest, walFull)
	}
	if smallest != 0 && smallest < walFull {
		t.Errorf("the log's file was cut to %d bytes; full it has %d", smallest, walFull)
	}
}

// TestScrubDoesNotGiveUpBecauseOfTheCopier: SQLite does not wait for another copy of the log.
func TestScrubDoesNotGiveUpBecauseOfTheCopier(t *testing.T) {
	small(t, 1, 1<<40) // the copier is woken by each write
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable})
	for n := range 60 {
		err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, strings.Repeat("x", 200_000)) })
		if err == nil {
			err = d.Scrub(t.Context(), false)
		}
		if err != nil {
			t.Fatalf("round %d: %v", n, err)
		}
	}
}

func TestScrubSaysThatAReaderIsInTheWay(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable})
	if _, err := d.conn.ExecContext(t.Context(), "PRAGMA busy_timeout = 50"); err != nil {
		t.Fatal(err)
	}
	err := d.Snapshot(t.Context(), func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM x").Scan(&n); err != nil {
			return err
		}
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 1, "a") }); err != nil {
			return err
		}
		if err := d.Scrub(t.Context(), false); err == nil || !strings.Contains(err.Error(), "reader") {
			t.Errorf("scrubbed under a reader: %v", err)
		}
		return nil
	})
	if err := errors.Join(err, d.Scrub(t.Context(), false)); err != nil || logSize(t, d) != 0 {
		t.Errorf("%v, the log has %d bytes", err, logSize(t, d))
	}
}

// contains reports whether the file at path, or its log, has the bytes.
func contains(t testing.TB, path string, what []byte) (file, log bool) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := os.ReadFile(path + "-wal")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Contains(b, what), bytes.Contains(w, what)
}

func TestScrubLeavesNothingOfWhatWasDeleted(t *testing.T) {
	secret := []byte("canary-4f0c8e1d")
	for _, forgetful := range []bool{true, false} {
		d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Forgetful: forgetful})
		err := d.Write(t.Context(), func(tx *Tx) error {
			for n := range 500 {
				if err := put(tx, n, string(secret)+strings.Repeat("z", n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, log := contains(t, d.path, secret); !log {
			t.Fatal("the canary is not in the log: this test shows nothing")
		}
		if err := d.Scrub(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if file, log := contains(t, d.path, secret); !file || log {
			t.Fatalf("before deleting: in the file %t, in the log %t", file, log)
		}
		if err := d.Write(t.Context(), func(tx *Tx) error { _, err := tx.Exec("DELETE FROM x"); return err }); err != nil {
			t.Fatal(err)
		}
		if err := d.Scrub(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if file, log := contains(t, d.path, secret); file == forgetful || log {
			t.Errorf("forgetful %t: after Scrub in the file %t, in the log %t", forgetful, file, log)
		}
		if err := d.Scrub(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if file, log := contains(t, d.path, secret); file || log {
			t.Errorf("forgetful %t: after compacting in the file %t, in the log %t", forgetful, file, log)
		}
	}
}

// TestNothingTouchesTheFilesAfterClose: a connection that outlives Close would remove the log of whoever opens the files next. The
// copier and a reader are at work while Close begins; the reader ends only after Close has closed the readers.
func TestNothingTouchesTheFilesAfterClose(t *testing.T) {
	small(t, 1, 1<<40) // the copier is woken by each write
	path := filepath.Join(t.TempDir(), "x.db")
	for n := range 20 {
		d := open(t, path, Options{Durability: Disposable})
		rows, err := d.Query(t.Context(), "SELECT n FROM x")
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, n, strings.Repeat("x", 400_000)) }); err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		go func() {
			for d.reads.PingContext(context.Background()) == nil { // until Close has come so far
			}
			read <- rows.Close()
		}()
		err = d.Close()
		for _, p := range []*sql.DB{d.reads, d.copier, d.writes} {
			if left := p.Stats().OpenConnections; left != 0 {
				t.Errorf("round %d: %d connections are open after Close", n, left)
			}
		}
		if err := errors.Join(err, <-read, rows.Err()); err != nil {
			t.Fatal(err)
		}
	}
}
