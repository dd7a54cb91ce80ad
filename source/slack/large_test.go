package slack_test

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"guia/source/slack"
	"guia/source/sourcetest"
)

// large writes an export with days of n messages each, without holding it in memory.
func large(t testing.TB, days, n int) (path string, size int64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "large.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	add := func(name string, write func(w io.Writer)) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		count := &counter{w: w}
		write(count)
		size += count.n
	}
	add("users.json", func(w io.Writer) { fmt.Fprint(w, workspace["users.json"]) })
	add("channels.json", func(w io.Writer) { fmt.Fprint(w, workspace["channels.json"]) })
	for day := range days {
		add(fmt.Sprintf("general/2024-%02d-%02d.json", 1+day/28, 1+day%28), func(w io.Writer) {
			for i := range n {
				sep := ","
				if i == 0 {
					sep = "["
				}
				fmt.Fprintf(w, `%s
    {
        "client_msg_id": "0b6d3c5e-4c7b-4c44-9b0c-%012d",
        "type": "message",
        "text": "今天下午三點開會，請帶同合約 %d. A reunião é às 15h; please bring the signed copy <@U02> and see <https://example.mo/doc/%d|the file>.",
        "user": "U01",
        "ts": "%d.%06d",
        "team": "T01",
        "user_team": "T01",
        "source_team": "T01",
        "user_profile": {"avatar_hash": "0123456789ab", "image_72": "https://example.mo/a.png", "first_name": "", "real_name": "陳大文", "display_name": "David", "team": "T01", "name": "chan", "is_restricted": false, "is_ultra_restricted": false},
        "blocks": [{"type": "rich_text", "block_id": "abc", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "今天下午三點開會，請帶同合約 %d. A reunião é às 15h; please bring the signed copy "}, {"type": "user", "user_id": "U02"}, {"type": "text", "text": " and see "}, {"type": "link", "url": "https://example.mo/doc/%d", "text": "the file"}]}]}]
    }`, sep, i, i, i, 1704067200+day*86400+i/10, i, i, i)
			}
			fmt.Fprint(w, "]")
		})
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path, size
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) { c.n += int64(len(b)); return c.w.Write(b) }

func drain(t testing.TB, path string, every int) (records int, peak uint64) {
	t.Helper()
	e, err := slack.Open(path) // not kept alive by a cleanup
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return sourcetest.Drain(t, e, every)
}

func TestMemoryDoesNotGrowWithTheExport(t *testing.T) {
	small, smallSize := large(t, 1, 4_000)
	big, bigSize := large(t, 1, 40_000)
	_, low := drain(t, small, 8)
	n, high := drain(t, big, 8)
	if n < 40_000 {
		t.Fatalf("%d records", n)
	}
	t.Logf("%d bytes: %d KiB live; %d bytes: %d KiB live", smallSize, low>>10, bigSize, high>>10)
	if high > low+low/2+4<<20 {
		t.Errorf("%d bytes of export hold %d bytes of memory, %d bytes hold %d", bigSize, high, smallSize, low)
	}
}

func BenchmarkPull(b *testing.B) {
	path, size := large(b, 10, 2_000)
	b.SetBytes(size)
	n := 0
	for b.Loop() {
		got, _ := drain(b, path, 0)
		n += got
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}
