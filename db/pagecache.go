package db

import (
	"database/sql"
	"sync"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// pagesInMemory is how many pages all connections of the process keep together, 10 MiB. They are one list, the least recently used out
	// first, whatever each connection is told, for so the driver is built. When it is full, a page makes room for another; a transaction
	// that has changed more takes more.
	pagesInMemory = 640
	// pageHead is room for what SQLite keeps beside each page; it needs half of it.
	pageHead = 512
)

// openSQLite is sql.Open for SQLite. Nothing is opened before the first query.
func openSQLite(dsn string) (*sql.DB, error) {
	layOutPages()
	return sql.Open("sqlite", dsn)
}

// layOutPages gives SQLite the room for its pages in one piece, before the first connection. Asked for one by one, each page with its head
// would take twice its size, because the driver's allocator has sizes that are powers of two. It is a matter of memory alone: SQLite takes
// no such piece once somebody has opened a database without this package, and goes on as it would (sqlite.org/malloc.html, 3.3).
var layOutPages = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	room := libc.Xmalloc(tls, pagesInMemory*(pageSize+pageHead))
	args := libc.NewVaList(room, int32(pageSize+pageHead), int32(pagesInMemory))
	if sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PAGECACHE, args) != sqlite3.SQLITE_OK {
		libc.Xfree(tls, room)
	}
	libc.Xfree(tls, args)
})
