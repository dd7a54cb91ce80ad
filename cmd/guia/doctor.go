package main

import (
	"bytes"
	"context"

	"github.com/spf13/cobra"

	"guia"
	"guia/archive"
	"guia/ledger"
	"guia/permit"
)

func (p *program) doctorCommand() *cobra.Command {
	var support string
	var sweep bool
	cmd := &cobra.Command{Use: "doctor", Args: needs(0, 0)}
	cmd.Flags().StringVar(&support, "support", "", "")
	cmd.Flags().BoolVar(&sweep, "sweep", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if sweep && support != "" {
			return guia.Refuse(guia.Invalid, "cmd.exclusive", "--sweep", "--support")
		}
		return p.looking(func(ctx context.Context, s *session) error {
			switch {
			case sweep:
				return s.sweep(ctx)
			case support != "":
				return s.support(ctx, s.abs(support))
			}
			return s.doctor(ctx)
		})(cmd, args)
	}
	return cmd
}

// allFollowers opens the followers and returns them all; none when they cannot be opened.
func (s *session) allFollowers(ctx context.Context) (all []ledger.Follower) {
	if s.Viewed {
		return nil
	}
	if err := s.follow(ctx); err != nil {
		s.note("view.followers", s.why(ctx, err))
		return nil
	}
	s.followers.mu.Lock()
	defer s.followers.mu.Unlock()
	for _, w := range s.followers.all {
		all = append(all, w)
	}
	return all
}

// examined says why a directory is only viewed. Whether one that is damaged is looked after is no question.
func (s *session) examined(ctx context.Context) error {
	if guia.KindOf(s.closed) == guia.Damaged {
		return s.closed
	}
	if s.closed != nil {
		s.note("view.only", s.why(ctx, s.closed))
	}
	return nil
}

// doctor says whether the directory is looked after. What is bad makes exit code 1: a monitor that looks at the code alone notices.
func (s *session) doctor(ctx context.Context) error {
	if err := s.may(ctx, permit.ActDoctor); err != nil {
		return err
	}
	if err := s.examined(ctx); err != nil {
		return err
	}
	health, err := archive.Doctor(ctx, s.Directory, s.allFollowers(ctx)...)
	if err != nil {
		return err
	}
	if s.json {
		err = s.emit(struct {
			Worst    archive.Severity  `json:"worst"`
			Findings []archive.Finding `json:"findings"`
			Numbers  archive.Numbers   `json:"numbers"`
		}{health.Worst(), health.Findings, health.Numbers})
	} else {
		s.tellHealth(health)
	}
	if err == nil && health.Worst() == archive.Bad {
		err = exit(codeFailed)
	}
	return err
}

func (s *session) tellHealth(h archive.Health) {
	var pairs []string
	for _, f := range h.Findings {
		sentence := s.text(f.Key, f.Args...)
		if f.Do != "" {
			sentence += "\n" + s.text(f.Do, f.Args...)
		}
		pairs = append(pairs, s.text("severity."+string(f.Severity)), sentence)
	}
	s.pairs(pairs...)
}

// sweep removes the files of events that were never committed, at least a day old: they belong to nothing.
func (s *session) sweep(ctx context.Context) error {
	if s.closed != nil { // nothing can be removed there
		return s.closed
	}
	if err := s.may(ctx, permit.ActBackup); err != nil {
		return err
	}
	release, err := s.HoldStill() // a copy is made of the same files
	if err != nil {
		return err
	}
	defer release()
	swept, err := s.Vault.Sweep(ctx, s.Ledger.Size())
	if err != nil {
		return err
	}
	n := swept.Blobs + swept.Temps
	if s.json {
		return s.emit(map[string]int{"swept": n})
	}
	s.say("doctor.swept", n)
	return nil
}

// support writes the archive for whoever helps.
func (s *session) support(ctx context.Context, path string) error {
	if err := s.may(ctx, permit.ActDoctor); err != nil {
		return err
	}
	if err := s.examined(ctx); err != nil {
		return err
	}
	var content bytes.Buffer
	if err := archive.Support(ctx, s.Directory, &content, s.allFollowers(ctx)...); err != nil {
		return err
	}
	if err := writeNew(path, content.Bytes()); err != nil {
		return err
	}
	if s.json {
		return s.emit(map[string]any{"file": path, "bytes": content.Len()})
	}
	s.say("doctor.support", path)
	return nil
}
