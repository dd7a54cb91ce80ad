package mapped

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"mime"
	"path"
	"slices"
	"strconv"
	"strings"

	"guia"
	"guia/extract"
	"guia/source"
)

// prepare makes the mapping's values ready for a file with these columns; nil for JSON, and for files without a header row.
func (s *Source) prepare(f *file, columns []string) error {
	format := s.m.Format
	if format == "" {
		format = byExtension[strings.ToLower(path.Ext(f.h.name))]
	}
	table := format == "csv" || format == "xlsx"
	switch {
	case !table:
		columns = nil
	case s.m.Header == 0:
		columns = numbers
	case columns == nil: // an empty file or sheet
		columns = []string{}
	}
	empty := table && len(columns) == 0
	parts := map[string]string{}
	if s.pattern != nil {
		if match := s.pattern.FindStringSubmatch(f.h.name); match != nil {
			for i, name := range s.pattern.SubexpNames() {
				if name != "" {
					parts[name] = strings.ToValidUTF8(decode(match[i], s.m.Decode[name]), "\uFFFD")
				}
			}
		}
	}
	var missing []string
	f.fields, f.extra = map[string]*reader{}, nil
	for _, target := range slices.Sorted(maps.Keys(s.m.Fields)) {
		r := ready(s.m.Fields[target], columns, parts, s.met, &missing)
		f.fields[target] = &r
		if target == "valid.last" || !slices.Contains(ownTargets, target) {
			f.extra = append(f.extra, target)
		}
	}
	if len(missing) > 0 && !empty {
		name := f.h.name
		if f.book != nil {
			name += "!" + f.book.sheets[f.book.sheet].name
		}
		return guia.Refuse(guia.Invalid, "mapped.column", short(missing[0]), name, short(strings.Join(columns, ", ")))
	}
	return nil
}

// numbers are the names of columns where there is no header.
var numbers = func() []string {
	all := make([]string, maxColumns)
	for i := range all {
		all[i] = strconv.Itoa(i + 1)
	}
	return all
}()

// build turns the row that f has just read into a record.
func (s *Source) build(f *file) (*source.Record, error) {
	row := &f.row
	raw := row.raw
	if f.book == nil {
		raw = bytes.Clone(raw) // the reader goes on over it
	}
	if row.gap != "" {
		if s.sole && row.number <= 1 && strings.HasPrefix(row.gap, "no list of records") {
			return nil, guia.Refuse(guia.Invalid, "mapped.json.records", f.h.name, s.records.String())
		}
		if len(raw) == 0 {
			raw = []byte(f.h.name)
		}
		r := s.gap(f.h.name, row.number, raw, row.rawType, row.gap)
		if row.oversize {
			r.Marks = append(r.Marks, source.MarkOversize)
		}
		return r, nil
	}
	if row.doc.whole != nil && s.sample == nil {
		s.sample = row.doc.names()
	}
	bad := row.badBytes
	get := func(target string) string {
		v := f.fields[target]
		if v == nil {
			return ""
		}
		value, broken := v.one(row)
		bad = bad || broken
		if len(value) > maxCell {
			row.oversize = true
			return ""
		}
		return value
	}
	many := func(target string, keep bool) []string {
		v := f.fields[target]
		if v == nil {
			return nil
		}
		values, broken := v.all(row, keep)
		bad = bad || broken
		return values
	}

	r := &source.Record{Raw: raw, RawType: row.rawType, Origin: origin(f.h.name, row.sheet, row.number)}
	r.Type = guia.RecordKept
	unknown := false
	if t := guia.Type(get("type")); slices.Contains(types, t) {
		r.Type = t
	} else if t != "" {
		unknown = true
	}
	r.Stream, r.StreamName, r.StreamKind = get("stream"), get("stream.name"), get("stream.kind")
	switch {
	case r.Stream == "":
		r.Stream, r.StreamKind = s.defaultStream(), "feed"
	case s.m.Name != "":
		if r.StreamName == "" {
			r.StreamName = r.Stream
		}
		r.Stream = s.own(r.Stream)
	}
	if !slices.Contains([]string{"", "channel", "group", "direct", "mailbox", "feed"}, r.StreamKind) {
		r.StreamKind = ""
	}

	id := get("key")
	switch {
	case id != "":
		r.Key = keyOf(r.Stream, id)
	case s.keyed:
		sum := sha256.Sum256(raw)
		r.Key = "row:" + hex.EncodeToString(sum[:16]) + "@" + strconv.Itoa(s.at.file) + ":" + row.sheet + ":" + strconv.FormatInt(row.number, 10)
		r.Marks = append(r.Marks, MarkNoIdentifier)
	default:
		r.Key = s.occur.key(r.Stream, raw)
	}
	if id := get("reply_to"); id != "" {
		r.ReplyTo = keyOf(r.Stream, id)
	}
	if id := get("thread"); id != "" {
		r.Thread = keyOf(r.Stream, id)
	}
	if id := get("edit_of"); id != "" {
		r.EditOf = keyOf(r.Stream, id)
	}

	r.Sender = source.Person{
		ID: get("sender.key"), Name: get("sender.name"), Address: get("sender.address"), Phone: get("sender.phone"),
		Title: get("sender.title"), Department: get("department"),
	}
	switch {
	case r.Sender.ID != "":
		r.Sender.ID = s.own(r.Sender.ID)
	case r.Sender.Address != "": // an address is the same person's everywhere
		r.Sender.ID = r.Sender.Address
	case r.Sender.Name != "":
		r.Sender.ID = s.own(r.Sender.Name)
	}
	if r.Sender.ID == "" && (r.Type == guia.MessageSent || r.Type == guia.MailSent) {
		r.Sender = source.Person{}
		r.Marks = append(r.Marks, source.MarkNoSender)
	} else if r.Sender.ID == "" {
		r.Sender = source.Person{}
	}

	r.Subject, r.Text = get("subject"), get("text")
	if v := f.fields["text"]; v != nil && v.value.HTML && strings.ContainsAny(r.Text, "<&") { // where neither stands, white space is meant
		plain, whole := extract.HTML([]byte(r.Text), maxCell)
		row.oversize = row.oversize || !whole
		r.HTML, r.Text = r.Text, plain
	}
	r.Recipients, r.Members = many("recipients", false), many("members", false)
	s.attach(r, f.h.name, many("file.name", true), many("file.path", true), many("file.type", true))

	if err := s.when(r, f, row, get("time"), get("time.zone")); err != nil {
		return nil, err
	}
	for _, target := range f.extra {
		value := get(target)
		if value == "" {
			continue
		}
		if target == "valid.from" || target == "valid.until" || target == "valid.last" {
			at, zone, _, err := s.clock.read(value, "")
			if err != nil {
				r.Marks = addMark(r.Marks, MarkBadDay)
				continue
			}
			if at.Precision != guia.Day {
				at.Time = at.Time.In(s.clock.location(zone))
			}
			if target == "valid.last" { // the registry has the first day on which it no longer holds
				target, at.Time = "valid.until", at.Time.AddDate(0, 0, 1)
			}
			if at.Time.Year() > 9999 { // what systems write for a day that is not known yet
				continue
			}
			value = at.Time.Format("2006-01-02")
		}
		r.Extra.Set(target, value)
	}

	if !s.keyed && !s.sole && r.HasTime && r.Text != "" && (r.Type == guia.MessageSent || r.Type == guia.MailSent) {
		s.occur.note(s.at.file, r.Stream, r.Time.String(), r.Sender.ID, r.Text)
	}
	for _, mark := range []struct {
		is   bool
		name string
	}{{bad, source.MarkBadEncoding}, {row.ragged, MarkRagged}, {row.oversize, source.MarkOversize}, {unknown, MarkUnknownType}} {
		if mark.is {
			r.Marks = append(r.Marks, mark.name)
		}
	}
	return r, nil
}

func addMark(marks []string, mark string) []string {
	if slices.Contains(marks, mark) {
		return marks
	}
	return append(marks, mark)
}

// keyOf makes an identifier that is unique within its stream unique within the source.
func keyOf(stream, id string) string {
	if strings.ContainsAny(stream, "%#") {
		stream = strings.NewReplacer("%", "%25", "#", "%23").Replace(stream)
	}
	key := stream + "#" + id
	if len(key) > 1024 {
		sum := sha256.Sum256([]byte(key))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return key
}

// when fills in the time. A time that could mean two days stops the import: guessing it wrong would be worse than asking.
func (s *Source) when(r *source.Record, f *file, row *row, original, told string) error {
	r.TimeBasis = "none"
	r.TimeOriginal = original
	if original != "" {
		at, zone, basis, err := s.clock.read(original, told)
		if errors.Is(err, errAmbiguous) {
			return guia.Refuse(guia.Invalid, "mapped.time.ambiguous", f.h.name, row.number)
		}
		if err == nil {
			r.Time, r.HasTime, r.TimeZone, r.TimeBasis = at, true, zone, basis
			return nil
		}
	}
	if original != "" || !slices.Contains([]guia.Type{guia.PersonSeen, guia.PersonLeft, guia.ChannelSeen}, r.Type) { // entries have days
		r.Marks = append(r.Marks, source.MarkNoTime)
	}
	return nil
}

// attach pairs the names, paths and types of attachments by their order.
func (s *Source) attach(r *source.Record, near string, names, paths, kinds []string) {
	for i := range max(len(names), len(paths)) {
		f := source.File{Size: -1}
		if i < len(names) {
			f.Name = names[i]
		}
		if i < len(kinds) {
			if _, _, err := mime.ParseMediaType(kinds[i]); err == nil {
				f.MediaType = kinds[i]
			}
		}
		where := ""
		if i < len(paths) {
			where = paths[i]
		}
		if where == "" && f.Name == "" {
			continue
		}
		if f.Name == "" {
			f.Name = path.Base(strings.ReplaceAll(where, `\`, "/"))
		}
		if where == "" {
			f.Missing = "the export names the file and does not say where it lies"
		} else {
			f.Open, f.Size, f.Missing = s.in.attachment(near, where)
		}
		r.Files = append(r.Files, f)
	}
}
