package people_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"guia"
	"guia/people"
)

// called is a message in a conversation of that name.
func called(seq guia.Seq, stream guia.StreamID, name string) guia.Event {
	e := guia.Event{Seq: seq, Header: guia.Header{Type: guia.MessageSent, Source: "slack", Stream: stream, Captured: time.Unix(1_700_000_000, 0).UTC()}}
	e.Fields.Set("conversation.name", name)
	return e
}

func TestConversationsAreFoundByTheirLastName(t *testing.T) {
	ctx := context.Background()
	p, err := people.Open(filepath.Join(t.TempDir(), "people.db"), func(guia.SourceName, string) guia.PersonID { return guia.PersonID{} })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	sales, site := guia.NewStreamID(), guia.NewStreamID()
	gone := guia.Event{Seq: 4, Header: guia.Header{Type: guia.KeysDestroyed, Source: guia.Own}}
	gone.Fields.Set("seqs", "1")
	steps := []struct {
		events []guia.Event
		ask    string
		want   []guia.StreamID
	}{
		{[]guia.Event{called(0, sales, "營業部 Vendas"), called(1, site, "Site 3")}, "营业部", []guia.StreamID{sales}},
		{nil, "SITE", []guia.StreamID{site}},
		{[]guia.Event{called(2, sales, "Comissões"), called(3, sales, "Comissões")}, "vendas", nil},
		{nil, "comissoes", []guia.StreamID{sales}},
		{[]guia.Event{gone}, "site", nil},
	}
	next := guia.Seq(0)
	for _, s := range steps {
		next += guia.Seq(len(s.events))
		if err := p.Apply(ctx, s.events, next); err != nil {
			t.Fatal(err)
		}
		got, err := p.Conversations(ctx, s.ask)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(s.want) || len(got) > 0 && got[0] != s.want[0] {
			t.Errorf("%q: got %v, want %v", s.ask, got, s.want)
		}
	}
}
