package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/intake"
	"guia/permit"
	"guia/source"
	"guia/source/dingtalk"
)

func (p *program) sourcePullCommand() *cobra.Command {
	var now bool
	cmd := &cobra.Command{Use: "pull [NAME] [FEED…]", Args: needs(0, -1)}
	cmd.Flags().BoolVar(&now, "now", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := ""
		if len(args) > 0 {
			name, args = args[0], args[1:]
		}
		for _, feed := range args {
			if err := refuseWord(p.text("place.feed"), feed, dingtalk.Feeds()...); err != nil {
				return err
			}
		}
		return p.inside(func(ctx context.Context, s *session) error { return s.pullSource(ctx, name, args, now) })(cmd, args)
	}
	return cmd
}

// The states of a feed after a pull.
const (
	roundDone     = "done"
	roundNotDue   = "not_due"
	roundDeferred = "deferred" // a part of the round waits for the quota
	roundFailed   = "failed"
)

// roundLine is what became of one feed, as `guia source pull --json` prints it.
type roundLine struct {
	Feed   string `json:"feed"`
	State  string `json:"state"`
	Import string `json:"import,omitempty"`
	intake.Counts
	From  string `json:"from,omitempty"`  // of which time the round tells
	Until string `json:"until,omitempty"` //
	Next  string `json:"next,omitempty"`  // when there is something to pull again
	Why   string `json:"why,omitempty"`   // deferred: spent, reserve, pace
	Error *said  `json:"error,omitempty"`

	until time.Time
}

// pullSource pulls the feeds that are on and due, one after the other. A feed that the source refuses does not keep the others from being
// read; what it refused is told, and the command fails at the end.
func (s *session) pullSource(ctx context.Context, name string, feeds []string, now bool) error {
	defer spareMemory()()
	if err := s.may(ctx, permit.ActImport); err != nil {
		return err
	}
	c, err := s.only(ctx, name)
	if err != nil {
		return err
	}
	for _, feed := range feeds {
		if !slices.ContainsFunc(c.Feeds, func(f intake.EnabledFeed) bool { return f.Name == feed }) {
			return guia.Refuse(guia.Blocked, "source.feed_is_off", feed, c.Name)
		}
	}
	if len(c.Feeds) == 0 {
		return guia.Refuse(guia.Blocked, "source.all_off", c.Name)
	}
	return s.calling(ctx, &c, func(client *dingtalk.Client) error { return s.pullFeeds(ctx, client, &c, feeds, now) })
}

func (s *session) pullFeeds(ctx context.Context, client *dingtalk.Client, c *intake.Connection, feeds []string, now bool) error {
	if err := s.follow(ctx); err != nil { // searchable while it grows
		return err
	}
	var rounds []roundLine
	var failed error
	for _, one := range dingtalk.Feeds() {
		i := slices.IndexFunc(c.Feeds, func(f intake.EnabledFeed) bool { return f.Name == one })
		if i < 0 || len(feeds) > 0 && !slices.Contains(feeds, one) {
			continue
		}
		line, err := s.round(ctx, client, c, &c.Feeds[i], now)
		rounds = append(rounds, line)
		if s.json {
			if err := s.emit(line); err != nil {
				return err
			}
		}
		failed = errors.Join(failed, err)
		if err != nil && !passesBy(ctx, err) {
			break
		}
	}
	if err := s.searchable(ctx); err != nil {
		return errors.Join(failed, err)
	}
	if !s.json {
		s.tellRounds(rounds)
	}
	return firstOf(failed)
}

// firstOf is the first of joined errors: the others were told with their feeds.
func firstOf(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
		return firstOf(many.Unwrap()[0])
	}
	return err
}

// passesBy reports whether what one feed was refused leaves hope for the next one.
func passesBy(ctx context.Context, err error) bool {
	f, ok := errors.AsType[*dingtalk.Fault](err)
	if !ok || ctx.Err() != nil {
		return false
	}
	return f.Kind != dingtalk.Credentials && f.Kind != dingtalk.Address && f.Kind != dingtalk.BadToken && f.Kind != dingtalk.Busy
}

// feedOf is what all records of a feed share.
func feedOf(c *intake.Connection, s source.Source, class string) intake.Feed {
	v, _ := programVersion()
	return intake.Feed{
		Source: s.Name(), Instance: s.Instance(), Entity: c.Entity, Class: class, Channel: guia.ChannelAPI, Grade: guia.GradeA,
		Normaliser: dingtalk.Normaliser + " guia/" + v,
	}
}

// round pulls one feed, when it is due. Its error is what the feed was refused.
func (s *session) round(ctx context.Context, client *dingtalk.Client, c *intake.Connection, on *intake.EnabledFeed, now bool) (line roundLine, err error) {
	line = roundLine{Feed: on.Name, State: roundFailed}
	tell := func(err error) (roundLine, error) {
		why, _ := s.describe(ctx, err)
		line.Error = &why
		return line, err
	}
	var opt dingtalk.Options
	if now {
		opt.Every = time.Millisecond
	}
	src, err := dingtalk.Open(client, on.Name, opt)
	if err != nil {
		return tell(err)
	}
	defer src.Close() // only read
	feed := feedOf(c, src, on.Class)
	before, err := s.Intake.Progress(ctx, feed)
	if err != nil {
		return tell(err)
	}
	if due := src.Due(before.Cursor); before.Done && !now && time.Now().Before(due) {
		line.State, line.Next = roundNotDue, due.UTC().Format(time.RFC3339)
		return line, nil
	}
	g := s.begin("source.progress", false)
	defer g.end()
	at, err := s.Intake.Round(ctx, s.actor, c.Name, on.Name, feed, src, func(_ source.Page, n intake.Counts) {
		g.at(n.New+n.Known, 0, s.text("source.progress_more", on.Name, s.number(n.New)))
	})
	line.Counts = at.Counts
	if at.Import != (guia.RecordID{}) {
		line.Import = at.Import.String()
	}
	if d, ok := errors.AsType[*dingtalk.Deferral](err); ok {
		line.State, line.Why = roundDeferred, d.Why
		return line, nil
	}
	if err != nil {
		return tell(err)
	}
	from, until, whole := src.Period(at.Cursor)
	if !whole {
		usage, _ := client.Usage()
		line.State, line.Why = roundDeferred, usage.Why[dingtalk.Job(on.Name)]
		return line, nil
	}
	line.until = until
	line.State, line.From, line.Until = roundDone, from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339)
	if !now {
		line.Next = src.Due(at.Cursor).UTC().Format(time.RFC3339)
	}
	return line, nil
}

func (s *session) tellRounds(rounds []roundLine) {
	var rows [][]string
	var notes []string
	gaps := int64(0)
	for _, r := range rounds {
		rows = append(rows, []string{r.Feed, s.number(r.New), s.number(r.Known), s.number(r.Edited), s.number(r.Gaps), s.text("source.round." + r.State)})
		gaps += r.Gaps
		switch r.State {
		case roundNotDue:
			notes = append(notes, s.text("source.not_due", r.Feed, when(r.Next)))
		case roundDeferred:
			notes = append(notes, s.text("source.deferred."+r.Why, r.Feed))
		case roundFailed:
			if len(rounds) > 1 { // the last one ends the command with its sentence
				notes = append(notes, r.Feed+": "+r.Error.Message)
			}
		}
	}
	s.table([]string{s.text("col.feed"), s.text("import.new"), s.text("import.known"), s.text("col.edited"), s.text("col.gaps"), s.text("col.state")}, rows)
	if s.quiet {
		return
	}
	if len(notes) > 0 {
		s.print("\n" + strings.Join(notes, "\n") + "\n")
	}
	if gaps > 0 {
		s.print("\n")
		s.say("source.look_at_gaps")
	}
}

func (p *program) sourceStatusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status [NAME]", Args: needs(0, 1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.looking(func(ctx context.Context, s *session) error { return s.sourceStatus(ctx, strings.Join(args, "")) })(cmd, args)
	}
	return cmd
}

// statusLine is a connection's month as --json prints it.
type statusLine struct {
	Source     string       `json:"source"`
	Edition    string       `json:"edition"`
	Month      string       `json:"month"`
	Calls      int          `json:"calls"`
	CallsOf    int          `json:"calls_quota"`
	Reserved   int          `json:"calls_reserved"`
	Other      int          `json:"calls_by_others"`
	Deliveries int          `json:"deliveries"`
	DeliverOf  int          `json:"deliveries_quota"`
	Jobs       []jobLine    `json:"jobs"`
	Feeds      []feedStatus `json:"feeds"`
}

type jobLine struct {
	Job        string `json:"job"`
	Calls      int    `json:"calls"`
	Deliveries int    `json:"deliveries"`
	Deferred   int    `json:"deferred"`
	Why        string `json:"why,omitempty"`
}

type feedStatus struct {
	Feed  string `json:"feed"`
	Until string `json:"until,omitempty"` // to when the last whole round told
	Open  bool   `json:"open"`            // a round is not finished
	Next  string `json:"next,omitempty"`
}

func (s *session) sourceStatus(ctx context.Context, name string) error {
	if err := s.may(ctx, permit.ActBrowse); err != nil {
		return err
	}
	all, err := s.Intake.Connections(ctx)
	if err != nil {
		return err
	}
	if name != "" {
		c, err := s.Intake.Connection(ctx, name)
		if err != nil {
			return err
		}
		all = []intake.Connection{c}
	}
	for i := range all {
		line, err := s.statusOf(ctx, &all[i])
		if err != nil {
			return err
		}
		if s.json {
			if err := s.emit(line); err != nil {
				return err
			}
			continue
		}
		s.tellStatus(&line)
	}
	if len(all) == 0 {
		s.say("source.none")
	}
	return nil
}

func (s *session) statusOf(ctx context.Context, c *intake.Connection) (statusLine, error) {
	var set tenantSettings
	if err := json.Unmarshal(c.Settings, &set); err != nil {
		return statusLine{}, err
	}
	at, err := s.at(ctx, c, &set)
	if err != nil {
		return statusLine{}, err
	}
	usage, quota := at.budget.Usage(), at.budget.Quota()
	line := statusLine{
		Source: c.Name, Edition: set.Edition, Month: usage.Month, Calls: usage.Spent(), CallsOf: quota.Calls, Reserved: quota.Reserved(), Other: usage.Other,
		Deliveries: usage.Delivered(), DeliverOf: quota.Deliveries, Jobs: []jobLine{}, Feeds: []feedStatus{},
	}
	for _, job := range slices.Concat([]string{string(dingtalk.JobBase)}, allFeeds(), []string{string(dingtalk.JobStream), string(dingtalk.JobOther)}) {
		j := dingtalk.Job(job)
		calls := usage.Calls[j]
		if j == dingtalk.JobOther {
			calls += usage.Other
		}
		if calls+usage.Deliveries[j]+usage.Deferred[j] > 0 {
			line.Jobs = append(line.Jobs, jobLine{job, calls, usage.Deliveries[j], usage.Deferred[j], usage.Why[j]})
		}
	}
	client, err := dingtalk.New(config(&set, &tenantSecret{Secret: "none"})) // it calls nothing
	if err != nil {
		return line, err
	}
	defer client.Close()
	for _, on := range c.Feeds {
		if !slices.Contains(dingtalk.Feeds(), on.Name) {
			continue // it is pushed only
		}
		src, err := dingtalk.Open(client, on.Name, dingtalk.Options{})
		if err != nil {
			return line, err
		}
		read, err := s.Intake.Progress(ctx, feedOf(c, src, on.Class))
		if err != nil {
			return line, err
		}
		f := feedStatus{Feed: on.Name, Open: !read.Done && read.Import != (guia.RecordID{})}
		if _, until, whole := src.Period(read.Cursor); whole {
			f.Until, f.Next = until.UTC().Format(time.RFC3339), src.Due(read.Cursor).UTC().Format(time.RFC3339)
		}
		line.Feeds = append(line.Feeds, f)
	}
	return line, nil
}

func (s *session) tellStatus(line *statusLine) {
	n := func(i int) string { return s.number(int64(i)) }
	s.print(s.bold(plain(line.Source)) + "  " + line.Edition + "  " + line.Month + "\n")
	s.pairs(
		"  "+s.text("source.calls"), n(line.Calls)+" / "+n(line.CallsOf),
		"  "+s.text("source.reserved"), n(line.Reserved),
		"  "+s.text("source.other"), n(line.Other),
		"  "+s.text("source.deliveries"), n(line.Deliveries)+" / "+n(line.DeliverOf),
	)
	if len(line.Jobs) > 0 {
		var rows [][]string
		for _, j := range line.Jobs {
			why := ""
			if j.Why != "" {
				why = s.text("source.why." + j.Why)
			}
			rows = append(rows, []string{j.Job, n(j.Calls), n(j.Deliveries), n(j.Deferred), why})
		}
		s.print("\n")
		s.table([]string{s.text("col.job"), s.text("source.calls"), s.text("source.deliveries"), s.text("source.deferrals"), s.text("col.why")}, rows)
	}
	if len(line.Feeds) > 0 {
		var rows [][]string
		for _, f := range line.Feeds {
			next := s.text("source.now")
			if f.Next != "" && !f.Open {
				next = when(f.Next)
			}
			rows = append(rows, []string{f.Feed, when(f.Until), next})
		}
		s.print("\n")
		s.table([]string{s.text("col.feed"), s.text("col.told_until"), s.text("col.next")}, rows)
	}
	s.print("\n")
}
