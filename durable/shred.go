package durable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
)

// Shred overwrites the file with random bytes in place, makes that durable,
// and then removes it. Only regular files are accepted; a symbolic link is
// refused, never followed. After a crash the file may exist, partly or wholly
// overwritten: shred it again.
//
// What it does not promise. Overwriting reaches the old bytes only where the
// file system writes in place (ext4, XFS, NTFS) and the disk does too. It does
// not on copy-on-write file systems (Btrfs, ZFS, APFS, ReFS), on snapshots,
// with data journalling, on network storage, or on solid-state disks, whose
// controller writes elsewhere and keeps the old cells until it collects them.
// Other copies (backups, the swap, another hard link's name) are not its
// business. So it is a second fence: what must be forgotten is encrypted, and
// Shred is for the few small key files, on a disk that should be encrypted.
func Shred(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("shred: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("shred %s: not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("shred: %w", err)
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = errors.New("the file was replaced meanwhile")
	}
	if err == nil {
		_, err = io.CopyN(f, rand.Reader, opened.Size())
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("shred %s: %w", path, err)
	}
	return Remove(path)
}
