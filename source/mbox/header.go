package mbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// header is the fields of a message or part, unfolded, in their order; damaged lines are left out and counted.
type header struct {
	fields  []field
	body    int // where the body begins in the bytes that were read
	damaged bool
}

type field struct {
	name  string // in lower case
	value []byte
}

const (
	maxFields = 5000    // of one header
	maxHeader = 1 << 20 // bytes of one header
)

// readHeader reads the fields at the beginning of a message or part, up to an empty line. It never fails: a line that is no field
// (RFC 5322 section 2.2) is passed over.
func readHeader(raw []byte) header {
	var h header
	at, folded := 0, false
	for at < len(raw) {
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			end = len(raw)
		} else {
			end += at + 1
		}
		line := bytes.TrimRight(raw[at:end], "\r\n")
		at = end
		if len(line) == 0 {
			break
		}
		if len(h.fields) >= maxFields || at > maxHeader {
			h.damaged = true
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if n := len(h.fields); n > 0 {
				f := &h.fields[n-1]
				if !folded { // from here on a copy, which grows in place
					f.value, folded = bytes.Clone(f.value), true
				}
				f.value = append(append(f.value, ' '), bytes.TrimLeft(line, " \t")...)
			} else {
				h.damaged = true
			}
			continue
		}
		name, ok := fieldName(line)
		if !ok {
			h.damaged = h.damaged || !bytes.HasPrefix(line, []byte(">From "))
			continue
		}
		folded = false
		h.fields = append(h.fields, field{strings.ToLower(name), bytes.TrimSpace(line[bytes.IndexByte(line, ':')+1:])})
	}
	h.body = at
	return h
}

// get returns the first field of a name, nil when there is none.
func (h *header) get(name string) []byte {
	for _, f := range h.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// messageID returns the Message-ID without angle brackets and white space, empty when there is none.
func messageID(h header) string {
	ids := messageIDs(h.get("message-id"))
	if len(ids) > 0 {
		return ids[0]
	}
	id := strings.Join(strings.Fields(strings.ToValidUTF8(string(h.get("message-id")), "\uFFFD")), "")
	if len(id) > maxID {
		return ""
	}
	return strings.Trim(id, "<>")
}

// maxID is the longest Message-ID that becomes a key; RFC 5322 allows lines of 998 bytes.
const maxID = 998

// messageIDs returns what stands in angle brackets (RFC 5322 section 3.6.4), at most 1000 of them.
func messageIDs(value []byte) (ids []string) {
	for len(ids) < 1000 {
		_, rest, found := bytes.Cut(value, []byte("<"))
		if !found {
			break
		}
		id, rest, found := bytes.Cut(rest, []byte(">"))
		if !found {
			break
		}
		text := strings.Join(strings.Fields(strings.ToValidUTF8(string(id), "\uFFFD")), "")
		if text != "" && len(text) <= maxID {
			ids = append(ids, text)
		}
		value = rest
	}
	return ids
}

// ids collects Message-IDs to find those that messages with different bytes share.
type ids struct{ all []seenID }

// seenID is 16 bytes for a message: enough to tell, not enough to be wrong in a way that loses something, because two messages that
// are taken for a conflict merely get a longer key.
type seenID struct {
	id  uint64
	raw [8]byte
}

func newIDs() *ids { return &ids{} }

func (s *ids) add(id string, raw []byte) {
	if id != "" {
		s.all = append(s.all, seenID{hashID(id), hashRaw(raw)})
	}
}

// conflicts returns the digest of the first message for each Message-ID that has several.
func (s *ids) conflicts() map[uint64][8]byte {
	slices.SortStableFunc(s.all, func(a, b seenID) int {
		if a.id < b.id {
			return -1
		}
		if a.id > b.id {
			return 1
		}
		return 0
	})
	first := map[uint64][8]byte{}
	for i := 0; i < len(s.all); {
		end := i + 1
		for end < len(s.all) && s.all[end].id == s.all[i].id {
			if s.all[end].raw != s.all[i].raw {
				first[s.all[i].id] = s.all[i].raw
			}
			end++
		}
		i = end
	}
	return first
}

func hashID(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

func hashRaw(raw []byte) [8]byte {
	sum := sha256.Sum256(raw)
	return [8]byte(sum[:8])
}

// decodeWords reads a field's text: encoded words (RFC 2047) in any character set, 8-bit bytes as UTF-8 (RFC 6532) or else in the
// set that the message names elsewhere. Adjacent words of one set are joined before they are decoded, because mail programs cut
// through characters. Clean is false when something could not be decoded.
func decodeWords(value []byte, fallback string) (text string, clean bool) {
	var b strings.Builder
	clean = true
	var pending []byte // decoded bytes of adjacent words in the set
	set := ""
	flush := func() {
		if len(pending) > 0 {
			s, ok := toUTF8(pending, set)
			b.WriteString(s)
			clean = clean && ok
			pending = nil
		}
	}
	for len(value) > 0 {
		at := bytes.Index(value, []byte("=?"))
		if at < 0 {
			break
		}
		word, charset, size := encodedWord(value[at:])
		if size == 0 {
			flush()
			s, ok := toUTF8(value[:at+2], fallback)
			b.WriteString(s)
			clean = clean && ok
			value = value[at+2:]
			continue
		}
		between := value[:at]
		if len(bytes.TrimSpace(between)) > 0 || len(pending) == 0 || !strings.EqualFold(set, charset) {
			flush()
			if len(bytes.TrimSpace(between)) > 0 || b.Len() == 0 {
				s, ok := toUTF8(between, fallback)
				b.WriteString(s)
				clean = clean && ok
			}
		}
		set = charset
		pending = append(pending, word...)
		value = value[at+size:]
	}
	flush()
	s, ok := toUTF8(value, fallback)
	b.WriteString(s)
	return oneLine(b.String()), clean && ok
}

// encodedWord reads the encoded word at the beginning of s: its bytes, its character set, and how long it is; 0 when it is none.
func encodedWord(s []byte) (word []byte, charset string, size int) {
	parts := bytes.SplitN(s[:min(len(s), 2000)], []byte("?"), 5)
	if len(parts) < 5 || len(parts[2]) != 1 || len(parts[4]) == 0 || parts[4][0] != '=' {
		return nil, "", 0
	}
	charset, _, _ = strings.Cut(string(parts[1]), "*") // RFC 2231 section 5: a language may follow
	switch parts[2][0] {
	case 'B', 'b':
		word = decodeBase64(parts[3])
	case 'Q', 'q':
		word = decodeQ(parts[3])
	default:
		return nil, "", 0
	}
	return word, charset, 2 + len(parts[1]) + 1 + 1 + 1 + len(parts[3]) + 2
}

// decodeQ is quoted-printable as RFC 2047 section 4.2 has it for words: an underscore is a space.
func decodeQ(s []byte) []byte {
	return decodeQuotedPrintable(bytes.ReplaceAll(s, []byte("_"), []byte("=20")))
}

// decodeQuotedPrintable decodes RFC 2045 section 6.7; what is not well formed stays as it is.
func decodeQuotedPrintable(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		at := bytes.IndexByte(s, '=')
		if at < 0 {
			break
		}
		out = append(out, s[:at]...)
		s = s[at:]
		if len(s) >= 3 {
			high, ok1 := unhex(s[1])
			low, ok2 := unhex(s[2])
			if ok1 && ok2 {
				out = append(out, high<<4|low)
				s = s[3:]
				continue
			}
		}
		rest := bytes.TrimLeft(s[1:min(len(s), 80)], " \t") // a soft line break
		cut := len(s[1:min(len(s), 80)]) - len(rest) + 1
		switch {
		case bytes.HasPrefix(rest, []byte("\r\n")):
			s = s[cut+2:]
		case bytes.HasPrefix(rest, []byte("\n")):
			s = s[cut+1:]
		case len(rest) == 0 && cut == len(s):
			s = nil
		default:
			out = append(out, '=')
			s = s[1:]
		}
	}
	return append(out, s...)
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// decodeBase64 decodes RFC 2045 section 6.8. Bytes outside of the alphabet are passed over; after padding a new run begins, because
// some programs encode a file in pieces; a run that lacks its end loses at most two bytes.
func decodeBase64(s []byte) []byte {
	digits := make([]byte, 0, len(s))
	out := make([]byte, 0, len(s)/4*3+3)
	flush := func() {
		if len(digits)%4 == 1 {
			digits = digits[:len(digits)-1]
		}
		out, _ = base64.RawStdEncoding.AppendDecode(out, digits) // only the alphabet is in there
		digits = digits[:0]
	}
	for _, c := range s {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
			digits = append(digits, c)
		case c == '=':
			flush()
		}
	}
	flush()
	return out
}

// toUTF8 decodes bytes in a named character set. Without a name, or with one that nobody knows, they are taken for UTF-8. Clean is
// false when some bytes stand for no character and were replaced.
func toUTF8(s []byte, charset string) (text string, clean bool) {
	enc := lookUp(charset)
	if ascii(s) && (enc == nil || !shifting(charset)) {
		return string(s), true
	}
	if enc == nil {
		if utf8.Valid(s) {
			return string(s), true
		}
		return strings.ToValidUTF8(string(s), "\uFFFD"), false
	}
	out, err := enc.NewDecoder().Bytes(s)
	text = strings.ToValidUTF8(string(out), "\uFFFD")
	return text, err == nil && !strings.ContainsRune(text, utf8.RuneError)
}

func ascii(s []byte) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf || c == 0x1b {
			return false
		}
	}
	return true
}

// shifting reports whether 7-bit bytes of the set may be something else than ASCII.
func shifting(charset string) bool {
	c := strings.ToLower(charset)
	return strings.HasPrefix(c, "utf-16") || strings.HasPrefix(c, "utf-32") || strings.HasPrefix(c, "hz") || strings.HasPrefix(c, "iso-2022") ||
		strings.Contains(c, "037") || strings.Contains(c, "ebcdic")
}

// lookUp returns the decoder of a character set, nil for UTF-8, ASCII and unknown ones. Names are the WHATWG's, which know what mail
// programs mean by them, then IANA's; GB 2312 and GBK are read as their superset GB 18030.
func lookUp(charset string) encoding.Encoding {
	name := strings.ToLower(strings.Trim(charset, " \t\"'"))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "unknown-8bit", "default", "utf-7":
		return nil
	case "gb2312", "gbk", "gb18030", "cp936", "x-gbk", "gb_2312-80", "ms936", "euc-cn":
		return simplifiedchinese.GB18030
	case "hz-gb-2312":
		return simplifiedchinese.HZGB2312
	}
	if enc, err := htmlindex.Get(name); err == nil && enc != encoding.Replacement {
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(name); err == nil {
		return enc
	}
	return nil
}

// oneLine makes a field's text fit on one line: control characters become spaces, outer spaces go.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}
