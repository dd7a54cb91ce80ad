package verify

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"guia/lang"
	"guia/proof"
)

func keysOf(r Report) (keys []string) {
	for _, f := range r.Findings {
		keys = append(keys, f.Key)
	}
	return keys
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
