// Package verify checks a bundle with nothing but the bundle and a key that the reader got from elsewhere.
//
// The model: a bundle (docs/format/bundle.md) is a zip of events, each with its leaf, its fields disclosed or withheld, and the
// path from the leaf to the root that a signed checkpoint names. [Verify] walks the list "What is checked" of that document and
// returns a [Report]: a verdict, every difference found with the event, field and what differs, what was proven, what was
// withheld, and what no bundle can prove. Sentences are keys and arguments, which package lang turns into words.
//
// Guarantees: Verdict Proven follows from the caller's key and the bytes alone, under the usual assumptions on SHA-256 and
// Ed25519. Every text has one accepted spelling, so a changed byte is found even where it would not change a meaning. The answer
// for the same bytes, keys and limits is always the same. No input makes it panic, run without end or use memory beyond a small
// multiple of [Limits].LineBytes, the container's directory and the streams that it names.
//
// Not guaranteed: see [Report.Words], section "cannot". In short: that what was captured was true at its source, when it
// happened, and that the maker showed every record he had about a matter.
//
// The package also writes the container's files (AppendLine, FormatCover, Writer and so on), so that builder and verifier cannot
// disagree about the spelling. The independent opinion is the shell recipe of package howto, which shares no code with this one.
package verify

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"guia/proof"
)

// Trust is what the caller believes before reading: verifier keys of logs, from a source other than the bundle.
type Trust struct {
	keys []trusted
}

// trusted is a key, and the size of the tree up to which it signed: [proof.MaxSize] when it was not replaced as far as the caller knows.
type trusted struct {
	*proof.Verifier
	until int64
}

// TrustKeys returns the trust in these verifier keys; with none, no bundle is ever [Proven]. Each is a key, "VKEY", which leads to the
// later ones that signed statements in a bundle name; or a key that was replaced, "VKEY until SIZE", which vouches for nothing but
// checkpoints that it signed itself, up to that size: whoever stole it later can sign statements too. Of a key given twice the least
// size counts.
func TrustKeys(keys ...string) (Trust, error) {
	var t Trust
	for _, text := range keys {
		key, err := parseTrusted(text)
		if err != nil {
			return Trust{}, err
		}
		t.keys = append(t.keys, key)
	}
	for i := range t.keys {
		for _, other := range t.keys {
			if t.keys[i].VKey() == other.VKey() {
				t.keys[i].until = min(t.keys[i].until, other.until)
			}
		}
	}
	return t, nil
}

const until = " until "

// RetiredKey returns the line for a key that was replaced, as [TrustKeys] takes it.
func RetiredKey(vkey string, size int64) string { return vkey + until + strconv.FormatInt(size, 10) }

func parseTrusted(text string) (trusted, error) {
	vkey, size, retired := strings.Cut(text, until)
	key, err := proof.NewVerifier(vkey)
	if err != nil || !retired {
		return trusted{key, proof.MaxSize}, err
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || n > proof.MaxSize || strconv.FormatInt(n, 10) != size {
		return trusted{}, fmt.Errorf("%.40q is no size of a tree", size)
	}
	return trusted{key, n}, nil
}

// KeysIn returns the keys that stand in a text, as [TrustKeys] takes them, one a line: `guia key status --vkey` prints all that a log
// ever had. Empty lines and those that begin with # are skipped. ok is false when there is none, or anything else.
func KeysIn(text string) (keys []string, ok bool) {
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := parseTrusted(line); err != nil {
			return nil, false
		}
		keys = append(keys, line)
	}
	return keys, len(keys) > 0
}

// Limits bound the work for one bundle. The zero value of each means its default.
type Limits struct {
	Files      int   // entries of the container: MostFiles, and never more
	FileBytes  int64 // unpacked size of one entry: MostFileBytes
	TotalBytes int64 // of all entries together: MostTotalBytes
	LineBytes  int   // one event: MostLineBytes
	Findings   int   // how many findings a report lists: 1,000
	Workers    int   // goroutines that verify: one a core

	// Progress, if set, is told from one goroutine at a time how many of the container's packed bytes were read.
	Progress func(done, of int64)
}

// What a verifier takes unless its caller limits it further (docs/format/bundle.md, "Limits").
const (
	MostFiles      = 100_000
	MostFileBytes  = 64 << 30
	MostTotalBytes = 256 << 30
	MostLineBytes  = 96 << 20
)

func (l Limits) withDefaults() Limits {
	set := func(have *int64, usual int64) {
		if *have <= 0 {
			*have = usual
		}
	}
	if l.Files <= 0 || l.Files > MostFiles {
		l.Files = MostFiles
	}
	set(&l.FileBytes, MostFileBytes)
	set(&l.TotalBytes, MostTotalBytes)
	if l.LineBytes <= 0 {
		l.LineBytes = MostLineBytes
	}
	if l.Findings <= 0 {
		l.Findings = 1000
	}
	if l.Workers <= 0 {
		l.Workers = runtime.GOMAXPROCS(0)
	}
	return l
}

// Verify checks the bundle of size bytes. It reads concurrently, each entry once.
func Verify(bundle io.ReaderAt, size int64, trust Trust, limits Limits) Report {
	limits = limits.withDefaults()
	v := &verification{limits: limits, trust: trust, proofs: map[int64]*proofFile{}}
	v.source = &meter{source: bundle, of: size, tell: limits.Progress}
	c, err := openContainer(v.source, size, limits)
	var damaged *Fault
	if errors.As(err, &damaged) || err == nil && !slices.ContainsFunc(c.entries, func(e *entry) bool { return onlyInBundles(e.name) }) {
		looks, machine := foreign(v.source, size)
		if v.report.Looks = looks; looks != "" {
			return v.finish()
		}
		err = errors.Join(err, machine)
	}
	if err != nil {
		v.contentError(nil, err)
		if v.machine != nil {
			return v.finish()
		}
		if c, err = openRepacked(v.source, size, limits); c == nil {
			v.contentError(nil, err)
			return v.finish()
		}
		v.repacked = true // damage it is; what follows says whether the files differ too
	}
	v.container = c
	v.names()
	v.keys()
	v.readCheckpoint()
	v.vouch()
	v.growth()
	v.exhibits()
	for _, name := range []string{nameRecords, nameCustody} {
		if e := v.byName[name]; e != nil {
			v.lines(e, name == nameCustody)
		}
	}
	v.nameStrays()
	v.contents()
	v.listings()
	v.unreferenced()
	v.cover()
	return v.finish()
}

// verification is one run of Verify.
type verification struct {
	*container
	source   *meter
	limits   Limits
	trust    Trust
	report   Report
	tally    Tally
	faults   []Finding // at most limits.Findings of each stage
	count    [stages]int
	repacked bool  // the container has another form than that of a bundle
	machine  error // the source failed: nothing can be said

	texts      map[string][]byte
	chain      proof.Chain
	checkpoint *proof.Checkpoint // as far as it can be read, also when nobody vouches for it
	proofs     map[int64]*proofFile
	placed     bool // a line leads to the checkpoint's root
	cut        bool // a file of lines could not be unpacked to its end
	strays     []*stray
	doubtful   []int // faults about lines of which the next one tells whether their number can be
}

// proofFile is one proofs/<index>.tlog-proof.
type proofFile struct {
	e      *entry
	hashes [32]byte
}

// meter counts what is read.
type meter struct {
	source   io.ReaderAt
	of       int64
	done     atomic.Int64
	telling  sync.Mutex
	tell     func(done, of int64)
	lastTold int64
}

func (m *meter) ReadAt(p []byte, offset int64) (int, error) {
	n, err := m.source.ReadAt(p, offset)
	done := m.done.Add(int64(n))
	if m.tell != nil && m.telling.TryLock() {
		if done = min(done, m.of); done > m.lastTold {
			m.lastTold = done
			m.tell(done, m.of)
		}
		m.telling.Unlock()
	}
	return n, err
}

// find records a finding and returns its place in faults. Only the first of each stage are kept, all are counted; -1 when it is not.
func (v *verification) find(s stage, f Finding) int {
	f.stage = s
	v.count[s]++
	if v.count[s] > v.limits.Findings {
		return -1
	}
	v.faults = append(v.faults, f)
	return len(v.faults) - 1
}

func (v *verification) fault(s stage, name, key string, args ...any) {
	v.find(s, Finding{File: name, Sentence: Sentence{key, args}})
}

// contentError records what went wrong while reading: damage, or a failing machine.
func (v *verification) contentError(e *entry, err error) {
	name := ""
	if e != nil {
		name = e.name
	}
	var damaged *Fault
	switch {
	case err == nil:
	case errors.As(err, &damaged):
		v.find(stageContainer, Finding{File: name, Sentence: damaged.Sentence, about: damaged.about})
	case v.machine == nil:
		v.machine = err
	}
}

// names checks which files there are and reads the small ones.
func (v *verification) names() {
	v.texts = map[string][]byte{}
	for i, e := range v.entries {
		k, _, _ := kindOf(e.name)
		most := int64(mostTextFile)
		switch k {
		case kindNonsense:
			v.fault(stageContainer, "", "verify.name.unsafe", quote(e.name))
			continue
		case kindUnknown:
			v.fault(stageContainer, "", "verify.name.unknown", quote(e.name))
			continue
		case kindFile:
			v.report.Files++
			continue
		case kindProof:
			continue
		case kindOptional:
			v.report.Unchecked = append(v.report.Unchecked, e.name)
			continue
		case kindMimetype:
			if !v.repacked && (i != 0 || e.method != methodStore) {
				v.fault(stageContainer, e.name, "verify.mimetype.first")
			}
		case kindStructure, kindSums, kindFixed:
			switch e.name {
			case nameRecords, nameCustody, nameView, nameHowTo:
				continue
			case nameManifest, nameSums, nameCover:
				most = mostInMemory
			}
		case kindGrowth, kindOlder, kindRotation:
			if len(v.texts) > mostTexts {
				v.fault(stageContainer, e.name, "verify.name.many", mostTexts)
				continue
			}
		}
		v.text(e, most)
	}
	for _, name := range required {
		if v.byName[name] == nil {
			v.fault(stageContainer, name, "verify.name.missing")
		}
	}
	if text, ok := v.texts[nameMimetype]; ok && string(text) != MediaType {
		v.fault(stageContainer, nameMimetype, "verify.mimetype.content")
	}
}

// text reads a small file.
func (v *verification) text(e *entry, most int64) []byte {
	if e.size > most {
		v.fault(stageContainer, e.name, "verify.zip.large", quote(e.name), e.size, most)
		return nil
	}
	var b bytes.Buffer
	_, err := io.Copy(&b, v.open(e))
	if err != nil {
		v.contentError(e, err)
		return nil
	}
	e.digest, e.read = sha256.Sum256(b.Bytes()), true
	if k, _, _ := kindOf(e.name); k != kindProof {
		v.texts[e.name] = b.Bytes()
	}
	return b.Bytes()
}

// contents hashes what was not read yet: attachments, the view, the recipe, what was added later.
func (v *verification) contents() {
	var left []*entry
	for _, e := range v.entries {
		if k, _, _ := kindOf(e.name); k == kindFile || k == kindOptional || e.name == nameView || e.name == nameHowTo {
			left = append(left, e)
		}
	}
	errs := make([]error, len(left))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range v.limits.Workers {
		workers.Go(func() {
			var buffer []byte
			for i := next.Add(1) - 1; i < int64(len(left)); i = next.Add(1) - 1 {
				e, hash := left[i], sha256.New()
				if need := int(min(e.size+1, 128<<10)); len(buffer) < need {
					buffer = make([]byte, need)
				}
				if _, errs[i] = io.CopyBuffer(hash, v.open(e), buffer); errs[i] == nil {
					hash.Sum(e.digest[:0])
					e.read = true
				}
			}
		})
	}
	workers.Wait()
	for i, e := range left {
		v.contentError(e, errs[i])
		if k, _, _ := kindOf(e.name); k == kindFile && e.read && e.name != FileName(e.digest) {
			v.fault(stageFiles, e.name, "verify.file.digest", fmt.Sprintf("%x", e.digest))
		}
	}
}

// listings compares SHA256SUMS and the manifest with what was read.
func (v *verification) listings() {
	var sums, manifest []Digest
	for _, e := range v.entries {
		k, _, _ := kindOf(e.name)
		if k == kindUnknown || k == kindNonsense {
			continue
		}
		if inSums(k) {
			sums = append(sums, Digest{e.name, e.digest})
		}
		if inManifest(k) {
			manifest = append(manifest, Digest{e.name, e.digest})
		}
	}
	byName := func(a, b Digest) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(sums, byName)
	slices.SortFunc(manifest, byName)
	if text, ok := v.texts[nameSums]; ok && !bytes.Equal(text, FormatSums(sums)) {
		got, err := ParseSums(text)
		v.compareListing(nameSums, got, sums, err)
	}
	if text, ok := v.texts[nameManifest]; ok && !bytes.Equal(text, FormatManifest(manifest)) {
		got, err := ParseManifest(text)
		v.compareListing(nameManifest, got, manifest, err)
	}
}

// compareListing names the differences between a listing and the files. Both ascend.
func (v *verification) compareListing(listing string, got, want []Digest, err error) {
	if err != nil {
		v.fault(stageContainer, listing, "verify.listing.form")
		return
	}
	differs := func(key, name string) {
		v.find(stageContainer, Finding{File: listing, Sentence: Sentence{key, []any{quote(name)}}, about: name})
	}
	for len(got) > 0 || len(want) > 0 {
		switch {
		case len(want) == 0 || len(got) > 0 && got[0].Name < want[0].Name:
			differs("verify.listing.absent", got[0].Name)
			got = got[1:]
		case len(got) == 0 || want[0].Name < got[0].Name:
			differs("verify.listing.unlisted", want[0].Name)
			want = want[1:]
		default:
			if got[0].Sum != want[0].Sum && v.byName[want[0].Name].read {
				differs("verify.listing.digest", want[0].Name)
			}
			got, want = got[1:], want[1:]
		}
	}
}

// unreferenced finds attachments and proofs that no line speaks of.
func (v *verification) unreferenced() {
	for _, e := range v.entries {
		if e.referenced {
			continue
		}
		k, index, _ := kindOf(e.name)
		if k == kindFile {
			v.fault(stageFiles, e.name, "verify.file.unnamed")
		}
		if k == kindProof {
			v.fault(stageProofs, e.name, "verify.proof.unnamed", index)
		}
	}
}

// cover compares the cover with what was counted.
func (v *verification) cover() {
	var found Cover
	v.tally.Fill(&found)
	v.report.Counts = found
	for _, name := range sortedWithheld(v.tally.withheld) {
		v.report.Withheld = append(v.report.Withheld, *v.tally.withheld[name])
	}
	for i := range found.Streams {
		s := Stream{StreamExtent: found.Streams[i]}
		if x := v.tally.streams[streamID(s.Stream)]; x != nil {
			s.Shown, s.Holes, s.first, s.last = x.shown, x.holes, x.first, x.last
		}
		v.report.Streams = append(v.report.Streams, s)
	}
	text, ok := v.texts[nameCover]
	if !ok {
		return
	}
	said, err := ParseCover(text)
	if err != nil {
		v.fault(stageCover, nameCover, "verify.cover.form")
		return
	}
	v.report.Cover = &said
	differ := func(field string, said, found any) {
		if said != found {
			v.find(stageCover, Finding{File: nameCover, Part: field, Sentence: Sentence{"verify.cover.differs", []any{said, found}}})
		}
	}
	if v.checkpoint != nil {
		differ("origin", said.Origin, v.checkpoint.Origin)
		differ("size", said.Size, v.checkpoint.Size)
		differ("root", said.Root, v.checkpoint.Root.String())
	}
	differ("records", said.Records, found.Records)
	differ("custody", said.Custody, found.Custody)
	differ("files", said.Files, v.report.Files)
	differ("disclosed", said.Disclosed, found.Disclosed)
	differ("redacted", said.Redacted, found.Redacted)
	differ("erased", said.Erased, found.Erased)
	// Lists: a stream's length is known to the maker only, but it is no less than what is shown.
	for i := range min(len(said.Streams), len(found.Streams)) {
		if of := said.Streams[i].Of; of >= found.Streams[i].To {
			found.Streams[i].Of = of
			v.report.Streams[i].Of = of
		}
	}
	list := func(field string, same, told bool) {
		if !same && !told {
			v.find(stageCover, Finding{File: nameCover, Part: field, Sentence: Sentence{"verify.cover.list", nil}})
		}
	}
	list("grades", slices.Equal(said.Grades, found.Grades), v.compareRows("grades", gradeRows(said.Grades), gradeRows(found.Grades)))
	list("sources", slices.Equal(said.Sources, found.Sources), v.compareRows("sources", sourceRows(said.Sources), sourceRows(found.Sources)))
	list("streams", slices.Equal(said.Streams, found.Streams), v.missing(said.Streams, v.report.Streams))
}
