package dingtalktest

import (
	"net"
	"net/http"
	"strings"
)

// Kind is a way to misbehave.
type Kind int

// What the tenant can be told to do wrong. The first group is about whole calls, the second about the rows of a page, the third
// about what is pushed.
const (
	Throttle     Kind = iota // the app calls this path too fast
	ThrottlePath             // all apps together call this path too fast
	SpendMonth               // the month's calls are used up
	Busy                     // system busy, retry
	Break                    // an internal error
	BreakHTML                // a gateway's HTML page with status 502
	BanHTML                  // this address calls too often: an HTML page
	BanJSON                  // the same as JSON with status 1111
	ExpireToken              // the token is not valid any more
	Hang                     // the connection is closed without an answer
	CutAnswer                // half of the answer
	HideSubCode              // the gateway's code stands in the text only

	DropRow      // one row of the page is missing
	DuplicateRow // one row of the page comes twice
	ReorderRows  // the rows of the page come backwards
	LoopToken    // the next page's token is that of the page which was asked for
	DeadToken    // the next page's token is refused when it comes back

	DropPush      // an event is never sent
	DuplicatePush // an event is sent twice
	ReorderPush   // an event is sent after the one that follows it
	ArchiveFile   // a file is archived; asking again finds it restored
)

// Trouble is ordered misbehaviour.
type Trouble struct {
	Kind  Kind
	Path  string // calls whose path begins so; for events, their type; empty is all
	After int    // calls of the kind that still go well
	Times int    // how often; zero is until [Tenant.Calm]
}

// Order lets the tenant misbehave from the next call on. Orders are taken in their order.
func (t *Tenant) Order(o Trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = append(t.trouble, &o)
}

// Calm takes all orders back.
func (t *Tenant) Calm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = nil
}

// takes says whether a kind of trouble happens here and now, and uses it up.
func (t *Tenant) takes(k Kind, path string) bool {
	for i, o := range t.trouble {
		if o.Kind != k || !strings.HasPrefix(path, o.Path) {
			continue
		}
		if o.After > 0 {
			o.After--
			continue
		}
		if o.Times == 1 {
			t.trouble = append(t.trouble[:i:i], t.trouble[i+1:]...)
		}
		if o.Times > 1 {
			o.Times--
		}
		return true
	}
	return false
}

// disturb answers instead of the gate when that was ordered.
func (t *Tenant) disturb(w http.ResponseWriter, r *http.Request, request string) bool {
	p := r.URL.Path
	refuse := func(f *fault) bool {
		if old(p) {
			t.reply(w, http.StatusOK, f.old(request, t.takes(HideSubCode, p)), false)
		} else {
			t.reply(w, f.status, f.new(request), false)
		}
		return true
	}
	page := func(status int, text string) bool {
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		w.WriteHeader(status)
		w.Write([]byte(text)) //nolint:errcheck // a caller who went away is no concern of the tenant
		return true
	}
	const ban = "<!doctype html><html><head><meta charset=\"utf-8\"><title>访问被拒绝</title></head><body>您的访问过于频繁，请5分钟后再试</body></html>"
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	switch {
	case t.banned(remote):
		return page(http.StatusOK, ban)
	case len(t.trouble) == 0:
		return false
	case t.takes(Throttle, p):
		return refuse(appTooFast(p, t.limits().QPS))
	case t.takes(ThrottlePath, p):
		return refuse(pathTooFast(p))
	case t.takes(SpendMonth, p):
		return refuse(monthSpent())
	case t.takes(Busy, p):
		return refuse(busy())
	case t.takes(Break, p):
		return refuse(broken())
	case t.takes(ExpireToken, p):
		return refuse(badToken())
	case t.takes(BreakHTML, p):
		return page(http.StatusBadGateway, "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>")
	case t.takes(BanHTML, p):
		return page(http.StatusOK, ban)
	case t.takes(BanJSON, p):
		d := roll(t.company.spec.Seed, "ban", t.next())
		t.reply(w, http.StatusOK, object{"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": d.hex(32)}, false)
		return true
	case t.takes(Hang, p):
		if h, ok := w.(http.Hijacker); ok {
			if conn, _, err := h.Hijack(); err == nil {
				conn.Close()
				return true
			}
		}
		panic(http.ErrAbortHandler)
	}
	return false
}
