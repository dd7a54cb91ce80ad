package account

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"guia"
	"guia/directory"
	"guia/ledger"
	"guia/permit"
)

// office is a data directory with its first user, ana, an administrator and officer.
type office struct {
	*Desk
	dir *directory.Directory
	ana guia.Actor
}

func newOffice(t *testing.T) office {
	t.Helper()
	ctx := context.Background()
	everywhere := func(r permit.Role) permit.Grant { return permit.Grant{Role: r, Scope: permit.Everything} }
	ana := permit.User{ID: guia.NewPersonID(), Login: "ana", OSLogin: "ana", Grants: []permit.Grant{everywhere(permit.Administrator), everywhere(permit.Officer)}}
	d, err := directory.Create(ctx, filepath.Join(t.TempDir(), "data"), ana)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r, err := d.Check(ctx, ledger.CheckOptions{})
		if err != nil || len(r.Findings) > 0 {
			t.Errorf("check: %v %v", r.Findings, err)
		}
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return office{Open(d.Ledger), d, guia.Actor{User: ana.ID, Login: "ana", Via: "os-login", Reason: "because"}}
}

// hire adds a user with a role everywhere and returns them as an actor.
func (o office) hire(t *testing.T, login string, roles ...permit.Role) guia.Actor {
	t.Helper()
	var grants []permit.Grant
	for _, r := range roles {
		grants = append(grants, permit.Grant{Role: r, Scope: permit.Everything})
	}
	u, err := o.Add(context.Background(), o.ana, login, "", grants)
	if err != nil {
		t.Fatal(err)
	}
	return guia.Actor{User: u.ID, Login: login, Via: "asserted"}
}

// last returns the newest events, oldest first.
func (o office) last(t *testing.T, n guia.Seq) []guia.Event {
	t.Helper()
	var events []guia.Event
	for seq := o.dir.Ledger.Size() - n; seq < o.dir.Ledger.Size(); seq++ {
		e, err := o.dir.Ledger.Event(context.Background(), seq)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func wantKind(t *testing.T, err error, kind guia.Kind) {
	t.Helper()
	if guia.KindOf(err) != kind {
		t.Errorf("got %v, want a refusal of kind %v", err, kind)
	}
}

func TestAccountsAreActs(t *testing.T) {
	o, ctx := newOffice(t), context.Background()
	rui := o.hire(t, "rui", permit.Reviewer, permit.Auditor)
	events := o.last(t, 3)
	if events[0].Type != guia.UserAdded || events[1].Type != guia.RoleGranted || events[2].Type != guia.RoleGranted {
		t.Fatalf("recorded %v %v %v", events[0].Type, events[1].Type, events[2].Type)
	}
	for name, want := range map[string]string{"user": rui.User.String(), "name": "rui", "actor": o.ana.User.String(), "act": "user.manage", "reason": "because"} {
		if got := events[0].Fields.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := events[2].Fields.Get("role") + events[1].Fields.Get("role"); got != "auditorreviewer" && got != "reviewerauditor" {
		t.Errorf("roles %q", got)
	}
	for _, c := range []struct {
		do   func() error
		want guia.Type
	}{
		{func() error { return o.Disable(ctx, o.ana, "rui") }, guia.UserDisabled},
		{func() error { return o.Enable(ctx, o.ana, "rui") }, guia.UserAdded},
		{func() error {
			return o.Grant(ctx, o.ana, "rui", permit.Grant{Role: permit.Operator, Scope: "entity:X"})
		}, guia.RoleGranted},
		{func() error {
			return o.Revoke(ctx, o.ana, "rui", permit.Grant{Role: permit.Operator, Scope: "entity:X"})
		}, guia.RoleRevoked},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		if e := o.last(t, 1)[0]; e.Type != c.want || e.Fields.Get("user") != rui.User.String() {
			t.Errorf("recorded %v about %s, want %v", e.Type, e.Fields.Get("user"), c.want)
		}
	}
}

// TestWhatFailsLeavesNothing: an account whose second role is refused is not there at all.
func TestWhatFailsLeavesNothing(t *testing.T) {
	o, ctx := newOffice(t), context.Background()
	size := o.dir.Ledger.Size()
	_, err := o.Add(ctx, o.ana, "rui", "", []permit.Grant{{Role: permit.Reviewer, Scope: "*"}, {Role: permit.Reviewer, Scope: "nonsense"}})
	wantKind(t, err, guia.Invalid)
	if _, err := o.find(ctx, "rui"); guia.KindOf(err) != guia.NotFound {
		t.Errorf("half an account: %v", err)
	}
	if now := o.dir.Ledger.Size(); now != size {
		t.Errorf("%d events were recorded", now-size)
	}
}

func TestOneLoginOfTheSystemOneAccount(t *testing.T) {
	o, ctx := newOffice(t), context.Background()
	_, err := o.Add(ctx, o.ana, "ana2", "ana", nil)
	wantKind(t, err, guia.Conflict)
}

// TestAttemptsAreRecorded: whoever may not manage users is refused, learns nothing about who exists, and leaves a trace.
func TestAttemptsAreRecorded(t *testing.T) {
	o, ctx := newOffice(t), context.Background()
	rui := o.hire(t, "rui", permit.Reviewer)
	for _, login := range []string{"ana", "nobody"} {
		err := o.Disable(ctx, rui, login)
		wantKind(t, err, guia.Denied)
		e := o.last(t, 1)[0]
		if e.Type != guia.ActRefused || e.Fields.Get("actor") != rui.User.String() || e.Fields.Get("act") != string(permit.ActUsers) {
			t.Errorf("%s: recorded %v", login, e.Type)
		}
	}
	wantKind(t, o.Disable(ctx, o.ana, "nobody"), guia.NotFound)
	wantKind(t, o.Disable(ctx, o.ana, "ana"), guia.Conflict)
}

func TestApprovals(t *testing.T) {
	o, ctx := newOffice(t), context.Background()
	bea := o.hire(t, "bea", permit.Approver)
	rui := o.hire(t, "rui", permit.Reviewer)

	_, _, err := o.Ask(ctx, o.ana, permit.ActSearch, "")
	wantKind(t, err, guia.Invalid)
	_, _, err = o.Ask(ctx, rui, permit.ActRotateLog, "")
	wantKind(t, err, guia.Denied)
	if e := o.last(t, 1)[0]; e.Type != guia.ActRefused || e.Fields.Get("approver") != "" || e.Fields.Get("actor") != rui.User.String() {
		t.Errorf("the refused request was recorded as %v with approver %q", e.Type, e.Fields.Get("approver"))
	}

	r, _, err := o.Ask(ctx, o.ana, permit.ActRotateLog, "")
	if err != nil {
		t.Fatal(err)
	}
	id := r.ID
	size := o.dir.Ledger.Size()
	if again, open, err := o.Ask(ctx, o.ana, permit.ActRotateLog, ""); err != nil || !open || again != r {
		t.Errorf("asked again: %v %v %v, want the open request", again, open, err)
	}
	if other, open, err := o.Ask(ctx, o.ana, permit.ActForget, ""); err != nil || open || other.ID == id {
		t.Errorf("asked for something else: %v %v %v", other, open, err)
	}
	if now := o.dir.Ledger.Size(); now != size+1 {
		t.Errorf("%d events, want one more than %d", now, size)
	}
	hurried := o.ana
	hurried.Reason = "the key was seen"
	for range 2 { // recorded once
		if again, open, err := o.Ask(ctx, hurried, permit.ActRotateLog, ""); err != nil || !open || again != r {
			t.Errorf("asked again for another reason: %v %v %v, want the open request", again, open, err)
		}
	}
	asked, err := o.Requests(ctx)
	if at := slices.IndexFunc(asked, func(a Asked) bool { return a.ID == id }); err != nil || at < 0 || asked[at].Reason != hurried.Reason {
		t.Errorf("the approver is told %+v, %v; want the reason %q", asked, err, hurried.Reason)
	}
	if now := o.dir.Ledger.Size(); now != size+2 {
		t.Errorf("%d events, want two more than %d", now, size)
	}
	if other, open, err := o.Ask(ctx, o.ana, permit.ActRotateLog, "of another log"); err != nil || open || other.ID == id {
		t.Errorf("asked about another object: %v %v %v", other, open, err)
	}
	if e := o.last(t, 4)[0]; e.Type != guia.ApprovalAsked || e.Fields.Get("approver") != "" || e.Fields.Get("act") != string(permit.ActRotateLog) || e.Fields.Get("name") != id {
		t.Errorf("recorded %v with approver %q", e.Type, e.Fields.Get("approver"))
	}
	_, err = o.Answer(ctx, o.ana, id, true)
	wantKind(t, err, guia.Denied) // one's own
	if e := o.last(t, 1)[0]; e.Type != guia.ActRefused || e.Fields.Get("act") != string(permit.ActApprove) || e.Fields.Get("actor") != o.ana.User.String() {
		t.Errorf("one's own approval was recorded as %v", e.Type)
	}
	_, err = o.Answer(ctx, rui, id, true)
	wantKind(t, err, guia.Denied) // no approver
	if _, err := o.Answer(ctx, bea, id, true); err != nil {
		t.Fatal(err)
	}
	if e := o.last(t, 1)[0]; e.Type != guia.ApprovalGiven || e.Fields.Get("actor") != bea.User.String() || e.Fields.Get("user") != o.ana.User.String() {
		t.Errorf("recorded %v", e.Type)
	}
	_, err = o.Answer(ctx, bea, id, false)
	wantKind(t, err, guia.Conflict) // answered already
	if _, err := o.dir.Ledger.RotateKey(ctx, o.ana, id); err != nil {
		t.Error(err)
	}
}
