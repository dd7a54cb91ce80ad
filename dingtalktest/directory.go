package dingtalktest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

var directoryCalls = []endpoint{
	{path: "/topapi/v2/department/listsub", scope: "qyapi_get_department_list", free: true, do: listSub},
	{path: "/topapi/v2/department/listsubid", scope: "qyapi_get_department_list", free: true, do: listSubID},
	{path: "/topapi/v2/department/get", scope: "qyapi_get_department_list", free: true, do: getDepartment},
	{path: "/topapi/v2/user/list", scope: "qyapi_get_department_member", free: true, do: listUsers},
	{path: "/topapi/v2/user/get", scope: "qyapi_get_member", free: true, do: getUser},
	{path: "/topapi/user/listid", scope: "qyapi_get_member", free: true, do: listUserIDs},
	{path: "/topapi/user/count", scope: "qyapi_get_member", free: true, do: countUsers},
	{path: "/topapi/user/getbyunionid", scope: "qyapi_get_member", free: true, do: getByUnion},
	{path: "/topapi/user/listadmin", scope: "qyapi_get_member", free: true, do: listAdmins},
	{path: "/topapi/inactive/user/v2/get", scope: "qyapi_liveness_base", free: true, do: inactiveUsers},
	{method: "POST", path: "/v1.0/contact/users/search", scope: "qyapi_addresslist_search", free: true, do: searchUsers},
	{method: "GET", path: "/v1.0/contact/empLeaveRecords", scope: "Contact.Common.Read", free: true, do: leaveRecords},
	{method: "GET", path: "/v1.0/contact/organizations/authInfos", scope: "Contact.Org.Read", free: true, do: orgAuth},
	{method: "GET", path: "/v1.0/contact/invites/infos", scope: "Contact.Common.Read", free: true, do: invites},
}

// scope is the set of departments the app may see; nil is all.
func (c *call) scope() map[int64]bool {
	if len(c.app.Departments) == 0 {
		return nil
	}
	in := map[int64]bool{}
	for _, d := range c.app.Departments {
		for below := range c.t.company.below(d) {
			in[below] = true
		}
	}
	return in
}

// department is the one that was asked for, when it exists and the app may see it.
func (c *call) department(absent int64) *dept {
	id := c.number("dept_id", absent)
	d := c.t.company.byID[id]
	if d == nil {
		c.fail(oldFault(60003, "部门不存在"))
		return nil
	}
	if in := c.scope(); in != nil && !in[id] {
		c.fail(oldFault(50004, "请求的部门id不在授权范围内"))
		return nil
	}
	return d
}

func (c *company) children(id int64) []*dept {
	var all []*dept
	for _, d := range c.depts {
		if d.parent == id {
			all = append(all, d)
		}
	}
	return all
}

// listSub shows one level. A department outside of the scope is not shown, but the way from the root to the scope can be walked.
func listSub(c *call) object {
	id := c.number("dept_id", 1)
	in := c.scope()
	if c.t.company.byID[id] == nil {
		return c.fail(oldFault(60003, "部门不存在"))
	}
	if in != nil && !in[id] && id != 1 {
		return c.fail(oldFault(50004, "请求的部门id不在授权范围内"))
	}
	rows := []object{}
	for _, d := range c.t.company.children(id) {
		if in == nil || in[d.id] {
			rows = append(rows, object{"dept_id": d.id, "name": d.name, "parent_id": d.parent, "create_dept_group": false, "auto_add_user": true})
		}
	}
	return object{"result": spoil(c, rows)}
}

func listSubID(c *call) object {
	if c.t.company.byID[c.number("dept_id", 1)] == nil {
		return c.fail(oldFault(60003, "部门不存在"))
	}
	ids := []int64{}
	for _, d := range c.t.company.children(c.number("dept_id", 1)) {
		ids = append(ids, d.id)
	}
	return object{"result": object{"dept_id_list": ids}}
}

func getDepartment(c *call) object {
	if !c.need("dept_id") {
		return nil
	}
	d := c.department(0)
	if d == nil {
		return nil
	}
	all := 0
	for id := range c.t.company.below(d.id) {
		all += len(c.t.company.members(c.t.company.byID[id]))
	}
	o := object{
		"dept_id": d.id, "name": d.name, "source_identifier": "", "create_dept_group": false, "auto_add_user": true, "auto_approve_apply": false,
		"from_union_org": false, "tags": "", "order": d.id, "group_contain_sub_dept": false, "org_dept_owner": "",
		"dept_manager_userid_list": append([]string{}, d.managers...), "outer_dept": false, "outer_permit_depts": []int64{},
		"outer_permit_users": []string{}, "hide_dept": d.hidden, "dept_permits": []int64{}, "user_permits": []string{}, "code": "",
		"member_count": all, "owning_member_count": len(c.t.company.members(d)),
	}
	if d.parent != 0 {
		o["parent_id"] = d.parent
	}
	return object{"result": o}
}

func listUsers(c *call) object {
	if !c.need("dept_id", "cursor", "size") {
		return nil
	}
	size := c.size("size", 100, 100)
	d := c.department(0)
	if d == nil || c.bad != nil {
		return nil
	}
	page, next, more := byNumber(c, c.t.company.members(d), "cursor", size)
	rows := []object{}
	for _, i := range page {
		p := c.t.company.person(i)
		o := c.user(p)
		o["dept_order"], o["leader"] = int64(i), slices.Contains(d.managers, p.id)
		rows = append(rows, o)
	}
	result := object{"has_more": more, "list": rows}
	if more {
		result["next_cursor"] = next
	}
	return object{"result": result}
}

// user is what both the list and the get show of a person.
func (c *call) user(p *person) object {
	o := object{
		"userid": p.id, "unionid": p.union, "name": p.name, "avatar": "", "title": p.title, "job_number": p.job, "hired_date": p.hired.UnixMilli(),
		"dept_id_list": []int64{p.dept}, "hide_mobile": false, "telephone": "", "work_place": workplace(p), "remark": "測試資料 test data",
		"extension": `{"測試資料":"是"}`, "active": true, "admin": c.t.company.admins[p.index] > 0, "boss": p.index == c.t.company.cast["director"],
		"senior": p.index == c.t.company.cast["director"], "real_authed": p.kind != filipino, "exclusive_account": false,
	}
	if c.app.sees("mobile") {
		o["mobile"], o["state_code"] = p.mobile, p.stateCode
	}
	if c.app.sees("email") {
		o["email"], o["org_email"] = p.email, ""
	}
	return o
}

func workplace(p *person) string {
	if p.kind == mainlander {
		return "珠海"
	}
	return "澳門"
}

// member is the person that was asked for, when here and in the app's scope.
func (c *call) member(name string) *person {
	if !c.need(name) {
		return nil
	}
	p := c.t.company.here(c.text(name))
	if p == nil {
		c.fail(oldFault(60121, "找不到该用户"))
		return nil
	}
	if in := c.scope(); in != nil && !in[p.dept] {
		c.fail(oldFault(50002, "请求的员工userid不在授权范围内"))
		return nil
	}
	return p
}

func getUser(c *call) object {
	p := c.member("userid")
	if p == nil {
		return nil
	}
	d := c.t.company.byID[p.dept]
	leads := slices.Contains(d.managers, p.id)
	o := c.user(p)
	if len(d.managers) > 0 && !leads {
		o["manager_userid"] = d.managers[0]
	}
	o["dept_order_list"] = []object{{"dept_id": p.dept, "order": int64(p.index)}}
	o["leader_in_dept"] = []object{{"dept_id": p.dept, "leader": leads}}
	o["dept_position_list"] = []object{{"dept_id": p.dept, "title": p.title, "work_place": workplace(p)}}
	roles := []object{}
	for _, g := range c.t.company.roles {
		for _, r := range g.roles {
			if slices.Contains(r.members, p.index) {
				roles = append(roles, object{"id": r.id, "name": r.name, "group_name": g.name})
			}
		}
	}
	o["role_list"] = roles
	return object{"result": o}
}

func listUserIDs(c *call) object {
	if !c.need("dept_id") {
		return nil
	}
	d := c.department(0)
	if d == nil {
		return nil
	}
	ids := []string{}
	for _, i := range c.t.company.members(d) {
		ids = append(ids, c.t.company.userID(i))
	}
	return object{"result": object{"userid_list": ids}}
}

func countUsers(c *call) object {
	if !c.need("only_active") {
		return nil
	}
	return object{"result": object{"count": len(c.t.company.present())}}
}

func getByUnion(c *call) object {
	if !c.need("unionid") {
		return nil
	}
	p := c.t.company.byUnion(c.text("unionid"))
	if p == nil {
		return c.fail(oldFault(60121, "找不到该用户"))
	}
	return object{"result": object{"contact_type": 0, "userid": p.id}}
}

func listAdmins(c *call) object {
	rows := []object{}
	for _, i := range c.t.company.present() {
		if level := c.t.company.admins[i]; level > 0 {
			rows = append(rows, object{"userid": c.t.company.userID(i), "sys_level": level})
		}
	}
	return object{"result": rows}
}

func inactiveUsers(c *call) object {
	if !c.need("is_active", "query_date", "offset", "size") {
		return nil
	}
	day, err := time.ParseInLocation("20060102", c.text("query_date"), Shanghai)
	ready := midnight(c.now)
	if c.now.In(Shanghai).Hour() < 9 {
		ready = ready.AddDate(0, 0, -1)
	}
	if err != nil || !day.Before(ready) || day.Before(midnight(c.now).AddDate(0, -1, 0)) {
		return c.fail(oldFault(400002, "参数 query_date 不合法"))
	}
	size := c.size("size", 100, 100)
	var ids []string
	for _, i := range c.t.company.present() {
		d := roll(c.t.company.spec.Seed, "active", int64(i), day.Unix())
		if d.percent(92) == c.flag("is_active") {
			ids = append(ids, c.t.company.userID(i))
		}
	}
	page, next, more := byNumber(c, ids, "offset", size)
	o := object{"has_more": more, "list": append([]string{}, page...)}
	if more {
		o["next_cursor"] = next
	}
	return object{"result": o}
}

func searchUsers(c *call) object {
	if !c.need("queryWord", "offset", "size") {
		return nil
	}
	size := c.size("size", 20, 100)
	var found []string
	for _, i := range c.t.company.present() {
		if p := c.t.company.person(i); strings.Contains(p.name, c.text("queryWord")) {
			found = append(found, p.id)
		}
	}
	page, more := byOffset(c, found, size)
	return object{"hasMore": more, "totalCount": len(found), "list": append([]string{}, page...)}
}

func leaveRecords(c *call) object {
	if !c.need("startTime", "maxResults") {
		return nil
	}
	from, err := time.Parse(time.RFC3339, c.text("startTime"))
	until := c.now
	if s := c.text("endTime"); s != "" && err == nil {
		until, err = time.Parse(time.RFC3339, s)
	}
	if err != nil || until.Sub(from) > 365*24*time.Hour {
		return c.fail(newFault(400, "paramError", "时间跨度不能超过365天"))
	}
	size := c.size("maxResults", 50, 50)
	var in []int
	for _, i := range c.t.company.leavers {
		if l := c.t.company.leaving(i).last; !l.Before(from) && l.Before(until) {
			in = append(in, i)
		}
	}
	page, token := byToken(c, in, size)
	rows := []object{}
	for _, i := range page {
		p, l := c.t.company.person(i), c.t.company.leaving(i)
		o := object{"userId": p.id, "name": p.name, "mobile": "", "stateCode": "", "leaveTime": l.last.UTC().Format(time.RFC3339), "leaveReason": l.memo}
		if c.app.sees("mobile") {
			o["mobile"], o["stateCode"] = p.mobile, p.stateCode
		}
		rows = append(rows, o)
	}
	return object{"records": rows, "nextToken": token}
}

func orgAuth(c *call) object {
	return object{"authLevel": 1, "orgName": c.t.company.name, "licenseOrgName": c.t.company.name}
}

func invites(c *call) object {
	return object{"inviteSwitch": true, "linkInvite": true, "orgApplyCodeInvite": false, "searchNameInvite": false, "empApplyJoinDept": true, "auditType": 1}
}

// jsonText is a value as the JSON text that DingTalk puts into a string.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // this program is wrong
	}
	return string(b)
}
