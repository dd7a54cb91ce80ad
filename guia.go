// Package guia holds the words that three or more packages of the program speak: events and their fields, people and streams
// as identifiers, moments, grades, channels, and the kinds of refusal. They are plain values; nothing here does I/O.
//
// The model: a fact, once recorded, is an [Event]. An event is a header that may be published (type, source, capture time, two
// random pseudonyms and a counter) and a list of named [Field] values that are personal until shown otherwise. The header becomes
// the leaf of a Merkle tree (package canon), the fields are encrypted in slots (package vault), and the leaf commits to every
// field separately, so that some can be shown and others withheld or forgotten.
//
// Field names come from the registry in field.go, never from a customer's column headers. docs/format/event.md fixes them.
package guia

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Seq is the place of an event in the ledger, counted from 0. It equals the leaf index of the RFC 9162 tree, so that tools
// nobody here wrote speak of the same number.
type Seq uint64

// RecordID names one event. It is 16 random bytes and means nothing outside the ledger.
type RecordID [16]byte

// StreamID is the random pseudonym of a conversation or feed. What it stands for is an encrypted field.
type StreamID [16]byte

// PersonID is the random pseudonym of a natural person as one source knows them, or of a user of Guia.
type PersonID [16]byte

// NewRecordID returns a fresh random name. It cannot fail: crypto/rand aborts the program when the system has no randomness.
func NewRecordID() (id RecordID) { rand.Read(id[:]); return id }

// NewStreamID returns a fresh random pseudonym.
func NewStreamID() (id StreamID) { rand.Read(id[:]); return id }

// NewPersonID returns a fresh random pseudonym.
func NewPersonID() (id PersonID) { rand.Read(id[:]); return id }

// String is the 32 lower-case hexadecimal digits that stand in the leaf.
func (id RecordID) String() string { return hex.EncodeToString(id[:]) }

// String is the 32 lower-case hexadecimal digits that stand in the leaf.
func (id StreamID) String() string { return hex.EncodeToString(id[:]) }

// String is 32 lower-case hexadecimal digits.
func (id PersonID) String() string { return hex.EncodeToString(id[:]) }

// ParseID16 reads exactly 32 lower-case hexadecimal digits, the only spelling of a 16-byte identifier that is accepted anywhere.
func ParseID16(s string) (id [16]byte, err error) {
	if len(s) != 32 || strings.ContainsAny(s, "ABCDEF") {
		return id, fmt.Errorf("identifier of %d bytes is not 32 lower-case hexadecimal digits", len(s))
	}
	_, err = hex.Decode(id[:], []byte(s))
	if err != nil {
		return id, fmt.Errorf("identifier is not hexadecimal")
	}
	return id, nil
}

// Type says what happened, dotted and in the past tense: message.sent, file.downloaded, member.left. See [ParseType].
type Type string

// The types of this release. docs/format/event.md lists the fields each carries.
const (
	MessageSent       Type = "message.sent"       // somebody said something in a conversation
	MessageEdited     Type = "message.edited"     // the same message was later seen with another content
	MessageDeleted    Type = "message.deleted"    // the source says that a message was removed
	MailSent          Type = "mail.sent"          // an e-mail, as kept in a mailbox
	FileShared        Type = "file.shared"        // a file was put where others can take it
	PersonSeen        Type = "person.seen"        // a directory entry: name, department, address, valid from a day
	PersonLeft        Type = "person.left"        // a directory entry ended
	ChannelSeen       Type = "channel.seen"       // a conversation with its name and members, as the source describes it
	AccessChanged     Type = "access.changed"     // somebody was given or refused access to a file or space
	AttendanceChecked Type = "attendance.checked" // the result of one clock-in or clock-out
	DepartmentSeen    Type = "department.seen"    // a department, as the directory describes it
	FieldSeen         Type = "field.seen"         // a field of staff records, and for how many people it is filled in
	FileChanged       Type = "file.changed"       // a file was overwritten, renamed, rolled back or commented
	FileDeleted       Type = "file.deleted"       // a file was deleted
	FileDownloaded    Type = "file.downloaded"    // a file was downloaded
	FileExported      Type = "file.exported"      // a document was exported to a file
	FileMoved         Type = "file.moved"         // a file was moved or handed over
	FileSeen          Type = "file.seen"          // a file or folder, as a listing describes it
	FileUploaded      Type = "file.uploaded"      // a file was uploaded or made
	FileViewed        Type = "file.viewed"        // a file was looked at
	MeetingHeld       Type = "meeting.held"       // a meeting took place
	MeetingJoined     Type = "meeting.joined"     // somebody took part in a meeting
	MessageRead       Type = "message.read"       // somebody has read a message or notification
	NoticePublished   Type = "notice.published"   // an announcement, as it stands
	NoticeRead        Type = "notice.read"        // somebody has read an announcement
	ReadsCounted      Type = "reads.counted"      // how many have read something, and who has not
	RecordingSeen     Type = "recording.seen"     // a recording of a meeting exists
	RoleSeen          Type = "role.seen"          // a role with the people who hold it
	SpaceSeen         Type = "space.seen"         // a place that holds files, as the source describes it
	RecordKept        Type = "record.kept"        // a row of a hand-made export that is no message
	SourceGap         Type = "source.gap"         // a part of the source could not be read; the reason is a field

	// From here on, what only Guia itself says ([Type.IsOwn]).

	ImportStarted   Type = "import.started"   // somebody handed in a file or folder; its digest is a field
	ImportFinished  Type = "import.finished"  // how many records were new, known, linked, marked
	LedgerCreated   Type = "ledger.created"   // the first event of every ledger
	SearchMade      Type = "search.made"      // somebody searched
	RecordOpened    Type = "record.opened"    // somebody opened an event
	CaseOpened      Type = "case.opened"      // a case was opened
	CaseAdded       Type = "case.added"       // events were put into a case
	BundleStarted   Type = "bundle.started"   // intent: a bundle is about to be written
	BundleExported  Type = "bundle.exported"  // outcome: the digest of the file that left
	TilesStarted    Type = "tiles.started"    // intent: the public part of the ledger is about to be handed out
	TilesExported   Type = "tiles.exported"   // outcome: the checkpoint up to which it was
	BackupStarted   Type = "backup.started"   // intent
	BackupFinished  Type = "backup.finished"  // outcome
	BackupRestored  Type = "backup.restored"  // this directory came from a backup
	LogKeyRotated   Type = "log.key_rotated"  // the log key was replaced; the old key signed the new one
	EpochRotated    Type = "epoch.rotated"    // the epoch key was replaced
	EscrowWritten   Type = "escrow.written"   // a copy of the epoch key was encrypted to named recipients
	KeysDestroyed   Type = "keys.destroyed"   // keys were forgotten on purpose
	UserAdded       Type = "user.added"       // a user of Guia
	UserDisabled    Type = "user.disabled"    //
	RoleGranted     Type = "role.granted"     //
	RoleRevoked     Type = "role.revoked"     //
	ApprovalAsked   Type = "approval.asked"   // an act that needs a second person was proposed
	ApprovalGiven   Type = "approval.given"   //
	ApprovalRefused Type = "approval.refused" //
	ActRefused      Type = "act.refused"      // somebody tried what they may not do
	AnchorCompared  Type = "anchor.compared"  // the ledger was compared with a checkpoint kept elsewhere
	ClockJumped     Type = "clock.jumped"     // our clock went backwards; both readings are fields
	SourceAdded     Type = "source.added"     // a source was connected, or its settings changed
	SourceRemoved   Type = "source.removed"   // a source was disconnected
	FeedEnabled     Type = "feed.enabled"     // a feed of a source was turned on, with purpose, ground and retention class
	FeedDisabled    Type = "feed.disabled"    // a feed of a source was turned off
)

// AlsoKnownAs is the subject of a [PersonSeen] that tells one more name of somebody and nothing else: it holds on no day.
const AlsoKnownAs = "also_known_as"

// ownTypes is what only Guia itself says.
var ownTypes = [...]Type{
	ImportStarted, ImportFinished, LedgerCreated, SearchMade, RecordOpened, CaseOpened, CaseAdded, BundleStarted, BundleExported,
	TilesStarted, TilesExported, BackupStarted, BackupFinished, BackupRestored, LogKeyRotated, EpochRotated, EscrowWritten,
	KeysDestroyed, UserAdded, UserDisabled, RoleGranted, RoleRevoked, ApprovalAsked, ApprovalGiven, ApprovalRefused, ActRefused,
	AnchorCompared, ClockJumped, SourceAdded, SourceRemoved, FeedEnabled, FeedDisabled,
}

// OwnTypes are the types of which [Type.IsOwn] is true.
func OwnTypes() []Type { return slices.Clone(ownTypes[:]) }

// IsOwn reports whether only Guia itself says such a thing, about what happened in it. Intake takes no record of another source with
// such a type, and whoever believes what these events say believes it of the source [Own] alone.
func (t Type) IsOwn() bool { return slices.Contains(ownTypes[:], t) }

// ParseType accepts lower-case words of letters, digits and underscores joined by dots, at least two, at most 48 bytes in all.
func ParseType(s string) (Type, error) {
	if !dotted(s, 48) || !strings.Contains(s, ".") {
		return "", fmt.Errorf("event type %.60q is not two or more lower-case words joined by dots", s)
	}
	return Type(s), nil
}

// dotted reports whether s is lower-case words joined by single dots, each beginning with a letter or digit.
func dotted(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	edge := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			edge = false
		case c == '_' && !edge:
		case c == '.' && !edge:
			edge = true
		default:
			return false
		}
	}
	return !edge
}

// ValidFieldName reports whether name has the form of a field name: lower-case words of letters, digits and underscores joined by
// dots, at most 64 bytes. Whether it is registered is another question ([SlotOf]): a younger program registers more.
func ValidFieldName(name string) bool { return dotted(name, 64) }

// SourceName is the short registered name of a kind of source: "slack", "mbox", "mapped", "dingtalk"; "guia" for what happened
// in the program itself. Lower-case letters, digits and hyphens, at most 32 bytes.
type SourceName string

// Own is the source of everything that happened inside Guia: searches, exports, changed settings.
const Own SourceName = "guia"

// ParseSourceName accepts 1 to 32 lower-case letters, digits and hyphens, beginning with a letter.
func ParseSourceName(s string) (SourceName, error) {
	ok := len(s) > 0 && len(s) <= 32 && s[0] >= 'a' && s[0] <= 'z'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if !ok {
		return "", fmt.Errorf("source name %.40q is not 1 to 32 lower-case letters, digits and hyphens", s)
	}
	return SourceName(s), nil
}

// Header is the part of an event that stands in the leaf: nothing in it is personal, all of it may be shown to anyone.
type Header struct {
	Type     Type
	Source   SourceName
	Captured time.Time // our clock when the record reached us, UTC, whole milliseconds
	Record   RecordID
	Stream   StreamID
	Count    uint64 // position in the stream, counted from 1 without holes
}

// Event is one fact: the header and its fields in ascending order of name. The zero Seq is a real place; whether an event has
// been recorded is known by where it came from.
type Event struct {
	Seq Seq
	Header
	Fields Fields
	// Withheld lists the fields whose keys were destroyed or that a bundle does not disclose: the leaf still commits to them.
	Withheld []string
}

// Text joins the text chunks of the event (canon cuts them). Empty when the event has none or they are withheld.
func (e *Event) Text() string {
	size := 0
	for _, f := range e.Fields {
		if isChunk(f.Name) {
			size += len(f.Value)
		}
	}
	var b strings.Builder
	b.Grow(size)
	for _, f := range e.Fields {
		if isChunk(f.Name) {
			b.Write(f.Value)
		}
	}
	return b.String()
}

// isChunk reports whether name is "text." and four digits.
func isChunk(name string) bool {
	const prefix = len("text.")
	if len(name) != prefix+4 || name[:prefix] != "text." {
		return false
	}
	for i := prefix; i < len(name); i++ {
		if name[i] < '0' || name[i] > '9' {
			return false
		}
	}
	return true
}

// Moment returns when the event happened according to its source, and whether the source gave a usable time.
func (e *Event) Moment() (Moment, bool) {
	m, err := ParseMoment(e.Fields.Get("time"))
	return m, err == nil
}

// Actor is who acts: a user of Guia, through what, for whom, why, and who approved. It becomes the fields actor, actor.via,
// actor.behalf, reason and approver of every event that records an act.
type Actor struct {
	User   PersonID // the account
	Login  string   // its login name, for messages; not stored in the event
	Via    string   // how the account was established: "os-login", "asserted", "service"
	Behalf string   // on whose behalf, if somebody else's
	Reason string   // why, in the actor's words; personal
	// Approver is the account that approved, for acts that need a second person.
	Approver PersonID
}

// Channel is how a fact reached us (DESIGN section 4, Provenance).
type Channel string

// The channels.
const (
	ChannelAPI       Channel = "api"       // the answer to our authenticated call
	ChannelPush      Channel = "push"      // delivered to us by the source
	ChannelExport    Channel = "export"    // an export made by the source for one person or the administrator
	ChannelFile      Channel = "file"      // a file handed in by a person
	ChannelStatement Channel = "statement" // typed by a person
	ChannelOwn       Channel = "own"       // it happened inside Guia
)

// Grade says how far a fact can be trusted to be what the source had (DESIGN section 4).
type Grade string

// The grades. A file that a party could have edited before import never looks like an API capture.
const (
	GradeA Grade = "A" // machine-read over an authenticated channel, raw bytes kept
	GradeB Grade = "B" // signed human statement
	GradeC Grade = "C" // uploaded file, hashed at once
	GradeD Grade = "D" // a link
)

// Tier says how careful one must be with a record. Unread content is Confidential, never passed silently.
type Tier string

// The tiers.
const (
	TierPublic       Tier = "public"
	TierInternal     Tier = "internal"
	TierConfidential Tier = "confidential"
)
