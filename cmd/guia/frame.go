package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What goes over the socket is frames: one byte for the kind, four for the length (big-endian), and the content. The guest sends one
// request, then perhaps one cancel. The holder answers accepted when it begins, output while it works, and the exit code last.
const (
	frameRequest  = 'R'
	frameCancel   = 'C'
	frameAccepted = 'A'
	frameStdout   = '1'
	frameStderr   = '2'
	frameExit     = 'X' // one byte
)

const (
	mostRequest = 1 << 20
	mostOutput  = 64 << 10
)

// errFrame says that the other end does not speak as it should.
var errFrame = errors.New("malformed frame")

// mostOf is the longest content of a kind, -1 for a kind that does not exist.
func mostOf(kind byte) int {
	switch kind {
	case frameRequest:
		return mostRequest
	case frameStdout, frameStderr:
		return mostOutput
	case frameExit:
		return 1
	case frameCancel, frameAccepted:
		return 0
	}
	return -1
}

// writeFrame writes one frame in one call of Write.
func writeFrame(w io.Writer, kind byte, content []byte) error {
	if len(content) > mostOf(kind) {
		return fmt.Errorf("frame %q of %d bytes: %w", kind, len(content), errFrame)
	}
	frame := append(make([]byte, 0, 5+len(content)), kind)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(content)))
	_, err := w.Write(append(frame, content...))
	return err
}

// readFrame reads one frame. It reserves no memory for a length that is not allowed. io.EOF means that the other end closed between
// two frames.
func readFrame(r io.Reader) (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	most := mostOf(head[0])
	if most < 0 || int64(size) > int64(most) || head[0] == frameExit && size != 1 {
		return 0, nil, fmt.Errorf("frame %q of %d bytes: %w", head[0], size, errFrame)
	}
	content = make([]byte, size)
	if _, err := io.ReadFull(r, content); err != nil {
		return 0, nil, fmt.Errorf("frame %q: %w", head[0], io.ErrUnexpectedEOF)
	}
	return head[0], content, nil
}

// protocol is the version of what is spoken over the socket. Holder and guest are the same program unless it was updated while the
// holder runs.
const protocol = 1

// request is what a guest wants done.
type request struct {
	Protocol    int               `json:"protocol"`
	Args        []string          `json:"args"`
	Dir         string            `json:"dir"`
	Env         map[string]string `json:"env"`
	Terminal    bool              `json:"terminal"`
	ErrTerminal bool              `json:"err_terminal"`
	Width       int               `json:"width"`
	Input       []byte            `json:"input,omitempty"`
}

// passedOn are the variables of the guest's environment that a command may look at.
var passedOn = []string{"GUIA_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR", "GUIA_USER", "TERM"}

func newRequest(e *env) request {
	r := request{Protocol: protocol, Args: e.args, Dir: e.dir, Env: map[string]string{}, Terminal: e.terminal, ErrTerminal: e.errTerminal, Width: e.width, Input: e.input}
	for _, name := range passedOn {
		if value := e.getenv(name); value != "" {
			r.Env[name] = value
		}
	}
	return r
}

// parseRequest reads the content of a request frame. Limits: the frame's, 10,000 arguments, and the known variables.
func parseRequest(content []byte) (request, error) {
	var r request
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("request: %w: %w", errFrame, err)
	}
	if r.Protocol != protocol {
		return r, fmt.Errorf("request of protocol %d, this is %d: %w", r.Protocol, protocol, errFrame)
	}
	if len(r.Args) > 10_000 || r.Width < 0 || r.Width > 10_000 {
		return r, fmt.Errorf("request: %w", errFrame)
	}
	return r, nil
}

// environment is the guest's world, as far as it was told.
func (r *request) environment(login string, stdout, stderr io.Writer) env {
	known := map[string]string{}
	for _, name := range passedOn {
		known[name] = r.Env[name]
	}
	return env{
		args: r.Args, stdout: stdout, stderr: stderr, dir: r.Dir, getenv: func(name string) string { return known[name] },
		login: login, terminal: r.Terminal, errTerminal: r.ErrTerminal, width: r.Width, input: r.Input,
	}
}
