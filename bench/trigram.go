package main

import (
	"strings"
	"unicode/utf8"
)

// trigramQuery puts a question into FTS5's words; false when a trigram index cannot answer it.
func trigramQuery(q string) (string, bool) {
	if strings.HasPrefix(q, `"`) {
		return q, true
	}
	var parts []string
	for _, w := range strings.Fields(q) {
		not := strings.HasPrefix(w, "-")
		w = strings.TrimPrefix(w, "-")
		if utf8.RuneCountInString(w) < 3 {
			return "", false
		}
		term := `"` + w + `"`
		if not {
			term = "NOT " + term
		} else if len(parts) > 0 {
			term = "AND " + term
		}
		parts = append(parts, term)
	}
	return strings.Join(parts, " "), true
}
