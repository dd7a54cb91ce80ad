package dingtalk

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"guia"
	"guia/source"
)

// feedReads asks who has read what the company sent by robot or as a work notification, before DingTalk forgets it after 24 hours
// (dingtalk-api.md 4, 5). DingTalk does not say when it was read: the record's own capture time is the latest that it can have been.
var feedReads = &feed{"reads", JobReads, time.Hour, []step{{"results", true, (*Source).reads}}}

// SentKind is how something was sent.
type SentKind string

// The kinds.
const (
	SentToPeople     SentKind = "people"       // by robot to people, at most 20 a key
	SentToGroup      SentKind = "group"        // by robot into a group
	SentNotification SentKind = "notification" // a work notification
)

// Sent is something that the company sent and whose readers are asked for.
type Sent struct {
	Kind         SentKind
	Key          string // processQueryKey, or task_id
	Conversation string // openConversationId of a group
	At           time.Time
}

// readAges are the ages at which readers are asked for: soon, in the course of the day, and as late as is safe.
var readAges = []time.Duration{time.Hour, 6 * time.Hour, 22 * time.Hour}

// readWindow is how long DingTalk knows.
const readWindow = 24 * time.Hour

// dueSent are those whose age passes one of the ages in the round, and those whose window has closed without any being asked.
func (s *Source) dueSent(ctx context.Context) ([]Sent, error) {
	if s.hasSent || s.opt.Sent == nil {
		return s.sent, nil
	}
	all, err := s.opt.Sent(ctx, s.round.from.Add(-readWindow), s.round.to)
	if err != nil {
		return nil, err
	}
	s.sent, s.hasSent = nil, true
	for _, one := range all {
		due := slices.ContainsFunc(readAges, func(age time.Duration) bool {
			return one.At.Add(age).After(s.round.from) && !one.At.Add(age).After(s.round.to)
		})
		if due && one.Key != "" {
			s.sent = append(s.sent, one)
		}
	}
	slices.SortStableFunc(s.sent, func(a, b Sent) int { return a.At.Compare(b.At) })
	return s.sent, nil
}

// reads: the place is when the thing was sent, how many of that moment were asked for, and the place among its readers.
func (s *Source) reads(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	due, err := s.dueSent(ctx)
	if err != nil {
		return nil, "", false, err
	}
	var since int64
	nth, inner := 0, ""
	if at != "" {
		if n, err := fmt.Sscanf(at, "%d %d", &since, &nth); n != 2 || err != nil || nth < 0 {
			return nil, "", false, source.RefuseCursor()
		}
		inner = at[min(len(at), len(fmt.Sprintf("%d %d ", since, nth))):]
	}
	i, _ := slices.BinarySearchFunc(due, since, func(one Sent, ms int64) int { return int(min(max(one.At.UnixMilli()-ms, -1), 1)) })
	if i += nth; i >= len(due) {
		return nil, "", false, nil
	}
	one := due[i]
	records, next, err := s.readersOf(ctx, &one, inner)
	if f := faultIn(err); f != nil && slices.Contains(findings, f.Kind) {
		records, next, err = []source.Record{s.gap("sent/"+one.Key, f)}, "", nil
	}
	if err != nil {
		return nil, "", false, err
	}
	if next != "" {
		return records, fmt.Sprintf("%d %d %s", one.At.UnixMilli(), sameMoment(due, i), next), true, nil
	}
	if i+1 == len(due) {
		return records, "", false, nil
	}
	return records, fmt.Sprintf("%d %d ", due[i+1].At.UnixMilli(), sameMoment(due, i+1)), true, nil
}

// sameMoment is how many things before this one were sent in its millisecond.
func sameMoment(due []Sent, i int) (n int) {
	for n < i && due[i-n-1].At.UnixMilli() == due[i].At.UnixMilli() {
		n++
	}
	return n
}

// readersOf asks for the readers of one thing.
func (s *Source) readersOf(ctx context.Context, one *Sent, inner string) ([]source.Record, string, error) {
	if !s.c.cfg.Now().Before(one.At.Add(readWindow)) {
		f := &Fault{Kind: NotFound, API: "read results", Code: "window-closed"}
		return []source.Record{s.gap("sent/"+one.Key, f)}, "", nil
	}
	switch one.Kind {
	case SentToPeople:
		return s.readByPeople(ctx, one)
	case SentToGroup:
		return s.readInGroup(ctx, one, inner)
	case SentNotification:
		return s.readNotification(ctx, one)
	}
	return nil, "", nil
}

func (s *Source) readByPeople(ctx context.Context, one *Sent) ([]source.Record, string, error) {
	a := args{}
	a.set(apiRobotRead, "robotCode", s.c.cfg.RobotCode)
	a.set(apiRobotRead, "processQueryKey", one.Key)
	p, err := s.c.page(ctx, s.feed.job, apiRobotRead, a, "")
	if err != nil {
		return nil, "", err
	}
	var unread []string
	readers := 0
	records := each(s, p, func(row struct {
		UserID text   `json:"userId"`
		Status text   `json:"readStatus"`
		At     number `json:"readTimestamp"`
	}, raw []byte,
	) []source.Record {
		switch {
		case row.UserID == "":
			return []source.Record{s.odd(raw, p.answer, 0)}
		case row.Status != "READ":
			unread = append(unread, string(row.UserID))
			return nil
		}
		readers++
		r := s.reader(one, string(row.UserID), raw, p.answer)
		if row.At > 0 { // documented as not supported
			inMillis(&r, row.At)
		}
		return []source.Record{r}
	})
	return append(records, s.counted(one, readers, unread, p.answer)), "", nil
}

func (s *Source) readInGroup(ctx context.Context, one *Sent, inner string) ([]source.Record, string, error) {
	p, err := s.c.page(ctx, s.feed.job, apiGroupRead, args{body: map[string]any{
		"processQueryKey": one.Key, "openConversationId": one.Conversation, "robotCode": s.c.cfg.RobotCode,
	}}, inner)
	if err != nil {
		return nil, "", err
	}
	records := each(s, p, func(id text, raw []byte) []source.Record {
		return []source.Record{s.reader(one, string(id), raw, p.answer)}
	})
	return records, p.next, nil
}

func (s *Source) readNotification(ctx context.Context, one *Sent) ([]source.Record, string, error) {
	task, err := strconv.ParseInt(one.Key, 10, 64)
	if err != nil {
		return nil, "", guia.Refuse(guia.Invalid, "dingtalk.bad_request", apiNotificationRead.String(), "task_id", "")
	}
	ans, err := s.c.call(ctx, s.feed.job, apiNotificationRead, args{body: map[string]any{"agent_id": s.c.cfg.AgentID, "task_id": task}})
	if err != nil {
		return nil, "", err
	}
	var result struct {
		Read   []text `json:"read_user_id_list"`
		Unread []text `json:"unread_user_id_list"`
	}
	value, err := dig(ans.body, "send_result")
	if err != nil || value != nil && !fits(value, &result) {
		return nil, "", (&Fault{Kind: Unexpected, API: apiNotificationRead.String(), Request: ans.request}).refusal()
	}
	var records []source.Record
	for _, id := range result.Read {
		raw, _ := json.Marshal(string(id)) // as it stands in the list
		records = append(records, s.reader(one, string(id), raw, ans))
	}
	var unread []string
	for _, id := range result.Unread {
		unread = append(unread, string(id))
	}
	return append(records, s.counted(one, len(result.Read), unread, ans)), "", nil
}

// reader is that somebody has read it.
func (s *Source) reader(one *Sent, user string, raw []byte, a *answer) source.Record {
	key := "sent/" + string(one.Kind) + "/" + one.Key
	r := s.record(guia.MessageRead, key+"/read/"+user, raw, a)
	r.Thread, r.TimeBasis = key, "none"
	if user != "" {
		r.Sender = source.Person{ID: user}
		r.Extra.Set("person.key", user)
	}
	return r
}

// counted is how many have read it and who has not; it changes until the window closes.
func (s *Source) counted(one *Sent, readers int, unread []string, a *answer) source.Record {
	key := "sent/" + string(one.Kind) + "/" + one.Key
	r := s.record(guia.ReadsCounted, key+"/reads", a.body, a)
	slices.Sort(unread)
	r.Thread, r.Members = key, unread
	r.Text = lines("read", strconv.Itoa(readers), "unread", strconv.Itoa(len(unread)))
	r.Extra.Set("count", strconv.Itoa(readers))
	return r
}
