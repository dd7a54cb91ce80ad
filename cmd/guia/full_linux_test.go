package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guia/guiatest/disk"
)

// TestOnAFullDiskOneCanStillLook runs the real program on a file system of its own that is full, or nearly: check, doctor and what needs
// no directory work; what would have to be recorded is refused with the reason and shows nothing; and with room again everything is there.
func TestOnAFullDiskOneCanStillLook(t *testing.T) {
	t.Parallel()
	disk.Small(t, "8m", func(t *testing.T, root string) {
		d := &smallDisk{root: root, beside: t.TempDir(), fault: t.Errorf}
		d.prepare()
		// In KiB: the lock does not fit, the index of a log, a follower, an act, its checkpoint, nothing.
		for _, free := range []int{0, 4, 48, 128, 256, 1024} {
			d.look(free)
		}
	})
}

// TestAFullDiskElsewhereIsNamed has the data directory on a disk with room, and makes copies on one without.
func TestAFullDiskElsewhereIsNamed(t *testing.T) {
	t.Parallel()
	disk.Small(t, "1m", func(t *testing.T, full string) {
		d := &smallDisk{root: t.TempDir(), beside: t.TempDir(), fault: t.Errorf}
		d.prepare()
		set := filepath.Join(d.beside, "set")
		d.must("backup", set)
		d.ok(os.Rename(d.data()+".recovery-key", filepath.Join(d.beside, "key")))
		d.ballast(full, 4)
		for place, args := range map[string][]string{
			"backup":  {"backup", filepath.Join(full, "backup")},
			"tiles":   {"tiles", filepath.Join(full, "tiles")},
			"restore": {"restore", set, "--identity", filepath.Join(d.beside, "key"), "--dir", filepath.Join(full, "restore")},
		} {
			_, errOut, code := d.guia(args...)
			if code != codeFailed || !strings.Contains(errOut, "The disk of "+filepath.Join(full, place)+" is full") || strings.Contains(errOut, "The disk is full") {
				t.Errorf("%v: exit code %d: %s", args, code, errOut)
			}
		}
		if out := d.must("check"); !strings.Contains(out, "Clean") {
			t.Error(out)
		}
	})
}

// smallDisk is a full disk with a data directory, of which there is a copy beside it.
type smallDisk struct {
	root, beside string
	fault        func(format string, args ...any)
	events       int // in the ledger
}

func (d *smallDisk) data() string { return filepath.Join(d.root, "data") }

// guia runs the real program and returns what it printed.
func (d *smallDisk) guia(args ...string) (stdout, stderr string, code int) {
	cmd := exec.Command("guia", args...)
	cmd.Env = append(os.Environ(), "GUIA_DIR="+d.data(), "HOME="+d.beside, "LC_ALL=C.UTF-8", "GUIA_LANG=", "GUIA_USER=")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else if err != nil {
		d.fault("%v: %v", args, err)
	}
	return out.String(), errOut.String(), code
}

func (d *smallDisk) must(args ...string) string {
	out, errOut, code := d.guia(args...)
	if code != 0 {
		d.fault("%v: exit code %d: %s", args, code, errOut)
	}
	return out
}

func (d *smallDisk) ok(err error) {
	if err != nil {
		d.fault("%v", err)
	}
}

// prepare makes a directory with messages that can be searched.
func (d *smallDisk) prepare() {
	d.must("init")
	d.ok(os.WriteFile(filepath.Join(d.beside, "m.yaml"), []byte("guia-mapping: 1\nsource: {name: chat}\nformat: jsonl\nfields:\n  key: id\n  text: text\n  time: time\n  stream: channel\n  type: {constant: message.sent}\n"), 0o600))
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, `{"id":"%d","time":"2024-03-01T00:00:00Z","channel":"c","text":"the contract of flat %d"}`+"\n", i, i)
	}
	d.ok(os.WriteFile(filepath.Join(d.beside, "a.jsonl"), []byte(b.String()), 0o600))
	d.ok(os.WriteFile(filepath.Join(d.beside, "b.jsonl"), []byte(strings.ReplaceAll(b.String(), `"id":"`, `"id":"b`)), 0o600))
	d.must("import", filepath.Join(d.beside, "a.jsonl"), "--mapping", filepath.Join(d.beside, "m.yaml"))
	d.must("search", "contract")
	d.must("case", "new", "flats")
	d.must("case", "add", "1", "20-30")
	d.must("bundle", "1", "-o", filepath.Join(d.beside, "case.asice"))
	d.ok(os.WriteFile(filepath.Join(d.beside, "vkey"), []byte(d.must("key", "status", "--vkey")), 0o600))
	d.events = d.count()
	d.ok(os.CopyFS(filepath.Join(d.beside, "copy"), os.DirFS(d.data())))
}

// count is how many events a check sees.
func (d *smallDisk) count() int {
	var r struct {
		Entries int `json:"entries"`
	}
	d.ok(json.Unmarshal([]byte(d.must("check", "--json")), &r))
	return r.Entries
}

// fill leaves the directory as it was and that much room, in KiB.
func (d *smallDisk) fill(free int) {
	d.ok(os.RemoveAll(d.data()))
	d.ok(os.CopyFS(d.data(), os.DirFS(filepath.Join(d.beside, "copy"))))
	d.ok(os.Chmod(d.data(), 0o700))
	d.ballast(d.root, free)
}

// ballast leaves that much room, in KiB, on the disk of a folder.
func (d *smallDisk) ballast(folder string, free int) {
	ballast, err := os.Create(filepath.Join(folder, "ballast"))
	d.ok(err)
	n, err := io.Copy(ballast, io.LimitReader(zeros{}, 1<<30))
	if !errors.Is(err, syscall.ENOSPC) {
		d.fault("the disk is not full: %v", err)
	}
	d.ok(ballast.Truncate(n/4096*4096 - int64(free)<<10))
	d.ok(ballast.Close())
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func (d *smallDisk) look(free int) {
	for _, args := range [][]string{
		{"check"},
		{"doctor"},
		{"version"},
		{"search", "contract"},
		{"show", "20"},
		{"log", "-n", "3"},
		{"log", "-n", "3", "--content"},
		{"import", filepath.Join(d.beside, "b.jsonl"), "--mapping", filepath.Join(d.beside, "m.yaml")},
	} {
		d.fill(free)
		out, errOut, code := d.guia(args...)
		fmt.Printf("%4d KiB free: %v: %d %s\n", free, args, code, firstLine(errOut))
		if n := strings.Count(out+errOut, "The disk is full"); n > 1 {
			d.fault("%d KiB free: %v: it is said %d times that the disk is full: %s %s", free, args, n, out, errOut)
		}
		switch args[0] {
		case "check", "version", "verify":
			if code != 0 || args[0] == "check" && !strings.Contains(out, "Clean") {
				d.fault("%d KiB free: %v: exit code %d: %s %s", free, args, code, out, errOut)
			}
		case "doctor": // the disk is bad
			if code != 1 || !strings.Contains(out, "of disk space are free") || !strings.Contains(out, "Directory format") {
				d.fault("%d KiB free: %v: exit code %d: %s %s", free, args, code, out, errOut)
			}
		default:
			shown := out != "" && !strings.Contains(errOut, "checkpoint could not be signed") // then it was recorded before
			if code != 0 && (shown || !strings.Contains(errOut, "The disk is full")) {
				d.fault("%d KiB free: %v: exit code %d: %s %s", free, args, code, out, errOut)
			}
		}
		d.ok(os.Remove(filepath.Join(d.root, "ballast")))
		if n := d.count(); n < d.events {
			d.fault("%d KiB free: %v: %d events of %d are left", free, args, n, d.events)
		}
	}
	d.fill(0) // not even the recovery key of another directory
	if _, errOut, code := d.guia("init", "--dir", filepath.Join(d.root, "other")); code != 1 || !strings.Contains(errOut, "The disk is full") {
		d.fault("init on a full disk: exit code %d: %s", code, errOut)
	}
	d.ok(os.Remove(filepath.Join(d.root, "ballast")))
	if out := d.must("search", "contract", "--limit", "1"); !strings.Contains(out, "of 50") && !strings.Contains(out, "of 100") {
		d.fault("with room again: %s", out)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
