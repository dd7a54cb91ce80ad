package durable_test

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"guia/durable"
)

// onlyFile fails unless dir holds exactly the file of this name, so no
// temporary file was left.
func onlyFile(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("directory holds %q, want %q", got, want)
	}
}

func TestWriteFileReplacesContentAndPermissions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("n", 200)) // longer with a suffix than a name may be
	for _, c := range []struct {
		data string
		perm fs.FileMode
	}{{"first", 0o600}, {"second, longer", 0o666}, {"", 0o400}, {"after a read-only one", 0o640}} {
		if err := durable.WriteFile(path, []byte(c.data), c.perm); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != c.data {
			t.Fatalf("read back %q, %v, want %q", got, err, c.data)
		}
		if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != c.perm {
			t.Errorf("permissions %v, want %v", info.Mode().Perm(), c.perm)
		}
	}
	onlyFile(t, dir, filepath.Base(path))
}

func TestWriteFileThatCannotRenameLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "child"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x"), 0o600); err == nil {
		t.Error("writing over a directory was accepted")
	}
	onlyFile(t, dir, "taken")
}

func TestAbortLeavesTheOldFileAndCommitEndsTheWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := durable.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := durable.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half of the ne")); err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(); err != nil {
		t.Errorf("second abort: %v", err)
	}
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("commit after abort: %v, want fs.ErrClosed", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("content %q, want old", got)
	}
	onlyFile(t, dir, "f")
}

func TestCreateExclusiveNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	first, err := durable.CreateExclusive(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := durable.CreateExclusive(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := second.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second commit: %v, want fs.ErrExist", err)
	}
	if _, err := durable.CreateExclusive(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("third create: %v, want fs.ErrExist", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "first" {
		t.Errorf("content %q, want first", got)
	}
	onlyFile(t, dir, "f")
}

// FAT and exFAT, which sticks have, answer to a hard link that it is not permitted.
func TestCreateExclusiveNeedsNoHardLinks(t *testing.T) {
	var dir, other string
	defer durable.ReplaceLink(func(temp, path string) error {
		if other != "" {
			if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
				t.Error(err)
			}
		}
		return &os.LinkError{Op: "link", Old: temp, New: path, Err: syscall.EPERM}
	})()
	for _, other = range []string{"", "somebody else's"} {
		dir = t.TempDir()
		path := filepath.Join(dir, "f")
		f, err := durable.CreateExclusive(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("mine")); err != nil {
			t.Fatal(err)
		}
		want := "mine"
		if err = f.Commit(); other == "" && err != nil || other != "" && !errors.Is(err, fs.ErrExist) {
			t.Errorf("something else is there: %q: commit: %v", other, err)
		}
		if other != "" {
			want = other
		}
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("content %q, want %q", got, want)
		}
		onlyFile(t, dir, "f")
	}
}

func TestTemporaryFilesAreRecognised(t *testing.T) {
	dir := t.TempDir()
	f, err := durable.CreateIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !durable.IsTemp(entries[0].Name()) {
		t.Errorf("temporary file not recognised: %v, %v", entries, err)
	}
	if err := f.Commit(); err == nil {
		t.Error("a file without a name was committed")
	}
	if err := f.CommitAs(filepath.Join(dir, "named")); err != nil {
		t.Fatal(err)
	}
	if durable.IsTemp("named") {
		t.Error("an ordinary name is taken for a temporary one")
	}
	onlyFile(t, dir, "named")
}

func TestRenameRemoveAndMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := durable.MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	from, to := filepath.Join(dir, "f"), filepath.Join(deep, "g")
	if err := durable.WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.MkdirAll(filepath.Join(from, "under a file"), 0o700); err == nil {
		t.Error("a directory under a file was accepted")
	}
	if err := durable.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "a")
	onlyFile(t, deep, "g")
	if err := durable.Remove(to); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, deep)
	if err := durable.Remove(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing nothing: %v, want fs.ErrNotExist", err)
	}
}

func TestShredOverwritesInPlaceBeforeItRemoves(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "key"), filepath.Join(dir, "other-name")
	secret := bytes.Repeat([]byte("secret key bytes"), 1000)
	if err := os.WriteFile(path, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	// A second name shows what became of the bytes.
	if err := os.Link(path, other); err != nil {
		t.Skipf("no hard links here, so the overwriting cannot be seen: %v", err)
	}
	if err := durable.Shred(path); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "other-name")
	got, err := os.ReadFile(other)
	if err != nil || len(got) != len(secret) {
		t.Fatalf("%d bytes left, %v, want %d", len(got), err, len(secret))
	}
	if bytes.Contains(got, []byte("secret")) || bytes.Equal(got, make([]byte, len(got))) {
		t.Error("the bytes were not overwritten at random")
	}
}

func TestShredRefusesLinksAndDirectories(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	for _, path := range []string{link, dir, filepath.Join(dir, "nothing")} {
		if err := durable.Shred(path); err == nil {
			t.Errorf("%s was shredded", filepath.Base(path))
		}
	}
	if got, _ := os.ReadFile(target); string(got) != "keep" {
		t.Errorf("the link's target is now %q", got)
	}
}

func TestLockNamesTheHolderAndIsFreedByItsDeath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), "DURABLE_TEST_CHILD=lock", "DURABLE_TEST_PATH="+path)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.StdinPipe(); err != nil { // the child lives until it is killed
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "locked\n" {
		t.Fatalf("child said %q, %v", line, err)
	}

	unlock, held, err := durable.Lock(path)
	var who *durable.HeldError
	if unlock != nil || !held || !errors.As(err, &who) || who.PID != holder.Process.Pid {
		t.Fatalf("lock held by %d: held %v, err %v", holder.Process.Pid, held, err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // killed, so never nil

	unlock, held, err = durable.Lock(path)
	if err != nil || held {
		t.Fatalf("lock of a dead process: held %v, err %v", held, err)
	}
	if _, held, err := durable.Lock(path); !held || !errors.As(err, &who) || who.PID != os.Getpid() {
		t.Errorf("second lock in one process: held %v, err %v", held, err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, held, err = durable.Lock(path)
	if err != nil || held {
		t.Fatalf("lock after unlock: held %v, err %v", held, err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, held, err := durable.Lock(filepath.Join(path, "under a file")); held || err == nil {
		t.Errorf("impossible lock: held %v, err %v", held, err)
	}
}

func TestReadersShareTheLockAndKeepWritersOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if unlock, held, err := durable.LockForReading(path); held || err != nil || unlock() != nil {
		t.Errorf("where there is no file: held %v, err %v", held, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("reading has made the file")
	}
	write, _, err := durable.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	var who *durable.HeldError
	if _, held, err := durable.LockForReading(path); !held || !errors.As(err, &who) || who.PID != os.Getpid() {
		t.Errorf("beside a writer: held %v, err %v", held, err)
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	one, held, err := durable.LockForReading(path)
	if held || err != nil {
		t.Fatalf("held %v, err %v", held, err)
	}
	other, held, err := durable.LockForReading(path)
	if held || err != nil {
		t.Fatalf("a second reader: held %v, err %v", held, err)
	}
	if err := one(); err != nil {
		t.Fatal(err)
	}
	if _, held, _ := durable.Lock(path); !held {
		t.Error("a writer beside a reader")
	}
	if err := other(); err != nil {
		t.Fatal(err)
	}
	if write, held, err = durable.Lock(path); held || err != nil {
		t.Fatalf("a writer after the readers: held %v, err %v", held, err)
	}
	if err := write(); err != nil {
		t.Error(err)
	}
}

func TestFreeSpaceIsPlausible(t *testing.T) {
	if n, err := durable.FreeSpace(t.TempDir()); err != nil || n <= 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := durable.FreeSpace(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing directory has free space")
	}
}
