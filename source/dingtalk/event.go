package dingtalk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"guia"
	"guia/source"
)

// Feeds that are pushed and that no call pulls. What is lost of them is lost.
const (
	FeedConversations = "conversations" // what is said to the robot, and who comes and goes in groups
	FeedEvents        = "events"        // everything that belongs to no other feed
)

// Pushed are the names of the feeds that events belong to, also those that are pulled ([Feeds]).
func Pushed() []string {
	return []string{
		FeedConversations, feedReads.name, feedDirectory.name, feedNotices.name, feedAttendance.name, feedMeetings.name, feedDrive.name,
		feedRoster.name, FeedEvents,
	}
}

// PushOptions say what becomes of what DingTalk delivers.
type PushOptions struct {
	// Feeds are the names of the feeds that are on. What belongs to another one is counted, acknowledged and not kept.
	Feeds []string

	// Keep stores records of a feed and returns once they are durable. Only then is a delivery acknowledged. It is called by one
	// goroutine at a time. Records that it knows it stores once, as package intake does. An error ends the receiving:
	// it is what [Stream.Run] returns, and [Callback.Err].
	Keep func(ctx context.Context, feed string, records []source.Record) error

	// Sent says how the company sent the thing with that key, so that its readers are the same fact when they are pulled; nil, or false
	// when it was not the company: it then goes by whether there is a group.
	Sent func(ctx context.Context, key string) (SentKind, bool)
}

// push is one thing that DingTalk delivered.
type push struct {
	via   string // EVENT or CALLBACK of the Stream; HTTP
	topic string // the name of the event, or the topic of the callback
	id    string // by which a delivery that comes again is known
	born  text   // when it happened: milliseconds
	corp  string
	data  []byte
	peer  string

	odd   string // why it cannot be read
	empty bool   // the month's deliveries are spent: it came without its content (1.5)
}

// robotTopic is the callback by which messages to the robot come.
const robotTopic = "/v1.0/im/bot/messages/get"

// inbox turns deliveries into records and keeps them. It may be used concurrently.
type inbox struct {
	c   *Client
	opt PushOptions

	keeping sync.Mutex // one keeps at a time, however long it takes
	seen    recent     // of what is durable

	mu   sync.Mutex
	told PushCounts
}

// PushCounts say what became of deliveries since the program began.
type PushCounts struct {
	Delivered int64 `json:"delivered"`
	Kept      int64 `json:"kept"`    // deliveries whose records are durable
	Again     int64 `json:"again"`   // known deliveries that came again
	Off       int64 `json:"off"`     // of feeds that are off
	Foreign   int64 `json:"foreign"` // of another organisation: not kept
	Odd       int64 `json:"odd"`     // that could not be read: kept as gaps
	Empty     int64 `json:"empty"`   // without content, because the month's deliveries are spent
	Refused   int64 `json:"refused"` // posts to our address that DingTalk did not sign
}

func newInbox(c *Client, opt PushOptions) (*inbox, error) {
	if opt.Keep == nil {
		return nil, guia.Refuse(guia.Invalid, "dingtalk.stream_incomplete")
	}
	for _, name := range opt.Feeds {
		if !slices.Contains(Pushed(), name) {
			return nil, guia.Refuse(guia.Invalid, "dingtalk.stream_no_feed", name)
		}
	}
	return &inbox{c: c, opt: opt}, nil
}

func (b *inbox) counts() PushCounts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}

func (b *inbox) count(n PushCounts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &b.told
	t.Delivered += n.Delivered
	t.Kept += n.Kept
	t.Again += n.Again
	t.Off += n.Off
	t.Foreign += n.Foreign
	t.Odd += n.Odd
	t.Empty += n.Empty
	t.Refused += n.Refused
}

func (b *inbox) isOn(feed string) bool { return slices.Contains(b.opt.Feeds, feed) }

// take keeps deliveries. When it returns nil, what they told is durable and they may be acknowledged; on an error some of it may be, and
// they are delivered again. After a crash it is the same.
func (b *inbox) take(ctx context.Context, deliveries []push) error {
	b.keeping.Lock()
	defer b.keeping.Unlock()
	n := PushCounts{Delivered: int64(len(deliveries))}
	defer func() { b.count(n) }()
	paid := map[Job]int{}
	for _, p := range deliveries {
		if !isExempt(p.topic) {
			paid[jobOf(p.topic)]++
		}
	}
	for job, n := range paid { // 1: they were delivered, whatever becomes of them
		if _, err := b.c.cfg.Budget.Deliver(job, n); err != nil {
			return err
		}
	}
	feeds := map[string][]source.Record{}
	var fresh []string
	kept := int64(0)
	for _, p := range deliveries { // 2: into records; nothing is stored
		name := p.topic + "\n" + p.id
		switch {
		case p.empty:
			n.Empty++
			if err := b.c.cfg.Budget.undelivered(); err != nil {
				return err
			}
			continue
		case p.id != "" && (b.seen.has(name) || slices.Contains(fresh, name)):
			n.Again++
			continue
		case p.corp != "" && p.corp != b.c.cfg.CorpID:
			n.Foreign++
			continue
		}
		feed := feedOf(p.topic)
		if !b.isOn(feed) || slices.Contains(neverKept, p.topic) {
			n.Off++
			continue
		}
		records := b.records(ctx, feed, &p)
		if len(records) == 1 && records[0].Type == guia.SourceGap {
			n.Odd++
		}
		feeds[feed] = append(feeds[feed], records...)
		kept++
		if p.id != "" {
			fresh = append(fresh, name)
		}
	}
	for _, feed := range Pushed() { // 3: durable, feed by feed
		if len(feeds[feed]) == 0 {
			continue
		}
		if err := b.opt.Keep(ctx, feed, feeds[feed]); err != nil {
			return err
		}
	}
	n.Kept = kept
	for _, name := range fresh { // 4: known from now on
		b.seen.add(name)
	}
	return nil
}

// gapTime is how the ends of a gap stand in its key: after a crash the same gap may be told again, and a longer one is another.
const gapTime = "20060102T150405.000"

// lost keeps the fact that deliveries were lost, for the feeds that are on and that no call makes up for.
func (b *inbox) lost(ctx context.Context, from, to time.Time, why string) error {
	b.keeping.Lock()
	defer b.keeping.Unlock()
	for _, feed := range []string{FeedConversations, feedReads.name, FeedEvents} {
		if !b.isOn(feed) {
			continue
		}
		said, _ := json.Marshal(map[string]string{"from": from.Format(time.RFC3339), "to": to.Format(time.RFC3339), "why": why}) // plain values
		r := b.at(feed).record(guia.SourceGap, "gap/stream/"+from.UTC().Format(gapTime)+"-"+to.UTC().Format(gapTime), said, &answer{api: &endpoint{method: "EVENT", path: "*"}})
		inMillis(&r, number(from.UnixMilli()))
		r.Text = lines("from", from.Format(time.RFC3339), "to", to.Format(time.RFC3339))
		r.Extra.Set("reason", why)
		if err := b.opt.Keep(ctx, feed, []source.Record{r}); err != nil {
			return err
		}
	}
	return nil
}

// at is the place of a feed's records.
func (b *inbox) at(name string) *Source { return &Source{c: b.c, feed: &feed{name: name}} }

// feedOf is the feed whose facts an event tells, by its exact name or by what it begins with.
func feedOf(topic string) string {
	switch topic {
	case robotTopic, "isw_user_msg_received":
		return FeedConversations
	case "robot_msg_read", "robot_msg_recall":
		return feedReads.name
	case "leave_quota_update", "leave_rule_change", "check_in", "watermark_check_in":
		return feedAttendance.name
	}
	for _, f := range []struct{ begins, feed string }{
		{"user_", feedDirectory.name},
		{"org_dept_", feedDirectory.name},
		{"org_admin_", feedDirectory.name},
		{"org_change", feedDirectory.name},
		{"org_remove", feedDirectory.name},
		{"label_", feedDirectory.name},
		{"chat_", FeedConversations},
		{"im_cool_app_", FeedConversations},
		{"attend", feedAttendance.name},
		{"blackboard_", feedNotices.name},
		{"storage_", feedDrive.name},
		{"doc_", feedDrive.name},
		{"meeting_", feedMeetings.name},
		{"flash_minutes_", feedMeetings.name},
		{"hrm_", feedRoster.name},
	} {
		if strings.HasPrefix(topic, f.begins) {
			return f.feed
		}
	}
	return FeedEvents
}

// jobOf is what a delivery is spent on.
func jobOf(topic string) Job { return Job(feedOf(topic)) }

// isExempt reports whether DingTalk does not count deliveries of an event (dingtalk-api.md 1.5).
func isExempt(topic string) bool {
	return strings.HasPrefix(topic, "user_") && strings.HasSuffix(topic, "_org") || topic == "org_change" || topic == "check_url" ||
		strings.HasPrefix(topic, "org_dept_") || strings.HasPrefix(topic, "org_admin_") || strings.HasPrefix(topic, "label_")
}

// neverKept are events that tell what nobody may keep unasked: the words that a machine heard in a meeting.
var neverKept = []string{"meeting_asr_result_event"}

// errPush is a delivery that is not what is documented.
var errPush = errors.New("an event that is not what DingTalk documents")

// pushLimits: what a delivery may hold.
const (
	maxFrame      = 4 << 20 // bytes of a frame or post
	maxPushID     = 256
	maxPushedRows = 1000 // people, departments or rows of one event
)

// records reads a delivery. What cannot be read becomes a gap.
func (b *inbox) records(ctx context.Context, feed string, p *push) []source.Record {
	e := &event{push: p, at: b.at(feed), box: b}
	if p.odd == "" {
		records, err := e.read(ctx)
		if err == nil && len(records) > 0 {
			return records
		}
		p.odd = errPush.Error()
	}
	raw := p.data
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	key := p.id
	if key == "" {
		key = digest(raw)
	}
	r := e.record(guia.SourceGap, "gap/event/"+key, trimmed(raw, unkept(p.topic)))
	if !json.Valid(r.Raw) {
		r.RawType = "application/octet-stream"
	}
	r.Extra.Set("reason", p.odd)
	return []source.Record{r}
}

// unkept are the members of an event that are not kept even as received: an address by which anybody may write into a conversation, and
// where somebody stood with what device when clocking in.
func unkept(topic string) []string {
	if feedOf(topic) == feedAttendance.name {
		return []string{
			"address", "latitude", "longitude", "accuracy", "deviceSN", "deviceId", "ssid", "macAddr", "place", "detailPlace", "photoUrl", "imageList",
			"userLatitude", "userLongitude", "userAccuracy", "userAddress", "userSsid", "userMacAddr",
		}
	}
	return []string{"sessionWebhook"}
}

// trimmed returns JSON without members of some names, at any depth; all other values are as received, and all of it where no such name
// stands in it. Of what is no JSON and has such a name nothing is left.
func trimmed(raw []byte, names []string) []byte {
	low := bytes.ToLower(raw)
	named := slices.ContainsFunc(names, func(n string) bool { return bytes.Contains(low, []byte(strings.ToLower(n))) })
	if !named && !bytes.Contains(low, []byte(`\u`)) { // a name may be written in escapes
		return raw
	}
	if json.Valid(raw) {
		if out, ok := trimValue(bytes.TrimSpace(raw), names, 0); ok {
			return out
		}
	}
	return []byte("{}")
}

// mostDepth is how deep the values of an event may lie.
const mostDepth = 20

func trimValue(raw []byte, names []string, depth int) ([]byte, bool) {
	if depth > mostDepth {
		return nil, false
	}
	if raw[0] != '{' && raw[0] != '[' {
		return raw, true
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	out := []byte{raw[0]}
	for dec.More() {
		var name, value json.RawMessage
		gone := false
		if raw[0] == '{' {
			key, err := dec.Token()
			text, isText := key.(string)
			if err != nil || !isText {
				return nil, false
			}
			name, _ = json.Marshal(text) // a string can be written
			gone = slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, text) })
		}
		if err := dec.Decode(&value); err != nil {
			return nil, false
		}
		if gone {
			continue
		}
		inner, ok := trimValue(value, names, depth+1)
		if !ok {
			return nil, false
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		if name != nil {
			out = append(append(out, name...), ':')
		}
		out = append(out, inner...)
	}
	return append(out, raw[0]+2), true // '{' and '}', '[' and ']' are two apart
}

// recent remembers the last names that it was told.
type recent struct {
	set   map[string]bool
	order []string
	at    int
}

// mostRecent: a delivery comes again within minutes; what comes later is known to the ledger by its key.
const mostRecent = 8192

func (r *recent) has(name string) bool { return r.set[name] }

func (r *recent) add(name string) {
	if r.set == nil {
		r.set = map[string]bool{}
	}
	if r.set[name] {
		return
	}
	if len(r.order) < mostRecent {
		r.order = append(r.order, name)
	} else {
		delete(r.set, r.order[r.at])
		r.order[r.at] = name
		r.at = (r.at + 1) % mostRecent
	}
	r.set[name] = true
}
