package slack

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"guia/source"
)

// files are the files of an export.
type files struct {
	*source.Input
	uploads map[string]source.Entry // by Slack's file identifier, as some export tools add them
}

// stripTop removes the folder that holds users.json or channels.json, when the export was packed together with its folder; what
// stands outside of it is no part of the export.
func (f *files) stripTop() {
	top, found := "", false
	for _, e := range f.Entries {
		dir, base := path.Split(e.Name)
		if (base == "users.json" || base == "channels.json" || base == "dms.json") && strings.Count(dir, "/") <= 2 {
			if !found || len(dir) < len(top) {
				top, found = dir, true
			}
		}
	}
	f.Entries = slices.DeleteFunc(f.Entries, func(e source.Entry) bool { return !strings.HasPrefix(e.Name, top) })
	for i := range f.Entries {
		f.Entries[i].Name = f.Entries[i].Name[len(top):]
	}
}

// lists are the files at the top, in the order in which they are read.
var lists = map[string]role{
	"users.json": roleUsers, "org_users.json": roleUsers,
	"channels.json": roleChannels, "groups.json": roleGroups, "dms.json": roleDirects, "mpims.json": roleMultis,
}

// arrange gives every file its role and the order of reading, and sets files that belong to messages apart.
func (f *files) arrange() []part {
	var parts []part
	f.uploads = map[string]source.Entry{}
	for _, e := range f.Entries {
		dirs := strings.Split(e.Name, "/")
		p := part{Entry: e, role: roleIgnored}
		switch {
		case len(dirs) == 1 && lists[e.Name] != 0:
			p.role = lists[e.Name]
		case len(dirs) == 3 && dirs[0] == "__uploads":
			f.uploads[dirs[1]] = e
			continue
		case len(dirs) == 3 && dirs[1] == "attachments":
			id, _, _ := strings.Cut(dirs[2], "-")
			f.uploads[id] = e
			continue
		case len(dirs) == 2 && path.Ext(e.Name) == ".json":
			p.role, p.folder = roleDay, dirs[0]
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.role, b.role) })
	return parts
}

// items opens a file for reading its items one by one; a file that cannot be opened has one item, which is a gap.
func (f *files) items(e source.Entry) (*items, func() error) {
	r, err := f.Open(e)
	if err != nil {
		return newItems(failing{err}), nil
	}
	return newItems(r), r.Close
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }
