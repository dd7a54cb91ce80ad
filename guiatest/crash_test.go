package guiatest_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"guia/guiatest"
)

// TestKilledImportsLoseNothingAndContinue kills an importing process (kill -9) at random moments, again and again until the import is
// through: each time everything acknowledged is there once, the check is clean, and the same command goes on.
func TestKilledImportsLoseNothingAndContinue(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills, finished, acked := 0, 0, 0
	for kills < rounds(30, 500) {
		j := job{work: "import", path: filepath.Join(t.TempDir(), "data"), company: guiatest.Company{Seed: uint64(finished), Records: 400, Page: 10, Large: 90}}
		if finished%2 == 1 { // half of them in memory: there the process is at other places when it dies
			j.path, j.log = template(t), 512<<10 // and in the middle of copying the log back
		} else {
			copyTree(t, template(t), j.path)
		}
		want := expected(&j.company)
		var known []string // acknowledged in any round of this directory
		for round := 0; ; round++ {
			where := fmt.Sprintf("directory %d round %d", finished, round)
			s, killed := runAndKill(t, j, random)
			if s.refused != "" {
				t.Fatalf("%s: %s", where, s.refused)
			}
			known = append(known, s.acked...)
			acked += len(s.acked)
			s.acked = known
			if err := verdict(t.Context(), j, s, want, !killed); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			if !killed {
				break
			}
			kills++
		}
		finished++
	}
	t.Logf("%d kills, %d directories, %d acknowledged records, none lost, none twice", kills, finished, acked)
}

// runAndKill runs a worker and kills it at a random moment: after a random number of its lines and a random time more.
func runAndKill(t *testing.T, j job, random *rand.Rand) (s said, killed bool) {
	t.Helper()
	cmd := j.command(t)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, pause := random.IntN(24), time.Duration(random.Int64N(int64(15*time.Millisecond)))
	var all bytes.Buffer
	buffer := make([]byte, 4096)
	var once sync.Once
	kill := func() { once.Do(func() { cmd.Process.Kill() }) } //nolint:errcheck // it may have ended by itself
	if lines == 0 {
		time.AfterFunc(pause, kill)
	}
	for {
		n, err := out.Read(buffer)
		all.Write(buffer[:n])
		if lines > 0 && bytes.Count(all.Bytes(), []byte("\n")) >= lines {
			lines = 0
			time.AfterFunc(pause, kill)
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	s = parseSaid(all.Bytes())
	killed = err != nil && s.refused == ""
	if !killed && !s.closed && s.refused == "" {
		t.Fatalf("the worker ended with %q", all.String())
	}
	return s, killed
}
