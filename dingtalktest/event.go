package dingtalktest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// outgoing is one event or robot message on its way to one app.
type outgoing struct {
	app      string
	kind     string // event type; empty for a robot message
	id       string
	born     time.Time
	data     object
	message  string // id of the frame; the same for each attempt, as the event id is
	attempts int
	counted  bool
	empty    bool // the month's deliveries are used up: a frame without content
}

// exempt events are not counted: user_*_org, org_dept_*, org_change, label_*, org_admin_*.
func exempt(kind string) bool {
	if kind == "org_change" || strings.HasPrefix(kind, "user_") && strings.HasSuffix(kind, "_org") {
		return true
	}
	return strings.HasPrefix(kind, "org_dept_") || strings.HasPrefix(kind, "label_") || strings.HasPrefix(kind, "org_admin_")
}

func (t *Tenant) stamp() string { return strconv.FormatInt(t.clock.Now().UnixMilli(), 10) }

// Emit sends an event of any type to the apps, as if it had happened.
func (t *Tenant) Emit(kind string, data map[string]any) {
	t.mu.Lock()
	t.emit(kind, data)
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
}

// emit puts an event into the outbox of each app. Nothing is sent while the tenant's past is made.
func (t *Tenant) emit(kind string, data object) {
	if t.stream.past {
		return
	}
	d := roll(t.company.spec.Seed, "event", t.next())
	id := d.hex(32)
	for _, key := range t.appKeys() {
		t.outbox = append(t.outbox, outgoing{app: key, kind: kind, id: id, born: t.clock.Now(), data: data, message: d.hex(24)})
	}
}

func (t *Tenant) emitMessage(m *robotInput) {
	if t.stream.past {
		return
	}
	for _, key := range t.appKeys() {
		d := roll(t.company.spec.Seed, "frame", t.next())
		t.outbox = append(t.outbox, outgoing{app: key, born: m.at, data: t.payload(m, t.apps[key]), message: d.hex(24)})
	}
}

func (t *Tenant) appKeys() []string {
	keys := make([]string, 0, len(t.apps))
	for k := range t.apps {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// takeOutbox empties the outbox and applies the trouble that was ordered. The caller holds t.mu and pushes after letting go of it.
func (t *Tenant) takeOutbox() []outgoing {
	var out []outgoing
	for _, o := range t.outbox {
		switch {
		case t.takes(DropPush, o.kind):
			continue
		case t.takes(ReorderPush, o.kind):
			t.stream.held = append(t.stream.held, o)
			continue
		case t.takes(DuplicatePush, o.kind):
			out = append(out, o)
		}
		out = append(out, o)
		out = append(out, t.stream.held...)
		t.stream.held = nil
	}
	t.outbox = nil
	return out
}

func (t *Tenant) push(all []outgoing) {
	for _, o := range all {
		t.deliver(o)
	}
}

// Attempts and pauses. The HTTP pauses are documented; judgement: Stream re-pushes after the same ones, and gives up after the third.
var pauses = []time.Duration{10 * time.Second, 30 * time.Second}

// deliver sends to one connection of the app, or to its callback address, or tries again later. A delivery is counted once,
// however often it is tried (judgement).
func (t *Tenant) deliver(o outgoing) {
	t.mu.Lock()
	to := t.stream.choose(t, o)
	hook := t.callback
	if to == nil && (hook == nil || hook.app != o.app || o.kind == "") {
		t.mu.Unlock()
		t.again(o)
		return
	}
	if !o.counted {
		o.counted = true
		m := t.month()
		switch {
		case exempt(o.kind):
		case t.usage.deliveries[m] >= t.limits().Deliveries:
			o.empty = true
		default:
			t.usage.deliveries[m]++
		}
	}
	if to == nil {
		t.mu.Unlock()
		hook.post(t, o)
		return
	}
	frame := t.frame(o)
	if o.kind != "" && !o.empty {
		t.stream.waiting[o.message] = &o
	}
	t.mu.Unlock()
	if to.send(frame) != nil {
		t.again(o)
		return
	}
	if o.kind != "" && !o.empty {
		t.clock.after(ackTime, func() { t.overdue(o) })
	}
}

// overdue pushes again what was not acknowledged in time.
func (t *Tenant) overdue(o outgoing) {
	t.mu.Lock()
	w := t.stream.waiting[o.message]
	late := w != nil && w.attempts == o.attempts
	if late {
		delete(t.stream.waiting, o.message)
	}
	t.mu.Unlock()
	if late {
		t.again(o)
	}
}

// again tries an event later, or writes it down as failed. A robot message is never pushed again.
func (t *Tenant) again(o outgoing) {
	if o.kind == "" || o.empty {
		return
	}
	if o.attempts >= len(pauses) {
		t.mu.Lock()
		t.stream.failed = append(t.stream.failed, o)
		t.mu.Unlock()
		return
	}
	pause := pauses[o.attempts]
	o.attempts++
	t.clock.after(pause, func() { t.deliver(o) })
}
