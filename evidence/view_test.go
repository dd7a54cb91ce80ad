package evidence

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/evidence/verify"
	"guia/lang"
)

func TestEverySentenceOfTheViewExists(t *testing.T) {
	keys := slices.Clone(claimOrder)
	for _, m := range regexp.MustCompile(`\bt "([a-z_.]+)"`).FindAllStringSubmatch(viewHTML, -1) {
		keys = append(keys, m[1])
	}
	if len(keys) < 70 {
		t.Fatalf("found %d keys: the search has gone blind", len(keys))
	}
	for _, c := range append(channels, "unknown") {
		keys = append(keys, "view.channel."+c)
	}
	for _, g := range []string{"A", "B", "C", "D", "?"} {
		keys = append(keys, gradeKey(g))
	}
	for _, why := range []verify.Reason{verify.Redacted, verify.Erased} {
		keys = append(keys, "view."+string(why))
	}
	for _, key := range append(keys, "view.this_bundle", "view.no_outcome", "view.act.other", "view.type.other") {
		if !lang.Has(key) {
			t.Errorf("no sentence for %s", key)
		}
	}
	source, err := os.ReadFile("cover.go")
	must(t, err)
	for _, m := range regexp.MustCompile(`"(claim\.[a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !slices.Contains(claimOrder, m[1]) {
			t.Errorf("%s has no place in the order", m[1])
		}
	}
}

// The style sheet that the policy allows is the one on the page, and it allows nothing else.
func TestThePolicyAllowsTheStyleAndNothingElse(t *testing.T) {
	o := newOffice(t)
	for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese, lang.SimplifiedChinese} {
		c := o.open("case "+l.String(), o.bring("acme", says(l.String(), "Chan", "first"))...)
		req := o.request(c)
		req.Language = l
		v := o.build(req).view()
		_, style, _ := strings.Cut(v, "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		sum := sha256.Sum256([]byte(style))
		want := `content="default-src &#39;none&#39;; style-src &#39;sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;"`
		if !strings.Contains(v, want) && !strings.Contains(v, strings.ReplaceAll(want, "+", "&#43;")) {
			t.Error("the policy does not name this style sheet")
		}
		if !strings.Contains(v, `<html lang="`+l.String()+`">`) || !strings.Contains(v, template.HTMLEscapeString(lang.Text(l, "view.custody_lead"))) {
			t.Errorf("the page is not in %s", l)
		}
		if found := regexp.MustCompile(`(?i)<(script|img|link|iframe|object|form)\b| (style|on[a-z]+|src)=`).FindString(v); found != "" {
			t.Errorf("the page holds %q", found)
		}
	}
}

func TestThreadsStandUnderTheirFirstMessageAndTimesInTheirZone(t *testing.T) {
	at := func(seq int64, clock string, fields ...string) *shown {
		e := &shown{Seq: seq, Header: guia.Header{Type: guia.MessageSent}, Withheld: map[string]verify.Reason{}}
		e.Fields.Set("time", clock)
		for i := 0; i < len(fields); i += 2 {
			e.Fields.Set(fields[i], fields[i+1])
		}
		return e
	}
	events := []*shown{
		at(1, "2026-01-01T23:30:00Z", "source_key", "a", "time.zone", "+08:00"),
		at(2, "2026-01-03T01:00:00Z", "source_key", "b", "time.zone", "UTC"),
		at(3, "2026-01-04T01:00:00Z", "source_key", "c", "thread", "a"),
		at(4, "2026-01-01T01:00:00Z", "source_key", "d", "time.zone", "-03:30"),
		at(5, "", "source_key", "e"),
		at(6, "2026-01-05T01:00:00Z", "source_key", "f", "thread", "g"),
		at(7, "2026-01-05T02:00:00Z", "source_key", "g", "thread", "f"),
		at(8, "2026-01-05T03:00:00Z", "source_key", "h", "thread", "h"),
		at(9, "2026-01-06", "source_key", "i", "thread", "gone", "time.zone", "nowhere"),
	}
	records := arrange(events, nil)
	var order []int64
	for _, r := range records {
		order = append(order, r.Seq)
	}
	if want := []int64{4, 5, 1, 3, 2, 8, 9, 6, 7}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if r := records[2]; r.Day != "2026-01-02" || r.Clock != "07:30:00" || r.Zone != "+08:00" || r.Nested {
		t.Errorf("%+v", r)
	}
	if r := records[0]; r.Day != "2025-12-31" || r.Clock != "21:30:00" || r.Zone != "-03:30" {
		t.Errorf("%+v", r)
	}
	if !records[1].NoTime || !records[3].Nested || records[6].Clock != "" || records[6].Zone != "nowhere" {
		t.Errorf("no time %t, nested %t, a day at %q %q", records[1].NoTime, records[3].Nested, records[6].Clock, records[6].Zone)
	}
	for _, circle := range [][]*shown{
		{at(1, "", "source_key", "a", "thread", "b"), at(2, "", "source_key", "b", "thread", "c"), at(3, "", "source_key", "c", "thread", "a")},
		{at(1, "", "source_key", "a", "thread", "a")},
	} {
		if got := arrange(circle, nil); len(got) != len(circle) {
			t.Errorf("of %d messages in a circle %d are shown", len(circle), len(got))
		}
	}
}

// What the view shows of a withheld field says nothing about its length.
func TestABarHasTheSameLengthForEveryValue(t *testing.T) {
	line := func(value string) *verify.Line {
		return &verify.Line{Fields: []verify.Field{{Name: "sender.name", Withheld: verify.Redacted, Value: []byte(value)}}}
	}
	facts := newViewFacts()
	for _, value := range []string{"A", strings.Repeat("B", 300)} {
		facts.add(line(value), &guia.Header{Type: guia.MessageSent, Captured: time.Unix(0, 0)}, false)
	}
	a, b := facts.records[0].piece("sender.name"), facts.records[1].piece("sender.name")
	if a != b || a.Text != "" {
		t.Errorf("%+v and %+v", a, b)
	}
	if err := renderView(io.Discard, &page{}); err != nil {
		t.Error(err)
	}
}
