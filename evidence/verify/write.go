package verify

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"
	"strings"
)

// Writer writes the container in the narrow form that [Verify] reads: files in the order of the calls, then the listings and
// the signed note. It is not safe for concurrent use. After an error the output is worthless.
type Writer struct {
	zip     *zip.Writer
	names   map[string]bool
	digests []Digest
	open    *digestWriter // the file being written by Create
}

// NewWriter starts a bundle with its mimetype.
func NewWriter(w io.Writer) (*Writer, error) {
	b := &Writer{zip: zip.NewWriter(w), names: map[string]bool{}}
	return b, b.Add(nameMimetype, []byte(MediaType))
}

// Add writes a file that fits in memory.
func (b *Writer) Add(name string, content []byte) error {
	if err := b.begin(name); err != nil {
		return err
	}
	b.digests = append(b.digests, Digest{name, sha256.Sum256(content)})
	packed, method := content, zip.Store
	if len(content) > 64 && name != nameMimetype {
		var deflated bytes.Buffer
		w, err := flate.NewWriter(&deflated, 5)
		if err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if deflated.Len() < len(content) {
			packed, method = deflated.Bytes(), zip.Deflate
		}
	}
	if len(content) >= 0xffffffff {
		return fmt.Errorf("bundle %s: too large for one piece", name)
	}
	header := b.header(name, method)
	header.CRC32 = crc32.ChecksumIEEE(content)
	header.CompressedSize64, header.UncompressedSize64 = uint64(len(packed)), uint64(len(content))
	w, err := b.zip.CreateRaw(header)
	if err == nil {
		_, err = w.Write(packed)
	}
	return err
}

// Create starts a file of any length, which is what is written until the next call of a method of b.
func (b *Writer) Create(name string) (io.Writer, error) {
	if err := b.begin(name); err != nil {
		return nil, err
	}
	w, err := b.zip.CreateHeader(b.header(name, zip.Deflate))
	if err != nil {
		return nil, err
	}
	b.open = &digestWriter{w, sha256.New(), name}
	return b.open, nil
}

// Finish writes SHA256SUMS, the manifest and its note, and ends the container. sign returns the note over the text that it is
// given: see [SignManifestNote].
func (b *Writer) Finish(sign func(text []byte) ([]byte, error)) error {
	b.end()
	byName := func(x, y Digest) int { return strings.Compare(x.Name, y.Name) }
	slices.SortFunc(b.digests, byName)
	if err := b.Add(nameSums, FormatSums(b.digests)); err != nil {
		return err
	}
	var checkpoint [32]byte
	var files []Digest
	for _, d := range b.digests {
		if k, _, _ := kindOf(d.Name); inManifest(k) {
			files = append(files, d)
		}
		if d.Name == nameCheckpoint {
			checkpoint = d.Sum
		}
	}
	slices.SortFunc(files, byName)
	manifest := FormatManifest(files)
	note, err := sign(FormatManifestNote(sha256.Sum256(manifest), checkpoint))
	if err != nil {
		return err
	}
	if err := b.Add(nameManifest, manifest); err != nil {
		return err
	}
	if err := b.Add(nameNote, note); err != nil {
		return err
	}
	for _, name := range required {
		if !b.names[name] {
			return fmt.Errorf("bundle: %s was not written", name)
		}
	}
	return b.zip.Close()
}

func (b *Writer) begin(name string) error {
	b.end()
	if k, _, _ := kindOf(name); k == kindUnknown || k == kindNonsense {
		return fmt.Errorf("bundle %q: no file of a bundle has this name", name)
	}
	if b.names[name] {
		return fmt.Errorf("bundle %s: written twice", name)
	}
	if len(b.names) >= MostFiles {
		return errors.New("bundle: too many files")
	}
	b.names[name] = true
	return nil
}

// end takes the digest of the file that Create started.
func (b *Writer) end() {
	if b.open != nil {
		d := Digest{Name: b.open.name}
		b.open.hash.Sum(d.Sum[:0])
		b.digests = append(b.digests, d)
		b.open = nil
	}
}

func (b *Writer) header(name string, method uint16) *zip.FileHeader {
	h := &zip.FileHeader{Name: name, Method: method, CreatorVersion: 20, ReaderVersion: 20}
	h.ModifiedDate = dosDate //nolint:staticcheck // Modified would add an extra field, and a zone with it
	return h
}

// digestWriter hashes what it passes on.
type digestWriter struct {
	io.Writer
	hash hash.Hash
	name string
}

func (w *digestWriter) Write(p []byte) (int, error) {
	w.hash.Write(p)
	return w.Writer.Write(p)
}
