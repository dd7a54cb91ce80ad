package index

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"guia"
)

// Limits of a query: what a person types is far below them, and what is above would only be slow.
const (
	queryMost  = 4096 // bytes
	leavesMost = 64
	depthMost  = 16
)

// Expr is a parsed query. Nil finds everything.
type Expr struct {
	op   op
	kids []*Expr
	leaf *phrase
}

type op uint8

const (
	opLeaf op = iota
	opAnd
	opOr
	opNot
)

// phrase is a row of atoms that must follow each other.
type phrase struct {
	items []item
	atoms uint32
}

// item is one token of a phrase. An open one stands for all tokens that begin with its term: the beginning of a word that ends with a
// star, or a single character of a script without spaces (see token.go).
type item struct {
	off  uint32 // atoms from the beginning of the phrase
	term string
	open bool
}

// ParseQuery reads what people type into a search box:
//
//	contrato rescisão        both words
//	"data de início"         the words in this order, next to each other
//	合同到期                  these characters, next to each other
//	contrat*                 words that begin so
//	contrato OR 合同          one of them; OR binds its neighbours closer than a space does
//	contrato -minuta         the first without the second; NOT does the same
//	(a OR b) (c OR d)        groups
//
// OR, AND and NOT are recognised in capitals only; | is OR. Curly and corner quotation marks and wide brackets count as plain ones. What
// has no letter or digit is passed over. A query that cannot be understood is refused (kind invalid) with the place, counted in
// characters from 1. A query without any words returns nil and no error if it is blank.
func ParseQuery(text string) (*Expr, error) {
	if len(text) > queryMost {
		return nil, guia.Refuse(guia.Invalid, "index.query.long", queryMost)
	}
	text = strings.ToValidUTF8(text, " ")
	p := &parser{text: text, toks: newTokens()}
	e := p.all(0)
	if p.err == nil && p.at < len(p.text) {
		p.refuse(p.at, "index.query.bracket") // a closing one without an opening one
	}
	if p.err != nil {
		return nil, p.err
	}
	if e == nil && strings.TrimSpace(text) != "" {
		return nil, guia.Refuse(guia.Invalid, "index.query.empty")
	}
	return e, nil
}

type parser struct {
	text   string
	at     int
	leaves int
	toks   *tokens
	err    error
}

// refuse remembers the first thing that is wrong.
func (p *parser) refuse(at int, key string, args ...any) {
	if p.err == nil {
		p.err = guia.Refuse(guia.Invalid, key, append([]any{utf8.RuneCountInString(p.text[:at]) + 1}, args...)...)
	}
}

func (p *parser) peek() (rune, int) { return utf8.DecodeRuneInString(p.text[p.at:]) }

func (p *parser) space() {
	for {
		r, n := p.peek()
		if n == 0 || !unicode.IsSpace(r) {
			return
		}
		p.at += n
	}
}

// all reads terms that must all be there, up to a closing bracket or the end.
func (p *parser) all(depth int) *Expr {
	if depth > depthMost {
		p.refuse(p.at, "index.query.deep", depthMost)
		return nil
	}
	var kids []*Expr
	for p.err == nil {
		p.space()
		if r, n := p.peek(); n == 0 || closing(r) {
			break
		}
		if p.keyword("AND") {
			continue
		}
		if e := p.either(depth); e != nil {
			kids = append(kids, e)
		}
	}
	return join(opAnd, kids)
}

// either reads terms joined by OR.
func (p *parser) either(depth int) *Expr {
	start := p.at
	if p.or() {
		p.refuse(start, "index.query.or")
		return nil
	}
	var kids []*Expr
	for p.err == nil {
		if e := p.term(depth); e != nil {
			kids = append(kids, e)
		}
		p.space()
		start = p.at
		if !p.or() {
			break
		}
		p.space()
		again := p.at
		if p.or() {
			p.refuse(again, "index.query.or")
		} else if r, n := p.peek(); n == 0 || closing(r) {
			p.refuse(start, "index.query.or")
		}
	}
	return join(opOr, kids)
}

func join(o op, kids []*Expr) *Expr {
	switch len(kids) {
	case 0:
		return nil
	case 1:
		return kids[0]
	}
	return &Expr{op: o, kids: kids}
}

func (p *parser) or() bool {
	if strings.HasPrefix(p.text[p.at:], "|") {
		p.at++
		return true
	}
	return p.keyword("OR")
}

// keyword reads word if it stands here alone.
func (p *parser) keyword(word string) bool {
	rest, ok := strings.CutPrefix(p.text[p.at:], word)
	if !ok {
		return false
	}
	if r, n := utf8.DecodeRuneInString(rest); n > 0 && !unicode.IsSpace(r) && !opening(r) && !closing(r) && quoteFor(r) == 0 {
		return false
	}
	p.at += len(word)
	return true
}

func opening(r rune) bool { return r == '(' || r == '（' }
func closing(r rune) bool { return r == ')' || r == '）' }

// quoteFor returns the mark that ends a quotation begun by r, 0 if r begins none.
func quoteFor(r rune) rune {
	switch r {
	case '"':
		return '"'
	case '“', '„', '”':
		return '”'
	case '「':
		return '」'
	case '『':
		return '』'
	case '＂':
		return '＂'
	}
	return 0
}

// term reads one word, quotation or group, with what negates it. It may return nil: nothing to search for.
func (p *parser) term(depth int) *Expr {
	not := false
	for {
		p.space()
		if p.keyword("NOT") {
			not = !not
			continue
		}
		if r, n := utf8.DecodeRuneInString(strings.TrimPrefix(p.text[p.at:], "-")); strings.HasPrefix(p.text[p.at:], "-") && n > 0 && !unicode.IsSpace(r) && r != '-' && !closing(r) {
			p.at++
			not = !not
			continue
		}
		break
	}
	e := p.primary(depth)
	if e != nil && not {
		return &Expr{op: opNot, kids: []*Expr{e}}
	}
	return e
}

func (p *parser) primary(depth int) *Expr {
	start := p.at
	r, n := p.peek()
	switch {
	case n == 0 || closing(r):
		return nil
	case opening(r):
		p.at += n
		e := p.all(depth + 1)
		if r, n := p.peek(); n > 0 && closing(r) {
			p.at += n
		} else {
			p.refuse(start, "index.query.bracket")
		}
		return e
	case quoteFor(r) != 0:
		p.at += n
		end := strings.IndexFunc(p.text[p.at:], func(c rune) bool { return c == quoteFor(r) || r == '„' && c == '“' })
		if end < 0 {
			p.refuse(start, "index.query.quote")
			return nil
		}
		body := p.text[p.at : p.at+end]
		p.at += end
		_, n = p.peek()
		p.at += n
		return p.phrase(start, body)
	}
	end := strings.IndexFunc(p.text[p.at:], func(c rune) bool {
		return unicode.IsSpace(c) || opening(c) || closing(c) || quoteFor(c) != 0 || c == '|'
	})
	if end < 0 {
		end = len(p.text) - p.at
	}
	if end == 0 { // | was seen by either; anything else is handled above
		p.at += n
		return nil
	}
	body := p.text[p.at : p.at+end]
	p.at += end
	return p.phrase(start, body)
}

// phrase makes a leaf of the words in body. A star after the last word leaves its end open.
func (p *parser) phrase(start int, body string) *Expr {
	word := strings.TrimRight(body, "*＊")
	star := len(word) < len(body)
	p.toks.reset()
	p.toks.add(word)
	if i := strings.IndexAny(word, "*＊"); i >= 0 && len(p.toks.list) > 0 {
		p.refuse(start+i, "index.query.star")
		return nil
	}
	if star && !endsInWord(word) {
		p.refuse(start, "index.query.star")
		return nil
	}
	leaf := newPhrase(p.toks, star)
	if leaf == nil {
		return nil
	}
	if p.leaves++; p.leaves > leavesMost {
		p.refuse(start, "index.query.many", leavesMost)
		return nil
	}
	return &Expr{op: opLeaf, leaf: leaf}
}

func endsInWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.In(r, unicode.L, unicode.N, unicode.M)
}

// newPhrase makes a phrase of the tokens of one text; nil when there are none.
func newPhrase(t *tokens, star bool) *phrase {
	if len(t.list) == 0 {
		return nil
	}
	f := &phrase{atoms: t.atoms}
	for i, k := range t.list {
		it := item{off: k.pos, term: string(t.term(k))}
		if r, size := utf8.DecodeRuneInString(it.term); t.classOf(r) == joined && size == len(it.term) {
			// The end of a run. A run of one character is found by all tokens that begin with it; in a longer one the pairs say it all.
			if i > 0 && t.list[i-1].pos+1 == k.pos && t.list[i-1].end == k.end {
				continue
			}
			it.open = true
		} else if star && i == len(t.list)-1 {
			it.open = true
		}
		f.items = append(f.items, it)
	}
	return f
}
