package evidence

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// meaning is a text as it is and as what encodes it may be undone.
type meaning struct {
	texts  []string // as it is, and layer by layer with escapes and encodings undone
	shreds []string // what can be read in anything that could be base64, wherever it begins, and among bytes that are no text
	sealed bool     // it holds what is encoded and cannot be undone
	cut    bool     // it is encoded more often, or says more, than is undone

	found []string // shreds that are not undone yet
	left  int      // how many bytes more may be undone
}

const (
	// mostLayers is how many times over a text may be encoded: deeper ones are what nobody writes.
	mostLayers = 16
	// mostUndone is how many times the length of a text, and how many bytes besides, are undone of it.
	mostUndone, undoneBesides = 32, 64 << 10
	// leastShred is the least bytes that are no accident among bytes that are no text.
	leastShred = 3
)

var (
	htmlTag = regexp.MustCompile(`<[^<>]*>`)
	// betweenWords stands between two encoded words of a header that are one text (RFC 2047).
	betweenWords = regexp.MustCompile(`\?=[\s+]*=\?[^?\s]{1,40}\?[bBqQ]\?`)
	encodedWord  = regexp.MustCompile(`=\?([^?\s]{1,40})\?[bBqQ]\?`)
)

// undo undoes the escapes of JSON, addresses on the web, HTML and mail, and base64, in the ways that sources write them, until nothing
// is left to undo. It takes time in proportion to the text.
func undo(s string) *meaning {
	m := &meaning{texts: []string{s}, left: mostUndone*len(s) + undoneBesides}
	m.layers(s, &m.texts)
	for _, one := range m.texts {
		if plain := htmlTag.ReplaceAllString(one, ""); plain != one {
			m.add(&m.texts, html.UnescapeString(plain))
		}
	}
	for again := 0; len(m.found) > 0 && again < mostLayers; again++ {
		found := strings.Join(m.found, "")
		m.shreds, m.found = append(m.shreds, found), nil
		m.layers(found, &m.shreds)
	}
	return m
}

// layers undoes layer by layer.
func (m *meaning) layers(s string, into *[]string) {
	steps := [...]func(string) string{joinLines, joinWords, unescapeJSON, unescapePercent, html.UnescapeString, unescapeMail, m.decode}
	for layers := 0; ; layers++ {
		layer := s
		m.seal(s)
		for _, step := range steps {
			if undone := step(s); undone != s {
				s = undone
				m.add(into, s)
			}
		}
		if m.cut = m.cut || layers == mostLayers; s == layer || m.cut {
			return
		}
	}
}

// add notes a text unless there are too many.
func (m *meaning) add(to *[]string, text string) {
	if m.left -= len(text); m.left < 0 {
		m.cut = true
		return
	}
	*to = append(*to, text)
}

// has reports whether the passage, which is squeezed, stands in the text.
func (m *meaning) has(passage string) bool {
	return m.cut || slices.ContainsFunc(m.texts, func(text string) bool { return strings.Contains(squeeze(text), passage) }) ||
		len(passage) >= leastShred && slices.ContainsFunc(m.shreds, func(text string) bool { return strings.Contains(squeeze(text), passage) })
}

// seal looks for what says that it is encoded in a way that is not undone: other character sets than Unicode's, and parts of a mail.
func (m *meaning) seal(s string) {
	for _, word := range encodedWord.FindAllStringSubmatch(s, -1) {
		if set := strings.ToLower(word[1]); set != "utf-8" && set != "us-ascii" {
			m.sealed = true
		}
	}
	m.sealed = m.sealed || strings.Contains(strings.ToLower(s), "content-transfer-encoding:")
}

// joinWords makes encoded words that follow each other one.
func joinWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	return betweenWords.ReplaceAllString(s, "")
}

var softBreak = strings.NewReplacer("=\r\n", "", "=\n", "")

// joinLines makes lines of quoted-printable that go on one.
func joinLines(s string) string { return softBreak.Replace(s) }

// unescapeMail undoes =XX of quoted-printable wherever it stands.
func unescapeMail(s string) string {
	if !strings.Contains(s, "=") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '=' {
			if n, ok := hex2(s, i+1); ok {
				b, i = append(b, n), i+2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

const (
	// leastSealed is how long what could be base64 is at least when it is taken for something encoded that is no text: longer than words,
	// identifiers and most paths.
	leastSealed = 64
	// leastLine is the least characters in a line of base64 behind which it may go on in the next.
	leastLine = 32
)

// decode undoes base64 in both of its alphabets where it is a text. Of everything that could be base64 it notes what can be read in it.
func (m *meaning) decode(s string) string {
	var out, shreds strings.Builder
	last := 0
	for at := 0; at < len(s); {
		if sextet(s[at]) < 0 {
			at++
			continue
		}
		digits, end := base64Run(s, at)
		if text := unpack(digits, 0); len(digits) >= 4 && len(digits)%4 != 1 && isText(text, len(digits) < 8) {
			out.WriteString(s[last:at])
			out.Write(text)
			last = end
		} else if len(digits) >= 4 {
			readable := 0
			for skip := range 4 {
				readable = max(readable, shred(&shreds, unpack(digits, skip)))
			}
			if len(digits) >= leastSealed && readable*4 < len(digits)*3*9/10 && looksEncoded(s[at:end]) {
				m.sealed = true
			}
		}
		if last != end && strings.HasSuffix(strings.ToLower(s[max(0, at-8):at]), ";base64,") {
			m.sealed = true
		}
		at = end
	}
	if found := shreds.String(); found != "" && !slices.Contains(m.found, found) {
		m.add(&m.found, found)
	}
	if last == 0 {
		return s
	}
	return out.String() + s[last:]
}

// base64Run returns the digits of what could be base64 and begins at a place, over the ends of lines, and where it ends.
func base64Run(s string, at int) (digits []byte, end int) {
	line := 0
	for end = at; end < len(s); {
		if v := sextet(s[end]); v >= 0 {
			digits = append(digits, byte(v))
			line, end = line+1, end+1
			continue
		}
		next := end
		for next < len(s) && next < end+4 && unicode.IsSpace(rune(s[next])) {
			next++
		}
		if next == end || next == len(s) || sextet(s[next]) < 0 || line < leastLine || line%4 != 0 {
			break
		}
		line, end = 0, next
	}
	for pad := 0; pad < 2 && end < len(s) && s[end] == '='; pad++ {
		end++
	}
	return digits, end
}

func sextet(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}

// unpack puts digits of six bits together, without the first ones.
func unpack(digits []byte, skip int) []byte {
	digits = digits[min(skip, len(digits)):]
	b := make([]byte, 0, len(digits)*3/4)
	bits, have := uint32(0), 0
	for _, d := range digits {
		if bits, have = bits<<6|uint32(d), have+6; have >= 8 {
			have -= 8
			b = append(b, byte(bits>>have))
		}
	}
	return b
}

// isText reports whether bytes are text; short ones only when they are nothing but letters and digits.
func isText(b []byte, short bool) bool {
	if len(b) == 0 || !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !letter(r) && (short || !readable(r)) {
			return false
		}
	}
	return true
}

func readable(r rune) bool { return r != utf8.RuneError && (unicode.IsPrint(r) || unicode.IsSpace(r)) }

// shred writes down what can be read among bytes, each piece in a line, and returns how many bytes that is.
func shred(to *strings.Builder, b []byte) (n int) {
	for len(b) > 0 {
		size := 0
		for size < len(b) {
			r, width := utf8.DecodeRune(b[size:])
			if !readable(r) {
				break
			}
			size += width
		}
		if size >= leastShred {
			to.Write(b[:size])
			to.WriteByte('\n')
			n += size
		}
		b = b[min(size+1, len(b)):]
	}
	return n
}

// looksEncoded reports whether characters are those of one alphabet, and of no word, number or digest in hexadecimal digits.
func looksEncoded(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsAny(s, "0123456789") &&
		(!strings.ContainsAny(s, "+/") || !strings.ContainsAny(s, "-_"))
}

// unescapePercent undoes %XX wherever it stands; anything else stays as it is.
func unescapePercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if n, ok := hex2(s, i+1); ok {
				b, i = append(b, n), i+2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unescapeJSON undoes the escapes of JSON strings wherever they stand.
func unescapeJSON(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't', 'f', 'b':
			b.WriteByte(' ')
		case 'x':
			n, ok := hex2(s, i+1)
			if !ok {
				b.WriteByte(c)
				continue
			}
			b.WriteByte(n)
			i += 2
		case 'u':
			r, ok := hex4(s, i+1)
			if !ok {
				b.WriteByte(c)
				continue
			}
			i += 4
			if utf16.IsSurrogate(r) && strings.HasPrefix(s[i+1:], `\u`) {
				if low, ok := hex4(s, i+3); ok {
					r, i = utf16.DecodeRune(r, low), i+6
				}
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+4], 16, 16)
	return rune(n), err == nil
}

func hex2(s string, at int) (byte, bool) {
	if at+2 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+2], 16, 8)
	return byte(n), err == nil
}

// searchable reports whether bytes as received can be looked through for a passage or a name: text in UTF-8 that is no mail, whose
// parts may be in other character sets, and holds nothing that is encoded otherwise.
func searchable(mediaType string, raw []byte) bool {
	if !utf8.Valid(raw) || strings.HasPrefix(mediaType, "message/") || strings.HasPrefix(mediaType, "multipart/") {
		return false
	}
	m := undo(string(raw))
	return !m.sealed && !m.cut
}
