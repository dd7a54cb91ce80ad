package mapped

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"guia"
)

// Limits of folders and archives.
const (
	maxFiles  = 1 << 20
	maxRatio  = 250       // an archive may not grow more than this when it is unpacked,
	freeRatio = 64 << 20  // unless it stays smaller than this
	maxInside = 256 << 20 // a workbook inside an archive, which must be held in memory
)

var formats = []string{"csv", "json", "jsonl", "xlsx"}

// byExtension is what files are taken for when the mapping does not say.
var byExtension = map[string]string{
	".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "xlsx", ".xlsm": "xlsx",
}

// input is what was handed in: a file, a folder or an archive of them.
type input interface {
	// file opens the i-th file that is to be read, io.EOF beyond the last. One file is open at a time.
	file(i int) (*handle, error)
	// attachment opens a file that a record of the file named near speaks of.
	attachment(near, name string) (open func() (io.ReadCloser, error), size int64, missing string)
	digest() (string, error)
	// progress is how far reading has come, given the open file and the place in it.
	progress(i int, off int64) (read, total int64)
	close() error
}

// handle is an open file of an input.
type handle struct {
	name  string // relative, with slashes
	r     io.Reader
	seek  io.ReadSeeker // nil where only reading on is possible
	at    io.ReaderAt   // with size, for workbooks; nil where only reading on is possible
	size  int64
	close func() error
}

// chooser says which files of an input are read.
type chooser func(name string) bool

// openInput looks at what path is.
func openInput(name string, choose chooser) (input, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, withoutPath(err), "mapped.open", filepath.Base(name))
	}
	if info.IsDir() {
		return openFolder(name, choose)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, withoutPath(err), "mapped.open", filepath.Base(name))
	}
	magic := make([]byte, 4)
	n, _ := io.ReadFull(f, magic)
	magic = magic[:n]
	switch {
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")) || bytes.HasPrefix(magic, []byte("PK\x05\x06")):
		z, err := zip.NewReader(f, info.Size())
		if err != nil {
			_ = f.Close()
			return nil, guia.RefuseCause(guia.Invalid, err, "mapped.archive.damaged", filepath.Base(name))
		}
		if !slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.EqualFold(f.Name, "xl/workbook.xml") }) {
			return openZip(f, info.Size(), z, choose)
		}
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		return &tarInput{f: f, size: info.Size(), choose: choose, next: -1}, nil
	}
	return &single{f: f, name: filepath.Base(name), size: info.Size()}, nil
}

// withoutPath keeps where the user's files lie out of messages.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// clean makes a name of an archive or folder valid UTF-8 with slashes; ok is false for names that lead elsewhere.
func clean(name string) (string, bool) {
	name = strings.ToValidUTF8(strings.ReplaceAll(name, `\`, "/"), "\uFFFD")
	name = strings.TrimPrefix(name, "./")
	return name, name != "" && !strings.Contains(name, "\x00") && fs.ValidPath(strings.TrimSuffix(name, "/"))
}

// leftover reports whether a name is what operating systems leave in archives.
func leftover(name string) bool {
	return strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(path.Base(name), "._") || path.Base(name) == ".DS_Store"
}

const noAttachments = "a single file brings no attachments: hand in the folder or a zip of it"

// single is one file.
type single struct {
	f    *os.File
	name string
	size int64
}

func (s *single) file(i int) (*handle, error) {
	if i > 0 {
		return nil, io.EOF
	}
	if _, err := s.f.Seek(0, io.SeekStart); err != nil {
		return nil, withoutPath(err)
	}
	return &handle{name: strings.ToValidUTF8(s.name, "\uFFFD"), r: s.f, seek: s.f, at: s.f, size: s.size, close: func() error { return nil }}, nil
}

func (s *single) attachment(string, string) (func() (io.ReadCloser, error), int64, string) {
	return nil, -1, noAttachments
}

func (s *single) digest() (string, error) { return digestOf(s.f, s.size) }

func digestOf(f io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
		return "", withoutPath(err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func (s *single) progress(i int, off int64) (int64, int64) {
	if i > 0 {
		return s.size, s.size
	}
	return min(off, s.size), s.size
}

func (s *single) close() error { return s.f.Close() }

// folder is a directory. Everything is opened through a root that symbolic links and ".." cannot leave.
type folder struct {
	root  *os.Root
	names []string
	sizes []int64 // before each file
	total int64
}

func openFolder(name string, choose chooser) (input, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, withoutPath(err), "mapped.open", filepath.Base(name))
	}
	in := &folder{root: root}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || leftover(name) || !choose(strings.ToValidUTF8(name, "\uFFFD")) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		in.names = append(in.names, name)
		in.sizes = append(in.sizes, in.total)
		in.total += info.Size()
		if len(in.names) > maxFiles {
			return guia.Refuse(guia.Invalid, "mapped.files", maxFiles)
		}
		return nil
	})
	if err != nil {
		_ = root.Close()
		if guia.KindOf(err) != 0 {
			return nil, err
		}
		return nil, guia.RefuseCause(guia.Invalid, withoutPath(err), "mapped.open", filepath.Base(name))
	}
	return in, nil
}

func (in *folder) file(i int) (*handle, error) {
	if i >= len(in.names) {
		return nil, io.EOF
	}
	f, err := in.root.Open(filepath.FromSlash(in.names[i]))
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, withoutPath(err), "mapped.open", in.names[i])
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, withoutPath(err)
	}
	return &handle{name: strings.ToValidUTF8(in.names[i], "\uFFFD"), r: f, seek: f, at: f, size: info.Size(), close: f.Close}, nil
}

func (in *folder) attachment(near, name string) (func() (io.ReadCloser, error), int64, string) {
	for _, candidate := range candidates(near, name) {
		info, err := in.root.Stat(filepath.FromSlash(candidate))
		if err == nil && info.Mode().IsRegular() {
			return func() (io.ReadCloser, error) { return in.root.Open(filepath.FromSlash(candidate)) }, info.Size(), ""
		}
	}
	return nil, -1, "not in the folder"
}

// candidates are where an attachment may lie: beside the file that speaks of it, or from the top.
func candidates(near, name string) (out []string) {
	name, ok := clean(name)
	if !ok {
		return nil
	}
	if dir := path.Dir(near); dir != "." {
		out = append(out, path.Join(dir, name))
	}
	return append(out, name)
}

func (in *folder) digest() (string, error) {
	h := sha256.New()
	for _, name := range in.names {
		f, err := in.root.Open(filepath.FromSlash(name))
		if err != nil {
			return "", withoutPath(err)
		}
		one := sha256.New()
		_, err = io.Copy(one, f)
		_ = f.Close()
		if err != nil {
			return "", withoutPath(err)
		}
		h.Write([]byte(hex.EncodeToString(one.Sum(nil)) + "  " + name + "\x00"))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func (in *folder) progress(i int, off int64) (int64, int64) {
	if i >= len(in.sizes) {
		return in.total, in.total
	}
	return min(in.sizes[i]+off, in.total), in.total
}

func (in *folder) close() error { return in.root.Close() }

// zipInput is a zip archive, its files in order of their names.
type zipInput struct {
	f     *os.File
	size  int64
	files []*zip.File
	names []string
	all   map[string]*zip.File
	grown int64 // bytes unpacked so far
	sizes []int64
	total int64
}

func openZip(f *os.File, size int64, z *zip.Reader, choose chooser) (input, error) {
	in := &zipInput{f: f, size: size, all: map[string]*zip.File{}}
	refuse := func(err error) (input, error) { _ = f.Close(); return nil, err }
	if len(z.File) > maxFiles {
		return refuse(guia.Refuse(guia.Invalid, "mapped.files", maxFiles))
	}
	var sample []byte
	for _, e := range z.File {
		if e.NonUTF8 && len(sample) < sampleSize {
			sample = append(append(sample, e.Name...), '\n')
		}
	}
	legacy, _ := Recognise(sample) // old programs write names in the system's encoding
	type named struct {
		name string
		file *zip.File
	}
	var chosen []named
	for _, e := range z.File {
		name := e.Name
		if e.NonUTF8 && !legacy.wide() {
			name, _ = legacy.text([]byte(name))
		}
		name, ok := clean(name)
		if !ok {
			return refuse(guia.Refuse(guia.Invalid, "mapped.archive.path"))
		}
		if e.FileInfo().IsDir() || leftover(name) {
			continue
		}
		if e.Flags&1 != 0 {
			return refuse(guia.Refuse(guia.Invalid, "mapped.archive.encrypted"))
		}
		in.all[name] = e
		if choose(name) {
			chosen = append(chosen, named{name, e})
		}
	}
	slices.SortStableFunc(chosen, func(a, b named) int { return strings.Compare(a.name, b.name) })
	for _, c := range chosen {
		in.files = append(in.files, c.file)
		in.names = append(in.names, c.name)
		in.sizes = append(in.sizes, in.total)
		in.total += int64(min(c.file.UncompressedSize64, 1<<40))
	}
	return in, nil
}

func (in *zipInput) file(i int) (*handle, error) {
	if i >= len(in.files) {
		return nil, io.EOF
	}
	r, err := in.files[i].Open()
	if err != nil {
		return nil, &damage{err, in.names[i], false}
	}
	in.grown = in.sizes[i]
	return &handle{name: in.names[i], r: &growing{r, in.size, &in.grown}, size: int64(min(in.files[i].UncompressedSize64, 1<<40)), close: r.Close}, nil
}

// growing refuses an archive that becomes too large when it is unpacked.
type growing struct {
	r     io.Reader
	from  int64 // size of the archive
	grown *int64
}

func (g *growing) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	*g.grown += int64(n)
	if *g.grown > freeRatio && *g.grown/maxRatio > g.from {
		return n, guia.Refuse(guia.Invalid, "mapped.archive.bomb", maxRatio)
	}
	return n, err
}

func (in *zipInput) attachment(near, name string) (func() (io.ReadCloser, error), int64, string) {
	for _, candidate := range candidates(near, name) {
		if f := in.all[candidate]; f != nil {
			return func() (io.ReadCloser, error) {
				r, err := f.Open()
				if err != nil {
					return nil, err
				}
				grown := int64(0)
				return &closing{&growing{r, in.size, &grown}, r}, nil
			}, int64(min(f.UncompressedSize64, 1<<40)), ""
		}
	}
	return nil, -1, "not in the archive"
}

type closing struct {
	io.Reader
	io.Closer
}

func (in *zipInput) digest() (string, error) { return digestOf(in.f, in.size) }

func (in *zipInput) progress(i int, off int64) (int64, int64) {
	if i >= len(in.sizes) {
		return in.total, in.total
	}
	return min(in.sizes[i]+off, in.total), in.total
}

func (in *zipInput) close() error { return in.f.Close() }

// tarInput is a tar.gz archive, its files in the order in which they were packed: it can only be read forwards.
type tarInput struct {
	f      *os.File
	size   int64
	choose chooser

	counted *counting
	tar     *tar.Reader
	next    int // number of the file that comes next; -1 before the archive is opened
	entries int
	grown   int64
}

type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (in *tarInput) file(i int) (*handle, error) {
	if in.next < 0 || i < in.next {
		if _, err := in.f.Seek(0, io.SeekStart); err != nil {
			return nil, withoutPath(err)
		}
		in.counted = &counting{r: in.f}
		z, err := gzip.NewReader(in.counted)
		if err != nil {
			return nil, &damage{err, "tar.gz", true}
		}
		in.grown, in.entries, in.next = 0, 0, 0
		in.tar = tar.NewReader(&growing{z, in.size, &in.grown})
	}
	for {
		head, err := in.tar.Next()
		if err == io.EOF {
			in.next = -1
			return nil, io.EOF
		}
		if err != nil {
			in.next = -1
			if guia.KindOf(err) != 0 {
				return nil, err
			}
			return nil, &damage{err, "tar.gz", true}
		}
		if in.entries++; in.entries > maxFiles {
			return nil, guia.Refuse(guia.Invalid, "mapped.files", maxFiles)
		}
		if head.Typeflag == tar.TypeDir {
			continue
		}
		name, ok := clean(head.Name)
		if !ok {
			return nil, guia.Refuse(guia.Invalid, "mapped.archive.path")
		}
		if head.Typeflag != tar.TypeReg || leftover(name) || !in.choose(name) {
			continue
		}
		if in.next++; in.next > i {
			return &handle{name: name, r: in.tar, size: head.Size, close: func() error { return nil }}, nil
		}
	}
}

func (in *tarInput) attachment(string, string) (func() (io.ReadCloser, error), int64, string) {
	return nil, -1, "attachments in a tar archive are not read: hand in the folder or a zip of it"
}

func (in *tarInput) digest() (string, error) { return digestOf(in.f, in.size) }

func (in *tarInput) progress(int, int64) (int64, int64) {
	if in.counted == nil || in.next < 0 {
		return in.size, in.size
	}
	return min(in.counted.n, in.size), in.size
}

func (in *tarInput) close() error { return in.f.Close() }

// damage says that a file of an archive cannot be opened, or that nothing after this place can.
type damage struct {
	cause error
	name  string
	final bool
}

func (d *damage) Error() string { return "damaged archive: " + d.cause.Error() }
func (d *damage) Unwrap() error { return d.cause }

// inMemory makes a file that can only be read forwards one that can be read anywhere.
func (h *handle) inMemory() error {
	if h.at != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(h.r, maxInside+1))
	if err != nil {
		return err
	}
	if len(b) > maxInside {
		return guia.Refuse(guia.Invalid, "mapped.xlsx.inside", h.name, maxInside>>20)
	}
	h.at, h.size = bytes.NewReader(b), int64(len(b))
	return nil
}

// atEnd reports whether err is io.EOF itself. One inside another error, as of a zip archive that promises a file behind its end, is
// damage: it must become a gap and never look like the end of the input.
func atEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // a wrapped io.EOF is not the end
}
