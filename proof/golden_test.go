package proof_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia/proof"
)

var update = flag.Bool("update", false, "write golden files that do not exist yet")

// The golden files say what bytes a release wrote. They are never edited:
// -update refuses a file that is there.
func TestTextsAreThoseOfEarlierReleases(t *testing.T) {
	key, next := fixedSigner(t, origin, 1), fixedSigner(t, origin, 2)
	s := grown(7)
	checkpoint := signed(t, key, 7, s.Root())
	var leaves strings.Builder
	for i := range int64(7) {
		fmt.Fprintf(&leaves, "%q %s\n", leaf(i), proof.LeafHash(leaf(i)))
	}
	fmt.Fprintf(&leaves, "root of 7 %s\nroot of 3 %s\nroot of 0 %s\n", s.Root(), grown(3).Root(), new(proof.Builder).Root())
	pem, err := proof.VKeyPEM(key.Verifier().VKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"vkey.txt":        key.Verifier().VKey() + "\n" + string(pem),
		"tree.txt":        leaves.String(),
		"checkpoint.txt":  string(checkpoint),
		"proof.txt":       string(leafProof(t, s, checkpoint, 5, nil)),
		"proof-extra.txt": string(leafProof(t, s, checkpoint, 0, []byte("extra"))),
		"consistency.txt": string(consistency(t, s, checkpoint, 3)),
		"rotation.txt":    string(rotation(t, 7, key, next)),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				t.Errorf("-update only adds files: %v", err)
				continue
			}
			if _, err := f.WriteString(got); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}
