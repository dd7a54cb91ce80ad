package main

import (
	"context"
	"slices"
	"time"

	"guia"
	"guia/intake"
	"guia/permit"
	"guia/source/dingtalk"
)

// horizon is how far a plan of serve looks ahead.
const horizon = 24 * time.Hour

// plannedLine is what is to be done for one feed, as `guia serve --plan --json` prints it.
type plannedLine struct {
	Source string `json:"source"`
	Feed   string `json:"feed"`
	Push   string `json:"push,omitempty"` // how it is received, of what is only pushed
	Due    string `json:"due,omitempty"`  // of the first round
	Rounds int    `json:"rounds"`
	Calls  int    `json:"calls"` // expected
	Fits   bool   `json:"fits"`  // what is left for this feed, and those before it, covers them
}

// servePlan prints what serve would do in the next 24 hours and what that is expected to cost. It calls nothing.
func (s *session) servePlan(ctx context.Context) error {
	if err := s.may(ctx, permit.ActBrowse); err != nil {
		return err
	}
	all, err := s.Intake.Connections(ctx)
	if err != nil {
		return err
	}
	co := usual(dingtalk.Company{People: s.staff(ctx)})
	for i := range all {
		if err := s.planOf(ctx, &all[i], co, time.Now()); err != nil {
			return err
		}
	}
	if len(all) == 0 && !s.json {
		s.say("source.none")
	}
	return nil
}

// staff is how many people the ledger knows; 0 when that cannot be told here.
func (s *session) staff(ctx context.Context) int {
	if s.Viewed || s.caughtUp(ctx, func(guia.Seq, guia.Seq) {}) != nil {
		return 0
	}
	n, err := s.parts.people.Counts(ctx)
	if err != nil {
		return 0
	}
	return int(n.Persons)
}

func (s *session) planOf(ctx context.Context, c *intake.Connection, co dingtalk.Company, now time.Time) error {
	set, _, err := s.tenant(ctx, c)
	if err != nil {
		return err
	}
	at, err := s.at(ctx, c, &set)
	if err != nil {
		return err
	}
	status, err := s.statusOf(ctx, c)
	if err != nil {
		return err
	}
	edition, err := parseEdition(set.Edition)
	if err != nil {
		return err
	}
	costs := dingtalk.Plan(co, edition, at.budget.Quota())
	var lines []plannedLine
	calls := 0
	for _, name := range inOrder(allFeeds()) {
		i := slices.IndexFunc(status.Feeds, func(f feedStatus) bool { return f.Feed == name })
		switch {
		case i >= 0:
			cost := costs[slices.IndexFunc(costs, func(k dingtalk.Cost) bool { return k.Feed == name })]
			line := planned(&status.Feeds[i], &cost, now)
			calls += line.Calls
			line.Source, line.Fits = c.Name, line.Calls == 0 || calls <= at.budget.Left(dingtalk.Job(name))
			lines = append(lines, line)
		case slices.ContainsFunc(c.Feeds, func(f intake.EnabledFeed) bool { return f.Name == name }):
			lines = append(lines, plannedLine{Source: c.Name, Feed: name, Push: pushOf(&set, c), Fits: status.Deliveries < status.DeliverOf})
		}
	}
	return s.tellPlanned(c, &status, lines, calls)
}

// planned is what is to be done for a feed that is pulled.
func planned(f *feedStatus, cost *dingtalk.Cost, now time.Time) plannedLine {
	line := plannedLine{Feed: f.Feed, Due: now.UTC().Format(time.RFC3339)}
	due := now
	if next, err := time.Parse(time.RFC3339, f.Next); err == nil && !f.Open && next.After(now) {
		line.Due, due = f.Next, next
	}
	every := dingtalk.Every(f.Feed)
	if left := now.Add(horizon).Sub(due); left >= 0 {
		line.Rounds = 1 + int(left/every)
	}
	month := int((30*24*time.Hour + every - 1) / every)
	line.Calls = (cost.Month*line.Rounds + month - 1) / month
	if f.Until == "" && line.Rounds > 0 { // it was never read whole
		line.Calls = cost.First + (cost.Month*(line.Rounds-1)+month-1)/month
	}
	return line
}

func (s *session) tellPlanned(c *intake.Connection, status *statusLine, lines []plannedLine, calls int) error {
	var rows [][]string
	for _, line := range lines {
		if s.json {
			if err := s.emit(line); err != nil {
				return err
			}
		}
		due, state := when(line.Due), s.text("source.fits.fits")
		if line.Push != "" {
			due = s.text("serve.push." + line.Push)
		}
		if !line.Fits {
			state = s.text("serve.defers")
		}
		rows = append(rows, []string{line.Feed, due, s.number(int64(line.Rounds)), s.number(int64(line.Calls)), state})
	}
	if s.json {
		return nil
	}
	s.print(s.bold(plain(c.Name)) + "  " + status.Edition + "\n")
	if len(rows) == 0 {
		s.say("source.all_off", c.Name)
		return nil
	}
	s.table([]string{s.text("col.feed"), s.text("col.next"), s.text("col.rounds"), s.text("source.calls"), s.text("col.state")}, rows)
	s.print("\n")
	s.say("serve.plan", s.number(int64(calls)), s.number(int64(max(0, status.CallsOf-status.Calls))), s.number(int64(max(0, status.DeliverOf-status.Deliveries))))
	return nil
}
