package vault

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/s2"

	"guia"
	"guia/canon"
	"guia/db"
)

func newContent(fields ...string) *Content {
	c := &Content{Header: guia.Header{Type: guia.MessageSent, Source: "slack", Captured: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Record: guia.NewRecordID()}, Class: "chat", Stream: "C1", Person: "U1"}
	for i := 0; i < len(fields); i += 2 {
		c.Fields.Set(fields[i], fields[i+1])
	}
	return c
}

func put(t testing.TB, v *Vault, c *Content) (Sealed, canon.Leaf) {
	t.Helper()
	keys, err := v.Keys(t.Context(), []*Content{c})
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.Put(t.Context(), keys, c)
	if err != nil {
		t.Fatal(err)
	}
	return s, canon.Leaf{Header: s.Header, FieldCount: s.FieldCount, FieldsHash: s.FieldsHash}
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return fmt.Sprintf("%x", b)[:n]
}

func TestContentOfAnySizeComesBackAndMatchesItsLeaf(t *testing.T) {
	v := frozen(t)
	for _, size := range []int{1, 100, short - 30, short, short + 1, 5000, 65536, inlineLimit - 200, inlineLimit, inlineLimit + 1, 1 << 20} {
		for what, text := range map[string]string{"letters": strings.Repeat("x", size), "noise": random(size)} {
			c := newContent("time", "2026-01-01", "sender.name", "Ana", "subject", text, "raw", `{"t":"`+text[:min(size, 60000)]+`"}`)
			s, leaf := put(t, v, c)
			e, err := v.Read(t.Context(), 3, leaf.Header, s.Row)
			if err != nil || fmt.Sprint(e.Fields) != fmt.Sprint(c.Fields) || e.Seq != 3 {
				t.Errorf("%d %s: %d fields, %v", size, what, len(e.Fields), err)
			}
			if _, err := v.Disclose(t.Context(), 3, leaf, s.Row); err != nil {
				t.Errorf("%d %s: %v", size, what, err)
			}
			for _, from := range []string{"remembered", "decrypted"} {
				bare, err := v.ReadWithoutRaw(t.Context(), 3, leaf.Header, s.Row)
				if err != nil || bare.Fields.Bytes("raw") != nil || bare.Fields.Get("subject") != text || len(bare.Fields) != len(c.Fields)-1 {
					t.Errorf("%d %s without raw, %s: %v", size, what, from, err)
				}
			}
			blobs, err := v.Blobs(s.Row)
			if outside := what == "noise" && size >= 2*inlineLimit; err != nil || outside && len(blobs) != 1 || size <= 65536 && len(blobs) > 0 {
				t.Errorf("%d %s: %d blobs, %v", size, what, len(blobs), err)
			}
			if what == "noise" && size > 1000 && bytes.Contains(s.Row, []byte(text[:40])) {
				t.Errorf("%d: the row holds the text", size)
			}
		}
	}
}

func TestBodiesAreCodedAsTheFormatSays(t *testing.T) {
	content := []byte(strings.Repeat("what was read from the record ", 30))
	for what, c := range map[string]struct {
		plain   string
		content []byte
		codec   byte
	}{
		"short":                       {string(pack(guia.Field{Name: "conversation.key", Value: []byte("C1")}, guia.Field{Name: "time", Value: []byte("2026-03-01T12:00:00Z")}, guia.Field{Name: "time.basis", Value: []byte("source")})), nil, bodyS2},
		"short noise":                 {random(40)[:3] + "\x00\x01\x02", nil, bodyPlain},
		"long":                        {strings.Repeat("the text of a message ", 600), nil, bodyDeflated},
		"raw beside what was read":    {`{"text":"` + string(content) + `"}`, content, bodyDeflatedAfterContent},
		"raw with more than a window": {strings.Repeat(string(content), 50), bytes.Repeat(content, 100), bodyDeflatedAfterContent},
		"nothing":                     {"", nil, bodyPlain},
	} {
		body := compress(nil, []byte(c.plain), c.content)
		if body[0] != c.codec && what != "nothing" && what != "short noise" {
			t.Errorf("%s: codec %d, want %d", what, body[0], c.codec)
		}
		if len(body) > len(c.plain)+1 {
			t.Errorf("%s: %d bytes became %d", what, len(c.plain), len(body))
		}
		plain, err := decompress(body, c.content)
		if err != nil || string(plain) != c.plain {
			t.Errorf("%s: %d bytes, %v", what, len(plain), err)
		}
		other, err := decompress(body, []byte("another content slot"))
		if depends := body[0] == bodyDeflatedAfterContent; depends == (err == nil && string(other) == c.plain) {
			t.Errorf("%s: depends on the content slot: %t", what, !depends)
		}
	}
	if len(deflate(nil, bodyDeflatedAfterContent, []byte(strings.Repeat(string(content), 3)), window(content))) > len(content) {
		t.Error("the raw bytes are not compressed against the content")
	}
}

func TestBombsAndUnknownCodecsAreRefused(t *testing.T) {
	bomb := deflate(nil, bodyDeflated, make([]byte, maxBody+1), []byte(dictionary1))
	after := deflate(nil, bodyDeflatedAfterContent, make([]byte, maxBody+1), nil)
	for what, body := range map[string][]byte{
		"nothing":              {},
		"an unknown codec":     {4, 1, 2, 3},
		"a bomb":               bomb,
		"a bomb after content": after,
		"an S2 length beyond":  append([]byte{bodyS2}, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"an S2 block cut off":  append([]byte{bodyS2}, s2.Encode(nil, make([]byte, 1000))[:5]...),
		"something left":       append(deflate(nil, bodyDeflated, []byte("x"), []byte(dictionary1)), 0),
		"cut off":              deflate(nil, bodyDeflated, []byte(strings.Repeat("abc", 100)), []byte(dictionary1))[:10],
	} {
		if plain, err := decompress(body, nil); err == nil {
			t.Errorf("%s: %d bytes", what, len(plain))
		}
	}
	v := frozen(t)
	c := newContent("text.html", strings.Repeat("x", maxBody+1))
	keys, err := v.Keys(t.Context(), []*Content{c})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Put(t.Context(), keys, c); err == nil {
		t.Error("a body that cannot be read back is stored")
	}
}

func TestPutRefusesWhatIsNoEvent(t *testing.T) {
	v := frozen(t)
	for what, c := range map[string]*Content{
		"no fields":        newContent(),
		"an unknown field": newContent("salary", "1"),
		"an empty field":   {Header: newContent().Header, Fields: guia.Fields{{Name: "time"}}},
		"not in order":     {Header: newContent().Header, Fields: guia.Fields{{Name: "time", Value: []byte("x")}, {Name: "mark", Value: []byte("x")}}},
		"twice":            {Header: newContent().Header, Fields: guia.Fields{{Name: "time", Value: []byte("x")}, {Name: "time", Value: []byte("x")}}},
		"not UTF-8":        newContent("subject", "\xff"),
		"a file nowhere":   {Header: newContent().Header, Fields: newContent("time", "2026-01-01").Fields, Files: []File{{Field: "subject", Open: nil}}},
	} {
		keys, err := v.Keys(t.Context(), []*Content{c})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Put(t.Context(), keys, c); err == nil {
			t.Errorf("%s: sealed", what)
		}
	}
}

func file(field, text string) File {
	return File{field, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func TestFilesAreKeptBesideTheirFields(t *testing.T) {
	v := frozen(t)
	large := random(200_000)
	c := newContent("time", "2026-01-01", "file.0001.name", "a", "file.0002.name", "b")
	c.Files = []File{file("file.0001", large), file("file.0002", ""), file("raw.file", "raw "+large)}
	s, leaf := put(t, v, c)
	for field, want := range map[string]string{"file.0001": large, "file.0002": "", "raw.file": "raw " + large} {
		var got strings.Builder
		if err := v.OpenFile(t.Context(), 1, leaf.Header, s.Row, field, &got); err != nil || got.String() != want {
			t.Errorf("%s: %d bytes, want %d, %v", field, got.Len(), len(want), err)
		}
	}
	if err := v.OpenFile(t.Context(), 1, leaf.Header, s.Row, "file.0003", io.Discard); guia.KindOf(err) != guia.NotFound {
		t.Errorf("no such file: %v", err)
	}
	digests, err := v.Blobs(s.Row)
	if err != nil || len(digests) != 3 {
		t.Fatalf("%d blobs, %v", len(digests), err)
	}
	if err := v.blobs.Delete(t.Context(), digests[0]); err != nil {
		t.Fatal(err)
	}
	if err := v.OpenFile(t.Context(), 1, leaf.Header, s.Row, "file.0001", io.Discard); guia.KindOf(err) != guia.Damaged {
		t.Errorf("a blob is gone: %v", err)
	}
	cause := errors.New("the archive is damaged")
	c = newContent("time", "2026-01-01")
	c.Files = []File{{"file.0007", func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(cause)), nil }}}
	keys, err := v.Keys(t.Context(), []*Content{c})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Put(t.Context(), keys, c)
	if unreadable, ok := errors.AsType[*UnreadableError](err); !ok || unreadable.Field != "file.0007" || !errors.Is(err, cause) {
		t.Errorf("an unreadable file: %v", err)
	}
}

func TestForgettingLeavesTheSiblingsProvable(t *testing.T) {
	v := frozen(t)
	c := newContent("conversation.key", "C1", "sender.name", "Ana", "sender.key", "U1", "source_key", "1", "subject", random(600_000), "raw", "raw bytes")
	c.Files = []File{file("file.0001", "attachment")}
	s, leaf := put(t, v, c)
	keys, err := v.Keys(t.Context(), []*Content{c})
	if err != nil {
		t.Fatal(err)
	}
	kek := func(slot guia.Slot) uint64 { return keys[v.names(c)[slot-1]].ID }
	before, err := v.Disclose(t.Context(), 1, leaf, s.Row)
	if err != nil {
		t.Fatal(err)
	}
	row := s.Row
	for step, forget := range []struct {
		kek  uint64
		gone []string
	}{
		{999, nil},
		{kek(guia.SlotContent), []string{"file.0001", "raw", "source_key", "subject"}},
		{kek(guia.SlotIdentity), []string{"sender.key", "sender.name"}},
		{kek(guia.SlotRecord), []string{"conversation.key"}},
		{kek(guia.SlotRecord), nil},
	} {
		fresh, changed, err := v.Forget(t.Context(), 1, leaf.Header, row, map[uint64]bool{forget.kek: true})
		if err != nil || changed != (forget.gone != nil) || !changed && !bytes.Equal(fresh, row) {
			t.Fatalf("step %d: changed %t, %v", step, changed, err)
		}
		row = fresh
		all, err := v.Disclose(t.Context(), 1, leaf, row)
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		for i, d := range all {
			if d.Commitment != before[i].Commitment || d.Name != before[i].Name {
				t.Errorf("step %d: the commitment of %s differs", step, d.Name)
			}
			if slices.Contains(forget.gone, d.Name) && (!d.Forgotten || d.Value != nil || d.Salt != [canon.SaltSize]byte{}) {
				t.Errorf("step %d: %s is still there", step, d.Name)
			}
		}
	}
	e, err := v.Read(t.Context(), 1, leaf.Header, row)
	if err != nil || len(e.Fields) != 0 || len(e.Withheld) != len(before) {
		t.Errorf("at the end %d fields, %d withheld, %v", len(e.Fields), len(e.Withheld), err)
	}
	// A key that is gone although the row was not rewritten is damage, not forgetting.
	if err := v.keys.Destroy(t.Context(), []uint64{kek(guia.SlotContent)}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Read(t.Context(), 1, leaf.Header, s.Row); guia.KindOf(err) != guia.Damaged || !strings.Contains(err.Error(), "key_gone") {
		t.Errorf("a key is gone: %v", err)
	}
	if _, err := v.Disclose(t.Context(), 1, leaf, row); err != nil {
		t.Errorf("the forgotten row needs the key: %v", err)
	}
}

func TestARowBelongsToItsEventAlone(t *testing.T) {
	v := frozen(t)
	a, leafA := put(t, v, newContent("time", "2026-01-01", "subject", "one"))
	b, leafB := put(t, v, newContent("time", "2026-01-01", "subject", "one"))
	if _, err := v.Read(t.Context(), 1, leafA.Header, b.Row); guia.KindOf(err) != guia.Damaged {
		t.Errorf("the row of another event: %v", err)
	}
	if bytes.Equal(a.Row, b.Row) || leafA.FieldsHash == leafB.FieldsHash {
		t.Error("the same content twice looks the same")
	}
	leafA.FieldCount++
	if _, err := v.Disclose(t.Context(), 1, leafA, a.Row); guia.KindOf(err) != guia.Damaged {
		t.Errorf("another leaf: %v", err)
	}
}

func TestSweepLeavesWhatIsReferredTo(t *testing.T) {
	v := frozen(t)
	c := newContent("time", "2026-01-01", "subject", random(700_000))
	c.Files = []File{file("file.0001", "kept")}
	s, leaf := put(t, v, c)
	orphan := newContent("time", "2026-01-01")
	orphan.Files = []File{file("file.0001", "of an event that was not committed")}
	put(t, v, orphan)
	if err := v.db.Write(t.Context(), func(tx *db.Tx) error { return v.Insert(tx, 0, [][]byte{s.Row}) }); err != nil {
		t.Fatal(err)
	}
	blobs := func() (n int) {
		t.Helper()
		if err := filepath.WalkDir(filepath.Dir(v.db.Path()), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && strings.Contains(path, "sha256") {
				n++
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := blobs() // three of the vectors, two of the event, one orphan
	if _, err := v.Sweep(t.Context(), 1); err != nil || blobs() != before || before != 6 {
		t.Fatalf("young blobs were swept: %d of %d are left, %v", blobs(), before, err)
	}
	old := time.Now().Add(-48 * time.Hour)
	err := filepath.WalkDir(filepath.Dir(v.db.Path()), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.Contains(path, "sha256") {
			err = os.Chtimes(path, old, old)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Sweep(t.Context(), 1); err != nil || blobs() != 2 {
		t.Errorf("%d blobs are left, want 2: %v", blobs(), err)
	}
	row, err := v.Row(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Disclose(t.Context(), 0, leaf, row); err != nil {
		t.Error(err)
	}
	if _, err := v.Row(t.Context(), 1); guia.KindOf(err) != guia.Damaged {
		t.Errorf("a row that is not there: %v", err)
	}
}

func TestKeysHangOnPersonStreamAndClass(t *testing.T) {
	v := frozen(t)
	base := newContent("time", "2026-01-01")
	names := func(change func(*Content)) [len(guia.Slots)]string {
		c := *base
		change(&c)
		var all [len(guia.Slots)]string
		for i, n := range v.names(&c) {
			all[i] = fmt.Sprintf("%x %s", n.Owner, n.Class)
		}
		return all
	}
	was := names(func(*Content) {})
	if was[2] != was[3] || was[0] == was[2] || was[1] == was[2] || !strings.HasSuffix(was[1], " identity") {
		t.Errorf("%v", was)
	}
	for what, c := range map[string]struct {
		change func(*Content)
		same   [len(guia.Slots)]bool // record, identity, content, raw
	}{
		"another conversation": {func(c *Content) { c.Stream = "C2" }, [...]bool{false, true, true, true}},
		"another person":       {func(c *Content) { c.Person = "U2" }, [...]bool{true, false, false, false}},
		"another class":        {func(c *Content) { c.Class = "mail" }, [...]bool{false, true, false, false}},
		"another source":       {func(c *Content) { c.Header.Source = "mbox" }, [...]bool{false, false, false, false}},
	} {
		for i, n := range names(c.change) {
			if n == was[i] != c.same[i] {
				t.Errorf("%s: slot %s", what, guia.Slots[i])
			}
		}
	}
	nobody := names(func(c *Content) { c.Person = "" })
	if nobody[2] != nobody[0] || nobody[3] != nobody[0] || !strings.HasSuffix(nobody[1], " identity") {
		t.Errorf("of nobody: %v", nobody)
	}
}
