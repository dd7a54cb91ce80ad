package mbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"guia"
	"guia/source"
)

// Marks of this source.
const (
	markHeader = "malformed-header" // a line of the header is no field, or there are too many
	markFile   = "damaged-file"     // the file ended in an error within this message
)

const maxRecipients = 1000 // become fields; raw has all

// record turns a piece of a file into a record.
func (m *Mailbox) record(at place, p piece) source.Record {
	e := m.files.Entries[at.file]
	name := strings.ToValidUTF8(e.Name, "\uFFFD")
	if len(name) > 1000 {
		name = "…" + strings.ToValidUTF8(name[len(name)-500:], "")
	}
	r := source.Record{Origin: fmt.Sprintf("%s#%d", name, p.start), Raw: p.raw, RawType: "message/rfc822"}
	if p.gap != "" {
		r.Key, r.Type, r.RawType = "gap/"+r.Origin, guia.SourceGap, "application/octet-stream"
		if len(r.Raw) == 0 {
			r.Raw, r.RawType = []byte(r.Origin), "text/plain; charset=utf-8"
		}
		r.Extra.Set("reason", p.gap)
		return r
	}

	r.Type, r.Stream, r.StreamKind = guia.MailSent, m.mailbox, "mailbox"
	if folder := folder(e.Name, p.quoted); folder != "" && !m.files.Sole {
		r.Stream = path.Join(m.mailbox, folder)
	}
	r.StreamName = r.Stream
	r.Key = m.key(&p)

	parsed := p.raw
	if p.quoted {
		parsed = unquoteFrom(parsed)
	}
	h := readHeader(parsed)
	_, params, _ := mediaType(h.get("content-type"), "")
	fallback := params["charset"]
	readFields(&r, &h, fallback)

	b := body{charset: fallback, clean: true, whole: true}
	b.take(&r, b.part(&h, parsed[h.body:], "text/plain", 0))
	if p.size > int64(len(p.raw)) { // the rest did not fit
		mark(&r, source.MarkOversize)
		r.Files = []source.File{{Name: "message.eml", MediaType: "message/rfc822", Size: p.size, Open: func() (io.ReadCloser, error) {
			return cut(m.files, e, p.start, p.size)
		}}}
	}
	if p.damage != "" {
		mark(&r, markFile)
		r.Extra.Set("reason", p.damage)
	}
	return r
}

// key is the Message-ID, with a digest where it alone does not tell the message apart; see the package comment.
func (m *Mailbox) key(p *piece) string {
	id := messageID(readHeader(p.raw))
	if id == "" {
		sum := sha256.Sum256(p.raw)
		key := "sha256:" + hex.EncodeToString(sum[:])
		if p.size > int64(len(p.raw)) {
			key += fmt.Sprintf("/%d", p.size)
		}
		return key
	}
	if first, conflict := m.first[hashID(id)]; conflict {
		if this := hashRaw(p.raw); this != first {
			return id + "/" + hex.EncodeToString(this[:])
		}
	}
	return id
}

// mark adds a mark once.
func mark(r *source.Record, word string) {
	if !slices.Contains(r.Marks, word) {
		r.Marks = append(r.Marks, word)
	}
}

// readFields reads who, when, to whom, about what and in answer to what.
func readFields(r *source.Record, h *header, fallback string) {
	clean := true
	text := func(value []byte) string {
		s, ok := decodeWords(value, fallback)
		clean = clean && ok
		return s
	}
	r.Subject = text(h.get("subject"))

	for _, name := range []string{"from", "sender"} {
		for _, a := range splitAddresses(h.get(name)) {
			shown, addr, ok := address(a, fallback)
			clean = clean && ok
			if r.Sender.ID == "" && (shown != "" || addr != "") {
				r.Sender = source.Person{ID: strings.ToLower(addr), Name: shown, Address: addr}
				if addr == "" {
					r.Sender.ID = shown
				}
			}
		}
	}
	if r.Sender.ID == "" {
		mark(r, source.MarkNoSender)
	}
	for _, name := range []string{"to", "cc", "bcc"} {
		for _, f := range h.fields {
			if f.name != name {
				continue
			}
			for _, a := range splitAddresses(f.value) {
				if len(r.Recipients) == maxRecipients {
					mark(r, source.MarkOversize)
					break
				}
				r.Recipients = append(r.Recipients, text(a))
			}
		}
	}

	date, ok := toUTF8(h.get("date"), "")
	clean = clean && ok
	r.TimeOriginal, r.TimeBasis = oneLine(date), "none"
	if len(r.TimeOriginal) > 200 {
		r.TimeOriginal = strings.ToValidUTF8(r.TimeOriginal[:200], "")
	}
	if when, zone, basis, ok := readDate(r.TimeOriginal); ok {
		r.Time, r.HasTime, r.TimeZone, r.TimeBasis = when, true, zone, basis
	} else {
		mark(r, source.MarkNoTime)
	}

	answers := messageIDs(h.get("in-reply-to"))
	thread := messageIDs(h.get("references"))
	if len(answers) > 0 {
		r.ReplyTo = answers[0]
	}
	if len(thread) > 0 {
		r.Thread = thread[0]
	} else {
		r.Thread = r.ReplyTo
	}
	if h.damaged {
		mark(r, markHeader)
	}
	if !clean {
		mark(r, source.MarkBadEncoding)
	}
}

// unquoteFrom takes one ">" from lines that begin with ">From ", ">>From " and so on, as mboxrd writes them. In an mboxo, which
// cannot tell, a line that was written as ">From " loses its mark too; raw has it.
func unquoteFrom(raw []byte) []byte {
	if !bytes.Contains(raw, []byte(">From ")) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n') + 1
		if end == 0 {
			end = len(raw)
		}
		line := raw[:end]
		raw = raw[end:]
		if line[0] == '>' && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			line = line[1:]
		}
		out = append(out, line...)
	}
	return out
}
