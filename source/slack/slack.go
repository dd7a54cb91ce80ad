// Package slack reads an export of a Slack workspace: the zip that Slack makes, or the same unpacked in a folder.
//
// The model is Slack's own description of its exports ("How to read Slack data exports"): users.json, channels.json, groups.json,
// dms.json and mpims.json describe people and conversations; every conversation has a folder with one JSON file a day. People
// become person.seen (person.left when deactivated; one more person.seen tells a shown name that is not the full one), conversations channel.seen, messages message.sent; joins, topics and the
// like become record.kept with Slack's subtype as subject; an account of an app is record.kept too.
//
// Versions. What Slack tells about a message is identified by (conversation, ts, edited.ts), and so are the records:
//
//	C1/1700000000.123456                            message.sent, as it was sent
//	C1/1700000000.123456/edited/1700000100.000000   message.edited, edit_of the first: as it was after that edit
//	C1/1700000000.123456/deleted                    message.deleted, edit_of the first
//
// A message that was edited before the export is one message.edited at the time of the edit, because what was sent first is not in
// the export. So an older and a newer export of one workspace, in either order, give the message once and each edit once. An
// export with an edit log (subtype message_changed or message_deleted) gives the earlier versions too.
//
// Guarantees: memory does not grow with the export, except for the names of its files and of its people; one damaged record or
// file becomes a source.gap and the rest is read; nothing is guessed. Keys do not depend on file or channel names.
//
// Non-guarantees: Text names people and channels as the export's own directory does, so a rename between two exports changes the
// text of an unchanged message; raw has what was written. Link previews that Slack added to a person's message are only in raw.
// Files that no message mentions are not read, nor are the app activity log, canvases and other lists: a source.gap says so.
package slack

import (
	"context"
	"fmt"
	"os"
	"strings"

	"guia"
	"guia/source"
)

// Name is the registered name of this source.
const Name guia.SourceName = "slack"

// Limits on what one export may hold. They are far beyond real exports; what goes beyond a limit becomes a source.gap.
const (
	maxEntry  = 1 << 30   // bytes of one JSON file, unpacked: an end to zip bombs
	maxObject = 8 << 20   // bytes of one message; Slack's own limit is about 40,000 characters
	maxPeople = 1_000_000 // people whose names are remembered

	pageRecords = 1000
	pageBytes   = 4 << 20
)

// Export is an open export; it implements [source.Source].
type Export struct {
	files    *files
	instance string
	parts    []part
	before   []int64 // bytes in the parts before each part, and in all
	names    *directory
	reader   *reader // where the last page ended; nil when nothing is open
	closed   bool
}

// part is one file of the export in the order of reading.
type part struct {
	source.Entry
	role   role
	folder string // of a conversation's file
}

type role uint8

const (
	roleUsers role = iota + 1
	roleChannels
	roleGroups
	roleDirects
	roleMultis
	roleDay
	roleIgnored
)

// Open opens the zip or folder at path and reads its table of contents and all of its bytes once, for the instance's digest. It
// refuses (invalid) what is no Slack export. Close the result.
func Open(path string) (*Export, error) {
	input, err := source.OpenInput(path)
	if err != nil {
		return nil, err
	}
	files := &files{Input: input}
	files.stripTop()
	e := &Export{files: files}
	e.parts = files.arrange()
	known := false
	e.before = make([]int64, len(e.parts)+1)
	for i, p := range e.parts {
		known = known || p.role != roleIgnored && p.role != roleDay
		e.before[i+1] = e.before[i] + p.Size
	}
	if !known {
		_ = files.Close() // only read
		return nil, guia.Refuse(guia.Invalid, "slack.not_an_export", path)
	}
	e.instance, err = files.Digest()
	if err != nil {
		_ = files.Close() // only read
		return nil, err
	}
	return e, nil
}

// Name is "slack".
func (e *Export) Name() guia.SourceName { return Name }

// Instance is the SHA-256 digest of the zip, or of the names and bytes of the folder's files.
func (e *Export) Instance() string { return e.instance }

// Close frees the files. Further calls do nothing.
func (e *Export) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.shut()
	return e.files.Close()
}

// Pull implements [source.Source]. The order is people, conversations, messages by folder and day, and last what was not read.
func (e *Export) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	if e.closed {
		return source.Page{}, guia.RefuseCause(guia.Invalid, os.ErrClosed, "source.closed")
	}
	if err := ctx.Err(); err != nil {
		return source.Page{}, err
	}
	at, err := e.parse(after)
	if err != nil {
		return source.Page{}, err
	}
	if e.names == nil {
		e.names, err = readDirectory(ctx, e.files, e.parts)
		if err != nil {
			return source.Page{}, err
		}
	}
	err = e.seek(ctx, at)
	if err != nil {
		return source.Page{}, err
	}

	page := source.Page{Total: e.before[len(e.parts)]}
	size := 0
	for at.part < len(e.parts) && len(page.Records) < pageRecords && size < pageBytes {
		if err := ctx.Err(); err != nil {
			e.shut()
			return source.Page{}, err
		}
		item, ok := e.next(at)
		if !ok {
			at = place{part: at.part + 1}
			e.shut()
			continue
		}
		if size+len(item.raw) > pageBytes && len(page.Records) > 0 { // the item belongs to the next page
			e.reader.back = &item
			break
		}
		size += len(item.raw)
		page.Records = append(page.Records, e.read(at, item)...)
		at.item++
	}
	if e.reader != nil {
		e.reader.at = at
	}
	page.Next = at.cursor()
	page.Done = at.part == len(e.parts)
	page.Read = e.before[at.part]
	if e.reader != nil {
		page.Read += min(e.reader.items.read(), e.parts[at.part].Size)
	}
	return page, nil
}

// place is what a cursor says: the part of the export, and how many of its items were handed over.
type place struct{ part, item int }

func (p place) cursor() source.Cursor {
	return source.Cursor(fmt.Sprintf("part %d item %d", p.part, p.item))
}

// parse reads a cursor; only what [place.cursor] writes for this export is accepted.
func (e *Export) parse(c source.Cursor) (place, error) {
	if c == "" {
		return place{}, nil
	}
	var p place
	_, err := fmt.Sscanf(string(c), "part %d item %d", &p.part, &p.item)
	end := len(e.parts)
	if err != nil || p.cursor() != c || p.part < 0 || p.part > end || p.item < 0 || p.part == end && p.item > 0 {
		return place{}, source.RefuseCursor()
	}
	return p, nil
}

// reader is the part that is open.
type reader struct {
	at    place
	items *items
	close func() error
	back  *item // read, but not handed over
}

// seek makes the reader stand at a place, going on from where it is when that is the place.
func (e *Export) seek(ctx context.Context, at place) error {
	if e.reader != nil && e.reader.at == at {
		return nil
	}
	e.shut()
	for done := range at.item {
		if done%1000 == 0 && ctx.Err() != nil {
			e.shut()
			return ctx.Err()
		}
		if _, ok := e.next(place{at.part, done}); !ok {
			e.shut()
			return source.RefuseCursor()
		}
	}
	return nil
}

// next returns the item at a place, which is the one after the last, and false at the end of the part.
func (e *Export) next(at place) (item, bool) {
	p := e.parts[at.part]
	if p.role == roleIgnored {
		return item{raw: []byte(p.Name), gap: ignoredReason}, at.item == 0
	}
	if e.reader == nil {
		e.reader = &reader{at: place{part: at.part}}
		e.reader.items, e.reader.close = e.files.items(p.Entry)
	}
	if back := e.reader.back; back != nil {
		e.reader.back = nil
		return *back, true
	}
	return e.reader.items.next()
}

// shut closes what is open.
func (e *Export) shut() {
	if e.reader != nil && e.reader.close != nil {
		_ = e.reader.close() // nothing was written
	}
	e.reader = nil
}

// read turns an item into records.
func (e *Export) read(at place, it item) []source.Record {
	p := e.parts[at.part]
	origin := fmt.Sprintf("%s#%d", strings.ToValidUTF8(p.Name, "\uFFFD"), at.item)
	if len(origin) > 1000 {
		origin = strings.ToValidUTF8(origin[:500], "") + "…" + fmt.Sprintf("#%d", at.item)
	}
	if it.gap != "" {
		return []source.Record{gap(origin, it.gap, it.raw)}
	}
	var records []source.Record
	switch p.role {
	case roleUsers:
		records = readUser(it.raw)
	case roleChannels, roleGroups, roleDirects, roleMultis:
		records = readConversation(it.raw, kinds[p.role])
	case roleDay:
		records = e.readMessage(p.folder, it.raw)
	case roleIgnored: // was a gap already
	}
	if records == nil {
		return []source.Record{gap(origin, "not the JSON that Slack describes", it.raw)}
	}
	for i := range records {
		records[i].Origin = origin
	}
	return records
}

// gap is the record of something that could not be read.
func gap(origin, reason string, raw []byte) source.Record {
	r := source.Record{Key: "gap/" + origin, Type: guia.SourceGap, Raw: raw, RawType: "application/json", Origin: origin}
	if len(raw) == 0 || reason == ignoredReason {
		r.Raw, r.RawType = []byte(origin), "text/plain; charset=utf-8"
	}
	if reason == tooLarge {
		r.Marks = []string{source.MarkOversize}
	}
	r.Extra.Set("reason", reason)
	return r
}
