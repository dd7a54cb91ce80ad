package vault

import (
	"hash/maphash"
	"sync"

	"guia"
)

// The bounds of what is remembered: a few pages of records, whatever they say.
const (
	mostRecent      = 4096     // events
	mostRecentBytes = 8 << 20  // of values, all together
	largeRecent     = 64 << 10 // an event with more is not remembered
)

// recent remembers the fields of what was sealed last, so that the followers, which come right behind, need not decrypt it. It speaks of
// the very bytes of a row: an event that was erased meanwhile has another row, and an event that was never committed has none. It is a
// matter of speed alone, and each event is asked for once.
type recent struct {
	mu     sync.Mutex
	seed   maphash.Seed
	fields map[guia.RecordID]remembered
	order  []guia.RecordID // a ring, the oldest at next
	next   int
	bytes  int
}

type remembered struct {
	row    uint64
	fields guia.Fields
	bytes  int
}

func newRecent() *recent {
	return &recent{seed: maphash.MakeSeed(), fields: map[guia.RecordID]remembered{}, order: make([]guia.RecordID, mostRecent)}
}

// put remembers the fields without the bytes as received. Nobody changes their values any more.
func (r *recent) put(record guia.RecordID, row []byte, fields guia.Fields) {
	m := remembered{row: maphash.Bytes(r.seed, row), fields: make(guia.Fields, 0, len(fields))}
	whole := 0 // values of one record may share their memory
	for _, f := range fields {
		whole += len(f.Value)
		if number, _ := guia.SlotOf(f.Name); number != guia.SlotRaw {
			m.fields = append(m.fields, f)
		}
	}
	if m.bytes = whole; whole > largeRecent {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(r.order[r.next])
	r.forget(record) // sealed once more: it counts once
	r.order[r.next] = record
	r.next = (r.next + 1) % len(r.order)
	r.fields[record] = m
	r.bytes += m.bytes
	for oldest := r.next; r.bytes > mostRecentBytes; oldest = (oldest + 1) % len(r.order) {
		r.forget(r.order[oldest])
	}
}

// take returns what is remembered of a row, once.
func (r *recent) take(record guia.RecordID, row []byte) (guia.Fields, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.fields[record]
	if !ok || m.row != maphash.Bytes(r.seed, row) {
		return nil, false
	}
	r.forget(record)
	return m.fields, true
}

// forget is called with mu held.
func (r *recent) forget(record guia.RecordID) {
	if m, ok := r.fields[record]; ok {
		r.bytes -= m.bytes
		delete(r.fields, record)
	}
}
