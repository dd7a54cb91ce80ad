package evidence

import (
	"slices"

	"guia"
	"guia/vault"
)

// RuleCount is what one rule withholds.
type RuleCount struct {
	Rule    string // as ParseRedaction reads it
	Records int
	Fields  int
}

// Known is how the persons of a rule were shown: their identifiers, names, addresses and telephone numbers, ascending.
type Known struct {
	Rule string
	As   []string
}

// Withholding is one field that a bundle would withhold.
type Withholding struct {
	Seq     guia.Seq
	Custody bool // the event is one of the chain of custody
	Field   string
	Why     Why
	Rule    string // as ParseRedaction reads it; empty where Why needs none
}

// Attachment is one whose bytes a bundle discloses.
type Attachment struct {
	Seq   guia.Seq
	Field string
	Name  string // empty when it has none or it is withheld
}

// Preview says what a bundle would withhold. The numbers are those of the events of the case, without the chain of custody.
type Preview struct {
	Records   int // events of the case
	Fields    int
	Redacted  int // fields withheld by the rules
	Automatic int // of these, withheld because they say again what another one says, or cannot be searched
	Erased    int // fields whose keys were destroyed before
	Rules     []RuleCount
	Known     []Known // for each rule about a person; to whom may not see everything, as far as the case shows it
	// Unsearched are the attachments that are disclosed although a rule is about a person or a passage: their bytes are not searched.
	Unsearched []Attachment
	Withheld   []Withholding // by [Plan] only: each field, in the order of the events of the case and then of the chain of custody
}

// count adds the judgement of one event.
func (p *Preview) count(fields []vault.Disclosure, j judgement) {
	p.Records++
	p.Fields += len(fields)
	for i, f := range fields {
		switch {
		case f.Forgotten:
			p.Erased++
		case j.hidden(i):
			p.Redacted++
			if j.rule[i] < 0 {
				p.Automatic++
			}
		}
	}
	for n, fields := range j.hits {
		if fields > 0 {
			p.Rules[n].Records++
			p.Rules[n].Fields += fields
		}
	}
}

// listFiles adds the attachments of one event that are disclosed.
func (p *Preview) listFiles(d *disclosed) {
	for i, f := range d.fields {
		if _, there := fileOf(d.fields, i); !there || d.hidden(i) {
			continue
		}
		a := Attachment{Seq: d.Seq, Field: f.Name}
		for k, name := range d.fields {
			if name.Name == f.Name+".name" && !d.hidden(k) {
				a.Name = string(name.Value)
			}
		}
		p.Unsearched = append(p.Unsearched, a)
	}
}

// list adds what is withheld of one event.
func (p *Preview) list(d *disclosed, custody bool) {
	for i, why := range d.why {
		if why == "" {
			continue
		}
		w := Withholding{Seq: d.Seq, Custody: custody, Field: d.fields[i].Name, Why: why}
		if n := d.rule[i]; n >= 0 {
			w.Rule = p.Rules[n].Rule
		}
		p.Withheld = append(p.Withheld, w)
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
		switch {
		case r.Fields > 0 || own[n] > 0 || custody:
		case rules[n].kind == "person": // one answer for who is not known and who is not in the case: it tells nobody who is known
			return guia.Refuse(guia.Invalid, "evidence.redact_nobody", rules[n].value)
		default:
			return guia.Refuse(guia.Invalid, "evidence.redact_nothing", r.Rule)
		}
	}
	return nil
}
