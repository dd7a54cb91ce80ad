package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"guia"
	"guia/blob"
	"guia/canon"
	"guia/proof"
)

// CheckOptions say how far to look.
type CheckOptions struct {
	// Quick checks the tree, the checkpoints and the streams, and leaves the encrypted rows and the blobs alone.
	Quick bool
	// Progress, when not nil, is told how many events were looked at.
	Progress func(done, of guia.Seq)
}

// Finding is one thing that is not what it was.
type Finding struct {
	Seq    guia.Seq // the event, where HasSeq
	HasSeq bool
	Field  string // slot or field, where known
	Key    string // sentence in lang
	Args   []any
}

// CheckReport is what was looked at and what was found. No findings: what is stored is what was stored.
type CheckReport struct {
	Entries, Tiles, Checkpoints, Rows, Blobs int64
	Forgotten                                int64 // slots whose keys were destroyed on purpose
	Findings                                 []Finding
}

// mostFindings is where a report stops: the directory is damaged, and more lines do not make it clearer.
const mostFindings = 1000

func (r *CheckReport) find(f Finding) {
	if len(r.Findings) < mostFindings {
		r.Findings = append(r.Findings, f)
	}
}

// Check recomputes the tree from every leaf and compares it with the stored tiles, the head and every signed checkpoint; counts
// every stream; and, unless Quick, decrypts every row, recomputes every commitment, and compares the rows' blobs with their digests.
// It reads what was committed when it began and does not disturb the writer.
func (l *Ledger) Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	var r CheckReport
	size := l.Size()
	if o.Progress == nil {
		o.Progress = func(done, of guia.Seq) {}
	}
	if err := l.checkTree(ctx, size, &r, o.Progress); err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	if !o.Quick {
		if err := l.checkRows(ctx, size, &r, o.Progress); err != nil {
			return r, fmt.Errorf("check: %w", err)
		}
	}
	return r, nil
}

// checkTree walks all leaves once.
func (l *Ledger) checkTree(ctx context.Context, size guia.Seq, r *CheckReport, progress func(done, of guia.Seq)) error {
	checkpoints, err := l.checkpoints(ctx, r)
	if err != nil {
		return err
	}
	builder := &proof.Builder{}
	counts := map[guia.StreamID]uint64{}
	compare := func() { // the tree so far against checkpoints of this size
		for len(checkpoints) > 0 && checkpoints[0].Size <= builder.Size() {
			if c := checkpoints[0]; c.Size == builder.Size() && c.Root != builder.Root() {
				r.find(Finding{Key: "check.checkpoint_differs", Args: []any{c.Size}})
			}
			checkpoints = checkpoints[1:]
		}
	}
	compare()
	tiles := newTileWalk(ctx, l, r)
	err = l.leaves(ctx, 0, size, func(seq guia.Seq, text []byte) error {
		for want := guia.Seq(builder.Size()); want < seq; want++ {
			r.find(Finding{Seq: want, HasSeq: true, Key: "check.entry_missing"})
			builder.Append(proof.Hash{})
		}
		if seq < guia.Seq(builder.Size()) {
			r.find(Finding{Seq: seq, HasSeq: true, Key: "check.entry_twice", Args: []any{uint64(seq)}})
			return nil
		}
		r.Entries++
		checkStream(text, seq, counts, r)
		for _, tile := range builder.Append(proof.LeafHash(text)) {
			tiles.compare(tile)
		}
		compare()
		if seq%65536 == 0 {
			progress(seq, size)
			return ctx.Err()
		}
		return nil
	})
	if guia.KindOf(err) == guia.Damaged {
		r.find(*findingOf(guia.Seq(builder.Size()), err))
	} else if err != nil {
		return err
	}
	for level, hashes := range builder.Partials() {
		if level > 0 && len(hashes) > 0 {
			tiles.compare(proof.Tile{Level: level, Index: builder.Size() >> (proof.TileHeight * (level + 1)), Hashes: hashes})
		}
	}
	if tiles.err != nil {
		return tiles.err
	}
	if guia.Seq(builder.Size()) != size {
		r.find(Finding{Key: "check.entries_short", Args: []any{builder.Size(), uint64(size)}})
	}
	for _, c := range checkpoints {
		if c.Size > int64(l.Size()) {
			r.find(Finding{Key: "check.checkpoint_beyond", Args: []any{c.Size, uint64(size)}})
		}
	}
	return l.checkHeads(ctx, size, builder.Root(), counts, r)
}

// checkStream demands that the leaf parses and continues its stream.
func checkStream(text []byte, seq guia.Seq, counts map[guia.StreamID]uint64, r *CheckReport) {
	leaf, err := canon.ParseLeaf(text)
	if err != nil {
		r.find(Finding{Seq: seq, HasSeq: true, Key: "check.leaf_damaged", Args: []any{uint64(seq)}})
		return
	}
	if counts[leaf.Stream]++; counts[leaf.Stream] != leaf.Count {
		r.find(Finding{Seq: seq, HasSeq: true, Key: "check.stream_hole", Args: []any{uint64(seq), leaf.Stream.String(), leaf.Count, counts[leaf.Stream]}})
		counts[leaf.Stream] = leaf.Count
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

// checkHeads compares the head row and the streams' counters with what was counted. Both may have moved on while the check ran:
// then only what cannot be (a smaller head, a smaller counter) is damage.
func (l *Ledger) checkHeads(ctx context.Context, size guia.Seq, root proof.Hash, counts map[guia.StreamID]uint64, r *CheckReport) error {
	var head uint64
	var headRoot []byte
	if err := l.db.QueryRow(ctx, "SELECT size, root FROM ledger_head WHERE one = 1").Scan(&head, &headRoot); err != nil {
		return err
	}
	if guia.Seq(head) < size || guia.Seq(head) == size && !bytes.Equal(headRoot, root[:]) {
		r.find(Finding{Key: "check.head_differs", Args: []any{head, uint64(size)}})
	}
	quiet := guia.Seq(head) == size
	rows, err := l.db.Query(ctx, "SELECT name, count FROM ledger_stream")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		var count uint64
		if err := rows.Scan(&b, &count); err != nil {
			return err
		}
		var name guia.StreamID
		copy(name[:], b)
		if count < counts[name] || quiet && count != counts[name] {
			r.find(Finding{Key: "check.stream_count", Args: []any{name.String(), count, counts[name]}})
		}
		delete(counts, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for name, n := range counts {
		r.find(Finding{Key: "check.stream_unknown", Args: []any{name.String(), n}})
	}
	return nil
}

// tileWalk compares computed tiles with the stored ones.
type tileWalk struct {
	ctx context.Context
	l   *Ledger
	r   *CheckReport
	err error
}

func newTileWalk(ctx context.Context, l *Ledger, r *CheckReport) *tileWalk {
	return &tileWalk{ctx: ctx, l: l, r: r}
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
	if !bytes.HasPrefix(data, want) || len(data)%32 != 0 {
		w.r.find(Finding{Key: "check.tile_differs", Args: []any{t.Level, t.Index}})
	}
}

// checkRows decrypts every row, recomputes its commitments and looks at its blobs, on all processors.
func (l *Ledger) checkRows(ctx context.Context, size guia.Seq, r *CheckReport, progress func(done, of guia.Seq)) error {
	const page = 1024
	blobs := map[blob.Digest]guia.Seq{}
	for first := guia.Seq(0); first < size; first += page {
		end := min(size, first+page)
		entries, findings, err := l.pageForCheck(ctx, first, end)
		if err != nil {
			return err
		}
		for _, f := range findings {
			r.find(f)
		}
		found := make([]*Finding, len(entries))
		forgotten := make([]int64, len(entries))
		workers := runtime.GOMAXPROCS(0)
		errs := make([]error, workers)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(entries); i += workers {
					e := entries[i]
					fields, err := l.vault.Disclose(ctx, e.Seq, e.Leaf, e.Row)
					for _, f := range fields {
						if f.Forgotten {
							forgotten[i]++
						}
					}
					if guia.KindOf(err) == guia.Damaged {
						found[i] = findingOf(e.Seq, err)
					} else if err != nil {
						errs[w] = err
						return
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for i, e := range entries {
			r.Rows++
			r.Forgotten += forgotten[i]
			if found[i] != nil {
				r.find(*found[i])
				continue
			}
			digests, err := l.vault.Blobs(e.Row)
			if err != nil {
				r.find(*findingOf(e.Seq, err))
			}
			for _, d := range digests {
				blobs[d] = e.Seq
			}
		}
		progress(end, size)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for digest, seq := range blobs {
		r.Blobs++
		if err := l.vault.CheckBlob(ctx, digest); err != nil {
			r.find(Finding{Seq: seq, HasSeq: true, Key: "check.blob_damaged", Args: []any{uint64(seq), digest.String()}})
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// findingOf turns a refusal of kind damaged into a finding.
func findingOf(seq guia.Seq, err error) *Finding {
	f := &Finding{Seq: seq, HasSeq: true, Key: "check.row_damaged", Args: []any{uint64(seq)}}
	if refusal, ok := errors.AsType[*guia.Refusal](err); ok {
		f.Key, f.Args = refusal.Key, refusal.Args
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
