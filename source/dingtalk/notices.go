package dingtalk

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"guia"
	"guia/source"
)

// feedNotices tells of announcements and of who has read them when (dingtalk-api.md 6).
var feedNotices = &feed{"notices", JobNotices, 24 * time.Hour, []step{{"notices", true, (*Source).notices}}}

// noticeAges are the ages at which an announcement is read again: people read late, and each reading costs calls.
var noticeAges = []time.Duration{0, 24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 30 * 24 * time.Hour}

// span is a time, both ends included, in whole seconds.
type span struct{ from, to time.Time }

const mostSpan = 180 * 24 * time.Hour // of one call

// dueSpans are the times in which the announcements were made that are due in a round. The call takes whole seconds, and nobody says whether
// the last one counts to its end: where a span ends, the next one begins, also in the next round. What is told twice is recognised.
func dueSpans(r round) []span {
	var due []span
	for _, age := range noticeAges {
		due = append(due, span{r.from.Add(-age).Truncate(time.Second), r.to.Add(-age).Truncate(time.Second)})
	}
	slices.SortFunc(due, func(a, b span) int { return a.from.Compare(b.from) })
	var out []span
	for _, d := range due {
		if n := len(out); n > 0 && !d.from.After(out[n-1].to.Add(time.Second)) {
			out[n-1].to = later(out[n-1].to, d.to)
			continue
		}
		out = append(out, d)
	}
	var cut []span
	for _, d := range out {
		for d.to.Sub(d.from) >= mostSpan {
			cut = append(cut, span{d.from, d.from.Add(mostSpan - time.Second)})
			d.from = d.from.Add(mostSpan - time.Second)
		}
		cut = append(cut, d)
	}
	return cut
}

// notices: the place is the span, the page of its list, the announcement on it, and the place among its readers.
func (s *Source) notices(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	spans := dueSpans(s.round)
	span, page, one, inner := 0, 1, 0, ""
	if at != "" {
		n, err := fmt.Sscanf(at, "%d %d %d", &span, &page, &one)
		if n != 3 || err != nil || span < 0 || span >= len(spans) || page < 1 || one < 0 {
			return nil, "", false, source.RefuseCursor()
		}
		inner = at[min(len(at), len(fmt.Sprintf("%d %d %d ", span, page, one))):]
	}
	p, err := s.noticeIDs(ctx, spans[span], strconv.Itoa(page))
	if err != nil {
		return nil, "", false, err
	}
	var records []source.Record
	var readers rowsPage
	if one < len(p.rows) {
		if records, readers, err = s.notice(ctx, p.rows[one], p.answer, inner); err != nil {
			return nil, "", false, err
		}
	}
	switch {
	case readers.more:
		return records, fmt.Sprintf("%d %d %d %s", span, page, one, readers.next), true, nil
	case one+1 < len(p.rows):
		return records, fmt.Sprintf("%d %d %d ", span, page, one+1), true, nil
	case p.more:
		return records, fmt.Sprintf("%d %d 0 ", span, page+1), true, nil
	case span+1 < len(spans):
		return records, fmt.Sprintf("%d 1 0 ", span+1), true, nil
	}
	return records, "", false, nil
}

// noticeIDs is a page of a list of announcements; the last one is remembered.
func (s *Source) noticeIDs(ctx context.Context, d span, page string) (rowsPage, error) {
	return s.keep(fmt.Sprintf("notices %d %s", d.from.Unix(), page), func() (rowsPage, error) {
		a := args{}
		a.set(apiNoticeIDs, "operation_userid", s.c.cfg.Operator)
		a.set(apiNoticeIDs, "start_time", d.from.In(serverTime).Format(time.DateTime))
		a.set(apiNoticeIDs, "end_time", d.to.In(serverTime).Format(time.DateTime))
		return s.c.page(ctx, s.feed.job, apiNoticeIDs, a, page)
	})
}

// keep remembers the last page of an outer list, so that going on inside of it costs no call.
func (s *Source) keep(what string, ask func() (rowsPage, error)) (rowsPage, error) {
	if p, ok := s.kept[what]; ok {
		return p, nil
	}
	p, err := ask()
	if err == nil {
		s.kept = map[string]rowsPage{what: p}
	}
	return p, err
}

// noticeRow is the answer of get_blackboard.
type noticeRow struct {
	ID       text   `json:"id"`
	Title    text   `json:"title"`
	Content  text   `json:"content"`
	Sender   text   `json:"senderStaffId"`
	Category text   `json:"categoryName"`
	Private  number `json:"privateLevel"`
	Created  text   `json:"gmtCreate"`
	Modified text   `json:"gmtModified"`
	Depts    []text `json:"depNameList"`
	Users    []struct {
		ID text `json:"staffId"`
	} `json:"userList"`
	Files []struct {
		Name text `json:"fileName"`
		Type text `json:"fileType"`
	} `json:"attachments"`
	Read   number `json:"readCount"`
	Unread number `json:"unReadCount"`
}

// notice tells of one announcement: with the first page of its readers of itself, and with every page of readers of these.
func (s *Source) notice(ctx context.Context, raw json.RawMessage, a *answer, inner string) ([]source.Record, rowsPage, error) {
	var id text
	if !fits(raw, &id) || id == "" {
		return []source.Record{s.odd(raw, a, 0)}, rowsPage{}, nil
	}
	key := "notice/" + string(id)
	var records []source.Record
	if inner == "" {
		q := args{}
		q.set(apiNotice, "operationUserId", s.c.cfg.Operator)
		q.set(apiNotice, "blackboardId", string(id))
		ans, err := s.c.call(ctx, s.feed.job, apiNotice, q)
		if f := faultIn(err); f != nil && f.Kind == NotFound { // deleted meanwhile
			return []source.Record{s.gap(key, f)}, rowsPage{}, nil
		}
		if err != nil {
			return nil, rowsPage{}, err
		}
		var row noticeRow
		if !fits(ans.body, &row) {
			return []source.Record{s.odd(ans.body, ans, 0)}, rowsPage{}, nil
		}
		records = s.published(key, &row, ans)
	}
	q := args{}
	q.set(apiReaders, "operationUserId", s.c.cfg.Operator)
	q.set(apiReaders, "blackboardId", string(id))
	p, err := s.c.page(ctx, s.feed.job, apiReaders, q, inner)
	if f := faultIn(err); f != nil && slices.Contains(findings, f.Kind) { // the operator is neither main administrator nor the sender
		return append(records, s.gap(key+"/readers", f)), rowsPage{}, nil
	}
	if err != nil {
		return nil, rowsPage{}, err
	}
	records = append(records, each(s, p, func(row struct {
		UserID text   `json:"userId"`
		Read   flag   `json:"read"`
		At     number `json:"readTimestamp"`
	}, raw []byte,
	) []source.Record {
		if row.UserID == "" {
			return []source.Record{s.odd(raw, p.answer, 0)}
		}
		if !row.Read {
			return nil
		}
		r := s.record(guia.NoticeRead, key+"/read/"+string(row.UserID), raw, p.answer)
		r.Sender = source.Person{ID: string(row.UserID)}
		inMillis(&r, row.At)
		r.Thread = key
		r.Extra.Set("person.key", string(row.UserID))
		return []source.Record{r}
	})...)
	return records, p, nil
}

// published is an announcement and the count of its readers, which are two facts: the one stands, the other grows.
func (s *Source) published(key string, row *noticeRow, a *answer) []source.Record {
	r := s.record(guia.NoticePublished, key, a.body, a)
	if row.Sender != "" {
		r.Sender = source.Person{ID: string(row.Sender)}
	}
	inWords(&r, string(row.Created))
	r.Subject, r.Text = string(row.Title), string(row.Content)
	for _, d := range row.Depts {
		r.Recipients = append(r.Recipients, string(d))
	}
	for _, u := range row.Users {
		r.Recipients = append(r.Recipients, string(u.ID))
	}
	for _, f := range row.Files {
		r.Files = append(r.Files, source.File{Name: string(cmp.Or(f.Name, "?")), Size: -1, Missing: "not asked for: the drive feed tells of files"})
	}
	r.Extra.Set("status", string(row.Modified))
	c := s.record(guia.ReadsCounted, key+"/reads", []byte(fmt.Sprintf(`{"readCount":%d,"unReadCount":%d}`, row.Read, row.Unread)), a)
	c.Thread = key
	c.Text = lines("read", row.Read.String(), "unread", row.Unread.String())
	c.Extra.Set("count", row.Read.String())
	return []source.Record{r, c}
}
