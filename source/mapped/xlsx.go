package mapped

import (
	"archive/zip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"guia"
)

// Limits of workbooks. The texts of a workbook stand in one table that must be held in memory; the rows pass by.
const (
	maxShared = 128 << 20
	maxSheets = 1024
)

// workbook reads the rows of the sheets of an XLSX file (ECMA-376 part 1, section 18).
//
// There is a well-known library for these files; it reads the whole file into memory and unpacks large sheets into temporary files
// in the clear, and neither is possible here.
type workbook struct {
	zip      *zip.Reader
	from     int64 // size of the file
	grown    int64
	name     string
	sheets   []sheet
	shared   []byte // the texts one after the other
	ends     []uint32
	isDate   []dateKind // by style
	since    time.Time  // day 0
	feb29    bool       // the calendar of 1900, which has a 29th of February
	headerAt int

	sheet  int // the open one; -1 before the first
	part   io.ReadCloser
	tokens *tokens
	row    int64 // rows of the sheet that were read
	header []string
}

type sheet struct{ name, part string }

type dateKind uint8

const (
	noDate dateKind = iota
	dateOnly
	dateTime
	timeOnly
)

// tokens reads XML and refuses single tokens that are larger than a row may be.
type tokens struct {
	r    io.Reader
	d    *xml.Decoder
	left int
}

func newTokens(r io.Reader) *tokens {
	t := &tokens{r: r}
	t.d = xml.NewDecoder(t)
	t.d.Strict = true
	return t
}

func (t *tokens) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errors.New("a single piece of XML is larger than a row may be")
	}
	n, err := t.r.Read(p[:min(len(p), 64<<10)])
	t.left -= n
	return n, err
}

func (t *tokens) next() (xml.Token, error) {
	t.left = maxRow
	return t.d.RawToken()
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// openWorkbook reads what all sheets share. An error that is no refusal says that the file is damaged.
func openWorkbook(h *handle, headerAt int, choose func(sheet string) bool) (*workbook, error) {
	if err := h.inMemory(); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(h.at, h.size)
	if err != nil {
		return nil, err
	}
	b := &workbook{zip: z, from: h.size, name: h.name, headerAt: headerAt, sheet: -1}
	targets := map[string]string{}
	err = b.each("xl/_rels/workbook.xml.rels", func(e xml.StartElement, _ *tokens) error {
		if e.Name.Local == "Relationship" && len(targets) < maxSheets*4 {
			target := attr(e, "Target")
			if !strings.HasPrefix(target, "/") {
				target = path.Join("xl", target)
			}
			targets[attr(e, "Id")] = strings.TrimPrefix(target, "/")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	since1904 := false
	err = b.each("xl/workbook.xml", func(e xml.StartElement, _ *tokens) error {
		switch e.Name.Local {
		case "workbookPr":
			v := attr(e, "date1904")
			since1904 = v == "1" || v == "true"
		case "sheet":
			id := ""
			for _, a := range e.Attr {
				if a.Name.Local == "id" && a.Name.Space != "" {
					id = a.Value
				}
			}
			if name := attr(e, "name"); choose(name) && targets[id] != "" && len(b.sheets) < maxSheets {
				b.sheets = append(b.sheets, sheet{name, targets[id]})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.since, b.feb29 = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC), true
	if since1904 {
		b.since, b.feb29 = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC), false
	}
	if err := b.readStyles(); err != nil {
		return nil, err
	}
	return b, b.readShared()
}

// open opens a part of the file; nil when there is none.
func (b *workbook) open(name string) (io.ReadCloser, error) {
	for _, f := range b.zip.File {
		if strings.EqualFold(f.Name, name) {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			return &closing{&growing{r, b.from, &b.grown}, r}, nil
		}
	}
	return nil, nil
}

// each calls f with every start element of a part; a part that does not exist has none.
func (b *workbook) each(name string, f func(xml.StartElement, *tokens) error) error {
	r, err := b.open(name)
	if r == nil {
		return err
	}
	defer r.Close()
	t := newTokens(r)
	for {
		token, err := t.next()
		if atEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := token.(xml.StartElement); ok {
			if err := f(e, t); err != nil {
				return err
			}
		}
	}
}

// readStyles finds out which styles are dates.
func (b *workbook) readStyles() error {
	custom := map[string]dateKind{}
	inXfs := false
	return b.each("xl/styles.xml", func(e xml.StartElement, _ *tokens) error {
		switch e.Name.Local {
		case "numFmt":
			if len(custom) < 1<<16 {
				custom[attr(e, "numFmtId")] = dateFormat(attr(e, "formatCode"))
			}
		case "cellXfs":
			inXfs = true
		case "cellStyles", "dxfs", "tableStyles":
			inXfs = false
		case "xf":
			if inXfs && len(b.isDate) < 1<<16 {
				id := attr(e, "numFmtId")
				kind, ok := custom[id]
				if !ok {
					kind = builtinDate(id)
				}
				b.isDate = append(b.isDate, kind)
			}
		}
		return nil
	})
}

// builtinDate is ECMA-376 part 1, 18.8.30: the formats that need not be written down, with those of the East Asian versions.
func builtinDate(id string) dateKind {
	switch n, _ := strconv.Atoi(id); {
	case n >= 14 && n <= 17, n >= 27 && n <= 31, n == 36, n >= 50 && n <= 54, n == 57, n == 58:
		return dateOnly
	case n == 22:
		return dateTime
	case n >= 18 && n <= 21, n == 45, n == 47, n >= 32 && n <= 35, n == 55, n == 56:
		return timeOnly
	}
	return noDate
}

// dateFormat reads a format code: letters of dates outside quotes, escapes and brackets. Elapsed time ([h]:mm) is a number.
func dateFormat(code string) dateKind {
	code, _, _ = strings.Cut(code, ";")
	days, hours := false, false
	for i := 0; i < len(code); i++ {
		switch c := code[i] | 0x20; {
		case code[i] == '"':
			end := strings.IndexByte(code[i+1:], '"')
			if end < 0 {
				return noDate
			}
			i += end + 1
		case code[i] == '\\' || code[i] == '_' || code[i] == '*':
			i++
		case code[i] == '[':
			end := strings.IndexByte(code[i:], ']')
			if end < 0 {
				return noDate
			}
			if inner := strings.ToLower(code[i+1 : i+end]); strings.Trim(inner, "hms") == "" {
				return noDate
			}
			i += end
		case c == 'y' || c == 'd':
			days = true
		case c == 'h' || c == 's':
			hours = true
		case c == 'g': // "General", and eras
			if strings.HasPrefix(strings.ToLower(code[i:]), "general") {
				i += len("eneral")
			}
		}
	}
	switch {
	case days && hours:
		return dateTime
	case days:
		return dateOnly
	case hours:
		return timeOnly
	}
	return noDate
}

// readShared reads the table of texts.
func (b *workbook) readShared() error {
	return b.each("xl/sharedStrings.xml", func(e xml.StartElement, t *tokens) error {
		if e.Name.Local != "si" {
			return nil
		}
		text, err := t.richText("si")
		if err != nil {
			return err
		}
		b.shared = append(b.shared, text...)
		b.ends = append(b.ends, uint32(len(b.shared)))
		if len(b.shared)+4*len(b.ends) > maxShared {
			return guia.Refuse(guia.Invalid, "mapped.xlsx.shared", b.name, maxShared>>20)
		}
		return nil
	})
}

// richText joins the runs of a text until its element ends, without the readings (rPh) that East Asian versions put beside it.
func (t *tokens) richText(until string) (string, error) {
	var out []byte
	reading, inText := 0, false
	for {
		token, err := t.next()
		if err != nil {
			return "", unexpected(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "rPh":
				reading++
			case "t":
				inText = true
			}
		case xml.EndElement:
			switch e.Name.Local {
			case until:
				return unescape(string(out)), nil
			case "rPh":
				reading--
			case "t":
				inText = false
			}
		case xml.CharData:
			if inText && reading == 0 {
				out = append(out, e...)
				if len(out) > maxRow {
					return "", errors.New("a text is larger than a row may be")
				}
			}
		}
	}
}

func unexpected(err error) error {
	if atEnd(err) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// unescape reads _x000D_, the way in which control characters are written (18.4.12 and 22.9.2.19).
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '_' && i+7 <= len(s) && s[i+1] == 'x' && s[i+6] == '_' {
			if n, err := strconv.ParseUint(s[i+2:i+6], 16, 16); err == nil {
				out.WriteRune(rune(n))
				i += 6
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// nextSheet opens the next sheet and reads the names of its columns; io.EOF after the last.
func (b *workbook) nextSheet(ctx context.Context) error {
	b.close()
	b.sheet++
	b.header, b.row = nil, 0
	if b.sheet >= len(b.sheets) {
		return io.EOF
	}
	part, err := b.open(b.sheets[b.sheet].part)
	if err != nil {
		return err
	}
	if part == nil {
		return errors.New("a sheet is missing")
	}
	b.part, b.tokens = part, newTokens(part)
	for range b.headerAt {
		var r row
		if err := b.read(ctx, &r); atEnd(err) {
			return nil // an empty sheet
		} else if err != nil {
			return err
		}
		b.header = columnNames(r.cells)
	}
	return nil
}

// next reads one row of the open sheet; io.EOF at its end.
func (b *workbook) next(ctx context.Context, r *row) error {
	if err := b.read(ctx, r); err != nil {
		return err
	}
	r.ragged = b.header != nil && len(r.cells) > len(b.header)
	return nil
}

// read reads the next row that is not empty.
func (b *workbook) read(ctx context.Context, r *row) error {
	if b.part == nil {
		return io.EOF
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		token, err := b.tokens.next()
		if err != nil {
			return unexpected(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local != "row" {
				continue
			}
			start := b.row
			b.row++
			*r = row{rawType: "application/json", sheet: b.sheets[b.sheet].name, number: b.row, start: start, end: b.row}
			if n, err := strconv.ParseInt(attr(e, "r"), 10, 64); err == nil && n > 0 {
				r.number = n
			}
			if err := b.cells(r); err != nil {
				return err
			}
			if len(r.raw) > 2 { // more than {}
				return nil
			}
		case xml.EndElement:
			if e.Name.Local == "sheetData" {
				return io.EOF
			}
		}
	}
}

// cells reads the cells of a row. Raw is a JSON object of what they hold, by column letters.
func (b *workbook) cells(r *row) error {
	r.raw = append(r.raw, '{')
	total := 0
	for at := 0; ; {
		token, err := b.tokens.next()
		if err != nil {
			return unexpected(err)
		}
		switch e := token.(type) {
		case xml.EndElement:
			if e.Name.Local == "row" {
				r.raw = append(r.raw, '}')
				return nil
			}
		case xml.StartElement:
			if e.Name.Local != "c" {
				continue
			}
			if n, ok := columnOf(attr(e, "r")); ok {
				at = n
			}
			if at >= maxColumns {
				return guia.Refuse(guia.Invalid, "mapped.columns", b.name, maxColumns)
			}
			stored, shown, err := b.cell(e)
			if err != nil {
				return err
			}
			total += len(stored)
			if total > maxRow {
				return errors.New("a row of more than " + strconv.Itoa(maxRow>>20) + " MiB")
			}
			if stored != "" {
				if len(r.raw) > 1 {
					r.raw = append(r.raw, ',')
				}
				name, _ := json.Marshal(columnName(at))
				value, _ := json.Marshal(stored)
				r.raw = append(append(append(r.raw, name...), ':'), value...)
				for len(r.cells) <= at {
					r.cells = append(r.cells, "")
				}
				if len(shown) > maxCell {
					shown, r.oversize = "", true
				}
				r.cells[at] = shown
			}
			at++
		}
	}
}

// cell reads one cell: what is stored, and what a reader sees.
func (b *workbook) cell(e xml.StartElement) (stored, shown string, err error) {
	kind := attr(e, "t")
	style, _ := strconv.Atoi(attr(e, "s"))
	for {
		token, err := b.tokens.next()
		if err != nil {
			return "", "", unexpected(err)
		}
		switch e := token.(type) {
		case xml.EndElement:
			if e.Name.Local != "c" {
				continue
			}
			switch kind {
			case "s":
				n, err := strconv.Atoi(strings.TrimSpace(stored))
				if err != nil || n < 0 || n >= len(b.ends) {
					return "", "", errors.New("a cell names a text that does not exist")
				}
				from := uint32(0)
				if n > 0 {
					from = b.ends[n-1]
				}
				stored = string(b.shared[from:b.ends[n]])
				return stored, stored, nil
			case "b":
				return stored, map[string]string{"0": "false", "1": "true"}[stored], nil
			case "", "n":
				if style >= 0 && style < len(b.isDate) && b.isDate[style] != noDate {
					if date, ok := b.date(stored, b.isDate[style]); ok {
						return stored, date, nil
					}
				}
			}
			return stored, stored, nil
		case xml.StartElement:
			switch e.Name.Local {
			case "v":
				if stored, err = b.tokens.plain("v"); err != nil {
					return "", "", err
				}
				if kind == "str" {
					stored = unescape(stored)
				}
			case "is":
				if stored, err = b.tokens.richText("is"); err != nil {
					return "", "", err
				}
			}
		}
	}
}

func (t *tokens) plain(until string) (string, error) {
	var out []byte
	for {
		token, err := t.next()
		if err != nil {
			return "", unexpected(err)
		}
		switch e := token.(type) {
		case xml.EndElement:
			if e.Name.Local == until {
				return string(out), nil
			}
		case xml.CharData:
			if out = append(out, e...); len(out) > maxRow {
				return "", errors.New("a cell is larger than a row may be")
			}
		}
	}
}

// date shows a serial number as the date it means: days since the beginning of the calendar, the time of day as a fraction, which
// is rounded to the millisecond because the fraction cannot be exact.
func (b *workbook) date(serial string, kind dateKind) (string, bool) {
	v, err := strconv.ParseFloat(serial, 64)
	if err != nil || v < 0 || v >= 2958466 { // the year 10000
		return "", false
	}
	day := math.Floor(v)
	ms := int64(math.Round((v - day) * 86400e3))
	if b.feb29 {
		switch {
		case day == 60: // the 29th of February 1900, which did not exist
			return "", false
		case day < 60 && kind != timeOnly:
			day++
		}
	}
	t := b.since.AddDate(0, 0, int(day)).Add(time.Duration(ms) * time.Millisecond)
	var clock string
	switch {
	case ms%1000 != 0:
		clock = t.Format("15:04:05.000")
	case ms%60000 != 0:
		clock = t.Format("15:04:05")
	default:
		clock = t.Format("15:04")
	}
	switch {
	case kind == timeOnly && v < 1:
		return clock, true
	case kind == dateOnly && ms == 0:
		return t.Format("2006-01-02"), true
	}
	return t.Format("2006-01-02 ") + clock, true
}

// columnOf reads the letters of a reference like "AB12", counted from 0.
func columnOf(ref string) (int, bool) {
	n := 0
	for i := 0; i < len(ref) && i < 4; i++ {
		c := ref[i]
		if c < 'A' || c > 'Z' {
			return n - 1, i > 0
		}
		n = n*26 + int(c-'A') + 1
	}
	return n - 1, n > 0
}

func columnName(at int) string {
	name := ""
	for at++; at > 0; at = (at - 1) / 26 {
		name = string(rune('A'+(at-1)%26)) + name
	}
	return name
}

func (b *workbook) close() {
	if b.part != nil {
		b.part.Close()
		b.part = nil
	}
}

// columnNames makes names of columns unique and free of what cannot be seen.
func columnNames(cells []string) []string {
	names := make([]string, 0, len(cells))
	times := map[string]int{}
	for i, cell := range cells {
		name := strings.Trim(cell, " \t\r\n\u00a0\u200b\ufeff")
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		unique := name
		for times[unique] > 0 {
			times[name]++
			unique = name + " (" + strconv.Itoa(times[name]) + ")"
		}
		times[unique]++
		names = append(names, unique)
	}
	return names
}
