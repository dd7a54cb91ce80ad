package dingtalktest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"guia/dingtalktest"
)

// client is a caller who knows nothing but HTTP.
type client struct {
	t     *testing.T
	api   *httptest.Server
	files *httptest.Server
	app   dingtalktest.App
	token string
	known []string // calls that the tenant answers
}

func start(t *testing.T, tenant *dingtalktest.Tenant) *client {
	t.Helper()
	c := &client{t: t, api: httptest.NewServer(tenant.Handler()), files: httptest.NewServer(tenant.Files()), app: tenant.App(), known: tenant.Endpoints()}
	t.Cleanup(c.api.Close)
	t.Cleanup(c.files.Close)
	tenant.SetAddresses(dingtalktest.Addresses{API: c.api.URL, Stream: strings.Replace(c.api.URL, "http", "ws", 1) + "/connect", Files: c.files.URL})
	c.token = c.login(c.app)
	return c
}

func (c *client) login(a dingtalktest.App) string {
	c.t.Helper()
	_, o := c.do("POST", "/v1.0/oauth2/accessToken", map[string]any{"appKey": a.Key, "appSecret": a.Secret})
	token, _ := o["accessToken"].(string)
	if token == "" {
		c.t.Fatalf("no token: %v", o)
	}
	return token
}

// do makes one call: body nil is none, url.Values is a form, anything else is JSON.
func (c *client) do(method, path string, body any) (int, map[string]any) {
	c.t.Helper()
	status, raw := c.raw(method, path, body)
	var o map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		c.t.Fatalf("%s %s: %v in %q", method, path, err, raw)
	}
	return status, o
}

func (c *client) raw(method, path string, body any) (int, []byte) {
	c.t.Helper()
	var in io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case url.Values:
		in, kind = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	default:
		j, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(j)
	}
	address := c.api.URL + path
	old := !strings.HasPrefix(path, "/v1.0/") && !strings.HasPrefix(path, "/v2.0/")
	if old && c.token != "" {
		address += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "access_token=" + c.token
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, address, in)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if !old && c.token != "" {
		req.Header.Set("x-acs-dingtalk-access-token", c.token)
	}
	resp, err := c.api.Client().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	judgement().watch(c.t, c.known, method, path, resp.StatusCode, raw)
	return resp.StatusCode, raw
}

// ok makes a call that must go well and returns the answer.
func (c *client) ok(method, path string, body any) map[string]any {
	c.t.Helper()
	status, o := c.do(method, path, body)
	if code, ok := o["errcode"]; status != 200 || ok && code != json.Number("0") {
		c.t.Fatalf("%s %s: %d %v", method, path, status, o)
	}
	return o
}

func dig(t *testing.T, o any, names ...string) any {
	t.Helper()
	for _, n := range names {
		m, ok := o.(map[string]any)
		if !ok {
			t.Fatalf("no %s in %v", n, o)
		}
		o = m[n]
	}
	return o
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, i := range list {
		s, _ := i.(string)
		out = append(out, s)
	}
	return out
}
