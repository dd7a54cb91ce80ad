package proof

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// MaxOrigin is the longest origin in bytes.
const MaxOrigin = 255

// checkOrigin reports whether origin can name a log: it is also the key's name,
// so c2sp.org/signed-note forbids spaces and plus; and nothing invisible or
// reversed may hide in what a person compares by eye.
func checkOrigin(origin string) error {
	bad := func(r rune) bool { return r == '+' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if origin == "" || len(origin) > MaxOrigin || !utf8.ValidString(origin) || strings.ContainsFunc(origin, bad) {
		return fmt.Errorf("origin %.40q: want 1 to %d bytes of printable text without spaces and plus", origin, MaxOrigin)
	}
	return nil
}

// NewLogKey makes an Ed25519 key for a log. skey is secret; vkey is what
// verifiers get. Both are one line of text in the form of
// golang.org/x/mod/sumdb/note; the key's name is the origin.
func NewLogKey(origin string) (skey, vkey string, err error) {
	if err := checkOrigin(origin); err != nil {
		return "", "", fmt.Errorf("new log key: %w", err)
	}
	return note.GenerateKey(rand.Reader, origin)
}

// Signer signs as a log. It implements note.Signer.
type Signer struct {
	signer   note.Signer
	verifier *Verifier
}

// NewSigner reads a key made by [NewLogKey]. The error never contains the key.
func NewSigner(skey string) (*Signer, error) {
	s, err := note.NewSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	// note keeps the public half to itself; derive it again.
	// The key's own base64 may contain a plus, so it is found by its position.
	prefix := fmt.Sprintf("PRIVATE+KEY+%s+%08x+", s.Name(), s.KeyHash())
	secret, ok := strings.CutPrefix(skey, prefix)
	b, err := base64.StdEncoding.Strict().DecodeString(secret)
	if !ok || err != nil || len(b) != 1+ed25519.SeedSize || strings.ContainsAny(skey, "\r\n") { // the decoder skips them
		return nil, errors.New("log key: malformed")
	}
	public := ed25519.NewKeyFromSeed(b[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(s.Name(), public)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	v, err := NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	return &Signer{s, v}, nil
}

// Name returns the origin.
func (s *Signer) Name() string { return s.signer.Name() }

// KeyHash returns the short identifier that stands in signatures.
func (s *Signer) KeyHash() uint32 { return s.signer.KeyHash() }

// Sign returns the raw signature of msg.
func (s *Signer) Sign(msg []byte) ([]byte, error) { return s.signer.Sign(msg) }

// Verifier returns the public half.
func (s *Signer) Verifier() *Verifier { return s.verifier }

// String returns the public half, so that printing a Signer is harmless.
func (s *Signer) String() string { return s.verifier.VKey() }

// Verifier checks the signatures of a log. It implements note.Verifier.
type Verifier struct {
	verifier note.Verifier
	public   ed25519.PublicKey
	vkey     string
}

// NewVerifier reads a vkey. Only Ed25519 keys in their one canonical spelling
// are accepted, so equal keys are equal strings.
func NewVerifier(vkey string) (*Verifier, error) {
	if len(vkey) > MaxOrigin+64 {
		return nil, fmt.Errorf("log vkey: longer than %d bytes", MaxOrigin+64)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("log vkey %.40q: %w", vkey, err)
	}
	if err := checkOrigin(v.Name()); err != nil {
		return nil, fmt.Errorf("log vkey: %w", err)
	}
	b, err := base64.StdEncoding.DecodeString(vkey[len(v.Name())+len("+00000000+"):])
	if err != nil || len(b) != 1+ed25519.PublicKeySize {
		return nil, fmt.Errorf("log vkey %.40q: malformed", vkey)
	}
	public := ed25519.PublicKey(b[1:])
	if canonical, err := note.NewEd25519VerifierKey(v.Name(), public); err != nil || canonical != vkey {
		return nil, fmt.Errorf("log vkey %.40q: not in canonical form", vkey)
	}
	return &Verifier{v, public, vkey}, nil
}

// Name returns the origin.
func (v *Verifier) Name() string { return v.verifier.Name() }

// KeyHash returns the short identifier that stands in signatures.
func (v *Verifier) KeyHash() uint32 { return v.verifier.KeyHash() }

// Verify reports whether sig is a signature of msg by this key.
func (v *Verifier) Verify(msg, sig []byte) bool { return v.verifier.Verify(msg, sig) }

// VKey returns the key as text, as it was given to NewVerifier.
func (v *Verifier) VKey() string { return v.vkey }

// String returns the key as text.
func (v *Verifier) String() string { return v.vkey }

// VKeyPEM returns the public key of a vkey as openssl reads it: PEM around the
// SubjectPublicKeyInfo of RFC 8410 §4. With the two results of
// [SignatureBytes] in files,
//
//	openssl pkeyutl -verify -rawin -pubin -inkey log.pem -in signed -sigfile signature
//
// checks a signature without any of our code.
func VKeyPEM(vkey string) ([]byte, error) {
	v, err := NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	// SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING of 32 bytes }: the
	// same 12 bytes for every key, so crypto/x509 (and net) stay out.
	const header = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append([]byte(header), v.public...)}), nil
}

// SignatureBytes returns the two inputs of a check by hand: the bytes of a
// signed note that are signed, and the 64-byte signature of this key. It has
// verified them.
func SignatureBytes(signedNote []byte, vkey string) (signed, signature []byte, err error) {
	v, err := NewVerifier(vkey)
	if err != nil {
		return nil, nil, err
	}
	n, err := openNote(signedNote, v)
	if err != nil {
		return nil, nil, err
	}
	b, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return nil, nil, err
	}
	return []byte(n.Text), b[4:], nil // behind the 4 bytes of the key hash
}
