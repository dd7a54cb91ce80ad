package lang

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// FoldVersion changes whenever [Fold] answers differently for any text. What was indexed under another version is rebuilt.
const FoldVersion = 2

// Fold returns s as it is compared when searching: compatibility forms resolved (NFKC), lower case, without the diacritics of
// Latin, Greek and Cyrillic letters, every traditional or variant Chinese character replaced by one simplified form, characters
// without appearance (soft hyphen, joiners, variation selectors) removed. Two texts that a reader would call the same word fold to
// the same bytes; the result is for comparing, not for showing. Invalid UTF-8 becomes U+FFFD. Folding twice changes nothing.
func Fold(s string) string {
	return string(NewFolder().Append(make([]byte, 0, len(s)), s))
}

// Folded is a folded text that remembers where its bytes came from, for highlighting.
type Folded struct {
	Text string
	from []int32 // for each byte of Text, and its end: where its piece begins in the original
}

// FoldMap is [Fold] with the way back to the original.
func FoldMap(s string) Folded {
	f := NewFolder()
	out := make([]byte, 0, len(s))
	from := make([]int32, 0, len(s)+1)
	for i := 0; i < len(s); {
		var n int
		before := len(out)
		out, n = f.Next(out, s[i:])
		for range len(out) - before {
			from = append(from, int32(i))
		}
		i += n
	}
	return Folded{string(out), append(from, int32(len(s)))}
}

// Source returns the byte range of the original from which the bytes [i, j) of f.Text were made, widened to whole characters with
// their combining marks. It is empty when i is not below j.
func (f Folded) Source(i, j int) (start, end int) {
	if i >= j {
		return int(f.from[i]), int(f.from[i])
	}
	last := f.from[j-1]
	for f.from[j] == last {
		j++
	}
	return int(f.from[i]), int(f.from[j])
}

// Simplify replaces each traditional character of s by its simplified form and leaves everything else as it is. Which of two
// simplified forms a word wants is not looked at: 乾 always becomes 干.
func Simplify(s string) string {
	table := simplified()
	for i, r := range s {
		if mapHan(table, r) == r {
			continue
		}
		var b strings.Builder
		b.Grow(len(s))
		b.WriteString(s[:i])
		for _, r := range s[i:] {
			b.WriteRune(mapHan(table, r))
		}
		return b.String()
	}
	return s
}

// Folder folds piece by piece, for callers with a loop of their own. It is a handle on shared tables, safe for use by many
// goroutines; the first one of a process builds them (under a millisecond or so).
type Folder struct {
	simple *[1 << 16]uint16
}

// NewFolder returns a Folder.
func NewFolder() Folder { return Folder{simpleFolds()} }

// Append appends the folded s to dst.
func (f Folder) Append(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			dst = append(dst, lowerASCII[c])
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if to, ok := f.Rune(r); ok && size > 1 {
			dst = utf8.AppendRune(dst, to)
			i += size
			continue
		}
		dst, size = f.Next(dst, s[i:])
		i += size
	}
	return dst
}

// Rune returns what r folds to when that is one character whatever stands beside it; otherwise ok is false and [Folder.Next] must
// look at the text. It covers nearly all characters of Chinese, Portuguese and English text.
func (f Folder) Rune(r rune) (to rune, ok bool) {
	if uint32(r) < 1<<16 {
		to = rune(f.simple[r])
	}
	return to, to != 0
}

// Next folds the first piece of s, which must not be empty: a character with what combines with it. It appends the folded bytes,
// possibly none, to dst, and returns how many bytes of s they stand for, at least one.
func (f Folder) Next(dst []byte, s string) ([]byte, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return append(dst, lowerASCII[c]), 1
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		return utf8.AppendRune(dst, utf8.RuneError), 1
	}
	if to, ok := f.Rune(r); ok {
		return utf8.AppendRune(dst, to), size
	}
	if unseen(r) {
		return dst, size
	}
	if standsAlone(r, s[size:]) {
		return utf8.AppendRune(dst, r), size
	}
	n := max(size, norm.NFKC.NextBoundaryInString(s, true))
	return foldPiece(dst, s[:n], f.simple), n
}

// standsAlone tells kana and Hangul syllables that nothing after them changes, and pictographs: they fold to themselves.
func standsAlone(r rune, rest string) bool {
	switch {
	case 0x3041 <= r && r <= 0x3096, 0x30a1 <= r && r <= 0x30fe:
		next, _ := utf8.DecodeRuneInString(rest)
		return next != 0x3099 && next != 0x309a
	case 0xac00 <= r && r <= 0xd7a3:
		next, _ := utf8.DecodeRuneInString(rest)
		return next < 0x1100 || next > 0x11ff
	}
	return 0x1f300 <= r && r <= 0x1faff
}

// foldPiece is the whole rule, without short cuts: decompose, drop marks, lower, spell out, compose, simplify.
func foldPiece(dst []byte, piece string, han *[1 << 16]uint16) []byte {
	var room, spelled [96]byte
	out := spelled[:0]
	for _, r := range string(norm.NFKD.AppendString(room[:0], piece)) {
		if unseen(r) {
			continue
		}
		r = unicode.ToLower(r)
		if s, ok := spelling[r]; ok {
			out = append(out, s...)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	for _, r := range string(norm.NFC.Bytes(out)) {
		dst = utf8.AppendRune(dst, mapHan(han, r))
	}
	return dst
}

// spelling holds lower-case letters that Unicode does not decompose and people type without.
var spelling = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'ħ': "h", 'ı': "i", 'ł': "l", 'ŋ': "n", 'þ': "th", 'ŧ': "t", 'ς': "σ",
}

// unseen tells combining diacritics (U+0300 to U+036F) and the characters that Unicode calls default ignorable.
func unseen(r rune) bool {
	switch {
	case r < 0x300:
		return r == 0xad
	case r <= 0x36f, r == 0x61c, 0x180b <= r && r <= 0x180f, 0x200b <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f,
		0xfe00 <= r && r <= 0xfe0f, r == 0xfeff, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x3164, r == 0xffa0,
		0xe0000 <= r && r <= 0xe0fff, 0x1bca0 <= r && r <= 0x1bca3, 0x1d173 <= r && r <= 0x1d17a:
		return true
	}
	return false
}

// lowerASCII folds single bytes.
var lowerASCII = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		t[c] = byte(unicode.ToLower(rune(c)))
	}
	return t
}()

// simpleFolds is what each character of the basic plane folds to when neighbours do not matter; 0 says ask foldPiece.
var simpleFolds = sync.OnceValue(buildSimpleFolds)

func buildSimpleFolds() *[1 << 16]uint16 {
	t := new([1 << 16]uint16)
	for r := rune(0x3400); r <= 0x9fff; r++ {
		t[r] = uint16(r)
	}
	setPairs(t, hanSimplified)
	setPairs(t, hanVariants)
	for r := range rune(utf8.RuneSelf) {
		t[r] = uint16(lowerASCII[r])
	}
	// Scripts without composition across characters other than the marks that are dropped anyway.
	for _, span := range [][2]rune{{0x80, 0x24f}, {0x370, 0x47f}, {0x48a, 0x52f}, {0x1e00, 0x1eff}, {0x2010, 0x205e}, {0x20ac, 0x20ac}, {0x3000, 0x3029}, {0xff01, 0xff5e}} {
		var out []byte
		for r := span[0]; r <= span[1]; r++ {
			if out = foldPiece(out[:0], string(r), t); utf8.RuneCount(out) == 1 && !unseen(r) {
				to, _ := utf8.DecodeRune(out)
				t[r] = uint16(to)
			}
		}
	}
	return t
}

var simplified = sync.OnceValue(func() *[1 << 16]uint16 {
	t := new([1 << 16]uint16)
	setPairs(t, hanSimplified)
	return t
})

func setPairs(t *[1 << 16]uint16, pairs string) {
	var from rune
	for _, r := range pairs {
		if from == 0 {
			from = r
			continue
		}
		t[from] = uint16(r)
		from = 0
	}
}

func mapHan(t *[1 << 16]uint16, r rune) rune {
	if 0x3400 <= r && r <= 0x9fff && t[r] != 0 {
		return rune(t[r])
	}
	return r
}
