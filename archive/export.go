package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"guia"
	"guia/directory"
	"guia/durable"
	"guia/ledger"
	"guia/permit"
	"guia/proof"
)

// Export writes the public part of the ledger, tree and leaves, as the plain files of C2SP tlog-tiles into dir: what auditors, mirrors
// and witnesses read, with tools of theirs. It holds nothing personal. It returns the exported size. tell, when not nil, is called now
// and then with the number of leaves that were written.
//
// Two events record who handed it out: tiles.started before anything is written, tiles.exported with the signed checkpoint (or with the
// outcome failed) after. Whoever may not compare checkpoints is refused, and that is recorded.
//
// Called again it adds what is new. Full tiles never change and are not written again; partial tiles stay until the full one is
// there, because somebody may still be reading with an older checkpoint. The checkpoint is replaced last: at any moment, also after a
// crash, everything that the checkpoint in dir speaks of is there. An export of another log, or of a history that this ledger is not
// the continuation of, is refused and left alone (conflict, damaged); so is a folder that holds other files and no export (conflict).
func Export(ctx context.Context, d *directory.Directory, actor guia.Actor, dir string, tell func(done, of int64)) (size int64, err error) {
	x := &export{ctx: ctx, l: d.Ledger, actor: actor, dir: dir, dirs: map[string]bool{}, meter: meter{tell: tell}}
	if err := x.record(func(*ledger.Tx) error { return nil }); err != nil {
		return 0, err
	}
	if x.trust, err = x.l.Trust(ctx); err != nil {
		return 0, err
	}
	now, _, err := x.checkpoint()
	if err != nil {
		return 0, err
	}
	before, err := x.exported(now)
	if err != nil {
		return 0, err
	}
	var f guia.Fields
	f.Set("name", filepath.Base(dir))
	err = x.record(func(tx *ledger.Tx) error {
		_, err := tx.Record(guia.TilesStarted, f)
		return err
	})
	if err != nil {
		return 0, err
	}
	now, note, err := x.checkpoint()
	var untidy error
	if err == nil {
		if err = x.run(note, before, now.Size); err == nil {
			untidy = x.removePartials(before, now.Size)
		}
	}
	if durable.IsFull(err) {
		err = noRoom(err, dir)
	}
	x.ctx = context.WithoutCancel(ctx)
	recorded := x.record(func(tx *ledger.Tx) error {
		f.Set("act.outcome", "failed")
		if err == nil {
			f.Set("act.outcome", "done")
			f.SetBytes("checkpoint", note)
		}
		_, err := tx.Record(guia.TilesExported, f)
		return err
	})
	return now.Size, errors.Join(err, untidy, recorded)
}

func (x *export) record(fn func(*ledger.Tx) error) error {
	return x.l.Do(x.ctx, x.actor, permit.ActAnchor, fn)
}

// checkpoint returns the ledger's newest one, also as signed.
func (x *export) checkpoint() (c proof.Checkpoint, note []byte, err error) {
	if note, err = x.l.Checkpoint(x.ctx); err != nil {
		return c, nil, err
	}
	if c, err = x.trust.Open(note); err != nil {
		return c, nil, guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
	}
	return c, note, nil
}

// run adds to dir, where the first leaves are already, those up to size, and then the checkpoint over them.
func (x *export) run(note []byte, before, size int64) error {
	if err := durable.MkdirAll(x.dir, 0o755); err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", x.dir)
	}
	x.of = size
	if err := x.tiles(before, size); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := x.entries(before, size); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := x.sync(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(x.dir, noteName), note, 0o644); err != nil { // only now may anyone be told
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// exported returns the size of what is in dir already, 0 for nothing, after comparing it with the ledger.
func (x *export) exported(now proof.Checkpoint) (int64, error) {
	note, err := os.ReadFile(filepath.Join(x.dir, noteName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, x.ours()
	}
	if err != nil {
		return 0, guia.RefuseCause(guia.Blocked, err, "directory.unreadable", x.dir)
	}
	old, err := x.trust.Open(note)
	if err != nil || old.Origin != now.Origin {
		return 0, guia.RefuseCause(guia.Conflict, err, "archive.export_foreign", x.dir)
	}
	if old.Size > now.Size {
		return 0, guia.Refuse(guia.Damaged, "archive.export_ahead", old.Size, now.Size)
	}
	root, err := proof.Root(x.l, old.Size)
	if err != nil {
		return 0, err
	}
	if root != old.Root {
		return 0, guia.Refuse(guia.Damaged, "archive.export_differs", old.Size)
	}
	return old.Size, nil
}

// ours refuses a folder without a checkpoint that holds anything but what an interrupted export leaves: a web server would give it to
// everybody.
func (x *export) ours() error {
	entries, err := os.ReadDir(x.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return guia.RefuseCause(guia.Blocked, err, "directory.unreadable", x.dir)
	}
	for _, e := range entries {
		if e.Name() != "tile" && !durable.IsTemp(e.Name()) {
			return guia.Refuse(guia.Conflict, "archive.export_other", x.dir, e.Name(), len(entries))
		}
	}
	return nil
}

// export is a directory of tiles being written.
type export struct {
	ctx   context.Context
	l     *ledger.Ledger
	actor guia.Actor
	trust proof.Chain
	dir   string
	dirs  map[string]bool // in which files were made
	meter
}

// tiles writes the tiles of every level that the tree of size has and the tree of before did not.
func (x *export) tiles(before, size int64) error {
	for level := 0; size>>(proof.TileHeight*level) > 0; level++ {
		row := size >> (proof.TileHeight * level) // hashes at this level
		for index := before >> (proof.TileHeight * (level + 1)); index*proof.TileWidth < row; index++ {
			width := int(min(proof.TileWidth, row-index*proof.TileWidth))
			if err := x.ctx.Err(); err != nil {
				return err
			}
			hashes, err := x.l.ReadTile(level, index, width)
			if err != nil {
				return err
			}
			if err := x.write(proof.TilePath(level, index, width), proof.Tile{Level: level, Index: index, Hashes: hashes}.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

// entries writes the bundles of leaves.
func (x *export) entries(before, size int64) error {
	var bundle []byte
	start := before / proof.TileWidth * proof.TileWidth
	x.add(start)
	return x.l.Entries(x.ctx, guia.Seq(start), guia.Seq(size), func(e ledger.Entry) (err error) {
		if bundle, err = proof.AppendEntry(bundle, e.Text); err != nil {
			return err
		}
		next := int64(e.Seq) + 1
		if next%proof.TileWidth != 0 && next != size {
			return nil
		}
		index := int64(e.Seq) / proof.TileWidth
		path := proof.EntriesPath(index, int(next-index*proof.TileWidth))
		err = x.write(path, bundle)
		bundle = bundle[:0]
		x.add(next - x.done)
		return err
	})
}

// write makes a file unless it is there with this content.
func (x *export) write(name string, data []byte) error {
	path := filepath.Join(x.dir, filepath.FromSlash(name))
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, data) {
		return nil
	}
	dir := filepath.Dir(path)
	if !x.dirs[dir] {
		if err := durable.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		x.dirs[dir] = true
	}
	return durable.WriteFile(path, data, 0o644)
}

// sync makes directories durable that an interrupted call may have left unsynced.
func (x *export) sync() error {
	for dir := range x.dirs {
		for d := dir; len(d) >= len(filepath.Clean(x.dir)); d = filepath.Dir(d) {
			if err := durable.SyncDir(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// removePartials removes the partial tiles and bundles whose full ones are there now (c2sp.org/tlog-tiles, "Partial Tiles").
func (x *export) removePartials(before, size int64) error {
	remove := func(full string) error {
		err := os.RemoveAll(filepath.Join(x.dir, filepath.FromSlash(full)) + ".p")
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		return nil
	}
	for level := 0; before>>(proof.TileHeight*level) > 0; level++ {
		index := before >> (proof.TileHeight * (level + 1))
		if proof.PartialWidth(before, level) == 0 || size>>(proof.TileHeight*(level+1)) <= index {
			continue // there was none, or it is partial still
		}
		if err := remove(proof.TilePath(level, index, proof.TileWidth)); err != nil {
			return err
		}
		if level == 0 {
			if err := remove(proof.EntriesPath(index, proof.TileWidth)); err != nil {
				return err
			}
		}
	}
	return nil
}
