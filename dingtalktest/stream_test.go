package dingtalktest_test

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guia/dingtalktest"
)

func escape(s string) string { return url.QueryEscape(s) }

// line is a Stream as a client sees it, by hand.
type line struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

type frame struct {
	Type    string            `json:"type"`
	Headers map[string]string `json:"headers"`
	Data    string            `json:"data"`
}

func openTicket(c *client) (endpoint, ticket string) {
	c.t.Helper()
	o := c.ok("POST", "/v1.0/gateway/connections/open", map[string]any{
		"clientId": c.app.Key, "clientSecret": c.app.Secret, "ua": "test", "subscriptions": []any{
			map[string]any{"type": "EVENT", "topic": "*"}, map[string]any{"type": "CALLBACK", "topic": "/v1.0/im/bot/messages/get"},
		},
	})
	return o["endpoint"].(string), o["ticket"].(string)
}

func dial(c *client, endpoint, ticket string) (*line, int) {
	c.t.Helper()
	u, err := url.Parse(dingtalktest.StreamURL(endpoint, ticket))
	if err != nil {
		c.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		u.RequestURI(), u.Host)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	// RFC 6455 section 1.3 has this key and its answer.
	if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode == http.StatusSwitchingProtocols && got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		c.t.Fatalf("the handshake was answered with %q", got)
	}
	return &line{c.t, conn, in}, resp.StatusCode
}

func connect(c *client, tenant *dingtalktest.Tenant) *line {
	c.t.Helper()
	before := tenant.Connections(c.app.Key)
	endpoint, ticket := openTicket(c)
	l, status := dial(c, endpoint, ticket)
	if n := tenant.Connections(c.app.Key); status != http.StatusSwitchingProtocols || n != before+1 {
		c.t.Fatalf("got status %d and %d connections after %d", status, n, before)
	}
	return l
}

func (l *line) next() frame {
	l.t.Helper()
	f, err := l.read()
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

func (l *line) read() (f frame, err error) {
	var head [2]byte
	if _, err = io.ReadFull(l.in, head[:]); err != nil {
		return f, err
	}
	n := int64(head[1])
	if n == 126 {
		var long [2]byte
		if _, err = io.ReadFull(l.in, long[:]); err != nil {
			return f, err
		}
		n = int64(binary.BigEndian.Uint16(long[:]))
	}
	b := make([]byte, n)
	if _, err = io.ReadFull(l.in, b); err != nil {
		return f, err
	}
	return f, json.Unmarshal(b, &f)
}

func (l *line) answer(f frame, code int, data string) {
	l.t.Helper()
	b, err := json.Marshal(map[string]any{"code": code, "headers": map[string]string{"messageId": f.Headers["messageId"], "contentType": "application/json"}, "message": "OK", "data": data})
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(0x81, b)
	// A ping after it is answered when the answer was read.
	l.write(0x89, nil)
	if _, err := io.ReadFull(l.in, make([]byte, 2)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) write(op byte, b []byte) {
	l.t.Helper()
	out := []byte{op, 0x80 | 126, byte(len(b) >> 8), byte(len(b)), 1, 2, 3, 4}
	for i, x := range b {
		out = append(out, x^byte(i%4+1))
	}
	if _, err := l.conn.Write(out); err != nil {
		l.t.Fatal(err)
	}
}

func TestATicketOpensOneStreamForNinetySeconds(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	endpoint, ticket := openTicket(c)
	if _, status := dial(c, endpoint, ticket); status != http.StatusSwitchingProtocols {
		t.Errorf("got status %d for a fresh ticket", status)
	}
	if _, status := dial(c, endpoint, ticket); status != http.StatusUnauthorized {
		t.Errorf("got status %d for a used ticket, want 401", status)
	}
	endpoint, ticket = openTicket(c)
	tenant.Clock().Advance(91 * time.Second)
	if _, status := dial(c, endpoint, ticket); status != http.StatusUnauthorized {
		t.Errorf("got status %d for an old ticket, want 401", status)
	}
	tenant.AwkwardTickets()
	endpoint, ticket = openTicket(c)
	if !strings.ContainsAny(ticket, "+/=") {
		t.Errorf("ticket %q is not awkward", ticket)
	}
	if _, status := dial(c, endpoint, ticket); status != http.StatusSwitchingProtocols {
		t.Errorf("got status %d for a ticket that was escaped", status)
	}
}

func TestEventsAreSentAgainUntilTheyAreAcknowledged(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	l := connect(c, tenant)
	id := tenant.Join(1)
	f := l.next()
	if f.Type != "EVENT" || f.Headers["topic"] != "*" || f.Headers["eventType"] != "user_add_org" || !strings.Contains(f.Data, id) {
		t.Errorf("got %+v, want a person who joined", f)
	}
	l.answer(f, 200, `{"status":"LATER","message":""}`)
	tenant.Clock().Advance(10 * time.Second)
	again := l.next()
	if again.Headers["eventId"] != f.Headers["eventId"] {
		t.Errorf("got event %s again, want %s", again.Headers["eventId"], f.Headers["eventId"])
	}
	tenant.Clock().Advance(3 * time.Second) // no answer
	tenant.Clock().Advance(30 * time.Second)
	third := l.next()
	l.answer(third, 200, `{"status":"SUCCESS","message":""}`)
	tenant.Clock().Advance(time.Hour)
	tenant.Ping(c.app.Key)
	if f := l.next(); f.Type != "SYSTEM" || f.Headers["topic"] != "ping" || !strings.Contains(f.Data, "opaque") {
		t.Errorf("got %+v, want a ping and nothing else", f)
	}
	if u := tenant.Usage(); u.Deliveries != 0 {
		t.Errorf("got %d deliveries, but directory events are exempt", u.Deliveries)
	}
}

func TestDeliveriesAreCountedAndComeEmptyWhenTheMonthIsUsedUp(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	l := connect(c, tenant)
	tenant.Spend(0, 2999)
	tenant.Say(tenant.Cast()["salesman"], "", "佣金甚麼時候發？")
	f := l.next()
	if f.Type != "CALLBACK" || f.Headers["topic"] != "/v1.0/im/bot/messages/get" || !strings.Contains(f.Data, "佣金甚麼時候發") {
		t.Errorf("got %+v, want a message to the robot", f)
	}
	tenant.Announce("公告", "內容")
	f = l.next()
	if !strings.Contains(f.Data, "20001") || strings.Contains(f.Data, "blackboardId") {
		t.Errorf("got %s, want a frame without content and 20001", f.Data)
	}
	if u := tenant.Usage(); u.Deliveries != 3000 {
		t.Errorf("got %d deliveries, want 3000", u.Deliveries)
	}
	tenant.Leave(tenant.Cast()["salesman"], "x")
	if f = l.next(); f.Headers["eventType"] != "user_leave_org" || strings.Contains(f.Data, "20001") {
		t.Errorf("got %+v, want an exempt event with content", f)
	}
}

func TestTwoStreamsShareTheLoadAndOneThatLeavesGetsNothing(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{Edition: dingtalktest.Professional})
	c := start(t, tenant)
	a, b := connect(c, tenant), connect(c, tenant)
	got := make(chan int, 100)
	for n, l := range []*line{a, b} {
		go func() {
			for {
				f, err := l.read()
				if err != nil {
					got <- -1
					return
				}
				if f.Type == "CALLBACK" {
					got <- n
				}
			}
		}()
	}
	share := map[int]int{}
	for range 20 {
		tenant.Say(tenant.Cast()["admin"], "", "x")
		share[<-got]++
	}
	if share[0] == 0 || share[1] == 0 || share[0]+share[1] != 20 {
		t.Errorf("got %v, want both to get some of 20", share)
	}
	tenant.Disconnect(c.app.Key)
	tenant.Say(tenant.Cast()["admin"], "", "x")
	tenant.Clock().Advance(10 * time.Second)
	for range 2 {
		if n := <-got; n != -1 {
			t.Errorf("stream %d got a message after it was told to go", n)
		}
	}
}

func TestPushesCanBeLostDoubledAndTurnedAround(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	l := connect(c, tenant)
	for _, k := range []dingtalktest.Kind{dingtalktest.DropPush, dingtalktest.DuplicatePush, dingtalktest.ReorderPush} {
		tenant.Order(dingtalktest.Trouble{Kind: k, Path: "a", Times: 1})
	}
	for _, kind := range []string{"a1", "a2", "a3"} {
		tenant.Emit(kind, map[string]any{})
	}
	tenant.Emit("b", map[string]any{})
	var kinds []string
	ids := map[string]bool{}
	for range 4 {
		f := l.next()
		kinds = append(kinds, f.Headers["eventType"])
		ids[f.Headers["eventId"]] = true
	}
	// a1 is dropped; a2 waits for the next, which comes twice.
	if got := strings.Join(kinds, " "); got != "a3 a3 a2 b" || len(ids) != 3 {
		t.Errorf("got %s with %d ids, want a3 a3 a2 b with 3", got, len(ids))
	}
}

// downloadCode is the code in the robot message of a file that somebody sends.
func downloadCode(c *client, tenant *dingtalktest.Tenant, user, file string) string {
	l := connect(c, tenant)
	defer l.conn.Close()
	tenant.SendFile(user, "", file)
	var o struct {
		Content struct {
			DownloadCode string `json:"downloadCode"`
		} `json:"content"`
	}
	if err := json.Unmarshal([]byte(l.next().Data), &o); err != nil {
		c.t.Fatal(err)
	}
	if _, err := base64.StdEncoding.DecodeString(o.Content.DownloadCode); err != nil {
		c.t.Fatal(err)
	}
	return o.Content.DownloadCode
}
