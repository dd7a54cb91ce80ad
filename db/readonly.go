package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// OpenReadOnly opens a file that nobody writes to, such as the copy in a backup, without leaving a trace beside it: not even the
// medium has to be writable. Everything that only reads works; [DB.Write] is refused. It must not be used on a database that is open
// elsewhere: what stands in its log is not seen.
func OpenReadOnly(ctx context.Context, path string) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	d := &DB{path: path, wake: make(chan struct{}, 1), done: make(chan struct{})}
	var err error
	v := url.Values{"_pragma": {"query_only(ON)", "temp_store(MEMORY)", "cache_size(-16384)"}, "mode": {"ro"}, "immutable": {"1"}}
	if d.reads, err = sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+v.Encode()); err != nil {
		return nil, err
	}
	d.reads.SetMaxOpenConns(4)
	if err := d.reads.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", filepath.Base(path), explain(err)), d.Close())
	}
	return d, nil
}
