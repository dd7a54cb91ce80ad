package seal

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"guia"
	"guia/db"
	"guia/durable"
)

// The epoch key stands in a text file of one line, so that a person sees what it is and a scanner for secrets can find it.
const epochPrefix = "GUIA-EPOCH-KEY-1 "

func encodeEpoch(key []byte) string { return epochPrefix + hex.EncodeToString(key) + "\n" }

func decodeEpoch(text []byte) ([]byte, error) {
	digits, ok := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), epochPrefix)
	key, err := hex.DecodeString(digits)
	if !ok || err != nil || len(key) != KeySize || string(text) != encodeEpoch(key) { // one key has one spelling
		return nil, guia.Refuse(guia.Damaged, "seal.epoch_damaged")
	}
	return key, nil
}

func readEpoch(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return decodeEpoch(text)
}

// currentEpoch reads the epoch key of dir; nil when it is missing or unreadable and a change of epoch is under way, which overwrites the
// old file before it removes it: the next one may be in force then.
func currentEpoch(dir string) ([]byte, error) {
	epoch, err := readEpoch(filepath.Join(dir, epochName))
	if err == nil {
		return epoch, nil
	}
	if _, other := os.Stat(filepath.Join(dir, nextName)); other == nil {
		return nil, nil
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, guia.RefuseCause(guia.Damaged, err, "seal.epoch_missing", dir)
	case guia.KindOf(err) == 0:
		return nil, guia.RefuseCause(guia.Blocked, err, "db.unreadable", epochName)
	}
	return nil, err
}

// epochProof tells an epoch key from another without telling it.
func epochProof(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("guia.epoch/v1"))
	return h.Sum(nil)[:16]
}

// epochRow is what stands beside the two numbers of an epoch: the proof, and a keyed hash over the numbers, so that nobody else can set
// them: an identifier of a key used twice would be lost for the one or the other.
func epochRow(key []byte, number int, next uint64) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "guia.epoch.row/v1 %d %d", number, next)
	return h.Sum(epochProof(key))[:16+8]
}

func (k *Keeper) epochRow(next uint64) []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return epochRow(k.epoch, k.number, next)
}

// isProof reports whether what stands in the row belongs to the key.
func isProof(stored, key []byte) bool {
	return key != nil && len(stored) >= 16 && bytes.Equal(stored[:16], epochProof(key))
}

// firstEpoch makes what the key database of a new directory begins with.
func (k *Keeper) firstEpoch(ctx context.Context, epoch []byte) error {
	k.epoch, k.number = epoch, 1
	secret := wrap(newAEAD(epoch), randomKey(), secretContext(macName))
	return k.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec("INSERT INTO seal_secret (name, wrapped) VALUES (?, ?)", macName, secret); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO seal_epoch (one, number, proof, next) VALUES (1, 1, ?, 1)", epochRow(epoch, 1, 1))
		return err
	})
}

// chooseEpoch finds out which of the two epoch files the key database belongs to, after a crash during a change too: the current one,
// whose key is epoch (nil when it cannot be read), or the next.
func (k *Keeper) chooseEpoch(ctx context.Context, epoch []byte) (isNext bool, err error) {
	var proof []byte
	var following uint64
	err = k.db.QueryRow(ctx, "SELECT number, proof, next FROM seal_epoch WHERE one = 1").Scan(&k.number, &proof, &following)
	if errors.Is(err, sql.ErrNoRows) {
		return false, guia.RefuseCause(guia.Damaged, err, "seal.damaged", "epoch")
	}
	if err != nil {
		return false, fmt.Errorf("read epoch: %w", err)
	}
	k.epoch = epoch
	if !isProof(proof, epoch) {
		if k.epoch, err = readEpoch(filepath.Join(k.dir, nextName)); err != nil || !isProof(proof, k.epoch) {
			return false, guia.Refuse(guia.Damaged, "seal.epoch_foreign", k.dir)
		}
		isNext = true
	}
	if !bytes.Equal(epochRow(k.epoch, k.number, following), proof) {
		return false, guia.Refuse(guia.Damaged, "seal.damaged", "epoch")
	}
	return isNext, nil
}

// settleEpoch leaves only the epoch file that the key database belongs to.
func (k *Keeper) settleEpoch(ctx context.Context, epoch []byte) error {
	current, next := filepath.Join(k.dir, epochName), filepath.Join(k.dir, nextName)
	isNext, err := k.chooseEpoch(ctx, epoch)
	if err != nil {
		return err
	}
	if isNext { // the database has changed over: finish what the crash interrupted
		return k.finishEpoch(ctx, current, next)
	}
	if _, err := os.Stat(next); err == nil { // the change did not reach the database: it did not happen
		return durable.Shred(next)
	}
	return nil
}

// RotateEpoch replaces the epoch key and wraps every key anew. Afterwards older copies of the key database cannot be opened with
// anything this machine has. The order, with what is true after a crash behind each step:
//
//  1. the new epoch key is durable beside the old one — the old one is in force
//  2. all keys are wrapped anew, in one transaction — the new one is in force; Open finishes the rest
//  3. the log of the key database is truncated
//  4. the old file is overwritten and removed, the new one takes its name
func (k *Keeper) RotateEpoch(ctx context.Context) error {
	k.making.Lock()
	defer k.making.Unlock()
	current, next := filepath.Join(k.dir, epochName), filepath.Join(k.dir, nextName)
	// An earlier change may have stopped after 2: then the key in force stands in the next file alone, and must not be overwritten.
	if err := k.settleFiles(ctx, current, next); err != nil {
		return err
	}
	fresh := randomKey()
	if err := durable.WriteFile(next, []byte(encodeEpoch(fresh)), 0o600); err != nil { // 1
		return fmt.Errorf("rotate epoch: %w", err)
	}
	if err := k.rewrap(ctx, fresh); err != nil { // 2
		return fmt.Errorf("rotate epoch: %w", err)
	}
	k.mu.Lock()
	clear(k.epoch)
	k.epoch = fresh
	k.number++
	k.mu.Unlock()
	return k.finishEpoch(ctx, current, next)
}

// settleFiles ends a change of epoch whose keys were wrapped anew in this process and whose files were not moved.
func (k *Keeper) settleFiles(ctx context.Context, current, next string) error {
	standing, err := readEpoch(next)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil && guia.KindOf(err) != guia.Damaged {
		return fmt.Errorf("rotate epoch: %w", err)
	}
	k.mu.RLock()
	inForce := err == nil && bytes.Equal(standing, k.epoch)
	k.mu.RUnlock()
	if !inForce { // it never came into force
		return nil
	}
	return k.finishEpoch(ctx, current, next)
}

func (k *Keeper) finishEpoch(ctx context.Context, current, next string) error {
	if err := k.db.Scrub(ctx, true); err != nil { // 3
		return fmt.Errorf("rotate epoch: %w", err)
	}
	if err := durable.Shred(current); err != nil && !errors.Is(err, os.ErrNotExist) { // 4
		return fmt.Errorf("rotate epoch: %w", err)
	}
	if err := durable.Rename(next, current); err != nil {
		return fmt.Errorf("rotate epoch: %w", err)
	}
	return nil
}

// rewrap wraps every key and secret under the fresh epoch key in one transaction.
func (k *Keeper) rewrap(ctx context.Context, fresh []byte) error {
	old, renewed := k.epochAEAD(), newAEAD(fresh)
	type row struct {
		id      any
		wrapped []byte
	}
	var keys, secrets []row
	var bad error
	renew := func(rows *[]row, id any, wrapped, context []byte) {
		raw, err := unwrap(old, wrapped, context)
		if err != nil {
			bad = guia.RefuseCause(guia.Damaged, err, "seal.damaged", fmt.Sprintf("key %v", id))
			return
		}
		*rows = append(*rows, row{id, wrap(renewed, raw, context)})
		clear(raw)
	}
	err := k.each(ctx, func(id uint64, name KeyName, wrapped []byte) { renew(&keys, id, wrapped, kekContext(id, name)) })
	if err != nil {
		return err
	}
	err = k.eachSecret(ctx, func(name string, wrapped []byte) { renew(&secrets, name, wrapped, secretContext(name)) })
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	return k.db.Write(ctx, func(tx *db.Tx) error {
		for _, r := range keys {
			if _, err := tx.Exec("UPDATE seal_key SET wrapped = ? WHERE id = ?", r.wrapped, r.id); err != nil {
				return err
			}
		}
		for _, r := range secrets {
			if _, err := tx.Exec("UPDATE seal_secret SET wrapped = ? WHERE name = ?", r.wrapped, r.id); err != nil {
				return err
			}
		}
		var number int
		var following uint64
		if err := tx.QueryRow("SELECT number, next FROM seal_epoch WHERE one = 1", nil, &number, &following); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE seal_epoch SET number = ?, proof = ? WHERE one = 1", number+1, epochRow(fresh, number+1, following))
		return err
	})
}

// Escrow writes the epoch key, encrypted with age to the recipients ("age1…"), to w. Whoever holds one of their identities and a
// backup can restore the directory; nobody else can.
func (k *Keeper) Escrow(w io.Writer, recipients []string) error {
	var to []age.Recipient
	for _, r := range recipients {
		recipient, err := age.ParseX25519Recipient(strings.TrimSpace(r))
		if err != nil {
			return guia.RefuseCause(guia.Invalid, err, "seal.recipient", r)
		}
		to = append(to, recipient)
	}
	if len(to) == 0 {
		return guia.Refuse(guia.Invalid, "seal.no_recipient")
	}
	armored := armor.NewWriter(w)
	enc, err := age.Encrypt(armored, to...)
	if err != nil {
		return fmt.Errorf("write escrow: %w", err)
	}
	k.mu.RLock()
	text := encodeEpoch(k.epoch)
	k.mu.RUnlock()
	if _, err := io.WriteString(enc, text); err != nil {
		return fmt.Errorf("write escrow: %w", err)
	}
	return errors.Join(enc.Close(), armored.Close())
}

// RestoreEpoch opens an escrow copy with the identities ("AGE-SECRET-KEY-1…", one a line, comments with #) and puts the epoch key
// into dir, durable on return. It refuses when dir has an epoch key.
func RestoreEpoch(dir string, escrow, identities io.Reader) error {
	ids, err := age.ParseIdentities(identities)
	if err != nil {
		return guia.RefuseCause(guia.Invalid, err, "seal.identity")
	}
	dec, err := age.Decrypt(armor.NewReader(io.LimitReader(escrow, 1<<20)), ids...)
	if _, foreign := errors.AsType[*age.NoIdentityMatchError](err); foreign {
		return guia.RefuseCause(guia.Denied, err, "seal.escrow_closed")
	}
	if err != nil {
		return guia.RefuseCause(guia.Damaged, err, "seal.escrow_damaged")
	}
	text, err := io.ReadAll(io.LimitReader(dec, 4096))
	if err != nil {
		return guia.RefuseCause(guia.Damaged, err, "seal.escrow_damaged")
	}
	if _, err := decodeEpoch(text); err != nil {
		return guia.RefuseCause(guia.Damaged, err, "seal.escrow_damaged")
	}
	path := filepath.Join(dir, epochName)
	if _, err := os.Stat(path); err == nil {
		return guia.Refuse(guia.Conflict, "seal.epoch_exists", dir)
	}
	return durable.WriteFile(path, text, 0o600)
}

// RecipientsIn returns the recipients of the age identities that stand in a text, whatever else stands there.
func RecipientsIn(text []byte) (recipients []string) {
	for _, word := range bytes.FieldsFunc(text, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) {
		at := bytes.Index(word, []byte("AGE-SECRET-KEY-1"))
		if at < 0 {
			continue
		}
		if id, err := age.ParseX25519Identity(string(word[at:])); err == nil {
			recipients = append(recipients, id.Recipient().String())
		}
	}
	return recipients
}

// NewIdentity returns a fresh age identity (to be kept far from this machine) and its recipient (to encrypt to).
func NewIdentity() (identity, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", err
	}
	return id.String(), id.Recipient().String(), nil
}
