package db

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// pagesKept is how many pages SQLite keeps in the room it was given, and the bytes of those for which there was no room there.
func pagesKept(t *testing.T) (pages, elsewhere int64) {
	tls := libc.NewTLS()
	defer tls.Close()
	out := libc.NewVaListN(2)
	defer libc.Xfree(tls, out)
	ask := func(what int32) int64 {
		if rc := sqlite3.Xsqlite3_status64(tls, what, out, out+8, 0); rc != sqlite3.SQLITE_OK {
			t.Fatalf("status %d: %d", what, rc)
		}
		return libc.AtomicLoadPInt64(out)
	}
	return ask(sqlite3.SQLITE_STATUS_PAGECACHE_USED), ask(sqlite3.SQLITE_STATUS_PAGECACHE_OVERFLOW)
}

func TestPagesInMemoryDoNotGrowWithTheData(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Migrations: one("CREATE TABLE a (id INTEGER PRIMARY KEY, data BLOB)")})
	row := bytes.Repeat([]byte{1}, 12_000) // a page each
	for range 20 {
		if err := d.Write(t.Context(), func(tx *Tx) error {
			for range 200 {
				if _, err := tx.Exec("INSERT INTO a (data) VALUES (?)", row); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		var n int64 // readers keep pages too
		if err := d.Snapshot(t.Context(), func(tx *sql.Tx) error {
			return tx.QueryRowContext(t.Context(), "SELECT SUM(LENGTH(data)) FROM a").Scan(&n)
		}); err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	pages, elsewhere := pagesKept(t)
	if pages == 0 || pages > pagesInMemory || elsewhere > 2<<20 {
		t.Errorf("%d pages in the room of %d, %d bytes elsewhere", pages, pagesInMemory, elsewhere)
	}
}
