package dingtalktest

import (
	"slices"
	"time"
)

var approvalCalls = []endpoint{
	{method: "POST", path: "/v1.0/workflow/processes/instanceIds/query", scope: "Workflow.Instance.Read", do: listApprovals},
	{method: "GET", path: "/v1.0/workflow/processInstances", scope: "Workflow.Instance.Read", do: getApproval},
}

// The forms that the company uses.
const (
	LeaveForm   = "PROC-TEST-LEAVE-0001"
	ReleaseForm = "PROC-TEST-RELEASE-0002" // of a document to a client
)

// approval is one process instance. It runs from its start until somebody decided.
type approval struct {
	id       string
	code     string
	title    string
	who      *person
	by       *person
	at       time.Time
	decided  time.Time
	refused  bool
	business string
}

func (a *approval) status(now time.Time) (status, result string) {
	switch {
	case a.decided.After(now):
		return "RUNNING", ""
	case a.refused:
		return "COMPLETED", "refuse"
	}
	return "COMPLETED", "agree"
}

func listApprovals(c *call) object {
	if !c.need("processCode", "startTime", "nextToken", "maxResults") {
		return nil
	}
	from, until := c.milli("startTime"), c.now
	if c.number("endTime", 0) > 0 {
		until = c.milli("endTime")
	}
	size := c.size("maxResults", 20, 20)
	if until.Sub(from) > 120*24*time.Hour {
		return c.fail(newFault(400, "paramError", "时间跨度不能超过120天"))
	}
	want, users := c.list("statuses"), c.list("userIds")
	var in []string
	for _, a := range c.t.approvals {
		status, _ := a.status(c.now)
		switch {
		case a.code != c.text("processCode"), a.at.Before(from), a.at.After(until), a.at.After(c.now):
		case len(want) > 0 && !slices.Contains(want, status), len(users) > 0 && !slices.Contains(users, a.who.id):
		default:
			in = append(in, a.id)
		}
	}
	page, next, more := byNumber(c, in, "nextToken", size)
	result := object{"list": append([]string{}, page...)}
	if more {
		result["nextToken"] = jsonText(next) // a number goes in and a text comes out
	}
	return object{"result": result, "success": true}
}

func getApproval(c *call) object {
	if !c.need("processInstanceId") {
		return nil
	}
	for _, a := range c.t.approvals {
		if a.id == c.text("processInstanceId") && !a.at.After(c.now) {
			return object{"result": a.show(c.t.company, c.now), "success": "true"}
		}
	}
	return c.fail(newFault(400, "processInstanceNotExist", "审批实例不存在"))
}

func (a *approval) show(c *company, now time.Time) object {
	status, result := a.status(now)
	d := c.byID[a.who.dept]
	records := []object{{"userId": a.who.id, "date": written(a.at), "type": "START_PROCESS_INSTANCE", "result": "NONE", "remark": "", "showName": "提交"}}
	task := object{"taskId": 77_000_000, "userId": a.by.id, "status": "RUNNING", "createTime": written(a.at), "processInstanceId": a.id, "activityId": "a1"}
	o := object{
		"title": a.title, "status": status, "result": result, "businessId": a.business, "createTime": written(a.at), "originatorUserId": a.who.id,
		"originatorDeptId": jsonText(d.id), "originatorDeptName": d.name, "approverUserIds": []string{a.by.id}, "ccUserIds": []string{},
		"attachedProcessInstanceIds": []string{}, "bizAction": "NONE",
		"formComponentValues": []object{
			{"id": "TextField-1", "componentType": "TextField", "name": "事由", "value": a.title, "extValue": "", "bizAlias": ""},
			{"id": "DDDateField-1", "componentType": "DDDateField", "name": "日期", "value": local(a.at)[:10], "extValue": "", "bizAlias": ""},
		},
	}
	if status == "COMPLETED" {
		o["finishTime"] = written(a.decided)
		task["status"], task["finishTime"], task["result"] = "COMPLETED", written(a.decided), map[bool]string{true: "REFUSE", false: "AGREE"}[a.refused]
		records = append(records, object{
			"userId": a.by.id, "date": written(a.decided), "type": "EXECUTE_TASK_NORMAL", "result": task["result"], "remark": "", "showName": "主管審批",
			"attachments": []object{},
		})
	}
	o["operationRecords"], o["tasks"] = records, []object{task}
	return o
}
