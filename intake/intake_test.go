package intake_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"guia"
	"guia/guiatest"
	"guia/intake"
	"guia/source"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func message(key, text string) source.Record {
	return source.Record{
		Key: key, Type: guia.MessageSent, Stream: "general", StreamName: "General", StreamKind: "channel",
		Time: guia.Moment{Time: noon, Precision: guia.Second}, HasTime: true, TimeOriginal: "noon", TimeZone: "UTC", TimeBasis: "source",
		Sender: source.Person{ID: "u1", Name: "Chan Tai Man"}, Text: text, Raw: []byte("raw " + text), RawType: "text/plain",
	}
}

func feed(source guia.SourceName, instance string) intake.Feed {
	f := guiatest.Feed()
	f.Source, f.Instance = source, instance
	return f
}

func accept(t testing.TB, d *guiatest.Directory, f intake.Feed, records ...source.Record) ([]guia.Seq, intake.Counts) {
	t.Helper()
	seqs, at, err := d.Intake.Accept(t.Context(), f, records, intake.Progress{})
	if err != nil {
		t.Fatal(err)
	}
	return seqs, at.Counts
}

func event(t testing.TB, d *guiatest.Directory, seq guia.Seq) guia.Event {
	t.Helper()
	e, err := d.Ledger.Event(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAPageIsStoredOnce(t *testing.T) {
	d := guiatest.New(t)
	f := feed("slack", "a")
	page := []source.Record{message("1", "the first message of all"), message("2", "the second"), message("1", "the first message of all")}
	seqs, counts := accept(t, d, f, page...)
	if len(seqs) != 2 || counts != (intake.Counts{New: 2, Known: 1}) {
		t.Errorf("first time: %v, %+v", seqs, counts)
	}
	for _, again := range []intake.Feed{f, feed("slack", "the same export under another name")} {
		if seqs, counts := accept(t, d, again, page...); len(seqs) != 0 || counts != (intake.Counts{Known: 3}) {
			t.Errorf("again: %v, %+v", seqs, counts)
		}
	}
	other := message("1", "the first message of all")
	other.Stream = "random"
	if _, counts := accept(t, d, f, other); counts.New != 1 {
		t.Errorf("the same key in another conversation: %+v", counts)
	}
	if _, counts := accept(t, d, f); counts != (intake.Counts{}) {
		t.Errorf("an empty page: %+v", counts)
	}
}

func TestAnotherContentUnderAKnownKeyIsAnEditOnce(t *testing.T) {
	d := guiatest.New(t)
	f := feed("slack", "a")
	accept(t, d, f, message("1", "one"))
	for _, c := range []struct {
		what   string
		change func(*source.Record)
		edited int64
	}{
		{"nothing", func(*source.Record) {}, 0},
		{"the text", func(r *source.Record) { r.Text = "two" }, 1},
		{"the same text again", func(r *source.Record) { r.Text = "two" }, 0},
		{"a third text", func(r *source.Record) { r.Text = "three" }, 1},
		{"the subject", func(r *source.Record) { r.Subject = "s" }, 1},
		{"the sender", func(r *source.Record) { r.Sender.ID = "u2" }, 1},
		{"the sender's name alone", func(r *source.Record) { r.Sender.Name = "Chan Siu Ming" }, 0},
		{"an attachment", func(r *source.Record) { r.Files = []source.File{{Name: "a.pdf", Missing: "gone"}} }, 1},
		{"its bytes", func(r *source.Record) { r.Files = []source.File{{Name: "a.pdf", Open: content("pdf")}} }, 0},
		{"another attachment", func(r *source.Record) { r.Files = []source.File{{Name: "b.pdf", Missing: "gone"}} }, 1},
	} {
		r := message("1", "one")
		c.change(&r)
		seqs, counts := accept(t, d, f, r)
		if counts.Edited != c.edited || counts.New != c.edited || counts.Known != 1-c.edited {
			t.Errorf("%s: %+v", c.what, counts)
		}
		for _, seq := range seqs {
			if e := event(t, d, seq); e.Type != guia.MessageEdited || e.Fields.Get("edit_of") != "1" || e.Fields.Get("source_key") != "1" {
				t.Errorf("%s: %s of %q", c.what, e.Type, e.Fields.Get("edit_of"))
			}
		}
	}
	// All in one page, with repetitions.
	if _, counts := accept(t, d, f, message("2", "a"), message("2", "b"), message("2", "b"), message("2", "a"), message("2", "c")); counts != (intake.Counts{New: 3, Edited: 2, Known: 2}) {
		t.Errorf("in one page: %+v", counts)
	}
	person := source.Record{Key: "u1", Type: guia.PersonSeen, Stream: "people", Sender: source.Person{ID: "u1", Name: "Chan", Department: "Sales"}, Raw: []byte("x")}
	accept(t, d, f, person)
	person.Sender.Department = "Legal"
	seqs, counts := accept(t, d, f, person)
	if counts.Edited != 1 || event(t, d, seqs[0]).Type != guia.PersonSeen {
		t.Errorf("another department: %+v", counts)
	}
}

func content(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func TestTheSameMessageFromAnotherSourceIsLinked(t *testing.T) {
	d := guiatest.New(t)
	long := "the contract of the flat in Rua da Praia is ready"
	seqs, _ := accept(t, d, feed("slack", "a"), message("1", long), message("2", long), message("3", "ok"))
	first := event(t, d, seqs[0])
	second := event(t, d, seqs[1])
	for _, c := range []struct {
		what   string
		f      intake.Feed
		change func(*source.Record)
		linked bool
	}{
		{"the same source", feed("slack", "a"), func(r *source.Record) { r.Key = "9" }, false},
		{"another source", feed("mbox", "b"), func(r *source.Record) {}, true},
		{"another instance", feed("slack", "c"), func(r *source.Record) { r.Key = "10" }, true},
		{"other white space", feed("mbox", "b"), func(r *source.Record) {
			r.Key = "2"
			r.Text = "the contract\r\n of the  flat in Rua da Praia is ready\n"
		}, true},
		{"another name of the sender", feed("mbox", "d"), func(r *source.Record) { r.Key = "3"; r.Sender.Name = "Ana" }, true},
		{"another sender", feed("mbox", "d"), func(r *source.Record) { r.Key = "13"; r.Sender = source.Person{ID: "u2", Name: "Ana"} }, false},
		{"another minute", feed("mbox", "b"), func(r *source.Record) { r.Key = "4"; r.Time.Time = noon.Add(time.Minute) }, false},
		{"a day alone", feed("mbox", "b"), func(r *source.Record) { r.Key = "5"; r.Time.Precision = guia.Day }, false},
		{"no time", feed("mbox", "b"), func(r *source.Record) { r.Key = "6"; r.HasTime = false }, false},
		{"another text", feed("mbox", "b"), func(r *source.Record) { r.Key = "7"; r.Text = long + "!" }, false},
		{"a short text, the same sender", feed("mbox", "b"), func(r *source.Record) { r.Key = "8"; r.Text = "ok"; r.Sender.Name = "CHAN tai man" }, true},
		{"a short text, another sender", feed("mbox", "b"), func(r *source.Record) { r.Key = "9"; r.Text = "ok"; r.Sender.Name = "Ana" }, false},
		{"a short text of nobody", feed("mbox", "b"), func(r *source.Record) { r.Key = "10"; r.Text = "yes"; r.Sender = source.Person{} }, false},
		{"another short text of nobody", feed("mapped", "c"), func(r *source.Record) { r.Key = "10"; r.Text = "yes"; r.Sender = source.Person{} }, false},
		{"a directory entry", feed("mbox", "b"), func(r *source.Record) { r.Key = "11"; r.Type = guia.PersonSeen }, false},
	} {
		r := message("1", long)
		c.change(&r)
		seqs, counts := accept(t, d, c.f, r)
		if len(seqs) != 1 || counts.Linked == 1 != c.linked {
			t.Errorf("%s: %+v", c.what, counts)
			continue
		}
		same := event(t, d, seqs[0]).Fields.Get("same_as")
		want := first.Record.String()
		if c.what == "other white space" { // b has told the first already
			want = second.Record.String()
		}
		if (same != "") != c.linked || c.linked && r.Text != "ok" && same != want {
			t.Errorf("%s: linked to %q, want %s", c.what, same, want)
		}
	}
}

func TestOddRecordsAreKeptAndMarked(t *testing.T) {
	d := guiatest.New(t)
	many := make([]string, 1500)
	for i := range many {
		many[i] = fmt.Sprintf("p%d@example.com", i)
	}
	files := make([]source.File, 1200)
	for i := range files {
		files[i] = source.File{Name: fmt.Sprintf("f%d", i), MediaType: "text/plain", Missing: "gone"}
	}
	for what, c := range map[string]struct {
		change func(*source.Record)
		mark   string
		see    func(guia.Fields) bool
	}{
		"no time":            {func(r *source.Record) { r.HasTime = false; r.TimeBasis = "none" }, "no-usable-time", func(f guia.Fields) bool { return f.Get("time") == "" }},
		"said by the source": {func(r *source.Record) { r.HasTime = false; r.Marks = []string{"no-usable-time"} }, "no-usable-time", func(f guia.Fields) bool { return f.Get("time") == "" }},
		"a year of five digits": {
			func(r *source.Record) { r.Time.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC) }, "no-usable-time",
			func(f guia.Fields) bool { return f.Get("time") == "" && f.Get("time.basis") == "none" },
		},
		"invalid UTF-8": {
			func(r *source.Record) { r.Text = "a\xffb"; r.Sender.Name = "\xfe"; r.HTML = "<b>\xff" }, "",
			func(f guia.Fields) bool { return f.Get("text.0000") == "a\uFFFDb" && f.Get("sender.name") == "\uFFFD" },
		},
		"many recipients": {
			func(r *source.Record) { r.Recipients = many }, "larger-than-limit",
			func(f guia.Fields) bool { return f.Get("recipient.1000") != "" && f.Get("recipient.1001") == "" },
		},
		"too many of everything": {
			func(r *source.Record) {
				r.Recipients, r.Members, r.Files, r.Text = many, many, files, strings.Repeat("x", 20000)
			}, "larger-than-limit",
			func(f guia.Fields) bool {
				return f.Get("member.1000") != "" && f.Get("file.0500.name") != "" && len(f) <= guia.MaxFields
			},
		},
		"a large raw record": {
			func(r *source.Record) { r.Raw = bytes.Repeat([]byte("x"), 65537) }, "",
			func(f guia.Fields) bool {
				return strings.HasSuffix(f.Get("raw.file"), " 65537") && f.Get("raw") == "" && f.Get("tier") == "confidential"
			},
		},
		"raw at the border": {
			func(r *source.Record) { r.Raw = bytes.Repeat([]byte("x"), 65536) }, "",
			func(f guia.Fields) bool {
				return f.Get("raw.file") == "" && len(f.Bytes("raw")) == 65536 && f.Get("tier") == "internal"
			},
		},
		"an enormous text": {
			func(r *source.Record) { r.Text = strings.Repeat("x", 17<<20) }, "larger-than-limit",
			func(f guia.Fields) bool { return f.Get("text.0000") == "" && f.Get("raw") != "" },
		},
		"an attachment that is there": {
			func(r *source.Record) { r.Files = []source.File{{Name: "a", Open: content("bytes")}} }, "",
			func(f guia.Fields) bool {
				return strings.HasSuffix(f.Get("file.0001"), " 5") && f.Get("tier") == "confidential" && f.Get("tier.basis") == "attachment-unread"
			},
		},
		"one that is not": {
			func(r *source.Record) { r.Files = []source.File{{Missing: "deleted"}, {Name: "b"}} }, "",
			func(f guia.Fields) bool {
				return f.Get("file.0001") == "" && f.Get("file.0001.missing") == "deleted" && f.Get("file.0001.name") == "?" && f.Get("file.0002.missing") != ""
			},
		},
		"no sender": {func(r *source.Record) { r.Sender = source.Person{}; r.Marks = []string{"no-sender"} }, "no-sender", func(f guia.Fields) bool { return f.Get("sender.key") == "" }},
		"a further field": {
			func(r *source.Record) { r.Extra.Set("valid.from", "2026-01-01"); r.Extra.Set("class", "other") }, "",
			func(f guia.Fields) bool { return f.Get("valid.from") == "2026-01-01" && f.Get("class") == "chat" },
		},
	} {
		r := message("key of "+what, "text of "+what)
		c.change(&r)
		given := slices.Clone(r.Marks)
		seqs, counts := accept(t, d, feed("slack", "a"), r)
		if len(seqs) != 1 || counts.Marked == 1 != (c.mark != "") {
			t.Errorf("%s: %+v", what, counts)
			continue
		}
		f := event(t, d, seqs[0]).Fields
		if f.Get("mark") != c.mark || !c.see(f) {
			t.Errorf("%s: marked %q, %d fields, tier %q", what, f.Get("mark"), len(f), f.Get("tier"))
		}
		if !slices.Equal(given, r.Marks) {
			t.Errorf("%s: the connector's record was changed", what)
		}
		if got, _ := guia.ParseType(string(r.Type)); got != guia.MessageSent {
			t.Errorf("%s: type %s", what, r.Type)
		}
	}
	gap := source.Record{Key: "gap", Type: guia.SourceGap, Stream: "general", Raw: []byte("{"), Marks: []string{"truncated-at-source"}}
	if _, counts := accept(t, d, feed("slack", "a"), gap); counts.Gaps != 1 || counts.Marked != 1 || counts.New != 1 {
		t.Errorf("a gap: %+v", counts)
	}
}

func TestWhatAConnectorMustNotDoStoresNothing(t *testing.T) {
	d := guiatest.New(t)
	before := d.Ledger.Size()
	for what, change := range map[string]func(*source.Record, *intake.Feed){
		"no key":              func(r *source.Record, _ *intake.Feed) { r.Key = "" },
		"no type":             func(r *source.Record, _ *intake.Feed) { r.Type = "" },
		"a type of one word":  func(r *source.Record, _ *intake.Feed) { r.Type = "message" },
		"an unknown field":    func(r *source.Record, _ *intake.Feed) { r.Extra.Set("Salary", "1") },
		"a file by hand":      func(r *source.Record, _ *intake.Feed) { r.Extra.Set("file.0009", "sha256:x 1") },
		"a chunk by hand":     func(r *source.Record, _ *intake.Feed) { r.Extra.Set("text.0005", "x") },
		"a line in a source":  func(_ *source.Record, f *intake.Feed) { f.Source = "slack\nrecord" },
		"an erasure":          func(r *source.Record, _ *intake.Feed) { r.Type = guia.KeysDestroyed },
		"a jump of our clock": func(r *source.Record, _ *intake.Feed) { r.Type = guia.ClockJumped },
		"somebody's search":   func(r *source.Record, _ *intake.Feed) { r.Type = guia.SearchMade },
		"Guia itself":         func(_ *source.Record, f *intake.Feed) { f.Source = guia.Own },
	} {
		r, f := message("1", "text"), feed("slack", "a")
		r.Origin = "Chan Tai Man/2026-03-01.json#1"
		change(&r, &f)
		_, at, err := d.Intake.Accept(t.Context(), f, []source.Record{message("0", "good"), r}, intake.Progress{Counts: intake.Counts{New: 7}})
		if err == nil || d.Ledger.Size() != before || at.Counts != (intake.Counts{New: 7}) {
			t.Errorf("%s: %v, %+v, %d events more", what, err, at.Counts, d.Ledger.Size()-before)
		}
		if err != nil && strings.Contains(err.Error(), "Chan") {
			t.Errorf("%s: names a person: %v", what, err)
		}
	}
}

func TestADamagedAttachmentIsGivenUpAndADiskErrorIsNot(t *testing.T) {
	d := guiatest.New(t)
	broken := func(cause error) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(cause))), nil
		}
	}
	for i, cause := range []error{io.ErrUnexpectedEOF, zip.ErrChecksum, errors.New("bad data")} {
		r := message(fmt.Sprint(i), "text")
		r.Files = []source.File{{Name: "good", Open: content("whole")}, {Name: "bad", Open: broken(cause)}, {Name: "also good", Open: content("also whole")}}
		for round := range 2 {
			seqs, counts := accept(t, d, feed("slack", "a"), r)
			if round == 1 {
				if counts.Known != 1 {
					t.Errorf("%v, again: %+v", cause, counts)
				}
				continue
			}
			f := event(t, d, seqs[0]).Fields
			if f.Get("file.0001") == "" || f.Get("file.0002") != "" || f.Get("file.0002.missing") != "damaged in the source" || f.Get("file.0003") == "" || f.Get("mark") != source.MarkTruncated || counts.Marked != 1 {
				t.Errorf("%v: %v, %+v", cause, f.Get("mark"), counts)
			}
		}
	}
	r := message("9", "text")
	r.Files = []source.File{{Name: "bad", Open: func() (io.ReadCloser, error) { return os.Open("no such file") }}}
	before := d.Ledger.Size()
	if _, _, err := d.Intake.Accept(t.Context(), feed("slack", "a"), []source.Record{r}, intake.Progress{}); !errors.Is(err, os.ErrNotExist) || d.Ledger.Size() != before {
		t.Errorf("an error of the system: %v", err)
	}
}

func TestTheCursorMovesWithItsRecordsOrNotAtAll(t *testing.T) {
	d := guiatest.New(t)
	f := feed("slack", "a")
	at := intake.Progress{Cursor: "page 1"}
	_, at, err := d.Intake.Accept(t.Context(), f, []source.Record{message("1", "one")}, at)
	if err != nil {
		t.Fatal(err)
	}
	stored := func() intake.Progress {
		t.Helper()
		p, err := d.Intake.Progress(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got := stored(); got != at || got.Counts.New != 1 || got.Cursor != "page 1" {
		t.Errorf("stored %+v, want %+v", got, at)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	next := at
	next.Cursor = "page 2"
	if _, got, err := d.Intake.Accept(ctx, f, []source.Record{message("2", "two")}, next); err == nil || got != next {
		t.Errorf("cancelled: %+v, %v", got, err)
	}
	if got := stored(); got != at {
		t.Errorf("after a failed page: %+v", got)
	}
	if got, err := d.Intake.Progress(t.Context(), feed("slack", "b")); got != (intake.Progress{}) || err != nil {
		t.Errorf("another instance: %+v, %v", got, err)
	}
}

// pages is a source of fixed pages that can break off.
type pages struct {
	all    [][]source.Record
	breaks int    // the number of the page that cannot be read, -1 for none
	places string // what stands before the number in a cursor; another version of a connector writes others
}

func (p *pages) Name() guia.SourceName { return "slack" }
func (p *pages) Instance() string      { return "pages" }
func (p *pages) Close() error          { return nil }

func (p *pages) Pull(_ context.Context, after source.Cursor) (source.Page, error) {
	var n int
	if after != "" {
		if _, err := fmt.Sscanf(string(after), p.places+"%d", &n); err != nil {
			return source.Page{}, source.RefuseCursor()
		}
	}
	if n == p.breaks {
		return source.Page{}, guia.Refuse(guia.Upstream, "x")
	}
	return source.Page{Records: p.all[n], Next: source.Cursor(fmt.Sprint(p.places, n+1)), Done: n == len(p.all)-1}, nil
}

func threePages() *pages {
	p := &pages{breaks: -1}
	for i := range 3 {
		var page []source.Record
		for j := range 10 {
			page = append(page, message(fmt.Sprintf("%d-%d", i, j), fmt.Sprintf("message %d of page %d, long enough", j, i)))
		}
		p.all = append(p.all, page)
	}
	return p
}

func TestAnInterruptedImportGoesOn(t *testing.T) {
	d := guiatest.New(t)
	p := threePages()
	p.breaks = 2
	at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), p, "", false, nil)
	if guia.KindOf(err) != guia.Upstream || at.Done || at.Counts.New != 20 || at.Cursor != "2" {
		t.Fatalf("%+v, %v", at, err)
	}
	d.Reopen()
	p.breaks = 0 // the first page must not be asked for again
	done, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), p, "", false, nil)
	if err != nil || !done.Done || done.Counts.New != 30 || done.Counts.Known != 0 || done.Import != at.Import {
		t.Fatalf("%+v, %v", done, err)
	}
	size := d.Ledger.Size()
	if again, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), p, "", false, nil); err != nil || again != done || d.Ledger.Size() != size {
		t.Errorf("after the end: %+v, %v", again, err)
	}
	p.breaks = -1
	if again, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), p, "", true, nil); err != nil || again.Counts != (intake.Counts{Known: 30}) || again.Import == done.Import {
		t.Errorf("from the beginning: %+v, %v", again, err)
	}
	var started, finished int
	for seq := range d.Ledger.Size() {
		e := event(t, d, seq)
		switch e.Type {
		case guia.ImportStarted:
			started++
		case guia.ImportFinished:
			if finished++; finished == 1 && (e.Fields.Get("count.new") != "30" || e.Fields.Get("import") != at.Import.String()) {
				t.Errorf("finished with %v", e.Fields)
			}
		case guia.MessageSent:
			if e.Fields.Get("import") != at.Import.String() {
				t.Errorf("event %d is of import %s", seq, e.Fields.Get("import"))
			}
		default:
		}
	}
	if started != 2 || finished != 2 {
		t.Errorf("%d started, %d finished", started, finished)
	}
}

// TestAPlaceThatIsNotKnownAnyMoreIsNoDeadEnd: a newer program may cut an input into other pages.
func TestAPlaceThatIsNotKnownAnyMoreIsNoDeadEnd(t *testing.T) {
	d := guiatest.New(t)
	p := threePages()
	p.breaks = 2
	at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), p, "", false, nil)
	if guia.KindOf(err) != guia.Upstream || at.Counts.New != 20 {
		t.Fatalf("%+v, %v", at, err)
	}
	p.breaks, p.places = -1, "page "
	done, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), p, "", false, nil)
	if err != nil || !done.Done || done.Import != at.Import || done.Counts != (intake.Counts{New: 30, Known: 20}) {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestWhoMayNotImportStoresNothing(t *testing.T) {
	d := guiatest.New(t)
	before := d.Ledger.Size()
	nobody := guia.Actor{User: guia.NewPersonID(), Login: "nobody", Via: "os-login"}
	if _, err := d.Intake.Import(t.Context(), nobody, guiatest.Feed(), threePages(), "", false, nil); guia.KindOf(err) != guia.Denied {
		t.Errorf("got %v", err)
	}
	if d.Ledger.Size() != before+1 || event(t, d, before).Type != guia.ActRefused {
		t.Errorf("%d events more", d.Ledger.Size()-before)
	}
	p := threePages()
	p.breaks = 1
	if _, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), p, "", false, nil); guia.KindOf(err) != guia.Upstream {
		t.Fatal(err)
	}
	before = d.Ledger.Size()
	p.breaks = -1
	if _, err := d.Intake.Import(t.Context(), nobody, guiatest.Feed(), p, "", false, nil); guia.KindOf(err) != guia.Denied || d.Ledger.Size() != before+1 {
		t.Errorf("going on with somebody else's import: %v", err)
	}
}

func TestTwoImportsAtOnceStoreEverythingOnce(t *testing.T) {
	d := guiatest.New(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), threePages(), "", false, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys := map[string]int{}
	for seq := range d.Ledger.Size() {
		if e := event(t, d, seq); e.Type == guia.MessageSent {
			keys[e.Fields.Get("source_key")]++
		}
	}
	for key, n := range keys {
		if n != 1 {
			t.Errorf("%s is stored %d times", key, n)
		}
	}
	if len(keys) != 30 {
		t.Errorf("%d messages", len(keys))
	}
}

// model is what intake promises, in memory: what is stored under which key, and what was said first by whom.
type model struct {
	stored map[string]map[string]bool // by source, conversation and key: contents; the first one is no edit
	said   map[string][]place         // by minute, text and, for short ones, sender
}

// place is one of the messages that say the same: who told it first, and which instances have told it.
type place struct {
	sender string
	by     map[string]bool
}

func (m *model) accept(f intake.Feed, page []source.Record) (c intake.Counts) {
	for _, r := range page {
		key := fmt.Sprint(f.Source, "|", r.Stream, "|", r.Key)
		if m.stored[key] == nil {
			m.stored[key] = map[string]bool{}
		}
		contents := m.stored[key]
		content := r.Time.String() + r.Text // an edit also when only the time is another
		if contents[content] {
			c.Known++
			continue
		}
		c.New++
		if len(contents) > 0 {
			c.Edited++
		} else {
			like := fmt.Sprint(r.Time.Time.Unix()/60, r.Text)
			if len(r.Text) < 24 {
				like += r.Sender.Name
			}
			free := func(p place) bool { return !p.by[f.Instance] && p.sender == r.Sender.Name }
			if i := slices.IndexFunc(m.said[like], free); i >= 0 {
				m.said[like][i].by[f.Instance] = true
				c.Linked++
			} else if len(m.said[like]) < 4 {
				m.said[like] = append(m.said[like], place{r.Sender.Name, map[string]bool{f.Instance: true}})
			}
		}
		contents[content] = true
	}
	return c
}

func TestRandomPagesAreCountedAsTheModelSays(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	d := guiatest.New(t)
	m := &model{map[string]map[string]bool{}, map[string][]place{}}
	feeds := []intake.Feed{feed("slack", "a"), feed("slack", "b"), feed("mbox", "c")}
	texts := []string{"ok", "no", "a text that is long enough to be alone", "another text that is long enough"}
	stored := guia.Seq(0)
	before := d.Ledger.Size()
	for round := range 60 {
		f := feeds[random.IntN(len(feeds))]
		page := make([]source.Record, random.IntN(12))
		for i := range page {
			r := message(fmt.Sprint(random.IntN(15)), texts[random.IntN(len(texts))])
			r.Stream = []string{"x", "y"}[random.IntN(2)]
			r.Time.Time = noon.Add(time.Duration(random.IntN(3)) * time.Minute)
			r.Sender = []source.Person{{Name: "Ana"}, {Name: "Bea"}}[random.IntN(2)]
			page[i] = r
		}
		want := m.accept(f, page)
		seqs, got := accept(t, d, f, page...)
		if got != want {
			t.Fatalf("seed %d, round %d: got %+v, want %+v", seed, round, got, want)
		}
		stored += guia.Seq(len(seqs))
		if random.IntN(20) == 0 {
			d.Reopen()
		}
	}
	if got := d.Ledger.Size() - before; got != stored {
		t.Errorf("%d events stored, %d told", got, stored)
	}
}

// TestTheFirstOfEqualTextsIsTheOneThatIsFound: of forty, some have no place, and none takes that of the first.
func TestTheFirstOfEqualTextsIsTheOneThatIsFound(t *testing.T) {
	d := guiatest.New(t)
	var page []source.Record
	for i := range 40 {
		page = append(page, message(fmt.Sprint(i), "the same long text from everybody"))
	}
	seqs, _ := accept(t, d, feed("slack", "a"), page...)
	linked, _ := accept(t, d, feed("mbox", "b"), message("x", "the same long text from everybody"))
	if got, want := event(t, d, linked[0]).Fields.Get("same_as"), event(t, d, seqs[0]).Record.String(); got != want {
		t.Errorf("linked to %s, want the first, %s", got, want)
	}
}
