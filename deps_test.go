package guia_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors is the partial order of the house. "a, b < c, d;" reads: c and d may import a and b, and whatever these may
// import. A name in capitals is a floor: all its packages together. Imports go down only. Two packages that this text does
// not put in an order do not know each other; a package it does not mention does not belong to the house. "x/*" is every
// folder below x. Reserved names may be missing on disk: a folder comes with its first test.
const floors = `
	# WORDS: plain values.
	< guia;
	guia < WORDS;

	# PURE: the same answer for the same bytes, today and in ten years; no files, no network.
	WORDS < canon, law, lang, pii, proof, stamp;
	canon, lang, proof, stamp < evidence/verify;
	lang < evidence/howto;
	canon, evidence/howto, evidence/verify, lang, law, pii, proof, stamp < PURE;

	# TOOLS: one way each to touch the machine.
	PURE < durable, fetch, geo, httpd, typeset;
	durable < db, blob;
	db < seal;
	fetch < mail, stamp/tsa;
	blob, db, durable, fetch, geo, httpd, mail, seal, stamp/tsa, typeset < TOOLS;

	# LINE: the trip of a datum, with its sideways steps by name.
	TOOLS < permit, vault;
	permit < source, extract, classify;
	permit, vault < ledger;
	source, classify, ledger < intake;
	ledger < people < index < evidence < archive;
	intake, people, index < directory < archive;
	archive, classify, directory, evidence, extract, index, intake, ledger, people, permit, source, vault < LINE;

	# DESKS: one job each; they speak through the ledger. Only report reads them all.
	LINE < access, account, dossier, egress, handbook, matter, posture, retain, train, watch;
	access, account, dossier, egress, handbook, matter, posture, retain, train, watch < report;
	access, account, dossier, egress, handbook, matter, posture, report, retain, train, watch < DESKS;

	# DOORS: how people, programs and traffic come in. A connector knows the plug point and no desk.
	< console;
	DESKS, console < api, web;
	DESKS < egress/proxy;
	source, extract < source/*;
	api, console, egress/proxy, source/*, web < DOORS;

	# MAIN: the verifier reaches what a court needs and nothing else. The simulated tenant knows nobody here, for a mistake of the
	# connector must not be its own too; guia demo shows the product at work with it, so it is not for tests alone.
	< dingtalktest;
	DOORS, LINE, dingtalktest < cmd/guia;
	PURE < cmd/guia-verify;
	cmd/guia, cmd/guia-verify < MAIN;

	# TEST: imported by tests and by each other only, but for what is named above.
	LINE < source/sourcetest;
	TOOLS < blob/blobtest;
	MAIN, blob/blobtest, dingtalktest, source/sourcetest < guiatest < guiatest/*;
	< mutants;
	blob/blobtest, dingtalktest, guiatest, guiatest/*, mutants, source/sourcetest < TEST;
`

// modules says who may import which module from outside. "test" stands for test files and the test floor.
var modules = map[string]string{
	"filippo.io/age":                      "seal archive test", // escrow and copies for named recipients
	"filippo.io/torchwood":                "test",              // an independent reader of our proofs
	"github.com/coder/websocket":          "source/dingtalk",   // what DingTalk pushes comes through one
	"github.com/google/go-cmp":            "test",
	"github.com/klauspost/compress":       "canon vault seal", // zstd
	"github.com/rogpeppe/go-internal":     "test",             // script tests of the real binary
	"github.com/spf13/cobra":              "cmd/guia",         // command line; the verifier has few flags and uses package flag
	"github.com/spf13/pflag":              "cmd/guia",
	"github.com/transparency-dev/merkle":  "test",             // a second opinion on tree arithmetic
	"github.com/transparency-dev/tessera": "test",             // fsck of exported tiles
	"go.yaml.in/yaml/v3":                  "source/mapped",    // saved mappings, written by people
	"golang.org/x/mod":                    "proof test",       // tree arithmetic and signed notes
	"golang.org/x/net":                    "extract source/*", // the HTML tokenizer
	"golang.org/x/sys":                    "durable db cmd/guia",
	"golang.org/x/term":                   "cmd/guia",                                   // progress bars only when a person watches
	"golang.org/x/text":                   "lang index evidence source/* cmd/guia test", // character sets, normal forms, width on a terminal
	"modernc.org/libc":                    "db",                                         // settings of SQLite that the driver does not offer
	"modernc.org/sqlite":                  "db",                                         // SQLite without cgo
	"pgregory.net/rapid":                  "test",
}

// TestFloors holds every Go file of the module against the order above.
func TestFloors(t *testing.T) {
	files := goFiles(t)
	for _, fault := range readHouse(t).check(files) {
		t.Error(fault)
	}
	var words int
	for _, f := range files {
		if f.dir == "guia" && !f.test {
			words += f.lines
		}
	}
	if words > 1500 {
		t.Errorf("package guia has %d lines: a word leaves when fewer than three packages speak it (at most 1500)", words)
	}
}

// TestFolders refuses folders that name a kind of code instead of a thing.
func TestFolders(t *testing.T) {
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() && !sayable(path.Base(name)) {
			t.Errorf("%s: a folder is a noun of the work or a named tool; this name is a place for unrelated code", name)
		}
	})
	for _, bad := range []string{"util", "Helpers", "models", "internal"} {
		if sayable(bad) {
			t.Errorf("folder %s was not refused", bad)
		}
	}
}

// TestFloorsNotice plants one violation of each kind, so that the checker is seen failing.
func TestFloorsNotice(t *testing.T) {
	h := readHouse(t)
	for _, c := range []struct{ name, file, imports, want string }{
		{"unknown package", "clever/clever.go", "fmt", "no place in the house"},
		{"unknown import", "ledger/x.go", "guia/clever", "no place in the house"},
		{"upward", "canon/x.go", "guia/ledger", "canon may not import ledger"},
		{"upward, words", "x.go", "guia/lang", "guia may not import lang"},
		{"upward, tools", "db/x.go", "guia/ledger", "db may not import ledger"},
		{"sideways", "vault/x.go", "guia/ledger", "vault may not import ledger"},
		{"sideways", "intake/x.go", "guia/people", "intake may not import people"},
		{"sideways, in a test", "canon/x_test.go", "guia/db", "canon may not import db"},
		{"desk to desk", "watch/x.go", "guia/retain", "watch may not import retain"},
		{"desk to desk, in a test", "watch/x_test.go", "guia/retain", "watch may not import retain"},
		{"desk to report", "watch/x.go", "guia/report", "watch may not import report"},
		{"connector to desk", "source/slack/x.go", "guia/matter", "source/slack may not import matter"},
		{"connector to connector", "source/slack/x.go", "guia/source/mbox", "source/slack may not import source/mbox"},
		{"network in words", "x.go", "net/http", "guia is pure and may not import net/http"},
		{"files in a pure package", "proof/x.go", "os", "proof is pure and may not import os"},
		{"SQL in a pure package", "evidence/verify/x.go", "database/sql", "evidence/verify is pure and may not import database/sql"},
		{"driver", "ledger/x.go", "modernc.org/sqlite", "ledger may not import modernc.org/sqlite"},
		{"driver, in a test", "ledger/x_test.go", "modernc.org/sqlite/lib", "ledger may not import modernc.org/sqlite"},
		{"unknown module", "ledger/x.go", "example.org/clever", "example.org/clever is not in the table of modules"},
		{"test module in the product", "proof/x.go", "github.com/google/go-cmp/cmp", "proof may not import github.com/google/go-cmp"},
		{"test floor in the product", "cmd/guia/x.go", "guia/guiatest", "guiatest is of the test floor"},
		{"simulated tenant in a connector", "source/dingtalk/x.go", "guia/dingtalktest", "dingtalktest is of the test floor"},
		{"simulated tenant, of the house", "dingtalktest/x.go", "guia/source/dingtalk", "dingtalktest may not import source/dingtalk"},
		{"verifier, direct", "cmd/guia-verify/x.go", "net/http", "cmd/guia-verify reaches net/http by cmd/guia-verify"},
		{"verifier, a desk", "cmd/guia-verify/x.go", "guia/report", "cmd/guia-verify may not import report"},
		{"verifier, SQL far away", "lang/x.go", "database/sql", "cmd/guia-verify reaches database/sql by cmd/guia-verify, evidence/verify, lang"},
		{"cgo", "db/x.go", "C", "db may not import C"},
	} {
		planted := []goFile{
			{dir: "cmd/guia-verify", name: "cmd/guia-verify/main.go", imports: []string{"guia/evidence/verify", "os"}},
			{dir: "evidence/verify", name: "evidence/verify/verify.go", imports: []string{"guia/lang", "io/fs"}},
		}
		if faults := h.check(planted); len(faults) > 0 {
			t.Fatalf("before anything was planted: %s", faults)
		}
		planted = append(planted, goFile{
			dir: dirOf(c.file), name: c.file, test: strings.HasSuffix(c.file, "_test.go"), imports: []string{c.imports},
		})
		if faults := strings.Join(h.check(planted), "\n"); !strings.Contains(faults, c.want) {
			t.Errorf("%s: %s importing %s: got %q, want %q", c.name, c.file, c.imports, faults, c.want)
		}
	}
	for _, bad := range []string{"a < b; b < a;", "a < b < b;", "a b;", "a < b, ;"} {
		if _, err := parseHouse(bad); err == nil {
			t.Errorf("order %q was accepted", bad)
		}
	}
}

// TestFloorsAllow shows that what the house needs is not refused.
func TestFloorsAllow(t *testing.T) {
	h := readHouse(t)
	for _, c := range []struct{ file, imports string }{
		{"ledger/x.go", "guia/vault guia/permit guia/db guia/proof guia/canon guia/seal context"},
		{"evidence/x.go", "guia/evidence/verify guia/index guia/people guia/ledger"},
		{"archive/x.go", "guia/evidence guia/blob guia/durable filippo.io/age"},
		{"source/mapped/x.go", "guia/source golang.org/x/text/encoding/simplifiedchinese"},
		{"evidence/x_test.go", "guia/intake guia/guiatest github.com/google/go-cmp/cmp"},
		{"x_test.go", "guia/lang guia/ledger os"},
		{"report/x.go", "guia/watch guia/retain"},
		{"cmd/guia/x.go", "guia/dingtalktest guia/source/slack guia/web guia/archive github.com/spf13/cobra net/http"},
		{"cmd/guia-verify/x.go", "guia/evidence/verify guia/lang flag os"},
	} {
		f := goFile{dir: dirOf(c.file), name: c.file, test: strings.HasSuffix(c.file, "_test.go"), imports: strings.Fields(c.imports)}
		for _, fault := range h.check([]goFile{f}) {
			t.Error(fault)
		}
	}
}

// house is the order, read: for each name all that it may import, directly or through others, and the floor it stands on.
type house struct {
	may   map[string]map[string]bool
	floor map[string]string
}

// levels are the floors from the ground up.
var levels = []string{"WORDS", "PURE", "TOOLS", "LINE", "DESKS", "DOORS", "MAIN", "TEST"}

func readHouse(t *testing.T) house {
	t.Helper()
	h, err := parseHouse(floors)
	if err != nil {
		t.Fatalf("floors: %v", err)
	}
	for place := range h.may {
		if h.floor[place] == "" && !slices.Contains(levels, place) {
			t.Fatalf("floors: %s stands on no floor", place)
		}
	}
	return h
}

var (
	orderComment = regexp.MustCompile(`(?m)#.*$`)
	orderName    = regexp.MustCompile(`^([A-Z]+|[a-z]+([/-][a-z]+)*(/\*)?)$`)
)

func parseHouse(text string) (house, error) {
	h := house{may: map[string]map[string]bool{}, floor: map[string]string{}}
	for rule := range strings.SplitSeq(orderComment.ReplaceAllString(text, ""), ";") {
		rule = strings.TrimSpace(rule)
		if rule == "" {
			continue
		}
		first, rest, ok := strings.Cut(rule, "<")
		if !ok {
			return h, fmt.Errorf("rule %q has no <", rule)
		}
		var below []string // stays empty for "< guia": from nothing of ours
		if strings.TrimSpace(first) != "" {
			rest = rule
		}
		for step := range strings.SplitSeq(rest, "<") {
			var here []string
			for name := range strings.SplitSeq(step, ",") {
				name = strings.TrimSpace(name)
				if !orderName.MatchString(name) {
					return h, fmt.Errorf("rule %q: %q is not a name", rule, name)
				}
				if h.may[name] == nil {
					h.may[name] = map[string]bool{}
				}
				for _, b := range below {
					h.may[name][b] = true
					if slices.Contains(levels, name) {
						h.floor[b] = name
					}
				}
				here = append(here, name)
			}
			below = here
		}
	}
	return h, h.close()
}

// close completes may by what its members may import, and finds circles.
func (h house) close() error {
	for via := range h.may {
		for name := range h.may {
			if h.may[name][via] {
				maps.Copy(h.may[name], h.may[via])
			}
		}
	}
	for name := range h.may {
		if h.may[name][name] {
			return fmt.Errorf("%s stands below itself", name)
		}
	}
	return nil
}

// place finds a folder in the order: itself, or the "x/*" it falls under; "" when it has none.
func (h house) place(dir string) string {
	if any := path.Dir(dir) + "/*"; h.may[dir] == nil && h.may[any] != nil {
		return any
	} else if h.may[dir] == nil {
		return ""
	}
	return dir
}

// level counts the floor of a place from the ground.
func (h house) level(place string) int { return slices.Index(levels, h.floor[place]) }

// check returns one sentence for each import that breaks the order.
func (h house) check(files []goFile) (faults []string) {
	for _, f := range files {
		if h.place(f.dir) == "" {
			faults = append(faults, fmt.Sprintf("%s: package %s has no place in the house: give it one in deps_test.go or another name", f.name, f.dir))
			continue
		}
		for _, imp := range f.imports {
			if why := h.refuse(f, imp); why != "" {
				faults = append(faults, f.name+": "+why)
			}
		}
	}
	return append(faults, h.verifier(files)...)
}

func (h house) refuse(f goFile, imp string) string {
	floor := h.floor[h.place(f.dir)]
	first, rest, _ := strings.Cut(imp, "/")
	switch {
	case imp == "C":
		return f.dir + " may not import C: the default build has no cgo"
	case imp == "guia":
		return h.refuseOurs(f, "guia")
	case first == "guia":
		return h.refuseOurs(f, rest)
	case strings.Contains(first, "."):
		return refuseModule(f, imp, f.test || floor == "TEST")
	case !f.test && (floor == "WORDS" || floor == "PURE") && touchesMachine(imp):
		return fmt.Sprintf("%s is pure and may not import %s", f.dir, imp)
	}
	return ""
}

// refuseOurs judges an import of our own module. A test may also use what stands beside its package or below, because it
// has to build the world it tests in: never something above, and never another desk, for what two desks do together is a
// journey in guiatest. The tests of the root are the house's own and may look everywhere.
func (h house) refuseOurs(f goFile, dir string) string {
	from, to := h.place(f.dir), h.place(dir)
	inTest := f.test || h.floor[from] == "TEST"
	switch {
	case to == "":
		return fmt.Sprintf("import of %s: it has no place in the house", dir)
	case h.floor[to] == "TEST" && !inTest && !h.may[from][to]:
		return fmt.Sprintf("%s is of the test floor and may be imported by tests only", dir)
	case f.dir == dir, h.may[from][to], f.test && (h.floor[to] == "TEST" || f.dir == "guia"):
		return ""
	case f.test && (h.level(to) < h.level(from) || h.level(to) == h.level(from) && h.floor[to] != "DESKS" && to != "source/*"):
		return ""
	}
	return fmt.Sprintf("%s may not import %s", f.dir, dir)
}

// touchesMachine tells the packages of the standard library that reach files, the network, other programs or a database.
// net/netip and net/url only read text; path/filepath is here because it follows links.
func touchesMachine(imp string) bool {
	switch imp {
	case "net/netip", "net/url":
		return false
	case "net", "os", "syscall", "plugin", "log", "io/ioutil", "path/filepath", "database/sql", "html/template", "log/syslog", "testing":
		return true
	}
	return strings.HasPrefix(imp, "net/") || strings.HasPrefix(imp, "os/") || strings.HasPrefix(imp, "database/")
}

func refuseModule(f goFile, imp string, inTest bool) string {
	for module, who := range modules {
		if imp != module && !strings.HasPrefix(imp, module+"/") {
			continue
		}
		for w := range strings.FieldsSeq(who) {
			if w == f.dir || w == "test" && inTest || w == path.Dir(f.dir)+"/*" {
				return ""
			}
		}
		return fmt.Sprintf("%s may not import %s (only: %s)", f.dir, module, who)
	}
	return fmt.Sprintf("%s is not in the table of modules: say in deps_test.go who may import it", imp)
}

// verifier follows the imports of cmd/guia-verify through our own packages: on no way may it reach the network, a
// database or something that draws pages. (It links crypto/x509, whose own dependencies are not ours to choose.)
func (h house) verifier(files []goFile) (faults []string) {
	const start = "cmd/guia-verify"
	imports := map[string][]string{}
	for _, f := range files {
		if !f.test {
			imports[f.dir] = append(imports[f.dir], f.imports...)
		}
	}
	seen := map[string]bool{start: true}
	var visit func(dir, way string)
	visit = func(dir, way string) {
		for _, imp := range imports[dir] {
			next, ours := strings.CutPrefix(imp, "guia/")
			switch imp {
			case "guia":
				next, ours = "guia", true
			case "os", "path/filepath":
				continue // the command itself opens the bundle; pure packages are refused these above
			}
			switch {
			case ours && !seen[next]:
				seen[next] = true
				visit(next, way+", "+next)
			case !ours && touchesMachine(imp):
				faults = append(faults, fmt.Sprintf("%s reaches %s by %s", start, imp, way))
			}
		}
	}
	visit(start, start)
	return faults
}

// sayable refuses the names that say "code" instead of what it is for.
func sayable(folder string) bool {
	switch strings.ToLower(folder) {
	case "util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "core", "base", "shared", "misc",
		"service", "services", "repository", "repositories", "manager", "managers", "internal", "pkg", "lib":
		return false
	}
	return true
}

// goFile is what the order needs to know of a file. dir is the folder, "guia" for the root.
type goFile struct {
	dir, name string
	test      bool
	imports   []string
	lines     int
}

func dirOf(name string) string {
	if d := path.Dir(name); d != "." {
		return d
	}
	return "guia"
}

// goFiles reads the imports of every Go file of this module. It parses the files itself: a test that asks the go command
// is answered from the test cache after somebody else's file has changed.
func goFiles(t *testing.T) (files []goFile) {
	t.Helper()
	set := token.NewFileSet()
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() || path.Ext(name) != ".go" {
			return
		}
		parsed, err := parser.ParseFile(set, name, nil, parser.ImportsOnly)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		f := goFile{dir: dirOf(name), name: name, test: strings.HasSuffix(name, "_test.go")}
		for _, spec := range parsed.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			f.imports = append(f.imports, imp)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f.lines = strings.Count(string(text), "\n")
		files = append(files, f)
	})
	if len(files) < 5 {
		t.Fatalf("only %d Go files found: this test must run in the root of the module", len(files))
	}
	return files
}

// walk calls visit for each file and folder of the module, with slashes, in order; not for what tools and npm made, not
// for test data, and not for modules of their own such as bench.
func walk(t *testing.T, visit func(name string, d fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		name = filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case name == ".", d.Name() == ".git" && !d.IsDir():
			return nil
		case d.IsDir():
			switch d.Name() {
			case ".git", ".bin", "bin", "node_modules", "testdata", "dist":
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return filepath.SkipDir
			}
		}
		visit(name, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
