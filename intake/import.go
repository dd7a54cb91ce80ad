package intake

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"guia"
	"guia/db"
	"guia/ledger"
	"guia/permit"
	"guia/source"
)

// Progress is how far a source was read. It is stored with every page.
type Progress struct {
	Cursor source.Cursor
	Done   bool
	Again  bool // it is read from its beginning once more
	Import guia.RecordID
	Counts Counts
}

// Import pulls a source to its end: the start is recorded (who, the digest of what was handed in), pages are accepted one by one,
// and the end with its counts is recorded. A source whose first page is refused leaves nothing behind. Interrupted at any moment, the same call goes on behind the last committed page; where the
// source does not know that place any more, it reads from the beginning and recognises what is stored. Called again after the end it
// reads nothing and returns the counts of the last time, unless again is set, which reads from the beginning and finds everything known.
//
// digest is "sha256:<hex> <size>" of what was handed in, or empty. tell, when not nil, is called after each page.
func (d *Desk) Import(ctx context.Context, actor guia.Actor, feed Feed, s source.Source, digest string, again bool, tell func(source.Page, Counts)) (Progress, error) {
	feed.Source, feed.Instance = s.Name(), s.Instance()
	at, err := d.Progress(ctx, feed)
	if err != nil {
		return at, err
	}
	if at.Done && !again {
		return at, nil
	}
	if at.Done {
		at = Progress{Again: true}
	}
	if at.Cursor == "" { // what cannot be read at all leaves nothing behind, not even that it began
		first, err := s.Pull(ctx, "")
		if err != nil {
			return at, err
		}
		s = &begun{s, &first}
	}
	var about guia.Fields
	about.Set("digest", digest)
	if at, err = d.start(ctx, actor, feed, at, about); err != nil {
		return at, err
	}
	if at, _, err = d.read(ctx, feed, s, at, true, tell); err != nil {
		return at, err
	}
	return d.finish(ctx, actor, feed, at, nil)
}

// begun is a source whose first page was pulled already.
type begun struct {
	source.Source
	first *source.Page
}

func (b *begun) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	first := b.first
	b.first = nil
	if first != nil && after == "" {
		return *first, nil
	}
	return b.Source.Pull(ctx, after)
}

// start records the start of an import with what is told about it, and where it begins. Of an import that was interrupted it only asks for
// the permission, which going on needs as well.
func (d *Desk) start(ctx context.Context, actor guia.Actor, feed Feed, at Progress, about guia.Fields) (Progress, error) {
	if at.Import != (guia.RecordID{}) {
		return at, d.ledger.Do(ctx, actor, permit.ActImport, func(*ledger.Tx) error { return nil })
	}
	about.Set("entity", feed.Entity)
	about.Set("grade", string(feed.Grade))
	about.Set("normaliser", feed.Normaliser)
	err := d.ledger.Do(ctx, actor, permit.ActImport, func(tx *ledger.Tx) error {
		seq, err := tx.Record(guia.ImportStarted, about)
		if err != nil {
			return err
		}
		at.Import = tx.RecordOf(seq)
		return d.storeProgress(tx.Tx, feed, at)
	})
	return at, err
}

// read accepts the pages of a source until one is the last for now, and returns that. A cursor that the source does not know any more was written by another
// version of the connector: it is read from the beginning, where what is stored is recognised; again says that what is read then is what
// was read before.
func (d *Desk) read(ctx context.Context, feed Feed, s source.Source, at Progress, again bool, tell func(source.Page, Counts)) (Progress, source.Page, error) {
	feed.Import, feed.Again = at.Import, at.Again
	for {
		d.onStep("source.Pull")
		page, err := s.Pull(ctx, at.Cursor)
		if errors.Is(err, source.ErrCursor) && at.Cursor != "" {
			at.Cursor, at.Again = "", again
			feed.Again = again
			continue
		}
		if err != nil {
			return at, page, err
		}
		after := at
		after.Cursor = page.Next
		if _, after, err = d.Accept(ctx, feed, page.Records, after); err != nil {
			return at, page, err
		}
		at = after
		if tell != nil {
			tell(page, at.Counts)
		}
		if page.Done {
			return at, page, nil
		}
	}
}

// finish records the end of an import with its counts and what else is told about it.
func (d *Desk) finish(ctx context.Context, actor guia.Actor, feed Feed, at Progress, about guia.Fields) (Progress, error) {
	ended := at
	ended.Done = true
	about.Set("import", at.Import.String())
	about.Set("count.new", fmt.Sprint(at.Counts.New))
	about.Set("count.known", fmt.Sprint(at.Counts.Known))
	about.Set("count.linked", fmt.Sprint(at.Counts.Linked))
	about.Set("count.marked", fmt.Sprint(at.Counts.Marked))
	err := d.ledger.Do(ctx, actor, permit.ActImport, func(tx *ledger.Tx) error {
		if _, err := tx.Record(guia.ImportFinished, about); err != nil {
			return err
		}
		return d.storeProgress(tx.Tx, feed, ended)
	})
	if err != nil {
		return at, err
	}
	return ended, nil
}

// Progress returns how far the feed's instance was read; the zero value when it never was.
func (d *Desk) Progress(ctx context.Context, feed Feed) (Progress, error) {
	var at Progress
	var cursor, counts string
	err := d.ledger.Database().QueryRow(ctx, "SELECT cursor, done, counts FROM intake_cursor WHERE source = ?", d.instanceKey(feed)).Scan(&cursor, &at.Done, &counts)
	if errors.Is(err, sql.ErrNoRows) {
		return at, nil
	}
	if err != nil {
		return at, fmt.Errorf("read cursor: %w", err)
	}
	at.Cursor = source.Cursor(cursor)
	var stored storedProgress
	if err := json.Unmarshal([]byte(counts), &stored); err != nil {
		return at, guia.RefuseCause(guia.Damaged, err, "intake.cursor_damaged")
	}
	at.Counts, at.Again = stored.Counts, stored.Again
	if at.Import, err = guia.ParseID16(stored.Import); err != nil {
		return at, guia.RefuseCause(guia.Damaged, err, "intake.cursor_damaged")
	}
	return at, nil
}

type storedProgress struct {
	Import string `json:"import"`
	Again  bool   `json:"again,omitempty"`
	Counts
}

// storeProgress writes the cursor row in the running transaction.
func (d *Desk) storeProgress(tx *db.Tx, feed Feed, at Progress) error {
	done := 0
	if at.Done {
		done = 1
	}
	counts, err := json.Marshal(storedProgress{at.Import.String(), at.Again, at.Counts})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO intake_cursor (source, cursor, done, counts, changed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor, done = excluded.done, counts = excluded.counts, changed = excluded.changed`,
		d.instanceKey(feed), string(at.Cursor), done, string(counts), time.Now().UTC().Format(time.RFC3339))
	if err != nil {
		return fmt.Errorf("store cursor: %w", err)
	}
	return nil
}
