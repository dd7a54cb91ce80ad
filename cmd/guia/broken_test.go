package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ownDirectory is a data directory that the real program is run on.
type ownDirectory struct {
	t    *testing.T
	root string
}

func (d ownDirectory) path(name string) string {
	return filepath.Join(d.root, "data", filepath.FromSlash(name))
}

// guia runs the real program and returns its exit code, what it printed, and the keys of all sentences in it.
func (d ownDirectory) guia(args ...string) (code int, out string, keys []string) {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), "guia", append(args, "--json")...)
	cmd.Dir = d.root
	cmd.Env = append(os.Environ(), "GUIA_DIR="+d.path(""), "HOME="+d.root, "LC_ALL=C.UTF-8", "GUIA_LANG=", "GUIA_USER=")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else if err != nil {
		d.t.Fatal(err)
	}
	out = stdout.String() + stderr.String()
	for line := range strings.Lines(out) {
		var v any
		if json.Unmarshal([]byte(line), &v) == nil {
			collectKeys(v, &keys)
		}
	}
	return code, out, keys
}

func collectKeys(v any, keys *[]string) {
	switch v := v.(type) {
	case map[string]any:
		if key, ok := v["key"].(string); ok {
			*keys = append(*keys, key)
		}
		for _, inner := range v {
			collectKeys(inner, keys)
		}
	case []any:
		for _, inner := range v {
			collectKeys(inner, keys)
		}
	}
}

// state is every file with its digest.
func (d ownDirectory) state() map[string]string {
	d.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(d.path(""), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(d.path(""), path)
		files[filepath.ToSlash(rel)] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return files
}

func (d ownDirectory) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// memory is a folder that needs no disk, where there is one: what is tested here is not whether files survive.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "guia-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// keptDirectory makes a directory with messages, one of them large enough to lie beside the database, and everything that a directory has.
func keptDirectory(t *testing.T) ownDirectory {
	d := ownDirectory{t, memory(t)}
	var lines strings.Builder
	for i := range 20 {
		fmt.Fprintf(&lines, `{"id":"%d","time":"2024-03-01T00:00:00Z","channel":"c","text":"the contract of flat %d"}`+"\n", i, i)
	}
	var noise [400_000]byte // that no compression makes smaller
	for i, r := 0, rand.NewChaCha8([32]byte{}); i < len(noise); i++ {
		noise[i] = 'a' + byte(r.Uint64()%26)
	}
	fmt.Fprintf(&lines, `{"id":"large","time":"2024-03-01T00:00:00Z","channel":"c","text":"%s"}`+"\n", noise)
	d.ok(os.WriteFile(filepath.Join(d.root, "a.jsonl"), []byte(lines.String()), 0o600))
	d.ok(os.WriteFile(filepath.Join(d.root, "b.jsonl"), []byte(`{"id":"b","time":"2024-03-01T00:00:00Z","channel":"c","text":"later"}`+"\n"), 0o600))
	d.ok(os.WriteFile(filepath.Join(d.root, "m.yaml"), []byte("guia-mapping: 1\nsource: {name: chat}\nformat: jsonl\nfields:\n  key: id\n  text: text\n  time: time\n  stream: channel\n  type: {constant: message.sent}\n"), 0o600))
	for _, args := range [][]string{{"init"}, {"import", "a.jsonl", "--mapping", "m.yaml"}, {"search", "contract"}, {"check"}} {
		if code, out, _ := d.guia(args...); code != 0 {
			t.Fatalf("%v: %d %s", args, code, out)
		}
	}
	return d
}

// TestEveryFileOfADirectoryMissingEmptyOrGarbage does to each file of a directory what careless people and broken disks do, and runs the
// real program on it. What is damage ends with 3, names the file or what stood in it, and touches nothing; what is made anew from the
// rest is made anew.
func TestEveryFileOfADirectoryMissingEmptyOrGarbage(t *testing.T) {
	t.Parallel()
	d := keptDirectory(t)
	files := slices.Sorted(maps.Keys(d.state()))
	whole := filepath.Join(d.root, "whole")
	d.ok(os.Rename(d.path(""), whole))
	// By file: the keys of what is said when it is missing, empty and garbage. Of damage that keeps the directory from being opened every
	// command says so; other damage is found by the command that is named.
	type said struct{ missing, empty, garbage string }
	refused := map[string]said{
		"VERSION":   {"directory.version_missing", "directory.version_damaged", "directory.version_damaged"},
		"guia.db":   {"db.missing", "db.empty", "db.corrupt"},
		"keys.db":   {"db.missing", "db.empty", "db.corrupt"},
		"epoch.key": {"seal.epoch_missing", "seal.epoch_damaged", "seal.epoch_damaged"},
	}
	found := map[string]struct {
		by string
		said
	}{
		"blobs":                 {"check", said{"vault.damaged vault.file_damaged", "vault.damaged vault.file_damaged", "vault.damaged vault.file_damaged"}}, // of a content, of a file
		"escrow/epoch-1.age":    {"doctor", said{"doctor.escrow.missing", "doctor.escrow.differs", "doctor.escrow.differs"}},
		"escrow/recipients.txt": {"doctor", said{"doctor.recipients.differ", "doctor.recipients.differ", "doctor.recipients.differ"}},
	}
	harmless := []string{"followers/", "lock", "guia.db-wal", "guia.db-shm"} // the log of a directory that was closed is empty
	commands := [][]string{{"check"}, {"doctor"}, {"search", "contract"}, {"import", "b.jsonl", "--mapping", "m.yaml"}}
	for _, file := range files {
		name := file
		if strings.HasPrefix(file, "blobs/") {
			name = "blobs"
		}
		if _, is := refused[name]; !is && found[name].by == "" && !slices.ContainsFunc(harmless, func(p string) bool { return strings.HasPrefix(name, p) }) {
			t.Errorf("nobody has said what becomes of %s", file)
			continue
		}
		for damage, do := range map[string]func(string) error{
			"missing": os.Remove,
			"empty":   func(path string) error { return os.Truncate(path, 0) },
			"garbage": func(path string) error {
				return os.WriteFile(path, bytes.Repeat([]byte("garbage\n"), 5000), 0o600)
			},
		} {
			key := func(s said) string {
				return map[string]string{"missing": s.missing, "empty": s.empty, "garbage": s.garbage}[damage]
			}
			d.ok(os.RemoveAll(d.path("")))
			d.ok(os.CopyFS(d.path(""), os.DirFS(whole)))
			d.ok(os.Chmod(d.path(""), 0o700))
			d.ok(do(d.path(file)))
			before := d.state()
			for _, args := range commands {
				code, out, keys := d.guia(args...)
				what := fmt.Sprintf("%s %s: %s", file, damage, args[0])
				switch {
				case refused[name] != said{}:
					if code != codeDamaged || !slices.Contains(keys, key(refused[name])) {
						t.Errorf("%s: exit code %d, said %v, want %s: %s", what, code, keys, key(refused[name]), out)
					}
					if after := d.state(); !maps.Equal(before, after) {
						t.Errorf("%s: refused, and the files have changed: %v", what, slices.Sorted(maps.Keys(after)))
					}
				case found[name].by == args[0]:
					if want := map[string]int{"check": codeDamaged, "doctor": codeFailed}[args[0]]; code != want || !slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(strings.Fields(key(found[name].said)), k) }) {
						t.Errorf("%s: exit code %d, said %v, want %s: %s", what, code, keys, key(found[name].said), out)
					}
					if d.state()[file] != before[file] {
						t.Errorf("%s: it was healed", what)
					}
				case args[0] == "doctor": // it finds other things too
					if code == codeDamaged || !slices.Contains(keys, "doctor.version.ok") {
						t.Errorf("%s: exit code %d, said %v", what, code, keys)
					}
				case code != codeDone:
					t.Errorf("%s: exit code %d, said %v: %s", what, code, keys, out)
				}
			}
		}
	}
}

// TestAFlippedBitOfAnAccountIsDamage changes one bit of the user's id wherever it stands in the database, in the rows and in the indexes:
// check finds every one, and no command says that the user is none.
func TestAFlippedBitOfAnAccountIsDamage(t *testing.T) {
	t.Parallel()
	d := ownDirectory{t, memory(t)}
	if code, out, _ := d.guia("init"); code != codeDone {
		t.Fatal(out)
	}
	code, out, _ := d.guia("user", "list")
	var user struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(out), &user); code != codeDone || err != nil || user.ID == "" {
		t.Fatal(code, out, err)
	}
	whole, err := os.ReadFile(d.path("guia.db"))
	d.ok(err)
	digit := strings.IndexAny(user.ID, "0123456789") // a digit with its lowest bit changed is one too
	found := 0
	for at := 0; ; at++ {
		next := bytes.Index(whole[at:], []byte(user.ID))
		if next < 0 {
			break
		}
		at += next
		found++
		changed := bytes.Clone(whole)
		changed[at+digit] ^= 1
		for _, args := range [][]string{{"log"}, {"user", "list"}, {"doctor"}, {"check"}} {
			d.ok(os.WriteFile(d.path("guia.db"), changed, 0o600))
			code, out, keys := d.guia(args...)
			if args[0] == "check" && (code != codeDamaged || !slices.Contains(keys, "check.structure") && !slices.Contains(keys, "check.state_differs")) {
				t.Errorf("byte %d: check: exit code %d, said %v: %s", at, code, keys, out)
			}
			if slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, "permit.") && k != "permit.damaged" }) {
				t.Errorf("byte %d: %s: exit code %d, said %v", at, args[0], code, keys)
			}
		}
	}
	if found < 6 { // the account and its two roles, each as a row and in an index
		t.Errorf("the id was found %d times", found)
	}
}
