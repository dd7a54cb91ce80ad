package permit

import (
	"testing"

	"guia"
)

func TestScopesCoverTheirOwnPlaceAndNothingElse(t *testing.T) {
	stream, person := guia.NewStreamID(), guia.NewPersonID()
	here := Place{Entity: "acme", Stream: stream, Person: person}
	for _, c := range []struct {
		scope string
		place Place
		want  bool
	}{
		{"*", Place{}, true},
		{"*:x", here, false},
		{"entity:acme", here, true},
		{"entity:acm", here, false},
		{"entity:", Place{}, false},
		{"stream:" + stream.String(), here, true},
		{"stream:" + guia.NewStreamID().String(), here, false},
		{"stream:" + guia.StreamID{}.String(), Place{}, false},
		{"person:" + person.String(), here, true},
		{"person:" + stream.String(), here, false},
		{"person:" + guia.PersonID{}.String(), Place{}, false},
		{"", here, false},
	} {
		if got := Allows([]string{"entity:other", c.scope}, c.place); got != c.want {
			t.Errorf("%q: got %t", c.scope, got)
		}
	}
	if AllowsAll([]string{"entity:acme"}) || !AllowsAll([]string{"entity:acme", "*"}) {
		t.Error("everything is taken for less or the other way round")
	}
	if Allows(nil, here) {
		t.Error("no scope allows something")
	}
}
