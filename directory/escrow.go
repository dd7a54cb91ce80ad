package directory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"guia"
	"guia/durable"
	"guia/ledger"
	"guia/permit"
)

// EscrowFolder is where the escrow copies of the epoch keys lie, with the recipients of the last one in recipients.txt.
func (d *Directory) EscrowFolder() string { return filepath.Join(d.Path, "escrow") }

// EscrowPath is the escrow copy of one epoch key.
func (d *Directory) EscrowPath(epoch int) string {
	return filepath.Join(d.EscrowFolder(), fmt.Sprintf("epoch-%d.age", epoch))
}

func (d *Directory) recipientsPath() string { return filepath.Join(d.EscrowFolder(), "recipients.txt") }

// Recipients are those for whom the last escrow copy was written; none when there is none.
func (d *Directory) Recipients() ([]string, error) {
	text, err := os.ReadFile(d.recipientsPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, guia.RefuseCause(guia.Blocked, err, "directory.unreadable", d.EscrowFolder())
	}
	return strings.Fields(string(text)), nil
}

// WriteEscrow encrypts the epoch key in force to the recipients and to the known ones, or, where only is set and there are any, to the
// recipients alone: whoever can restore a backup today is not dropped by naming another. It replaces an earlier copy for this epoch,
// remembers the recipients for the next one, and records both. When it returns nil the copy is durable. After a crash it may be there
// without its event; writing it again is harmless.
func (d *Directory) WriteEscrow(ctx context.Context, actor guia.Actor, recipients []string, only bool) (path string, err error) {
	if err := d.Ledger.Do(ctx, actor, permit.ActEscrow, func(*ledger.Tx) error { return nil }); err != nil { // before anything is made
		return "", err
	}
	recipients = slices.Clone(recipients)
	if !only || len(recipients) == 0 {
		known, err := d.Recipients()
		if err != nil {
			return "", err
		}
		recipients = append(recipients, known...)
	}
	slices.Sort(recipients)
	recipients = slices.Compact(recipients)
	var copied bytes.Buffer
	if err := d.Keys.Escrow(&copied, recipients); err != nil {
		return "", err
	}
	path = d.EscrowPath(d.Keys.Epoch())
	err = durable.MkdirAll(d.EscrowFolder(), 0o700)
	if err == nil {
		err = durable.WriteFile(path, copied.Bytes(), 0o600)
	}
	if err == nil {
		err = durable.WriteFile(d.recipientsPath(), []byte(strings.Join(recipients, "\n")+"\n"), 0o600)
	}
	if err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", d.EscrowFolder())
	}
	return path, d.Ledger.Do(ctx, actor, permit.ActEscrow, func(tx *ledger.Tx) error {
		_, err := tx.Record(guia.EscrowWritten, escrowFields(copied.Bytes(), recipients))
		return err
	})
}

// RotateEpoch replaces the epoch key, records it, and writes the new escrow copy for the known recipients; without any it refuses, for
// nobody could open a backup made from then on. The order, with what is true after a crash behind each step:
//
//  1. the new epoch key is in force (package seal) — the escrow copy of this epoch is missing, and archive.Doctor says so
//  2. the change is recorded
//  3. the escrow copy is written and recorded
func (d *Directory) RotateEpoch(ctx context.Context, actor guia.Actor) (escrow string, err error) {
	if err := d.Ledger.Do(ctx, actor, permit.ActRotateEpoch, func(*ledger.Tx) error { return nil }); err != nil {
		return "", err
	}
	recipients, err := d.Recipients()
	if err != nil {
		return "", err
	}
	if len(recipients) == 0 {
		return "", guia.Refuse(guia.Blocked, "seal.no_recipient")
	}
	if err := d.Keys.Escrow(io.Discard, recipients); err != nil { // a copy could not be written afterwards
		return "", err
	}
	if err := d.Keys.RotateEpoch(ctx); err != nil { // 1
		return "", err
	}
	ctx = context.WithoutCancel(ctx)                                                 // what has begun is ended: a missing escrow copy is worse than waiting
	err = d.Ledger.Do(ctx, actor, permit.ActRotateEpoch, func(tx *ledger.Tx) error { // 2
		var f guia.Fields
		f.Set("count", strconv.Itoa(d.Keys.Epoch()))
		_, err := tx.Record(guia.EpochRotated, f)
		return err
	})
	if err != nil {
		return "", err
	}
	return d.WriteEscrow(ctx, actor, recipients, true) // 3
}

// EscrowDigest is how escrow.written names a copy.
func EscrowDigest(copied []byte) string {
	return fmt.Sprintf("sha256:%x %d", sha256.Sum256(copied), len(copied))
}

// escrowFields are the fields of escrow.written: which copy, and who can open it (their public keys).
func escrowFields(copied []byte, recipients []string) (f guia.Fields) {
	f.Set("count", strconv.Itoa(len(recipients)))
	f.Set("digest", EscrowDigest(copied))
	for i, r := range recipients[:min(len(recipients), 9999)] { // as many as there are names for; count says how many there were
		f.Set(fmt.Sprintf("recipient.%04d", i+1), r)
	}
	return f
}

// renewEscrow overwrites the escrow copies of earlier epochs and writes one of the epoch in force to the recipients of the last. It
// returns the copy and the recipients; none when nobody is known to encrypt to, or what should name them does not: an erasure ends also
// then, and archive.Doctor says that the copy is missing.
func (d *Directory) renewEscrow() (copied []byte, recipients []string, err error) {
	entries, err := os.ReadDir(d.EscrowFolder())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("renew escrow: %w", err)
	}
	current := d.EscrowPath(d.Keys.Epoch())
	for _, e := range entries {
		path := filepath.Join(d.EscrowFolder(), e.Name())
		if strings.HasSuffix(e.Name(), ".age") && path != current || durable.IsTemp(e.Name()) {
			if err := durable.Shred(path); err != nil {
				return nil, nil, fmt.Errorf("renew escrow: %w", err)
			}
		}
	}
	recipients, err = d.Recipients()
	if err != nil || len(recipients) == 0 {
		return nil, nil, err
	}
	var buf bytes.Buffer
	err = d.Keys.Escrow(&buf, recipients)
	if guia.KindOf(err) == guia.Invalid {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("renew escrow: %w", err)
	}
	if err := durable.WriteFile(current, buf.Bytes(), 0o600); err != nil {
		return nil, nil, fmt.Errorf("renew escrow: %w", err)
	}
	return buf.Bytes(), recipients, nil
}
