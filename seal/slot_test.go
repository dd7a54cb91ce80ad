package seal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

func newTestSlot(t testing.TB) (*Slot, *KEK, []byte, []byte) {
	t.Helper()
	kek := &KEK{ID: 1, aead: newAEAD(randomKey())}
	context := []byte("guia.slot/v1record")
	s, wrapped := NewSlot(kek, context)
	return s, kek, wrapped, context
}

func TestEveryFlippedBitOfAWrapAndABodyIsNoticed(t *testing.T) {
	s, kek, wrapped, context := newTestSlot(t)
	if _, err := OpenSlot(kek, wrapped, context); err != nil {
		t.Fatal(err)
	}
	sealed := s.Seal(nil, []byte("body"), context)
	flips := func(b []byte, try func([]byte) error, what string) {
		for i := range 8 * len(b) {
			bad := bytes.Clone(b)
			bad[i/8] ^= 1 << (i % 8)
			if try(bad) == nil {
				t.Errorf("%s: bit %d is not noticed", what, i)
			}
		}
		for n := range b {
			if try(b[:n]) == nil {
				t.Errorf("%s: cut to %d bytes is not noticed", what, n)
			}
		}
		if try(append(bytes.Clone(b), 0)) == nil {
			t.Errorf("%s: a byte more is not noticed", what)
		}
	}
	flips(wrapped, func(b []byte) error { _, err := OpenSlot(kek, b, context); return err }, "wrap")
	flips(context, func(b []byte) error { _, err := OpenSlot(kek, wrapped, b); return err }, "context of the wrap")
	flips(sealed, func(b []byte) error { _, err := s.Open(nil, b, context); return err }, "body")
	flips(context, func(b []byte) error { _, err := s.Open(nil, sealed, b); return err }, "context of the body")
	if _, err := OpenSlot(&KEK{ID: 1, aead: newAEAD(randomKey())}, wrapped, context); err == nil {
		t.Error("another KEK opens the wrap")
	}
}

func TestSlotKeysAndSaltsAreNeverTheSame(t *testing.T) {
	seen := map[[32]byte]string{}
	for i := range 50 {
		s, _, _, _ := newTestSlot(t)
		for _, field := range []string{"", "a", "b", "text.0000", "text.0001", string(bytes.Repeat([]byte("x"), 300)), string(bytes.Repeat([]byte("x"), 301))} {
			salt := s.Salt(field)
			if was := seen[salt]; was != "" {
				t.Fatalf("slot %d: the salt of %.20q is that of %s", i, field, was)
			}
			seen[salt] = fmt.Sprintf("%.20q of slot %d", field, i)
			if again := s.Salt(field); again != salt {
				t.Fatalf("the salt of %.20q changes", field)
			}
		}
	}
}

func encrypt(t testing.TB, s *Slot, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, _, err := s.Encrypt("file.0001", &b, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFilesCannotBeCutSwappedOrLengthened(t *testing.T) {
	const full = segment + 16
	s, _, _, _ := newTestSlot(t)
	opens := func(b []byte) bool { return s.Decrypt("file.0001", io.Discard, bytes.NewReader(b)) == nil }
	three := encrypt(t, s, pattern(3*segment))
	tail := encrypt(t, s, pattern(2*segment+5))
	if !opens(three) || !opens(tail) {
		t.Fatal("a sound file does not open")
	}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	seg := func(b []byte, i int) []byte { return b[i*full : min(len(b), (i+1)*full)] }
	for name, b := range map[string][]byte{
		"nothing":                      nil,
		"cut behind the first":         seg(three, 0),
		"cut behind the second":        three[:2*full],
		"cut in the middle":            three[:full+100],
		"cut by one byte":              three[:len(three)-1],
		"the first gone":               three[full:],
		"the second gone":              cat(seg(three, 0), seg(three, 2)),
		"first and second swapped":     cat(seg(three, 1), seg(three, 0), seg(three, 2)),
		"the first twice":              cat(seg(three, 0), three),
		"the last twice":               cat(three, seg(three, 2)),
		"a byte more":                  append(bytes.Clone(three), 0),
		"a tag more":                   append(bytes.Clone(three), make([]byte, 16)...),
		"an empty segment at the end":  cat(three[:2*full], encrypt(t, s, nil)),
		"the empty file at the end":    cat(three, encrypt(t, s, nil)),
		"the last segment at the head": cat(seg(three, 2), three[:2*full]),
	} {
		if opens(b) {
			t.Errorf("%s: opens", name)
		}
	}
}

func TestEveryFlippedBitOfAFileIsNoticed(t *testing.T) {
	s, _, _, _ := newTestSlot(t)
	small := encrypt(t, s, []byte("a small file"))
	for i := range 8 * len(small) {
		bad := bytes.Clone(small)
		bad[i/8] ^= 1 << (i % 8)
		if s.Decrypt("file.0001", io.Discard, bytes.NewReader(bad)) == nil {
			t.Errorf("bit %d is not noticed", i)
		}
	}
	large := encrypt(t, s, pattern(segment+10))
	step := 1009 // a prime: each place in a byte, both segments
	for i := 0; i < 8*len(large); i += step {
		large[i/8] ^= 1 << (i % 8)
		if s.Decrypt("file.0001", io.Discard, bytes.NewReader(large)) == nil {
			t.Errorf("bit %d is not noticed", i)
		}
		large[i/8] ^= 1 << (i % 8)
	}
}

// TestAFileThatBreaksOffIsNoFile: readers of archives say io.ErrUnexpectedEOF when their source is cut off.
func TestAFileThatBreaksOffIsNoFile(t *testing.T) {
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("the disk is gone"), fmt.Errorf("part: %w", io.EOF)} {
		for _, n := range []int{0, 1, segment - 1, segment, segment + 1, 2 * segment} {
			s, _, _, _ := newTestSlot(t)
			broken := io.MultiReader(bytes.NewReader(pattern(n)), iotest.ErrReader(cause))
			if _, _, err := s.Encrypt("file.0001", io.Discard, broken); !errors.Is(err, cause) {
				t.Errorf("encrypt breaks off behind %d bytes with %q: %v", n, cause, err)
			}
			sealed := encrypt(t, s, pattern(segment+20))
			broken = io.MultiReader(bytes.NewReader(sealed[:min(n, len(sealed))]), iotest.ErrReader(cause))
			if err := s.Decrypt("file.0001", io.Discard, broken); err == nil {
				t.Errorf("decrypt breaks off behind %d bytes with %q: no error", n, cause)
			}
		}
	}
}

func TestFilesAreReadAndWrittenInAnyPieces(t *testing.T) {
	for _, size := range []int{0, 1, segment - 1, segment, segment + 1} {
		s, _, _, _ := newTestSlot(t)
		plain := pattern(size)
		want := encrypt(t, s, plain)
		var b bytes.Buffer
		digest, n, err := s.Encrypt("file.0001", &b, iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(plain))))
		if err != nil || n != int64(size) || digest != sha256.Sum256(plain) || !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%d bytes in pieces: %v", size, err)
		}
		var back bytes.Buffer
		if err := s.Decrypt("file.0001", &back, iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(want)))); err != nil || !bytes.Equal(back.Bytes(), plain) {
			t.Errorf("%d bytes back in pieces: %v", size, err)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	s := &Slot{newMAC([]byte("0123456789abcdef0123456789abcdef"))}
	var b bytes.Buffer
	if _, _, err := s.Encrypt("file.0001", &b, bytes.NewReader([]byte("x"))); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{})
	f.Add(make([]byte, segment+17))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if s.Decrypt("file.0001", io.Discard, bytes.NewReader(sealed)) == nil && !bytes.Equal(sealed, b.Bytes()) {
			t.Errorf("%d foreign bytes open", len(sealed))
		}
	})
}
