package vault

import (
	"context"
	"fmt"

	"guia/blob"
	"guia/db"
)

// Under reports whether a slot of the row is under one of the KEKs, and which blobs are readable through these slots alone.
func (v *Vault) Under(row []byte, keks map[uint64]bool) (under bool, blobs []blob.Digest, err error) {
	slots, err := parseRow(row)
	if err != nil {
		return false, nil, err
	}
	for _, s := range slots {
		if s.state == slotForgotten || !keks[s.kek] {
			continue
		}
		under = true
		if s.outside {
			blobs = append(blobs, s.digest)
		}
		for _, f := range s.files {
			blobs = append(blobs, f.digest)
		}
	}
	return under, blobs, nil
}

// Doom notes in the transaction that stores the rows of [Vault.Forget] which KEKs are to be destroyed, so that after a crash
// somebody still knows.
func (v *Vault) Doom(tx *db.Tx, keks []uint64) error {
	for _, kek := range keks {
		if _, err := tx.Exec("INSERT INTO vault_doomed (kek) VALUES (?) ON CONFLICT (kek) DO NOTHING", kek); err != nil {
			return fmt.Errorf("note keys to destroy: %w", err)
		}
	}
	return nil
}

// Doomed returns the KEKs that were noted and whose forgetting is not finished.
func (v *Vault) Doomed(ctx context.Context) ([]uint64, error) {
	rows, err := v.db.Query(ctx, "SELECT kek FROM vault_doomed ORDER BY kek")
	if err != nil {
		return nil, fmt.Errorf("read keys to destroy: %w", err)
	}
	defer rows.Close()
	var keks []uint64
	for rows.Next() {
		var kek uint64
		if err := rows.Scan(&kek); err != nil {
			return nil, fmt.Errorf("read keys to destroy: %w", err)
		}
		keks = append(keks, kek)
	}
	return keks, rows.Err()
}

// Undoom strikes the KEKs off: they are destroyed and every trace is cleaned.
func (v *Vault) Undoom(tx *db.Tx, keks []uint64) error {
	for _, kek := range keks {
		if _, err := tx.Exec("DELETE FROM vault_doomed WHERE kek = ?", kek); err != nil {
			return fmt.Errorf("strike off destroyed keys: %w", err)
		}
	}
	return nil
}

// RemoveBlobs deletes blobs whose keys are destroyed. Those that are gone already are no error.
func (v *Vault) RemoveBlobs(ctx context.Context, digests []blob.Digest) error {
	for _, d := range digests {
		if err := v.blobs.Delete(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
