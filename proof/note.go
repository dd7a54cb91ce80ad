package proof

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// MaxText is the longest proof or consistency file that is read, in bytes.
	MaxText = 256 << 10
	// MaxNote is the longest signed note that is read: room for far more than
	// the 16 signatures that c2sp.org/signed-note asks verifiers to accept.
	MaxNote = 128 << 10
)

// ErrSignature is the error of a note without a valid signature by a key that
// the caller trusts for it.
var ErrSignature = errors.New("no valid signature by a trusted key")

// openNote verifies a signed note; at least one of the keys must have signed.
func openNote(msg []byte, keys ...*Verifier) (*note.Note, error) {
	known := make([]note.Verifier, len(keys))
	for i, k := range keys {
		known[i] = k
	}
	n, err := parseNote(msg, note.VerifierList(known...))
	if err != nil {
		return nil, err
	}
	if len(n.Sigs) == 0 {
		return nil, ErrSignature
	}
	return n, nil
}

// parseNote parses a signed note and verifies the signatures of known keys;
// there may be none. It is stricter than note.Open: base64 must be canonical,
// and no line may be one that note.Open skips without looking (a key's second
// signature, an unknown key's repeated line).
func parseNote(msg []byte, known note.Verifiers) (*note.Note, error) {
	if len(msg) > MaxNote {
		return nil, fmt.Errorf("signed note: longer than %d bytes", MaxNote)
	}
	n, err := note.Open(msg, known)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		n = unverified.Note
	case errors.As(err, &invalid):
		return nil, fmt.Errorf("signed note: key %.40q: %w", invalid.Name, ErrSignature)
	case err != nil:
		return nil, fmt.Errorf("signed note: %w", err)
	}
	if bytes.Count(msg, []byte("\n")) != strings.Count(n.Text, "\n")+1+len(n.Sigs)+len(n.UnverifiedSigs) {
		return nil, errors.New("signed note: repeated signature")
	}
	for _, list := range [][]note.Signature{n.Sigs, n.UnverifiedSigs} {
		for _, sig := range list {
			if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
				return nil, fmt.Errorf("signed note: signature of %.40q is not canonical base64", sig.Name)
			}
		}
	}
	return n, nil
}

// lines splits text of which every line ends in a newline.
func lines(text string) ([]string, bool) {
	body, ok := strings.CutSuffix(text, "\n")
	return strings.Split(body, "\n"), ok
}

// parseSize reads a decimal number as the C2SP formats want it: digits only,
// no leading zero, at most max.
func parseSize(s string, max int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > max || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%.40q is not a decimal number from 0 to %d without leading zeros", s, max)
	}
	return n, nil
}

// parseHash reads a hash in canonical base64.
func parseHash(s string) (Hash, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != tlog.HashSize || len(s) != 44 { // the decoder skips carriage returns
		return Hash{}, fmt.Errorf("%.60q is not a hash in canonical base64", s)
	}
	return Hash(b), nil
}
