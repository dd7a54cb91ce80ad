package verify

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"guia/lang"
	"guia/proof"
)

func crcOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

func keysOf(r Report) (keys []string) {
	for _, f := range r.Findings {
		keys = append(keys, f.Key)
	}
	return keys
}

func TestWholeBundleIsProven(t *testing.T) {
	f := newFixture(t, 60)
	f.older, f.exhibit = []int64{1, 7, 32}, []int64{1, 4}
	f.withhold(0, "sender.name", Redacted)
	f.withhold(1, "text.0001", Erased)
	r := check(f.pack(), f.trust())
	if r.Verdict != Proven || len(r.Findings) != 0 {
		t.Fatalf("got %s with %+v", r.Verdict, r.Findings)
	}
	if r.Counts.Records != int64(len(f.records)) || r.Counts.Custody != 5 || r.Counts.Redacted != 1 || r.Counts.Erased != 1 || r.Files == 0 ||
		!slices.Equal(r.Older, f.older) || r.Exhibits != 2 || r.Trusted != f.signer.Verifier().VKey() || len(r.Streams) != 3 {
		t.Errorf("the report does not say what is there: %+v", r)
	}
	if want := []Withheld{{"sender.name", 1, 0}, {"text.####", 0, 1}}; !slices.Equal(r.Withheld, want) {
		t.Errorf("withheld: got %v, want %v", r.Withheld, want)
	}
	// Every ninth event is left out: positions 1, 4, 7 and so on of the first stream.
	first := r.Streams[slices.IndexFunc(r.Streams, func(s Stream) bool { return s.Stream == fmt.Sprintf("%x", digest16("stream", 0)) })]
	if first.Complete || first.From != 2 || len(first.Holes) == 0 || first.Holes[0] != (Hole{4, 4, 6, 12}) {
		t.Errorf("holes: got %+v", first)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestTrustIsTheCallers(t *testing.T) {
	f := newFixture(t, 12)
	bundle := f.pack()
	if r := check(bundle, Trust{}); r.Verdict != Unproven || r.Trusted != "" {
		t.Errorf("without keys: got %s", r.Verdict)
	}
	if r := check(bundle, trustIn(t, newSigner(t))); r.Verdict != Unproven || r.Words()[0].Lines[0].Key != "verify.key.other" {
		t.Errorf("another key of the same log: got %s %v %v", r.Verdict, keysOf(r), r.Words()[0])
	}
	skey, _, err := proof.NewLogKey("guia.invalid/log/other")
	f.must(err)
	other, err := proof.NewSigner(skey)
	f.must(err)
	if r := check(bundle, trustIn(t, other)); r.Verdict != Unproven {
		t.Errorf("a key of another log: got %s %v", r.Verdict, keysOf(r))
	}
	if r := check(bundle, trustIn(t, other, f.signer)); r.Verdict != Proven {
		t.Errorf("several keys: got %s", r.Verdict)
	}
}

func TestRotationsLeadFromTheCallersKey(t *testing.T) {
	f := newFixture(t, 30)
	first, second, third := newSigner(t), newSigner(t), f.signer
	rotate := func(from *proof.Signer, to *proof.Signer, size int64) []byte {
		note, err := proof.SignRotation(proof.Rotation{Origin: testOrigin, Old: from.Verifier().VKey(), New: to.Verifier().VKey(), From: size}, from)
		f.must(err)
		return note
	}
	one, two := rotate(first, second, 10), rotate(second, third, 20)
	f.files[RotationName(1)], f.files[RotationName(2)] = one, two
	for i, signer := range []*proof.Signer{first, second, third} {
		if r := check(f.pack(), trustIn(t, signer)); r.Verdict != Proven || r.Rotations != 2 {
			t.Errorf("trust in key %d: got %s %v", i+1, r.Verdict, keysOf(r))
		}
	}
	older := newFixture(t, 30)
	older.signer = first
	if r := check(older.pack(), trustIn(t, third)); r.Verdict != Unproven || r.Other != third.Verifier().VKey() {
		t.Errorf("a bundle from before the changes, with the newest key: got %s %v", r.Verdict, keysOf(r))
	}
	for name, files := range map[string][2][]byte{
		"swapped":                {two, one},
		"hole":                   {one, nil},
		"late for the key":       {one, rotate(second, third, 30)},
		"signed by someone else": {one, rotate(newSigner(t), third, 20)},
	} {
		f.files[RotationName(1)], f.files[RotationName(2)] = files[0], files[1]
		if r := check(f.pack(), trustIn(t, first)); r.Verdict != Damaged {
			t.Errorf("%s: got %s", name, r.Verdict)
		}
	}
	delete(f.files, RotationName(2))
	f.files[RotationName(1)], f.files["keys/rotation-3"] = one, two
	if r := check(f.pack(), trustIn(t, first)); r.Verdict != Damaged {
		t.Errorf("numbers with a hole: got %s", r.Verdict)
	}
}

// TestDishonestMaker has a maker who holds the log key and signs listings that fit: only the tree, the commitments and the
// rules can contradict him.
func TestDishonestMaker(t *testing.T) {
	replace := func(name, from, to string) func(*fixture, map[string][]byte) {
		return func(f *fixture, files map[string][]byte) {
			if !bytes.Contains(files[name], []byte(from)) {
				f.t.Fatalf("%s has no %q", name, from)
			}
			files[name] = bytes.Replace(files[name], []byte(from), []byte(to), 1)
		}
	}
	lines := func(files map[string][]byte) [][]byte { return bytes.SplitAfter(files[nameRecords], []byte("\n")) }
	for _, c := range []struct {
		name   string
		change func(f *fixture, files map[string][]byte)
		want   string // key of a finding that must be there
	}{
		{"value", func(f *fixture, files map[string][]byte) {
			var l Line
			f.must(ParseLine(&l, lines(files)[0]))
			l.Fields[0].Value[0] ^= 1
			files[nameRecords] = append(AppendLine(nil, &l), bytes.Join(lines(files)[1:], nil)...)
		}, "verify.field.commitment"},
		{"salt", func(f *fixture, files map[string][]byte) {
			var l Line
			f.must(ParseLine(&l, lines(files)[0]))
			l.Fields[0].Salt[31] ^= 1
			files[nameRecords] = append(AppendLine(nil, &l), bytes.Join(lines(files)[1:], nil)...)
		}, "verify.field.commitment"},
		{"value with its commitment", func(f *fixture, files map[string][]byte) {
			var l Line
			f.must(ParseLine(&l, lines(files)[0]))
			l.Fields[0] = Field{Name: l.Fields[0].Name, Commitment: [32]byte{1}, Withheld: Redacted}
			files[nameRecords] = append(AppendLine(nil, &l), bytes.Join(lines(files)[1:], nil)...)
		}, "verify.fields.hash"},
		{"field left out", func(f *fixture, files map[string][]byte) {
			var l Line
			f.must(ParseLine(&l, lines(files)[0]))
			l.Fields = l.Fields[1:]
			files[nameRecords] = append(AppendLine(nil, &l), bytes.Join(lines(files)[1:], nil)...)
		}, "verify.fields.count"},
		{"fields swapped", func(f *fixture, files map[string][]byte) {
			var l Line
			f.must(ParseLine(&l, lines(files)[0]))
			l.Fields[0], l.Fields[1] = l.Fields[1], l.Fields[0]
			files[nameRecords] = append(AppendLine(nil, &l), bytes.Join(lines(files)[1:], nil)...)
		}, "verify.field.order"},
		{"leaf", replace(nameRecords, `\ntype message.sent`, `\ntype message.bent`), "verify.line.proof"},
		{"leaf not canonical", replace(nameRecords, `\ntype message.sent`, `\ntype Message.sent`), "verify.leaf.form"},
		{"index", replace(nameRecords, `{"index":2,`, `{"index":3,`), "verify.line.proof"},
		{"index beyond", replace(nameCustody, `{"index":29,`, `{"index":30,`), "verify.line.beyond"},
		{"field name", replace(nameRecords, `"sender.name"`, `"sender.nbme"`), "verify.fields.hash"},
		{"form of a field name", replace(nameRecords, `"sender.name"`, `"sender..ame"`), "verify.field.name"},
		{"upper-case hexadecimal", func(f *fixture, files map[string][]byte) {
			at := bytes.Index(files[nameRecords], []byte(`"commitment":"`)) + len(`"commitment":"`)
			copy(files[nameRecords][at:at+64], bytes.ToUpper(files[nameRecords][at:at+64]))
		}, "verify.line.form"},
		{"base64 with unused bits", func(f *fixture, files map[string][]byte) {
			at := bytes.Index(files[nameRecords], []byte(`=","value"`)) - 1
			files[nameRecords][at]++ // the last two bits of a 32-byte value are unused
		}, "verify.line.form"},
		{"white space", replace(nameRecords, `,"leaf"`, `, "leaf"`), "verify.line.form"},
		{"carriage return", replace(nameRecords, "]}\n", "]}\r\n"), "verify.line.form"},
		{"no line end", func(_ *fixture, files map[string][]byte) {
			files[nameRecords] = bytes.TrimSuffix(files[nameRecords], []byte("\n"))
		}, "verify.line.form"},
		{"proofs swapped", func(f *fixture, files map[string][]byte) {
			var a, b Line
			all := lines(files)
			f.must(ParseLine(&a, all[0]))
			f.must(ParseLine(&b, all[1]))
			a.Proof, b.Proof = b.Proof, a.Proof
			files[nameRecords] = slices.Concat(AppendLine(nil, &a), AppendLine(nil, &b), bytes.Join(all[2:], nil))
		}, "verify.line.proofof"},
		{"line removed", func(_ *fixture, files map[string][]byte) {
			files[nameRecords] = bytes.Join(lines(files)[1:], nil)
		}, "verify.cover.differs"},
		{"line twice", func(_ *fixture, files map[string][]byte) {
			files[nameRecords] = append(bytes.Clone(lines(files)[0]), files[nameRecords]...)
		}, "verify.line.order"},
		{"lines reordered", func(_ *fixture, files map[string][]byte) {
			all := lines(files)
			all[1], all[2] = all[2], all[1]
			files[nameRecords] = bytes.Join(all, nil)
		}, "verify.line.order"},
		{"line moved to custody", func(_ *fixture, files map[string][]byte) {
			all := lines(files)
			files[nameRecords], files[nameCustody] = bytes.Join(all[1:], nil), append(all[0], files[nameCustody]...)
		}, "verify.cover.differs"},
		{"attachment", func(_ *fixture, files map[string][]byte) {
			name := FileName(sha(attachment(1)))
			files[name] = append(bytes.Clone(files[name]), '!')
		}, "verify.file.digest"},
		{"attachment absent", func(_ *fixture, files map[string][]byte) {
			delete(files, FileName(sha(attachment(1))))
		}, "verify.file.absent"},
		{"attachment unnamed", func(_ *fixture, files map[string][]byte) {
			files[FileName(sha([]byte("x")))] = []byte("x")
		}, "verify.file.unnamed"},
		{"other checkpoint", func(f *fixture, files map[string][]byte) {
			files[nameCheckpoint] = f.sign(len(f.leaves) - 1)
		}, "verify.line.proof"},
		{"checkpoint of a stranger", func(f *fixture, files map[string][]byte) {
			own := f.signer
			f.signer = newSigner(f.t)
			files[nameCheckpoint] = f.sign(len(f.leaves))
			f.signer = own
		}, "verify.checkpoint.signature"},
		{"key for openssl", func(f *fixture, files map[string][]byte) {
			pem, err := proof.VKeyPEM(newSigner(f.t).Verifier().VKey())
			f.must(err)
			files[namePEM] = pem
		}, "verify.key.pem"},
		{"older checkpoint", func(f *fixture, files map[string][]byte) {
			files["consistency/7.checkpoint"] = f.sign(8)
		}, "verify.growth.checkpoint"},
		{"older checkpoint of another tree", func(f *fixture, files map[string][]byte) {
			f.checkpoint = func(c proof.Checkpoint) proof.Checkpoint { c.Root[0] ^= 1; return c }
			files["consistency/7.checkpoint"] = f.sign(7)
		}, "verify.growth.proof"},
		{"older checkpoint alone", func(_ *fixture, files map[string][]byte) {
			delete(files, "consistency/7-30")
		}, "verify.growth.alone"},
		{"exhibit", func(_ *fixture, files map[string][]byte) {
			files[ProofName(5)] = files[ProofName(4)]
		}, "verify.proof.form"},
		{"exhibit of another line", func(f *fixture, files map[string][]byte) {
			p, err := proof.ParseProof(files[ProofName(4)])
			f.must(err)
			p.Hashes[0][0] ^= 1
			files[ProofName(4)], err = proof.FormatProof(p)
			f.must(err)
		}, "verify.proof.hashes"},
		{"exhibit of no line", func(f *fixture, files map[string][]byte) {
			hashes, err := f.prover(len(f.leaves)).Inclusion(0)
			f.must(err)
			files[ProofName(0)], err = proof.FormatProof(proof.LeafProof{Index: 0, Hashes: hashes, Checkpoint: files[nameCheckpoint]})
			f.must(err)
		}, "verify.proof.unnamed"},
		{"cover count", replace(nameCover, `"records": `, `"records": 1`), "verify.cover.differs"},
		{"cover redacted", replace(nameCover, `"redacted": 0`, `"redacted": 1`), "verify.cover.differs"},
		{"cover grade", replace(nameCover, `{"C": `, `{"A": `), "verify.cover.row"},
		{"cover channel", replace(nameCover, `"channel": "export"`, `"channel": "api"`), "verify.cover.row"},
		{"cover complete", replace(nameCover, `"complete": false`, `"complete": true`), "verify.stream.missing"},
		{"cover size", replace(nameCover, `"size": 30`, `"size": 31`), "verify.cover.differs"},
		{"cover white space", replace(nameCover, `"size": 30`, `"size":  30`), "verify.cover.form"},
		{"cover extra key", replace(nameCover, `"size": 30`, `"sIze": 30`), "verify.cover.form"},
		{"mimetype", func(_ *fixture, files map[string][]byte) { files[nameView] = nil; delete(files, nameCover) }, "verify.name.missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, 30)
			f.older, f.exhibit = []int64{7}, []int64{4}
			files := f.contents()
			c.change(f, files)
			r := check(f.packLoosely(files), f.trust())
			if r.Verdict != Damaged || !slices.Contains(keysOf(r), c.want) {
				t.Errorf("got %s %v, want %s", r.Verdict, keysOf(r), c.want)
			}
		})
	}
}

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

// TestFindingNamesPlace wants the event, the field and what differs.
func TestFindingNamesPlace(t *testing.T) {
	f := newFixture(t, 30)
	f.records[3].Fields = slices.Clone(f.records[3].Fields)
	for i := range f.records[3].Fields {
		if field := &f.records[3].Fields[i]; field.Name == "text.0001" {
			field.Value = []byte("something else")
		}
	}
	r := check(f.pack(), f.trust())
	if len(r.Findings) != 1 {
		t.Fatalf("got %+v, want one finding", r.Findings)
	}
	got := r.Findings[0]
	if *got.Event != f.records[3].Index || got.Field != "text.0001" || got.Line != 4 || got.File != nameRecords || got.Key != "verify.field.commitment" {
		t.Errorf("got %+v", got)
	}
	if whole := got.Whole().In(func(key string, args ...any) string { return fmt.Sprint(key, args) }); !strings.Contains(whole, "verify.at.field") || !strings.Contains(whole, "text.0001") {
		t.Errorf("got %s", whole)
	}
}

// TestFindingsNameWhatIsMisplacedOrMissing has a maker who signs anew what he put in disorder: what is said names the events.
func TestFindingsNameWhatIsMisplacedOrMissing(t *testing.T) {
	swapOf := func(i, j int, what func(a, b *Line)) func(*fixture, [][]byte) [][]byte {
		return func(f *fixture, lines [][]byte) [][]byte {
			var a, b Line
			f.must(ParseLine(&a, lines[i]))
			f.must(ParseLine(&b, lines[j]))
			what(&a, &b)
			lines[i], lines[j] = AppendLine(nil, &a), AppendLine(nil, &b)
			return lines
		}
	}
	swap := func(what func(a, b *Line)) func(*fixture, [][]byte) [][]byte { return swapOf(1, 3, what) } // the events 2 and 4
	const second = "0ba819cf98cd3cdc62f9cdaf64288234"                                                   // the stream of the events 1, 4, 7 and so on
	for _, c := range []struct {
		name   string
		change func(f *fixture, lines [][]byte) [][]byte
		want   []string // each stands in the words about one finding
	}{
		{"leaves swapped", swap(func(a, b *Line) { a.Leaf, b.Leaf = b.Leaf, a.Leaf }), []string{
			"event 2: the leaf of event 4 stands here", "event 4: the leaf of event 2 stands here",
		}},
		{"leaves of one stream swapped", swapOf(3, 6, func(a, b *Line) { a.Leaf, b.Leaf, a.Fields, b.Fields = b.Leaf, a.Leaf, b.Fields, a.Fields }), []string{
			"event 4: the leaf of event 7 stands here", "event 7: the leaf of event 4 stands here",
		}},
		{"a garbled line", func(_ *fixture, lines [][]byte) [][]byte { // as a flipped bit does to what is deflated behind it
			lines[5] = append([]byte("{\"index\":29,\"leaf\":\"g\x01"), lines[5][20:]...)
			return lines
		}, []string{"records.jsonl, line 6: not in the only form"}},
		{"leaves and fields swapped", swap(func(a, b *Line) { a.Leaf, b.Leaf, a.Fields, b.Fields = b.Leaf, a.Leaf, b.Fields, a.Fields }), []string{
			"event 2: the leaf of event 4 stands here", "event 4: the leaf of event 2 stands here",
		}},
		{"numbers swapped", swap(func(a, b *Line) { a.Index, b.Index = b.Index, a.Index }), []string{
			"event 4: leaf and proof are those of event 2: only the number differs (records.jsonl, line 2)",
			"event 2: leaf and proof are those of event 4: only the number differs (records.jsonl, line 4)",
		}},
		{"proofs swapped", swap(func(a, b *Line) { a.Proof, b.Proof = b.Proof, a.Proof }), []string{
			"event 2: the proof is that of event 4", "event 4: the proof is that of event 2",
		}},
		{"an event too early", func(_ *fixture, lines [][]byte) [][]byte {
			return slices.Concat(lines[20:21], lines[:20], lines[21:])
		}, []string{"event 1: stands behind event 23, and must stand before it"}},
		{"an event missing", func(_ *fixture, lines [][]byte) [][]byte { return slices.Delete(lines, 3, 4) }, []string{
			"proofs/4.tlog-proof: it is the proof of event 4, which is not in the bundle",
			"positions 2 to 2 of the stream " + second + " are missing, which the cover says are shown: they stood between the events 1 and 7",
			"cover.json, grades: C: the cover says 22, found 21",
			"cover.json, sources: slack, export, C, records: the cover says 22, found 21",
		}},
		{"the first event missing", func(_ *fixture, lines [][]byte) [][]byte { return lines[1:] }, []string{
			"positions 1 to 1 of the stream " + second + " are missing, which the cover says are shown: they stood before event 4",
			"cover.json, sources: slack, export, C, first: the cover says 2024-01-02T03:00:01Z, found 2024-01-02T03:00:02Z",
		}},
		{"the last events missing", func(_ *fixture, lines [][]byte) [][]byte { return lines[:19] }, []string{
			"positions 8 to 8 of the stream " + second + " are missing, which the cover says are shown: they stood behind event 19",
		}},
		{"every event missing", func(_ *fixture, lines [][]byte) [][]byte { return nil }, []string{
			"positions 1 to 8 of the stream " + second + " are missing, which the cover says are shown: no event of it is here",
			"cover.json, grades: C: the cover says 22, found –",
		}},
	} {
		f := newFixture(t, 30)
		f.exhibit = []int64{4}
		files := f.contents()
		lines := bytes.SplitAfter(bytes.TrimSuffix(files[nameRecords], []byte("\n")), []byte("\n"))
		lines[len(lines)-1] = append(bytes.Clone(lines[len(lines)-1]), '\n')
		files[nameRecords] = bytes.Join(c.change(f, lines), nil)
		if files[nameRecords] == nil {
			files[nameRecords] = []byte{}
		}
		r := check(f.packFiles(files), f.trust())
		var said []string
		for _, finding := range r.Findings {
			said = append(said, finding.Whole().In(func(key string, args ...any) string { return lang.Text(lang.English, key, args...) }))
		}
		for _, want := range c.want {
			if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("%s: nothing says %q:\n%s", c.name, want, strings.Join(said, "\n"))
			}
		}
		for _, s := range said {
			if strings.Contains(s, lang.Text(lang.English, "verify.line.proof")) || strings.Contains(s, lang.Text(lang.English, "verify.cover.list")) {
				t.Errorf("%s: it is only said that %s", c.name, s)
			}
			if strings.Contains(s, "stands behind") && c.name != "an event too early" || strings.Contains(s, "in the stream") || strings.HasPrefix(s, "event 29") {
				t.Errorf("%s: it is said besides that %s", c.name, s)
			}
		}
		if r.Verdict != Damaged {
			t.Errorf("%s: got %s", c.name, r.Verdict)
		}
	}
}

func TestTheBrokenRotationIsNamed(t *testing.T) {
	f := newFixture(t, 30)
	keys := []*proof.Signer{newSigner(t), newSigner(t), newSigner(t), f.signer}
	for n := range 3 {
		note, err := proof.SignRotation(proof.Rotation{Origin: testOrigin, Old: keys[n].Verifier().VKey(), New: keys[n+1].Verifier().VKey(), From: int64(5 * (n + 1))}, keys[n])
		f.must(err)
		f.files[RotationName(n+1)] = note
	}
	for n := 1; n <= 3; n++ {
		whole := f.files[RotationName(n)]
		f.files[RotationName(n)] = bytes.Replace(whole, fmt.Appendf(nil, "\nfrom %d\n", 5*n), []byte("\nfrom 4\n"), 1)
		r := check(f.pack(), trustIn(t, keys[0]))
		if len(r.Findings) != 1 || r.Findings[0].File != RotationName(n) {
			t.Errorf("statement %d was changed: %+v", n, r.Findings)
		}
		f.files[RotationName(n)] = whole
	}
}

func TestFindingsAreBounded(t *testing.T) {
	f := newFixture(t, 12)
	f.files[nameRecords] = bytes.Repeat([]byte("\n"), 3_000_000)
	bundle := f.pack()
	r := Verify(bytes.NewReader(bundle), int64(len(bundle)), f.trust(), Limits{Findings: 10, LineBytes: 1 << 20})
	if r.Verdict != Damaged || len(r.Findings) != 10 || r.More < 10 {
		t.Errorf("got %s, %d findings and %d more", r.Verdict, len(r.Findings), r.More)
	}
	f.files[nameRecords] = bytes.Repeat([]byte("a"), 3_000_000)
	bundle = f.pack()
	r = Verify(bytes.NewReader(bundle), int64(len(bundle)), f.trust(), Limits{LineBytes: 1 << 20})
	if !slices.Contains(keysOf(r), "verify.line.long") {
		t.Errorf("a long line: got %v", keysOf(r))
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

func TestManyLinesKeepTheirOrder(t *testing.T) {
	f := newFixture(t, 2000)
	bundle := f.pack()
	r := Verify(bytes.NewReader(bundle), int64(len(bundle)), f.trust(), Limits{Workers: 7})
	if r.Verdict != Proven {
		t.Errorf("got %s %v", r.Verdict, keysOf(r)[:min(5, len(r.Findings))])
	}
}

func TestStreamPositionsAscend(t *testing.T) {
	var tally Tally
	f := newFixture(t, 20)
	if err := tally.Add(&f.all[3], false); err != nil {
		t.Fatal(err)
	}
	var got facts
	leaf := mustLeaf(t, f.all[0].Leaf) // same stream, an earlier position
	got.take(&f.all[0], &leaf)
	got.index = 9 // a later place
	if tally.add(&got, false) {
		t.Error("a position that goes back was accepted")
	}
}

func TestWriterRefusesWhatTheVerifierWould(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add("../x", nil); err == nil {
		t.Error("an unsafe name was accepted")
	}
	if err := w.Add("mimetype", nil); err == nil {
		t.Error("a name was accepted twice")
	}
	if err := w.Finish(func([]byte) ([]byte, error) { return nil, nil }); err == nil {
		t.Error("a bundle without its files was finished")
	}
}
