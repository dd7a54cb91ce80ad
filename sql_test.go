package guia_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The ledger must be able to move to PostgreSQL. SQL of the line is therefore written in what both engines speak; what only
// SQLite knows stays inside package db, and with the followers, which keep disposable SQLite files of their own wherever
// the ledger lives.
var sqliteByDesign = []string{"db", "index", "people"}

// sqliteOnly lists the constructs that would tie us to SQLite (or mean something else in PostgreSQL), and what to write.
var sqliteOnly = []struct {
	construct *regexp.Regexp
	instead   string
}{
	{sqlWord(`AUTOINCREMENT`), "an explicit number: the writer is one"},
	{sqlWord(`INSERT\s+OR\s+\w+`), "INSERT ... ON CONFLICT (columns) DO ..."},
	{sqlWord(`REPLACE\s+INTO`), "INSERT ... ON CONFLICT (columns) DO UPDATE"},
	{sqlWord(`UPDATE\s+OR\s+\w+`), "a condition in WHERE"},
	{sqlWord(`(ROWID|OID|_ROWID_)`), "a primary key of our own"},
	{sqlWord(`WITHOUT\s+ROWID`), "a schema file of package db"},
	{sqlWord(`STRICT`), "a schema file of package db"},
	{sqlWord(`PRAGMA`), "an option or method of package db"},
	{sqlWord(`(ATTACH|DETACH)`), "a second connection of package db"},
	{sqlWord(`VACUUM`), "a method of package db"},
	{sqlWord(`REINDEX`), "a method of package db"},
	{sqlWord(`BEGIN\s+(IMMEDIATE|EXCLUSIVE|DEFERRED)`), "a transaction of package db"},
	{sqlWord(`INDEXED\s+BY`), "a query that both planners understand"},
	{sqlWord(`GLOB`), "LIKE, or a range: name >= 'a' AND name < 'b'"},
	{sqlWord(`MATCH`), "package index"},
	{sqlWord(`(FTS[345]|RTREE|VIRTUAL\s+TABLE)`), "package index"},
	{sqlWord(`SQLITE_\w+`), "a method of package db"},
	{sqlWord(`COLLATE\s+(NOCASE|RTRIM|BINARY)`), "a column that holds the folded text"},
	{sqlWord(`(JSON_\w+|JSONB_\w+)\s*\(`), "columns"},
	{regexp.MustCompile(`->>?`), "columns"},
	{sqlWord(`(STRFTIME|DATETIME|JULIANDAY|UNIXEPOCH|TIME|DATE)\s*\(`), "a moment passed as an argument"},
	{sqlWord(`CURRENT_(TIMESTAMP|DATE|TIME)`), "a moment passed as an argument: the clock is ours"},
	{sqlWord(`(IFNULL|IIF|NVL)\s*\(`), "COALESCE or CASE"},
	{sqlWord(`TYPEOF\s*\(`), "a column of one type"},
	{sqlWord(`GROUP_CONCAT\s*\(`), "rows, joined in Go"},
	{sqlWord(`(RANDOM|RANDOMBLOB|ZEROBLOB|HEX|UNHEX|QUOTE|INSTR|PRINTF|CHAR|UNICODE|LAST_INSERT_ROWID|CHANGES|TOTAL_CHANGES)\s*\(`), "a value computed in Go"},
	{regexp.MustCompile(`(?i)\b(MIN|MAX)\s*\([^()]*,`), "LEAST and GREATEST are not in SQLite either: CASE"},
	{regexp.MustCompile(`(?i)\bLIMIT\s+[\w?:$@]+\s*,`), "LIMIT n OFFSET m"},
	{regexp.MustCompile(`(?i)\bLIMIT\s+-\s*1`), "no LIMIT"},
	{regexp.MustCompile(`(?i)(=|<>|!=|<|>|\bIN\s*\(|\bLIKE|\bVALUES\s*\(|,)\s*"`), "single quotes: double quotes name columns"},
	{regexp.MustCompile("`"), "no quotes around names"},
	{regexp.MustCompile(`==`), "="},
	{regexp.MustCompile(`(?i)\bIS\s+(NOT\s+)?(\?|:\w|\$\d|'|[0-9])`), "=, or IS NULL beside it"},
	{sqlWord(`ISNULL|NOTNULL`), "IS NULL, IS NOT NULL"},
}

// sqlWord matches whole words in either case; a list that ends in \( is a list of functions.
func sqlWord(words string) *regexp.Regexp {
	end := `\b`
	if strings.HasSuffix(words, `\(`) {
		end = ""
	}
	return regexp.MustCompile(`(?i)\b(?:` + words + `)` + end)
}

// looksLikeSQL tells statements from sentences: a verb with the word that must follow it. A sentence that passes for SQL is
// harmless unless it names a construct of the list.
var looksLikeSQL = regexp.MustCompile(`(?is)^\s*(--[^\n]*\n\s*)*(` +
	`SELECT\s.+\sFROM\s|SELECT\s+[\w(*?]+[^ ]*$|INSERT\s+(OR\s+\w+\s+)?INTO\s|REPLACE\s+INTO\s|UPDATE\s+(OR\s+\w+\s+)?\w+\s+SET\s|DELETE\s+FROM\s|` +
	`CREATE\s+(TEMP\s+)?(TABLE|INDEX|UNIQUE|VIRTUAL|TRIGGER|VIEW)\s|ALTER\s+TABLE\s|DROP\s+(TABLE|INDEX|VIEW|TRIGGER)\s|` +
	`WITH\s+(RECURSIVE\s+)?\w+\s*(\([^)]*\)\s*)?AS\s*\(|PRAGMA\s+\w|ATTACH\s+|VACUUM\b|BEGIN\s+(IMMEDIATE|EXCLUSIVE|DEFERRED)|REINDEX\b)`)

// statement is one piece of SQL found in the tree.
type statement struct {
	dir, where, text string
	schema           bool // from a .sql file, which may be written for one engine
}

// TestSQLSpeaksBoth refuses SQLite's dialect outside the packages that own it.
func TestSQLSpeaksBoth(t *testing.T) {
	for _, s := range statements(t) {
		if slices.Contains(sqliteByDesign, s.dir) {
			continue
		}
		for _, fault := range dialect(s) {
			t.Error(fault)
		}
	}
}

// TestTablesHaveOneOwner demands that a table's name begins with the package that owns it and that no other package's SQL
// mentions it: packages meet in functions, not in rows. Tests may look (and damage) behind the owner's back.
func TestTablesHaveOneOwner(t *testing.T) {
	packages := map[string]bool{}
	for place := range readHouse(t).may {
		packages[path.Base(place)] = true
	}
	for _, s := range statements(t) {
		for _, fault := range ownership(s, packages) {
			t.Error(fault)
		}
	}
}

// TestSQLListNotices shows each line of the list catching what it is for, and honest SQL passing.
func TestSQLListNotices(t *testing.T) {
	caught := make([]bool, len(sqliteOnly))
	for _, bad := range []string{
		`CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)`, `INSERT OR IGNORE INTO t VALUES (1)`, `INSERT OR REPLACE INTO t VALUES (1)`,
		`REPLACE INTO t VALUES (1)`, `UPDATE OR FAIL t SET a = 1`, `SELECT t.rowid FROM t`, `CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID`,
		`CREATE TABLE t (a TEXT) STRICT`, `PRAGMA journal_mode`, `ATTACH DATABASE 'x' AS y`, `VACUUM`, `REINDEX t`, `BEGIN IMMEDIATE`,
		`SELECT a FROM t INDEXED BY i`, `SELECT a FROM t WHERE a GLOB 'x*'`, `SELECT a FROM t WHERE t MATCH ?`,
		`CREATE VIRTUAL TABLE t USING fts5(a)`, `SELECT name FROM sqlite_master`, `SELECT a FROM t ORDER BY a COLLATE NOCASE`,
		`SELECT json_extract(a, '$.x') FROM t`, `SELECT a ->> 'x' FROM t`, `SELECT strftime('%s', a) FROM t`, `SELECT datetime('now')`,
		`INSERT INTO t (a) VALUES (CURRENT_TIMESTAMP)`, `SELECT IFNULL(a, 0) FROM t`, `SELECT typeof(a) FROM t`,
		`SELECT group_concat(a) FROM t`, `SELECT hex(a) FROM t`, `SELECT max(a, b) FROM t`, `SELECT a FROM t LIMIT 10, 20`,
		`SELECT a FROM t LIMIT -1`, `SELECT a FROM t WHERE a = "x"`, "SELECT `a` FROM t", `SELECT a FROM t WHERE a == 1`,
		`SELECT a FROM t WHERE a IS ?`, `SELECT a FROM t WHERE a NOTNULL`,
	} {
		if !looksLikeSQL.MatchString(bad) {
			t.Errorf("not seen as SQL: %s", bad)
		}
		found := false
		for i, rule := range sqliteOnly {
			if rule.construct.MatchString(withoutStrings(bad)) {
				found, caught[i] = true, true
			}
		}
		if !found {
			t.Errorf("not refused: %s", bad)
		}
	}
	for i, rule := range sqliteOnly {
		if !caught[i] {
			t.Errorf("nothing here is caught by %s", rule.construct)
		}
	}
	for _, good := range []string{
		`SELECT seq, leaf FROM ledger_entry WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 256 OFFSET 10`,
		`INSERT INTO ledger_entry (seq, leaf) VALUES (?, ?) ON CONFLICT (seq) DO NOTHING`,
		`SELECT COALESCE(MAX(seq), -1) FROM ledger_entry`, `SELECT a FROM t WHERE b IS NULL AND c IS NOT NULL`,
		`UPDATE vault_row SET state = 'MATCH "x", rowid == 1' WHERE id = ?`, `SELECT count(*), max(captured) FROM ledger_entry`,
		`CREATE TABLE ledger_head (size BIGINT NOT NULL, time BIGINT NOT NULL, date TEXT)`,
	} {
		if faults := dialect(statement{dir: "ledger", text: good}); len(faults) > 0 || !looksLikeSQL.MatchString(good) {
			t.Errorf("refused or not seen: %s: %s", good, faults)
		}
	}
	for _, sentence := range []string{"select one of the cases", "update the index", "delete what is held", "with a hold", "SELECT", "create"} {
		if looksLikeSQL.MatchString(sentence) {
			t.Errorf("a sentence was taken for SQL: %s", sentence)
		}
	}
}

// TestOwnershipNotices plants a table of nobody and a look into another's table.
func TestOwnershipNotices(t *testing.T) {
	packages := map[string]bool{"ledger": true, "vault": true, "index": true, "db": true}
	for _, c := range []struct {
		dir, text string
		faults    int
	}{
		{"ledger", `CREATE TABLE ledger_entry (seq BIGINT)`, 0},
		{"ledger", `CREATE TABLE IF NOT EXISTS entry (seq BIGINT)`, 1},
		{"ledger", `CREATE TABLE vault_row (seq BIGINT)`, 1},
		{"ledger", `SELECT a FROM ledger_entry JOIN vault_row ON a = b`, 1},
		{"ledger", `DELETE FROM vault_row`, 1},
		{"vault", `INSERT INTO ledger_entry (seq) SELECT seq FROM vault_row`, 1},
		{"vault", `UPDATE vault_row SET a = 1`, 0},
		{"index", `CREATE TABLE posting (term TEXT)`, 0}, // a follower's own file: nobody else opens it
		{"index", `SELECT a FROM ledger_entry`, 1},
		{"db", `CREATE TABLE vault_row (id BIGINT REFERENCES ledger_entry)`, 0},
		{"db", `CREATE TABLE stuff_row (id BIGINT)`, 1},
	} {
		s := statement{dir: c.dir, where: "x", text: c.text, schema: c.dir == "db"}
		if faults := ownership(s, packages); len(faults) != c.faults {
			t.Errorf("%s: %s: got %q, want %d faults", c.dir, c.text, faults, c.faults)
		}
	}
}

func dialect(s statement) (faults []string) {
	text := withoutStrings(s.text)
	for _, rule := range sqliteOnly {
		if s.schema && strings.Contains(rule.instead, "a schema file") {
			continue
		}
		if found := rule.construct.FindString(text); found != "" {
			faults = append(faults, fmt.Sprintf("%s: %q ties us to SQLite; use %s", s.where, strings.TrimSpace(found), rule.instead))
		}
	}
	return faults
}

var (
	sqlString   = regexp.MustCompile(`'(?:[^']|'')*'`)
	sqlComment  = regexp.MustCompile(`--[^\n]*|(?s:/\*.*?\*/)`)
	createTable = regexp.MustCompile(`(?i)\bCREATE\s+(?:VIRTUAL\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)`)
	useTable    = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|INTO|UPDATE|TABLE|REFERENCES)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?([a-z]\w*)`)
)

// withoutStrings empties literals and drops comments: a word inside them is not a construct.
func withoutStrings(text string) string {
	return sqlString.ReplaceAllString(sqlComment.ReplaceAllString(text, " "), "''")
}

// ownership judges table names. The schemas of package db create everybody's tables; a follower names those of its own file
// as it likes, for nobody else opens it.
func ownership(s statement, packages map[string]bool) (faults []string) {
	text := withoutStrings(s.text)
	for _, m := range createTable.FindAllStringSubmatch(text, -1) {
		owner, _, _ := strings.Cut(m[1], "_")
		switch {
		case s.dir == "db" && (!packages[owner] || !strings.Contains(m[1], "_")):
			faults = append(faults, fmt.Sprintf("%s: table %s: its name must begin with the package that owns it", s.where, m[1]))
		case !slices.Contains(sqliteByDesign, s.dir) && owner != path.Base(s.dir):
			faults = append(faults, fmt.Sprintf("%s: table %s: its name must begin with its owner: %s_", s.where, m[1], path.Base(s.dir)))
		}
	}
	if s.dir == "db" && s.schema {
		return faults
	}
	for _, m := range useTable.FindAllStringSubmatch(createTable.ReplaceAllString(text, ""), -1) {
		if owner, _, ok := strings.Cut(m[1], "_"); ok && packages[owner] && owner != path.Base(s.dir) {
			faults = append(faults, fmt.Sprintf("%s: table %s belongs to package %s: call it", s.where, m[1], owner))
		}
	}
	return faults
}

// statements finds the SQL in string constants of the product's Go files (tests and the test floor look where they like)
// and in .sql files.
func statements(t *testing.T) (found []statement) {
	t.Helper()
	h := readHouse(t)
	set := token.NewFileSet()
	walk(t, func(name string, d fs.DirEntry) {
		dir := dirOf(name)
		switch {
		case d.IsDir(), strings.HasSuffix(name, "_test.go"), h.floor[h.place(dir)] == "TEST":
		case path.Ext(name) == ".sql":
			text, err := os.ReadFile(name)
			if err != nil {
				t.Error(err)
				return
			}
			top, _, _ := strings.Cut(dir, "/")
			found = append(found, statement{dir: top, where: name, text: string(text), schema: true})
		case path.Ext(name) == ".go":
			file, err := parser.ParseFile(set, name, nil, 0)
			if err != nil {
				t.Error(err)
				return
			}
			for _, s := range literals(file) {
				if looksLikeSQL.MatchString(s.text) {
					found = append(found, statement{dir: dir, where: set.Position(s.pos).String(), text: s.text})
				}
			}
		}
	})
	return found
}

type literal struct {
	pos  token.Pos
	text string
}

// literals returns the string constants of a file, with those joined by + as one; what is not a literal becomes "x".
func literals(file *ast.File) (found []literal) {
	ast.Inspect(file, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		if text, ok := joined(e); ok {
			found = append(found, literal{e.Pos(), text})
			return false
		}
		return true
	})
	return found
}

func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return joined(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, okLeft := joined(e.X)
		right, okRight := joined(e.Y)
		if !okLeft {
			left = "x"
		}
		if !okRight {
			right = "x"
		}
		return left + right, okLeft || okRight
	}
	return "", false
}
