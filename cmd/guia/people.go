package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/ledger"
	"guia/people"
	"guia/permit"
)

func (p *program) peopleCommand() *cobra.Command {
	var on string
	cmd := &cobra.Command{Use: "people [NAME]", Args: needs(0, 1)}
	cmd.Flags().StringVar(&on, "on", "", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := strings.Join(args, "")
		day := people.DayOf(time.Now())
		if on != "" {
			var err error
			if day, err = people.ParseDay(on); err != nil {
				return guia.RefuseCause(guia.Invalid, err, "cmd.time", on, "--on")
			}
		}
		if name == "" && on == "" {
			return guia.Refuse(guia.Invalid, "cmd.too_few", cmd.UseLine(), cmd.CommandPath())
		}
		return p.inside(func(ctx context.Context, s *session) error { return s.peopleOn(ctx, name, day, on != "") })(cmd, args)
	}
	return cmd
}

// personLine is one entry as `guia people --json` prints it.
type personLine struct {
	Person     string   `json:"person"`
	Source     string   `json:"source"`
	Key        string   `json:"key"`
	Name       string   `json:"name"`
	Department string   `json:"department,omitempty"`
	Address    string   `json:"address,omitempty"`
	Phone      string   `json:"phone,omitempty"`
	Title      string   `json:"title,omitempty"`
	From       string   `json:"from"`
	Until      string   `json:"until,omitempty"`
	Listed     bool     `json:"listed"`
	Seqs       []uint64 `json:"seqs"`
}

// peopleOn shows who was who. Looking somebody up is a search, and recorded as one.
func (s *session) peopleOn(ctx context.Context, name string, day people.Day, onDay bool) error {
	s.parts.using.RLock()
	defer s.parts.using.RUnlock()
	query := "people " + strconv.Quote(name)
	if onDay {
		query += " on=" + day.String()
	}
	err := s.do(ctx, permit.ActSearch, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("query", query)
		_, err := tx.Record(guia.SearchMade, f)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.searchable(ctx); err != nil {
		return err
	}
	var entries []people.Entry
	if onDay {
		entries, err = s.parts.people.On(ctx, day, name)
	} else {
		entries, err = s.parts.people.Find(ctx, name)
	}
	if err != nil {
		return err
	}
	limits, err := s.scopes(ctx, permit.ActSearch)
	if err != nil {
		return err
	}
	shown := 0
	var rows [][]string
	for i := range entries {
		e := &entries[i]
		allowed, err := s.mayKnow(ctx, limits, e)
		if err != nil {
			return err
		}
		if !allowed {
			continue
		}
		shown++
		if s.json {
			if err := s.emit(lineOf(e)); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{e.Name, e.Department, e.Title, e.Address, string(e.Source), e.From.String(), e.Until.String(), e.Person.String()})
	}
	if s.json {
		return nil
	}
	if shown == 0 {
		s.say("people.nobody")
		return nil
	}
	s.table([]string{
		s.text("col.name"), s.text("col.department"), s.text("col.title"), s.text("col.address"), s.text("col.source"), s.text("col.from"),
		s.text("col.until"), s.text("col.person"),
	}, rows)
	return nil
}

// mayKnow reports whether one of the events that tell of a person is within the limits.
func (s *session) mayKnow(ctx context.Context, limits scopes, e *people.Entry) (bool, error) {
	if permit.AllowsAll(limits.all) || permit.Allows(limits.all, permit.Place{Person: e.Person}) {
		return true, nil
	}
	for _, seq := range e.Seqs {
		event, err := s.Ledger.Event(ctx, seq)
		if err != nil {
			return false, err
		}
		if limits.allow(&event) {
			return true, nil
		}
	}
	return false, nil
}

func lineOf(e *people.Entry) personLine {
	line := personLine{
		Person: e.Person.String(), Source: string(e.Source), Key: e.Key, Name: e.Name, Department: e.Department, Address: e.Address,
		Phone: e.Phone, Title: e.Title, From: e.From.String(), Until: e.Until.String(), Listed: e.Listed, Seqs: []uint64{},
	}
	for _, seq := range e.Seqs {
		line.Seqs = append(line.Seqs, uint64(seq))
	}
	return line
}
