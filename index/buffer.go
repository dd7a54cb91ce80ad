package index

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sort"
)

// buffer is the part that was not written yet. One goroutine writes it while nobody reads, or several read it (see [Index]).
//
// A term's postings are a chain of blocks in pages of memory, without pointers for the garbage collector to follow: for each document
// its distance from the one before times two, plus one when the term occurs once in it; otherwise then the number of occurrences;
// then the positions, each minus the one before.
type buffer struct {
	part
	seed  maphash.Seed
	table []uint32 // open addressing: place in terms plus one
	terms []bufferTerm
	text  []byte // of the terms
	pages [][]byte
	used  uint32 // of the last page
	cols  [columnCount]column
	names [columnCount]nameList
	index [columnCount]map[string]uint32

	toks  *tokens
	chain []uint32 // for each token of the document the next one of the same term, plus one
	seen  []uint32 // terms of the document
	room  []byte
	sort  []sortTerm
}

type bufferTerm struct {
	text, size  uint32
	hash        uint32
	df          uint32
	last        uint32 // document
	head        uint32 // address of the first byte of the chain
	at, end     uint32 // where the next byte goes, and where the running block ends
	step        uint32 // size of the next block
	stamp       uint32 // document plus one, while its tokens are grouped
	first, tail uint32 // tokens of that document
}

type sortTerm struct {
	key  uint64 // the first eight bytes
	term uint32
}

const (
	pageSize  = 1 << 20
	firstStep = 16
	mostStep  = 4096
	linkSize  = 4
)

func newBuffer() *buffer {
	b := &buffer{seed: maphash.MakeSeed(), toks: newTokens()}
	b.clear()
	return b
}

// clear empties the buffer and keeps its memory.
func (b *buffer) clear() {
	b.part = part{minTime: 1, maxTime: 0, timeBase: earliest}
	if len(b.table) > 1<<20 {
		b.table = nil
	}
	if b.table == nil {
		b.table = make([]uint32, 1<<12)
	}
	clear(b.table)
	clear(b.text)
	b.terms, b.text = b.terms[:0], b.text[:0]
	for _, p := range b.pages {
		clear(p) // what was forgotten does not stay in memory either
	}
	if len(b.pages) > 1 {
		b.pages = b.pages[:1]
	}
	b.used = 0
	for c := range b.cols {
		b.cols[c] = column{width: 4, data: append(b.cols[c].data[:0], 0, 0, 0, 0, 0, 0, 0, 0)}
		b.names[c] = nameList{}
		b.index[c] = map[string]uint32{}
	}
	b.cols[colSeq].width, b.cols[colTime].width = 8, 8
}

// memory is about how many bytes the buffer takes.
func (b *buffer) memory() int {
	n := len(b.pages)*pageSize + cap(b.text) + cap(b.terms)*48 + cap(b.table)*4
	for c := range b.cols {
		n += cap(b.cols[c].data)
	}
	return n
}

// add indexes a document.
func (b *buffer) add(d *Doc) {
	doc := uint32(b.docs)
	b.toks.reset()
	for _, text := range d.Text {
		b.toks.add(text)
	}
	b.addTokens(doc)

	if b.docs == 0 {
		b.minSeq = d.Seq
	}
	b.maxSeq = d.Seq
	b.push(colSeq, d.Seq-b.minSeq)
	b.push(colTime, b.timeOf(d))
	b.push(colLength, uint64(b.toks.atoms))
	b.length += uint64(b.toks.atoms)
	for c, name := range [columnCount]string{colStream: d.Stream, colPerson: d.Person, colKind: d.Kind, colEntity: d.Entity} {
		if c >= firstList {
			b.push(c, uint64(b.place(c, name)))
		}
	}
	b.docs++
}

// timeOf is the value of colTime. In the buffer it counts from a fixed moment so that earlier documents need not be touched.
func (b *buffer) timeOf(d *Doc) uint64 {
	if !d.HasTime {
		return 0
	}
	t := micros(d.Time)
	if b.minTime > b.maxTime {
		b.minTime, b.maxTime = t, t
	}
	b.minTime, b.maxTime = min(b.minTime, t), max(b.maxTime, t)
	return uint64(t-earliest) + 1
}

func (b *buffer) push(c int, v uint64) {
	col := &b.cols[c]
	col.data = binary.LittleEndian.AppendUint64(col.data[:b.docs*col.width], v)
	col.data = append(col.data[:(b.docs+1)*col.width], 0, 0, 0, 0, 0, 0, 0, 0)
}

func (b *buffer) place(c int, name string) uint32 {
	i, ok := b.index[c][name]
	if !ok {
		i = uint32(len(b.names[c].names))
		b.names[c].names = append(b.names[c].names, name)
		b.index[c][name] = i
	}
	return i
}

// addTokens groups the document's tokens by term and appends one record to the chain of each.
func (b *buffer) addTokens(doc uint32) {
	list := b.toks.list
	b.seen = b.seen[:0]
	b.chain = slices.Grow(b.chain[:0], len(list))[:len(list)]
	for i, k := range list {
		id := b.lookup(b.toks.term(k))
		t := &b.terms[id]
		b.chain[i] = 0
		if t.stamp == doc+1 {
			b.chain[t.tail] = uint32(i) + 1
			t.tail = uint32(i)
			continue
		}
		t.stamp, t.first, t.tail = doc+1, uint32(i), uint32(i)
		b.seen = append(b.seen, id)
	}
	for _, id := range b.seen {
		t := &b.terms[id]
		freq := uint64(0)
		for i := t.first + 1; i != 0; i = b.chain[i-1] {
			freq++
		}
		freq = min(freq, maxPos/4)
		rec := b.room[:0]
		delta := uint64(doc-t.last) << 1
		if freq == 1 {
			rec = binary.AppendUvarint(rec, delta|1)
		} else {
			rec = binary.AppendUvarint(rec, delta)
			rec = binary.AppendUvarint(rec, freq)
		}
		prev := uint32(0)
		for i := t.first + 1; i != 0 && freq > 0; i = b.chain[i-1] {
			pos := list[i-1].pos
			rec = binary.AppendUvarint(rec, uint64(pos-prev))
			prev = pos
			freq--
		}
		b.room = rec
		b.write(t, rec)
		t.last = doc
		t.df++
	}
}

// lookup returns the term's place, adding it when it is new.
func (b *buffer) lookup(term []byte) uint32 {
	hash := uint32(maphash.Bytes(b.seed, term))
	mask := uint32(len(b.table) - 1)
	i := hash & mask
	for {
		id := b.table[i]
		if id == 0 {
			break
		}
		if t := &b.terms[id-1]; t.hash == hash && string(b.text[t.text:t.text+t.size]) == string(term) {
			return id - 1
		}
		i = (i + 1) & mask
	}
	if 4*(len(b.terms)+1) > 3*len(b.table) {
		b.grow()
		mask = uint32(len(b.table) - 1)
		for i = hash & mask; b.table[i] != 0; i = (i + 1) & mask {
		}
	}
	b.terms = append(b.terms, bufferTerm{text: uint32(len(b.text)), size: uint32(len(term)), hash: hash})
	b.text = append(b.text, term...)
	b.table[i] = uint32(len(b.terms))
	return uint32(len(b.terms) - 1)
}

func (b *buffer) grow() {
	b.table = make([]uint32, 2*len(b.table))
	mask := uint32(len(b.table) - 1)
	for id := range b.terms {
		i := b.terms[id].hash & mask
		for b.table[i] != 0 {
			i = (i + 1) & mask
		}
		b.table[i] = uint32(id) + 1
	}
}

// write appends a record to the chain of t. Each block of a chain ends with the address of the next.
func (b *buffer) write(t *bufferTerm, rec []byte) {
	if t.df == 0 {
		t.head = b.block(firstStep)
		t.at, t.end, t.step = t.head, t.head+firstStep-linkSize, 2*firstStep
	}
	for {
		n := copy(b.bytes(t.at, t.end), rec)
		t.at += uint32(n)
		if rec = rec[n:]; len(rec) == 0 {
			return
		}
		next := b.block(t.step)
		binary.LittleEndian.PutUint32(b.bytes(t.end, t.end+linkSize), next)
		t.at, t.end = next, next+t.step-linkSize
		t.step = min(2*t.step, mostStep)
	}
}

// block takes size bytes of the pages and returns their address.
func (b *buffer) block(size uint32) uint32 {
	if len(b.pages) == 0 || b.used+size > pageSize {
		if len(b.pages) < cap(b.pages) && len(b.pages) > 0 && b.pages[:len(b.pages)+1][len(b.pages)] != nil {
			b.pages = b.pages[:len(b.pages)+1] // kept by clear
		} else {
			b.pages = append(b.pages, make([]byte, pageSize))
		}
		b.used = 0
	}
	at := uint32(len(b.pages)-1)*pageSize + b.used
	b.used += size
	return at
}

func (b *buffer) bytes(from, to uint32) []byte {
	page := b.pages[from/pageSize]
	return page[from%pageSize : from%pageSize+(to-from)]
}

// stream returns the records of t in one piece.
func (b *buffer) stream(dst []byte, t *bufferTerm) []byte {
	at, step := t.head, uint32(firstStep)
	for {
		end := at + step - linkSize
		if t.at >= at && t.at <= end && t.end == end {
			return append(dst, b.bytes(at, t.at)...)
		}
		dst = append(dst, b.bytes(at, end)...)
		at = binary.LittleEndian.Uint32(b.bytes(end, end+linkSize))
		step = min(2*step, mostStep)
	}
}

// each calls fn for the documents of t, in order, with their encoded positions. room is memory to use; it is returned for the next call.
func (b *buffer) each(t *bufferTerm, room []byte, fn func(doc, freq uint32, at []byte)) []byte {
	room = b.stream(room[:0], t)
	doc := uint32(0)
	for i := 0; i < len(room); {
		v, n := binary.Uvarint(room[i:])
		i += n
		doc += uint32(v >> 1)
		freq := uint32(1)
		if v&1 == 0 {
			freq, i = uvarint(room, i)
		}
		end := skipNumbers(room, i, int(freq))
		fn(doc, freq, room[i:end])
		i = end
	}
	return room
}

// postings writes the term's postings as blocks.
func (b *buffer) postings(t *bufferTerm) postings {
	var w blockWriter
	p := postings{df: t.df, kind: inline}
	prev := uint32(0)
	b.each(t, nil, func(doc, freq uint32, at []byte) {
		if w.full() {
			last := w.docs[w.n-1]
			p.data = w.appendTo(p.data, prev)
			prev = last
		}
		w.add(doc, freq, at)
	})
	p.data = w.appendTo(p.data, prev)
	return p
}

func (b *buffer) find(_ *reader, term []byte) postings {
	hash := uint32(maphash.Bytes(b.seed, term))
	mask := uint32(len(b.table) - 1)
	for i := hash & mask; b.table[i] != 0; i = (i + 1) & mask {
		if t := &b.terms[b.table[i]-1]; t.hash == hash && string(b.text[t.text:t.text+t.size]) == string(term) {
			return b.postings(t)
		}
	}
	return postings{}
}

func (b *buffer) walk(_ *reader, prefix []byte, fn func(postings)) {
	for i := range b.terms {
		t := &b.terms[i]
		if int(t.size) >= len(prefix) && string(b.text[t.text:t.text+uint32(len(prefix))]) == string(prefix) {
			fn(b.postings(t))
		}
	}
}

func (b *buffer) column(_ *reader, c int) *column { return &b.cols[c] }
func (b *buffer) list(_ *reader, c int) *nameList { return &b.names[c] }
func (b *buffer) alive(*reader) bitset            { return nil }

// inOrder returns the terms in order of their bytes.
func (b *buffer) inOrder() []sortTerm {
	b.sort = b.sort[:0]
	for i := range b.terms {
		t := &b.terms[i]
		var key [8]byte
		copy(key[:], b.text[t.text:t.text+t.size])
		b.sort = append(b.sort, sortTerm{binary.BigEndian.Uint64(key[:]), uint32(i)})
	}
	sort.Slice(b.sort, func(i, j int) bool {
		x, y := b.sort[i], b.sort[j]
		if x.key != y.key {
			return x.key < y.key
		}
		s, t := &b.terms[x.term], &b.terms[y.term]
		return string(b.text[s.text:s.text+s.size]) < string(b.text[t.text:t.text+t.size])
	})
	return b.sort
}
