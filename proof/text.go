package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxHashes   = 63 // c2sp.org/tlog-witness; a tree of MaxSize needs fewer
	maxExtra    = 64 << 10
)

// LeafProof shows, offline, that a leaf is in the tree of a checkpoint. Its
// text form is c2sp.org/tlog-proof, in files named *.tlog-proof.
type LeafProof struct {
	Extra      []byte // opaque and authenticated by nothing; nil for none
	Index      int64
	Hashes     []Hash // from the leaf's sibling up
	Checkpoint []byte // the signed note, verbatim
}

// FormatProof returns the text of the proof.
func FormatProof(p LeafProof) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("format proof: %w", err)
	}
	b := []byte(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b = fmt.Appendf(b, "extra %s\n", base64.StdEncoding.EncodeToString(p.Extra))
	}
	b = fmt.Appendf(b, "index %d\n", p.Index)
	for _, h := range p.Hashes {
		b = fmt.Appendf(b, "%s\n", h)
	}
	return append(append(b, '\n'), p.Checkpoint...), nil
}

func (p LeafProof) check() error {
	if len(p.Extra) > maxExtra {
		return fmt.Errorf("extra data longer than %d bytes", maxExtra)
	}
	if len(p.Hashes) > maxHashes {
		return fmt.Errorf("more than %d hashes", maxHashes)
	}
	c, _, err := peekCheckpoint(p.Checkpoint)
	if err != nil {
		return err
	}
	if p.Index < 0 || p.Index >= c.Size {
		return fmt.Errorf("there is no leaf %d in a tree of size %d", p.Index, c.Size)
	}
	return nil
}

// ParseProof reads a proof. It accepts what FormatProof writes and nothing
// else, and verifies nothing: see [LeafProof.Check].
func ParseProof(text []byte) (LeafProof, error) {
	p, err := parseProof(text)
	if err != nil {
		return LeafProof{}, fmt.Errorf("parse proof: %w", err)
	}
	return p, nil
}

func parseProof(text []byte) (p LeafProof, err error) {
	head, checkpoint, err := splitText(text)
	if err != nil {
		return p, err
	}
	p.Checkpoint = checkpoint
	if head[0] != proofHeader {
		return p, fmt.Errorf("it does not begin with %q", proofHeader)
	}
	head = head[1:]
	if len(head) > 0 && strings.HasPrefix(head[0], "extra ") {
		s := strings.TrimPrefix(head[0], "extra ")
		p.Extra, err = base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || len(p.Extra) == 0 || strings.ContainsAny(s, "\r\n") { // the decoder skips them
			return p, errors.New("extra data is not canonical base64, or empty")
		}
		head = head[1:]
	}
	if len(head) == 0 || !strings.HasPrefix(head[0], "index ") {
		return p, errors.New("no index line")
	}
	if p.Index, err = parseSize(strings.TrimPrefix(head[0], "index "), MaxSize); err != nil {
		return p, fmt.Errorf("index: %w", err)
	}
	if p.Hashes, err = parseHashes(head[1:]); err != nil {
		return p, err
	}
	return p, p.check()
}

// splitText parts the lines before the first empty one from the checkpoint.
func splitText(text []byte) (head []string, checkpoint []byte, err error) {
	if len(text) > MaxText {
		return nil, nil, fmt.Errorf("longer than %d bytes", MaxText)
	}
	before, after, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		return nil, nil, errors.New("no empty line before the checkpoint")
	}
	return strings.Split(before, "\n"), []byte(after), nil
}

func parseHashes(lines []string) ([]Hash, error) {
	if len(lines) > maxHashes {
		return nil, fmt.Errorf("more than %d hashes", maxHashes)
	}
	var hashes []Hash
	for i, line := range lines {
		h, err := parseHash(line)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i+1, err)
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// Check returns the verified checkpoint if the proof shows that a log with
// these keys has, at p.Index, the leaf with this hash.
func (p LeafProof) Check(leaf Hash, keys Chain) (Checkpoint, error) {
	c, err := keys.Open(p.Checkpoint)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := CheckInclusion(c.Root, c.Size, p.Index, leaf, p.Hashes); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// Growth shows that the tree of a checkpoint has an earlier tree as its
// beginning. Its text form, the consistency file, is the body of an
// add-checkpoint request of c2sp.org/tlog-witness.
type Growth struct {
	Old        int64 // size of the earlier tree
	Hashes     []Hash
	Checkpoint []byte // of the later tree: the signed note, verbatim
}

// FormatConsistency returns the text of the consistency file.
func FormatConsistency(g Growth) ([]byte, error) {
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("format consistency: %w", err)
	}
	b := fmt.Appendf(nil, "old %d\n", g.Old)
	for _, h := range g.Hashes {
		b = fmt.Appendf(b, "%s\n", h)
	}
	return append(append(b, '\n'), g.Checkpoint...), nil
}

func (g Growth) check() error {
	if len(g.Hashes) > maxHashes {
		return fmt.Errorf("more than %d hashes", maxHashes)
	}
	c, _, err := peekCheckpoint(g.Checkpoint)
	if err != nil {
		return err
	}
	if g.Old < 0 || g.Old > c.Size {
		return fmt.Errorf("old size %d, but the checkpoint has size %d", g.Old, c.Size)
	}
	return nil
}

// ParseConsistency reads a consistency file. It accepts what FormatConsistency
// writes and nothing else, and verifies nothing: see [Growth.Check].
func ParseConsistency(text []byte) (Growth, error) {
	g, err := parseConsistency(text)
	if err != nil {
		return Growth{}, fmt.Errorf("parse consistency: %w", err)
	}
	return g, nil
}

func parseConsistency(text []byte) (g Growth, err error) {
	head, checkpoint, err := splitText(text)
	if err != nil {
		return g, err
	}
	g.Checkpoint = checkpoint
	old, ok := strings.CutPrefix(head[0], "old ")
	if !ok {
		return g, errors.New(`it does not begin with "old"`)
	}
	if g.Old, err = parseSize(old, MaxSize); err != nil {
		return g, fmt.Errorf("old: %w", err)
	}
	if g.Hashes, err = parseHashes(head[1:]); err != nil {
		return g, err
	}
	return g, g.check()
}

// Check returns the verified checkpoint if the tree with this root, of size
// g.Old, is the beginning of the checkpoint's tree.
func (g Growth) Check(oldRoot Hash, keys Chain) (Checkpoint, error) {
	c, err := keys.Open(g.Checkpoint)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := CheckConsistency(oldRoot, g.Old, c.Root, c.Size, g.Hashes); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}
