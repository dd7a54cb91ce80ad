package sourcetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/source"
)

const canary = "Wong Canary"

// list is a connector at a list of records, three to a page. Its wrong-ness is injected by the fields.
type list struct {
	records []source.Record
	spoil   func(*source.Page, source.Cursor, *list)
	ignore  struct{ ctx, foreign, closed bool }
	pulls   int
	closed  bool
}

func (l *list) Name() guia.SourceName { return "list" }
func (l *list) Instance() string      { return "sha256:00" }
func (l *list) Close() error          { l.closed = true; return nil }

func (l *list) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	if l.closed && !l.ignore.closed {
		return source.Page{}, fmt.Errorf("closed")
	}
	if err := ctx.Err(); err != nil && !l.ignore.ctx {
		return source.Page{}, err
	}
	at, err := strconv.Atoi(strings.TrimPrefix(string(after), "r"))
	switch {
	case after == "":
		at = 0
	case l.ignore.foreign && err != nil:
		at = 0
	case err != nil || at < 1 || at > len(l.records) || after[0] != 'r':
		return source.Page{}, source.RefuseCursor()
	}
	end := min(at+3, len(l.records))
	p := source.Page{Next: source.Cursor(fmt.Sprintf("r%d", end)), Done: end == len(l.records), Read: int64(end), Total: int64(len(l.records))}
	for _, r := range l.records[at:end] {
		r.Marks = append([]string(nil), r.Marks...)
		p.Records = append(p.Records, r)
	}
	l.pulls++
	if l.spoil != nil {
		l.spoil(&p, after, l)
	}
	return p, nil
}

func good() *list {
	l := &list{}
	for i := range 10 {
		r := source.Record{
			Key: fmt.Sprintf("k%d", i), Type: guia.MessageSent, Stream: "s", StreamName: "Sala", StreamKind: "channel",
			Time:    guia.Moment{Time: time.Date(2024, 3, 1, 8, i, 0, 0, time.UTC), Precision: guia.Minute},
			HasTime: true, TimeOriginal: "x", TimeZone: "Asia/Macau", TimeBasis: "assumed",
			Sender: source.Person{ID: "p", Name: canary}, Text: "olá", Raw: []byte{'r', byte(i)}, RawType: "text/csv", Origin: "x#1",
			Files: []source.File{{Name: "a", Size: 3, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abc")), nil }}},
		}
		l.records = append(l.records, r)
	}
	return l
}

func TestAGoodConnectorPasses(t *testing.T) {
	open := func(*testing.T) source.Source { return good() }
	Run(t, open, Options{Moved: open, Canaries: []string{canary}, MinRecords: 10})
}

// TestEveryBrokenPromiseIsFound breaks one promise of package source at a time; the suite must say so in the part that is named.
func TestEveryBrokenPromiseIsFound(t *testing.T) {
	record := func(f func(*source.Record)) func(*list) {
		return func(l *list) { f(&l.records[4]) }
	}
	page := func(f func(*source.Page, source.Cursor, *list)) func(*list) {
		return func(l *list) { l.spoil = f }
	}
	for _, c := range []struct {
		name, part string
		spoil      func(*list)
	}{
		{"loses a record after a restart", "every cursor continues", page(func(p *source.Page, after source.Cursor, l *list) {
			if after != "" && l.pulls == 1 {
				p.Records = p.Records[1:]
			}
		})},
		{"changes when pulled again", "same cursor same page", page(func(p *source.Page, _ source.Cursor, l *list) {
			if l.pulls > 5 {
				p.Records[0].Text += "!"
			}
		})},
		{"goes round in circles", "reads to the end", page(func(p *source.Page, _ source.Cursor, _ *list) {
			if p.Next == "r6" {
				p.Next = "r3"
			}
		})},
		{"empty page in the middle", "reads to the end", page(func(p *source.Page, after source.Cursor, _ *list) {
			if after == "r3" {
				p.Records = nil
			}
		})},
		{"progress falls", "reads to the end", page(func(p *source.Page, _ source.Cursor, _ *list) { p.Read = 10 - p.Read })},
		{"too large a page", "reads to the end", record(func(r *source.Record) { r.Raw = bytes.Repeat([]byte("x"), 9<<20) })},
		{"same record twice", "keys tell records apart", func(l *list) { l.records[5] = l.records[4] }},
		{"no key", "records can be stored", record(func(r *source.Record) { r.Key = "" })},
		{"invalid text", "records can be stored", record(func(r *source.Record) { r.Text = "\xff" })},
		{"no raw bytes", "records can be stored", record(func(r *source.Record) { r.Raw = nil })},
		{"time without HasTime", "records can be stored", record(func(r *source.Record) { r.HasTime = false })},
		{"digits finer than the precision", "records can be stored", record(func(r *source.Record) { r.Time.Time = r.Time.Time.Add(1) })},
		{"zone nobody knows", "records can be stored", record(func(r *source.Record) { r.TimeZone = "Macau/Asia" })},
		{"unmarked missing sender", "records can be stored", record(func(r *source.Record) { r.Sender = source.Person{} })},
		{"unregistered field", "records can be stored", record(func(r *source.Record) { r.Extra.Set("customer.column", "x") })},
		{"repeated field", "records can be stored", record(func(r *source.Record) { r.Extra.Set("subject", "x") })},
		{"graded itself", "records can be stored", record(func(r *source.Record) { r.Extra.Set("grade", "A") })},
		{"file without bytes or reason", "records can be stored", record(func(r *source.Record) { r.Files = []source.File{{Name: "a"}} })},
		{"file of another size", "files open twice", record(func(r *source.Record) { r.Files[0].Size = 4 })},
		{"file opens once", "files open twice", record(func(r *source.Record) {
			b := bytes.NewReader([]byte("abc"))
			r.Files = []source.File{{Size: 3, Open: func() (io.ReadCloser, error) { return io.NopCloser(b), nil }}}
		})},
		{"ignores the context", "cancellation is honoured", func(l *list) { l.ignore.ctx = true }},
		{"takes any cursor", "foreign cursors are refused", func(l *list) { l.ignore.foreign = true }},
		{"works when closed", "close twice", func(l *list) { l.ignore.closed = true }},
	} {
		open := func() source.Source { l := good(); c.spoil(l); return l }
		if failed := failing(open, Options{Canaries: []string{canary}}); failed != c.part {
			t.Errorf("%s: found by %q, want %q", c.name, failed, c.part)
		}
	}
}

func TestKeysThatDependOnThePathAreFound(t *testing.T) {
	moved := func() source.Source { l := good(); l.records[2].Key = "elsewhere"; return l }
	s := &suite{open: func() source.Source { return good() }, moved: moved}
	if !caught(func(t testing.TB) { s.readsToTheEnd(t); s.anotherPathSameKeys(t) }) {
		t.Error("another key under another path passed")
	}
}

func TestACanaryIsFoundInEverySpelling(t *testing.T) {
	for _, cursor := range []source.Cursor{
		"at Wong Canary", "at wong canary 7", "576f6e672043616e617279", "x=Wong+Canary", "x=Wong%20Canary", "V29uZyBDYW5hcnk=", "eFdvbmcgQ2FuYXJ5",
		"eHhXb25nIENhbmFyeQ", "\x01", "é", source.Cursor(strings.Repeat("9", 4097)),
	} {
		s := &suite{opt: Options{Canaries: []string{canary}}, pages: []page{{next: cursor}}}
		if !caught(s.cursorsAreHarmless) {
			t.Errorf("cursor %.40q passed", cursor)
		}
	}
	s := &suite{opt: Options{Canaries: []string{canary}}, pages: []page{{next: "file 3, byte 1024"}}}
	if caught(s.cursorsAreHarmless) {
		t.Error("a harmless cursor was refused")
	}
}

// failing returns the first part of the suite that a connector fails, empty when it passes.
func failing(open func() source.Source, opt Options) string {
	s := &suite{opt: opt, open: open}
	for _, part := range parts {
		if caught(func(t testing.TB) { part.run(s, t) }) {
			return part.name
		}
	}
	return ""
}

// caught runs a part of the suite and reports whether it failed.
func caught(part func(testing.TB)) bool {
	c := &catcher{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		part(c)
	}()
	<-done
	return c.failed
}

// catcher is a testing.TB that remembers that something failed. It has only what the suite uses.
type catcher struct {
	testing.TB
	failed bool
}

func (c *catcher) Helper()               {}
func (c *catcher) Error(...any)          { c.failed = true }
func (c *catcher) Errorf(string, ...any) { c.failed = true }
func (c *catcher) Fatalf(string, ...any) { c.failed = true; runtime.Goexit() }
