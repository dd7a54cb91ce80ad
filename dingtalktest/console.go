package dingtalktest

import (
	"slices"
	"time"
)

var consoleCalls = []endpoint{
	{method: "GET", path: "/v1.0/microApp/resources/useInfos", do: useInfos},
	{method: "GET", path: "/v1.0/microApp/allApps", scope: "qyapi_get_microapp_list", do: allApps},
	{method: "POST", path: "/v1.0/exclusive/oaOperatorLogs/query", edition: Exclusive, do: operatorLogs},
	{method: "POST", path: "/v2.0/storage/managements/operationLogs/list", edition: Exclusive, do: storageLogs},
	{method: "POST", path: "/v1.0/exclusive/enterpriseSecurities/userBehaviors/screenshots/query", scope: "Custom.ScreenShot.Read", edition: Exclusive, do: listScreenshots},
	{method: "POST", path: "/v1.0/exclusive/trustedDevices/query", scope: "Custom.TrustedDevice.ReadWrite", edition: Exclusive, do: trustedDevices},
	{method: "GET", path: "/v1.0/exclusive/benefits", scope: "Custom.Industry.ReadWrite", edition: Exclusive, do: benefits},
	{method: "GET", path: "/v1.0/exclusive/fileStorages/states", edition: Exclusive, do: storageState},
	{method: "GET", path: "/v1.0/exclusive/audits/users", scope: "Custom.Audit.Read", edition: Exclusive, do: auditUsers},
}

// operation is what an administrator did in the console; one with a subject stands in the storage log.
type operation struct {
	at                    time.Time
	who                   *person
	first, second, detail string
	subject               *space
}

type screenshot struct {
	at       time.Time
	who      *person
	platform int
	record   bool
	scene    string
}

type device struct {
	who      *person
	platform string
	status   int
	at       time.Time
}

// useInfos is the one call whose answer is an array of arrays.
func useInfos(c *call) object {
	if c.text("benefitCode") != "api_count" || c.text("periodType") != "month" {
		return c.fail(newFault(400, "paramError", "benefitCode不合法"))
	}
	from, err := time.ParseInLocation("200601", c.text("startTime"), Shanghai)
	until, bad := time.ParseInLocation("200601", c.text("endTime"), Shanghai)
	if err != nil || bad != nil || until.Before(from) || until.Sub(from) > 366*24*time.Hour {
		return c.fail(newFault(400, "paramError", "时间不合法"))
	}
	rows := []object{}
	for m := from; !m.After(until); m = m.AddDate(0, 1, 0) {
		k := m.Format("200601")
		rows = append(rows, object{"period": k, "usedNum": c.t.usage.calls[k], "quotaNum": c.t.limits().Calls})
	}
	return object{"": []any{rows}}
}

func allApps(c *call) object {
	var all []*App
	for _, a := range c.t.apps {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *App) int { return int(a.AgentID - b.AgentID) })
	rows := []object{}
	for _, a := range all {
		rows = append(rows, object{"agentId": a.AgentID, "appId": a.AgentID / 10, "appStatus": 1, "developType": 0, "name": a.Name, "desc": "", "homepageLink": "https://app.test/"})
	}
	rows = append(rows, object{
		"agentId": 3_000_900_001, "appId": 300_090_000, "appStatus": 1, "developType": 2, "name": "測試第三方工資系統", "desc": "", "homepageLink": "https://payroll.vendor.test/",
	})
	return object{"appList": rows}
}

func operatorLogs(c *call) object {
	if !c.need("startTime", "endTime", "pageNumber", "pageSize") {
		return nil
	}
	from, until, size := c.milli("startTime"), c.milli("endTime"), c.size("pageSize", 20, 100)
	var in []*operation
	for _, o := range c.t.operations {
		if o.subject == nil && !o.at.Before(from) && !o.at.After(until) && !o.at.After(c.now) && (c.text("opUserId") == "" || c.text("opUserId") == o.who.id) {
			in = append(in, o)
		}
	}
	rows := []object{}
	for _, o := range byPage(c, in, "pageNumber", size) {
		rows = append(rows, object{
			"opTime": o.at.UnixMilli(), "opUserId": o.who.id, "opName": o.who.name, "category1Name": o.first, "category2Name": o.second, "content": o.detail,
		})
	}
	return object{"data": rows, "itemCount": len(in)}
}

func storageLogs(c *call) object {
	option := c.in("option")
	from, until := c.milli("startTime"), c.now
	if c.number("endTime", 0) > 0 {
		until = c.milli("endTime")
	}
	var in []*operation
	for _, o := range c.t.operations {
		if o.subject != nil && !o.at.Before(from) && !o.at.After(until) && !o.at.After(c.now) {
			in = append(in, o)
		}
	}
	page, token := byToken(option, in, option.size("maxResults", 20, 50))
	c.bad = option.bad
	rows := []object{}
	for _, o := range page {
		d := roll(7, o.detail, o.at.UnixMilli())
		rows = append(rows, object{
			"id": d.hex(24), "action": o.second, "details": jsonText(object{"content": o.detail}), "operateTime": o.at.UnixMilli(), "operatorId": o.who.id,
			"scene": "DRIVE", "subjectId": o.subject.id, "subjectName": o.subject.name, "subjectType": "SPACE", "subjectUrl": "",
		})
	}
	return object{"items": rows, "nextToken": token, "totalCount": len(in)}
}

func listScreenshots(c *call) object {
	if !c.need("type", "platform", "pageNumber", "pageSize") {
		return nil
	}
	from, until, size := c.now.AddDate(0, 0, -7), c.now, c.size("pageSize", 20, 100)
	if c.number("startTime", 0) > 0 {
		from, until = c.milli("startTime"), c.milli("endTime")
	}
	kind, platform := c.number("type", 0), c.number("platform", 0)
	var in []*screenshot
	for _, s := range c.t.screenshots {
		switch {
		case s.at.Before(from), s.at.After(until), s.at.After(c.now), platform != 0 && platform != int64(s.platform):
		case kind == 1 && s.record, kind == 2 && !s.record, c.text("userId") != "" && c.text("userId") != s.who.id:
		default:
			in = append(in, s)
		}
	}
	rows := []object{}
	for _, s := range byPage(c, in, "pageNumber", size) {
		rows = append(rows, object{
			"userId": s.who.id, "userName": s.who.name, "time": s.at.UnixMilli(), "type": map[bool]int{true: 2, false: 1}[s.record], "platform": s.platform,
			"scene": s.scene, "pictureUrl": "https://static.dingtalk.test/screenshot/" + s.who.id + ".png",
		})
	}
	return object{"data": rows, "dataCnt": len(rows), "totalCnt": len(in)}
}

// trustedDevices writes some moments in seconds, as the page's sample does.
func trustedDevices(c *call) object {
	size, number := c.size("pageSize", 20, 100), c.number("pageNumber", 1)
	users := c.list("userIds")
	var in []*device
	for _, v := range c.t.devices {
		if len(users) == 0 || slices.Contains(users, v.who.id) {
			in = append(in, v)
		}
	}
	rows := []object{}
	for n, v := range byPage(c, in, "pageNumber", size) {
		d := roll(uint64(v.who.salt), "trusted "+v.platform)
		created := v.at.UnixMilli()
		if n%3 == 0 {
			created /= 1000
		}
		rows = append(rows, object{
			"id": int64(v.who.index) + 1, "userId": v.who.id, "platform": v.platform, "status": v.status, "macAddress": "02:00:5e:00:53:" + d.hex(2),
			"deviceUuid": d.uuid(), "did": d.hex(16), "serialNumber": "TEST" + d.hex(8), "title": "測試設備", "model": "Test " + v.platform,
			"createTime": created, "modifiedTime": v.at.UnixMilli(),
		})
	}
	return object{"data": rows, "currentPage": number, "pageSize": size, "total": len(in)}
}

func benefits(*call) object {
	return object{"benefitsList": []string{"private_store_benefit", "file_audit_benefit"}}
}

func storageState(c *call) object {
	if !c.need("targetCorpId") {
		return nil
	}
	return object{"fileStorageOpenStatus": 0, "storageStatus": 0, "oss": "", "usedQuota": 0, "createDate": local(c.t.company.founded)}
}

func auditUsers(c *call) object {
	if !c.need("signStatus", "pageNumber", "pageSize") {
		return nil
	}
	size := c.size("pageSize", 100, 2000)
	var in []int
	for _, i := range c.t.company.present() {
		if (i%5 != 0) == (c.number("signStatus", 0) == 1) {
			in = append(in, i)
		}
	}
	rows := []object{}
	for _, i := range byPage(c, in, "pageNumber", size) {
		p := c.t.company.person(i)
		rows = append(rows, object{
			"staffId": p.id, "name": p.name, "phone": p.mobile, "email": p.email, "deptName": c.t.company.byID[p.dept].name, "roles": "", "title": p.title,
		})
	}
	return object{"auditSignedDetailDTOList": rows, "total": len(in), "currentPage": c.number("pageNumber", 1), "pageSize": size}
}
