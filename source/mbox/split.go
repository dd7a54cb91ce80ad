package mbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
)

// piece is one message as it stands in a file, or something that is none.
type piece struct {
	raw        []byte // a copy of its own; of a message above maxMessage, or of a gap, only the beginning
	start, end int64  // where the message stands, without the lines around it, and where the next piece begins
	size       int64  // of the message
	quoted     bool   // it stands in an mbox, where lines that begin with "From " are quoted
	gap        string // why it is no message
	damage     string // why the rest of the message is missing
}

// kind is what a file holds.
type kind uint8

const (
	notMail kind = iota
	oneMessage
	manyMessages
)

// splitter cuts a file into messages, reading it once from beginning to end.
type splitter struct {
	in     io.Reader
	r      *bufio.Reader
	mail   bool  // the name says that it is a message, however it begins
	offset int64 // of the next byte of r
	what   kind
	known  bool
	over   bool
	buf    []byte
	empty  int // length of the last line that was collected, when it was an empty one
}

const (
	lookAhead = 64 << 10  // how far the beginning of a file is examined
	bufSize   = 256 << 10 // longer lines are cut for the search of From_ lines
)

// newSplitter reads a file from its beginning. The name helps where the content does not say what it is.
func newSplitter(in io.Reader, name string) *splitter {
	dir := path.Base(path.Dir(name))
	return &splitter{
		in: in, r: bufio.NewReaderSize(in, bufSize),
		mail: strings.EqualFold(path.Ext(name), ".eml") || dir == "cur" || dir == "new",
	}
}

// kind says what the file holds, looking at its beginning.
func (s *splitter) kind() kind {
	if !s.known {
		s.known = true
		head, _ := s.r.Peek(lookAhead)
		head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), "\r\n")
		switch {
		case bytes.HasPrefix(head, []byte("From ")):
			s.what = manyMessages
		case s.mail && len(head) > 0, beginsLikeMail(head):
			s.what = oneMessage
		}
	}
	return s.what
}

// beginsLikeMail reports whether the first lines are header fields, at least one of which every mail program knows.
func beginsLikeMail(head []byte) bool {
	known := false
	for n := range 200 {
		line, rest, found := bytes.Cut(head, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 || !found && n > 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, ok := fieldName(line)
			if !ok {
				return known && n > 3 // a malformed line below sound ones
			}
			known = known || mailFields[strings.ToLower(name)]
		} else if n == 0 {
			return false
		}
		head = rest
	}
	return known
}

var mailFields = map[string]bool{
	"from": true, "to": true, "date": true, "subject": true, "message-id": true, "received": true, "return-path": true,
	"delivered-to": true, "mime-version": true, "content-type": true, "x-mozilla-status": true, "x-gm-thrid": true, "sender": true,
	"reply-to": true, "cc": true,
}

// fieldName returns the name of a header field (RFC 5322 section 3.6.8); spaces before the colon are tolerated (section 4.5).
func fieldName(line []byte) (string, bool) {
	colon := bytes.IndexByte(line[:min(len(line), 200)], ':')
	if colon < 1 {
		return "", false
	}
	name := bytes.TrimRight(line[:colon], " \t")
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return "", false
		}
	}
	return string(name), len(name) > 0
}

// next returns the next piece, and false at the end of the file.
func (s *splitter) next() (piece, bool) {
	if s.over {
		return piece{}, false
	}
	switch s.kind() {
	case manyMessages:
		return s.message()
	case oneMessage:
		s.over = true
		p := piece{}
		err := s.collect(&p, func() bool { return false })
		return s.finish(p, err), true
	case notMail:
	}
	s.over = true
	head, err := s.r.Peek(lookAhead)
	if len(head) == 0 && err == io.EOF {
		return piece{}, false
	}
	p := piece{raw: bytes.Clone(head), end: 1, gap: "neither a message nor an mbox"}
	if err != nil && err != io.EOF {
		p.gap = "the file is damaged: " + err.Error()
	}
	return p, true
}

// resume goes forward to the piece that begins at an offset; false when none begins there.
func (s *splitter) resume(ctx context.Context, offset int64) bool {
	if s.kind() != manyMessages {
		s.over = true
		return true
	}
	if jump, ok := s.in.(io.Seeker); ok {
		if at, err := jump.Seek(offset, io.SeekStart); err != nil || at != offset {
			return false
		}
		s.r.Reset(s.in)
		s.offset = offset
	}
	for s.offset < offset && ctx.Err() == nil {
		n, err := s.r.Discard(int(min(offset-s.offset, 1<<20)))
		s.offset += int64(n)
		if err != nil {
			return false
		}
	}
	head, err := s.r.Peek(len("From "))
	return string(head) == "From " || len(head) == 0 && err == io.EOF
}

// message reads one message of an mbox: the reader stands before its From_ line, or at the beginning or end of the file.
func (s *splitter) message() (piece, bool) {
	for { // empty lines before the first From_ line, and a byte order mark
		head, err := s.r.Peek(3)
		n := 0
		switch {
		case len(head) > 0 && (head[0] == '\n' || head[0] == '\r'):
			n = 1
		case s.offset == 0 && string(head) == "\xEF\xBB\xBF":
			n = 3
		}
		if n == 0 {
			if len(head) == 0 {
				s.over = true
				if err != io.EOF {
					return piece{gap: "the file is damaged: " + err.Error(), end: s.offset + 1}, true
				}
				return piece{}, false
			}
			break
		}
		s.skip(n)
	}
	p := piece{quoted: true}
	s.buf = s.buf[:0]
	for { // the From_ line itself
		line, err := s.r.ReadSlice('\n')
		s.offset += int64(len(line))
		s.buf = append(s.buf, line[:min(len(line), 1000)]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	from := bytes.Clone(s.buf)
	p.start = s.offset
	err := s.collect(&p, s.fromLine)
	p = s.finish(p, err)
	if p.size == 0 && p.gap == "" {
		p.gap, p.raw = "an empty message", from
	}
	return p, true
}

func (s *splitter) skip(n int) {
	n, _ = s.r.Discard(n) // the bytes were peeked
	s.offset += int64(n)
}

// collect reads lines into p until a line after an empty one satisfies stop, which is then not consumed, or the file ends. It
// returns the error that ended it, nil at the end of the file.
func (s *splitter) collect(p *piece, stop func() bool) error {
	p.start = s.offset
	s.buf, s.empty = s.buf[:0], 0
	empty, begun := true, true // the line before was empty; the next bytes begin a line
	for {
		if begun && empty {
			if head, _ := s.r.Peek(5); string(head) == "From " && stop() {
				return nil
			}
		}
		line, err := s.r.ReadSlice('\n')
		if begun {
			empty = len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
		} else {
			empty = false
		}
		s.empty = 0
		if empty {
			s.empty = len(line)
		}
		begun = err == nil
		s.offset += int64(len(line))
		p.size += int64(len(line))
		if room := maxMessage - len(s.buf); room >= len(line) {
			s.buf = append(s.buf, line...)
		} else if room > 0 {
			s.buf = append(s.buf, line[:room]...)
		}
		if err == io.EOF {
			s.over = true
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			s.over = true
			return err
		}
	}
}

// finish takes what was collected: without the empty line that an mbox puts after a message, and only the head when it is too large.
func (s *splitter) finish(p piece, err error) piece {
	p.end = s.offset
	raw := s.buf
	if p.quoted {
		p.size -= int64(s.empty)
		raw = raw[:min(int64(len(raw)), p.size)]
	}
	if p.size > maxMessage {
		raw = raw[:maxHead]
	}
	p.raw = bytes.Clone(raw)
	if cap(s.buf) > 4<<20 { // after a large message
		s.buf = nil
	}
	if err != nil {
		p.damage = "the file is damaged: " + err.Error()
		if p.size == 0 {
			p.gap = p.damage
		}
	}
	return p
}

// fromLine reports whether the reader stands before a From_ line: "From", a sender, a date as C's asctime writes it with or without
// a zone (RFC 4155 appendix A), and on the next line a header field. A sentence that begins with "From " is none.
func (s *splitter) fromLine() bool {
	head, _ := s.r.Peek(2000)
	line, rest, found := bytes.Cut(head, []byte("\n"))
	if !found || !asctime(string(line)) {
		return false
	}
	next, _, _ := bytes.Cut(rest, []byte("\n"))
	if len(bytes.TrimRight(next, "\r")) == 0 || bytes.HasPrefix(next, []byte(">From ")) {
		return true
	}
	_, ok := fieldName(next)
	return ok
}

// asctime reports whether words of the line are a weekday, a month, a time of day and a year, in that order, with others between.
func asctime(line string) bool {
	words := strings.Fields(line)
	step := 0
	for _, w := range words[1:] {
		ok := false
		switch step {
		case 0:
			ok = len(w) >= 3 && strings.Contains("Mon Tue Wed Thu Fri Sat Sun", w[:3]) && len(strings.TrimSuffix(w, ",")) == 3
		case 1:
			ok = len(w) == 3 && strings.Contains("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", w)
		case 2:
			ok = strings.Count(w, ":") >= 1 && strings.Trim(w, "0123456789:") == ""
		case 3:
			ok = len(w) == 4 && strings.Trim(w, "0123456789") == ""
		}
		if ok {
			step++
		}
	}
	return step == 4
}
