package source_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/source"
	"guia/source/sourcetest"
)

func open(t *testing.T, path string) *source.Input {
	t.Helper()
	in, err := source.OpenInput(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

// listed is an input as lines of name and content.
func listed(t *testing.T, in *source.Input) (lines []string) {
	t.Helper()
	for _, e := range in.Entries {
		r, err := in.Open(e)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || int64(len(text)) != e.Size {
			t.Errorf("%s: %d bytes, announced %d (%v)", e.Name, len(text), e.Size, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		lines = append(lines, e.Name+": "+string(text))
	}
	return lines
}

func TestFolderAndZipAreTheSameList(t *testing.T) {
	files := map[string]string{
		"b.txt": "two", "a/b.txt": "one", "a.txt": "point comes before slash", "文件.txt": "três", "empty": "",
		".DS_Store": "x", "__MACOSX/a.txt": "x", "a/._b.txt": "x", "Thumbs.db": "x",
	}
	want := []string{"a.txt: point comes before slash", "a/b.txt: one", "b.txt: two", "empty: ", "文件.txt: três"}
	for name, path := range map[string]string{"folder": sourcetest.Folder(t, files), "zip": sourcetest.Zip(t, files)} {
		in := open(t, path)
		if got := listed(t, in); in.Sole || !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q (one file: %t)", name, got, want, in.Sole)
		}
	}
	sole := open(t, filepath.Join(sourcetest.Folder(t, files), "b.txt"))
	if got := listed(t, sole); !sole.Sole || !slices.Equal(got, []string{"b.txt: two"}) {
		t.Errorf("one file: %q", got)
	}
	book := open(t, sourcetest.Zip(t, map[string]string{"xl/workbook.xml": "<workbook/>"}))
	if !book.Sole || len(book.Entries) != 1 || book.Entries[0].Size != book.Size() {
		t.Errorf("a workbook is one file, got %+v", book.Entries)
	}
}

func TestLinksDoNotLeadOutOfAFolder(t *testing.T) {
	outside := filepath.Join(sourcetest.Folder(t, map[string]string{"secret": "x"}), "secret")
	dir := sourcetest.Folder(t, map[string]string{"a": "1"})
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if got := listed(t, open(t, dir)); !slices.Equal(got, []string{"a: 1"}) {
		t.Errorf("listed %q", got)
	}
	// What is exchanged for a link after it was listed is not followed either.
	in := open(t, dir)
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if r, err := in.Open(in.Entries[0]); err == nil {
		r.Close()
		t.Error("a link led out of the folder")
	}
}

func TestTheDigestIsOfWhatIsReadAndNotOfItsPlace(t *testing.T) {
	files := map[string]string{"a": "1", "b": "2"}
	digest := func(path string, change func(*source.Input)) string {
		in := open(t, path)
		if change != nil {
			change(in)
		}
		sum, err := in.Digest()
		if err != nil || !strings.HasPrefix(sum, "sha256:") {
			t.Fatalf("%q, %v", sum, err)
		}
		return sum
	}
	first := digest(sourcetest.Folder(t, files), nil)
	if again := digest(sourcetest.Folder(t, files), nil); again != first {
		t.Errorf("another place: %s, was %s", again, first)
	}
	seen := map[string]string{first: "the folder"}
	for name, sum := range map[string]string{
		"another content": digest(sourcetest.Folder(t, map[string]string{"a": "1", "b": "3"}), nil),
		"another name":    digest(sourcetest.Folder(t, map[string]string{"a": "1", "c": "2"}), nil),
		"one less":        digest(sourcetest.Folder(t, files), func(in *source.Input) { in.Entries = in.Entries[:1] }),
		"a zip":           digest(sourcetest.Zip(t, files), nil),
		"one file":        digest(filepath.Join(sourcetest.Folder(t, files), "a"), nil),
	} {
		if other := seen[sum]; other != "" {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[sum] = name
	}
	// As sha256sum writes it.
	if want := "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"; seen[want] != "one file" {
		t.Errorf("the digest of a file is not that of its bytes: %v", seen)
	}
}

func TestWhatCannotBeOpenedIsRefusedWithoutItsPlace(t *testing.T) {
	dir := sourcetest.Folder(t, map[string]string{"bad.zip": "PK\x03\x04 no"})
	for name, want := range map[string]string{"none": "source.unreadable", "bad.zip": "source.damaged"} {
		_, err := source.OpenInput(filepath.Join(dir, name))
		if guia.KindOf(err) != guia.Invalid || !strings.Contains(err.Error(), want+" ["+name+"]") || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
