package guiatest_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"guia"
	"guia/evidence"
	"guia/evidence/verify"
	"guia/guiatest"
)

// TestEveryFlippedBitOfABundleIsFoundOrHarmless turns single bits over in the bundle of a case of 200 events. Each makes the verifier
// refuse the bundle, or changes nothing that it says.
func TestEveryFlippedBitOfABundleIsFoundOrHarmless(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := guiatest.New(t)
	d.Import(&guiatest.Company{Seed: 6, Records: 260, Page: 65})
	c, err := evidence.OpenCase(t.Context(), d.Ledger, d.Owner, "two hundred")
	if err != nil {
		t.Fatal(err)
	}
	var seqs []guia.Seq
	for seq := guia.Seq(30); seq < 230; seq++ {
		seqs = append(seqs, seq)
	}
	if _, err := evidence.Add(t.Context(), d.Ledger, d.Owner, c, seqs); err != nil {
		t.Fatal(err)
	}
	file, trust := build(t, d, c)
	whole, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	sound := verify.Verify(bytes.NewReader(whole), int64(len(whole)), trust, verify.Limits{})
	if sound.Verdict != verify.Proven {
		t.Fatalf("%v: %+v", sound.Verdict, sound.Findings)
	}
	classes := map[string]int{}
	flips := rounds(500, 20000)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			damaged := bytes.Clone(whole)
			for range flips / 2 {
				at, bit := random.IntN(len(damaged)), byte(1)<<random.IntN(8)
				damaged[at] ^= bit
				began := time.Now()
				r := verify.Verify(bytes.NewReader(damaged), int64(len(damaged)), trust, verify.Limits{Workers: 1})
				class := string(r.Verdict)
				if r.Verdict == verify.Proven {
					class = "harmless"
					if !reflect.DeepEqual(r, sound) {
						t.Errorf("byte %d bit %08b: proven, but something else: %+v", at, bit, r)
					}
				} else if len(r.Findings) == 0 {
					t.Errorf("byte %d bit %08b: %s without a finding", at, bit, r.Verdict)
				}
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("byte %d bit %08b: took %v", at, bit, took)
				}
				damaged[at] ^= bit
				mu.Lock()
				classes[class]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d flips over %d bytes: %v", flips, len(whole), classes)
	if classes["harmless"] > flips/10 {
		t.Errorf("%d of %d flips are harmless: what do they hit?", classes["harmless"], flips)
	}
}
