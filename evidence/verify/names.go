package verify

import (
	"fmt"
	"strconv"
	"strings"

	"guia/proof"
)

// The names in the container, docs/format/bundle.md.
const (
	nameMimetype  = "mimetype"
	nameCover     = "cover.json"
	nameRecords   = "records.jsonl"
	nameCustody   = "custody.jsonl"
	nameVKey      = "keys/log.vkey"
	namePEM       = "keys/log.pem"
	nameView      = "view.html"
	nameHowTo     = "HOW-TO-VERIFY.txt"
	nameSums      = "SHA256SUMS"
	nameManifest  = "META-INF/ASiCManifest001.xml"
	nameNote      = "META-INF/manifest.note"
	nameTimestamp = "META-INF/timestamp001.tst"
	nameSignature = "META-INF/signature001.p7s"

	nameCheckpoint = "checkpoint"

	prefixFiles       = "files/"
	prefixProofs      = "proofs/"
	prefixConsistency = "consistency/"
	prefixRotation    = "keys/rotation-"
	suffixProof       = ".tlog-proof"
	suffixCheckpoint  = ".checkpoint"
)

// MediaType is the content of the file mimetype.
const MediaType = "application/vnd.etsi.asic-e+zip"

// maxEntryName is longer than every name that is allowed: the longest is files/ with its digest.
const maxEntryName = 128

var required = []string{
	nameMimetype, nameCover, nameRecords, nameCustody, nameCheckpoint, nameVKey, namePEM, nameView, nameHowTo, nameSums, nameManifest, nameNote,
}

// kind says what an entry is, by its name alone.
type kind uint8

const (
	kindUnknown   kind = iota
	kindFixed          // one of the names above that stand for themselves
	kindFile           // files/<digest>
	kindProof          // proofs/<index>.tlog-proof
	kindGrowth         // consistency/<old>-<new>
	kindOlder          // consistency/<old>.checkpoint
	kindRotation       // keys/rotation-<n>
	kindOptional       // a time-stamp or signature that may be added later
	kindMimetype       // in SHA256SUMS only: its whole content is fixed
	kindStructure      // the manifest and its note: in no listing
	kindSums           // SHA256SUMS: in the manifest only
	kindNonsense       // a name that no unpacking program should be given
)

// Bounds of the files that are read whole.
const (
	mostInMemory = 64 << 20 // cover, listings
	mostTextFile = 64 << 10 // checkpoints, keys, proofs: a checkpoint with 16 witnesses has 2 KiB
	mostTexts    = 1000     // rotations and older checkpoints; each costs a signature
)

// kindOf recognises every name that may stand in a bundle. number is that of a rotation, proof or older tree; second that of the
// newer one.
func kindOf(name string) (k kind, number, second int64) {
	switch name {
	case nameMimetype:
		return kindMimetype, 0, 0
	case nameManifest, nameNote:
		return kindStructure, 0, 0
	case nameSums:
		return kindSums, 0, 0
	case nameCover, nameRecords, nameCustody, nameCheckpoint, nameVKey, namePEM, nameView, nameHowTo:
		return kindFixed, 0, 0
	case nameTimestamp, nameSignature:
		return kindOptional, 0, 0
	}
	if rest, ok := strings.CutPrefix(name, prefixFiles); ok && len(rest) == 64 && lowerHex(make([]byte, 32), []byte(rest)) {
		return kindFile, 0, 0
	}
	if rest, ok := strings.CutPrefix(name, prefixProofs); ok {
		if rest, ok = strings.CutSuffix(rest, suffixProof); ok {
			if number, ok = decimal(rest); ok {
				return kindProof, number, 0
			}
		}
	}
	if rest, ok := strings.CutPrefix(name, prefixRotation); ok {
		if number, ok = decimal(rest); ok && number > 0 {
			return kindRotation, number, 0
		}
	}
	if rest, ok := strings.CutPrefix(name, prefixConsistency); ok {
		if before, ok := strings.CutSuffix(rest, suffixCheckpoint); ok {
			if number, ok = decimal(before); ok {
				return kindOlder, number, 0
			}
		}
		if before, after, ok := strings.Cut(rest, "-"); ok {
			number, ok1 := decimal(before)
			second, ok2 := decimal(after)
			if ok1 && ok2 {
				return kindGrowth, number, second
			}
		}
	}
	if !sane(name) {
		return kindNonsense, 0, 0
	}
	return kindUnknown, 0, 0
}

// sane reports whether a name is a relative path that means the same everywhere.
func sane(name string) bool {
	if name == "" || len(name) > maxEntryName {
		return false
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' || name[i] == '\\' || name[i] == ':' {
			return false
		}
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// decimal reads a number up to proof.MaxSize in its only spelling.
func decimal(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n <= proof.MaxSize && strconv.FormatInt(n, 10) == s
}

// inSums and inManifest report whether a name stands in SHA256SUMS and in the manifest.
func inSums(k kind) bool     { return k != kindStructure && k != kindSums && k != kindOptional }
func inManifest(k kind) bool { return k != kindStructure && k != kindMimetype && k != kindOptional }

// mediaType is the MimeType of a name in the manifest.
func mediaType(name string) string {
	switch {
	case name == nameCover:
		return "application/json"
	case name == nameRecords, name == nameCustody:
		return "application/jsonl"
	case name == nameView:
		return "text/html"
	case strings.HasPrefix(name, prefixFiles):
		return "application/octet-stream"
	}
	return "text/plain"
}

// ProofName returns the name of the tlog-proof of an event.
func ProofName(index int64) string { return fmt.Sprintf("%s%d%s", prefixProofs, index, suffixProof) }

// FileName returns the name of an attachment.
func FileName(digest [32]byte) string { return fmt.Sprintf("%s%x", prefixFiles, digest) }

// RotationName returns the name of the n-th rotation statement, counted from 1.
func RotationName(n int) string { return fmt.Sprintf("%s%d", prefixRotation, n) }

// GrowthNames returns the names of a consistency proof and of the older checkpoint it starts from.
func GrowthNames(older, newer int64) (growth, checkpoint string) {
	return fmt.Sprintf("%s%d-%d", prefixConsistency, older, newer), fmt.Sprintf("%s%d%s", prefixConsistency, older, suffixCheckpoint)
}

// quote is foreign text in a message: escaped and short.
func quote(s string) string { return fmt.Sprintf("%.80q", s) }
