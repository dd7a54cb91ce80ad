package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"guia"
	"guia/intake"
	"guia/source/dingtalk"
)

// tenants are the connections that this process calls, by name. What is spent of a quota is counted in one place, whoever spends it: a
// round, a guest's command, what is pushed.
type tenants struct {
	mu  sync.Mutex
	all map[string]*tenant
}

// tenant is one of them.
type tenant struct {
	pulling sync.Mutex // held while feeds are pulled
	budget  *dingtalk.Budget
}

// at returns the connection's place in this process. Its budget goes on from what was kept, and is kept before it is spent.
func (s *session) at(ctx context.Context, c *intake.Connection, set *tenantSettings) (*tenant, error) {
	edition, err := parseEdition(set.Edition)
	if err != nil {
		return nil, err
	}
	s.tenants.mu.Lock()
	defer s.tenants.mu.Unlock()
	if at := s.tenants.all[c.Name]; at != nil {
		at.budget.Change(dingtalk.QuotaOf(edition))
		return at, nil
	}
	var usage dingtalk.Usage
	kept, err := s.Intake.Usage(ctx, c.Name)
	if err == nil && kept != nil {
		err = json.Unmarshal(kept, &usage)
	}
	if err != nil {
		return nil, err
	}
	desk, name := s.Intake, c.Name // the budget outlives this command
	at := &tenant{budget: dingtalk.NewBudget(dingtalk.QuotaOf(edition), usage, func(u dingtalk.Usage) error {
		b, err := json.Marshal(u)
		if err != nil {
			return err
		}
		return desk.KeepUsage(context.Background(), name, u.Month, b)
	}, nil)}
	if s.tenants.all == nil {
		s.tenants.all = map[string]*tenant{}
	}
	s.tenants.all[c.Name] = at
	return at, nil
}

// client opens a connection.
func (s *session) client(ctx context.Context, c *intake.Connection) (*dingtalk.Client, *tenant, error) {
	set, secret, err := s.tenant(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	at, err := s.at(ctx, c, &set)
	if err != nil {
		return nil, nil, err
	}
	cfg := config(&set, &secret)
	cfg.Budget = at.budget
	client, err := dingtalk.New(cfg)
	return client, at, err
}

// calling has fn call the tenant of a connection: one at a time, and what was spent is kept also when fn fails.
func (s *session) calling(ctx context.Context, c *intake.Connection, fn func(*dingtalk.Client) error) error {
	client, at, err := s.client(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	if !at.pulling.TryLock() {
		return guia.Refuse(guia.Held, "source.busy")
	}
	defer at.pulling.Unlock()
	return errors.Join(fn(client), client.KeepUsage())
}
