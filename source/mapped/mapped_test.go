package mapped_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"guia"
	"guia/source"
	"guia/source/mapped"
	"guia/source/sourcetest"
)

// canaries stand in every generated input.
var canaries = []string{"王小明 Canário", "請把合同送到公司"}

// mapping reads a mapping, which must be right.
func mapping(t testing.TB, text string) mapped.Mapping {
	t.Helper()
	m, err := mapped.ReadMapping(strings.NewReader("guia-mapping: 1\n" + text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return m
}

const tableFields = `
fields:
  type: {constant: message.sent}
  key: {column: ID, optional: true}
  stream: Sala
  time: Hora
  sender.name: Remetente
  text: Mensagem
  recipients: {column: Para, split: ";"}
`

// rows are the cells of a generated table, the header first.
func rows(n int, withID bool) [][]string {
	out := [][]string{{"ID", "Sala", "Hora", "Remetente", "Mensagem", "Para"}}
	for i := range n {
		text := fmt.Sprintf("linha %d\n請把合同送到公司, \"já\"", i)
		if i%3 == 0 {
			text = "ok" // many identical rows where there is no identifier
		}
		out = append(out, []string{fmt.Sprint(i), fmt.Sprintf("sala%d", i%7), fmt.Sprintf("2024-03-01 08:%02d", i/3%60), canaries[0], text, "a@x.mo; b@x.mo"})
	}
	if !withID {
		for i := range out {
			out[i] = out[i][1:]
		}
	}
	return out
}

func csvOf(delimiter string, rows [][]string) []byte {
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				b.WriteString(delimiter)
			}
			if strings.ContainsAny(cell, "\"\n;,\t") {
				cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
			}
			b.WriteString(cell)
		}
		b.WriteString("\r\n")
	}
	return []byte(b.String())
}

func jsonOf(rows [][]string, indent string) (lines [][]byte) {
	for _, row := range rows[1:] {
		o := map[string]any{}
		for i, cell := range row {
			o[rows[0][i]] = cell
		}
		b, _ := json.MarshalIndent(o, indent, indent)
		if indent == "" {
			b, _ = json.Marshal(o)
		}
		lines = append(lines, b)
	}
	return lines
}

// xlsxOf writes a workbook as spreadsheets do: shared texts, a style for dates, a second sheet.
func xlsxOf(rows [][]string, extra map[string]string) []byte {
	var shared, sheet strings.Builder
	index := map[string]int{}
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", "\n", "&#10;").Replace
	for i, row := range rows {
		fmt.Fprintf(&sheet, `<row r="%d">`, i+1)
		for j, cell := range row {
			if _, ok := index[cell]; !ok {
				index[cell] = len(index)
				fmt.Fprintf(&shared, `<si><t xml:space="preserve">%s</t></si>`, escape(cell))
			}
			fmt.Fprintf(&sheet, `<c r="%c%d" t="s"><v>%d</v></c>`, 'A'+j, i+1, index[cell])
		}
		sheet.WriteString(`</row>`)
	}
	return zipOf(merge(map[string]string{
		"[Content_Types].xml":        `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"xl/workbook.xml":            `<workbook xmlns:r="x"><workbookPr/><sheets><sheet name="Folha1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>`,
		"xl/sharedStrings.xml":       `<sst>` + shared.String() + `</sst>`,
		"xl/worksheets/sheet1.xml":   `<worksheet><sheetData>` + sheet.String() + `</sheetData></worksheet>`,
	}, extra))
}

func merge(a, b map[string]string) map[string]string {
	maps.Copy(a, b)
	return a
}

func zipOf(files map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, _ := z.Create(name)
		fmt.Fprint(w, files[name])
	}
	z.Close()
	return b.Bytes()
}

func tarOf(files map[string]string) []byte {
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name]))})
		fmt.Fprint(w, files[name])
	}
	w.Close()
	g.Close()
	return b.Bytes()
}

// put writes a file, or a folder of files, and returns its path.
func put(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func folderOf(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pasta")
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func utf16Of(b []byte, big bool) []byte {
	out := []byte("\xff\xfe")
	if big {
		out = []byte("\xfe\xff")
	}
	for _, u := range utf16.Encode([]rune(string(b))) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

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
			var paths [2]string
			for i := range paths {
				if c.dir != nil {
					paths[i] = folderOf(t, c.dir)
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
			got := all(t, open(t, paths[0], m))
			if len(got) != some {
				t.Errorf("%d records, want %d", len(got), some)
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
		for _, r := range all(t, open(t, put(t, "a.csv", []byte(text)), m)) {
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

func big5(t testing.TB, s string) string {
	out, err := traditionalchinese.Big5.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func gb(t testing.TB, s string) string {
	out, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEncodingsAreRecognised(t *testing.T) {
	hant := "日期,發送人,內容\n2024-03-01 09:00,陳大文,請問合同什麼時候可以收到？我們公司的會計說還沒有付款\n"
	hans := "日期,发送人,内容\n2024-03-01 09:00,陈大文,请问合同什么时候可以收到？我们公司的会计说还没有付款\n"
	for _, c := range []struct {
		name, text string
		want       mapped.Encoding
	}{
		{"ascii", "a,b\n1,2\n", mapped.UTF8},
		{"utf-8", hant, mapped.UTF8},
		{"utf-8 with mark", "\xef\xbb\xbf" + hans, mapped.UTF8},
		{"utf-8 cut inside a character", (hant + "我")[:len(hant)+2], mapped.UTF8},
		{"utf-8 with one bad byte", strings.Repeat(hant, 3) + "\xff", mapped.UTF8},
		{"utf-16le", string(utf16Of([]byte(hant), false)), mapped.UTF16LE},
		{"utf-16be", string(utf16Of([]byte(hans), true)), mapped.UTF16BE},
		{"utf-16le without mark", string(utf16Of([]byte(hans), false)[2:]), mapped.UTF16LE},
		{"utf-16be without mark", string(utf16Of([]byte(hant), true)[2:]), mapped.UTF16BE},
		{"big5", big5(t, hant), mapped.Big5},
		{"gb18030", gb(t, hans), mapped.GB18030},
		{"gb18030, traditional", gb(t, hant), mapped.GB18030},
		{"big5, short", big5(t, "發送人,內容\n陳大文,請問你收到了嗎\n"), mapped.Big5},
		{"gb18030, short", gb(t, "发送人,内容\n陈大文,请问你收到了吗\n"), mapped.GB18030},
		{"big5, Cantonese", big5(t, "姓名,訊息\n阿強,你哋今日幾點返工？我仲喺澳門\n"), mapped.Big5},
	} {
		if got, _ := mapped.Recognise([]byte(c.text)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestUndecodableBytesAreReplacedMarkedAndKept(t *testing.T) {
	m := mapping(t, "encoding: utf-8\nfields: {text: b, type: {constant: record.kept}}")
	for file, content := range map[string]string{"a.csv": "a,b\n1,ol\xe1\n", "a.jsonl": "{\"b\":\"ol\xe1\"}\n", "a.json": "[{\"b\":\"ol\xe1\"}]"} {
		r := all(t, open(t, put(t, file, []byte(content)), m))[0]
		if r.Text != "ol\uFFFD" || !slices.Contains(r.Marks, source.MarkBadEncoding) || !bytes.Contains(r.Raw, []byte("\xe1")) {
			t.Errorf("%s: text %q, marks %v, raw %q", file, r.Text, r.Marks, r.Raw)
		}
	}
	m.Encoding = mapped.Big5 // what the mapping declares wins
	r := all(t, open(t, put(t, "a.csv", []byte("a,b\n1,"+big5(t, "許功蓋")+"\n")), m))[0]
	if r.Text != "許功蓋" || len(r.Marks) != 1 {
		t.Errorf("big5: text %q, marks %v", r.Text, r.Marks)
	}
	r = all(t, open(t, put(t, "a.json", []byte(`[{"b":"`+big5(t, "許功蓋")+`"}]`)), m))[0]
	if r.Text != "許功蓋" {
		t.Errorf("big5 in JSON, whose second bytes are backslashes: text %q", r.Text)
	}
}

func TestTimesKeepWhatWasTold(t *testing.T) {
	for _, c := range []struct{ formats, zone, in, want, wantZone, basis string }{
		{"", "", "2024-03-01 16:05", "2024-03-01T08:05Z", "Asia/Macau", "assumed"},
		{"", "Europe/Lisbon", "2024-07-01 16:05:09", "2024-07-01T15:05:09Z", "Europe/Lisbon", "assumed"},
		{"", "", "2024-03-01T16:05:09.120+08:00", "2024-03-01T08:05:09.120Z", "+08:00", "source"},
		{"", "", "2024-03-01T16:05:09.123456Z", "2024-03-01T16:05:09.123456Z", "UTC", "source"},
		{"", "", "2024/3/1", "2024-03-01", "Asia/Macau", "assumed"},
		{"", "", "2024年3月1日 下午4:05", "2024-03-01T08:05Z", "Asia/Macau", "assumed"},
		{"", "", "1757425031", "2025-09-09T13:37:11Z", "UTC", "source"},
		{"", "", "1757425031123", "2025-09-09T13:37:11.123Z", "UTC", "source"},
		{"", "", "1757425031.123456", "2025-09-09T13:37:11.123456Z", "UTC", "source"},
		{"", "", "1757425031123456", "2025-09-09T13:37:11.123456Z", "UTC", "source"},
		{"", "", "Fri, 01 Mar 2024 16:05:09 +0800", "2024-03-01T08:05:09Z", "+08:00", "source"},
		{"DD/MM/YYYY hh:mm", "", "03/04/2024 16:05", "2024-04-03T08:05Z", "Asia/Macau", "assumed"},
		{"MM/DD/YYYY h:mm ap", "", "03/04/2024 4:05 PM", "2024-03-04T08:05Z", "Asia/Macau", "assumed"},
		{"unix-us", "", "1757425031123456", "2025-09-09T13:37:11.123456Z", "UTC", "source"},
		{"DD.MM.YY hh:mm:ss Z", "", "03.04.24 16:05:00 +0100", "2024-04-03T15:05:00Z", "+01:00", "source"},
		{"", "", "yesterday", "", "", "none"},
		{"", "", "2024-02-30", "", "", "none"},
		{"", "", "2024-03-01 25:00", "", "", "none"},
		{"", "", "", "", "", "none"},
	} {
		m := mapping(t, "fields: {time: t, text: x}")
		m.Zone = c.zone
		if c.formats != "" {
			m.Times = []string{c.formats}
		}
		b, _ := json.Marshal(map[string]string{"t": c.in, "x": "y"})
		r := all(t, open(t, put(t, "a.jsonl", b), m))[0]
		got := ""
		if r.HasTime {
			got = r.Time.String()
		}
		if got != c.want || r.TimeZone != c.wantZone || r.TimeBasis != c.basis || r.TimeOriginal != c.in || r.HasTime == slices.Contains(r.Marks, source.MarkNoTime) {
			t.Errorf("%q (%s): %q zone %q basis %s, original %q, marks %v; want %q %q %s", c.in, c.formats, got, r.TimeZone, r.TimeBasis, r.TimeOriginal, r.Marks, c.want, c.wantZone, c.basis)
		}
	}
}

// key returns the refusal's key.
func key(err error) string {
	if err == nil {
		return ""
	}
	s, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), guia.KindOf(err).String()+": "), " ")
	return strings.TrimSuffix(s, ":")
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	good := "guia-mapping: 1\nfields: {text: a}\n"
	for text, want := range map[string]string{
		"fields: {text: a}":                               "mapped.mapping.version",
		"a: [":                                            "mapped.mapping.yaml",
		good + "colour: red":                              "mapped.mapping.key",
		good + "fields: {}":                               "mapped.mapping.yaml", // YAML itself refuses a word said twice, or we do
		good + "zone: Mars":                               "mapped.mapping.zone",
		good + "times: [DD/MM]":                           "mapped.mapping.time",
		good + "encoding: ebcdic":                         "mapped.mapping.encoding",
		good + "records: 'a[b'":                           "mapped.mapping.path",
		good + "path: {pattern: (}":                       "mapped.mapping.pattern",
		"guia-mapping: 1\nfields: {colour: a}":            "mapped.mapping.target",
		"guia-mapping: 1\nfields: {grade: {constant: A}}": "mapped.mapping.own",
		"guia-mapping: 1\nfields: {type: {constant: case.opened}}":  "mapped.mapping.type",
		"guia-mapping: 1\nfields: {text: {file: x}}":                "mapped.mapping.part",
		"guia-mapping: 1\nfields: {text: {path: x, decode: rot13}}": "mapped.mapping.decoder",
		"guia-mapping: 1\nfields: {text: {path: x, column: y}}":     "mapped.mapping.one_of",
		"guia-mapping: 1\nfields: {subject: {path: x, html: true}}": "mapped.mapping.html",
	} {
		_, err := mapped.ReadMapping(strings.NewReader(text))
		if got := key(err); got != want && !(want == "mapped.mapping.yaml" && got == "mapped.mapping.twice") || guia.KindOf(err) != guia.Invalid {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	_, err := mapped.ReadMapping(strings.NewReader("guia-mapping: 1\nfields: {sender.nome: a}"))
	if err == nil || !strings.Contains(err.Error(), "sender.name") {
		t.Errorf("nearest field: %v", err)
	}

	pull := func(file string, content []byte, m mapped.Mapping) error {
		src, err := mapped.Open(put(t, file, content), m)
		if err != nil {
			return err
		}
		defer src.Close()
		_, err = src.Pull(context.Background(), "")
		return err
	}
	text := mapping(t, "fields: {text: a, time: {path: t, optional: true}}")
	bomb := bytes.Repeat([]byte(" "), 80<<20)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"column", pull("x.csv", []byte("b,c\n1,2\n"), text), "mapped.column"},
		{"ambiguous day", pull("x.csv", []byte("a,t\n1,03/04/2024\n"), text), "mapped.time.ambiguous"},
		{"object", pull("x.json", []byte(`{"a": [1]}`), text), "mapped.json.records"},
		{"kind of file", pull("x.doc", []byte("x"), text), "mapped.format"},
		{"empty archive", pull("x.zip", zipOf(map[string]string{"a.txt": "x"}), text), "mapped.nothing"},
		{"path out of an archive", pull("x.zip", zipOf(map[string]string{"../a.csv": "a\n1\n"}), text), "mapped.archive.path"},
		{"path out of a tar", pull("x.tgz", tarOf(map[string]string{"/etc/a.csv": "a\n1\n"}), text), "mapped.archive.path"},
		{"bomb", pull("x.zip", zipOf(map[string]string{"a.csv": "a\n" + string(bomb)}), text), "mapped.archive.bomb"},
		{"bomb in a tar", pull("x.tgz", tarOf(map[string]string{"a.jsonl": string(bomb)}), text), "mapped.archive.bomb"},
		{"columns", pull("x.csv", []byte(strings.Repeat("a,", 4096)+"\n"), text), "mapped.columns"},
		{"damaged workbook", pull("x.xlsx", []byte("PK\x03\x04 no"), text), "mapped.archive.damaged"},
	} {
		if got := key(c.err); got != c.want {
			t.Errorf("%s: %v, want %s", c.name, c.err, c.want)
		}
	}
}

// TestDamageBecomesAGap reads on behind each kind of damage.
func TestDamageBecomesAGap(t *testing.T) {
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for _, c := range []struct {
		name, file, content string
		want                []string // texts; "-" for a gap
	}{
		{"quote never closed", "a.csv", "a\none\n\"two\nthree\n", []string{"one", "-", "three"}},
		{"line of json lines", "a.jsonl", "{\"a\":\"one\"}\n{\"a\":\n\n{\"a\":\"three\"}", []string{"one", "-", "three"}},
		{"element of json", "a.json", `[{"a":"one"},{"a":tru},{"a":"three"}]`, []string{"one", "-", "three"}},
		{"nested too deeply", "a.json", `[{"a":"one"},{"a":` + deep + `},{"a":"three"}]`, []string{"one", "-", "three"}},
		{"json cut off", "a.json", `[{"a":"one"},{"a":"tw`, []string{"one", "-"}},
		{"json without comma", "a.json", `[{"a":"one"} {"a":"two"}]`, []string{"one", "-"}},
		{"row larger than the limit", "a.csv", "a\none\n" + strings.Repeat("x", 17<<20) + "\nthree\n", []string{"one", "-", "three"}},
		{"element larger than the limit", "a.json", `[{"a":"one"},{"a":"` + strings.Repeat("x", 17<<20) + `"},{"a":"three"}]`, []string{"one", "-", "three"}},
		{"line larger than the limit", "a.jsonl", "{\"a\":\"one\"}\n\"" + strings.Repeat("x", 17<<20) + "\"\n{\"a\":\"three\"}", []string{"one", "-", "three"}},
	} {
		var got []string
		for _, r := range all(t, open(t, put(t, c.file, []byte(c.content)), mapping(t, "fields: {text: a}"))) {
			if r.Type == guia.SourceGap {
				if r.Extra.Get("reason") == "" || len(r.Raw) == 0 || r.Origin == "" {
					t.Errorf("%s: gap %q at %q with %d raw bytes", c.name, r.Extra.Get("reason"), r.Origin, len(r.Raw))
				}
				got = append(got, "-")
				continue
			}
			got = append(got, r.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %.60q, want %q", c.name, got, c.want)
		}
	}
	whole := tarOf(map[string]string{"a.csv": "a\none\n", "b.csv": "a\n" + string(csvOf(",", rows(3000, true)))})
	got := all(t, open(t, put(t, "x.tgz", whole[:len(whole)-200]), mapping(t, "fields: {text: a}")))
	if last := got[len(got)-1]; last.Type != guia.SourceGap || got[0].Text != "one" {
		t.Errorf("archive cut off: first %q, last %s", got[0].Text, last.Type)
	}
}

func TestDatesOfWorkbooks(t *testing.T) {
	styles := `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot; hh:mm:ss"/><numFmt numFmtId="165" formatCode="[h]:mm"/></numFmts>
		<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>`
	for _, c := range []struct {
		style, value, since, want string
	}{
		{"1", "45352", "", "2024-03-01"},
		{"2", "45352.670138888891", "", "2024-03-01T08:05Z"},
		{"3", "45352.670243055559", "", "2024-03-01T08:05:09Z"},
		{"1", "43890", "1", "2024-03-01"},
		{"1", "59", "", "1900-02-28"},
		{"1", "61", "", "1900-03-01"},
		{"1", "60", "", ""},
		{"0", "45352", "", ""},
		{"4", "45352", "", ""},
	} {
		b := xlsxOf(nil, map[string]string{
			"xl/styles.xml":            styles,
			"xl/workbook.xml":          `<workbook xmlns:r="x"><workbookPr date1904="` + c.since + `"/><sheets><sheet name="F" sheetId="1" r:id="rId1"/></sheets></workbook>`,
			"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Data</t></is></c></row><row r="2"><c r="A2" s="` + c.style + `"><v>` + c.value + `</v></c></row></sheetData></worksheet>`,
		})
		r := all(t, open(t, put(t, "a.xlsx", b), mapping(t, "fields: {time: Data}")))[0]
		got := ""
		if r.HasTime {
			got = r.Time.String()
		}
		if got != c.want || string(r.Raw) != `{"A":"`+c.value+`"}` {
			t.Errorf("style %s value %s: %q (%q), raw %s; want %q", c.style, c.value, got, r.TimeOriginal, r.Raw, c.want)
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
	for name, path := range map[string]string{"folder": folderOf(t, files), "zip": put(t, "x.zip", zipOf(files))} {
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

func TestHTMLBecomesText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                  "plain",
		"<p>one</p>\n<p>two</p>": "one\n\ntwo",
		"a<br>b<br/>c &amp; d":   "a\nb\nc & d",
		"<p>see <a href=\"https://x.mo/a\">this</a></p>":                                "see this <https://x.mo/a>",
		"<a href=\"https://x.mo\">https://x.mo</a>":                                     "https://x.mo",
		"<pre><code>if x {\n    y\n}\n</code></pre><p>z</p>":                            "if x {\n    y\n}\n\nz",
		"<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>":                              "- a\n- b\n  1. c",
		"<blockquote><p>said</p></blockquote><p>no</p>":                                 "> said\n\nno",
		"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>":               "a\tb\nc",
		"<script>alert(1)</script><style>x</style>visible":                              "visible",
		"  <b>bold</b>   <i>it</i> ":                                                    "bold it",
		strings.Repeat("<div>", 100000) + "deep" + strings.Repeat("<blockquote>", 1000): "deep",
	} {
		b, _ := json.Marshal(map[string]string{"h": in})
		r := all(t, open(t, put(t, "a.jsonl", b), mapping(t, "fields: {text: {path: h, html: true}}")))[0]
		if r.Text != want || r.HTML != "" && r.HTML != in {
			t.Errorf("%.80q: %q, want %q", in, r.Text, want)
		}
	}
}

func TestGuessFindsWhatPeopleWrite(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		want                map[string]string // target to column
		unplaced, times     []string
	}{
		{
			"Portuguese", "a.csv", "Data;Hora;Remetente;Mensagem;Cor\n13/04/2024;09:15;Ana;olá;azul\n03/04/2024;10:00;Rui;sim;\n",
			map[string]string{"sender.name": "Remetente", "text": "Mensagem", "time": "Data+Hora"},
			[]string{"Cor"},
			nil,
		},
		{
			"traditional", "a.csv", "時間,發送人,內容,部門\n2024-03-01 09:00,陳大文,早晨,會計\n",
			map[string]string{"time": "時間", "sender.name": "發送人", "text": "內容", "department": "部門"},
			nil, nil,
		},
		{
			"simplified in GB18030", "a.csv", gb(t, "时间,发送者,内容,群名\n2024-03-01 09:00,陈大文,早上好，合同收到了吗,工程\n"),
			map[string]string{"time": "时间", "sender.name": "发送者", "text": "内容", "stream.name": "群名"},
			nil, nil,
		},
		{
			"day or month", "a.csv", "Date,From,Message\n03/04/2024 9:15 PM,Ana,hi\n",
			map[string]string{"time": "Date"},
			nil,
			[]string{"D/M/YYYY h:mm ap", "M/D/YYYY h:mm ap"},
		},
		{
			"json", "a.json", `{"meta":{"x":[{"id":1}]},"messages":[{"id":7,"from":{"name":"Ana"},"text":"hi","date":"2024-03-01T09:00:00Z","flags":[1]}]}`,
			map[string]string{"key": "id", "text": "text", "time": "date", "sender.name": "from.name"},
			[]string{"flags[]"},
			nil,
		},
		{"xlsx", "a.xlsx", string(xlsxOf(rows(3, true), nil)), map[string]string{"time": "Hora", "text": "Mensagem", "stream.name": "Sala", "key": "ID"}, nil, nil},
	} {
		path := put(t, c.file, []byte(c.content))
		p, err := mapped.Guess(path)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for target, column := range c.want {
			v := p.Mapping.Fields[target]
			got := v.From
			for _, j := range v.Join {
				if j.From != "" {
					got = strings.TrimPrefix(got+"+"+j.From, "+")
				}
			}
			if got != column {
				t.Errorf("%s: %s from %q, want %q", c.name, target, got, column)
			}
		}
		if !slices.Equal(p.Unplaced, c.unplaced) || !slices.Equal(p.Times, c.times) {
			t.Errorf("%s: unplaced %q, want %q; times %q, want %q", c.name, p.Unplaced, c.unplaced, p.Times, c.times)
		}
		var b bytes.Buffer
		if err := p.Mapping.Write(&b); err != nil {
			t.Fatal(err)
		}
		back, err := mapped.ReadMapping(&b)
		if err != nil {
			t.Errorf("%s: what was proposed cannot be read: %v", c.name, err)
			continue
		}
		if len(p.Times) > 0 {
			back.Times = p.Times[:1]
		}
		for _, r := range all(t, open(t, path, back)) {
			if r.Type != guia.MessageSent || !r.HasTime || r.Sender.Name == "" || r.Text == "" {
				t.Errorf("%s: with the proposed mapping: %s, time %v, text %q", c.name, r.Type, r.HasTime, r.Text)
			}
		}
	}
}

func TestLongerExportBringsTheSameKeys(t *testing.T) {
	m := mapping(t, "fields: {text: Mensagem, stream: Sala}")
	keys := func(n int) (out []string) {
		for _, r := range all(t, open(t, put(t, "a.csv", csvOf(",", rows(n, false))), m)) {
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

// TestTheDocumentationNamesEveryWord compares docs/format/mapping.md with what the program accepts.
func TestTheDocumentationNamesEveryWord(t *testing.T) {
	doc, err := os.ReadFile("../../docs/format/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []struct{ text, key string }{
		{"guia-mapping: 1\nfields: {text: a}\nno such word: 1", "mapped.mapping.key"},
		{"guia-mapping: 1\nfields: {text: {no such word: 1}}", "mapped.mapping.key"},
		{"guia-mapping: 1\nfields: {text: {path: a, decode: no-such}}", "mapped.mapping.decoder"},
		{"guia-mapping: 1\nfields: {type: {constant: no.such}}", "mapped.mapping.type"},
	} {
		_, err := mapped.ReadMapping(strings.NewReader(kind.text))
		refusal, ok := errors.AsType[*guia.Refusal](err)
		if !ok || refusal.Key != kind.key {
			t.Fatalf("%q: %v", kind.text, err)
		}
		for word := range strings.SplitSeq(refusal.Args[len(refusal.Args)-1].(string), ", ") {
			if !bytes.Contains(doc, []byte("`"+word+"`")) && !bytes.Contains(doc, []byte("`"+word+":")) {
				t.Errorf("docs/format/mapping.md does not name %q", word)
			}
		}
	}
	_, example, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := mapped.ReadMapping(strings.NewReader(example)); err != nil {
		t.Errorf("the example of the documentation: %v", err)
	}
}
