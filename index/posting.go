package index

import (
	"encoding/binary"
	"math/bits"
)

// The postings of a term are blocks of up to 128 documents, ascending. Documents are counted within their segment. A block is
//
//	first document, minus the last of the block before in the same slot
//	number of documents minus one, times two, plus one when some of them hold the term more than once
//	last document minus first
//	length of the document part; of the count part, if there is one; of the position part
//	document part: each document after the first, minus the one before
//	count part:    for each document with more than one occurrence: how many documents further, occurrences minus two
//	position part: for each document its positions, each minus the one before
//
// all of them variable-length numbers (encoding/binary Uvarint). Documents and positions are apart so that questions which need no
// positions do not read them, and the lengths let a reader hop over whole blocks. A term that stands in one document only is written
// shorter: document times two, plus one when it occurs more than once, then the number of positions if so, then the positions.

const (
	blockDocs = 128
	blockPos  = 6 << 10 // a block is closed when its positions have grown to this
	maxPos    = 900 << 10
)

// block is a parsed block header with its parts.
type block struct {
	first, last    uint32
	n              int
	docs, freq, at []byte
}

// blockReader walks the blocks of one slot or inline run.
type blockReader struct {
	data []byte
	prev uint32 // last document of the block before
	block
}

// next parses the next block and reports whether there was one. The documents themselves are not decoded.
func (b *blockReader) next() bool {
	if len(b.data) == 0 {
		return false
	}
	d := b.data
	first, k := uvarint(d, 0)
	n, k := uvarint(d, k)
	span, k := uvarint(d, k)
	docsLen, k := uvarint(d, k)
	freqLen := uint32(0)
	if n&1 != 0 {
		freqLen, k = uvarint(d, k)
	}
	posLen, k := uvarint(d, k)
	b.first = b.prev + first
	b.last = b.first + span
	b.n = int(n>>1) + 1
	b.prev = b.last
	docsEnd := k + int(docsLen)
	freqEnd := docsEnd + int(freqLen)
	posEnd := freqEnd + int(posLen)
	b.docs, b.freq, b.at = d[k:docsEnd], d[docsEnd:freqEnd], d[freqEnd:posEnd]
	b.data = d[posEnd:]
	return true
}

// uvarint reads a number at d[i:] and returns it with the place after it.
func uvarint(d []byte, i int) (uint32, int) {
	if c := d[i]; c < 0x80 {
		return uint32(c), i + 1
	}
	v := uint32(d[i] & 0x7f)
	for shift := 7; ; shift += 7 {
		i++
		c := d[i]
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v, i + 1
		}
	}
}

// docIDs decodes the documents of the block into dst.
func (b *block) docIDs(dst *[blockDocs]uint32) []uint32 {
	doc := b.first
	dst[0] = doc
	d := b.docs
	out := dst[:b.n]
	i := 0
	for j := 1; j < len(out); j++ {
		c := uint32(d[i])
		i++
		if c >= 0x80 {
			c &= 0x7f
			for shift := 7; ; shift += 7 {
				more := uint32(d[i])
				i++
				c |= (more & 0x7f) << shift
				if more < 0x80 {
					break
				}
			}
		}
		doc += c
		out[j] = doc
	}
	return out
}

// counts decodes how often each document of the block holds the term.
func (b *block) counts(dst *[blockDocs]uint32) []uint32 {
	out := dst[:b.n]
	for i := range out {
		out[i] = 1
	}
	at := -1
	for i := 0; i < len(b.freq); {
		var skip, more uint32
		skip, i = uvarint(b.freq, i)
		more, i = uvarint(b.freq, i)
		at += int(skip) + 1
		out[at] = more + 2
	}
	return out
}

// skipNumbers returns the place after the next n variable-length numbers of d[i:].
func skipNumbers(d []byte, i, n int) int {
	for n >= 8 && i+8 <= len(d) {
		// A number ends at each byte without the high bit.
		ends := ^binary.LittleEndian.Uint64(d[i:]) & 0x8080808080808080
		n -= bits.OnesCount64(ends)
		i += 8
		// The last number may reach over the eight bytes: then its end was not counted, and is found below.
	}
	for n > 0 {
		if d[i] < 0x80 {
			n--
		}
		i++
	}
	return i
}

// blockWriter collects documents and writes them as blocks.
type blockWriter struct {
	docs  [blockDocs]uint32
	freqs [blockDocs]uint32
	n     int
	at    []byte
	parts []byte
}

func (w *blockWriter) full() bool { return w.n == blockDocs || len(w.at) >= blockPos }

// add appends a document with its encoded positions. The caller has made room by calling appendTo when full.
func (w *blockWriter) add(doc, freq uint32, at []byte) {
	w.docs[w.n], w.freqs[w.n] = doc, freq
	w.n++
	w.at = append(w.at, at...)
}

// appendTo writes the collected block to dst, after a block that ended with document prev, and empties the writer.
func (w *blockWriter) appendTo(dst []byte, prev uint32) []byte {
	w.parts = w.parts[:0]
	for i := 1; i < w.n; i++ {
		w.parts = binary.AppendUvarint(w.parts, uint64(w.docs[i]-w.docs[i-1]))
	}
	docsLen := len(w.parts)
	skip := 0
	for _, f := range w.freqs[:w.n] {
		if f == 1 {
			skip++
			continue
		}
		w.parts = binary.AppendUvarint(w.parts, uint64(skip))
		w.parts = binary.AppendUvarint(w.parts, uint64(f-2))
		skip = 0
	}
	b := block{first: w.docs[0], last: w.docs[w.n-1], n: w.n, docs: w.parts[:docsLen], freq: w.parts[docsLen:], at: w.at}
	dst = b.appendTo(dst, prev)
	w.n, w.at = 0, w.at[:0]
	return dst
}

func (b *block) appendTo(dst []byte, prev uint32) []byte {
	n := uint64(b.n-1) << 1
	if len(b.freq) > 0 {
		n |= 1
	}
	dst = binary.AppendUvarint(dst, uint64(b.first-prev))
	dst = binary.AppendUvarint(dst, n)
	dst = binary.AppendUvarint(dst, uint64(b.last-b.first))
	dst = binary.AppendUvarint(dst, uint64(len(b.docs)))
	if len(b.freq) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(b.freq)))
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.at)))
	dst = append(dst, b.docs...)
	dst = append(dst, b.freq...)
	return append(dst, b.at...)
}

// headMost is more than a block header can take.
const headMost = 6 * binary.MaxVarintLen32

func (b *block) size() int { return headMost + len(b.docs) + len(b.freq) + len(b.at) }

// appendSingle writes the postings of a term that one document holds.
func appendSingle(dst []byte, doc, freq uint32, at []byte) []byte {
	if freq == 1 {
		dst = binary.AppendUvarint(dst, uint64(doc)<<1)
	} else {
		dst = binary.AppendUvarint(dst, uint64(doc)<<1|1)
		dst = binary.AppendUvarint(dst, uint64(freq))
	}
	return append(dst, at...)
}

func parseSingle(d []byte) (doc, freq uint32, at []byte) {
	v, i := binary.Uvarint(d)
	freq = 1
	if v&1 != 0 {
		freq, i = uvarint(d, i)
	}
	return uint32(v >> 1), freq, d[i:]
}

// The kinds of postings in a dictionary entry.
const (
	inline  = iota // the blocks themselves
	refs           // slots with blocks
	farRefs        // slots that hold the list of slots
	single         // one document
)

// ref is a slot with blocks of one term.
type ref struct {
	first, last uint32 // documents
	slot        slotID
}

func appendRefs(dst []byte, list []ref) []byte {
	var prev ref
	for _, f := range list {
		dst = binary.AppendUvarint(dst, uint64(f.first-prev.last))
		dst = binary.AppendUvarint(dst, uint64(f.last-f.first))
		dst = appendSlot(dst, f.slot, prev.slot)
		prev = f
	}
	return dst
}

// appendSlot writes the name of a slot after the name prev; parseSlot reads it.
func appendSlot(dst []byte, id, prev slotID) []byte {
	dst = binary.AppendVarint(dst, int64(id.bare())-int64(prev.bare()))
	return binary.LittleEndian.AppendUint32(dst, uint32(id>>32))
}

func parseSlot(d []byte, i int, prev slotID) (slotID, int) {
	step, n := binary.Varint(d[i:])
	i += n
	return slotID(binary.LittleEndian.Uint32(d[i:]))<<32 | slotID(int64(prev.bare())+step), i + 4
}

func parseRefs(d []byte) (list []ref) {
	var prev ref
	for i := 0; i < len(d); {
		var first, span uint32
		first, i = uvarint(d, i)
		span, i = uvarint(d, i)
		var slot slotID
		slot, i = parseSlot(d, i, prev.slot)
		prev = ref{prev.last + first, prev.last + first + span, slot}
		list = append(list, prev)
	}
	return list
}

// postings say where a term stands within a part. df is how many documents hold it.
type postings struct {
	df   uint32
	kind uint8
	data []byte
}

// iter walks the blocks of a term. For a term in one document it makes up a block.
type iter struct {
	r    *reader
	refs []ref
	next int // of refs
	blockReader
	one [8]byte

	ids    [blockDocs]uint32
	docs   []uint32 // decoded documents of the block, nil when not decoded
	have   [blockDocs]uint32
	freqs  []uint32 // likewise
	posDoc int      // positions of the documents before posDoc lie before posAt
	posAt  int
}

// open starts at the beginning, before the first block.
func (it *iter) open(r *reader, p postings) {
	*it = iter{r: r}
	switch p.kind {
	case inline:
		it.data = p.data
	case single:
		doc, freq, at := parseSingle(p.data)
		b := block{first: doc, last: doc, n: 1, at: at}
		if freq > 1 {
			b.freq = binary.AppendUvarint(append(it.one[:0], 0), uint64(freq-2))
		}
		it.data = b.appendTo(nil, 0)
	case refs:
		it.refs = parseRefs(p.data)
	case farRefs:
		it.refs = parseRefs(r.far(p.data))
	}
}

// far returns the list of slots that did not fit into the dictionary.
func (r *reader) far(data []byte) []byte {
	var out []byte
	for i := 0; i < len(data); {
		var id slotID
		id, i = parseSlot(data, i, 0)
		out = append(out, r.slot(id)...)
	}
	return out
}

// step goes to the next block.
func (it *iter) step() bool {
	it.docs, it.freqs, it.posDoc, it.posAt = nil, nil, 0, 0
	for !it.blockReader.next() {
		if it.next == len(it.refs) {
			return false
		}
		it.data, it.prev = it.r.slot(it.refs[it.next].slot), 0
		it.next++
	}
	return true
}

// seek goes to the first block from here on whose last document is not before doc. The current block counts.
func (it *iter) seek(doc uint32) bool {
	if it.n > 0 && it.last >= doc {
		return true
	}
	if it.next < len(it.refs) && it.refs[it.next].first <= doc {
		// The rest of this slot lies before doc.
		for it.next < len(it.refs) && it.refs[it.next].last < doc {
			it.next++
		}
		it.data = nil
	}
	for it.step() {
		if it.last >= doc {
			return true
		}
	}
	it.n = 0
	return false
}

func (it *iter) ensureDocs() []uint32 {
	if it.docs == nil {
		it.docs = it.docIDs(&it.ids)
	}
	return it.docs
}

func (it *iter) ensureFreqs() []uint32 {
	if it.freqs == nil {
		it.freqs = it.counts(&it.have)
	}
	return it.freqs
}

// positions appends the positions of the i-th document of the block, less off. The documents are asked for in ascending order.
func (it *iter) positions(dst []uint32, i int, off uint32) []uint32 {
	freqs := it.ensureFreqs()
	skip := 0
	for ; it.posDoc < i; it.posDoc++ {
		skip += int(freqs[it.posDoc])
	}
	at := skipNumbers(it.at, it.posAt, skip)
	pos := uint32(0)
	for range freqs[i] {
		var d uint32
		d, at = uvarint(it.at, at)
		pos += d
		dst = append(dst, pos-off)
	}
	it.posDoc, it.posAt = i+1, at
	return dst
}
