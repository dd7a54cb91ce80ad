package intake_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/db"
	"guia/directory"
	"guia/guiatest"
	"guia/intake"
	"guia/ledger"
	"guia/source"
)

// export is what a source said at one moment: the records in order, two on a page.
type export struct {
	name    string
	records []source.Record
	breaks  bool // behind the first page
}

func (e *export) Name() guia.SourceName { return "mapped" }
func (e *export) Instance() string      { return e.name }
func (e *export) Close() error          { return nil }

func (e *export) Pull(_ context.Context, after source.Cursor) (source.Page, error) {
	n := len(after)
	if n > 0 && e.breaks {
		return source.Page{}, guia.Refuse(guia.Upstream, "x")
	}
	end := min(len(e.records), n+2)
	return source.Page{Records: e.records[n:end], Next: source.Cursor(strings.Repeat("x", end)), Done: end == len(e.records)}, nil
}

// saying is an export of messages: "1=text 2=text".
func saying(name, messages string) *export {
	e := &export{name: name}
	for m := range strings.FieldsSeq(messages) {
		key, text, _ := strings.Cut(m, "=")
		e.records = append(e.records, message(key, text))
	}
	return e
}

// told lists what is stored of message 1, in the order of the ledger, as types and texts.
func told(t *testing.T, d *guiatest.Directory) string {
	t.Helper()
	var all []string
	for seq := range d.Ledger.Size() {
		if e := event(t, d, seq); e.Fields.Get("source_key") == "1" {
			all = append(all, strings.TrimPrefix(string(e.Type), "message.")+":"+e.Text())
			if e.Type == guia.MessageEdited && e.Fields.Get("edit_of") != "1" {
				t.Errorf("event %d is an edit of %q", seq, e.Fields.Get("edit_of"))
			}
		}
	}
	return strings.Join(all, " ")
}

func TestAMessageEditedBackIsRecordedOnce(t *testing.T) {
	for _, c := range []struct {
		what    string
		exports string // name of an export, and what it says; "again" reads a known one from its beginning
		want    string
	}{
		{"there and back", "jan|1=a; feb|1=b; mar|1=a", "sent:a edited:b edited:a"},
		{"back and forth", "jan|1=a; feb|1=b; mar|1=a; apr|1=b; may|1=a", "sent:a edited:b edited:a edited:b edited:a"},
		{"nothing changed since", "jan|1=a; feb|1=b; mar|1=a; apr|1=a; may|1=a", "sent:a edited:b edited:a"},
		{"a third text between", "jan|1=a; feb|1=b; mar|1=c; apr|1=b", "sent:a edited:b edited:c edited:b"},
		{"all of them again", "jan|1=a; feb|1=b; mar|1=a; again mar|1=a; again feb|1=b; again jan|1=a; again mar|1=a", "sent:a edited:b edited:a"},
		{"one that told nothing new, again", "jan|1=a; same|1=a; feb|1=b; again same|1=a", "sent:a edited:b"},
		{"then on", "jan|1=a; feb|1=b; mar|1=a; again feb|1=b; apr|1=b", "sent:a edited:b edited:a edited:b"},
		{"several in one export", "jan|1=a 1=b 1=a 1=b", "sent:a edited:b"},
		{"several in every export", "jan|1=a 2=x 1=b; feb|1=a 2=x 1=b; mar|1=b 2=x 1=a", "sent:a edited:b"},
		{"several in exports that grow", "jan|1=a; feb|1=a 1=b; mar|1=a 1=b 1=c; apr|1=a 1=b 1=c; may|1=c 1=b 1=a", "sent:a edited:b edited:a edited:c"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := guiatest.New(t)
			for line := range strings.SplitSeq(c.exports, "; ") {
				name, messages, _ := strings.Cut(line, "|")
				name, again := strings.CutPrefix(name, "again ")
				before := d.Ledger.Size()
				at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), saying(name, messages), "", again, nil)
				if err != nil || !at.Done {
					t.Fatalf("%s: %+v, %v", line, at, err)
				}
				if stored := d.Ledger.Size() - before - 2; guia.Seq(at.Counts.New) != stored || again && stored != 0 {
					t.Errorf("%s: %+v, %d stored", line, at.Counts, stored)
				}
			}
			if got := told(t, d); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestReadingAgainThatWasInterruptedBringsNothingBack: that the export was known is remembered with the cursor.
func TestReadingAgainThatWasInterruptedBringsNothingBack(t *testing.T) {
	d := guiatest.New(t)
	jan, feb := saying("jan", "3=x 4=x 1=a"), saying("feb", "1=b")
	for _, e := range []*export{jan, feb} {
		if _, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), e, "", false, nil); err != nil {
			t.Fatal(err)
		}
	}
	jan.breaks = true
	if at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), jan, "", true, nil); guia.KindOf(err) != guia.Upstream {
		t.Fatalf("%+v, %v", at, err)
	}
	d.Reopen()
	jan.breaks = false
	at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), jan, "", false, nil)
	if err != nil || at.Counts != (intake.Counts{Known: 3}) {
		t.Errorf("%+v, %v", at.Counts, err)
	}
	if got := told(t, d); got != "sent:a edited:b" {
		t.Errorf("got %s", got)
	}
}

// forgetful is an export whose connector once does not know the place where it was interrupted.
type forgetful struct {
	*export
	refused bool
}

func (f *forgetful) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	if after != "" && !f.refused {
		f.refused = true
		return source.Page{}, source.ErrCursor
	}
	return f.export.Pull(ctx, after)
}

// TestStartingOverBringsNothingBack: what the export told before it was interrupted was known when another one told of an edit.
func TestStartingOverBringsNothingBack(t *testing.T) {
	d := guiatest.New(t)
	jan := saying("jan", "1=a 2=x 3=y 4=z 5=z")
	jan.breaks = true
	if at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), jan, "", false, nil); guia.KindOf(err) != guia.Upstream {
		t.Fatalf("%+v, %v", at, err)
	}
	if _, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), saying("feb", "1=b"), "", false, nil); err != nil {
		t.Fatal(err)
	}
	jan.breaks = false
	at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), &forgetful{export: jan}, "", false, nil)
	if err != nil || at.Counts != (intake.Counts{New: 5, Known: 2}) {
		t.Errorf("%+v, %v", at.Counts, err)
	}
	if _, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), saying("mar", "1=b"), "", false, nil); err != nil {
		t.Fatal(err)
	}
	if got := told(t, d); got != "sent:a edited:b" {
		t.Errorf("got %s", got)
	}
}

// TestADepartmentHadBeforeIsKeptOnceMore: what holds for a message holds for every record with a key.
func TestADepartmentHadBeforeIsKeptOnceMore(t *testing.T) {
	d := guiatest.New(t)
	var got []string
	for i, department := range []string{"Sales", "Legal", "Legal", "Sales", "Sales"} {
		person := source.Record{
			Key: "u1", Type: guia.PersonSeen, Stream: "people", Sender: source.Person{ID: "u1", Name: "Chan", Department: department}, Raw: []byte(department),
		}
		e := &export{name: fmt.Sprint("directory ", i), records: []source.Record{person}}
		at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), e, "", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(department, at.Counts.New))
	}
	if s := strings.Join(got, " "); s != "Sales1 Legal1 Legal0 Sales1 Sales0" {
		t.Errorf("got %s", s)
	}
}

// rows is an export of a table: "1=a3 2=a4" are a row with key, text and day in March. A third letter is the bytes as received, else all have
// the same.
func rows(name string, kind guia.Type, table string) *export {
	e := &export{name: name}
	for row := range strings.FieldsSeq(table) {
		key, said, _ := strings.Cut(row, "=")
		r := source.Record{Key: key, Type: kind, Stream: "clock-ins", Sender: source.Person{ID: "u1", Name: "Chan"}, Text: said[:1], Raw: []byte(said[2:]), RawType: "text/csv"}
		r.Time, r.HasTime = guia.Moment{Time: time.Date(2026, 3, int(said[1]-'0'), 9, 0, 0, 0, time.UTC), Precision: guia.Minute}, true
		r.TimeBasis = "source"
		e.records = append(e.records, r)
	}
	return e
}

// toldTimes lists what is stored of row 1, in the order of the ledger, as texts and days, and which one is known as the latest.
func toldTimes(t *testing.T, d *guiatest.Directory) string {
	t.Helper()
	all, latest := "", guia.Seq(0)
	for seq := range d.Ledger.Size() {
		e := event(t, d, seq)
		if e.Fields.Get("source_key") != "1" {
			continue
		}
		var err error
		if latest, err = d.Intake.Latest(t.Context(), &e); err != nil {
			t.Fatal(err)
		}
		all += e.Text() + e.Fields.Get("time")[9:10] + " "
	}
	e := event(t, d, latest)
	return all + "now " + e.Text() + e.Fields.Get("time")[9:10]
}

// TestACorrectedTimeIsANewReading: the mapping that read the times of a table was wrong, or a row came with another time. That is an edit of a
// row like another content.
func TestACorrectedTimeIsANewReading(t *testing.T) {
	for _, c := range []struct {
		what    string
		exports string
		want    string
	}{
		{"corrected", "jan|1=a3; feb|1=a4; mar|1=a4", "a3 a4 now a4"},
		{"there and back", "jan|1=a3; feb|1=a4; mar|1=a3; apr|1=a3", "a3 a4 a3 now a3"},
		{"back and forth", "jan|1=a3; feb|1=a4; mar|1=a3; apr|1=a4", "a3 a4 a3 a4 now a4"},
		{"of a later text", "jan|1=a3; feb|1=b3; mar|1=b6; apr|1=b6", "a3 b3 b6 now b6"},
		{"of a text that came back", "jan|1=a3; feb|1=b3; mar|1=a3; apr|1=a6; may|1=b3", "a3 b3 a3 a6 b3 now b3"},
		{"text and time", "jan|1=a3; feb|1=b4; mar|1=a4; apr|1=a4", "a3 b4 a4 now a4"},
		{"then another text at that time", "jan|1=a3; feb|1=a4; mar|1=b4; apr|1=b3; may|1=a3", "a3 a4 b4 b3 a3 now a3"},
		{"all of them again", "jan|1=a3; feb|1=a4; again jan|1=a3; again feb|1=a4; again jan|1=a3", "a3 a4 now a4"},
		{"rows of one key", "jan|1=a3 1=a4 1=a5; again jan|1=a3 1=a4 1=a5; feb|1=a5 1=a4 1=a3", "a3 a4 a5 now a5"},
		{"rows of one key behind another row", "jan|2=a3 1=a3 1=a4 1=a5; again jan|2=a3 1=a3 1=a4 1=a5; feb|1=a5 1=a4 1=a3", "a3 a4 a5 now a5"},
		{"rows of one key, times of two texts", "jan|1=a3 1=b3 1=a4 1=b4 1=a3 1=b4", "a3 b3 a4 b4 now b4"},
		{"rows of one key that grow", "jan|1=a3; feb|1=a3 1=a4; mar|1=a3 1=a4 1=a5; apr|1=a3 1=a4 1=a5", "a3 a4 a3 a5 now a5"}, // as with texts
	} {
		t.Run(c.what, func(t *testing.T) {
			d := guiatest.New(t) // and checked at the end
			for line := range strings.SplitSeq(c.exports, "; ") {
				name, table, _ := strings.Cut(line, "|")
				name, again := strings.CutPrefix(name, "again ")
				at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), rows(name, guia.RecordKept, table), "", again, nil)
				if err != nil || again && at.Counts.New != 0 {
					t.Fatalf("%s: %+v, %v", line, at, err)
				}
			}
			if got := toldTimes(t, d); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestATimeOfAListingIsNoCorrection: of a directory entry the time counts when its bytes are the same.
func TestATimeOfAListingIsNoCorrection(t *testing.T) {
	d := guiatest.New(t)
	var got []string
	for i, said := range []string{"a3x", "a4x", "a5y", "a6y", "a3x", "a7y", "a3x"} {
		at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), rows(fmt.Sprint("listing ", i), guia.PersonSeen, "1="+said), "", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(said, at.Counts.New))
	}
	if s := strings.Join(got, " "); s != "a3x1 a4x1 a5y0 a6y0 a3x1 a7y0 a3x0" {
		t.Errorf("got %s", s)
	}
}

// TestRowsStartedOverAreKeptOnce: an import was interrupted between two rows of one key, and its place is not known any more.
func TestRowsStartedOverAreKeptOnce(t *testing.T) {
	d := guiatest.New(t)
	jan := rows("jan", guia.RecordKept, "1=a3 1=a4 1=a5 1=a3")
	jan.breaks = true
	if at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), jan, "", false, nil); guia.KindOf(err) != guia.Upstream {
		t.Fatalf("%+v, %v", at, err)
	}
	jan.breaks = false
	if _, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), &forgetful{export: jan}, "", false, nil); err != nil {
		t.Fatal(err)
	}
	if got := toldTimes(t, d); got != "a3 a4 a5 now a5" {
		t.Errorf("got %s", got)
	}
}

// TestTimesOfAnOldDirectory: before times were versions, the second row of a key with the same text was known, and a corrected time was stored
// beside a row of the key that did not tell of it. Such a directory checks clean, and the same import again adds nothing.
func TestTimesOfAnOldDirectory(t *testing.T) {
	since := intake.TimesTold(t)
	today := *since
	d := guiatest.New(t)
	bring := func(name, table string, again bool) int64 {
		t.Helper()
		at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), rows(name, guia.RecordKept, table), "", again, nil)
		if err != nil {
			t.Fatal(err)
		}
		return at.Counts.New
	}
	findings := func() int {
		t.Helper()
		r, err := d.Check(t.Context(), ledger.CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Findings)
	}
	bring("jan", "1=a3 2=a3", false)
	bring("feb", "2=a4", false)
	forget := "UPDATE intake_seen SET content = SUBSTR(content, 1, 8) WHERE LENGTH(content) > 8 AND seq = (SELECT MAX(seq) FROM intake_seen WHERE LENGTH(content) > 8)"
	if err := d.Main.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(forget); return err }); err != nil {
		t.Fatal(err)
	}
	if n := findings(); n != 1 {
		t.Errorf("%d findings in a directory of today whose row does not tell of the corrected time", n)
	}
	*since = time.Now().Add(time.Hour)
	if n := findings(); n != 0 {
		t.Errorf("%d findings in an old directory", n)
	}
	if n := bring("jan", "1=a3 1=a4 2=a3", true) + bring("feb", "2=a4", true); n != 0 {
		t.Errorf("the same imports again bring %d", n)
	}
	if n := bring("mar", "2=a4", false); n != 0 {
		t.Errorf("what was told in another import brings %d", n)
	}
	if n := bring("apr", "1=a4", false); n != 1 {
		t.Errorf("a corrected time of an old row brings %d", n)
	}
	*since = today
	if n := bring("jan", "1=a3 1=a4 1=a5 2=a3", true); n != 1 {
		t.Errorf("a row that was never told brings %d", n)
	}
	*since = time.Now().Add(time.Hour) // the directory is checked when the test ends
}

// TestAForgottenEditLeavesNoHashInTheRowOfTheFirst: the first record is of another class, and stays.
func TestAForgottenEditLeavesNoHashInTheRowOfTheFirst(t *testing.T) {
	d := guiatest.New(t)
	kept, dropped := guiatest.Feed(), guiatest.Feed()
	dropped.Class = "short"
	for _, c := range []struct {
		feed   intake.Feed
		export *export
	}{{kept, saying("jan", "1=a")}, {dropped, saying("feb", "1=b")}} {
		if _, err := d.Intake.Import(t.Context(), d.Owner, c.feed, c.export, "", false, nil); err != nil {
			t.Fatal(err)
		}
	}
	longest := func() (n int) {
		t.Helper()
		if err := d.Main.QueryRow(t.Context(), "SELECT MAX(LENGTH(content)) FROM intake_seen").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if longest() == 8 {
		t.Fatal("what was told last is not remembered: the test tests nothing")
	}
	gone, err := d.Forget(t.Context(), d.Owner, "", []directory.Subject{{Source: "mapped", Key: "u1", Classes: []string{"short"}}}, nil)
	if err != nil || gone.Events != 1 {
		t.Fatalf("%+v, %v", gone, err)
	}
	if n := longest(); n != 8 {
		t.Errorf("a row tells %d bytes: the digest of the first alone has 8", n)
	}
	if got := told(t, d); got != "sent:a" {
		t.Errorf("got %s", got)
	}
}

// TestForgettingRefusesADamagedTable: the key of a row was cut.
func TestForgettingRefusesADamagedTable(t *testing.T) {
	d := guiatest.New(t)
	if _, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), saying("jan", "1=a 2=b"), "", false, nil); err != nil {
		t.Fatal(err)
	}
	damage := func(query string) {
		t.Helper()
		if err := d.Main.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
			t.Fatal(err)
		}
	}
	damage("INSERT INTO intake_seen (mac, seq, content) VALUES (X'0102030405', 1, X'00')")
	defer damage("DELETE FROM intake_seen WHERE LENGTH(mac) = 5") // the directory is checked when the test ends
	release := d.Intake.Hold()
	defer release()
	if f, err := d.Intake.PrepareForget(t.Context(), nil); guia.KindOf(err) != guia.Damaged {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestTheCheckKnowsThatAForgottenEditTookItsRowAlong: another edit that is kept says the same, and stood behind that row.
func TestTheCheckKnowsThatAForgottenEditTookItsRowAlong(t *testing.T) {
	d := guiatest.New(t)
	kept, dropped := guiatest.Feed(), guiatest.Feed()
	dropped.Class = "short"
	tell := func(f intake.Feed, name, messages string) {
		t.Helper()
		if _, err := d.Intake.Import(t.Context(), d.Owner, f, saying(name, messages), "", false, nil); err != nil {
			t.Fatal(err)
		}
	}
	tell(kept, "jan", "1=a 2=a")
	tell(dropped, "feb", "1=b")
	tell(kept, "mar", "1=a")
	tell(kept, "apr", "1=b 2=b")
	gone, err := d.Forget(t.Context(), d.Owner, "", []directory.Subject{{Source: "mapped", Key: "u1", Classes: []string{"short"}}}, nil)
	if err != nil || gone.Events != 1 {
		t.Fatalf("%+v, %v", gone, err)
	}
	findings := func() int {
		t.Helper()
		r, err := d.Check(t.Context(), ledger.CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Findings)
	}
	if n := findings(); n != 0 {
		t.Errorf("%d findings after a lawful erasure", n)
	}
	// The row of message 2's edit is gone for no such reason.
	other := d.Ledger.Size() - 1
	for event(t, d, other).Fields.Get("edit_of") != "2" {
		other--
	}
	var key, content []byte
	if err := d.Main.QueryRow(t.Context(), "SELECT mac, content FROM intake_seen WHERE seq = ?", uint64(other)).Scan(&key, &content); err != nil {
		t.Fatal(err)
	}
	write := func(query string, args ...any) {
		t.Helper()
		if err := d.Main.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	write("DELETE FROM intake_seen WHERE mac = ?", key)
	if n := findings(); n != 1 {
		t.Errorf("%d findings after a row was deleted, want 1", n)
	}
	write("INSERT INTO intake_seen (mac, seq, content) VALUES (?, ?, ?)", key, uint64(other), content)
	if got := told(t, d); got != "sent:a edited:a edited:b" {
		t.Errorf("got %s", got)
	}
	tell(kept, "may", "1=b 1=c")
	if got := told(t, d); got != "sent:a edited:a edited:b" {
		t.Errorf("what was forgotten came back: %s", got)
	}
}
