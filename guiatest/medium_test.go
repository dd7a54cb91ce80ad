package guiatest_test

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// medium is a disk behind a write cache, as the rules of the file system allow it to be and no better. What a process wrote is in the
// cache until it was synced; when the power goes, any part of the cache may have reached the disk and any part may be lost:
//
//   - of the bytes written to a file since its last sync, any sectors;
//   - of the names made, moved and removed, a beginning (file systems keep their order), unless the folder was synced.
//
// That a sync of a file also makes its name durable is not assumed, although most file systems do so. That a sector is written whole
// is: SQLite assumes it too.
type medium struct {
	root  string
	files map[int]*file
	ids   map[uint64]int // the file that has an inode number now
	now   map[string]int // the names as the process sees them; 0 is a folder
	names map[string]int // the durable ones
	moves []move         // pending changes of names
	next  int
}

// move is a change of a name, with the file it is about.
type move struct {
	call
	file int
}

type file struct {
	content []byte // durable
	pending []call // in the cache
}

const sector = 512

func newMedium(root string) *medium {
	return &medium{root: root, files: map[int]*file{}, ids: map[uint64]int{}, now: map[string]int{root: 0}, names: map[string]int{root: 0}, next: 1}
}

// load makes what is in the folder now the durable state.
func (m *medium) load(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir(m.root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			m.names[name] = 0
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		ino, _ := inode(name)
		m.ids[ino], m.names[name], m.files[m.next] = m.next, m.next, &file{content: content}
		m.next++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m.now = maps.Clone(m.names)
}

// do takes the next call of a trace.
func (m *medium) do(c call) {
	switch c.Op {
	case opWrite, opSize:
		if f := m.files[m.ids[c.Ino]]; f != nil {
			f.pending = append(f.pending, c)
		}
	case opCreate:
		m.ids[c.Ino] = m.next
		m.files[m.next] = &file{}
		m.changeName(move{c, m.next})
		m.next++
	case opMkdir:
		m.changeName(move{c, 0})
	case opRename, opLink, opUnlink:
		m.changeName(move{c, m.now[c.Path]})
	case opSync:
		m.sync(c)
	default:
	}
}

// sync makes durable what ended before the sync began.
func (m *medium) sync(c call) {
	f := m.files[m.ids[c.Ino]]
	if f == nil { // a folder
		m.moves = slices.DeleteFunc(m.moves, func(v move) bool {
			in := v.Exit < c.Enter && (filepath.Dir(v.Path) == c.Path || v.To != "" && filepath.Dir(v.To) == c.Path)
			if in {
				v.in(m.names)
			}
			return in
		})
		return
	}
	f.pending = slices.DeleteFunc(f.pending, func(w call) bool {
		in := w.Exit < c.Enter
		if in {
			f.content = apply(f.content, w)
		}
		return in
	})
}

func (m *medium) changeName(v move) {
	v.in(m.now)
	m.moves = append(m.moves, v)
}

func (v move) in(names map[string]int) {
	switch v.Op {
	case opCreate, opMkdir:
		names[v.Path] = v.file
	case opRename:
		delete(names, v.Path)
		names[v.To] = v.file
	case opLink:
		names[v.To] = v.file
	case opUnlink:
		delete(names, v.Path)
	default:
	}
}

func apply(content []byte, c call) []byte {
	if c.Op == opSize {
		if grow := int(c.Off) - len(content); grow > 0 {
			content = append(content, make([]byte, grow)...)
		}
		return content[:c.Off]
	}
	if grow := int(c.Off) + len(c.Data) - len(content); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	copy(content[c.Off:], c.Data)
	return content
}

// restore writes to path what is found after the power comes back: nothing of the cache when random is nil, else any part of it.
func (m *medium) restore(t testing.TB, path string, random *rand.Rand) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	names := maps.Clone(m.names)
	if random != nil && len(m.moves) > 0 {
		for _, v := range m.moves[:random.IntN(len(m.moves)+1)] {
			v.in(names)
		}
	}
	written := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		to := filepath.Join(path, strings.TrimPrefix(name, m.root))
		id := names[name]
		var err error
		switch first, linked := written[id]; {
		case id == 0:
			err = os.Mkdir(to, 0o700)
		case linked:
			err = os.Link(first, to)
		default:
			written[id] = to
			err = os.WriteFile(to, m.files[id].torn(random), 0o600)
		}
		if err != nil && !os.IsNotExist(err) { // a name in a folder that was lost is lost
			t.Fatal(err)
		}
	}
}

// torn is the content with any sectors of the cache written.
func (f *file) torn(random *rand.Rand) []byte {
	if random == nil || len(f.pending) == 0 {
		return f.content
	}
	content := slices.Clone(f.content)
	luck := []float64{0, 0.1, 0.5, 0.9, 1}[random.IntN(5)]
	for _, c := range f.pending {
		if c.Op == opSize {
			if random.Float64() < luck {
				content = apply(content, c)
			}
			continue
		}
		for at := 0; at < len(c.Data); {
			end := min(len(c.Data), at+sector-int(c.Off+int64(at))%sector)
			if random.Float64() < luck {
				content = apply(content, call{Op: opWrite, Off: c.Off + int64(at), Data: c.Data[at:end]})
			}
			at = end
		}
	}
	return content
}
