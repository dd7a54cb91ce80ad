package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"guia/proof"
)

// Digest is a name of the container with the SHA-256 of its content.
type Digest struct {
	Name string
	Sum  [32]byte
}

const (
	manifestHead = `<?xml version="1.0" encoding="UTF-8"?>
<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
<asic:SigReference URI="META-INF/manifest.note" MimeType="text/plain"/>
`
	manifestObject = `<asic:DataObjectReference URI="%s" MimeType="%s"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>%s</ds:DigestValue></asic:DataObjectReference>
`
	manifestTail = "</asic:ASiCManifest>\n"
	noteHead     = "guia.bundle/v1\nmanifest sha256:%x\ncheckpoint sha256:%x\n"
)

// FormatManifest returns META-INF/ASiCManifest001.xml for these files, which are in ascending order of name.
func FormatManifest(files []Digest) []byte {
	var b bytes.Buffer
	b.WriteString(manifestHead)
	for _, f := range files {
		fmt.Fprintf(&b, manifestObject, f.Name, mediaType(f.Name), base64.StdEncoding.EncodeToString(f.Sum[:]))
	}
	b.WriteString(manifestTail)
	return b.Bytes()
}

// ParseManifest reads what [FormatManifest] writes and nothing else. The names are sane and strictly ascending.
func ParseManifest(text []byte) ([]Digest, error) {
	body, ok := strings.CutPrefix(string(text), manifestHead)
	body, ok2 := strings.CutSuffix(body, manifestTail)
	if !ok || !ok2 {
		return nil, errors.New("manifest: it does not begin and end as it must")
	}
	var files []Digest
	for line := range strings.Lines(body) {
		_, rest, _ := strings.Cut(line, ` URI="`)
		name, _, _ := strings.Cut(rest, `"`)
		_, rest, _ = strings.Cut(line, `<ds:DigestValue>`)
		value, _, _ := strings.Cut(rest, `<`)
		var sum [32]byte
		got, ok := appendBase64(sum[:0], []byte(value))
		if !ok || len(got) != len(sum) || !sane(name) || strings.ContainsAny(name, `"&<>'`) ||
			line != fmt.Sprintf(manifestObject, name, mediaType(name), value) {
			return nil, fmt.Errorf("manifest: line %d is not a DataObjectReference in the only form", len(files)+4)
		}
		if len(files) > 0 && files[len(files)-1].Name >= name {
			return nil, fmt.Errorf("manifest: line %d: names do not ascend", len(files)+4)
		}
		files = append(files, Digest{name, sum})
	}
	return files, nil
}

// FormatSums returns SHA256SUMS for these files, which are in ascending order of name.
func FormatSums(files []Digest) []byte {
	var b []byte
	for _, f := range files {
		b = hex.AppendEncode(b, f.Sum[:])
		b = append(b, ' ', ' ')
		b = append(b, f.Name...)
		b = append(b, '\n')
	}
	return b
}

// ParseSums reads what [FormatSums] writes and nothing else. The names are sane and strictly ascending.
func ParseSums(text []byte) ([]Digest, error) {
	var files []Digest
	for line := range strings.Lines(string(text)) {
		var d Digest
		if len(line) < 68 || line[64:66] != "  " || line[len(line)-1] != '\n' || !lowerHex(d.Sum[:], []byte(line[:64])) {
			return nil, fmt.Errorf("SHA256SUMS: line %d is not a digest and a name", len(files)+1)
		}
		d.Name = line[66 : len(line)-1]
		if !sane(d.Name) || len(files) > 0 && files[len(files)-1].Name >= d.Name {
			return nil, fmt.Errorf("SHA256SUMS: line %d: names do not ascend", len(files)+1)
		}
		files = append(files, d)
	}
	return files, nil
}

// FormatManifestNote returns the text that META-INF/manifest.note signs: digests of the manifest and of the checkpoint.
func FormatManifestNote(manifest, checkpoint [32]byte) []byte {
	return fmt.Appendf(nil, noteHead, manifest, checkpoint)
}

// SignManifestNote returns the text of [FormatManifestNote] as a note with the one signature that META-INF/manifest.note has.
func SignManifestNote(text []byte, signer *proof.Signer) ([]byte, error) {
	signature, err := signer.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("sign manifest: %w", err)
	}
	return formatNote(text, signer.Name(), signer.KeyHash(), signature), nil
}

// formatNote is the form of c2sp.org/signed-note with one signature.
func formatNote(text []byte, name string, hash uint32, signature []byte) []byte {
	raw := append(binary.BigEndian.AppendUint32(nil, hash), signature...)
	return fmt.Appendf(nil, "%s\n\u2014 %s %s\n", text, name, base64.StdEncoding.EncodeToString(raw))
}

// openManifestNote returns the text of a note that this key, and no other, signed.
func openManifestNote(note []byte, key *proof.Verifier) ([]byte, error) {
	text, signature, err := proof.SignatureBytes(note, key.VKey())
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(formatNote(text, key.Name(), key.KeyHash(), signature), note) {
		return nil, errors.New("manifest note: more than one signature")
	}
	return text, nil
}
