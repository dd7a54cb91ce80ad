package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/canon"
)

// TestOneDamageIsOneFinding flips single bits of a whole bundle, deflated as bundles are: one damage is told, with what follows from it
// under it, and in the records it names the event. A bit of a deflated stream may change many lines: then each that can be read is named.
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
		changed := func(f Finding) bool { return f.File == name && (f.Event != nil || f.Line == 0) }
		lines := (name == nameRecords || name == nameCustody) && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return !changed(f) })
		if (len(r.Findings) != 1 && !lines) || r.More != 0 {
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

// TestWhatIsForgedIsNamed changes three events and damages something else, so that the report may say that this was all: each of the
// three is still a finding of its own. Without the log's key everything but its signatures can be made to fit.
func TestWhatIsForgedIsNamed(t *testing.T) {
	f := newFixture(t, 30)
	forged := []int{3, 9, 12}
	inOneField := func(text []byte, l *Line, field int) []byte {
		value := base64.StdEncoding.AppendEncode(nil, l.Fields[field].Value)
		text[bytes.Index(text, value)] ^= 2
		return text
	}
	throughout := func(_ []byte, l *Line, field int) []byte { // the line agrees with itself: only its proof tells
		leaf, err := canon.ParseLeaf(l.Leaf)
		f.must(err)
		block := func() (hash [32]byte) {
			var all []canon.Commitment
			for _, f := range l.Fields {
				all = append(all, canon.Commitment{Name: f.Name, Hash: f.Commitment})
			}
			return canon.FieldsHash(all)
		}
		l.Fields[field].Value = []byte("Somebody Else")
		l.Fields[field].Commitment = canon.Commit(l.Fields[field].Salt, l.Fields[field].Value)
		l.Leaf = bytes.Replace(l.Leaf, fmt.Appendf(nil, "%x", leaf.FieldsHash), fmt.Appendf(nil, "%x", block()), 1)
		return AppendLine(nil, l)
	}
	damages := map[string]func(files map[string][]byte){
		"nothing else":        func(map[string][]byte) {},
		"checkpoint left out": func(files map[string][]byte) { delete(files, nameCheckpoint) },
		"checkpoint's signature": func(files map[string][]byte) {
			files[nameCheckpoint] = flip(files[nameCheckpoint], 8*(len(files[nameCheckpoint])-5))
		},
		"checkpoint in no form":          func(files map[string][]byte) { files[nameCheckpoint] = []byte("x") },
		"checkpoint of another root":     func(files map[string][]byte) { files[nameCheckpoint] = f.sign(29) },
		"cover left out":                 func(files map[string][]byte) { delete(files, nameCover) },
		"digest of the records is wrong": func(map[string][]byte) {},
	}
	for damage, do := range damages {
		for how, forge := range map[string]func([]byte, *Line, int) []byte{"in one field": inOneField, "throughout": throughout} {
			if strings.HasPrefix(damage, "checkpoint ") && how == "throughout" {
				continue // without a root no event that agrees with itself can be told from another
			}
			t.Run(damage+", "+how, func(t *testing.T) {
				_, files := unpack(t, f.pack())
				original := files[nameRecords]
				lines := bytes.SplitAfter(bytes.Clone(original), []byte("\n"))
				var want []int64
				for _, n := range forged {
					var l Line
					f.must(ParseLine(&l, lines[n]))
					want = append(want, l.Index)
					lines[n] = forge(lines[n], &l, slices.IndexFunc(l.Fields, func(f Field) bool { return f.Name == "sender.name" }))
				}
				files[nameRecords] = bytes.Join(lines, nil)
				do(files)
				refit(files)
				bundle := zipOf(inOrder(files), files)
				if strings.HasPrefix(damage, "digest") {
					right, wrong := make([]byte, 4), make([]byte, 4)
					binary.LittleEndian.PutUint32(right, crcOf(files[nameRecords]))
					binary.LittleEndian.PutUint32(wrong, crcOf(original))
					bundle = bytes.ReplaceAll(bundle, right, wrong)
				}
				r := check(bundle, f.trust())
				var named []int64
				for _, finding := range r.Findings {
					if finding.Event != nil {
						named = append(named, *finding.Event)
						if how == "in one field" && finding.Field != "sender.name" {
							t.Errorf("no field is named: %+v", finding)
						}
					}
				}
				if r.Verdict != Damaged || !slices.Equal(named, want) {
					t.Errorf("%s: named %v of %v: %+v", r.Verdict, named, want, r.Findings)
				}
			})
		}
	}
}

// TestEachChangedFieldIsNamed changes two fields of one event.
func TestEachChangedFieldIsNamed(t *testing.T) {
	f := newFixture(t, 30)
	_, files := unpack(t, f.pack())
	lines := bytes.SplitAfter(bytes.Clone(files[nameRecords]), []byte("\n"))
	var l Line
	f.must(ParseLine(&l, lines[3]))
	want := []string{"sender.name", "text.0000"}
	for _, name := range want {
		value := base64.StdEncoding.AppendEncode(nil, l.Fields[slices.IndexFunc(l.Fields, func(f Field) bool { return f.Name == name })].Value)
		lines[3][bytes.Index(lines[3], value)] ^= 2
	}
	files[nameRecords] = bytes.Join(lines, nil)
	var named []string
	for _, finding := range check(zipOf(inOrder(files), files), f.trust()).Findings {
		named = append(named, finding.Field)
	}
	if !slices.Equal(named, want) {
		t.Errorf("named %v", named)
	}
}

// TestAChangedEventHidesNoneThatIsGone changes an event, takes two others out, in a container that fits.
func TestAChangedEventHidesNoneThatIsGone(t *testing.T) {
	f := newFixture(t, 30)
	_, files := unpack(t, f.pack())
	for _, broken := range []string{"a field", "the form"} {
		lines := bytes.SplitAfter(bytes.Clone(files[nameRecords]), []byte("\n"))
		var l Line
		f.must(ParseLine(&l, lines[3]))
		if broken == "a field" {
			value := base64.StdEncoding.AppendEncode(nil, l.Fields[0].Value)
			lines[3][bytes.Index(lines[3], value)] ^= 2
		} else {
			lines[3][0] ^= 2
		}
		changed := maps.Clone(files)
		changed[nameRecords] = bytes.Join(slices.Delete(lines, 9, 11), nil)
		r := check(zipOf(inOrder(changed), changed), f.trust())
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return isCount(&f) }) {
			t.Errorf("%s: nothing says that events are missing: %v", broken, keysOf(r))
		}
	}
}
