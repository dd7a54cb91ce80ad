// Package sdkcheck lets DingTalk's own SDKs talk to the simulated tenant. It is a module of its own, because the SDKs are large and
// the product needs none of them.
//
// The SDK for the new host is lax: it takes "77" for a number and drops fields that it does not know. So each answer is compared
// field by field, as it came over the wire, with what the SDK's own types kept of it: a wrong name or a wrong type is a loss.
package sdkcheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	"github.com/alibabacloud-go/tea-utils/v2/service"

	"guia/dingtalktest"
)

// object is a request or an answer by the SDK's own JSON names.
type object = map[string]any

// line is the SDK at one end and a tenant at the other, with a real port between them.
type line struct {
	t        *testing.T
	tenant   *dingtalktest.Tenant
	app      dingtalktest.App
	config   *openapi.Config
	token    string
	http     *http.Client // for bytes
	wire     bytes.Buffer // the last answer
	asked    map[string]bool
	archived int               // files that had to be restored
	names    map[string]string // of the people who worked here at the beginning
}

// dial opens a tenant's ports and fetches a token with the SDK.
func dial(t *testing.T, tenant *dingtalktest.Tenant) *line {
	t.Helper()
	l := &line{t: t, tenant: tenant, app: tenant.App(), asked: map[string]bool{}}
	h := tenant.Handler()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.wire.Reset() // the SDK makes one call at a time
		h.ServeHTTP(&recorder{w, &l.wire}, r)
	}))
	files := httptest.NewServer(tenant.Files())
	l.http = files.Client()
	t.Cleanup(api.Close)
	t.Cleanup(files.Close)
	tenant.SetAddresses(dingtalktest.Addresses{API: api.URL, Stream: strings.Replace(api.URL, "http", "ws", 1) + "/connect", Files: files.URL})
	l.config = &openapi.Config{Protocol: new("http"), Endpoint: new(strings.TrimPrefix(api.URL, "http://"))}
	return l
}

type recorder struct {
	http.ResponseWriter
	to *bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.to.Write(b)
	return r.ResponseWriter.Write(b)
}

// client makes a client of one of the SDK's packages.
func client[C any](l *line, make func(*openapi.Config) (C, error)) C {
	l.t.Helper()
	c, err := make(l.config)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// call makes one call of the SDK: path values come first, then the request where the action has one, then token and options.
func (l *line) call(client any, action string, request object, path ...string) (any, error) {
	l.t.Helper()
	f := reflect.ValueOf(client).MethodByName(action + "WithOptions")
	if !f.IsValid() {
		l.t.Fatalf("%T has no %s", client, action)
	}
	l.asked[action] = true
	var in []reflect.Value
	for i := range f.Type().NumIn() {
		kind := f.Type().In(i)
		switch {
		case kind == reflect.TypeFor[*string]():
			in = append(in, reflect.ValueOf(new(path[i])))
		case kind == reflect.TypeFor[map[string]*string]():
			in = append(in, reflect.ValueOf(map[string]*string{}))
		case kind == reflect.TypeFor[*service.RuntimeOptions]():
			in = append(in, reflect.ValueOf(&service.RuntimeOptions{}))
		case strings.HasSuffix(kind.Elem().Name(), "Headers"):
			h := reflect.New(kind.Elem())
			h.Elem().FieldByName("XAcsDingtalkAccessToken").Set(reflect.ValueOf(new(l.token)))
			in = append(in, h)
		default:
			r := reflect.New(kind.Elem())
			raw, err := json.Marshal(request)
			if err == nil {
				d := json.NewDecoder(bytes.NewReader(raw))
				d.DisallowUnknownFields()
				err = d.Decode(r.Interface())
			}
			if err != nil {
				l.t.Fatalf("%s: %v", action, err)
			}
			in = append(in, r)
		}
	}
	out := f.Call(in)
	if err, ok := reflect.TypeAssert[error](out[1]); ok {
		return nil, err
	}
	return out[0].Elem().FieldByName("Body").Interface(), nil
}

// ask makes a call that must go well, and demands that the SDK's types kept all of the answer. It returns what they kept.
func (l *line) ask(client any, action string, request object, path ...string) object {
	l.t.Helper()
	body, err := l.call(client, action, request, path...)
	if err != nil {
		l.t.Fatalf("%s: %v", action, err)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	sent, kept := decode(l.t, l.wire.Bytes()), decode(l.t, raw)
	for _, f := range lost(action, sent, kept) {
		l.t.Error(f)
	}
	o, _ := kept.(object)
	return o
}

func decode(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	return v
}

// lost says what of an answer the SDK's types did not keep. They leave out what is empty.
func lost(at string, sent, kept any) []string {
	var out []string
	switch s := sent.(type) {
	case object:
		k, ok := kept.(object)
		if !ok && len(s) > 0 {
			return []string{fmt.Sprintf("%s: sent %v, the SDK kept %v", at, s, kept)}
		}
		for name, v := range s {
			out = append(out, lost(at+"."+name, v, k[name])...)
		}
	case []any:
		k, ok := kept.([]any)
		if len(k) != len(s) || !ok && len(s) > 0 {
			return []string{fmt.Sprintf("%s: sent %v, the SDK kept %v", at, s, kept)}
		}
		for i, v := range s {
			out = append(out, lost(fmt.Sprintf("%s[%d]", at, i), v, k[i])...)
		}
	default:
		if sent != kept {
			out = append(out, fmt.Sprintf("%s: sent %T %v, the SDK kept %T %v", at, sent, sent, kept, kept))
		}
	}
	return out
}

// at goes down an answer by names.
func at(t *testing.T, v any, names ...string) any {
	t.Helper()
	for _, n := range names {
		o, ok := v.(object)
		if !ok {
			t.Fatalf("no %s in %v", n, v)
		}
		v = o[n]
	}
	return v
}

func rows(t *testing.T, v any, names ...string) []any {
	t.Helper()
	list, _ := at(t, v, names...).([]any)
	if len(list) == 0 {
		t.Errorf("%v is empty, so nothing was compared", names)
	}
	return list
}

func text(t *testing.T, v any, names ...string) string {
	t.Helper()
	s, ok := at(t, v, names...).(string)
	if !ok {
		t.Errorf("%v is no text in %v", names, v)
	}
	return s
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: the SDK got %v, the company says %v", what, got, want)
	}
}
