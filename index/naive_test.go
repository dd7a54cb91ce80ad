package index

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"guia"
	"guia/lang"
)

// The oracle of the differential tests: documents in a slice, questions answered by looking at every one of them. It shares the folding
// with the index (which has its own tests) and nothing else.

type naive struct {
	docs []Doc
	gone map[uint64]bool
}

// naiveAtom is a word or a single character; glued says that the next atom is such a character too and touches it.
type naiveAtom struct {
	text  string
	alone bool // of a script without spaces
	glued bool
}

func naiveAtoms(text string) []naiveAtom {
	if atoms, ok := naiveSeen.Load(text); ok {
		return atoms.([]naiveAtom)
	}
	var atoms []naiveAtom
	defer func() { naiveSeen.Store(text, atoms) }()
	word := ""
	touching := false
	endWord := func() {
		if word != "" {
			atoms = append(atoms, naiveAtom{text: word})
		}
		word = ""
	}
	for _, r := range lang.Fold(text) {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo) || r == 'ー':
			endWord()
			if touching {
				atoms[len(atoms)-1].glued = true
			}
			atoms = append(atoms, naiveAtom{text: string(r), alone: true})
			touching = true
			continue
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			word += string(r)
		default:
			endWord()
		}
		touching = false
	}
	endWord()
	return atoms
}

var naiveSeen sync.Map // the oracle is slow enough

// naiveCount says how often a phrase stands in a text.
func naiveCount(text, phrase string) int {
	have := naiveAtoms(text)
	word, star := strings.CutSuffix(phrase, "*")
	want := naiveAtoms(word)
	n := 0
	for i := 0; i+len(want) <= len(have); i++ {
		ok := len(want) > 0
		for k, w := range want {
			h := have[i+k]
			last := k == len(want)-1
			if h.text != w.text && !(star && last && !w.alone && strings.HasPrefix(h.text, w.text)) || h.alone != w.alone || w.glued && !last && !h.glued {
				ok = false
				break
			}
		}
		if ok {
			n++
		}
	}
	return n
}

// asked is a query as a tree, for rendering and for the oracle.
type asked struct {
	op     op
	kids   []*asked
	phrase string
}

func (a *asked) String() string {
	switch a.op {
	case opLeaf:
		if strings.ContainsFunc(strings.TrimSuffix(a.phrase, "*"), func(r rune) bool { return !unicode.In(r, unicode.L, unicode.N, unicode.M) }) {
			return `"` + a.phrase + `"`
		}
		return a.phrase
	case opNot:
		return "-" + a.kids[0].group()
	case opAnd, opOr:
	}
	var parts []string
	for _, k := range a.kids {
		parts = append(parts, k.group())
	}
	return strings.Join(parts, map[op]string{opAnd: " ", opOr: " OR "}[a.op])
}

func (a *asked) group() string {
	if a.op == opLeaf {
		return a.String()
	}
	return "(" + a.String() + ")"
}

func (a *asked) holds(d *Doc) bool {
	switch a.op {
	case opLeaf:
		return a.count(d) > 0
	case opNot:
		return !a.kids[0].holds(d)
	case opAnd:
		return !slices.ContainsFunc(a.kids, func(k *asked) bool { return !k.holds(d) })
	case opOr:
		return slices.ContainsFunc(a.kids, func(k *asked) bool { return k.holds(d) })
	}
	return false
}

func (a *asked) count(d *Doc) (n int) {
	for _, text := range d.Text {
		n += naiveCount(text, a.phrase)
	}
	return n
}

func (a *asked) leaves() (list []*asked) {
	if a == nil || a.op == opNot {
		return nil
	}
	if a.op == opLeaf {
		return []*asked{a}
	}
	for _, k := range a.kids {
		list = append(list, k.leaves()...)
	}
	return list
}

func length(d *Doc) (n int) {
	for _, text := range d.Text {
		for _, a := range naiveAtoms(text) {
			n += (len(a.text) + maxWord - 1) / maxWord
		}
	}
	return n
}

// search returns all hits, best first.
func (n *naive) search(scope Scope, a *asked, q Query) []Hit {
	var seen []*Doc
	for i := range n.docs {
		d := &n.docs[i]
		if !n.gone[d.Seq] && (scope.All || slices.Contains(scope.Streams, d.Stream) || slices.Contains(scope.Entities, d.Entity) || slices.Contains(scope.Persons, d.Person)) {
			seen = append(seen, d)
		}
	}
	leaves := a.leaves()
	rank := q.Order == Relevance && len(leaves) > 0
	var mean float64
	df := map[*asked]int{}
	if rank {
		total := 0
		for _, d := range seen {
			total += length(d)
			for _, l := range leaves {
				if l.count(d) > 0 {
					df[l]++
				}
			}
		}
		mean = float64(total) / float64(len(seen))
	}
	var hits []Hit
	first := map[guia.RecordID]int{} // where in hits a message is
	times := map[uint64]int64{}
	for _, d := range seen {
		if a != nil && !a.holds(d) || !passes(q, d) {
			continue
		}
		if i, ok := first[d.Message]; ok && !q.Copies {
			hits[i].Copies++
			continue
		}
		first[d.Message] = len(hits)
		h := Hit{Seq: d.Seq}
		times[d.Seq] = math.MinInt64
		if d.HasTime {
			times[d.Seq] = d.Time.UnixMicro()
		}
		if rank {
			norm := bm25K * (1 - bm25B + bm25B*float64(length(d))/mean)
			for _, l := range leaves {
				if tf := float64(l.count(d)); tf > 0 {
					weight := math.Log(1 + (float64(len(seen)-df[l])+0.5)/(float64(df[l])+0.5))
					h.Score += weight * tf * (bm25K + 1) / (tf + norm)
				}
			}
		}
		hits = append(hits, h)
	}
	slices.SortFunc(hits, func(x, y Hit) int {
		if rank {
			return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(y.Seq, x.Seq))
		}
		return cmp.Or(cmp.Compare(times[y.Seq], times[x.Seq]), cmp.Compare(y.Seq, x.Seq))
	})
	return hits
}

func passes(q Query, d *Doc) bool {
	one := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	if !one(q.Persons, d.Person) || !one(q.Streams, d.Stream) || !one(q.Kinds, d.Kind) || q.Entity != "" && q.Entity != d.Entity {
		return false
	}
	if !q.From.IsZero() && (!d.HasTime || d.Time.Before(q.From)) || !q.To.IsZero() && (!d.HasTime || !d.Time.Before(q.To)) {
		return false
	}
	return true
}

// maker makes random documents and questions from few words, so that everything meets everything.
type maker struct{ *rand.Rand }

var (
	makerHan   = []rune("澳門个人资料個資料保護法法律会議会议公司合同北京東京东京员工員")
	makerWords = []string{
		"Informação", "informacao", "INFORMAÇÃO", "não", "nao", "contrato", "contratos", "Contract", "contracts", "data", "dado", "dados", "ação", "acao",
		"the", "The", "a", "privacy", "João", "joao", "2024", "05", "31", "8/2005", "ana.silva@exemplo.mo", "https://exemplo.mo/a-b?c=1", "INV2024", "naïve", "Straße",
		"strasse", "ﬁnal", "ＡＢＣ", "abc", "x", "👍", "e\u0301", "é", "ガス", "ｶﾞｽ", "안녕", "don't", "Ёж", "soft\u00adware", strings.Repeat("abcdefgh", 20), strings.Repeat("abcdefgh", 8),
	}
	makerGaps = []string{" ", " ", " ", "", ", ", "，", "。", "\n", " - ", "…", "、"}
)

func (m maker) han(n int) string {
	var b strings.Builder
	for range n {
		b.WriteRune(makerHan[m.IntN(len(makerHan))])
	}
	return b.String()
}

func (m maker) word() string {
	if m.IntN(2) == 0 {
		return m.han(1 + m.IntN(5))
	}
	return makerWords[m.IntN(len(makerWords))]
}

func (m maker) text(most int) string {
	var b strings.Builder
	for range m.IntN(most + 1) {
		b.WriteString(m.word())
		b.WriteString(makerGaps[m.IntN(len(makerGaps))])
	}
	return b.String()
}

var makerEpoch = time.Date(2024, 5, 31, 9, 0, 0, 0, time.UTC)

func (m maker) doc(seq uint64) Doc {
	d := Doc{
		Seq: seq, Kind: []string{"message.sent", "file.shared", "member.left"}[m.IntN(3)], Entity: []string{"macau", "zhuhai", ""}[m.IntN(3)],
		Stream: fmt.Sprintf("%08x", m.IntN(12)), Person: []string{"", "a1", "b2", "c3", "d4"}[m.IntN(5)],
	}
	if m.IntN(10) > 0 {
		d.HasTime, d.Time = true, makerEpoch.Add(time.Duration(m.IntN(1000))*time.Minute+time.Duration(m.IntN(3))*time.Microsecond)
	}
	d.Message = recordOf(seq)
	if m.IntN(3) == 0 && seq > 0 {
		d.Message, d.Copy = recordOf(seq-1-m.Uint64N(min(seq, 100))), true
	}
	for range m.IntN(3) + 1 {
		d.Text = append(d.Text, m.text(12))
	}
	if m.IntN(50) == 0 {
		d.Text = append(d.Text, m.text(400))
	}
	return d
}

// recordOf is a record's identifier, as random as they are.
func recordOf(seq uint64) (id guia.RecordID) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, seq))
	copy(id[:], sum[:])
	return id
}

func (m maker) phrase(from *Doc) string {
	if m.IntN(3) > 0 && len(from.Text) > 0 { // a piece of a real text, so that something is found
		text := []rune(from.Text[m.IntN(len(from.Text))])
		if len(text) > 0 {
			i := m.IntN(len(text))
			piece := string(text[i:min(len(text), i+1+m.IntN(8))])
			piece = strings.Map(func(r rune) rune {
				if strings.ContainsRune(`"“”|()*`, r) {
					return -1
				}
				return r
			}, piece)
			if strings.TrimSpace(piece) != "" && len(naiveAtoms(piece)) > 0 {
				return `"` + piece + `"`
			}
		}
	}
	w := m.word()
	if m.IntN(4) == 0 && m.IntN(2) == 0 {
		r := []rune(w)
		w = string(r[:1+m.IntN(len(r))])
		if last, _ := utf8.DecodeLastRuneInString(w); len(naiveAtoms(w)) > 0 && (unicode.IsLetter(last) || unicode.IsNumber(last)) {
			return w + "*"
		}
	}
	return w
}

// ask makes a random tree. Its leaves always hold something to search for.
func (m maker) ask(from *Doc, depth int) *asked {
	if depth == 0 || m.IntN(3) == 0 {
		for {
			p := strings.Trim(m.phrase(from), `"`)
			star := strings.HasSuffix(p, "*")
			if len(naiveAtoms(strings.TrimSuffix(p, "*"))) > 0 && !strings.HasPrefix(p, "-") && (star || !strings.ContainsAny(p, "*")) && p != "OR" {
				return &asked{op: opLeaf, phrase: p}
			}
		}
	}
	a := &asked{op: []op{opAnd, opAnd, opOr, opNot}[m.IntN(4)]}
	if a.op == opNot {
		a.kids = []*asked{m.ask(from, depth-1)}
		return a
	}
	for range 2 + m.IntN(2) {
		a.kids = append(a.kids, m.ask(from, depth-1))
	}
	return a
}

func (m maker) some(list ...string) (out []string) {
	for range m.IntN(3) + 1 {
		out = append(out, list[m.IntN(len(list))])
	}
	return out
}

func (m maker) scope() Scope {
	var s Scope
	switch m.IntN(5) {
	case 0:
	case 1:
		s.All = true
	case 2:
		s.Streams = m.some("00000000", "00000001", "00000002", "00000003", "00000004", "ffffffff")
	case 3:
		s.Entities, s.Persons = m.some("macau", "zhuhai", ""), m.some("a1", "b2", "zz")
	case 4:
		s.Streams, s.Persons = m.some("00000000", "00000007", "0000000b"), m.some("", "a1")
	}
	return s
}

func (m maker) query() Query {
	q := Query{Order: Order(m.IntN(2)), Limit: 1 + m.IntN(30), Copies: m.IntN(4) == 0}
	if m.IntN(4) == 0 {
		q.Persons = m.some("a1", "b2", "")
	}
	if m.IntN(6) == 0 {
		q.Streams = m.some("00000000", "00000001", "00000005")
	}
	if m.IntN(6) == 0 {
		q.Kinds = m.some("message.sent", "file.shared")
	}
	if m.IntN(6) == 0 {
		q.Entity = "macau"
	}
	if m.IntN(5) == 0 {
		q.From = makerEpoch.Add(time.Duration(m.IntN(1000)) * time.Minute)
	}
	if m.IntN(5) == 0 {
		q.To = makerEpoch.Add(time.Duration(m.IntN(1200))*time.Minute + time.Microsecond)
	}
	return q
}
