package ledger_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"guia"
	"guia/guiatest"
	"guia/ledger"
	"guia/permit"
	own "guia/proof"
)

var soak = os.Getenv("GUIA_SOAK") == "1"

func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// demandTrust follows the chain from the very first key, as a stranger does.
func demandTrust(t testing.TB, d *guiatest.Directory, keys int) own.Chain {
	t.Helper()
	all, err := d.Ledger.LogKeys(t.Context())
	if err != nil || len(all) != keys {
		t.Fatalf("%d keys, want %d: %v", len(all), keys, err)
	}
	var statements [][]byte
	for _, k := range all[1:] {
		statements = append(statements, k.Statement)
	}
	chain, err := own.TrustChain(all[0].VKey, statements)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range all {
		if i > 0 && chain.KeyAt(k.From+1).VKey() != k.VKey {
			t.Errorf("key %d is not in force behind size %d", i+1, k.From)
		}
	}
	note, err := d.Ledger.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.Open(note)
	if err != nil || guia.Seq(c.Size) != d.Ledger.Size() {
		t.Fatalf("checkpoint of size %d for %d events: %v", c.Size, d.Ledger.Size(), err)
	}
	return chain
}

func TestTheLogKeyChangesSingleHandedOnlyWhereNobodyElseCouldApprove(t *testing.T) {
	d := guiatest.New(t)
	forged := d.Owner
	forged.Approver = guia.NewPersonID() // who says so himself
	vkey, err := d.Ledger.RotateKey(t.Context(), forged, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Ledger.Signer().Verifier().VKey(); got != vkey {
		t.Errorf("signs with %s, want %s", got, vkey)
	}
	demandTrust(t, d, 2)
	rotations := eventsOf(t, d, guia.LogKeyRotated)
	if len(rotations) != 1 || rotations[0].Fields.Get("mark") != "single-handed" || rotations[0].Fields.Get("approver") != "" || rotations[0].Fields.Get("key.new") != vkey {
		t.Fatalf("recorded %v", rotations)
	}
	all, err := d.Ledger.LogKeys(t.Context())
	if err != nil || uint64(rotations[0].Seq) < uint64(all[1].From) || rotations[0].Fields.Get("rotation") != string(all[1].Statement) {
		t.Errorf("event %d, key from %d, %v", rotations[0].Seq, all[1].From, err)
	}
	if old, _, err := d.Keys.Secret(t.Context(), "log.1"); err != nil || string(old) != "retired" {
		t.Errorf("the old secret is %d bytes, %v", len(old), err)
	}

	// With a second person it needs the approval, of this act, asked by this actor, once.
	second := user(t, d, "chan", permit.Approver, permit.Administrator)
	before := d.Ledger.Size()
	for what, c := range map[string]struct {
		actor    guia.Actor
		approval string
		want     guia.Kind
	}{
		"without":              {d.Owner, "", guia.Blocked},
		"with a forged one":    {forged, "", guia.Blocked},
		"with an unknown one":  {d.Owner, "0123456789", guia.NotFound},
		"asked and not given":  {d.Owner, ask(t, d, d.Owner, permit.ActRotateLog), guia.Denied},
		"given for another":    {d.Owner, approved(t, d, d.Owner, permit.ActForget, second), guia.Denied},
		"given to another":     {d.Owner, approved(t, d, second, permit.ActRotateLog, d.Owner), guia.Denied},
		"who may not do it":    {stranger, "", guia.Denied},
		"who may not, with it": {stranger, approved(t, d, stranger, permit.ActRotateLog, second), guia.Denied},
	} {
		if _, err := d.Ledger.RotateKey(t.Context(), c.actor, c.approval); guia.KindOf(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	err = d.Ledger.Do(t.Context(), forged, permit.ActRotateLog, func(*ledger.Tx) error { t.Error("done on somebody's word"); return nil })
	if guia.KindOf(err) != guia.Blocked {
		t.Errorf("past the approval: %v", err)
	}
	if _, found, err := d.Keys.Secret(t.Context(), "log.3"); err != nil || found {
		t.Errorf("a new secret was made before anybody was asked: %t, %v", found, err)
	}
	demandTrust(t, d, 2)
	if n := len(eventsOf(t, d, guia.ActRefused)); n != 8 { // all but the unknown request
		t.Errorf("%d refusals recorded of %d events since", n, d.Ledger.Size()-before)
	}
	approval := approved(t, d, d.Owner, permit.ActRotateLog, second)
	if _, err := d.Ledger.RotateKey(t.Context(), d.Owner, approval); err != nil {
		t.Fatal(err)
	}
	demandTrust(t, d, 3)
	rotations = eventsOf(t, d, guia.LogKeyRotated)
	if f := rotations[1].Fields; f.Get("approver") != second.User.String() || f.Get("mark") != "" {
		t.Errorf("recorded %v", f)
	}
	if _, err := d.Ledger.RotateKey(t.Context(), d.Owner, approval); guia.KindOf(err) != guia.Denied {
		t.Errorf("the same approval again: %v", err)
	}
	d.Reopen()
	grow(t, d, d.Ledger.Size()+300)
	demandTrust(t, d, 3)
}

func user(t testing.TB, d *guiatest.Directory, login string, roles ...permit.Role) guia.Actor {
	t.Helper()
	u := permit.User{ID: guia.NewPersonID(), Login: login}
	err := d.Ledger.Do(t.Context(), d.Owner, permit.ActUsers, func(tx *ledger.Tx) error {
		if _, err := tx.Record(guia.UserAdded, nil); err != nil {
			return err
		}
		if err := permit.AddUser(tx.Tx, u.ID, login, ""); err != nil {
			return err
		}
		for _, r := range roles {
			if err := permit.AddGrant(tx.Tx, u.ID, permit.Grant{Role: r, Scope: permit.Everything}); err != nil {
				return err
			}
			if _, err := tx.Record(guia.RoleGranted, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return guiatest.ActorOf(u)
}

func ask(t testing.TB, d *guiatest.Directory, by guia.Actor, act permit.Act) (id string) {
	t.Helper()
	err := d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) (err error) {
		id, err = permit.Ask(tx.Tx, by.User, act, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func approved(t testing.TB, d *guiatest.Directory, by guia.Actor, act permit.Act, approver guia.Actor) string {
	t.Helper()
	id := ask(t, d, by, act)
	err := d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) error {
		_, err := permit.Answer(tx.Tx, id, approver.User, true)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestOpeningRetiresLogKeysThatACrashLeft: the new key was in force, the process died before the old one was overwritten.
func TestOpeningRetiresLogKeysThatACrashLeft(t *testing.T) {
	d := guiatest.New(t)
	secrets := map[string][]byte{}
	for _, name := range []string{"log.1", "log.2"} {
		secret, found, err := d.Keys.Secret(t.Context(), name)
		if err != nil || !found {
			t.Fatalf("%s: %t, %v", name, found, err)
		}
		secrets[name] = secret
		if _, err := d.Ledger.RotateKey(t.Context(), d.Owner, ""); err != nil {
			t.Fatal(err)
		}
	}
	for name, secret := range secrets {
		if err := d.Keys.SetSecret(t.Context(), name, secret); err != nil {
			t.Fatal(err)
		}
	}
	d.Reopen()
	for name := range secrets {
		if got, _, err := d.Keys.Secret(t.Context(), name); err != nil || string(got) != "retired" {
			t.Errorf("%s is %d bytes, %v", name, len(got), err)
		}
	}
	demandTrust(t, d, 3)
}

// TestChangesOfTheLogKeyFollowEachOther: two at once must not leave the secret of one under the number of the other.
func TestChangesOfTheLogKeyFollowEachOther(t *testing.T) {
	d := guiatest.New(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := d.Ledger.RotateKey(t.Context(), d.Owner, ""); err != nil {
				t.Error(err)
			}
		})
	}
	items := sealed(t, d, "meanwhile", 20)
	for _, item := range items {
		if _, err := d.Ledger.Append(t.Context(), item); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	demandTrust(t, d, 5)
	d.Reopen()
	demandTrust(t, d, 5)
}

// TestACrashBeforeTheNewLogKeyIsInForceIsHarmless: its secret is stored before the transaction that names it.
func TestACrashBeforeTheNewLogKeyIsInForceIsHarmless(t *testing.T) {
	d := guiatest.New(t)
	if err := d.Keys.SetSecret(t.Context(), "log.2", []byte("left by a crash")); err != nil {
		t.Fatal(err)
	}
	d.Reopen()
	demandTrust(t, d, 1)
	if _, err := d.Ledger.RotateKey(t.Context(), d.Owner, ""); err != nil {
		t.Fatal(err)
	}
	d.Reopen()
	demandTrust(t, d, 2)
}

// TestAFailedChangeOfTheLogKeyGoesOnWithTheOldOne fails the step behind the change, in the same transaction.
func TestAFailedChangeOfTheLogKeyGoesOnWithTheOldOne(t *testing.T) {
	d := guiatest.New(t)
	vkey := d.Ledger.Signer().Verifier().VKey()
	err := d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) error {
		_, err := tx.Exec("CREATE TRIGGER refuse BEFORE UPDATE ON ledger_head BEGIN SELECT RAISE(ABORT, 'no'); END")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Ledger.RotateKey(t.Context(), d.Owner, ""); err == nil {
		t.Fatal("the key changed: this test shows nothing")
	}
	if got := d.Ledger.Signer().Verifier().VKey(); got != vkey {
		t.Error("it signs with a key that is not in force")
	}
	if n := len(eventsOf(t, d, guia.LogKeyRotated)); n != 0 {
		t.Errorf("%d changes recorded", n)
	}
	err = d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) error {
		_, err := tx.Exec("DROP TRIGGER refuse")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	demandTrust(t, d, 1)
}

func checkpoints(t testing.TB, d *guiatest.Directory) (sizes []int64) {
	t.Helper()
	rows, err := d.Main.Query(t.Context(), "SELECT size FROM ledger_checkpoint ORDER BY size")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, n)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return sizes
}

func TestCloseSignsALastCheckpointAndAnIdleLedgerSignsByItself(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 20)
	d.Shut()
	d.Reopen()
	if sizes := checkpoints(t, d); sizes[len(sizes)-1] != 20 {
		t.Errorf("checkpoints %v, want one of 20", sizes)
	}
	signed := make(chan struct{}, 16)
	d.Ledger.TestOnlySteps(func(step string) {
		if step == "ledger.seal" || step == "ledger.sign" {
			select {
			case signed <- struct{}{}:
			default:
			}
		}
	})
	before := len(checkpoints(t, d))
	grow(t, d, 21)
	grow(t, d, 22)
	for slices.Max(checkpoints(t, d)) != 22 { // within about a second, without anybody asking
		if t.Context().Err() != nil {
			return
		}
	}
	if n := len(checkpoints(t, d)) - before; n > 2 {
		t.Errorf("%d checkpoints for two events", n)
	}
}

func TestCheckpointsAreNotSignedForEachEvent(t *testing.T) {
	d := guiatest.New(t)
	before := len(checkpoints(t, d))
	for range 60 {
		grow(t, d, d.Ledger.Size()+1)
	}
	if n := len(checkpoints(t, d)) - before; n > 30 { // at most one a second; sixty commits take a few seconds at the worst
		t.Errorf("%d checkpoints for 60 events", n)
	}
	note, err := d.Ledger.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.Ledger.Checkpoint(t.Context())
	if err != nil || string(again) != string(note) {
		t.Errorf("the same tree was signed twice: %v", err)
	}
	first, found, err := d.Ledger.CheckpointBefore(t.Context(), 0)
	if found || err != nil {
		t.Errorf("a checkpoint of nothing: %q, %v", first, err)
	}
}

// follower remembers what it was given.
type follower struct {
	cursor guia.Seq
	seen   []guia.Seq
	calls  int
	fail   func(next guia.Seq) error
}

func (f *follower) Name() string                             { return "test" }
func (f *follower) Cursor(context.Context) (guia.Seq, error) { return f.cursor, nil }
func (f *follower) Apply(_ context.Context, events []guia.Event, next guia.Seq) error {
	f.calls++
	if f.fail != nil {
		if err := f.fail(next); err != nil {
			return err
		}
	}
	for i, e := range events {
		if e.Seq != f.cursor+guia.Seq(i) {
			return errors.New("a hole")
		}
		if len(e.Fields) == 0 || e.Fields.Get("raw") != "" {
			return errors.New("without fields, or with raw bytes")
		}
		f.seen = append(f.seen, e.Seq)
	}
	if f.cursor+guia.Seq(len(events)) != next {
		return errors.New("the cursor is not behind the events")
	}
	f.cursor = next
	return nil
}

func TestFollowersAtDifferentPlacesAllCatchUp(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 5000)
	size := d.Ledger.Size()
	followers := []*follower{{}, {cursor: 1}, {cursor: 2047}, {cursor: 2048}, {cursor: 4999}, {cursor: size}}
	starts := make([]guia.Seq, len(followers))
	var all []ledger.Follower
	for i, f := range followers {
		starts[i] = f.cursor
		all = append(all, f)
	}
	var told []guia.Seq
	if err := d.Ledger.CatchUp(t.Context(), func(done, of guia.Seq) { told = append(told, done) }, all...); err != nil {
		t.Fatal(err)
	}
	for i, f := range followers {
		if f.cursor != size || guia.Seq(len(f.seen)) != size-starts[i] {
			t.Errorf("follower %d from %d: at %d, saw %d", i, starts[i], f.cursor, len(f.seen))
		}
	}
	if followers[5].calls != 0 {
		t.Error("a follower at the end was called")
	}
	if !slices.IsSorted(told) || told[len(told)-1] != size {
		t.Errorf("progress %v", told)
	}
	if err := d.Ledger.CatchUp(t.Context(), nil, &follower{cursor: size + 1}); guia.KindOf(err) != guia.Blocked {
		t.Errorf("a follower ahead: %v", err)
	}
	stop := errors.New("stop")
	failing := &follower{fail: func(next guia.Seq) error {
		if next > 2048 {
			return stop
		}
		return nil
	}}
	if err := d.Ledger.CatchUp(t.Context(), nil, failing); !errors.Is(err, stop) || failing.cursor != 2048 {
		t.Errorf("a failing follower: at %d, %v", failing.cursor, err)
	}
	failing.fail = nil
	if err := d.Ledger.CatchUp(t.Context(), nil, failing); err != nil || guia.Seq(len(failing.seen)) != size {
		t.Errorf("afterwards: %d events, %v", len(failing.seen), err)
	}
}

func TestFollowHearsOfEveryEventAndEndsWithItsContext(t *testing.T) {
	d := guiatest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	reached := make(chan guia.Seq, 1000)
	f := &follower{fail: func(next guia.Seq) error { reached <- next; return nil }}
	ended := make(chan error, 1)
	go func() { ended <- d.Ledger.Follow(ctx, f) }()
	for range 20 {
		grow(t, d, d.Ledger.Size()+1)
		for want := d.Ledger.Size(); <-reached < want; {
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	if err := d.Ledger.Follow(t.Context(), &follower{fail: func(guia.Seq) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("a failing follower: %v", err)
	}
}

func TestDamagedContentDoesNotStopFollowers(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 20)
	d.Damaged()
	row, err := d.Vault.Row(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	row[len(row)-1] ^= 1
	if err := d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) error { return d.Vault.Replace(tx.Tx, 10, row) }); err != nil {
		t.Fatal(err)
	}
	var bare []guia.Seq
	f := &applied{fn: func(e guia.Event) {
		if len(e.Fields) == 0 {
			bare = append(bare, e.Seq)
		}
	}}
	if err := d.Ledger.CatchUp(t.Context(), nil, f); err != nil || !slices.Equal(bare, []guia.Seq{10}) || f.cursor != 20 {
		t.Errorf("at %d, without content %v, %v", f.cursor, bare, err)
	}
	r, err := d.Ledger.Check(t.Context(), ledger.CheckOptions{})
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Seq != 10 {
		t.Errorf("check found %v, %v", r.Findings, err)
	}
}

type applied struct {
	cursor guia.Seq
	fn     func(guia.Event)
}

func (f *applied) Name() string                             { return "test" }
func (f *applied) Cursor(context.Context) (guia.Seq, error) { return f.cursor, nil }
func (f *applied) Apply(_ context.Context, events []guia.Event, next guia.Seq) error {
	for _, e := range events {
		f.fn(e)
	}
	f.cursor = next
	return nil
}

// TestChecksAtTheSameTimeDoNotWaitForEachOther: each of them reads tiles while it reads leaves.
func TestChecksAtTheSameTimeDoNotWaitForEachOther(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 3000)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			r, err := d.Ledger.Check(t.Context(), ledger.CheckOptions{Quick: true})
			if err != nil || len(r.Findings) > 0 {
				t.Errorf("%v, %v", r.Findings, err)
			}
		})
	}
	wg.Wait()
}
