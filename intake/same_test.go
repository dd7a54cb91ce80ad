package intake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/db"
	"guia/directory"
	"guia/guiatest"
	"guia/intake"
	"guia/source"
)

// groups writes what is stored of a text as messages: of each the instances whose records name it, in the order of the ledger.
func groups(t *testing.T, d *guiatest.Directory, text string) string {
	t.Helper()
	var order []string
	of := map[string]string{}
	for seq := range d.Ledger.Size() {
		e := event(t, d, seq)
		if e.Text() != text {
			continue
		}
		first := e.Fields.Get("same_as")
		if first == "" {
			first = e.Record.String()
		}
		if of[first] == "" {
			order = append(order, first)
		}
		of[first] += e.Fields.Get("origin")
	}
	for i, first := range order {
		order[i] = of[first]
	}
	return strings.Join(order, " ")
}

// TestWhoSaysItTwiceHasSaidItTwice: of two equal messages of one minute, another source's two are one each.
func TestWhoSaysItTwiceHasSaidItTwice(t *testing.T) {
	ana := source.Person{ID: "ana", Name: "Ana Sousa"}
	rui := source.Person{ID: "rui", Name: "Rui Lam"}
	const long = "a text that is long enough to be recognised"
	for _, c := range []struct {
		what, text string
		pages      string // who told it: instance and sender, one word a page
		want       string
	}{
		{"once here, once there", "ok", "aA bA", "ab"},
		{"twice here, once there", "ok", "aAA bA", "ab a"},
		{"twice here, twice there", "ok", "aAA bAA", "ab ab"},
		{"page by page", "ok", "aA aA bA bA", "ab ab"},
		{"once here, twice there", "ok", "aA bAA", "ab b"},
		{"three instances", "ok", "aA bAA cAA", "abc bc"},
		{"the third knows the second", "ok", "aA bAA cA aA", "abc ba"},
		{"two people, one long text", long, "aAR bRA", "ab ab"},
		{"a third tells of the second alone", long, "aAR cR bA", "ab ac"},
		{"more often than is looked for", long, "aAAAAAAAAAAAA bAAAAAAAAAAAA", "ab ab ab ab a a a a a a a a b b b b b b b b"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := guiatest.New(t)
			n := 0
			for page := range strings.FieldsSeq(c.pages) {
				var records []source.Record
				for _, who := range page[1:] {
					n++
					r := message(fmt.Sprint(n), c.text)
					r.Origin, r.Sender = page[:1], ana
					if who == 'R' {
						r.Sender = rui
					}
					records = append(records, r)
				}
				accept(t, d, feed("slack", page[:1]), records...)
			}
			if got := groups(t, d, c.text); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestTheNextRecordTakesThePlaceOfAForgottenOne: whoever tells the message afterwards is linked to the same one.
func TestTheNextRecordTakesThePlaceOfAForgottenOne(t *testing.T) {
	d := guiatest.New(t)
	tell := func(instance, key, person string) intake.Counts {
		t.Helper()
		r := message(key, "the contract of the flat is ready")
		r.Origin, r.Sender.ID, r.Sender.Address = instance, person, "chan@acme.example"
		_, counts := accept(t, d, feed("slack", instance), r)
		return counts
	}
	tell("a", "1", "chan-1")
	tell("b", "2", "chan-2")
	tell("c", "3", "chan-3")
	first := event(t, d, d.Ledger.Size()-3).Record.String()
	gone, err := d.Forget(t.Context(), d.Owner, "", []directory.Subject{{Source: "slack", Key: "chan-1"}, {Source: "slack", Key: "chan-2"}}, nil)
	if err != nil || gone.Events != 2 {
		t.Fatalf("%+v, %v", gone, err)
	}
	if counts := tell("d", "4", "chan-4"); counts.Linked != 1 {
		t.Errorf("after the first two were forgotten: %+v", counts)
	}
	if counts := tell("c", "5", "chan-3"); counts.Linked != 0 {
		t.Errorf("said once more: %+v", counts)
	}
	if same := event(t, d, d.Ledger.Size()-2).Fields.Get("same_as"); same != first {
		t.Errorf("linked to %q, want the first, %s", same, first)
	}
	if got := groups(t, d, "the contract of the flat is ready"); got != "cd c" {
		t.Errorf("got %s", got)
	}
}

// TestAnEditThatTwoSourcesTellIsOne: a message is told by two sources, edited in one of them, and then seen edited in the other.
func TestAnEditThatTwoSourcesTellIsOne(t *testing.T) {
	before, after := "the contract of the flat in Rua da Praia is ready", "the contract of the flat in Rua da Praia is not ready yet"
	house := func(name guia.SourceName, instance, key, text string) (intake.Feed, source.Record) {
		r := message(key, text)
		r.Origin = string(name[:2]) + " "
		f := feed(name, instance)
		f.Import = guia.NewRecordID() // each tells of another moment
		return f, r
	}
	d := guiatest.New(t)
	for _, c := range []struct {
		source        guia.SourceName
		key, text     string
		edited, links int64
	}{
		{"slack", "s1", before, 0, 0},
		{"mapped", "m1", before, 0, 1},
		{"mapped", "m1", after, 1, 0},
		{"slack", "s1", after, 1, 1},        // the same edit
		{"slack", "s1", after, 0, 0},        // and nothing new
		{"slack", "s1", after + "!", 1, 0},  // another one
		{"mapped", "m1", after + "?", 1, 0}, // and another
		{"mapped", "m2", after, 0, 0},       // and a message of its own
	} {
		f, r := house(c.source, "export of "+string(c.source), c.key, c.text)
		if _, counts := accept(t, d, f, r); counts.Edited != c.edited || counts.Linked != c.links {
			t.Errorf("%s %s %q: %+v", c.source, c.key, c.text, counts)
		}
	}
	if got := groups(t, d, after); got != "ma sl  ma " {
		t.Errorf("the records of the edit: %q", got)
	}
	// What could have been edited before it was handed in never stands for what could not.
	f, r := house("mapped", "export of mapped", "m1", after+" again")
	f.Grade = guia.GradeC
	accept(t, d, f, r)
	f, r = house("slack", "export of slack", "s1", after+" again")
	f.Grade = guia.GradeA
	if _, counts := accept(t, d, f, r); counts.Linked != 0 {
		t.Error("a record of grade A is a copy of one of grade C")
	}
}

// TestTwoPeopleOfOneDomainAreTwo: what they share is where their mail is kept.
func TestTwoPeopleOfOneDomainAreTwo(t *testing.T) {
	const text = "I confirm that I have read the new safety policy."
	for _, c := range []struct {
		what string
		a, b source.Person
		want string
	}{
		{"two addresses", source.Person{ID: "ana@acme.example", Address: "ana@acme.example"}, source.Person{ID: "bob@acme.example", Address: "bob@acme.example"}, "a b"},
		{"two addresses, a name in common", source.Person{Name: "Ana Lam", Address: "ana@acme.example"}, source.Person{Name: "Rui Lam", Address: "rui@acme.example"}, "a b"},
		{"an address is a name", source.Person{Name: "ana@acme.example"}, source.Person{Name: "bob@acme.example"}, "a b"},
		{"keys with a word in common", source.Person{ID: "acme/ana"}, source.Person{ID: "acme/bob"}, "a b"},
		{"one address, written otherwise", source.Person{Name: "Ana", Address: "Ana@acme.example"}, source.Person{Address: "ana@ACME.example"}, "ab"},
		{"one key", source.Person{ID: "acme/ana"}, source.Person{ID: "acme/ana", Name: "Ana"}, "ab"},
		{"one name, one address", source.Person{Name: "Ana Sousa", Address: "ana@acme.example"}, source.Person{Name: "Sousa, Ana"}, "ab"},
		{"a surname in common", source.Person{Name: "Ana Lam"}, source.Person{Name: "Rui Lam", Address: "rui@acme.example"}, "a b"},
		{"a first name alone", source.Person{Name: "Ana"}, source.Person{Name: "Ana Lam"}, "a b"},
		{"namesakes with a key each", source.Person{ID: "1", Name: "Chan Tai Man"}, source.Person{ID: "2", Name: "Chan Tai Man"}, "a b"},
		{"namesakes with a key each at one system", source.Person{ID: "hr/1", Name: "Chan Tai Man"}, source.Person{ID: "hr/2", Name: "Chan Tai Man"}, "a b"},
		{"keys of two systems", source.Person{ID: "hr/1", Name: "Chan Tai Man"}, source.Person{ID: "crm/9", Name: "Chan Tai Man"}, "ab"},
		{"keys that are the name again", source.Person{ID: "w1/Chan Tai Man", Name: "Chan Tai Man"}, source.Person{ID: "w2/Chan Tai Man", Name: "Chan Tai Man"}, "ab"},
		{"keys that are the name again, at one system", source.Person{ID: "w/João Conceição", Name: "João Conceição"}, source.Person{ID: "w/CONCEICAO Joao", Name: "CONCEICAO Joao"}, "ab"},
		{"keys that are two names", source.Person{ID: "w1/Ana Lam", Name: "Ana Lam"}, source.Person{ID: "w2/Rui Lam", Name: "Rui Lam"}, "a b"},
		{"a whole name, written otherwise", source.Person{Name: "João Conceição"}, source.Person{Name: "CONCEICAO Joao", Address: "joao@acme.example"}, "ab"},
		{"nobody and somebody", source.Person{Address: "ana@acme.example"}, source.Person{}, "ab"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := guiatest.New(t)
			for i, who := range []source.Person{c.a, c.b} {
				instance := string("ab"[i])
				r := message(instance, text)
				r.Origin, r.Sender = instance, who
				accept(t, d, feed("mbox", instance), r)
			}
			if got := groups(t, d, text); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestACopyIsOfTheSameEntityAndOfNoBetterGrade: two readings that are not linked are two messages.
func TestACopyIsOfTheSameEntityAndOfNoBetterGrade(t *testing.T) {
	const text = "I did not approve the payment to the contractor"
	for _, c := range []struct {
		what  string
		feeds string // instance, grade, and who said it: 1 somebody and 0 nobody of one entity, 2 somebody and 3 nobody of another
		want  string
	}{
		{"as good", "aC1 bC1", "ab"},
		{"worse", "aA1 bC1", "ab"},
		{"better", "aC1 bA1", "a b"},
		{"better than what nobody said", "aC0 bA1", "a b"},
		{"worse, of nobody", "aA1 bC0", "ab"},
		{"the next ones find theirs", "aC1 bA1 cA1 dC1", "ad bc"},
		{"another entity", "aC1 bC2", "a b"},
		{"another entity, of nobody", "aC1 bC3", "a b"},
		{"another entity, worse", "aA1 bC2", "a b"},
		{"two entities, two sources", "aC1 bC2 cC2 dC1", "ad bc"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := guiatest.New(t)
			for w := range strings.FieldsSeq(c.feeds) {
				f := feed("mapped", w[:1])
				f.Grade, f.Entity = guia.Grade(w[1:2]), "first"
				r := message(w, text)
				r.Origin = w[:1]
				if w[2] == '0' || w[2] == '3' {
					r.Sender = source.Person{}
				}
				if w[2] >= '2' {
					f.Entity = "second"
				}
				accept(t, d, f, r)
			}
			if got := groups(t, d, text); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestAMailWithoutATimeIsRecognisedByItsMessageID: under it the same is one mail, and whatever differs is another.
func TestAMailWithoutATimeIsRecognisedByItsMessageID(t *testing.T) {
	const text = "The order of today is confirmed"
	ana, rui := source.Person{ID: "ana@acme.example", Address: "ana@acme.example"}, source.Person{ID: "rui@acme.example", Address: "rui@acme.example"}
	for _, c := range []struct {
		what   string
		a, b   string // keys
		change func(f *intake.Feed, r *source.Record)
		want   string
	}{
		{"one Message-ID", "1@acme.example", "1@acme.example", nil, "ab"},
		{"another one", "1@acme.example", "2@acme.example", nil, "a b"},
		{"a second copy of its source", "1@acme.example", "1@acme.example/0123456789abcdef", nil, "ab"},
		{"no Message-ID, but a digest", "sha256:1", "sha256:1", nil, "a b"},
		{"another subject", "1@acme.example", "1@acme.example", func(_ *intake.Feed, r *source.Record) { r.Subject = "s" }, "a b"},
		{"another picture", "1@acme.example", "1@acme.example", func(_ *intake.Feed, r *source.Record) { r.HTML = `<img src="x">` }, "a b"},
		{"another attachment", "1@acme.example", "1@acme.example", func(_ *intake.Feed, r *source.Record) { r.Files = []source.File{{Name: "a.pdf"}} }, "a b"},
		{"another sender", "1@acme.example", "1@acme.example", func(_ *intake.Feed, r *source.Record) { r.Sender = rui }, "a b"},
		{"nobody", "1@acme.example", "1@acme.example", func(_ *intake.Feed, r *source.Record) { r.Sender = source.Person{} }, "ab"},
		{"another entity", "1@acme.example", "1@acme.example", func(f *intake.Feed, _ *source.Record) { f.Entity = "second" }, "a b"},
		{"a better grade", "1@acme.example", "1@acme.example", func(f *intake.Feed, _ *source.Record) { f.Grade = "A" }, "a b"},
		{"not a mail", "1@acme.example", "1@acme.example", func(_ *intake.Feed, r *source.Record) { r.Type = guia.MessageSent }, "a b"},
		{"a time, and so another minute", "1@acme.example", "1@acme.example", func(_ *intake.Feed, r *source.Record) {
			r.HasTime, r.Time = true, guia.Moment{Time: noon, Precision: guia.Second}
		}, "a b"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := guiatest.New(t)
			for i, key := range []string{c.a, c.b} {
				f, r := feed("mbox", string("ab"[i])), message(key, text)
				f.Grade = "C"
				r.Type, r.HasTime, r.Time, r.Origin, r.Sender, r.Stream = guia.MailSent, false, guia.Moment{}, f.Instance, ana, f.Instance
				if i == 1 && c.change != nil {
					c.change(&f, &r)
				}
				accept(t, d, f, r)
			}
			if got := groups(t, d, text); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestAMailOfAnEarlierReleaseNeedsNoRowOfItsMessageID and any later one does.
func TestAMailOfAnEarlierReleaseNeedsNoRowOfItsMessageID(t *testing.T) {
	since := intake.MailsRecognised(t) // also for the check at the end
	d := guiatest.New(t)
	r := message("1@acme.example", "The order of today is confirmed")
	r.Type, r.HasTime, r.Time = guia.MailSent, false, guia.Moment{}
	accept(t, d, feed("mbox", "a"), r)
	err := d.Main.Write(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec("DELETE FROM intake_seen WHERE mac BETWEEN X'00000000' AND X'00000001'")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	*since = time.Unix(0, 0)
	if got := namedBy(t, d); len(got) != 1 {
		t.Errorf("without the row the check names %v", got)
	}
	*since = time.Now().Add(time.Hour)
	guiatest.MustCheck(t, d.Directory)
}
