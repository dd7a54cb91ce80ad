package ledger

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"guia"
	"guia/proof"
)

// originals finds out what the leaves were, where leaves, tiles and signed checkpoints do not agree. Nothing that is stored is believed:
// a hash is known when it leads to a root that was signed, and then so is every hash that leads to it. What is offered as a hash
// over 256 others is what the leaves give, what its tile says, and what the tile below it gives; whoever forges cannot make a wrong one lead to
// a signed root. The head is not signed and proves nothing. Leaves and tiles are read again only here, when something does not agree.
type originals struct {
	ctx    context.Context
	l      *Ledger
	leaves map[tileAt][]proof.Hash // the tiles above level 0 that the leaves give
	err    error

	known   map[node]proof.Hash // where it is not what the leaves give
	changed spans               // leaves that are not what they were
	vague   spans               // of each of these, a leaf is not what it was, and nobody can tell which
	end     guia.Seq            // of the leaves before this one no other is changed

	ways          int                     // how many more combinations are tried
	given, stored map[tileAt][]proof.Hash // read again: from the leaves, and tiles
}

func newOriginals(ctx context.Context, l *Ledger) *originals {
	return &originals{
		ctx: ctx, l: l, leaves: map[tileAt][]proof.Hash{}, known: map[node]proof.Hash{}, ways: mostTries,
		given: map[tileAt][]proof.Hash{}, stored: map[tileAt][]proof.Hash{},
	}
}

// keep notes a tile that the leaves give.
func (o *originals) keep(t proof.Tile) {
	if t.Level > 0 {
		o.leaves[tileAt{t.Level, t.Index}] = t.Hashes
	}
}

// node is a hash of the tree: that of a leaf at level 0, above it that over 256 of the level below.
type node struct {
	level int
	index int64
}

// tileAt is a tile: it has the hashes of the nodes from 256 * index.
type tileAt node

func (n node) tile() tileAt { return tileAt{n.level, n.index / proof.TileWidth} }

// span is the leaves under it.
func (n node) span() span {
	width := guia.Seq(1) << (proof.TileHeight * n.level)
	return span{guia.Seq(n.index) * width, guia.Seq(n.index+1)*width - 1}
}

// nodes are the first of a tile.
func (t tileAt) nodes(width int) (all []node) {
	for i := range width {
		all = append(all, node{t.level, t.index*proof.TileWidth + int64(i)})
	}
	return all
}

const (
	mostWays  = 256     // combinations that are tried for one root, beside those of one source alone
	mostTries = 1 << 14 // of all
	mostTiles = 256     // that are kept at hand
)

// lead leads what was signed back to what is stored, and reports whether it could. It is called in ascending size.
func (o *originals) lead(c proof.Checkpoint) bool {
	if o.err = errors.Join(o.err, o.ctx.Err()); o.err != nil || c.Size > proof.MaxSize {
		return false
	}
	nodes := edgeOf(c.Size)
	hashes, ok := o.solve(nodes, func(hashes []proof.Hash) proof.Hash { return rootOf(c.Size, hashes) }, c.Root)
	if ok {
		o.end = guia.Seq(c.Size)
		o.accept(nodes, hashes)
	}
	return ok
}

// edgeOf lists the nodes from which the root of a tree of that size is made, from left to right.
func edgeOf(size int64) (nodes []node) {
	for level := 6; level >= 0; level-- { // no tree has more
		nodes = append(nodes, tileAt{level, size >> (proof.TileHeight * (level + 1))}.nodes(proof.PartialWidth(size, level))...)
	}
	return nodes
}

// rootOf is the root over the hashes of [edgeOf].
func rootOf(size int64, hashes []proof.Hash) proof.Hash {
	partials := make([][]proof.Hash, 7)
	for level := len(partials) - 1; level >= 0; level-- {
		width := proof.PartialWidth(size, level)
		partials[level], hashes = hashes[:width], hashes[width:]
	}
	b, err := proof.NewBuilder(size, partials)
	if err != nil { // a size that no tree has
		return proof.Hash{}
	}
	return b.Root()
}

// over is the hash over all hashes of a tile.
func over(hashes []proof.Hash) proof.Hash {
	var b proof.Builder
	for _, h := range hashes {
		b.Append(h)
	}
	return b.Root()
}

// accept notes hashes that are known, and goes down where the leaves give others.
func (o *originals) accept(nodes []node, hashes []proof.Hash) {
	var changed, vague spans
	for i, n := range nodes {
		if o.err != nil || hashes[i] == o.best(n) {
			continue
		}
		o.known[n] = hashes[i]
		s := n.span()
		if n.level == 0 {
			changed.add(s.first, s.last)
			continue
		}
		below := tileAt{n.level - 1, n.index}.nodes(proof.TileWidth)
		if found, ok := o.solve(below, over, hashes[i]); ok {
			o.accept(below, found)
		} else {
			vague.add(s.first, s.last)
		}
	}
	o.changed, o.vague = union(o.changed, changed), union(o.vague, vague)
}

// solve looks for the hashes of the nodes that lead to the root.
func (o *originals) solve(nodes []node, root func([]proof.Hash) proof.Hash, want proof.Hash) ([]proof.Hash, bool) {
	offers := make([][]proof.Hash, len(nodes))
	chosen := make([]proof.Hash, len(nodes))
	ways, most := 1, 1
	for i, n := range nodes {
		offers[i] = o.offers(n)
		ways, most = min(ways*len(offers[i]), mostWays+1), max(most, len(offers[i]))
	}
	for source := range most {
		for i := range offers {
			chosen[i] = offers[i][min(source, len(offers[i])-1)]
		}
		if root(chosen) == want {
			return chosen, o.err == nil
		}
	}
	if ways > mostWays || most == 1 {
		return nil, false
	}
	for way := 0; way < ways && o.ways > 0 && o.err == nil; way++ {
		rest := way
		for i := range offers {
			chosen[i] = offers[i][rest%len(offers[i])]
			rest /= len(offers[i])
		}
		if o.ways--; root(chosen) == want {
			return chosen, true
		}
	}
	return nil, false
}

// offers are the hashes that a node may have had: at least one, and each once.
func (o *originals) offers(n node) []proof.Hash {
	offers := []proof.Hash{o.best(n)}
	offer := func(h proof.Hash) {
		if !slices.Contains(offers, h) {
			offers = append(offers, h)
		}
	}
	if hashes, at := o.tile(n.tile()), int(n.index%proof.TileWidth); at < len(hashes) {
		offer(hashes[at])
	}
	if n.level > 0 {
		if below := o.tile(tileAt{n.level - 1, n.index}); len(below) == proof.TileWidth {
			offer(over(below))
		}
	}
	return offers
}

// best is the hash of a node as far as it is known: where nothing is, what the leaves give.
func (o *originals) best(n node) proof.Hash {
	if h, ok := o.known[n]; ok {
		return h
	}
	s := n.span()
	if n.level == 0 || !o.changed.touch(s.first, s.last+1) && !o.vague.touch(s.first, s.last+1) {
		return o.give(n)
	}
	hashes := make([]proof.Hash, proof.TileWidth)
	for i, below := range (tileAt{n.level - 1, n.index}).nodes(proof.TileWidth) {
		hashes[i] = o.best(below)
	}
	return over(hashes)
}

// give is the hash of a node that the leaves give; of a leaf that is missing it is none.
func (o *originals) give(n node) (h proof.Hash) {
	hashes := o.leaves[n.tile()]
	if n.level == 0 {
		hashes = o.hashed(n.tile())
	}
	if at := int(n.index % proof.TileWidth); at < len(hashes) {
		h = hashes[at]
	}
	return h
}

// hashed reads the leaves of a tile.
func (o *originals) hashed(t tileAt) []proof.Hash {
	if hashes, ok := o.given[t]; ok {
		return hashes
	}
	hashes := make([]proof.Hash, proof.TileWidth)
	first := guia.Seq(t.index * proof.TileWidth)
	err := o.l.leaves(o.ctx, first, first+proof.TileWidth, func(seq guia.Seq, leaf []byte) error {
		if hashes[seq-first] == (proof.Hash{}) { // the first is the one that counts, as in the walk
			hashes[seq-first] = proof.LeafHash(leaf)
		}
		return nil
	})
	if guia.KindOf(err) != guia.Damaged { // what cannot be read is missing
		o.err = errors.Join(o.err, err)
	}
	return remember(o.given, t, hashes)
}

// tile reads a stored tile; one that is missing or damaged has no hashes.
func (o *originals) tile(t tileAt) []proof.Hash {
	if hashes, ok := o.stored[t]; ok {
		return hashes
	}
	var data []byte
	err := o.l.db.QueryRow(o.ctx, "SELECT hashes FROM ledger_tile WHERE level = ? AND idx = ?", t.level, t.index).Scan(&data)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		o.err = errors.Join(o.err, err)
	}
	tile, _ := proof.ParseTile(t.level, t.index, data) // none
	return remember(o.stored, t, tile.Hashes)
}

func remember(at map[tileAt][]proof.Hash, t tileAt, hashes []proof.Hash) []proof.Hash {
	if len(at) >= mostTiles {
		clear(at)
	}
	at[t] = hashes
	return hashes
}

// isDamaged reports whether a tile that does not agree with the leaves is itself not what it was, beside what follows from leaves that
// are known to be damaged.
func (o *originals) isDamaged(t tileAt, width int, leaves spans) bool {
	stored := o.tile(t)
	for i, n := range t.nodes(width) {
		s := n.span()
		if i < len(stored) && stored[i] == o.best(n) {
			continue
		}
		if s.last < o.end && !o.vague.touch(s.first, s.last+1) {
			return true
		}
		if leaves.touch(s.first, s.last+1) {
			continue
		}
		if below := o.tile(tileAt{t.level - 1, n.index}); t.level > 0 && len(below) == proof.TileWidth && i < len(stored) && over(below) == stored[i] {
			continue // it goes with the tile below, which is told
		}
		return true
	}
	return false
}
