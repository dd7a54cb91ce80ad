package dingtalktest

import "maps"

// Edition is what the company pays for.
type Edition int

// The editions, from least to most.
const (
	Standard Edition = iota
	Professional
	Exclusive
)

// Limits are what an edition allows.
type Limits struct {
	Calls      int // counted calls in a calendar month
	Deliveries int // Webhook and Stream deliveries in a calendar month
	QPS        int // calls a second of one app to one path
}

// limits are those of 2025-11-19. Judgement: no page says what the exclusive edition allows, so it has the add-on pack's numbers.
var limits = map[Edition]Limits{
	Standard:     {5_000, 3_000, 20},
	Professional: {200_000, 50_000, 20},
	Exclusive:    {5_000_000, 500_000, 60},
}

// SetEdition changes what the company pays for, from the next call on. What was used this month stays used.
func (t *Tenant) SetEdition(e Edition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.options.Edition = e
}

func (t *Tenant) limits() Limits {
	if t.options.Limits != nil {
		return *t.options.Limits
	}
	return limits[t.options.Edition]
}

// usage counts by calendar month in Shanghai, written yyyyMM.
type usage struct {
	calls      map[string]int
	deliveries map[string]int
	paths      map[string]int // counted calls by method and path of the endpoint, in all months
}

func (u *usage) begin() {
	u.calls, u.deliveries, u.paths = map[string]int{}, map[string]int{}, map[string]int{}
}

// Usage is what was counted in the tenant's present month.
type Usage struct {
	Calls, Deliveries int
	Paths             map[string]int // counted calls by endpoint since the beginning
}

// Usage reads the counters.
func (t *Tenant) Usage() Usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.month()
	return Usage{t.usage.calls[m], t.usage.deliveries[m], maps.Clone(t.usage.paths)}
}

func (t *Tenant) month() string { return t.clock.Now().In(Shanghai).Format("200601") }

// Spend counts n calls and m deliveries that nobody made, to bring a tenant near its limits.
func (t *Tenant) Spend(calls, deliveries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.calls[t.month()] += calls
	t.usage.deliveries[t.month()] += deliveries
}
