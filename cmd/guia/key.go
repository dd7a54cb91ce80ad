package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/account"
	"guia/evidence/verify"
	"guia/permit"
)

func (p *program) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Args: cobra.ArbitraryArgs, RunE: p.group}
	var vkeyOnly bool
	status := &cobra.Command{Use: "status", Args: needs(0, 0)}
	status.Flags().BoolVar(&vkeyOnly, "vkey", false, "")
	status.RunE = p.inside(func(ctx context.Context, s *session) error { return s.keyStatus(ctx, vkeyOnly) })
	var approval string
	rotateLog := &cobra.Command{Use: "rotate-log", Args: needs(0, 0)}
	rotateLog.Flags().StringVar(&approval, "approval", "", "")
	rotateLog.RunE = p.inside(func(ctx context.Context, s *session) error { return s.rotateLog(ctx, approval) })
	var recipients []string
	escrow := &cobra.Command{Use: "escrow", Args: needs(0, 0)}
	escrow.Flags().StringArrayVar(&recipients, "recipient", nil, "")
	var only bool
	escrow.Flags().BoolVar(&only, "only", false, "")
	escrow.RunE = p.inside(func(ctx context.Context, s *session) error { return s.escrow(ctx, recipients, only) })
	cmd.AddCommand(
		status,
		rotateLog,
		&cobra.Command{Use: "rotate-epoch", Args: needs(0, 0), RunE: p.inside(func(ctx context.Context, s *session) error { return s.rotateEpoch(ctx) })},
		escrow,
	)
	return cmd
}

func (s *session) keyStatus(ctx context.Context, vkeyOnly bool) error {
	if err := s.may(ctx, permit.ActKeyStatus); err != nil {
		return err
	}
	keys, err := s.Ledger.LogKeys(ctx)
	if err != nil {
		return err
	}
	if vkeyOnly && !s.json { // all: a bundle made before a key was replaced is verified with an earlier one, which proves nothing later
		for i, k := range slices.Backward(keys) {
			line := k.VKey
			if i+1 < len(keys) {
				line = verify.RetiredKey(k.VKey, keys[i+1].From)
			}
			s.print(line + "\n")
		}
		return nil
	}
	recipients, err := s.Recipients()
	if err != nil {
		return err
	}
	count, err := s.Keys.Count(ctx)
	if err != nil {
		return err
	}
	_, missing := os.Stat(s.EscrowPath(s.Keys.Epoch()))
	if s.json {
		type logKey struct {
			VKey string `json:"vkey"`
			From int64  `json:"from_size"`
		}
		list := []logKey{}
		for _, k := range keys {
			list = append(list, logKey{k.VKey, k.From})
		}
		return s.emit(struct {
			Origin     string   `json:"origin"`
			LogKeys    []logKey `json:"log_keys"`
			Epoch      int      `json:"epoch"`
			Keys       int      `json:"keys"`
			Escrowed   bool     `json:"escrowed"`
			Recipients []string `json:"recipients"`
		}{s.Ledger.Origin(), list, s.Keys.Epoch(), count, missing == nil, orEmpty(recipients)})
	}
	var rows [][]string
	for i, k := range keys {
		rows = append(rows, []string{fmt.Sprint(i + 1), fmt.Sprint(k.From), k.VKey})
	}
	s.table([]string{s.text("col.seq"), s.text("key.from"), s.text("key.vkey")}, rows)
	s.print("\n")
	s.pairs(
		s.text("key.epoch"), fmt.Sprint(s.Keys.Epoch()),
		s.text("key.count"), s.number(int64(count)),
		s.text("key.recipients"), strings.Join(recipients, "\n"),
	)
	if missing != nil {
		s.say("key.no_escrow")
	}
	return nil
}

// rotateLog replaces the log key. Where somebody else may approve, and no approval is named, one is asked for.
func (s *session) rotateLog(ctx context.Context, approval string) error {
	vkey, err := s.Ledger.RotateKey(ctx, s.actor, approval)
	if refusal, ok := errors.AsType[*guia.Refusal](err); ok && refusal.Key == "permit.second" {
		r, open, err := account.Open(s.Ledger).Ask(ctx, s.actor, permit.ActRotateLog, "")
		switch {
		case err != nil:
			return err
		case !open:
			return guia.Refuse(guia.Blocked, "key.asked", r.ID)
		case r.State == "approved":
			return guia.Refuse(guia.Blocked, "key.approved_before", r.ID)
		}
		return guia.Refuse(guia.Blocked, "key.asked_before", r.ID)
	}
	if err != nil {
		return err
	}
	if s.json {
		return s.emit(struct {
			VKey string `json:"vkey"`
		}{vkey})
	}
	s.say("key.rotated", vkey)
	return nil
}

// rotateEpoch replaces the epoch key.
func (s *session) rotateEpoch(ctx context.Context) error {
	path, err := s.RotateEpoch(ctx, s.actor)
	if err != nil {
		return err
	}
	return s.tellEscrow(path)
}

// escrow writes the escrow copy of the epoch in force.
func (s *session) escrow(ctx context.Context, recipients []string, only bool) error {
	path, err := s.WriteEscrow(ctx, s.actor, recipients, only)
	if err != nil {
		return err
	}
	return s.tellEscrow(path)
}

func (s *session) tellEscrow(path string) error {
	if s.json {
		return s.emit(struct {
			Epoch  int    `json:"epoch"`
			Escrow string `json:"escrow"`
		}{s.Keys.Epoch(), path})
	}
	s.say("key.escrowed", s.Keys.Epoch(), path)
	return nil
}
