// Package vault keeps content, encrypted, for as long as it must be kept and no longer.
//
// The model: the fields of an event fall into slots (guia.Slot), each encrypted under a slot key that is wrapped under the key of
// whoever the content belongs to: a person, or a stream, each per retention class (package seal). The encrypted slots of one event
// are one row, beside the event in the main database; attachments and bodies larger than inlineLimit are encrypted files in the
// blob store. From a slot key come also the salts of the slot's commitments, so that forgetting the key forgets the proof of the
// content together with the content, and nothing else.
//
// [Vault.Put] is pure but for blobs: it needs no transaction and may run in many goroutines. The row it returns is stored by the
// ledger in the transaction that stores the event. A blob whose event was never committed is an orphan; [Vault.Sweep] removes it.
//
// docs/format/vault.md fixes the bytes of a row.
package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"guia"
	"guia/blob"
	"guia/canon"
	"guia/db"
	"guia/seal"
)

// inlineLimit is the largest encrypted body kept in the row; measured, files are no slower above it.
const inlineLimit = 256 << 10

// RawLimit is the largest raw record kept as a field; a larger one is kept as a file (raw.file).
const RawLimit = 64 << 10

// identityClass is the retention class of the identity slot: a name goes with the person, not with the record.
const identityClass = "identity"

// Vault keeps the content of one data directory. Methods may be called by many goroutines.
type Vault struct {
	keys   *seal.Keeper
	blobs  blob.Store
	db     *db.DB
	recent *recent
}

// Open returns the vault over the keys, blobs and main database of one directory. It does not own them.
func Open(keys *seal.Keeper, blobs blob.Store, main *db.DB) *Vault {
	return &Vault{keys, blobs, main, newRecent()}
}

// Content is what goes into the vault for one event: its header (without stream and counter, which the ledger gives), its fields
// (canonical, canon.CheckFields), and the files whose digests are still to be computed.
type Content struct {
	Header guia.Header
	Fields guia.Fields
	Files  []File

	Class  string // retention class
	Stream string // the source's identifier of the conversation or feed
	Person string // the source's identifier of the person whose content it is, empty when nobody's

	names *[len(guia.Slots)]seal.KeyName // computed once, by Keys or Put
}

// File is a file-valued field to be: raw.file or file.NNNN.
type File struct {
	Field string
	Open  func() (io.ReadCloser, error)
}

// Sealed is an event ready to be committed.
type Sealed struct {
	Header     guia.Header
	Stream     seal.Owner
	FieldCount int
	FieldsHash [sha256.Size]byte
	Row        []byte
}

// Keys are the KEKs that sealing a batch of contents needs, made before so that sealing does no I/O.
type Keys map[seal.KeyName]*seal.KEK

// StreamOwner and PersonOwner return whose keys a record hangs on; a person is one per source until people links them.
func (v *Vault) StreamOwner(source guia.SourceName, stream string) seal.Owner {
	return v.keys.Owner("stream", string(source), stream)
}

// PersonOwner returns the owner of a person's keys; its bytes are also the person's pseudonym (guia.PersonID).
func (v *Vault) PersonOwner(source guia.SourceName, person string) seal.Owner {
	return v.keys.Owner("person", string(source), person)
}

// MAC is a keyed hash for whoever must recognise personal values without storing them (intake).
func (v *Vault) MAC(label string, parts ...string) [16]byte { return v.keys.MAC(label, parts...) }

// names returns the KEK name of each slot of c.
func (v *Vault) names(c *Content) *[len(guia.Slots)]seal.KeyName {
	if c.names != nil {
		return c.names
	}
	names := new([len(guia.Slots)]seal.KeyName)
	stream := seal.KeyName{Owner: v.StreamOwner(c.Header.Source, c.Stream), Class: c.Class}
	person := stream
	identity := seal.KeyName{Owner: stream.Owner, Class: identityClass}
	if c.Person != "" {
		person.Owner = v.PersonOwner(c.Header.Source, c.Person)
		identity.Owner = person.Owner
	}
	names[guia.SlotRecord-1], names[guia.SlotIdentity-1] = stream, identity
	names[guia.SlotContent-1], names[guia.SlotRaw-1] = person, person
	c.names = names
	return names
}

// Keys returns the KEKs for the contents, making those that are missing; they are durable on return.
func (v *Vault) Keys(ctx context.Context, contents []*Content) (Keys, error) {
	keys := Keys{}
	var missing []seal.KeyName
	for _, c := range contents {
		for _, name := range v.names(c) {
			if _, ok := keys[name]; !ok {
				keys[name] = nil
				missing = append(missing, name)
			}
		}
	}
	made, err := v.keys.Keys(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, name := range missing {
		keys[name] = made[i]
	}
	return keys, nil
}

// UnreadableError says that a file that was to be kept could not be read to its end: the input is damaged, or its medium.
type UnreadableError struct {
	Field string
	Err   error
}

// Error names the field.
func (e *UnreadableError) Error() string { return fmt.Sprintf("read %s: %v", e.Field, e.Err) }

// Unwrap returns the cause.
func (e *UnreadableError) Unwrap() error { return e.Err }

// Put encrypts c and commits to every field. Blobs are durable on return; the row is not stored yet. It adds the digests of
// c.Files to c.Fields. On an error nothing but orphan blobs exists; an [UnreadableError] names the file that is to blame.
func (v *Vault) Put(ctx context.Context, keys Keys, c *Content) (Sealed, error) {
	names := v.names(c)
	s := Sealed{Header: c.Header, Stream: names[guia.SlotRecord-1].Owner}
	if len(c.Fields) == 0 {
		return s, errors.New("event without fields")
	}
	if c.Header.Captured.IsZero() {
		s.Header.Captured = time.Now().UTC().Truncate(time.Millisecond)
	}
	var w [len(guia.Slots)]*slotWriter
	slot := func(number guia.Slot) *slotWriter {
		if w[number-1] == nil {
			kek := keys[names[number-1]]
			context := slotContext(c.Header.Record, number)
			key, wrapped := seal.NewSlot(kek, context)
			w[number-1] = &slotWriter{number: number, kek: kek.ID, key: key, wrapped: wrapped, context: context}
		}
		return w[number-1]
	}
	for _, f := range c.Files {
		number, ok := guia.SlotOf(f.Field)
		if !ok || !canon.IsFile(f.Field) {
			return s, fmt.Errorf("field %s holds no file", f.Field)
		}
		ref, digest, err := v.putFile(ctx, slot(number).key, f)
		if err != nil {
			return s, fmt.Errorf("keep %s: %w", f.Field, err)
		}
		c.Fields.Set(f.Field, ref.String())
		slot(number).files = append(slot(number).files, fileRef{f.Field, digest})
	}
	if err := canon.CheckFields(c.Fields); err != nil {
		return s, err
	}
	room := rooms.Get().(*room)
	defer room.leave()
	for _, f := range c.Fields {
		number, _ := guia.SlotOf(f.Name)
		room.slots = append(room.slots, number)
		room.commitments = append(room.commitments, canon.Commitment{Name: f.Name, Hash: canon.Commit(slot(number).key.Salt(f.Name), f.Value)})
	}
	s.FieldCount, s.FieldsHash = len(room.commitments), canon.FieldsHash(room.commitments)
	room.row = append(room.row, rowVersion)
	for _, number := range guia.Slots {
		into := w[number-1]
		if into == nil {
			continue
		}
		packed, content := room.pack(number, c.Fields)
		if len(packed) > maxBody { // it could not be read back
			return s, fmt.Errorf("slot %s has %d bytes, more than %d", number, len(packed), maxBody)
		}
		room.body = compress(room.body[:0], packed, content)
		if len(room.body)+seal.Overhead > inlineLimit {
			digest, _, err := v.blobs.Put(ctx, bytes.NewReader(into.key.Seal(nil, room.body, into.context)))
			if err != nil {
				return s, fmt.Errorf("keep slot %s: %w", number, err)
			}
			room.row = append(into.appendHead(room.row, slotOutside), digest[:]...)
			continue
		}
		room.row = binary.AppendUvarint(into.appendHead(room.row, slotInline), uint64(len(room.body)+seal.Overhead))
		room.row = into.key.Seal(room.row, room.body, into.context)
	}
	s.Row = bytes.Clone(room.row)
	v.recent.put(c.Header.Record, s.Row, c.Fields)
	return s, nil
}

// putFile encrypts a file into the blob store while it is read, and returns what the field says of the plaintext and where the
// ciphertext is. Memory is a few segments.
func (v *Vault) putFile(ctx context.Context, key *seal.Slot, f File) (canon.FileRef, blob.Digest, error) {
	r, err := f.Open()
	if err != nil {
		return canon.FileRef{}, blob.Digest{}, &UnreadableError{f.Field, err}
	}
	defer r.Close()
	from := &watched{r: r}
	pr, pw := io.Pipe()
	var ref canon.FileRef
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		ref.Digest, ref.Size, err = key.Encrypt(f.Field, pw, from)
		pw.CloseWithError(err)
	}()
	digest, _, err := v.blobs.Put(ctx, pr)
	pr.CloseWithError(err) // unblocks the writer when the store gave up
	<-done
	if err != nil && from.err != nil {
		err = &UnreadableError{f.Field, from.err}
	}
	return ref, digest, err
}

// watched remembers why reading failed.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// Insert stores the rows of events that got their places in the ledger, from first on, in the ledger's transaction.
func (v *Vault) Insert(tx *db.Tx, first guia.Seq, rows [][]byte) error {
	return tx.InsertPacked("vault_row", uint64(first), rows)
}

// Row returns the stored row of an event, or a refusal of kind damaged when there is none.
func (v *Vault) Row(ctx context.Context, seq guia.Seq) (row []byte, err error) {
	err = v.Rows(ctx, seq, seq+1, func(_ guia.Seq, r []byte) error {
		row = bytes.Clone(r)
		return nil
	})
	if err == nil && row == nil {
		err = guia.Refuse(guia.Damaged, "ledger.row_missing", uint64(seq))
	}
	return row, err
}

// Rows calls fn with the stored rows of events from first to before end, in order. fn must not keep the row.
func (v *Vault) Rows(ctx context.Context, first, end guia.Seq, fn func(seq guia.Seq, row []byte) error) error {
	err := v.db.Packed(ctx, "vault_row", uint64(first), uint64(end), func(n uint64, row []byte) error { return fn(guia.Seq(n), row) })
	if err != nil {
		return fmt.Errorf("read contents: %w", err)
	}
	return nil
}

// Disclosure is one field of an event with what is needed to check it against the leaf.
type Disclosure struct {
	Name       string
	Value      []byte
	Salt       [canon.SaltSize]byte
	Commitment [sha256.Size]byte
	Forgotten  bool // the key was destroyed: only name and commitment are left
}

// Read decrypts the row of an event into its fields. Fields whose keys were destroyed are listed in Withheld.
// Damage is a refusal of kind damaged that names the event and the slot.
func (v *Vault) Read(ctx context.Context, seq guia.Seq, header guia.Header, row []byte) (guia.Event, error) {
	return v.read(ctx, seq, header, row, guia.SlotRaw)
}

// ReadWithoutRaw is [Vault.Read] without the bytes as received, for followers.
func (v *Vault) ReadWithoutRaw(ctx context.Context, seq guia.Seq, header guia.Header, row []byte) (guia.Event, error) {
	if fields, ok := v.recent.take(header.Record, row); ok {
		return guia.Event{Seq: seq, Header: header, Fields: fields}, nil
	}
	return v.read(ctx, seq, header, row, guia.SlotContent)
}

func (v *Vault) read(ctx context.Context, seq guia.Seq, header guia.Header, row []byte, last guia.Slot) (guia.Event, error) {
	e := guia.Event{Seq: seq, Header: header}
	slots, err := v.unpack(ctx, seq, header.Record, row, last)
	if err != nil {
		return e, err
	}
	e.Fields = merged(slots)
	for _, s := range slots {
		for _, c := range s.forgotten {
			e.Withheld = append(e.Withheld, c.Name)
		}
	}
	return e, nil
}

// Disclose decrypts the row with salts and commitments, in ascending order of name, and checks that they hash to what the leaf says.
func (v *Vault) Disclose(ctx context.Context, seq guia.Seq, leaf canon.Leaf, row []byte) ([]Disclosure, error) {
	slots, err := v.unpack(ctx, seq, leaf.Record, row, guia.SlotRaw)
	if err != nil {
		return nil, err
	}
	all := make([]Disclosure, 0, leaf.FieldCount)
	for _, s := range slots {
		for _, f := range s.fields {
			d := Disclosure{Name: f.Name, Value: f.Value, Salt: s.key.Salt(f.Name)}
			d.Commitment = canon.Commit(d.Salt, f.Value)
			all = append(all, d)
		}
		for _, c := range s.forgotten {
			all = append(all, Disclosure{Name: c.Name, Commitment: c.Hash, Forgotten: true})
		}
	}
	sortDisclosures(all)
	commitments := make([]canon.Commitment, len(all))
	for i, d := range all {
		commitments[i] = canon.Commitment{Name: d.Name, Hash: d.Commitment}
	}
	if len(all) != leaf.FieldCount || canon.FieldsHash(commitments) != leaf.FieldsHash {
		return nil, guia.Refuse(guia.Damaged, "vault.differs", uint64(seq), len(all), leaf.FieldCount)
	}
	return all, nil
}

// OpenFile writes the plaintext of a file-valued field to w and checks it against the field. What was written before an error is not
// to be used.
func (v *Vault) OpenFile(ctx context.Context, seq guia.Seq, header guia.Header, row []byte, field string, w io.Writer) error {
	slots, err := v.unpack(ctx, seq, header.Record, row, guia.SlotRaw)
	if err != nil {
		return err
	}
	for _, s := range slots {
		for _, f := range s.files {
			if f.field != field {
				continue
			}
			want, err := canon.ParseFileRef(guia.Fields(s.fields).Get(field))
			if err != nil {
				return guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(seq), s.number.String())
			}
			return v.copyFile(ctx, seq, s.key, f, want, w)
		}
	}
	return guia.Refuse(guia.NotFound, "vault.no_file", uint64(seq), field)
}

func (v *Vault) copyFile(ctx context.Context, seq guia.Seq, key *seal.Slot, f fileRef, want canon.FileRef, w io.Writer) error {
	r, err := v.blobs.Open(ctx, f.digest)
	if err != nil {
		return guia.RefuseCause(guia.Damaged, err, "vault.file_damaged", uint64(seq), f.field)
	}
	defer r.Close()
	sum := sha256.New()
	size := &counter{}
	if err := key.Decrypt(f.field, io.MultiWriter(sum, size, w), r); err != nil {
		return guia.RefuseCause(guia.Damaged, err, "vault.file_damaged", uint64(seq), f.field)
	}
	if got := (canon.FileRef{Digest: [32]byte(sum.Sum(nil)), Size: size.n}); got != want {
		return guia.Refuse(guia.Damaged, "vault.file_damaged", uint64(seq), f.field)
	}
	return nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// Blobs returns the digests of the blobs that a row refers to.
func (v *Vault) Blobs(row []byte) ([]blob.Digest, error) {
	slots, err := parseRow(row)
	if err != nil {
		return nil, err
	}
	var digests []blob.Digest
	for _, s := range slots {
		if s.outside {
			digests = append(digests, s.digest)
		}
		for _, f := range s.files {
			digests = append(digests, f.digest)
		}
	}
	return digests, nil
}

// Forget prepares the destruction of the given KEKs for one event: it returns the row in which every slot under one of them is
// replaced by its commitments, and whether anything changed. The caller stores it ([Vault.Replace]) before it destroys the keys, so
// that the sibling fields stay provable.
func (v *Vault) Forget(ctx context.Context, seq guia.Seq, header guia.Header, row []byte, keks map[uint64]bool) ([]byte, bool, error) {
	slots, err := v.unpack(ctx, seq, header.Record, row, guia.SlotRaw)
	if err != nil {
		return nil, false, err
	}
	changed := false
	fresh := []byte{rowVersion}
	for i := range slots {
		s := &slots[i]
		if s.state == slotForgotten || !keks[s.kek] {
			fresh = append(fresh, s.encoded...)
			continue
		}
		changed = true
		var commitments []canon.Commitment
		for _, f := range s.fields {
			commitments = append(commitments, canon.Commitment{Name: f.Name, Hash: canon.Commit(s.key.Salt(f.Name), f.Value)})
		}
		fresh = appendForgotten(fresh, s.number, commitments)
	}
	return fresh, changed, nil
}

// Replace stores a row that [Vault.Forget] returned.
func (v *Vault) Replace(tx *db.Tx, seq guia.Seq, row []byte) error {
	return tx.ReplacePacked("vault_row", uint64(seq), row)
}

// Sweep removes blobs that no row refers to and that are older than a day (a younger one may belong to an event that is being
// committed).
func (v *Vault) Sweep(ctx context.Context, end guia.Seq) (blob.Swept, error) {
	used := map[blob.Digest]bool{}
	err := v.Rows(ctx, 0, end, func(seq guia.Seq, row []byte) error {
		digests, err := v.Blobs(row)
		for _, d := range digests {
			used[d] = true
		}
		return err
	})
	if err != nil {
		return blob.Swept{}, err
	}
	return v.blobs.Sweep(ctx, func(d blob.Digest) bool { return used[d] }, time.Now().Add(-24*time.Hour))
}

func slotContext(record guia.RecordID, number guia.Slot) []byte {
	b := append([]byte("guia.slot/v1"), record[:]...)
	return append(b, byte(number))
}

// IsFileMissing reports whether the event says that the bytes of a file field never were there.
func IsFileMissing(fields guia.Fields, field string) bool {
	return strings.HasPrefix(field, "file.") && len(fields.Bytes(field+".missing")) > 0
}

// CheckFiles decrypts the files of a row, compares them with the fields that speak of them, and returns how many blobs the row has.
// Every file-valued field must have its file. fields is what [Vault.Disclose] returned for the row.
func (v *Vault) CheckFiles(ctx context.Context, seq guia.Seq, header guia.Header, row []byte, fields []Disclosure) (blobs int64, err error) {
	digests, err := v.Blobs(row)
	if err != nil {
		return 0, err
	}
	speaks := func(d Disclosure) bool { return canon.IsFile(d.Name) && !d.Forgotten }
	if len(digests) == 0 && !slices.ContainsFunc(fields, speaks) {
		return 0, nil // most rows: nothing is decrypted twice
	}
	slots, err := v.unpack(ctx, seq, header.Record, row, guia.SlotRaw)
	if err != nil {
		return 0, err
	}
	for _, s := range slots {
		for _, f := range s.files {
			want, err := canon.ParseFileRef(guia.Fields(s.fields).Get(f.field))
			if err != nil {
				return 0, guia.RefuseCause(guia.Damaged, err, "vault.file_damaged", uint64(seq), f.field)
			}
			if err := v.copyFile(ctx, seq, s.key, f, want, io.Discard); err != nil {
				return 0, err
			}
		}
		for _, field := range s.fields {
			if canon.IsFile(field.Name) && !slices.ContainsFunc(s.files, func(f fileRef) bool { return f.field == field.Name }) {
				return 0, guia.Refuse(guia.Damaged, "vault.file_damaged", uint64(seq), field.Name)
			}
		}
	}
	return int64(len(digests)), nil
}

// End is the number behind the last stored row.
func (v *Vault) End(ctx context.Context) (end guia.Seq, err error) {
	err = v.db.QueryRow(ctx, "SELECT COALESCE(MAX(first + count), 0) FROM vault_row").Scan(&end)
	return end, err
}
