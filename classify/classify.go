// Package classify says how careful we must be with a record, from what can be seen without reading further.
//
// The verdict made here is provisional: it is pure, it knows the record alone. What needs the directory or a file's text is decided
// later by a follower that appends record.classified. Until something was read it is treated as Confidential, never passed silently.
package classify

import (
	"slices"
	"strings"

	"guia"
)

// Rulebook is a set of rules. The zero value holds the rules of this release. It may be used by many goroutines.
type Rulebook struct{}

// Verdict is how careful we must be, and why, in words of the schema.
type Verdict struct {
	Tier  guia.Tier
	Basis string
}

// Classify judges a record by its type and fields. apart names the fields whose bytes are kept apart and have not been read: their
// values are not among the fields yet.
func (*Rulebook) Classify(t guia.Type, fields guia.Fields, apart ...string) Verdict {
	attached := func(f guia.Field) bool { return strings.HasPrefix(f.Name, "file.") || f.Name == "raw.file" }
	switch {
	case len(apart) > 0 || slices.ContainsFunc(fields, attached):
		return Verdict{guia.TierConfidential, "attachment-unread"}
	case t == guia.PersonSeen || t == guia.PersonLeft:
		return Verdict{guia.TierConfidential, "directory"}
	case fields.Get("conversation.kind") == "direct":
		return Verdict{guia.TierConfidential, "direct-conversation"}
	}
	return Verdict{guia.TierInternal, "default"}
}
