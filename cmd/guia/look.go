package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"guia"
	"guia/source"
	"guia/source/mapped"
)

// guess prints a mapping for a person to read, correct and use. What is read without one is refused.
func (p *program) guess(path, kind string) error {
	if kind == "auto" {
		kind = recognise(path)
	}
	switch kind {
	case "slack":
		return guia.Refuse(guia.Invalid, "import.slack_unmapped", path)
	case "mbox":
		return guia.Refuse(guia.Invalid, "import.mbox_unmapped", path)
	default:
	}
	proposal, err := mapped.Guess(path)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := proposal.Mapping.Write(&b); err != nil {
		return err
	}
	if p.json {
		return p.emit(struct {
			Mapping  string     `json:"mapping"` // YAML
			Unplaced []string   `json:"unplaced"`
			Times    [][]string `json:"times"` // one of these lists belongs under times
			LeftOut  []string   `json:"left_out"`
		}{b.String(), orEmpty(proposal.Unplaced), orEmpty(proposal.Times), orEmpty(proposal.LeftOut)})
	}
	p.print(b.String())
	if len(proposal.Unplaced) > 0 {
		p.note("import.unplaced", strings.Join(proposal.Unplaced, ", "))
	}
	if len(proposal.Times) > 0 {
		lines := make([]string, len(proposal.Times))
		for i, formats := range proposal.Times {
			list, err := json.Marshal(formats)
			if err != nil {
				return err
			}
			lines[i] = "  times: " + string(list)
		}
		p.note("import.times", strings.Join(lines, "\n"))
	}
	if left := proposal.LeftOut; len(left) > 0 {
		p.note("import.left_out", firstNames(left), filepath.Join(path, left[0]))
	}
	p.note("import.guessed", path)
	return nil
}

// mostNamed is how many files are named in one sentence.
const mostNamed = 10

// firstNames names the first files.
func firstNames(names []string) string {
	named := strings.Join(names[:min(len(names), mostNamed)], ", ")
	if len(names) > mostNamed {
		named += ", …"
	}
	return named
}

// orEmpty makes a JSON list of no list.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// looked is what a dry run found.
type looked struct {
	Source  string           `json:"source"`
	Types   map[string]int64 `json:"types"`
	Marks   map[string]int64 `json:"marks"`
	Records int64            `json:"records"`
	First   string           `json:"first,omitempty"`
	Last    string           `json:"last,omitempty"`
	Repeats int64            `json:"in_several_files,omitempty"`
	LeftOut []string         `json:"left_out,omitempty"`
	Sample  []sampled        `json:"sample"`

	entries []sampled // of people and conversations, shown where nothing else is
}

type sampled struct {
	told
	Sender       string `json:"sender,omitempty"`
	Conversation string `json:"conversation,omitempty"`
	Type         string `json:"type"`
	Text         string `json:"text,omitempty"`
	Origin       string `json:"origin"`
}

// sampleSize is how many records a dry run shows.
const sampleSize = 8

// dryRun reads the whole input as an import would, and stores nothing. It needs no data directory.
func (p *program) dryRun(ctx context.Context, path string, o importOptions) error {
	in, err := o.open(path)
	if err != nil {
		return err
	}
	defer in.Close() // only read
	l := looked{Source: string(in.Name()), Types: map[string]int64{}, Marks: map[string]int64{}, Sample: []sampled{}}
	g := p.begin("import.looking", true)
	defer g.end()
	var cursor source.Cursor
	for done := false; !done; {
		page, err := in.Pull(ctx, cursor)
		if err != nil {
			return err
		}
		for i := range page.Records {
			l.add(&page.Records[i])
		}
		cursor, done = page.Next, page.Done
		g.at(page.Read, page.Total, "")
	}
	g.end()
	l.Repeats, l.LeftOut = in.remarks()
	if len(l.Sample) == 0 {
		l.Sample = append(l.Sample, l.entries...)
	}
	if p.json {
		l.First, l.Last = instant(l.First), instant(l.Last)
		for i := range l.Sample {
			l.Sample[i].told = l.Sample[i].exact()
		}
		return p.emit(l)
	}
	if l.Records == 0 {
		p.say("import.empty", path)
		return nil
	}
	p.say("import.dry", p.number(l.Records), l.Source)
	p.counts(l.Types)
	if len(l.Marks) > 0 {
		p.say("import.dry_marks")
		p.counts(l.Marks)
	}
	if l.First != "" {
		p.say("import.dry_period", when(l.First), when(l.Last))
	}
	p.print("\n")
	var rows [][]string
	for _, s := range l.Sample {
		rows = append(rows, []string{when(s.Time), s.Sender, s.Conversation, s.Type, s.Text})
	}
	p.table([]string{p.text("col.time"), p.text("col.sender"), p.text("col.conversation"), p.text("col.type"), p.text("col.text")}, rows)
	p.print("\n")
	p.remark(path, l.Repeats, l.LeftOut)
	if l.Types[string(guia.SourceGap)] == l.Records {
		p.say("import.only_gaps")
	} else {
		p.say("import.dry_next")
	}
	return nil
}

func (l *looked) add(r *source.Record) {
	l.Records++
	l.Types[string(r.Type)]++
	for _, m := range r.Marks {
		l.Marks[m]++
	}
	s := sampled{Sender: r.Sender.Name, Conversation: r.StreamName, Type: string(r.Type), Text: r.Text, Origin: r.Origin}
	switch {
	case r.Type == guia.SourceGap:
		s.Text = r.Origin + ": " + r.Extra.Get("reason")
	case r.Type == guia.PersonSeen || r.Type == guia.PersonLeft:
		s.Text = r.Sender.Department
	case s.Text == "":
		s.Text = r.Subject
	}
	if r.HasTime {
		s.Time = r.Time.String()
		if l.First == "" || s.Time < l.First {
			l.First = s.Time
		}
		l.Last = max(l.Last, s.Time)
	}
	into := &l.Sample
	if r.Type == guia.PersonSeen || r.Type == guia.PersonLeft || r.Type == guia.ChannelSeen {
		into = &l.entries
	}
	if len(*into) < sampleSize {
		*into = append(*into, s)
	}
}

// counts prints how many of each, most first.
func (p *program) counts(of map[string]int64) {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if of[a] != of[b] {
			return int(of[b] - of[a])
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, "  "+name, p.number(of[name]))
	}
	p.pairs(pairs...)
}
