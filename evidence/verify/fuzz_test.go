package verify

import (
	"bytes"
	"testing"
)

func FuzzBundle(f *testing.F) {
	x := newFixture(f, 8)
	x.exhibit, x.older = []int64{2}, []int64{5}
	bundle := x.pack()
	names, files := unpack(f, bundle)
	f.Add(bundle)
	f.Add(zipOf(names, files))
	f.Add(bundle[:len(bundle)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Verify(bytes.NewReader(b), int64(len(b)), Trust{}, Limits{FileBytes: 1 << 20, TotalBytes: 4 << 20})
		if r.Verdict == Proven {
			t.Fatal("proven without a key")
		}
		if r.Verdict == Unreadable {
			t.Fatal(r.Cause)
		}
		if (r.Verdict == Damaged) != (len(r.Findings) > 0) {
			t.Fatalf("%s with %d findings", r.Verdict, len(r.Findings))
		}
		r.Words()
	})
}

func FuzzLine(f *testing.F) {
	x := newFixture(f, 12)
	x.withhold(0, "sender.name", Redacted)
	x.withhold(1, "text.0001", Erased)
	p := x.prover(12)
	for i := range x.records {
		x.records[i].Proof, _ = p.Inclusion(x.records[i].Index)
		f.Add(AppendLine(nil, &x.records[i]))
	}
	f.Add([]byte(`{"index":0,"leaf":"","fields":[],"proof":[]}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var line Line
		if ParseLine(&line, text) != nil {
			return
		}
		if got := AppendLine(nil, &line); !bytes.Equal(got, text) {
			t.Fatalf("read %q, wrote %q", text, got)
		}
	})
}

func FuzzManifest(f *testing.F) {
	files := []Digest{{"SHA256SUMS", [32]byte{1}}, {"cover.json", [32]byte{2}}, {"view.html", [32]byte{3}}}
	f.Add(FormatManifest(files))
	f.Add(FormatManifest(nil))
	f.Add(FormatSums(files))
	f.Fuzz(func(t *testing.T, text []byte) {
		if files, err := ParseManifest(text); err == nil && !bytes.Equal(FormatManifest(files), text) {
			t.Fatalf("read and wrote another manifest: %q", text)
		}
		if files, err := ParseSums(text); err == nil && !bytes.Equal(FormatSums(files), text) {
			t.Fatalf("read and wrote another listing: %q", text)
		}
	})
}

func FuzzCover(f *testing.F) {
	x := newFixture(f, 12)
	x.cover = func(c *Cover) { c.Case = "\"\\\x01\u4f60" }
	f.Add(x.contents()[nameCover])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := ParseCover(text); err == nil && !bytes.Equal(FormatCover(c), text) {
			t.Fatalf("read and wrote another cover: %q", text)
		}
	})
}
