package dingtalk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"guia"
	"guia/source"
	"guia/source/dingtalk"
)

// pushing is a tenant that pushes as the reference describes it (dingtalk-api.md 13.1): it gives out tickets, each good for one connection,
// and hands every connection to the test.
type pushing struct {
	*tenant
	socket  *httptest.Server
	links   chan *link
	pauses  chan time.Duration
	tickets map[string]bool // not used yet
}

// link is one connection as DingTalk has it.
type link struct {
	t    *testing.T
	conn *websocket.Conn
	end  chan struct{}
}

func newPushing(t *testing.T) *pushing {
	f := &pushing{tenant: newTenant(t), links: make(chan *link, 100), pauses: make(chan time.Duration, 100), tickets: map[string]bool{}}
	f.socket = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ticket := r.URL.Query().Get("ticket")
		f.mu.Lock()
		good := f.tickets[ticket]
		delete(f.tickets, ticket)
		f.mu.Unlock()
		if !good {
			http.Error(w, "no such ticket", http.StatusUnauthorized)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		conn.SetReadLimit(-1)
		l := &link{t, conn, make(chan struct{})}
		f.links <- l
		<-l.end
		_ = conn.CloseNow()
	}))
	t.Cleanup(f.socket.Close)
	f.answer["/v1.0/gateway/connections/open"] = func(q request) any {
		if q.text("clientId") != "key1" || q.text("clientSecret") != secret || q.token != "" {
			return 400
		}
		ticket := fmt.Sprintf("t+/=&%d", len(f.calls)*1000+f.calls[q.path])
		f.tickets[ticket] = true
		endpoint := strings.Replace(f.socket.URL, "http://", "ws://", 1) + "/connect"
		b, _ := json.Marshal(map[string]string{"endpoint": endpoint, "ticket": ticket})
		return string(b)
	}
	return f
}

// kept is what a test keeps in the place of a ledger.
type kept struct {
	mu      sync.Mutex
	records map[string][]source.Record // by feed
	pages   int
	hold    chan struct{} // when not nil: nothing is durable before it is closed
	begun   chan struct{} // told when a page is handed over
	fail    error
	told    chan struct{} // told after each page; see until
}

// until waits for pages until it is so.
func (k *kept) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !so() {
		select {
		case <-k.told:
		case <-limit:
			t.Fatalf("never: %s; %d pages", what, k.pages)
		}
	}
}

func (k *kept) keep(ctx context.Context, feed string, records []source.Record) error {
	if k.begun != nil {
		select {
		case k.begun <- struct{}{}:
		default:
		}
	}
	if k.hold != nil {
		select {
		case <-k.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	defer func() {
		select {
		case k.told <- struct{}{}:
		default:
		}
	}()
	if k.records == nil {
		k.records = map[string][]source.Record{}
	}
	k.pages++
	k.records[feed] = append(k.records[feed], records...)
	return nil
}

func (k *kept) of(feed string) []source.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]source.Record(nil), k.records[feed]...)
}

// count is how often a key was kept.
func (k *kept) count(key string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, records := range k.records {
		for _, r := range records {
			if r.Key == key {
				n++
			}
		}
	}
	return n
}

// running is a stream that runs until the test ends or stops it.
type running struct {
	*dingtalk.Stream
	stop context.CancelFunc
	done chan error
}

func (f *pushing) run(k *kept, change ...func(*dingtalk.Config, *dingtalk.StreamOptions)) *running {
	f.t.Helper()
	cfg := f.config()
	cfg.Wait = func(ctx context.Context, d time.Duration) error {
		select {
		case f.pauses <- d:
		default:
		}
		return ctx.Err()
	}
	opt := dingtalk.StreamOptions{PushOptions: dingtalk.PushOptions{Feeds: dingtalk.Pushed(), Keep: k.keep}, Beat: time.Hour}
	for _, fn := range change {
		fn(&cfg, &opt)
	}
	c, err := dingtalk.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := dingtalk.NewStream(c, opt)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(f.t.Context())
	r := &running{s, stop, make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	f.t.Cleanup(func() {
		stop()
		if r.done != nil {
			_ = r.end() // the test has asked, or it is stopped
		}
		c.Close()
	})
	return r
}

// end waits for the end of the stream.
func (r *running) end() error {
	err := <-r.done
	r.done = nil
	return err
}

func (f *pushing) link() *link {
	f.t.Helper()
	select {
	case l := <-f.links:
		f.t.Cleanup(l.close)
		return l
	case <-time.After(20 * time.Second):
		f.t.Fatal("no connection")
		return nil
	}
}

func (l *link) close() {
	select {
	case <-l.end:
	default:
		close(l.end)
	}
}

func (l *link) send(frame string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	if err := l.conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		l.t.Fatal(err)
	}
}

// reply is what the client answers.
type reply struct {
	Code    int               `json:"code"`
	Headers map[string]string `json:"headers"`
	Message string            `json:"message"`
	Data    string            `json:"data"`
}

func (l *link) reply() (r reply) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	_, raw, err := l.conn.Read(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		l.t.Fatalf("%s: %v", raw, err)
	}
	return r
}

// acked demands that the next answer acknowledges that message.
func (l *link) acked(message string) {
	l.t.Helper()
	r := l.reply()
	if r.Code != 200 || r.Headers["messageId"] != message || r.Headers["contentType"] != "application/json" || r.Data != `{"status":"SUCCESS","message":""}` {
		l.t.Errorf("%s: %+v", message, r)
	}
}

func text(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// frameOf is an EVENT frame.
func frameOf(message, event, id, data string) string {
	return fmt.Sprintf(`{"specVersion":"1.0","type":"EVENT","headers":{"topic":"*","messageId":%s,"contentType":"application/json","time":"1795147200000","appId":"a1","eventType":%s,"eventId":%s,"eventBornTime":"1795147100000","eventCorpId":"dingcorp1","eventUnifiedAppId":"u1"},"data":%s}`,
		text(message), text(event), text(id), text(data))
}

func said(message, id string) string {
	return fmt.Sprintf(`{"specVersion":"1.0","type":"CALLBACK","headers":{"topic":"/v1.0/im/bot/messages/get","messageId":%s,"contentType":"application/json","time":"1795147200000"},"data":%s}`,
		text(message), text(robotSaid(id)))
}

func system(message, topic, data string) string {
	return fmt.Sprintf(`{"specVersion":"1.0","type":"SYSTEM","headers":{"topic":%s,"messageId":%s,"contentType":"application/json","time":"1795147200000"},"data":%s}`, text(topic), text(message), text(data))
}

func robotSaid(id string) string {
	return fmt.Sprintf(`{"conversationId":"cidGroup1","conversationType":"2","conversationTitle":"銷售 Vendas","atUsers":[{"dingtalkId":"$:robot","staffId":""},{"dingtalkId":"$:x","staffId":"user001"}],"isInAtList":true,"chatbotCorpId":"dingcorp1","chatbotUserId":"$:robot","robotCode":"robot1","msgId":%s,"senderNick":%s,"senderId":"$:enc","senderStaffId":%s,"senderUnionId":"U0","senderCorpId":"dingcorp1","isAdmin":false,"createAt":1795147000123,"sessionWebhook":"https://oapi.dingtalk.com/robot/sendBySession?session=canary-webhook","sessionWebhookExpiredTime":1795150000000,"msgtype":"text","text":{"content":" 佣金 comissão?"}}`,
		text(id), text(canaryName), text(canaryID))
}

const exempted = `{"timeStamp":"1795147100000","userId":["user001","user002"]}`

// gaps are the records of lost time.
func gaps(records []source.Record) (out []source.Record) {
	for _, r := range records {
		if r.Type == guia.SourceGap {
			out = append(out, r)
		}
	}
	return out
}
