// Package directory opens everything that one company keeps as one thing: the data directory.
//
//	VERSION             what this is, in words, and the format's number
//	guia.db             the main database: ledger, rows, users, cases, cursors
//	keys.db, epoch.key  the keys (package seal); the epoch key is in no backup
//	blobs/              encrypted attachments
//	followers/          search index and directory of people: can be deleted at any time
//	lock, guia.sock     who has the directory open, and where to talk to them
//
// One process at a time has it open. A directory from a newer version of the program is refused untouched.
package directory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"guia"
	"guia/blob"
	"guia/classify"
	"guia/db"
	"guia/durable"
	"guia/intake"
	"guia/ledger"
	"guia/permit"
	"guia/seal"
	"guia/vault"
)

// Format is the number of the directory's format that this program writes.
const Format = 1

const versionPrefix = "Guia data directory, format "

// TestOnlyDurability is how the main database is opened. Tests set it to something weaker, to see that they would notice.
var TestOnlyDurability = db.Durable

// Directory is an open data directory.
type Directory struct {
	Path   string
	Main   *db.DB
	Keys   *seal.Keeper
	Blobs  *blob.Dir
	Vault  *vault.Vault
	Ledger *ledger.Ledger
	Intake *intake.Desk
	Viewed bool // it was opened by [View]: nothing can be recorded

	unlock func() error
	still  sync.Mutex // held while keys are destroyed and while a backup copies them
}

// ErrHeld says that another process has the directory open. Its socket is [Socket].
var ErrHeld = errors.New("directory is open in another process")

// Socket is where the process that holds the directory listens.
func Socket(path string) string { return filepath.Join(path, "guia.sock") }

// Followers is where followers keep their files.
func (d *Directory) Followers() string { return filepath.Join(d.Path, "followers") }

// Create makes a new data directory at path, which must not exist or be empty, with one first user who has the given roles
// everywhere. What happened in it from then on is in its ledger. It is durable on return, and open.
func Create(ctx context.Context, path string, first permit.User) (*Directory, error) {
	if err := checkFree(path); err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(path, 0o700); err != nil {
		return nil, guia.RefuseCause(guia.Blocked, err, "directory.unwritable", path)
	}
	d := &Directory{Path: path}
	if err := d.lock(); err != nil { // another process may be creating it
		return nil, err
	}
	if err := d.clearUnfinished(); err != nil {
		return nil, errors.Join(err, d.Close(ctx))
	}
	if err := d.create(ctx, first); err != nil {
		return nil, errors.Join(fmt.Errorf("create directory: %w", err), d.Close(ctx))
	}
	return d, nil
}

// unfinished stands in a directory whose creation did not end.
const unfinished = "UNFINISHED"

// checkFree demands that path is free: it is not there, or empty, or holds what an earlier attempt left that was interrupted before
// anybody was told that there is a directory.
func checkFree(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unreadable", path)
	}
	if _, err := os.Stat(filepath.Join(path, "VERSION")); err == nil {
		return guia.Refuse(guia.Conflict, "directory.exists", path)
	}
	if isHeadless(path) {
		return guia.Refuse(guia.Damaged, "directory.version_missing", path, versionText(Format))
	}
	_, err = os.Stat(filepath.Join(path, unfinished))
	for _, e := range entries {
		if err != nil && !durable.IsTemp(e.Name()) && !isLock(e) { // these two are of an attempt that did not get to its mark
			return guia.Refuse(guia.Conflict, "directory.not_empty", path)
		}
	}
	return nil
}

// isLock reports whether a file looks like our lock: at most the number of a process is in it.
func isLock(e os.DirEntry) bool {
	info, err := e.Info()
	return err == nil && e.Name() == lockName && info.Mode().IsRegular() && info.Size() <= 24
}

// clearUnfinished removes what an interrupted attempt left, and leaves the mark. The caller holds the lock: nobody else is at work here.
func (d *Directory) clearUnfinished() error {
	path := d.Path
	if err := checkFree(path); err != nil { // somebody was faster
		return err
	}
	if err := durable.WriteFile(filepath.Join(path, unfinished), nil, 0o600); err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unreadable", path)
	}
	for _, e := range entries {
		if e.Name() == unfinished || e.Name() == lockName {
			continue // the mark and the lock stay while we work
		}
		if err := os.RemoveAll(filepath.Join(path, e.Name())); err != nil {
			return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", path)
		}
	}
	return nil
}

func (d *Directory) create(ctx context.Context, first permit.User) (err error) {
	if d.Keys, err = seal.Create(ctx, d.Path); err != nil {
		return err
	}
	if err := d.openStores(ctx, false); err != nil {
		return err
	}
	if d.Ledger, err = ledger.Create(ctx, d.Main, d.Keys, d.Vault); err != nil {
		return err
	}
	if err := d.recordFirst(ctx, first); err != nil {
		return err
	}
	d.Intake = intake.Open(d.Ledger, &classify.Rulebook{})
	if _, err := d.Ledger.Checkpoint(ctx); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(d.Path, "VERSION"), []byte(versionText(Format)), 0o600); err != nil {
		return err
	}
	return durable.Remove(filepath.Join(d.Path, unfinished))
}

// recordFirst makes the first user and the first events, in one transaction: nobody exists yet who could be asked for permission.
func (d *Directory) recordFirst(ctx context.Context, first permit.User) error {
	return d.Ledger.Begin(ctx, guia.Actor{User: first.ID, Login: first.Login, Via: "os-login"}, func(tx *ledger.Tx) error {
		if err := permit.AddUser(tx.Tx, first.ID, first.Login, first.OSLogin); err != nil {
			return err
		}
		var f guia.Fields
		f.Set("version", strconv.Itoa(Format))
		if _, err := tx.Record(guia.LedgerCreated, f); err != nil {
			return err
		}
		f = nil
		f.Set("user", first.ID.String())
		f.Set("name", first.Login)
		if _, err := tx.Record(guia.UserAdded, f); err != nil {
			return err
		}
		for _, g := range first.Grants {
			if err := permit.AddGrant(tx.Tx, first.ID, g); err != nil {
				return err
			}
			f = nil
			f.Set("user", first.ID.String())
			f.Set("role", string(g.Role))
			f.Set("scope", g.Scope)
			if _, err := tx.Record(guia.RoleGranted, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// Open opens an existing data directory. [ErrHeld] says that another process has it; a directory from a newer version and one that
// is none are refusals (blocked, not_found); damage is a refusal of kind damaged.
func Open(ctx context.Context, path string) (*Directory, error) {
	if err := checkVersion(path); err != nil {
		return nil, err
	}
	d := &Directory{Path: path}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(d.shortened(db.Explain(err)), d.Close(ctx))
	}
	return d, nil
}

// shortened says of damage that kept the directory from being opened that a database has lost its end, where that is so: SQLite then
// reads nothing at all of it. Its head tells the length of a page at byte 16 and the number of pages at byte 28 (sqlite.org/fileformat2).
func (d *Directory) shortened(err error) error {
	if guia.KindOf(err) != guia.Damaged {
		return err
	}
	for _, name := range []string{mainName, "keys.db"} {
		head, size, failed := beginning(filepath.Join(d.Path, name))
		if failed != nil || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
			continue
		}
		page := int64(binary.BigEndian.Uint16(head[16:]))
		if page == 1 {
			page = 65536
		}
		if told := page * int64(binary.BigEndian.Uint32(head[28:])); size < told {
			return guia.RefuseCause(guia.Damaged, err, "directory.shortened", name, size, told)
		}
	}
	return err
}

// beginning is the first 32 bytes of a file, and how many it has.
func beginning(path string) ([]byte, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	head := make([]byte, 32)
	if _, err := io.ReadFull(file, head); err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	return head, info.Size(), nil
}

func (d *Directory) open(ctx context.Context) (err error) {
	if err := d.lock(); err != nil {
		return err
	}
	if d.Keys, err = seal.Open(ctx, d.Path); err != nil {
		return err
	}
	if err := d.openStores(ctx, true); err != nil {
		return err
	}
	if d.Ledger, err = ledger.Open(ctx, d.Main, d.Keys, d.Vault); err != nil {
		return err
	}
	d.Intake = intake.Open(d.Ledger, &classify.Rulebook{})
	return d.finishForgetting(ctx, nil)
}

// View opens an existing data directory for looking at it as it is: damaged, on a full disk, or on one that is write-protected. Nothing
// in it is written or made, and nothing is finished that a crash interrupted: what only reads works ([Directory.Check], archive.Doctor),
// everything that records something is an error. Other viewers may look at the same time, nobody may open it. [ErrHeld] says that
// another process has it open; what keeps even a view from opening is a refusal.
func View(ctx context.Context, path string) (*Directory, error) {
	if err := checkVersion(path); err != nil {
		return nil, err
	}
	d := &Directory{Path: path, Viewed: true}
	if err := d.view(ctx); err != nil {
		return nil, errors.Join(d.shortened(db.Explain(err)), d.Close(ctx))
	}
	return d, nil
}

func (d *Directory) view(ctx context.Context) (err error) {
	unlock, held, err := durable.LockForReading(filepath.Join(d.Path, lockName))
	if held {
		return fmt.Errorf("%w: %w", ErrHeld, err)
	}
	d.unlock = unlock
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unreadable", d.Path)
	}
	if d.Keys, err = seal.View(ctx, d.Path); err != nil {
		return err
	}
	if d.Main, err = db.OpenReadOnly(ctx, d.mainPath(), db.Main()); err != nil {
		return err
	}
	d.Blobs = blob.ViewDir(d.blobPath())
	d.Vault = vault.Open(d.Keys, d.Blobs, d.Main)
	if d.Ledger, err = ledger.View(ctx, d.Main, d.Keys, d.Vault); err != nil {
		return err
	}
	d.Intake = intake.Open(d.Ledger, &classify.Rulebook{})
	return nil
}

func versionText(number int) string { return versionPrefix + strconv.Itoa(number) + "\n" }

func checkVersion(path string) error {
	text, err := os.ReadFile(filepath.Join(path, "VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		if isHeadless(path) {
			return guia.RefuseCause(guia.Damaged, err, "directory.version_missing", path, versionText(Format))
		}
		return guia.Refuse(guia.NotFound, "directory.missing", path)
	}
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unreadable", path)
	}
	number, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(string(text), versionPrefix), "\n"))
	if err != nil || number < 1 || string(text) != versionText(number) {
		return guia.RefuseCause(guia.Damaged, err, "directory.version_damaged", path)
	}
	if number > Format {
		return guia.Refuse(guia.Blocked, "directory.newer", path, number, Format)
	}
	return nil
}

// isHeadless reports whether path is a data directory that has lost its VERSION: its creation had ended, for the mark is gone.
func isHeadless(path string) bool {
	if _, err := os.Lstat(filepath.Join(path, unfinished)); err == nil {
		return false
	}
	for _, name := range []string{mainName, "keys.db", "epoch.key"} {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	return false
}

// mainName is the main database.
const mainName = "guia.db"

func (d *Directory) mainPath() string { return filepath.Join(d.Path, mainName) }
func (d *Directory) blobPath() string { return filepath.Join(d.Path, "blobs") }

// lockName is the file that stands for the lock; it is never removed.
const lockName = "lock"

func (d *Directory) lock() error {
	unlock, held, err := durable.Lock(filepath.Join(d.Path, lockName))
	if held {
		return fmt.Errorf("%w: %w", ErrHeld, err)
	}
	d.unlock = unlock
	if durable.IsFull(err) {
		return guia.RefuseCause(guia.Blocked, err, "db.full")
	}
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", d.Path)
	}
	return nil
}

func (d *Directory) openStores(ctx context.Context, existing bool) (err error) {
	if d.Main, err = db.Open(ctx, d.mainPath(), db.Options{Durability: TestOnlyDurability, Forgetful: true, Migrations: db.Main(), Existing: existing, Lasting: true}); err != nil {
		return err
	}
	if d.Blobs, err = blob.OpenDir(d.blobPath()); err != nil {
		return err
	}
	if err := durable.MkdirAll(d.Followers(), 0o700); err != nil {
		return err
	}
	d.Vault = vault.Open(d.Keys, d.Blobs, d.Main)
	return nil
}

// Close signs a last checkpoint and lets go of everything.
func (d *Directory) Close(ctx context.Context) error {
	var errs []error
	if d.Ledger != nil {
		errs = append(errs, d.Ledger.Close(context.WithoutCancel(ctx)))
	}
	if d.Main != nil {
		errs = append(errs, d.Main.Close())
	}
	if d.Keys != nil {
		errs = append(errs, d.Keys.Close())
	}
	if d.unlock != nil {
		errs = append(errs, d.unlock())
		d.unlock = nil
	}
	return errors.Join(errs...)
}
