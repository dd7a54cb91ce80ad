package main

import (
	"bytes"
	"context"

	"github.com/spf13/cobra"

	"guia/archive"
	"guia/ledger"
	"guia/permit"
)

func (p *program) doctorCommand() *cobra.Command {
	var support string
	cmd := &cobra.Command{Use: "doctor", Args: needs(0, 0)}
	cmd.Flags().StringVar(&support, "support", "", "")
	cmd.RunE = p.inside(func(ctx context.Context, s *session) error {
		if support != "" {
			return s.support(ctx, s.abs(support))
		}
		return s.doctor(ctx)
	})
	return cmd
}

// allFollowers opens the followers and returns them all.
func (s *session) allFollowers(ctx context.Context) ([]ledger.Follower, error) {
	if err := s.follow(ctx); err != nil {
		return nil, err
	}
	s.followers.mu.Lock()
	defer s.followers.mu.Unlock()
	var all []ledger.Follower
	for _, w := range s.followers.all {
		all = append(all, w)
	}
	return all, nil
}

// doctor says whether the directory is looked after. What is bad makes exit code 1: a monitor that looks at the code alone notices.
func (s *session) doctor(ctx context.Context) error {
	if err := s.may(ctx, permit.ActDoctor); err != nil {
		return err
	}
	followers, err := s.allFollowers(ctx)
	if err != nil {
		return err
	}
	health, err := archive.Doctor(ctx, s.Directory, followers...)
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

// support writes the archive for whoever helps.
func (s *session) support(ctx context.Context, path string) error {
	if err := s.may(ctx, permit.ActDoctor); err != nil {
		return err
	}
	followers, err := s.allFollowers(ctx)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := archive.Support(ctx, s.Directory, &content, followers...); err != nil {
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
