package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"guia/index"
)

// search measures questions over a million messages: for somebody who may see everything, for somebody who may see a thousandth of
// them, and for FTS5 trigram over the same text.
func (b *bench) search(ctx context.Context) error {
	n, streams := 1_000_000, 10_000
	if b.quick {
		n, streams = 50_000, 1000
	}
	x, err := index.Open(ctx, filepath.Join(b.work, "search.db"))
	if err != nil {
		return err
	}
	defer x.Close()
	peer, err := openTrigram(filepath.Join(b.work, "search-trigram.db"))
	if err != nil {
		return err
	}
	defer peer.Close()
	c := newCorpus(99)
	var building, peerBuilding time.Duration
	for done := 0; done < n; done += 10_000 {
		docs, texts := make([]index.Doc, 10_000), make([]string, 10_000)
		for i := range docs {
			texts[i] = c.text(120)
			docs[i] = index.Doc{
				Seq: uint64(done + i), Time: time.Unix(1_600_000_000+int64(done+i)*60, 0), HasTime: true, Kind: "message.sent", Entity: "Bench",
				Stream: fmt.Sprintf("%032x", c.r.IntN(streams)), Person: fmt.Sprintf("%032x", c.r.IntN(900)), Text: []string{texts[i]},
			}
		}
		start := time.Now()
		if err := x.Apply(ctx, docs, uint64(done+len(docs))); err != nil {
			return err
		}
		building += time.Since(start)
		start = time.Now()
		if err := fillTrigram(peer, done, texts); err != nil {
			return err
		}
		peerBuilding += time.Since(start)
	}
	if err := x.Flush(ctx); err != nil {
		return err
	}
	few := index.Scope{}
	for i := range streams / 1000 { // a thousandth of the streams has a thousandth of the messages
		few.Streams = append(few.Streams, fmt.Sprintf("%032x", i*7))
	}
	questions := questions()
	all, err := ask(ctx, x, index.Scope{All: true}, questions)
	if err != nil {
		return err
	}
	some, err := ask(ctx, x, few, questions)
	if err != nil {
		return err
	}
	theirs, err := askTrigram(ctx, peer, questions)
	if err != nil {
		return err
	}
	section := fmt.Sprintf("Search over %d messages", n)
	show := func(d []time.Duration) string {
		return fmt.Sprintf("p50 %s, p95 %s, p99 %s", quantile(d, 0.5).Round(10*time.Microsecond), quantile(d, 0.95).Round(10*time.Microsecond), quantile(d, 0.99).Round(10*time.Microsecond))
	}
	p95 := quantile(all, 0.95)
	b.report(section, "who may see everything", show(all), "p95 under 50 ms", verdictOf(p95 < 50*time.Millisecond))
	b.report(section, "who may see 0.1 %", show(some), "p95 under 50 ms", verdictOf(quantile(some, 0.95) < 50*time.Millisecond))
	b.report(section, "FTS5 trigram, everything, newest 20 and count", show(theirs), "ours no slower (p95)", verdictOf(p95 <= quantile(theirs, 0.95)))
	b.report(section, "building, against FTS5 trigram", fmt.Sprintf("%.0f/s, %.0f/s, ratio %.1f", float64(n)/building.Seconds(), float64(n)/peerBuilding.Seconds(), peerBuilding.Seconds()/building.Seconds()), "", noTarget)
	return nil
}

// questions are what people type: common words, rare ones, Chinese of two and more characters, phrases, two words together.
func questions() []string {
	r := rand.New(rand.NewPCG(5, 5))
	fixed := []string{"commission", "contrato", "佣金", "客戶", "加班費", "勞工局", `"the contract"`, "comissao prazo", "salary overtime", "the", "não está", "会议", "report -draft"}
	list := slices.Clone(fixed)
	for range 60 {
		list = append(list, words[r.IntN(len(words))], words[r.IntN(len(words))]+" "+words[r.IntN(len(words))], fmt.Sprintf("%s%d", words[(200+r.IntN(9000))%40], 200+r.IntN(9000)))
	}
	return list
}

func ask(ctx context.Context, x *index.Index, scope index.Scope, questions []string) ([]time.Duration, error) {
	var took []time.Duration
	for range 3 {
		for _, q := range questions {
			start := time.Now()
			if _, err := x.Search(ctx, scope, index.Query{Text: q}); err != nil {
				return nil, fmt.Errorf("search %q: %w", q, err)
			}
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	return took, nil
}

// askTrigram asks the same of FTS5 where it can answer at all: trigrams cannot find words of two characters, which costs it nothing
// here because those questions are left out.
func askTrigram(ctx context.Context, db *sql.DB, questions []string) ([]time.Duration, error) {
	var took []time.Duration
	for range 1 { // it takes long enough
		for _, q := range questions {
			match, ok := trigramQuery(q)
			if !ok {
				continue
			}
			start := time.Now()
			var count int
			if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM t WHERE t MATCH ?", match).Scan(&count); err != nil {
				return nil, fmt.Errorf("fts5 %q: %w", match, err)
			}
			rows, err := db.QueryContext(ctx, "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rowid DESC LIMIT 20", match)
			if err != nil {
				return nil, err
			}
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					return nil, err
				}
			}
			if err := rows.Err(); err != nil {
				return nil, err
			}
			rows.Close()
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	return took, nil
}
