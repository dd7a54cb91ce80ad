package db

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// peak is the most memory that this process has had since it was last asked, in bytes.
func peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Skip("NOT TESTED: this system does not tell how much memory a process has had")
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // proc(5): resets the peak
		t.Skipf("NOT TESTED: the peak of memory cannot be reset here: %v", err)
	}
	return kb << 10
}

// TestALargeFileIsCompactedInLittleMemory: a ledger may be larger than memory, and must still forget.
func TestALargeFileIsCompactedInLittleMemory(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "db's ") //nolint:usetesting // a disk is slow, and the name has a quote
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)
	const size = 3 * compactInMemory
	d := open(t, filepath.Join(dir, "x.db"), Options{Durability: Disposable, Forgetful: true})
	err = d.Write(t.Context(), func(tx *Tx) error {
		for n := range size >> 20 {
			if _, err := tx.Exec("INSERT INTO x (n, s) VALUES (?, zeroblob(1 << 20))", n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Scrub(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	peak(t)
	before := peak(t)
	if err := d.Scrub(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if took := peak(t) - before; took > size*3/4 {
		t.Errorf("a file of %d MiB took %d MiB of memory", size>>20, took>>20)
	}
	var stored int
	var place string
	if err := d.conn.QueryRowContext(t.Context(), "PRAGMA temp_store").Scan(&stored); err != nil || stored != 2 {
		t.Errorf("temporary tables stand in %d afterwards, %v", stored, err)
	}
	if err := d.conn.QueryRowContext(t.Context(), "PRAGMA temp_store_directory").Scan(&place); err == nil && place != "" {
		t.Errorf("the place of temporary files stays %s", place)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 3 {
		t.Errorf("left %v, %v", entries, err)
	}
	if n := count(t, d); n != size>>20 {
		t.Errorf("%d rows of %d", n, size>>20)
	}
}
