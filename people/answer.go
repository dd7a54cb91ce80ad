package people

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"guia"
	"guia/lang"
)

// Entry is what held of one person from a day on, until another day. It is personal: it prints as "[redacted]".
type Entry struct {
	Person guia.PersonID
	Source guia.SourceName
	Key    string // the person's identifier at the source

	Name, Department, Address, Phone, Title string

	From  Day // the first day; zero when nobody knows since when
	Until Day // the first day on which it no longer held; zero while nothing has ended it
	// FromObserved and UntilObserved report that no source told that day: it is the one on which we read that it was so, and it may
	// have been so before.
	FromObserved, UntilObserved bool
	// Listed reports that a directory entry held on these days; otherwise only messages showed the person.
	Listed bool
	// Seqs are the events that say so, ascending: the directory entry, and the messages that showed what it does not tell.
	Seqs []guia.Seq
}

// String hides the entry.
func (e Entry) String() string { return "[redacted]" }

// LogValue hides the entry.
func (e Entry) LogValue() slog.Value {
	return slog.GroupValue(slog.String("person_id", e.Person.String()))
}

// On returns who had which name, department, address and title on that day, sorted by name. People who left later are there as they
// were; people who had left are not. query limits the answer to those whose name, department, address, title or identifier of
// that day contains it, however it is written (lang.Fold); empty for all.
func (p *People) On(ctx context.Context, day Day, query string) ([]Entry, error) {
	folded := lang.Fold(strings.TrimSpace(query))
	var found []Entry
	err := p.histories(ctx, "", nil, func(h history) {
		for _, e := range h.entries() {
			if e.From <= day && (e.Until == 0 || day < e.Until) && (folded == "" || e.contains(folded)) {
				found = append(found, e)
			}
		}
	})
	sortEntries(found)
	return found, err
}

func (e *Entry) contains(folded string) bool {
	for _, s := range []string{e.Name, e.Department, e.Address, e.Title, e.Key} {
		if strings.Contains(lang.Fold(s), folded) {
			return true
		}
	}
	return false
}

// History returns everything that ever held of one person, by day; empty when nothing is known.
func (p *People) History(ctx context.Context, person guia.PersonID) ([]Entry, error) {
	var found []Entry
	err := p.histories(ctx, "WHERE p.person = ?", []any{person[:]}, func(h history) { found = h.entries() })
	return found, err
}

// Ever returns an entry for each way in which a person was ever shown, without days and in no order: also for what held during a part of
// a day only, which [People.History] does not tell. Nothing when nothing is known.
func (p *People) Ever(ctx context.Context, person guia.PersonID) (found []Entry, err error) {
	err = p.histories(ctx, "WHERE p.person = ?", []any{person[:]}, func(h history) {
		values := map[value]bool{}
		for _, l := range h.listings {
			values[l.value] = true
		}
		for _, s := range h.sightings {
			values[s.value] = true
		}
		delete(values, value{}) // that somebody left
		for v := range values {
			found = append(found, Entry{
				Person: person, Source: h.source, Key: h.key, Name: v.name, Department: v.department, Address: v.address, Phone: v.phone, Title: v.title,
			})
		}
	})
	return found, err
}

// Person returns the newest entry of a person, also of one who left, or a refusal of kind not_found.
func (p *People) Person(ctx context.Context, person guia.PersonID) (Entry, error) {
	all, err := p.History(ctx, person)
	if err != nil {
		return Entry{}, err
	}
	if len(all) == 0 {
		return Entry{}, guia.Refuse(guia.NotFound, "people.unknown", person.String())
	}
	return all[len(all)-1], nil
}

// Conversations returns the streams whose last known name holds text, whatever the script or the accents.
func (p *People) Conversations(ctx context.Context, text string) ([]guia.StreamID, error) {
	rows, err := p.db.Query(ctx, "SELECT stream FROM people_conversation WHERE INSTR(folded, ?) > 0 ORDER BY seq", lang.Fold(text))
	if err != nil {
		return nil, fmt.Errorf("find conversations: %w", err)
	}
	defer rows.Close()
	var streams []guia.StreamID
	for rows.Next() {
		var b []byte
		var s guia.StreamID
		if err := rows.Scan(&b); err != nil {
			return nil, fmt.Errorf("find conversations: %w", err)
		}
		copy(s[:], b)
		streams = append(streams, s)
	}
	return streams, rows.Err()
}

// Find returns the newest entry of everyone who ever had a name or address that contains the text, however it is written, or whose
// identifier is the text; sorted by name. An empty text finds nobody.
func (p *People) Find(ctx context.Context, text string) ([]Entry, error) {
	text = strings.TrimSpace(text)
	folded := lang.Fold(text)
	if folded == "" {
		return nil, nil
	}
	var found []Entry
	like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(folded) + "%"
	const where = `WHERE p.key = ? OR p.id IN (SELECT s.person FROM people_value v JOIN people_shown s ON s.value = v.id WHERE v.folded LIKE ? ESCAPE '\')
		OR p.id IN (SELECT e.person FROM people_value v JOIN people_entry e ON e.value = v.id WHERE v.folded LIKE ? ESCAPE '\')`
	err := p.histories(ctx, where, []any{text, like, like}, func(h history) {
		if all := h.entries(); len(all) > 0 {
			found = append(found, all[len(all)-1])
		}
	})
	sortEntries(found)
	return found, err
}

// Candidate is somebody at another source who may be the same person.
type Candidate struct {
	Entry          // the newest of the other one
	Shared  string // the address that both have had
	Because []guia.Seq
}

// Candidates returns who at another source has ever had the same e-mail address, with one event of each side that shows it. It is an
// offer: nothing is merged.
func (p *People) Candidates(ctx context.Context, person guia.PersonID) ([]Candidate, error) {
	mine, err := p.addresses(ctx, person)
	if err != nil {
		return nil, err
	}
	var found []Candidate
	for address, because := range mine {
		const where = `WHERE p.id IN (SELECT s.person FROM people_value v JOIN people_shown s ON s.value = v.id WHERE v.address_folded = ?)
			OR p.id IN (SELECT e.person FROM people_value v JOIN people_entry e ON e.value = v.id WHERE v.address_folded = ?)`
		err := p.histories(ctx, where, []any{address, address}, func(h history) {
			all := h.entries()
			if h.person == person || h.source == mine[address].source || len(all) == 0 {
				return
			}
			c := Candidate{Entry: all[len(all)-1], Shared: address, Because: []guia.Seq{because.seq}}
			if theirs, ok := h.addresses()[address]; ok {
				c.Because = append(c.Because, theirs.seq)
			}
			found = append(found, c)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), slices.Compare(a.Person[:], b.Person[:]), cmp.Compare(a.Shared, b.Shared))
	})
	return found, nil
}

func (p *People) addresses(ctx context.Context, person guia.PersonID) (found map[string]sighting, err error) {
	err = p.histories(ctx, "WHERE p.person = ?", []any{person[:]}, func(h history) { found = h.addresses() })
	return found, err
}

// Counts says how much the file holds, without telling of whom.
type Counts struct {
	Persons, Entries, Shown int64
}

// Counts counts.
func (p *People) Counts(ctx context.Context) (c Counts, err error) {
	for query, into := range map[string]*int64{
		"SELECT COUNT(*) FROM people_person": &c.Persons,
		"SELECT COUNT(*) FROM people_entry":  &c.Entries,
		"SELECT COUNT(*) FROM people_shown":  &c.Shown,
	} {
		if err := p.db.QueryRow(ctx, query).Scan(into); err != nil {
			return c, fmt.Errorf("count people: %w", err)
		}
	}
	return c, nil
}

// histories calls fn with the facts of each person that where picks, from one committed state.
func (p *People) histories(ctx context.Context, where string, args []any, fn func(history)) error {
	err := p.db.Snapshot(ctx, func(tx *sql.Tx) error {
		persons, order, err := readPersons(ctx, tx, where, args)
		if err != nil {
			return err
		}
		if err := readEntries(ctx, tx, where, args, persons); err != nil {
			return err
		}
		if err := readShown(ctx, tx, where, args, persons); err != nil {
			return err
		}
		for _, id := range order {
			fn(*persons[id])
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read people: %w", err)
	}
	return nil
}

func readPersons(ctx context.Context, tx *sql.Tx, where string, args []any) (map[int64]*history, []int64, error) {
	rows, err := tx.QueryContext(ctx, "SELECT p.id, p.person, p.source, p.key FROM people_person p "+where+" ORDER BY p.person", args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	persons := map[int64]*history{}
	var order []int64
	for rows.Next() {
		var id int64
		var person []byte
		h := &history{}
		if err := rows.Scan(&id, &person, &h.source, &h.key); err != nil {
			return nil, nil, err
		}
		copy(h.person[:], person)
		persons[id] = h
		order = append(order, id)
	}
	return persons, order, rows.Err()
}

func readEntries(ctx context.Context, tx *sql.Tx, where string, args []any, persons map[int64]*history) error {
	rows, err := tx.QueryContext(ctx, `SELECT e.person, e.seq, e.gone, e.observed, e.since, e.until, e.told, e.captured, COALESCE(v.said, '') FROM people_entry e
		JOIN people_person p ON p.id = e.person LEFT JOIN people_value v ON v.id = e.value `+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, since, until int64
		var seq uint64
		var f listing
		var said string
		if err := rows.Scan(&id, &seq, &f.left, &f.observed, &since, &until, &f.told, &f.captured, &said); err != nil {
			return err
		}
		f.seq, f.since, f.until = guia.Seq(seq), Day(since), Day(until)
		if said != "" {
			if f.value, err = parseValue(said); err != nil {
				return err
			}
		}
		if h := persons[id]; h != nil {
			h.listings = append(h.listings, f)
		}
	}
	return rows.Err()
}

func readShown(ctx context.Context, tx *sql.Tx, where string, args []any, persons map[int64]*history) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.person, s.day, s.seqs, v.said FROM people_shown s
		JOIN people_person p ON p.id = s.person JOIN people_value v ON v.id = s.value `+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, day int64
		var pairs []byte
		var said string
		if err := rows.Scan(&id, &day, &pairs, &said); err != nil {
			return err
		}
		f := sighting{day: Day(day)}
		if f.value, err = parseValue(said); err != nil {
			return err
		}
		first := true
		err := eachShown(pairs, func(seq guia.Seq, ms uint64) {
			f.last = max(f.last, ms)
			if first || ms < f.first || ms == f.first && seq < f.seq { // the day's first message says so
				f.first, f.seq, first = ms, seq, false
			}
		})
		if err != nil {
			return err
		}
		if h := persons[id]; h != nil {
			f.source = h.source
			h.sightings = append(h.sightings, f)
		}
	}
	return rows.Err()
}

func sortEntries(all []Entry) {
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(strings.Compare(lang.Fold(a.Name), lang.Fold(b.Name)), slices.Compare(a.Person[:], b.Person[:]), cmp.Compare(a.From, b.From))
	})
}
