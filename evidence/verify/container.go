package verify

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
)

// The container is a zip in one narrow form, so that every program that unpacks it sees the same files: entries stand one after
// the other from the first byte on, in the order of the central directory, which follows directly; no comment, no extra data but
// the zip64 numbers where 32 bits do not suffice, no encryption, DOS time of 1980-01-01. (APPNOTE.TXT 6.3.10, section 4.3.)
const (
	localSignature      = 0x04034b50
	descriptorSignature = 0x08074b50
	centralSignature    = 0x02014b50
	end64Signature      = 0x06064b50
	locatorSignature    = 0x07064b50
	endSignature        = 0x06054b50

	localLength   = 30
	centralLength = 46
	end64Length   = 56
	locatorLength = 20
	endLength     = 22
	extra64Length = 28

	methodStore    = 0
	methodDeflate  = 8
	flagDescriptor = 1 << 3
	dosDate        = 1<<5 | 1 // 1980-01-01
)

// entry is one file of the container.
type entry struct {
	name       string
	flags      uint16
	method     uint16
	crc        uint32
	packed     int64
	size       int64
	offset     int64 // of the local header
	data       int64 // of the packed bytes
	digest     [32]byte
	whole      bool // it unpacked to the size that was declared
	read       bool // digest is that of the whole content
	referenced bool // a field names this attachment, or a line this proof
}

// container is a zip whose structure was found to be in the narrow form.
type container struct {
	source  io.ReaderAt
	entries []*entry
	byName  map[string]*entry
}

func damage(key string, args ...any) *Fault { return &Fault{Sentence: Sentence{key, args}} }

// ioError is a failure of the source that says nothing about the bundle.
type ioError struct{ err error }

func (e ioError) Error() string { return "read bundle: " + e.err.Error() }
func (e ioError) Unwrap() error { return e.err }

// readFull fills buf from offset. A source that ends early is a damaged bundle, every other error is the machine's.
func readFull(source io.ReaderAt, buf []byte, offset int64) error {
	n, err := source.ReadAt(buf, offset)
	switch {
	case n == len(buf):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return damage("verify.zip.short")
	}
	return ioError{err}
}

// openContainer reads the central directory and all local headers. The error is a *Fault or an ioError.
func openContainer(source io.ReaderAt, size int64, limits Limits) (*container, error) {
	dir, count, start, err := readDirectory(source, size, limits)
	if err != nil {
		return nil, err
	}
	c := &container{source: source, byName: make(map[string]*entry, min(count, 1<<16))}
	var next, total int64
	for range count {
		var e *entry
		if e, dir, err = readCentral(dir); err != nil {
			return nil, err
		}
		switch {
		case c.byName[e.name] != nil:
			return nil, damage("verify.zip.twice", quote(e.name))
		case e.offset != next:
			return nil, damage("verify.zip.gap", quote(e.name))
		case e.size > limits.FileBytes || e.packed > limits.FileBytes:
			return nil, damage("verify.zip.large", quote(e.name), e.size, limits.FileBytes)
		}
		if total += e.size; total > limits.TotalBytes {
			return nil, damage("verify.zip.total", limits.TotalBytes)
		}
		if next, err = readLocal(source, e, start); err != nil {
			return nil, err
		}
		c.entries = append(c.entries, e)
		c.byName[e.name] = e
	}
	switch {
	case len(dir) != 0:
		return nil, damage("verify.zip.directory")
	case next != start:
		return nil, damage("verify.zip.gap", "")
	}
	return c, nil
}

// readDirectory returns the bytes of the central directory, the number of its entries and where it stands.
func readDirectory(source io.ReaderAt, size int64, limits Limits) (dir []byte, count, start int64, err error) {
	if size < endLength {
		return nil, 0, 0, damage("verify.zip.short")
	}
	var end [endLength]byte
	if err := readFull(source, end[:], size-endLength); err != nil {
		return nil, 0, 0, err
	}
	le := binary.LittleEndian
	if le.Uint32(end[:]) != endSignature || le.Uint32(end[4:]) != 0 || le.Uint16(end[8:]) != le.Uint16(end[10:]) || le.Uint16(end[20:]) != 0 {
		return nil, 0, 0, damage("verify.zip.end")
	}
	count, length, start := int64(le.Uint16(end[8:])), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	tail := size - endLength
	if count == 0xffff && length == 0xffffffff && start == 0xffffffff {
		if tail -= end64Length + locatorLength; tail < 0 {
			return nil, 0, 0, damage("verify.zip.end")
		}
		var end64 [end64Length + locatorLength]byte
		if err := readFull(source, end64[:], tail); err != nil {
			return nil, 0, 0, err
		}
		big := func(at int) int64 { return int64(min(le.Uint64(end64[at:]), 1<<62)) }
		count, length, start = big(24), big(40), big(48)
		want := make([]byte, 0, len(end64)) // there is one spelling: build it and compare
		want = le.AppendUint32(want, end64Signature)
		want = le.AppendUint64(want, end64Length-12)
		want = le.AppendUint16(want, 45)
		want = le.AppendUint16(want, 45)
		want = le.AppendUint64(want, 0)
		want = le.AppendUint64(want, uint64(count))
		want = le.AppendUint64(want, uint64(count))
		want = le.AppendUint64(want, uint64(length))
		want = le.AppendUint64(want, uint64(start))
		want = le.AppendUint32(want, locatorSignature)
		want = le.AppendUint32(want, 0)
		want = le.AppendUint64(want, uint64(tail))
		want = le.AppendUint32(want, 1)
		if string(want) != string(end64[:]) || count < 0xffff && length < 0xffffffff && start < 0xffffffff {
			return nil, 0, 0, damage("verify.zip.end")
		}
	}
	switch {
	case count > int64(limits.Files):
		return nil, 0, 0, damage("verify.zip.many", count, limits.Files)
	case start+length != tail || length > count*(centralLength+maxEntryName+extra64Length):
		return nil, 0, 0, damage("verify.zip.end")
	}
	dir = make([]byte, length)
	return dir, count, start, readFull(source, dir, start)
}

// readCentral reads the first header of the central directory and returns the rest.
func readCentral(dir []byte) (*entry, []byte, error) {
	if len(dir) < centralLength {
		return nil, nil, damage("verify.zip.directory")
	}
	le := binary.LittleEndian
	names, extras := int(le.Uint16(dir[28:])), int(le.Uint16(dir[30:]))
	if le.Uint32(dir) != centralSignature || len(dir) < centralLength+names+extras {
		return nil, nil, damage("verify.zip.directory")
	}
	e := &entry{
		name:  string(dir[centralLength : centralLength+names]),
		flags: le.Uint16(dir[8:]), method: le.Uint16(dir[10:]), crc: le.Uint32(dir[16:]),
		packed: int64(le.Uint32(dir[20:])), size: int64(le.Uint32(dir[24:])), offset: int64(le.Uint32(dir[42:])),
	}
	extra := dir[centralLength+names : centralLength+names+extras]
	needed := uint16(20)
	if len(extra) == extra64Length { // the form in which archive/zip writes it: both sizes and the offset
		small := e.packed != 0xffffffff || e.size != 0xffffffff
		offset := e.offset
		e.size, e.packed, e.offset = int64(le.Uint64(extra[4:])), int64(le.Uint64(extra[12:])), int64(le.Uint64(extra[20:]))
		large := e.size >= 0xffffffff || e.packed >= 0xffffffff
		if large {
			needed = 45
		}
		if le.Uint16(extra) != 1 || le.Uint16(extra[2:]) != 24 || small || !large && e.offset < 0xffffffff ||
			e.size < 0 || e.packed < 0 || e.offset < 0 || offset != min(e.offset, 0xffffffff) {
			return nil, nil, damage("verify.zip.header", quote(e.name))
		}
	} else if len(extra) != 0 || e.packed == 0xffffffff || e.size == 0xffffffff || e.offset == 0xffffffff {
		return nil, nil, damage("verify.zip.header", quote(e.name))
	}
	switch {
	case e.method != methodStore && e.method != methodDeflate, e.flags&1 != 0:
		return nil, nil, damage("verify.zip.method", quote(e.name))
	case e.flags != 0 && (e.flags != flagDescriptor || e.method != methodDeflate),
		e.method == methodStore && e.packed != e.size,
		le.Uint16(dir[4:]) != 20, le.Uint16(dir[6:]) != needed, // made by, needed to extract
		le.Uint16(dir[12:]) != 0, le.Uint16(dir[14:]) != dosDate,
		le.Uint16(dir[32:]) != 0,                                                     // comment
		le.Uint16(dir[34:]) != 0, le.Uint16(dir[36:]) != 0, le.Uint32(dir[38:]) != 0, // disk, attributes
		e.flags == 0 && needed == 45: // sizes of the local header are 32 bits without a descriptor
		return nil, nil, damage("verify.zip.header", quote(e.name))
	}
	return e, dir[centralLength+names+extras:], nil
}

// readLocal compares the local header and the descriptor with the central header and returns where the next entry begins.
func readLocal(source io.ReaderAt, e *entry, end int64) (next int64, err error) {
	e.data = e.offset + localLength + int64(len(e.name))
	descriptor := int64(0)
	if e.flags&flagDescriptor != 0 {
		descriptor = 16
		if e.size >= 0xffffffff || e.packed >= 0xffffffff {
			descriptor = 24
		}
	}
	if e.data > end || e.packed > end-e.data || descriptor > end-e.data-e.packed {
		return 0, damage("verify.zip.short")
	}
	le := binary.LittleEndian
	want := make([]byte, 0, localLength+len(e.name)) // there is one spelling: build it and compare
	want = le.AppendUint32(want, localSignature)
	want = le.AppendUint16(want, 20)
	want = le.AppendUint16(want, e.flags)
	want = le.AppendUint16(want, e.method)
	want = le.AppendUint16(want, 0)
	want = le.AppendUint16(want, dosDate)
	if descriptor == 0 {
		want = le.AppendUint32(want, e.crc)
		want = le.AppendUint32(want, uint32(e.packed))
		want = le.AppendUint32(want, uint32(e.size))
	} else {
		want = append(want, make([]byte, 12)...)
	}
	want = le.AppendUint16(want, uint16(len(e.name)))
	want = le.AppendUint16(want, 0)
	want = append(want, e.name...)
	if err := compareAt(source, want, e.offset, e.name); err != nil {
		return 0, err
	}
	if descriptor > 0 {
		want = le.AppendUint32(want[:0], descriptorSignature)
		want = le.AppendUint32(want, e.crc)
		if descriptor == 24 {
			want = le.AppendUint64(want, uint64(e.packed))
			want = le.AppendUint64(want, uint64(e.size))
		} else {
			want = le.AppendUint32(want, uint32(e.packed))
			want = le.AppendUint32(want, uint32(e.size))
		}
		if err := compareAt(source, want, e.data+e.packed, e.name); err != nil {
			return 0, err
		}
	}
	return e.data + e.packed + descriptor, nil
}

func compareAt(source io.ReaderAt, want []byte, offset int64, name string) error {
	got := make([]byte, len(want))
	if err := readFull(source, got, offset); err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return &Fault{Sentence: Sentence{"verify.zip.local", []any{quote(name)}}, about: name}
	}
	return nil
}

// contentReader reads the content of an entry and reports, instead of io.EOF, what is wrong with it.
type contentReader struct {
	e       *entry
	packed  *io.SectionReader
	buffer  *bufio.Reader
	content io.Reader
	crc     uint32
	size    int64
	failed  error
}

func (c *container) open(e *entry) *contentReader {
	r := &contentReader{e: e, packed: io.NewSectionReader(c.source, e.data, e.packed)}
	r.buffer = bufio.NewReaderSize(r.packed, int(min(e.packed, 64<<10)))
	r.content = r.buffer
	if e.method == methodDeflate {
		r.content = flate.NewReader(r.buffer) // reads a bufio.Reader byte by byte, never ahead
	}
	return r
}

// Read reads at most one byte more than the size that was declared, so that a bomb ends there.
func (r *contentReader) Read(p []byte) (int, error) {
	if r.failed != nil {
		return 0, r.failed
	}
	p = p[:min(int64(len(p)), r.e.size-r.size+1)]
	n, err := r.content.Read(p)
	r.size += int64(n)
	r.crc = crc32.Update(r.crc, crc32.IEEETable, p[:n])
	var corrupt flate.CorruptInputError
	switch {
	case r.size > r.e.size:
		r.failed = damage("verify.zip.content", quote(r.e.name))
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		r.failed = io.EOF
		r.e.whole = r.size == r.e.size
		left, _ := r.packed.Seek(0, io.SeekCurrent)
		if r.size != r.e.size || r.crc != r.e.crc || left-int64(r.buffer.Buffered()) != r.e.packed {
			r.failed = damage("verify.zip.content", quote(r.e.name))
		}
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		r.failed = damage("verify.zip.content", quote(r.e.name))
	default:
		r.failed = ioError{err}
	}
	return n, r.failed
}
