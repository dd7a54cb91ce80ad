package index

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"guia"
	"guia/canon"
)

// tellings returns the events of one message as sources a, b and c told it, each in a conversation of its own, and of another message.
// The second and third name the first.
func tellings() (events []guia.Event) {
	for i, source := range []guia.SourceName{"a", "b", "c", "a"} {
		e := guia.Event{Seq: guia.Seq(i), Header: guia.Header{Type: guia.MessageSent, Source: source, Record: recordOf(uint64(i))}}
		e.Stream[0] = source[0]
		e.Fields.Set("sender.key", "ana")
		e.Fields.Set("time", fmt.Sprintf("2026-03-01T09:00:%02dZ", i))
		canon.SetText(&e.Fields, "o contrato")
		if i == 1 || i == 2 {
			e.Fields.Set("same_as", recordOf(0).String())
		}
		events = append(events, e)
	}
	return events
}

func follower(x *Index) *Follower {
	return &Follower{Index: x, Person: func(source guia.SourceName, _ string) (id guia.PersonID) {
		id[0] = source[0]
		return id
	}}
}

// TestAMessageIsCountedOnce: kept in three documents, it is one hit, the first of those that answer and may be seen.
func TestAMessageIsCountedOnce(t *testing.T) {
	stream := func(names ...byte) (list []string) {
		for _, name := range names {
			list = append(list, guia.StreamID{name}.String())
		}
		return list
	}
	everything := Scope{All: true}
	for _, c := range []struct {
		what  string
		gone  []guia.Seq
		scope Scope
		q     Query
		want  string // newest first: place+copies
	}{
		{"all may be seen", nil, everything, Query{Text: "contrato"}, "3+0 0+2"},
		{"by relevance", nil, everything, Query{Text: "contrato", Order: Relevance}, "3+0 0+2"},
		{"without words", nil, everything, Query{}, "3+0 0+2"},
		{"every record wanted", nil, everything, Query{Text: "contrato", Copies: true}, "3+0 2+0 1+0 0+0"},
		{"one of them may be seen", nil, Scope{Streams: stream('b')}, Query{Text: "contrato"}, "1+0"},
		{"two of them may be seen", nil, Scope{Streams: stream('b', 'c')}, Query{Text: "contrato", Order: Relevance}, "1+1"},
		{"one is asked for", nil, everything, Query{Text: "contrato", Streams: stream('c')}, "2+0"},
		{"one by its person", nil, everything, Query{Persons: []string{guia.PersonID{'b'}.String()}}, "1+0"},
		{"one lies in the period", nil, everything, Query{From: time.Date(2026, 3, 1, 9, 0, 2, 0, time.UTC), To: time.Date(2026, 3, 1, 9, 0, 3, 0, time.UTC)}, "2+0"},
		{"the first is forgotten", []guia.Seq{0}, everything, Query{Text: "contrato"}, "3+0 1+1"},
		{"the first is forgotten, one may be seen", []guia.Seq{0}, Scope{Streams: stream('a', 'c')}, Query{}, "3+0 2+0"},
		{"two are forgotten", []guia.Seq{0, 1}, everything, Query{Text: "contrato", Order: Relevance}, "3+0 2+0"},
		{"a copy is forgotten", []guia.Seq{1}, everything, Query{Text: "contrato"}, "3+0 0+1"},
	} {
		t.Run(c.what, func(t *testing.T) {
			lived := open(t, filepath.Join(t.TempDir(), "lived.db"))
			events := tellings()
			for i := range events { // a segment each
				must(t, follower(lived).Apply(ctx, events[i:i+1], guia.Seq(i+1)))
				must(t, lived.Flush(ctx))
			}
			destroyed := guia.Event{Seq: 4, Header: guia.Header{Type: guia.KeysDestroyed, Source: guia.Own}}
			destroyed.Fields.Set("seqs", canon.FormatSeqs(c.gone))
			must(t, follower(lived).Apply(ctx, []guia.Event{destroyed}, 5))
			rebuilt := open(t, filepath.Join(t.TempDir(), "rebuilt.db"))
			for _, seq := range c.gone { // their content can no longer be read
				events[seq].Fields = nil
			}
			must(t, follower(rebuilt).Apply(ctx, append(events, destroyed), 5))
			for name, x := range map[string]*Index{"lived": lived, "rebuilt": rebuilt} {
				q := c.q
				q.Limit = 1
				hits, total := all(t, x, c.scope, q)
				got := ""
				for _, h := range hits {
					got += fmt.Sprintf(" %d+%d", h.Seq, h.Copies)
				}
				if got != " "+c.want || total != len(hits) {
					t.Errorf("%s: got%s, counted %d; want %s", name, got, total, c.want)
				}
			}
		})
	}
}
