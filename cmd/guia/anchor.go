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
	anchorSame     = "same"        // nothing was recorded since
	anchorAhead    = "ahead"       // the ledger begins with what was signed then, and went on
	anchorRollback = "rollback"    // the ledger is shorter than what was signed then
	anchorFork     = "fork"        // the ledger does not begin with what was signed then
	anchorUnknown  = "unknown-key" // a key that the ledger does not know signed in its name: forged, or a copy of it went its own way
	anchorUntimely = "wrong-key"   // a key of the ledger signed what only another one of its keys may: a copy of it went its own way
)

// compare proves that the ledger begins with what a checkpoint kept elsewhere was signed over, or finds that it does not: exit 3. The
// outcome is recorded in either case.
func (s *session) compare(ctx context.Context, note []byte, path string) error {
	if err := s.may(ctx, permit.ActAnchor); err != nil {
		return err
	}
	kept, outcome, err := s.readAnchor(ctx, note, path)
	if err != nil {
		return err
	}
	var hashes []proof.Hash
	now := int64(s.Ledger.Size())
	if outcome == "" {
		if outcome, now, hashes, err = s.relate(ctx, kept); err != nil {
			return err
		}
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
		}{outcome, kept.Size, now, list})
	}
	switch outcome {
	case anchorSame:
		s.say("anchor.same", kept.Size)
	case anchorAhead:
		s.say("anchor.ahead", kept.Size, now-kept.Size, len(hashes))
	case anchorRollback:
		return errors.Join(guia.Refuse(guia.Damaged, "anchor.rollback", kept.Size, now), err)
	case anchorFork:
		return errors.Join(guia.Refuse(guia.Damaged, "anchor.fork", kept.Size), err)
	case anchorUnknown:
		return errors.Join(guia.Refuse(guia.Damaged, "anchor.unknown_key", path, kept.Size, now), err)
	case anchorUntimely:
		return errors.Join(guia.Refuse(guia.Damaged, "anchor.wrong_key", path, kept.Size, now), err)
	}
	return err
}

// readAnchor opens a checkpoint with the log's own keys. An outcome says that it names this ledger and that another key signed than may:
// there is nothing more to compare.
func (s *session) readAnchor(ctx context.Context, note []byte, path string) (kept proof.Checkpoint, outcome string, err error) {
	trust, err := s.Ledger.Trust(ctx)
	if err != nil {
		return kept, "", err
	}
	if kept, err = trust.Open(note); err == nil {
		return kept, "", nil
	}
	text, _, _ := strings.Cut(string(note), "\n\n")
	claimed, malformed := proof.ParseCheckpoint([]byte(text + "\n"))
	switch origin, _, _ := strings.Cut(text, "\n"); {
	case origin != s.Ledger.Origin():
		return kept, "", guia.RefuseCause(guia.Invalid, err, "anchor.foreign", path, s.Ledger.Origin())
	case malformed == nil && errors.Is(err, proof.ErrUnknownKey):
		return claimed, anchorUnknown, nil
	case malformed == nil && errors.Is(err, proof.ErrNotInForce):
		return claimed, anchorUntimely, nil
	}
	return kept, "", guia.RefuseCause(guia.Invalid, err, "anchor.signature", path)
}

// relate compares the ledger's tree, of the size it returns, with an older one.
func (s *session) relate(ctx context.Context, kept proof.Checkpoint) (outcome string, size int64, hashes []proof.Hash, err error) {
	note, err := s.Ledger.Checkpoint(ctx)
	if err != nil {
		return "", 0, nil, err
	}
	trust, err := s.Ledger.Trust(ctx)
	if err != nil {
		return "", 0, nil, err
	}
	now, err := trust.Open(note)
	if err != nil {
		return "", 0, nil, guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
	}
	switch {
	case kept.Size > now.Size:
		return anchorRollback, now.Size, nil, nil
	case kept.Size == now.Size && kept.Root == now.Root:
		return anchorSame, now.Size, nil, nil
	}
	if hashes, err = proof.Consistency(s.Ledger, kept.Size, now.Size); err != nil {
		return "", 0, nil, fmt.Errorf("prove consistency: %w", err)
	}
	if grown := proof.CheckConsistency(kept.Root, kept.Size, now.Root, now.Size, hashes) == nil; !grown {
		return anchorFork, now.Size, nil, nil
	}
	return anchorAhead, now.Size, hashes, nil
}
