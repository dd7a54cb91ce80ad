package dingtalk

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"guia"
)

// apiOpen asks for a way in for what is pushed. It takes the application's key and secret, and no token (dingtalk-api.md 13.1).
var apiOpen = &endpoint{method: "POST", path: "/v1.0/gateway/connections/open"}

// StreamOptions say how the Stream is received.
type StreamOptions struct {
	PushOptions

	// Since is [Stream.Since] of the Stream before this one, as it was stored: what was pushed after it may be lost. Zero: there was none.
	Since time.Time

	Beat time.Duration // how often a silent connection is asked whether it lives; 0: 30 seconds
}

// Stream receives what DingTalk pushes, over a connection that we open (dingtalk-api.md 13.1).
//
// A frame is acknowledged when what it told is durable, and not before: DingTalk delivers it again otherwise, and a frame that comes
// again is acknowledged and not kept twice. Messages to the robot are never delivered again; they are kept also when the connection
// broke after they had come. When nothing can be kept for a while, nothing more is read: the frames wait at DingTalk.
//
// A connection that DingTalk closes or that is silent is replaced by another one, after a pause that grows. What may have been lost
// meanwhile is in [Stream.Missing]; of feeds that no call makes up for it is also kept as source.gap.
//
// A Stream holds nothing that must survive a crash but [Stream.Since].
type Stream struct {
	c   *Client
	box *inbox
	opt StreamOptions

	mu      sync.Mutex
	running bool
	live    *websocket.Conn // the newest connection, while it is read: what DingTalk pushes comes here
	heard   time.Time       // when it last lived
	waiting int             // frames that were read and are not durable
	waited  time.Time       // since when there have always been some
	opened  int
	again   int // attempts that failed
	missing map[string]round
	untold  []time.Time // from when on pushes were lost of which the fact is not durable
}

// StreamState is what there is to say about a Stream.
type StreamState struct {
	Connected bool       `json:"connected"`
	Heard     time.Time  `json:"heard"`          // when the connection last lived
	Opened    int        `json:"opened"`         // connections so far
	Failed    int        `json:"failed"`         // attempts to open one since the last that succeeded
	Counts    PushCounts `json:"counts"`         // what became of deliveries
	Since     time.Time  `json:"since,omitzero"` // up to when nothing is missing
}

// Missing is a feed of which events may have been lost. Where Pulled, a round of the feed that begins after To and reaches back to From
// brings the facts; it is told to [Stream.MadeUp].
type Missing struct {
	Feed     string
	From, To time.Time
	Pulled   bool
}

// NewStream checks the options and calls nothing. It refuses (invalid) feeds that do not exist and options without Keep.
func NewStream(c *Client, opt StreamOptions) (*Stream, error) {
	box, err := newInbox(c, opt.PushOptions)
	if err != nil {
		return nil, err
	}
	if opt.Beat <= 0 {
		opt.Beat = 30 * time.Second
	}
	return &Stream{c: c, box: box, opt: opt, heard: opt.Since, missing: map[string]round{}}, nil
}

// The pauses between connections: they grow from the first to the last, and half of each is left to chance, so that not all clients of a
// broken machine come back at once.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Minute
	// steady is how long a connection lasts after which the next pause is a first one again.
	steady = time.Minute
	// farewell is how long a connection is read that DingTalk is about to close; it says 10 seconds.
	farewell = 15 * time.Second
	// lastAnswers is how long the connection is kept open for acknowledgements after the context has ended.
	lastAnswers = 5 * time.Second
	// keepTime is how long keeping may take after the context has ended.
	keepTime = 30 * time.Second
)

// Run receives until the context ends, or until something needs a person: key and secret are not accepted, a permission is missing, or
// [PushOptions.Keep] failed, whose error is returned. When it returns, no goroutine of it is left; what had been received is kept and was
// acknowledged, or, when that could not be within seconds, was not acknowledged. It is called once at a time.
func (s *Stream) Run(ctx context.Context) error {
	s.mu.Lock()
	busy := s.running
	s.running = true
	s.mu.Unlock()
	if busy {
		return guia.Refuse(guia.Conflict, "dingtalk.stream_running")
	}
	defer func() {
		s.mu.Lock()
		s.running = false
		s.mu.Unlock()
	}()
	ctx, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop(nil)
	for tries := 0; ; tries++ {
		begun := s.c.cfg.Now()
		conn, peer, err := s.connect(ctx)
		if err == nil {
			if err = s.up(ctx, conn); err == nil {
				next := make(chan struct{})
				wg.Go(func() {
					var once sync.Once
					if err := s.serve(ctx, conn, peer, func() { once.Do(func() { close(next) }) }); err != nil {
						stop(err)
					}
					once.Do(func() { close(next) })
				})
				select {
				case <-next:
				case <-ctx.Done():
				}
			} else {
				_ = conn.CloseNow() // nothing was read
				stop(err)
			}
		} else if ctx.Err() == nil && guia.KindOf(err) != guia.Upstream {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.c.cfg.Now().Sub(begun) >= steady {
			tries = 0
		}
		if err := s.c.cfg.Wait(ctx, pause(tries)); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// pause is how long to wait before the next connection.
func pause(tries int) time.Duration {
	d := lastPause
	if tries < 10 {
		d = min(d, firstPause<<tries)
	}
	return d/2 + rand.N(d/2)
}

// connect opens a connection with a new ticket: each is good for one, and for 90 seconds.
func (s *Stream) connect(ctx context.Context) (conn *websocket.Conn, peer string, err error) {
	type topic struct {
		Kind  string `json:"type"`
		Topic string `json:"topic"`
	}
	ans, err := s.c.call(ctx, JobStream, apiOpen, args{body: map[string]any{
		"clientId": s.c.cfg.AppKey, "clientSecret": string(s.c.cfg.AppSecret), "ua": "Guia/" + Version,
		"subscriptions": []topic{{kindEvent, "*"}, {kindCallback, robotTopic}},
	}})
	if err != nil {
		s.failed()
		return nil, "", err
	}
	var way struct {
		Endpoint text `json:"endpoint"`
		Ticket   text `json:"ticket"`
	}
	if err := read(ans.body, &way); err != nil || way.Ticket == "" {
		s.failed()
		return nil, "", (&Fault{Kind: Unexpected, API: apiOpen.String(), Request: ans.request}).refusal()
	}
	u, err := wayIn(string(way.Endpoint), s.c.api)
	if err != nil {
		s.failed()
		return nil, "", err
	}
	q := u.Query()
	q.Set("ticket", string(way.Ticket))
	u.RawQuery = q.Encode()
	client := &http.Client{Transport: s.c.http.Transport, CheckRedirect: s.c.http.CheckRedirect, Timeout: time.Minute}
	conn, res, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // the library says it never needs to be
	if err != nil {
		s.failed()
		return nil, "", (&Fault{Kind: Busy, API: "websocket " + u.Hostname()}).refusal() // its text has the ticket in it
	}
	conn.SetReadLimit(-1) // serve has its own
	return conn, peerOf(res), nil
}

// wayIn checks the address of the websocket: it is encrypted, but on this machine when the calls are not either.
func wayIn(endpoint string, api *url.URL) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, guia.Refuse(guia.Upstream, "dingtalk.stream_address", "?")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	here := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	if u.Scheme != "wss" && (u.Scheme != "ws" || !here || api.Scheme != "http") {
		return nil, guia.Refuse(guia.Upstream, "dingtalk.stream_address", u.Scheme+"://"+u.Host)
	}
	return u, nil
}

// up notes that there is a connection, and what was lost while there was none. A connection that DingTalk is about to close is read until
// its successor is there, and then no longer counts: when the successor ends, something may be lost.
func (s *Stream) up(ctx context.Context, conn *websocket.Conn) error {
	now := s.c.cfg.Now()
	s.mu.Lock()
	s.again, s.opened = 0, s.opened+1
	from, lost := s.heard, s.live == nil && !s.heard.IsZero()
	s.live, s.heard = conn, now
	if lost {
		s.miss(from, now)
	}
	s.mu.Unlock()
	if !lost {
		return nil
	}
	if err := s.box.lost(ctx, from, now, "no connection to DingTalk: of what was pushed meanwhile messages to the robot are lost, and events may be"); err != nil {
		s.down(conn)
		return err
	}
	s.told(from)
	return nil
}

// miss notes that events may be lost. Until [Stream.told] is told that the fact is durable, [Stream.Since] lies no later than from, whatever
// is made up for. The caller holds the lock.
func (s *Stream) miss(from, to time.Time) {
	s.untold = append(s.untold, from)
	for _, feed := range s.opt.Feeds {
		r, ok := s.missing[feed]
		if !ok || from.Before(r.from) {
			r.from = from
		}
		s.missing[feed] = round{r.from, later(r.to, to)}
	}
}

// told notes that the fact of a loss is durable.
func (s *Stream) told(from time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.untold, from); i >= 0 {
		s.untold = slices.Delete(s.untold, i, i+1)
	}
}

// down notes that a connection is no longer read.
func (s *Stream) down(conn *websocket.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == conn {
		s.live = nil
	}
}

func (s *Stream) failed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again++
}

// hear notes that a connection lives.
func (s *Stream) hear(conn *websocket.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == conn {
		s.heard = later(s.heard, s.c.cfg.Now())
	}
}

// wait notes that so many frames more, or less, wait to be kept. Of a frame that was read it is told before [Stream.hear], so that there
// is no moment at which [Stream.Since] lies behind a frame that is not durable.
func (s *Stream) wait(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == 0 {
		s.waited = s.heard
	}
	s.waiting += n
}

// Missing are the feeds that are on and of which events may have been lost.
func (s *Stream) Missing() (out []Missing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for feed, r := range s.missing {
		out = append(out, Missing{feed, r.from, r.to, slices.Contains(Feeds(), feed)})
	}
	slices.SortFunc(out, func(a, b Missing) int { return slices.Index(Pushed(), a.Feed) - slices.Index(Pushed(), b.Feed) })
	return out
}

// MadeUp notes that a round of the feed that began at that time has been pulled whole, or, of a feed that is not pulled, that the loss was
// taken note of. It may be told before the fact of the loss is durable: [Stream.Since] waits for that by itself.
func (s *Stream) MadeUp(feed string, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.missing[feed]; ok && !began.Before(r.to) {
		delete(s.missing, feed)
	}
}

// Since is up to when nothing is missing that has not been made up for; a loss that no call makes up for counts as made up for when the
// fact of it is durable, and not before. It is stored now and then, and handed to the next Stream; an older value makes more be pulled
// again, and nothing be lost.
func (s *Stream) Since() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.heard
	for _, from := range s.untold {
		if from.Before(since) {
			since = from
		}
	}
	if s.waiting > 0 && s.waited.Before(since) {
		since = s.waited
	}
	for _, r := range s.missing {
		if r.from.Before(since) {
			since = r.from
		}
	}
	return since
}

// State says how it goes. It may be called concurrently.
func (s *Stream) State() StreamState {
	since, counts := s.Since(), s.box.counts()
	s.mu.Lock()
	defer s.mu.Unlock()
	return StreamState{Connected: s.live != nil, Heard: s.heard, Opened: s.opened, Failed: s.again, Counts: counts, Since: since}
}

// Limits on what waits to be kept.
const (
	queued     = 256      // frames
	batchBytes = 4 << 20  // kept at once
	maxSkipped = 64 << 20 // of a frame that is too large; of a larger one the connection is given up
)

// serve reads a connection to its end. It returns an error only when something could not be kept; everything that was read is kept before
// it returns. leave is called when the connection is about to end.
func (s *Stream) serve(ctx context.Context, conn *websocket.Conn, peer string, leave func()) error {
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	var unanswered atomic.Int64 // frames that were read and are not acknowledged
	answered := func(n int) {
		if unanswered.Add(-int64(n)) == 0 && ctx.Err() != nil {
			stop()
		}
	}
	// To the end belongs that what was read is kept and acknowledged: ending the reading closes the connection.
	defer context.AfterFunc(ctx, func() {
		if unanswered.Load() == 0 {
			stop()
			return
		}
		time.AfterFunc(lastAnswers, stop)
	})()
	frames := make(chan *frame, queued)
	var full atomic.Bool // nothing more is read until something was kept
	var kept error
	var wg sync.WaitGroup
	wg.Go(func() {
		if kept = s.keep(ctx, reading, conn, peer, frames, answered); kept != nil {
			stop()
			for range frames { // the reader may wait
			}
		}
	})
	wg.Go(func() { s.beat(reading, stop, conn, &full) })
	end := time.AfterFunc(time.Hour, stop)
	end.Stop() // until DingTalk says goodbye
	defer end.Stop()
	for {
		raw, err := readFrame(reading, conn)
		if err != nil {
			break
		}
		f := parseFrame(raw)
		if f.isKept() {
			unanswered.Add(1)
			s.wait(1)
		}
		s.hear(conn)
		switch {
		case f.kind == kindSystem && f.topic == "ping":
			_ = send(reading, conn, f.reply(codeOK, "OK", string(f.data))) // when it fails, so does the next read
			continue
		case f.kind == kindSystem && f.topic == "disconnect":
			leave()
			end.Reset(farewell)
			continue
		case f.kind == kindSystem:
			continue
		case !f.isKept():
			_ = send(reading, conn, f.reply(codeNoHandler, "no handler", `{"response":null}`)) // likewise
			continue
		}
		select {
		case frames <- &f:
		default:
			full.Store(true)
			frames <- &f
			full.Store(false)
		}
	}
	stop()
	s.down(conn) // before the next one is opened, however long keeping takes
	leave()
	close(frames)
	wg.Wait()
	_ = conn.CloseNow() // it is over
	return kept
}

// readFrame reads one message, of a larger one than is taken the beginning.
func readFrame(ctx context.Context, conn *websocket.Conn) ([]byte, error) {
	_, r, err := conn.Reader(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxFrame+1))
	if err != nil || len(raw) <= maxFrame {
		return raw, err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxSkipped))
	if err == nil && n == maxSkipped {
		err = io.ErrShortBuffer
	}
	return raw, err
}

// keep keeps frames, as many at once as there are, and then acknowledges them as long as the connection is read. A frame that was read is
// kept also when the connection or the context ends.
func (s *Stream) keep(ctx, reading context.Context, conn *websocket.Conn, peer string, frames <-chan *frame, answered func(n int)) error {
	for f := range frames {
		batch, size := []*frame{f}, len(f.data)
	more:
		for size < batchBytes {
			select {
			case next, ok := <-frames:
				if !ok {
					break more
				}
				batch, size = append(batch, next), size+len(next.data)
			default:
				break more
			}
		}
		if err := s.keepBatch(ctx, peer, batch); err != nil {
			return err
		}
		s.wait(-len(batch))
		for _, f := range batch { // only now
			if f.message != "" {
				_ = send(reading, conn, f.done()) // without an answer it comes again and is known
			}
		}
		answered(len(batch))
	}
	return nil
}

func (s *Stream) keepBatch(ctx context.Context, peer string, batch []*frame) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	deliveries := make([]push, len(batch))
	isSpent := false
	for i, f := range batch {
		deliveries[i] = f.push(peer)
		isSpent = isSpent || f.empty
	}
	if err := s.box.take(ctx, deliveries); err != nil || !isSpent {
		return err
	}
	return s.spent(ctx)
}

// spent notes that an event came without its content. What that loses is a fact of each hour in which it happens.
func (s *Stream) spent(ctx context.Context) error {
	now := s.c.cfg.Now()
	s.mu.Lock()
	s.miss(now, now)
	s.mu.Unlock()
	hour := now.Truncate(time.Hour)
	if err := s.box.lost(ctx, hour, hour.Add(time.Hour), "the month's deliveries are spent: what was pushed came without its content"); err != nil {
		return err
	}
	s.told(now)
	return nil
}

func send(ctx context.Context, conn *websocket.Conn, answer []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, answer)
}

// beat asks a silent connection whether it lives, and gives it up when it does not answer until the next time.
func (s *Stream) beat(ctx context.Context, stop func(), conn *websocket.Conn, full *atomic.Bool) {
	tick := time.NewTicker(s.opt.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if full.Load() {
			continue // it is we who do not read
		}
		wait, cancel := context.WithTimeout(ctx, s.opt.Beat)
		err := conn.Ping(wait)
		cancel()
		switch {
		case err == nil:
			s.hear(conn)
		case !full.Load():
			stop()
			return
		}
	}
}
