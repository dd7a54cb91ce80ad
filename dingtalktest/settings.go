package dingtalktest

var settingCalls = []endpoint{
	{method: "GET", path: "/v1.0/contact/contactHideSettings", scope: "Contact.Visibility.ReadWrite", free: true, do: hideSettings},
	{method: "GET", path: "/v1.0/contact/restrictions/settings", scope: "Contact.ReachableRule.ReadWrite", do: restrictions},
	{method: "GET", path: "/v1.0/contact/staffAttributes/visibilitySettings", scope: "Contact.Visibility.ReadWrite", free: true, do: attributeVisibility},
	{method: "GET", path: "/v1.0/contact/seniorSettings", scope: "qyapi_get_member", free: true, do: seniorSettings},
	{method: "GET", path: "/v1.0/contact/managementGroups", do: managementGroups},
}

// hidden says who is hidden from whom: the fields that two of the settings share.
func hidden(id int64, name string, depts []int64) object {
	return object{
		"id": id, "name": name, "description": "", "active": true, "objectStaffIds": []string{}, "objectDeptIds": depts, "objectTagIds": []int64{},
		"excludeStaffIds": []string{}, "excludeDeptIds": []int64{}, "excludeTagIds": []int64{},
	}
}

func hideSettings(c *call) object {
	all := []object{hidden(41_001, "隱藏管理層", []int64{c.t.company.leaves()[0].id})}
	page, next, more := byNumber(c, all, "nextToken", c.size("maxResults", 20, 100))
	return object{"list": page, "nextToken": next, "hasMore": more}
}

func restrictions(c *call) object {
	all := []object{{
		"id": 42_001, "name": "分公司只見本部門", "description": "", "active": true, "type": "onlySelfDeptAndChild", "restrictInSearch": true,
		"restrictInUserProfile": false, "subjectUserIds": []string{}, "subjectDeptIds": []int64{c.t.company.mainland.id}, "subjectTagIds": []int64{},
		"excludeUserIds": []string{}, "excludeDeptIds": []int64{}, "excludeTagIds": []int64{},
	}}
	page, next, more := byNumber(c, all, "nextToken", c.size("maxResults", 20, 100))
	return object{"list": page, "nextToken": next, "hasMore": more}
}

// attributeVisibility begins with -1 and calls the next place nextCursor.
func attributeVisibility(c *call) object {
	var all []object
	for n, name := range []string{"手機號僅主管可見", "郵箱僅本部門可見", "工號不可見"} {
		o := hidden(43_001+int64(n), name, []int64{1})
		o["hideFields"] = []string{[]string{"mobile", "email", "jobNumber"}[n]}
		o["gmtCreate"], o["gmtModified"] = written(c.t.company.founded), written(c.t.company.founded)
		all = append(all, o)
	}
	start := c.number("nextToken", -1)
	if start < -1 {
		return c.fail(wrong("nextToken"))
	}
	page, next, more := cut(c, all, max(int(start), 0), c.small(c.size("maxResults", 20, 100)))
	return object{"list": page, "nextCursor": next, "hasMore": more}
}

func seniorSettings(c *call) object {
	if !c.need("seniorStaffId") {
		return nil
	}
	p := c.t.company.here(c.text("seniorStaffId"))
	if p == nil {
		return c.fail(newFault(400, "invalidParameter.staffId.notFound", "员工不存在"))
	}
	scenes := []string{}
	if p.index == c.t.company.cast["director"] {
		scenes = []string{"profile", "chat"}
	}
	return object{"seniorStaffId": p.id, "protectScenes": scenes, "seniorWhiteList": []object{}}
}

func managementGroups(c *call) object {
	if !c.need("maxResults", "nextToken") {
		return nil
	}
	all := []object{{
		"groupId": "mg-test-hr", "groupName": "人事管理組", "members": []object{{"memberId": c.t.company.userID(c.t.company.cast["hr"]), "memberType": "STAFF"}},
		"resourceIds": []string{"CONTACT_MANAGE"}, "scope": object{"scopeType": 1, "deptIds": []int64{1}},
	}}
	page, next, more := byNumber(c, all, "nextToken", c.size("maxResults", 20, 100))
	return object{"groups": page, "nextToken": next, "hasMore": more}
}
