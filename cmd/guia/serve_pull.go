package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"guia"
	"guia/intake"
	"guia/source/dingtalk"
)

// worker keeps one connection: it pulls the feeds that are on when they are due, one after the other.
type worker struct {
	*keeper
	c     intake.Connection
	told  [sha256.Size]byte
	stop  context.CancelFunc
	ended chan struct{}

	pulled []*pulledFeed // in the order in which they are served

	corp      string
	stream    atomic.Pointer[dingtalk.Stream]   // nil when there is none
	callback  atomic.Pointer[dingtalk.Callback] // likewise
	receiving *sync.Mutex                       // held while something pushed is kept

	mu     sync.Mutex
	missed map[string]time.Time // feeds whose posts may be lost that were made before
}

// pulledFeed is a feed that is on, and when it is pulled again.
type pulledFeed struct {
	on    intake.EnabledFeed
	due   time.Time // zero: the source says
	again time.Time // what is lost of it is not made up for earlier
	tries int       // that failed since the last round
}

// Pauses after a round that failed or waits for the quota.
const (
	firstRetry = time.Minute
	lastRetry  = time.Hour
	busyRetry  = 5 * time.Second
)

func newWorker(k *keeper, c *intake.Connection, told [sha256.Size]byte) *worker {
	w := &worker{keeper: k, c: *c, told: told, ended: make(chan struct{}), receiving: &k.receiving, missed: map[string]time.Time{}}
	var set tenantSettings
	_ = json.Unmarshal(c.Settings, &set) // whoever calls the tenant says so
	w.corp = set.Corp
	for _, name := range inOrder(dingtalk.Feeds()) {
		if i := slices.IndexFunc(c.Feeds, func(f intake.EnabledFeed) bool { return f.Name == name }); i >= 0 {
			w.pulled = append(w.pulled, &pulledFeed{on: c.Feeds[i]})
		}
	}
	return w
}

// inOrder puts first what can never be read again when its time is over: read results are gone after 24 hours (dingtalk-api.md 4).
func inOrder(feeds []string) []string {
	reads := string(dingtalk.JobReads)
	slices.SortStableFunc(feeds, func(a, b string) int {
		switch {
		case a == reads && b != reads:
			return -1
		case b == reads && a != reads:
			return 1
		}
		return 0
	})
	return feeds
}

// end stops the worker and returns when it has ended.
func (w *worker) end() {
	w.stop()
	<-w.ended
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { w.receive(ctx) })
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for ctx.Err() == nil {
		if f, lost := w.next(time.Now()); f != nil {
			w.pull(ctx, f, lost)
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// next is the first feed that is due, or of which something is lost that a round makes up for.
func (w *worker) next(now time.Time) (f *pulledFeed, isLost bool) {
	lost := w.lost()
	for _, f := range w.pulled {
		if !now.Before(f.due) {
			return f, false
		}
		if lost[f.on.Name] && !now.Before(f.again) {
			return f, true
		}
	}
	return nil, false
}

// pull pulls a feed once, also before it is due where something is lost, and settles when it is pulled again.
func (w *worker) pull(ctx context.Context, f *pulledFeed, isLost bool) {
	start := time.Now()
	log := w.log.With(slog.String("connection", w.c.Name), slog.String("feed", f.on.Name))
	var line roundLine
	err := w.calling(ctx, &w.c, func(client *dingtalk.Client) (err error) {
		line, err = w.round(ctx, client, &w.c, &f.on, isLost)
		return err
	})
	now := time.Now()
	w.count(f.on.Name, string(guia.ChannelAPI), line.Counts)
	next := &f.due
	if isLost {
		next = &f.again
	}
	switch {
	case ctx.Err() != nil: // told to stop: the round goes on where it was
		return
	case guia.KindOf(err) == guia.Damaged:
		w.fail(err)
		<-ctx.Done() // it will not be long
	case guia.KindOf(err) == guia.Held: // a guest's command is calling
		*next = now.Add(busyRetry)
	case err != nil:
		*next, f.tries = now.Add(retryAfter(f.tries, err)), f.tries+1
		w.trouble(ctx, w.c.Name, f.on.Name, err)
	case line.State == roundDeferred:
		*next, f.tries = now.Add(lastRetry), 0
		log.Warn("deferred", slog.String("why", line.Why), slog.Int64("new", line.New))
	case line.State == roundNotDue:
		f.due, f.tries = moment(line.Next, now), 0
		log.Info("not due", slog.String("next", line.Next))
	default:
		f.due, f.tries = moment(line.Next, now), 0
		if w.madeUp(f.on.Name, line.until) && isLost {
			f.again = now.Add(lastRetry) // a connection that breaks all the time must not spend the month
		}
		if isLost {
			f.due = time.Time{} // as the source says
		}
		log.Info("round", slog.Int64("new", line.New), slog.Int64("known", line.Known), slog.Int64("gaps", line.Gaps), slog.Bool("made_up", isLost),
			slog.String("until", line.Until), slog.Duration("took", now.Sub(start)))
	}
}

// moment reads what a line tells; where it tells none, the source is asked a minute later.
func moment(told string, now time.Time) time.Time {
	at, err := time.Parse(time.RFC3339, told)
	if err != nil {
		return now.Add(firstRetry)
	}
	return at
}

// retryAfter is the pause after so many attempts: it grows, and is the longest at once where a person must act first.
func retryAfter(tries int, err error) time.Duration {
	if _, upstream := errors.AsType[*dingtalk.Fault](err); upstream && guia.KindOf(err) != guia.Upstream || tries > 6 {
		return lastRetry
	}
	return min(firstRetry<<tries, lastRetry)
}

// count adds up what was kept.
func (w *worker) count(feed, channel string, n intake.Counts) {
	w.tallies.add(tally{"kept", w.c.Name, feed, channel}, n.New)
	w.tallies.add(tally{"known", w.c.Name, feed, channel}, n.Known)
	w.tallies.add(tally{"gaps", w.c.Name, feed, channel}, n.Gaps)
}
