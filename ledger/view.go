package ledger

import (
	"context"
	"fmt"

	"guia/db"
	"guia/seal"
	"guia/vault"
)

// View opens the ledger for reading, as it is: nothing can be recorded. Where there are no keys, as in a copy, contents cannot be
// decrypted. Whether what is stored agrees with itself is left to [Ledger.Check] or [Ledger.Agree]. It needs no Close.
func View(ctx context.Context, main *db.DB, keys *seal.Keeper, v *vault.Vault) (*Ledger, error) {
	l := &Ledger{
		db: main, keys: keys, vault: v,
		closed: make(chan struct{}), done: make(chan struct{}),
		streams: map[seal.Owner]*stream{}, grown: make(chan struct{}),
	}
	close(l.closed)
	close(l.done)
	if _, err := l.loadHead(ctx); err != nil {
		return nil, fmt.Errorf("view ledger: %w", err)
	}
	return l, nil
}

// Agree compares head, right edge and newest checkpoint of a ledger that [View] opened, as [Open] does, and refuses (kind damaged) when
// they differ.
func (l *Ledger) Agree(ctx context.Context) error {
	err := l.agree(ctx)
	if err == nil {
		err = l.compareNewest(ctx)
	}
	if err != nil {
		return fmt.Errorf("view ledger: %w", err)
	}
	return nil
}
