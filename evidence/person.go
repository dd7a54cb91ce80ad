package evidence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"guia"
	"guia/canon"
	"guia/ledger"
	"guia/people"
	"guia/permit"
	"guia/vault"
)

// acquaintance is what is known of the persons that rules withhold. Everything in it leads to the rules, ascending.
//
// A person is whoever a rule calls by an identifier, name, address or number that they ever had, and whoever shares an address with
// them. A name alone ties nobody to them: of a namesake the name is withheld, not what they said. What they said is withheld also where
// another source tells it again (same_as), also when that is outside the case.
type acquaintance struct {
	people  map[identity][]int
	names   []name
	private map[guia.StreamID][]int // direct and group conversations in which they take part
	twins   map[guia.RecordID][]int // records that tell again what they said
}

// identity names a person within a source. The key of somebody without one is what they are called.
type identity struct {
	source guia.SourceName
	key    string
}

func identityOf(source guia.SourceName, fields []vault.Disclosure) (id identity, known bool) {
	for _, name := range [...]string{"sender.key", "person.key", "sender.address", "sender.name", "sender.phone"} {
		if v := value(fields, name); v != "" {
			return identity{source, v}, true
		}
	}
	return identity{}, false
}

// said is how somebody was shown at one time.
type said struct {
	name, address, phone string
}

// gathering becomes an acquaintance when every record of the case was looked at.
type gathering struct {
	traces map[identity]map[said]bool // of everybody: who is withheld is known at the end only. True: the case shows it
	in     map[guia.StreamID]*circle  // direct and group conversations
	who    map[guia.RecordID]identity
	seen   map[guia.RecordID]bool            // records that were looked at
	firsts map[guia.RecordID]bool            // records that one of the case tells again
	copies map[guia.RecordID][]guia.RecordID // by the first record of the message
}

// circle is who takes part in a conversation.
type circle struct {
	speak   map[identity]bool
	members map[string]bool // bare, as the source calls them
}

func newGathering() *gathering {
	return &gathering{map[identity]map[said]bool{}, map[guia.StreamID]*circle{}, map[guia.RecordID]identity{}, map[guia.RecordID]bool{}, map[guia.RecordID]bool{}, map[guia.RecordID][]guia.RecordID{}}
}

// learn looks at a record.
func (g *gathering) learn(header *guia.Header, fields []vault.Disclosure) {
	g.seen[header.Record] = true
	id, known := identityOf(header.Source, fields)
	if known {
		g.trace(id, said{value(fields, "sender.name"), value(fields, "sender.address"), value(fields, "sender.phone")}, true)
		g.who[header.Record] = id
	}
	if first, copied := g.learnCopy(header, fields); copied {
		g.firsts[first] = true
	}
	if !private(fields) {
		return
	}
	c := g.in[header.Stream]
	if c == nil {
		c = &circle{map[identity]bool{}, map[string]bool{}}
		g.in[header.Stream] = c
	}
	if known {
		c.speak[id] = true
	}
	for _, f := range fields {
		if under(f.Name, "member") || under(f.Name, "recipient") {
			c.members[bare(string(f.Value))] = true
		}
	}
}

// learnCopy notes which message a record tells again.
func (g *gathering) learnCopy(header *guia.Header, fields []vault.Disclosure) (first guia.RecordID, copied bool) {
	first, err := guia.ParseID16(value(fields, "same_as"))
	if err == nil {
		g.copies[first] = append(g.copies[first], header.Record)
	}
	return first, err == nil
}

// learnOutside looks at a record outside the case that tells what one of the case tells.
func (g *gathering) learnOutside(header *guia.Header, fields []vault.Disclosure) {
	g.learnCopy(header, fields)
	if id, known := identityOf(header.Source, fields); known {
		g.trace(id, said{value(fields, "sender.name"), value(fields, "sender.address"), value(fields, "sender.phone")}, false)
		g.who[header.Record] = id
	}
}

func (g *gathering) trace(id identity, s said, inCase bool) {
	if g.traces[id] == nil {
		g.traces[id] = map[said]bool{}
	}
	g.traces[id][s] = g.traces[id][s] || inCase
}

// acquaint ends the gathering. What people knows of those whom the rules call is added to what the case shows. A rule that calls nobody
// withholds nothing, also not its words: they would hide that what the person said stays. known says how the persons were shown:
// everything to whom may see all, and to others what the case shows.
func (g *gathering) acquaint(ctx context.Context, l *ledger.Ledger, p *people.People, rules []rule, all bool) (a acquaintance, known []Known, err error) {
	a = acquaintance{map[identity][]int{}, nil, map[guia.StreamID][]int{}, map[guia.RecordID][]int{}}
	for n, one := range rules {
		if one.kind != "person" {
			continue
		}
		s := search{g, p, &one, func(id identity) guia.PersonID { return guia.PersonID(l.Vault().PersonOwner(id.source, id.key)) }, map[guia.PersonID]bool{}}
		meant, err := s.persons(ctx)
		if err != nil {
			return a, nil, fmt.Errorf("look for persons: %w", err)
		}
		if len(meant) == 0 {
			continue
		}
		a.name(one.value, n)
		as := map[string]bool{}
		for id := range meant {
			a.people[id] = append(a.people[id], n)
			a.name(id.key, n)
			a.name(id.key[strings.LastIndexByte(id.key, '/')+1:], n) // a mapping's name may stand before it
			a.name(s.pseudonym(id).String(), n)
			for shown, inCase := range g.traces[id] {
				for _, written := range append(spellings(shown.name), shown.address, shown.phone) {
					a.name(written, n)
				}
				for _, written := range [...]string{id.key, shown.name, shown.address, shown.phone} {
					if written != "" && (inCase || all) {
						as[written] = true
					}
				}
			}
		}
		known = append(known, Known{one.String(), slices.Sorted(maps.Keys(as))})
	}
	if err := a.accounts(ctx, l); err != nil {
		return a, nil, err
	}
	a.surroundings(g)
	return a, known, nil
}

// search looks for the persons whom one rule means.
type search struct {
	*gathering
	people    *people.People
	rule      *rule
	pseudonym func(identity) guia.PersonID
	asked     map[guia.PersonID]bool // people was asked about them
}

func (s *search) persons(ctx context.Context) (meant map[identity]bool, err error) {
	found, err := s.people.Find(ctx, s.rule.value) // also parts of names: who is meant is decided below
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if err := s.recall(ctx, e.Person); err != nil {
			return nil, err
		}
	}
	if id, err := guia.ParseID16(s.rule.value); err == nil {
		if err := s.recall(ctx, id); err != nil {
			return nil, err
		}
	}
	meant, addresses := map[identity]bool{}, map[string]bool{}
	for more := true; more; { // who shares an address may have another one, which somebody shares
		more = false
		for id, shown := range s.traces {
			if meant[id] || !s.calls(id, shown) && !shares(shown, addresses) {
				continue
			}
			meant[id], more = true, true
			if err := s.recall(ctx, s.pseudonym(id)); err != nil {
				return nil, err
			}
			for one := range s.traces[id] {
				addresses[bare(one.address)] = true
			}
			delete(addresses, "")
		}
	}
	return meant, nil
}

// recall adds what people knows of a person, and of who shares an address with them.
func (s *search) recall(ctx context.Context, person guia.PersonID) error {
	if s.asked[person] {
		return nil
	}
	s.asked[person] = true
	ever, err := s.people.Ever(ctx, person)
	if err != nil {
		return err
	}
	for _, e := range ever {
		s.trace(identity{e.Source, e.Key}, said{e.Name, e.Address, e.Phone}, false)
	}
	others, err := s.people.Candidates(ctx, person)
	if err != nil {
		return err
	}
	for _, other := range others {
		if err := s.recall(ctx, other.Person); err != nil {
			return err
		}
	}
	return nil
}

// calls reports whether the rule means that person.
func (s *search) calls(id identity, shown map[said]bool) bool {
	is := func(v string) bool { return v != "" && (v == s.rule.value || squeeze(v) == s.rule.folded) }
	if is(id.key) || s.pseudonym(id).String() == s.rule.value {
		return true
	}
	for one := range shown {
		if is(one.name) || is(one.address) || is(one.phone) {
			return true
		}
	}
	return false
}

func shares(shown map[said]bool, addresses map[string]bool) bool {
	for one := range shown {
		if addresses[bare(one.address)] {
			return true
		}
	}
	return false
}

// accounts adds the accounts of this program that are called as a withheld person is.
func (a *acquaintance) accounts(ctx context.Context, l *ledger.Ledger) error {
	users, err := permit.Users(ctx, l.Database())
	if err != nil {
		return fmt.Errorf("read accounts: %w", err)
	}
	for _, n := range slices.Clone(a.names) {
		for _, u := range users {
			if bare(u.Login) == n.bare {
				for _, rule := range n.rules {
					a.name(u.ID.String(), rule)
				}
			}
		}
	}
	return nil
}

// surroundings finds the private conversations in which they take part, and the records that tell again what they said.
func (a *acquaintance) surroundings(g *gathering) {
	for stream, c := range g.in {
		for id := range c.speak {
			a.private[stream] = union(a.private[stream], a.people[id])
		}
		for _, n := range a.names {
			if c.members[n.bare] {
				a.private[stream] = union(a.private[stream], n.rules)
			}
		}
	}
	for first, copies := range g.copies {
		records, rules := append(copies, first), []int(nil)
		for _, record := range records {
			rules = union(rules, a.people[g.who[record]])
		}
		for _, record := range records {
			a.twins[record] = union(a.twins[record], rules)
		}
	}
}

func union(a, b []int) []int {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// nameless are the fields in whose values nobody can be named: numbers, times, digests, and words of our own.
var nameless = []string{
	"act", "act.outcome", "channel", "checkpoint", "class", "conversation.kind", "count", "count.known", "count.linked", "count.marked", "count.new",
	"digest", "grade", "import", "key.new", "key.old", "mark", "normaliser", "place", "role", "rotation", "same_as", "seqs", "tier", "time",
	"time.basis", "time.original", "time.zone", "valid.from", "valid.until", "version",
}

// judge withholds what tells of the persons.
func (a *acquaintance) judge(j *judgement, header *guia.Header, fields []vault.Disclosure) {
	id, _ := identityOf(header.Source, fields)
	sender := union(a.people[id], a.twins[header.Record])
	where, whereFields := a.whereabouts(header, fields)
	for i, f := range fields {
		if slot, known := guia.SlotOf(f.Name); len(sender) > 0 && (known && slot != guia.SlotRecord || f.Name == "origin") {
			j.withhold(fields, i, WhySender, sender...)
		}
		if len(where) > 0 && slices.Contains(whereFields, f.Name) {
			j.withhold(fields, i, WhyConversation, where...)
		}
	}
	text := joinChunks(fields)
	read := readForNames(text.text)
	for _, one := range a.names {
		for start, end := range read.each(one.bare) {
			if read.names(&one, start, end) {
				for _, i := range text.over(read.source(start, end)) {
					j.withhold(fields, i, WhyNamed, one.rules...)
				}
			}
		}
	}
	text.withholdEncoded(j, fields, WhyNamed, func(m *meaning, texts []string) []int { return a.namedInAny(m, texts, false) })
	for i, f := range fields {
		if f.Forgotten || isChunk(f.Name) || canon.IsFile(f.Name) || slices.Contains(nameless, f.Name) {
			continue
		}
		rules := a.namedIn(f.Name, string(f.Value))
		if len(rules) == 0 {
			continue
		}
		j.withhold(fields, i, WhyNamed, rules...)
		if file, isName := strings.CutSuffix(f.Name, ".name"); isName && canon.IsFile(file) {
			for k := range fields {
				if fields[k].Name == file {
					j.withhold(fields, k, WhyFile, rules...)
				}
			}
		}
	}
}

// namedIn returns the rules about those who are named in a field that is no chunk of a text.
func (a *acquaintance) namedIn(field, value string) (rules []int) {
	m := undo(value)
	return a.namedInAny(m, m.texts, field == "raw")
}

// namedInAny looks through some of the texts. What says more than can be looked through may name everybody. received says that it is
// bytes as received: there is no telling what a word is.
func (a *acquaintance) namedInAny(m *meaning, texts []string, received bool) (rules []int) {
	for _, one := range a.names {
		if m.cut {
			rules = union(rules, one.rules)
		}
	}
	for _, text := range m.shreds {
		read := readForNames(text)
		for _, one := range a.names {
			if !one.weak && len(one.bare) >= leastShred && read.hasName(&one) { // shorter ones stand there by accident
				rules = union(rules, one.rules)
			}
		}
	}
	for _, text := range texts {
		read := readForNames(text)
		for _, one := range a.names {
			one.weak = one.weak && !received
			if read.hasName(&one) {
				rules = union(rules, one.rules)
			}
		}
	}
	return rules
}

// whereabouts returns the rules about those of whom the name of the conversation would tell, and the fields that tell it. Direct and
// group conversations are called after those who are in them, mailboxes after whose they are, and gaps after where they are.
func (a *acquaintance) whereabouts(header *guia.Header, fields []vault.Disclosure) (rules []int, names []string) {
	names = []string{"conversation.key", "conversation.name", "origin"}
	rules = a.private[header.Stream]
	switch {
	case header.Type == guia.SourceGap:
		names = append(names, "reason")
	case !private(fields) && value(fields, "conversation.kind") != "mailbox":
		return nil, nil
	}
	for _, field := range names {
		text := bare(value(fields, field))
		for _, one := range a.names {
			if one.long() && strings.Contains(text, one.bare) {
				rules = union(rules, one.rules)
			}
		}
	}
	return rules, names
}

// private reports whether a record is of a direct or group conversation.
func private(fields []vault.Disclosure) bool {
	return slices.Contains([]string{"direct", "group"}, value(fields, "conversation.kind"))
}
