package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Slot is a slot key in use. It seals one body and any number of named files, each under a key of its own derived from the slot key
// with HKDF-Expand (RFC 5869), and derives the salts of the slot's commitments. A slot key seals once: every derived key meets one
// plaintext, so the nonces are constant. Not for concurrent use.
type Slot struct {
	mac mac // keyed with the slot key
}

// Overhead is by how many bytes a sealed body is longer than the body.
const Overhead = 16

// NewSlot returns a fresh random slot key, and its wrapped form bound to context.
func NewSlot(kek *KEK, context []byte) (*Slot, []byte) {
	var key [KeySize]byte
	rand.Read(key[:])
	return &Slot{newMAC(key[:])}, kek.aead.Seal(make([]byte, 0, WrapSize), nil, key[:], context)
}

// OpenSlot unwraps a slot key. An error means that the wrap or the context is not what it was.
func OpenSlot(kek *KEK, wrapped, context []byte) (*Slot, error) {
	var buffer [WrapSize]byte
	if len(wrapped) != WrapSize {
		return nil, fmt.Errorf("wrapped key has %d bytes, not %d", len(wrapped), WrapSize)
	}
	key, err := kek.aead.Open(buffer[:0], nil, wrapped, context)
	if err != nil {
		return nil, errors.New("wrapped key does not open")
	}
	return &Slot{newMAC(key)}, nil
}

// derive is HKDF-Expand with SHA-256 for 32 bytes: HMAC(slot key, label || name || 0x01).
func (s *Slot) derive(label, name string) [32]byte {
	var message [256]byte
	b := append(message[:0], s.mac.inner[:]...)
	b = append(b, label...)
	b = append(b, name...)
	b = append(b, 1)
	return s.mac.sum(b)
}

// Salt returns the salt of the commitment of the named field.
func (s *Slot) Salt(field string) [32]byte { return s.derive("guia.salt/v1 ", field) }

// Seal appends the encrypted body to dst. It must be called at most once in the life of a slot key.
func (s *Slot) Seal(dst, body, context []byte) []byte {
	key := s.derive("guia.body/v1", "")
	return fixedAEAD(key[:]).Seal(dst, zeroNonce[:], body, context)
}

// Open appends the decrypted body to dst.
func (s *Slot) Open(dst, sealed, context []byte) ([]byte, error) {
	key := s.derive("guia.body/v1", "")
	body, err := fixedAEAD(key[:]).Open(dst, zeroNonce[:], sealed, context)
	if err != nil {
		return nil, errors.New("slot does not open")
	}
	return body, nil
}

var zeroNonce [12]byte

// fixedAEAD is AES-256-GCM whose nonce the caller gives; only for keys that meet each nonce once.
func fixedAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// segment is how much of a file is encrypted at once. Each segment is followed by its tag; the nonce is the segment's number and
// a mark on the last one, so that segments can be neither swapped nor cut off (the STREAM construction).
const segment = 64 << 10

// Encrypt writes the encrypted form of the file r under the name to w and returns the plaintext's SHA-256 and size. Memory is one
// segment. It must be called at most once per name in the life of a slot key.
func (s *Slot) Encrypt(name string, w io.Writer, r io.Reader) (digest [sha256.Size]byte, size int64, err error) {
	key := s.derive("guia.file/v1 ", name)
	aead, sum := fixedAEAD(key[:]), sha256.New()
	plain, next := make([]byte, segment), make([]byte, segment)
	sealed := make([]byte, 0, segment+aead.Overhead())
	n, last, err := fill(r, plain)
	for number := uint64(0); ; number++ {
		if err != nil {
			return digest, size, err
		}
		var following int
		var end bool
		if !last { // is there anything after this full segment?
			following, end, err = fill(r, next)
			last = following == 0 && end && err == nil
		}
		sum.Write(plain[:n])
		size += int64(n)
		if _, err := w.Write(aead.Seal(sealed, segmentNonce(number, last), plain[:n], nil)); err != nil {
			return digest, size, err
		}
		if last {
			return [sha256.Size]byte(sum.Sum(nil)), size, nil
		}
		plain, next, n, last = next, plain, following, end
	}
}

// fill reads until the buffer is full or the file ends. io.ReadFull cannot be used: it says io.ErrUnexpectedEOF at the end of a file,
// and so does a reader whose own source broke off, which must not pass for an end.
func fill(r io.Reader, buffer []byte) (n int, end bool, err error) {
	for n < len(buffer) {
		m, err := r.Read(buffer[n:])
		n += m
		if err == io.EOF { // not errors.Is: a wrapped EOF is somebody's trouble, not the end
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// Decrypt writes the plaintext of the file r to w. What was written before an error is not to be used.
func (s *Slot) Decrypt(name string, w io.Writer, r io.Reader) error {
	key := s.derive("guia.file/v1 ", name)
	aead := fixedAEAD(key[:])
	full := segment + aead.Overhead()
	sealed, next := make([]byte, full), make([]byte, full)
	n, last, err := fill(r, sealed)
	for number := uint64(0); ; number++ {
		if err != nil {
			return err
		}
		var following int
		var end bool
		if !last {
			following, end, err = fill(r, next)
			last = following == 0 && end && err == nil
		}
		plain, bad := aead.Open(sealed[:0], segmentNonce(number, last), sealed[:n], nil)
		if bad != nil {
			return errors.New("file does not open")
		}
		if _, err := w.Write(plain); err != nil {
			return err
		}
		if last {
			return nil
		}
		sealed, next, n, last = next, sealed, following, end
	}
}

// segmentNonce is the segment's number (8 bytes, big endian), three zeros, and 1 on the last segment.
func segmentNonce(number uint64, last bool) []byte {
	nonce := binary.BigEndian.AppendUint64(make([]byte, 0, 12), number)
	nonce = append(nonce, 0, 0, 0, 0)
	if last {
		nonce[11] = 1
	}
	return nonce
}
