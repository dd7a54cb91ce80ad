package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"guia"
	"guia/db"
	"guia/directory"
	"guia/guiatest"
	"guia/ledger"
	"guia/permit"
	own "guia/proof"
	"guia/vault"
)

// sealed makes n events of one stream, ready to be appended.
func sealed(t testing.TB, d *guiatest.Directory, stream string, n int) []vault.Sealed {
	t.Helper()
	checkedHere(t, d)
	contents := make([]*vault.Content, n)
	for i := range contents {
		c := &vault.Content{Header: guia.Header{Type: guia.RecordKept, Source: "mapped", Record: guia.NewRecordID()}, Class: "chat", Stream: stream}
		c.Fields.Set("conversation.key", stream)
		c.Fields.Set("text.0000", fmt.Sprintf("%s %d", stream, i))
		contents[i] = c
	}
	keys, err := d.Vault.Keys(t.Context(), contents)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]vault.Sealed, n)
	for i, c := range contents {
		if all[i], err = d.Vault.Put(t.Context(), keys, c); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// checkedHere ends the test with the ledger's check instead of the directory's, which would miss what intake knows of a record.
func checkedHere(t testing.TB, d *guiatest.Directory) {
	if _, known := checked.LoadOrStore(d, true); known {
		return
	}
	d.Damaged()
	t.Cleanup(func() {
		opened, err := directory.Open(context.Background(), d.Path)
		if errors.Is(err, directory.ErrHeld) {
			opened = d.Directory
		} else if err != nil {
			if !t.Failed() && damaged[t.Name()] == "" {
				t.Error(err)
			}
			return
		} else {
			defer opened.Close(context.Background())
		}
		r, err := opened.Ledger.Check(context.Background(), ledger.CheckOptions{})
		if (err != nil || len(r.Findings) > 0) && damaged[t.Name()] == "" {
			t.Errorf("check: %v, %v", r.Findings[:min(3, len(r.Findings))], err)
		}
	})
}

var checked sync.Map

// damaged lists the tests that damage their directory, or say that it is another time.
var damaged = map[string]string{
	"TestDamagedContentDoesNotStopFollowers":          "a row",
	"TestManyDisagreementsHideNoLaterDamage":          "tiles and a row",
	"TestMoreThanAThousandOfOneKindHideNoOther":       "rows and a stream",
	"TestTheClockJumpsBackAndItIsRecordedOnce":        "the clock",
	"TestALogKeyThatIsNotTheOneInForceIsRefused":      "the key",
	"TestAFailedChangeOfTheLogKeyGoesOnWithTheOldOne": "a trigger",
}

func grow(t testing.TB, d *guiatest.Directory, size guia.Seq) {
	t.Helper()
	if n := int(size) - int(d.Ledger.Size()); n > 0 {
		if _, err := d.Ledger.Append(t.Context(), sealed(t, d, "grow", n)...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlacesAreDenseAndStreamsHaveNoHolesWhateverFails(t *testing.T) {
	d := guiatest.New(t)
	first := d.Ledger.Size()
	stop := errors.New("stop")
	const workers, rounds = 8, 12
	items := make([][]vault.Sealed, workers)
	for w := range items {
		items[w] = sealed(t, d, fmt.Sprintf("s%d", w%3), 2*rounds)
	}
	var mu sync.Mutex
	var places []guia.Seq
	keep := func(seqs []guia.Seq) {
		mu.Lock()
		defer mu.Unlock()
		places = append(places, seqs...)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				pair := items[w][2*i : 2*i+2]
				var seqs []guia.Seq
				err := d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) error {
					if _, err := tx.Append(pair...); err != nil {
						return err
					}
					if (w+i)%3 == 0 { // new streams too
						_, err := tx.Append(sealed(t, d, fmt.Sprintf("never %d %d", w, i), 1)...)
						return errors.Join(err, stop)
					}
					return nil
				})
				if (w+i)%3 == 0 {
					if !errors.Is(err, stop) {
						t.Errorf("the failing job: %v", err)
					}
					if seqs, err = d.Ledger.Append(t.Context(), pair...); err != nil {
						t.Error(err)
					}
					keep(seqs)
					continue
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(places)
	if len(slices.Compact(slices.Clone(places))) != len(places) {
		t.Error("a place was given twice")
	}
	counts := map[guia.StreamID]uint64{}
	next := guia.Seq(0)
	err := d.Ledger.Entries(t.Context(), 0, d.Ledger.Size(), func(e ledger.Entry) error {
		if e.Seq != next {
			t.Errorf("place %d, want %d", e.Seq, next)
		}
		next++
		if counts[e.Leaf.Stream]++; e.Leaf.Count != counts[e.Leaf.Stream] {
			t.Errorf("event %d has position %d in its stream, want %d", e.Seq, e.Leaf.Count, counts[e.Leaf.Stream])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := first + workers*2*rounds; next != want {
		t.Errorf("%d events, want %d", next, want)
	}
	if len(counts) != 4 { // what happened in Guia itself, and three
		t.Errorf("%d streams, want 4", len(counts))
	}
	_, _, found, err := d.Ledger.Stream(t.Context(), d.Vault.StreamOwner("mapped", "never 0 0"))
	if found || err != nil {
		t.Errorf("a stream without an event is stored: %v", err)
	}
}

func TestAnAnswerMeansCommitted(t *testing.T) {
	d := guiatest.New(t)
	// Another connection to the same file, as another process would have it.
	other, err := sql.Open("sqlite", "file:"+d.Main.Path()+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	seen := func(what string, seq guia.Seq) {
		t.Helper()
		var size uint64
		if err := other.QueryRow("SELECT size FROM ledger_head").Scan(&size); err != nil || guia.Seq(size) <= seq {
			t.Errorf("%s was answered with place %d, others see %d events, %v", what, seq, size, err)
		}
	}
	for range 5 {
		seqs, err := d.Ledger.Append(t.Context(), sealed(t, d, "a", 1)...)
		if err != nil {
			t.Fatal(err)
		}
		seen("Append", seqs[0])
		var seq guia.Seq
		item := sealed(t, d, "b", 1)
		err = d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) error {
			seqs, err := tx.Append(item...)
			if err == nil {
				seq = seqs[0]
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		seen("Batch", seq)
		err = d.Ledger.Do(t.Context(), d.Owner, permit.ActCheck, func(tx *ledger.Tx) (err error) {
			seq, err = tx.Record(guia.AnchorCompared, nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		seen("Do", seq)
	}
}

// stranger has no account.
var stranger = guia.Actor{User: guia.NewPersonID(), Login: "nobody", Via: "os-login"}

func eventsOf(t testing.TB, d *guiatest.Directory, kind guia.Type) (all []guia.Event) {
	t.Helper()
	for seq := range d.Ledger.Size() {
		e, err := d.Ledger.Event(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == kind {
			all = append(all, e)
		}
	}
	return all
}

func TestARefusedActIsRecordedOnceAndDoesNothing(t *testing.T) {
	d := guiatest.New(t)
	before := d.Ledger.Size()
	ran := false
	err := d.Ledger.Do(t.Context(), stranger, permit.ActImport, func(tx *ledger.Tx) error { ran = true; return nil })
	if guia.KindOf(err) != guia.Denied || ran {
		t.Errorf("ran %t, %v", ran, err)
	}
	refused := eventsOf(t, d, guia.ActRefused)
	if len(refused) != 1 || d.Ledger.Size() != before+1 {
		t.Fatalf("%d refusals recorded, %d events more", len(refused), d.Ledger.Size()-before)
	}
	f := refused[0].Fields
	if f.Get("act") != "import" || f.Get("act.outcome") != "refused" || f.Get("actor") != stranger.User.String() {
		t.Errorf("recorded %v", f)
	}
	// So is what the act itself finds not permitted.
	before = d.Ledger.Size()
	own := guia.Refuse(guia.Denied, "permit.own_request", "x")
	err = d.Ledger.Do(t.Context(), d.Owner, permit.ActApprove, func(tx *ledger.Tx) error {
		_, recorded := tx.Record(guia.ApprovalGiven, nil)
		return errors.Join(recorded, own)
	})
	if refused = eventsOf(t, d, guia.ActRefused); !errors.Is(err, own) || len(refused) != 2 || d.Ledger.Size() != before+1 {
		t.Errorf("%v, %d refusals recorded, %d events more", err, len(refused), d.Ledger.Size()-before)
	}
	// Of whoever has no account at all it says what was claimed.
	claim := guia.Actor{Login: "ghost" + strings.Repeat("é", 1000), Via: "asserted"}
	if err := d.Ledger.Do(t.Context(), claim, permit.ActImport, func(*ledger.Tx) error { return nil }); guia.KindOf(err) != guia.Denied {
		t.Error(err)
	}
	f = eventsOf(t, d, guia.ActRefused)[2].Fields
	if name := f.Get("name"); !strings.HasPrefix(name, "ghosté") || len(name) > 256 || f.Get("actor.via") != "asserted" || f.Get("actor") != "" {
		t.Errorf("recorded %v", f)
	}
	before = d.Ledger.Size()
	// What an act refuses by itself, for another reason than permission, is no refused act.
	conflict := guia.Refuse(guia.Conflict, "permit.login_taken", "x")
	if err := d.Ledger.Do(t.Context(), d.Owner, permit.ActUsers, func(*ledger.Tx) error { return conflict }); !errors.Is(err, conflict) || d.Ledger.Size() != before {
		t.Errorf("%v, %d events more", err, d.Ledger.Size()-before)
	}
}

func TestAFailedActStoresNothingOfItself(t *testing.T) {
	d := guiatest.New(t)
	before := d.Ledger.Size()
	stop := errors.New("stop")
	id := guia.NewPersonID()
	err := d.Ledger.Do(t.Context(), d.Owner, permit.ActUsers, func(tx *ledger.Tx) error {
		_, err := tx.Record(guia.UserAdded, nil)
		return errors.Join(err, permit.AddUser(tx.Tx, id, "chan", ""), stop)
	})
	users, listed := permit.Users(t.Context(), d.Main)
	if !errors.Is(err, stop) || listed != nil || len(users) != 1 || d.Ledger.Size() != before {
		t.Errorf("%v: %d users, %d events more", err, len(users), d.Ledger.Size()-before)
	}
}

// TestAnActThatFailsForAnotherDatabaseDoesNotStopTheLedger: only its own commit leaves open what is stored.
func TestAnActThatFailsForAnotherDatabaseDoesNotStopTheLedger(t *testing.T) {
	d := guiatest.New(t)
	err := d.Ledger.Batch(t.Context(), 0, func(*ledger.Tx) error { return fmt.Errorf("another: %w", db.ErrUnclear) })
	if !errors.Is(err, db.ErrUnclear) || guia.KindOf(err) == guia.Blocked {
		t.Error(err)
	}
	if _, err := d.Ledger.Append(t.Context(), sealed(t, d, "after", 1)...); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestAFailedActAmongOthersStoresNothingOfItself(t *testing.T) {
	d := guiatest.New(t)
	before := d.Ledger.Size()
	stop := errors.New("stop")
	const workers = 16
	var begun, ended sync.WaitGroup
	begun.Add(workers)
	ended.Go(func() { // the others wait behind it and come into one transaction
		_ = d.Ledger.Batch(t.Context(), 0, func(*ledger.Tx) error { begun.Wait(); return nil }) // nothing to store
	})
	for w := range workers {
		ended.Go(func() {
			begun.Done()
			err := d.Ledger.Do(t.Context(), d.Owner, permit.ActUsers, func(tx *ledger.Tx) error {
				_, err := tx.Record(guia.UserAdded, nil)
				if err = errors.Join(err, permit.AddUser(tx.Tx, guia.NewPersonID(), fmt.Sprint("user", w), "")); err == nil && w%2 == 0 {
					err = stop
				}
				return err
			})
			if errors.Is(err, stop) != (w%2 == 0) || w%2 == 1 && err != nil {
				t.Errorf("worker %d: %v", w, err)
			}
		})
	}
	ended.Wait()
	users, err := permit.Users(t.Context(), d.Main)
	if err != nil || len(users) != 1+workers/2 || d.Ledger.Size() != before+workers/2 {
		t.Errorf("%v: %d users, %d events more", err, len(users), d.Ledger.Size()-before)
	}
}

// TestErrorMeansNotRecorded races cancellation and closing against appending; what was answered with an error must not be there, what
// was answered without must.
func TestErrorMeansNotRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	d := guiatest.NewAt(t, path)
	const workers, each = 6, 15
	items := make([][]vault.Sealed, workers)
	for w := range items {
		items[w] = sealed(t, d, fmt.Sprint(w), each)
	}
	recorded := map[guia.RecordID]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	begun := make(chan struct{}, workers*each)
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				ctx, cancel := context.WithCancel(t.Context())
				if i%3 == w%3 {
					go cancel()
				}
				begun <- struct{}{}
				_, err := d.Ledger.Append(ctx, items[w][i])
				cancel()
				mu.Lock()
				recorded[items[w][i].Header.Record] = err == nil
				mu.Unlock()
			}
		})
	}
	for range workers * each / 2 {
		<-begun
	}
	closing := make(chan error, 2)
	for range 2 {
		go func() { closing <- d.Ledger.Close(context.Background()) }()
	}
	wg.Wait()
	for range 2 {
		if err := <-closing; err != nil {
			t.Error(err)
		}
	}
	d.Reopen()
	stored := map[guia.RecordID]bool{}
	err := d.Ledger.Entries(t.Context(), 0, d.Ledger.Size(), func(e ledger.Entry) error { stored[e.Leaf.Record] = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	yes := 0
	for record, want := range recorded {
		if stored[record] != want {
			t.Errorf("record %s: answered %t, stored %t", record, want, stored[record])
		}
		if want {
			yes++
		}
	}
	t.Logf("%d of %d were recorded", yes, len(recorded))
	if _, err := d.Ledger.Append(t.Context(), items[0][0]); err != nil {
		t.Errorf("after reopening: %v", err)
	}
}

func TestAClosedLedgerRefusesAndClosesAgain(t *testing.T) {
	d := guiatest.New(t)
	item := sealed(t, d, "a", 1)
	d.Shut()
	if _, err := d.Ledger.Append(t.Context(), item...); err == nil {
		t.Error("a closed ledger records")
	}
	if err := d.Ledger.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestProofsFromStoredTilesSatisfyAnotherImplementation(t *testing.T) {
	d := guiatest.New(t)
	sizes := []guia.Seq{255, 256, 257, 511, 512, 700}
	if soak {
		sizes = append(sizes, 65535, 65536, 65537)
	}
	roots := map[guia.Seq]own.Hash{}
	for _, size := range sizes {
		grow(t, d, size)
		note, err := d.Ledger.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		trust, err := d.Ledger.Trust(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := trust.Open(note)
		if err != nil || guia.Seq(c.Size) != d.Ledger.Size() {
			t.Fatalf("checkpoint of size %d for %d events: %v", c.Size, d.Ledger.Size(), err)
		}
		roots[size] = c.Root
		for _, seq := range []guia.Seq{0, 1, 254, size / 2, size - 2, size - 1} {
			e, err := d.Ledger.Entry(t.Context(), seq)
			if err != nil {
				t.Fatal(err)
			}
			hashes, err := own.Inclusion(d.Ledger, int64(size), int64(seq))
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(seq), uint64(size), rfc6962.DefaultHasher.HashLeaf(e.Text), plain(hashes), c.Root[:]); err != nil {
				t.Errorf("size %d, event %d: %v", size, seq, err)
			}
		}
	}
	for i, old := range sizes[:len(sizes)-1] {
		size := sizes[len(sizes)-1]
		hashes, err := own.Consistency(d.Ledger, int64(old), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		a, b := roots[old], roots[size]
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(size), plain(hashes), a[:], b[:]); err != nil {
			t.Errorf("from %d (number %d) to %d: %v", old, i, size, err)
		}
	}
}

func plain(hashes []own.Hash) [][]byte {
	all := make([][]byte, len(hashes))
	for i, h := range hashes {
		all[i] = h[:]
	}
	return all
}

func TestReadingAtTheEdges(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 600)
	l := d.Ledger
	for _, seq := range []guia.Seq{0, 255, 256, 599} {
		if e, err := l.Entry(t.Context(), seq); err != nil || e.Seq != seq {
			t.Errorf("event %d: %d, %v", seq, e.Seq, err)
		}
	}
	for _, seq := range []guia.Seq{600, 601, 1 << 40} {
		if _, err := l.Entry(t.Context(), seq); guia.KindOf(err) != guia.NotFound {
			t.Errorf("event %d: %v", seq, err)
		}
	}
	for _, c := range []struct {
		first, end guia.Seq
		want       int
		kind       guia.Kind
	}{{0, 0, 0, 0}, {0, 1, 1, 0}, {0, 600, 600, 0}, {599, 600, 1, 0}, {600, 600, 0, 0}, {5, 3, 0, 0}, {0, 601, 0, guia.NotFound}, {700, 800, 0, guia.NotFound}} {
		n := 0
		err := l.Entries(t.Context(), c.first, c.end, func(e ledger.Entry) error {
			if e.Seq != c.first+guia.Seq(n) {
				t.Errorf("place %d", e.Seq)
			}
			n++
			return nil
		})
		if n != c.want || guia.KindOf(err) != c.kind || err != nil && c.kind == 0 {
			t.Errorf("from %d to %d: %d events, %v", c.first, c.end, n, err)
		}
	}
	for _, c := range []struct {
		level int
		index int64
		width int
		ok    bool
	}{{0, 0, 256, true}, {0, 0, 1, true}, {0, 2, 88, true}, {0, 2, 89, false}, {0, 3, 1, false}, {1, 0, 2, true}, {1, 0, 1, true}, {1, 0, 3, false}, {1, 1, 1, false}, {2, 0, 1, false}} {
		hashes, err := l.ReadTile(c.level, c.index, c.width)
		if c.ok && (err != nil || len(hashes) != c.width) || !c.ok && guia.KindOf(err) != guia.Damaged {
			t.Errorf("tile %d/%d of %d: %d hashes, %v", c.level, c.index, c.width, len(hashes), err)
		}
	}
}

func TestAnEditedDatabaseIsRefused(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 600)
	path := d.Path
	d.Shut()
	d.Damaged()
	for name, edit := range map[string]string{
		"a smaller head":        "UPDATE ledger_head SET size = size - 1",
		"a larger head":         "UPDATE ledger_head SET size = size + 1",
		"a negative head":       "UPDATE ledger_head SET size = -600",
		"an enormous head":      "UPDATE ledger_head SET size = 4611686018427387904",
		"another root":          "UPDATE ledger_head SET root = zeroblob(32)",
		"another origin":        "UPDATE ledger_head SET origin = origin || '0'",
		"no head":               "DELETE FROM ledger_head",
		"no last leaf":          "DELETE FROM ledger_leaf WHERE first = (SELECT MAX(first) FROM ledger_leaf)",
		"another last leaf":     "UPDATE ledger_leaf SET data = CAST(REPLACE(CAST(data AS TEXT), 'record.kept', 'record.sent') AS BLOB)",
		"another upper tile":    "UPDATE ledger_tile SET hashes = zeroblob(64) WHERE level = 1",
		"no upper tile":         "DELETE FROM ledger_tile WHERE level = 1",
		"a shorter upper tile":  "UPDATE ledger_tile SET hashes = substr(hashes, 1, 33) WHERE level = 1",
		"another checkpoint":    "UPDATE ledger_checkpoint SET note = CAST('x' AS BLOB) WHERE size = (SELECT MAX(size) FROM ledger_checkpoint)",
		"an older checkpoint":   "UPDATE ledger_checkpoint SET note = (SELECT note FROM ledger_checkpoint ORDER BY size LIMIT 1)",
		"another log key":       "UPDATE ledger_key SET vkey = replace(vkey, '+', '+0')",
		"no log key":            "DELETE FROM ledger_key",
		"a log key without end": "INSERT INTO ledger_key (number, from_size, vkey, statement) SELECT 2, 1, vkey, statement FROM ledger_key",
	} {
		copied := filepath.Join(t.TempDir(), "data")
		copyTree(t, path, copied)
		raw, err := sql.Open("sqlite", filepath.Join(copied, "guia.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(edit); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
		opened, err := directory.Open(t.Context(), copied)
		if guia.KindOf(err) != guia.Damaged {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			opened.Close(t.Context())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := directory.Open(ctx, path); !errors.Is(err, context.Canceled) || guia.KindOf(err) != 0 {
		t.Errorf("interrupted: %v", err)
	}
}

func TestALogKeyThatIsNotTheOneInForceIsRefused(t *testing.T) {
	d := guiatest.New(t)
	d.Damaged()
	skey, _, err := own.NewLogKey(d.Ledger.Origin())
	if err == nil {
		err = d.Keys.SetSecret(t.Context(), "log.1", []byte(skey))
	}
	if err != nil {
		t.Fatal(err)
	}
	path := d.Path
	d.Shut()
	if opened, err := directory.Open(t.Context(), path); guia.KindOf(err) != guia.Damaged {
		t.Errorf("got %v", err)
		if err == nil {
			opened.Close(t.Context())
		}
	}
}

func TestTheClockJumpsBackAndItIsRecordedOnce(t *testing.T) {
	d := guiatest.New(t)
	start := time.Now()
	var mu sync.Mutex
	offset := time.Duration(0)
	d.Ledger.TestOnlyClock(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return start.Add(offset)
	})
	turn := func(o time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		offset = o
	}
	act := func() {
		t.Helper()
		err := d.Ledger.Do(t.Context(), d.Owner, permit.ActCheck, func(tx *ledger.Tx) error {
			_, err := tx.Record(guia.AnchorCompared, nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	jumps := func() int { t.Helper(); return len(eventsOf(t, d, guia.ClockJumped)) }
	turn(time.Hour)
	act()
	turn(time.Hour - time.Second) // within what time servers do
	act()
	if n := jumps(); n != 0 {
		t.Errorf("%d jumps after a second", n)
	}
	turn(time.Minute)
	act()
	act()
	if n := jumps(); n != 1 {
		t.Errorf("%d jumps recorded, want 1", n)
	}
	turn(2 * time.Hour)
	act()
	turn(time.Hour)
	act()
	if n := jumps(); n != 2 {
		t.Errorf("%d jumps recorded, want 2", n)
	}
	d.Damaged() // the check would say that the clock is ahead of the leaves of this machine's time
}

func TestBeginIsForAnEmptyLedgerOnly(t *testing.T) {
	d := guiatest.New(t)
	err := d.Ledger.Begin(t.Context(), d.Owner, func(*ledger.Tx) error { t.Error("ran"); return nil })
	if guia.KindOf(err) != guia.Conflict {
		t.Errorf("got %v", err)
	}
}

// TestABatchThatCannotBeStoredLeavesNoTrace fails the step behind the jobs, where all of them are undone at once.
func TestABatchThatCannotBeStoredLeavesNoTrace(t *testing.T) {
	d := guiatest.New(t)
	first := sealed(t, d, "known", 3)
	if _, err := d.Ledger.Append(t.Context(), first[0]); err != nil {
		t.Fatal(err)
	}
	run := func(statement string) {
		t.Helper()
		if err := d.Ledger.Batch(t.Context(), 0, func(tx *ledger.Tx) error { _, err := tx.Exec(statement); return err }); err != nil {
			t.Fatal(err)
		}
	}
	start, back := time.Now(), atomic.Bool{}
	d.Ledger.TestOnlyClock(func() time.Time {
		if back.Load() {
			return start.Add(-time.Hour)
		}
		return start
	})
	run("CREATE TRIGGER refuse BEFORE UPDATE ON ledger_head BEGIN SELECT RAISE(ABORT, 'no'); END")
	before := d.Ledger.Size()
	back.Store(true)
	if _, err := d.Ledger.Append(t.Context(), first[1], sealed(t, d, "new", 1)[0]); err == nil {
		t.Fatal("it was stored: this test shows nothing")
	}
	back.Store(false)
	if d.Ledger.Size() != before {
		t.Errorf("%d events more", d.Ledger.Size()-before)
	}
	run("DROP TRIGGER refuse")
	back.Store(true)
	if _, err := d.Ledger.Append(t.Context(), first[1], first[2], sealed(t, d, "new", 1)[0]); err != nil {
		t.Fatal(err)
	}
	if n := len(eventsOf(t, d, guia.ClockJumped)); n != 1 {
		t.Errorf("%d jumps of the clock recorded, want the one whose first record was undone", n)
	}
	for stream, want := range map[string]uint64{"known": 3, "new": 1} {
		if _, n, _, err := d.Ledger.Stream(t.Context(), d.Vault.StreamOwner("mapped", stream)); n != want || err != nil {
			t.Errorf("stream %s has %d events, want %d, %v", stream, n, want, err)
		}
	}
}
