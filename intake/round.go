package intake

import (
	"context"
	"time"

	"guia"
	"guia/source"
)

// Round pulls a living source from where the last call ended to what is there now, and records the start and the end like [Desk.Import]:
// who, which connection and feed, the counts, and, when the source says so, of which time the round tells. The cursor is never begun
// again; only where another version of the connector does not know it any more, the source is read as for the first time, and what is
// stored is recognised.
//
// Interrupted at any moment, also by a kill or a refusal of the source, the pages that were told are stored once, each with the cursor behind
// it; the next call goes on with the same import. A call that ends has one import.started and one import.finished, also when the source
// brought nothing. The counts are those of this import. What the source could not read for now (a quota) comes with the next round.
//
// connection and name are written into import.started. tell, when not nil, is called after each page is stored. Calls for one instance must
// not run at the same time.
func (d *Desk) Round(ctx context.Context, actor guia.Actor, connection, name string, feed Feed, s source.Source, tell func(source.Page, Counts)) (Progress, error) {
	feed.Source, feed.Instance = s.Name(), s.Instance()
	at, err := d.Progress(ctx, feed)
	if err != nil {
		return at, err
	}
	if at.Done {
		at = Progress{Cursor: at.Cursor}
	}
	var about guia.Fields
	about.Set("name", connection)
	about.Set("connector", string(feed.Source))
	about.Set("feed", name)
	if at, err = d.start(ctx, actor, feed, at, about); err != nil {
		return at, err
	}
	at, last, err := d.read(ctx, feed, s, at, false, tell)
	if err != nil {
		return at, err
	}
	var told guia.Fields
	if !last.Until.IsZero() {
		told.Set("period.from", last.From.UTC().Format(time.RFC3339))
		told.Set("period.until", last.Until.UTC().Format(time.RFC3339))
	}
	return d.finish(ctx, actor, feed, at, told)
}
