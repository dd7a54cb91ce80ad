// Command guia-verify checks bundles with nothing but the bundle and a key: no network, no database, no data directory.
//
//	guia-verify [--key VKEY|FILE]… [--json] [--lang en|pt|zh-Hant|zh-Hans] [-q|--quiet] BUNDLE…
//
// Flags may also stand behind the bundles; behind -- everything is a bundle.
//
// It is small on purpose, so that a court's expert can read all of it: this file, packages evidence/verify, proof, canon and the
// root package. Built with -trimpath from the same source it is the same file everywhere.
//
// Exit codes, of several bundles the gravest: 0 proven; 1 not proven, because no key that was given vouches for the bundle, the file is
// no bundle, or it could not be read; 2 wrong use; 3 damage found.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"guia/evidence/verify"
	"guia/lang"
)

const (
	codeProven = iota
	codeUnproven
	codeWrong
	codeDamaged
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, os.Getenv, isTerminal(os.Stderr)))
}

// command is what somebody typed.
type command struct {
	language lang.Language
	keys     []string
	json     bool
	quiet    bool
	out, err io.Writer
	watched  bool // a person sees err
}

func (c *command) text(key string, args ...any) string { return lang.Text(c.language, key, args...) }

func run(args []string, out, errOut io.Writer, getenv func(string) string, watched bool) int {
	c := &command{language: lang.FromEnvironment(getenv), out: out, err: errOut, watched: watched}
	var keys []string
	flags := flag.NewFlagSet("guia-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is said in the user's language below
	flags.Func("key", "", func(s string) error { keys = append(keys, s); return nil })
	flags.BoolVar(&c.json, "json", false, "")
	flags.BoolVar(&c.quiet, "quiet", false, "")
	flags.BoolVar(&c.quiet, "q", false, "")
	unknown := ""
	flags.Func("lang", "", func(s string) error {
		l, ok := lang.Parse(s)
		if !ok {
			unknown = s
			return errors.New("unknown language")
		}
		c.language = l
		return nil
	})
	files, err := parse(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, c.text("guia_verify.help"))
		return codeProven
	case unknown != "":
		return c.wrong("guia_verify.lang", fmt.Sprintf("%.40q", unknown))
	case err != nil:
		return c.wrong("guia_verify.flag", fmt.Sprintf("%.200v", err))
	case len(files) == 0:
		return c.wrong("guia_verify.none")
	}
	for _, key := range keys {
		if code := c.takeKey(key); code != codeProven {
			return code
		}
	}
	trust, err := verify.TrustKeys(c.keys...)
	if err != nil {
		return c.wrong("guia_verify.key", "")
	}
	code := codeProven
	for _, name := range files {
		code = max(code, c.bundle(name, trust))
	}
	return code
}

// parse takes the flags wherever they stand and returns the files. Behind -- everything is a file.
func parse(flags *flag.FlagSet, args []string) (files []string, err error) {
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		left := flags.Args()
		if taken := len(args) - len(left); len(left) == 0 || taken > 0 && args[taken-1] == "--" {
			return append(files, left...), nil
		}
		files, args = append(files, left[0]), left[1:]
	}
	return files, nil
}

func (c *command) wrong(key string, args ...any) int {
	fmt.Fprintln(c.err, printable(c.text(key, args...)))
	fmt.Fprintln(c.err, c.text("guia_verify.see_help"))
	return codeWrong
}

// mostKeyFile is the largest file of keys that is read.
const mostKeyFile = 64 << 10

// takeKey adds keys as they were typed, or those of a file: one a line, empty lines and lines with # are skipped.
func (c *command) takeKey(s string) int {
	keys, ok := verify.KeysIn(s)
	if !ok {
		keys, ok = keysOfFile(s)
	}
	if !ok {
		return c.wrong("guia_verify.key", fmt.Sprintf("%.200q", s))
	}
	c.keys = append(c.keys, keys...)
	return codeProven
}

func keysOfFile(name string) (keys []string, ok bool) {
	file, err := os.Open(name)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, mostKeyFile+1))
	if err != nil || len(text) > mostKeyFile {
		return nil, false
	}
	return verify.KeysIn(string(text))
}

// bundle verifies one file and prints what was found.
func (c *command) bundle(name string, trust verify.Trust) int {
	file, err := os.Open(name)
	if err != nil {
		return c.unreadable(name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(c.text("guia_verify.no_file"))
	}
	if err != nil {
		return c.unreadable(name, err)
	}
	limits, clear := c.progress(info.Size())
	report := verify.Verify(file, info.Size(), trust, limits)
	clear()
	if report.Verdict == verify.Unreadable {
		return c.unreadable(name, report.Cause)
	}
	c.print(name, report)
	switch report.Verdict {
	case verify.Proven:
		return codeProven
	case verify.Damaged:
		return codeDamaged
	default:
		return codeUnproven
	}
}

func (c *command) unreadable(name string, cause error) int {
	report := verify.Report{Verdict: verify.Unreadable, Findings: []verify.Finding{}}
	c.print(name, report)
	fmt.Fprintln(c.err, printable(c.text("guia_verify.unreadable", fmt.Sprintf("%.200q", name), fmt.Sprintf("%.300v", cause))))
	return codeUnproven
}

// print writes the report: JSON on one line, one line with --quiet, or everything.
func (c *command) print(name string, report verify.Report) {
	words := report.Words()
	switch {
	case c.json:
		type paragraph struct {
			Heading string   `json:"heading"`
			Lines   []string `json:"lines"`
		}
		answer := struct {
			File   string        `json:"file"`
			Report verify.Report `json:"report"`
			Words  []paragraph   `json:"words"`
		}{File: name, Report: report}
		for _, p := range words {
			said := paragraph{Heading: p.Heading.In(c.text), Lines: []string{}}
			for _, line := range p.Lines {
				said.Lines = append(said.Lines, line.In(c.text))
			}
			answer.Words = append(answer.Words, said)
		}
		encoder := json.NewEncoder(c.out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(answer); err != nil {
			fmt.Fprintln(c.err, err)
		}
	case c.quiet:
		fmt.Fprintf(c.out, "%s: %s\n", printable(name), words[0].Heading.In(c.text))
	default:
		fmt.Fprintf(c.out, "%s\n", printable(name))
		for _, p := range words {
			fmt.Fprintf(c.out, "\n%s\n", printable(p.Heading.In(c.text)))
			for _, line := range p.Lines {
				fmt.Fprintf(c.out, "  %s\n", printable(line.In(c.text)))
			}
		}
		fmt.Fprintln(c.out)
	}
}

// printable keeps what stands in a bundle from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd'
		}
		return r
	}, s)
}

// slow is the size from which a person wants to see that something happens.
const slow = 8 << 20

// progress shows how far the reading is, when a person watches; clear takes the line away.
func (c *command) progress(size int64) (limits verify.Limits, clear func()) {
	if !c.watched || c.quiet || size < slow {
		return limits, func() {}
	}
	last := int64(-1)
	limits.Progress = func(done, of int64) {
		if percent := done * 100 / of; percent != last {
			last = percent
			fmt.Fprintf(c.err, "\r%s ", c.text("guia_verify.progress", percent))
		}
	}
	return limits, func() { fmt.Fprint(c.err, "\r\x1b[K") }
}

// isTerminal reports whether a person sees the file.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
