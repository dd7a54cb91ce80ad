package verify

import (
	"bytes"
	"testing"
)

// BenchmarkRecord measures a bundle of 20,000 events, reported per record.
func BenchmarkRecord(b *testing.B) {
	const events = 20_000
	f := newFixture(b, events)
	bundle, trust := f.pack(), f.trust()
	records := len(f.records)
	b.SetBytes(int64(len(bundle)) / int64(records))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if r := Verify(bytes.NewReader(bundle), int64(len(bundle)), trust, Limits{}); r.Verdict != Proven {
			b.Fatal(r.Verdict)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*records), "µs/record")
}

// BenchmarkLine is one line on one core.
func BenchmarkLine(b *testing.B) {
	f := newFixture(b, 1000)
	p := f.prover(1000)
	line := f.records[10]
	line.Proof, _ = p.Inclusion(line.Index)
	text := AppendLine(nil, &line)
	b.SetBytes(int64(len(text)))
	c := checker{v: &verification{limits: Limits{}.withDefaults()}, batchOf: &batch{}}
	var size int64 = 1000
	root, _ := p.Root()
	c.v.checkpoint = newCheckpoint(size, root)
	for b.Loop() {
		c.check(text)
	}
	if len(c.batchOf.findings) > 0 {
		b.Fatal(c.batchOf.findings[0])
	}
}
