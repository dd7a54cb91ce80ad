package proof_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	merkle "github.com/transparency-dev/merkle/proof"

	"guia/proof"
)

// store keeps what a Builder returns, as a ledger does.
type store struct {
	*proof.Builder
	tiles map[[2]int64][]proof.Hash // full ones, by level and index
	reads int
}

func newStore() *store {
	return &store{Builder: new(proof.Builder), tiles: make(map[[2]int64][]proof.Hash)}
}

func (s *store) add(h proof.Hash) {
	for _, t := range s.Append(h) {
		s.tiles[[2]int64{int64(t.Level), t.Index}] = t.Hashes
	}
}

func (s *store) ReadTile(level int, index int64, width int) ([]proof.Hash, error) {
	s.reads++
	if h, ok := s.tiles[[2]int64{int64(level), index}]; ok {
		return h, nil
	}
	if p := s.Partials(); level < len(p) && index == s.Size()>>(8*(level+1)) && len(p[level]) >= width {
		return p[level], nil
	}
	return nil, fmt.Errorf("no tile %d/%d of width %d", level, index, width)
}

func leaf(i int64) []byte { return fmt.Appendf(nil, "leaf %d", i) }

// oracle is the same tree in code that shares nothing with ours or x/mod.
func oracle(n int64) *testonly.Tree {
	t := testonly.New(rfc6962.DefaultHasher)
	for i := range n {
		t.AppendData(leaf(i))
	}
	return t
}

func grown(n int64) *store {
	s := newStore()
	for i := range n {
		s.add(proof.LeafHash(leaf(i)))
	}
	return s
}

func hashes(nodes [][]byte) []proof.Hash {
	var h []proof.Hash
	for _, n := range nodes {
		h = append(h, proof.Hash(n))
	}
	return h
}

func rows(hs []proof.Hash) [][]byte {
	var b [][]byte
	for _, h := range hs {
		b = append(b, h[:])
	}
	return b
}

// compareProofs demands that our proof is the oracle's, that both verifiers
// accept it, and that ours refuses it for another leaf, place or root.
func compareInclusion(t *testing.T, p *proof.Prover, o *testonly.Tree, root proof.Hash, size, index int64) {
	t.Helper()
	got, err := p.Inclusion(index)
	if err != nil {
		t.Fatalf("inclusion of %d in %d: %v", index, size, err)
	}
	want, err := o.InclusionProof(uint64(index), uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, hashes(want)) {
		t.Fatalf("inclusion of %d in %d:\n got %v\nwant %v", index, size, got, hashes(want))
	}
	h := proof.LeafHash(leaf(index))
	if err := proof.CheckInclusion(root, size, index, h, got); err != nil {
		t.Fatalf("inclusion of %d in %d: %v", index, size, err)
	}
	if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), h[:], rows(got), root[:]); err != nil {
		t.Fatalf("inclusion of %d in %d, oracle: %v", index, size, err)
	}
}

func compareConsistency(t *testing.T, p *proof.Prover, o *testonly.Tree, old, size int64) {
	t.Helper()
	got, err := p.Consistency(old)
	if err != nil {
		t.Fatalf("consistency of %d and %d: %v", old, size, err)
	}
	want, err := o.ConsistencyProof(uint64(old), uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, hashes(want)) {
		t.Fatalf("consistency of %d and %d:\n got %v\nwant %v", old, size, got, hashes(want))
	}
	oldRoot, root := o.HashAt(uint64(old)), o.HashAt(uint64(size))
	if err := proof.CheckConsistency(proof.Hash(oldRoot), old, proof.Hash(root), size, got); err != nil {
		t.Fatalf("consistency of %d and %d: %v", old, size, err)
	}
	if err := merkle.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(size), rows(got), oldRoot, root); err != nil {
		t.Fatalf("consistency of %d and %d, oracle: %v", old, size, err)
	}
}

func TestEveryTreeUpTo600IsTheOracles(t *testing.T) {
	const max = 600
	s, o := newStore(), oracle(max)
	step := int64(1)
	if testing.Short() {
		step = 37
	}
	for size := int64(0); size <= max; size++ {
		if size > 0 {
			s.add(proof.LeafHash(leaf(size - 1)))
		}
		want := proof.Hash(o.HashAt(uint64(size)))
		if got := s.Root(); got != want {
			t.Fatalf("builder's root at %d: got %v, want %v", size, got, want)
		}
		p, err := proof.NewProver(s, size)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Root(); got != want {
			t.Fatalf("prover's root at %d: got %v, %v, want %v", size, got, err, want)
		}
		for i := int64(0); i < size; i += step {
			compareInclusion(t, p, o, want, size, i)
			compareConsistency(t, p, o, i, size)
		}
		compareConsistency(t, p, o, size, size)
	}
}

func TestRandomTreesUpTo100000AreTheOracles(t *testing.T) {
	const max = 100_000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s, o := grown(max), oracle(max)
	for _, size := range []int64{max, 65536, 65537, 65535, 1 + r.Int64N(max), 1 + r.Int64N(max), 1 + r.Int64N(max)} {
		// The tree as it was at this size, out of the tiles as they are now.
		p, err := proof.NewProver(s, size)
		if err != nil {
			t.Fatal(err)
		}
		root, err := p.Root()
		if err != nil || root != proof.Hash(o.HashAt(uint64(size))) {
			t.Fatalf("root at %d: %v, %v", size, root, err)
		}
		for range 300 {
			compareInclusion(t, p, o, root, size, r.Int64N(size))
			compareConsistency(t, p, o, r.Int64N(size+1), size)
		}
		compareInclusion(t, p, o, root, size, 0)
		compareInclusion(t, p, o, root, size, size-1)
	}
}

func TestBuilderContinuesFromItsPartialTiles(t *testing.T) {
	for _, size := range []int64{0, 1, 255, 256, 257, 600, 65535, 65536, 66000} {
		s := grown(size)
		again, err := proof.NewBuilder(size, s.Partials())
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if again.Root() != s.Root() || again.Size() != size {
			t.Errorf("size %d: the root changed", size)
		}
		for i := size; i < size+600; i++ {
			h := proof.LeafHash(leaf(i))
			a, b := again.Append(h), s.Append(h)
			if !slices.EqualFunc(a, b, func(a, b proof.Tile) bool {
				return a.Level == b.Level && a.Index == b.Index && slices.Equal(a.Hashes, b.Hashes)
			}) {
				t.Fatalf("size %d, leaf %d: tiles differ", size, i)
			}
			if again.Root() != s.Root() {
				t.Fatalf("size %d, leaf %d: roots differ", size, i)
			}
		}
	}
}

func TestBuilderReturnsExactlyTheTilesOfTheSpecification(t *testing.T) {
	// The example of c2sp.org/tlog-tiles: a tree of 70,000.
	s := grown(70_000)
	full := map[int]int{}
	for key, h := range s.tiles {
		if len(h) != proof.TileWidth {
			t.Errorf("tile %v has %d hashes", key, len(h))
		}
		full[int(key[0])]++
	}
	if full[0] != 273 || full[1] != 1 || len(full) != 2 {
		t.Errorf("full tiles a level: %v, want 273 and 1", full)
	}
	var partial []int
	for _, p := range s.Partials() {
		partial = append(partial, len(p))
	}
	if !slices.Equal(partial, []int{112, 17, 1}) {
		t.Errorf("partial tiles: %v, want 112, 17 and 1", partial)
	}
	for level, want := range []int{112, 17, 1, 0} {
		if got := proof.PartialWidth(70_000, level); got != want {
			t.Errorf("partial width at level %d: got %d, want %d", level, got, want)
		}
	}
	if top := s.Partials()[2][0]; top != proof.Hash(oracle(65536).Hash()) {
		t.Error("the hash at level 2 is not the root over the first 65,536 leaves")
	}
}

func TestDroppedCloneLeavesTheBuilderAsItWas(t *testing.T) {
	s := grown(511)
	root, partials := s.Root(), s.Partials()
	kept := slices.Clone(partials[0])
	clone := s.Clone()
	last := proof.LeafHash(leaf(1_000_000))
	staged := clone.Append(last)
	if len(staged) != 1 {
		t.Fatalf("%d tiles, want one", len(staged))
	}
	for i := int64(1); i < 1000; i++ {
		clone.Append(proof.LeafHash(leaf(1_000_000 + i)))
	}
	if s.Root() != root || s.Size() != 511 || !slices.Equal(s.Partials()[0], kept) {
		t.Error("growing a clone changed the builder")
	}
	s.add(proof.LeafHash(leaf(511)))
	s.add(proof.LeafHash(leaf(512)))
	if s.Root() != proof.Hash(oracle(513).Hash()) {
		t.Error("the builder does not go on rightly after a clone was dropped")
	}
	if staged[0].Hashes[255] != last {
		t.Error("growing the builder changed a tile of the clone")
	}
	if !slices.Equal(partials[0], kept) {
		t.Error("the partial tiles handed out have changed")
	}
}

func TestBuilderRefusesPartialTilesOfAnotherSize(t *testing.T) {
	h := make([]proof.Hash, 300)
	for _, c := range []struct {
		size     int64
		partials [][]proof.Hash
	}{
		{-1, nil},
		{proof.MaxSize + 1, nil},
		{1, nil},
		{0, [][]proof.Hash{h[:1]}},
		{256, [][]proof.Hash{h[:256]}},
		{257, [][]proof.Hash{h[:1]}},
		{3, [][]proof.Hash{h[:2]}},
		{1, [][]proof.Hash{h[:1], h[:1]}},
		{0, [][]proof.Hash{7: h[:1]}},
	} {
		if _, err := proof.NewBuilder(c.size, c.partials); err == nil {
			t.Errorf("size %d with %d levels was accepted", c.size, len(c.partials))
		}
	}
	if _, err := proof.NewBuilder(0, make([][]proof.Hash, 20)); err != nil {
		t.Errorf("empty levels: %v", err)
	}
}

func TestAppendDoesNotAllocateBetweenTiles(t *testing.T) {
	b := grown(10).Builder
	h := proof.LeafHash(leaf(0))
	if n := testing.AllocsPerRun(100, func() { b.Append(h) }); n != 0 {
		t.Errorf("%v allocations a leaf", n)
	}
}

func TestProverReadsEachTileOnceAndSaysWhatIsMissing(t *testing.T) {
	s := grown(70_000)
	p, err := proof.NewProver(s, 70_000)
	if err != nil {
		t.Fatal(err)
	}
	s.reads = 0
	for range 2 {
		for i := int64(0); i < 70_000; i += 100 {
			if _, err := p.Inclusion(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.reads != 274+2+1 {
		t.Errorf("%d tiles read, there are 277", s.reads)
	}
	for _, i := range []int64{-1, 70_000} {
		if _, err := p.Inclusion(i); err == nil {
			t.Errorf("a proof for leaf %d", i)
		}
	}
	for _, old := range []int64{-1, 70_001} {
		if _, err := p.Consistency(old); err == nil {
			t.Errorf("a consistency proof from %d", old)
		}
	}
	if _, err := proof.Inclusion(s, 70_001, 3); err == nil {
		t.Error("a proof in a tree that is larger than what is stored")
	}
	s.tiles[[2]int64{0, 3}] = s.tiles[[2]int64{0, 3}][:255]
	if _, err := proof.Inclusion(s, 70_000, 3*256); err == nil {
		t.Error("a proof out of a tile that is too short")
	}
	if _, err := proof.Root(s, proof.MaxSize+1); err == nil {
		t.Error("a root beyond MaxSize")
	}
}

func TestChangedProofsAreRefused(t *testing.T) {
	const size = 300
	s := grown(size)
	root, h := s.Root(), proof.LeafHash(leaf(77))
	in, err := proof.Inclusion(s, size, 77)
	if err != nil {
		t.Fatal(err)
	}
	old, oldRoot := int64(131), proof.Hash(oracle(131).Hash())
	con, err := proof.Consistency(s, old, size)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, proof.ErrUnproven) {
			t.Errorf("%s: %v, want ErrUnproven", what, err)
		}
	}
	flip := func(h proof.Hash, bit int) proof.Hash { h[bit/8] ^= 1 << (bit % 8); return h }
	for bit := range 256 {
		refuse("root", proof.CheckInclusion(flip(root, bit), size, 77, h, in))
		refuse("leaf", proof.CheckInclusion(root, size, 77, flip(h, bit), in))
		refuse("old root", proof.CheckConsistency(flip(oldRoot, bit), old, root, size, con))
		refuse("new root", proof.CheckConsistency(oldRoot, old, flip(root, bit), size, con))
		for i := range in {
			c := slices.Clone(in)
			c[i] = flip(c[i], bit)
			refuse("inclusion hash", proof.CheckInclusion(root, size, 77, h, c))
		}
		for i := range con {
			c := slices.Clone(con)
			c[i] = flip(c[i], bit)
			refuse("consistency hash", proof.CheckConsistency(oldRoot, old, root, size, c))
		}
	}
	for i := range int64(size) {
		if i != 77 {
			refuse("index", proof.CheckInclusion(root, size, i, h, in))
		}
	}
	refuse("short", proof.CheckInclusion(root, size, 77, h, in[1:]))
	refuse("long", proof.CheckInclusion(root, size, 77, h, append(slices.Clone(in), root)))
	refuse("short", proof.CheckConsistency(oldRoot, old, root, size, con[1:]))
	refuse("long", proof.CheckConsistency(oldRoot, old, root, size, append(slices.Clone(con), root)))
	refuse("same size, other root", proof.CheckConsistency(oldRoot, size, root, size, nil))
	empty := new(proof.Builder).Root()
	refuse("empty tree, other root", proof.CheckConsistency(root, 0, root, size, nil))
	refuse("empty tree, some proof", proof.CheckConsistency(empty, 0, root, size, con))
	refuse("two empty trees, other root", proof.CheckConsistency(empty, 0, root, 0, nil))
	for _, c := range [][2]int64{{-1, 5}, {6, 5}, {5, 5}, {0, 0}, {0, 1 << 62}, {0, 1<<63 - 1}} {
		if proof.CheckInclusion(root, c[1], c[0], h, nil) == nil {
			t.Errorf("leaf %d in a tree of %d", c[0], c[1])
		}
	}
	for _, c := range [][2]int64{{-1, 5}, {6, 5}, {1, 1 << 62}, {1, 1<<63 - 1}} {
		if proof.CheckConsistency(root, c[0], root, c[1], nil) == nil {
			t.Errorf("tree of %d in a tree of %d", c[0], c[1])
		}
	}
}

func TestTileBytesRoundTripAndRefuseOtherLengths(t *testing.T) {
	s := grown(600)
	tile := proof.Tile{Level: 0, Index: 1, Hashes: s.tiles[[2]int64{0, 1}]}
	got, err := proof.ParseTile(0, 1, tile.Bytes())
	if err != nil || len(tile.Bytes()) != 8192 || !slices.Equal(got.Hashes, tile.Hashes) {
		t.Errorf("tile of %d bytes: %v", len(tile.Bytes()), err)
	}
	for _, n := range []int{0, 1, 31, 33, 8191, 8193, 8224} {
		if _, err := proof.ParseTile(0, 0, make([]byte, n)); err == nil {
			t.Errorf("%d bytes are a tile", n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	t := new(proof.Builder)
	h := proof.LeafHash(leaf(1))
	for b.Loop() {
		t.Append(h)
	}
}

func BenchmarkClone(b *testing.B) {
	t := grown(100_000).Builder
	for b.Loop() {
		t.Clone()
	}
}

func BenchmarkRoot(b *testing.B) {
	t := grown(100_000).Builder
	for b.Loop() {
		t.Root()
	}
}

func BenchmarkInclusion(b *testing.B) {
	const size = 100_000
	p, err := proof.NewProver(grown(size), size)
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range int64(size) { // fills the cache
		if _, err := p.Inclusion(i); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Inclusion(r.Int64N(size)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckInclusion(b *testing.B) {
	const size = 100_000
	s := grown(size)
	root, h := s.Root(), proof.LeafHash(leaf(4711))
	p, err := proof.Inclusion(s, size, 4711)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := proof.CheckInclusion(root, size, 4711, h, p); err != nil {
			b.Fatal(err)
		}
	}
}
