package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"guia"
	"guia/lang"
	"guia/permit"
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

// TestHelpNamesTheActsThatNeedASecondPerson: nobody has to ask for a wrong one to learn them.
func TestHelpNamesTheActsThatNeedASecondPerson(t *testing.T) {
	n := 0
	for _, act := range regexp.MustCompile(`[a-z]+\.[a-z_]+`).FindAllString(lang.Text(lang.English, "account.no_second"), -1) {
		if !permit.NeedsSecond(permit.Act(act)) {
			t.Errorf("%s needs nobody else", act)
		}
		n++
		for _, topic := range []string{"accounts", "user request"} {
			for _, l := range []string{"en", "pt", "zh-Hant", "zh-Hans"} {
				if out, _, _ := try(t, map[string]string{"GUIA_LANG": l}, append([]string{"help"}, strings.Fields(topic)...)...); !strings.Contains(out, act) {
					t.Errorf("%s: guia help %s does not name %s", l, topic, act)
				}
			}
		}
	}
	if n < 2 {
		t.Errorf("%d acts", n)
	}
}

// TestUsageLinesAreOfOneForm wants brackets for what may be left out, a bar for a choice, … for what may be repeated, and nothing else.
func TestUsageLinesAreOfOneForm(t *testing.T) {
	form := regexp.MustCompile(`^[a-z-]+( ([A-Z|]+…?|\[[A-Z|-]+…?\]|\[--[a-z]+ \[[A-Z]+\]\]))*$`)
	optional := regexp.MustCompile(`\[.*\] [A-Z]`)
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.HasAvailableSubCommands() && cmd.HasParent() && cmd.Use != cmd.Name() {
			t.Errorf("%s: only commands below it take words", cmd.Use)
		}
		if !cmd.Hidden && (!form.MatchString(cmd.Use) || optional.MatchString(cmd.Use)) {
			t.Errorf("%q has another form than the rest", cmd.Use)
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(newProgram(env{getenv: func(string) string { return "" }}).tree())
}
