package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"guia/proof"
)

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
		if r := check(f.pack(), trustIn(t, signer)); r.Verdict != Proven || r.Rotations != 2-i {
			t.Errorf("trust in key %d: got %s %v, %d changes", i+1, r.Verdict, keysOf(r), r.Rotations)
		}
	}
	if r := check(f.pack(), trustIn(t, first, third, second)); r.Trusted != third.Verifier().VKey() || r.Rotations != 0 {
		t.Errorf("of all keys that of %s is named, %d changes from the one that signed", r.Trusted, r.Rotations)
	}
	if r := check(f.pack(), Trust{}); r.Rotations != 2 {
		t.Errorf("without a key: %d changes", r.Rotations)
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

// TestARetiredKeySignsNothingAfterItsEnd gives the keys as guia key status --vkey prints them after changes at sizes 10 and 20.
func TestARetiredKeySignsNothingAfterItsEnd(t *testing.T) {
	first, second, third, thief := newSigner(t), newSigner(t), newSigner(t), newSigner(t)
	vkey := func(s *proof.Signer) string { return s.Verifier().VKey() }
	printed := vkey(third) + "\n" + RetiredKey(vkey(second), 20) + "\n" + RetiredKey(vkey(first), 10) + "\n"
	rotate := func(from, to *proof.Signer, size int64) []byte {
		note, err := proof.SignRotation(proof.Rotation{Origin: testOrigin, Old: vkey(from), New: vkey(to), From: size}, from)
		if err != nil {
			t.Fatal(err)
		}
		return note
	}
	for name, c := range map[string]struct {
		size      int
		signer    *proof.Signer
		rotations [][]byte
		more      string // another key that the reader gives
		want      Verdict
		retired   bool
	}{
		"before the first change":        {size: 10, signer: first, want: Proven, retired: true},
		"between the changes":            {size: 20, signer: second, rotations: [][]byte{rotate(first, second, 10)}, want: Proven, retired: true},
		"after both":                     {size: 30, signer: third, rotations: [][]byte{rotate(first, second, 10), rotate(second, third, 20)}, want: Proven},
		"after one to come":              {size: 30, signer: thief, rotations: [][]byte{rotate(first, second, 10), rotate(second, third, 20), rotate(third, thief, 25)}, want: Proven},
		"stolen, one event on":           {size: 21, signer: second, want: Unproven, retired: true},
		"stolen, its rotation hidden":    {size: 30, signer: first, want: Unproven, retired: true},
		"stolen, also given without end": {size: 30, signer: first, more: vkey(first), want: Unproven, retired: true},
		"stolen, with its past":          {size: 30, signer: second, rotations: [][]byte{rotate(first, second, 10)}, more: RetiredKey(vkey(first), proof.MaxSize), want: Unproven, retired: true},
		"stolen, and handed over":        {size: 30, signer: thief, rotations: [][]byte{rotate(first, thief, 10)}, want: Unproven, retired: true},
		"stolen, and handed over before": {size: 9, signer: thief, rotations: [][]byte{rotate(first, thief, 5)}, want: Unproven, retired: true},
	} {
		f := newFixture(t, c.size)
		f.signer = c.signer
		for i, text := range c.rotations {
			f.files[RotationName(i+1)] = text
		}
		keys, ok := KeysIn(printed + c.more)
		if !ok {
			t.Fatal("the keys as printed were refused")
		}
		trust, err := TrustKeys(keys...)
		f.must(err)
		r := check(f.pack(), trust)
		if r.Verdict != c.want || r.Retired != c.retired || (r.Trusted != "") != (c.want == Proven) {
			t.Errorf("%s: got %s, retired %v, trusted %q: %v", name, r.Verdict, r.Retired, r.Trusted, keysOf(r))
		}
		said := slices.ContainsFunc(r.Words(), func(p Paragraph) bool {
			return slices.ContainsFunc(p.Lines, func(s Sentence) bool { return s.Key == "verify.key.retired" || s.Key == "verify.proven.key.retired" })
		})
		if said != c.retired {
			t.Errorf("%s: that the key was replaced is said: %v", name, said)
		}
	}
	for _, size := range []string{"", "-1", "+1", "01", "1 ", "x", "1 until 2", "9223372036854775807"} {
		if _, err := TrustKeys(vkey(first) + " until " + size); err == nil {
			t.Errorf("the size %q is accepted", size)
		}
	}
}
