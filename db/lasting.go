package db

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"modernc.org/sqlite"

	"guia/durable"
)

// walHeader is the length of what stands before the pages in the log (sqlite.org/fileformat2.html, "WAL File Format"). Without it
// nothing behind it counts.
const walHeader = 32

// keepLog has a connection leave the log's file when it is the last to be closed.
func keepLog(conn any) error {
	control, ok := conn.(sqlite.FileControl)
	if !ok {
		return errors.New("the driver has no file control")
	}
	_, err := control.FileControlPersistWAL("main", 1)
	return err
}

// Reserve makes the file of a lasting log as long as it becomes in use, so that no commit waits for the file to grow. On a disk
// without room for that it stays shorter: it grows when it must. It is a matter of speed alone.
func (d *DB) Reserve() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.statements == nil {
		return errClosed
	}
	return d.reserve()
}

// reserve writes zeros behind what is in the file. Nobody else writes there meanwhile: the caller holds mu. A hole would not do: a
// sync would have to find room for it.
func (d *DB) reserve() error {
	file, err := os.OpenFile(d.path+"-wal", os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was written since it was opened
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := info.Size(); at < walFull+walSoft; at += int64(len(zeros)) {
		if _, err := file.WriteAt(zeros[:min(int64(len(zeros)), walFull+walSoft-at)], at); err != nil {
			if durable.IsFull(err) {
				return errors.Join(file.Truncate(info.Size()), file.Sync())
			}
			return err
		}
	}
	return file.Sync()
}

// emptyLog copies the whole log back, durably, and then makes it count for nothing without making its file shorter. What a power cut
// leaves of the second step is either the log as it was, whose pages are in the file already, or none. The caller holds mu, and there are
// no readers left; the transaction keeps out any other writer, and the log stays when one was there in between, who must not.
func (d *DB) emptyLog() error {
	before, err := d.others()
	if err != nil {
		return err
	}
	if err := d.checkpoint(context.Background(), "RESTART"); err != nil {
		return err
	}
	for _, query := range []string{
		"PRAGMA journal_size_limit = -1", // SQLite cuts the file off otherwise when it is closed
		"BEGIN IMMEDIATE",
	} {
		if _, err := d.conn.ExecContext(context.Background(), query); err != nil {
			return err
		}
	}
	after, err := d.others()
	if err == nil && after == before {
		err = d.overwriteHeader()
	}
	return errors.Join(err, d.undo(context.Background()))
}

// others is a number that changes when another connection has written.
func (d *DB) others() (n int64, err error) {
	err = d.conn.QueryRowContext(context.Background(), "PRAGMA data_version").Scan(&n)
	return n, err
}

func (d *DB) overwriteHeader() error {
	file, err := os.OpenFile(d.path+"-wal", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(make([]byte, walHeader), 0)
	return errors.Join(err, file.Close())
}
