package dingtalktest

import (
	"net/http"
	"slices"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// endpoint is one call of the platform.
type endpoint struct {
	method  string // of the new dialect; the old one takes GET and POST alike
	path    string // with {names}
	scope   string // the permission point; empty where none is needed or none is known
	free    bool   // exempt from the monthly count
	open    bool   // needs no token
	user    bool   // takes the token of a user
	edition Edition
	do      func(*call) object
}

func (e *endpoint) name() string { return e.method + " " + e.path }

// old says which dialect a path speaks.
func old(path string) bool {
	return !strings.HasPrefix(path, "/v1.0/") && !strings.HasPrefix(path, "/v2.0/")
}

// routes find an endpoint. A path with more fixed words goes before one with fewer.
type routes struct {
	all    []*endpoint
	byEdge map[string][]*endpoint // by method and first two segments
}

func newRoutes(all []endpoint) *routes {
	r := &routes{byEdge: map[string][]*endpoint{}}
	for _, e := range all {
		own := &e
		r.all = append(r.all, own)
		for _, m := range methods(own) {
			k := edge(m, e.path)
			r.byEdge[k] = append(r.byEdge[k], own)
		}
	}
	for _, list := range r.byEdge {
		slices.SortStableFunc(list, func(a, b *endpoint) int { return strings.Count(a.path, "{") - strings.Count(b.path, "{") })
	}
	return r
}

func methods(e *endpoint) []string {
	if old(e.path) {
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{e.method}
}

func edge(method, path string) string {
	s := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	if len(s) > 2 {
		s = s[:2]
	}
	return method + " " + strings.Join(s, "/")
}

func (r *routes) find(method, path string) (*endpoint, map[string]string) {
	for _, loose := range []bool{false, true} {
		for _, e := range r.byEdge[edge(method, path)] {
			if names, ok := match(e.path, path, loose); ok {
				return e, names
			}
		}
	}
	return nil, nil
}

// match compares segment by segment. Callers do not escape values, so a loose match lets the only value of a pattern have slashes
// in it when a fixed word follows.
func match(pattern, path string, loose bool) (map[string]string, bool) {
	p, s := strings.Split(pattern, "/"), strings.Split(path, "/")
	if extra := len(s) - len(p); loose && extra > 0 && strings.Count(pattern, "{") == 1 && !strings.HasSuffix(pattern, "}") {
		at := slices.IndexFunc(p, func(w string) bool { return strings.HasPrefix(w, "{") })
		s = slices.Concat(s[:at], []string{strings.Join(s[at:at+extra+1], "/")}, s[at+extra+1:])
	}
	if len(s) != len(p) {
		return nil, false
	}
	names := map[string]string{}
	for i, word := range p {
		switch name, ok := strings.CutPrefix(word, "{"); {
		case ok:
			names[strings.TrimSuffix(name, "}")] = s[i]
		case word != s[i]:
			return nil, false
		}
	}
	return names, true
}

// scopes are all permission points that some endpoint asks for.
func (r *routes) scopes() []string {
	var all []string
	for _, e := range r.all {
		if e.scope != "" {
			all = append(all, e.scope)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
