package dingtalktest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guia/dingtalktest"
)

// shape is a type of the SDK's index: a scalar letter, an object, a list or a map.
type shape struct {
	scalar string // s, b, i32, i64, f32, f64, any
	fields map[string]shape
	needed []string
	list   *shape
	values *shape // of a map
}

// operations reads the answers of the official SDK's index; path and action stand in its first line.
func operations(t *testing.T) map[string]shape {
	t.Helper()
	data := os.Getenv("GUIA_TESTDATA")
	if data == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("GUIA_TESTDATA is not set, and with CI=true the index of the SDK must be there")
		}
		t.Skip("NOT TESTED: GUIA_TESTDATA is not set: answers are not compared with the SDK's types")
	}
	raw, err := os.ReadFile(filepath.Join(data, "..", "reference", "dingtalk-sdk-ops.txt"))
	if err != nil {
		t.Skipf("NOT TESTED: answers are not compared with the SDK's types: %v", err)
	}
	all, err := index(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// index reads the text of the index.
func index(text string) (map[string]shape, error) {
	all := map[string]shape{}
	name := ""
	for line := range strings.Lines(text) {
		switch answer, ok := strings.CutPrefix(line, "   res: "); {
		case ok && name != "":
			p := &parser{rest: strings.TrimSpace(answer)}
			all[name] = p.fields()
			if p.rest != "" {
				return nil, fmt.Errorf("%s: cannot read %q", name, p.rest)
			}
		case strings.HasPrefix(line, " "), strings.HasPrefix(line, "#"), strings.TrimSpace(line) == "":
		default:
			w := strings.Fields(line)
			name = w[0] + " " + w[1]
			if strings.HasSuffix(strings.TrimSpace(line), "bt=array") {
				name = ""
			}
		}
	}
	return all, nil
}

// parser reads the index's notation: name*:type, name{…}, name[]{…}, namemap[s][]{…}, list:[]s, map:map[s]any.
type parser struct{ rest string }

func (p *parser) take(prefix string) bool {
	after, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = after
	}
	return ok
}

func (p *parser) fields() shape {
	s := shape{fields: map[string]shape{}}
	for p.rest != "" && p.rest[0] != '}' {
		end := strings.IndexAny(p.rest, "*:{[,}")
		if at := strings.Index(p.rest, "map[s]"); at > 0 && at < end {
			end = at
		}
		if end <= 0 {
			return s
		}
		name := p.rest[:end]
		p.rest = p.rest[end:]
		if p.take("*") {
			s.needed = append(s.needed, name)
		}
		p.take(":")
		s.fields[name] = p.kind()
		p.take(",")
		p.rest = strings.TrimLeft(p.rest, " ")
	}
	return s
}

func (p *parser) kind() shape {
	switch {
	case p.take("[]"):
		inner := p.kind()
		return shape{list: &inner}
	case p.take("map[s]"):
		inner := p.kind()
		return shape{values: &inner}
	case p.take("{"):
		s := p.fields()
		p.take("}")
		return s
	}
	end := strings.IndexAny(p.rest, ",}")
	if end < 0 {
		end = len(p.rest)
	}
	s := shape{scalar: p.rest[:end]}
	p.rest = p.rest[end:]
	return s
}

// faults says where a value is not of a shape.
func (s shape) faults(at string, v any) []string {
	var out []string
	switch {
	case s.list != nil:
		list, ok := v.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, want a list", at, v)}
		}
		for i, e := range list {
			out = append(out, s.list.faults(fmt.Sprintf("%s[%d]", at, i), e)...)
		}
	case s.values != nil, s.fields != nil:
		o, ok := v.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, want an object", at, v)}
		}
		for _, n := range s.needed {
			if _, ok := o[n]; !ok {
				out = append(out, at+"."+n+" is missing")
			}
		}
		for k, e := range o {
			switch f, known := s.fields[k]; {
			case s.values != nil:
				out = append(out, s.values.faults(at+"."+k, e)...)
			case !known:
				out = append(out, at+"."+k+" is not in the SDK")
			default:
				out = append(out, f.faults(at+"."+k, e)...)
			}
		}
	case s.scalar == "s":
		if _, ok := v.(string); !ok {
			return []string{fmt.Sprintf("%s is %T, want text", at, v)}
		}
	case s.scalar == "b":
		if _, ok := v.(bool); !ok {
			return []string{fmt.Sprintf("%s is %T, want a boolean", at, v)}
		}
	case s.scalar == "i32", s.scalar == "i64":
		if n, ok := v.(json.Number); !ok || strings.ContainsAny(n.String(), ".eE") {
			return []string{fmt.Sprintf("%s is %v, want a whole number", at, v)}
		}
	}
	return out
}

func TestTheCheckerSeesWrongTypes(t *testing.T) {
	p := &parser{rest: `list[]{a:s, b*:i64}, appPropertiesmap[s][]{name:s}, deep{list:[]s, extra:map[s]any}`}
	s := p.fields()
	for answer, want := range map[string]int{
		`{"list":[{"a":"x","b":1}],"appProperties":{"k":[{"name":"n"}]},"deep":{"list":["x"],"extra":{"q":1}}}`: 0,
		`{"list":[{"a":1,"b":1}]}`:                 1,
		`{"list":[{"a":"x"}]}`:                     1,
		`{"list":{"a":"x"}}`:                       1,
		`{"more":1}`:                               1,
		`{"deep":{"list":[1]}}`:                    1,
		`{"list":[{"b":1.5}]}`:                     1,
		`{"appProperties":{"k":[{"name":1}]}}`:     1,
		`{"list":[{"b":"1"}],"deep":{"list":"x"}}`: 2,
	} {
		var v any
		d := json.NewDecoder(strings.NewReader(answer))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if got := s.faults("", v); len(got) != want {
			t.Errorf("%s: got %v, want %d faults", answer, got, want)
		}
	}
}

// TestAnswersHaveTheTypesOfTheSDK asks every call of the new dialect that the official SDK has, and compares what comes.
func TestAnswersHaveTheTypesOfTheSDK(t *testing.T) {
	ops := operations(t)
	tenant := dingtalktest.New(dingtalktest.Company{Seed: 3}, dingtalktest.Options{Edition: dingtalktest.Exclusive, History: 10, QPS: -1})
	c := start(t, tenant)
	asked := map[string]bool{}
	for _, x := range newCalls(c, tenant) {
		s, ok := ops[x.name]
		if !ok {
			t.Errorf("%s is not in the SDK", x.name)
			continue
		}
		asked[x.name] = true
		method, _, _ := strings.Cut(x.name, " ")
		o := c.ok(method, x.path, x.body)
		for _, f := range s.faults("", o) {
			t.Errorf("%s: %s", x.name, f)
		}
		if x.rows != "" && len(dig(t, o, strings.Split(x.rows, ".")...).([]any)) == 0 {
			t.Errorf("%s: %s is empty, so nothing was compared: %v", x.name, x.rows, o)
		}
	}
	// users/me needs a user's token: it is judged where the login is tested. useInfos answers with an array, which is compared as text.
	for _, e := range tenant.Endpoints() {
		if _, known := ops[e]; known && !asked[e] {
			t.Errorf("%s was not compared", e)
		}
	}
}

type newCall struct {
	name, path string
	body       any
	rows       string // must not be empty
}

func newCalls(c *client, tenant *dingtalktest.Tenant) []newCall {
	admin := tenant.Cast()["admin"]
	me := dig(c.t, c.ok("POST", "/topapi/v2/user/get", map[string]any{"userid": admin}), "result", "unionid").(string)
	spaces := c.ok("GET", "/v1.0/drive/spaces?spaceType=org&maxResults=50&unionId="+me, nil)["spaces"].([]any)
	space := dig(c.t, spaces[0], "spaceId").(string)
	in := "/v1.0/storage/spaces/" + space
	var file, uuid string
	for _, d := range c.ok("POST", in+"/dentries/listAll?unionId="+me, map[string]any{"option": map[string]any{"maxResults": 50}})["dentries"].([]any) {
		if dig(c.t, d, "type") == "FILE" {
			file, uuid = dig(c.t, d, "id").(string), dig(c.t, d, "uuid").(string)
		}
	}
	begin, end := fmt.Sprint(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli()), fmt.Sprint(tenant.Clock().Now().UnixMilli())
	span := "startTime=" + begin + "&endTime=" + end
	var meeting, recorded string
	for _, k := range c.ok("GET", "/v1.0/conference/videoConferences/histories/dataLists?realData=true&maxResults=100&"+span, nil)["list"].([]any) {
		meeting = dig(c.t, k, "conferenceId").(string)
		if v := c.ok("GET", "/v1.0/conference/videoConferences/"+meeting+"/cloudRecords/getVideos?unionId="+me, nil)["videoList"].([]any); len(v) > 0 {
			recorded = meeting
		}
	}
	talk := "/v1.0/conference/videoConferences/" + recorded
	video := c.ok("GET", talk+"/cloudRecords/getVideos?unionId="+me, nil)["videoList"].([]any)[0]
	approvals := map[string]any{"processCode": dingtalktest.LeaveForm, "startTime": json.Number(begin), "nextToken": 0, "maxResults": 20}
	ids := texts(dig(c.t, c.ok("POST", "/v1.0/workflow/processes/instanceIds/query", approvals), "result", "list"))
	robot := tenant.App().RobotCode
	groups := c.ok("POST", "/v1.0/robot/installed/groups/query", map[string]any{"robotCode": robot, "maxResult": 10})
	group := texts(groups["openConversationIds"])[0]
	outside := dig(c.t, c.ok("POST", "/v1.0/exclusive/audits/outsideGroups/query", map[string]any{"pageNumber": 1}), "responseBody", "groupList").([]any)
	text := map[string]any{"robotCode": robot, "msgKey": "sampleText", "msgParam": `{"content":"x"}`, "userIds": []string{admin}, "openConversationId": group}
	one := c.ok("POST", "/v1.0/robot/oToMessages/batchSend", text)["processQueryKey"].(string)
	many := c.ok("POST", "/v1.0/robot/groupMessages/send", text)["processQueryKey"].(string)
	ding := map[string]any{"robotCode": robot, "remindType": 1, "receiverUserIdList": []string{admin}, "content": "x"}
	urgent := c.ok("POST", "/v1.0/robot/ding/send", ding)["openDingId"].(string)
	board := tenant.Announce("測試", "內容")
	tenant.Leave(tenant.Cast()["salesman"], "合同到期不续签")
	gone := tenant.Cast()["salesman"]
	tenant.Clock().Advance(3 * time.Hour)
	c.token = c.login(c.app)
	agent := tenant.App().AgentID
	app := tenant.App()
	page := map[string]any{"pageNumber": 1, "pageSize": 20, "startTime": json.Number(begin), "endTime": json.Number(end), "type": 0, "platform": 0}
	return []newCall{
		{name: "POST /v1.0/oauth2/accessToken", path: "/v1.0/oauth2/accessToken", body: map[string]any{"appKey": app.Key, "appSecret": app.Secret}},
		{name: "POST /v1.0/oauth2/{corpId}/token", path: "/v1.0/oauth2/" + tenant.CorpID() + "/token", body: map[string]any{
			"client_id": app.Key, "client_secret": app.Secret, "grant_type": "client_credentials",
		}},
		{name: "POST /v1.0/oauth2/userAccessToken", path: "/v1.0/oauth2/userAccessToken", body: map[string]any{
			"clientId": app.Key, "clientSecret": app.Secret, "grantType": "authorization_code", "code": tenant.AuthCode(app.Key, admin),
		}},
		{name: "POST /v1.0/oauth2/jsapiTickets", path: "/v1.0/oauth2/jsapiTickets"},
		{name: "POST /v1.0/contact/users/search", path: "/v1.0/contact/users/search", body: map[string]any{"queryWord": "a", "offset": 0, "size": 10}},
		{name: "GET /v1.0/contact/empLeaveRecords", path: "/v1.0/contact/empLeaveRecords?startTime=2026-06-01T00:00:00Z&maxResults=50", rows: "records"},
		{name: "GET /v1.0/contact/organizations/authInfos", path: "/v1.0/contact/organizations/authInfos"},
		{name: "GET /v1.0/contact/invites/infos", path: "/v1.0/contact/invites/infos"},
		{name: "GET /v1.0/hrm/employees/dismissions", path: "/v1.0/hrm/employees/dismissions?maxResults=50", rows: "userIdList"},
		{name: "GET /v1.0/hrm/employees/dimissionInfos", path: "/v1.0/hrm/employees/dimissionInfos?userIdList=%5B%22" + gone + "%22%5D", rows: "result"},
		{name: "POST /v1.0/hrm/rosters/lists/query", path: "/v1.0/hrm/rosters/lists/query", body: map[string]any{"appAgentId": agent, "userIdList": []string{admin, gone}}, rows: "result"},
		{name: "GET /v1.0/hrm/rosters/meta/authorities/fields", path: fmt.Sprint("/v1.0/hrm/rosters/meta/authorities/fields?appAgentId=", agent), rows: "result"},
		{name: "GET /v1.0/exclusive/fileAuditLogs", path: "/v1.0/exclusive/fileAuditLogs?startDate=" + begin + "&endDate=" + end + "&pageSize=500", rows: "list"},
		{name: "GET /v1.0/blackboard/get_blackboard", path: "/v1.0/blackboard/get_blackboard?operationUserId=" + admin + "&blackboardId=" + board},
		{name: "GET /v1.0/blackboard/readers", path: "/v1.0/blackboard/readers?maxResults=50&operationUserId=" + admin + "&blackboardId=" + board, rows: "users"},
		{name: "POST /v1.0/robot/oToMessages/batchSend", path: "/v1.0/robot/oToMessages/batchSend", body: text},
		{name: "GET /v1.0/robot/oToMessages/readStatus", path: "/v1.0/robot/oToMessages/readStatus?robotCode=" + robot + "&processQueryKey=" + escape(one), rows: "messageReadInfoList"},
		{name: "POST /v1.0/robot/otoMessages/batchRecall", path: "/v1.0/robot/otoMessages/batchRecall", body: map[string]any{"robotCode": robot, "processQueryKeys": []string{one, "none"}}},
		{name: "POST /v1.0/robot/groupMessages/send", path: "/v1.0/robot/groupMessages/send", body: text},
		{name: "POST /v1.0/robot/groupMessages/query", path: "/v1.0/robot/groupMessages/query", body: map[string]any{"robotCode": robot, "processQueryKey": many, "maxResults": 200}, rows: "readUserIds"},
		{name: "POST /v1.0/robot/groupMessages/recall", path: "/v1.0/robot/groupMessages/recall", body: map[string]any{"robotCode": robot, "openConversationId": group, "processQueryKeys": []string{many}}},
		{name: "POST /v1.0/robot/messageFiles/download", path: "/v1.0/robot/messageFiles/download", body: map[string]any{"robotCode": robot, "downloadCode": downloadCode(c, tenant, admin, file)}},
		{name: "POST /v1.0/robot/installed/groups/query", path: "/v1.0/robot/installed/groups/query", body: map[string]any{"robotCode": robot, "maxResult": 10}, rows: "openConversationIds"},
		{name: "POST /v1.0/robot/ding/send", path: "/v1.0/robot/ding/send", body: ding},
		{name: "POST /v1.0/robot/ding/readStatuses/query", path: "/v1.0/robot/ding/readStatuses/query", body: map[string]any{"robotCode": robot, "openDingId": urgent}, rows: "result.robotDingReadInfoList"},
		{name: "GET /v1.0/drive/spaces", path: "/v1.0/drive/spaces?spaceType=org&maxResults=50&unionId=" + me, rows: "spaces"},
		{name: "GET /v1.0/storage/spaces/{spaceId}", path: in + "?unionId=" + me},
		{name: "GET /v1.0/storage/orgs/{corpId}", path: "/v1.0/storage/orgs/" + tenant.CorpID() + "?unionId=" + me},
		{name: "GET /v1.0/storage/spaces/{spaceId}/dentries", path: in + "/dentries?parentId=0&maxResults=50&unionId=" + me, rows: "dentries"},
		{name: "POST /v1.0/storage/spaces/{spaceId}/dentries/listAll", path: in + "/dentries/listAll?unionId=" + me, rows: "dentries"},
		{name: "POST /v1.0/storage/spaces/{spaceId}/dentries/query", path: in + "/dentries/query?unionId=" + me, body: map[string]any{"dentryIds": []string{file, "0"}}, rows: "resultItems"},
		{name: "POST /v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/query", path: in + "/dentries/" + file + "/query?unionId=" + me},
		{name: "GET /v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/versions", path: in + "/dentries/" + file + "/versions?unionId=" + me, rows: "dentries"},
		{name: "POST /v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/downloadInfos/query", path: in + "/dentries/" + file + "/downloadInfos/query?unionId=" + me},
		{name: "GET /v1.0/drive/spaces/{spaceId}/files/{fileId}/downloadInfos", path: "/v1.0/drive/spaces/" + space + "/files/" + file + "/downloadInfos?withRegion=true&unionId=" + me},
		{name: "GET /v1.0/drive/spaces/{spaceId}/files/{fileId}/permissions", path: "/v1.0/drive/spaces/" + space + "/files/" + file + "/permissions?unionId=" + me, rows: "members"},
		{name: "POST /v2.0/storage/spaces/dentries/{dentryUuid}/permissions/query", path: "/v2.0/storage/spaces/dentries/" + uuid + "/permissions/query?unionId=" + me, rows: "permissions"},
		{name: "GET /v2.0/storage/spaces/dentries/{dentryUuid}/permissions/inheritances", path: "/v2.0/storage/spaces/dentries/" + uuid + "/permissions/inheritances?unionId=" + me},
		{name: "GET /v2.0/storage/spaces/dentries/{dentryUuid}/permissions/scopes", path: "/v2.0/storage/spaces/dentries/" + uuid + "/permissions/scopes?unionId=" + me},
		{name: "POST /v1.0/storage/events/subscribe", path: "/v1.0/storage/events/subscribe?unionId=" + me, body: map[string]any{"scope": "ORG", "scopeId": tenant.CorpID()}},
		{name: "GET /v1.0/storage/recycleBins", path: "/v1.0/storage/recycleBins?recycleBinScope=SPACE&scopeId=" + space + "&unionId=" + me},
		{name: "GET /v1.0/storage/recycleBins/{recycleBinId}/recycleItems", path: "/v1.0/storage/recycleBins/bin" + space + "/recycleItems?unionId=" + me},
		{name: "GET /v1.0/conference/videoConferences/histories/dataLists", path: "/v1.0/conference/videoConferences/histories/dataLists?realData=true&" + span, rows: "list"},
		{name: "GET /v1.0/conference/orgConferences", path: "/v1.0/conference/orgConferences"},
		{name: "GET /v1.0/conference/videoConferences/{conferenceId}", path: talk},
		{name: "GET /v1.0/conference/videoConferences/{conferenceId}/members", path: talk + "/members", rows: "memberModels"},
		{name: "GET /v1.0/conference/videoConferences/{conferenceId}/cloudRecords/getVideos", path: talk + "/cloudRecords/getVideos?unionId=" + me, rows: "videoList"},
		{name: "GET /v1.0/conference/videoConferences/{conferenceId}/cloudRecords/getTexts", path: talk + "/cloudRecords/getTexts?unionId=" + me, rows: "paragraphList"},
		{name: "GET /v1.0/conference/videoConferences/{conferenceId}/cloudRecords/videos/getPlayInfos", path: talk + "/cloudRecords/videos/getPlayInfos?unionId=" + me +
			"&mediaId=" + dig(c.t, video, "mediaId").(string) + "&regionId=" + dig(c.t, video, "regionId").(string)},
		{name: "POST /v1.0/workflow/processes/instanceIds/query", path: "/v1.0/workflow/processes/instanceIds/query", body: approvals, rows: "result.list"},
		{name: "GET /v1.0/workflow/processInstances", path: "/v1.0/workflow/processInstances?processInstanceId=" + escape(ids[0])},
		{name: "GET /v1.0/microApp/allApps", path: "/v1.0/microApp/allApps", rows: "appList"},
		{name: "POST /v1.0/exclusive/oaOperatorLogs/query", path: "/v1.0/exclusive/oaOperatorLogs/query", body: page, rows: "data"},
		{name: "POST /v2.0/storage/managements/operationLogs/list", path: "/v2.0/storage/managements/operationLogs/list", body: map[string]any{"startTime": json.Number(begin)}, rows: "items"},
		{name: "POST /v1.0/exclusive/enterpriseSecurities/userBehaviors/screenshots/query", path: "/v1.0/exclusive/enterpriseSecurities/userBehaviors/screenshots/query", body: page, rows: "data"},
		{name: "POST /v1.0/exclusive/trustedDevices/query", path: "/v1.0/exclusive/trustedDevices/query", body: map[string]any{"pageNumber": 1, "pageSize": 20}, rows: "data"},
		{name: "GET /v1.0/exclusive/benefits", path: "/v1.0/exclusive/benefits", rows: "benefitsList"},
		{name: "GET /v1.0/exclusive/fileStorages/states", path: "/v1.0/exclusive/fileStorages/states?targetCorpId=" + tenant.CorpID()},
		{name: "GET /v1.0/exclusive/audits/users", path: "/v1.0/exclusive/audits/users?signStatus=1&pageNumber=1&pageSize=100", rows: "auditSignedDetailDTOList"},
		{name: "GET /v1.0/exclusive/securities/orgGroupInfos", path: "/v1.0/exclusive/securities/orgGroupInfos?uuid=1&pageStart=1&pageSize=50&operatorUserId=" + admin, rows: "items"},
		{name: "GET /v1.0/exclusive/securities/orgAllGroupInfos", path: "/v1.0/exclusive/securities/orgAllGroupInfos?cursor=0&count=50", rows: "items"},
		{name: "POST /v1.0/im/sceneGroups/query", path: "/v1.0/im/sceneGroups/query", body: map[string]any{"openConversationId": group}},
		{name: "POST /v1.0/im/sceneGroups/members/batchQuery", path: "/v1.0/im/sceneGroups/members/batchQuery", body: map[string]any{"openConversationId": group, "maxResults": 50}, rows: "memberUserIds"},
		{name: "POST /v1.0/exclusive/audits/outsideGroups/query", path: "/v1.0/exclusive/audits/outsideGroups/query", body: map[string]any{"pageNumber": 1}, rows: "responseBody.groupList"},
		{name: "POST /v1.0/exclusive/audits/outsideGroups/messages/query", path: "/v1.0/exclusive/audits/outsideGroups/messages/query", body: map[string]any{
			"openConversationId": dig(c.t, outside[0], "openConversationId"), "nextToken": 0, "maxResults": 20,
		}, rows: "responseBody.messageList"},
		{name: "GET /v1.0/contact/contactHideSettings", path: "/v1.0/contact/contactHideSettings", rows: "list"},
		{name: "GET /v1.0/contact/restrictions/settings", path: "/v1.0/contact/restrictions/settings", rows: "list"},
		{name: "GET /v1.0/contact/staffAttributes/visibilitySettings", path: "/v1.0/contact/staffAttributes/visibilitySettings?nextToken=-1", rows: "list"},
		{name: "GET /v1.0/contact/seniorSettings", path: "/v1.0/contact/seniorSettings?seniorStaffId=" + tenant.Cast()["director"], rows: "protectScenes"},
		{name: "GET /v1.0/contact/managementGroups", path: "/v1.0/contact/managementGroups?maxResults=20&nextToken=0", rows: "groups"},
		{name: "GET /v2.0/wiki/workspaces", path: "/v2.0/wiki/workspaces?operatorId=" + me, rows: "workspaces"},
		{name: "GET /v2.0/wiki/nodes", path: "/v2.0/wiki/nodes?operatorId=" + me + "&parentNodeId=root" + space, rows: "nodes"},
		{name: "POST /v1.0/convFile/conversations/spaces/query", path: "/v1.0/convFile/conversations/spaces/query?unionId=" + me, body: map[string]any{"openConversationId": group}},
		{name: "POST /v1.0/gateway/connections/open", path: "/v1.0/gateway/connections/open", body: map[string]any{
			"clientId": app.Key, "clientSecret": app.Secret, "subscriptions": []any{map[string]any{"type": "EVENT", "topic": "*"}},
		}},
		{name: "GET /v1.0/event/callbacks/failedResults", path: "/v1.0/event/callbacks/failedResults"},
	}
}
