package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"guia/evidence/verify"
	"guia/lang"
	"guia/proof"
)

const origin = "guia.invalid/log/00112233445566778899aabbccddeeff"

// bundle writes an empty case into a file, with the key that signed it.
func bundle(t *testing.T) (name, vkey string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	skey, vkey, err := proof.NewLogKey(origin)
	must(err)
	signer, err := proof.NewSigner(skey)
	must(err)
	root := proof.LeafHash([]byte("leaf"))
	checkpoint, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 1, Root: root}, signer)
	must(err)
	pem, err := proof.VKeyPEM(vkey)
	must(err)
	cover := verify.FormatCover(verify.Cover{
		Format: verify.Format, Case: "\x1b[31m7", Origin: origin, Size: 1, Root: root.String(), Created: "2026-11-21T10:00:00Z", Program: "guia 0.1.0",
	})
	var out bytes.Buffer
	w, err := verify.NewWriter(&out)
	must(err)
	for _, file := range []struct{ name, content string }{
		{"cover.json", string(cover)},
		{"records.jsonl", ""},
		{"custody.jsonl", ""},
		{"checkpoint", string(checkpoint)},
		{"keys/log.vkey", vkey + "\n"},
		{"keys/log.pem", string(pem)},
		{"view.html", "x"},
		{"HOW-TO-VERIFY.txt", "x"},
	} {
		must(w.Add(file.name, []byte(file.content)))
	}
	must(w.Finish(func(text []byte) ([]byte, error) { return verify.SignManifestNote(text, signer) }))
	name = filepath.Join(t.TempDir(), "case.asice")
	must(os.WriteFile(name, out.Bytes(), 0o600))
	return name, vkey
}

// try runs the command as a user would type it.
func try(env map[string]string, args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = run(args, &stdout, &stderr, func(name string) string { return env[name] }, false)
	return code, stdout.String(), stderr.String()
}

func TestExitCodesTellTheVerdict(t *testing.T) {
	good, vkey := bundle(t)
	other, _ := bundle(t)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	cut := write("cut.asice", text[:len(text)-1])
	_, laterKey, err := proof.NewLogKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	keys := write("keys", []byte("\ufeff# of the company\r\n\r\n"+vkey+"\r\n"))
	for _, c := range []struct {
		args []string
		code int
		key  string // a sentence that must be said
	}{
		{[]string{"--key", vkey, good}, 0, "verify.verdict.proven"},
		{[]string{"--key", keys, good}, 0, "verify.verdict.proven"},
		{[]string{good}, 1, "verify.verdict.unproven"},
		{[]string{"--key", vkey, other}, 1, "verify.verdict.unproven"}, // another key for the same origin
		{[]string{cut}, 3, "verify.verdict.damaged"},
		{[]string{"--key", vkey, good, cut}, 3, "verify.verdict.damaged"},
		{[]string{"--key", vkey, cut, good}, 3, "verify.verdict.proven"},
		{[]string{"--key", laterKey + "\n" + vkey + "\n", good}, 0, "verify.verdict.proven"}, // as guia key status --vkey prints them
		{[]string{"--key", vkey + "\nno key", good}, 2, "guia_verify.see_help"},
		{[]string{keys}, 1, "verify.verdict.nobundle"},
		{[]string{"--key", vkey, good, keys}, 1, "verify.verdict.nobundle"},
		{[]string{"--key", vkey, keys, cut}, 3, "verify.verdict.nobundle"},
		{[]string{filepath.Join(dir, "absent")}, 1, "verify.verdict.unreadable"},
		{[]string{dir}, 1, "verify.verdict.unreadable"},
		{[]string{}, 2, "guia_verify.none"},
		{[]string{"--nonsense", good}, 2, "guia_verify.see_help"},
		{[]string{"--lang", "xx", good}, 2, "guia_verify.see_help"},
		{[]string{"--key", "nonsense", good}, 2, "guia_verify.see_help"},
		{[]string{"--key", write("nokeys", []byte("# none\n")), good}, 2, "guia_verify.see_help"},
		{[]string{"--help"}, 0, "guia_verify.help"},
		{[]string{good, "--key", vkey}, 0, "verify.verdict.proven"}, // as guia bundle says it
		{[]string{good, "--key", keys, cut}, 3, "verify.verdict.damaged"},
		{[]string{good, "--quiet", "--key=" + vkey}, 0, "verify.verdict.proven"},
		{[]string{good, "-q", "--key=" + vkey}, 0, "verify.verdict.proven"},
		{[]string{good, "--nonsense"}, 2, "guia_verify.see_help"},
		{[]string{good, "-x", "--key", vkey}, 2, "guia_verify.see_help"},
		{[]string{good, "--key"}, 2, "guia_verify.see_help"},
		{[]string{"--help", good}, 0, "guia_verify.help"},
		{[]string{good, "--help"}, 0, "guia_verify.help"},
		{[]string{"--key", vkey, "--", good, "--json"}, 1, "verify.verdict.unreadable"}, // behind -- is a file
		{[]string{good, "--", "--key", vkey}, 1, "verify.verdict.unproven"},
	} {
		for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese, lang.SimplifiedChinese} {
			code, out, errOut := try(map[string]string{"LANG": l.String()}, c.args...)
			if code != c.code || !strings.Contains(out+errOut, lang.Text(l, c.key)) {
				t.Errorf("%s %q: exit %d, want %d with %q\n%s%s", l, c.args, code, c.code, lang.Text(l, c.key), out, errOut)
			}
		}
	}
}

// TestTheLineThatGuiaBundlePrintsCanBeTyped runs the built program with what bundle.next says, in every language.
func TestTheLineThatGuiaBundlePrintsCanBeTyped(t *testing.T) {
	good, vkey := bundle(t)
	program := filepath.Join(t.TempDir(), "guia-verify")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese, lang.SimplifiedChinese} {
		_, line, _ := strings.Cut(lang.Text(l, "bundle.next", good), "guia-verify ")
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != good || words[1] != "--key" {
			t.Errorf("%s: the line is %q", l, line)
			continue
		}
		cmd := exec.Command(program, words[0], words[1], vkey, "--lang", l.String())
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), lang.Text(l, "verify.verdict.proven")) {
			t.Errorf("%s: %v\n%s", l, err, out)
		}
	}
}

func TestNamesCannotSteerTheTerminal(t *testing.T) {
	for _, quiet := range []string{"--quiet", "--quiet=false"} {
		_, out, errOut := try(nil, quiet, "ab\x1b[31msent\u202e.asice")
		if strings.ContainsAny(out+errOut, "\x1b\u202e") || !strings.Contains(out, "sent") {
			t.Errorf("%s: %q %q", quiet, out, errOut)
		}
	}
}

func TestFormsOfTheAnswer(t *testing.T) {
	good, vkey := bundle(t)
	_, out, _ := try(nil, "--lang", "zh-Hans", "--quiet", "--key", vkey, good)
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, lang.Text(lang.SimplifiedChinese, "verify.verdict.proven")) {
		t.Errorf("quiet: %q", out)
	}
	_, out, _ = try(nil, "--json", "--key", vkey, good, good)
	var answer struct {
		File   string
		Report struct {
			Verdict string
			Trusted string
			Cover   struct{ Case string }
		}
		Words []struct {
			Heading string
			Lines   []string
		}
	}
	if strings.Count(out, "\n") != 2 || json.Unmarshal([]byte(out[:strings.Index(out, "\n")]), &answer) != nil ||
		answer.Report.Verdict != "proven" || answer.Report.Trusted != vkey || len(answer.Words) < 5 || answer.Report.Cover.Case != "\x1b[31m7" {
		t.Errorf("json: %+v in %s", answer, out)
	}
}

// TestLinksNothingThatReachesOut keeps the verifier small: no network, no processes, no database, no flags library.
func TestLinksNothingThatReachesOut(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 50 {
		t.Fatalf("only %d packages listed", len(packages))
	}
	for _, p := range packages {
		for _, banned := range []string{"net", "os/exec", "database/sql", "crypto/tls", "crypto/x509", "plugin", "modernc.org", "github.com", "filippo.io"} {
			if p == banned || strings.HasPrefix(p, banned+"/") {
				t.Errorf("%s is linked in", p)
			}
		}
	}
}
