package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"guia"
	"guia/canon"
	"guia/proof"
)

const testOrigin = "guia.invalid/log/00112233445566778899aabbccddeeff"

// fixture is a small synthetic ledger and what a bundle of it contains. Tests change its parts before pack.
type fixture struct {
	t       testing.TB
	signer  *proof.Signer
	leaves  [][]byte
	all     []Line // every event of the ledger, fully disclosed
	records []Line
	custody []Line
	older   []int64
	exhibit []int64

	files      map[string][]byte // more files, or other contents
	cover      func(*Cover)
	checkpoint func(proof.Checkpoint) proof.Checkpoint
}

func newSigner(t testing.TB) *proof.Signer {
	t.Helper()
	skey, _, err := proof.NewLogKey(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := proof.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// attachment is the content of the file of event i.
func attachment(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "attachment %d\n", i), 40) }

// newFixture makes a ledger of n events; the last five are acts of the program. Every third event of the first stream is not in
// the bundle. Values are synthetic.
func newFixture(t testing.TB, n int) *fixture {
	t.Helper()
	f := &fixture{t: t, signer: newSigner(t), files: map[string][]byte{}}
	counts := map[guia.StreamID]uint64{}
	for i := range n {
		var fields guia.Fields
		header := guia.Header{
			Type: guia.MessageSent, Source: "slack", Captured: time.UnixMilli(1_700_000_000_000 + int64(i)*1001).UTC(),
			Record: guia.RecordID(digest16("record", i)), Stream: guia.StreamID(digest16("stream", i%3)),
		}
		fields.Set("grade", "C")
		fields.Set("channel", "export")
		if i >= n-5 {
			header.Type, header.Source, header.Stream = guia.SearchMade, guia.Own, guia.StreamID(digest16("stream", 99))
			fields.Set("channel", "own")
			fields.Set("query", fmt.Sprintf("query %d", i))
		} else {
			fields.Set("sender.name", fmt.Sprintf("Person %d", i%7))
			fields.Set("time", fmt.Sprintf("2024-01-02T03:%02d:%02dZ", i/60%60, i%60))
			canon.SetText(&fields, fmt.Sprintf("Message %d: 你好, olá, hello. The text is long enough to be cut into two chunks of it.", i))
			fields.SetBytes("raw", []byte{0xff, 0x00, byte(i), byte(i >> 8)})
			if i%10 == 1 {
				content := attachment(i)
				fields.Set("file.0001", canon.FileRef{Digest: sha256.Sum256(content), Size: int64(len(content))}.String())
				fields.Set("file.0001.name", "a.txt")
			}
		}
		counts[header.Stream]++
		header.Count = counts[header.Stream]
		line := Line{Index: int64(i)}
		for j, field := range fields {
			salt := sha256.Sum256(fmt.Appendf(nil, "salt %d %d", i, j))
			line.Fields = append(line.Fields, Field{Name: field.Name, Commitment: canon.Commit(salt, field.Value), Salt: salt, Value: field.Value})
		}
		line.commit(header)
		f.leaves = append(f.leaves, line.Leaf)
		f.all = append(f.all, line)
	}
	for i := range f.all {
		switch {
		case i >= n-5:
			f.custody = append(f.custody, f.all[i])
		case i%9 != 0:
			f.records = append(f.records, f.all[i])
		}
	}
	return f
}

// commit makes the leaf of the line's fields.
func (l *Line) commit(header guia.Header) {
	var commitments []canon.Commitment
	for _, field := range l.Fields {
		commitments = append(commitments, canon.Commitment{Name: field.Name, Hash: field.Commitment})
	}
	l.Leaf = canon.AppendLeaf(nil, canon.Leaf{Header: header, FieldCount: len(l.Fields), FieldsHash: canon.FieldsHash(commitments)})
}

// drop makes event i one that never had a field.
func (f *fixture) drop(i int, name string) {
	leaf, err := canon.ParseLeaf(f.all[i].Leaf)
	f.must(err)
	f.all[i].Fields = slices.DeleteFunc(f.all[i].Fields, func(field Field) bool { return field.Name == name })
	f.all[i].commit(leaf.Header)
	f.leaves[i] = f.all[i].Leaf
}

func digest16(kind string, i int) (id [16]byte) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, i))
	copy(id[:], sum[:])
	return id
}

// withhold replaces a field of a record by its commitment.
func (f *fixture) withhold(record int, name string, reason Reason) {
	fields := slices.Clone(f.records[record].Fields)
	for i := range fields {
		if fields[i].Name == name {
			fields[i] = Field{Name: name, Commitment: fields[i].Commitment, Withheld: reason}
		}
	}
	f.records[record].Fields = fields
}

// tiles is the tree's hashes, for the prover.
type tiles struct{ leaves []proof.Hash }

func (m tiles) ReadTile(level int, index int64, width int) ([]proof.Hash, error) {
	row := m.leaves
	for range level * proof.TileHeight {
		var up []proof.Hash
		for i := 0; i+1 < len(row); i += 2 {
			up = append(up, sha256.Sum256(slices.Concat([]byte{1}, row[i][:], row[i+1][:])))
		}
		row = up
	}
	return row[index*proof.TileWidth:][:width], nil
}

func (f *fixture) prover(size int) *proof.Prover {
	var hashes []proof.Hash
	for _, leaf := range f.leaves[:size] {
		hashes = append(hashes, proof.LeafHash(leaf))
	}
	p, err := proof.NewProver(tiles{hashes}, int64(size))
	f.must(err)
	return p
}

func (f *fixture) must(err error) {
	if err != nil {
		f.t.Helper()
		f.t.Fatal(err)
	}
}

func (f *fixture) sign(size int) []byte {
	root, err := f.prover(size).Root()
	f.must(err)
	c := proof.Checkpoint{Origin: testOrigin, Size: int64(size), Root: root}
	if f.checkpoint != nil {
		c = f.checkpoint(c)
	}
	note, err := proof.SignCheckpoint(c, f.signer)
	f.must(err)
	return note
}

// contents returns every file but the listings and the note.
func (f *fixture) contents() map[string][]byte {
	p := f.prover(len(f.leaves))
	root, err := p.Root()
	f.must(err)
	checkpoint := f.sign(len(f.leaves))
	files := map[string][]byte{nameCheckpoint: checkpoint, nameView: []byte("<!doctype html>\n"), nameHowTo: []byte("how\n")}
	var tally Tally
	for name, lines := range map[string][]Line{nameRecords: f.records, nameCustody: f.custody} {
		files[name] = []byte{}
		for _, line := range lines {
			line.Proof, err = p.Inclusion(line.Index)
			f.must(err)
			files[name] = AppendLine(files[name], &line)
			f.must(tally.Add(&line, name == nameCustody))
			for _, field := range line.Fields {
				if field.Withheld == "" && canon.IsFile(field.Name) {
					content := attachment(int(line.Index))
					files[FileName(sha256.Sum256(content))] = content
				}
			}
		}
	}
	cover := Cover{
		Format: Format, Case: "Case \"7\"", Origin: testOrigin, Size: p.Size(), Root: root.String(),
		Created: "2026-11-21T10:00:00Z", Program: "guia 0.1.0", Claims: []string{"claim.unchanged"},
	}
	tally.Fill(&cover)
	for name := range files {
		if k, _, _ := kindOf(name); k == kindFile {
			cover.Files++
		}
	}
	for i := range cover.Streams {
		cover.Streams[i].Of += 3
	}
	if f.cover != nil {
		f.cover(&cover)
	}
	files[nameCover] = FormatCover(cover)
	files[nameVKey] = []byte(f.signer.Verifier().VKey() + "\n")
	files[namePEM], err = proof.VKeyPEM(f.signer.Verifier().VKey())
	f.must(err)
	for _, older := range f.older {
		hashes, err := p.Consistency(older)
		f.must(err)
		growth, old := GrowthNames(older, p.Size())
		files[old] = f.sign(int(older))
		files[growth], err = proof.FormatConsistency(proof.Growth{Old: older, Hashes: hashes, Checkpoint: checkpoint})
		f.must(err)
	}
	for _, index := range f.exhibit {
		hashes, err := p.Inclusion(index)
		f.must(err)
		files[ProofName(index)], err = proof.FormatProof(proof.LeafProof{Index: index, Hashes: hashes, Checkpoint: checkpoint})
		f.must(err)
	}
	for name, content := range f.files {
		if files[name] = content; content == nil {
			delete(files, name)
		}
	}
	return files
}

// pack returns the bundle.
func (f *fixture) pack() []byte { return f.packFiles(f.contents()) }

// packFiles writes the files as they are and signs listings that fit them: what a dishonest maker with the key could do.
func (f *fixture) packFiles(files map[string][]byte) []byte {
	var out bytes.Buffer
	w, err := NewWriter(&out)
	f.must(err)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i%2 == 0 {
			f.must(w.Add(name, files[name]))
			continue
		}
		part, err := w.Create(name)
		f.must(err)
		_, err = part.Write(files[name])
		f.must(err)
	}
	f.must(w.Finish(func(text []byte) ([]byte, error) { return SignManifestNote(text, f.signer) }))
	return out.Bytes()
}

func (f *fixture) trust() Trust { return trustIn(f.t, f.signer) }

func trustIn(t testing.TB, signers ...*proof.Signer) Trust {
	t.Helper()
	var vkeys []string
	for _, s := range signers {
		vkeys = append(vkeys, s.Verifier().VKey())
	}
	trust, err := TrustKeys(vkeys...)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func check(bundle []byte, trust Trust) Report {
	return Verify(bytes.NewReader(bundle), int64(len(bundle)), trust, Limits{})
}

// entryOffsets reads where the packed bytes of each entry are, by the narrow form.
func openTest(t testing.TB, bundle []byte) *container {
	t.Helper()
	c, err := openContainer(bytes.NewReader(bundle), int64(len(bundle)), Limits{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// zipOf writes entries as any maker without the key could: stored, in the narrow form, in this order, nothing signed anew.
func zipOf(names []string, files map[string][]byte) []byte {
	var out, dir []byte
	le := binary.LittleEndian
	for _, name := range names {
		content, offset := files[name], len(out)
		crc := crcOf(content)
		common := func(b []byte) []byte {
			b = le.AppendUint16(b, 20)
			b = append(b, 0, 0, 0, 0, 0, 0)
			b = le.AppendUint16(b, dosDate)
			b = le.AppendUint32(b, crc)
			b = le.AppendUint32(b, uint32(len(content)))
			b = le.AppendUint32(b, uint32(len(content)))
			b = le.AppendUint16(b, uint16(len(name)))
			return append(b, 0, 0)
		}
		out = common(le.AppendUint32(out, localSignature))
		out = append(append(out, name...), content...)
		dir = le.AppendUint32(dir, centralSignature)
		dir = common(le.AppendUint16(dir, 20))
		dir = append(dir, make([]byte, 10)...)
		dir = append(le.AppendUint32(dir, uint32(offset)), name...)
	}
	start := len(out)
	out = append(out, dir...)
	out = le.AppendUint32(out, endSignature)
	out = le.AppendUint32(out, 0)
	out = le.AppendUint16(out, uint16(len(names)))
	out = le.AppendUint16(out, uint16(len(names)))
	out = le.AppendUint32(out, uint32(len(dir)))
	out = le.AppendUint32(out, uint32(start))
	return append(out, 0, 0)
}

func sha(b []byte) [32]byte { return sha256.Sum256(b) }

func mustLeaf(t testing.TB, text []byte) canon.Leaf {
	t.Helper()
	leaf, err := canon.ParseLeaf(text)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func newCheckpoint(size int64, root proof.Hash) *proof.Checkpoint {
	return &proof.Checkpoint{Origin: testOrigin, Size: size, Root: root}
}
