package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guia/blob"
	"guia/durable"
)

// TestMain lets the test binary be the process that fills a disk of its own.
func TestMain(m *testing.M) {
	root := os.Getenv("BLOB_TEST_FILL")
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

func fill(root string) error {
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=256k"); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	ctx := context.Background()
	s, err := blob.OpenDir(root)
	if err != nil {
		return err
	}
	small, _, err := s.Put(ctx, strings.NewReader("fits"))
	if err != nil {
		return err
	}
	_, _, err = s.Put(ctx, bytes.NewReader(make([]byte, 1<<20)))
	if said := fmt.Sprint(err); !durable.IsFull(err) || !strings.Contains(said, "no space left") {
		return fmt.Errorf("on a full disk: %s, want an error that says so", said)
	}
	if temps, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil {
		return err
	} else if len(temps) != 0 {
		return fmt.Errorf("%d temporary files left", len(temps))
	}
	if n, err := s.Stat(ctx, small); err != nil {
		return fmt.Errorf("the blob from before: %w", err)
	} else if n != 4 {
		return fmt.Errorf("the blob from before: %d bytes", n)
	}
	if _, _, err := s.Put(ctx, strings.NewReader("fits again")); err != nil {
		return fmt.Errorf("after the disk was full: %w", err)
	}
	return nil
}

func TestAFullDiskIsNamedAndLeavesNothingBehind(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BLOB_TEST_FILL="+t.TempDir())
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
