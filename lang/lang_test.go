package lang

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var place = regexp.MustCompile(`\{\d\}`)

func TestEveryLanguageKnowsTheSameSentences(t *testing.T) {
	for _, key := range Keys() {
		want := place.FindAllString(catalogs[English]()[key], -1)
		slices.Sort(want)
		for l, catalog := range catalogs {
			sentence, ok := catalog()[key]
			if !ok {
				t.Errorf("%s: no sentence for %s", Language(l), key)
				continue
			}
			got := place.FindAllString(sentence, -1)
			slices.Sort(got)
			if !slices.Equal(slices.Compact(got), slices.Compact(slices.Clone(want))) {
				t.Errorf("%s: %s has the places %v, English has %v", Language(l), key, got, want)
			}
		}
	}
}

// TestEveryKeyInTheCodeExists finds the keys where they are used: the arguments of Refuse, RefuseCause, Text and of functions
// called say, tell or text.
func TestEveryKeyInTheCodeExists(t *testing.T) {
	at := map[string]int{"Refuse": 1, "RefuseCause": 2, "Text": 1}
	key := regexp.MustCompile(`^[a-z_]+(\.[a-z0-9_]+)+$`)
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "bench") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := ""
			switch f := call.Fun.(type) {
			case *ast.SelectorExpr:
				name = f.Sel.Name
			case *ast.Ident:
				name = f.Name
			}
			i, ok := at[name]
			if !ok || len(call.Args) <= i {
				return true
			}
			lit, ok := call.Args[i].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			k, err := strconv.Unquote(lit.Value)
			if err != nil || !key.MatchString(k) {
				return true
			}
			found++
			if !Has(k) {
				t.Errorf("%s: no sentence for %q", path, k)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 50 {
		t.Errorf("found %d keys in the code: the search has gone blind", found)
	}
}

func TestPlacesAreFilledAndUsersWordsAreNotConverted(t *testing.T) {
	if got := fill("{0} of {1}: {0}", []any{"{1}", 7}); got != "{1} of 7: {1}" {
		t.Errorf("got %q", got)
	}
	for in, want := range map[string]Language{"pt_PT.UTF-8": Portuguese, "zh_MO": TraditionalChinese, "zh-Hans": SimplifiedChinese, "zh_CN.utf8": SimplifiedChinese, "C.UTF-8": English} {
		if got, ok := Parse(in); got != want || !ok {
			t.Errorf("Parse(%q) = %v, %v", in, got, ok)
		}
	}
}
