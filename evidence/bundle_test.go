package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/evidence/verify"
	"guia/lang"
	"guia/ledger"
	"guia/permit"
	"guia/proof"
	"guia/source"
)

type ledgerTx = ledger.Tx

func TestABundleOfThreeLanguagesIsProvenAndHoldsWhatWasKept(t *testing.T) {
	o := newOffice(t)
	first, err := o.Ledger.Checkpoint(o.ctx)
	must(t, err)
	edited := says("m1", "陳大文", "佣金是百分之六，下星期付款。")
	edited.Type, edited.EditOf, edited.Key = guia.MessageEdited, "m1", "m1#2"
	reply := says("m3", "Rui Gonçalves", "A comissão não foi paga até hoje; veja o anexo.")
	reply.ReplyTo, reply.Thread = "m1", "m1"
	missing := says("m4", "Mary O'Neill", "I will send the contract.")
	missing.Files = append(missing.Files, source.File{Name: "contract.pdf", Missing: "deleted in the workspace", Size: -1})
	timeless := says("m5", "Mary O'Neill", "When was that?")
	timeless.HasTime, timeless.TimeOriginal = false, "soon"
	deleted := source.Record{Key: "m6", Type: guia.MessageDeleted, Stream: "C1", StreamName: "general", EditOf: "m5"}
	gap := source.Record{Key: "g1", Type: guia.SourceGap, Stream: "C1", StreamName: "general", Origin: "general/2026-01-03.json", Text: "half a message"}
	gap.Extra = guia.Fields{{Name: "reason", Value: []byte("cut off in the middle")}}
	seqs := o.bring("acme", says("m1", "陳大文", "佣金是百分之五，下星期付款。"), edited, attach(reply, "recibo 1.txt", "Recibo de MOP 5.000"), missing, timeless, deleted, gap)
	o.bring("acme", says("other", "Nobody", "what is not of the case"))
	c := o.open("Commission of Mr Chan", seqs[:6]...)
	req := o.request(c)
	req.Since, req.Exhibits, req.Language = first, []guia.Seq{seqs[0], seqs[3]}, lang.Portuguese
	p := o.build(req)

	if p.Cover.Case != "Commission of Mr Chan" || p.Cover.Records != 6 || p.Cover.Files != 1 || p.Cover.Redacted != 0 || p.Report.Exhibits != 2 {
		t.Errorf("cover %+v", p.Cover)
	}
	if len(p.Report.Older) != 2 {
		t.Errorf("grew from %v: not from the given checkpoint and the one at the opening", p.Report.Older)
	}
	if s := p.Cover.Sources; len(s) != 1 || s[0].Source != "slack" || s[0].Grade != "C" || s[0].Channel != "export" || s[0].Gaps != 1 || s[0].Records != 6 {
		t.Errorf("sources %+v", s)
	}
	for _, claim := range []string{"claim.grade_c", "claim.gaps", "claim.files_missing", "claim.times_missing", "claim.no_holes", "claim.no_outside_time"} {
		if !slices.Contains(p.Cover.Claims, claim) {
			t.Errorf("the cover does not claim %s", claim)
		}
	}
	for _, claim := range p.Cover.Claims {
		if !lang.Has(claim) {
			t.Errorf("no sentence for %s", claim)
		}
	}
	if got := p.holds("what is not of the case"); got != nil {
		t.Errorf("an event of no case stands in %v", got)
	}
	if got := p.holds("half a message"); got != nil {
		t.Errorf("the text of a gap that is not in the case stands in %v", got)
	}
	if got := p.holds("cut off in the middle"); got == nil {
		t.Error("the reason of the gap is nowhere")
	}
	v := p.view()
	for _, want := range []string{
		`lang="pt"`, "佣金是百分之五", "A comissão não foi paga", "Mary O&#39;Neill", "recibo 1.txt", "deleted in the workspace", "11:04:05", "&#43;08:00", "2026-01-02",
		lang.Text(lang.Portuguese, "view.edited_later"), lang.Text(lang.Portuguese, "view.removed_later"), lang.Text(lang.Portuguese, "view.no_time"),
		lang.Text(lang.Portuguese, "view.reply"), lang.Text(lang.Portuguese, "view.act.import_started"), "dispute about a commission", `href="files/`, p.Key,
	} {
		if !strings.Contains(v, want) && !strings.Contains(v, strings.ReplaceAll(want, "+", "&#43;")) {
			t.Errorf("the view lacks %q", want)
		}
	}
	for _, word := range []string{"import_started", "import_finished", "case_opened", "case_added", "bundle_started", "user_added", "source_gap"} {
		if !strings.Contains(v, lang.Text(lang.Portuguese, "view.act."+word)) {
			t.Errorf("the custody lacks %s", word)
		}
	}
	outcome, err := o.Ledger.Event(o.ctx, p.Ended)
	must(t, err)
	if outcome.Type != guia.BundleExported || outcome.Fields.Get("digest") != p.File.String() || outcome.Fields.Get("act.outcome") != "done" {
		t.Errorf("outcome %v", outcome.Fields)
	}
	if again := o.build(o.request(c)); !strings.Contains(string(again.Files["view.html"]), p.File.String()) {
		t.Error("the next bundle of the case does not name the earlier one in its custody")
	}
}

func TestTheCustodyTellsWhoOpenedTheseRecordsAndNotOthers(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", says("1", "Chan", "first"), says("2", "Ana", "second"), says("3", "Ana", "third"))
	c := o.open("case", seqs[0], seqs[2])
	record := func(kind guia.Type, name, value, reason string) {
		t.Helper()
		actor := o.ana
		actor.Reason = reason
		must(t, o.Ledger.Do(o.ctx, actor, permit.ActOpen, func(tx *ledgerTx) error {
			var f guia.Fields
			f.Set(name, value)
			_, err := tx.Record(kind, f)
			return err
		}))
	}
	record(guia.RecordOpened, "seqs", fmt.Sprintf("0-%d", seqs[0]), "opened up to the first")
	record(guia.RecordOpened, "seqs", fmt.Sprint(seqs[1]), "opened what is not of the case")
	record(guia.RecordOpened, "seqs", fmt.Sprintf("%d %d-900", seqs[1], seqs[2]), "opened from the last")
	for reason, other := range map[string]Case{"searched for the case": c, "searched for another case": {ID: guia.NewRecordID()}} {
		actor := o.ana
		actor.Reason = reason
		must(t, o.Ledger.Do(o.ctx, actor, permit.ActSearch, func(tx *ledgerTx) error {
			_, err := tx.Record(guia.SearchMade, other.Search("commission"))
			return err
		}))
	}
	record(guia.BackupStarted, "name", "x", "made a backup")
	p := o.build(o.request(c))
	for reason, told := range map[string]bool{
		"opened up to the first": true, "opened what is not of the case": false, "opened from the last": true,
		"searched for the case": true, "searched for another case": false, "made a backup": false,
	} {
		if got := p.holds(reason); (got != nil) != told {
			t.Errorf("%q stands in %v", reason, got)
		}
	}
	if p = o.build(o.request(c, "field=actor.*,reason")); p.holds("opened up to the first") != nil || p.holds(o.ana.User.String()) != nil || p.Cover.Redacted != 0 {
		t.Errorf("withheld actors stand in %v", p.holds(o.ana.User.String()))
	}
}

func TestTheSameStateGivesTheSameBytes(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", attach(says("1", "Chan", "first"), "a.txt", "alpha"), attach(says("2", "Ana", "second"), "b.txt", "beta"), says("3", "Chan", "third"))
	c := o.open("case", seqs...)
	b, err := prepare(o.ctx, o.Ledger, o.ana, o.request(c, "person=Ana"))
	must(t, err)
	must(t, b.start(o.ctx))
	var first []byte
	for range 3 {
		again := *b
		again.files, again.tally, again.done = map[[32]byte]original{}, verify.Tally{}, 0
		var out bytes.Buffer
		must(t, again.write(o.ctx, &out))
		if first == nil {
			first = out.Bytes()
		} else if !bytes.Equal(first, out.Bytes()) {
			t.Fatal("two writings differ")
		}
	}
	must(t, b.fail(o.ctx, errors.New("never meant to be")))
}

func TestTwoHundredEventsInManyStreams(t *testing.T) {
	o := newOffice(t)
	var records []source.Record
	for i := range 200 {
		r := says(fmt.Sprint(i), []string{"Ana", "陳大文", "João"}[i%3], fmt.Sprintf("message %d %s", i, strings.Repeat("文 ", i)))
		r.Stream = fmt.Sprint("C", i%7)
		records = append(records, r)
	}
	seqs := o.bring("acme", records...)
	told := 0
	c := o.open("many", seqs...)
	result, err := Build(o.ctx, o.Ledger, o.ana, o.request(c), func(done, of int) {
		if told++; done != told || done > of {
			t.Errorf("progress %d of %d after %d", done, of, told)
		}
	})
	must(t, err)
	p := o.read(result)
	if p.Cover.Records != 200 || len(p.Cover.Streams) != 7 || told < 200 {
		t.Errorf("records %d, streams %d, told %d", p.Cover.Records, len(p.Cover.Streams), told)
	}
	some := o.open("some", seqs[0], seqs[3], seqs[14])
	p = o.build(o.request(some))
	if !slices.Contains(p.Cover.Claims, "claim.holes") {
		t.Errorf("claims %v of a conversation with a hole", p.Cover.Claims)
	}
}

func TestRefusalsBeforeAnythingIsRecorded(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", says("1", "Chan", "first"), says("2", "Ana", "second"))
	for _, name := range []string{"", "  ", "12", strings.Repeat("x", maxName+1), "a\nb", "\xff"} {
		_, err := OpenCase(o.ctx, o.Ledger, o.ana, name)
		want(t, err, guia.Invalid, "evidence.case_name")
	}
	c := o.open("Café", seqs[0])
	_, err := OpenCase(o.ctx, o.Ledger, o.ana, "cafe")
	want(t, err, guia.Conflict, "evidence.case_exists")
	_, err = Add(o.ctx, o.Ledger, o.ana, c, nil)
	want(t, err, guia.Invalid, "evidence.nothing_to_add")
	_, err = Add(o.ctx, o.Ledger, o.ana, c, []guia.Seq{o.Ledger.Size()})
	want(t, err, guia.NotFound, "ledger.no_entry")
	_, err = Add(o.ctx, o.Ledger, o.ana, Case{ID: guia.NewRecordID()}, seqs)
	want(t, err, guia.NotFound, "evidence.no_case")
	if n, err := Add(o.ctx, o.Ledger, o.ana, c, seqs[:1]); n != 0 || err != nil {
		t.Errorf("added what is there: %d, %v", n, err)
	}
	_, err = FindCase(o.ctx, o.Ledger, o.ana, "nothing")
	want(t, err, guia.NotFound, "evidence.no_case")
	for _, known := range []string{"1", "#1", "CAFÉ", " cafe "} {
		if got, err := FindCase(o.ctx, o.Ledger, o.ana, known); err != nil || got.ID != c.ID || got.Items != 1 || got.Name != "Café" || got.By != o.ana.User {
			t.Errorf("%q: %+v, %v", known, got, err)
		}
	}
	empty, err := OpenCase(o.ctx, o.Ledger, o.ana, "empty")
	must(t, err)
	size := o.Ledger.Size()
	build := func(change func(*BundleRequest), kind guia.Kind, key string) {
		t.Helper()
		req := o.request(c)
		change(&req)
		_, err := Build(o.ctx, o.Ledger, o.ana, req, nil)
		want(t, err, kind, key)
	}
	build(func(r *BundleRequest) { r.Case = empty }, guia.Invalid, "evidence.case_empty")
	build(func(r *BundleRequest) { r.Case.ID = guia.NewRecordID() }, guia.NotFound, "evidence.no_case")
	build(func(r *BundleRequest) { r.Exhibits = []guia.Seq{seqs[1]} }, guia.Invalid, "evidence.no_exhibit")
	build(func(r *BundleRequest) { r.Out = filepath.Dir(r.Out) }, guia.Conflict, "evidence.out_exists")
	build(func(r *BundleRequest) { r.Since = []byte("nothing") }, guia.Invalid, "evidence.since_foreign")
	build(func(r *BundleRequest) { r.Since = newOffice(t).checkpoint() }, guia.Invalid, "evidence.since_foreign")
	build(func(r *BundleRequest) { r.Redact, _ = ParseRedaction([]string{"person=nobody"}) }, guia.Invalid, "evidence.redact_nobody")
	build(func(r *BundleRequest) { r.Redact, _ = ParseRedaction([]string{"field=text.html"}) }, guia.Invalid, "evidence.redact_nothing")
	if o.Ledger.Size() != size+1 { // that somebody was looked for
		t.Errorf("refusals recorded %d events", o.Ledger.Size()-size)
	}
}

// A checkpoint that the log's own key signed over another history is found: this is how a rollback shows.
func TestACheckpointOfAnotherHistoryIsRefused(t *testing.T) {
	o := newOffice(t)
	c := o.open("case", o.bring("acme", says("1", "Chan", "first"))...)
	for _, lie := range []proof.Checkpoint{
		{Origin: o.Ledger.Origin(), Size: 2, Root: proof.LeafHash([]byte("another history"))},
		{Origin: o.Ledger.Origin(), Size: 1000, Root: proof.LeafHash([]byte("a longer history"))},
	} {
		skey, _, err := o.Keys.Secret(o.ctx, "log.1")
		must(t, err)
		signer, err := proof.NewSigner(string(skey))
		must(t, err)
		req := o.request(c)
		req.Since, err = proof.SignCheckpoint(lie, signer)
		must(t, err)
		_, err = Build(o.ctx, o.Ledger, o.ana, req, nil)
		want(t, err, guia.Damaged, "evidence.since_differs")
	}
}

func (o *office) checkpoint() []byte {
	o.Helper()
	note, err := o.Ledger.Checkpoint(o.ctx)
	must(o.TB, err)
	return note
}

func TestWhoMaySeeLessGetsLessAndTheAttemptIsRecorded(t *testing.T) {
	o := newOffice(t)
	mine := o.bring("acme", says("1", "Chan", "of acme"))
	theirs := o.bring("other", says("2", "Chan", "of another company"), says("3", "Wong", "of another company too"))
	c := o.open("both", mine[0], theirs[0], theirs[1])
	rui := o.hire("rui", permit.Grant{Role: permit.Officer, Scope: "entity:acme"})
	wong := o.hire("wong", permit.Grant{Role: permit.Officer, Scope: "person:" + guia.PersonID(o.Vault.PersonOwner("slack", "U-Wong")).String()})
	none := o.hire("none", permit.Grant{Role: permit.Operator, Scope: permit.Everything})

	for _, w := range []struct {
		actor guia.Actor
		want  []guia.Seq
	}{{o.ana, []guia.Seq{mine[0], theirs[0], theirs[1]}}, {rui, mine}, {wong, theirs[1:]}} {
		got, err := Items(o.ctx, o.Ledger, w.actor, c)
		must(t, err)
		if !slices.Equal(got, w.want) {
			t.Errorf("%s sees %v, want %v", w.actor.Login, got, w.want)
		}
		if cases, err := Cases(o.ctx, o.Ledger, w.actor); err != nil || len(cases) != 1 || cases[0].Items != len(w.want) {
			t.Errorf("%s: %+v, %v", w.actor.Login, cases, err)
		}
	}
	_, err := Items(o.ctx, o.Ledger, none, c)
	if guia.KindOf(err) != guia.Denied {
		t.Errorf("an operator reads a case: %v", err)
	}
	hidden := o.open("hidden", theirs[0])
	if cases, err := Cases(o.ctx, o.Ledger, rui); err != nil || len(cases) != 1 {
		t.Errorf("rui sees %+v, %v", cases, err)
	}
	_, err = FindCase(o.ctx, o.Ledger, rui, "hidden")
	want(t, err, guia.NotFound, "evidence.no_case")

	_, err = Add(o.ctx, o.Ledger, rui, c, []guia.Seq{mine[0], theirs[0]})
	want(t, err, guia.Denied, "evidence.hidden")
	o.lastIs(guia.ActRefused, fmt.Sprint(theirs[0]))
	if items, _ := Items(o.ctx, o.Ledger, o.ana, hidden); len(items) != 1 {
		t.Errorf("a refused Add changed the case: %v", items)
	}
	req := o.request(c)
	_, err = Build(o.ctx, o.Ledger, rui, req, nil)
	want(t, err, guia.Denied, "evidence.hidden")
	o.lastIs(guia.ActRefused, fmt.Sprintf("%d-%d", theirs[0], theirs[1]))
	_, err = Plan(o.ctx, o.Ledger, rui, o.request(c))
	want(t, err, guia.Denied, "evidence.hidden")
	if _, err := os.Stat(req.Out); err == nil {
		t.Error("a refused bundle was written")
	}
	own, err := OpenCase(o.ctx, o.Ledger, rui, "mine")
	must(t, err)
	if n, err := Add(o.ctx, o.Ledger, rui, own, mine); n != 1 || err != nil {
		t.Errorf("added %d, %v", n, err)
	}
	result, err := Build(o.ctx, o.Ledger, rui, o.request(own), nil)
	must(t, err)
	o.read(result)
}

// lastIs demands what the newest event is and which places it names.
func (o *office) lastIs(kind guia.Type, seqs string) {
	o.Helper()
	e, err := o.Ledger.Event(o.ctx, o.Ledger.Size()-1)
	must(o.TB, err)
	if e.Type != kind || e.Fields.Get("seqs") != seqs {
		o.Errorf("the newest event is %s with %q, want %s with %q", e.Type, e.Fields.Get("seqs"), kind, seqs)
	}
}

func TestEveryIntentHasItsOutcome(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", says("1", "Chan", "first"))
	c := o.open("case", seqs...)
	open := func() int {
		t.Helper()
		intents, err := Unfinished(o.ctx, o.Ledger)
		must(t, err)
		return len(intents)
	}
	broken := errors.New("the key is locked")
	req := o.request(c)
	restore := o.signWith(func([]byte) ([]byte, error) { return nil, broken })
	_, err := Build(o.ctx, o.Ledger, o.ana, req, nil)
	restore()
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	o.failed(req.Out)
	req = o.request(c)
	req.Out = filepath.Join(filepath.Dir(req.Out), "missing", "case.asice")
	_, err = Build(o.ctx, o.Ledger, o.ana, req, nil)
	want(t, err, guia.Blocked, "evidence.out_unwritable")
	o.failed(req.Out)
	req = o.request(c)
	ctx, cancel := context.WithCancel(o.ctx)
	_, err = Build(ctx, o.Ledger, o.ana, req, func(int, int) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	o.failed(req.Out)
	if open() != 0 {
		t.Error("an intent has no outcome")
	}
	req = o.request(c)
	_, err = Build(o.ctx, o.Ledger, o.ana, req, func(int, int) {
		if open() != 1 {
			t.Error("the intent is not durable while the file is written")
		}
		if _, err := os.Stat(req.Out); err == nil {
			t.Error("the file has its name before it is whole")
		}
	})
	must(t, err)
	b, err := prepare(o.ctx, o.Ledger, o.ana, o.request(c))
	must(t, err)
	must(t, b.start(o.ctx)) // and the process dies
	intents, err := Unfinished(o.ctx, o.Ledger)
	must(t, err)
	if len(intents) != 1 || intents[0].Started != b.started || intents[0].Case != c.scope() || intents[0].By != o.ana.User {
		t.Errorf("unfinished %+v", intents)
	}
	if p := o.build(o.request(c)); strings.Count(p.view(), lang.Text(lang.English, "view.no_outcome")) != 1 {
		t.Error("the custody does not tell of the bundle without outcome")
	}
}

// What somebody puts under the name while the bundle is being written stays.
func TestABundleReplacesNothing(t *testing.T) {
	o := newOffice(t)
	c := o.open("case", o.bring("acme", says("1", "Chan", "first"))...)
	req := o.request(c)
	before := testOnlyBeforeCommit
	testOnlyBeforeCommit = func() { must(t, os.WriteFile(req.Out, []byte("somebody else's"), 0o600)) }
	_, err := Build(o.ctx, o.Ledger, o.ana, req, nil)
	testOnlyBeforeCommit = before
	want(t, err, guia.Conflict, "evidence.out_exists")
	if content, err := os.ReadFile(req.Out); string(content) != "somebody else's" {
		t.Errorf("the file holds %.20q, %v", content, err)
	}
	must(t, os.Remove(req.Out))
	o.failed(req.Out)
}

// failed demands that the newest event says so and that nothing is left on disk.
func (o *office) failed(out string) {
	o.Helper()
	e, err := o.Ledger.Event(o.ctx, o.Ledger.Size()-1)
	must(o.TB, err)
	if e.Type != guia.BundleExported || e.Fields.Get("act.outcome") != "failed" || e.Fields.Bytes("digest") != nil {
		o.Errorf("the newest event is %s: %v", e.Type, e.Fields)
	}
	if left, _ := os.ReadDir(filepath.Dir(out)); len(left) != 0 {
		o.Errorf("left behind: %v", left)
	}
}

func TestARotatedKeyIsFollowedFromTheFirst(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", says("1", "Chan", "first"))
	c := o.open("case", seqs...)
	_, err := o.Ledger.RotateKey(o.ctx, o.ana, "")
	must(t, err)
	p := o.build(o.request(c))
	if p.Report.Rotations != 1 || p.Files["keys/rotation-1"] == nil || !strings.Contains(p.view(), lang.Text(lang.English, "view.act.log_key_rotated")) {
		t.Errorf("rotations %d", p.Report.Rotations)
	}
	old, err := o.Ledger.LogKeys(o.ctx)
	must(t, err)
	req := o.request(c)
	defer o.signWith(o.signAsStranger)()
	_, err = Build(o.ctx, o.Ledger, o.ana, req, nil)
	want(t, err, guia.Conflict, "evidence.key_changed")
	if p.Key == old[0].VKey {
		t.Error("the result names the old key")
	}
}

func TestErasedSlotsAreShownAsErasedAndStillProven(t *testing.T) {
	o := newOffice(t)
	seqs := o.bring("acme", attach(says("1", "Chan", "the secret word is lighthouse"), "a.txt", "lighthouse too"), says("2", "Ana", "what stays"))
	c := o.open("case", seqs...)
	before := o.build(o.request(c))
	o.forget("U-Chan", seqs...)
	p := o.build(o.request(c))
	if got := p.holds("lighthouse"); got != nil {
		t.Errorf("what was erased stands in %v", got)
	}
	if got := p.withheld(seqs[0], verify.Erased); !slices.Contains(got, "text.0000") || !slices.Contains(got, "sender.name") || !slices.Contains(got, "raw") || slices.Contains(got, "time") {
		t.Errorf("erased %v", got)
	}
	if !slices.Contains(p.Cover.Claims, "claim.erased") || p.Cover.Erased == 0 || p.Cover.Redacted != 0 || p.Cover.Files != 0 {
		t.Errorf("cover %+v", p.Cover)
	}
	if v := p.view(); !strings.Contains(v, `class="bar erased"`) || !strings.Contains(v, "what stays") {
		t.Error("the view does not show what is erased")
	}
	o.read(before.Result) // an earlier bundle still verifies
}
