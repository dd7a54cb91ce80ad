package sdkcheck

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	blackboard "github.com/alibabacloud-go/dingtalk/blackboard_1_0"
	conference "github.com/alibabacloud-go/dingtalk/conference_1_0"
	contact "github.com/alibabacloud-go/dingtalk/contact_1_0"
	convfile "github.com/alibabacloud-go/dingtalk/conv_file_1_0"
	drive "github.com/alibabacloud-go/dingtalk/drive_1_0"
	event "github.com/alibabacloud-go/dingtalk/event_1_0"
	exclusive "github.com/alibabacloud-go/dingtalk/exclusive_1_0"
	gateway "github.com/alibabacloud-go/dingtalk/gateway_1_0"
	hrm "github.com/alibabacloud-go/dingtalk/hrm_1_0"
	im "github.com/alibabacloud-go/dingtalk/im_1_0"
	microapp "github.com/alibabacloud-go/dingtalk/micro_app_1_0"
	oauth "github.com/alibabacloud-go/dingtalk/oauth2_1_0"
	robot "github.com/alibabacloud-go/dingtalk/robot_1_0"
	storage "github.com/alibabacloud-go/dingtalk/storage_1_0"
	storage2 "github.com/alibabacloud-go/dingtalk/storage_2_0"
	wiki "github.com/alibabacloud-go/dingtalk/wiki_2_0"
	workflow "github.com/alibabacloud-go/dingtalk/workflow_1_0"
	"github.com/alibabacloud-go/tea/tea"

	"guia/dingtalktest"
)

// found is company S on the exclusive edition after thirty days of work.
func found() *dingtalktest.Tenant {
	return dingtalktest.New(dingtalktest.Company{Seed: 3}, dingtalktest.Options{Edition: dingtalktest.Exclusive, History: 30, QPS: -1})
}

// signIn fetches the app's token.
func (l *line) signIn() {
	l.t.Helper()
	o := l.ask(client(l, oauth.NewClient), "GetAccessToken", object{"appKey": l.app.Key, "appSecret": l.app.Secret})
	l.token = text(l.t, o, "accessToken")
}

// TestTheSDKReadsWhatTheCompanySays makes every call of the new dialect that the tenant answers, with DingTalk's own SDK.
func TestTheSDKReadsWhatTheCompanySays(t *testing.T) {
	tenant := found()
	l := dial(t, tenant)
	l.signIn()
	l.names = map[string]string{}
	for _, p := range tenant.People() {
		l.names[p.UserID] = p.Name
	}
	l.tokens()
	l.people()
	l.files()
	l.meetings()
	l.groups()
	l.sending()
	l.announcements()
	l.leavers()
	l.logs()
	l.settings()

	made := tenant.Requests()
	for _, e := range tenant.Endpoints() {
		method, pattern, new := strings.Cut(e, " ")
		if new && !slices.ContainsFunc(made, func(r string) bool { m, p, _ := strings.Cut(r, " "); return m == method && fits(pattern, p) }) &&
			(strings.HasPrefix(pattern, "/v1.0/") || strings.HasPrefix(pattern, "/v2.0/")) {
			t.Errorf("%s was never asked with the SDK", e)
		}
	}
	t.Logf("%d actions of the SDK", len(l.asked))
}

// fits says whether a path is one of a pattern with {names}.
func fits(pattern, path string) bool {
	p, s := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(p) != len(s) {
		return false
	}
	for i := range p {
		if p[i] != s[i] && !strings.HasPrefix(p[i], "{") {
			return false
		}
	}
	return true
}

func (l *line) admin() dingtalktest.Person { return l.tenant.Person(l.tenant.Cast()["admin"]) }

func (l *line) tokens() {
	t, c := l.t, client(l, oauth.NewClient)
	again := l.ask(c, "GetAccessToken", object{"appKey": l.app.Key, "appSecret": l.app.Secret})
	same(t, "the token while it is valid", text(t, again, "accessToken"), l.token)
	unified := l.ask(c, "GetToken", object{"client_id": l.app.Key, "client_secret": l.app.Secret, "grant_type": "client_credentials"}, l.tenant.CorpID())
	same(t, "the token of the unified call", text(t, unified, "access_token"), l.token)
	l.ask(c, "CreateJsapiTicket", nil)

	admin := l.admin()
	user := l.ask(c, "GetUserToken", object{
		"clientId": l.app.Key, "clientSecret": l.app.Secret, "grantType": "authorization_code", "code": l.tenant.AuthCode(l.app.Key, admin.UserID),
	})
	same(t, "the company of the user's token", text(t, user, "corpId"), l.tenant.CorpID())
	own := l.token
	l.token = text(t, user, "accessToken")
	me := l.ask(client(l, contact.NewClient), "GetUser", nil, "me")
	l.token = own
	same(t, "who signed in", []any{me["unionId"], me["nick"], me["mobile"]}, []any{admin.UnionID, admin.Name, admin.Mobile})
}

func (l *line) people() {
	t, c := l.t, client(l, contact.NewClient)
	for _, p := range l.tenant.People() {
		o := l.ask(c, "SearchUser", object{"queryWord": p.Name, "offset": 0, "size": 10})
		if !slices.Contains(rows(t, o, "list"), any(p.UserID)) {
			t.Errorf("a search for a name does not find %s", p.UserID)
		}
	}
	same(t, "who the company is", text(t, l.ask(c, "GetOrgAuthInfo", object{}), "orgName") != "", true)
	l.ask(c, "GetApplyInviteInfo", object{})

	h := client(l, hrm.NewClient)
	cast := l.tenant.Cast()
	roster := rows(t, l.ask(h, "GetEmployeeRosterByField", object{"appAgentId": l.app.AgentID, "userIdList": []string{cast["hr"], cast["admin"]}}), "result")
	for _, r := range roster {
		p := l.tenant.Person(text(t, r, "userId"))
		for _, f := range rows(t, r, "fieldDataList") {
			if text(t, f, "fieldCode") == "sys00-name" {
				same(t, "the name in the roster", text(t, rows(t, f, "fieldValueList")[0], "value"), p.Name)
			}
		}
	}
	rows(t, l.ask(h, "RosterMetaAvailableFieldList", object{"appAgentId": l.app.AgentID}), "result")
}

func (l *line) leavers() {
	t, h := l.t, client(l, hrm.NewClient)
	who := l.tenant.Cast()["salesman"]
	was := l.tenant.Person(who)
	l.tenant.Leave(who, "合同到期不续签")
	l.tenant.Clock().Advance(time.Hour)
	l.signIn()
	if !slices.Contains(rows(t, l.ask(h, "QueryDismissionStaffIdList", object{"maxResults": 50, "nextToken": 0}), "userIdList"), any(who)) {
		t.Error("who left is not among the leavers")
	}
	info := rows(t, l.ask(h, "QueryHrmEmployeeDismissionInfo", object{"userIdList": []string{who}}), "result")[0]
	same(t, "who left", []any{text(t, info, "name"), at(t, info, "passiveReason")}, []any{was.Name, []any{"合同到期不续签"}})
	gone := rows(t, l.ask(client(l, contact.NewClient), "ListEmpLeaveRecords", object{"startTime": "2026-06-01T00:00:00Z", "maxResults": 50}), "records")
	same(t, "the last leaver", text(t, gone[len(gone)-1], "userId"), who)
}

// files walks the drive as a stranger would, and compares every file and its bytes.
func (l *line) files() {
	t, admin, org := l.t, l.admin(), l.tenant.CorpID()
	d, s, s2 := client(l, drive.NewClient), client(l, storage.NewClient), client(l, storage2.NewClient)
	want := map[string]dingtalktest.Document{}
	for _, f := range l.tenant.Documents() {
		want[f.ID] = f
	}
	me := object{"unionId": admin.UnionID}
	l.ask(s, "GetOrg", me, org)
	l.ask(s, "SubscribeEvent", object{"unionId": admin.UnionID, "scope": "ORG", "scopeId": org})
	abroad := 0
	for _, space := range rows(t, l.ask(d, "ListSpaces", object{"unionId": admin.UnionID, "spaceType": "org", "maxResults": 50}), "spaces") {
		id := text(t, space, "spaceId")
		same(t, "the name of a space", text(t, l.ask(s, "GetSpace", me, id), "space", "name"), text(t, space, "spaceName"))
		root := rows(t, l.ask(s, "ListDentries", object{"unionId": admin.UnionID, "parentId": "0", "maxResults": 50}, id), "dentries")
		for token := ""; ; {
			o := l.ask(s, "ListAllDentries", object{"unionId": admin.UnionID, "option": object{"maxResults": 7, "nextToken": token}}, id)
			for _, f := range rows(t, o, "dentries") {
				own := want[text(t, f, "id")]
				same(t, "a file", []any{at(t, f, "spaceId"), at(t, f, "uuid"), at(t, f, "name"), at(t, f, "type") == "FOLDER"}, []any{own.Space, own.UUID, own.Name, own.Folder})
				abroad += l.file(d, s, s2, own, admin.UnionID)
				delete(want, own.ID)
			}
			if token, _ = o["nextToken"].(string); token == "" {
				break
			}
		}
		first := text(t, root[0], "id")
		same(t, "one file", text(t, l.ask(s, "GetDentry", me, id, first), "dentry", "id"), first)
		same(t, "how many", len(rows(t, l.ask(s, "GetDentries", object{"unionId": admin.UnionID, "dentryIds": []string{first, "0"}}, id), "resultItems")), 2)
		bin := l.ask(s, "GetRecycleBin", object{"unionId": admin.UnionID, "recycleBinScope": "SPACE", "scopeId": id})
		l.ask(s, "ListRecycleItems", object{"unionId": admin.UnionID, "maxResults": 20}, text(t, bin, "recycleBin", "id"))

		w := client(l, wiki.NewClient)
		for _, k := range rows(t, l.ask(w, "ListWorkspaces", object{"operatorId": admin.UnionID}), "workspaces") {
			l.ask(w, "ListNodes", object{"operatorId": admin.UnionID, "parentNodeId": text(t, k, "rootNodeId")})
		}
	}
	if len(want) > 0 {
		t.Errorf("%d files of the company were not listed", len(want))
	}
	if abroad == 0 || l.archived != 1 {
		t.Errorf("%d files shared with another company, %d archived, want some and one", abroad, l.archived)
	}
}

// file compares one file's versions, permissions and bytes. It returns how many strangers may see it.
func (l *line) file(d *drive.Client, s *storage.Client, s2 *storage2.Client, f dingtalktest.Document, union string) int {
	t, me := l.t, object{"unionId": union}
	l.ask(s2, "GetPermissionInheritance", me, f.UUID)
	l.ask(s2, "GetPermissionShareScope", me, f.UUID)
	foreign := 0
	for _, p := range rows(t, l.ask(s2, "ListPermissions", object{"unionId": union, "option": object{"maxResults": 30}}, f.UUID), "permissions") {
		if at(t, p, "member", "corpId") != l.tenant.CorpID() {
			foreign++
		}
	}
	out, _ := l.ask(d, "ListPermissions", me, f.Space, f.ID)["outMembers"].([]any)
	same(t, "members of other companies by the old call and the new", len(out), foreign)
	if f.Folder || strings.HasSuffix(f.Name, ".adoc") || strings.HasSuffix(f.Name, ".axls") {
		return foreign
	}
	rows(t, l.ask(s, "ListDentryVersions", object{"unionId": union, "maxResults": 20}, f.Space, f.ID), "dentries")
	body, err := l.call(s, "GetFileDownloadInfo", me, f.Space, f.ID)
	var refused *tea.SDKError
	if errors.As(err, &refused) && tea.StringValue(refused.Code) == "fileArchived" {
		l.archived++
		body, err = l.call(s, "GetFileDownloadInfo", me, f.Space, f.ID) // the asking restored it
	}
	if err != nil {
		t.Fatal(err)
	}
	info := body.(*storage.GetFileDownloadInfoResponseBody).HeaderSignatureInfo
	same(t, "where the bytes lie", tea.StringValue(info.Region), f.Region)
	same(t, "the bytes", l.fetch(tea.StringValue(info.ResourceUrls[0]), info.Headers), string(f.Bytes))
	older := l.ask(d, "GetDownloadInfo", object{"unionId": union, "withRegion": true}, f.Space, f.ID)
	same(t, "where the bytes lie, by the old call", text(t, older, "region"), f.Region)
	return foreign
}

func (l *line) fetch(address string, headers map[string]*string) string {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, tea.StringValue(v))
	}
	resp, err := l.http.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		l.t.Fatal(resp.StatusCode, err)
	}
	return string(raw)
}

func (l *line) meetings() {
	t, c, admin := l.t, client(l, conference.NewClient), l.admin()
	now := l.tenant.Clock().Now()
	list := rows(t, l.ask(c, "GetHistoryConfDataList", object{
		"startTime": now.AddDate(0, 0, -30).UnixMilli(), "endTime": now.UnixMilli(), "realData": true, "maxResults": 100,
	}), "list")
	listed := map[string]any{}
	for _, k := range list {
		listed[text(t, k, "conferenceId")] = k
	}
	recorded, outsiders := 0, 0
	for _, m := range l.tenant.Meetings() {
		if m.Until.After(now) {
			continue
		}
		same(t, "a meeting", []any{at(t, listed[m.ID], "title"), at(t, listed[m.ID], "creatorId"), at(t, listed[m.ID], "startTime")}, []any{m.Title, m.Host, m.From.UnixMilli()})
		same(t, "its host", text(t, l.ask(c, "QueryConferenceInfo", nil, m.ID), "confInfo", "creatorId"), m.Host)
		var in []string
		for _, p := range rows(t, l.ask(c, "QueryConferenceMembers", object{"maxResults": 100}, m.ID), "memberModels") {
			if at(t, p, "outerOrgMember") == true {
				outsiders++
				continue
			}
			in = append(in, text(t, p, "unionId"))
		}
		same(t, "who took part", in, m.Members)
		videos, _ := l.ask(c, "QueryCloudRecordVideo", object{"unionId": admin.UnionID}, m.ID)["videoList"].([]any)
		same(t, "whether it was recorded", len(videos) == 1, m.Region != "")
		for _, v := range videos {
			recorded++
			same(t, "where the recording lies", text(t, v, "regionId"), m.Region)
			l.ask(c, "QueryCloudRecordVideoPlayInfo", object{"unionId": admin.UnionID, "mediaId": at(t, v, "mediaId"), "regionId": m.Region}, m.ID)
			rows(t, l.ask(c, "QueryCloudRecordText", object{"unionId": admin.UnionID, "direction": "0", "maxResults": 20}, m.ID), "paragraphList")
		}
		delete(listed, m.ID)
	}
	if len(listed) > 0 || recorded == 0 || outsiders == 0 {
		t.Errorf("%d meetings that the company does not know, %d recorded, %d outsiders", len(listed), recorded, outsiders)
	}
	l.ask(c, "QueryOrgConferenceList", object{})
}

func (l *line) groups() {
	t, x, admin := l.t, client(l, exclusive.NewClient), l.admin()
	first := rows(t, l.ask(x, "SearchOrgInnerGroupInfo", object{"operatorUserId": admin.UserID, "uuid": "1", "pageStart": 1, "pageSize": 100}), "items")
	second := rows(t, l.ask(x, "SearchOrgInnerGroupInfoByCursorPage", object{"cursor": 0, "count": 100}), "items")
	same(t, "how many groups by both inventories", len(first), len(second))
	mine := l.tenant.Conversations(admin.UserID)
	known := map[string]bool{}
	m, f := client(l, im.NewClient), client(l, convfile.NewClient)
	for i, g := range first {
		id := text(t, g, "openConversationId")
		known[id] = true
		same(t, "the id in both inventories", text(t, second[i], "openConversationId"), id)
		same(t, "a group's title", text(t, l.ask(m, "GetSceneGroupInfo", object{"openConversationId": id}), "title"), text(t, g, "groupName"))
		members := rows(t, l.ask(m, "BatchQueryGroupMember", object{"openConversationId": id, "maxResults": 1000}), "memberUserIds")
		same(t, "whether the administrator is in", slices.Contains(members, any(admin.UserID)), slices.Contains(mine, id))
		l.ask(f, "GetSpace", object{"openConversationId": id, "unionId": admin.UnionID})
	}
	for _, id := range mine {
		if !known[id] {
			t.Errorf("the administrator is in %s, which is in no inventory", id)
		}
	}
	for _, g := range rows(t, l.ask(x, "GetOutGroupsByPage", object{"pageNumber": 1, "pageSize": 20}), "responseBody", "groupList") {
		rows(t, l.ask(x, "GetOutsideAuditGroupMessageByPage", object{"openConversationId": at(t, g, "openConversationId"), "nextToken": 0, "maxResults": 20}), "responseBody", "messageList")
	}
}

func (l *line) sending() {
	t, c := l.t, client(l, robot.NewClient)
	cast := l.tenant.Cast()
	to := []string{cast["admin"], cast["hr"], cast["accountant"], cast["director"], "nobody"}
	words := object{"robotCode": l.app.RobotCode, "msgKey": "sampleText", "msgParam": `{"content":"測試"}`}
	one := l.ask(c, "BatchSendOTO", merge(words, object{"userIds": to}))
	same(t, "who does not exist", at(t, one, "invalidStaffIdList"), []any{"nobody"})
	group := rows(t, l.ask(c, "QueryRobotInstanceInGroupInfo", object{"robotCode": l.app.RobotCode, "maxResult": 10}), "openConversationIds")[0]
	many := l.ask(c, "OrgGroupSend", merge(words, object{"openConversationId": group}))
	ding := l.ask(c, "RobotSendDing", object{"robotCode": l.app.RobotCode, "remindType": 1, "receiverUserIdList": to[:2], "content": "測試"})
	l.tenant.Clock().Advance(20 * time.Hour)
	l.signIn()

	for _, r := range rows(t, l.ask(c, "BatchOTOQuery", object{"robotCode": l.app.RobotCode, "processQueryKey": one["processQueryKey"]}), "messageReadInfoList") {
		same(t, "a reader's name", text(t, r, "name"), l.tenant.Person(text(t, r, "userId")).Name)
		to = slices.DeleteFunc(to, func(id string) bool { return id == text(t, r, "userId") })
	}
	same(t, "to whom nothing was sent", to, []string{"nobody"})
	read := l.ask(c, "OrgGroupQuery", object{"robotCode": l.app.RobotCode, "processQueryKey": many["processQueryKey"], "openConversationId": group, "maxResults": 200})
	for i, u := range rows(t, read, "readUsers") {
		same(t, "a reader in the group", []any{at(t, u, "unionId"), rows(t, read, "readUserIds")[i]}, []any{l.tenant.Person(text(t, u, "userId")).UnionID, at(t, u, "userId")})
	}
	rows(t, l.ask(c, "QueryRobotDingReadStatus", object{"robotCode": l.app.RobotCode, "openDingId": ding["openDingId"]}), "result", "robotDingReadInfoList")
	keys := object{"robotCode": l.app.RobotCode, "processQueryKeys": []any{one["processQueryKey"], "none"}}
	same(t, "what was recalled", at(t, l.ask(c, "BatchRecallOTO", keys), "successResult"), []any{one["processQueryKey"]})

	paper := l.tenant.Documents()[1]
	l.tenant.SendFile(cast["hr"], "", paper.ID)
	sent := l.tenant.Received()
	address := l.ask(c, "RobotMessageFileDownload", object{"robotCode": l.app.RobotCode, "downloadCode": sent[len(sent)-1].DownloadCode})
	same(t, "the bytes of a file that was sent to the robot", l.fetch(text(t, address, "downloadUrl"), nil), string(paper.Bytes))
	l.ask(c, "OrgGroupRecall", object{"robotCode": l.app.RobotCode, "openConversationId": group, "processQueryKeys": []any{many["processQueryKey"]}})
}

func merge(a, b object) object {
	o := maps.Clone(a)
	maps.Copy(o, b)
	return o
}

func (l *line) announcements() {
	t, c, admin := l.t, client(l, blackboard.NewClient), l.admin()
	id := l.tenant.Announce("颱風安排", "八號風球下停工。")
	l.tenant.Clock().Advance(time.Hour)
	b := l.ask(c, "GetBlackboard", object{"operationUserId": admin.UserID, "blackboardId": id})
	same(t, "the announcement", []any{b["title"], b["content"], b["senderStaffId"]}, []any{"颱風安排", "八號風球下停工。", admin.UserID})
	var in, all []string
	for token := ""; ; {
		o := l.ask(c, "QueryBlackboardReadUnRead", object{"operationUserId": admin.UserID, "blackboardId": id, "maxResults": 5, "nextToken": token})
		for _, u := range rows(t, o, "users") {
			in = append(in, text(t, u, "userId"))
		}
		if token, _ = o["nextToken"].(string); token == "" {
			break
		}
	}
	for _, p := range l.tenant.People() {
		all = append(all, p.UserID)
	}
	same(t, "for whom it is", in, all)
}

func (l *line) logs() {
	t, x, now := l.t, client(l, exclusive.NewClient), l.tenant.Clock().Now()
	span := object{"startTime": now.AddDate(0, 0, -30).UnixMilli(), "endTime": now.UnixMilli(), "pageNumber": 1, "pageSize": 20}
	begin := object{"startDate": now.AddDate(0, 0, -30).UnixMilli(), "endDate": now.UnixMilli(), "pageSize": 10}
	seen := map[string]bool{}
	for request := begin; ; {
		list, _ := l.ask(x, "ListAuditLog", request)["list"].([]any)
		if len(list) == 0 {
			break
		}
		for _, r := range list {
			if id := text(t, r, "bizId"); seen[id] {
				t.Fatalf("row %s came twice", id)
			} else {
				seen[id] = true
			}
			same(t, "who did it", text(t, r, "realName"), l.names[text(t, r, "userId")])
		}
		last := list[len(list)-1]
		request = merge(begin, object{"nextGmtCreate": at(t, last, "gmtCreate"), "nextBizId": number(text(t, last, "bizId"))})
	}
	if len(seen) < 20 {
		t.Errorf("%d rows of the file audit log", len(seen))
	}
	rows(t, l.ask(x, "GetOaOperatorLogList", span), "data")
	rows(t, l.ask(x, "QueryUserBehavior", merge(span, object{"type": 0, "platform": 0})), "data")
	rows(t, l.ask(client(l, storage2.NewClient), "ListOperationLogs", object{"startTime": span["startTime"], "endTime": span["endTime"]}), "items")

	w := client(l, workflow.NewClient)
	for _, id := range rows(t, l.ask(w, "ListProcessInstanceIds", object{
		"processCode": dingtalktest.LeaveForm, "startTime": span["startTime"], "endTime": span["endTime"], "nextToken": 0, "maxResults": 20,
	}), "result", "list") {
		o := l.ask(w, "GetProcessInstance", object{"processInstanceId": id})
		if who := l.names[text(t, o, "result", "originatorUserId")]; who == "" || !strings.HasPrefix(text(t, o, "result", "title"), who) {
			t.Errorf("%v was asked for by %q: %v", id, who, o)
		}
	}
}

type number string // an int64 as the row's text has it

func (n number) MarshalJSON() ([]byte, error) { return []byte(n), nil }

func (l *line) settings() {
	t, x, c := l.t, client(l, exclusive.NewClient), client(l, contact.NewClient)
	rows(t, l.ask(x, "GetTrustDeviceList", object{"pageNumber": 1, "pageSize": 20}), "data")
	rows(t, l.ask(x, "QueryExclusiveBenefits", nil), "benefitsList")
	l.ask(x, "FileStorageGetStorageState", object{"targetCorpId": l.tenant.CorpID()})
	rows(t, l.ask(x, "GetSignedDetailByPage", object{"signStatus": 1, "pageNumber": 1, "pageSize": 100}), "auditSignedDetailDTOList")
	rows(t, l.ask(c, "ListContactHideSettings", object{"maxResults": 20, "nextToken": 0}), "list")
	rows(t, l.ask(c, "ListContactRestrictSetting", object{"maxResults": 20, "nextToken": 0}), "list")
	rows(t, l.ask(c, "ListEmpAttributeVisibility", object{"maxResults": 20, "nextToken": -1}), "list")
	l.ask(c, "ListSeniorSettings", object{"seniorStaffId": l.tenant.Cast()["director"]})
	rows(t, l.ask(c, "ListManagementGroups", object{"maxResults": 20, "nextToken": 0}), "groups")
	m := client(l, microapp.NewClient)
	rows(t, l.ask(m, "ListAllApp", nil), "appList")
	month := l.tenant.Clock().Now().In(dingtalktest.Shanghai).Format("200601")
	// Here the sources differ: the reference has an array of arrays, the SDK's own type is an array of rows and cannot read the other.
	// The tenant goes by the reference; who reads this answer should take both.
	_, err := l.call(m, "GetAppResourceUseInfo", object{"benefitCode": "api_count", "periodType": "month", "startTime": month, "endTime": month})
	if err == nil || !strings.HasPrefix(l.wire.String(), `[[{"period":"`+month) {
		t.Errorf("the SDK can read the month's calls now: compare them. Got %v of %s", err, l.wire.String())
	}
	l.ask(client(l, event.NewClient), "GetCallBackFaileResult", object{})
	open := l.ask(client(l, gateway.NewClient), "OpenConnection", object{
		"clientId": l.app.Key, "clientSecret": l.app.Secret, "subscriptions": []object{{"type": "EVENT", "topic": "*"}},
	})
	same(t, "where the Stream is", strings.HasPrefix(text(t, open, "endpoint"), "ws://"), true)
}

// TestTheSDKReadsRefusals: code, status, request id and the missing permission point arrive where the SDK looks for them.
func TestTheSDKReadsRefusals(t *testing.T) {
	for name, x := range map[string]struct {
		bring  func(*dingtalktest.Tenant, *line)
		status int
		code   string
		scopes string
	}{
		"wrong token": {func(_ *dingtalktest.Tenant, l *line) { l.token = "nothing" }, 400, "InvalidAuthentication", ""},
		"no permission": {
			func(x *dingtalktest.Tenant, l *line) { x.Revoke(l.app.Key, "Contact.Common.Read") }, 403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", "[Contact.Common.Read]",
		},
		"too fast": {
			func(x *dingtalktest.Tenant, _ *line) { x.Order(dingtalktest.Trouble{Kind: dingtalktest.Throttle}) }, 403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "",
		},
		"foreign address": {func(x *dingtalktest.Tenant, l *line) {
			a := l.app
			a.IPs = []string{"203.0.113.1"}
			x.AddApp(a)
		}, 403, "Forbidden.AccessDenied.IpNotInWhiteList", ""},
		"busy": {func(x *dingtalktest.Tenant, _ *line) { x.Order(dingtalktest.Trouble{Kind: dingtalktest.Busy}) }, 503, "serviceBusy", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := found()
			l := dial(t, tenant)
			l.signIn()
			x.bring(tenant, l)
			_, err := l.call(client(l, contact.NewClient), "GetApplyInviteInfo", object{})
			var refused *tea.SDKError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			same(t, "the refusal", []any{tea.IntValue(refused.StatusCode), tea.StringValue(refused.Code)}, []any{x.status, x.code})
			if !strings.Contains(tea.StringValue(refused.Data), "requestid") && !strings.Contains(tea.StringValue(refused.Data), "requestId") {
				t.Errorf("no request id in %s", tea.StringValue(refused.Data))
			}
			if x.scopes != "" {
				same(t, "the missing permission point", refused.AccessDeniedDetail["requiredScopes"], x.scopes)
			}
		})
	}
}
