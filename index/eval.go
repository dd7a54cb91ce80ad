package index

import (
	"math/bits"
	"slices"
)

// domain is the set of documents of a part that a question is asked of: all, or those in mask, or those in list (ascending). Asking
// of a short list lets postings be hopped over; asking of a mask lets blocks without any of its documents stay undecoded.
type domain struct {
	mask bitset
	list []uint32
	some bool // list is meant, also when it is empty
}

func (d domain) all() bool { return d.mask == nil && !d.some }

func ofList(list []uint32) domain { return domain{list: list, some: true} }

// found are documents, ascending, and how often each holds what was looked for (nil when nobody asked).
type found struct {
	docs  []uint32
	freqs []uint32
}

// eval answers one query for one part. It is used by one goroutine and reused for the next part.
type eval struct {
	r     *reader
	part  *part
	terms terms
	known map[*phrase][]resolved // postings of the leaves in this part

	its   []iter
	flat  [2][]uint32
	start [2][]uint32
	pairs []uint64
}

// resolved is an item with its postings in the part.
type resolved struct {
	item
	one  postings
	many []postings // of an open item
	df   int        // at most so many documents
}

func (e *eval) begin(p *part, t terms) {
	e.part, e.terms = p, t
	e.known = map[*phrase][]resolved{}
}

// resolve looks up the items of a phrase, rarest first. Nil: one of them is nowhere.
func (e *eval) resolve(f *phrase) []resolved {
	if items, ok := e.known[f]; ok {
		return items
	}
	items := make([]resolved, 0, len(f.items))
	for _, it := range f.items {
		v := resolved{item: it}
		if it.open {
			e.terms.walk(e.r, []byte(it.term), func(p postings) {
				v.many = append(v.many, p)
				v.df += int(p.df)
			})
		} else {
			v.one = e.terms.find(e.r, []byte(it.term))
			v.df = int(v.one.df)
		}
		if v.df == 0 {
			items = nil
			break
		}
		items = append(items, v)
	}
	slices.SortStableFunc(items, func(a, b resolved) int { return a.df - b.df })
	e.known[f] = items
	return items
}

// cost guesses how many postings must be looked at to evaluate x.
func (e *eval) cost(x *Expr) int {
	switch x.op {
	case opLeaf:
		items := e.resolve(x.leaf)
		if items == nil {
			return 0
		}
		return items[0].df
	case opNot:
		return e.part.docs
	case opAnd:
		least := e.part.docs
		for _, k := range x.kids {
			least = min(least, e.cost(k))
		}
		return least
	case opOr:
		sum := 0
		for _, k := range x.kids {
			sum += e.cost(k)
		}
		return sum
	}
	return 0
}

// match returns the documents of the domain that x is true of. leaf evaluates a leaf.
func (e *eval) match(x *Expr, in domain, leaf func(*phrase, domain) []uint32) []uint32 {
	switch x.op {
	case opLeaf:
		return leaf(x.leaf, in)
	case opNot:
		all := e.documents(in)
		return without(all, e.match(x.kids[0], ofList(all), leaf))
	case opOr:
		var sum []uint32
		for _, k := range x.kids {
			sum = union(sum, e.match(k, in, leaf))
		}
		return sum
	case opAnd:
		return e.matchAll(x, in, leaf)
	}
	return nil
}

// matchAll returns the documents that all parts of x are true of.
func (e *eval) matchAll(x *Expr, in domain, leaf func(*phrase, domain) []uint32) []uint32 {
	// The cheapest first; what it leaves is the domain of the next. What is excluded comes last.
	kids := slices.Clone(x.kids)
	costs := map[*Expr]int{}
	for _, k := range kids {
		if costs[k] = e.cost(k); k.op == opNot {
			costs[k] += e.part.docs
		}
	}
	slices.SortStableFunc(kids, func(a, b *Expr) int { return costs[a] - costs[b] })
	for _, k := range kids {
		docs := e.match(k, in, leaf)
		if len(docs) == 0 {
			return nil
		}
		in = ofList(docs)
	}
	return in.list
}

// documents lists a domain.
func (e *eval) documents(in domain) []uint32 {
	switch {
	case in.some:
		return in.list
	case in.mask != nil:
		return in.mask.list()
	}
	out := make([]uint32, e.part.docs)
	for i := range out {
		out[i] = uint32(i)
	}
	if alive := e.terms.alive(e.r); alive != nil {
		out = slices.DeleteFunc(out, func(d uint32) bool { return !alive.has(d) })
	}
	return out
}

// leaf returns the documents of the domain that hold the phrase, and with wantFreqs how often.
func (e *eval) leaf(f *phrase, in domain, wantFreqs bool) found {
	items := e.resolve(f)
	switch {
	case items == nil || in.some && len(in.list) == 0:
		return found{}
	case len(items) == 1 && items[0].open:
		return e.any(items[0].many, in, wantFreqs)
	case len(items) == 1:
		return e.term(items[0].one, in, wantFreqs)
	}
	docs := in
	for _, v := range items {
		var next found
		if v.open {
			next = e.any(v.many, docs, false)
		} else {
			next = e.term(v.one, docs, false)
		}
		if len(next.docs) == 0 {
			return found{}
		}
		docs = ofList(next.docs)
	}
	return e.adjacent(items, docs.list, wantFreqs)
}

// term returns the documents of the domain that hold one term.
func (e *eval) term(p postings, in domain, wantFreqs bool) (out found) {
	var it iter
	it.open(e.r, p)
	if in.some {
		return e.termAmong(&it, in.list, wantFreqs)
	}
	out.docs = make([]uint32, 0, p.df)
	if wantFreqs {
		out.freqs = make([]uint32, 0, p.df)
	}
	for it.step() {
		if in.mask != nil && !in.mask.any(it.first, it.last) {
			continue
		}
		docs := it.ensureDocs()
		if in.mask == nil && !wantFreqs {
			out.docs = append(out.docs, docs...)
			continue
		}
		for i, d := range docs {
			if in.mask != nil && !in.mask.has(d) {
				continue
			}
			out.docs = append(out.docs, d)
			if wantFreqs {
				out.freqs = append(out.freqs, it.ensureFreqs()[i])
			}
		}
	}
	return out
}

func (e *eval) termAmong(it *iter, list []uint32, wantFreqs bool) (out found) {
	for i := 0; i < len(list) && it.seek(list[i]); {
		docs := it.ensureDocs()
		for j := 0; j < len(docs) && i < len(list); {
			switch {
			case docs[j] < list[i]:
				j++
			case docs[j] > list[i]:
				i++
			default:
				out.docs = append(out.docs, docs[j])
				if wantFreqs {
					out.freqs = append(out.freqs, it.ensureFreqs()[j])
				}
				i++
				j++
			}
		}
		for i < len(list) && list[i] <= it.last {
			i++
		}
	}
	return out
}

// any returns the documents of the domain that hold one of many terms.
func (e *eval) any(many []postings, in domain, wantFreqs bool) (out found) {
	mask := in.mask
	if in.some {
		mask = newBitset(e.part.docs)
		for _, d := range in.list {
			mask.set(d)
		}
	}
	hits := newBitset(e.part.docs)
	var freqs []uint32
	if wantFreqs {
		freqs = make([]uint32, e.part.docs)
	}
	var it iter
	for _, p := range many {
		if p.kind == single {
			v, freq, _ := parseSingle(p.data)
			if mask == nil || mask.has(v) {
				hits.set(v)
				if wantFreqs {
					freqs[v] += freq
				}
			}
			continue
		}
		for it.open(e.r, p); it.step(); {
			if mask != nil && !mask.any(it.first, it.last) {
				continue
			}
			for i, d := range it.ensureDocs() {
				if mask != nil && !mask.has(d) {
					continue
				}
				hits.set(d)
				if wantFreqs {
					freqs[d] += it.ensureFreqs()[i]
				}
			}
		}
	}
	out.docs = hits.list()
	if wantFreqs {
		for _, d := range out.docs {
			out.freqs = append(out.freqs, freqs[d])
		}
	}
	return out
}

// adjacentBatch is how many documents have their positions in memory at a time.
const adjacentBatch = 4096

// adjacent keeps the documents, all of which hold every item, where the items stand as the phrase says.
func (e *eval) adjacent(items []resolved, docs []uint32, wantFreqs bool) (out found) {
	if len(e.its) < len(items) {
		e.its = make([]iter, len(items))
	}
	for i, v := range items {
		if !v.open {
			e.its[i].open(e.r, v.one)
		}
	}
	for len(docs) > 0 && e.r.err == nil {
		batch := slices.Clone(docs[:min(len(docs), adjacentBatch)])
		docs = docs[len(batch):]
		// Candidate beginnings of the phrase: flat[0][start[0][i]:start[0][i+1]] are those in batch[i].
		for i, v := range items {
			if v.open {
				e.openPositions(v, batch)
			} else {
				e.positions(&e.its[i], v.off, batch)
			}
			if i == 0 {
				e.flat[0], e.flat[1] = e.flat[1], e.flat[0]
				e.start[0], e.start[1] = e.start[1], e.start[0]
				continue
			}
			batch = e.intersect(batch)
		}
		for i, d := range batch {
			out.docs = append(out.docs, d)
			if wantFreqs {
				out.freqs = append(out.freqs, e.start[0][i+1]-e.start[0][i])
			}
		}
	}
	return out
}

// positions fills flat[1] and start[1] with the places where the phrase would have to begin, judged by one term. All of batch hold it.
func (e *eval) positions(it *iter, off uint32, batch []uint32) {
	flat, start := e.flat[1][:0], append(e.start[1][:0], 0)
	for i := 0; i < len(batch) && it.seek(batch[i]); {
		for j, d := range it.ensureDocs() {
			if i < len(batch) && d == batch[i] {
				flat = it.positions(flat, j, off)
				start = append(start, uint32(len(flat)))
				i++
			}
		}
		if i < len(batch) && batch[i] <= it.last { // it does not hold the term: the file is not what was written
			e.r.fail(damaged("a document is missing from a term's postings"))
			break
		}
	}
	for len(start) <= len(batch) {
		start = append(start, uint32(len(flat)))
	}
	e.flat[1], e.start[1] = flat, start
}

// openPositions does the same for an open item.
func (e *eval) openPositions(v resolved, batch []uint32) {
	place := map[uint32]int{}
	mask := newBitset(e.part.docs)
	for i, d := range batch {
		place[d] = i
		mask.set(d)
	}
	e.pairs = e.pairs[:0]
	var it iter
	var room []uint32
	for _, p := range v.many {
		for it.open(e.r, p); it.step(); {
			if !mask.any(it.first, it.last) {
				continue
			}
			for j, d := range it.ensureDocs() {
				if !mask.has(d) {
					continue
				}
				room = it.positions(room[:0], j, 0)
				for _, pos := range room {
					e.pairs = append(e.pairs, uint64(place[d])<<32|uint64(pos))
				}
			}
		}
	}
	slices.Sort(e.pairs)
	flat, start := e.flat[1][:0], e.start[1][:0]
	k := 0
	for i := range batch {
		start = append(start, uint32(len(flat)))
		for k < len(e.pairs) && int(e.pairs[k]>>32) == i {
			flat = append(flat, uint32(e.pairs[k])-v.off)
			k++
		}
	}
	e.flat[1], e.start[1] = flat, append(start, uint32(len(flat)))
}

// intersect keeps in flat[0] the places that are in flat[1] too, and returns the documents that have any left. A place that would lie
// before the beginning of the text has wrapped around and is in no other list.
func (e *eval) intersect(batch []uint32) []uint32 {
	flat, start := e.flat[0], e.start[0]
	n, kept := 0, 0
	from := start[0]
	for i := range batch {
		a := flat[from:start[i+1]]
		from = start[i+1]
		b := e.flat[1][e.start[1][i]:e.start[1][i+1]]
		before := n
		for len(a) > 0 && len(b) > 0 {
			switch {
			case int32(a[0]-b[0]) < 0:
				a = a[1:]
			case int32(a[0]-b[0]) > 0:
				b = b[1:]
			default:
				flat[n] = a[0]
				n++
				a, b = a[1:], b[1:]
			}
		}
		if n > before {
			batch[kept] = batch[i]
			start[kept] = uint32(before)
			kept++
		}
	}
	start[kept] = uint32(n)
	e.flat[0], e.start[0] = flat[:n], start[:kept+1]
	return batch[:kept]
}

func (b bitset) list() []uint32 {
	var out []uint32
	for i, word := range b {
		for ; word != 0; word &= word - 1 {
			out = append(out, uint32(i*64+bits.TrailingZeros64(word)))
		}
	}
	return out
}

func union(a, b []uint32) []uint32 {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func without(a, b []uint32) []uint32 {
	out := make([]uint32, 0, len(a))
	for _, d := range a {
		for len(b) > 0 && b[0] < d {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != d {
			out = append(out, d)
		}
	}
	return out
}

func intersect(a, b []uint32) []uint32 {
	var out []uint32
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return out
}
