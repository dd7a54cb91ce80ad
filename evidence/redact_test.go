package evidence

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"guia"
	"guia/canon"
	"guia/evidence/verify"
	"guia/lang"
	"guia/permit"
	"guia/source"
	"guia/vault"
)

func TestRulesAreReadAsTheyAreWritten(t *testing.T) {
	for arg, want := range map[string]string{
		"field=text":                           "field=text",
		"field=sender.*, raw":                  "field=sender,field=raw",
		"field=file.0001,person=Chan, Tai Man": "field=file.0001,person=Chan, Tai Man",
		"passage=a, b,record=4,5,field=time":   "passage=a, b,record=4,record=5,field=time",
		"person=a=b":                           "person=a=b",
		"field=text,field=text":                "field=text",
	} {
		r, err := ParseRedaction([]string{arg})
		if err != nil || r.String() != want {
			t.Errorf("%q: got %q, %v; want %q", arg, r, err, want)
		}
		if again, err := ParseRedaction([]string{r.String()}); err != nil || again.String() != want {
			t.Errorf("%q read again: %q, %v", want, again, err)
		}
	}
	for arg, key := range map[string]string{
		"": "evidence.redact_form", "text": "evidence.redact_form", "people=Ana": "evidence.redact_form", "field=": "evidence.redact_form", "passage= \u200b": "evidence.redact_form",
		"field=txt": "evidence.redact_field", "field=te": "evidence.redact_field", "field=text.": "", "field=*": "evidence.redact_field",
		"field=file.1": "evidence.redact_field", "record=-1": "evidence.redact_record", "record=4,x": "evidence.redact_record",
	} {
		_, err := ParseRedaction([]string{arg})
		if key == "" {
			must(t, err)
			continue
		}
		want(t, err, guia.Invalid, key)
	}
}

func TestEachKindOfRuleWithholdsAndTheRestStillVerifies(t *testing.T) {
	o := newOffice(t)
	chan1 := attach(says("1", "Chan", "one"), "plan of Chan.txt", "the plan")
	chan1.Subject, chan1.HTML, chan1.Recipients = "the subject", "<b>one</b>", []string{"Ana"}
	alias := says("2", "Chan", "under another name")
	alias.Sender.Name, alias.Sender.Address = "The Boss", ""
	ana := attach(says("3", "Ana", "mentions Chan"), "same.txt", "the plan")
	seqs := o.bring("acme", chan1, alias, ana)
	c := o.open("a case about Chan", seqs...)
	all := fieldNames(o, seqs[0])

	for _, w := range []struct {
		rule   string
		hidden [3][]string // exactly these, of each record
		gone   []string    // stands nowhere
		claims []string
	}{
		{"field=text", [3][]string{{"raw", "text.0000", "text.html"}, {"raw", "text.0000"}, {"raw", "text.0000"}}, []string{"mentions"}, []string{"claim.redacted"}},
		{"field=text.0000", [3][]string{{"raw", "text.0000", "text.html"}, {"raw", "text.0000"}, {"raw", "text.0000"}}, []string{"mentions"}, nil},
		{"field=raw", [3][]string{{"raw", "raw.type"}, {"raw", "raw.type"}, {"raw", "raw.type"}}, nil, nil},
		{"field=sender.*", [3][]string{
			{"raw", "sender.address", "sender.key", "sender.name", "text.html"}, {"raw", "sender.key", "sender.name"}, {"raw", "sender.address", "sender.key", "sender.name"},
		}, []string{"The Boss", "U-Ana"}, nil},
		{"field=file.0001", [3][]string{{"file.0001", "file.0001.name", "file.0001.type", "raw"}, nil, {"file.0001", "file.0001.name", "file.0001.type", "raw"}}, []string{"the plan", "plan of Chan"}, nil},
		{"field=tier,grade", [3][]string{{"grade", "tier", "tier.basis"}, {"grade", "tier", "tier.basis"}, {"grade", "tier", "tier.basis"}}, nil, []string{"claim.grade_unknown"}},
		{"field=" + all[0] + "," + all[len(all)-1], [3][]string{{"channel", "raw", "time.zone"}, {"channel", "raw", "time.zone"}, {"channel", "raw", "time.zone"}}, nil, nil},
		{"field=actor", [3][]string{}, []string{o.ana.User.String(), `"ana"`}, nil},
		{"person=chan", [3][]string{personalNames(all), {"origin", "raw", "raw.type", "sender.key", "sender.name", "source_key", "text.0000"}, {"raw", "text.0000"}}, []string{"The Boss", "U-Chan", "plan of Chan", "the subject", "mentions"}, []string{"claim.persons_withheld", "claim.files_not_searched"}},
		{"person=Chan@Example.com", [3][]string{personalNames(all), {"origin", "raw", "raw.type", "sender.key", "sender.name", "source_key", "text.0000"}, {"raw", "text.0000"}}, []string{"U-Chan", "mentions"}, nil},
		{"person=U-Ana", [3][]string{{"raw", "recipient.0001"}, nil, {"file.0001", "file.0001.name", "file.0001.type", "origin", "raw", "raw.type", "sender.address", "sender.key", "sender.name", "source_key", "text.0000"}}, []string{"mentions Chan"}, nil},
	} {
		t.Run(w.rule, func(t *testing.T) {
			o := &office{t, o.Directory, o.ctx, o.ana, o.people}
			p := o.build(o.request(c, w.rule))
			for i, seq := range seqs {
				if got := p.withheld(seq, verify.Redacted); !slices.Equal(got, w.hidden[i]) {
					t.Errorf("record %d: withheld %v, want %v", i, got, w.hidden[i])
				}
			}
			for _, gone := range w.gone {
				if got := p.holds(gone); got != nil {
					t.Errorf("%q stands in %v", gone, got)
				}
			}
			for _, claim := range w.claims {
				if !slices.Contains(p.Cover.Claims, claim) {
					t.Errorf("the cover does not claim %s", claim)
				}
			}
			redacted := 0
			for _, names := range w.hidden {
				redacted += len(names)
			}
			if p.Preview.Redacted != redacted || p.Cover.Redacted != int64(redacted) {
				t.Errorf("preview %d, cover %d, want %d", p.Preview.Redacted, p.Cover.Redacted, redacted)
			}
			plan, err := Plan(o.ctx, o.Ledger, o.ana, o.request(c, w.rule))
			if err != nil || plan.Redacted != redacted || plan.Records != 3 {
				t.Errorf("plan %d of %d, %v", plan.Redacted, plan.Records, err)
			}
		})
	}
	p := o.build(o.request(c, "record="+fmtSeq(seqs[0])))
	if got := p.withheld(seqs[0], verify.Redacted); !slices.Equal(got, all) {
		t.Errorf("of a withheld record %v, want %v", got, all)
	}
	if got := p.holds("the plan"); len(got) != 1 {
		t.Errorf("an attachment that another record discloses stands in %v", got)
	}
	p = o.build(o.request(c, "field=name"))
	if p.Cover.Case != "" || p.holds("a case about Chan") != nil {
		t.Errorf("the name of the case stands in %v", p.holds("a case about Chan"))
	}
	if !strings.Contains(p.view(), lang.Text(lang.English, "view.case_withheld")) {
		t.Error("the view does not say that the name is withheld")
	}
}

func fieldNames(o *office, seq guia.Seq) (names []string) {
	o.Helper()
	_, fields, err := o.Ledger.Disclose(o.ctx, seq)
	must(o.TB, err)
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

func personalNames(all []string) (names []string) {
	for _, name := range all {
		if slot, _ := guia.SlotOf(name); slot != guia.SlotRecord || name == "origin" {
			names = append(names, name)
		}
	}
	return names
}

func fmtSeq(seq guia.Seq) string { return canon.FormatSeqs([]guia.Seq{seq}) }

func TestAPassageIsWithheldAcrossChunksAndWhereItIsRepeated(t *testing.T) {
	o := newOffice(t)
	// The passage begins at character 60 of the text: its first part stands in chunk 0, its last in chunk 1.
	long := says("1", "Chan", strings.Repeat("x", 60)+"Comissão  SECRETA\nde João"+strings.Repeat("y", 200))
	escaped := says("2", "Chan", "nothing here")
	escaped.Raw = []byte(`{"quoted":"comiss\u00e3o secreta de Jo\u00e3o &amp; co"}`)
	subject := says("3", "Chan", "nothing there")
	subject.Subject = "Re: comissao secreta de joao"
	markup := says("4", "Chan", "plain")
	markup.HTML = "<p>comiss&atilde;o <b>secreta</b> de Jo&atilde;o</p>"
	mail := says("5", "Chan", "a mail")
	mail.RawType, mail.Raw = "message/rfc822", []byte("Content-Transfer-Encoding: base64\n\nY29taXNzw6NvIHNlY3JldGEgZGUgSm/Do28=")
	legacy := says("6", "Chan", "in an old character set")
	legacy.Raw = []byte("comiss\xe3o secreta de Jo\xe3o")
	large := says("7", "Chan", "large")
	large.Raw = []byte(strings.Repeat("z", vault.RawLimit) + "comissão secreta de João")
	clean := says("8", "Chan", "comissão pública")
	seqs := o.bring("acme", long, escaped, subject, markup, mail, legacy, large, clean)
	c := o.open("comissão secreta de João e outras", seqs...)
	p := o.build(o.request(c, "passage=comissão secreta de João"))
	for i, want := range [][]string{
		{"raw", "text.0000", "text.0001"}, {"raw"}, {"raw", "subject"}, {"raw", "text.html"}, {"raw"}, {"raw"}, {"raw.file"}, nil,
	} {
		if got := p.withheld(seqs[i], verify.Redacted); !slices.Equal(got, want) {
			t.Errorf("record %d: withheld %v, want %v", i+1, got, want)
		}
	}
	for _, part := range []string{"ecreta", "SECRETA", "SECRETA\nde", "secreta", "Sm/Do28"} {
		if got := p.holds(part); got != nil {
			t.Errorf("%q stands in %v", part, got)
		}
	}
	if p.Cover.Case != "" || len(p.Cover.Claims) == 0 || !slices.Contains(p.Cover.Claims, "claim.passages_withheld") || slices.Contains(p.Cover.Claims, "claim.persons_withheld") {
		t.Errorf("cover %+v", p.Cover)
	}
	if v := p.view(); !strings.Contains(v, strings.Repeat("y", 60)) || strings.Contains(v, "xxxx") || !strings.Contains(v, bar+bar) {
		t.Error("the view does not show the withheld span between what stays")
	}
	if p := o.build(o.request(c, "passage=comissão")); !slices.Contains(p.withheld(seqs[7], verify.Redacted), "text.0000") {
		t.Error("a shorter passage is not found")
	}
}

func TestEveryOccurrenceIsFoundWhereverItStands(t *testing.T) {
	for _, w := range []struct {
		text, passage string
		chunks        []int
	}{
		{"abc", "abc", []int{0}},
		{strings.Repeat("a", 64) + "bc", "abc", []int{0, 1}},
		{strings.Repeat("a", 130), "aaa", []int{0, 1, 2}},
		{strings.Repeat("a", 63) + "b" + strings.Repeat("c", 64), "cc", []int{1}},
		{strings.Repeat("a", 64) + strings.Repeat("c", 64), "ac", []int{0, 1}},
		{"b" + strings.Repeat("a", 127) + "b", "b", []int{0, 2}},
		{strings.Repeat(" ", 62) + "張 " + "三", "张三", []int{0, 1}},
		{strings.Repeat("-", 63) + "e\u0301tude", "étude", []int{0, 1}},
		{strings.Repeat("-", 60) + "ﬃche", "fiche", []int{0}},
		{"", "a", nil},
		{"ab", "abc", nil},
	} {
		var fields guia.Fields
		canon.SetText(&fields, w.text)
		var disclosed []vault.Disclosure
		for _, f := range fields {
			disclosed = append(disclosed, vault.Disclosure{Name: f.Name, Value: f.Value})
		}
		if got := occurrences(disclosed, squeeze(w.passage)); !slices.Equal(got, w.chunks) {
			t.Errorf("%q in %d characters: chunks %v, want %v", w.passage, utf8.RuneCountInString(w.text), got, w.chunks)
		}
	}
}

// What the rule about a person finds in a text that is encoded, the rule about a passage finds.
func TestAPassageIsFoundInATextThatEncodesIt(t *testing.T) {
	line := func(s string) string { return s + strings.Repeat(" ", 64-len(s)) }
	o := newOffice(t)
	var records []source.Record
	for i, encoded := range []string{
		base64.StdEncoding.EncodeToString([]byte("comissão secreta")),
		"https://oa.acme.example/?q=" + url.PathEscape("comissão secreta"),
		"comiss=C3=A3o=20secreta",
		`comiss\u00e3o secreta`,
		"comiss&atilde;o secreta",
		"636f6d697373c3a36f2073656372657461",
		base64.StdEncoding.EncodeToString([]byte("comissão pública")),
	} {
		r := says(strconv.Itoa(i), "Chan", line("before")+line(encoded)+"after")
		r.Raw = []byte("{}")
		records = append(records, r)
	}
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("palavras ", 5) + "comissão secreta" + strings.Repeat(" palavras", 6)))
	records = append(records, says("long", "Chan", line("before")+long))
	seqs := o.bring("acme", records...)
	p := o.build(o.request(o.open("case", seqs...), "passage=comissão secreta"))
	for i, want := range []string{
		"[raw text.0001]", "[raw text.0001]", "[raw text.0001]", "[raw text.0001]", "[raw text.0001]", "[raw text.0001]", "[]", "[raw text.0001 text.0002]",
	} {
		if got := fmt.Sprint(p.withheld(seqs[i], verify.Redacted)); got != want {
			t.Errorf("of message %d %v is withheld, want %v", i+1, got, want)
		}
	}
}

func TestRepeatedContentIsWithheldWithEveryFieldOfTheSource(t *testing.T) {
	for _, spec := range guia.Registry {
		name := strings.ReplaceAll(spec.Name, "####", "0001")
		if slices.Contains(ours, name) || name == "text.html" {
			continue
		}
		fields := []vault.Disclosure{{Name: name, Value: []byte("v")}, {Name: "raw", Value: []byte("v")}, {Name: "raw.file", Value: []byte("v")}}
		slices.SortFunc(fields, func(a, b vault.Disclosure) int { return strings.Compare(a.Name, b.Name) })
		r, err := ParseRedaction([]string{"field=" + name})
		must(t, err)
		j := newRedactor(r).judge(0, &guia.Header{Type: guia.MessageSent}, fields, false)
		for i, f := range fields {
			if !j.hidden(i) {
				t.Errorf("withholding %s leaves %s", name, f.Name)
			}
		}
	}
}

func TestTheWordsOfARedactionStandInTheLedgerAndInNoBundle(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", says("1", "Chan", "about lighthouses"), says("2", "Ana", "else"))
	c := o.open("case", seqs...)
	p := o.build(o.request(c, "passage=lighthouses"))
	e, err := o.Ledger.Event(o.ctx, p.Started)
	must(t, err)
	if e.Text() != "passage=lighthouses" {
		t.Errorf("the intent says %q", e.Text())
	}
	about := o.open("about the bundle", p.Started) // the intent as a record of another case
	for _, p := range []packed{p, o.build(o.request(c, "field=sender,record="+fmtSeq(seqs[0]))), o.build(o.request(about))} {
		if got := p.holds("lighthouses"); got != nil {
			t.Errorf("the words stand in %v", got)
		}
	}
}

// Whoever may export could otherwise ask whether words stand in records, by planning bundles, and leave no trace.
func TestLookingForAPassageIsRecordedAndItsWordsStandInNoBundle(t *testing.T) {
	o := newOffice(t)
	c := o.open("case", o.bring("acme", says("1", "Chan", "about lighthouses"))...)
	for _, w := range []struct {
		passage string
		try     func(BundleRequest) error
		key     string
	}{
		{"lighthouses", func(r BundleRequest) error { _, err := Plan(o.ctx, o.Ledger, o.ana, r); return err }, ""},
		{"windmills", func(r BundleRequest) error { _, err := Plan(o.ctx, o.Ledger, o.ana, r); return err }, "evidence.redact_nothing"},
		{"waterworks", func(r BundleRequest) error { _, err := Build(o.ctx, o.Ledger, o.ana, r, nil); return err }, "evidence.redact_nothing"},
	} {
		if err := w.try(o.request(c, "passage="+w.passage)); w.key != "" {
			want(t, err, guia.Invalid, w.key)
		} else {
			must(t, err)
		}
		e, err := o.Ledger.Event(o.ctx, o.Ledger.Size()-1)
		must(t, err)
		if e.Type != guia.SearchMade || e.Fields.Get("query") != w.passage || e.Fields.Get("scope") != c.scope() {
			t.Errorf("%s: the newest event is %s: %v", w.passage, e.Type, e.Fields)
		}
	}
	size := o.Ledger.Size()
	if _, err := Plan(o.ctx, o.Ledger, o.ana, o.request(c, "field=text")); err != nil || o.Ledger.Size() != size {
		t.Errorf("a plan without passages recorded %d events, %v", o.Ledger.Size()-size, err)
	}
	p := o.build(o.request(c))
	if got := slices.Concat(p.holds("windmills"), p.holds("waterworks")); got != nil {
		t.Errorf("the words stand in %v", got)
	}
	if n := strings.Count(p.view(), lang.Text(lang.English, "view.act.search_made")); n != 3 {
		t.Errorf("the custody tells of %d searches, want 3", n)
	}
}

// What a conversation is called often says who is in it, and the origin says what it is called.
func TestConversationsDoNotNameWhatIsWithheld(t *testing.T) {
	in := func(r source.Record, stream, name, kind string) source.Record {
		r.Stream, r.StreamName, r.StreamKind, r.Origin = stream, name, kind, name+"/2026-01-02.json#1"
		return r
	}
	where := []string{"conversation.key", "conversation.name", "origin", "raw"}
	o := newOffice(t)
	seqs := o.bring("acme",
		in(says("1", "Chan", "one"), "D1", "mpdm-theboss--ana-1", "group"),
		in(says("2", "Ana", "two"), "D1", "mpdm-theboss--ana-1", "group"), // Chan speaks there
		in(says("3", "Ana", "three"), "D2", "dm-Chan--ana", "direct"),     // only the name tells of Chan
		in(says("4", "Ana", "four"), "D3", "dm-ana--lei", "direct"),
		in(says("5", "Ana", "five"), "C5", "project-nightingale", "channel"),
		in(says("6", "Ana", "six"), "nightingale-6", "nightingale", "channel"),
	)
	c := o.open("case", seqs...)
	for _, w := range []struct {
		rule   string
		hidden [6][]string // of what tells where it was
		gone   []string
	}{
		{"person=Chan", [6][]string{where, where, where, nil, nil, nil}, []string{"theboss", "dm-Chan"}},
		{"person=U-Chan", [6][]string{where, where, where, nil, nil, nil}, []string{"theboss", "dm-Chan"}},
		{"field=conversation.name", [6][]string{where[1:], where[1:], where[1:], where[1:], where[1:], where}, []string{"nightingale", "mpdm-"}},
		{"field=conversation.key", [6][]string{
			{"conversation.key", "origin", "raw"},
			{"conversation.key", "origin", "raw"},
			{"conversation.key", "origin", "raw"},
			{"conversation.key", "origin", "raw"},
			{"conversation.key", "origin", "raw"},
			{"conversation.key", "origin", "raw"},
		}, []string{"/2026-01-02.json"}},
	} {
		p := o.build(o.request(c, w.rule))
		for i, seq := range seqs {
			got := slices.DeleteFunc(p.withheld(seq, verify.Redacted), func(name string) bool { return !slices.Contains(where, name) })
			if !slices.Equal(got, w.hidden[i]) {
				t.Errorf("%s: record %d: withheld %v, want %v", w.rule, i+1, got, w.hidden[i])
			}
		}
		for _, gone := range w.gone {
			if got := p.holds(gone); got != nil {
				t.Errorf("%s: %q stands in %v", w.rule, gone, got)
			}
		}
		if plan, err := Plan(o.ctx, o.Ledger, o.ana, o.request(c, w.rule)); err != nil || plan.Redacted != int(p.Cover.Redacted) {
			t.Errorf("%s: planned %d, withheld %d, %v", w.rule, plan.Redacted, p.Cover.Redacted, err)
		}
	}
}

func TestGapsTellWhereAndWhyOnlyToWhoMaySeeThem(t *testing.T) {
	o := newOffice(t)
	gap := func(key, stream, name string) source.Record {
		r := source.Record{Key: key, Type: guia.SourceGap, Stream: stream, StreamName: name, Origin: name + "/2026-01-02.json"}
		r.Extra.Set("reason", "cut off in "+name)
		return r
	}
	seqs := o.bring("acme", says("1", "Chan", "one"), gap("g1", "C1", "seen-by-eva"), gap("g2", "HR", "dismissal-of-chan"))
	e, err := o.Ledger.Entry(o.ctx, seqs[0])
	must(t, err)
	eva := o.hire("eva", permit.Grant{Role: permit.Officer, Scope: "stream:" + e.Leaf.Stream.String()})
	c, err := OpenCase(o.ctx, o.Ledger, eva, "eva's")
	must(t, err)
	_, err = Add(o.ctx, o.Ledger, eva, c, seqs[:1])
	must(t, err)
	for _, w := range []struct {
		by           guia.Actor
		rule         []string
		seen, hidden bool // whether the gaps' words stand in the bundle
	}{
		{eva, nil, true, false},
		{o.ana, nil, true, true},
		{o.ana, []string{"person=Chan"}, true, false},
	} {
		result, err := Build(o.ctx, o.Ledger, w.by, o.request(c, w.rule...), nil)
		must(t, err)
		p := o.read(result)
		for _, around := range [][2]string{{"cut off in ", ""}, {"", "/2026-01-02.json"}} {
			if got := p.holds(around[0] + "seen-by-eva" + around[1]); (got != nil) != w.seen {
				t.Errorf("%s %v: of the gap that eva may see %q stands in %v", w.by.Login, w.rule, around, got)
			}
			if got := p.holds(around[0] + "dismissal-of-chan" + around[1]); (got != nil) != w.hidden {
				t.Errorf("%s %v: of the other gap %q stands in %v", w.by.Login, w.rule, around, got)
			}
		}
	}
}

// Hostile text is data: in names, texts, names of files, of conversations and of cases.
func TestHostileTextStaysText(t *testing.T) {
	o := newOffice(t)
	evil := `</style></title><script>alert(1)</script><img src=x onerror=alert(2)>"'{{.}}` + "\u202e\x01\x00&lt;"
	r := attach(says("1", "Chan", evil), `../../`+evil+`/..\..\auto.exe`, "<script>alert(3)</script>")
	r.Sender = source.Person{ID: evil, Name: evil, Address: `javascript:alert(4)//`, Title: evil}
	r.StreamName, r.StreamKind, r.Subject, r.TimeZone, r.ReplyTo, r.Thread = evil, evil, evil, evil, evil, "1"
	r.Files[0].MediaType = evil
	r.Marks = []string{evil}
	seqs := o.bring(evil[:20], r)
	o.ana.Reason = evil
	c := o.open(`<script>alert(5)</script>"'`, seqs...)
	p := o.build(o.request(c))
	v := p.view()
	for _, bad := range []string{"<script", "<img", "\x00", "\x01", "onerror=alert(2)>\"'{{", "javascript:alert(4)\""} {
		if strings.Contains(strings.ToLower(v), bad) {
			t.Errorf("the view holds %q", bad)
		}
	}
	if strings.Count(v, "</style>") != 1 || strings.Count(v, "<style>") != 1 || strings.Count(v, "</title>") != 1 {
		t.Error("the head of the view was broken open")
	}
	for name := range p.Files {
		if strings.Contains(name, "..") || strings.Contains(name, "exe") {
			t.Errorf("the bundle has a file %q", name)
		}
	}
	for _, href := range strings.Split(v, `href="`)[1:] {
		if target, _, _ := strings.Cut(href, `"`); !strings.HasPrefix(target, "#") && (!strings.HasPrefix(target, "files/") || len(target) != 70) {
			t.Errorf("a link leads to %q", target)
		}
	}
	_, rest, _ := strings.Cut(v, `download="`)
	if name, _, _ := strings.Cut(rest, `"`); name != "auto.exe" {
		t.Errorf("an attachment is saved as %q", name)
	}
}

func TestNamesOfFilesAreHarmless(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\x\y.doc`: "y.doc", "..": "file", "": "file", ".profile": "profile", "a\u202egpj.exe": "a_gpj.exe",
		"合同<1>.pdf": "合同_1_.pdf", "a/": "file", strings.Repeat("é", 130) + ".pdf": strings.Repeat("é", 116) + ".pdf",
	} {
		if got := saveAs(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestManyRecordsAreJudgedWhileOthersAreLearned(t *testing.T) {
	o := newOffice(t)
	var records []source.Record
	for i := range 500 {
		r := says(strconv.Itoa(i), []string{"Ana", "Chan"}[i%2], "text")
		if i > 250 {
			r.Sender.Name, r.Sender.Address = "renamed "+r.Sender.Name, ""
		}
		records = append(records, r)
	}
	c := o.open("case", o.bring("acme", records...)...)
	plan, err := Plan(o.ctx, o.Ledger, o.ana, o.request(c, "person=Chan"))
	if err != nil || plan.Rules[0].Records != 250 {
		t.Errorf("%+v, %v", plan.Rules, err)
	}
}
