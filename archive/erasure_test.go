package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"guia"
	"guia/archive"
	"guia/canon"
	"guia/db"
	"guia/directory"
	"guia/guiatest"
	"guia/index"
	"guia/intake"
	"guia/lang"
	"guia/ledger"
	"guia/permit"
	"guia/proof"
	"guia/seal"
	"guia/source"
)

// The canary is a person whose words are unmistakable in every form they could be left in.
const (
	canaryKey     = "u-canario-7731"
	canaryName    = "Canário Inesquecível"
	canaryAddress = "canario.7731@forgotten.example"
	canaryText    = "O segredo do canário: 金絲雀的秘密 quokka-harbour-7731"
	canaryFile    = "relatório-canário-7731.txt"
	canaryInside  = "inside the attachment of the canary 7731"
	canarySource  = "canary-message-7731-"
)

func canaryRecords(n int) []source.Record {
	records := make([]source.Record, 0, n+1)
	person := source.Person{ID: canaryKey, Name: canaryName, Address: canaryAddress, Department: "Departamento do Canário"}
	records = append(records, source.Record{
		Key: "person/" + canaryKey, Type: guia.PersonSeen, Stream: "directory", StreamName: "Directory", StreamKind: "feed",
		Sender: person, Raw: []byte(canaryName), RawType: "text/plain", TimeBasis: "none",
	})
	for i := range n {
		at := time.Date(2026, 4, 1, 9, i, 0, 0, time.UTC)
		r := source.Record{
			Key: fmt.Sprintf("%s%d", canarySource, i), Type: guia.MessageSent, Stream: "c-geral", StreamName: "Geral", StreamKind: "channel",
			Time: guia.Moment{Time: at, Precision: guia.Second}, HasTime: true, TimeOriginal: at.Format(time.RFC3339), TimeZone: "UTC", TimeBasis: "source",
			Sender: person, Text: fmt.Sprintf("%s %d", canaryText, i), Raw: fmt.Appendf(nil, `{"text":%q,"n":%d}`, canaryText, i), RawType: "application/json",
		}
		if i%5 == 0 {
			content := fmt.Sprintf("%s %d %s", canaryInside, i, strings.Repeat(canaryText, 8000)) // larger than what stands in a row
			r.Files = append(r.Files, source.File{Name: canaryFile, MediaType: "text/plain", Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(content)), nil
			}})
		}
		records = append(records, r)
	}
	return records
}

// traces are byte sequences that must be gone, by what they are.
type traces map[string][]byte

func (t traces) text(what, s string) {
	wide := utf16.Encode([]rune(s))
	var little, big []byte
	for _, u := range wide {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
	}
	t[what] = []byte(s)
	t[what+", folded"] = []byte(lang.Fold(s))
	t[what+", UTF-16LE"], t[what+", UTF-16BE"] = little, big
	for shift := range 3 * min(1, len(s)/9) { // base64 of a text inside another looks different at each of three places
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), s...))
		t[fmt.Sprintf("%s, base64 at %d", what, shift)] = []byte(encoded[4 : len(encoded)-4])
	}
}

// find returns which traces are in the files below the folders.
func (t traces) find(tb testing.TB, dirs ...string) map[string][]string {
	tb.Helper()
	found := map[string][]string{}
	for _, dir := range dirs {
		must(tb, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for what, b := range t {
				if bytes.Contains(data, b) {
					found[what] = append(found[what], filepath.Base(path))
				}
			}
			return nil
		}))
	}
	return found
}

// TestErasureFloor: after a person's keys are destroyed, no file of the machine and no fresh backup has a trace of them; what belongs
// to others is still read and proven; the old backup opens with nothing that the machine has.
func TestErasureFloor(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 500)
	d := c.Directory.Directory
	var at intake.Progress
	seqs, _, err := d.Intake.Accept(ctx, feed, canaryRecords(60), at)
	must(t, err)
	take(t, d, &guiatest.Company{Seed: 2, Records: 300, Page: 100}) // pages split behind the canary
	p := openPeople(t, d, filepath.Join(d.Followers(), "people.db"))
	x := openIndex(t, d)
	must(t, d.Ledger.CatchUp(ctx, nil, p, x))
	must(t, x.Flush(ctx))

	// What there is to be found, with everything before the erasure as the positive control.
	gone := traces{}
	for what, s := range map[string]string{"name": canaryName, "address": canaryAddress, "identifier": canaryKey} {
		gone.text(what, s)
	}
	gone["index term"], gone["index term, Chinese"] = []byte("quokka"), []byte("丝雀")
	if n := hits(t, x, "quokka 金絲雀"); n != 60 {
		t.Fatalf("%d of 60 messages are found", n)
	}
	if found := gone.find(t, d.Path); len(found) == 0 || found["name"] == nil || found["name, folded"] == nil || found["index term"] == nil {
		t.Fatalf("the scan is blind: %v", found)
	}
	never := traces{} // sealed from the first moment
	for what, s := range map[string]string{"text": canaryText, "file name": canaryFile, "file": canaryInside, "source key": canarySource} {
		never.text(what, s)
	}
	if found := never.find(t, d.Path); len(found) > 0 {
		t.Errorf("plaintext is stored: %v", found)
	}
	macs, wraps, keys := collect(t, d, seqs, gone)
	old := c.backup(t)
	proofs := disclosed(t, d, seqs)
	oldRows := rowsOf(t, d, seqs)
	oldEpoch := d.Keys.Epoch()
	must(t, d.Ledger.Close(ctx)) // a checkpoint; and the log of the database goes into its file
	c.Reopen()
	d = c.Directory.Directory
	must(t, errors.Join(p.Close(), x.Close()))
	p, x = openPeople(t, d, filepath.Join(d.Followers(), "people.db")), openIndex(t, d)
	if found := gone.find(t, d.Path); len(found) < macs+wraps {
		t.Fatalf("the scan is blind: of %d traces (%d keyed hashes, %d wrapped keys) only %d are found before", len(gone), macs, wraps, len(found))
	}
	keysFound := keys.find(t, d.Path)
	if len(keysFound) > 0 {
		t.Errorf("unwrapped keys are stored: %v", keysFound)
	}
	never["epoch key"] = []byte(hex.EncodeToString(epochKey(t, d)))
	if found := never.find(t, d.Path); len(found["epoch key"]) != 1 {
		t.Fatalf("the scan does not find the epoch key in its file: %v", found)
	}

	// The erasure.
	first := d.Ledger.Size()
	result, err := d.Forget(ctx, c.Owner, "", []directory.Subject{{Source: "mapped", Key: canaryKey}}, func(ctx context.Context) error {
		return d.Ledger.CatchUp(ctx, nil, p, x)
	})
	must(t, err)
	if n := hits(t, x, "quokka"); n != 0 {
		t.Errorf("%d forgotten messages are found", n)
	}
	if result.Events != len(seqs) || result.Keys != 2 || result.Blobs < 12 || result.Epoch != oldEpoch+1 || !result.Escrowed {
		t.Errorf("result %+v, %d events", result, len(seqs))
	}
	fresh := c.backup(t)
	all := traces{}
	for _, set := range []traces{gone, never, keys} {
		maps.Copy(all, set)
	}
	var support bytes.Buffer
	must(t, archive.Support(ctx, d, &support, p, x))
	unzipped := filepath.Join(t.TempDir(), "support")
	unzip(t, support.Bytes(), unzipped)
	if found := all.find(t, d.Path, fresh.Set, unzipped); len(found) > 0 {
		t.Errorf("after the erasure %d of %d traces are found: %v", len(found), len(all), found)
	}

	// The siblings still prove, and say what they said.
	for i, seq := range seqs {
		entry, fields, err := d.Ledger.Disclose(ctx, seq)
		if err != nil {
			t.Fatalf("event %d: %v", seq, err)
		}
		commitments := make([]canon.Commitment, len(fields))
		for j, f := range fields {
			commitments[j] = canon.Commitment{Name: f.Name, Hash: f.Commitment}
			was := proofs[i][f.Name]
			slot, _ := guia.SlotOf(f.Name)
			if f.Forgotten != (slot != guia.SlotRecord) || f.Commitment != was.Commitment || !f.Forgotten && !bytes.Equal(f.Value, was.Value) {
				t.Fatalf("event %d, field %s: forgotten %v", seq, f.Name, f.Forgotten)
			}
		}
		if canon.FieldsHash(commitments) != entry.Leaf.FieldsHash {
			t.Fatalf("event %d: the commitments no longer hash to the leaf", seq)
		}
	}
	root, err := proof.Root(d.Ledger, old.Size)
	if err != nil || root != old.Root {
		t.Errorf("the tree of before the erasure has another root: %v", err)
	}
	recorded, escrowed := map[guia.Type]int{}, guia.Seq(0)
	must(t, d.Ledger.Entries(ctx, first, d.Ledger.Size(), func(e ledger.Entry) error {
		recorded[e.Leaf.Type]++
		if e.Leaf.Type == guia.EscrowWritten {
			escrowed = e.Seq
		}
		return nil
	}))
	known, err := os.ReadFile(filepath.Join(d.EscrowFolder(), "recipients.txt"))
	must(t, err)
	written, err := d.Ledger.Event(ctx, escrowed)
	must(t, err)
	if f := written.Fields; f.Get("recipient.0001") != strings.TrimSpace(string(known)) || f.Get("count") != "1" {
		t.Errorf("the ledger does not say who opens the escrow copy: %v", f)
	}
	if recorded[guia.KeysDestroyed] != 2 || recorded[guia.EpochRotated] != 1 || recorded[guia.EscrowWritten] != 1 {
		t.Errorf("recorded: %v", recorded)
	}

	// The old backup: its key database opens with no key file of this machine, and its rows with no key of this machine.
	opensWithWhatTheMachineHas(t, d, old)
	for i, seq := range seqs {
		e, err := d.Ledger.Entry(ctx, seq)
		must(t, err)
		if _, err := d.Vault.Read(ctx, seq, e.Leaf.Header, oldRows[i]); err == nil {
			t.Fatalf("event %d can be read from the old backup's row", seq)
		}
	}

	// A second import of the same export brings nothing back.
	before := d.Ledger.Size()
	_, again, err := d.Intake.Accept(ctx, feed, canaryRecords(60), intake.Progress{})
	must(t, err)
	if again.Counts.Known != 61 || again.Counts.New != 0 || d.Ledger.Size() != before {
		t.Errorf("imported again: %+v", again.Counts)
	}
	_, other, err := d.Intake.Accept(ctx, feed, canaryRecords(61)[61:], intake.Progress{})
	must(t, err)
	if other.Counts.New != 1 {
		t.Errorf("a new record of the same person: %+v", other.Counts)
	}
	// The fresh backup restores, with the same recovery key.
	_, err = c.restore(fresh.Set, filepath.Join(t.TempDir(), "restored"))
	must(t, err)
}

// collect gathers what the stores have of the events: keyed hashes of recognition, wrapped keys, sealed bodies into gone; the keys
// themselves are returned apart, because they are nowhere in plaintext.
func collect(t *testing.T, d *directory.Directory, seqs []guia.Seq, gone traces) (macs, wraps int, keys traces) {
	t.Helper()
	ctx := context.Background()
	rows, err := d.Main.Query(ctx, "SELECT mac, seq FROM intake_seen")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var mac []byte
		var seq uint64
		must(t, rows.Scan(&mac, &seq))
		if slices.Contains(seqs, guia.Seq(seq)) {
			gone[fmt.Sprintf("keyed hash %x", mac)] = mac
			macs++
		}
	}
	must(t, rows.Err())
	// The KEKs, unwrapped with the epoch key as seal does.
	owner := d.Vault.PersonOwner("mapped", canaryKey)
	existing, err := d.Keys.Existing(ctx, owner)
	must(t, err)
	block, err := aes.NewCipher(epochKey(t, d))
	must(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	must(t, err)
	keysCopy := filepath.Join(t.TempDir(), "keys.db")
	_, err = d.Keys.Copy(ctx, keysCopy)
	must(t, err)
	opened, err := db.OpenReadOnly(ctx, keysCopy, nil)
	must(t, err)
	defer opened.Close()
	keys = traces{}
	for class, id := range existing {
		var wrapped []byte
		must(t, opened.QueryRow(ctx, "SELECT wrapped FROM seal_key WHERE id = ?", id).Scan(&wrapped))
		gone["wrapped key of class "+class] = wrapped
		wraps++
		label := binary.BigEndian.AppendUint64([]byte("guia.key/v1"), id)
		label = append(append(label, owner[:]...), class...)
		raw, err := aead.Open(nil, nil, wrapped, label)
		must(t, err)
		keys["key of class "+class] = raw
		keys["key of class "+class+" in hexadecimal"] = []byte(hex.EncodeToString(raw))
	}
	for _, seq := range seqs { // what stands behind the record slot in each row: other people's key does not reach there
		e, err := d.Ledger.Entry(ctx, seq)
		must(t, err)
		gone[fmt.Sprintf("sealed end of event %d", seq)] = bytes.Clone(e.Row[len(e.Row)-48:])
		wraps++
	}
	return macs, wraps, keys
}

func epochKey(t *testing.T, d *directory.Directory) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Path, "epoch.key"))
	must(t, err)
	words := strings.Fields(string(text))
	key, err := hex.DecodeString(words[len(words)-1])
	must(t, err)
	return key
}

func rowsOf(t *testing.T, d *directory.Directory, seqs []guia.Seq) (rows [][]byte) {
	t.Helper()
	for _, seq := range seqs {
		e, err := d.Ledger.Entry(context.Background(), seq)
		must(t, err)
		rows = append(rows, bytes.Clone(e.Row))
	}
	return rows
}

type shown struct {
	Value      []byte
	Commitment [32]byte
}

func disclosed(t *testing.T, d *directory.Directory, seqs []guia.Seq) (all []map[string]shown) {
	t.Helper()
	for _, seq := range seqs {
		_, fields, err := d.Ledger.Disclose(context.Background(), seq)
		must(t, err)
		byName := map[string]shown{}
		for _, f := range fields {
			byName[f.Name] = shown{bytes.Clone(f.Value), f.Commitment}
		}
		all = append(all, byName)
	}
	return all
}

// opensWithWhatTheMachineHas tries every key file of the directory on the old set's key database.
func opensWithWhatTheMachineHas(t *testing.T, d *directory.Directory, old archive.Manifest) {
	t.Helper()
	for _, name := range names(t, d.Path) {
		text, err := os.ReadFile(filepath.Join(d.Path, name))
		must(t, err)
		if !bytes.HasPrefix(text, []byte("GUIA-EPOCH-KEY-1 ")) {
			continue
		}
		try := t.TempDir()
		keys, err := os.ReadFile(filepath.Join(old.Set, "keys.db"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(try, "keys.db"), keys, 0o600))
		must(t, os.WriteFile(filepath.Join(try, "epoch.key"), text, 0o600))
		k, err := seal.Open(context.Background(), try)
		if err == nil {
			k.Close()
			t.Errorf("the old backup's keys open with %s", name)
		}
		refused(t, err, guia.Damaged, "seal.epoch_foreign")
	}
	for _, name := range names(t, d.EscrowFolder()) {
		if strings.HasSuffix(name, ".age") && name != filepath.Base(d.EscrowPath(d.Keys.Epoch())) {
			t.Errorf("the machine keeps the escrow copy %s of an earlier epoch", name)
		}
	}
}

func openIndex(t *testing.T, d *directory.Directory) *index.Follower {
	t.Helper()
	x, err := index.Open(context.Background(), filepath.Join(d.Followers(), "index.db"))
	must(t, err)
	t.Cleanup(func() { x.Close() })
	return &index.Follower{Index: x, Person: func(source guia.SourceName, key string) guia.PersonID {
		return guia.PersonID(d.Vault.PersonOwner(source, key))
	}}
}

func hits(t *testing.T, x *index.Follower, query string) int {
	t.Helper()
	r, err := x.Search(context.Background(), index.Scope{All: true}, index.Query{Text: query})
	must(t, err)
	return r.Total
}

// TestAnInterruptedErasureIsFinishedByOpen stops after the keys are gone and before the traces are.
func TestAnInterruptedErasureIsFinishedByOpen(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 100)
	seqs, _, err := c.Intake.Accept(ctx, feed, canaryRecords(30), intake.Progress{})
	must(t, err)
	gone := traces{}
	macs, _, _ := collect(t, c.Directory.Directory, seqs, gone)
	stop := errors.New("the power went")
	_, err = c.Forget(ctx, c.Owner, "", []directory.Subject{{Source: "mapped", Key: canaryKey}}, func(context.Context) error { return stop })
	if !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	health, err := archive.Doctor(ctx, c.Directory.Directory)
	must(t, err)
	if f := finding(health, "forgetting"); f.Severity != archive.Bad {
		t.Errorf("doctor sees nothing: %+v", f)
	}
	left := filepath.Join(t.TempDir(), "killed") // what a killed process leaves
	must(t, os.CopyFS(left, os.DirFS(c.Path)))
	if found := gone.find(t, left); len(found) < macs {
		t.Fatalf("the scan is blind: %d", len(found))
	}
	plain := filepath.Join(left, "followers", "index.db") // nobody follows while the directory is opened
	must(t, os.WriteFile(plain, []byte("as told by "+canaryName), 0o600))
	r := guiatest.Open(t, left)
	if _, err := os.Stat(plain); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("recorded as forgotten while the index is there: %v", err)
	}
	if found := gone.find(t, left); len(found) > 0 {
		t.Errorf("after opening again: %v", found)
	}
	health, err = archive.Doctor(ctx, r.Directory)
	must(t, err)
	if f := finding(health, "forgetting"); f.Severity != archive.OK {
		t.Errorf("still unfinished: %+v", f)
	}
	if e, err := r.Ledger.Event(ctx, seqs[3]); err != nil || e.Text() != "" || len(e.Withheld) == 0 {
		t.Errorf("event %d: %d fields withheld, %v", seqs[3], len(e.Withheld), err)
	}
}

func TestErasingNeedsASecondPerson(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 30)
	_, _, err := c.Intake.Accept(ctx, feed, canaryRecords(3), intake.Progress{})
	must(t, err)
	canary := []directory.Subject{{Source: "mapped", Key: canaryKey}}
	other := guia.NewPersonID()
	must(t, c.Ledger.Batch(ctx, 0, func(tx *ledger.Tx) error {
		if err := permit.AddUser(tx.Tx, other, "rui", ""); err != nil {
			return err
		}
		return permit.AddGrant(tx.Tx, other, permit.Grant{Role: permit.Approver, Scope: permit.Everything})
	}))
	ask := func(argument string) (id string) {
		must(t, c.Ledger.Batch(ctx, 0, func(tx *ledger.Tx) error {
			if id, err = permit.Ask(tx.Tx, c.Owner.User, permit.ActForget, argument); err != nil {
				return err
			}
			_, err := permit.Answer(tx.Tx, id, other, true)
			return err
		}))
		return id
	}
	forged := c.Owner
	forged.Approver = other // who was not asked
	for _, actor := range []guia.Actor{c.Owner, forged} {
		_, err = c.Forget(ctx, actor, "", canary, nil)
		refused(t, err, guia.Blocked, "permit.second")
	}
	_, err = c.Forget(ctx, c.Owner, ask(c.ForgetArgument([]directory.Subject{{Source: "mapped", Key: "p-chan"}})), canary, nil)
	refused(t, err, guia.Denied, "permit.not_approved")
	if e, err := c.Ledger.Event(ctx, c.Ledger.Size()-1); err != nil || e.Type != guia.ActRefused {
		t.Errorf("a refused approval is recorded as %v, %v", e.Type, err)
	}
	_, err = c.Forget(ctx, c.Owner, "", []directory.Subject{{Source: guia.Own, Key: c.Owner.User.String()}}, nil)
	refused(t, err, guia.Invalid, "directory.not_a_subject")
	result, err := c.Forget(ctx, c.Owner, ask(c.ForgetArgument(canary)), canary, nil)
	if err != nil || result.Events != 4 {
		t.Errorf("approved: %+v, %v", result, err)
	}
	_, err = c.Forget(ctx, c.Owner, ask(c.ForgetArgument(canary)), canary, nil)
	refused(t, err, guia.NotFound, "directory.nothing_to_forget")
}

// TestOneClassIsForgottenAndTheIdentityStays: what the law keeps stays.
func TestOneClassIsForgottenAndTheIdentityStays(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 30)
	seqs, _, err := c.Intake.Accept(ctx, feed, canaryRecords(3), intake.Progress{})
	must(t, err)
	_, err = c.Forget(ctx, c.Owner, "", []directory.Subject{{Source: "mapped", Key: canaryKey, Classes: []string{feed.Class}}}, nil)
	must(t, err)
	e, err := c.Ledger.Event(ctx, seqs[2])
	if err != nil || e.Text() != "" || e.Fields.Get("sender.name") != canaryName || e.Fields.Get("conversation.name") != "Geral" {
		t.Errorf("event %d: text of %d bytes, %v", seqs[2], len(e.Text()), err)
	}
}

func unzip(t *testing.T, data []byte, dir string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	must(t, os.CopyFS(dir, z))
}
