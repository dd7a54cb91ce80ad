package slack

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"guia"
	"guia/source"
)

// message is one element of a day file (docs.slack.dev, "message event" and its subtypes). An edit log wraps earlier versions.
type message struct {
	Type     string `json:"type"`
	Subtype  string `json:"subtype"`
	Channel  string `json:"channel"`
	User     string `json:"user"`
	BotID    string `json:"bot_id"`
	Username string `json:"username"`
	Text     string `json:"text"`
	TS       stamp  `json:"ts"`
	ThreadTS stamp  `json:"thread_ts"`

	Edited *struct {
		User string `json:"user"`
		TS   stamp  `json:"ts"`
	} `json:"edited"`
	Profile *struct {
		RealName    string `json:"real_name"`
		DisplayName string `json:"display_name"`
		Name        string `json:"name"`
	} `json:"user_profile"`
	BotProfile *struct {
		Name string `json:"name"`
	} `json:"bot_profile"`

	Blocks      json.RawMessage `json:"blocks"` // []block, read when there is no text
	Attachments []attachment    `json:"attachments"`
	Files       []file          `json:"files"`
	File        *file           `json:"file"` // before 2018

	DeletedTS stamp           `json:"deleted_ts"`
	Message   json.RawMessage `json:"message"`
	Previous  json.RawMessage `json:"previous"`
	Previous2 json.RawMessage `json:"previous_message"` // as the Events API calls it
	Original  json.RawMessage `json:"original"`
}

// file is a file that a message carries.
type file struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Title    string `json:"title"`
	MimeType string `json:"mimetype"`
	Mode     string `json:"mode"`
	External bool   `json:"is_external"`
	Size     int64  `json:"size"`
}

// Marks of this source.
const (
	markUnlisted = "conversation-not-listed" // the folder is in none of the lists of conversations; its name serves as identifier
	markHidden   = "hidden-by-plan"          // Slack withheld the content because of the workspace's plan
)

// maxFiles is how many files of one message become fields of its record; Slack's client takes ten at a time.
const maxFiles = 500

// spoken are the subtypes that somebody says; all others are things that happened in a conversation.
var spoken = []string{
	"", "bot_message", "me_message", "thread_broadcast", "reply_broadcast", "file_share", "file_comment", "slackbot_response",
	"document_mention", "assistant_app_thread", "ekm_access_denied",
}

// readMessage reads one element of a day file: one record, or several when it is an entry of the edit log; nil when it is no
// message at all.
func (e *Export) readMessage(folder string, raw []byte) []source.Record {
	var m message
	if !decode(raw, &m) {
		return nil
	}
	c, listed := e.names.in(folder)
	if !listed && m.Channel != "" && len(m.Channel) <= maxID {
		c.ID = m.Channel
	}
	var records []source.Record
	switch m.Subtype {
	case "message_changed":
		records = e.versions(&c, m.Original, m.Previous, m.Previous2, m.Message)
		if n := len(records); n > 0 {
			records[n-1].Raw = raw // the whole entry, once
		}
	case "message_deleted", "tombstone":
		records = e.versions(&c, m.Original, m.Previous, m.Previous2)
		records = append(records, deletion(&m, &c, raw))
		if n := len(records); n > 1 { // what was deleted is its sender's, also inside this record's raw bytes
			records[n-1].Sender = records[n-2].Sender
		}
	}
	if len(records) == 0 {
		records = []source.Record{e.record(&m, &c, raw)}
	}
	for i := range records {
		r := &records[i]
		r.Stream, r.StreamName, r.StreamKind = c.ID, c.Name, c.kind
		r.RawType = "application/json"
		if !listed {
			r.Marks = append(r.Marks, markUnlisted)
		}
		markEncoding(r)
	}
	return records
}

// versions reads the messages inside an entry of the edit log, each once.
func (e *Export) versions(c *conversation, inner ...json.RawMessage) (records []source.Record) {
	for _, one := range inner {
		var m message
		if len(one) == 0 || one[0] != '{' || !decode(one, &m) || m.TS == "" {
			continue
		}
		r := e.record(&m, c, one)
		if !slices.ContainsFunc(records, func(have source.Record) bool { return have.Key == r.Key }) {
			records = append(records, r)
		}
	}
	return records
}

// deletion is what the export says about a message that is no longer there. A tombstone keeps the place of a thread's first
// message; when it was deleted is not known. Who deleted it is never said: the sender is that of the deleted message, where the edit
// log has it.
func deletion(m *message, c *conversation, raw []byte) source.Record {
	r := source.Record{Type: guia.MessageDeleted, Raw: raw}
	gone := m.DeletedTS
	if m.Subtype == "tombstone" {
		gone = m.TS
		r.TimeBasis = "none"
	} else {
		m.TS.into(&r)
	}
	if !r.HasTime {
		r.Marks = []string{source.MarkNoTime}
	}
	if gone == "" {
		r.Key = c.ID + "/raw/" + shortDigest(raw) + "/deleted"
		return r
	}
	r.EditOf = c.ID + "/" + string(gone)
	r.Key = r.EditOf + "/deleted"
	if m.ThreadTS != "" && m.ThreadTS != gone {
		r.Thread = c.ID + "/" + string(m.ThreadTS)
	}
	return r
}

// record reads a message that stands for itself.
func (e *Export) record(m *message, c *conversation, raw []byte) source.Record {
	r := source.Record{Key: c.ID + "/" + string(m.TS), Type: guia.MessageSent, Raw: raw}
	m.TS.into(&r)
	if m.TS == "" {
		r.Key = c.ID + "/raw/" + shortDigest(raw)
	}
	if m.Edited != nil && m.Edited.TS != "" && m.TS != "" {
		r.Type, r.EditOf = guia.MessageEdited, r.Key
		r.Key += "/edited/" + string(m.Edited.TS)
		m.Edited.TS.into(&r)
	}
	if !slices.Contains(spoken, m.Subtype) || m.Type != "" && m.Type != "message" {
		r.Type, r.EditOf, r.Subject = guia.RecordKept, "", first(m.Subtype, m.Type)
	}
	if m.ThreadTS != "" && m.ThreadTS != m.TS {
		r.Thread = c.ID + "/" + string(m.ThreadTS)
		r.ReplyTo = r.Thread
	}
	if !r.HasTime {
		r.Marks = append(r.Marks, source.MarkNoTime)
	}
	r.Sender = e.sender(m)
	if r.Sender.ID == "" && r.Type != guia.RecordKept {
		r.Marks = append(r.Marks, source.MarkNoSender)
	}
	text, whole := e.names.text(m)
	r.Text = text
	for i, f := range m.Files {
		if i == maxFiles {
			whole = false
			break
		}
		r.Files = append(r.Files, e.attach(f))
	}
	if m.File != nil && len(m.Files) == 0 {
		r.Files = append(r.Files, e.attach(*m.File))
	}
	if !whole {
		r.Marks = append(r.Marks, source.MarkOversize)
	}
	if m.Subtype == "ekm_access_denied" {
		r.Marks = append(r.Marks, source.MarkTruncated)
	}
	if slices.ContainsFunc(m.Files, func(f file) bool { return f.Mode == "hidden_by_limit" }) {
		r.Marks = append(r.Marks, markHidden)
	}
	return r
}

// sender is who said it: as the message itself names them, else as the export's directory does. An app has its own identifier.
func (e *Export) sender(m *message) source.Person {
	p := e.names.people[m.User]
	p.ID = first(m.User, m.BotID)
	if p.ID == "" {
		p.ID = m.Username // incoming webhooks of old
	}
	if len(p.ID) > maxID {
		p.ID = shortDigest([]byte(p.ID))
	}
	if prof := m.Profile; prof != nil {
		p.Name = first(prof.RealName, prof.DisplayName, p.Name, prof.Name)
	}
	if m.User == "" || p.Name == "" {
		p.Name = first(m.Username, p.Name)
		if m.BotProfile != nil {
			p.Name = first(p.Name, m.BotProfile.Name)
		}
	}
	if p.ID == "" && p.Name != "" {
		p.ID = p.Name
	}
	return p
}

// attach describes a file, with its bytes when an export tool has put them into the export. A standard export holds links only;
// they carry a token of the workspace and are not followed.
func (e *Export) attach(f file) source.File {
	out := source.File{Name: first(f.Name, f.Title, f.ID), MediaType: f.MimeType, Size: max(f.Size, -1)}
	if f.Size == 0 {
		out.Size = -1
	}
	if have, ok := e.files.uploads[f.ID]; ok && f.ID != "" {
		out.Size = have.Size
		out.Open = func() (io.ReadCloser, error) { return e.files.Open(have) }
		return out
	}
	switch {
	case f.Mode == "tombstone":
		out.Missing = "deleted in Slack before the export"
	case f.Mode == "hidden_by_limit":
		out.Missing = "withheld by Slack because of the workspace's plan"
	case f.External || f.Mode == "external":
		out.Missing = "kept outside of Slack, only linked"
	default:
		out.Missing = "not in the export, which holds a link only"
	}
	return out
}

// markEncoding marks a record whose bytes are no UTF-8; the JSON reader has replaced them in the text.
func markEncoding(r *source.Record) {
	if !utf8.Valid(r.Raw) {
		r.Marks = append(r.Marks, source.MarkBadEncoding)
	}
	r.Key = strings.ToValidUTF8(r.Key, "\uFFFD")
}
