package dingtalktest

import "time"

// An address that calls 10,000 times in 20 seconds is banned for five minutes, whatever it calls.
const (
	floodCalls = 10_000
	floodSpan  = 20 * time.Second
	floodBan   = 5 * time.Minute
)

// flood counts the calls of one address.
type flood struct {
	since time.Time
	calls int
	until time.Time // of the ban
}

// banned counts a call and says whether its address is banned. The clock is the one that callers wait by.
func (t *Tenant) banned(remote string) bool {
	if t.options.QPS < 0 {
		return false
	}
	if t.floods == nil {
		t.floods = map[string]*flood{}
	}
	now := t.options.Pace()
	f := t.floods[remote]
	if f == nil {
		f = &flood{since: now}
		t.floods[remote] = f
	}
	if now.Sub(f.since) >= floodSpan {
		f.since, f.calls = now, 0
	}
	if f.calls++; f.calls > floodCalls {
		f.until = now.Add(floodBan)
	}
	return now.Before(f.until)
}
