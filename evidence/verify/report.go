package verify

import (
	"cmp"
	"maps"
	"slices"

	"guia"
)

// Verdict is the answer in one word.
type Verdict string

// The verdicts.
const (
	Proven     Verdict = "proven"         // everything agrees, and a key of the caller vouches for it
	Unproven   Verdict = "unproven-trust" // everything agrees, but no key of the caller vouches for it: anybody could have made it
	Damaged    Verdict = "damaged"        // something differs; the findings say what
	Unreadable Verdict = "unreadable"     // the machine could not read the file: nothing can be said
	NoBundle   Verdict = "no-bundle"      // nothing in the file is of a bundle: nothing is proven by it
)

func (v Verdict) key() string {
	switch v {
	case Proven:
		return "verify.verdict.proven"
	case Unproven:
		return "verify.verdict.unproven"
	case Unreadable:
		return "verify.verdict.unreadable"
	case NoBundle:
		return "verify.verdict.nobundle"
	default:
		return "verify.verdict.damaged"
	}
}

// Sentence is a sentence of package lang: its key and what fills its places. An argument may be a Sentence.
type Sentence struct {
	Key  string `json:"key"`
	Args []any  `json:"args,omitempty"`
}

// In returns the sentence as text finds it.
func (s Sentence) In(text func(key string, args ...any) string) string {
	args := make([]any, len(s.Args))
	for i, arg := range s.Args {
		if inner, ok := arg.(Sentence); ok {
			args[i] = inner.In(text)
		} else {
			args[i] = arg
		}
	}
	return text(s.Key, args...)
}

// stage is the number of a step in "What is checked" of docs/format/bundle.md.
type stage uint8

const (
	stageContainer stage = iota + 1
	stageTrust
	stageLines
	stageFiles
	stageProofs
	stageStreams
	stageCover
	stages
)

// Finding is one thing that differs from what it must be.
type Finding struct {
	File  string `json:"file,omitempty"`
	Line  int64  `json:"line,omitempty"`  // in a file of lines, from 1
	Event *int64 `json:"event,omitempty"` // index of the event
	Field string `json:"field,omitempty"` // a registered field
	Part  string `json:"part,omitempty"`  // what in the event or file, where it is no registered field: proof, an entry of the cover
	Sentence

	Follows    []Finding `json:"follows,omitempty"`     // what differs only because of this
	MoreFollow int       `json:"more_follow,omitempty"` // found, but not listed

	stage stage
	about string // another file that the sentence names
}

// in returns the finding with the name of what it is about, as the field that it is or as a part.
func (f Finding) in(name string) Finding {
	if _, registered := guia.SlotOf(name); registered {
		f.Field = name
	} else {
		f.Part = name
	}
	return f
}

// Whole is the finding as a sentence that begins with where it is.
func (f Finding) Whole() Sentence {
	if n := len(f.Follows) + f.MoreFollow; n > 0 {
		f.Follows, f.MoreFollow = nil, 0
		return Sentence{"verify.follows", []any{f.Whole(), n}}
	}
	switch {
	case f.Event != nil && f.Field != "":
		return Sentence{"verify.at.field", []any{*f.Event, f.Field, f.File, f.Line, f.Sentence}}
	case f.Event != nil && f.Part != "":
		return Sentence{"verify.at.part", []any{*f.Event, f.Part, f.File, f.Line, f.Sentence}}
	case f.Event != nil:
		return Sentence{"verify.at.event", []any{*f.Event, f.File, f.Line, f.Sentence}}
	case f.Line > 0:
		return Sentence{"verify.at.line", []any{f.File, f.Line, f.Sentence}}
	case f.Part != "":
		return Sentence{"verify.at.entry", []any{f.File, f.Part, f.Sentence}}
	case f.File != "":
		return Sentence{"verify.at.file", []any{f.File, f.Sentence}}
	}
	return f.Sentence
}

// Withheld is how many fields of one name, in records.jsonl, were not disclosed. "####" stands for any number.
type Withheld struct {
	Field    string `json:"field"`
	Redacted int64  `json:"redacted"`
	Erased   int64  `json:"erased"`
}

// Hole is a run of positions of a stream that the bundle does not show, between two events of the stream that it shows.
type Hole struct {
	From   int64 `json:"from"`
	To     int64 `json:"to"`
	After  int64 `json:"after"`
	Before int64 `json:"before"`
}

// Stream is what records.jsonl shows of one stream.
type Stream struct {
	StreamExtent
	Shown int64  `json:"shown"`
	Holes []Hole `json:"holes,omitempty"` // the first 16

	first, last int64 // events
}

// Report is what [Verify] found. Text that stands in it came from the bundle: only the numbers under a verdict Proven are proven,
// and of the cover only what Counts repeats.
type Report struct {
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings"`
	More     int       `json:"more_findings,omitempty"` // found, but not listed

	Origin    string `json:"origin"`
	Size      int64  `json:"size"`
	Root      string `json:"root"`
	Key       string `json:"key"`               // that signed, according to the bundle
	Trusted   string `json:"trusted,omitempty"` // key of the caller that leads to it
	Other     string `json:"other,omitempty"`   // key of the caller with the log's name that nothing in the bundle leads to
	Rotations int    `json:"rotations"`         // changes of key from Trusted to Key; all that the bundle has when there is no Trusted
	Retired   bool   `json:"retired,omitempty"` // the caller said of that key that it was replaced, and signed nothing larger than Until
	Until     int64  `json:"until,omitempty"`

	Cover        *Cover     `json:"cover,omitempty"` // what the maker says
	Counts       Cover      `json:"counts"`          // what was counted
	Files        int64      `json:"files"`
	FilesMissing int64      `json:"files_missing"` // attachments whose bytes never were there, as their event says
	Exhibits     int        `json:"exhibits"`      // tlog-proofs
	Older        []int64    `json:"older,omitempty"`
	Withheld     []Withheld `json:"withheld,omitempty"`
	Streams      []Stream   `json:"streams,omitempty"`
	Unchecked    []string   `json:"unchecked,omitempty"` // time-stamps and signatures, which this release does not check

	Repacked bool `json:"repacked,omitempty"` // under a verdict Damaged: only the container differs, every file in it agrees

	Looks string `json:"looks,omitempty"` // under a verdict NoBundle: zip, text, other

	// Cause is the error of the machine under a verdict Unreadable.
	Cause error `json:"-"`
}

// finish sorts the findings by the order of the checks and gives the verdict.
func (v *verification) finish() Report {
	r := &v.report
	slices.SortStableFunc(v.faults, func(a, b Finding) int { return cmp.Compare(a.stage, b.stage) })
	total := 0
	for _, n := range v.count {
		total += n
	}
	kept := v.faults[:min(len(v.faults), v.limits.Findings)]
	r.Findings, r.More = fold(kept, total-len(kept), v.placed, v.cut)
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	switch {
	case total > 0:
		r.Verdict = Damaged
		r.Repacked = v.repacked && total == 1 && v.machine == nil
	case r.Looks != "":
		r.Verdict = NoBundle
	case v.machine != nil:
		r.Verdict = Unreadable
	case r.Trusted == "":
		r.Verdict = Unproven
	default:
		r.Verdict = Proven
	}
	if v.machine != nil {
		r.Cause = v.machine
	}
	return *r
}

// Paragraph is a heading and the sentences under it.
type Paragraph struct {
	Heading Sentence   `json:"heading"`
	Lines   []Sentence `json:"lines"`
}

// mostLines is how many streams, sources and findings a text lists; the JSON form has all.
const mostLines = 50

// Words returns the report as sentences: the verdict, what differs, what was proven, what was withheld, and what the bundle
// cannot prove.
func (r Report) Words() []Paragraph {
	verdict := Paragraph{Heading: Sentence{r.Verdict.key(), nil}}
	switch {
	case r.Verdict == Unreadable:
		return []Paragraph{verdict}
	case r.Verdict == NoBundle:
		verdict.Lines = append(verdict.Lines, Sentence{looksKey(r.Looks), nil}, Sentence{"verify.nobundle.ask", nil})
		return []Paragraph{verdict}
	case r.Repacked:
		verdict.Lines = append(verdict.Lines, Sentence{"verify.repacked", nil})
	case r.Verdict == Unproven && r.Retired:
		verdict.Lines = append(verdict.Lines, Sentence{"verify.key.retired", []any{r.Other, r.Until, r.Size}})
	case r.Verdict == Unproven && r.Other != "":
		verdict.Lines = append(verdict.Lines, Sentence{"verify.key.other", []any{r.Other, r.Key}})
	case r.Verdict == Unproven:
		verdict.Lines = append(verdict.Lines, Sentence{"verify.trust.none", []any{r.Key}})
	}
	paragraphs := []Paragraph{verdict}
	if len(r.Findings) > 0 {
		p := Paragraph{Heading: Sentence{"verify.findings", []any{len(r.Findings) + r.More}}}
		for _, f := range r.Findings[:min(len(r.Findings), mostLines)] {
			p.Lines = append(p.Lines, f.Whole())
		}
		if more := len(r.Findings) - len(p.Lines) + r.More; more > 0 {
			p.Lines = append(p.Lines, Sentence{"verify.more", []any{more}})
		}
		return append(paragraphs, p) // a damaged bundle proves nothing as a whole: no sentence may suggest otherwise
	}
	return append(paragraphs, r.proven(), r.provenance(), r.streams(), r.withheld(), r.cannot())
}

func looksKey(looks string) string {
	switch looks {
	case looksLikeZip:
		return "verify.nobundle.zip"
	case looksLikeText:
		return "verify.nobundle.text"
	}
	return "verify.nobundle.other"
}

func (r Report) proven() Paragraph {
	p := Paragraph{Heading: Sentence{"verify.proven", nil}}
	say := func(key string, args ...any) { p.Lines = append(p.Lines, Sentence{key, args}) }
	say("verify.proven.log", r.Origin, r.Size, r.Root)
	switch {
	case r.Trusted == "":
		say("verify.proven.key.none")
	case r.Retired:
		say("verify.proven.key.retired", r.Trusted, r.Until)
	case r.Rotations > 0:
		say("verify.proven.key.rotated", r.Trusted, r.Rotations)
	default:
		say("verify.proven.key", r.Trusted)
	}
	say("verify.proven.records", r.Counts.Records, r.Counts.Custody)
	say("verify.proven.fields", r.Counts.Disclosed)
	if r.Files > 0 {
		say("verify.proven.files", r.Files)
	}
	if r.FilesMissing > 0 {
		say("verify.files.missing", r.FilesMissing)
	}
	if r.Exhibits > 0 {
		say("verify.proven.exhibits", r.Exhibits)
	}
	for _, size := range r.Older[:min(len(r.Older), mostLines)] {
		say("verify.proven.older", size)
	}
	return p
}

func (r Report) provenance() Paragraph {
	p := Paragraph{Heading: Sentence{"verify.provenance", nil}}
	say := func(key string, args ...any) { p.Lines = append(p.Lines, Sentence{key, args}) }
	hidden := int64(0)
	for _, w := range r.Withheld {
		if w.Field == "grade" {
			hidden = w.Redacted + w.Erased
		}
	}
	for _, g := range r.Counts.Grades {
		if never := g.Records - hidden; g.Grade == "?" && never > 0 {
			say("verify.grade.none", never)
			g.Records = hidden
		}
		if g.Records > 0 {
			say(gradeKey(g.Grade), g.Records)
		}
	}
	for i, s := range r.Counts.Sources {
		if i == mostLines {
			say("verify.more", len(r.Counts.Sources)-i)
			break
		}
		if s.Grade == "?" && hidden == 0 {
			say("verify.source.ungraded", s.Source, Sentence{channelKey(s.Channel), nil}, s.Records)
		} else {
			say("verify.source", s.Source, Sentence{channelKey(s.Channel), nil}, s.Grade, s.Records)
		}
		if s.First != "" {
			say("verify.source.span", s.First, s.Last)
		}
		if s.Gaps > 0 {
			say("verify.source.gaps", s.Gaps)
		}
	}
	return p
}

func gradeKey(grade string) string {
	switch guia.Grade(grade) {
	case guia.GradeA:
		return "verify.grade.a"
	case guia.GradeB:
		return "verify.grade.b"
	case guia.GradeC:
		return "verify.grade.c"
	case guia.GradeD:
		return "verify.grade.d"
	}
	return "verify.grade.unknown"
}

func channelKey(channel string) string {
	switch guia.Channel(channel) {
	case guia.ChannelAPI:
		return "verify.channel.api"
	case guia.ChannelPush:
		return "verify.channel.push"
	case guia.ChannelExport:
		return "verify.channel.export"
	case guia.ChannelFile:
		return "verify.channel.file"
	case guia.ChannelStatement:
		return "verify.channel.statement"
	case guia.ChannelOwn:
		return "verify.channel.own"
	}
	return "verify.channel.unknown"
}

func (r Report) streams() Paragraph {
	p := Paragraph{Heading: Sentence{"verify.streams", []any{len(r.Streams)}}}
	for i, s := range r.Streams {
		if i == mostLines {
			p.Lines = append(p.Lines, Sentence{"verify.more", []any{len(r.Streams) - i}})
			break
		}
		key, missing := "verify.stream.complete", s.To-s.From+1-s.Shown
		if missing > 0 {
			key = "verify.stream.holes"
		}
		p.Lines = append(p.Lines, Sentence{key, []any{s.Stream, s.From, s.To, s.Shown, missing}})
		for _, hole := range s.Holes {
			p.Lines = append(p.Lines, Sentence{"verify.stream.hole", []any{hole.From, hole.To}})
		}
	}
	return p
}

func (r Report) withheld() Paragraph {
	p := Paragraph{Heading: Sentence{"verify.withheld", []any{r.Counts.Redacted, r.Counts.Erased}}}
	for _, w := range r.Withheld {
		p.Lines = append(p.Lines, Sentence{"verify.withheld.field", []any{w.Field, w.Redacted, w.Erased}})
	}
	if len(p.Lines) == 0 {
		p.Lines = append(p.Lines, Sentence{"verify.withheld.none", nil})
	}
	return p
}

func (r Report) cannot() Paragraph {
	p := Paragraph{Heading: Sentence{"verify.cannot", nil}}
	for _, key := range []string{
		"verify.cannot.truth", "verify.cannot.time", "verify.cannot.period", "verify.cannot.all",
		"verify.cannot.reason", "verify.cannot.view", "verify.cannot.cover", "verify.cannot.key",
	} {
		p.Lines = append(p.Lines, Sentence{key, nil})
	}
	for _, name := range r.Unchecked {
		p.Lines = append(p.Lines, Sentence{"verify.cannot.unchecked", []any{name}})
	}
	return p
}

func streamID(s string) guia.StreamID {
	id, err := guia.ParseID16(s)
	if err != nil {
		panic("verify: a stream named itself wrongly") // it was written by StreamID.String
	}
	return id
}

func sortedWithheld(m map[string]*Withheld) []string {
	return slices.SortedFunc(maps.Keys(m), cmp.Compare[string])
}
