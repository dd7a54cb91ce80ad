package ledger

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"guia"
	"guia/canon"
	"guia/db"
	"guia/proof"
	"guia/seal"
)

// CheckOptions say how far to look.
type CheckOptions struct {
	// Quick checks the tree, the checkpoints and the streams, and leaves the encrypted rows and the blobs alone.
	Quick bool
	// Progress, when not nil, is told how many events were looked at.
	Progress func(done, of guia.Seq)
	// See, when not nil and not Quick, is shown every event that can be decrypted, in order, with the fields that were not forgotten.
	See func(e *guia.Event) error
}

// Finding is one thing that is not what it was.
type Finding struct {
	Seq    guia.Seq // the event, where HasSeq
	Last   guia.Seq // the last of the events in a row of which the same is true, where that is not one event alone
	HasSeq bool
	Field  string // slot or field, where known
	Key    string // sentence in lang
	Args   []any

	// The signed checkpoints that do not match the events because of it, and the size of the first.
	Unmatched      int
	FirstUnmatched int64

	// The events, where there are any, of which nobody can tell whether they are what they were: the first, and the one behind the last.
	Unsure, UnsureEnd guia.Seq

	leaf bool // a leaf is missing, or is not what it was
}

// until is the last event that the finding is about.
func (f *Finding) until() guia.Seq { return max(f.Seq, f.Last) }

// CheckReport is what was looked at and what was found. No findings: what is stored is what was stored.
type CheckReport struct {
	Entries, Tiles, Checkpoints, Rows, Blobs int64
	Forgotten                                int64 // slots whose keys were destroyed on purpose
	Findings                                 []Finding

	leaves    spans              // leaves that are missing, or are not what they were
	tiles     []otherTile        // tiles that do not agree with the leaves
	holes     []Finding          // counters of streams that do not go on; those of damaged leaves follow from them
	kinds     map[string]int     // how many findings of each key there are
	unmatched []proof.Checkpoint // signed checkpoints that do not match the leaves
	good      int64              // size of the last one before them that does
}

// mostFindings is how many findings of one key a report has: the directory is damaged, and more lines do not make it clearer. Those of
// another key are told all the same.
const mostFindings = 1000

// find adds a finding unless it follows from a damaged leaf. What holds for events in a row is one.
func (r *CheckReport) find(f Finding) {
	if f.HasSeq && !f.leaf && r.leaves.cover(f.Seq, f.until()) {
		return
	}
	if f.leaf {
		r.leaves.add(f.Seq, f.until())
	}
	if n := len(r.Findings); n > 0 && f.HasSeq {
		if last := &r.Findings[n-1]; last.HasSeq && last.Key == f.Key && last.Field == f.Field && last.until()+1 == f.Seq && last.Key != "check.stream_hole" {
			last.Last = f.until()
			return
		}
	}
	if r.kinds == nil {
		r.kinds = map[string]int{}
	}
	if r.kinds[f.Key]++; r.kinds[f.Key] <= mostFindings {
		r.Findings = append(r.Findings, f)
	}
}

// otherTile is a tile that does not agree with the leaves.
type otherTile struct {
	tileAt
	width  int  // of what the leaves give
	length bool // its length is none that it may have
}

// settle decides, when all leaves were walked, what is damaged where leaves, tiles and what was signed do not agree, as far as the signed
// roots prove it: no event is named that may be innocent, and where nobody can tell which one differs it says among which. What follows
// from a damaged leaf is not told again. head is nil when the head agrees with the leaves.
func (r *CheckReport) settle(o *originals, size guia.Seq, head *proof.Checkpoint) error {
	o.end = guia.Seq(r.good)
	signed := r.good
	var open []proof.Checkpoint // what was signed, behind the end, and cannot be led back to what is stored
	differs := head != nil && head.Size == r.good
	for _, c := range r.unmatched {
		if open, signed = append(open, c), c.Size; o.lead(c) {
			open = nil
		}
		differs = differs || head != nil && head.Size == c.Size && head.Root != c.Root
	}

	walked := r.leaves
	r.leaves = nil
	for _, s := range o.changed {
		for seq := s.first; seq <= s.last; seq++ {
			if !walked.cover(seq, seq) {
				r.find(Finding{Seq: seq, HasSeq: true, leaf: true, Key: "check.leaf_differs", Args: []any{uint64(seq)}})
			}
		}
	}
	r.leaves = union(walked, o.changed)
	for _, s := range o.vague {
		r.unsure(max(s.first, guia.Seq(r.good)), s.last+1, Finding{Key: "check.leaf_among"})
	}
	if n := len(open); n > 0 {
		r.unsure(o.end, guia.Seq(open[n-1].Size), Finding{Key: "check.checkpoint_differs", Args: []any{open[0].Size, uint64(o.end), n}})
	}
	if head != nil && head.Size > signed { // it alone speaks of the newest events, and nobody signed it
		r.unsure(max(o.end, guia.Seq(signed)), guia.Seq(head.Size), Finding{Key: "check.head_differs", Args: []any{head.Size, uint64(size)}})
	} else if differs {
		r.find(Finding{Key: "check.head_differs", Args: []any{head.Size, uint64(size)}})
	}
	for _, hole := range r.holes { // behind a changed leaf that is known the next of its stream does not go on either
		if len(r.leaves) == 0 || hole.Seq >= o.end || o.vague.touch(hole.Seq, hole.Seq+1) {
			r.find(hole)
		}
	}
	for _, t := range r.tiles {
		width := guia.Seq(1) << (proof.TileHeight * (t.level + 1))
		first := guia.Seq(t.index) * width
		if t.length && !r.leaves.touch(first, first+width) || !t.length && o.isDamaged(t.tileAt, t.width, r.leaves) {
			r.find(Finding{Key: "check.tile_differs", Args: []any{t.level, t.index}})
		}
	}
	r.holes, r.tiles = nil, nil
	return o.err
}

// unsure tells of which events nobody can tell whether they are what they were: with a damaged leaf among them, or else as f.
func (r *CheckReport) unsure(first, end guia.Seq, f Finding) {
	if first >= end || r.leaves.cover(first, end-1) {
		return
	}
	for i := range r.Findings {
		if one := &r.Findings[i]; one.leaf && one.Seq < end && one.until() >= first {
			if one.UnsureEnd == 0 {
				one.Unsure = first
			}
			one.Unsure, one.UnsureEnd = min(one.Unsure, first), max(one.UnsureEnd, end)
			return
		}
	}
	f.Unsure, f.UnsureEnd = first, end
	r.find(f)
}

// condense tells with the damaged leaf from which it follows that signed checkpoints do not match.
func (r *CheckReport) condense() {
	if len(r.unmatched) == 0 {
		return
	}
	first := r.unmatched[0].Size
	at := slices.IndexFunc(r.Findings, func(f Finding) bool {
		return f.leaf && int64(f.until()) >= r.good && int64(f.Seq) < first || int64(f.UnsureEnd) > r.good && int64(f.Unsure) < first
	})
	if at < 0 { // more of the kind than are told
		r.Findings = append(r.Findings, Finding{Key: "check.checkpoint_differs", Args: []any{first, r.good, len(r.unmatched)}})
		at = len(r.Findings) - 1
	}
	r.Findings[at].Unmatched, r.Findings[at].FirstUnmatched = len(r.unmatched), first
}

// spans are events in a row, ascending and apart from each other.
type spans []span

type span struct{ first, last guia.Seq }

// add appends a span that begins no earlier than the last.
func (s *spans) add(first, last guia.Seq) {
	if n := len(*s); n > 0 && first <= (*s)[n-1].last+1 {
		(*s)[n-1].last = max((*s)[n-1].last, last)
		return
	}
	*s = append(*s, span{first, last})
}

// upTo returns the last span that begins at seq or before it.
func (s spans) upTo(seq guia.Seq) (span, bool) {
	n, found := slices.BinarySearchFunc(s, seq, func(one span, seq guia.Seq) int { return cmp.Compare(one.first, seq) })
	if found {
		return s[n], true
	}
	if n == 0 {
		return span{}, false
	}
	return s[n-1], true
}

// cover reports whether all events from first to last are in the spans.
func (s spans) cover(first, last guia.Seq) bool {
	one, ok := s.upTo(first)
	return ok && one.last >= last
}

// touch reports whether an event from first to before end is in the spans.
func (s spans) touch(first, end guia.Seq) bool {
	if end == 0 {
		return false
	}
	one, ok := s.upTo(end - 1)
	return ok && one.last >= first
}

func union(a, b spans) (all spans) {
	both := slices.Concat(a, b)
	slices.SortFunc(both, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for _, one := range both {
		all.add(one.first, one.last)
	}
	return all
}

// Check recomputes the tree from every leaf and compares it with the stored tiles, the head and every signed checkpoint; counts
// every stream; compares the tables of state with their keyed hashes; and, unless Quick, decrypts every row and every file and
// recomputes every commitment.
// It reads what was committed when it began and does not disturb the writer.
func (l *Ledger) Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	var r CheckReport
	size := l.Size()
	if o.Progress == nil {
		o.Progress = func(done, of guia.Seq) {}
	}
	if o.See == nil {
		o.See = func(*guia.Event) error { return nil }
	}
	walk := treeWalk{counts: map[guia.StreamID]uint64{}, states: stateWatch{}, head: size}
	size, err := l.endOfLeaves(ctx, size, &r)
	if err == nil {
		walk.most, err = l.mostLeaves(ctx)
	}
	if err == nil {
		err = l.checkTree(ctx, size, &walk, &r, o.Progress)
	}
	if err == nil && !o.Quick {
		err = l.checkRows(ctx, min(size, walk.end), walk.states, &r, o)
	}
	if err == nil && l.keys != nil { // a copy without keys is only looked at
		err = l.checkStates(ctx, walk.states, &r)
	}
	r.condense()
	if err != nil {
		return r, fmt.Errorf("check: %w", db.Explain(err))
	}
	return r, nil
}

// endOfLeaves returns where the leaves end that follow each other from the end of the tree: there, unless the head speaks of too few
// events. That is one finding; the rest is compared with all leaves.
func (l *Ledger) endOfLeaves(ctx context.Context, size guia.Seq, r *CheckReport) (guia.Seq, error) {
	end := size
	err := l.leaves(ctx, size, math.MaxInt64, func(seq guia.Seq, _ []byte) error {
		if seq == end {
			end++
		}
		return nil
	})
	if err != nil && guia.KindOf(err) != guia.Damaged { // damage behind the end: see checkNothingBehind
		return size, err
	}
	now, err := l.StoredSize(ctx) // read after the leaves: it never lags behind them
	if err != nil || now >= end {
		return size, err
	}
	r.find(Finding{Key: "check.entries_short", Args: []any{uint64(end), uint64(now)}})
	return end, nil
}

// mostLeaves returns how far the leaves that are stored can reach, unless very many are missing: a head may speak of more than anybody
// could walk.
func (l *Ledger) mostLeaves(ctx context.Context) (most guia.Seq, err error) {
	const inARow = 256 // see db
	err = l.db.QueryRow(ctx, "SELECT COUNT(*) FROM ledger_leaf").Scan(&most)
	return most*inARow + page, err
}

// page is how many leaves are read at once.
const page = 65536

// treeWalk is what is counted while the leaves are walked.
type treeWalk struct {
	most   guia.Seq   // how many leaves there are at most
	end    guia.Seq   // behind the last leaf that was read
	head   guia.Seq   // what the head said when the walk began: less than the size where it is short
	root   proof.Hash // of the leaves up to there
	counts map[guia.StreamID]uint64
	states stateWatch
	clock  int64  // the latest capture time since the clock jumped back, milliseconds
	lost   uint64 // leaves that are missing or cannot be read, whose streams nobody knows: they explain as many missing positions
}

// explains reports whether lost leaves explain that a stream lacks n positions, and uses them up.
func (w *treeWalk) explains(n uint64) bool {
	if n > w.lost {
		return false
	}
	w.lost -= n
	return true
}

// checkTree walks all leaves once.
func (l *Ledger) checkTree(ctx context.Context, size guia.Seq, walk *treeWalk, r *CheckReport, progress func(done, of guia.Seq)) error {
	checkpoints, err := l.checkpoints(ctx, r)
	if err != nil {
		return err
	}
	builder := &proof.Builder{}
	signed := walk.most // nobody has signed what is behind this, and none of it is there
	for _, c := range checkpoints {
		if c.Size <= int64(size) {
			signed = max(signed, guia.Seq(c.Size))
		}
	}
	compare := func() { // the tree so far against checkpoints of this size
		if builder.Size() == int64(walk.head) {
			walk.root = builder.Root()
		}
		for len(checkpoints) > 0 && checkpoints[0].Size <= builder.Size() {
			switch c := checkpoints[0]; {
			case c.Size != builder.Size():
			case c.Root != builder.Root():
				r.unmatched = append(r.unmatched, c)
			case len(r.unmatched) == 0:
				r.good = c.Size
			}
			checkpoints = checkpoints[1:]
		}
	}
	compare()
	tiles := &tileWalk{ctx: ctx, l: l, r: r, size: walk.head}
	original := newOriginals(ctx, l)
	var full []proof.Tile
	add := func(leaf proof.Hash) {
		full = append(full, builder.Append(leaf)...)
		compare()
	}
	flush := func() {
		for _, tile := range full {
			original.keep(tile)
			tiles.compare(tile)
		}
		full = full[:0]
	}
	each := func(seq guia.Seq, text []byte) error {
		for want := guia.Seq(builder.Size()); want < seq; want++ {
			r.find(Finding{Seq: want, HasSeq: true, leaf: true, Key: "check.entry_missing"})
			walk.lost++
			add(proof.Hash{})
		}
		if seq < guia.Seq(builder.Size()) {
			r.find(Finding{Seq: seq, HasSeq: true, Key: "check.entry_twice", Args: []any{uint64(seq)}})
			return nil
		}
		r.Entries++
		walk.see(text, seq, r)
		add(proof.LeafHash(text))
		return nil
	}
	// Page by page, and tiles behind each page: a reader that stays keeps the database's log from beginning anew, and one that waits
	// for another reader may wait for ever.
	unread := false
	for first := guia.Seq(0); first < min(size, signed); first += page {
		progress(first, size)
		err := l.leaves(ctx, first, min(size, signed, first+page), each)
		if guia.KindOf(err) == guia.Damaged { // of the rest nothing is known
			f := findingOf(guia.Seq(builder.Size()), err)
			f.Last, f.leaf, unread = size-1, true, true
			r.find(*f)
			break
		}
		if err != nil {
			return err
		}
		flush()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	walk.end = guia.Seq(builder.Size())
	if walk.end < size {
		walk.lost += uint64(size - walk.end)
		if !unread {
			r.find(Finding{Seq: walk.end, Last: size - 1, HasSeq: true, leaf: true, Key: "check.entry_missing"})
		}
		for signed = min(size, signed); guia.Seq(builder.Size()) < signed; { // what was signed speaks of them
			add(proof.Hash{})
		}
	}
	flush()
	for level, hashes := range builder.Partials() {
		if tile := (proof.Tile{Level: level, Index: builder.Size() >> (proof.TileHeight * (level + 1)), Hashes: hashes}); level > 0 && len(hashes) > 0 {
			original.keep(tile)
			tiles.compare(tile)
		}
	}
	if tiles.err != nil {
		return tiles.err
	}
	now, err := l.StoredSize(ctx)
	if err != nil {
		return err
	}
	for _, c := range checkpoints {
		if c.Size > int64(max(now, size)) {
			r.find(Finding{Key: "check.checkpoint_beyond", Args: []any{c.Size, uint64(size)}})
		}
	}
	return l.checkHeads(ctx, size, builder.Root(), walk, original, r)
}

// see demands that the leaf parses and continues its stream.
func (w *treeWalk) see(text []byte, seq guia.Seq, r *CheckReport) {
	leaf, err := canon.ParseLeaf(text)
	if err != nil {
		r.find(Finding{Seq: seq, HasSeq: true, leaf: true, Key: "check.leaf_damaged", Args: []any{uint64(seq)}})
		w.lost++
		return
	}
	w.states.see(seq, &leaf)
	if leaf.Type == guia.ClockJumped && leaf.Source == guia.Own {
		w.clock = 0 // the guard against the next jump begins anew
	}
	w.clock = max(w.clock, leaf.Captured.UnixMilli())
	if w.counts[leaf.Stream]++; w.counts[leaf.Stream] != leaf.Count {
		if due := w.counts[leaf.Stream]; due < leaf.Count && w.explains(leaf.Count-due) {
			w.counts[leaf.Stream] = leaf.Count
			return
		}
		r.holes = append(r.holes, Finding{Seq: seq, HasSeq: true, Key: "check.stream_hole", Args: []any{uint64(seq), leaf.Stream.String(), leaf.Count, w.counts[leaf.Stream]}})
		w.counts[leaf.Stream] = leaf.Count
	}
}

// checkpoints opens every stored checkpoint with the log's own keys, in ascending size.
func (l *Ledger) checkpoints(ctx context.Context, r *CheckReport) ([]proof.Checkpoint, error) {
	trust, err := l.Trust(ctx)
	if err != nil {
		if guia.KindOf(err) == guia.Damaged {
			r.find(Finding{Key: "check.keys_differ"})
			return nil, nil
		}
		return nil, err
	}
	rows, err := l.db.Query(ctx, "SELECT size, note FROM ledger_checkpoint ORDER BY size")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []proof.Checkpoint
	for rows.Next() {
		var size int64
		var note []byte
		if err := rows.Scan(&size, &note); err != nil {
			return nil, err
		}
		r.Checkpoints++
		c, err := trust.Open(note)
		if err != nil || c.Size != size || c.Origin != l.origin {
			r.find(Finding{Key: "check.checkpoint_unsigned", Args: []any{size}})
			continue
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// StoredSize is the size in the head row: that of the last commit, also while memory has not followed it yet ([Ledger.Size]). Whoever
// compares tables with the ledger while others write reads the tables first and this after them: it never lags behind.
func (l *Ledger) StoredSize(ctx context.Context) (size guia.Seq, err error) {
	err = l.db.QueryRow(ctx, "SELECT size FROM ledger_head WHERE one = 1").Scan(&size)
	return size, err
}

// checkHeads compares the head row and the streams' counters with what was counted. Both may have moved on while the check ran:
// then only what cannot be (a smaller head, a smaller counter) is damage.
func (l *Ledger) checkHeads(ctx context.Context, size guia.Seq, root proof.Hash, walk *treeWalk, o *originals, r *CheckReport) error {
	counts := walk.counts
	var head uint64
	var headRoot []byte
	var clock int64
	if err := l.db.QueryRow(ctx, "SELECT size, root, clock FROM ledger_head WHERE one = 1").Scan(&head, &headRoot, &clock); err != nil {
		return err
	}
	same, short := guia.Seq(head) == walk.head, walk.head < size
	other := same && !bytes.Equal(headRoot, root[:]) && !bytes.Equal(headRoot, walk.root[:])
	var says *proof.Checkpoint
	if other {
		says = &proof.Checkpoint{Size: int64(head)}
		copy(says.Root[:], headRoot)
	}
	if err := r.settle(o, size, says); err != nil {
		return err
	}
	explained := other || short || len(r.unmatched) > 0 || len(r.leaves) > 0
	if guia.Seq(head) < walk.head || same && clock != walk.clock && !explained {
		r.find(Finding{Key: "check.head_differs", Args: []any{head, uint64(size)}})
	}
	if err := l.checkNothingBehind(ctx, size, walk.head, r); err != nil {
		return err
	}
	stored, err := l.streamCounts(ctx)
	if err != nil {
		return err
	}
	now, err := l.StoredSize(ctx)
	if err != nil {
		return err
	}
	quiet := now == walk.head // nothing was committed before the counters were read
	for name, count := range stored {
		switch {
		case count > counts[name] && walk.explains(count-counts[name]):
		case count < counts[name] || quiet && count != counts[name]:
			r.find(Finding{Key: "check.stream_count", Args: []any{name.String(), count, counts[name]}})
		}
		delete(counts, name)
	}
	for name, n := range counts {
		r.find(Finding{Key: "check.stream_unknown", Args: []any{name.String(), n}})
	}
	return nil
}

func (l *Ledger) streamCounts(ctx context.Context) (map[guia.StreamID]uint64, error) {
	rows, err := l.db.Query(ctx, "SELECT name, count FROM ledger_stream")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	stored := map[guia.StreamID]uint64{}
	for rows.Next() {
		var b []byte
		var count uint64
		if err := rows.Scan(&b, &count); err != nil {
			return nil, err
		}
		var name guia.StreamID
		copy(name[:], b)
		stored[name] = count
	}
	return stored, rows.Err()
}

// checkNothingBehind demands that no leaf, content or tile is stored beyond the end of the tree: it would be taken for the next one. was is
// what the head said when the walk began.
func (l *Ledger) checkNothingBehind(ctx context.Context, size, was guia.Seq, r *CheckReport) error {
	return l.db.Snapshot(ctx, func(tx *sql.Tx) error {
		var head, leaves int64
		if err := tx.QueryRowContext(ctx, "SELECT size FROM ledger_head WHERE one = 1").Scan(&head); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(first + count), 0) FROM ledger_leaf").Scan(&leaves); err != nil {
			return err
		}
		if leaves > max(head, int64(size)) {
			r.find(Finding{Key: "check.entries_short", Args: []any{leaves, head}})
		}
		var tiles int64
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ledger_tile").Scan(&tiles); err != nil {
			return err
		}
		if guia.Seq(head) == was && tiles != r.Tiles {
			r.find(Finding{Key: "check.tiles_count", Args: []any{tiles, r.Tiles}})
		}
		return nil
	})
}

// tileWalk compares computed tiles with the stored ones.
type tileWalk struct {
	ctx  context.Context
	l    *Ledger
	r    *CheckReport
	size guia.Seq
	err  error
}

func (w *tileWalk) compare(t proof.Tile) {
	var data []byte
	err := w.l.db.QueryRow(w.ctx, "SELECT hashes FROM ledger_tile WHERE level = ? AND idx = ?", t.Level, t.Index).Scan(&data)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		w.err = errors.Join(w.err, err)
		return
	}
	w.r.Tiles++
	want := t.Bytes()
	// A partial tile may have grown while the check runs; what is there must begin with what we computed.
	longer := len(data) > len(want)
	if longer { // right when events came in meanwhile
		now, err := w.l.StoredSize(w.ctx)
		w.err = errors.Join(w.err, err)
		longer = now == w.size
	}
	if length := longer || len(data)%len(proof.Hash{}) != 0; length || !bytes.HasPrefix(data, want) {
		w.r.tiles = append(w.r.tiles, otherTile{tileAt{t.Level, t.Index}, len(t.Hashes), length})
	}
}

// checkRows decrypts every row with its files and recomputes its commitments, on all processors.
func (l *Ledger) checkRows(ctx context.Context, size guia.Seq, states stateWatch, r *CheckReport, o CheckOptions) error {
	const page = 1024
	owners := map[guia.StreamID]seal.Owner{}
	erased := erasures{}
	for first := guia.Seq(0); first < size; first += page {
		end := min(size, first+page)
		entries, findings, err := l.pageForCheck(ctx, first, end)
		if err != nil {
			return err
		}
		for _, f := range findings {
			r.find(f)
		}
		looked, err := l.lookAt(ctx, entries)
		if err != nil {
			return err
		}
		for i := range looked {
			r.Rows++
			r.Forgotten += looked[i].forgotten
			r.Blobs += looked[i].blobs
			if looked[i].finding != nil {
				r.find(*looked[i].finding)
				continue
			}
			e := &looked[i].event
			if err := erased.see(e, looked[i].forgotten > 0); err != nil {
				return err
			}
			states.read(e)
			if stream, ok := streamOf(e); ok {
				owners[e.Stream] = l.vault.StreamOwner(e.Source, stream)
			}
			if err := o.See(e); err != nil {
				return err
			}
		}
		o.Progress(end, size)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for _, seq := range erased.unexplained() {
		r.find(Finding{Seq: seq, HasSeq: true, Key: "check.erased_by_nobody", Args: []any{uint64(seq)}})
	}
	stored, err := l.vault.End(ctx)
	if err != nil {
		return err
	}
	if now, err := l.StoredSize(ctx); err != nil {
		return err
	} else if stored > max(now, size) {
		r.find(Finding{Key: "check.entries_short", Args: []any{uint64(stored), uint64(now)}})
	}
	return l.checkOwners(ctx, owners, r)
}

// erasures compares what is erased with what the ledger says was erased: whoever can write the database but has no keys could
// otherwise replace content by its commitments, which stand in every bundle.
type erasures map[guia.Seq]bool // true: recorded, false: seen erased

func (x erasures) see(e *guia.Event, erased bool) error {
	if erased && !x[e.Seq] {
		x[e.Seq] = false
	}
	if e.Source != guia.Own || e.Type != guia.KeysDestroyed {
		return nil
	}
	seqs, err := canon.ParseSeqs(e.Fields.Get("seqs"))
	for _, seq := range seqs {
		x[seq] = true
	}
	return err
}

// unexplained are the events that are erased without a record of it.
func (x erasures) unexplained() (seqs []guia.Seq) {
	for seq, recorded := range x {
		if !recorded {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs
}

// looked is what looking at one event has shown.
type looked struct {
	event     guia.Event
	forgotten int64
	blobs     int64
	finding   *Finding
}

// lookAt decrypts the entries, their files too, on all processors.
func (l *Ledger) lookAt(ctx context.Context, entries []Entry) ([]looked, error) {
	all := make([]looked, len(entries))
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(entries) && errs[w] == nil; i += workers {
				err := l.look(ctx, &entries[i], &all[i])
				if guia.KindOf(err) == guia.Damaged {
					all[i].finding = findingOf(entries[i].Seq, err)
				} else if err != nil {
					errs[w] = err
				}
			}
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

func (l *Ledger) look(ctx context.Context, e *Entry, into *looked) error {
	fields, err := l.vault.Disclose(ctx, e.Seq, e.Leaf, e.Row)
	if err != nil {
		return err
	}
	into.event = guia.Event{Seq: e.Seq, Header: e.Leaf.Header}
	for _, f := range fields {
		if f.Forgotten {
			into.forgotten++
			into.event.Withheld = append(into.event.Withheld, f.Name)
		} else {
			into.event.Fields = append(into.event.Fields, guia.Field{Name: f.Name, Value: f.Value})
		}
	}
	into.blobs, err = l.vault.CheckFiles(ctx, e.Seq, e.Leaf.Header, e.Row, fields)
	return err
}

// streamOf is what the event's stream stands for, when that can still be read.
func streamOf(e *guia.Event) (string, bool) {
	if e.Source == guia.Own {
		return acts, true
	}
	stream := e.Fields.Get("conversation.key")
	return stream, stream != "" || !slices.Contains(e.Withheld, "conversation.key")
}

// checkOwners demands that every stream's row names what its events name.
func (l *Ledger) checkOwners(ctx context.Context, owners map[guia.StreamID]seal.Owner, r *CheckReport) error {
	rows, err := l.db.Query(ctx, "SELECT owner, name FROM ledger_stream")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var owner, b []byte
		if err := rows.Scan(&owner, &b); err != nil {
			return err
		}
		var name guia.StreamID
		copy(name[:], b)
		if want, ok := owners[name]; ok && !bytes.Equal(owner, want[:]) {
			r.find(Finding{Key: "check.stream_owner", Args: []any{name.String()}})
		}
	}
	return rows.Err()
}

// findingOf turns a refusal of kind damaged into a finding.
func findingOf(seq guia.Seq, err error) *Finding {
	f := &Finding{Seq: seq, HasSeq: true, Key: "check.row_damaged", Args: []any{uint64(seq)}}
	if refusal, ok := errors.AsType[*guia.Refusal](err); ok {
		f.Key, f.Args = refusal.Key, refusal.Args
		if len(f.Args) > 1 {
			f.Field, _ = f.Args[1].(string)
		}
	}
	return f
}

// pageForCheck reads events like page, but names what is missing instead of giving up.
func (l *Ledger) pageForCheck(ctx context.Context, first, end guia.Seq) ([]Entry, []Finding, error) {
	entries, err := l.page(ctx, first, end)
	if err == nil || guia.KindOf(err) != guia.Damaged {
		return entries, nil, err
	}
	var findings []Finding
	entries = entries[:0]
	for seq := first; seq < end; seq++ {
		one, err := l.page(ctx, seq, seq+1)
		switch {
		case err == nil:
			entries = append(entries, one...)
		case guia.KindOf(err) == guia.Damaged:
			findings = append(findings, *findingOf(seq, err))
		default:
			return nil, nil, err
		}
	}
	return entries, findings, nil
}
