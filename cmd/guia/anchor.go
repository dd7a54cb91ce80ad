package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/durable"
	"guia/ledger"
	"guia/permit"
	"guia/proof"
)

func (p *program) anchorCommand() *cobra.Command {
	var file, export string
	cmd := &cobra.Command{Use: "anchor", Args: needs(0, 0)}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&file, "file", "", "")
	cmd.Flags().StringVar(&export, "export", "", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var kept []byte
		if file != "" {
			if export != "" {
				return guia.Refuse(guia.Invalid, "cmd.exclusive", "--file", "--export")
			}
			var err error
			if kept, err = readSmall(p.abs(file)); err != nil {
				return err
			}
		}
		return p.inside(func(ctx context.Context, s *session) error {
			if file != "" {
				return s.compare(ctx, kept, p.abs(file))
			}
			return s.anchor(ctx, p.abs(export))
		})(cmd, args)
	}
	return cmd
}

// anchor hands out the newest signed checkpoint.
func (s *session) anchor(ctx context.Context, path string) error {
	if err := s.may(ctx, permit.ActAnchor); err != nil {
		return err
	}
	note, err := s.Ledger.Checkpoint(ctx)
	if err != nil {
		return err
	}
	keys, err := s.Ledger.LogKeys(ctx)
	if err != nil {
		return err
	}
	vkey := keys[len(keys)-1].VKey
	if path != "" {
		if err := writeNew(path, note); err != nil {
			return err
		}
	}
	switch {
	case s.json:
		return s.emit(struct {
			Checkpoint string `json:"checkpoint"`
			VKey       string `json:"vkey"`
			File       string `json:"file,omitempty"`
		}{string(note), vkey, path})
	case path != "":
		s.say("anchor.exported", path)
	default:
		s.print(string(note)) // and nothing else: stdout may go to a file
	}
	s.note("anchor.vkey", vkey)
	return nil
}

// writeNew writes a file that must not be there yet; it is durable on return.
func writeNew(path string, content []byte) error {
	f, err := durable.CreateExclusive(path)
	if err == nil {
		if _, err = f.Write(content); err != nil {
			err = errors.Join(err, f.Abort())
		} else {
			err = f.Commit()
		}
	}
	if errors.Is(err, os.ErrExist) {
		return guia.RefuseCause(guia.Conflict, err, "cmd.file_exists", path)
	}
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", filepath.Dir(path))
	}
	return nil
}

// The outcomes of a comparison.
const (
	anchorSame     = "same"     // nothing was recorded since
	anchorAhead    = "ahead"    // the ledger begins with what was signed then, and went on
	anchorRollback = "rollback" // the ledger is shorter than what was signed then
	anchorFork     = "fork"     // the ledger does not begin with what was signed then
)

// compare proves that the ledger begins with what a checkpoint kept elsewhere was signed over, or finds that it does not: exit 3. The
// outcome is recorded in either case.
func (s *session) compare(ctx context.Context, note []byte, path string) error {
	if err := s.may(ctx, permit.ActAnchor); err != nil {
		return err
	}
	kept, err := s.readAnchor(ctx, note, path)
	if err != nil {
		return err
	}
	outcome, now, hashes, err := s.relate(ctx, kept)
	if err != nil {
		return err
	}
	err = s.do(ctx, permit.ActAnchor, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.SetBytes("checkpoint", note)
		f.Set("act.outcome", outcome)
		_, err := tx.Record(guia.AnchorCompared, f)
		return err
	})
	if err != nil {
		return err
	}
	if s.json {
		list := []string{}
		for _, h := range hashes {
			list = append(list, h.String())
		}
		err = s.emit(struct {
			Outcome string   `json:"outcome"`
			Kept    int64    `json:"kept_size"`
			Now     int64    `json:"size"`
			Proof   []string `json:"consistency"`
		}{outcome, kept.Size, now.Size, list})
	}
	switch outcome {
	case anchorSame:
		s.say("anchor.same", kept.Size)
	case anchorAhead:
		s.say("anchor.ahead", kept.Size, now.Size-kept.Size, len(hashes))
	case anchorRollback:
		return errors.Join(guia.Refuse(guia.Damaged, "anchor.rollback", kept.Size, now.Size), err)
	case anchorFork:
		return errors.Join(guia.Refuse(guia.Damaged, "anchor.fork", kept.Size), err)
	}
	return err
}

// readAnchor opens a checkpoint with the log's own keys.
func (s *session) readAnchor(ctx context.Context, note []byte, path string) (proof.Checkpoint, error) {
	trust, err := s.Ledger.Trust(ctx)
	if err != nil {
		return proof.Checkpoint{}, err
	}
	kept, err := trust.Open(note)
	if err == nil {
		return kept, nil
	}
	origin, _, _ := strings.Cut(string(note), "\n")
	if origin == s.Ledger.Origin() {
		// A key that this ledger does not know, over more events than it holds: an older copy of the directory, from before a change of
		// the log key, looks like this.
		text, _, _ := strings.Cut(string(note), "\n\n")
		if c, err := proof.ParseCheckpoint([]byte(text + "\n")); err == nil && c.Size > int64(s.Ledger.Size()) {
			return c, guia.Refuse(guia.Damaged, "anchor.unknown_key", path, c.Size, uint64(s.Ledger.Size()))
		}
		return kept, guia.RefuseCause(guia.Invalid, err, "anchor.signature", path)
	}
	return kept, guia.RefuseCause(guia.Invalid, err, "anchor.foreign", path, s.Ledger.Origin())
}

// relate compares the ledger's tree with an older one.
func (s *session) relate(ctx context.Context, kept proof.Checkpoint) (outcome string, now proof.Checkpoint, hashes []proof.Hash, err error) {
	note, err := s.Ledger.Checkpoint(ctx)
	if err != nil {
		return "", now, nil, err
	}
	trust, err := s.Ledger.Trust(ctx)
	if err != nil {
		return "", now, nil, err
	}
	if now, err = trust.Open(note); err != nil {
		return "", now, nil, guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
	}
	switch {
	case kept.Size > now.Size:
		return anchorRollback, now, nil, nil
	case kept.Size == now.Size && kept.Root == now.Root:
		return anchorSame, now, nil, nil
	}
	if hashes, err = proof.Consistency(s.Ledger, kept.Size, now.Size); err != nil {
		return "", now, nil, fmt.Errorf("prove consistency: %w", err)
	}
	if grown := proof.CheckConsistency(kept.Root, kept.Size, now.Root, now.Size, hashes) == nil; !grown {
		return anchorFork, now, nil, nil
	}
	return anchorAhead, now, hashes, nil
}
