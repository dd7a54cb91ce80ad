package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"guia"
)

// changing matches a statement that changes a table, and its name.
var changing = regexp.MustCompile(`(?is)^\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(\w+)`)

// note remembers which table a statement changes.
func (tx *Tx) note(query string) {
	table, known := tx.d.changes[query]
	if !known {
		if m := changing.FindStringSubmatch(query); m != nil {
			table = m[1]
		}
		if len(tx.d.changes) >= 256 {
			clear(tx.d.changes)
		}
		tx.d.changes[query] = table
	}
	if table != "" {
		tx.changed[table] = true
	}
}

// Changed reports whether a statement of this transaction was meant to change the table. What [Tx.Nest] undid counts too.
func (tx *Tx) Changed(table string) bool { return tx.changed[table] }

// Touch makes [Tx.Changed] true of a table also where no row of it changes.
func (tx *Tx) Touch(table string) { tx.changed[table] = true }

// Fingerprint is a digest over all rows of a table as this transaction sees them, whatever their order. It reads the whole table.
func (tx *Tx) Fingerprint(table string) ([sha256.Size]byte, error) {
	rows, err := tx.Query("SELECT * FROM " + table)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return fingerprint(rows)
}

// Fingerprint is [Tx.Fingerprint] for a snapshot.
func Fingerprint(ctx context.Context, snapshot *sql.Tx, table string) ([sha256.Size]byte, error) {
	rows, err := snapshot.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return [sha256.Size]byte{}, explain(err)
	}
	return fingerprint(rows)
}

func fingerprint(rows *sql.Rows) (sum [sha256.Size]byte, err error) {
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return sum, explain(err)
	}
	var all []string
	for rows.Next() {
		values, places := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return sum, explain(err)
		}
		var row []byte
		for _, v := range values {
			text := fmt.Appendf(nil, "%T ", v)
			if b, ok := v.([]byte); ok {
				text = append(text, b...)
			} else {
				text = fmt.Append(text, v)
			}
			row = append(binary.AppendUvarint(row, uint64(len(text))), text...)
		}
		all = append(all, string(row))
	}
	if err := rows.Err(); err != nil {
		return sum, explain(err)
	}
	slices.Sort(all)
	h := sha256.New()
	for _, row := range all {
		h.Write(binary.AppendUvarint(nil, uint64(len(row))))
		h.Write([]byte(row))
	}
	h.Sum(sum[:0])
	return sum, nil
}

// checkSchema compares the tables and indexes of the file with those that the migrations make, and returns a line for each that
// differs. A damaged definition would change what rows mean without touching them.
func (d *DB) checkSchema(ctx context.Context, migrations fs.FS) ([]string, error) {
	if migrations == nil {
		return nil, nil
	}
	fresh := &DB{path: ":memory:", statements: map[string]*sql.Stmt{}, changes: map[string]string{}}
	var err error
	if fresh.writes, err = openSQLite(":memory:"); err != nil {
		return nil, err
	}
	defer fresh.writes.Close()
	fresh.writes.SetMaxOpenConns(1)
	if fresh.conn, err = fresh.writes.Conn(ctx); err != nil {
		return nil, err
	}
	defer fresh.conn.Close()
	if err := fresh.migrate(ctx, migrations); err != nil {
		return nil, err
	}
	for _, s := range fresh.statements {
		defer s.Close()
	}
	rows, err := fresh.conn.QueryContext(ctx, schemaQuery)
	if err != nil {
		return nil, err
	}
	want, err := scanSchema(rows)
	if err != nil {
		return nil, err
	}
	if rows, err = d.Query(ctx, schemaQuery); err != nil {
		return nil, err
	}
	have, err := scanSchema(rows)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, line := range have {
		if !slices.Contains(want, line) {
			name, _, _ := strings.Cut(line, "\x00")
			found = append(found, fmt.Sprintf("definition of %.40q in %s", name, filepath.Base(d.path)))
		}
	}
	if len(found) == 0 && len(have) != len(want) {
		found = append(found, fmt.Sprintf("%d definitions in %s, %d expected", len(have), filepath.Base(d.path), len(want)))
	}
	return found, nil
}

// A name that became bytes is not found by who asks for the text.
const schemaQuery = "SELECT COALESCE(name, ''), COALESCE(type, ''), COALESCE(tbl_name, ''), COALESCE(sql, '')," +
	" typeof(name) || typeof(type) || typeof(tbl_name) || typeof(sql) FROM sqlite_schema"

func scanSchema(rows *sql.Rows) (lines []string, err error) {
	defer rows.Close()
	for rows.Next() {
		var name, kind, table, text, types string
		if err := rows.Scan(&name, &kind, &table, &text, &types); err != nil {
			return nil, explain(err)
		}
		lines = append(lines, strings.Join([]string{name, kind, table, text, types}, "\x00"))
	}
	return lines, explain(rows.Err())
}

// Explain turns an error met while reading or writing a database into a refusal where a person can do something about it; others it
// returns as they are. The functions here do that by themselves, but for what is scanned from a row.
func Explain(err error) error {
	if err == nil || guia.KindOf(err) != 0 {
		return err
	}
	if strings.Contains(err.Error(), "sql: Scan error") { // a value of another type than the program writes
		return guia.RefuseCause(guia.Damaged, err, "db.corrupt")
	}
	return explain(err)
}
