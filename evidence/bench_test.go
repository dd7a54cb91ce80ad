package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia/source"
)

// BenchmarkTenThousandEvents is the figure of the issue "Proof that holds": under 5 seconds with proofs and view.
func BenchmarkTenThousandEvents(b *testing.B) {
	for _, rule := range []string{"", "person=Ana"} {
		b.Run("redact "+rule, func(b *testing.B) { tenThousand(b, rule) })
	}
}

func tenThousand(b *testing.B, rule string) {
	o := newOffice(b)
	records := make([]source.Record, 10_000)
	for i := range records {
		r := says(fmt.Sprint(i), []string{"Ana", "陳大文", "João"}[i%3], fmt.Sprintf("message %d: %s", i, strings.Repeat("佣金 commission ", i%20)))
		r.Stream = fmt.Sprint("C", i%40)
		records[i] = r
	}
	c := o.open("ten thousand", o.bring("acme", records...)...)
	var rules []string
	if rule != "" {
		rules = []string{rule}
	}
	var size int64
	for b.Loop() {
		req := o.request(c, rules...)
		result, err := Build(o.ctx, o.Ledger, o.ana, req, nil)
		must(b, err)
		size = result.File.Size
		must(b, os.Remove(req.Out))
	}
	b.ReportMetric(float64(size)/10_000, "B/event")
}

// BenchmarkSmallCaseOfALargeLedger shows what the search for the chain of custody costs: it reads all leaves.
func BenchmarkSmallCaseOfALargeLedger(b *testing.B) {
	o := newOffice(b)
	var few []source.Record
	for i := range 50_000 {
		few = append(few, says(fmt.Sprint(i), "Ana", fmt.Sprintf("message %d: %s", i, strings.Repeat("commission ", i%20))))
	}
	c := o.open("small", o.bring("acme", few...)[:10]...)
	req := o.request(c)
	dir := filepath.Dir(req.Out)
	for i := 0; b.Loop(); i++ {
		req.Out = filepath.Join(dir, fmt.Sprint(i))
		_, err := Build(o.ctx, o.Ledger, o.ana, req, nil)
		must(b, err)
	}
}
