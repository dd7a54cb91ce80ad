package dingtalk

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"guia"
	"guia/source"
)

var callbackNow = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

// poster posts as DingTalk does.
type poster struct {
	t       *testing.T
	h       *Callback
	server  *httptest.Server
	key     []byte
	records []source.Record
	fail    error
	hold    chan struct{} // when not nil: nothing is durable before it is closed
	begun   chan struct{} // told when a post is handed over
	later   atomic.Int64  // by how much our clock is ahead of callbackNow
}

func newPoster(t *testing.T) *poster {
	p := &poster{t: t, begun: make(chan struct{}, 1)}
	c, err := New(Config{CorpID: "dingcorp1", AppKey: "dingxxxxxx", AppSecret: "s", Now: p.now})
	if err != nil {
		t.Fatal(err)
	}
	p.h, err = NewCallback(c, CallbackOptions{
		PushOptions: PushOptions{Feeds: Pushed(), Keep: func(_ context.Context, _ string, records []source.Record) error {
			if p.hold != nil {
				p.begun <- struct{}{}
				<-p.hold
			}
			if p.fail == nil {
				p.records = append(p.records, records...)
			}
			return p.fail
		}},
		Token: vectorToken, Key: vectorKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.key, _ = base64.StdEncoding.DecodeString(vectorKey + "=")
	p.server = httptest.NewServer(p.h)
	t.Cleanup(p.server.Close)
	return p
}

func (p *poster) now() time.Time { return callbackNow.Add(time.Duration(p.later.Load())) }

// letter is a post; the zero values are as they should be.
type letter struct {
	message, owner, token, method string
	at                            time.Time
	name                          string // of the signature
	body                          string
	bend                          func(q url.Values)
}

func (p *poster) post(l letter) (int, string) {
	p.t.Helper()
	or := func(s *string, other string) {
		if *s == "" {
			*s = other
		}
	}
	or(&l.owner, "dingxxxxxx")
	or(&l.token, vectorToken)
	or(&l.method, http.MethodPost)
	or(&l.name, "signature")
	if l.at.IsZero() {
		l.at = callbackNow
	}
	sealed, err := encrypt(p.key, []byte(l.message), l.owner)
	if err != nil {
		p.t.Fatal(err)
	}
	stamp := strconv.FormatInt(l.at.UnixMilli(), 10)
	q := url.Values{"timestamp": {stamp}, "nonce": {"n0nce"}, l.name: {sign(l.token, stamp, "n0nce", sealed)}}
	if l.bend != nil {
		l.bend(q)
	}
	or(&l.body, fmt.Sprintf(`{"encrypt":%q}`, sealed))
	req, err := http.NewRequestWithContext(p.t.Context(), l.method, p.server.URL+"/?"+q.Encode(), strings.NewReader(l.body))
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := p.server.Client().Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

const postedEvent = `{"EventType":"user_add_org","EventTime":1795147100000,"CorpId":"dingcorp1","BizId":"x","eventId":"e1","timeStamp":"1795147100000","userId":["user001"]}`

// success demands the encrypted answer that ends a delivery.
func (p *poster) success(status int, body string) {
	p.t.Helper()
	var a struct {
		Signature string `json:"msg_signature"`
		Stamp     string `json:"timeStamp"`
		Nonce     string `json:"nonce"`
		Encrypt   string `json:"encrypt"`
	}
	if status != http.StatusOK || json.Unmarshal([]byte(body), &a) != nil {
		p.t.Fatalf("%d %s", status, body)
	}
	message, owner, err := unseal(p.key, a.Encrypt)
	if err != nil || string(message) != "success" || owner != "dingxxxxxx" || a.Signature != sign(vectorToken, a.Stamp, a.Nonce, a.Encrypt) {
		p.t.Errorf("%q %q %v %+v", message, owner, err, a)
	}
}

func TestAPostIsAnsweredWhenItIsDurable(t *testing.T) {
	p := newPoster(t)
	p.fail = errors.New("disk full")
	if status, body := p.post(letter{message: postedEvent}); status != http.StatusInternalServerError || strings.Contains(body, "full") {
		t.Errorf("%d %s", status, body)
	}
	p.fail = nil
	p.success(p.post(letter{message: postedEvent}))
	p.success(p.post(letter{message: postedEvent, name: "msg_signature"})) // again
	if len(p.records) != 1 || p.records[0].Key != "event/e1/user001" || p.records[0].Origin != "HTTP user_add_org" || !p.records[0].HasTime {
		t.Errorf("%+v", p.records)
	}
	p.success(p.post(letter{message: `{"EventType":"check_url"}`}))
	p.success(p.post(letter{message: `{"EventType":"robot_msg_read","eventId":"e2","EventTime":1795147100000,"CorpId":"dingcorp1","UserId":"user001","OperatTime":"1795147050000","ProcessQueryKey":"pq1","RobotCode":"r"}`}))
	if len(p.records) != 3 || p.records[1].Key != "sent/people/pq1/read/user001" || p.records[1].Type != guia.MessageRead {
		t.Errorf("%+v", p.records)
	}
	p.success(p.post(letter{message: `no json at all`}))
	if len(p.records) != 4 || p.records[3].Type != guia.SourceGap {
		t.Errorf("%+v", p.records)
	}
}

func TestAPostThatCouldNotBeKeptIsTold(t *testing.T) {
	p := newPoster(t)
	p.success(p.post(letter{message: postedEvent}))
	select {
	case <-p.h.Done():
		t.Fatal(p.h.Err())
	default:
	}
	full := errors.New("disk full")
	p.fail = full
	other := strings.Replace(postedEvent, `"e1"`, `"e2"`, 1)
	p.later.Store(int64(time.Minute))
	if status, _ := p.post(letter{message: other}); status != http.StatusInternalServerError {
		t.Error(status)
	}
	select {
	case <-p.h.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody is told")
	}
	p.fail = errors.New("another")
	p.later.Store(int64(2 * time.Minute))
	if status, _ := p.post(letter{message: other}); status != http.StatusInternalServerError {
		t.Error(status)
	}
	if err := p.h.Err(); !errors.Is(err, full) {
		t.Errorf("not the first error: %v", err)
	}
	p.fail = nil
	p.success(p.post(letter{message: other}))
	if since := p.h.Since(); !since.Equal(callbackNow.Add(time.Minute)) {
		t.Errorf("since %s, after a post that could not be kept", since)
	}
}

func TestAPostThatIsNotDurableDoesNotCountAsReceived(t *testing.T) {
	p := newPoster(t)
	p.hold = make(chan struct{})
	answered := make(chan int, 1)
	go func() {
		status, _ := p.post(letter{message: postedEvent})
		answered <- status
	}()
	<-p.begun
	p.later.Store(int64(time.Minute))
	if since := p.h.Since(); !since.Equal(callbackNow) {
		t.Errorf("since %s, and a post is not durable", since)
	}
	close(p.hold)
	if status := <-answered; status != http.StatusOK {
		t.Error(status)
	}
	// Of this one the head is there only: the server asks for the rest when it is being received.
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("%q: %v", line, err)
	}
	p.later.Store(int64(2 * time.Minute))
	if since := p.h.Since(); !since.Equal(callbackNow.Add(time.Minute)) {
		t.Errorf("since %s, and a post is not read", since)
	}
	c.Close()
	p.server.Close() // when nothing is received any more
	if since := p.h.Since(); !since.Equal(p.now()) || p.h.Err() != nil {
		t.Errorf("since %s, %v: who breaks off is no loss", since, p.h.Err())
	}
}

func TestAPostThatDingTalkDidNotMakeIsRefused(t *testing.T) {
	p := newPoster(t)
	for name, l := range map[string]letter{
		"signed with another token": {message: postedEvent, token: "tokenyyyy"},
		"not signed":                {message: postedEvent, bend: func(q url.Values) { q.Del("signature") }},
		"another nonce":             {message: postedEvent, bend: func(q url.Values) { q.Set("nonce", "other") }},
		"old":                       {message: postedEvent, at: callbackNow.Add(-window - time.Second)},
		"from the future":           {message: postedEvent, at: callbackNow.Add(window + time.Second)},
		"for another":               {message: postedEvent, owner: "dingother"},
		"no JSON":                   {message: postedEvent, body: "x"},
		"nothing":                   {message: postedEvent, body: `{"encrypt":""}`},
		"not encrypted":             {message: postedEvent, body: `{"encrypt":"AAAA"}`},
	} {
		if status, body := p.post(l); status != http.StatusForbidden || body != "refused\n" {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, _ := p.post(letter{method: http.MethodGet}); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	if status, _ := p.post(letter{body: `{"encrypt":"` + strings.Repeat("A", maxPost) + `"}`}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", status)
	}
	if n := p.h.Counts().Refused; len(p.records) != 0 || n != 10 {
		t.Errorf("%d refused, %+v", n, p.records)
	}
}

func TestACallbackNeedsTokenAndKey(t *testing.T) {
	c, err := New(Config{CorpID: "dingcorp1", AppKey: "k", AppSecret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	keep := func(context.Context, string, []source.Record) error { return nil }
	for _, opt := range []CallbackOptions{
		{PushOptions{Keep: keep}, "", vectorKey},
		{PushOptions{Keep: keep}, "t", Secret(vectorKey[1:])},
		{PushOptions{}, "t", vectorKey},
		{PushOptions{Keep: keep, Feeds: []string{"nothing"}}, "t", vectorKey},
	} {
		if _, err := NewCallback(c, opt); guia.KindOf(err) != guia.Invalid {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}
