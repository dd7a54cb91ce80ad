package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia"
	"guia/lang"
	"guia/source/mapped"
	"guia/source/sourcetest"
)

// TestTheMappingOfItsHelpPageReadsTheTableBesideIt, in all languages.
func TestTheMappingOfItsHelpPageReadsTheTableBesideIt(t *testing.T) {
	for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese, lang.SimplifiedChinese} {
		var blocks []string // what is indented
		inside := false
		for line := range strings.Lines(lang.Text(l, "help.mapping.long")) {
			code, indented := strings.CutPrefix(line, "    ")
			if indented && !inside {
				blocks = append(blocks, "")
			}
			if inside = indented; inside {
				blocks[len(blocks)-1] += code
			}
		}
		if len(blocks) != 2 {
			t.Fatalf("%s: %d blocks, want a table and a mapping: %q", l, len(blocks), blocks)
		}
		path := filepath.Join(t.TempDir(), "table.csv")
		if err := os.WriteFile(path, []byte(blocks[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := mapped.ReadMapping(strings.NewReader(blocks[1]))
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		src, err := mapped.Open(path, m)
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		defer src.Close()
		all := sourcetest.All(t, src)
		if len(all) != 1 {
			t.Fatalf("%s: %d records", l, len(all))
		}
		r := all[0]
		if r.Type != guia.MessageSent || r.Time.String() != "2024-03-05T01:15Z" || r.Sender.Name != "Ana Sousa" || r.StreamName != "Obra" || r.Text != "Bom dia" {
			t.Errorf("%s: %s, %s, %q, %q, %q", l, r.Type, r.Time, r.Sender.Name, r.StreamName, r.Text)
		}
	}
}
