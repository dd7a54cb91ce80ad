package mapped_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/source"
	"guia/source/mapped"
	"guia/source/sourcetest"
)

const some = 2100

func TestEveryFormatConforms(t *testing.T) {
	fields := "zone: Asia/Macau" + tableFields
	array := []byte("[" + string(bytes.Join(jsonOf(rows(some, true), "  "), []byte(",\n"))) + "]\n")
	nested := []byte(`{"export": {"rooms": [{"title": "x"}, {"messages": ` + string(array) + `}, {"messages": []}], "n": [1, "]"]}, "end": null}`)
	large := rows(some, true)
	for i := 1; i <= 9; i++ { // a page ends before its thousandth record
		large[i][4] = strings.Repeat("grande ", 150_000)
	}
	half := rows(some/2, true)
	folder := map[string]string{
		"b/two.csv": string(csvOf(",", half)), "a/one.csv": strings.ReplaceAll(string(csvOf(";", half)), "sala", "room"), "a/notes.doc": "no",
	}
	for _, c := range []struct {
		name, file, mapping string
		content             []byte
		dir                 map[string]string
	}{
		{"csv", "a.csv", fields, csvOf(",", rows(some, true)), nil},
		{"csv with large rows", "a.csv", fields, csvOf(",", large), nil},
		{"csv without identifiers", "a.csv", fields, csvOf(";", rows(some, false)), nil},
		{"tabs, UTF-16", "a.tsv", fields, utf16Of(csvOf("\t", rows(some, true)), false), nil},
		{"UTF-16 big-endian without identifiers", "a.csv", fields, utf16Of(csvOf(",", rows(some, false)), true), nil},
		{"json lines", "a.jsonl", fields, bytes.Join(jsonOf(rows(some, true), ""), []byte("\n")), nil},
		{"json lines without identifiers", "a.jsonl", fields, bytes.Join(jsonOf(rows(some, false), ""), []byte("\n")), nil},
		{"json", "a.json", fields, array, nil},
		{"nested json", "a.json", "records: export.rooms[].messages\n" + fields, nested, nil},
		{"json, UTF-16", "a.json", fields, utf16Of(array, false), nil},
		{"xlsx", "a.xlsx", fields, xlsxOf(rows(some, true), nil), nil},
		{"xlsx without identifiers", "a.xlsx", fields, xlsxOf(rows(some, false), nil), nil},
		{"folder", "", fields, nil, folder},
		{"zip", "a.zip", fields, zipOf(folder), nil},
		{"tar.gz", "a.tgz", fields, tarOf(folder), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var paths [2]string
			for i := range paths {
				if c.dir != nil {
					paths[i] = sourcetest.Folder(t, c.dir)
				} else {
					paths[i] = put(t, fmt.Sprintf("%d/%s%s", i, strings.Repeat("x", i), c.file), c.content)
				}
			}
			m := mapping(t, c.mapping)
			if strings.Contains(c.name, "without identifiers") {
				delete(m.Fields, "key")
			}
			sourcetest.Run(t, func(t *testing.T) source.Source { return open(t, paths[0], m) }, sourcetest.Options{
				Moved:    func(t *testing.T) source.Source { return open(t, paths[1], m) },
				Canaries: canaries, MinRecords: some,
			})
			got := sourcetest.All(t, open(t, paths[0], m))
			all := len(got)
			got = slices.DeleteFunc(got, func(r source.Record) bool {
				return r.Type == guia.SourceGap && strings.HasPrefix(r.Origin, "a/notes.doc")
			})
			leftOut := 0
			if slices.Contains([]string{"folder", "zip", "tar.gz"}, c.name) {
				leftOut = 1
			}
			if len(got) != some || all-len(got) != leftOut {
				t.Errorf("%d records and %d files left out, want %d and %d", len(got), all-len(got), some, leftOut)
			}
			for _, r := range got {
				if len(r.Marks) > 0 || r.Sender.Name != canaries[0] || !slices.Equal(r.Recipients, []string{"a@x.mo", "b@x.mo"}) || r.TimeBasis != "assumed" {
					t.Fatalf("%s: marks %v, sender %q, recipients %q, basis %s", r.Origin, r.Marks, r.Sender.Name, r.Recipients, r.TimeBasis)
				}
			}
		})
	}
}

// TestRawIsTheRowAsItStandsInTheFile puts the raw bytes of all rows together again.
func TestRawIsTheRowAsItStandsInTheFile(t *testing.T) {
	m := mapping(t, "header: 0\nfields: {text: '1'}")
	for name, text := range map[string]string{
		"utf-8": "a,b\r\n\"x\n\"\"y\",2\r\nolá,3\r\n", "big5": big5(t, "請把合同送到公司,許功蓋\n的一是不在人有我他這,二\n"), "utf-16": string(utf16Of([]byte("你😀,\n我們的一是在不了\n"), false)),
	} {
		var raw []byte
		end := []byte("\n")
		for _, r := range sourcetest.All(t, open(t, put(t, "a.csv", []byte(text)), m)) {
			raw = append(raw, r.Raw...)
		}
		want := text
		if name == "utf-16" {
			want, end = strings.TrimPrefix(text, "\xff\xfe"), []byte("\n\x00")
		}
		want = strings.ReplaceAll(strings.ReplaceAll(want, "\r\n", "\n"), string(end), "")
		got := strings.ReplaceAll(string(raw), string(end), "")
		if got != want {
			t.Errorf("%s: raw %q, want %q", name, got, want)
		}
	}
}

// TestHTMLBecomesText keeps what the source had beside what is read in it; how HTML reads is for package extract.
func TestHTMLBecomesText(t *testing.T) {
	for _, c := range []struct{ in, text, html string }{
		{"plain  as it is\n", "plain  as it is\n", ""},
		{"<p>one</p>\n<p>see <a href=\"https://x.mo/a\">this</a> &amp; that</p>", "one\nsee this (https://x.mo/a) & that", "<p>one</p>\n<p>see <a href=\"https://x.mo/a\">this</a> &amp; that</p>"},
		{"<p></p>", "", "<p></p>"},
	} {
		b, _ := json.Marshal(map[string]string{"h": c.in})
		r := sourcetest.All(t, open(t, put(t, "a.jsonl", b), mapping(t, "fields: {text: {path: h, html: true}}")))[0]
		if r.Text != c.text || r.HTML != c.html {
			t.Errorf("%q: %q and %q, want %q and %q", c.in, r.Text, r.HTML, c.text, c.html)
		}
	}
}

// TestAttachmentsComeFromTheFolderAndNowhereElse also tries to reach out of it.
func TestAttachmentsComeFromTheFolderAndNowhereElse(t *testing.T) {
	m := mapping(t, "files: ['**/*.json']\nfields: {text: x, file.path: 'files[].path', file.name: 'files[].name'}")
	files := map[string]string{
		"c/m.json":  `[{"x":"y","files":[{"path":"f/a.txt","name":"A"},{"path":"../../secret"},{"path":"/etc/hosts","name":"h"},{"path":"none","name":"n"}]}]`,
		"c/f/a.txt": "conteúdo",
	}
	for name, path := range map[string]string{"folder": sourcetest.Folder(t, files), "zip": put(t, "x.zip", zipOf(files))} {
		sourcetest.Run(t, func(t *testing.T) source.Source { return open(t, path, m) }, sourcetest.Options{OnePage: true})
		src := open(t, path, m)
		page, err := src.Pull(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		f := page.Records[0].Files
		if len(f) != 4 || f[0].Open == nil || f[0].Name != "A" || f[0].Size != 9 {
			t.Fatalf("%s: %+v", name, f)
		}
		for _, out := range f[1:] {
			if out.Open != nil || out.Missing == "" {
				t.Errorf("%s: %q was opened", name, out.Name)
			}
		}
	}
}

func TestLongerExportBringsTheSameKeys(t *testing.T) {
	m := mapping(t, "fields: {text: Mensagem, stream: Sala}")
	keys := func(n int) (out []string) {
		for _, r := range sourcetest.All(t, open(t, put(t, "a.csv", csvOf(",", rows(n, false))), m)) {
			out = append(out, r.Key)
		}
		return out
	}
	short, long := keys(500), keys(some)
	if !slices.Equal(short, long[:500]) {
		t.Error("the first 500 rows have other keys in a longer export")
	}
	slices.Sort(long)
	if len(slices.Compact(long)) != some {
		t.Error("identical rows share a key")
	}
}

// TestTwoSystemsAreKeptApart: the same channel, identifier and user number in two systems are two of each.
func TestTwoSystemsAreKeptApart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chat.csv")
	if err := os.WriteFile(file, []byte("id,room,from,text\n1,geral,7,hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, name := range []string{"hrsystem", "crm"} {
		m, err := mapped.ReadMapping(strings.NewReader("guia-mapping: 1\nsource: {name: " + name + "}\nfields:\n  key: id\n  type: {constant: message.sent}\n  stream: room\n  sender.key: from\n  text: text\n"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := mapped.Open(file, m)
		if err != nil {
			t.Fatal(err)
		}
		page, err := s.Pull(t.Context(), "")
		if err != nil || len(page.Records) != 1 {
			t.Fatalf("%d records, %v", len(page.Records), err)
		}
		r := page.Records[0]
		for what, value := range map[string]string{"stream": r.Stream, "key": r.Key, "sender": r.Sender.ID, "instance": s.Instance()} {
			if other := seen[value]; other != "" {
				t.Errorf("the %s %q of %s is the %s of another system", what, value, name, other)
			}
			seen[value] = what
		}
		if r.StreamName != "geral" {
			t.Errorf("the conversation is called %q", r.StreamName)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFileThatNoPatternTakesIsAGap: in a folder, a zip and a tar, and with a key that does not depend on what stands beside it. What
// may be an attachment of a record is none.
func TestAFileThatNoPatternTakesIsAGap(t *testing.T) {
	files := map[string]string{"a.csv": "x\n1\n", "b.json": `[{"x":2}]`, "c/d.tsv": "x\n3\n", "e.pdf": "%PDF"}
	folder := filepath.Join(t.TempDir(), "in")
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]bool{}
	for name, path := range map[string]string{"folder": folder, "zip": put(t, "in.zip", zipOf(files)), "tar": put(t, "in.tar.gz", tarOf(files))} {
		var rows, gaps []string
		for _, r := range sourcetest.All(t, open(t, path, mapping(t, "files: ['*.csv']\nfields: {text: x}"))) {
			if r.Type != guia.SourceGap {
				rows = append(rows, r.Text)
				continue
			}
			gaps = append(gaps, r.Origin)
			keys[r.Key] = true
		}
		if !slices.Equal(rows, []string{"1"}) || !slices.Equal(gaps, []string{"b.json#0", "c/d.tsv#0", "e.pdf#0"}) {
			t.Errorf("%s: rows %q, gaps %q", name, rows, gaps)
		}
		attached := sourcetest.All(t, open(t, path, mapping(t, "files: ['*.csv']\nfields: {text: x, file.path: {column: f, optional: true}}")))
		if len(attached) != 1 {
			t.Errorf("%s: with attachments: %d records, want 1", name, len(attached))
		}
	}
	if len(keys) != 3 {
		t.Errorf("%d keys for 3 files", len(keys))
	}
}
