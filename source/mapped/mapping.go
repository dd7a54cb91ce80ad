package mapped

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"guia"
)

// Version is the version of the mapping format that this release writes; it reads no other. docs/format/mapping.md describes it.
const Version = 1

// Mapping says which files of an input are read, and which of their columns or JSON paths become which registered fields. It is what
// a mapping file holds; [ReadMapping] returns only mappings that make sense.
type Mapping struct {
	Name        string // of the source, for people; becomes the stream of records that name none
	Description string

	Files     []string // globs over relative names, "**" crosses folders; none means every file of a known kind
	Format    string   // csv, json, jsonl, xlsx; empty means by the end of the name
	Encoding  Encoding // empty means recognised, per file
	Delimiter string   // of CSV: "," ";" or a tab; empty means recognised, per file
	Header    int      // number of the row with the names of the columns; 0 means that there is none, and columns are called 1, 2, 3
	Sheets    []string // of XLSX: globs over sheet names; none means all
	Records   string   // JSON path to the list of records; empty means the document itself is the list

	Zone  string   // in which local times were told: IANA name or offset
	Times []string // formats of times, tried in order

	Pattern string              // regular expression over the relative name of each file, whose named groups are parts
	Decode  map[string][]string // decoders of parts

	Fields map[string]Value // by target
}

// Value is where a field comes from. Exactly one of From, Constant, Part and Join is set.
type Value struct {
	From     string // a column, or a JSON path
	Column   bool   // From is a column or member name, taken literally
	Constant string
	Part     string // of the file's relative name
	Join     []Value

	Decode   []string          // decoders, applied in order
	Split    string            // cuts the text into several values
	Values   map[string]string // replaces a value by another; others stay
	HTML     bool              // the text is HTML
	Optional bool              // a file without this column, or an input without a value at this path, is no mistake
}

// expect notes what must be found in an input.
func (v *Value) expect(met map[string]*bool) {
	if v.From != "" && !v.Optional {
		met[v.From] = new(bool)
	}
	for i := range v.Join {
		v.Join[i].expect(met)
	}
}

// ownTargets are the targets that are not names of the registry, or are told in another way than under their name.
var ownTargets = []string{
	"key", "type", "stream", "stream.name", "stream.kind", "time", "time.zone", "sender.key", "sender.name", "sender.address",
	"sender.phone", "sender.title", "department", "subject", "text", "reply_to", "thread", "edit_of", "recipients", "members",
	"file.name", "file.path", "file.type", "valid.last",
}

// notTargets are registered fields that no mapping may set: intake sets them, or a target of another name does.
var notTargets = map[string]string{
	"source_key": "key", "conversation.key": "stream", "conversation.name": "stream.name", "conversation.kind": "stream.kind",
	"text.html": "text", "recipient.####": "recipients", "member.####": "members", "file.####": "file.path",
	"file.####.name": "file.name", "file.####.type": "file.type", "file.####.missing": "", "text.####": "text",
	"channel": "", "class": "", "digest": "", "grade": "", "import": "", "mark": "", "normaliser": "", "origin": "", "raw": "",
	"raw.file": "", "raw.type": "", "same_as": "", "tier": "", "tier.basis": "", "time.basis": "", "time.original": "time",
	"act": "", "act.outcome": "", "actor": "", "actor.behalf": "", "actor.via": "", "approver": "", "checkpoint": "", "key.new": "",
	"key.old": "", "rotation": "", "seqs": "", "version": "", "user": "", "role": "", "scope": "", "count.known": "",
	"count.linked": "", "count.marked": "", "count.new": "",
}

// targets are all names that may stand under fields.
var targets = func() []string {
	all := slices.Clone(ownTargets)
	for _, spec := range guia.Registry {
		if _, not := notTargets[spec.Name]; !not && !slices.Contains(all, spec.Name) {
			all = append(all, spec.Name)
		}
	}
	slices.Sort(all)
	return all
}()

// types are what a mapping may call a record. What happened inside Guia is not among them.
var types = []guia.Type{
	guia.MessageSent, guia.MessageEdited, guia.MessageDeleted, guia.MailSent, guia.FileShared, guia.PersonSeen, guia.PersonLeft,
	guia.ChannelSeen, guia.RecordKept,
}

const maxMapping = 1 << 20

//go:embed mappings
var shipped embed.FS

// Example returns a mapping that ships with the program, by name: "zulip".
func Example(name string) (Mapping, bool) {
	f, err := shipped.Open("mappings/" + name + ".yaml")
	if err != nil {
		return Mapping{}, false
	}
	defer f.Close()
	m, err := ReadMapping(f)
	return m, err == nil
}

// Examples returns the names of the mappings that ship with the program, sorted.
func Examples() []string {
	var names []string
	entries, _ := fs.ReadDir(shipped, "mappings")
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())))
	}
	return names
}

// ReadMapping reads a mapping file: YAML, of which JSON is a part. Errors are refusals of kind invalid that name the line.
func ReadMapping(r io.Reader) (Mapping, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxMapping+1))
	if err != nil {
		return Mapping{}, err
	}
	if len(text) > maxMapping {
		return Mapping{}, guia.Refuse(guia.Invalid, "mapped.mapping.large", maxMapping>>10)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return Mapping{}, guia.RefuseCause(guia.Invalid, errors.New("not YAML"), "mapped.mapping.yaml", short(err.Error()))
	}
	if len(doc.Content) != 1 {
		return Mapping{}, guia.Refuse(guia.Invalid, "mapped.mapping.yaml", "empty")
	}
	n := &reading{}
	m := n.mapping(doc.Content[0])
	if n.err == nil {
		n.err = m.check()
	}
	if n.err != nil {
		return Mapping{}, n.err
	}
	return m, nil
}

// short shortens foreign text for a message.
func short(s string) string {
	const most = 120
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// reading walks the YAML tree; the first mistake stays in err.
type reading struct{ err error }

func (n *reading) refuse(key string, args ...any) {
	if n.err == nil {
		n.err = guia.Refuse(guia.Invalid, key, args...)
	}
}

func (n *reading) mapping(node *yaml.Node) Mapping {
	m := Mapping{Header: 1}
	version := 0
	n.pairs(node, []string{"guia-mapping", "source", "files", "format", "encoding", "delimiter", "header", "sheets", "records", "zone", "times", "path", "fields"},
		func(key string, v *yaml.Node) {
			switch key {
			case "guia-mapping":
				version = n.number(v)
			case "source":
				n.pairs(v, []string{"name", "description"}, func(key string, v *yaml.Node) {
					if key == "name" {
						m.Name = n.text(v)
					} else {
						m.Description = n.text(v)
					}
				})
			case "files":
				m.Files = n.texts(v)
			case "format":
				m.Format = n.text(v)
			case "encoding":
				m.Encoding = Encoding(n.text(v))
			case "delimiter":
				m.Delimiter = n.text(v)
			case "header":
				m.Header = n.number(v)
			case "sheets":
				m.Sheets = n.texts(v)
			case "records":
				m.Records = n.text(v)
			case "zone":
				m.Zone = n.text(v)
			case "times":
				m.Times = n.texts(v)
			case "path":
				n.pairs(v, []string{"pattern", "decode"}, func(key string, v *yaml.Node) {
					if key == "pattern" {
						m.Pattern = n.text(v)
						return
					}
					m.Decode = map[string][]string{}
					n.pairs(v, nil, func(key string, v *yaml.Node) { m.Decode[key] = n.texts(v) })
				})
			case "fields":
				m.Fields = map[string]Value{}
				n.pairs(v, nil, func(key string, v *yaml.Node) { m.Fields[key] = n.value(v, true) })
			}
		})
	if n.err == nil && version != Version {
		n.refuse("mapped.mapping.version", version, Version)
	}
	return m
}

// value reads what stands behind a target: a name alone, or what is to be done in full.
func (n *reading) value(node *yaml.Node, top bool) (v Value) {
	if node.Kind == yaml.ScalarNode {
		if v.From = n.text(node); v.From == "" && n.err == nil {
			n.refuse("mapped.mapping.one_of", node.Line)
		}
		return v
	}
	kinds := 0
	allowed := []string{"column", "path", "constant", "file", "join", "decode", "values"}
	if top {
		allowed = append(allowed, "split", "html", "optional")
	} else {
		allowed = append(allowed, "optional")
	}
	n.pairs(node, allowed, func(key string, node *yaml.Node) {
		switch key {
		case "column":
			v.From, v.Column = n.text(node), true
			kinds++
		case "path":
			v.From = n.text(node)
			kinds++
		case "constant":
			v.Constant = n.text(node)
			kinds++
		case "file":
			v.Part = n.text(node)
			kinds++
		case "join":
			kinds++
			if node.Kind != yaml.SequenceNode || !top {
				n.refuse("mapped.mapping.value", node.Line)
				return
			}
			for _, part := range node.Content {
				v.Join = append(v.Join, n.value(part, false))
			}
		case "decode":
			v.Decode = n.texts(node)
		case "values":
			v.Values = map[string]string{}
			n.pairs(node, nil, func(key string, node *yaml.Node) { v.Values[key] = n.text(node) })
		case "split":
			v.Split = n.text(node)
		case "html":
			v.HTML = n.flag(node)
		case "optional":
			v.Optional = n.flag(node)
		}
	})
	if n.err == nil && (kinds != 1 || v.From == "" && v.Constant == "" && v.Part == "" && len(v.Join) == 0) {
		n.refuse("mapped.mapping.one_of", node.Line)
	}
	return v
}

// pairs calls f with each key of a YAML mapping; nil allowed means any key.
func (n *reading) pairs(node *yaml.Node, allowed []string, f func(key string, v *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		n.refuse("mapped.mapping.value", node.Line)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content) && n.err == nil; i += 2 {
		k := node.Content[i]
		key := n.text(k)
		switch {
		case n.err != nil:
			return
		case seen[key]:
			n.refuse("mapped.mapping.twice", short(key), k.Line)
			return
		case allowed != nil && !slices.Contains(allowed, key):
			n.refuse("mapped.mapping.key", short(key), k.Line, nearest(key, allowed), strings.Join(allowed, ", "))
			return
		}
		seen[key] = true
		f(key, node.Content[i+1])
	}
}

// text reads a scalar as it was written: 1.0 stays "1.0". Anchors and aliases are not followed.
func (n *reading) text(node *yaml.Node) string {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" && node.Value != "" {
		n.refuse("mapped.mapping.value", node.Line)
		return ""
	}
	return node.Value
}

func (n *reading) texts(node *yaml.Node) (out []string) {
	if node.Kind == yaml.ScalarNode {
		return []string{n.text(node)}
	}
	if node.Kind != yaml.SequenceNode {
		n.refuse("mapped.mapping.value", node.Line)
	}
	for _, c := range node.Content {
		out = append(out, n.text(c))
	}
	return out
}

func (n *reading) number(node *yaml.Node) int {
	i, err := strconv.Atoi(n.text(node))
	if err != nil || i < 0 {
		n.refuse("mapped.mapping.value", node.Line)
	}
	return i
}

func (n *reading) flag(node *yaml.Node) bool {
	s := n.text(node)
	if s != "true" && s != "false" {
		n.refuse("mapped.mapping.value", node.Line)
	}
	return s == "true"
}

// check refuses a mapping that can be read but makes no sense.
func (m *Mapping) check() error {
	refuse := func(key string, args ...any) error { return guia.Refuse(guia.Invalid, key, args...) }
	if m.Format != "" && !slices.Contains(formats, m.Format) {
		return refuse("mapped.mapping.format", short(m.Format), strings.Join(formats, ", "))
	}
	if m.Encoding != "" && !slices.Contains(encodings, m.Encoding) {
		return refuse("mapped.mapping.encoding", short(string(m.Encoding)), joined(encodings))
	}
	if m.Delimiter != "" && !slices.Contains([]string{",", ";", "\t"}, m.Delimiter) {
		return refuse("mapped.mapping.delimiter", short(m.Delimiter))
	}
	records, err := parsePath(m.Records)
	if slices.ContainsFunc(records, func(s step) bool { return s.elem }) {
		err = errors.New("one element of a list is no list of records")
	}
	if err != nil {
		return guia.RefuseCause(guia.Invalid, err, "mapped.mapping.path", short(m.Records))
	}
	if _, err := zoneOf(m.Zone); m.Zone != "" && err != nil {
		return refuse("mapped.mapping.zone", short(m.Zone))
	}
	for _, format := range m.Times {
		if _, err := parseLayout(format); err != nil {
			return guia.RefuseCause(guia.Invalid, err, "mapped.mapping.time", short(format))
		}
	}
	for _, glob := range append(slices.Clone(m.Files), m.Sheets...) {
		if _, err := globPattern(glob); err != nil {
			return refuse("mapped.mapping.glob", short(glob))
		}
	}
	parts := []string{}
	if m.Pattern != "" {
		re, err := regexp.Compile(m.Pattern)
		if err != nil {
			return guia.RefuseCause(guia.Invalid, err, "mapped.mapping.pattern", short(m.Pattern))
		}
		parts = slices.DeleteFunc(re.SubexpNames(), func(s string) bool { return s == "" })
	}
	for _, part := range slices.Sorted(maps.Keys(m.Decode)) {
		if !slices.Contains(parts, part) {
			return refuse("mapped.mapping.part", short(part), strings.Join(parts, ", "))
		}
		if err := checkDecoders(m.Decode[part]); err != nil {
			return err
		}
	}
	if len(m.Fields) == 0 {
		return refuse("mapped.mapping.fields")
	}
	for _, target := range slices.Sorted(maps.Keys(m.Fields)) {
		if instead, not := notTargets[target]; not {
			if instead == "" {
				return refuse("mapped.mapping.own", target)
			}
			return refuse("mapped.mapping.target", target, instead)
		}
		if !slices.Contains(targets, target) {
			return refuse("mapped.mapping.target", short(target), nearest(target, targets))
		}
		if err := m.Fields[target].check(target, parts); err != nil {
			return err
		}
	}
	_, last := m.Fields["valid.last"]
	if _, until := m.Fields["valid.until"]; last && until {
		return refuse("mapped.mapping.both", "valid.last", "valid.until")
	}
	if v := m.Fields["type"]; v.Constant != "" && !slices.Contains(types, guia.Type(v.Constant)) {
		return refuse("mapped.mapping.type", short(v.Constant), joined(types))
	}
	return nil
}

func (v Value) check(target string, parts []string) error {
	if v.Part != "" && !slices.Contains(parts, v.Part) {
		return guia.Refuse(guia.Invalid, "mapped.mapping.part", short(v.Part), strings.Join(parts, ", "))
	}
	if v.From != "" && !v.Column {
		// A name alone is a column where the files have columns, so it need not be a path; if it is one, it is read as one.
		if _, err := parsePath(v.From); err != nil && strings.ContainsAny(v.From, "$[") {
			return guia.RefuseCause(guia.Invalid, err, "mapped.mapping.path", short(v.From))
		}
	}
	if v.HTML && target != "text" {
		return guia.Refuse(guia.Invalid, "mapped.mapping.html", target)
	}
	if v.Split != "" && !slices.Contains([]string{"recipients", "members", "file.name", "file.path", "file.type"}, target) {
		return guia.Refuse(guia.Invalid, "mapped.mapping.split", target)
	}
	for _, j := range v.Join {
		if err := j.check(target, parts); err != nil {
			return err
		}
	}
	return checkDecoders(v.Decode)
}

// nearest returns the name that differs in the fewest letters.
func nearest(s string, names []string) string {
	best, least := "", 1<<30
	s = s[:min(len(s), 64)]
	for _, name := range names {
		if d := distance(strings.ToLower(s), name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func joined[T ~string](all []T) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// zoneOf reads "Asia/Macau", "UTC", "+08:00" or "Z".
func zoneOf(s string) (*time.Location, error) {
	if s == "Local" || s == "" {
		return nil, errors.New("no zone")
	}
	if s == "Z" {
		return time.UTC, nil
	}
	if s[0] == '+' || s[0] == '-' {
		t, err := time.Parse("-07:00", s)
		if err != nil {
			return nil, err
		}
		_, offset := t.Zone()
		return time.FixedZone(s, offset), nil
	}
	return time.LoadLocation(s)
}
