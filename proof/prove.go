package proof

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// TileReader reads stored tiles. It is implemented by whoever keeps them.
type TileReader interface {
	// ReadTile returns the first width hashes of a tile, or more of them.
	// width is 256, or less for the last tile of a level in the tree that is
	// asked about. The result is only read, and only until the next call.
	ReadTile(level int, index int64, width int) ([]Hash, error)
}

// Inclusion proves that the leaf at index is in the tree of the first size
// leaves. For many proofs use a [Prover].
func Inclusion(r TileReader, size, index int64) ([]Hash, error) {
	p, err := NewProver(r, size)
	if err != nil {
		return nil, err
	}
	return p.Inclusion(index)
}

// Consistency proves that the tree of the first oldSize leaves is the
// beginning of that of the first newSize leaves. The proof is empty when
// oldSize is 0 or newSize.
func Consistency(r TileReader, oldSize, newSize int64) ([]Hash, error) {
	p, err := NewProver(r, newSize)
	if err != nil {
		return nil, err
	}
	return p.Consistency(oldSize)
}

// Root returns the root hash of the tree of the first size leaves.
func Root(r TileReader, size int64) (Hash, error) {
	p, err := NewProver(r, size)
	if err != nil {
		return Hash{}, err
	}
	return p.Root()
}

// maxCachedTiles bounds a Prover's memory to 16 MiB. A log of 260,000 leaves
// fits; in a longer one, ask in ascending order.
const maxCachedTiles = 1024

// Prover makes many proofs about one tree and remembers tiles in between.
// It believes its reader: proofs made from damaged tiles do not check, so
// compare Root with a signed checkpoint where that matters.
type Prover struct {
	r     TileReader
	size  int64
	tiles map[tileKey]*subtree
	last  tileKey // the tile used last, and
	sub   *subtree
	buf   []Hash // result of ReadHashes, until the next
	// right[k] is the root over what stands right of the perfect subtree of
	// 2^k leaves, or nil while it was not asked for.
	right [TileHeight * levels]*Hash
}

type tileKey struct {
	level int
	index int64
}

// NewProver returns a prover for the tree of the first size leaves.
func NewProver(r TileReader, size int64) (*Prover, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("prove: tree size %d is outside 0 to %d", size, int64(MaxSize))
	}
	return &Prover{r: r, size: size, tiles: make(map[tileKey]*subtree)}, nil
}

// Size returns the size of the tree the prover is about.
func (p *Prover) Size() int64 { return p.size }

// Root returns the root hash of the tree.
func (p *Prover) Root() (Hash, error) { return tlog.TreeHash(p.size, (*hashReader)(p)) }

// Inclusion proves that the leaf at index is in the tree. The result belongs
// to the caller.
//
// It gives what tlog.ProveRecord gives, several times as fast, because it hashes the
// ragged right edge once a tree and not once a proof.
func (p *Prover) Inclusion(index int64) ([]Hash, error) {
	if index < 0 || index >= p.size {
		return nil, fmt.Errorf("prove inclusion: there is no leaf %d in a tree of size %d", index, p.size)
	}
	// The tree is a row of perfect subtrees, one for each bit set in size, the
	// widest on the left, each joined with the root over all right of it.
	// Find the one with the leaf: 2^k leaves from start on.
	k, start := bits.Len64(uint64(p.size))-1, int64(0)
	for p.size>>k&1 == 0 || index >= start+1<<k {
		start += p.size & (1 << k)
		k--
	}
	proof := make([]Hash, 0, bits.Len64(uint64(p.size)))
	// From the leaf up to the top of its subtree,
	for j := range k {
		h, err := p.node(j, index>>j^1)
		if err != nil {
			return nil, err
		}
		proof = append(proof, h)
	}
	// then all that is right of it,
	if start+1<<k < p.size {
		h, err := p.rightOf(k)
		if err != nil {
			return nil, err
		}
		proof = append(proof, h)
	}
	// then the subtrees left of it, the nearest first.
	for j := k + 1; start > 0; j++ {
		if p.size>>j&1 == 1 {
			start -= 1 << j
			h, err := p.node(j, start>>j)
			if err != nil {
				return nil, err
			}
			proof = append(proof, h)
		}
	}
	return proof, nil
}

// rightOf returns the root over the leaves right of the perfect subtree of 2^k
// leaves; there are some.
func (p *Prover) rightOf(k int) (Hash, error) {
	if p.right[k] != nil {
		return *p.right[k], nil
	}
	rest := p.size & (1<<k - 1)
	j := bits.Len64(uint64(rest)) - 1
	root, err := p.node(j, (p.size-rest)>>j)
	if err != nil {
		return Hash{}, err
	}
	if rest != 1<<j {
		beyond, err := p.rightOf(j)
		if err != nil {
			return Hash{}, err
		}
		root = tlog.NodeHash(root, beyond)
	}
	p.right[k] = &root
	return root, nil
}

// Consistency proves that the tree of the first oldSize leaves is the
// beginning of the tree.
func (p *Prover) Consistency(oldSize int64) ([]Hash, error) {
	if oldSize < 0 || oldSize > p.size {
		return nil, fmt.Errorf("prove consistency: a tree of size %d has no beginning of size %d", p.size, oldSize)
	}
	if oldSize == 0 {
		return nil, nil
	}
	return tlog.ProveTree(p.size, oldSize, (*hashReader)(p))
}

// hashReader gives tlog single nodes of the tree, out of tiles.
type hashReader Prover

func (r *hashReader) ReadHashes(indexes []int64) ([]Hash, error) {
	r.buf = r.buf[:0]
	for _, stored := range indexes {
		height, n := tlog.SplitStoredHashIndex(stored)
		h, err := (*Prover)(r).node(height, n)
		if err != nil {
			return nil, err
		}
		r.buf = append(r.buf, h)
	}
	return r.buf, nil
}

// node returns the root over the 2^height leaves from n*2^height on.
func (p *Prover) node(height int, n int64) (Hash, error) {
	k := height % TileHeight
	first := n << k // among the hashes of the tile's level
	s, err := p.tile(tileKey{height / TileHeight, first / TileWidth})
	if err != nil {
		return Hash{}, err
	}
	return s.rows[k][int(first%TileWidth)>>k], nil
}

func (p *Prover) tile(key tileKey) (*subtree, error) {
	if p.sub != nil && p.last == key {
		return p.sub, nil
	}
	s := p.tiles[key]
	if s == nil {
		width := tileWidth(p.size, key.level, key.index)
		hashes, err := p.r.ReadTile(key.level, key.index, width)
		if err != nil {
			return nil, fmt.Errorf("read tile %d/%d: %w", key.level, key.index, err)
		}
		if len(hashes) < width {
			return nil, fmt.Errorf("read tile %d/%d: %d hashes, want %d", key.level, key.index, len(hashes), width)
		}
		if len(p.tiles) >= maxCachedTiles {
			clear(p.tiles)
		}
		s = newSubtree(hashes[:width])
		p.tiles[key] = s
	}
	p.last, p.sub = key, s
	return s, nil
}

// subtree is a tile with its inner nodes: row k holds the roots over 2^k
// hashes, as far as they are perfect.
type subtree struct {
	rows [TileHeight][]Hash
}

func newSubtree(hashes []Hash) *subtree {
	s := new(subtree)
	all := make([]Hash, 0, 2*len(hashes))
	all = append(all, hashes...)
	row := all
	for k := range s.rows {
		s.rows[k] = row
		start := len(all)
		for i := 0; i+1 < len(row); i += 2 {
			all = append(all, tlog.NodeHash(row[i], row[i+1]))
		}
		row = all[start:]
	}
	return s
}

// ErrUnproven is the error of a proof that does not prove the claim: one of
// root, size, index, leaf and proof is not what it was. Which one cannot be
// told.
var ErrUnproven = errors.New("the proof does not lead to the root")

// CheckInclusion returns nil if the proof shows that the leaf with this hash
// is at index in the tree of this size and root, RFC 9162 §2.1.3.2. Otherwise
// the error is ErrUnproven, or names an impossible size or index.
func CheckInclusion(root Hash, size, index int64, leaf Hash, proof []Hash) error {
	if size < 0 || size > MaxSize || index < 0 || index >= size {
		return fmt.Errorf("check inclusion: there is no leaf %d in a tree of size %d", index, size)
	}
	if tlog.CheckRecord(proof, size, root, index, leaf) != nil {
		return fmt.Errorf("check inclusion of leaf %d in the tree of size %d: %w", index, size, ErrUnproven)
	}
	return nil
}

// CheckConsistency returns nil if the proof shows that the old tree is the
// beginning of the new one, RFC 9162 §2.1.4.2. An empty old tree is the
// beginning of every tree, by an empty proof.
func CheckConsistency(oldRoot Hash, oldSize int64, newRoot Hash, newSize int64, proof []Hash) error {
	if oldSize < 0 || newSize > MaxSize || oldSize > newSize {
		return fmt.Errorf("check consistency: a tree of size %d has no beginning of size %d", newSize, oldSize)
	}
	var ok bool
	switch oldSize {
	case 0:
		ok = oldRoot == emptyRoot && len(proof) == 0 && (newSize > 0 || newRoot == emptyRoot)
	default:
		ok = tlog.CheckTree(proof, newSize, newRoot, oldSize, oldRoot) == nil
	}
	if !ok {
		return fmt.Errorf("check consistency of the trees of size %d and %d: %w", oldSize, newSize, ErrUnproven)
	}
	return nil
}
