package evidence

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"guia/canon"
	"guia/lang"
	"guia/vault"
)

// occurrences returns the fields that contain a part of the passage, which is squeezed: of a text in chunks, those chunks over
// which an occurrence reaches as it is written there (see withholdEncoded); of everything else, the whole field, which is looked through in
// all its readings.
func occurrences(fields []vault.Disclosure, passage string) (hit []int) {
	text := joinChunks(fields)
	whole := condense(text.text, notSpace)
	for start, end := range whole.each(passage) {
		for _, i := range text.over(whole.source(start, end)) {
			if len(hit) == 0 || hit[len(hit)-1] < i {
				hit = append(hit, i)
			}
		}
	}
	for i, f := range fields {
		switch {
		case f.Forgotten, isChunk(f.Name), canon.IsFile(f.Name):
		default:
			if m := undo(string(f.Value)); m.has(m.texts, passage) {
				hit = append(hit, i)
			}
		}
	}
	return hit
}

func notSpace(r rune) bool { return !unicode.IsSpace(r) }

func isChunk(name string) bool { return under(name, "text") && name != "text.html" }

// chunked is the text of an event, put together, with the fields that hold its chunks and where each ends.
type chunked struct {
	text         string
	fields, ends []int
}

func joinChunks(fields []vault.Disclosure) (c chunked) {
	var text strings.Builder
	for i, f := range fields {
		if isChunk(f.Name) && !f.Forgotten {
			text.Write(f.Value)
			c.fields, c.ends = append(c.fields, i), append(c.ends, text.Len())
		}
	}
	c.text = text.String()
	return c
}

// over returns the fields of the chunks that hold a part of the text from start to before end.
func (c *chunked) over(start, end int) []int {
	first, _ := slices.BinarySearch(c.ends, start+1)
	last, _ := slices.BinarySearch(c.ends, end)
	return c.fields[first : last+1]
}

// withholdParts withholds the chunks in which something stands: each alone, then neighbours over which it reaches, at last all of them.
func (c *chunked) withholdParts(j *judgement, fields []vault.Disclosure, why Why, stands func(part string) (rules []int, stands bool)) {
	if _, any := stands(c.text); !any {
		return
	}
	for _, width := range [...]int{1, 2, len(c.fields)} {
		for first := range c.fields {
			if first+width > len(c.fields) {
				break
			}
			window := c.fields[first : first+width]
			if slices.ContainsFunc(window, func(i int) bool { return width <= 2 && j.hidden(i) }) {
				continue
			}
			var rest strings.Builder
			for _, i := range window {
				if j.hidden(i) {
					rest.WriteByte('\n')
				} else {
					rest.Write(fields[i].Value)
				}
			}
			if rules, found := stands(rest.String()); found {
				for _, i := range window {
					j.withhold(fields, i, why, rules...)
				}
			}
		}
	}
}

// withholdEncoded withholds the chunks that say something only when they are decoded; says looks through these texts of what they mean, and
// returns the rules that it found reason for.
func (c *chunked) withholdEncoded(j *judgement, fields []vault.Disclosure, why Why, says func(m *meaning, texts []string) []int) {
	c.withholdParts(j, fields, why, func(part string) ([]int, bool) {
		m := undo(part)
		rules := says(m, m.texts[1:])
		return rules, len(rules) > 0
	})
}

// condensed is a text as it is looked through: folded, only the characters that count, with the way back.
type condensed struct {
	folded lang.Folded
	text   string
	from   []int32 // for each byte of text its place in folded.Text
}

func condense(s string, counts func(rune) bool) condensed {
	c := condensed{folded: lang.FoldMap(s)}
	text := make([]byte, 0, len(c.folded.Text))
	for i := 0; i < len(c.folded.Text); {
		r, size := utf8.DecodeRuneInString(c.folded.Text[i:])
		if counts(r) {
			for k := range size {
				text, c.from = append(text, c.folded.Text[i+k]), append(c.from, int32(i+k))
			}
		}
		i += size
	}
	c.text = string(text)
	return c
}

// each goes over the places in c.text where part stands, also those that overlap.
func (c *condensed) each(part string) iter.Seq2[int, int] {
	return func(yield func(start, end int) bool) {
		for at := 0; ; at++ {
			found := strings.Index(c.text[at:], part)
			if found < 0 {
				return
			}
			if at += found; !yield(at, at+len(part)) {
				return
			}
		}
	}
}

// source returns from where in the original a part of c.text that is not empty was made.
func (c *condensed) source(start, end int) (int, int) {
	return c.folded.Source(int(c.from[start]), int(c.from[end-1])+1)
}
