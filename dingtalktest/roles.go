package dingtalktest

var roleCalls = []endpoint{
	{path: "/topapi/role/list", scope: "qyapi_get_department_list", free: true, do: listRoles},
	{path: "/topapi/role/simplelist", scope: "qyapi_get_department_member", free: true, do: listRoleMembers},
}

type roleGroup struct {
	id    int64
	name  string
	roles []*role
}

type role struct {
	id      int64
	name    string
	members []int
	scopes  []int64 // departments that the members manage
}

// offices are the roles that every company has from the start, and some of its own.
func (c *company) offices() []*roleGroup {
	leaders := &role{id: 820_001_001, name: "主管"}
	for _, d := range c.leaves() {
		leaders.members = append(leaders.members, d.first)
		leaders.scopes = append(leaders.scopes, d.id)
	}
	drivers := &role{id: 820_002_002, name: "急救員 First aid"}
	for i := 0; i < c.staff; i += 7 {
		if !c.gone[i] {
			drivers.members = append(drivers.members, i)
		}
	}
	return []*roleGroup{
		{id: 820_001, name: "默认", roles: []*role{
			leaders, {id: 820_001_002, name: "主管理员", members: []int{c.cast["admin"]}}, {id: 820_001_003, name: "子管理员", members: []int{c.cast["hr"]}},
		}},
		{id: 820_002, name: "職務", roles: []*role{{id: 820_002_001, name: "財務", members: []int{c.cast["accountant"]}}, drivers}},
	}
}

func listRoles(c *call) object {
	size := c.size("size", 20, 200)
	page, more := byOffset(c, c.t.company.roles, size)
	rows := []object{}
	for _, g := range page {
		roles := []object{}
		for _, r := range g.roles {
			roles = append(roles, object{"id": r.id, "name": r.name})
		}
		rows = append(rows, object{"groupId": g.id, "name": g.name, "roles": roles})
	}
	return object{"result": object{"hasMore": more, "list": rows}}
}

func listRoleMembers(c *call) object {
	if !c.need("role_id") {
		return nil
	}
	size := c.size("size", 20, 100)
	var r *role
	for _, g := range c.t.company.roles {
		for _, own := range g.roles {
			if own.id == c.number("role_id", 0) {
				r = own
			}
		}
	}
	if r == nil {
		return c.fail(oldFault(33011, "角色不存在"))
	}
	var here []int
	for _, i := range r.members {
		if !c.t.company.gone[i] {
			here = append(here, i)
		}
	}
	page, more := byOffset(c, here, size)
	rows := []object{}
	for _, i := range page {
		p := c.t.company.person(i)
		o := object{"userid": p.id, "name": p.name}
		if len(r.scopes) > 0 {
			o["manageScopes"] = []object{{"dept_id": p.dept, "name": c.t.company.byID[p.dept].name}}
		}
		rows = append(rows, o)
	}
	return object{"result": object{"hasMore": more, "list": rows}}
}
