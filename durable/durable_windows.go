package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

var (
	kernel32           = syscall.NewLazyDLL("kernel32.dll")
	moveFileEx         = kernel32.NewProc("MoveFileExW")
	lockFileEx         = kernel32.NewProc("LockFileEx")
	getDiskFreeSpaceEx = kernel32.NewProc("GetDiskFreeSpaceExW")
)

// SyncDir checks that dir is there. Windows has no call that syncs a
// directory; the package comment says what stands in for it.
func SyncDir(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// rename replaces to, and returns when the move is on the disk.
func rename(from, to string) error {
	const replaceExisting, writeThrough = 1, 8 // winbase.h MOVEFILE_*
	f, err := syscall.UTF16PtrFromString(from)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	t, err := syscall.UTF16PtrFromString(to)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	ok, _, err := moveFileEx.Call(uintptr(unsafe.Pointer(f)), uintptr(unsafe.Pointer(t)), replaceExisting|writeThrough)
	if ok == 0 {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// tryLock locks one byte far behind the end, because a locked range cannot be
// read by others, and others must be able to read the process id.
func tryLock(f *os.File, shared bool) (bool, error) {
	const failImmediately, exclusive = 1, 2 // winbase.h LOCKFILE_*
	flags := uintptr(failImmediately | exclusive)
	if shared {
		flags = failImmediately
	}
	const errLockViolation = syscall.Errno(33)
	at := syscall.Overlapped{OffsetHigh: 1 << 30}
	ok, _, err := lockFileEx.Call(f.Fd(), flags, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	switch {
	case ok != 0:
		return true, nil
	case errors.Is(err, errLockViolation), errors.Is(err, syscall.ERROR_IO_PENDING):
		return false, nil
	default:
		return false, err
	}
}

// FreeSpace returns how many bytes an unprivileged process may still write to
// the file system that dir is on. It is an estimate the moment it is made.
func FreeSpace(dir string) (int64, error) {
	p, err := syscall.UTF16PtrFromString(dir)
	if err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	var free uint64
	ok, _, err := getDiskFreeSpaceEx.Call(uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&free)), 0, 0)
	if ok == 0 {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(free), nil
}

// IsFull reports whether err says that the disk, or the user's share of it,
// is full.
func IsFull(err error) bool {
	for _, full := range []syscall.Errno{39, 112, 1295} { // winerror.h HANDLE_DISK_FULL, DISK_FULL, DISK_QUOTA_EXCEEDED
		if errors.Is(err, full) {
			return true
		}
	}
	return false
}
