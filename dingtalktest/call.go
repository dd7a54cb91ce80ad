package dingtalktest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxBody = 1 << 20 // bytes of a request; DingTalk's own limits are far below

// call is one request on its way through an endpoint. Arguments come from the body, then from the query; the first bad one is
// kept, and the endpoint's answer is not used then.
type call struct {
	t     *Tenant
	app   *App
	who   *person // behind a user token
	end   *endpoint
	names map[string]string // from the path
	body  object
	query url.Values
	now   time.Time
	bad   *fault
}

func (c *call) fail(f *fault) object {
	if c.bad == nil {
		c.bad = f
	}
	return nil
}

// read takes JSON and form bodies: the old official SDKs send forms, with JSON text where an object belongs. An empty body is an
// empty object, for the SDK of the new dialect sends none where all arguments stand in the query.
func (c *call) read(r *http.Request) *fault {
	c.query = r.URL.Query()
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(raw) > maxBody {
		return wrong("body")
	}
	c.body = object{}
	kind := r.Header.Get("Content-Type")
	switch {
	case len(bytes.TrimSpace(raw)) == 0:
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded") && old(r.URL.Path):
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return wrong("body")
		}
		for k, v := range form {
			c.body[k] = v[0]
		}
	default:
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if d.Decode(&c.body) != nil {
			return wrong("body")
		}
	}
	return nil
}

func (c *call) arg(name string) (any, bool) {
	if v, ok := c.names[name]; ok {
		return v, true
	}
	if v, ok := c.body[name]; ok && v != nil {
		return v, true
	}
	if c.query.Has(name) {
		return c.query.Get(name), true
	}
	return nil, false
}

// in is the same call with an object of its body as arguments.
func (c *call) in(name string) *call {
	inner := *c
	inner.body, inner.query = c.object(name), nil
	return &inner
}

func (c *call) need(names ...string) bool {
	for _, n := range names {
		if v, ok := c.arg(n); !ok || v == "" {
			c.fail(missing(n))
			return false
		}
	}
	return true
}

func (c *call) text(name string) string {
	v, _ := c.arg(name)
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		c.fail(wrong(name))
		return ""
	}
}

func (c *call) number(name string, absent int64) int64 {
	s := c.text(name)
	if s == "" {
		return absent
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		c.fail(wrong(name))
	}
	return n
}

func (c *call) flag(name string) bool {
	s := c.text(name)
	if s == "" {
		return false
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		c.fail(wrong(name))
	}
	return b
}

// size is how many rows a page may have: at most the documented limit, at least one.
func (c *call) size(name string, absent, most int64) int {
	n := c.number(name, absent)
	if n < 1 || n > most {
		c.fail(&fault{status: 400, code: "paramError", errcode: 40069, message: "参数 " + name + " 不合法"})
		return 1
	}
	return int(n)
}

// list takes an array, a comma-separated text, or the text of a JSON array, as the SDK writes arrays into a query.
func (c *call) list(name string) []string {
	v, _ := c.arg(name)
	var items []any
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		items = v
	case string:
		if !strings.HasPrefix(v, "[") {
			return strings.FieldsFunc(v, func(r rune) bool { return r == ',' })
		}
		d := json.NewDecoder(strings.NewReader(v))
		d.UseNumber()
		if d.Decode(&items) != nil {
			c.fail(wrong(name))
		}
	default:
		c.fail(wrong(name))
	}
	var out []string
	for _, i := range items {
		switch i := i.(type) {
		case string:
			out = append(out, i)
		case json.Number:
			out = append(out, i.String())
		default:
			c.fail(wrong(name))
		}
	}
	return out
}

// object takes an object or its JSON text.
func (c *call) object(name string) object {
	v, _ := c.arg(name)
	switch v := v.(type) {
	case object:
		return v
	case string:
		var o object
		d := json.NewDecoder(strings.NewReader(v))
		d.UseNumber()
		if d.Decode(&o) == nil && o != nil {
			return o
		}
		c.fail(wrong(name))
	case nil:
	default:
		c.fail(wrong(name))
	}
	return object{}
}

const dateTime = "2006-01-02 15:04:05"

// local is a moment written without a zone.
func (c *call) local(name string) time.Time {
	m, err := time.ParseInLocation(dateTime, c.text(name), Shanghai)
	if err != nil {
		c.fail(wrong(name))
	}
	return m
}

func (c *call) milli(name string) time.Time { return time.UnixMilli(c.number(name, 0)) }

func local(m time.Time) string { return m.In(Shanghai).Format(dateTime) }
