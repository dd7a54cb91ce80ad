package main

import (
	"context"
	"strings"

	"guia"
	"guia/index"
	"guia/permit"
)

// scopes are the limits within which the user may do an act.
type scopes struct {
	session *session
	all     []string
}

func (s *session) scopes(ctx context.Context, act permit.Act) (scopes, error) {
	all, err := permit.Scopes(ctx, s.Main, s.actor.User, act)
	return scopes{s, all}, err
}

// allow reports whether an event lies within the limits.
func (c scopes) allow(e *guia.Event) bool {
	place := permit.Place{Entity: e.Fields.Get("entity"), Stream: e.Stream}
	if key := e.Fields.Get("sender.key"); key != "" {
		place.Person = c.session.person(e.Source, key)
	}
	return permit.Allows(c.all, place)
}

// allowAll reports whether there are such events and all of them lie within the limits.
func (c scopes) allowAll(ctx context.Context, seqs []guia.Seq) (bool, error) {
	if permit.AllowsAll(c.all) {
		return true, nil
	}
	for _, seq := range seqs {
		event, err := c.session.Ledger.Event(ctx, seq)
		if err != nil || !c.allow(&event) {
			return false, err
		}
	}
	return len(seqs) > 0, nil
}

// index is what the index may show.
func (c scopes) index() index.Scope {
	s := index.Scope{All: permit.AllowsAll(c.all)}
	for _, scope := range c.all {
		switch kind, value, _ := strings.Cut(scope, ":"); kind {
		case "entity":
			s.Entities = append(s.Entities, value)
		case "stream":
			s.Streams = append(s.Streams, value)
		case "person":
			s.Persons = append(s.Persons, value)
		}
	}
	return s
}
