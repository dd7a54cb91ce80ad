package durable

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// HeldError says that someone else has the lock.
type HeldError struct {
	Path string
	PID  int // the process that has it; 0 when it has not written it yet
}

// Error names the lock and, if known, the process.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("lock %s: held by another process", e.Path)
	}
	return fmt.Sprintf("lock %s: held by process %d", e.Path, e.PID)
}

// Lock takes the exclusive lock that the file at path stands for, without
// waiting. There are three outcomes:
//
//   - it is ours: unlock is not nil, held is false, err is nil;
//   - another has it (also another Lock of this process): unlock is nil,
//     held is true, err is a [*HeldError] with the holder's process id;
//   - something else is wrong: unlock is nil, held is false, err says what.
//
// The operating system drops the lock when the process ends, however it ends,
// so there is no stale lock. The file stays and must never be removed: two
// processes could then lock two different files of the same name. The lock is
// advisory (flock on Unix, a byte range on Windows), and network file systems
// may not honour it. unlock may be called once.
func Lock(path string) (unlock func() error, held bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("lock: %w", err)
	}
	got, err := tryLock(f, false)
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if !got {
		defer f.Close() // read only: nothing to lose
		return nil, true, &HeldError{Path: path, PID: readPID(f)}
	}
	// The number is for people: a crash here only makes a message vaguer.
	if err := writePID(f); err != nil {
		return nil, false, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() error { return errors.Join(f.Truncate(0), f.Close()) }, false, nil
}

// LockForReading is [Lock] for one who only reads: several may hold it together, and it excludes Lock. It writes nothing and makes no
// file, so that the medium need not be writable. Where there is no file nobody holds it: unlock does nothing then.
func LockForReading(path string) (unlock func() error, held bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return func() error { return nil }, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("lock: %w", err)
	}
	got, err := tryLock(f, true)
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if !got {
		defer f.Close() // read only: nothing to lose
		return nil, true, &HeldError{Path: path, PID: readPID(f)}
	}
	return f.Close, false, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

func readPID(f *os.File) int {
	var b [24]byte
	n, _ := f.ReadAt(b[:], 0) // best effort, the holder may just be writing it
	line, _, whole := strings.Cut(string(b[:n]), "\n")
	pid, err := strconv.Atoi(line)
	if !whole || err != nil || pid < 0 {
		return 0
	}
	return pid
}
