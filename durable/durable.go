// Package durable is about files that are still there after the power comes back.
//
// Model: a file system may lose, after a power cut, every byte that was not
// synced and every name (creation, rename, removal) whose directory was not
// synced. It may not lose anything whose sync returned without error, and it
// renames atomically. So every function here that says it is done has synced
// the bytes, then changed the name, then synced the directory, in that order.
//
// Guarantees. A function that returns nil has made its effect durable. After
// a crash at any moment the path holds the whole old or the whole new content,
// never a part of it. A function that returns an error left no temporary file
// behind, unless removing it was what failed too. After a crash temporary
// files may stay; [IsTemp] recognises their names. [CreateExclusive] may leave
// an empty file as well, where there are no hard links.
//
// Not guaranteed. An error of the last step, the sync of the directory, means
// that the new content is in place but might not survive a power cut. Disks
// that lie about flushing their cache cannot be found out from here (on macOS
// os.File.Sync asks for F_FULLFSYNC, which empties the disk's cache too). On
// Windows directories cannot be synced: names are changed with
// MOVEFILE_WRITE_THROUGH instead and removals are as durable as the file
// system's own journal. Nothing here locks: two writers of one path are both
// whole, and the later one wins.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix begins the name of every temporary file. It does not contain the
// target's name, so that a name of the greatest allowed length still works.
const tempPrefix = ".durable-"

// IsTemp reports whether a file of this name (without directory) is a
// temporary file of this package. One that is found where no writer is
// running was left by a crash and may be removed.
func IsTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// WriteFile makes data the whole content of path. It replaces an existing
// file, also its permissions: the file has exactly perm, whatever the umask.
// When it returns nil the content is durable; after a crash the file is the
// old or the new one. Two concurrent calls are both whole and the later wins.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), f.Abort())
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), f.Abort())
	}
	return f.Commit()
}

// File is a file being written under a temporary name. It must be ended with
// Commit, CommitAs or Abort; `defer f.Abort()` is harmless after a commit.
// It is not for concurrent use.
type File struct {
	f         *os.File
	path      string // the name Commit gives; "" when only CommitAs knows
	exclusive bool
	ended     bool
}

// Create starts a file that Commit will put at path, replacing what is there.
// It is readable by its owner only (0600) until [File.Chmod] says otherwise.
// Nothing is at path before Commit.
func Create(path string) (*File, error) {
	f, err := CreateIn(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	f.path = path
	return f, nil
}

// CreateExclusive is like Create, but Commit returns an error that is
// [fs.ErrExist] when something is at path by then, and leaves it alone. On a
// file system without hard links (FAT, exFAT) a crash of Commit may leave an
// empty file at path, which is never taken for a finished one; and a program
// that does not ask whether something is at path may lose what it writes there
// during Commit.
func CreateExclusive(path string) (*File, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create %s: %w", path, fs.ErrExist)
	}
	f, err := Create(path)
	if err != nil {
		return nil, err
	}
	f.exclusive = true
	return f, nil
}

// CreateIn starts a file in dir whose name is not known yet; it ends with
// CommitAs (in dir, or elsewhere on the same file system) or Abort.
func CreateIn(dir string) (*File, error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("create in %s: %w", dir, err)
	}
	return &File{f: f}, nil
}

// Write appends p to the file.
func (f *File) Write(p []byte) (int, error) { return f.f.Write(p) }

// Chmod sets the permissions, exactly: the umask does not apply.
func (f *File) Chmod(perm fs.FileMode) error { return f.f.Chmod(perm) }

// Commit puts the file at the path given to Create. When it returns nil, the
// file is there for good. When it returns an error the temporary file is gone
// and path holds what it held before, except when the last step failed, the
// sync of the directory: then a path that could be replaced is new, and may be
// old after a power cut.
func (f *File) Commit() error {
	if f.path == "" {
		return errors.New("commit: the file was created without a name, use CommitAs")
	}
	return f.CommitAs(f.path)
}

// CommitAs is Commit under a name decided at the end.
func (f *File) CommitAs(path string) error {
	if f.ended {
		return fmt.Errorf("commit %s: %w", path, fs.ErrClosed)
	}
	f.ended = true
	temp := f.f.Name()

	// 1. The bytes. A crash before this is done leaves a temporary file.
	// A failed sync is final: the kernel may have dropped the pages, and a
	// second sync would then succeed without having written them.
	if err := f.f.Sync(); err != nil {
		return f.undo(path, err, f.f.Close())
	}
	if err := f.f.Close(); err != nil {
		return f.undo(path, err)
	}
	// 2. The name. A crash before this leaves the old file, after it the new
	// one or, until the directory is synced, the old one again.
	if f.exclusive {
		if err := nameNew(temp, path); err != nil {
			return f.undo(path, err)
		}
	} else if err := rename(temp, path); err != nil {
		return f.undo(path, err)
	}
	// 3. The directory. Only now may anyone be told that the file exists.
	if err := SyncDir(filepath.Dir(path)); err != nil {
		if f.exclusive { // there was nothing before, and nobody else's can be there
			return fmt.Errorf("commit %s: %w", path, errors.Join(err, os.Remove(path)))
		}
		return fmt.Errorf("commit %s: in place, but not known to survive a power cut: %w", path, err)
	}
	return nil
}

// testOnlyLink is replaced by the test of file systems without hard links.
var testOnlyLink = os.Link

// nameNew moves the file at temp to path, at which nothing may be. When it
// fails, temp may be there or not, and path is as it was.
func nameNew(temp, path string) error {
	linkErr := testOnlyLink(temp, path)
	if errors.Is(linkErr, fs.ErrExist) {
		return linkErr
	}
	if linkErr == nil {
		if err := os.Remove(temp); err != nil {
			return errors.Join(err, os.Remove(path))
		}
		return nil
	}
	// There are no hard links, or whatever failed fails again now. An empty
	// file takes the name, which only one can make, and is then replaced: the
	// name never stands for a part of the content, only for none or for all.
	empty, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(linkErr, err)
	}
	if err := empty.Close(); err != nil {
		return errors.Join(linkErr, err, os.Remove(path))
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
		return fmt.Errorf("something was put at %s in the meantime: %w", path, fs.ErrExist)
	}
	if err := rename(temp, path); err != nil {
		return errors.Join(linkErr, err, os.Remove(path))
	}
	return nil
}

// undo removes the temporary file of a commit that did not happen.
func (f *File) undo(path string, causes ...error) error {
	causes = append(causes, os.Remove(f.f.Name()))
	return fmt.Errorf("commit %s: %w", path, errors.Join(causes...))
}

// Abort throws the file away. After Commit, CommitAs or Abort it does nothing.
func (f *File) Abort() error {
	if f.ended {
		return nil
	}
	f.ended = true
	return errors.Join(f.f.Close(), os.Remove(f.f.Name()))
}

// Rename moves a file whose content is already durable and replaces what is
// at newPath. When it returns nil the move is durable; after a crash the file
// is at one of the two names, or, when they are in different directories,
// possibly at both.
func Rename(oldPath, newPath string) error {
	if err := rename(oldPath, newPath); err != nil {
		return err
	}
	// The new name first: a crash in between may leave two names, never none.
	newDir, oldDir := filepath.Dir(newPath), filepath.Dir(oldPath)
	if err := SyncDir(newDir); err != nil {
		return err
	}
	if oldDir == newDir {
		return nil
	}
	return SyncDir(oldDir)
}

// Remove removes the name of a file or of an empty directory; it stays
// removed after a crash. The bytes may be readable on the disk: see [Shred].
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll makes the directory and the missing ones above it, durably.
// Directories that exist keep their permissions and are taken to be durable;
// whoever made them may have died before syncing them, so a process that
// relies on an old one calls [SyncDir] on its parent once.
func MkdirAll(dir string, perm fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("make directory %s: it is not a directory", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return fmt.Errorf("make directory %s: %w", dir, fs.ErrNotExist)
	}
	if err := MkdirAll(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Also when another process was faster: it may not have synced yet.
	return SyncDir(parent)
}
