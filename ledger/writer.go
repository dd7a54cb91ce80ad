package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"guia"
	"guia/db"
	"guia/proof"
	"guia/vault"
)

const (
	mostJobs     = 4096
	mostBytes    = 16 << 20
	signInterval = time.Second
	// jumpTolerance is how far the clock may run backwards unnoticed: time servers step by less.
	jumpTolerance = 2 * time.Second
)

// write is the writer: it lives until Close.
func (l *Ledger) write() {
	defer close(l.done)
	idle := time.NewTimer(signInterval)
	defer idle.Stop()
	for {
		var first *job
		select {
		case first = <-l.queue:
		case <-idle.C: // quiet for a moment: let no event wait for its checkpoint
			if l.signedSize < l.builder.Size() {
				l.commit([]*job{{ctx: context.Background(), run: func(*Tx) error { return nil }, sign: true, done: make(chan error, 1)}})
			}
			if l.signedSize < l.builder.Size() { // a full disk, perhaps: try again
				idle.Reset(signInterval)
			}
			continue
		case <-l.closed:
			select {
			case first = <-l.queue:
			default:
				return
			}
		}
		l.commit(l.drain(first))
		idle.Reset(signInterval)
	}
}

// drain takes what waits behind first, up to the limits of a batch.
func (l *Ledger) drain(first *job) []*job {
	jobs, bytes := []*job{first}, first.weigh
	for len(jobs) < mostJobs && bytes < mostBytes {
		select {
		case j := <-l.queue:
			jobs = append(jobs, j)
			bytes += j.weigh
		default:
			return jobs
		}
	}
	return jobs
}

// commit runs the jobs in one transaction and answers them. The order, with what is true after a crash behind each step:
//
//  1. each job runs: its tables are written, its events collected — nothing is stored
//  2. leaves, rows, tiles, streams, head and, when due, a signed checkpoint are written — nothing is stored
//  3. the database commits and syncs — all of it is stored
//  4. memory follows, followers are woken, the jobs are answered — those who asked know
//
// A failure in 1 undoes that job alone; in 2 the whole batch, and memory goes back; in 3 the writer stops, because only a
// restart can tell what is stored.
func (l *Ledger) commit(jobs []*job) {
	l.mu.Lock()
	broken := l.broken
	l.mu.Unlock()
	if broken != nil {
		for _, j := range jobs {
			j.done <- broken
		}
		return
	}
	answers := make([]error, len(jobs))
	b := &l.batch
	b.first = guia.Seq(l.builder.Size())
	defer b.empty()
	before := l.state()
	var grown *proof.Builder
	ran := false // what fails from then on is the commit
	err := l.db.Write(context.Background(), func(dtx *db.Tx) error {
		if err := l.noticeClock(dtx, b); err != nil {
			return err
		}
		sign := false
		for i, j := range jobs { // 1
			if answers[i] = l.runJob(dtx, b, j, len(jobs) == 1); answers[i] == nil {
				sign = sign || j.sign
			} else if len(jobs) == 1 {
				return answers[i] // the transaction was its own
			}
		}
		var err error
		grown, err = l.store(dtx, b, sign) // 2
		ran = err == nil
		return err
	}) // 3
	if err != nil {
		b.undo(0)
		l.forgetNewStreams()
		l.restore(before)
		if ran && errors.Is(err, db.ErrUnclear) {
			err = guia.RefuseCause(guia.Blocked, err, "ledger.stopped")
			l.mu.Lock()
			l.broken = err
			l.mu.Unlock()
		}
		for i, j := range jobs {
			if answers[i] == nil || len(jobs) == 1 { // alone it hears too that its transaction could not be undone
				answers[i] = err
			}
			j.done <- answers[i]
		}
		return
	}
	l.builder = grown // 4
	for _, s := range b.streams {
		s.stored = true
	}
	l.mu.Lock()
	l.size = guia.Seq(grown.Size())
	if len(b.leaves) > 0 {
		close(l.grown)
		l.grown = make(chan struct{})
	}
	l.mu.Unlock()
	for i, j := range jobs {
		j.done <- answers[i]
	}
}

// state is what a transaction changes in the writer's memory besides batch and tree.
type state struct {
	clock, signedSize int64
	signedAt          time.Time
	signer            *proof.Signer
}

func (l *Ledger) state() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return state{l.clock, l.signedSize, l.signedAt, l.signer}
}

// restore goes back to what was true before a transaction, or one job of it, that is not stored.
func (l *Ledger) restore(s state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock, l.signedSize, l.signedAt, l.signer = s.clock, s.signedSize, s.signedAt, s.signer
}

// runJob runs one job; when it fails, nothing of it stays in the batch, the tables or the memory. A job that is alone leaves its tables to
// the caller, who undoes the transaction: what SQLite remembers to undo one job of several is every page that the job touches, which for
// a batch of an import is a hundred times what it writes.
func (l *Ledger) runJob(dtx *db.Tx, b *batch, j *job, alone bool) error {
	mark, before := len(b.leaves), l.state()
	tx := &Tx{Tx: dtx, l: l, batch: b}
	run := func() error { return j.run(tx) }
	var err error
	if j.nest && !alone {
		err = dtx.Nest(run)
	} else {
		err = run()
	}
	if err != nil {
		b.undo(mark)
		l.restore(before)
	}
	return err
}

// undo takes back the events behind mark.
func (b *batch) undo(mark int) {
	for i := len(b.streams) - 1; i >= mark; i-- {
		b.streams[i].count--
	}
	b.leaves, b.rows, b.streams = b.leaves[:mark], b.rows[:mark], b.streams[:mark]
}

// forgetNewStreams drops streams whose first event was taken back: their pseudonyms were never used.
func (l *Ledger) forgetNewStreams() {
	for owner, s := range l.streams {
		if !s.stored {
			delete(l.streams, owner)
		}
	}
}

// store writes the batch: leaves, rows, tiles, streams, head and, when due, a checkpoint. It returns the grown tree.
func (l *Ledger) store(tx *db.Tx, b *batch, sign bool) (*proof.Builder, error) {
	l.hooks.onStep("ledger.store")
	grown := l.builder
	if len(b.leaves) > 0 {
		if err := tx.InsertPacked("ledger_leaf", uint64(b.first), b.leaves); err != nil {
			return nil, fmt.Errorf("store leaves: %w", err)
		}
		if err := l.vault.Insert(tx, b.first, b.rows); err != nil {
			return nil, fmt.Errorf("store contents: %w", err)
		}
		grown = l.builder.Clone()
		tilesGrew := false
		for _, leaf := range b.leaves {
			for _, tile := range grown.Append(proof.LeafHash(leaf)) {
				tilesGrew = true
				if err := storeTile(tx, tile); err != nil {
					return nil, err
				}
			}
		}
		if tilesGrew { // the partial tiles above level 0 change only then
			for level, hashes := range grown.Partials() {
				if level > 0 && len(hashes) > 0 {
					if err := storeTile(tx, proof.Tile{Level: level, Index: grown.Size() >> (proof.TileHeight * (level + 1)), Hashes: hashes}); err != nil {
						return nil, err
					}
				}
			}
		}
		if err := l.storeStreams(tx, b); err != nil {
			return nil, err
		}
	}
	root := grown.Root()
	if len(b.leaves) > 0 {
		if _, err := tx.Exec("UPDATE ledger_head SET size = ?, root = ?, clock = ? WHERE one = 1", grown.Size(), root[:], l.clock); err != nil {
			return nil, fmt.Errorf("store head: %w", err)
		}
	}
	if err := l.sealStates(tx, grown.Size(), false); err != nil {
		return nil, err
	}
	now := l.hooks.now()
	if grown.Size() > l.signedSize && (sign || now.Sub(l.signedAt) >= signInterval) {
		if err := l.signInto(tx, grown.Size(), root); err != nil {
			return nil, err
		}
		l.signedSize, l.signedAt = grown.Size(), now
	}
	return grown, nil
}

func storeTile(tx *db.Tx, t proof.Tile) error {
	_, err := tx.Exec("INSERT INTO ledger_tile (level, idx, hashes) VALUES (?, ?, ?) ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes",
		t.Level, t.Index, t.Bytes())
	if err != nil {
		return fmt.Errorf("store tile %d/%d: %w", t.Level, t.Index, err)
	}
	return nil
}

func (l *Ledger) storeStreams(tx *db.Tx, b *batch) error {
	for _, s := range b.streams {
		if !s.dirty {
			continue // an earlier event of the batch has stored it
		}
		_, err := tx.Exec("INSERT INTO ledger_stream (owner, name, count) VALUES (?, ?, ?) ON CONFLICT (owner) DO UPDATE SET count = excluded.count",
			s.owner[:], s.name[:], s.count)
		if err != nil {
			return fmt.Errorf("store stream: %w", err)
		}
		s.dirty = false
	}
	return nil
}

// noticeClock records that our clock ran backwards since the latest event, once per jump: what is captured meanwhile carries the
// times the clock shows, and the fact stands beside them.
func (l *Ledger) noticeClock(tx *db.Tx, b *batch) error {
	now := l.hooks.now()
	behind := time.UnixMilli(l.clock).Sub(now)
	if behind <= jumpTolerance {
		return nil
	}
	t := &Tx{Tx: tx, l: l, batch: b, keys: l.own}
	var f guia.Fields
	f.Set("time", guia.Moment{Time: now, Precision: guia.Millisecond}.String())
	f.Set("time.original", guia.Moment{Time: time.UnixMilli(l.clock), Precision: guia.Millisecond}.String())
	l.clock = 0 // from this event on its own time must not be undercut: the next process will not tell the same jump again
	_, err := t.Record(guia.ClockJumped, f)
	return err
}

// Vault is the vault that holds the contents.
func (l *Ledger) Vault() *vault.Vault { return l.vault }

// Database is the main database, for packages that keep state of acts beside the ledger (permit, evidence).
func (l *Ledger) Database() *db.DB { return l.db }
