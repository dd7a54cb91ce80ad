package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

var ctx = context.Background()

func open(t testing.TB, path string) *Index {
	t.Helper()
	x, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seedOf returns a new seed, or the one of GUIA_SEED to repeat a failure.
func seedOf(t testing.TB) maker {
	seed := rand.Uint64()
	if s := os.Getenv("GUIA_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		must(t, err)
		seed = n
	}
	t.Logf("GUIA_SEED=%d", seed)
	return maker{rand.New(rand.NewPCG(seed, 1))}
}

// all walks the pages of a search.
func all(t testing.TB, x *Index, scope Scope, q Query) (hits []Hit, total int) {
	t.Helper()
	for first := true; ; first = false {
		res, err := x.Search(ctx, scope, q)
		if err != nil {
			t.Fatalf("Search(%q): %v", q.Text, err)
		}
		if first {
			total = res.Total
		} else if res.Total != total {
			t.Errorf("Search(%q): a later page counts %d hits, the first %d", q.Text, res.Total, total)
		}
		hits = append(hits, res.Hits...)
		if res.Next == "" {
			return hits, total
		}
		if len(res.Hits) == 0 {
			t.Fatalf("Search(%q): an empty page with a next one", q.Text)
		}
		q.After = res.Next
	}
}

// compareAnswers asks the index and the oracle the same random questions.
func compareAnswers(t *testing.T, m maker, x *Index, n *naive, questions int) {
	t.Helper()
	found := 0
	for range questions {
		var a *asked
		q, scope := m.query(), m.scope()
		if len(n.docs) > 0 && m.IntN(10) > 0 {
			a = m.ask(&n.docs[m.IntN(len(n.docs))], m.IntN(3))
			q.Text = a.String()
		}
		got, total := all(t, x, scope, q)
		want := n.search(scope, a, q)
		found += len(want)
		if total != len(want) {
			t.Errorf("%+v in %+v: counted %d, want %d", q, scope, total, len(want))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v in %+v:\n got %v\nwant %v", q, scope, got, want)
		}
	}
	if questions > 100 && len(n.docs) > 100 && found == 0 {
		t.Fatal("no question found anything: the test tests nothing")
	}
}

// TestSearchAnswersAsAScanWould builds an index from random documents in random batches, with flushes, merges, forgetting, closing and
// crashing in between, and compares every kind of question with a scan over all documents.
func TestSearchAnswersAsAScanWould(t *testing.T) {
	rounds, questions := 6, 150
	if os.Getenv("GUIA_SOAK") != "" {
		rounds, questions = 400, 400
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			m := seedOf(t)
			path := filepath.Join(t.TempDir(), "index.db")
			x := open(t, path)
			n := &naive{gone: map[uint64]bool{}}
			seq := uint64(m.IntN(5))
			for range 3 + m.IntN(25) {
				var batch []Doc
				for range m.IntN(40) {
					batch = append(batch, m.doc(seq))
					seq += 1 + uint64(m.IntN(3))
				}
				n.docs = append(n.docs, batch...)
				must(t, x.Apply(ctx, batch, seq))
				switch m.IntN(6) {
				case 0, 1, 2:
					must(t, x.Flush(ctx))
				case 3:
					must(t, x.Close())
					x = open(t, path)
				case 4: // a crash: the file is opened again as it is, and what was not in it is applied again
					abandon(t, x)
					x = open(t, path)
					next, err := x.Cursor(ctx)
					must(t, err)
					i, _ := slices.BinarySearchFunc(n.docs, next, func(d Doc, s uint64) int { return int(d.Seq) - int(s) })
					must(t, x.Apply(ctx, n.docs[i:], seq))
				}
				if m.IntN(5) == 0 && len(n.docs) > 0 {
					var seqs []uint64
					for range 1 + m.IntN(5) {
						s := n.docs[m.IntN(len(n.docs))].Seq
						n.gone[s] = true
						seqs = append(seqs, s)
					}
					must(t, x.Forget(ctx, append(seqs, seq+1000)))
				}
			}
			compareAnswers(t, m, x, n, questions)
		})
	}
}

// abandon lets go of an index as a killed process would: nothing is flushed.
func abandon(t testing.TB, x *Index) {
	t.Helper()
	x.writing.Lock()
	defer x.writing.Unlock()
	x.broken = errClosed
	must(t, x.db.Close())
}

// TestPagesStayTogether applies more documents between the pages of a search: they are on none of them.
func TestPagesStayTogether(t *testing.T) {
	m := seedOf(t)
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	var docs []Doc
	for i := range 300 {
		d := m.doc(uint64(i))
		d.Text = append(d.Text, "comum")
		docs = append(docs, d)
	}
	must(t, x.Apply(ctx, docs[:200], 200))
	for _, order := range []Order{Newest, Relevance} {
		q := Query{Text: "comum OR data", Order: order, Limit: 7}
		first, err := x.Search(ctx, Scope{All: true}, q)
		must(t, err)
		want, _ := all(t, x, Scope{All: true}, q)
		if order == Newest {
			must(t, x.Apply(ctx, docs[200:250], 250))
		} else {
			must(t, x.Flush(ctx))
			must(t, x.Apply(ctx, docs[250:], 300))
			must(t, x.Flush(ctx))
		}
		q.After = first.Next
		rest, total := all(t, x, Scope{All: true}, q)
		if got := append(first.Hits, rest...); !slices.Equal(got, want) || total != 0 && total != len(want) {
			t.Errorf("order %d: got %v (%d)\nwant %v", order, got, total, want)
		}
	}
}

// TestRebuildAnswersTheSame compares an index with a lived life with one that was given everything at once after a reset.
func TestRebuildAnswersTheSame(t *testing.T) {
	m := seedOf(t)
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	var docs []Doc
	for i := range 1000 {
		docs = append(docs, m.doc(uint64(i)))
	}
	for i := 0; i < len(docs); i += 50 {
		must(t, x.Apply(ctx, docs[i:i+50], uint64(i+50)))
		must(t, x.Flush(ctx))
	}
	if st := x.Stats(); st.Segments < 2 || st.Segments >= 20 {
		t.Errorf("%d segments after 20 flushes: expected some merged, some not", st.Segments)
	}
	type question struct {
		scope Scope
		q     Query
	}
	var questions []question
	var before [][]Hit
	for range 200 {
		q := m.query()
		q.Text = m.ask(&docs[m.IntN(len(docs))], 2).String()
		questions = append(questions, question{m.scope(), q})
		hits, _ := all(t, x, questions[len(questions)-1].scope, q)
		before = append(before, hits)
	}
	must(t, x.Reset(ctx))
	if next, _ := x.Cursor(ctx); next != 0 {
		t.Fatalf("cursor after reset: got %d, want 0", next)
	}
	if hits, _ := all(t, x, Scope{All: true}, Query{}); len(hits) != 0 {
		t.Fatalf("%d documents after reset", len(hits))
	}
	must(t, x.Apply(ctx, docs, 1000))
	must(t, x.Flush(ctx))
	for i, ask := range questions {
		if hits, _ := all(t, x, ask.scope, ask.q); !slices.Equal(hits, before[i]) {
			t.Errorf("%+v: after the rebuild %v, before %v", ask, hits, before[i])
		}
	}
}

// TestCursorAndSegmentsCommitTogether crashes at every commit: whatever cursor the file has, exactly the documents before it are found.
func TestCursorAndSegmentsCommitTogether(t *testing.T) {
	m := seedOf(t)
	path := filepath.Join(t.TempDir(), "index.db")
	x := open(t, path)
	applied, flushed := uint64(0), uint64(0)
	for i := range 30 {
		var docs []Doc
		for range 10 {
			d := m.doc(applied)
			d.Text = []string{fmt.Sprintf("palavra n%d", applied)}
			docs = append(docs, d)
			applied++
		}
		must(t, x.Apply(ctx, docs, applied))
		if i%3 == 0 {
			must(t, x.Flush(ctx))
			flushed = applied
		}
		if i%4 == 3 {
			abandon(t, x)
			x = open(t, path)
			next, err := x.Cursor(ctx)
			must(t, err)
			if next != flushed {
				t.Fatalf("cursor after a crash: got %d, want the flushed %d", next, flushed)
			}
			res, err := x.Search(ctx, Scope{All: true}, Query{Text: "palavra", Copies: true})
			must(t, err)
			if uint64(res.Total) != next {
				t.Fatalf("cursor %d, but %d documents are found", next, res.Total)
			}
			if next > 0 {
				res, err = x.Search(ctx, Scope{All: true}, Query{Text: fmt.Sprintf("n%d", next-1)})
				must(t, err)
				if res.Total != 1 {
					t.Fatalf("the document before the cursor is found %d times", res.Total)
				}
			}
			applied = next
		}
	}
}

// TestPhrasesEndWithTheirText: title and body are not one sentence.
func TestPhrasesEndWithTheirText(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	must(t, x.Apply(ctx, []Doc{{Seq: 1, Text: []string{"a data", "de 合", "同"}}}, 2))
	for text, want := range map[string]int{`"data de"`: 0, "合同": 0, `"a data"`: 1, "a data de 合 同": 1} {
		if res, err := x.Search(ctx, Scope{All: true}, Query{Text: text}); err != nil || res.Total != want {
			t.Errorf("%s: %d hits, %v; want %d", text, res.Total, err, want)
		}
	}
}

// TestApplyTwiceChangesNothing offers the same batch again, as a follower does that lost the answer.
func TestApplyTwiceChangesNothing(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	docs := []Doc{{Seq: 1, Text: []string{"um"}}, {Seq: 2, Text: []string{"um dois"}}}
	for range 3 {
		must(t, x.Apply(ctx, docs, 3))
	}
	res, err := x.Search(ctx, Scope{All: true}, Query{Text: "um"})
	must(t, err)
	if res.Total != 2 {
		t.Errorf("got %d hits, want 2", res.Total)
	}
	if err := x.Apply(ctx, []Doc{{Seq: 9}, {Seq: 8}}, 10); err == nil {
		t.Error("documents out of order were accepted")
	}
	if err := x.Apply(ctx, []Doc{{Seq: 9}}, 9); err == nil {
		t.Error("a document at the next cursor was accepted")
	}
}
