package intake_test

import (
	"fmt"
	"slices"
	"testing"

	"guia"
	"guia/db"
	"guia/directory"
	"guia/guiatest"
	"guia/intake"
	"guia/ledger"
	"guia/source"
)

// recognitionRow is a row of intake_seen.
type recognitionRow struct {
	mac, content []byte
	seq          guia.Seq
}

func recognitionRows(t *testing.T, d *guiatest.Directory) (all []recognitionRow) {
	t.Helper()
	rows, err := d.Main.Query(t.Context(), "SELECT mac, seq, content FROM intake_seen ORDER BY mac")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r recognitionRow
		var seq uint64
		if err := rows.Scan(&r.mac, &seq, &r.content); err != nil {
			t.Fatal(err)
		}
		r.seq = guia.Seq(seq)
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func change(t *testing.T, d *guiatest.Directory, query string, args ...any) {
	t.Helper()
	if err := d.Main.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, d *guiatest.Directory, r recognitionRow) {
	t.Helper()
	change(t, d, "INSERT INTO intake_seen (mac, seq, content) VALUES (?, ?, ?) ON CONFLICT (mac) DO UPDATE SET seq = excluded.seq, content = excluded.content", r.mac, uint64(r.seq), r.content)
}

// TestEveryRowOfRecognitionIsProven deletes, shortens and changes each row by which a record would be recognised, and invents one: whether
// it is of a message, an edit, one that was edited back, a copy, or an attachment that came later, the check names the event.
func TestEveryRowOfRecognitionIsProven(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		t.Run(fmt.Sprintf("somebody forgotten %v", forgotten), func(t *testing.T) {
			t.Parallel()
			d := guiatest.New(t)
			lively(t, d)
			if forgotten {
				r := message("gone", "what will be forgotten, as the law demands")
				r.Sender.ID = "chan-0"
				accept(t, d, feed("slack", "z"), r)
				gone, err := d.Forget(t.Context(), d.Owner, "", []directory.Subject{{Source: "slack", Key: "chan-0"}}, nil)
				if err != nil || gone.Events != 1 {
					t.Fatal(gone, err)
				}
			}
			guiatest.MustCheck(t, d.Directory)
			rows := recognitionRows(t, d)
			shapes := map[int]int{}
			for _, r := range rows {
				shapes[len(r.content)]++
				harm := map[string]func(){
					"deleted":           func() { change(t, d, "DELETE FROM intake_seen WHERE mac = ?", r.mac) },
					"emptied":           func() { put(t, d, recognitionRow{r.mac, nil, r.seq}) },
					"one byte shorter":  func() { put(t, d, recognitionRow{r.mac, r.content[:len(r.content)-1], r.seq}) },
					"another first bit": func() { put(t, d, recognitionRow{r.mac, flipped(r.content, 0), r.seq}) },
					"another last bit":  func() { put(t, d, recognitionRow{r.mac, flipped(r.content, len(r.content)-1), r.seq}) },
					"of an earlier":     func() { put(t, d, recognitionRow{r.mac, r.content, r.seq - 1}) },
					"of a later":        func() { put(t, d, recognitionRow{r.mac, r.content, r.seq + 1}) },
				}
				if len(r.content) > 8 {
					harm["shortened to 8 bytes"] = func() { put(t, d, recognitionRow{r.mac, r.content[:8], r.seq}) }
				}
				for what, do := range harm {
					do()
					named := namedBy(t, d)
					put(t, d, r)
					if slices.Contains(named, r.seq) || what == "of an earlier" && slices.Contains(named, r.seq-1) {
						continue // the event that the row is of, or that it names
					}
					t.Errorf("%s, of event %d with %d bytes: the check names %v", what, r.seq, len(r.content), named)
				}
			}
			if shapes[8] == 0 || shapes[33] != 2 {
				t.Errorf("rows by length: %v", shapes)
			}
			invented := recognitionRow{make([]byte, 20), make([]byte, 8), rows[0].seq}
			put(t, d, invented)
			if found := namedBy(t, d); !slices.Equal(found, []guia.Seq{rows[0].seq}) {
				t.Errorf("invented: the check names %v, want %d", found, rows[0].seq)
			}
			change(t, d, "DELETE FROM intake_seen WHERE mac = ?", invented.mac)
			guiatest.MustCheck(t, d.Directory)
		})
	}
}

// TestARowOfRecognitionIsMissedWhoeverWasForgotten: however many were forgotten, of the same text or another one, no row may go.
func TestARowOfRecognitionIsMissedWhoeverWasForgotten(t *testing.T) {
	for _, alike := range []bool{false, true} {
		for _, n := range []int{1, 4, 5, 9} {
			t.Run(fmt.Sprint(alike, n), func(t *testing.T) {
				t.Parallel()
				d := guiatest.New(t)
				for i := range n {
					r := message(fmt.Sprint("gone/", i), fmt.Sprint("what will be forgotten, as the law demands ", i))
					if alike {
						r.Text = long
					}
					r.Sender = source.Person{ID: "chan-0", Name: "Ana"}
					accept(t, d, feed("slack", "z"), r)
				}
				for i := range 6 { // some of them get no place
					r := message(fmt.Sprint("stays/", i), long)
					r.Sender = source.Person{ID: "chan-1", Name: "Rui"}
					accept(t, d, feed("slack", "z"), r)
				}
				gone, err := d.Forget(t.Context(), d.Owner, "", []directory.Subject{{Source: "slack", Key: "chan-0"}}, nil)
				if err != nil || gone.Events != n {
					t.Fatal(gone, err)
				}
				guiatest.MustCheck(t, d.Directory)
				for _, r := range recognitionRows(t, d) {
					change(t, d, "DELETE FROM intake_seen WHERE mac = ?", r.mac)
					if named := namedBy(t, d); !slices.Contains(named, r.seq) {
						t.Errorf("without a row of event %d the check names %v", r.seq, named)
					}
					put(t, d, r)
				}
			})
		}
	}
}

// lively takes in records of every kind that leaves rows.
func lively(t *testing.T, d *guiatest.Directory) {
	t.Helper()
	imported := func(source guia.SourceName, instance string) intake.Feed {
		f := feed(source, instance)
		f.Import = guia.NewRecordID()
		return f
	}
	missing, there := message("4", "with a file"), message("4", "with a file")
	missing.Files, there.Files = []source.File{{Name: "a.pdf", Missing: "gone"}}, []source.File{{Name: "a.pdf", Open: content("pdf")}}
	person := source.Record{Key: "u1", Type: guia.PersonSeen, Stream: "people", Sender: source.Person{ID: "u1", Name: "Chan", Department: "Sales"}, Raw: []byte("x")}
	slack := []source.Record{message("1", long), message("2", long), message("3", "one"), missing, person}
	for n := range 6 { // more often than there are places
		slack = append(slack, message(fmt.Sprint("many/", n), "said again and again, by the same one"))
	}
	accept(t, d, imported("slack", "a"), slack...)
	for _, text := range []string{"two", "one", "two"} { // edited back, each time by an import of its own
		accept(t, d, imported("slack", "a"), message("3", text))
	}
	accept(t, d, imported("slack", "a"), there)
	person.Sender.Department = "Legal"
	accept(t, d, imported("slack", "a"), person)
	accept(t, d, imported("mbox", "b"), message("5", "of its own"), message("1", long), message("2", long), message("3", long))
}

const long = "a text that is long enough to be recognised"

func flipped(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

// namedBy is the events that the findings of a check name.
func namedBy(t *testing.T, d *guiatest.Directory) (seqs []guia.Seq) {
	t.Helper()
	r, err := d.Check(t.Context(), ledger.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.HasSeq {
			seqs = append(seqs, f.Seq)
		}
	}
	return seqs
}
