package proof

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is what a log signs: its tree had this root at this size.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Hash
}

func (c Checkpoint) check() error {
	if err := checkOrigin(c.Origin); err != nil {
		return err
	}
	if c.Size < 0 || c.Size > MaxSize {
		return fmt.Errorf("size %d is outside 0 to %d", c.Size, int64(MaxSize))
	}
	if c.Size == 0 && c.Root != emptyRoot {
		return errors.New("the root of size 0 is not that of the empty tree")
	}
	return nil
}

// FormatCheckpoint returns the text that is signed: three lines with origin,
// size and root (c2sp.org/tlog-checkpoint, "Note text"). Extension lines are
// never written.
func FormatCheckpoint(c Checkpoint) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("format checkpoint: %w", err)
	}
	return fmt.Appendf(nil, "%s\n%d\n%s\n", c.Origin, c.Size, c.Root), nil
}

// ParseCheckpoint reads the text of a checkpoint, without signatures. It
// accepts what FormatCheckpoint writes and nothing else; extension lines,
// which the specification allows and advises against, are refused.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	if len(text) > MaxNote {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: longer than %d bytes", MaxNote)
	}
	l, ok := lines(string(text))
	if !ok || len(l) != 3 {
		return Checkpoint{}, errors.New("parse checkpoint: want exactly the three lines origin, size and root")
	}
	size, err := parseSize(l[1], MaxSize)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: size: %w", err)
	}
	root, err := parseHash(l[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: root: %w", err)
	}
	c := Checkpoint{Origin: l[0], Size: size, Root: root}
	if err := c.check(); err != nil {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: %w", err)
	}
	return c, nil
}

// SignCheckpoint returns the checkpoint as a signed note. The caller vouches
// that it is consistent with every checkpoint signed before: a log that signs
// two inconsistent ones has proven itself a liar.
func SignCheckpoint(c Checkpoint, signer *Signer) ([]byte, error) {
	text, err := FormatCheckpoint(c)
	if err != nil {
		return nil, err
	}
	if signer.Name() != c.Origin {
		return nil, fmt.Errorf("sign checkpoint: key of %.40q for a log named %.40q", signer.Name(), c.Origin)
	}
	return note.Sign(&note.Note{Text: string(text)}, signer)
}

// OpenCheckpoint verifies a signed checkpoint. At least one of the verifiers
// must have signed it, and their name must be its origin. Signatures of keys
// not given are ignored; a wrong signature of a given key is an error
// ([ErrSignature]), whatever the others say. A log whose key was rotated is
// opened with [Chain.Open].
func OpenCheckpoint(msg []byte, verifiers ...*Verifier) (Checkpoint, error) {
	n, err := openNote(msg, verifiers...)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	for _, sig := range n.Sigs {
		if sig.Name == c.Origin {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("open checkpoint of %.40q: signed by %.40q: %w", c.Origin, n.Sigs[0].Name, ErrSignature)
}

// peekCheckpoint reads a signed checkpoint without believing it.
func peekCheckpoint(msg []byte) (Checkpoint, *note.Note, error) {
	n, err := parseNote(msg, nil)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	return c, n, err
}
