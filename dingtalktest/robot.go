package dingtalktest

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

var robotCalls = []endpoint{
	{method: "POST", path: "/v1.0/robot/oToMessages/batchSend", scope: "qyapi_robot_sendmsg", do: sendToPeople},
	{method: "GET", path: "/v1.0/robot/oToMessages/readStatus", scope: "qyapi_robot_sendmsg", do: readByPeople},
	{method: "POST", path: "/v1.0/robot/otoMessages/batchRecall", scope: "qyapi_robot_sendmsg", do: recallMessages},
	{method: "POST", path: "/v1.0/robot/groupMessages/send", scope: "qyapi_robot_sendmsg", do: sendToGroup},
	{method: "POST", path: "/v1.0/robot/groupMessages/query", scope: "qyapi_robot_sendmsg", do: readByGroup},
	{method: "POST", path: "/v1.0/robot/groupMessages/recall", scope: "qyapi_robot_sendmsg", do: recallMessages},
	{method: "POST", path: "/v1.0/robot/messageFiles/download", scope: "qyapi_robot_sendmsg", do: downloadMessageFile},
	{method: "POST", path: "/v1.0/robot/installed/groups/query", do: robotGroups},
	{method: "POST", path: "/v1.0/robot/ding/send", scope: "Premium.Ding.Write", edition: Professional, do: sendDing},
	{method: "POST", path: "/v1.0/robot/ding/readStatuses/query", edition: Professional, do: readDing},
}

// robotMessage is a message that the app's robot sent, to people or to a group.
type robotMessage struct {
	key      string
	robot    string
	app      string
	group    *group // nil for one-to-one
	to       []int
	at       time.Time
	recalled bool
	ding     bool
}

var messageKeys = []string{
	"sampleText", "sampleMarkdown", "sampleImageMsg", "sampleLink", "sampleActionCard", "sampleActionCard2", "sampleActionCard3",
	"sampleActionCard4", "sampleActionCard5", "sampleActionCard6", "sampleAudio", "sampleFile", "sampleVideo",
}

// content checks what is sent: msgParam is the text of a JSON object.
func (c *call) content() bool {
	if !c.need("robotCode", "msgKey", "msgParam") {
		return false
	}
	var o object
	switch {
	case c.text("robotCode") != c.app.RobotCode:
		c.fail(newFault(400, "invalidParameter.robotCode.notExist", "robotCode不存在"))
	case !slices.Contains(messageKeys, c.text("msgKey")):
		c.fail(newFault(400, "invalidParameter.msgKey.invalid", "msgKey不合法"))
	case json.Unmarshal([]byte(c.text("msgParam")), &o) != nil:
		c.fail(newFault(400, "invalidParameter.msgParam.invalid", "msgParam不合法"))
	}
	return c.bad == nil
}

func (t *Tenant) sendMessage(c *call, m *robotMessage) {
	d := roll(t.company.spec.Seed, "robot message", t.next())
	m.key, m.robot, m.app, m.at = d.opaque(32), c.app.RobotCode, c.app.Key, c.now
	t.robots[m.key] = m
	for _, i := range m.to {
		at := t.read(m.key, i, m.at)
		if at.IsZero() {
			continue
		}
		t.clock.after(at.Sub(m.at), func() { t.opened(m, i, at) })
	}
}

// opened tells subscribers that somebody read a robot's message. It is the only place where the moment is told.
func (t *Tenant) opened(m *robotMessage, index int, at time.Time) {
	t.mu.Lock()
	t.tellOpened(m, index, at)
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
}

func (t *Tenant) tellOpened(m *robotMessage, index int, at time.Time) {
	p := t.company.person(index)
	if !m.recalled && !m.ding && !t.company.gone[index] {
		o := object{"userId": p.id, "unionId": p.union, "operatTime": strconv.FormatInt(at.UnixMilli(), 10), "robotCode": m.robot, "processQueryKey": m.key}
		if m.group != nil {
			o["openConversationId"] = m.group.id
		}
		t.emit("robot_msg_read", o)
	}
}

func sendToPeople(c *call) object {
	ids := c.list("userIds")
	if !c.content() || !c.need("userIds") {
		return nil
	}
	if len(ids) > 20 {
		return c.fail(newFault(400, "invalidParameter.userIds.overLimit", "userIds最多20个"))
	}
	m := &robotMessage{}
	invalid := []string{}
	for _, id := range ids {
		if p := c.t.company.here(id); p != nil {
			m.to = append(m.to, p.index)
		} else {
			invalid = append(invalid, id)
		}
	}
	c.t.sendMessage(c, m)
	return object{"processQueryKey": m.key, "invalidStaffIdList": invalid, "flowControlledStaffIdList": []string{}, "filteredStaffIdList": []string{}}
}

// message is the one that was asked for, for 24 hours after it was sent.
func (c *call) message() *robotMessage {
	if !c.need("processQueryKey") {
		return nil
	}
	m := c.t.robots[c.text("processQueryKey")]
	switch {
	case m == nil || m.app != c.app.Key:
		c.fail(newFault(400, "processQueryKey.notExist", "processQueryKey不存在"))
		return nil
	case c.now.Sub(m.at) > 24*time.Hour:
		c.fail(newFault(400, "processQueryKey.expireTime", "processQueryKey已过期"))
		return nil
	}
	return m
}

func readByPeople(c *call) object {
	m := c.message()
	if m == nil || !c.need("robotCode") {
		return nil
	}
	if m.group != nil {
		return c.fail(newFault(400, "processQueryKey.notExist", "processQueryKey不存在"))
	}
	rows := []object{}
	for _, i := range m.to {
		p := c.t.company.person(i)
		o := object{"userId": p.id, "name": p.name, "readStatus": "UNREAD", "readTimestamp": 0} // the moment is documented as not supported
		if passed(c.t.read(m.key, i, m.at), c.now) {
			o["readStatus"] = "READ"
		}
		rows = append(rows, o)
	}
	status := "SUCCESS"
	d := roll(c.t.company.spec.Seed, m.key)
	switch {
	case m.recalled:
		status = "RECALLED"
	case d.percent(50):
		status = "SUCESS" // the page's sample spells it so
	}
	return object{"sendStatus": status, "messageReadInfoList": rows}
}

func sendToGroup(c *call) object {
	if !c.content() || !c.need("openConversationId") {
		return nil
	}
	g := c.t.group(c.text("openConversationId"))
	if g == nil || !g.robot {
		return c.fail(newFault(400, "invalidParameter.openConversationId.notExist", "机器人不在群内"))
	}
	m := &robotMessage{group: g, to: g.members}
	c.t.sendMessage(c, m)
	return object{"processQueryKey": m.key}
}

func readByGroup(c *call) object {
	m := c.message()
	if m == nil {
		return nil
	}
	size := c.size("maxResults", 200, 200)
	var in []int
	for _, i := range m.to {
		if passed(c.t.read(m.key, i, m.at), c.now) {
			in = append(in, i)
		}
	}
	page, token := byToken(c, in, size)
	ids, users := []string{}, []object{}
	for _, i := range page {
		p := c.t.company.person(i)
		ids = append(ids, p.id)
		users = append(users, object{"userId": p.id, "unionId": p.union})
	}
	status := "SUCCESS"
	if m.recalled {
		status = "RECALLED"
	}
	return object{"sendStatus": status, "readUserIds": ids, "readUsers": users, "hasMore": token != "", "nextToken": token}
}

func recallMessages(c *call) object {
	if !c.need("robotCode", "processQueryKeys") {
		return nil
	}
	done, failed := []string{}, object{}
	for _, k := range c.list("processQueryKeys") {
		m := c.t.robots[k]
		if m == nil || m.app != c.app.Key || c.now.Sub(m.at) > 24*time.Hour {
			failed[k] = "processQueryKey.expireTime"
			continue
		}
		m.recalled = true
		done = append(done, k)
		c.t.emit("robot_msg_recall", object{"operatTime": strconv.FormatInt(c.now.UnixMilli(), 10), "robotCode": m.robot, "processQueryKey": k})
	}
	return object{"successResult": done, "failedResult": failed}
}

func robotGroups(c *call) object {
	if !c.need("robotCode", "maxResult") {
		return nil
	}
	size := c.size("maxResult", 20, 100)
	var in []string
	for _, g := range c.t.groups {
		if g.robot {
			in = append(in, g.id)
		}
	}
	page, token := byToken(c, in, size)
	return object{"openConversationIds": append([]string{}, page...), "hasMore": token != "", "nextToken": token}
}

func sendDing(c *call) object {
	if !c.need("robotCode", "remindType", "receiverUserIdList", "content") {
		return nil
	}
	m := &robotMessage{ding: true}
	failed := object{}
	for _, id := range c.list("receiverUserIdList") {
		if p := c.t.company.here(id); p != nil {
			m.to = append(m.to, p.index)
		} else {
			failed[id] = "userId不存在"
		}
	}
	c.t.sendMessage(c, m)
	return object{"openDingId": m.key, "failedList": failed}
}

func readDing(c *call) object {
	if !c.need("openDingId", "robotCode") {
		return nil
	}
	m := c.t.robots[c.text("openDingId")]
	if m == nil || !m.ding {
		return c.fail(newFault(400, "invalidParameter", "openDingId不存在"))
	}
	rows := []object{}
	for _, i := range m.to {
		status := "UNREAD"
		if passed(c.t.read(m.key, i, m.at), c.now) {
			status = "READ"
		}
		rows = append(rows, object{"userId": c.t.company.userID(i), "readStatus": status})
	}
	return object{"result": object{"robotDingReadInfoList": rows}, "success": true}
}
