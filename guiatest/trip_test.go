package guiatest_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guia"
	"guia/evidence"
	"guia/evidence/verify"
	"guia/guiatest"
	"guia/index"
	"guia/intake"
	"guia/ledger"
	"guia/people"
	"guia/permit"
	"guia/source/mapped"
)

// steps hears the functions that a datum passes.
type steps struct {
	mu   sync.Mutex
	list []string
}

func (s *steps) hear(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, name)
}

// TestTrip sends one record through the real program, from a file to a verified bundle. The functions it passes are the rows of
// docs/TRIP.md in their order, and what row 6 stores is stored by one commit.
func TestTrip(t *testing.T) {
	ctx := t.Context()
	d := guiatest.New(t)
	heard := &steps{}
	d.Intake.TestOnlySteps(heard.hear)
	d.Ledger.TestOnlySteps(heard.hear)
	later := time.Now().Add(2 * time.Second) // a checkpoint is due
	d.Ledger.TestOnlyClock(func() time.Time { return later })

	src := oneMessage(t)
	at := intake.Progress{Import: guia.NewRecordID()}
	heard.hear("source.Pull")
	page, err := src.Pull(ctx, at.Cursor) // 1
	if err != nil || len(page.Records) != 1 || !page.Done {
		t.Fatalf("%d records, %v", len(page.Records), err)
	}
	before := lookFromOutside(t, d.Main.Path())
	at.Cursor = page.Next
	seqs, _, err := d.Intake.Accept(ctx, guiatest.Feed(), page.Records, at) // 2 to 7
	if err != nil || len(seqs) != 1 {
		t.Fatalf("%d places, %v", len(seqs), err)
	}
	after := lookFromOutside(t, d.Main.Path())
	if n := after.commits - before.commits; n != 1 {
		t.Errorf("%d commits for one page, want 1", n)
	}
	for name, table := range after.rows {
		want := before.rows[name] + 1
		if name == "intake_seen" {
			want++ // by its key and by what it says
		}
		if table != want {
			t.Errorf("%s: %d rows behind the commit, %d before, want %d", name, table, before.rows[name], want)
		}
	}
	if after.head != before.head+1 || after.count != before.count+1 {
		t.Errorf("head %d, before %d; streams hold %d, before %d", after.head, before.head, after.count, before.count)
	}

	bundle, trust := follow(t, d, heard, seqs[0]) // 8 to 11
	info, err := bundle.Stat()
	if err != nil {
		t.Fatal(err)
	}
	heard.hear("verify.Verify")
	if r := verify.Verify(bundle, info.Size(), trust, verify.Limits{}); r.Verdict != verify.Proven { // 12
		t.Errorf("%v: %+v", r.Verdict, r.Findings)
	}
	compareTrip(t, heard.list, "../docs/TRIP.md")
}

// follow lets the followers see the record, finds it, and packs it.
func follow(t *testing.T, d *guiatest.Directory, heard *steps, seq guia.Seq) (*os.File, verify.Trust) {
	t.Helper()
	ctx := t.Context()
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
	if err := d.Ledger.CatchUp(ctx, nil, &index.Follower{Index: words, Person: person}, who); err != nil {
		t.Fatal(err)
	}
	err = d.Ledger.Do(ctx, d.Owner, permit.ActSearch, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("query", "合同")
		_, err := tx.Record(guia.SearchMade, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	heard.hear("index.Search")
	hits, err := words.Search(ctx, index.Scope{All: true}, index.Query{Text: "合同"})
	if err != nil || len(hits.Hits) != 1 || hits.Hits[0].Seq != uint64(seq) {
		t.Fatalf("%+v, %v", hits, err)
	}
	c, err := evidence.OpenCase(ctx, d.Ledger, d.Owner, "the trip")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Add(ctx, d.Ledger, d.Owner, c, []guia.Seq{guia.Seq(hits.Hits[0].Seq)}); err != nil {
		t.Fatal(err)
	}
	heard.hear("evidence.Build")
	return build(t, d, c)
}

// build writes the bundle of a case and returns it with the trust in the log's first key.
func build(t testing.TB, d *guiatest.Directory, c evidence.Case) (*os.File, verify.Trust) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	keys, err := d.Ledger.LogKeys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "case.asice")
	if _, err := evidence.Build(ctx, d.Ledger, d.Owner, evidence.BundleRequest{Case: c, Out: out, Program: "guia test"}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	trust, err := verify.TrustKeys(keys[0].VKey)
	if err != nil {
		t.Fatal(err)
	}
	return f, trust
}

// oneMessage is a file with one message, read through a mapping.
func oneMessage(t *testing.T) *mapped.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chat.jsonl")
	line := `{"id":"1","room":"obra","when":"2026-03-02T09:00:00+08:00","who":"陳大文","said":"請覆核合同。Por favor, reveja o contrato."}` + "\n"
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := mapped.ReadMapping(strings.NewReader(`guia-mapping: 1
source: {name: chat, description: one line a message}
format: jsonl
zone: Asia/Macau
fields:
  key: id
  type: {constant: message.sent}
  stream: room
  stream.kind: {constant: channel}
  time: when
  sender.name: who
  text: said
`))
	if err != nil {
		t.Fatal(err)
	}
	src, err := mapped.Open(path, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// outside is what another process sees in the database file.
type outside struct {
	commits int // in the log
	rows    map[string]int
	head    int64
	count   int64
}

func lookFromOutside(t *testing.T, path string) (o outside) {
	t.Helper()
	o.commits, o.rows = commitsIn(t, path+"-wal"), map[string]int{}
	other, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(ON)")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, table := range []string{"ledger_leaf", "ledger_checkpoint", "ledger_stream", "vault_row", "intake_seen", "intake_cursor"} {
		var n int
		if err := other.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		o.rows[table] = n
	}
	if err := other.QueryRow("SELECT (SELECT size FROM ledger_head), (SELECT SUM(count) FROM ledger_stream)").Scan(&o.head, &o.count); err != nil {
		t.Fatal(err)
	}
	return o
}

// commitsIn counts the commits in a write-ahead log: frames that say how large the file is (SQLite's file format, section 4).
func commitsIn(t *testing.T, path string) (n int) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil || len(log) < 32 {
		t.Fatalf("%s: %d bytes, %v", path, len(log), err)
	}
	page, salt := int(binary.BigEndian.Uint32(log[8:])), string(log[16:24])
	for at := 32; at+24+page <= len(log) && string(log[at+8:at+16]) == salt; at += 24 + page {
		if binary.BigEndian.Uint32(log[at+4:]) > 0 {
			n++
		}
	}
	return n
}

var (
	tripRow  = regexp.MustCompile(`(?m)^\|\s*(\d+)\s*\|([^|]*)\|`)
	tripCode = regexp.MustCompile("`([^`]*)`")
)

// compareTrip demands that the steps, each where it was first heard, are the rows of the table in their order, and that no row of the
// table was passed by. Steps that the table does not name stand between.
func compareTrip(t *testing.T, heard []string, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var last, rows int
	for _, row := range tripRow.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(row[2], "not yet") {
			continue
		}
		var folder string
		for i, code := range tripCode.FindAllStringSubmatch(row[2], -1) {
			if i == 0 {
				folder = code[1]
				continue
			}
			name, _, _ := strings.Cut(code[1][strings.LastIndex(code[1], ").")+1:], "(")
			name = strings.TrimPrefix(name, ".")
			at := slices.IndexFunc(heard, func(step string) bool {
				where, what, _ := strings.Cut(step, ".")
				return what == name && slices.Contains(strings.Split(folder, "/"), where)
			})
			if at < 0 {
				t.Errorf("row %s: %s of %s was not passed; heard %v", row[1], name, folder, heard)
				continue
			}
			if at < last {
				t.Errorf("row %s: %s of %s was passed before the row above it; heard %v", row[1], name, folder, heard)
			}
			last = at
			rows++
			if i > 0 {
				break // what else the row names is another door to the same step
			}
		}
	}
	if rows < 10 {
		t.Errorf("only %d rows were found in %s", rows, path)
	}
}
