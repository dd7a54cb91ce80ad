// Package seal encrypts for a while: envelope encryption whose keys can be forgotten on purpose.
//
// The model has three floors. A slot (some fields of one event) is encrypted under a random slot key that is used for nothing else.
// The slot key is wrapped under a key-encryption key (KEK) that belongs to one owner (a person, or a stream) and one retention class.
// All KEKs stand in the key database, wrapped under the epoch key, which stands in a file that no backup contains. Destroying a
// KEK makes everything under it unreadable at once, together with the salts of its commitments; replacing the epoch key afterwards
// makes every older copy of the key database useless.
//
// Guaranteed: a KEK that [Keeper.Keys] returned is durable. After [Keeper.Destroy] returns, the KEK's bytes are in neither the key
// database nor its log, and no copy stays in this process's cache. A crash during [Keeper.RotateEpoch] leaves the old or the new
// epoch in force, never neither.
//
// Not guaranteed: that a drive or a file system which copies on write does not keep old blocks (docs/threats.md), and that the Go
// runtime leaves no copy of a key in memory.
package seal

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"guia"
	"guia/db"
	"guia/durable"
)

// KeySize is the size of every symmetric key in bytes.
const KeySize = 32

// WrapSize is the size of a wrapped key: nonce, key, tag.
const WrapSize = 12 + KeySize + 16

// ErrForgotten says that the key was destroyed on purpose: what it sealed cannot be read any more, by anyone.
var ErrForgotten = errors.New("key was destroyed")

// Owner is whose key it is: a keyed hash, so that the key database does not name people.
type Owner [16]byte

// KeyName asks for the KEK of one owner and one retention class.
type KeyName struct {
	Owner Owner
	Class string
}

// KEK is a key-encryption key in memory.
type KEK struct {
	ID   uint64
	aead cipher.AEAD
}

// Keeper keeps the keys of one data directory. Methods may be called by many goroutines.
type Keeper struct {
	dir string
	db  *db.DB

	mu     sync.RWMutex
	epoch  []byte // the epoch key
	number int
	byName map[KeyName]*KEK
	byID   map[uint64]*KEK
	mac    mac // keyed with the secret under all keyed hashes

	making sync.Mutex // one goroutine makes keys or rotates at a time
}

const (
	databaseName = "keys.db"
	epochName    = "epoch.key"
	nextName     = "epoch.key.next"
	macName      = "mac" // the secret under all keyed hashes
	cachedKeys   = 65536 // about 100 MB; beyond it the cache starts afresh
)

// Create makes the key database and the first epoch key in dir. Both are durable on return. It refuses when they exist.
func Create(ctx context.Context, dir string) (*Keeper, error) {
	for _, name := range []string{epochName, databaseName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil, fmt.Errorf("create keys: %s exists", name)
		}
	}
	epoch := randomKey()
	if err := durable.WriteFile(filepath.Join(dir, epochName), []byte(encodeEpoch(epoch)), 0o600); err != nil {
		return nil, fmt.Errorf("create keys: %w", err)
	}
	d, err := db.Open(ctx, filepath.Join(dir, databaseName), options(false))
	if err != nil {
		return nil, err
	}
	return newKeeper(ctx, dir, d, func(k *Keeper) error { return k.firstEpoch(ctx, epoch) })
}

// Open opens the keys of dir and finishes an epoch change that a crash interrupted. A missing or foreign epoch key and a missing key
// database are damage; nothing is made in their place, for a fresh one would hide that.
func Open(ctx context.Context, dir string) (*Keeper, error) {
	epoch, err := currentEpoch(dir)
	if err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, filepath.Join(dir, databaseName), options(true))
	if err != nil {
		return nil, err
	}
	return newKeeper(ctx, dir, d, func(k *Keeper) error { return k.settleEpoch(ctx, epoch) })
}

// View opens the keys of dir for reading, as they are: nothing is made or destroyed, and an epoch change that a crash interrupted stays
// so. Keys that exist are found, and what they sealed can be read; the medium need not be writable.
func View(ctx context.Context, dir string) (*Keeper, error) {
	epoch, err := currentEpoch(dir)
	if err != nil {
		return nil, err
	}
	d, err := db.OpenReadOnly(ctx, filepath.Join(dir, databaseName), db.Keys())
	if err != nil {
		return nil, err
	}
	return newKeeper(ctx, dir, d, func(k *Keeper) error {
		_, err := k.chooseEpoch(ctx, epoch)
		return err
	})
}

func options(existing bool) db.Options {
	return db.Options{Durability: db.Durable, Forgetful: true, Migrations: db.Keys(), Readers: 2, Existing: existing}
}

// newKeeper keeps the keys in d, whose epoch key begin finds or makes. It closes d on an error.
func newKeeper(ctx context.Context, dir string, d *db.DB, begin func(*Keeper) error) (*Keeper, error) {
	k := &Keeper{dir: dir, db: d, byName: map[KeyName]*KEK{}, byID: map[uint64]*KEK{}}
	if err := begin(k); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	key, found, err := k.secret(ctx, macName)
	if err != nil || !found {
		return nil, errors.Join(cmp.Or(err, guia.Refuse(guia.Damaged, "seal.damaged", "secret "+macName)), d.Close())
	}
	k.mac = newMAC(key)
	clear(key)
	return k, nil
}

// Close closes the key database and drops the keys from memory as far as Go allows.
func (k *Keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.epoch)
	k.mac = mac{}
	k.byName, k.byID = nil, nil
	return k.db.Close()
}

// Epoch is the number of the epoch key in force, counted from 1.
func (k *Keeper) Epoch() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.number
}

// Owner returns the keyed hash of whose key it is. kind ("person", "stream") and parts are joined unambiguously.
func (k *Keeper) Owner(kind string, parts ...string) (o Owner) {
	return Owner(k.MAC("owner:"+kind, parts...))
}

// MAC returns the first 16 bytes of a keyed hash over the label and the parts, each preceded by its length. The key never leaves the
// key database except in memory. Labels separate uses.
func (k *Keeper) MAC(label string, parts ...string) [16]byte {
	size := len(k.mac.inner) + 8 + len(label)
	for _, p := range parts {
		size += 8 + len(p)
	}
	var short [2048]byte // most messages; it stays on the stack
	message := short[:0]
	if size > len(short) {
		message = make([]byte, 0, size)
	}
	message = append(message, k.mac.inner[:]...)
	message = append(binary.BigEndian.AppendUint64(message, uint64(len(label))), label...)
	for _, p := range parts {
		message = append(binary.BigEndian.AppendUint64(message, uint64(len(p))), p...)
	}
	full := k.mac.sum(message)
	return [16]byte(full[:16])
}

// Keys returns the KEKs of the names in their order and makes those that do not exist, all in one durable transaction. A KEK
// without any record under it is harmless: a crash after this call leaves some.
func (k *Keeper) Keys(ctx context.Context, names []KeyName) ([]*KEK, error) {
	keys := make([]*KEK, len(names))
	if k.cached(names, keys) {
		return keys, nil
	}
	k.making.Lock()
	defer k.making.Unlock()
	if k.cached(names, keys) {
		return keys, nil
	}
	fresh := map[KeyName]*KEK{}
	err := k.db.Write(ctx, func(tx *db.Tx) error {
		var next uint64
		if err := tx.QueryRow("SELECT next FROM seal_epoch WHERE one = 1", nil, &next); err != nil {
			return err
		}
		first := next
		for i, name := range names {
			if keys[i] != nil || fresh[name] != nil {
				continue
			}
			var id uint64
			var wrapped []byte
			err := tx.QueryRow("SELECT id, wrapped FROM seal_key WHERE owner = ? AND class = ?", []any{name.Owner[:], name.Class}, &id, &wrapped)
			switch {
			case err == nil:
				kek, err := k.unwrapKEK(id, name, wrapped)
				if err != nil {
					return err
				}
				fresh[name] = kek
			case errors.Is(err, sql.ErrNoRows):
				raw := randomKey()
				wrapped := wrap(k.epochAEAD(), raw, kekContext(next, name))
				if _, err := tx.Exec("INSERT INTO seal_key (id, owner, class, wrapped) VALUES (?, ?, ?, ?)", next, name.Owner[:], name.Class, wrapped); err != nil {
					return err
				}
				fresh[name] = &KEK{ID: next, aead: newAEAD(raw)}
				next++
			default:
				return err
			}
		}
		if next == first {
			return nil
		}
		_, err := tx.Exec("UPDATE seal_epoch SET next = ?, proof = ? WHERE one = 1", next, k.epochRow(next))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	k.mu.Lock()
	for name, kek := range fresh {
		k.remember(name, kek)
	}
	k.mu.Unlock()
	for i, name := range names {
		if keys[i] == nil {
			keys[i] = fresh[name]
		}
	}
	return keys, nil
}

// cached fills keys from memory and reports whether all were there.
func (k *Keeper) cached(names []KeyName, keys []*KEK) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	all := true
	for i, name := range names {
		if keys[i] = k.byName[name]; keys[i] == nil {
			all = false
		}
	}
	return all
}

// remember puts a KEK into the cache; the caller holds mu.
func (k *Keeper) remember(name KeyName, kek *KEK) {
	if len(k.byID) >= cachedKeys {
		clear(k.byName)
		clear(k.byID)
	}
	k.byName[name] = kek
	k.byID[kek.ID] = kek
}

// Key returns the KEK with that id, or [ErrForgotten] when it was destroyed (or never existed: the two cannot be told apart).
func (k *Keeper) Key(ctx context.Context, id uint64) (*KEK, error) {
	k.mu.RLock()
	kek := k.byID[id]
	k.mu.RUnlock()
	if kek != nil {
		return kek, nil
	}
	k.making.Lock()
	defer k.making.Unlock()
	var name KeyName
	var owner, wrapped []byte
	err := k.db.QueryRow(ctx, "SELECT owner, class, wrapped FROM seal_key WHERE id = ?", id).Scan(&owner, &name.Class, &wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrForgotten
	}
	if err != nil {
		return nil, fmt.Errorf("read key %d: %w", id, err)
	}
	copy(name.Owner[:], owner)
	if kek, err = k.unwrapKEK(id, name, wrapped); err != nil {
		return nil, err
	}
	k.mu.Lock()
	k.remember(name, kek)
	k.mu.Unlock()
	return kek, nil
}

// Existing returns the ids of the owner's KEKs by retention class.
func (k *Keeper) Existing(ctx context.Context, owner Owner) (map[string]uint64, error) {
	rows, err := k.db.Query(ctx, "SELECT class, id FROM seal_key WHERE owner = ?", owner[:])
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	defer rows.Close()
	ids := map[string]uint64{}
	for rows.Next() {
		var class string
		var id uint64
		if err := rows.Scan(&class, &id); err != nil {
			return nil, err
		}
		ids[class] = id
	}
	return ids, rows.Err()
}

// Destroy forgets the KEKs. On return they are in neither the key database nor its log; the caller still has to replace the epoch
// key ([Keeper.RotateEpoch]) before older copies of the key database are useless too. After a crash in the middle all or none of
// the rows are gone; calling again finishes the log.
func (k *Keeper) Destroy(ctx context.Context, ids []uint64) error {
	k.making.Lock()
	defer k.making.Unlock()
	err := k.db.Write(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec("DELETE FROM seal_key WHERE id = ?", id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("destroy keys: %w", err)
	}
	k.mu.Lock()
	clear(k.byName) // simpler than a reverse index, and destruction is rare
	clear(k.byID)
	k.mu.Unlock()
	return k.db.Scrub(ctx, true)
}

// Count is how many KEKs there are.
func (k *Keeper) Count(ctx context.Context) (n int, err error) {
	err = k.db.QueryRow(ctx, "SELECT COUNT(*) FROM seal_key").Scan(&n)
	return n, err
}

// Secret returns a named secret, such as the log's signing key, and whether it exists.
func (k *Keeper) Secret(ctx context.Context, name string) ([]byte, bool, error) {
	k.making.Lock()
	defer k.making.Unlock()
	return k.secret(ctx, name)
}

// SetSecret stores a named secret under the epoch key. It is durable on return; an earlier value is then in neither the key database nor
// its log. After a crash in the middle the earlier or the new value is in force; calling again finishes the log.
func (k *Keeper) SetSecret(ctx context.Context, name string, value []byte) error {
	k.making.Lock() // a change of epoch in between would leave it under the old key
	defer k.making.Unlock()
	var earlier int
	if err := k.db.QueryRow(ctx, "SELECT COUNT(*) FROM seal_secret WHERE name = ?", name).Scan(&earlier); err != nil {
		return fmt.Errorf("set secret %s: %w", name, err)
	}
	if err := k.setSecret(ctx, name, value); err != nil || earlier == 0 {
		return err
	}
	return k.db.Scrub(ctx, true)
}

func (k *Keeper) setSecret(ctx context.Context, name string, value []byte) error {
	wrapped := wrap(k.epochAEAD(), value, secretContext(name))
	return k.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("INSERT INTO seal_secret (name, wrapped) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET wrapped = excluded.wrapped", name, wrapped)
		return err
	})
}

// secret reads a named secret.
func (k *Keeper) secret(ctx context.Context, name string) (value []byte, found bool, err error) {
	var wrapped []byte
	err = k.db.QueryRow(ctx, "SELECT wrapped FROM seal_secret WHERE name = ?", name).Scan(&wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read secret %s: %w", name, err)
	}
	if value, err = unwrap(k.epochAEAD(), wrapped, secretContext(name)); err != nil {
		return nil, false, guia.RefuseCause(guia.Damaged, err, "seal.damaged", "secret "+name)
	}
	return value, true, nil
}

// Check reads and unwraps everything in the key database and returns what is damaged.
func (k *Keeper) Check(ctx context.Context) ([]string, error) {
	k.making.Lock() // a change of epoch in between would look like damage
	defer k.making.Unlock()
	found, err := k.db.Integrity(ctx)
	if err != nil {
		return nil, err
	}
	err = k.each(ctx, func(id uint64, name KeyName, wrapped []byte) {
		if _, err := unwrap(k.epochAEAD(), wrapped, kekContext(id, name)); err != nil {
			found = append(found, fmt.Sprintf("key %d does not open under the epoch key", id))
		}
	})
	if err != nil {
		return found, err
	}
	err = k.eachSecret(ctx, func(name string, wrapped []byte) {
		if _, err := unwrap(k.epochAEAD(), wrapped, secretContext(name)); err != nil {
			found = append(found, fmt.Sprintf("secret %s does not open under the epoch key", name))
		}
	})
	return found, err
}

func (k *Keeper) each(ctx context.Context, fn func(id uint64, name KeyName, wrapped []byte)) error {
	rows, err := k.db.Query(ctx, "SELECT id, owner, class, wrapped FROM seal_key ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id uint64
		var name KeyName
		var owner, wrapped []byte
		if err := rows.Scan(&id, &owner, &name.Class, &wrapped); err != nil {
			return err
		}
		copy(name.Owner[:], owner)
		fn(id, name, wrapped)
	}
	return rows.Err()
}

func (k *Keeper) eachSecret(ctx context.Context, fn func(name string, wrapped []byte)) error {
	rows, err := k.db.Query(ctx, "SELECT name, wrapped FROM seal_secret ORDER BY name")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var wrapped []byte
		if err := rows.Scan(&name, &wrapped); err != nil {
			return err
		}
		fn(name, wrapped)
	}
	return rows.Err()
}

func (k *Keeper) unwrapKEK(id uint64, name KeyName, wrapped []byte) (*KEK, error) {
	raw, err := unwrap(k.epochAEAD(), wrapped, kekContext(id, name))
	if err != nil {
		return nil, guia.RefuseCause(guia.Damaged, err, "seal.damaged", fmt.Sprintf("key %d", id))
	}
	return &KEK{ID: id, aead: newAEAD(raw)}, nil
}

func (k *Keeper) epochAEAD() cipher.AEAD {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return newAEAD(k.epoch)
}

func kekContext(id uint64, name KeyName) []byte {
	b := binary.BigEndian.AppendUint64([]byte("guia.key/v1"), id)
	b = append(b, name.Owner[:]...)
	return append(b, name.Class...)
}

func secretContext(name string) []byte { return []byte("guia.secret/v1" + name) }

// randomKey returns 32 random bytes.
func randomKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key)
	return key
}

// newAEAD returns AES-256-GCM with a random nonce in front of each ciphertext.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func wrap(aead cipher.AEAD, key, context []byte) []byte { return aead.Seal(nil, nil, key, context) }

func unwrap(aead cipher.AEAD, wrapped, context []byte) ([]byte, error) {
	return aead.Open(nil, nil, bytes.Clone(wrapped), context)
}
