package evidence

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"guia"
	"guia/canon"
	"guia/evidence/verify"
	"guia/lang"
)

// The view is made from lines: what a line does not disclose never gets here. Everything that came from a source is text to the
// template, which escapes it for where it stands; the page has no script, loads nothing, and says so in its content policy.

// viewFacts is what the view and the cover need of the lines.
type viewFacts struct {
	records, custody []*shown
	caseName         string
	missing          int // attachments whose bytes never were there
	timeless         int // messages without a usable time
	withheld         map[string]*verify.Withheld
}

func newViewFacts() viewFacts { return viewFacts{withheld: map[string]*verify.Withheld{}} }

// shown is one event as far as its line discloses it, without the bytes as received.
type shown struct {
	Seq int64
	guia.Header
	Fields   guia.Fields
	Withheld map[string]verify.Reason
}

func (v *viewFacts) add(line *verify.Line, header *guia.Header, custody bool) {
	e := &shown{Seq: line.Index, Header: *header, Withheld: map[string]verify.Reason{}}
	for _, f := range line.Fields {
		switch {
		case f.Withheld != "":
			e.Withheld[f.Name] = f.Withheld
			if !custody {
				v.count(f.Name, f.Withheld)
			}
		case f.Name == "raw":
			e.Fields = append(e.Fields, guia.Field{Name: f.Name, Value: strconv.AppendInt(nil, int64(len(f.Value)), 10)})
		case f.Name != "text.html":
			e.Fields = append(e.Fields, guia.Field{Name: f.Name, Value: f.Value})
		}
	}
	for _, f := range e.Fields {
		if strings.HasPrefix(f.Name, "file.") && strings.HasSuffix(f.Name, ".missing") {
			v.missing++
		}
	}
	_, hidden := e.Withheld["time"]
	if isMessage(e.Type) && !hidden && e.Fields.Bytes("time") == nil {
		v.timeless++
	}
	if e.Type == guia.CaseOpened && custody && v.caseName == "" {
		v.caseName = e.Fields.Get("name")
	}
	if custody {
		v.custody = append(v.custody, e)
	} else {
		v.records = append(v.records, e)
	}
}

func (v *viewFacts) count(name string, why verify.Reason) {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if len(p) == 4 && strings.Trim(p, "0123456789") == "" {
			parts[i] = "####"
		}
	}
	name = strings.Join(parts, ".")
	w := v.withheld[name]
	if w == nil {
		w = &verify.Withheld{Field: name}
		v.withheld[name] = w
	}
	if why == verify.Erased {
		w.Erased++
	} else {
		w.Redacted++
	}
}

func isMessage(t guia.Type) bool {
	return t == guia.MessageSent || t == guia.MessageEdited || t == guia.MailSent
}

// writeView writes view.html in the language of the request.
func (b *build) writeView(out *verify.Writer) error {
	w, err := out.Create("view.html")
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(w, 256<<10)
	if err := renderView(buffered, b.page()); err != nil {
		return fmt.Errorf("draw view: %w", err)
	}
	return buffered.Flush()
}

// page is everything that the template shows.
type page struct {
	Lang          string
	Style         template.CSS
	Policy        string
	Cover         verify.Cover
	Claims        []string // of the cover, in an order for reading
	Key           string
	Conversations []conversation
	Custody       []custodyRow
	Withheld      []verify.Withheld
	l             lang.Language
}

type conversation struct {
	Anchor  string
	Name    piece
	Kind    string
	Source  string
	Stream  string
	Extent  verify.StreamExtent
	Records []record
}

// piece is a value, or the reason why it is not shown. The zero value is nothing at all.
type piece struct {
	Text string
	Why  verify.Reason
	Bar  string // what stands for a withheld value
}

// Is reports whether there is anything to show.
func (p piece) Is() bool { return p.Text != "" || p.Why != "" }

type record struct {
	Seq         int64
	Type        string // of the event when that is no plain message, else empty
	Class       string
	Nested      bool
	Day         string // when it differs from the one before
	Clock       string
	Zone        string
	NoTime      bool
	Assumed     bool
	TimeHidden  piece
	Who         piece
	WhoMore     []piece
	Subject     piece
	Text        []piece
	To          []piece
	Members     []piece
	Reply       *link
	EditOf      *link
	Removes     bool // EditOf names what this event removes
	Same        *link
	EditedBy    []link
	RemovedBy   []link
	Files       []file
	Marks       []string
	Grade       string
	Channel     string
	Details     []detail
	ReasonShown piece
}

type link struct {
	Seq     int64
	Here    bool
	Excerpt string
}

type file struct {
	Name    piece
	Type    string
	Size    int64
	Href    string
	SaveAs  string
	Missing piece
	Why     verify.Reason
}

type detail struct {
	Name  string
	Value piece
}

type custodyRow struct {
	Seq     int64
	When    string
	Act     string
	Who     piece
	Account string
	Via     string
	Note    string
	Details []detail
}

const bar = "▇▇▇▇▇▇▇▇"

// piece returns the field as something to show.
func (e *shown) piece(name string) piece {
	if why, ok := e.Withheld[name]; ok {
		return piece{Why: why, Bar: bar}
	}
	return piece{Text: printable(e.Fields.Get(name))}
}

// printable replaces control characters, which a page would swallow or obey, by their pictures.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ':
			return r + 0x2400
		case r == 0x7f:
			return 0x2421
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// numbered returns the fields name.0001 and so on.
func (e *shown) numbered(name string) (pieces []piece) {
	var names []string
	for _, f := range e.Fields {
		if under(f.Name, name) && len(f.Name) == len(name)+5 {
			names = append(names, f.Name)
		}
	}
	for n := range e.Withheld {
		if under(n, name) && len(n) == len(name)+5 {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		pieces = append(pieces, e.piece(n))
	}
	return pieces
}

// text returns the text, neighbouring chunks joined.
func (e *shown) text() []piece {
	var text []piece
	for _, p := range e.numbered("text") {
		last := len(text) - 1
		switch {
		case last >= 0 && text[last].Why == p.Why && p.Why == "":
			text[last].Text += p.Text
		case last >= 0 && text[last].Why == p.Why && len(text[last].Bar) < 6*len(bar):
			text[last].Bar += bar
		case last >= 0 && text[last].Why == p.Why:
		default:
			text = append(text, p)
		}
	}
	return text
}

// page arranges the events for reading.
func (b *build) page() *page {
	sum := sha256.Sum256([]byte(viewStyle))
	p := &page{
		Lang: b.req.Language.String(), l: b.req.Language, Style: template.CSS(viewStyle), Cover: b.cover, Key: b.signer.VKey(),
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
	}
	p.Cover.Case = printable(p.Cover.Case)
	p.Claims = slices.SortedStableFunc(slices.Values(b.cover.Claims), func(x, y string) int {
		return cmp.Compare(slices.Index(claimOrder, x), slices.Index(claimOrder, y))
	})
	for _, name := range slices.Sorted(maps.Keys(b.facts.withheld)) {
		p.Withheld = append(p.Withheld, *b.facts.withheld[name])
	}
	extents := map[string]verify.StreamExtent{}
	for _, x := range b.cover.Streams {
		extents[x.Stream] = x
	}
	streams := map[guia.StreamID][]*shown{}
	var order []guia.StreamID
	places := map[string]int64{}
	for _, e := range b.facts.records {
		if streams[e.Stream] == nil {
			order = append(order, e.Stream)
		}
		streams[e.Stream] = append(streams[e.Stream], e)
		places[e.Record.String()] = e.Seq
	}
	for n, id := range order {
		c := conversation{Anchor: "c" + strconv.Itoa(n+1), Source: string(streams[id][0].Source), Stream: id.String(), Extent: extents[id.String()]}
		for _, e := range streams[id] {
			if name := e.piece("conversation.name"); name.Is() && c.Name.Text == "" {
				c.Name = name
			}
			c.Kind = cmp.Or(c.Kind, printable(e.Fields.Get("conversation.kind")))
		}
		c.Records = arrange(streams[id], places)
		p.Conversations = append(p.Conversations, c)
	}
	p.Custody = custodyRows(b.facts.custody, int64(b.started))
	return p
}

// arrange puts the events of one conversation in the order in which people saw them: by time, threads under their first message.
func arrange(events []*shown, places map[string]int64) []record {
	when := map[*shown]time.Time{}
	var last time.Time
	first := map[string]*shown{}     // by source_key
	edits := map[string][]*shown{}   // message.edited by the key of what they change
	removed := map[string][]*shown{} // message.deleted
	for _, e := range events {
		if m, err := guia.ParseMoment(e.Fields.Get("time")); err == nil {
			last = m.Time
		}
		when[e] = last // one without a time stays behind its neighbour in the ledger
		key := e.Fields.Get("source_key")
		if key != "" && first[key] == nil && e.Type != guia.MessageEdited && e.Type != guia.MessageDeleted {
			first[key] = e
		}
		if of := e.Fields.Get("edit_of"); of != "" && e.Type == guia.MessageDeleted {
			removed[of] = append(removed[of], e)
		} else if of != "" {
			edits[of] = append(edits[of], e)
		}
	}
	ordered := slices.Clone(events)
	slices.SortStableFunc(ordered, func(a, b *shown) int { return when[a].Compare(when[b]) })
	children := map[*shown][]*shown{}
	var roots []*shown
	for _, e := range ordered {
		root := first[e.Fields.Get("thread")]
		if root != nil && root != e {
			children[root] = append(children[root], e)
		} else {
			roots = append(roots, e)
		}
	}
	var records []record
	day := ""
	placed := map[*shown]bool{}
	var put func(e *shown, nested bool)
	put = func(e *shown, nested bool) {
		if placed[e] {
			return
		}
		placed[e] = true
		r := e.record(first, edits, removed, places)
		r.Nested = nested || r.Reply != nil
		if r.Day == day {
			r.Day = ""
		} else if r.Day != "" {
			day = r.Day
		}
		records = append(records, r)
		for _, child := range children[e] {
			put(child, true)
		}
	}
	for _, e := range roots {
		put(e, false)
	}
	for _, e := range ordered { // what is left are threads that answer each other in a circle
		put(e, false)
	}
	return records
}

func (e *shown) record(first map[string]*shown, edits, removed map[string][]*shown, places map[string]int64) record {
	r := record{
		Seq: e.Seq, Class: "message", Who: cmpPiece(e.piece("sender.name"), e.piece("sender.address"), e.piece("sender.key")),
		Subject: e.piece("subject"), Text: e.text(), To: e.numbered("recipient"), Members: e.numbered("member"),
		Grade: cmp.Or(e.Fields.Get("grade"), "?"), Channel: cmp.Or(e.Fields.Get("channel"), "unknown"), TimeHidden: piece{},
	}
	if len(r.Grade) != 1 || !strings.Contains("ABCD?", r.Grade) {
		r.Grade = "?"
	}
	if e.Source == guia.Own && e.Fields.Get("grade") == "" && !e.piece("grade").Is() {
		r.Grade = "" // an act of Guia itself has none
	}
	if !slices.Contains(channels, r.Channel) {
		r.Channel = "unknown"
	}
	if e.Type != guia.MessageSent {
		r.Type = strings.ReplaceAll(string(e.Type), ".", "_")
	}
	if e.Type == guia.MessageDeleted || e.Type == guia.SourceGap {
		r.Class = "event"
	}
	for _, name := range [...]string{"sender.title", "department", "sender.address", "sender.phone"} {
		if more := e.piece(name); more.Text != "" && more != r.Who {
			r.WhoMore = append(r.WhoMore, more)
		}
	}
	if !isMessage(e.Type) {
		r.ReasonShown = e.piece("reason")
	}
	r.setTime(e)
	key := e.Fields.Get("source_key")
	if to := e.Fields.Get("reply_to"); to != "" {
		r.Reply = linkTo(first[to])
	}
	if of := e.Fields.Get("edit_of"); of != "" {
		r.EditOf, r.Removes = linkTo(first[of]), e.Type == guia.MessageDeleted
	} else if key != "" {
		for _, other := range edits[key] {
			r.EditedBy = append(r.EditedBy, *linkTo(other))
		}
		for _, other := range removed[key] {
			r.RemovedBy = append(r.RemovedBy, *linkTo(other))
		}
	}
	if same := e.Fields.Get("same_as"); same != "" {
		seq, here := places[same]
		r.Same = &link{Seq: seq, Here: here}
	}
	for mark := range strings.FieldsSeq(e.Fields.Get("mark")) {
		r.Marks = append(r.Marks, printable(mark))
	}
	r.Files = e.files()
	r.Details = e.details()
	return r
}

var channels = []string{"api", "push", "export", "file", "statement", "own"}

// cmpPiece returns the first piece that is something.
func cmpPiece(pieces ...piece) piece {
	for _, p := range pieces {
		if p.Is() {
			return p
		}
	}
	return piece{}
}

func linkTo(e *shown) *link {
	if e == nil {
		return &link{}
	}
	excerpt := ""
	if text := e.text(); len(text) > 0 && text[0].Why == "" {
		excerpt = strings.Join(strings.Fields(text[0].Text), " ")
		if r := []rune(excerpt); len(r) > 60 {
			excerpt = string(r[:60]) + "…"
		}
	}
	return &link{Seq: e.Seq, Here: true, Excerpt: excerpt}
}

// setTime shows the time in the zone in which the source told it.
func (r *record) setTime(e *shown) {
	m, err := guia.ParseMoment(e.Fields.Get("time"))
	r.TimeHidden = e.piece("time")
	if err != nil {
		r.NoTime = !r.TimeHidden.Is()
		return
	}
	r.TimeHidden = piece{}
	zone := e.Fields.Get("time.zone")
	r.Assumed = e.Fields.Get("time.basis") == "assumed"
	t, name := m.Time, "UTC"
	if m.Precision == guia.Day {
		r.Day, r.Zone = t.Format(time.DateOnly), printable(zone)
		return
	}
	if offset, err := time.Parse("-07:00", zone); err == nil {
		_, seconds := offset.Zone() // not its location: that may be this machine's, with its summer times
		t, name = t.In(time.FixedZone("", seconds)), zone
	} else if zone != "" && zone != "UTC" {
		if place, err := time.LoadLocation(zone); err == nil && zone != "Local" {
			t = t.In(place)
			name = zone + " (" + t.Format("-07:00") + ")"
		} else {
			name = "UTC (" + printable(zone) + ")"
		}
	}
	layout := map[guia.Precision]string{
		guia.Minute: "15:04", guia.Second: "15:04:05", guia.Millisecond: "15:04:05.000", guia.Microsecond: "15:04:05.000000", guia.Nanosecond: "15:04:05.000000000",
	}[m.Precision]
	r.Day, r.Clock, r.Zone = t.Format(time.DateOnly), t.Format(layout), name
}

// files lists the attachments by number, with what is known of each.
func (e *shown) files() (files []file) {
	numbers := map[string]bool{}
	note := func(name string) {
		if under(name, "file") && len(name) >= len("file.0001") {
			numbers[name[:len("file.0001")]] = true
		}
	}
	for _, f := range e.Fields {
		note(f.Name)
	}
	for name := range e.Withheld {
		note(name)
	}
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		f := file{Name: e.piece(n + ".name"), Type: printable(e.Fields.Get(n + ".type")), Missing: e.piece(n + ".missing"), Why: e.Withheld[n]}
		if ref, err := canon.ParseFileRef(e.Fields.Get(n)); err == nil && !f.Missing.Is() {
			f.Href, f.Size, f.SaveAs = verify.FileName(ref.Digest), ref.Size, saveAs(f.Name.Text)
		}
		files = append(files, f)
	}
	return files
}

// saveAs is the name under which a browser may store an attachment: one segment, no leading dot, nothing that a system obeys.
func saveAs(name string) string {
	name = name[strings.LastIndexAny(name, `/\:`)+1:]
	name = strings.TrimLeft(strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"|?*%`, r) || r < ' ' || r >= 0x2400 && r <= 0x2421 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '_'
		}
		return r
	}, name), ". ")
	if r := []rune(name); len(r) > 120 {
		name = string(r[len(r)-120:])
	}
	return cmp.Or(name, "file")
}

// details are the fields about the record itself, under the names that records.jsonl gives them.
func (e *shown) details() []detail {
	details := []detail{
		{"captured", piece{Text: e.Captured.UTC().Format("2006-01-02T15:04:05.000Z")}},
		{"record", piece{Text: e.Record.String()}},
		{"stream", piece{Text: e.Stream.String() + " " + strconv.FormatUint(e.Count, 10)}},
	}
	for _, name := range [...]string{
		"time", "time.original", "time.zone", "time.basis", "channel", "normaliser", "origin", "import", "entity", "class", "tier", "tier.basis", "source_key", "raw.type",
	} {
		if p := e.piece(name); p.Is() {
			details = append(details, detail{name, p})
		}
	}
	if why, ok := e.Withheld["raw"]; ok {
		details = append(details, detail{"raw", piece{Why: why, Bar: bar}})
	} else if n := e.Fields.Get("raw"); n != "" {
		details = append(details, detail{"raw", piece{Text: n + " B, records.jsonl"}})
	}
	if p := e.piece("raw.file"); p.Is() {
		details = append(details, detail{"raw.file", p})
	}
	return details
}

// custodyRows tells the chain of custody.
func custodyRows(events []*shown, current int64) (rows []custodyRow) {
	logins, ended := map[string]string{}, map[string]bool{}
	for _, e := range events {
		switch e.Type {
		case guia.UserAdded:
			logins[e.Fields.Get("user")] = printable(e.Fields.Get("name"))
		case guia.BundleExported:
			ended[e.Fields.Get("seqs")] = true
		default:
		}
	}
	for _, e := range events {
		row := custodyRow{
			Seq: e.Seq, When: e.Captured.UTC().Format("2006-01-02 15:04:05 UTC"), Act: strings.ReplaceAll(string(e.Type), ".", "_"),
			Who: e.piece("actor"), Via: printable(e.Fields.Get("actor.via")),
		}
		if login := logins[row.Who.Text]; login != "" {
			row.Account, row.Who.Text = row.Who.Text, login
		}
		if e.Type == guia.BundleStarted && e.Seq == current {
			row.Note = "view.this_bundle"
		} else if e.Type == guia.BundleStarted && !ended[strconv.FormatInt(e.Seq, 10)] {
			row.Note = "view.no_outcome"
		}
		for _, name := range custodyDetails {
			if p := e.piece(name); p.Is() {
				row.Details = append(row.Details, detail{name, p})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// custodyDetails are the fields that a row of the chain of custody shows, in this order.
var custodyDetails = []string{
	"name", "reason", "actor.behalf", "approver", "seqs", "count.new", "count.known", "count.linked", "count.marked", "digest", "act.outcome",
	"grade", "normaliser", "entity", "origin", "conversation.name", "query", "mark", "user", "version", "key.new",
}
