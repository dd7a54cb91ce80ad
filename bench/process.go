package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"guia/intake"
	"guia/source"
)

// process measures how long commands take that do next to nothing, in a directory with events in it.
func (b *bench) process(ctx context.Context) error {
	d, err := b.fresh(ctx, "process")
	if err != nil {
		return err
	}
	c := newCorpus(11)
	var at intake.Progress
	for done := 0; done < 20_000; done += 2000 {
		records := make([]source.Record, 2000)
		for i := range records {
			records[i] = c.record(done+i, 300)
		}
		if _, at, err = d.Intake.Accept(ctx, benchFeed, records, at); err != nil {
			return err
		}
	}
	if err := d.Close(ctx); err != nil {
		return err
	}
	dir := filepath.Join(b.work, "process")
	if err := b.command("--dir", dir, "search", "contract"); err != nil { // indexes, once
		return err
	}
	for _, args := range [][]string{{"version"}, {"help"}, {"log", "-n", "5"}, {"show", "100"}, {"search", "contract", "--limit", "5"}, {"case", "list"}, {"key", "status"}, {"user", "list"}} {
		var took []time.Duration
		for range 11 {
			start := time.Now()
			if err := b.command(append([]string{"--dir", dir}, args...)...); err != nil {
				return err
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.report("Start of a command (whole process, 20,000 events)", "guia "+args[0], fmt.Sprintf("median %s", quantile(took, 0.5).Round(time.Millisecond)), "under 100 ms", verdictOf(quantile(took, 0.5) < 100*time.Millisecond))
	}
	return nil
}
