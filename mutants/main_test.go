package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPatchesApply holds every mutant of the repository against today's tree: both head lines, a test of that name, and a
// patch that still applies. Whether the test turns red is for make mutants.
func TestPatchesApply(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is not installed: run make tools")
		}
		t.Skip("git is not installed: no patch can be tried; run make tools")
	}
	const root = ".."
	mutants, err := find(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		patch := filepath.Join(root, filepath.FromSlash(m.path))
		readTargets(t, root, patch)
		if err := apply(root, patch, "--check"); err != nil {
			t.Errorf("%s: %v", m.path, err)
		}
		if !testExists(t, root, m.test) {
			t.Errorf("%s: %s: no such test", m.path, strings.Join(m.test, " "))
		}
	}
}

// readTargets reads the files a patch changes: git reads them in another process, where the test cache does not see that
// they have changed.
func readTargets(t *testing.T, root, patch string) {
	t.Helper()
	text, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:---|\+\+\+) [ab]/(\S+)`).FindAllSubmatch(text, -1) {
		_, _ = os.ReadFile(filepath.Join(root, string(m[1]))) // git apply says when it is not there
	}
}

// testExists looks for a function that the -run of the command selects, in the folder the command names.
func testExists(t *testing.T, root string, test []string) bool {
	t.Helper()
	at := slices.Index(test, "-run")
	if at < 0 || at+1 == len(test) {
		return false
	}
	name, _, _ := strings.Cut(test[at+1], "/")
	selects, err := regexp.Compile(name)
	if err != nil {
		return false
	}
	for _, dir := range test[2:] {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
		if err != nil || !strings.HasPrefix(dir, ".") {
			continue
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`).FindAllSubmatch(text, -1) {
				if selects.Match(f[1]) {
					return true
				}
			}
		}
	}
	return false
}

// TestEachOutcome runs the tool on a small repository that has a mutant of every kind.
func TestEachOutcome(t *testing.T) {
	root := t.TempDir()
	head := func(run string) string {
		return "# promise: doubling doubles (" + run + ")\n# test: go test . -run " + run + "\n\n"
	}
	const diff = `diff --git a/two.go b/two.go
--- a/two.go
+++ b/two.go
@@ -1,3 +1,3 @@
 package two
 
-func double(n int) int { return 2 * n }
+func double(n int) int { return NEW }
`
	for name, text := range map[string]string{
		"go.mod": "module two\n\ngo 1.26\n",
		"two.go": "package two\n\nfunc double(n int) int { return 2 * n }\n",
		"two_test.go": "package two\n\nimport \"testing\"\n\n" +
			"func TestDouble(t *testing.T) {\n\tif double(2) != 4 {\n\t\tt.Fatal(double(2))\n\t}\n}\n\n" +
			"func TestAsleep(t *testing.T) { double(2) }\n\n" +
			"func TestSkipped(t *testing.T) { t.Skip() }\n\n" +
			"func TestAlwaysRed(t *testing.T) { t.Fatal() }\n",
		"testdata/mutants/a-red.patch":      head("TestDouble") + strings.Replace(diff, "NEW", "3 * n", 1),
		"testdata/mutants/b-survived.patch": head("TestAsleep") + strings.Replace(diff, "NEW", "3 * n", 1),
		"testdata/mutants/c-equal.patch":    head("TestDouble") + strings.Replace(diff, "NEW", "n + n", 1),
		"testdata/mutants/d-broken.patch":   head("TestDouble") + strings.Replace(diff, "NEW", "nonsense", 1),
		"testdata/mutants/e-stale.patch":    head("TestDouble") + strings.Replace(diff, "2 * n", "7 * n", 1),
		"testdata/mutants/f-skipped.patch":  head("TestSkipped") + strings.Replace(diff, "NEW", "3 * n", 1),
		"testdata/mutants/g-nobody.patch":   head("TestNobody") + strings.Replace(diff, "NEW", "3 * n", 1),
		"testdata/mutants/h-baseline.patch": head("TestAlwaysRed") + strings.Replace(diff, "NEW", "3 * n", 1),
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := exec.Command("git", "init", "-q", root).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, said)
	}
	before, err := os.ReadFile(filepath.Join(root, "two.go"))
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	undetected, err := run(&out, root, "", 1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if undetected != 7 {
		t.Errorf("got %d undetected, want 7", undetected)
	}
	for name, want := range map[string]outcome{
		"a-red": red, "b-survived": survived, "c-equal": survived, "d-broken": broken, "e-stale": stale,
		"f-skipped": nothingRan, "g-nobody": nothingRan, "h-baseline": badBaseline,
	} {
		line := regexp.MustCompile(`(?m)^` + string(want) + ` +testdata/mutants/` + name + `\.patch$`)
		if !line.Match(out.Bytes()) {
			t.Errorf("%s: want %q", name, want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out.Bytes())
	}
	if after, err := os.ReadFile(filepath.Join(root, "two.go")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the repository itself was changed: %v", err)
	}
	if undetected, err := run(&out, root, "a-red", 1, time.Minute); err != nil || undetected != 0 {
		t.Errorf("-run a-red: got %d, %v", undetected, err)
	}
	if _, err := run(&out, root, "no such promise", 1, time.Minute); err == nil {
		t.Error("-run of nothing was not an error")
	}
}

// TestHeadLines refuses a patch that does not say what it breaks and who should notice.
func TestHeadLines(t *testing.T) {
	m, err := parse("x.patch", "# promise: a b\n# test: go test ./x -run 'TestA|TestB'\ndiff --git a/x b/x\n")
	if err != nil || m.promise != "a b" || !slices.Equal(m.test, []string{"go", "test", "./x", "-run", "TestA|TestB"}) {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, bad := range []string{
		"", "# promise: a\n", "# test: go test ./x -run T\n", "# promise: a\n# test: rm -rf x\n",
		"diff --git a/x b/x\n# promise: a\n# test: go test ./x -run T\n",
	} {
		if _, err := parse("x.patch", bad); err == nil {
			t.Errorf("accepted: %q", bad)
		}
	}
}
