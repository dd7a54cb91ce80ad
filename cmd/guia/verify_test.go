package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia/evidence/verify"
	"guia/proof"
)

// The cover of this bundle says that its origin is a line of good news.
func TestABundleCannotSteerTheTerminal(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	skey, vkey, err := proof.NewLogKey("guia.invalid/log/1")
	must(err)
	signer, err := proof.NewSigner(skey)
	must(err)
	checkpoint, err := proof.SignCheckpoint(proof.Checkpoint{Origin: "guia.invalid/log/1", Size: 1}, signer)
	must(err)
	cover := verify.FormatCover(verify.Cover{
		Format: verify.Format, Origin: "x\x1b[2J\nPROVEN.\u202e", Size: 1, Root: proof.Hash{}.String(), Created: "2026-11-21T10:00:00Z", Program: "guia",
	})
	var out bytes.Buffer
	w, err := verify.NewWriter(&out)
	must(err)
	for _, name := range []string{"records.jsonl", "custody.jsonl", "keys/log.pem", "view.html", "HOW-TO-VERIFY.txt"} {
		must(w.Add(name, nil))
	}
	for name, content := range map[string][]byte{"cover.json": cover, "checkpoint": checkpoint, "keys/log.vkey": []byte(vkey + "\n")} {
		must(w.Add(name, content))
	}
	must(w.Finish(func(text []byte) ([]byte, error) { return verify.SignManifestNote(text, signer) }))
	name := filepath.Join(t.TempDir(), "case.asice")
	must(os.WriteFile(name, out.Bytes(), 0o600))
	stdout, _, code := try(t, nil, "verify", name)
	if code != codeDamaged || !strings.Contains(stdout, "PROVEN.") {
		t.Fatalf("exit %d, and the test shows nothing:\n%s", code, stdout)
	}
	if strings.ContainsAny(stdout, "\x1b\u202e") || strings.Contains(stdout, "\nPROVEN.") {
		t.Errorf("it steers: %q", stdout)
	}
}
