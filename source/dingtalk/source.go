// Package dingtalk reads a DingTalk tenant through the Open Platform's interface.
//
// The model. A [Client] speaks the two dialects of the two hosts (dingtalk-api.md 1): it keeps the token, the pace and the [Budget],
// and turns every refusal into one with a remedy. A [Source] is one feed of a tenant; what it reads is cut into rounds. A round
// tells of the time from the end of the round before up to its own beginning: of a log the rows of that time, of a directory or a
// listing everything as it stands. The cursor holds the round, the step of the feed, and DingTalk's own place in a listing.
//
// What DingTalk pushes comes through a [Stream], or to a [Callback] where that cannot be. An event belongs to the feed whose facts it
// tells, and has the stream and, where it is the same fact, the key of what is pulled.
//
// Guarantees. A record has the same key in every round and after every crash, so that package intake stores it once and a changed one as
// its next version. Logs and lists of times are read with an overlap, so that rows that appear late are not lost. A row that cannot
// be read, or a part of a feed that this tenant does not grant, becomes a source.gap with the reason and the rest is read. A call
// that the budget forbids is not made and is told. Tokens, secrets and what people wrote stand in no error and no cursor.
//
// Non-guarantees. A list that is cut by offsets may move while it is read; what then is missed comes with the next round. A user who was
// in the directory and is no more is known by the list of leavers only. The content of conversations is in no feed: no interface
// gives it (dingtalk-api.md 3.1).
package dingtalk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"guia"
	"guia/source"
)

// Name is the registered name of this source.
const Name guia.SourceName = "dingtalk"

// Version is that of the connector; it stands in the field normaliser of every record.
const Version = "1"

// Normaliser is the value for the feed at intake.
const Normaliser = "dingtalk/" + Version

// Options say how a feed is read.
type Options struct {
	Backfill time.Duration // how far the first round looks back; 0: 30 days
	Every    time.Duration // the least time between rounds; 0: the feed's own

	CountRoster bool // for the roster: read values to count them; they are not kept

	// Sent names what the company has sent, for read results. It is called once a round.
	Sent func(ctx context.Context, from, to time.Time) ([]Sent, error)
}

// Source is one feed of a tenant; it implements [source.Source].
type Source struct {
	c      *Client
	feed   *feed
	opt    Options
	closed bool
	memory // of the running round; all of it is read again when it is lost
}

// memory is what steps of one round remember.
type memory struct {
	round   round
	tree    *tree
	users   []string
	kept    map[string]rowsPage // the last page of an outer list, by its step
	sent    []Sent
	hasSent bool
}

// round is the time that a round tells of.
type round struct{ from, to time.Time }

// step is a part of a feed. pull returns the records at a place, and the place that follows; more is false at the end of the step.
type step struct {
	name   string
	needed bool // without it the feed makes no sense: a refusal is one of the whole feed
	pull   func(s *Source, ctx context.Context, place string) (records []source.Record, next string, more bool, err error)
}

// feed is one feed as it is built.
type feed struct {
	name  string
	job   Job
	every time.Duration
	steps []step
}

// Open returns the feed of the client's tenant with that name ([Feeds]). It calls nothing. Several sources may share a client.
func Open(c *Client, name string, opt Options) (*Source, error) {
	i := slices.IndexFunc(feeds, func(f *feed) bool { return f.name == name })
	if i < 0 {
		return nil, guia.Refuse(guia.Invalid, "dingtalk.no_feed", name)
	}
	s := &Source{c: c, feed: feeds[i], opt: opt}
	if s.opt.Backfill <= 0 {
		s.opt.Backfill = 30 * 24 * time.Hour
	}
	if s.opt.Every <= 0 {
		s.opt.Every = s.feed.every
	}
	return s, nil
}

// Feeds are the names of the feeds in the order in which they are best read.
func Feeds() (names []string) {
	for _, f := range feeds {
		names = append(names, f.name)
	}
	return names
}

// Name is "dingtalk".
func (s *Source) Name() guia.SourceName { return Name }

// Instance is the organisation's identifier and the feed.
func (s *Source) Instance() string { return s.c.cfg.CorpID + "/" + s.feed.name }

// Close lets go of what was remembered; the client stays open. Further calls do nothing.
func (s *Source) Close() error {
	s.closed, s.memory = true, memory{}
	return nil
}

// Pull implements [source.Source]. Done means that the round is over, or, where calls were made and no record found, that the rest waits
// for the budget; pulling from the cursor of a finished round begins the next one when it is due.
func (s *Source) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	if s.closed {
		return source.Page{}, guia.RefuseCause(guia.Invalid, os.ErrClosed, "source.closed")
	}
	if err := ctx.Err(); err != nil {
		return source.Page{}, err
	}
	now := s.c.cfg.Now().UTC().Truncate(time.Millisecond)
	at, err := s.parse(after, now)
	if err != nil {
		return source.Page{}, err
	}
	if at.step == len(s.feed.steps) {
		if now.Before(at.to.Add(s.opt.Every)) {
			return s.page(at, nil, true), nil
		}
		at = place{round: round{at.to, now}}
	}
	if s.memory.round != at.round {
		s.memory = memory{round: at.round}
	}
	start := at
	for at.step < len(s.feed.steps) {
		part := s.feed.steps[at.step]
		records, next, more, err := part.pull(s, ctx, at.inner)
		if f := faultIn(err); f != nil && !part.needed && slices.Contains(findings, f.Kind) {
			records, more, err = []source.Record{s.gap(part.name, f)}, false, nil
		}
		if err != nil {
			if isDeferral(err) && at != start {
				return s.page(at, nil, true), nil // what was read is not read again
			}
			return source.Page{}, err
		}
		if more {
			at.inner = next
		} else {
			at.step, at.inner = at.step+1, ""
		}
		if len(records) > 0 {
			return s.page(at, records, at.step == len(s.feed.steps)), nil
		}
	}
	return s.page(at, nil, true), nil
}

// page is a page that ends there; at the end of a round it says of which time the round tells.
func (s *Source) page(at place, records []source.Record, done bool) source.Page {
	p := source.Page{Records: records, Next: at.cursor(), Done: done}
	if at.step == len(s.feed.steps) {
		p.From, p.Until = at.from, at.to
	}
	return p
}

// feeds are all feeds.
var feeds = []*feed{feedDirectory, feedReads, feedNotices, feedFileLog, feedAttendance, feedMeetings, feedDrive, feedRoster}

// findings are the faults that concern one call only: what it would have told is missing, and that is a fact about the tenant.
var findings = []FaultKind{Permission, Scope, Acting, NoEdition, NotFound, BadRequest}

// place is what a cursor says.
type place struct {
	round
	step  int
	inner string // of the step
}

func (p place) cursor() source.Cursor {
	return source.Cursor(fmt.Sprintf("1 %d %d %d %s", p.from.UnixMilli(), p.to.UnixMilli(), p.step, "."+url.QueryEscape(p.inner)))
}

// parse reads a cursor; only what [place.cursor] writes is accepted.
func (s *Source) parse(c source.Cursor, now time.Time) (place, error) {
	if c == "" {
		return place{round: round{now.Add(-s.opt.Backfill), now}}, nil
	}
	bad := source.RefuseCursor()
	parts := strings.Split(string(c), " ")
	if len(parts) != 5 || parts[0] != "1" || !strings.HasPrefix(parts[4], ".") {
		return place{}, bad
	}
	from, err1 := strconv.ParseInt(parts[1], 10, 64)
	to, err2 := strconv.ParseInt(parts[2], 10, 64)
	n, err3 := strconv.Atoi(parts[3])
	inner, err4 := url.QueryUnescape(parts[4][1:])
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || n < 0 || n > len(s.feed.steps) || from > to || n == len(s.feed.steps) && inner != "" {
		return place{}, bad
	}
	p := place{round{time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC()}, n, inner}
	if p.cursor() != c {
		return place{}, bad
	}
	return p, nil
}

// record begins a record of this feed with the bytes of a row and where they came from.
func (s *Source) record(t guia.Type, key string, raw []byte, a *answer) source.Record {
	r := source.Record{
		Key: key, Type: t, Stream: s.Instance(), StreamName: "DingTalk " + s.feed.name, StreamKind: "feed",
		Raw: raw, RawType: "application/json", Origin: a.api.String(),
	}
	if len(key) > 2000 {
		r.Key = key[:2000]
	}
	r.Key = strings.ToValidUTF8(r.Key, "\uFFFD")
	r.Extra.Set("api", a.api.String())
	r.Extra.Set("request", a.request)
	r.Extra.Set("peer", a.peer)
	if a.hasTime {
		r.Extra.Set("clock.offset", strconv.FormatInt(a.offset.Milliseconds(), 10))
	}
	if !utf8.Valid(raw) {
		r.Marks = append(r.Marks, source.MarkBadEncoding)
	}
	return r
}

// gap tells that a part of the feed is not granted to us, or not there.
func (s *Source) gap(part string, f *Fault) source.Record {
	said, _ := json.Marshal(map[string]any{"api": f.API, "kind": f.Kind.String(), "code": f.Code, "status": f.Status, "points": f.Points}) // plain values
	r := s.record(guia.SourceGap, "gap/"+part, said, &answer{api: &endpoint{method: "-", path: part}})
	r.Origin, r.Subject = f.API, f.Kind.String()
	r.Extra.Set("api", f.API)
	r.Extra.Set("request", f.Request)
	r.Text = lines("call", f.API, "kind", f.Kind.String(), "code", f.Code, "permission points", strings.Join(f.Points, ", "))
	r.Extra.Set("reason", f.Kind.String()+" "+f.Code)
	return r
}

// odd tells that a row cannot be read.
func (s *Source) odd(raw []byte, a *answer, n int) source.Record {
	r := s.record(guia.SourceGap, "gap/row/"+digest(raw), raw, a)
	r.Origin = fmt.Sprintf("%s#%d", a.api, n)
	r.Extra.Set("reason", "a row that is not what DingTalk documents")
	return r
}

// each reads rows of one page into records; what cannot be read becomes a gap.
func each[T any](s *Source, p rowsPage, fn func(row T, raw []byte) []source.Record) (records []source.Record) {
	for n, raw := range p.rows {
		var row T
		if !fits(raw, &row) {
			records = append(records, s.odd(raw, p.answer, n))
			continue
		}
		records = append(records, fn(row, raw)...)
	}
	return records
}
