package dingtalktest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"guia/dingtalktest"
)

// walkDirectory reads everybody as a connector would: departments from the root down, then the members of each.
func walkDirectory(c *client, size int) (depts []string, users []string) {
	c.t.Helper()
	queue := []json.Number{"1"}
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		depts = append(depts, id.String())
		for _, d := range dig(c.t, c.ok("POST", "/topapi/v2/department/listsub", map[string]any{"dept_id": id}), "result").([]any) {
			queue = append(queue, dig(c.t, d, "dept_id").(json.Number))
		}
		for cursor := json.Number("0"); ; {
			o := dig(c.t, c.ok("POST", "/topapi/v2/user/list", map[string]any{"dept_id": id, "cursor": cursor, "size": size}), "result").(map[string]any)
			for _, u := range o["list"].([]any) {
				users = append(users, dig(c.t, u, "userid").(string))
			}
			if o["has_more"] != true {
				break
			}
			cursor = o["next_cursor"].(json.Number)
		}
	}
	return depts, users
}

func TestTheDirectoryIsWholeAndTheSameForTheSameSeed(t *testing.T) {
	for _, x := range []struct {
		size  string
		staff int
		limit int
	}{{"S", 12, 2}, {"M", 300, 7}, {"L", 30_000, 0}} {
		tenant := dingtalktest.New(dingtalktest.Company{Seed: 9, Size: x.size}, dingtalktest.Options{QPS: -1, PageLimit: x.limit})
		c := start(t, tenant)
		_, users := walkDirectory(c, 100)
		total, err := dig(t, c.ok("POST", "/topapi/user/count", map[string]any{"only_active": false}), "result", "count").(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		unique := slices.Compact(slices.Sorted(slices.Values(users)))
		if len(users) != int(total) || len(unique) != len(users) {
			t.Errorf("%s: got %d users, %d of them different, want %d", x.size, len(users), len(unique), total)
		}
		left := 0
		for token, more := "0", true; more; {
			o := c.ok("GET", "/v1.0/hrm/employees/dismissions?maxResults=50&nextToken="+token, nil)
			left += len(o["userIdList"].([]any))
			token, more = o["nextToken"].(json.Number).String(), o["hasMore"] == true
		}
		if len(users) != x.staff || left != x.staff*4/100 {
			t.Errorf("%s: got %d here and %d gone, want %d and %d", x.size, len(users), left, x.staff, x.staff*4/100)
		}
		if x.size == "L" {
			continue
		}
		again := start(t, dingtalktest.New(dingtalktest.Company{Seed: 9, Size: x.size}, dingtalktest.Options{QPS: -1}))
		if _, others := walkDirectory(again, 100); !slices.Equal(users, others) {
			t.Errorf("%s: the same seed gave other people", x.size)
		}
		body := map[string]any{"userid": users[3]}
		if a, b := c.ok("POST", "/topapi/v2/user/get", body), again.ok("POST", "/topapi/v2/user/get", body); fmt.Sprint(a["result"]) != fmt.Sprint(b["result"]) {
			t.Errorf("%s: the same seed gave another person:\n%v\n%v", x.size, a["result"], b["result"])
		}
	}
}

func TestSomebodyWhoJoinsMovesAndLeavesIsSeenInEachCall(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{Size: "M"}, dingtalktest.Options{QPS: -1})
	c := start(t, tenant)
	in := func(dept json.Number) []string {
		return texts(dig(t, c.ok("POST", "/topapi/user/listid", map[string]any{"dept_id": dept}), "result", "userid_list"))
	}
	subs := dig(t, c.ok("POST", "/topapi/v2/department/listsub", nil), "result").([]any)
	a, b := dig(t, subs[0], "dept_id").(json.Number), dig(t, subs[1], "dept_id").(json.Number)
	ai, _ := a.Int64()
	bi, _ := b.Int64()
	id := tenant.Join(ai)
	if !slices.Contains(in(a), id) {
		t.Error("somebody who joined is not listed")
	}
	tenant.Move(id, bi)
	if slices.Contains(in(a), id) || !slices.Contains(in(b), id) {
		t.Error("somebody who moved is not where they went")
	}
	tenant.Move(id, ai)
	if !slices.Contains(in(a), id) || slices.Contains(in(b), id) {
		t.Error("somebody who came back is not where they went")
	}
	tenant.Leave(id, "试用期不合格")
	if slices.Contains(in(a), id) {
		t.Error("somebody who left is still listed")
	}
	if _, o := c.do("POST", "/topapi/v2/user/get", map[string]any{"userid": id}); o["errcode"] != json.Number("60121") {
		t.Errorf("got %v, want 60121", o)
	}
	gone := dig(t, c.ok("GET", "/v1.0/hrm/employees/dimissionInfos?userIdList="+escape(`["`+id+`"]`), nil), "result").([]any)
	if len(gone) != 1 || texts(dig(t, gone[0], "passiveReason"))[0] != "试用期不合格" {
		t.Errorf("got %v, want who left and why", gone)
	}
}

// auditWalk pages through the file audit log by the last row's key.
func auditWalk(c *client, tenant *dingtalktest.Tenant, size int, between func()) []string {
	c.t.Helper()
	var ids []string
	key := ""
	for {
		o := c.ok("GET", fmt.Sprintf("/v1.0/exclusive/fileAuditLogs?startDate=0&endDate=%d&pageSize=%d%s", tenant.Clock().Now().UnixMilli(), size, key), nil)
		rows := o["list"].([]any)
		for _, r := range rows {
			ids = append(ids, dig(c.t, r, "bizId").(string)) // a text here, an integer in the query
		}
		if len(rows) < size {
			return ids
		}
		last := rows[len(rows)-1]
		key = fmt.Sprintf("&nextGmtCreate=%v&nextBizId=%v", dig(c.t, last, "gmtCreate"), dig(c.t, last, "bizId"))
		between()
	}
}

func TestTheAuditLogIsWalkedByKey(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{Size: "M"}, dingtalktest.Options{Edition: dingtalktest.Exclusive, History: 7, QPS: -1})
	c := start(t, tenant)
	all := auditWalk(c, tenant, 500, func() {})
	small := auditWalk(c, tenant, 7, func() {})
	if len(all) < 100 || !slices.Equal(all, small) {
		t.Errorf("got %d rows by 500 and %d by 7", len(all), len(small))
	}
	days := 0
	grown := auditWalk(c, tenant, 50, func() {
		if days++; days == 2 {
			tenant.Do(tenant.Clock().Now())
			c.token = c.login(c.app)
		}
	})
	if len(grown) <= len(all) || !slices.Equal(grown[:len(all)], all) {
		t.Errorf("rows that were added while walking changed those before: %d, then %d", len(all), len(grown))
	}
	for query, code := range map[string]string{"pageSize=501": "param.invalid", "pageSize=10&nextBizId=1": "param.error"} {
		if status, o := c.do("GET", "/v1.0/exclusive/fileAuditLogs?startDate=0&endDate=1&"+query, nil); status != 400 || o["code"] != code {
			t.Errorf("%s: got %d %v, want %s", query, status, o, code)
		}
	}
}

func TestAttendanceIsInShanghaiTimeAndForSevenDays(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{Size: "M"}, dingtalktest.Options{QPS: -1})
	c := start(t, tenant)
	_, users := walkDirectory(c, 100)
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, dingtalktest.Shanghai)
	asked := map[string]any{"userIds": users[:50], "checkDateFrom": "2026-11-20 00:00:00", "checkDateTo": "2026-11-20 23:59:59"}
	rows := c.ok("POST", "/attendance/listRecord", asked)["recordresult"].([]any)
	if len(rows) < 60 {
		t.Fatalf("got %d punches of 50 people", len(rows))
	}
	for _, r := range rows {
		ms, err := dig(t, r, "userCheckTime").(json.Number).Int64()
		if at := time.UnixMilli(ms); err != nil || at.Before(day) || !at.Before(day.AddDate(0, 0, 1)) {
			t.Errorf("a punch of %s came for the 20th in Shanghai", at)
		}
	}
	var paged []any
	for offset := 0; ; offset += 20 {
		o := c.ok("POST", "/attendance/list", map[string]any{
			"userIdList": users[:50], "workDateFrom": "2026-11-20 00:00:00", "workDateTo": "2026-11-20 00:00:00", "offset": offset, "limit": 20,
		})
		paged = append(paged, o["recordresult"].([]any)...)
		if o["hasMore"] != true {
			break
		}
	}
	if len(paged) < len(rows) {
		t.Errorf("got %d results of the day's %d punches", len(paged), len(rows))
	}
	asked["checkDateFrom"] = "2026-11-10 00:00:00"
	if _, o := c.do("POST", "/attendance/listRecord", asked); o["errcode"] != json.Number("40035") {
		t.Errorf("got %v for eleven days, want 40035", o)
	}
	asked["checkDateFrom"], asked["userIds"] = "2026-11-20 00:00:00", users[:51]
	if _, o := c.do("POST", "/attendance/listRecord", asked); o["errcode"] != json.Number("33012") {
		t.Errorf("got %v for 51 people, want 33012", o)
	}
}

func TestAnAnnouncementHasNoIDUntilItIsLookedFor(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{PageLimit: 5, QPS: -1})
	c := start(t, tenant)
	admin := tenant.Cast()["admin"]
	o := c.ok("POST", "/topapi/blackboard/create", map[string]any{"create_request": map[string]any{
		"operation_userid": admin, "title": "私隱政策", "content": "請閱讀", "private_level": 0, "blackboard_receiver": map[string]any{"deptid_list": []int{-1}},
	}})
	if o["success"] != true || o["result"] != true {
		t.Errorf("got %v, want success and no id", o)
	}
	ids := texts(c.ok("POST", "/topapi/blackboard/listids", map[string]any{"query_request": map[string]any{"operation_userid": admin, "page": 1, "page_size": 30}})["result"])
	if len(ids) != 1 {
		t.Fatalf("got %v, want one id", ids)
	}
	where := "?operationUserId=" + admin + "&blackboardId=" + ids[0]
	if b := c.ok("GET", "/v1.0/blackboard/get_blackboard"+where, nil); b["title"] != "私隱政策" || b["gmtCreate"] != "2026-11-23 09:00:00" {
		t.Errorf("got %v, want the announcement with its moment in Shanghai", b)
	}
	tenant.Clock().Advance(90 * time.Minute)
	read, all := 0, 0
	for token := ""; ; {
		r := c.ok("GET", "/v1.0/blackboard/readers"+where+"&maxResults=500&nextToken="+escape(token), nil)
		for _, u := range r["users"].([]any) {
			all++
			switch _, at := u.(map[string]any)["readTimestamp"]; dig(t, u, "read") {
			case "true":
				read++
				if !at {
					t.Error("somebody read at no moment")
				}
			case "false":
			default:
				t.Errorf("got %v, want a text", u)
			}
		}
		if token, _ = r["nextToken"].(string); token == "" {
			break
		}
	}
	b := c.ok("GET", "/v1.0/blackboard/get_blackboard"+where, nil)
	if all != 12 || read == 0 || read == 12 || b["readCount"] != json.Number(strconv.Itoa(read)) {
		t.Errorf("got %d readers, %d of whom have read, and %v", all, read, b)
	}
	if status, o := c.do("GET", "/v1.0/blackboard/readers?maxResults=5&operationUserId="+tenant.Cast()["accountant"]+"&blackboardId="+ids[0], nil); status != 403 || o["code"] != "accessDenied" {
		t.Errorf("got %d %v for somebody who is no administrator", status, o)
	}
}

func TestWorkNoticesVanishSilentlyAndAreReadableForADay(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{QPS: -1, TokenLife: 240 * time.Hour})
	c := start(t, tenant)
	send := func(text string) json.Number {
		return c.ok("POST", "/topapi/message/corpconversation/asyncsend_v2", map[string]any{
			"agent_id": c.app.AgentID, "to_all_user": true, "userid_list": "nobody", "msg": map[string]any{"msgtype": "text", "text": map[string]any{"content": text}},
		})["task_id"].(json.Number)
	}
	ask := func(call string, id json.Number) map[string]any {
		return c.ok("POST", "/topapi/message/corpconversation/"+call, map[string]any{"agent_id": c.app.AgentID, "task_id": id})
	}
	id := send("請閱讀 2026-11-23")
	if p := dig(t, ask("getsendprogress", id), "progress", "status"); p != json.Number("0") {
		t.Errorf("got progress %v at once, want 0", p)
	}
	same := send("請閱讀 2026-11-23")
	tenant.Clock().Advance(5 * time.Hour)
	if p := dig(t, ask("getsendprogress", id), "progress", "progress_in_percent"); p != json.Number("100") {
		t.Errorf("got %v%%, want 100", p)
	}
	r := dig(t, ask("getsendresult", id), "send_result").(map[string]any)
	if read, unread := texts(r["read_user_id_list"]), texts(r["unread_user_id_list"]); len(read)+len(unread) != 12 || len(read) == 0 {
		t.Errorf("got %d read and %d unread of 12", len(read), len(unread))
	}
	if bad := texts(r["invalid_user_id_list"]); len(bad) != 1 || bad[0] != "nobody" {
		t.Errorf("got invalid %v", bad)
	}
	r = dig(t, ask("getsendresult", same), "send_result").(map[string]any)
	if lost := r["forbidden_list"].([]any); len(lost) != 12 || dig(t, lost[0], "code") != "143106" {
		t.Errorf("got %v, want twelve duplicates", lost)
	}
	tenant.Clock().Advance(20 * time.Hour)
	if _, o := c.do("POST", "/topapi/message/corpconversation/getsendresult", map[string]any{"agent_id": c.app.AgentID, "task_id": id}); o["errcode"] != json.Number("400002") {
		t.Errorf("got %v after 25 hours, want a refusal", o)
	}
}

func TestRobotMessagesAreReadInsideOfADay(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{QPS: -1, TokenLife: 240 * time.Hour})
	c := start(t, tenant)
	_, users := walkDirectory(c, 100)
	spelt := map[any]bool{}
	var key string
	for i := range 12 {
		o := c.ok("POST", "/v1.0/robot/oToMessages/batchSend", map[string]any{
			"robotCode": c.app.RobotCode, "userIds": append(slices.Clone(users), "nobody"), "msgKey": "sampleText", "msgParam": fmt.Sprintf(`{"content":"%d"}`, i),
		})
		key = o["processQueryKey"].(string)
		if bad := texts(o["invalidStaffIdList"]); len(bad) != 1 {
			t.Errorf("got invalid %v", bad)
		}
		spelt[c.ok("GET", "/v1.0/robot/oToMessages/readStatus?robotCode="+c.app.RobotCode+"&processQueryKey="+escape(key), nil)["sendStatus"]] = true
	}
	if !spelt["SUCCESS"] || !spelt["SUCESS"] || len(spelt) != 2 {
		t.Errorf("got %v, want both spellings", spelt)
	}
	tenant.Clock().Advance(4 * time.Hour)
	path := "/v1.0/robot/oToMessages/readStatus?robotCode=" + c.app.RobotCode + "&processQueryKey=" + escape(key)
	states := map[any]int{}
	for _, u := range c.ok("GET", path, nil)["messageReadInfoList"].([]any) {
		states[dig(t, u, "readStatus")]++
	}
	if states["READ"] == 0 || states["READ"]+states["UNREAD"] != len(users) {
		t.Errorf("got %v of %d", states, len(users))
	}
	tenant.Clock().Advance(21 * time.Hour)
	if status, o := c.do("GET", path, nil); status != 400 || o["code"] != "processQueryKey.expireTime" {
		t.Errorf("got %d %v after 25 hours", status, o)
	}
}

func TestBytesNeedTheSignedHeadersInTime(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{QPS: -1, PageLimit: 3})
	c := start(t, tenant)
	me := dig(t, c.ok("POST", "/topapi/v2/user/get", map[string]any{"userid": tenant.Cast()["admin"]}), "result", "unionid").(string)
	regions, archived, bytes := map[any]int{}, 0, 0
	var get *http.Request
	for token := ""; ; {
		o := c.ok("GET", "/v1.0/drive/spaces?spaceType=org&maxResults=50&unionId="+me+"&nextToken="+escape(token), nil)
		for _, s := range o["spaces"].([]any) {
			id := dig(t, s, "spaceId").(string)
			for _, f := range tree(c, id, "0", me) {
				path := "/v1.0/storage/spaces/" + id + "/dentries/" + f + "/downloadInfos/query?unionId=" + me
				status, info := c.do("POST", path, nil)
				if info["code"] == "fileArchived" {
					archived++
					status, info = c.do("POST", path, nil)
				}
				if status != 200 {
					t.Fatalf("got %d %v", status, info)
				}
				sig := dig(t, info, "headerSignatureInfo").(map[string]any)
				regions[sig["region"]]++
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, texts(sig["resourceUrls"])[0], nil)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(req.URL.String(), c.api.URL) {
					t.Error("files are on the same port as the interface")
				}
				for k, v := range sig["headers"].(map[string]any) {
					req.Header.Set(k, v.(string))
				}
				get = req
				code, body := fetch(c, req)
				if code != 200 || len(body) == 0 {
					t.Errorf("got %d and %d bytes", code, len(body))
				}
				bytes += len(body)
			}
		}
		if token = o["nextToken"].(string); token == "" {
			break
		}
	}
	if archived != 1 || len(regions) < 4 || bytes < 10_000 {
		t.Errorf("got %d archived, regions %v, %d bytes", archived, regions, bytes)
	}
	bad := get.Clone(t.Context())
	bad.Header.Set("Authorization", "OSS x:y")
	if code, _ := fetch(c, bad); code != 403 {
		t.Errorf("got %d with a wrong signature, want 403", code)
	}
	tenant.Clock().Advance(16 * time.Minute)
	if code, _ := fetch(c, get); code != 403 {
		t.Errorf("got %d after 16 minutes, want 403", code)
	}
}

func fetch(c *client, req *http.Request) (int, []byte) {
	resp, err := c.files.Client().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, b
}

// tree are the files below a folder.
func tree(c *client, space, parent, me string) (files []string) {
	for token := ""; ; {
		o := c.ok("GET", "/v1.0/storage/spaces/"+space+"/dentries?maxResults=50&parentId="+parent+"&unionId="+me+"&nextToken="+escape(token), nil)
		for _, d := range o["dentries"].([]any) {
			if dig(c.t, d, "type") == "FOLDER" {
				files = append(files, tree(c, space, dig(c.t, d, "id").(string), me)...)
			} else {
				files = append(files, dig(c.t, d, "id").(string))
			}
		}
		if token = o["nextToken"].(string); token == "" {
			return files
		}
	}
}

func TestAPageCanLoseRowsComeTwiceAndLieAboutTheNext(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{QPS: -1, PageLimit: 4})
	c := start(t, tenant)
	admin := tenant.Cast()["admin"]
	path := "/v1.0/blackboard/readers?maxResults=500&operationUserId=" + admin + "&blackboardId=" + tenant.Announce("a", "b")
	page := func(token string) ([]string, string) {
		o := c.ok("GET", path+"&nextToken="+escape(token), nil)
		var ids []string
		for _, u := range o["users"].([]any) {
			ids = append(ids, dig(t, u, "userId").(string))
		}
		return ids, o["nextToken"].(string)
	}
	order := func(k dingtalktest.Kind) {
		tenant.Order(dingtalktest.Trouble{Kind: k, Path: "/v1.0/blackboard/readers", Times: 1})
	}
	good, token := page("")
	order(dingtalktest.DropRow)
	if got, _ := page(""); len(got) != len(good)-1 {
		t.Errorf("got %d rows, want one less than %d", len(got), len(good))
	}
	order(dingtalktest.DuplicateRow)
	if got, _ := page(""); len(got) != len(good)+1 {
		t.Errorf("got %d rows, want one more than %d", len(got), len(good))
	}
	order(dingtalktest.ReorderRows)
	got, _ := page("")
	if slices.Reverse(got); !slices.Equal(got, good) {
		t.Errorf("got %v backwards, want %v", got, good)
	}
	order(dingtalktest.LoopToken)
	if _, next := page(token); next != token {
		t.Errorf("got token %s, want the one that was sent", next)
	}
	order(dingtalktest.DeadToken)
	_, dead := page("")
	if status, o := c.do("GET", path+"&nextToken="+escape(dead), nil); status != 400 {
		t.Errorf("got %d %v for a dead token", status, o)
	}
	order(dingtalktest.CutAnswer)
	if _, raw := c.raw("GET", path, nil); json.Valid(raw) {
		t.Errorf("got whole JSON %s, want half", raw)
	}
	order(dingtalktest.Hang)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.api.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh := &http.Transport{DisableKeepAlives: true} // a connection that was used before is tried again without a word
	if resp, err := fresh.RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Error("a hanging call was answered")
	}
	if again, _ := page(""); !slices.Equal(again, good) {
		t.Error("trouble went on after its time")
	}
}

func TestADelegatedExportShowsWhatThatPersonSees(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	salesman, manager, hr := tenant.Cast()["salesman"], tenant.Cast()["salesmanager"], tenant.Cast()["hr"]
	var both []string
	for _, id := range tenant.Conversations(salesman) {
		if slices.Contains(tenant.Conversations(manager), id) && !slices.Contains(tenant.Conversations(hr), id) {
			both = append(both, id)
		}
	}
	now := tenant.Clock().Now()
	var o struct {
		Complete bool
		Count    int
		Messages []struct{ MessageID, SenderID, Text, CreateTime string }
	}
	raw := tenant.Delegated(salesman, both[len(both)-1], now.AddDate(0, -1, 0), now)
	if err := json.Unmarshal(raw, &o); err != nil || !o.Complete || o.Count != 8 || len(o.Messages) != 8 {
		t.Fatalf("got %s, %v, want the eight messages of the dispute", raw, err)
	}
	for i, m := range o.Messages {
		if _, err := time.Parse(time.DateTime, m.CreateTime); err != nil || m.MessageID == "" || i > 0 && m.CreateTime > o.Messages[i-1].CreateTime {
			t.Errorf("got %+v at %d", m, i)
		}
	}
	if raw := tenant.Delegated(hr, both[len(both)-1], now.AddDate(0, -1, 0), now); strings.Contains(string(raw), "86,400") {
		t.Error("somebody sees a conversation of others")
	}
}

func TestNobodyIsInAMeetingTwice(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{QPS: -1, History: 5})
	c := start(t, tenant)
	from := tenant.Clock().Now().AddDate(0, 0, -6).UnixMilli()
	list := c.ok("GET", fmt.Sprintf("/v1.0/conference/videoConferences/histories/dataLists?startTime=%d&endTime=%d&realData=true", from, tenant.Clock().Now().UnixMilli()), nil)
	rows := list["list"].([]any)
	for _, row := range rows {
		id := row.(map[string]any)["conferenceId"].(string)
		seen := map[any]bool{}
		for _, m := range c.ok("GET", "/v1.0/conference/videoConferences/"+id+"/members", nil)["memberModels"].([]any) {
			who := m.(map[string]any)["unionId"]
			if seen[who] {
				t.Errorf("%v is in %s twice", who, id)
			}
			seen[who] = true
		}
	}
	if len(rows) < 3 {
		t.Errorf("%d meetings", len(rows))
	}
}
