// Package people answers who was in which department on a given day.
//
// The model: a person is a pseudonym for one identifier at one source. Two kinds of fact say something about them. A directory entry
// (person.seen) holds from a day on, until a day or until another entry with a later day takes over; person.left ends them all, and
// says how the person was last known. A message is weaker: it shows which name, department, address, phone and title its sender had
// on that day, as far as it tells them, until another message shows another, and counts only where no directory entry of that day says otherwise. A further name (guia.AlsoKnownAs) is found and holds on no day. From the facts follow the intervals: [Entry] is one stretch of days on which
// nothing changed, with the events that say so. A day is a calendar day in Macau; what a source told as a day stays that day.
//
// Of somebody who left, a source may tell nothing but that: how they were last known then holds for the days on which messages show
// them, as far as nothing else was told of these days, and where no message shows them, since a day that nobody knows. A source that
// tells no day is believed from the day on which we read it, and the answer says that it may have been earlier.
//
// Guaranteed: the answers follow from the set of facts, not from the order in which they arrived, so that a backfill, a crash and a
// rebuild give the same. Of two entries that begin on the same day the one told later wins, by the source's time, then by ours, then
// by the place in the ledger. What came from events whose keys were destroyed (keys.destroyed) is in neither the file nor its log
// afterwards.
//
// The same person at two sources stays two people here; [People.Candidates] offers who it might be, and never decides.
//
// Not guaranteed: that a directory tells the truth, or tells of every change; between two sightings the earlier one is taken to
// hold. What happened between two changes of one day is not told: a day has the state of its end.
//
// The file is a follower's: it is plaintext at rest, stays out of backups, and can be deleted at any time.
package people

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"guia"
	"guia/canon"
	"guia/db"
	"guia/lang"
)

// People is the open directory of people. Methods may be called by many goroutines; Apply by one at a time.
type People struct {
	db     *db.DB
	person func(source guia.SourceName, key string) guia.PersonID
	mu     sync.Mutex // Apply and Settle; guards the memory of ids
	ids    ids
	onStep func() // before the file is cleaned: the crash test listens here
}

// schemaVersion says how the file is laid out and how its texts are folded; a file with another number is rebuilt.
const schemaVersion = 1000*lang.FoldVersion + 5

// Open opens or creates the file at path. A file of another version, or one that is no longer readable, is thrown away: its cursor
// begins at 0 again. person returns the pseudonym of an identifier (the bytes of vault.PersonOwner).
func Open(path string, person func(source guia.SourceName, key string) guia.PersonID) (*People, error) {
	p, err := open(path, person)
	if err == nil || guia.KindOf(err) != guia.Damaged {
		return p, err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("throw away people: %w", err)
		}
	}
	return open(path, person)
}

func open(path string, person func(source guia.SourceName, key string) guia.PersonID) (*People, error) {
	ctx := context.Background()
	d, err := db.Open(ctx, path, db.Options{Durability: db.Disposable, Forgetful: true, Readers: 2})
	if err != nil {
		return nil, err
	}
	p := &People{db: d, person: person, onStep: func() {}}
	p.ids.forget()
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open people: %w", err), d.Close())
	}
	return p, nil
}

var schema = []string{
	`CREATE TABLE people_state (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, next INTEGER NOT NULL, unclean INTEGER NOT NULL)`,
	`CREATE TABLE people_person (id INTEGER PRIMARY KEY, person BLOB NOT NULL UNIQUE, source TEXT NOT NULL, key TEXT NOT NULL)`,
	// What a fact says; folded is what Find looks through, address_folded what links candidates.
	`CREATE TABLE people_value (id INTEGER PRIMARY KEY, said TEXT NOT NULL UNIQUE, folded TEXT NOT NULL, address_folded TEXT NOT NULL)`,
	// One directory entry. until is 0 when open, and since when it tells a name and held on no day; gone is 1 for person.left, observed is 1 when since is the day of capture; value is 0
	// where nothing is said.
	`CREATE TABLE people_entry (seq INTEGER PRIMARY KEY, person INTEGER NOT NULL, value INTEGER NOT NULL, gone INTEGER NOT NULL, observed INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, told INTEGER NOT NULL, captured INTEGER NOT NULL)`,
	`CREATE INDEX people_entry_person ON people_entry (person)`,
	// The messages of one day that showed their sender the same way: pairs of place and millisecond of the day.
	`CREATE TABLE people_shown (person INTEGER NOT NULL, value INTEGER NOT NULL, day INTEGER NOT NULL, seqs BLOB NOT NULL, PRIMARY KEY (person, value, day)) WITHOUT ROWID`,
	// What a conversation was called last, by the event that first called it so.
	`CREATE TABLE people_conversation (stream BLOB PRIMARY KEY, seq INTEGER NOT NULL, folded TEXT NOT NULL)`,
	`CREATE INDEX people_shown_value ON people_shown (value)`,
	`CREATE INDEX people_entry_value ON people_entry (value)`,
	`INSERT INTO people_state (one, version, next, unclean) VALUES (1, ` + strconv.Itoa(schemaVersion) + `, 0, 0)`,
}

// tables are in the order in which they are dropped.
var tables = []string{"people_state", "people_person", "people_value", "people_entry", "people_shown", "people_conversation"}

// prepare makes the tables, or makes them anew when the file is of another version, and finishes a cleaning that a crash interrupted.
func (p *People) prepare(ctx context.Context) error {
	var version, unclean int
	err := p.db.QueryRow(ctx, "SELECT version, unclean FROM people_state WHERE one = 1").Scan(&version, &unclean)
	if err != nil || version != schemaVersion {
		if guia.KindOf(err) == guia.Damaged || err != nil && strings.Contains(err.Error(), "malformed") {
			return guia.RefuseCause(guia.Damaged, err, "people.damaged")
		}
		return p.restart(ctx)
	}
	if unclean != 0 {
		return p.clean(ctx)
	}
	return nil
}

// restart empties the file: the cursor is at 0 and nothing of the earlier content is left in it.
func (p *People) restart(ctx context.Context) error {
	err := p.db.Write(ctx, func(tx *db.Tx) error {
		for _, table := range tables {
			if _, err := tx.Exec("DROP TABLE IF EXISTS " + table); err != nil {
				return err
			}
		}
		for _, statement := range schema {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.ids.forget()
	return p.db.Scrub(ctx, true)
}

// Settle throws the content away when the cursor is ahead of a ledger of that size: the file has seen another ledger, from before a
// restore. To be called before the ledger catches its followers up.
func (p *People) Settle(ctx context.Context, size guia.Seq) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, err := p.Cursor(ctx)
	if err != nil || at <= size {
		return err
	}
	return p.restart(ctx)
}

// Close closes the file.
func (p *People) Close() error { return p.db.Close() }

// Name implements [guia/ledger.Follower].
func (p *People) Name() string { return "people" }

// Cursor implements [guia/ledger.Follower].
func (p *People) Cursor(ctx context.Context) (next guia.Seq, err error) {
	var n uint64
	err = p.db.QueryRow(ctx, "SELECT next FROM people_state WHERE one = 1").Scan(&n)
	return guia.Seq(n), err
}

// Apply implements [guia/ledger.Follower]: facts and cursor are stored in one transaction. When an event tells of destroyed keys, what
// came from the events concerned is gone from the file and its log on return; a crash in between is made good by Open.
func (p *People) Apply(ctx context.Context, events []guia.Event, next guia.Seq) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	forgot := false
	err := p.db.Write(ctx, func(tx *db.Tx) error {
		b := batch{ids: &p.ids, tx: tx, shown: map[shownKey][]byte{}}
		for i := range events {
			e := &events[i]
			if e.Type == guia.KeysDestroyed && e.Source == guia.Own {
				places, err := canon.ParseSeqs(e.Fields.Get("seqs"))
				if err != nil {
					return fmt.Errorf("event %d: %w", e.Seq, err)
				}
				if len(places) == 0 {
					continue // the end of a destruction, recorded apart
				}
				if err := b.flush(); err != nil { // what is to be forgotten may be in this batch
					return err
				}
				if err := b.forget(places); err != nil {
					return err
				}
				forgot = true
				continue
			}
			if err := p.take(&b, e); err != nil {
				return err
			}
		}
		if err := b.flush(); err != nil {
			return err
		}
		if forgot {
			if _, err := tx.Exec("UPDATE people_state SET unclean = 1 WHERE one = 1"); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE people_state SET next = ? WHERE one = 1", uint64(next))
		return err
	})
	if err != nil {
		p.ids.forget() // some of them may have been undone
	}
	if err != nil || !forgot {
		return err
	}
	return p.clean(ctx)
}

// clean rewrites the file without what was deleted: overwriting alone (secure_delete) was seen leaving a copy of a deleted row where
// a page had been split, one in thirteen thousand.
func (p *People) clean(ctx context.Context) error {
	p.onStep()
	if err := p.db.Scrub(ctx, true); err != nil {
		return err
	}
	err := p.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE people_state SET unclean = 0 WHERE one = 1")
		return err
	})
	if err != nil {
		return err
	}
	return p.db.Scrub(ctx, false)
}

// value is what a fact says of a person.
type value struct {
	name, department, address, phone, title string
}

// parts is how many a value has.
const parts = 5

func (v *value) parts() [parts]*string {
	return [parts]*string{&v.name, &v.department, &v.address, &v.phone, &v.title}
}

// valueOf reads the fields that a fact may have.
func valueOf(f guia.Fields) value {
	return value{f.Get("sender.name"), f.Get("department"), f.Get("sender.address"), f.Get("sender.phone"), f.Get("sender.title")}
}

// separator cannot be in a value that people see; clean texts have no control characters of this kind.
const separator = "\x1f"

func (v value) String() string {
	said := make([]string, parts)
	for i, part := range v.parts() {
		said[i] = strings.ReplaceAll(*part, separator, " ")
	}
	return strings.Join(said, separator)
}

func parseValue(s string) (value, error) {
	said := strings.Split(s, separator)
	if len(said) != parts {
		return value{}, guia.Refuse(guia.Damaged, "people.damaged")
	}
	return value{said[0], said[1], said[2], said[3], said[4]}, nil
}

// take adds what one event says to the batch.
func (p *People) take(b *batch, e *guia.Event) error {
	if name := e.Fields.Get("conversation.name"); name != "" && b.conversations[e.Stream] != name {
		if err := b.callConversation(e, name); err != nil {
			return err
		}
	}
	key := e.Fields.Get("sender.key")
	switch e.Type {
	case guia.PersonSeen, guia.PersonLeft:
		if key == "" {
			key = e.Fields.Get("person.key")
		}
	case guia.MessageSent, guia.MessageEdited, guia.MailSent, guia.FileShared:
	default:
		return nil
	}
	if key == "" || e.Source == guia.Own {
		return nil
	}
	v := valueOf(e.Fields)
	told, precision := e.Captured, guia.Millisecond
	hasTime := false
	if m, ok := e.Moment(); ok {
		told, precision, hasTime = m.Time, m.Precision, true
	}
	if e.Type == guia.PersonSeen || e.Type == guia.PersonLeft {
		return p.takeEntry(b, e, key, v, told, precision, hasTime)
	}
	if v == (value{}) {
		return nil
	}
	// Without a usable time it counts as shown on the day it was captured: somebody who is never found would be worse.
	day := dayOf(told, precision)
	person, err := b.personID(p.person(e.Source, key), e.Source, key)
	if err != nil {
		return err
	}
	id, err := b.valueID(v)
	if err != nil {
		return err
	}
	at := shownKey{person, id, day}
	pair := binary.AppendUvarint(b.shown[at], uint64(e.Seq))
	b.shown[at] = binary.AppendUvarint(pair, uint64(max(0, told.Sub(day.start(precision)).Milliseconds())))
	return nil
}

// takeEntry stores a directory entry.
func (p *People) takeEntry(b *batch, e *guia.Event, key string, v value, told time.Time, precision guia.Precision, hasTime bool) error {
	since, dated := dayOf(told, precision), hasTime
	until, hasUntil := parsedDay(e.Fields.Get("valid.until"))
	left := e.Type == guia.PersonLeft
	if from, ok := parsedDay(e.Fields.Get("valid.from")); ok && !left { // of somebody who left it would be their first day
		since, dated = from, true
	}
	if left && hasUntil {
		since, dated, until, hasUntil = until, true, 0, false
	}
	switch {
	case !left && e.Fields.Get("subject") == guia.AlsoKnownAs:
		since = max(since, 1)
		until = since // a name to be found by
	case hasUntil && until <= since:
		return nil // it held on no day
	}
	person, err := b.personID(p.person(e.Source, key), e.Source, key)
	if err != nil {
		return err
	}
	id := int64(0)
	if !left || v != (value{}) {
		if id, err = b.valueID(v); err != nil {
			return err
		}
	}
	at := int64(0)
	if hasTime {
		at = told.UnixMilli()
	}
	_, err = b.tx.Exec("INSERT INTO people_entry (seq, person, value, gone, observed, since, until, told, captured) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING",
		uint64(e.Seq), person, id, flag(left), flag(!dated), int64(since), int64(until), at, e.Captured.UnixMilli())
	return err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

type shownKey struct {
	person, value int64
	day           Day
}

// batch collects what the events of one Apply say.
type batch struct {
	*ids
	tx    *db.Tx
	shown map[shownKey][]byte
}

// ids remembers the rows of persons and values.
type ids struct {
	persons       map[guia.PersonID]int64
	values        map[value]int64
	conversations map[guia.StreamID]string
}

// mostIDs is how many of each are remembered before memory starts afresh: some 20 MB.
const mostIDs = 65536

func (i *ids) forget() {
	i.persons, i.values, i.conversations = map[guia.PersonID]int64{}, map[value]int64{}, map[guia.StreamID]string{}
}

// callConversation stores what a conversation is called from this event on.
func (b *batch) callConversation(e *guia.Event, name string) error {
	if len(b.conversations) >= mostIDs {
		b.ids.forget()
	}
	b.conversations[e.Stream] = name
	_, err := b.tx.Exec("INSERT INTO people_conversation (stream, seq, folded) VALUES (?, ?, ?) ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, folded = excluded.folded",
		e.Stream[:], uint64(e.Seq), lang.Fold(name))
	return err
}

func (b *batch) personID(person guia.PersonID, source guia.SourceName, key string) (id int64, err error) {
	if id, ok := b.persons[person]; ok {
		return id, nil
	}
	if len(b.persons) >= mostIDs || len(b.values) >= mostIDs {
		b.ids.forget()
	}
	if _, err := b.tx.Exec("INSERT INTO people_person (person, source, key) VALUES (?, ?, ?) ON CONFLICT (person) DO NOTHING", person[:], string(source), key); err != nil {
		return 0, err
	}
	err = b.tx.QueryRow("SELECT id FROM people_person WHERE person = ?", []any{person[:]}, &id)
	b.persons[person] = id
	return id, err
}

func (b *batch) valueID(v value) (id int64, err error) {
	if id, ok := b.values[v]; ok {
		return id, nil
	}
	said := v.String()
	folded := lang.Fold(v.name) + separator + lang.Fold(v.address)
	if _, err := b.tx.Exec("INSERT INTO people_value (said, folded, address_folded) VALUES (?, ?, ?) ON CONFLICT (said) DO NOTHING", said, folded, foldAddress(v.address)); err != nil {
		return 0, err
	}
	err = b.tx.QueryRow("SELECT id FROM people_value WHERE said = ?", []any{said}, &id)
	b.values[v] = id
	return id, err
}

// flush stores the collected messages.
func (b *batch) flush() error {
	for at, pairs := range b.shown {
		_, err := b.tx.Exec("INSERT INTO people_shown (person, value, day, seqs) VALUES (?, ?, ?, ?) ON CONFLICT (person, value, day) DO UPDATE SET seqs = CAST(people_shown.seqs || excluded.seqs AS BLOB)",
			at.person, at.value, int64(at.day), pairs)
		if err != nil {
			return err
		}
	}
	clear(b.shown)
	return nil
}

// forget removes what came from the events at these places, and the persons and values that nothing speaks of any more.
func (b *batch) forget(places []guia.Seq) error {
	gone := make(map[guia.Seq]bool, len(places))
	for _, seq := range places {
		gone[seq] = true
		if _, err := b.tx.Exec("DELETE FROM people_entry WHERE seq = ?", uint64(seq)); err != nil {
			return err
		}
		// The name may hang on keys that are still there; the next message tells it again.
		if _, err := b.tx.Exec("DELETE FROM people_conversation WHERE seq = ?", uint64(seq)); err != nil {
			return err
		}
	}
	changed, err := b.shownBut(gone)
	if err != nil {
		return err
	}
	for at, pairs := range changed {
		if len(pairs) == 0 {
			_, err = b.tx.Exec("DELETE FROM people_shown WHERE person = ? AND value = ? AND day = ?", at.person, at.value, int64(at.day))
		} else {
			_, err = b.tx.Exec("UPDATE people_shown SET seqs = ? WHERE person = ? AND value = ? AND day = ?", pairs, at.person, at.value, int64(at.day))
		}
		if err != nil {
			return err
		}
	}
	for _, statement := range []string{
		"DELETE FROM people_value WHERE id NOT IN (SELECT value FROM people_entry) AND id NOT IN (SELECT value FROM people_shown)",
		"DELETE FROM people_person WHERE id NOT IN (SELECT person FROM people_entry) AND id NOT IN (SELECT person FROM people_shown)",
	} {
		if _, err := b.tx.Exec(statement); err != nil {
			return err
		}
	}
	b.ids.forget()
	return nil
}

// shownBut returns the rows of messages that change when the places are forgotten, with what is left of them.
func (b *batch) shownBut(gone map[guia.Seq]bool) (map[shownKey][]byte, error) {
	rows, err := b.tx.Query("SELECT person, value, day, seqs FROM people_shown")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	changed := map[shownKey][]byte{}
	for rows.Next() {
		var at shownKey
		var day int64
		var pairs []byte
		if err := rows.Scan(&at.person, &at.value, &day, &pairs); err != nil {
			return nil, err
		}
		at.day = Day(day)
		kept := make([]byte, 0, len(pairs))
		err := eachShown(pairs, func(seq guia.Seq, ms uint64) {
			if !gone[seq] {
				kept = binary.AppendUvarint(binary.AppendUvarint(kept, uint64(seq)), ms)
			}
		})
		if err != nil {
			return nil, err
		}
		if len(kept) != len(pairs) {
			changed[at] = kept
		}
	}
	return changed, rows.Err()
}

// eachShown reads the pairs of a row of messages.
func eachShown(pairs []byte, fn func(seq guia.Seq, ms uint64)) error {
	for len(pairs) > 0 {
		seq, n := binary.Uvarint(pairs)
		if n <= 0 {
			return guia.Refuse(guia.Damaged, "people.damaged")
		}
		ms, m := binary.Uvarint(pairs[n:])
		if m <= 0 {
			return guia.Refuse(guia.Damaged, "people.damaged")
		}
		fn(guia.Seq(seq), ms)
		pairs = pairs[n+m:]
	}
	return nil
}

// foldAddress is how addresses are compared: "Chan@Example.mo" and "chan@example.mo" are one mailbox in practice.
func foldAddress(s string) string { return strings.TrimSpace(strings.ToLower(s)) }
