package main

import (
	"context"

	"guia"
	"guia/index"
)

// replaced is the newest later version of a record that the user may see: an edit, a correction or a deletion.
type replaced struct {
	By      uint64 `json:"replaced_by,omitempty"`
	Deleted bool   `json:"deleted,omitempty"` // that version is a deletion
}

// mostVersions is how many edits and deletions that a source itself tells are looked at, the newest of the conversations asked about.
// What an import told anew of a key is always known.
const mostVersions = 1000

// replacements tells which of these events a later one replaces.
func (s *session) replacements(ctx context.Context, limits scopes, events []guia.Event) (map[guia.Seq]replaced, error) {
	type message struct {
		stream guia.StreamID
		key    string
	}
	of := func(e *guia.Event) message { // an edit is a version of what it edits
		if key := e.Fields.Get("edit_of"); key != "" {
			return message{e.Stream, key}
		}
		return message{e.Stream, e.Fields.Get("source_key")}
	}
	newest := map[guia.Seq]replaced{}
	streams := map[string]bool{}
	for i := range events {
		e := &events[i]
		if e.Source == guia.Own || e.Type == guia.MessageDeleted || e.Fields.Get("source_key") == "" {
			continue
		}
		streams[e.Stream.String()] = true
		latest, err := s.Intake.Latest(ctx, e)
		if err != nil {
			return nil, err
		}
		allowed, err := limits.allowAll(ctx, []guia.Seq{latest})
		if err != nil {
			return nil, err
		}
		if latest > e.Seq && allowed {
			newest[e.Seq] = replaced{By: uint64(latest)}
		}
	}
	if len(streams) == 0 {
		return newest, nil
	}
	query := index.Query{Kinds: []string{string(guia.MessageEdited), string(guia.MessageDeleted)}, Copies: true, Limit: mostVersions}
	for stream := range streams {
		query.Streams = append(query.Streams, stream)
	}
	found, err := s.parts.index.Search(ctx, limits.index(), query)
	if err != nil {
		return nil, err
	}
	last := map[message]replaced{}
	for _, hit := range found.Hits {
		e, err := s.Ledger.Event(ctx, guia.Seq(hit.Seq))
		if err != nil {
			return nil, err
		}
		if m := of(&e); hit.Seq > last[m].By {
			last[m] = replaced{hit.Seq, e.Type == guia.MessageDeleted}
		}
	}
	for i := range events {
		e := &events[i]
		if e.Type == guia.MessageDeleted {
			continue
		}
		if by := last[of(e)]; by.By > max(uint64(e.Seq), newest[e.Seq].By) || by.Deleted && by.By == newest[e.Seq].By {
			newest[e.Seq] = by
		}
	}
	return newest, nil
}

// replacedNote says so beside a text; empty when nothing replaced it.
func (s *session) replacedNote(r replaced) string {
	switch {
	case r.By == 0:
		return ""
	case r.Deleted:
		return s.text("search.deleted_later", r.By) + " "
	}
	return s.text("search.edited_later", r.By) + " "
}
