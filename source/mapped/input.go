package mapped

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"guia"
	"guia/source"
)

// Limits of folders and archives.
const (
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
type chooser func(name string) choice

type choice int

const (
	ignored choice = iota // it may be an attachment
	taken
	leftOut // a gap: the mapping does not read it, and no record may name it
)

// openInput looks at what path is.
func openInput(name string, choose chooser) (input, error) {
	from, err := source.OpenInput(name)
	if err != nil {
		return nil, err
	}
	if from.Sole && gzipped(from) {
		return &tarInput{from: from, choose: choose, next: -1}, nil
	}
	in, err := newListing(from, choose)
	if err != nil {
		_ = from.Close() // only read
		return nil, err
	}
	return in, nil
}

// gzipped looks at the first bytes of a file.
func gzipped(from *source.Input) bool {
	r, err := from.Open(from.Entries[0])
	if err != nil {
		return false
	}
	defer r.Close() // only read
	magic := make([]byte, 2)
	_, err = io.ReadFull(r, magic)
	return err == nil && string(magic) == "\x1f\x8b"
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

// listing is a folder, a zip or one file, its files in order of their names.
type listing struct {
	from   *source.Input
	files  []listed
	left   []string                // names of those that are left out
	before []int64                 // bytes in the files before each, and in all
	all    map[string]source.Entry // what records may speak of
	grown  int64                   // bytes unpacked so far
}

// listed is a file that is to be read, by its name as people wrote it.
type listed struct {
	source.Entry
	name string
}

func newListing(from *source.Input, choose chooser) (*listing, error) {
	in := &listing{from: from, all: map[string]source.Entry{}}
	var sample []byte
	for _, e := range from.Entries {
		if e.Zip != nil && e.Zip.NonUTF8 && len(sample) < sampleSize {
			sample = append(append(sample, e.Zip.Name...), '\n')
		}
	}
	legacy, _ := Recognise(sample) // old programs write names in the system's encoding
	for _, e := range from.Entries {
		name := strings.ToValidUTF8(e.Name, "\uFFFD")
		if e.Zip != nil {
			name = e.Zip.Name
			if e.Zip.NonUTF8 && !legacy.wide() {
				name, _ = legacy.text([]byte(name))
			}
			var ok bool
			if name, ok = clean(name); !ok {
				return nil, guia.Refuse(guia.Invalid, "mapped.archive.path")
			}
			if e.Zip.Flags&1 != 0 {
				return nil, guia.Refuse(guia.Invalid, "mapped.archive.encrypted")
			}
		}
		in.all[name] = e
		switch chosen := choose(name); {
		case from.Sole || chosen == taken:
			in.files = append(in.files, listed{e, name})
		case chosen == leftOut:
			in.left = append(in.left, name)
		}
	}
	slices.Sort(in.left)
	slices.SortStableFunc(in.files, func(a, b listed) int { return strings.Compare(a.name, b.name) })
	from.Entries = from.Entries[:0]
	in.before = []int64{0}
	for i, f := range in.files {
		from.Entries = append(from.Entries, f.Entry) // the content of what is not read does not make it another input
		in.before = append(in.before, in.before[i]+f.Size)
	}
	return in, nil
}

func (in *listing) file(i int) (*handle, error) {
	if i >= len(in.files)+len(in.left) {
		return nil, io.EOF
	}
	if i >= len(in.files) {
		return nil, notTaken(in.left[i-len(in.files)])
	}
	f := in.files[i]
	r, err := in.from.Open(f.Entry)
	if err != nil {
		if f.Zip != nil {
			return nil, &damage{err, f.name, false}
		}
		return nil, guia.RefuseCause(guia.Invalid, withoutPath(err), "source.unreadable", f.name)
	}
	h := &handle{name: f.name, r: r, size: f.Size, close: r.Close}
	if anywhere, ok := r.(interface {
		io.ReadSeeker
		io.ReaderAt
	}); ok {
		h.seek, h.at = anywhere, anywhere
		return h, nil
	}
	in.grown = in.before[i]
	h.r = &growing{r, in.from.Size(), &in.grown}
	return h, nil
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

func (in *listing) attachment(near, name string) (func() (io.ReadCloser, error), int64, string) {
	if in.from.Sole {
		return nil, -1, "a single file brings no attachments: hand in the folder or a zip of it"
	}
	for _, candidate := range candidates(near, name) {
		e, ok := in.all[candidate]
		if !ok {
			continue
		}
		return func() (io.ReadCloser, error) {
			r, err := in.from.Open(e)
			if err != nil || e.Zip == nil {
				return r, err
			}
			return &closing{&growing{r, in.from.Size(), new(int64)}, r}, nil
		}, e.Size, ""
	}
	return nil, -1, "not in the folder or archive"
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

type closing struct {
	io.Reader
	io.Closer
}

// digest is that of the input. Of a folder the names of the files that the mapping leaves out are in it too, for each is a gap; their
// content is not read.
func (in *listing) digest() (string, error) {
	digest, err := in.from.Digest()
	if err != nil || in.from.Size() > 0 || len(in.left) == 0 {
		return digest, err
	}
	return source.Reading(digest, fmt.Sprintf("left out: %q", in.left)), nil
}

func (in *listing) progress(i int, off int64) (int64, int64) {
	total := in.before[len(in.files)]
	return min(in.before[min(i, len(in.files))]+off, total), total
}

func (in *listing) close() error { return in.from.Close() }

// tarInput is a tar.gz archive, its files in the order in which they were packed: it can only be read forwards.
type tarInput struct {
	from   *source.Input
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
		f, err := in.from.Open(in.from.Entries[0])
		if err != nil {
			return nil, err
		}
		in.counted = &counting{r: f} // closed with the input
		z, err := gzip.NewReader(in.counted)
		if err != nil {
			return nil, &damage{err, "tar.gz", true}
		}
		in.grown, in.entries, in.next = 0, 0, 0
		in.tar = tar.NewReader(&growing{z, in.from.Size(), &in.grown})
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
		if in.entries++; in.entries > source.MaxFiles {
			return nil, guia.Refuse(guia.Invalid, "source.too_many_files", source.MaxFiles)
		}
		if head.Typeflag == tar.TypeDir {
			continue
		}
		name, ok := clean(head.Name)
		if !ok {
			return nil, guia.Refuse(guia.Invalid, "mapped.archive.path")
		}
		if head.Typeflag != tar.TypeReg || source.Litter(name) {
			continue
		}
		chosen := in.choose(name)
		if chosen == ignored {
			continue
		}
		if in.next++; in.next <= i {
			continue
		}
		if chosen == leftOut {
			return nil, notTaken(name)
		}
		return &handle{name: name, r: in.tar, size: head.Size, close: func() error { return nil }}, nil
	}
}

func (in *tarInput) attachment(string, string) (func() (io.ReadCloser, error), int64, string) {
	return nil, -1, "attachments in a tar archive are not read: hand in the folder or a zip of it"
}

func (in *tarInput) digest() (string, error) { return in.from.Digest() }

func (in *tarInput) progress(int, int64) (int64, int64) {
	if in.counted == nil || in.next < 0 {
		return in.from.Size(), in.from.Size()
	}
	return min(in.counted.n, in.from.Size()), in.from.Size()
}

func (in *tarInput) close() error { return in.from.Close() }

// notTaken is the name of a file that the mapping does not read.
type notTaken string

func (n notTaken) Error() string { return "left out by the mapping" }

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
