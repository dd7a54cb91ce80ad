package dingtalk

import (
	"cmp"
	"encoding/json"
	"strings"

	"guia"
	"guia/source"
)

// robotMessage is what somebody said to the robot, in a group or alone (dingtalk-api.md 3.3).
type robotMessage struct {
	ID           text `json:"msgId"`
	Kind         text `json:"msgtype"`
	Conversation text `json:"conversationId"`
	Alone        text `json:"conversationType"` // 1 one to one, 2 group
	Title        text `json:"conversationTitle"`
	At           text `json:"createAt"`
	Nick         text `json:"senderNick"`
	Staff        text `json:"senderStaffId"` // empty for outsiders
	Union        text `json:"senderUnionId"`
	Sender       text `json:"senderId"` // encrypted
	Corp         text `json:"senderCorpId"`
	AtUsers      []struct {
		ID    text `json:"dingtalkId"`
		Staff text `json:"staffId"`
		Union text `json:"unionId"`
	} `json:"atUsers"`
	Text    loose[words]   `json:"text"`
	Content loose[content] `json:"content"`
}

type words struct {
	Content text `json:"content"`
}

// content is what a message has that is no plain text.
type content struct {
	Code        text `json:"downloadCode"`
	Name        text `json:"fileName"`
	Recognition text `json:"recognition"`
	Rich        []struct {
		Text text `json:"text"`
		Code text `json:"downloadCode"`
		Kind text `json:"type"`
	} `json:"richText"`
}

// loose is a part that is left out when it is odd: there are kinds of message that nobody documents.
type loose[T any] struct{ is T }

// UnmarshalJSON implements [json.Unmarshaler].
func (l *loose[T]) UnmarshalJSON(b []byte) error {
	_ = json.Unmarshal(b, &l.is) // the raw bytes have it
	return nil
}

// personOf names a person by the identifier in the organisation, else by that across organisations, else by what there is.
func personOf(staff, union, other text) string {
	switch {
	case staff != "":
		return string(staff)
	case union != "":
		return unionPrefix + string(union)
	}
	return string(other)
}

// said is a message to the robot. Its attachments are named with the code by which they can be downloaded; no call is made for them. Of
// speech only the words that DingTalk recognised are there.
func (e *event) said() ([]source.Record, error) {
	var m robotMessage
	if err := read(e.data, &m); err != nil {
		return nil, err
	}
	if m.ID == "" || m.Conversation == "" {
		return nil, errPush
	}
	r := e.message(m.ID, m.Conversation, m.At)
	r.StreamName = string(m.Title)
	if r.StreamKind = "group"; m.Alone == "1" {
		r.StreamKind = "direct"
	}
	e.from(&r, source.Person{ID: personOf(m.Staff, m.Union, m.Sender), Name: string(m.Nick)})
	if m.Corp != "" && string(m.Corp) != e.at.c.cfg.CorpID {
		r.Extra.Set("status", "outside")
	}
	for _, u := range m.AtUsers {
		if id := personOf(u.Staff, u.Union, u.ID); id != "" {
			r.Recipients = append(r.Recipients, id)
		}
	}
	var said []string
	for _, t := range []text{m.Text.is.Content, m.Content.is.Recognition} {
		if t != "" {
			said = append(said, string(t))
		}
	}
	file := func(name, code text) {
		if code != "" {
			r.Files = append(r.Files, source.File{Name: string(name), Size: -1, Missing: "not downloaded; download code " + string(code)})
		}
	}
	file(cmp.Or(m.Content.is.Name, m.Kind), m.Content.is.Code)
	for _, part := range m.Content.is.Rich {
		if part.Text != "" {
			said = append(said, string(part.Text))
		}
		file(cmp.Or(part.Kind, "picture"), part.Code)
	}
	r.Text = strings.Join(said, "\n")
	return []source.Record{r}, nil
}

// saidToService is a message to a service account of the organisation.
func (e *event) saidToService() ([]source.Record, error) {
	var m struct {
		ID      text `json:"msgId"`
		To      text `json:"toUser"`
		From    text `json:"fromUser"`
		Staff   text `json:"fromUserId"`
		Nick    text `json:"senderNick"`
		Content text `json:"content"`
		At      text `json:"createTime"`
	}
	if err := read(e.data, &m); err != nil {
		return nil, err
	}
	if m.ID == "" || m.From == "" && m.Staff == "" {
		return nil, errPush
	}
	r := e.message(m.ID, "service/"+m.To+"/"+cmp.Or(m.From, m.Staff), m.At)
	r.StreamKind, r.Text = "direct", string(m.Content)
	if m.To != "" {
		r.Recipients = []string{string(m.To)}
	}
	e.from(&r, source.Person{ID: string(cmp.Or(m.Staff, m.From)), Name: string(m.Nick)})
	return []source.Record{r}, nil
}

// message begins a message of a conversation, by its own identifier: a delivery of it has none (dingtalk-api.md 3.3).
func (e *event) message(id, conversation, at text) source.Record {
	if e.id == "" {
		e.id = string(id)
	}
	r := e.record(guia.MessageSent, string(id), trimmed(e.data, unkept(e.topic)))
	r.Stream, r.StreamName = string(conversation), ""
	e.inTime(&r, cmp.Or(at, e.born))
	return r
}

func (e *event) from(r *source.Record, who source.Person) {
	if r.Sender = who; who.ID == "" {
		r.Sender = source.Person{}
		r.Marks = append(r.Marks, source.MarkNoSender)
	}
}
