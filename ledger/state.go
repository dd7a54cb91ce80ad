package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"guia"
	"guia/canon"
	"guia/db"
)

// The tables beside the ledger say who may do what, what belongs to a case, how far a source was read. Leaves do not cover them, so each
// has a keyed hash over all its rows, made in the transaction that changes it; the key is in the key database. To put back an older
// table together with its older hash does not help: an event that must have changed the table since tells.

// states lists these tables, each with the types of the events whose recording changes it.
var states = map[string][]guia.Type{
	"permit_user":       {guia.UserAdded, guia.UserDisabled},
	"permit_grant":      {guia.RoleGranted, guia.RoleRevoked},
	"permit_request":    {guia.ApprovalAsked, guia.ApprovalGiven, guia.ApprovalRefused},
	"evidence_case":     {guia.CaseOpened},
	"evidence_item":     {guia.CaseAdded},
	"intake_cursor":     {guia.ImportStarted, guia.ImportFinished},
	"intake_connection": {guia.SourceAdded, guia.SourceRemoved},
	"intake_feed":       {guia.FeedEnabled, guia.FeedDisabled},
	"intake_usage":      nil, // what a month has cost is no act
	"intake_tombstone":  nil, // only the fields tell: see read
	"vault_doomed":      {guia.KeysDestroyed},
	"ledger_key":        {guia.LogKeyRotated},
}

// young are the tables of state that directories of earlier versions got by a migration: there one that has never changed has no hash. It is
// empty then.
var young = map[string]bool{"intake_connection": true, "intake_feed": true, "intake_usage": true}

// isSealed reports whether the hash is that of the table with this content.
func (l *Ledger) isSealed(table string, size int64, mac []byte, sum [32]byte) bool {
	if mac == nil && young[table] {
		return sum == sha256.Sum256(nil)
	}
	return bytes.Equal(mac, l.stateMAC(table, size, sum[:]))
}

// checkpointState is the state of the list of checkpoints: a chain, because the list only grows.
const checkpointState = "ledger_checkpoint"

// sealStates makes the hashes of the tables that the transaction changed; of all when first is set.
func (l *Ledger) sealStates(tx *db.Tx, size int64, first bool) error {
	for table := range states {
		if !first && !tx.Changed(table) {
			continue
		}
		sum, err := tx.Fingerprint(table)
		if err != nil {
			return fmt.Errorf("seal %s: %w", table, err)
		}
		if err := l.setState(tx, table, size, l.stateMAC(table, size, sum[:])); err != nil {
			return err
		}
	}
	if first {
		return l.setState(tx, checkpointState, 0, l.stateMAC(checkpointState, 0, nil))
	}
	return nil
}

// chainCheckpoint continues the chain of checkpoints by one.
func (l *Ledger) chainCheckpoint(tx *db.Tx, size int64, note []byte) error {
	var before []byte
	if err := tx.QueryRow("SELECT mac FROM ledger_state WHERE name = ?", []any{checkpointState}, &before); err != nil {
		return fmt.Errorf("chain checkpoint: %w", err)
	}
	return l.setState(tx, checkpointState, size, l.stateMAC(checkpointState, size, append(before, note...)))
}

func (l *Ledger) setState(tx *db.Tx, name string, size int64, mac []byte) error {
	_, err := tx.Exec("INSERT INTO ledger_state (name, size, mac) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET size = excluded.size, mac = excluded.mac", name, size, mac)
	if err != nil {
		return fmt.Errorf("seal %s: %w", name, err)
	}
	return nil
}

func (l *Ledger) stateMAC(name string, size int64, content []byte) []byte {
	mac := l.keys.MAC("state", name, strconv.FormatInt(size, 10), string(content))
	return mac[:]
}

// stateWatch notices while the leaves are walked how large the ledger was when each table must have changed for the last time.
type stateWatch map[string]guia.Seq

var stateOf = func() map[guia.Type]string {
	tables := map[guia.Type]string{}
	for table, types := range states {
		for _, t := range types {
			tables[t] = table
		}
	}
	return tables
}()

func (w stateWatch) see(seq guia.Seq, leaf *canon.Leaf) {
	if table, ok := stateOf[leaf.Type]; ok && leaf.Source == guia.Own {
		w[table] = seq + 1
	}
}

// read notices what only the fields tell: that an approval was spent, and that what was erased is kept from coming back.
func (w stateWatch) read(e *guia.Event) {
	if e.Source != guia.Own {
		return
	}
	if e.Fields.Get("approver") != "" {
		w["permit_request"] = max(w["permit_request"], e.Seq+1)
	}
	if e.Type == guia.KeysDestroyed && e.Fields.Get("seqs") != "" { // its end, which has none, changes nothing of it
		w["intake_tombstone"] = max(w["intake_tombstone"], e.Seq+1)
	}
}

// checkStates compares every table of state with its hash, as one commit left them.
func (l *Ledger) checkStates(ctx context.Context, watch stateWatch, r *CheckReport) error {
	return l.db.Snapshot(ctx, func(tx *sql.Tx) error {
		for table := range states {
			size, mac, err := storedState(ctx, tx, table)
			if err != nil {
				return err
			}
			sum, err := db.Fingerprint(ctx, tx, table)
			if err != nil {
				return err
			}
			if size < int64(watch[table]) || !l.isSealed(table, size, mac, sum) {
				r.find(Finding{Key: "check.state_differs", Args: []any{table}})
			}
		}
		return l.checkCheckpointChain(ctx, tx, r)
	})
}

// StateIsOurs refuses (kind damaged) when the rows of a table of state are not those that Guia stored. Whoever does on the strength of such
// a row what cannot be undone asks first.
func (l *Ledger) StateIsOurs(ctx context.Context, table string) error {
	return l.db.Snapshot(ctx, func(tx *sql.Tx) error {
		size, mac, err := storedState(ctx, tx, table)
		if err != nil {
			return err
		}
		sum, err := db.Fingerprint(ctx, tx, table)
		if err == nil && !l.isSealed(table, size, mac, sum) {
			err = guia.Refuse(guia.Damaged, "check.state_differs", table)
		}
		return err
	})
}

func (l *Ledger) checkCheckpointChain(ctx context.Context, tx *sql.Tx, r *CheckReport) error {
	_, want, err := storedState(ctx, tx, checkpointState)
	if err != nil {
		return err
	}
	mac := l.stateMAC(checkpointState, 0, nil)
	rows, err := tx.QueryContext(ctx, "SELECT size, note FROM ledger_checkpoint ORDER BY size")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var size int64
		var note []byte
		if err := rows.Scan(&size, &note); err != nil {
			return err
		}
		mac = l.stateMAC(checkpointState, size, append(mac, note...))
	}
	if !bytes.Equal(mac, want) {
		r.find(Finding{Key: "check.state_differs", Args: []any{checkpointState}})
	}
	return rows.Err()
}

// storedState returns a stored hash; none at all when its row is missing.
func storedState(ctx context.Context, tx *sql.Tx, name string) (size int64, mac []byte, err error) {
	err = tx.QueryRowContext(ctx, "SELECT size, mac FROM ledger_state WHERE name = ?", name).Scan(&size, &mac)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	return size, mac, err
}
