package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// peerOf asks for SO_PEERCRED (unix(7)).
func peerOf(fd int) (uid int, err error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// shortPath calls fn with a path of the socket that fits into an address (108 bytes, unix(7)), also when the directory's is longer:
// the kernel resolves it through the open directory.
func shortPath(dir, name string, fn func(path string) error) error {
	path := dir + "/" + name
	if len(path) < 100 {
		return fn(path)
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	if err := fn("/proc/self/fd/" + strconv.Itoa(int(f.Fd())) + "/" + name); err != nil {
		return fmt.Errorf("through %s: %w", dir, err)
	}
	return nil
}
