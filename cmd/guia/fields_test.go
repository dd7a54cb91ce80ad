package main

import (
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/lang"
)

// TestEveryFieldIsExplained demands a sentence for each registered field and none for others; the English one is the registry's.
func TestEveryFieldIsExplained(t *testing.T) {
	var want []string
	for _, f := range guia.Registry {
		key := fieldKey(f.Name)
		want = append(want, key)
		if got := lang.Text(lang.English, key); got != f.Meaning {
			t.Errorf("%s: %q, and in the registry %q", key, got, f.Meaning)
		}
		for _, l := range []lang.Language{lang.Portuguese, lang.TraditionalChinese} {
			if lang.Text(l, key) == f.Meaning {
				t.Errorf("%s: %s is English", key, l)
			}
		}
	}
	have := slices.DeleteFunc(lang.Keys(), func(key string) bool { return !strings.HasPrefix(key, "field.") })
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("sentences\n%q, fields\n%q", have, want)
	}
}
