package verify

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A file in which nothing speaks of a bundle is called no bundle, so that whoever picked the wrong file is not told of damage. That is
// no milder: it proves nothing either. What was ever a bundle is damage as long as a trace of it is left: its first bytes, which are
// the same in every bundle, or the header of a file that only bundles have. Nobody can be kept from removing every trace; what is left
// then is in nobody's favour.

// What a file that is no bundle looks like, for advice.
const (
	looksLikeZip   = "zip"
	looksLikeText  = "text"
	looksLikeOther = "other"
)

const (
	headBytes = 64 << 10 // what is looked through at the beginning: mimetype and records.jsonl come first
	tailBytes = 1 << 20  // and at the end: the directory
	byChance  = 1        // names of a bundle that another zip may have
)

// firstBytes are those of every bundle: header and content of mimetype.
var firstBytes = func() []byte {
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err == nil {
		err = w.zip.Flush()
	}
	if err != nil {
		panic(err) // it writes to memory
	}
	return out.Bytes()
}()

// foreign returns what a file looks like in which no trace of a bundle is, and nothing when there is one. The error is of the machine.
func foreign(source io.ReaderAt, size int64) (looks string, err error) {
	head, tail := make([]byte, min(size, headBytes)), make([]byte, min(size, tailBytes))
	if err := readFull(source, head, 0); err != nil {
		return "", err
	}
	if err := readFull(source, tail, size-int64(len(tail))); err != nil {
		return "", err
	}
	entries, start, isZip := looseDirectory(tail)
	whole := false
	if isZip {
		if whole, err = accountsForAll(source, size, entries, start); err != nil {
			return "", err
		}
	}
	ours := 0
	for _, e := range entries {
		if onlyInBundles(e.name) {
			ours++
		}
	}
	switch {
	case bytes.HasPrefix(head, firstBytes), bytes.HasPrefix(firstBytes, head): // or it ends before it could say more
		return "", nil
	case ours > byChance:
		return "", nil
	case whole: // its own directory says what it is, also when one of its files is a bundle
		return looksLikeZip, nil
	case bytes.Contains(head, firstBytes[localLength:]), hasHeader(head), hasHeader(tail):
		return "", nil
	case isZip:
		return looksLikeZip, nil
	case isText(head):
		return looksLikeText, nil
	}
	return looksLikeOther, nil
}

// isText reports whether the beginning of a file is text; its last character may be cut.
func isText(head []byte) bool {
	for cut := range min(utf8.UTFMax, len(head)) {
		if utf8.Valid(head[:len(head)-cut]) {
			return bytes.IndexByte(head, 0) < 0
		}
	}
	return false
}

// onlyInBundles reports whether a name is one that other archives do not have.
func onlyInBundles(name string) bool {
	switch name {
	case nameCover, nameRecords, nameCustody, nameVKey, namePEM, nameHowTo, nameNote:
		return true
	}
	k, _, _ := kindOf(name)
	return k == kindFile || k == kindProof || k == kindGrowth || k == kindOlder || k == kindRotation
}

// looseDirectory reads the directory of a zip from the end of a file, in any form that zips have but zip64; ok reports that it is all
// there. start is where it says that it stands. Nothing that it says was compared with the rest of the file.
func looseDirectory(tail []byte) (entries []*entry, start int64, ok bool) {
	le := binary.LittleEndian
	end := bytes.LastIndex(tail, le.AppendUint32(nil, endSignature))
	if end < 0 || len(tail)-end < endLength || int(le.Uint16(tail[end+20:])) != len(tail)-end-endLength {
		return nil, 0, false
	}
	length, count := int64(le.Uint32(tail[end+12:])), int(le.Uint16(tail[end+10:]))
	if length > int64(end) {
		return nil, 0, false
	}
	dir := tail[int64(end)-length : end]
	for range count {
		if len(dir) < centralLength || le.Uint32(dir) != centralSignature {
			return nil, 0, false
		}
		name, more := int(le.Uint16(dir[28:])), int(le.Uint16(dir[30:]))+int(le.Uint16(dir[32:]))
		if len(dir) < centralLength+name+more {
			return nil, 0, false
		}
		entries = append(entries, &entry{
			name:  string(dir[centralLength : centralLength+name]),
			flags: le.Uint16(dir[8:]), method: le.Uint16(dir[10:]), crc: le.Uint32(dir[16:]),
			packed: int64(le.Uint32(dir[20:])), size: int64(le.Uint32(dir[24:])), offset: int64(le.Uint32(dir[42:])),
		})
		dir = dir[centralLength+name+more:]
	}
	return entries, int64(le.Uint32(tail[end+16:])), len(dir) == 0
}

// accountsForAll reports whether the entries of a directory are all that is in a file: from its first byte to the directory, each with
// its own header, one after the other. It sorts them by where they stand and sets where their data is. The error is of the machine.
func accountsForAll(source io.ReaderAt, size int64, entries []*entry, start int64) (bool, error) {
	le := binary.LittleEndian
	const descriptor = 24 // the longest: what may stand behind an entry
	slices.SortStableFunc(entries, func(a, b *entry) int { return cmp.Compare(a.offset, b.offset) })
	next := int64(0)
	for i, e := range entries {
		if e.offset < next || e.offset > next+descriptor || i == 0 && e.offset != 0 || e.offset+localLength+int64(len(e.name)) > size {
			return false, nil
		}
		local := make([]byte, localLength+len(e.name))
		if err := readFull(source, local, e.offset); err != nil {
			return false, err
		}
		if le.Uint32(local) != localSignature || int(le.Uint16(local[26:])) != len(e.name) || string(local[localLength:]) != e.name {
			return false, nil
		}
		e.data = e.offset + int64(len(local)) + int64(le.Uint16(local[28:]))
		next = e.data + e.packed
	}
	if start < next || start > next+descriptor || len(entries) == 0 && start != 0 || start+4 > size {
		return false, nil
	}
	var signature [4]byte
	if err := readFull(source, signature[:], start); err != nil {
		return false, err
	}
	want := uint32(centralSignature)
	if len(entries) == 0 {
		want = endSignature
	}
	return le.Uint32(signature[:]) == want, nil
}

// openRepacked opens the container of a bundle that another program wrote, and returns nil when it is not wholly there in a form in
// which every program sees the same files. It is for saying what differs: such a bundle is damaged. The error is of the machine.
func openRepacked(source io.ReaderAt, size int64, limits Limits) (*container, error) {
	tail := make([]byte, min(size, tailBytes))
	if err := readFull(source, tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	entries, start, ok := looseDirectory(tail)
	if !ok || len(entries) > limits.Files {
		return nil, nil
	}
	if ok, err := accountsForAll(source, size, entries, start); !ok || err != nil {
		return nil, err
	}
	c, total := &container{source: source, byName: map[string]*entry{}}, int64(0)
	for _, e := range entries {
		if strings.HasSuffix(e.name, "/") && e.size == 0 && e.packed == 0 {
			continue // a folder
		}
		total += e.size
		if c.byName[e.name] != nil || e.flags&1 != 0 || e.method != methodDeflate && (e.method != methodStore || e.packed != e.size) ||
			e.size > limits.FileBytes || total > limits.TotalBytes {
			return nil, nil
		}
		c.entries = append(c.entries, e)
		c.byName[e.name] = e
	}
	return c, nil
}

// hasHeader reports whether the header of a file that only bundles have stands somewhere, whatever the rest is.
func hasHeader(text []byte) bool {
	le := binary.LittleEndian
	for _, form := range [...]struct{ signature, length, nameLength int }{{localSignature, localLength, 26}, {centralSignature, centralLength, 28}} {
		signature := le.AppendUint32(nil, uint32(form.signature))
		for rest := text; ; rest = rest[1:] {
			at := bytes.Index(rest, signature)
			if at < 0 {
				break
			}
			rest = rest[at:]
			if len(rest) < form.length {
				break
			}
			name := rest[form.length:]
			if n := int(le.Uint16(rest[form.nameLength:])); n <= len(name) && n <= maxEntryName && onlyInBundles(string(name[:n])) {
				return true
			}
		}
	}
	return false
}
