// Package evidence packs what a court will ask for.
//
// The model: a case is a name and a growing set of events. It is opened, added to and exported by acts that stand in the ledger
// themselves (case.opened, case.added, bundle.started, bundle.exported), each under the permission of whoever acts; an event that
// the actor may not see cannot be added or exported. A bundle ([Build]) is one file that a stranger checks without us: the events
// of a case as docs/format/bundle.md fixes them, with what is withheld as commitments only, the originals of attachments, who
// handled them, and a page that people read. Every bundle is two events: the intent before the first byte, the outcome with the
// digest of the file after the last.
//
// Guarantees: what a [Redaction] withholds is in no file of the bundle: the page and the cover are made from the very lines that
// the bundle discloses and from nothing else. A file under the requested name is whole and its digest is in the ledger; a crash
// leaves no such file, or leaves one whose outcome is missing, which [Unfinished] finds; or an empty one, where there are no hard links.
//
// Not guaranteed: that the case holds every event about a matter; that nobody speaks of a withheld person in words that are none of
// their names (see passage= in [ParseRedaction]); that attachments, whose bytes are not searched, are free of it.
package evidence

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"guia"
	"guia/canon"
	"guia/lang"
	"guia/ledger"
	"guia/permit"
)

// Case is a set of events under a name.
type Case struct {
	ID     guia.RecordID // of the event case.opened
	Number int           // counted from 1
	Name   string        // empty when it was erased
	Opened guia.Seq      // the event case.opened
	At     time.Time     // when it was captured
	By     guia.PersonID // who opened it
	Items  int           // how many of its events the one who asked may see
}

// scope is how events name the case that they are about.
func (c Case) scope() string { return "case:" + c.ID.String() }

// Search returns the fields of the event search.made for a search that is made for the case: its custody tells of it.
func (c Case) Search(query string) (f guia.Fields) {
	f.Set("query", query)
	f.Set("scope", c.scope())
	return f
}

// maxName is the longest name of a case, in characters.
const maxName = 200

// OpenCase opens a case. It is in the ledger, under a signed checkpoint, on return. When only the checkpoint failed, the case is
// returned with the error.
func OpenCase(ctx context.Context, l *ledger.Ledger, actor guia.Actor, name string) (Case, error) {
	name = strings.TrimSpace(name)
	if !validName(name) {
		return Case{}, guia.Refuse(guia.Invalid, "evidence.case_name", maxName)
	}
	known, err := Cases(ctx, l, actor)
	if err != nil {
		return Case{}, err
	}
	for _, other := range known {
		if lang.Fold(other.Name) == lang.Fold(name) {
			return Case{}, guia.Refuse(guia.Conflict, "evidence.case_exists", name, other.Number)
		}
	}
	c := Case{Name: name, By: actor.User}
	err = l.Do(ctx, actor, permit.ActCase, func(tx *ledger.Tx) error {
		if err := tx.QueryRow("SELECT COALESCE(MAX(number), 0) + 1 FROM evidence_case", nil, &c.Number); err != nil {
			return fmt.Errorf("open case: %w", err)
		}
		var f guia.Fields
		f.Set("name", name)
		if c.Opened, err = tx.Record(guia.CaseOpened, f); err != nil {
			return err
		}
		c.ID = tx.RecordOf(c.Opened)
		_, err := tx.Exec("INSERT INTO evidence_case (id, opened, number) VALUES (?, ?, ?)", c.ID.String(), uint64(c.Opened), c.Number)
		return err
	})
	if err != nil {
		return Case{}, err
	}
	if e, err := l.Entry(ctx, c.Opened); err == nil {
		c.At = e.Leaf.Captured
	}
	_, err = l.Checkpoint(ctx)
	return c, err
}

// validName accepts 1 to maxName printable characters that are not all digits: those would be taken for a number.
func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && utf8.RuneCountInString(name) <= maxName &&
		strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 && strings.Trim(name, "0123456789") != ""
}

// Add puts events into a case and returns how many were not in it. When the actor may not see one of them nothing is added, the
// attempt is recorded, and the refusal is of kind denied.
func Add(ctx context.Context, l *ledger.Ledger, actor guia.Actor, c Case, seqs []guia.Seq) (added int, err error) {
	seqs = unique(seqs)
	if size := l.Size(); len(seqs) == 0 {
		return 0, guia.Refuse(guia.Invalid, "evidence.nothing_to_add")
	} else if last := seqs[len(seqs)-1]; last >= size {
		return 0, guia.Refuse(guia.NotFound, "ledger.no_entry", uint64(last), uint64(size))
	}
	places, err := placesOf(ctx, l, actor, permit.ActOpen, seqs)
	if err != nil {
		return 0, err
	}
	var hidden []guia.Seq
	err = l.Do(ctx, actor, permit.ActCase, func(tx *ledger.Tx) error {
		scopes, err := permit.ScopesIn(tx.Tx, actor.User, permit.ActOpen)
		if err != nil {
			return err
		}
		if hidden = places.hidden(scopes, seqs); len(hidden) > 0 {
			return recordRefusal(tx, c, hidden)
		}
		var fresh []guia.Seq
		if fresh, err = insertItems(tx, c, seqs); err != nil || len(fresh) == 0 {
			return err
		}
		added = len(fresh)
		var f guia.Fields
		f.Set("scope", c.scope())
		f.Set("seqs", canon.FormatSeqs(fresh))
		_, err = tx.Record(guia.CaseAdded, f)
		return err
	})
	if err == nil && len(hidden) > 0 {
		return 0, guia.Refuse(guia.Denied, "evidence.hidden", len(hidden))
	}
	return added, err
}

// recordRefusal records that the actor tried to take events that they may not see.
func recordRefusal(tx *ledger.Tx, c Case, hidden []guia.Seq) error {
	var f guia.Fields
	f.Set("act.outcome", "refused")
	f.Set("scope", c.scope())
	f.Set("seqs", canon.FormatSeqs(hidden))
	_, err := tx.Record(guia.ActRefused, f)
	return err
}

// insertItems stores which events belong to the case and returns those that did not before.
func insertItems(tx *ledger.Tx, c Case, seqs []guia.Seq) ([]guia.Seq, error) {
	var n int
	if err := tx.QueryRow("SELECT COUNT(*) FROM evidence_case WHERE id = ?", []any{c.ID.String()}, &n); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, guia.Refuse(guia.NotFound, "evidence.no_case", c.ID.String())
	}
	rows, err := tx.Query("SELECT seq FROM evidence_item WHERE case_id = ? ORDER BY seq", c.ID.String())
	if err != nil {
		return nil, err
	}
	have, err := scanSeqs(rows)
	if err != nil {
		return nil, err
	}
	var fresh []guia.Seq
	for _, seq := range seqs {
		if _, found := slices.BinarySearch(have, seq); !found {
			fresh = append(fresh, seq)
		}
	}
	const most = 200
	for part := range slices.Chunk(fresh, most) {
		args := make([]any, 0, 2*most)
		for _, seq := range part {
			args = append(args, c.ID.String(), uint64(seq))
		}
		query := "INSERT INTO evidence_item (case_id, seq) VALUES (?, ?)" + strings.Repeat(", (?, ?)", len(part)-1)
		if _, err := tx.Exec(query, args...); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// Cases returns the cases that the actor may know of, by number: those they opened, and those that hold an event they may see.
func Cases(ctx context.Context, l *ledger.Ledger, actor guia.Actor) ([]Case, error) {
	if err := allowed(ctx, l, actor, permit.ActCase); err != nil {
		return nil, err
	}
	all, err := rowsOfCases(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	scopes, err := permit.Scopes(ctx, l.Database(), actor.User, permit.ActOpen)
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, c := range all {
		e, err := l.Event(ctx, c.Opened)
		if err != nil {
			return nil, fmt.Errorf("read case %d: %w", c.Number, err)
		}
		c.Name, c.At = e.Fields.Get("name"), e.Captured
		if by, err := guia.ParseID16(e.Fields.Get("actor")); err == nil {
			c.By = by
		}
		items, err := itemsOf(ctx, l, c)
		if err != nil {
			return nil, fmt.Errorf("read case %d: %w", c.Number, err)
		}
		shown, err := visible(ctx, l, scopes, items)
		if err != nil {
			return nil, fmt.Errorf("read case %d: %w", c.Number, err)
		}
		if c.Items = len(shown); c.Items > 0 || c.By == actor.User || permit.AllowsAll(scopes) {
			cases = append(cases, c)
		}
	}
	return cases, nil
}

// FindCase finds a case by its number or name, among those that the actor may know of.
func FindCase(ctx context.Context, l *ledger.Ledger, actor guia.Actor, numberOrName string) (Case, error) {
	cases, err := Cases(ctx, l, actor)
	if err != nil {
		return Case{}, err
	}
	want := strings.TrimSpace(numberOrName)
	number, isNumber := strconv.Atoi(strings.TrimPrefix(want, "#"))
	for _, c := range cases {
		if isNumber == nil && c.Number == number || isNumber != nil && c.Name != "" && lang.Fold(c.Name) == lang.Fold(want) {
			return c, nil
		}
	}
	return Case{}, guia.Refuse(guia.NotFound, "evidence.no_case", want)
}

// Items returns the events of a case that the actor may see, ascending. Hidden ones are not counted.
func Items(ctx context.Context, l *ledger.Ledger, actor guia.Actor, c Case) ([]guia.Seq, error) {
	if err := allowed(ctx, l, actor, permit.ActCase); err != nil {
		return nil, err
	}
	items, err := itemsOf(ctx, l, c)
	if err != nil {
		return nil, fmt.Errorf("read case %d: %w", c.Number, err)
	}
	scopes, err := permit.Scopes(ctx, l.Database(), actor.User, permit.ActOpen)
	if err != nil {
		return nil, err
	}
	return visible(ctx, l, scopes, items)
}

// allowed refuses, and has the refusal recorded, unless the actor may do act somewhere.
func allowed(ctx context.Context, l *ledger.Ledger, actor guia.Actor, act permit.Act) error {
	return l.Do(ctx, actor, act, func(*ledger.Tx) error { return nil })
}

func rowsOfCases(ctx context.Context, l *ledger.Ledger) ([]Case, error) {
	rows, err := l.Database().Query(ctx, "SELECT id, opened, number FROM evidence_case ORDER BY number")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Case
	for rows.Next() {
		var c Case
		var id string
		var opened uint64
		if err := rows.Scan(&id, &opened, &c.Number); err != nil {
			return nil, err
		}
		parsed, err := guia.ParseID16(id)
		if err != nil {
			return nil, guia.RefuseCause(guia.Damaged, err, "evidence.case_damaged", c.Number)
		}
		c.ID, c.Opened = parsed, guia.Seq(opened)
		all = append(all, c)
	}
	return all, rows.Err()
}

func itemsOf(ctx context.Context, l *ledger.Ledger, c Case) ([]guia.Seq, error) {
	rows, err := l.Database().Query(ctx, "SELECT seq FROM evidence_item WHERE case_id = ? ORDER BY seq", c.ID.String())
	if err != nil {
		return nil, err
	}
	return scanSeqs(rows)
}

func scanSeqs(rows *sql.Rows) (seqs []guia.Seq, err error) {
	defer rows.Close()
	for rows.Next() {
		var seq uint64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		seqs = append(seqs, guia.Seq(seq))
	}
	return seqs, rows.Err()
}

// places is where events belong, for permit; nil when nobody needed to look.
type places map[guia.Seq]permit.Place

// placesOf reads where the events belong, unless the actor's scopes for act cover everything.
func placesOf(ctx context.Context, l *ledger.Ledger, actor guia.Actor, act permit.Act, seqs []guia.Seq) (places, error) {
	scopes, err := permit.Scopes(ctx, l.Database(), actor.User, act)
	if err != nil || permit.AllowsAll(scopes) || len(scopes) == 0 {
		return nil, err
	}
	all := make(places, len(seqs))
	return all, eachEvent(ctx, l, seqs, func(e guia.Event) error {
		all[e.Seq] = placeOf(l, &e)
		return nil
	})
}

// hidden returns the events that the scopes do not cover.
func (p places) hidden(scopes []string, seqs []guia.Seq) (hidden []guia.Seq) {
	if permit.AllowsAll(scopes) {
		return nil
	}
	for _, seq := range seqs {
		if !permit.Allows(scopes, p[seq]) {
			hidden = append(hidden, seq)
		}
	}
	return hidden
}

// visible returns the events that the scopes cover.
func visible(ctx context.Context, l *ledger.Ledger, scopes []string, seqs []guia.Seq) (shown []guia.Seq, err error) {
	if permit.AllowsAll(scopes) {
		return seqs, nil
	}
	if len(scopes) == 0 {
		return nil, nil
	}
	err = eachEvent(ctx, l, seqs, func(e guia.Event) error {
		if permit.Allows(scopes, placeOf(l, &e)) {
			shown = append(shown, e.Seq)
		}
		return nil
	})
	return shown, err
}

// placeOf says where an event belongs. What was erased is unknown, and within no scope but everything.
func placeOf(l *ledger.Ledger, e *guia.Event) permit.Place {
	p := permit.Place{Entity: e.Fields.Get("entity"), Stream: e.Stream}
	if key := cmp.Or(e.Fields.Get("sender.key"), e.Fields.Get("person.key")); key != "" {
		p.Person = guia.PersonID(l.Vault().PersonOwner(e.Source, key))
	}
	return p
}

// eachEvent decrypts events, in order.
func eachEvent(ctx context.Context, l *ledger.Ledger, seqs []guia.Seq, fn func(guia.Event) error) error {
	return eachEntry(ctx, l, seqs, func(entry ledger.Entry) error {
		e, err := l.Vault().Read(ctx, entry.Seq, entry.Leaf.Header, entry.Row)
		if err != nil {
			return err
		}
		return fn(e)
	})
}

// eachEntry reads events, in order; neighbours together. seqs are ascending.
func eachEntry(ctx context.Context, l *ledger.Ledger, seqs []guia.Seq, fn func(ledger.Entry) error) error {
	for i := 0; i < len(seqs); {
		end := i + 1
		for end < len(seqs) && seqs[end] == seqs[end-1]+1 {
			end++
		}
		if err := l.Entries(ctx, seqs[i], seqs[end-1]+1, fn); err != nil {
			return err
		}
		i = end
	}
	return nil
}

func unique(seqs []guia.Seq) []guia.Seq {
	seqs = slices.Clone(seqs)
	slices.Sort(seqs)
	return slices.Compact(seqs)
}

// parseSeqs reads what canon.FormatSeqs writes.
func parseSeqs(s string) (ranges [][2]guia.Seq, err error) {
	for word := range strings.FieldsSeq(s) {
		from, to, isRange := strings.Cut(word, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 63)
		b, err2 := strconv.ParseUint(to, 10, 63)
		if err := errors.Join(err1, err2); err != nil || b < a {
			return nil, fmt.Errorf("places %.40q are not ranges", s)
		}
		ranges = append(ranges, [2]guia.Seq{guia.Seq(a), guia.Seq(b)})
	}
	return ranges, nil
}
