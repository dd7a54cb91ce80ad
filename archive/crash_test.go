package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/archive"
	"guia/directory"
	"guia/guiatest"
	"guia/permit"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if task := os.Getenv("ARCHIVE_TEST_TASK"); task != "" {
		if err := work(task, os.Getenv("ARCHIVE_TEST_DIR"), os.Getenv("ARCHIVE_TEST_PLACE")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func work(task, dir, place string) error {
	ctx := context.Background()
	if task == "restore" {
		_, err := archive.Restore(ctx, place, dir, os.Stdin, func(int64, int64) { fmt.Println("going") })
		return err
	}
	d, err := directory.Open(ctx, dir)
	if err != nil {
		return err
	}
	users, err := permit.Users(ctx, d.Main)
	if err != nil {
		return err
	}
	fmt.Println("going")
	_, err = archive.Backup(ctx, d, guiatest.ActorOf(users[0]), place, func(int64, int64) { fmt.Println("going") })
	return errors.Join(err, d.Close(ctx))
}

// killed runs a task in a process of its own and kills it some milliseconds after it began to work; it reports whether the task ended
// before.
func killed(t *testing.T, task, dir, place, input string, after time.Duration) (ended bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ARCHIVE_TEST_TASK="+task, "ARCHIVE_TEST_DIR="+dir, "ARCHIVE_TEST_PLACE="+place)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	first := make([]byte, 5)
	if _, err := io.ReadFull(out, first); err != nil {
		t.Fatalf("%s did not begin: %v %q", task, err, first)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
	rest, _ := io.ReadAll(out)
	err = cmd.Wait()
	timer.Stop()
	if err == nil {
		return true
	}
	if cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("%s: %v %s", task, err, bytes.ReplaceAll(rest, []byte("going\n"), nil))
	}
	return false
}

func rounds(few, many int) int {
	if os.Getenv("GUIA_SOAK") != "" {
		return many
	}
	return few
}

// TestAKilledBackupLeavesTheEarlierSetsWhole kills the process at random moments. Under the name of a set there is only ever a whole
// one, and the next backup goes on.
func TestAKilledBackupLeavesTheEarlierSetsWhole(t *testing.T) {
	ctx := context.Background()
	c := newCompany(t, 300)
	first := c.backup(t)
	take(t, c.Directory.Directory, &guiatest.Company{Seed: 3, Records: 400, Page: 200, Large: 10})
	path := c.Path
	c.Shut()
	interrupted := 0
	for range rounds(12, 300) {
		after := time.Duration(rand.IntN(120)) * time.Millisecond
		if !killed(t, "backup", path, c.place, "", after) {
			interrupted++
		}
		sets, err := archive.Sets(c.place)
		must(t, err)
		if len(sets) == 0 || sets[0].Digest != first.Digest {
			t.Fatalf("after %v: the first of %d sets is another", after, len(sets))
		}
		for _, set := range []archive.Manifest{sets[0], sets[len(sets)-1]} {
			if _, err := archive.Verify(ctx, set.Set); err != nil {
				t.Fatalf("after %v: set %s: %v", after, filepath.Base(set.Set), err)
			}
		}
	}
	if interrupted == 0 {
		t.Error("no backup was interrupted: this test shows nothing")
	}
	must(t, reopen(c))
	c.backup(t)
	for _, name := range entries(t, c.place) {
		if !strings.HasPrefix(name, "guia-") {
			t.Errorf("%s is left in the place", name)
		}
	}
	to := filepath.Join(t.TempDir(), "restored")
	_, err := c.restore(c.place, to)
	must(t, err)
}

// reopen opens the directory of a company that was shut.
func reopen(c *company) error {
	d, err := directory.Open(context.Background(), c.Path)
	if err == nil {
		c.Directory.Directory = d
	}
	return err
}

func TestAKilledRestoreLeavesNoDirectory(t *testing.T) {
	c := newCompany(t, 300)
	c.backup(t)
	dir := t.TempDir()
	to := filepath.Join(dir, "restored")
	interrupted := 0
	for range rounds(6, 100) {
		if killed(t, "restore", to, c.place, c.identity, time.Duration(rand.IntN(60))*time.Millisecond) {
			must(t, os.RemoveAll(to))
			continue
		}
		interrupted++
		if _, err := os.Stat(to); err == nil { // the rename was made: then it is whole
			d, err := directory.Open(context.Background(), to)
			must(t, err)
			guiatest.MustCheck(t, d)
			must(t, d.Close(context.Background()))
			must(t, os.RemoveAll(to))
		}
	}
	if interrupted == 0 {
		t.Error("no restore was interrupted: this test shows nothing")
	}
	_, err := c.restore(c.place, to)
	must(t, err)
	if left := entries(t, dir); len(left) != 1 {
		t.Errorf("left beside it: %v", left)
	}
}

// TestAnInterruptedBackupUsesWhatWasCopied: Ctrl-C, and the same command again.
func TestAnInterruptedBackupUsesWhatWasCopied(t *testing.T) {
	c := newCompany(t, 300)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := archive.Backup(ctx, c.Directory.Directory, c.Owner, c.place, func(done, of int64) {
		if done > 1<<20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	left := entries(t, c.place)
	if len(left) != 1 || strings.HasPrefix(left[0], "guia-") {
		t.Fatalf("left: %v", left)
	}
	kept := map[string]os.FileInfo{}
	for _, name := range names(t, filepath.Join(c.place, left[0])) {
		if strings.HasPrefix(name, "blobs/") {
			kept[name], _ = os.Stat(filepath.Join(c.place, left[0], name))
		}
	}
	m := c.backup(t)
	same := 0
	for name, was := range kept {
		if now, err := os.Stat(filepath.Join(m.Set, name)); err == nil && os.SameFile(was, now) {
			same++
		}
	}
	if same < 2 || same < len(kept)-1 {
		t.Errorf("%d of %d blobs were used", same, len(kept))
	}
	e, err := c.Ledger.Event(context.Background(), c.Ledger.Size()-1)
	if err != nil || e.Type != guia.BackupFinished || e.Fields.Get("act.outcome") != "done" {
		t.Errorf("recorded %s, %v", e.Type, err)
	}
}
