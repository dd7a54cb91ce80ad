package verify

import (
	"cmp"
	"slices"
	"strings"
)

// One damage is one finding. A changed file makes the listings differ that name it, and what is compared with it: such findings stand
// under the first one about the file, in [Finding.Follows]. What a line says of itself follows from no other file: an event that was
// forged is named, whatever else was damaged to draw the eye away from it.

// fold returns the findings, in the order of the checks, with those that follow from another under it. unlisted is how many more there
// are that were not kept; the result is how many of them are no consequence of what is listed. placed says that some lines do lead to
// the root of the checkpoint, cut that a file of lines could not be unpacked to its end.
func fold(faults []Finding, unlisted int, placed, cut bool) (roots []Finding, more int) {
	changed, torn := changedFiles(faults)
	short := !cut && tooFew(faults, unlisted, torn)
	owner, order := make([]string, len(faults)), make([]int, len(faults))
	for i := range faults {
		owner[i], order[i] = ownerOf(&faults[i], changed, placed, short), i
	}
	slices.SortStableFunc(order, func(a, b int) int { // of one file the finding that says most comes first
		x, y := &faults[a], &faults[b]
		return cmp.Or(cmp.Compare(rank(x, owner[a]), rank(y, owner[b])), cmp.Compare(x.Line, y.Line), cmp.Compare(detail(x), detail(y)))
	})
	cause := make([]int, len(faults)) // of each finding the one that it follows from, or itself
	byPlace, byOwner := map[place]int{}, map[string]int{}
	for _, i := range order {
		at := placeOf(&faults[i], owner[i])
		before, known := byPlace[at]
		if !known && owner[i] != "" && (faults[i].Line == 0 || torn[owner[i]] && !readable(&faults[i])) {
			before, known = byOwner[owner[i]]
		}
		if known && faults[i].Key != keyCommitment { // of each field that was changed
			cause[i] = before
			continue
		}
		cause[i] = i
		if at != (place{}) && !known {
			byPlace[at] = i
		}
		if _, has := byOwner[owner[i]]; !has && owner[i] != "" {
			byOwner[owner[i]] = i
		}
	}
	at := make([]int, len(faults))
	for i := range faults {
		if cause[i] == i {
			at[i] = len(roots)
			roots = append(roots, faults[i])
		}
	}
	for i := range faults {
		if root := &roots[at[cause[i]]]; cause[i] != i {
			root.Follows = append(root.Follows, faults[i])
		}
	}
	if unlisted > 0 && len(roots) == 1 && torn[roots[0].File] {
		roots[0].MoreFollow, unlisted = unlisted, 0
	}
	return roots, unlisted
}

// place is where a finding is: of one place there is one finding.
type place struct {
	file string
	line int64
}

// placeOf is the line, or the changed file that is behind a finding elsewhere.
func placeOf(f *Finding, owner string) place {
	switch {
	case owner != "" && (f.Line == 0 || f.File != owner):
		return place{file: owner}
	case f.Line > 0:
		return place{f.File, f.Line}
	}
	return place{}
}

const (
	keyCommitment = "verify.field.commitment"
	keyMissing    = "verify.stream.missing"
)

// readable reports whether a finding is about what a line says that could be read: of a file that could not be unpacked whole, the lines
// in pieces are one damage, but a line that can be read and is not what was signed is a changed event.
func readable(f *Finding) bool {
	return ofItself(f) || isProof(f) || detail(f) == 0
}

func isProof(f *Finding) bool { return f.Key == "verify.line.proof" || f.Key == "verify.line.beyond" }

// ofItself reports whether a line that could be read contradicts itself: nothing outside it can be the reason.
func ofItself(f *Finding) bool {
	return f.stage == stageLines && (strings.HasPrefix(f.Key, "verify.field.") || strings.HasPrefix(f.Key, "verify.fields.") || f.Key == "verify.leaf.form")
}

// tooFew reports whether more events are missing than lines that could not be read, or lead nowhere: then they are missing by themselves.
func tooFew(faults []Finding, unlisted int, torn map[string]bool) bool {
	lost, missing, fewer := map[place]bool{}, int64(0), int64(0)
	for i := range faults {
		switch f := &faults[i]; {
		case f.stage == stageLines && (!ofItself(f) || f.Key == "verify.leaf.form") && f.Key != "verify.line.order":
			lost[place{f.File, f.Line}] = true
		case f.Key == keyMissing:
			missing += f.Args[2].(int64) - f.Args[1].(int64) + 1
		case isCount(f):
			fewer += f.Args[0].(int64) - f.Args[1].(int64)
		}
	}
	most := int64(len(lost) + unlisted)
	return most == 0 || max(missing, fewer) > most && !torn[nameRecords] && !torn[nameCustody]
}

// isCount reports whether the cover names another number of events than there are.
func isCount(f *Finding) bool {
	return f.Key == "verify.cover.differs" && (f.Part == "records" || f.Part == "custody")
}

// rank is lower the more a finding says about what was changed in the file that owns it.
func rank(f *Finding, owner string) int {
	switch {
	case f.File == owner && f.Event != nil:
		return 0
	case f.File == owner && f.Line > 0:
		return 1
	case f.File == owner && f.stage != stageContainer && f.stage != stageProofs:
		return 2
	case f.File == owner:
		return 3
	}
	return 4
}

// detail is lower the more a finding says about an event.
func detail(f *Finding) int {
	switch {
	case f.Key == "verify.line.leafof", f.Key == "verify.line.numberof", f.Key == "verify.line.proofof":
		return 0
	case f.Field != "":
		return 1
	}
	return 2
}

// changedFiles are the files of which it is known that they are not what was listed when the bundle was signed, and those of them that
// cannot even be unpacked. A listing is believed as far as nothing says that it was itself changed: the note vouches for the manifest, the
// manifest for SHA256SUMS.
func changedFiles(faults []Finding) (changed, torn map[string]bool) {
	changed, torn = map[string]bool{}, map[string]bool{}
	for i := range faults {
		switch f := &faults[i]; f.Key {
		case "verify.zip.content", "verify.name.missing":
			changed[f.File], torn[f.File] = true, true
		case "verify.zip.local":
			changed[f.about] = true
		case "verify.note.manifest", "verify.note.checkpoint", "verify.mimetype.content":
			changed[f.File] = true
		}
	}
	for _, listing := range []string{nameManifest, nameSums} {
		for i := range faults {
			if f := &faults[i]; f.File == listing && f.about != "" && !changed[listing] {
				changed[f.about] = true
			}
		}
	}
	return changed, torn
}

// ownerOf is the changed file from which a finding follows: the one that it is in, the one that it names, or one with which the file that
// it is in was compared; empty when it is a damage of its own.
func ownerOf(f *Finding, changed map[string]bool, placed, short bool) string {
	if changed[f.File] && !(short && f.Key == keyMissing) {
		return f.File
	}
	if changed[f.about] {
		return f.about
	}
	for _, name := range comparedWith(f, placed, short) {
		if changed[name] {
			return name
		}
	}
	return ""
}

// comparedWith are the files with which what a finding is about was compared.
func comparedWith(f *Finding, placed, short bool) []string {
	trust := []string{nameVKey, RotationName(1)}
	switch k, _, _ := kindOf(f.File); {
	case short && f.Key == keyMissing:
		return []string{nameCover}
	case short && isCount(f):
		return []string{nameCheckpoint}
	case f.stage == stageStreams:
		return []string{nameRecords, nameCover}
	case f.stage == stageCover:
		return []string{nameRecords, nameCustody, nameCheckpoint}
	case isProof(f) && !placed: // otherwise the root is the right one
		return []string{nameCheckpoint}
	case f.stage == stageFiles && k == kindFile:
		return []string{nameRecords, nameCustody}
	case f.stage == stageProofs && k == kindProof:
		return []string{nameCheckpoint, nameRecords, nameCustody}
	case f.stage == stageProofs:
		return append([]string{nameCheckpoint}, trust...)
	case f.stage == stageTrust, f.File == nameNote:
		return trust
	}
	return nil
}
