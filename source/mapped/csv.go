package mapped

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
)

// Limits of what is read from one row. What is larger is kept as raw bytes and marked, or becomes a gap.
const (
	maxRow     = 16 << 20
	maxColumns = 4096
	maxCell    = 8 << 20
)

// row is one record as a reader found it.
type row struct {
	raw     []byte // as received; valid until the reader's next call
	rawType string
	number  int64    // line of CSV and JSON Lines, element of JSON, row of a sheet; counted from 1
	sheet   string   // XLSX
	start   int64    // place in the file, in bytes; rows for XLSX
	end     int64    // place after it, where reading goes on
	cells   []string // CSV and XLSX: by column
	doc     object   // JSON

	gap      string // not a row but a hole, and why
	badBytes bool
	ragged   bool
	oversize bool
}

// tooLarge makes a gap of a row that is larger than the limit although it fitted into the window.
func (r *row) tooLarge() bool {
	if len(r.raw) <= maxRow {
		return false
	}
	r.raw, r.oversize = r.raw[:keptRaw], true
	r.gap = "a row of more than " + strconv.Itoa(maxRow>>20) + " MiB"
	return true
}

// csvReader reads rows of separated values.
type csvReader struct {
	w         *window
	delimiter byte
	line      int64 // number of the row that comes next
	damaged   int   // quotes that were never closed, so far
	header    []string
	cells     []string
}

// next reads one row; io.EOF after the last. Blank lines are passed over.
func (c *csvReader) next(ctx context.Context, r *row) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		*r = row{rawType: "text/csv", number: c.line, start: c.w.off}
		scanned, raw, err := c.split(r)
		if err != nil {
			return err
		}
		r.raw, r.end = raw, c.w.off
		if r.gap != "" || r.tooLarge() {
			return nil
		}
		if len(bytes.TrimSpace(scanned)) == 0 {
			continue
		}
		text, bad := c.w.enc.text(scanned)
		r.badBytes = bad
		c.cells = c.cells[:0]
		if !splitCells(text, c.delimiter, &c.cells) {
			r.gap = "more than " + strconv.Itoa(maxColumns) + " columns"
			return nil
		}
		for i, cell := range c.cells {
			if len(cell) > maxCell {
				c.cells[i], r.oversize = "", true
			}
		}
		r.cells = c.cells
		r.ragged = c.header != nil && len(r.cells) != len(c.header)
		return nil
	}
}

// The states of the splitter.
const (
	atStart = iota // of a cell
	inPlain
	inQuotes
	afterQuote
)

// split moves past one row and returns it without its line end, as scanned and as received. A quote that is never closed, or only
// beyond the limit, becomes a gap of one line, and reading goes on with the next.
func (c *csvReader) split(r *row) (scanned, raw []byte, err error) {
	state, i := atStart, 0
	lines := int64(0)
	for {
		b := c.w.bytes()
		for i < len(b) {
			switch state {
			case inQuotes:
				j := bytes.IndexByte(b[i:], '"')
				if j < 0 {
					lines += int64(bytes.Count(b[i:], []byte{'\n'}))
					i = len(b)
					continue
				}
				lines += int64(bytes.Count(b[i:i+j], []byte{'\n'}))
				i += j + 1
				state = afterQuote
				continue
			case inPlain:
				for i < len(b) && b[i] != c.delimiter && b[i] != '\n' {
					i++
				}
				if i == len(b) {
					continue
				}
			}
			ch := b[i]
			i++
			switch {
			case ch == '\n':
				c.line += lines + 1
				return c.taken(i)
			case ch == c.delimiter:
				state = atStart
			case ch == '"' && (state == atStart || state == afterQuote):
				state = inQuotes
			default:
				state = inPlain
			}
		}
		if state == inQuotes && lines > 0 && i > c.quoteLimit() {
			return c.unclosed(r)
		}
		if i > maxRow {
			return nil, c.dropLine(r), nil
		}
		if !c.w.more() {
			break
		}
	}
	if !atEnd(c.w.err) {
		return nil, nil, c.w.err
	}
	if len(c.w.bytes()) == 0 {
		return nil, nil, io.EOF
	}
	if state == inQuotes {
		return c.unclosed(r)
	}
	c.line += lines + 1
	return c.taken(len(c.w.bytes()))
}

// quoteLimit is how far a quoted cell is followed over line ends. It shrinks as unclosed quotes are met, so that a file full of
// them is read in time proportional to its length.
func (c *csvReader) quoteLimit() int {
	switch {
	case c.damaged < 16:
		return maxRow
	case c.damaged < 1000:
		return 64 << 10
	}
	return 0
}

// taken takes n scanned bytes as a row.
func (c *csvReader) taken(n int) (scanned, raw []byte, err error) {
	scanned = c.w.bytes()[:n]
	row := bytes.TrimSuffix(bytes.TrimSuffix(scanned, []byte{'\n'}), []byte{'\r'})
	raw = c.w.take(len(row))
	c.w.take(n - len(row))
	return row, raw, nil
}

// unclosed makes a gap of the first line.
func (c *csvReader) unclosed(r *row) (scanned, raw []byte, err error) {
	c.damaged++
	r.gap = "a quoted cell is never closed"
	b := c.w.bytes()
	n := bytes.IndexByte(b, '\n') + 1
	if n == 0 {
		n = len(b)
	}
	if n > keptRaw {
		return nil, c.dropLine(r), nil
	}
	c.line++
	return c.taken(n)
}

// dropLine moves past the next line end, keeping the beginning, and makes a gap of it.
func (c *csvReader) dropLine(r *row) (kept []byte) {
	if r.gap == "" {
		r.gap = "a row of more than " + strconv.Itoa(maxRow>>20) + " MiB"
	}
	r.oversize = true
	c.line++
	for {
		b := c.w.bytes()
		if n := bytes.IndexByte(b, '\n'); n >= 0 {
			return c.w.drop(n+1, kept)
		}
		kept = c.w.drop(len(b), kept)
		if !c.w.more() {
			return kept
		}
	}
}

// splitCells cuts a row into cells, appended to cells; false when there are too many. A quote inside a cell that does not begin with
// one is an ordinary character, and what stands after a closing quote belongs to the cell: spreadsheets write neither, people do.
func splitCells(s string, delimiter byte, cells *[]string) bool {
	for {
		if len(*cells) == maxColumns {
			return false
		}
		if strings.HasPrefix(s, `"`) {
			cell, rest, quoted := quotedCell(s[1:])
			end := strings.IndexByte(rest, delimiter)
			tail := rest
			if end >= 0 {
				tail = rest[:end]
			}
			if quoted {
				cell = strings.ReplaceAll(cell, `""`, `"`)
			}
			*cells = append(*cells, cell+tail)
			if end < 0 {
				return true
			}
			s = rest[end+1:]
			continue
		}
		end := strings.IndexByte(s, delimiter)
		if end < 0 {
			*cells = append(*cells, s)
			return true
		}
		*cells = append(*cells, s[:end])
		s = s[end+1:]
	}
}

// quotedCell finds the closing quote; doubled says that there are doubled quotes before it.
func quotedCell(s string) (cell, rest string, doubled bool) {
	for i := 0; ; {
		j := strings.IndexByte(s[i:], '"')
		if j < 0 {
			return s, "", doubled
		}
		i += j
		if i+1 < len(s) && s[i+1] == '"' {
			doubled = true
			i += 2
			continue
		}
		return s[:i], s[i+1:], doubled
	}
}

// sniffDelimiter counts the candidates in the first line outside quotes.
func sniffDelimiter(line []byte) byte {
	best, most := byte(','), 0
	for _, candidate := range []byte{',', ';', '\t'} {
		n, quoted := 0, false
		for _, c := range line {
			switch {
			case c == '"':
				quoted = !quoted
			case c == candidate && !quoted:
				n++
			}
		}
		if n > most {
			best, most = candidate, n
		}
	}
	return best
}

// lineReader reads JSON Lines: one value per line, of which only the line ends matter here.
type lineReader struct {
	w    *window
	line int64
}

func (l *lineReader) next(ctx context.Context, r *row) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		*r = row{rawType: "application/json", number: l.line, start: l.w.off}
		var n int
		for from := 0; ; {
			b := l.w.bytes()
			if n = bytes.IndexByte(b[from:], '\n'); n >= 0 {
				n += from + 1
				break
			}
			from = len(b)
			if from > maxRow {
				c := csvReader{w: l.w, line: l.line}
				r.raw = c.dropLine(r)
				l.line++
				r.end = l.w.off
				return nil
			}
			if !l.w.more() {
				break
			}
		}
		if n < 0 {
			if !atEnd(l.w.err) {
				return l.w.err
			}
			n = len(l.w.bytes())
			if n == 0 {
				return io.EOF
			}
		}
		l.line++
		c := csvReader{w: l.w}
		scanned, raw, _ := c.taken(n)
		r.raw, r.end = raw, l.w.off
		if r.tooLarge() {
			return nil
		}
		if len(bytes.TrimSpace(scanned)) == 0 {
			continue
		}
		parseRow(r, scanned, l.w.enc)
		return nil
	}
}
