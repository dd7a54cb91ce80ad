package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"guia"
	"guia/durable"
	"guia/ledger"
	"guia/permit"
)

// The escrow copies of the epoch keys lie in the data directory, one a key: they open with a recovery key only.
const (
	escrowFolder   = "escrow"
	recipientsFile = "recipients.txt"
)

func escrowPath(dir string, epoch int) string {
	return filepath.Join(dir, escrowFolder, fmt.Sprintf("epoch-%d.age", epoch))
}

// writeEscrow encrypts the epoch key in force to the recipients, replacing an earlier copy for this epoch, remembers the recipients
// for the next epoch, and records it. After a crash the copy may be there without its event; writing it again is harmless.
func writeEscrow(ctx context.Context, h *holder, actor guia.Actor, recipients []string) (path string, err error) {
	if err := h.Ledger.Do(ctx, actor, permit.ActEscrow, func(*ledger.Tx) error { return nil }); err != nil {
		return "", err
	}
	slices.Sort(recipients)
	recipients = slices.Compact(recipients)
	var copied bytes.Buffer
	if err := h.Keys.Escrow(&copied, recipients); err != nil {
		return "", err
	}
	path = escrowPath(h.Path, h.Keys.Epoch())
	folder := filepath.Dir(path)
	if err := durable.MkdirAll(folder, 0o700); err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", folder)
	}
	if err := durable.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", folder)
	}
	if err := durable.WriteFile(filepath.Join(folder, recipientsFile), []byte(strings.Join(recipients, "\n")+"\n"), 0o600); err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", folder)
	}
	return path, h.Ledger.Do(ctx, actor, permit.ActEscrow, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("count", fmt.Sprint(len(recipients)))
		f.Set("digest", fmt.Sprintf("sha256:%x %d", sha256.Sum256(copied.Bytes()), copied.Len()))
		_, err := tx.Record(guia.EscrowWritten, f)
		return err
	})
}

// readRecipients returns to whom the last escrow copy was encrypted; none when there is none.
func readRecipients(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, escrowFolder, recipientsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}
