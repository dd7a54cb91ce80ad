package index

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"guia/lang"
)

// A text is a row of atoms. An atom is a word (letters, digits and marks without a gap between them) or a single character of a
// script that is written without spaces. Positions count atoms, so that "next to each other" is position arithmetic.
//
// What is indexed are tokens: a word at the position of its atom; two such characters that touch, at the position of the first;
// and the last character of such a run alone. A single character is therefore the beginning of exactly one token at each place
// where it stands, and a run of any length is present exactly where all its pairs follow each other.

// maxWord is the longest word that is one token, in bytes. Longer ones (encoded data, mostly) are cut into pieces that are atoms of
// their own; the mark of a cut keeps a piece from being taken for a word.
const (
	maxWord = 64
	cutMark = 0 // not a letter, so it cannot occur in a word
)

// token is one thing to index: a term, as bytes of tokens.buf, and where it stands.
type token struct {
	start, end uint32
	pos        uint32
}

// tokens cuts texts into tokens. The zero value is not ready: use newTokens. It is used by one goroutine.
type tokens struct {
	fold  lang.Folder
	class *[1 << 16]class

	buf   []byte
	list  []token
	atoms uint32 // how many atoms were seen, the length of the text in the sense of BM25
	pos   uint32 // of the next atom

	wantSpans bool
	spans     [][2]int32 // with wantSpans: the bytes of each atom in the text given to the last add

	word int // where the running word begins in buf, or -1
	han  int // where the last character of a running run begins in buf, or -1
	tail int // where in the text the running word began
	room [128]byte
}

func newTokens() *tokens {
	return &tokens{fold: lang.NewFolder(), class: classes(), word: -1, han: -1}
}

func (t *tokens) reset() {
	t.buf, t.list, t.spans = t.buf[:0], t.list[:0], t.spans[:0]
	t.atoms, t.pos = 0, 0
}

// term returns the bytes of a token, valid until the next reset.
func (t *tokens) term(k token) []byte { return t.buf[k.start:k.end] }

// add cuts one text. The next text does not touch it: no phrase reaches over.
func (t *tokens) add(text string) {
	t.spans = t.spans[:0]
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if low := wordASCII[c]; low != 0 {
				t.endHan()
				if t.word < 0 {
					t.word, t.tail = len(t.buf), i
				}
				for i < len(text) && text[i] < utf8.RuneSelf && wordASCII[text[i]] != 0 {
					t.buf = append(t.buf, wordASCII[text[i]])
					i++
				}
				continue
			}
			t.end(i)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if to, ok := t.fold.Rune(r); ok && size > 1 {
			t.rune(to, i, i+size)
			i += size
			continue
		}
		folded, n := t.fold.Next(t.room[:0], text[i:])
		for len(folded) > 0 {
			r, size := utf8.DecodeRune(folded)
			t.rune(r, i, i+n)
			folded = folded[size:]
		}
		i += n
	}
	t.end(len(text))
	t.pos++
}

func (t *tokens) rune(r rune, from, to int) {
	switch t.classOf(r) {
	case joined:
		t.endWord(from)
		at := len(t.buf)
		if t.han < 0 {
			// A run begins. Its characters lie side by side in buf, so that a pair is a slice.
			t.buf = utf8.AppendRune(t.buf, r)
		} else {
			t.buf = utf8.AppendRune(t.buf, r)
			t.list = append(t.list, token{uint32(t.han), uint32(len(t.buf)), t.pos - 1})
		}
		t.han = at
		t.atom(from, to)
	case letter:
		t.endHan()
		if t.word < 0 {
			t.word, t.tail = len(t.buf), from
		}
		t.buf = utf8.AppendRune(t.buf, r)
	default:
		t.end(from)
	}
}

func (t *tokens) atom(from, to int) {
	if t.wantSpans {
		t.spans = append(t.spans, [2]int32{int32(from), int32(to)})
	}
	t.atoms++
	t.pos++
}

func (t *tokens) end(at int) {
	t.endWord(at)
	t.endHan()
}

func (t *tokens) endHan() {
	if t.han < 0 {
		return
	}
	t.list = append(t.list, token{uint32(t.han), uint32(len(t.buf)), t.pos - 1})
	t.han = -1
}

func (t *tokens) endWord(at int) {
	if t.word < 0 {
		return
	}
	start := t.word
	t.word = -1
	if len(t.buf)-start <= maxWord {
		t.list = append(t.list, token{uint32(start), uint32(len(t.buf)), t.pos})
		t.atom(t.tail, at)
		return
	}
	t.cut(start, at)
}

// cut emits the pieces of a long word. All but the first begin with the mark, all but the last end with it. Each piece counts as an
// atom; for highlighting all of them are the whole word.
func (t *tokens) cut(start, at int) {
	word := append([]byte(nil), t.buf[start:]...)
	t.buf = t.buf[:start]
	for first := true; len(word) > 0; first = false {
		n := min(maxWord, len(word))
		for n < len(word) && !utf8.RuneStart(word[n]) {
			n--
		}
		from := len(t.buf)
		if !first {
			t.buf = append(t.buf, cutMark)
		}
		t.buf = append(t.buf, word[:n]...)
		if n < len(word) {
			t.buf = append(t.buf, cutMark)
		}
		t.list = append(t.list, token{uint32(from), uint32(len(t.buf)), t.pos})
		t.atom(t.tail, at)
		word = word[n:]
	}
}

// class says what a folded character is to the index.
type class uint8

const (
	gap    class = iota // ends words
	letter              // part of a word
	joined              // of a script without spaces: an atom of its own
)

func (t *tokens) classOf(r rune) class {
	if uint32(r) < 1<<16 {
		return t.class[r]
	}
	switch {
	case unicode.Is(unicode.Han, r), unicode.In(r, unicode.Hiragana, unicode.Katakana):
		return joined
	case unicode.In(r, unicode.L, unicode.N, unicode.M):
		return letter
	}
	return gap
}

// classes holds the class of each character of the basic plane.
var classes = sync.OnceValue(func() *[1 << 16]class {
	t := new([1 << 16]class)
	mark := func(table *unicode.RangeTable, c class) {
		for _, span := range table.R16 {
			for r := uint32(span.Lo); r <= uint32(span.Hi); r += uint32(span.Stride) {
				t[r] = c
			}
		}
	}
	for _, table := range []*unicode.RangeTable{unicode.L, unicode.N, unicode.M} {
		mark(table, letter)
	}
	for _, table := range []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo} {
		mark(table, joined)
	}
	t['ー'] = joined
	return t
})

// wordASCII is the lower-case form of the letters and digits, 0 for everything else.
var wordASCII = func() (t [utf8.RuneSelf]byte) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	return t
}()
