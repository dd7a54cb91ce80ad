package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/directory"
	"guia/durable"
	"guia/ledger"
	"guia/permit"
)

// holder is the data directory, open in this process, with what commands share in it.
type holder struct {
	*directory.Directory
	followers followers
	parts     parts
	tenants   tenants
	closed    error // why it could only be viewed; nil when it is open
	resident  bool  // the running program holds it, until it is stopped
}

// session is one command at work in an open data directory.
type session struct {
	*program
	*holder
	actor guia.Actor
}

// answerTime is how long a command waits for the process that holds the directory to answer: it may just be opening or closing it.
const answerTime = 15 * time.Second

// exit ends a command with a code after everything was said.
type exit int

func (e exit) Error() string { return "exit" }

// inside makes the work of a command that needs the data directory. fn runs here when this process can open the directory, and in
// the process that holds it otherwise. As long as fn runs, other commands are served; they are finished before the directory is
// closed.
func (p *program) inside(fn func(context.Context, *session) error) func(*cobra.Command, []string) error {
	return p.enter(false, fn)
}

// looking is [program.inside] for what changes nothing and shows no content: a directory that cannot be opened, because its disk is
// full or write-protected or because it is damaged, is viewed as it is. Everything else leaves a trace of who did it, and where none can
// be left it is not done.
func (p *program) looking(fn func(context.Context, *session) error) func(*cobra.Command, []string) error {
	return p.enter(true, fn)
}

func (p *program) enter(looking bool, fn func(context.Context, *session) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if looking {
			p.stopped = "cmd.interrupted_looking"
		}
		if p.holder != nil {
			return p.work(ctx, p.holder, fn)
		}
		return p.within(ctx, looking, false, fn)
	}
}

// within opens the data directory and makes the work there, or has it made by the process that holds the directory, waiting a while for
// one that is just opening or closing it, or that says codeLater.
func (p *program) within(ctx context.Context, looking, resident bool, fn func(context.Context, *session) error) error {
	for deadline := time.Now().Add(answerTime); ; {
		h, err := openHolder(ctx, p.path, looking)
		if err == nil {
			h.resident = resident
			return p.hold(ctx, h, looking, fn)
		}
		if !errors.Is(err, directory.ErrHeld) {
			return err
		}
		code, err2 := p.forward(ctx)
		switch {
		case err2 == nil && code != codeLater:
			return exit(code)
		case err2 != nil && !errors.Is(err2, errNobody):
			return err2
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline) && err2 == nil:
			return guia.RefuseCause(guia.Held, err, "serve.guest", p.path)
		case time.Now().After(deadline):
			return p.refuseHeld(err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// openHolder opens the directory; where that cannot be and somebody is only looking, it views it.
func openHolder(ctx context.Context, path string, looking bool) (*holder, error) {
	d, closed := directory.Open(ctx, path)
	if closed == nil {
		return &holder{Directory: d}, nil
	}
	if !looking || errors.Is(closed, directory.ErrHeld) || ctx.Err() != nil {
		return nil, closed
	}
	d, err := directory.View(ctx, path)
	switch {
	case err == nil:
		return &holder{Directory: d, closed: closed}, nil
	case errors.Is(err, directory.ErrHeld), guia.KindOf(err) == guia.Damaged:
		return nil, err
	}
	return nil, closed
}

func (p *program) refuseHeld(err error) error {
	if held, ok := errors.AsType[*durable.HeldError](err); ok && held.PID > 0 {
		return guia.RefuseCause(guia.Held, err, "cmd.held_by", p.path, held.PID)
	}
	return guia.RefuseCause(guia.Held, err, "cmd.held", p.path)
}

// hold serves other commands while fn works, and closes the directory.
func (p *program) hold(ctx context.Context, h *holder, looking bool, fn func(context.Context, *session) error) error {
	if h.Viewed {
		return errors.Join(p.work(ctx, h, fn), h.Close(ctx))
	}
	server := serve(h)
	err := p.work(ctx, h, fn)
	server.close(func(guests int64) { p.note("cmd.waiting", guests) })
	closing := errors.Join(h.followers.close(), h.Close(ctx))
	if guia.KindOf(closing) == guia.Blocked { // no room for the last checkpoint; the command has done its work
		if err != nil && p.sameReason(ctx, err, closing) { // or has failed for that reason, which is said once
			return err
		}
		if looking {
			p.note("cmd.closed_blocked", p.why(ctx, closing))
			return err
		}
		closing = guia.Refuse(guia.Blocked, "cmd.closed_blocked", p.why(ctx, closing))
	}
	return errors.Join(err, closing)
}

// why says why something is not as it should be, in one sentence and what the system said; the same reason only once.
func (p *program) why(ctx context.Context, err error) string {
	s, _ := p.describe(ctx, err)
	if s.Key == p.reasonSaid {
		return p.text("cmd.same_reason")
	}
	p.reasonSaid = s.Key
	return s.String()
}

// sameReason reports whether two errors are put into the same words.
func (p *program) sameReason(ctx context.Context, one, other error) bool {
	a, _ := p.describe(ctx, one)
	b, _ := p.describe(ctx, other)
	return a.Key == b.Key
}

func (p *program) work(ctx context.Context, h *holder, fn func(context.Context, *session) error) error {
	actor, err := p.who(ctx, h)
	if err != nil {
		return err
	}
	s := &session{p, h, actor}
	err = fn(ctx, s)
	if guia.KindOf(err) == guia.Denied { // no word about a user before it is known who the users are
		if damage := s.accountsAreOurs(ctx); damage != nil {
			return damage
		}
	}
	return err
}

// accountsAreOurs refuses (kind damaged) when the tables that say who may do what are not as Guia stored them.
func (s *session) accountsAreOurs(ctx context.Context) error {
	return errors.Join(s.Ledger.StateIsOurs(ctx, "permit_user"), s.Ledger.StateIsOurs(ctx, "permit_grant"))
}

// who finds the account that acts: the one named by --as or GUIA_USER (its word for it: "asserted"), else the one that belongs to
// the login at the operating system. When there is none, the actor has no account, and every act is refused and recorded as such.
func (p *program) who(ctx context.Context, h *holder) (guia.Actor, error) {
	users, err := permit.Users(ctx, h.Main)
	if err != nil {
		return guia.Actor{}, err
	}
	named := p.as
	if named == "" {
		named = p.getenv("GUIA_USER")
	}
	actor := guia.Actor{Login: named, Via: "asserted", Reason: p.reason}
	if named == "" {
		actor.Login, actor.Via = p.login, "os-login"
	}
	for _, u := range users {
		own := u.OSLogin != "" && u.OSLogin == p.login
		if named != "" && u.Login == named || named == "" && own {
			actor.User, actor.Login = u.ID, u.Login
			if own {
				actor.Via = "os-login"
			}
			break
		}
	}
	return actor, nil
}

// do carries out one act of the user who typed the command.
func (s *session) do(ctx context.Context, act permit.Act, fn func(*ledger.Tx) error) error {
	return s.Ledger.Do(ctx, s.actor, act, fn)
}

// may checks a permission for what leaves no event of its own. A refusal is recorded, where anything can be.
func (s *session) may(ctx context.Context, act permit.Act) error {
	if s.Viewed {
		return permit.MayView(ctx, s.Main, s.actor, act)
	}
	return s.do(ctx, act, func(*ledger.Tx) error { return nil })
}
