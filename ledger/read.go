package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"guia"
	"guia/canon"
	"guia/proof"
	"guia/seal"
	"guia/vault"
)

// Entry is one event as it is stored: the leaf and the encrypted row.
type Entry struct {
	Seq  guia.Seq
	Text []byte // the leaf's text
	Leaf canon.Leaf
	Row  []byte
}

// Entry returns the event at seq, or a refusal of kind not_found.
func (l *Ledger) Entry(ctx context.Context, seq guia.Seq) (Entry, error) {
	if size := l.Size(); seq >= size {
		return Entry{Seq: seq}, guia.Refuse(guia.NotFound, "ledger.no_entry", uint64(seq), uint64(size))
	}
	entries, err := l.page(ctx, seq, seq+1)
	if err != nil {
		return Entry{Seq: seq}, err
	}
	return entries[0], nil
}

// Event returns the decrypted event at seq. It does not ask whether somebody may see it, and does not record that it was read.
func (l *Ledger) Event(ctx context.Context, seq guia.Seq) (guia.Event, error) {
	e, err := l.Entry(ctx, seq)
	if err != nil {
		return guia.Event{}, err
	}
	return l.vault.Read(ctx, seq, e.Leaf.Header, e.Row)
}

// Disclose returns the fields of the event at seq with salts and commitments.
func (l *Ledger) Disclose(ctx context.Context, seq guia.Seq) (Entry, []vault.Disclosure, error) {
	e, err := l.Entry(ctx, seq)
	if err != nil {
		return e, nil, err
	}
	fields, err := l.vault.Disclose(ctx, seq, e.Leaf, e.Row)
	return e, fields, err
}

// Entries calls fn with the events from first to before end, in order. fn may keep what it is given. An end behind the last event is
// a refusal of kind not_found.
func (l *Ledger) Entries(ctx context.Context, first, end guia.Seq, fn func(Entry) error) error {
	const page = 1024
	if size := l.Size(); first < end && end > size {
		return guia.Refuse(guia.NotFound, "ledger.no_entry", uint64(end-1), uint64(size))
	}
	for first < end {
		stop := min(end, first+page)
		entries, err := l.page(ctx, first, stop)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		first = stop
	}
	return nil
}

// OfType returns the places of the events of these types from first to before end, ascending. It reads the leaves and no rows: a small
// part of what Entries costs. An end behind the last event is a refusal of kind not_found.
func (l *Ledger) OfType(ctx context.Context, first, end guia.Seq, types ...guia.Type) ([]guia.Seq, error) {
	if size := l.Size(); first < end && end > size {
		return nil, guia.Refuse(guia.NotFound, "ledger.no_entry", uint64(end-1), uint64(size))
	}
	wanted := map[guia.Type]bool{}
	for _, t := range types {
		wanted[t] = true
	}
	var found []guia.Seq
	next := first
	err := l.leaves(ctx, first, end, func(seq guia.Seq, text []byte) error {
		if seq != next {
			return missing(next)
		}
		next++
		t := canon.LeafType(text)
		if t == nil {
			return guia.Refuse(guia.Damaged, "ledger.leaf_damaged", uint64(seq))
		}
		if wanted[guia.Type(t)] {
			found = append(found, seq)
		}
		return nil
	})
	if err == nil && next < end {
		err = missing(next)
	}
	return found, err
}

// missing refuses because an event is not stored.
func missing(seq guia.Seq) error {
	return guia.Refuse(guia.Damaged, "ledger.entries_missing", uint64(seq))
}

// page reads the events from first to before end; all of them must be there.
func (l *Ledger) page(ctx context.Context, first, end guia.Seq) ([]Entry, error) {
	entries := make([]Entry, 0, end-first)
	err := l.leaves(ctx, first, end, func(seq guia.Seq, text []byte) error {
		if want := first + guia.Seq(len(entries)); seq != want {
			return missing(want)
		}
		e := Entry{Seq: seq, Text: bytes.Clone(text)}
		var err error
		if e.Leaf, err = canon.ParseLeaf(e.Text); err != nil {
			return guia.RefuseCause(guia.Damaged, err, "ledger.leaf_damaged", uint64(seq))
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if guia.Seq(len(entries)) != end-first {
		return nil, missing(first + guia.Seq(len(entries)))
	}
	err = l.vault.Rows(ctx, first, end, func(seq guia.Seq, row []byte) error {
		entries[seq-first].Row = bytes.Clone(row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Row == nil {
			return nil, guia.Refuse(guia.Damaged, "ledger.row_missing", uint64(e.Seq))
		}
	}
	return entries, nil
}

// ReadTile implements proof.TileReader over the stored tiles; partial tiles at level 0 come from the leaves.
func (l *Ledger) ReadTile(level int, index int64, width int) ([]proof.Hash, error) {
	ctx := context.Background()
	var data []byte
	err := l.db.QueryRow(ctx, "SELECT hashes FROM ledger_tile WHERE level = ? AND idx = ?", level, index).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) && level == 0 {
		first := index * proof.TileWidth
		return l.leafHashes(ctx, first, first+int64(width))
	}
	if err != nil {
		return nil, guia.RefuseCause(guia.Damaged, err, "ledger.tile_damaged", level, index)
	}
	tile, err := proof.ParseTile(level, index, data)
	if err != nil || len(tile.Hashes) < width {
		return nil, guia.RefuseCause(guia.Damaged, err, "ledger.tile_damaged", level, index)
	}
	return tile.Hashes[:width], nil
}

// Stream returns the pseudonym of the stream with that owner and how many events it has; found is false when it has none.
func (l *Ledger) Stream(ctx context.Context, owner seal.Owner) (name guia.StreamID, count uint64, found bool, err error) {
	var b []byte
	err = l.db.QueryRow(ctx, "SELECT name, count FROM ledger_stream WHERE owner = ?", owner[:]).Scan(&b, &count)
	if errors.Is(err, sql.ErrNoRows) {
		return name, 0, false, nil
	}
	copy(name[:], b)
	return name, count, err == nil, err
}

// StreamCount returns how many events the stream with that pseudonym has.
func (l *Ledger) StreamCount(ctx context.Context, name guia.StreamID) (count uint64, err error) {
	err = l.db.QueryRow(ctx, "SELECT count FROM ledger_stream WHERE name = ?", name[:]).Scan(&count)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return count, err
}
