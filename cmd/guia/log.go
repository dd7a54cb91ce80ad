package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/canon"
	"guia/ledger"
	"guia/people"
	"guia/permit"
)

// logOptions are the flags of `guia log`.
type logOptions struct {
	from, to, kind   string
	first, content   bool
	marked           bool
	mark             string // with marked: only this one; empty for each that a record of a source has
	number           int
	earliest, latest time.Time // captured, the latest not included
}

func (p *program) logCommand() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{Use: "log [--marked [MARK]]"}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if o.marked {
			o.mark = strings.Join(args, " ")
			return needs(0, 1)(cmd, args)
		}
		return needs(0, 0)(cmd, args)
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVarP(&o.number, "number", "n", 20, "")
	f.BoolVar(&o.first, "reverse", false, "")
	f.StringVar(&o.kind, "type", "", "")
	f.StringVar(&o.from, "from", "", "")
	f.StringVar(&o.to, "to", "", "")
	f.BoolVar(&o.marked, "marked", false, "")
	f.BoolVar(&o.content, "content", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if o.earliest, err = parseTime("--from", o.from, false); err != nil {
			return err
		}
		if o.latest, err = parseTime("--to", o.to, true); err != nil {
			return err
		}
		if o.number < 0 {
			return guia.Refuse(guia.Invalid, "cmd.flag_invalid", strconv.Itoa(o.number), "number", cmd.CommandPath())
		}
		return p.inside(func(ctx context.Context, s *session) error { return s.log(ctx, o) })(cmd, args)
	}
	return cmd
}

// parseTime reads a day, or a point in time (RFC 3339). A day, and a time without a zone, are those of [guia.Zone]; where end is set, the
// time behind a day is returned, so that the day belongs to the period. The zero time stands for no limit.
func parseTime(flag, s string, end bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation("2006-01-02", s, guia.Zone); err == nil {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, guia.Zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, guia.Refuse(guia.Invalid, "cmd.time", s, flag)
}

func (o *logOptions) wants(h *guia.Header) bool {
	switch {
	case o.kind != "" && string(h.Type) != o.kind && !strings.HasPrefix(string(h.Type), o.kind+"."):
		return false
	case !o.earliest.IsZero() && h.Captured.Before(o.earliest):
		return false
	}
	return o.latest.IsZero() || h.Captured.Before(o.latest)
}

// logLine is one event as `guia log --json` prints it.
type logLine struct {
	Seq      uint64 `json:"seq"`
	Captured string `json:"captured"`
	Type     string `json:"type"`
	Source   string `json:"source"`
	Stream   string `json:"stream"`
	Count    uint64 `json:"count"`
	Record   string `json:"record"`
	Actor    string `json:"actor,omitempty"`
	Act      string `json:"act,omitempty"`
	Outcome  string `json:"outcome,omitempty"`

	Marks []string `json:"marks,omitempty"` // with --marked

	told                   // with --content
	Sender          string `json:"sender,omitempty"`
	SenderKey       string `json:"sender_key,omitempty"`
	Conversation    string `json:"conversation,omitempty"`
	ConversationKey string `json:"conversation_key,omitempty"`
	Text            string `json:"text,omitempty"`
	Denied          bool   `json:"denied,omitempty"` // its content is outside of what the user may see
	replaced               // by a later version; with --marked and --content

	event guia.Event
}

// log shows headers within the user's scopes, newest first, and who did what for events of Guia itself. With --content it also shows what was said, as far as
// the user may see it, and that it was shown is an event before it is shown.
func (s *session) log(ctx context.Context, o logOptions) error {
	if err := s.may(ctx, permit.ActBrowse); err != nil {
		return err
	}
	logins, err := s.logins(ctx)
	if err != nil {
		return err
	}
	found := false
	stream, lines := !o.content && !o.marked && s.json && o.number == 0, []logLine(nil) // as it comes: the ledger may be larger than memory
	err = s.walk(ctx, o, func(e ledger.Entry) (shown bool, err error) {
		var marks []string
		if o.marked {
			if marks, err = s.marks(ctx, e, o.mark); err != nil || len(marks) == 0 {
				return false, err
			}
		}
		line, err := s.line(ctx, e, logins)
		if err != nil {
			return false, err
		}
		line.Marks = marks
		found = true
		if stream {
			return true, s.emit(line)
		}
		lines = append(lines, line)
		return true, nil
	})
	if err != nil {
		return err
	}
	if !found && o.kind != "" {
		if err := knownType(o.kind); err != nil {
			return err
		}
	}
	if o.content {
		if err := s.reveal(ctx, lines); err != nil {
			return err
		}
	}
	if o.content || o.marked {
		if err := s.tellReplaced(ctx, lines); err != nil {
			return err
		}
	}
	if s.json {
		for _, line := range lines {
			line.told = line.exact()
			if err := s.emit(line); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case len(lines) > 0:
		s.logTable(lines, o)
	case o.marked && o.mark == "":
		s.say("log.unmarked")
	default:
		s.say("log.empty")
	}
	return nil
}

// knownType refuses what is neither a type of this release nor the beginning of one, and names those that begin alike, or the beginnings.
func knownType(kind string) error {
	family, _, _ := strings.Cut(kind, ".")
	var families, alike []string
	all := slices.Clone(kinds)
	for _, t := range guia.OwnTypes() {
		all = append(all, string(t))
	}
	for _, t := range all {
		first, _, _ := strings.Cut(t, ".")
		if families = append(families, first); first == family {
			alike = append(alike, t)
		}
	}
	if len(alike) > 0 {
		return refuseWord("--type", kind, append(alike, family)...)
	}
	slices.Sort(families)
	return refuseWord("--type", kind, slices.Compact(families)...)
}

// tellReplaced says of each line of a source's record which later version replaced it.
func (s *session) tellReplaced(ctx context.Context, lines []logLine) error {
	var events []guia.Event
	for i := range lines {
		if l := &lines[i]; l.event.Source != guia.Own && !l.Denied {
			event, err := s.Ledger.Event(ctx, l.event.Seq)
			if err != nil {
				return err
			}
			events = append(events, event)
		}
	}
	if len(events) == 0 {
		return nil
	}
	s.parts.using.RLock()
	defer s.parts.using.RUnlock()
	if err := s.searchable(ctx); err != nil {
		return err
	}
	limits, err := s.scopes(ctx, permit.ActBrowse)
	if err != nil {
		return err
	}
	newest, err := s.replacements(ctx, limits, events)
	if err != nil {
		return err
	}
	for i := range lines {
		lines[i].replaced = newest[lines[i].event.Seq]
	}
	return nil
}

// marks are why an event deserves a second look: those of a record of a source, or, where one is asked for, that one of any event.
func (s *session) marks(ctx context.Context, e ledger.Entry, word string) ([]string, error) {
	if word == "" && e.Leaf.Source == guia.Own {
		return nil, nil
	}
	event, err := s.Vault.ReadWithoutRaw(ctx, e.Seq, e.Leaf.Header, e.Row)
	if err != nil {
		return nil, err
	}
	marks := strings.Fields(event.Fields.Get("mark"))
	if word != "" && !slices.Contains(marks, word) {
		return nil, nil
	}
	return marks, nil
}

func (s *session) logTable(lines []logLine, o logOptions) {
	head := []string{s.text("col.seq"), s.text("col.captured"), s.text("col.type"), s.text("col.source"), s.text("col.stream")}
	if o.content {
		head[4] = s.text("col.conversation")
	}
	if o.marked {
		head = append(head, s.text("col.mark"))
	}
	switch {
	case o.content:
		head = append(head, s.text("col.time"), s.text("col.sender"), s.text("col.text"))
	case !o.marked:
		head = append(head, s.text("col.who"))
	}
	rows := make([][]string, len(lines))
	for i, l := range lines {
		rows[i] = []string{strconv.FormatUint(l.Seq, 10), when(l.Captured), l.Type, l.Source, l.Stream[:8] + "/" + strconv.FormatUint(l.Count, 10)}
		if o.content && l.Conversation != "" {
			rows[i][4] = clip(l.Conversation, 32)
		}
		if o.marked {
			rows[i] = append(rows[i], strings.TrimSuffix(strings.Join(l.Marks, " ")+" "+s.replacedNote(l.replaced), " "))
		}
		switch {
		case o.content && l.Denied:
			rows[i] = append(rows[i], "", "", s.text("log.denied"))
		case o.content:
			text := l.Text
			if !o.marked { // which says it beside the mark
				text = s.replacedNote(l.replaced) + text
			}
			rows[i] = append(rows[i], when(l.Time), l.Sender, text)
		case !o.marked:
			who := l.Actor
			if l.Outcome != "" && l.Outcome != "done" {
				who += " (" + l.Act + ": " + l.Outcome + ")"
			}
			rows[i] = append(rows[i], who)
		}
	}
	s.table(head, rows)
}

// walk calls fn with the wanted entries that the user may know of, until it has shown o.number of them.
func (s *session) walk(ctx context.Context, o logOptions, fn func(ledger.Entry) (shown bool, err error)) error {
	const page = 1024
	limits, err := s.scopes(ctx, permit.ActBrowse)
	if err != nil {
		return err
	}
	size, left := s.Ledger.Size(), o.number
	for at := guia.Seq(0); at < size; at += page {
		n := min(page, size-at)
		first := at
		if !o.first {
			first = size - at - n
		}
		var entries []ledger.Entry
		err := s.Ledger.Entries(ctx, first, first+n, func(e ledger.Entry) error {
			if o.wants(&e.Leaf.Header) {
				entries = append(entries, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !o.first {
			slices.Reverse(entries)
		}
		for _, e := range entries {
			allowed, err := limits.allowAll(ctx, []guia.Seq{e.Seq})
			if err != nil {
				return err
			}
			if !allowed {
				continue
			}
			shown, err := fn(e)
			if err != nil {
				return err
			}
			if !shown {
				continue
			}
			if left--; left == 0 {
				return nil
			}
		}
	}
	return nil
}

// line is what anyone who may browse can see of an event: the header and, for what happened in Guia, who did what.
func (s *session) line(ctx context.Context, e ledger.Entry, logins map[string]string) (logLine, error) {
	h := e.Leaf.Header
	l := logLine{
		Seq: uint64(e.Seq), Captured: h.Captured.UTC().Format("2006-01-02T15:04:05.000Z"), Type: string(h.Type), Source: string(h.Source),
		Stream: h.Stream.String(), Count: h.Count, Record: h.Record.String(),
		event: guia.Event{Seq: e.Seq, Header: h},
	}
	if h.Source != guia.Own {
		return l, nil
	}
	event, err := s.Vault.Read(ctx, e.Seq, h, e.Row)
	if err != nil {
		return l, err
	}
	l.event = event
	l.Act, l.Outcome = event.Fields.Get("act"), event.Fields.Get("act.outcome")
	if actor := event.Fields.Get("actor"); actor != "" {
		if l.Actor = logins[actor]; l.Actor == "" {
			l.Actor = actor
		}
	} else if event.Fields.Get("actor.via") != "" {
		l.Actor = "?" + event.Fields.Get("name") // who claimed to have an account
	}
	return l, nil
}

// logins are the names of all accounts by their pseudonyms.
func (s *session) logins(ctx context.Context) (map[string]string, error) {
	users, err := permit.Users(ctx, s.Main)
	if err != nil {
		return nil, err
	}
	all := make(map[string]string, len(users))
	for _, u := range users {
		all[u.ID.String()] = u.Login
	}
	return all, nil
}

// reveal decrypts what the user may see, and records which events were opened before anything of them is shown.
func (s *session) reveal(ctx context.Context, lines []logLine) error {
	scopes, err := s.scopes(ctx, permit.ActOpen)
	if err != nil {
		return err
	}
	var opened []guia.Seq
	for i := range lines {
		l := &lines[i]
		event, err := s.Ledger.Event(ctx, l.event.Seq)
		if err != nil {
			return err
		}
		if l.Denied = !scopes.allow(&event); l.Denied {
			continue
		}
		if err := s.tell(ctx, l, &event, scopes); err != nil {
			return err
		}
		opened = append(opened, event.Seq)
	}
	if len(opened) == 0 {
		return s.may(ctx, permit.ActOpen) // a refusal is recorded and said
	}
	slices.Sort(opened)
	return s.do(ctx, permit.ActOpen, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("seqs", canon.FormatSeqs(opened))
		_, err := tx.Record(guia.RecordOpened, f)
		return err
	})
}

// tell fills in what an event says, in the words that people know: a sender of whom it tells only the identifier has the name that the
// directory, as far as the user may see it, gives them.
func (s *session) tell(ctx context.Context, l *logLine, e *guia.Event, limits scopes) error {
	f := e.Fields
	l.Time, l.Sender, l.SenderKey, l.Text = f.Get("time"), senderOf(e), f.Get("sender.key"), briefText(e)
	l.Conversation, l.ConversationKey = cmp.Or(f.Get("conversation.name"), f.Get("conversation.key")), f.Get("conversation.key")
	switch {
	case e.Source == guia.Own:
		l.Sender = l.Actor
	case l.SenderKey != "" && l.Sender == l.SenderKey:
		name, err := s.nameOf(ctx, e, limits)
		if err != nil {
			return err
		}
		l.Sender = cmp.Or(name, l.Sender)
	}
	return nil
}

// nameOf is what the sender of an event was called on its day, or else was called last; empty when that is not known.
func (s *session) nameOf(ctx context.Context, e *guia.Event, limits scopes) (name string, err error) {
	s.parts.using.RLock()
	defer s.parts.using.RUnlock()
	if err := s.searchable(ctx); err != nil {
		return "", err
	}
	history, err := s.parts.people.History(ctx, s.person(e.Source, e.Fields.Get("sender.key")))
	if err == nil {
		history, err = s.known(ctx, limits, history)
	}
	if err != nil {
		return "", err
	}
	var day people.Day
	if m, ok := e.Moment(); ok {
		day = people.DayOf(m.Time)
	}
	for i := range history {
		if h := &history[i]; h.Name != "" && (name == "" || h.From <= day || day == 0) {
			name = h.Name
		}
	}
	return name, nil
}

// senderOf is how people know the sender.
func senderOf(e *guia.Event) string {
	for _, name := range []string{"sender.name", "sender.address", "sender.key", "actor"} {
		if v := e.Fields.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// briefText is what an event says, in one line.
func briefText(e *guia.Event) string {
	if e.Type == guia.SourceGap {
		return plain(e.Fields.Get("origin") + ": " + e.Fields.Get("reason"))
	}
	parts := []string{e.Fields.Get("subject"), e.Text(), e.Fields.Get("query"), e.Fields.Get("name"), e.Fields.Get("reason")}
	return plain(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · "))
}
