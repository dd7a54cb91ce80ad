// Package ledger keeps what happened, in order, provable.
//
// The model: an event is a leaf (package canon) of one Merkle tree (package proof) and an encrypted row (package vault). One
// goroutine writes. Whoever wants something recorded queues a function; the writer takes all that wait, runs them in their order in
// one database transaction, adds the leaves to the tree, stores events, rows, tiles and head together, and answers each only after
// the commit: what was answered is durable, exactly once, and everything else did not happen.
//
// A checkpoint over the tree is signed in the same transaction, at most once a second, and always when somebody asks or the ledger
// is closed. Followers read entries after a cursor that they keep in a file of their own (follow.go).
//
// Guaranteed: a place (Seq) never changes its content; the positions in a stream have no holes; opening finds the state of the last
// commit, or refuses (kind damaged) when head, tiles and newest checkpoint do not agree.
//
// Not guaranteed: that an event is true, or that a source showed everything; and against someone who holds the log key and the whole
// directory only a checkpoint kept elsewhere helps (docs/threats.md).
package ledger

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"guia"
	"guia/canon"
	"guia/db"
	"guia/permit"
	"guia/proof"
	"guia/seal"
	"guia/vault"
)

// Ledger is the open ledger of one data directory. Methods may be called by many goroutines.
type Ledger struct {
	db    *db.DB
	vault *vault.Vault
	keys  *seal.Keeper

	origin string
	queue  chan *job
	closed chan struct{} // closed by Close: the writer finishes what is queued
	done   chan struct{} // closed by the writer
	stop   sync.Once

	rotating sync.Mutex // one change of the log key at a time

	own vault.Keys // for what the ledger records by itself: the writer makes no keys

	// The writer's own: nobody else touches these.
	builder    *proof.Builder
	batch      batch
	streams    map[seal.Owner]*stream
	clock      int64 // the latest capture time since the clock jumped back, milliseconds
	signedSize int64
	signedAt   time.Time

	mu     sync.Mutex
	size   guia.Seq      // committed
	grown  chan struct{} // closed and replaced when size grows
	signer *proof.Signer
	broken error // the writer stopped: a commit broke off

	hooks hooks
}

// stream is the writer's memory of a stream.
type stream struct {
	owner  seal.Owner
	name   guia.StreamID
	count  uint64
	stored bool // it has a row
	dirty  bool // its row is behind
}

// acts is the stream and retention class of everything that happens in Guia itself.
const acts = "acts"

// Create makes the ledger of a new data directory: its origin and log key. The first event is the caller's.
func Create(ctx context.Context, main *db.DB, keys *seal.Keeper, v *vault.Vault) (*Ledger, error) {
	id := guia.NewRecordID()
	origin := "guia.invalid/log/" + hex.EncodeToString(id[:])
	skey, vkey, err := proof.NewLogKey(origin)
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	if err := keys.SetSecret(ctx, logSecret(1), []byte(skey)); err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	root := (&proof.Builder{}).Root()
	err = main.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("INSERT INTO ledger_key (number, from_size, vkey, statement) VALUES (1, 0, ?, ?)", vkey, []byte{}); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO ledger_head (one, origin, size, root, clock) VALUES (1, ?, 0, ?, 0)", origin, root[:]); err != nil {
			return err
		}
		return (&Ledger{keys: keys}).sealStates(tx, 0, true)
	})
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	return Open(ctx, main, keys, v)
}

// Open continues the ledger. It recomputes the right edge of the tree and refuses (kind damaged) unless it agrees with the head and
// with the newest checkpoint.
func Open(ctx context.Context, main *db.DB, keys *seal.Keeper, v *vault.Vault) (*Ledger, error) {
	l := &Ledger{
		db: main, vault: v, keys: keys,
		queue: make(chan *job, 1024), closed: make(chan struct{}), done: make(chan struct{}),
		streams: map[seal.Owner]*stream{}, grown: make(chan struct{}),
	}
	if err := l.load(ctx); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	go l.write()
	return l, nil
}

func (l *Ledger) load(ctx context.Context) error {
	if err := l.agree(ctx); err != nil {
		return err
	}
	if err := l.loadSigner(ctx); err != nil {
		return err
	}
	if err := l.compareNewest(ctx); err != nil {
		return err
	}
	var err error
	l.own, err = l.actKeys(ctx, guia.PersonID{})
	return err
}

// loadHead reads what the head row says.
func (l *Ledger) loadHead(ctx context.Context) (root []byte, err error) {
	var size int64
	err = l.db.QueryRow(ctx, "SELECT origin, size, root, clock FROM ledger_head WHERE one = 1").Scan(&l.origin, &size, &root, &l.clock)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || size < 0 {
		return nil, guia.RefuseCause(guia.Damaged, err, "ledger.no_head")
	}
	l.size = guia.Seq(size)
	return root, nil
}

// agree recomputes the right edge of the tree and compares it with the head.
func (l *Ledger) agree(ctx context.Context) error {
	root, err := l.loadHead(ctx)
	if err != nil {
		return err
	}
	size := int64(l.size)
	partials, err := l.edge(ctx, size)
	if err != nil {
		return err
	}
	if l.builder, err = proof.NewBuilder(size, partials); err != nil {
		return guia.RefuseCause(guia.Damaged, err, "ledger.head_differs", size)
	}
	if computed := l.builder.Root(); string(computed[:]) != string(root) {
		return guia.Refuse(guia.Damaged, "ledger.head_differs", size)
	}
	return nil
}

// edge reads the partial tiles of a tree of that size: at level 0 from the leaves themselves, above from their rows.
func (l *Ledger) edge(ctx context.Context, size int64) ([][]proof.Hash, error) {
	var partials [][]proof.Hash
	for level := 0; size>>(proof.TileHeight*level) > 0; level++ {
		width := proof.PartialWidth(size, level)
		if level == 0 {
			hashes, err := l.leafHashes(ctx, size-int64(width), size)
			if err != nil {
				return nil, err
			}
			partials = append(partials, hashes)
			continue
		}
		if width == 0 {
			partials = append(partials, nil)
			continue
		}
		hashes, err := l.ReadTile(level, size>>(proof.TileHeight*(level+1)), width)
		if err != nil {
			return nil, err
		}
		partials = append(partials, hashes)
	}
	return partials, nil
}

// leafHashes hashes the leaves from first to before end.
func (l *Ledger) leafHashes(ctx context.Context, first, end int64) ([]proof.Hash, error) {
	hashes := make([]proof.Hash, 0, end-first)
	err := l.leaves(ctx, guia.Seq(first), guia.Seq(end), func(seq guia.Seq, leaf []byte) error {
		if int64(seq) == first+int64(len(hashes)) {
			hashes = append(hashes, proof.LeafHash(leaf))
		}
		return nil
	})
	if err == nil && int64(len(hashes)) != end-first {
		err = missing(guia.Seq(first) + guia.Seq(len(hashes)))
	}
	return hashes, err
}

// leaves calls fn with the stored leaves, in order, as far as they are there. fn must not keep the leaf.
func (l *Ledger) leaves(ctx context.Context, first, end guia.Seq, fn func(seq guia.Seq, leaf []byte) error) error {
	err := l.db.Packed(ctx, "ledger_leaf", uint64(first), uint64(end), func(n uint64, leaf []byte) error { return fn(guia.Seq(n), leaf) })
	if err != nil {
		return fmt.Errorf("read leaves: %w", err)
	}
	return nil
}

// Close signs a last checkpoint, finishes what is queued and stops the writer, which has stopped on return also when the checkpoint
// could not be signed and when another call closes too. It does not close the database.
func (l *Ledger) Close(ctx context.Context) error {
	_, err := l.Checkpoint(ctx)
	if errors.Is(err, errClosed) {
		<-l.done
		return nil
	}
	l.stop.Do(func() { close(l.closed) })
	<-l.done
	if guia.KindOf(err) == guia.NotFound { // there is nothing to sign
		return nil
	}
	return err
}

var errClosed = errors.New("ledger is closed")

// Origin is the name of the log.
func (l *Ledger) Origin() string { return l.origin }

// Size is how many events are committed.
func (l *Ledger) Size() guia.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// job is one queued function.
type job struct {
	ctx   context.Context
	run   func(*Tx) error
	nest  bool // run writes to tables: undo them if it fails
	sign  bool // the batch must end with a checkpoint
	weigh int  // bytes, roughly
	done  chan error
}

// Tx is the running transaction, for the function that was queued, while it runs.
type Tx struct {
	*db.Tx
	l     *Ledger
	batch *batch
	keys  vault.Keys // for Record
	actor guia.Actor
	act   permit.Act
	marks string
}

// batch is what the writer collects before it stores it.
type batch struct {
	first   guia.Seq
	leaves  [][]byte
	rows    [][]byte
	streams []*stream
	text    []byte // what the leaves point into
}

// largeBatch is how much text of leaves a batch may have to be used again.
const largeBatch = 1 << 20

// empty makes the batch ready for the next events, in the same room. Nobody may hold on to its leaves.
func (b *batch) empty() {
	clear(b.rows)
	clear(b.streams)
	if *b = (batch{leaves: b.leaves[:0], rows: b.rows[:0], streams: b.streams[:0], text: b.text[:0]}); cap(b.text) > largeBatch {
		*b = batch{}
	}
}

// submit queues a function and waits for the commit that contains it.
func (l *Ledger) submit(j *job) error {
	j.done = make(chan error, 1)
	select {
	case <-l.closed:
		return errClosed
	default:
	}
	select {
	case l.queue <- j:
	case <-j.ctx.Done():
		return j.ctx.Err()
	case <-l.done:
		return errClosed
	}
	// Once queued it may be committed: the answer is awaited even when the caller has lost interest, so that "error" always
	// means "not recorded".
	select {
	case err := <-j.done:
		return err
	case <-l.done:
		select {
		case err := <-j.done:
			return err
		default:
			return errClosed
		}
	}
}

// Append records events that are sealed already, together, and returns their places when they are durable.
func (l *Ledger) Append(ctx context.Context, items ...vault.Sealed) ([]guia.Seq, error) {
	var seqs []guia.Seq
	weight := 0
	for i := range items {
		weight += len(items[i].Row) + 512
	}
	err := l.submit(&job{ctx: ctx, weigh: weight, run: func(tx *Tx) error {
		var err error
		seqs, err = tx.Append(items...)
		return err
	}})
	if err != nil {
		return nil, err
	}
	return seqs, nil
}

// Batch runs fn in the ledger's transaction: what fn writes to tables and what it appends is committed together, or, when fn returns
// an error, not at all. fn runs in the writer, does no I/O of its own and is quick. It is for the machinery (intake); people's acts
// go through [Ledger.Do].
func (l *Ledger) Batch(ctx context.Context, weight int, fn func(*Tx) error) error {
	l.hooks.onStep("ledger.Batch")
	return l.submit(&job{ctx: ctx, weigh: weight, nest: true, run: fn})
}

// Own is [Ledger.Batch] for what happens in Guia itself and nobody does, such as the end of what a crash interrupted: fn may record it.
func (l *Ledger) Own(ctx context.Context, fn func(*Tx) error) error {
	keys, err := l.actKeys(ctx, guia.PersonID{})
	if err != nil {
		return err
	}
	return l.submit(&job{ctx: ctx, nest: true, run: func(tx *Tx) error {
		tx.keys = keys
		return fn(tx)
	}})
}

// Do carries out one act of a user: it checks the permission, runs fn and commits what fn wrote and recorded, or nothing. A refused
// act is recorded too (act.refused) and the refusal returned, also when fn refuses (denied or blocked). fn runs in the writer, does no
// I/O of its own and is quick. Nobody has approved the act, whatever the actor says: what needs a second person where there is one
// goes through [Ledger.DoApproved].
func (l *Ledger) Do(ctx context.Context, actor guia.Actor, act permit.Act, fn func(*Tx) error) error {
	return l.do(ctx, actor, act, func(tx *Tx) (bool, error) { return permit.Check(tx.Tx, tx.actor, act) }, fn)
}

// DoApproved is [Ledger.Do] for an act that needs a second person. The approver is whoever approved that request for this act with this
// argument; the request is spent in the transaction of the act. approval is empty when nobody else could approve.
func (l *Ledger) DoApproved(ctx context.Context, actor guia.Actor, act permit.Act, approval, argument string, fn func(*Tx) error) error {
	return l.do(ctx, actor, act, approvedBy(permit.Use, act, approval, argument), fn)
}

// MayApproved is the question of [Ledger.DoApproved] without the act, for what must be prepared outside of the transaction: a refusal is
// recorded, and the approval is not spent. The act asks again.
func (l *Ledger) MayApproved(ctx context.Context, actor guia.Actor, act permit.Act, approval, argument string) error {
	return l.do(ctx, actor, act, approvedBy(permit.Approved, act, approval, argument), func(*Tx) error { return nil })
}

// DoAsking is [Ledger.Do] for asking for the approval of an act: the actor must be one who may do it with an approval.
func (l *Ledger) DoAsking(ctx context.Context, actor guia.Actor, act permit.Act, fn func(*Tx) error) error {
	return l.do(ctx, actor, act, func(tx *Tx) (bool, error) { return false, permit.May(tx.Tx, tx.actor, act) }, fn)
}

// approvedBy makes whoever approved the request the approver of the running act, and asks for the permission.
func approvedBy(find func(*db.Tx, string, guia.PersonID, permit.Act, string) (guia.PersonID, error), act permit.Act, approval, argument string) func(*Tx) (bool, error) {
	return func(tx *Tx) (single bool, err error) {
		if approval != "" {
			if tx.actor.Approver, err = find(tx.Tx, approval, tx.actor.User, act, argument); err != nil {
				return false, err
			}
		}
		return permit.Check(tx.Tx, tx.actor, act)
	}
}

// do is the one path of every act. ask checks the permission and, alone, names an approver.
func (l *Ledger) do(ctx context.Context, actor guia.Actor, act permit.Act, ask func(*Tx) (singleHanded bool, err error), fn func(*Tx) error) error {
	actor.Approver = guia.PersonID{} // nobody names his own
	keys, err := l.actKeys(ctx, actor.User)
	if err != nil {
		return err
	}
	refused := false
	run := func(tx *Tx) error {
		tx.actor, tx.act, tx.keys = actor, act, keys
		single, err := ask(tx)
		if err == nil {
			if single {
				tx.marks = "single-handed"
			}
			err = fn(tx)
		}
		refused = guia.KindOf(err) == guia.Denied || guia.KindOf(err) == guia.Blocked
		return err
	}
	err = l.submit(&job{ctx: ctx, nest: true, run: run})
	if refused {
		recorded := l.submit(&job{ctx: context.WithoutCancel(ctx), nest: true, run: func(tx *Tx) error {
			tx.actor, tx.act, tx.keys = actor, act, keys
			var f guia.Fields
			f.Set("act.outcome", "refused")
			_, err := tx.Record(guia.ActRefused, f)
			return err
		}})
		err = errors.Join(err, recorded)
	}
	return err
}

// clip shortens what somebody without an account made us store.
func clip(s string) string {
	const most = 256
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "")
}

// actKeys are the keys for recording what a user does.
func (l *Ledger) actKeys(ctx context.Context, user guia.PersonID) (vault.Keys, error) {
	c := vault.Content{Header: guia.Header{Source: guia.Own}, Class: acts, Stream: acts}
	own := c
	if user != (guia.PersonID{}) {
		own.Person = user.String()
	}
	return l.vault.Keys(ctx, []*vault.Content{&c, &own})
}

// Append adds sealed events to the transaction and returns the places they will have.
func (tx *Tx) Append(items ...vault.Sealed) ([]guia.Seq, error) {
	tx.l.hooks.onStep("ledger.Append")
	seqs := make([]guia.Seq, len(items))
	for i := range items {
		it := &items[i]
		s, err := tx.l.stream(tx.Tx, it.Stream)
		if err != nil {
			return nil, err
		}
		s.count++
		s.dirty = true
		it.Header.Stream, it.Header.Count = s.name, s.count
		b := tx.batch
		start := len(b.text)
		b.text = canon.AppendLeaf(b.text, canon.Leaf{Header: it.Header, FieldCount: it.FieldCount, FieldsHash: it.FieldsHash})
		seqs[i] = b.first + guia.Seq(len(b.leaves))
		b.leaves = append(b.leaves, b.text[start:len(b.text):len(b.text)])
		b.rows = append(b.rows, it.Row)
		b.streams = append(b.streams, s)
		tx.l.clock = max(tx.l.clock, it.Header.Captured.UnixMilli())
	}
	return seqs, nil
}

// Record appends an event of Guia itself: who acts, which act, through what, why, and the given fields. Of an actor without an account
// it keeps the login that was claimed.
func (tx *Tx) Record(t guia.Type, fields guia.Fields) (guia.Seq, error) {
	c := vault.Content{
		Header: guia.Header{Type: t, Source: guia.Own, Record: guia.NewRecordID(), Captured: tx.l.hooks.now().UTC().Truncate(time.Millisecond)},
		Fields: append(make(guia.Fields, 0, len(fields)+10), fields...),
		Class:  acts, Stream: acts,
	}
	f := &c.Fields
	f.Set("channel", string(guia.ChannelOwn))
	f.Set("class", acts)
	f.Set("tier", string(guia.TierInternal))
	if tx.act != "" {
		f.Set("act", string(tx.act))
	}
	if tx.marks != "" {
		f.Set("mark", tx.marks)
	}
	if a := tx.actor; a.User != (guia.PersonID{}) {
		c.Person = a.User.String()
		f.Set("actor", a.User.String())
		f.Set("actor.via", a.Via)
		f.Set("actor.behalf", a.Behalf)
		if len(f.Bytes("reason")) == 0 {
			f.Set("reason", a.Reason)
		}
		if a.Approver != (guia.PersonID{}) {
			f.Set("approver", a.Approver.String())
		}
	} else if a.Login != "" { // no account: what was claimed
		f.Set("name", clip(a.Login))
		f.Set("actor.via", a.Via)
		f.Set("reason", clip(a.Reason))
	}
	s, err := tx.l.vault.Put(context.Background(), tx.keys, &c)
	if err != nil {
		return 0, fmt.Errorf("record %s: %w", t, err)
	}
	seqs, err := tx.Append(s)
	if err != nil {
		return 0, err
	}
	return seqs[0], nil
}

// stream returns the writer's memory of a stream, from its row or new.
func (l *Ledger) stream(tx *db.Tx, owner seal.Owner) (*stream, error) {
	if s := l.streams[owner]; s != nil {
		return s, nil
	}
	s := &stream{owner: owner}
	var name []byte
	err := tx.QueryRow("SELECT name, count FROM ledger_stream WHERE owner = ?", []any{owner[:]}, &name, &s.count)
	switch {
	case err == nil:
		copy(s.name[:], name)
		s.stored = true
	case errors.Is(err, sql.ErrNoRows):
		s.name = guia.NewStreamID()
	default:
		return nil, fmt.Errorf("read stream: %w", err)
	}
	l.streams[owner] = s
	return s, nil
}

// RecordOf returns the record id of an event appended in this transaction.
func (tx *Tx) RecordOf(seq guia.Seq) guia.RecordID {
	leaf, err := canon.ParseLeaf(tx.batch.leaves[seq-tx.batch.first])
	if err != nil {
		panic(err) // Append wrote it
	}
	return leaf.Record
}

// Begin records the first events of a new ledger, before any user exists who could be permitted anything. It refuses on a ledger that
// has events.
func (l *Ledger) Begin(ctx context.Context, actor guia.Actor, fn func(*Tx) error) error {
	keys, err := l.actKeys(ctx, actor.User)
	if err != nil {
		return err
	}
	return l.submit(&job{ctx: ctx, nest: true, run: func(tx *Tx) error {
		if tx.batch.first > 0 || len(tx.batch.leaves) > 0 {
			return guia.Refuse(guia.Conflict, "ledger.begun")
		}
		tx.actor, tx.act, tx.keys = actor, "init", keys
		return fn(tx)
	}})
}
