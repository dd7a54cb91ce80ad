package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia"
	"guia/guiatest/disk"
)

// fill writes until the disk is full, makes room, and goes on in the same process.
func fill(root string) (err error) {
	filler := filepath.Join(root, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err != nil {
		return err
	}
	ctx, path := context.Background(), filepath.Join(root, "x.db")
	d, err := Open(ctx, path, Options{Durability: Durable, Migrations: one("CREATE TABLE x (n INTEGER PRIMARY KEY, s TEXT)")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	stored := 0
	for err == nil && stored < 1000 {
		if err = d.Write(ctx, func(tx *Tx) error { return put(tx, stored, strings.Repeat("x", 50_000)) }); err == nil {
			stored++
		}
	}
	if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Kind != guia.Blocked || refusal.Key != "db.full" || errors.Is(err, ErrUnclear) {
		return fmt.Errorf("on a full disk behind %d rows: %w", stored, err)
	}
	var n int
	if err := d.QueryRow(ctx, "SELECT COUNT(*) FROM x").Scan(&n); err != nil || n != stored {
		return fmt.Errorf("reading on a full disk: %d rows of %d, %w", n, stored, err)
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	if err := d.Write(ctx, func(tx *Tx) error { return put(tx, stored, "there is room again") }); err != nil {
		return fmt.Errorf("after making room: %w", err)
	}
	if err := d.Close(); err != nil {
		return err
	}
	if d, err = Open(ctx, path, Options{Durability: Durable, Migrations: one("CREATE TABLE x (n INTEGER PRIMARY KEY, s TEXT)")}); err != nil {
		return err
	}
	if err := d.QueryRow(ctx, "SELECT COUNT(*) FROM x").Scan(&n); err != nil || n != stored+1 {
		return fmt.Errorf("after opening again: %d rows of %d, %w", n, stored+1, err)
	}
	return nil
}

func TestAFullDiskAtCommitIsClear(t *testing.T) {
	disk.Small(t, "4m", func(t *testing.T, root string) {
		if err := fill(root); err != nil {
			t.Error(err)
		}
	})
}
