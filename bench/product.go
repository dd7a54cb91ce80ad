package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the peer

	"guia"
	"guia/directory"
	"guia/index"
	"guia/intake"
	"guia/ledger"
	"guia/source"
)

var benchFeed = intake.Feed{Source: "mapped", Instance: "bench", Entity: "Bench", Class: "chat", Channel: guia.ChannelFile, Grade: guia.GradeC, Normaliser: "bench/1"}

// product measures the whole way of 1 KiB records: to durable (sealed, committed), to searchable (indexed), and stored bytes; the
// peer builds an FTS5 trigram index over the same text.
func (b *bench) product(ctx context.Context) error {
	n, rounds := 20000, 5
	if b.quick {
		n, rounds = 4000, 2
	}
	const page = 2000
	var durable, searchable, rate, peer, stored []float64
	var log int64 // the same for every directory, however much is stored
	for round := range rounds {
		d, err := b.fresh(ctx, fmt.Sprintf("product-%d", round))
		if err != nil {
			return err
		}
		x, follower, err := openIndex(ctx, d)
		if err != nil {
			return err
		}
		c := newCorpus(uint64(round))
		var at intake.Progress
		var first, second time.Duration
		payload := 0
		texts := make([]string, 0, n)
		for done := 0; done < n; done += page {
			records := make([]source.Record, page)
			for i := range records {
				records[i] = c.record(done+i, 1024)
				texts = append(texts, records[i].Text)
				payload += len(records[i].Text)
			}
			c0 := cpu()
			if _, at, err = d.Intake.Accept(ctx, benchFeed, records, at); err != nil {
				return err
			}
			c1 := cpu()
			if err := d.Ledger.CatchUp(ctx, nil, follower); err != nil {
				return err
			}
			first, second = first+c1-c0, second+cpu()-c1
		}
		c0 := cpu()
		if err := x.Flush(ctx); err != nil {
			return err
		}
		second += cpu() - c0
		if err := x.Close(); err != nil {
			return err
		}
		if err := d.Close(ctx); err != nil {
			return err
		}
		durable = append(durable, float64(first)/float64(n)/1e3)
		searchable = append(searchable, float64(first+second)/float64(n)/1e3)
		both, err := b.rate(ctx, fmt.Sprintf("rate-%d", round), texts)
		if err != nil {
			return err
		}
		rate = append(rate, both)
		stored = append(stored, float64(size(d.Path)-size(d.Followers())-size(d.Main.Path()+"-wal"))/float64(payload))
		log = size(d.Main.Path() + "-wal")
		trigram, err := b.trigram(filepath.Join(b.work, fmt.Sprintf("trigram-%d.db", round)), texts)
		if err != nil {
			return err
		}
		peer = append(peer, trigram)
	}
	section := "Product path, 1 KiB records"
	b.report(section, "CPU per record to durable", fmt.Sprintf("%.0f µs", median(durable)), "at most 100 µs", verdictOf(median(durable) <= 100))
	b.report(section, "CPU per record to searchable", fmt.Sprintf("%.0f µs", median(searchable)), "at most 200 µs", verdictOf(median(searchable) <= 200))
	ratio := median(rate) / median(peer)
	b.report(section, "records/s to searchable, against FTS5 trigram alone", fmt.Sprintf("%.0f/s, %.0f/s, ratio %.1f", median(rate), median(peer), ratio), "at least 3", verdictOf(ratio >= 3))
	b.report(section, "stored bytes per payload byte, without the index", fmt.Sprintf("%.2f, and a log of %d MiB", median(stored), log>>20), "at most 2.2", verdictOf(median(stored) <= 2.2))
	return nil
}

// rate is how many records a second become searchable when the index follows while records come in, as it does in `guia import`.
func (b *bench) rate(ctx context.Context, name string, texts []string) (float64, error) {
	const page = 1000 // as the sources cut it
	d, err := b.fresh(ctx, name)
	if err != nil {
		return 0, err
	}
	defer d.Close(ctx)
	x, follower, err := openIndex(ctx, d)
	if err != nil {
		return 0, err
	}
	defer x.Close()
	c := newCorpus(1)
	records := make([]source.Record, len(texts))
	for i := range records {
		records[i] = c.record(i, 1)
		records[i].Text, records[i].Raw = texts[i], fmt.Appendf(nil, `{"id":%d,"text":%q}`, i, texts[i])
	}
	following, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- d.Ledger.Follow(following, follower) }()
	var at intake.Progress
	for first := 0; first < len(records); first += page {
		if _, at, err = d.Intake.Accept(ctx, benchFeed, records[first:min(len(records), first+page)], at); err != nil {
			stop()
			return 0, err
		}
	}
	stop()
	if err := <-done; err != nil {
		return 0, err
	}
	if err := d.Ledger.CatchUp(ctx, nil, follower); err != nil {
		return 0, err
	}
	if err := x.Flush(ctx); err != nil {
		return 0, err
	}
	return float64(len(texts)) / time.Since(start).Seconds(), nil
}

func openIndex(ctx context.Context, d *directory.Directory) (*index.Index, ledger.Follower, error) {
	x, err := index.Open(ctx, filepath.Join(d.Followers(), "index.db"))
	if err != nil {
		return nil, nil, err
	}
	person := func(source guia.SourceName, key string) guia.PersonID {
		return guia.PersonID(d.Vault.PersonOwner(source, key))
	}
	return x, &index.Follower{Index: x, Person: person}, nil
}

// trigram builds an FTS5 trigram index over the texts as one would: WAL, synchronous=OFF, batches of 2,000. It returns texts a second.
func (b *bench) trigram(path string, texts []string) (float64, error) {
	db, err := openTrigram(path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	start := time.Now()
	if err := fillTrigram(db, 0, texts); err != nil {
		return 0, err
	}
	return float64(len(texts)) / time.Since(start).Seconds(), nil
}

func openTrigram(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=cache_size(-65536)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("CREATE VIRTUAL TABLE t USING fts5(body, tokenize = 'trigram', content = '')")
	return db, err
}

func fillTrigram(db *sql.DB, first int, texts []string) error {
	for len(texts) > 0 {
		n := min(2000, len(texts))
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		s, err := tx.Prepare("INSERT INTO t (rowid, body) VALUES (?, ?)")
		if err != nil {
			return err
		}
		for i, text := range texts[:n] {
			if _, err := s.Exec(first+i+1, text); err != nil {
				return err
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		first, texts = first+n, texts[n:]
	}
	return nil
}
