package verify

import (
	"cmp"
	"maps"
	"slices"

	"guia/proof"
)

// What is in the wrong place, or not there, is named: the event, and which other one it was taken for.

// stray is an event whose proof fails.
type stray struct {
	file        string
	line, index int64
	leaf        proof.Hash
	proof       []proof.Hash
}

// mostStrays is how many are compared with each other.
const mostStrays = 64

// nameStrays says of events whose proofs fail what of them belongs to another such event.
func (v *verification) nameStrays() {
	fits := func(leaf, number, path *stray) bool {
		return proof.CheckInclusion(v.checkpoint.Root, v.checkpoint.Size, number.index, leaf.leaf, path.proof) == nil
	}
	for _, s := range v.strays {
		for _, other := range v.strays {
			var key string
			switch {
			case fits(s, other, other):
				key = "verify.line.leafof"
			case fits(s, other, s):
				key = "verify.line.numberof"
			case fits(s, s, other):
				key = "verify.line.proofof"
			default:
				continue
			}
			for i := range v.faults {
				if f := &v.faults[i]; f.Key == "verify.line.proof" && f.File == s.file && f.Line == s.line {
					f.Sentence = Sentence{key, []any{other.index}}
				}
			}
			break
		}
	}
}

// missing names the positions that the cover says are shown and that are not. It reports whether there are any.
func (v *verification) missing(said []StreamExtent, found []Stream) (some bool) {
	byName := make(map[string]*Stream, len(found))
	for i := range found {
		byName[found[i].Stream] = &found[i]
	}
	lack := func(stream string, from, to int64, where Sentence) {
		some = true
		v.find(stageStreams, Finding{File: nameRecords, Sentence: Sentence{"verify.stream.missing", []any{cut(stream), from, to, where}}})
	}
	for _, s := range said {
		f := byName[s.Stream]
		if f == nil {
			lack(s.Stream, s.From, s.To, Sentence{"verify.stream.all", nil})
			continue
		}
		if s.From < f.From {
			lack(s.Stream, s.From, f.From-1, Sentence{"verify.stream.before", []any{f.first}})
		}
		for _, hole := range f.Holes {
			if s.Complete {
				lack(s.Stream, hole.From, hole.To, Sentence{"verify.stream.between", []any{hole.After, hole.Before}})
			}
		}
		if s.To > f.To {
			lack(s.Stream, f.To+1, s.To, Sentence{"verify.stream.after", []any{f.last}})
		}
	}
	return some
}

// rows are the numbers and times of a list on the cover, by name.
type rows map[string]any

func gradeRows(grades []GradeCount) rows {
	r := rows{}
	for _, g := range grades {
		r[cut(g.Grade)] = g.Records
	}
	return r
}

func sourceRows(sources []SourceCount) rows {
	r := rows{}
	for _, s := range sources {
		name := cut(s.Source) + ", " + cut(s.Channel) + ", " + cut(s.Grade) + ", "
		r[name+"records"], r[name+"first"], r[name+"last"], r[name+"gaps"] = s.Records, cut(s.First), cut(s.Last), s.Gaps
	}
	return r
}

func cut(s string) string { return s[:min(len(s), 40)] }

// compareRows names what differs between what the cover says and what was found, and reports whether anything does.
func (v *verification) compareRows(field string, said, found rows) (differ bool) {
	names := maps.Clone(said)
	maps.Copy(names, found)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if said[name] != found[name] {
			differ = true
			shown := func(r rows) any { return cmp.Or(r[name], any("–")) }
			v.find(stageCover, Finding{File: nameCover, Part: field, Sentence: Sentence{"verify.cover.row", []any{name, shown(said), shown(found)}}})
		}
	}
	return differ
}
