package dingtalk_test

import (
	"context"
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

func TestReadResultsConform(t *testing.T) {
	f := newTenant(t)
	sent := []dingtalk.Sent{
		{Kind: dingtalk.SentToPeople, Key: "a+b/c=", At: now.Add(-90 * time.Minute)},
		{Kind: dingtalk.SentToGroup, Key: "g1", Conversation: "cid1", At: now.Add(-7 * time.Hour)},
		{Kind: dingtalk.SentToGroup, Key: "g2", Conversation: "cid1", At: now.Add(-7 * time.Hour)},
		{Kind: dingtalk.SentNotification, Key: "77", At: now.Add(-2 * time.Hour)},
		{Kind: dingtalk.SentToPeople, Key: "new", At: now.Add(-time.Minute)},    // too early to ask
		{Kind: dingtalk.SentToPeople, Key: "old", At: now.Add(-25 * time.Hour)}, // too late
	}
	f.answer["/v1.0/robot/oToMessages/readStatus"] = func(q request) any {
		if q.text("processQueryKey") != "a+b/c=" || q.text("robotCode") != "robot1" {
			t.Errorf("asked for %v", q.arg)
		}
		return fmt.Sprintf(`{"sendStatus":"SUCESS","messageReadInfoList":[{"userId":%q,"name":%q,"readStatus":"READ","readTimestamp":0},{"userId":"u2","readStatus":"UNREAD"}]}`, canaryID, canaryName)
	}
	f.answer["/v1.0/robot/groupMessages/query"] = func(q request) any {
		if q.text("openConversationId") != "cid1" {
			t.Errorf("asked for %v", q.arg)
		}
		if q.text("nextToken") == "2" {
			return `{"sendStatus":"SUCCESS","readUserIds":["u3"],"hasMore":false}`
		}
		return `{"sendStatus":"SUCCESS","readUserIds":["u1","u2"],"hasMore":true,"nextToken":"2"}`
	}
	f.answer["/topapi/message/corpconversation/getsendresult"] = func(q request) any {
		if q.number("task_id") != 77 || q.number("agent_id") != 7 {
			t.Errorf("asked for %v", q.arg)
		}
		return `{"errcode":0,"errmsg":"ok","request_id":"r","send_result":{"read_user_id_list":["u1"],"unread_user_id_list":["u3","u2"]}}`
	}
	opt := dingtalk.Options{Sent: func(context.Context, time.Time, time.Time) ([]dingtalk.Sent, error) { return sent, nil }}
	records := conform(t, f, "reads", opt, 10, canaryID)
	r := find(t, records, "sent/people/a+b/c=/read/"+canaryID)
	if r.Type != guia.MessageRead || r.HasTime {
		t.Errorf("%+v", r)
	}
	if c := find(t, records, "sent/notification/77/reads"); !slices.Equal(c.Members, []string{"u2", "u3"}) || c.Extra.Get("count") != "1" {
		t.Errorf("%+v", c)
	}
	find(t, records, "sent/group/g1/read/u3")
	find(t, records, "sent/group/g2/read/u3")
	if g := find(t, records, "gap/sent/old"); !strings.Contains(g.Extra.Get("reason"), "window-closed") {
		t.Errorf("%+v", g)
	}
	if slices.ContainsFunc(records, func(r source.Record) bool { return strings.Contains(r.Key, "/new") }) {
		t.Error("asked before it is due")
	}
}

func TestEachThingSentIsAskedForAtEachAgeOnce(t *testing.T) {
	f := newTenant(t)
	f.answer["/v1.0/robot/oToMessages/readStatus"] = func(request) any { return `{"messageReadInfoList":[{"userId":"u2","readStatus":"UNREAD"}]}` }
	clock := now
	sent := []dingtalk.Sent{{Kind: dingtalk.SentToPeople, Key: "k", At: now.Add(10 * time.Minute)}}
	c := f.client(func(cfg *dingtalk.Config) { cfg.Now = func() time.Time { return clock } })
	s, err := dingtalk.Open(c, "reads", dingtalk.Options{Sent: func(context.Context, time.Time, time.Time) ([]dingtalk.Sent, error) { return sent, nil }})
	if err != nil {
		t.Fatal(err)
	}
	var at source.Cursor
	for range 4 * 30 { // a day and a quarter, every quarter of an hour
		p, err := s.Pull(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		at, clock = p.Next, clock.Add(15*time.Minute)
	}
	if n := f.count("/v1.0/robot/oToMessages/readStatus"); n != 3 {
		t.Errorf("asked %d times, want after 1, 6 and 22 hours", n)
	}
}

func TestMeetingsConform(t *testing.T) {
	f := newTenant(t)
	var meetings []string
	for i := range 60 {
		meetings = append(meetings, fmt.Sprintf(`{"conferenceId":"c%02d","title":"例會 %s","creatorId":"U1","creatorNick":%q,"startTime":%d,"endTime":%d,"userCount":3}`,
			i, canaryName, canaryName, now.Add(-time.Hour).UnixMilli(), now.UnixMilli()))
	}
	f.answer["/v1.0/conference/videoConferences/histories/dataLists"] = func(q request) any {
		if q.text("realData") != "true" || q.number("endTime") != int(now.UnixMilli()) {
			t.Errorf("%v", q.arg)
		}
		if q.text("nextToken") == "t 2" {
			return `{"list":` + slice(meetings, 50, 50) + `}`
		}
		return `{"list":` + slice(meetings, 0, 50) + `,"nextToken":"t 2"}`
	}
	for i := range 60 {
		path := fmt.Sprintf("/v1.0/conference/videoConferences/c%02d/", i)
		f.answer[path+"members"] = func(q request) any {
			if q.text("nextToken") == "m2" {
				return fmt.Sprintf(`{"memberModels":[{"userNick":"Convidado","outerOrgMember":true,"joinTime":%d}]}`, now.UnixMilli())
			}
			return fmt.Sprintf(`{"memberModels":[{"unionId":"U1","userNick":"A","host":true,"joinTime":%d}],"nextToken":"m2","totalCount":2}`, now.UnixMilli())
		}
		f.answer[path+"cloudRecords/getVideos"] = func(q request) any {
			if q.text("unionId") != "unionmanager1" {
				t.Errorf("%v", q.arg)
			}
			switch i {
			case 1:
				return `{"videoList":[{"recordId":"r1","mediaId":"m1","regionId":"cn-shenzhen","duration":1000,"fileSize":5,"startTime":1650000000000,"unionId":"U1"}]}`
			case 2:
				return `{"videoList":[{"recordId":"r2","mediaId":"m2","regionId":"mars-1"}]}`
			}
			return `{}`
		}
	}
	records := conform(t, f, "meetings", dingtalk.Options{}, 60*3+2, canaryName)
	if r := find(t, records, "meeting/c01/recording/r1/m1"); r.Extra.Get("region") != "cn-shenzhen" || r.Extra.Get("place") != "CN" {
		t.Errorf("%+v", r)
	}
	if r := find(t, records, "meeting/c02/recording/r2/m2"); r.Extra.Get("region") != "mars-1" || r.Extra.Get("place") != "" {
		t.Errorf("a place was guessed: %+v", r)
	}
	if r := find(t, records, fmt.Sprintf("meeting/c59/member/Convidado/%d", now.UnixMilli())); r.Extra.Get("status") != "outside" {
		t.Errorf("%+v", r)
	}
}

func TestDriveConforms(t *testing.T) {
	f := newTenant(t)
	f.answer["/v1.0/drive/spaces"] = func(q request) any {
		if q.text("unionId") != "unionmanager1" || q.text("spaceType") != "org" {
			t.Errorf("%v", q.arg)
		}
		if q.text("nextToken") == "s2" {
			return `{"spaces":[{"spaceId":"3","spaceName":"closed","spaceType":"org"}],"nextToken":""}`
		}
		return `{"spaces":[{"spaceId":"1","spaceName":"工程","spaceType":"org","createTime":"2022-07-29T14:55Z"},{"spaceId":2,"spaceName":"empty"}],"nextToken":"s2"}`
	}
	var files []string
	for i := range 120 {
		files = append(files, fmt.Sprintf(`{"id":"%d","uuid":"u%d","spaceId":"1","parentId":"0","type":%q,"name":"合約 %s %d.pdf","size":7,"version":1,"status":"NORMAL","creatorId":"U1","modifiedTime":"2022-01-01T10:00:00Z","partitionType":"PUBLIC_OSS_PARTITION","storageDriver":"DINGTALK"}`,
			i, i, map[bool]string{true: "FOLDER", false: "FILE"}[i == 0], canaryName, i))
	}
	f.answer["/v1.0/storage/spaces/1/dentries/listAll"] = func(q request) any {
		option, _ := q.arg["option"].(map[string]any)
		at := 0
		_, _ = fmt.Sscanf(fmt.Sprint(option["nextToken"]), "f%d", &at)
		if at+50 < len(files) {
			return fmt.Sprintf(`{"dentries":%s,"nextToken":"f%d"}`, slice(files, at, 50), at+50)
		}
		return `{"dentries":` + slice(files, at, 50) + `}`
	}
	f.answer["/v1.0/storage/spaces/2/dentries/listAll"] = func(request) any { return `{}` }
	f.answer["/v1.0/storage/spaces/1/dentries/1/downloadInfos/query"] = func(request) any {
		return `{"protocol":"HEADER_SIGNATURE","headerSignatureInfo":{"resourceUrls":["https://oss/x?sig=opens-the-file"],"headers":{"Authorization":"OSS key:sig"},"expirationSeconds":900,"region":"ZHANGJIAKOU"}}`
	}
	f.fail = func(q request) (int, string) {
		if q.path == "/v1.0/storage/spaces/3/dentries/listAll" {
			return 403, `{"code":"permissionDenied","message":"x","requestid":"r"}`
		}
		return 0, ""
	}
	records := conform(t, f, "drive", dingtalk.Options{}, 125, canaryName)
	if r := find(t, records, "region/1/PUBLIC_OSS_PARTITION"); r.Extra.Get("place") != "CN" || r.Extra.Get("region") != "ZHANGJIAKOU" || string(r.Raw) != `"ZHANGJIAKOU"` {
		t.Errorf("%+v", r)
	}
	if r := find(t, records, "gap/space/3"); r.Subject != "acting-user" {
		t.Errorf("%+v", r)
	}
	if r := find(t, records, "file/1/0"); r.Extra.Get("item.type") != "folder" || r.Extra.Get("item.parent") != "1/0" {
		t.Errorf("%+v", r)
	}
	for _, r := range records {
		if strings.Contains(string(r.Raw), "opens-the-file") {
			t.Error("an address that opens a file was kept")
		}
	}
	if n := f.count("/v1.0/storage/spaces/1/dentries/2/downloadInfos/query"); n != 0 {
		t.Error("each file was asked for its region")
	}
}

func TestRosterCountsAndKeepsNoValue(t *testing.T) {
	f := newTenant(t)
	const value = "1234567(8)-canary"
	f.answer["/topapi/smartwork/hrm/roster/meta/get"] = func(q request) any {
		if q.number("agentid") != 7 {
			t.Errorf("%v", q.arg)
		}
		return old(`[{"group_id":"sys02","group_name":"個人信息","detail":false,"field_meta_info_list":[{"field_code":"sys02-certNo","field_name":"證件號碼"},{"field_code":"sys02-marriage","field_name":"婚姻"}]}]`)
	}
	f.answer["/topapi/smartwork/hrm/employee/queryonjob"] = func(q request) any {
		if q.number("offset") == 0 {
			return old(`{"data_list":["u0","u1"],"next_cursor":2}`)
		}
		return old(`{"data_list":["u2"]}`)
	}
	f.answer["/v1.0/hrm/rosters/lists/query"] = func(q request) any {
		users, _ := q.arg["userIdList"].([]any)
		var rows []string
		for i, u := range users {
			filled := ""
			if i < 2 {
				filled = value
			}
			rows = append(rows, fmt.Sprintf(`{"userId":%q,"fieldDataList":[{"groupId":"sys02","fieldCode":"sys02-certNo","fieldValueList":[{"itemIndex":0,"label":"","value":%q}]}]}`, u, filled))
		}
		return `{"result":[` + strings.Join(rows, ",") + `]}`
	}
	sourcetest.Run(t, func(*testing.T) source.Source { return f.feed("roster", dingtalk.Options{CountRoster: true}) }, sourcetest.Options{MinRecords: 2, OnePage: true})
	records := sourcetest.All(t, f.feed("roster", dingtalk.Options{CountRoster: true}))
	r := find(t, records, "field/sys02/sys02-certNo")
	if r.Extra.Get("count.filled") != "2" || r.Extra.Get("count") != "3" || find(t, records, "field/sys02/sys02-marriage").Extra.Get("count.filled") != "0" {
		t.Errorf("%+v", r)
	}
	for _, r := range records {
		if strings.Contains(fmt.Sprintf("%+v %s", r, r.Raw), value) {
			t.Errorf("a value was kept: %+v", r)
		}
	}
	before := f.count("/v1.0/hrm/rosters/lists/query")
	if r := find(t, sourcetest.All(t, f.feed("roster", dingtalk.Options{})), "field/sys02/sys02-certNo"); r.Extra.Get("count.filled") != "" || f.count("/v1.0/hrm/rosters/lists/query") != before {
		t.Errorf("values were read without being asked to: %+v", r)
	}
}

func TestSmartHRThatIsNotOpenIsAFact(t *testing.T) {
	f := newTenant(t)
	f.fail = func(q request) (int, string) {
		if strings.Contains(q.path, "oauth2") {
			return 0, ""
		}
		return 400, `{"code":"corpNotOpenHrm","message":"x"}`
	}
	records := sourcetest.All(t, f.feed("roster", dingtalk.Options{}))
	if g := find(t, records, "gap/fields"); g.Subject != "edition" {
		t.Errorf("%+v", g)
	}
}

func TestWhereOnlyADepartmentIsGrantedItIsRead(t *testing.T) {
	f := newTenant(t)
	f.company()
	whole := f.answer["/topapi/v2/department/listsub"]
	f.answer["/topapi/v2/department/listsub"] = func(q request) any {
		if q.number("dept_id") == 1 {
			return `{"errcode":50004,"errmsg":"x"}`
		}
		return whole(q)
	}
	f.answer["/auth/scopes"] = func(request) any {
		return `{"errcode":0,"errmsg":"ok","auth_org_scopes":{"authed_user":[],"authed_dept":[2]}}`
	}
	f.answer["/topapi/v2/department/get"] = func(q request) any {
		return old(fmt.Sprintf(`{"dept_id":%d,"name":"工程部","parent_id":1}`, q.number("dept_id")))
	}
	records := sourcetest.All(t, f.feed("directory", dingtalk.Options{}))
	find(t, records, "department/2")
	find(t, records, "department/10")
	find(t, records, "user/"+canaryID)
	if slices.ContainsFunc(records, func(r source.Record) bool { return r.Key == "department/3" || r.Key == "user/user002" }) {
		t.Error("something outside of the scope was told")
	}
}

func TestAProbeSaysWhatIsGranted(t *testing.T) {
	f := newTenant(t)
	f.company()
	f.fail = func(q request) (int, string) {
		if q.path == "/topapi/role/list" {
			return 200, `{"errcode":88,"sub_code":"60011","errmsg":"x"}`
		}
		return 0, ""
	}
	granted, err := f.client().Probe(context.Background(), "directory")
	if err != nil || len(granted) != 5 {
		t.Fatalf("%+v, %v", granted, err)
	}
	for _, g := range granted {
		refused := strings.Contains(g.API, "role/list")
		if (g.Err != nil) != refused || refused && !strings.Contains(g.Err.Error(), "qyapi_get_department_list") {
			t.Errorf("%+v", g)
		}
	}
}

func TestDingTalksOwnCountIsBelieved(t *testing.T) {
	f := newTenant(t)
	f.answer["/v1.0/microApp/resources/useInfos"] = func(q request) any {
		if q.text("startTime") != "202611" || q.text("benefitCode") != "api_count" {
			t.Errorf("%v", q.arg)
		}
		return `[[{"period":"202611","usedNum":"1234","quotaNum":5000}]]`
	}
	c := f.client()
	used, quota, err := c.CountUsage(context.Background())
	if u, _ := c.Usage(); err != nil || used != 1234 || quota != 5000 || u.Spent() != 1234 {
		t.Errorf("%d of %d, %+v, %v", used, quota, u, err)
	}
}
