package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"

	"guia"
	"guia/blob"
	"guia/canon"
	"guia/seal"
)

// docs/format/vault.md
const (
	rowVersion = 1

	slotInline    = 1 // the body stands in the row
	slotOutside   = 2 // the body is a blob
	slotForgotten = 3 // only the commitments are left

	bodyPlain                = 0
	bodyS2                   = 1 // an S2 block against dictionary1
	bodyDeflated             = 3 // against dictionary1
	bodyDeflatedAfterContent = 2 // against the fields of the content slot; only in the raw slot

	short   = 4096     // bodies below are S2 blocks
	maxBody = 64 << 20 // no body is larger after decompression
)

var errRow = errors.New("row is not in the form of docs/format/vault.md")

type fileRef struct {
	field  string
	digest blob.Digest
}

// slotWriter collects one slot of an event that is being sealed.
type slotWriter struct {
	number  guia.Slot
	kek     uint64
	key     *seal.Slot
	wrapped []byte
	context []byte
	files   []fileRef
}

func (w *slotWriter) appendHead(row []byte, state byte) []byte {
	row = append(row, byte(w.number), state)
	row = binary.AppendUvarint(row, w.kek)
	row = append(row, w.wrapped...)
	row = binary.AppendUvarint(row, uint64(len(w.files)))
	for _, f := range w.files {
		row = binary.AppendUvarint(row, uint64(len(f.field)))
		row = append(row, f.field...)
		row = append(row, f.digest[:]...)
	}
	return row
}

func appendForgotten(row []byte, number guia.Slot, commitments []canon.Commitment) []byte {
	block := canon.AppendFields(nil, commitments)
	row = append(row, byte(number), slotForgotten)
	row = binary.AppendUvarint(row, uint64(len(block)))
	return append(row, block...)
}

// slot is one slot of a stored row; key and fields are there after unpack.
type slot struct {
	number    guia.Slot
	state     byte
	kek       uint64
	wrapped   []byte
	files     []fileRef
	body      []byte
	outside   bool
	digest    blob.Digest
	forgotten []canon.Commitment
	encoded   []byte // the slot's bytes in the row

	key    *seal.Slot
	fields []guia.Field
}

// parseRow takes a row apart without any key. The slots point into row.
func parseRow(row []byte) ([]slot, error) {
	if len(row) == 0 || row[0] != rowVersion {
		return nil, errRow
	}
	r := reader{rest: row[1:]}
	slots := make([]slot, 0, len(guia.Slots))
	for len(r.rest) > 0 {
		var s slot
		start := r.rest
		s.number, s.state = guia.Slot(r.byte()), r.byte()
		if s.number < guia.SlotRecord || s.number > guia.SlotRaw || len(slots) > 0 && slots[len(slots)-1].number >= s.number {
			return nil, errRow
		}
		switch s.state {
		case slotInline, slotOutside:
			s.kek = r.uvarint()
			s.wrapped = r.take(seal.WrapSize)
			n := r.uvarint()
			if n > guia.MaxFields {
				return nil, errRow
			}
			for range n {
				f := fileRef{field: string(r.take(r.uvarint()))}
				copy(f.digest[:], r.take(uint64(len(f.digest))))
				s.files = append(s.files, f)
			}
			if s.state == slotInline {
				s.body = r.take(r.uvarint())
			} else {
				s.outside = true
				copy(s.digest[:], r.take(uint64(len(s.digest))))
			}
		case slotForgotten:
			var err error
			if s.forgotten, err = parseBlock(r.take(r.uvarint())); err != nil {
				return nil, err
			}
		default:
			return nil, errRow
		}
		if r.short {
			return nil, errRow
		}
		s.encoded = start[:len(start)-len(r.rest)]
		slots = append(slots, s)
	}
	return slots, nil
}

// reader takes bytes from the front and remembers when there were too few.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.short, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, width := binary.Uvarint(r.rest)
	if width <= 0 {
		r.short, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[width:]
	return n
}

// parseBlock reads the commitments of a forgotten slot, in their one spelling.
func parseBlock(block []byte) ([]canon.Commitment, error) {
	var commitments []canon.Commitment
	for line := range strings.Lines(string(block)) {
		line, ok := strings.CutSuffix(line, "\n")
		if !ok || len(line) < 67 || line[64:66] != "  " {
			return nil, errRow
		}
		c := canon.Commitment{Name: line[66:]}
		if _, err := hex.Decode(c.Hash[:], []byte(line[:64])); err != nil {
			return nil, errRow
		}
		if n := len(commitments); n > 0 && commitments[n-1].Name >= c.Name {
			return nil, errRow
		}
		commitments = append(commitments, c)
	}
	if !bytes.Equal(canon.AppendFields(nil, commitments), block) { // upper-case digits
		return nil, errRow
	}
	return commitments, nil
}

// unpack parses a row and decrypts its slots. A slot whose KEK is destroyed although the row still has its body (a crash between
// destroying and replacing, or an old copy) is damage: the destruction writes the commitments first.
//
// Slots after last are left sealed: whoever does not need the raw bytes does not pay for them.
func (v *Vault) unpack(ctx context.Context, seq guia.Seq, record guia.RecordID, row []byte, last guia.Slot) ([]slot, error) {
	slots, err := parseRow(row)
	if err != nil {
		return nil, guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(seq), "row")
	}
	var content []byte
	for i := range slots {
		s := &slots[i]
		if s.number > last {
			return slots[:i], nil
		}
		if s.state == slotForgotten {
			continue
		}
		kek, err := v.keys.Key(ctx, s.kek)
		if errors.Is(err, seal.ErrForgotten) {
			return nil, guia.RefuseCause(guia.Damaged, err, "vault.key_gone", uint64(seq), s.number.String())
		}
		if err != nil {
			return nil, err
		}
		context := slotContext(record, s.number)
		if s.key, err = seal.OpenSlot(kek, s.wrapped, context); err != nil {
			return nil, guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(seq), s.number.String())
		}
		body := s.body
		if s.outside {
			if body, err = v.readBlob(ctx, s.digest); err != nil {
				return nil, guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(seq), s.number.String())
			}
		}
		packed, err := s.key.Open(nil, body, context)
		if err == nil {
			packed, err = decompress(packed, content)
		}
		if err == nil {
			s.fields, err = unpackFields(packed)
		}
		if err != nil {
			return nil, guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(seq), s.number.String())
		}
		if s.number == guia.SlotContent {
			content = packed
		}
	}
	return slots, nil
}

func (v *Vault) readBlob(ctx context.Context, digest blob.Digest) ([]byte, error) {
	r, err := v.blobs.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, maxBody+1024))
	if err == nil && n > maxBody+64 { // codec and tag
		err = errRow
	}
	return b.Bytes(), err
}

// room is what sealing one event takes beside what stays of it. The next event uses it again.
type room struct {
	slots       []guia.Slot // the slot of each field
	commitments []canon.Commitment
	content     []byte // the packed content slot
	packed      []byte // another one
	body        []byte
	row         []byte
}

var rooms = sync.Pool{New: func() any { return &room{} }}

// leave gives the room back, unless an event of rare size has made it large.
func (r *room) leave() {
	if cap(r.content)+cap(r.packed)+cap(r.body)+cap(r.row) > 1<<20 {
		return
	}
	*r = room{r.slots[:0], r.commitments[:0], r.content[:0], r.packed[:0], r.body[:0], r.row[:0]}
	rooms.Put(r)
}

// pack writes the fields of a slot, and returns what they may be compressed against: the content slot's fields, for the raw bytes. Both
// hold until the next call.
func (r *room) pack(number guia.Slot, fields guia.Fields) (packed, against []byte) {
	packed = r.packed[:0]
	if number == guia.SlotContent {
		packed = r.content[:0]
	}
	for i, f := range fields {
		if r.slots[i] == number {
			packed = appendField(packed, f)
		}
	}
	switch number {
	case guia.SlotContent:
		r.content = packed
	case guia.SlotRaw:
		r.packed = packed
		if len(r.content) > 0 {
			return packed, r.content
		}
	default:
		r.packed = packed
	}
	return packed, nil
}

// appendField writes a field of a slot: the name and the value, each behind its length. They stand in ascending order of name.
func appendField(packed []byte, f guia.Field) []byte {
	packed = append(binary.AppendUvarint(packed, uint64(len(f.Name))), f.Name...)
	return append(binary.AppendUvarint(packed, uint64(len(f.Value))), f.Value...)
}

// unpackFields reads what appendField wrote. The names must be ascending. Values point into plain.
func unpackFields(plain []byte) ([]guia.Field, error) {
	r := reader{rest: plain}
	fields := make([]guia.Field, 0, 24)
	for len(r.rest) > 0 {
		f := guia.Field{Name: nameOf(r.take(r.uvarint()))}
		f.Value = r.take(r.uvarint())
		if r.short || len(fields) > 0 && fields[len(fields)-1].Name >= f.Name || len(fields) >= guia.MaxFields {
			return nil, errRow
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// nameOf is string(b), without making one for the usual names.
func nameOf(b []byte) string {
	if name, ok := usualNames()[string(b)]; ok {
		return name
	}
	return string(b)
}

var usualNames = sync.OnceValue(func() map[string]string {
	m := make(map[string]string, 2*len(guia.Registry))
	for _, f := range guia.Registry {
		m[f.Name] = f.Name
	}
	for n := range 64 { // a text of 4,096 characters
		name := canon.ChunkName(n)
		m[name] = name
	}
	return m
})

// compress appends the body to be encrypted, plain when nothing makes it shorter. A message is an S2 block against dictionary1: measured
// on 1 KiB of chat it takes 3 µs where DEFLATE takes 15, and followers read it in a fifth. What is longer is deflated (RFC 1951), a
// fifth smaller. The raw record mostly repeats what was read from it: deflated against the content slot's fields it costs almost
// nothing.
func compress(dst, plain, content []byte) []byte {
	start := len(dst)
	switch {
	case content == nil && len(plain) < short:
		dst = append(slices.Grow(dst, 1+s2.MaxEncodedLen(len(plain))), bodyS2)
		dst = append(dst, dictionary().Encode(dst[len(dst):cap(dst)], plain)...)
	case content == nil:
		dst = deflate(dst, bodyDeflated, plain, []byte(dictionary1))
	default:
		dst = deflate(dst, bodyDeflatedAfterContent, plain, window(content))
	}
	if len(dst)-start > len(plain) {
		return append(append(dst[:start], bodyPlain), plain...)
	}
	return dst
}

func deflate(dst []byte, codec byte, plain, dictionary []byte) []byte {
	b := bytes.NewBuffer(append(dst, codec))
	if err := flate.StatelessDeflate(b, plain, true, dictionary); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

// dictionary is made once, when first needed.
var dictionary = sync.OnceValue(func() *s2.Dict { return s2.MakeDict([]byte(dictionary1), nil) })

// decompress reads what compress wrote.
func decompress(body, content []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, errRow
	}
	switch body[0] {
	case bodyPlain:
		return body[1:], nil
	case bodyS2:
		if n, err := s2.DecodedLen(body[1:]); err != nil || n > maxBody {
			return nil, errRow
		}
		plain, err := dictionary().Decode(nil, body[1:])
		if err != nil {
			return nil, errRow
		}
		return plain, nil
	case bodyDeflated:
		return inflate(body[1:], []byte(dictionary1))
	case bodyDeflatedAfterContent:
		return inflate(body[1:], window(content))
	}
	return nil, errRow
}

func inflate(body, dictionary []byte) ([]byte, error) {
	in, ok := inflaters.Get().(*inflater)
	if !ok {
		in = &inflater{}
		in.inflate = flate.NewReader(&in.from)
	}
	defer inflaters.Put(in)
	in.from.Reset(body)
	if err := in.inflate.(flate.Resetter).Reset(&in.from, dictionary); err != nil {
		return nil, errRow
	}
	plain := bytes.NewBuffer(make([]byte, 0, 3*len(body)))
	n, err := io.Copy(plain, io.LimitReader(in.inflate, maxBody+1))
	if err != nil || n > maxBody || in.from.Len() > 0 {
		return nil, errRow
	}
	return plain.Bytes(), nil
}

// inflater keeps a decompressor's tables for the next body.
type inflater struct {
	from    bytes.Reader
	inflate io.ReadCloser
}

var inflaters sync.Pool

// window is the part of a dictionary that DEFLATE can look back to.
func window(b []byte) []byte { return b[max(0, len(b)-32<<10):] }

// merged returns the fields of all slots in ascending order of name, which they have within each slot.
func merged(slots []slot) guia.Fields {
	var rest [len(guia.Slots)][]guia.Field
	n := 0
	for i, s := range slots {
		rest[i] = s.fields
		n += len(s.fields)
	}
	all := make(guia.Fields, 0, n)
	for len(all) < n {
		least := -1
		for i, fields := range rest {
			if len(fields) > 0 && (least < 0 || fields[0].Name < rest[least][0].Name) {
				least = i
			}
		}
		all = append(all, rest[least][0])
		rest[least] = rest[least][1:]
	}
	return all
}

func sortDisclosures(all []Disclosure) {
	slices.SortFunc(all, func(a, b Disclosure) int { return strings.Compare(a.Name, b.Name) })
}
