package slack

import (
	"bytes"
	"errors"
	"io"
)

// item is one element of a JSON array: its bytes, or why they cannot be read.
type item struct {
	raw []byte // a copy of its own; with gap at most gapBytes of it
	gap string
}

const (
	gapBytes = 64 << 10 // how much of something unreadable is kept

	tooLarge      = "larger than the limit for one message"
	ignoredReason = "this part of a Slack export is not read"
)

// items cuts a JSON array into its elements without holding more than one, and without looking into them. It is no JSON parser: an
// element ends where its brackets balance, outside of strings (RFC 8259); whether it is valid is found out by whoever reads it.
type items struct {
	r     io.Reader
	buf   []byte
	start int // of what was not consumed, in buf
	end   int
	total int64 // bytes read from r
	err   error // of r
	begun bool
	over  bool
}

func newItems(r io.Reader) *items { return &items{r: r, buf: make([]byte, 64<<10)} }

// read is how many bytes were consumed.
func (s *items) read() int64 { return s.total - int64(s.end-s.start) }

// next returns the next element, and false after the last. Damage is an element too, the last one.
func (s *items) next() (item, bool) {
	if s.over {
		return item{}, false
	}
	c, ok := s.peek()
	if !s.begun && ok {
		if c != '[' {
			return s.stop("not a JSON array")
		}
		s.begun = true
		s.start++
		if c, ok = s.peek(); ok && c == ']' {
			return s.finish()
		}
	} else if ok {
		switch c {
		case ']':
			return s.finish()
		case ',':
			s.start++
			c, ok = s.peek()
		default:
			return s.stop("elements are not separated by commas")
		}
	}
	if !ok {
		return s.stop(s.ended())
	}
	return s.element(c)
}

// element returns the element that begins at start with c.
func (s *items) element(c byte) (item, bool) {
	var (
		depth, at int
		quoted    bool
		escaped   bool
		skipped   bool
		prefix    []byte
	)
	for {
		window := s.buf[s.start+at : s.end]
		for i, b := range window {
			if quoted {
				switch {
				case escaped:
					escaped = false
				case b == '\\':
					escaped = true
				case b == '"':
					quoted = false
				}
				continue
			}
			done := at + i
			switch b {
			case '"':
				quoted = true
				continue
			case '{', '[':
				depth++
				continue
			case '}':
				depth--
				if depth > 0 {
					continue
				}
				done++
			case ']':
				depth--
				if depth > 0 {
					continue
				}
				if depth == 0 {
					done++
				}
			case ',':
				if depth > 0 {
					continue
				}
			default:
				continue
			}
			raw := bytes.Clone(s.buf[s.start : s.start+done])
			s.start += done
			switch {
			case skipped:
				return item{prefix, tooLarge}, true
			case c != '{':
				return item{raw[:min(len(raw), gapBytes)], "not a JSON object"}, true
			}
			return item{raw: raw}, true
		}
		at += len(window)
		if at > maxObject {
			if !skipped {
				prefix, skipped = bytes.Clone(s.buf[s.start:s.start+gapBytes]), true
			}
			s.start += at
			at = 0
		}
		if !s.more() {
			if skipped {
				return s.stop(tooLarge)
			}
			return s.stop(s.ended())
		}
	}
}

// peek returns the next byte that is no white space, and false at the end.
func (s *items) peek() (byte, bool) {
	for {
		for s.start < s.end {
			switch c := s.buf[s.start]; {
			case c == ' ' || c == '\t' || c == '\r' || c == '\n':
				s.start++
			case !s.begun && s.read() == 0 && bytes.HasPrefix(s.buf[s.start:s.end], []byte("\xEF\xBB\xBF")):
				s.start += 3
			default:
				return c, true
			}
		}
		if !s.more() {
			return 0, false
		}
	}
}

// more reads on, moving what was not consumed to the front; false at the end or at the limit of a file.
func (s *items) more() bool {
	if s.start > 0 && (s.start == s.end || s.start > len(s.buf)/2) {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range 100 {
		if s.err != nil || s.total >= maxEntry {
			return false
		}
		var n int
		n, s.err = s.r.Read(s.buf[s.end:])
		s.end += n
		s.total += int64(n)
		if n > 0 {
			return true
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// ended says why there is nothing more although the array is not closed.
func (s *items) ended() string {
	switch {
	case s.err == nil:
		return "the file is larger than the limit"
	case errors.Is(s.err, io.EOF):
		return "the file ends in the middle"
	}
	return "the file is damaged: " + s.err.Error()
}

// finish ends with the bracket that closes the array, provided that the file is whole: a zip knows the digest of its files.
func (s *items) finish() (item, bool) {
	s.start++
	s.over = true
	if _, ok := s.peek(); ok {
		return item{s.rest(), "something follows the end of the JSON array"}, true
	}
	if !errors.Is(s.err, io.EOF) {
		return item{nil, s.ended()}, true
	}
	return item{}, false
}

// stop ends with a gap.
func (s *items) stop(why string) (item, bool) {
	s.over = true
	return item{s.rest(), why}, true
}

// rest is the beginning of what was not consumed.
func (s *items) rest() []byte {
	return bytes.Clone(s.buf[s.start:min(s.end, s.start+gapBytes)])
}
