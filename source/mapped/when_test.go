package mapped_test

import (
	"encoding/json"
	"slices"
	"testing"

	"guia/source"
	"guia/source/sourcetest"
)

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
		{"dd/MM/yyyy HH:mm:ss", "", "03/04/2024 16:05:09", "2024-04-03T08:05:09Z", "Asia/Macau", "assumed"},
		{"d/M/yy H:mm", "", "3/4/24 9:05", "2024-04-03T01:05Z", "Asia/Macau", "assumed"},
		{"D de M de YYYY", "", "3 de 4 de 2024", "2024-04-03", "Asia/Macau", "assumed"}, // d stands for itself where D is there
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
		r := sourcetest.All(t, open(t, put(t, "a.jsonl", b), m))[0]
		got := ""
		if r.HasTime {
			got = r.Time.String()
		}
		if got != c.want || r.TimeZone != c.wantZone || r.TimeBasis != c.basis || r.TimeOriginal != c.in || r.HasTime == slices.Contains(r.Marks, source.MarkNoTime) {
			t.Errorf("%q (%s): %q zone %q basis %s, original %q, marks %v; want %q %q %s", c.in, c.formats, got, r.TimeZone, r.TimeBasis, r.TimeOriginal, r.Marks, c.want, c.wantZone, c.basis)
		}
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
		r := sourcetest.All(t, open(t, put(t, "a.xlsx", b), mapping(t, "fields: {time: Data}")))[0]
		got := ""
		if r.HasTime {
			got = r.Time.String()
		}
		if got != c.want || string(r.Raw) != `{"A":"`+c.value+`"}` {
			t.Errorf("style %s value %s: %q (%q), raw %s; want %q", c.style, c.value, got, r.TimeOriginal, r.Raw, c.want)
		}
	}
}
