package guiatest_test

import (
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"guia"
	"guia/archive"
	"guia/guiatest"
	"guia/index"
	"guia/ledger"
	"guia/people"
	"guia/vault"
)

// TestWhatOthersSayAboutGuiaIsNotBelieved records events of a foreign source that say what only Guia may say: that keys were destroyed, the
// clock jumped, a backup was begun. Intake takes none of them; here they come past it. Nothing is forgotten, found or missed for them.
func TestWhatOthersSayAboutGuiaIsNotBelieved(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := guiatest.New(t)
	d.Import(&guiatest.Company{Seed: 1, Records: 60, Page: 30})
	person := func(source guia.SourceName, key string) guia.PersonID {
		return guia.PersonID(d.Vault.PersonOwner(source, key))
	}
	words, err := index.Open(ctx, filepath.Join(d.Followers(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close()
	who, err := people.Open(filepath.Join(d.Followers(), "people.db"), person)
	if err != nil {
		t.Fatal(err)
	}
	defer who.Close()
	look := func() (found int, known people.Counts, health []string) {
		t.Helper()
		if _, err := d.Ledger.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		if err := d.Ledger.CatchUp(ctx, nil, &index.Follower{Index: words, Person: person}, who); err != nil {
			t.Fatal(err)
		}
		r, err := words.Search(ctx, index.Scope{All: true}, index.Query{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := who.Counts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		h, err := archive.Doctor(ctx, d.Directory)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range h.Findings {
			health = append(health, f.Key)
		}
		return r.Total, all, health
	}
	found, known, health := look()
	var own []guia.Type
	for _, kind := range []guia.Type{
		guia.ImportStarted, guia.ImportFinished, guia.LedgerCreated, guia.SearchMade, guia.RecordOpened, guia.CaseOpened, guia.CaseAdded, guia.BundleStarted,
		guia.BundleExported, guia.TilesStarted, guia.TilesExported, guia.BackupStarted, guia.BackupFinished, guia.BackupRestored, guia.LogKeyRotated, guia.EpochRotated, guia.EscrowWritten,
		guia.KeysDestroyed, guia.UserAdded, guia.UserDisabled, guia.RoleGranted, guia.RoleRevoked, guia.ApprovalAsked, guia.ApprovalGiven,
		guia.ApprovalRefused, guia.ActRefused, guia.AnchorCompared, guia.ClockJumped,
	} {
		own = append(own, kind)
		c := &vault.Content{
			Header: guia.Header{Type: kind, Source: "mapped", Record: guia.NewRecordID(), Captured: time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)},
			Class:  "chat", Stream: "rumours",
		}
		if !kind.IsOwn() {
			t.Errorf("%s is not Guia's own", kind)
		}
		c.Fields.Set("conversation.key", c.Stream)
		c.Fields.Set("seqs", "0-59")
		c.Fields.Set("act.outcome", "done")
		c.Fields.Set("approver", guia.NewPersonID().String())
		c.Fields.Set("digest", "sha256:00 0")
		c.Fields.Set("time", "yesterday")
		keys, err := d.Vault.Keys(ctx, []*vault.Content{c})
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := d.Vault.Put(ctx, keys, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Ledger.Append(ctx, sealed); err != nil {
			t.Fatal(err)
		}
	}
	foundNow, knownNow, healthNow := look()
	if foundNow != found+len(own) || !reflect.DeepEqual(knownNow, known) || !slices.Equal(healthNow, health) {
		t.Errorf("%d found of %d and %d, %+v of %+v\n%v\nwas\n%v", foundNow, found, len(own), knownNow, known, healthNow, health)
	}
	r, err := d.Check(ctx, ledger.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Key != "check.recognition" && f.Key != "check.recognition_count" { // they did not come through intake
			t.Errorf("%s %v", f.Key, f.Args)
		}
	}
	d.Damaged()
}
