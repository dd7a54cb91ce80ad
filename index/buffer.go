package index

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
)

// buffer is the part that was not written yet. One goroutine writes it while nobody reads, or several read it (see [Index]).
//
// A term's postings are records, without pointers for the garbage collector to follow: for each document its distance from the one
// before times two, plus one when the term occurs once in it; otherwise then the number of occurrences; then the positions, each minus
// the one before. The first records lie in the term itself, which is one cache line, for most terms are rare; later ones in a chain of
// blocks in pages of memory.
type buffer struct {
	part
	seed  maphash.Seed
	table []uint64 // open addressing: hash times 2^32, place in terms plus one
	terms []bufferTerm
	text  []byte // of the terms longer than eight bytes
	pages [][]byte
	used  uint32 // of the last page
	cols  [columnCount]column
	names [columnCount]nameList
	index [columnCount]map[string]uint32

	toks  *tokens
	keys  []probed // for each token of the document where to look for its term
	chain []uint32 // and the next one of the same term, plus one
	seen  []uint32 // terms of the document
	room  []byte
	sort  []sortTerm
}

type bufferTerm struct {
	key         uint64 // the first eight bytes, as they sort
	text        uint32 // where it begins in buffer.text, if it is longer
	size        uint16
	used        uint8 // of near
	log         uint8 // size of the running block, as a power of two
	df          uint32
	last        uint32 // document
	head        uint32 // address of the chain
	at, end     uint32 // where the next byte goes, and where the running block ends; 0 without a chain
	stamp       uint32 // document plus one, while its tokens are grouped
	first, tail uint32 // tokens of that document
	near        [12]byte
}

type sortTerm struct {
	key  uint64
	term uint32
}

// keyOf returns the first eight bytes of a term as a number that sorts as they do.
func keyOf(term []byte) uint64 {
	if len(term) >= 8 {
		return binary.BigEndian.Uint64(term)
	}
	var key uint64
	for i, c := range term {
		key |= uint64(c) << (56 - 8*i)
	}
	return key
}

// is reports whether t is term, whose key is given.
func (b *buffer) is(t *bufferTerm, key uint64, term []byte) bool {
	return t.key == key && int(t.size) == len(term) && (len(term) <= 8 || string(b.text[t.text:t.text+uint32(t.size)]) == string(term))
}

// term returns the bytes of t. room is used when they are not in memory as such.
func (b *buffer) term(t *bufferTerm, room *[8]byte) []byte {
	if t.size > 8 {
		return b.text[t.text : t.text+uint32(t.size)]
	}
	binary.BigEndian.PutUint64(room[:], t.key)
	return room[:t.size]
}

const (
	pageSize = 1 << 20
	firstLog = 5  // the first block of a chain has 32 bytes
	mostLog  = 12 // the largest ones 4096
	linkSize = 4
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
		b.table = make([]uint64, 1<<12)
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
	b.cols[colSeq].width, b.cols[colTime].width, b.cols[colMessage].width = 8, 8, 8
}

// memory is about how many bytes the buffer takes.
func (b *buffer) memory() int {
	n := len(b.pages)*pageSize + cap(b.text) + cap(b.terms)*64 + cap(b.table)*8
	for c := range b.cols {
		n += cap(b.cols[c].data)
	}
	return n
}

// add indexes a document.
func (b *buffer) add(d *Doc) {
	doc := uint32(b.docs)
	b.toks.reset()
	room := textMost
	for _, text := range d.Text {
		if len(text) > room {
			text = strings.ToValidUTF8(text[:room], "")
		}
		room -= len(text)
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
	message := d.message()
	b.push(colMessage, message)
	b.copies += int(message & 1)
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
	b.probeAll(list)
	for i, k := range list {
		id := b.keys[i].id - 1
		if b.keys[i].id == 0 {
			id = b.lookup(b.toks.term(k))
		}
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

// probed is a token on its way into the table.
type probed struct {
	key      uint64
	hash, id uint32
}

// probeAll looks up all tokens of a document, step by step for all of them: the memory is far larger than the processor's caches, and
// this way many reads are under way at once. Terms that are new, or not in the first place looked at, are left to lookup.
func (b *buffer) probeAll(list []token) {
	b.keys = slices.Grow(b.keys[:0], len(list))[:len(list)]
	for i, k := range list {
		term := b.toks.term(k)
		b.keys[i] = probed{key: keyOf(term), hash: uint32(maphash.Bytes(b.seed, term))}
	}
	mask := uint32(len(b.table) - 1)
	for i := range b.keys {
		k := &b.keys[i]
		if e := b.table[k.hash&mask]; uint32(e>>32) == k.hash {
			k.id = uint32(e)
		}
	}
	for i := range b.keys {
		if k := &b.keys[i]; k.id != 0 && !b.is(&b.terms[k.id-1], k.key, b.toks.term(list[i])) {
			k.id = 0
		}
	}
}

// lookup returns the term's place, adding it when it is new.
func (b *buffer) lookup(term []byte) uint32 {
	key := keyOf(term)
	hash, i, id := b.probe(key, term)
	if id != 0 {
		return id - 1
	}
	if 2*(len(b.terms)+1) > len(b.table) {
		b.grow()
		_, i, _ = b.probe(key, term)
	}
	t := bufferTerm{key: key, size: uint16(len(term))}
	if len(term) > 8 {
		t.text = uint32(len(b.text))
		b.text = append(b.text, term...)
	}
	b.terms = append(b.terms, t)
	b.table[i] = uint64(hash)<<32 | uint64(len(b.terms))
	return uint32(len(b.terms) - 1)
}

// probe returns the term's place plus one, or 0 and the place in the table where it belongs.
func (b *buffer) probe(key uint64, term []byte) (hash, i, id uint32) {
	hash = uint32(maphash.Bytes(b.seed, term))
	mask := uint32(len(b.table) - 1)
	for i = hash & mask; b.table[i] != 0; i = (i + 1) & mask {
		if e := b.table[i]; uint32(e>>32) == hash && b.is(&b.terms[uint32(e)-1], key, term) {
			return hash, i, uint32(e)
		}
	}
	return hash, i, 0
}

func (b *buffer) grow() {
	old := b.table
	b.table = make([]uint64, 2*len(old))
	mask := uint32(len(b.table) - 1)
	for _, e := range old {
		if e == 0 {
			continue
		}
		i := uint32(e>>32) & mask
		for b.table[i] != 0 {
			i = (i + 1) & mask
		}
		b.table[i] = e
	}
}

// write appends a record to t. Each block of a chain ends with the address of the next.
func (b *buffer) write(t *bufferTerm, rec []byte) {
	if t.end == 0 {
		if int(t.used)+len(rec) <= len(t.near) {
			t.used += uint8(copy(t.near[t.used:], rec))
			return
		}
		t.head, t.log = b.block(1<<firstLog), firstLog
		t.at, t.end = t.head, t.head+1<<firstLog-linkSize
	}
	for {
		n := copy(b.bytes(t.at, t.end), rec)
		t.at += uint32(n)
		if rec = rec[n:]; len(rec) == 0 {
			return
		}
		t.log = min(t.log+1, mostLog)
		next := b.block(1 << t.log)
		binary.LittleEndian.PutUint32(b.bytes(t.end, t.end+linkSize), next)
		t.at, t.end = next, next+1<<t.log-linkSize
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
	dst = append(dst, t.near[:t.used]...)
	if t.end == 0 {
		return dst
	}
	at, log := t.head, uint8(firstLog)
	for {
		end := at + 1<<log - linkSize
		if end == t.end {
			return append(dst, b.bytes(at, t.at)...)
		}
		dst = append(dst, b.bytes(at, end)...)
		at = binary.LittleEndian.Uint32(b.bytes(end, end+linkSize))
		log = min(log+1, mostLog)
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
	if _, _, id := b.probe(keyOf(term), term); id != 0 {
		return b.postings(&b.terms[id-1])
	}
	return postings{}
}

func (b *buffer) walk(_ *reader, prefix []byte, fn func(postings)) {
	low := keyOf(prefix)
	mask := ^uint64(0)
	if len(prefix) < 8 {
		mask = ^(mask >> (8 * len(prefix)))
	}
	for i := range b.terms {
		t := &b.terms[i]
		if t.key&mask != low || int(t.size) < len(prefix) {
			continue
		}
		if len(prefix) <= 8 || string(b.text[t.text:t.text+uint32(len(prefix))]) == string(prefix) {
			fn(b.postings(t))
		}
	}
}

func (b *buffer) column(_ *reader, c int) *column { return &b.cols[c] }
func (b *buffer) list(_ *reader, c int) *nameList { return &b.names[c] }
func (b *buffer) alive(*reader) bitset            { return nil }

// inOrder returns the terms in order of their bytes: sorted by key, eight bits at a time, then those with equal keys.
func (b *buffer) inOrder() []sortTerm {
	n := len(b.terms)
	b.sort = slices.Grow(b.sort[:0], 2*n)[:2*n]
	list, room := b.sort[:n], b.sort[n:]
	var count [8][256]uint32
	for i := range list {
		key := b.terms[i].key
		list[i] = sortTerm{key, uint32(i)}
		for digit := range count {
			count[digit][byte(key>>(8*digit))]++
		}
	}
	for digit := range count {
		if n > 0 && count[digit][byte(list[0].key>>(8*digit))] == uint32(n) {
			continue // all the same
		}
		var at [256]uint32
		for d := 1; d < 256; d++ {
			at[d] = at[d-1] + count[digit][d-1]
		}
		for _, t := range list {
			d := byte(t.key >> (8 * digit))
			room[at[d]] = t
			at[d]++
		}
		list, room = room, list
	}
	for i := 0; i < n; {
		j := i + 1
		for j < n && list[j].key == list[i].key {
			j++
		}
		if j > i+1 {
			slices.SortFunc(list[i:j], func(x, y sortTerm) int {
				var p, q [8]byte // a term of up to eight bytes may end in the mark of a cut, a zero as its padding is
				return bytes.Compare(b.term(&b.terms[x.term], &p), b.term(&b.terms[y.term], &q))
			})
		}
		i = j
	}
	return list
}

// touch reads a little of each term, so that they come into the processor's caches side by side and not one after the other.
func (b *buffer) touch(list []sortTerm) (sum uint32) {
	for _, k := range list {
		sum += b.terms[k.term].df
	}
	return sum
}
