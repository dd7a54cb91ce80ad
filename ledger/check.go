package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
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

	leaf bool // a leaf is missing, or is not what it was
}

// until is the last event that the finding is about.
func (f *Finding) until() guia.Seq { return max(f.Seq, f.Last) }

// CheckReport is what was looked at and what was found. No findings: what is stored is what was stored.
type CheckReport struct {
	Entries, Tiles, Checkpoints, Rows, Blobs int64
	Forgotten                                int64 // slots whose keys were destroyed on purpose
	Findings                                 []Finding

	unmatched []int64 // sizes of the signed checkpoints that do not match the leaves
	good      int64   // size of the last one before them that does
	unlike    bool    // the root of the leaves is not that of the head
}

// mostFindings is where a report stops: the directory is damaged, and more lines do not make it clearer.
const mostFindings = 1000

// find adds a finding. What holds for events in a row is one.
func (r *CheckReport) find(f Finding) {
	if n := len(r.Findings); n > 0 && f.HasSeq {
		if last := &r.Findings[n-1]; last.HasSeq && last.Key == f.Key && last.Field == f.Field && last.until()+1 == f.Seq && last.Key != "check.stream_hole" {
			last.Last = f.until()
			return
		}
	}
	if len(r.Findings) < mostFindings {
		r.Findings = append(r.Findings, f)
	}
}

// broken reports whether a leaf from first to before end was found wanting.
func (r *CheckReport) broken(first, end guia.Seq) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.leaf && f.Seq < end && f.until() >= first })
}

// condense lets one damage be one finding: what follows from a leaf that is not what it was is said with it or not at all.
func (r *CheckReport) condense() {
	r.foldShort()
	if !r.unlike { // every leaf is as it was, and where a tile does not agree it is the tile
		r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.Key == "check.leaf_differs" })
	}
	r.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool {
		if f.Key == "check.tile_differs" {
			width := int64(1) << (proof.TileHeight * (f.Args[0].(int) + 1))
			first := f.Args[1].(int64) * width
			return r.broken(guia.Seq(first), guia.Seq(first+width))
		}
		return f.HasSeq && slices.ContainsFunc(r.Findings, func(leaf Finding) bool {
			return leaf.leaf && (!f.leaf || f.Key == "check.leaf_differs" && leaf.Key != f.Key) && leaf.Seq <= f.Seq && f.until() <= leaf.until()
		})
	})
	if len(r.unmatched) == 0 {
		return
	}
	first := r.unmatched[0]
	at := slices.IndexFunc(r.Findings, func(f Finding) bool {
		return f.leaf && int64(f.until()) >= r.good && int64(f.Seq) < first
	})
	if at < 0 {
		r.Findings = append(r.Findings, Finding{Seq: guia.Seq(r.good), HasSeq: true, Key: "check.checkpoint_differs", Args: []any{first, r.good, len(r.unmatched)}})
		at = len(r.Findings) - 1
	}
	r.Findings[at].Unmatched, r.Findings[at].FirstUnmatched = len(r.unmatched), first
}

// foldShort lets a head that speaks of too few events be one finding, not also one of each counter, checkpoint and root beside it.
func (r *CheckReport) foldShort() {
	short := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Key == "check.entries_short" })
	if short < 0 {
		return
	}
	first := r.Findings[short]
	follows := map[string]bool{"check.entries_short": true, "check.head_differs": true, "check.checkpoint_beyond": true, "check.stream_count": true, "check.tiles_count": true}
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return follows[f.Key] })
	r.Findings = slices.Insert(r.Findings, min(short, len(r.Findings)), first)
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
	walk := treeWalk{counts: map[guia.StreamID]uint64{}, states: stateWatch{}}
	err := l.checkTree(ctx, size, &walk, &r, o.Progress)
	if err == nil && !o.Quick {
		err = l.checkRows(ctx, size, walk.states, &r, o)
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

// treeWalk is what is counted while the leaves are walked.
type treeWalk struct {
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
	compare := func() { // the tree so far against checkpoints of this size
		for len(checkpoints) > 0 && checkpoints[0].Size <= builder.Size() {
			if c := checkpoints[0]; c.Size == builder.Size() && c.Root == builder.Root() {
				if len(r.unmatched) == 0 {
					r.good = c.Size
				}
			} else if c.Size == builder.Size() {
				r.unmatched = append(r.unmatched, c.Size)
			}
			checkpoints = checkpoints[1:]
		}
	}
	compare()
	tiles := &tileWalk{ctx: ctx, l: l, r: r, size: size}
	var full []proof.Tile
	each := func(seq guia.Seq, text []byte) error {
		for want := guia.Seq(builder.Size()); want < seq; want++ {
			r.find(Finding{Seq: want, HasSeq: true, leaf: true, Key: "check.entry_missing"})
			walk.lost++
			full = append(full, builder.Append(proof.Hash{})...)
		}
		if seq < guia.Seq(builder.Size()) {
			r.find(Finding{Seq: seq, HasSeq: true, Key: "check.entry_twice", Args: []any{uint64(seq)}})
			return nil
		}
		r.Entries++
		walk.see(text, seq, r)
		full = append(full, builder.Append(proof.LeafHash(text))...)
		compare()
		return nil
	}
	// Page by page, and tiles behind each page: a reader that stays keeps the database's log from beginning anew, and one that waits
	// for another reader may wait for ever.
	const page = 65536
	unread := false
	for first := guia.Seq(0); first < size; first += page {
		progress(first, size)
		err := l.leaves(ctx, first, min(size, first+page), each)
		if guia.KindOf(err) == guia.Damaged { // of the rest nothing is known
			f := findingOf(guia.Seq(builder.Size()), err)
			f.Last, f.leaf, unread = size-1, true, true
			r.find(*f)
			break
		}
		if err != nil {
			return err
		}
		for _, tile := range full {
			tiles.compare(tile)
		}
		full = full[:0]
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for level, hashes := range builder.Partials() {
		if level > 0 && len(hashes) > 0 {
			tiles.compare(proof.Tile{Level: level, Index: builder.Size() >> (proof.TileHeight * (level + 1)), Hashes: hashes})
		}
	}
	if tiles.err != nil {
		return tiles.err
	}
	switch end := guia.Seq(builder.Size()); {
	case end < size:
		walk.lost += uint64(size - end)
		if !unread {
			r.find(Finding{Seq: end, Last: size - 1, HasSeq: true, leaf: true, Key: "check.entry_missing"})
		}
	case end > size:
		r.find(Finding{Key: "check.entries_short", Args: []any{uint64(end), uint64(size)}})
	}
	now, err := l.StoredSize(ctx)
	if err != nil {
		return err
	}
	for _, c := range checkpoints {
		if c.Size > int64(now) {
			r.find(Finding{Key: "check.checkpoint_beyond", Args: []any{c.Size, uint64(size)}})
		}
	}
	return l.checkHeads(ctx, size, builder.Root(), walk, r)
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
		r.find(Finding{Seq: seq, HasSeq: true, Key: "check.stream_hole", Args: []any{uint64(seq), leaf.Stream.String(), leaf.Count, w.counts[leaf.Stream]}})
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
func (l *Ledger) checkHeads(ctx context.Context, size guia.Seq, root proof.Hash, walk *treeWalk, r *CheckReport) error {
	counts := walk.counts
	var head uint64
	var headRoot []byte
	var clock int64
	if err := l.db.QueryRow(ctx, "SELECT size, root, clock FROM ledger_head WHERE one = 1").Scan(&head, &headRoot, &clock); err != nil {
		return err
	}
	same := guia.Seq(head) == size
	other := same && !bytes.Equal(headRoot, root[:])
	r.unlike = other || len(r.unmatched) > 0
	explained := len(r.unmatched) > 0 || r.broken(0, size)
	if guia.Seq(head) < size || (other || same && clock != walk.clock) && !explained {
		r.find(Finding{Key: "check.head_differs", Args: []any{head, uint64(size)}})
	}
	if err := l.checkNothingBehind(ctx, size, r); err != nil {
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
	quiet := now == size // nothing was committed before the counters were read
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

// checkNothingBehind demands that no leaf, content or tile is stored beyond the end of the tree: it would be taken for the next one.
func (l *Ledger) checkNothingBehind(ctx context.Context, size guia.Seq, r *CheckReport) error {
	return l.db.Snapshot(ctx, func(tx *sql.Tx) error {
		var head, leaves int64
		if err := tx.QueryRowContext(ctx, "SELECT size FROM ledger_head WHERE one = 1").Scan(&head); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(first + count), 0) FROM ledger_leaf").Scan(&leaves); err != nil {
			return err
		}
		if leaves > head {
			r.find(Finding{Key: "check.entries_short", Args: []any{leaves, head}})
		}
		var tiles int64
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ledger_tile").Scan(&tiles); err != nil {
			return err
		}
		if guia.Seq(head) == size && tiles != r.Tiles {
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
	if !bytes.HasPrefix(data, want) || len(data)%len(proof.Hash{}) != 0 || longer {
		w.r.find(Finding{Key: "check.tile_differs", Args: []any{t.Level, t.Index}})
		w.nameLeaves(t, data)
	}
}

// nameLeaves says which leaves a differing tile of level 0 does not agree with.
func (w *tileWalk) nameLeaves(t proof.Tile, data []byte) {
	stored, err := proof.ParseTile(t.Level, t.Index, data)
	if err != nil || t.Level > 0 {
		return
	}
	for i, hash := range t.Hashes {
		if seq := t.Index*proof.TileWidth + int64(i); i < len(stored.Hashes) && stored.Hashes[i] != hash {
			w.r.find(Finding{Seq: guia.Seq(seq), HasSeq: true, leaf: true, Key: "check.leaf_differs", Args: []any{seq}})
		}
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
	} else if stored > now {
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
		e, err := l.Entry(ctx, seq)
		switch {
		case err == nil:
			entries = append(entries, e)
		case guia.KindOf(err) == guia.Damaged || guia.KindOf(err) == guia.NotFound:
			findings = append(findings, *findingOf(seq, err))
		default:
			return nil, nil, err
		}
	}
	return entries, findings, nil
}
