package dingtalktest

import (
	"slices"
	"strconv"
	"time"
)

var hrCalls = []endpoint{
	{path: "/topapi/smartwork/hrm/employee/queryonjob", scope: "qyapi_hrm_read_user", free: true, do: queryOnJob},
	{path: "/topapi/smartwork/hrm/employee/querypreentry", scope: "qyapi_hrm_read_user", free: true, do: queryPreEntry},
	{method: "GET", path: "/v1.0/hrm/employees/dismissions", scope: "qyapi_hrm_read_user", free: true, do: dismissions},
	{method: "GET", path: "/v1.0/hrm/employees/dimissionInfos", scope: "qyapi_hrm_read_user", free: true, do: dimissionInfos},
}

// Join hires somebody into a department and returns the user id. Subscribers learn of it.
func (t *Tenant) Join(dept int64) string {
	t.mu.Lock()
	id := t.join(dept)
	t.emit("user_add_org", object{"timeStamp": t.stamp(), "userId": []string{id}})
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
	return id
}

func (t *Tenant) join(dept int64) string {
	c := t.company
	i := c.staff + len(c.joined)
	c.joined = append(c.joined, i)
	c.change(i, func(p *person) {
		d := roll(c.spec.Seed, "hired", int64(i))
		p.dept, p.hired = dept, midnight(t.clock.Now())
		p.kind = pick(&d, []kind{macanese, macanese, filipino, commuter})
		p.name = d.name(p.kind)
		p.stateCode, p.mobile = phone(p.kind, i)
		p.paper = paper(p.kind, i, p.birth)
	})
	c.byID[dept].extra = append(c.byID[dept].extra, i)
	return c.userID(i)
}

// Leave lets somebody go; reason is the company's when it is not empty. Subscribers learn of it.
func (t *Tenant) Leave(userID, reason string) {
	t.mu.Lock()
	l := leaving{reason: []string{"个人发展"}, memo: "測試資料"}
	if reason != "" {
		l.reason, l.forced = nil, []string{reason}
	}
	t.leave(userID, l)
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
}

func (t *Tenant) leave(userID string, l leaving) {
	c := t.company
	p := c.here(userID)
	if p == nil {
		return
	}
	l.last, l.before = midnight(t.clock.Now()), 3
	c.told[p.index], c.gone[p.index] = l, true
	c.leavers = append(c.leavers, p.index)
	t.emit("user_leave_org", object{"timeStamp": t.stamp(), "userId": []string{userID}})
}

// Move puts somebody into another department. Subscribers learn of it.
func (t *Tenant) Move(userID string, dept int64) {
	t.mu.Lock()
	c := t.company
	if p := c.here(userID); p != nil && c.byID[dept] != nil {
		from := c.byID[p.dept]
		if from.without == nil {
			from.without = map[int]bool{}
		}
		from.without[p.index] = true
		from.extra = slices.DeleteFunc(from.extra, func(i int) bool { return i == p.index })
		c.byID[dept].extra = append(c.byID[dept].extra, p.index)
		delete(c.byID[dept].without, p.index)
		if p.index >= c.byID[dept].first && p.index < c.byID[dept].last {
			c.byID[dept].extra = c.byID[dept].extra[:len(c.byID[dept].extra)-1]
		}
		c.change(p.index, func(p *person) { p.dept = dept })
		t.emit("user_modify_org", object{"timeStamp": t.stamp(), "userId": []string{userID}, "diffInfo": []object{{
			"userid": userID, "prev": object{"department": strconv.FormatInt(from.id, 10)}, "curr": object{"department": strconv.FormatInt(dept, 10)},
		}}})
	}
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
}

func queryOnJob(c *call) object {
	if !c.need("status_list", "offset", "size") {
		return nil
	}
	size := c.size("size", 50, 50)
	want := c.list("status_list")
	var ids []string
	for _, i := range c.t.company.present() {
		if slices.Contains(want, c.t.company.status(i, c.now)) {
			ids = append(ids, c.t.company.userID(i))
		}
	}
	return c.staffPage(ids, size)
}

// status is the employment status: 2 probation in the first three months, 3 regular.
func (c *company) status(index int, now time.Time) string {
	if c.person(index).hired.AddDate(0, 3, 0).After(now) {
		return "2"
	}
	return "3"
}

func queryPreEntry(c *call) object {
	if !c.need("offset", "size") {
		return nil
	}
	return c.staffPage(nil, c.size("size", 50, 50))
}

// staffPage has next_cursor while there is more, and no such field at the end.
func (c *call) staffPage(ids []string, size int) object {
	page, next, more := byNumber(c, ids, "offset", size)
	o := object{"data_list": append([]string{}, page...)}
	if more {
		o["next_cursor"] = next
	}
	return object{"result": o, "success": true}
}

func dismissions(c *call) object {
	size := c.size("maxResults", 50, 50)
	page, next, more := byNumber(c, c.t.company.leavers, "nextToken", size)
	ids := []string{}
	for _, i := range page {
		ids = append(ids, c.t.company.userID(i))
	}
	return object{"userIdList": ids, "nextToken": next, "hasMore": more}
}

func dimissionInfos(c *call) object {
	if !c.need("userIdList") {
		return nil
	}
	ids := c.list("userIdList")
	if len(ids) == 0 || len(ids) > 50 {
		return c.fail(wrong("userIdList"))
	}
	rows := []object{}
	for _, id := range ids {
		p := c.t.company.find(id)
		if p == nil || !c.t.company.gone[p.index] {
			continue
		}
		l, d := c.t.company.leaving(p.index), c.t.company.byID[p.dept]
		o := object{
			"userId": p.id, "name": p.name, "status": 3, "preStatus": l.before, "lastWorkDay": l.last.UnixMilli(), "mainDeptId": d.id, "mainDeptName": d.name,
			"deptList": []object{{"dept_id": d.id, "dept_path": c.t.company.trail(d)}}, "reasonMemo": l.memo,
			"voluntaryReason": append([]string{}, l.reason...), "passiveReason": append([]string{}, l.forced...),
		}
		if len(d.managers) > 0 {
			o["handoverUserId"] = d.managers[0]
		}
		rows = append(rows, o)
	}
	return object{"result": rows}
}

// trail is the path of a department from the company down.
func (c *company) trail(d *dept) string {
	if d.parent == 0 {
		return d.name
	}
	return c.trail(c.byID[d.parent]) + "-" + d.name
}
