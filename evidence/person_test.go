package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"guia"
	"guia/db"
	"guia/evidence/verify"
	"guia/lang"
	"guia/ledger"
	"guia/permit"
	"guia/source"
	"guia/vault"
)

// told is what a bundle tells: of each file, and of each value that the lines disclose, the readings as names are compared.
type told map[string][]string

func (p packed) told() told {
	all := told{}
	for name, content := range p.Files {
		if path.Ext(name) == ".jsonl" { // its values are undone one by one
			all[name] = append(all[name], bare(string(content)))
		} else {
			all[name] = readings(string(content))
		}
	}
	for _, name := range []string{"records.jsonl", "custody.jsonl"} {
		for line := range bytes.Lines(p.Files[name]) {
			var l verify.Line
			if verify.ParseLine(&l, line) != nil {
				all[name] = append(all[name], readings(string(line))...)
				continue
			}
			for _, f := range l.Fields {
				if f.Withheld == "" {
					place := fmt.Sprintf("%s #%d %s", name, l.Index, f.Name)
					all[place] = append(all[place], readings(string(f.Value))...)
				}
			}
		}
	}
	return all
}

// readings are what a content says, in all its layers, as words are compared.
func readings(content string) (all []string) {
	if known, ok := read.Load(content); ok {
		return known.([]string)
	}
	for _, text := range undo(content).texts {
		all = append(all, bare(text))
	}
	read.Store(content, all)
	return all
}

// read is what was read before: much of a bundle stands in each.
var read sync.Map

// of returns the places that tell of something, however it is written.
func (t told) of(word string) (where []string) {
	for place, readings := range t {
		if slices.ContainsFunc(readings, func(reading string) bool { return strings.Contains(reading, bare(word)) }) {
			where = append(where, place)
		}
	}
	slices.Sort(where)
	return where
}

// scandal is a case in which everything tells of Chan Tai Man in another way.
func scandal(o *office) Case {
	chat := func(key, who, text string) source.Record {
		r := says(key, who, text)
		r.Raw = []byte(`{"ts":"` + key + `"}`)
		return r
	}
	chan1 := func(key, text string) source.Record {
		r := chat(key, "Chan", text)
		r.Sender = source.Person{ID: "U0CHAN77", Name: "Chan Tai Man", Address: "chan.tm@acme.example", Phone: "+853 6612 3456", Title: "Quartermaster"}
		return r
	}
	group := func(r source.Record) source.Record {
		r.Stream, r.StreamName, r.StreamKind, r.Origin = "G1", "mpdm-chan.tm--ana-1", "group", "mpdm-chan.tm--ana-1/2026-01-02.json#1"
		return r
	}
	direct := func(r source.Record) source.Record {
		r.Stream, r.StreamName, r.StreamKind = "D1", "the two of us", "direct"
		return r
	}
	seen := chan1("user/1", "")
	seen.Type, seen.Stream, seen.StreamName, seen.StreamKind, seen.Sender.Name = guia.PersonSeen, "directory", "", "feed", "陳大文 (HR)"
	o.bring("acme", seen) // only people knows of this name
	members := direct(chat("conversation/D1", "Ana", "about us"))
	members.Type, members.Sender, members.Members = guia.ChannelSeen, source.Person{}, []string{"U-Ana", "U0CHAN77"}
	contract := attach(chat("9", "Ana", "here it is"), "Contract CHAN Tai-Man.txt", "the contract")
	html := chat("10", "Ana", "plain")
	html.HTML = `<p>ask <a href="mailto:chan.tm&#64;acme.example">him</a></p>`
	raw := chat("11", "Ana", "nobody is named in the text")
	raw.Raw = []byte(`{"reactions":["<@U0CHAN77>"],"by":"\u9673\u5927\u6587"}`)
	subject := chat("12", "Ana", "see the subject")
	subject.Subject = "Man, Chan Tai: dismissal"
	namesake := chat("13", "Other", "the words of a namesake")
	namesake.Sender = source.Person{ID: "U0LEI", Name: "CHAN Tai Man", Address: "another@acme.example"}
	answer := chat("14", "Ana", "an answer")
	answer.Thread, answer.ReplyTo = "U0CHAN77/1", "U0CHAN77/1"
	gap := source.Record{Key: "gap/1", Type: guia.SourceGap, Stream: "G2", StreamName: "mpdm-chan.tm--eva-1", Origin: "mpdm-chan.tm--eva-1/1.json"}
	gap.Extra.Set("reason", "cut off in mpdm-chan.tm--eva-1")
	seqs := o.bring("Chan Tai Man Trading Ltd",
		chan1("1", "the silver spoon is mine"),
		chat("2", "Ana", "ask @Chan Tai Man about it"),
		chat("3", "Ana", strings.Repeat("-", 58)+" 陳大文先生 knows, "+strings.Repeat("and so do others ", 8)),
		chat("4", "Ana", "write to chan.tm@acme.example or call +853 6612-3456"),
		chat("5", "Ana", "U0CHAN77 or @chan.tm, both are right"),
		group(chan1("6", "among the four of us")), group(chat("7", "Ana", "also in the group")),
		direct(chat("8", "Ana", "between us")), members,
		contract, html, raw, subject, namesake, answer, gap,
		chat("15", "Ana", "the weather is fine, chandelier, chan"),
	)
	mail := func(key, stream, from, text string, to ...string) source.Record {
		r := says(key, from, text)
		r.Type, r.Stream, r.StreamName, r.StreamKind, r.Recipients = guia.MailSent, stream, stream, "mailbox", to
		r.Sender = source.Person{ID: strings.ToLower(from), Address: from}
		r.Raw, r.RawType, r.Origin = []byte("To: =?utf-8?B?6Zmz5aSn5paH?=\n\n"+text), "message/rfc822", stream+"#"+key
		return r
	}
	seqs = append(seqs, o.bringFrom("mbox", "acme",
		mail("m1", "archive-chantm/Inbox", "ana@acme.example", "the minutes", "Lei <lei@acme.example>", `"陳大文" <Chan.TM@acme.example>`),
		mail("m2", "lei/Inbox", "Chan.TM@acme.example", "the tram leaves at nine", "lei@acme.example"),
		mail("m3", "lei/Inbox", "ana@acme.example", "to Lei alone", "lei@acme.example"),
	)...)
	twin := chat("t1", "Nobody", "the silver spoon is mine") // the same text in the same minute: intake links it
	twin.Sender = source.Person{ID: "hr/0001", Name: "Man, Chan Tai"}
	seqs = append(seqs, o.bringFrom("mapped", "Chan Tai Man Trading Ltd", twin)...)

	boss := o.hire("chan.tm", permit.Grant{Role: permit.Officer, Scope: permit.Everything})
	must(o.TB, o.Ledger.Do(o.ctx, o.ana, permit.ActUsers, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("user", boss.User.String())
		f.Set("name", boss.Login)
		_, err := tx.Record(guia.UserAdded, f)
		return err
	}))
	c, err := OpenCase(o.ctx, o.Ledger, boss, "Acme against Chan Tai Man")
	must(o.TB, err)
	o.ana.Reason = "complaint of 陳大文"
	_, err = Add(o.ctx, o.Ledger, o.ana, c, seqs)
	must(o.TB, err)
	o.ana.Reason = ""
	return c
}

// Every word that tells of a withheld person is in the bundle before, and in no file of it afterwards.
func TestNothingTellsOfAWithheldPerson(t *testing.T) {
	o := newOffice(t)
	c := scandal(o)
	account := accountCalled(o, "chan.tm")
	words := []string{
		"Chan Tai Man", "Man, Chan Tai", "陳大文", "chan.tm@acme.example", "@chan.tm", "chan.tm--", "chantm", "+853 6612 3456", "U0CHAN77", "Quartermaster",
		"silver spoon", "tram leaves at nine", "among the four of us", "the contract", "the two of us", account.String(),
	}
	open := o.build(o.request(c)).told()
	for _, word := range words {
		if open.of(word) == nil {
			t.Errorf("%q stands nowhere before", word)
		}
	}
	pseudonym := guia.PersonID(o.Vault.PersonOwner("slack", "U0CHAN77")).String()
	for _, who := range []string{"Chan Tai Man", "陳大文 (hr)", "U0CHAN77", "CHAN.TM@acme.example", "+853 6612 3456", pseudonym} {
		p := o.build(o.request(c, "person="+who))
		told := p.told()
		for _, word := range words {
			if where := told.of(word); where != nil {
				t.Errorf("person=%s: %q stands in %v", who, word, where)
			}
		}
		for _, stays := range []string{
			"and so do others", "also in the group", "between us", "here it is", "nobody is named in the text", "see the subject",
			"an answer", "the weather is fine, chandelier, chan", "the minutes", "to Lei alone", "lei@acme.example",
		} {
			if told.of(stays) == nil {
				t.Errorf("person=%s: %q is withheld as well", who, stays)
			}
		}
		if called := who == "Chan Tai Man"; called != (told.of("the words of a namesake") == nil) { // a name calls everybody who has it
			t.Errorf("person=%s: the words of a namesake stand in %v", who, told.of("the words of a namesake"))
		}
		for _, claim := range []string{"claim.persons_withheld", "claim.persons_may_remain"} {
			if !slices.Contains(p.Cover.Claims, claim) || !strings.Contains(p.view(), lang.Text(lang.English, claim)) {
				t.Errorf("person=%s: %s is not said", who, claim)
			}
		}
	}
}

func accountCalled(o *office, login string) guia.PersonID {
	o.Helper()
	users, err := permit.Users(o.ctx, o.Main)
	must(o.TB, err)
	for _, u := range users {
		if u.Login == login {
			return u.ID
		}
	}
	o.Fatalf("no account %s", login)
	return guia.PersonID{}
}

// Whatever field of whatever event holds a name is withheld, unless its values are numbers or words of our own.
func TestANameIsWithheldInEveryRegisteredField(t *testing.T) {
	var a acquaintance
	a.name("Chan Tai Man", 0)
	for _, spec := range guia.Registry {
		name := strings.ReplaceAll(spec.Name, "####", "0001")
		if slices.Contains(nameless, name) || name == "file.0001" || name == "raw.file" {
			continue
		}
		fields := []vault.Disclosure{{Name: name, Value: []byte("of Chan Tai Man's")}}
		for _, kind := range []guia.Type{guia.MessageSent, guia.SourceGap, guia.ImportStarted} {
			j := newJudgement(1, 1)
			a.judge(&j, &guia.Header{Type: kind}, fields)
			if !j.hidden(0) {
				t.Errorf("%s of %s shows the name", name, kind)
			}
		}
	}
}

func TestNamesAreFoundHoweverTheyAreWritten(t *testing.T) {
	for _, w := range []struct {
		shown, text string
		found       bool
	}{
		{"Chan Tai Man", "ask CHAN TAI-MAN.", true},
		{"Chan Tai Man", "Tai Man Chan", true},
		{"Chan Tai Man", "Man, Chan Tai", true},
		{"Chan Tai Man", "chan_tai_man", true},
		{"Chan Tai Man", "Chan Taiman's", true},
		{"Chan Tai Man", "Chan Tai Manuel", false},
		{"Chan Tai Man", "Chan", false},
		{"João Conceição", "Conceicao, Joao", true},
		{"陳大文 Chan Tai Man (HR)", "陈 大文先生", true},
		{"陳大文 Chan Tai Man (HR)", "Chan Tai Man", true},
		{"陳大文 Chan Tai Man (HR)", "HR", false},
		{"Chan Tai Man（人事部）", "chan tai man", true},
		{"王", "王經理", false},
		{"王", "@王 經理", true},
		{"王", "王", true},
		{"Ana", "Ana, Banana", true},
		{"Ana", "Banana", false},
		{"chan@acme.example", "mailto:Chan@ACME.example?x", true},
		{"chan@acme.example", "@chan", true},
		{"chan@acme.example", "chan", true}, // alone in a field
		{"chan@acme.example", "my chan", false},
		{"4711", "of 4711 patacas", false},
		{"4711", "<@4711>", true},
		{"+853 6612 3456", "(853) 66123456", true},
		{"+853 6612 3456", "call 6612 3456", true},
		{"+853 6612 3456", "電話66123456", true},
		{"+853 6612 3456", "call 6612 34567", false},
		{"00852 6612 3456", "66123456", true},
		{"+86 138 1234 5678", "138-1234-5678", true},
		{"+86 6612 3456", "6612 3456", false}, // no such number: an identifier that begins so
		{"Chan Tai Man", "https://x.example/u/Chan%20Tai%2520Man", true},
		{"U1", "U12", false},
	} {
		var a acquaintance
		for _, s := range spellings(w.shown) {
			a.name(s, 0)
		}
		if got := len(a.namedIn("subject", w.text)) > 0; got != w.found {
			t.Errorf("%q in %q: %v", w.shown, w.text, got)
		}
	}
}

// Sources put JSON into JSON, and people paste addresses of pages: what names somebody there is withheld, and only that.
func TestAnEncodedNameIsFound(t *testing.T) {
	o := newOffice(t)
	chan1 := says("1", "Chan", "words")
	chan1.Sender = source.Person{ID: "U0CHAN77", Name: "陳大文", Address: "chan.tm@acme.example"}
	seqs := []source.Record{chan1}
	chunk := func(s string) string { return s + strings.Repeat(" ", 64-utf8.RuneCountInString(s)) }
	for i, w := range []struct{ text, raw string }{
		{"nobody", `{"x":"{\"who\":\"\\u9673\\u5927\\u6587\"}"}`},
		{"nobody", `{"x":"{\"y\":\"{\\\"who\\\":\\\"\\\\u9673\\\\u5927\\\\u6587\\\"}\"}"}`},
		{"nobody", `{"mail":"chan%2Etm%40acme.example"}`},
		{"nobody", `{"link":"%E9%99%B3\u0026#22823;%e6%96%87"}`},
		{chunk("before") + chunk("mailto:chan%2Etm%40acme.example") + "after 100%", `{}`},
		{chunk("before") + strings.Repeat("x", 50) + " %E9%99%B3%E5%A4%A7%E6%96%87" + strings.Repeat(" ", 51) + "after", `{}`},
		{"100% of <everything> &amp; \\u0041na", `{"a":"100% \u0041na"}`},
	} {
		r := says(strconv.Itoa(i+2), "Ana", w.text)
		r.Raw = []byte(w.raw)
		seqs = append(seqs, r)
	}
	places := o.bring("acme", seqs...)
	p := o.build(o.request(o.open("case", places...), "person=U0CHAN77"))
	for i, want := range [][]string{{"raw"}, {"raw"}, {"raw"}, {"raw"}, {"raw", "text.0001"}, {"raw", "text.0001", "text.0002"}, nil} {
		if got := p.withheld(places[i+1], verify.Redacted); !slices.Equal(got, want) {
			t.Errorf("of message %d %v is withheld, want %v", i+2, got, want)
		}
	}
}

func TestWhatIsToldAgainIsWithheldAlsoWhenTheFirstIsOutsideTheCase(t *testing.T) {
	o := newOffice(t)
	first := says("1", "Chan", "the silver spoon is mine")
	first.Sender = source.Person{ID: "U0CHAN77", Name: "Chan Tai Man"}
	o.bring("acme", first)
	twin, other := says("t1", "Nobody", "the silver spoon is mine"), says("t2", "Ana", "@Chan Tai Man has a fork")
	twin.Sender = source.Person{}
	c := o.open("case", o.bringFrom("mapped", "acme", twin, other)...)
	if o.build(o.request(c)).told().of("silver spoon") == nil {
		t.Fatal("what is to be withheld stands nowhere before")
	}
	for _, who := range []string{"U0CHAN77", "Chan Tai Man"} {
		if where := o.build(o.request(c, "person="+who)).told().of("silver spoon"); where != nil {
			t.Errorf("person=%s: what they said stands in %v", who, where)
		}
	}
}

// Who said it is told by another source only, outside the case: by a copy of the record in the case, or by another copy of its first.
func TestWhatACopyOutsideTheCaseTellsOfIsWithheld(t *testing.T) {
	o := newOffice(t)
	nobody := func(key string) source.Record {
		r := says(key, "Nobody", "the silver spoon is mine")
		r.Sender = source.Person{}
		return r
	}
	first := o.bringFrom("mapped", "acme", nobody("1"))
	copied := o.bringFrom("archive", "acme", nobody("2"))
	named := says("3", "Chan", "the silver spoon is mine")
	named.Sender = source.Person{ID: "U0CHAN77", Name: "Chan Tai Man"}
	o.bring("acme", named)
	other := says("4", "Ana", "@Chan Tai Man has a fork")
	for what, in := range map[string]guia.Seq{"the first": first[0], "another copy": copied[0]} {
		c := o.open(what, append(o.bring("acme", other), in)...)
		other.Key += "+"
		if o.build(o.request(c)).told().of("silver spoon") == nil {
			t.Fatal("what is to be withheld stands nowhere before")
		}
		for _, who := range []string{"U0CHAN77", "Chan Tai Man"} {
			if where := o.build(o.request(c, "person="+who)).told().of("silver spoon"); where != nil {
				t.Errorf("%s, person=%s: what they said stands in %v", what, who, where)
			}
		}
	}
}

// An edit that two sources tell is one: what the other one tells of who made it counts for both.
func TestWhatACopyOfAnEditTellsOfIsWithheld(t *testing.T) {
	o := newOffice(t)
	said := func(key, text string, who source.Person) source.Record {
		r := says(key, "Nobody", text)
		r.Sender = who
		return r
	}
	chan1 := source.Person{ID: "U0CHAN77", Name: "Chan Tai Man"}
	before, after := "the silver spoon is mine", "the golden fork is mine"
	o.bringFrom("mapped", "acme", said("1", before, source.Person{}))
	o.bring("acme", said("3", before, chan1))
	o.bring("acme", said("3", after, chan1))
	edited := o.bringFrom("mapped", "acme", said("1", after, source.Person{}))
	c := o.open("the edit", append(o.bring("acme", says("4", "Ana", "@Chan Tai Man has a knife")), edited...)...)
	if o.build(o.request(c)).told().of("golden fork") == nil {
		t.Fatal("what is to be withheld stands nowhere before")
	}
	if where := o.build(o.request(c, "person=U0CHAN77")).told().of("golden fork"); where != nil {
		t.Errorf("what they said stands in %v", where)
	}
}

// What a damaged event outside the case tells of a person is unknown: no bundle is made, and the refusal names the event.
func TestDamageOutsideTheCaseIsNamed(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", says("1", "Chan", "words"), says("2", "Ana", "other words"))
	c := o.open("case", seqs[0])
	req := o.request(c, "person=U-Chan")
	e, err := o.Ledger.Entry(o.ctx, seqs[1])
	must(t, err)
	var first uint64
	var data []byte
	must(t, o.Main.QueryRow(o.ctx, "SELECT first, data FROM vault_row WHERE first <= ? ORDER BY first DESC LIMIT 1", uint64(seqs[1])).Scan(&first, &data))
	at := bytes.Index(data, e.Row)
	for i := range e.Row {
		data[at+i] ^= 1
	}
	must(t, o.Main.Write(o.ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE vault_row SET data = ? WHERE first = ?", data, first)
		return err
	}))
	_, err = Build(o.ctx, o.Ledger, o.ana, req, nil)
	if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Key != "evidence.outside_damaged" || guia.KindOf(err) != guia.Damaged {
		t.Errorf("refused with %v", err)
	}
}

func TestAttachmentsThatNobodySearchedAreNamed(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme",
		says("1", "Chan", "words"),
		attach(attach(says("2", "Ana", "two files"), "plan.txt", "Chan's plan"), "of Chan.txt", "another"),
		attach(says("3", "Chan", "mine"), "mine.txt", "a third"),
	)
	c := o.open("case", seqs...)
	want := []Attachment{{seqs[1], "file.0001", "plan.txt"}}
	plan, err := Plan(o.ctx, o.Ledger, o.ana, o.request(c, "person=U-Chan"))
	must(t, err)
	if built := o.build(o.request(c, "person=U-Chan")).Preview; !slices.Equal(plan.Unsearched, want) || !slices.Equal(built.Unsearched, want) {
		t.Errorf("planned %v, built %v, want %v", plan.Unsearched, built.Unsearched, want)
	}
	if plan, err = Plan(o.ctx, o.Ledger, o.ana, o.request(c, "field=time")); err != nil || plan.Unsearched != nil {
		t.Errorf("where nothing is searched for %v is named, %v", plan.Unsearched, err)
	}
}

func TestUnsearchableBytesAreWithheldWithAPerson(t *testing.T) {
	o := newOffice(t)
	mail := says("1", "Ana", "nobody is named")
	mail.RawType, mail.Raw = "message/rfc822", []byte("To: lei@acme.example\n\nnobody is named") // no reading of it tells of anybody
	seqs := o.bring("acme", mail, says("2", "Chan", "words"), says("3", "Ana", "others"))
	p := o.build(o.request(o.open("case", seqs...), "person=Chan"))
	if got := p.withheld(seqs[0], verify.Redacted); !slices.Equal(got, []string{"raw"}) {
		t.Errorf("of a mail that names nobody %v is withheld, want its bytes as received", got)
	}
	if got := p.withheld(seqs[2], verify.Redacted); got != nil {
		t.Errorf("of a message that can be searched and names nobody %v is withheld", got)
	}
}

// A part of a name would withhold words and leave what the person said: it is refused.
func TestARuleMeansOnlyWhoIsCalledExactlySo(t *testing.T) {
	o := newOffice(t)
	full := says("1", "Chan", "words")
	full.Sender.Name = "Chan Tai Man"
	full.Sender.ID, full.Sender.Address = "U7", "ctm@acme.example"
	elsewhere := says("2", "Eva", "of another matter")
	seqs := o.bring("acme", full, elsewhere)
	c := o.open("case", seqs[0])
	for _, who := range []string{"Chan", "Tai Man", "ctm", "Eva"} { // Eva is known, and not in the case
		_, err := Plan(o.ctx, o.Ledger, o.ana, o.request(c, "person="+who))
		want(t, err, guia.Invalid, "evidence.redact_nobody")
	}
	req := o.request(c, "person=U7")
	req.People = nil
	if _, err := Plan(o.ctx, o.Ledger, o.ana, req); err == nil {
		t.Error("persons are withheld without asking who they are")
	}
	p := o.build(o.request(c, "person=U7,person=ctm@acme.example")) // two rules for one person
	if p.Preview.Rules[1].Fields == 0 {
		t.Errorf("the second rule for one person withholds nothing: %+v", p.Preview.Rules)
	}
}

func TestThePreviewKnowsStrangersOnlyForThoseWhoMaySeeEverything(t *testing.T) {
	o := newOffice(t)
	before := says("1", "Chan", "long ago")
	before.Sender.Name, before.Stream = "Miss Chan Siu", "C9"
	seqs := o.bring("acme", before, says("2", "Chan", "today"), says("3", "Ana", "about Miss Chan Siu"))
	e, err := o.Ledger.Entry(o.ctx, seqs[1])
	must(t, err)
	eva := o.hire("eva", permit.Grant{Role: permit.Officer, Scope: "stream:" + e.Leaf.Stream.String()})
	c := o.open("case", seqs[1:]...)
	for _, w := range []struct {
		who  guia.Actor
		want []string
	}{
		{o.ana, []string{"Chan", "Chan@example.com", "Miss Chan Siu", "U-Chan"}},
		{eva, []string{"Chan", "Chan@example.com", "U-Chan"}},
	} {
		plan, err := Plan(o.ctx, o.Ledger, w.who, o.request(c, "person=U-Chan"))
		must(t, err)
		if len(plan.Known) != 1 || !slices.Equal(plan.Known[0].As, w.want) {
			t.Errorf("%s is told %v, want %v", w.who.Login, plan.Known, w.want)
		}
		if !slices.ContainsFunc(plan.Withheld, func(h Withholding) bool { return h.Seq == seqs[2] && h.Field == "text.0000" && h.Why == WhyNamed }) {
			t.Errorf("for %s the name from elsewhere is not withheld", w.who.Login)
		}
	}
}
