package main

import (
	"context"

	"github.com/spf13/cobra"

	"guia"
	"guia/archive"
	"guia/permit"
)

func (p *program) tilesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tiles FOLDER", Args: needs(1, 1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := p.abs(args[0])
		return p.inside(func(ctx context.Context, s *session) error { return s.tiles(ctx, dir) })(cmd, args)
	}
	return cmd
}

// tiles writes the public part of the ledger. It tells when something was recorded and in which stream, of all events: it is for
// those to hand out whose view has no limits.
func (s *session) tiles(ctx context.Context, dir string) error {
	if err := s.may(ctx, permit.ActAnchor); err != nil {
		return err
	}
	limits, err := s.scopes(ctx, permit.ActAnchor)
	if err != nil {
		return err
	}
	if !permit.AllowsAll(limits.all) {
		return guia.Refuse(guia.Denied, "tiles.scope")
	}
	g := s.begin("tiles.progress", false)
	defer g.end()
	size, err := archive.Export(ctx, s.Directory, s.actor, dir, func(done, of int64) { g.at(done, of, "") })
	if err != nil {
		return err
	}
	g.end()
	keys, err := s.Ledger.LogKeys(ctx)
	if err != nil {
		return err
	}
	vkey := keys[len(keys)-1].VKey
	if s.json {
		return s.emit(struct {
			Folder string `json:"folder"`
			Origin string `json:"origin"`
			Size   int64  `json:"size"`
			VKey   string `json:"vkey"`
		}{dir, s.Ledger.Origin(), size, vkey})
	}
	s.say("tiles.done", s.number(size), dir)
	s.note("anchor.vkey", vkey)
	return nil
}
