package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"guia/ledger"
	"guia/permit"
)

func (p *program) indexCommand() *cobra.Command {
	index := &cobra.Command{Use: "index", Args: cobra.ArbitraryArgs, RunE: p.group}
	rebuild := &cobra.Command{Use: "rebuild", Args: needs(0, 0)}
	rebuild.RunE = func(cmd *cobra.Command, args []string) error {
		p.stopped = "index.interrupted"
		return p.inside(func(ctx context.Context, s *session) error { return s.rebuild(ctx) })(cmd, args)
	}
	index.AddCommand(rebuild)
	return index
}

// rebuild makes the followers anew. Nothing of the ledger changes; a crash leaves followers that go on where they were.
func (s *session) rebuild(ctx context.Context) error {
	start := time.Now()
	if err := s.do(ctx, permit.ActDoctor, func(*ledger.Tx) error { return nil }); err != nil {
		return err
	}
	if err := s.throwAway(); err != nil {
		return err
	}
	if err := s.searchable(ctx); err != nil {
		return err
	}
	stats := s.parts.index.Stats()
	people, err := s.parts.people.Counts(ctx)
	if err != nil {
		return err
	}
	if s.json {
		return s.emit(struct {
			Documents int     `json:"documents"`
			People    int64   `json:"people"`
			Events    uint64  `json:"events"`
			Seconds   float64 `json:"seconds"`
		}{stats.Docs, people.Persons, uint64(s.Ledger.Size()), time.Since(start).Seconds()})
	}
	s.say("index.rebuild_done", s.number(int64(stats.Docs)), s.number(people.Persons))
	return nil
}
