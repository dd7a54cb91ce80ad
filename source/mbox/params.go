package mbox

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// mediaType reads a Content-Type or Content-Disposition: the value in lower case and its parameters, with the continuations and
// character sets of RFC 2231 and, against RFC 2047 but everywhere, encoded words. It never fails: what is malformed is read as far
// as it goes. Clean is false when something could not be decoded.
func mediaType(value []byte, fallback string) (kind string, params map[string]string, clean bool) {
	head, rest, _ := bytes.Cut(value, []byte(";"))
	kind = strings.ToLower(strings.TrimSpace(strings.ToValidUTF8(string(head), "\uFFFD")))
	if i := strings.IndexAny(kind, " \t("); i >= 0 {
		kind = kind[:i]
	}
	params, clean = map[string]string{}, true
	pieces := map[string][]section2231{}
	for n := 0; len(rest) > 0 && n < 200; n++ {
		var name string
		var raw []byte
		name, raw, rest = parameter(rest)
		if name == "" {
			continue
		}
		base, number, extended := splitName(name)
		if base == name { // plain
			text, ok := decodeWords(raw, fallback)
			if params[name] == "" {
				params[name] = text
				clean = clean && ok
			}
			continue
		}
		pieces[base] = append(pieces[base], section2231{number, extended, raw})
	}
	for name, list := range pieces {
		text, ok := join2231(list)
		if text != "" {
			params[name] = text
			clean = clean && ok
		}
	}
	return kind, params, clean
}

// section2231 is one piece of a parameter.
type section2231 struct {
	number   int
	extended bool // percent-encoded, the first with a character set
	value    []byte
}

// splitName takes "name*2*" apart.
func splitName(name string) (base string, number int, extended bool) {
	base, extended = strings.CutSuffix(name, "*")
	if i := strings.LastIndexByte(base, '*'); i >= 0 {
		if n, err := strconv.Atoi(base[i+1:]); err == nil && n >= 0 && n < 1000 {
			return base[:i], n, extended
		}
	}
	return base, 0, extended
}

// join2231 puts the pieces together and decodes them.
func join2231(list []section2231) (string, bool) {
	slices.SortStableFunc(list, func(a, b section2231) int { return a.number - b.number })
	var all []byte
	charset := ""
	for i, s := range list {
		value := s.value
		if s.extended {
			if i == 0 {
				if set, rest, ok := bytes.Cut(value, []byte("'")); ok {
					if _, text, ok := bytes.Cut(rest, []byte("'")); ok { // the language is of no use here
						charset, value = string(set), text
					}
				}
			}
			value = percentDecode(value)
		}
		all = append(all, value...)
	}
	text, clean := toUTF8(all, charset)
	return oneLine(text), clean
}

func percentDecode(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, ok1 := unhex(s[i+1])
			low, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				out = append(out, high<<4|low)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

// parameter reads one "name=value" and returns what follows its semicolon. A quoted value ends at its quotation mark, another one at
// the semicolon, so that names with spaces survive.
func parameter(s []byte) (name string, value, rest []byte) {
	equals := bytes.IndexAny(s, "=;")
	if equals < 0 {
		return "", nil, nil
	}
	name = strings.ToLower(strings.TrimSpace(strings.ToValidUTF8(string(s[:equals]), "\uFFFD")))
	if s[equals] == ';' {
		return "", nil, s[equals+1:]
	}
	s = bytes.TrimLeft(s[equals+1:], " \t")
	if len(s) == 0 || s[0] != '"' {
		value, rest, _ = bytes.Cut(s, []byte(";"))
		return name, bytes.TrimSpace(value), rest
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
				i++
			}
			value = append(value, s[i])
		case '"':
			_, rest, _ = bytes.Cut(s[i+1:], []byte(";"))
			return name, value, rest
		default:
			value = append(value, s[i])
		}
	}
	return name, value, nil
}

// splitAddresses cuts an address list at its commas, not at those in quotation marks, comments, angle brackets or encoded words. A
// group (RFC 5322 section 3.4) stays together.
func splitAddresses(value []byte) (list [][]byte) {
	var quoted, angle, group bool
	comment, start := 0, 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && (quoted || comment > 0):
			i++
		case c == '"' && comment == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			comment++
		case c == ')' && comment > 0:
			comment--
		case comment > 0:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ':' && !angle:
			group = true
		case c == ';':
			group = false
		case c == ',' && !angle && !group:
			list = append(list, value[start:i])
			start = i + 1
		}
	}
	list = append(list, value[start:])
	return slices.DeleteFunc(list, func(s []byte) bool { return len(bytes.TrimSpace(s)) == 0 })
}

// address takes an address apart: the name as shown, and the address itself. Either may be empty.
func address(value []byte, fallback string) (name, addr string, clean bool) {
	open := bytes.LastIndexByte(value, '<')
	if open >= 0 {
		inside, _, _ := bytes.Cut(value[open+1:], []byte(">"))
		addr = oneLine(strings.ToValidUTF8(string(inside), "\uFFFD"))
		name, clean = decodeWords(unquote(value[:open]), fallback)
		return strings.Trim(name, `"' `), addr, clean
	}
	before, comment, found := bytes.Cut(value, []byte("("))
	name, clean = decodeWords(bytes.TrimRight(bytes.TrimSpace(comment), ")"), fallback)
	text, ok := decodeWords(unquote(before), fallback)
	if !found && !strings.Contains(text, "@") {
		return text, "", ok
	}
	return name, text, clean && ok
}

// unquote removes quotation marks and the backslashes inside them.
func unquote(s []byte) []byte {
	s = bytes.TrimSpace(s)
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			out = append(out, s[i])
		case s[i] == '"':
		default:
			out = append(out, s[i])
		}
	}
	return out
}
