package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"guia/evidence/verify"
	"guia/intake"
	"guia/ledger"
	"guia/source"
)

// check measures `guia check` and the verification of a bundle.
func (b *bench) check(ctx context.Context) error {
	n := 200_000
	if b.quick {
		n = 10_000
	}
	d, err := b.fresh(ctx, "check")
	if err != nil {
		return err
	}
	c := newCorpus(3)
	var at intake.Progress
	for done := 0; done < n; done += 2000 {
		records := make([]source.Record, 2000)
		for i := range records {
			records[i] = c.record(done+i, 300)
		}
		if _, at, err = d.Intake.Accept(ctx, benchFeed, records, at); err != nil {
			return err
		}
	}
	var rates []float64
	for range 5 {
		start := time.Now()
		r, err := d.Check(ctx, ledger.CheckOptions{Quick: true})
		if err != nil || len(r.Findings) > 0 {
			return fmt.Errorf("check: %v, %w", r.Findings, err)
		}
		rates = append(rates, float64(r.Entries)/time.Since(start).Seconds())
	}
	b.report("Check and verify", "check of the tree", fmt.Sprintf("%.0f rows/s", median(rates)), "at least 300,000", verdictOf(median(rates) >= 300_000))
	start := time.Now()
	r, err := d.Check(ctx, ledger.CheckOptions{})
	if err != nil || len(r.Findings) > 0 {
		return fmt.Errorf("check: %v, %w", r.Findings, err)
	}
	b.report("Check and verify", "check of everything, every commitment", fmt.Sprintf("%.0f rows/s", float64(r.Entries)/time.Since(start).Seconds()), "", noTarget)
	if err := d.Close(ctx); err != nil {
		return err
	}
	return b.verify(d.Path)
}

// verify packs a case of 2,000 events with the binary and measures the verifier.
func (b *bench) verify(dir string) error {
	bundle := filepath.Join(b.work, "bench.asice")
	for _, args := range [][]string{
		{"case", "new", "bench"}, {"case", "add", "1", "10-2009"}, {"bundle", "1", "-o", bundle},
	} {
		if err := b.command(append([]string{"--dir", dir}, args...)...); err != nil {
			return err
		}
	}
	whole, err := os.ReadFile(bundle)
	if err != nil {
		return err
	}
	var took []float64
	for range 5 {
		start := time.Now()
		r := verify.Verify(bytes.NewReader(whole), int64(len(whole)), verify.Trust{}, verify.Limits{})
		if len(r.Findings) > 0 {
			return fmt.Errorf("verify: %v", r.Findings)
		}
		took = append(took, float64(time.Since(start).Microseconds())/2000/1000)
	}
	b.report("Check and verify", "verify a bundle of 2,000 records", fmt.Sprintf("%.3f ms a record, %d KB", median(took), len(whole)>>10), "at most 0.2 ms (aim 0.05)", verdictOf(median(took) <= 0.2))
	return nil
}
