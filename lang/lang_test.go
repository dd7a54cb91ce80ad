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

// places are the numbers of the places of a sentence, each once. Braces that are no place are an error.
func places(t *testing.T, sentence string) (numbers []int) {
	t.Helper()
	for rest := sentence; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			slices.Sort(numbers)
			return slices.Compact(numbers)
		}
		inside, end, closed := strings.Cut(after, "}")
		n, one, other, ok := parsePlace(inside)
		switch {
		case ok && closed:
			numbers = append(numbers, n)
			if one == other && strings.Contains(inside, "|") {
				t.Errorf("%q: the words for one and for many are the same", sentence)
			}
		case inside == "" || inside[0] >= '0' && inside[0] <= '9':
			t.Errorf("%q: {%s} is no place", sentence, inside)
		}
		rest = end
		if !closed {
			rest = ""
		}
	}
}

func TestEveryLanguageKnowsTheSameSentences(t *testing.T) {
	for _, key := range Keys() {
		want := places(t, catalogs[English]()[key])
		for l, catalog := range catalogs {
			sentence, ok := catalog()[key]
			if !ok {
				t.Errorf("%s: no sentence for %s", Language(l), key)
				continue
			}
			if got := places(t, sentence); !slices.Equal(got, want) {
				t.Errorf("%s: %s has the places %v, English has %v", Language(l), key, got, want)
			}
		}
	}
}

// TestCountsAgreeWithTheirNouns finds counts with a plural behind them that a single one would make wrong ("1 records"). What follows
// "more than" and the like is a limit and never one.
func TestCountsAgreeWithTheirNouns(t *testing.T) {
	limit := regexp.MustCompile(`(more than|longer than|would have|takes|a line of|mais de|mais longa do que|teria|aceita|uma linha de|1 to|1 a) $`)
	for l, nouns := range map[Language]string{
		English: "(?:\\p{Ll}+ )?(?:acts|attachments|bytes|changes|characters|columns|days|documents|events|fields|files|findings|followers|hashes|keys|leftovers|" +
			"messages|originals|parts|people|persons|positions|proofs|records|rows|seconds|sets|tiles|values|words)",
		Portuguese: "(?:anexos|atos|blocos|bytes|campos|caracteres|chaves|colunas|constatações|dias|documentos|eventos|ficheiros|linhas|mensagens|mudanças|" +
			"novos|palavras|partes|pessoas|posições|provas|registos|restos|resumos|segundos|seguidores|valores)",
	} {
		plural := regexp.MustCompile(`\{\d\} ` + nouns + `(?:$|\P{L})`)
		for key, sentence := range catalogs[l]() {
			for _, at := range plural.FindAllStringIndex(sentence, -1) {
				if !limit.MatchString(sentence[:at[0]]) {
					t.Errorf("%s: %s: %q is wrong for one: write {0|one|many}", l, key, sentence[at[0]:at[1]])
				}
			}
		}
	}
}

// TestOneTermForOneThing finds words for which docs/words.md has chosen another.
func TestOneTermForOneThing(t *testing.T) {
	for l, terms := range map[Language]map[string]string{
		TraditionalChinese: {
			"金鑰": "密鑰", "對應設定": "對映表", "紀錄": "記錄", "時期密鑰": "世代密鑰", "磚塊": "瓦片", "樹塊": "瓦片", "串流": "資料流", "損壞": "損毀", "受損": "損毀",
			"隱去": "遮蓋", "抹除": "刪除", "發送者": "發送人", "批准": "核准", "摘要": "雜湊值",
			"還原密鑰": "復原密鑰", "渠道": "途徑", "缺漏": "缺口", "實體名稱": "法人名稱", "本命令": "本指令", "什麼": "甚麼",
		},
		Portuguese: {
			"irectório": "diretório", "director ": "diretor", " acto": "ato", "ctivar": "ativar", "ctivad": "ativad", "pasta de dados": "diretório de dados", "restaur": "repor", "papéis": "funções",
			"um papel": "uma função", "chave de época": "chave da época", "cópia de custódia": "cópia em custódia", "em depósito": "em custódia", "cabeça": "topo", "série": "fluxo", "sequência": "fluxo",
			"divulgad": "revelado", "retid": "ocultado", " capa": "folha de rosto", "descompact": "descomprimir", "captad": "capturado", "captação": "captura",
			"do caso,": "do processo", "Falhas": "Lacunas", "posto atrás": "recuado", "Uso:": "Utilização:",
		},
	} {
		for key, sentence := range catalogs[l]() {
			for wrong, right := range terms {
				if strings.Contains(sentence, wrong) {
					t.Errorf("%s: %s says %q; the word is %q", l, key, wrong, right)
				}
			}
		}
	}
}

// TestNoKeyStandsTwice: the second sentence of a key would silently win.
func TestNoKeyStandsTwice(t *testing.T) {
	for l := range catalogs {
		seen := map[string]string{}
		names, err := fs.Glob(files, Language(l).String()+"/*.txt")
		if err != nil || len(names) == 0 {
			t.Fatalf("%d files, %v", len(names), err)
		}
		for _, name := range names {
			text, err := files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				key, _, ok := strings.Cut(line, " = ")
				if !ok || strings.HasPrefix(key, "#") {
					if line != "\n" && !strings.HasPrefix(line, "#") {
						t.Errorf("%s: %q is no sentence", name, line)
					}
					continue
				}
				if seen[key] != "" {
					t.Errorf("%s stands in %s and in %s", key, seen[key], name)
				}
				seen[key] = name
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
	if got := fill(English, "{0} of {1}: {0}", []any{"{1}", 7}); got != "{1} of 7: {1}" {
		t.Errorf("got %q", got)
	}
	for in, want := range map[string]Language{"pt_PT.UTF-8": Portuguese, "zh_MO": TraditionalChinese, "zh-Hans": SimplifiedChinese, "zh_CN.utf8": SimplifiedChinese, "C.UTF-8": English} {
		if got, ok := Parse(in); got != want || !ok {
			t.Errorf("Parse(%q) = %v, %v", in, got, ok)
		}
	}
}
