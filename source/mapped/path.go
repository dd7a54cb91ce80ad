package mapped

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// steps leads to values inside a JSON value: names joined by dots, [0] for an element, [] for every element, and ["any.name"] for
// names that hold dots or brackets. A leading $ is allowed. "." is the value itself.
type steps []step

type step struct {
	name  string
	each  bool
	index int // of an element, when name is empty and each is false
	elem  bool
}

const maxSteps = 32

// parsePath reads a path as a mapping writes it.
func parsePath(s string) (steps, error) {
	bad := func(why string) (steps, error) { return nil, fmt.Errorf("path %.80q: %s", s, why) }
	rest := strings.TrimPrefix(s, "$")
	p := steps{}
	if rest == "" || rest == "." {
		return p, nil
	}
	rest = strings.TrimPrefix(rest, ".")
	for first := true; rest != ""; first = false {
		if len(p) == maxSteps {
			return bad("too long")
		}
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if strings.HasPrefix(rest, `["`) {
				end = strings.Index(rest, `"]`) + 1
			}
			if end <= 0 {
				return bad("a bracket is not closed")
			}
			inner := rest[1:end]
			rest = rest[end+1:]
			switch {
			case inner == "" || inner == "*":
				p = append(p, step{each: true})
			case inner[0] == '"' && len(inner) > 2:
				p = append(p, step{name: inner[1 : len(inner)-1]})
			default:
				n, err := strconv.Atoi(inner)
				if err != nil || n < 0 {
					return bad("between brackets stands a number, a quoted name or nothing")
				}
				p = append(p, step{elem: true, index: n})
			}
			continue
		}
		if !first {
			if rest[0] != '.' {
				return bad("names are joined by dots")
			}
			rest = rest[1:]
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return bad("a name is missing")
		}
		p = append(p, step{name: rest[:end]})
		rest = rest[end:]
	}
	return p, nil
}

// String is the path as a mapping writes it.
func (p steps) String() string {
	if len(p) == 0 {
		return "."
	}
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.each:
			b.WriteString("[]")
		case s.elem:
			fmt.Fprintf(&b, "[%d]", s.index)
		case strings.ContainsAny(s.name, `.[]"`):
			fmt.Fprintf(&b, `["%s"]`, s.name)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// many reports whether the path may lead to several values.
func (p steps) many() bool {
	for _, s := range p {
		if s.each {
			return true
		}
	}
	return false
}

// find calls f with every value the path leads to in the object. Where a name occurs twice, the last counts.
func (o *object) find(p steps, f func(value []byte)) {
	if len(p) == 0 {
		f(o.whole)
		return
	}
	if p[0].name == "" || o.members == nil {
		follow(o.whole, p, f)
		return
	}
	for _, m := range slices.Backward(o.members) {
		if m.name == p[0].name {
			follow(m.value, p[1:], f)
			return
		}
	}
}

// follow is find in a checked value whose members are not noted.
func follow(b []byte, p steps, f func(value []byte)) {
	if len(p) == 0 {
		f(b)
		return
	}
	s := p[0]
	var last []byte
	switch {
	case b[0] == '{' && !s.elem && !s.each:
		_, _ = eachMember(b, 0, 1, func(name, value []byte) {
			if got, _ := unquote(name); got == s.name {
				last = value
			}
		})
	case b[0] == '[' && (s.each || s.elem):
		n := 0
		_, _ = eachElement(b, 0, 1, func(value []byte) {
			if s.each {
				follow(value, p[1:], f)
			} else if n == s.index {
				last = value
			}
			n++
		})
	}
	if last != nil {
		follow(last, p[1:], f)
	}
}

// scalar is a JSON value as the text of a field: text unquoted, numbers and booleans as they stand, null as nothing, and containers
// as the JSON they are.
func scalar(b []byte) (s string, bad bool) {
	switch {
	case b[0] == '"':
		return unquote(b)
	case string(b) == "null":
		return "", false
	}
	return string(b), false
}
