package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/account"
	"guia/permit"
)

func (p *program) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Args: cobra.ArbitraryArgs, RunE: p.group}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Args: needs(0, 0), RunE: p.inside(func(ctx context.Context, s *session) error { return s.listUsers(ctx) })},
		p.userAddCommand(),
		p.userChange("disable LOGIN", "user.disabled", (*account.Desk).Disable),
		p.userChange("enable LOGIN", "user.enabled", (*account.Desk).Enable),
		p.userGrant("grant LOGIN ROLE", "user.granted", (*account.Desk).Grant),
		p.userGrant("revoke LOGIN ROLE", "user.revoked", (*account.Desk).Revoke),
		p.userRequestCommand(),
		&cobra.Command{Use: "requests", Args: needs(0, 0), RunE: p.inside(func(ctx context.Context, s *session) error { return s.listRequests(ctx) })},
		p.userAnswer("approve REQUEST", "user.approved", true),
		p.userAnswer("refuse REQUEST", "user.refused", false),
	)
	return cmd
}

func (p *program) userAddCommand() *cobra.Command {
	var osLogin, scope string
	var roles []string
	cmd := &cobra.Command{Use: "add LOGIN", Args: needs(1, 1)}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&osLogin, "os-login", "", "")
	f.StringArrayVar(&roles, "role", nil, "")
	f.StringVar(&scope, "scope", permit.Everything, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var grants []permit.Grant
		for _, role := range roles {
			g, err := grantOf(role, scope)
			if err != nil {
				return err
			}
			grants = append(grants, g)
		}
		return p.inside(func(ctx context.Context, s *session) error {
			if _, err := account.Open(s.Ledger).Add(ctx, s.actor, args[0], osLogin, grants); err != nil {
				return err
			}
			return s.tellUser("user.added", args[0])
		})(cmd, args)
	}
	return cmd
}

func grantOf(role, scope string) (permit.Grant, error) {
	r, err := permit.ParseRole(role)
	if err != nil {
		return permit.Grant{}, err
	}
	return permit.Grant{Role: r, Scope: scope}, permit.CheckScope(scope)
}

func (p *program) userChange(use, done string, change func(*account.Desk, context.Context, guia.Actor, string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Args: needs(1, 1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.inside(func(ctx context.Context, s *session) error {
			if err := change(account.Open(s.Ledger), ctx, s.actor, args[0]); err != nil {
				return err
			}
			return s.tellUser(done, args[0])
		})(cmd, args)
	}
	return cmd
}

func (p *program) userGrant(use, done string, change func(*account.Desk, context.Context, guia.Actor, string, permit.Grant) error) *cobra.Command {
	var scope string
	cmd := &cobra.Command{Use: use, Args: needs(2, 2)}
	cmd.Flags().StringVar(&scope, "scope", permit.Everything, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g, err := grantOf(args[1], scope)
		if err != nil {
			return err
		}
		return p.inside(func(ctx context.Context, s *session) error {
			if err := change(account.Open(s.Ledger), ctx, s.actor, args[0], g); err != nil {
				return err
			}
			return s.tellUser(done, args[0], args[1], scope)
		})(cmd, args)
	}
	return cmd
}

// userLine is a user as --json prints it.
type userLine struct {
	Login    string      `json:"login"`
	ID       string      `json:"id"`
	OSLogin  string      `json:"os_login,omitempty"`
	Disabled bool        `json:"disabled"`
	Grants   []grantLine `json:"grants"`
}

type grantLine struct {
	Role  string `json:"role"`
	Scope string `json:"scope"`
}

func lineOfUser(u permit.User) userLine {
	line := userLine{Login: u.Login, ID: u.ID.String(), OSLogin: u.OSLogin, Disabled: u.Disabled, Grants: []grantLine{}}
	for _, g := range u.Grants {
		line.Grants = append(line.Grants, grantLine{string(g.Role), g.Scope})
	}
	return line
}

// tellUser says what became of an account: as a sentence, or as the account for programs.
func (s *session) tellUser(key, login string, more ...any) error {
	if !s.json {
		s.say(key, append([]any{login}, more...)...)
		return nil
	}
	users, err := permit.Users(context.Background(), s.Main) // the act is done: its result is told in any case
	if err != nil {
		return err
	}
	at := slices.IndexFunc(users, func(u permit.User) bool { return u.Login == login })
	return s.emit(lineOfUser(users[at]))
}

func (s *session) listUsers(ctx context.Context) error {
	if err := s.may(ctx, permit.ActBrowse); err != nil {
		return err
	}
	users, err := permit.Users(ctx, s.Main)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, u := range users {
		if s.json {
			if err := s.emit(lineOfUser(u)); err != nil {
				return err
			}
			continue
		}
		var roles []string
		for _, g := range u.Grants {
			role := string(g.Role)
			if g.Scope != permit.Everything {
				role += " (" + g.Scope + ")"
			}
			roles = append(roles, role)
		}
		state := s.text("user.active")
		if u.Disabled {
			state = s.text("user.closed")
		}
		rows = append(rows, []string{u.Login, u.OSLogin, state, strings.Join(roles, ", ")})
	}
	if !s.json {
		s.table([]string{s.text("col.login"), s.text("col.os_login"), s.text("col.state"), s.text("col.roles")}, rows)
	}
	return nil
}

func (p *program) userRequestCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "request ACT", Args: needs(1, 1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.inside(func(ctx context.Context, s *session) error {
			r, open, err := account.Open(s.Ledger).Ask(ctx, s.actor, permit.Act(args[0]), "")
			if err != nil {
				return err
			}
			if s.json {
				return s.emit(struct {
					Request string `json:"request"`
					State   string `json:"state"`
					Open    bool   `json:"asked_before"`
				}{r.ID, r.State, open})
			}
			switch {
			case !open:
				s.say("user.asked", r.ID)
			case r.State == "approved":
				s.say("user.approved_before", r.ID)
			default:
				s.say("user.asked_before", r.ID)
			}
			return nil
		})(cmd, args)
	}
	return cmd
}

// listRequests shows what waits for an approval to whoever may give it, and to whoever may browse.
func (s *session) listRequests(ctx context.Context) error {
	act := permit.ActBrowse
	approves, err := permit.Scopes(ctx, s.Main, s.actor.User, permit.ActApprove)
	if err != nil {
		return err
	}
	if len(approves) > 0 {
		act = permit.ActApprove
	}
	if err := s.may(ctx, act); err != nil {
		return err
	}
	requests, err := account.Open(s.Ledger).Requests(ctx)
	if err != nil {
		return err
	}
	logins, err := s.logins(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, r := range requests {
		by := logins[r.AskedBy.String()]
		if len(approves) == 0 { // a reason is told to whoever is to judge it
			r.Reason = ""
		}
		if s.json {
			err := s.emit(struct {
				Request  string `json:"request"`
				Act      string `json:"act"`
				Argument string `json:"argument,omitempty"`
				By       string `json:"by"`
				At       string `json:"at"`
				State    string `json:"state"`
				Reason   string `json:"reason,omitempty"`
			}{r.ID, string(r.Act), r.Argument, by, r.At.UTC().Format(time.RFC3339), r.State, r.Reason})
			if err != nil {
				return err
			}
		}
		what := string(r.Act) + ": " + s.text("user.asks."+string(r.Act))
		rows = append(rows, []string{r.ID, what, by, when(r.At.UTC().Format(time.RFC3339)), r.State, plain(r.Reason)})
	}
	switch {
	case s.json:
	case len(rows) == 0:
		s.say("user.no_requests")
	default:
		s.table([]string{s.text("col.request"), s.text("col.act"), s.text("col.who"), s.text("col.time"), s.text("col.state"), s.text("col.reason")}, rows)
	}
	return nil
}

func (p *program) userAnswer(use, done string, approve bool) *cobra.Command {
	cmd := &cobra.Command{Use: use, Args: needs(1, 1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.inside(func(ctx context.Context, s *session) error {
			r, err := account.Open(s.Ledger).Answer(ctx, s.actor, args[0], approve)
			if err != nil {
				return err
			}
			if s.json {
				return s.emit(struct {
					Request string `json:"request"`
					Act     string `json:"act"`
					State   string `json:"state"`
				}{r.ID, string(r.Act), r.State})
			}
			s.say(done, r.ID, string(r.Act))
			return nil
		})(cmd, args)
	}
	return cmd
}
