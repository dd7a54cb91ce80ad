package ledger

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"guia"
)

// Follower turns events into something that can be thrown away and rebuilt. It keeps its cursor in its own file and moves it in the
// transaction that stores what the events before it made: after a crash it is asked again from there.
type Follower interface {
	// Name is for messages.
	Name() string
	// Cursor is the first event not yet applied.
	Cursor(ctx context.Context) (guia.Seq, error)
	// Apply stores what the events make, and the cursor next behind them, or returns an error and is asked again later. The events
	// are in order, without holes, the first at the cursor, without the raw bytes. Fields of events that cannot be decrypted are
	// missing.
	Apply(ctx context.Context, events []guia.Event, next guia.Seq) error
}

// followPage is how many events are decrypted at once for all followers.
const followPage = 2048

// CatchUp brings every follower to the present size and returns. Events are decrypted once for all followers that want them.
// progress, when not nil, is told how far the slowest follower is.
func (l *Ledger) CatchUp(ctx context.Context, progress func(done, of guia.Seq), followers ...Follower) error {
	size := l.Size()
	cursors := make([]guia.Seq, len(followers))
	for i, f := range followers {
		var err error
		if cursors[i], err = f.Cursor(ctx); err != nil {
			return fmt.Errorf("follower %s: %w", f.Name(), err)
		}
		if cursors[i] > size { // it has seen a ledger that is no longer there: a restored backup
			return guia.Refuse(guia.Blocked, "ledger.follower_ahead", f.Name(), uint64(cursors[i]), uint64(size))
		}
	}
	for {
		first := size
		for _, c := range cursors {
			first = min(first, c)
		}
		if progress != nil {
			progress(first, size)
		}
		if first == size {
			return nil
		}
		next := min(size, first+followPage)
		l.hooks.onStep("ledger.CatchUp")
		events, err := l.events(ctx, first, next)
		if err != nil {
			return err
		}
		for i, f := range followers {
			if cursors[i] >= next {
				continue
			}
			l.hooks.onStep(f.Name() + ".Apply")
			if err := f.Apply(ctx, events[cursors[i]-first:], next); err != nil {
				return fmt.Errorf("follower %s: %w", f.Name(), err)
			}
			cursors[i] = next
		}
	}
}

// Follow keeps the followers up to date until ctx ends, which is no error.
func (l *Ledger) Follow(ctx context.Context, followers ...Follower) error {
	for {
		l.mu.Lock()
		grown := l.grown
		l.mu.Unlock()
		if err := l.CatchUp(ctx, nil, followers...); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end that was asked for
			}
			return err
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}

// events reads and decrypts the events from first to before end, on all processors. An event whose content is damaged is handed
// over with its header alone: `guia check` reports the damage, and one bad row does not stop the followers.
func (l *Ledger) events(ctx context.Context, first, end guia.Seq) ([]guia.Event, error) {
	entries, err := l.page(ctx, first, end)
	if err != nil {
		return nil, err
	}
	events := make([]guia.Event, len(entries))
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(entries); i += workers {
				e := entries[i]
				event, err := l.vault.ReadWithoutRaw(ctx, e.Seq, e.Leaf.Header, e.Row)
				if err != nil && guia.KindOf(err) != guia.Damaged {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				if err != nil {
					event = guia.Event{Seq: e.Seq, Header: e.Leaf.Header}
				}
				events[i] = event
			}
		})
	}
	wg.Wait()
	return events, failed
}
