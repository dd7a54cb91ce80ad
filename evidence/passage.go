package evidence

import (
	"html"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"guia/canon"
	"guia/lang"
	"guia/vault"
)

// occurrences returns the fields that contain a part of the passage, which is squeezed: of a text in chunks, those chunks over
// which an occurrence reaches; of everything else, the whole field, which is looked through in all its readings.
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
			for _, reading := range readings(string(f.Value)) {
				if strings.Contains(squeeze(reading), passage) {
					hit = append(hit, i)
					break
				}
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

var htmlTag = regexp.MustCompile(`<[^<>]*>`)

// mostLayers is how many times over a text may be encoded: deeper ones are what nobody writes.
const mostLayers = 16

// readings returns a text as it is and with the escapes of JSON, addresses on the web and HTML undone, in the ways that sources write
// them, layer by layer until nothing is left to undo.
func readings(s string) []string {
	all := []string{s}
	for range mostLayers {
		layer := s
		for _, undo := range [...]func(string) string{unescapeJSON, unescapePercent, html.UnescapeString} {
			if read := undo(s); read != s {
				s, all = read, append(all, read)
			}
		}
		if s == layer {
			break
		}
	}
	for _, one := range all {
		if plain := htmlTag.ReplaceAllString(one, ""); plain != one {
			all = append(all, html.UnescapeString(plain))
		}
	}
	return all
}

// unescapePercent undoes %XX wherever it stands; anything else stays as it is.
func unescapePercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b, i = append(b, byte(n)), i+2
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
		case 'n', 't', 'r', 'f', 'b':
			b.WriteByte(' ')
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

// searchable reports whether bytes as received can be looked through for a passage: text in UTF-8 that is no mail, whose parts
// may be encoded once more.
func searchable(mediaType string, raw []byte) bool {
	return utf8.Valid(raw) && !strings.HasPrefix(mediaType, "message/") && !strings.HasPrefix(mediaType, "multipart/")
}
