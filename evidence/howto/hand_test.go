package howto

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Numbers of the record by hand: sha256sum and openssl computed them, no code of ours.
const (
	handCommitment = "609d5df1c39e9704baf9b7ed5eb95acbeafc44a1e086b4078f166cea50079eca"
	handLeaf       = `guia.leaf/v1
type message.sent
source slack
captured 2026-11-21T10:00:00.123Z
record 6b1f0c0e9d5f4d8aa2a4c0f6d9a7b3e1
stream 0f3a5c7e9b1d2f4a6c8e0b2d4f6a8c0e 1
fields 1 e0e3c09209d640e60cbe5f42789122d5ed17553d7826f5c2923994458fee5175
`
	handRoot = "xBHrYmX7kZrodkjATgQZX0xSKScEWqbclw7m5+UfOOk="
)

// unpack is any zip program.
func unpack(t testing.TB, container []byte, dir string) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(container), int64(len(container)))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range r.File {
		content, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.FromSlash(entry.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
