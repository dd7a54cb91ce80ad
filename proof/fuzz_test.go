package proof

import (
	"bytes"
	"os"
	"testing"
)

func addGolden(f *testing.F, names ...string) {
	for _, name := range names {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte("log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))
	f.Add([]byte("log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))
	addGolden(f, "checkpoint.txt")
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = peekCheckpoint(b) // must return
		c, err := ParseCheckpoint(b)
		if err != nil {
			return
		}
		if again, err := FormatCheckpoint(c); err != nil || !bytes.Equal(again, b) {
			t.Errorf("read %q, wrote %q, %v", b, again, err)
		}
	})
}

func FuzzRotation(f *testing.F) {
	b, err := os.ReadFile("testdata/rotation.txt")
	if err != nil {
		f.Fatal(err)
	}
	text, _, _ := bytes.Cut(b, []byte("\n\n"))
	f.Add(append(text, '\n'))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRotation(string(b))
		if err != nil {
			return
		}
		if again := formatRotation(r); again != string(b) {
			t.Errorf("read %q, wrote %q", b, again)
		}
	})
}

func FuzzProof(f *testing.F) {
	addGolden(f, "proof.txt", "proof-extra.txt")
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if again, err := FormatProof(p); err != nil || !bytes.Equal(again, b) {
			t.Errorf("read %q, wrote %q, %v", b, again, err)
		}
		// Bounded work whatever it claims; nobody could sign it by chance.
		if c, _, err := peekCheckpoint(p.Checkpoint); err == nil {
			_ = CheckInclusion(c.Root, c.Size, p.Index, Hash{}, p.Hashes)
		}
	})
}

func FuzzConsistency(f *testing.F) {
	addGolden(f, "consistency.txt")
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseConsistency(b)
		if err != nil {
			return
		}
		if again, err := FormatConsistency(g); err != nil || !bytes.Equal(again, b) {
			t.Errorf("read %q, wrote %q, %v", b, again, err)
		}
		if c, _, err := peekCheckpoint(g.Checkpoint); err == nil {
			_ = CheckConsistency(Hash{}, g.Old, c.Root, c.Size, g.Hashes)
		}
	})
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte("\x00\x03one\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		leaves, err := ParseEntries(b)
		if err != nil {
			return
		}
		var again []byte
		for _, l := range leaves {
			if again, err = AppendEntry(again, l); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again, b) {
			t.Errorf("read %q, wrote %q", b, again)
		}
	})
}
