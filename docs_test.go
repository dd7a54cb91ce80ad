package guia_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPackagesSayWhatTheyAreFor demands a package comment with a first sentence of every package.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for dir, files := range productFiles(t) {
		if fault := packageComment(dir, files); fault != "" {
			t.Error(fault)
		}
	}
}

// TestExportedNamesAreExplained demands a comment on everything exported; there are no exceptions.
func TestExportedNamesAreExplained(t *testing.T) {
	for _, files := range productFiles(t) {
		for name, file := range files {
			for _, fault := range unexplained(file) {
				t.Errorf("%s: %s", name, fault)
			}
		}
	}
}

// TestExplanationsAreMissed plants what the two tests above look for.
func TestExplanationsAreMissed(t *testing.T) {
	parse := func(src string) *ast.File {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, c := range []struct {
		src  string
		want bool
	}{
		{"package canon", true},
		{"// Turns an event into bytes.\npackage canon", true},
		{"// Package canon turns an event into bytes\npackage canon", true},
		{"// Package canon turns an event into bytes. Exactly.\npackage canon", false},
		{"// Package canon answers:\n//\n//   - what\npackage canon", true},
	} {
		if got := packageComment("canon", map[string]*ast.File{"x.go": parse(c.src)}); (got != "") != c.want {
			t.Errorf("%q: got %q", c.src, got)
		}
	}
	for _, c := range []struct {
		src  string
		want int
	}{
		{"func F() {}", 1},
		{"// F does.\nfunc F() {}", 0},
		{"func f() {}", 0},
		{"type T struct{ A int }", 1},
		{"type t int\nfunc (t) M() {}", 0},
		{"// T is.\ntype T int\nfunc (*T) M() {}", 1},
		{"// T is.\ntype T[E any] []E\nfunc (*T[E]) M() {}", 1},
		{"const A = 1", 1},
		{"// All.\nconst (\nA = 1\nB = 2\n)", 0},
		{"const (\n// A is.\nA = 1\nB = 2 // two\n)", 0},
		{"var (\nA = 1\nb = 2\n)", 1},
		{"// I is.\ntype I interface { M() }", 1},
		{"// I is.\ntype I interface {\n// M does.\nM()\n}", 0},
	} {
		if got := unexplained(parse("package x\n" + c.src)); len(got) != c.want {
			t.Errorf("%q: got %q, want %d", c.src, got, c.want)
		}
	}
}

// TestTripIsTrue follows docs/TRIP.md: each package, file and function that its table names is there. A cell that says
// "not yet" may name what a later issue builds.
func TestTripIsTrue(t *testing.T) {
	text := textOrSkip(t, "docs/TRIP.md")
	named := 0
	tree := productFiles(t)
	for _, cell := range tripCells(text) {
		n, faults := tripFaults(cell, tree)
		named += n
		for _, fault := range faults {
			t.Errorf("docs/TRIP.md: %s: %s", cell, fault)
		}
	}
	if named < 10 {
		t.Errorf("docs/TRIP.md: only %d functions found in the table: was its form changed?", named)
	}
}

// TestTripNotices shows the reader of the table finding what is wrong in it.
func TestTripNotices(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "ledger/x.go", "package ledger\nfunc (*Ledger) Do() {}\nfunc seal() {}\nfunc (l *Box[T]) Put() {}", 0)
	if err != nil {
		t.Fatal(err)
	}
	tree := map[string]map[string]*ast.File{"ledger": {"ledger/x.go": file}, "seal": {}}
	table := "| # | function | in, out |\n|---|---|---|\n"
	for _, c := range []struct {
		cell          string
		named, faults int
	}{
		{"`ledger` `(*Ledger).Do`", 1, 0},
		{"`ledger` `(*Ledger).Do(ctx, actor)` / `seal`", 2, 0}, // a function of the package, not the package seal
		{"`ledger/x.go` `(*Ledger).Do`", 1, 0},
		{"`ledger` `(*Box).Put`", 1, 0},
		{"`ledger/y.go` `(*Ledger).Do`", 0, 1},
		{"`ledger` `(*Ledger).Undo`", 0, 1},
		{"`ledger` `Do`", 1, 0}, // a method, named without its type
		{"`ledger` `append`", 0, 1},
		{"`stamp/tsa` `(*Client).Stamp`", 0, 1},
		{"`stamp/tsa` `(*Client).Stamp` (not yet)", 0, 0},
		{"`(*Ledger).Do`", 0, 1},
	} {
		cells := tripCells(table + "| 1 | " + c.cell + " | x |\n")
		if len(cells) != 1 {
			t.Fatalf("%s: %d cells", c.cell, len(cells))
		}
		if n, faults := tripFaults(cells[0], tree); n != c.named || len(faults) != c.faults {
			t.Errorf("%s: got %d named, %q", c.cell, n, faults)
		}
	}
}

// TestCommandsInDocsExist demands that each `make target` in README.md and docs is a target of the Makefile.
func TestCommandsInDocsExist(t *testing.T) {
	makefile := textOrSkip(t, "Makefile")
	for _, needed := range []string{"demo", "test", "tools", "bench", "soak", "mutants"} {
		if !isTarget(makefile, needed) {
			t.Errorf("Makefile: no target %s", needed)
		}
	}
	if isTarget(makefile, "nonsense") {
		t.Error("Makefile: a target was seen that is not there")
	}
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() || path.Ext(name) != ".md" {
			return
		}
		text := read(t, name)
		for _, m := range regexp.MustCompile("(?m)(?:`|^\\s*\\$? ?)make ([a-z]+)").FindAllStringSubmatch(text, -1) {
			if !isTarget(makefile, m[1]) {
				t.Errorf("%s: make %s: no such target", name, m[1])
			}
		}
	})
	textOrSkip(t, "README.md")
}

// TestGuaranteesAreShown demands that each test docs/guarantees.md names is there. A line may say "to be named" while its
// test is being written; in CI a guarantee without a test is a failure.
func TestGuaranteesAreShown(t *testing.T) {
	named, missing, open := guarantees(textOrSkip(t, "docs/guarantees.md"), testNames(t))
	for _, m := range missing {
		t.Errorf("docs/guarantees.md: %s: no such test", m)
	}
	if named == 0 {
		t.Error("docs/guarantees.md: no test is named: was its form changed?")
	}
	for _, line := range open {
		if os.Getenv("CI") == "true" {
			t.Errorf("docs/guarantees.md: nothing shows this: %s", line)
		} else {
			t.Logf("docs/guarantees.md: nothing shows this yet: %s", line)
		}
	}
	named, missing, open = guarantees("| **a** | `x TestA`, `x TestB` |\n| **b** | *to be named* |\n", map[string]bool{"x TestA": true})
	if named != 1 || len(missing) != 1 || missing[0] != "x TestB" || len(open) != 1 || open[0] != "**b**" {
		t.Errorf("the reader of the page is blind: %d, %q, %q", named, missing, open)
	}
}

// TestNothingOfOneMachine refuses paths and hosts that exist only where somebody worked. The words are put together here
// so that this file does not contain them.
func TestNothingOfOneMachine(t *testing.T) {
	machine := regexp.MustCompile(`/wor` + `k/|/ro` + `ot/|/tmp/gui` + `a|/home/[a-z]+/|[A-Z]:\\Use` + `rs\\|proxy\.gol` + `ang|registry\.npm` + `js|deb\.deb` + `ian|localhost:80` + `80`)
	if !machine.MatchString("cd /wor"+"k/main") || machine.MatchString("the work/life balance") {
		t.Fatal("the pattern does not catch what it is for")
	}
	seen := 0
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() || name == "go.sum" {
			return
		}
		text := read(t, name)
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return // a picture or an archive
		}
		seen++
		for i, line := range strings.Split(text, "\n") {
			if m := machine.FindString(line); m != "" {
				t.Errorf("%s:%d: %q exists on one machine only", name, i+1, m)
			}
		}
	})
	if seen < 20 {
		t.Errorf("only %d files read", seen)
	}
}

// packageComment returns what is wrong with the comment of a package: it must be one sentence at least, and begin with the
// package's name (or, for a command, with what is typed).
func packageComment(dir string, files map[string]*ast.File) string {
	for _, file := range files {
		if file.Doc == nil {
			continue
		}
		text := file.Doc.Text()
		start := "Package " + file.Name.Name + " "
		if file.Name.Name == "main" {
			start = "Command " + path.Base(dir) + " "
		}
		first, _, _ := strings.Cut(text, "\n\n")
		switch {
		case !strings.HasPrefix(text, start):
			return fmt.Sprintf("package %s: its comment must begin with %q", dir, start)
		case !strings.Contains(first+"\n", ". ") && !strings.Contains(first+"\n", ".\n"):
			return fmt.Sprintf("package %s: the first paragraph of its comment has no full sentence", dir)
		}
		return ""
	}
	return fmt.Sprintf("package %s: no package comment: say in one sentence what it is for", dir)
}

// unexplained names the exported declarations without a comment. A comment on a group, or at the end of a constant's or
// variable's line, counts.
func unexplained(file *ast.File) (faults []string) {
	exported := map[string]bool{}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if !decl.Name.IsExported() || decl.Doc != nil {
				continue
			}
			if receiver := receiverOf(decl); receiver == "" {
				faults = append(faults, "func "+decl.Name.Name+" has no comment")
			} else if ast.IsExported(receiver) {
				faults = append(faults, "method "+receiver+"."+decl.Name.Name+" has no comment")
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				faults = append(faults, unexplainedSpec(decl, spec, exported)...)
			}
		}
	}
	return faults
}

func unexplainedSpec(decl *ast.GenDecl, spec ast.Spec, exported map[string]bool) (faults []string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && decl.Doc == nil && spec.Doc == nil {
			faults = append(faults, "type "+spec.Name.Name+" has no comment")
		}
		if list, ok := spec.Type.(*ast.InterfaceType); ok && spec.Name.IsExported() {
			for _, m := range list.Methods.List {
				if len(m.Names) > 0 && m.Names[0].IsExported() && m.Doc == nil && m.Comment == nil {
					faults = append(faults, "method "+spec.Name.Name+"."+m.Names[0].Name+" has no comment")
				}
			}
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				faults = append(faults, decl.Tok.String()+" "+name.Name+" has no comment")
			}
		}
	}
	return faults
}

// receiverOf returns the type a method belongs to, or "" for a function.
func receiverOf(decl *ast.FuncDecl) string {
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return ""
	}
	e := decl.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// tripCells returns the second cell of each numbered row of a table.
func tripCells(text string) (cells []string) {
	for _, m := range regexp.MustCompile(`(?m)^\|\s*\d+\w?\s*\|([^|]*)\|`).FindAllStringSubmatch(text, -1) {
		cells = append(cells, strings.TrimSpace(m[1]))
	}
	return cells
}

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	tripFunc = regexp.MustCompile(`^(?:\(\*?(\w+)\)\.|(\w+)\.)?(\w+)(?:\(.*\))?$`)
)

// tripFaults reads the code of one cell from left to right: a package or file sets the place, a function must be found in
// it. A word that could be both is a function when the place has one of that name.
func tripFaults(cell string, tree map[string]map[string]*ast.File) (named int, faults []string) {
	notYet := strings.Contains(cell, "not yet")
	where := ""
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		span := m[1]
		f := tripFunc.FindStringSubmatch(span)
		switch {
		case f != nil && where != "" && declares(tree[where], f[1]+f[2], f[3]):
			named++
		case tree[span] != nil:
			where = span
		case strings.HasSuffix(span, ".go") && tree[path.Dir(span)][span] != nil:
			where = path.Dir(span)
		case notYet:
		case strings.Contains(span, "/"):
			faults = append(faults, fmt.Sprintf("%s is not there", span))
			return named, faults
		case where == "":
			faults = append(faults, fmt.Sprintf("%s: no package stands before it", span))
		default:
			faults = append(faults, fmt.Sprintf("%s has no %s", where, span))
		}
	}
	return named, faults
}

// declares reports whether a function or method of that name is in the files; with typ, only a method of that type.
func declares(files map[string]*ast.File, typ, name string) bool {
	for _, file := range files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == name && (typ == "" || receiverOf(f) == typ) {
				return true
			}
		}
	}
	return false
}

// guarantees counts the tests a page names, and returns those that are not there and the rows that have none.
func guarantees(text string, have map[string]bool) (named int, missing, open []string) {
	for _, m := range regexp.MustCompile("`([a-z/-]+ Test\\w+)`").FindAllStringSubmatch(text, -1) {
		if have[m[1]] {
			named++
		} else {
			missing = append(missing, m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\|([^|]*)\|.*\*to be named`).FindAllStringSubmatch(text, -1) {
		open = append(open, strings.TrimSpace(m[1]))
	}
	return named, missing, open
}

// testNames returns every test of the module as "folder TestName".
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(read(t, name), -1) {
			names[dirOf(name)+" "+m[1]] = true
		}
	})
	return names
}

func isTarget(makefile, name string) bool {
	return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:`).MatchString(makefile)
}

// productFiles parses the module without its tests: folder, file, syntax. The root's folder is "guia".
func productFiles(t *testing.T) map[string]map[string]*ast.File {
	t.Helper()
	set := token.NewFileSet()
	tree := map[string]map[string]*ast.File{}
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		dir := dirOf(name)
		if tree[dir] == nil {
			tree[dir] = map[string]*ast.File{}
		}
		tree[dir][name] = file
	})
	if len(tree) == 0 {
		t.Fatal("no packages found: this test must run in the root of the module")
	}
	return tree
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
}

// textOrSkip reads a document of the house; while it is being written its absence is said aloud, in CI it is a failure.
func textOrSkip(t *testing.T, name string) string {
	t.Helper()
	if _, err := os.Stat(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing: nothing to hold it against", name)
	}
	return read(t, name)
}
