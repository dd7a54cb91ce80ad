package evidence

import (
	"bytes"
	"html"
	"regexp"
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
// which an occurrence reaches; of everything else, the whole field. The bytes as received are looked through as they are and with
// the escapes of JSON and HTML undone.
func occurrences(fields []vault.Disclosure, passage string) (hit []int) {
	hit = chunksWith(fields, passage)
	for i, f := range fields {
		switch {
		case f.Forgotten, isChunk(f.Name), canon.IsFile(f.Name):
		case f.Name == "raw", f.Name == "text.html":
			for _, reading := range readings(string(f.Value)) {
				if strings.Contains(squeeze(reading), passage) {
					hit = append(hit, i)
					break
				}
			}
		case strings.Contains(squeeze(string(f.Value)), passage):
			hit = append(hit, i)
		}
	}
	return hit
}

func isChunk(name string) bool { return under(name, "text") && name != "text.html" }

// chunksWith returns the text chunks that hold any part of any occurrence, also of those that overlap each other.
func chunksWith(fields []vault.Disclosure, passage string) (hit []int) {
	var text strings.Builder
	var chunks, ends []int
	for i, f := range fields {
		if isChunk(f.Name) && !f.Forgotten {
			text.Write(f.Value)
			chunks, ends = append(chunks, i), append(ends, text.Len())
		}
	}
	folded := lang.FoldMap(text.String())
	var squeezed []byte
	var from []int // for each byte of squeezed its place in folded.Text
	for i := 0; i < len(folded.Text); {
		r, size := utf8.DecodeRuneInString(folded.Text[i:])
		if !unicode.IsSpace(r) {
			for k := range size {
				squeezed, from = append(squeezed, folded.Text[i+k]), append(from, i+k)
			}
		}
		i += size
	}
	next := 0 // chunks before it are decided
	for at := 0; at+len(passage) <= len(squeezed); at++ {
		found := bytes.Index(squeezed[at:], []byte(passage))
		if found < 0 {
			break
		}
		at += found
		start, end := folded.Source(from[at], from[at+len(passage)-1]+1)
		for n := next; n < len(chunks); n++ {
			begin := 0
			if n > 0 {
				begin = ends[n-1]
			}
			if begin < end && start < ends[n] {
				hit = append(hit, chunks[n])
				next = n + 1
			}
		}
	}
	return hit
}

var htmlTag = regexp.MustCompile(`<[^<>]*>`)

// readings returns a text as it is and with escapes undone, in the ways that sources write it.
func readings(s string) []string {
	all := []string{s}
	if strings.Contains(s, `\`) {
		all = append(all, unescapeJSON(s))
	}
	for _, one := range all {
		if strings.ContainsAny(one, "<&") {
			all = append(all, html.UnescapeString(htmlTag.ReplaceAllString(one, "")), html.UnescapeString(one))
		}
	}
	return all
}

// unescapeJSON undoes the escapes of JSON strings wherever they stand.
func unescapeJSON(s string) string {
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
