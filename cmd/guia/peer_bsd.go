//go:build darwin || freebsd

package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// peerOf asks for LOCAL_PEERCRED (unix(4)).
func peerOf(fd int) (uid int, err error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// shortPath calls fn with the path of the socket, which must fit into an address (104 bytes).
func shortPath(dir, name string, fn func(path string) error) error {
	path := dir + "/" + name
	if len(path) > 103 {
		return errors.New("path of the socket is longer than 103 bytes")
	}
	return fn(path)
}
