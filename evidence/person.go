package evidence

import (
	"slices"
	"strings"
	"unicode"

	"guia"
	"guia/lang"
	"guia/vault"
)

// personKey names a person within a source.
type personKey struct {
	source guia.SourceName
	key    string
}

// acquaintance is what is known of the persons that rules withhold. Each leads to the rule.
type acquaintance struct {
	people  map[personKey]int
	names   map[string]int        // what they are called, bare
	private map[guia.StreamID]int // direct and group conversations in which they speak
}

// gathering becomes an acquaintance when every record was looked at.
type gathering struct {
	acquaintance
	traces map[personKey]*trace // of everybody: who is withheld is known at the end only
}

// trace is under which names, and in which private conversations, somebody speaks.
type trace struct {
	names   map[string]bool
	private map[guia.StreamID]bool
}

func newGathering() *gathering {
	return &gathering{acquaintance{map[personKey]int{}, map[string]int{}, map[guia.StreamID]int{}}, map[personKey]*trace{}}
}

// learn looks at a record: a record in which a withheld person has another name is withheld too. It only fills g: the redactor may
// be judging at the same time, and gets what is known when all of it is.
func (r *redactor) learn(g *gathering, header *guia.Header, fields []vault.Disclosure) {
	rule, key := r.person(header, fields), senderKey(fields)
	t := &trace{map[string]bool{}, map[guia.StreamID]bool{}}
	if who := (personKey{header.Source, key}); key != "" {
		if g.traces[who] == nil {
			g.traces[who] = t
		}
		t = g.traces[who]
		if rule >= 0 {
			g.people[who] = rule
		}
	}
	for _, name := range called {
		v := value(fields, name)
		local, _, _ := strings.Cut(v, "@")
		t.names[bare(v)], t.names[bare(local)] = true, true
	}
	if private(fields) {
		t.private[header.Stream] = true
	}
	if key == "" && rule >= 0 {
		g.take(t, rule)
	}
}

// take makes a trace that of a withheld person.
func (g *gathering) take(t *trace, rule int) {
	for name := range t.names {
		if name != "" {
			g.names[name] = rule
		}
	}
	for stream := range t.private {
		g.private[stream] = rule
	}
}

// known ends the gathering.
func (g *gathering) known(rules []rule) acquaintance {
	for who, rule := range g.people {
		g.take(g.traces[who], rule)
	}
	for n, one := range rules {
		if name := bare(one.value); one.kind == "person" && name != "" {
			g.names[name] = n
		}
	}
	return g.acquaintance
}

// called are the fields that say who somebody is.
var called = [...]string{"sender.key", "person.key", "sender.name", "sender.address", "sender.phone"}

func senderKey(fields []vault.Disclosure) string {
	if key := value(fields, "sender.key"); key != "" {
		return key
	}
	return value(fields, "person.key")
}

// person returns the person rule that applies to a record, or -1.
func (r *redactor) person(header *guia.Header, fields []vault.Disclosure) int {
	if i, ok := r.known.people[personKey{header.Source, senderKey(fields)}]; ok {
		return i
	}
	for i, one := range r.rules {
		if one.kind != "person" {
			continue
		}
		for _, name := range called {
			if v := value(fields, name); v != "" && (v == one.value || squeeze(v) == one.folded) {
				return i
			}
		}
	}
	return -1
}

// whereabouts returns which fields would tell of a withheld person by the name of a conversation, and the rule, or -1. person is
// the rule that applies to the sender. Direct and group conversations are called after those who are in them.
func (r *redactor) whereabouts(person int, header *guia.Header, fields []vault.Disclosure) (rule int, names []string) {
	if !r.has("person") {
		return -1, nil
	}
	all := []string{"conversation.key", "conversation.name", "origin"}
	speaks, spoken := r.known.private[header.Stream]
	switch {
	case spoken:
		return speaks, all
	case private(fields) && person >= 0:
		return person, all
	case person >= 0:
		return person, []string{"origin"}
	case header.Type == guia.SourceGap:
		all = append(all, "reason")
	case !private(fields):
		return -1, nil
	}
	rule = -1
	for _, field := range all {
		text := bare(value(fields, field))
		for name, n := range r.known.names {
			if strings.Contains(text, name) && n >= rule { // the last rule, so that the answer is always the same
				rule = n
			}
		}
	}
	return rule, all
}

// private reports whether a record is of a direct or group conversation.
func private(fields []vault.Disclosure) bool {
	return slices.Contains([]string{"direct", "group"}, value(fields, "conversation.kind"))
}

// personal reports whether a field belongs to the sender.
func personal(name string) bool {
	slot, ok := guia.SlotOf(name)
	return ok && slot != guia.SlotRecord
}

// bare is text as names in identifiers and paths are compared: folded, letters and digits only.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, lang.Fold(s))
}
