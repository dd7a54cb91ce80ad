// Package db opens databases, migrates them and runs transactions. It is the only importer of database drivers and the home of
// every table definition (migrations/ for the main database, keys/ for the key database).
//
// The model: a [DB] is one SQLite file with one writing connection and a few reading ones (WAL). [DB.Write] is a transaction;
// what it returns nil for is durable when the database was opened with [Durable], and gone as a whole otherwise. Readers see a
// committed state and never wait for the writer.
//
// The write-ahead log is copied back into the file by a connection of its own, in the background, so that the writer does not stop for
// it: a little at a time, or, when the log is lasting, as late as possible, for a page that was written a hundred times is copied once
// and a burst of writes has the disk to itself. When the log is full it begins anew and its file is overwritten, not truncated: a sync
// that need not make the file longer takes half the time (measured, 64 KiB: 0.13 ms instead of 0.3). For that the file of a lasting log
// stays when the database is closed, emptied but as long as it was.
//
// Not guaranteed: a drive that lies about its cache. docs/guarantees.md says what was tested.
package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite" // the driver; registers itself as "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	"modernc.org/sqlite/vfs"

	"guia"
	"guia/durable"
)

// Durability says what a commit promises.
type Durability uint8

const (
	// Durable commits are on the disk when they return (synchronous=FULL: NORMAL was seen losing acknowledged rows).
	Durable Durability = iota + 1
	// Disposable commits survive a killed process, not a power cut. For followers, which are rebuilt from the ledger.
	Disposable
	// testOnlyNormal is the negative control of the power-cut test: it must be seen losing rows.
	testOnlyNormal
)

// TestOnlyNormal opens with synchronous=NORMAL: the negative control of the power-cut test, which must be seen to lose rows.
const TestOnlyNormal = testOnlyNormal

// Options say how a database is opened.
type Options struct {
	Durability Durability
	// Forgetful overwrites deleted content with zeros (secure_delete) so that forgotten keys and terms do not stay in free pages.
	// They leave the log only with [DB.Scrub].
	Forgetful bool
	// Migrations are files NNNN_owner_what.sql applied in order, each in its own transaction. Nil for a follower, which uses Schema.
	Migrations fs.FS
	// Readers is how many reading connections there are, 4 when zero.
	Readers int
	// Existing says that the file was made before: one that is missing or empty is damage (kind damaged), and none is made in its place.
	Existing bool
	// Lasting keeps the file of the log when the database is closed, emptied but as long as it was; see [DB.Reserve]. Only one process at
	// a time may have such a database open.
	Lasting bool
}

const pageSize = 16384 // measured: rows of 1 KiB take 1,094 bytes instead of 1,369 with 4 KiB pages

var (
	walSoft int64 = 1 << 20   // the log is copied back in the background each time it has grown by this
	walLazy int64 = 72 << 20  // a lasting log is left alone until it has grown by this, or nobody has written for walIdle
	walFull int64 = 80 << 20  // at this size it is begun anew as soon as no reader needs it
	walHard int64 = 160 << 20 // at this size readers are waited for
	walIdle       = time.Second
)

// TestOnlyLog makes the log small, so that a short test sees it copied back and begun anew. It is called before the first [Open].
func TestOnlyLog(soft, hard int64) {
	walSoft, walLazy, walFull, walHard = soft, hard/2-soft, hard/2, hard
}

// DB is an open database. Methods may be called by many goroutines; writes queue.
type DB struct {
	path    string
	writes  *sql.DB
	conn    *sql.Conn // the only writing connection
	reads   *sql.DB
	copier  *sql.DB // copies the log back; its own connection, so that nobody waits for it
	lasting bool    // see Options
	medium  *vfs.FS // what a file is read through that cannot be written; nil otherwise

	mu         sync.Mutex // held by the running write transaction; guards statements and what is known of the log
	statements map[string]*sql.Stmt
	changes    map[string]string // by statement: the table it changes
	migrations fs.FS
	firstCopy  int64  // the size of a log that was begun anew at which the copier is woken
	patience   int64  // the size of the log at which the writer copies it back itself
	nextCopy   int64  // the size of the log at which the copier is woken
	logSize    int64  // as last seen
	packed     []byte // see [Tx.InsertPacked]

	// copying is held while the log is copied back, and taken under mu, never the other way round: SQLite does not wait for another
	// copy, it gives up.
	copying sync.Mutex

	wake   chan struct{}
	done   chan struct{}
	closed sync.Once
}

// Open opens or creates the database file at path and brings it to the newest version. A file from a newer version of the program
// is refused untouched (kind blocked).
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	d := &DB{path: path, statements: map[string]*sql.Stmt{}, changes: map[string]string{}, migrations: o.Migrations, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if err := d.open(ctx, o); err != nil {
		if err = explain(err); guia.KindOf(err) == 0 && code(err) == sqlite3.SQLITE_ERROR {
			err = guia.RefuseCause(guia.Damaged, err, "db.corrupt") // opening asks nothing that a sound file cannot answer
		}
		return nil, errors.Join(fmt.Errorf("open %s: %w", filepath.Base(path), err), d.Close())
	}
	d.firstCopy = walSoft
	if d.lasting {
		d.firstCopy = max(walSoft, walLazy)
	}
	d.patience, d.nextCopy = walHard, d.firstCopy
	go d.copyBack()
	return d, nil
}

func (d *DB) open(ctx context.Context, o Options) error {
	synchronous := map[Durability]string{Durable: "FULL", Disposable: "OFF", testOnlyNormal: "NORMAL"}[o.Durability]
	secure := "OFF"
	if o.Forgetful {
		secure = "ON"
	}
	cache := 1024 // KiB
	if o.Lasting {
		cache = 4096 // the one that is written most
	}
	// The log is never checkpointed by the writer on its own.
	common := []string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")",
		"wal_autocheckpoint(0)", "secure_delete(" + secure + ")", "foreign_keys(ON)", "temp_store(MEMORY)", "cache_size(-" + strconv.Itoa(cache) + ")",
		// When the log begins anew its file shrinks to what it has when no reader kept it.
		"journal_size_limit(" + strconv.FormatInt(walFull+walSoft, 10) + ")",
	}
	size, err := d.touch(o.Existing)
	if err != nil {
		return err
	}
	if size == 0 {
		if err := setPageSize(ctx, d.path); err != nil {
			return err
		}
	}
	if d.writes, err = openSQLite(dsn(d.path, "immediate", nil)); err != nil {
		return err
	}
	d.writes.SetMaxOpenConns(1)
	if d.conn, err = d.writes.Conn(ctx); err != nil {
		return err
	}
	// A log that is there stays, also when the file cannot be opened; one that is not is left behind only when it can.
	if _, missing := os.Lstat(d.path + "-wal"); o.Lasting && missing == nil {
		if err := d.conn.Raw(keepLog); err != nil {
			return err
		}
	}
	for _, pragma := range common {
		if _, err := d.conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	if err := d.migrate(ctx, o.Migrations); err != nil {
		return err
	}
	if d.lasting = o.Lasting; d.lasting {
		if err := d.conn.Raw(keepLog); err != nil {
			return err
		}
	}
	readers := []string{"busy_timeout(10000)", "query_only(ON)", "temp_store(MEMORY)", "cache_size(-512)"}
	if d.reads, err = openSQLite(dsn(d.path, "deferred", readers)); err != nil {
		return err
	}
	n := o.Readers
	if n == 0 {
		n = 4
	}
	d.reads.SetMaxOpenConns(n)
	d.reads.SetMaxIdleConns(n)
	if d.copier, err = openSQLite(dsn(d.path, "deferred", []string{"busy_timeout(10000)", "synchronous(" + synchronous + ")", "wal_autocheckpoint(0)", "secure_delete(" + secure + ")", "cache_size(1)"})); err != nil {
		return err
	}
	d.copier.SetMaxOpenConns(1)
	return nil
}

// touch makes the file where it may be new, and returns its size. SQLite would make it readable to others; its log takes the file's
// permissions.
func (d *DB) touch(existing bool) (size int64, err error) {
	flags := os.O_RDWR
	if !existing {
		flags |= os.O_CREATE
	}
	file, err := os.OpenFile(d.path, flags, 0o600)
	switch {
	case existing && errors.Is(err, fs.ErrNotExist):
		return 0, guia.RefuseCause(guia.Damaged, err, "db.missing", filepath.Base(d.path))
	case durable.IsFull(err):
		return 0, guia.RefuseCause(guia.Blocked, err, "db.full")
	case err != nil:
		return 0, guia.RefuseCause(guia.Blocked, err, "db.unwritable")
	}
	info, err := file.Stat()
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	if existing && info.Size() == 0 {
		return 0, guia.Refuse(guia.Damaged, "db.empty", filepath.Base(d.path))
	}
	return info.Size(), nil
}

// setPageSize gives a new file its page size. It has to be said before the journal mode, and the driver sorts the pragmas of a
// connection string by their names.
func setPageSize(ctx context.Context, path string) error {
	fresh, err := openSQLite(dsn(path, "deferred", nil))
	if err != nil {
		return err
	}
	fresh.SetMaxOpenConns(1)
	for _, pragma := range []string{"PRAGMA page_size = " + strconv.Itoa(pageSize), "PRAGMA journal_mode = WAL"} {
		if _, err = fresh.ExecContext(ctx, pragma); err != nil {
			break
		}
	}
	return errors.Join(err, fresh.Close())
}

func dsn(path, lock string, pragmas []string) string {
	v := url.Values{"_pragma": pragmas, "_txlock": {lock}}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
}

// Close waits for the running write, for the copier and for readers (at most ten seconds), copies the log back and closes the file.
// Nothing of this process touches the files afterwards: the last connection to be closed removes the log, by its name (unless it is
// lasting), and by then another process may have begun its own. Closing twice does nothing.
func (d *DB) Close() error {
	var err error
	d.closed.Do(func() {
		close(d.done)
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, s := range d.statements {
			s.Close()
		}
		d.statements = nil
		for _, p := range []*sql.DB{d.reads, d.copier} {
			if p != nil {
				err = errors.Join(err, p.Close(), settle(p))
			}
		}
		if d.conn != nil {
			if d.lasting && err == nil {
				_ = d.emptyLog() // otherwise it is read when the database is opened again, as after a crash
			}
			err = errors.Join(err, d.conn.Close())
		}
		if d.writes != nil { // the last: SQLite copies the log back then
			err = errors.Join(err, d.writes.Close(), settle(d.writes))
		}
		if d.medium != nil {
			err = errors.Join(err, d.medium.Close())
		}
	})
	return err
}

// settle waits until the connections of a closed pool are closed: those in use are when their users are done.
func settle(p *sql.DB) error {
	for range 1000 {
		if p.Stats().OpenConnections == 0 {
			return nil
		}
		<-time.After(10 * time.Millisecond)
	}
	return errors.New("a reader did not finish in time")
}

// Path is where the file is.
func (d *DB) Path() string { return d.path }

// Query runs a reading query on a reading connection. It sees what was committed before the call.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := d.reads.QueryContext(ctx, query, args...)
	return rows, explain(err)
}

// QueryRow is [DB.Query] for one row.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return d.reads.QueryRowContext(ctx, query, args...)
}

// Snapshot runs fn with a reading transaction: all its queries see the same committed state.
func (d *DB) Snapshot(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := d.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback()
	return fn(tx)
}

// Tx is the running write transaction. It is used by one goroutine, within the function it was given to.
type Tx struct {
	d *DB
	// lost is why SQLite undid the whole transaction on its own. From then on each statement would be a transaction by itself, so
	// none runs any more.
	lost    error
	changed map[string]bool // tables, see [Tx.Changed]
}

// Write runs fn in a transaction and commits it. When fn or the commit returns an error nothing of it is stored, with one
// exception: [ErrUnclear], when the commit itself broke off and only a restart can tell. A full disk is not such a case. Writes run
// one after the other.
func (d *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.statements == nil {
		return errClosed
	}
	// The transaction does not stop half-way because a caller lost interest: between BEGIN and COMMIT the context is not asked.
	if err := ctx.Err(); err != nil {
		return err
	}
	plain := context.WithoutCancel(ctx)
	if _, err := d.conn.ExecContext(plain, "BEGIN IMMEDIATE"); err != nil {
		return explain(err)
	}
	tx := &Tx{d: d, changed: map[string]bool{}}
	err := fn(tx)
	if err == nil {
		err = tx.lost // fn may have let it pass
	}
	if err != nil {
		if undone := d.undo(plain); undone != nil {
			return errors.Join(err, undone)
		}
		return err
	}
	if _, err := d.conn.ExecContext(plain, "COMMIT"); err != nil {
		if undone := d.undo(plain); undone != nil || !isClear(err) {
			return errors.Join(fmt.Errorf("%w: %w", ErrUnclear, explain(err)), undone)
		}
		return explain(err)
	}
	d.tend()
	return nil
}

// undo takes the transaction back; SQLite may have done so already.
func (d *DB) undo(ctx context.Context) error {
	_, err := d.conn.ExecContext(ctx, "ROLLBACK")
	if err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		return fmt.Errorf("undo: %w", err)
	}
	return nil
}

// isClear reports whether a commit that failed like this has certainly not happened. A full disk is told by the write of a page,
// before the mark that makes the pages count; a failed sync, which may come after it, is told as an error of input or output.
func isClear(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_BUSY:
		return true
	}
	return false
}

var errClosed = errors.New("database is closed")

// ErrUnclear says that a commit broke off and it is not known whether its content is stored. The writer must stop; opening the
// directory again finds out.
var ErrUnclear = errors.New("commit broke off")

// Exec runs one statement. Its plan is kept for the next call with the same text.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	s, err := tx.prepare(query) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return nil, err
	}
	tx.note(query)
	r, err := s.ExecContext(context.Background(), args...)
	return r, tx.explain(err)
}

// Query runs a query inside the transaction; the rows must be closed before the next statement.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := tx.prepare(query) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	return rows, tx.explain(err)
}

// QueryRow is [Tx.Query] for one row, scanned into dest. It returns sql.ErrNoRows when there is none.
func (tx *Tx) QueryRow(query string, args []any, dest ...any) error {
	s, err := tx.prepare(query) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return err
	}
	return tx.explain(s.QueryRowContext(context.Background(), args...).Scan(dest...))
}

// Nest runs fn so that an error undoes what fn wrote and nothing else. After a full disk or an error of the disk inside fn nothing
// can be undone apart: the whole transaction is lost, and [DB.Write] returns why.
func (tx *Tx) Nest(fn func() error) error {
	if _, err := tx.Exec("SAVEPOINT nest"); err != nil {
		return err
	}
	err := fn()
	if tx.lost != nil {
		return errors.Join(err, tx.lost)
	}
	if err != nil {
		if _, undone := tx.Exec("ROLLBACK TO nest"); undone != nil {
			tx.lost = cmp.Or(tx.lost, undone) // the savepoint is gone, and the transaction with it
			return errors.Join(err, undone)
		}
	}
	if _, released := tx.Exec("RELEASE nest"); released != nil {
		tx.lost = cmp.Or(tx.lost, released)
		return errors.Join(err, released)
	}
	return err
}

// explain is explain for what happened inside the transaction. After these errors SQLite may have undone all of it
// (sqlite.org/lang_transaction.html, "Response to errors within a transaction").
func (tx *Tx) explain(err error) error {
	err = explain(err)
	switch code(err) {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_ABORT:
		tx.lost = cmp.Or(tx.lost, err)
	}
	return err
}

func (tx *Tx) prepare(query string) (*sql.Stmt, error) {
	if tx.lost != nil {
		return nil, tx.lost
	}
	if s := tx.d.statements[query]; s != nil {
		return s, nil
	}
	s, err := tx.d.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, tx.explain(err)
	}
	if len(tx.d.statements) >= 256 {
		for q, old := range tx.d.statements {
			old.Close()
			delete(tx.d.statements, q)
		}
	}
	tx.d.statements[query] = s
	return s, nil
}

// tend wakes the copier each time the log has grown by walSoft. A reader that keeps the log from beginning anew is waited for when it
// has grown by walHard (ten seconds), and then again when it has grown by as much. The caller holds mu.
func (d *DB) tend() {
	size, err := d.logged()
	if err != nil {
		return
	}
	if size < d.logSize { // it has begun anew
		d.nextCopy, d.patience = d.firstCopy, walHard
	}
	d.logSize = size
	switch {
	case size >= d.patience:
		d.patience = size + walHard
		_ = d.checkpoint(context.Background(), "RESTART") // where it fails the log grows, and patience says when it is tried again
	case size >= d.nextCopy:
		d.nextCopy = size + walSoft
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// logged is how much of the log is in use, in bytes: the file itself stays large when the log begins anew. The caller holds mu.
func (d *DB) logged() (int64, error) {
	var busy, pages, copied int64
	err := (&Tx{d: d}).QueryRow("PRAGMA wal_checkpoint(NOOP)", nil, &busy, &pages, &copied)
	return pages * (pageSize + 24), err
}

// copyBack moves pages from the log into the file while the writer goes on. When the log is full, and when nobody has written for a
// moment, it does so until little is left, copies that while the writer waits, and the next transaction begins the log anew: unless a
// reader still needs it.
func (d *DB) copyBack() {
	idle := time.NewTicker(walIdle)
	defer idle.Stop()
	var seen, copied int64 // sizes of the log: at the last tick, and when all of it was copied
	for {
		select {
		case <-d.done:
			return
		case <-d.wake:
			d.copy()
			if d.used() >= walFull {
				d.copyAll()
			}
		case <-idle.C:
			if size := d.used(); size != seen {
				seen = size
			} else if size != copied {
				d.copyAll()
				copied = size
			}
		}
	}
}

// used is how much of the log was in use at the last commit.
func (d *DB) used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logSize
}

func (d *DB) copyAll() {
	d.copy()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.copy()
}

// copy copies back what no reader keeps from being copied (PASSIVE), and waits for nobody.
func (d *DB) copy() {
	d.copying.Lock()
	defer d.copying.Unlock()
	_, _ = d.copier.Exec("PRAGMA wal_checkpoint(PASSIVE)") // what it cannot copy the writer will, who says why not
}

// checkpoint copies the whole log back with the writing connection and waits for readers up to ten seconds. The caller holds mu.
func (d *DB) checkpoint(ctx context.Context, mode string) error {
	d.copying.Lock()
	defer d.copying.Unlock()
	var busy, pages, copied int
	if err := d.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &pages, &copied); err != nil {
		return explain(err)
	}
	if busy != 0 {
		return errors.New("a reader did not finish in time")
	}
	return nil
}

// Scrub copies the log back, truncates it and, when compact is set, rebuilds the file: what was deleted before is then in neither
// (with Forgetful). Rebuilding needs free space for two copies of the file. It waits for readers up to ten seconds.
func (d *DB) Scrub(ctx context.Context, compact bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.statements == nil {
		return errClosed
	}
	if compact {
		if err := d.compact(ctx); err != nil {
			return fmt.Errorf("compact %s: %w", filepath.Base(d.path), explain(err))
		}
	}
	if err := d.checkpoint(ctx, "TRUNCATE"); err != nil {
		return fmt.Errorf("truncate the log of %s: %w", filepath.Base(d.path), err)
	}
	if d.lasting {
		return d.reserve()
	}
	return nil
}

// CopyTo writes a consistent copy of the database to a new file, compacted, without free pages. It sees the last committed state.
// The copy has a connection of its own: reading connections refuse everything that writes, also elsewhere.
func (d *DB) CopyTo(ctx context.Context, path string) (err error) {
	copying, err := openSQLite(dsn(d.path, "deferred", []string{"busy_timeout(10000)", "synchronous(FULL)", "wal_autocheckpoint(0)", "cache_size(-16384)"}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copying.Close()) }()
	_, err = copying.ExecContext(ctx, "VACUUM INTO ?", path)
	return explain(err)
}

// Integrity runs SQLite's own structural check, compares the definitions of the tables with those this program makes, and returns what
// it finds, empty when it finds nothing. A file too damaged to be looked at is a finding too.
func (d *DB) Integrity(ctx context.Context) ([]string, error) {
	found, err := d.structure(ctx)
	if err == nil {
		var definitions []string
		definitions, err = d.checkSchema(ctx, d.migrations)
		found = append(found, definitions...)
	}
	if guia.KindOf(err) == guia.Damaged {
		return append(found, err.Error()), nil
	}
	return found, err
}

func (d *DB) structure(ctx context.Context) ([]string, error) {
	rows, err := d.Query(ctx, "PRAGMA integrity_check(20)")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return found, explain(err)
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	return found, explain(rows.Err())
}

// migrate applies the files of the migrations that the database has not seen, in order, each with its mark in one transaction.
func (d *DB) migrate(ctx context.Context, files fs.FS) error {
	if files == nil {
		return nil
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return err
	}
	sort.Strings(names)
	if _, err := d.conn.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS db_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied TEXT NOT NULL)`); err != nil {
		return err
	}
	var have int
	if err := d.conn.QueryRowContext(ctx, "SELECT COALESCE(MAX(number), 0) FROM db_version").Scan(&have); err != nil {
		return err
	}
	if have > len(names) {
		return guia.Refuse(guia.Blocked, "db.newer", have, len(names))
	}
	for i, name := range names[have:] {
		number := have + i + 1
		if !strings.HasPrefix(name, fmt.Sprintf("%04d_", number)) {
			return fmt.Errorf("migration %s is not number %d", name, number)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		err = d.Write(ctx, func(tx *Tx) error {
			if _, err := d.conn.ExecContext(ctx, string(text)); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO db_version (number, name, applied) VALUES (?, ?, ?)", number, name, time.Now().UTC().Format(time.RFC3339))
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}

// explain turns the driver's errors into refusals where a person can do something about them.
func explain(err error) error {
	if guia.KindOf(err) != 0 {
		return err
	}
	if extended(err) == sqlite3.SQLITE_IOERR_SHMSIZE { // no room for the index of the log
		return guia.RefuseCause(guia.Blocked, err, "db.full")
	}
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		return guia.RefuseCause(guia.Blocked, err, "db.full")
	case sqlite3.SQLITE_ERROR: // the program asks for what its own migrations made
		for _, told := range []string{"no such ", "already exists", "malformed", "unsupported file format", "unsupported encoding"} {
			if strings.Contains(err.Error(), told) {
				return guia.RefuseCause(guia.Damaged, err, "db.corrupt")
			}
		}
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return guia.RefuseCause(guia.Damaged, err, "db.corrupt")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return guia.RefuseCause(guia.Blocked, err, "db.unwritable")
	case sqlite3.SQLITE_IOERR:
		return guia.RefuseCause(guia.Blocked, err, "db.io")
	}
	return err
}

// code is the driver's primary result code, 0 when the error is not the driver's.
func code(err error) int { return extended(err) & 0xff }

// extended is the driver's result code with what it says in particular.
func extended(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
