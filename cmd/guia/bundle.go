package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"guia"
	"guia/evidence"
)

func (p *program) bundleCommand() *cobra.Command {
	var out, since string
	var redact, exhibits []string
	var preview bool
	cmd := &cobra.Command{Use: "bundle CASE", Args: needs(1, 1)}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&out, "output", "o", "", "")
	f.StringArrayVar(&redact, "redact", nil, "")
	f.BoolVar(&preview, "preview", false, "")
	f.StringArrayVar(&exhibits, "exhibit", nil, "")
	f.StringVar(&since, "since", "", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		redaction, err := evidence.ParseRedaction(redact)
		if err != nil {
			return err
		}
		req := evidence.BundleRequest{Out: p.abs(out), Redact: redaction, Language: p.language}
		if req.Exhibits, err = parseSeqs(exhibits); err != nil {
			return err
		}
		if out == "" && !preview {
			return guia.Refuse(guia.Invalid, "bundle.no_output", args[0])
		}
		if since != "" {
			if req.Since, err = readSmall(p.abs(since)); err != nil {
				return err
			}
		}
		v, _ := programVersion()
		req.Program = "guia " + v
		return p.inside(func(ctx context.Context, s *session) error { return s.bundle(ctx, args[0], req, preview) })(cmd, args)
	}
	return cmd
}

func (s *session) bundle(ctx context.Context, name string, req evidence.BundleRequest, preview bool) (err error) {
	if req.Case, err = evidence.FindCase(ctx, s.Ledger, s.actor, name); err != nil {
		return err
	}
	if req.Redact.Persons() {
		s.parts.using.RLock()
		defer s.parts.using.RUnlock()
		if err := s.searchable(ctx); err != nil {
			return err
		}
		req.People = s.parts.people
	}
	if preview {
		plan, err := evidence.Plan(ctx, s.Ledger, s.actor, req)
		if err != nil {
			return err
		}
		return s.tellPlan(plan)
	}
	g := s.begin("bundle.progress", false)
	defer g.end()
	result, err := evidence.Build(ctx, s.Ledger, s.actor, req, func(done, of int) { g.at(int64(done), int64(of), "") })
	if err != nil {
		return err
	}
	g.end()
	if s.json {
		return s.emit(struct {
			Bundle    string `json:"bundle"`
			Digest    string `json:"digest"`
			Records   int64  `json:"records"`
			Custody   int64  `json:"custody"`
			Files     int64  `json:"files"`
			Disclosed int64  `json:"disclosed"`
			Redacted  int64  `json:"redacted"`
			Erased    int64  `json:"erased"`
			Size      int64  `json:"size"`
			Key       string `json:"vkey"`
			Seq       uint64 `json:"seq"`
		}{
			result.Path, result.File.String(), result.Cover.Records, result.Cover.Custody, result.Cover.Files,
			result.Cover.Disclosed, result.Cover.Redacted, result.Cover.Erased, result.Cover.Size, result.Key, uint64(result.Ended),
		})
	}
	s.say("bundle.done", result.Path)
	s.pairs(
		"  "+s.text("bundle.records"), strconv.FormatInt(result.Cover.Records, 10),
		"  "+s.text("bundle.custody"), strconv.FormatInt(result.Cover.Custody, 10),
		"  "+s.text("bundle.files"), strconv.FormatInt(result.Cover.Files, 10),
		"  "+s.text("bundle.withheld"), fmt.Sprintf("%d + %d", result.Cover.Redacted, result.Cover.Erased),
		"  "+s.text("bundle.digest"), result.File.String(),
		"  "+s.text("bundle.key"), result.Key,
	)
	s.print("\n")
	s.say("bundle.next", result.Path)
	return nil
}

func (s *session) tellPlan(plan evidence.Preview) error {
	if s.json {
		type rule struct {
			Rule    string `json:"rule"`
			Records int    `json:"records"`
			Fields  int    `json:"fields"`
		}
		rules := []rule{}
		for _, r := range plan.Rules {
			rules = append(rules, rule{r.Rule, r.Records, r.Fields})
		}
		return s.emit(struct {
			Records   int    `json:"records"`
			Fields    int    `json:"fields"`
			Redacted  int    `json:"redacted"`
			Automatic int    `json:"automatic"`
			Erased    int    `json:"erased"`
			Rules     []rule `json:"rules"`
		}{plan.Records, plan.Fields, plan.Redacted, plan.Automatic, plan.Erased, rules})
	}
	s.say("bundle.plan", plan.Records, plan.Fields-plan.Redacted-plan.Erased, plan.Redacted, plan.Automatic, plan.Erased)
	var rows [][]string
	for _, r := range plan.Rules {
		rows = append(rows, []string{r.Rule, strconv.Itoa(r.Records), strconv.Itoa(r.Fields)})
	}
	if len(rows) > 0 {
		s.table([]string{s.text("col.rule"), s.text("col.events"), s.text("show.fields")}, rows)
	}
	return nil
}
