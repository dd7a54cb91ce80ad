package dingtalk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/source"
	"guia/source/dingtalk"
	"guia/source/sourcetest"
)

func find(t *testing.T, records []source.Record, key string) source.Record {
	t.Helper()
	i := slices.IndexFunc(records, func(r source.Record) bool { return r.Key == key })
	if i < 0 {
		t.Fatalf("no record %s among %d", key, len(records))
	}
	return records[i]
}

func conform(t *testing.T, f *tenant, feed string, opt dingtalk.Options, least int, canaries ...string) []source.Record {
	t.Helper()
	sourcetest.Run(t, func(*testing.T) source.Source { return f.feed(feed, opt) }, sourcetest.Options{MinRecords: least, Canaries: canaries})
	records := sourcetest.All(t, f.feed(feed, opt))
	for _, r := range records {
		if r.Extra.Get("api") == "" || r.Type != guia.SourceGap && r.Extra.Get("clock.offset") != "2000" {
			t.Errorf("%s does not say where it came from: %v", r.Key, r.Extra)
		}
	}
	return records
}

func TestDirectoryConforms(t *testing.T) {
	f := newTenant(t)
	f.company()
	records := conform(t, f, "directory", dingtalk.Options{}, 230, canaryName, canaryPhone, canaryID)

	who := find(t, records, "user/"+canaryID)
	if who.Sender.Department != "工程部; Contabilidade" || who.Extra.Get("phone.class") != "other" || !strings.Contains(who.Text, "hired: 2020-01-01") {
		t.Errorf("%+v", who)
	}
	for key, want := range map[string]string{"user/user001": "86", "user/user002": "unknown"} {
		if got := find(t, records, key).Extra.Get("phone.class"); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if d := find(t, records, "department/2"); d.Extra.Get("department.parent") != "1" || d.Subject != "工程部" {
		t.Errorf("%+v", d)
	}
	if r := find(t, records, "role/501"); !slices.Equal(r.Members, []string{canaryID}) {
		t.Errorf("%q", r.Members)
	}
	if r := find(t, records, "role/system/1"); !slices.Equal(r.Members, []string{"manager1"}) {
		t.Errorf("%q", r.Members)
	}
	if r := find(t, records, "left/gone2/2026-11-02T01:02:03Z"); r.Type != guia.PersonLeft || r.Extra.Get("valid.until") != "2026-11-02" {
		t.Errorf("%+v", r)
	}
	gaps := slices.DeleteFunc(records, func(r source.Record) bool { return r.Type != guia.SourceGap })
	if len(gaps) != 1 || !strings.Contains(string(gaps[0].Raw), `"odd":true`) {
		t.Errorf("the odd row is not one gap: %+v", gaps)
	}
}

func TestWhatIsNotGrantedIsAGapAndTheRestIsRead(t *testing.T) {
	f := newTenant(t)
	f.company()
	f.fail = func(q request) (int, string) {
		if q.path == "/v1.0/contact/empLeaveRecords" {
			return 403, `{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","message":"Wong may not","requestid":"r-9","accessdenieddetail":{"requiredScopes":["Contact.Common.Read"]}}`
		}
		return 0, ""
	}
	records := sourcetest.All(t, f.feed("directory", dingtalk.Options{}))
	gap := find(t, records, "gap/leavers")
	if gap.Subject != "permission" || !strings.Contains(gap.Text, "Contact.Common.Read") || strings.Contains(gap.Text+string(gap.Raw), "Wong") {
		t.Errorf("%+v", gap)
	}
	find(t, records, "user/user229")
}

func TestAttendanceConforms(t *testing.T) {
	f := newTenant(t)
	f.company()
	weeks := map[string]bool{}
	f.answer["/attendance/list"] = func(q request) any {
		users, _ := q.arg["userIdList"].([]any)
		if len(users) == 0 || len(users) > 50 || q.number("limit") != 50 {
			t.Errorf("%d users, limit %d", len(users), q.number("limit"))
		}
		from, err1 := time.Parse(time.DateTime, q.text("workDateFrom"))
		to, err2 := time.Parse(time.DateTime, q.text("workDateTo"))
		if days := to.Sub(from).Hours()/24 + 1; err1 != nil || err2 != nil || days < 1 || days > 7 {
			t.Errorf("from %s to %s", q.text("workDateFrom"), q.text("workDateTo"))
		}
		weeks[q.text("workDateFrom")+q.text("workDateTo")] = true
		var rows []string
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			for _, u := range users {
				ms := day.Add(time.Hour).UnixMilli() // 09:00 in Macau
				rows = append(rows, fmt.Sprintf(`{"id":"%d%x","userId":%q,"checkType":"OnDuty","timeResult":"Late","locationResult":"Normal","sourceType":"USER","workDate":%d,"baseCheckTime":%d,"userCheckTime":"%d"}`,
					day.Unix(), u, u, ms-9*3600_000, ms, ms+60_000))
			}
		}
		at := q.number("offset")
		return fmt.Sprintf(`{"errcode":0,"errmsg":"ok","hasMore":%t,"recordresult":%s}`, at+50 < len(rows), slice(rows, at, 50))
	}
	opt := dingtalk.Options{Backfill: 6 * 24 * time.Hour} // and 3 days of overlap: 11 to 17 November and the rest to the 20th
	records := conform(t, f, "attendance", opt, 230*10, canaryID)
	if len(records) != 230*10 {
		t.Errorf("%d records, want 2300", len(records))
	}
	if !weeks["2026-11-11 00:00:002026-11-17 00:00:00"] || !weeks["2026-11-18 00:00:002026-11-20 00:00:00"] || len(weeks) != 2 {
		t.Errorf("asked for %v", weeks)
	}
	r := records[0]
	if r.Extra.Get("status") != "Late" || r.Time.Precision != guia.Millisecond || !strings.Contains(r.Text, "planned: 2026-11-1") {
		t.Errorf("%+v", r)
	}
}

// log answers as fileAuditLogs does: ascending, behind both values of the last row.
func logRows(n int) (rows []string) {
	for i := range n {
		rows = append(rows, fmt.Sprintf(`{"bizId":"%d","gmtCreate":%d,"userId":%q,"realName":%q,"action":%d,"actionView":"下载","platformView":"Windows","ipAddress":"203.0.113.9","resource":"合約 %s %d.pdf","resourceSize":12,"targetSpaceId":%d,"receiverName":"Cliente"}`,
			9_000_000_000_000_000+i, now.Add(-20*time.Hour).UnixMilli()+int64(i/3), canaryID, canaryName, i%36, canaryName, i, 77))
	}
	return rows
}

func (f *tenant) fileLog(rows *[]string) {
	f.answer["/v1.0/exclusive/fileAuditLogs"] = func(q request) any {
		if (q.arg["nextGmtCreate"] == nil) != (q.arg["nextBizId"] == nil) {
			f.t.Error("nextGmtCreate and nextBizId must come together")
		}
		var page []string
		for _, raw := range *rows {
			var row struct {
				BizID     string `json:"bizId"`
				GmtCreate int    `json:"gmtCreate"`
			}
			if err := json.Unmarshal([]byte(raw), &row); err != nil {
				f.t.Error(err)
			}
			behind := row.GmtCreate > q.number("nextGmtCreate") || row.GmtCreate == q.number("nextGmtCreate") && row.BizID > q.text("nextBizId")
			if row.GmtCreate >= q.number("startDate") && row.GmtCreate < q.number("endDate") && (q.arg["nextBizId"] == nil || behind) && len(page) < q.number("pageSize") {
				page = append(page, raw)
			}
		}
		return `{"list":[` + strings.Join(page, ",") + `]}`
	}
}

func TestFileLogConforms(t *testing.T) {
	f := newTenant(t)
	rows := logRows(1207)
	f.fileLog(&rows)
	records := conform(t, f, "filelog", dingtalk.Options{}, 1207, canaryName, canaryID)
	if len(records) != 1207 {
		t.Errorf("%d records", len(records))
	}
	for key, want := range map[string]guia.Type{
		"log/9000000000000000": guia.FileUploaded, "log/9000000000000002": guia.FileDownloaded, "log/9000000000000005": guia.FileShared,
		"log/9000000000000012": guia.FileExported, "log/9000000000000020": guia.AccessChanged, "log/9000000000000032": guia.FileDownloaded,
		"log/9000000000000035": guia.RecordKept, // an action nobody documents
	} {
		if r := find(t, records, key); r.Type != want || r.Extra.Get("ip") != "203.0.113.9" {
			t.Errorf("%s: %s, want %s", key, r.Type, want)
		}
	}
}

func TestLateRowsOfTheLogAreNotLost(t *testing.T) {
	f := newTenant(t)
	rows := logRows(3)
	f.fileLog(&rows)
	clock := now
	c := f.client(func(cfg *dingtalk.Config) { cfg.Now = func() time.Time { return clock } })
	s, err := dingtalk.Open(c, "filelog", dingtalk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Pull(context.Background(), "")
	if err != nil || len(first.Records) != 3 || !first.Done {
		t.Fatalf("%d records, done %t, %v", len(first.Records), first.Done, err)
	}
	rows = append(rows, strings.Replace(logRows(3)[1], "9000000000000001", "8999999999999999", 1)) // before what was read, told later
	clock = clock.Add(30 * time.Minute)
	calls := f.count("/v1.0/exclusive/fileAuditLogs")
	early, err := s.Pull(context.Background(), first.Next)
	if err != nil || len(early.Records) != 0 || !early.Done || f.count("/v1.0/exclusive/fileAuditLogs") != calls {
		t.Fatalf("before it is due: %d records, %v", len(early.Records), err)
	}
	clock = clock.Add(4 * time.Hour)
	next, err := s.Pull(context.Background(), early.Next)
	if err != nil {
		t.Fatal(err)
	}
	find(t, next.Records, "log/8999999999999999")
	find(t, next.Records, "log/9000000000000000") // told again under its key
}

func TestNoticesConform(t *testing.T) {
	f := newTenant(t)
	made := map[string]time.Time{}
	for i := range 33 {
		made[fmt.Sprintf("n%02d", i)] = now.Add(-time.Duration(i) * 30 * time.Hour)
	}
	f.answer["/topapi/blackboard/listids"] = func(q request) any {
		inner, _ := q.arg["query_request"].(map[string]any)
		q.arg = inner
		from, err1 := time.ParseInLocation(time.DateTime, q.text("start_time"), macau)
		to, err2 := time.ParseInLocation(time.DateTime, q.text("end_time"), macau)
		if err1 != nil || err2 != nil || q.text("operation_userid") != "manager1" || to.Sub(from) > 180*24*time.Hour {
			t.Errorf("%v", q.arg)
		}
		var ids []string
		for id, at := range made {
			if !at.Before(from) && !at.After(to) {
				ids = append(ids, `"`+id+`"`)
			}
		}
		slices.Sort(ids)
		return old(slice(ids, (q.number("page")-1)*q.number("page_size"), q.number("page_size")))
	}
	f.answer["/v1.0/blackboard/get_blackboard"] = func(q request) any {
		id := q.text("blackboardId")
		return fmt.Sprintf(`{"id":%q,"title":"通告 %s","content":"請閱讀 %s","senderStaffId":"manager1","gmtCreate":%q,"readCount":501,"unReadCount":"2","privateLevel":0,"depNameList":["工程部"],"attachments":[{"fileName":"a.pdf"}]}`,
			id, id, canaryName, made[id].In(macau).Format(time.DateTime))
	}
	var people []string
	for i := range 503 {
		people = append(people, fmt.Sprintf(`{"userId":%q,"read":"%t","readTimestamp":%d}`, id(i), i > 1, now.UnixMilli()-int64(i)))
	}
	f.answer["/v1.0/blackboard/readers"] = func(q request) any {
		if q.text("blackboardId") != "n01" {
			return `{"users":` + slice(people, 0, 5) + `}`
		}
		if q.text("nextToken") == "second" {
			return `{"users":` + slice(people, 500, 500) + `,"nextToken":""}`
		}
		return `{"users":` + slice(people, 0, 500) + `,"nextToken":"second"}`
	}
	records := conform(t, f, "notices", dingtalk.Options{}, 31*5+503, canaryName)
	n := find(t, records, "notice/n01")
	if n.Type != guia.NoticePublished || n.Subject != "通告 n01" || n.Time.String() != "2026-11-18T22:00:00Z" || n.TimeBasis != "assumed" {
		t.Errorf("%+v", n)
	}
	r := find(t, records, "notice/n01/read/user502")
	if r.Type != guia.NoticeRead || r.Time.Time.UnixMilli() != now.UnixMilli()-502 || r.Sender.ID != "user502" {
		t.Errorf("%+v", r)
	}
	if c := find(t, records, "notice/n32/reads"); c.Extra.Get("count") != "501" || c.Text != "read: 501\nunread: 2" {
		t.Errorf("%+v", c)
	}
	if slices.ContainsFunc(records, func(r source.Record) bool { return strings.HasSuffix(r.Key, "/read/user001") }) {
		t.Error("somebody who has not read is told as a reader")
	}
	if got := f.count("/topapi/blackboard/listids"); got == 0 {
		t.Error("the list was not asked for")
	}
}

var macau = time.FixedZone("", 8*3600)
