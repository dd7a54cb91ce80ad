package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"guia"
	"guia/archive"
	"guia/ledger"
)

// setLine is a backup set as --json prints it.
type setLine struct {
	Set       string `json:"set"`
	Origin    string `json:"origin"`
	Events    int64  `json:"events"`
	Epoch     int    `json:"epoch"`
	Created   string `json:"created"`
	Files     int    `json:"files"`
	Bytes     int64  `json:"bytes"`
	Digest    string `json:"manifest_sha256"`
	Directory string `json:"directory,omitempty"` // after a restore
}

func lineOfSet(m archive.Manifest, dir string) setLine {
	return setLine{m.Set, m.Origin, m.Size, m.Epoch, m.Created.UTC().Format("2006-01-02T15:04:05Z"), len(m.Files), m.Bytes(), fmt.Sprintf("%x", m.Digest), dir}
}

func (p *program) backupCommand() *cobra.Command {
	var verify, list bool
	cmd := &cobra.Command{Use: "backup FOLDER", Args: needs(1, 1)}
	cmd.Flags().BoolVar(&verify, "verify", false, "")
	cmd.Flags().BoolVar(&list, "list", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		place := p.abs(args[0])
		switch {
		case verify && list:
			return guia.Refuse(guia.Invalid, "cmd.exclusive", "--verify", "--list")
		case list:
			return p.listSets(place)
		case verify:
			m, err := archive.Verify(cmd.Context(), place)
			if err != nil {
				return err
			}
			return p.tellSet("backup.verified", m)
		}
		return p.inside(func(ctx context.Context, s *session) error {
			if err := s.soundness(ctx); err != nil {
				return err
			}
			g := s.begin("backup.progress", true)
			defer g.end()
			m, err := archive.Backup(ctx, s.Directory, s.actor, place, func(done, of int64) { g.at(done, of, "") })
			if err != nil {
				return err
			}
			g.end()
			return s.tellSet("backup.done", m)
		})(cmd, args)
	}
	return cmd
}

// soundness refuses to copy damage as if it were whole.
func (s *session) soundness(ctx context.Context) error {
	g := s.begin("check.progress", false)
	defer g.end()
	report, err := s.Check(ctx, ledger.CheckOptions{Progress: func(done, of guia.Seq) { g.at(int64(done), int64(of), "") }})
	if err == nil && len(report.Findings) > 0 {
		err = guia.Refuse(guia.Damaged, "backup.damaged_directory", len(report.Findings))
	}
	return err
}

func (p *program) tellSet(key string, m archive.Manifest) error {
	if p.json {
		return p.emit(lineOfSet(m, ""))
	}
	p.say(key, m.Set, p.number(m.Size), p.size(m.Bytes()))
	return nil
}

func (p *program) listSets(place string) error {
	sets, err := archive.Sets(place)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, m := range sets {
		line := lineOfSet(m, "")
		if p.json {
			if err := p.emit(line); err != nil {
				return err
			}
		}
		rows = append(rows, []string{when(line.Created), p.number(m.Size), fmt.Sprint(m.Epoch), p.size(line.Bytes), m.Set})
	}
	switch {
	case p.json:
	case len(rows) == 0:
		p.say("backup.none", place)
	default:
		p.table([]string{p.text("col.created"), p.text("col.events"), p.text("key.epoch"), p.text("col.size"), p.text("col.set")}, rows)
	}
	return nil
}

func (p *program) restoreCommand() *cobra.Command {
	var identity string
	cmd := &cobra.Command{Use: "restore FOLDER", Args: needs(1, 1)}
	cmd.Flags().StringVar(&identity, "identity", "", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if identity == "" {
			return guia.Refuse(guia.Invalid, "restore.no_identity", args[0])
		}
		key, err := os.Open(p.abs(identity))
		if err != nil {
			return guia.RefuseCause(guia.Invalid, err, "import.unreadable", identity, reasonOf(err))
		}
		defer key.Close() // only read
		g := p.begin("restore.progress", true)
		defer g.end()
		m, err := archive.Restore(cmd.Context(), p.abs(args[0]), p.path, key, func(done, of int64) { g.at(done, of, "") })
		if err != nil {
			return err
		}
		g.end()
		if p.json {
			return p.emit(lineOfSet(m, p.path))
		}
		p.say("restore.done", p.path, p.number(m.Size), m.Created.In(guia.Zone).Format("2006-01-02 15:04 -07:00"))
		return nil
	}
	return cmd
}
