package guiatest_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guia"
	"guia/directory"
	"guia/evidence"
	"guia/guiatest"
	"guia/ledger"
	"guia/permit"
	"guia/source"
)

// busyDirectory is a closed directory in which everything has happened that leaves a trace in a file: an import with attachments, an
// edit, a second user, a case, a new log key, somebody forgotten.
func busyDirectory(t testing.TB) (path string) {
	t.Helper()
	d := guiatest.NewAt(t, filepath.Join(memory(t), "data"))
	d.Import(&guiatest.Company{Seed: 3, Records: 300, Page: 50, Large: 120})
	beBusy(t, d)
	d.Shut()
	return d.Path
}

// beBusy lets everything happen but the import.
func beBusy(t testing.TB, d *guiatest.Directory) {
	t.Helper()
	ctx := t.Context()
	c := &guiatest.Company{Seed: 3, Records: 300}
	seqs := d.Accept(c.Edited(40), c.Edited(41), source.Record{
		Key: "gone/1", Type: guia.MessageSent, Stream: "c-obra", Time: guia.Moment{Time: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), Precision: guia.Second}, HasTime: true,
		TimeOriginal: "1 April", TimeZone: "UTC", TimeBasis: "source", Sender: source.Person{ID: "p-gone", Name: "Gone"}, Text: "what will be forgotten", Raw: []byte("x"), RawType: "text/plain",
	})
	err := d.Ledger.Do(ctx, d.Owner, permit.ActUsers, func(tx *ledger.Tx) error {
		id := guia.NewPersonID()
		if err := permit.AddUser(tx.Tx, id, "rui", ""); err != nil {
			return err
		}
		var f guia.Fields
		f.Set("user", id.String())
		f.Set("name", "rui")
		if _, err := tx.Record(guia.UserAdded, f); err != nil {
			return err
		}
		if err := permit.AddGrant(tx.Tx, id, permit.Grant{Role: permit.Auditor, Scope: permit.Everything}); err != nil {
			return err
		}
		f = nil
		f.Set("user", id.String())
		f.Set("role", string(permit.Auditor))
		f.Set("scope", permit.Everything)
		_, err := tx.Record(guia.RoleGranted, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cs, err := evidence.OpenCase(ctx, d.Ledger, d.Owner, "tamper")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Add(ctx, d.Ledger, d.Owner, cs, []guia.Seq{20, 21, 22, seqs[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Ledger.RotateKey(ctx, d.Owner, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Forget(ctx, d.Owner, "", []directory.Subject{{Source: "mapped", Key: "p-gone"}}, nil); err != nil {
		t.Fatal(err)
	}
	d.Accept(c.Edited(60))
}

// image is a closed directory in memory.
type image map[string][]byte

// readImage reads what belongs to a directory's content: not the lock, not what followers rebuild.
func readImage(t testing.TB, path string) image {
	t.Helper()
	files := image{}
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(path, name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "followers":
			return filepath.SkipDir
		case d.IsDir() || d.Name() == "lock":
			return nil
		}
		files[rel], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// write makes path hold exactly this.
func (m image) write(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	for name, content := range m {
		to := filepath.Join(path, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// finding is what became of a damaged directory.
type finding struct {
	class string // "found by check", "refused: ...", "harmless", "NOT DETECTED", ...
	what  string
	at    []ledger.Finding
}

// examine opens and checks a damaged directory. sound is the dump of the undamaged one.
func examine(path, sound string) (f finding) {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	defer func() {
		if p := recover(); p != nil {
			f = finding{class: "CRASHED", what: fmt.Sprint(p)}
		}
	}()
	d, err := directory.Open(ctx, path)
	if err != nil {
		return refused("refused", err)
	}
	defer d.Close(ctx)
	r, err := d.Check(ctx, ledger.CheckOptions{})
	if len(r.Findings) > 0 {
		return finding{class: "found by check", what: fmt.Sprint(r.Findings[0].Key, r.Findings[0].Args), at: r.Findings}
	}
	if err != nil {
		return refused("check stopped", err)
	}
	got, err := dump(ctx, d)
	switch {
	case err != nil:
		return finding{class: "NOT DETECTED", what: err.Error()}
	case got != sound:
		return finding{class: "NOT DETECTED", what: difference(sound, got)}
	}
	return finding{class: "harmless"}
}

func refused(how string, err error) finding {
	f := finding{class: how + ": " + guia.KindOf(err).String(), what: err.Error()}
	switch kind := guia.KindOf(err); {
	case errors.Is(err, context.DeadlineExceeded):
		f.class = "HANGS"
	case kind == 0, kind != guia.Damaged && kind != guia.Blocked && kind != guia.NotFound:
		f.class = "NOT CLASSIFIED"
	}
	return f
}

func difference(a, b string) string {
	was, is := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			return fmt.Sprintf("%.300s; was %.300s", is[i], was[i])
		}
	}
	return fmt.Sprintf("%d lines, was %d", len(is), len(was))
}

// dump is everything a directory says, as text: all rows of both databases, all events, all blobs and the epoch key. Times at which
// something was stored are left out: they are for people, nothing depends on them.
func dump(ctx context.Context, d *directory.Directory) (string, error) {
	var b strings.Builder
	for _, name := range []string{"guia.db", "keys.db"} {
		if err := dumpTables(ctx, &b, filepath.Join(d.Path, name)); err != nil {
			return "", err
		}
	}
	for seq := range d.Ledger.Size() {
		e, err := d.Ledger.Event(ctx, seq)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "event %d %v %q %q\n", seq, e.Header, e.Fields, e.Withheld)
	}
	err := filepath.WalkDir(d.Path, func(name string, entry fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(d.Path, name)
		if err != nil || entry.IsDir() || rel != "epoch.key" && !strings.HasPrefix(rel, "blobs") && rel != "VERSION" {
			return err
		}
		content, err := os.ReadFile(name)
		fmt.Fprintf(&b, "file %s %x\n", rel, sha256.Sum256(content))
		return err
	})
	return b.String(), err
}

// asBytes is the value as the program reads it: it does not ask whether bytes are stored as text or as bytes.
func asBytes(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%x", v)
	case []byte:
		return fmt.Sprintf("%x", v)
	}
	return fmt.Sprintf("%T(%v)", v, v)
}

var unimportant = map[string]bool{"db_version.applied": true, "db_version.name": true, "intake_cursor.changed": true}

func dumpTables(ctx context.Context, b *strings.Builder, path string) error {
	d, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(ON)")
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := column(ctx, d, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
	if err != nil {
		return err
	}
	for _, table := range names {
		rows, err := d.QueryContext(ctx, "SELECT * FROM "+table)
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		var lines []string
		for rows.Next() {
			values, places := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				places[i] = &values[i]
			}
			if err := rows.Scan(places...); err != nil {
				return err
			}
			line := filepath.Base(path) + " " + table + ":"
			for i, v := range values {
				if !unimportant[table+"."+columns[i]] {
					line += " " + strings.ToLower(columns[i]) + "=" + asBytes(v)
				}
			}
			lines = append(lines, line+"\n")
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

func column(ctx context.Context, d *sql.DB, query string) (list []string, err error) {
	rows, err := d.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// soundDump is the dump of an undamaged image.
func soundDump(t testing.TB, m image, path string) string {
	t.Helper()
	if err := m.write(path); err != nil {
		t.Fatal(err)
	}
	d, err := directory.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(t.Context())
	guiatest.MustCheck(t, d)
	text, err := dump(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestEveryFlippedBitOfADirectoryIsFoundOrHarmless turns single bits over in the files of a directory. Each is refused when the directory
// is opened, or found by the check, or changes nothing: then everything the directory says is what it was.
func TestEveryFlippedBitOfADirectoryIsFoundOrHarmless(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	path := busyDirectory(t)
	files := readImage(t, path)
	sound := soundDump(t, files, filepath.Join(memory(t), "data"))
	names := slices.Sorted(maps.Keys(files))
	flips := rounds(2000, 20000)
	classes, perFile := map[string]int{}, map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			work := filepath.Join(memory(t), "data")
			for range flips / 2 {
				name, offset := chooseByte(random, files, names)
				bit := byte(1) << random.IntN(8)
				damaged := maps.Clone(files)
				damaged[name] = slices.Clone(files[name])
				damaged[name][offset] ^= bit
				if err := damaged.write(work); err != nil {
					t.Error(err)
					return
				}
				f := examine(work, sound)
				mu.Lock()
				classes[f.class]++
				perFile[kindOfFile(name)]++
				mu.Unlock()
				if strings.ToUpper(f.class) == f.class {
					t.Errorf("%s byte %d bit %08b: %s: %s", name, offset, bit, f.class, f.what)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d flips over %v: %v", flips, perFile, classes)
}

// chooseByte picks a byte: mostly of the databases, and of these mostly one that is in use.
func chooseByte(random *rand.Rand, files image, names []string) (name string, offset int) {
	switch n := random.IntN(100); {
	case n < 70:
		name = "guia.db"
	case n < 85:
		name = "keys.db"
	default:
		name = names[random.IntN(len(names))]
	}
	content := files[name]
	offset = random.IntN(len(content))
	if random.IntN(4) > 0 {
		for tries := 0; content[offset] == 0 && tries < 100; tries++ {
			offset = random.IntN(len(content))
		}
	}
	return name, offset
}

func kindOfFile(name string) string {
	if strings.HasPrefix(name, "blobs") {
		return "blobs"
	}
	return name
}
