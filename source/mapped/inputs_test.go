package mapped_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
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

	"guia/source/mapped"
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

// put writes a file and returns its path.
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

func open(t testing.TB, path string, m mapped.Mapping) *mapped.Source {
	t.Helper()
	src, err := mapped.Open(path, m)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// A file that the mapping leaves out is a gap: with another one the folder is another input.
func TestAnotherFileThatIsLeftOutMakesAnotherInput(t *testing.T) {
	m := mapping(t, "files: [\"chat/*.csv\"]"+tableFields)
	dir := t.TempDir()
	add := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	instance := func() string { t.Helper(); return open(t, dir, m).Instance() }
	add("chat/jan.csv", "ID,Sala,Hora,Remetente,Mensagem,Para\n1,a,2024-03-01 08:00,Ana,bom dia,\n")
	all := []string{instance()}
	for _, name := range []string{"notes.txt", "other/mar.csv"} {
		add(name, "x\n")
		if now := instance(); slices.Contains(all, now) {
			t.Errorf("with %s it is the same input", name)
		} else {
			all = append(all, now)
		}
	}
	add("other/mar.csv", "what is in it is not read\n")
	if now := instance(); now != all[2] {
		t.Error("what is not read makes another input")
	}
	if err := os.Remove(filepath.Join(dir, "other/mar.csv")); err != nil {
		t.Fatal(err)
	}
	if now := instance(); now != all[1] {
		t.Error("the same folder is another input")
	}
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
