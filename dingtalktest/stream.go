package dingtalktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

var streamCalls = []endpoint{
	{method: "POST", path: "/v1.0/gateway/connections/open", open: true, free: true, do: openStream},
	{method: "GET", path: "/v1.0/event/callbacks/failedResults", do: failedResults},
	{path: "/call_back/get_call_back_failed_result", scope: "qyapi_base", do: oldFailedResults},
}

const (
	ticketLife = 90 * time.Second
	ackTime    = 3 * time.Second
	farewell   = 10 * time.Second // from a disconnect frame to the end
	botTopic   = "/v1.0/im/bot/messages/get"
)

type ticket struct {
	app    string
	topics map[string]bool // "EVENT *"
	until  time.Time
}

type streams struct {
	tickets map[string]ticket
	open    []*connection
	waiting map[string]*outgoing // by message id: sent and not acknowledged
	failed  []outgoing
	held    []outgoing
	answers []int // codes
	past    bool
	awkward bool
}

func (s *streams) begin() {
	s.tickets, s.waiting = map[string]ticket{}, map[string]*outgoing{}
}

// connection is one Stream of one app.
type connection struct {
	*socket
	ticket
	leaving bool // a disconnect frame was sent: nothing new goes here
}

// AwkwardTickets lets tickets hold characters that a URL must escape, which the official SDK does not do.
func (t *Tenant) AwkwardTickets() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stream.awkward = true
}

func openStream(c *call) object {
	a := c.client("clientId", "clientSecret")
	if a == nil {
		return c.fail(newFault(401, "invalidClientIdOrSecret", "无效的clientId或者clientSecret"))
	}
	k := ticket{app: a.Key, topics: map[string]bool{}, until: c.now.Add(ticketLife)}
	subscriptions, _ := c.body["subscriptions"].([]any)
	for _, s := range subscriptions {
		o, _ := s.(object)
		kind, topic := fmt.Sprint(o["type"]), fmt.Sprint(o["topic"])
		if !slices.Contains([]string{"EVENT", "CALLBACK", "SYSTEM"}, kind) || kind == "EVENT" && topic != "*" {
			return c.fail(newFault(400, "invalidParameter.subscriptions", "订阅不合法"))
		}
		k.topics[kind+" "+topic] = true
	}
	if len(k.topics) == 0 {
		return c.fail(newFault(400, "MissingSubscriptions", "缺少参数 subscriptions"))
	}
	d := roll(c.t.company.spec.Seed, "ticket", c.t.next())
	name := d.uuid()
	if c.t.stream.awkward {
		name = "a+b/" + d.hex(16) + "=="
	}
	c.t.stream.tickets[name] = k
	return object{"endpoint": c.t.options.Addresses.Stream, "ticket": name}
}

// connect is the WebSocket endpoint. A ticket opens one connection.
func (t *Tenant) connect(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("ticket")
	t.mu.Lock()
	k, ok := t.stream.tickets[name]
	delete(t.stream.tickets, name)
	now := t.clock.Now()
	t.mu.Unlock()
	if !ok || now.After(k.until) {
		http.Error(w, "invalid ticket", http.StatusUnauthorized)
		return
	}
	var c *connection
	s, err := upgrade(w, r, func(s *socket) {
		c = &connection{socket: s, ticket: k}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.stream.open = append(t.stream.open, c)
	})
	if c == nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer t.gone(c)
	for err == nil {
		var text []byte
		if text, err = s.receive(); err == nil {
			t.acknowledged(text)
		}
	}
}

func (t *Tenant) gone(c *connection) {
	c.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stream.open = slices.DeleteFunc(t.stream.open, func(o *connection) bool { return o == c })
}

// Connections is how many Streams an app has open.
func (t *Tenant) Connections(app string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.stream.of(app))
}

// Answers are the codes that clients answered frames with, in the order in which they came: of events, robot messages and pings.
func (t *Tenant) Answers() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.stream.answers)
}

func (s *streams) of(app string) []*connection {
	var own []*connection
	for _, c := range s.open {
		if c.app == app {
			own = append(own, c)
		}
	}
	return own
}

// choose is a connection that subscribed to what is to be sent, at random among several.
func (s *streams) choose(t *Tenant, o outgoing) *connection {
	topic := "EVENT *"
	if o.kind == "" {
		topic = "CALLBACK " + botTopic
	}
	var fit []*connection
	for _, c := range s.of(o.app) {
		if c.topics[topic] && !c.leaving {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	d := roll(t.company.spec.Seed, "share", t.next())
	return pick(&d, fit)
}

// frame is what goes over the wire: header values and data are texts.
func (t *Tenant) frame(o outgoing) object {
	headers := map[string]string{
		"topic": botTopic, "messageId": o.message, "contentType": "application/json", "time": t.stamp(), "appId": strconv.FormatInt(t.apps[o.app].AgentID/10, 10),
	}
	kind := "CALLBACK"
	if o.kind != "" {
		kind, headers["topic"] = "EVENT", "*"
		headers["eventType"], headers["eventId"], headers["eventCorpId"] = o.kind, o.id, t.company.id
		headers["eventBornTime"] = strconv.FormatInt(o.born.UnixMilli(), 10)
		headers["eventUnifiedAppId"] = o.app
	}
	data := jsonText(o.data)
	if o.empty {
		data = `{"errCode":20001,"errMsg":"当月推送次数已达上限"}`
	}
	return object{"specVersion": "1.0", "type": kind, "headers": headers, "data": data}
}

// acknowledged reads a client's answer: code 200 with SUCCESS ends the matter, all else means to push again.
func (t *Tenant) acknowledged(text []byte) {
	var a struct {
		Code    int               `json:"code"`
		Headers map[string]string `json:"headers"`
		Data    string            `json:"data"`
	}
	if json.Unmarshal(text, &a) != nil {
		return
	}
	t.mu.Lock()
	t.stream.answers = append(t.stream.answers, a.Code)
	o := t.stream.waiting[a.Headers["messageId"]]
	delete(t.stream.waiting, a.Headers["messageId"])
	t.mu.Unlock()
	if o == nil {
		return
	}
	var said struct {
		Status string `json:"status"`
	}
	if a.Code != http.StatusOK || json.Unmarshal([]byte(a.Data), &said) != nil || said.Status != "SUCCESS" {
		t.again(*o)
	}
}

func (t *Tenant) system(app, topic string, data object) []*connection {
	t.mu.Lock()
	to := t.stream.of(app)
	d := roll(t.company.spec.Seed, "system", t.next())
	f := object{"specVersion": "1.0", "type": "SYSTEM", "headers": map[string]string{
		"topic": topic, "messageId": d.hex(24), "contentType": "application/json", "time": t.stamp(),
	}, "data": jsonText(data)}
	for _, c := range to {
		c.leaving = c.leaving || topic == "disconnect"
	}
	t.mu.Unlock()
	for _, c := range to {
		if c.send(f) != nil {
			c.close()
		}
	}
	return to
}

// Ping sends a ping frame to each Stream of an app.
func (t *Tenant) Ping(app string) {
	d := roll(t.company.spec.Seed, "opaque")
	t.system(app, "ping", object{"opaque": d.uuid()})
}

// Disconnect asks each Stream of an app to go, and closes those that are still there ten seconds later.
func (t *Tenant) Disconnect(app string) {
	for _, c := range t.system(app, "disconnect", object{"reason": "connection is expired"}) {
		t.clock.after(farewell, c.close)
	}
}

// DropStream cuts each Stream of an app without a word. Nothing is sent to them after it returned.
func (t *Tenant) DropStream(app string) {
	t.mu.Lock()
	to := t.stream.of(app)
	t.mu.Unlock()
	for _, c := range to {
		t.gone(c)
	}
}

// failedResults reads the events of the app that could not be delivered.
func failedResults(c *call) object {
	rows := []object{}
	for _, o := range c.t.takeFailed(c.app.Key, 200) {
		rows = append(rows, object{"callBackTag": o.kind, "callBackData": jsonText(o.data), "corpId": c.t.company.id, "eventTime": o.born.UnixMilli()})
	}
	return object{"failedList": rows, "hasMore": c.t.hasFailed(c.app.Key)}
}

func oldFailedResults(c *call) object {
	rows := []object{}
	for _, o := range c.t.takeFailed(c.app.Key, 200) {
		own := object{"corpid": c.t.company.id}
		maps.Copy(own, o.data)
		rows = append(rows, object{"call_back_tag": o.kind, "event_time": o.born.UnixMilli(), o.kind: own})
	}
	return object{"failed_list": rows, "has_more": c.t.hasFailed(c.app.Key)}
}

// takeFailed hands failed events out; each read removes them.
func (t *Tenant) takeFailed(app string, most int) []outgoing {
	var out []outgoing
	t.stream.failed = slices.DeleteFunc(t.stream.failed, func(o outgoing) bool {
		if o.app != app || len(out) == most {
			return false
		}
		out = append(out, o)
		return true
	})
	return out
}

func (t *Tenant) hasFailed(app string) bool {
	return slices.ContainsFunc(t.stream.failed, func(o outgoing) bool { return o.app == app })
}

// StreamURL is the address that a client with a ticket connects to.
func StreamURL(endpoint, ticket string) string {
	return endpoint + "?" + url.Values{"ticket": {ticket}}.Encode()
}
