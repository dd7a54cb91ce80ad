package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"guia/durable"
)

// Dir is a Store in a directory:
//
//	sha256/ab/cdef…   the blob whose digest is abcdef…
//	tmp/              blobs being written, and what crashes left of them
//
// One process uses a directory at a time; the caller sees to that. Files of
// other names are neither reported nor removed. Damage is healed by putting
// the blob again.
//
// BUG(windows): putting a blob again while it is being read is an error there,
// because a file that is open cannot be replaced.
type Dir struct {
	root string
	// A put is published under a read lock, and a sweep looks and removes
	// under the write lock: so it cannot remove what was put a moment ago.
	publish sync.RWMutex
	fanout  sync.Mutex
	synced  [256]bool // directories below sha256 known to be durable
}

var _ Store = (*Dir)(nil)

// OpenDir opens the store in root and makes the directories that are missing,
// readable by their owner only.
func OpenDir(root string) (*Dir, error) {
	d := &Dir{root: root}
	for _, dir := range []string{root, d.blobs(), d.temps()} {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open blob store: %w", err)
		}
		// A process before us may have died between making and syncing it.
		if err := durable.SyncDir(filepath.Dir(dir)); err != nil {
			return nil, fmt.Errorf("open blob store: %w", err)
		}
	}
	return d, nil
}

// ViewDir opens the store in root for reading: nothing is made, and the medium need not be writable. A store that is not there has no blobs.
func ViewDir(root string) *Dir { return &Dir{root: root} }

func (d *Dir) blobs() string { return filepath.Join(d.root, "sha256") }
func (d *Dir) temps() string { return filepath.Join(d.root, "tmp") }

func (d *Dir) path(digest Digest) string {
	s := digest.String()
	return filepath.Join(d.blobs(), s[:2], s[2:])
}

// Put implements Store. Its error is one that durable.IsFull recognises when
// the disk is full.
func (d *Dir) Put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	f, err := durable.CreateIn(d.temps())
	if err != nil {
		return Digest{}, 0, fmt.Errorf("put blob: %w", err)
	}
	// 1. The bytes, hashed on their way, into a temporary file.
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), reader{ctx, r})
	if err != nil {
		return Digest{}, 0, fmt.Errorf("put blob: after %d bytes: %w", n, errors.Join(err, f.Abort()))
	}
	digest := Digest(h.Sum(nil))
	// 2. The directory it goes to, durable before anything is in it.
	if err := d.makeFanout(digest); err != nil {
		return Digest{}, 0, fmt.Errorf("put blob %s: %w", digest, errors.Join(err, f.Abort()))
	}
	// 3. Its name. A copy that is there already is replaced: it may be damaged,
	// or be looked at by a sweep this moment.
	d.publish.RLock()
	defer d.publish.RUnlock()
	if err := f.CommitAs(d.path(digest)); err != nil {
		return Digest{}, 0, fmt.Errorf("put blob %s: %w", digest, err)
	}
	// 4. Its age counts from now, not from the last byte of a slow upload.
	now := time.Now()
	if err := os.Chtimes(d.path(digest), now, now); err != nil {
		return Digest{}, 0, blobError("put", digest, err)
	}
	return digest, n, nil
}

// reader ends with the context's error when the context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (d *Dir) makeFanout(digest Digest) error {
	d.fanout.Lock()
	defer d.fanout.Unlock()
	if d.synced[digest[0]] {
		return nil
	}
	dir := filepath.Dir(d.path(digest))
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// As in OpenDir: that it exists does not mean that it is durable.
	if err := durable.SyncDir(d.blobs()); err != nil {
		return err
	}
	d.synced[digest[0]] = true
	return nil
}

// Open implements Store.
func (d *Dir) Open(ctx context.Context, digest Digest) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(d.path(digest))
	if err != nil {
		return nil, blobError("open", digest, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, blobError("open", digest, errors.Join(err, f.Close()))
	}
	return &verifier{ctx: ctx, f: f, want: digest, size: info.Size(), hash: sha256.New()}, nil
}

func blobError(what string, digest Digest, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	return fmt.Errorf("%s blob %s: %w", what, digest, err)
}

// verifier delivers a file and, with its last byte, whether it was right.
type verifier struct {
	ctx  context.Context
	f    *os.File
	want Digest
	size int64 // when it was opened: a reader that knows it may never ask for EOF
	read int64
	hash hash.Hash
	end  error
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.end != nil {
		return 0, v.end
	}
	if err := v.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := v.f.Read(p)
	v.hash.Write(p[:n])
	v.read += int64(n)
	switch {
	case err != nil && err != io.EOF:
		v.end = blobError("read", v.want, err)
	case err == io.EOF || v.read >= v.size && len(p) > 0:
		v.end = io.EOF
		if Digest(v.hash.Sum(nil)) != v.want {
			v.end = blobError("read", v.want, ErrDamaged)
		}
	}
	return n, v.end
}

func (v *verifier) Close() error { return v.f.Close() }

// Stat implements Store.
func (d *Dir) Stat(ctx context.Context, digest Digest) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	info, err := os.Stat(d.path(digest))
	if err != nil {
		return 0, blobError("stat", digest, err)
	}
	return info.Size(), nil
}

// Delete implements Store.
func (d *Dir) Delete(ctx context.Context, digest Digest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := durable.Remove(d.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		// It may have been removed a moment before a crash, and not durably.
		err = durable.SyncDir(filepath.Dir(d.path(digest)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err != nil {
		return blobError("delete", digest, err)
	}
	return nil
}

// Walk implements Store.
func (d *Dir) Walk(ctx context.Context, fn func(Digest, int64) error) error {
	return d.walk(ctx, func(digest Digest, info fs.FileInfo) error { return fn(digest, info.Size()) })
}

func (d *Dir) walk(ctx context.Context, fn func(Digest, fs.FileInfo) error) error {
	for i := range 256 {
		prefix := fmt.Sprintf("%02x", i)
		entries, err := os.ReadDir(filepath.Join(d.blobs(), prefix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("walk blobs: %w", err)
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			digest, err := ParseDigest(prefix + e.Name())
			if err != nil || !e.Type().IsRegular() {
				continue // not ours
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				return blobError("walk", digest, err)
			}
			if err := fn(digest, info); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sweep implements Store.
func (d *Dir) Sweep(ctx context.Context, keep func(Digest) bool, olderThan time.Time) (Swept, error) {
	var swept Swept
	err := d.walk(ctx, func(digest Digest, info fs.FileInfo) error {
		if !info.ModTime().Before(olderThan) || keep(digest) {
			return nil
		}
		size, err := d.removeOld(d.path(digest), olderThan)
		if err != nil {
			return blobError("sweep", digest, err)
		}
		if size >= 0 {
			swept.Blobs++
			swept.Bytes += size
		}
		return nil
	})
	if err != nil {
		return swept, err
	}
	temps, err := os.ReadDir(d.temps())
	if err != nil {
		return swept, fmt.Errorf("sweep blobs: %w", err)
	}
	for _, e := range temps {
		if err := ctx.Err(); err != nil {
			return swept, err
		}
		if !durable.IsTemp(e.Name()) {
			continue // not ours
		}
		size, err := d.removeOld(filepath.Join(d.temps(), e.Name()), olderThan)
		if err != nil {
			return swept, fmt.Errorf("sweep blobs: %w", err)
		}
		if size >= 0 {
			swept.Temps++
			swept.Bytes += size
		}
	}
	return swept, nil
}

// removeOld removes a file that is still old, while nothing is published. It
// returns its size, or -1 if it is not to be removed any more.
func (d *Dir) removeOld(path string, olderThan time.Time) (int64, error) {
	d.publish.Lock()
	defer d.publish.Unlock()
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	if !info.ModTime().Before(olderThan) {
		return -1, nil
	}
	return info.Size(), durable.Remove(path)
}
