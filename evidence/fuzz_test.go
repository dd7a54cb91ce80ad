package evidence

import (
	"strings"
	"testing"
	"unicode/utf8"

	"guia"
	"guia/canon"
	"guia/vault"
)

// What a rule says is read back as the same rule, and nothing breaks the reader.
func FuzzRedaction(f *testing.F) {
	for _, seed := range []string{"field=text,raw", "person=Chan, Tai Man", "record=1,2", "passage=a, field=b", "field=sender.*", "=", ",", "record=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		r, err := ParseRedaction([]string{arg})
		if err != nil {
			return
		}
		again, err := ParseRedaction([]string{r.String()})
		if err != nil || again.String() != r.String() {
			t.Errorf("%q: %q, read again %q, %v", arg, r, again, err)
		}
	})
}

// However a passage stands in a text, what is left between the withheld chunks does not contain it.
func FuzzPassage(f *testing.F) {
	f.Add(strings.Repeat("a", 200), "aa")
	f.Add(strings.Repeat("x", 60)+"Comissão  SECRETA\nde João", "comissao secreta")
	f.Add(strings.Repeat("佣金", 70), "金佣")
	f.Add(strings.Repeat("-", 63)+"e\u0301tude", "étude")
	f.Add(`{"a":"\u4f63\ud83d\ude00&lt;"}`, "佣")
	f.Fuzz(func(t *testing.T, text, passage string) {
		passage = squeeze(passage)
		if !utf8.ValidString(text) || passage == "" || len(text) > 4096 {
			return
		}
		for _, reading := range undo(text).texts {
			squeeze(reading)
		}
		if name := saveAs(text); strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
			t.Errorf("saved as %q", name)
		}
		var fields guia.Fields
		canon.SetText(&fields, text)
		disclosed := make([]vault.Disclosure, len(fields))
		for i, f := range fields {
			disclosed[i] = vault.Disclosure{Name: f.Name, Value: f.Value}
		}
		hidden := map[int]bool{}
		for _, i := range occurrences(disclosed, passage) {
			hidden[i] = true
		}
		left := ""
		for i, d := range disclosed {
			if !hidden[i] {
				left += string(d.Value)
			}
			if hidden[i] || i == len(disclosed)-1 {
				if strings.Contains(squeeze(left), passage) {
					t.Errorf("%q is left in %q", passage, left)
				}
				left = ""
			}
		}
	})
}
