package dingtalktest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// judge compares every answer that any test of this package receives: of the new dialect with the SDK's index, of the old one with the
// pairs from the reference, refusals with the shape of their dialect.
type judge struct {
	ops   map[string]shape
	pairs map[string]*pair // by path
}

// judgement is read once. Without the index, as [operations] says loudly, only the old dialect is judged.
var judgement = sync.OnceValue(func() judge {
	j := judge{pairs: map[string]*pair{}}
	if raw, err := os.ReadFile(filepath.Join(os.Getenv("GUIA_TESTDATA"), "..", "reference", "dingtalk-sdk-ops.txt")); err == nil {
		j.ops, _ = index(string(raw))
	}
	names, _ := filepath.Glob("testdata/oapi/*.json")
	for _, name := range names {
		some, err := readPairs(name)
		if err != nil {
			panic(err)
		}
		for _, p := range some {
			if p.Answer["errcode"] == json.Number("0") {
				j.pairs[p.Request.Path] = &p
			}
		}
	}
	return j
})

// notInIndex are calls of the new dialect that the index has under another name, or whose answer it cannot write down.
var notInIndex = map[string]string{"GET /v1.0/contact/users/me": "GET /v1.0/contact/users/{unionId}"}

// watch judges one answer; endpoints are those of the tenant.
func (j judge) watch(t *testing.T, endpoints []string, method, path string, status int, raw []byte) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	var o map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&o) != nil {
		return // an array, or something that a test ordered to be broken
	}
	_, punished := o["punish"]
	_, gateway := o["errcode"]
	switch {
	case punished:
	case !strings.HasPrefix(path, "/v1.0/") && !strings.HasPrefix(path, "/v2.0/"):
		j.old(t, path, o)
	case status != 200:
		refusal := shape{fields: map[string]shape{
			"code": {scalar: "s"}, "message": {scalar: "s"}, "requestid": {scalar: "s"},
			"accessdenieddetail": {fields: map[string]shape{"requiredScopes": {list: &shape{scalar: "s"}}}, needed: []string{"requiredScopes"}},
		}, needed: []string{"code", "message", "requestid"}}
		for _, f := range refusal.faults("", o) {
			t.Errorf("%s %s, refused: %s", method, path, f)
		}
	case gateway: // the new host's unknown path
	default:
		name := named(endpoints, method, path)
		if other, ok := notInIndex[name]; ok {
			name = other
		}
		s, known := j.ops[name]
		if !known && j.ops != nil {
			t.Errorf("%s is not in the SDK", name)
		}
		for _, f := range s.faults("", o) {
			if known {
				t.Errorf("%s: %s", name, f)
			}
		}
	}
}

func (j judge) old(t *testing.T, path string, o map[string]any) {
	t.Helper()
	if o["errcode"] != json.Number("0") {
		for k, v := range o {
			_, number := v.(json.Number)
			if _, text := v.(string); !text && !number || number != (k == "errcode") || !slices.Contains([]string{"errcode", "errmsg", "sub_code", "sub_msg", "request_id"}, k) {
				t.Errorf("%s, refused: %s is %v", path, k, v)
			}
		}
		return
	}
	p := j.pairs[path]
	if p == nil {
		t.Errorf("%s is answered and stands in no pair", path)
		return
	}
	for _, f := range p.fields("", p.Answer, o) {
		if !strings.Contains(f, "is empty") { // whether there is something is the business of each test
			t.Errorf("%s: %s", path, f)
		}
	}
}

// named is the endpoint of a call: the one with the fewest {names}.
func named(endpoints []string, method, path string) string {
	best := ""
	s := strings.Split(path, "/")
	for _, e := range endpoints {
		m, pattern, _ := strings.Cut(e, " ")
		p := strings.Split(pattern, "/")
		if m != method || len(p) != len(s) {
			continue
		}
		differs := func(i int) bool { return p[i] != s[i] && !strings.HasPrefix(p[i], "{") }
		fit := true
		for i := range p {
			fit = fit && !differs(i)
		}
		if fit && (best == "" || strings.Count(pattern, "{") < strings.Count(best, "{")) {
			best = e
		}
	}
	return best
}
