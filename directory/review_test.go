package directory_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"guia"
	"guia/canon"
	"guia/directory"
	"guia/intake"
	"guia/ledger"
	"guia/source"
)

// TestContentReplacedByBareCommitmentsIsFound forges an erasure with nothing but what stands in a bundle: commitments and names.
func TestContentReplacedByBareCommitmentsIsFound(t *testing.T) {
	ctx := context.Background()
	d, err := directory.Create(ctx, filepath.Join(t.TempDir(), "data"), owner())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	seqs, _, err := d.Intake.Accept(ctx, testFeed, messages(3, "the contract"), intake.Progress{})
	if err != nil {
		t.Fatal(err)
	}
	_, fields, err := d.Ledger.Disclose(ctx, seqs[1])
	if err != nil {
		t.Fatal(err)
	}
	bySlot := map[guia.Slot][]canon.Commitment{}
	for _, f := range fields {
		slot, _ := guia.SlotOf(f.Name)
		bySlot[slot] = append(bySlot[slot], canon.Commitment{Name: f.Name, Hash: f.Commitment})
	}
	row := []byte{1} // docs/format/vault.md: version, then slots in the state "forgotten"
	for _, slot := range guia.Slots {
		if len(bySlot[slot]) == 0 {
			continue
		}
		block := canon.AppendFields(nil, bySlot[slot])
		row = append(row, byte(slot), 3)
		for n := uint64(len(block)); ; n >>= 7 {
			if n < 0x80 {
				row = append(row, byte(n))
				break
			}
			row = append(row, byte(n)|0x80)
		}
		row = append(row, block...)
	}
	err = d.Ledger.Batch(ctx, 0, func(tx *ledger.Tx) error { return d.Vault.Replace(tx.Tx, seqs[1], row) })
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Check(ctx, ledger.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Key == "check.erased_by_nobody" && f.Seq == seqs[1] {
			return
		}
	}
	t.Errorf("a forged erasure was not found: %+v", r.Findings)
}

var testFeed = intake.Feed{Source: "mapped", Instance: "a", Class: "chat", Channel: guia.ChannelFile, Grade: guia.GradeC, Normaliser: "test/1"}

// TestCheckFindsNothingWhileRecordsComeIn checks again and again beside an import.
func TestCheckFindsNothingWhileRecordsComeIn(t *testing.T) {
	ctx := context.Background()
	d, err := directory.Create(ctx, filepath.Join(t.TempDir(), "data"), owner())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	done := make(chan error, 1)
	go func() {
		var at intake.Progress
		for i := range 120 {
			records := messages(3, fmt.Sprintf("the contract of flat %d", i))
			for j := range records {
				records[j].Key = fmt.Sprintf("%d-%d", i, j)
				records[j].Stream = fmt.Sprintf("room %d", i%7)
			}
			var err error
			if _, at, err = d.Intake.Accept(ctx, testFeed, records, at); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for checks := 0; ; checks++ {
		r, err := d.Check(ctx, ledger.CheckOptions{})
		if err != nil || len(r.Findings) > 0 {
			t.Fatalf("check %d beside an import: %+v, %v", checks, r.Findings, err)
		}
		select {
		case err := <-done:
			if err != nil || checks < 3 {
				t.Fatalf("%d checks, %v", checks, err)
			}
			return
		default:
		}
	}
}

// TestWhatMakesAMessageAnotherOne: the time, the addressees and an attachment that was missing before are content too.
func TestWhatMakesAMessageAnotherOne(t *testing.T) {
	ctx := context.Background()
	d, err := directory.Create(ctx, filepath.Join(t.TempDir(), "data"), owner())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	first := messages(1, "see the contract")[0]
	first.Files = []source.File{{Name: "contract.pdf", Missing: "not in the export"}}
	var at intake.Progress
	offer := func(r source.Record, want intake.Counts) {
		t.Helper()
		before := at.Counts
		var err error
		if _, at, err = d.Intake.Accept(ctx, testFeed, []source.Record{r}, at); err != nil {
			t.Fatal(err)
		}
		if got := (intake.Counts{New: at.Counts.New - before.New, Known: at.Counts.Known - before.Known, Edited: at.Counts.Edited - before.Edited}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	offer(first, intake.Counts{New: 1})
	offer(first, intake.Counts{Known: 1})
	later := first
	later.Time.Time = later.Time.Time.AddDate(1, 0, 0)
	offer(later, intake.Counts{New: 1, Edited: 1})
	others := first
	others.Recipients = []string{"somebody@firm.example"}
	offer(others, intake.Counts{New: 1, Edited: 1})
	whole := first
	whole.Files = []source.File{{Name: "contract.pdf", Size: 3, Open: opens("pdf")}}
	offer(whole, intake.Counts{New: 1, Edited: 1})
	offer(whole, intake.Counts{Known: 1})
	offer(first, intake.Counts{Known: 1})
	if r, err := d.Check(ctx, ledger.CheckOptions{}); err != nil || len(r.Findings) > 0 {
		t.Errorf("%+v, %v", r.Findings, err)
	}
}
