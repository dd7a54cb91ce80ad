package sourcetest

import (
	"archive/zip"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"guia/source"
)

// Folder writes files, by their names with slashes, below a new folder and returns its path.
func Folder(t testing.TB, files map[string]string) string {
	t.Helper()
	memory := fstest.MapFS{}
	for name, text := range files {
		memory[name] = &fstest.MapFile{Data: []byte(text)}
	}
	dir := filepath.Join(t.TempDir(), "pasta")
	must(t, os.CopyFS(dir, memory))
	return dir
}

// Zip packs files in order of their names into a new zip and returns its path.
func Zip(t testing.TB, files map[string]string) string {
	t.Helper()
	var b strings.Builder
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		must(t, err)
		_, err = io.WriteString(w, files[name])
		must(t, err)
	}
	must(t, z.Close())
	return filepath.Join(Folder(t, map[string]string{"arquivo.zip": b.String()}), "arquivo.zip")
}

// Each reads a source to its end and calls fn with every record while its files can be opened.
func Each(t testing.TB, src source.Source, fn func(source.Record)) {
	t.Helper()
	pages(t, src, func(records []source.Record) {
		for _, r := range records {
			fn(r)
		}
	})
}

// All reads a source to its end and returns its records, whose files cannot be opened any more.
func All(t testing.TB, src source.Source) (records []source.Record) {
	t.Helper()
	pages(t, src, func(page []source.Record) { records = append(records, page...) })
	return records
}

// Drain reads a source to its end, keeping nothing, and returns the number of its records. With every above 0, peak is the most live
// memory that was seen at every so many pages, the first among them: what is held, not what waits to be collected.
func Drain(t testing.TB, src source.Source, every int) (records int, peak uint64) {
	t.Helper()
	n := 0
	pages(t, src, func(page []source.Record) {
		records += len(page)
		if every > 0 && n%every == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		n++
	})
	return records, peak
}

func pages(t testing.TB, src source.Source, fn func([]source.Record)) {
	t.Helper()
	var after source.Cursor
	for {
		page, err := src.Pull(context.Background(), after)
		if err != nil {
			t.Fatalf("Pull(%q): %v", after, err)
		}
		fn(page.Records)
		if after = page.Next; page.Done {
			return
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
