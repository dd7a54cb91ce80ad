package dingtalk

import (
	"time"

	"guia/source"
)

// Period returns the time that the round of the cursor tells of; whole is false while a part of it waits, and for a cursor of nobody.
func (s *Source) Period(c source.Cursor) (from, until time.Time, whole bool) {
	at, err := s.parse(c, s.c.cfg.Now())
	if c == "" || err != nil {
		return time.Time{}, time.Time{}, false
	}
	return at.from, at.to, at.step == len(s.feed.steps)
}

// Due returns when there is something to pull behind the cursor: the end of the round and the time between rounds; the zero time for what
// was never pulled or was not finished.
func (s *Source) Due(c source.Cursor) time.Time {
	_, until, whole := s.Period(c)
	if !whole {
		return time.Time{}
	}
	return until.Add(s.opt.Every)
}

// Every is the time between rounds of the feed with that name; 0 when there is none.
func Every(feed string) time.Duration {
	for _, f := range feeds {
		if f.name == feed {
			return f.every
		}
	}
	return 0
}

// KeepUsage keeps exactly what was spent, where calls were kept as spent that were not made. It is called when a program has made its
// calls for now; without it a crash costs a few calls, and so would every end.
func (c *Client) KeepUsage() error { return c.cfg.Budget.settle() }

func (b *Budget) settle() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	b.ahead = 0
	return b.store(b.usage)
}

// Reserved is how many calls of the quota are kept for what cannot be read later.
func (q Quota) Reserved() int { return q.Calls * reservePercent / 100 }
