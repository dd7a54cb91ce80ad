package dingtalk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"guia"
	"guia/source"
)

// feedMeetings tells of meetings, of who took part, and of recordings with the region in which they lie (dingtalk-api.md 11); of recordings
// neither picture, sound nor words. The list of meetings is known from the SDK only.
var feedMeetings = &feed{"meetings", JobMeetings, 24 * time.Hour, []step{{"meetings", true, (*Source).meetings}}}

// meetingOverlap: a meeting is listed when it ends.
const meetingOverlap = 6 * time.Hour

// meetings: the place is the meeting on the page, the place among its members, and the page of the list.
func (s *Source) meetings(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	one, page, inner := 0, "", ""
	if at != "" {
		var cut int
		if n, err := fmt.Sscanf(at, "%d %d", &one, &cut); n != 2 || err != nil || one < 0 || cut < 0 {
			return nil, "", false, source.RefuseCursor()
		}
		rest := at[min(len(at), len(fmt.Sprintf("%d %d ", one, cut))):]
		if cut > len(rest) {
			return nil, "", false, source.RefuseCursor()
		}
		inner, page = rest[:cut], rest[cut:]
	}
	p, err := s.keep("meetings "+page, func() (rowsPage, error) {
		a := args{}
		a.set(apiMeetings, "startTime", s.round.from.Add(-meetingOverlap).UnixMilli())
		a.set(apiMeetings, "endTime", s.round.to.UnixMilli())
		a.set(apiMeetings, "realData", "true")
		return s.c.page(ctx, s.feed.job, apiMeetings, a, page)
	})
	if err != nil {
		return nil, "", false, err
	}
	var records []source.Record
	next := ""
	if one < len(p.rows) {
		if records, next, err = s.meeting(ctx, p, one, inner); err != nil {
			return nil, "", false, err
		}
	}
	switch {
	case next != "":
		return records, fmt.Sprintf("%d %d %s%s", one, len(next), next, page), true, nil
	case one+1 < len(p.rows):
		return records, fmt.Sprintf("%d 0 %s", one+1, page), true, nil
	case p.more:
		return records, "0 0 " + p.next, true, nil
	}
	return records, "", false, nil
}

// meeting tells of one meeting: first of itself and its recordings, then of its members page by page.
func (s *Source) meeting(ctx context.Context, p rowsPage, one int, inner string) ([]source.Record, string, error) {
	raw := p.rows[one]
	var row struct {
		ID      text   `json:"conferenceId"`
		Title   text   `json:"title"`
		Creator text   `json:"creatorId"`
		Nick    text   `json:"creatorNick"`
		Dept    text   `json:"deptName"`
		Scene   text   `json:"scene"`
		Start   number `json:"startTime"`
		End     number `json:"endTime"`
		Length  number `json:"timeLength"`
		People  number `json:"userCount"`
	}
	if !fits(raw, &row) || row.ID == "" {
		return []source.Record{s.odd(raw, p.answer, one)}, "", nil
	}
	key := "meeting/" + string(row.ID)
	var records []source.Record
	if inner == "" {
		r := s.record(guia.MeetingHeld, key, raw, p.answer)
		if row.Creator != "" {
			r.Sender = source.Person{ID: unionPrefix + string(row.Creator), Name: string(row.Nick), Department: string(row.Dept)}
		}
		inMillis(&r, row.Start)
		r.Subject = string(row.Title)
		r.Text = lines("title", string(row.Title), "scene", string(row.Scene), "start", row.Start.String(), "end", row.End.String(),
			"length", row.Length.String(), "people", row.People.String())
		r.Extra.Set("count", row.People.String())
		records = append(records, r)
		more, err := s.recordings(ctx, key, string(row.ID))
		if err != nil {
			return nil, "", err
		}
		records = append(records, more...)
	}
	m, err := s.c.page(ctx, s.feed.job, apiMeetingMembers, args{path: []string{string(row.ID)}}, inner)
	if f := faultIn(err); f != nil && slices.Contains(findings, f.Kind) {
		return append(records, s.gap(key+"/members", f)), "", nil
	}
	if err != nil {
		return nil, "", err
	}
	records = append(records, each(s, m, func(who member, raw []byte) []source.Record {
		if who.UnionID == "" && who.Nick == "" {
			return []source.Record{s.odd(raw, m.answer, 0)}
		}
		return []source.Record{s.joined(key, &who, raw, m.answer)}
	})...)
	return records, m.next, nil
}

// unionPrefix marks an identifier of a person across organisations; the directory's entries name both.
const unionPrefix = "union:"

// member is a row of the members of a meeting.
type member struct {
	UnionID text   `json:"unionId"`
	Nick    text   `json:"userNick"`
	Host    flag   `json:"host"`
	CoHost  flag   `json:"coHost"`
	Outer   flag   `json:"outerOrgMember"`
	Phone   flag   `json:"pstnJoin"`
	Join    number `json:"joinTime"`
	Leave   number `json:"leaveTime"`
	Length  number `json:"duration"`
}

func (s *Source) joined(key string, who *member, raw []byte, a *answer) source.Record {
	id := unionPrefix + string(who.UnionID)
	if who.UnionID == "" { // a guest, or a telephone
		id = string(who.Nick)
	}
	r := s.record(guia.MeetingJoined, key+"/member/"+id+"/"+who.Join.String(), raw, a)
	r.Sender = source.Person{ID: id, Name: string(who.Nick)}
	inMillis(&r, who.Join)
	r.Thread = key
	r.Text = lines("host", yes(who.Host), "co-host", yes(who.CoHost), "of another organisation", yes(who.Outer), "by telephone", yes(who.Phone),
		"left", who.Leave.String(), "length", who.Length.String())
	r.Extra.Set("person.key", id)
	if who.Outer {
		r.Extra.Set("status", "outside")
	}
	return r
}

// recordings tells of the recordings of a meeting, and where they lie.
func (s *Source) recordings(ctx context.Context, key, id string) ([]source.Record, error) {
	a := args{path: []string{id}}
	a.set(apiRecordings, "unionId", s.c.cfg.OperatorUnion)
	p, err := s.c.page(ctx, s.feed.job, apiRecordings, a, "")
	if f := faultIn(err); f != nil && f.Kind == NotFound {
		return nil, nil // it was not recorded
	} else if f != nil && slices.Contains(findings, f.Kind) {
		return []source.Record{s.gap(key+"/recordings", f)}, nil
	}
	if err != nil {
		return nil, err
	}
	return each(s, p, func(row struct {
		ID     text   `json:"recordId"`
		Media  text   `json:"mediaId"`
		Region text   `json:"regionId"`
		Length number `json:"duration"`
		Size   number `json:"fileSize"`
		Start  number `json:"startTime"`
		Owner  text   `json:"unionId"`
	}, raw []byte,
	) []source.Record {
		if row.ID == "" && row.Media == "" {
			return []source.Record{s.odd(raw, p.answer, 0)}
		}
		r := s.record(guia.RecordingSeen, key+"/recording/"+string(row.ID)+"/"+string(row.Media), raw, p.answer)
		if row.Owner != "" {
			r.Sender = source.Person{ID: unionPrefix + string(row.Owner)}
		}
		inMillis(&r, row.Start)
		r.Thread = key
		r.Text = lines("region", string(row.Region), "length", row.Length.String(), "size", row.Size.String())
		r.Extra.Set("item.key", string(row.Media))
		r.Extra.Set("item.type", "recording")
		inRegion(&r, string(row.Region), "regionId of the recording")
		return []source.Record{r}
	}), nil
}
