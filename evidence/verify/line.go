package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"

	"guia"
	"guia/proof"
)

// Reason says why a field is not disclosed.
type Reason string

// The reasons. Which of them is true is a statement of whoever made the bundle: both look the same to the proof.
const (
	Redacted Reason = "redacted" // withheld in this bundle
	Erased   Reason = "erased"   // its key was destroyed; nobody can disclose it any more
)

// Field is one field of an event in a bundle: its commitment, and either salt and value or the reason why they are not there.
type Field struct {
	Name       string
	Commitment [sha256.Size]byte
	Withheld   Reason // empty: disclosed
	Salt       [32]byte
	Value      []byte
}

// Line is one line of records.jsonl or custody.jsonl.
type Line struct {
	Index  int64
	Leaf   []byte
	Fields []Field
	Proof  []proof.Hash

	values []byte // what the values are views into
}

// Bounds of a line that hold whatever the caller's limits are.
const (
	maxName   = 64 // bytes of a field name; the longest registered one has 17
	maxHashes = 63 // hashes of a proof; a tree of proof.MaxSize needs fewer
)

// AppendLine appends the line with its LF. The leaf is one that canon wrote (printable ASCII and LF), names are registered ones:
// nothing is checked here, and [ParseLine] refuses what has another form.
func AppendLine(dst []byte, l *Line) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, l.Index, 10)
	dst = append(dst, `,"leaf":"`...)
	for _, c := range l.Leaf {
		if c == '\n' {
			dst = append(dst, '\\', 'n')
		} else {
			dst = append(dst, c)
		}
	}
	dst = append(dst, `","fields":[`...)
	for i := range l.Fields {
		f := &l.Fields[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"name":"`...)
		dst = append(dst, f.Name...)
		dst = append(dst, `","commitment":"`...)
		dst = hex.AppendEncode(dst, f.Commitment[:])
		if f.Withheld != "" {
			dst = append(dst, `","withheld":"`...)
			dst = append(dst, f.Withheld...)
		} else {
			dst = append(dst, `","salt":"`...)
			dst = base64.StdEncoding.AppendEncode(dst, f.Salt[:])
			dst = append(dst, `","value":"`...)
			dst = base64.StdEncoding.AppendEncode(dst, f.Value)
		}
		dst = append(dst, `"}`...)
	}
	dst = append(dst, `],"proof":[`...)
	for i := range l.Proof {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, l.Proof[i][:])
		dst = append(dst, '"')
	}
	return append(dst, "]}\n"...)
}

// ParseLine reads what [AppendLine] writes, with its LF, and nothing else; it verifies nothing. What was in line before is
// overwritten and its memory used again; text is not kept. The error is a *[Fault].
func ParseLine(line *Line, text []byte) error {
	if fault := line.parse(text); fault != nil {
		return fault
	}
	return nil
}

func (l *Line) parse(text []byte) *Fault {
	*l = Line{Leaf: l.Leaf[:0], Fields: l.Fields[:0], Proof: l.Proof[:0], values: l.values[:0]}
	if need := base64.StdEncoding.DecodedLen(len(text)); cap(l.values) < need {
		l.values = make([]byte, 0, need) // more than all values together, so that it never moves
	}
	s := scanner{text: text}
	var ok bool
	if !s.skip(`{"index":`) {
		return s.fault("")
	}
	if l.Index, ok = s.number(); !ok || !s.skip(`,"leaf":"`) || !s.leaf(l) || !s.skip(`","fields":[`) {
		return s.fault("")
	}
	for !s.skip(`]`) {
		if len(l.Fields) == guia.MaxFields || len(l.Fields) > 0 && !s.skip(`,`) {
			return s.fault("")
		}
		if f, ok := s.field(l); !ok {
			return s.fault(f.Name)
		} else {
			l.Fields = append(l.Fields, f)
		}
	}
	if !s.skip(`,"proof":[`) {
		return s.fault("")
	}
	for !s.skip(`]`) {
		var h proof.Hash
		if len(l.Proof) == maxHashes || len(l.Proof) > 0 && !s.skip(`,`) || !s.skip(`"`) || !s.base64Exactly(h[:]) || !s.skip(`"`) {
			return s.fault("proof")
		}
		l.Proof = append(l.Proof, h)
	}
	if !s.skip("}\n") || s.at != len(text) {
		return s.fault("")
	}
	return nil
}

// scanner walks over a line. Its methods leave the place where it is when they report false.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) fault(field string) *Fault {
	return &Fault{Field: field, Sentence: Sentence{"verify.line.form", []any{s.at + 1}}}
}

func (s *scanner) skip(literal string) bool {
	if len(s.text)-s.at < len(literal) || string(s.text[s.at:s.at+len(literal)]) != literal {
		return false
	}
	s.at += len(literal)
	return true
}

// number reads a decimal number up to proof.MaxSize without leading zeros.
func (s *scanner) number() (n int64, ok bool) {
	end := s.at
	for ; end < len(s.text) && s.text[end] >= '0' && s.text[end] <= '9'; end++ {
		if n > proof.MaxSize {
			return 0, false
		}
		n = n*10 + int64(s.text[end]-'0')
	}
	if end == s.at || n > proof.MaxSize || s.text[s.at] == '0' && end > s.at+1 {
		return 0, false
	}
	s.at = end
	return n, true
}

// leaf reads up to the closing quote: printable ASCII in which LF is \n and nothing else is escaped.
func (s *scanner) leaf(l *Line) bool {
	for i := s.at; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i
			return true
		case c == '\\':
			if i++; i == len(s.text) || s.text[i] != 'n' {
				return false
			}
			l.Leaf = append(l.Leaf, '\n')
		case c < ' ' || c > '~':
			return false
		default:
			l.Leaf = append(l.Leaf, c)
		}
	}
	return false
}

// field reads one object of "fields"; its name is set as soon as it is known, for the message.
func (s *scanner) field(l *Line) (f Field, ok bool) {
	if !s.skip(`{"name":"`) || !s.name(&f) || !s.skip(`","commitment":"`) || !s.hexExactly(f.Commitment[:]) {
		return f, false
	}
	switch {
	case s.skip(`","withheld":"redacted"}`):
		f.Withheld = Redacted
		return f, true
	case s.skip(`","withheld":"erased"}`):
		f.Withheld = Erased
		return f, true
	}
	if !s.skip(`","salt":"`) || !s.base64Exactly(f.Salt[:]) || !s.skip(`","value":"`) {
		return f, false
	}
	length := bytes.IndexByte(s.text[s.at:], '"')
	if length < 0 {
		return f, false
	}
	start := len(l.values)
	if l.values, ok = appendBase64(l.values, s.text[s.at:s.at+length]); !ok {
		return f, false
	}
	s.at += length
	f.Value = l.values[start:len(l.values):len(l.values)]
	return f, s.skip(`"}`)
}

func (s *scanner) name(f *Field) bool {
	end := s.at
	for end < len(s.text) && end-s.at <= maxName && isNameByte(s.text[end]) {
		end++
	}
	if end == s.at || end-s.at > maxName {
		return false
	}
	f.Name = string(s.text[s.at:end])
	s.at = end
	return true
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_'
}

// hexExactly fills dst from lower-case hexadecimal digits.
func (s *scanner) hexExactly(dst []byte) bool {
	if len(s.text)-s.at < 2*len(dst) || !lowerHex(dst, s.text[s.at:s.at+2*len(dst)]) {
		return false
	}
	s.at += 2 * len(dst)
	return true
}

// base64Exactly fills dst from canonical base64.
func (s *scanner) base64Exactly(dst []byte) bool {
	length := base64.StdEncoding.EncodedLen(len(dst))
	if len(s.text)-s.at < length {
		return false
	}
	got, ok := appendBase64(dst[:0], s.text[s.at:s.at+length])
	if !ok || len(got) != len(dst) {
		return false
	}
	s.at += length
	return true
}

var strictBase64 = base64.StdEncoding.Strict()

// appendBase64 decodes the one canonical spelling: padded, no unused bits, no line ends (which the decoder would skip). What it
// appends must fit into the capacity of dst.
func appendBase64(dst, text []byte) ([]byte, bool) {
	if bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, '\n') >= 0 {
		return dst, false
	}
	if len(text)%4 != 0 || cap(dst)-len(dst) < len(text)/4*3-bytes.Count(text[max(0, len(text)-2):], []byte("=")) {
		return dst, false
	}
	got, err := strictBase64.AppendDecode(dst, text)
	return got, err == nil
}

// lowerHex decodes lower-case digits only.
func lowerHex(dst, text []byte) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	n, err := hex.Decode(dst, text)
	return err == nil && n == len(dst)
}

// Fault is what is wrong with something that was read: a sentence of package lang, and the field it is about, if one.
type Fault struct {
	Field string
	Sentence
	about string // the file of the container that the sentence names
}

// Error is for logs: key and numbers. What a person reads comes from lang.
func (f *Fault) Error() string {
	if f.Field != "" {
		return fmt.Sprintf("field %s: %s %v", f.Field, f.Key, f.Args)
	}
	return fmt.Sprintf("%s %v", f.Key, f.Args)
}
