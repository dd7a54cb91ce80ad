package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"guia"
	"guia/lang"
)

// text is a sentence in the language of whoever typed the command.
func (p *program) text(key string, args ...any) string { return lang.Text(p.language, key, args...) }

// say prints a sentence for people on stdout; programs that asked for JSON are not disturbed.
func (p *program) say(key string, args ...any) {
	if !p.json && !p.quiet {
		p.print(p.text(key, args...) + "\n")
	}
}

// note prints a sentence for people on stderr: what is no result.
func (p *program) note(key string, args ...any) {
	if !p.quiet {
		fmt.Fprintln(p.stderr, p.text(key, args...))
	}
}

// print writes a result. What cannot be written (a closed pipe) ends the command in [program.execute].
func (p *program) print(s string) {
	if _, err := io.WriteString(p.stdout, s); err != nil && p.broken == nil {
		p.broken = err
	}
}

// emit prints one JSON object on a line of its own.
func (p *program) emit(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// columns are the width of s on a terminal (Unicode Standard Annex 11): wide characters take two, marks none.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x20 || r == 0x7f || r == markOn || r == markOff || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r < 0x300:
		return 1
	case r >= 0x1F300 && r <= 0x1FAFF: // pictures are wide on every terminal
		return 2
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// clip shortens s to at most n columns, ending in "…" when something is missing.
func clip(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	at := 0
	for i, r := range s {
		w := runeColumns(r)
		if at+w > n-1 {
			return s[:i] + "…"
		}
		at += w
	}
	return s
}

// plain makes foreign text harmless for a terminal: one line, no control characters, no reordering marks.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200d' || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
}

// when is how a table shows a moment that is spelled as in [guia.Moment]: in [guia.Zone], which the head of the column says, as exactly
// as it was told and to the second at most. A day stays the day that was told.
func when(spelled string) string {
	m, err := guia.ParseMoment(spelled)
	switch {
	case err != nil || m.Precision == guia.Day:
		return spelled
	case m.Precision == guia.Minute:
		return m.Time.In(guia.Zone).Format("2006-01-02 15:04")
	}
	return m.Time.In(guia.Zone).Format(time.DateTime)
}

// told is when something happened, as a source told it: spelled as in [guia.Moment] until it is printed as JSON, and then to the second at
// least, with how exactly it was told beside it.
type told struct {
	Time      string `json:"time,omitempty"`
	Precision string `json:"time_precision,omitempty"`
}

// exact is the moment for programs.
func (t told) exact() told {
	m, err := guia.ParseMoment(t.Time)
	if err != nil {
		return t
	}
	return told{instant(t.Time), m.Precision.String()}
}

// instant is a spelled moment in RFC 3339, to the second at least.
func instant(spelled string) string {
	m, err := guia.ParseMoment(spelled)
	if err != nil || m.Precision > guia.Minute {
		return spelled
	}
	return m.Time.Format(time.RFC3339)
}

// table prints rows under a head, columns aligned. Where the width of the terminal is known, the last column is shortened to it.
// Cells are foreign text and made harmless.
func (p *program) table(head []string, rows [][]string) {
	widths := make([]int, len(head))
	all := append([][]string{head}, rows...)
	for _, row := range all {
		for i := range row {
			row[i] = plain(row[i])
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	var b strings.Builder
	for n, row := range all {
		at := 0
		for i, cell := range row {
			if last := i == len(row)-1; last {
				if p.terminal && p.width > at+10 {
					cell = clip(cell, p.width-at)
				}
				if strings.ContainsRune(cell, markOn) {
					cell = escapes.Replace(cell + string(markOff)) // the end may have been clipped
				}
				b.WriteString(cell)
				break
			}
			pad := strings.Repeat(" ", widths[i]-columns(cell)+2)
			if right := numeric(rows, i); right && pad != "" {
				b.WriteString(pad[2:] + cell + "  ")
			} else {
				b.WriteString(cell + pad)
			}
			at += widths[i] + 2
		}
		if n == 0 {
			line := strings.TrimRight(b.String(), " ")
			b.Reset()
			b.WriteString(p.bold(line))
		}
		b.WriteByte('\n')
	}
	p.print(b.String())
}

// numeric reports whether a column holds numbers only: they stand to the right.
func numeric(rows [][]string, column int) bool {
	for _, row := range rows {
		if row[column] != "" && strings.Trim(row[column], "0123456789,.-") != "" {
			return false
		}
	}
	return len(rows) > 0
}

// pairs prints names and values, one a line, aligned. Pairs with an empty value are left out.
func (p *program) pairs(pairs ...string) {
	most := 0
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			most = max(most, columns(pairs[i]))
		}
	}
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		b.WriteString(pairs[i] + strings.Repeat(" ", most-columns(pairs[i])+2))
		b.WriteString(strings.ReplaceAll(pairs[i+1], "\n", "\n"+strings.Repeat(" ", most+2)) + "\n")
	}
	p.print(b.String())
}

// colour reports whether stdout may carry colours (no-color.org).
func (p *program) colour() bool {
	return p.terminal && !p.json && p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb"
}

// markOn and markOff stand around what was found until a line is printed: they take no column. Foreign text with them in it can make
// itself bold, and no more.
const (
	markOn  = '\ue000'
	markOff = '\ue001'
)

var escapes = strings.NewReplacer(string(markOn), "\x1b[1m", string(markOff), "\x1b[0m")

func (p *program) bold(s string) string {
	if !p.colour() {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// number writes n with the separators people read ("12,345"; thin spaces in Portuguese).
func (p *program) number(n int64) string {
	s := fmt.Sprint(n)
	sep := ","
	if p.language == lang.Portuguese {
		sep = "\u202f"
	}
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + sep + s[i:]
	}
	return s
}

// decimal writes a number with one digit behind the point, or the comma.
func (p *program) decimal(f float64) string { return lang.Decimal(p.language, f) }

// size writes a number of bytes for people.
func (p *program) size(n int64) string { return lang.Bytes(n).In(p.language) }
