package index

import (
	"context"
	"fmt"
	"slices"
	"sort"
)

// Forget removes documents: their postings, every term that no other document holds, and their values. When it returns nil, no byte of
// the file, its log or a temporary file tells a term that only they held; what the buffer held is written first. Documents that the
// index does not have are passed over. After a crash or an error in between some of it may be undone: forget the same documents again.
//
// Slots that hold a posting of a forgotten document are written anew, the others stay. All free slots are overwritten with zeros.
func (x *Index) Forget(ctx context.Context, seqs []uint64) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if err := x.usable(); err != nil {
		return err
	}
	if err := x.forget(ctx, seqs); err != nil {
		return fmt.Errorf("forget in index: %w", err)
	}
	return nil
}

func (x *Index) forget(ctx context.Context, seqs []uint64) error {
	seqs = slices.Clone(seqs)
	slices.Sort(seqs)
	// 1. Everything is in segments.
	if err := x.flush(ctx); err != nil {
		return err
	}
	if err := x.count(ctx); err != nil {
		return err
	}
	// 2. Each segment with such documents is replaced, one after the other. A crash leaves the file with some of them replaced.
	for _, s := range slices.Clone(x.segments) {
		if err := x.forgetIn(ctx, s, seqs); err != nil {
			return err
		}
	}
	// 3. Old content is overwritten where it lay, and the log that carried it is emptied. The cache lost it when its slots became free.
	if err := x.store.wipe(ctx); err != nil {
		return err
	}
	return x.db.Scrub(ctx, false)
}

// forgetIn replaces one segment by one without the documents.
func (x *Index) forgetIn(ctx context.Context, s *segment, seqs []uint64) error {
	r := &reader{ctx: ctx, store: x.store}
	gone, docs := s.places(r, seqs)
	if len(docs) == 0 || r.err != nil {
		return r.err
	}
	if s.dead+len(docs) == s.docs {
		if err := x.commit(ctx, []*segment{s}, nil, x.saved); err != nil {
			return err
		}
		x.exchange([]*segment{s}, nil)
		return nil
	}
	meta, err := rewrite(r, s, gone, docs)
	if err != nil {
		x.store.release(added(meta.Slots, s.meta.Slots))
		return err
	}
	fresh := newSegment(x.lastID+1, meta)
	if err := x.commit(ctx, []*segment{s}, fresh, x.saved); err != nil {
		return err
	}
	x.exchange([]*segment{s}, fresh)
	return nil
}

// places returns the documents with these sequence numbers that are not forgotten yet.
func (s *segment) places(r *reader, seqs []uint64) (gone bitset, docs []uint32) {
	i := sort.Search(len(seqs), func(i int) bool { return seqs[i] >= s.minSeq })
	j := sort.Search(len(seqs), func(i int) bool { return seqs[i] > s.maxSeq })
	if i >= j {
		return nil, nil
	}
	column, alive := s.column(r, colSeq), s.alive(r)
	if r.err != nil {
		return nil, nil
	}
	gone = newBitset(s.docs)
	for _, seq := range seqs[i:j] {
		d, ok := sort.Find(s.docs, func(d int) int {
			switch at := s.minSeq + column.at(d); {
			case seq < at:
				return -1
			case seq > at:
				return 1
			}
			return 0
		})
		if ok && !gone.has(uint32(d)) && (alive == nil || alive.has(uint32(d))) {
			gone.set(uint32(d))
			docs = append(docs, uint32(d))
		}
	}
	return gone, docs
}

// rewriter copies a segment without some documents.
type rewriter struct {
	r    *reader
	w    *segmentWriter
	gone bitset
	from uint32 // first and last document that goes
	to   uint32
	drop map[slotID]bool // bare slots of the old segment that the new one does not name
	it   iter
}

// rewrite writes what changes and returns the meta of the new segment, which shares the other slots with the old one.
func rewrite(r *reader, s *segment, gone bitset, docs []uint32) (segmentMeta, error) {
	w := newSegmentWriter(r.ctx, r.store)
	c := &rewriter{r: r, w: w, gone: gone, from: docs[0], to: docs[len(docs)-1], drop: map[slotID]bool{}}
	var dir directory
	old := s.directory(r)
	for i, id := range old.slots {
		if w.err != nil || r.err != nil {
			break
		}
		if data := r.slot(id); c.touches(data) {
			c.drop[id.bare()] = true
			before := len(w.dir.slots)
			c.leaf(data)
			for ; before < len(w.dir.slots); before++ {
				dir.add(w.dir.first(before), w.dir.slots[before])
			}
		} else {
			dir.add(old.first(i), id)
		}
	}
	// Columns, lists, directory and marks of the living are always written anew.
	p := s.part
	cols := mergedColumns(r, []*segment{s}, p)
	c.clearColumns(cols, &p, docs)
	for _, b := range append(append([]blobID{s.meta.Leaves, s.meta.Alive}, s.meta.Columns...), s.meta.Lists...) {
		for _, id := range b.Slots {
			c.drop[id.bare()] = true
		}
	}
	for _, id := range s.meta.Slots {
		if !c.drop[id] {
			w.slots = append(w.slots, id)
		}
	}
	w.dir = dir
	meta, err := w.finish(p, cols)
	if r.err != nil {
		return segmentMeta{Slots: w.slots}, r.err
	}
	return meta, err
}

// clearColumns empties the values of the forgotten documents; their sequence numbers stay, so that the others are still found.
func (c *rewriter) clearColumns(cols *columns, p *part, docs []uint32) {
	cols.dead = append(cols.dead, docs...)
	slices.Sort(cols.dead)
	stored := cols.fill
	empty := func(values []uint64, by uint64) {
		for _, d := range docs {
			values[d] = by
		}
	}
	lengths, _ := stored(colLength, nil)
	times, _ := stored(colTime, nil)
	if c.r.err != nil {
		return
	}
	for _, d := range docs {
		p.length -= lengths[d]
	}
	empty(times, 0)
	low, high := uint64(0), uint64(0)
	for _, t := range times {
		if t != 0 && (low == 0 || t < low) {
			low = t
		}
		high = max(high, t)
	}
	if low == 0 {
		p.minTime, p.maxTime = 1, 0
	} else {
		p.minTime, p.maxTime = p.timeBase+int64(low-1), p.timeBase+int64(high-1)
	}
	cols.fill = func(i int, values []uint64) ([]uint64, []string) {
		values, names := stored(i, values)
		if c.r.err != nil {
			return values, nil
		}
		switch {
		case i >= firstList:
			names = append(names, "")
			empty(values, uint64(len(names)-1))
		case i == colTime:
			empty(values, 0)
			if low != 0 {
				rebase(values, low-1)
			}
		case i == colLength || i == colMessage:
			empty(values, 0)
		}
		return values, names
	}
}

// touches reports whether an entry of a leaf has postings of a document that goes.
func (c *rewriter) touches(leaf []byte) bool {
	l := leafReader{data: leaf}
	for l.next() {
		if c.hit(l.p) {
			return true
		}
	}
	return false
}

func (c *rewriter) hit(p postings) bool {
	if p.kind == single {
		doc, _, _ := parseSingle(p.data)
		return c.gone.has(doc)
	}
	c.it.open(c.r, p)
	for c.it.seek(c.from) && c.it.first <= c.to {
		if c.gone.any(c.it.first, c.it.last) && slices.ContainsFunc(c.it.ensureDocs(), c.gone.has) {
			return true
		}
		if !c.it.step() {
			return false
		}
	}
	return false
}

// leaf writes a leaf without the documents. It is one leaf again or none: leaving something out makes nothing longer.
func (c *rewriter) leaf(data []byte) {
	l := leafReader{data: data}
	for l.next() && c.w.err == nil && c.r.err == nil {
		if !c.hit(l.p) {
			c.w.entry(l.term, l.p)
			continue
		}
		c.w.startTerm(l.term)
		if l.p.kind == refs || l.p.kind == farRefs {
			c.far(l.term, l.p)
			continue
		}
		c.copyTerm(l.p)
		c.w.endTerm()
	}
	c.w.endLeaf()
}

// copyTerm gives the writer the documents that stay.
func (c *rewriter) copyTerm(p postings) {
	if p.kind == single {
		return // it goes: that was the hit
	}
	for c.it.open(c.r, p); c.it.step(); {
		docs, freqs := c.it.ensureDocs(), c.it.ensureFreqs()
		at := 0
		for i, doc := range docs {
			next := skipNumbers(c.it.at, at, int(freqs[i]))
			if !c.gone.has(doc) {
				c.w.addDoc(doc, freqs[i], c.it.at[at:next])
			}
			at = next
		}
	}
}

// far writes a term with slots of its own: only those with a document that goes are written anew.
func (c *rewriter) far(term []byte, p postings) {
	list := p.data
	if p.kind == farRefs {
		list = c.r.far(p.data)
		for i := 0; i < len(p.data); {
			var id slotID
			id, i = parseSlot(p.data, i, 0)
			c.drop[id.bare()] = true
		}
	}
	w := c.w
	w.df = p.df
	for _, f := range parseRefs(list) {
		here := postings{kind: inline, data: c.r.slot(f.slot)}
		if f.last < c.from || f.first > c.to || !c.hit(here) {
			w.far = append(w.far, f)
			continue
		}
		c.drop[f.slot.bare()] = true
		before := w.df
		w.df = 0
		all := uint32(0)
		for c.it.open(c.r, here); c.it.step(); {
			all += uint32(c.it.n)
		}
		kept := w.far
		w.far = nil
		c.copyTerm(here)
		if w.open.n > 0 {
			w.closeBlock()
		}
		if len(w.body) > 0 {
			w.spill()
		}
		w.far = append(kept, w.far...)
		w.df = before - (all - w.df)
	}
	if w.df > 0 {
		w.entry(term, w.refs())
	}
}

func added(now, before slotSet) (out []slotID) {
	had := map[slotID]bool{}
	for _, id := range before {
		had[id] = true
	}
	for _, id := range now {
		if !had[id] {
			out = append(out, id)
		}
	}
	return out
}
