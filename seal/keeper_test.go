package seal

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"guia"
)

func create(t testing.TB) *Keeper {
	t.Helper()
	k, err := Create(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func name(owner byte, class string) KeyName { return KeyName{Owner{owner}, class} }

func keys(t testing.TB, k *Keeper, names ...KeyName) []*KEK {
	t.Helper()
	made, err := k.Keys(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// mustOpen wraps a slot key under the KEK and later demands that it opens.
func mustOpen(kek *KEK) (still func(context.Context, *Keeper) error) {
	_, wrapped := NewSlot(kek, nil)
	id := kek.ID
	return func(ctx context.Context, k *Keeper) error {
		again, err := k.Key(ctx, id)
		if err != nil {
			return err
		}
		_, err = OpenSlot(again, wrapped, nil)
		return err
	}
}

func TestConcurrentCallersGetOneKeyPerNameAlsoAfterReopening(t *testing.T) {
	k := create(t)
	names := []KeyName{name(1, "chat"), name(2, "chat"), name(1, "mail"), name(3, "identity")}
	ids := make([][]uint64, 8)
	var wg sync.WaitGroup
	for w := range ids {
		wg.Go(func() {
			order := slices.Clone(names)
			if w%2 == 1 {
				slices.Reverse(order)
			}
			made, err := k.Keys(t.Context(), append(order, order[0])) // one name twice in one call
			if err != nil {
				t.Error(err)
				return
			}
			if made[0] != made[len(order)] {
				t.Error("one name twice in a call has two keys")
			}
			for i := range order {
				ids[w] = append(ids[w], made[i].ID)
			}
			if w%2 == 1 {
				slices.Reverse(ids[w])
			}
		})
	}
	wg.Wait()
	for w := range ids {
		if !slices.Equal(ids[w], ids[0]) {
			t.Errorf("caller %d got %v, caller 0 got %v", w, ids[w], ids[0])
		}
	}
	if n, err := k.Count(t.Context()); err != nil || n != len(names) {
		t.Errorf("%d keys, %v", n, err)
	}
	still := mustOpen(keys(t, k, names[0])[0])
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), k.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for i, kek := range keys(t, again, names...) {
		if kek.ID != ids[0][i] {
			t.Errorf("after reopening name %d has key %d, before %d", i, kek.ID, ids[0][i])
		}
	}
	if err := still(t.Context(), again); err != nil {
		t.Errorf("after reopening: %v", err)
	}
}

func TestOwnersDependOnEveryPartAndItsBorders(t *testing.T) {
	k, other := create(t), create(t)
	seen := map[Owner]bool{}
	for _, o := range []Owner{
		k.Owner("person", "slack", "U1"), k.Owner("stream", "slack", "U1"), k.Owner("person", "slac", "kU1"), k.Owner("person", "slackU1"),
		k.Owner("person", "slack", "U1", ""), k.Owner("person", "slack", ""), k.Owner("person"), other.Owner("person", "slack", "U1"),
	} {
		if seen[o] {
			t.Errorf("%x twice", o)
		}
		seen[o] = true
	}
	for o := range seen {
		if o == k.Owner("person", "slack", "U1") {
			return
		}
	}
	t.Error("an owner changes")
}

// filesWith lists the files below dir that hold the bytes.
func filesWith(t testing.TB, dir string, what []byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, what) {
			found = append(found, e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wrappedBytes(t testing.TB, k *Keeper, id uint64) (wrapped []byte) {
	t.Helper()
	err := k.each(t.Context(), func(n uint64, _ KeyName, w []byte) {
		if n == id {
			wrapped = bytes.Clone(w)
		}
	})
	if err != nil || wrapped == nil {
		t.Fatalf("key %d is not there: %v", id, err)
	}
	return wrapped
}

func TestADestroyedKeyIsNowhereAndItsNumberIsNeverUsedAgain(t *testing.T) {
	k := create(t)
	var names []KeyName
	for i := range 200 {
		names = append(names, name(byte(i), "chat"))
	}
	made := keys(t, k, names...)
	gone, stays := made[100], made[101]
	opensGone, opensStays := mustOpen(gone), mustOpen(stays)
	bytesGone, bytesStay := wrappedBytes(t, k, gone.ID), wrappedBytes(t, k, stays.ID)
	if found := filesWith(t, k.dir, bytesGone); len(found) == 0 {
		t.Fatal("before it is destroyed the key is found nowhere: this test shows nothing")
	}
	if err := k.Destroy(t.Context(), []uint64{gone.ID, 9999}); err != nil {
		t.Fatal(err)
	}
	if found := filesWith(t, k.dir, bytesGone); len(found) > 0 {
		t.Errorf("the destroyed key is still in %v", found)
	}
	if found := filesWith(t, k.dir, bytesStay); len(found) == 0 {
		t.Error("another key is gone too")
	}
	if err := opensGone(t.Context(), k); !errors.Is(err, ErrForgotten) {
		t.Errorf("the destroyed key: %v", err)
	}
	if err := opensStays(t.Context(), k); err != nil {
		t.Errorf("another key: %v", err)
	}
	if _, err := k.Key(t.Context(), 123456); !errors.Is(err, ErrForgotten) {
		t.Errorf("a key that never was: %v", err)
	}
	last := made[len(made)-1]
	if err := k.Destroy(t.Context(), []uint64{last.ID}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also by a process that never knew the old ones
		again := keys(t, k, names[100], names[199], name(7, "new"))
		for _, kek := range again {
			if kek.ID <= last.ID {
				t.Errorf("key %d has the number of one that was there before", kek.ID)
			}
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		reopened, err := Open(t.Context(), k.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer reopened.Close()
		k = reopened
	}
	byClass, err := k.Existing(t.Context(), names[7].Owner)
	if err != nil || len(byClass) != 2 || byClass["chat"] != made[7].ID {
		t.Errorf("existing: %v, %v", byClass, err)
	}
}

func TestSecretsAreKeptOverwrittenAndChecked(t *testing.T) {
	k := create(t)
	if _, found, err := k.Secret(t.Context(), "log.1"); found || err != nil {
		t.Errorf("a secret that is not there: %t, %v", found, err)
	}
	var earlier []byte
	for _, value := range []string{"first", "", "second"} {
		if err := k.SetSecret(t.Context(), "log.1", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if earlier != nil {
			if found := filesWith(t, k.dir, earlier); len(found) > 0 {
				t.Errorf("the value before %q is still in %v", value, found)
			}
		}
		if err := k.db.QueryRow(t.Context(), "SELECT wrapped FROM seal_secret WHERE name = 'log.1'").Scan(&earlier); err != nil {
			t.Fatal(err)
		}
		if found := filesWith(t, k.dir, earlier); len(found) == 0 {
			t.Fatalf("%q is found nowhere: this test shows nothing", value)
		}
		if got, found, err := k.Secret(t.Context(), "log.1"); string(got) != value || !found || err != nil {
			t.Errorf("got %q, %t, %v; want %q", got, found, err, value)
		}
	}
	keys(t, k, name(1, "chat"))
	if found, err := k.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("a sound database: %v, %v", found, err)
	}
	for _, damage := range []string{
		"UPDATE seal_secret SET wrapped = zeroblob(60) WHERE name = 'log.1'",
		"UPDATE seal_key SET class = 'mail' WHERE class = 'chat'",
	} {
		exec(t, k, damage)
	}
	found, err := k.Check(t.Context())
	if err != nil || len(found) != 2 || !strings.Contains(strings.Join(found, "; "), "secret log.1") || !strings.Contains(strings.Join(found, "; "), "key 1 ") {
		t.Errorf("check found %v, %v", found, err)
	}
	if _, _, err := k.Secret(t.Context(), "log.1"); guia.KindOf(err) != guia.Damaged {
		t.Errorf("a damaged secret: %v", err)
	}
}

func TestWhatIsMissingOrForeignIsRefused(t *testing.T) {
	k := create(t)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(t.Context(), k.dir); err == nil {
		t.Error("keys are made where there are keys")
	}
	epoch := filepath.Join(k.dir, epochName)
	text, err := os.ReadFile(epoch)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(epoch); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), k.dir); guia.KindOf(err) != guia.Damaged || !strings.Contains(err.Error(), "seal.epoch_missing") {
		t.Errorf("without the epoch key: %v", err)
	}
	if _, err := Create(t.Context(), k.dir); err == nil {
		t.Error("keys are made where there is a key database")
	}
	if _, err := os.Stat(epoch); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused creation left an epoch key: %v", err)
	}
	for _, bad := range []string{
		encodeEpoch(randomKey()), "", string(text[:len(text)-2]), string(text[1:]), strings.ToLower(string(text)), strings.Repeat("A", 1000),
		epochPrefix + "00" + "\n", string(text[:len(text)-1]) + x,
	} {
		if err := os.WriteFile(epoch, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), k.dir); guia.KindOf(err) != guia.Damaged {
			t.Errorf("epoch key %.30q: %v", bad, err)
		}
	}
	if err := os.WriteFile(epoch, text, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), k.dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

const x = "ff\n"

func exec(t testing.TB, k *Keeper, query string) {
	t.Helper()
	if err := execute(t.Context(), k, query); err != nil {
		t.Fatal(err)
	}
}

func TestTheEpochKeyIsForItsOwnerOnly(t *testing.T) {
	k := create(t)
	info, err := os.Stat(filepath.Join(k.dir, epochName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestEscrowOpensWithTheRecoveryKeyAndNothingElse(t *testing.T) {
	k := create(t)
	still := mustOpen(keys(t, k, name(1, "chat"))[0])
	identity, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	foreign, second, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	var escrow bytes.Buffer
	if err := k.Escrow(&escrow, []string{" " + recipient + "\n"}); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(escrow.String(), epochPrefix) {
		t.Fatal("the escrow copy is not encrypted")
	}
	restored := t.TempDir()
	copyFile(t, filepath.Join(k.dir, databaseName), filepath.Join(restored, databaseName))
	damaged := strings.Replace(escrow.String(), "YWdl", "YWdm", 1)
	flipped := bytes.Clone(escrow.Bytes())
	body := len(flipped) * 3 / 4
	flipped[body] ^= 1
	for what, c := range map[string]struct {
		escrow, identity string
		want             guia.Kind
	}{
		"another recovery key": {escrow.String(), foreign, guia.Denied},
		"no recovery key":      {escrow.String(), "# nothing\n", guia.Invalid},
		"words":                {escrow.String(), "let me in\n", guia.Invalid},
		"another header":       {damaged, identity, guia.Damaged},
		"a flipped bit":        {string(flipped), identity, guia.Damaged},
		"cut off":              {escrow.String()[:escrow.Len()/2], identity, guia.Damaged},
		"nothing":              {"", identity, guia.Damaged},
	} {
		if err := RestoreEpoch(restored, strings.NewReader(c.escrow), strings.NewReader(c.identity)); guia.KindOf(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(filepath.Join(restored, epochName)); err == nil {
			t.Fatalf("%s left an epoch key", what)
		}
	}
	if err := RestoreEpoch(restored, &escrow, strings.NewReader("# mine\n"+foreign+"\n"+identity+"\n")); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), restored)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := still(t.Context(), again); err != nil {
		t.Error(err)
	}
	if err := RestoreEpoch(restored, &escrow, strings.NewReader(identity)); guia.KindOf(err) == 0 {
		t.Error("an epoch key was replaced")
	}
	for _, bad := range [][]string{nil, {}, {"age1"}, {second, "nobody"}, {identity}} {
		var b bytes.Buffer
		if err := again.Escrow(&b, bad); guia.KindOf(err) != guia.Invalid || b.Len() > 0 {
			t.Errorf("recipients %v: %v, %d bytes", bad, err, b.Len())
		}
	}
}

func TestAnEscrowOfSomethingElseIsRefused(t *testing.T) {
	k := create(t)
	identity, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	k.epoch = []byte("too short") // what an escrow copy of another program would hold
	var escrow bytes.Buffer
	if err := k.Escrow(&escrow, []string{recipient}); err != nil {
		t.Fatal(err)
	}
	if err := RestoreEpoch(t.TempDir(), &escrow, strings.NewReader(identity)); guia.KindOf(err) != guia.Damaged {
		t.Errorf("got %v", err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestIdentitiesAreFoundInAnyText(t *testing.T) {
	one, first, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, second, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"": nil, "AGE-SECRET-KEY-1": nil, "AGE-SECRET-KEY-1QQQQ": nil, one[1:]: nil, strings.ToLower(one): nil,
		one:                        {first},
		"# a key\n" + one + "\r\n": {first},
		"key=\"" + one + "\"; " + other + ",rest": {first, second},
		"\x00\xff" + other + "\x00":               {second},
	} {
		if got := RecipientsIn([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}
