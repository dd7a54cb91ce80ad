package evidence

import (
	"slices"
	"strconv"
	"strings"

	"guia"
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

func (r rule) String() string { return r.kind + "=" + r.value }

var ruleKinds = []string{"field", "person", "record", "passage"}

// ParseRedaction reads rules, each argument one or several joined by commas:
//
//	field=NAME[,NAME…]  the field and everything under it: text, raw, sender, sender.name, file.0001, time; with anything of the
//	                    conversation the origin, which names it too
//	person=WHO          everything that they said or that says so: identity, content, raw and origin; and wherever else they are
//	                    named, the field or piece of text; WHO is a name, an address or an identifier. See acquaintance
//	record=SEQ[,SEQ…]   every field of that event
//	passage=TEXT        every piece of text in which any part of an occurrence stands, and every other field that contains it;
//	                    letters are compared as the search compares them, white space not at all, and
//	                    what is encoded is decoded, as for a person
//
// Whatever withholds something that came from the source withholds the bytes as received as well (raw, raw.file), and a withheld
// sender or piece of text withholds text.html: they say it again. With person and passage the bytes as received, and pieces of text, are
// withheld also where they cannot be looked through: a mail, what is compressed or in an unknown character set (see undo). A comma that
// no rule follows belongs to the value.
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

// Persons reports whether a rule is about a person: such a [BundleRequest] needs People.
func (r Redaction) Persons() bool { return r.has("person") }

// searches reports whether texts are looked through.
func (r Redaction) searches() bool { return r.has("person") || r.has("passage") }

// String is the rules as ParseRedaction reads them, in the order in which they were given. It holds what was withheld.
func (r Redaction) String() string {
	var words []string
	for _, one := range r.rules {
		words = append(words, one.String())
	}
	return strings.Join(words, ",")
}
