package archive_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guia"
	"guia/archive"
	"guia/guiatest"
)

// TestAFullDiskLeavesNoHalfSet backs up to a file system of its own that is too small, in a process of its own.
func TestAFullDiskLeavesNoHalfSet(t *testing.T) {
	if small := os.Getenv("ARCHIVE_TEST_SMALL"); small != "" {
		fillDisk(t, small)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAFullDiskLeavesNoHalfSet$", "-test.v")
	cmd.Env = append(os.Environ(), "ARCHIVE_TEST_SMALL="+t.TempDir())
	// The mount is in a namespace of its own and ends with the process.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) || strings.Contains(string(out), "cannot mount") {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a full disk cannot be made here: %v %s", err, out)
		}
		t.Skipf("NOT TESTED: a full disk needs user and mount namespaces: %v", err)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func fillDisk(t *testing.T, small string) {
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=9m"); err != nil {
		t.Fatalf("cannot mount: %v", err)
	}
	c := newCompany(t, 250)
	c.place = filepath.Join(small, "place")
	first := c.backup(t)
	for _, records := range []int{600, 1200} { // too large in the blobs, then in the databases
		c.Import(&guiatest.Company{Seed: uint64(records), Records: records, Page: 200, Large: 20})
		_, err := archive.Backup(t.Context(), c.Directory.Directory, c.Owner, c.place, nil)
		if err == nil {
			t.Fatalf("%d records: the disk is not small enough", records)
		}
		if guia.KindOf(err) != 0 && guia.KindOf(err) != guia.Blocked || !strings.Contains(err.Error(), "full") && !strings.Contains(err.Error(), "no space") {
			t.Errorf("%d records: the error does not say why: %v", records, err)
		}
		if left := entries(t, c.place); len(left) != 1 || left[0] != filepath.Base(first.Set) {
			t.Errorf("%d records: left %v", records, left)
		}
	}
	if _, err := archive.Verify(t.Context(), first.Set); err != nil {
		t.Errorf("the set from before: %v", err)
	}
}
