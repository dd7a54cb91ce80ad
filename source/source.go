// Package source says what a connector must do: hand over records after a cursor, as received and as read, so that pulling again
// from the same cursor yields the same records.
//
// The model: a source is read page by page. A page is committed by intake together with the cursor that follows it; after a crash
// the page is pulled again, and a record that was stored already is recognised by its [Record.Key]. A connector therefore needs no
// memory of its own and never loses or doubles anything, as long as keys are stable.
//
// A connector does not judge: it hands over every record it finds, also the odd ones, with what is odd in [Record.Marks]. It turns
// what it cannot read into a record of type source.gap with the reason. It never guesses a time.
//
// Every implementation passes sourcetest.Run.
package source

import (
	"context"
	"errors"
	"io"
	"time"

	"guia"
)

// Cursor is a place in a source. It is opaque to everyone but the source, printable, free of personal data, at most 4096 bytes.
// The empty cursor is the beginning.
type Cursor string

// Source is a connector. A value is used by one goroutine at a time.
type Source interface {
	// Name is the registered name of the kind of source, which becomes the leaf's source.
	Name() guia.SourceName

	// Instance tells apart several sources of one kind: the digest of an imported file, the identifier of a tenant. Where the same input
	// can be read in several ways (a mapping, the name of a mailbox) it tells these apart too, so that a correction is read again: see
	// [Reading]. Keys are unique within (Name, Instance-independent key space) as each connector documents: the same export handed in
	// twice, also under another file name, yields the same keys.
	Instance() string

	// Pull returns the records after the cursor, and the cursor that follows them. A page holds at most 8 MiB of raw bytes (one
	// record alone may be larger) and at least one record unless Done. Calling it again with the same cursor gives the same page
	// as long as the source has not changed. Files of a page may be opened until the next Pull or Close.
	//
	// Errors are refusals of kind invalid (this input cannot be read, with what to do next; [ErrCursor] for a cursor that no page of
	// it named), upstream (try later), or the context's. Damage inside the input is not an error: it becomes a source.gap record and reading goes on.
	Pull(ctx context.Context, after Cursor) (Page, error)

	// Close frees what the source holds.
	Close() error
}

// ErrCursor is in the refusal of a cursor that no page of this input named: another version of the connector wrote it. Begin again; what
// is known is recognised.
var ErrCursor = errors.New("no place in this input")

// RefuseCursor refuses a cursor, with [ErrCursor] as its cause.
func RefuseCursor() error { return guia.RefuseCause(guia.Invalid, ErrCursor, "source.cursor") }

// Page is what one Pull brings.
type Page struct {
	Records []Record
	Next    Cursor
	Done    bool // nothing follows Next for now

	// From and Until are of which time the source tells, from the page after the last Done to this one that is Done; zero elsewhere, and
	// where the source does not say: a file tells what is in it.
	From, Until time.Time

	// Read and Total are for the progress bar, in bytes of the source read so far and in all; Total is 0 when unknown.
	Read, Total int64
}

// Record is one thing the source knows, as received and as read.
type Record struct {
	// Key makes the record unique within its source (for a chat: conversation and message identifier). The same record offered
	// twice is stored once; the same key with another content becomes an edit of the first.
	Key string

	Type guia.Type

	// Stream is the source's identifier of the conversation or feed; it never leaves the vault. StreamName is its name at the
	// time, StreamKind one of channel, group, direct, mailbox, feed.
	Stream, StreamName, StreamKind string

	// Time is when it happened. HasTime is false when the source gave no usable time: the record is kept and marked.
	Time    guia.Moment
	HasTime bool
	// TimeOriginal is the time exactly as the source wrote it, TimeZone the zone in which it was told ("UTC", "+08:00",
	// "Asia/Macau"), TimeBasis one of source, assumed, none.
	TimeOriginal, TimeZone, TimeBasis string

	Sender Person // zero when nobody is the sender

	Subject string
	Text    string // plain text, valid UTF-8
	HTML    string // as the source formatted it, when that differs from Text

	ReplyTo, Thread, EditOf string   // keys of other records of the same source
	Recipients              []string // as written
	Members                 []string // of a conversation

	Files []File

	// Extra holds further registered fields (guia.Registry); they must not repeat what stands above.
	Extra guia.Fields

	Raw     []byte // the bytes as received, this record's part of them
	RawType string // media type of Raw

	Origin string // where in the source it stood: "general/2024-03-01.json#12"; no personal data beyond what names of files hold
	Marks  []string
}

// Person is a natural person as a source knows them. ID is the source's identifier; where a source has none, the connector uses
// the address, else the name. Two persons with the same ID are the same.
type Person struct {
	ID, Name, Address, Phone, Title, Department string
}

// File is an attachment. Open may be called once or more until the next Pull; it is nil when the bytes are not in the source, and
// Missing then says why in a word or a short sentence.
type File struct {
	Name, MediaType string
	Size            int64 // -1 when unknown
	Open            func() (io.ReadCloser, error)
	Missing         string
}

// Marks that connectors share.
const (
	MarkNoTime      = "no-usable-time"      // no time, or one that cannot be read
	MarkBadEncoding = "undecodable-bytes"   // some bytes fit no encoding and were replaced in the text; raw has them
	MarkNoSender    = "no-sender"           // nobody is named as the sender
	MarkTruncated   = "truncated-at-source" // the source itself says that something is missing
	MarkOversize    = "larger-than-limit"   // a part was larger than the limits and only its raw bytes were kept
)
