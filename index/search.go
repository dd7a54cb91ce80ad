package index

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/bits"
	"slices"
	"sort"
	"time"

	"guia"
)

// Order is how hits are sorted.
type Order uint8

// The orders. In both, hits that are equal otherwise are sorted by ledger sequence, the newest first.
const (
	Newest    Order = iota // by time, documents without one last
	Relevance              // by BM25; without words to search for, as Newest
)

// Query is a question. All conditions must hold; those left empty do not count.
type Query struct {
	Text    string // see ParseQuery; blank finds everything
	Persons []string
	Streams []string
	Kinds   []string
	Entity  string
	From    time.Time // documents at or after
	To      time.Time // documents before
	Order   Order
	Copies  bool   // every record of a message is a hit of its own
	Limit   int    // hits on a page, 20 when zero, at most 1000
	After   string // Next of the page before
}

const (
	limitUsual = 20
	limitMost  = 1000
)

// Result is a page of hits.
type Result struct {
	Hits  []Hit
	Total int    // of all pages; exact; messages, unless Query.Copies is set
	Next  string // for Query.After; empty on the last page
}

// Hit is a document that was found.
type Hit struct {
	Seq    uint64
	Score  float64 // BM25 with Order Relevance, otherwise 0
	Copies int     // other documents of the same message that answer the question; they are no hits
}

// BM25 with the usual constants.
const (
	bm25K = 1.2
	bm25B = 0.75
)

// Search answers q from the documents that scope lets the asker see. Pages of one search belong together: what was applied after the
// first page is on none of them, so that nothing is shown twice or left out; what is forgotten meanwhile is missing. A query or page
// mark that makes no sense is refused (kind invalid). Searches run side by side, and beside Apply, Flush and Forget.
func (x *Index) Search(ctx context.Context, scope Scope, q Query) (Result, error) {
	expr, err := ParseQuery(q.Text)
	if err != nil {
		return Result{}, err
	}
	s := &search{expr: expr, scope: scope.filter(), query: q.filter(), order: q.Order, copies: q.Copies, limit: q.Limit}
	s.filter = s.scope.and(s.query)
	s.leaves = expr.positive(nil)
	if len(s.leaves) == 0 {
		s.order = Newest
	}
	if s.limit <= 0 {
		s.limit = limitUsual
	}
	s.limit = min(s.limit, limitMost)
	mark := q.digest(s.order)
	if q.After != "" {
		if s.after, err = parsePage(q.After, mark); err != nil {
			return Result{}, err
		}
	}

	x.mu.RLock()
	defer x.mu.RUnlock()
	if s.after == nil {
		s.before = x.next
	} else {
		s.before = s.after.before
	}
	err = x.store.read(ctx, func(r *reader) error {
		s.eval.r = r
		return s.run(x.parts())
	})
	if err != nil {
		return Result{}, fmt.Errorf("search: %w", err)
	}
	return s.result(mark), nil
}

// searched is a part with what answers for it.
type searched struct {
	*part
	terms
}

// parts returns everything there is to search, newest first. The caller holds mu.
func (x *Index) parts() []searched {
	var out []searched
	if x.buffer.docs > 0 {
		out = append(out, searched{&x.buffer.part, x.buffer})
	}
	for _, s := range slices.Backward(x.segments) {
		out = append(out, searched{&s.part, s})
	}
	return out
}

// search is one call of Search.
type search struct {
	expr   *Expr
	leaves []*phrase // that count for relevance
	scope  filter
	query  filter
	filter filter // both
	order  Order
	copies bool
	limit  int
	before uint64 // sequence numbers from here on do not belong to this search
	after  *page

	eval  eval
	told  told     // messages of which several documents may be among the answers
	best  []ranked // a heap of the best limit hits, the worst first
	total int
	more  bool // there are hits beyond best

	visible int // documents in scope
	length  uint64
	df      []int // of the leaves, in scope
}

// ranked is a hit with what it is sorted by: key, then seq, both descending.
type ranked struct {
	key, seq uint64
	message  uint64 // value of colMessage, where some message is told twice
}

func (a ranked) less(b ranked) bool { return a.key < b.key || a.key == b.key && a.seq < b.seq }

func (s *search) run(parts []searched) error {
	if s.filter.nothing {
		return nil
	}
	if s.order == Relevance {
		return s.relevance(parts)
	}
	answers := make([][]uint32, len(parts))
	for i, p := range parts {
		if limit := s.enter(p); limit > 0 {
			answers[i] = s.matches(limit)
		}
	}
	s.once(parts, answers)
	for i, p := range parts {
		s.eval.begin(p.part, p.terms)
		s.newest(answers[i])
	}
	return s.eval.r.err
}

// enter makes p the part that is being searched and returns how many of its documents are old enough.
func (s *search) enter(p searched) int {
	s.eval.begin(p.part, p.terms)
	switch {
	case p.minSeq >= s.before:
		return 0
	case p.maxSeq < s.before:
		return p.docs
	}
	seqs := p.terms.column(s.eval.r, colSeq)
	return sort.Search(p.docs, func(i int) bool { return p.minSeq+seqs.at(i) >= s.before })
}

// matches returns the documents of the part that answer the query. It drives from the cheaper side: from the words when they are rare,
// otherwise from what scope and filters let through.
func (s *search) matches(limit int) []uint32 {
	e := &s.eval
	leaf := func(f *phrase, in domain) []uint32 { return e.leaf(f, in, false).docs }
	if s.expr == nil {
		b := s.filter.bind(e, limit)
		return e.documents(b.domain())
	}
	cost := e.cost(s.expr)
	if cost == 0 {
		return nil
	}
	b := s.filter.bind(e, limit)
	if b.none {
		return nil
	}
	if b.all || cost < e.part.docs/32 {
		return b.keep(e.match(s.expr, domain{}, leaf))
	}
	return e.match(s.expr, b.domain(), leaf)
}

// newest counts the documents and keeps the newest.
func (s *search) newest(docs []uint32) {
	if len(docs) == 0 {
		return
	}
	s.total += len(docs)
	p := s.eval.part
	// A part that ends before the worst of the best hits has only to be counted.
	if len(s.best) == s.limit && (p.minTime > p.maxTime && s.best[0].key > 0 || p.minTime <= p.maxTime && timeKey(p.maxTime) < s.best[0].key) {
		s.more = true
		return
	}
	times := s.eval.terms.column(s.eval.r, colTime)
	seqs := s.eval.terms.column(s.eval.r, colSeq)
	messages := s.messages()
	if s.eval.r.err != nil {
		return
	}
	for _, d := range docs {
		h := ranked{}
		if t := times.at(int(d)); t != 0 {
			h.key = timeKey(p.timeBase + int64(t-1))
		}
		if len(s.best) == s.limit && h.key < s.best[0].key {
			s.more = true
			continue
		}
		h.seq = p.minSeq + seqs.at(int(d))
		if messages != nil {
			h.message = messages.at(int(d))
		}
		s.push(h)
	}
}

// timeKey sorts as the time does; 0 stays free for documents without one.
func timeKey(t int64) uint64 { return uint64(t-earliest) + 1 }

// push offers a hit. Hits of earlier pages are passed over.
func (s *search) push(h ranked) {
	if s.after != nil && !h.less(s.after.last) {
		return
	}
	if len(s.best) < s.limit {
		s.best = append(s.best, h)
		for i := len(s.best) - 1; i > 0; {
			up := (i - 1) / 2
			if !s.best[i].less(s.best[up]) {
				break
			}
			s.best[i], s.best[up] = s.best[up], s.best[i]
			i = up
		}
		return
	}
	s.more = true
	if !s.best[0].less(h) {
		return
	}
	s.best[0] = h
	for i := 0; ; {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(s.best) && s.best[k].less(s.best[least]) {
				least = k
			}
		}
		if least == i {
			return
		}
		s.best[i], s.best[least] = s.best[least], s.best[i]
		i = least
	}
}

// keepSets is how many postings relevance keeps from its first pass for the second; beyond it evaluates again.
const keepSets = 4 << 20

// relevance ranks in three passes. The first finds, for each leaf, the documents in scope that hold it: their number makes the weight of
// the leaf, and nothing outside the scope has a part in it. The second combines them and filters, the third scores what is left.
func (s *search) relevance(parts []searched) error {
	e := &s.eval
	s.df = make([]int, len(s.leaves))
	kept := make([]map[*phrase]found, len(parts))
	domains := make([]domain, len(parts))
	room := keepSets
	for i, p := range parts {
		limit := s.enter(p)
		if limit == 0 {
			continue
		}
		in := s.scopeDomain(limit)
		domains[i] = in
		s.measure(in)
		sets := s.sets(in)
		for k, f := range s.leaves {
			s.df[k] += len(sets[f].docs)
			room -= len(sets[f].docs)
		}
		if room >= 0 {
			kept[i] = sets
		}
	}
	mean := 1.0
	if s.visible > 0 && s.length > 0 {
		mean = float64(s.length) / float64(s.visible)
	}
	weight := make([]float64, len(s.leaves))
	for k, df := range s.df {
		weight[k] = math.Log(1 + (float64(s.visible-df)+0.5)/(float64(df)+0.5))
	}
	answers := make([][]uint32, len(parts))
	for i, p := range parts {
		limit := s.enter(p)
		if limit == 0 || e.r.err != nil {
			continue
		}
		b := s.query.bind(e, limit) // the domain is within the scope already
		if b.none {
			continue
		}
		in, sets := domains[i], kept[i]
		docs := e.match(s.expr, in, func(f *phrase, in domain) []uint32 {
			set, ok := sets[f]
			if !ok {
				set = e.leaf(f, in, false) // not kept, or only excluded
			}
			if in.some {
				return intersect(set.docs, in.list)
			}
			return slices.Clone(set.docs)
		})
		answers[i] = b.keep(docs)
	}
	s.once(parts, answers)
	for i, p := range parts {
		if len(answers[i]) == 0 || e.r.err != nil {
			continue
		}
		e.begin(p.part, p.terms)
		sets := kept[i]
		if sets == nil {
			sets = s.sets(ofList(answers[i]))
		}
		s.score(answers[i], sets, weight, mean)
	}
	return e.r.err
}

func (s *search) scopeDomain(limit int) domain {
	b := s.scope.bind(&s.eval, limit)
	return b.domain()
}

// measure adds the documents in scope and their length to the statistics.
func (s *search) measure(in domain) {
	p := s.eval.part
	if in.all() {
		s.visible += p.docs - p.dead
		s.length += p.length
		return
	}
	lengths := s.eval.terms.column(s.eval.r, colLength)
	for _, d := range in.list {
		s.length += lengths.at(int(d))
	}
	s.visible += len(in.list)
	for i, word := range in.mask {
		s.visible += bits.OnesCount64(word)
		for ; word != 0; word &= word - 1 {
			s.length += lengths.at(64*i + bits.TrailingZeros64(word))
		}
	}
}

func (s *search) sets(in domain) map[*phrase]found {
	sets := make(map[*phrase]found, len(s.leaves))
	for _, f := range s.leaves {
		sets[f] = s.eval.leaf(f, in, true)
	}
	return sets
}

func (s *search) score(docs []uint32, sets map[*phrase]found, weight []float64, mean float64) {
	if len(docs) == 0 {
		return
	}
	s.total += len(docs)
	e := &s.eval
	lengths, seqs, messages := e.terms.column(e.r, colLength), e.terms.column(e.r, colSeq), s.messages()
	if e.r.err != nil {
		return
	}
	scores := make([]float64, len(docs))
	for k, f := range s.leaves {
		set := sets[f]
		j := 0
		for i, d := range docs {
			for j < len(set.docs) && set.docs[j] < d {
				j++
			}
			if j == len(set.docs) {
				break
			}
			if set.docs[j] == d {
				tf := float64(set.freqs[j])
				norm := bm25K * (1 - bm25B + bm25B*float64(lengths.at(int(d)))/mean)
				scores[i] += weight[k] * tf * (bm25K + 1) / (tf + norm)
			}
		}
	}
	for i, d := range docs {
		h := ranked{key: math.Float64bits(scores[i]), seq: e.part.minSeq + seqs.at(int(d))}
		if messages != nil {
			h.message = messages.at(int(d))
		}
		s.push(h)
	}
}

// positive returns the leaves that a hit may hold: not those that are excluded.
func (x *Expr) positive(list []*phrase) []*phrase {
	if x == nil || x.op == opNot {
		return list
	}
	if x.op == opLeaf {
		return append(list, x.leaf)
	}
	for _, k := range x.kids {
		list = k.positive(list)
	}
	return list
}

func (s *search) result(mark uint32) Result {
	sort.Slice(s.best, func(i, j int) bool { return s.best[j].less(s.best[i]) })
	res := Result{Total: s.total}
	for _, h := range s.best {
		hit := Hit{Seq: h.seq, Copies: s.told.copies(h.message)}
		if s.order == Relevance {
			hit.Score = math.Float64frombits(h.key)
		}
		res.Hits = append(res.Hits, hit)
	}
	if s.more && len(s.best) > 0 {
		res.Next = page{s.before, s.best[len(s.best)-1]}.encode(mark)
	}
	return res
}

// page says where the next page begins.
type page struct {
	before uint64 // see search
	last   ranked // hit of the page before
}

const pageBytes = 4 + 3*8

func (p page) encode(mark uint32) string {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, pageBytes), mark)
	b = binary.BigEndian.AppendUint64(b, p.before)
	b = binary.BigEndian.AppendUint64(b, p.last.key)
	b = binary.BigEndian.AppendUint64(b, p.last.seq)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePage(text string, mark uint32) (*page, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != pageBytes || binary.BigEndian.Uint32(b) != mark {
		return nil, guia.Refuse(guia.Invalid, "index.query.page")
	}
	return &page{binary.BigEndian.Uint64(b[4:]), ranked{key: binary.BigEndian.Uint64(b[12:]), seq: binary.BigEndian.Uint64(b[20:])}}, nil
}

// digest tells one question from another, so that a page mark is not used for a question it does not belong to.
func (q *Query) digest(order Order) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%q %q %q %q %q %d %d %d %t", q.Text, q.Persons, q.Streams, q.Kinds, q.Entity, q.From.UnixNano(), q.To.UnixNano(), order, q.Copies)
	return h.Sum32()
}
