package dingtalk

import (
	"maps"
	"sync"
	"time"

	"guia"
)

// Job is what calls and deliveries are spent on.
type Job string

// The jobs, one for each feed, and what all of them need.
const (
	JobBase       Job = "base" // tokens, probes
	JobDirectory  Job = "directory"
	JobReads      Job = "reads"
	JobNotices    Job = "notices"
	JobFileLog    Job = "filelog"
	JobAttendance Job = "attendance"
	JobMeetings   Job = "meetings"
	JobDrive      Job = "drive"
	JobRoster     Job = "roster"

	JobConversations Job = FeedConversations // pushed only
	JobEvents        Job = FeedEvents        // pushed only
	JobStream        Job = "stream"          // opening the way for what is pushed
	JobOther         Job = "other"           // deliveries that others of the tenant have used
)

// urgency says what a job may spend.
type urgency uint8

const (
	patient  urgency = iota // no more than the month's share so far
	ordinary                // everything but the reserve
	pressing                // also the reserve: what is not read now can never be read again
	vital                   // counted and never refused: no source says that the call is billed, and without it deliveries are lost
)

// urgencies: read results end after 24 hours. A log and receipts are evidence; inventories can wait (dingtalk-api.md 19).
var urgencies = map[Job]urgency{JobBase: pressing, JobReads: pressing, JobNotices: ordinary, JobFileLog: ordinary, JobDirectory: ordinary, JobAttendance: ordinary, JobRoster: ordinary, JobStream: vital}

// reservePercent of the calls are kept for pressing jobs.
const reservePercent = 20

// Quota is what a tenant may use in a calendar month, and how fast.
type Quota struct {
	Calls      int // paid-class calls
	Deliveries int // webhook and Stream together
	QPS        int // of one application and call
}

// QuotaOf is the quota of an edition since 2025-11-19 (dingtalk-api.md 1.5): of the professional one with one benefit unit. What the
// exclusive edition has stands in its contract; until it is known, that of the professional one counts.
func QuotaOf(e Edition) Quota {
	if e == Standard {
		return Quota{5_000, 3_000, 20}
	}
	return Quota{200_000, 50_000, 20}
}

// Usage is what was spent in one month. It is the whole memory of a [Budget]; as JSON it is one row of a table.
type Usage struct {
	Month      string         `json:"month"` // 2006-01, by the clock of DingTalk's servers
	Calls      map[Job]int    `json:"calls,omitempty"`
	Deliveries map[Job]int    `json:"deliveries,omitempty"`
	Deferred   map[Job]int    `json:"deferred,omitempty"` // calls that were not made
	Why        map[Job]string `json:"why,omitempty"`      // the last reason
	Other      int            `json:"other,omitempty"`    // calls that others made with the tenant's quota, as DingTalk counts them
}

// Spent is the sum of all jobs, and of others.
func (u Usage) Spent() int {
	n := u.Other
	for _, k := range u.Calls {
		n += k
	}
	return n
}

// Delivered is how many deliveries came.
func (u Usage) Delivered() (n int) {
	for _, k := range u.Deliveries {
		n += k
	}
	return n
}

// clone is a copy with maps of its own.
func (u Usage) clone() Usage {
	c := u
	c.Calls, c.Deliveries, c.Deferred, c.Why = maps.Clone(u.Calls), maps.Clone(u.Deliveries), maps.Clone(u.Deferred), maps.Clone(u.Why)
	return c
}

// Why a call was not made, as it stands in [Usage.Why].
const (
	WhySpent   = "spent"   // nothing is left this month
	WhyReserve = "reserve" // what is left is kept for what cannot wait
	WhyPace    = "pace"    // the job has used its share of the month so far
)

// Budget plans the calls of a month. A call that it forbids is not made; the refusal says why. It may be used concurrently.
//
// What was spent is kept before it is spent: after a crash a few calls too many are counted, never too few.
type Budget struct {
	keep func(Usage) error
	now  func() time.Time

	mu    sync.Mutex
	quota Quota
	usage Usage
	ahead int // calls that are kept as spent and were not made yet
	block int
}

// NewBudget goes on from what was kept. keep, when not nil, stores the usage durably before it returns; it is called about a thousand
// times a month at most for calls, and when something is deferred for a new reason.
func NewBudget(quota Quota, usage Usage, keep func(Usage) error, now func() time.Time) *Budget {
	if now == nil {
		now = time.Now
	}
	b := &Budget{keep: keep, now: now, usage: usage.clone()}
	b.Change(quota)
	return b
}

// Change goes on with another quota, as when the tenant has bought another edition. What was spent stays spent.
func (b *Budget) Change(quota Quota) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quota, b.block = quota, max(1, quota.Calls/1000)
}

// Usage returns what was spent so far this month.
func (b *Budget) Usage() Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	return b.usage.clone()
}

// Quota returns what there is in a month.
func (b *Budget) Quota() Quota {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quota
}

// turn begins a new month.
func (b *Budget) turn() {
	if month := b.now().In(serverTime).Format("2006-01"); b.usage.Month != month {
		b.usage = Usage{Month: month}
		b.ahead = 0
	}
	for _, m := range []*map[Job]int{&b.usage.Calls, &b.usage.Deliveries, &b.usage.Deferred} {
		if *m == nil {
			*m = map[Job]int{}
		}
	}
	if b.usage.Why == nil {
		b.usage.Why = map[Job]string{}
	}
}

// serverTime is the clock by which DingTalk counts and writes times without a zone.
var serverTime = time.FixedZone("+08:00", 8*3600)

// spend counts a call, or refuses it. An exempt call is always free.
func (b *Budget) spend(job Job, e *endpoint) error {
	if e.exempt {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	if why := b.forbids(job); why != "" {
		news := b.usage.Why[job] != why
		b.usage.Deferred[job]++
		b.usage.Why[job] = why
		if news {
			if err := b.store(b.usage); err != nil {
				return err
			}
		}
		return guia.RefuseCause(guia.Upstream, &Deferral{job, why}, "dingtalk.deferred", e.String(), string(job), b.usage.Spent(), b.quota.Calls, b.nextMonth())
	}
	b.usage.Calls[job]++
	if b.ahead > 0 {
		b.ahead--
		return nil
	}
	kept := b.usage.clone()
	kept.Calls[job] += b.block - 1
	if err := b.store(kept); err != nil {
		b.usage.Calls[job]--
		return err
	}
	b.ahead = b.block - 1
	return nil
}

func (b *Budget) store(u Usage) error {
	if b.keep == nil {
		return nil
	}
	return b.keep(u.clone())
}

// forbids says why the job may not make a call, empty when it may.
func (b *Budget) forbids(job Job) string {
	spent, open := b.usage.Spent(), b.quota.Calls*(100-reservePercent)/100
	switch urgency := urgencies[job]; {
	case urgency == vital:
	case spent >= b.quota.Calls:
		return WhySpent
	case urgency < pressing && spent >= open:
		return WhyReserve
	case urgency == patient && spent >= b.share(open):
		return WhyPace
	}
	return ""
}

// Left is how many calls a job may make today.
func (b *Budget) Left(job Job) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	limit, open := b.quota.Calls, b.quota.Calls*(100-reservePercent)/100
	switch urgencies[job] {
	case ordinary:
		limit = open
	case patient:
		limit = b.share(open)
	case pressing, vital:
	}
	return max(0, limit-b.usage.Spent())
}

// share is the part of the month's calls that may be used by the end of today.
func (b *Budget) share(calls int) int {
	now := b.now().In(serverTime)
	days := time.Date(now.Year(), now.Month()+1, 0, 0, 0, 0, 0, serverTime).Day()
	return calls * now.Day() / days
}

func (b *Budget) nextMonth() string {
	now := b.now().In(serverTime)
	return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, serverTime).Format(time.DateOnly)
}

// refund takes back a call that is not billed.
func (b *Budget) refund(job Job, e *endpoint) {
	if e.exempt {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	if b.usage.Calls[job] > 0 {
		b.usage.Calls[job]--
		b.ahead++
	}
}

// exhausted believes DingTalk that nothing is left.
func (b *Budget) exhausted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	b.usage.Other += max(0, b.quota.Calls-b.usage.Spent())
}

// Counted takes over how many calls DingTalk itself has counted this month: other programs of the tenant share the quota.
func (b *Budget) Counted(used int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	b.usage.Other += max(0, used-b.usage.Spent())
	return b.store(b.usage)
}

// Deliver counts deliveries of a job, and reports whether the month's deliveries still cover them.
func (b *Budget) Deliver(job Job, n int) (covered bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	b.usage.Deliveries[job] += n
	return b.usage.Delivered() <= b.quota.Deliveries, b.store(b.usage)
}

// undelivered believes DingTalk that no delivery is left.
func (b *Budget) undelivered() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	left := b.quota.Deliveries - b.usage.Delivered()
	if left <= 0 {
		return nil
	}
	b.usage.Deliveries[JobOther] += left
	return b.store(b.usage)
}

// Deferral is the cause of the refusal of a call that was not made.
type Deferral struct {
	Job Job
	Why string // [WhySpent], [WhyReserve], [WhyPace]
}

// Error is for logs.
func (d *Deferral) Error() string { return "call of " + string(d.Job) + " deferred: " + d.Why }
