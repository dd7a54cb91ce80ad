package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"guia/proof"
)

const origin = "log.example/guia"

// fixedSigner is the key of the golden files: its seed is this byte, 32 times.
func fixedSigner(t testing.TB, name string, seed byte) *proof.Signer {
	t.Helper()
	b := bytes.Repeat([]byte{seed}, ed25519.SeedSize)
	vkey, err := note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(b).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimPrefix(vkey, name+"+")[:8]
	s, err := proof.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, id, base64.StdEncoding.EncodeToString(append([]byte{1}, b...))))
	if err != nil {
		t.Fatal(err)
	}
	if s.Verifier().VKey() != vkey {
		t.Fatalf("vkey of the signer is %s, want %s", s.Verifier().VKey(), vkey)
	}
	return s
}

func chainOf(t testing.TB, first *proof.Signer, rotations ...[]byte) proof.Chain {
	t.Helper()
	c, err := proof.TrustChain(first.Verifier().VKey(), rotations)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func signed(t testing.TB, s *proof.Signer, size int64, root proof.Hash) []byte {
	t.Helper()
	b, err := proof.SignCheckpoint(proof.Checkpoint{Origin: s.Name(), Size: size, Root: root}, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func leafProof(t testing.TB, s *store, checkpoint []byte, index int64, extra []byte) []byte {
	t.Helper()
	hs, err := proof.Inclusion(s, s.Size(), index)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proof.FormatProof(proof.LeafProof{Extra: extra, Index: index, Hashes: hs, Checkpoint: checkpoint})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func consistency(t testing.TB, s *store, checkpoint []byte, old int64) []byte {
	t.Helper()
	hs, err := proof.Consistency(s, old, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	b, err := proof.FormatConsistency(proof.Growth{Old: old, Hashes: hs, Checkpoint: checkpoint})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rotation(t testing.TB, from int64, old, next *proof.Signer) []byte {
	t.Helper()
	b, err := proof.SignRotation(proof.Rotation{Origin: old.Name(), Old: old.Verifier().VKey(), New: next.Verifier().VKey(), From: from}, old)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everyFlip calls accepts with each single-bit change of text.
func everyFlip(t *testing.T, text []byte, accepts func([]byte) bool) {
	t.Helper()
	if !accepts(text) {
		t.Fatalf("not accepted unchanged:\n%s", text)
	}
	for bit := range len(text) * 8 {
		c := bytes.Clone(text)
		c[bit/8] ^= 1 << (bit % 8)
		if accepts(c) {
			t.Errorf("accepted with bit %d of byte %d changed:\n%s", bit%8, bit/8, c)
		}
	}
	for n := range text {
		if accepts(text[:n]) {
			t.Errorf("accepted when cut to %d bytes", n)
		}
	}
	if accepts(append(bytes.Clone(text), '\n')) || accepts(append(bytes.Clone(text), text...)) {
		t.Error("accepted with something after its end")
	}
}

func TestEveryChangedBitOfASignedTextIsFound(t *testing.T) {
	key, next := fixedSigner(t, origin, 1), fixedSigner(t, origin, 2)
	s := grown(7)
	keys := chainOf(t, key)
	checkpoint := signed(t, key, 7, s.Root())
	everyFlip(t, checkpoint, func(b []byte) bool { _, err := keys.Open(b); return err == nil })
	everyFlip(t, checkpoint, func(b []byte) bool { _, err := proof.OpenCheckpoint(b, key.Verifier()); return err == nil })
	everyFlip(t, leafProof(t, s, checkpoint, 5, nil), func(b []byte) bool {
		p, err := proof.ParseProof(b)
		if err == nil {
			_, err = p.Check(proof.LeafHash(leaf(5)), keys)
		}
		return err == nil
	})
	oldRoot := grown(3).Root()
	everyFlip(t, consistency(t, s, checkpoint, 3), func(b []byte) bool {
		g, err := proof.ParseConsistency(b)
		if err == nil {
			_, err = g.Check(oldRoot, keys)
		}
		return err == nil
	})
	everyFlip(t, rotation(t, 7, key, next), func(b []byte) bool { _, err := proof.OpenRotation(b, key.Verifier()); return err == nil })
	everyFlip(t, []byte(key.Verifier().VKey()), func(b []byte) bool { _, err := proof.NewVerifier(string(b)); return err == nil })
}

func TestCheckpointTextHasOneSpelling(t *testing.T) {
	root := grown(7).Root()
	good := fmt.Sprintf("%s\n7\n%s\n", origin, root)
	if c, err := proof.ParseCheckpoint([]byte(good)); err != nil || c != (proof.Checkpoint{Origin: origin, Size: 7, Root: root}) {
		t.Fatalf("got %v, %v", c, err)
	}
	b64 := root.String()
	for name, bad := range map[string]string{
		"nothing":              "",
		"no last newline":      strings.TrimSuffix(good, "\n"),
		"extension line":       good + "extension\n",
		"empty extension line": good + "\n",
		"empty origin":         "\n7\n" + b64 + "\n",
		"space in origin":      "a b\n7\n" + b64 + "\n",
		"plus in origin":       "a+b\n7\n" + b64 + "\n",
		"control in origin":    "a\x01b\n7\n" + b64 + "\n",
		"return in origin":     "ab\r\n7\n" + b64 + "\n",
		"hidden direction":     "a\u202eb\n7\n" + b64 + "\n",
		"no UTF-8 origin":      "a\xffb\n7\n" + b64 + "\n",
		"long origin":          strings.Repeat("a", 256) + "\n7\n" + b64 + "\n",
		"leading zero":         origin + "\n07\n" + b64 + "\n",
		"plus sign":            origin + "\n+7\n" + b64 + "\n",
		"minus":                origin + "\n-7\n" + b64 + "\n",
		"minus zero":           origin + "\n-0\n" + b64 + "\n",
		"no size":              origin + "\n\n" + b64 + "\n",
		"hexadecimal":          origin + "\n0x7\n" + b64 + "\n",
		"too large":            origin + "\n281474976710657\n" + b64 + "\n",
		"beyond 64 bits":       origin + "\n18446744073709551623\n" + b64 + "\n",
		"empty tree, a root":   origin + "\n0\n" + b64 + "\n",
		"unused bits":          origin + "\n7\n" + b64[:42] + "B=\n",
		"no padding":           origin + "\n7\n" + b64[:43] + "\n",
		"return in base64":     origin + "\n7\n" + b64[:43] + "\r=\n",
		"short hash":           origin + "\n7\n" + b64[:40] + "\n",
		"URL alphabet":         origin + "\n7\n" + strings.Repeat("_", 43) + "=\n",
	} {
		if c, err := proof.ParseCheckpoint([]byte(bad)); err == nil {
			t.Errorf("%s: accepted as %v", name, c)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: the error repeats the text: %v", name, err)
		}
	}
	for _, c := range []proof.Checkpoint{{"", 7, root}, {"a b", 7, root}, {origin, -1, root}, {origin, proof.MaxSize + 1, root}, {origin, 0, root}} {
		if _, err := proof.FormatCheckpoint(c); err == nil {
			t.Errorf("formatted %v", c)
		}
	}
}

func TestOpenCheckpointWantsTheLogsOwnSignature(t *testing.T) {
	key, other, witness := fixedSigner(t, origin, 1), fixedSigner(t, origin, 2), fixedSigner(t, "witness.example", 3)
	root := grown(7).Root()
	text, err := proof.FormatCheckpoint(proof.Checkpoint{Origin: origin, Size: 7, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(s ...note.Signer) []byte {
		b, err := note.Sign(&note.Note{Text: string(text)}, s...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	both := sign(witness, key, other)
	for _, v := range []*proof.Verifier{key.Verifier(), other.Verifier()} {
		if _, err := proof.OpenCheckpoint(both, v); err != nil {
			t.Errorf("with other signatures beside: %v", err)
		}
	}
	refuse := func(what string, msg []byte, v ...*proof.Verifier) {
		t.Helper()
		if _, err := proof.OpenCheckpoint(msg, v...); !errors.Is(err, proof.ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", what, err)
		}
	}
	refuse("no keys", both)
	refuse("only a witness's key", both, witness.Verifier())
	refuse("another key of the same name", sign(other), key.Verifier())
	// The line of one key under the text of another checkpoint.
	_, line, _ := strings.Cut(string(sign(key)), "\n\n")
	refuse("moved signature", []byte(strings.Replace(string(text), "\n7\n", "\n8\n", 1)+"\n"+line), key.Verifier())
	// note.Open would not look at the second signature of a key.
	if _, err := proof.OpenCheckpoint(append(sign(key), line...), key.Verifier()); err == nil {
		t.Error("a repeated signature was accepted")
	}
	if _, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 7, Root: root}, witness); err == nil {
		t.Error("signed with the key of another log")
	}
}

func TestRotatedKeysSignOnlyInTheirTime(t *testing.T) {
	a, b, c := fixedSigner(t, origin, 1), fixedSigner(t, origin, 2), fixedSigner(t, origin, 3)
	chain := chainOf(t, a, rotation(t, 100, a, b), rotation(t, 101, b, c))
	root := grown(7).Root()
	for _, x := range []struct {
		size int64
		ok   *proof.Signer
	}{{1, a}, {99, a}, {100, a}, {101, b}, {102, c}, {1 << 40, c}, {proof.MaxSize, c}} {
		if got := chain.KeyAt(x.size); got.VKey() != x.ok.Verifier().VKey() {
			t.Errorf("key at %d is %v", x.size, got)
		}
		for _, s := range []*proof.Signer{a, b, c} {
			_, err := chain.Open(signed(t, s, x.size, root))
			if s == x.ok && err != nil {
				t.Errorf("size %d, key in force: %v", x.size, err)
			}
			if s != x.ok && (!errors.Is(err, proof.ErrSignature) || !errors.Is(err, proof.ErrNotInForce)) {
				t.Errorf("size %d, key not in force: %v", x.size, err)
			}
		}
	}
	if _, err := chain.Open(signed(t, a, 0, new(proof.Builder).Root())); err != nil {
		t.Errorf("the empty tree: %v", err)
	}
	if _, err := (proof.Chain{}).Open(signed(t, a, 7, root)); !errors.Is(err, proof.ErrSignature) {
		t.Errorf("an empty chain: %v", err)
	}
}

// Who signed in the log's name without being it is told from bytes that changed: the one is evidence, the other proves nothing.
func TestAKeyThatIsNotTheLogsIsToldFromChangedBytes(t *testing.T) {
	a, b, stranger, other := fixedSigner(t, origin, 1), fixedSigner(t, origin, 2), fixedSigner(t, origin, 9), fixedSigner(t, "example.com/other", 9)
	chain := chainOf(t, a, rotation(t, 100, a, b))
	root := grown(7).Root()
	size := func(note []byte, from, to string) []byte { return bytes.Replace(note, []byte(from), []byte(to), 1) }
	for name, x := range map[string]struct {
		note []byte
		want error // nil: ErrSignature and nothing else
	}{
		"a stranger":                       {signed(t, stranger, 7, root), proof.ErrUnknownKey},
		"a retired key":                    {signed(t, a, 150, root), proof.ErrNotInForce},
		"a later key":                      {signed(t, b, 50, root), proof.ErrNotInForce},
		"changed under the key in force":   {size(signed(t, b, 150, root), "150", "151"), nil},
		"changed under the retired key":    {size(signed(t, a, 150, root), "150", "151"), nil},
		"only another log's":               {size(signed(t, other, 7, root), "example.com/other\n", origin+"\n"), nil},
		"a stranger under another's name":  {size(signed(t, other, 7, root), "example.com/other", origin), nil},
		"a stranger's beside a broken one": {append(size(signed(t, b, 150, root), "150", "151"), lastLine(signed(t, stranger, 151, root))...), nil},
	} {
		_, err := chain.Open(x.note)
		if !errors.Is(err, proof.ErrSignature) || slices.ContainsFunc([]error{proof.ErrUnknownKey, proof.ErrNotInForce}, func(e error) bool { return errors.Is(err, e) != errors.Is(x.want, e) }) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func lastLine(note []byte) []byte { return note[bytes.LastIndexByte(note[:len(note)-1], '\n')+1:] }

func TestTrustChainRefusesWhatDoesNotFollow(t *testing.T) {
	a, b, c, thief := fixedSigner(t, origin, 1), fixedSigner(t, origin, 2), fixedSigner(t, origin, 3), fixedSigner(t, origin, 9)
	ab := rotation(t, 100, a, b)
	for name, rotations := range map[string][][]byte{
		"gap in the chain":            {rotation(t, 200, b, c)},
		"two heirs of one key":        {ab, rotation(t, 150, a, thief)},
		"a heir named by a stranger":  {rotation(t, 100, thief, b)},
		"not later than before":       {ab, rotation(t, 100, b, c)},
		"earlier than before":         {ab, rotation(t, 99, b, c)},
		"a retired key comes back":    {ab, rotation(t, 200, b, a)},
		"wrong order":                 {rotation(t, 200, b, c), ab},
		"the same twice":              {ab, ab},
		"a checkpoint for a rotation": {signed(t, a, 7, grown(7).Root())},
		"nothing":                     {nil},
	} {
		if chain, err := proof.TrustChain(a.Verifier().VKey(), rotations); err == nil {
			t.Errorf("%s: accepted: %v", name, chain)
		}
	}
	// The statement names old and is signed by old, yet says it is about another.
	text := strings.Replace(strings.SplitAfter(string(rotation(t, 100, b, c)), "\n\n")[0], "\n\n", "\n", 1)
	forged, err := note.Sign(&note.Note{Text: text}, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.OpenRotation(forged, a.Verifier()); !errors.Is(err, proof.ErrSignature) {
		t.Errorf("rotation about another old key: %v, want ErrSignature", err)
	}
	other := fixedSigner(t, "other.example", 2)
	for name, r := range map[string]proof.Rotation{
		"to itself":     {origin, a.Verifier().VKey(), a.Verifier().VKey(), 5},
		"other log":     {origin, a.Verifier().VKey(), other.Verifier().VKey(), 5},
		"other origin":  {"other.example", a.Verifier().VKey(), b.Verifier().VKey(), 5},
		"negative":      {origin, a.Verifier().VKey(), b.Verifier().VKey(), -1},
		"not its key":   {origin, b.Verifier().VKey(), c.Verifier().VKey(), 5},
		"malformed key": {origin, a.Verifier().VKey(), "x", 5},
	} {
		if _, err := proof.SignRotation(r, a); err == nil {
			t.Errorf("signed a rotation: %s", name)
		}
	}
}

func TestLogKeysAreStrict(t *testing.T) {
	var skey, vkey string
	var s *proof.Signer
	plus := 0 // keys whose base64 has the separator in it
	for i := 0; i < 1000 && (i < 20 || plus < 5); i++ {
		var err error
		if skey, vkey, err = proof.NewLogKey(origin); err != nil {
			t.Fatal(err)
		}
		if strings.Count(skey, "+") > 4 && strings.Count(vkey, "+") > 2 {
			plus++
		}
		if s, err = proof.NewSigner(skey); err != nil || s.Verifier().VKey() != vkey || s.Name() != origin {
			t.Fatalf("signer of a new key: %v, %v", s, err)
		}
	}
	if strings.Contains(fmt.Sprintf("%v %s", s, s), skey[len(skey)-20:]) {
		t.Error("printing a signer shows its secret")
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\u202eb", strings.Repeat("a", 256)} {
		if _, _, err := proof.NewLogKey(name); err == nil {
			t.Errorf("made a key named %q", name)
		}
	}
	for _, bad := range []string{"", vkey + "=", vkey + "\n", strings.Replace(vkey, "log", "lug", 1), skey, strings.Repeat(vkey, 10)} {
		if _, err := proof.NewVerifier(bad); err == nil {
			t.Errorf("accepted the vkey %q", bad)
		}
		if _, err := proof.VKeyPEM(bad); err == nil {
			t.Errorf("PEM of the vkey %q", bad)
		}
	}
	for _, bad := range []string{"", vkey, skey[:len(skey)-4], skey + "\n"} {
		if _, err := proof.NewSigner(bad); err == nil {
			t.Errorf("accepted a malformed secret key of %d bytes", len(bad))
		} else if strings.Contains(err.Error(), skey[len(skey)-20:]) {
			t.Error("the error shows the secret key")
		}
	}
}

func TestProofTextsAreStrict(t *testing.T) {
	key := fixedSigner(t, origin, 1)
	s := grown(7)
	checkpoint := string(signed(t, key, 7, s.Root()))
	h := s.Root().String()
	good := string(leafProof(t, s, []byte(checkpoint), 5, []byte("extra")))
	p, err := proof.ParseProof([]byte(good))
	if err != nil || string(p.Extra) != "extra" || p.Index != 5 || len(p.Hashes) != 3 || string(p.Checkpoint) != checkpoint {
		t.Fatalf("got %+v, %v", p, err)
	}
	for name, bad := range map[string]string{
		"other version":  strings.Replace(good, "@v1", "@v2", 1),
		"empty extra":    strings.Replace(good, "extra ZXh0cmE=", "extra ", 1),
		"loose extra":    strings.Replace(good, "ZXh0cmE=", "ZXh0cmF=", 1),
		"extra twice":    strings.Replace(good, "index", "extra ZXh0cmE=\nindex", 1),
		"extra behind":   strings.Replace(good, "index 5\n", "index 5\nextra ZXh0cmE=\n", 1),
		"leading zero":   strings.Replace(good, "index 5", "index 05", 1),
		"negative":       strings.Replace(good, "index 5", "index -5", 1),
		"behind the end": strings.Replace(good, "index 5", "index 7", 1),
		"no index":       strings.Replace(good, "index 5\n", "", 1),
		"64 hashes":      "c2sp.org/tlog-proof@v1\nindex 5\n" + strings.Repeat(h+"\n", 64) + "\n" + checkpoint,
		"two blanks":     strings.Replace(good, "\n\n", "\n\n\n", 1),
		"no checkpoint":  good[:strings.Index(good, "\n\n")+2],
		"too long":       "c2sp.org/tlog-proof@v1\nextra " + strings.Repeat("A", proof.MaxText) + "\nindex 5\n\n" + checkpoint,
		"returns":        strings.ReplaceAll(good, "\n", "\r\n"),
	} {
		if _, err := proof.ParseProof([]byte(bad)); err == nil {
			t.Errorf("proof with %s was accepted", name)
		}
	}
	good = string(consistency(t, s, []byte(checkpoint), 3))
	for name, bad := range map[string]string{
		"leading zero":  strings.Replace(good, "old 3", "old 03", 1),
		"larger old":    strings.Replace(good, "old 3", "old 8", 1),
		"no old":        strings.Replace(good, "old 3\n", "", 1),
		"64 hashes":     "old 3\n" + strings.Repeat(h+"\n", 64) + "\n" + checkpoint,
		"no checkpoint": good[:strings.Index(good, "\n\n")+2],
	} {
		if _, err := proof.ParseConsistency([]byte(bad)); err == nil {
			t.Errorf("consistency file with %s was accepted", name)
		}
	}
	if _, err := proof.FormatProof(proof.LeafProof{Index: 7, Checkpoint: []byte(checkpoint)}); err == nil {
		t.Error("formatted a proof for a leaf behind the end")
	}
	if _, err := proof.FormatConsistency(proof.Growth{Old: 8, Checkpoint: []byte(checkpoint)}); err == nil {
		t.Error("formatted a tree that shrinks")
	}
	if _, err := p.Check(proof.LeafHash(leaf(4)), chainOf(t, key)); !errors.Is(err, proof.ErrUnproven) {
		t.Errorf("another leaf: %v, want ErrUnproven", err)
	}
	if _, err := p.Check(proof.LeafHash(leaf(5)), chainOf(t, fixedSigner(t, origin, 2))); !errors.Is(err, proof.ErrSignature) {
		t.Errorf("another key: %v, want ErrSignature", err)
	}
}

func TestConsistencyFilesFromEveryOldSize(t *testing.T) {
	key := fixedSigner(t, origin, 1)
	s := grown(300)
	checkpoint := signed(t, key, 300, s.Root())
	for old := range int64(301) {
		g, err := proof.ParseConsistency(consistency(t, s, checkpoint, old))
		if err != nil {
			t.Fatal(err)
		}
		root := grown(old).Root()
		if c, err := g.Check(root, chainOf(t, key)); err != nil || c.Size != 300 {
			t.Fatalf("old %d: %v", old, err)
		}
		root[0] ^= 1
		if _, err := g.Check(root, chainOf(t, key)); !errors.Is(err, proof.ErrUnproven) {
			t.Fatalf("old %d, other root: %v, want ErrUnproven", old, err)
		}
	}
}

func TestTorchwoodAcceptsOurProofs(t *testing.T) {
	key := fixedSigner(t, origin, 1)
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(key.Verifier()))
	for _, size := range []int64{1, 2, 7, 256, 300} {
		s := grown(size)
		checkpoint := signed(t, key, size, s.Root())
		for _, extra := range [][]byte{nil, []byte("opaque")} {
			for _, i := range []int64{0, size / 2, size - 1} {
				text := leafProof(t, s, checkpoint, i, extra)
				if err := torchwood.VerifyProof(policy, proof.LeafHash(leaf(i)), text); err != nil {
					t.Errorf("leaf %d of %d: %v", i, size, err)
				}
				if err := torchwood.VerifyProof(policy, proof.LeafHash(leaf(i+1)), text); err == nil {
					t.Errorf("leaf %d of %d: torchwood accepts another leaf", i, size)
				}
			}
		}
		// And theirs is byte for byte ours.
		hs, err := proof.Inclusion(s, size, 0)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, ours := torchwood.FormatProof(0, hs, checkpoint), leafProof(t, s, checkpoint, 0, nil); !bytes.Equal(theirs, ours) {
			t.Errorf("torchwood writes\n%s\nwe write\n%s", theirs, ours)
		}
	}
}

func TestPathsAreThoseOfTheSpecification(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{proof.TilePath(0, 1234067, 256), "tile/0/x001/x234/067"},
		{proof.TilePath(0, 0, 256), "tile/0/000"},
		{proof.TilePath(1, 3, 17), "tile/1/003.p/17"},
		{proof.TilePath(63, 1000, 1), "tile/63/x001/000.p/1"},
		{proof.EntriesPath(1234067, 256), "tile/entries/x001/x234/067"},
		{proof.EntriesPath(273, 112), "tile/entries/273.p/112"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestEntryBundlesAreLengthPrefixed(t *testing.T) {
	var bundle []byte
	want := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{'x'}, proof.MaxEntry)}
	var err error
	for _, e := range want {
		if bundle, err = proof.AppendEntry(bundle, e); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.HasPrefix(bundle, []byte("\x00\x03one\x00\x00\xff\xffx")) {
		t.Errorf("bundle begins %q", bundle[:10])
	}
	got, err := proof.ParseEntries(bundle)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("entry %d differs", i)
		}
	}
	if _, err := proof.AppendEntry(nil, make([]byte, proof.MaxEntry+1)); err == nil {
		t.Error("an entry that is too long")
	}
	for _, bad := range [][]byte{bundle[:len(bundle)-1], bundle[:1], make([]byte, 2*257)} {
		if _, err := proof.ParseEntries(bad); err == nil {
			t.Errorf("a bundle of %d bytes was accepted", len(bad))
		}
	}
}

func TestOpensslVerifiesACheckpoint(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is needed here")
		}
		t.Skip("NOT TESTED: the check by hand needs openssl")
	}
	key := fixedSigner(t, origin, 1)
	dir := t.TempDir()
	pem, err := proof.VKeyPEM(key.Verifier().VKey())
	if err != nil {
		t.Fatal(err)
	}
	text, sig, err := proof.SignatureBytes(signed(t, key, 7, grown(7).Root()), key.Verifier().VKey())
	if err != nil {
		t.Fatal(err)
	}
	verify := func(text []byte) error {
		for name, b := range map[string][]byte{"log.pem": pem, "signed": text, "signature": sig} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(openssl, "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "log.pem", "-in", "signed", "-sigfile", "signature")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := verify(text); err != nil {
		t.Errorf("openssl: %v", err)
	}
	text[0] ^= 1
	if verify(text) == nil {
		t.Error("openssl accepts a changed text")
	}
	if _, _, err := proof.SignatureBytes(signed(t, fixedSigner(t, origin, 2), 7, grown(7).Root()), key.Verifier().VKey()); !errors.Is(err, proof.ErrSignature) {
		t.Errorf("signature of another key: %v, want ErrSignature", err)
	}
}
