package main

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// peer returns the user at the other end of the connection, as the kernel knows it (SO_PEERCRED, unix(7)).
func peer(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
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
