package proof

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Rotation is the statement by which a log's key hands over to the next one:
// Old signs the checkpoints of sizes up to and including From, New those
// after. It is signed with Old.
type Rotation struct {
	Origin string
	Old    string // vkey
	New    string // vkey
	From   int64
}

const rotationHeader = "guia.rotation/v1"

func (r Rotation) check() (old *Verifier, err error) {
	if old, err = NewVerifier(r.Old); err != nil {
		return nil, fmt.Errorf("old: %w", err)
	}
	next, err := NewVerifier(r.New)
	if err != nil {
		return nil, fmt.Errorf("new: %w", err)
	}
	if old.Name() != r.Origin || next.Name() != r.Origin {
		return nil, fmt.Errorf("origin %.40q is not the name of both keys", r.Origin)
	}
	if r.Old == r.New {
		return nil, errors.New("the new key is the old one")
	}
	if old.KeyHash() == next.KeyHash() {
		// Signatures name their key by it. One in four thousand million.
		return nil, errors.New("the new key has the old one's identifier, make another")
	}
	if r.From < 0 || r.From > MaxSize {
		return nil, fmt.Errorf("from %d is outside 0 to %d", r.From, int64(MaxSize))
	}
	return old, nil
}

// SignRotation returns the statement as a note signed with the old key:
//
//	guia.rotation/v1
//	origin <origin>
//	old <vkey>
//	new <vkey>
//	from <tree size>
//
// The caller gives as From the size of the newest checkpoint that the old key
// signed, puts the note into the ledger as a leaf, destroys the old secret
// when a checkpoint over that leaf is signed with the new one, and gives the
// new vkey to everyone who holds the old.
func SignRotation(r Rotation, old *Signer) ([]byte, error) {
	if _, err := r.check(); err != nil {
		return nil, fmt.Errorf("sign rotation: %w", err)
	}
	if old.Verifier().VKey() != r.Old {
		return nil, errors.New("sign rotation: the signer is not the old key")
	}
	return note.Sign(&note.Note{Text: formatRotation(r)}, old)
}

func formatRotation(r Rotation) string {
	return fmt.Sprintf("%s\norigin %s\nold %s\nnew %s\nfrom %d\n", rotationHeader, r.Origin, r.Old, r.New, r.From)
}

// OpenRotation verifies a rotation with the old key, which the caller must
// already trust: the statement itself is no reason to.
func OpenRotation(msg []byte, old *Verifier) (Rotation, error) {
	n, err := openNote(msg, old)
	if err != nil {
		return Rotation{}, fmt.Errorf("open rotation: %w", err)
	}
	r, err := parseRotation(n.Text)
	if err != nil {
		return Rotation{}, fmt.Errorf("open rotation: %w", err)
	}
	if r.Old != old.VKey() {
		return Rotation{}, fmt.Errorf("open rotation: it is about another old key: %w", ErrSignature)
	}
	return r, nil
}

func parseRotation(text string) (Rotation, error) {
	l, ok := lines(text)
	if !ok || len(l) != 5 || l[0] != rotationHeader {
		return Rotation{}, fmt.Errorf("want %q and the lines origin, old, new and from", rotationHeader)
	}
	var values [4]string
	for i, name := range []string{"origin", "old", "new", "from"} {
		if values[i], ok = strings.CutPrefix(l[i+1], name+" "); !ok {
			return Rotation{}, fmt.Errorf("line %d: want %q", i+2, name)
		}
	}
	from, err := parseSize(values[3], MaxSize)
	if err != nil {
		return Rotation{}, fmt.Errorf("from: %w", err)
	}
	r := Rotation{Origin: values[0], Old: values[1], New: values[2], From: from}
	_, err = r.check()
	return r, err
}

// Period is a key and the checkpoints it is good for: sizes greater than After
// and up to and including Until.
type Period struct {
	Key   *Verifier
	After int64 // -1 for the first key: it signs also the empty tree
	Until int64 // MaxSize for the newest key
}

// Chain is a log's keys in the order they were in force, without gaps. It
// says which one key may sign a checkpoint of a given size.
//
// What a chain proves, and what not when a key is stolen. It lets someone who
// trusts the first key follow to the newest: no key can be slipped in by
// anyone who had none of the secrets. It does not heal a theft:
//
//   - A thief of a key that is in force can sign anything of its log,
//     including a rotation to his own key. Someone who is given only his
//     chain cannot tell. Rotating afterwards does not help that person: the
//     theft has made two valid chains. Whoever sees both statements has the
//     proof of it, and [TrustChain] refuses a list that contains both.
//   - A thief of a retired key can do the same backwards: sign another
//     rotation, or another tree of a size up to Until, and say that it is old.
//     He cannot sign a size after Until for anyone who knows the rotation, or
//     was told Until (evidence/verify, TrustKeys).
//
// Hence: destroy the retired secret; and after a theft give the new vkey to
// verifiers through another channel than the rotation, to be the first key of
// their chain. They need no old key any more, because an old checkpoint is
// good if it is consistent with one signed by the new key
// ([CheckConsistency]), whoever signed it. What fixes a checkpoint before the
// theft is what was outside the thief's reach: a time-stamp of before, a
// witness's signature, the copy in somebody else's drawer.
type Chain []Period

// TrustChain follows the rotations, in order, from the first key, which is the
// one thing the caller must trust. Each must be signed by the key before it,
// start later than the one before, and bring a key that was not in the chain.
// With no rotations the first key is good for every size.
func TrustChain(first string, rotations [][]byte) (Chain, error) {
	v, err := NewVerifier(first)
	if err != nil {
		return nil, fmt.Errorf("trust chain: %w", err)
	}
	chain := Chain{{Key: v, After: -1, Until: MaxSize}}
	for i, msg := range rotations {
		now := &chain[len(chain)-1]
		r, err := OpenRotation(msg, now.Key)
		if err != nil {
			return nil, fmt.Errorf("trust chain: rotation %d: %w", i+1, err)
		}
		if r.From <= now.After {
			return nil, fmt.Errorf("trust chain: rotation %d: from %d, but the old key came into force after %d", i+1, r.From, now.After)
		}
		next, err := NewVerifier(r.New)
		if err != nil {
			return nil, fmt.Errorf("trust chain: rotation %d: %w", i+1, err)
		}
		for _, p := range chain {
			if p.Key.VKey() == r.New || p.Key.KeyHash() == next.KeyHash() {
				return nil, fmt.Errorf("trust chain: rotation %d: a retired key comes back", i+1)
			}
		}
		now.Until = r.From
		chain = append(chain, Period{Key: next, After: r.From, Until: MaxSize})
	}
	return chain, nil
}

// KeyAt returns the key in force for checkpoints of this size.
func (c Chain) KeyAt(size int64) *Verifier {
	for _, p := range c {
		if p.After < size && size <= p.Until {
			return p.Key
		}
	}
	return nil // an empty chain, or a size that cannot be
}

// What [Chain.Open] says more precisely than [ErrSignature], where it can.
var (
	// ErrUnknownKey: only keys signed in the log's name that the chain does
	// not hold. Whoever knows the name can make such a note, and so can a copy
	// of the log that went on with a key of its own.
	ErrUnknownKey = fmt.Errorf("signed by a key of the log's name that is not in its chain: %w", ErrSignature)
	// ErrNotInForce: a key of the chain signed, truly, a size that is not
	// its own. Only who holds its secret can make such a note, and this log
	// never does.
	ErrNotInForce = fmt.Errorf("signed by a key of the chain that is for other sizes: %w", ErrSignature)
)

// Open verifies a signed checkpoint with the key in force at its size. Other
// signatures are ignored, also those of the chain's other keys.
func (c Chain) Open(msg []byte) (Checkpoint, error) {
	claimed, n, err := peekCheckpoint(msg)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	key := c.KeyAt(claimed.Size)
	if key == nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: no key for size %d: %w", claimed.Size, ErrSignature)
	}
	got, err := OpenCheckpoint(msg, key)
	if !errors.Is(err, ErrSignature) {
		return got, err
	}
	unknown := false
	for _, sig := range n.UnverifiedSigs {
		i := slices.IndexFunc(c, func(p Period) bool { return p.Key.Name() == sig.Name && p.Key.KeyHash() == sig.Hash })
		switch {
		case i < 0:
			unknown = unknown || sig.Name == key.Name() && sig.Name == claimed.Origin
		case c[i].Key == key: // broken: nothing else is to be said of the note
			return Checkpoint{}, err
		default:
			if _, other := OpenCheckpoint(msg, c[i].Key); other != nil {
				return Checkpoint{}, err
			}
			return Checkpoint{}, fmt.Errorf("open checkpoint of size %d: key %08x is for sizes %d to %d: %w", claimed.Size, sig.Hash, c[i].After+1, c[i].Until, ErrNotInForce)
		}
	}
	if unknown {
		err = fmt.Errorf("open checkpoint of size %d: %w", claimed.Size, ErrUnknownKey)
	}
	return Checkpoint{}, err
}
