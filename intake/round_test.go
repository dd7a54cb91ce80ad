package intake_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/guiatest"
	"guia/intake"
	"guia/permit"
	"guia/source"
)

// living is a source to which records come. Its cursor is how many were told; a round ends at what there is.
type living struct {
	records []source.Record
	fails   int // the page, counted over all calls, that is not answered; 0: none
	pages   int
}

func (l *living) Name() guia.SourceName { return "slack" }
func (l *living) Instance() string      { return "living" }
func (l *living) Close() error          { return nil }

func (l *living) Pull(_ context.Context, after source.Cursor) (source.Page, error) {
	if l.pages++; l.pages == l.fails {
		return source.Page{}, errors.New("gone away")
	}
	at := 0
	if after != "" {
		if _, err := fmt.Sscanf(string(after), "place %d", &at); err != nil {
			return source.Page{}, source.RefuseCursor()
		}
	}
	to := min(at+2, len(l.records))
	p := source.Page{Records: l.records[at:to], Next: source.Cursor(fmt.Sprintf("place %d", to)), Done: to == len(l.records)}
	if p.Done {
		p.From, p.Until = noon, noon.Add(time.Hour)
	}
	return p, nil
}

func (l *living) say(words ...string) {
	for _, w := range words {
		l.records = append(l.records, message(fmt.Sprint(len(l.records)), w+" and enough words to be a message of its own"))
	}
}

// imports counts the starts and ends, and returns the last of each.
func imports(t *testing.T, d *guiatest.Directory) (starts, ends int, start, end guia.Event) {
	t.Helper()
	seqs, err := d.Ledger.OfType(t.Context(), 0, d.Ledger.Size(), guia.ImportStarted, guia.ImportFinished)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range seqs {
		if e := event(t, d, seq); e.Type == guia.ImportStarted {
			starts, start = starts+1, e
		} else {
			ends, end = ends+1, e
		}
	}
	return starts, ends, start, end
}

func TestRoundsGoOnWhereTheLastOneEnded(t *testing.T) {
	d := guiatest.New(t)
	l := &living{}
	l.say("one", "two", "three")
	round := func() intake.Progress {
		t.Helper()
		at, err := d.Intake.Round(t.Context(), d.Owner, "house", "talk", feed("slack", ""), l, nil)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := round(); at.Counts.New != 3 || !at.Done {
		t.Errorf("%+v", at)
	}
	l.say("four")
	if at := round(); at.Counts != (intake.Counts{New: 1}) { // and the three were not read again
		t.Errorf("%+v", at)
	}
	if at := round(); at.Counts != (intake.Counts{}) {
		t.Errorf("%+v", at)
	}
	starts, ends, start, end := imports(t, d)
	if starts != 3 || ends != 3 || start.Fields.Get("feed") != "talk" || start.Fields.Get("name") != "house" {
		t.Errorf("%d starts, %d ends, %v", starts, ends, start.Fields)
	}
	if end.Fields.Get("import") != start.Record.String() || end.Fields.Get("period.from") != "2026-03-01T12:00:00Z" || end.Fields.Get("period.until") != "2026-03-01T13:00:00Z" {
		t.Errorf("%v", end.Fields)
	}
}

func TestAnInterruptedRoundGoesOnWithTheSameImport(t *testing.T) {
	d := guiatest.New(t)
	l := &living{fails: 2}
	l.say("one", "two", "three", "four", "five")
	at, err := d.Intake.Round(t.Context(), d.Owner, "house", "talk", feed("slack", ""), l, nil)
	if err == nil || at.Counts.New != 2 {
		t.Fatalf("%+v, %v", at, err)
	}
	again, err := d.Intake.Round(t.Context(), d.Owner, "house", "talk", feed("slack", ""), l, nil)
	if err != nil || again.Counts.New != 5 || again.Import != at.Import || l.pages != 4 {
		t.Errorf("%+v, %d pages, %v", again, l.pages, err)
	}
	if starts, ends, _, _ := imports(t, d); starts != 1 || ends != 1 {
		t.Errorf("%d starts, %d ends", starts, ends)
	}
}

func TestARoundAtAPlaceThatIsNotKnownStoresNothingTwice(t *testing.T) {
	d := guiatest.New(t)
	l := &living{}
	l.say("one", "two", "three")
	f := feed("slack", l.Instance())
	if _, _, err := d.Intake.Accept(t.Context(), f, l.records[:2], intake.Progress{Cursor: "of another version", Done: true}); err != nil {
		t.Fatal(err)
	}
	at, err := d.Intake.Round(t.Context(), d.Owner, "house", "talk", f, l, nil)
	if err != nil || at.Counts.New != 1 || at.Counts.Known != 2 {
		t.Errorf("%+v, %v", at, err)
	}
}

func house() intake.Connection {
	return intake.Connection{Name: "house", Source: "slack", Entity: "Company Ltd.", Settings: []byte(`{"api":"https://example.mo"}`)}
}

func TestNothingIsOnBeforeItHasAPurposeAGroundAndAClass(t *testing.T) {
	d := guiatest.New(t)
	ctx := t.Context()
	if err := d.Intake.Connect(ctx, d.Owner, d.Keys, house(), []byte("the key of the house")); err != nil {
		t.Fatal(err)
	}
	full := intake.EnabledFeed{Name: "talk", Purpose: "proof", Ground: "contract", Class: "general"}
	for _, part := range []func(*intake.EnabledFeed){
		func(f *intake.EnabledFeed) { f.Purpose = "" }, func(f *intake.EnabledFeed) { f.Ground = " " }, func(f *intake.EnabledFeed) { f.Class = "" },
		func(f *intake.EnabledFeed) { f.Class = strings.Repeat("x", 65) },
	} {
		f := full
		part(&f)
		if err := d.Intake.EnableFeed(ctx, d.Owner, "house", f); guia.KindOf(err) != guia.Invalid {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if err := d.Intake.EnableFeed(ctx, d.Owner, "elsewhere", full); guia.KindOf(err) != guia.NotFound {
		t.Error(err)
	}
	if c, err := d.Intake.Connection(ctx, "house"); err != nil || len(c.Feeds) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := d.Intake.EnableFeed(ctx, d.Owner, "house", full); err != nil {
		t.Fatal(err)
	}
	d.Reopen()
	c, err := d.Intake.Connection(ctx, "house")
	if err != nil || len(c.Feeds) != 1 || c.Feeds[0] != full || c.Entity != "Company Ltd." {
		t.Errorf("%+v, %v", c, err)
	}
	e := event(t, d, d.Ledger.Size()-1)
	for name, want := range map[string]string{"name": "house", "feed": "talk", "feed.purpose": "proof", "feed.ground": "contract", "feed.class": "general", "act": "source.manage"} {
		if e.Type != guia.FeedEnabled || e.Fields.Get(name) != want {
			t.Errorf("%s: %s is %q", e.Type, name, e.Fields.Get(name))
		}
	}
	if secret, err := d.Intake.Secret(ctx, d.Keys, "house"); err != nil || string(secret) != "the key of the house" {
		t.Errorf("%q, %v", secret, err)
	}
	if err := d.Intake.Disconnect(ctx, d.Owner, d.Keys, "house"); err != nil {
		t.Fatal(err)
	}
	if secret, err := d.Intake.Secret(ctx, d.Keys, "house"); err != nil || secret != nil {
		t.Errorf("%q, %v", secret, err)
	}
	if err := d.Intake.DisableFeed(ctx, d.Owner, "house", "talk"); guia.KindOf(err) != guia.NotFound {
		t.Error(err)
	}
	if err := d.Intake.Disconnect(ctx, d.Owner, d.Keys, "house"); guia.KindOf(err) != guia.NotFound {
		t.Error(err)
	}
}

func TestWhoMayNotManageSourcesChangesNoSecret(t *testing.T) {
	d := guiatest.New(t)
	ctx := t.Context()
	if err := d.Intake.Connect(ctx, d.Owner, d.Keys, house(), []byte("first")); err != nil {
		t.Fatal(err)
	}
	stranger := guia.Actor{Login: "stranger", Via: "asserted"}
	if err := d.Intake.Connect(ctx, stranger, d.Keys, house(), []byte("second")); guia.KindOf(err) != guia.Denied {
		t.Error(err)
	}
	other := house()
	other.Source = "mapped"
	if err := d.Intake.Connect(ctx, d.Owner, d.Keys, other, []byte("third")); guia.KindOf(err) != guia.Conflict {
		t.Error(err)
	}
	if secret, err := d.Intake.Secret(ctx, d.Keys, "house"); err != nil || string(secret) != "first" {
		t.Errorf("%q, %v", secret, err)
	}
	if e := event(t, d, d.Ledger.Size()-1); e.Type != guia.ActRefused || e.Fields.Get("act") != string(permit.ActSources) {
		t.Errorf("%s %v", e.Type, e.Fields)
	}
}

// Whoever can write the database could send the secret to another address, or turn a feed on.
func TestAConnectionThatSomebodyElseWroteIsRefused(t *testing.T) {
	for _, query := range []string{
		`UPDATE intake_connection SET settings = '{"api":"https://evil.example"}'`,
		`INSERT INTO intake_feed (connection, feed, purpose, ground, class) VALUES ('house', 'talk', 'x', 'y', 'z')`,
		`DELETE FROM ledger_state WHERE name = 'intake_connection'`,
	} {
		d := guiatest.New(t)
		if err := d.Intake.Connect(t.Context(), d.Owner, d.Keys, house(), nil); err != nil {
			t.Fatal(err)
		}
		change(t, d, query)
		if _, err := d.Intake.Connections(t.Context()); guia.KindOf(err) != guia.Damaged {
			t.Errorf("%s: %v", query, err)
		}
		d.Damaged()
	}
}

// A directory of an earlier version has the tables by a migration, and no hash of them.
func TestTablesThatAMigrationMadeAreWhole(t *testing.T) {
	d := guiatest.New(t)
	change(t, d, `DELETE FROM ledger_state WHERE name IN ('intake_connection', 'intake_feed', 'intake_usage')`)
	guiatest.MustCheck(t, d.Directory)
	if err := d.Intake.KeepUsage(t.Context(), "house", "2026-03", []byte(`{"month":"2026-03"}`)); err != nil {
		t.Fatal(err)
	}
	if usage, err := d.Intake.Usage(t.Context(), "house"); err != nil || string(usage) != `{"month":"2026-03"}` {
		t.Errorf("%s, %v", usage, err)
	}
	if err := d.Intake.Connect(t.Context(), d.Owner, d.Keys, house(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestDeliveriesAreStoredOnceAndBelongToOneImport(t *testing.T) {
	d := guiatest.New(t)
	l := &living{}
	l.say("one", "two", "three")
	f := feed("slack", "")
	f.Instance, f.Channel = "living/pushed", guia.ChannelPush
	receive := func(records ...source.Record) intake.Counts {
		t.Helper()
		n, err := d.Intake.Receive(t.Context(), d.Owner, "house", "talk", f, records)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := receive(l.records[0]); n != (intake.Counts{New: 1}) {
		t.Errorf("%+v", n)
	}
	if n := receive(l.records[:2]...); n != (intake.Counts{New: 1, Known: 1}) {
		t.Errorf("%+v", n)
	}
	starts, ends, start, _ := imports(t, d)
	if starts != 1 || ends != 0 || start.Fields.Get("feed") != "talk" || start.Fields.Get("name") != "house" {
		t.Errorf("%d starts, %d ends, %v", starts, ends, start.Fields)
	}
	// A round of the same facts begins at its own place, and knows what was delivered.
	at, err := d.Intake.Round(t.Context(), d.Owner, "house", "talk", feed("slack", ""), l, nil)
	if err != nil || at.Counts != (intake.Counts{New: 1, Known: 2}) {
		t.Errorf("%+v %v", at, err)
	}
	for range 2 { // the second time nothing is open
		if err := d.Intake.Received(t.Context(), d.Owner, f); err != nil {
			t.Fatal(err)
		}
	}
	starts, ends, _, end := imports(t, d)
	if starts != 2 || ends != 2 || end.Fields.Get("import") != start.Record.String() || end.Fields.Get("count.new") != "2" || end.Fields.Get("count.known") != "1" {
		t.Errorf("%d starts, %d ends, %v", starts, ends, end.Fields)
	}
	if n := receive(l.records[2]); n != (intake.Counts{Known: 1}) {
		t.Errorf("%+v", n)
	}
	if starts, _, _, _ := imports(t, d); starts != 3 {
		t.Errorf("%d starts", starts)
	}
	guiatest.MustCheck(t, d.Directory)
}

func TestHowFarWasDeliveredIsKept(t *testing.T) {
	d := guiatest.New(t)
	f := feed("slack", "")
	f.Instance = "living/pushed"
	if at, err := d.Intake.Until(t.Context(), f); err != nil || !at.IsZero() {
		t.Errorf("%v %v", at, err)
	}
	for _, want := range []time.Time{noon, noon.Add(1500 * time.Microsecond)} {
		if err := d.Intake.KeepUntil(t.Context(), f, want); err != nil {
			t.Fatal(err)
		}
		if at, err := d.Intake.Until(t.Context(), f); err != nil || !at.Equal(want) {
			t.Errorf("%v %v", at, err)
		}
	}
	guiatest.MustCheck(t, d.Directory)
}
