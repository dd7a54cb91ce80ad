// Package mapped reads what people export by hand: CSV, XLSX, JSON and JSON Lines files, folders, zip and tar.gz archives of them,
// with a saved mapping that says which column or JSON path becomes which registered field.
//
// The model: an input is a sequence of files (in order of their names; in a tar, in the order in which they were packed), a file is
// a sequence of rows, and a row becomes one record. A place is the number of the file and the place in it; the cursor is a place
// and nothing else. A [Mapping] holds names of columns, paths, constants and parts of file names, and never code.
//
// The package guarantees that memory does not grow with the input, that the raw bytes of a record are the bytes of its row as they
// stand in the file, and that nothing is dropped: a row without a usable time or sender is kept and marked, a part that cannot be read
// becomes a source.gap, and so does a file that the mapping does not read, unless records may name it as an attachment. Keys: the mapped identifier together with the stream; without one, a digest of the row and how many identical
// rows stood before it, so that a longer export of the same table brings the same keys. Without an identifier, continuing after a
// restart reads the input once from its beginning to count again.
//
// It does not guarantee to guess right. Encodings are recognised by what is likely (declare them where it matters), and times
// whose day and month could be exchanged are refused until the mapping declares their format. XLSX workbooks hold their texts in one
// table, which must fit into 128 MiB; old binary XLS files and encrypted ones are not read.
package mapped

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"guia"
	"guia/source"
)

// Limits of one page.
const (
	pageRecords = 1000
	pageBytes   = 8 << 20
)

// Marks of this connector, beside those that all share.
const (
	MarkRagged       = "ragged-row"     // the row has another number of cells than the header
	MarkNoIdentifier = "no-identifier"  // the mapping names an identifier, and this row has none
	MarkUnknownType  = "unknown-type"   // the mapped type is none that a mapping may use; kept as record.kept
	MarkBadDay       = "unreadable-day" // a day such as valid.from could not be read and was left out
)

// Source is an input and the mapping with which it is read. It is used by one goroutine at a time.
type Source struct {
	m       Mapping
	name    string // of the input
	in      input
	sole    bool // one file, not a folder or archive
	several bool // more than one file, as far as is known without reading
	pattern *regexp.Regexp
	sheets  []*regexp.Regexp
	records steps
	clock   *clock
	keyed   bool
	occur   occurrences
	met     map[string]*bool // what the mapping expects to find in the input, and whether it was found
	left    []string         // files that were passed over
	sample  []string         // the names in the first JSON record; nil before it

	instance string
	failed   error // why the instance could not be computed
	closed   bool

	// What stands open: where the next row begins, and the cursor for it as it was handed out; "-" when nothing is known.
	at      place
	handed  source.Cursor
	ended   bool
	open    *file
	pending *source.Record // read already, but too large for the page before
	passed  place          // place after pending

	buffered *bufio.Reader // memory that goes from file to file
	window   *window
}

// place is where a row begins.
type place struct {
	file, sheet int
	off, row    int64
	damaged     int
}

// endOfInput is the number of the file after a damage behind which nothing can be read.
const endOfInput = 1 << 30

// file is an open file of the input with its reader.
type file struct {
	h      *handle
	next   func(context.Context, *row) error
	place  func() place // after the last row, without the number of the file
	book   *workbook
	fields map[string]*reader
	extra  []string // targets that go into Extra
	row    row
}

// Open prepares reading path, a file or a folder. It looks at names and at the first bytes, and reads nothing else; mistakes in what
// the mapping expects of the files come from [Source.Pull].
func Open(name string, m Mapping) (*Source, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	s := &Source{m: m, handed: "-", clock: newClock(&m), name: filepath.Base(name), met: map[string]*bool{}}
	for _, v := range m.Fields {
		v.expect(s.met)
	}
	_, s.keyed = m.Fields["key"]
	records, _ := parsePath(m.Records) // checked
	switch {
	case m.Records == "":
		records = []step{{each: true}}
	case len(records) > 0 && !records[len(records)-1].each:
		records = append(records, step{each: true})
	}
	s.records = records
	if m.Pattern != "" {
		s.pattern = regexp.MustCompile(m.Pattern) // checked
	}
	for _, glob := range m.Sheets {
		re, _ := globPattern(glob) // checked
		s.sheets = append(s.sheets, re)
	}
	var err error
	s.in, err = openInput(name, m.chooser())
	if err != nil {
		return nil, err
	}
	in, listed := s.in.(*listing)
	s.sole = listed && in.from.Sole
	switch {
	case s.sole && !m.meant(filepath.Base(name)):
		err = guia.Refuse(guia.Invalid, "mapped.not_meant", filepath.Base(name), strings.Join(m.Files, ", "))
	case s.sole && m.Format == "" && byExtension[strings.ToLower(filepath.Ext(name))] == "":
		err = guia.Refuse(guia.Invalid, "mapped.format", filepath.Base(name), strings.Join(formats, ", "))
	case listed && len(in.files) == 0:
		err = guia.Refuse(guia.Invalid, "mapped.nothing", filepath.Base(name))
	}
	if err != nil {
		_ = s.in.close() // only read
		return nil, err
	}
	s.several = listed && len(in.files) > 1
	return s, nil
}

// chooser says which files of a folder or archive the mapping reads. Where it names attachments, what it does not read may be one.
func (m *Mapping) chooser() chooser {
	globs := m.globs(func(glob string) string { return glob })
	_, attaches := m.Fields["file.path"]
	return func(name string) choice {
		known := byExtension[strings.ToLower(path.Ext(name))] != ""
		switch {
		case len(globs) == 0 && known, (known || m.Format != "") && matches(globs, name):
			return taken
		case !attaches:
			return leftOut
		}
		return ignored
	}
}

// meant reports whether the mapping is for a file that was handed in by itself: nobody knows in which folder it was.
func (m *Mapping) meant(name string) bool {
	globs := m.globs(path.Base)
	return len(globs) == 0 || matches(globs, name)
}

func matches(globs []*regexp.Regexp, name string) bool {
	return slices.ContainsFunc(globs, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

func (m *Mapping) globs(part func(glob string) string) (globs []*regexp.Regexp) {
	for _, glob := range m.Files {
		re, _ := globPattern(part(glob)) // checked
		globs = append(globs, re)
	}
	return globs
}

// Name is "mapped".
func (s *Source) Name() guia.SourceName { return "mapped" }

// Instance is a digest of the file and of the mapping; of a folder, of the names and digests of the files that are read, of the names
// of those that the mapping leaves out, and of the mapping. It is computed at the first call, which reads the input once. Empty when it cannot be read; Pull then says why.
func (s *Source) Instance() string {
	if s.instance == "" && s.failed == nil && !s.closed {
		s.instance, s.failed = s.identify()
	}
	return s.instance
}

func (s *Source) identify() (string, error) {
	digest, err := s.in.digest()
	if err != nil {
		return "", err
	}
	var how strings.Builder
	err = s.m.Write(&how)
	return source.Reading(digest, how.String()), err
}

// Repeated is how many messages read so far stand in more than one file of the input, of those that have no identifier: at least so many, for
// its memory is fixed. They are records of their own, as somebody may have said the same twice.
func (s *Source) Repeated() int64 { return s.occur.repeated }

// LeftOut are the files passed so far that the mapping does not read, each a source.gap: the first hundred of them.
func (s *Source) LeftOut() []string { return s.left }

const mostLeft = 100

// Close closes the input. It may be called again.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.forget()
	s.closed = true
	return s.in.close()
}

// Pull returns up to 1000 records after the cursor. See [source.Source].
func (s *Source) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	if err := ctx.Err(); err != nil {
		return source.Page{}, err
	}
	if s.closed {
		return source.Page{}, guia.Refuse(guia.Invalid, "source.closed")
	}
	if s.failed != nil {
		return source.Page{}, s.failed
	}
	at, err := parseCursor(after)
	if err != nil {
		return source.Page{}, err
	}
	page, err := s.pull(ctx, at, after)
	if err != nil {
		s.forget()
		return source.Page{}, err
	}
	s.handed = page.Next
	if after == "" {
		if err := s.refuseUnmet(ctx, page.Done); err != nil {
			s.forget()
			return source.Page{}, err
		}
	}
	return page, nil
}

// refuseUnmet refuses the input when a path of the mapping leads to nothing in any JSON record of it. It is asked after the first page and
// before anything of it is handed out, and reads on only as long as something was not found.
func (s *Source) refuseUnmet(ctx context.Context, done bool) error {
	unmet := func() (path string) {
		for from, found := range s.met {
			if !*found && (path == "" || from < path) {
				path = from
			}
		}
		return path
	}
	if !done && unmet() != "" {
		defer s.forget() // the second page is read again
		for unmet() != "" {
			_, next, err := s.record(ctx)
			if atEnd(err) {
				break
			}
			if err != nil {
				return err
			}
			s.at = next
		}
	}
	if path := unmet(); path != "" && s.sample != nil {
		return guia.Refuse(guia.Invalid, "mapped.path", short(path), s.name, short(strings.Join(s.sample, ", ")))
	}
	return nil
}

func (s *Source) pull(ctx context.Context, at place, after source.Cursor) (source.Page, error) {
	if after != s.handed {
		if err := s.goTo(ctx, at); err != nil {
			return source.Page{}, err
		}
	}
	var page source.Page
	for size := 0; len(page.Records) < pageRecords; {
		r, next, err := s.record(ctx)
		if atEnd(err) {
			page.Done = true
			break
		}
		if err != nil {
			return source.Page{}, err
		}
		if size += len(r.Raw); size > pageBytes && len(page.Records) > 0 {
			s.pending, s.passed = r, next
			break
		}
		page.Records = append(page.Records, *r)
		s.at = next
	}
	page.Next = s.at.cursor()
	page.Read, page.Total = s.in.progress(s.at.file, s.progressOff())
	if page.Done {
		page.Read = page.Total
	}
	return page, nil
}

func (s *Source) progressOff() int64 {
	if s.open == nil || s.open.book != nil {
		return 0
	}
	return s.at.off
}

// forget closes what is open: the next Pull finds its place anew.
func (s *Source) forget() {
	if s.open != nil {
		s.open.close()
		s.open = nil
	}
	s.pending, s.handed, s.ended = nil, "-", false
}

func (f *file) close() {
	if f.book != nil {
		f.book.close()
	}
	_ = f.h.close()
}

// goTo makes at the place where reading goes on.
func (s *Source) goTo(ctx context.Context, at place) error {
	s.forget()
	if s.keyed || at == (place{}) {
		s.occur = occurrences{}
		s.at = at
		return nil
	}
	// Without an identifier the rows before count: see occurrences.
	s.occur = occurrences{}
	s.at = place{}
	for s.at != at {
		_, next, err := s.record(ctx)
		if atEnd(err) || err == nil && next.after(at) {
			return source.RefuseCursor()
		}
		if err != nil {
			return err
		}
		s.at = next
	}
	return nil
}

func (p place) after(q place) bool {
	if p.file != q.file {
		return p.file > q.file
	}
	if p.sheet != q.sheet {
		return p.sheet > q.sheet
	}
	return p.off > q.off
}

// cursor is the place as text, with a checksum against cursors of something else.
func (p place) cursor() source.Cursor {
	if p == (place{}) {
		return ""
	}
	text := fmt.Sprintf("1:%d:%d:%d:%d:%d", p.file, p.sheet, p.off, p.row, p.damaged)
	return source.Cursor(fmt.Sprintf("%s:%08x", text, crc32.ChecksumIEEE([]byte(text))))
}

func parseCursor(c source.Cursor) (p place, err error) {
	if c == "" {
		return place{}, nil
	}
	var sum uint32
	n, err := fmt.Sscanf(string(c[:min(len(c), 200)]), "1:%d:%d:%d:%d:%d:%08x", &p.file, &p.sheet, &p.off, &p.row, &p.damaged, &sum)
	if err != nil || n != 6 || p.cursor() != c || p.file < 0 || p.sheet < 0 || p.off < 0 || p.row < 0 || p.damaged < 0 {
		return place{}, source.RefuseCursor()
	}
	return p, nil
}

// record reads the next row and turns it into a record; next is the place after it. io.EOF after the last.
func (s *Source) record(ctx context.Context) (r *source.Record, next place, err error) {
	if s.pending != nil {
		r, next = s.pending, s.passed
		s.pending = nil
		return r, next, nil
	}
	for {
		if s.ended || s.at.file >= endOfInput {
			s.ended = true
			return nil, s.at, io.EOF
		}
		if s.open == nil {
			err := s.openFile(ctx)
			if atEnd(err) {
				s.ended = true
				return nil, s.at, io.EOF
			}
			if err != nil {
				return s.cannotOpen(err)
			}
		}
		f := s.open
		err := f.next(ctx, &f.row)
		if atEnd(err) {
			if f.book != nil {
				err := s.nextSheet(ctx)
				if err == nil {
					continue
				}
				if !atEnd(err) {
					return s.cannotRead(err)
				}
			}
			f.close()
			s.open = nil
			s.at = place{file: s.at.file + 1}
			continue
		}
		if err != nil {
			return s.cannotRead(err)
		}
		next = f.place()
		next.file = s.at.file
		r, err := s.build(f)
		return r, next, err
	}
}

// cannotOpen turns damage into a gap. An input of which nothing can be read is refused instead.
func (s *Source) cannotOpen(err error) (*source.Record, place, error) {
	if name, ok := errors.AsType[notTaken](err); ok {
		why := "a mapping reads no files of this kind: import it by itself"
		if byExtension[strings.ToLower(path.Ext(string(name)))] != "" {
			why = "no pattern under files: in the mapping takes this file"
		}
		if !slices.Contains(s.left, string(name)) && len(s.left) < mostLeft {
			s.left = append(s.left, string(name))
		}
		r := s.gap(string(name), 0, []byte(name), "text/plain", why)
		sum := sha256.Sum256(r.Raw) // whatever stands beside it
		r.Key = "gap:left-out:" + hex.EncodeToString(sum[:16])
		return r, place{file: s.at.file + 1}, nil
	}
	var d *damage
	if !errors.As(err, &d) || s.at == (place{}) && (d.final || !s.several) {
		if d != nil {
			err = guia.RefuseCause(guia.Invalid, d.cause, "source.damaged", d.name)
		}
		return nil, s.at, err
	}
	next := place{file: s.at.file + 1}
	if d.final {
		next = place{file: endOfInput}
	}
	return s.gap(d.name, 0, []byte(d.name), "text/plain", "the archive is damaged here"), next, nil
}

// cannotRead turns an error in the middle of a file into a gap for the rest of it.
func (s *Source) cannotRead(err error) (*source.Record, place, error) {
	if guia.KindOf(err) != 0 || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, s.at, err
	}
	f := s.open
	f.close()
	s.open = nil
	next := place{file: s.at.file + 1}
	return s.gap(f.h.name, f.place().row, []byte(f.h.name), "text/plain", "the file is damaged here: "+short(err.Error())), next, nil
}

// gap is the record of a part that cannot be read.
func (s *Source) gap(name string, number int64, raw []byte, rawType, why string) *source.Record {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d ", s.at.file, number)
	h.Write(raw)
	r := &source.Record{
		Key: "gap:" + hex.EncodeToString(h.Sum(nil)[:16]), Type: guia.SourceGap, Raw: raw, RawType: rawType,
		Stream: s.defaultStream(), StreamKind: "feed", Origin: origin(name, "", number),
	}
	r.Extra.Set("reason", why)
	return r
}

// own puts the name of the source in front of an identifier: the channel "general" and the user "1" of two systems are not the same.
func (s *Source) own(id string) string {
	if s.m.Name == "" {
		return id
	}
	return s.m.Name + "/" + id
}

func (s *Source) defaultStream() string {
	if s.m.Name == "" {
		return "records"
	}
	return s.m.Name
}

func origin(name, sheet string, number int64) string {
	const most = 3000
	if len(name) > most {
		name = strings.ToValidUTF8(name[len(name)-most:], "")
	}
	if sheet != "" {
		name += "!" + strings.ToValidUTF8(sheet[:min(len(sheet), 200)], "")
	}
	return name + "#" + strconv.FormatInt(number, 10)
}

// openFile opens the file of s.at and goes to the place in it; io.EOF when there is no such file.
func (s *Source) openFile(ctx context.Context) error {
	h, err := s.in.file(s.at.file)
	if err != nil {
		return err
	}
	f := &file{h: h}
	format := s.m.Format
	if format == "" {
		format = byExtension[strings.ToLower(path.Ext(h.name))]
	}
	if format == "xlsx" {
		err = s.openBook(ctx, f)
	} else {
		err = s.openText(ctx, f, format)
	}
	if err != nil {
		_ = h.close()
		return err
	}
	s.open = f
	return nil
}

// openText opens a file of characters.
func (s *Source) openText(ctx context.Context, f *file, format string) error {
	h := f.h
	if s.buffered == nil {
		s.buffered = bufio.NewReaderSize(h.r, sampleSize)
	}
	buffered := s.buffered
	buffered.Reset(h.r)
	var sample []byte
	var err error
	if s.m.Encoding == "" {
		sample, err = buffered.Peek(int(min(max(h.size, 1), sampleSize)))
		if ascii(sample) && h.seek != nil {
			sample, err = laterSample(h, sample)
			buffered.Reset(h.r)
		}
	} else {
		sample, err = buffered.Peek(4)
	}
	if err != nil && !atEnd(err) {
		return &damage{withoutPath(err), h.name, false}
	}
	enc, mark := Recognise(sample)
	if s.m.Encoding != "" {
		if enc != s.m.Encoding {
			mark = 0
		}
		enc = s.m.Encoding
	}
	_, _ = buffered.Discard(mark) // it stands in the sample
	w := newWindow(buffered, enc, int64(mark), s.window)
	s.window = w
	seek := func() error { // to where s.at says, if that is possible without reading
		if h.seek == nil || s.at.off <= w.off {
			return nil
		}
		if _, err := h.seek.Seek(s.at.off, io.SeekStart); err != nil {
			return withoutPath(err)
		}
		*w = *newWindow(h.r, enc, s.at.off, w)
		return nil
	}
	skip := func() error { // what could not be jumped over
		for w.off < s.at.off {
			if err := f.next(ctx, &f.row); atEnd(err) {
				return source.RefuseCursor()
			} else if err != nil {
				return err
			}
		}
		return nil
	}

	switch format {
	case "csv":
		c := &csvReader{w: w, line: 1}
		if err := s.csvHeader(ctx, c, h); err != nil {
			return err
		}
		if err := s.prepare(f, c.header); err != nil {
			return err
		}
		c.damaged = max(c.damaged, s.at.damaged)
		if h.seek != nil && s.at.off > w.off {
			c.line = s.at.row
		}
		f.next = c.next
		f.place = func() place { return place{off: w.off, row: c.line, damaged: c.damaged} }
		if err := seek(); err != nil {
			return err
		}
		return skip()
	case "jsonl":
		l := &lineReader{w: w, line: 1}
		if h.seek != nil && s.at.off > w.off {
			l.line = s.at.row
		}
		f.next = l.next
		f.place = func() place { return place{off: w.off, row: l.line} }
		if err := s.prepare(f, nil); err != nil {
			return err
		}
		if err := seek(); err != nil {
			return err
		}
		return skip()
	}
	a := &arrayReader{w: w, path: s.records, from: s.at.off}
	f.next = a.next
	f.place = func() place { return place{off: w.off, row: a.number} }
	return s.prepare(f, nil)
}

// laterSample looks further into a file that begins with ASCII, for the first characters that are not, and goes back to its beginning.
func laterSample(h *handle, sample []byte) ([]byte, error) {
	const most = 64 << 20
	beginning := sample
	buf := make([]byte, sampleSize)
	for off := int64(0); off < min(h.size, most); off += int64(len(buf) / 2) {
		if _, err := h.seek.Seek(off, io.SeekStart); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(h.r, buf)
		if !ascii(buf[:n]) {
			start := 0
			for buf[start] < 0x80 {
				start++
			}
			beginning = buf[max(0, start-8):n]
			break
		}
		if err != nil {
			break
		}
	}
	beginning = append([]byte(nil), beginning...)
	_, err := h.seek.Seek(0, io.SeekStart)
	return beginning, err
}

// csvHeader finds the delimiter and the names of the columns.
func (s *Source) csvHeader(ctx context.Context, c *csvReader, h *handle) error {
	for len(c.w.bytes()) < 1<<12 && c.w.more() {
	}
	first, _, _ := strings.Cut(string(c.w.bytes()), "\n")
	if rest, ok := strings.CutPrefix(strings.TrimRight(first, "\r"), "sep="); ok && len(rest) == 1 { // what one spreadsheet writes
		c.delimiter = rest[0]
		c.w.take(min(len(first)+1, len(c.w.bytes())))
		c.line++
	}
	if s.m.Delimiter != "" {
		c.delimiter = s.m.Delimiter[0]
	} else if c.delimiter == 0 {
		line := strings.TrimLeft(string(c.w.bytes()), "\r\n")
		line, _, _ = strings.Cut(line, "\n")
		c.delimiter = sniffDelimiter([]byte(line))
	}
	var r row
	for range s.m.Header {
		err := c.next(ctx, &r)
		if atEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.gap != "" {
			if strings.HasPrefix(r.gap, "more than") {
				return guia.Refuse(guia.Invalid, "mapped.columns", h.name, maxColumns)
			}
			return guia.Refuse(guia.Invalid, "mapped.header", h.name)
		}
		c.header = columnNames(r.cells)
	}
	return nil
}

// openBook opens a workbook and goes to the sheet and row of s.at.
func (s *Source) openBook(ctx context.Context, f *file) error {
	b, err := openWorkbook(f.h, s.m.Header, s.wantSheet)
	if err != nil {
		if guia.KindOf(err) != 0 {
			return err
		}
		return &damage{err, f.h.name, false}
	}
	f.book = b
	f.next = b.next
	f.place = func() place { return place{sheet: max(b.sheet, 0), off: b.row, row: b.row} }
	s.open = f
	b.sheet = s.at.sheet - 1
	if err := s.nextSheet(ctx); err != nil && !atEnd(err) {
		s.open = nil
		if guia.KindOf(err) != 0 {
			return err
		}
		return &damage{err, f.h.name, false}
	}
	s.open = nil
	for b.row < s.at.off {
		if err := b.next(ctx, &f.row); atEnd(err) {
			return source.RefuseCursor()
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) wantSheet(name string) bool {
	for _, re := range s.sheets {
		if re.MatchString(name) {
			return true
		}
	}
	return len(s.sheets) == 0
}

// nextSheet opens the next sheet of the open workbook.
func (s *Source) nextSheet(ctx context.Context) error {
	b := s.open.book
	if err := b.nextSheet(ctx); err != nil {
		return err
	}
	return s.prepare(s.open, b.header)
}
