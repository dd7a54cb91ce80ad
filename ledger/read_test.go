package ledger_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"guia"
	"guia/directory"
	"guia/guiatest"
	"guia/ledger"
)

// Events are found by their type as reading all of them finds them, and a leaf that is not there is never passed over.
func TestEventsAreFoundByTheirType(t *testing.T) {
	d := guiatest.New(t)
	grow(t, d, 700)
	ask := func(l *ledger.Ledger, first, end guia.Seq, types ...guia.Type) []guia.Seq {
		t.Helper()
		found, err := l.OfType(t.Context(), first, end, types...)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, span := range [][2]guia.Seq{{0, d.Ledger.Size()}, {1, 300}, {256, 257}, {5, 5}} {
		for _, types := range [][]guia.Type{{guia.RecordKept}, {guia.LedgerCreated, guia.RecordKept}, {guia.LedgerCreated}, {"record.kep"}, nil} {
			var want []guia.Seq
			err := d.Ledger.Entries(t.Context(), span[0], span[1], func(e ledger.Entry) error {
				if slices.Contains(types, e.Leaf.Type) {
					want = append(want, e.Seq)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(d.Ledger, span[0], span[1], types...); !slices.Equal(got, want) {
				t.Errorf("%v from %d to %d: got %d events, want %d", types, span[0], span[1], len(got), len(want))
			}
		}
	}
	if _, err := d.Ledger.OfType(t.Context(), 0, d.Ledger.Size()+1, guia.RecordKept); guia.KindOf(err) != guia.NotFound {
		t.Errorf("behind the end: %v", err)
	}
	path := d.Path
	d.Shut()
	d.Damaged()
	var second uint64 // where the second stored row begins
	for name, edit := range map[string]string{
		"ledger.entries_missing": "DELETE FROM ledger_leaf WHERE first = ?",
		"ledger.leaf_damaged":    "UPDATE ledger_leaf SET data = CAST(REPLACE(CAST(data AS TEXT), 'guia.leaf/v1', 'guia.leaf/v9') AS BLOB) WHERE first = ?",
	} {
		copied := filepath.Join(t.TempDir(), "data")
		copyTree(t, path, copied)
		raw, err := sql.Open("sqlite", filepath.Join(copied, "guia.db"))
		if err == nil {
			err = raw.QueryRow("SELECT MIN(first) FROM ledger_leaf WHERE first > 0").Scan(&second)
		}
		if err == nil {
			_, err = raw.Exec(edit, second)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
		opened, err := directory.Open(t.Context(), copied)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = opened.Ledger.OfType(t.Context(), 0, opened.Ledger.Size(), guia.LedgerCreated)
		err2 := opened.Ledger.Entries(t.Context(), 0, opened.Ledger.Size(), func(ledger.Entry) error { return nil })
		for _, err := range []error{err, err2} { // the refusal names the first event that is not there, or not a leaf
			if r, ok := errors.AsType[*guia.Refusal](err); !ok || r.Kind != guia.Damaged || r.Key != name || r.Args[0] != second {
				t.Errorf("%s: %v, want event %d", name, err, second)
			}
		}
		opened.Close(t.Context())
	}
}
