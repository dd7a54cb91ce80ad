// Package account lets people change who may use Guia: accounts, roles, and approvals by a second person.
//
// The model: each function is one whole act. The permission is asked, the tables of package permit change, and the event that says so
// is recorded, in one transaction of the ledger; a refused act is recorded as such. Accounts are named by their login; the ledger
// knows them by their pseudonym, and the login stands in an encrypted field.
//
// Guaranteed: somebody always is an administrator; nobody answers their own request; one login of the operating system belongs to one
// account.
//
// Not guaranteed: that the person at the keyboard is the person of the account (guia.Actor.Via says how it was established).
package account

import (
	"context"
	"slices"
	"time"

	"guia"
	"guia/ledger"
	"guia/permit"
)

// Desk changes accounts. It keeps nothing in memory; its methods may be called by many goroutines.
type Desk struct {
	ledger *ledger.Ledger
}

// Open returns the desk over a ledger, which it does not own.
func Open(l *ledger.Ledger) *Desk { return &Desk{l} }

// Add makes an account with its first roles. osLogin is the login at the operating system under which commands act as this user;
// empty for none. The account is durable on return; after a crash it is there with all its roles or not at all.
func (d *Desk) Add(ctx context.Context, actor guia.Actor, login, osLogin string, grants []permit.Grant) (permit.User, error) {
	u := permit.User{ID: guia.NewPersonID(), Login: login, OSLogin: osLogin, Grants: grants}
	taken, err := d.ofSystem(ctx, osLogin)
	if err != nil {
		return u, err
	}
	err = d.ledger.Do(ctx, actor, permit.ActUsers, func(tx *ledger.Tx) error {
		if taken != "" {
			return guia.Refuse(guia.Conflict, "account.os_login_taken", osLogin, taken)
		}
		if err := permit.AddUser(tx.Tx, u.ID, login, osLogin); err != nil {
			return err
		}
		if _, err := tx.Record(guia.UserAdded, about(u)); err != nil {
			return err
		}
		for _, g := range grants {
			if err := grant(tx, u, g); err != nil {
				return err
			}
		}
		return nil
	})
	return u, err
}

// ofSystem is the login of the account that a login of the operating system belongs to, empty when there is none.
func (d *Desk) ofSystem(ctx context.Context, osLogin string) (string, error) {
	if osLogin == "" {
		return "", nil
	}
	users, err := permit.Users(ctx, d.ledger.Database())
	for _, u := range users {
		if u.OSLogin == osLogin {
			return u.Login, err
		}
	}
	return "", err
}

// about are the fields of an event about an account.
func about(u permit.User) guia.Fields {
	var f guia.Fields
	f.Set("user", u.ID.String())
	f.Set("name", u.Login)
	return f
}

func grant(tx *ledger.Tx, u permit.User, g permit.Grant) error {
	if err := permit.AddGrant(tx.Tx, u.ID, g); err != nil {
		return err
	}
	f := about(u)
	f.Set("role", string(g.Role))
	f.Set("scope", g.Scope)
	_, err := tx.Record(guia.RoleGranted, f)
	return err
}

// find returns the account with that login, or a refusal of kind not_found.
func (d *Desk) find(ctx context.Context, login string) (permit.User, error) {
	users, err := permit.Users(ctx, d.ledger.Database())
	if err != nil {
		return permit.User{}, err
	}
	for _, u := range users {
		if u.Login == login {
			return u, nil
		}
	}
	return permit.User{}, guia.Refuse(guia.NotFound, "account.unknown", login)
}

// change finds an account and carries out one act about it. Whoever may not manage users is told that, and not whether the account
// exists.
func (d *Desk) change(ctx context.Context, actor guia.Actor, login string, fn func(*ledger.Tx, permit.User) error) error {
	u, missing := d.find(ctx, login)
	if missing != nil && guia.KindOf(missing) == 0 {
		return missing
	}
	return d.ledger.Do(ctx, actor, permit.ActUsers, func(tx *ledger.Tx) error {
		if missing != nil {
			return missing
		}
		return fn(tx, u)
	})
}

// Disable closes an account: from now on everything it tries is refused. The last administrator cannot be closed.
func (d *Desk) Disable(ctx context.Context, actor guia.Actor, login string) error {
	return d.change(ctx, actor, login, func(tx *ledger.Tx, u permit.User) error {
		if err := permit.SetDisabled(tx.Tx, u.ID, true); err != nil {
			return err
		}
		_, err := tx.Record(guia.UserDisabled, about(u))
		return err
	})
}

// Enable reopens an account with the roles it had. The event is user.added with the mark "enabled".
func (d *Desk) Enable(ctx context.Context, actor guia.Actor, login string) error {
	return d.change(ctx, actor, login, func(tx *ledger.Tx, u permit.User) error {
		if err := permit.SetDisabled(tx.Tx, u.ID, false); err != nil {
			return err
		}
		f := about(u)
		f.Set("mark", "enabled")
		_, err := tx.Record(guia.UserAdded, f)
		return err
	})
}

// Grant gives a role within a scope.
func (d *Desk) Grant(ctx context.Context, actor guia.Actor, login string, g permit.Grant) error {
	return d.change(ctx, actor, login, func(tx *ledger.Tx, u permit.User) error { return grant(tx, u, g) })
}

// Revoke takes a role within a scope away.
func (d *Desk) Revoke(ctx context.Context, actor guia.Actor, login string, g permit.Grant) error {
	return d.change(ctx, actor, login, func(tx *ledger.Tx, u permit.User) error {
		if err := permit.RemoveGrant(tx.Tx, u.ID, g); err != nil {
			return err
		}
		f := about(u)
		f.Set("role", string(g.Role))
		f.Set("scope", g.Scope)
		_, err := tx.Record(guia.RoleRevoked, f)
		return err
	})
}

// Ask asks for the approval of a second person for an act that the actor may do, and returns the request. argument binds the approval to
// one object of the act. Where the actor has asked for the same before, and the request is open or its approval unused, that one is
// returned, open says so, and nothing is recorded but another reason than before, while nobody has answered: whoever approves is to judge
// by it.
func (d *Desk) Ask(ctx context.Context, actor guia.Actor, act permit.Act, argument string) (r permit.Request, open bool, err error) {
	if !permit.NeedsSecond(act) {
		return r, false, guia.Refuse(guia.Invalid, "account.no_second", string(act))
	}
	before, err := d.Requests(ctx)
	if err != nil {
		return r, false, err
	}
	err = d.ledger.DoAsking(ctx, actor, act, func(tx *ledger.Tx) error {
		var err error
		if r, open, err = permit.Open(tx.Tx, actor.User, act, argument); err != nil {
			return err
		}
		if open {
			said := slices.ContainsFunc(before, func(a Asked) bool { return a.ID == r.ID && a.Reason == actor.Reason })
			if said || actor.Reason == "" || r.State != "asked" {
				return nil
			}
			return recordAsked(tx, r)
		}
		r = permit.Request{Act: act, Argument: argument, AskedBy: actor.User, State: "asked"}
		if r.ID, err = permit.Ask(tx.Tx, actor.User, act, argument); err != nil {
			return err
		}
		return recordAsked(tx, r)
	})
	return r, open, err
}

func recordAsked(tx *ledger.Tx, r permit.Request) error {
	var f guia.Fields
	f.Set("name", r.ID)
	f.Set("act.outcome", "asked")
	_, err := tx.Record(guia.ApprovalAsked, f)
	return err
}

// Asked is a request and what was said when it was asked.
type Asked struct {
	permit.Request
	At     time.Time
	Reason string // the last one; empty when none was given, or it was erased
}

// Requests returns the requests that are open and the approvals that were not used, with the reasons given for them: it is for whoever
// may approve. They are found by their leaves, and only they are decrypted.
func (d *Desk) Requests(ctx context.Context) ([]Asked, error) {
	open, err := permit.Requests(ctx, d.ledger.Database())
	if err != nil || len(open) == 0 {
		return nil, err
	}
	seqs, err := d.ledger.OfType(ctx, 0, d.ledger.Size(), guia.ApprovalAsked)
	if err != nil {
		return nil, err
	}
	all := make([]Asked, len(open))
	for i, r := range open {
		all[i].Request = r
	}
	for _, seq := range seqs {
		e, err := d.ledger.Event(ctx, seq)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if e.Source == guia.Own && all[i].ID == e.Fields.Get("name") {
				all[i].At, all[i].Reason = e.Captured, e.Fields.Get("reason")
			}
		}
	}
	return all, nil
}

// Answer approves or refuses what somebody else asked for.
func (d *Desk) Answer(ctx context.Context, actor guia.Actor, id string, approve bool) (permit.Request, error) {
	var r permit.Request
	err := d.ledger.Do(ctx, actor, permit.ActApprove, func(tx *ledger.Tx) error {
		var err error
		if r, err = permit.Answer(tx.Tx, id, actor.User, approve); err != nil {
			return err
		}
		t := guia.ApprovalGiven
		if !approve {
			t = guia.ApprovalRefused
		}
		var f guia.Fields
		f.Set("name", id)
		f.Set("user", r.AskedBy.String())
		_, err = tx.Record(t, f)
		return err
	})
	return r, err
}
