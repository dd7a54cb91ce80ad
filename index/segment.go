package index

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"sort"
	"sync"
	"time"
)

// The columns of a part: one number for each document.
const (
	colSeq     = iota // ledger sequence number, less the smallest of the part
	colTime           // microseconds since 1970, less the smallest, plus one; 0 for a document without time
	colLength         // atoms
	colMessage        // which message it is a record of; the lowest bit says that another record of it came before
	colStream         // place in the part's list of streams; likewise below
	colPerson
	colKind
	colEntity
	columnCount
)

// firstList is the first of the columns that are places in a list.
const firstList = colStream

// part is something with documents that can be searched: a segment in the database or the buffer in memory. Documents are numbered
// from 0, ascending by ledger sequence.
type part struct {
	docs   int
	dead   int // forgotten documents: they keep their number and have no postings and no values
	minSeq uint64
	maxSeq uint64
	// minTime and maxTime are those of documents with a time, in microseconds; minTime > maxTime when there are none.
	minTime, maxTime int64
	timeBase         int64  // what colTime counts from
	length           uint64 // sum of colLength
	copies           int    // documents of messages that an earlier record told
}

// earliest is before every time an index can hold; see micros.
const earliest = -1 << 60

// micros is t in microseconds since 1970, for years from 1 to 9999.
func micros(t time.Time) int64 {
	switch y := t.Year(); {
	case y < 1:
		return time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	case y > 9999:
		return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMicro()
	}
	return t.UnixMicro()
}

// column is a row of fixed-width little-endian numbers.
type column struct {
	width int
	data  []byte // docs times width, and eight bytes more so that the last can be read whole
}

func (c *column) at(i int) uint64 {
	return binary.LittleEndian.Uint64(c.data[i*c.width:]) & (1<<(8*c.width) - 1) // a width of 8 shifts everything out and back: all ones
}

// terms is the dictionary of a part.
type terms interface {
	// find returns the postings of a term; df is 0 when there are none.
	find(r *reader, term []byte) postings
	// walk calls fn for each term that begins with prefix.
	walk(r *reader, prefix []byte, fn func(postings))
	column(r *reader, c int) *column
	list(r *reader, c int) *nameList
	// alive returns the documents that are not forgotten, nil when all are alive.
	alive(r *reader) bitset
}

// nameList is what a list column points into.
type nameList struct {
	names  []string
	sorted bool
}

// segmentMeta is what the database's row of a segment says, as JSON. It names slots and holds no term and no name.
type segmentMeta struct {
	Docs    int      `json:"docs"`
	Dead    int      `json:"dead,omitempty"`
	MinSeq  uint64   `json:"min_seq"`
	MaxSeq  uint64   `json:"max_seq"`
	MinTime int64    `json:"min_time"`
	MaxTime int64    `json:"max_time"`
	Length  uint64   `json:"length"`
	Copies  int      `json:"copies,omitempty"`
	Bytes   int64    `json:"bytes"` // of slots
	Width   []int    `json:"width"` // of the columns
	Columns []blobID `json:"columns"`
	Lists   []blobID `json:"lists"` // for the columns from firstList on
	Alive   blobID   `json:"alive"` // a bit for each document, or empty
	Leaves  blobID   `json:"leaves"`
	Slots   slotSet  `json:"slots"` // all of them, with those that the dictionary names
}

// blobID names content in several slots.
type blobID struct {
	Size  int      `json:"size,omitempty"`
	Slots []slotID `json:"slots,omitempty"`
}

// slotSet is a list of bare slots, kept in order, written as runs: first, count, first, count. Neighbours differ by 16 (see slotID).
type slotSet []slotID

// MarshalJSON writes the runs.
func (s slotSet) MarshalJSON() ([]byte, error) {
	runs := []uint64{}
	for i, id := range s {
		if i > 0 && id == s[i-1]+16 {
			runs[len(runs)-1]++
		} else {
			runs = append(runs, uint64(id), 1)
		}
	}
	return json.Marshal(runs)
}

// UnmarshalJSON reads the runs.
func (s *slotSet) UnmarshalJSON(data []byte) error {
	var runs []uint64
	if err := json.Unmarshal(data, &runs); err != nil {
		return err
	}
	*s = nil
	for i := 0; i+1 < len(runs); i += 2 {
		if runs[i+1] > 1<<32 {
			return damaged("run of slots is too long")
		}
		for k := range runs[i+1] {
			*s = append(*s, slotID(runs[i]+16*k))
		}
	}
	return nil
}

// segment is an immutable part in the database. What a search needs of it is loaded when it is first needed.
type segment struct {
	part
	id   int64
	sum  uint32 // of its row
	meta segmentMeta

	mu      sync.Mutex
	dir     *directory
	columns [columnCount]*column
	lists   [columnCount]*nameList
	living  bitset
}

func newSegment(id int64, meta segmentMeta) *segment {
	return &segment{id: id, meta: meta, part: part{
		docs: meta.Docs, dead: meta.Dead, minSeq: meta.MinSeq, maxSeq: meta.MaxSeq, minTime: meta.MinTime, maxTime: meta.MaxTime,
		timeBase: meta.MinTime, length: meta.Length, copies: meta.Copies,
	}}
}

// directory says in which slot the dictionary has which terms: slot i begins with first(i).
type directory struct {
	text  []byte
	start []uint32
	slots []slotID
}

func (d *directory) first(i int) []byte { return d.text[d.start[i]:d.start[i+1]] }

// leafFor returns the slot that holds term if the segment has it: the last one that does not begin after it. -1: none.
func (d *directory) leafFor(term []byte) int {
	return sort.Search(len(d.slots), func(i int) bool { return string(d.first(i)) > string(term) }) - 1
}

func (d *directory) add(first []byte, id slotID) {
	if len(d.start) == 0 {
		d.start = append(d.start, 0)
	}
	d.text = append(d.text, first...)
	d.start = append(d.start, uint32(len(d.text)))
	d.slots = append(d.slots, id)
}

func (d *directory) encode() []byte {
	var out []byte
	var prev slotID
	for i, id := range d.slots {
		out = binary.AppendUvarint(out, uint64(len(d.first(i))))
		out = append(out, d.first(i)...)
		out = appendSlot(out, id, prev)
		prev = id
	}
	return out
}

func parseDirectory(data []byte) *directory {
	d := &directory{}
	var prev slotID
	for i := 0; i < len(data); {
		var n uint32
		n, i = uvarint(data, i)
		term := data[i : i+int(n)]
		i += int(n)
		prev, i = parseSlot(data, i, prev)
		d.add(term, prev)
	}
	return d
}

func (s *segment) directory(r *reader) *directory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == nil {
		data := r.blob(s.meta.Leaves.Slots, s.meta.Leaves.Size)
		if r.err != nil {
			return &directory{}
		}
		s.dir = parseDirectory(data)
	}
	return s.dir
}

// column returns a column, which stays in memory.
func (s *segment) column(r *reader, c int) *column {
	col := s.readColumn(r, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.err == nil {
		s.columns[c] = col
	}
	return col
}

// readColumn is column for a segment that is on its way out.
func (s *segment) readColumn(r *reader, c int) *column {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.columns[c] != nil {
		return s.columns[c]
	}
	width := s.meta.Width[c]
	data := r.blob(s.meta.Columns[c].Slots, s.docs*width+8)
	if r.err != nil || len(data) != s.docs*width {
		r.fail(damaged("column has a wrong length"))
		return &column{width: 0, data: make([]byte, 8)}
	}
	return &column{width, append(data, make([]byte, 8)...)}
}

func (s *segment) list(r *reader, c int) *nameList {
	l := s.readList(r, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.err == nil {
		s.lists[c] = l
	}
	return l
}

// readList is list for a segment that is on its way out.
func (s *segment) readList(r *reader, c int) *nameList {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists[c] != nil {
		return s.lists[c]
	}
	b := s.meta.Lists[c-firstList]
	data := r.blob(b.Slots, b.Size)
	if r.err != nil {
		return &nameList{}
	}
	return &nameList{parseNames(data), true}
}

func (s *segment) alive(r *reader) bitset {
	if s.dead == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.living == nil {
		data := r.blob(s.meta.Alive.Slots, s.meta.Alive.Size)
		if r.err != nil {
			return newBitset(s.docs)
		}
		b := newBitset(s.docs)
		for i := range b {
			b[i] = binary.LittleEndian.Uint64(data[i*8:])
		}
		s.living = b
	}
	return s.living
}

func appendNames(dst []byte, names []string) []byte {
	for _, n := range names {
		dst = binary.AppendUvarint(dst, uint64(len(n)))
		dst = append(dst, n...)
	}
	return dst
}

func parseNames(data []byte) []string {
	text := string(data) // one allocation; the names are slices of it
	var names []string
	for i := 0; i < len(data); {
		var n uint32
		n, i = uvarint(data, i)
		names = append(names, text[i:i+int(n)])
		i += int(n)
	}
	return names
}

// A leaf is the content of one dictionary slot: entries in order of their terms,
//
//	bytes shared with the term before (0 for the first), length of the rest, the rest,
//	how many documents hold the term, length of the postings times four plus their kind, the postings
type leafReader struct {
	data []byte
	term []byte
	p    postings
}

// next parses an entry into term, which is overwritten by the next call, and p.
func (l *leafReader) next() bool {
	if len(l.data) == 0 {
		return false
	}
	d := l.data
	shared, i := uvarint(d, 0)
	rest, i := uvarint(d, i)
	l.term = append(l.term[:shared], d[i:i+int(rest)]...)
	i += int(rest)
	var size uint32
	l.p.df, i = uvarint(d, i)
	size, i = uvarint(d, i)
	l.p.kind = uint8(size & 3)
	end := i + int(size>>2)
	l.p.data = d[i:end]
	l.data = d[end:]
	return true
}

func (s *segment) find(r *reader, term []byte) postings {
	d := s.directory(r)
	i := d.leafFor(term)
	if i < 0 {
		return postings{}
	}
	l := leafReader{data: r.slot(d.slots[i])}
	for l.next() {
		switch c := slices.Compare(l.term, term); {
		case c == 0:
			return l.p
		case c > 0:
			return postings{}
		}
	}
	return postings{}
}

func (s *segment) walk(r *reader, prefix []byte, fn func(postings)) {
	d := s.directory(r)
	for i := max(0, d.leafFor(prefix)); i < len(d.slots); i++ {
		l := leafReader{data: r.slot(d.slots[i])}
		for l.next() {
			if len(l.term) >= len(prefix) && string(l.term[:len(prefix)]) == string(prefix) {
				fn(l.p)
			} else if string(l.term) > string(prefix) {
				return
			}
		}
	}
}

// bitset is a set of documents of a part.
type bitset []uint64

func newBitset(n int) bitset       { return make(bitset, (n+63)/64) }
func (b bitset) has(i uint32) bool { return b[i>>6]&(1<<(i&63)) != 0 }
func (b bitset) set(i uint32)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) unset(i uint32)    { b[i>>6] &^= 1 << (i & 63) }

// any reports whether a document from first to last is in the set.
func (b bitset) any(first, last uint32) bool {
	i, j := first>>6, last>>6
	low := ^uint64(0) << (first & 63)
	high := ^uint64(0) >> (63 - last&63)
	if i == j {
		return b[i]&low&high != 0
	}
	if b[i]&low != 0 || b[j]&high != 0 {
		return true
	}
	for i++; i < j; i++ {
		if b[i] != 0 {
			return true
		}
	}
	return false
}
