package dingtalktest

import (
	"fmt"
	"slices"
	"time"
)

var attendanceCalls = []endpoint{
	{path: "/attendance/list", scope: "qyapi_get_attendance_data", do: attendanceList},
	{path: "/attendance/listRecord", scope: "qyapi_get_attendance_data", do: attendanceRecords},
	{path: "/topapi/attendance/getsimplegroups", scope: "qyapi_base", do: attendanceGroups},
	{path: "/topapi/attendance/group/minimalism/list", scope: "qyapi_attendance_group_read", do: attendanceGroupNames},
	{path: "/topapi/attendance/schedule/listbyday", scope: "qyapi_attendance_group_read", do: schedule},
	{path: "/topapi/attendance/getattcolumns", scope: "qyapi_base", do: attendanceColumns},
	{path: "/topapi/attendance/getcolumnval", scope: "qyapi_base", do: columnValues},
}

// punch is one clock-in or clock-out. Nothing is stored: it is drawn for the person and the day, and exists once its time has come.
type punch struct {
	id      int64
	who     *person
	day     time.Time
	check   string // OnDuty or OffDuty
	planned time.Time
	at      time.Time // zero: not signed
	result  string
	place   string
	abroad  bool // punched outside of the place of work
}

// punches are those of one person on one day, until now.
func (t *Tenant) punches(p *person, day, now time.Time) []punch {
	c, all := t.company, t.live.clocked(p, day)
	d := roll(c.spec.Seed, "punch", int64(p.index), day.Unix())
	if wd := day.Weekday(); wd == time.Sunday || wd == time.Saturday && c.spec.Size == "S" || day.Before(p.hired) {
		return all
	}
	if c.gone[p.index] && !day.Before(c.leaving(p.index).last) || d.percent(4) {
		return all // left, or on leave
	}
	starts := 9 * time.Hour
	if c.spec.Size == "L" { // three shifts
		starts = time.Duration(p.index%3*8) * time.Hour
	}
	late := time.Duration(d.n(25)-18) * time.Minute
	for n, check := range []string{"OnDuty", "OffDuty"} {
		planned := day.Add(starts + time.Duration(n)*9*time.Hour)
		x := punch{
			id: day.Unix()/86400*1_000_000 + int64(p.index)*2 + int64(n), who: p, day: day, check: check, planned: planned,
			at: planned.Add(late + time.Duration(d.n(60))*time.Second), result: "Normal", place: workplace(p), abroad: d.percent(6),
		}
		if n == 1 {
			x.at = planned.Add(time.Duration(d.n(50)-4) * time.Minute)
			if x.at.Before(planned) {
				x.result = "Early"
			}
		} else if x.at.After(planned) {
			x.result = "Late"
		}
		if d.percent(3) {
			x.at, x.result = time.Time{}, "NotSigned"
		}
		if due := x.at; due.IsZero() && planned.Add(4*time.Hour).After(now) || due.After(now) {
			continue
		}
		all = append(all, x)
	}
	return all
}

func (x *punch) row(c *company) object {
	o := object{
		"id": x.id, "userId": x.who.id, "workDate": x.day.UnixMilli(), "checkType": x.check, "timeResult": x.result, "locationResult": "Normal",
		"sourceType": "USER", "baseCheckTime": x.planned.UnixMilli(), "groupId": 610_001, "planId": x.id + 7_000_000_000,
	}
	switch {
	case x.at.IsZero():
		o["locationResult"], o["sourceType"] = "NotSigned", "SYSTEM"
		o["userCheckTime"] = x.planned.UnixMilli()
	default:
		o["userCheckTime"], o["recordId"] = x.at.UnixMilli(), x.id+9_000_000_000
		if x.abroad {
			o["locationResult"] = "Outside"
		}
	}
	return o
}

// window reads the people and the span of an attendance call.
func (c *call) window(people, from, to string, reach time.Time) (who []*person, first, last time.Time) {
	if !c.need(people, from, to) {
		return nil, first, last
	}
	first, last = c.local(from), c.local(to)
	ids := c.list(people)
	switch {
	case c.bad != nil:
	case last.Before(first) || last.Sub(first) > 7*24*time.Hour:
		c.fail(oldFault(40035, "不合法的参数：时间跨度不能超过7天"))
	case len(ids) == 0 || len(ids) > 50:
		c.fail(oldFault(33012, "不合法的userid列表，最多50个"))
	case first.Before(reach):
		first = reach
	}
	for _, id := range ids {
		if p := c.t.company.find(id); p != nil {
			who = append(who, p)
		}
	}
	return who, first, last
}

func attendanceList(c *call) object {
	if !c.need("offset", "limit") {
		return nil
	}
	size := c.size("limit", 50, 50)
	who, first, last := c.window("userIdList", "workDateFrom", "workDateTo", midnight(c.now).AddDate(0, -6, 0))
	if c.bad != nil {
		return nil
	}
	var all []punch
	for day := midnight(first); !day.After(last); day = day.AddDate(0, 0, 1) {
		for _, p := range who {
			all = append(all, c.t.punches(p, day, c.now)...)
		}
	}
	page, more := byOffset(c, all, size)
	rows := []object{}
	for _, x := range page {
		rows = append(rows, x.row(c.t.company))
	}
	return object{"recordresult": rows, "hasMore": more}
}

// attendanceRecords are the punches themselves with where and on what they were made: no page, so 7 days and 50 people are all.
func attendanceRecords(c *call) object {
	who, first, last := c.window("userIds", "checkDateFrom", "checkDateTo", midnight(c.now).AddDate(0, 0, -180))
	if c.bad != nil {
		return nil
	}
	rows := []object{}
	for day := midnight(first).AddDate(0, 0, -1); !day.After(last); day = day.AddDate(0, 0, 1) {
		for _, p := range who {
			for _, x := range c.t.punches(p, day, c.now) {
				if x.at.IsZero() || x.at.Before(first) || x.at.After(last) {
					continue
				}
				rows = append(rows, x.record(c.t.company))
			}
		}
	}
	return object{"recordresult": spoil(c, rows)}
}

func (x *punch) record(c *company) object {
	d := roll(uint64(x.who.salt), "device", x.id)
	o := x.row(c)
	o["corpId"], o["bizId"], o["classId"] = c.id, fmt.Sprint(x.id), 620_001
	o["gmtCreate"], o["gmtModified"], o["planCheckTime"] = x.at.UnixMilli(), x.at.UnixMilli(), x.planned.UnixMilli()
	o["isLegal"], o["locationMethod"] = "Y", "MAP"
	lat, lon := 22.15+float64(d.n(4000))/1e5, 113.53+float64(d.n(5000))/1e5
	if x.who.kind == mainlander || x.abroad && x.who.kind == commuter { // punched across the border
		lat, lon = 22.22+float64(d.n(4000))/1e5, 113.50+float64(d.n(5000))/1e5
		o["userAddress"] = "广东省珠海市香洲区测试路"
	} else {
		o["userAddress"] = "澳門特別行政區測試大馬路"
	}
	o["userLatitude"], o["userLongitude"], o["userAccuracy"] = fmt.Sprintf("%.5f", lat), fmt.Sprintf("%.5f", lon), "30"
	own := roll(uint64(x.who.salt), "phone")
	o["deviceId"] = own.hex(32)
	if d.percent(50) {
		o["locationMethod"], o["userSsid"], o["userMacAddr"] = "WIFI", "TEST-OFFICE", "02:00:5e:00:53:01"
	}
	return o
}

func attendanceGroups(c *call) object {
	all := []object{{
		"group_id": 610_001, "group_name": "測試考勤組", "type": map[bool]string{true: "TURN", false: "FIXED"}[c.t.company.spec.Size == "L"], "is_default": true,
		"member_count": len(c.t.company.present()), "owner_user_id": c.t.company.userID(c.t.company.cast["hr"]), "manager_list": []string{},
		"dept_name_list": []string{c.t.company.name}, "selected_class": []object{}, "work_day_list": []string{},
	}}
	page, more := byOffset(c, all, c.size("size", 10, 10))
	return object{"result": object{"has_more": more, "groups": slices.Clone(page)}}
}

func attendanceGroupNames(c *call) object {
	if c.member("op_user_id") == nil {
		return nil
	}
	page, _, more := byNumber(c, []object{{"id": 610_001, "name": "測試考勤組"}}, "cursor", 10)
	return object{"result": object{"result": append([]object{}, page...), "has_more": more}, "success": true}
}

// schedule is what was planned for somebody on a day, with its moments as texts.
func schedule(c *call) object {
	if c.member("op_user_id") == nil || !c.need("date_time") {
		return nil
	}
	p := c.member("user_id")
	if p == nil {
		return nil
	}
	rows := []object{}
	for _, x := range c.t.punches(p, midnight(c.milli("date_time")), c.now) {
		status := "Checked"
		if x.at.IsZero() {
			status = "Timeout"
		}
		rows = append(rows, object{
			"id": x.id + 7_000_000_000, "user_id": p.id, "group_id": 610_001, "class_id": 620_001, "class_name": "測試班次", "check_type": x.check, "check_status": status,
			"work_date": local(x.day), "check_date_time": local(x.planned), "is_rest": "N", "corp_id": c.t.company.id, "gmt_create": local(x.day),
			"gmt_modified": local(x.day),
		})
	}
	return object{"result": spoil(c, rows), "success": true}
}

// columns of the attendance report, by their number.
var columns = []string{"出勤天数", "迟到次数", "早退次数"}

func attendanceColumns(*call) object {
	rows := []object{}
	for i, name := range columns {
		rows = append(rows, object{"id": i + 1, "name": name, "type": 0, "sub_type": 0, "status": 0})
	}
	return object{"result": object{"columns": rows}, "success": true}
}

func columnValues(c *call) object {
	if !c.need("column_id_list", "from_date", "to_date") {
		return nil
	}
	p, first, last, ids := c.member("userid"), c.local("from_date"), c.local("to_date"), c.list("column_id_list")
	switch {
	case p == nil || c.bad != nil:
		return nil
	case len(ids) > 20 || last.Before(first) || last.Sub(first) > 31*24*time.Hour:
		return c.fail(oldFault(400002, "一次最多20列、31天"))
	}
	rows := []object{}
	for i, name := range columns {
		if !slices.Contains(ids, fmt.Sprint(i+1)) {
			continue
		}
		days := []object{}
		for day := midnight(first); !day.After(last); day = day.AddDate(0, 0, 1) {
			n := 0
			for _, x := range c.t.punches(p, day, c.now) {
				if i == 0 && x.check == "OnDuty" && !x.at.IsZero() || i == 1 && x.result == "Late" || i == 2 && x.result == "Early" {
					n++
				}
			}
			days = append(days, object{"date": local(day), "value": fmt.Sprint(n)})
		}
		rows = append(rows, object{"column_vo": object{"id": i + 1, "name": name, "type": 0, "sub_type": 0, "status": 0}, "column_vals": days})
	}
	return object{"result": object{"column_vals": rows}, "success": true}
}
