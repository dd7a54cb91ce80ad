package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// vectors are the frozen answers of another implementation.
func vectors(t *testing.T) (text func(string) string, raw func(string) []byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = "); ok && !strings.HasPrefix(line, "#") {
			all[name] = value
		}
	}
	text = func(name string) string {
		t.Helper()
		if all[name] == "" {
			t.Fatalf("no vector %q", name)
		}
		return all[name]
	}
	return text, func(name string) []byte {
		t.Helper()
		v, err := hex.DecodeString(text(name))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestVectorsOfAnotherImplementation(t *testing.T) {
	text, raw := vectors(t)
	s := &Slot{newMAC(raw("slot.key"))}
	equal := func(name string, got []byte) {
		t.Helper()
		if want := raw(name); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
	for _, field := range []string{"time", "text.0000", "file.0001.name"} {
		salt := s.Salt(field)
		equal("salt "+field, salt[:])
	}
	context := raw("slot.context")
	kek := &KEK{ID: 1, aead: newAEAD(raw("kek"))}
	opened, err := OpenSlot(kek, raw("wrap"), context)
	if err != nil || opened.mac != s.mac {
		t.Fatalf("the wrapped key does not open: %v", err)
	}
	equal("body.sealed", s.Seal(nil, raw("body.plain"), context))
	body, err := opened.Open(nil, raw("body.sealed"), context)
	if err != nil {
		t.Fatal(err)
	}
	equal("body.plain", body)

	var owner Owner
	copy(owner[:], raw("kek.owner"))
	key, err := unwrap(newAEAD(raw("epoch.key")), raw("kek.wrap 258 chat"), kekContext(258, KeyName{owner, "chat"}))
	if err != nil {
		t.Fatal(err)
	}
	equal("kek", key)

	k := &Keeper{mac: newMAC(raw("mac.key"))}
	o := k.Owner("person", "slack", "U1")
	equal("owner person slack U1", o[:])
	o = k.Owner("stream", "mbox", "")
	equal("owner stream mbox ", o[:])

	for _, size := range []int{0, 1, 65535, 65536, 65537, 131072} {
		plain := pattern(size)
		var sealed bytes.Buffer
		digest, n, err := s.Encrypt("file.0001", &sealed, bytes.NewReader(plain))
		if err != nil || n != int64(size) {
			t.Fatalf("%d bytes: %d, %v", size, n, err)
		}
		if got := fmt.Sprintf("%d %x %x", sealed.Len(), sha256.Sum256(sealed.Bytes()), digest); got != text(fmt.Sprintf("file %d", size)) {
			t.Errorf("%d bytes: got %s", size, got)
		}
		var back bytes.Buffer
		if err := s.Decrypt("file.0001", &back, bytes.NewReader(sealed.Bytes())); err != nil || !bytes.Equal(back.Bytes(), plain) {
			t.Errorf("%d bytes do not come back: %v", size, err)
		}
		if err := s.Decrypt("file.0002", io.Discard, bytes.NewReader(sealed.Bytes())); err == nil {
			t.Errorf("%d bytes open under another name", size)
		}
	}
}
