package dingtalk

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"guia"
)

func day(d int) func() time.Time {
	return func() time.Time { return time.Date(2026, 11, d, 4, 0, 0, 0, time.UTC) }
}

// drain spends until the budget forbids it.
func drain(t *testing.T, b *Budget, job Job) (n int, why string) {
	t.Helper()
	for n < 1_000_000 {
		err := b.spend(job, apiReaders)
		if err == nil {
			n++
			continue
		}
		d, ok := errors.AsType[*Deferral](err)
		if !ok || guia.KindOf(err) != guia.Upstream || d.Job != job {
			t.Fatal(err)
		}
		return n, d.Why
	}
	t.Fatal("no end")
	return 0, ""
}

func TestTheBudgetServesWhatCannotWaitToTheLast(t *testing.T) {
	b := NewBudget(QuotaOf(Standard), Usage{}, nil, day(15))
	if n, why := drain(t, b, JobDrive); n != 2_000 || why != WhyPace { // half of the month, of the 4,000 that are not reserved
		t.Errorf("patient: %d, %s", n, why)
	}
	if n, why := drain(t, b, JobNotices); n != 2_000 || why != WhyReserve {
		t.Errorf("ordinary: %d, %s", n, why)
	}
	if n, why := drain(t, b, JobReads); n != 1_000 || why != WhySpent {
		t.Errorf("pressing: %d, %s", n, why)
	}
	if err := b.spend(JobDirectory, apiUsers); err != nil {
		t.Errorf("an exempt call: %v", err)
	}
	u := b.Usage()
	if u.Spent() != 5_000 || u.Deferred[JobDrive] != 1 || u.Why[JobReads] != WhySpent {
		t.Errorf("%+v", u)
	}
}

func TestAMonthBeginsByTheClockOfTheServers(t *testing.T) {
	at := time.Date(2026, 11, 30, 15, 59, 0, 0, time.UTC)
	b := NewBudget(Quota{10, 10, 20}, Usage{}, nil, func() time.Time { return at })
	if n, _ := drain(t, b, JobReads); n != 10 {
		t.Errorf("%d", n)
	}
	at = at.Add(time.Minute) // midnight in Shanghai
	if u := b.Usage(); u.Month != "2026-12" || u.Spent() != 0 {
		t.Errorf("%+v", u)
	}
}

func TestWhatWasSpentIsKeptBeforeItIsSpent(t *testing.T) {
	var kept Usage
	stores := 0
	keep := func(u Usage) error {
		text, err := json.Marshal(u)
		kept = Usage{}
		stores++
		return errors.Join(err, json.Unmarshal(text, &kept))
	}
	b := NewBudget(QuotaOf(Standard), Usage{}, keep, day(15))
	for n := range 103 {
		if err := b.spend(JobNotices, apiReaders); err != nil {
			t.Fatal(err)
		}
		if kept.Spent() < n+1 || kept.Spent() > n+1+5 {
			t.Fatalf("after %d calls %d are kept", n+1, kept.Spent())
		}
	}
	if stores > 25 {
		t.Errorf("stored %d times for 103 calls", stores)
	}
	again := NewBudget(QuotaOf(Standard), kept, keep, day(15)) // after a crash
	if got := again.Usage().Spent(); got < 103 || got > 108 {
		t.Errorf("goes on with %d", got)
	}
	failing := NewBudget(QuotaOf(Standard), Usage{}, func(Usage) error { return errors.New("disk full") }, day(15))
	if err := failing.spend(JobReads, apiReaders); err == nil {
		t.Error("a call was spent that could not be kept")
	}
}

func TestWhatOthersSpendCounts(t *testing.T) {
	b := NewBudget(QuotaOf(Standard), Usage{}, nil, day(15))
	if err := b.spend(JobReads, apiReaders); err != nil {
		t.Fatal(err)
	}
	b.refund(JobReads, apiReaders)
	if err := b.Counted(4_995); err != nil || b.Usage().Spent() != 4_995 {
		t.Errorf("%d, %v", b.Usage().Spent(), err)
	}
	if n, why := drain(t, b, JobReads); n != 5 || why != WhySpent {
		t.Errorf("%d, %s", n, why)
	}
	for range 3_000 {
		if ok, err := b.Deliver(JobReads, 1); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if ok, _ := b.Deliver(JobReads, 1); ok {
		t.Error("more deliveries than the quota are covered")
	}
}

func TestSpansOfAnnouncementsLeaveNoSecondOut(t *testing.T) {
	at := time.Date(2026, 11, 20, 4, 0, 4, 600e6, time.UTC)
	first, second := dueSpans(round{at.AddDate(-1, 0, 0), at}), dueSpans(round{at, at.Add(time.Hour)})
	for i, s := range first[1:] {
		if s.from.After(first[i].to) || first[i].to.Sub(first[i].from) >= mostSpan {
			t.Errorf("between %s and %s nothing is asked for", first[i].to, s.from)
		}
	}
	if last := first[len(first)-1].to; second[len(second)-1].from.After(last) {
		t.Errorf("between %s and %s nothing is asked for", last, second[len(second)-1].from)
	}
}

func TestABoughtEditionCountsFromNowOn(t *testing.T) {
	b := NewBudget(QuotaOf(Standard), Usage{}, nil, day(15))
	drain(t, b, JobReads)
	b.Change(QuotaOf(Professional))
	if b.Quota() != QuotaOf(Professional) || b.Usage().Spent() != 5_000 {
		t.Errorf("%+v %+v", b.Quota(), b.Usage())
	}
	if err := b.spend(JobReads, apiReaders); err != nil {
		t.Error(err)
	}
}

func TestWhatIsLeftIsWhatMayBeSpent(t *testing.T) {
	for _, job := range []Job{JobDrive, JobNotices, JobReads} {
		for _, spent := range []int{0, 100, 3_000, 4_500, 6_000} {
			b := NewBudget(QuotaOf(Standard), Usage{Month: "2026-11", Other: spent}, nil, day(15))
			left := b.Left(job)
			if n, _ := drain(t, b, job); n != left {
				t.Errorf("%s after %d: %d are left, and %d were spent", job, spent, left, n)
			}
		}
	}
}
