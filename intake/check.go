package intake

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"guia"
	"guia/canon"
	"guia/db"
	"guia/vault"
)

// Recognition compares the rows by which records are recognised with the events they stand for. A row that is missing would let a
// record be stored twice; one too many would keep it out. It is used by one goroutine.
type Recognition struct {
	d         *Desk
	size      guia.Seq
	forgot    bool              // somebody was forgotten: some rows are gone on purpose
	instances map[string]string // by import: what its rows say of the instance
	waiting   []told
	rows      int64 // that were accounted for
}

// told is a stored event of a source, as it would look when its record came again.
type told struct {
	seq      guia.Seq
	imported string
	readings []reading
	item     *item // with what it says; nil when that is never looked for
	linked   bool  // to another record of its message
	gone     mac   // the tombstone of its key, when one was set
}

// reading is one way in which the event may have become one: as a record of its own, or as an edit of a known one.
type reading struct {
	mac    mac
	digest digest
}

// CheckRecognition begins to compare. The ledger's check shows it the events in order.
func (d *Desk) CheckRecognition(ctx context.Context) (*Recognition, error) {
	r := &Recognition{d: d, size: d.ledger.Size(), instances: map[string]string{}}
	var n int
	if err := d.ledger.Database().QueryRow(ctx, "SELECT COUNT(*) FROM intake_tombstone").Scan(&n); err != nil {
		return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
	}
	r.forgot = n > 0
	return r, nil
}

// See looks at one event and returns the events found wanting, this one or earlier ones.
func (r *Recognition) See(ctx context.Context, e *guia.Event) ([]guia.Seq, error) {
	if e.Source == guia.Own || len(e.Withheld) > 0 {
		return nil, nil
	}
	t := r.d.tell(e)
	if r.forgot {
		t.gone = r.d.tombstone(e.Source, e.Fields)
	}
	r.waiting = append(r.waiting, t)
	if len(r.waiting) < 16 {
		return nil, nil
	}
	return r.flush(ctx)
}

// End looks at the rest, and returns how many rows there are and how many there should be; the same twice when records came in
// meanwhile.
func (r *Recognition) End(ctx context.Context) (wanting []guia.Seq, stored, expected int64, err error) {
	if wanting, err = r.flush(ctx); err != nil {
		return wanting, 0, 0, err
	}
	if err := r.d.ledger.Database().QueryRow(ctx, "SELECT COUNT(*) FROM intake_seen").Scan(&stored); err != nil {
		return wanting, 0, 0, fmt.Errorf("check recognition: %w", db.Explain(err))
	}
	if now, err := r.d.ledger.StoredSize(ctx); err != nil || now != r.size {
		return wanting, stored, stored, err
	}
	return wanting, stored, r.rows, nil
}

func (r *Recognition) flush(ctx context.Context) (wanting []guia.Seq, err error) {
	var macs []mac
	for i := range r.waiting {
		for _, way := range r.waiting[i].readings {
			macs = append(macs, way.mac)
		}
		if it := r.waiting[i].item; it != nil {
			macs = append(macs, it.like)
		}
	}
	stored, err := r.d.lookUp(ctx, macs)
	if err != nil {
		return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
	}
	macs = macs[:0]
	for i := range r.waiting {
		if it := r.waiting[i].item; it != nil && stored[it.like].seq != r.waiting[i].seq { // others say the same
			for n := 1; n < mostAlike; n++ {
				macs = append(macs, r.d.placeOf(it.like, n))
			}
		}
	}
	places, err := r.d.lookUp(ctx, macs)
	if err != nil {
		return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
	}
	maps.Copy(stored, places)
	for i := range r.waiting {
		t := &r.waiting[i]
		alike, err := r.isAlike(ctx, t, stored)
		if err != nil {
			return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
		}
		known := r.isKnown(t, stored)
		if !known && r.forgot { // a forgotten event took the row along: the tombstone keeps the record out
			if known, err = r.d.isErased(ctx, t.gone); err != nil {
				return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
			}
		}
		if !known || !alike {
			wanting = append(wanting, t.seq)
		}
	}
	r.waiting = r.waiting[:0]
	return wanting, nil
}

// isKnown reports whether the event is recognised by its key at the source: by a row of its own, or, where it says what was said
// before, by the row of the first that said so.
func (r *Recognition) isKnown(t *told, stored map[mac]seen) (known bool) {
	for _, way := range t.readings {
		if row, ok := stored[way.mac]; ok && row.seq <= t.seq && r.d.isSound(way.mac, row.content) && digest(row.content) == way.digest {
			known = true
			if row.seq == t.seq {
				r.rows++
			}
		}
	}
	return known
}

// isAlike reports whether the event, or another record of its message, is recognised by what it says.
func (r *Recognition) isAlike(ctx context.Context, t *told, stored map[mac]seen) (bool, error) {
	if t.item == nil {
		return true, nil
	}
	for n := range mostAlike {
		if row, ok := stored[r.d.placeOf(t.item.like, n)]; ok && row.seq == t.seq {
			r.rows++
			return r.isOf(t.imported, row.content), nil
		}
	}
	if t.linked {
		return r.isLinked(ctx, t)
	}
	first, ok := stored[t.item.like]
	// A mail that was stored before mails were recognised by their Message-ID has no row.
	return ok && first.seq < t.seq || r.forgot || t.item.mail, nil
}

// isOf reports whether the instance is that of the import.
func (r *Recognition) isOf(imported string, instance []byte) bool {
	if imported == "" || r.instances[imported] == "" { // one import, one instance
		r.instances[imported] = string(instance)
		return len(instance) == len(digest{})
	}
	return r.instances[imported] == string(instance)
}

// isLinked reports whether the row by which the event is linked is what was written. Events that were linked before there were such
// rows have none.
func (r *Recognition) isLinked(ctx context.Context, t *told) (bool, error) {
	for n := range mostAlike {
		links, err := r.d.linksTo(ctx, r.d.placeOf(t.item.like, n))
		if err != nil {
			return false, err
		}
		for link, row := range links {
			if row.seq == t.seq {
				r.rows++
				return bytes.Equal(row.content, r.d.linkSeal(link, row.seq)), nil
			}
		}
	}
	return true, nil
}

// tell computes how the event's record would be recognised.
func (d *Desk) tell(e *guia.Event) told {
	f := e.Fields
	t := told{seq: e.Seq, imported: f.Get("import")}
	types := []guia.Type{e.Type}
	edit := e.Type == guia.MessageEdited && f.Get("edit_of") == f.Get("source_key")
	if edit { // makeEdit has changed the type
		types = []guia.Type{guia.MessageSent, guia.MailSent}
	}
	for _, kind := range types {
		header := e.Header
		header.Type = kind
		it := &item{content: &vault.Content{Header: header, Fields: f, Stream: f.Get("conversation.key")}, text: e.Text()}
		if m, ok := e.Moment(); ok {
			it.minute = minuteOf(kind, m)
		}
		d.identify(Feed{Source: e.Source}, it)
		if !edit {
			t.readings = append(t.readings, reading{it.key, it.digest})
			if it.like != (mac{}) {
				t.item, t.linked = it, f.Get("same_as") != ""
			}
		}
		changed := d.editKey(e.Source, it, f.Get("source_key"))
		t.readings = append(t.readings, reading{changed, it.digest})
		if hasFile(f) { // or it brought an attachment that was missing
			it.digest = d.completed(it.digest)
			t.readings = append(t.readings, reading{d.editKey(e.Source, it, f.Get("source_key")), it.digest})
		}
	}
	return t
}

// editKey is by what an edit is recognised: key and content.
func (d *Desk) editKey(source guia.SourceName, it *item, key string) (m mac) {
	sum := d.vault.MAC("seen:edit", string(source), it.content.Stream, key, hex.EncodeToString(it.digest[:]))
	copy(m[:4], it.key[:4])
	copy(m[4:], sum[:])
	return m
}

// hasFile reports whether the event has the bytes of an attachment.
func hasFile(f guia.Fields) bool {
	return slices.ContainsFunc(f, func(field guia.Field) bool { return canon.IsFile(field.Name) && field.Name != "raw.file" })
}
