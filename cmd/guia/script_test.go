package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"guia/db"
	"guia/directory"
)

// programs are what tests run in processes of their own.
var programs = map[string]func(){"guia": main, "guia-hold": hold}

func TestMain(m *testing.M) { testscript.Main(m, programs) }

// hold opens the data directory as every command does and keeps it open until it is interrupted.
func hold() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := newProgram(system())
	p.path = p.defaultDirectory()
	cmd := &cobra.Command{}
	cmd.SetContext(ctx)
	err := p.inside(func(ctx context.Context, s *session) error {
		p.print("holding\n")
		<-ctx.Done()
		p.print("letting go\n")
		return nil
	})(cmd, nil)
	if err != nil {
		os.Exit(p.report(ctx, err))
	}
}

// TestScripts runs the real program as people do. What is special here: code N runs a command and demands its exit code, waitholder
// waits until, jsonl and slack make input, keep takes a value out of what was printed, grown waits until the ledger has events,
// damage changes a stored byte, edit some rows, turnclock lets the ledger's last event lie in the future, copydir copies a folder, unpack unpacks a zip.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for _, v := range []string{"GUIA_DIR=" + filepath.Join(e.WorkDir, "data"), "HOME=" + e.WorkDir, "LC_ALL=C.UTF-8", "NO_COLOR=1", "TZ=Asia/Macau"} {
				name, value, _ := strings.Cut(v, "=")
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": runForCode, "waitholder": waitHolder, "jsonl": makeJSONL, "keep": keep, "grown": grown, "damage": damage,
			"turnclock": turnClock, "copydir": copyDir, "edit": edit, "unpack": unpack, "flip": flip,
		},
		Condition: func(name string) (bool, error) {
			if name != "mounts" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			err := exec.Command("unshare", "-rm", "true").Run()
			if err != nil && os.Getenv("CI") == "true" {
				return false, fmt.Errorf("a mount namespace (unshare -rm) is needed here: %w", err)
			}
			return err == nil, nil
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func runForCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// until asks now and then whether something has come true, for at most 30 seconds.
func until(ts *testscript.TestScript, what string, ask func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !ask() {
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("waited in vain: %s", what)
		}
	}
}

// waitHolder waits until a process listens on the socket of the data directory.
func waitHolder(ts *testscript.TestScript, _ bool, _ []string) {
	path := directory.Socket(ts.Getenv("GUIA_DIR"))
	until(ts, "somebody holds "+path, func() bool {
		return shortPath(filepath.Dir(path), filepath.Base(path), func(short string) error {
			conn, err := net.Dial("unix", short)
			if err != nil {
				return err
			}
			return conn.Close()
		}) == nil
	})
}

// makeJSONL writes N messages into a file: jsonl N FILE [PREFIX]. A prefix makes them other messages.
func makeJSONL(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	prefix := strings.Join(args[2:], "")
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for i := range n {
		ts.Check(enc.Encode(map[string]any{
			"id": prefix + strconv.Itoa(i), "time": time.Date(2024, 3, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339), "sender": fmt.Sprintf("p%d", i%20),
			"channel": fmt.Sprintf("c%d", i%5), "text": fmt.Sprintf("message %s%d 加班費 about the horário extraordinário of the site", prefix, i),
		}))
	}
	ts.Check(w.Flush())
	ts.Check(f.Close())
}

// keep puts what a group of a pattern matches in the last stdout into a variable: keep NAME PATTERN.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("%s does not match", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// grown waits until the ledger has N events, asking through the process that holds it.
func grown(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	until(ts, "the ledger has "+args[0]+" events", func() bool {
		var out bytes.Buffer
		var line logLine
		code := run(context.Background(), env{
			args: []string{"log", "-n", "1", "--json"}, stdout: &out, stderr: io.Discard, dir: ts.Getenv("WORK"), getenv: ts.Getenv, login: ownLogin(),
		})
		return code == codeDone && json.Unmarshal(out.Bytes(), &line) == nil && line.Seq >= n
	})
}

// damage changes the last byte of the newest encrypted row.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	change(ts, args[0], func(tx *db.Tx) error {
		var first int64
		var data []byte
		if err := tx.QueryRow("SELECT first, data FROM vault_row ORDER BY first LIMIT 1", nil, &first, &data); err != nil {
			return err
		}
		data[len(data)-1] ^= 1
		_, err := tx.Exec("UPDATE vault_row SET data = ? WHERE first = ?", data, first)
		return err
	})
}

// edit changes rows of the main database as somebody would who can write it: edit DIR FILE, with a statement in the file.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	change(ts, args[0], func(tx *db.Tx) error {
		r, err := tx.Exec(ts.ReadFile(args[1]))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("%s: changed %d rows, %w", args[1], n, err)
		}
		return nil
	})
}

// turnClock makes the last event one of the day after tomorrow.
func turnClock(ts *testscript.TestScript, _ bool, args []string) {
	change(ts, args[0], func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE ledger_head SET clock = ?", time.Now().Add(48*time.Hour).UnixMilli())
		return err
	})
}

func change(ts *testscript.TestScript, dir string, fn func(*db.Tx) error) {
	ctx := context.Background()
	d, err := db.Open(ctx, filepath.Join(ts.MkAbs(dir), "guia.db"), db.Options{Durability: db.Durable, Forgetful: true, Migrations: db.Main()})
	ts.Check(err)
	ts.Check(d.Write(ctx, fn))
	ts.Check(d.Close())
}

func copyDir(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
	// The copy has the modes of the umask; a data directory is its owner's alone.
	ts.Check(os.Chmod(ts.MkAbs(args[1]), 0o700))
}

// flip changes one bit in the middle of what a file of a bundle is compressed to: flip BUNDLE NAME.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	z, err := zip.OpenReader(path)
	ts.Check(err)
	at := int64(-1)
	for _, f := range z.File {
		if f.Name == args[1] {
			at, err = f.DataOffset()
			ts.Check(err)
			at += int64(f.CompressedSize64 / 2)
		}
	}
	ts.Check(z.Close())
	bytes, err := os.ReadFile(path)
	ts.Check(err)
	bytes[at] ^= 8
	ts.Check(os.WriteFile(path, bytes, 0o600))
}

func unpack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unpack file folder")
	}
	z, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer z.Close()
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), z))
}
