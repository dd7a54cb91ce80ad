package mapped_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"guia"
	"guia/source"
	"guia/source/mapped"
	"guia/source/sourcetest"
)

// slice is the real archive that nobody here designed; see DESIGN section 13.
func slice(t testing.TB) string {
	dir := os.Getenv("GUIA_TESTDATA")
	if dir == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("GUIA_TESTDATA is not set, and with CI=true the real archive must be there")
		}
		t.Skip("GUIA_TESTDATA is not set: the real archive is not read")
	}
	return filepath.Join(dir, "chat", "zulip-archive-slice.tar.gz")
}

func zulip(t testing.TB) mapped.Mapping {
	m, ok := mapped.Example("zulip")
	if !ok {
		t.Fatal("no mapping zulip")
	}
	return m
}

// TestTheRealArchiveIsReadWhole compares with counts that a few lines of Python made of the same file: tarfile, json.load, len, set.
func TestTheRealArchiveIsReadWhole(t *testing.T) {
	path := slice(t)
	began := time.Now()
	records := sourcetest.All(t, open(t, path, zulip(t)))
	took := time.Since(began)
	people, streams, keys, html := map[string]bool{}, map[string]bool{}, map[string]bool{}, 0
	for _, r := range records {
		if r.Type != guia.MessageSent || len(r.Marks) != 0 || !r.HasTime || r.TimeBasis != "source" {
			t.Fatalf("%s: %s, marks %v, time %v %s", r.Origin, r.Type, r.Marks, r.HasTime, r.TimeBasis)
		}
		people[r.Sender.ID], streams[r.Stream], keys[r.Key] = true, true, true
		if r.HTML != "" {
			html++
		}
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{{"messages", len(records), 21296}, {"people", len(people), 910}, {"topics", len(streams), 2659}, {"keys", len(keys), 21296}} {
		if c.got != c.want {
			t.Errorf("%d %s, want %d", c.got, c.what, c.want)
		}
	}
	t.Logf("%d records in %v: %.0f/s", len(records), took, float64(len(records))/took.Seconds())
	r := records[0]
	if r.HTML == "" || r.Text == "" || r.StreamName == "" {
		t.Errorf("first record: %q %q %q", r.StreamName, r.Text, r.HTML)
	}
}

func TestTheRealArchiveConforms(t *testing.T) {
	if os.Getenv("GUIA_SOAK") == "" {
		t.Skip("GUIA_SOAK is not set: reading the archive from each of its 22 cursors takes a while; a generated one is always read so")
	}
	path := slice(t)
	moved := filepath.Join(t.TempDir(), "other name.bin")
	if err := os.Symlink(path, moved); err != nil {
		t.Fatal(err)
	}
	sourcetest.Run(t, func(t *testing.T) source.Source { return open(t, path, zulip(t)) }, sourcetest.Options{
		Moved:      func(t *testing.T) source.Source { return open(t, moved, zulip(t)) },
		MinRecords: 21296,
	})
}
