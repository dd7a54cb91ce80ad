package source

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"guia"
)

// MaxFiles is how many files an input has at most: a thousand conversations over three years.
const MaxFiles = 1_000_000

// Input is what somebody handed in, as a list of files: a folder with all that is below it, a zip, or one file. What file managers
// leave behind is not listed, nor what is no regular file, and links do not lead out of a folder.
//
// It is used by one goroutine at a time; several of its files may be open.
type Input struct {
	Entries []Entry // ascending by name. A connector may take out what it does not read, and shorten names
	Sole    bool    // one file, not a folder or zip

	file *os.File
	size int64
	root *os.Root
}

// Entry is a file of an [Input].
type Entry struct {
	Name string    // with slashes, below the folder or zip; as it was written there, not always UTF-8
	Size int64     // as announced
	Zip  *zip.File // what the zip says about it; nil elsewhere

	path string // below the folder
}

// OpenInput opens the folder, zip or file at name and reads no more than names and sizes. It refuses (invalid) what cannot be read,
// what is neither file nor folder (a pipe, a device), a damaged zip, and more than a million files. Close the result.
func OpenInput(name string) (*Input, error) {
	in := &Input{}
	info, err := os.Stat(name)
	switch {
	case err != nil:
	case info.IsDir():
		err = in.openFolder(name)
	case !info.Mode().IsRegular():
		err = guia.Refuse(guia.Invalid, "source.no_file", filepath.Base(name)) // opening a pipe waits for a writer
	default:
		err = in.openFile(name)
	}
	if err != nil {
		_ = in.Close() // nothing was written
		return nil, refusal(err, name)
	}
	slices.SortStableFunc(in.Entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return in, nil
}

// refusal says that an input cannot be read, without telling where it lies.
func refusal(err error, name string) error {
	if guia.KindOf(err) != 0 {
		return err
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return guia.RefuseCause(guia.Invalid, err, "source.unreadable", filepath.Base(name))
}

func (in *Input) openFolder(name string) (err error) {
	in.root, err = os.OpenRoot(name)
	if err != nil {
		return err
	}
	return fs.WalkDir(in.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return in.add(Entry{Name: name, Size: info.Size(), path: name})
	})
}

func (in *Input) openFile(name string) (err error) {
	in.file, err = os.Open(name)
	if err != nil {
		return err
	}
	info, err := in.file.Stat()
	if err != nil {
		return err
	}
	in.size = info.Size()
	in.Entries = []Entry{{Name: filepath.Base(name), Size: in.size}}
	magic := make([]byte, 4)
	n, _ := in.file.ReadAt(magic, 0) // a short file is no zip
	if in.Sole = !bytes.HasPrefix(magic[:n], []byte("PK\x03\x04")) && !bytes.HasPrefix(magic[:n], []byte("PK\x05\x06")); in.Sole {
		return nil
	}
	z, err := zip.NewReader(in.file, in.size)
	if err != nil {
		return guia.RefuseCause(guia.Invalid, err, "source.damaged", filepath.Base(name))
	}
	// A workbook is a zip inside and one file to whoever hands it in.
	if in.Sole = slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.EqualFold(f.Name, "xl/workbook.xml") }); in.Sole {
		return nil
	}
	in.Entries = nil
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		name := path.Clean(strings.ReplaceAll(f.Name, `\`, "/"))
		size := int64(min(f.UncompressedSize64, 1<<40)) // a lie must not upset the sum
		if err := in.add(Entry{Name: name, Size: size, Zip: f}); err != nil {
			return err
		}
	}
	return nil
}

func (in *Input) add(e Entry) error {
	if Litter(e.Name) {
		return nil
	}
	if len(in.Entries) == MaxFiles {
		return guia.Refuse(guia.Invalid, "source.too_many_files", MaxFiles)
	}
	in.Entries = append(in.Entries, e)
	return nil
}

// Litter reports whether a file of this name is what operating systems leave in folders and archives: it holds nothing of a source.
func Litter(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(base, "._") || base == ".DS_Store" || base == "Thumbs.db" || base == "desktop.ini"
}

// Open returns the bytes of a file; where it does not stand in a zip, the result can also seek and read anywhere ([io.Seeker],
// [io.ReaderAt]). The caller closes it.
func (in *Input) Open(e Entry) (io.ReadCloser, error) {
	switch {
	case e.Zip != nil:
		return e.Zip.Open()
	case in.root != nil:
		return in.root.Open(filepath.FromSlash(e.path))
	}
	return section{io.NewSectionReader(in.file, 0, in.size)}, nil
}

// section is the input's own file, which is closed with the input.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// Size is how many bytes the file or zip has; 0 of a folder.
func (in *Input) Size() int64 { return in.size }

// Digest identifies the input, whatever it is called and wherever it lies: "sha256:" and the digest of the file or zip, of a folder that
// of the names and digests of the entries. It reads all of them.
func (in *Input) Digest() (string, error) {
	sum := sha256.New()
	if in.file != nil {
		_, err := io.Copy(sum, io.NewSectionReader(in.file, 0, in.size))
		if err != nil {
			return "", refusal(err, in.file.Name())
		}
		return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
	}
	for _, e := range in.Entries {
		one := sha256.New()
		n, err := in.copy(one, e)
		if err != nil {
			return "", refusal(err, e.Name)
		}
		fmt.Fprintf(sum, "%x %d %q\n", one.Sum(nil), n, e.Name)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// Reading is the [Source.Instance] of an input that can be read in several ways: its digest alone where nothing is said, else a digest
// of both. The same input read another way, with a corrected mapping or as another mailbox, is another instance: it is read, and what
// is in it is recognised record by record.
func Reading(digest, how string) string {
	if how == "" {
		return digest
	}
	sum := sha256.Sum256([]byte(digest + "\n" + how))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (in *Input) copy(w io.Writer, e Entry) (int64, error) {
	r, err := in.Open(e)
	if err != nil {
		return 0, err
	}
	defer r.Close() // only read
	return io.Copy(w, r)
}

// Close closes the file or folder. Files of it that are open are closed by whoever opened them.
func (in *Input) Close() error {
	switch {
	case in.file != nil:
		return in.file.Close()
	case in.root != nil:
		return in.root.Close()
	}
	return nil
}
