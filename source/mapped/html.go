package mapped

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxHTMLDepth is how deeply quotations and lists are followed; deeper ones are read without their marks.
const maxHTMLDepth = 64

// plainText renders HTML as the text a reader sees: paragraphs and line breaks, bullets, "> " before quotations, code as it stands,
// tables with tabs, and links by their text with the address behind it where that says more. It reads tokens only and builds no
// tree, so memory and time are proportional to the length whatever the nesting.
func plainText(s string) string {
	if strings.IndexByte(s, '<') < 0 && strings.IndexByte(s, '&') < 0 {
		return s
	}
	t := textWriter{}
	t.b.Grow(len(s))
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.TrimRight(t.b.String(), " \n")
		case html.TextToken:
			if t.hidden == 0 {
				t.text(string(z.Text()))
			}
		case html.StartTagToken:
			t.tag(z, true)
		case html.SelfClosingTagToken:
			t.tag(z, true)
			if t.link != "" {
				t.link = ""
			}
		case html.EndTagToken:
			t.tag(z, false)
		}
	}
}

type textWriter struct {
	b      strings.Builder
	hidden int // inside script, style, head
	pre    int
	quote  int
	lists  []int // number of the last item; -1 for bullets
	gap    int   // line ends that stand before the next text
	space  bool  // a space stands before the next text
	cell   bool

	link  string // address of the link we are in
	label int    // where its text begins
}

func (t *textWriter) tag(z *html.Tokenizer, open bool) {
	name, more := z.TagName()
	a := atom.Lookup(name)
	switch a {
	case atom.Script, atom.Style, atom.Head, atom.Template:
		if open {
			t.hidden++
		} else if t.hidden > 0 {
			t.hidden--
		}
	case atom.Br:
		t.gap++
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Table:
		t.lines(2)
	case atom.Div, atom.Tr, atom.Section, atom.Article, atom.Dl, atom.Dt, atom.Dd, atom.Figure:
		t.lines(1)
		t.cell = false
	case atom.Pre:
		t.lines(1)
		t.pre = count(t.pre, open)
	case atom.Blockquote:
		t.lines(1)
		t.quote = count(t.quote, open)
	case atom.Ul, atom.Ol:
		t.lines(1)
		switch {
		case open && len(t.lists) < maxHTMLDepth:
			t.lists = append(t.lists, map[bool]int{true: 0, false: -1}[a == atom.Ol])
		case !open && len(t.lists) > 0:
			t.lists = t.lists[:len(t.lists)-1]
		}
	case atom.Li:
		t.lines(1)
		if open {
			t.item()
		}
	case atom.Td, atom.Th:
		if open && t.cell {
			t.raw("\t")
		}
		t.cell = true
	case atom.Hr:
		t.lines(1)
		t.text("---")
		t.lines(1)
	case atom.Img:
		if alt := attribute(z, more, "alt"); alt != "" {
			t.text(alt)
		}
	case atom.A:
		if open {
			t.link, t.label = attribute(z, more, "href"), -1
			return
		}
		t.endLink()
	}
}

func count(n int, open bool) int {
	if open {
		return min(n+1, maxHTMLDepth)
	}
	return max(n-1, 0)
}

func attribute(z *html.Tokenizer, more bool, want string) string {
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if string(key) == want {
			return string(value)
		}
	}
	return ""
}

// lines asks for n line ends before the next text, unless more were asked for.
func (t *textWriter) lines(n int) {
	t.gap = max(t.gap, n)
}

func (t *textWriter) item() {
	mark := "- "
	if n := len(t.lists); n > 0 && t.lists[n-1] >= 0 {
		t.lists[n-1]++
		mark = strconv.Itoa(t.lists[n-1]) + ". "
	}
	t.raw(strings.Repeat("  ", max(0, len(t.lists)-1)) + mark)
}

// endLink writes the address where the text of the link is something else.
func (t *textWriter) endLink() {
	link := t.link
	t.link = ""
	if !strings.HasPrefix(link, "http://") && !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "mailto:") {
		return
	}
	label := ""
	if t.label >= 0 {
		label = t.b.String()[t.label:]
	}
	if label == link || "mailto:"+label == link || label != "" && strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(link, "https://"), "http://"), "/") == label {
		return
	}
	if label == "" {
		t.raw(link)
		return
	}
	t.raw(" <" + link + ">")
}

// text writes text with white space as HTML has it: outside pre any run of it is a space.
func (t *textWriter) text(s string) {
	if t.pre > 0 {
		for i, line := range strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
			if i > 0 {
				t.gap++
			}
			if line != "" {
				t.raw(line)
			}
		}
		return
	}
	for s != "" {
		if white(s[0]) {
			t.space = true
			s = s[1:]
			continue
		}
		n := 1
		for n < len(s) && (!white(s[n]) || s[n] == ' ' && n+1 < len(s) && !white(s[n+1])) { // a single space stays
			n++
		}
		t.raw(s[:n])
		s = s[n:]
	}
}

func white(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }

// raw writes s after the line ends and the space that were asked for.
func (t *textWriter) raw(s string) {
	begun := t.b.Len() > 0
	switch {
	case begun && t.gap > 0:
		for range min(t.gap, 100) {
			t.b.WriteByte('\n')
		}
		t.b.WriteString(strings.Repeat("> ", t.quote))
	case !begun:
		t.b.WriteString(strings.Repeat("> ", t.quote))
	case t.space:
		t.b.WriteByte(' ')
	}
	t.gap, t.space = 0, false
	if t.link != "" && t.label < 0 {
		t.label = t.b.Len()
	}
	t.b.WriteString(s)
}
