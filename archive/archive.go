// Package archive makes copies that outlive this machine.
//
// The model: a place is a folder on another disk, and holds sets. A set is one consistent copy of a data directory: the main
// database, the key database, every blob they need, the escrow copies of the epoch key, a signed checkpoint, and a MANIFEST that lists
// them all with their digests. What can be rebuilt (followers) is not in it, and never the epoch key: a set is opened with an escrow
// copy and a recovery key that is kept elsewhere. [Backup] makes a set, [Verify] says whether it is whole, [Restore] makes a directory
// of it. [Export] writes the public part, tiles and checkpoint, as plain files for auditors and mirrors; [Doctor] and [Support] say
// how a directory is.
//
// Guaranteed: a set appears under its name only when all of it is durable and was read back; a crash or a full disk at any moment
// leaves the earlier sets as they were and at most a folder that is visibly unfinished. What a set's database refers to is in the set.
// A restored directory is complete, checked and has recorded where it came from, or does not exist.
//
// Not guaranteed: that a set is of the newest state (compare with a checkpoint kept elsewhere: `guia anchor`), and that a set made
// before an erasure forgets: whoever holds it, its escrow copy and a recovery key can read what was erased since. Such sets have to be
// deleted; [Sets] tells them by their epoch.
//
// docs/format/backup.md fixes the files.
package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"guia"
)

// Sets returns the manifests of the sets in a place, oldest first, without checking more than the manifests themselves. Of each epoch
// before the newest: it can still be opened with its escrow copy, and an erasure is final only when it is gone.
func Sets(place string) ([]Manifest, error) {
	entries, err := os.ReadDir(place)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, guia.RefuseCause(guia.Blocked, err, "directory.unreadable", place)
	}
	var sets []Manifest
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), setPrefix) {
			continue
		}
		m, err := readManifest(filepath.Join(place, e.Name()))
		if err != nil {
			continue // not ours, or damaged: Verify says so when asked about it
		}
		sets = append(sets, m)
	}
	slices.SortFunc(sets, func(a, b Manifest) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Set, b.Set)
	})
	return sets, nil
}

// resolve accepts a set, or a place, of which it takes the newest set.
func resolve(path string) (string, error) {
	if _, err := os.Stat(filepath.Join(path, manifestName)); err == nil {
		return path, nil
	}
	sets, err := Sets(path)
	if err != nil {
		return "", err
	}
	if len(sets) == 0 {
		return "", guia.Refuse(guia.NotFound, "archive.no_set", path)
	}
	return sets[len(sets)-1].Set, nil
}

// meter tells how far a long work is.
type meter struct {
	done, of int64
	tell     func(done, of int64)
}

func (m *meter) add(n int64) {
	m.done += n
	if m.tell != nil {
		m.tell(min(m.done, m.of), m.of)
	}
}

// digestOf reads a file to its end.
func digestOf(ctx context.Context, path string, m *meter) (digest [sha256.Size]byte, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return digest, 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = copyTold(ctx, h, f, m)
	return [sha256.Size]byte(h.Sum(nil)), size, err
}

// copyTold is io.Copy that ends with the context and tells the meter.
func copyTold(ctx context.Context, w io.Writer, r io.Reader, m *meter) (size int64, err error) {
	buffer := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return size, err
		}
		n, err := r.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return size, err
			}
			size += int64(n)
			m.add(int64(n))
		}
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, fmt.Errorf("after %d bytes: %w", size, err)
		}
	}
}
