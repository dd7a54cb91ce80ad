package mapped

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"guia"
)

// found is a row without the memory it shares with its reader.
type found struct {
	raw, cells, gap string
	start, end      int64
}

// rowsOf reads at most a thousand rows.
func rowsOf(t *testing.T, next func(context.Context, *row) error) (out []found) {
	var r row
	for len(out) < 1000 {
		err := next(context.Background(), &r)
		if atEnd(err) {
			return out
		}
		if err != nil {
			t.Fatalf("row %d: %v", len(out), err)
		}
		out = append(out, found{string(r.raw), strings.Join(r.cells, "\x00"), r.gap, r.start, r.end})
		if r.gap == "" && !utf8.ValidString(out[len(out)-1].cells) {
			t.Fatalf("row %d is not valid UTF-8", len(out))
		}
	}
	return out
}

func same(t *testing.T, what string, got, want []found) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%s: row %d of %d differs from %d rows:\n%+v\n%+v", what, i, len(got), len(want), got[min(i, len(got)):min(i+1, len(got))], want[min(i, len(want)):min(i+1, len(want))])
		}
	}
}

// FuzzCSV: the same rows however the bytes arrive, and from the end of every row as if it had been read through.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("a,b\r\n\"x\n\"\"y\",2\n\n,,\nlast"), byte(0))
	f.Add([]byte("\"never closed\nnext\n"), byte(0))
	f.Add([]byte("a\x00;\x00\n\x00\x3d\xd8\x00\xde"), byte(1))
	f.Add([]byte("\xb3\\,\xa5\xab\n"), byte(4))
	f.Fuzz(func(t *testing.T, b []byte, kind byte) {
		if len(b) > 1<<16 {
			return
		}
		enc := encodings[int(kind)%len(encodings)]
		reader := func(r io.Reader, off int64) *csvReader {
			return &csvReader{w: newWindow(r, enc, off, nil), line: 1, delimiter: ','}
		}
		want := rowsOf(t, reader(bytes.NewReader(b), 0).next)
		same(t, "byte by byte", rowsOf(t, reader(iotest.OneByteReader(bytes.NewReader(b)), 0).next), want)
		last := int64(0)
		for i, r := range want {
			if r.start < last || r.end <= r.start && r.gap == "" {
				t.Fatalf("row %d from %d to %d, after %d", i, r.start, r.end, last)
			}
			last = r.end
			if i < 20 && r.end <= int64(len(b)) && !enc.wide() {
				same(t, "going on", rowsOf(t, reader(bytes.NewReader(b[r.end:]), r.end).next), rowsAfter(want, i))
			}
		}
	})
}

func rowsAfter(rows []found, i int) []found {
	return rows[i+1 : min(len(rows), i+1+1000)]
}

// FuzzJSON compares with encoding/json: what is valid, which elements there are, and what a text says.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`[{"a":"\ud83d\ude00\u0041\n"},[1.5e-3,true,null],"x"]`))
	f.Add([]byte(`[{"a":1,"a":2}, tru, {"b":[]}]`))
	f.Add([]byte(`[1 2]`))
	f.Add([]byte(`[[[[[[`))
	f.Add([]byte("[\"\\ud800\",-0.0]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 || bytes.Count(b, []byte{'['})+bytes.Count(b, []byte{'{'}) > maxDepth-2 {
			return
		}
		_, err := parseObject(b, nil)
		if got, want := err == nil, json.Valid(b); got != want {
			t.Fatalf("valid %v, encoding/json says %v: %q", got, want, b)
		}
		reader := func(r io.Reader) *arrayReader {
			return &arrayReader{w: newWindow(r, UTF8, 0, nil), path: steps{{each: true}}}
		}
		rows := rowsOf(t, reader(bytes.NewReader(b)).next)
		same(t, "byte by byte", rowsOf(t, reader(iotest.OneByteReader(bytes.NewReader(b))).next), rows)
		var elements []json.RawMessage
		if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '[' && json.Unmarshal(b, &elements) == nil && len(elements) < 1000 {
			if len(rows) != len(elements) {
				t.Fatalf("%d rows, %d elements: %q", len(rows), len(elements), b)
			}
			for i, e := range elements {
				if rows[i].gap != "" || rows[i].raw != string(e) {
					t.Fatalf("row %d: %+v, want %q", i, rows[i], e)
				}
				var s string
				if e[0] == '"' && utf8.Valid(e) && json.Unmarshal(e, &s) == nil {
					if got, _ := unquote(e); got != s {
						t.Fatalf("%q says %q, want %q", e, got, s)
					}
				}
			}
		}
		lines := &lineReader{w: newWindow(bytes.NewReader(b), UTF8, 0, nil), line: 1}
		rowsOf(t, lines.next)
	})
}

// FuzzMapping: what can be read can be written and read again, the same.
func FuzzMapping(f *testing.F) {
	zulip, err := os.ReadFile("mappings/zulip.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(zulip))
	f.Add("guia-mapping: 1\nfields: {text: {join: [a, {constant: \"\\t\"}], values: {x: y}}}\n")
	f.Add("guia-mapping: 1\nfields: &a {text: *a}\n")
	f.Add(`{"guia-mapping": 1, "fields": {"text": "a"}, "times": ["D/M/YY h:mm ap"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ReadMapping(strings.NewReader(text))
		if err != nil {
			if guia.KindOf(err) != guia.Invalid {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		var first, second bytes.Buffer
		if err := m.Write(&first); err != nil {
			t.Fatal(err)
		}
		again, err := ReadMapping(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, first.String())
		}
		if err := again.Write(&second); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Fatalf("written again it differs:\n%s\n%s", first.String(), second.String())
		}
	})
}

// FuzzXLSX mixes parts of workbooks with anything.
func FuzzXLSX(f *testing.F) {
	f.Add([]byte(`<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>`),
		[]byte(`<sst><si><t>a_x000D_</t></si></sst>`), []byte(`<styleSheet><numFmt numFmtId="164" formatCode="[h]:mm"/><cellXfs><xf numFmtId="164"/></cellXfs></styleSheet>`))
	f.Add([]byte(`<row><c r="ZZZZ1"><v>1</v>`), []byte(`<si><rPh>`), []byte(`<cellXfs><xf numFmtId="14"/>`))
	f.Fuzz(func(t *testing.T, sheet, shared, styles []byte) {
		if len(sheet)+len(shared)+len(styles) > 1<<16 {
			return
		}
		b := testWorkbook(map[string][]byte{
			"xl/workbook.xml":            []byte(`<workbook xmlns:r="x"><sheets><sheet name="F" r:id="r1"/></sheets></workbook>`),
			"xl/_rels/workbook.xml.rels": []byte(`<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>`),
			"xl/worksheets/sheet1.xml":   sheet, "xl/sharedStrings.xml": shared, "xl/styles.xml": styles,
		})
		h := &handle{name: "x.xlsx", r: bytes.NewReader(b), at: bytes.NewReader(b), size: int64(len(b))}
		book, err := openWorkbook(h, 1, func(string) bool { return true })
		if err != nil {
			return
		}
		defer book.close()
		if book.nextSheet(context.Background()) != nil {
			return
		}
		var r row
		for range 1000 {
			if book.next(context.Background(), &r) != nil {
				return
			}
			if !json.Valid(r.raw) {
				t.Fatalf("raw is not JSON: %q", r.raw)
			}
		}
	})
}

// FuzzArchive opens anything as an archive or workbook.
func FuzzArchive(f *testing.F) {
	f.Add(testWorkbook(map[string][]byte{"a.csv": []byte("a\n1\n")}))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"))
	dir := f.TempDir()
	m := Mapping{Header: 1, Fields: map[string]Value{"text": {From: "a", Optional: true}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "x.zip")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, m)
		if err != nil {
			return
		}
		defer s.Close()
		_, _ = s.Pull(context.Background(), "")
	})
}

// FuzzRecognise: whatever is recognised can be read as valid text, and a byte order mark is never longer than the sample.
func FuzzRecognise(f *testing.F) {
	f.Add([]byte("\xff\xfea\x00"))
	f.Add([]byte("\xa7A\xa6n"))
	f.Add([]byte("\xc4\xe3\xba\xc3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		enc, mark := Recognise(b)
		if mark > len(b) {
			t.Fatalf("mark of %d bytes in %d", mark, len(b))
		}
		w := newWindow(bytes.NewReader(b[mark:]), enc, int64(mark), nil)
		for w.more() {
		}
		text, _ := enc.text(w.bytes())
		if !utf8.ValidString(text) {
			t.Fatalf("%s: %q is not valid", enc, text)
		}
		if n := len(w.take(len(w.bytes()))); n != len(b)-mark {
			t.Fatalf("%s: %d of %d bytes are behind the text", enc, n, len(b)-mark)
		}
	})
}

// FuzzTimes: what is read can be written in the ledger's spelling.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"2024-03-01T16:05:09.123+08:00", "2024年3月1日 下午4:05", "1757425031.12", "Fri, 01 Mar 2024 16:05 +0000", "0001-01-01 00:00", "3/4/2024"} {
		f.Add(s, "DD/MM/YY hh:mm:ss.f ap Z")
	}
	f.Fuzz(func(t *testing.T, s, format string) {
		m := Mapping{}
		if l, err := parseLayout(format); err == nil && len(l.toks) < 50 {
			m.Times = []string{format}
		}
		at, zone, _, err := newClock(&m).read(s, "")
		if err != nil {
			return
		}
		back, err := guia.ParseMoment(at.String())
		if err != nil || !back.Time.Equal(at.Time) {
			t.Fatalf("%q as %q is %v, written %q (%v)", s, format, at.Time, at, err)
		}
		if _, err := zoneOf(zone); err != nil {
			t.Fatalf("%q: zone %q", s, zone)
		}
	})
}

func testWorkbook(parts map[string][]byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		w, _ := z.Create(name)
		_, _ = w.Write(parts[name]) // into memory
	}
	z.Close()
	return b.Bytes()
}
