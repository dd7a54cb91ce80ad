package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"guia"
	"guia/directory"
)

// mostGuests is how many commands the holder carries out at once; more wait for their turn.
const mostGuests = 32

// requestTime is how long a guest may take to say what it wants.
const requestTime = 10 * time.Second

// server carries out the commands that come through the socket of an open data directory.
type server struct {
	holder   *holder
	listener *net.UnixListener // nil when this system has no such sockets
	places   chan struct{}
	ended    chan struct{} // the accepting goroutine has ended
	guests   sync.WaitGroup
	count    atomic.Int64
}

// serve listens on the directory's socket. Whoever calls it holds the directory's lock: a socket that lies there is left over from a
// process that was killed. Where the system does not say who is at the other end, nothing is served and other commands have to wait.
func serve(h *holder) *server {
	s := &server{holder: h, places: make(chan struct{}, mostGuests), ended: make(chan struct{})}
	path := directory.Socket(h.Path)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		close(s.ended)
		return s
	}
	err := shortPath(filepath.Dir(path), filepath.Base(path), func(short string) (err error) {
		s.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err == nil {
		s.listener.SetUnlinkOnClose(false) // by the short path it would not find it
		err = os.Chmod(path, 0o600)
	}
	if err != nil || s.listener == nil {
		if s.listener != nil {
			_ = s.listener.Close() // the command does its work without
			s.listener = nil
		}
		close(s.ended)
		return s
	}
	go s.accept()
	return s
}

func (s *server) accept() {
	defer close(s.ended)
	for {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			return
		}
		s.count.Add(1)
		s.guests.Go(func() {
			defer s.count.Add(-1)
			defer conn.Close()
			s.welcome(conn)
		})
	}
}

// close stops listening and returns when the last guest's command has ended. waiting is called when there are some.
func (s *server) close(waiting func(guests int64)) {
	if s.listener == nil {
		return
	}
	_ = os.Remove(directory.Socket(s.holder.Path)) // a stale one is removed by the next holder
	_ = s.listener.Close()                         // accept ends in either case
	<-s.ended
	if n := s.count.Load(); n > 0 {
		waiting(n)
	}
	s.guests.Wait()
}

// welcome carries out one guest's command. It ends early when the guest asks for it or is gone.
func (s *server) welcome(conn *net.UnixConn) {
	uid, err := peer(conn)
	if err != nil || uid != os.Geteuid() && uid != 0 {
		return // the socket's mode lets nobody else in; whoever got here anyway is told nothing
	}
	var deadline time.Time
	_ = conn.SetReadDeadline(time.Now().Add(requestTime)) // without it a silent guest only keeps itself waiting
	kind, content, err := readFrame(conn)
	if err != nil || kind != frameRequest {
		return
	}
	_ = conn.SetReadDeadline(deadline)
	out := &frames{conn: conn}
	s.places <- struct{}{}
	defer func() { <-s.places }()
	if out.write(frameAccepted, nil) != nil {
		return
	}
	r, err := parseRequest(content)
	e := r.environment(loginOf(uid), out.stream(frameStdout), out.stream(frameStderr))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends when the guest closes, at the latest when we do
		_, _, _ = readFrame(conn) // a cancel frame, nonsense or the end: all mean the same
		cancel()
	}()
	p := newProgram(e)
	p.holder = s.holder
	var code int
	if err != nil {
		code = p.report(ctx, guia.RefuseCause(guia.Blocked, err, "cmd.other_version"))
	} else {
		code = p.execute(ctx)
	}
	_ = out.write(frameExit, []byte{byte(code)}) // a guest that is gone does not need it
}

// loginOf returns the operating system's login of a user.
func loginOf(uid int) string {
	if uid == os.Geteuid() {
		return ownLogin()
	}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return ""
	}
	return u.Username
}

// frames writes frames of several goroutines.
type frames struct {
	mu   sync.Mutex
	conn *net.UnixConn
}

func (f *frames) write(kind byte, content []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return writeFrame(f.conn, kind, content)
}

// stream is an io.Writer of one kind of frames.
func (f *frames) stream(kind byte) *stream { return &stream{f, kind} }

type stream struct {
	frames *frames
	kind   byte
}

func (s *stream) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		n := min(len(b)-done, mostOutput)
		if err := s.frames.write(s.kind, b[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return len(b), nil
}

// errNobody says that no process answered at the socket, or that it ended before it began with our command: nothing was done.
var errNobody = errors.New("no process answers at the socket")

// forward has the process that holds the directory carry out this very command, and passes on what it prints. After [errNobody] the
// command has not begun. Cancelling ctx asks the holder to stop the command, and what it says then is passed on too.
func (p *program) forward(ctx context.Context) (code int, err error) {
	content, err := json.Marshal(newRequest(&p.env))
	if err != nil {
		return 1, err
	}
	var conn *net.UnixConn
	path := directory.Socket(p.path)
	err = shortPath(filepath.Dir(path), filepath.Base(path), func(short string) (err error) {
		conn, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return 1, fmt.Errorf("%w: %w", errNobody, err)
	}
	defer conn.Close()
	out := &frames{conn: conn}
	if err := out.write(frameRequest, content); errors.Is(err, errFrame) {
		return 2, guia.RefuseCause(guia.Invalid, err, "cmd.request_long")
	} else if err != nil {
		return 1, fmt.Errorf("%w: %w", errNobody, err)
	}
	if kind, _, err := readFrame(conn); err != nil || kind != frameAccepted {
		return 1, fmt.Errorf("%w: %w", errNobody, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = out.write(frameCancel, nil) }) // a holder that is gone needs no telling
	defer stop()
	for {
		kind, content, err := readFrame(conn)
		if err != nil {
			return 1, guia.RefuseCause(guia.Blocked, err, "cmd.holder_gone")
		}
		switch kind {
		case frameStdout:
			_, err = p.stdout.Write(content)
		case frameStderr:
			_, err = p.stderr.Write(content)
		case frameExit:
			return int(content[0]), nil
		}
		if err != nil {
			return 1, fmt.Errorf("pass on output: %w", err)
		}
	}
}
