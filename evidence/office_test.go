package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/directory"
	"guia/evidence/verify"
	"guia/intake"
	"guia/lang"
	"guia/ledger"
	"guia/people"
	"guia/permit"
	"guia/proof"
	"guia/source"
)

// office is a data directory with people in it.
type office struct {
	testing.TB
	*directory.Directory
	ctx    context.Context
	ana    guia.Actor // may do everything
	people *people.People
}

func newOffice(t testing.TB) *office {
	t.Helper()
	o := &office{TB: t, ctx: t.Context()}
	u := permit.User{ID: guia.NewPersonID(), Login: "ana"}
	for _, r := range []permit.Role{permit.Administrator, permit.Officer} {
		u.Grants = append(u.Grants, permit.Grant{Role: r, Scope: permit.Everything})
	}
	var err error
	if o.Directory, err = directory.Create(o.ctx, filepath.Join(t.TempDir(), "data"), u); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	o.people, err = people.Open(filepath.Join(t.TempDir(), "people.db"), func(source guia.SourceName, key string) guia.PersonID {
		return guia.PersonID(o.Vault.PersonOwner(source, key))
	})
	must(t, err)
	t.Cleanup(func() { must(t, o.people.Close()) })
	o.ana = guia.Actor{User: u.ID, Login: "ana", Via: "os-login", Reason: "dispute about a commission"}
	return o
}

// hire makes an account with the given grants.
func (o *office) hire(login string, grants ...permit.Grant) guia.Actor {
	o.Helper()
	id := guia.NewPersonID()
	must(o.TB, o.Ledger.Batch(o.ctx, 0, func(tx *ledgerTx) error {
		if err := permit.AddUser(tx.Tx, id, login, ""); err != nil {
			return err
		}
		for _, g := range grants {
			if err := permit.AddGrant(tx.Tx, id, g); err != nil {
				return err
			}
		}
		return nil
	}))
	return guia.Actor{User: id, Login: login, Via: "os-login"}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want demands a refusal of a kind with a key.
func want(t testing.TB, err error, kind guia.Kind, key string) {
	t.Helper()
	refusal, ok := errors.AsType[*guia.Refusal](err)
	if !ok || refusal.Kind != kind || refusal.Key != key {
		t.Errorf("got %v, want %s: %s", err, kind, key)
	}
	if !lang.Has(key) {
		t.Errorf("no sentence for %s", key)
	}
}

// pages is a source that was read completely.
type pages struct {
	name    guia.SourceName
	records []source.Record
}

func (p *pages) Name() guia.SourceName { return p.name }
func (p *pages) Instance() string      { return "export.zip" }
func (p *pages) Close() error          { return nil }

func (p *pages) Pull(_ context.Context, after source.Cursor) (source.Page, error) {
	return source.Page{Records: p.records, Next: "end", Done: true}, nil
}

// bring imports records of Slack and returns their places, in their order.
func (o *office) bring(entity string, records ...source.Record) []guia.Seq {
	o.Helper()
	return o.bringFrom("slack", entity, records...)
}

func (o *office) bringFrom(name guia.SourceName, entity string, records ...source.Record) []guia.Seq {
	o.Helper()
	first := o.Ledger.Size() + 1 // behind import.started
	feed := intake.Feed{Entity: entity, Class: "chat", Channel: guia.ChannelExport, Grade: guia.GradeC, Normaliser: "test/1"}
	_, err := o.Intake.Import(o.ctx, o.ana, feed, &pages{name, records}, "sha256:"+strings.Repeat("ab", 32)+" 7", true, nil)
	must(o.TB, err)
	seqs := make([]guia.Seq, len(records))
	for i := range seqs {
		seqs[i] = first + guia.Seq(i)
	}
	return seqs
}

// says is a message in the conversation "general".
func says(key, who, text string) source.Record {
	return source.Record{
		Key: key, Type: guia.MessageSent, Stream: "C1", StreamName: "general", StreamKind: "channel",
		Time: guia.Moment{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Precision: guia.Second}, HasTime: true,
		TimeOriginal: "1767323045.000100", TimeZone: "+08:00", TimeBasis: "source",
		Sender: source.Person{ID: "U-" + who, Name: who, Address: who + "@example.com"}, Text: text,
		Raw: []byte(`{"user":"` + who + `","text":"` + text + `"}`), RawType: "application/json", Origin: "general/2026-01-02.json#" + key,
	}
}

// attach adds an attachment.
func attach(r source.Record, name, content string) source.Record {
	r.Files = append(r.Files, source.File{Name: name, MediaType: "text/plain", Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}})
	return r
}

// open opens a case with the events.
func (o *office) open(name string, seqs ...guia.Seq) Case {
	o.Helper()
	c, err := OpenCase(o.ctx, o.Ledger, o.ana, name)
	must(o.TB, err)
	n, err := Add(o.ctx, o.Ledger, o.ana, c, seqs)
	must(o.TB, err)
	if n != len(unique(seqs)) {
		o.Fatalf("added %d of %d", n, len(seqs))
	}
	return c
}

func (o *office) request(c Case, redact ...string) BundleRequest {
	o.Helper()
	r, err := ParseRedaction(redact)
	must(o.TB, err)
	must(o.TB, o.Ledger.CatchUp(o.ctx, nil, o.people))
	return BundleRequest{Case: c, Out: filepath.Join(o.TempDir(), "case.asice"), Redact: r, People: o.people, Program: "guia test"}
}

// packed is a bundle that was read back and verified.
type packed struct {
	Result
	Report verify.Report
	Files  map[string][]byte
	Lines  []verify.Line // of records.jsonl
}

// build makes a bundle, demands that it verifies with the log's first key, and reads it.
func (o *office) build(req BundleRequest) packed {
	o.Helper()
	result, err := Build(o.ctx, o.Ledger, o.ana, req, nil)
	must(o.TB, err)
	return o.read(result)
}

func (o *office) read(result Result) packed {
	o.Helper()
	p := packed{Result: result, Files: map[string][]byte{}}
	keys, err := o.Ledger.LogKeys(o.ctx)
	must(o.TB, err)
	trust, err := verify.TrustKeys(keys[0].VKey)
	must(o.TB, err)
	content, err := os.ReadFile(result.Path)
	must(o.TB, err)
	p.Report = verify.Verify(bytes.NewReader(content), int64(len(content)), trust, verify.Limits{})
	if p.Report.Verdict != verify.Proven {
		for _, f := range p.Report.Findings {
			o.Errorf("%s line %d field %s: %s %v", f.File, f.Line, f.Field, f.Key, f.Args)
		}
		o.Fatalf("verdict %s", p.Report.Verdict)
	}
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	must(o.TB, err)
	for _, f := range z.File {
		r, err := f.Open()
		must(o.TB, err)
		p.Files[f.Name], err = io.ReadAll(r)
		must(o.TB, err)
	}
	for line := range bytes.Lines(p.Files["records.jsonl"]) {
		var l verify.Line
		must(o.TB, verify.ParseLine(&l, line))
		p.Lines = append(p.Lines, l)
	}
	return p
}

// withheld returns the names of the fields of a record that are not disclosed.
func (p packed) withheld(seq guia.Seq, why verify.Reason) (names []string) {
	for _, l := range p.Lines {
		for _, f := range l.Fields {
			if l.Index == int64(seq) && f.Withheld == why {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// holds returns the files of the bundle in which the text stands, base64 decoded.
func (p packed) holds(text string) (names []string) {
	for name, content := range p.Files {
		if bytes.Contains(content, []byte(text)) {
			names = append(names, name)
		}
	}
	for _, name := range []string{"records.jsonl", "custody.jsonl"} {
		for line := range bytes.Lines(p.Files[name]) {
			var l verify.Line
			if verify.ParseLine(&l, line) != nil {
				continue
			}
			for _, f := range l.Fields {
				if f.Withheld == "" && bytes.Contains(f.Value, []byte(text)) {
					names = append(names, fmt.Sprintf("%s #%d %s", name, l.Index, f.Name))
				}
			}
		}
	}
	return names
}

func (p packed) view() string { return string(p.Files["view.html"]) }

// signWith replaces the log's signature until the returned function is called.
func (o *office) signWith(sign func([]byte) ([]byte, error)) (restore func()) {
	before := testOnlySign
	testOnlySign = func(_ *ledger.Ledger, text []byte) ([]byte, error) { return sign(text) }
	return func() { testOnlySign = before }
}

// signAsStranger signs with a key of the right name that is not the log's.
func (o *office) signAsStranger(text []byte) ([]byte, error) {
	skey, _, err := proof.NewLogKey(o.Ledger.Origin())
	if err != nil {
		return nil, err
	}
	signer, err := proof.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	return verify.SignManifestNote(text, signer)
}

// forget destroys every key of a person, as an erasure does: rows first, then keys.
func (o *office) forget(person string, seqs ...guia.Seq) {
	o.Helper()
	classes, err := o.Keys.Existing(o.ctx, o.Vault.PersonOwner("slack", person))
	must(o.TB, err)
	if len(classes) == 0 {
		o.Fatal("the person has no keys")
	}
	keks := map[uint64]bool{}
	var ids []uint64
	for _, id := range classes {
		keks[id] = true
		ids = append(ids, id)
	}
	for _, seq := range seqs {
		e, err := o.Ledger.Entry(o.ctx, seq)
		must(o.TB, err)
		row, changed, err := o.Vault.Forget(o.ctx, seq, e.Leaf.Header, e.Row, keks)
		must(o.TB, err)
		if changed {
			must(o.TB, o.Ledger.Batch(o.ctx, 0, func(tx *ledgerTx) error { return o.Vault.Replace(tx.Tx, seq, row) }))
		}
	}
	must(o.TB, o.Keys.Destroy(o.ctx, ids))
}
