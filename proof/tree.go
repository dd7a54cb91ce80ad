package proof

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// TileHeight is how many levels of the tree a tile spans; it is fixed by
	// c2sp.org/tlog-tiles.
	TileHeight = 8
	// TileWidth is how many hashes a full tile has.
	TileWidth = 1 << TileHeight

	// MaxSize is the largest tree that is accepted anywhere here. It is far
	// beyond any log, and keeps the arithmetic of tlog, which loops forever
	// above 2^62, away from its edges.
	MaxSize = 1 << 48

	levels = 7 // MaxSize has a tile of width 1 at level 6
)

// Hash is a SHA-256 hash in the tree.
type Hash = tlog.Hash

// LeafHash returns the hash of a leaf: SHA-256(0x00 || leaf), RFC 9162 §2.1.1.
func LeafHash(leaf []byte) Hash { return tlog.RecordHash(leaf) }

// A Tile is up to 256 neighbouring hashes of one level. At level 0 they are
// leaf hashes; at level n each is the root over one full tile of level n-1.
type Tile struct {
	Level  int
	Index  int64
	Hashes []Hash
}

// Bytes returns the tile as it is stored and published: the hashes, joined.
func (t Tile) Bytes() []byte {
	b := make([]byte, 0, len(t.Hashes)*tlog.HashSize)
	for _, h := range t.Hashes {
		b = append(b, h[:]...)
	}
	return b
}

// ParseTile is the inverse of [Tile.Bytes]. It copies.
func ParseTile(level int, index int64, data []byte) (Tile, error) {
	n := len(data) / tlog.HashSize
	if len(data)%tlog.HashSize != 0 || n < 1 || n > TileWidth {
		return Tile{}, fmt.Errorf("tile %d/%d: %d bytes are not 1 to %d hashes", level, index, len(data), TileWidth)
	}
	hashes := make([]Hash, n)
	for i := range hashes {
		hashes[i] = Hash(data[i*tlog.HashSize:])
	}
	return Tile{level, index, hashes}, nil
}

// PartialWidth returns how many hashes the last, partial tile of a level has
// in a tree of this size; 0 means that the level ends with a full tile or has
// none.
func PartialWidth(size int64, level int) int {
	return int(size >> (TileHeight * level) & (TileWidth - 1))
}

// tileWidth returns the width of one tile in a tree of this size.
func tileWidth(size int64, level int, index int64) int {
	row := size >> (TileHeight * level) // hashes at this level
	return int(max(0, min(row-index*TileWidth, TileWidth)))
}

// Builder grows a tree leaf by leaf. It holds only the right edge: at most 255
// hashes a level. The zero value is the empty tree.
type Builder struct {
	size int64
	// partials are the rightmost tiles, one a level, never full.
	partials [levels][]Hash
	// peaks[k] is the root over 2^k leaves of the k-th bit set in size: the
	// tree's perfect subtrees from right to left. They make every inner node
	// be hashed once, and the root cheap.
	peaks [TileHeight * levels]Hash
}

// NewBuilder continues a tree of size leaves, whose partial tile at level i is
// partials[i]. Missing levels at the end are empty. The hashes are copied, and
// not checked beyond their number: compare Root with a checkpoint.
func NewBuilder(size int64, partials [][]Hash) (*Builder, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("build tree: size %d is outside 0 to %d", size, int64(MaxSize))
	}
	b := &Builder{size: size}
	for level := range max(levels, len(partials)) {
		var have []Hash
		if level < len(partials) {
			have = partials[level]
		}
		want := 0
		if level < levels {
			want = PartialWidth(size, level)
		}
		if len(have) != want {
			return nil, fmt.Errorf("build tree: partial tile of level %d has %d hashes, a tree of size %d needs %d", level, len(have), size, want)
		}
		if want == 0 {
			continue
		}
		b.partials[level] = append(make([]Hash, 0, TileWidth), have...)
		for k := TileHeight - 1; k >= 0; k-- { // the peaks, widest and leftmost first
			if want>>k&1 == 1 {
				b.peaks[level*TileHeight+k] = perfectRoot(have[:1<<k])
				have = have[1<<k:]
			}
		}
	}
	return b, nil
}

// perfectRoot returns the root over 2^k neighbouring hashes.
func perfectRoot(hashes []Hash) Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(perfectRoot(hashes[:half]), perfectRoot(hashes[half:]))
}

// Append adds a leaf by its hash and returns the tiles that became full by it,
// lowest level first: none for most leaves, and then it does not allocate. The
// tiles belong to the caller. It panics beyond MaxSize leaves.
func (b *Builder) Append(leafHash Hash) (full []Tile) {
	if b.size >= MaxSize {
		panic("proof: the tree is full")
	}
	b.push(0, leafHash)
	h, k := leafHash, 0
	// Adding one to size carries over its trailing ones; each carry joins two
	// subtrees, and every eighth completes a tile.
	for ; b.size>>k&1 == 1; k++ {
		h = tlog.NodeHash(b.peaks[k], h)
		if (k+1)%TileHeight == 0 {
			level := k / TileHeight
			full = append(full, Tile{level, b.size >> (k + 1), b.partials[level]})
			b.partials[level] = nil
			b.push(level+1, h)
		}
	}
	b.peaks[k] = h
	b.size++
	return full
}

func (b *Builder) push(level int, h Hash) {
	if b.partials[level] == nil {
		b.partials[level] = make([]Hash, 0, TileWidth)
	}
	b.partials[level] = append(b.partials[level], h)
}

// Size returns the number of leaves.
func (b *Builder) Size() int64 { return b.size }

// Root returns the root hash; that of the empty tree is SHA-256 of nothing.
// It costs one hash per bit set in the size.
func (b *Builder) Root() Hash {
	if b.size == 0 {
		return emptyRoot
	}
	rest := b.size
	k := bits.TrailingZeros64(uint64(rest))
	root := b.peaks[k]
	for rest &= rest - 1; rest != 0; rest &= rest - 1 {
		root = tlog.NodeHash(b.peaks[bits.TrailingZeros64(uint64(rest))], root)
	}
	return root
}

// emptyRoot is the root of the tree without leaves, RFC 9162 §2.1.1.
var emptyRoot, _ = tlog.TreeHash(0, nil)

// Partials returns the partial tiles, one a level up to the highest that is
// not empty; those in between may be empty. They are views that must not be
// written to; they stay as they are while the builder goes on.
func (b *Builder) Partials() [][]Hash {
	var p [][]Hash
	for level := range levels {
		if b.size>>(TileHeight*level) == 0 {
			break
		}
		n := len(b.partials[level])
		p = append(p, b.partials[level][:n:n])
	}
	return p
}

// Clone returns a builder that goes on independently. A batch is staged on the
// clone, which then replaces the original, or is dropped.
func (b *Builder) Clone() *Builder {
	c := *b
	for level, p := range b.partials {
		if p != nil {
			c.partials[level] = append(make([]Hash, 0, TileWidth), p...)
		}
	}
	return &c
}
