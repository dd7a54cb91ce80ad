package index

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"guia"
)

// found1 returns the sequence numbers that a query finds in texts numbered from 0, ascending.
func found1(t *testing.T, query string, texts ...string) (seqs []int) {
	t.Helper()
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	var docs []Doc
	for i, text := range texts {
		docs = append(docs, Doc{Seq: uint64(i), Text: []string{text}})
	}
	must(t, x.Apply(ctx, docs, uint64(len(texts))))
	res, err := x.Search(ctx, Scope{All: true}, Query{Text: query})
	if err != nil {
		t.Fatalf("%q: %v", query, err)
	}
	for _, h := range res.Hits {
		seqs = append(seqs, int(h.Seq))
	}
	slices.Sort(seqs)
	return seqs
}

// TestPeopleFindWhatTheyMean is written from the side of those who type.
func TestPeopleFindWhatTheyMean(t *testing.T) {
	for _, c := range []struct {
		query string
		texts []string // those that begin with + are to be found
	}{
		{"澳門", []string{"+去澳门的船", "+澳門特別行政區", "門澳", "澳，門", "澳 門"}},
		{"个人资料", []string{"+《個人資料保護法》", "个人的资料", "+新个人资料"}},
		{"法", []string{"+法", "+保護法", "+法律", "+民法典", "律師", "灋"}},
		{"會議", []string{"+明天会议改期", "+會議室", "议会"}},
		{"informacao", []string{"+A informação é útil", "+INFORMAÇÃO", "informações", "in formacao"}},
		{"Não", []string{"+nao", "+NÃO!", "não-"[:3] + "x", "+“não”"}},
		{"contrat*", []string{"+contrato", "+Contratação", "contra", "subcontrato"}},
		{`"data de início"`, []string{"+Data de inicio: 3/5", "data inicio", "início de data", "+(data, de; início)"}},
		{"5月", []string{"+5月31日", "+5 月", "15月", "五月"}},
		{"OA系统", []string{"+新OA系統上線", "+oa系统", "OA的系统"}},
		{"ana.silva@exemplo.mo", []string{"+write to Ana.Silva@Exemplo.mo.", "ana silva", "ana.silva@exemplo.pt"}},
		{"silva", []string{"+ana.silva@exemplo.mo", "silvana"}},
		{"https://exemplo.mo/a?b=1", []string{"+see https://exemplo.mo/a?b=1#x", "https://exemplo.mo/a"}},
		{"8/2005", []string{"+第8/2005號法律", "+Lei n.º 8/2005", "2005/8"}},
		{"INV2024", []string{"+inv2024", "+ＩＮＶ２０２４", "INV 2024"}},
		{"contrato OR 合同", []string{"+contrato", "+合同", "contract", "+合同 contrato"}},
		{"公司 contrato OR 合同", []string{"contrato", "合同", "+公司合同", "+contrato da 公司", "公司"}},
		{"contrato | 合同", []string{"+contrato", "+合同"}},
		{"contrato or 合同", []string{"contrato", "合同", "+合同 or contrato"}},
		{"contrato -minuta", []string{"+contrato", "minuta do contrato"}},
		{"contrato NOT (minuta OR rascunho)", []string{"+contrato", "minuta do contrato", "rascunho contrato"}},
		{"-minuta", []string{"+contrato", "minuta"}},
		{"a AND b", []string{"+b a", "a", "a and"}},
		{"co-op", []string{"+a co-op", "+co op", "coop", "op co"}},
		{"-5", []string{"+minus 6", "minus 5"}},
		{"don't", []string{"+I don't", "don", "+don t"}},
		{"「會議」", []string{"+会议", "开会"}},
		{"“data de”（início OR fim）", []string{"+data de fim", "data fim"}},
		{"... 會議 ---", []string{"+会议"}},
		{"  ", []string{"+everything", "+is found"}},
		{"Straße", []string{"+STRASSE", "+strasse", "stras"}},
		{strings.Repeat("abcdefgh", 8), []string{"+" + strings.Repeat("ABCDEFGH", 8), strings.Repeat("abcdefgh", 9), strings.Repeat("abcdefgh", 16)}},
		{strings.Repeat("abcdefgh", 20), []string{"+" + strings.Repeat("ABCDEFGH", 20), strings.Repeat("abcdefgh", 19), strings.Repeat("abcdefgh", 21)}},
		{strings.Repeat("abcdefgh", 9) + "*", []string{"+" + strings.Repeat("abcdefgh", 20), strings.Repeat("abcdefgh", 8)}},
		{"ガス", []string{"+ｶﾞｽ料金", "+ガス", "カス"}},
	} {
		var texts []string
		var want []int
		for i, text := range c.texts {
			plain, ok := strings.CutPrefix(text, "+")
			texts = append(texts, plain)
			if ok {
				want = append(want, i)
			}
		}
		if got := found1(t, c.query, texts...); !slices.Equal(got, want) {
			t.Errorf("%q in %q: got %v, want %v", c.query, texts, got, want)
		}
	}
}

func TestUnreadableQueriesSayWhere(t *testing.T) {
	for _, c := range []struct {
		query, key string
		at         any
	}{
		{`合同 "data de`, "index.query.quote", 4},
		{"合同 「data", "index.query.quote", 4},
		{"a (b OR c", "index.query.bracket", 3},
		{"a b) c", "index.query.bracket", 4},
		{"OR a", "index.query.or", 1},
		{"合同 OR", "index.query.or", 4},
		{"(a OR) b", "index.query.or", 4},
		{"a OR OR b", "index.query.or", 6},
		{"a *", "index.query.star", 3},
		{"con*to", "index.query.star", 4},
		{"*to", "index.query.star", 1},
		{"!?", "index.query.empty", nil},
		{`""`, "index.query.empty", nil},
		{"()", "index.query.empty", nil},
		{strings.Repeat("a", queryMost+1), "index.query.long", queryMost},
		{strings.Repeat("a ", leavesMost+1), "index.query.many", 2*leavesMost + 1},
		{strings.Repeat("(", 40) + "a" + strings.Repeat(")", 40), "index.query.deep", depthMost + 2},
	} {
		_, err := ParseQuery(c.query)
		r, ok := errors.AsType[*guia.Refusal](err)
		if !ok || r.Kind != guia.Invalid || r.Key != c.key || c.at != nil && (len(r.Args) == 0 || r.Args[0] != c.at) {
			t.Errorf("%.40q: got %v, want %s at %v", c.query, err, c.key, c.at)
		}
	}
}

// FuzzParseQuery: no query panics or takes long, and what is understood can be searched and highlighted.
func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"", "a b", `"a b" OR c*`, "-(a -b) | 合同", "NOT NOT a", "“x”「y」（z）", "a*b", "---a", "OR", "((", `"`, "合同*", "\xff\"", "ﬁ*", strings.Repeat("x", 70) + "*"} {
		f.Add(s, "o contrato 合同 ﬁm")
	}
	x, err := Open(ctx, filepath.Join(f.TempDir(), "index.db"))
	must(f, err)
	must(f, x.Apply(ctx, []Doc{{Seq: 0, Text: []string{"o contrato 合同 ﬁm a b c"}}}, 1))
	f.Cleanup(func() { x.Close() })
	f.Fuzz(func(t *testing.T, query, text string) {
		e, err := ParseQuery(query)
		if err != nil && guia.KindOf(err) != guia.Invalid {
			t.Fatalf("%q: %v", query, err)
		}
		if err == nil {
			if _, err := x.Search(ctx, Scope{All: true}, Query{Text: query, Order: Relevance}); err != nil {
				t.Fatalf("%q: %v", query, err)
			}
			if n := len(e.positive(nil)); n > leavesMost {
				t.Fatalf("%q: %d leaves", query, n)
			}
		}
		for _, most := range []int{0, 1, 7, 1000} {
			checkSnippet(t, text, Highlight(query, text, most), most)
		}
	})
}

// checkSnippet checks what every snippet promises.
func checkSnippet(t *testing.T, text string, s Snippet, most int) {
	t.Helper()
	if s.Start < 0 || s.Start+len(s.Text) > len(text) || text[s.Start:s.Start+len(s.Text)] != s.Text {
		t.Fatalf("%+v is no part of %q", s, text)
	}
	if s.Cut != (s.Start+len(s.Text) < len(text)) {
		t.Fatalf("%+v of %q: Cut is wrong", s, text)
	}
	if n := utf8.RuneCountInString(s.Text); n > most+16 {
		t.Fatalf("%d characters, want at most %d", n, most)
	}
	last := -1
	for _, m := range s.Marks {
		if m[0] <= last || m[0] >= m[1] || m[1] > len(s.Text) {
			t.Fatalf("marks %v of %q", s.Marks, s.Text)
		}
		if utf8.ValidString(text) && (!utf8.ValidString(s.Text[m[0]:m[1]]) || !utf8.ValidString(s.Text)) {
			t.Fatalf("marks %v cut a character of %q", s.Marks, s.Text)
		}
		last = m[1]
	}
}

func TestHighlightMarksTheOriginal(t *testing.T) {
	for _, c := range []struct {
		query, text string
		most        int
		want        string // with marks as brackets, … where it was cut
	}{
		{"informacao", "A Informação é útil", 100, "A [Informação] é útil"},
		{"informacao", "a informac\u0327a\u0303o, e", 100, "a [informac\u0327a\u0303o], e"},
		{"台湾", "我去臺灣。", 100, "我去[臺灣]。"},
		{"资料", "個人資料保護法，资料", 100, "個人[資料]保護法，[资料]"},
		{"法", "民法典與法律", 100, "民[法]典與[法]律"},
		{"人資 資料", "個人資料", 100, "個[人資料]"},
		{"ﬁm", "o FIM", 100, "o [FIM]"},
		{"fim", "ﬁm", 100, "[ﬁm]"},
		{"strasse", "Die Straße.", 100, "Die [Straße]."},
		{"ガス", "ｶﾞｽ料金", 100, "[ｶﾞｽ]料金"},
		{"contrat*", "contratos e contrato", 100, "[contratos] e [contrato]"},
		{`"data de"`, "data; de data de", 100, "[data; de] [data de]"},
		{"contrato -minuta", "minuta do contrato", 100, "minuta do [contrato]"},
		{"nada", "texto", 100, "texto"},
		{`"nada`, "texto nada", 100, "texto nada"},
		{"", "texto", 3, "tex…"},
		{"alvo", strings.Repeat("x ", 50) + "alvo" + strings.Repeat(" y", 50), 20, "…x x [alvo] y y y y y…"},
		{"alvo", strings.Repeat("x ", 50) + "alvo", 10, "…x x x [alvo]"},
		{"alvo bom", "alvo " + strings.Repeat("x ", 50) + "alvo bom" + strings.Repeat(" y", 50), 20, "…x x [alvo] [bom] y y y…"},
		{"澳門", strings.Repeat("字", 50) + "澳门" + strings.Repeat("字", 50), 10, "…字字[澳门]字字字字字字…"},
		{strings.Repeat("abcdefgh", 20), "x " + strings.Repeat("ABCDEFGH", 20) + " y", 1000, "x [" + strings.Repeat("ABCDEFGH", 20) + "] y"},
		{"soft", "so\u00adft ware", 100, "[so\u00adft] ware"},
	} {
		s := Highlight(c.query, c.text, c.most)
		checkSnippet(t, c.text, s, c.most)
		var b strings.Builder
		if s.Start > 0 {
			b.WriteString("…")
		}
		at := 0
		for _, m := range s.Marks {
			fmt.Fprintf(&b, "%s[%s]", s.Text[at:m[0]], s.Text[m[0]:m[1]])
			at = m[1]
		}
		b.WriteString(s.Text[at:])
		if s.Cut {
			b.WriteString("…")
		}
		if got := b.String(); got != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.query, c.text, got, c.want)
		}
	}
}

// TestHighlightAgreesWithSearch: a text is marked exactly when it is found by a query without exclusions.
func TestHighlightAgreesWithSearch(t *testing.T) {
	m := seedOf(t)
	for range 3000 {
		d := m.doc(0)
		text := d.Text[0]
		a := &asked{op: opLeaf, phrase: strings.Trim(m.phrase(&d), `"`)}
		if len(naiveAtoms(strings.TrimSuffix(a.phrase, "*"))) == 0 || strings.HasPrefix(a.phrase, "-") {
			continue
		}
		s := Highlight(a.String(), text, 1<<20)
		checkSnippet(t, text, s, 1<<20)
		if n := naiveCount(text, a.phrase); (n > 0) != (len(s.Marks) > 0) {
			t.Fatalf("%q in %q: %d occurrences, marks %v", a, text, n, s.Marks)
		}
	}
}
