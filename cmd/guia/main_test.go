package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"guia"
	"guia/lang"
)

// try runs a command in this process and returns what it printed.
func try(t *testing.T, vars map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = run(context.Background(), env{
		args: args, stdout: &out, stderr: &errOut, dir: t.TempDir(), login: "tester", getenv: func(name string) string { return vars[name] },
	})
	return out.String(), errOut.String(), code
}

// everyCommand calls fn with all commands that people can see.
func everyCommand(fn func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		fn(cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newProgram(env{getenv: func(string) string { return "" }}).tree())
}

// TestEveryCommandExplainsItself demands help with an example, and a sentence for every flag, in all languages.
func TestEveryCommandExplainsItself(t *testing.T) {
	n := 0
	everyCommand(func(cmd *cobra.Command) {
		n++
		for _, part := range []string{"short", "long", "example"} {
			if key := "cmd." + keyOf(cmd) + "." + part; !lang.Has(key) {
				t.Errorf("%s: no sentence %s", cmd.CommandPath(), key)
			}
		}
		if strings.Contains(cmd.Use, "place.") {
			t.Errorf("%s: no sentence for what it takes", cmd.Use)
		}
		example := lang.Text(lang.English, "cmd."+keyOf(cmd)+".example")
		if !strings.Contains(example, cmd.CommandPath()) {
			t.Errorf("%s: the example does not show it: %s", cmd.CommandPath(), example)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			key := flagKey(cmd, f.Name)
			if !lang.Has(key) {
				t.Errorf("%s --%s: no sentence %s", cmd.CommandPath(), f.Name, key)
			}
			for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese} {
				name, _ := pflag.UnquoteUsage(&pflag.Flag{Name: f.Name, Usage: lang.Text(l, key), Value: f.Value})
				if f.Value.Type() != "bool" && (name == f.Value.Type() || name == "") {
					t.Errorf("%s --%s, %s: the sentence does not say in backquotes what it takes", cmd.CommandPath(), f.Name, l)
				}
			}
		})
	})
	if n < 30 {
		t.Errorf("only %d commands were seen", n)
	}
	for _, topic := range topics {
		for _, part := range []string{".short", ".long"} {
			if !lang.Has(topicKey(topic) + part) {
				t.Errorf("topic %s has no sentence %s", topic, part)
			}
		}
	}
}

// TestExamplesCanBeTyped parses every command of every example, in all languages, as the program would.
func TestExamplesCanBeTyped(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese} {
			for line := range strings.Lines(lang.Text(l, "cmd."+keyOf(cmd)+".example")) {
				line, _, _ = strings.Cut(strings.TrimSpace(line), " > ")
				words := split(line)
				root := newProgram(env{getenv: func(string) string { return "" }}).tree()
				found, rest, err := root.Find(words[1:])
				if err == nil {
					err = found.ParseFlags(rest)
				}
				if err == nil {
					err = found.ValidateArgs(found.Flags().Args())
				}
				if err != nil {
					t.Errorf("%s: example %q: %v", l, line, err)
				}
			}
		}
	})
}

// split parts a line as a shell does, as far as examples need it.
func split(line string) (words []string) {
	quoted := false
	for _, word := range strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		words = append(words, strings.ReplaceAll(word, `"`, ""))
	}
	return words
}

// TestHelpIsInTheUsersLanguage looks for English left over in the help of others.
func TestHelpIsInTheUsersLanguage(t *testing.T) {
	for _, l := range []string{"pt", "zh-Hant", "zh-Hans"} {
		for _, args := range [][]string{{"help"}, {"help", "import"}, {"case"}, {"search", "--help"}} {
			out, _, code := try(t, map[string]string{"GUIA_LANG": l}, args...)
			if code != 0 {
				t.Errorf("%s %v: exit code %d", l, args, code)
			}
			for _, english := range []string{"Usage", "Examples", "Commands", "Flags", "default:", "show this help", "print JSON"} {
				if strings.Contains(out, english) {
					t.Errorf("%s %v: %q is English", l, args, english)
				}
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	for _, c := range []struct {
		err  error
		want int
	}{
		{guia.Refuse(guia.Invalid, "cmd.seq", "x"), codeWrong},
		{guia.Refuse(guia.Damaged, "db.corrupt"), codeDamaged},
		{fmt.Errorf("open: %w", guia.Refuse(guia.Damaged, "db.corrupt")), codeDamaged},
		{guia.Refuse(guia.Denied, "cmd.seq", "x"), codeFailed},
		{guia.Refuse(guia.NotFound, "cmd.seq", "x"), codeFailed},
		{errors.New("disk on fire"), codeFailed},
		{context.Canceled, codeFailed},
	} {
		p := newProgram(env{stderr: io.Discard, getenv: func(string) string { return "" }})
		if got := p.report(ctx, c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
	stop()
	var out bytes.Buffer
	p := newProgram(env{stderr: &out, args: []string{"--json"}, getenv: func(string) string { return "" }})
	if got := p.report(ctx, fmt.Errorf("pull: %w", context.Canceled)); got != codeFailed || !strings.Contains(out.String(), `"kind":"interrupted"`) {
		t.Errorf("interrupted: exit code %d, said %s", got, &out)
	}
	out.Reset()
	// Damage is said even when somebody interrupts.
	if got := p.report(ctx, errors.Join(context.Canceled, guia.Refuse(guia.Damaged, "db.corrupt"))); got != codeDamaged {
		t.Errorf("damage and interrupted: exit code %d", got)
	}
}

// TestWhatAnInterruptionLeavesIsSaid interrupts commands before they have begun.
func TestWhatAnInterruptionLeavesIsSaid(t *testing.T) {
	dir := t.TempDir()
	if code := run(t.Context(), env{args: []string{"init", "--dir", dir + "/data", "-q"}, stdout: io.Discard, stderr: io.Discard, dir: dir, login: "tester", getenv: func(string) string { return "" }}); code != codeDone {
		t.Fatalf("init: exit code %d", code)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for command, want := range map[string]string{
		"check": "It changed nothing", "doctor": "It changed nothing", "index rebuild": "the next search goes on", "case new x": "What was stored stays stored",
	} {
		var said bytes.Buffer
		args := append(strings.Fields(command), "--dir", dir+"/data")
		code := run(ctx, env{args: args, stdout: io.Discard, stderr: &said, dir: dir, login: "tester", getenv: func(string) string { return "" }})
		if code != codeFailed || !strings.Contains(said.String(), want) {
			t.Errorf("%s: exit code %d: %s", command, code, &said)
		}
	}
}

func TestColumns(t *testing.T) {
	for s, want := range map[string]int{
		"abc": 3, "é": 1, "e\u0301": 1, "加班費": 6, "ａ": 2, "…": 1, "👍": 2, "": 0, "한국": 4, string(markOn) + "a": 1,
	} {
		if got := columns(s); got != want {
			t.Errorf("columns(%q) = %d, want %d", s, got, want)
		}
	}
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"加班費", 5, "加班…"}, {"加班費", 4, "加…"}, {"加班費", 6, "加班費"}} {
		if got := clip(c.s, c.n); got != c.want || columns(got) > c.n {
			t.Errorf("clip(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

func TestTablesStandStraight(t *testing.T) {
	var out bytes.Buffer
	p := newProgram(env{stdout: &out, getenv: func(string) string { return "" }})
	p.table([]string{"N", "名稱", "Text"}, [][]string{{"7", "加班費", "a\x1b[31mb\nc\u202ed"}, {"12", "é", "z"}})
	want := " N  名稱    Text\n" // the numbers stand to the right, and so does their head
	if got := out.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, " 7  加班費  a[31mb cd\n") || !strings.Contains(got, "12  é       z\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		s    string
		want []string
	}{
		{"one two three four five six seven", []string{"one two three four five", "six seven"}},
		{strings.Repeat("文", 13), []string{strings.Repeat("文", 12), "文"}},
		{strings.Repeat("x", 30), []string{strings.Repeat("x", 24), strings.Repeat("x", 6)}},
	} {
		if got := wrap(c.s, 24); !slices.Equal(got, c.want) {
			t.Errorf("wrap(%q) = %q, want %q", c.s, got, c.want)
		}
	}
}

func TestLogins(t *testing.T) {
	for in, want := range map[string]string{"ana": "ana", `COMPANY\ana`: "ana", "ana@company.mo": "ana", "安娜": "--", "": "admin", "a b": "a-b"} {
		if got := validLogin(in); got != want {
			t.Errorf("validLogin(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSeqs(t *testing.T) {
	got, err := parseSeqs([]string{"3", "5-7,9", "#11"})
	if want := []guia.Seq{3, 5, 6, 7, 9, 11}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"x", "7-5", "-1", "1-", "0-99999999999", "18446744073709551615", "0-18446744073709551614"} {
		if got, err := parseSeqs([]string{bad}); guia.KindOf(err) != guia.Invalid {
			t.Errorf("%s: got %d numbers, %v", bad, len(got), err)
		}
	}
}
