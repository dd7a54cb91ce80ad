package verify

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"strings"

	"guia/proof"
)

// keys follows the rotations from the oldest key that the bundle names to the one in keys/log.vkey.
func (v *verification) keys() {
	text, ok := v.texts[nameVKey]
	if !ok {
		return
	}
	vkey, ended := strings.CutSuffix(string(text), "\n")
	signer, err := proof.NewVerifier(vkey)
	if err != nil || !ended {
		v.fault(stageTrust, nameVKey, "verify.key.form")
		return
	}
	v.report.Key, v.report.Origin = vkey, signer.Name()
	if pem, err := proof.VKeyPEM(vkey); err == nil && v.texts[namePEM] != nil && !bytes.Equal(pem, v.texts[namePEM]) {
		v.fault(stageTrust, namePEM, "verify.key.pem")
	}
	rotations, first := v.rotations(), vkey
	if len(rotations) > 0 {
		first = oldKey(rotations[0])
	}
	chain, err := proof.TrustChain(first, rotations)
	switch {
	case err != nil:
		v.fault(stageTrust, RotationName(brokenAt(first, rotations)), "verify.rotation.chain")
		return
	case chain[len(chain)-1].Key.VKey() != vkey:
		v.fault(stageTrust, nameVKey, "verify.rotation.end")
		return
	}
	v.chain = chain
	v.report.Rotations = len(rotations)
}

// vouch finds the caller's key that vouches for the one that signed: the nearest to it. A key that was replaced vouches only for what it
// signed itself, up to its last size.
func (v *verification) vouch() {
	r := &v.report
	for changes := range v.chain {
		passed := v.chain[len(v.chain)-1-changes].Key.VKey()
		i := slices.IndexFunc(v.trust.keys, func(key trusted) bool { return key.VKey() == passed })
		if i < 0 {
			continue
		}
		if until := v.trust.keys[i].until; until < proof.MaxSize {
			r.Retired, r.Until = true, until
		}
		if r.Retired && (changes > 0 || r.Size > r.Until) {
			r.Other = passed // nor does a key from before it vouch for what it did after its end
		} else {
			r.Trusted, r.Rotations = passed, changes
		}
		return
	}
	if v.chain == nil {
		return
	}
	for _, key := range v.trust.keys {
		if key.Name() == r.Origin { // a later key of this log, to which an older bundle cannot lead, or no key of it
			r.Other = key.VKey()
			return
		}
	}
}

// brokenAt returns the number of the first rotation statement that does not continue the chain.
func brokenAt(first string, rotations [][]byte) int {
	return 1 + sort.Search(len(rotations)-1, func(n int) bool {
		_, err := proof.TrustChain(first, rotations[:n+1])
		return err != nil
	})
}

// rotations returns the statements in order; their numbers have no holes.
func (v *verification) rotations() (statements [][]byte) {
	have := 0
	for name := range v.texts {
		if k, _, _ := kindOf(name); k == kindRotation {
			have++
		}
	}
	for n := 1; n <= have; n++ {
		text, ok := v.texts[RotationName(n)]
		if !ok {
			v.fault(stageTrust, RotationName(n), "verify.name.missing")
			return statements
		}
		statements = append(statements, text)
	}
	return statements
}

// oldKey reads the line "old" of a rotation, without believing it.
func oldKey(statement []byte) string {
	for line := range strings.Lines(string(statement)) {
		if vkey, ok := strings.CutPrefix(line, "old "); ok {
			return strings.TrimSuffix(vkey, "\n")
		}
	}
	return ""
}

// readCheckpoint verifies the checkpoint and the note over the manifest. A checkpoint that nobody vouches for is still read, so
// that the lines can be compared with it.
func (v *verification) readCheckpoint() {
	text, ok := v.texts[nameCheckpoint]
	if !ok {
		return
	}
	body, _, _ := bytes.Cut(text, []byte("\n\n"))
	if c, err := proof.ParseCheckpoint(append(slices.Clone(body), '\n')); err == nil {
		v.checkpoint = &c
	} else {
		v.fault(stageTrust, nameCheckpoint, "verify.checkpoint.form")
		return
	}
	v.report.Size, v.report.Root = v.checkpoint.Size, v.checkpoint.Root.String()
	if v.chain == nil {
		return
	}
	signer := v.chain[len(v.chain)-1].Key
	switch {
	case v.checkpoint.Origin != signer.Name():
		v.fault(stageTrust, nameCheckpoint, "verify.checkpoint.origin")
	case v.chain.KeyAt(v.checkpoint.Size) != signer:
		v.fault(stageTrust, nameCheckpoint, "verify.checkpoint.period", v.checkpoint.Size)
	default:
		if _, err := v.chain.Open(text); err != nil {
			v.fault(stageTrust, nameCheckpoint, "verify.checkpoint.signature")
		}
	}
	v.manifestNote(signer)
}

func (v *verification) manifestNote(signer *proof.Verifier) {
	note, ok := v.texts[nameNote]
	if !ok {
		return
	}
	text, err := openManifestNote(note, signer)
	if err != nil {
		v.fault(stageContainer, nameNote, "verify.note.signature")
		return
	}
	manifest, checkpoint := sha256.Sum256(v.texts[nameManifest]), sha256.Sum256(v.texts[nameCheckpoint])
	switch string(text) {
	case string(FormatManifestNote(manifest, checkpoint)):
	default:
		if !bytes.Contains(text, fmt.Appendf(nil, "\nmanifest sha256:%x\n", manifest)) {
			v.fault(stageContainer, nameManifest, "verify.note.manifest")
		}
		if !bytes.Contains(text, fmt.Appendf(nil, "\ncheckpoint sha256:%x\n", checkpoint)) {
			v.fault(stageContainer, nameCheckpoint, "verify.note.checkpoint")
		}
		if string(text[:min(len(text), len(Format)+1)]) != Format+"\n" || len(text) != len(FormatManifestNote(manifest, checkpoint)) {
			v.fault(stageContainer, nameNote, "verify.note.form")
		}
	}
}

// growth verifies that older checkpoints are beginnings of this one.
func (v *verification) growth() {
	for _, e := range v.entries {
		k, older, newer := kindOf(e.name)
		text := v.texts[e.name]
		if text == nil || k != kindGrowth && k != kindOlder {
			continue
		}
		if v.checkpoint == nil || v.chain == nil {
			continue // a finding already
		}
		growthName, olderName := GrowthNames(older, v.checkpoint.Size)
		if k == kindOlder {
			if v.byName[growthName] == nil {
				v.fault(stageProofs, e.name, "verify.growth.alone")
			}
			continue
		}
		if newer != v.checkpoint.Size || v.byName[olderName] == nil {
			v.fault(stageProofs, e.name, "verify.growth.alone")
			continue
		}
		growth, err := proof.ParseConsistency(text)
		if err != nil || growth.Old != older || !bytes.Equal(growth.Checkpoint, v.texts[nameCheckpoint]) {
			v.fault(stageProofs, e.name, "verify.growth.form")
			continue
		}
		old, err := v.chain.Open(v.texts[olderName])
		if err != nil || old.Size != older || old.Origin != v.checkpoint.Origin {
			v.fault(stageProofs, olderName, "verify.growth.checkpoint")
			continue
		}
		if proof.CheckConsistency(old.Root, old.Size, v.checkpoint.Root, v.checkpoint.Size, growth.Hashes) != nil {
			v.fault(stageProofs, e.name, "verify.growth.proof")
			continue
		}
		v.report.Older = append(v.report.Older, older)
	}
	slices.Sort(v.report.Older)
}

// exhibits reads the tlog-proofs; each is compared with its line when that comes.
func (v *verification) exhibits() {
	for _, e := range v.entries {
		k, index, _ := kindOf(e.name)
		if k != kindProof {
			continue
		}
		text := v.text(e, mostTextFile)
		if text == nil {
			continue
		}
		p, err := proof.ParseProof(text)
		if err != nil || p.Index != index || len(p.Extra) > 0 || !bytes.Equal(p.Checkpoint, v.texts[nameCheckpoint]) {
			v.fault(stageProofs, e.name, "verify.proof.form")
			continue
		}
		v.proofs[index] = &proofFile{e, hashesDigest(p.Hashes)}
		v.report.Exhibits++
	}
}
