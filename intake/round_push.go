package intake

import (
	"context"
	"time"

	"guia"
	"guia/ledger"
	"guia/source"
)

// Receive stores what a living source delivered by itself, and returns once it is durable: only then may it be acknowledged. Records that
// are known, from a delivery or from a round, are stored once. The first delivery records import.started as [Desk.Round] does; what
// follows, also after a crash, belongs to the same import, until [Desk.Received] ends it.
//
// The instance of feed is that of the deliveries, not that of the rounds of the same facts: a delivery moves no cursor of a round. Calls for
// one instance must not run at the same time.
func (d *Desk) Receive(ctx context.Context, actor guia.Actor, connection, name string, feed Feed, records []source.Record) (Counts, error) {
	at, err := d.Progress(ctx, feed)
	if err != nil {
		return Counts{}, err
	}
	if at.Done {
		at = Progress{}
	}
	var about guia.Fields
	about.Set("name", connection)
	about.Set("connector", string(feed.Source))
	about.Set("feed", name)
	if at, err = d.start(ctx, actor, feed, at, about); err != nil {
		return Counts{}, err
	}
	feed.Import = at.Import
	_, after, err := d.Accept(ctx, feed, records, at)
	return after.Counts.less(at.Counts), err
}

// Received ends the import that [Desk.Receive] began, and records its counts; where none is open it does nothing.
func (d *Desk) Received(ctx context.Context, actor guia.Actor, feed Feed) error {
	at, err := d.Progress(ctx, feed)
	if err != nil || at.Done || at.Import == (guia.RecordID{}) {
		return err
	}
	_, err = d.finish(ctx, actor, feed, at, nil)
	return err
}

// KeepUntil stores up to when nothing is missing of what a source delivers by itself, durably before it returns. feed is one that stands
// for all of its deliveries and has no records.
func (d *Desk) KeepUntil(ctx context.Context, feed Feed, until time.Time) error {
	at := Progress{Done: true, Cursor: source.Cursor(until.UTC().Format(time.RFC3339Nano))}
	return d.ledger.Batch(ctx, 0, func(tx *ledger.Tx) error { return d.storeProgress(tx.Tx, feed, at) })
}

// Until returns what [Desk.KeepUntil] stored last; the zero time when nothing was.
func (d *Desk) Until(ctx context.Context, feed Feed) (time.Time, error) {
	at, err := d.Progress(ctx, feed)
	if err != nil || at.Cursor == "" {
		return time.Time{}, err
	}
	until, err := time.Parse(time.RFC3339Nano, string(at.Cursor))
	if err != nil {
		return time.Time{}, guia.RefuseCause(guia.Damaged, err, "intake.cursor_damaged")
	}
	return until, nil
}

// less takes away.
func (c Counts) less(d Counts) Counts {
	return Counts{c.New - d.New, c.Known - d.Known, c.Edited - d.Edited, c.Linked - d.Linked, c.Marked - d.Marked, c.Gaps - d.Gaps}
}
