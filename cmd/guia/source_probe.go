package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"guia/permit"
	"guia/source/dingtalk"
)

func (p *program) sourceProbeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "probe [NAME]", Args: needs(0, 1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.inside(func(ctx context.Context, s *session) error { return s.probe(ctx, strings.Join(args, "")) })(cmd, args)
	}
	return cmd
}

// probe calls what each feed begins with, and says what is granted. Its calls are counted like all others.
func (s *session) probe(ctx context.Context, name string) error {
	if err := s.may(ctx, permit.ActSources); err != nil {
		return err
	}
	c, err := s.only(ctx, name)
	if err != nil {
		return err
	}
	return s.calling(ctx, &c, func(client *dingtalk.Client) error { return s.probeFeeds(ctx, client) })
}

func (s *session) probeFeeds(ctx context.Context, client *dingtalk.Client) error {
	var rows [][]string
	var refused []string
	for _, feed := range dingtalk.Feeds() {
		granted, err := client.Probe(ctx, feed)
		if err != nil {
			return err
		}
		for _, g := range granted {
			state, why := "granted", ""
			if g.Err != nil {
				said, _ := s.describe(ctx, g.Err)
				state, why = "refused", said.Message
				if f, ok := errors.AsType[*dingtalk.Fault](g.Err); ok {
					state = f.Kind.String()
				}
				if !slices.Contains(refused, why) {
					refused = append(refused, why)
				}
			}
			if s.json {
				err := s.emit(struct {
					Feed   string   `json:"feed"`
					API    string   `json:"api"`
					Points []string `json:"points"`
					Exempt bool     `json:"exempt"`
					State  string   `json:"state"`
					Why    string   `json:"why,omitempty"`
				}{feed, g.API, g.Points, g.Exempt, state, why})
				if err != nil {
					return err
				}
			}
			rows = append(rows, []string{feed, s.text("source.probe." + keyState(state)), strings.Join(g.Points, ", "), g.API})
		}
	}
	if s.json {
		return nil
	}
	s.table([]string{s.text("col.feed"), s.text("col.state"), s.text("col.points"), s.text("col.call")}, rows)
	if len(refused) > 0 {
		s.print("\n" + strings.Join(refused, "\n") + "\n")
	}
	if used, quota, err := client.CountUsage(ctx); err == nil {
		s.print("\n")
		s.say("source.counted", s.number(int64(used)), s.number(int64(quota)))
	}
	return nil
}

// keyState is the state of a probe for which there is a word.
func keyState(state string) string {
	switch state {
	case "granted", "permission", "edition", "scope", "acting-user":
		return strings.ReplaceAll(state, "-", "_")
	}
	return "refused"
}
