package guia

import (
	"fmt"
	"slices"
	"strings"
)

// Slot is a group of fields of one event that share one key, so that they are forgotten together.
type Slot uint8

// The slots. Which key wraps a slot's key is written beside each (evidence.md D3).
const (
	SlotRecord   Slot = iota + 1 // what the record is and how it reached us: key of (stream, retention class)
	SlotIdentity                 // who the sender is: key of the person
	SlotContent                  // what was said: key of (person, retention class), or of (stream, class) where nobody is the sender
	SlotRaw                      // the bytes as received, a slot of its own: same key as the content
)

// Slots lists all slots in the order in which they are stored.
var Slots = [...]Slot{SlotRecord, SlotIdentity, SlotContent, SlotRaw}

// String is the slot's name in messages and in the documentation.
func (s Slot) String() string {
	switch s {
	case SlotRecord:
		return "record"
	case SlotIdentity:
		return "identity"
	case SlotContent:
		return "content"
	case SlotRaw:
		return "raw"
	}
	return fmt.Sprintf("slot(%d)", uint8(s))
}

// Field is one named value of an event. The value is bytes: UTF-8 text unless the registry says otherwise.
type Field struct {
	Name  string
	Value []byte
}

// Fields are in strictly ascending order of name (bytewise).
type Fields []Field

// Set puts value under name, keeping the order; an empty value removes the field: absent and empty are the same thing.
func (f *Fields) Set(name, value string) { f.SetBytes(name, []byte(value)) }

// SetBytes is [Fields.Set] for bytes, which it keeps without copying.
func (f *Fields) SetBytes(name string, value []byte) {
	at, found := slices.BinarySearchFunc(*f, name, func(have Field, want string) int { return strings.Compare(have.Name, want) })
	switch {
	case found && len(value) == 0:
		*f = slices.Delete(*f, at, at+1)
	case found:
		(*f)[at].Value = value
	case len(value) > 0:
		*f = slices.Insert(*f, at, Field{name, value})
	}
}

// Get returns the value as text, empty when the field is absent.
func (f Fields) Get(name string) string { return string(f.Bytes(name)) }

// Bytes returns the value, nil when the field is absent. The caller must not change it.
func (f Fields) Bytes(name string) []byte {
	at, found := slices.BinarySearchFunc(f, name, func(have Field, want string) int { return strings.Compare(have.Name, want) })
	if !found {
		return nil
	}
	return f[at].Value
}

// FieldSpec is one line of the registry.
type FieldSpec struct {
	Name    string // with "####" standing for a number of four digits counted from 0001 (text chunks: from 0000)
	Slot    Slot
	Meaning string // for the documentation and `guia fields`
}

// Registry is every field name there is, in order. A name is never reused with another meaning; new names are added in a release
// and documented in docs/format/event.md, which a test compares with this list.
var Registry = []FieldSpec{
	{"act", SlotRecord, "the act that was tried or done, as named in permit"},
	{"act.outcome", SlotRecord, "done, refused, failed"},
	{"action", SlotRecord, "what was done, as the source names it"},
	{"actor", SlotIdentity, "the account that acted, 32 hexadecimal digits"},
	{"actor.behalf", SlotIdentity, "on whose behalf"},
	{"actor.via", SlotIdentity, "how the account was established: os-login, asserted, service"},
	{"api", SlotRecord, "the call to the source whose answer told it"},
	{"approver", SlotIdentity, "the account that approved, 32 hexadecimal digits"},
	{"channel", SlotRecord, "how the fact reached us: api, push, export, file, statement, own"},
	{"checkpoint", SlotRecord, "a signed checkpoint, verbatim"},
	{"class", SlotRecord, "retention class"},
	{"clock.offset", SlotRecord, "by how many milliseconds the source's clock was ahead of ours"},
	{"connector", SlotRecord, "the kind of source that was connected or disconnected"},
	{"conversation.key", SlotRecord, "the conversation's identifier at its source"},
	{"conversation.kind", SlotRecord, "channel, group, direct, mailbox, feed"},
	{"conversation.name", SlotRecord, "the conversation's name at the time"},
	{"count", SlotRecord, "how many"},
	{"count.filled", SlotRecord, "for how many people a field is filled in"},
	{"count.known", SlotRecord, "how many were already stored"},
	{"count.linked", SlotRecord, "how many were the same as a record of another source"},
	{"count.marked", SlotRecord, "how many were kept with a mark"},
	{"count.new", SlotRecord, "how many were stored"},
	{"department", SlotIdentity, "department of the person at the time"},
	{"department.key", SlotRecord, "the department's identifier at its source"},
	{"department.parent", SlotRecord, "identifier of the department above it"},
	{"digest", SlotRecord, "sha256:<64 hexadecimal digits> <size in bytes> of a file that was handed in or out"},
	{"edit_of", SlotContent, "source_key of the message that this one changes or removes"},
	{"entity", SlotRecord, "the legal entity the record belongs to"},
	{"feed", SlotRecord, "a feed of a connected source"},
	{"feed.class", SlotRecord, "retention class of what a feed brings"},
	{"feed.ground", SlotRecord, "legal ground on which a feed is read"},
	{"feed.purpose", SlotRecord, "for what purpose a feed is read"},
	{"file.####", SlotContent, "an attachment: sha256:<64 hexadecimal digits> <size in bytes>"},
	{"file.####.missing", SlotContent, "why the bytes of an attachment were not there to be kept"},
	{"file.####.name", SlotContent, "its name"},
	{"file.####.type", SlotContent, "its media type"},
	{"grade", SlotRecord, "A, B, C or D"},
	{"import", SlotRecord, "record of the import.started event that brought this one"},
	{"ip", SlotIdentity, "network address from which somebody acted"},
	{"item.key", SlotContent, "identifier of a file, folder, space or recording at its source"},
	{"item.parent", SlotContent, "identifier of the folder or space in which it lies"},
	{"item.type", SlotRecord, "file, folder, space, recording, field"},
	{"key.new", SlotRecord, "verifier key that comes into force"},
	{"key.old", SlotRecord, "verifier key that goes out of force"},
	{"mark", SlotRecord, "why the record deserves a second look: words separated by spaces"},
	{"member.####", SlotContent, "a member of the conversation, by the source's identifier"},
	{"name", SlotContent, "name given by a user: a case, a login, a backup"},
	{"normaliser", SlotRecord, "what turned the raw bytes into fields, with its version"},
	{"origin", SlotRecord, "where in the source the record stood"},
	{"peer", SlotRecord, "sha256:<64 hexadecimal digits> of the certificate of the machine that answered"},
	{"period.from", SlotRecord, "beginning of the time that a round of a source tells of, UTC"},
	{"period.until", SlotRecord, "end of the time that a round of a source tells of, UTC"},
	{"person.key", SlotIdentity, "identifier of the person whom the record is about, at its source"},
	{"phone.class", SlotIdentity, "whether the account's telephone number begins with +86: 86, other, unknown"},
	{"place", SlotRecord, "ISO 3166-1 code of where the datum was kept"},
	{"place.basis", SlotRecord, "why we believe so"},
	{"platform", SlotRecord, "with what program or system somebody acted, as the source names it"},
	{"query", SlotContent, "what was searched for"},
	{"raw", SlotRaw, "the bytes as received"},
	{"raw.file", SlotRaw, "the bytes as received, when large: sha256:<64 hexadecimal digits> <size in bytes>"},
	{"raw.type", SlotRaw, "media type of the bytes as received"},
	{"reason", SlotContent, "why, in the actor's words; or why something could not be done"},
	{"recipient.####", SlotContent, "an addressee, as written"},
	{"region", SlotRecord, "where the datum was kept, as the source names it"},
	{"reply_to", SlotContent, "source_key of the message that this one answers"},
	{"request", SlotRecord, "the identifier that the source gave to our call"},
	{"role", SlotRecord, "a role in permit"},
	{"rotation", SlotRecord, "a signed rotation statement, verbatim"},
	{"same_as", SlotRecord, "record of the same message as another source told it"},
	{"scope", SlotRecord, "to what a role or act is limited"},
	{"sender.address", SlotIdentity, "e-mail address or the like"},
	{"sender.key", SlotIdentity, "the sender's identifier at the source"},
	{"sender.name", SlotIdentity, "the sender's name as shown at the time"},
	{"sender.phone", SlotIdentity, "telephone number"},
	{"sender.title", SlotIdentity, "job title"},
	{"seqs", SlotRecord, "places in the ledger: ranges a-b separated by spaces"},
	{"settings", SlotRecord, "settings of a connected source, without its secrets"},
	{"source_key", SlotContent, "what makes the record unique within its source"},
	{"status", SlotContent, "state or result, as the source names it"},
	{"subject", SlotContent, "subject line or title"},
	{"text.####", SlotContent, "the text, in chunks counted from 0000"},
	{"text.html", SlotContent, "the text as the source formatted it, when it was formatted"},
	{"thread", SlotContent, "source_key of the first message of the thread"},
	{"tier", SlotRecord, "public, internal, confidential: provisional until classified"},
	{"tier.basis", SlotRecord, "why"},
	{"time", SlotRecord, "when it happened according to the source, UTC, with the source's precision"},
	{"time.basis", SlotRecord, "source: it named a zone or an instant; assumed: the zone was assumed; none: no usable time"},
	{"time.original", SlotRecord, "the time as the source wrote it"},
	{"time.zone", SlotRecord, "the zone in which the source told the time, named or assumed"},
	{"user", SlotContent, "the account that an act is about, 32 hexadecimal digits"},
	{"valid.from", SlotRecord, "first day on which a directory entry held"},
	{"valid.until", SlotRecord, "first day on which it no longer held"},
	{"version", SlotRecord, "version of the program that acted"},
}

// MaxFields is the most fields one event may have.
const MaxFields = 4096

// SlotOf returns the slot of a registered name, and whether it is registered. Four-digit numbers stand where the registry has "####".
func SlotOf(name string) (Slot, bool) {
	slot, ok := slotByName[name]
	if ok {
		return slot, !strings.Contains(name, "#") // the pattern itself is no name
	}
	for i := 0; i+5 <= len(name); i++ { // find ".dddd" followed by "." or the end
		if name[i] != '.' || i+5 < len(name) && name[i+5] != '.' {
			continue
		}
		digits := name[i+1 : i+5]
		if strings.Trim(digits, "0123456789") == "" {
			switch name[:i] { // without building a string for what occurs a dozen times an event
			case "text":
				return SlotContent, i+5 == len(name)
			case "file":
				return SlotContent, i+5 == len(name) || name[i+5:] == ".name" || name[i+5:] == ".type" || name[i+5:] == ".missing"
			}
			slot, ok = slotByName[name[:i+1]+"####"+name[i+5:]]
			return slot, ok
		}
	}
	return 0, false
}

var slotByName = func() map[string]Slot {
	m := make(map[string]Slot, len(Registry))
	for _, spec := range Registry {
		m[spec.Name] = spec.Slot
	}
	return m
}()
