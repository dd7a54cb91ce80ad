package guiatest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"guia"
	"guia/directory"
	"guia/guiatest"
	"guia/ledger"
)

// appendJob is one append: a page of three records, one with an attachment in the blob store, one with a body outside its row.
func appendJob(path string) job {
	return job{work: "import", path: path, company: guiatest.Company{Seed: 4, Records: 13 + 3, Page: 16, Large: 13}}
}

// TestOneAppendSurvivesAFaultAtEachSystemCall takes one page in and lets each system call in turn that touches the directory, from the
// moment it is open until it is closed, be the last one of the process (before and after its effect) or fail. Afterwards the
// directory opens, the check is clean, what was acknowledged is there, and the same import completes.
func TestOneAppendSurvivesAFaultAtEachSystemCall(t *testing.T) {
	t.Parallel()
	everyFault(t, appendJob, false, 1)
}

// TestAnInterruptedCreationStartsOver does the same while the directory is being made: until its maker was told that it is there,
// the same command makes it.
func TestAnInterruptedCreationStartsOver(t *testing.T) {
	t.Parallel()
	everyFault(t, func(path string) job { j := appendJob(path); j.work = "init"; return j }, true, 16)
}

// everyFault runs the job with each fault at each system call; at every stride-th when it is not a soak test.
func everyFault(t *testing.T, make func(path string) job, fromStart bool, stride int) {
	t.Helper()
	empty := template(t)
	root := memory(t)
	fresh := func(name string) job {
		j := make(filepath.Join(root, name))
		if err := os.RemoveAll(j.path); err != nil {
			t.Fatal(err)
		}
		if j.work != "init" {
			copyTree(t, empty, j.path)
		}
		return j
	}
	j := fresh("whole")
	s, tr := watch(t, j, 0, "", fromStart)
	if !s.closed || len(tr.Targets) < 20 {
		t.Fatalf("without a fault: %+v, %d calls", s, len(tr.Targets))
	}
	want := expected(&j.company)
	type strike struct {
		n int
		f fault
	}
	var strikes []strike
	for i, o := range tr.Targets {
		if i > tr.Imported && i%4 != 0 && !soak() {
			continue // closing copies page by page from the log: one is like the other
		}
		for _, f := range faultsOf(o) {
			strikes = append(strikes, strike{i + 1, f})
		}
	}
	if !soak() && stride > 1 {
		strikes = slices.DeleteFunc(strikes, func(s strike) bool { return (s.n*5+len(s.f))%stride != 0 })
	}
	var next, hits atomic.Int64
	var mu sync.Mutex
	outcomes := map[string]int{}
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for !t.Failed() {
				i := int(next.Add(1)) - 1
				if i >= len(strikes) {
					return
				}
				st := strikes[i]
				j := fresh(fmt.Sprint(worker))
				s, tr := watch(t, j, st.n, st.f, fromStart)
				where := fmt.Sprintf("%s at call %d (%s)", st.f, st.n, tr.Hit)
				if tr.Hit == "" {
					continue // it made fewer calls this time
				}
				hits.Add(1)
				afterFault(t, where, j, s, want)
				mu.Lock()
				switch {
				case s.closed:
					outcomes["went on"]++
				case s.refused != "":
					outcomes["refused"]++
				default:
					outcomes["died"]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d system calls, %d until the import was through, %d of %d faults hit: %v", len(tr.Targets), tr.Imported, hits.Load(), len(strikes), outcomes)
	if int(hits.Load()) < len(strikes)*9/10 {
		t.Errorf("only %d faults of %d were hit", hits.Load(), len(strikes))
	}
}

// faultsOf are the faults that can befall a system call. To die after a call is to die before the next one, but for what was said in
// between: the soak test does both.
func faultsOf(o op) []fault {
	var list []fault
	switch o {
	case opRead:
		return []fault{failEIO}
	case opWrite, opCreate, opMkdir, opSize, opLink, opRename:
		list = []fault{killBefore, failEIO, failENOSPC}
	default:
		list = []fault{killBefore, failEIO}
	}
	if soak() {
		list = append(list, killAfter)
	}
	return list
}

// afterFault demands that nothing acknowledged is lost, that the directory is sound, and that the same command completes.
func afterFault(t *testing.T, where string, j job, s said, want contents) {
	t.Helper()
	if strings.HasPrefix(s.refused, "unexpected") || strings.Contains(s.refused, "panic") {
		t.Errorf("%s: %s", where, s.refused)
	}
	if err := verdict(t.Context(), j, s, want, true); err != nil {
		t.Errorf("%s: %v; the worker said %+v", where, err, s)
	}
}

// verdict opens a directory after something happened to it. It returns what is wrong: it does not open, the check finds something,
// an acknowledged record is missing or there twice or otherwise; and, when goOn is set, the same command does not complete.
func verdict(ctx context.Context, j job, s said, want contents, goOn bool) (err error) {
	d, err := directory.Open(ctx, j.path)
	if j.work == "init" && !s.opened && guia.KindOf(err) == guia.NotFound {
		d, err = directory.Create(ctx, j.path, guiatest.FirstUser()) // nobody was told that it is there: making it starts over
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	if err := checked(ctx, d); err != nil {
		return err
	}
	got, err := readContents(ctx, d)
	if err != nil {
		return err
	}
	if err := containsKeys(got, want, s.acked); err != nil || !goOn {
		return err
	}
	if err := j.importCompany(ctx, d, nil); err != nil {
		return fmt.Errorf("the import does not continue: %w", err)
	}
	if err := checked(ctx, d); err != nil {
		return err
	}
	if got, err = readContents(ctx, d); err != nil {
		return err
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("after the import was completed there are %d records, of %d, or others", len(got), len(want))
	}
	if got, n := finishedCount(ctx, d), fmt.Sprint(j.company.Records); got != n {
		return fmt.Errorf("import.finished says %q new records, want %s once", got, n)
	}
	return nil
}

// checked checks the whole directory and returns what was found as an error.
func checked(ctx context.Context, d *directory.Directory) error {
	r, err := d.Check(ctx, ledger.CheckOptions{})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if len(r.Findings) > 0 {
		return fmt.Errorf("check found %d things, the first: %+v", len(r.Findings), r.Findings[0])
	}
	if size := int64(d.Ledger.Size()); r.Entries != size || r.Rows != size {
		return fmt.Errorf("check looked at %d entries and %d rows of %d", r.Entries, r.Rows, size)
	}
	return nil
}

// finishedCount returns what the import.finished events say, all of them.
func finishedCount(ctx context.Context, d *directory.Directory) string {
	var counts []string
	for seq := range d.Ledger.Size() {
		if e, err := d.Ledger.Event(ctx, seq); err != nil {
			counts = append(counts, err.Error())
		} else if e.Type == guia.ImportFinished {
			counts = append(counts, e.Fields.Get("count.new"))
		}
	}
	return strings.Join(counts, ",")
}
