package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"guia"
	"guia/proof"
)

// Format is the first thing a cover says.
const Format = "guia.bundle/v1"

// Cover is cover.json. Counts and lists are computed from the lines by [Cover.Add], by the builder and by the verifier.
type Cover struct {
	Format    string         `json:"format"`
	Case      string         `json:"case"` // empty when withheld
	Origin    string         `json:"origin"`
	Size      int64          `json:"size"`
	Root      string         `json:"root"`
	Created   string         `json:"created"`
	Program   string         `json:"program"`
	Records   int64          `json:"records"`
	Custody   int64          `json:"custody"`
	Files     int64          `json:"files"`
	Disclosed int64          `json:"disclosed"` // fields of records.jsonl
	Redacted  int64          `json:"redacted"`
	Erased    int64          `json:"erased"`
	Grades    []GradeCount   `json:"grades"` // an object in cover.json
	Sources   []SourceCount  `json:"sources"`
	Claims    []string       `json:"claims"`
	Streams   []StreamExtent `json:"streams"`
}

// GradeCount is how many records have a grade; "?" stands for those whose grade is not disclosed or not there.
type GradeCount struct {
	Grade   string `json:"grade"`
	Records int64  `json:"records"`
}

// SourceCount is one row of "sources": the records of one source that came the same way with the same grade.
type SourceCount struct {
	Source  string `json:"source"`
	Channel string `json:"channel"` // "?" when it is not disclosed or not there
	Grade   string `json:"grade"`
	Records int64  `json:"records"`
	First   string `json:"first"` // the field time of the earliest record that discloses one
	Last    string `json:"last"`
	Gaps    int64  `json:"gaps"` // events source.gap of this source in both files
}

// StreamExtent is one row of "streams": what records.jsonl shows of a stream.
type StreamExtent struct {
	Stream   string `json:"stream"`
	From     int64  `json:"from"`
	To       int64  `json:"to"`
	Complete bool   `json:"complete"` // every position from From to To is shown
	Of       int64  `json:"of"`       // positions the stream had; a statement of the maker, at least To
}

// FormatCover returns cover.json. Strings must be UTF-8.
func FormatCover(c Cover) []byte {
	var b bytes.Buffer
	text := func(key, value string) { fmt.Fprintf(&b, "  %q: %s,\n", key, jsonString(value)) }
	number := func(key string, value int64) { fmt.Fprintf(&b, "  %q: %d,\n", key, value) }
	list := func(key, open, shut, end string, n int, item func(i int) string) {
		fmt.Fprintf(&b, "  %q: %s", key, open)
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(item(i))
		}
		b.WriteString(shut + end + "\n")
	}
	b.WriteString("{\n")
	text("format", c.Format)
	text("case", c.Case)
	text("origin", c.Origin)
	number("size", c.Size)
	text("root", c.Root)
	text("created", c.Created)
	text("program", c.Program)
	number("records", c.Records)
	number("custody", c.Custody)
	number("files", c.Files)
	number("disclosed", c.Disclosed)
	number("redacted", c.Redacted)
	number("erased", c.Erased)
	list("grades", "{", "}", ",", len(c.Grades), func(i int) string {
		return fmt.Sprintf("%s: %d", jsonString(c.Grades[i].Grade), c.Grades[i].Records)
	})
	list("sources", "[", "]", ",", len(c.Sources), func(i int) string {
		s := c.Sources[i]
		return fmt.Sprintf(`{"source": %s, "channel": %s, "grade": %s, "records": %d, "first": %s, "last": %s, "gaps": %d}`,
			jsonString(s.Source), jsonString(s.Channel), jsonString(s.Grade), s.Records, jsonString(s.First), jsonString(s.Last), s.Gaps)
	})
	list("claims", "[", "]", ",", len(c.Claims), func(i int) string { return jsonString(c.Claims[i]) })
	list("streams", "[", "]", "", len(c.Streams), func(i int) string {
		s := c.Streams[i]
		return fmt.Sprintf(`{"stream": %s, "from": %d, "to": %d, "complete": %t, "of": %d}`, jsonString(s.Stream), s.From, s.To, s.Complete, s.Of)
	})
	b.WriteString("}\n")
	return b.Bytes()
}

// jsonString is the only spelling of a string in cover.json: quotes and backslashes escaped by a backslash, the characters below
// U+0020 as \u00xx in lower case, all else as it is.
func jsonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// ParseCover reads what [FormatCover] writes from a cover that can be, and nothing else. It compares nothing with the lines.
func ParseCover(text []byte) (Cover, error) {
	var wire struct {
		Cover
		Grades gradeCounts `json:"grades"`
	}
	if !utf8.Valid(text) {
		return Cover{}, errors.New("cover: it is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wire); err != nil {
		return Cover{}, errors.New("cover: it is not JSON of the right form")
	}
	c := wire.Cover
	c.Grades = wire.Grades
	// One meaning has one spelling: other orders, white space, repeated keys and whatever the decoder overlooks end here.
	if !bytes.Equal(FormatCover(c), text) {
		return Cover{}, errors.New("cover: it is not in its canonical spelling")
	}
	return c, c.check()
}

// gradeCounts reads the object of grades in the order in which it stands.
type gradeCounts []GradeCount

func (g *gradeCounts) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if t, err := decoder.Token(); err != nil || t != json.Delim('{') {
		return errors.New("grades: not an object")
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		var n int64
		if err := decoder.Decode(&n); err != nil {
			return err
		}
		name, _ := key.(string)
		*g = append(*g, GradeCount{name, n})
	}
	return nil
}

func (c Cover) check() error {
	created, err := time.Parse("2006-01-02T15:04:05Z", c.Created)
	root, ok := appendBase64(make([]byte, 0, 32), []byte(c.Root))
	switch {
	case c.Format != Format:
		return errors.New("cover: another format")
	case err != nil || created.Format("2006-01-02T15:04:05Z") != c.Created:
		return errors.New("cover: created is not a time in UTC with seconds")
	case !ok || len(root) != 32:
		return errors.New("cover: root is not a hash")
	case c.Size < 0 || c.Size > proof.MaxSize, len(c.Program) > 100, len(c.Case) > 4096:
		return errors.New("cover: a value is out of bounds")
	}
	for i, claim := range c.Claims {
		if _, err := guia.ParseType(claim); err != nil || i > 0 && c.Claims[i-1] >= claim {
			return errors.New("cover: claims are not ascending lower-case words joined by dots")
		}
	}
	return nil
}
