package durable_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"guia/durable"
)

// TestMain lets the test binary be the process that crashes.
func TestMain(m *testing.M) {
	path := os.Getenv("DURABLE_TEST_PATH")
	var err error
	switch os.Getenv("DURABLE_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "durable":
		err = durable.WriteFile(path, []byte(newContent), 0o600)
	case "exclusive":
		var f *durable.File
		if f, err = durable.CreateExclusive(path); err == nil {
			_, err = f.Write([]byte(newContent))
			if err == nil {
				err = f.Commit()
			} else {
				err = errors.Join(err, f.Abort())
			}
		}
	case "naive": // the control: what everyone writes first
		err = os.WriteFile(path, []byte(newContent), 0o600)
	case "lock":
		if _, _, err = durable.Lock(path); err == nil {
			fmt.Println("locked")
			_, err = io.Copy(io.Discard, os.Stdin)
		}
	}
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	fmt.Println("acknowledged")
	os.Exit(0)
}

const oldContent = "the old content"

var newContent = strings.Repeat("the new content\n", 1000)

func needStrace(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("system call faults are injected with strace, which is for Linux")
	}
	if out, err := exec.Command("strace", "-f", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("strace is needed here: %v %s", err, out)
		}
		t.Skipf("NOT TESTED: crashes at each system call need a working strace: %v %s", err, out)
	}
}

// crash runs the child under strace and returns what it said and the trace.
func crash(t *testing.T, child, path string, options ...string) (said, trace string) {
	t.Helper()
	err := os.WriteFile(path, []byte(oldContent), 0o600)
	if child == "exclusive" {
		err = os.Remove(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", slices.Concat([]string{"-f", "-y", "-o", log}, options, []string{os.Args[0]})...)
	cmd.Env = append(os.Environ(), "DURABLE_TEST_CHILD="+child, "DURABLE_TEST_PATH="+path, "GOMAXPROCS=1")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), string(b)
}

// calls are the system calls that change files, and those WriteFile depends on.
var calls = []string{"openat", "write", "fchmod", "fsync", "close", "renameat", "unlinkat"}

func TestWriteFileIsOldOrNewAfterAFaultAtEachSystemCall(t *testing.T) {
	needStrace(t)
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	said, trace := crash(t, "durable", path, "-e", "trace="+strings.Join(calls, ","))
	if said != "acknowledged\n" {
		t.Fatalf("without a fault the child said %q", said)
	}
	faults := 0
	for _, call := range calls {
		n := len(regexp.MustCompile(`(?m)^\d+ +`+call+`\(`).FindAllString(trace, -1))
		for i := 1; i <= n; i++ {
			for _, fault := range []string{"signal=KILL", "error=EIO", "error=ENOSPC"} {
				if fault == "error=ENOSPC" && call != "openat" && call != "write" {
					continue
				}
				said, trace := crash(t, "durable", path, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", call, fault, i))
				faults++
				where := fmt.Sprintf("%s at %s %d of %d", fault, call, i, n)
				got, err := os.ReadFile(path)
				if err != nil {
					t.Fatalf("%s: the file is gone: %v", where, err)
				}
				if string(got) != oldContent && string(got) != newContent {
					t.Errorf("%s: neither old nor new: %d bytes", where, len(got))
				}
				if strings.Contains(said, "acknowledged") && string(got) != newContent {
					t.Errorf("%s: acknowledged, but the file is old", where)
				}
				checkLeftovers(t, where, dir, call, fault, trace)
			}
		}
	}
	t.Logf("%d faults", faults)
	if faults < 15 {
		t.Errorf("only %d faults were injected", faults)
	}
}

// With hard links and without: whatever fails or dies at whatever moment, the file is whole or there is none; without them a crash may
// leave an empty one.
func TestAnExclusiveFileIsWholeOrNoneAfterAFaultAtEachSystemCall(t *testing.T) {
	needStrace(t)
	t.Parallel()
	for _, links := range []bool{true, false} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		calls := []string{"openat", "write", "fsync", "close", "linkat", "renameat", "unlinkat"}
		var always []string
		if !links {
			always = []string{"-e", "inject=linkat:error=EPERM"}
			calls = slices.DeleteFunc(calls, func(call string) bool { return call == "linkat" })
		}
		said, trace := crash(t, "exclusive", path, append([]string{"-e", "trace=" + strings.Join(calls, ",") + ",linkat"}, always...)...)
		if got, _ := os.ReadFile(path); said != "acknowledged\n" || string(got) != newContent {
			t.Fatalf("links %v: without a fault the child said %q and wrote %d bytes", links, said, len(got))
		}
		faults := 0
		for _, call := range calls {
			n := len(regexp.MustCompile(`(?m)^\d+ +`+call+`\(`).FindAllString(trace, -1))
			for i := 1; i <= n; i++ {
				for _, fault := range []string{"signal=KILL", "error=EIO"} {
					options := append([]string{"-e", "trace=" + call + ",linkat", "-e", fmt.Sprintf("inject=%s:%s:when=%d", call, fault, i)}, always...)
					if err := os.WriteFile(path, nil, 0o600); err != nil { // crash takes it away
						t.Fatal(err)
					}
					said, trace := crash(t, "exclusive", path, options...)
					faults++
					where := fmt.Sprintf("links %v: %s at %s %d of %d", links, fault, call, i, n)
					got, err := os.ReadFile(path)
					whole, none := string(got) == newContent, errors.Is(err, os.ErrNotExist)
					emptied := len(got) == 0 && !links && fault == "signal=KILL"
					if !whole && !none && !emptied {
						t.Errorf("%s: neither whole nor none: %d bytes, %v\n%s", where, len(got), err, trace)
					}
					if strings.Contains(said, "acknowledged") && !whole || strings.Contains(said, "refused") && whole {
						t.Errorf("%s: the child said %q, and %d bytes are there, %v\n%s", where, said, len(got), err, trace)
					}
					checkLeftovers(t, where, dir, call, fault, trace)
				}
			}
		}
		if faults < 10 {
			t.Errorf("links %v: only %d faults were injected", links, faults)
		}
	}
}

// checkLeftovers demands that an error leaves no temporary file and that a
// crash leaves only such as can be recognised; it removes those.
func checkLeftovers(t *testing.T, where, dir, call, fault, trace string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "f" {
			continue
		}
		if !durable.IsTemp(e.Name()) {
			t.Errorf("%s: left %s", where, e.Name())
		}
		if fault != "signal=KILL" && call != "unlinkat" {
			t.Errorf("%s: left the temporary file %s\n%s", where, e.Name(), trace)
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCrashTestCatchesANaiveWriter(t *testing.T) {
	needStrace(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	for i := 1; i <= 10; i++ {
		crash(t, "naive", path, "-e", "inject=write:error=EIO:when="+fmt.Sprint(i))
		got, err := os.ReadFile(path)
		if err == nil && string(got) != oldContent && string(got) != newContent {
			return
		}
	}
	t.Error("os.WriteFile survived every fault: the crash test proves nothing")
}

// Killing a process loses nothing that is in the page cache, so the syncs are
// checked by their order.
func TestWriteFileSyncsBytesThenNameThenDirectory(t *testing.T) {
	needStrace(t)
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	_, trace := crash(t, "durable", path, "-e", "trace=write,fsync,renameat,rename,renameat2")
	var got []string
	for line := range strings.SplitSeq(trace, "\n") {
		call, rest, _ := strings.Cut(line, "(")
		fields := strings.Fields(call)
		if len(fields) != 2 || !strings.Contains(rest, dir) {
			continue
		}
		what := "temp"
		if strings.Contains(rest, "<"+dir+">)") {
			what = "dir"
		} else if strings.Contains(rest, `"`+path+`"`) {
			what = "to f"
		}
		got = append(got, fields[1]+" "+what)
	}
	want := "write temp, fsync temp, renameat to f, fsync dir"
	if strings.Join(got, ", ") != want {
		t.Errorf("order of calls:\n got %s\nwant %s\n%s", strings.Join(got, ", "), want, trace)
	}
}
