package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/lang"
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
			return guia.Refuse(guia.Invalid, "people.nobody_named")
		}
		return p.inside(func(ctx context.Context, s *session) error { return s.peopleOn(ctx, name, day, on != "") })(cmd, args)
	}
	return cmd
}

// personLine is one entry as `guia people --json` prints it.
type personLine struct {
	Person     string `json:"person"`
	Source     string `json:"source"`
	Key        string `json:"key"`
	Name       string `json:"name"`
	Department string `json:"department,omitempty"`
	Address    string `json:"address,omitempty"`
	Phone      string `json:"phone,omitempty"`
	Title      string `json:"title,omitempty"`
	From       string `json:"from"`            // empty: nobody knows since when
	Until      string `json:"until,omitempty"` // the first day on which it no longer held
	Last       string `json:"last,omitempty"`  // the day before, the last on which it held
	// No source told that day: on it we read that it was so, and it may have been so before.
	FromObserved  bool     `json:"from_observed,omitempty"`
	UntilObserved bool     `json:"until_observed,omitempty"`
	Listed        bool     `json:"listed"`
	Seqs          []uint64 `json:"seqs"`
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
	limits, err := s.scopes(ctx, permit.ActSearch)
	if err != nil {
		return err
	}
	var entries []people.Entry
	if onDay {
		if entries, err = s.parts.people.On(ctx, day, name); err == nil {
			entries, err = s.known(ctx, limits, entries)
		}
	} else {
		entries, err = s.findPeople(ctx, limits, name)
	}
	if err != nil {
		return err
	}
	var rows [][]string
	for i := range entries {
		e := &entries[i]
		if s.json {
			if err := s.emit(lineOf(e)); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{e.Name, e.Department, e.Title, e.Address, string(e.Source), s.day(e.From, e.FromObserved), s.day(e.Until.Before(), e.UntilObserved), e.Person.String()})
		if e.From == 0 {
			rows[len(rows)-1][5] = s.text("people.from_unknown")
		}
	}
	if s.json {
		return nil
	}
	if len(entries) == 0 {
		s.say("people.nobody")
		return nil
	}
	s.table([]string{
		s.text("col.name"), s.text("col.department"), s.text("col.title"), s.text("col.address"), s.text("col.source"), s.text("col.from"),
		s.text("col.last_day"), s.text("col.person"),
	}, rows)
	return nil
}

// day is how people read the first or last day of an entry.
func (s *session) day(day people.Day, observed bool) string {
	if observed {
		return s.text("people.or_before", day.String())
	}
	return day.String()
}

// findPeople is the newest entry of everyone who was ever called so, as far as the user may know that they were.
func (s *session) findPeople(ctx context.Context, limits scopes, name string) ([]people.Entry, error) {
	found, err := s.parts.people.Find(ctx, name)
	if err != nil || permit.AllowsAll(limits.all) {
		return found, err
	}
	var allowed []people.Entry
	for i := range found {
		// A name that the user may not know must not find anybody, nor show beside one that they may.
		history, err := s.parts.people.History(ctx, found[i].Person)
		if err != nil {
			return nil, err
		}
		history = slices.DeleteFunc(history, func(e people.Entry) bool { return !called(&e, name) })
		if history, err = s.known(ctx, limits, history); err != nil {
			return nil, err
		}
		if len(history) > 0 {
			allowed = append(allowed, history[len(history)-1])
		}
	}
	return allowed, nil
}

// called reports whether an entry itself is what [people.People.Find] looks for.
func called(e *people.Entry, name string) bool {
	name = strings.TrimSpace(name)
	folded := lang.Fold(name)
	return e.Key == name || strings.Contains(lang.Fold(e.Name), folded) || strings.Contains(lang.Fold(e.Address), folded)
}

// known are the entries of which every event that says so is within the limits.
func (s *session) known(ctx context.Context, limits scopes, entries []people.Entry) ([]people.Entry, error) {
	if permit.AllowsAll(limits.all) {
		return entries, nil
	}
	var known []people.Entry
	for i := range entries {
		e := &entries[i]
		allowed := permit.Allows(limits.all, permit.Place{Person: e.Person})
		if !allowed {
			var err error
			if allowed, err = limits.allowAll(ctx, e.Seqs); err != nil {
				return nil, err
			}
		}
		if allowed {
			known = append(known, *e)
		}
	}
	return known, nil
}

func lineOf(e *people.Entry) personLine {
	line := personLine{
		Person: e.Person.String(), Source: string(e.Source), Key: e.Key, Name: e.Name, Department: e.Department, Address: e.Address,
		Phone: e.Phone, Title: e.Title, From: e.From.String(), Until: e.Until.String(), Last: e.Until.Before().String(), FromObserved: e.FromObserved, UntilObserved: e.UntilObserved, Listed: e.Listed, Seqs: []uint64{},
	}
	for _, seq := range e.Seqs {
		line.Seqs = append(line.Seqs, uint64(seq))
	}
	return line
}
