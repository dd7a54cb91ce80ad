package mapped_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"guia"
	"guia/source/mapped"
)

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
