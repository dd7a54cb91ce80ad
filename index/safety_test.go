package index

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"guia"
	"guia/db"
)

// TestHiddenDocumentsLeaveNoTrace adds documents that the asker may not see: neither the hits nor their number nor a single bit of a
// score changes.
func TestHiddenDocumentsLeaveNoTrace(t *testing.T) {
	m := seedOf(t)
	scope := Scope{Streams: []string{"mine", "ours"}, Persons: []string{"me"}}
	var seen, both []Doc
	seq := uint64(0)
	for range 300 {
		d := m.doc(seq)
		d.Stream = []string{"mine", "ours"}[m.IntN(2)]
		seen, both = append(seen, d), append(both, d)
		seq++
		for range m.IntN(5) {
			d := m.doc(seq)
			d.Text = append(d.Text, m.text(60))
			both = append(both, d)
			seq++
		}
	}
	a := open(t, filepath.Join(t.TempDir(), "a.db"))
	b := open(t, filepath.Join(t.TempDir(), "b.db"))
	must(t, a.Apply(ctx, seen, seq))
	for i, d := range both {
		must(t, b.Apply(ctx, []Doc{d}, d.Seq+1))
		if i%97 == 0 {
			must(t, b.Flush(ctx))
		}
	}
	must(t, b.Apply(ctx, nil, seq))
	found := 0
	for range 300 {
		q := m.query()
		q.Order = Relevance
		q.Text = m.ask(&both[m.IntN(len(both))], 2).String()
		wantHits, want := all(t, a, scope, q)
		gotHits, got := all(t, b, scope, q)
		found += want
		if got != want || fmt.Sprint(gotHits) != fmt.Sprint(wantHits) {
			t.Fatalf("%+v: with hidden documents %d %v\nwithout them %d %v", q, got, gotHits, want, wantHits)
		}
	}
	if found == 0 {
		t.Fatal("nothing was found at all")
	}
	if res, err := b.Search(ctx, Scope{}, Query{}); err != nil || res.Total != 0 || len(res.Hits) != 0 {
		t.Errorf("the empty scope sees %+v, %v", res, err)
	}
}

// TestSearchesGoOnMeanwhile searches while documents are applied, flushed, merged and forgotten. Each answer must be one that was right
// at some moment between its beginning and its end. Worth running with -race.
func TestSearchesGoOnMeanwhile(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	const docs = 3000
	var mu sync.Mutex
	applied, least := 0, 0 // how many are certainly there; how many may have been forgotten
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				low := applied - least
				mu.Unlock()
				res, err := x.Search(ctx, Scope{Streams: []string{"s"}}, Query{Text: `comum "a b"`, Order: Order(rand.IntN(2)), Limit: 5})
				mu.Lock()
				high, gone := applied+64, least
				mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				if res.Total > high || res.Total < low-gone-8 {
					t.Errorf("%d hits, expected %d to %d", res.Total, low-gone, high)
					return
				}
			}
		})
	}
	for i := 0; i < docs; i += 25 {
		var batch []Doc
		for k := range 25 {
			batch = append(batch, Doc{Seq: uint64(i + k), Stream: "s", Text: []string{fmt.Sprintf("comum a b n%d", i+k)}})
		}
		must(t, x.Apply(ctx, batch, uint64(i+25)))
		mu.Lock()
		applied += 25
		mu.Unlock()
		if i%75 == 0 {
			must(t, x.Flush(ctx))
		}
		if i%500 == 0 {
			mu.Lock()
			least += 8
			mu.Unlock()
			seqs := []uint64{}
			for range 8 {
				seqs = append(seqs, uint64(rand.IntN(i+25)))
			}
			must(t, x.Forget(ctx, seqs))
		}
	}
	close(done)
	wg.Wait()
}

// TestDamageIsNoticed changes bytes of the file: an answer is right, or the damage is reported. It is never wrong in silence.
func TestDamageIsNoticed(t *testing.T) {
	m := seedOf(t)
	path := filepath.Join(t.TempDir(), "index.db")
	x := open(t, path)
	n := &naive{}
	for i := range 300 {
		n.docs = append(n.docs, m.doc(uint64(i)))
	}
	must(t, x.Apply(ctx, n.docs, 300))
	must(t, x.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	noticed := 0
	for range 60 {
		data := append([]byte(nil), whole...)
		at := 16384 + m.IntN(len(data)-16384)
		data[at] ^= 1 << m.IntN(8)
		must(t, os.WriteFile(path, data, 0o600))
		x, err := Open(ctx, path)
		if err != nil {
			noticed++
			continue
		}
		for range 10 {
			a := m.ask(&n.docs[m.IntN(300)], 1)
			res, err := x.Search(ctx, Scope{All: true}, Query{Text: a.String(), Order: Relevance})
			if err != nil {
				noticed++
				if guia.KindOf(err) != guia.Damaged {
					t.Errorf("byte %d: %v is not of kind damaged", at, err)
				}
				break
			}
			if want := n.search(Scope{All: true}, a, Query{}); res.Total != len(want) {
				t.Fatalf("byte %d: %s: %d hits, want %d, and no error", at, a, res.Total, len(want))
			}
		}
		x.Close()
	}
	if noticed == 0 {
		t.Error("no damage was ever noticed: the test does not reach what is stored")
	}
}

// TestOtherVersionIsThrownAway opens a file that was written with another folding: what it holds would not be found.
func TestOtherVersionIsThrownAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	x := open(t, path)
	must(t, x.Apply(ctx, []Doc{{Seq: 0, Text: []string{"velho"}}}, 1))
	must(t, x.Flush(ctx))
	must(t, x.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE index_state SET value = 1 WHERE name = 'version'")
		return err
	}))
	must(t, x.Close())
	x = open(t, path)
	if next, err := x.Cursor(ctx); next != 0 || err != nil {
		t.Errorf("cursor: got %d, %v; want 0", next, err)
	}
	if res, err := x.Search(ctx, Scope{All: true}, Query{}); err != nil || res.Total != 0 {
		t.Errorf("the old documents are still there: %+v, %v", res, err)
	}
	if left := scan(t, filepath.Dir(path), []string{"velho"}, true); len(left) > 0 {
		t.Error("the old words are still in the file")
	}
	must(t, x.Apply(ctx, []Doc{{Seq: 0, Text: []string{"novo"}}}, 1))
}

// TestWrongPagesAreRefused: a page mark is for the question it came from.
func TestWrongPagesAreRefused(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	var docs []Doc
	for i := range 10 {
		docs = append(docs, Doc{Seq: uint64(i), Text: []string{"um dois"}})
	}
	must(t, x.Apply(ctx, docs, 10))
	res, err := x.Search(ctx, Scope{All: true}, Query{Text: "um", Limit: 3})
	must(t, err)
	for _, q := range []Query{
		{Text: "dois", After: res.Next},
		{Text: "um", Order: Relevance, After: res.Next},
		{Text: "um", Kinds: []string{"x"}, After: res.Next},
		{Text: "um", After: "x"},
		{Text: "um", After: res.Next[1:]},
		{Text: "um", After: strings.Repeat("A", len(res.Next))},
	} {
		if _, err := x.Search(ctx, Scope{All: true}, q); guia.KindOf(err) != guia.Invalid {
			t.Errorf("%+v: got %v, want a refusal", q, err)
		}
	}
	if _, err := x.Search(ctx, Scope{All: true}, Query{Text: "um", Limit: 3, After: res.Next}); err != nil {
		t.Error(err)
	}
}

// TestClosedIndexRefuses: no call on a closed index panics or pretends.
func TestClosedIndexRefuses(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	must(t, x.Apply(ctx, []Doc{{Seq: 0, Text: []string{"um"}}}, 1))
	must(t, x.Close())
	must(t, x.Close())
	if _, err := x.Search(ctx, Scope{All: true}, Query{Text: "um"}); err == nil {
		t.Error("Search answered")
	}
	for name, err := range map[string]error{
		"Apply": x.Apply(ctx, []Doc{{Seq: 1}}, 2), "Flush": x.Flush(ctx), "Forget": x.Forget(ctx, []uint64{0}), "Reset": x.Reset(ctx),
	} {
		if err == nil {
			t.Errorf("%s gave no error", name)
		}
	}
}
