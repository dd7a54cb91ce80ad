package dingtalktest

import "time"

// robotInput is a message that somebody addressed to the robot, in a group or one to one.
type robotInput struct {
	id    string
	from  *person
	group *group // nil for one-to-one
	text  string
	file  *file  // nil for text
	code  string // of the file's bytes
	at    time.Time
}

// Say lets somebody write to the robot: in the group with that openConversationId, or one to one when it is empty.
// It returns the message's id.
func (t *Tenant) Say(userID, conversation, text string) string {
	t.mu.Lock()
	m := t.say(t.company.find(userID), t.group(conversation), text, nil, t.clock.Now())
	t.emitMessage(m)
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
	return m.id
}

// SendFile lets somebody send the robot a file of the drive.
func (t *Tenant) SendFile(userID, conversation, fileID string) string {
	t.mu.Lock()
	m := t.say(t.company.find(userID), t.group(conversation), "", t.files.find(fileID), t.clock.Now())
	t.emitMessage(m)
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
	return m.id
}

func (t *Tenant) say(from *person, g *group, text string, f *file, at time.Time) *robotInput {
	d := roll(t.company.spec.Seed, "robot input", t.next())
	m := &robotInput{id: "msg" + d.opaque(24), from: from, group: g, text: text, file: f, at: at}
	if f != nil {
		m.code = d.opaque(48)
	}
	t.received = append(t.received, m)
	if g != nil {
		o := groupMessage{id: m.id, at: at, from: from.id, kind: "text", content: object{"content": text}}
		if f != nil {
			o.kind, o.content = "file", object{"fileName": f.name}
		}
		t.write(g, o)
	}
	return m
}

// payload is what the robot receives. createAt is a number here although the page says text: its sample and the SDK have a number.
func (t *Tenant) payload(m *robotInput, app *App) object {
	d := roll(t.company.spec.Seed, "one to one", int64(m.from.index))
	o := object{
		"conversationId": "cid" + d.opaque(16), "conversationType": "1", "chatbotCorpId": t.company.id, "chatbotUserId": "$:LWCP_v1:$" + app.RobotCode,
		"robotCode": app.RobotCode, "msgId": m.id, "senderNick": m.from.name, "senderId": "$:LWCP_v1:$" + m.from.open(), "senderStaffId": m.from.id,
		"senderUnionId": m.from.union, "senderCorpId": t.company.id, "isAdmin": t.company.admins[m.from.index] > 0, "createAt": m.at.UnixMilli(),
		"sessionWebhook": "https://oapi.dingtalk.test/robot/sendBySession?session=" + d.hex(32), "sessionWebhookExpiredTime": m.at.Add(90 * time.Minute).UnixMilli(),
		"msgtype": "text",
	}
	if m.group != nil {
		o["conversationId"], o["conversationType"], o["conversationTitle"], o["isInAtList"] = m.group.id, "2", m.group.name, true
		o["atUsers"] = []object{{"dingtalkId": o["chatbotUserId"]}}
	}
	if m.file != nil {
		o["msgtype"], o["content"] = "file", object{"downloadCode": m.code, "fileName": m.file.name}
	} else {
		o["text"] = object{"content": m.text}
	}
	return o
}
