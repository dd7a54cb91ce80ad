package slack

import (
	"archive/zip"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"guia"
)

// files is the export as a list of files, in a zip or in a folder.
type files struct {
	file    *os.File // of the zip
	root    *os.Root // of the folder
	entries []entry
	uploads map[string]entry // by Slack's file identifier, as some export tools add them
}

// entry is one file.
type entry struct {
	name string // slash-separated, below the export's own top folder
	path string // in the folder
	size int64  // as announced
	zip  *zip.File
}

func openFiles(name string) (*files, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, err, "slack.unreadable", name)
	}
	f := &files{}
	if info.IsDir() {
		err = f.openFolder(name)
	} else {
		err = f.openZip(name)
	}
	if err != nil {
		_ = f.Close()
		if guia.KindOf(err) != 0 {
			return nil, err
		}
		return nil, guia.RefuseCause(guia.Invalid, err, "slack.unreadable", name)
	}
	f.stripTop()
	slices.SortStableFunc(f.entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return f, nil
}

func (f *files) openZip(name string) (err error) {
	f.file, err = os.Open(name)
	if err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f.file, info.Size())
	if err != nil {
		return err
	}
	for _, e := range z.File {
		if !strings.HasSuffix(e.Name, "/") {
			f.entries = append(f.entries, entry{name: path.Clean(strings.ReplaceAll(e.Name, `\`, "/")), size: clampSize(e.UncompressedSize64), zip: e})
		}
	}
	return tooMany(len(f.entries))
}

// clampSize keeps an announced size within what a progress bar can add up.
func clampSize(n uint64) int64 { return int64(min(n, 1<<40)) }

func (f *files) openFolder(name string) (err error) {
	f.root, err = os.OpenRoot(name) // links do not lead out of the folder
	if err != nil {
		return err
	}
	return fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f.entries = append(f.entries, entry{name: name, path: name, size: info.Size()})
		return tooMany(len(f.entries))
	})
}

func tooMany(n int) error {
	if n > maxEntries {
		return guia.Refuse(guia.Invalid, "slack.too_many_files", n, maxEntries)
	}
	return nil
}

// stripTop removes the folder that holds users.json or channels.json, when the export was packed together with its folder; what
// stands outside of it, and what a file manager adds, is no part of the export.
func (f *files) stripTop() {
	top, found := "", false
	for _, e := range f.entries {
		dir, base := path.Split(e.name)
		if (base == "users.json" || base == "channels.json" || base == "dms.json") && strings.Count(dir, "/") <= 2 && !litter(e.name) {
			if !found || len(dir) < len(top) {
				top, found = dir, true
			}
		}
	}
	f.entries = slices.DeleteFunc(f.entries, func(e entry) bool { return !strings.HasPrefix(e.name, top) || litter(e.name) })
	for i := range f.entries {
		f.entries[i].name = f.entries[i].name[len(top):]
	}
}

// litter reports files that file managers leave.
func litter(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(base, "._") || base == ".DS_Store" || base == "Thumbs.db" || base == "desktop.ini"
}

// lists are the files at the top, in the order in which they are read.
var lists = map[string]role{
	"users.json": roleUsers, "org_users.json": roleUsers,
	"channels.json": roleChannels, "groups.json": roleGroups, "dms.json": roleDirects, "mpims.json": roleMultis,
}

// arrange gives every file its role and the order of reading, and sets files that belong to messages apart.
func (f *files) arrange() []part {
	var parts []part
	f.uploads = map[string]entry{}
	for _, e := range f.entries {
		dirs := strings.Split(e.name, "/")
		p := part{entry: e, role: roleIgnored}
		switch {
		case len(dirs) == 1 && lists[e.name] != 0:
			p.role = lists[e.name]
		case len(dirs) == 3 && dirs[0] == "__uploads":
			f.uploads[dirs[1]] = e
			continue
		case len(dirs) == 3 && dirs[1] == "attachments":
			id, _, _ := strings.Cut(dirs[2], "-")
			f.uploads[id] = e
			continue
		case len(dirs) == 2 && path.Ext(e.name) == ".json":
			p.role, p.folder = roleDay, dirs[0]
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.role, b.role) })
	return parts
}

// open returns the bytes of a file.
func (f *files) open(e entry) (io.ReadCloser, error) {
	if e.zip != nil {
		return e.zip.Open()
	}
	return f.root.Open(e.path)
}

// items opens a file for reading its items one by one; a file that cannot be opened has one item, which is a gap.
func (f *files) items(e entry) (*items, func() error) {
	r, err := f.open(e)
	if err != nil {
		return newItems(failing{err}), nil
	}
	return newItems(r), r.Close
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }

// digest identifies the export, whatever it is called and wherever it lies.
func (f *files) digest() (string, error) {
	sum := sha256.New()
	if f.file != nil {
		info, err := f.file.Stat()
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, io.NewSectionReader(f.file, 0, info.Size()))
		return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
	}
	for _, e := range f.entries {
		r, err := f.open(e)
		if err != nil {
			return "", fmt.Errorf("digest: %w", err)
		}
		one := sha256.New()
		n, err := io.Copy(one, r)
		r.Close()
		if err != nil {
			return "", fmt.Errorf("digest: %w", err)
		}
		fmt.Fprintf(sum, "%x %d %q\n", one.Sum(nil), n, e.name)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// Close closes the zip or the folder.
func (f *files) Close() error {
	switch {
	case f.file != nil:
		return f.file.Close()
	case f.root != nil:
		return f.root.Close()
	}
	return nil
}
