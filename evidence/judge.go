package evidence

import (
	"slices"
	"strings"

	"guia"
	"guia/canon"
	"guia/lang"
	"guia/permit"
	"guia/vault"
)

// Why says why a field is withheld. "evidence.why." and the word is a sentence of package lang; its place 0 is the rule.
type Why string

// The reasons.
const (
	WhyRule         Why = "rule"         // the rule names the field or the event, or its passage stands there
	WhySender       Why = "sender"       // it is what a withheld person said, or says who that is
	WhyNamed        Why = "named"        // a withheld person is named in it
	WhyFile         Why = "file"         // the bytes of an attachment in whose name a withheld person is named
	WhyConversation Why = "conversation" // it tells what a conversation is called, and so who is in it
	WhyRepeats      Why = "repeats"      // it says again what another withheld field says
	WhyUnsearchable Why = "unsearchable" // it could say again what is withheld, and cannot be looked through
	WhyRedaction    Why = "redaction"    // the words of a redaction, or of the search that was made for one
	WhyGap          Why = "gap"          // a gap of the import, which is told of and not shown
)

// redactor judges fields. It may be asked by many goroutines; known and gaps are set between two passes.
type redactor struct {
	Redaction
	known acquaintance
	gaps  map[guia.Seq]bool // gaps in the chain of custody of which the exporter may see where and why
}

func newRedactor(r Redaction) *redactor { return &redactor{Redaction: r} }

// judgement is what becomes of the fields of one event.
type judgement struct {
	why  []Why // for each field, in their order; empty where it is disclosed
	rule []int // for each field the rule, -1 when there is none
	hits []int // for each rule, how many fields it withholds

	counted []bool // for each field and rule, that hits has it
}

func newJudgement(fields, rules int) judgement {
	return judgement{make([]Why, fields), make([]int, fields), make([]int, rules), make([]bool, fields*rules)}
}

// hidden reports whether a field is withheld.
func (j *judgement) hidden(field int) bool { return j.why[field] != "" }

// withhold notes that a field is withheld, by all of the rules. The first reason is the one that is told.
func (j *judgement) withhold(fields []vault.Disclosure, field int, why Why, rules ...int) {
	if fields[field].Forgotten {
		return
	}
	if j.why[field] == "" {
		j.why[field], j.rule[field] = why, -1
		if len(rules) > 0 {
			j.rule[field] = rules[0]
		}
	}
	for _, n := range rules {
		if counted := &j.counted[field*len(j.hits)+n]; !*counted {
			*counted = true
			j.hits[n]++
		}
	}
}

// judge decides which fields of an event are withheld. custody says that it is an event of the chain of custody.
func (r *redactor) judge(seq guia.Seq, header *guia.Header, fields []vault.Disclosure, custody bool) judgement {
	j := newJudgement(len(fields), len(r.rules))
	j.withholdAlways(header, fields, custody, r.gaps[seq])
	for n, one := range r.rules {
		switch one.kind {
		case "passage":
			for _, i := range occurrences(fields, one.folded) {
				j.withhold(fields, i, WhyRule, n)
			}
		default:
			for i, f := range fields {
				if one.kind == "field" && under(f.Name, one.value) || one.kind == "record" && one.seq == seq {
					j.withhold(fields, i, WhyRule, n)
				}
			}
		}
	}
	if r.has("passage") {
		text := joinChunks(fields)
		text.withholdEncoded(&j, fields, WhyRule, r.passagesIn)
	}
	if r.has("person") {
		r.known.judge(&j, header, fields)
	}
	if r.withholdsConversations() {
		j.withholdConversation(fields)
	}
	j.withholdRepetitions(fields, r.searches())
	return j
}

// passagesIn returns the rules whose passages stand in these texts of something.
func (r *redactor) passagesIn(m *meaning, texts []string) (rules []int) {
	for n, one := range r.rules {
		if one.kind == "passage" && m.has(texts, one.folded) {
			rules = append(rules, n)
		}
	}
	return rules
}

// withholdAlways withholds what no rule needs to name: of the intent of a bundle, and of the search before it, the words of its
// redaction; of a gap that is there for the chain of custody only everything but where and why, and these too unless the exporter
// may see it.
func (j *judgement) withholdAlways(header *guia.Header, fields []vault.Disclosure, custody, mayKnow bool) {
	forRedaction := header.Type == guia.SearchMade && value(fields, "act") == string(permit.ActExport)
	for i, f := range fields {
		slot, _ := guia.SlotOf(f.Name)
		switch {
		case header.Type == guia.SourceGap && custody:
			told := slot == guia.SlotRecord && f.Name != "origin" || mayKnow && (f.Name == "origin" || f.Name == "reason")
			if !told || under(f.Name, "conversation") {
				j.withhold(fields, i, WhyGap)
			}
		case header.Type == guia.BundleStarted && under(f.Name, "text"), forRedaction && f.Name == "query":
			j.withhold(fields, i, WhyRedaction)
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

// withholdConversation withholds what says again which conversation it was: the origin, and an identifier that holds the withheld name.
func (j *judgement) withholdConversation(fields []vault.Disclosure) {
	name := ""
	for i, f := range fields {
		if f.Name == "conversation.name" && j.hidden(i) {
			name = bare(string(f.Value))
		}
	}
	for i, f := range fields {
		if f.Name == "origin" || f.Name == "conversation.key" && name != "" && strings.Contains(bare(string(f.Value)), name) {
			j.withhold(fields, i, WhyRepeats)
		}
	}
}

// withholdRepetitions withholds the fields that say again what another withheld field says, and, when texts are looked through, the
// pieces of text and the bytes as received that cannot be.
func (j *judgement) withholdRepetitions(fields []vault.Disclosure, searching bool) {
	if searching {
		text := joinChunks(fields)
		text.withholdParts(j, fields, WhyUnsearchable, func(part string) ([]int, bool) { return nil, !searchable("", []byte(part)) })
	}
	raw, html := false, false
	for i, f := range fields {
		if j.hidden(i) {
			slot, _ := guia.SlotOf(f.Name)
			raw = raw || !slices.Contains(ours, f.Name)
			html = html || slot == guia.SlotIdentity || under(f.Name, "text")
		}
	}
	kind := value(fields, "raw.type")
	for i, f := range fields {
		switch {
		case raw && (f.Name == "raw" || f.Name == "raw.file"), html && f.Name == "text.html":
			j.withhold(fields, i, WhyRepeats)
		case !searching || j.hidden(i):
		case f.Name == "raw.file", f.Name == "raw" && !searchable(kind, f.Value), f.Name == "text.html" && !searchable("", f.Value): // raw.file is too large to be looked through here
			j.withhold(fields, i, WhyUnsearchable)
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
