package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia"
	"guia/blob"
	"guia/canon"
	"guia/db"
	"guia/seal"
)

// vectors reads the frozen rows.
func vectors(t testing.TB) (names []string, raw map[string][]byte, text map[string]string) {
	t.Helper()
	b, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	raw, text = map[string][]byte{}, map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		names = append(names, name)
		text[name] = value
		if v, err := hex.DecodeString(value); err == nil {
			raw[name] = v
		}
	}
	return names, raw, text
}

// frozen is a vault with the keys and blobs of the vectors.
func frozen(t testing.TB) *Vault {
	t.Helper()
	_, raw, text := vectors(t)
	dir := t.TempDir()
	made, err := seal.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]seal.KeyName, 3)
	for i := range names {
		names[i] = seal.KeyName{Owner: seal.Owner(raw[fmt.Sprintf("kek %d owner", i+1)]), Class: text[fmt.Sprintf("kek %d class", i+1)]}
	}
	if _, err := made.Keys(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	putKeys(t, dir, names, raw)
	keys, err := seal.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	main, err := db.Open(t.Context(), filepath.Join(dir, "guia.db"), db.Options{Durability: db.Disposable, Migrations: db.Main()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { main.Close() })
	blobs, err := blob.OpenDir(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"blob file", "blob content", "blob raw"} {
		if _, _, err := blobs.Put(t.Context(), bytes.NewReader(raw[name])); err != nil {
			t.Fatal(err)
		}
	}
	return Open(keys, blobs, main)
}

// putKeys puts the KEKs of the vectors in the place of the random ones, wrapped as docs/format/vault.md says.
func putKeys(t testing.TB, dir string, names []seal.KeyName, raw map[string][]byte) {
	t.Helper()
	line, err := os.ReadFile(filepath.Join(dir, "epoch.key"))
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := hex.DecodeString(strings.TrimSpace(strings.TrimPrefix(string(line), "GUIA-EPOCH-KEY-1 ")))
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(epoch)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), filepath.Join(dir, "keys.db"), db.Options{Durability: db.Durable, Migrations: db.Keys()})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(t.Context(), func(tx *db.Tx) error {
		for i, name := range names {
			id := uint64(i + 1)
			data := append(binary.BigEndian.AppendUint64([]byte("guia.key/v1"), id), name.Owner[:]...)
			nonce := bytes.Repeat([]byte{byte(id)}, 12)
			wrapped := gcm.Seal(nonce, nonce, raw[fmt.Sprintf("kek %d", id)], append(data, name.Class...))
			if _, err := tx.Exec("UPDATE seal_key SET wrapped = ? WHERE id = ?", wrapped, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRowsOfAnotherImplementationAreRead(t *testing.T) {
	names, raw, text := vectors(t)
	if got := sha256.Sum256([]byte(dictionary1)); !bytes.Equal(got[:], raw["dictionary 1"]) {
		t.Fatal("dictionary 1 is frozen")
	}
	v := frozen(t)
	leaf, err := canon.ParseLeaf(raw["leaf"])
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []string{"inline", "outside", "forgotten"} {
		row := raw["row "+layout]
		all, err := v.Disclose(t.Context(), 7, leaf, row)
		if err != nil {
			t.Errorf("%s: %v", layout, err)
			continue
		}
		got := map[string]Disclosure{}
		for _, d := range all {
			got[d.Name] = d
		}
		for _, name := range names {
			field, ok := strings.CutPrefix(name, "field ")
			if !ok {
				continue
			}
			d := got[field]
			if slot, _ := guia.SlotOf(field); layout == "forgotten" && slot == guia.SlotIdentity {
				if !d.Forgotten || d.Value != nil {
					t.Errorf("%s: %s is not forgotten", layout, field)
				}
				continue
			}
			if !bytes.Equal(d.Value, raw[name]) || !bytes.Equal(d.Salt[:], raw["salt "+field]) {
				t.Errorf("%s: %s is %q with salt %x", layout, field, d.Value, d.Salt)
			}
		}
		h := sha256.New()
		if err := v.OpenFile(t.Context(), 7, leaf.Header, row, "file.0001", h); err != nil || hex.EncodeToString(h.Sum(nil)) != text["file.0001 plaintext"] {
			t.Errorf("%s: the file: %v", layout, err)
		}
		blobs, err := v.Blobs(row)
		if want := map[string]int{"inline": 1, "outside": 3, "forgotten": 1}[layout]; len(blobs) != want || err != nil {
			t.Errorf("%s: %d blobs, want %d: %v", layout, len(blobs), want, err)
		}
	}
	// Forgetting by this program gives what the other one wrote.
	row, changed, err := v.Forget(t.Context(), 7, leaf.Header, raw["row inline"], map[uint64]bool{2: true})
	if err != nil || !changed || !bytes.Equal(row, raw["row forgotten"]) {
		t.Errorf("forgetting the identity: %t, %v", changed, err)
	}
}

// TestEveryFlippedBitOfARowIsNoticed: what Disclose lets pass means the same as before.
func TestEveryFlippedBitOfARowIsNoticed(t *testing.T) {
	_, raw, _ := vectors(t)
	v := frozen(t)
	leaf, err := canon.ParseLeaf(raw["leaf"])
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []string{"inline", "outside", "forgotten"} {
		row := raw["row "+layout]
		for i := range 8 * len(row) {
			bad := bytes.Clone(row)
			bad[i/8] ^= 1 << (i % 8)
			all, err := v.Disclose(t.Context(), 7, leaf, bad)
			if err == nil {
				_, err = v.CheckFiles(t.Context(), 7, leaf.Header, bad, all)
			}
			if guia.KindOf(err) != guia.Damaged {
				t.Errorf("%s: bit %d of byte %d: %v", layout, i%8, i/8, err)
			}
		}
		for n := range row {
			if _, err := v.Disclose(t.Context(), 7, leaf, row[:n]); guia.KindOf(err) != guia.Damaged {
				t.Errorf("%s: cut to %d bytes: %v", layout, n, err)
			}
		}
	}
}

func FuzzReadRow(f *testing.F) {
	_, raw, _ := vectors(f)
	for _, layout := range []string{"inline", "outside", "forgotten"} {
		f.Add(raw["row "+layout])
	}
	f.Add([]byte{1})
	f.Add([]byte{1, 3, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	v := frozen(f)
	leaf, err := canon.ParseLeaf(raw["leaf"])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		_, listed := v.Blobs(row)
		all, err := v.Disclose(t.Context(), 7, leaf, row)
		if err != nil && guia.KindOf(err) != guia.Damaged {
			t.Fatal(err)
		}
		if err == nil && (listed != nil || len(all) != leaf.FieldCount) {
			t.Fatalf("%d fields, %v", len(all), listed)
		}
		if _, err := v.Read(t.Context(), 7, leaf.Header, row); err != nil && guia.KindOf(err) != guia.Damaged {
			t.Fatal(err)
		}
	})
}

func pack(fields ...guia.Field) (packed []byte) {
	for _, f := range fields {
		packed = appendField(packed, f)
	}
	return packed
}

func FuzzUnpackFields(f *testing.F) {
	f.Add(pack(guia.Field{Name: "a", Value: []byte("1")}, guia.Field{Name: "b"}))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, plain []byte) {
		fields, err := unpackFields(plain)
		if err != nil {
			return
		}
		again, err := unpackFields(pack(fields...))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(fields) {
			t.Fatalf("%v, %v", again, err)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	content := []byte("the content slot of a record, against which the raw bytes are compressed")
	for _, plain := range []string{"", "short", strings.Repeat("the raw bytes ", 100)} {
		f.Add(compress(nil, []byte(plain), nil))
		f.Add(compress(nil, []byte(plain), content))
	}
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, body []byte) {
		if plain, err := decompress(body, content); err == nil && len(plain) > maxBody {
			t.Fatalf("%d bytes", len(plain))
		}
	})
}

func FuzzParseRow(f *testing.F) {
	_, raw, _ := vectors(f)
	for _, layout := range []string{"inline", "outside", "forgotten"} {
		f.Add(raw["row "+layout])
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		slots, err := parseRow(row)
		if err != nil {
			return
		}
		again := []byte{rowVersion}
		for i, s := range slots {
			if i > 0 && slots[i-1].number >= s.number {
				t.Fatal("slots are not ascending")
			}
			again = append(again, s.encoded...)
		}
		if !bytes.Equal(again, row) {
			t.Fatal("the slots are not the row")
		}
	})
}
