package evidence

import (
	"context"
	"slices"
	"time"

	"guia"
	"guia/ledger"
	"guia/permit"
)

// custody finds the events that tell what happened to the records of the case up to the checkpoint: the imports that brought them
// and the gaps of these imports, who opened them, what was done with the case, the log's keys, and the accounts of those who acted.
// They are found by their leaves, and only they are decrypted.
func (b *build) custody(ctx context.Context) ([]guia.Seq, error) {
	var found []guia.Seq
	gaps := map[guia.Seq]bool{}
	actors := map[string]bool{}
	accounts := map[string]guia.Seq{} // user.added by account
	actorOf := map[guia.Seq][]string{}
	seqs, err := b.l.OfType(ctx, 0, guia.Seq(b.size), custodyTypes...)
	if err != nil {
		return nil, err
	}
	err = eachEntry(ctx, b.l, seqs, func(entry ledger.Entry) error {
		if !b.mayConcern(&entry) {
			return nil
		}
		e, err := b.l.Vault().Read(ctx, entry.Seq, entry.Leaf.Header, entry.Row)
		if err != nil {
			return err
		}
		who := []string{e.Fields.Get("actor"), e.Fields.Get("approver")}
		if e.Type == guia.UserAdded {
			accounts[e.Fields.Get("user")], actorOf[e.Seq] = e.Seq, who
			return nil
		}
		if !b.concerns(&e) {
			return nil
		}
		if e.Type == guia.SourceGap && permit.Allows(b.scopes, placeOf(b.l, &e)) {
			gaps[e.Seq] = true
		}
		found = append(found, e.Seq)
		for _, account := range who {
			actors[account] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.redactor.gaps = gaps
	if !b.withholdsActors() {
		found = append(found, accountsOf(actors, accounts, actorOf)...)
		slices.Sort(found)
	}
	return found, nil
}

// custodyTypes are the types of the events that the chain of custody can have.
var custodyTypes = []guia.Type{
	guia.ImportStarted, guia.ImportFinished, guia.SourceGap, guia.RecordOpened, guia.SearchMade, guia.CaseOpened, guia.CaseAdded, guia.BundleStarted,
	guia.BundleExported, guia.ActRefused, guia.LogKeyRotated, guia.UserAdded,
}

// accountsOf returns the events that say which account is whose, for the actors and those who made their accounts.
func accountsOf(actors map[string]bool, accounts map[string]guia.Seq, actorOf map[guia.Seq][]string) (seqs []guia.Seq) {
	for more := true; more; {
		more = false
		for account := range actors {
			seq, known := accounts[account]
			if !known || slices.Contains(seqs, seq) {
				continue
			}
			seqs, more = append(seqs, seq), true
			for _, maker := range actorOf[seq] {
				actors[maker] = true
			}
		}
	}
	return seqs
}

// withholdsActors reports whether the bundle is not to tell who acted.
func (b *build) withholdsActors() bool {
	return slices.ContainsFunc(b.req.Redact.rules, func(r rule) bool { return r.kind == "field" && under("actor", r.value) })
}

// mayConcern decides by the leaf alone: what is about the case comes behind its opening, and what is about its records behind the first.
func (b *build) mayConcern(e *ledger.Entry) bool {
	if _, shown := slices.BinarySearch(b.items, e.Seq); shown || e.Leaf.Source != guia.Own && e.Leaf.Type != guia.SourceGap {
		return false
	}
	switch e.Leaf.Type {
	case guia.ImportStarted:
		return b.imports[e.Leaf.Record]
	case guia.CaseOpened:
		return e.Leaf.Record == b.req.Case.ID
	case guia.RecordOpened, guia.ImportFinished:
		return e.Seq > b.items[0]
	case guia.SearchMade, guia.CaseAdded, guia.BundleStarted, guia.BundleExported, guia.ActRefused:
		return e.Seq > b.req.Case.Opened
	default:
		return true
	}
}

// concerns decides by the fields.
func (b *build) concerns(e *guia.Event) bool {
	switch e.Type {
	case guia.ImportFinished, guia.SourceGap:
		id, err := guia.ParseID16(e.Fields.Get("import"))
		return err == nil && b.imports[id]
	case guia.RecordOpened:
		return b.touches(e.Fields.Get("seqs"))
	case guia.SearchMade, guia.CaseAdded, guia.BundleStarted, guia.BundleExported, guia.ActRefused:
		return e.Fields.Get("scope") == b.req.Case.scope()
	default:
		return true
	}
}

// touches reports whether one of the places is in the case.
func (b *build) touches(seqs string) bool {
	ranges, err := parseSeqs(seqs)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(ranges, func(r [2]guia.Seq) bool {
		at, _ := slices.BinarySearch(b.items, r[0])
		return at < len(b.items) && b.items[at] <= r[1]
	})
}

// Intent is a bundle that was started and of which it is not known how it ended.
type Intent struct {
	Started guia.Seq // the event bundle.started
	At      time.Time
	Case    string // "case:" and the record of its opening
	By      guia.PersonID
}

// Unfinished returns the bundles that were started and have no outcome: those being written now, and those whose process ended in
// between. What became of such a file is found out by looking for it, never by writing it again under the same intent. They are
// found by their leaves, and only they are decrypted.
func Unfinished(ctx context.Context, l *ledger.Ledger) ([]Intent, error) {
	open := map[guia.Seq]Intent{}
	seqs, err := l.OfType(ctx, 0, l.Size(), guia.BundleStarted, guia.BundleExported)
	if err != nil {
		return nil, err
	}
	err = eachEvent(ctx, l, seqs, func(e guia.Event) error {
		if e.Source != guia.Own {
			return nil
		}
		if e.Type == guia.BundleStarted {
			i := Intent{Started: e.Seq, At: e.Captured, Case: e.Fields.Get("scope")}
			if by, err := guia.ParseID16(e.Fields.Get("actor")); err == nil {
				i.By = by
			}
			open[e.Seq] = i
			return nil
		}
		ranges, err := parseSeqs(e.Fields.Get("seqs"))
		if err != nil || len(ranges) == 0 {
			return guia.RefuseCause(guia.Damaged, err, "evidence.outcome_damaged", uint64(e.Seq))
		}
		delete(open, ranges[0][0])
		return nil
	})
	if err != nil {
		return nil, err
	}
	intents := make([]Intent, 0, len(open))
	for _, i := range open {
		intents = append(intents, i)
	}
	slices.SortFunc(intents, func(a, b Intent) int { return int(a.Started) - int(b.Started) })
	return intents, nil
}
