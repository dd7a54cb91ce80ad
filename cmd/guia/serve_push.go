package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"guia"
	"guia/intake"
	"guia/source"
	"guia/source/dingtalk"
)

// sinceEvery is how often it is stored up to when nothing is missing: what is pulled once more after a crash is no more than that.
const sinceEvery = 15 * time.Second

// pushOf is how what is pushed reaches us: as it was set; else by the Stream, when a feed is on that no call pulls. DingTalk counts every
// delivery, also of what is pulled anyway.
func pushOf(set *tenantSettings, c *intake.Connection) string {
	switch {
	case set.Push != "":
		return set.Push
	case slices.ContainsFunc(c.Feeds, func(f intake.EnabledFeed) bool { return !slices.Contains(dingtalk.Feeds(), f.Name) }):
		return pushStream
	}
	return pushOff
}

// receive receives what is pushed until ctx ends.
func (w *worker) receive(ctx context.Context) {
	for tries := 0; ctx.Err() == nil; tries++ {
		begun := time.Now()
		err := w.attempt(ctx)
		if guia.KindOf(err) == guia.Damaged {
			w.fail(err)
			return
		}
		if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return
		}
		w.trouble(ctx, w.c.Name, string(dingtalk.JobStream), err)
		if time.Since(begun) > lastRetry {
			tries = 0 // it has worked for long
		}
		pause := retryAfter(tries, err)
		if _, upstream := errors.AsType[*dingtalk.Fault](err); !upstream && tries == 0 {
			pause = busyRetry // DingTalk posts once more after 10 seconds: where little was wrong, nothing is lost
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// attempt opens the way that is set. It returns nil when there is nothing to receive, or when ctx ended.
func (w *worker) attempt(ctx context.Context) error {
	set, secret, err := w.tenant(ctx, &w.c)
	if err != nil {
		return err
	}
	opt := dingtalk.PushOptions{Keep: w.keepPushed}
	for _, f := range w.c.Feeds {
		if slices.Contains(dingtalk.Pushed(), f.Name) {
			opt.Feeds = append(opt.Feeds, f.Name)
		}
	}
	how := pushOf(&set, &w.c)
	if how == pushOff || len(opt.Feeds) == 0 {
		return nil
	}
	client, _, err := w.client(ctx, &w.c)
	if err != nil {
		return err
	}
	defer client.Close()
	if how == pushCallback {
		err = w.answer(ctx, client, opt, &secret)
	} else {
		err = w.listen(ctx, client, opt)
	}
	ending := context.WithoutCancel(ctx)
	return errors.Join(err, w.endImports(ending, opt.Feeds), client.KeepUsage())
}

// answer lets posts of DingTalk's be received until ctx ends, or until one could not be kept. What was posted while nobody answered is lost:
// DingTalk tries for a minute.
func (w *worker) answer(ctx context.Context, client *dingtalk.Client, opt dingtalk.PushOptions, secret *tenantSecret) error {
	h, err := dingtalk.NewCallback(client, dingtalk.CallbackOptions{PushOptions: opt, Token: dingtalk.Secret(secret.Token), Key: dingtalk.Secret(secret.Key)})
	if err != nil {
		return err
	}
	place := w.pushedFeed("", "")
	since, err := w.Intake.Until(ctx, place)
	if err == nil && !since.IsZero() {
		now := time.Now()
		w.log.Warn("missing", slog.String("connection", w.c.Name), slog.Time("from", since), slog.Time("to", now))
		w.miss(opt.Feeds, now)
		err = h.Lost(ctx, since, now)
	}
	if err != nil {
		return err
	}
	w.callback.Store(h)
	defer w.callback.Store(nil)
	w.log.Info("callback", slog.String("connection", w.c.Name), slog.String("path", strings.Replace(callbackPath, "{connection}", w.c.Name, 1)))
	tick := time.NewTicker(sinceEvery)
	defer tick.Stop()
	for {
		kept := w.Intake.KeepUntil(context.WithoutCancel(ctx), place, h.Since())
		if err := errors.Join(h.Err(), kept); err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-h.Done():
		case <-tick.C:
		}
	}
}

// miss notes that events of feeds may be lost that happened before a moment.
func (w *worker) miss(feeds []string, before time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range feeds {
		if slices.Contains(dingtalk.Feeds(), name) {
			w.missed[name] = before
		}
	}
}

// listen receives the Stream until ctx ends.
func (w *worker) listen(ctx context.Context, client *dingtalk.Client, opt dingtalk.PushOptions) error {
	place := w.pushedFeed("", "")
	since, err := w.Intake.Until(ctx, place)
	if err == nil && since.IsZero() { // for the first time: what comes from now on is missed when we are killed before the next note
		err = w.Intake.KeepUntil(ctx, place, time.Now())
	}
	if err != nil {
		return err
	}
	stream, err := dingtalk.NewStream(client, dingtalk.StreamOptions{PushOptions: opt, Since: since})
	if err != nil {
		return err
	}
	w.stream.Store(stream)
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var watched error
	wg.Go(func() { watched = w.watch(watching, stream, place, opt.Feeds) })
	err = stream.Run(ctx)
	stop()
	wg.Wait()
	w.stream.Store(nil)
	if until := stream.Since(); !until.IsZero() {
		watched = errors.Join(watched, w.Intake.KeepUntil(context.WithoutCancel(ctx), place, until))
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, watched)
}

// watch stores up to when nothing is missing, tells of the connection, and ends the imports of each day.
func (w *worker) watch(ctx context.Context, stream *dingtalk.Stream, place intake.Feed, feeds []string) error {
	log := w.log.With(slog.String("connection", w.c.Name))
	var last dingtalk.StreamState
	told := map[string]time.Time{}
	day := time.Now().UTC().YearDay()
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		now := stream.State()
		switch {
		case now.Opened != last.Opened:
			log.Info("stream open", slog.Int("opened", now.Opened))
		case last.Connected && !now.Connected:
			log.Warn("stream lost", slog.Time("heard", now.Heard))
		}
		for _, m := range stream.Missing() {
			if !m.To.After(told[m.Feed]) {
				continue
			}
			told[m.Feed] = m.To
			log.Warn("missing", slog.String("feed", m.Feed), slog.Time("from", m.From), slog.Time("to", m.To), slog.Bool("pulled", m.Pulled))
			if !m.Pulled { // the Stream keeps it as a gap, and does not forget it before
				stream.MadeUp(m.Feed, m.To)
			}
		}
		if since := stream.Since(); !since.IsZero() && (now.Opened != last.Opened || since.Sub(last.Since) >= sinceEvery) {
			if err := w.Intake.KeepUntil(ctx, place, since); err != nil {
				return err
			}
			last.Since = since
		}
		last.Opened, last.Connected = now.Opened, now.Connected
		if today := time.Now().UTC().YearDay(); today != day {
			if err := w.endImports(ctx, feeds); err != nil {
				return err
			}
			day = today
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// pushedFeed is what all records of a feed share that are pushed; without a name it stands for all deliveries of the connection.
func (w *worker) pushedFeed(name, class string) intake.Feed {
	v, _ := programVersion()
	return intake.Feed{
		Source: dingtalk.Name, Instance: w.corp + "/pushed/" + name, Entity: w.c.Entity, Class: class, Channel: guia.ChannelPush, Grade: guia.GradeA,
		Normaliser: dingtalk.Normaliser + " guia/" + v,
	}
}

func (w *worker) feed(name string) intake.EnabledFeed {
	i := slices.IndexFunc(w.c.Feeds, func(f intake.EnabledFeed) bool { return f.Name == name })
	return w.c.Feeds[i] // the Stream was told these
}

// keepPushed keeps records of what was pushed; when it returns they are durable.
func (w *worker) keepPushed(ctx context.Context, name string, records []source.Record) error {
	w.receiving.Lock()
	defer w.receiving.Unlock()
	counts, err := w.Intake.Receive(ctx, w.actor, w.c.Name, name, w.pushedFeed(name, w.feed(name).Class), records)
	w.count(name, string(guia.ChannelPush), counts)
	return err
}

// endImports records the counts of what was pushed so far.
func (w *worker) endImports(ctx context.Context, feeds []string) error {
	w.receiving.Lock()
	defer w.receiving.Unlock()
	for _, name := range feeds {
		if err := w.Intake.Received(ctx, w.actor, w.pushedFeed(name, w.feed(name).Class)); err != nil {
			return err
		}
	}
	return nil
}

// lost are the feeds of which events may have been lost and that a round makes up for.
func (w *worker) lost() map[string]bool {
	lost := map[string]bool{}
	w.mu.Lock()
	for name := range w.missed {
		lost[name] = true
	}
	w.mu.Unlock()
	if stream := w.stream.Load(); stream != nil {
		for _, m := range stream.Missing() {
			lost[m.Feed] = lost[m.Feed] || m.Pulled
		}
	}
	return lost
}

// madeUp notes that a whole round of the feed began at that time, and reports whether nothing of it is missing.
func (w *worker) madeUp(feed string, began time.Time) bool {
	if stream := w.stream.Load(); stream != nil {
		stream.MadeUp(feed, began)
	}
	w.mu.Lock()
	if before, is := w.missed[feed]; is && !began.Before(before) {
		delete(w.missed, feed)
	}
	w.mu.Unlock()
	return !w.lost()[feed]
}

// callbackPath is where DingTalk posts to, through a proxy that speaks TLS.
const callbackPath = "/dingtalk/{connection}"

// post hands a post of DingTalk's to the worker of its connection.
func (k *keeper) post(out http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	w := k.workers[r.PathValue("connection")]
	k.mu.Unlock()
	if w != nil {
		if h := w.callback.Load(); h != nil {
			h.ServeHTTP(out, r)
			return
		}
	}
	http.NotFound(out, r)
}
