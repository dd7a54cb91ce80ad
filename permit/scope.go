package permit

import (
	"slices"
	"strings"

	"guia"
	"guia/db"
)

// Place is what scopes ask of an event: the legal entity it belongs to, its stream, and the person whose content it is. What is
// not known (the zero value) is within no scope but [Everything].
type Place struct {
	Entity string
	Stream guia.StreamID
	Person guia.PersonID
}

// Allows reports whether one of the scopes covers the place. It is pure: [Scopes] and [ScopesIn] say which scopes a user has.
func Allows(scopes []string, p Place) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool {
		kind, value, _ := strings.Cut(scope, ":")
		switch kind {
		case Everything:
			return scope == Everything
		case "entity":
			return p.Entity != "" && value == p.Entity
		case "stream":
			return p.Stream != (guia.StreamID{}) && value == p.Stream.String()
		case "person":
			return p.Person != (guia.PersonID{}) && value == p.Person.String()
		}
		return false
	})
}

// AllowsAll reports whether the scopes cover every place, so that nobody needs to look at one.
func AllowsAll(scopes []string) bool { return slices.Contains(scopes, Everything) }

// ScopesIn is [Scopes] inside the transaction of an act. It does not look at whether the account is disabled: [Check] does.
func ScopesIn(tx *db.Tx, user guia.PersonID, act Act) ([]string, error) {
	all, err := grants(tx, user)
	if err != nil {
		return nil, err
	}
	var scopes []string
	for _, g := range all {
		if slices.Contains(Roles[g.Role], act) && !slices.Contains(scopes, g.Scope) {
			scopes = append(scopes, g.Scope)
		}
	}
	return scopes, nil
}
