package dingtalktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"
)

// answer is the gate: the steps of the package comment, in that order.
func (t *Tenant) answer(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	t.requests = append(t.requests, r.Method+" "+r.URL.Path)
	request := t.requestID()
	if t.disturb(w, r, request) {
		t.mu.Unlock()
		return
	}
	c, f := t.admit(r)
	var reply object
	if f == nil {
		reply = c.end.do(c)
		f = c.bad
	}
	shut := f != nil && t.takes(HideSubCode, r.URL.Path)
	cut := t.takes(CutAnswer, r.URL.Path)
	pushes := t.takeOutbox()
	t.mu.Unlock()

	status := http.StatusOK
	switch {
	case f == nil && old(r.URL.Path):
		o := object{"errcode": 0, "errmsg": "ok", "request_id": request}
		maps.Copy(o, reply)
		if reply = o; c.end.open { // gettoken
			delete(o, "request_id")
		}
	case f == nil:
	case f == unknownPath && !old(r.URL.Path):
		reply = object{"errcode": 404, "errmsg": "请求的URI地址不存在"}
	case old(r.URL.Path):
		reply = f.old(request, shut)
	default:
		status, reply = f.status, f.new(request)
	}
	var body any = reply
	if bare, ok := reply[""]; ok {
		body = bare // the one call whose answer is an array
	}
	t.reply(w, status, body, cut)
	t.push(pushes)
}

var unknownPath = oldFault(22, "Invalid method")

// admit takes a call through the gate and counts it.
func (t *Tenant) admit(r *http.Request) (*call, *fault) {
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	end, names := t.routes.find(r.Method, r.URL.Path)
	if end == nil {
		return nil, unknownPath
	}
	c := &call{t: t, end: end, names: names, now: t.clock.Now()}
	if f := c.read(r); f != nil {
		return nil, f
	}
	if end.open {
		return c, nil
	}
	token := r.Header.Get("x-acs-dingtalk-access-token")
	if old(r.URL.Path) {
		token = c.text("access_token")
	}
	if token == "" {
		return nil, missingToken()
	}
	app, who := t.tokens.find(token, c.now)
	if app == "" || t.apps[app] == nil || (who != nil) != end.user {
		return nil, badToken()
	}
	c.app, c.who = t.apps[app], who
	switch {
	case !c.app.admits(remote):
		return nil, foreignAddress(c.app, remote)
	case !c.app.may(end.scope):
		return nil, notGranted(c.app, end.scope)
	case t.options.Edition < end.edition:
		// Judgement: a permission point of a higher edition cannot have been granted, so its lack is what the gateway sees.
		scope := end.scope
		if scope == "" {
			scope = "Custom.Common.Read"
		}
		return nil, notGranted(c.app, scope)
	}
	if f := t.pace(c.app, end); f != nil {
		return nil, f
	}
	if !end.free {
		m := t.month()
		if t.usage.calls[m] >= t.limits().Calls {
			return nil, monthSpent()
		}
		t.usage.calls[m]++
		t.usage.paths[end.name()]++
	}
	return c, nil
}

// pace counts the calls of one app to one path in the present second.
func (t *Tenant) pace(app *App, end *endpoint) *fault {
	qps := t.options.QPS
	if qps == 0 {
		qps = t.limits().QPS
	}
	if qps < 0 {
		return nil
	}
	second := t.options.Pace().Truncate(time.Second)
	k := app.Key + " " + end.name()
	if t.tokens.second != second {
		t.tokens.second, t.tokens.calls = second, map[string]int{}
	}
	if t.tokens.calls[k] >= qps {
		return appTooFast(end.path, qps)
	}
	t.tokens.calls[k]++
	return nil
}

func (t *Tenant) requestID() string {
	d := roll(t.company.spec.Seed, "request", t.next())
	return strings.ToUpper(d.uuid())
}

func (t *Tenant) reply(w http.ResponseWriter, status int, body any, cut bool) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		panic(fmt.Sprintf("an answer that is no JSON: %v", err)) // this program is wrong
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if cut {
		text = text[:len(text)/2]
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	w.Write(text) //nolint:errcheck // a caller who went away is no concern of the tenant
}
