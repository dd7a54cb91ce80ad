package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/canon"
	"guia/evidence"
	"guia/ledger"
	"guia/permit"
)

func (p *program) caseCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "case", Args: cobra.ArbitraryArgs, RunE: p.group}
	open := &cobra.Command{Use: "new NAME", Args: needs(1, 1)}
	open.RunE = func(cmd *cobra.Command, args []string) error {
		return p.inside(func(ctx context.Context, s *session) error { return s.openCase(ctx, args[0]) })(cmd, args)
	}
	list := &cobra.Command{Use: "list", Args: needs(0, 0), RunE: p.inside(func(ctx context.Context, s *session) error { return s.listCases(ctx) })}
	show := &cobra.Command{Use: "show CASE", Args: needs(1, 1)}
	show.RunE = func(cmd *cobra.Command, args []string) error {
		return p.inside(func(ctx context.Context, s *session) error { return s.showCase(ctx, args[0]) })(cmd, args)
	}
	cmd.AddCommand(open, p.caseAddCommand(), list, show)
	return cmd
}

func (p *program) caseAddCommand() *cobra.Command {
	q := question{order: "newest"}
	cmd := &cobra.Command{Use: "add CASE [SEQ|SEQ-SEQ…]", Args: needs(1, -1)}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&q.text, "query", "", "")
	q.filters(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		seqs, err := parseSeqs(args[1:])
		if err != nil {
			return err
		}
		if len(seqs) == 0 && q.String() == "" {
			return guia.Refuse(guia.Invalid, "case.nothing_named", args[0])
		}
		if _, err := q.times(); err != nil {
			return err
		}
		return p.inside(func(ctx context.Context, s *session) error { return s.addToCase(ctx, args[0], seqs, q) })(cmd, args)
	}
	return cmd
}

// mostSeqs is how many events one command can name.
const mostSeqs = 1_000_000

// parseSeqs reads numbers and ranges of events: "12", "40-45", also separated by commas.
func parseSeqs(words []string) ([]guia.Seq, error) {
	var seqs []guia.Seq
	for _, word := range strings.FieldsFunc(strings.Join(words, " "), func(r rune) bool { return r == ' ' || r == ',' }) {
		first, last, ranged := strings.Cut(word, "-")
		from, err := parseSeq(first)
		if err != nil {
			return nil, err
		}
		to := from
		if ranged {
			if to, err = parseSeq(last); err != nil {
				return nil, err
			}
		}
		if to < from || uint64(to-from) >= uint64(mostSeqs-len(seqs)) {
			return nil, guia.Refuse(guia.Invalid, "cmd.seq", word)
		}
		for seq := from; seq <= to; seq++ {
			seqs = append(seqs, seq)
		}
	}
	return seqs, nil
}

// caseLine is a case as --json prints it.
type caseLine struct {
	Number int    `json:"number"`
	ID     string `json:"id"`
	Name   string `json:"name"`
	Opened string `json:"opened"`
	By     string `json:"by"`
	Events int    `json:"events"`
	Seq    uint64 `json:"seq"`
}

func (s *session) caseLine(c evidence.Case, logins map[string]string) caseLine {
	by := logins[c.By.String()]
	return caseLine{c.Number, c.ID.String(), c.Name, c.At.UTC().Format("2006-01-02T15:04:05Z"), by, c.Items, uint64(c.Opened)}
}

func (s *session) openCase(ctx context.Context, name string) error {
	c, err := evidence.OpenCase(ctx, s.Ledger, s.actor, name)
	if err != nil {
		return err
	}
	logins, err := s.logins(ctx)
	if err != nil {
		return err
	}
	if s.json {
		return s.emit(s.caseLine(c, logins))
	}
	s.say("case.opened", c.Number, c.Name)
	s.say("case.next", c.Number)
	return nil
}

func (s *session) listCases(ctx context.Context) error {
	cases, err := evidence.Cases(ctx, s.Ledger, s.actor)
	if err != nil {
		return err
	}
	logins, err := s.logins(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, c := range cases {
		line := s.caseLine(c, logins)
		if s.json {
			if err := s.emit(line); err != nil {
				return err
			}
		}
		rows = append(rows, []string{strconv.Itoa(line.Number), when(line.Opened), line.By, strconv.Itoa(line.Events), line.Name})
	}
	switch {
	case s.json:
	case len(rows) == 0:
		s.say("case.none")
	default:
		s.table([]string{s.text("col.seq"), s.text("col.opened"), s.text("col.who"), s.text("col.events"), s.text("col.name")}, rows)
	}
	return nil
}

// addToCase puts events into a case. What a search adds, the search itself is an event before.
func (s *session) addToCase(ctx context.Context, name string, seqs []guia.Seq, q question) error {
	c, err := evidence.FindCase(ctx, s.Ledger, s.actor, name)
	if err != nil {
		return err
	}
	copies := 0
	if q.String() != "" {
		q.forCase = &c
		var found []guia.Seq
		found, copies, err = s.findAll(ctx, q)
		if err != nil {
			return err
		}
		seqs = append(seqs, found...)
		if len(seqs) == 0 {
			return guia.Refuse(guia.NotFound, "case.nothing_found", q.String())
		}
	}
	added, err := evidence.Add(ctx, s.Ledger, s.actor, c, seqs)
	if err != nil {
		return err
	}
	slices.Sort(seqs)
	named := len(slices.Compact(seqs))
	if s.json {
		return s.emit(struct {
			Case   int `json:"case"`
			Added  int `json:"added"`
			Named  int `json:"named"`
			Copies int `json:"copies"`
		}{c.Number, added, named, copies})
	}
	s.say("case.added", s.number(int64(added)), c.Number, s.number(int64(named-added)))
	if copies > 0 {
		s.say("case.copies", s.number(int64(copies)))
	}
	s.say("case.bundle", c.Number)
	return nil
}

// findAll is everything that a search finds, page by page, and how many more records there are of the messages; the search is
// recorded once.
func (s *session) findAll(ctx context.Context, q question) (seqs []guia.Seq, copies int, err error) {
	s.parts.using.RLock()
	defer s.parts.using.RUnlock()
	q.limit = 1000
	hits, err := s.find(ctx, permit.ActSearch, q)
	for {
		if err != nil {
			return nil, 0, err
		}
		for _, hit := range hits.Hits {
			seqs = append(seqs, guia.Seq(hit.Seq))
			copies += hit.Copies
		}
		if hits.Next == "" || len(seqs) >= mostSeqs {
			return seqs, copies, nil
		}
		q.after = hits.Next
		hits, err = s.ask(ctx, permit.ActSearch, q)
	}
}

// showCase lists the events of a case, and records that they were opened.
func (s *session) showCase(ctx context.Context, name string) error {
	c, err := evidence.FindCase(ctx, s.Ledger, s.actor, name)
	if err != nil {
		return err
	}
	seqs, err := evidence.Items(ctx, s.Ledger, s.actor, c)
	if err != nil {
		return err
	}
	if len(seqs) == 0 {
		if s.json {
			return nil
		}
		s.say("case.empty", c.Number)
		return nil
	}
	err = s.do(ctx, permit.ActOpen, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("seqs", canon.FormatSeqs(seqs))
		_, err := tx.Record(guia.RecordOpened, f)
		return err
	})
	if err != nil {
		return err
	}
	logins, err := s.logins(ctx)
	if err != nil {
		return err
	}
	limits, err := s.scopes(ctx, permit.ActOpen)
	if err != nil {
		return err
	}
	lines := make([]logLine, 0, len(seqs))
	for _, seq := range seqs {
		e, err := s.Ledger.Entry(ctx, seq)
		if err != nil {
			return err
		}
		line, err := s.line(ctx, e, logins)
		if err != nil {
			return err
		}
		event, err := s.Ledger.Event(ctx, seq)
		if err != nil {
			return err
		}
		if err := s.tell(ctx, &line, &event, limits); err != nil {
			return err
		}
		if s.json {
			line.told = line.exact()
			if err := s.emit(line); err != nil {
				return err
			}
		}
		lines = append(lines, line)
	}
	if !s.json {
		s.logTable(lines, logOptions{content: true})
	}
	return nil
}
