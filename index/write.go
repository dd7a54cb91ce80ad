package index

import (
	"context"
	"encoding/binary"
	"slices"
)

const (
	inlineMost = 4 << 10 // postings longer than this get slots of their own
	// copyAt is how full the open block must be to be closed early, so that a full block after it can be copied as it is.
	copyAt     = blockDocs / 2
	touchAhead = 32
)

// segmentWriter writes the slots of a segment: terms in order, then columns. What it has written belongs to nobody until the row of
// the segment is stored with the meta it returns.
type segmentWriter struct {
	ctx   context.Context
	store *store
	slots slotSet
	err   error

	dir   directory
	leaf  []byte
	first []byte // term of the running leaf
	prev  []byte // term written last

	term  []byte
	df    uint32
	open  blockWriter
	body  []byte // blocks that are closed
	begin uint32 // first document in body
	end   uint32 // last document in body
	far   []ref  // slots already written for this term
	room  []byte
	// touched keeps the compiler from leaving out the reads of touch.
	touched uint32
	solo    struct {
		freq uint32
		at   []byte
	}
}

func newSegmentWriter(ctx context.Context, s *store) *segmentWriter {
	return &segmentWriter{ctx: ctx, store: s}
}

func (w *segmentWriter) put(content []byte) slotID {
	if w.err != nil {
		return 0
	}
	id, err := w.store.put(w.ctx, content)
	if err != nil {
		w.err = err
		return 0
	}
	w.slots = append(w.slots, id.bare())
	return id
}

func (w *segmentWriter) putBlob(content []byte) blobID {
	b := blobID{Size: len(content)}
	for len(content) > 0 {
		n := min(len(content), slotRoom)
		b.Slots = append(b.Slots, w.put(content[:n]))
		content = content[n:]
	}
	return b
}

// startTerm begins a term, which must come after the one before. Its postings follow, then endTerm.
func (w *segmentWriter) startTerm(term []byte) {
	w.term = append(w.term[:0], term...)
	w.df = 0
	w.body, w.far = w.body[:0], w.far[:0]
	w.end = 0
}

// addDoc appends a document with its encoded positions.
func (w *segmentWriter) addDoc(doc, freq uint32, at []byte) {
	if w.df == 0 {
		w.solo.freq, w.solo.at = freq, append(w.solo.at[:0], at...)
	}
	if w.open.full() {
		w.closeBlock()
	}
	w.open.add(doc, freq, at)
	w.df++
}

// addBlock appends the documents of a block with offset added. A block that is well filled is copied without being decoded.
func (w *segmentWriter) addBlock(it *iter, offset uint32) {
	if it.n >= copyAt && (w.open.n == 0 || w.open.n >= copyAt) {
		if w.open.n > 0 {
			w.closeBlock()
		}
		b := it.block
		b.first += offset
		b.last += offset
		w.df += uint32(b.n)
		w.append(&b)
		return
	}
	docs, freqs := it.ensureDocs(), it.ensureFreqs()
	at := 0
	for i, doc := range docs {
		next := skipNumbers(it.at, at, int(freqs[i]))
		w.addDoc(doc+offset, freqs[i], it.at[at:next])
		at = next
	}
}

func (w *segmentWriter) closeBlock() {
	w.room = w.open.appendTo(w.room[:0], 0)
	r := blockReader{data: w.room}
	r.next()
	w.append(&r.block)
}

// append adds a closed block to the body, which becomes a slot when it is full.
func (w *segmentWriter) append(b *block) {
	if len(w.body) > 0 && len(w.body)+b.size() > slotRoom {
		w.spill()
	}
	if len(w.body) == 0 {
		w.begin, w.end = b.first, 0
	}
	w.body = b.appendTo(w.body, w.end)
	w.end = b.last
}

func (w *segmentWriter) spill() {
	w.far = append(w.far, ref{w.begin, w.end, w.put(w.body)})
	w.body = w.body[:0]
}

// endTerm writes the entry. A term without documents leaves nothing.
func (w *segmentWriter) endTerm() {
	p := postings{df: w.df}
	switch w.df {
	case 0:
		return
	case 1:
		doc := w.open.docs[0]
		w.open.n, w.open.at = 0, w.open.at[:0]
		w.room = appendSingle(w.room[:0], doc, w.solo.freq, w.solo.at)
		p.kind, p.data = single, w.room
		if len(p.data) > inlineMost { // one long document full of one word
			var b blockWriter
			b.add(doc, w.solo.freq, w.solo.at)
			w.body = b.appendTo(w.body[:0], 0)
			w.begin, w.end = doc, doc
			w.spill()
			p = w.refs()
		}
	default:
		if w.open.n > 0 {
			w.closeBlock()
		}
		p.kind, p.data = inline, w.body
		if len(w.far) > 0 || len(w.body) > inlineMost {
			w.spill()
			p = w.refs()
		}
	}
	w.entry(w.term, p)
}

// refs are the postings that name the slots in w.far.
func (w *segmentWriter) refs() postings {
	p := postings{df: w.df, kind: refs}
	w.room = appendRefs(w.room[:0], w.far)
	p.data = w.room
	if len(p.data) > inlineMost {
		p.kind = farRefs
		var ids []byte
		for _, id := range w.putBlob(p.data).Slots {
			ids = appendSlot(ids, id, 0)
		}
		p.data = ids
	}
	return p
}

// entry appends a dictionary entry to the leaf.
func (w *segmentWriter) entry(term []byte, p postings) {
	if len(w.leaf)+len(term)+len(p.data)+4*binary.MaxVarintLen32 > slotRoom {
		w.endLeaf()
	}
	shared := 0
	if len(w.leaf) == 0 {
		w.first = append(w.first[:0], term...)
	} else {
		for shared < len(term) && shared < len(w.prev) && term[shared] == w.prev[shared] {
			shared++
		}
	}
	w.leaf = binary.AppendUvarint(w.leaf, uint64(shared))
	w.leaf = binary.AppendUvarint(w.leaf, uint64(len(term)-shared))
	w.leaf = append(w.leaf, term[shared:]...)
	w.leaf = binary.AppendUvarint(w.leaf, uint64(p.df))
	w.leaf = binary.AppendUvarint(w.leaf, uint64(len(p.data))<<2|uint64(p.kind))
	w.leaf = append(w.leaf, p.data...)
	w.prev = append(w.prev[:0], term...)
}

func (w *segmentWriter) endLeaf() {
	if len(w.leaf) > 0 {
		w.dir.add(w.first, w.put(w.leaf))
		w.leaf = w.leaf[:0]
	}
}

// columns are what the documents are, before it is packed: one column at a time, for together they would be the largest thing in memory.
type columns struct {
	// fill appends the values of column i for all documents to values. colSeq and colTime count from the least of the part. What a list
	// column points into is names, in any order, a name perhaps several times.
	fill func(i int, values []uint64) (filled []uint64, names []string)
	dead []uint32
}

// finish writes dictionary and columns and returns what the row of the segment must say.
func (w *segmentWriter) finish(p part, c *columns) (segmentMeta, error) {
	w.endLeaf()
	m := segmentMeta{
		Docs: p.docs, Dead: len(c.dead), MinSeq: p.minSeq, MaxSeq: p.maxSeq, MinTime: p.minTime, MaxTime: p.maxTime, Length: p.length,
		Leaves: w.putBlob(w.dir.encode()),
	}
	var values []uint64
	for i := range columnCount {
		var names []string
		if values, names = c.fill(i, slices.Grow(values[:0], p.docs)); len(values) != p.docs {
			return segmentMeta{Slots: w.slots}, damaged("column has a wrong length") // the reader has said why
		}
		if i >= firstList {
			m.Lists = append(m.Lists, w.putBlob(appendNames(nil, sortNames(values, names))))
		}
		if i == colMessage {
			for _, v := range values {
				m.Copies += int(v & 1)
			}
		}
		width, data := pack(values)
		m.Width = append(m.Width, width)
		m.Columns = append(m.Columns, w.putBlob(data))
	}
	if len(c.dead) > 0 {
		alive := newBitset(p.docs)
		for i := range uint32(p.docs) {
			alive.set(i)
		}
		for _, doc := range c.dead {
			alive.unset(doc)
		}
		var data []byte
		for _, word := range alive {
			data = binary.LittleEndian.AppendUint64(data, word)
		}
		m.Alive = w.putBlob(data)
	}
	if w.err == nil {
		w.err = w.store.flush(w.ctx)
	}
	m.Slots = w.slots
	m.Bytes = m.Slots.bytes()
	return m, w.err
}

func (s slotSet) bytes() (n int64) {
	for _, id := range s {
		n += int64(slotSizes[id.table()])
	}
	return n
}

// pack writes numbers in as few bytes each as the largest needs, at least one.
func pack(values []uint64) (width int, data []byte) {
	top := uint64(0)
	for _, v := range values {
		top |= v
	}
	for width = 1; width < 8 && top>>(8*width) != 0; width++ {
	}
	data = make([]byte, 0, len(values)*width+8)
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, v)
		data = data[:len(data)-8+width]
	}
	return width, data
}

// writeBuffer writes the buffer as a segment.
func writeBuffer(ctx context.Context, s *store, b *buffer) (segmentMeta, error) {
	w := newSegmentWriter(ctx, s)
	var room []byte
	var key [8]byte
	order := b.inOrder()
	for i, k := range order {
		if i%touchAhead == 0 {
			w.touched += b.touch(order[i:min(i+touchAhead, len(order))])
		}
		t := &b.terms[k.term]
		w.startTerm(b.term(t, &key))
		room = b.each(t, room, w.addDoc)
		w.endTerm()
	}
	return w.finish(b.part, &columns{fill: func(i int, values []uint64) ([]uint64, []string) {
		for doc := range b.docs {
			values = append(values, b.cols[i].at(doc))
		}
		if i == colTime && b.minTime <= b.maxTime {
			rebase(values, uint64(b.minTime-b.timeBase))
		}
		return values, b.names[i].names
	}})
}

// rebase makes times count from a later moment.
func rebase(times []uint64, later uint64) {
	for i, t := range times {
		if t != 0 {
			times[i] = t - later
		}
	}
}

// sortNames returns the names that the values of a column point into, in order, each once, and makes the values point into the result.
func sortNames(values []uint64, names []string) []string {
	used := make([]bool, len(names))
	for _, v := range values {
		used[v] = true
	}
	var order []int
	for k := range names {
		if used[k] {
			order = append(order, k)
		}
	}
	slices.SortFunc(order, func(x, y int) int {
		switch {
		case names[x] < names[y]:
			return -1
		case names[x] > names[y]:
			return 1
		}
		return 0
	})
	place := make([]uint64, len(names))
	var out []string
	for _, k := range order {
		if len(out) == 0 || out[len(out)-1] != names[k] {
			out = append(out, names[k])
		}
		place[k] = uint64(len(out) - 1)
	}
	for doc, v := range values {
		values[doc] = place[v]
	}
	return out
}
