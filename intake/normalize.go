package intake

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"guia"
	"guia/canon"
	"guia/source"
	"guia/vault"
)

// most numbered fields of one kind that an event has (files, recipients, members): four digits, and MaxFields in all.
const mostNumbered = 1000

// normalize turns a record into the fields of an event. It is pure: files are named, not read.
func normalize(feed Feed, r *source.Record) (*item, error) {
	if _, err := guia.ParseType(string(r.Type)); err != nil {
		return nil, err
	}
	if r.Key == "" {
		return nil, fmt.Errorf("record without a key")
	}
	c := &vault.Content{
		Header: guia.Header{Type: r.Type, Source: feed.Source, Record: guia.NewRecordID(), Captured: time.Now().UTC().Truncate(time.Millisecond)},
		Fields: make(guia.Fields, 0, 48),
		Class:  feed.Class, Stream: r.Stream, Person: r.Sender.ID,
	}
	f := &c.Fields
	set := func(name, value string) { f.Set(name, clean(value)) }
	marks := r.Marks
	set("class", feed.Class)
	set("entity", feed.Entity)
	set("channel", string(feed.Channel))
	set("grade", string(feed.Grade))
	set("normaliser", feed.Normaliser)
	if feed.Import != (guia.RecordID{}) {
		set("import", feed.Import.String())
	}
	set("origin", r.Origin)
	set("conversation.key", r.Stream)
	set("conversation.name", r.StreamName)
	set("conversation.kind", r.StreamKind)
	if r.HasTime {
		set("time", r.Time.String())
	} else if !slices.Contains(marks, source.MarkNoTime) && isMessage(r.Type) {
		marks = append(slices.Clone(marks), source.MarkNoTime)
	}
	set("time.original", r.TimeOriginal)
	set("time.zone", r.TimeZone)
	set("time.basis", r.TimeBasis)
	set("sender.key", r.Sender.ID)
	set("sender.name", r.Sender.Name)
	set("sender.address", r.Sender.Address)
	set("sender.phone", r.Sender.Phone)
	set("sender.title", r.Sender.Title)
	set("department", r.Sender.Department)
	set("source_key", r.Key)
	set("subject", r.Subject)
	text := clean(r.Text)
	canon.SetText(f, text)
	set("text.html", r.HTML)
	set("reply_to", r.ReplyTo)
	set("thread", r.Thread)
	set("edit_of", r.EditOf)
	numbered(f, "recipient", r.Recipients, &marks)
	numbered(f, "member", r.Members, &marks)
	for i, file := range r.Files {
		if i == mostNumbered {
			marks = append(slices.Clone(marks), source.MarkOversize)
			break
		}
		name := fmt.Sprintf("file.%04d", i+1)
		set(name+".name", cmp.Or(file.Name, "?"))
		set(name+".type", file.MediaType)
		if file.Open == nil {
			set(name+".missing", cmp.Or(file.Missing, "not in the source"))
			continue
		}
		c.Files = append(c.Files, vault.File{Field: name, Open: file.Open})
	}
	for _, extra := range r.Extra {
		if _, ok := guia.SlotOf(extra.Name); !ok {
			return nil, fmt.Errorf("field name %.60q is not registered", extra.Name)
		}
		if f.Bytes(extra.Name) == nil {
			set(extra.Name, string(extra.Value))
		}
	}
	set("raw.type", r.RawType)
	if len(r.Raw) > vault.RawLimit {
		raw := r.Raw
		c.Files = append(c.Files, vault.File{Field: "raw.file", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }})
	} else {
		f.SetBytes("raw", r.Raw)
	}
	set("mark", strings.Join(marks, " "))
	it := &item{content: c, text: text}
	if r.HasTime {
		it.minute = minuteOf(r.Type, r.Time)
	}
	return it, nil
}

// minuteOf is when something was said, in minutes since 1970; 0 when that was told too coarsely, or nothing was said.
func minuteOf(t guia.Type, m guia.Moment) int64 {
	if m.Precision < guia.Minute || t != guia.MessageSent && t != guia.MailSent {
		return 0
	}
	return m.Time.Unix() / 60
}

func isMessage(t guia.Type) bool {
	return t == guia.MessageSent || t == guia.MessageEdited || t == guia.MailSent
}

// numbered sets name.0001 and so on.
func numbered(f *guia.Fields, name string, values []string, marks *[]string) {
	if len(values) > mostNumbered {
		values = values[:mostNumbered]
		*marks = append(slices.Clone(*marks), source.MarkOversize)
	}
	for i, v := range values {
		f.Set(fmt.Sprintf("%s.%04d", name, i+1), clean(v))
	}
}

// clean makes a value valid UTF-8; connectors have done so, and have marked what they replaced.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

type seenRow struct {
	mac     mac
	seq     guia.Seq
	content []byte
}

func sortRows(rows []seenRow) {
	slices.SortFunc(rows, func(a, b seenRow) int { return bytes.Compare(a.mac[:], b.mac[:]) })
}
