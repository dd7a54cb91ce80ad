package evidence

import (
	"slices"
	"strconv"
	"strings"

	"guia"
	"guia/canon"
	"guia/lang"
	"guia/permit"
	"guia/vault"
)

// Redaction says what a bundle withholds. The zero value withholds nothing.
type Redaction struct {
	rules []rule
}

// rule is one of the four kinds, with its value as the user wrote it.
type rule struct {
	kind, value string
	seq         guia.Seq // of kind record
	folded      string   // of kinds person and passage: as it is compared
}

var ruleKinds = []string{"field", "person", "record", "passage"}

// ParseRedaction reads rules, each argument one or several joined by commas:
//
//	field=NAME[,NAME…]  the field and everything under it: text, raw, sender, sender.name, file.0001, time; with anything of the
//	                    conversation the origin, which names it too
//	person=WHO          everything of that sender: identity, content, raw and origin; WHO is a name, an address or an identifier.
//	                    What direct and group conversations are called is withheld where they speak or are named in it
//	record=SEQ[,SEQ…]   every field of that event
//	passage=TEXT        every piece of text in which any part of an occurrence stands, and every other field that contains it;
//	                    letters are compared as the search compares them, white space not at all
//
// Whatever withholds something that came from the source withholds the bytes as received as well (raw, raw.file), and a withheld
// sender or piece of text withholds text.html: they say it again. A comma that no rule follows belongs to the value.
func ParseRedaction(args []string) (Redaction, error) {
	var r Redaction
	for _, arg := range args {
		for _, part := range splitRules(arg) {
			kind, value, _ := strings.Cut(part, "=")
			kind, value = strings.TrimSpace(kind), strings.TrimSpace(value)
			if !slices.Contains(ruleKinds, kind) || value == "" {
				return Redaction{}, guia.Refuse(guia.Invalid, "evidence.redact_form", part)
			}
			if kind == "person" || kind == "passage" {
				if err := r.add(kind, value); err != nil {
					return Redaction{}, err
				}
				continue
			}
			for one := range strings.SplitSeq(value, ",") {
				if err := r.add(kind, strings.TrimSpace(one)); err != nil {
					return Redaction{}, err
				}
			}
		}
	}
	return r, nil
}

// splitRules cuts at the commas behind which a rule begins.
func splitRules(arg string) (parts []string) {
	start := 0
	for i := range len(arg) {
		if arg[i] != ',' {
			continue
		}
		kind, _, ok := strings.Cut(arg[i+1:], "=")
		if ok && slices.Contains(ruleKinds, strings.TrimSpace(kind)) {
			parts = append(parts, arg[start:i])
			start = i + 1
		}
	}
	return append(parts, arg[start:])
}

func (r *Redaction) add(kind, value string) error {
	one := rule{kind: kind, value: value}
	switch kind {
	case "field":
		one.value = strings.TrimSuffix(strings.TrimSuffix(value, "*"), ".")
		if !isFieldPattern(one.value) {
			return guia.Refuse(guia.Invalid, "evidence.redact_field", value)
		}
	case "record":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return guia.Refuse(guia.Invalid, "evidence.redact_record", value)
		}
		one.seq = guia.Seq(n)
	case "person":
		one.folded = squeeze(value)
	case "passage":
		if one.folded = squeeze(value); one.folded == "" {
			return guia.Refuse(guia.Invalid, "evidence.redact_form", kind+"="+value)
		}
	}
	if !slices.Contains(r.rules, one) {
		r.rules = append(r.rules, one)
	}
	return nil
}

// isFieldPattern reports whether a registered field is, or can be, the pattern or something under it.
func isFieldPattern(pattern string) bool {
	if _, ok := guia.SlotOf(pattern); ok {
		return true
	}
	return slices.ContainsFunc(guia.Registry, func(s guia.FieldSpec) bool { return under(s.Name, pattern) })
}

// under reports whether name is pattern or stands under it.
func under(name, pattern string) bool {
	return strings.HasPrefix(name, pattern) && (len(name) == len(pattern) || name[len(pattern)] == '.')
}

// Empty reports whether nothing is withheld.
func (r Redaction) Empty() bool { return len(r.rules) == 0 }

// has reports whether there is a rule of the kind.
func (r Redaction) has(kind string) bool {
	return slices.ContainsFunc(r.rules, func(one rule) bool { return one.kind == kind })
}

// String is the rules as ParseRedaction reads them, in the order in which they were given. It holds what was withheld.
func (r Redaction) String() string {
	var words []string
	for _, one := range r.rules {
		words = append(words, one.kind+"="+one.value)
	}
	return strings.Join(words, ",")
}

// redactor judges fields. It may be asked by many goroutines; known and gaps are set between two passes.
type redactor struct {
	Redaction
	known acquaintance
	gaps  map[guia.Seq]bool // gaps in the chain of custody of which the exporter may see where and why
}

func newRedactor(r Redaction) *redactor { return &redactor{Redaction: r} }

// judgement is what becomes of the fields of one event.
type judgement struct {
	hide      []bool // for each field, in their order
	hits      []int  // for each rule, how many fields it withholds
	automatic int    // fields withheld because of another one, or because they cannot be searched
}

// judge decides which fields of an event are withheld. custody says that it is an event of the chain of custody.
func (r *redactor) judge(seq guia.Seq, header *guia.Header, fields []vault.Disclosure, custody bool) judgement {
	j := judgement{hide: make([]bool, len(fields)), hits: make([]int, len(r.rules))}
	j.hideAlways(header, fields, custody, r.gaps[seq])
	hide := func(rule, field int) {
		if !fields[field].Forgotten {
			j.hide[field] = true
			j.hits[rule]++
		}
	}
	person := -1
	if r.has("person") {
		person = r.person(header, fields)
	}
	for n, one := range r.rules {
		switch one.kind {
		case "passage":
			for _, i := range occurrences(fields, one.folded) {
				hide(n, i)
			}
		default:
			for i, f := range fields {
				if one.kind == "field" && under(f.Name, one.value) || one.kind == "record" && one.seq == seq || n == person && personal(f.Name) {
					hide(n, i)
				}
			}
		}
	}
	if rule, names := r.whereabouts(person, header, fields); rule >= 0 {
		for i, f := range fields {
			if slices.Contains(names, f.Name) && !j.hide[i] {
				hide(rule, i)
			}
		}
	}
	if r.withholdsConversations() {
		j.hideConversation(fields)
	}
	j.hideRepetitions(fields, r.has("passage"))
	return j
}

// hideAlways withholds what no rule needs to name: of the intent of a bundle, and of the search for passages before it, the words
// of its redaction; of a gap that is there for
// the chain of custody only everything but where and why, and these too unless the exporter may see it.
func (j *judgement) hideAlways(header *guia.Header, fields []vault.Disclosure, custody, mayKnow bool) {
	forPassage := header.Type == guia.SearchMade && value(fields, "act") == string(permit.ActExport)
	for i, f := range fields {
		slot, _ := guia.SlotOf(f.Name)
		switch {
		case header.Type == guia.SourceGap && custody:
			told := slot == guia.SlotRecord && f.Name != "origin" || mayKnow && (f.Name == "origin" || f.Name == "reason")
			j.hide[i] = !told || under(f.Name, "conversation")
		case header.Type == guia.BundleStarted:
			j.hide[i] = under(f.Name, "text") && !f.Forgotten
		case forPassage:
			j.hide[i] = f.Name == "query" && !f.Forgotten
		}
	}
}

// ours are the fields that say nothing the source said: withholding one leaves the bytes as received harmless.
var ours = []string{
	"channel", "class", "entity", "grade", "import", "mark", "normaliser", "place", "place.basis", "raw", "raw.file", "raw.type", "same_as",
	"tier", "tier.basis",
}

// withholdsConversations reports whether a rule is about the fields that tell which conversation it was.
func (r Redaction) withholdsConversations() bool {
	return slices.ContainsFunc(r.rules, func(one rule) bool { return one.kind == "field" && under(one.value, "conversation") })
}

// hideConversation withholds what says again which conversation it was: the origin, and an identifier that holds the withheld name.
func (j *judgement) hideConversation(fields []vault.Disclosure) {
	name := ""
	for i, f := range fields {
		if f.Name == "conversation.name" && j.hide[i] {
			name = bare(string(f.Value))
		}
	}
	for i, f := range fields {
		again := f.Name == "origin" || f.Name == "conversation.key" && name != "" && strings.Contains(bare(string(f.Value)), name)
		if again && !j.hide[i] && !f.Forgotten {
			j.hide[i] = true
			j.automatic++
		}
	}
}

// hideRepetitions withholds the fields that say again what another withheld field says, and, when there are passages, the bytes
// as received that cannot be searched.
func (j *judgement) hideRepetitions(fields []vault.Disclosure, passages bool) {
	raw, html := false, false
	for i, f := range fields {
		if !j.hide[i] {
			continue
		}
		slot, _ := guia.SlotOf(f.Name)
		raw = raw || !slices.Contains(ours, f.Name)
		html = html || slot == guia.SlotIdentity || under(f.Name, "text")
	}
	kind := value(fields, "raw.type")
	for i, f := range fields {
		again := false
		switch f.Name {
		case "raw":
			again = raw || passages && !searchable(kind, f.Value)
		case "raw.file":
			again = raw || passages // it is too large to be looked through here
		case "text.html":
			again = html
		}
		if again && !j.hide[i] && !f.Forgotten {
			j.hide[i] = true
			j.automatic++
		}
	}
}

// value returns a field as text, empty when it is not there.
func value(fields []vault.Disclosure, name string) string {
	i, found := slices.BinarySearchFunc(fields, name, func(f vault.Disclosure, name string) int { return strings.Compare(f.Name, name) })
	if !found {
		return ""
	}
	return string(fields[i].Value)
}

// RuleCount is what one rule withholds.
type RuleCount struct {
	Rule    string // as ParseRedaction reads it
	Records int
	Fields  int
}

// Preview says what a bundle would withhold of the events of the case. What it withholds in the chain of custody is not counted.
type Preview struct {
	Records   int // events of the case
	Fields    int
	Redacted  int // fields withheld by the rules
	Automatic int // of these, withheld because they say again what another one says, or cannot be searched
	Erased    int // fields whose keys were destroyed before
	Rules     []RuleCount
}

// count adds the judgement of one event.
func (p *Preview) count(fields []vault.Disclosure, j judgement) {
	p.Records++
	p.Fields += len(fields)
	p.Automatic += j.automatic
	for i, f := range fields {
		switch {
		case f.Forgotten:
			p.Erased++
		case j.hide[i]:
			p.Redacted++
		}
	}
	for n, fields := range j.hits {
		if fields > 0 {
			p.Rules[n].Records++
			p.Rules[n].Fields += fields
		}
	}
}

// custodyFields are the fields of the chain of custody: a rule for one of them has always something to withhold.
var custodyFields = []string{
	"act", "act.outcome", "actor", "actor.behalf", "actor.via", "approver", "count.known", "count.linked", "count.marked", "count.new", "digest",
	"key.new", "key.old", "name", "query", "reason", "rotation", "scope", "seqs", "user", "version",
}

// empty refuses the first rule that withholds nothing: it was misspelt, or something the user wants withheld is called otherwise.
// own are the hits in the event that opened the case.
func (p *Preview) empty(rules []rule, own []int) error {
	for n, r := range p.Rules {
		custody := rules[n].kind == "field" && slices.ContainsFunc(custodyFields, func(name string) bool { return under(name, rules[n].value) })
		if r.Fields == 0 && own[n] == 0 && !custody {
			return guia.Refuse(guia.Invalid, "evidence.redact_nothing", r.Rule)
		}
	}
	return nil
}

// fileOf reads a disclosed file-valued field whose bytes are there.
func fileOf(fields []vault.Disclosure, i int) (canon.FileRef, bool) {
	f := &fields[i]
	if f.Forgotten || !canon.IsFile(f.Name) || slices.ContainsFunc(fields, func(o vault.Disclosure) bool { return o.Name == f.Name+".missing" }) {
		return canon.FileRef{}, false
	}
	ref, err := canon.ParseFileRef(string(f.Value))
	return ref, err == nil
}

// squeeze is text as passages and names are compared: folded, without white space.
func squeeze(s string) string { return strings.Join(strings.Fields(lang.Fold(s)), "") }
