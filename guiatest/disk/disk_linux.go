package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const (
	variable = "GUIA_TEST_SMALL_DISK"
	noMount  = "cannot mount a small file system here"
)

// Small runs fn in a process of its own, which runs the same test again, with the root of an empty file system of the given size, such
// as "4m". The mount is in a namespace of that process and ends with it. Where there are no such namespaces the test is skipped, or
// fails where CI is "true".
func Small(t *testing.T, size string, fn func(t *testing.T, root string)) {
	t.Helper()
	if root := os.Getenv(variable); root != "" {
		if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size="+size); err != nil {
			t.Fatalf("%s: %v", noMount, err)
		}
		fn(t, root)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil && strings.Contains(string(out), "--- PASS: "+t.Name()):
	case err != nil && !errors.As(err, &exit) || strings.Contains(string(out), noMount):
		why := fmt.Sprintf("a small disk needs user and mount namespaces: %v %s", err, out)
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip("NOT TESTED: " + why)
	default:
		t.Errorf("%v: %s", err, out)
	}
}
