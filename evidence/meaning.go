package evidence

import (
	"bytes"
	"encoding/hex"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// meaning is a text as it is and as what encodes it may be undone.
type meaning struct {
	texts  []string // as it is, and layer by layer with escapes and encodings undone
	shreds []string // what can be read in anything that could be base64 or hexadecimal, wherever it begins, in any character set
	sealed bool     // it holds what is encoded and cannot be undone
	cut    bool     // it is encoded more often, or says more, than is undone

	found []string        // shreds that are not undone yet
	tried map[string]bool // bytes that were read in every character set
	left  int             // how many bytes more may be undone
}

const (
	// mostLayers is how many times over a text may be encoded: deeper ones are what nobody writes.
	mostLayers = 16
	// mostUndone is how many times the length of a text, and how many bytes besides, are undone of it.
	mostUndone, undoneBesides = 64, 64 << 10
	// leastShred is the least bytes that are no accident among bytes that are no text.
	leastShred = 3
)

var (
	htmlTag = regexp.MustCompile(`<[^<>]*>`)
	// unshown is what a browser does not show: a comment, or a tag, in whose attributes anything may stand.
	unshown = regexp.MustCompile(`(?s)<!--(?:-?>|.*?--!?>)|<[A-Za-z/!?](?:"[^"]*"|'[^']*'|[^'">])*>`)
	// betweenWords stands between two encoded words of a header that are one text (RFC 2047).
	betweenWords = regexp.MustCompile(`\?=[\s+]*=\?[^?\s]{1,40}\?[bBqQ]\?`)
	// parameter is what stands before the sign between the name and the value of a parameter of an address on the web.
	parameter = regexp.MustCompile(`[?&][A-Za-z0-9_.-]+$`)
	// armour begins uuencode and ascii85.
	armour      = regexp.MustCompile(`(?m)^begin(?:-base64)? [0-7]{3,4} |<~`)
	encodedWord = regexp.MustCompile(`=\?([^?\s]{1,40})\?[bBqQ]\?`)
)

// undo undoes the escapes of JSON and JavaScript, addresses on the web, HTML and mail, base64, base32 and hexadecimal digits, in the ways that
// sources write them, until nothing is left to undo. Undone bytes are read in UTF-8, and in the other character sets of Macau's offices.
// It takes time in proportion to the text.
func undo(s string) *meaning {
	m := &meaning{texts: []string{s}, left: mostUndone*len(s) + undoneBesides, tried: map[string]bool{}}
	m.layers(s, &m.texts)
	for _, one := range m.texts {
		for _, tag := range [...]*regexp.Regexp{htmlTag, unshown} {
			if plain := tag.ReplaceAllString(one, ""); plain != one {
				m.add(&m.texts, html.UnescapeString(plain))
			}
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
	steps := [...]func(string) string{joinLines, joinWords, m.unescapeJSON, m.unescapePercent, html.UnescapeString, m.unescapeMail, m.decode}
	for layers := 0; ; layers++ {
		layer := s
		m.seal(s)
		m.decodeHex(s)
		m.decodeBase32(s)
		if strings.Contains(s, "=") { // what stands behind the sign may be base64, and no byte of quoted-printable
			if decoded := m.decode(s); decoded != s {
				m.add(&m.found, decoded)
			}
		}
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

// has reports whether the passage, which is squeezed, stands in one of these texts of it, or in what could be encoded.
func (m *meaning) has(texts []string, passage string) bool {
	return m.cut || slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(squeeze(text), passage) }) ||
		len(passage) >= leastShred && slices.ContainsFunc(m.shreds, func(text string) bool { return strings.Contains(squeeze(text), passage) })
}

// seal looks for what says that it is encoded in a way that is not undone for certain: other character sets than Unicode's, parts of a mail,
// what is compressed, uuencode and ascii85.
func (m *meaning) seal(s string) {
	for _, word := range encodedWord.FindAllStringSubmatch(s, -1) {
		if set := strings.ToLower(word[1]); set != "utf-8" && set != "us-ascii" {
			m.sealed = true
		}
	}
	lower := strings.ToLower(s)
	m.sealed = m.sealed || strings.Contains(lower, "content-transfer-encoding:") || armour.MatchString(s) ||
		strings.Contains(s, "H4sI") || strings.Contains(lower, "1f8b08") // gzip begins so, in base64 and in hexadecimal digits
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

// unescape undoes escapes that begin with a mark; escape returns what one at the beginning of rest stands for, and how long it is, zero
// when none stands there. A single byte that is no ASCII may be a part of a character in any set: such bytes are read in all, with the
// ASCII around them, which may be their other half.
func (m *meaning) unescape(s string, mark byte, escape func(rest string) (undone string, length int)) string {
	if strings.IndexByte(s, mark) < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	start, foreign := 0, -1 // there is none
	end := func() {
		if foreign >= 0 {
			m.readForeign(b[start:], foreign >= leastShred) // fewer are an accident, as in the name of a folder, \2019
		}
		start, foreign = len(b), -1
	}
	for i := 0; i < len(s); {
		if s[i] == mark {
			if undone, length := escape(s[i:]); length > 0 {
				switch {
				case len(undone) > 1: // a character
					end()
					b = append(b, undone...)
					start = len(b)
				default:
					b = append(b, undone...)
					if undone != "" && (undone[0] >= utf8.RuneSelf || undone[0] == 0) {
						if foreign = max(foreign, 0); mark != '=' || !parameter.MatchString(s[max(0, i-40):i]) {
							foreign++
						}
					}
				}
				i += length
				continue
			}
		}
		if c := s[i]; c <= ' ' || c >= utf8.RuneSelf || c == '"' || c == '<' || c == '>' {
			end()
		}
		b = append(b, s[i])
		i++
	}
	end()
	return string(b)
}

// sets are the character sets in which offices of Macau wrote before Unicode; the forms of Unicode besides UTF-8 are read as well.
var sets = [...]encoding.Encoding{simplifiedchinese.GB18030, traditionalchinese.Big5, charmap.Windows1252}

// readForeign notes what can be read among bytes in other sets than UTF-8, wherever a character begins. sealing says that bytes that are
// text in none are encoded otherwise.
func (m *meaning) readForeign(b []byte, sealing bool) {
	if m.cut || m.tried[string(b)] {
		return
	}
	m.tried[string(b)] = true
	if sealing && !utf8.Valid(b) && !isForeignText(b) {
		m.sealed = true
	}
	var shreds strings.Builder
	for _, set := range sets {
		shred(&shreds, decodeSet(set, b))
		if set != charmap.Windows1252 && len(b) > 0 {
			shred(&shreds, decodeSet(set, b[1:]))
		}
	}
	for skip := range min(2, len(b)) {
		for high := range 2 {
			shred(&shreds, decodeUTF16(b[skip:], high))
		}
	}
	if shreds.Len() > 0 {
		m.add(&m.shreds, shreds.String())
	}
}

// isForeignText reports whether bytes are text in one of the sets; where there are so many that it is no accident also in UTF-16, in which
// most pairs of bytes are a character, and in Windows-1252, in which most bytes are one, only with as few accents as words have.
func isForeignText(b []byte) bool {
	long := len(b) >= leastSealed*3/4
	if long && (isTextOfHere(decodeUTF16(b, 0)) || isTextOfHere(decodeUTF16(b, 1))) {
		return true
	}
	high := 0
	for _, c := range b {
		if c >= utf8.RuneSelf {
			high++
		}
	}
	return slices.ContainsFunc(sets[:], func(set encoding.Encoding) bool {
		return (set != charmap.Windows1252 || !long || high*3 <= len(b)) && isText(decodeSet(set, b), false)
	})
}

// isTextOfHere reports whether bytes are text in the scripts of Macau and its neighbours.
func isTextOfHere(b []byte) bool {
	return isText(b, false) && !bytes.ContainsFunc(b, func(r rune) bool {
		return !unicode.In(r, unicode.Common, unicode.Inherited, unicode.Latin, unicode.Han, unicode.Bopomofo, unicode.Hiragana, unicode.Katakana)
	})
}

// decodeSet returns bytes of a set in UTF-8; what is no character in it is U+FFFD.
func decodeSet(set encoding.Encoding, b []byte) []byte {
	text, err := set.NewDecoder().Bytes(b)
	if err != nil { // decoders replace and do not fail
		return []byte("\uFFFD")
	}
	return text
}

// decodeUTF16 returns UTF-16 in UTF-8; high is which byte of a pair is the high one.
func decodeUTF16(b []byte, high int) []byte {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i+high])<<8 | uint16(b[2*i+1-high])
	}
	return []byte(string(utf16.Decode(units)))
}

// unescapeMail undoes =XX of quoted-printable wherever it stands.
func (m *meaning) unescapeMail(s string) string {
	return m.unescape(s, '=', func(rest string) (string, int) { return byteOf(rest, 1, 16, 2) })
}

// byteOf returns the byte whose digits stand at a place, and where they end; zero when they do not.
func byteOf(s string, at, base, digits int) (string, int) {
	if at+digits > len(s) {
		return "", 0
	}
	n, err := strconv.ParseUint(s[at:at+digits], base, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(n)}), at + digits
}

const (
	// leastSealed is how long what could be base64 is at least when it is taken for something encoded that is no text: longer than words,
	// identifiers and most paths.
	leastSealed = 64
	// leastUnread is how many characters of it are then no words: more than identifiers in an address have.
	leastUnread = 48
	// mostUnread is how many bytes that cannot be read may stand together among text.
	mostUnread = 12
	// leastBase32 is the least characters that are taken for base32: a name of five bytes.
	leastBase32 = 8
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
			if !isASCII(text) { // it may be text in another set as well
				m.readForeign(text, false)
			}
		} else if len(digits) >= 4 {
			read, text := false, unpack(digits, 0)
			for skip := range 4 {
				read = shred(&shreds, unpack(digits, skip)) || read
			}
			if len(digits) >= leastSealed && !read && looksEncoded(s[at:end]) && !isForeignText(text) {
				m.sealed = true
			} else if isMixed(s[at:end]) {
				for skip := range 4 {
					m.readForeign(unpack(digits, skip), false)
				}
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

// decodeHex notes what can be read in runs of hexadecimal digits, wherever a byte begins. A run that is longer than the digests in use
// and no text is encoded otherwise.
func (m *meaning) decodeHex(s string) {
	var shreds strings.Builder
	for at := 0; at < len(s); at++ {
		end := at
		for end < len(s) && isHex(s[end]) {
			end++
		}
		if end-at >= 2*leastShred {
			read := false
			for skip := range 2 {
				digits := s[at+skip : end]
				b, err := hex.DecodeString(digits[:len(digits)/2*2])
				if err != nil {
					continue
				}
				read = shred(&shreds, b) || read || isForeignText(b)
				m.readForeign(b, false)
			}
			m.sealed = m.sealed || end-at > longestDigest && !read
		}
		at = max(at, end)
	}
	if found := shreds.String(); found != "" && !slices.Contains(m.found, found) {
		m.add(&m.found, found)
	}
}

// decodeBase32 notes what can be read in runs of the letters of one case and the digits of base32, wherever a group begins. One that is long,
// no word and no text is encoded otherwise.
func (m *meaning) decodeBase32(s string) {
	var shreds strings.Builder
	for at := 0; at < len(s); at++ {
		end, lower := at, false
		for ; end < len(s); end++ {
			c := s[end]
			isLower := c >= 'a' && c <= 'z'
			if !isLower && (c < 'A' || c > 'Z') && (c < '2' || c > '7') || end > at && c > '9' && isLower != lower && s[end-1] > '9' {
				break
			}
			lower = isLower || c <= '9' && lower
		}
		if run := s[at:end]; len(run) >= leastBase32 {
			read, mixed := false, changes(run)
			for skip := range 8 {
				b := unpack32(run[skip:])
				read = shred(&shreds, b) || read
				if mixed > 0 {
					m.readForeign(b, false)
				}
				read = read || isForeignText(b)
			}
			m.sealed = m.sealed || len(run) >= leastSealed && mixed*6 > len(run) && !read
		}
		at = max(at, end-1)
	}
	if found := shreds.String(); found != "" && !slices.Contains(m.found, found) {
		m.add(&m.found, found)
	}
}

// unpack32 puts the five bits of each character of base32 together.
func unpack32(s string) []byte {
	b := make([]byte, 0, len(s)*5/8)
	bits, have := uint32(0), 0
	for i := range len(s) {
		digit := uint32(s[i]|' ') - 'a'
		if s[i] <= '9' {
			digit = uint32(s[i]) - '2' + 26
		}
		if bits, have = bits<<5|digit, have+5; have >= 8 {
			have -= 8
			b = append(b, byte(bits>>have))
		}
	}
	return b
}

// longestDigest is the hexadecimal digits of SHA-512.
const longestDigest = 128

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|' ' >= 'a' && c|' ' <= 'f' }

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

// shred writes down what can be read among bytes, each piece in a line, and reports whether that is all but a tenth of them, and nowhere is so
// much together that cannot be read that it is no accident: much text around it makes nothing readable.
func shred(to *strings.Builder, b []byte) (read bool) {
	all, n, unread, most := len(b), 0, 0, 0
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
			n, unread = n+size, max(unread-size/2, 0) // what is short may be an accident
		} else {
			unread += size
		}
		if size < len(b) {
			unread++
		}
		most = max(most, unread)
		b = b[min(size+1, len(b)):]
	}
	return n*10 >= all*9 && most <= mostUnread
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}

// isMixed reports whether characters change as those of words and numbers do not, or end as base64 does.
func isMixed(s string) bool { return changes(s) > 0 || strings.HasSuffix(s, "=") }

// changes counts where characters change as those of words and numbers do not: a capital behind a small letter, two before one, a digit
// beside a letter.
func changes(s string) (n int) {
	for i := range len(s) {
		if isChange(s, i) {
			n++
		}
	}
	return n
}

func isChange(s string, i int) bool {
	if i == 0 {
		return false
	}
	before, now := kindOf(s[i-1]), kindOf(s[i])
	return before != now && before != sign && now != sign && (before != capital || now == digit || i > 1 && kindOf(s[i-2]) == capital)
}

// The kinds of characters.
const (
	sign = iota
	digit
	small
	capital
)

func kindOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return digit
	case c >= 'a' && c <= 'z':
		return small
	case c >= 'A' && c <= 'Z':
		return capital
	}
	return sign
}

// part is what stands between two signs.
type part struct {
	from, to, changes int
	unread            bool
}

// isWords reports whether the kind of character changes as seldom as in one or two words.
func (p part) isWords() bool { return p.changes <= max(1, (p.to-p.from)/12) }

const (
	// window is how many characters are judged together: what stands around them, however long, makes no words of them.
	window = 32
	// fewChanges is how often the kind of character changes in a window of words; among random characters it does at every second.
	fewChanges = window / 6
)

// unread counts the characters that do not stand in words: parts that share a window in which the kind of character changes more often than
// in words, but for the words at either end of them; and what only fills up. Hexadecimal digits are judged by decodeHex.
func unread(s string) (n int) {
	var parts []part
	var places, of []int // of the changes, and in which part
	for from := 0; from < len(s); from++ {
		to := from
		for to < len(s) && kindOf(s[to]) != sign {
			to++
		}
		if to > from && !isHexadecimal(s[from:to]) {
			for i := from + 1; i < to; i++ {
				if isChange(s, i) {
					places, of = append(places, i), append(of, len(parts))
				}
			}
			parts = append(parts, part{from: from, to: to, changes: changes(s[from:to])})
		}
		from = to
	}
	for last := fewChanges; last < len(places); last++ {
		if first := last - fewChanges; places[last]-places[first] < window {
			for i := of[first]; i <= of[last]; i++ {
				parts[i].unread = true
			}
		}
	}
	for i := range parts {
		if i == 0 || !parts[i-1].unread {
			parts[i].unread = parts[i].unread && !parts[i].isWords()
		}
	}
	for i := len(parts) - 1; i >= 0; i-- {
		if i == len(parts)-1 || !parts[i+1].unread {
			parts[i].unread = parts[i].unread && !parts[i].isWords()
		}
	}
	filling := filled(s)
	for _, p := range parts {
		for i := p.from; p.unread && i < p.to; i++ {
			filling[i] = true
		}
	}
	for _, counts := range filling {
		if counts {
			n++
		}
	}
	return n
}

// isHexadecimal reports whether a part is hexadecimal digits in one case, as of an identifier.
func isHexadecimal(s string) bool {
	return len(s) >= 4 && !strings.ContainsFunc(s, func(r rune) bool { return !isHex(byte(r)) }) && (s == strings.ToLower(s) || s == strings.ToUpper(s))
}

// filled marks what words do not have, and nearly empty bytes do: the same few bytes again and again, and many capitals in a row.
func filled(s string) []bool {
	const again, most = 16, 24 // sixteen characters are twelve bytes: any row of one to four
	marks := make([]bool, len(s))
	same, capitals := 0, 0
	for i := range len(s) {
		if same++; i < again || s[i] != s[i-again] {
			same = 0
		}
		if capitals++; kindOf(s[i]) != capital {
			capitals = 0
		}
		length := 0
		if same >= again {
			length = again + again
		}
		if capitals >= most {
			length = max(length, most)
		}
		for k := i + 1 - length; k <= i; k++ {
			marks[k] = kindOf(s[k]) != sign
		}
	}
	return marks
}

// looksEncoded reports whether characters are more than words, numbers, identifiers and digests in hexadecimal digits: of all kinds, and so
// many of them unread that they are no identifier.
func looksEncoded(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsAny(s, "0123456789") && unread(s) >= leastUnread
}

// unescapePercent undoes %XX, and %uXXXX of JavaScript, wherever it stands; anything else stays as it is.
func (m *meaning) unescapePercent(s string) string {
	return m.unescape(s, '%', func(rest string) (string, int) {
		if len(rest) > 1 && rest[1]|' ' == 'u' {
			return utf16Of(rest, rest[:2])
		}
		return byteOf(rest, 1, 16, 2)
	})
}

// unescapeJSON undoes the escapes of strings of JSON, JavaScript and C wherever they stand; of what is none, the backslash goes.
func (m *meaning) unescapeJSON(s string) string {
	return m.unescape(s, '\\', func(rest string) (undone string, length int) {
		if len(rest) == 1 {
			return "", 0
		}
		switch c := rest[1]; c {
		case 'n':
			return "\n", 2
		case 'r':
			return "\r", 2
		case 't', 'f', 'b':
			return " ", 2
		case 'x':
			undone, length = byteOf(rest, 2, 16, 2)
		case 'u':
			undone, length = utf16Of(rest, `\u`)
		case '0', '1', '2', '3':
			undone, length = byteOf(rest, 1, 8, 3)
		}
		switch {
		case length > 0:
			return undone, length
		case rest[1] < utf8.RuneSelf:
			return rest[1:2], 2
		}
		return "", 1
	})
}

// utf16Of returns the character of an escape with four digits, or with two such escapes when one is half of a character, or with any
// digits in braces.
func utf16Of(s, mark string) (string, int) {
	if digits, _, closed := strings.Cut(s[len(mark):min(len(s), len(mark)+10)], "}"); closed && strings.HasPrefix(digits, "{") {
		if n, err := strconv.ParseUint(digits[1:], 16, 21); err == nil {
			return string(rune(n)), len(mark) + len(digits) + 1
		}
	}
	r, ok := hex4(s, len(mark))
	if !ok {
		return "", 0
	}
	length := len(mark) + 4
	if utf16.IsSurrogate(r) && strings.HasPrefix(s[length:], mark) {
		if low, ok := hex4(s, length+len(mark)); ok {
			r, length = utf16.DecodeRune(r, low), 2*length
		}
	}
	return string(r), length
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+4], 16, 16)
	return rune(n), err == nil
}

// searchable reports whether a value can be looked through for a passage or a name: text in UTF-8 that is no mail, whose parts may be in
// other character sets, and holds nothing that is encoded otherwise.
func searchable(mediaType string, raw []byte) bool {
	if !utf8.Valid(raw) || strings.HasPrefix(mediaType, "message/") || strings.HasPrefix(mediaType, "multipart/") {
		return false
	}
	m := undo(string(raw))
	return !m.sealed && !m.cut
}
