package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"guia"
	"guia/proof"
)

// docs/format/backup.md
const (
	manifestName  = "MANIFEST"
	formatLine    = "guia.backup/v1"
	setPrefix     = "guia-"
	unfinished    = ".guia-unfinished"
	maxManifest   = 1 << 30
	maxSetFiles   = 8 << 20
	databaseName  = "guia.db"
	keysName      = "keys.db"
	versionName   = "VERSION"
	noteName      = "checkpoint"
	growthName    = "consistency"
	keyFolder     = "log"
	escrowFolder  = "escrow"
	blobFolder    = "blobs/sha256"
	manifestLabel = "backup:manifest"
)

// File is one file of a set.
type File struct {
	Digest [sha256.Size]byte
	Size   int64
	Name   string // with slashes, relative to the set
}

// Manifest says what a set is and lists its files.
type Manifest struct {
	Set     string // where it is; not part of the text
	Origin  string // of the log
	Size    int64  // how many events
	Root    proof.Hash
	Epoch   int       // of the epoch key that opens the key database
	Created time.Time // UTC, whole seconds
	Files   []File    // ascending names
	// MAC is a keyed hash over the text before it, under a key that stands in the set's own key database: [Restore] checks it. Without it
	// somebody who can write to the medium could give themselves a role.
	MAC [16]byte
	// Digest is the SHA-256 of the whole text, which the ledger records (backup.finished).
	Digest [sha256.Size]byte
}

// Bytes is how much the files are together.
func (m Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// body is the text that the MAC covers.
func (m Manifest) body() []byte {
	b := fmt.Appendf(nil, "%s\norigin %s\nsize %d\nroot %s\nepoch %d\ncreated %s\nfiles %d\n",
		formatLine, m.Origin, m.Size, m.Root, m.Epoch, m.Created.UTC().Format(time.RFC3339), len(m.Files))
	for _, f := range m.Files {
		b = hex.AppendEncode(b, f.Digest[:])
		b = append(b, ' ')
		b = strconv.AppendInt(b, f.Size, 10)
		b = append(b, ' ')
		b = append(b, f.Name...)
		b = append(b, '\n')
	}
	return b
}

// text is the whole file.
func (m Manifest) text() []byte { return fmt.Appendf(m.body(), "mac %x\n", m.MAC) }

var errManifest = errors.New("not in the form of docs/format/backup.md")

// parseManifest reads what [Manifest.text] writes and nothing else.
func parseManifest(text []byte) (m Manifest, err error) {
	rest := string(text)
	line := func(word string) (value string) {
		l, after, ok := strings.Cut(rest, "\n")
		value, isWord := strings.CutPrefix(l, word+" ")
		if !ok || !isWord {
			err = errManifest
		}
		rest = after
		return value
	}
	first, after, _ := strings.Cut(rest, "\n")
	if first != formatLine {
		if strings.HasPrefix(first, "guia.backup/v") && len(first) < 32 {
			return m, guia.Refuse(guia.Blocked, "archive.newer_set", strings.TrimPrefix(first, "guia.backup/"))
		}
		return m, errManifest
	}
	rest = after
	number := func(word string, least, most int64) int64 {
		n, bad := strconv.ParseInt(line(word), 10, 64)
		if bad != nil || n < least || n > most {
			err = errManifest
		}
		return n
	}
	m.Origin = line("origin")
	m.Size = number("size", 0, proof.MaxSize)
	if hash, bad := parseRoot(line("root")); bad == nil {
		m.Root = hash
	} else {
		err = errManifest
	}
	m.Epoch = int(number("epoch", 1, 1<<31-1))
	if m.Created, _ = time.Parse(time.RFC3339, line("created")); m.Created.IsZero() {
		err = errManifest
	}
	count := number("files", 1, maxSetFiles)
	if err != nil {
		return m, err
	}
	if count > int64(len(rest))/(2*sha256.Size) {
		return m, errManifest
	}
	m.Files = make([]File, 0, count)
	for range count {
		l, after, ok := strings.Cut(rest, "\n")
		rest = after
		f, bad := parseFile(l)
		if !ok || bad != nil || len(m.Files) > 0 && m.Files[len(m.Files)-1].Name >= f.Name {
			return m, errManifest
		}
		m.Files = append(m.Files, f)
	}
	mac, bad := hex.DecodeString(line("mac"))
	if err != nil || bad != nil || len(mac) != len(m.MAC) {
		return m, errManifest
	}
	copy(m.MAC[:], mac)
	if string(m.text()) != string(text) { // one meaning has one spelling
		return m, errManifest
	}
	m.Digest = sha256.Sum256(text)
	return m, nil
}

// parseRoot reads a hash as checkpoints spell it.
func parseRoot(s string) (h proof.Hash, err error) {
	err = h.UnmarshalJSON([]byte(strconv.Quote(s)))
	return h, err
}

func parseFile(line string) (f File, err error) {
	digest, rest, _ := strings.Cut(line, " ")
	size, name, _ := strings.Cut(rest, " ")
	sum, err := hex.DecodeString(digest)
	if err != nil || len(sum) != sha256.Size || !validName(name) {
		return f, errManifest
	}
	copy(f.Digest[:], sum)
	f.Name = name
	if f.Size, err = strconv.ParseInt(size, 10, 64); err != nil || f.Size < 0 || f.Size > 1<<50 {
		return f, errManifest
	}
	return f, nil
}

// validName accepts the names that sets have: it decides what Restore may write, so that a manifest cannot reach outside.
func validName(name string) bool {
	switch name {
	case databaseName, keysName, versionName, noteName, growthName:
		return true
	}
	if digits, ok := strings.CutPrefix(name, blobFolder+"/"); ok {
		return len(digits) == 2*sha256.Size+1 && digits[2] == '/' && isHex(digits[:2]+digits[3:])
	}
	if rest, ok := strings.CutPrefix(name, escrowFolder+"/"); ok {
		digits, isEscrow := strings.CutSuffix(strings.TrimPrefix(rest, "epoch-"), ".age")
		return rest == "recipients.txt" || isEscrow && strings.HasPrefix(rest, "epoch-") && isNumber(digits)
	}
	if rest, ok := strings.CutPrefix(name, keyFolder+"/"); ok {
		digits, isRotation := strings.CutPrefix(rest, "rotation-")
		return rest == "vkey" || isRotation && isNumber(digits)
	}
	return false
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func isNumber(s string) bool {
	return s != "" && len(s) < 10 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// readManifest reads the manifest of a set.
func readManifest(set string) (Manifest, error) {
	path := filepath.Join(set, manifestName)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return Manifest{}, guia.Refuse(guia.NotFound, "archive.no_set", set)
	}
	if err != nil {
		return Manifest{}, guia.RefuseCause(guia.Blocked, err, "directory.unreadable", set)
	}
	if info.Size() > maxManifest {
		return Manifest{}, guia.Refuse(guia.Damaged, "archive.manifest_damaged", set)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Manifest{}, guia.RefuseCause(guia.Blocked, err, "directory.unreadable", set)
	}
	m, err := parseManifest(text)
	if err != nil && guia.KindOf(err) == 0 {
		err = guia.RefuseCause(guia.Damaged, err, "archive.manifest_damaged", set)
	}
	m.Set = set
	return m, err
}
