package howto

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/canon"
	"guia/evidence/verify"
	"guia/lang"
	"guia/proof"
)

const origin = "guia.invalid/log/00112233445566778899aabbccddeeff"

// recipes extracts the commands of each section from the text, as a reader would.
func recipes(t testing.TB) (scripts []string) {
	t.Helper()
	rest := string(Text())
	for {
		_, after, ok := strings.Cut(rest, "\n"+Begin+"\n")
		if !ok {
			break
		}
		script, after, ok := strings.Cut(after, "\n"+End+"\n")
		if !ok {
			t.Fatal("a section does not end")
		}
		scripts, rest = append(scripts, script+"\n"), after
	}
	if len(scripts) != len(languages) {
		t.Fatalf("%d sections, want %d", len(scripts), len(languages))
	}
	return scripts
}

// TestTheFirstLinesSayWhereEachLanguageIs wants each of the first lines to name the line of its heading.
func TestTheFirstLinesSayWhereEachLanguageIs(t *testing.T) {
	lines := strings.Split(string(Text()), "\n")
	for i, l := range languages {
		title := lang.Text(l, "howto.title")
		at := slices.Index(lines, title)
		if want := lang.Text(l, "howto.where", at+1, title); at < 0 || lines[i] != want {
			t.Errorf("line %d says %q, want %q", i+1, lines[i], want)
		}
	}
}

func TestSectionsHaveTheSameCommands(t *testing.T) {
	comment := regexp.MustCompile(`(?m)^#.*\n`)
	first := ""
	for i, script := range recipes(t) {
		bare := comment.ReplaceAllString(script, "")
		if first == "" {
			first = bare
		}
		if bare != first {
			t.Errorf("%s: other commands", languages[i])
		}
		if comments := comment.FindAllString(script, -1); len(comments) < 15 || comments[0] == "" || strings.Contains(script, "howto.") {
			t.Errorf("%s: %d lines of comments", languages[i], len(comments))
		}
	}
	for n, line := range strings.Split(string(Text()), "\n") {
		if strings.HasPrefix(line, "# ") && places(line) > width {
			t.Errorf("line %d is %d wide: %s", n+1, places(line), line)
		}
	}
}

// ledger is a small synthetic one, with what a bundle of it contains.
type ledger struct {
	t       testing.TB
	signer  *proof.Signer
	keys    []*proof.Signer // retired ones
	leaves  [][]byte
	lines   []verify.Line
	custody int // index of the first act of custody
	tweak   func(name string, l *verify.Line)
}

func newSigner(t testing.TB) *proof.Signer {
	t.Helper()
	skey, _, err := proof.NewLogKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := proof.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func newLedger(t testing.TB, n int) *ledger {
	t.Helper()
	l := &ledger{t: t, signer: newSigner(t), custody: n - 2}
	for i := range n {
		var fields guia.Fields
		fields.Set("grade", "C")
		fields.Set("channel", "export")
		fields.Set("sender.name", fmt.Sprintf("Person %d", i))
		canon.SetText(&fields, fmt.Sprintf("Message %d: 你好 %% \\n \" olá, and enough words for a second chunk of text in it.", i))
		raw := bytes.Repeat([]byte{0, byte(i), '%', '\\', 0xff}, 3)
		if i == 1 {
			raw = bytes.Repeat(raw, 100) // long: openssl decodes it
		}
		fields.SetBytes("raw", raw)
		if i%4 == 1 {
			fields.Set("file.0001", canon.FileRef{Digest: sha256.Sum256(attachment(i)), Size: int64(len(attachment(i)))}.String())
		}
		if i%4 == 2 {
			fields.Set("file.0001", canon.FileRef{Digest: sha256.Sum256([]byte("gone")), Size: 4}.String())
			fields.Set("file.0001.missing", "the source had lost it")
		}
		line := verify.Line{Index: int64(i)}
		var commitments []canon.Commitment
		for j, field := range fields {
			salt := sha256.Sum256(fmt.Appendf(nil, "salt %d %d", i, j))
			c := canon.Commit(salt, field.Value)
			line.Fields = append(line.Fields, verify.Field{Name: field.Name, Commitment: c, Salt: salt, Value: field.Value})
			commitments = append(commitments, canon.Commitment{Name: field.Name, Hash: c})
		}
		stream := sha256.Sum256(fmt.Appendf(nil, "stream %t", i < n-2))
		count := uint64(i + 1)
		if i >= n-2 {
			count = uint64(i - n + 3)
		}
		line.Leaf = canon.AppendLeaf(nil, canon.Leaf{
			Header: guia.Header{
				Type: guia.MessageSent, Source: "slack", Captured: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC(),
				Record: guia.RecordID(stream[:16]), Stream: guia.StreamID(stream[16:]), Count: count,
			},
			FieldCount: len(fields), FieldsHash: canon.FieldsHash(commitments),
		})
		l.leaves = append(l.leaves, line.Leaf)
		l.lines = append(l.lines, line)
	}
	withhold := func(i int, name string, reason verify.Reason) {
		for j := range l.lines[i].Fields {
			if f := &l.lines[i].Fields[j]; f.Name == name {
				*f = verify.Field{Name: name, Commitment: f.Commitment, Withheld: reason}
			}
		}
	}
	withhold(0, "text.0001", verify.Redacted)
	withhold(3, "sender.name", verify.Erased)
	return l
}

func attachment(i int) []byte { return fmt.Appendf(nil, "attachment %d\n", i) }

func (l *ledger) must(err error) {
	if err != nil {
		l.t.Helper()
		l.t.Fatal(err)
	}
}

// ReadTile lets a prover read the tree.
func (l *ledger) ReadTile(level int, index int64, width int) ([]proof.Hash, error) {
	var row []proof.Hash
	for _, leaf := range l.leaves {
		row = append(row, proof.LeafHash(leaf))
	}
	for range level * proof.TileHeight {
		var up []proof.Hash
		for i := 0; i+1 < len(row); i += 2 {
			up = append(up, sha256.Sum256(slices.Concat([]byte{1}, row[i][:], row[i+1][:])))
		}
		row = up
	}
	return row[index*proof.TileWidth:][:width], nil
}

func (l *ledger) checkpoint(size int64, signer *proof.Signer) ([]byte, proof.Hash) {
	root, err := proof.Root(l, size)
	l.must(err)
	note, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: size, Root: root}, signer)
	l.must(err)
	return note, root
}

// bundle writes the unpacked bundle into a folder and returns it with the container. Older trees have these sizes.
func (l *ledger) bundle(older ...int64) (dir string, container []byte) {
	size := int64(len(l.leaves))
	prover, err := proof.NewProver(l, size)
	l.must(err)
	checkpoint, root := l.checkpoint(size, l.signer)
	pem, err := proof.VKeyPEM(l.signer.Verifier().VKey())
	l.must(err)
	files := map[string][]byte{
		"checkpoint": checkpoint, "records.jsonl": {}, "custody.jsonl": {}, "view.html": []byte("<!doctype html>\n"),
		"HOW-TO-VERIFY.txt": Text(), "keys/log.pem": pem, "keys/log.vkey": []byte(l.signer.Verifier().VKey() + "\n"),
	}
	var tally verify.Tally
	for i := range l.lines {
		line, name := l.lines[i], "records.jsonl"
		line.Fields = slices.Clone(line.Fields)
		if i >= l.custody {
			name = "custody.jsonl"
		}
		line.Proof, err = prover.Inclusion(line.Index)
		l.must(err)
		l.must(tally.Add(&line, i >= l.custody))
		for _, f := range line.Fields {
			if f.Name == "file.0001" && f.Withheld == "" && i%4 == 1 {
				files[verify.FileName(sha256.Sum256(attachment(i)))] = attachment(i)
			}
		}
		if l.tweak != nil {
			l.tweak(name, &line)
		}
		files[name] = verify.AppendLine(files[name], &line)
	}
	cover := verify.Cover{
		Format: verify.Format, Case: "7", Origin: origin, Size: size, Root: root.String(), Created: "2026-11-21T10:00:00Z", Program: "guia 0.1.0",
	}
	tally.Fill(&cover)
	for name := range files {
		if strings.HasPrefix(name, "files/") {
			cover.Files++
		}
	}
	files["cover.json"] = verify.FormatCover(cover)
	for i, old := range l.keys {
		next := l.signer
		if i+1 < len(l.keys) {
			next = l.keys[i+1]
		}
		files[verify.RotationName(i+1)], err = proof.SignRotation(proof.Rotation{
			Origin: origin, Old: old.Verifier().VKey(), New: next.Verifier().VKey(), From: int64(2 + 2*i),
		}, old)
		l.must(err)
	}
	for _, size := range older {
		signer := l.signer
		for i := range l.keys {
			if size <= int64(2+2*i) {
				signer = l.keys[i]
				break
			}
		}
		growth, old := verify.GrowthNames(size, prover.Size())
		files[old], _ = l.checkpoint(size, signer)
		hashes, err := prover.Consistency(size)
		l.must(err)
		files[growth], err = proof.FormatConsistency(proof.Growth{Old: size, Hashes: hashes, Checkpoint: checkpoint})
		l.must(err)
	}
	return l.write(files)
}

// write packs the files, signs the listings, and unpacks them into a folder.
func (l *ledger) write(files map[string][]byte) (dir string, container []byte) {
	var out bytes.Buffer
	w, err := verify.NewWriter(&out)
	l.must(err)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		l.must(w.Add(name, files[name]))
	}
	l.must(w.Finish(func(text []byte) ([]byte, error) { return verify.SignManifestNote(text, l.signer) }))
	dir = filepath.Join(l.t.TempDir(), "bundle")
	unpack(l.t, out.Bytes(), dir)
	return dir, out.Bytes()
}

// shell runs the commands of one section with nothing on the PATH but openssl and sha256sum, and returns output and exit code.
func shell(t testing.TB, script, dir, key string) (string, int) {
	t.Helper()
	path := t.TempDir()
	for _, tool := range []string{"openssl", "sha256sum"} {
		found, err := exec.LookPath(tool)
		if err != nil {
			missing(t, tool)
		}
		if err := os.Symlink(found, filepath.Join(path, tool)); err != nil {
			t.Fatal(err)
		}
	}
	sh, err := exec.LookPath("dash") // the smallest POSIX shell; sh where there is none
	if err != nil {
		if sh, err = exec.LookPath("sh"); err != nil {
			missing(t, "sh")
		}
	}
	file := filepath.Join(filepath.Dir(dir), "check.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sh, file, key)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + path}
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func missing(t testing.TB, tool string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not here", tool)
	}
	t.Skipf("%s is not here: the recipe cannot be tried", tool)
}

// TestRecipeProves runs exactly the commands of each language on a bundle that package verify proves too.
func TestRecipeProves(t *testing.T) {
	l := newLedger(t, 9)
	l.keys = []*proof.Signer{newSigner(t), newSigner(t)}
	dir, container := l.bundle(1, 2, 4, 7, 9)
	first := l.keys[0].Verifier().VKey()
	trust, err := verify.TrustKeys(first)
	l.must(err)
	if r := verify.Verify(bytes.NewReader(container), int64(len(container)), trust, verify.Limits{}); r.Verdict != verify.Proven {
		t.Fatalf("verify: %s %+v", r.Verdict, r.Findings)
	}
	for i, script := range recipes(t) {
		out, code := shell(t, script, dir, first)
		if code != 0 || !strings.Contains(out, "VERDICT: PROVEN with the key "+first) ||
			strings.Contains(out, "DIFFERS") || strings.Contains(out, "check.sh") { // what the shell itself has to say names the script
			t.Fatalf("%s: exit %d\n%s", languages[i], code, out)
		}
		for event := range l.lines {
			name, line, of := "records.jsonl", event+1, l.custody
			if event >= l.custody {
				name, line, of = "custody.jsonl", event-l.custody+1, len(l.lines)-l.custody
			}
			if !strings.Contains(out, fmt.Sprintf("OK: %s event %d (%d of %d)\n", name, event, line, of)) {
				t.Errorf("%s: event %d is not named, or not how many are to come", languages[i], event)
			}
		}
		signer := l.signer.Verifier().VKey()
		if out, code := shell(t, script, dir, verify.RetiredKey(signer, 1<<40)); code != 0 || !strings.Contains(out, "VERDICT: PROVEN with the key "+signer+", replaced after size") {
			t.Errorf("%s: with a key that was replaced later: exit %d\n%s", languages[i], code, out)
		}
		for _, key := range []string{"", newSigner(t).Verifier().VKey(), verify.RetiredKey(signer, 1), verify.RetiredKey(first, 1<<40)} {
			if out, code := shell(t, script, dir, key); code != 1 || !strings.Contains(out, "TRUST NOT ESTABLISHED") {
				t.Errorf("%s: with the key %q: exit %d\n%s", languages[i], key, code, out)
			}
			if i > 0 {
				break // the commands are the same
			}
		}
	}
}

// TestRecipeFindsDamage damages an unpacked bundle, as a courier would.
func TestRecipeFindsDamage(t *testing.T) {
	l := newLedger(t, 5)
	script := recipes(t)[2]
	key := l.signer.Verifier().VKey()
	for _, name := range []string{"records.jsonl", "checkpoint", "view.html", "cover.json", "META-INF/ASiCManifest001.xml", "META-INF/manifest.note", verify.FileName(sha256.Sum256(attachment(1))), "keys/log.vkey"} {
		dir, _ := l.bundle()
		file := filepath.Join(dir, filepath.FromSlash(name))
		text, err := os.ReadFile(file)
		l.must(err)
		text[len(text)/2] ^= 1
		l.must(os.WriteFile(file, text, 0o600))
		if out, code := shell(t, script, dir, key); code != 3 || !strings.Contains(out, "VERDICT: DAMAGED") {
			t.Errorf("%s: exit %d\n%s", name, code, out)
		}
	}
	dir, _ := l.bundle()
	l.must(os.WriteFile(filepath.Join(dir, "extra"), nil, 0o600))
	if out, code := shell(t, script, dir, key); code != 3 || !strings.Contains(out, "DIFFERS: extra is not listed") {
		t.Errorf("an unlisted file: exit %d\n%s", code, out)
	}
}

// TestRecipeFindsLies has a maker who signs listings that fit what he changed: only commitments, proofs and signatures are left.
func TestRecipeFindsLies(t *testing.T) {
	script := recipes(t)[0]
	event := func(index int64, change func(l *verify.Line)) func(*ledger) {
		return func(l *ledger) {
			l.tweak = func(_ string, line *verify.Line) {
				if line.Index == index {
					change(line)
				}
			}
		}
	}
	field := func(l *verify.Line, name string) *verify.Field {
		return &l.Fields[slices.IndexFunc(l.Fields, func(f verify.Field) bool { return f.Name == name })]
	}
	for _, c := range []struct {
		name   string
		change func(*ledger)
		want   string
	}{
		{"value", event(1, func(l *verify.Line) {
			f := field(l, "text.0000")
			f.Value = bytes.Clone(f.Value)
			f.Value[3] ^= 1
		}), "DIFFERS: records.jsonl event 1, field text.0000: value or salt"},
		{"long value", event(1, func(l *verify.Line) {
			f := field(l, "raw")
			f.Value = bytes.Clone(f.Value)
			f.Value[1400] ^= 1
		}), "DIFFERS: records.jsonl event 1, field raw: value or salt"},
		{"salt", event(0, func(l *verify.Line) { field(l, "grade").Salt[31] ^= 1 }), "DIFFERS: records.jsonl event 0, field grade: value or salt"},
		{"withheld commitment", event(0, func(l *verify.Line) { field(l, "text.0001").Commitment[0] ^= 1 }), "DIFFERS: records.jsonl event 0: the fields are not those of the leaf"},
		{"field left out", event(0, func(l *verify.Line) { l.Fields = l.Fields[1:] }), "DIFFERS: records.jsonl event 0: the fields are not those of the leaf"},
		{"leaf", event(0, func(l *verify.Line) { l.Leaf = bytes.Replace(l.Leaf, []byte("slack"), []byte("slick"), 1) }), "DIFFERS: records.jsonl event 0: the proof does not lead to the root"},
		{"index", event(2, func(l *verify.Line) { l.Index = 1 }), "DIFFERS: records.jsonl event 1: "},
		{"proof", event(4, func(l *verify.Line) { l.Proof[0][0] ^= 1 }), "DIFFERS: custody.jsonl event 4: the proof does not lead to the root"},
		{"proof too long", event(4, func(l *verify.Line) { l.Proof = append(l.Proof, proof.Hash{}) }), "DIFFERS: custody.jsonl event 4: the proof does not lead to the root"},
		{"proof too short", event(4, func(l *verify.Line) { l.Proof = l.Proof[:len(l.Proof)-1] }), "DIFFERS: custody.jsonl event 4: the proof does not lead to the root"},
		{"reason", event(0, func(l *verify.Line) { field(l, "text.0001").Withheld = "unknown" }), "DIFFERS: records.jsonl event 0, field text.0001: reason"},
		{"history", func(l *ledger) { l.leaves[0] = append(l.leaves[0], '\n') }, "DIFFERS: records.jsonl event 0: the proof does not lead to the root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, 6)
			c.change(l)
			dir, _ := l.bundle(3)
			out, code := shell(t, script, dir, l.signer.Verifier().VKey())
			if code != 3 || !strings.Contains(out, c.want) {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
	for name, change := range map[string]func(l *ledger, dir string){
		"checkpoint of a stranger": func(l *ledger, dir string) {
			note, _ := l.checkpoint(6, newSigner(l.t))
			l.must(os.WriteFile(filepath.Join(dir, "checkpoint"), note, 0o600))
		},
		"signature": func(l *ledger, dir string) {
			note, _ := l.checkpoint(6, l.signer)
			signature := note[bytes.LastIndexByte(note, ' ')+1:]
			signature[40] = map[bool]byte{true: 'C', false: 'B'}[signature[40] == 'B'] // of the signature, not of the key's id
			l.must(os.WriteFile(filepath.Join(dir, "checkpoint"), note, 0o600))
		},
		"older checkpoint of another tree": func(l *ledger, dir string) {
			l.leaves[0] = append(l.leaves[0], '\n')
			note, _ := l.checkpoint(3, l.signer)
			l.must(os.WriteFile(filepath.Join(dir, "consistency", "3.checkpoint"), note, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, 6)
			dir, _ := l.bundle(3)
			change(l, dir)
			out, code := shell(t, script, dir, l.signer.Verifier().VKey())
			want := map[string]string{
				"checkpoint of a stranger":         "DIFFERS: the signature of checkpoint",
				"signature":                        "DIFFERS: the signature of checkpoint",
				"older checkpoint of another tree": "DIFFERS: consistency/3-6: the older tree is not the beginning of this one",
			}[name]
			if code != 3 || !strings.Contains(out, want) {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
}

// TestRecordByHand checks the formats against numbers that sha256sum and openssl gave, not against our code.
func TestRecordByHand(t *testing.T) {
	// printf '%s%s' AAAA...A (32 bytes) hello | sha256sum
	salt := [32]byte(bytes.Repeat([]byte("A"), 32))
	if got := canon.Commit(salt, []byte("hello")); hex.EncodeToString(got[:]) != handCommitment {
		t.Errorf("commitment: got %x", got)
	}
	line := verify.Line{
		Index: 0, Leaf: []byte(handLeaf),
		Fields: []verify.Field{{Name: "subject", Commitment: canon.Commit(salt, []byte("hello")), Salt: salt, Value: []byte("hello")}},
	}
	want := `{"index":0,"leaf":"` + strings.ReplaceAll(handLeaf, "\n", `\n`) + `","fields":[{"name":"subject","commitment":"` + handCommitment +
		`","salt":"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=","value":"aGVsbG8="}],"proof":[]}` + "\n"
	if got := verify.AppendLine(nil, &line); string(got) != want {
		t.Errorf("line: got %s", got)
	}
	if got := proof.LeafHash(line.Leaf).String(); got != handRoot {
		t.Errorf("root: got %s", got)
	}
	l := &ledger{t: t, signer: newSigner(t), leaves: [][]byte{line.Leaf}, lines: []verify.Line{line}, custody: 1}
	dir, _ := l.bundle()
	if out, code := shell(t, recipes(t)[1], dir, l.signer.Verifier().VKey()); code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// TestRecipeIsFastEnough checks 200 events: hours would make nobody check.
func TestRecipeIsFastEnough(t *testing.T) {
	if os.Getenv("GUIA_SOAK") == "" {
		t.Skip("200 events by shell take a minute: GUIA_SOAK=1 runs it")
	}
	l := newLedger(t, 200)
	dir, _ := l.bundle()
	start := time.Now()
	if out, code := shell(t, recipes(t)[0], dir, l.signer.Verifier().VKey()); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	t.Logf("200 events took %s", time.Since(start))
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("200 events took %s", took)
	}
}
