package intake

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"guia"
	"guia/db"
	"guia/vault"
)

// version is what is known of one key at a source: what was told of it first, what was told last, and by which import. Another content
// than the last is an edit, also when it is an earlier one again: a message may be edited back to its former text.
//
// An import tells the state of its source at one moment. Where it tells several contents of one key, it tells of no moment, and from
// then on each content counts once: a table may hold rows of one identifier that are not one record. And what an import tells that
// reads its source again was known the first time.
type version struct {
	key           mac
	seq           guia.Seq // of the first
	first, latest digest
	by            digest // the import that told the latest: the beginning of its identifier
	many          bool   // one import told several contents
	plain         bool   // the row does not say what was told last

	here    map[digest]*vault.Content // told in this page
	changed bool
}

type digest [8]byte

// versions are the keys of a page.
type versions map[mac]*version

// The content of the row of a key: the digest of the first content; when there was another, also that of the latest, the import that
// told it, whether one import told several, and a keyed hash over all that, because no event says it.
const (
	plainContent = 8
	stateContent = 3*8 + 1
	fullContent  = stateContent + 8
)

// version returns what is known of the item's key as of this place in the page; first when it was never told.
func (d *Desk) version(t versions, it *item, feed Feed, known map[mac]seen) (v *version, first bool, err error) {
	if v = t[it.key]; v != nil {
		return v, false, nil
	}
	v = &version{key: it.key, here: map[digest]*vault.Content{}}
	t[it.key] = v
	row, stored := known[it.key]
	if !stored {
		v.first, v.latest, v.by = it.digest, it.digest, tagOf(feed)
		v.here[it.digest] = it.content
		return v, true, nil
	}
	v.seq = row.seq
	if !d.isSound(it.key, row.content) {
		return nil, false, guia.Refuse(guia.Damaged, "intake.seen_damaged")
	}
	v.first, v.latest, v.plain = digest(row.content), digest(row.content), len(row.content) == plainContent
	if !v.plain {
		v.latest, v.by, v.many = digest(row.content[8:]), digest(row.content[16:]), row.content[24] != 0
	}
	return v, false, nil
}

// Latest returns the place of the version that was told last of the record of this event, where imports told its key with several
// contents one after the other; the event's own place where nothing else is known. Edits of which a source tells by a record of their
// own have keys of their own. Of a text that came back more than once it is where it was told before.
func (d *Desk) Latest(ctx context.Context, e *guia.Event) (guia.Seq, error) {
	stream, key := e.Fields.Get("conversation.key"), e.Fields.Get("source_key")
	first := d.seenKey(e.Source, stream, key)
	rows, err := d.lookUp(ctx, []mac{first})
	row, known := rows[first]
	if err != nil || !known || !d.isSound(first, row.content) || len(row.content) == plainContent || row.content[stateContent-1] != 0 {
		return e.Seq, err
	}
	edit := d.editKey(e.Source, stream, key, digest(row.content[8:]))
	if rows, err = d.lookUp(ctx, []mac{edit}); err != nil || rows[edit].seq == 0 {
		return e.Seq, err
	}
	return rows[edit].seq, nil
}

// isSound reports whether the content of the row of a key is what was written.
func (d *Desk) isSound(key mac, content []byte) bool {
	switch len(content) {
	case plainContent:
		return true
	case fullContent:
		return bytes.Equal(d.sealed(key, content[:stateContent]), content)
	}
	return false
}

// sealed appends the keyed hash to what is known of a key.
func (d *Desk) sealed(key mac, state []byte) []byte {
	sum := d.vault.MAC("seen:state", string(key[:]), string(state))
	return slices.Concat(state, sum[:8])
}

// tagIn is the tag in the field that names the import.
func tagIn(imported string) digest {
	id, _ := guia.ParseID16(imported) // without an import it is empty
	return digest(id[:8])
}

func tagOf(feed Feed) digest { return digest(feed.Import[:8]) }

// importOf is the field that names the import.
func importOf(feed Feed) string {
	if feed.Import == (guia.RecordID{}) {
		return ""
	}
	return feed.Import.String()
}

// isNews reports whether the record tells of its key what is to be kept.
func (d *Desk) isNews(ctx context.Context, feed Feed, v *version, it *item, known map[mac]seen) (bool, error) {
	content := it.digest
	if err := d.addTimes(ctx, feed, v, it, known); err != nil {
		return false, err
	}
	if changed, err := d.isChange(ctx, feed, v, it, known); changed || err != nil {
		return changed, err
	}
	it.digest = content
	return d.isCompletion(ctx, v, it)
}

// isChange reports whether the record tells another content than was told last, and takes it for the latest.
func (d *Desk) isChange(ctx context.Context, feed Feed, v *version, it *item, known map[mac]seen) (bool, error) {
	if it.digest == v.latest {
		return false, nil
	}
	_, told := known[d.editKeyOf(it)]
	told = told || it.digest == v.first || v.here[it.digest] != nil
	if told && (v.many || v.plain || feed.Again) {
		return false, nil
	}
	mine := v.by == tagOf(feed)
	if v.plain {
		first, err := d.ledger.Event(ctx, v.seq)
		if err != nil {
			return false, err
		}
		mine = first.Fields.Get("import") == importOf(feed)
	}
	v.many, v.changed = v.many || mine, true
	if told && mine {
		return false, nil
	}
	v.latest, v.by, v.plain = it.digest, tagOf(feed), false
	v.here[it.digest] = it.content
	return true, nil
}

// isCompletion reports whether a record whose content is known brings the bytes of an attachment that was missing when it was stored
// first, and was not brought since.
func (d *Desk) isCompletion(ctx context.Context, v *version, it *item) (bool, error) {
	if len(it.content.Files) == 0 || it.digest != v.first || len(v.here) > 0 {
		return false, nil
	}
	if ok, err := d.completes(ctx, v.seq, it.content); err != nil || !ok {
		return false, err
	}
	it.digest = d.completed(it.digest)
	key := d.editKeyOf(it)
	known, err := d.lookUp(ctx, []mac{key})
	if _, brought := known[key]; err != nil || brought {
		return false, err
	}
	v.here[it.digest] = it.content
	return true, nil
}

// timesTold is since when other times are versions like other contents: before, some were stored and not remembered as what was told last,
// and some not stored.
var timesTold = time.Date(2026, 11, 22, 6, 58, 0, 0, time.UTC)

// addTimes makes the times of a record that is no message a part of its digest where they are others than when its content was told first:
// the same row read with a corrected mapping, or a row of a table in which only the time is another one. Of a record that only says that
// something is there the time is often that of the listing: it counts when the bytes are the same and only the reading is another one.
func (d *Desk) addTimes(ctx context.Context, feed Feed, v *version, it *item, known map[mac]seen) error {
	c := it.content
	if isMessage(c.Header.Type) || when(c.Fields) == "" {
		return nil
	}
	first, err := d.telling(ctx, v, it, known)
	if err != nil || first == nil || when(first.Fields) == when(c.Fields) {
		return err
	}
	reread := c.Header.Type == guia.RecordKept || bytes.Equal(first.Fields.Bytes("raw"), c.Fields.Bytes("raw"))
	if reread && !(feed.Again && first.Captured.Before(timesTold)) {
		it.digest = d.corrected(it.digest, c.Fields)
		return d.lookUpMore(ctx, known, d.editKeyOf(it))
	}
	if v.latest == it.digest { // else its times may have been corrected since
		return nil
	}
	last := *it
	last.digest = v.latest
	if err := d.lookUpMore(ctx, known, d.editKeyOf(&last)); err != nil {
		return err
	}
	latest, err := d.telling(ctx, v, &last, known)
	if err == nil && latest != nil && d.corrected(it.digest, latest.Fields) == v.latest {
		it.digest = v.latest
	}
	return err
}

// telling returns what told the item's digest of its key first, nil when nothing did.
func (d *Desk) telling(ctx context.Context, v *version, it *item, known map[mac]seen) (*guia.Event, error) {
	row, stored := known[d.editKeyOf(it)]
	switch here := v.here[it.digest]; {
	case it.digest == v.first && v.seq != 0:
		row.seq = v.seq
	case !stored && here != nil:
		return &guia.Event{Header: here.Header, Fields: here.Fields}, nil
	case !stored:
		return nil, nil
	}
	e, err := d.ledger.Event(ctx, row.seq)
	return &e, err
}

// lookUpMore completes what is known by the row of one more key.
func (d *Desk) lookUpMore(ctx context.Context, known map[mac]seen, key mac) error {
	more, err := d.lookUp(ctx, []mac{key})
	maps.Copy(known, more)
	return err
}

// when is what an event says of times, empty when nothing.
func when(f guia.Fields) string {
	all := f.Get("time") + "\n" + f.Get("valid.from") + "\n" + f.Get("valid.until")
	return strings.TrimRight(all, "\n")
}

// rememberVersions writes what was told last of the keys of a page into their rows.
func (d *Desk) rememberVersions(tx *db.Tx, t versions) error {
	for _, v := range t {
		if !v.changed {
			continue
		}
		state := slices.Concat(v.first[:], v.latest[:], v.by[:], []byte{0})
		if v.many {
			state[stateContent-1] = 1
		}
		if _, err := tx.Exec("UPDATE intake_seen SET content = ? WHERE mac = ?", d.sealed(v.key, state), v.key[:]); err != nil {
			return err
		}
	}
	return nil
}
