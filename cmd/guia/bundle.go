package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
		return s.tellPlan(plan, s.namesStay(req))
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

			Unsearched []attachmentLine `json:"unsearched"`
			NamesStay  string           `json:"names_stay,omitempty"`
		}{
			result.Path, result.File.String(), result.Cover.Records, result.Cover.Custody, result.Cover.Files,
			result.Cover.Disclosed, result.Cover.Redacted, result.Cover.Erased, result.Cover.Size, result.Key, uint64(result.Ended),
			attachmentLines(result.Preview.Unsearched), s.namesStay(req),
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
	s.unsearchedTable(result.Preview.Unsearched)
	s.warnOfNames(s.namesStay(req))
	s.print("\n")
	s.say("bundle.next", result.Path)
	return nil
}

// namesStay warns, where persons are withheld, of the names that no rule about a person finds; empty otherwise.
func (s *session) namesStay(req evidence.BundleRequest) string {
	if !req.Redact.Persons() {
		return ""
	}
	return s.text("bundle.names_stay")
}

func (s *session) warnOfNames(warning string) {
	if warning != "" && !s.quiet {
		s.print("\n" + warning + "\n")
	}
}

// tellPlan shows what would be withheld: in numbers, how the persons are known, and each field with its reason.
func (s *session) tellPlan(plan evidence.Preview, namesStay string) error {
	if s.json {
		return s.emit(planLine(plan, namesStay))
	}
	s.say("bundle.plan", plan.Records, plan.Fields-plan.Redacted-plan.Erased, plan.Redacted, plan.Automatic, plan.Erased)
	var rows [][]string
	for _, r := range plan.Rules {
		rows = append(rows, []string{r.Rule, strconv.Itoa(r.Records), strconv.Itoa(r.Fields)})
	}
	if len(rows) > 0 {
		s.print("\n")
		s.table([]string{s.text("col.rule"), s.text("col.events"), s.text("show.fields")}, rows)
	}
	for _, k := range plan.Known {
		s.print("\n")
		s.say("bundle.known", k.Rule, plain(strings.Join(k.As, " · ")))
	}
	s.warnOfNames(namesStay)
	s.unsearchedTable(plan.Unsearched)
	custody := slices.IndexFunc(plan.Withheld, func(w evidence.Withholding) bool { return w.Custody })
	if custody < 0 {
		custody = len(plan.Withheld)
	}
	s.withheldTable("bundle.plan_events", plan.Withheld[:custody])
	s.withheldTable("bundle.plan_custody", plan.Withheld[custody:])
	return nil
}

// unsearchedTable names the attachments that are disclosed and were not searched for what the rules withhold.
func (s *session) unsearchedTable(all []evidence.Attachment) {
	if len(all) == 0 {
		return
	}
	var rows [][]string
	for _, a := range all {
		rows = append(rows, []string{strconv.FormatUint(uint64(a.Seq), 10), a.Field, plain(a.Name)})
	}
	s.print("\n")
	s.say("bundle.unsearched", len(all))
	s.table([]string{s.text("col.seq"), s.text("col.field"), s.text("col.name")}, rows)
}

// attachmentLine is an attachment as --json prints it.
type attachmentLine struct {
	Seq   uint64 `json:"seq"`
	Field string `json:"field"`
	Name  string `json:"name,omitempty"`
}

func attachmentLines(all []evidence.Attachment) []attachmentLine {
	lines := []attachmentLine{}
	for _, a := range all {
		lines = append(lines, attachmentLine{uint64(a.Seq), a.Field, a.Name})
	}
	return lines
}

// withheldTable shows each field, those that are numbered in a row as one.
func (s *session) withheldTable(title string, all []evidence.Withholding) {
	var rows [][]string
	for i := 0; i < len(all); {
		first, last := all[i], all[i]
		for i++; i < len(all) && follows(last, all[i]); i++ {
			last = all[i]
		}
		field := first.Field
		if last.Field != field {
			field += "–" + last.Field[strings.LastIndexByte(last.Field, '.')+1:]
		}
		rows = append(rows, []string{strconv.FormatUint(uint64(first.Seq), 10), field, s.text("evidence.why."+string(first.Why), first.Rule)})
	}
	if len(rows) > 0 {
		s.print("\n")
		s.say(title)
		s.table([]string{s.text("col.seq"), s.text("col.field"), s.text("col.why")}, rows)
	}
}

// follows reports whether b is withheld for the same reason as a, and is the field with the next number: text.0004 after text.0003.
func follows(a, b evidence.Withholding) bool {
	name, number, _ := strings.Cut(a.Field, ".")
	n, err := strconv.Atoi(number)
	return err == nil && b.Field == fmt.Sprintf("%s.%04d", name, n+1) && a.Seq == b.Seq && a.Why == b.Why && a.Rule == b.Rule
}

// planLine is a preview as --json prints it.
func planLine(plan evidence.Preview, namesStay string) any {
	type rule struct {
		Rule    string `json:"rule"`
		Records int    `json:"records"`
		Fields  int    `json:"fields"`
	}
	type known struct {
		Rule string   `json:"rule"`
		As   []string `json:"as"`
	}
	type withheld struct {
		Seq     uint64 `json:"seq"`
		Custody bool   `json:"custody"`
		Field   string `json:"field"`
		Why     string `json:"why"`
		Rule    string `json:"rule,omitempty"`
	}
	line := struct {
		Records   int        `json:"records"`
		Fields    int        `json:"fields"`
		Redacted  int        `json:"redacted"`
		Automatic int        `json:"automatic"`
		Erased    int        `json:"erased"`
		Rules     []rule     `json:"rules"`
		Known     []known    `json:"known"`
		Withheld  []withheld `json:"withheld"`

		Unsearched []attachmentLine `json:"unsearched"`
		NamesStay  string           `json:"names_stay,omitempty"`
	}{plan.Records, plan.Fields, plan.Redacted, plan.Automatic, plan.Erased, []rule{}, []known{}, []withheld{}, attachmentLines(plan.Unsearched), namesStay}
	for _, r := range plan.Rules {
		line.Rules = append(line.Rules, rule(r))
	}
	for _, k := range plan.Known {
		line.Known = append(line.Known, known(k))
	}
	for _, w := range plan.Withheld {
		line.Withheld = append(line.Withheld, withheld{uint64(w.Seq), w.Custody, w.Field, string(w.Why), w.Rule})
	}
	return line
}
