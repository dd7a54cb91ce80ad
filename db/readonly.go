package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite/vfs"

	"guia"
)

// OpenReadOnly opens a file that nobody writes to, such as the copy in a backup or a directory on a write-protected disk, and leaves no
// trace beside it: it goes through a file system that cannot write. What a killed process left in the log is read too, through an
// index of the log in memory; neither is touched. Everything that only reads works; [DB.Write] is refused. It must not be used on a
// database that is open elsewhere.
//
// The migrations, when not nil, are those of a database of the newest version: a file of an older version is refused (kind blocked),
// for it cannot be brought up to date here. A file that is missing or empty is damage.
func OpenReadOnly(ctx context.Context, path string, migrations fs.FS) (*DB, error) {
	d := &DB{path: path, migrations: migrations, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if err := d.openReadOnly(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", filepath.Base(path), explain(err)), d.Close())
	}
	return d, nil
}

func (d *DB) openReadOnly(ctx context.Context) error {
	name := filepath.Base(d.path)
	switch info, err := os.Stat(d.path); {
	case errors.Is(err, fs.ErrNotExist):
		return guia.RefuseCause(guia.Damaged, err, "db.missing", name)
	case err != nil:
		return guia.RefuseCause(guia.Blocked, err, "db.unreadable", name)
	case info.Size() == 0:
		return guia.Refuse(guia.Damaged, "db.empty", name)
	}
	system, medium, err := vfs.New(os.DirFS(filepath.Dir(d.path)))
	if err != nil {
		return err
	}
	d.medium = medium
	v := url.Values{"vfs": {system}, "mode": {"ro"}}
	// With a log, only a connection that has the file to itself keeps the index of the log in memory. It must say so before it first looks,
	// and the driver sorts pragmas by their names: none that looks (cache_size does) may stand before. Without a log there is none to miss.
	if _, err := os.Stat(d.path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		v.Set("immutable", "1")
	} else {
		v["_pragma"] = []string{"locking_mode(EXCLUSIVE)"}
	}
	v["_pragma"] = append(v["_pragma"], "query_only(ON)", "temp_store(MEMORY)")
	if d.reads, err = openSQLite("file:" + (&url.URL{Path: name}).EscapedPath() + "?" + v.Encode()); err != nil {
		return err
	}
	d.reads.SetMaxOpenConns(4)
	d.reads.SetMaxIdleConns(4)
	var tables int
	if err := d.reads.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	return d.demandVersion(ctx)
}

// demandVersion refuses a file that is not of the version that the migrations make.
func (d *DB) demandVersion(ctx context.Context) error {
	if d.migrations == nil {
		return nil
	}
	names, err := fs.Glob(d.migrations, "*.sql")
	if err != nil {
		return err
	}
	var have int
	if err := d.reads.QueryRowContext(ctx, "SELECT COALESCE(MAX(number), 0) FROM db_version").Scan(&have); err != nil {
		return err
	}
	switch {
	case have > len(names):
		return guia.Refuse(guia.Blocked, "db.newer", have, len(names))
	case have < len(names):
		return guia.Refuse(guia.Blocked, "db.older", have, len(names))
	}
	return nil
}
