package verify

import (
	"cmp"
	"maps"
	"slices"

	"guia"
	"guia/canon"
)

// Tally counts lines for the cover. The builder and the verifier feed it with the same lines.
type Tally struct {
	lines     [2]int64 // records, custody
	disclosed int64
	redacted  int64
	erased    int64
	grades    map[string]int64
	sources   map[sourceKey]*SourceCount
	times     map[sourceKey]*[2]guia.Moment
	gaps      map[string]int64
	streams   map[guia.StreamID]*extent
	withheld  map[string]*Withheld
}

type sourceKey struct{ source, channel, grade string }

// extent is what was seen of one stream: positions ascend with the place in the ledger.
type extent struct {
	from, to, shown int64
	first, last     int64  // events
	holes           []Hole // the first few
	unsure          bool   // an event of it is not at its place in the tree: that is told of the event
}

// mostHoles is how many holes of one stream a report names; their number is always known.
const mostHoles = 16

// facts are what a tally needs of a line.
type facts struct {
	index                       int64
	header                      guia.Header
	grade, channel, time        string
	disclosed, redacted, erased int64
}

func (f *facts) take(l *Line, leaf *canon.Leaf) {
	*f = facts{index: l.Index, header: leaf.Header, grade: "?", channel: "?"}
	for i := range l.Fields {
		field := &l.Fields[i]
		switch field.Withheld {
		case Redacted:
			f.redacted++
			continue
		case Erased:
			f.erased++
			continue
		}
		f.disclosed++
		switch field.Name {
		case "grade":
			if isGrade(field.Value) {
				f.grade = string(field.Value)
			}
		case "channel":
			if isChannel(field.Value) {
				f.channel = string(field.Value)
			}
		case "time":
			f.time = string(field.Value)
		}
	}
}

func isGrade(value []byte) bool {
	switch guia.Grade(value) {
	case guia.GradeA, guia.GradeB, guia.GradeC, guia.GradeD:
		return true
	}
	return false
}

func isChannel(value []byte) bool {
	switch guia.Channel(value) {
	case guia.ChannelAPI, guia.ChannelPush, guia.ChannelExport, guia.ChannelFile, guia.ChannelStatement, guia.ChannelOwn:
		return true
	}
	return false
}

// Add counts a line of records.jsonl, or with custody one of custody.jsonl. Lines come in ascending order of index. It errs when
// the leaf does not parse.
func (t *Tally) Add(l *Line, custody bool) error {
	leaf, err := canon.ParseLeaf(l.Leaf)
	if err != nil {
		return err
	}
	var f facts
	f.take(l, &leaf)
	t.add(&f, custody)
	for i := range l.Fields {
		if field := &l.Fields[i]; field.Withheld != "" && !custody {
			t.withhold(field.Name, field.Withheld, 1)
		}
	}
	return nil
}

// add reports whether the position in the stream can be: within a stream, later events have higher positions.
func (t *Tally) add(f *facts, custody bool) bool {
	if t.grades == nil {
		t.grades, t.sources, t.gaps = map[string]int64{}, map[sourceKey]*SourceCount{}, map[string]int64{}
		t.times, t.streams = map[sourceKey]*[2]guia.Moment{}, map[guia.StreamID]*extent{}
	}
	if f.header.Type == guia.SourceGap {
		t.gaps[string(f.header.Source)]++
	}
	if custody {
		t.lines[1]++
		return true
	}
	t.lines[0]++
	t.disclosed += f.disclosed
	t.redacted += f.redacted
	t.erased += f.erased
	t.grades[f.grade]++
	key := sourceKey{string(f.header.Source), f.channel, f.grade}
	row := t.sources[key]
	if row == nil {
		row = &SourceCount{Source: key.source, Channel: key.channel, Grade: key.grade}
		t.sources[key] = row
	}
	row.Records++
	if m, err := guia.ParseMoment(f.time); err == nil {
		t.widen(key, row, m)
	}
	return t.place(f.header.Stream, int64(f.header.Count), f.index)
}

// widen makes first and last of a row include m. Of two moments at the same instant the less precise one comes first.
func (t *Tally) widen(key sourceKey, row *SourceCount, m guia.Moment) {
	compare := func(a, b guia.Moment) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Precision, b.Precision))
	}
	span := t.times[key]
	if span == nil {
		span = &[2]guia.Moment{m, m}
		t.times[key] = span
	}
	if compare(m, span[0]) < 0 {
		span[0] = m
	}
	if compare(m, span[1]) > 0 {
		span[1] = m
	}
	row.First, row.Last = span[0].String(), span[1].String()
}

func (t *Tally) place(stream guia.StreamID, position, event int64) bool {
	x := t.streams[stream]
	if x == nil {
		t.streams[stream] = &extent{from: position, to: position, shown: 1, first: event, last: event}
		return true
	}
	if position <= x.to {
		if event > x.last {
			return false
		}
		x.from = min(x.from, position) // the events are not in their order, which is told of them
		x.shown++
		return true
	}
	if position > x.to+1 && len(x.holes) < mostHoles {
		x.holes = append(x.holes, Hole{x.to + 1, position - 1, x.last, event})
	}
	x.to, x.last = position, event
	x.shown++
	return true
}

func (t *Tally) withhold(name string, reason Reason, n int64) {
	if t.withheld == nil {
		t.withheld = map[string]*Withheld{}
	}
	name = fieldClass(name)
	w := t.withheld[name]
	if w == nil {
		w = &Withheld{Field: name}
		t.withheld[name] = w
	}
	if reason == Erased {
		w.Erased += n
	} else {
		w.Redacted += n
	}
}

// fieldClass is a field name with "####" for its number, as the registry has it.
func fieldClass(name string) string {
	for i := 0; i+5 <= len(name); i++ {
		if name[i] != '.' || i+5 < len(name) && name[i+5] != '.' {
			continue
		}
		digits := true
		for _, c := range []byte(name[i+1 : i+5]) {
			digits = digits && c >= '0' && c <= '9'
		}
		if digits {
			return name[:i+1] + "####" + name[i+5:]
		}
	}
	return name
}

// Fill sets the counts and lists of a cover. Of in each stream becomes To: who knows the stream's whole length raises it.
func (t *Tally) Fill(c *Cover) {
	c.Records, c.Custody = t.lines[0], t.lines[1]
	c.Disclosed, c.Redacted, c.Erased = t.disclosed, t.redacted, t.erased
	c.Grades, c.Sources, c.Streams = nil, nil, nil
	for _, grade := range slices.Sorted(maps.Keys(t.grades)) {
		c.Grades = append(c.Grades, GradeCount{grade, t.grades[grade]})
	}
	for _, row := range t.sources {
		row := *row
		row.Gaps = t.gaps[row.Source]
		c.Sources = append(c.Sources, row)
	}
	slices.SortFunc(c.Sources, func(a, b SourceCount) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Grade, b.Grade))
	})
	for stream, x := range t.streams {
		c.Streams = append(c.Streams, StreamExtent{stream.String(), x.from, x.to, x.shown == x.to-x.from+1, x.to})
	}
	slices.SortFunc(c.Streams, func(a, b StreamExtent) int { return cmp.Compare(a.Stream, b.Stream) })
}
