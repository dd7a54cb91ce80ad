package guiatest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/directory"
	"guia/durable"
	"guia/guiatest"
	"guia/ledger"
	"guia/permit"
)

// inNamespace runs a worker as the root of a mount namespace of its own, after a shell has made the mounts.
func inNamespace(t *testing.T, j job, mounts string) said {
	t.Helper()
	if out, err := exec.Command("unshare", "-rm", "true").CombinedOutput(); err != nil {
		needed(t, "a mount namespace (unshare -rm): %v %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-ec", mounts+"\nexec \"$0\"", os.Args[0])
	cmd.Env = j.environ()
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return parseSaid(out)
}

// TestAFullDiskRefusesAndFreeingSpaceIsEnough lets an import run into the end of a small disk. It is refused with a sentence, reading
// goes on, and when there is room again the same process goes on with the same import.
func TestAFullDiskRefusesAndFreeingSpaceIsEnough(t *testing.T) {
	t.Parallel()
	for large, size := range map[int]string{0: "16m", 15: "36m"} { // mostly the database runs full, or mostly the blobs
		disk := t.TempDir()
		j := job{work: "full", path: filepath.Join(disk, "data"), company: guiatest.Company{Seed: 2, Records: 400, Page: 10, Large: large}}
		s := inNamespace(t, j, "mount -t tmpfs -o size="+size+" none '"+disk+"'")
		if !s.imported || !s.closed || s.refused != "" {
			t.Errorf("large files %d: %d acknowledged, %q", large, len(s.acked), s.refused)
		}
	}
}

// full is the work of a process on a small disk.
func (j job) full(ctx context.Context) error {
	ballast := filepath.Join(filepath.Dir(j.path), "ballast")
	d, err := directory.Create(ctx, j.path, guiatest.FirstUser())
	if err != nil {
		return err
	}
	room := int64(1 << 20)
	if j.company.Large > 0 {
		room = 5 << 20
	}
	free, err := durable.FreeSpace(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	if err := os.WriteFile(ballast, make([]byte, free-room), 0o600); err != nil {
		return err
	}
	err = j.importCompany(ctx, d, acknowledge)
	if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Kind != guia.Blocked || refusal.Key != "db.full" {
		return fmt.Errorf("a full disk is told as: %w", cmpErr(err))
	}
	if err := checked(ctx, d); err != nil { // reading goes on
		return err
	}
	if err := j.importCompany(ctx, d, acknowledge); guia.KindOf(err) != guia.Blocked {
		return fmt.Errorf("still full, and told as: %w", cmpErr(err))
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := j.importCompany(ctx, d, acknowledge); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	got, err := readContents(ctx, d)
	if err == nil && !maps.Equal(got, expected(&j.company)) {
		err = fmt.Errorf("%d records", len(got))
	}
	if err = errors.Join(err, checked(ctx, d)); err != nil {
		return err
	}
	say("imported")
	if err := d.Close(ctx); err != nil {
		return err
	}
	say("closed")
	return nil
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("success")
	}
	return err
}

// TestAReadOnlyDirectoryIsRefusedUntouched opens a directory on a disk that is mounted read-only.
func TestAReadOnlyDirectoryIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	path := template(t)
	before := readImage(t, path)
	s := inNamespace(t, job{work: "import", path: path, company: guiatest.Company{Records: 20, Page: 10}},
		"mount --bind '"+path+"' '"+path+"'; mount -o remount,bind,ro '"+path+"'")
	if s.opened || !strings.Contains(s.refused, "blocked: ") {
		t.Errorf("%+v", s)
	}
	if !maps.EqualFunc(before, readImage(t, path), slices.Equal) {
		t.Error("files have changed")
	}
	if err := verdict(t.Context(), job{path: path, work: "import"}, said{}, contents{}, false); err != nil {
		t.Error(err)
	}
}

// TestTheHolderIsNamedAndItsDeathFreesTheDirectory lets one process hold a directory, others try, and kills it.
func TestTheHolderIsNamedAndItsDeathFreesTheDirectory(t *testing.T) {
	t.Parallel()
	path := template(t)
	holder := job{work: "hold", path: path}.command(t)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("opened\n"))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "opened\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, err = directory.Open(t.Context(), path)
	if !errors.Is(err, directory.ErrHeld) || !strings.Contains(err.Error(), fmt.Sprint("process ", holder.Process.Pid)) {
		t.Errorf("while it is held: %v", err)
	}
	text, _ := job{work: "import", path: path, company: guiatest.Company{Records: 20, Page: 10}}.command(t).Output()
	if s := parseSaid(text); s.opened || !strings.Contains(s.refused, directory.ErrHeld.Error()) {
		t.Errorf("a second process: %+v", s)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := holder.Wait(); err == nil {
		t.Error("the holder ended by itself")
	}
	if err := verdict(t.Context(), job{path: path, work: "import", company: guiatest.Company{Records: 20, Page: 10}}, said{}, expected(&guiatest.Company{Records: 20}), true); err != nil {
		t.Error(err)
	}
}

// TestAClockThatJumpsBackIsAFact turns the clock back by an hour: once is recorded, both readings stand in the event, nothing is lost.
func TestAClockThatJumpsBackIsAFact(t *testing.T) {
	t.Parallel()
	d := guiatest.New(t)
	act := func() {
		t.Helper()
		err := d.Ledger.Do(t.Context(), d.Owner, permit.ActSearch, func(tx *ledger.Tx) error {
			_, err := tx.Record(guia.SearchMade, guia.Fields{{Name: "query", Value: []byte("x")}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	noon := time.Now().Truncate(time.Second).Add(time.Hour)
	at := func(shift time.Duration) { d.Ledger.TestOnlyClock(func() time.Time { return noon.Add(shift) }) }
	at(0)
	act()
	at(-time.Second) // time servers step by less than two
	act()
	at(-time.Hour)
	refused := errors.New("no")
	if err := d.Ledger.Batch(t.Context(), 0, func(*ledger.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	act()
	act()
	d.Reopen()
	at(-time.Hour)
	act()
	at(time.Minute)
	act()
	at(-2 * time.Hour)
	act()
	var jumps []string
	for seq := range d.Ledger.Size() {
		e, err := d.Ledger.Event(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == guia.ClockJumped {
			now, err1 := guia.ParseMoment(e.Fields.Get("time"))
			before, err2 := guia.ParseMoment(e.Fields.Get("time.original"))
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			jumps = append(jumps, before.Time.Sub(now.Time).String())
		}
	}
	// One jump, not told again by the process that was started while the clock was still behind; and another jump.
	if want := []string{"1h0m0s", "2h1m0s"}; !slices.Equal(jumps, want) {
		t.Errorf("jumps %v, want %v", jumps, want)
	}
}

// TestADirectoryFromANewerVersionIsRefusedUntouched opens directories whose VERSION or whose databases a later program has written.
func TestADirectoryFromANewerVersionIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	for _, newer := range []string{"VERSION", "guia.db", "keys.db"} {
		path := template(t)
		if newer == "VERSION" {
			if err := os.WriteFile(filepath.Join(path, newer), []byte("Guia data directory, format 2\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			other, err := sql.Open("sqlite", "file:"+filepath.Join(path, newer))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := other.Exec("INSERT INTO db_version (number, name, applied) VALUES (99, '0099_later.sql', 'x')"); err != nil {
				t.Fatal(err)
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
		}
		before := readImage(t, path)
		_, err := directory.Open(t.Context(), path)
		if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Kind != guia.Blocked || !strings.HasSuffix(refusal.Key, ".newer") {
			t.Errorf("%s: %v", newer, err)
		}
		after := readImage(t, path)
		for name := range after {
			if !slices.Equal(before[name], after[name]) {
				t.Errorf("%s: %s has changed or is new", newer, name)
			}
		}
	}
}
