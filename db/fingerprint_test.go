package db

import (
	"path/filepath"
	"testing"
)

// TestANameThatBecameBytesIsADefinitionThatDiffers: one bit of the record of a definition makes its name bytes instead of text, and the
// table is no longer found by its name.
func TestANameThatBecameBytesIsADefinitionThatDiffers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	d := open(t, path, Options{Migrations: Keys()})
	if found, err := d.Integrity(t.Context()); err != nil || len(found) > 0 {
		t.Fatalf("before: %v, %v", found, err)
	}
	for _, statement := range []string{"PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET name = CAST(name AS BLOB) WHERE name = 'db_version'"} {
		if _, err := d.conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := d.Integrity(t.Context()); err != nil || len(found) == 0 {
		t.Errorf("nothing is found: %v", err)
	}
}
