package directory

import (
	"context"
	"fmt"
	"slices"

	"guia"
	"guia/db"
	"guia/ledger"
)

// Check proves that the whole data directory is undamaged, or names what is not: tree, tiles, checkpoints, streams, rows, blobs
// ([ledger.Ledger.Check]), tables of state, what recognises records, the key database, and SQLite's own structure. Damage that keeps the
// check from going on is a finding too. It is the one definition of undamaged; nearly every
// test ends with it.
func (d *Directory) Check(ctx context.Context, o ledger.CheckOptions) (ledger.CheckReport, error) {
	structure, err := d.Main.Integrity(ctx)
	if err != nil {
		return ledger.CheckReport{}, fmt.Errorf("check: %w", err)
	}
	keys, err := d.Keys.Check(ctx)
	if err = db.Explain(err); guia.KindOf(err) == guia.Damaged {
		keys, err = append(keys, err.Error()), nil
	}
	if err != nil {
		return ledger.CheckReport{}, fmt.Errorf("check: %w", err)
	}
	r, err := d.checkEvents(ctx, o)
	for _, line := range structure {
		r.Findings = append(r.Findings, ledger.Finding{Key: "check.structure", Args: []any{"guia.db", line}})
	}
	for _, line := range keys {
		r.Findings = append(r.Findings, ledger.Finding{Key: "check.structure", Args: []any{"keys.db", line}})
	}
	if err = db.Explain(err); guia.KindOf(err) == guia.Damaged {
		r.Findings = append(r.Findings, ledger.Finding{Key: "check.unreadable", Args: []any{err.Error()}})
		err = nil
	}
	return r, err
}

// checkEvents checks the ledger, and beside it what recognises records.
func (d *Directory) checkEvents(ctx context.Context, o ledger.CheckOptions) (ledger.CheckReport, error) {
	if o.Quick {
		return d.Ledger.Check(ctx, o)
	}
	recognition, err := d.Intake.CheckRecognition(ctx)
	if err != nil {
		return ledger.CheckReport{}, err
	}
	var wanting []guia.Seq
	see := o.See
	o.See = func(e *guia.Event) error {
		found, err := recognition.See(ctx, e)
		wanting = append(wanting, found...)
		if err == nil && see != nil {
			err = see(e)
		}
		return err
	}
	r, err := d.Ledger.Check(ctx, o)
	if err != nil {
		return r, err
	}
	last, stored, expected, err := recognition.End(ctx)
	wanting = append(wanting, last...)
	slices.Sort(wanting)
	for _, seq := range slices.Compact(wanting) {
		r.Findings = append(r.Findings, ledger.Finding{Seq: seq, HasSeq: true, Key: "check.recognition", Args: []any{uint64(seq)}})
	}
	if stored != expected && len(r.Findings) == 0 { // an event that cannot be read has rows nobody can account for
		r.Findings = append(r.Findings, ledger.Finding{Key: "check.recognition_count", Args: []any{stored, expected}})
		var invented []guia.Seq
		invented, err = recognition.Invented(ctx)
		for _, seq := range invented {
			r.Findings = append(r.Findings, ledger.Finding{Seq: seq, HasSeq: true, Key: "check.recognition_invented", Args: []any{uint64(seq)}})
		}
	}
	return r, err
}
