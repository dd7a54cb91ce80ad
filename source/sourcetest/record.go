package sourcetest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"guia"
	"guia/source"
)

// problems lists what keeps a record from being stored as it is.
func problems(r *source.Record) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }

	if r.Key == "" || len(r.Key) > 4096 {
		bad("key of %d bytes", len(r.Key))
	}
	if _, err := guia.ParseType(string(r.Type)); err != nil {
		bad("%v", err)
	}
	for _, text := range texts(r) {
		if !utf8.ValidString(text.value) {
			bad("%s is not valid UTF-8", text.name)
		}
	}
	if r.StreamKind != "" && !slices.Contains([]string{"channel", "group", "direct", "mailbox", "feed"}, r.StreamKind) {
		bad("stream kind %q", r.StreamKind)
	}
	if r.Stream == "" && (r.StreamName != "" || r.StreamKind != "") {
		bad("a stream with a name or kind, but no identifier")
	}
	out = append(out, timeProblems(r)...)

	if said(r.Type) && r.Sender == (source.Person{}) && !slices.Contains(r.Marks, source.MarkNoSender) {
		bad("no sender, but no mark %s", source.MarkNoSender)
	}
	if r.Sender != (source.Person{}) && r.Sender.ID == "" {
		bad("a sender without an identifier")
	}
	if r.Type == guia.SourceGap && r.Extra.Get("reason") == "" {
		bad("a gap without a reason in Extra")
	}
	if r.HTML != "" && r.HTML == r.Text {
		bad("HTML repeats the text")
	}
	out = append(out, extraProblems(r)...)

	for i, mark := range r.Marks {
		if mark == "" || strings.ContainsAny(mark, " \t\r\n") || slices.Contains(r.Marks[:i], mark) {
			bad("mark %q is empty, more than a word, or there twice", mark)
		}
	}
	for i, f := range r.Files {
		if f.Open == nil && f.Missing == "" {
			bad("file %d has neither bytes nor a reason for their absence", i)
		}
		if f.Open != nil && f.Missing != "" {
			bad("file %d has bytes and a reason for their absence", i)
		}
		if f.Size < -1 {
			bad("file %d of %d bytes", i, f.Size)
		}
	}
	if len(r.Raw) == 0 {
		bad("no raw bytes")
	}
	if _, _, err := mime.ParseMediaType(r.RawType); err != nil {
		bad("raw type %q: %v", r.RawType, err)
	}
	if r.Origin == "" || len(r.Origin) > 4096 {
		bad("origin of %d bytes", len(r.Origin))
	}
	return out
}

// timeProblems: a time exists exactly with HasTime, names its zone and its basis; where there is none, the record says so.
func timeProblems(r *source.Record) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !r.HasTime {
		if r.Time != (guia.Moment{}) {
			bad("a time without HasTime")
		}
		if r.TimeBasis != "" && r.TimeBasis != "none" {
			bad("no time, but basis %q", r.TimeBasis)
		}
		if (said(r.Type) || r.Type == guia.RecordKept) && !slices.Contains(r.Marks, source.MarkNoTime) {
			bad("no time, but no mark %s", source.MarkNoTime)
		}
		return out
	}
	if slices.Contains(r.Marks, source.MarkNoTime) {
		bad("a time and the mark %s", source.MarkNoTime)
	}
	if r.Time.Precision < guia.Day || r.Time.Precision > guia.Nanosecond {
		bad("precision %d", r.Time.Precision)
		return out
	}
	back, err := guia.ParseMoment(r.Time.String())
	if err != nil || !back.Time.Equal(r.Time.Time) {
		bad("time %v does not survive being written as %q: digits finer than its precision, or no such year (%v)", r.Time.Time, r.Time, err)
	}
	if r.TimeOriginal == "" {
		bad("a time, but not as the source wrote it")
	}
	if r.TimeBasis != "source" && r.TimeBasis != "assumed" {
		bad("a time of basis %q", r.TimeBasis)
	}
	if !zone(r.TimeZone) {
		bad("time zone %q is no offset and no name of the zone database", r.TimeZone)
	}
	return out
}

// zone accepts "UTC", "+08:00" and names of the IANA database.
func zone(s string) bool {
	if s == "" || s == "Local" {
		return false
	}
	if s[0] == '+' || s[0] == '-' {
		_, err := time.Parse("-07:00", s)
		return err == nil
	}
	_, err := time.LoadLocation(s)
	return err == nil
}

// told are the registered fields that are in the record itself or that intake adds: a connector that sets them in Extra would say
// the same thing twice, or grade itself.
var told = map[string]bool{
	"channel": true, "class": true, "conversation.key": true, "conversation.kind": true, "conversation.name": true,
	"department": true, "edit_of": true, "grade": true, "import": true, "mark": true, "normaliser": true, "origin": true,
	"raw": true, "raw.file": true, "raw.type": true, "reply_to": true, "same_as": true, "sender.address": true, "sender.key": true,
	"sender.name": true, "sender.phone": true, "sender.title": true, "source_key": true, "subject": true, "text.html": true,
	"thread": true, "tier": true, "tier.basis": true, "time": true, "time.basis": true, "time.original": true, "time.zone": true,
}

func extraProblems(r *source.Record) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(r.Extra) > guia.MaxFields/2 {
		bad("%d extra fields", len(r.Extra))
	}
	for i, f := range r.Extra {
		if _, ok := guia.SlotOf(f.Name); !ok {
			bad("extra field %.60q is not registered", f.Name)
		}
		family, _, _ := strings.Cut(f.Name, ".")
		if told[f.Name] || slices.Contains([]string{"file", "member", "recipient", "text"}, family) {
			bad("extra field %q repeats what the record or intake says", f.Name)
		}
		if len(f.Value) == 0 {
			bad("extra field %q is empty", f.Name)
		}
		if !utf8.Valid(f.Value) {
			bad("extra field %q is not valid UTF-8", f.Name)
		}
		if i > 0 && r.Extra[i-1].Name >= f.Name {
			bad("extra field %q is out of order", f.Name)
		}
	}
	return out
}

// said reports whether a type is something somebody said at some time.
func said(t guia.Type) bool {
	return t == guia.MessageSent || t == guia.MailSent
}

type text struct{ name, value string }

// texts are the parts of a record that must be valid UTF-8.
func texts(r *source.Record) []text {
	all := []text{
		{"key", r.Key},
		{"stream", r.Stream},
		{"stream name", r.StreamName},
		{"time original", r.TimeOriginal},
		{"sender id", r.Sender.ID},
		{"sender name", r.Sender.Name},
		{"sender address", r.Sender.Address},
		{"sender phone", r.Sender.Phone},
		{"sender title", r.Sender.Title},
		{"sender department", r.Sender.Department},
		{"subject", r.Subject},
		{"text", r.Text},
		{"html", r.HTML},
		{"reply to", r.ReplyTo},
		{"thread", r.Thread},
		{"edit of", r.EditOf},
		{"origin", r.Origin},
	}
	for _, s := range r.Recipients {
		all = append(all, text{"recipient", s})
	}
	for _, s := range r.Members {
		all = append(all, text{"member", s})
	}
	for _, s := range r.Marks {
		all = append(all, text{"mark", s})
	}
	for _, f := range r.Files {
		all = append(all, text{"file name", f.Name}, text{"file type", f.MediaType}, text{"file missing", f.Missing})
	}
	return all
}

// lookForCanaries notes which canaries the record holds.
func (s *suite) lookForCanaries(r *source.Record) {
	for i, canary := range s.opt.Canaries {
		if s.canary[i] {
			continue
		}
		for _, text := range texts(r) {
			s.canary[i] = s.canary[i] || strings.Contains(text.value, canary)
		}
		for _, f := range r.Extra {
			s.canary[i] = s.canary[i] || strings.Contains(string(f.Value), canary)
		}
	}
}

// cursorsAreHarmless: cursors stand in the database beside public parts of events, and in logs.
func (s *suite) cursorsAreHarmless(t testing.TB) {
	s.mustBeHarmless(t, "the instance", s.instance)
	for i, p := range s.pages {
		if len(p.next) > maxCursor {
			t.Errorf("cursor after page %d is %d bytes long, more than %d", i, len(p.next), maxCursor)
		}
		for _, c := range []byte(p.next) {
			if c < ' ' || c > '~' {
				t.Errorf("cursor after page %d has the unprintable byte %#x", i, c)
				break
			}
		}
		s.mustBeHarmless(t, fmt.Sprintf("cursor after page %d", i), string(p.next))
	}
}

// mustBeHarmless looks for the canaries in a value that leaves the vault.
func (s *suite) mustBeHarmless(t testing.TB, what, value string) {
	for i, canary := range s.opt.Canaries {
		for _, spelling := range spellings(canary) {
			if strings.Contains(strings.ToLower(value), strings.ToLower(spelling)) {
				t.Errorf("%s holds canary %d", what, i)
				break
			}
		}
	}
}

// spellings are the ways in which a string could hide in a cursor.
func spellings(s string) []string {
	out := []string{s, hex.EncodeToString([]byte(s)), url.PathEscape(s), url.QueryEscape(s)}
	for shift := range 3 { // base64 of s inside something longer: what does not depend on the neighbours
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			coded := enc.EncodeToString([]byte(strings.Repeat("\x00", shift) + s))
			coded = coded[(shift*8+5)/6 : len(coded)-1]
			if len(coded) >= 8 {
				out = append(out, coded)
			}
		}
	}
	return out
}
