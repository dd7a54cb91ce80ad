// Command mutants breaks each promise of the program on purpose and demands that the test which guards it turns red.
//
// A mutant is a patch in testdata/mutants of the package that keeps the promise. Two lines stand before the diff:
//
//	# promise: an acknowledged record is there after the power comes back
//	# test: go test ./durable -run TestWriteSurvivesPowerCut
//
// The tree (as git sees it, with what is not committed yet) is copied to a temporary directory, one copy per worker. Each
// distinct test must first pass there without a patch; then each patch is applied, its test run, and the patch taken out
// again. The repository itself is never changed.
//
// Only a failing test counts as red. A mutant that does not compile proves nothing about the test and is a defect of the
// mutant; so is a patch that no longer applies, and a test that is skipped or does not exist.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

func main() {
	only := flag.String("run", "", "only mutants whose path or promise contains `text`")
	workers := flag.Int("j", max(1, runtime.NumCPU()/2), "`number` of mutants at the same time")
	timeout := flag.Duration("timeout", 5*time.Minute, "longest `time` for one test")
	flag.Parse()
	undetected, err := run(os.Stdout, ".", *only, *workers, *timeout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if undetected > 0 {
		os.Exit(1)
	}
}

// mutant is one promise, broken. Path is relative to the root of the repository.
type mutant struct {
	path    string
	promise string
	test    []string // the words of a go test command
}

// outcome says what became of a mutant; only red is good.
type outcome string

const (
	red         outcome = "red"
	survived    outcome = "NOT RED"
	stale       outcome = "patch no longer applies"
	broken      outcome = "does not compile"
	badBaseline outcome = "test is red without the patch"
	nothingRan  outcome = "no test ran"
)

// run tries all mutants below root whose path or promise contains only, writes the table, and returns how many were not
// found out.
func run(out io.Writer, root, only string, workers int, timeout time.Duration) (undetected int, err error) {
	all, err := find(root)
	if err != nil {
		return 0, err
	}
	mutants := slices.DeleteFunc(all, func(m mutant) bool {
		return !strings.Contains(m.path+" "+m.promise, only)
	})
	if len(mutants) == 0 {
		return 0, fmt.Errorf("no mutant contains %q", only)
	}
	files, err := tracked(root)
	if err != nil {
		return 0, err
	}
	scratch, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // the system clears its own temporary directory

	outcomes := make([]outcome, len(mutants))
	errs := make([]error, len(mutants))
	work := make(chan int)
	base := &baselines{known: map[string]outcome{}}
	var wg sync.WaitGroup
	var say sync.Mutex
	for w := range min(workers, len(mutants)) {
		wg.Go(func() {
			dir := filepath.Join(scratch, fmt.Sprint(w))
			copied := copyFiles(root, dir, files)
			for i := range work {
				if errs[i] = copied; errs[i] == nil {
					outcomes[i], errs[i] = try(dir, mutants[i], base, timeout)
				}
				say.Lock()
				fmt.Fprintf(out, "%-8s %s\n", outcomes[i], mutants[i].path)
				say.Unlock()
			}
		})
	}
	for i := range mutants {
		work <- i
	}
	close(work)
	wg.Wait()
	return table(out, mutants, outcomes), errors.Join(errs...)
}

func table(out io.Writer, mutants []mutant, outcomes []outcome) (undetected int) {
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROMISE\tTEST\tOUTCOME")
	for i, m := range mutants {
		fmt.Fprintf(t, "%s\t%s\t%s\n", m.promise, strings.Join(m.test[2:], " "), outcomes[i])
		if outcomes[i] != red {
			undetected++
		}
	}
	_ = t.Flush() // to a terminal; nothing to do about it
	fmt.Fprintf(out, "\n%d mutants, %d red, %d not\n", len(mutants), len(mutants)-undetected, undetected)
	return undetected
}

// try takes one mutant through a copy of the tree and leaves the copy as it was.
func try(dir string, m mutant, base *baselines, timeout time.Duration) (outcome, error) {
	if before := base.outcome(dir, m.test, timeout); before != "" {
		return before, nil
	}
	patch := filepath.Join(dir, filepath.FromSlash(m.path))
	if err := apply(dir, patch); err != nil {
		return stale, nil //nolint:nilerr // that it does not apply is the finding
	}
	passed, said := goTest(dir, m.test, timeout)
	if err := apply(dir, patch, "-R"); err != nil {
		return "", fmt.Errorf("%s: take out: %w", m.path, err)
	}
	switch {
	case passed:
		return survived, nil
	case failedToBuild.Match(said):
		return broken, nil
	}
	return red, nil
}

// baselines remembers what each test says without a patch, so that it is asked once. Safe for several workers.
type baselines struct {
	mu    sync.Mutex
	known map[string]outcome
}

// outcome is "" when the test runs and passes.
func (b *baselines) outcome(dir string, test []string, timeout time.Duration) outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := strings.Join(test, " ")
	if known, ok := b.known[key]; ok {
		return known
	}
	passed, said := goTest(dir, test, timeout)
	switch {
	case !passed:
		b.known[key] = badBaseline
	case !somethingPassed.Match(said):
		b.known[key] = nothingRan
	default:
		b.known[key] = ""
	}
	return b.known[key]
}

var (
	somethingPassed = regexp.MustCompile(`(?m)^--- PASS: `)
	failedToBuild   = regexp.MustCompile(`\[(build|setup) failed\]`)
)

// goTest runs the command in dir. A test that hangs is killed and has failed.
func goTest(dir string, test []string, timeout time.Duration) (passed bool, said []byte) {
	ctx, stop := context.WithTimeout(context.Background(), timeout+5*time.Minute) // the rest is for building
	defer stop()
	args := append([]string{"test", "-v", "-count=1", "-timeout", timeout.String()}, test[2:]...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second // a grandchild may hold the pipe
	said, err := cmd.CombinedOutput()
	return err == nil, said
}

// apply runs git apply as in a plain folder: the copy is no repository, and must not be taken for part of one above it.
func apply(dir, patch string, flags ...string) error {
	abs, err := filepath.Abs(patch)
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	cmd := exec.Command("git", append(append([]string{"apply"}, flags...), abs)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git apply: %w: %s", err, bytes.TrimSpace(said))
	}
	return nil
}

// find reads all mutants below root, in order of their paths.
func find(root string) (found []mutant, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == ".git" || base == ".bin" || base == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		if filepath.Ext(name) != ".patch" || !strings.HasSuffix("/"+dir, "/testdata/mutants") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		m, err := parse(filepath.ToSlash(rel), string(text))
		if err != nil {
			return err
		}
		found = append(found, m)
		return nil
	})
	slices.SortFunc(found, func(a, b mutant) int { return cmp.Compare(a.path, b.path) })
	return found, err
}

// parse reads the two head lines.
func parse(path, text string) (mutant, error) {
	m := mutant{path: path}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if promise, ok := strings.CutPrefix(line, "# promise:"); ok {
			m.promise = strings.TrimSpace(promise)
		}
		if test, ok := strings.CutPrefix(line, "# test:"); ok {
			m.test = words(test)
		}
		if strings.HasPrefix(line, "diff ") || strings.HasPrefix(line, "--- ") {
			break
		}
	}
	switch {
	case m.promise == "":
		return m, fmt.Errorf("%s: no line \"# promise: ...\" before the diff", path)
	case len(m.test) < 3 || m.test[0] != "go" || m.test[1] != "test":
		return m, fmt.Errorf("%s: no line \"# test: go test ./package -run TestName\" before the diff", path)
	}
	return m, nil
}

// words splits a command at spaces; quotes keep spaces and are taken away.
func words(command string) (list []string) {
	for _, w := range regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(command, -1) {
		list = append(list, strings.Trim(w, `'"`))
	}
	return list
}

// tracked lists the files of the tree as git sees them: committed, changed and new, but nothing it ignores.
func tracked(root string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}

func copyFiles(root, dir string, files []string) error {
	for _, name := range files {
		from, to := filepath.Join(root, filepath.FromSlash(name)), filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(from)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // removed and not yet committed
		}
		if err != nil {
			return err
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
