package main

import (
	"context"
	"strings"

	"guia"
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

// allow reports whether an event lies within the limits: everything, its legal entity, its stream, or the person who sent it.
func (c scopes) allow(e *guia.Event) bool {
	for _, scope := range c.all {
		kind, value, _ := strings.Cut(scope, ":")
		switch kind {
		case permit.Everything:
			return true
		case "entity":
			if e.Fields.Get("entity") == value {
				return true
			}
		case "stream":
			if e.Stream.String() == value {
				return true
			}
		case "person":
			if key := e.Fields.Get("sender.key"); key != "" && guia.PersonID(c.session.Vault.PersonOwner(e.Source, key)).String() == value {
				return true
			}
		}
	}
	return false
}
