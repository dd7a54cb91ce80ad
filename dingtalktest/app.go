package dingtalktest

import (
	"net"
	"slices"
)

// Any, as the only permission point, grants every point that the edition has.
const Any = "*"

// App is an in-house application of the company.
type App struct {
	Key, Secret string
	Name        string
	AgentID     int64
	RobotCode   string
	Scopes      []string // granted permission points
	IPs         []string // addresses or CIDR blocks that may call; empty is any
	Departments []int64  // directory scope: these and all below; empty is the whole company
	Fields      []string // field permissions: "mobile", "email"
}

// AddApp installs an app, or replaces the one with its key.
func (t *Tenant) AddApp(a App) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.apps[a.Key] = &a
}

// App is the app that was installed first: with Options.Apps nil, one that may do everything.
func (t *Tenant) App() App {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.options.Apps) > 0 {
		return *t.apps[t.options.Apps[0].Key]
	}
	return *t.apps[t.company.app().Key]
}

// Revoke takes a permission point from an app, from the next call on.
func (t *Tenant) Revoke(key, scope string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.apps[key]
	if slices.Contains(a.Scopes, Any) {
		a.Scopes = t.routes.scopes()
	}
	a.Scopes = slices.DeleteFunc(slices.Clone(a.Scopes), func(s string) bool { return s == scope })
}

// Grant gives a permission point to an app.
func (t *Tenant) Grant(key, scope string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.apps[key]
	a.Scopes = append(slices.Clone(a.Scopes), scope)
}

func (a *App) may(scope string) bool {
	return scope == "" || slices.Contains(a.Scopes, Any) || slices.Contains(a.Scopes, scope)
}

func (a *App) sees(field string) bool { return slices.Contains(a.Fields, field) }

func (a *App) admits(remote string) bool {
	if len(a.IPs) == 0 {
		return true
	}
	ip := net.ParseIP(remote)
	for _, s := range a.IPs {
		if _, block, err := net.ParseCIDR(s); err == nil && block.Contains(ip) {
			return true
		}
		if own := net.ParseIP(s); own != nil && own.Equal(ip) {
			return true
		}
	}
	return false
}
