package dingtalk_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"guia"
	"guia/source/dingtalk"
)

func TestAFrameIsAcknowledgedWhenItIsDurable(t *testing.T) {
	f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	f.run(k)
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	<-k.begun
	l.send(system("p1", "ping", `{"opaque":"x-1"}`)) // it is read and answered meanwhile
	if r := l.reply(); r.Headers["messageId"] != "p1" || r.Code != 200 || r.Data != `{"opaque":"x-1"}` {
		t.Fatalf("before it is durable: %+v", r)
	}
	if k.count("event/e1/user001") != 0 {
		t.Fatal("the test keeps too early")
	}
	close(k.hold)
	l.acked("m1")
	if k.count("event/e1/user001") != 1 || k.count("event/e1/user002") != 1 {
		t.Errorf("%+v", k.records)
	}
	l.send(said("m2", "msg-1"))
	if r := l.reply(); r.Code != 200 || r.Headers["messageId"] != "m2" || r.Data != `{"response":null}` {
		t.Errorf("a message to the robot: %+v", r)
	}
}

func TestWhatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	full := errors.New("disk full")
	f, k := newPushing(t), &kept{fail: full}
	r := f.run(k)
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, raw, err := l.conn.Read(ctx); err == nil {
		t.Fatalf("answered %s", raw)
	}
	if err := r.end(); !errors.Is(err, full) {
		t.Errorf("Run: %v", err)
	}
}

func TestWhatComesAgainIsNotKeptTwice(t *testing.T) {
	f, k := newPushing(t), &kept{}
	s := f.run(k)
	l := f.link()
	for n := range 3 {
		m := fmt.Sprint("m", n)
		l.send(frameOf(m, "user_add_org", "e1", exempted))
		l.acked(m)
		l.send(said(m+"r", "msg-1"))
		l.reply()
	}
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
	l = f.link()
	l.send(frameOf("m9", "user_add_org", "e1", exempted))
	l.acked("m9")
	if k.count("event/e1/user001") != 1 || k.count("msg-1") != 1 {
		t.Errorf("%+v", k.records)
	}
	if c := s.State().Counts; c.Delivered != 7 || c.Kept != 2 || c.Again != 5 {
		t.Errorf("%+v", c)
	}
}

func TestALostConnectionIsReplacedAndTheLossIsAFact(t *testing.T) {
	f, k := newPushing(t), &kept{}
	clock := make(chan time.Time, 1)
	clock <- now
	at := func() time.Time { n := <-clock; clock <- n; return n }
	s := f.run(k, func(cfg *dingtalk.Config, _ *dingtalk.StreamOptions) { cfg.Now = at })
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	l.acked("m1")
	if m := s.Missing(); len(m) != 0 {
		t.Errorf("nothing is lost yet: %+v", m)
	}
	<-clock
	clock <- now.Add(7 * time.Minute)
	l.close()
	l = f.link()
	l.send(frameOf("m2", "user_add_org", "e2", exempted))
	l.acked("m2")
	feeds := map[string]dingtalk.Missing{}
	for _, m := range s.Missing() {
		feeds[m.Feed] = m
	}
	for _, feed := range dingtalk.Pushed() {
		m := feeds[feed]
		pulled := feed != dingtalk.FeedConversations && feed != dingtalk.FeedEvents
		if !m.From.Equal(now) || !m.To.Equal(now.Add(7*time.Minute)) || m.Pulled != pulled {
			t.Errorf("%s: %+v", feed, m)
		}
	}
	if !s.Since().Equal(now) {
		t.Errorf("since %s", s.Since())
	}
	g := gaps(k.of(dingtalk.FeedConversations))
	if len(g) != 1 || g[0].Extra.Get("reason") == "" || !g[0].HasTime || !g[0].Time.Time.Equal(now) || len(gaps(k.of("directory"))) != 0 {
		t.Errorf("gaps: %+v", g)
	}
	s.MadeUp("directory", now.Add(6*time.Minute)) // a round that began too early
	if m := s.Missing(); len(m) != len(dingtalk.Pushed()) {
		t.Errorf("%+v", m)
	}
	for _, feed := range dingtalk.Pushed() {
		s.MadeUp(feed, now.Add(7*time.Minute))
	}
	if m := s.Missing(); len(m) != 0 || !s.Since().Equal(now.Add(7*time.Minute)) {
		t.Errorf("%+v, since %s", m, s.Since())
	}
}

func TestWhatWasLostBeforeTheProgramBeganIsAFact(t *testing.T) {
	f, k := newPushing(t), &kept{}
	s := f.run(k, func(_ *dingtalk.Config, o *dingtalk.StreamOptions) {
		o.Since, o.Feeds = now.Add(-time.Hour), []string{"reads", "directory"}
	})
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	l.acked("m1")
	m := s.Missing()
	if len(m) != 2 || m[0].Feed != "reads" || !m[0].From.Equal(now.Add(-time.Hour)) {
		t.Errorf("%+v", m)
	}
	if len(gaps(k.of("reads"))) != 1 || len(k.of(dingtalk.FeedConversations)) != 0 {
		t.Errorf("%+v", k.records)
	}
}

// Whoever watches the Stream stores [dingtalk.Stream.Since] at any moment, and may be killed right after.
func TestALossCountsAsToldWhenTheFactIsDurable(t *testing.T) {
	before := now.Add(-48 * time.Hour)
	for _, full := range []error{nil, errors.New("disk full")} {
		f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1), told: make(chan struct{}, 1), fail: full}
		s := f.run(k, func(_ *dingtalk.Config, o *dingtalk.StreamOptions) { o.Since = before })
		<-k.begun // the fact is being kept
		missing := s.Missing()
		if len(missing) != len(dingtalk.Pushed()) {
			t.Fatalf("%+v", missing)
		}
		for _, m := range missing { // noticed, or pulled, meanwhile
			s.MadeUp(m.Feed, m.To)
		}
		if since := s.Since(); !since.Equal(before) {
			t.Errorf("since %s, and the loss from %s on is no fact", since, before)
		}
		close(k.hold)
		if full != nil {
			if err := s.end(); !errors.Is(err, full) || !s.Since().Equal(before) {
				t.Errorf("%v, since %s although the loss could not be kept", err, s.Since())
			}
			continue
		}
		l := f.link()
		l.send(frameOf("m1", "user_add_org", "e1", exempted)) // connections are read when the loss before them is durable
		l.acked("m1")
		if since := s.Since(); !since.Equal(now) || len(gaps(k.of(dingtalk.FeedEvents))) != 1 {
			t.Errorf("since %s, %+v", since, k.records)
		}
	}
}

func TestALossThatGrewIsAnotherFact(t *testing.T) {
	keys := map[string]bool{}
	for _, later := range []time.Duration{0, time.Minute, time.Minute} { // killed before it was noted up to when nothing is missing
		f, k := newPushing(t), &kept{told: make(chan struct{}, 1)}
		f.run(k, func(cfg *dingtalk.Config, o *dingtalk.StreamOptions) {
			o.Since, cfg.Now = now.Add(-time.Hour), func() time.Time { return now.Add(later) }
		})
		k.until(t, "the loss", func() bool { return len(gaps(k.of(dingtalk.FeedEvents))) == 1 })
		keys[gaps(k.of(dingtalk.FeedEvents))[0].Key] = true
	}
	if len(keys) != 2 {
		t.Errorf("two losses, one of them told twice: %v", keys)
	}
}

func TestNothingThatIsNotDurableCountsAsReceived(t *testing.T) {
	f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	clock := make(chan time.Time, 1)
	clock <- now
	s := f.run(k, func(cfg *dingtalk.Config, _ *dingtalk.StreamOptions) {
		cfg.Now = func() time.Time { n := <-clock; clock <- n; return n }
	})
	l := f.link()
	l.send(system("p0", "ping", `{"opaque":"o"}`))
	l.reply()
	<-clock
	clock <- now.Add(time.Minute)
	l.send(said("m1", "msg-1"))
	<-k.begun
	l.send(system("p1", "ping", `{"opaque":"o"}`))
	l.reply()
	if since := s.Since(); !since.Equal(now) {
		t.Errorf("since %s although a message is not durable", since)
	}
	close(k.hold)
	l.reply()
	if since := s.Since(); !since.Equal(now.Add(time.Minute)) {
		t.Errorf("since %s", since)
	}
}

func TestAConnectionThatEndsIsReplacedBeforeItEnds(t *testing.T) {
	f, k := newPushing(t), &kept{}
	s := f.run(k)
	old := f.link()
	old.send(system("d1", "disconnect", `{"reason":"deploy"}`))
	l := f.link() // while the old one is open
	l.send(frameOf("m2", "user_add_org", "e2", exempted))
	l.acked("m2")
	old.send(frameOf("m1", "user_add_org", "e1", exempted))
	old.acked("m1") // and not the goodbye
	old.close()
	if m := s.Missing(); len(m) != 0 || k.count("event/e1/user001") != 1 || k.count("event/e2/user001") != 1 {
		t.Errorf("%+v %+v", m, k.records)
	}
}

func TestALossIsAFactAlthoughAnOldConnectionIsStillOpen(t *testing.T) {
	f, k := newPushing(t), &kept{}
	s := f.run(k)
	old := f.link()
	old.send(system("d1", "disconnect", `{"reason":"deploy"}`))
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	l.acked("m1")
	l.close()
	l = f.link()
	l.send(frameOf("m2", "user_add_org", "e2", exempted))
	l.acked("m2")
	if m := s.Missing(); len(m) != len(dingtalk.Pushed()) {
		t.Errorf("%+v", m)
	}
	old.close()
	l.send(frameOf("m3", "user_add_org", "e3", exempted))
	l.acked("m3")
	if !s.State().Connected {
		t.Error("an old connection that ends takes the new one with it")
	}
}

func TestALossIsAFactAlthoughKeepingIsSlow(t *testing.T) {
	f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1), told: make(chan struct{}, 1)}
	s := f.run(k)
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	<-k.begun
	l.close()
	f.link()
	for s.State().Opened < 2 { // while what the first one brought is not durable
		<-time.After(time.Millisecond)
	}
	close(k.hold)
	k.until(t, "the loss", func() bool { return len(gaps(k.of(dingtalk.FeedEvents))) == 1 })
	if m := s.Missing(); len(m) != len(dingtalk.Pushed()) {
		t.Errorf("%+v", m)
	}
}

func TestTheStateIsToldWhileKeepingIsSlow(t *testing.T) {
	f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	s := f.run(k)
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	<-k.begun
	told := make(chan dingtalk.StreamState, 1)
	go func() { told <- s.State() }()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("whoever watches waits until something is durable")
	}
	close(k.hold)
	l.acked("m1")
}

func TestWhatWasSaidIsKeptAlthoughTheConnectionBroke(t *testing.T) {
	f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	s := f.run(k)
	l := f.link()
	l.send(said("m0", "msg-0"))
	<-k.begun
	l.send(said("m1", "msg-1"))
	l.send(system("p", "ping", `{"opaque":"o"}`))
	l.reply() // all was read
	l.close()
	f.link()
	s.stop() // also when the program ends
	close(k.hold)
	if err := s.end(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if k.count("msg-0") != 1 || k.count("msg-1") != 1 {
		t.Errorf("%+v", k.records)
	}
	if dump := stacks(); strings.Contains(dump, "dingtalk.(*Stream)") {
		t.Errorf("goroutines are left:\n%s", dump)
	}
}

func TestWhatWasReceivedIsAcknowledgedWhenTheProgramEnds(t *testing.T) {
	f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	s := f.run(k)
	l := f.link()
	l.send(frameOf("m0", "user_add_org", "e0", exempted))
	<-k.begun
	s.stop()
	for range 20 { // until then the connection lives
		l.send(system("p", "ping", `{"opaque":"o"}`))
		l.reply()
	}
	close(k.hold)
	l.acked("m0")
	if err := s.end(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

func TestNothingMoreIsReadWhileNothingCanBeKept(t *testing.T) {
	f, k := newPushing(t), &kept{hold: make(chan struct{}), begun: make(chan struct{}, 1)}
	s := f.run(k)
	l := f.link()
	const many = 1000
	go func() {
		for n := range many {
			l.send(frameOf(fmt.Sprint("m", n), "user_modify_org", fmt.Sprint("e", n), `{"timeStamp":"1795147100000","userId":["user001"],"diffInfo":{"x":"`+strings.Repeat("y", 5000)+`"}}`))
		}
	}()
	<-k.begun
	close(k.hold)
	for n := range many {
		l.acked(fmt.Sprint("m", n))
	}
	if n := len(k.of("directory")); n != many || s.State().Counts.Kept != many {
		t.Errorf("kept %d, %+v", n, s.State().Counts)
	}
}

func TestADeadConnectionIsGivenUp(t *testing.T) {
	f, k := newPushing(t), &kept{}
	f.run(k, func(_ *dingtalk.Config, o *dingtalk.StreamOptions) { o.Beat = 20 * time.Millisecond })
	f.link() // nobody reads it, so that nothing is answered
	f.link()
}

func TestOddFramesAreGapsAndTheStreamGoesOn(t *testing.T) {
	f, k := newPushing(t), &kept{}
	s := f.run(k)
	l := f.link()
	l.send(`{"type":"EVENT"`)
	l.send(`[]`)
	l.send(`{"specVersion":"1.0","type":"EVENT","headers":{"topic":"*","messageId":"big","eventType":"bpms_task_change","eventId":"ebig"},"data":"` + strings.Repeat("x", 5<<20) + `"}`)
	l.acked("big")
	l.send(frameOf("m1", "robot_msg_read", "e1", `{"userId":{"odd":1}}`))
	l.acked("m1")
	l.send(frameOf("m2", "attendance_check_record", "e2", `{"dataList":[{"userId":["odd"],"address":"canary-place"}]}`))
	l.acked("m2")
	l.send(frameOf("m3", "bpms_task_change", "e3", `not json`))
	l.acked("m3")
	l.send(`{"specVersion":"1.0","type":"CALLBACK","headers":{"topic":"/v1.0/card/instances/callback","messageId":"m4"},"data":"{}"}`)
	if r := l.reply(); r.Code != 404 || r.Headers["messageId"] != "m4" {
		t.Errorf("%+v", r)
	}
	l.send(frameOf("m5", "user_add_org", "e5", exempted))
	l.acked("m5")
	c := s.State().Counts
	if c.Odd != 6 || len(gaps(k.of(dingtalk.FeedEvents))) != 4 || len(gaps(k.of("reads"))) != 1 || len(gaps(k.of("attendance"))) != 1 {
		t.Errorf("%+v %+v", c, k.records)
	}
	for _, g := range gaps(k.of("attendance")) {
		if strings.Contains(string(g.Raw), "canary-place") {
			t.Error("where somebody stood is kept")
		}
	}
}

func TestDeliveriesAreCountedByJob(t *testing.T) {
	f, k := newPushing(t), &kept{}
	budget := dingtalk.NewBudget(dingtalk.QuotaOf(dingtalk.Standard), dingtalk.Usage{}, nil, func() time.Time { return now })
	s := f.run(k, func(cfg *dingtalk.Config, o *dingtalk.StreamOptions) {
		cfg.Budget, o.Feeds = budget, []string{"directory", "reads"}
	})
	l := f.link()
	l.send(frameOf("m1", "user_add_org", "e1", exempted))
	l.acked("m1")
	l.send(said("m2", "msg-1"))
	l.reply()
	l.send(frameOf("m3", "blackboard_sent", "e3", `{"blackboardId":"b1"}`))
	l.acked("m3")
	u := budget.Usage()
	if u.Delivered() != 2 || u.Deliveries[dingtalk.JobConversations] != 1 || u.Deliveries[dingtalk.JobNotices] != 1 || u.Calls[dingtalk.JobStream] != 1 {
		t.Errorf("%+v", u)
	}
	if len(k.of(dingtalk.FeedConversations)) != 0 || len(k.of("notices")) != 0 || s.State().Counts.Off != 2 {
		t.Errorf("of feeds that are off: %+v", k.records)
	}
	l.send(`{"specVersion":"1.0","type":"EVENT","headers":{"topic":"*","messageId":"m4","eventType":"robot_msg_read","eventId":"e4"},"data":"{\"errCode\":20001}"}`)
	l.acked("m4")
	if u = budget.Usage(); u.Delivered() != 3000 {
		t.Errorf("spent: %+v", u)
	}
	if m := s.Missing(); len(m) != 2 || s.State().Counts.Empty != 1 {
		t.Errorf("an event without its content is not known to be missing: %+v", m)
	}
	gaps := k.of("reads") // which no call makes up for in full
	if len(gaps) != 1 || gaps[0].Type != guia.SourceGap || !strings.Contains(gaps[0].Extra.Get("reason"), "deliveries are spent") || !strings.Contains(gaps[0].Text, now.Truncate(time.Hour).Format(time.RFC3339)) {
		t.Errorf("the loss is no fact: %+v", gaps)
	}
}

func TestEventsOfAnotherOrganisationAreNotKept(t *testing.T) {
	f, k := newPushing(t), &kept{}
	s := f.run(k)
	l := f.link()
	l.send(strings.Replace(frameOf("m1", "user_add_org", "e1", exempted), "dingcorp1", "dingother", 1))
	l.acked("m1")
	if s.State().Counts.Foreign != 1 || k.pages != 0 {
		t.Errorf("%+v", k.records)
	}
}

func TestTheStreamSaysWhyItCannotOpen(t *testing.T) {
	for _, c := range []struct {
		answer any
		ends   bool
	}{
		{400, true}, // key and secret are wrong
		{`{"endpoint":"ws://example.com/connect","ticket":"canary-ticket"}`, false},
		{`{"endpoint":"http://127.0.0.1/","ticket":"canary-ticket"}`, false},
		{`{"endpoint":"ws://127.0.0.1:1/","ticket":"canary-ticket"}`, false},
		{`{"endpoint":"","ticket":""}`, false},
	} {
		f, k := newPushing(t), &kept{}
		f.answer["/v1.0/gateway/connections/open"] = func(request) any { return c.answer }
		s := f.run(k)
		if c.ends {
			if err := s.end(); guia.KindOf(err) != guia.Invalid || strings.Contains(err.Error(), secret) {
				t.Errorf("%v: %v", c.answer, err)
			}
			continue
		}
		for range 3 {
			<-f.pauses
		}
		s.stop()
		if err := s.end(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if st := s.State(); st.Connected || st.Failed < 3 {
			t.Errorf("%+v", st)
		}
	}
}

func TestPausesGrowAndAreNotTheSameForAll(t *testing.T) {
	f, k := newPushing(t), &kept{}
	f.answer["/v1.0/gateway/connections/open"] = func(request) any { return `{"endpoint":"ws://127.0.0.1:1/","ticket":"x"}` }
	f.run(k, func(cfg *dingtalk.Config, _ *dingtalk.StreamOptions) {
		cfg.Budget = dingtalk.NewBudget(dingtalk.Quota{Calls: 1, Deliveries: 1, QPS: 1_000_000_000}, dingtalk.Usage{}, nil, cfg.Now)
	})
	most := time.Second
	for n := range 14 {
		d := <-f.pauses
		for d < 100*time.Millisecond { // the pace of calls
			d = <-f.pauses
		}
		if d < most/2 || d > most {
			t.Errorf("pause %d: %s of %s", n, d, most)
		}
		most = min(2*most, 5*time.Minute)
	}
}
