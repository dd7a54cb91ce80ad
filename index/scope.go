package index

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// Scope is what the one who asks may see. The zero value sees nothing. The lists add up: a document is visible when its stream is in
// Streams, or its entity in Entities, or its person in Persons. The empty string stands for documents without one and must be listed to
// be seen. To narrow a scope instead, use the fields of the same names in [Query].
type Scope struct {
	All      bool
	Streams  []string
	Entities []string
	Persons  []string
}

// names is a set of names, made for being looked up in many lists.
type names struct{ sorted []string }

func newNames(list []string) *names {
	if len(list) == 0 {
		return nil
	}
	n := &names{slices.Clone(list)}
	slices.Sort(n.sorted)
	return n
}

// places marks the names' places in a list with a one and says how many there are.
func (n *names) places(l *nameList) (marks []uint8, count int) {
	marks = make([]uint8, len(l.names))
	mark := func(i int) {
		count += 1 - int(marks[i])
		marks[i] = 1
	}
	switch {
	case l.sorted && len(n.sorted)*16 < len(l.names):
		for _, s := range n.sorted {
			if i, ok := slices.BinarySearch(l.names, s); ok {
				mark(i)
			}
		}
	case l.sorted:
		i := 0
		for _, s := range n.sorted {
			for i < len(l.names) && l.names[i] < s {
				i++
			}
			if i < len(l.names) && l.names[i] == s {
				mark(i)
			}
		}
	default:
		for i, s := range l.names {
			if _, ok := slices.BinarySearch(n.sorted, s); ok {
				mark(i)
			}
		}
	}
	return marks, count
}

// filter is a condition on the columns of documents: at least one of any (none: no condition), all of every, and a time range.
type filter struct {
	nothing  bool // no document passes
	any      []listFilter
	every    []listFilter
	from, to int64 // microseconds: from <= time < to
	timed    bool
}

type listFilter struct {
	column int
	names  *names
}

func (s Scope) filter() filter {
	if s.All {
		return filter{}
	}
	var f filter
	for column, list := range map[int][]string{colStream: s.Streams, colEntity: s.Entities, colPerson: s.Persons} {
		if n := newNames(list); n != nil {
			f.any = append(f.any, listFilter{column, n})
		}
	}
	f.nothing = len(f.any) == 0
	return f
}

func (q *Query) filter() filter {
	var f filter
	lists := [columnCount][]string{colStream: q.Streams, colPerson: q.Persons, colKind: q.Kinds}
	if q.Entity != "" {
		lists[colEntity] = []string{q.Entity}
	}
	for column, list := range lists {
		if n := newNames(list); n != nil {
			f.every = append(f.every, listFilter{column, n})
		}
	}
	f.from, f.to = math.MinInt64, math.MaxInt64
	if !q.From.IsZero() {
		f.timed, f.from = true, ceilMicros(q.From)
	}
	if !q.To.IsZero() {
		f.timed, f.to = true, ceilMicros(q.To)
	}
	return f
}

// ceilMicros rounds up: times of documents are cut to microseconds, and a range begins with its first whole one.
func ceilMicros(t time.Time) int64 {
	n := micros(t)
	if t.Nanosecond()%1000 != 0 {
		n++
	}
	return n
}

// and joins two filters: of the first any, of both every.
func (f filter) and(g filter) filter {
	g.any = f.any
	g.nothing = f.nothing || g.nothing
	g.every = append(slices.Clone(f.every), g.every...)
	return g
}

// bound is a filter applied to one part: what is left to look at for each document.
type bound struct {
	none, all bool
	any       []boundList
	every     []boundList
	times     *column
	low, high uint64 // of colTime: low <= value < high
	alive     bitset // in a part with forgotten documents
	limit     int    // documents from here on are too new
	docs      int
}

type boundList struct {
	column *column
	marks  []uint8
}

// bind looks the names up in the part and loads the columns that are needed. limit is the number of documents that count.
func (f *filter) bind(e *eval, limit int) bound {
	b := bound{none: f.nothing || limit == 0, limit: limit, docs: e.part.docs}
	whole := len(f.any) == 0
	for _, l := range f.any {
		list := e.terms.list(e.r, l.column)
		marks, n := l.names.places(list)
		if n == len(list.names) {
			whole = true
		}
		if n > 0 {
			b.any = append(b.any, boundList{e.terms.column(e.r, l.column), marks})
		}
	}
	switch {
	case whole:
		b.any = nil
	case len(b.any) == 0:
		b.none = true
	}
	for _, l := range f.every {
		list := e.terms.list(e.r, l.column)
		marks, n := l.names.places(list)
		if n == 0 {
			b.none = true
		} else if n < len(list.names) {
			b.every = append(b.every, boundList{e.terms.column(e.r, l.column), marks})
		}
	}
	b.bindTime(f, e)
	b.alive = e.terms.alive(e.r)
	b.all = !b.none && len(b.any) == 0 && len(b.every) == 0 && b.times == nil && limit == e.part.docs
	return b
}

func (b *bound) bindTime(f *filter, e *eval) {
	if !f.timed {
		return
	}
	p := e.part
	if p.minTime > p.maxTime || f.from > p.maxTime || f.to <= p.minTime || f.from >= f.to {
		b.none = true
		return
	}
	// Documents without time have the value 0 and are in no range, so that even a range over everything must look.
	b.times = e.terms.column(e.r, colTime)
	b.low = uint64(max(f.from, p.minTime)-p.timeBase) + 1
	b.high = uint64(min(f.to, p.maxTime+1)-p.timeBase) + 1
}

// has reports whether one document passes. The document is not a forgotten one.
func (b *bound) has(doc uint32) bool {
	i := int(doc)
	if i >= b.limit {
		return false
	}
	for k := range b.every {
		if l := &b.every[k]; l.marks[l.column.at(i)] == 0 {
			return false
		}
	}
	if b.times != nil {
		if t := b.times.at(i); t < b.low || t >= b.high {
			return false
		}
	}
	if len(b.any) == 0 {
		return true
	}
	for k := range b.any {
		if l := &b.any[k]; l.marks[l.column.at(i)] != 0 {
			return true
		}
	}
	return false
}

// domain returns all documents that pass.
func (b *bound) domain() domain {
	if b.all {
		return domain{}
	}
	if b.none {
		return ofList(nil)
	}
	mask := newBitset(b.docs)
	count := 0
	if len(b.any) == 1 && len(b.every) == 0 && b.times == nil {
		// The usual case, a scope of streams, in a loop of its own.
		column, marks := b.any[0].column, b.any[0].marks
		for i := range mask {
			word := uint64(0)
			for k := range min(64, b.limit-64*i) {
				word |= uint64(marks[column.at(64*i+k)]) << k
			}
			mask[i] = word
		}
	} else {
		for i := range uint32(b.limit) {
			if b.has(i) {
				mask.set(i)
			}
		}
	}
	for i := range mask {
		if b.alive != nil {
			mask[i] &= b.alive[i]
		}
		count += bits.OnesCount64(mask[i])
	}
	if count < b.docs/16 {
		return ofList(mask.list())
	}
	return domain{mask: mask}
}

// keep returns those of docs that pass.
func (b *bound) keep(docs []uint32) []uint32 {
	switch {
	case b.all:
		return docs
	case b.none:
		return nil
	}
	return slices.DeleteFunc(docs, func(d uint32) bool { return !b.has(d) })
}
