package index

import (
	"bytes"
	"context"
	"fmt"
	"slices"
)

const (
	mergeRun   = 8         // this many neighbours of about one size become one
	mergeMost  = 256 << 20 // a segment does not grow beyond this many bytes by merging
	smallLevel = 256 << 10 // segments below are of one size
	levelStep  = 4         // less than mergeRun, so that merging lifts a segment to a higher level although terms are shared
)

// level is the size of a segment on a scale of powers.
func (s *segment) level() int {
	n := 0
	for size := s.meta.Bytes / smallLevel; size > 0; size /= levelStep {
		n++
	}
	return n
}

// plan returns the segments to merge next, nil when there are none: as soon as the newest neighbours hold mergeRun segments of one
// level, they and the smaller ones after them, from the oldest as many as may be one segment. Only neighbours are merged, so that
// documents stay in the order of the ledger.
func plan(segments []*segment) []*segment {
	for level := 16; level >= 0; level-- {
		from, count := len(segments), 0
		for from > 0 && segments[from-1].level() <= level {
			if from--; segments[from].level() == level {
				count++
			}
		}
		if count < mergeRun {
			continue
		}
		run := segments[from:]
		var size int64
		for i := range run {
			if size += run[i].meta.Bytes; size > mergeMost {
				run = run[:i]
				break
			}
		}
		if len(run) >= mergeRun/2 {
			return run
		}
	}
	return nil
}

// merge merges until nothing is to be merged. Searches go on; they see the segments before or the one after.
func (x *Index) merge(ctx context.Context) error {
	for {
		run := plan(x.segments)
		if run == nil {
			return nil
		}
		if err := x.mergeRun(ctx, run); err != nil {
			return fmt.Errorf("merge %d segments: %w", len(run), err)
		}
	}
}

func (x *Index) mergeRun(ctx context.Context, run []*segment) error {
	if err := x.count(ctx); err != nil {
		return err
	}
	// 1. The slots of the new segment. A crash leaves them free.
	meta, err := writeMerged(ctx, x.store, run)
	if err != nil {
		x.store.release(meta.Slots)
		return err
	}
	// 2. Its row instead of theirs; the cursor stays.
	fresh := newSegment(x.lastID+1, meta)
	if err := x.commit(ctx, run, fresh, x.saved); err != nil {
		return err
	}
	x.exchange(run, fresh)
	return nil
}

// exchange makes searches look at fresh instead of the run of old segments, whose slots are then free. It waits for running searches.
func (x *Index) exchange(old []*segment, fresh *segment) {
	kept := map[slotID]bool{}
	if fresh != nil {
		for _, id := range fresh.meta.Slots {
			kept[id] = true
		}
	}
	gone := map[*segment]bool{}
	for _, s := range old {
		gone[s] = true
	}
	x.mu.Lock()
	var segments []*segment
	for _, s := range x.segments {
		if !gone[s] {
			segments = append(segments, s)
		}
	}
	x.segments = segments
	if fresh != nil {
		x.insert(fresh)
	}
	x.mu.Unlock()
	// From here on no search reads the old slots.
	for s := range gone {
		x.store.release(slices.DeleteFunc(slices.Clone(s.meta.Slots), func(id slotID) bool { return kept[id] }))
	}
}

// source walks the terms of a segment in order.
type source struct {
	s      *segment
	offset uint32 // added to its documents
	dir    *directory
	leaf   int
	leafReader
}

// advance goes to the next term and reports whether there was one.
func (m *source) advance(r *reader) bool {
	for !m.leafReader.next() {
		if m.leaf == len(m.dir.slots) || r.err != nil {
			m.term = nil
			return false
		}
		m.data = r.slot(m.dir.slots[m.leaf])
		m.leaf++
	}
	return true
}

// writeMerged writes one segment with the documents of all, which are neighbours. It keeps one dictionary slot of each and the columns
// in memory. Forgotten documents keep their places.
func writeMerged(ctx context.Context, st *store, run []*segment) (segmentMeta, error) {
	r := &reader{ctx: ctx, store: st}
	w := newSegmentWriter(ctx, st)
	p := part{minSeq: run[0].minSeq, maxSeq: run[len(run)-1].maxSeq, minTime: 1, maxTime: 0}
	var live []*source
	for _, s := range run {
		m := &source{s: s, offset: uint32(p.docs), dir: s.directory(r)}
		p.docs += s.docs
		p.length += s.length
		if s.minTime <= s.maxTime && p.minTime > p.maxTime {
			p.minTime, p.maxTime = s.minTime, s.maxTime
		} else if s.minTime <= s.maxTime {
			p.minTime, p.maxTime = min(p.minTime, s.minTime), max(p.maxTime, s.maxTime)
		}
		if m.advance(r) {
			live = append(live, m)
		}
	}
	var it iter
	for len(live) > 0 && w.err == nil && r.err == nil {
		least := live[0].term
		for _, m := range live[1:] {
			if bytes.Compare(m.term, least) < 0 {
				least = m.term
			}
		}
		w.startTerm(least)
		rest := live[:0]
		for _, m := range live { // in ledger order
			if !bytes.Equal(m.term, w.term) {
				rest = append(rest, m)
				continue
			}
			w.addPostings(r, &it, m.p, m.offset)
			if m.advance(r) {
				rest = append(rest, m)
			}
		}
		live = rest
		w.endTerm()
	}
	meta, err := w.finish(p, mergedColumns(r, run, p))
	if r.err != nil {
		return segmentMeta{Slots: w.slots}, r.err
	}
	return meta, err
}

// addPostings appends all documents of p with offset added.
func (w *segmentWriter) addPostings(r *reader, it *iter, p postings, offset uint32) {
	if p.kind == single {
		doc, freq, at := parseSingle(p.data)
		w.addDoc(doc+offset, freq, at)
		return
	}
	for it.open(r, p); it.step(); {
		w.addBlock(it, offset)
	}
}

// mergedColumns are the columns of the run, one behind the other. Of the segments, which go away, nothing is kept that was not in memory.
func mergedColumns(r *reader, run []*segment, p part) *columns {
	var c columns
	offset := uint32(0)
	for _, s := range run {
		if alive := s.alive(r); alive != nil {
			for doc := range uint32(s.docs) {
				if !alive.has(doc) {
					c.dead = append(c.dead, offset+doc)
				}
			}
		}
		offset += uint32(s.docs)
	}
	c.fill = func(i int, values []uint64) ([]uint64, []string) {
		var names []string
		for _, s := range run {
			col, add := s.readColumn(r, i), uint64(0)
			switch {
			case i == colSeq:
				add = s.minSeq - p.minSeq
			case i == colTime:
				add = uint64(s.minTime - p.minTime)
			case i >= firstList:
				add = uint64(len(names))
				names = append(names, s.readList(r, i).names...)
			}
			if r.err != nil {
				return values, nil
			}
			for doc := range s.docs {
				v := col.at(doc)
				if i != colTime || v != 0 {
					v += add
				}
				values = append(values, v)
			}
		}
		return values, names
	}
	return &c
}
