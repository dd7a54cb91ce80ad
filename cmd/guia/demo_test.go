package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"guia/dingtalktest"
)

// demonstrate runs the real guia demo and returns what it printed.
func demonstrate(t *testing.T, root string, args ...string) string {
	t.Helper()
	out, err := demoCommand(t, root, append([]string{"demo", "--live", "--once", "--speed", "50"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("guia demo %s: %v\n%s", args, err, out)
	}
	return string(out)
}

func demoCommand(t *testing.T, root string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "guia", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "HOME="+root, "LC_ALL=C.UTF-8", "GUIA_LANG=en", "GUIA_TESTDATA=")
	return cmd
}

var (
	timed  = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  (.*)$`)
	typed  = regexp.MustCompile(`(?m)^\s*\$? guia .*$`)
	drawn  = regexp.MustCompile(`(--corp|--app-key|--operator-union|--robot) \S+|people \S+( \S+)*`)
	freely = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// story is what the people of a demonstration did, what Guia told of it, and which commands were typed.
func story(out string) (deeds, told, commands []string) {
	for _, m := range timed.FindAllStringSubmatch(out, -1) {
		if line, is := strings.CutPrefix(m[1], "Guia  "); is {
			told = append(told, line)
		} else {
			deeds = append(deeds, m[1])
		}
	}
	return deeds, told, typed.FindAllString(freely.ReplaceAllString(out, "PORT"), -1)
}

func TestTheDemoTellsTheStoryOfItsSeed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outs := make([]string, 3)
	var wg sync.WaitGroup
	wg.Go(func() {
		outs[0] = demonstrate(t, root, "--seed", "7")
		outs[1] = demonstrate(t, root, "--seed", "7") // in the same folder: it begins anew
	})
	wg.Go(func() { outs[2] = demonstrate(t, t.TempDir(), "--seed", "8") })
	wg.Wait()
	deeds, told, commands := story(outs[0])
	if len(deeds) != onceDeeds || len(told) == 0 || len(commands) < 10 {
		t.Fatalf("%d deeds, %d lines of Guia, %d commands\n%s", len(deeds), len(told), len(commands), outs[0])
	}
	again, _, same := story(outs[1])
	if !slices.Equal(deeds, again) || !slices.Equal(commands, same) {
		t.Errorf("the same seed told another story:\n%s\n\n%s", outs[0], outs[1])
	}
	other, _, commandsOther := story(outs[2])
	if slices.Equal(deeds, other) {
		t.Error("another seed told the same story")
	}
	for i := range commands {
		if one, two := drawn.ReplaceAllString(commands[i], "$1"), drawn.ReplaceAllString(commandsOther[i], "$1"); one != two {
			t.Errorf("another seed changed what does not depend on it: %s, %s", one, two)
		}
	}
	for _, name := range dingtalktest.New(dingtalktest.Company{Seed: 7}, dingtalktest.Options{}).Canaries() {
		if strings.Contains(strings.Join(told, "\n"), name) {
			t.Errorf("%s stands in what the log tells", name)
		}
	}
}

func TestTheDemoStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	cmd := demoCommand(t, root, "demo", "--live", "--speed", "20")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended
	lines := bufio.NewScanner(out)
	last := ""
	for stopped := false; lines.Scan(); last = lines.Text() {
		if stopped || !strings.Contains(lines.Text(), "has read attendance") {
			continue
		}
		second := demoCommand(t, root, "demo", "--once")
		said, err := second.CombinedOutput()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != codeFailed {
			t.Errorf("a second demo in the folder of the first: %v\n%s", err, said)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil { // in the middle of the first rounds
			t.Fatal(err)
		}
		stopped = true
	}
	if err := cmd.Wait(); err != nil || !strings.HasPrefix(last, "Stopped in good order") {
		t.Errorf("%v, %q", err, last)
	}
	for _, args := range [][]string{{"check"}, {"search", "佣金"}, {"source", "coverage"}} {
		if out, err := demoCommand(t, root, append([]string{"--dir", filepath.Join("guia-demo", "data")}, args...)...).CombinedOutput(); err != nil {
			t.Errorf("guia %s: %v\n%s", args, err, out)
		}
	}
}
