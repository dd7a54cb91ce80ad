package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/account"
	"guia/directory"
	"guia/durable"
	"guia/ledger"
	"guia/permit"
)

// recipientsFile stands beside the escrow copies and says for whom the last one was made.
const recipientsFile = "recipients.txt"

// writeEscrow encrypts the epoch key in force to the recipients, replacing an earlier copy for this epoch, remembers the recipients
// for the next epoch, and records it. After a crash the copy may be there without its event; writing it again is harmless.
func writeEscrow(ctx context.Context, h *holder, actor guia.Actor, recipients []string) (path string, err error) {
	if err := h.Ledger.Do(ctx, actor, permit.ActEscrow, func(*ledger.Tx) error { return nil }); err != nil {
		return "", err
	}
	slices.Sort(recipients)
	recipients = slices.Compact(recipients)
	var copied bytes.Buffer
	if err := h.Keys.Escrow(&copied, recipients); err != nil {
		return "", err
	}
	path, folder := h.EscrowPath(h.Keys.Epoch()), h.EscrowFolder()
	if err := durable.MkdirAll(folder, 0o700); err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", folder)
	}
	if err := durable.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", folder)
	}
	if err := durable.WriteFile(filepath.Join(folder, recipientsFile), []byte(strings.Join(recipients, "\n")+"\n"), 0o600); err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", folder)
	}
	return path, h.Ledger.Do(ctx, actor, permit.ActEscrow, func(tx *ledger.Tx) error {
		_, err := tx.Record(guia.EscrowWritten, directory.EscrowFields(copied.Bytes(), recipients))
		return err
	})
}

// readRecipients returns to whom the last escrow copy was encrypted; none when there is none.
func readRecipients(h *holder) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(h.EscrowFolder(), recipientsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

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
	if vkeyOnly {
		s.print(keys[len(keys)-1].VKey + "\n")
		return nil
	}
	recipients, err := readRecipients(s.holder)
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
		id, err := account.Open(s.Ledger).Ask(ctx, s.actor, permit.ActRotateLog, "")
		if err != nil {
			return err
		}
		return guia.Refuse(guia.Blocked, "key.asked", id)
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

// rotateEpoch replaces the epoch key, records it, and writes the new escrow copy. The order, with what is true after a crash behind
// each step:
//
//  1. the new epoch key is in force (package seal) — the escrow copy of this epoch is missing, and `guia doctor` says so
//  2. the change is recorded
//  3. the escrow copy is written and recorded
func (s *session) rotateEpoch(ctx context.Context) error {
	if err := s.may(ctx, permit.ActRotateEpoch); err != nil {
		return err
	}
	recipients, err := readRecipients(s.holder)
	if err != nil {
		return err
	}
	if len(recipients) == 0 { // nobody could open a backup made from now on
		return guia.Refuse(guia.Blocked, "seal.no_recipient")
	}
	if err := s.Keys.RotateEpoch(ctx); err != nil { // 1
		return err
	}
	ctx = context.WithoutCancel(ctx)                                   // what has begun is ended: a missing escrow copy is worse than waiting
	err = s.do(ctx, permit.ActRotateEpoch, func(tx *ledger.Tx) error { // 2
		var f guia.Fields
		f.Set("count", fmt.Sprint(s.Keys.Epoch()))
		_, err := tx.Record(guia.EpochRotated, f)
		return err
	})
	if err != nil {
		return err
	}
	return s.escrow(ctx, recipients, false) // 3
}

// escrow writes the escrow copy of the epoch in force, for the recipients or, when none are named, for the known ones.
// escrow adds recipients to the known ones, unless only those named are to be left: whoever can restore a backup today is not dropped
// by naming another.
func (s *session) escrow(ctx context.Context, recipients []string, only bool) error {
	if !only || len(recipients) == 0 {
		known, err := readRecipients(s.holder)
		if err != nil {
			return err
		}
		recipients = append(recipients, known...)
	}
	path, err := writeEscrow(ctx, s.holder, s.actor, recipients)
	if err != nil {
		return err
	}
	if s.json {
		return s.emit(struct {
			Epoch  int    `json:"epoch"`
			Escrow string `json:"escrow"`
		}{s.Keys.Epoch(), path})
	}
	s.say("key.escrowed", s.Keys.Epoch(), path)
	return nil
}
