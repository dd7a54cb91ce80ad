// Package sourcetest is the conformance suite of connectors: every implementation of [source.Source] passes [Run].
//
// The model: the suite reads the input once from beginning to end and remembers a digest of everything each page held. Then it
// reads again in all the ways that crashes bring about: from every cursor with a fresh connector, twice from the same cursor with
// the same one, and from the same input handed in under another path. What differs is a loss or a double in somebody's ledger.
//
// The suite guarantees nothing about whether the connector read its format correctly; that is for the connector's own tests. It does
// check that what was read can be stored: registered fields, valid text, honest times, openable files.
package sourcetest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"guia"
	"guia/source"
)

// Options says what the input handed to [Run] is like.
type Options struct {
	// Moved opens the same input handed in under another path or file name: the keys and the instance must be the same. Nil for
	// sources that have no path.
	Moved func(t *testing.T) source.Source

	// Canaries are personal strings (names, addresses, words of a message) which the input holds. They must appear in the
	// records, and must not appear in cursors, the instance or errors, neither plainly nor in hexadecimal, base64 or percent-encoded.
	Canaries []string

	// MinRecords is the least number of records the input holds; it keeps the suite from passing on an empty input. 0 means 1.
	MinRecords int

	// OnePage permits an input that is read in a single page. Without it the input must be long enough for two, because a
	// connector that never continues from a cursor has not shown that it can.
	OnePage bool
}

// Run fails t for every promise of package source that the connectors returned by open break. open is called many times; each
// call returns a new connector at the same, unchanging input, as a restarted program would have it. The suite closes them.
func Run(t *testing.T, open func(t *testing.T) source.Source, opt Options) {
	t.Helper()
	s := &suite{opt: opt}
	s.open = func() source.Source { return open(t) }
	if opt.Moved != nil {
		s.moved = func() source.Source { return opt.Moved(t) }
	}
	for _, part := range parts {
		ok := t.Run(part.name, func(t *testing.T) { part.run(s, t) })
		if !ok && part.needed {
			return
		}
	}
}

// parts is the suite in order; the parts after a needed one make no sense when it failed.
var parts = []struct {
	name   string
	needed bool
	run    func(*suite, testing.TB)
}{
	{"reads to the end", true, (*suite).readsToTheEnd},
	{"records can be stored", false, (*suite).recordsCanBeStored},
	{"keys tell records apart", false, (*suite).keysTellRecordsApart},
	{"every cursor continues", false, (*suite).everyCursorContinues},
	{"same cursor same page", false, (*suite).sameCursorSamePage},
	{"another path same keys", false, (*suite).anotherPathSameKeys},
	{"cursors are harmless", false, (*suite).cursorsAreHarmless},
	{"foreign cursors are refused", false, (*suite).foreignCursorsAreRefused},
	{"cancellation is honoured", false, (*suite).cancellationIsHonoured},
	{"files open twice", false, (*suite).filesOpenTwice},
	{"close twice", false, (*suite).closeTwice},
}

// suite is what the first reading found.
type suite struct {
	opt      Options
	open     func() source.Source
	moved    func() source.Source
	name     guia.SourceName
	instance string
	pages    []page
	canary   []bool // which canaries the records held
}

// page is one page as the first reading found it.
type page struct {
	after, next source.Cursor
	done        bool
	sum         [32]byte // over everything the records hold, without the bytes of files
	records     []seen
	problems    []string
}

// seen is what is remembered of a record.
type seen struct {
	key     string
	content [32]byte
}

const (
	maxPageRaw  = 8 << 20
	maxCursor   = 4096
	maxPages    = 1 << 20
	maxReopened = 200 // cursors from which a fresh connector continues; more are sampled evenly
)

// readsToTheEnd reads the input once, checking what concerns pages, and remembers it for the other parts.
func (s *suite) readsToTheEnd(t testing.TB) {
	src := s.open()
	defer closeOnce(t, src)
	s.name, s.instance = src.Name(), src.Instance()
	if _, err := guia.ParseSourceName(string(s.name)); err != nil {
		t.Errorf("Name() = %q: %v", s.name, err)
	}
	if src.Instance() != s.instance {
		t.Errorf("Instance() gave %q, then %q", s.instance, src.Instance())
	}
	s.canary = make([]bool, len(s.opt.Canaries))

	cursors := map[source.Cursor]bool{}
	var after source.Cursor
	var read int64
	records := 0
	for {
		p, err := src.Pull(context.Background(), after)
		if err != nil {
			t.Fatalf("Pull(%q): %v", after, err)
		}
		found := page{after: after, next: p.Next, done: p.Done, sum: digest(p.Records)}
		raw := 0
		for i := range p.Records {
			r := &p.Records[i]
			raw += len(r.Raw)
			found.records = append(found.records, seen{r.Key, digest(*r)})
			for _, problem := range problems(r) {
				found.problems = append(found.problems, fmt.Sprintf("page after %q, record %d (%s at %s): %s", after, i, r.Type, r.Origin, problem))
			}
			s.lookForCanaries(r)
		}
		s.pages = append(s.pages, found)
		records += len(p.Records)

		if raw > maxPageRaw && len(p.Records) > 1 {
			t.Errorf("page after %q holds %d raw bytes in %d records, more than %d", after, raw, len(p.Records), maxPageRaw)
		}
		if told := !p.From.IsZero() || !p.Until.IsZero(); told && (!p.Done || p.Until.IsZero() || p.From.After(p.Until)) {
			t.Errorf("page from %q tells of the time from %s until %s, done %v", after, p.From, p.Until, p.Done)
		}
		if len(p.Records) == 0 && !p.Done {
			t.Fatalf("page after %q is empty, but not the last", after)
		}
		if p.Read < read {
			t.Errorf("page after %q: progress fell from %d to %d", after, read, p.Read)
		}
		if p.Total > 0 && p.Read > p.Total {
			t.Errorf("page after %q: %d bytes read of %d", after, p.Read, p.Total)
		}
		read = p.Read
		if p.Done {
			s.staysDone(t, src, p.Next)
			break
		}
		if cursors[p.Next] || p.Next == after || p.Next == "" {
			t.Fatalf("page after %q goes on at %q, where the reading was before", after, p.Next)
		}
		cursors[p.Next] = true
		if len(s.pages) > maxPages {
			t.Fatalf("no end after %d pages", len(s.pages))
		}
		after = p.Next
	}
	if records < max(1, s.opt.MinRecords) {
		t.Fatalf("%d records, want at least %d", records, max(1, s.opt.MinRecords))
	}
	if len(s.pages) < 2 && !s.opt.OnePage {
		t.Fatalf("the input fills one page only: make it longer, or set Options.OnePage")
	}
}

// staysDone checks that the cursor after the last page gives an empty last page.
func (s *suite) staysDone(t testing.TB, src source.Source, end source.Cursor) {
	p, err := src.Pull(context.Background(), end)
	if err != nil {
		t.Errorf("Pull(%q) at the end: %v", end, err)
		return
	}
	if len(p.Records) != 0 || !p.Done {
		t.Errorf("Pull(%q) at the end: %d records, done %v; want none, done", end, len(p.Records), p.Done)
	}
}

func (s *suite) recordsCanBeStored(t testing.TB) {
	const most = 20
	count := 0
	for _, p := range s.pages {
		for _, problem := range p.problems {
			count++
			if count <= most {
				t.Error(problem)
			}
		}
	}
	if count > most {
		t.Errorf("and %d more", count-most)
	}
	for i, found := range s.canary {
		if !found {
			t.Errorf("canary %d is in no record: the input or the connector is wrong", i)
		}
	}
}

// keysTellRecordsApart: the same key twice is an edit, so the content must differ; the same content twice under one key would be
// stored once and therefore lost.
func (s *suite) keysTellRecordsApart(t testing.TB) {
	have := map[seen]source.Cursor{}
	for _, p := range s.pages {
		for i, r := range p.records {
			if first, twice := have[r]; twice {
				t.Errorf("page after %q, record %d: same key and content as in the page after %q; it would be stored once", p.after, i, first)
			}
			have[r] = p.after
		}
	}
}

// everyCursorContinues is the crash test: a new connector goes on where the old one stopped.
func (s *suite) everyCursorContinues(t testing.TB) {
	step := max(1, len(s.pages)/maxReopened)
	for i := 0; i < len(s.pages); i += step {
		src := s.open()
		if got := src.Instance(); got != s.instance {
			t.Errorf("opened again: instance %q, was %q", got, s.instance)
		}
		s.mustBe(t, src, i, "a new connector")
		if i+1 < len(s.pages) {
			s.mustBe(t, src, i+1, "a new connector, second page")
		}
		closeOnce(t, src)
	}
}

// sameCursorSamePage repeats and goes back with one connector.
func (s *suite) sameCursorSamePage(t testing.TB) {
	src := s.open()
	defer closeOnce(t, src)
	last := min(len(s.pages), maxReopened) - 1
	for i := last; i >= 0; i-- {
		s.mustBe(t, src, i, "going back")
		s.mustBe(t, src, i, "the same again")
	}
}

// mustBe pulls page i and compares it with the first reading.
func (s *suite) mustBe(t testing.TB, src source.Source, i int, how string) {
	want := s.pages[i]
	p, err := src.Pull(context.Background(), want.after)
	switch {
	case err != nil:
		t.Errorf("%s: Pull(%q): %v", how, want.after, err)
	case len(p.Records) != len(want.records):
		t.Errorf("%s: Pull(%q) gave %d records, was %d", how, want.after, len(p.Records), len(want.records))
	case digest(p.Records) != want.sum:
		for j := range p.Records {
			if digest(p.Records[j]) != want.records[j].content {
				t.Errorf("%s: Pull(%q): record %d (%s) is not what it was", how, want.after, j, p.Records[j].Origin)
				return
			}
		}
	case p.Next != want.next || p.Done != want.done:
		t.Errorf("%s: Pull(%q) goes on at %q, done %v; was %q, %v", how, want.after, p.Next, p.Done, want.next, want.done)
	}
}

// anotherPathSameKeys: a file handed in twice, under whatever name, must not double anything.
func (s *suite) anotherPathSameKeys(t testing.TB) {
	if s.moved == nil {
		return
	}
	src := s.moved()
	defer closeOnce(t, src)
	if got := src.Instance(); got != s.instance {
		t.Errorf("under another path the instance is %q, was %q", got, s.instance)
	}
	var want, got []string
	for _, p := range s.pages {
		for _, r := range p.records {
			want = append(want, r.key)
		}
	}
	var after source.Cursor
	for len(got) <= len(want) {
		p, err := src.Pull(context.Background(), after)
		if err != nil {
			t.Fatalf("under another path: Pull(%q): %v", after, err)
		}
		for i := range p.Records {
			got = append(got, p.Records[i].Key)
		}
		after = p.Next
		if p.Done {
			break
		}
	}
	if len(got) != len(want) {
		t.Fatalf("under another path: %d records, was %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("under another path: key %d is %.80q, was %.80q", i, got[i], want[i])
		}
	}
}

func (s *suite) foreignCursorsAreRefused(t testing.TB) {
	for _, foreign := range []source.Cursor{"no such cursor", "-1", "999999999999999999999999999", "0:0:0:0:0:0:0", "{}", "\x00", "../../x"} {
		src := s.open()
		p, err := src.Pull(context.Background(), foreign)
		if err == nil {
			t.Errorf("Pull(%q) gave %d records; a cursor that no page named must be refused", foreign, len(p.Records))
		} else if guia.KindOf(err) != guia.Invalid || !errors.Is(err, source.ErrCursor) {
			t.Errorf("Pull(%q): %v; want source.RefuseCursor", foreign, err)
		} else {
			s.mustBeHarmless(t, "the refusal of a foreign cursor", err.Error())
		}
		closeOnce(t, src)
	}
}

func (s *suite) cancellationIsHonoured(t testing.TB) {
	src := s.open()
	defer closeOnce(t, src)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	began := time.Now()
	_, err := src.Pull(ctx, "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Pull with a cancelled context: %v, want context.Canceled", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Pull with a cancelled context took %v", took)
	}
	s.mustBe(t, src, 0, "after a cancelled call")
}

// filesOpenTwice reads every attachment two times.
func (s *suite) filesOpenTwice(t testing.TB) {
	src := s.open()
	defer closeOnce(t, src)
	for _, want := range s.pages {
		p, err := src.Pull(context.Background(), want.after)
		if err != nil {
			t.Fatalf("Pull(%q): %v", want.after, err)
		}
		for i := range p.Records {
			for j, f := range p.Records[i].Files {
				if f.Open == nil {
					continue
				}
				first, n, err := fileSum(f)
				if err != nil {
					t.Errorf("page after %q, record %d, file %d: %v", want.after, i, j, err)
					continue
				}
				if f.Size >= 0 && n != f.Size {
					t.Errorf("page after %q, record %d, file %d: %d bytes, announced %d", want.after, i, j, n, f.Size)
				}
				second, _, err := fileSum(f)
				if err != nil || second != first {
					t.Errorf("page after %q, record %d, file %d: opened again it is not what it was (%v)", want.after, i, j, err)
				}
			}
		}
	}
}

func (s *suite) closeTwice(t testing.TB) {
	src := s.open()
	s.mustBe(t, src, 0, "before closing")
	for range 2 {
		if err := src.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := src.Pull(context.Background(), ""); err == nil {
		t.Error("Pull after Close gave a page")
	}
	if err := s.open().Close(); err != nil {
		t.Errorf("Close of a source that nobody pulled: %v", err)
	}
}

// digest is over everything records hold; files count with what is said about them, their bytes have a part of their own.
func digest(v any) [32]byte {
	h := sha256.New()
	enc := json.NewEncoder(h)
	switch v := v.(type) {
	case []source.Record:
		for _, r := range v {
			sum := digest(r)
			h.Write(sum[:])
		}
	case source.Record:
		files := v.Files
		v.Files = nil
		err := enc.Encode(v) //nolint:staticcheck // no file is encoded: v.Files is nil here
		for _, f := range files {
			err = errors.Join(err, enc.Encode([]any{f.Name, f.MediaType, f.Size, f.Open != nil, f.Missing}))
		}
		if err != nil { // every field is a string, bytes, a number or a time
			panic(err)
		}
		h.Write([]byte(v.Text + "\x00" + v.HTML)) // JSON replaces invalid UTF-8
	}
	return [32]byte(h.Sum(nil))
}

func fileSum(f source.File) (sum [32]byte, n int64, err error) {
	r, err := f.Open()
	if err != nil {
		return sum, 0, err
	}
	defer r.Close()
	h := sha256.New()
	n, err = io.Copy(h, r)
	return [32]byte(h.Sum(nil)), n, err
}

func closeOnce(t testing.TB, src source.Source) {
	if err := src.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
