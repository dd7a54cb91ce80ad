package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/httpd"
	"guia/intake"
	"guia/ledger"
	"guia/permit"
	"guia/source/dingtalk"
)

// pulse is how often the running program looks whether something is to be done.
const pulse = 250 * time.Millisecond

func (p *program) serveCommand() *cobra.Command {
	var listen string
	var plan bool
	cmd := &cobra.Command{Use: "serve", Args: needs(0, 0)}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&listen, "listen", "127.0.0.1:8530", "")
	f.BoolVar(&plan, "plan", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if plan {
			return p.looking(func(ctx context.Context, s *session) error { return s.servePlan(ctx) })(cmd, args)
		}
		return p.reside(cmd.Context(), func(ctx context.Context, s *session) error { return s.serve(ctx, listen) })
	}
	return cmd
}

// reside opens the data directory in this very process: what runs for long is no guest of a command that ends soon. It waits for one that
// is about to end, and not for another that resides.
func (p *program) reside(ctx context.Context, fn func(context.Context, *session) error) error {
	switch {
	case p.holder == nil:
		return p.within(ctx, false, true, fn)
	case p.holder.resident:
		return guia.Refuse(guia.Held, "serve.runs", os.Getpid())
	}
	return exit(codeLater)
}

// keeper is the running program: it holds the data directory, has a [worker] for each connected source, and answers whoever asks how it
// goes. All that must survive a crash is in the ledger and beside it; what is here is made anew at the next start.
type keeper struct {
	*session
	log     *slog.Logger
	failed  chan error // what the program cannot go on with
	tallies tallies

	mu      sync.Mutex
	workers map[string]*worker // by connection

	receiving sync.Mutex
}

// serve runs until ctx ends, which is no error: what was received by then is kept, and a round that is stopped goes on at the next start.
// It ends by itself only on damage, or when its port is lost.
func (s *session) serve(ctx context.Context, listen string) error {
	defer spareMemory()()
	if err := s.may(ctx, permit.ActImport); err != nil {
		return err
	}
	if err := s.follow(ctx); err != nil {
		return err
	}
	listener, err := httpd.Listen(listen)
	if err != nil {
		return err
	}
	silent := *s.program // progress is for somebody who waits
	silent.quiet = true
	k := &keeper{session: &session{&silent, s.holder, s.actor}, log: s.logger(), failed: make(chan error, 1), workers: map[string]*worker{}}
	var wg sync.WaitGroup
	answering, stop := context.WithCancel(context.WithoutCancel(ctx)) // to the end, also of the work that is being finished
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		if err := httpd.Serve(answering, listener, k.pages(), callbackPath); err != nil {
			k.fail(err)
		}
	})
	k.log.Info("serving", slog.String("listen", listener.Addr().String()), slog.Uint64("events", uint64(s.Ledger.Size())))
	err = k.run(ctx)
	k.log.Info("stopped", slog.Uint64("events", uint64(s.Ledger.Size())))
	return err
}

// logger writes to stderr: a line for a person, or JSON.
func (p *program) logger() *slog.Logger {
	o := &slog.HandlerOptions{}
	if p.quiet {
		o.Level = slog.LevelWarn
	}
	if p.json {
		return slog.New(slog.NewJSONHandler(p.stderr, o))
	}
	return slog.New(slog.NewTextHandler(p.stderr, o))
}

// fail ends the program with an error.
func (k *keeper) fail(err error) {
	select {
	case k.failed <- err:
	default: // one is enough
	}
}

// run lets a worker work for each connection, as it stands, until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	defer k.dismiss()
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	var again, lookAgain time.Time
	for seen := guia.Seq(0); ; {
		// Whoever changes a connection leaves an event.
		if size := k.Ledger.Size(); size != seen && time.Now().After(lookAgain) {
			switch err := k.look(ctx); {
			case err == nil:
				seen = size
			case guia.KindOf(err) == guia.Damaged:
				return err
			case ctx.Err() == nil:
				k.trouble(ctx, "", "connections", err)
				lookAgain = time.Now().Add(firstRetry)
			}
		}
		if _, err := k.behind(); err != nil && time.Now().After(again) {
			k.trouble(ctx, "", "index", err)
			again = time.Now().Add(firstRetry)
			if err := k.refollow(ctx); err != nil && ctx.Err() == nil {
				k.trouble(ctx, "", "index", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-k.failed:
			return err
		case <-tick.C:
		}
	}
}

// refollow lets the followers go on after an error, such as a full disk.
func (k *keeper) refollow(ctx context.Context) error {
	k.parts.using.Lock()
	defer k.parts.using.Unlock()
	if err := k.followers.close(); err != nil {
		return err
	}
	return k.follow(ctx)
}

// look compares the workers with the connections: one that is new, or other than it was, gets another worker.
func (k *keeper) look(ctx context.Context) error {
	all, err := k.Intake.Connections(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, c := range all {
		if c.Source != dingtalk.Name {
			continue
		}
		hidden, err := k.Intake.Secret(ctx, k.Keys, c.Name)
		if err != nil {
			return err
		}
		there[c.Name] = true
		k.employ(ctx, &c, toldOf(&c, hidden))
	}
	for _, w := range k.all() {
		if !there[w.c.Name] {
			w.end()
			k.mu.Lock()
			delete(k.workers, w.c.Name)
			k.mu.Unlock()
			k.log.Info("disconnected", slog.String("connection", w.c.Name))
		}
	}
	return nil
}

// toldOf is a digest of everything that a worker goes by.
func toldOf(c *intake.Connection, hidden []byte) [sha256.Size]byte {
	b, _ := json.Marshal(c) // plain values
	return sha256.Sum256(append(b, hidden...))
}

func (k *keeper) employ(ctx context.Context, c *intake.Connection, told [sha256.Size]byte) {
	k.mu.Lock()
	before := k.workers[c.Name]
	k.mu.Unlock()
	if before != nil && before.told == told {
		return
	}
	if before != nil {
		before.end()
	}
	w := newWorker(k, c, told)
	k.mu.Lock()
	k.workers[c.Name] = w
	k.mu.Unlock()
	working, stop := context.WithCancel(ctx)
	w.stop = stop
	go func() {
		defer close(w.ended)
		w.run(working)
	}()
	k.log.Info("connected", slog.String("connection", c.Name), slog.Int("feeds", len(c.Feeds)))
}

func (k *keeper) all() (all []*worker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.workers {
		all = append(all, w)
	}
	return all
}

// dismiss ends all workers and returns when they have ended.
func (k *keeper) dismiss() {
	for _, w := range k.all() {
		w.stop()
	}
	for _, w := range k.all() {
		w.end()
	}
}

// trouble counts and logs what went wrong. A refusal is told by its sentence, which names no person; anything else by what it says.
func (k *keeper) trouble(ctx context.Context, connection, feed string, err error) {
	said, _ := k.describe(ctx, err)
	kind := said.Kind
	if f, ok := errors.AsType[*dingtalk.Fault](err); ok {
		kind = f.Kind.String()
	}
	k.tallies.add(tally{"errors", cmp.Or(connection, "-"), kind}, 1)
	level := slog.LevelWarn
	if guia.KindOf(err) != guia.Upstream {
		level = slog.LevelError
	}
	k.log.LogAttrs(ctx, level, "trouble", slog.String("connection", connection), slog.String("feed", feed), slog.String("kind", kind), slog.String("key", said.Key),
		slog.String("err", said.String()))
}

// pages are what is answered on the port.
func (k *keeper) pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", httpd.Healthz())
	mux.Handle("GET /readyz", httpd.Readyz(k.ready))
	mux.HandleFunc(callbackPath, k.post)
	mux.Handle("GET /metrics", httpd.Metrics(k.metrics))
	return mux
}

// Limits of being ready.
const (
	mostBehind = 10_000          // events that the index may lack
	mostQueue  = 5 * time.Second // that the writer may take
	mostAhead  = 2 * time.Minute // by which the ledger's last event may lie in the future
)

// ready looks whether the program can do its work.
func (k *keeper) ready(ctx context.Context) []httpd.Check {
	checks := []httpd.Check{{Name: "directory"}} // this process could not run without it
	add := func(name string, ok bool, format string, args ...any) {
		c := httpd.Check{Name: name}
		if !ok {
			c.Why = fmt.Sprintf(format, args...)
		}
		checks = append(checks, c)
	}
	asking, cancel := context.WithTimeout(ctx, mostQueue)
	defer cancel()
	add("writer", k.Ledger.Batch(asking, 0, nothing) == nil, "it does not answer")
	behind, err := k.behind()
	add("index", err == nil && behind <= mostBehind, "%d events behind", behind)
	ahead, err := k.ahead(ctx)
	add("clock", err == nil && ahead <= mostAhead, "the ledger's last event lies %s in the future", ahead.Round(time.Second))
	return checks
}

// behind is how many events the followers have not seen, and what ended them when they do not run.
func (k *keeper) behind() (n uint64, err error) {
	f := &k.followers
	f.mu.Lock()
	all, err := f.all, f.err
	f.mu.Unlock()
	size := k.Ledger.Size()
	for _, w := range all {
		if at, _ := w.at(); at < size {
			n = max(n, uint64(size-at))
		}
	}
	return n, err
}

// ahead is by how much the last event was captured after now.
func (k *keeper) ahead(ctx context.Context) (time.Duration, error) {
	e, err := k.Ledger.Event(ctx, k.Ledger.Size()-1)
	return time.Until(e.Captured), err
}

// nothing changes nothing, and asks whether the writer writes.
func nothing(*ledger.Tx) error { return nil }
