package mapped

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of a JSON value.
const maxDepth = 64

var (
	errNotJSON = errors.New("not valid JSON")
	errTooDeep = errors.New("nested deeper than " + strconv.Itoa(maxDepth) + " levels")
)

// object is a JSON value whose members were found once, so that fields can be looked up without reading it again.
type object struct {
	whole   []byte
	members []member // of an object
}

// names are those of the members, as paths; never nil.
func (o *object) names() []string {
	names := []string{}
	for _, m := range o.members {
		names = append(names, literal(m.name).String())
	}
	return names
}

type member struct {
	name  string
	value []byte
}

// parseRow reads scanned, which is one whole JSON value, into r; what is not JSON makes r a gap.
func parseRow(r *row, scanned []byte, enc Encoding) {
	if enc.double() {
		var text string
		text, r.badBytes = enc.text(scanned)
		scanned = []byte(text)
	} else if !utf8.Valid(scanned) {
		r.badBytes = true
		scanned = bytes.ToValidUTF8(scanned, []byte("\uFFFD"))
	}
	doc, err := parseObject(scanned, r.doc.members[:0])
	if err != nil {
		r.gap = err.Error()
		return
	}
	r.doc = doc
}

// parseObject checks a whole JSON value and notes the members of an object. The members point into b.
func parseObject(b []byte, members []member) (object, error) {
	b = bytes.Trim(b, " \t\r\n") // RFC 8259 section 2: no other white space
	doc := object{whole: b}
	var err error
	var end int
	if len(b) > 0 && b[0] == '{' {
		end, err = eachMember(b, 0, 1, func(name, value []byte) {
			key, _ := unquote(name)
			members = append(members, member{key, value})
		})
		doc.members = members
	} else {
		end, err = value(b, 0, 1)
	}
	if err == nil && end != len(b) {
		err = errNotJSON
	}
	return doc, err
}

// eachMember checks the object at i and calls f with each name, quoted, and value; it returns the place after the object.
func eachMember(b []byte, i, depth int, f func(name, value []byte)) (int, error) {
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return i, errNotJSON
		}
		nameEnd, err := text(b, i)
		if err != nil {
			return nameEnd, err
		}
		colon := space(b, nameEnd)
		if colon >= len(b) || b[colon] != ':' {
			return colon, errNotJSON
		}
		start := space(b, colon+1)
		end, err := value(b, start, depth+1)
		if err != nil {
			return end, err
		}
		if f != nil {
			f(b[i:nameEnd], b[start:end])
		}
		i = space(b, end)
		switch {
		case i < len(b) && b[i] == '}':
			return i + 1, nil
		case i < len(b) && b[i] == ',':
			i = space(b, i+1)
		default:
			return i, errNotJSON
		}
	}
}

// value checks the value at i and returns the place after it.
func value(b []byte, i, depth int) (int, error) {
	if depth > maxDepth {
		return i, errTooDeep
	}
	if i >= len(b) {
		return i, errNotJSON
	}
	switch b[i] {
	case '"':
		return text(b, i)
	case '{':
		return eachMember(b, i, depth, nil)
	case '[':
		return eachElement(b, i, depth, nil)
	}
	end := i
	for end < len(b) && strings.IndexByte(" \t\r\n,]}:", b[end]) < 0 {
		end++
	}
	switch word := b[i:end]; {
	case string(word) == "null", string(word) == "true", string(word) == "false":
		return end, nil
	case number(word):
		return end, nil
	}
	return i, errNotJSON
}

// eachElement checks the array at i and calls f with each value; it returns the place after the array.
func eachElement(b []byte, i, depth int, f func(value []byte)) (int, error) {
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		start := i
		end, err := value(b, i, depth+1)
		if err != nil {
			return end, err
		}
		if f != nil {
			f(b[start:end])
		}
		i = space(b, end)
		switch {
		case i < len(b) && b[i] == ']':
			return i + 1, nil
		case i < len(b) && b[i] == ',':
			i = space(b, i+1)
		default:
			return i, errNotJSON
		}
	}
}

// text checks the quoted text at i.
func text(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return i, errNotJSON
		case c == '\\':
			i++
			if i >= len(b) {
				return i, errNotJSON
			}
			if b[i] == 'u' {
				if i+4 >= len(b) || !hexadecimal(b[i+1:i+5]) {
					return i, errNotJSON
				}
				i += 4
			} else if strings.IndexByte(`"\/bfnrt`, b[i]) < 0 {
				return i, errNotJSON
			}
		}
	}
	return i, errNotJSON
}

func hexadecimal(b []byte) bool {
	for _, c := range b {
		if strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
			return false
		}
	}
	return true
}

// number reports whether b is a number as RFC 8259 section 6 has it.
func number(b []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(b) && b[n] >= '0' && b[n] <= '9' {
			n++
		}
		b = b[n:]
		return n > 0
	}
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 1 && b[0] == '0' && b[1] >= '0' && b[1] <= '9' {
		return false
	}
	if !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		b = b[1:]
		if !digits() {
			return false
		}
	}
	if len(b) > 0 && b[0]|0x20 == 'e' {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(b) == 0
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// unquote reads a checked quoted text. Halves of surrogate pairs become U+FFFD, and bad says so.
func unquote(b []byte) (s string, bad bool) {
	b = b[1 : len(b)-1]
	next := bytes.IndexByte(b, '\\')
	if next < 0 {
		return string(b), false
	}
	out := make([]byte, 0, len(b))
	for next >= 0 {
		out = append(out, b[:next]...)
		c := b[next+1]
		b = b[next+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		}
		if c != 'u' {
			out = append(out, c)
		} else {
			r := unit16(b)
			b = b[4:]
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				if len(b) >= 6 && b[0] == '\\' && b[1] == 'u' {
					pair = utf16.DecodeRune(r, unit16(b[2:]))
				}
				if pair == utf8.RuneError {
					bad = true
				} else {
					b = b[6:]
				}
				r = pair
			}
			out = utf8.AppendRune(out, r)
		}
		next = bytes.IndexByte(b, '\\')
	}
	return string(append(out, b...)), bad
}

func unit16(b []byte) rune {
	var u [2]byte
	_, _ = hex.Decode(u[:], b[:4]) // checked
	return rune(u[0])<<8 | rune(u[1])
}

// arrayReader finds the records in a JSON document while it passes by: the elements that a path leads to.
type arrayReader struct {
	w      *window
	path   steps // to the records; ends in each unless the document itself is the record
	began  bool
	over   bool
	stack  []frame
	head   []byte // the beginning of the file
	number int64
	found  bool  // that an array stood where the path leads
	from   int64 // records before this place are passed over without being read
}

// headSize is how much of the beginning of a document stands in a gap for the whole of it.
const headSize = 4 << 10

// frame is a container the reader is inside of: what step of the path is applied to its members.
type frame struct {
	array bool
	step  int
	first bool
}

// next reads one record; io.EOF after the last.
func (a *arrayReader) next(ctx context.Context, r *row) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		members := r.doc.members
		*r = row{rawType: "application/json", doc: object{members: members}}
		ok, err := a.step(r)
		if err != nil {
			return err
		}
		if ok && r.start >= a.from {
			return nil
		}
	}
}

// step goes on by one member, element or bracket; ok says that r is a record or a gap.
func (a *arrayReader) step(r *row) (ok bool, err error) {
	if a.over {
		return false, io.EOF
	}
	if !a.began {
		a.began = true
		if _, more := a.peek(); !more {
			a.over = true
			return false, a.w.err
		}
		for len(a.w.bytes()) < headSize && a.w.more() {
		}
		a.head = bytes.Clone(a.w.behind(0, min(len(a.w.bytes()), headSize)))
		return a.value(r, 0)
	}
	if len(a.stack) == 0 {
		a.over = true
		if _, more := a.peek(); more {
			return a.broken(r, "something follows the end of the JSON document")
		}
		if !a.found {
			return a.nothing(r)
		}
		return false, a.w.err
	}
	top := &a.stack[len(a.stack)-1]
	c, more := a.peek()
	if !more {
		return a.broken(r, "the file ends inside the JSON document")
	}
	if c == '}' && !top.array || c == ']' && top.array {
		a.w.take(1)
		a.stack = a.stack[:len(a.stack)-1]
		return false, nil
	}
	if !top.first {
		if c != ',' {
			return a.broken(r, "a comma is missing")
		}
		a.w.take(1)
		if c, more = a.peek(); !more {
			return a.broken(r, "the file ends inside the JSON document")
		}
	}
	top.first = false
	step := a.path[top.step]
	if !top.array {
		if c != '"' {
			return a.broken(r, "a name is missing")
		}
		n, whole, _, err := a.extent()
		if err != nil || !whole {
			return a.broken(r, "a name is not valid JSON")
		}
		quoted := a.w.bytes()[:n]
		if _, err := text(quoted, 0); err != nil {
			return a.broken(r, "a name is not valid JSON")
		}
		decoded, _ := a.w.enc.text(quoted)
		name, _ := unquote([]byte(decoded))
		a.w.take(n)
		if c, more = a.peek(); !more || c != ':' {
			return a.broken(r, "a colon is missing")
		}
		a.w.take(1)
		if _, more = a.peek(); !more {
			return a.broken(r, "the file ends inside the JSON document")
		}
		if name != step.name {
			return a.skip(r)
		}
	}
	return a.value(r, top.step+1)
}

// value deals with the value that begins here, to which the first k steps of the path have led.
func (a *arrayReader) value(r *row, k int) (bool, error) {
	if k == len(a.path) {
		a.found = true
		return a.record(r)
	}
	c := a.w.bytes()[0]
	step := a.path[k]
	switch {
	case c == '[' && step.each, c == '{' && !step.each && !step.elem:
		a.found = a.found || step.each && k == len(a.path)-1
		a.w.take(1)
		a.stack = append(a.stack, frame{array: c == '[', step: k, first: true})
		return false, nil
	}
	return a.skip(r)
}

// record takes the value that begins here.
func (a *arrayReader) record(r *row) (bool, error) {
	a.number++
	r.number, r.start = a.number, a.w.off
	n, whole, kept, err := a.extent()
	if err != nil {
		return false, err
	}
	if kept != nil { // larger than the limit: it went by already
		r.raw, r.end, r.oversize = kept, a.w.off, true
		r.gap = "a record of more than " + strconv.Itoa(maxRow>>20) + " MiB"
		return true, nil
	}
	if !whole {
		return a.broken(r, "the file ends inside a record")
	}
	if n == 0 {
		return a.broken(r, "a value is missing")
	}
	scanned := a.w.bytes()[:n]
	r.raw = a.w.take(n)
	r.end = a.w.off
	if r.start >= a.from && !r.tooLarge() {
		parseRow(r, scanned, a.w.enc)
	}
	return true, nil
}

// skip passes over the value that begins here.
func (a *arrayReader) skip(r *row) (bool, error) {
	n, whole, kept, err := a.extent()
	switch {
	case err != nil:
		return false, err
	case kept != nil:
		return false, nil
	case !whole:
		return a.broken(r, "the file ends inside the JSON document")
	}
	a.w.take(n)
	return false, nil
}

// peek passes over white space and shows the next byte.
func (a *arrayReader) peek() (byte, bool) {
	for {
		b := a.w.bytes()
		n := space(b, 0)
		a.w.take(n)
		if n < len(b) {
			return b[n], true
		}
		if !a.w.more() {
			return 0, false
		}
	}
}

// extent finds the end of the value that begins here, from its brackets and quotes alone, so that a mistake inside one record is no
// mistake of the next. A value larger than the limit is moved past, and its beginning returned in kept.
func (a *arrayReader) extent() (n int, whole bool, kept []byte, err error) {
	done := func(i int) (int, bool, []byte, error) {
		if kept != nil {
			return 0, true, a.w.drop(i, kept), nil
		}
		return i, true, nil, nil
	}
	var depth int
	var quoted bool
	double := a.w.enc.double()
	for i := 0; ; {
		b := a.w.bytes()
	scan:
		for i < len(b) {
			c := b[i]
			switch {
			case double && c >= 0x80: // its second byte may look like a bracket, a quote or a backslash
				if i+1 == len(b) && a.w.err == nil {
					break scan
				}
				i++
				if i < len(b) && b[i] >= 0x40 {
					i++
				}
			case quoted && c == '\\':
				if i+1 == len(b) && a.w.err == nil {
					break scan
				}
				i = min(i+2, len(b))
			case quoted && c != '"':
				i++
				for !double && i < len(b) && b[i] != '"' && b[i] != '\\' {
					i++
				}
			case c == '"':
				quoted = !quoted
				i++
				if depth == 0 && !quoted {
					return done(i)
				}
			case c == '{' || c == '[':
				depth++
				i++
			case (c == '}' || c == ']') && depth > 0:
				depth--
				i++
				if depth == 0 {
					return done(i)
				}
			case depth == 0 && (c == ',' || c == ':' || c == '}' || c == ']' || c <= ' '): // the end of a number or word
				return done(i)
			default:
				i++
			}
		}
		if i > maxRow || kept != nil {
			kept = a.w.drop(i, kept)
			i = 0
		}
		if !a.w.more() {
			break
		}
	}
	if !atEnd(a.w.err) {
		return 0, false, nil, a.w.err
	}
	return len(a.w.bytes()), depth == 0 && !quoted && kept == nil, nil, nil
}

// broken makes a gap of the rest of the file, which cannot be read.
func (a *arrayReader) broken(r *row, why string) (bool, error) {
	if a.w.err != nil && !atEnd(a.w.err) {
		return false, a.w.err
	}
	if r.number == 0 {
		a.number++
		r.number, r.start = a.number, a.w.off
	}
	r.gap = why
	r.raw = a.w.dropRest(nil)
	r.end = a.w.off
	a.over = true
	if !atEnd(a.w.err) {
		return false, a.w.err
	}
	if len(r.raw) == 0 { // the file ends too early; what there is stands before
		r.raw, r.start = a.head, r.end-1
	}
	return true, nil
}

// nothing makes a gap of a document that has no array where the mapping expects one.
func (a *arrayReader) nothing(r *row) (bool, error) {
	r.number, r.start, r.end = a.number+1, 0, a.w.off
	r.gap = "no list of records at " + a.path.String()
	r.raw = a.head
	return true, nil
}
