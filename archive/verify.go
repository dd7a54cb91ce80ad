package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"guia"
	"guia/blob"
	"guia/db"
	"guia/ledger"
	"guia/proof"
	"guia/vault"
)

// Verify says whether a set (or the newest set of a place) is whole and undamaged: every listed file is there with its digest and
// nothing else is, the tree recomputed from all its leaves has the root of the manifest and leads to a checkpoint that the log
// signed, and every blob that an event refers to is listed. It needs no key and writes nothing, not even beside the set. Damage is a
// refusal of kind damaged that names the file or event.
//
// Whose log it is the caller compares: the manifest's origin, or its first verifier key in log/vkey, with what is known from
// elsewhere. That nobody rearranged the manifest itself is checked by [Restore], which has the keys.
func Verify(ctx context.Context, set string) (Manifest, error) {
	set, err := resolve(set)
	if err != nil {
		return Manifest{}, err
	}
	return verify(ctx, set, nil)
}

func verify(ctx context.Context, set string, tell func(done, of int64)) (Manifest, error) {
	m, err := readManifest(set)
	if err != nil {
		return m, err
	}
	if err := checkNames(m); err != nil {
		return m, err
	}
	progress := &meter{of: m.Bytes(), tell: tell}
	for _, f := range m.Files {
		digest, size, err := digestOf(ctx, filepath.Join(set, filepath.FromSlash(f.Name)), progress)
		if errors.Is(err, fs.ErrNotExist) {
			return m, guia.RefuseCause(guia.Damaged, err, "archive.file_missing", f.Name)
		}
		if err != nil {
			return m, fmt.Errorf("verify %s: %w", f.Name, err)
		}
		if digest != f.Digest || size != f.Size {
			return m, guia.Refuse(guia.Damaged, "archive.file_differs", f.Name)
		}
	}
	if err := checkUnlisted(m); err != nil {
		return m, err
	}
	return m, verifyTree(ctx, m)
}

// checkNames demands the files without which nothing can be restored.
func checkNames(m Manifest) error {
	listed := map[string]bool{}
	for _, f := range m.Files {
		listed[f.Name] = true
	}
	for _, name := range []string{databaseName, keysName, versionName, noteName, growthName, keyFolder + "/vkey"} {
		if !listed[name] {
			return guia.Refuse(guia.Damaged, "archive.file_missing", name)
		}
	}
	return nil
}

// checkUnlisted refuses files that the manifest does not list: an epoch key that got into a set would undo its encryption.
func checkUnlisted(m Manifest) error {
	listed := map[string]bool{manifestName: true}
	for _, f := range m.Files {
		listed[f.Name] = true
	}
	return filepath.WalkDir(m.Set, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(m.Set, path)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); !listed[name] {
			return guia.Refuse(guia.Damaged, "archive.file_unlisted", name)
		}
		return nil
	})
}

// verifyTree recomputes the tree of the set's database and compares it with the manifest and the signed checkpoint.
func verifyTree(ctx context.Context, m Manifest) (err error) {
	main, err := db.OpenReadOnly(ctx, filepath.Join(m.Set, databaseName), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, main.Close()) }()
	v := vault.Open(nil, nil, main)
	l, err := ledger.View(ctx, main, nil, v)
	if err == nil {
		err = l.Agree(ctx)
	}
	if err != nil {
		return err
	}
	if l.Origin() != m.Origin || int64(l.Size()) != m.Size {
		return guia.Refuse(guia.Damaged, "archive.manifest_differs", m.Size, uint64(l.Size()))
	}
	listed := map[string]bool{}
	for _, f := range m.Files {
		listed[f.Name] = true
	}
	tree := &proof.Builder{}
	err = l.Entries(ctx, 0, l.Size(), func(e ledger.Entry) error {
		tree.Append(proof.LeafHash(e.Text))
		digests, err := v.Blobs(e.Row)
		if err != nil {
			return guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(e.Seq), "row")
		}
		for _, d := range digests {
			if !listed[blobName(d)] {
				return guia.Refuse(guia.Damaged, "archive.blob_missing", uint64(e.Seq), d.String())
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if tree.Root() != m.Root {
		return guia.Refuse(guia.Damaged, "archive.tree_differs", m.Size)
	}
	return checkGrowth(ctx, m, l)
}

// checkGrowth demands that a checkpoint signed by the log covers the set's tree. The set names the log's keys itself: a checkpoint that
// was signed after the copy may carry a key that the copy does not know yet.
func checkGrowth(ctx context.Context, m Manifest, l *ledger.Ledger) error {
	differs := func(err error) error {
		return guia.RefuseCause(guia.Damaged, err, "archive.checkpoint_differs", m.Size)
	}
	text, err := os.ReadFile(filepath.Join(m.Set, growthName))
	if err != nil {
		return err
	}
	note, err := os.ReadFile(filepath.Join(m.Set, noteName))
	if err != nil {
		return err
	}
	g, err := proof.ParseConsistency(text)
	if err != nil {
		return differs(err)
	}
	if g.Old != m.Size || !bytes.Equal(g.Checkpoint, note) {
		return differs(errors.New("the consistency proof is of another tree or checkpoint"))
	}
	trust, err := readTrust(m)
	if err != nil {
		return differs(err)
	}
	own, err := l.LogKeys(ctx)
	if err != nil {
		return err
	}
	if len(own) == 0 || own[0].VKey != trust[0].Key.VKey() {
		return differs(errors.New("the keys are of another log"))
	}
	c, err := g.Check(m.Root, trust)
	if err == nil && c.Origin != m.Origin {
		err = errors.New("the checkpoint is of another log")
	}
	if err != nil {
		return differs(err)
	}
	return nil
}

// readTrust follows the set's own chain of log keys.
func readTrust(m Manifest) (proof.Chain, error) {
	vkey, err := os.ReadFile(filepath.Join(m.Set, keyFolder, "vkey"))
	if err != nil {
		return nil, err
	}
	var rotations [][]byte
	for _, f := range m.Files {
		if !strings.HasPrefix(f.Name, keyFolder+"/rotation-") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Set, rotationName(len(rotations)+1)))
		if err != nil {
			return nil, err
		}
		rotations = append(rotations, text)
	}
	return proof.TrustChain(strings.TrimSuffix(string(vkey), "\n"), rotations)
}

func rotationName(n int) string { return fmt.Sprintf("%s/rotation-%d", keyFolder, n) }

func blobName(d blob.Digest) string {
	s := d.String()
	return blobFolder + "/" + s[:2] + "/" + s[2:]
}
