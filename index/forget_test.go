package index

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia/lang"
)

// TestForgottenTermsAreNowhere looks for the words of one message in every byte of the file, its log and what lies beside it: before
// forgetting they are found (or the search for them proves nothing), afterwards they are not, while the words it shared with others
// still find those.
func TestForgottenTermsAreNowhere(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, x *Index)
	}{
		{"in the buffer", func(*testing.T, *Index) {}},
		{"in a segment", func(t *testing.T, x *Index) { must(t, x.Flush(ctx)) }},
		{"merged, with stale copies in free slots", func(t *testing.T, x *Index) {
			m := seedOf(t)
			for next := uint64(1000); next < 1400; next += 20 {
				var docs []Doc
				for i := range uint64(20) {
					docs = append(docs, m.doc(next+i))
				}
				must(t, x.Flush(ctx))
				must(t, x.Apply(ctx, docs, next+20))
			}
			must(t, x.Flush(ctx))
			if n := x.Stats().Segments; n > 8 {
				t.Fatalf("%d segments: nothing was merged", n)
			}
		}},
		{"after a crash", func(t *testing.T, x *Index) {
			must(t, x.Flush(ctx))
			abandon(t, x)
			must(t, x.open(ctx))
			x.broken, x.counted = nil, false
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			x := open(t, filepath.Join(dir, "index.db"))
			m := seedOf(t)
			var docs []Doc
			for i := range 500 {
				docs = append(docs, m.doc(uint64(i)))
			}
			// The words are searched for in parts, because a dictionary stores only what a term does not share with the one before. The
			// long ones fill slots of their own; the name of the conversation and the person are the message's own, too.
			canary := &docs[250]
			var long strings.Builder
			for i := range 3000 {
				fmt.Fprintf(&long, "kwagga%dquagga ", i)
			}
			canary.Text = []string{"Zurbagangesheim 驪龘靐齉 contrato " + strings.Repeat("zzxxyyqqww", 30), long.String()}
			canary.Stream, canary.Person = "feedfacecafebeef0123", "deadbeefdeadbeef4567"
			canaries := []string{"angesheim", "wagga", "7quagga", "yyqqwwzzxx", lang.Fold("龘靐")[1:], "facecafebeef", "beefdeadbeef"}
			must(t, x.Apply(ctx, docs, 500))
			c.prepare(t, x)
			must(t, x.Flush(ctx))
			if missing := scan(t, dir, canaries, false); len(missing) > 0 {
				t.Fatalf("before forgetting, not in the files: %q", missing)
			}
			contrato := func() int {
				res, err := x.Search(ctx, Scope{All: true}, Query{Text: "contrato", Copies: true})
				must(t, err)
				return res.Total
			}
			before := contrato()
			must(t, x.Forget(ctx, []uint64{canary.Seq}))
			if left := scan(t, dir, canaries, true); len(left) > 0 {
				t.Errorf("after forgetting, still in the files: %q", left)
			}
			if after := contrato(); after != before-1 {
				t.Errorf("contrato: %d hits, want %d", after, before-1)
			}
			must(t, x.Close())
			if left := scan(t, dir, canaries, true); len(left) > 0 {
				t.Errorf("after closing, in the files again: %q", left)
			}
		})
	}
}

// TestForgettingIsFinishedAfterACrash stops between the exchange of the segments and the overwriting of what lay in the old ones.
func TestForgettingIsFinishedAfterACrash(t *testing.T) {
	dir := t.TempDir()
	x := open(t, filepath.Join(dir, "index.db"))
	must(t, x.Apply(ctx, []Doc{{Seq: 1, Text: []string{"fica"}}, {Seq: 2, Text: []string{"zurbagan vai"}}}, 3))
	must(t, x.Flush(ctx))
	must(t, x.forgetIn(ctx, x.segments[0], []uint64{2}))
	abandon(t, x)
	if missing := scan(t, dir, []string{"zurbagan"}, false); len(missing) > 0 {
		t.Fatal("the word is gone already: the test tests nothing")
	}
	x = open(t, filepath.Join(dir, "index.db"))
	if res, err := x.Search(ctx, Scope{All: true}, Query{Text: "zurbagan"}); err != nil || res.Total != 0 {
		t.Errorf("found %d times, %v", res.Total, err)
	}
	must(t, x.Forget(ctx, []uint64{2}))
	if left := scan(t, dir, []string{"zurbagan"}, true); len(left) > 0 {
		t.Error("the word is still in the files")
	}
	if res, err := x.Search(ctx, Scope{All: true}, Query{Text: "fica"}); err != nil || res.Total != 1 {
		t.Errorf("the other document is found %d times, %v", res.Total, err)
	}
}

// scan returns the canaries that are (or are not) in any file of dir.
func scan(t *testing.T, dir string, canaries []string, present bool) (list []string) {
	t.Helper()
	var all []byte
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		all = append(all, data...)
	}
	for _, c := range canaries {
		if bytes.Contains(all, []byte(c)) == present {
			list = append(list, c)
		}
	}
	return list
}

// TestForgetManyTimes forgets everything bit by bit; the last document of a segment takes the segment with it.
func TestForgetManyTimes(t *testing.T) {
	m := seedOf(t)
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	n := &naive{gone: map[uint64]bool{}}
	for i := range 400 {
		d := m.doc(uint64(i))
		if i%7 == 0 { // postings that lie in slots of their own
			d.Text = append(d.Text, strings.Repeat("longo ", 900))
		}
		n.docs = append(n.docs, d)
	}
	must(t, x.Apply(ctx, n.docs, 400))
	must(t, x.Flush(ctx))
	order := m.Perm(400)
	for len(order) > 0 {
		k := min(len(order), 1+m.IntN(60))
		var seqs []uint64
		for _, i := range order[:k] {
			seqs = append(seqs, uint64(i))
			n.gone[uint64(i)] = true
		}
		order = order[k:]
		must(t, x.Forget(ctx, seqs))
		compareAnswers(t, m, x, n, 20)
		res, err := x.Search(ctx, Scope{All: true}, Query{Text: "longo"})
		must(t, err)
		if want := len(n.search(Scope{All: true}, &asked{op: opLeaf, phrase: "longo"}, Query{})); res.Total != want {
			t.Fatalf("longo: %d hits, want %d", res.Total, want)
		}
	}
	if st := x.Stats(); st.Segments != 0 || st.Docs != 0 {
		t.Errorf("after forgetting everything: %+v", st)
	}
}

// TestBigPostings walks through what small tests do not reach: postings in many slots, lists of slots in slots of their own, documents
// full of one word.
func TestBigPostings(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	var docs []Doc
	filler := strings.Repeat("x ", 14000)
	const n = 3000
	for i := range n {
		d := Doc{Seq: uint64(i), Text: []string{"comum", fmt.Sprintf("n%d d%d", i, i/10)}}
		if i%2 == 0 {
			d.Text = append(d.Text, filler)
		}
		docs = append(docs, d)
	}
	docs[77].Text = append(docs[77].Text, strings.Repeat("solitude ", 200_000)+"fim")
	docs[78].Text = append(docs[78].Text, strings.Repeat("a b ", 150_000))
	for i := 0; i < n; i += 100 {
		must(t, x.Apply(ctx, docs[i:i+100], uint64(i+100)))
	}
	must(t, x.Flush(ctx))
	kinds := map[uint8]bool{}
	must(t, x.store.read(ctx, func(r *reader) error {
		for _, s := range x.segments {
			s.walk(r, nil, func(p postings) { kinds[p.kind] = true })
		}
		return nil
	}))
	if len(kinds) != 4 {
		t.Fatalf("not all kinds of postings occur: %v", kinds)
	}
	check := func(text string, want ...uint64) {
		t.Helper()
		res, err := x.Search(ctx, Scope{All: true}, Query{Text: text, Limit: 10})
		must(t, err)
		var got []uint64
		for _, h := range res.Hits {
			got = append(got, h.Seq)
		}
		slices.Sort(got)
		if len(want) > 0 && !slices.Equal(got, want) || len(want) == 0 && res.Total != 0 {
			t.Errorf("%s: got %v of %d, want %v", text, got, res.Total, want)
		}
	}
	count := func(text string, want int) {
		t.Helper()
		res, err := x.Search(ctx, Scope{All: true}, Query{Text: text})
		must(t, err)
		if res.Total != want {
			t.Errorf("%s: %d hits, want %d", text, res.Total, want)
		}
	}
	count("x", n/2)
	count("comum x", n/2)
	count(`"x x x"`, n/2)
	count("comum -x", n/2)
	check("x n2998", 2998)
	check("x n2999")
	check(`"solitude solitude"`, 77)
	check(`"solitude fim"`, 77)
	check(`"a b a"`, 78)
	check(`"a a"`)
	must(t, x.Forget(ctx, []uint64{1000, 1001}))
	count("comum", n-2)
	for _, text := range []string{"n1000", "n1001", "n1000 x"} {
		check(text)
	}
	must(t, x.Apply(ctx, []Doc{{Seq: n, Text: []string{"comum"}}, {Seq: n + 1, Text: []string{"x " + filler}}}, n+2))
	must(t, x.Flush(ctx))
	count("x", n/2) // one forgotten, one new
	count("comum", n-1)
	must(t, x.Forget(ctx, []uint64{77, 78}))
	check("solitude")
	check("a")
}
