package mbox

import (
	"archive/zip"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
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

// files is the input as a list of files.
type files struct {
	title   string // the base name without its ending
	single  bool   // one plain file, no folder and no zip
	file    *os.File
	root    *os.Root
	entries []entry
}

// entry is one file of the input.
type entry struct {
	name string // slash-separated, below the input
	size int64
	zip  *zip.File
}

func openFiles(name string) (*files, error) {
	f := &files{title: title(filepath.Base(filepath.Clean(name)))}
	info, err := os.Stat(name)
	if err == nil {
		if info.IsDir() {
			err = f.openFolder(name)
		} else {
			err = f.openFile(name)
		}
	}
	if err != nil {
		_ = f.Close()
		if guia.KindOf(err) != 0 {
			return nil, err
		}
		return nil, guia.RefuseCause(guia.Invalid, err, "mbox.unreadable", name)
	}
	slices.SortStableFunc(f.entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return f, nil
}

// title is a file's name without the endings that mail files have.
func title(name string) string {
	for _, ending := range []string{".mbox", ".eml", ".zip"} {
		if len(name) > len(ending) && strings.EqualFold(name[len(name)-len(ending):], ending) {
			name = name[:len(name)-len(ending)]
			break
		}
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

func (f *files) openFile(name string) (err error) {
	f.file, err = os.Open(name)
	if err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	var magic [4]byte
	if n, _ := f.file.ReadAt(magic[:], 0); n < 4 || string(magic[:]) != "PK\x03\x04" {
		f.single = true
		f.entries = []entry{{name: filepath.Base(name), size: info.Size()}}
		return nil
	}
	z, err := zip.NewReader(f.file, info.Size())
	if err != nil {
		return err
	}
	for _, e := range z.File {
		name := path.Clean(strings.ReplaceAll(e.Name, `\`, "/"))
		if !strings.HasSuffix(e.Name, "/") && !litter(name) {
			f.entries = append(f.entries, entry{name: name, size: int64(min(e.UncompressedSize64, 1<<40)), zip: e})
		}
	}
	return tooMany(len(f.entries))
}

func (f *files) openFolder(name string) (err error) {
	f.root, err = os.OpenRoot(name) // links do not lead out of the folder
	if err != nil {
		return err
	}
	return fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || litter(name) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f.entries = append(f.entries, entry{name: name, size: info.Size()})
		return tooMany(len(f.entries))
	})
}

func tooMany(n int) error {
	if n > maxFiles {
		return guia.Refuse(guia.Invalid, "mbox.too_many_files", n, maxFiles)
	}
	return nil
}

// litter reports files that file managers and mail programs leave beside mail: they describe it and hold none.
func litter(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(base, "._") || strings.HasPrefix(base, "dovecot") ||
		strings.HasSuffix(base, ".msf") || slices.Contains([]string{
		".DS_Store", "Thumbs.db", "desktop.ini", "maildirfolder", "subscriptions", "msgFilterRules.dat", "courierimapsubscribed",
	}, base)
}

// folder is the mail folder that a file belongs to, below the mailbox: the path of an mbox without its ending, the folder of single
// messages; in a Maildir the folder that holds "cur", and "new" of the same.
func (f *files) folder(e entry, many bool) string {
	if f.single {
		return ""
	}
	if many {
		return title(e.name)
	}
	dir := path.Dir(e.name)
	if base := path.Base(dir); base == "cur" || base == "new" || base == "tmp" {
		dir = path.Dir(dir)
	}
	if dir == "." {
		return ""
	}
	return strings.ToValidUTF8(dir, "\uFFFD")
}

// open returns the bytes of a file. Several may be open at a time.
func (f *files) open(e entry) (io.ReadCloser, error) {
	switch {
	case e.zip != nil:
		return e.zip.Open()
	case f.root != nil:
		return f.root.Open(filepath.FromSlash(e.name))
	}
	return section{io.NewSectionReader(f.file, 0, e.size)}, nil
}

// section is a part of the input's file that need not be closed.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// digest identifies the input, whatever it is called and wherever it lies.
func (f *files) digest() (string, error) {
	sum := sha256.New()
	if f.file != nil {
		info, err := f.file.Stat()
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, io.NewSectionReader(f.file, 0, info.Size()))
		return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
	}
	for _, e := range f.entries {
		r, err := f.open(e)
		if err != nil {
			return "", fmt.Errorf("digest: %w", err)
		}
		one := sha256.New()
		n, err := io.Copy(one, r)
		r.Close()
		if err != nil {
			return "", fmt.Errorf("digest: %w", err)
		}
		fmt.Fprintf(sum, "%x %d %q\n", one.Sum(nil), n, e.name)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// Close closes the file or folder.
func (f *files) Close() error {
	switch {
	case f.file != nil:
		return f.file.Close()
	case f.root != nil:
		return f.root.Close()
	}
	return nil
}
