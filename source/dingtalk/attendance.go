package dingtalk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"guia"
	"guia/source"
)

// feedAttendance tells of the results of clocking in and out (dingtalk-api.md 9). It asks for results, not for punches: those have places,
// networks and photographs, which nobody needs to pay wages.
var feedAttendance = &feed{"attendance", JobAttendance, 24 * time.Hour, []step{{"results", true, (*Source).attendance}}}

const (
	attendanceOverlap = 3 * 24 * time.Hour // results are corrected on the days after
	attendanceDays    = 7                  // a call takes so many, both ends included
	attendanceUsers   = 50
	attendanceLimit   = 180 // days back
)

// allUsers are the people whom the application may see, in an order that tells nothing about them and that newcomers do not upset.
func (s *Source) allUsers(ctx context.Context) ([]string, error) {
	if s.users != nil {
		return s.users, nil
	}
	t, err := s.loadTree(ctx)
	if err != nil {
		return nil, err
	}
	users := []string{}
	for _, dept := range t.numbers() {
		p, err := s.c.page(ctx, s.feed.job, apiUserIDs, args{body: map[string]any{"dept_id": int64(dept)}}, "")
		if err != nil {
			return nil, err
		}
		for _, raw := range p.rows {
			var id text
			if fits(raw, &id) && id != "" && len(users) < maxUsers {
				users = append(users, s.veil(string(id))+" "+string(id))
			}
		}
	}
	slices.Sort(users)
	s.users = slices.Compact(users)
	return s.users, nil
}

// veiled is the length of a veil in digits: enough to cut a list of people into pieces of fifty, too little to find anybody.
const veiled = 5

// veil is where a person stands in the order.
func (s *Source) veil(user string) string {
	mac := hmac.New(sha256.New, []byte(s.c.cfg.CorpID))
	mac.Write([]byte(user))
	return hex.EncodeToString(mac.Sum(nil))[:veiled]
}

// batch returns up to fifty people behind a veil, and the last veil among them. People of one veil stay together.
func batch(users []string, after string) (ids []string, last string, more bool) {
	from, _ := slices.BinarySearchFunc(users, after+"!", func(u, v string) int { // '!' sorts behind the blank and before digits
		if u[:veiled]+" " < v {
			return -1
		}
		return 1
	})
	if after == "" {
		from = 0
	}
	to := min(from+attendanceUsers, len(users))
	for to < len(users) && to > from+1 && users[to][:veiled] == users[to-1][:veiled] {
		to--
	}
	if from >= to {
		return nil, after, false
	}
	for _, u := range users[from:to] {
		ids = append(ids, u[veiled+1:])
	}
	return ids, users[to-1][:veiled], to < len(users)
}

// attendance: the place is the week, the veil behind which the fifty people stand, and the offset.
func (s *Source) attendance(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	users, err := s.allUsers(ctx)
	if err != nil {
		return nil, "", false, err
	}
	var week int
	after, offset := "", "0"
	if at != "" {
		if n, err := fmt.Sscanf(at, "%d %s %s", &week, &after, &offset); n != 3 || err != nil || week < 0 || len(after) > veiled || !digits(offset) {
			return nil, "", false, source.RefuseCursor()
		}
		if after == "-" {
			after = ""
		}
	}
	first := later(s.round.from.Add(-attendanceOverlap), s.round.to.AddDate(0, 0, -attendanceLimit+1)).In(serverTime)
	day := time.Date(first.Year(), first.Month(), first.Day()+week*attendanceDays, 0, 0, 0, 0, serverTime)
	end := s.round.to.In(serverTime)
	ids, last, more := batch(users, after)
	if len(ids) == 0 || day.After(end) {
		return nil, "", false, nil
	}
	until := time.Date(day.Year(), day.Month(), day.Day()+attendanceDays-1, 0, 0, 0, 0, serverTime)
	if until.After(end) {
		until = time.Date(end.Year(), end.Month(), end.Day(), 0, 0, 0, 0, serverTime)
	}
	p, err := s.c.page(ctx, s.feed.job, apiAttendance, args{body: map[string]any{
		"workDateFrom": day.Format(time.DateTime), "workDateTo": until.Format(time.DateTime), "userIdList": ids,
	}}, offset)
	if err != nil {
		return nil, "", false, err
	}
	records := each(s, p, func(row attendanceRow, raw []byte) []source.Record {
		return []source.Record{s.clocked(&row, raw, p.answer)}
	})
	veil := func(v string) string {
		if v == "" {
			return "-"
		}
		return v
	}
	switch {
	case p.more:
		return records, fmt.Sprintf("%d %s %s", week, veil(after), p.next), true, nil
	case more:
		return records, fmt.Sprintf("%d %s 0", week, last), true, nil
	case !day.AddDate(0, 0, attendanceDays).After(end):
		return records, fmt.Sprintf("%d - 0", week+1), true, nil
	}
	return records, "", false, nil
}

// attendanceRow is a row of attendance/list.
type attendanceRow struct {
	ID       text   `json:"id"`
	UserID   text   `json:"userId"`
	Day      number `json:"workDate"`
	Check    text   `json:"checkType"`
	Result   text   `json:"timeResult"`
	Location text   `json:"locationResult"`
	Kind     text   `json:"sourceType"`
	Planned  number `json:"baseCheckTime"`
	At       number `json:"userCheckTime"`
	Approval text   `json:"approveId"`
}

func (s *Source) clocked(row *attendanceRow, raw []byte, a *answer) source.Record {
	if row.UserID == "" || row.ID == "" {
		return s.odd(raw, a, 0)
	}
	r := s.record(guia.AttendanceChecked, "check/"+string(row.ID), raw, a)
	r.Sender = source.Person{ID: string(row.UserID)}
	inMillis(&r, row.At)
	if row.At > 0 {
		r.Thread = punchKey(row.UserID, text(row.At.String())) // as it was pushed, if it was
	}
	show := func(n number) string {
		if n <= 0 {
			return ""
		}
		return time.UnixMilli(int64(n)).In(serverTime).Format("2006-01-02 15:04:05 -07:00")
	}
	r.Text = lines("check", string(row.Check), "result", string(row.Result), "place", string(row.Location), "clocked", show(row.At),
		"planned", show(row.Planned), "by", string(row.Kind), "approval", string(row.Approval))
	r.Extra.Set("person.key", string(row.UserID))
	r.Extra.Set("action", string(row.Check))
	r.Extra.Set("status", string(row.Result))
	r.Extra.Set("platform", string(row.Kind))
	if row.Day > 0 {
		r.Extra.Set("valid.from", time.UnixMilli(int64(row.Day)).In(serverTime).Format(time.DateOnly))
	}
	return r
}
