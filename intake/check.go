package intake

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

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
	forgot    bool             // somebody was forgotten: some rows are gone on purpose
	gone      map[int64]int    // forgotten events so far, by the minute in which they happened
	later     map[mac]guia.Seq // keys of which a later event must say again what was told last, and the first of each
	instances map[string]seen  // by import: what its first row says of the instance
	waiting   []told
	rows      int64 // that were accounted for
}

// told is a stored event of a source, as it would look when its record came again.
type told struct {
	seq      guia.Seq
	blame    []guia.Seq // the events one of whose rows is found wanting
	imported string
	key      mac
	edited   func(digest) mac // the row of the key's edit to a content
	readings []reading
	item     *item // with what it says; nil when that is never looked for
	linked   bool  // to another record of its message
	gone     mac   // the tombstone of its key, when one was set
	before   int   // how many forgotten events of its minute stand before it
	captured time.Time
}

// reading is one way in which the event may have become one: as a record of its own, or as an edit of a known one, with another content
// or with an attachment that was missing.
type reading struct {
	mac    mac
	digest digest
	change bool // of what was told last of the key
}

// CheckRecognition begins to compare. The ledger's check shows it the events in order.
func (d *Desk) CheckRecognition(ctx context.Context) (*Recognition, error) {
	r := &Recognition{d: d, size: d.ledger.Size(), gone: map[int64]int{}, later: map[mac]guia.Seq{}, instances: map[string]seen{}}
	var n int
	if err := d.ledger.Database().QueryRow(ctx, "SELECT COUNT(*) FROM intake_tombstone").Scan(&n); err != nil {
		return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
	}
	r.forgot = n > 0
	return r, nil
}

// See looks at one event and returns the events found wanting, this one or earlier ones.
func (r *Recognition) See(ctx context.Context, e *guia.Event) ([]guia.Seq, error) {
	if e.Source == guia.Own {
		return nil, nil
	}
	if len(e.Withheld) > 0 {
		r.gone[happened(e)]++
		return nil, nil
	}
	t := r.d.tell(e)
	if t.item != nil {
		t.before = r.gone[t.item.minute]
	}
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
	wanting = slices.AppendSeq(wanting, maps.Values(r.later))
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
		macs = append(macs, r.waiting[i].key)
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
		known, err := r.isKnown(ctx, t, stored)
		if err != nil {
			return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
		}
		if !known && r.forgot { // a forgotten event took the row along: the tombstone keeps the record out
			if known, err = r.d.isErased(ctx, t.gone); err != nil {
				return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
			}
		}
		if !known || !alike {
			wanting = append(wanting, t.blame...)
		}
	}
	r.waiting = r.waiting[:0]
	return wanting, nil
}

// isKnown reports whether the event is recognised by its key at the source: by a row of its own, or, where it says what was said
// before, by the row of the first that said so. Of a change the row of the key must tell.
func (r *Recognition) isKnown(ctx context.Context, t *told, stored map[mac]seen) (bool, error) {
	first, keyed := stored[t.key]
	keyed = keyed && first.seq <= t.seq && r.d.isSound(t.key, first.content)
	for _, way := range t.readings {
		row, ok := stored[way.mac]
		if !ok || row.seq != t.seq || !r.d.isSound(way.mac, row.content) || digest(row.content) != way.digest {
			continue
		}
		r.rows++
		if way.change {
			return r.isLatest(ctx, t, []digest{way.digest}, first, keyed)
		}
		return keyed, nil
	}
	var back []digest // what it may tell once more: a content, or that with other times
	for _, way := range t.readings {
		row, ok := stored[way.mac]
		if !ok || !way.change || row.seq >= t.seq || !bytes.Equal(row.content, way.digest[:]) {
			continue
		}
		e, err := r.d.ledger.Event(ctx, row.seq) // rare: it was edited back
		if err != nil && guia.KindOf(err) != guia.Damaged {
			return false, err
		}
		if err == nil && slices.Contains(r.d.tell(&e).readings, way) {
			back = append(back, way.digest)
		}
	}
	if len(back) == 0 {
		return false, nil
	}
	return r.isLatest(ctx, t, back, first, keyed)
}

// isLatest reports whether the row of a key tells of a change: what it says was told last is what this event may tell, or a later one does.
func (r *Recognition) isLatest(ctx context.Context, t *told, told []digest, first seen, keyed bool) (bool, error) {
	if !keyed {
		return false, nil
	}
	t.blame[0] = first.seq
	if len(first.content) != fullContent {
		return false, nil
	}
	latest, by := digest(first.content[8:]), digest(first.content[16:])
	if slices.Contains(told, latest) && by == tagIn(t.imported) {
		delete(r.later, t.key)
		return true, nil
	}
	edit := t.edited(latest)
	stored, err := r.d.lookUp(ctx, []mac{edit})
	if err != nil {
		return false, err
	}
	if stored[edit].seq <= t.seq { // else the event that told it first comes later, and is asked then
		r.later[t.key] = first.seq
	}
	return true, nil
}

// isAlike reports whether the event, or another record of its message, is recognised by what it says.
func (r *Recognition) isAlike(ctx context.Context, t *told, stored map[mac]seen) (bool, error) {
	if t.item == nil {
		return true, nil
	}
	own, sound, err := r.links(ctx, t)
	if err != nil {
		return false, err
	}
	taken, later := 0, 0
	for n := range mostAlike {
		row, ok := stored[r.d.placeOf(t.item.like, n)]
		switch {
		case ok && row.seq == t.seq:
			own++
			sound = sound && r.isOf(t, row.content)
		case ok && row.seq < t.seq:
			taken++
		case ok:
			later++
		}
	}
	if own > 0 || t.linked { // with one row: who takes the place of a forgotten record is no longer linked to it
		r.rows += int64(own)
		return own == 1 && sound, nil
	}
	// Else it would have got a place. The place of a forgotten one may have gone to a later one, and is never empty: see findNext.
	return taken+min(later, t.before) >= mostAlike || t.item.mail && t.captured.Before(mailsRecognised), nil
}

// mailsRecognised is since when mails are recognised by their Message-ID: those that were stored before have no row of it.
var mailsRecognised = time.Date(2026, 11, 22, 2, 13, 17, 0, time.UTC)

// happened is the minute in which an event happened, 0 when that is unknown. It stays when a person is forgotten.
func happened(e *guia.Event) int64 {
	if m, ok := e.Moment(); ok {
		return minuteOf(e.Type, m)
	}
	return 0
}

// isOf reports whether the instance is that of the event's import: one import, one instance. Of two that differ both are to blame.
func (r *Recognition) isOf(t *told, instance []byte) bool {
	first, known := r.instances[t.imported]
	if t.imported == "" || !known {
		r.instances[t.imported] = seen{t.seq, instance}
		return len(instance) == len(digest{})
	}
	if bytes.Equal(first.content, instance) {
		return true
	}
	t.blame = append(t.blame, first.seq)
	return false
}

// links counts the rows by which the event is linked, and reports whether they are what was written.
func (r *Recognition) links(ctx context.Context, t *told) (n int, sound bool, err error) {
	sound = true
	if !t.linked {
		return 0, sound, nil
	}
	for place := range mostAlike {
		links, err := r.d.linksTo(ctx, r.d.placeOf(t.item.like, place))
		if err != nil {
			return n, false, err
		}
		for link, row := range links {
			if row.seq == t.seq {
				n++
				sound = sound && bytes.Equal(row.content, r.d.linkSeal(link, row.seq))
			}
		}
	}
	return n, sound, nil
}

// tell computes how the event's record would be recognised.
func (d *Desk) tell(e *guia.Event) told {
	f := e.Fields
	stream, key := f.Get("conversation.key"), f.Get("source_key")
	t := told{seq: e.Seq, blame: []guia.Seq{e.Seq}, captured: e.Captured, imported: f.Get("import"), key: d.seenKey(e.Source, stream, key)}
	t.edited = func(to digest) mac { return d.editKey(e.Source, stream, key, to) }
	types := []guia.Type{e.Type}
	if e.Type == guia.MessageEdited && f.Get("edit_of") == key { // makeEdit may have changed the type
		types = append(types, guia.MessageSent, guia.MailSent)
	}
	for _, kind := range types {
		header := e.Header
		header.Type = kind
		it := &item{content: &vault.Content{Header: header, Fields: f, Stream: stream}, text: e.Text()}
		if m, ok := e.Moment(); ok {
			it.minute = minuteOf(kind, m)
		}
		d.identify(Feed{Source: e.Source}, it)
		if kind == e.Type {
			t.readings = append(t.readings, reading{it.key, it.digest, false})
			if it.like != (mac{}) {
				t.item, t.linked = it, f.Get("same_as") != ""
			}
		}
		t.readings = append(t.readings, reading{t.edited(it.digest), it.digest, true})
		if hasFile(f) { // or it brought an attachment that was missing
			completed := d.completed(it.digest)
			t.readings = append(t.readings, reading{t.edited(completed), completed, false})
		}
		if !isMessage(kind) && when(f) != "" { // or it told other times
			corrected := d.corrected(it.digest, f)
			t.readings = append(t.readings, reading{t.edited(corrected), corrected, !e.Captured.Before(timesTold)})
		}
	}
	return t
}

// Invented looks, when there are more rows than there should be, for those that belong to no event, and returns the events that they
// name: not all of them when there are many.
func (r *Recognition) Invented(ctx context.Context) ([]guia.Seq, error) {
	const most = 100
	rows, err := r.d.ledger.Database().Query(ctx, "SELECT mac, seq, content FROM intake_seen")
	if err != nil {
		return nil, fmt.Errorf("check recognition: %w", db.Explain(err))
	}
	defer rows.Close()
	var found []guia.Seq
	for len(found) < most && rows.Next() {
		var key, content []byte
		var seq uint64
		if err := rows.Scan(&key, &seq, &content); err != nil {
			return found, fmt.Errorf("check recognition: %w", db.Explain(err))
		}
		belongs, err := r.belongs(ctx, key, guia.Seq(seq), content)
		if err != nil {
			return found, fmt.Errorf("check recognition: %w", db.Explain(err))
		}
		if !belongs {
			found = append(found, guia.Seq(seq))
		}
	}
	return found, db.Explain(rows.Err())
}

// belongs reports whether a row is one of the event that it names.
func (r *Recognition) belongs(ctx context.Context, key []byte, seq guia.Seq, content []byte) (bool, error) {
	if len(key) != len(mac{}) || seq >= r.size {
		return seq >= r.size && len(key) == len(mac{}) && r.d.ledger.Size() > seq, nil // taken in meanwhile
	}
	m := mac(key)
	if bytes.Equal(content, r.d.linkSeal(m, seq)) {
		return true, nil
	}
	e, err := r.d.ledger.Event(ctx, seq)
	if guia.KindOf(err) == guia.Damaged {
		return false, nil
	}
	if err != nil || e.Source == guia.Own || len(e.Withheld) > 0 {
		return false, err
	}
	t := r.d.tell(&e)
	for n := range mostAlike {
		if t.item != nil && r.d.placeOf(t.item.like, n) == m {
			return true, nil
		}
	}
	return slices.ContainsFunc(t.readings, func(way reading) bool { return way.mac == m }), nil
}

// hasFile reports whether the event has the bytes of an attachment.
func hasFile(f guia.Fields) bool {
	return slices.ContainsFunc(f, func(field guia.Field) bool { return canon.IsFile(field.Name) && field.Name != "raw.file" })
}
