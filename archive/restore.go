package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"guia"
	"guia/directory"
	"guia/durable"
	"guia/ledger"
	"guia/seal"
)

// Restore makes a directory at to, which must not exist, of a set or of the newest set of a place. identity is the recovery key (an
// age identity) that opens the set's escrow copy. When it returns nil the directory is complete and durable: every file had its
// digest, the manifest is the one that was written with these keys, every event, row and blob was checked, and backup.restored is
// recorded. Otherwise, and after a crash, there is nothing at to; what a crash leaves beside it is removed by the next call.
//
// A restored ledger ends where the set was made. Whether somebody holds a newer checkpoint is found by `guia anchor`.
func Restore(ctx context.Context, from, to string, identity io.Reader, progress func(done, of int64)) (Manifest, error) {
	set, err := resolve(from)
	if err != nil {
		return Manifest{}, err
	}
	if to, err = filepath.Abs(to); err != nil {
		return Manifest{}, err
	}
	if _, err := os.Lstat(to); err == nil {
		return Manifest{}, guia.Refuse(guia.Conflict, "archive.restore_exists", to)
	}
	m, err := readManifest(set)
	if err != nil {
		return m, err
	}
	if err := checkNames(m); err != nil {
		return m, err
	}
	if err := checkUnlisted(m); err != nil {
		return m, err
	}
	if err := verifyTree(ctx, m); err != nil {
		return m, err
	}
	r := &restore{m: m, to: to, work: filepath.Join(filepath.Dir(to), ".guia-restoring-"+filepath.Base(to)), tell: &meter{of: m.Bytes(), tell: progress}}
	if err := r.discard(); err != nil { // of a call that was killed
		return m, err
	}
	if err := r.run(ctx, identity); err != nil {
		return m, errors.Join(noRoom(err, to), r.discard())
	}
	return m, nil
}

// restore is a directory being made.
type restore struct {
	m        Manifest
	to, work string
	tell     *meter
}

func (r *restore) run(ctx context.Context, identity io.Reader) error {
	if err := durable.MkdirAll(r.work, 0o700); err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", filepath.Dir(r.to))
	}
	if err := r.openEscrow(identity); err != nil { // first: it may be the wrong key
		return err
	}
	for _, f := range r.m.Files {
		if f.Name == noteName || f.Name == growthName || strings.HasPrefix(f.Name, keyFolder+"/") {
			continue // they speak about the set
		}
		if err := r.copy(ctx, f); err != nil {
			return err
		}
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	return durable.Rename(r.work, r.to)
}

// openEscrow puts the epoch key into the directory.
func (r *restore) openEscrow(identity io.Reader) error {
	name := escrowName(r.m.Epoch)
	text, err := os.ReadFile(filepath.Join(r.m.Set, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return guia.RefuseCause(guia.Blocked, err, "archive.escrow_missing", r.m.Epoch)
	}
	if err != nil {
		return err
	}
	return seal.RestoreEpoch(r.work, bytes.NewReader(text), identity)
}

// copy copies a file and checks its digest on the way.
func (r *restore) copy(ctx context.Context, f File) error {
	from, err := os.Open(filepath.Join(r.m.Set, filepath.FromSlash(f.Name)))
	if errors.Is(err, fs.ErrNotExist) {
		return guia.RefuseCause(guia.Damaged, err, "archive.file_missing", f.Name)
	}
	if err != nil {
		return err
	}
	defer from.Close()
	path := filepath.Join(r.work, filepath.FromSlash(f.Name))
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	into, err := durable.Create(path)
	if err != nil {
		return err
	}
	h := sha256.New()
	size, err := copyTold(ctx, io.MultiWriter(h, into), from, r.tell)
	if err == nil && (size != f.Size || [sha256.Size]byte(h.Sum(nil)) != f.Digest) {
		err = guia.Refuse(guia.Damaged, "archive.file_differs", f.Name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("restore %s: %w", f.Name, err), into.Abort())
	}
	return into.Commit()
}

// check opens the directory, checks everything in it and records where it came from.
func (r *restore) check(ctx context.Context) (err error) {
	d, err := directory.Open(ctx, r.work)
	if refusal, ok := errors.AsType[*guia.Refusal](err); ok && refusal.Key == "seal.epoch_foreign" {
		return guia.RefuseCause(guia.Blocked, err, "archive.escrow_foreign", r.m.Epoch)
	}
	if err != nil {
		return fmt.Errorf("open what was restored: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	if d.Vault.MAC(manifestLabel, string(r.m.body())) != r.m.MAC {
		return guia.Refuse(guia.Damaged, "archive.manifest_forged")
	}
	report, err := d.Check(ctx, ledger.CheckOptions{})
	if err != nil {
		return fmt.Errorf("check what was restored: %w", err)
	}
	if n := len(report.Findings); n > 0 {
		return guia.Refuse(guia.Damaged, "archive.restore_damaged", n, report.Findings[0].Key)
	}
	note, err := os.ReadFile(filepath.Join(r.m.Set, noteName))
	if err != nil {
		return err
	}
	var f guia.Fields
	f.Set("act.outcome", "done")
	f.Set("digest", fmt.Sprintf("sha256:%x %d", r.m.Digest, len(r.m.text())))
	f.SetBytes("checkpoint", note)
	f.Set("count", fmt.Sprint(r.m.Size))
	return d.Ledger.Own(ctx, func(tx *ledger.Tx) error {
		_, err := tx.Record(guia.BackupRestored, f)
		return err
	})
}

// discard removes the unfinished directory. Its epoch key is overwritten first.
func (r *restore) discard() error {
	for _, name := range []string{"epoch.key", "epoch.key.next"} {
		if err := durable.Shred(filepath.Join(r.work, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("discard unfinished directory: %w", err)
		}
	}
	if err := os.RemoveAll(r.work); err != nil {
		return fmt.Errorf("discard unfinished directory: %w", err)
	}
	return nil
}
