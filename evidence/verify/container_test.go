package verify

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

func crcOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// packLoosely is packFiles that does not demand that all files are there.
func (f *fixture) packLoosely(files map[string][]byte) []byte {
	for _, name := range required {
		if _, ok := files[name]; !ok && name != nameMimetype && name != nameSums && name != nameManifest && name != nameNote {
			whole := f.packFiles(f.contents())
			c := openTest(f.t, whole)
			all := map[string][]byte{}
			var names []string
			for _, e := range c.entries {
				if _, ok := files[e.name]; ok || e.name == nameMimetype || e.name == nameSums || strings.HasPrefix(e.name, "META-INF/") {
					all[e.name], _ = io.ReadAll(c.open(e))
					names = append(names, e.name)
				}
			}
			return zipOf(names, all)
		}
	}
	return f.packFiles(files)
}

// unpack returns names in order and contents, as another program reads them.
func unpack(t testing.TB, bundle []byte) (names []string, files map[string][]byte) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	for _, entry := range r.File {
		content, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name], err = io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, entry.Name)
	}
	return names, files
}

// TestDishonestCourier has somebody without the key change, add, remove and rename files.
func TestDishonestCourier(t *testing.T) {
	f := newFixture(t, 20)
	f.exhibit = []int64{4}
	names, files := unpack(t, f.pack())
	if r := check(zipOf(names, files), f.trust()); r.Verdict != Proven {
		t.Fatalf("unpacked and packed again: got %s %v", r.Verdict, keysOf(r))
	}
	for _, name := range names {
		changed := map[string][]byte{}
		maps.Copy(changed, files)
		changed[name] = append(bytes.Clone(files[name]), '\n')
		if r := check(zipOf(names, changed), f.trust()); r.Verdict != Damaged {
			t.Errorf("%s longer: got %s", name, r.Verdict)
		}
		without := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
		if r := check(zipOf(without, files), f.trust()); r.Verdict != Damaged {
			t.Errorf("%s left out: got %s", name, r.Verdict)
		}
		if r := check(zipOf(append(without, name), files), f.trust()); name == nameMimetype && r.Verdict != Damaged {
			t.Errorf("mimetype last: got %s", r.Verdict)
		}
	}
	for _, name := range []string{
		"extra", "../escape", "/absolute", "a//b", "a/./b", `files\x`, "files/..", "C:evil", "files/" + strings.Repeat("A", 64),
		"META-INF/ASiCManifest002.xml", "keys/rotation-0", "keys/rotation-01", "proofs/4.tlog-proof ", "records.jsonl/", "", "café",
		"consistency/1-2-3", "proofs/-1.tlog-proof", strings.Repeat("a", 300),
	} {
		changed := map[string][]byte{name: {}}
		maps.Copy(changed, files)
		if r := check(zipOf(append(slices.Clone(names), name), changed), f.trust()); r.Verdict != Damaged {
			t.Errorf("with %q: got %s", name, r.Verdict)
		}
	}
	if r := check(zipOf(append(slices.Clone(names), "view.html"), files), f.trust()); r.Verdict != Damaged || keysOf(r)[0] != "verify.zip.twice" {
		t.Errorf("a name twice: got %s %v", r.Verdict, keysOf(r))
	}
	for _, name := range []string{nameTimestamp, nameSignature} {
		files[name] = []byte("later")
		if r := check(zipOf(append(slices.Clone(names), name), files), f.trust()); r.Verdict != Proven || !slices.Equal(r.Unchecked, []string{name}) {
			t.Errorf("with %s: got %s %v", name, r.Verdict, keysOf(r))
		}
	}
}

// TestWhatNeverWasABundle is told from a bundle that was harmed, and is not proven either.
func TestWhatNeverWasABundle(t *testing.T) {
	f := newFixture(t, 12)
	bundle := f.pack()
	names, files := unpack(t, bundle)
	var other bytes.Buffer // as any archiver packs: a bundle among other files
	w := zip.NewWriter(&other)
	for name, content := range map[string][]byte{"case.asice": bundle, "records.jsonl": []byte("{}"), "SHA256SUMS": nil} {
		part, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		f.must(err)
		_, err = part.Write(content)
		f.must(err)
	}
	f.must(w.SetComment("of the office"))
	f.must(w.Close())
	var container bytes.Buffer // as another program signs a letter
	w = zip.NewWriter(&container)
	for _, file := range [][2]string{{nameMimetype, MediaType}, {"META-INF/signatures.p7s", "x"}, {"letter.txt", "y"}} {
		part, err := w.CreateHeader(&zip.FileHeader{Name: file[0], Method: zip.Store})
		f.must(err)
		_, err = part.Write([]byte(file[1]))
		f.must(err)
	}
	f.must(w.Close())
	for name, c := range map[string]struct {
		content []byte
		looks   string
	}{
		"a text":                           {[]byte(strings.Repeat("no zip, ni 壓縮檔\n", 9000)), looksLikeText},
		"an unpacked file":                 {files[nameView], looksLikeText},
		"records of a bundle":              {files[nameRecords], looksLikeText},
		"bytes":                            {bytes.Repeat([]byte{0, 0xff, 'P', 'K'}, 100_000), looksLikeOther},
		"a zip with a bundle in it":        {other.Bytes(), looksLikeZip},
		"a zip of nothing":                 {zipOf(nil, nil), looksLikeZip},
		"another container of its kind":    {container.Bytes(), looksLikeZip},
		"the end of a zip alone, too much": {append([]byte("PK\x05\x06"), make([]byte, 18)...)[:21], looksLikeOther},
	} {
		r := check(c.content, f.trust())
		if r.Verdict != NoBundle || r.Looks != c.looks || len(r.Findings) != 0 {
			t.Errorf("%s: got %s %q %v, want %s %q", name, r.Verdict, r.Looks, keysOf(r), NoBundle, c.looks)
		}
		if words := r.Words(); len(words) != 1 || len(words[0].Lines) != 2 {
			t.Errorf("%s: %v", name, words)
		}
	}
	// Whoever removes what a bundle is known by, one thing after the other, gets no other word than damage until nothing is left.
	packed := bytes.Clone(bundle)
	if r := check(bytes.ReplaceAll(packed, []byte("PK\x05\x06"), []byte("QK\x05\x06")), f.trust()); r.Verdict != Damaged {
		t.Errorf("without its end: got %s", r.Verdict)
	}
	packed = append(make([]byte, 69), packed[69:]...)
	if r := check(packed, f.trust()); r.Verdict != Damaged {
		t.Errorf("without its beginning: got %s", r.Verdict)
	}
	packed = packed[:len(packed)-endLength]
	if r := check(packed, f.trust()); r.Verdict != Damaged {
		t.Errorf("without beginning and end: got %s", r.Verdict)
	}
	traces := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !onlyInBundles(name) })
	for i, name := range traces {
		if r := check(packed, f.trust()); r.Verdict != Damaged {
			t.Errorf("with the names %q left: got %s", traces[i:], r.Verdict)
		}
		packed = bytes.ReplaceAll(packed, []byte(name), bytes.Repeat([]byte("x"), len(name)))
	}
	if r := check(packed, f.trust()); r.Verdict != NoBundle {
		t.Errorf("without any trace: got %s %v", r.Verdict, keysOf(r))
	}
}

// TestABundleUnderTheEndOfAnotherZipIsDamaged has somebody put another end over that of a bundle, so that it reads as a zip of nothing or
// of something else.
func TestABundleUnderTheEndOfAnotherZipIsDamaged(t *testing.T) {
	f := newFixture(t, 12)
	bundle := f.pack()
	le := binary.LittleEndian
	tiny := zipOf([]string{"letter.txt"}, map[string][]byte{"letter.txt": []byte("y")})
	moved := bytes.Clone(tiny) // its numbers fit the longer file
	end := len(moved) - endLength
	start := le.Uint32(moved[end+16:])
	le.PutUint32(moved[start+42:], uint32(len(bundle)))
	le.PutUint32(moved[end+16:], start+uint32(len(bundle)))
	zeroed := bytes.Clone(bundle)
	clear(zeroed[len(zeroed)-endLength+8:][:8])
	for name, forged := range map[string][]byte{
		"an empty zip behind it":         append(bytes.Clone(bundle), zipOf(nil, nil)...),
		"zeros for number and length":    zeroed,
		"a zip behind it":                append(bytes.Clone(bundle), tiny...),
		"a zip behind it, numbers fit":   append(bytes.Clone(bundle), moved...),
		"an empty zip for its directory": append(bytes.Clone(bundle[:len(bundle)/2]), zipOf(nil, nil)...),
	} {
		if r := check(forged, f.trust()); r.Verdict != Damaged {
			t.Errorf("%s: got %s %s", name, r.Verdict, r.Looks)
		}
		clear(forged[:len(firstBytes)]) // the headers of its files are traces too
		if r := check(forged, f.trust()); r.Verdict != Damaged {
			t.Errorf("%s, without its beginning: got %s %s", name, r.Verdict, r.Looks)
		}
	}
}

// TestABundleThatWasZippedAgainIsToldFromAnEditedOne has an archiver write the unpacked files.
func TestABundleThatWasZippedAgainIsToldFromAnEditedOne(t *testing.T) {
	f := newFixture(t, 30)
	names, files := unpack(t, f.pack())
	slices.Reverse(names)
	again := func() Report {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		_, err := w.Create("META-INF/")
		f.must(err)
		for _, name := range names {
			part, err := w.Create(name)
			f.must(err)
			_, err = part.Write(files[name])
			f.must(err)
		}
		f.must(w.Close())
		return check(out.Bytes(), f.trust())
	}
	if r := again(); r.Verdict != Damaged || !r.Repacked || len(r.Findings) != 1 || r.Words()[0].Lines[0].Key != "verify.repacked" {
		t.Errorf("unchanged: got %s %v %v", r.Verdict, r.Repacked, keysOf(r))
	}
	files[nameRecords] = bytes.Replace(files[nameRecords], []byte(`\ntype message.sent`), []byte(`\ntype message.bent`), 1)
	r := again()
	if r.Verdict != Damaged || r.Repacked || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Event != nil && f.File == nameRecords }) {
		t.Errorf("edited: got %s %v %+v", r.Verdict, r.Repacked, r.Findings)
	}
	files[nameView] = append(files[nameView], '!')
	if r = again(); r.Repacked || !slices.Contains(keysOf(r), "verify.listing.digest") {
		t.Errorf("edited twice: got %v %v", r.Repacked, keysOf(r))
	}
}

// failing is a disk that fails after some bytes.
type failing struct{ r io.ReaderAt }

func (f failing) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 3000 {
		return 0, io.ErrClosedPipe
	}
	return f.r.ReadAt(p, offset)
}

func TestFailingDiskIsNotDamage(t *testing.T) {
	f := newFixture(t, 12)
	bundle := f.pack()
	r := Verify(failing{bytes.NewReader(bundle)}, int64(len(bundle)), f.trust(), Limits{})
	if r.Verdict != Unreadable || r.Cause == nil {
		t.Errorf("got %s %v", r.Verdict, keysOf(r))
	}
}
