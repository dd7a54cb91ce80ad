package verify

import (
	"bytes"
	"encoding/base64"
	"slices"
	"testing"

	"guia"
)

// TestOneDamageIsOneFinding flips single bits of a whole bundle, deflated as bundles are: one is told, with what follows from it under
// it, and in the records it names the event.
func TestOneDamageIsOneFinding(t *testing.T) {
	f := newFixture(t, 30)
	f.exhibit, f.older = []int64{2, 4}, []int64{5}
	bundle, trust := f.pack(), f.trust()
	c := openTest(t, bundle)
	for bit := 0; bit < 8*len(bundle); bit += step(331) {
		r := check(flip(bundle, bit), trust)
		if r.Verdict != Damaged {
			continue // the last bits of a deflate stream mean nothing
		}
		name := ""
		for _, e := range c.entries {
			if int64(bit/8) >= e.data && int64(bit/8) < e.data+e.packed {
				name = e.name
			}
		}
		if len(r.Findings) != 1 || r.More != 0 {
			t.Errorf("%s, byte %d: %d findings and %d more:", name, bit/8, len(r.Findings), r.More)
			for _, f := range r.Findings {
				t.Logf("  %s %s %d %v: %d follow", f.Key, f.File, f.Line, f.Args, len(f.Follows))
			}
		} else if name != "" && r.Findings[0].File != name {
			t.Errorf("a flipped bit of %s is told of %s: %s", name, r.Findings[0].File, r.Findings[0].Key)
		}
		for _, f := range slices.Concat(r.Findings, r.Findings[0].Follows) {
			if _, registered := guia.SlotOf(f.Field); f.Field != "" && !registered {
				t.Errorf("%s is the name of no field", f.Field)
			}
		}
	}
}

// TestTwoDamagesAreTwoFindings changes two events of a bundle, in a container that fits what was changed: each is told with its field.
func TestTwoDamagesAreTwoFindings(t *testing.T) {
	f := newFixture(t, 30)
	names, files := unpack(t, f.pack())
	files[nameRecords] = bytes.Clone(files[nameRecords])
	var want []int64
	for n, text := range bytes.SplitAfter(files[nameRecords], []byte("\n")) {
		if n == 3 || n == 9 {
			var l Line
			f.must(ParseLine(&l, text))
			want = append(want, l.Index)
			value := base64.StdEncoding.AppendEncode(nil, l.Fields[slices.IndexFunc(l.Fields, func(f Field) bool { return f.Name == "sender.name" })].Value)
			at := bytes.Index(text, value)
			text[at] ^= 2
		}
	}
	r := check(zipOf(names, files), f.trust())
	if len(r.Findings) != 2 {
		t.Fatalf("got %+v", r.Findings)
	}
	for n, got := range r.Findings {
		if *got.Event != want[n] || got.Field != "sender.name" || got.Key != "verify.field.commitment" {
			t.Errorf("got %+v", got)
		}
	}
	if len(r.Findings[0].Follows) != 2 || len(r.Findings[1].Follows) != 0 { // the manifest and the list of digests
		t.Errorf("%+v follow from the first, %+v from the second", r.Findings[0].Follows, r.Findings[1].Follows)
	}
}
