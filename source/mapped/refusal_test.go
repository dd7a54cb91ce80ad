package mapped_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/source/mapped"
	"guia/source/sourcetest"
)

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
		"guia-mapping: 1\nfields: {text: }":                         "mapped.mapping.one_of",
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
		{"path", pull("x.json", []byte(`[{"b":"1"},{"b":"2"}]`), text), "mapped.path"},
		{"path far behind", pull("x.json", []byte("["+strings.Repeat(`{"b":"1"},`, 3000)+`{"a":"1"}]`), text), ""},
		{"path beyond many records", pull("x.jsonl", []byte(strings.Repeat("{\"b\":{\"a\":1}}\n", 3000)), text), "mapped.path"},
		{"path in another file", pull("x.zip", zipOf(map[string]string{"a.json": `[{"b":"1"}]`, "b.json": `[{"a":null}]`}), text), ""},
		{"path inside a join", pull("x.json", []byte(`[{"a":"1"}]`), mapping(t, "fields: {text: {join: [a, b]}}")), "mapped.path"},
		{"optional path inside a join", pull("x.json", []byte(`[{"a":"1"}]`), mapping(t, "fields: {text: {join: [a, {path: b, optional: true}]}}")), ""},
		{"path of several", pull("x.json", []byte(`[{"a":"1","to":[ ]}]`), mapping(t, "fields: {text: a, recipients: 'to[].who'}")), ""},
		{"path inside of several", pull("x.json", []byte(`[{"a":"1","to":[{"name":1}]},{"a":"2","to":{}}]`), mapping(t, "fields: {text: a, recipients: 'to[].who'}")), "mapped.path"},
		{"ambiguous day", pull("x.csv", []byte("a,t\n1,03/04/2024\n"), text), "mapped.time.ambiguous"},
		{"object", pull("x.json", []byte(`{"a": [1]}`), text), "mapped.json.records"},
		{"kind of file", pull("x.doc", []byte("x"), text), "mapped.format"},
		{"file the mapping is not for", pull("x.csv", []byte("a\n1\n"), mapping(t, "files: ['**/*.json']\nformat: json\nfields: {text: a}")), "mapped.not_meant"},
		{"file from a folder", pull("x.json", []byte(`[{"a":"1"}]`), mapping(t, "files: ['rooms/*.json']\nfields: {text: a}")), ""},
		{"empty archive", pull("x.zip", zipOf(map[string]string{"a.txt": "x"}), text), "mapped.nothing"},
		{"path out of an archive", pull("x.zip", zipOf(map[string]string{"../a.csv": "a\n1\n"}), text), "mapped.archive.path"},
		{"path out of a tar", pull("x.tgz", tarOf(map[string]string{"/etc/a.csv": "a\n1\n"}), text), "mapped.archive.path"},
		{"bomb", pull("x.zip", zipOf(map[string]string{"a.csv": "a\n" + string(bomb)}), text), "mapped.archive.bomb"},
		{"bomb in a tar", pull("x.tgz", tarOf(map[string]string{"a.jsonl": string(bomb)}), text), "mapped.archive.bomb"},
		{"columns", pull("x.csv", []byte(strings.Repeat("a,", 4096)+"\n"), text), "mapped.columns"},
		{"damaged workbook", pull("x.xlsx", []byte("PK\x03\x04 no"), text), "source.damaged"},
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
		for _, r := range sourcetest.All(t, open(t, put(t, c.file, []byte(c.content)), mapping(t, "fields: {text: a}"))) {
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
	got := sourcetest.All(t, open(t, put(t, "x.tgz", whole[:len(whole)-200]), mapping(t, "fields: {text: a}")))
	if last := got[len(got)-1]; last.Type != guia.SourceGap || got[0].Text != "one" {
		t.Errorf("archive cut off: first %q, last %s", got[0].Text, last.Type)
	}
}
