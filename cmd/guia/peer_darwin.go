package main

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peer returns the user at the other end of the connection, as the kernel knows it (LOCAL_PEERCRED, unix(4)).
func peer(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Xucred
	var failed error
	if err := raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED) }); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return int(cred.Uid), nil
}

// shortPath calls fn with the path of the socket, which must fit into an address (104 bytes).
func shortPath(dir, name string, fn func(path string) error) error {
	path := dir + "/" + name
	if len(path) > 103 {
		return fmt.Errorf("path of the socket is longer than 103 bytes")
	}
	return fn(path)
}
