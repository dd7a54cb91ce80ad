package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"guia"
	"guia/blob"
	"guia/db"
	"guia/directory"
	"guia/durable"
	"guia/ledger"
	"guia/permit"
	"guia/proof"
	"guia/vault"
)

// Backup makes a new set of the open directory in the folder to, and returns its manifest when it is durable and was read back. Blobs
// that an earlier set of the place has are linked, not copied again; a set is still complete by itself. progress, when not nil, is
// told in bytes.
//
// Two events record it: backup.started before anything is written, backup.finished with the manifest's digest (or with the outcome
// failed) after. Killed in between, nothing stands under a set's name, and calling again uses what was copied; a disk that fills up
// leaves nothing of this set.
//
// The order, and why the copies fit together although records go on being taken in:
//
//  1. No key is destroyed until the end (directory.HoldStill). Nothing else ever removes a key, a blob that is referred to, or a row.
//  2. The main database is copied, as of one commit. Whatever it refers to was durable before that commit: KEKs are stored before
//     anything is sealed under them, blobs before the row that names them.
//  3. The key database is copied, after 2, so it has every key that the copy needs and perhaps newer ones, which are harmless. The
//     other way round, an import in between would leave rows without keys. The copy is of one commit and says its epoch itself, so a
//     change of the epoch key falls before or after it; the escrow copy of that epoch is taken after it.
//  4. A change of the log key between 2 and 3 overwrites the secret that 2 still calls the newest: then both are copied again.
//  5. The blobs that the copy refers to.
//  6. A checkpoint of the running ledger, at least as large as the copy, with the proof that the copy is its beginning.
//  7. MANIFEST, after every file was read back; then the rename that makes it a set.
func Backup(ctx context.Context, d *directory.Directory, actor guia.Actor, to string, progress func(done, of int64)) (Manifest, error) {
	release, err := d.HoldStill() // 1
	if err != nil {
		return Manifest{}, err
	}
	defer release()
	b := &backup{d: d, to: to, tell: &meter{tell: progress}, created: time.Now().UTC().Truncate(time.Second)}
	if err := b.choosePlace(); err != nil {
		return Manifest{}, err
	}
	err = d.Ledger.Do(ctx, actor, permit.ActBackup, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("name", b.name)
		_, err := tx.Record(guia.BackupStarted, f)
		return err
	})
	if err != nil {
		return Manifest{}, err
	}
	m, err := b.run(ctx)
	if durable.IsFull(err) { // a file's: the directory itself grows by its databases only, whose errors are refusals
		err = noRoom(err, b.to)
	}
	if err != nil {
		err = errors.Join(err, b.giveUp(err))
	}
	recorded := d.Ledger.Do(context.WithoutCancel(ctx), actor, permit.ActBackup, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("name", b.name)
		f.Set("act.outcome", "failed")
		if err == nil {
			f.Set("act.outcome", "done")
			f.Set("digest", fmt.Sprintf("sha256:%x %d", m.Digest, len(m.text())))
			f.Set("count", fmt.Sprint(m.Size))
		}
		_, err := tx.Record(guia.BackupFinished, f)
		return err
	})
	return m, errors.Join(err, recorded)
}

// noRoom says of an error in writing to a place outside the data directory that the disk there is full, if it is that.
func noRoom(err error, place string) error {
	refusal, _ := errors.AsType[*guia.Refusal](err)
	if durable.IsFull(err) || refusal != nil && refusal.Key == "db.full" {
		return guia.RefuseCause(guia.Blocked, err, "archive.place_full", place)
	}
	return err
}

// backup is a set being made.
type backup struct {
	d       *directory.Directory
	to      string
	name    string
	work    string // the set before it has its name
	created time.Time
	tell    *meter
	m       Manifest
	before  []Manifest // earlier sets of the same log in this place
}

// betweenCopies runs between the two databases' copies: a test makes the worst happen there.
var betweenCopies = func() {}

// choosePlace makes the place and chooses the set's name in it.
func (b *backup) choosePlace() (err error) {
	if b.to, err = filepath.Abs(b.to); err != nil {
		return err
	}
	own, err := filepath.Abs(b.d.Path)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(own, b.to); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return guia.Refuse(guia.Invalid, "archive.place_inside", b.to)
	}
	if _, err := os.Stat(b.d.EscrowPath(b.d.Keys.Epoch())); err != nil {
		return guia.RefuseCause(guia.Blocked, err, "archive.no_escrow", b.d.Keys.Epoch())
	}
	if err := durable.MkdirAll(b.to, 0o700); err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", b.to)
	}
	origin := b.d.Ledger.Origin()
	short := origin[max(0, len(origin)-8):]
	b.work = filepath.Join(b.to, unfinished+"-"+short)
	for n := 1; ; n++ {
		b.name = setPrefix + short + "-" + b.created.Format("20060102T150405Z")
		if n > 1 {
			b.name += fmt.Sprintf("-%d", n)
		}
		if _, err := os.Lstat(filepath.Join(b.to, b.name)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return guia.RefuseCause(guia.Blocked, err, "directory.unreadable", b.to)
		}
	}
	all, err := Sets(b.to)
	for _, m := range all {
		if m.Origin == origin {
			b.before = append(b.before, m)
		}
	}
	return err
}

func (b *backup) run(ctx context.Context) (Manifest, error) {
	if err := b.prepareWork(); err != nil {
		return b.m, err
	}
	digests, err := b.copyDatabases(ctx) // 2, 3, 4
	if err != nil {
		return b.m, err
	}
	if err := b.copyEscrow(); err != nil {
		return b.m, err
	}
	if err := b.copyBlobs(ctx, digests); err != nil { // 5
		return b.m, err
	}
	if err := b.sign(ctx); err != nil { // 6
		return b.m, err
	}
	if err := b.readBack(ctx); err != nil { // 7
		return b.m, err
	}
	if err := durable.WriteFile(filepath.Join(b.work, manifestName), b.m.text(), 0o600); err != nil {
		return b.m, err
	}
	m, err := readManifest(b.work)
	if err != nil {
		return b.m, err
	}
	if err := verifyTree(ctx, m); err != nil {
		return m, err
	}
	m.Set = filepath.Join(b.to, b.name)
	return m, durable.Rename(b.work, m.Set)
}

// prepareWork makes the folder of the unfinished set. Of an earlier attempt only blobs are kept, which say themselves what they are.
func (b *backup) prepareWork() error {
	entries, err := os.ReadDir(b.work)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", b.work)
	}
	for _, e := range entries {
		if e.Name() == "blobs" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(b.work, e.Name())); err != nil {
			return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", b.work)
		}
	}
	for _, dir := range []string{blobFolder, escrowFolder, keyFolder} {
		if err := durable.MkdirAll(b.path(dir), 0o700); err != nil {
			return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", b.work)
		}
	}
	return nil
}

// path is where a file of the set is while it is made.
func (b *backup) path(name string) string { return filepath.Join(b.work, filepath.FromSlash(name)) }

// giveUp removes what a set that failed has left. After an interruption the blobs stay, for the next attempt.
func (b *backup) giveUp(cause error) error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nil
	}
	return os.RemoveAll(b.work)
}

// copyDatabases copies both databases so that they fit together, and returns the blobs that the copy refers to.
func (b *backup) copyDatabases(ctx context.Context) ([]blob.Digest, error) {
	const attempts = 5
	for range attempts {
		for _, name := range []string{databaseName, keysName} {
			if err := os.Remove(b.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if err := b.d.Main.CopyTo(ctx, b.path(databaseName)); err != nil { // 2
			return nil, fmt.Errorf("copy database: %w", noRoom(err, b.to))
		}
		betweenCopies()
		epoch, err := b.d.Keys.Copy(ctx, b.path(keysName)) // 3
		if err != nil {
			return nil, noRoom(err, b.to)
		}
		b.m.Epoch = epoch
		now, err := b.d.Ledger.LogKeys(ctx)
		if err != nil {
			return nil, err
		}
		digests, then, err := b.look(ctx)
		if err != nil {
			return nil, err
		}
		if len(now) == then { // 4
			return digests, nil
		}
	}
	return nil, guia.Refuse(guia.Blocked, "directory.busy")
}

// look opens the copy of the main database: it is intact, and says what the set is of, which blobs it needs, and how many keys its
// log had.
func (b *backup) look(ctx context.Context) (digests []blob.Digest, logKeys int, err error) {
	for _, name := range []string{databaseName, keysName} {
		if err := settle(b.path(name)); err != nil {
			return nil, 0, err
		}
		copied, err := db.OpenReadOnly(ctx, b.path(name), nil)
		if err != nil {
			return nil, 0, err
		}
		defer func() { err = errors.Join(err, copied.Close()) }()
		found, err := copied.Integrity(ctx)
		if err == nil && len(found) > 0 {
			err = guia.Refuse(guia.Damaged, "archive.file_differs", name)
		}
		if err != nil {
			return nil, 0, err
		}
		if name != databaseName {
			continue
		}
		v := vault.Open(nil, nil, copied)
		l, err := ledger.View(ctx, copied, nil, v)
		if err == nil {
			err = l.Agree(ctx)
		}
		if err != nil {
			return nil, 0, err
		}
		b.m.Origin, b.m.Size = l.Origin(), int64(l.Size())
		if b.m.Root, err = proof.Root(l, b.m.Size); err != nil {
			return nil, 0, err
		}
		keys, err := l.LogKeys(ctx)
		if err != nil {
			return nil, 0, err
		}
		logKeys = len(keys)
		err = v.Rows(ctx, 0, l.Size(), func(seq guia.Seq, row []byte) error {
			here, err := v.Blobs(row)
			digests = append(digests, here...)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	slices.SortFunc(digests, func(x, y blob.Digest) int { return slices.Compare(x[:], y[:]) })
	return slices.Compact(digests), logKeys, nil
}

// settle makes a file that SQLite wrote durable, and its owner's alone.
func settle(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Sync(), f.Close())
}

// copyEscrow takes the escrow copy of the epoch that the key database was copied in. Never the epoch key.
func (b *backup) copyEscrow() error {
	text, err := os.ReadFile(b.d.EscrowPath(b.m.Epoch))
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "archive.no_escrow", b.m.Epoch)
	}
	if err := durable.WriteFile(b.path(escrowName(b.m.Epoch)), text, 0o600); err != nil {
		return err
	}
	recipients, err := os.ReadFile(filepath.Join(b.d.EscrowFolder(), "recipients.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.WriteFile(b.path(escrowFolder+"/recipients.txt"), recipients, 0o600)
}

func escrowName(epoch int) string { return fmt.Sprintf("%s/epoch-%d.age", escrowFolder, epoch) }

// copyBlobs brings the blobs: those of an interrupted attempt are there, those of the newest earlier set are linked, the others copied.
// Never linked with the directory's own files: a set must not be damaged with them.
func (b *backup) copyBlobs(ctx context.Context, digests []blob.Digest) error {
	sizes := make([]int64, len(digests))
	for i, digest := range digests {
		size, err := b.d.Blobs.Stat(ctx, digest)
		if err != nil {
			return guia.RefuseCause(guia.Damaged, err, "archive.blob_unreadable", digest.String())
		}
		sizes[i] = size
		b.tell.of += 2 * size // written, and read back
	}
	b.tell.of += b.databaseBytes()
	wanted := make(map[string]bool, len(digests))
	fanout := map[string]bool{}
	for i, digest := range digests {
		name := blobName(digest)
		wanted[name] = true
		if dir := filepath.Dir(b.path(name)); !fanout[dir] {
			if err := durable.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			fanout[dir] = true
		}
		have, err := os.Lstat(b.path(name))
		switch {
		case err == nil && have.Mode().IsRegular() && have.Size() == sizes[i], b.link(name, sizes[i]):
			b.tell.add(sizes[i])
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := b.copyBlob(ctx, digest); err != nil {
			return err
		}
	}
	if err := b.removeUnwanted(wanted); err != nil {
		return err
	}
	for dir := range fanout { // links are names too
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
	}
	return durable.SyncDir(b.path(blobFolder))
}

func (b *backup) databaseBytes() (n int64) {
	for _, name := range []string{databaseName, keysName} {
		if info, err := os.Stat(b.path(name)); err == nil {
			n += info.Size()
		}
	}
	return n
}

// link makes a hard link to the blob of the newest earlier set, where the file system can.
func (b *backup) link(name string, size int64) bool {
	for _, earlier := range slices.Backward(b.before) {
		from := filepath.Join(earlier.Set, filepath.FromSlash(name))
		info, err := os.Lstat(from)
		if err != nil || !info.Mode().IsRegular() || info.Size() != size {
			continue
		}
		return os.Link(from, b.path(name)) == nil
	}
	return false
}

// copyBlob copies one blob and checks it on the way.
func (b *backup) copyBlob(ctx context.Context, digest blob.Digest) error {
	r, err := b.d.Blobs.Open(ctx, digest)
	if err != nil {
		return guia.RefuseCause(guia.Damaged, err, "archive.blob_unreadable", digest.String())
	}
	defer r.Close()
	f, err := durable.Create(b.path(blobName(digest)))
	if err != nil {
		return err
	}
	if _, err := copyTold(ctx, f, r, b.tell); err != nil {
		if errors.Is(err, blob.ErrDamaged) {
			err = guia.RefuseCause(guia.Damaged, err, "archive.blob_unreadable", digest.String())
		}
		return errors.Join(fmt.Errorf("copy blob: %w", err), f.Abort())
	}
	return f.Commit()
}

// removeUnwanted removes what an interrupted attempt copied and this set does not need.
func (b *backup) removeUnwanted(wanted map[string]bool) error {
	return filepath.WalkDir(b.path(blobFolder), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(b.work, path)
		if err != nil || wanted[filepath.ToSlash(name)] {
			return err
		}
		return os.Remove(path)
	})
}

// sign writes the checkpoint that covers the copy, the proof that it does, and the keys it is checked with.
func (b *backup) sign(ctx context.Context) error {
	note, err := b.d.Ledger.Checkpoint(ctx)
	if err != nil {
		return err
	}
	trust, err := b.d.Ledger.Trust(ctx)
	if err != nil {
		return err
	}
	c, err := trust.Open(note)
	if err != nil {
		return guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
	}
	hashes, err := proof.Consistency(b.d.Ledger, b.m.Size, c.Size)
	if err != nil {
		return err
	}
	growth, err := proof.FormatConsistency(proof.Growth{Old: b.m.Size, Hashes: hashes, Checkpoint: note})
	if err != nil {
		return err
	}
	keys, err := b.d.Ledger.LogKeys(ctx)
	if err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(b.d.Path, versionName))
	if err != nil {
		return err
	}
	files := map[string][]byte{noteName: note, growthName: growth, versionName: version, keyFolder + "/vkey": []byte(keys[0].VKey + "\n")}
	for i, k := range keys[1:] {
		files[rotationName(i+1)] = k.Statement
	}
	for name, text := range files {
		if err := durable.WriteFile(b.path(name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readBack reads every file of the set from the medium and lists it. A blob that came from an earlier set and is damaged there is copied
// from the directory.
func (b *backup) readBack(ctx context.Context) error {
	err := filepath.WalkDir(b.work, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(b.work, path)
		if err != nil {
			return err
		}
		f := File{Name: filepath.ToSlash(rel)}
		if !validName(f.Name) {
			return fmt.Errorf("unexpected file %q in the set", f.Name)
		}
		if f.Digest, f.Size, err = digestOf(ctx, path, b.tell); err != nil {
			return fmt.Errorf("read back %s: %w", f.Name, err)
		}
		if digits, isBlob := strings.CutPrefix(f.Name, blobFolder+"/"); isBlob {
			digest, err := blob.ParseDigest(strings.ReplaceAll(digits, "/", ""))
			if err != nil {
				return err
			}
			if f.Digest != digest {
				if err := b.copyBlob(ctx, digest); err != nil {
					return err
				}
				if f.Digest, f.Size, err = digestOf(ctx, path, b.tell); err != nil || f.Digest != digest {
					return errors.Join(err, guia.Refuse(guia.Damaged, "archive.file_differs", f.Name))
				}
			}
		}
		b.m.Files = append(b.m.Files, f)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(b.m.Files, func(x, y File) int { return strings.Compare(x.Name, y.Name) })
	b.m.Created = b.created
	b.m.MAC = b.d.Vault.MAC(manifestLabel, string(b.m.body()))
	return nil
}
