package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"guia"
	"guia/evidence"
	"guia/index"
	"guia/ledger"
	"guia/permit"
	"guia/source/mbox"
	"guia/source/slack"
)

// question is what somebody searches for, as they typed it.
type question struct {
	text, person, conversation, from, to, kind, entity, order, after string
	limit                                                            int
	copies                                                           bool // every record of a message that several sources tell

	forCase *evidence.Case // whose chain of custody tells of the search, or nil
}

// filters adds the flags that narrow a search.
func (q *question) filters(f *pflag.FlagSet) {
	f.StringVar(&q.person, "person", "", "")
	f.StringVar(&q.conversation, "conversation", "", "")
	f.StringVar(&q.from, "from", "", "")
	f.StringVar(&q.to, "to", "", "")
	f.BoolVar(&q.copies, "copies", false, "")
}

// String is the whole question as it is recorded.
func (q *question) String() string {
	words := []string{}
	if q.text != "" {
		words = append(words, q.text)
	}
	for _, f := range [][2]string{{"person", q.person}, {"conversation", q.conversation}, {"from", q.from}, {"to", q.to}, {"kind", q.kind}, {"entity", q.entity}} {
		if f[1] != "" {
			words = append(words, f[0]+"="+strconv.Quote(f[1]))
		}
	}
	if q.copies && len(words) > 0 {
		words = append(words, "copies="+strconv.Quote("all"))
	}
	return strings.Join(words, " ")
}

func (p *program) searchCommand() *cobra.Command {
	q, caseName := question{}, ""
	cmd := &cobra.Command{Use: "search [WORDS…]", Args: cobra.ArbitraryArgs}
	f := cmd.Flags()
	f.SortFlags = false
	q.filters(f)
	f.StringVar(&q.kind, "kind", "", "")
	f.StringVar(&q.entity, "entity", "", "")
	f.StringVar(&q.order, "order", "newest", "")
	f.IntVar(&q.limit, "limit", 20, "")
	f.StringVar(&q.after, "after", "", "")
	f.StringVar(&caseName, "case", "", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.text = strings.Join(args, " ")
		if q.String() == "" {
			return guia.Refuse(guia.Invalid, "search.no_question")
		}
		if err := refuseWord("--order", q.order, "newest", "relevance"); err != nil {
			return err
		}
		if q.kind != "" && !guia.Type(q.kind).IsOwn() {
			if err := refuseWord("--kind", q.kind, kinds...); err != nil {
				return err
			}
		}
		if q.limit < 1 || q.limit > 1000 {
			return guia.Refuse(guia.Invalid, "cmd.flag_invalid", strconv.Itoa(q.limit), "limit", cmd.CommandPath())
		}
		if _, err := q.times(); err != nil {
			return err
		}
		return p.inside(func(ctx context.Context, s *session) error {
			if caseName != "" {
				c, err := evidence.FindCase(ctx, s.Ledger, s.actor, caseName)
				if err != nil {
					return err
				}
				q.forCase = &c
			}
			return s.search(ctx, q)
		})(cmd, args)
	}
	return cmd
}

// kinds are the types of what sources tell.
var kinds = []string{
	string(guia.MessageSent), string(guia.MessageEdited), string(guia.MessageDeleted), string(guia.MailSent),
	string(guia.FileShared), string(guia.PersonSeen), string(guia.PersonLeft), string(guia.ChannelSeen), string(guia.AccessChanged),
	string(guia.AttendanceChecked), string(guia.DepartmentSeen), string(guia.FieldSeen), string(guia.FileChanged),
	string(guia.FileDeleted), string(guia.FileDownloaded), string(guia.FileExported), string(guia.FileMoved), string(guia.FileSeen),
	string(guia.FileUploaded), string(guia.FileViewed), string(guia.MeetingHeld), string(guia.MeetingJoined),
	string(guia.MessageRead), string(guia.NoticePublished), string(guia.NoticeRead), string(guia.ReadsCounted),
	string(guia.RecordingSeen), string(guia.RoleSeen), string(guia.SpaceSeen), string(guia.RecordKept), string(guia.SourceGap),
}

// times are the limits in time. A beginning behind the end is refused: nothing lies between them.
func (q *question) times() (limits [2]time.Time, err error) {
	if limits[0], err = parseTime("--from", q.from, false); err != nil {
		return limits, err
	}
	if limits[1], err = parseTime("--to", q.to, true); err != nil {
		return limits, err
	}
	if q.from != "" && q.to != "" && q.from != q.to && !limits[0].Before(limits[1]) {
		return limits, guia.Refuse(guia.Invalid, "cmd.times", q.from, q.to)
	}
	return limits, nil
}

// query turns names into what the index knows. ok is false when a name stands for nobody or nothing: then nothing can be found.
func (s *session) query(ctx context.Context, q question, limits scopes) (query index.Query, ok bool, err error) {
	times, err := q.times()
	if err != nil {
		return query, false, err
	}
	query = index.Query{Text: q.text, Entity: q.entity, From: times[0], To: times[1], Copies: q.copies, Limit: q.limit, After: q.after}
	if q.order == "relevance" {
		query.Order = index.Relevance
	}
	if q.kind != "" {
		query.Kinds = []string{q.kind}
	}
	if q.person != "" {
		if query.Persons, err = s.persons(ctx, limits, q.person); err != nil || len(query.Persons) == 0 {
			return query, false, err
		}
	}
	if q.conversation != "" {
		if query.Streams, err = s.conversations(ctx, q.conversation); err != nil || len(query.Streams) == 0 {
			return query, false, err
		}
	}
	return query, true, nil
}

// persons are the pseudonyms of everybody of whom the user may know that they were ever called so, or the one whose pseudonym it is.
func (s *session) persons(ctx context.Context, limits scopes, name string) ([]string, error) {
	if _, err := guia.ParseID16(name); err == nil {
		return []string{name}, nil
	}
	found, err := s.findPeople(ctx, limits, name)
	var ids []string
	for _, e := range found {
		ids = append(ids, e.Person.String())
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// conversations are the streams with that pseudonym, with that identifier at a source, or whose name holds these words.
func (s *session) conversations(ctx context.Context, name string) ([]string, error) {
	if _, err := guia.ParseID16(name); err == nil {
		return []string{name}, nil
	}
	var streams []string
	for _, source := range []guia.SourceName{slack.Name, mbox.Name, "mapped"} {
		id, _, found, err := s.Ledger.Stream(ctx, s.Vault.StreamOwner(source, name))
		if err != nil {
			return nil, err
		}
		if found {
			streams = append(streams, id.String())
		}
	}
	called, err := s.parts.people.Conversations(ctx, strings.TrimPrefix(name, "#"))
	if err != nil {
		return nil, err
	}
	for _, id := range called {
		streams = append(streams, id.String())
	}
	slices.Sort(streams)
	return slices.Compact(streams), nil
}

// found is one hit as `guia search --json` prints it.
type found struct {
	Seq  uint64 `json:"seq"`
	Type string `json:"type"`
	told
	Sender       string   `json:"sender,omitempty"`
	Conversation string   `json:"conversation,omitempty"`
	Snippet      string   `json:"snippet"`
	Marks        [][2]int `json:"marks"` // what was found, as byte ranges of snippet
	Score        float64  `json:"score,omitempty"`
	Copies       int      `json:"copies,omitempty"` // other records of the message that answer too, and are no hits
	Erased       bool     `json:"erased,omitempty"`
	replaced              // by a later version

	cutBefore, cutAfter bool
}

// searchResult is what was found; with --json each hit is a line, and the last line is the rest.
type searchResult struct {
	Total int     `json:"total"`
	Next  string  `json:"next,omitempty"`
	Hits  []found `json:"-"`
}

// snippetLength is how many characters of a hit are shown.
const snippetLength = 160

// search finds and shows. That the search was made is durable before anything of its results is shown.
func (s *session) search(ctx context.Context, q question) error {
	s.parts.using.RLock()
	defer s.parts.using.RUnlock()
	hits, err := s.find(ctx, permit.ActSearch, q)
	if err != nil {
		return err
	}
	result := searchResult{Total: hits.Total, Next: hits.Next, Hits: make([]found, 0, len(hits.Hits))}
	events := make([]guia.Event, 0, len(hits.Hits))
	for _, hit := range hits.Hits {
		e, err := s.Ledger.Event(ctx, guia.Seq(hit.Seq))
		if err != nil {
			return err
		}
		result.Hits = append(result.Hits, s.snippet(q.text, hit, &e))
		events = append(events, e)
	}
	limits, err := s.scopes(ctx, permit.ActSearch)
	if err != nil {
		return err
	}
	newest, err := s.replacements(ctx, limits, events)
	if err != nil {
		return err
	}
	for i := range events {
		result.Hits[i].replaced = newest[events[i].Seq]
	}
	if s.json {
		for _, hit := range result.Hits {
			hit.told = hit.exact()
			if err := s.emit(hit); err != nil {
				return err
			}
		}
		return s.emit(result)
	}
	s.tellSearch(q, result)
	return nil
}

// find records the search and asks the index.
func (s *session) find(ctx context.Context, act permit.Act, q question) (index.Result, error) {
	if _, err := index.ParseQuery(q.text); err != nil {
		return index.Result{}, err
	}
	err := s.do(ctx, act, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("query", q.String())
		if q.forCase != nil {
			f = q.forCase.Search(q.String())
		}
		_, err := tx.Record(guia.SearchMade, f)
		return err
	})
	if err != nil {
		return index.Result{}, err
	}
	if err := s.searchable(ctx); err != nil {
		return index.Result{}, err
	}
	return s.ask(ctx, act, q)
}

// ask is the search itself, within what the user may see.
func (s *session) ask(ctx context.Context, act permit.Act, q question) (index.Result, error) {
	limits, err := s.scopes(ctx, act)
	if err != nil {
		return index.Result{}, err
	}
	query, ok, err := s.query(ctx, q, limits)
	if err != nil || !ok {
		return index.Result{}, err
	}
	return s.parts.index.Search(ctx, limits.index(), query)
}

func (s *session) snippet(text string, hit index.Hit, e *guia.Event) found {
	f := found{
		Seq: hit.Seq, Type: string(e.Type), told: told{Time: e.Fields.Get("time")}, Sender: senderOf(e), Conversation: e.Fields.Get("conversation.name"),
		Score: hit.Score, Copies: hit.Copies, Erased: len(e.Withheld) > 0, Marks: [][2]int{},
	}
	if f.Conversation == "" {
		f.Conversation = e.Fields.Get("conversation.key")
	}
	parts := []string{e.Fields.Get("subject"), e.Text()}
	for _, field := range e.Fields {
		if strings.HasPrefix(field.Name, "file.") && strings.HasSuffix(field.Name, ".name") {
			parts = append(parts, string(field.Value))
		}
	}
	whole := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
	snippet := index.Highlight(text, plain(whole), snippetLength)
	f.Snippet, f.cutBefore, f.cutAfter = snippet.Text, snippet.Start > 0, snippet.Cut
	if snippet.Marks != nil {
		f.Marks = snippet.Marks
	}
	return f
}

func (s *session) tellSearch(q question, r searchResult) {
	if len(r.Hits) == 0 {
		switch {
		case s.parts.index.Stats().Docs == 0:
			s.say("search.no_events")
		default:
			s.say("search.nothing")
		}
		return
	}
	copied := slices.ContainsFunc(r.Hits, func(h found) bool { return h.Copies > 0 })
	head := []string{s.text("col.seq"), s.text("col.time"), s.text("col.sender"), s.text("col.conversation")}
	if copied {
		head = append(head, s.text("col.copies"))
	}
	rows := make([][]string, len(r.Hits))
	for i, h := range r.Hits {
		rows[i] = []string{strconv.FormatUint(h.Seq, 10), when(h.Time), clip(h.Sender, 24), clip(h.Conversation, 32)}
		switch {
		case h.Copies > 0:
			rows[i] = append(rows[i], "+"+strconv.Itoa(h.Copies))
		case copied:
			rows[i] = append(rows[i], "")
		}
		rows[i] = append(rows[i], s.replacedNote(h.replaced)+s.marked(h))
	}
	s.table(append(head, s.text("col.text")), rows)
	s.say("search.total", s.number(int64(len(r.Hits))), s.number(int64(r.Total)))
	if copied {
		s.say("search.copies")
	}
	if r.Next != "" {
		s.say("search.more", r.Next)
	}
}

// marked shows what was found: in bold where there are colours, between ‹ › where not.
func (s *session) marked(h found) string {
	open, end := "‹", "›"
	if s.colour() {
		open, end = string(markOn), string(markOff)
	}
	var b strings.Builder
	if h.cutBefore {
		b.WriteString("…")
	}
	at := 0
	for _, m := range h.Marks {
		b.WriteString(h.Snippet[at:m[0]] + open + h.Snippet[m[0]:m[1]] + end)
		at = m[1]
	}
	b.WriteString(h.Snippet[at:])
	if h.cutAfter {
		b.WriteString("…")
	}
	return b.String()
}
