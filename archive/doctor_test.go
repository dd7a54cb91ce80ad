package archive_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/archive"
	"guia/canon"
	"guia/guiatest"
	"guia/lang"
	"guia/ledger"
	"guia/permit"
	"guia/seal"
)

func finding(h archive.Health, check string) archive.Finding {
	for _, f := range h.Findings {
		if f.Check == check {
			return f
		}
	}
	return archive.Finding{}
}

func examine(t *testing.T, c *company, followers ...ledger.Follower) archive.Health {
	t.Helper()
	h, err := archive.Doctor(context.Background(), c.Directory.Directory, followers...)
	must(t, err)
	return h
}

func TestDoctorFindsWhatIsNeglected(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 150)
	expect := func(check string, want archive.Severity, key string) {
		t.Helper()
		if f := finding(examine(t, c), check); f.Severity != want || f.Key != "doctor."+key || (f.Do == "") != (want == archive.OK) {
			t.Errorf("%s: %+v, want %s %s", check, f, want, key)
		}
	}
	expect("backup", archive.Bad, "backup.none")
	c.backup(t)
	expect("backup", archive.OK, "backup.ok")
	expect("escrow", archive.OK, "escrow.ok")
	must(t, c.Keys.RotateEpoch(ctx))
	expect("escrow", archive.Bad, "escrow.missing")
	writeEscrow(t, c.Directory.Directory, recipientOf(t, c.Directory.Directory))
	expect("escrow", archive.OK, "escrow.ok")

	expect("recovery", archive.OK, "recovery.ok")
	key := c.Path + ".recovery-key" // where guia init leaves it
	foreign, _, err := seal.NewIdentity()
	must(t, err)
	must(t, os.WriteFile(key, []byte("# of a neighbour\n"+foreign+"\n"), 0o600))
	expect("recovery", archive.OK, "recovery.ok")
	must(t, os.WriteFile(key, []byte("# a comment\n"+c.identity+"\n"), 0o600))
	expect("recovery", archive.Bad, "recovery.beside")
	must(t, os.Remove(key))

	_, err = c.WriteEscrow(ctx, c.Owner, []string{recipientOf(t, c.Directory.Directory)}, true)
	must(t, err)
	expect("escrow", archive.OK, "escrow.ok")
	for path, check := range map[string]string{c.EscrowPath(c.Keys.Epoch()): "escrow", filepath.Join(c.EscrowFolder(), "recipients.txt"): "recipients"} {
		text, err := os.ReadFile(path)
		must(t, err)
		for _, bad := range []string{"", "words", string(text[:len(text)-1]) + "x"} {
			must(t, os.WriteFile(path, []byte(bad), 0o600))
			expect(check, archive.Bad, map[string]string{"escrow": "escrow.differs", "recipients": "recipients.differ"}[check])
		}
		must(t, os.WriteFile(path, text, 0o600))
	}
	if f := finding(examine(t, c), "recipients"); f.Check != "" {
		t.Errorf("the recipients are those that were recorded: %+v", f)
	}

	if runtime.GOOS != "windows" {
		must(t, os.Chmod(c.Path, 0o750))
		expect("permissions", archive.Bad, "permissions.open")
		must(t, os.Chmod(c.Path, 0o700))
	}
	expect("permissions", archive.OK, "permissions.ok")

	expect("intents", archive.OK, "intents.ok")
	for _, kind := range []guia.Type{guia.BackupStarted, guia.BundleStarted, guia.TilesStarted} {
		must(t, c.Ledger.Do(ctx, c.Owner, permit.ActBackup, func(tx *ledger.Tx) error {
			_, err := tx.Record(kind, nil)
			return err
		}))
	}
	expect("intents", archive.Warn, "intents.backup")
	c.backup(t) // a later one that ended does not make the earlier one whole
	if n := strings.Count(keysOfFindings(examine(t, c)), "doctor.intents."); n != 3 {
		t.Errorf("%d of 3 interrupted acts are told", n)
	}

	record := func(kind guia.Type, seqs ...guia.Seq) (seq guia.Seq) {
		must(t, c.Ledger.Do(ctx, c.Owner, permit.ActExport, func(tx *ledger.Tx) (err error) {
			var f guia.Fields
			f.Set("seqs", canon.FormatSeqs(seqs))
			seq, err = tx.Record(kind, f)
			return err
		}))
		return seq
	}
	one, other := record(guia.BundleStarted), record(guia.BundleStarted) // at the same time
	record(guia.BundleExported, one)
	var told []any
	for _, f := range examine(t, c).Findings {
		if f.Key == "doctor.intents.bundle" {
			told = append(told, f.Args[0])
		}
	}
	if len(told) != 2 || told[1] != uint64(other) {
		t.Errorf("bundles %v are told, want one from before and %d, whose end is not that of %d", told, other, one)
	}

	expect("orphans", archive.OK, "orphans.ok")
	_, _, err = c.Blobs.Put(ctx, strings.NewReader("nobody refers to this"))
	must(t, err)
	expect("orphans", archive.Warn, "orphans.found")

	p := openPeople(t, c.Directory.Directory, filepath.Join(t.TempDir(), "people.db"))
	must(t, p.Apply(ctx, nil, c.Ledger.Size()+5))
	if f := finding(examine(t, c, p), "followers"); f.Key != "doctor.followers.ahead" {
		t.Errorf("a follower of another ledger: %+v", f)
	}
	must(t, p.Settle(ctx, c.Ledger.Size()))
	must(t, c.Ledger.CatchUp(ctx, nil, p))
	if f := finding(examine(t, c, p), "followers"); f.Severity != archive.OK {
		t.Errorf("a follower at the end: %+v", f)
	}
	if w := examine(t, c).Worst(); w != archive.Warn && w != archive.Bad {
		t.Errorf("worst is %s", w)
	}
	archive.OnlyTestNow(t, c.Directory.Directory, time.Now().Add(-time.Hour), func(h archive.Health) {
		if f := finding(h, "clock"); f.Severity != archive.Bad {
			t.Errorf("a clock an hour behind: %+v", f)
		}
	})
	archive.OnlyTestNow(t, c.Directory.Directory, time.Now().Add(40*24*time.Hour), func(h archive.Health) {
		if f := finding(h, "backup"); f.Severity != archive.Bad || f.Key != "doctor.backup.old" {
			t.Errorf("a backup of 40 days ago: %+v", f)
		}
	})
}

func keysOfFindings(h archive.Health) string {
	var b strings.Builder
	for _, f := range h.Findings {
		b.WriteString(f.Key + "\n")
	}
	return b.String()
}

// TestEveryFindingHasItsSentences reads the keys out of the source: Doctor builds them from two words.
func TestEveryFindingHasItsSentences(t *testing.T) {
	text, err := os.ReadFile("doctor.go")
	must(t, err)
	keys := map[string]string{"doctor.intents.backup": "Warn", "doctor.intents.bundle": "Warn", "doctor.intents.tiles": "Warn"}
	for _, m := range regexp.MustCompile(`x\.find\("(\w+)", (\w+), "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		keys["doctor."+m[1]+"."+m[3]] = m[2]
	}
	if len(keys) < 25 {
		t.Fatalf("only %d findings in the source: was its form changed?", len(keys))
	}
	for key, severity := range keys {
		if !lang.Has(key) || severity != "OK" && !lang.Has(key+".do") {
			t.Errorf("%s has no sentence", key)
		}
	}
}

// TestSupportTellsNothingPersonal searches everything in the archive for what only people and sources have said.
func TestSupportTellsNothingPersonal(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 60)
	c.Accept(canaryRecords(12)...)
	must(t, os.WriteFile(c.Path+".recovery-key-of-"+canaryKey, []byte(c.identity), 0o600))
	p := openPeople(t, c.Directory.Directory, filepath.Join(c.Followers(), "people.db"))
	must(t, c.Ledger.CatchUp(ctx, nil, p))
	c.backup(t)
	var b bytes.Buffer
	must(t, archive.Support(ctx, c.Directory.Directory, &b, p))
	dir := filepath.Join(t.TempDir(), "support")
	unzip(t, b.Bytes(), dir)
	canary := traces{}
	company := &guiatest.Company{Seed: 1}
	for what, s := range map[string]string{
		"name": canaryName, "address": canaryAddress, "identifier": canaryKey, "text": canaryText, "file": canaryFile, "login": "\"" + c.Owner.Login + "\"",
		"path": filepath.Dir(c.Path), "conversation": "Obra da Taipa", "sender": company.Record(0).Sender.Name,
		"recovery key": c.identity, "origin": c.Ledger.Origin(),
	} {
		canary.text(what, s)
	}
	if found := canary.find(t, dir); len(found) > 0 {
		t.Errorf("in the support archive: %v", found)
	}
	text, err := os.ReadFile(filepath.Join(dir, "numbers.json"))
	must(t, err)
	if !strings.Contains(string(text), `"message.sent"`) || !strings.Contains(string(text), `"mapped"`) {
		t.Errorf("numbers say too little: %s", text)
	}
	health, err := os.ReadFile(filepath.Join(dir, "health.txt"))
	must(t, err)
	if strings.Count(string(health), "\n") < 12 || strings.Contains(string(health), "doctor.") {
		t.Errorf("health is not in words: %s", health)
	}
	if host, err := os.Hostname(); err == nil && len(host) > 3 && bytes.Contains(b.Bytes(), []byte(host)) {
		t.Error("the machine's name is in the archive")
	}
}

// TestAFollowerThatIsMoreThanAPageBehindIsTold: somebody who finds nothing in the newest 2,100 events must not read that all is well.
func TestAFollowerThatIsMoreThanAPageBehindIsTold(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 2100)
	size := c.Ledger.Size()
	for _, behind := range []guia.Seq{2049, 2048, 0} {
		p := openPeople(t, c.Directory.Directory, filepath.Join(t.TempDir(), "people.db"))
		must(t, p.Apply(ctx, nil, size-behind))
		want := archive.Finding{Check: "followers", Severity: archive.OK, Key: "doctor.followers.ok", Args: []any{1}}
		if behind > 2048 {
			want = archive.Finding{Check: "followers", Severity: archive.Warn, Key: "doctor.followers.lagging", Args: []any{"people", uint64(2049)}, Do: "doctor.followers.lagging.do"}
		}
		if got := finding(examine(t, c, p), "followers"); !reflect.DeepEqual(got, want) {
			t.Errorf("%d behind: %+v, want %+v", behind, got, want)
		}
	}
}
