package directory

import (
	"context"
	"fmt"

	"guia/ledger"
)

// Check proves that the whole data directory is undamaged, or names what is not: tree, tiles, checkpoints, streams, rows, blobs
// ([ledger.Ledger.Check]), the key database, and SQLite's own structure. It is the one definition of undamaged; nearly every
// test ends with it.
func (d *Directory) Check(ctx context.Context, o ledger.CheckOptions) (ledger.CheckReport, error) {
	structure, err := d.Main.Integrity(ctx)
	if err != nil {
		return ledger.CheckReport{}, fmt.Errorf("check: %w", err)
	}
	keys, err := d.Keys.Check(ctx)
	if err != nil {
		return ledger.CheckReport{}, fmt.Errorf("check: %w", err)
	}
	r, err := d.Ledger.Check(ctx, o)
	for _, line := range structure {
		r.Findings = append(r.Findings, ledger.Finding{Key: "check.structure", Args: []any{"guia.db", line}})
	}
	for _, line := range keys {
		r.Findings = append(r.Findings, ledger.Finding{Key: "check.structure", Args: []any{"keys.db", line}})
	}
	return r, err
}
