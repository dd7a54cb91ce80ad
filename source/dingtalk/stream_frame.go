package dingtalk

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// frame is what comes through the Stream (dingtalk-api.md 13.1).
type frame struct {
	kind    string // SYSTEM, EVENT, CALLBACK
	topic   string
	message string // by which it is answered
	data    []byte

	event, id, corp string
	born            text
	empty           bool
	odd             string // why it cannot be read; with a message it can be answered all the same
}

// The kinds of frame, and codes of answers.
const (
	kindSystem   = "SYSTEM"
	kindEvent    = "EVENT"
	kindCallback = "CALLBACK"

	codeOK        = 200
	codeNoHandler = 404
)

// spentCode is that of a frame without content, because the month's deliveries are spent (dingtalk-api.md 1.5).
const spentCode = "20001"

type headers struct {
	Topic   text `json:"topic"`
	Message text `json:"messageId"`
	Event   text `json:"eventType"`
	ID      text `json:"eventId"`
	Born    text `json:"eventBornTime"`
	Time    text `json:"time"`
	Corp    text `json:"eventCorpId"`
}

// parseFrame reads a frame. It never fails: what cannot be read is said in odd. The data, documented as a string that holds JSON, may be
// JSON itself.
func parseFrame(raw []byte) (f frame) {
	if len(raw) > maxFrame {
		f = beginning(raw)
		f.odd, f.data = "an event larger than Guia takes", nil
		return f
	}
	var whole struct {
		Kind    text            `json:"type"`
		Headers headers         `json:"headers"`
		Data    json.RawMessage `json:"data"`
		Err     text            `json:"errCode"`
	}
	if err := read(raw, &whole); err != nil {
		f = beginning(raw)
		f.odd, f.data = errPush.Error(), bytes.Clone(raw)
		return f
	}
	f.head(string(whole.Kind), &whole.Headers)
	f.data = whole.Data
	var inner text
	if len(f.data) > 0 && f.data[0] == '"' && fits(f.data, &inner) {
		f.data = []byte(inner)
	}
	f.data = bytes.TrimSpace(f.data)
	var told struct {
		Err text `json:"errCode"`
		ID  text `json:"msgId"`
	}
	object := json.Valid(f.data) && len(f.data) > 0 && f.data[0] == '{'
	if object {
		_ = json.Unmarshal(f.data, &told) // it has neither when it is of another form
	}
	f.empty = whole.Err == spentCode || told.Err == spentCode
	if f.topic == robotTopic && f.id == "" && len(told.ID) <= maxPushID {
		f.id = string(told.ID)
	}
	if f.odd == "" && !object && !f.empty && f.kind != kindSystem {
		f.odd = errPush.Error()
	}
	return f
}

// head takes over what the headers say.
func (f *frame) head(kind string, h *headers) {
	f.kind, f.topic, f.message, f.event, f.id, f.corp = kind, string(h.Topic), string(h.Message), string(h.Event), string(h.ID), string(h.Corp)
	f.born = cmp.Or(h.Born, h.Time)
	for _, s := range []*string{&f.topic, &f.message, &f.event, &f.id, &f.corp} {
		if len(*s) > maxPushID {
			*s, f.odd = "", errPush.Error()
		}
	}
}

// beginning finds kind and headers of a frame of which only the beginning can be read, so that it can be answered and does not come again.
func beginning(raw []byte) (f frame) {
	dec := json.NewDecoder(bytes.NewReader(raw[:min(len(raw), 64<<10)]))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return f
	}
	var kind text
	var h headers
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		switch name {
		case "type":
			err = dec.Decode(&kind)
		case "headers":
			err = dec.Decode(&h)
		default:
			var skip json.RawMessage
			err = dec.Decode(&skip)
		}
		if err != nil {
			break
		}
	}
	f.head(string(kind), &h)
	return f
}

// isKept reports whether the frame brings something to keep, if only a gap: it is no message of the connection itself, and not of a
// callback that we did not ask for.
func (f *frame) isKept() bool {
	return f.kind != kindSystem && (f.kind != kindCallback || f.topic == robotTopic)
}

// push is the delivery that the frame brings.
func (f *frame) push(peer string) push {
	topic := cmp.Or(f.event, f.topic)
	if f.kind == kindCallback {
		topic = f.topic
	}
	return push{via: cmp.Or(clean(f.kind), kindEvent), topic: topic, id: f.id, born: f.born, corp: f.corp, data: f.data, peer: peer, odd: f.odd, empty: f.empty}
}

// reply is the answer to a frame.
func (f *frame) reply(code int, message, data string) []byte {
	type h struct {
		Message string `json:"messageId"`
		Content string `json:"contentType"`
	}
	b, _ := json.Marshal(struct {
		Code    int    `json:"code"`
		Headers h      `json:"headers"`
		Message string `json:"message"`
		Data    string `json:"data"`
	}{code, h{f.message, "application/json"}, message, data}) // plain values
	return b
}

// done acknowledges a frame: what it told is durable.
func (f *frame) done() []byte {
	if f.kind == kindCallback {
		return f.reply(codeOK, "OK", `{"response":null}`)
	}
	return f.reply(codeOK, "OK", `{"status":"SUCCESS","message":""}`)
}
