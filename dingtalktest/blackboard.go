package dingtalktest

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

var boardCalls = []endpoint{
	{path: "/topapi/blackboard/create", scope: "qyapi_blackboard_manage", do: createBoard},
	{path: "/topapi/blackboard/update", scope: "qyapi_blackboard_manage", do: updateBoard},
	{path: "/topapi/blackboard/delete", scope: "qyapi_blackboard_manage", do: deleteBoard},
	{path: "/topapi/blackboard/listids", scope: "qyapi_blackboard_read", do: listBoards},
	{path: "/topapi/blackboard/category/list", scope: "qyapi_blackboard_read", do: boardCategories},
	{path: "/topapi/blackboard/listtopten", scope: "qyapi_blackboard_read", do: topTen},
	{method: "GET", path: "/v1.0/blackboard/get_blackboard", scope: "qyapi_blackboard_manage", do: getBoard},
	{method: "GET", path: "/v1.0/blackboard/readers", scope: "qyapi_blackboard_manage", do: boardReaders},
}

// board is an announcement. Who has read it is drawn for each reader and becomes true when the clock passes that moment.
type board struct {
	id       string
	sender   *person
	author   string
	title    string
	content  string
	level    int
	top      bool
	category string
	at       time.Time
	readers  []int
	depts    []int64
	users    []string
}

// admin is the announcement administrator that a call is made for.
func (c *call) operator(name string) *person {
	if !c.need(name) {
		return nil
	}
	p := c.t.company.here(c.text(name))
	switch {
	case p == nil:
		c.fail(&fault{status: 400, code: "badRequest", errcode: 33012, message: "无效的USERID"})
	case c.t.company.admins[p.index] == 0:
		c.fail(&fault{status: 403, code: "accessDenied", errcode: 400002, message: "没有公告管理权限"})
		return nil
	}
	return p
}

func createBoard(c *call) object {
	in := c.in("create_request")
	who := in.operator("operation_userid")
	in.need("title", "content", "blackboard_receiver")
	to := in.in("blackboard_receiver")
	b := &board{
		sender: who, author: in.text("author"), title: in.text("title"), content: in.text("content"), level: int(in.number("private_level", 0)),
		top: in.flag("push_top"), category: in.text("category_id"), at: c.now, users: to.list("userid_list"),
	}
	depts := to.list("deptid_list")
	switch {
	case in.bad != nil || to.bad != nil:
	case b.level != 0 && b.level != 20:
		in.fail(wrong("private_level"))
	case len(depts) > 20 || len(b.users) > 1000 || len(depts)+len(b.users) == 0:
		in.fail(wrong("blackboard_receiver"))
	}
	for _, s := range depts {
		id, _ := strconv.ParseInt(s, 10, 64)
		if id == -1 {
			id = 1
		}
		if c.t.company.byID[id] == nil {
			in.fail(oldFault(60003, "部门不存在"))
		}
		b.depts = append(b.depts, id)
	}
	if c.bad = in.bad; c.bad == nil {
		c.bad = to.bad
	}
	if c.bad != nil {
		return nil
	}
	c.t.publish(b)
	return object{"success": true, "result": true} // and no id
}

// Announce publishes an announcement to the whole company, as an administrator does on the phone. It returns the id.
func (t *Tenant) Announce(title, content string) string {
	t.mu.Lock()
	b := &board{sender: t.company.person(t.company.cast["admin"]), title: title, content: content, at: t.clock.Now(), depts: []int64{1}}
	t.publish(b)
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
	return b.id
}

func (t *Tenant) publish(b *board) {
	d := roll(t.company.spec.Seed, "board", t.next())
	b.id = d.hex(32)
	in := map[int]bool{}
	for _, id := range b.depts {
		for below := range t.company.below(id) {
			for _, i := range t.company.members(t.company.byID[below]) {
				in[i] = true
			}
		}
	}
	for _, id := range b.users {
		if p := t.company.here(id); p != nil {
			in[p.index] = true
		}
	}
	for _, i := range t.company.present() {
		if in[i] {
			b.readers = append(b.readers, i)
		}
	}
	t.boards = append(t.boards, b)
	t.emit("blackboard_sent", object{
		"unionId": b.sender.union, "blackboardId": b.id, "blackboardType": "normal", "categoryId": b.category, "categoryName": "",
		"receivers": object{
			"openConversationIds": "[]", "labelIds": "[]", "staffIds": jsonText(b.users), "dgCodes": "[]", "deptIds": jsonText(b.depts),
		},
		"dentry": object{"sourceDentryUuid": ""},
	})
}

// read is when somebody reads, the zero time for never: most within two days, one in ten not at all.
func (t *Tenant) read(thing string, index int, at time.Time) time.Time {
	if in, watched := t.live.opened[thing]; watched {
		return in[index]
	}
	d := roll(t.company.spec.Seed, "read "+thing, int64(index))
	if d.percent(10) {
		return time.Time{}
	}
	if d.percent(70) {
		return at.Add(time.Minute + d.span(3*time.Hour))
	}
	return at.Add(time.Minute + d.span(48*time.Hour))
}

func passed(m, now time.Time) bool { return !m.IsZero() && !m.After(now) }

func (c *call) board(who, id string) *board {
	if c.operator(who) == nil || !c.need(id) {
		return nil
	}
	for _, b := range c.t.boards {
		if b.id == c.text(id) {
			return b
		}
	}
	c.fail(&fault{status: 400, code: "badRequest", errcode: 400002, message: "公告不存在"})
	return nil
}

// updateBoard keeps the id, the readers and the moment of the announcement.
func updateBoard(c *call) object {
	in := c.in("update_request")
	b := in.board("operation_userid", "blackboard_id")
	if b == nil || !in.need("title", "content") {
		return c.fail(in.bad)
	}
	b.title, b.content = in.text("title"), in.text("content")
	if s := in.text("author"); s != "" {
		b.author = s
	}
	if s := in.text("category_id"); s != "" {
		b.category = s
	}
	c.bad = in.bad
	return object{"success": true, "result": true}
}

func deleteBoard(c *call) object {
	b := c.board("operation_userid", "blackboard_id")
	if b == nil {
		return nil
	}
	c.t.boards = slices.DeleteFunc(c.t.boards, func(other *board) bool { return other == b })
	return object{"success": true, "result": true}
}

func listBoards(c *call) object {
	in := c.in("query_request")
	in.operator("operation_userid")
	in.need("page", "page_size")
	size := in.size("page_size", 20, 30)
	until := c.now
	from := c.now.AddDate(0, -1, 0)
	if in.text("start_time") != "" {
		from = in.local("start_time")
	}
	if in.text("end_time") != "" {
		until = in.local("end_time")
	}
	if until.Sub(from) > 180*24*time.Hour {
		in.fail(oldFault(400002, "时间跨度不能超过180天"))
	}
	var ids []string
	for _, b := range slices.Backward(c.t.boards) { // newest first
		if !b.at.Before(from) && !b.at.After(until) && (in.text("category_id") == "" || in.text("category_id") == b.category) {
			ids = append(ids, b.id)
		}
	}
	page := byPage(in, ids, "page", size)
	c.bad = in.bad
	return object{"result": append([]string{}, page...)}
}

func boardCategories(c *call) object {
	c.operator("operation_userid")
	return object{"result": []object{{"id": "c001", "name": "公司制度"}, {"id": "c002", "name": "Avisos"}}}
}

func topTen(c *call) object {
	if c.member("userid") == nil {
		return nil
	}
	rows := []object{}
	for _, b := range slices.Backward(c.t.boards[max(0, len(c.t.boards)-10):]) {
		rows = append(rows, object{
			"id": b.id, "title": b.title, "gmt_create": local(b.at), "url": "https://app.dingtalk.test/blackboard/" + b.id, "categoryId": b.category,
		})
	}
	return object{"blackboard_list": rows}
}

func getBoard(c *call) object {
	b := c.board("operationUserId", "blackboardId")
	if b == nil {
		return nil
	}
	reads := 0
	for _, i := range b.readers {
		if passed(c.t.read(b.id, i, b.at), c.now) {
			reads++
		}
	}
	o := object{
		"id": b.id, "senderStaffId": b.sender.id, "title": b.title, "content": b.content, "categoryId": b.category, "categoryName": "", "coverPicUrl": "",
		"privateLevel": b.level, "isPushTop": map[bool]int{true: 1, false: 0}[b.top], "attachments": []object{}, "gmtCreate": local(b.at),
		"gmtModified": local(b.at), "readCount": reads, "unReadCount": len(b.readers) - reads,
	}
	names, depts, people, users := []string{}, []object{}, []string{}, []object{}
	for _, id := range b.depts {
		d := c.t.company.byID[id]
		names = append(names, d.name)
		depts = append(depts, object{"deptId": fmt.Sprint(id), "name": d.name})
	}
	for _, id := range b.users {
		if p := c.t.company.find(id); p != nil {
			people = append(people, p.name)
			users = append(users, object{"staffId": id, "name": p.name, "corpId": c.t.company.id})
		}
	}
	o["depNameList"], o["deptList"], o["userNameList"], o["userList"] = names, depts, people, users
	return o
}

func boardReaders(c *call) object {
	if !c.need("maxResults") {
		return nil
	}
	size := c.size("maxResults", 100, 500)
	b := c.board("operationUserId", "blackboardId")
	if b == nil {
		return nil
	}
	page, token := byToken(c, b.readers, size)
	rows := []object{}
	for _, i := range page {
		o := object{"userId": c.t.company.userID(i), "read": "false"}
		if m := c.t.read(b.id, i, b.at); passed(m, c.now) {
			o["read"], o["readTimestamp"] = "true", m.UnixMilli()
		}
		rows = append(rows, o)
	}
	return object{"users": rows, "nextToken": token}
}
