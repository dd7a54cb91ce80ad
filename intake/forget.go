package intake

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"guia"
	"guia/db"
	"guia/ledger"
)

// Hold keeps records from being taken in until release is called. Keys that are handed out for sealing would otherwise be destroyed
// before the record is committed.
func (d *Desk) Hold() (release func()) {
	d.mu.Lock()
	return d.mu.Unlock
}

// Forgetting is what intake knows of events that are about to be forgotten: the rows by which they would be recognised, and the
// tombstones that take their place. It holds no personal data.
type Forgetting struct {
	seen       []mac
	tombstones []mac
	trimmed    map[mac][]byte // rows of keys that also tell of what is forgotten, and what is to be left of them
	next       map[mac]seen   // rows of places that a record takes that had none
	heirs      map[mac]heir   // rows of what a message says, and who takes the place of the forgotten first record
}

// heir is a record that is linked to a forgotten one.
type heir struct {
	link mac
	seq  guia.Seq
}

// PrepareForget finds what intake knows of the events, while they can still be read. The desk must be held.
func (d *Desk) PrepareForget(ctx context.Context, events []guia.Event) (*Forgetting, error) {
	f := &Forgetting{trimmed: map[mac][]byte{}}
	keys := map[mac]bool{}
	var firsts []mac // rows of what forgotten events said before others
	gone := make(map[uint64]bool, len(events))
	for i := range events {
		e := &events[i]
		gone[uint64(e.Seq)] = true
		if key := e.Fields.Get("source_key"); key != "" && e.Source != guia.Own {
			f.tombstones = append(f.tombstones, d.tombstone(e.Source, e.Fields))
			keys[d.seenKey(e.Source, e.Fields.Get("conversation.key"), key)] = true
		}
	}
	// There is no index by place: erasing is rare, recognising is not.
	rows, err := d.ledger.Database().Query(ctx, "SELECT mac, seq, content FROM intake_seen")
	if err != nil {
		return nil, fmt.Errorf("find recognition of forgotten events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key, content []byte
		var seq uint64
		if err := rows.Scan(&key, &seq, &content); err != nil {
			return nil, fmt.Errorf("find recognition of forgotten events: %w", err)
		}
		if len(key) != len(mac{}) {
			return nil, guia.Refuse(guia.Damaged, "intake.seen_damaged")
		}
		switch {
		case gone[seq]:
			f.seen = append(f.seen, mac(key))
			if !bytes.Equal(content, d.linkSeal(mac(key), guia.Seq(seq))) {
				firsts = append(firsts, mac(key))
			}
		case keys[mac(key)] && len(content) > plainContent:
			f.trimmed[mac(key)] = content[:plainContent]
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find recognition of forgotten events: %w", err)
	}
	if f.heirs, err = d.findHeirs(ctx, firsts, gone); err != nil {
		return nil, err
	}
	f.next, err = d.findNext(ctx, events, f, gone)
	return f, err
}

// findNext finds who takes the places that forgotten records leave to nobody: records that say the same and got no place because all
// were taken. Else nothing would tell that they need none. There are such ones only where all places are taken, so that hardly any
// erasure goes over the ledger for them.
func (d *Desk) findNext(ctx context.Context, events []guia.Event, f *Forgetting, gone map[uint64]bool) (map[mac]seen, error) {
	next, free := map[mac]seen{}, map[mac][]mac{} // places that get free, by what their record says
	for i := range events {
		if events[i].Source == guia.Own || !isMessage(events[i].Type) {
			continue
		}
		e, err := d.ledger.Event(ctx, events[i].Seq)
		if err != nil {
			return nil, fmt.Errorf("find records that say the same: %w", err)
		}
		it := d.tell(&e).item
		if it == nil || free[it.like] != nil {
			continue
		}
		rows, err := d.lookUp(ctx, d.allPlaces(it.like))
		if err != nil {
			return nil, fmt.Errorf("find records that say the same: %w", err)
		}
		if len(rows) < mostAlike {
			continue
		}
		for _, place := range d.allPlaces(it.like) {
			if _, inherited := f.heirs[place]; !inherited && gone[uint64(rows[place].seq)] {
				free[it.like] = append(free[it.like], place)
			}
		}
	}
	if len(free) == 0 {
		return next, nil
	}
	instances := map[string][]byte{} // by import: one import, one instance
	var waiting []told
	err := d.ledger.Entries(ctx, 0, d.ledger.Size(), func(entry ledger.Entry) error {
		if !isMessage(entry.Leaf.Header.Type) || entry.Leaf.Header.Source == guia.Own || gone[uint64(entry.Seq)] {
			return nil
		}
		e, err := d.vault.ReadWithoutRaw(ctx, entry.Seq, entry.Leaf.Header, entry.Row)
		if err != nil || len(e.Withheld) > 0 {
			return err
		}
		t := d.tell(&e)
		if t.item == nil || t.linked {
			return nil
		}
		wanted := free[t.item.like] != nil
		if _, known := instances[t.imported]; known && !wanted {
			return nil
		}
		rows, err := d.lookUp(ctx, d.allPlaces(t.item.like))
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.seq == t.seq {
				instances[t.imported] = row.content
				return nil
			}
		}
		if wanted {
			waiting = append(waiting, t)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find records that say the same: %w", err)
	}
	for _, t := range waiting { // the earliest first
		places := free[t.item.like]
		if len(places) == 0 {
			continue
		}
		instance := instances[t.imported]
		if instance == nil {
			instance = make([]byte, len(digest{})) // of none that is known
		}
		next[places[0]], free[t.item.like] = seen{t.seq, instance}, places[1:]
	}
	return next, nil
}

// allPlaces are the rows of all places of what says the same.
func (d *Desk) allPlaces(like mac) (places []mac) {
	for n := range mostAlike {
		places = append(places, d.placeOf(like, n))
	}
	return places
}

// findHeirs finds, for the messages whose first record is forgotten, the first of those that are linked to it and stay.
func (d *Desk) findHeirs(ctx context.Context, firsts []mac, gone map[uint64]bool) (map[mac]heir, error) {
	heirs := map[mac]heir{}
	for _, first := range firsts {
		links, err := d.linksTo(ctx, first)
		if err != nil {
			return nil, fmt.Errorf("find records of a forgotten message: %w", err)
		}
		for link, row := range links {
			if h, ok := heirs[first]; !gone[uint64(row.seq)] && (!ok || row.seq < h.seq) {
				heirs[first] = heir{link, row.seq}
			}
		}
	}
	return heirs, nil
}

// Forget replaces recognition by tombstones, in the transaction that forgets the events.
func (d *Desk) Forget(tx *db.Tx, f *Forgetting) error {
	for _, m := range f.seen {
		if _, err := tx.Exec("DELETE FROM intake_seen WHERE mac = ?", m[:]); err != nil {
			return fmt.Errorf("forget recognition: %w", err)
		}
	}
	for m, content := range f.trimmed {
		if _, err := tx.Exec("UPDATE intake_seen SET content = ? WHERE mac = ?", content, m[:]); err != nil {
			return fmt.Errorf("forget recognition: %w", err)
		}
	}
	for first, h := range f.heirs {
		if _, err := tx.Exec("DELETE FROM intake_seen WHERE mac = ?", h.link[:]); err != nil {
			return fmt.Errorf("forget recognition: %w", err)
		}
		if _, err := tx.Exec("INSERT INTO intake_seen (mac, seq, content) VALUES (?, ?, ?)", first[:], uint64(h.seq), h.link[linkShared:]); err != nil {
			return fmt.Errorf("forget recognition: %w", err)
		}
	}
	for place, row := range f.next {
		if _, err := tx.Exec("INSERT INTO intake_seen (mac, seq, content) VALUES (?, ?, ?)", place[:], uint64(row.seq), row.content); err != nil {
			return fmt.Errorf("forget recognition: %w", err)
		}
	}
	tx.Touch("intake_tombstone") // the ledger's check takes the event that records the erasure for a change of it
	for _, m := range f.tombstones {
		if _, err := tx.Exec("INSERT INTO intake_tombstone (mac) VALUES (?) ON CONFLICT (mac) DO NOTHING", m[:]); err != nil {
			return fmt.Errorf("set tombstone: %w", err)
		}
	}
	return nil
}

// tombstone is the keyed hash of where a record stood at its source.
func (d *Desk) tombstone(source guia.SourceName, f guia.Fields) mac {
	stream := f.Get("conversation.key")
	owner := d.vault.StreamOwner(source, stream)
	return prefixed(binary.BigEndian.Uint32(owner[:4]), d.vault.MAC("gone:key", string(source), stream, f.Get("source_key")))
}

// erased returns which of the items were erased here before: they stay erased.
func (d *Desk) erased(ctx context.Context, feed Feed, pending []*item) (gone map[*item]bool, err error) {
	var any int
	if err := d.ledger.Database().QueryRow(ctx, "SELECT COUNT(*) FROM (SELECT mac FROM intake_tombstone LIMIT 1) AS one").Scan(&any); err != nil {
		return nil, fmt.Errorf("read tombstones: %w", err)
	}
	if any == 0 {
		return nil, nil
	}
	gone = map[*item]bool{}
	for _, it := range pending {
		if gone[it], err = d.isErased(ctx, d.tombstone(feed.Source, it.content.Fields)); err != nil {
			return nil, fmt.Errorf("read tombstones: %w", err)
		}
	}
	return gone, nil
}

// isErased reports whether the tombstone is set.
func (d *Desk) isErased(ctx context.Context, tombstone mac) (bool, error) {
	var n int
	err := d.ledger.Database().QueryRow(ctx, "SELECT COUNT(*) FROM intake_tombstone WHERE mac = ?", tombstone[:]).Scan(&n)
	return n > 0, err
}
