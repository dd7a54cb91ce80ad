package dingtalktest

import (
	"slices"
	"strconv"
	"time"
)

var noticeCalls = []endpoint{
	{path: "/topapi/message/corpconversation/asyncsend_v2", scope: "qyapi_base", do: sendNotice},
	{path: "/topapi/message/corpconversation/getsendprogress", scope: "qyapi_base", do: noticeProgress},
	{path: "/topapi/message/corpconversation/getsendresult", scope: "qyapi_base", do: noticeResult},
	{path: "/topapi/message/corpconversation/recall", scope: "qyapi_base", do: recallNotice},
}

// notice is one task of work notices. It is sent within ten seconds.
type notice struct {
	id        int64
	agent     int64
	at        time.Time
	text      string
	reached   []int
	invalid   []string
	depts     []string       // that do not exist
	forbidden map[int]string // index to code: the silent limits
	recalled  bool
}

// sentNotices remember what the silent limits need: an answer says ok although nobody is told.
type sentNotices struct {
	same   map[string]bool   // day, person, content
	day    map[string]int    // day, person
	minute map[time.Time]int // recipients
}

func (s *sentNotices) begin() {
	s.same, s.day, s.minute = map[string]bool{}, map[string]int{}, map[time.Time]int{}
}

func sendNotice(c *call) object {
	if !c.need("agent_id", "msg") || !c.agentID() {
		return nil
	}
	msg := c.object("msg")
	text := jsonText(msg)
	n := &notice{id: 500_000_000_000 + c.t.next(), agent: c.app.AgentID, at: c.now, text: text, forbidden: map[int]string{}}
	users, depts := c.list("userid_list"), c.list("dept_id_list")
	switch {
	case c.bad != nil:
		return nil
	case len(text) > 2048:
		return c.fail(oldFault(400002, "消息体不能超过2048字节"))
	case msg["msgtype"] == nil:
		return c.fail(oldFault(400002, "缺少参数 msgtype"))
	case len(users) > 100:
		return c.fail(oldFault(40035, "userid_list最多100个"))
	case len(depts) > 20:
		return c.fail(oldFault(40035, "dept_id_list最多20个"))
	case len(users)+len(depts) == 0 && !c.flag("to_all_user"):
		return c.fail(oldFault(400002, "接收者为空"))
	}
	c.t.address(c, n, users, depts)
	c.t.limit(n)
	c.t.notices[n.id] = n
	return object{"task_id": n.id}
}

func (c *call) agentID() bool {
	if c.number("agent_id", 0) != c.app.AgentID {
		c.fail(oldFault(400002, "agent_id不合法"))
		return false
	}
	return true
}

// address finds the recipients; a department includes those below.
func (t *Tenant) address(c *call, n *notice, users, depts []string) {
	in := map[int]bool{}
	for _, u := range users {
		if p := t.company.here(u); p != nil {
			in[p.index] = true
		} else {
			n.invalid = append(n.invalid, u)
		}
	}
	if c.flag("to_all_user") {
		depts = append(depts, "1")
	}
	for _, s := range depts {
		id, _ := strconv.ParseInt(s, 10, 64)
		if t.company.byID[id] == nil {
			n.depts = append(n.depts, s)
			continue
		}
		for below := range t.company.below(id) {
			for _, i := range t.company.members(t.company.byID[below]) {
				in[i] = true
			}
		}
	}
	for i := range in {
		n.reached = append(n.reached, i)
	}
	slices.Sort(n.reached)
}

// limit applies the silent limits: the same content once a day, 500 notices a day, 5,000 recipients a send and a minute.
func (t *Tenant) limit(n *notice) {
	day := n.at.In(Shanghai).Format(time.DateOnly)
	minute := n.at.Truncate(time.Minute)
	kept := 0
	for _, i := range n.reached {
		who := day + " " + strconv.Itoa(i)
		switch {
		case kept >= 5000 || t.sent.minute[minute] >= 5000:
			n.forbidden[i] = "143103"
		case t.sent.day[who] >= 500:
			n.forbidden[i] = "143105"
		case t.sent.same[who+" "+n.text]:
			n.forbidden[i] = "143106"
		default:
			t.sent.day[who]++
			t.sent.same[who+" "+n.text] = true
			t.sent.minute[minute]++
			kept++
		}
	}
	n.reached = slices.DeleteFunc(n.reached, func(i int) bool { return n.forbidden[i] != "" })
}

// task is the notice that was asked for, for 24 hours after it was sent.
func (c *call) task(name string) *notice {
	if !c.need("agent_id", name) || !c.agentID() {
		return nil
	}
	n := c.t.notices[c.number(name, 0)]
	if n == nil || n.agent != c.app.AgentID || c.now.Sub(n.at) > 24*time.Hour {
		c.fail(oldFault(400002, "任务不存在或已超过24小时"))
		return nil
	}
	return n
}

func noticeProgress(c *call) object {
	n := c.task("task_id")
	if n == nil {
		return nil
	}
	done := min(int(c.now.Sub(n.at)/time.Second)*10, 100)
	status := 1
	switch done {
	case 0:
		status = 0
	case 100:
		status = 2
	}
	return object{"progress": object{"progress_in_percent": done, "status": status}}
}

func noticeResult(c *call) object {
	n := c.task("task_id")
	if n == nil {
		return nil
	}
	read, unread, forbidden := []string{}, []string{}, []string{}
	reasons := []object{}
	for _, i := range n.reached {
		m := c.t.read("notice "+strconv.FormatInt(n.id, 10), i, n.at)
		switch {
		case n.recalled || c.now.Sub(n.at) < 10*time.Second:
		case passed(m, c.now):
			read = append(read, c.t.company.userID(i))
		default:
			unread = append(unread, c.t.company.userID(i))
		}
	}
	blocked := make([]int, 0, len(n.forbidden))
	for i := range n.forbidden {
		blocked = append(blocked, i)
	}
	slices.Sort(blocked)
	for _, i := range blocked {
		forbidden = append(forbidden, c.t.company.userID(i))
		reasons = append(reasons, object{"code": n.forbidden[i], "count": 1, "userid": c.t.company.userID(i)})
	}
	depts := []int64{}
	for _, s := range n.depts {
		id, _ := strconv.ParseInt(s, 10, 64)
		depts = append(depts, id)
	}
	return object{"send_result": object{
		"invalid_user_id_list": append([]string{}, n.invalid...), "forbidden_user_id_list": forbidden, "failed_user_id_list": []string{},
		"read_user_id_list": read, "unread_user_id_list": unread, "invalid_dept_id_list": depts, "forbidden_list": reasons,
	}}
}

func recallNotice(c *call) object {
	if n := c.task("msg_task_id"); n != nil {
		n.recalled = true
	}
	return object{}
}
