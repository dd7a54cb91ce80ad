package guiatest_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// trace is what a watched worker did to its directory, in the order in which the system saw it.
type trace struct {
	Calls []call
	// Targets are the system calls that a fault could have hit, Hit what the fault did hit.
	// Imported is how many of them were made when the import was through; the rest is closing.
	Targets  []op
	Hit      string
	Imported int
}

// call is one system call that ended without an error. Enter and Exit number the stops of the process: what came back before
// another began has a smaller Exit than the other's Enter.
type call struct {
	Enter, Exit int
	Op          op
	Ino         uint64 // of the file written, truncated, synced or created
	Path, To    string // full; To for rename and link
	Off         int64  // write: where; truncate: the new size
	Data        []byte // write, say
}

type op uint8

const (
	opSay    op = iota + 1 // a line to standard output: the outside world knows
	opWrite                // bytes to a file
	opSize                 // a new size
	opSync                 // fsync or fdatasync of a file or of a directory
	opCreate               // a new file under a new name
	opMkdir
	opRename
	opLink
	opUnlink // of a file or an empty directory
	opRead   // changes nothing, can fail
)

// fault is what happens at one system call.
type fault string

const (
	killBefore fault = "KILL before"
	killAfter  fault = "KILL after"
	failEIO    fault = "EIO"
	failENOSPC fault = "ENOSPC"
)

// watch runs a worker under the tracer, with a fault at the n-th system call that touches its directory (none when n is 0), counted
// from where it says "opened", or from its start.
func watch(t testing.TB, j job, n int, f fault, fromStart bool) (said, trace) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("system calls are watched on Linux on amd64 only")
	}
	file := j.path + ".trace"
	defer os.Remove(file)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(j.environ(), "GUIATEST_TRACE="+file, fmt.Sprintf("GUIATEST_FAULT=%d,%t,%s", n, fromStart, f))
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	err := cmd.Run()
	text, missing := os.ReadFile(file)
	if missing != nil {
		needed(t, "watching a process with ptrace: %v, %v: %s", err, missing, trouble.String())
	}
	var tr trace
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&tr); err != nil {
		t.Fatalf("trace: %v", err)
	}
	if trouble.Len() > 0 {
		t.Logf("worker: %s", trouble.String())
	}
	return parseSaid(out.Bytes()), tr
}
