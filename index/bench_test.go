//go:build unix

package index

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"guia/db"
)

// company makes messages as a Macau company writes them: mostly Chinese in either script, then Portuguese and English, with words as
// frequent as words are (Zipf), in conversations of very different sizes. Nothing is copied from anywhere.
type company struct {
	*rand.Rand
	han, latin *rand.Zipf
	streams    *rand.Zipf
	lexicon    []string
	hanLexicon []string
	seq        uint64
}

func newCompany(seed uint64) *company {
	r := rand.New(rand.NewPCG(seed, 2))
	c := &company{Rand: r, han: rand.NewZipf(r, 1.1, 15, 19999), latin: rand.NewZipf(r, 1.1, 8, 39999), streams: rand.NewZipf(r, 1.05, 20, 9999)}
	syllables := strings.Fields("a o e co de do da ção ra re ri ro ta te ti to men tra ba ca ma pa sa na no ni lo la li per con pro in ex ment ing er al is ão ões que por")
	for i := range 40000 {
		n := 1 + i%4
		if i > 200 {
			n++
		}
		var b strings.Builder
		for range n {
			b.WriteString(syllables[c.IntN(len(syllables))])
		}
		c.lexicon = append(c.lexicon, b.String())
	}
	for range 20000 { // words of one to four characters
		var b strings.Builder
		for range []int{1, 2, 2, 2, 2, 2, 2, 3, 3, 4}[c.IntN(10)] {
			b.WriteRune(rune(0x4e00 + int(math.Pow(c.Float64(), 2)*3500)*5))
		}
		c.hanLexicon = append(c.hanLexicon, b.String())
	}
	return c
}

func (c *company) text(bytes int) string {
	var b strings.Builder
	chinese := c.IntN(3) > 0
	for b.Len() < bytes {
		switch {
		case c.IntN(40) == 0:
			fmt.Fprintf(&b, " %d ", c.IntN(100000))
		case chinese:
			for range 1 + c.IntN(7) {
				b.WriteString(c.hanLexicon[c.han.Uint64()])
			}
			b.WriteString([]string{"，", "。", " ", "", "？"}[c.IntN(5)])
		default:
			for range 2 + c.IntN(8) {
				b.WriteString(c.lexicon[c.latin.Uint64()])
				b.WriteByte(' ')
			}
			b.WriteString([]string{", ", ". ", "\n"}[c.IntN(3)])
		}
	}
	return b.String()
}

// doc makes the next message, of about size bytes.
func (c *company) doc(size int) Doc {
	d := Doc{
		Seq: c.seq, HasTime: true, Time: makerEpoch.Add(time.Duration(c.seq)*30*time.Second - time.Duration(c.IntN(3600))*time.Second),
		Kind: "message.sent", Entity: "macau", Stream: fmt.Sprintf("%032x", c.streams.Uint64()*7919), Person: fmt.Sprintf("%016x", c.IntN(300)*104729),
		Text: []string{c.text(size)},
	}
	c.seq++
	return d
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBuild measures CPU per KiB of text, everything included: folding, cutting, writing, merging.
func BenchmarkBuild(b *testing.B) {
	c := newCompany(1)
	var docs []Doc
	for range 40000 {
		docs = append(docs, c.doc(1000))
	}
	bytes := 0
	for _, d := range docs {
		bytes += len(d.Text[0])
	}
	b.Run("guia", func(b *testing.B) {
		start := cpu()
		for b.Loop() {
			x := open(b, filepath.Join(b.TempDir(), "index.db"))
			for i := 0; i < len(docs); i += 500 {
				must(b, x.Apply(ctx, docs[i:i+500], docs[i+499].Seq+1))
			}
			must(b, x.Close())
		}
		report(b, cpu()-start, bytes)
	})
	b.Run("guia/flushed each 500", func(b *testing.B) {
		start := cpu()
		for b.Loop() {
			x := open(b, filepath.Join(b.TempDir(), "index.db"))
			for i := 0; i < len(docs); i += 500 {
				must(b, x.Apply(ctx, docs[i:i+500], docs[i+499].Seq+1))
				must(b, x.Flush(ctx))
			}
			must(b, x.Close())
		}
		report(b, cpu()-start, bytes)
	})
	b.Run("fts5 trigram", func(b *testing.B) {
		start := cpu()
		for b.Loop() {
			p := newPeer(b, filepath.Join(b.TempDir(), "peer.db"))
			for i := 0; i < len(docs); i += 500 {
				p.apply(b, docs[i:i+500])
			}
			must(b, p.Close())
		}
		report(b, cpu()-start, bytes)
	})
}

// BenchmarkSearch asks an index of 200,000 messages, open and warm.
func BenchmarkSearch(b *testing.B) {
	c := newCompany(1)
	x := open(b, filepath.Join(b.TempDir(), "index.db"))
	var docs []Doc
	for range 200_000 {
		docs = append(docs, c.doc(40+c.IntN(320)))
	}
	must(b, x.Apply(ctx, docs, c.seq))
	must(b, x.Flush(ctx))
	many := Scope{}
	for i := range 3000 {
		many.Streams = append(many.Streams, fmt.Sprintf("%032x", (i*3)*7919))
	}
	for _, m := range []struct {
		name  string
		scope Scope
		q     Query
	}{
		{"common", Scope{All: true}, Query{Text: c.lexicon[0]}},
		{"common/relevance", Scope{All: true}, Query{Text: c.lexicon[0], Order: Relevance}},
		{"two/3000 conversations", many, Query{Text: c.lexicon[0] + " " + c.lexicon[1]}},
		{"two/3000 conversations/relevance", many, Query{Text: c.lexicon[0] + " " + c.lexicon[1], Order: Relevance}},
		{"phrase", Scope{All: true}, Query{Text: `"` + c.lexicon[0] + " " + c.lexicon[1] + `"`}},
		{"one Han", Scope{All: true}, Query{Text: c.hanWord(1)}},
	} {
		b.Run(m.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := x.Search(ctx, m.scope, m.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func report(b *testing.B, spent time.Duration, bytes int) {
	kib := float64(bytes) * float64(b.N) / 1024
	b.ReportMetric(float64(spent.Microseconds())/kib, "cpu-µs/KiB")
	b.ReportMetric(kib/1024/b.Elapsed().Seconds(), "MiB/s")
	b.ReportMetric(0, "ns/op")
}

// peer is the same data in an SQLite FTS5 table with the trigram tokenizer.
type peer struct{ *db.DB }

func newPeer(t testing.TB, path string) peer {
	d, err := db.Open(ctx, path, db.Options{Durability: db.Disposable})
	must(t, err)
	p := peer{d}
	must(t, d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("CREATE VIRTUAL TABLE index_peer USING fts5(body, stream UNINDEXED, content='', contentless_delete=0, tokenize='trigram')")
		if err != nil {
			return err
		}
		if _, err = tx.Exec("CREATE TABLE index_peerdoc (id INTEGER PRIMARY KEY, stream TEXT, at INTEGER)"); err != nil {
			return err
		}
		_, err = tx.Exec("CREATE INDEX index_peertime ON index_peerdoc (at)")
		return err
	}))
	return p
}

func (p peer) apply(t testing.TB, docs []Doc) {
	must(t, p.Write(ctx, func(tx *db.Tx) error {
		for i := range docs {
			if _, err := tx.Exec("INSERT INTO index_peer (rowid, body) VALUES (?, ?)", int64(docs[i].Seq)+1, docs[i].Text[0]); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO index_peerdoc (id, stream, at) VALUES (?, ?, ?)", int64(docs[i].Seq)+1, docs[i].Stream, docs[i].Time.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	}))
}

// search counts and returns the newest 20, as Search does.
func (p peer) search(ctx context.Context, match string) (total int, err error) {
	err = p.Snapshot(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM index_peer WHERE index_peer MATCH ?", match).Scan(&total); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT d.id FROM index_peer f JOIN index_peerdoc d ON d.id = f.rowid WHERE f.index_peer MATCH ? ORDER BY d.at DESC LIMIT 20", match)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	})
	return total, err
}

// TestMillion builds an index of a million messages, measures and holds it to the promises of the issue. It takes minutes.
func TestMillion(t *testing.T) {
	if os.Getenv("GUIA_SOAK") == "" {
		t.Skip("needs minutes: set GUIA_SOAK=1")
	}
	const messages, batch = 1_000_000, 500
	dir := t.TempDir()
	path := filepath.Join(dir, "index.db")
	x := open(t, path)
	c := newCompany(1)
	var bytes int
	var took, spent time.Duration
	var peak uint64
	var sample []string
	docs := make([]Doc, batch)
	for n := 0; n < messages; n += batch {
		for i := range docs {
			docs[i] = c.doc(40 + c.IntN(320))
			bytes += len(docs[i].Text[0])
		}
		sample = append(sample, docs[0].Text[0])
		start, startCPU := time.Now(), cpu()
		must(t, x.Apply(ctx, docs, c.seq))
		took += time.Since(start)
		spent += cpu() - startCPU
		if n%50000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	}
	start, startCPU := time.Now(), cpu()
	must(t, x.Close())
	took += time.Since(start)
	spent += cpu() - startCPU
	info, err := os.Stat(path)
	must(t, err)
	kib := float64(bytes) / 1024
	t.Logf("built: %d messages, %.0f MiB of text in %.1f s: %.1f MiB/s, %.1f µs CPU per KiB, %.0f messages/s; heap in use at most %d MiB; file %.0f MiB, %.2f of the text",
		messages, kib/1024, took.Seconds(), kib/1024/took.Seconds(), float64(spent.Microseconds())/kib, messages/took.Seconds(), peak>>20, float64(info.Size())/(1<<20), float64(info.Size())/float64(bytes))

	start = time.Now()
	x = open(t, path)
	t.Logf("opened in %v, %+v", time.Since(start), x.Stats())
	if d := time.Since(start); d > 20*time.Millisecond {
		t.Errorf("opening took %v, want at most 20ms", d)
	}
	few := Scope{}
	for i := range 10 { // rare conversations: about a thousandth of the messages
		few.Streams = append(few.Streams, fmt.Sprintf("%032x", (2000+i*97)*7919))
	}
	thousands := Scope{}
	for i := range 3000 {
		thousands.Streams = append(thousands.Streams, fmt.Sprintf("%032x", (i*3)*7919))
	}
	res, err := x.Search(ctx, few, Query{})
	must(t, err)
	t.Logf("first search after opening, scope of %d messages: %v", res.Total, time.Since(start))
	every := Scope{All: true}
	for _, m := range []struct {
		name  string
		scope Scope
		ask   func(text string) Query
	}{
		{"common word", every, func(string) Query { return Query{Text: c.lexicon[c.IntN(5)]} }},
		{"common word, relevance", every, func(string) Query { return Query{Text: c.lexicon[c.IntN(5)], Order: Relevance} }},
		{"rare word", every, func(string) Query { return Query{Text: c.lexicon[5000+c.IntN(30000)]} }},
		{"two common words", every, func(string) Query { return Query{Text: c.lexicon[c.IntN(20)] + " " + c.lexicon[c.IntN(20)]} }},
		{"two Han characters", every, func(string) Query { return Query{Text: c.hanWord(2)} }},
		{"two Han characters, relevance", every, func(string) Query { return Query{Text: c.hanWord(2), Order: Relevance} }},
		{"one Han character", every, func(string) Query { return Query{Text: c.hanWord(1)} }},
		{"four Han characters from a text", every, func(s string) Query { return Query{Text: c.piece(s, 4)} }},
		{"phrase of three words", every, func(s string) Query {
			return Query{Text: `"` + c.lexicon[c.IntN(8)] + " " + c.lexicon[c.IntN(8)] + " " + c.lexicon[c.IntN(8)] + `"`}
		}},
		{"beginning of a word", every, func(string) Query { return Query{Text: string([]rune(c.lexicon[200+c.IntN(2000)])[:2]) + "*"} }},
		{"no text, time and person", every, func(string) Query {
			return Query{Persons: []string{fmt.Sprintf("%016x", c.IntN(300)*104729)}, From: makerEpoch.Add(100 * 24 * time.Hour)}
		}},
		{"common word, 0.1% scope", few, func(string) Query { return Query{Text: c.lexicon[c.IntN(5)]} }},
		{"common word, 0.1% scope, relevance", few, func(string) Query { return Query{Text: c.lexicon[c.IntN(5)], Order: Relevance} }},
		{"two Han characters, 0.1% scope", few, func(string) Query { return Query{Text: c.hanWord(2)} }},
		{"two common words, 3000 conversations", thousands, func(string) Query { return Query{Text: c.lexicon[c.IntN(20)] + " " + c.lexicon[c.IntN(20)]} }},
		{"two common words, 3000 conversations, relevance", thousands, func(string) Query {
			return Query{Text: c.lexicon[c.IntN(20)] + " " + c.lexicon[c.IntN(20)], Order: Relevance}
		}},
	} {
		var times []time.Duration
		hits := 0
		for range 200 {
			q := m.ask(sample[c.IntN(len(sample))])
			start := time.Now()
			res, err := x.Search(ctx, m.scope, q)
			times = append(times, time.Since(start))
			if err != nil {
				t.Fatalf("%s: %q: %v", m.name, q.Text, err)
			}
			hits += res.Total
		}
		slices.Sort(times)
		p95 := times[190]
		t.Logf("%-48s p50 %-10v p95 %-10v p99 %-10v %d hits on average", m.name, times[100].Round(time.Microsecond), p95.Round(time.Microsecond), times[198].Round(time.Microsecond), hits/200)
		if p95 > 50*time.Millisecond {
			t.Errorf("%s: p95 %v, want at most 50ms", m.name, p95)
		}
	}
	start = time.Now()
	must(t, x.Forget(ctx, []uint64{123456}))
	t.Logf("forgot one message in %v", time.Since(start))
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("heap in use after the searches: %d MiB", mem.HeapInuse>>20)
	comparePeer(t, x, c, sample, messages, batch, float64(spent.Microseconds())/kib, took)
}

// comparePeer builds the peer from the same messages and asks both the same questions: all pages counted, the newest twenty.
func comparePeer(t *testing.T, x *Index, c *company, sample []string, messages, batch int, ours float64, oursTook time.Duration) {
	path := filepath.Join(t.TempDir(), "peer.db")
	p := newPeer(t, path)
	defer p.Close()
	same := newCompany(1)
	docs := make([]Doc, batch)
	var took, spent time.Duration
	bytes := 0
	for n := 0; n < messages; n += batch {
		for i := range docs {
			docs[i] = same.doc(40 + same.IntN(320))
			bytes += len(docs[i].Text[0])
		}
		start, startCPU := time.Now(), cpu()
		p.apply(t, docs)
		took += time.Since(start)
		spent += cpu() - startCPU
	}
	info, err := os.Stat(path)
	must(t, err)
	theirs := float64(spent.Microseconds()) / (float64(bytes) / 1024)
	t.Logf("FTS5 trigram built in %.1f s, %.1f µs CPU per KiB; file %.0f MiB. We: %.1f times the rate, %.1f times by CPU",
		took.Seconds(), theirs, float64(info.Size())/(1<<20), took.Seconds()/oursTook.Seconds(), theirs/ours)
	if theirs/ours < 3 {
		t.Errorf("building is %.1f times as fast as FTS5 trigram, want at least 3", theirs/ours)
	}
	for _, m := range []struct {
		name string
		text func(string) string
	}{
		{"common word", func(string) string { return c.lexicon[4+c.IntN(5)] }},
		{"rare word", func(string) string { return c.lexicon[5000+c.IntN(30000)] }},
		{"four Han characters from a text", func(s string) string { return c.piece(s, 4) }},
		{"phrase of three words", func(string) string {
			return c.lexicon[c.IntN(8)] + " " + c.lexicon[c.IntN(8)] + " " + c.lexicon[c.IntN(8)]
		}},
	} {
		var us, they []time.Duration
		for range 60 {
			text := m.text(sample[c.IntN(len(sample))])
			start := time.Now()
			_, err := x.Search(ctx, Scope{All: true}, Query{Text: `"` + text + `"`})
			us = append(us, time.Since(start))
			must(t, err)
			start = time.Now()
			_, err = p.search(ctx, `"`+text+`"`)
			they = append(they, time.Since(start))
			must(t, err)
		}
		slices.Sort(us)
		slices.Sort(they)
		t.Logf("%-40s we p50 %-10v p95 %-10v FTS5 trigram p50 %-10v p95 %v", m.name, us[30].Round(time.Microsecond), us[57].Round(time.Microsecond), they[30].Round(time.Microsecond), they[57].Round(time.Microsecond))
		if us[57] > they[57] {
			t.Errorf("%s: slower than FTS5 trigram: p95 %v, its %v", m.name, us[57], they[57])
		}
	}
}

func (c *company) hanWord(n int) string {
	for {
		if w := c.hanLexicon[c.han.Uint64()]; utf8.RuneCountInString(w) == n {
			return w
		}
	}
}

// piece returns n characters in a row from the middle of a text, or a word if there are no Chinese ones.
func (c *company) piece(text string, n int) string {
	run := []rune(nil)
	for _, r := range text {
		if r < 0x4e00 || r > 0x9fff {
			run = run[:0]
			continue
		}
		if run = append(run, r); len(run) == n {
			return string(run)
		}
	}
	return c.hanWord(n)
}
