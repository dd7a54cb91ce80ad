package index

import (
	"context"
	"strings"

	"guia"
	"guia/canon"
)

// Follower makes an [Index] a follower of the ledger (ledger.Follower): every record of a source becomes a document. What happened in
// Guia itself is not searched here: queries and reasons of colleagues are no content of the company's; `guia log` shows them.
type Follower struct {
	*Index
	// Person gives the pseudonym of a person as a source knows them (vault.PersonOwner).
	Person func(source guia.SourceName, key string) guia.PersonID
}

// Name implements ledger.Follower.
func (f *Follower) Name() string { return "index" }

// Cursor implements ledger.Follower.
func (f *Follower) Cursor(ctx context.Context) (guia.Seq, error) {
	next, err := f.Index.Cursor(ctx)
	return guia.Seq(next), err
}

// Apply implements ledger.Follower. Events whose keys were destroyed are forgotten in the order in which that was recorded.
func (f *Follower) Apply(ctx context.Context, events []guia.Event, next guia.Seq) error {
	docs := make([]Doc, 0, len(events))
	for i := range events {
		e := &events[i]
		if e.Type == guia.KeysDestroyed && e.Source == guia.Own {
			if err := f.forget(ctx, e, docs); err != nil {
				return err
			}
			docs = docs[:0]
		}
		if e.Source != guia.Own && len(e.Fields) > 0 {
			docs = append(docs, f.document(e))
		}
	}
	return f.Index.Apply(ctx, docs, uint64(next))
}

// forget applies what came before the destruction, then removes what it destroyed.
func (f *Follower) forget(ctx context.Context, e *guia.Event, before []Doc) error {
	if err := f.Index.Apply(ctx, before, uint64(e.Seq)); err != nil {
		return err
	}
	seqs, err := canon.ParseSeqs(e.Fields.Get("seqs"))
	if err != nil {
		return err
	}
	gone := make([]uint64, len(seqs))
	for i, s := range seqs {
		gone[i] = uint64(s)
	}
	return f.Index.Forget(ctx, gone)
}

// document is what can be found of an event.
func (f *Follower) document(e *guia.Event) Doc {
	d := Doc{
		Seq: uint64(e.Seq), Kind: string(e.Type), Entity: e.Fields.Get("entity"), Stream: e.Stream.String(), Message: e.Record,
	}
	if first, err := guia.ParseID16(e.Fields.Get("same_as")); err == nil {
		d.Message, d.Copy = first, true
	}
	if m, ok := e.Moment(); ok {
		d.Time, d.HasTime = m.Time, true
	}
	if key := e.Fields.Get("sender.key"); key != "" {
		d.Person = f.Person(e.Source, key).String()
	}
	d.Text = append(d.Text, e.Fields.Get("subject"), e.Text())
	for _, field := range e.Fields {
		if strings.HasPrefix(field.Name, "file.") && strings.HasSuffix(field.Name, ".name") {
			d.Text = append(d.Text, string(field.Value))
		}
	}
	if e.Type == guia.PersonSeen || e.Type == guia.PersonLeft || e.Type == guia.ChannelSeen {
		for _, name := range []string{"sender.name", "sender.address", "sender.title", "department", "conversation.name"} {
			d.Text = append(d.Text, e.Fields.Get(name))
		}
	}
	return d
}
