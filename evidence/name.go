package evidence

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"guia/lang"
)

// name is one way in which a withheld person is written.
type name struct {
	bare  string
	rules []int
	weak  bool // it may mean anything: it counts where it stands alone in a field, and as a mention
}

// fewDigits is below the length of any telephone number of Macau: a number of fewer digits may be anything.
const fewDigits = 8

// name adds a way in which a person is written; of an address also what stands before the sign, as people are mentioned, and of a
// telephone number also how it is dialled at home.
func (a *acquaintance) name(written string, rule int) {
	a.add(bare(written), rule, false)
	a.add(atHome(bare(written)), rule, false)
	if local, _, isAddress := strings.Cut(written, "@"); isAddress {
		a.add(bare(local), rule, true)
	}
}

// atHome returns a number without the country code of Macau, Hong Kong or mainland China, empty when it has none.
func atHome(number string) string {
	number = strings.TrimPrefix(number, "00")
	for code, digits := range map[string]int{"853": 8, "852": 8, "86": 11} {
		if home, coded := strings.CutPrefix(number, code); coded && len(home) == digits && isNumber(home) {
			return home
		}
	}
	return ""
}

func (a *acquaintance) add(bare string, rule int, weak bool) {
	if bare == "" {
		return
	}
	weak = weak || utf8.RuneCountInString(bare) == 1 || len(bare) < fewDigits && isNumber(bare)
	for i := range a.names {
		if n := &a.names[i]; n.bare == bare {
			n.weak = n.weak && weak
			n.rules = union(n.rules, []int{rule})
			return
		}
	}
	a.names = append(a.names, name{bare, []int{rule}, weak})
}

// long reports whether a name is no accident inside a word.
func (n *name) long() bool { return len(n.bare) >= 3 && !isNumber(n.bare) }

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// spellings returns how a name that is shown may be written elsewhere: without what stands in brackets, in each script alone, and
// beginning with any of its words.
func spellings(shown string) (all []string) {
	all = []string{shown}
	unbracketed := outsideBrackets(shown)
	han := strings.FieldsFunc(unbracketed+" "+shown, func(r rune) bool { return !unicode.Is(unicode.Han, r) })
	for _, run := range han {
		if n := utf8.RuneCountInString(run); n >= 2 && n <= 4 { // longer ones are no names of people, or have a title behind them
			all = append(all, run)
		}
	}
	words := strings.FieldsFunc(unbracketed, func(r rune) bool { return unicode.Is(unicode.Han, r) || unicode.IsSpace(r) || r == ',' || r == '，' })
	if len(words) < 2 || len(words) > 5 {
		return all
	}
	for i := range words {
		all = append(all, strings.Join(slices.Concat(words[i:], words[:i]), " "))
	}
	return all
}

func outsideBrackets(s string) string {
	depth := 0
	return strings.Map(func(r rune) rune {
		switch r {
		case '(', '[', '{', '<', '（', '【', '「', '《':
			depth++
		case ')', ']', '}', '>', '）', '】', '」', '》':
			depth = max(0, depth-1)
			return ' '
		}
		if depth > 0 {
			return -1
		}
		return r
	}, s)
}

// readForNames condenses a text to its letters and digits.
func readForNames(s string) condensed { return condense(s, letter) }

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// bare is text as names are compared: folded, letters and digits only.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if letter(r) {
			return r
		}
		return -1
	}, lang.Fold(s))
}

// hasName reports whether a name stands in the text.
func (c *condensed) hasName(n *name) bool {
	if c.text == n.bare {
		return true
	}
	for start, end := range c.each(n.bare) {
		if c.names(n, start, end) {
			return true
		}
	}
	return false
}

// names reports whether an occurrence of a name is no accident: words begin and end there, and a weak name is a mention.
func (c *condensed) names(n *name, start, end int) bool {
	mention := c.from[start] > 0 && c.folded.Text[c.from[start]-1] == '@'
	return c.edge(start) && c.edge(end) && (mention || !n.weak)
}

// edge reports whether a word begins or ends before a byte: something was left out there, or the script leaves no room between words.
func (c *condensed) edge(at int) bool {
	if at == 0 || at == len(c.text) || c.from[at] != c.from[at-1]+1 {
		return true
	}
	before, _ := utf8.DecodeLastRuneInString(c.text[:at])
	after, _ := utf8.DecodeRuneInString(c.text[at:])
	return unicode.In(before, unspaced...) || unicode.In(after, unspaced...)
}

var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}
