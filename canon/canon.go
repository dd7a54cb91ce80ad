// Package canon turns an event into the one byte sequence that is hashed, and back.
//
// The model: every field of an event is hidden behind a commitment, SHA-256(salt || value), with a 32-byte salt of its own. The
// commitments, one line per field in the form that sha256sum prints, are hashed into one number; that number and the event's header
// make a short text, the leaf, and the leaf is what the Merkle tree holds. Whoever is given the leaf, all commitments and some of
// the salts and values can check those values; the others stay unguessable, and stay so after their salts are destroyed.
//
// Encodings are canonical: for each meaning there is exactly one byte sequence, and parsers accept nothing else. The formats are
// fixed in docs/format/leaf.md and docs/format/event.md and frozen by the vectors in testdata.
package canon

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"guia"
)

// SaltSize is the length of a salt in bytes. Fixed, so that salt and value can be joined without a separator.
const SaltSize = 32

// MaxLeaf is the longest leaf in bytes that [ParseLeaf] reads; the longest that [AppendLeaf] writes is shorter.
const MaxLeaf = 512

// Commitment is what stands for one field in the leaf.
type Commitment struct {
	Name string
	Hash [sha256.Size]byte
}

// Commit returns SHA-256(salt || value).
func Commit(salt [SaltSize]byte, value []byte) [sha256.Size]byte {
	if len(value) <= 480 { // the usual field: one buffer on the stack instead of a hash state
		var buffer [SaltSize + 480]byte
		n := copy(buffer[:], salt[:])
		n += copy(buffer[n:], value)
		return sha256.Sum256(buffer[:n])
	}
	h := sha256.New()
	h.Write(salt[:])
	h.Write(value)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// AppendFields appends the block that the leaf's "fields" line hashes: per commitment the line "<64 hex digits>  <name>\n", in
// ascending order of name. The commitments must be in that order.
func AppendFields(dst []byte, commitments []Commitment) []byte {
	for _, c := range commitments {
		dst = hex.AppendEncode(dst, c.Hash[:])
		dst = append(dst, ' ', ' ')
		dst = append(dst, c.Name...)
		dst = append(dst, '\n')
	}
	return dst
}

// FieldsHash returns SHA-256 of the block of [AppendFields].
func FieldsHash(commitments []Commitment) [sha256.Size]byte {
	var block [4096]byte // enough for most; what is longer finds its own place
	return sha256.Sum256(AppendFields(block[:0], commitments))
}

// Leaf is the content of a leaf: the header of the event, how many fields it has and what they hash to.
type Leaf struct {
	guia.Header
	FieldCount int
	FieldsHash [sha256.Size]byte
}

// AppendLeaf appends the leaf's text, docs/format/leaf.md. The header must be valid: the type and source parsed, the count at
// least 1, the capture time in the years 1 to 9999.
func AppendLeaf(dst []byte, l Leaf) []byte {
	dst = append(dst, "guia.leaf/v1\ntype "...)
	dst = append(dst, l.Type...)
	dst = append(dst, "\nsource "...)
	dst = append(dst, l.Source...)
	dst = append(dst, "\ncaptured "...)
	dst = l.Captured.UTC().AppendFormat(dst, time.RFC3339) // package time has a short way for it; always milliseconds
	ms := l.Captured.Nanosecond() / int(time.Millisecond)
	dst = append(dst[:len(dst)-1], '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
	dst = append(dst, "\nrecord "...)
	dst = hex.AppendEncode(dst, l.Record[:])
	dst = append(dst, "\nstream "...)
	dst = hex.AppendEncode(dst, l.Stream[:])
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, l.Count, 10)
	dst = append(dst, "\nfields "...)
	dst = strconv.AppendUint(dst, uint64(l.FieldCount), 10)
	dst = append(dst, ' ')
	dst = hex.AppendEncode(dst, l.FieldsHash[:])
	return append(dst, '\n')
}

// LeafType returns the type that a leaf names, without looking at the rest; nil when it does not begin as a leaf does.
func LeafType(text []byte) []byte {
	rest, ok := bytes.CutPrefix(text, []byte("guia.leaf/v1\ntype "))
	t, _, ended := bytes.Cut(rest, []byte("\n"))
	if !ok || !ended {
		return nil
	}
	return t
}

// ParseLeaf reads what [AppendLeaf] writes and nothing else.
func ParseLeaf(text []byte) (Leaf, error) {
	var l Leaf
	if len(text) > MaxLeaf {
		return l, fmt.Errorf("leaf of %d bytes is longer than %d", len(text), MaxLeaf)
	}
	version, rest, _ := strings.Cut(string(text), "\n")
	if version != "guia.leaf/v1" {
		return l, fmt.Errorf("leaf is not the seven lines of guia.leaf/v1")
	}
	var values [6]string
	for i, name := range [...]string{"type ", "source ", "captured ", "record ", "stream ", "fields "} {
		line, after, ended := strings.Cut(rest, "\n")
		value, named := strings.CutPrefix(line, name)
		if !ended || !named {
			return l, fmt.Errorf("leaf line %d is not a %q line", i+2, name[:len(name)-1])
		}
		values[i], rest = value, after
	}
	if rest != "" {
		return l, fmt.Errorf("leaf is not the seven lines of guia.leaf/v1")
	}
	streamName, count, _ := strings.Cut(values[4], " ")
	fields, sum, _ := strings.Cut(values[5], " ")
	var err error
	if l.Type, err = guia.ParseType(values[0]); err != nil {
		return l, err
	}
	if l.Source, err = guia.ParseSourceName(values[1]); err != nil {
		return l, err
	}
	if l.Captured, err = time.Parse(time.RFC3339Nano, values[2]); err != nil { // of which there are more spellings; see below
		return l, fmt.Errorf("leaf capture time %.40q is not UTC with milliseconds", values[2])
	}
	record, err := guia.ParseID16(values[3])
	if err != nil {
		return l, fmt.Errorf("leaf record: %w", err)
	}
	stream, err := guia.ParseID16(streamName)
	if err != nil {
		return l, fmt.Errorf("leaf stream: %w", err)
	}
	l.Record, l.Stream = record, stream
	if l.Count, err = strconv.ParseUint(count, 10, 63); err != nil || l.Count == 0 {
		return l, fmt.Errorf("leaf stream counter %.40q is not a number from 1", count)
	}
	if l.FieldCount, err = strconv.Atoi(fields); err != nil || l.FieldCount < 0 || l.FieldCount > guia.MaxFields {
		return l, fmt.Errorf("leaf field count %.40q is not a number up to %d", fields, guia.MaxFields)
	}
	if len(sum) != hex.EncodedLen(sha256.Size) {
		return l, fmt.Errorf("leaf fields hash is not 64 hexadecimal digits")
	}
	if _, err := hex.Decode(l.FieldsHash[:], []byte(sum)); err != nil {
		return l, fmt.Errorf("leaf fields hash is not 64 hexadecimal digits")
	}
	// One meaning has one spelling: upper-case digits, leading zeros and plus signs end here.
	if !bytes.Equal(AppendLeaf(make([]byte, 0, MaxLeaf), l), text) {
		return l, fmt.Errorf("leaf is not in its canonical spelling")
	}
	return l, nil
}

// CheckFields reports whether the names are registered and strictly ascending, the number is within bounds, and texts are UTF-8
// where the registry says text (everything but raw).
func CheckFields(fields guia.Fields) error {
	if len(fields) > guia.MaxFields {
		return fmt.Errorf("%d fields are more than %d", len(fields), guia.MaxFields)
	}
	for i, f := range fields {
		if _, ok := guia.SlotOf(f.Name); !ok {
			return fmt.Errorf("field name %.60q is not registered", f.Name)
		}
		if i > 0 && fields[i-1].Name >= f.Name {
			return fmt.Errorf("field %s does not come after %s", f.Name, fields[i-1].Name)
		}
		if len(f.Value) == 0 {
			return fmt.Errorf("field %s is empty", f.Name)
		}
		if f.Name != "raw" && !utf8.Valid(f.Value) {
			return fmt.Errorf("field %s is not UTF-8", f.Name)
		}
	}
	return nil
}

// Text chunks: at most 64 characters each; a text of more than 16,384 characters is cut into 256 equal chunks instead.
const (
	chunkCharacters = 64
	mostChunks      = 256
)

// ChunkName returns the field name of the n-th chunk, counted from 0.
func ChunkName(n int) string { return fmt.Sprintf("text.%04d", n) }

// chunkNames are made once: a name for every chunk of every text would be half of the garbage.
var chunkNames = func() (names [mostChunks]string) {
	for n := range names {
		names[n] = ChunkName(n)
	}
	return names
}()

// SetText cuts text into chunks and puts them into fields as text.0000, text.0001 and so on. Characters are Unicode code points; a
// chunk never ends inside one. The text must be UTF-8. Chunks of an earlier text must not be there.
func SetText(fields *guia.Fields, text string) {
	size := max(chunkCharacters, (utf8.RuneCountInString(text)+mostChunks-1)/mostChunks)
	bytes := []byte(text) // one copy for all chunks
	for n := 0; text != ""; n++ {
		end, characters := 0, 0
		for end < len(text) && characters < size {
			if text[end] < utf8.RuneSelf {
				end++
			} else {
				_, width := utf8.DecodeRuneInString(text[end:])
				end += width
			}
			characters++
		}
		fields.SetBytes(chunkNames[n], bytes[:end:end])
		text, bytes = text[end:], bytes[end:]
	}
}

// FileRef is the value of a file field: the digest and size of bytes that are kept apart.
type FileRef struct {
	Digest [sha256.Size]byte
	Size   int64
}

// String is "sha256:<64 hexadecimal digits> <size>".
func (r FileRef) String() string {
	return "sha256:" + hex.EncodeToString(r.Digest[:]) + " " + strconv.FormatInt(r.Size, 10)
}

// ParseFileRef reads what [FileRef.String] writes and nothing else.
func ParseFileRef(s string) (FileRef, error) {
	var r FileRef
	digest, size, ok := strings.Cut(strings.TrimPrefix(s, "sha256:"), " ")
	sum, err := hex.DecodeString(digest)
	n, err2 := strconv.ParseInt(size, 10, 64)
	if !ok || err != nil || err2 != nil || len(sum) != sha256.Size || n < 0 {
		return r, fmt.Errorf("file reference is not sha256:<64 hexadecimal digits> <size>")
	}
	copy(r.Digest[:], sum)
	r.Size = n
	if r.String() != s {
		return r, fmt.Errorf("file reference is not in its canonical spelling")
	}
	return r, nil
}

// IsFile reports whether the field name holds a [FileRef] of bytes that are kept apart: raw.file and file.NNNN.
func IsFile(name string) bool {
	return name == "raw.file" || strings.HasPrefix(name, "file.") && len(name) == len("file.0001")
}

// FormatSeqs writes places in the ledger as ranges, "3 5-9 12", ascending. It sorts seqs.
func FormatSeqs(seqs []guia.Seq) string {
	slices.Sort(seqs)
	var b strings.Builder
	for i := 0; i < len(seqs); {
		end := i
		for end+1 < len(seqs) && seqs[end+1] <= seqs[end]+1 {
			end++
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatUint(uint64(seqs[i]), 10))
		if seqs[end] != seqs[i] {
			b.WriteByte('-')
			b.WriteString(strconv.FormatUint(uint64(seqs[end]), 10))
		}
		i = end + 1
	}
	return b.String()
}

// ParseSeqs reads what [FormatSeqs] writes; at most a million places.
func ParseSeqs(s string) ([]guia.Seq, error) {
	const most = 1_000_000
	var seqs []guia.Seq
	for part := range strings.FieldsSeq(s) {
		low, high, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(low, 10, 63)
		b := a
		if err == nil && isRange {
			b, err = strconv.ParseUint(high, 10, 63)
		}
		if err != nil || b < a || b-a >= most || len(seqs)+int(b-a) >= most {
			return nil, fmt.Errorf("%.40q is not a range of places", part)
		}
		for seq := a; seq <= b; seq++ {
			seqs = append(seqs, guia.Seq(seq))
		}
	}
	return seqs, nil
}
