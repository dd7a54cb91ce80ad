package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"guia"
	"guia/db"
	"guia/permit"
	"guia/proof"
)

// logSecret is the name under which package seal keeps the n-th log key.
func logSecret(n int) string { return "log." + strconv.Itoa(n) }

// loadSigner opens the log key in force and retires those before it, which a crash may have kept.
func (l *Ledger) loadSigner(ctx context.Context) error {
	number, err := l.keyNumber(ctx)
	if err != nil {
		return err
	}
	var vkey string
	if err := l.db.QueryRow(ctx, "SELECT vkey FROM ledger_key WHERE number = ?", number).Scan(&vkey); err != nil {
		return err
	}
	skey, ok, err := l.keys.Secret(ctx, logSecret(number))
	if err != nil {
		return err
	}
	if !ok {
		return guia.Refuse(guia.Damaged, "ledger.no_log_key", number)
	}
	l.signer, err = proof.NewSigner(string(skey))
	if err != nil {
		return guia.RefuseCause(guia.Damaged, err, "ledger.no_log_key", number)
	}
	if l.signer.Verifier().VKey() != vkey { // what it would sign nobody would trust
		return guia.Refuse(guia.Damaged, "ledger.no_log_key", number)
	}
	return l.retire(ctx, number-1)
}

func (l *Ledger) keyNumber(ctx context.Context) (n int, err error) {
	if err = l.db.QueryRow(ctx, "SELECT COALESCE(MAX(number), 0) FROM ledger_key").Scan(&n); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, guia.Refuse(guia.Damaged, "ledger.no_log_key", 0)
	}
	return n, nil
}

// compareNewest demands that the newest checkpoint is signed by the log and that its root is the tree's at its size.
func (l *Ledger) compareNewest(ctx context.Context) error {
	note, found, err := l.newest(ctx)
	if err != nil || !found {
		return err
	}
	var stored int64
	if err := l.db.QueryRow(ctx, "SELECT MAX(size) FROM ledger_checkpoint").Scan(&stored); err != nil {
		return err
	}
	trust, err := l.Trust(ctx)
	if err != nil {
		return err
	}
	c, err := trust.Open(note)
	if err != nil || c.Origin != l.origin || c.Size != stored {
		return guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
	}
	size := l.builder.Size()
	if c.Size > size {
		return guia.Refuse(guia.Damaged, "ledger.behind_checkpoint", size, c.Size)
	}
	root, err := proof.Root(l, c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return guia.Refuse(guia.Damaged, "ledger.checkpoint_differs", c.Size)
	}
	l.signedSize = c.Size
	return nil
}

func (l *Ledger) newest(ctx context.Context) (note []byte, found bool, err error) {
	rows, err := l.db.Query(ctx, "SELECT note FROM ledger_checkpoint ORDER BY size DESC LIMIT 1")
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		found = true
		if err := rows.Scan(&note); err != nil {
			return nil, false, err
		}
	}
	return note, found, rows.Err()
}

// signInto signs a checkpoint in the running transaction.
func (l *Ledger) signInto(tx *db.Tx, size int64, root proof.Hash) error {
	l.hooks.onStep("ledger.signInto")
	l.mu.Lock()
	signer := l.signer
	l.mu.Unlock()
	note, err := proof.SignCheckpoint(proof.Checkpoint{Origin: l.origin, Size: size, Root: root}, signer)
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	_, err = tx.Exec("INSERT INTO ledger_checkpoint (size, note) VALUES (?, ?)", size, note)
	if err != nil {
		return fmt.Errorf("store checkpoint: %w", err)
	}
	return l.chainCheckpoint(tx, size, note)
}

// Checkpoint returns a signed checkpoint that covers everything committed before the call, signing one if needed. It is durable.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) {
	err := l.submit(&job{ctx: ctx, sign: true, run: func(*Tx) error { return nil }})
	if err != nil {
		return nil, err
	}
	note, found, err := l.newest(ctx)
	if err == nil && !found {
		return nil, guia.Refuse(guia.NotFound, "ledger.empty")
	}
	return note, err
}

// CheckpointBefore returns the newest stored checkpoint of at most that size, and whether there is one.
func (l *Ledger) CheckpointBefore(ctx context.Context, size guia.Seq) (note []byte, found bool, err error) {
	rows, err := l.db.Query(ctx, "SELECT note FROM ledger_checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1", uint64(size))
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		found = true
		if err := rows.Scan(&note); err != nil {
			return nil, false, err
		}
	}
	return note, found, rows.Err()
}

// Signer is the log key in force, for notes that the log signs beside its checkpoints (the manifest of a bundle).
func (l *Ledger) Signer() *proof.Signer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signer
}

// LogKey is one verifier key of the log, and the old key's word for it.
type LogKey struct {
	VKey      string
	From      int64  // size of the tree when it came into force
	Statement []byte // signed rotation statement; empty for the first key
}

// LogKeys returns the log's verifier keys in order.
func (l *Ledger) LogKeys(ctx context.Context) ([]LogKey, error) {
	rows, err := l.db.Query(ctx, "SELECT vkey, from_size, statement FROM ledger_key ORDER BY number")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []LogKey
	for rows.Next() {
		var k LogKey
		if err := rows.Scan(&k.VKey, &k.From, &k.Statement); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

// Trust is the chain of the log's own keys.
func (l *Ledger) Trust(ctx context.Context) (proof.Chain, error) {
	keys, err := l.LogKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, guia.Refuse(guia.Damaged, "ledger.no_log_key", 0)
	}
	var statements [][]byte
	for _, k := range keys[1:] {
		statements = append(statements, k.Statement)
	}
	chain, err := proof.TrustChain(keys[0].VKey, statements)
	if err != nil {
		return nil, guia.RefuseCause(guia.Damaged, err, "ledger.keys_differ")
	}
	return chain, nil
}

// RotateKey replaces the log key. The old key signs the statement over the new one and a last checkpoint; the statement becomes an
// event. approval is the id of an approved request, empty when nobody else could approve. A crash in the middle leaves the old or
// the new key in force. The old secret is overwritten afterwards: an error together with a key says that the new key is in force and
// that something of this last step is left to do, which [Open] does. Concurrent calls follow each other.
func (l *Ledger) RotateKey(ctx context.Context, actor guia.Actor, approval string) (vkey string, err error) {
	l.rotating.Lock() // two would put different secrets under one number
	defer l.rotating.Unlock()
	if err := l.MayApproved(ctx, actor, permit.ActRotateLog, approval, ""); err != nil { // before anything is made
		return "", err
	}
	number, err := l.keyNumber(ctx)
	if err != nil {
		return "", err
	}
	if _, err := l.Checkpoint(ctx); err != nil { // the old key's last word covers everything so far
		return "", err
	}
	skey, vkey, err := proof.NewLogKey(l.origin)
	if err != nil {
		return "", err
	}
	if err := l.keys.SetSecret(ctx, logSecret(number+1), []byte(skey)); err != nil { // unused until the row names it
		return "", err
	}
	fresh, err := proof.NewSigner(skey)
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	old := l.signer
	l.mu.Unlock()
	err = l.DoApproved(ctx, actor, permit.ActRotateLog, approval, "", func(tx *Tx) error {
		from := l.signedSize // the writer's own: we run in the writer
		statement, err := proof.SignRotation(proof.Rotation{Origin: l.origin, Old: old.Verifier().VKey(), New: vkey, From: from}, old)
		if err != nil {
			return err
		}
		var f guia.Fields
		f.Set("key.old", old.Verifier().VKey())
		f.Set("key.new", vkey)
		f.SetBytes("rotation", statement)
		if _, err := tx.Record(guia.LogKeyRotated, f); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO ledger_key (number, from_size, vkey, statement) VALUES (?, ?, ?, ?)", number+1, from, vkey, statement); err != nil {
			return err
		}
		l.mu.Lock()
		l.signer = fresh // the checkpoint of this very transaction is the new key's first
		l.mu.Unlock()
		l.signedAt = time.Time{}
		return nil
	})
	if err != nil {
		return "", err
	}
	ctx = context.WithoutCancel(ctx) // what has begun is ended
	if _, err := l.Checkpoint(ctx); err != nil {
		return vkey, err
	}
	return vkey, l.retire(ctx, number)
}

// retire overwrites the log keys before the one in force, those of earlier calls that were interrupted too.
func (l *Ledger) retire(ctx context.Context, last int) error {
	const retired = "retired"
	for number := 1; number <= last; number++ {
		value, found, err := l.keys.Secret(ctx, logSecret(number))
		if err != nil {
			return err
		}
		if !found || string(value) == retired {
			continue
		}
		if err := l.keys.SetSecret(ctx, logSecret(number), []byte(retired)); err != nil {
			return fmt.Errorf("retire log key %d: %w", number, err)
		}
	}
	return nil
}
