package archive_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guia/db"
)

// c2100 is a day after everything.
var c2100 = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func sum(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// forge changes who may do what in the database of a set and lists the changed file with its right digest.
func forge(t *testing.T, set string) {
	t.Helper()
	ctx := context.Background()
	path := filepath.Join(set, "guia.db")
	d, err := db.Open(ctx, path, db.Options{Durability: db.Durable, Migrations: db.Main()})
	must(t, err)
	must(t, d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE permit_user SET os_login = 'mallory'")
		return err
	}))
	must(t, d.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	relist(t, set, func(line string) (string, bool) {
		if strings.HasSuffix(line, " guia.db") {
			line = fmt.Sprintf("%x %d guia.db", sum(data), len(data))
		}
		return line, true
	})
}
