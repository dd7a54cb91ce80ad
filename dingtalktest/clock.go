package dingtalktest

import (
	"slices"
	"sync"
	"time"
)

// Clock is the tenant's time. It stands still until it is moved; [Clock.Run] lets it go on by itself for a live tenant.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	since  time.Time // when the clock began to run; zero while it stands
	alarms []alarm
	serial int
}

type alarm struct {
	at     time.Time
	serial int
	ring   func()
}

func newClock(start time.Time) *Clock { return &Clock{now: start} }

// Now is the tenant's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *Clock) read() time.Time {
	if c.since.IsZero() {
		return c.now
	}
	return c.now.Add(time.Since(c.since))
}

// Advance moves the clock and does what falls due on the way, in its order and at its time. It returns when that is done.
func (c *Clock) Advance(d time.Duration) { c.MoveTo(c.Now().Add(d)) }

// MoveTo moves the clock to m and does what falls due on the way. It never moves back.
func (c *Clock) MoveTo(m time.Time) {
	for {
		c.mu.Lock()
		at, ring := m, func() {}
		due := -1
		for i, a := range c.alarms {
			if !a.at.After(m) && (due < 0 || a.at.Before(c.alarms[due].at) || a.at.Equal(c.alarms[due].at) && a.serial < c.alarms[due].serial) {
				due = i
			}
		}
		if due >= 0 {
			at, ring = c.alarms[due].at, c.alarms[due].ring
			c.alarms = slices.Delete(c.alarms, due, due+1)
		}
		if at.After(c.read()) {
			c.now = at
			if !c.since.IsZero() {
				c.since = time.Now()
			}
		}
		c.mu.Unlock()
		ring()
		if due < 0 {
			return
		}
	}
}

// Run lets the clock go on in real time, from where it stands, for as long as the program lives.
func (c *Clock) Run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.since.IsZero() {
		return
	}
	c.since = time.Now()
	for _, a := range c.alarms {
		c.arm(a.at)
	}
}

// after rings once when the clock has moved by d. The bell is rung outside of all locks.
func (c *Clock) after(d time.Duration, ring func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	at := c.read().Add(d)
	c.alarms = append(c.alarms, alarm{at, c.serial, ring})
	if !c.since.IsZero() {
		c.arm(at)
	}
}

// arm wakes a running clock at a moment.
func (c *Clock) arm(at time.Time) {
	time.AfterFunc(at.Sub(c.read()), func() { c.MoveTo(c.Now()) })
}
