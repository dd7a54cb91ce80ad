//go:build !linux && !darwin && !freebsd

package main

import (
	"errors"
	"net"
)

// peer refuses: where the kernel does not say who is at the other end, nobody is served.
func peer(*net.UnixConn) (uid int, err error) { return 0, errors.ErrUnsupported }

// shortPath refuses: there is no socket.
func shortPath(string, string, func(string) error) error { return errors.ErrUnsupported }
