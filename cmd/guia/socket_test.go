package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
)

func TestFrames(t *testing.T) {
	var wire bytes.Buffer
	for _, f := range []struct {
		kind    byte
		content string
	}{{frameRequest, "{}"}, {frameAccepted, ""}, {frameStdout, "out\x00put"}, {frameStderr, ""}, {frameCancel, ""}, {frameExit, "\x03"}} {
		wire.Reset()
		if err := writeFrame(&wire, f.kind, []byte(f.content)); err != nil {
			t.Fatal(err)
		}
		kind, content, err := readFrame(iotest.OneByteReader(bytes.NewReader(wire.Bytes())))
		if err != nil || kind != f.kind || string(content) != f.content {
			t.Errorf("got %q %q %v, want %q %q", kind, content, err, f.kind, f.content)
		}
		for cut := 1; cut < wire.Len(); cut++ {
			if _, _, err := readFrame(bytes.NewReader(wire.Bytes()[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("frame %q cut at %d: %v", f.kind, cut, err)
			}
		}
	}
	if _, _, err := readFrame(bytes.NewReader(nil)); !errors.Is(err, io.EOF) {
		t.Errorf("nothing: %v", err)
	}
}

// TestFramesAreBounded shows that a length alone reserves no memory and that nothing too long is written.
func TestFramesAreBounded(t *testing.T) {
	for _, c := range []struct {
		kind byte
		size uint32
	}{{frameRequest, mostRequest + 1}, {frameStdout, 1 << 31}, {frameExit, 2}, {frameExit, 0}, {frameCancel, 1}, {'?', 0}} {
		head := binary.BigEndian.AppendUint32([]byte{c.kind}, c.size)
		if _, _, err := readFrame(io.MultiReader(bytes.NewReader(head), endless{})); !errors.Is(err, errFrame) {
			t.Errorf("frame %q of %d bytes: %v", c.kind, c.size, err)
		}
	}
	if err := writeFrame(io.Discard, frameRequest, make([]byte, mostRequest+1)); !errors.Is(err, errFrame) {
		t.Errorf("a request that is too long: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestRequestCarriesTheGuestsWorld(t *testing.T) {
	vars := map[string]string{"GUIA_LANG": "pt", "NO_COLOR": "1", "SECRET": "no"}
	guest := env{args: []string{"log", "-n", "1"}, dir: "/there", getenv: func(n string) string { return vars[n] }, width: 72, terminal: true}
	content, err := json.Marshal(newRequest(&guest))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte("SECRET")) {
		t.Errorf("the whole environment was sent: %s", content)
	}
	r, err := parseRequest(content)
	if err != nil {
		t.Fatal(err)
	}
	e := r.environment("ana", io.Discard, io.Discard)
	if e.abs("x") != "/there/x" || e.getenv("GUIA_LANG") != "pt" || e.width != 72 || !e.terminal || e.errTerminal || e.login != "ana" || len(e.args) != 3 {
		t.Errorf("got %+v", e)
	}
	if e.getenv("HOME") != "" || os.Getenv("PATH") != "" && e.getenv("PATH") != "" {
		t.Error("the holder's environment shows through")
	}
	for _, bad := range []string{"", "[]", `{"protocol":2}`, `{"protocol":1,"width":-1}`, `{"protocol":1,"args":"log"}`} {
		if _, err := parseRequest([]byte(bad)); !errors.Is(err, errFrame) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("R\x00\x00\x00\x02{}"))
	f.Add([]byte("1\x00\x00\x00\x01xA\x00\x00\x00\x00X\x00\x00\x00\x01\x03"))
	f.Add([]byte("C\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := bytes.NewReader(wire)
		for {
			kind, content, err := readFrame(r)
			if err != nil {
				return
			}
			var again bytes.Buffer
			if err := writeFrame(&again, kind, content); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			if end := len(wire) - r.Len(); !bytes.Equal(again.Bytes(), wire[end-again.Len():end]) {
				t.Fatal("what was read is written differently")
			}
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"protocol":1,"args":["log"],"dir":"/x","env":{"LANG":"pt"},"terminal":true,"width":80}`))
	f.Add([]byte(`{"protocol":1,"args":["--lang","--json","x"],"env":null}`))
	f.Add([]byte(`{"protocol":1,"args":["help","no","such"],"env":{"GUIA_LANG":"zh"}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := parseRequest(content)
		if err != nil {
			return
		}
		// Up to the command's own work nothing may panic: settings, words, flags.
		p := newProgram(r.environment("x", io.Discard, io.Discard))
		root := p.tree()
		cmd, rest, err := root.Find(p.args)
		if err != nil || cmd.ParseFlags(rest) != nil {
			return
		}
		_ = cmd.ValidateArgs(cmd.Flags().Args()) // a refusal is as good
	})
}
