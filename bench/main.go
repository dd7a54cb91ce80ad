// Command bench measures Guia against peers in the same run and writes docs/performance.md itself: figures, ratios, targets, also the
// ones that were missed, with the commit and the machine's load.
//
//	go run . [-quick] [-only ledger,product,search,import,check,process] [-out ../docs/performance.md]
//
// It calls the product's exported functions on a directory made by `guia init` with defaults untouched. Peers are interleaved with
// the product, round by round, so that a noisy machine disturbs both. The disk is that of the working directory (-dir).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"guia/directory"
)

// bench is one run.
type bench struct {
	quick bool
	work  string // scratch, removed at the end
	guia  string // the binary
	rows  []row
	notes []string
}

// row is one measured figure beside its target.
type row struct {
	section, what, figure, target string
	met                           verdict
}

type verdict int

const (
	noTarget verdict = iota
	met
	missed
)

func verdictOf(ok bool) verdict {
	if ok {
		return met
	}
	return missed
}

func main() {
	quick := flag.Bool("quick", false, "small sizes: to see that it works, not to quote")
	only := flag.String("only", "", "sections, separated by commas; all when empty")
	out := flag.String("out", "../docs/performance.md", "where to write the page; - for none")
	dir := flag.String("dir", ".", "where the scratch directory is made")
	flag.Parse()
	if err := run(*quick, *only, *out, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(quick bool, only, out, dir string) error {
	work, err := os.MkdirTemp(dir, "bench-scratch-")
	if err != nil {
		return err
	}
	if work, err = filepath.Abs(work); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &bench{quick: quick, work: work, guia: filepath.Join(work, "guia")}
	before := load()
	build := exec.Command("go", "build", "-o", b.guia, "./cmd/guia")
	build.Dir = ".." // with the versions the product is built with, not the peers'
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build guia: %s: %w", text, err)
	}
	sections := []struct {
		name string
		run  func(context.Context) error
	}{
		{"ledger", b.ledger}, {"product", b.product}, {"search", b.search}, {"import", b.imports}, {"check", b.check}, {"process", b.process},
	}
	for _, s := range sections {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		fmt.Println("==", s.name)
		start := time.Now()
		if err := s.run(context.Background()); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("== %s took %s\n", s.name, time.Since(start).Round(time.Second))
	}
	if out == "-" {
		return nil
	}
	return os.WriteFile(out, []byte(b.page(before)), 0o644)
}

func (b *bench) report(section, what, figure, target string, v verdict) {
	fmt.Printf("   %-52s %-34s %s %s\n", what, figure, target, [...]string{"", "met", "MISSED"}[v])
	b.rows = append(b.rows, row{section, what, figure, target, v})
}

func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// fresh makes a data directory with `guia init` and opens it.
func (b *bench) fresh(ctx context.Context, name string) (*directory.Directory, error) {
	path := filepath.Join(b.work, name)
	if err := b.command("--dir", path, "init"); err != nil {
		return nil, err
	}
	return directory.Open(ctx, path)
}

func (b *bench) command(args ...string) error {
	cmd := exec.Command(b.guia, args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("guia %s: %s: %w", strings.Join(args, " "), text, err)
	}
	return nil
}

// cpu is the processor time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// size is how many bytes the files under dir have.
func size(dir string) (n int64) {
	filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// quantile of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func median(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

func best(v []float64) float64 { return slices.Max(v) }

// page writes docs/performance.md.
func (b *bench) page(before string) string {
	commit := "unknown"
	if text, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		commit = strings.TrimSpace(string(text))
	}
	if text, err := exec.Command("git", "status", "--porcelain", "--", "..").Output(); err == nil && len(strings.TrimSpace(string(text))) > 0 {
		commit += " with uncommitted changes"
	}
	var p strings.Builder
	fmt.Fprintf(&p, "# Performance\n\nWritten by `make bench`; do not edit. Commit %s, %s, %s %s/%s, %d processors, load before %s, after %s.\n",
		commit, time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), before, load())
	if b.quick {
		p.WriteString("\n**Quick run: small sizes, not to be quoted.**\n")
	}
	p.WriteString("\nRatios are against the peer in the same run, rounds interleaved. \"Missed\" is said where it is so.\n")
	section := ""
	for _, r := range b.rows {
		if r.section != section {
			section = r.section
			fmt.Fprintf(&p, "\n## %s\n\n| what | measured | target | |\n|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&p, "| %s | %s | %s | %s |\n", r.what, r.figure, r.target, [...]string{"", "met", "**missed**"}[r.met])
	}
	if len(b.notes) > 0 {
		p.WriteString("\n## Notes\n\n")
		for _, n := range b.notes {
			p.WriteString("* " + n + "\n")
		}
	}
	return p.String()
}
