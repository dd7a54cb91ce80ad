package ledger

import (
	"sync/atomic"
	"time"
)

// hooks are what tests listen to and turn. They are set by one goroutine while others work.
type hooks struct {
	step  atomic.Pointer[func(string)]
	clock atomic.Pointer[func() time.Time]
}

// onStep tells a listening test which function the trip of a datum has reached (docs/TRIP.md).
func (h *hooks) onStep(name string) {
	if f := h.step.Load(); f != nil {
		(*f)(name)
	}
}

// now is the time, or what a test says it is.
func (h *hooks) now() time.Time {
	if f := h.clock.Load(); f != nil {
		return (*f)()
	}
	return time.Now()
}

// TestOnlySteps lets fn hear the names of the functions that events pass, in their order. fn is called by several goroutines.
func (l *Ledger) TestOnlySteps(fn func(name string)) { l.hooks.step.Store(&fn) }

// TestOnlyClock makes fn the ledger's clock: that of its own events and of the guard against a clock that jumps back.
func (l *Ledger) TestOnlyClock(fn func() time.Time) { l.hooks.clock.Store(&fn) }
