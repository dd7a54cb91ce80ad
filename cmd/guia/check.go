package main

import (
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/directory"
	"guia/ledger"
	"guia/permit"
)

func (p *program) checkCommand() *cobra.Command {
	var quick bool
	cmd := &cobra.Command{Use: "check", Args: needs(0, 0)}
	cmd.Flags().BoolVar(&quick, "quick", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p.checks = true
		return p.looking(func(ctx context.Context, s *session) error { return s.check(ctx, quick) })(cmd, args)
	}
	return cmd
}

// checkFinding is one finding as `guia check --json` prints it.
type checkFinding struct {
	Seq     *uint64 `json:"seq,omitempty"`
	Last    uint64  `json:"last,omitempty"` // of several events in a row
	Field   string  `json:"field,omitempty"`
	Key     string  `json:"key"`
	Message string  `json:"message"`

	Unmatched      int   `json:"checkpoints,omitempty"` // that do not match because of it
	FirstUnmatched int64 `json:"first_checkpoint,omitempty"`

	Unsure *checkUnsure `json:"unsure,omitempty"`
}

// checkUnsure are the events of which nobody can tell which are what they were.
type checkUnsure struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// finding is a finding in the user's words.
func (s *session) finding(f ledger.Finding) checkFinding {
	found := checkFinding{Field: f.Field, Key: f.Key, Message: s.text(f.Key, f.Args...), Unmatched: f.Unmatched, FirstUnmatched: f.FirstUnmatched}
	if f.HasSeq {
		seq := uint64(f.Seq)
		found.Seq = &seq
	}
	if f.Last > f.Seq {
		found.Last = uint64(f.Last)
		found.Message += " " + s.text("check.through", found.Last, int64(f.Last-f.Seq)+1)
	}
	if f.Unmatched > 0 && f.Key != "check.checkpoint_differs" {
		found.Message += " " + s.text("check.unmatched", f.FirstUnmatched, f.Unmatched)
	}
	if f.UnsureEnd > 0 {
		found.Unsure = &checkUnsure{uint64(f.Unsure), uint64(f.UnsureEnd) - 1}
		found.Message += " " + s.text("check.unsure", found.Unsure.First, found.Unsure.Last)
	}
	return found
}

// check looks at everything that is stored. Findings are printed as results; they do not stop the check. Where the tables of users are
// damaged it asks nobody who he is: it shows no content, and says that they are.
func (s *session) check(ctx context.Context, quick bool) error {
	err := s.may(ctx, permit.ActCheck)
	if err != nil && (guia.KindOf(err) != guia.Denied || s.accountsAreOurs(ctx) == nil) {
		return err
	}
	start := time.Now()
	g := s.begin("check.progress", false)
	defer g.end()
	recorded := "" // digest of the newest escrow copy, as far as contents are looked at
	options := ledger.CheckOptions{Quick: quick, Progress: func(done, of guia.Seq) { g.at(int64(done), int64(of), "") }}
	options.See = func(e *guia.Event) error {
		if e.Type == guia.EscrowWritten && e.Source == guia.Own {
			recorded = e.Fields.Get("digest")
		}
		return nil
	}
	look := s.Check
	if quick { // without SQLite's own look at every page
		look = s.Ledger.Check
	}
	report, err := look(ctx, options)
	if err != nil {
		return err
	}
	findings := make([]checkFinding, 0, len(report.Findings)+1)
	if s.closed != nil {
		why, code := s.describe(ctx, s.closed)
		s.note("view.only", why)
		if code == codeDamaged && len(report.Findings) == 0 { // else it is said below, more exactly
			findings = append(findings, checkFinding{Key: why.Key, Message: why.Message})
		}
	}
	for _, f := range report.Findings {
		findings = append(findings, s.finding(f))
	}
	lag, escrow := s.lag(ctx), s.escrowState(recorded)
	g.end()
	if s.json {
		err = s.emit(struct {
			Entries     int64          `json:"entries"`
			Tiles       int64          `json:"tiles"`
			Checkpoints int64          `json:"checkpoints"`
			Rows        int64          `json:"rows"`
			Blobs       int64          `json:"blobs"`
			Forgotten   int64          `json:"erased_slots"`
			Quick       bool           `json:"quick"`
			Unchecked   []string       `json:"unchecked"` // what was not looked at
			Escrow      string         `json:"escrow,omitempty"`
			Viewed      bool           `json:"read_only"` // the directory could not be opened, and nothing was recorded
			Lag         []followerLag  `json:"followers"`
			Findings    []checkFinding `json:"findings"`
			Seconds     float64        `json:"seconds"`
		}{report.Entries, report.Tiles, report.Checkpoints, report.Rows, report.Blobs, report.Forgotten, quick, unchecked(quick), escrow, s.Viewed, lag, findings, time.Since(start).Seconds()})
	} else {
		s.tellCheck(report, findings, lag, quick, escrow, time.Since(start))
	}
	if err == nil && len(findings) > 0 {
		err = exit(codeDamaged)
	}
	return err
}

// unchecked names what a check does not look at.
func unchecked(quick bool) []string {
	if quick {
		return []string{"contents", "attachments", "recognition", "keys", "structure", "followers", "backups"}
	}
	return []string{"followers", "backups"}
}

// escrowState is what can be said of the escrow copy of the epoch key in force: missing, present, or with the digest that was recorded for it
// recorded or differs. Whether it opens only its recipients can say. It is empty where there are no keys.
func (s *session) escrowState(recorded string) string {
	if s.Keys == nil {
		return ""
	}
	switch copied, err := os.ReadFile(s.EscrowPath(s.Keys.Epoch())); {
	case err != nil:
		return "missing"
	case recorded == "":
		return "present"
	case directory.EscrowDigest(copied) != recorded:
		return "differs"
	}
	return "recorded"
}

func (s *session) tellCheck(r ledger.CheckReport, findings []checkFinding, lag []followerLag, quick bool, escrow string, took time.Duration) {
	for _, f := range findings {
		line := f.Message
		if f.Seq != nil || f.Field != "" {
			where := f.Field
			if f.Seq != nil {
				number := "#" + strconv.FormatUint(*f.Seq, 10)
				if f.Last > 0 {
					number += "-" + strconv.FormatUint(f.Last, 10)
				}
				where = number + " " + where
			}
			line = where + "  " + line
		}
		s.print(line + "\n")
	}
	contents := func(n int64) string {
		if quick {
			return s.text("check.not_looked")
		}
		return s.number(n)
	}
	if escrow != "" {
		escrow = s.text("check.escrow_"+escrow, s.Keys.Epoch())
	}
	s.pairs(
		"  "+s.text("check.entries"), s.number(r.Entries),
		"  "+s.text("check.tiles"), s.number(r.Tiles),
		"  "+s.text("check.checkpoints"), s.number(r.Checkpoints),
		"  "+s.text("check.rows"), contents(r.Rows),
		"  "+s.text("check.blobs"), contents(r.Blobs),
		"  "+s.text("check.erased"), contents(r.Forgotten),
		"  "+s.text("check.escrow"), escrow,
	)
	for _, l := range lag {
		if l.Behind > 0 {
			s.say("check.behind", l.Name, s.number(int64(l.Behind)))
		}
	}
	if len(findings) > 0 {
		s.print(s.text("check.damaged", len(findings)) + "\n")
		return
	}
	clean, left := "check.clean", "check.left"
	if quick {
		clean, left = "check.clean_quick", "check.left_quick"
	}
	s.print(s.text(clean, took.Round(time.Millisecond*100).String()) + "\n") // the verdict is the result: also where somebody wants it quiet
	s.say(left)
}

// followerLag is how far a follower is behind.
type followerLag struct {
	Name   string `json:"name"`
	Cursor uint64 `json:"cursor"`
	Behind uint64 `json:"behind"`
}

// nearly is how many events of the program's own commands, which only a search would have had indexed, check has indexed without a word.
const nearly = 2048

// lag opens the followers and says how far behind they are, once what little they lack is caught up; none when they cannot be opened.
func (s *session) lag(ctx context.Context) []followerLag {
	size := s.Ledger.Size()
	lags := []followerLag{}
	if s.Viewed {
		return lags
	}
	if err := s.follow(ctx); err != nil {
		s.note("view.followers", s.why(ctx, err))
		return lags
	}
	s.followers.mu.Lock()
	all := slices.Clone(s.followers.all)
	s.followers.mu.Unlock()
	if !slices.ContainsFunc(all, func(w *watched) bool { at, _ := w.at(); return at+nearly < size }) {
		if err := s.caughtUp(ctx, func(done, of guia.Seq) {}); err != nil {
			s.note("view.followers", s.why(ctx, err))
		}
	}
	for _, w := range all {
		at, _ := w.at()
		lags = append(lags, followerLag{w.Name(), uint64(at), uint64(max(size, at) - at)})
	}
	return lags
}
