package evidence

import (
	"strings"
	"testing"

	"guia"
)

// The longest text and the longest formatted text that intake keeps, in one record.
func TestTheLargestRecordIsProven(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the largest record, 32 MiB of text")
	}
	o := newOffice(t)
	r := says("1", "Chan", strings.Repeat("a long line of text\n", (16<<20)/20))
	r.HTML = strings.Repeat("<p>a long line of html</p>\n", (16<<20)/27)
	c := o.open("case", o.bring("acme", r)...)
	p := o.build(o.request(c))
	if len(p.Lines) != 1 || len(p.Files["records.jsonl"]) < 40<<20 {
		t.Errorf("%d lines of %d bytes", len(p.Lines), len(p.Files["records.jsonl"]))
	}
}

func TestWhatAVerifierWouldRefuseIsRefusedBeforeTheIntent(t *testing.T) {
	o := newOffice(t)
	long := says("1", "Chan", "x")
	var html strings.Builder
	for i := range 64 << 10 { // what compresses little
		html.WriteRune(rune(0x4e00 + i*7919%20000))
	}
	long.HTML = html.String()
	seqs := o.bring("acme", long, attach(says("2", "Chan", "y"), "a.txt", "first"), attach(says("3", "Chan", "z"), "b.txt", "other"))
	c := o.open("case", seqs...)
	size, usual := o.Ledger.Size(), testOnlyLimits
	for _, w := range []struct {
		change func(*limits)
		rule   string // that makes it fit
		key    string
	}{
		{func(m *limits) { m.line = 100 << 10 }, "record=" + fmtSeq(seqs[0]), "evidence.line_long"},
		{func(m *limits) { m.file = 4 }, "field=file.0001", "evidence.files_large"},
		{func(m *limits) { m.total = 9 }, "record=" + fmtSeq(seqs[2]), "evidence.files_large"},
		{func(m *limits) { m.files = otherEntries + 2 }, "record=" + fmtSeq(seqs[2]), "evidence.files_many"},
	} {
		w.change(&testOnlyLimits)
		_, err := Build(o.ctx, o.Ledger, o.ana, o.request(c), nil)
		want(t, err, guia.Invalid, w.key)
		if o.Ledger.Size() != size {
			t.Errorf("%s: %d events were recorded", w.key, o.Ledger.Size()-size)
		}
		o.build(o.request(c, w.rule))
		size, testOnlyLimits = o.Ledger.Size(), usual
	}
}
