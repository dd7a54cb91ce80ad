package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"guia"
	"guia/db"
)

func execute(ctx context.Context, k *Keeper, query string) error {
	return k.db.Write(ctx, func(tx *db.Tx) error { _, err := tx.Exec(query); return err })
}

// files reads the key files of a directory that nobody has open.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{databaseName, epochName, nextName} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			all[name] = string(b)
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return all
}

func lay(t testing.TB, all map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// rotated makes keys, changes the epoch and returns the files before and after.
func rotated(t testing.TB) (before, after map[string]string, still func(context.Context, *Keeper) error) {
	t.Helper()
	k := create(t)
	still = mustOpen(keys(t, k, name(1, "chat"), name(2, "chat"))[1])
	if err := k.SetSecret(t.Context(), "log.1", []byte("the log key")); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	before = files(t, k.dir)
	k, err := Open(t.Context(), k.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.RotateEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k.Epoch() != 2 {
		t.Errorf("epoch %d, want 2", k.Epoch())
	}
	if err := errors.Join(still(t.Context(), k), k.Close()); err != nil {
		t.Fatal(err)
	}
	after = files(t, k.dir)
	if after[nextName] != "" || after[epochName] == before[epochName] || after[databaseName] == before[databaseName] {
		t.Fatal("the epoch did not change")
	}
	return before, after, still
}

func TestAChangeOfEpochMayStopAnywhere(t *testing.T) {
	before, after, still := rotated(t)
	shredded := make([]byte, len(before[epochName]))
	rand.Read(shredded)
	half := before[epochName][:20] + string(shredded[20:])
	for at, c := range map[string]struct {
		files map[string]string
		epoch int
	}{
		"before it begins":                  {before, 1},
		"1 behind the next key":             {with(before, nextName, encodeEpoch(randomKey())), 1},
		"1 with a next key that is damaged": {with(before, nextName, "x"), 1},
		"2 behind the wrapping":             {with(with(after, epochName, before[epochName]), nextName, after[epochName]), 2},
		"4 half overwritten":                {with(with(after, epochName, half), nextName, after[epochName]), 2},
		"4 overwritten":                     {with(with(after, epochName, string(shredded)), nextName, after[epochName]), 2},
		"4 emptied":                         {with(with(after, epochName, ""), nextName, after[epochName]), 2},
		"4 removed":                         {with(without(after, epochName), nextName, after[epochName]), 2},
		"at the end":                        {after, 2},
	} {
		dir := lay(t, c.files)
		for i, open := range []func(context.Context, string) (*Keeper, error){View, Open, Open} { // the second time everything is in order
			k, err := open(t.Context(), dir)
			if err != nil {
				t.Errorf("%s: %v", at, err)
				break
			}
			secret, _, err := k.Secret(t.Context(), "log.1")
			if err := errors.Join(err, still(t.Context(), k)); err != nil || string(secret) != "the log key" || k.Epoch() != c.epoch {
				t.Errorf("%s: epoch %d, %q, %v", at, k.Epoch(), secret, err)
			}
			if err := k.Close(); err != nil {
				t.Error(err)
			}
			got := files(t, dir)
			if i == 0 { // who only looks puts nothing in order
				if !maps.Equal(got, c.files) {
					t.Errorf("%s: looking has changed the files", at)
				}
				continue
			}
			if got[nextName] != "" || c.epoch == 1 && got[epochName] != before[epochName] || c.epoch == 2 && got[epochName] != after[epochName] {
				t.Errorf("%s: the files were not put in order", at)
			}
		}
	}
}

func with(all map[string]string, name, text string) map[string]string {
	c := maps.Clone(all)
	c[name] = text
	return c
}

func without(all map[string]string, name string) map[string]string {
	c := maps.Clone(all)
	delete(c, name)
	return c
}

func TestAnOldCopyOfTheKeysDoesNotOpenAfterAChangeOfEpoch(t *testing.T) {
	before, after, _ := rotated(t)
	for what, all := range map[string]map[string]string{
		"the old database under the new key":                    with(before, epochName, after[epochName]),
		"the old database under the new key, put as next":       with(without(before, epochName), nextName, after[epochName]),
		"the new database under the old key":                    with(after, epochName, before[epochName]),
		"the new database under the old key and a foreign next": with(with(after, epochName, before[epochName]), nextName, encodeEpoch(randomKey())),
	} {
		dir := lay(t, all)
		if k, err := Open(t.Context(), dir); guia.KindOf(err) != guia.Damaged {
			t.Errorf("%s: %v", what, err)
			if err == nil {
				k.Close()
			}
		}
		if got := files(t, dir); got[epochName] != all[epochName] || got[nextName] != all[nextName] {
			t.Errorf("%s: a refusal changed the key files", what)
		}
	}
}

// TestAChangeOfEpochAfterOneThatDidNotEnd: when the files could not be moved, the key in force stands in the next file alone. The
// next change must not overwrite it before it is safe.
func TestAChangeOfEpochAfterOneThatDidNotEnd(t *testing.T) {
	k := create(t)
	still := mustOpen(keys(t, k, name(1, "chat"))[0])
	current := filepath.Join(k.dir, epochName)
	if err := os.Rename(current, current+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(current, 0o700); err != nil { // it cannot be overwritten now
		t.Fatal(err)
	}
	if err := k.RotateEpoch(t.Context()); err == nil {
		t.Fatal("the files were moved: this test shows nothing")
	}
	if err := still(t.Context(), k); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), cancelled} {
		if err := k.RotateEpoch(ctx); err == nil {
			t.Error("a change of epoch went on over one that did not end")
		}
	}
	if err := errors.Join(os.Remove(current), os.Rename(current+".away", current)); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil { // and the process dies
		t.Fatal(err)
	}
	again, err := Open(t.Context(), k.dir)
	if err != nil {
		t.Fatalf("everything is lost: %v", err)
	}
	defer again.Close()
	if err := still(t.Context(), again); err != nil {
		t.Error(err)
	}
	if err := again.RotateEpoch(t.Context()); err != nil || again.Epoch() != 3 {
		t.Errorf("epoch %d, %v", again.Epoch(), err)
	}
}

// TestAChangeOfEpochBesidesEverything runs everything at once; afterwards nothing may be wrapped under an old key.
func TestAChangeOfEpochBesidesEverything(t *testing.T) {
	k := create(t)
	const rounds = 8
	var wg sync.WaitGroup
	wg.Go(func() {
		for range rounds {
			if err := k.RotateEpoch(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	for w := range 3 {
		wg.Go(func() {
			for i := range 4 * rounds {
				secret := fmt.Sprintf("s%d", w)
				if err := k.SetSecret(t.Context(), secret, []byte("v")); err != nil {
					t.Error(err)
				}
				if v, found, err := k.Secret(t.Context(), secret); string(v) != "v" || !found || err != nil {
					t.Errorf("secret: %q, %t, %v", v, found, err)
				}
				if _, err := k.Keys(t.Context(), []KeyName{name(byte(i), fmt.Sprint(w))}); err != nil {
					t.Error(err)
				}
				if found, err := k.Check(t.Context()); len(found) > 0 || err != nil {
					t.Errorf("check: %v, %v", found, err)
				}
			}
		})
	}
	wg.Wait()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), k.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	found, err := again.Check(t.Context())
	if n, counted := again.Count(t.Context()); err != nil || len(found) > 0 || counted != nil || n != 3*4*rounds || again.Epoch() != 1+rounds {
		t.Errorf("%d keys, epoch %d: %v, %v, %v", n, again.Epoch(), found, err, counted)
	}
}
