package db

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"guia"
)

// A packed table holds numbered values, 0, 1, 2 and so on without holes, several to a row: what one transaction stores together
// stands together. Measured, a row for each value costs five times as much. The columns are first (the number of the row's first
// value), count, and data (each value behind its length as an unsigned varint).

const (
	packBytes = 64 << 10 // a row is closed when it has grown to this
	packCount = 256
)

// InsertPacked appends values to a packed table, from number first on.
func (tx *Tx) InsertPacked(table string, first uint64, values [][]byte) error {
	data := tx.d.packed[:0] // the driver copies what it is given
	defer func() { tx.d.packed = data[:0] }()
	for start, i := 0, 0; i < len(values); i++ {
		data = binary.AppendUvarint(data, uint64(len(values[i])))
		data = append(data, values[i]...)
		if len(data) < packBytes && i-start+1 < packCount && i < len(values)-1 {
			continue
		}
		if _, err := tx.Exec("INSERT INTO "+table+" (first, count, data) VALUES (?, ?, ?)", first+uint64(start), i-start+1, data); err != nil {
			return err
		}
		start, data = i+1, data[:0]
	}
	return nil
}

// ReplacePacked changes one value of a packed table in place. A number that no row has is a refusal of kind damaged.
func (tx *Tx) ReplacePacked(table string, number uint64, value []byte) error {
	var first uint64
	var count int
	var data []byte
	err := tx.QueryRow("SELECT first, count, data FROM "+table+" WHERE first <= ? ORDER BY first DESC LIMIT 1", []any{number}, &first, &count, &data)
	if errors.Is(err, sql.ErrNoRows) || err == nil && number-first >= uint64(count) {
		return guia.Refuse(guia.Damaged, "db.packed_damaged", table, number, number)
	}
	if err != nil {
		return err
	}
	fresh := make([]byte, 0, len(data)+len(value)+binary.MaxVarintLen64)
	err = unpack(table, first, count, data, func(n uint64, old []byte) error {
		if n == number {
			old = value
		}
		fresh = append(binary.AppendUvarint(fresh, uint64(len(old))), old...)
		return nil
	})
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE "+table+" SET data = ? WHERE first = ?", fresh, first)
	return err
}

// Packed calls fn with the values from number first to before end of a packed table, in order, as far as they are there. fn may not
// keep the value. A row that cannot be taken apart is a refusal of kind damaged.
func (d *DB) Packed(ctx context.Context, table string, first, end uint64, fn func(number uint64, value []byte) error) error {
	rows, err := d.Query(ctx, "SELECT first, count, data FROM "+table+
		" WHERE first >= (SELECT COALESCE(MAX(first), 0) FROM "+table+" WHERE first <= ?) AND first < ? ORDER BY first", first, end)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var start uint64
		var count int
		var data sql.RawBytes
		if err := rows.Scan(&start, &count, &data); err != nil {
			return explain(err)
		}
		err := unpack(table, start, count, data, func(n uint64, value []byte) error {
			if n < first || n >= end {
				return nil
			}
			return fn(n, value)
		})
		if err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

// unpack takes a packed row apart.
func unpack(table string, first uint64, count int, data []byte, fn func(number uint64, value []byte) error) error {
	for i := range count {
		size, width := binary.Uvarint(data)
		if width <= 0 || size > uint64(len(data)-width) {
			return guia.Refuse(guia.Damaged, "db.packed_damaged", table, first, first+uint64(count)-1)
		}
		if err := fn(first+uint64(i), data[width:width+int(size)]); err != nil {
			return err
		}
		data = data[width+int(size):]
	}
	if len(data) > 0 || count < 1 || count > packCount {
		return guia.Refuse(guia.Damaged, "db.packed_damaged", table, first, fmt.Sprint(count))
	}
	return nil
}
