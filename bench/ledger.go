package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"guia"
	"guia/seal"
	"guia/vault"
)

// An appender makes a batch durable, all of it, before it returns.
type appender struct {
	append func(ctx context.Context, batch [][]byte) error
	close  func()
}

// ledger compares the bare ledger (1 KiB entries that are sealed already) with a raw file and with Tessera.
func (b *bench) ledger(ctx context.Context) error {
	rounds, factor := 5, 1
	if b.quick {
		rounds, factor = 1, 8
	}
	cases := []struct {
		name           string
		batch, clients int
		calls          int // per client and round
	}{
		{"batch 1", 1, 1, 1500 / factor}, {"batch 256", 256, 1, 150 / factor}, {"32 waiting writers", 1, 32, 400 / factor},
		{longRun, 256, 1, 1000 / factor}, // the log is copied back and begun anew several times
	}
	for n, c := range cases {
		rates, latencies := map[string][]float64{}, map[string][]time.Duration{}
		for round := range rounds {
			for _, peer := range []string{"raw", "guia", "tessera"} {
				if peer == "raw" && c.clients > 1 {
					continue // a raw file has no group commit to compare
				}
				dir := filepath.Join(b.work, fmt.Sprintf("%s-%d-%d", peer, n, round))
				a, err := b.appender(ctx, peer, dir, c.batch, c.clients)
				if err != nil {
					return err
				}
				calls := c.calls
				if peer == "tessera" {
					calls = max(20, calls/8) // it takes long enough
				}
				rate, took, err := drive(ctx, a, c.batch, c.clients, calls)
				a.close()
				if err != nil {
					return fmt.Errorf("%s: %w", peer, err)
				}
				rates[peer] = append(rates[peer], rate)
				latencies[peer] = append(latencies[peer], took...)
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
			}
		}
		b.compare(c.name, rates, latencies)
	}
	return nil
}

// longRun is batch after batch for seconds; the targets are for a burst.
const longRun = "batch 256 without end"

func (b *bench) compare(name string, rates map[string][]float64, latencies map[string][]time.Duration) {
	for _, peer := range []string{"raw", "guia", "tessera"} {
		if len(rates[peer]) == 0 {
			continue
		}
		slices.Sort(latencies[peer])
		b.report("Bare ledger, 1 KiB, durable", name+", "+peer, fmt.Sprintf("median %.0f/s, best %.0f/s, p50 %s, p99 %s", median(rates[peer]), best(rates[peer]),
			quantile(latencies[peer], 0.5).Round(10*time.Microsecond), quantile(latencies[peer], 0.99).Round(10*time.Microsecond)), "", noTarget)
	}
	ratio := func(peer string) float64 { return median(rates["guia"]) / median(rates[peer]) }
	tail := func() float64 {
		return float64(quantile(latencies["guia"], 0.99)) / float64(quantile(latencies["raw"], 0.99))
	}
	section := "Bare ledger, 1 KiB, durable"
	switch name {
	case longRun:
		b.report(section, longRun+", guia / raw", fmt.Sprintf("%.2f, p99 %.1f", ratio("raw"), tail()), "", noTarget)
	case "batch 1":
		b.report(section, "batch 1, guia / raw", fmt.Sprintf("%.2f", ratio("raw")), "at least 0.6", verdictOf(ratio("raw") >= 0.6))
		b.report(section, "batch 1, p99 guia / p99 raw", fmt.Sprintf("%.1f", tail()), "at most 5", verdictOf(tail() <= 5))
	case "batch 256":
		b.report(section, "batch 256, guia / raw", fmt.Sprintf("%.2f", ratio("raw")), "at least 0.30", verdictOf(ratio("raw") >= 0.30))
		b.report(section, "batch 256, guia / Tessera POSIX", fmt.Sprintf("%.1f", ratio("tessera")), "at least 2", verdictOf(ratio("tessera") >= 2))
		b.report(section, "batch 256, p99 guia / p99 raw", fmt.Sprintf("%.1f", tail()), "at most 5", verdictOf(tail() <= 5))
	default:
		b.report(section, "32 waiting writers, guia / Tessera POSIX", fmt.Sprintf("%.1f", ratio("tessera")), "at least 8", verdictOf(ratio("tessera") >= 8))
	}
}

// drive lets clients append batch after batch and returns entries a second and the time of each call.
func drive(ctx context.Context, a appender, batch, clients, calls int) (float64, []time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	for range clients {
		wg.Go(func() {
			entries := make([][]byte, batch)
			for i := range entries {
				entries[i] = make([]byte, 1024)
				rand.Read(entries[i])
			}
			took := make([]time.Duration, 0, calls)
			for range calls {
				began := time.Now()
				if err := a.append(ctx, entries); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				took = append(took, time.Since(began))
			}
			mu.Lock()
			all = append(all, took...)
			mu.Unlock()
		})
	}
	wg.Wait()
	return float64(batch*calls*clients) / time.Since(start).Seconds(), all, failed
}

func (b *bench) appender(ctx context.Context, peer, dir string, batch, clients int) (appender, error) {
	switch peer {
	case "raw":
		return raw(dir)
	case "tessera":
		if batch == 1 && clients > 1 {
			batch = 256 // entries come one by one from many: let it collect them for its 5 ms
		}
		return tesseraPOSIX(ctx, dir, batch)
	}
	d, err := b.fresh(ctx, filepath.Base(dir))
	if err != nil {
		return appender{}, err
	}
	return appender{
		append: func(ctx context.Context, batch [][]byte) error {
			items := make([]vault.Sealed, len(batch))
			now := time.Now().UTC()
			for i := range items {
				items[i] = vault.Sealed{
					Header: guia.Header{Type: guia.MessageSent, Source: "bench", Captured: now, Record: guia.NewRecordID()},
					Stream: seal.Owner{1}, FieldCount: 1, Row: batch[i],
				}
			}
			_, err := d.Ledger.Append(ctx, items...)
			return err
		},
		close: func() { d.Close(ctx) },
	}, nil
}

// raw is the floor: the entries of a batch behind each other, one write, one fdatasync.
func raw(dir string) (appender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return appender{}, err
	}
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		return appender{}, err
	}
	var joined []byte
	return appender{
		append: func(_ context.Context, batch [][]byte) error {
			joined = joined[:0]
			for _, e := range batch {
				joined = append(joined, e...)
			}
			if _, err := f.Write(joined); err != nil {
				return err
			}
			return unix.Fdatasync(int(f.Fd()))
		},
		close: func() { f.Close() },
	}, nil
}

// tesseraPOSIX is Tessera with batches of the size that is offered, or of 5 ms when entries come one by one from many clients.
func tesseraPOSIX(ctx context.Context, dir string, batch int) (appender, error) {
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return appender{}, err
	}
	skey, _, err := note.GenerateKey(nil, "bench.example/log")
	if err != nil {
		return appender{}, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return appender{}, err
	}
	ctx, cancel := context.WithCancel(ctx) // its background jobs outlive its shutdown otherwise
	a, stop, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(uint(max(batch, 1)), 5*time.Millisecond).WithCheckpointInterval(time.Second))
	if err != nil {
		cancel()
		return appender{}, err
	}
	return appender{
		append: func(ctx context.Context, batch [][]byte) error {
			futures := make([]tessera.IndexFuture, len(batch))
			for i, e := range batch {
				futures[i] = a.Add(ctx, tessera.NewEntry(e))
			}
			for _, f := range futures {
				if _, err := f(); err != nil {
					return err
				}
			}
			return nil
		},
		close: func() { stop(ctx); cancel() },
	}, nil
}
