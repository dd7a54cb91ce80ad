package mapped

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// occurrences numbers identical rows, for inputs whose rows have no identifier. Its memory is fixed: when the table is full, it is
// emptied and a new generation begins, whose number becomes part of the keys. So identical rows never get the same key, and the
// keys of a row depend on nothing but the rows before it.
type occurrences struct {
	sums       []uint64 // open addressing; 0 is empty
	counts     []uint32
	used       int
	generation int

	said     map[uint64]int // in which file something was said first, of as much as fits
	repeated int64          // messages that stand in an earlier file as well
}

// mostSaid is of how many messages it is remembered in which file they stood.
const mostSaid = 1 << 17

// note counts a message that an earlier file told.
func (o *occurrences) note(file int, said ...string) {
	h := sha256.New()
	for _, s := range said {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	short := binary.BigEndian.Uint64(h.Sum(nil))
	first, known := o.said[short]
	switch {
	case known && first != file:
		o.repeated++
	case !known && len(o.said) < mostSaid:
		if o.said == nil {
			o.said = map[uint64]int{}
		}
		o.said[short] = file
	}
}

// occurrenceSlots times 12 bytes is what the table takes: 24 MiB.
const occurrenceSlots = 1 << 21

// key is the key of a row of a stream: a digest of both, and how many identical rows stood before it.
func (o *occurrences) key(stream string, raw []byte) string {
	if o.sums == nil || o.used > occurrenceSlots*7/8 {
		if o.sums != nil {
			o.generation++
		}
		o.sums, o.counts, o.used = make([]uint64, occurrenceSlots), make([]uint32, occurrenceSlots), 0
	}
	h := sha256.New()
	h.Write(binary.AppendUvarint(nil, uint64(len(stream))))
	h.Write([]byte(stream))
	h.Write(raw)
	sum := h.Sum(nil)
	short := binary.BigEndian.Uint64(sum) | 1
	at := short >> 1 & (occurrenceSlots - 1)
	for o.sums[at] != 0 && o.sums[at] != short {
		at = (at + 1) & (occurrenceSlots - 1)
	}
	if o.sums[at] == 0 {
		o.sums[at] = short
		o.used++
	}
	o.counts[at]++
	key := "row:" + hex.EncodeToString(sum[:16]) + "." + strconv.Itoa(int(o.counts[at]))
	if o.generation > 0 {
		key += ".g" + strconv.Itoa(o.generation)
	}
	return key
}
