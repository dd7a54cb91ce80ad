package evidence

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"guia"
	"guia/canon"
	"guia/durable"
	"guia/evidence/verify"
	"guia/lang"
	"guia/ledger"
	"guia/people"
	"guia/permit"
	"guia/proof"
)

// BundleRequest says which bundle is wanted.
type BundleRequest struct {
	Case     Case
	Out      string         // where the file is to be; nothing may be there
	Redact   Redaction      // what is withheld
	People   *people.People // who is called how, caught up with the ledger; needed when Redact is about persons
	Language lang.Language  // of view.html
	Since    []byte         // a signed checkpoint that somebody keeps; the bundle proves that the ledger only grew since. May be nil
	Exhibits []guia.Seq     // events of the case that get a proof in a file of its own, for other people's tools
	Program  string         // name and version of the program, for the cover
}

// Result is what [Build] made.
type Result struct {
	Path    string
	File    canon.FileRef // digest and size of the file, as the ledger has them
	Started guia.Seq      // the event bundle.started
	Ended   guia.Seq      // the event bundle.exported
	Cover   verify.Cover
	Key     string // verifier key that signed the checkpoint
	Preview Preview
}

// Build writes the bundle of a case. This is the function to read first; behind each step stands what is true after a crash there:
//
//  1. permission, scopes and redaction are checked; refusals, and searches for passages and persons, are recorded — nothing is stored
//  2. the intent bundle.started is recorded, under a signed checkpoint — [Unfinished] finds it
//  3. the file is written under a temporary name and synced — [Unfinished] finds the intent; the temporary file is litter
//  4. the file gets its name — the same, and the file is whole
//  5. the outcome bundle.exported is recorded with the file's digest
//
// When 3 or 4 fails, also because ctx ended, the outcome says so and no file is left. A file whose outcome cannot be recorded is
// removed again. progress, when not nil, is told how many events were written.
func Build(ctx context.Context, l *ledger.Ledger, actor guia.Actor, req BundleRequest, progress func(done, of int)) (Result, error) {
	b, err := prepare(ctx, l, actor, req) // 1
	if err != nil {
		return Result{}, err
	}
	b.progress = progress
	if err := b.start(ctx); err != nil { // 2
		return Result{}, err
	}
	file, err := b.store(ctx) // 3, 4
	if err != nil {
		return Result{}, errors.Join(err, b.fail(ctx, err))
	}
	ended, err := b.end(ctx, file) // 5
	if err != nil {
		return Result{}, errors.Join(err, durable.Remove(req.Out))
	}
	return Result{Path: req.Out, File: file, Started: b.started, Ended: ended, Cover: b.cover, Key: b.signer.VKey(), Preview: b.preview}, nil
}

// Plan says what [Build] would withhold for the same request, field by field, also of the chain of custody as it is now, without
// writing anything; of the request it needs Case, Redact and People. A rule that withholds nothing is refused. That a passage or a
// person was looked for is recorded before.
func Plan(ctx context.Context, l *ledger.Ledger, actor guia.Actor, req BundleRequest) (Preview, error) {
	b := &build{l: l, actor: actor, req: req, imports: map[guia.RecordID]bool{}, size: int64(l.Size()), listing: true}
	if err := b.readCase(ctx); err != nil {
		return Preview{}, err
	}
	if err := b.learn(ctx); err != nil {
		return b.preview, err
	}
	custody, err := b.custody(ctx)
	if err != nil {
		return b.preview, err
	}
	return b.preview, b.each(ctx, custody, true, func(d *disclosed) error {
		b.preview.list(d, true)
		return nil
	})
}

// build is one bundle being made.
type build struct {
	l        *ledger.Ledger
	actor    guia.Actor
	req      BundleRequest
	progress func(done, of int)

	name     string // of the case
	items    []guia.Seq
	scopes   []string // of the actor
	redactor *redactor
	preview  Preview
	listing  bool // the preview is to have each field

	started    guia.Seq
	created    time.Time
	checkpoint []byte
	size       int64
	root       proof.Hash
	signer     *proof.Verifier
	keys       []ledger.LogKey
	prover     *proof.Prover
	older      [][]byte // checkpoints that the bundle's is proven consistent with

	tally    verify.Tally
	files    map[[32]byte]original
	exhibits map[guia.Seq][]proof.Hash
	imports  map[guia.RecordID]bool
	facts    viewFacts
	cover    verify.Cover
	done     int
	total    int
}

// original is where the bytes of an attachment are.
type original struct {
	seq   guia.Seq
	field string
}

// prepare checks everything that can be refused before the intent.
func prepare(ctx context.Context, l *ledger.Ledger, actor guia.Actor, req BundleRequest) (*build, error) {
	b := &build{l: l, actor: actor, req: req, files: map[[32]byte]original{}, exhibits: map[guia.Seq][]proof.Hash{}, imports: map[guia.RecordID]bool{}}
	if err := b.readCase(ctx); err != nil {
		return nil, err
	}
	for _, seq := range req.Exhibits {
		if _, found := slices.BinarySearch(b.items, seq); !found {
			return nil, guia.Refuse(guia.Invalid, "evidence.no_exhibit", uint64(seq))
		}
		b.exhibits[seq] = nil
	}
	if _, err := os.Lstat(req.Out); err == nil {
		return nil, guia.Refuse(guia.Conflict, "evidence.out_exists", req.Out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, guia.RefuseCause(guia.Blocked, err, "evidence.out_unwritable", req.Out)
	}
	if req.Since != nil {
		if err := b.since(ctx); err != nil {
			return nil, err
		}
	}
	if !req.Redact.Empty() {
		if err := b.learn(ctx); err != nil {
			return nil, err
		}
	}
	return b, b.fits(ctx)
}

// readCase reads the events of the case and demands that the actor may export every one. What they may not is counted, refused
// and recorded.
func (b *build) readCase(ctx context.Context) (err error) {
	b.redactor = newRedactor(b.req.Redact)
	if err := allowed(ctx, b.l, b.actor, permit.ActExport); err != nil {
		return err
	}
	opened, err := b.l.Event(ctx, b.req.Case.Opened)
	if err != nil {
		return fmt.Errorf("read case %d: %w", b.req.Case.Number, err)
	}
	if opened.Type != guia.CaseOpened || opened.Record != b.req.Case.ID {
		return guia.Refuse(guia.NotFound, "evidence.no_case", b.req.Case.ID.String())
	}
	b.name = opened.Fields.Get("name")
	if b.items, err = itemsOf(ctx, b.l, b.req.Case); err != nil {
		return fmt.Errorf("read case %d: %w", b.req.Case.Number, err)
	}
	if len(b.items) == 0 {
		return guia.Refuse(guia.Invalid, "evidence.case_empty", b.req.Case.Number)
	}
	where, err := placesOf(ctx, b.l, b.actor, permit.ActExport, b.items)
	if err != nil {
		return err
	}
	var hidden []guia.Seq
	err = b.l.Do(ctx, b.actor, permit.ActExport, func(tx *ledger.Tx) error {
		if b.scopes, err = permit.ScopesIn(tx.Tx, b.actor.User, permit.ActExport); err != nil {
			return err
		}
		if hidden = where.hidden(b.scopes, b.items); len(hidden) > 0 {
			return recordRefusal(tx, b.req.Case, hidden)
		}
		return nil
	})
	if err == nil && len(hidden) > 0 {
		return guia.Refuse(guia.Denied, "evidence.hidden", len(hidden))
	}
	return err
}

// learn looks at every event of the case: who the withheld persons are, and what each rule withholds.
func (b *build) learn(ctx context.Context) error {
	if err := b.recordSearch(ctx); err != nil {
		return err
	}
	for _, one := range b.req.Redact.rules {
		b.preview.Rules = append(b.preview.Rules, RuleCount{Rule: one.String()})
	}
	if b.req.Redact.Persons() {
		if err := b.learnPersons(ctx); err != nil {
			return err
		}
	}
	err := b.each(ctx, b.items, false, func(d *disclosed) error {
		b.preview.count(d.fields, d.judgement)
		b.noteImport(d.fields)
		if b.req.Redact.searches() {
			b.preview.listFiles(d)
		}
		if b.listing {
			b.preview.list(d, false)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var own []int
	err = b.each(ctx, []guia.Seq{b.req.Case.Opened}, true, func(d *disclosed) error {
		own = d.hits
		return nil
	})
	if err != nil {
		return err
	}
	return b.preview.empty(b.req.Redact.rules, own)
}

// learnPersons finds out who the withheld persons are.
func (b *build) learnPersons(ctx context.Context) error {
	if b.req.People == nil {
		return errors.New("withhold persons: the request does not bring people")
	}
	seen, err := b.req.People.Cursor(ctx)
	if err != nil {
		return err
	}
	if last := b.items[len(b.items)-1]; seen <= last {
		return fmt.Errorf("withhold persons: people has seen %d events, and the case goes up to %d", seen, last)
	}
	all := newGathering()
	err = b.each(ctx, b.items, false, func(d *disclosed) error {
		all.learn(&d.Leaf.Header, d.fields)
		return nil
	})
	if err == nil {
		err = b.learnCopies(ctx, all)
	}
	if err != nil {
		return err
	}
	b.redactor.known, b.preview.Known, err = all.acquaint(ctx, b.l, b.req.People, b.req.Redact.rules, permit.AllowsAll(b.scopes))
	return err
}

// learnCopies finds out who said, in records outside the case, what events of the case tell: the first records of messages, and
// whatever tells one of them again. All messages of the ledger are gone over for it: nothing else knows what a record is a copy of.
func (b *build) learnCopies(ctx context.Context, all *gathering) error {
	return b.l.Entries(ctx, 0, b.l.Size(), func(e ledger.Entry) error {
		header := &e.Leaf.Header
		if all.seen[header.Record] || !slices.Contains([]guia.Type{guia.MessageSent, guia.MessageEdited, guia.MailSent}, header.Type) {
			return nil
		}
		if !all.firsts[header.Record] {
			event, err := b.l.Vault().ReadWithoutRaw(ctx, e.Seq, *header, e.Row)
			if err != nil {
				return outside(err, e.Seq)
			}
			first, _ := guia.ParseID16(event.Fields.Get("same_as")) // of a record that is no copy, zero
			if !all.firsts[first] && !all.seen[first] {
				return nil
			}
		}
		fields, err := b.l.Vault().Disclose(ctx, e.Seq, e.Leaf, e.Row)
		if err == nil {
			all.learnOutside(header, fields)
		}
		return outside(err, e.Seq)
	})
}

// outside says of damage that it is outside the case: who is named there is unknown, and a bundle could name them.
func outside(err error, seq guia.Seq) error {
	if guia.KindOf(err) != guia.Damaged {
		return err
	}
	return guia.RefuseCause(guia.Damaged, err, "evidence.outside_damaged", uint64(seq))
}

// recordSearch records that the passages and persons of the rules are looked for: what is withheld, or that nothing is, tells where
// they stand.
func (b *build) recordSearch(ctx context.Context) error {
	var words []string
	for _, one := range b.req.Redact.rules {
		if one.kind == "passage" || one.kind == "person" {
			words = append(words, one.value)
		}
	}
	if len(words) == 0 {
		return nil
	}
	return b.l.Do(ctx, b.actor, permit.ActExport, func(tx *ledger.Tx) error {
		_, err := tx.Record(guia.SearchMade, b.req.Case.Search(strings.Join(words, "\n")))
		return err
	})
}

// since checks the checkpoint that the request brings.
func (b *build) since(ctx context.Context) error {
	trust, err := b.l.Trust(ctx)
	if err != nil {
		return err
	}
	old, err := trust.Open(b.req.Since)
	if err != nil || old.Origin != b.l.Origin() {
		return guia.RefuseCause(guia.Invalid, err, "evidence.since_foreign")
	}
	if old.Size > int64(b.l.Size()) {
		return guia.Refuse(guia.Damaged, "evidence.since_differs", old.Size)
	}
	root, err := proof.Root(b.l, old.Size)
	if err != nil {
		return err
	}
	if root != old.Root {
		return guia.Refuse(guia.Damaged, "evidence.since_differs", old.Size)
	}
	b.older = append(b.older, b.req.Since)
	return nil
}

// start records the intent and gets the checkpoint that covers it.
func (b *build) start(ctx context.Context) error {
	err := b.l.Do(ctx, b.actor, permit.ActExport, func(tx *ledger.Tx) (err error) {
		var f guia.Fields
		f.Set("scope", b.req.Case.scope())
		f.Set("seqs", canon.FormatSeqs(slices.Clone(b.items)))
		f.Set("name", b.name)
		f.Set("version", b.req.Program)
		canon.SetText(&f, b.req.Redact.String())
		b.started, err = tx.Record(guia.BundleStarted, f)
		return err
	})
	if err != nil {
		return err
	}
	if err := b.readTree(ctx); err != nil {
		return errors.Join(err, b.fail(ctx, err))
	}
	return nil
}

// readTree gets the checkpoint, the keys behind it, and the older checkpoints.
func (b *build) readTree(ctx context.Context) (err error) {
	if b.checkpoint, err = b.l.Checkpoint(ctx); err != nil {
		return err
	}
	trust, err := b.l.Trust(ctx)
	if err != nil {
		return err
	}
	c, err := trust.Open(b.checkpoint)
	if err != nil {
		return guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
	}
	b.size, b.root, b.signer = c.Size, c.Root, trust.KeyAt(c.Size)
	if b.keys, err = b.l.LogKeys(ctx); err != nil {
		return err
	}
	for i, k := range b.keys {
		if k.VKey == b.signer.VKey() { // a key that came into force since then is of a later checkpoint
			b.keys = b.keys[:i+1]
			break
		}
	}
	if b.prover, err = proof.NewProver(b.l, b.size); err != nil {
		return err
	}
	if root, err := b.prover.Root(); err != nil || root != b.root {
		return guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_differs", b.size)
	}
	e, err := b.l.Entry(ctx, b.started)
	if err != nil {
		return err
	}
	b.created = e.Leaf.Captured
	opening, err := b.checkpointOver(ctx, b.req.Case.Opened)
	if err != nil {
		return err
	}
	b.older = append(b.older, opening)
	return nil
}

// checkpointOver finds the oldest checkpoint that covers an event. The ledger answers only for the newest below a size: the
// answer grows with the size, so the first size that is enough is found by halving.
func (b *build) checkpointOver(ctx context.Context, seq guia.Seq) ([]byte, error) {
	trust, err := b.l.Trust(ctx)
	if err != nil {
		return nil, err
	}
	best := b.checkpoint
	low, high := seq+1, guia.Seq(b.size)
	for low < high {
		middle := low + (high-low)/2
		note, found, err := b.l.CheckpointBefore(ctx, middle)
		if err != nil {
			return nil, err
		}
		covers := false
		if found {
			c, err := trust.Open(note)
			if err != nil {
				return nil, guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
			}
			covers = c.Size > int64(seq)
		}
		if covers {
			best, high = note, middle
		} else {
			low = middle + 1
		}
	}
	return best, nil
}

// store writes the file and gives it its name.
func (b *build) store(ctx context.Context) (canon.FileRef, error) {
	f, err := durable.CreateExclusive(b.req.Out)
	if err != nil {
		return canon.FileRef{}, b.unwritable(err)
	}
	defer f.Abort() //nolint:errcheck // what is aborted is litter, and after a commit nothing is
	out := newMeasure(f)
	buffered := bufio.NewWriterSize(out, 256<<10)
	err = b.write(ctx, buffered)
	if err == nil {
		err = buffered.Flush()
	}
	switch {
	case out.failed != nil:
		return canon.FileRef{}, b.unwritable(out.failed)
	case err != nil:
		return canon.FileRef{}, err
	}
	testOnlyBeforeCommit()
	if err := f.Commit(); err != nil { // never over what somebody put there in the meantime
		return canon.FileRef{}, b.unwritable(err)
	}
	return out.ref(), nil
}

// testOnlyBeforeCommit is replaced by the test that a file which appears late is left alone.
var testOnlyBeforeCommit = func() {}

// unwritable refuses because of what the disk said.
func (b *build) unwritable(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return guia.RefuseCause(guia.Conflict, err, "evidence.out_exists", b.req.Out)
	}
	return guia.RefuseCause(guia.Blocked, err, "evidence.out_unwritable", b.req.Out)
}

// end records the outcome.
func (b *build) end(ctx context.Context, file canon.FileRef) (seq guia.Seq, err error) {
	err = b.l.Do(context.WithoutCancel(ctx), b.actor, permit.ActExport, func(tx *ledger.Tx) (err error) {
		f := b.outcome("done")
		f.Set("digest", file.String())
		seq, err = tx.Record(guia.BundleExported, f)
		return err
	})
	return seq, err
}

// fail records that there is no file, and in one word why.
func (b *build) fail(ctx context.Context, cause error) error {
	return b.l.Do(context.WithoutCancel(ctx), b.actor, permit.ActExport, func(tx *ledger.Tx) error {
		f := b.outcome("failed")
		f.Set("mark", guia.KindOf(cause).String())
		_, err := tx.Record(guia.BundleExported, f)
		return err
	})
}

// outcome names the case and the intent.
func (b *build) outcome(how string) guia.Fields {
	var f guia.Fields
	f.Set("act.outcome", how)
	f.Set("scope", b.req.Case.scope())
	f.Set("seqs", canon.FormatSeqs([]guia.Seq{b.started}))
	return f
}
