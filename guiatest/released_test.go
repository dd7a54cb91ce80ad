package guiatest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/evidence"
	"guia/evidence/verify"
	"guia/guiatest"
)

var updateReleased = flag.String("update-released", "", "write the directory of this release to testdata/released/`NAME`.tar.gz")

// releasedSize is how large the directory of one release may be.
const releasedSize = 100 << 10

// memory of what was in a directory when it was released.
type releasedFacts struct {
	Events   int64  `json:"events"`
	Records  int    `json:"records"` // of the source
	Contents string `json:"contents"`
	Key      string `json:"key"` // the log's first verifier key
}

// TestReleased opens the data directory of every released version with this program, checks it, compares what is in it with what was put
// in, goes on writing in it, and verifies the bundle that was made then. A release adds one with
//
//	go test ./guiatest -run TestReleased -update-released=NAME
//
// and nobody changes it afterwards.
func TestReleased(t *testing.T) {
	if *updateReleased != "" {
		release(t, *updateReleased)
	}
	names, err := filepath.Glob("testdata/released/*.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".tar.gz"), func(t *testing.T) { openReleased(t, name) })
	}
}

func openReleased(t *testing.T, archive string) {
	root := memory(t)
	files := readArchive(t, archive)
	if err := files.write(root); err != nil {
		t.Fatal(err)
	}
	var facts releasedFacts
	if err := json.Unmarshal(files["facts.json"], &facts); err != nil {
		t.Fatal(err)
	}
	d := guiatest.Open(t, filepath.Join(root, "data"))
	guiatest.MustCheck(t, d.Directory)
	if got := factsOf(t, d); got != facts {
		t.Errorf("the directory holds %+v, and held %+v", got, facts)
	}
	at, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), &guiatest.Company{Seed: 1, Records: 30, Page: 10}, "", true, nil)
	if err != nil || at.Counts.New != 0 || at.Counts.Known == 0 {
		t.Errorf("the same import again: %+v, %v", at.Counts, err)
	}
	bundle := files["case.asice"]
	trust, err := verify.TrustKeys(facts.Key)
	if err != nil {
		t.Fatal(err)
	}
	if r := verify.Verify(bytes.NewReader(bundle), int64(len(bundle)), trust, verify.Limits{}); r.Verdict != verify.Proven {
		t.Errorf("bundle: %s: %+v", r.Verdict, r.Findings)
	}
	d.Accept(slice(99, 20, 40)...) // it is checked again when the test ends
}

// release writes the archive of a release. It refuses to change one that is there.
func release(t *testing.T, name string) {
	t.Helper()
	to := filepath.Join("testdata", "released", name+".tar.gz")
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is there, and stays as it is (%v)", to, err)
	}
	root := memory(t)
	d := guiatest.NewAt(t, filepath.Join(root, "data"))
	d.Import(&guiatest.Company{Seed: 1, Records: 30, Page: 10})
	beBusy(t, d)
	c, err := evidence.FindCase(t.Context(), d.Ledger, d.Owner, "tamper")
	if err != nil {
		t.Fatal(err)
	}
	bundle, _ := build(t, d, c)
	content, err := io.ReadAll(bundle)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := json.Marshal(factsOf(t, d))
	if err != nil {
		t.Fatal(err)
	}
	d.Shut()
	files := image{"facts.json": append(facts, '\n'), "case.asice": content}
	for name, content := range readImage(t, d.Path) {
		files[filepath.Join("data", name)] = content
	}
	packed := writeArchive(t, files)
	if len(packed) > releasedSize {
		t.Fatalf("%d bytes are more than %d", len(packed), releasedSize)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, packed, 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes", to, len(packed))
}

func factsOf(t *testing.T, d *guiatest.Directory) releasedFacts {
	t.Helper()
	keys, err := d.Ledger.LogKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := releasedFacts{Events: int64(d.Ledger.Size()), Key: keys[0].VKey}
	h := sha256.New()
	for seq := range d.Ledger.Size() {
		e, err := d.Ledger.Event(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if e.Source != guia.Own {
			f.Records++
		}
		fmt.Fprintf(h, "%d %v %q %q\n", seq, e.Header, e.Fields, e.Withheld)
	}
	f.Contents = hex.EncodeToString(h.Sum(nil))
	return f
}

func readArchive(t *testing.T, name string) image {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := image{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if !filepath.IsLocal(h.Name) {
			t.Fatalf("%s leads outside", h.Name)
		}
		if files[h.Name], err = io.ReadAll(io.LimitReader(r, 16<<20)); err != nil {
			t.Fatal(err)
		}
	}
}

func writeArchive(t *testing.T, files image) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := w.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: 0o600, Size: int64(len(files[name]))})
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
