package verify

import (
	"bytes"
	"slices"
	"testing"

	"guia/proof"
)

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
