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
	return func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if p.holder != nil {
			return p.work(ctx, p.holder, fn)
		}
		deadline := time.Now().Add(answerTime)
		for {
			d, err := directory.Open(ctx, p.path)
			if err == nil {
				return p.hold(ctx, &holder{Directory: d}, fn)
			}
			if !errors.Is(err, directory.ErrHeld) {
				return err
			}
			code, err2 := p.forward(ctx)
			switch {
			case err2 == nil:
				return exit(code)
			case !errors.Is(err2, errNobody):
				return err2
			case ctx.Err() != nil:
				return ctx.Err()
			case time.Now().After(deadline):
				return p.refuseHeld(err)
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (p *program) refuseHeld(err error) error {
	if held, ok := errors.AsType[*durable.HeldError](err); ok && held.PID > 0 {
		return guia.RefuseCause(guia.Held, err, "cmd.held_by", p.path, held.PID)
	}
	return guia.RefuseCause(guia.Held, err, "cmd.held", p.path)
}

// hold serves other commands while fn works, and closes the directory.
func (p *program) hold(ctx context.Context, h *holder, fn func(context.Context, *session) error) error {
	server := serve(h)
	err := p.work(ctx, h, fn)
	server.close(func(guests int64) { p.note("cmd.waiting", guests) })
	return errors.Join(err, h.followers.close(), h.Close(ctx))
}

func (p *program) work(ctx context.Context, h *holder, fn func(context.Context, *session) error) error {
	actor, err := p.who(ctx, h)
	if err != nil {
		return err
	}
	return fn(ctx, &session{p, h, actor})
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

// may checks a permission for what leaves no event of its own. A refusal is recorded.
func (s *session) may(ctx context.Context, act permit.Act) error {
	return s.do(ctx, act, func(*ledger.Tx) error { return nil })
}
