//go:build linux || darwin || freebsd

package main

import "net"

// peer returns the user at the other end of the connection, as the kernel knows it.
func peer(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { uid, failed = peerOf(int(fd)) }); err != nil {
		return 0, err
	}
	return uid, failed
}
