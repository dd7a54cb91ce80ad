// Package dingtalktest is a simulated DingTalk tenant: a company with its people, files, logs and messages behind the HTTP and
// Stream interfaces of DingTalk's Open Platform, on a clock that tests move.
//
// It is built from the description of those interfaces and knows nothing about Guia: it imports no package of the house, so that
// a mistake of the connector cannot be the simulator's own. Everything is drawn from a seed: the same seed gives the same company,
// and the same calls in the same order give the same answers. All people are invented and marked as test data (job numbers
// begin with TEST, e-mail addresses end in .test, phone and document numbers come from one narrow block).
//
// One handler speaks both dialects, by path: /v1.0 and /v2.0 answer with HTTP status codes and code/message/requestid, all else
// answers with HTTP 200 and errcode/errmsg. A token of one dialect is good on the other. A call passes the gate in this order:
// ordered trouble, address limit, known path, token, caller address, permission point and edition, calls a second, calls a
// month. Only calls that pass are counted; the exempt ones never are.
//
// What the description does not settle was decided here and is said where it is decided, with the word "judgement".
package dingtalktest

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Shanghai is the zone in which DingTalk writes moments that carry none.
var Shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// Options say how the tenant behaves. The zero value is a standard-edition tenant on a Monday morning.
type Options struct {
	Edition   Edition          // what the company pays for
	Start     time.Time        // where the clock begins; zero is 2026-11-23 09:00 in Shanghai
	History   int              // days of work that were done before Start
	TokenLife time.Duration    // of an app token; zero is 7200 s
	PageLimit int              // no page with a token or cursor is longer, whatever was asked; zero is the documented limit
	QPS       int              // calls a second of one app to one path; zero is the edition's, negative is no limit
	Pace      func() time.Time // the clock that QPS and the address limit go by; nil is the real one, for callers wait in real time
	Limits    *Limits          // instead of the edition's monthly limits
	Apps      []App            // nil is one app with every permission point, see [Tenant.App]
	Addresses Addresses        // where the tenant can be reached, set by [Tenant.Serve] when it has ports
}

// Addresses are the base URLs that answers point to.
type Addresses struct {
	API    string // both dialects, http://host:port
	Stream string // ws://host:port/connect
	Files  string // bytes of files, http://host:port
}

// Tenant is one company on DingTalk. All methods may be called concurrently.
type Tenant struct {
	clock  *Clock
	routes *routes

	mu       sync.Mutex // everything below
	options  Options
	company  *company
	apps     map[string]*App
	tokens   tokens
	usage    usage
	trouble  []*Trouble
	floods   map[string]*flood
	requests []string // method and path of each call that reached the gate
	serial   int64    // of ids that are given out in order

	files       fileStore
	audit       []*auditRow
	boards      []*board
	notices     map[int64]*notice
	sent        sentNotices
	robots      map[string]*robotMessage
	received    []*robotInput
	conferences []*conference
	approvals   []*approval
	operations  []*operation
	screenshots []*screenshot
	devices     []*device
	groups      []*group
	dispute     *group // one to one, between the salesman and the manager: no inventory shows it
	stream      streams
	callback    *callback
	outbox      []outgoing
	live        live
}

// New founds a company and lets it work for Options.History days. It opens no port: see [Tenant.Handler] and [Tenant.Serve].
func New(c Company, o Options) *Tenant {
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 11, 23, 9, 0, 0, 0, Shanghai)
	}
	if o.TokenLife == 0 {
		o.TokenLife = 7200 * time.Second
	}
	if o.Pace == nil {
		o.Pace = time.Now
	}
	t := &Tenant{
		clock:   newClock(o.Start),
		options: o,
		company: found(c, o.Start),
		apps:    map[string]*App{},
		notices: map[int64]*notice{},
		robots:  map[string]*robotMessage{},
	}
	t.tokens.begin()
	t.usage.begin()
	t.sent.begin()
	t.stream.begin()
	t.routes = newRoutes(t.endpoints())
	if len(o.Apps) == 0 {
		o.Apps = []App{t.company.app()}
	}
	for _, a := range o.Apps {
		t.AddApp(a)
	}
	t.furnish()
	for d := o.History; d > 0; d-- {
		t.work(midnight(o.Start.AddDate(0, 0, -d)), false)
	}
	return t
}

// Clock is the tenant's clock.
func (t *Tenant) Clock() *Clock { return t.clock }

// Handler answers both dialects, the login host and the Stream connection, by path.
func (t *Tenant) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/connect":
			t.connect(w, r)
		case strings.HasPrefix(r.URL.Path, "/oauth2/"):
			t.login(w, r)
		default:
			t.answer(w, r)
		}
	})
}

// SetAddresses says where the tenant can be reached; answers given before keep the old addresses.
func (t *Tenant) SetAddresses(a Addresses) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.options.Addresses = a
}

// Requests are the calls that reached the gate so far, as "METHOD path", refused ones included.
func (t *Tenant) Requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.requests...)
}

// endpoints are all calls that the tenant knows, one list for each feed.
func (t *Tenant) endpoints() []endpoint {
	var all []endpoint
	for _, feed := range [][]endpoint{
		tokenCalls, directoryCalls, roleCalls, hrCalls, rosterCalls, attendanceCalls, auditCalls, boardCalls, noticeCalls,
		robotCalls, driveCalls, downloadCalls, conferenceCalls, approvalCalls, consoleCalls, groupCalls, settingCalls, wikiCalls, streamCalls,
	} {
		all = append(all, feed...)
	}
	return all
}

// next gives out numbers in order. The caller holds t.mu.
func (t *Tenant) next() int64 {
	t.serial++
	return t.serial
}

func midnight(m time.Time) time.Time {
	y, mo, d := m.In(Shanghai).Date()
	return time.Date(y, mo, d, 0, 0, 0, 0, Shanghai)
}

// Endpoints are all calls that the tenant answers, as "METHOD path" with {names}; calls of the old dialect have no method.
func (t *Tenant) Endpoints() []string {
	var all []string
	for _, e := range t.routes.all {
		all = append(all, strings.TrimSpace(e.name()))
	}
	return all
}
