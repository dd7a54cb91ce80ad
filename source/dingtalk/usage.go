package dingtalk

import (
	"context"
	"time"
)

// CountUsage asks DingTalk how many calls the tenant has used this month, also by other programs, and tells the budget. The call is known
// from the SDK only: where it is refused, the budget goes by its own count.
func (c *Client) CountUsage(ctx context.Context) (used, quota int, err error) {
	month := c.cfg.Now().In(serverTime).Format("200601")
	a := args{}
	a.set(apiUsage, "benefitCode", "api_count")
	a.set(apiUsage, "periodType", "month")
	a.set(apiUsage, "startTime", month)
	a.set(apiUsage, "endTime", month)
	ans, err := c.call(ctx, JobBase, apiUsage, a)
	if err != nil {
		return 0, 0, err
	}
	var periods [][]struct {
		Period text   `json:"period"`
		Used   number `json:"usedNum"`
		Quota  number `json:"quotaNum"`
	}
	if !fits(ans.body, &periods) {
		return 0, 0, (&Fault{Kind: Unexpected, API: apiUsage.String(), Request: ans.request}).refusal()
	}
	for _, outer := range periods {
		for _, p := range outer {
			used, quota = used+int(p.Used), quota+int(p.Quota)
		}
	}
	return used, quota, c.cfg.Budget.Counted(used)
}

// Usage is what the budget has counted, and the quota.
func (c *Client) Usage() (Usage, Quota) { return c.cfg.Budget.Usage(), c.cfg.Budget.Quota() }

// Granted is what a probe found out about one permission.
type Granted struct {
	API    string
	Feed   string
	Points []string
	Exempt bool  // the probe cost nothing
	Err    error // nil: it may be called
}

// Probe calls, for each call that a feed begins with, as little as possible, and says which are granted. It spends from the budget like
// any other call.
func (c *Client) Probe(ctx context.Context, feed string) (out []Granted, err error) {
	now := c.cfg.Now()
	day := now.Add(-24 * time.Hour)
	for _, p := range []struct {
		feed string
		api  *endpoint
		set  map[string]any
	}{
		{"directory", apiDepartments, map[string]any{"dept_id": int64(1)}},
		{"directory", apiUsers, map[string]any{"dept_id": int64(1)}},
		{"directory", apiRoles, nil},
		{"directory", apiAdmins, nil},
		{"directory", apiLeavers, map[string]any{"startTime": day.UTC().Format("2006-01-02T15:04:05Z")}},
		{"notices", apiNoticeIDs, map[string]any{"operation_userid": c.cfg.Operator}},
		{"filelog", apiFileLog, map[string]any{"startDate": day.UnixMilli(), "endDate": now.UnixMilli()}},
		{"attendance", apiAttendance, map[string]any{"workDateFrom": day.In(serverTime).Format(time.DateTime), "workDateTo": now.In(serverTime).Format(time.DateTime), "userIdList": []string{c.cfg.Operator}}},
		{"meetings", apiMeetings, map[string]any{"startTime": day.UnixMilli(), "endTime": now.UnixMilli(), "realData": "true"}},
		{"drive", apiSpaces, map[string]any{"unionId": c.cfg.OperatorUnion, "spaceType": "org"}},
		{"roster", apiRosterMeta, map[string]any{"agentid": c.cfg.AgentID}},
	} {
		if p.feed != feed {
			continue
		}
		a := args{}
		for name, value := range p.set {
			a.set(p.api, name, value)
		}
		_, err := c.page(ctx, JobBase, p.api, a, "")
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		out = append(out, Granted{p.api.String(), feed, p.api.points, p.api.exempt, err})
	}
	return out, nil
}
