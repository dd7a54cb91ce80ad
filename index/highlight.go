package index

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Snippet is a passage of a text with the places that a query found.
type Snippet struct {
	Text  string
	Start int      // where Text begins in the whole text, in bytes
	Cut   bool     // the whole text goes on after Text
	Marks [][2]int // byte ranges of Text, ascending, not touching
}

// Highlight returns the passage of text, at most most characters long (and their accents), that holds most of what query looks for, and marks it. Marks
// are ranges of the original text, whole characters with their accents, whatever the folding made of them. A query that cannot be
// read, or that finds nothing here, gives the beginning of the text without marks.
func Highlight(query, text string, most int) Snippet {
	expr, err := ParseQuery(query)
	if err != nil {
		expr = nil
	}
	marks := expr.marks(text)
	start, end := passage(text, marks, most)
	s := Snippet{Text: text[start:end], Start: start, Cut: end < len(text)}
	for _, m := range marks {
		if m[0] < end && m[1] > start {
			s.Marks = append(s.Marks, [2]int{max(m[0], start) - start, min(m[1], end) - start})
		}
	}
	return s
}

// marks returns the byte ranges of text where leaves that are not excluded stand, in order, joined where they touch.
func (x *Expr) marks(text string) [][2]int {
	leaves := x.positive(nil)
	if len(leaves) == 0 {
		return nil
	}
	t := newTokens()
	t.wantSpans = true
	t.add(text)
	at := make([][]token, t.atoms) // tokens by position
	for _, k := range t.list {
		at[k.pos] = append(at[k.pos], k)
	}
	var marks [][2]int
	for _, f := range leaves {
		for pos := uint32(0); pos+f.atoms <= t.atoms; pos++ {
			if f.standsAt(t, at, pos) {
				marks = append(marks, [2]int{int(t.spans[pos][0]), int(t.spans[pos+f.atoms-1][1])})
			}
		}
	}
	slices.SortFunc(marks, func(a, b [2]int) int { return a[0] - b[0] })
	joined := marks[:0]
	for _, m := range marks {
		if n := len(joined); n > 0 && m[0] <= joined[n-1][1] {
			joined[n-1][1] = max(joined[n-1][1], m[1])
			continue
		}
		joined = append(joined, m)
	}
	return joined
}

func (f *phrase) standsAt(t *tokens, at [][]token, pos uint32) bool {
	for _, it := range f.items {
		ok := false
		for _, k := range at[pos+it.off] {
			term := t.term(k)
			if string(term) == it.term || it.open && strings.HasPrefix(string(term), it.term) {
				ok = true
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// passage chooses the window of at most most characters that holds the most marks, the first of several, with something before it.
func passage(text string, marks [][2]int, most int) (start, end int) {
	if most <= 0 {
		return 0, 0
	}
	if utf8.RuneCountInString(text) <= most {
		return 0, len(text)
	}
	best := 0
	for i := range marks {
		limit := forward(text, marks[i][0], most*3/4)
		n := 0
		for _, m := range marks[i:] {
			if m[1] > limit {
				break
			}
			n++
		}
		if n > best {
			best, start = n, marks[i][0]
		}
	}
	if best == 0 && len(marks) > 0 {
		start = marks[0][0] // one mark longer than the window
	}
	if start > 0 {
		start = back(text, start, most/4)
	}
	if forward(text, start, most) == len(text) { // there is room at the end
		start = back(text, len(text), most)
	}
	end = forward(text, start, most)
	window := text[start:end]
	if start > 0 {
		start = end - len(strings.TrimLeftFunc(window, unicode.IsSpace))
	}
	if end < len(text) {
		end -= len(window) - len(strings.TrimRightFunc(window, unicode.IsSpace))
	}
	return min(start, end), end
}

// forward returns the place n characters after at, and after the accents of the last one.
func forward(text string, at, n int) int {
	for ; n > 0 && at < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return pastAccents(text, at)
}

// back returns the place n characters before at, or a little later: not among the accents of a character.
func back(text string, at, n int) int {
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	return pastAccents(text, at)
}

func pastAccents(text string, at int) int {
	for n := 0; n < 16 && at > 0 && at < len(text) && combines(text[at:]); n++ {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

// combines reports whether s begins with a combining diacritic.
func combines(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return 0x300 <= r && r <= 0x36f
}
