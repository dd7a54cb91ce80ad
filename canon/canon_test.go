package canon_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/canon"
)

// vector is the event of docs/format/leaf.md's example, with fixed salts: salt i is 32 bytes of value i.
func vector(t *testing.T) (canon.Leaf, []canon.Commitment, guia.Fields) {
	t.Helper()
	record, err := guia.ParseID16("6b1f0c0e9d5f4d8aa2a4c0f6d9a7b3e1")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := guia.ParseID16("0f3a5c7e9b1d2f4a6c8e0b2d4f6a8c0e")
	if err != nil {
		t.Fatal(err)
	}
	var f guia.Fields
	f.Set("grade", "C")
	f.Set("sender.name", "陳大文")
	f.Set("time", "2026-11-21T01:59:58Z")
	canon.SetText(&f, "佣金是百分之三。A comissão é de três por cento. The commission is three per cent, as we said on Monday.")
	f.SetBytes("raw", []byte{0xff, 0x00, 0x0a})
	var commitments []canon.Commitment
	for i, field := range f {
		var salt [canon.SaltSize]byte
		for j := range salt {
			salt[j] = byte(i)
		}
		commitments = append(commitments, canon.Commitment{Name: field.Name, Hash: canon.Commit(salt, field.Value)})
	}
	return canon.Leaf{
		Header: guia.Header{
			Type: guia.MessageSent, Source: "slack", Captured: time.Date(2026, 11, 21, 10, 0, 0, 123e6, time.UTC),
			Record: record, Stream: stream, Count: 17,
		},
		FieldCount: len(commitments), FieldsHash: canon.FieldsHash(commitments),
	}, commitments, f
}

func TestFrozenVector(t *testing.T) {
	leaf, commitments, _ := vector(t)
	got := append(canon.AppendLeaf(nil, leaf), canon.AppendFields(nil, commitments)...)
	want, err := os.ReadFile("testdata/leaf.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the frozen vector changed: the format of every ledger changed\ngot\n%s\nwant\n%s", got, want)
	}
}

// TestOpensslAndSha256sumAgree recomputes a commitment and the fields hash with tools that share no code with us.
func TestOpensslAndSha256sumAgree(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sha256sum is missing")
		}
		t.Skip("sha256sum is missing")
	}
	leaf, commitments, f := vector(t)
	for i, field := range f {
		cmd := exec.Command("sha256sum")
		cmd.Stdin = bytes.NewReader(append(bytes.Repeat([]byte{byte(i)}, canon.SaltSize), field.Value...))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Fields(string(out))[0], hex.EncodeToString(commitments[i].Hash[:]); got != want {
			t.Errorf("%s: sha256sum says %s, we say %s", field.Name, got, want)
		}
	}
	cmd := exec.Command("sha256sum")
	cmd.Stdin = bytes.NewReader(canon.AppendFields(nil, commitments))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Fields(string(out))[0], hex.EncodeToString(leaf.FieldsHash[:]); got != want {
		t.Errorf("fields hash: sha256sum says %s, we say %s", got, want)
	}
}

func TestLeafHasOneSpelling(t *testing.T) {
	leaf, _, _ := vector(t)
	text := canon.AppendLeaf(nil, leaf)
	back, err := canon.ParseLeaf(text)
	if err != nil || back != leaf {
		t.Fatalf("round trip: %+v, %v", back, err)
	}
	for i := range text { // any other byte anywhere is another leaf or none
		for _, b := range []byte{text[i] ^ 0x20, text[i] ^ 1, ' ', '\n', '0', 0} {
			if b == text[i] {
				continue
			}
			changed := bytes.Clone(text)
			changed[i] = b
			other, err := canon.ParseLeaf(changed)
			if err == nil && other == leaf {
				t.Errorf("byte %d changed from %q to %q is the same leaf", i, text[i], b)
			}
		}
		if _, err := canon.ParseLeaf(text[:i]); err == nil {
			t.Errorf("the first %d bytes parse", i)
		}
	}
	if _, err := canon.ParseLeaf(append(bytes.Clone(text), '\n')); err == nil {
		t.Error("a line too many parses")
	}
}

func TestTextIsCutIntoChunksOfAtMost64Characters(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 128, 16383, 16384, 16385, 100001} {
		for _, unit := range []string{"a", "é", "文", "𠮷"} {
			text := strings.Repeat(unit, n)
			var f guia.Fields
			canon.SetText(&f, text)
			e := guia.Event{Fields: f}
			if e.Text() != text {
				t.Errorf("%d times %s: the chunks do not join to the text", n, unit)
			}
			limit := max(64, (n+255)/256)
			if want := (n + limit - 1) / limit; len(f) != want {
				t.Errorf("%d times %s: %d chunks, want %d", n, unit, len(f), want)
			}
			for _, field := range f {
				if got := len([]rune(string(field.Value))); got > limit {
					t.Errorf("%d times %s: %s has %d characters, want at most %d", n, unit, field.Name, got, limit)
				}
			}
		}
	}
}

func TestEventDocumentListsTheRegistry(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "format", "event.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "## Registry")
	var want strings.Builder
	for _, s := range guia.Registry {
		line := fmt.Sprintf("| `%s` | %s | %s |\n", s.Name, s.Slot, s.Meaning)
		want.WriteString(line)
		if !strings.Contains(table, line) {
			t.Errorf("docs/format/event.md lacks %s", line)
		}
	}
	if !strings.HasSuffix(table, want.String()) {
		t.Error("docs/format/event.md has other lines, or another order, than guia.Registry")
	}
}

func TestFieldNamesFindTheirSlots(t *testing.T) {
	for name, want := range map[string]guia.Slot{
		"text.0000": guia.SlotContent, "file.0012": guia.SlotContent, "file.0012.name": guia.SlotContent,
		"member.0001": guia.SlotContent, "sender.name": guia.SlotIdentity, "raw": guia.SlotRaw, "time": guia.SlotRecord,
	} {
		if got, ok := guia.SlotOf(name); !ok || got != want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "text", "text.000", "text.00000", "text.0000.name", "file.0001.size", "name.0001", "text.####", "Time", "text.00a0"} {
		if slot, ok := guia.SlotOf(name); ok && name != "text.####" {
			t.Errorf("%q is registered as %v", name, slot)
		}
	}
}

func TestFileReferencesHaveOneSpelling(t *testing.T) {
	r := canon.FileRef{Digest: sha256.Sum256([]byte("x")), Size: 12}
	if back, err := canon.ParseFileRef(r.String()); err != nil || back != r {
		t.Errorf("round trip: %v, %v", back, err)
	}
	for _, bad := range []string{"", strings.ToUpper(r.String()), r.String() + " ", strings.Replace(r.String(), " 12", " 012", 1), strings.Replace(r.String(), " 12", " +12", 1), strings.TrimPrefix(r.String(), "sha256:"), strings.Replace(r.String(), " 12", " -1", 1)} {
		if _, err := canon.ParseFileRef(bad); err == nil {
			t.Errorf("%q parses", bad)
		}
	}
}

func FuzzParseLeaf(f *testing.F) {
	f.Add([]byte("guia.leaf/v1\ntype a.b\nsource x\ncaptured 2026-11-21T10:00:00.123Z\nrecord 6b1f0c0e9d5f4d8aa2a4c0f6d9a7b3e1\nstream 0f3a5c7e9b1d2f4a6c8e0b2d4f6a8c0e 1\nfields 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		leaf, err := canon.ParseLeaf(text)
		if err == nil && !bytes.Equal(canon.AppendLeaf(nil, leaf), text) {
			t.Errorf("%q parses and is written otherwise", text)
		}
	})
}

func FuzzParseMoment(f *testing.F) {
	f.Add("2024-03-01T08:15:30.123Z")
	f.Add("2024-03-01")
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := guia.ParseMoment(s); err == nil && m.String() != s {
			t.Errorf("%q parses and is written %q", s, m)
		}
	})
}

func TestPlacesAreWrittenAsRangesAndReadBack(t *testing.T) {
	for want, seqs := range map[string][]guia.Seq{"": nil, "0": {0}, "3 5-9 12": {12, 5, 6, 7, 8, 9, 3, 5}, "0-2": {2, 1, 0}} {
		got := canon.FormatSeqs(slices.Clone(seqs))
		back, err := canon.ParseSeqs(got)
		slices.Sort(seqs)
		if got != want || err != nil || !slices.Equal(back, slices.Compact(seqs)) {
			t.Errorf("%v: %q, %v, %v", seqs, got, back, err)
		}
	}
	for _, bad := range []string{"x", "-1", "1-", "5-3", "1--2", "0-1000000", "0-999999 5", "99999999999999999999", "1,2", "9223372036854775808"} {
		if seqs, err := canon.ParseSeqs(bad); err == nil {
			t.Errorf("%q is read as %d places", bad, len(seqs))
		}
	}
}
