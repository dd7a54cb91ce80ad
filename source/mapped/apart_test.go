package mapped_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia/source/mapped"
)

// TestTwoSystemsAreKeptApart: the same channel, identifier and user number in two systems are two of each.
func TestTwoSystemsAreKeptApart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chat.csv")
	if err := os.WriteFile(file, []byte("id,room,from,text\n1,geral,7,hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, name := range []string{"hrsystem", "crm"} {
		m, err := mapped.ReadMapping(strings.NewReader("guia-mapping: 1\nsource: {name: " + name + "}\nfields:\n  key: id\n  type: {constant: message.sent}\n  stream: room\n  sender.key: from\n  text: text\n"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := mapped.Open(file, m)
		if err != nil {
			t.Fatal(err)
		}
		page, err := s.Pull(t.Context(), "")
		if err != nil || len(page.Records) != 1 {
			t.Fatalf("%d records, %v", len(page.Records), err)
		}
		r := page.Records[0]
		for what, value := range map[string]string{"stream": r.Stream, "key": r.Key, "sender": r.Sender.ID, "instance": s.Instance()} {
			if other := seen[value]; other != "" {
				t.Errorf("the %s %q of %s is the %s of another system", what, value, name, other)
			}
			seen[value] = what
		}
		if r.StreamName != "geral" {
			t.Errorf("the conversation is called %q", r.StreamName)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
