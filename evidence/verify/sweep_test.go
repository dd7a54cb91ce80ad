package verify

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"guia/proof"
)

// step is how many flips a sweep moves on at a time: all of them in a soak.
func step(usual int) int {
	if os.Getenv("GUIA_SOAK") != "" {
		return 1
	}
	return usual
}

func flip(b []byte, bit int) []byte {
	b = bytes.Clone(b)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}

// TestEveryBitOfRecord flips each bit of one line: the checks of the line alone must find it, whatever container and listings say.
func TestEveryBitOfRecord(t *testing.T) {
	f := newFixture(t, 20)
	f.withhold(0, "sender.name", Redacted)
	f.withhold(0, "text.0001", Erased)
	p := f.prover(20)
	root, err := p.Root()
	f.must(err)
	v := &verification{limits: Limits{}.withDefaults(), checkpoint: &proof.Checkpoint{Origin: testOrigin, Size: 20, Root: root}}
	c := checker{v: v}
	findings := func(text []byte) []Finding {
		b := &batch{first: 1}
		c.batchOf = b
		c.check(text)
		return b.findings
	}
	line := f.records[0] // it has an attachment, raw bytes and text
	line.Proof, err = p.Inclusion(line.Index)
	f.must(err)
	text := AppendLine(nil, &line)
	if got := findings(text); len(got) != 0 {
		t.Fatalf("unharmed: %+v", got)
	}
	// The words redacted and erased are the maker's statement: they differ in more than one bit, so no flip swaps them.
	for bit := range 8 * len(text) {
		if got := findings(flip(text, bit)); len(got) == 0 {
			t.Errorf("bit %d of byte %d (%q) is not missed", bit%8, bit/8, text[max(0, bit/8-20):bit/8+1])
		}
	}
	for n := range text {
		if got := findings(text[:n]); len(got) == 0 {
			t.Errorf("cut to %d bytes: not found", n)
		}
	}
}

// TestEveryBitOfSignedFiles flips each bit of the checkpoint, a proof, the manifest, its note, the listing, the cover and the keys.
// Once the container's checksums are made to fit (a courier), once the listings are signed anew too (a maker).
func TestEveryBitOfSignedFiles(t *testing.T) {
	f := newFixture(t, 8)
	f.exhibit, f.older = []int64{2}, []int64{5}
	names, files := unpack(t, f.pack())
	trust := f.trust()
	sweep := func(name string, stride int, pack func(map[string][]byte) []byte) {
		original := files[name]
		defer func() { files[name] = original }()
		for bit := 0; bit < 8*len(original); bit += stride {
			files[name] = flip(original, bit)
			if r := check(pack(files), trust); r.Verdict != Damaged {
				t.Errorf("%s: bit %d of byte %d (%q): got %s", name, bit%8, bit/8, original[max(0, bit/8-20):bit/8+1], r.Verdict)
			}
		}
	}
	courier := func(files map[string][]byte) []byte { return zipOf(names, files) }
	for _, name := range []string{nameCheckpoint, nameNote, nameMimetype} {
		sweep(name, step(1), courier)
	}
	for _, name := range []string{nameManifest, nameRecords, nameSums, nameCover, nameVKey, namePEM, nameView, nameHowTo, ProofName(2), "consistency/5-8", "consistency/5.checkpoint"} {
		sweep(name, step(53), courier) // 53 and 8 have no common divisor: every position in a byte is met
	}
	if r := check(f.signAnew(files), trust); r.Verdict != Proven {
		t.Fatalf("signed anew: got %s %v", r.Verdict, keysOf(r))
	}
	inner := []string{nameCheckpoint, ProofName(2), "consistency/5-8", "consistency/5.checkpoint", nameVKey, namePEM}
	for _, name := range inner {
		sweep(name, step(23), f.signAnew)
	}
}

// signAnew stores the files with listings that fit them, signed.
func (f *fixture) signAnew(files map[string][]byte) []byte {
	own := maps.Clone(files)
	refit(own)
	note, err := SignManifestNote(FormatManifestNote(sha(own[nameManifest]), sha(own[nameCheckpoint])), f.signer)
	f.must(err)
	own[nameNote] = note
	return zipOf(inOrder(own), own)
}

// refit makes the listings fit the files, as anybody can.
func refit(files map[string][]byte) {
	var sums, manifest []Digest
	for _, name := range slices.Sorted(maps.Keys(files)) {
		k, _, _ := kindOf(name)
		if k == kindStructure || k == kindSums {
			continue
		}
		sums = append(sums, Digest{name, sha(files[name])})
		if inManifest(k) {
			manifest = append(manifest, sums[len(sums)-1])
		}
	}
	files[nameSums] = FormatSums(sums)
	manifest = append(manifest, Digest{nameSums, sha(files[nameSums])})
	slices.SortFunc(manifest, func(a, b Digest) int { return strings.Compare(a.Name, b.Name) })
	files[nameManifest] = FormatManifest(manifest)
}

// inOrder are the names of the files as a bundle has them.
func inOrder(files map[string][]byte) []string {
	names := slices.Sorted(maps.Keys(files))
	return append([]string{nameMimetype}, slices.DeleteFunc(names, func(n string) bool { return n == nameMimetype })...)
}

// TestEveryBitOfContainer flips bits anywhere in the file. A flip that is not found must unpack to the same files: the last
// bits of a deflate stream mean nothing.
func TestEveryBitOfContainer(t *testing.T) {
	f := newFixture(t, 8)
	f.exhibit = []int64{2}
	bundle, trust := f.pack(), f.trust()
	names, files := unpack(t, bundle)
	for bit := 0; bit < 8*len(bundle); bit += step(83) {
		damaged := flip(bundle, bit)
		if check(damaged, trust).Verdict == Damaged {
			continue
		}
		gotNames, gotFiles := unpack(t, damaged)
		same := slices.Equal(names, gotNames)
		for _, name := range names {
			same = same && bytes.Equal(files[name], gotFiles[name])
		}
		if !same {
			t.Errorf("bit %d of byte %d was not missed, and means something", bit%8, bit/8)
		}
	}
	for n := range bundle {
		if got := check(bundle[:n], trust).Verdict; got != Damaged {
			t.Fatalf("cut to %d bytes: got %s", n, got)
		}
	}
	for n := 1; n < 40; n++ {
		if got := check(append(bytes.Clone(bundle), make([]byte, n)...), trust).Verdict; got != Damaged {
			t.Fatalf("%d bytes longer: got %s", n, got)
		}
		if got := check(append(make([]byte, n), bundle...), trust).Verdict; got != Damaged {
			t.Fatalf("%d bytes before it: got %s", n, got)
		}
	}
}

// TestRandomDamage is many small harms to a bundle of 200 events: 20,000 in a soak.
func TestRandomDamage(t *testing.T) {
	f := newFixture(t, 260)
	bundle, trust := f.pack(), f.trust()
	rounds := 200
	if os.Getenv("GUIA_SOAK") != "" {
		rounds = 20_000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	names, files := unpack(t, bundle)
	for range rounds {
		damaged := flip(bundle, random.IntN(8*len(bundle)))
		if check(damaged, trust).Verdict == Damaged {
			continue
		}
		_, got := unpack(t, damaged)
		for _, name := range names {
			if !bytes.Equal(files[name], got[name]) {
				t.Fatalf("%s differs and was not missed", name)
			}
		}
	}
}

// TestContainerTricks has what other zip readers disagree about.
func TestContainerTricks(t *testing.T) {
	f := newFixture(t, 8)
	bundle, trust := f.pack(), f.trust()
	repack := func(change func(i int, h *zip.FileHeader), comment string) []byte {
		names, files := unpack(t, bundle)
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for i, name := range names {
			h := &zip.FileHeader{Name: name, Method: zip.Store, CreatorVersion: 20, ReaderVersion: 20, CRC32: crcOf(files[name])}
			h.ModifiedDate = dosDate //nolint:staticcheck // Modified would add an extra field
			h.CompressedSize64, h.UncompressedSize64 = uint64(len(files[name])), uint64(len(files[name]))
			change(i, h)
			part, err := w.CreateRaw(h)
			f.must(err)
			_, err = part.Write(files[name])
			f.must(err)
		}
		f.must(w.SetComment(comment))
		f.must(w.Close())
		return out.Bytes()
	}
	if r := check(repack(func(int, *zip.FileHeader) {}, ""), trust); r.Verdict != Proven {
		t.Fatalf("packed again: got %s %v", r.Verdict, keysOf(r))
	}
	for name, bad := range map[string][]byte{
		"comment":         repack(func(int, *zip.FileHeader) {}, "hello"),
		"file comment":    repack(func(i int, h *zip.FileHeader) { h.Comment = "x" }, ""),
		"extra field":     repack(func(i int, h *zip.FileHeader) { h.Extra = []byte{0x55, 0x54, 1, 0, 1} }, ""),
		"encrypted":       repack(func(i int, h *zip.FileHeader) { h.Flags |= 1 }, ""),
		"method":          repack(func(i int, h *zip.FileHeader) { h.Method = 12 }, ""),
		"unix attributes": repack(func(i int, h *zip.FileHeader) { h.ExternalAttrs = 0o120777 << 16 }, ""),
		"time":            repack(func(i int, h *zip.FileHeader) { h.ModifiedTime = 1 }, ""), //nolint:staticcheck // as above
		"longer":          repack(func(i int, h *zip.FileHeader) { h.UncompressedSize64++ }, ""),
		"empty":           {},
	} {
		if r := check(bad, trust); r.Verdict != Damaged {
			t.Errorf("%s: got %s", name, r.Verdict)
		}
	}
}

// TestNothingHidesBetweenFiles leaves a file in the container that its directory does not name: other programs may find it.
func TestNothingHidesBetweenFiles(t *testing.T) {
	f := newFixture(t, 8)
	names, files := unpack(t, f.pack())
	files["hidden"] = []byte("another story")
	for _, at := range []int{1, 3, len(names)} {
		bundle := zipOf(slices.Insert(slices.Clone(names), at, "hidden"), files)
		record := bytes.LastIndex(bundle, []byte("hidden")) - centralLength
		bundle = slices.Delete(bundle, record, record+centralLength+len("hidden"))
		end := bundle[len(bundle)-endLength:]
		le := binary.LittleEndian
		le.PutUint16(end[8:], uint16(len(names)))
		le.PutUint16(end[10:], uint16(len(names)))
		le.PutUint32(end[12:], le.Uint32(end[12:])-uint32(centralLength+len("hidden")))
		if r := check(bundle, f.trust()); r.Verdict != Damaged || keysOf(r)[0] != "verify.zip.gap" {
			t.Errorf("before file %d: got %s %v", at, r.Verdict, keysOf(r))
		}
		if got, _ := unpack(t, bundle); !slices.Equal(got, names) {
			t.Errorf("the test does not hide anything: %v", got)
		}
	}
}

// TestListingsAreSigned has a courier who makes both listings fit what he changed: only the signed note contradicts him.
func TestListingsAreSigned(t *testing.T) {
	f := newFixture(t, 8)
	names, files := unpack(t, f.pack())
	note := files[nameNote]
	files[nameView] = []byte("another view")
	_, forged := unpack(t, f.signAnew(files))
	forged[nameNote] = note
	if r := check(zipOf(names, forged), f.trust()); r.Verdict != Damaged || !slices.Equal(keysOf(r), []string{"verify.note.manifest"}) {
		t.Errorf("got %s %v", r.Verdict, keysOf(r))
	}
	_, files = unpack(t, f.pack())
	files[nameNote] = bytes.Replace(files[nameNote], []byte("\u2014 "), []byte("\u2014 x+00000000+AAAA\n\u2014 "), 1)
	if r := check(zipOf(names, files), f.trust()); !slices.Equal(keysOf(r), []string{"verify.note.signature"}) {
		t.Errorf("a line more: got %s %v", r.Verdict, keysOf(r))
	}
}

// TestBombIsBounded declares and delivers too much, each in its way.
func TestBombIsBounded(t *testing.T) {
	f := newFixture(t, 8)
	f.files[nameView] = make([]byte, 64<<20) // deflates to 64 KiB
	bundle := f.pack()
	limits := Limits{FileBytes: 1 << 20}
	if r := Verify(bytes.NewReader(bundle), int64(len(bundle)), f.trust(), limits); r.Verdict != Damaged || keysOf(r)[0] != "verify.zip.large" {
		t.Errorf("one large file: got %s %v", r.Verdict, keysOf(r))
	}
	limits = Limits{TotalBytes: 32 << 20}
	if r := Verify(bytes.NewReader(bundle), int64(len(bundle)), f.trust(), limits); r.Verdict != Damaged || keysOf(r)[0] != "verify.zip.total" {
		t.Errorf("all files together: got %s %v", r.Verdict, keysOf(r))
	}
	// A file that delivers more than its headers declare: the reader stops one byte later.
	c := openTest(t, bundle)
	e := *c.byName[nameView]
	e.size = 1000
	if n, err := io.Copy(io.Discard, c.open(&e)); err == nil || n > 1001 {
		t.Errorf("read %d bytes with %v", n, err)
	}
	if r := check(bundle, f.trust()); r.Verdict != Proven {
		t.Errorf("within the limits: got %s %v", r.Verdict, keysOf(r))
	}
}

func TestManyFiles(t *testing.T) {
	names, files := make([]string, 0, 100_001), map[string][]byte{}
	for i := range 100_001 {
		name := fmt.Sprintf("files/%064x", i)
		names, files[name] = append(names, name), nil
	}
	narrow := zipOf(names[:60_000], files)
	if r := check(narrow, Trust{}); r.Verdict != Damaged || r.More == 0 || r.Files != 60_000 {
		t.Errorf("60,000 files: got %s, %d findings and %d more", r.Verdict, len(r.Findings), r.More)
	}
	var out bytes.Buffer // more than 65,535 need the numbers of zip64
	w := zip.NewWriter(&out)
	for _, name := range names {
		h := &zip.FileHeader{Name: name, CreatorVersion: 20, ReaderVersion: 20}
		h.ModifiedDate = dosDate //nolint:staticcheck // Modified would add an extra field
		if _, err := w.CreateRaw(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if r := check(out.Bytes(), Trust{}); r.Verdict != Damaged || keysOf(r)[0] != "verify.zip.many" {
		t.Errorf("100,001 files: got %s %v", r.Verdict, keysOf(r)[:1])
	}
	if c, err := openContainer(bytes.NewReader(out.Bytes()), int64(out.Len()), Limits{Files: 200_000}); err != nil && c == nil {
		if found, ok := errors.AsType[*Fault](err); !ok || found.Key != "verify.zip.total" {
			// Limits are zero here but for Files: empty files stay within them.
			t.Errorf("zip64 directory: %v", err)
		}
	}
	// zip64 numbers that were not needed are another spelling of the same directory.
	end := narrow[len(narrow)-endLength:]
	le := binary.LittleEndian
	tail := uint64(len(narrow) - endLength)
	wide := bytes.Clone(narrow[:tail])
	wide = le.AppendUint64(le.AppendUint32(wide, end64Signature), end64Length-12)
	wide = le.AppendUint64(le.AppendUint16(le.AppendUint16(wide, 45), 45), 0)
	wide = le.AppendUint64(le.AppendUint64(wide, 60_000), 60_000)
	wide = le.AppendUint64(le.AppendUint64(wide, uint64(le.Uint32(end[12:]))), uint64(le.Uint32(end[16:])))
	wide = le.AppendUint32(le.AppendUint64(le.AppendUint32(le.AppendUint32(wide, locatorSignature), 0), tail), 1)
	wide = append(wide, end[:8]...)
	wide = append(wide, bytes.Repeat([]byte{0xff}, 12)...)
	wide = append(wide, 0, 0)
	if r := check(wide, Trust{}); keysOf(r)[0] != "verify.zip.end" {
		t.Errorf("needless zip64: got %v", keysOf(r)[:1])
	}
}
