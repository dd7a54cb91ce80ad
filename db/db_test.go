package db

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"guia"
)

var update = flag.Bool("update", false, "write schema.txt anew")

func one(sql string) fs.FS { return fstest.MapFS{"0001_x.sql": {Data: []byte(sql)}} }

func open(t testing.TB, path string, o Options) *DB {
	t.Helper()
	if o.Durability == 0 {
		o.Durability = Durable
	}
	if o.Migrations == nil {
		o.Migrations = one("CREATE TABLE x (n INTEGER PRIMARY KEY, s TEXT)")
	}
	d, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func count(t testing.TB, d *DB) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), "SELECT COUNT(*) FROM x").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func put(tx *Tx, n int, s string) error {
	_, err := tx.Exec("INSERT INTO x (n, s) VALUES (?, ?)", n, s)
	return err
}

func TestAFailedWriteStoresNothingAndTheNextOneWorks(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	stop := errors.New("stop")
	for name, fn := range map[string]func(*Tx) error{
		"the function fails":   func(tx *Tx) error { return errors.Join(put(tx, 1, "a"), stop) },
		"the statement fails":  func(tx *Tx) error { return errors.Join(put(tx, 1, "a"), put(tx, 1, "again")) },
		"an unknown statement": func(tx *Tx) error { _, err := tx.Exec("NONSENSE"); return errors.Join(put(tx, 1, "a"), err) },
	} {
		if err := d.Write(t.Context(), fn); err == nil || errors.Is(err, ErrUnclear) {
			t.Errorf("%s: %v", name, err)
		}
		if n := count(t, d); n != 0 {
			t.Errorf("%s: %d rows are stored", name, n)
		}
	}
	if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 1, "b") }); err != nil || count(t, d) != 1 {
		t.Errorf("%v, %d rows", err, count(t, d))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Write(ctx, func(tx *Tx) error { return put(tx, 2, "c") }); !errors.Is(err, context.Canceled) || count(t, d) != 1 {
		t.Errorf("cancelled before: %v, %d rows", err, count(t, d))
	}
	// Whoever loses interest in the middle does not tear the transaction.
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	if err := d.Write(ctx, func(tx *Tx) error { cancel(); return put(tx, 2, "c") }); err != nil || count(t, d) != 2 {
		t.Errorf("cancelled within: %v, %d rows", err, count(t, d))
	}
}

func TestNestUndoesItselfAlone(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	stop := errors.New("stop")
	err := d.Write(t.Context(), func(tx *Tx) error {
		if err := put(tx, 1, "before"); err != nil {
			return err
		}
		if err := tx.Nest(func() error { return errors.Join(put(tx, 2, "undone"), stop) }); !errors.Is(err, stop) {
			t.Errorf("nested: %v", err)
		}
		err := tx.Nest(func() error {
			if err := tx.Nest(func() error { return errors.Join(put(tx, 3, "undone"), stop) }); !errors.Is(err, stop) {
				t.Errorf("nested twice: %v", err)
			}
			return put(tx, 4, "inner")
		})
		return errors.Join(err, put(tx, 5, "after"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := values(t, d); got != "1:before 4:inner 5:after" {
		t.Errorf("stored %q", got)
	}
}

func values(t testing.TB, d *DB) string {
	t.Helper()
	rows, err := d.Query(t.Context(), "SELECT n, s FROM x ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var n int
		var s string
		if err := rows.Scan(&n, &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d:%s", n, s))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// TestNothingRunsAfterTheTransactionIsLost fills the file in the middle of a transaction. SQLite undoes the whole transaction then,
// and each statement after it would be committed by itself.
func TestNothingRunsAfterTheTransactionIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	d := open(t, path, Options{})
	limit := func(pages string) {
		if _, err := d.conn.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("8")
	big := strings.Repeat("x", 1<<20)
	err := d.Write(t.Context(), func(tx *Tx) error {
		if err := put(tx, 1, "before"); err != nil {
			return err
		}
		full := tx.Nest(func() error { return put(tx, 2, big) })
		if guia.KindOf(full) != guia.Blocked {
			t.Errorf("a full file: %v", full)
		}
		for i, fn := range []func() error{
			func() error { return put(tx, 3, "alone") },
			func() error { return tx.Nest(func() error { return put(tx, 4, "alone") }) },
			func() error { return tx.QueryRow("SELECT 1", nil, new(int)) },
			func() error { _, err := tx.Query("SELECT 1"); return err }, //nolint:sqlclosecheck,rowserrcheck // nil
		} {
			if err := fn(); err == nil {
				t.Errorf("statement %d ran outside of the transaction", i)
			}
		}
		return nil
	})
	if guia.KindOf(err) != guia.Blocked || errors.Is(err, ErrUnclear) {
		t.Errorf("got %v, want a refusal of kind blocked", err)
	}
	if got := values(t, d); got != "" {
		t.Errorf("stored %q", got)
	}
	limit("100000")
	if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 9, "later") }); err != nil {
		t.Error(err)
	}
	if got := values(t, d); got != "9:later" {
		t.Errorf("stored %q", got)
	}
}

func TestReadersSeeWhatIsCommittedAndNeverWaitForTheWriter(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	err := d.Write(t.Context(), func(tx *Tx) error {
		if err := put(tx, 1, "a"); err != nil {
			return err
		}
		if n := count(t, d); n != 0 { // in the middle of the write, from the same goroutine: waiting would be for ever
			t.Errorf("a reader sees %d uncommitted rows", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Snapshot(t.Context(), func(tx *sql.Tx) error {
		for range 2 {
			var n int
			if err := tx.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM x").Scan(&n); err != nil {
				return err
			}
			if n != 1 {
				t.Errorf("a snapshot sees %d rows", n)
			}
			if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 100+count(t, d), "later") }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, d); n != 3 {
		t.Errorf("afterwards %d rows", n)
	}
	if _, err := d.Query(t.Context(), "DELETE FROM x"); err == nil { //nolint:sqlclosecheck,rowserrcheck // nil
		t.Error("a reading connection writes")
	}
}

func TestConcurrentWritesAndReadsAreWhole(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				n := 2 * (100*w + i)
				if err := d.Write(t.Context(), func(tx *Tx) error { return errors.Join(put(tx, n, "a"), put(tx, n+1, "b")) }); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				if n := count(t, d); n%2 != 0 {
					t.Errorf("a reader sees half of a write: %d rows", n)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, d); n != 400 {
		t.Errorf("%d rows", n)
	}
}

func TestErrorsThatAPersonCanMendAreRefusals(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("this is no database. "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), text, Options{Durability: Durable, Migrations: Main()}); guia.KindOf(err) != guia.Damaged {
		t.Errorf("not a database: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "no", "such", "x.db"), Options{Durability: Durable}); guia.KindOf(err) != guia.Blocked {
		t.Errorf("no such folder: %v", err)
	}
	if _, err := Open(t.Context(), dir, Options{Durability: Durable}); guia.KindOf(err) != guia.Blocked {
		t.Errorf("a folder: %v", err)
	}
	damaged := filepath.Join(dir, "damaged.db")
	d := open(t, damaged, Options{})
	err := d.Write(t.Context(), func(tx *Tx) error {
		for n := range 2000 {
			if err := put(tx, n, strings.Repeat("y", 100)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b); i++ {
		b[i] = 0xa5
	}
	if err := os.WriteFile(damaged, b, 0o600); err != nil {
		t.Fatal(err)
	}
	d = open(t, damaged, Options{})
	if found, err := d.Integrity(t.Context()); err == nil && len(found) == 0 {
		t.Error("integrity check finds nothing")
	}
	err = d.Write(t.Context(), func(tx *Tx) error {
		var sum sql.NullInt64
		return tx.QueryRow("SELECT SUM(LENGTH(s)) FROM x", nil, &sum)
	})
	if guia.KindOf(err) != guia.Damaged {
		t.Errorf("a damaged page: %v", err)
	}
}

func TestClosedIsClosed(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	_, queried := d.Query(t.Context(), "SELECT 1") //nolint:sqlclosecheck,rowserrcheck // nil
	_, checked := d.Integrity(t.Context())
	for name, err := range map[string]error{
		"Write":     d.Write(t.Context(), func(*Tx) error { t.Error("ran"); return nil }),
		"Scrub":     d.Scrub(t.Context(), true),
		"Query":     queried,
		"Integrity": checked,
		"QueryRow":  d.QueryRow(t.Context(), "SELECT 1").Scan(new(int)),
		"Snapshot":  d.Snapshot(t.Context(), func(*sql.Tx) error { return nil }),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestMigrationsRunOnceInOrderAndANewerFileIsRefusedUntouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	files := fstest.MapFS{
		"0001_a.sql": {Data: []byte("CREATE TABLE a (n INTEGER); INSERT INTO a (n) VALUES (1);")},
		"0002_b.sql": {Data: []byte("ALTER TABLE a ADD COLUMN s TEXT; UPDATE a SET s = 'two';")},
	}
	first := fstest.MapFS{"0001_a.sql": files["0001_a.sql"]}
	for _, m := range []fs.FS{first, first, files, files} {
		if err := open(t, path, Options{Migrations: m}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, path, Options{Migrations: files})
	var n int
	var s string
	if err := d.QueryRow(t.Context(), "SELECT COUNT(*), MAX(s) FROM a").Scan(&n, &s); err != nil || n != 1 || s != "two" {
		t.Errorf("%d rows, %q, %v", n, s, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, filepath.Dir(path))
	_, err := Open(t.Context(), path, Options{Durability: Durable, Migrations: first})
	if guia.KindOf(err) != guia.Blocked {
		t.Errorf("a newer file: %v", err)
	}
	if after := tree(t, filepath.Dir(path)); after != before {
		t.Error("refusing a newer file changed it")
	}
}

func TestAFailedMigrationLeavesTheStepBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	bad := fstest.MapFS{
		"0001_a.sql": {Data: []byte("CREATE TABLE a (n INTEGER)")},
		"0002_b.sql": {Data: []byte("CREATE TABLE b (n INTEGER); CREATE TABLE a (n INTEGER)")},
	}
	if _, err := Open(t.Context(), path, Options{Durability: Durable, Migrations: bad}); err == nil || !strings.Contains(err.Error(), "0002_b.sql") {
		t.Errorf("got %v", err)
	}
	d := open(t, path, Options{Migrations: fstest.MapFS{"0001_a.sql": bad["0001_a.sql"]}})
	var n int
	if err := d.QueryRow(t.Context(), "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'b'").Scan(&n); err != nil || n != 0 {
		t.Errorf("half of a migration is there: %d, %v", n, err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "y.db"), Options{Durability: Durable, Migrations: fstest.MapFS{"0002_b.sql": bad["0001_a.sql"]}}); err == nil {
		t.Error("a hole in the numbers of the migrations is accepted")
	}
}

func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTheSchemaIsWhatTheGoldenSays compares what the migrations make with schema.txt, which a reviewer reads.
func TestTheSchemaIsWhatTheGoldenSays(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct {
		name  string
		files fs.FS
	}{{"guia.db", Main()}, {"keys.db", Keys()}} {
		d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Migrations: c.files})
		fmt.Fprintf(&got, "-- %s\n", c.name)
		schema(t, d, &got)
	}
	if *update {
		if err := os.WriteFile("schema.txt", []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the migrations make\n%s\nschema.txt says\n%s\nIf that is meant, run: go test ./db -run Golden -update", got.String(), want)
	}
}

func schema(t testing.TB, d *DB, into *strings.Builder) {
	t.Helper()
	rows, err := d.Query(t.Context(), "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		into.WriteString(strings.Join(strings.Fields(text), " ") + ";\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestACopyIsWholeAndCompact(t *testing.T) {
	dir := t.TempDir()
	d := open(t, filepath.Join(dir, "x.db"), Options{})
	if err := d.Write(t.Context(), func(tx *Tx) error { return put(tx, 1, "a") }); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "copy.db")
	if err := d.CopyTo(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := d.CopyTo(t.Context(), copied); err == nil {
		t.Error("a copy replaced a file")
	}
	r, err := OpenReadOnly(t.Context(), copied, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := values(t, r); got != "1:a" {
		t.Errorf("the copy holds %q", got)
	}
	if err := r.Write(t.Context(), func(*Tx) error { return nil }); err == nil {
		t.Error("a read-only database can be written")
	}
	if err := r.Scrub(t.Context(), true); err == nil {
		t.Error("a read-only database can be scrubbed")
	}
}

func TestManyStatementsAreForgottenAndWorkAgain(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"), Options{Durability: Disposable})
	err := d.Write(t.Context(), func(tx *Tx) error {
		for i := range 600 {
			if _, err := tx.Exec(fmt.Sprintf("INSERT INTO x (n, s) VALUES (%d, ?)", i), "v"); err != nil {
				return err
			}
			if err := put(tx, 1000+i, "w"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || count(t, d) != 1200 || len(d.statements) > 256 {
		t.Errorf("%v, %d rows, %d statements kept", err, count(t, d), len(d.statements))
	}
}

// TestPagesHaveTheMeasuredSize reads the size where the file format keeps it: bytes 16 and 17 (sqlite.org/fileformat2.html, 1.3.2).
func TestPagesHaveTheMeasuredSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := open(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := binary.BigEndian.Uint16(b[16:]); got != pageSize {
		t.Errorf("pages of %d bytes, want %d", got, pageSize)
	}
}

// TestEveryBitOfTheHeaderThatMattersIsDamageOrHarmless flips the bits of the file's first hundred bytes (sqlite.org/fileformat2.html, 1.3).
func TestEveryBitOfTheHeaderThatMattersIsDamageOrHarmless(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := open(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 800 {
		if bit%8 != 1 && testing.Short() {
			continue
		}
		flipped := bytes.Clone(sound)
		flipped[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(t.Context(), path, Options{Durability: Durable, Migrations: Main()})
		if err != nil && guia.KindOf(err) == 0 {
			t.Errorf("byte %d bit %d: %v has no kind", bit/8, bit%8, err)
		}
		if err == nil {
			if _, err := d.Integrity(t.Context()); err != nil && guia.KindOf(Explain(err)) == 0 {
				t.Errorf("byte %d bit %d: %v has no kind", bit/8, bit%8, err)
			}
			if err := d.Close(); err != nil && guia.KindOf(Explain(err)) == 0 {
				t.Errorf("byte %d bit %d: close: %v has no kind", bit/8, bit%8, err)
			}
		}
		for _, end := range []string{"-wal", "-shm"} {
			if err := os.Remove(path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}
