package dingtalktest

import (
	"slices"
	"time"
)

var groupCalls = []endpoint{
	{method: "GET", path: "/v1.0/exclusive/securities/orgGroupInfos", scope: "Custom.Group.Read", edition: Exclusive, do: orgGroups},
	{method: "GET", path: "/v1.0/exclusive/securities/orgAllGroupInfos", edition: Exclusive, do: allGroups},
	{method: "POST", path: "/v1.0/im/sceneGroups/query", scope: "qyapi_chat_manage", do: sceneGroup},
	{method: "POST", path: "/v1.0/im/sceneGroups/members/batchQuery", scope: "qyapi_chat_manage", do: sceneGroupMembers},
	{method: "POST", path: "/v1.0/exclusive/audits/outsideGroups/query", edition: Exclusive, do: outsideGroups},
	{method: "POST", path: "/v1.0/exclusive/audits/outsideGroups/messages/query", edition: Exclusive, do: outsideMessages},
}

// group is a conversation of several people.
type group struct {
	id       string
	name     string
	owner    int
	members  []int
	created  time.Time
	active   time.Time
	robot    bool // the app's robot is in it
	outside  bool // has members of other companies, and is under audit
	messages []groupMessage
}

// groupMessage is what people write to each other. Only the audit of outside groups and the delegated export show it.
type groupMessage struct {
	id      string
	at      time.Time
	from    string
	outside bool
	kind    string
	content object
}

func (t *Tenant) group(id string) *group {
	for _, g := range t.groups {
		if g.id == id {
			return g
		}
	}
	return nil
}

// write puts a message into a conversation, in its place by time.
func (t *Tenant) write(g *group, m groupMessage) {
	if m.id == "" {
		d := roll(t.company.spec.Seed, "chat", t.next())
		m.id = "msg" + d.opaque(24)
	}
	at := len(g.messages)
	for at > 0 && g.messages[at-1].at.After(m.at) {
		at--
	}
	g.messages = slices.Insert(g.messages, at, m)
	if m.at.After(g.active) {
		g.active = m.at
	}
}

// assemble makes the company's groups: one for each department, one for all, and one with a client.
func (t *Tenant) assemble() {
	c := t.company
	made := func(name string, owner int, members []int) *group {
		d := roll(c.spec.Seed, "group", int64(len(t.groups)))
		g := &group{id: "cid" + d.opaque(16), name: name, owner: owner, members: members, created: c.founded.AddDate(0, d.n(60), 0), active: c.start}
		t.groups = append(t.groups, g)
		return g
	}
	all := c.present()
	made(c.name+"全員群", c.cast["admin"], all[:min(len(all), 500)]).robot = true
	for _, d := range c.leaves() {
		members := c.members(d)
		if len(members) > 0 {
			g := made(d.name+"群", members[0], members)
			g.robot = len(t.groups)%2 == 0
		}
	}
	client := made("客戶報告溝通群 Cliente", c.cast["accountant"], []int{c.cast["accountant"], c.cast["director"]})
	client.outside = true
	idle := made("舊項目群", c.cast["admin"], []int{c.cast["admin"]})
	idle.active = c.start.AddDate(-1, 0, 0)
}

func (g *group) row(c *company) object {
	return object{
		"openConversationId": g.id, "groupName": g.name, "groupOwner": c.person(g.owner).name, "groupOwnerUserId": c.userID(g.owner),
		"groupCreateTime": g.created.UnixMilli(), "groupLastActiveTime": g.active.UnixMilli(), "status": 1, "syncToDingpan": 0, "usedQuota": int64(len(g.members)) << 20,
	}
}

// orgGroups walks by page with one uuid for the walk.
func orgGroups(c *call) object {
	if !c.need("operatorUserId", "uuid", "pageStart", "pageSize") {
		return nil
	}
	size := c.size("pageSize", 20, 100)
	rows := []object{}
	for _, g := range byPage(c, c.t.groups, "pageStart", size) {
		o := g.row(c.t.company)
		o["groupAdminsCount"], o["groupMembersCount"], o["groupLastActiveTimeShow"] = 0, len(g.members), local(g.active)
		o["templateId"], o["templateName"], o["extensions"] = "", "", object{}
		rows = append(rows, o)
	}
	return object{"totalCount": len(c.t.groups), "itemCount": len(rows), "items": rows}
}

func allGroups(c *call) object {
	if !c.need("cursor", "count") {
		return nil
	}
	size := c.size("count", 20, 100)
	page, next, more := byNumber(c, c.t.groups, "cursor", size)
	rows := []object{}
	for _, g := range page {
		o := g.row(c.t.company)
		o["groupMembersCnt"] = len(g.members)
		rows = append(rows, o)
	}
	return object{"items": rows, "hasNext": more, "nextCursor": next}
}

func (c *call) conversation() *group {
	if !c.need("openConversationId") {
		return nil
	}
	g := c.t.group(c.text("openConversationId"))
	if g == nil {
		c.fail(newFault(400, "invalidParameter.openConversationId", "会话不存在"))
	}
	return g
}

func sceneGroup(c *call) object {
	g := c.conversation()
	if g == nil {
		return nil
	}
	return object{
		"openConversationId": g.id, "title": g.name, "ownerUserId": c.t.company.userID(g.owner), "status": 1, "templateId": "", "groupUrl": "", "icon": "", "success": true,
	}
}

func sceneGroupMembers(c *call) object {
	g := c.conversation()
	if g == nil || !c.need("maxResults") {
		return nil
	}
	page, token := byToken(c, g.members, c.size("maxResults", 100, 1000))
	ids, unions := []string{}, []string{}
	for _, i := range page {
		ids, unions = append(ids, c.t.company.userID(i)), append(unions, c.t.company.person(i).union)
	}
	return object{
		"memberUserIds": ids, "unionIdList": unions, "staffIdNickMap": object{}, "unionIdNickMap": object{}, "hasMore": token != "", "nextToken": token, "success": true,
	}
}

func outsideGroups(c *call) object {
	if !c.need("pageNumber") {
		return nil
	}
	var in []object
	for _, g := range c.t.groups {
		if g.outside {
			in = append(in, object{"openConversationId": g.id})
		}
	}
	page := byPage(c, in, "pageNumber", c.size("pageSize", 20, 100))
	return object{"responseBody": object{"groupList": append([]object{}, page...), "total": len(in)}}
}

// outsideMessages walks by moment: the token is the time of the last message, as a number in and a text out.
func outsideMessages(c *call) object {
	g := c.conversation()
	if g == nil || !c.need("nextToken") {
		return nil
	}
	if !g.outside {
		return c.fail(newFault(400, "paramError", "非审计群"))
	}
	size, after := c.small(c.size("maxResults", 20, 100)), c.milli("nextToken")
	rows := []object{}
	token := ""
	for i, m := range g.messages {
		if !m.at.After(after) || m.at.After(c.now) {
			continue
		}
		rows = append(rows, object{
			"openConversationId": g.id, "content": jsonText(m.content), "contentType": m.kind, "createAt": local(m.at),
			"sender": object{"id": m.from, "idType": "staffId", "type": map[bool]string{true: "outer", false: "inner"}[m.outside]},
		})
		if len(rows) == size && i+1 < len(g.messages) {
			token = jsonText(m.at.UnixMilli())
			break
		}
	}
	return object{"responseBody": object{"messageList": slices.Clone(rows), "nextToken": token}}
}
