package ledger

import (
	"context"
	"fmt"

	"guia"
	"guia/db"
	"guia/proof"
	"guia/seal"
	"guia/vault"
)

// View opens the ledger in a copy of the main database for reading, without its keys: nothing can be recorded, and contents cannot be
// decrypted. Head, right edge and newest checkpoint are compared as [Open] does. It needs no Close.
func View(ctx context.Context, main *db.DB, v *vault.Vault) (*Ledger, error) {
	l := &Ledger{
		db: main, vault: v,
		closed: make(chan struct{}), done: make(chan struct{}),
		streams: map[seal.Owner]*stream{}, grown: make(chan struct{}),
	}
	close(l.closed)
	close(l.done)
	var root []byte
	var size int64
	err := l.db.QueryRow(ctx, "SELECT origin, size, root, clock FROM ledger_head WHERE one = 1").Scan(&l.origin, &size, &root, &l.clock)
	if err != nil {
		return nil, fmt.Errorf("view ledger: %w", guia.RefuseCause(guia.Damaged, err, "ledger.no_head"))
	}
	partials, err := l.edge(ctx, size)
	if err != nil {
		return nil, fmt.Errorf("view ledger: %w", err)
	}
	if l.builder, err = proof.NewBuilder(size, partials); err != nil {
		return nil, fmt.Errorf("view ledger: %w", guia.RefuseCause(guia.Damaged, err, "ledger.head_differs", size))
	}
	if computed := l.builder.Root(); string(computed[:]) != string(root) {
		return nil, fmt.Errorf("view ledger: %w", guia.Refuse(guia.Damaged, "ledger.head_differs", size))
	}
	l.size = guia.Seq(size)
	if err := l.compareNewest(ctx); err != nil {
		return nil, fmt.Errorf("view ledger: %w", err)
	}
	return l, nil
}
