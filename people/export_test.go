package people

import (
	"context"

	"guia/db"
)

// OnlyTestBeforeCleaning runs fn between the deletion of rows and the cleaning of the file.
func OnlyTestBeforeCleaning(p *People, fn func()) { p.onStep = fn }

// OnlyTestVersion pretends that the file was written by another version of the program.
func OnlyTestVersion(p *People, version int) {
	err := p.db.Write(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE people_state SET version = ? WHERE one = 1", version)
		return err
	})
	if err != nil {
		panic(err)
	}
}
