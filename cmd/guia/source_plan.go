package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/intake"
	"guia/permit"
	"guia/source/dingtalk"
)

func (p *program) sourcePlanCommand() *cobra.Command {
	var edition string
	co := dingtalk.Company{}
	cmd := &cobra.Command{Use: "plan [NAME]", Args: needs(0, 1)}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&co.People, "people", 0, "")
	f.IntVar(&co.Departments, "departments", 0, "")
	f.IntVar(&co.Notices, "notices", 0, "")
	f.IntVar(&co.Sent, "sent", 0, "")
	f.IntVar(&co.Files, "files", 0, "")
	f.IntVar(&co.Meetings, "meetings", 0, "")
	f.StringVar(&edition, "edition", "", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if edition != "" {
			if _, err := parseEdition(edition); err != nil {
				return err
			}
		}
		if min(co.People, co.Departments, co.Notices, co.Sent, co.Files, co.Meetings) < 0 {
			return guia.Refuse(guia.Invalid, "source.negative")
		}
		if len(args) == 0 {
			return p.plan(co, edition, nil)
		}
		return p.looking(func(ctx context.Context, s *session) error {
			if err := s.may(ctx, permit.ActBrowse); err != nil {
				return err
			}
			c, err := s.Intake.Connection(ctx, args[0])
			if err != nil {
				return err
			}
			var set tenantSettings
			if err := json.Unmarshal(c.Settings, &set); err != nil {
				return err
			}
			return s.plan(co, keptOr(edition, set.Edition), c.Feeds)
		})(cmd, args)
	}
	return cmd
}

// usual fills in what was not told about a company with what is usual at one of its size.
func usual(told dingtalk.Company) dingtalk.Company {
	co := dingtalk.CompanyS
	switch {
	case told.People > 3_000:
		co = dingtalk.CompanyL
	case told.People > 60:
		co = dingtalk.CompanyM
	}
	people := keptOr(told.People, co.People)
	scale := func(told, usual int) int { return keptOr(told, (usual*people+co.People-1)/co.People) }
	return dingtalk.Company{
		People: people, Departments: scale(told.Departments, co.Departments), Roles: co.Roles, Notices: keptOr(told.Notices, co.Notices), Sent: keptOr(told.Sent, co.Sent),
		FileActions: scale(0, co.FileActions), Files: scale(told.Files, co.Files), Spaces: scale(0, co.Spaces), Meetings: scale(told.Meetings, co.Meetings),
	}
}

// costLine is the expected cost of one feed as --json prints it.
type costLine struct {
	Feed     string            `json:"feed"`
	On       bool              `json:"on"`
	First    int               `json:"first_calls"`
	Month    int               `json:"month_calls"`
	Exempt   int               `json:"exempt_calls"`
	Pushed   int               `json:"month_deliveries,omitempty"`
	Editions map[string]string `json:"editions"` // fits, push, short, none
	Points   []string          `json:"points"`
	Probe    bool              `json:"probe,omitempty"`
}

// plan prints what each feed is expected to cost.
func (p *program) plan(told dingtalk.Company, only string, on []intake.EnabledFeed) error {
	co := usual(told)
	var lines []costLine
	var editions []dingtalk.Edition
	for _, e := range []dingtalk.Edition{dingtalk.Standard, dingtalk.Professional, dingtalk.Exclusive} {
		if only != "" && e.String() != only {
			continue
		}
		editions = append(editions, e)
		for i, c := range dingtalk.Plan(co, e, dingtalk.QuotaOf(e)) {
			if len(editions) == 1 {
				isOn := slices.ContainsFunc(on, func(f intake.EnabledFeed) bool { return f.Name == c.Feed })
				lines = append(lines, costLine{c.Feed, isOn, c.First, c.Month, c.Exempt, c.Pushed, map[string]string{}, c.Points, c.Probe})
			}
			lines[i].Editions[e.String()] = fits(&c, e)
		}
	}
	if p.json {
		for _, line := range lines {
			if err := p.emit(line); err != nil {
				return err
			}
		}
		return nil
	}
	p.say("source.plan_for", p.number(int64(co.People)), co.Departments, co.Notices, co.Sent, p.number(int64(co.Files)), co.Meetings)
	p.print("\n")
	head := []string{p.text("col.feed"), p.text("col.first_calls"), p.text("col.month_calls"), p.text("col.exempt_calls"), p.text("col.pushed")}
	for _, e := range editions {
		head = append(head, e.String())
	}
	var rows [][]string
	for _, line := range lines {
		row := []string{line.Feed, p.number(int64(line.First)), p.number(int64(line.Month)), p.number(int64(line.Exempt)), p.number(int64(line.Pushed))}
		for _, e := range editions {
			row = append(row, p.text("source.fits."+line.Editions[e.String()]))
		}
		rows = append(rows, row)
	}
	p.table(head, rows)
	p.print("\n")
	for _, e := range editions {
		q := dingtalk.QuotaOf(e)
		p.say("source.plan_quota", e.String(), p.number(int64(q.Calls)), p.number(int64(q.Deliveries)), p.number(int64(q.Reserved())))
	}
	p.say("source.plan_note")
	return nil
}

func fits(c *dingtalk.Cost, e dingtalk.Edition) string {
	switch {
	case c.Least > e:
		return "none"
	case c.Fits:
		return "fits"
	case c.Push:
		return "push"
	}
	return "short"
}

// matrix prints what each job gets from each edition, and what is lost.
func (p *program) matrix() error {
	editions := []dingtalk.Edition{dingtalk.Standard, dingtalk.Professional, dingtalk.Exclusive}
	var rows [][]string
	var lost []string
	for _, line := range dingtalk.Matrix() {
		row := []string{line.Job}
		gives := map[string]string{}
		for _, e := range editions {
			row = append(row, p.text("source.gives."+line.Gives[e].String()))
			gives[e.String()] = line.Gives[e].String()
		}
		why := ""
		if line.Lost != "" {
			why = p.text(line.Lost)
			lost = append(lost, line.Job+": "+why)
		}
		if p.json {
			err := p.emit(struct {
				Job      string            `json:"job"`
				Editions map[string]string `json:"editions"`
				Lost     string            `json:"lost,omitempty"`
			}{line.Job, gives, why})
			if err != nil {
				return err
			}
		}
		rows = append(rows, row)
	}
	if !p.json {
		p.table([]string{p.text("col.job"), editions[0].String(), editions[1].String(), editions[2].String()}, rows)
		p.print("\n" + strings.Join(lost, "\n") + "\n")
	}
	return nil
}
