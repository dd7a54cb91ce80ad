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
	for _, e := range r.byEdge[edge(method, path)] {
		if names, ok := match(e.path, path); ok {
			return e, names
		}
	}
	return nil, nil
}

// match compares from both ends, so that a value with an unescaped slash in it is still one value.
func match(pattern, path string) (map[string]string, bool) {
	p, s := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(s) < len(p) {
		return nil, false
	}
	names := map[string]string{}
	for i, word := range p {
		if name, ok := strings.CutPrefix(word, "{"); ok {
			extra := len(s) - len(p)
			if last := strings.LastIndex(pattern, "{"); extra > 0 && strings.Index(pattern, word) == last {
				names[strings.TrimSuffix(name, "}")] = strings.Join(s[i:i+extra+1], "/")
				return names, slices.Equal(p[i+1:], s[i+extra+1:])
			}
			names[strings.TrimSuffix(name, "}")] = s[i]
			continue
		}
		if word != s[i] {
			return nil, false
		}
	}
	return names, len(s) == len(p)
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
