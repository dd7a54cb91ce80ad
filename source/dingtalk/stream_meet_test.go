package dingtalk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guia"
	"guia/dingtalktest"
	"guia/source"
	"guia/source/dingtalk"
)

// meeting is a simulated tenant on a real port, and a stream that receives what it pushes. Neither was written by who wrote the other.
type meeting struct {
	t      *testing.T
	tenant *dingtalktest.Tenant
	app    dingtalktest.App
	cfg    dingtalk.Config
	kept   *kept
	server *httptest.Server
	before func(r *http.Request) // what happens before a request is answered
	mu     sync.Mutex
}

func meet(t *testing.T) *meeting {
	m := &meeting{t: t, tenant: dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{}), kept: &kept{told: make(chan struct{}, 1)}}
	handler := m.tenant.Handler()
	m.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		fn := m.before
		m.mu.Unlock()
		if fn != nil {
			fn(r)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(m.server.Close)
	m.tenant.SetAddresses(dingtalktest.Addresses{API: m.server.URL, Stream: strings.Replace(m.server.URL, "http", "ws", 1) + "/connect"})
	m.app = m.tenant.App()
	m.cfg = dingtalk.Config{
		CorpID: m.tenant.CorpID(), AppKey: m.app.Key, AppSecret: dingtalk.Secret(m.app.Secret), API: m.server.URL, OAPI: m.server.URL, AgentID: m.app.AgentID,
		RobotCode: m.app.RobotCode, Now: m.tenant.Clock().Now, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	return m
}

// run starts the stream and returns when it is connected: the loss before it is a gap.
func (m *meeting) run() *running {
	m.t.Helper()
	c, err := dingtalk.New(m.cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	s, err := dingtalk.NewStream(c, dingtalk.StreamOptions{
		PushOptions: dingtalk.PushOptions{Feeds: dingtalk.Pushed(), Keep: m.kept.keep}, Since: m.tenant.Clock().Now().Add(-time.Hour), Beat: time.Hour,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(m.t.Context())
	r := &running{s, stop, make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	m.t.Cleanup(func() {
		stop()
		if r.done != nil {
			_ = r.end() // it is stopped
		}
		c.Close()
	})
	m.kept.until(m.t, "connected", func() bool { return len(gaps(m.kept.of(dingtalk.FeedEvents))) == 1 })
	return r
}

// has waits for a record of a feed and returns it.
func (m *meeting) has(feed, what string, is func(r source.Record) bool) (r source.Record) {
	m.t.Helper()
	m.kept.until(m.t, feed+": "+what, func() bool {
		all := m.kept.of(feed)
		i := slices.IndexFunc(all, is)
		if i >= 0 {
			r = all[i]
		}
		return i >= 0
	})
	return r
}

func about(thread string) func(source.Record) bool {
	return func(r source.Record) bool { return r.Thread == thread }
}

func TestTheStreamMeetsTheTenant(t *testing.T) {
	m := meet(t)
	m.tenant.AwkwardTickets()
	s := m.run()
	joined := m.tenant.Join(1)
	m.has("directory", "joined", about("user/"+joined))
	m.tenant.Leave(joined, "x")
	m.has("directory", "left", func(r source.Record) bool { return r.Type == guia.PersonLeft && r.Sender.ID == joined && r.HasTime })
	id := m.tenant.Announce("公告", "內容")
	m.has("notices", "announced", about("notice/"+id))
	salesman := m.tenant.Cast()["salesman"]
	message := m.tenant.Say(salesman, "", "佣金甚麼時候發？")
	if r := m.has(dingtalk.FeedConversations, "said", func(r source.Record) bool { return r.Key == message }); r.Text != "佣金甚麼時候發？" || r.Sender.ID != salesman || r.StreamKind != "direct" || strings.Contains(string(r.Raw), "sendBySession") {
		t.Errorf("%+v", r)
	}
	m.tenant.Emit("attendance_check_record", map[string]any{"dataList": []map[string]any{{"userId": salesman, "checkTime": 1795147050000, "address": "canary-place", "bizId": "b"}}})
	m.has("attendance", "clocked in", func(r source.Record) bool {
		return r.Key == "punch/"+salesman+"/1795147050000" && !strings.Contains(string(r.Raw), "canary")
	})
	m.tenant.Ping(m.app.Key)
	m.tenant.Disconnect(m.app.Key) // the next connection is there before this one ends
	for n := 0; s.State().Opened < 2; n++ {
		<-time.After(time.Millisecond)
	}
	m.tenant.Clock().Advance(11 * time.Second)
	second := m.tenant.Join(1)
	m.has("directory", "joined after a goodbye", about("user/"+second))
	if n := len(gaps(m.kept.of(dingtalk.FeedEvents))); n != 1 {
		t.Errorf("%d gaps: a goodbye is no loss", n)
	}
	m.tenant.DropStream(m.app.Key)
	m.kept.until(t, "connected again", func() bool { return len(gaps(m.kept.of(dingtalk.FeedEvents))) == 2 })
	third := m.tenant.Join(1)
	m.has("directory", "joined after a loss", about("user/"+third))
	m.tenant.Spend(0, 3000)
	m.tenant.Announce("二", "三")
	fourth := m.tenant.Join(1)
	m.has("directory", "joined when deliveries are spent", about("user/"+fourth))
	if c := s.State().Counts; c.Empty != 1 || c.Again != 0 || c.Odd != 0 || c.Foreign != 0 {
		t.Errorf("%+v", c)
	}
}

func TestTheTenantPushesAgainWhatWasNotAcknowledged(t *testing.T) {
	m := meet(t)
	s := m.run()
	m.kept.mu.Lock()
	m.kept.hold, m.kept.begun = make(chan struct{}), make(chan struct{}, 1)
	m.kept.mu.Unlock()
	joined := m.tenant.Join(1)
	<-m.kept.begun
	m.tenant.Clock().Advance(3 * time.Second)  // no answer in time
	m.tenant.Clock().Advance(10 * time.Second) // pushed again
	close(m.kept.hold)
	other := m.tenant.Join(1)
	m.has("directory", "the next one", about("user/"+other))
	if n := len(slices.DeleteFunc(m.kept.of("directory"), func(r source.Record) bool { return r.Thread != "user/"+joined })); n != 1 {
		t.Errorf("kept %d times", n)
	}
	if c := s.State().Counts; c.Again < 1 || c.Kept != 2 {
		t.Errorf("%+v", c)
	}
}

func TestPushesInDisorderAreKeptOnce(t *testing.T) {
	m := meet(t)
	s := m.run()
	for _, k := range []dingtalktest.Kind{dingtalktest.DuplicatePush, dingtalktest.ReorderPush} {
		m.tenant.Order(dingtalktest.Trouble{Kind: k, Path: "bpms", Times: 1})
	}
	for _, kind := range []string{"bpms_a", "bpms_b", "bpms_c"} {
		m.tenant.Emit(kind, map[string]any{"title": kind})
	}
	m.has(dingtalk.FeedEvents, "c", func(r source.Record) bool { return r.Subject == "bpms_c" })
	var got []string
	for _, r := range m.kept.of(dingtalk.FeedEvents) {
		if r.Type != guia.SourceGap {
			got = append(got, r.Subject)
		}
	}
	slices.Sort(got)
	if strings.Join(got, " ") != "bpms_a bpms_b bpms_c" || s.State().Counts.Again != 1 {
		t.Errorf("%v %+v", got, s.State().Counts)
	}
}

func TestAnOldTicketIsReplaced(t *testing.T) {
	m := meet(t)
	var once sync.Once
	m.before = func(r *http.Request) {
		if r.URL.Path == "/connect" {
			once.Do(func() { m.tenant.Clock().Advance(91 * time.Second) })
		}
	}
	m.run()
	opened := 0
	for _, call := range m.tenant.Requests() {
		if strings.HasSuffix(call, "/connections/open") {
			opened++
		}
	}
	if opened != 2 {
		t.Errorf("%d tickets", opened)
	}
}

func TestAThousandEventsWaitUntilTheyCanBeKept(t *testing.T) {
	m := meet(t)
	s := m.run()
	m.kept.mu.Lock()
	m.kept.hold, m.kept.begun = make(chan struct{}), make(chan struct{}, 1)
	m.kept.mu.Unlock()
	const many = 1000
	go func() {
		for range many {
			m.tenant.Emit("user_modify_org", map[string]any{"userId": []string{"someone"}, "timeStamp": "1795147050000"})
		}
	}()
	<-m.kept.begun
	close(m.kept.hold)
	m.kept.until(t, "all of them", func() bool { return len(m.kept.of("directory")) == many })
	seen := map[string]bool{}
	for _, r := range m.kept.of("directory") {
		seen[r.Key] = true
	}
	if len(seen) != many || s.State().Counts.Again != 0 {
		t.Errorf("%d, %+v", len(seen), s.State().Counts)
	}
}

func TestAReadingIsPushedAndPulledUnderOneKey(t *testing.T) {
	m := meet(t)
	m.run()
	c, err := dingtalk.New(m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	post := func(path, token string, body map[string]any) (out map[string]any) {
		b, _ := json.Marshal(body)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.server.URL+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-acs-dingtalk-access-token", token)
		res, err := m.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil || json.Unmarshal(answer, &out) != nil {
			t.Fatal(err)
		}
		return out
	}
	token, _ := post("/v1.0/oauth2/accessToken", "", map[string]any{"appKey": m.app.Key, "appSecret": m.app.Secret})["accessToken"].(string)
	var people []string
	for _, who := range m.tenant.Cast() {
		people = append(people, who)
	}
	sentAt := m.tenant.Clock().Now()
	key, _ := post("/v1.0/robot/oToMessages/batchSend", token, map[string]any{"robotCode": m.app.RobotCode, "userIds": people, "msgKey": "sampleText", "msgParam": `{"content":"x"}`})["processQueryKey"].(string)
	if key == "" {
		t.Fatal("nothing was sent")
	}
	m.tenant.Clock().Advance(20 * time.Hour)
	m.has("reads", "somebody has read it", func(r source.Record) bool { return r.Type == guia.MessageRead })
	s, err := dingtalk.Open(c, "reads", dingtalk.Options{Backfill: 22 * time.Hour, Sent: func(context.Context, time.Time, time.Time) ([]dingtalk.Sent, error) {
		return []dingtalk.Sent{{Kind: dingtalk.SentToPeople, Key: key, At: sentAt}}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Pull(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	pulled := 0
	for _, r := range p.Records {
		if r.Type == guia.MessageRead {
			pulled++
			same := m.has("reads", "the same reading", func(q source.Record) bool { return q.Key == r.Key })
			if same.Stream != r.Stream || same.StreamName != r.StreamName || same.Text != r.Text || same.Sender != r.Sender || !same.HasTime {
				t.Errorf("pushed %+v\npulled %+v", same, r)
			}
		}
	}
	if pulled == 0 {
		t.Errorf("%+v", p.Records)
	}
}

func TestTheTenantPostsToOurAddress(t *testing.T) {
	m := meet(t)
	c, err := dingtalk.New(m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const key = "o1w0aum42yaptlz8alnhwikjd3jenzt9cb9wmzptgus"
	h, err := dingtalk.NewCallback(c, dingtalk.CallbackOptions{PushOptions: dingtalk.PushOptions{Feeds: dingtalk.Pushed(), Keep: m.kept.keep}, Token: "tokenxxxx", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	ours := httptest.NewServer(h)
	defer ours.Close()
	if err := m.tenant.SetCallback(m.app.Key, ours.URL, "another", key); err == nil || h.Counts().Refused != 1 {
		t.Errorf("a wrong token: %v, %+v", err, h.Counts())
	}
	if err := m.tenant.SetCallback(m.app.Key, ours.URL, "tokenxxxx", key); err != nil {
		t.Fatal(err)
	}
	m.kept.fail = io.ErrShortWrite
	joined := m.tenant.Join(1)
	m.kept.fail = nil
	if len(m.kept.of("directory")) != 0 {
		t.Error("the test keeps too early")
	}
	m.tenant.Clock().Advance(10 * time.Second) // posted again
	m.tenant.Clock().Advance(time.Hour)
	if got := m.kept.of("directory"); len(got) != 1 || got[0].Thread != "user/"+joined {
		t.Errorf("%+v", got)
	}
}
