package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/ledger"
	"guia/permit"
)

func (p *program) sourceCoverageCommand() *cobra.Command {
	return &cobra.Command{Use: "coverage", Args: needs(0, 0), RunE: p.inside(func(ctx context.Context, s *session) error { return s.coverage(ctx) })}
}

// span is a conversation or feed of one source, told in one way: what is known of it, by the facts of the ledger alone.
type span struct {
	Source  string   `json:"source"`
	Name    string   `json:"name"`
	Kind    string   `json:"kind,omitempty"`
	Stream  string   `json:"stream"`
	Channel string   `json:"channel"`
	Grade   string   `json:"grade"`
	Records int64    `json:"records"`
	From    string   `json:"from,omitempty"`  // the first and the last moment that a record tells
	Until   string   `json:"until,omitempty"` //
	Rounds  []period `json:"rounds"`          // of which times whole rounds of a connected source tell
	Gaps    []gapIn  `json:"gaps"`

	imports map[string]bool
}

type period struct {
	From  string `json:"from"`
	Until string `json:"until"`
}

// gapIn is a part that could not be read, and why.
type gapIn struct {
	Seq   uint64 `json:"seq"`
	Part  string `json:"part"`
	Why   string `json:"why"`
	Since string `json:"since"` // when it was noticed
}

// cover adds up the ledger; it is a follower that keeps nothing.
type cover struct {
	limits scopes
	next   guia.Seq
	spans  map[string]*span
	order  []*span
	told   map[string]period // by import
}

func (c *cover) Name() string                             { return "coverage" }
func (c *cover) Cursor(context.Context) (guia.Seq, error) { return c.next, nil }

func (c *cover) Apply(_ context.Context, events []guia.Event, next guia.Seq) error {
	for i := range events {
		c.see(&events[i])
	}
	c.next = next
	return nil
}

func (c *cover) see(e *guia.Event) {
	f := e.Fields
	if e.Source == guia.Own {
		if e.Type == guia.ImportFinished && f.Get("period.from") != "" {
			c.told[f.Get("import")] = period{f.Get("period.from"), f.Get("period.until")}
		}
		return
	}
	if !permit.AllowsAll(c.limits.all) && !c.limits.allow(e) {
		return
	}
	key := strings.Join([]string{string(e.Source), e.Stream.String(), f.Get("channel"), f.Get("grade")}, " ")
	s := c.spans[key]
	if s == nil {
		s = &span{
			Source: string(e.Source), Stream: e.Stream.String(), Channel: f.Get("channel"), Grade: f.Get("grade"), Rounds: []period{}, Gaps: []gapIn{},
			imports: map[string]bool{},
		}
		c.spans[key] = s
		c.order = append(c.order, s)
	}
	s.Name, s.Kind = cmp.Or(f.Get("conversation.name"), s.Name, f.Get("conversation.key")), cmp.Or(f.Get("conversation.kind"), s.Kind)
	s.imports[f.Get("import")] = true
	if e.Type == guia.SourceGap {
		s.Gaps = append(s.Gaps, gapIn{uint64(e.Seq), f.Get("source_key"), cmp.Or(strings.ReplaceAll(e.Text(), "\n", ", "), f.Get("reason"), f.Get("subject")), e.Captured.UTC().Format("2006-01-02T15:04:05Z")})
		return
	}
	s.Records++
	if at := f.Get("time"); at != "" {
		if s.From == "" || at < s.From {
			s.From = at
		}
		s.Until = max(s.Until, at)
	}
}

// coverage says for each conversation and feed which kind of source fed it, of which grade, from when to when, and what is missing. It names
// conversations: that somebody looked is recorded as a search.
func (s *session) coverage(ctx context.Context) error {
	err := s.do(ctx, permit.ActSearch, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("query", "coverage")
		_, err := tx.Record(guia.SearchMade, f)
		return err
	})
	if err != nil {
		return err
	}
	limits, err := s.scopes(ctx, permit.ActSearch)
	if err != nil {
		return err
	}
	c := &cover{limits: limits, spans: map[string]*span{}, told: map[string]period{}}
	g := s.begin("source.counting", false)
	err = s.Ledger.CatchUp(ctx, func(done, of guia.Seq) { g.at(int64(done), int64(of), "") }, c)
	g.end()
	if err != nil {
		return err
	}
	slices.SortFunc(c.order, func(a, b *span) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Grade, b.Grade), cmp.Compare(a.Stream, b.Stream))
	})
	var rows [][]string
	for _, one := range c.order {
		for imported := range one.imports {
			if p, ok := c.told[imported]; ok {
				one.Rounds = append(one.Rounds, p)
			}
		}
		one.Rounds = together(one.Rounds)
		if s.json {
			if err := s.emit(one); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			one.Name, one.Source, s.text("source.channel." + one.Channel), one.Grade, s.number(one.Records), when(one.From), when(one.Until), s.number(int64(len(one.Gaps))),
		})
	}
	if !s.json {
		s.tellCoverage(c.order, rows)
	}
	return nil
}

// together joins times that touch.
func together(all []period) []period {
	slices.SortFunc(all, func(a, b period) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Until, b.Until)) })
	joined := []period{}
	for _, p := range all {
		if n := len(joined); n > 0 && p.From <= joined[n-1].Until {
			joined[n-1].Until = max(joined[n-1].Until, p.Until)
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

func (s *session) tellCoverage(all []*span, rows [][]string) {
	if len(rows) == 0 {
		s.say("source.nothing_covered")
		return
	}
	s.table([]string{
		s.text("col.conversation"), s.text("col.source"), s.text("col.channel"), s.text("col.grade"), s.text("col.records"), s.text("col.first"), s.text("col.last"), s.text("col.gaps"),
	}, rows)
	for _, one := range all {
		if len(one.Gaps)+len(one.Rounds) == 0 {
			continue
		}
		s.print("\n" + s.bold(plain(one.Name)) + "\n")
		for _, p := range one.Rounds {
			s.say("source.covered", when(p.From), when(p.Until))
		}
		for _, g := range one.Gaps {
			s.say("source.gap", plain(g.Part), plain(g.Why), when(g.Since), g.Seq)
		}
	}
	s.print("\n")
	s.say("source.coverage_note")
}
