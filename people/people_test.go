package people_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"guia"
	"guia/canon"
	"guia/lang"
	"guia/people"
)

// id stands in for the keyed hash.
func id(source guia.SourceName, key string) (p guia.PersonID) {
	sum := sha256.Sum256([]byte(string(source) + "/" + key))
	copy(p[:], sum[:])
	return p
}

func open(t *testing.T, path string) *people.People {
	t.Helper()
	p, err := people.Open(path, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// fact is an event in the order in which a source might tell it; fields are name, value pairs.
type fact struct {
	kind   guia.Type
	source guia.SourceName
	fields string // "name=value|name=value"
}

func events(facts ...fact) []guia.Event {
	var all []guia.Event
	for i, f := range facts {
		e := guia.Event{Seq: guia.Seq(i), Header: guia.Header{Type: f.kind, Source: f.source, Captured: time.Date(2026, 6, 1, 0, 0, i, 0, time.UTC)}}
		for pair := range strings.SplitSeq(f.fields, "|") {
			name, v, _ := strings.Cut(pair, "=")
			e.Fields.Set(name, v)
		}
		all = append(all, e)
	}
	return all
}

func apply(t *testing.T, p *people.People, all []guia.Event) {
	t.Helper()
	if err := p.Apply(context.Background(), all, guia.Seq(len(all))); err != nil {
		t.Fatal(err)
	}
}

func day(t *testing.T, s string) people.Day {
	t.Helper()
	d, err := people.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// line is an entry as one reads it.
func line(e people.Entry) string {
	mark := map[bool]string{true: "?"}
	return fmt.Sprintf("%s..%s %s/%s/%s/%s listed=%v %v", e.From.String()+mark[e.FromObserved], e.Until.String()+mark[e.UntilObserved], e.Name, e.Department, e.Address, e.Title, e.Listed, e.Seqs)
}

func lines(all []people.Entry) []string {
	var out []string
	for _, e := range all {
		out = append(out, line(e))
	}
	return out
}

func TestWhoWasInWhichDepartmentOnAGivenDay(t *testing.T) {
	ctx := context.Background()
	p := open(t, filepath.Join(t.TempDir(), "people.db"))
	apply(t, p, events(
		fact{guia.PersonSeen, "mapped", "sender.key=u1|sender.name=陳大文|department=Finance|sender.address=chan@example.mo|sender.title=Clerk|valid.from=2024-03-01"},
		fact{guia.PersonSeen, "mapped", "sender.key=u2|sender.name=Ana Conceição|department=Legal|valid.from=2024-01-01|valid.until=2024-06-01"},
		fact{guia.PersonSeen, "mapped", "sender.key=u1|sender.name=陳大文|department=Audit|sender.address=chan@example.mo|sender.title=Clerk|valid.from=2025-01-15"},
		fact{guia.PersonLeft, "mapped", "sender.key=u1|valid.until=2025-12-31"},
		fact{guia.MessageSent, "mapped", "sender.key=u2|sender.name=Ana|sender.address=ana@example.mo|time=2024-02-02T10:00:00Z"},
		fact{guia.MessageSent, "mapped", "sender.key=u1|sender.name=Ghost|time=2026-02-02T10:00:00Z"},
	))
	for _, c := range []struct{ day, query, want string }{
		{"2023-12-31", "", ""},
		{"2024-02-29", "", "2024-02-02..2024-06-01 Ana Conceição/Legal/ana@example.mo/ listed=true [1 4]"},
		{"2024-03-01", "陈大文", "2024-03-01..2025-01-15 陳大文/Finance/chan@example.mo/Clerk listed=true [0]"},
		{"2025-01-14", "finance", "2024-03-01..2025-01-15 陳大文/Finance/chan@example.mo/Clerk listed=true [0]"},
		{"2025-01-15", "finance", ""},
		{"2025-12-30", "audit", "2025-01-15..2025-12-31 陳大文/Audit/chan@example.mo/Clerk listed=true [2]"},
		{"2025-12-31", "audit", ""},
		{"2026-03-01", "ghost", ""}, // a message after somebody left does not bring them back
		{"2024-05-31", "conceicao", "2024-02-02..2024-06-01 Ana Conceição/Legal/ana@example.mo/ listed=true [1 4]"},
		{"2024-06-01", "conceicao", ""},
	} {
		got, err := p.On(ctx, day(t, c.day), c.query)
		if err != nil {
			t.Fatal(err)
		}
		if joined := strings.Join(lines(got), "; "); joined != c.want {
			t.Errorf("on %s, %q:\n got %s\nwant %s", c.day, c.query, joined, c.want)
		}
	}
	left, err := p.Person(ctx, id("mapped", "u1"))
	if err != nil || left.Until.String() != "2025-12-31" {
		t.Errorf("somebody who left: %s, %v", line(left), err)
	}
}

// TestAMessageShowsTheDepartmentOfItsDay: as far as no directory tells it, and until another message shows another one.
func TestAMessageShowsTheDepartmentOfItsDay(t *testing.T) {
	ctx := context.Background()
	p := open(t, filepath.Join(t.TempDir(), "people.db"))
	apply(t, p, events(
		fact{guia.MessageSent, "mapped", "sender.key=u1|sender.name=陳大文|department=Audit|sender.phone=66112233|time=2024-03-05T02:00:00Z"},
		fact{guia.MessageSent, "mapped", "sender.key=u1|sender.name=陳大文|department=Tax|sender.title=Head|time=2024-03-07T02:00:00Z"},
		fact{guia.MessageSent, "mapped", "sender.key=u1|sender.name=陳大文|time=2024-03-09T02:00:00Z"},
		fact{guia.PersonSeen, "mapped", "sender.key=u1|sender.name=陳大文|department=Legal|valid.from=2024-03-11"},
		fact{guia.PersonLeft, "mapped", "sender.key=u1|valid.until=2024-03-20"},
		fact{guia.MessageSent, "mapped", "sender.key=u2|department=Works|time=2024-03-05T02:00:00Z"}, // says no name
	))
	for _, c := range []struct{ day, query, want string }{
		{"2024-03-04", "", ""},
		{"2024-03-06", "陈大文", "2024-03-05..2024-03-07 陳大文/Audit// listed=false [0]"},
		{"2024-03-06", "works", "2024-03-05.. /Works// listed=false [5]"},
		{"2024-03-07", "tax", "2024-03-07..2024-03-11 陳大文/Tax//Head listed=false [0 1]"},
		{"2024-03-10", "head", "2024-03-07..2024-03-11 陳大文/Tax//Head listed=false [0 1]"},
		{"2024-03-11", "陳大文", "2024-03-11..2024-03-20 陳大文/Legal//Head listed=true [0 1 3]"},
		{"2024-03-20", "陳大文", ""},
	} {
		got, err := p.On(ctx, day(t, c.day), c.query)
		if err != nil {
			t.Fatal(err)
		}
		if joined := strings.Join(lines(got), "; "); joined != c.want {
			t.Errorf("on %s, %q:\n got %s\nwant %s", c.day, c.query, joined, c.want)
		}
	}
	if e, err := p.Person(ctx, id("mapped", "u1")); err != nil || e.Phone != "66112233" {
		t.Errorf("the phone that a message told: %q, %v", e.Phone, err)
	}
}

// TestHowSomebodyWhoLeftWasLastKnown: an export after they left may be the only one that tells of them.
func TestHowSomebodyWhoLeftWasLastKnown(t *testing.T) {
	ctx := context.Background()
	p := open(t, filepath.Join(t.TempDir(), "people.db"))
	const ana = "sender.key=u1|sender.name=Ana Sousa|sender.address=ana@example.mo|sender.title=Site manager|department=Works"
	apply(t, p, events(
		fact{guia.MessageSent, "slack", "sender.key=u1|sender.name=Ana|time=2024-03-01T02:00:00Z"},
		fact{guia.MessageSent, "slack", "sender.key=u1|sender.name=Ana Sousa|time=2024-05-01T02:00:00Z"},
		fact{guia.PersonLeft, "slack", ana + "|valid.until=2024-12-31"},
		// No message, and no day told: the export was read on 1 June 2026.
		fact{guia.PersonLeft, "slack", "sender.key=u2|sender.name=Rui Lam|sender.title=Driver"},
		// Listed before: the directory of that time says more than the last word.
		fact{guia.PersonSeen, "slack", "sender.key=u3|sender.name=Bea|sender.title=Clerk|valid.from=2024-01-01"},
		fact{guia.PersonLeft, "slack", "sender.key=u3|sender.name=Bea|sender.title=Accountant|department=Finance|valid.until=2024-06-01"},
		// Nothing is said but that they left.
		fact{guia.MessageSent, "slack", "sender.key=u4|sender.name=Caio|time=2024-03-01T02:00:00Z"},
		fact{guia.PersonLeft, "slack", "sender.key=u4|time=2024-04-01T02:00:00Z"},
		// Ended, and much later seen as left: between, nobody says that they were there.
		fact{guia.PersonSeen, "slack", "sender.key=u5|sender.name=Dora|valid.from=2024-01-01|valid.until=2024-02-01"},
		fact{guia.PersonLeft, "slack", "sender.key=u5|sender.name=Dora|sender.title=Cook|valid.until=2025-01-01"},
		fact{guia.PersonSeen, "slack", "sender.key=u6|sender.name=Eva"},
	))
	for who, want := range map[string]string{
		"u1": "2024-03-01..2024-05-01 Ana/Works/ana@example.mo/Site manager listed=false [0 2]; " +
			"2024-05-01..2024-12-31 Ana Sousa/Works/ana@example.mo/Site manager listed=false [1 2]",
		"u2": "..2026-06-01? Rui Lam///Driver listed=false [3]",
		"u3": "2024-01-01..2024-06-01 Bea///Clerk listed=true [4]",
		"u4": "2024-03-01..2024-04-01 Caio/// listed=false [6]",
		"u5": "2024-01-01..2024-02-01 Dora/// listed=true [8]",
		"u6": "2026-06-01?.. Eva/// listed=true [10]",
	} {
		h, err := p.History(ctx, id("slack", who))
		if got := strings.Join(lines(h), "; "); err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", who, err, got, want)
		}
	}
	for query, want := range map[string]int{"ana": 1, "rui": 1, "driver": 0} { // by name and address, not by title
		if found, err := p.Find(ctx, query); err != nil || len(found) != want {
			t.Errorf("find %s: %v, %v", query, lines(found), err)
		}
	}
	for on, want := range map[string]string{"2024-06-30": "Ana Sousa", "2024-12-31": "", "2024-02-29": ""} {
		got, err := p.On(ctx, day(t, on), "site manager")
		if err != nil || len(got) > 1 || len(got) == 1 && got[0].Name != want || len(got) == 0 && want != "" {
			t.Errorf("on %s: %v, %v", on, lines(got), err)
		}
	}
	if got, err := p.On(ctx, day(t, "2026-05-31"), "rui"); err != nil || len(got) != 1 || got[0].From != 0 || !got[0].UntilObserved {
		t.Errorf("since nobody knows when: %v, %v", lines(got), err)
	}
}

func TestFindKnowsEveryNameAndAddressSomebodyEverHad(t *testing.T) {
	ctx := context.Background()
	p := open(t, filepath.Join(t.TempDir(), "people.db"))
	apply(t, p, events(
		fact{guia.PersonSeen, "slack", "sender.key=U1|sender.name=Chan Tai Man|valid.from=2020-01-01"},
		fact{guia.PersonSeen, "slack", "sender.key=U1|sender.name=陳大文|sender.address=Chan@Example.mo|valid.from=2021-01-01"},
		fact{guia.MailSent, "mbox", "sender.key=chan@example.mo|sender.name=T. M. Chan|sender.address=chan@example.mo|time=2022-05-05T05:05:05Z"},
		fact{guia.MailSent, "mbox", "sender.key=bob@example.mo|sender.name=Bob_100%|sender.address=bob@example.mo|time=2022-05-05T05:05:05Z"},
	))
	for query, want := range map[string]string{
		"tai man": "陳大文", "陈大": "陳大文", "CHAN@EXAMPLE": "T. M. Chan,陳大文", "U1": "陳大文", "b_1": "Bob_100%", "00%": "Bob_100%", "b%0": "", "": "", "nobody": "",
	} {
		got, err := p.Find(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range got {
			names = append(names, e.Name)
		}
		if s := strings.Join(names, ","); s != want {
			t.Errorf("find %q: got %q, want %q", query, s, want)
		}
	}
	links, err := p.Candidates(ctx, id("slack", "U1"))
	if err != nil || len(links) != 1 || links[0].Source != "mbox" || links[0].Shared != "chan@example.mo" || !slices.Equal(links[0].Because, []guia.Seq{1, 2}) {
		t.Errorf("candidates: %d, %v", len(links), err)
	}
	if all, _ := p.On(ctx, day(t, "2023-01-01"), "chan"); len(all) != 2 {
		t.Errorf("%d people: two sources are two people until a person says otherwise", len(all))
	}
	if _, err := p.Person(ctx, id("slack", "U9")); guia.KindOf(err) != guia.NotFound {
		t.Errorf("unknown person: %v", err)
	}
}

// TestAFurtherNameIsFoundAndHoldsOnNoDay: wherever it stands in the ledger, and also of somebody who left.
func TestAFurtherNameIsFoundAndHoldsOnNoDay(t *testing.T) {
	ctx := context.Background()
	also := fact{guia.PersonSeen, "slack", "sender.key=U1|sender.name=阿文|subject=" + guia.AlsoKnownAs + "|time=2024-01-05T00:00:00Z"}
	for _, listed := range []fact{
		{guia.PersonSeen, "slack", "sender.key=U1|sender.name=陳大文|sender.address=chan@example.mo|valid.from=2024-01-05|time=2024-01-05T00:00:00Z"},
		{guia.PersonSeen, "slack", "sender.key=U1|sender.name=陳大文|sender.address=chan@example.mo"},
		{guia.PersonLeft, "slack", "sender.key=U1|sender.name=陳大文|sender.address=chan@example.mo|valid.until=2024-01-05|time=2024-01-05T00:00:00Z"},
	} {
		want := open(t, filepath.Join(t.TempDir(), "people.db"))
		apply(t, want, events(listed))
		alone, err := want.History(ctx, id("slack", "U1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, order := range [][]fact{{listed, also}, {also, listed}} {
			p := open(t, filepath.Join(t.TempDir(), "people.db"))
			apply(t, p, events(order...))
			found, err := p.Find(ctx, "阿文")
			if err != nil || len(found) != 1 || found[0].Name != "陳大文" {
				t.Errorf("%v: found %d, %v", order, len(found), err)
			}
			if all, err := p.History(ctx, id("slack", "U1")); err != nil || len(all) != len(alone) || all[0].Name != "陳大文" || all[0].Until != alone[0].Until {
				t.Errorf("%v: %q, without the name %q, %v", order, lines(all), lines(alone), err)
			}
			if ever, err := p.Ever(ctx, id("slack", "U1")); err != nil || !slices.ContainsFunc(ever, func(e people.Entry) bool { return e.Name == "阿文" }) {
				t.Errorf("%v: the name is not among those ever shown, %v", order, err)
			}
		}
	}
}

func TestEveryWayInWhichSomebodyWasShownIsKnown(t *testing.T) {
	ctx := context.Background()
	p := open(t, filepath.Join(t.TempDir(), "people.db"))
	apply(t, p, events(
		fact{guia.MessageSent, "slack", "sender.key=u1|sender.name=Miss Chan|sender.address=chan@example.mo|time=2024-02-02T10:00:00Z"},
		fact{guia.MessageSent, "slack", "sender.key=u1|sender.name=Chan Siu|time=2024-02-02T11:00:00Z"}, // the same day: its end has this name
		fact{guia.PersonSeen, "slack", "sender.key=u1|sender.name=陳小|sender.phone=66123456|valid.from=2024-02-01"},
		fact{guia.PersonLeft, "slack", "sender.key=u1|valid.until=2025-12-31"},
		fact{guia.MessageSent, "slack", "sender.key=u2|sender.name=Ana|time=2024-02-02T10:00:00Z"},
	))
	ever, err := p.Ever(ctx, id("slack", "u1"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range ever {
		got = append(got, e.Key+" "+e.Name+" "+e.Address+" "+e.Phone)
	}
	slices.Sort(got)
	if want := []string{"u1 Chan Siu  ", "u1 Miss Chan chan@example.mo ", "u1 陳小  66123456"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestADayIsADayInMacau(t *testing.T) {
	ctx := context.Background()
	p := open(t, filepath.Join(t.TempDir(), "people.db"))
	apply(t, p, events(
		fact{guia.MessageSent, "slack", "sender.key=u1|sender.name=Before|time=2026-01-01T15:59:59Z"},
		fact{guia.MessageSent, "slack", "sender.key=u1|sender.name=After|time=2026-01-01T16:00:00Z"},
		fact{guia.MessageSent, "slack", "sender.key=u2|sender.name=Told|time=2026-01-05"},
	))
	got, err := p.On(ctx, day(t, "2026-01-01"), "")
	if err != nil || len(got) != 1 || got[0].Name != "Before" || got[0].Until.String() != "2026-01-02" {
		t.Errorf("%v, %v", lines(got), err)
	}
	if got, _ := p.On(ctx, day(t, "2026-01-05"), "told"); len(got) != 1 || got[0].From.String() != "2026-01-05" {
		t.Errorf("a day that a source told: %v", lines(got))
	}
	if _, err := people.ParseDay("2026-02-30"); guia.KindOf(err) != guia.Invalid {
		t.Errorf("a day that is none: %v", err)
	}
}

// randomFacts makes facts about few people whose times differ, so that the set alone decides.
func randomFacts(r *rand.Rand, n int) []fact {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var facts []fact
	for i := range n {
		who := "sender.key=" + pick("u1", "u2", "u3")
		d := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(60))
		when := "|time=" + guia.Moment{Time: d.Add(time.Duration(i) * time.Second), Precision: guia.Second}.String()
		said := "|sender.name=" + pick("A", "B", "C") + "|sender.address=" + pick("a@x", "b@x", "")
		switch r.IntN(6) {
		case 0:
			facts = append(facts, fact{guia.PersonLeft, "slack", who + when})
		case 1, 2:
			f := fact{guia.PersonSeen, "slack", who + said + "|department=" + pick("D", "E") + when}
			if r.IntN(2) == 0 {
				f.fields += "|valid.from=" + d.Format(time.DateOnly) + "|valid.until=" + d.AddDate(0, 0, r.IntN(20)).Format(time.DateOnly)
			}
			facts = append(facts, f)
		default:
			facts = append(facts, fact{guia.MessageSent, "slack", who + said + when})
		}
	}
	return facts
}

// TestOrderOfArrivalDoesNotMatter tells the same facts in many orders and pages: the answers are the same, and those of a model that
// looks at each day by itself.
func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	ctx := context.Background()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	rounds := 12
	if os.Getenv("GUIA_SOAK") != "" {
		rounds = 2000
	}
	withoutSeqs := cmpopts.IgnoreFields(people.Entry{}, "Seqs")
	for range rounds {
		facts := randomFacts(r, 1+r.IntN(60))
		var first []people.Entry
		for order := range 3 {
			p := open(t, filepath.Join(t.TempDir(), "people.db"))
			all := events(facts...)
			for at := 0; at < len(all); {
				next := min(len(all), at+1+r.IntN(20))
				if err := p.Apply(ctx, all[at:next], guia.Seq(next)); err != nil {
					t.Fatal(err)
				}
				at = next
			}
			var got []people.Entry
			for _, u := range []string{"u1", "u2", "u3"} {
				h, err := p.History(ctx, id("slack", u))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, h...)
				intervals(t, h)
			}
			if order == 0 {
				first = got
				model(t, p, facts)
			} else if diff := cmp.Diff(first, got, withoutSeqs); diff != "" {
				t.Fatalf("another order, another answer (seed %d): %s", seed, diff)
			}
			p.Close()
			r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		}
	}
}

// intervals demands that the entries of one person neither overlap nor repeat each other.
func intervals(t *testing.T, all []people.Entry) {
	t.Helper()
	for i, e := range all {
		if e.Until != 0 && e.Until <= e.From || e.Until == 0 && i < len(all)-1 || i > 0 && all[i-1].Until > e.From || len(e.Seqs) == 0 {
			t.Fatalf("entry %d of %v", i, lines(all))
		}
	}
}

// model asks day by day, straight from the facts, who was listed in which department.
func model(t *testing.T, p *people.People, facts []fact) {
	t.Helper()
	for d := range 90 {
		day := people.DayOf(time.Date(2023, 12, 25, 4, 0, 0, 0, time.UTC).AddDate(0, 0, d))
		want := map[string]string{}
		latest := map[string]string{}
		for _, f := range facts {
			e := events(f)[0]
			m, _ := e.Moment()
			since, until := people.DayOf(m.Time), people.Day(0)
			if v := e.Fields.Get("valid.from"); v != "" {
				since, _ = people.ParseDay(v)
				until, _ = people.ParseDay(e.Fields.Get("valid.until"))
			}
			rank := fmt.Sprintf("%09d %s", since, e.Fields.Get("time"))
			who := e.Fields.Get("sender.key")
			if e.Type == guia.MessageSent || since > day || until != 0 && until <= day || rank < latest[who] {
				continue
			}
			latest[who], want[who] = rank, e.Fields.Get("department")
		}
		got := map[string]string{}
		all, err := p.On(context.Background(), day, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if e.Listed {
				got[e.Key] = e.Department
			}
		}
		for who, department := range want {
			if department == "" {
				delete(want, who)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("on %s: %s\nfacts %v", day, diff, facts)
		}
	}
}

// canary is what must be gone, in the forms in which it could be left somewhere.
func forms(s string) map[string][]byte {
	wide := utf16.Encode([]rune(s))
	var little, big []byte
	for _, u := range wide {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	return map[string][]byte{"plain": []byte(s), "folded": []byte(lang.Fold(s)), "UTF-16LE": little, "UTF-16BE": big, "base64": []byte(base64.StdEncoding.EncodeToString([]byte(s)))}
}

// scan counts the forms in all files of a directory.
func scan(t *testing.T, dir string, words ...string) (found []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			for form, b := range forms(w) {
				if bytes.Contains(data, b) {
					found = append(found, f.Name()+": "+w+" "+form)
				}
			}
		}
	}
	return found
}

func TestForgottenPeopleAreNotInTheFile(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	p := open(t, filepath.Join(dir, "people.db"))
	words := []string{"Canária Forgotten", "canary@forgotten.example", "key-of-canary"}
	var facts []fact
	var gone []guia.Seq
	for i := range 3000 {
		who := fmt.Sprintf("sender.key=k%d|sender.name=Person %d|sender.address=p%d@example.mo", i%700, i%700, i%700)
		if i%10 == 3 {
			who = "sender.key=key-of-canary|sender.name=Canária Forgotten|sender.address=canary@forgotten.example"
			gone = append(gone, guia.Seq(i))
		}
		kind := guia.MessageSent
		if i%10 == 3 && i < 300 || i%97 == 0 {
			kind = guia.PersonSeen
		}
		facts = append(facts, fact{kind, "slack", who + fmt.Sprintf("|time=2026-01-%02dT08:%02d:%02dZ", 1+i%28, i%60, i%59)})
	}
	apply(t, p, events(facts...))
	if found := scan(t, dir, words...); len(found) < 3 {
		t.Fatalf("the scan is blind: %v", found)
	}
	destroyed := guia.Event{Seq: 3000, Header: guia.Header{Type: guia.KeysDestroyed, Source: guia.Own}}
	destroyed.Fields.Set("seqs", canon.FormatSeqs(gone))
	if err := p.Apply(ctx, []guia.Event{destroyed}, 3001); err != nil {
		t.Fatal(err)
	}
	if found := scan(t, dir, words...); len(found) > 0 {
		t.Errorf("still there: %v", found)
	}
	if h, err := p.History(ctx, id("slack", "key-of-canary")); err != nil || len(h) != 0 {
		t.Errorf("still known: %d, %v", len(h), err)
	}
	// Rebuilt from a ledger in which those events can no longer be read, it is the same.
	fresh := open(t, filepath.Join(t.TempDir(), "people.db"))
	all := events(facts...)
	for _, seq := range gone {
		all[seq].Fields = nil
	}
	if err := fresh.Apply(ctx, append(all, destroyed), 3001); err != nil {
		t.Fatal(err)
	}
	a, errA := p.On(ctx, day(t, "2026-01-20"), "")
	b, errB := fresh.On(ctx, day(t, "2026-01-20"), "")
	if diff := cmp.Diff(a, b); diff != "" || errA != nil || errB != nil || len(a) < 100 {
		t.Errorf("a rebuild differs (%d people): %v %v %s", len(a), errA, errB, diff)
	}
}

// TestForgettingIsFinishedAfterACrash stops between the deletion and the cleaning of the file.
func TestForgettingIsFinishedAfterACrash(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "people.db")
	p := open(t, path)
	apply(t, p, events(fact{guia.PersonSeen, "slack", "sender.key=u1|sender.name=Canária Forgotten|valid.from=2026-01-01"}))
	destroyed := guia.Event{Seq: 1, Header: guia.Header{Type: guia.KeysDestroyed, Source: guia.Own}}
	destroyed.Fields.Set("seqs", "0")
	ended, cancel := context.WithCancel(ctx)
	people.OnlyTestBeforeCleaning(p, cancel)
	if err := p.Apply(ended, []guia.Event{destroyed}, 2); err == nil {
		t.Fatal("the cleaning was not interrupted")
	}
	left := t.TempDir() // what a killed process leaves: file and log as they are
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if found := scan(t, left, "Canária Forgotten"); len(found) == 0 {
		t.Fatal("the scan is blind")
	}
	p = open(t, filepath.Join(left, "people.db"))
	if found := scan(t, left, "Canária Forgotten"); len(found) > 0 {
		t.Errorf("after opening again: %v", found)
	}
	if at, err := p.Cursor(ctx); at != 2 || err != nil {
		t.Errorf("cursor %d, %v", at, err)
	}
}

func TestAFileOfAnotherVersionOrLedgerOrADamagedOneIsRebuilt(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "people.db")
	facts := events(fact{guia.PersonSeen, "slack", "sender.key=u1|sender.name=Chan|valid.from=2026-01-01"})
	p := open(t, path)
	apply(t, p, facts)
	if err := p.Settle(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if at, _ := p.Cursor(ctx); at != 1 {
		t.Errorf("settled with the right ledger: cursor %d", at)
	}
	if err := p.Settle(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if at, _ := p.Cursor(ctx); at != 0 {
		t.Errorf("ahead of the ledger: cursor %d", at)
	}
	apply(t, p, facts)
	people.OnlyTestVersion(p, 1)
	p.Close()
	p = open(t, path)
	if c, err := p.Counts(ctx); c != (people.Counts{}) || err != nil {
		t.Errorf("another version: %+v, %v", c, err)
	}
	apply(t, p, facts)
	p.Close()
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 9000), 0o600); err != nil {
		t.Fatal(err)
	}
	p = open(t, path)
	apply(t, p, facts)
	if all, err := p.Find(ctx, "chan"); err != nil || len(all) != 1 {
		t.Errorf("after damage: %d, %v", len(all), err)
	}
}

func TestEntriesPrintAsRedacted(t *testing.T) {
	e := people.Entry{Name: "Chan", Address: "chan@example.mo"}
	if s := fmt.Sprintf("%v %s %+v", e, e, e); strings.Contains(s, "han") {
		t.Errorf("printed %s", s)
	}
}

func BenchmarkApply(b *testing.B) {
	p, err := people.Open(filepath.Join(b.TempDir(), "people.db"), id)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	var facts []fact
	for i := range 2048 {
		facts = append(facts, fact{guia.MessageSent, "slack", fmt.Sprintf("sender.key=k%d|sender.name=Person %d|time=2026-01-%02dT08:00:00Z", i%900, i%900, 1+i%2)})
	}
	page := events(facts...)
	next := guia.Seq(0)
	for b.Loop() {
		for i := range page {
			page[i].Seq = next + guia.Seq(i)
		}
		next += 2048
		if err := p.Apply(context.Background(), page, next); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2048, "ns/event")
}
