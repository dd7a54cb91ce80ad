package db

import (
	"embed"
	"io/fs"
)

//go:embed migrations/*.sql keys/*.sql
var files embed.FS

// Main returns the migrations of the main database: ledger, vault, users, cases, cursors.
func Main() fs.FS { return sub("migrations") }

// Keys returns the migrations of the key database.
func Keys() fs.FS { return sub("keys") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return f
}
