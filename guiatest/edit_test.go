package guiatest_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/account"
	"guia/directory"
	"guia/guiatest"
	"guia/intake"
	"guia/ledger"
	"guia/permit"
	"guia/proof"
	"guia/source"
)

// edit is what somebody with access to the files does to them on purpose.
type edit struct {
	name string
	do   func(t testing.TB, e *editor)
	// seq is the event that a finding must name; -1 when it cannot name one.
	seq int64
}

// editor is an open database file behind the program's back.
type editor struct {
	t    testing.TB
	dir  string
	main *sql.DB
	keys *sql.DB
}

func (e *editor) exec(query string, args ...any) {
	e.t.Helper()
	d := e.main
	if strings.Contains(query, "seal_") {
		d = e.keys
	}
	r, err := d.Exec(query, args...)
	if err != nil {
		e.t.Fatalf("%s: %v", query, err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		e.t.Fatalf("%s: changed %d rows, %v", query, n, err)
	}
}

// packed changes one value of a packed table.
func (e *editor) packed(table string, number uint64, change func([]byte) []byte) {
	e.t.Helper()
	var first uint64
	var data []byte
	if err := e.main.QueryRow("SELECT first, data FROM "+table+" WHERE first <= ? ORDER BY first DESC LIMIT 1", number).Scan(&first, &data); err != nil {
		e.t.Fatal(err)
	}
	var fresh []byte
	for n := first; len(data) > 0; n++ {
		size, width := binary.Uvarint(data)
		value := slices.Clone(data[width : width+int(size)])
		data = data[width+int(size):]
		if n == number {
			value = change(value)
		}
		fresh = append(binary.AppendUvarint(fresh, uint64(len(value))), value...)
	}
	e.exec("UPDATE "+table+" SET data = ? WHERE first = ?", fresh, first)
}

// value reads one value of a packed table.
func (e *editor) value(table string, number uint64) (v []byte) {
	e.packed(table, number, func(b []byte) []byte { v = b; return b })
	return v
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
}

func swap(table string, a, b uint64) func(testing.TB, *editor) {
	return func(_ testing.TB, e *editor) {
		one, other := e.value(table, a), e.value(table, b)
		e.packed(table, a, func([]byte) []byte { return other })
		e.packed(table, b, func([]byte) []byte { return one })
	}
}

func run(queries ...string) func(testing.TB, *editor) {
	return func(_ testing.TB, e *editor) {
		for _, q := range queries {
			e.exec(q)
		}
	}
}

// edits are the changes that must be found.
var edits = []edit{
	{"a byte of a leaf", func(_ testing.TB, e *editor) { e.packed("ledger_leaf", 50, flip(60)) }, 50},
	{"the capture time in a leaf", func(t testing.TB, e *editor) {
		e.packed("ledger_leaf", 50, func(b []byte) []byte {
			at := strings.Index(string(b), "captured 20") + len("captured 20")
			b[at] = '3'
			return b
		})
	}, 50},
	{"a byte of a content", func(_ testing.TB, e *editor) { e.packed("vault_row", 60, flip(-20)) }, 60},
	{"two leaves swapped", swap("ledger_leaf", 70, 71), 70},
	{"two contents swapped", swap("vault_row", 80, 81), 80},
	{"leaf and content swapped together", func(t testing.TB, e *editor) { swap("ledger_leaf", 90, 91)(t, e); swap("vault_row", 90, 91)(t, e) }, 90},
	{"a content emptied", func(_ testing.TB, e *editor) { e.packed("vault_row", 40, func([]byte) []byte { return []byte{1} }) }, 40},
	{"the content of another event", func(_ testing.TB, e *editor) {
		other := e.value("vault_row", 100)
		e.packed("vault_row", 101, func([]byte) []byte { return other })
	}, 101},
	{"leaves in the middle deleted", run("DELETE FROM ledger_leaf WHERE first = (SELECT MIN(first) FROM ledger_leaf WHERE first > 50)"), -1},
	{"contents in the middle deleted", run("DELETE FROM vault_row WHERE first = (SELECT MIN(first) FROM vault_row WHERE first > 50)"), -1},
	{"leaves at the end deleted", run("DELETE FROM ledger_leaf WHERE first = (SELECT MAX(first) FROM ledger_leaf)"), -1},
	{"contents at the end deleted", run("DELETE FROM vault_row WHERE first = (SELECT MAX(first) FROM vault_row)"), -1},
	{"leaves stored behind the end", run("INSERT INTO ledger_leaf (first, count, data) SELECT 100000, count, data FROM ledger_leaf WHERE first = 0"), -1},
	{"contents stored behind the end", run("INSERT INTO vault_row (first, count, data) SELECT 100000, count, data FROM vault_row WHERE first = 0"), -1},
	{"a tile", func(_ testing.TB, e *editor) {
		e.exec("UPDATE ledger_tile SET hashes = zeroblob(length(hashes)) WHERE level = 0")
	}, -1},
	{"a tile deleted", run("DELETE FROM ledger_tile WHERE level = 0"), -1},
	{"a tile too many", run("INSERT INTO ledger_tile (level, idx, hashes) VALUES (0, 99, zeroblob(32))"), -1},
	{"a partial tile longer", run("UPDATE ledger_tile SET hashes = CAST(hashes || zeroblob(32) AS BLOB) WHERE level = 1"), -1},
	{"the root in the head", run("UPDATE ledger_head SET root = zeroblob(32)"), -1},
	{"the size in the head", run("UPDATE ledger_head SET size = size - 1"), -1},
	{"the clock in the head", run("UPDATE ledger_head SET clock = clock + 1"), -1},
	{"the origin in the head", run("UPDATE ledger_head SET origin = 'guia.invalid/log/x'"), -1},
	{"the head deleted", run("DELETE FROM ledger_head"), -1},
	{"the newest checkpoint", run("UPDATE ledger_checkpoint SET note = CAST(REPLACE(CAST(note AS TEXT), 'guia', 'gula') AS BLOB) WHERE size = (SELECT MAX(size) FROM ledger_checkpoint)"), -1},
	{"a signature of an old checkpoint", func(_ testing.TB, e *editor) {
		var note []byte
		if err := e.main.QueryRow("SELECT note FROM ledger_checkpoint ORDER BY size LIMIT 1").Scan(&note); err != nil {
			e.t.Fatal(err)
		}
		e.exec("UPDATE ledger_checkpoint SET note = ? WHERE size = (SELECT MIN(size) FROM ledger_checkpoint)", flip(-10)(note))
	}, -1},
	{"an old checkpoint deleted", run("DELETE FROM ledger_checkpoint WHERE size = (SELECT MIN(size) FROM ledger_checkpoint)"), -1},
	{"the newest checkpoints deleted", run("DELETE FROM ledger_checkpoint WHERE size > (SELECT MIN(size) FROM ledger_checkpoint)"), -1},
	{"a log key", run("UPDATE ledger_key SET statement = zeroblob(64) WHERE number = 2"), -1},
	{"the newest log key deleted", run("DELETE FROM ledger_key WHERE number = 2"), -1},
	{"when a log key came into force", run("UPDATE ledger_key SET from_size = from_size + 1 WHERE number = 2"), -1},
	{"the counter of a stream", run("UPDATE ledger_stream SET count = count + 1 WHERE name = (SELECT MIN(name) FROM ledger_stream)"), -1},
	{"the owner of a stream", run("UPDATE ledger_stream SET owner = zeroblob(16) WHERE name = (SELECT MIN(name) FROM ledger_stream)"), -1},
	{"the name of a stream", run("UPDATE ledger_stream SET name = zeroblob(16) WHERE name = (SELECT MIN(name) FROM ledger_stream)"), -1},
	{"a stream deleted", run("DELETE FROM ledger_stream WHERE name = (SELECT MIN(name) FROM ledger_stream)"), -1},
	{"the cursor of a source", run("UPDATE intake_cursor SET cursor = '7' WHERE done = 1"), -1},
	{"an import that is no longer done", run("UPDATE intake_cursor SET done = 0 WHERE done = 1"), -1},
	{"the counts of an import", run("UPDATE intake_cursor SET counts = REPLACE(counts, '300', '299')"), -1},
	{"a cursor deleted", run("DELETE FROM intake_cursor WHERE done = 1"), -1},
	{"all cursors deleted, with their hash", run("DELETE FROM intake_cursor", "DELETE FROM ledger_state WHERE name = 'intake_cursor'"), -1},
	{"a row of recognition deleted", run("DELETE FROM intake_seen WHERE seq = 30"), 30},
	{"a row of recognition added", run("INSERT INTO intake_seen (mac, seq, content) VALUES (zeroblob(20), 30, zeroblob(8))"), -1},
	{"a row of recognition shortened", run("UPDATE intake_seen SET content = substr(content, 1, 8) WHERE length(content) > 8"), -1},
	{"a tombstone deleted", run("DELETE FROM intake_tombstone"), -1},
	{"a key marked for destruction", run("INSERT INTO vault_doomed (kek) VALUES (2)"), -1},
	{"a role granted", run("INSERT INTO permit_grant (user_id, role, scope) SELECT id, 'administrator', '*' FROM permit_user WHERE login = 'rui'"), -1},
	{"a role taken away", run("DELETE FROM permit_grant WHERE role = 'auditor'"), -1},
	{"an account of the system's given to another user", run("UPDATE permit_user SET os_login = 'eve' WHERE login = 'ana'"), -1},
	{"an approval invented", run("INSERT INTO permit_request (id, act, argument, asked_by, state, answered_by) VALUES ('x', 'keys.destroy', '', 'a', 'approved', 'b')"), -1},
	{"an event taken out of a case", run("DELETE FROM evidence_item WHERE seq = 21"), -1},
	{"a case deleted", run("DELETE FROM evidence_case"), -1},
	{"another number of a case", run("UPDATE evidence_case SET number = 9"), -1},
	{"a hash of state deleted", run("DELETE FROM ledger_state WHERE name = 'permit_user'"), -1},
	{"a table dropped", func(_ testing.TB, e *editor) { e.must(e.main.Exec("DROP TABLE intake_tombstone")) }, -1},
	{"a constraint dropped", func(_ testing.TB, e *editor) {
		e.must(e.main.Exec("CREATE TABLE other (id TEXT, login TEXT, os_login TEXT, disabled INTEGER)"))
		e.must(e.main.Exec("INSERT INTO other SELECT * FROM permit_user"))
		e.must(e.main.Exec("DROP TABLE permit_user"))
		e.must(e.main.Exec("ALTER TABLE other RENAME TO permit_user"))
	}, -1},
	{"a trigger", func(_ testing.TB, e *editor) {
		e.must(e.main.Exec("CREATE TRIGGER hide AFTER INSERT ON permit_request BEGIN DELETE FROM permit_request; END"))
	}, -1},
	{"a key", run("UPDATE seal_key SET wrapped = zeroblob(60) WHERE id = 3"), -1},
	{"a key given to another owner", run("UPDATE seal_key SET owner = zeroblob(16) WHERE id = 3"), -1},
	{"a key deleted", run("DELETE FROM seal_key WHERE id = 3"), -1},
	{"the secret under the keyed hashes deleted", run("DELETE FROM seal_secret WHERE name = 'mac'"), -1},
	{"the log's signing key deleted", run("DELETE FROM seal_secret WHERE name = 'log.2'"), -1},
	{"the next number of a key", run("UPDATE seal_epoch SET next = 2"), -1},
	{"the number of the epoch", run("UPDATE seal_epoch SET number = number + 1"), -1},
	{"the epoch deleted", run("DELETE FROM seal_epoch"), -1},
	{"a blob replaced", func(t testing.TB, e *editor) {
		blobs := e.blobs()
		content, err := os.ReadFile(blobs[1])
		e.ok(err)
		e.ok(os.WriteFile(blobs[0], content, 0o600))
	}, -1},
	{"a blob cut off", func(t testing.TB, e *editor) { e.ok(os.Truncate(e.blobs()[2], 10)) }, -1},
	{"a blob deleted", func(t testing.TB, e *editor) { e.ok(os.Remove(e.blobs()[3])) }, -1},
	{"the files of two records exchanged", func(t testing.TB, e *editor) { exchangeFiles(e) }, -1},
	{"the key database deleted", func(t testing.TB, e *editor) { e.ok(os.Remove(filepath.Join(e.dir, "keys.db"))) }, -1},
	{"the main database deleted", func(t testing.TB, e *editor) { e.ok(os.Remove(filepath.Join(e.dir, "guia.db"))) }, -1},
	{"the main database cut off", func(t testing.TB, e *editor) {
		info, err := os.Stat(filepath.Join(e.dir, "guia.db"))
		e.ok(err)
		e.ok(os.Truncate(filepath.Join(e.dir, "guia.db"), info.Size()-8192))
	}, -1},
	{"the epoch key of another directory", func(t testing.TB, e *editor) {
		other := guiatest.New(t)
		key, err := os.ReadFile(filepath.Join(other.Path, "epoch.key"))
		e.ok(err)
		e.ok(os.WriteFile(filepath.Join(e.dir, "epoch.key"), key, 0o600))
	}, -1},
	{"the epoch key deleted", func(t testing.TB, e *editor) { e.ok(os.Remove(filepath.Join(e.dir, "epoch.key"))) }, -1},
}

func (e *editor) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *editor) must(_ sql.Result, err error) {
	e.t.Helper()
	e.ok(err)
}

// blobs lists the files of the blob store.
func (e *editor) blobs() (names []string) {
	for name := range readImage(e.t, e.dir) {
		if strings.HasPrefix(name, "blobs"+string(filepath.Separator)+"sha256") {
			names = append(names, filepath.Join(e.dir, name))
		}
	}
	slices.Sort(names)
	return names
}

// exchangeFiles lets two rows name each other's blob: both blobs are there and whole.
func exchangeFiles(e *editor) {
	blobs := e.blobs()
	digest := func(path string) []byte {
		text := filepath.Base(filepath.Dir(path)) + filepath.Base(path)
		var d []byte
		if _, err := fmt.Sscanf(text, "%x", &d); err != nil {
			e.t.Fatal(err)
		}
		return d
	}
	a, b := digest(blobs[0]), digest(blobs[1])
	rows, err := e.main.Query("SELECT first, data FROM vault_row")
	e.ok(err)
	defer rows.Close()
	changed := map[int64][]byte{}
	for rows.Next() {
		var first int64
		var data []byte
		e.ok(rows.Scan(&first, &data))
		const mark = "\x00exchange"
		s := strings.ReplaceAll(string(data), string(a), mark)
		s = strings.ReplaceAll(strings.ReplaceAll(s, string(b), string(a)), mark, string(b))
		if s != string(data) {
			changed[first] = []byte(s)
		}
	}
	e.ok(rows.Err())
	e.ok(rows.Close()) // there is one connection, and it is needed now
	if len(changed) == 0 {
		e.t.Fatal("no row names the blobs")
	}
	for first, data := range changed {
		e.exec("UPDATE vault_row SET data = ? WHERE first = ?", data, first)
	}
}

// edited writes the image to path and lets an edit change it.
func edited(t testing.TB, files image, path string, do func(testing.TB, *editor)) {
	t.Helper()
	if err := files.write(path); err != nil {
		t.Fatal(err)
	}
	e := &editor{t: t, dir: path}
	var err error
	for name, d := range map[string]**sql.DB{"guia.db": &e.main, "keys.db": &e.keys} {
		if *d, err = sql.Open("sqlite", "file:"+filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
		(*d).SetMaxOpenConns(1)
	}
	do(t, e)
	for _, d := range []*sql.DB{e.main, e.keys} {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryEditOfADirectoryIsFound changes rows and files on purpose, as somebody would who can write them and has no keys.
func TestEveryEditOfADirectoryIsFound(t *testing.T) {
	t.Parallel()
	path := busyDirectory(t)
	files := readImage(t, path)
	work := filepath.Join(memory(t), "data")
	sound := soundDump(t, files, work)
	classes := map[string]int{}
	for _, e := range edits {
		edited(t, files, work, e.do)
		f := examine(work, sound)
		classes[f.class]++
		if strings.ToUpper(f.class) == f.class || f.class == "harmless" {
			t.Errorf("%s: %s: %s", e.name, f.class, f.what)
		}
		if e.seq >= 0 && !slices.ContainsFunc(f.at, func(f ledger.Finding) bool { return f.HasSeq && int64(f.Seq) == e.seq }) {
			t.Errorf("%s: no finding names event %d: %s: %s", e.name, e.seq, f.class, f.what)
		}
		if secret := strings.Contains(e.name, "secret") || strings.Contains(e.name, "epoch"); secret && !strings.HasPrefix(f.class, "refused: ") {
			t.Errorf("%s: %s, after the directory was opened without it: %s", e.name, f.class, f.what)
		}
		t.Logf("%s: %s: %.120s", e.name, f.class, f.what)
	}
	t.Logf("%d edits: %v", len(edits), classes)
}

// rewrite makes everything fit the leaves that can be made to fit without the log's key: tiles and head.
func (e *editor) rewrite() {
	var size uint64
	e.ok(e.main.QueryRow("SELECT size FROM ledger_head").Scan(&size))
	b := &proof.Builder{}
	store := func(tile proof.Tile) {
		e.exec("INSERT INTO ledger_tile (level, idx, hashes) VALUES (?, ?, ?) ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes", tile.Level, tile.Index, tile.Bytes())
	}
	for seq := range size {
		for _, tile := range b.Append(proof.LeafHash(e.value("ledger_leaf", seq))) {
			store(tile)
		}
	}
	for level, hashes := range b.Partials() {
		if level > 0 && len(hashes) > 0 {
			store(proof.Tile{Level: level, Index: b.Size() >> (proof.TileHeight * (level + 1)), Hashes: hashes})
		}
	}
	root := b.Root()
	e.exec("UPDATE ledger_head SET root = ?", root[:])
}

// TestARewrittenTreeIsRefusedWhenOpened changes a leaf and makes everything else fit.
func TestARewrittenTreeIsRefusedWhenOpened(t *testing.T) {
	t.Parallel()
	files := readImage(t, busyDirectory(t))
	work := filepath.Join(memory(t), "data")
	edited(t, files, work, func(_ testing.TB, e *editor) {
		e.packed("ledger_leaf", 50, flip(60))
		e.rewrite()
	})
	_, err := directory.Open(t.Context(), work)
	if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Kind != guia.Damaged || refusal.Key != "ledger.checkpoint_differs" {
		t.Errorf("opened: %v", err)
	}
}

// TestAForgedDateIsNotHiddenByAFlippedByte: a damaged content near a forged leaf does not explain why checkpoints do not match.
func TestAForgedDateIsNotHiddenByAFlippedByte(t *testing.T) {
	t.Parallel()
	files := readImage(t, busyDirectory(t))
	for _, also := range []bool{false, true} {
		work := filepath.Join(memory(t), "data")
		edited(t, files, work, func(_ testing.TB, e *editor) {
			e.packed("ledger_leaf", 50, func(leaf []byte) []byte { return bytes.Replace(leaf, []byte("captured 20"), []byte("captured 19"), 1) })
			e.rewrite()
			if also {
				e.packed("vault_row", 51, flip(-1))
			}
		})
		d, err := directory.View(t.Context(), work)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Check(t.Context(), ledger.CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, f := range r.Findings {
			found[f.Key] = true
			if f.HasSeq && f.Seq == 51 && f.Unmatched > 0 {
				t.Errorf("event 51 is blamed for %d checkpoints", f.Unmatched)
			}
		}
		if !found["check.checkpoint_differs"] || found["vault.damaged"] != also {
			t.Errorf("a flipped byte %t: %v", also, r.Findings)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestAnOlderTableWithItsOlderHashIsFound puts back what the tables said before, together with the keyed hashes of that time.
func TestAnOlderTableWithItsOlderHashIsFound(t *testing.T) {
	t.Parallel()
	d := guiatest.NewAt(t, filepath.Join(memory(t), "data"))
	d.Import(&guiatest.Company{Seed: 8, Records: 30, Page: 30})
	d.Reopen()
	d.Shut()
	before := readImage(t, d.Path)
	d = guiatest.Open(t, d.Path)
	beBusy(t, d)
	d.Shut()
	after := readImage(t, d.Path)
	for _, table := range []string{"permit_user", "permit_grant", "evidence_case", "evidence_item", "ledger_key", "intake_tombstone", "vault_doomed"} {
		putBack(t, table, before, after)
	}
}

// TestASpentApprovalIsNotUnspentUnnoticed: the table said that it was given, and says so again.
func TestASpentApprovalIsNotUnspentUnnoticed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := guiatest.NewAt(t, filepath.Join(memory(t), "data"))
	desk := account.Open(d.Ledger)
	rui, err := desk.Add(ctx, d.Owner, "rui", "", []permit.Grant{{Role: permit.Approver, Scope: permit.Everything}})
	if err != nil {
		t.Fatal(err)
	}
	request, _, err := desk.Ask(ctx, d.Owner, permit.ActRotateLog, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := desk.Answer(ctx, guiatest.ActorOf(rui), request.ID, true); err != nil {
		t.Fatal(err)
	}
	d.Reopen()
	d.Shut()
	before := readImage(t, d.Path)
	d = guiatest.Open(t, d.Path)
	if _, err := d.Ledger.RotateKey(ctx, d.Owner, request.ID); err != nil {
		t.Fatal(err)
	}
	d.Shut()
	putBack(t, "permit_request", before, readImage(t, d.Path))
}

// putBack replaces a table and its hash by those of before, and demands that it is noticed.
func putBack(t *testing.T, table string, before, after image) {
	t.Helper()
	work := filepath.Join(memory(t), "data")
	old := filepath.Join(memory(t), "old.db")
	if err := os.WriteFile(old, before["guia.db"], 0o600); err != nil {
		t.Fatal(err)
	}
	edited(t, after, work, func(_ testing.TB, e *editor) {
		e.must(e.main.Exec("ATTACH DATABASE '" + old + "' AS old"))
		e.must(e.main.Exec("DELETE FROM main." + table))
		e.must(e.main.Exec("INSERT INTO main." + table + " SELECT * FROM old." + table))
		e.must(e.main.Exec("DELETE FROM main.ledger_state WHERE name = '" + table + "'"))
		e.must(e.main.Exec("INSERT INTO main.ledger_state SELECT * FROM old.ledger_state WHERE name = '" + table + "'"))
		e.must(e.main.Exec("DETACH DATABASE old"))
	})
	if f := examine(work, ""); f.class != "found by check" && !strings.HasPrefix(f.class, "refused: damaged") {
		t.Errorf("%s put back: %s: %s", table, f.class, f.what)
	}
}

// TestAnOlderCopyIsNotFoundByTheCheckButByAKeptCheckpoint puts an older copy of the whole directory back. It is in order with itself,
// and nothing claims otherwise; a checkpoint that was kept elsewhere tells.
func TestAnOlderCopyIsNotFoundByTheCheckButByAKeptCheckpoint(t *testing.T) {
	t.Parallel()
	d := guiatest.NewAt(t, filepath.Join(memory(t), "data"))
	ctx := t.Context()
	d.Import(&guiatest.Company{Seed: 8, Records: 60, Page: 30})
	d.Reopen()
	d.Shut()
	older := readImage(t, d.Path)
	later, err := directory.Open(ctx, d.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := later.Intake.Accept(ctx, guiatest.Feed(), slice(9, 20, 50), intake.Progress{}); err != nil {
		t.Fatal(err)
	}
	kept, err := later.Ledger.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, later, kept, nil)
	if err := later.Close(ctx); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(memory(t), "data")
	if err := older.write(work); err != nil {
		t.Fatal(err)
	}
	back, err := directory.Open(ctx, work)
	if err != nil {
		t.Fatalf("an older copy is in order: %v", err)
	}
	defer back.Close(ctx)
	guiatest.MustCheck(t, back)
	compare(t, back, kept, errRolledBack)
	// Going on does not hide it: another history of the same length has another root.
	if _, _, err := back.Intake.Accept(ctx, guiatest.Feed(), slice(10, 20, 55), intake.Progress{}); err != nil {
		t.Fatal(err)
	}
	compare(t, back, kept, errOtherHistory)
}

var (
	errRolledBack   = errors.New("the ledger is shorter than the checkpoint")
	errOtherHistory = errors.New("the ledger has another root at that size")
)

// compare holds a directory against a checkpoint that was kept elsewhere.
func compare(t testing.TB, d *directory.Directory, kept []byte, want error) {
	t.Helper()
	trust, err := d.Ledger.Trust(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := trust.Open(kept)
	if err != nil {
		t.Fatal(err)
	}
	var got error
	if c.Size > int64(d.Ledger.Size()) {
		got = errRolledBack
	} else if root, err := proof.Root(d.Ledger, c.Size); err != nil {
		t.Fatal(err)
	} else if root != c.Root {
		got = errOtherHistory
	}
	if !errors.Is(got, want) {
		t.Errorf("against the kept checkpoint: %v, want %v", got, want)
	}
}

// slice is a part of a company's records.
func slice(seed uint64, from, to int) (records []source.Record) {
	c := &guiatest.Company{Seed: seed, Records: to, Page: to}
	for i := from; i < to; i++ {
		records = append(records, c.Record(i))
	}
	return records
}
