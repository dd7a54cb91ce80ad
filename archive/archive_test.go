package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guia"
	"guia/archive"
	"guia/directory"
	"guia/durable"
	"guia/guiatest"
	"guia/intake"
	"guia/ledger"
	"guia/people"
	"guia/seal"
	"guia/source"
)

// company is a directory with content and an escrow copy.
type company struct {
	*guiatest.Directory
	identity string // opens the escrow copies
	place    string // for backups
}

func newCompany(t testing.TB, records int) *company {
	t.Helper()
	c := &company{Directory: guiatest.New(t), place: filepath.Join(t.TempDir(), "place")}
	var recipient string
	var err error
	if c.identity, recipient, err = seal.NewIdentity(); err != nil {
		t.Fatal(err)
	}
	writeEscrow(t, c.Directory.Directory, recipient)
	take(t, c.Directory.Directory, &guiatest.Company{Seed: 1, Records: records, Page: 200, Large: 40})
	return c
}

// writeEscrow does what `guia key escrow` does.
func writeEscrow(t testing.TB, d *directory.Directory, recipient string) {
	t.Helper()
	var text bytes.Buffer
	if err := d.Keys.Escrow(&text, []string{recipient}); err != nil {
		t.Fatal(err)
	}
	if err := durable.MkdirAll(d.EscrowFolder(), 0o700); err != nil {
		t.Fatal(err)
	}
	must(t, durable.WriteFile(d.EscrowPath(d.Keys.Epoch()), text.Bytes(), 0o600))
	must(t, durable.WriteFile(filepath.Join(d.EscrowFolder(), "recipients.txt"), []byte(recipient+"\n"), 0o600))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var feed = intake.Feed{Source: "mapped", Instance: "company", Class: "chat", Channel: guia.ChannelFile, Grade: guia.GradeC, Normaliser: "test/1"}

// take accepts everything a source has.
func take(t testing.TB, d *directory.Directory, s source.Source) {
	t.Helper()
	var at intake.Progress
	for {
		page, err := s.Pull(context.Background(), at.Cursor)
		must(t, err)
		at.Cursor = page.Next
		_, at, err = d.Intake.Accept(context.Background(), feed, page.Records, at)
		must(t, err)
		if page.Done {
			return
		}
	}
}

func (c *company) backup(t testing.TB) archive.Manifest {
	t.Helper()
	m, err := archive.Backup(context.Background(), c.Directory.Directory, c.Owner, c.place, nil)
	must(t, err)
	return m
}

func (c *company) restore(from, to string) (archive.Manifest, error) {
	return archive.Restore(context.Background(), from, to, strings.NewReader("# kept in the safe\n"+c.identity+"\n"), nil)
}

// content is everything that a ledger says, decrypted, with the bytes of its files.
func content(t testing.TB, d *directory.Directory, end guia.Seq) []guia.Event {
	t.Helper()
	var all []guia.Event
	must(t, d.Ledger.Entries(context.Background(), 0, end, func(e ledger.Entry) error {
		event, err := d.Vault.Read(context.Background(), e.Seq, e.Leaf.Header, e.Row)
		if err != nil {
			return err
		}
		for _, f := range event.Fields {
			if f.Name == "file.0001" {
				var b bytes.Buffer
				if err := d.Vault.OpenFile(context.Background(), e.Seq, e.Leaf.Header, e.Row, f.Name, &b); err != nil {
					return err
				}
				event.Fields.Set("text.9999", fmt.Sprintf("%x", sum(b.Bytes())))
			}
		}
		all = append(all, event)
		return nil
	}))
	return all
}

func refused(t testing.TB, err error, kind guia.Kind, key string) {
	t.Helper()
	r, ok := errors.AsType[*guia.Refusal](err)
	if !ok || r.Kind != kind || r.Key != key {
		t.Errorf("got %v, want %s: %s", err, kind, key)
	}
}

// names lists the files below a folder.
func names(t testing.TB, dir string) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	}))
	return all
}

func TestARestoredDirectorySaysWhatTheOriginalSaid(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 600)
	var last, of int64
	m, err := archive.Backup(ctx, c.Directory.Directory, c.Owner, c.place, func(done, total int64) {
		if done < last {
			t.Errorf("progress went from %d to %d", last, done)
		}
		last, of = done, total
		for _, name := range entries(t, c.place) {
			if strings.HasPrefix(name, "guia-") {
				t.Errorf("%s has its name before it is whole", name)
			}
		}
	})
	must(t, err)
	if last == 0 || last > of {
		t.Errorf("progress ended at %d of %d", last, of)
	}
	for _, name := range names(t, m.Set) {
		if strings.Contains(name, "epoch.key") || strings.Contains(name, "followers") || strings.HasSuffix(name, "-wal") {
			t.Errorf("%s is in the set", name)
		}
	}
	verified, err := archive.Verify(ctx, c.place)
	must(t, err)
	if diff := cmp.Diff(m, verified); diff != "" {
		t.Errorf("verified another manifest: %s", diff)
	}
	to := filepath.Join(t.TempDir(), "restored")
	_, err = c.restore(c.place, to)
	must(t, err)
	r := guiatest.Open(t, to)
	if diff := cmp.Diff(content(t, c.Directory.Directory, guia.Seq(m.Size)), content(t, r.Directory, guia.Seq(m.Size))); diff != "" {
		t.Errorf("restored content differs: %s", diff)
	}
	event, err := r.Ledger.Event(ctx, r.Ledger.Size()-1)
	must(t, err)
	if event.Type != guia.BackupRestored || event.Fields.Get("digest") != fmt.Sprintf("sha256:%x %d", m.Digest, fileSize(t, m.Set+"/MANIFEST")) {
		t.Errorf("the restored ledger ends with %s", event.Type)
	}
	health, err := archive.Doctor(ctx, r.Directory)
	must(t, err)
	for check, want := range map[string]string{"backup": "doctor.backup.ok", "intents": "doctor.intents.ok"} { // it came from one that was whole
		if f := finding(health, check); f.Key != want {
			t.Errorf("of the restored directory doctor says %s, want %s", f.Key, want)
		}
	}
	if a, b := everybody(t, c.Directory.Directory), everybody(t, r.Directory); !slices.Equal(a, b) || len(a) == 0 {
		t.Errorf("people differ: %d and %d", len(a), len(b))
	}
	take(t, r.Directory, &guiatest.Company{Seed: 1, Records: 700, Page: 100}) // it goes on where the other would have
	if got := r.Ledger.Size(); int64(got) < m.Size+90 || int64(got) > m.Size+140 {
		t.Errorf("after the restore %d events, the set had %d", got, m.Size)
	}
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

// everybody is who the directory of people knows, rebuilt from the ledger.
func everybody(t testing.TB, d *directory.Directory) (all []string) {
	t.Helper()
	ctx := context.Background()
	p := openPeople(t, d, filepath.Join(t.TempDir(), "people.db"))
	must(t, d.Ledger.CatchUp(ctx, nil, p))
	entries, err := p.On(ctx, people.DayOf(c2100), "")
	must(t, err)
	for _, e := range entries {
		all = append(all, e.Person.String()+e.Name+e.Department+e.Address)
	}
	return all
}

func openPeople(t testing.TB, d *directory.Directory, path string) *people.People {
	t.Helper()
	p, err := people.Open(path, func(source guia.SourceName, key string) guia.PersonID {
		return guia.PersonID(d.Vault.PersonOwner(source, key))
	})
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

func TestASecondBackupCopiesOnlyWhatIsNew(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 300)
	first := c.backup(t)
	take(t, c.Directory.Directory, &guiatest.Company{Seed: 1, Records: 420, Page: 100, Large: 40})
	// A blob that was damaged in the earlier set must not be passed on.
	blobs := slices.DeleteFunc(names(t, first.Set), func(n string) bool { return !strings.HasPrefix(n, "blobs/") })
	if len(blobs) < 3 {
		t.Fatalf("%d blobs", len(blobs))
	}
	flip(t, filepath.Join(first.Set, blobs[0]), 100)
	second := c.backup(t)
	linked, own := 0, 0
	for _, name := range names(t, second.Set) {
		a, errA := os.Stat(filepath.Join(first.Set, name))
		b, errB := os.Stat(filepath.Join(second.Set, name))
		must(t, errB)
		if strings.HasPrefix(name, "blobs/") {
			if errA == nil && os.SameFile(a, b) {
				linked++
			} else {
				own++
			}
		}
		if live, err := os.Stat(filepath.Join(c.Path, name)); err == nil && os.SameFile(live, b) {
			t.Errorf("%s is the directory's own file: damage there would be damage here", name)
		}
	}
	if linked != len(blobs)-1 || own < 2 {
		t.Errorf("%d blobs linked, %d copied, the first set had %d of which one is damaged", linked, own, len(blobs))
	}
	if _, err := archive.Verify(ctx, second.Set); err != nil {
		t.Errorf("second set: %v", err)
	}
	_, err := archive.Verify(ctx, first.Set)
	refused(t, err, guia.Damaged, "archive.file_differs")
	sets, err := archive.Sets(c.place)
	if err != nil || len(sets) != 2 || sets[1].Set != second.Set {
		t.Errorf("%d sets, %v", len(sets), err)
	}
}

func flip(t testing.TB, path string, at int64) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	data[at%int64(len(data))] ^= 4
	must(t, os.WriteFile(path, data, 0o600))
}

func TestDamageInASetIsNamed(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 120)
	whole := c.backup(t)
	blob := ""
	for _, f := range whole.Files {
		if strings.HasPrefix(f.Name, "blobs/") {
			blob = f.Name
		}
	}
	for _, test := range []struct {
		name string
		do   func(set string)
		key  string
	}{
		{"a bit of the database", func(set string) { flip(t, set+"/guia.db", 70000) }, "archive.file_differs"},
		{"a bit of the keys", func(set string) { flip(t, set+"/keys.db", 20000) }, "archive.file_differs"},
		{"a bit of a blob", func(set string) { flip(t, set+"/"+blob, 3) }, "archive.file_differs"},
		{"a bit of the checkpoint", func(set string) { flip(t, set+"/checkpoint", 150) }, "archive.file_differs"},
		{"a blob is missing", func(set string) { must(t, os.Remove(set+"/"+blob)) }, "archive.file_missing"},
		{"the keys are missing", func(set string) { must(t, os.Remove(set+"/keys.db")) }, "archive.file_missing"},
		{"an epoch key among the files", func(set string) { must(t, os.WriteFile(set+"/epoch.key", []byte("x"), 0o600)) }, "archive.file_unlisted"},
		{"the manifest without its end", func(set string) { must(t, os.Truncate(set+"/MANIFEST", 300)) }, "archive.manifest_damaged"},
		{"a blob unlisted and gone", func(set string) {
			must(t, os.Remove(set+"/"+blob))
			relist(t, set, func(line string) (string, bool) { return line, !strings.HasSuffix(line, blob) })
		}, "archive.blob_missing"},
		{"another number of events", func(set string) {
			relist(t, set, func(line string) (string, bool) { return strings.Replace(line, "size ", "size 1", 1), true })
		}, "archive.manifest_differs"},
		{"another root", func(set string) {
			relist(t, set, func(line string) (string, bool) {
				if strings.HasPrefix(line, "root ") {
					line = "root AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
				}
				return line, true
			})
		}, "archive.tree_differs"},
	} {
		set := filepath.Join(t.TempDir(), "set")
		must(t, os.CopyFS(set, os.DirFS(whole.Set)))
		test.do(set)
		_, err := archive.Verify(ctx, set)
		if r, ok := errors.AsType[*guia.Refusal](err); !ok || r.Kind != guia.Damaged || r.Key != test.key {
			t.Errorf("%s: %v, want %s", test.name, err, test.key)
		}
		to := filepath.Join(t.TempDir(), "restored")
		if _, err := c.restore(set, to); err == nil {
			t.Errorf("%s: was restored", test.name)
		}
		if left := entries(t, filepath.Dir(to)); len(left) > 0 {
			t.Errorf("%s: the refused restore left %v", test.name, left)
		}
	}
	if _, err := archive.Verify(ctx, t.TempDir()); guia.KindOf(err) != guia.NotFound {
		t.Errorf("an empty place: %v", err)
	}
}

func entries(t testing.TB, dir string) (all []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range list {
		all = append(all, e.Name())
	}
	return all
}

// relist edits the lines of a manifest and keeps the number of files right.
func relist(t testing.TB, set string, edit func(line string) (string, bool)) {
	t.Helper()
	text, err := os.ReadFile(set + "/MANIFEST")
	must(t, err)
	var lines []string
	files := 0
	for line := range strings.Lines(string(text)) {
		line, keep := edit(strings.TrimSuffix(line, "\n"))
		if keep {
			lines = append(lines, line)
		}
		if keep && strings.Count(line, " ") == 2 {
			files++
		}
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "files ") {
			lines[i] = fmt.Sprintf("files %d", files)
		}
	}
	must(t, os.WriteFile(set+"/MANIFEST", []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func TestARestoreThatCannotBeRightLeavesNothing(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 60)
	first := c.backup(t)
	dir := t.TempDir()
	to := filepath.Join(dir, "restored")
	stranger, _, err := seal.NewIdentity()
	must(t, err)
	_, err = archive.Restore(ctx, first.Set, to, strings.NewReader(stranger), nil)
	refused(t, err, guia.Denied, "seal.escrow_closed")
	_, err = archive.Restore(ctx, first.Set, to, strings.NewReader("no key"), nil)
	refused(t, err, guia.Invalid, "seal.identity")
	_, err = c.restore(first.Set, dir)
	refused(t, err, guia.Conflict, "archive.restore_exists")

	// The escrow copy of another epoch under the right name, in a manifest that lists it: somebody confused two epochs.
	text, err := os.ReadFile(c.EscrowPath(1))
	must(t, err)
	must(t, c.Keys.RotateEpoch(ctx))
	writeEscrow(t, c.Directory.Directory, recipientOf(t, c.Directory.Directory))
	second := c.backup(t)
	must(t, os.WriteFile(second.Set+"/escrow/epoch-2.age", text, 0o600))
	digest := sum(text)
	relist(t, second.Set, func(line string) (string, bool) {
		if strings.HasSuffix(line, " escrow/epoch-2.age") {
			line = fmt.Sprintf("%x %d escrow/epoch-2.age", digest, len(text))
		}
		return line, true
	})
	_, err = c.restore(second.Set, to)
	refused(t, err, guia.Blocked, "archive.escrow_foreign")
	if r, _ := errors.AsType[*guia.Refusal](err); r == nil || fmt.Sprint(r.Args) != "[2]" {
		t.Errorf("the refusal does not say which epoch is needed: %v", err)
	}
	must(t, os.Remove(second.Set+"/escrow/epoch-2.age"))
	relist(t, second.Set, func(line string) (string, bool) { return line, !strings.HasSuffix(line, "epoch-2.age") })
	_, err = c.restore(second.Set, to)
	refused(t, err, guia.Blocked, "archive.escrow_missing")

	// Somebody who can write to the medium gives themselves a role, and lists the changed database rightly.
	third := c.backup(t)
	forge(t, third.Set)
	if _, err := archive.Verify(ctx, third.Set); err != nil {
		t.Fatalf("the forgery is not good enough for this test: %v", err)
	}
	_, err = c.restore(third.Set, to)
	refused(t, err, guia.Damaged, "archive.manifest_forged")
	if left := entries(t, dir); len(left) > 0 {
		t.Errorf("the refused restores left %v", left)
	}
	// What a killed restore left is not in the way.
	work := filepath.Join(dir, ".guia-restoring-restored")
	must(t, os.MkdirAll(work, 0o700))
	must(t, os.WriteFile(work+"/epoch.key", []byte("half"), 0o600))
	_, err = c.restore(first.Set, to)
	must(t, err)
	if left := entries(t, dir); !slices.Equal(left, []string{"restored"}) {
		t.Errorf("beside the restored directory: %v", left)
	}
}

func TestABackupIsRefusedWhereItWouldBeWorthless(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 10)
	_, err := archive.Backup(ctx, c.Directory.Directory, c.Owner, filepath.Join(c.Path, "backups"), nil)
	refused(t, err, guia.Invalid, "archive.place_inside")
	must(t, os.Remove(c.EscrowPath(1)))
	_, err = archive.Backup(ctx, c.Directory.Directory, c.Owner, c.place, nil)
	refused(t, err, guia.Blocked, "archive.no_escrow")
	writeEscrow(t, c.Directory.Directory, recipientOf(t, c.Directory.Directory))
	release, err := c.HoldStill()
	must(t, err)
	_, err = archive.Backup(ctx, c.Directory.Directory, c.Owner, c.place, nil)
	refused(t, err, guia.Blocked, "directory.busy")
	release()
	nobody := c.Owner
	nobody.User = guia.NewPersonID()
	_, err = archive.Backup(ctx, c.Directory.Directory, nobody, c.place, nil)
	refused(t, err, guia.Denied, "permit.unknown")
	if left := entries(t, c.place); len(left) > 0 {
		t.Errorf("refused backups left %v", left)
	}
}

func TestAFailedBackupIsRecordedAsFailed(t *testing.T) {
	c := newCompany(t, 200)
	digest := names(t, filepath.Join(c.Path, "blobs", "sha256"))[0]
	path := filepath.Join(c.Path, "blobs", "sha256", digest)
	flip(t, path, 9)
	_, err := archive.Backup(context.Background(), c.Directory.Directory, c.Owner, c.place, nil)
	refused(t, err, guia.Damaged, "archive.blob_unreadable")
	if left := entries(t, c.place); len(left) > 0 {
		t.Errorf("the failed backup left %v", left)
	}
	event, err := c.Ledger.Event(context.Background(), c.Ledger.Size()-1)
	if err != nil || event.Type != guia.BackupFinished || event.Fields.Get("act.outcome") != "failed" {
		t.Errorf("recorded: %s %q, %v", event.Type, event.Fields.Get("act.outcome"), err)
	}
	flip(t, path, 9)
	c.backup(t)
}

// TestWhatHappensBetweenTheCopiesOfTheDatabases takes a record of a person with new keys in, and then replaces the log key, exactly
// between the two copies.
func TestWhatHappensBetweenTheCopiesOfTheDatabases(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 40)
	for name, event := range map[string]func(){
		"a new key":            func() { c.Accept(canaryRecords(2)...) },
		"another log key":      func() { _, err := c.Ledger.RotateKey(ctx, c.Owner, ""); must(t, err) },
		"a key nobody uses":    func() { c.Accept() },
		"a checkpoint is made": func() { _, err := c.Ledger.Checkpoint(ctx); must(t, err) },
	} {
		times := 0
		archive.OnlyTestBetweenCopies(t, func() {
			if times++; times == 1 {
				event()
			}
		})
		m := c.backup(t)
		if again := name == "another log key"; (times == 2) != again {
			t.Errorf("%s: copied %d times", name, times)
		}
		to := filepath.Join(t.TempDir(), "restored")
		if _, err := c.restore(m.Set, to); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestABackupTakenDuringImportsAndRotationsFitsTogether makes sets while records come in and keys change, and restores each.
func TestABackupTakenDuringImportsAndRotationsFitsTogether(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 40)
	recipient := recipientOf(t, c.Directory.Directory)
	done := make(chan error)
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		var at intake.Progress
		s := &guiatest.Company{Seed: 7, Records: 200_000, Page: 60, Large: 30}
		for stop.Err() == nil && at.Counts.New < 2500 {
			page, err := s.Pull(ctx, at.Cursor)
			if err == nil {
				at.Cursor = page.Next
				_, at, err = c.Intake.Accept(ctx, feed, page.Records, at)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for round := range 3 {
		rotated := make(chan error)
		go func() {
			if round%2 == 0 {
				_, err := c.Ledger.RotateKey(ctx, c.Owner, "")
				rotated <- err
				return
			}
			rotated <- nil
		}()
		m := c.backup(t)
		must(t, <-rotated)
		to := filepath.Join(t.TempDir(), "restored")
		_, err := c.restore(m.Set, to)
		must(t, err)
		r := guiatest.Open(t, to) // checked at the end
		r.Shut()
		if round == 1 {
			must(t, c.Keys.RotateEpoch(ctx))
			writeEscrow(t, c.Directory.Directory, recipient)
		}
	}
	cancel()
	must(t, <-done)
}

func recipientOf(t testing.TB, d *directory.Directory) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.EscrowFolder(), "recipients.txt"))
	must(t, err)
	return strings.TrimSpace(string(text))
}
