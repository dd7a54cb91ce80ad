package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"guia"
	"guia/blob"
	"guia/canon"
	"guia/durable"
	"guia/intake"
	"guia/ledger"
	"guia/permit"
)

// Subject is a natural person, as one source knows them, whose content is to be forgotten. It is personal.
type Subject struct {
	Source guia.SourceName
	Key    string // the person's identifier at the source (sender.key)
	// Classes limits the forgetting to some retention classes; empty for all of them and the identity too.
	Classes []string
}

// Forgotten says what was done.
type Forgotten struct {
	Events int // that lost fields
	Keys   int // destroyed
	Blobs  int // deleted
	Epoch  int // in force from now on
	// Escrowed reports that a copy of the new epoch key was encrypted to the recipients of the last one. Until there is one, a backup
	// cannot be restored.
	Escrowed bool
}

// mostForgotten is how many places one keys.destroyed event lists.
const mostForgotten = 10_000

// HoldStill returns a hold under which no key is destroyed, so that a copy of database, keys and blobs fits together. It does not
// wait: another hold is a refusal of kind blocked.
func (d *Directory) HoldStill() (release func(), err error) {
	if !d.still.TryLock() {
		return nil, guia.Refuse(guia.Blocked, "directory.busy")
	}
	return d.still.Unlock, nil
}

// Forget destroys the keys of the subjects and cleans every trace of what stood under them from this machine. Fields of the same
// events that belong to others stay readable and provable; the tree does not change. The act needs a second person where there is
// one: approval is the id of a request whose argument is [ForgetArgument], empty when nobody else could approve.
//
// The order, with what is true after a crash behind each step:
//
//  1. a checkpoint covers what will be forgotten — nothing is forgotten
//  2. one transaction: rows keep the commitments of what goes, recognition becomes tombstones, the keys are noted as doomed, and
//     keys.destroyed is recorded — the events can no longer be read here; Open goes on with step 3
//  3. the keys are destroyed, the epoch key is replaced, older escrow copies are overwritten and a new one is written, blobs are
//     deleted, followers and the main database are cleaned — each step can be done again
//  4. the end is recorded — finished
//
// What remains outside this machine's reach, older backups and whoever holds their escrow copies and a recovery key, is for the
// caller to expire (docs/format/backup.md). caughtUp returns when every follower has applied what was committed before; nil when
// there is none open, then what they keep is removed, and they begin anew when they next follow.
func (d *Directory) Forget(ctx context.Context, actor guia.Actor, approval string, subjects []Subject, caughtUp func(context.Context) error) (Forgotten, error) {
	var done Forgotten
	release, err := d.HoldStill()
	if err != nil {
		return done, err
	}
	defer release()
	if err := d.finishForgetting(ctx, caughtUp); err != nil { // of an earlier call
		return done, err
	}
	resume := d.Intake.Hold()
	defer resume()
	keks, err := d.keysOf(ctx, subjects)
	if err != nil {
		return done, err
	}
	// Asking comes before looking: whoever may not forget gets to know nothing.
	argument := d.ForgetArgument(subjects)
	if err := d.Ledger.MayApproved(ctx, actor, permit.ActForget, approval, argument); err != nil {
		return done, err
	}
	if len(keks) == 0 {
		return done, guia.Refuse(guia.NotFound, "directory.nothing_to_forget")
	}
	if _, err := d.Ledger.Checkpoint(ctx); err != nil { // 1
		return done, err
	}
	p, err := d.prepareForget(ctx, keks)
	if err != nil {
		return done, err
	}
	done.Events, done.Keys = len(p.rows), len(keks)
	err = d.Ledger.DoApproved(ctx, actor, permit.ActForget, approval, argument, func(tx *ledger.Tx) error { return d.recordForget(tx, p, keks) }) // 2
	if err != nil {
		return done, err
	}
	if err := d.Vault.RemoveBlobs(ctx, p.blobs); err != nil { // 3; what a crash leaves is swept as orphans
		return done, err
	}
	done.Blobs = len(p.blobs)
	if err := d.finishForgetting(ctx, caughtUp); err != nil { // 3, 4
		return done, err
	}
	done.Epoch = d.Keys.Epoch()
	_, err = os.Stat(d.EscrowPath(done.Epoch))
	done.Escrowed = err == nil
	return done, nil
}

// ForgetArgument is what an approval of [Directory.Forget] is bound to. It names nobody.
func (d *Directory) ForgetArgument(subjects []Subject) string {
	lines := make([]string, len(subjects))
	for i, s := range subjects {
		owner := d.Vault.PersonOwner(s.Source, s.Key)
		classes := slices.Sorted(slices.Values(s.Classes))
		lines[i] = hex.EncodeToString(owner[:]) + " " + strings.Join(classes, " ")
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// keysOf returns the KEKs of the subjects.
func (d *Directory) keysOf(ctx context.Context, subjects []Subject) (map[uint64]bool, error) {
	keks := map[uint64]bool{}
	for _, s := range subjects {
		if s.Source == guia.Own || s.Key == "" {
			return nil, guia.Refuse(guia.Invalid, "directory.not_a_subject")
		}
		byClass, err := d.Keys.Existing(ctx, d.Vault.PersonOwner(s.Source, s.Key))
		if err != nil {
			return nil, err
		}
		for class, id := range byClass {
			if len(s.Classes) == 0 || slices.Contains(s.Classes, class) {
				keks[id] = true
			}
		}
	}
	return keks, nil
}

// preparation is what one transaction is to store. It holds no personal data.
type preparation struct {
	rows   []replacement
	blobs  []blob.Digest
	intake *intake.Forgetting
}

type replacement struct {
	seq guia.Seq
	row []byte
}

// prepareForget reads what will be forgotten for the last time. Memory is some hundred bytes an event concerned, and the events
// of one page.
func (d *Directory) prepareForget(ctx context.Context, keks map[uint64]bool) (*preparation, error) {
	p := &preparation{}
	var places []guia.Seq
	err := d.Vault.Rows(ctx, 0, d.Ledger.Size(), func(seq guia.Seq, row []byte) error {
		under, blobs, err := d.Vault.Under(row, keks)
		if err != nil {
			return guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(seq), "row")
		}
		if under {
			places = append(places, seq)
			p.blobs = append(p.blobs, blobs...)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	events := make([]guia.Event, 0, len(places))
	for _, seq := range places {
		e, err := d.Ledger.Entry(ctx, seq)
		if err != nil {
			return nil, err
		}
		event, err := d.Vault.ReadWithoutRaw(ctx, seq, e.Leaf.Header, e.Row)
		if err != nil {
			return nil, err
		}
		var known guia.Fields // what tombstones are made of
		known.Set("source_key", event.Fields.Get("source_key"))
		known.Set("conversation.key", event.Fields.Get("conversation.key"))
		events = append(events, guia.Event{Seq: seq, Header: event.Header, Fields: known})
		row, changed, err := d.Vault.Forget(ctx, seq, e.Leaf.Header, e.Row, keks)
		if err != nil {
			return nil, err
		}
		if changed {
			p.rows = append(p.rows, replacement{seq, row})
		}
	}
	p.intake, err = d.Intake.PrepareForget(ctx, events)
	return p, err
}

// recordForget runs in the writer.
func (d *Directory) recordForget(tx *ledger.Tx, p *preparation, keks map[uint64]bool) error {
	places := make([]guia.Seq, len(p.rows))
	for i, r := range p.rows {
		if err := d.Vault.Replace(tx.Tx, r.seq, r.row); err != nil {
			return err
		}
		places[i] = r.seq
	}
	if err := d.Intake.Forget(tx.Tx, p.intake); err != nil {
		return err
	}
	ids := make([]uint64, 0, len(keks))
	for id := range keks {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if err := d.Vault.Doom(tx.Tx, ids); err != nil {
		return err
	}
	for first := true; first || len(places) > 0; first = false {
		n := min(len(places), mostForgotten)
		var f guia.Fields
		f.Set("seqs", canon.FormatSeqs(places[:n]))
		f.Set("count", fmt.Sprint(n))
		if _, err := tx.Record(guia.KeysDestroyed, f); err != nil {
			return err
		}
		places = places[n:]
	}
	return nil
}

// finishForgetting does what follows the transaction of [Directory.Forget], also for one that a crash interrupted; nothing when
// nothing is doomed.
func (d *Directory) finishForgetting(ctx context.Context, caughtUp func(context.Context) error) error {
	doomed, err := d.Vault.Doomed(ctx)
	if err != nil || len(doomed) == 0 {
		return err
	}
	if err := d.Ledger.StateIsOurs(ctx, "vault_doomed"); err != nil { // what is destroyed stays destroyed
		return err
	}
	if err := d.Keys.Destroy(ctx, doomed); err != nil {
		return err
	}
	if err := d.Keys.RotateEpoch(ctx); err != nil {
		return err
	}
	escrow, recipients, err := d.renewEscrow()
	if err != nil {
		return err
	}
	if caughtUp == nil {
		caughtUp = d.removeFollowers
	}
	if err := caughtUp(ctx); err != nil {
		return fmt.Errorf("clean followers: %w", err)
	}
	// Overwriting alone was seen leaving a copy of a deleted row where a page had been split, one in thirteen thousand: the file is
	// written anew.
	if err := d.Main.Scrub(ctx, true); err != nil {
		return err
	}
	return d.recordEnd(ctx, doomed, escrow, recipients)
}

// removeFollowers overwrites and removes what followers keep, when none is open: they hold texts, and whoever follows next makes them
// anew. The folder stays.
func (d *Directory) removeFollowers(context.Context) error {
	err := filepath.WalkDir(d.Followers(), func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return durable.Shred(path)
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(d.Followers()); err != nil {
		return err
	}
	return durable.MkdirAll(d.Followers(), 0o700)
}

// recordEnd records that the keys are gone. Nobody acts: the act was recorded when it was permitted.
func (d *Directory) recordEnd(ctx context.Context, doomed []uint64, escrow []byte, recipients []string) error {
	outcome := func(f guia.Fields) guia.Fields {
		f.Set("act", string(permit.ActForget))
		f.Set("act.outcome", "done")
		return f
	}
	return d.Ledger.Own(ctx, func(tx *ledger.Tx) error {
		if _, err := tx.Record(guia.EpochRotated, outcome(nil)); err != nil {
			return err
		}
		ended := outcome(nil)
		ended.Set("count", fmt.Sprint(len(doomed)))
		if _, err := tx.Record(guia.KeysDestroyed, ended); err != nil {
			return err
		}
		if escrow != nil {
			if _, err := tx.Record(guia.EscrowWritten, outcome(escrowFields(escrow, recipients))); err != nil {
				return err
			}
		}
		return d.Vault.Undoom(tx.Tx, doomed)
	})
}
