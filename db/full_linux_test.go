package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guia"
)

// TestMain lets the test binary be the process that fills a disk of its own.
func TestMain(m *testing.M) {
	root := os.Getenv("DB_TEST_FILL")
	if root == "" {
		os.Exit(m.Run())
	}
	if err := fill(root); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

var errNoMount = errors.New("cannot mount a small file system here")

// fill writes until the disk is full, makes room, and goes on in the same process.
func fill(root string) (err error) {
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=4m"); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
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
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DB_TEST_FILL="+t.TempDir())
	// The mount is in a namespace of its own and ends with the process.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) || strings.Contains(string(out), errNoMount.Error()) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a full disk cannot be made here: %v %s", err, out)
		}
		t.Skipf("NOT TESTED: a full disk needs user and mount namespaces: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
