package dingtalktest

import (
	"slices"
	"time"
)

// Delegated is what the official command-line client prints for somebody who signed in and asks for one conversation from a moment
// on and before another: one JSON document. Conversations are those of [Tenant.Conversations]. The order is newest first.
//
// Moments carry no zone and are Shanghai's. Judgement: messageId is the msgId that the robot receives for the same message.
func (t *Tenant) Delegated(userID, conversation string, from, until time.Time) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := []object{}
	for _, g := range t.visible(userID) {
		if g.id != conversation {
			continue
		}
		for _, m := range slices.Backward(g.messages) {
			if m.at.Before(from) || !m.at.Before(until) || m.at.After(t.clock.Now()) {
				continue
			}
			sender, kind := m.from, "outer"
			if p := t.company.find(m.from); p != nil {
				sender, kind = p.name, "user"
			}
			text, _ := m.content["content"].(string)
			o := object{
				"messageId": m.id, "conversationId": g.id, "sender": sender, "senderId": t.openID(m.from), "senderType": kind, "messageType": m.kind,
				"text": text, "createTime": local(m.at), "updateTime": "", "reactions": []object{}, "resourceRefs": []object{},
			}
			if m.kind == "file" {
				o["resourceRefs"] = []object{{"fileName": m.content["fileName"], "type": "file"}}
			}
			rows = append(rows, o)
		}
	}
	return []byte(jsonText(object{
		"contractVersion": "im.message-list.v1", "messages": rows, "count": len(rows), "pagesFetched": 1, "paginationKnown": true, "complete": true,
		"queryRange": object{"startTime": local(from), "endTime": local(until), "order": "desc", "semantics": "[start,end)"},
		"hasMore":    false, "nextPage": nil, "stopReason": "exhausted", "truncated": false, "failedCount": 0, "failures": []object{}, "partial": false,
	}))
}

// Conversations are the ids of what somebody can see: the groups, and the one-to-one talk of the story.
func (t *Tenant) Conversations(userID string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []string
	for _, g := range t.visible(userID) {
		ids = append(ids, g.id)
	}
	return ids
}

func (t *Tenant) visible(userID string) []*group {
	i, ok := t.company.index(userID)
	var all []*group
	for _, g := range append(slices.Clone(t.groups), t.dispute) {
		if ok && slices.Contains(g.members, i) {
			all = append(all, g)
		}
	}
	return all
}

func (t *Tenant) openID(userID string) string {
	if p := t.company.find(userID); p != nil {
		return p.open()
	}
	return userID
}
