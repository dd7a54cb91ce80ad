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

const (
	// mostNumbered is the most numbered fields of one kind that an event has (files, recipients, members): four digits.
	mostNumbered = 1000
	// otherFields is how many fields are kept free for what is neither text nor numbered.
	otherFields = 100
	// mostText is the most bytes of a text that are kept as such; of a longer one only the raw bytes are.
	mostText = 16 << 20
)

// normalize turns a record into the fields of an event. It is pure: files are named, not read.
func normalize(feed Feed, r *source.Record) (*item, error) {
	if _, err := guia.ParseType(string(r.Type)); err != nil {
		return nil, err
	}
	if _, err := guia.ParseSourceName(string(feed.Source)); err != nil {
		return nil, err
	}
	if r.Type.IsOwn() || feed.Source == guia.Own { // it would pass for an act, or for what happened here
		return nil, guia.Refuse(guia.Invalid, "intake.own", string(r.Type), string(feed.Source))
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
	marks := slices.Clone(r.Marks)
	mark := func(m string) {
		if !slices.Contains(marks, m) {
			marks = append(marks, m)
		}
	}
	set("class", feed.Class)
	set("entity", feed.Entity)
	set("channel", string(feed.Channel))
	set("grade", string(feed.Grade))
	set("normaliser", feed.Normaliser)
	set("import", importOf(feed))
	set("origin", r.Origin)
	set("conversation.key", r.Stream)
	set("conversation.name", r.StreamName)
	set("conversation.kind", r.StreamKind)
	_, err := guia.ParseMoment(r.Time.String())
	hasTime := r.HasTime && err == nil // a year that the format cannot write is none
	if hasTime {
		set("time", r.Time.String())
	} else if isMessage(r.Type) || r.HasTime {
		mark(source.MarkNoTime)
	}
	set("time.original", r.TimeOriginal)
	set("time.zone", r.TimeZone)
	set("time.basis", r.TimeBasis)
	if r.HasTime && !hasTime {
		set("time.basis", "none")
	}
	set("sender.key", r.Sender.ID)
	set("sender.name", r.Sender.Name)
	set("sender.address", r.Sender.Address)
	set("sender.phone", r.Sender.Phone)
	set("sender.title", r.Sender.Title)
	set("department", r.Sender.Department)
	set("source_key", r.Key)
	set("subject", r.Subject)
	text, html := clean(r.Text), r.HTML
	if len(text) > mostText {
		text = ""
		mark(source.MarkOversize)
	}
	if len(html) > mostText {
		html = ""
		mark(source.MarkOversize)
	}
	canon.SetText(f, text)
	set("text.html", html)
	set("reply_to", r.ReplyTo)
	set("thread", r.Thread)
	set("edit_of", r.EditOf)
	if numbered(f, "recipient", r.Recipients) {
		mark(source.MarkOversize)
	}
	if numbered(f, "member", r.Members) {
		mark(source.MarkOversize)
	}
	mostFiles := min(mostNumbered, (guia.MaxFields-otherFields-len(*f))/3)
	for i, file := range r.Files {
		if i == mostFiles {
			mark(source.MarkOversize)
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
		if canon.IsFile(extra.Name) || extra.Name == "raw" || strings.HasPrefix(extra.Name, "text.") && extra.Name != "text.html" {
			return nil, fmt.Errorf("field %s is given twice or without its bytes", extra.Name)
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
	if hasTime {
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

// numbered sets name.0001 and so on, and reports whether there are more than an event can have.
func numbered(f *guia.Fields, name string, values []string) (more bool) {
	for i, v := range values[:min(len(values), mostNumbered)] {
		f.Set(fmt.Sprintf("%s.%04d", name, i+1), clean(v))
	}
	return len(values) > mostNumbered
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
