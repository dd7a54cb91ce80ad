package mapped

import (
	"encoding/hex"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"guia"
)

// decoders are what a mapping may name under decode: each is a pure function that never fails; what it cannot decode stays.
var decoders = map[string]func(string) string{
	"percent": func(s string) string {
		if out, err := url.PathUnescape(s); err == nil {
			return out
		}
		return s
	},
	"dot-hex":      dotHex,
	"hyphen-space": func(s string) string { return strings.ReplaceAll(s, "-", " ") },
	"under-space":  func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"trim":         strings.TrimSpace,
	"lower":        strings.ToLower,
	"file-name":    func(s string) string { return s[strings.LastIndexAny(s, `/\`)+1:] },
}

var decoderNames = func() []string {
	var names []string
	for name := range decoders {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()

func checkDecoders(names []string) error {
	for _, name := range names {
		if decoders[name] == nil {
			return guia.Refuse(guia.Invalid, "mapped.mapping.decoder", short(name), strings.Join(decoderNames, ", "))
		}
	}
	return nil
}

// dotHex reads names in which a dot and two upper-case hexadecimal digits stand for a byte, as Zulip writes them in links and files.
func dotHex(s string) string {
	if strings.IndexByte(s, '.') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '.' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func decode(s string, names []string) string {
	for _, name := range names {
		s = decoders[name](s)
	}
	return s
}

// reader is a value made ready for one file: columns are numbers, paths are read.
type reader struct {
	value  Value
	column int // -1: not a column, or one the file does not have
	path   steps
	fixed  string // constants and parts of the file's name
	isSet  bool
	met    *bool // becomes true when the path leads to something; nil where that does not matter
	join   []reader
}

// ready prepares a value. columns is nil for JSON. met is where to note of what the mapping expects that it was found; missing is given the
// columns that are not there.
func ready(v Value, columns []string, parts map[string]string, met map[string]*bool, missing *[]string) reader {
	out := reader{value: v, column: -1}
	switch {
	case len(v.Join) > 0:
		for _, j := range v.Join {
			out.join = append(out.join, ready(j, columns, parts, met, missing))
		}
	case v.Constant != "":
		out.fixed, out.isSet = v.finish(v.Constant), true
	case v.Part != "":
		out.fixed, out.isSet = v.finish(parts[v.Part]), true
	case columns != nil:
		out.column = slices.Index(columns, v.From)
		switch expected := met[v.From]; {
		case out.column < 0 && !v.Optional:
			*missing = append(*missing, v.From)
		case out.column >= 0 && expected != nil:
			*expected = true
		}
	case v.Column:
		out.path, out.met = literal(v.From), met[v.From]
	default:
		p, err := parsePath(v.From)
		if err != nil {
			p = literal(v.From)
		}
		out.path, out.met = p, met[v.From]
	}
	return out
}

func literal(name string) steps { return steps{{name: name}} }

// finish applies what a mapping does to any value.
func (v *Value) finish(s string) string {
	s = decode(s, v.Decode)
	if instead, ok := v.Values[s]; ok {
		return instead
	}
	return s
}

// one returns the field's only value, the first where a path leads to several. bad says that it held undecodable characters.
func (r *reader) one(row *row) (s string, bad bool) {
	switch {
	case r.isSet:
		return r.fixed, false
	case r.join != nil:
		var b strings.Builder
		empty := true
		for i := range r.join {
			part, broken := r.join[i].one(row)
			bad = bad || broken
			empty = empty && (part == "" || r.join[i].isSet && r.join[i].value.Constant != "")
			b.WriteString(part)
		}
		if empty { // constants between nothing are nothing
			return "", bad
		}
		return r.value.finish(b.String()), bad
	case r.path != nil:
		found := false
		row.doc.find(r.path, func(v []byte) {
			if !found {
				s, bad = scalar(v)
				found = true
			}
		})
		r.expected(row, found)
	case r.column >= 0 && r.column < len(row.cells):
		s = row.cells[r.column]
	}
	if r.value.Decode == nil && r.value.Values == nil {
		return s, bad
	}
	return r.value.finish(s), bad
}

// expected notes whether what the path expects is in the row: something that it leads to, or a list of which there happens to be no element.
func (r *reader) expected(row *row, found bool) {
	if r.met == nil || *r.met {
		return
	}
	if each := slices.IndexFunc(r.path, func(s step) bool { return s.each }); !found && each >= 0 {
		row.doc.find(r.path[:each], func(v []byte) { found = found || v[0] == '[' && v[space(v, 1)] == ']' })
	}
	*r.met = found
}

// all returns every value, without empty ones unless keep is set.
func (r *reader) all(row *row, keep bool) (out []string, bad bool) {
	add := func(s string) {
		parts := []string{s}
		if r.value.Split != "" {
			parts = strings.Split(s, r.value.Split)
		}
		for _, p := range parts {
			p = r.value.finish(strings.TrimSpace(p))
			if (p != "" || keep) && len(out) < maxMany {
				out = append(out, p)
			}
		}
	}
	if r.path == nil || !r.path.many() {
		s, broken := r.one(row)
		if s != "" {
			add(s)
		}
		return out, broken
	}
	found := false
	row.doc.find(r.path, func(v []byte) {
		found = true
		s, broken := scalar(v)
		bad = bad || broken
		add(s)
	})
	r.expected(row, found)
	return out, bad
}

// maxMany is how many recipients, members or files of one record are read.
const maxMany = 1000

// globPattern turns a glob into a regular expression over relative names: * and ? stay within a folder, ** crosses folders.
func globPattern(glob string) (*regexp.Regexp, error) {
	if glob == "" || len(glob) > 1000 || !utf8.ValidString(glob) {
		return nil, errors.New("empty or too long")
	}
	var b strings.Builder
	b.WriteString(`(?is)^`)
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**/"):
			b.WriteString(`(.*/)?`)
			i += 2
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c < utf8.RuneSelf:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteString(`$`)
	return regexp.Compile(b.String())
}
