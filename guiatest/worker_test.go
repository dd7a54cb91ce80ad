package guiatest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"guia/db"
	"guia/directory"
	"guia/guiatest"
	"guia/intake"
	"guia/permit"
	"guia/source"
)

// TestMain lets the test binary be the process that crashes, and the one that watches it.
func TestMain(m *testing.M) {
	if os.Getenv("GUIATEST_TRACE") != "" {
		os.Exit(traceMain())
	}
	if os.Getenv("GUIATEST_WORK") != "" {
		os.Exit(work())
	}
	os.Exit(m.Run())
}

// job is what a worker process does in a directory; it is handed over in the environment.
type job struct {
	work string // "init" makes the directory first; "import" imports the company; "hold" only holds the directory;
	// "full" runs into the end of the disk
	path    string
	company guiatest.Company
	weak    string // "NORMAL" or "OFF": the negative controls
	log     int64  // size at which the log of the database is copied back, 0 for the real one; the writer waits at four times that
}

func (j job) environ() []string {
	return append(os.Environ(), "GUIATEST_WORK="+j.work, "GUIATEST_PATH="+j.path, "GUIATEST_WEAK="+j.weak, fmt.Sprint("GUIATEST_LOG=", j.log),
		fmt.Sprintf("GUIATEST_COMPANY=%d %d %d %d", j.company.Seed, j.company.Records, j.company.Page, j.company.Large))
}

// say writes one line to standard output, unbuffered: when the call returns, whoever reads has it, also when we are killed next.
func say(line string) {
	if _, err := os.Stdout.WriteString(line + "\n"); err != nil {
		os.Exit(9)
	}
}

// work is the worker's main. It says "opened", then "ack KEY..." for each committed page, "imported", "closed"; or "refused: " and why.
func work() int {
	var j job
	j.work, j.path = os.Getenv("GUIATEST_WORK"), os.Getenv("GUIATEST_PATH")
	if _, err := fmt.Sscan(os.Getenv("GUIATEST_COMPANY"), &j.company.Seed, &j.company.Records, &j.company.Page, &j.company.Large); err != nil {
		say("refused: " + err.Error())
		return 2
	}
	switch os.Getenv("GUIATEST_WEAK") {
	case "NORMAL":
		directory.TestOnlyDurability = db.TestOnlyNormal
	case "OFF":
		directory.TestOnlyDurability = db.Disposable
	}
	if size, err := strconv.ParseInt(os.Getenv("GUIATEST_LOG"), 10, 64); err == nil && size > 0 {
		db.TestOnlyLog(size, 4*size)
	}
	if err := j.do(); err != nil {
		say("refused: " + strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

func (j job) do() (err error) {
	ctx := context.Background()
	if j.work == "full" {
		return j.full(ctx)
	}
	var d *directory.Directory
	if j.work == "init" {
		d, err = directory.Create(ctx, j.path, guiatest.FirstUser())
	} else {
		d, err = directory.Open(ctx, j.path)
	}
	if err != nil {
		return err
	}
	say("opened")
	if j.work == "hold" {
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	if err := j.importCompany(ctx, d, acknowledge); err != nil {
		return errors.Join(err, d.Close(ctx))
	}
	say("imported")
	if err := d.Close(ctx); err != nil {
		return err
	}
	say("closed")
	return nil
}

// acknowledge says which records of a page are committed.
func acknowledge(p source.Page, _ intake.Counts) {
	line := "ack"
	for _, r := range p.Records {
		line += " " + r.Key
	}
	say(line)
}

func (j job) importCompany(ctx context.Context, d *directory.Directory, tell func(source.Page, intake.Counts)) error {
	users, err := permit.Users(ctx, d.Main)
	if err != nil || len(users) == 0 {
		return fmt.Errorf("%d users: %w", len(users), err)
	}
	_, err = d.Intake.Import(ctx, guiatest.ActorOf(users[0]), guiatest.Feed(), &j.company, "", false, tell)
	return err
}

// command returns the process of a job.
func (j job) command(t testing.TB) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = j.environ()
	return cmd
}

// said is what a worker said before it ended.
type said struct {
	acked                    []string
	opened, imported, closed bool
	refused                  string
}

func parseSaid(out []byte) (s said) {
	for line := range bytes.Lines(out) {
		whole, complete := bytes.CutSuffix(line, []byte("\n"))
		if !complete {
			break
		}
		words := strings.Fields(string(whole))
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "ack":
			s.acked = append(s.acked, words[1:]...)
		case "opened":
			s.opened = true
		case "imported":
			s.imported = true
		case "closed":
			s.closed = true
		case "refused:":
			s.refused = string(whole)
		default:
			s.refused = "unexpected: " + string(whole)
		}
	}
	return s
}

// template makes an empty directory once per test binary and returns a fresh copy of it in memory.
func template(t testing.TB) string {
	t.Helper()
	root := memory(t)
	path := filepath.Join(root, "data")
	opened, err := directory.Create(t.Context(), path, guiatest.FirstUser())
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return path
}
