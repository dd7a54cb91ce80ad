// Package extract is the text inside a file: what a person would read in it, as plain text that can be searched and quoted.
//
// The model: bytes in, text out, nothing kept. Each kind of file has one function; what cannot be read is said to be unreadable and
// is never silently shorter.
//
// It guarantees valid UTF-8 with only tabs and line feeds as control characters, work and memory in proportion to the input, and
// output within the caller's limit. It does not guarantee the look of the original: layout, colours and fonts are gone, and text
// that the original hides from the eye is shown.
package extract

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// HTML returns the text of a page or a fragment of one, at most limit bytes, and whether that is all of it.
//
// Runs of white space become one space, except inside pre; block elements and br become line breaks, at most one empty line in a
// row; list items begin with "- " or their number, quotations with "> "; table cells are separated by tabs; an image is its
// alternative text. A link keeps its address, in parentheses after its text when that differs: where it led is often the point.
// Scripts, styles, titles and comments are dropped. Text hidden by a style sheet is kept. Nothing is fetched.
//
// It never fails: markup that makes no sense is read as a browser's tokenizer would (WHATWG HTML section 13.2.5).
func HTML(page []byte, limit int) (text string, whole bool) {
	w := writer{limit: limit}
	z := html.NewTokenizer(bytes.NewReader(page))
	var skip atom.Atom // the element whose raw text is dropped
	for !w.full {
		switch z.Next() {
		case html.ErrorToken:
			return w.finish()
		case html.TextToken:
			if skip == 0 {
				w.text(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, attrs := z.TagName()
			tag := atom.Lookup(name)
			if skip = 0; dropped[tag] {
				skip = tag
			}
			w.open(tag, z, attrs)
		case html.EndTagToken:
			name, _ := z.TagName()
			skip = 0
			w.close(atom.Lookup(name))
		case html.CommentToken, html.DoctypeToken:
		}
	}
	return w.finish()
}

// dropped lists the elements whose content is raw text for the tokenizer and nothing to read.
var dropped = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Title: true, atom.Iframe: true, atom.Noembed: true, atom.Noframes: true,
}

// blocks lists the elements that stand on lines of their own.
var blocks = map[atom.Atom]bool{
	atom.Address: true, atom.Article: true, atom.Aside: true, atom.Blockquote: true, atom.Body: true, atom.Caption: true,
	atom.Center: true, atom.Dd: true, atom.Details: true, atom.Dialog: true, atom.Dir: true, atom.Div: true, atom.Dl: true,
	atom.Dt: true, atom.Fieldset: true, atom.Figcaption: true, atom.Figure: true, atom.Footer: true, atom.Form: true,
	atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true, atom.Header: true, atom.Hr: true,
	atom.Li: true, atom.Main: true, atom.Menu: true, atom.Nav: true, atom.Noscript: true, atom.Ol: true, atom.Option: true,
	atom.P: true, atom.Pre: true, atom.Section: true, atom.Summary: true, atom.Table: true, atom.Textarea: true, atom.Tr: true,
	atom.Ul: true, atom.Xmp: true,
}

// deepest is how many nested lists and quotations are shown by indentation; more are flat, so that n levels cost n and not n².
const deepest = 16

// writer lays text out. Breaks and spaces are remembered and written only before the next visible text, so that there are none at
// the ends of lines or of the whole.
type writer struct {
	out    []byte
	limit  int
	full   bool // the limit was reached and something was left out
	breaks int  // line feeds due
	space  bool // a space is due
	marker string
	lists  []list
	quotes int
	pre    int
	preNew bool // a line feed right after <pre> does not count
	link   string
	linkAt int // where the link's text begins
	cell   bool
}

type list struct {
	ordered bool
	number  int
}

func (w *writer) open(tag atom.Atom, z *html.Tokenizer, attrs bool) {
	if blocks[tag] {
		w.endLink()
		w.line(1)
	}
	switch tag {
	case atom.Br:
		w.line(min(w.breaks+1, 2))
	case atom.Pre, atom.Xmp, atom.Textarea:
		w.pre++
		w.preNew = true
	case atom.Blockquote:
		w.quotes++
	case atom.Ul, atom.Menu, atom.Dir:
		w.lists = append(w.lists, list{})
	case atom.Ol:
		start, err := strconv.Atoi(attribute(z, attrs, "start"))
		if err != nil || start < 0 || start > 1_000_000 {
			start = 1
		}
		w.lists = append(w.lists, list{ordered: true, number: start})
	case atom.Li:
		w.marker = "- "
		if n := len(w.lists); n > 0 && w.lists[n-1].ordered {
			w.marker = strconv.Itoa(w.lists[n-1].number) + ". "
			w.lists[n-1].number++
		}
	case atom.Tr:
		w.cell = false
	case atom.Td, atom.Th:
		if w.cell && w.breaks == 0 && len(w.out) > 0 {
			w.space = false
			w.write([]byte("\t"))
		}
		w.cell = true
	case atom.A:
		w.endLink()
		w.link, w.linkAt = attribute(z, attrs, "href"), len(w.out)
	case atom.Img:
		w.text([]byte(attribute(z, attrs, "alt")))
	}
}

func (w *writer) close(tag atom.Atom) {
	if tag == atom.A {
		w.endLink()
	}
	if blocks[tag] {
		w.endLink()
		w.line(1)
	}
	switch tag {
	case atom.Pre, atom.Xmp, atom.Textarea:
		w.pre = max(w.pre-1, 0)
		w.breaks = min(w.breaks, 1)
	case atom.Blockquote:
		w.quotes = max(w.quotes-1, 0)
	case atom.Ul, atom.Ol, atom.Menu, atom.Dir:
		w.lists = w.lists[:max(len(w.lists)-1, 0)]
		w.marker = ""
	case atom.Li:
		w.marker = ""
	}
}

// endLink writes where the open link leads, when its text does not say so already.
func (w *writer) endLink() {
	address := strings.TrimSpace(w.link)
	w.link = ""
	if address == "" || address[0] == '#' || hasScheme(address, "javascript:") || hasScheme(address, "data:") {
		return
	}
	shown := ""
	if w.linkAt <= len(w.out) {
		shown = string(bytes.TrimSpace(w.out[w.linkAt:]))
	}
	plain := address
	if hasScheme(plain, "mailto:") || hasScheme(plain, "tel:") {
		plain = plain[strings.IndexByte(plain, ':')+1:]
	}
	if shown == address || strings.TrimSuffix(shown, "/") == strings.TrimSuffix(plain, "/") {
		return
	}
	if shown != "" {
		w.space = true
		address = "(" + address + ")"
	}
	after := w.space && shown == ""
	w.words([]byte(address))
	w.space = w.space || after
}

// hasScheme reports whether the address begins with scheme, in any case.
func hasScheme(address, scheme string) bool {
	return len(address) >= len(scheme) && strings.EqualFold(address[:len(scheme)], scheme)
}

// line asks for at least n line feeds before the next text.
func (w *writer) line(n int) {
	w.breaks = max(w.breaks, n)
	w.space = false
}

func (w *writer) text(s []byte) {
	if w.pre == 0 {
		w.words(s)
		return
	}
	for first := true; len(s) > 0; first = false {
		line, rest, found := bytes.Cut(s, []byte("\n"))
		if len(line) > 0 {
			w.write(clean(bytes.TrimSuffix(line, []byte("\r"))))
		}
		if found && !(first && w.preNew && len(line) == 0) {
			w.breaks++
		}
		w.preNew = false
		s = rest
	}
}

// words writes text with its white space collapsed.
func (w *writer) words(s []byte) {
	for len(s) > 0 {
		if n := spaceAt(s); n > 0 {
			w.space = true
			s = s[n:]
			continue
		}
		end := 1
		for end < len(s) && (s[end] > ' ' && s[end] < utf8.RuneSelf || spaceAt(s[end:]) == 0) {
			end++
		}
		w.write(clean(s[:end]))
		s = s[end:]
	}
}

// spaceAt returns the length of the white space character that s begins with, 0 when it begins with none.
func spaceAt(s []byte) int {
	if s[0] < utf8.RuneSelf {
		if s[0] == ' ' || s[0] >= '\t' && s[0] <= '\r' {
			return 1
		}
		return 0
	}
	if r, size := utf8.DecodeRune(s); unicode.IsSpace(r) {
		return size
	}
	return 0
}

// clean returns s as valid UTF-8 without control characters other than tabs; s itself when it is that already.
func clean(s []byte) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size == 1 || r != '\t' && unicode.IsControl(r) {
			return bytes.Map(func(r rune) rune {
				if r != '\t' && unicode.IsControl(r) {
					return -1
				}
				return r
			}, bytes.ToValidUTF8(s, []byte("\uFFFD")))
		}
		i += size
	}
	return s
}

// write writes what is due and then s, unless that goes beyond the limit.
func (w *writer) write(s []byte) {
	if len(s) == 0 || w.full {
		return
	}
	if len(w.out) == 0 {
		w.breaks, w.space = 0, false
		w.prefix()
	}
	if w.breaks > 0 {
		for range w.breaks {
			w.put("\n")
		}
		w.breaks, w.space = 0, false
		if w.link != "" {
			w.linkAt = len(w.out)
		}
		w.prefix()
	} else if w.space {
		w.put(" ")
		w.space = false
	}
	if w.marker != "" {
		w.put(w.marker)
		w.marker = ""
	}
	w.putBytes(s)
}

// prefix writes what stands at the beginning of a line: quotation marks, and the indentation of nested lists.
func (w *writer) prefix() {
	for range min(w.quotes, deepest) {
		w.put("> ")
	}
	depth := len(w.lists) - 1
	if w.marker == "" && depth >= 0 {
		depth++ // a further line of an item
	}
	for range min(depth, deepest) {
		w.put("  ")
	}
}

// put is [writer.putBytes] for a short string.
func (w *writer) put(s string) {
	w.putBytes([]byte(s))
}

// putBytes appends s, cut at a character when the limit is reached.
func (w *writer) putBytes(s []byte) {
	if w.full {
		return
	}
	if room := max(w.limit-len(w.out), 0); len(s) > room {
		w.full = true
		for room > 0 && !utf8.RuneStart(s[room]) {
			room--
		}
		s = s[:room]
	}
	w.out = append(w.out, s...)
}

func (w *writer) finish() (string, bool) {
	w.endLink()
	return string(bytes.TrimRight(w.out, " \t\n")), !w.full
}

// attribute returns the first attribute of that name of the current tag.
func attribute(z *html.Tokenizer, more bool, name string) string {
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if string(key) == name {
			return string(value)
		}
	}
	return ""
}
