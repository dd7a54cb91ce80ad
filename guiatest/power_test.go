package guiatest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guia/guiatest"
)

// cut is a moment at which the power goes.
type cut struct {
	after int  // calls of the trace
	torn  bool // some of what was not synced reached the disk
}

// powerJob makes a directory, imports enough to have the log copied back and begun anew, and closes it.
func powerJob(t *testing.T, weak string) job {
	return job{work: "init", path: filepath.Join(memory(t), "data"), weak: weak, log: 1 << 20, company: guiatest.Company{Seed: 9, Records: 500, Page: 3, Large: 150}}
}

// TestAPowerCutLosesNothingAcknowledged records every write and sync of a process that makes a directory, imports and closes it, and
// replays beginnings of that record as a disk may show them after the power comes back: see medium. Each opens, checks clean, and
// has what was acknowledged before the cut.
func TestAPowerCutLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	j := powerJob(t, "")
	cutPower(t, j, newMedium(filepath.Dir(j.path)))
}

// TestAPowerCutInALogThatStayed does so with a directory that another process has closed: its log is there, empty, with what that process
// wrote behind the emptied head, and is written over.
func TestAPowerCutInALogThatStayed(t *testing.T) {
	t.Parallel()
	j := powerJob(t, "")
	j.work = "import"
	copyTree(t, template(t), j.path)
	if info, err := os.Stat(filepath.Join(j.path, "guia.db-wal")); err != nil || info.Size() < 1<<16 {
		t.Fatalf("no log has stayed: %v", err)
	}
	m := newMedium(filepath.Dir(j.path))
	m.load(t)
	cutPower(t, j, m)
}

// cutPower does the job on the medium and shows what is left of it after cuts.
func cutPower(t *testing.T, j job, m *medium) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s, tr := watch(t, j, 0, "", true)
	if !s.closed {
		t.Fatalf("without a cut: %+v", s)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	cuts := chooseCuts(tr, random, rounds(30, 1<<30), rounds(25, 3000))
	var went atomic.Int64
	replay(t, m, j, tr, cuts, seed, func(where string, i int, j job, s said, want contents) {
		if err := verdict(t.Context(), j, s, want, i%5 == 0); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		went.Add(int64(len(s.acked)))
	})
	t.Logf("%d calls, %s; %d images, %d acknowledged records looked for", len(tr.Calls), summary(tr), len(cuts), went.Load())
	if len(cuts) < 100 {
		t.Errorf("only %d images", len(cuts))
	}
}

// TestThePowerCutTestWouldNotice is the negative control: with less than a sync for each commit the same replay must find acknowledged
// records lost, or it would show nothing.
func TestThePowerCutTestWouldNotice(t *testing.T) {
	t.Parallel()
	for _, weak := range []string{"NORMAL", "OFF"} {
		j := powerJob(t, weak)
		j.work, j.log = "import", 0 // into a directory that was durable before
		copyTree(t, template(t), j.path)
		m := newMedium(filepath.Dir(j.path))
		m.load(t)
		s, tr := watch(t, j, 0, "", true)
		if !s.closed {
			t.Fatalf("%s: without a cut: %+v", weak, s)
		}
		var lost, broken atomic.Int64
		cuts := afterSaying(tr, 20)
		replay(t, m, j, tr, cuts, 1, func(where string, _ int, j job, s said, want contents) {
			switch err := verdict(t.Context(), j, s, want, false); {
			case errors.Is(err, errLost):
				lost.Add(1)
			case err != nil:
				t.Logf("synchronous=%s: %s: %v", weak, where, err)
				broken.Add(1)
			}
		})
		t.Logf("synchronous=%s: %s; of %d images %d have lost acknowledged records, %d are otherwise damaged", weak, summary(tr), len(cuts), lost.Load(), broken.Load())
		if lost.Load() == 0 {
			t.Errorf("synchronous=%s: no acknowledged record was lost: the power-cut test shows nothing", weak)
		}
	}
}

// chooseCuts returns cuts before and after so many syncs, right after a log was emptied, and at so many random moments, each with the
// whole cache lost and with a part of it written, in the order of the trace.
func chooseCuts(tr trace, random *rand.Rand, syncs, others int) []cut {
	at := map[int]bool{}
	var boundaries []int
	for i, c := range tr.Calls {
		if c.Op == opSync {
			boundaries = append(boundaries, i, i+1)
		}
	}
	random.Shuffle(len(boundaries), func(i, k int) { boundaries[i], boundaries[k] = boundaries[k], boundaries[i] })
	for _, b := range boundaries[:min(syncs, len(boundaries))] {
		at[b] = true
	}
	for i, c := range tr.Calls { // a log was emptied
		if c.Op == opWrite && c.Off == 0 && bytes.Equal(c.Data, make([]byte, 32)) {
			for k := i + 1; k <= min(i+6, len(tr.Calls)); k++ {
				at[k] = true
			}
		}
	}
	for range others {
		at[random.IntN(len(tr.Calls)+1)] = true
	}
	var cuts []cut
	for i := range len(tr.Calls) + 1 {
		if at[i] {
			cuts = append(cuts, cut{i, false}, cut{i, true})
		}
	}
	return cuts
}

// afterSaying returns at most n cuts spread over the moments at which something had just been acknowledged, the whole cache lost.
func afterSaying(tr trace, n int) []cut {
	var all []cut
	for i, c := range tr.Calls {
		if c.Op == opSay {
			all = append(all, cut{i + 1, false})
		}
	}
	var cuts []cut
	for k := range min(n, len(all)) {
		cuts = append(cuts, all[k*len(all)/min(n, len(all))])
	}
	return cuts
}

// replay shows each cut's image to look, two at a time.
func replay(t *testing.T, m *medium, j job, tr trace, cuts []cut, seed uint64, look func(where string, i int, j job, s said, want contents)) {
	t.Helper()
	want := expected(&j.company)
	var out bytes.Buffer
	root := memory(t)
	free := make(chan string, 2)
	free <- filepath.Join(root, "a")
	free <- filepath.Join(root, "b")
	var wg sync.WaitGroup
	defer wg.Wait()
	done := 0
	for i, c := range cuts {
		for ; done < c.after; done++ {
			if tr.Calls[done].Op == opSay {
				out.Write(tr.Calls[done].Data)
			}
			m.do(tr.Calls[done])
		}
		var random *rand.Rand
		if c.torn {
			random = rand.New(rand.NewPCG(seed, uint64(i)))
		}
		path := <-free
		m.restore(t, path, random)
		image := j
		image.path = filepath.Join(path, filepath.Base(j.path))
		s := parseSaid(out.Bytes())
		where := fmt.Sprintf("power cut after call %d of %d, torn %t", c.after, len(tr.Calls), c.torn)
		wg.Go(func() {
			look(where, i, image, s, want)
			free <- path
		})
	}
}

func summary(tr trace) string {
	n := map[op]int{}
	bytes := 0
	for _, c := range tr.Calls {
		n[c.Op]++
		bytes += len(c.Data)
	}
	return fmt.Sprintf("%d writes (%d bytes), %d syncs, %d names, %d truncations", n[opWrite], bytes, n[opSync], n[opCreate]+n[opMkdir]+n[opRename]+n[opLink]+n[opUnlink], n[opSize])
}
