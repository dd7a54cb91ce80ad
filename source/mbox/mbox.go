// Package mbox reads kept e-mail: mbox files, single messages (.eml), Maildir folders, and folders and zips of these.
//
// The model: an input is a list of files; a file that begins with a From_ line is an mbox (RFC 4155, with the quoting of mboxo and
// mboxrd), one that begins with header fields is a message, anything else is a source.gap. Every message becomes one mail.sent
// whose raw bytes are the message exactly as stored, without the From_ line and the empty line that the mbox puts around it, and
// with ">From " as it stands there.
//
// Keys. A message's key is its Message-ID without the angle brackets, so that replies and threads point to it. Where several
// messages of one input have the same Message-ID and other bytes (a copy in another folder, a careless program), the first keeps it
// and the others get "/" and a digest of their bytes. Without a Message-ID the key is "sha256:" and the digest. A copy with the same
// bytes has the same key.
//
// Guarantees: at most one message is in memory, plus 16 bytes for each during a first look at the Message-IDs; a message above
// 64 MiB is read in part, marked, and kept whole as a file; damage costs the damaged message only. The time is the sender's Date
// field with its own zone; a Date that cannot be read, or has no zone, is no time, and the hops' Received fields are not consulted.
//
// Non-guarantees: a Date is what the sender's computer claimed. A body that holds an unquoted From_ line after an empty line and
// before a header-like line is cut there, as by every reader of mbox. Text of attached files, forwarded messages and winmail.dat is
// not read here: they are files of the record.
package mbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"guia"
	"guia/source"
)

// Name is the registered name of this source.
const Name guia.SourceName = "mbox"

const (
	maxMessages = 10_000_000 // messages whose Message-IDs are compared
	maxMessage  = 64 << 20   // bytes of a message that is read whole
	maxHead     = 1 << 20    // bytes that are read of a larger one

	pageRecords = 500
	pageBytes   = 4 << 20
)

// Options says what the input cannot say itself.
type Options struct {
	// Mailbox is whose mailbox it is, or what it is called; it becomes the stream. Give the same name each time the mailbox is handed
	// in: intake recognises a message within its stream, and what stands in another one is linked as the same. Empty: the base name of
	// the path, without ".mbox", ".eml" or ".zip".
	Mailbox string
}

// Mailbox is an open input; it implements [source.Source].
type Mailbox struct {
	files    *source.Input
	mailbox  string
	instance string
	before   []int64            // bytes in the files before each, and in all
	first    map[uint64][8]byte // Message-IDs that several messages have: the digest of the first; nil before the first look
	reader   *reader            // where the last page ended; nil when nothing is open
	closed   bool
}

// Open opens the file or folder at path and reads its bytes once for the instance's digest. It refuses (invalid) what cannot be
// opened or holds no file that begins like mail. Close the result.
func Open(path string, opt Options) (*Mailbox, error) {
	files, err := source.OpenInput(path)
	if err != nil {
		return nil, err
	}
	files.Entries = slices.DeleteFunc(files.Entries, litter)
	m := &Mailbox{files: files, mailbox: opt.Mailbox}
	if m.mailbox == "" {
		m.mailbox = title(filepath.Base(filepath.Clean(path)))
	}
	m.before = make([]int64, len(files.Entries)+1)
	for i, e := range files.Entries {
		m.before[i+1] = m.before[i] + e.Size
	}
	if !m.anyMail() {
		_ = files.Close() // only read
		return nil, guia.Refuse(guia.Invalid, "mbox.not_mail", path)
	}
	digest, err := files.Digest()
	if err != nil {
		_ = files.Close() // only read
		return nil, err
	}
	m.instance = source.Reading(digest, opt.Mailbox)
	return m, nil
}

// anyMail reports whether a file begins like mail.
func (m *Mailbox) anyMail() bool {
	return slices.ContainsFunc(m.files.Entries, func(e source.Entry) bool {
		in, err := m.files.Open(e)
		if err != nil {
			return false // becomes a gap
		}
		defer in.Close() // only read
		return newSplitter(in, e.Name).kind() != notMail
	})
}

// Name is "mbox".
func (m *Mailbox) Name() guia.SourceName { return Name }

// Instance is the SHA-256 digest of the file, or of the names and bytes of a folder's files; where Options name the mailbox, of that
// name too. The name that the path gives does not count: the same file under another name is the same.
func (m *Mailbox) Instance() string { return m.instance }

// Close frees the files. Further calls do nothing.
func (m *Mailbox) Close() error {
	if m.closed {
		return nil
	}
	m.closed = true
	m.shut()
	return m.files.Close()
}

// Pull implements [source.Source]. Files are read in the order of their names, messages in the order in which they stand.
func (m *Mailbox) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	if m.closed {
		return source.Page{}, guia.RefuseCause(guia.Invalid, os.ErrClosed, "source.closed")
	}
	at, err := m.parse(after)
	if err != nil {
		return source.Page{}, err
	}
	if m.first == nil {
		err = m.look(ctx)
		if err != nil {
			return source.Page{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return source.Page{}, err
	}
	err = m.seek(ctx, at)
	if err != nil {
		return source.Page{}, err
	}

	page := source.Page{Total: m.before[len(m.before)-1]}
	size := 0
	for at.file < len(m.files.Entries) && len(page.Records) < pageRecords && size < pageBytes {
		if err := ctx.Err(); err != nil {
			m.shut()
			return source.Page{}, err
		}
		piece, ok := m.next(at)
		if !ok {
			at = place{file: at.file + 1}
			m.shut()
			continue
		}
		if size+len(piece.raw) > pageBytes && len(page.Records) > 0 { // the message belongs to the next page
			m.reader.back = &piece
			break
		}
		size += len(piece.raw)
		page.Records = append(page.Records, m.record(at, piece))
		at.offset = piece.end
	}
	if m.reader != nil {
		m.reader.at = at
	}
	page.Next = at.cursor()
	page.Done = at.file == len(m.files.Entries)
	page.Read = m.before[at.file]
	if !page.Done {
		page.Read += min(at.offset, m.files.Entries[at.file].Size)
	}
	return page, nil
}

// place is what a cursor says: which file, and how many of its bytes were handed over.
type place struct {
	file   int
	offset int64
}

func (p place) cursor() source.Cursor {
	return source.Cursor(fmt.Sprintf("file %d byte %d", p.file, p.offset))
}

// parse reads a cursor; only what [place.cursor] writes for this input is accepted.
func (m *Mailbox) parse(c source.Cursor) (place, error) {
	if c == "" {
		return place{}, nil
	}
	var p place
	_, err := fmt.Sscanf(string(c), "file %d byte %d", &p.file, &p.offset)
	end := len(m.files.Entries)
	if err != nil || p.cursor() != c || p.file < 0 || p.file > end || p.offset < 0 || p.file == end && p.offset > 0 {
		return place{}, source.RefuseCursor()
	}
	return p, nil
}

// reader is the file that is open.
type reader struct {
	at    place
	split *splitter
	close func() error
	back  *piece // read, but not handed over
}

// seek makes the reader stand at a place, going on from where it is when that is the place. In a plain file it jumps there; in a
// zip it reads up to there.
func (m *Mailbox) seek(ctx context.Context, at place) error {
	if m.reader != nil && m.reader.at == at {
		return nil
	}
	m.shut()
	if at.offset == 0 {
		return nil
	}
	if err := m.open(at); err != nil {
		return guia.RefuseCause(guia.Invalid, err, "source.unreadable", m.files.Entries[at.file].Name)
	}
	found := m.reader.split.resume(ctx, at.offset)
	if ctx.Err() != nil {
		m.shut()
		return ctx.Err()
	}
	if !found {
		m.shut()
		return source.RefuseCursor()
	}
	return nil
}

// open opens the file of a place.
func (m *Mailbox) open(at place) error {
	in, err := m.files.Open(m.files.Entries[at.file])
	if err != nil {
		return err
	}
	m.reader = &reader{at: at, split: newSplitter(in, m.files.Entries[at.file].Name), close: in.Close}
	return nil
}

// next returns the message at a place, and false at the end of the file.
func (m *Mailbox) next(at place) (piece, bool) {
	if m.reader == nil {
		if err := m.open(at); err != nil {
			return piece{gap: "the file cannot be opened", end: at.offset + 1}, at.offset == 0
		}
	}
	if back := m.reader.back; back != nil {
		m.reader.back = nil
		return *back, true
	}
	return m.reader.split.next()
}

// shut closes what is open.
func (m *Mailbox) shut() {
	if m.reader != nil {
		_ = m.reader.close() // nothing was written
	}
	m.reader = nil
}

// look reads the Message-ID of every message once and remembers those that messages with different bytes share.
func (m *Mailbox) look(ctx context.Context) error {
	seen := newIDs()
	for i, e := range m.files.Entries {
		in, err := m.files.Open(e)
		if err != nil {
			continue
		}
		split := newSplitter(in, e.Name)
		for {
			p, ok := split.next()
			if !ok || ctx.Err() != nil || len(seen.all) >= maxMessages {
				break
			}
			if p.gap == "" {
				seen.add(messageID(readHeader(p.raw)), p.raw)
			}
		}
		in.Close()
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("look at file %d: %w", i, err)
		}
	}
	m.first = seen.conflicts()
	return nil
}
