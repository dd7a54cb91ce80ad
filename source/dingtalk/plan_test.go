package dingtalk

import (
	"slices"
	"testing"

	"guia/lang"
)

func cost(t *testing.T, costs []Cost, feed string) Cost {
	t.Helper()
	i := slices.IndexFunc(costs, func(c Cost) bool { return c.Feed == feed })
	if i < 0 {
		t.Fatalf("no cost of %s", feed)
	}
	return costs[i]
}

func TestThePlanOfTheSmallCompanyFitsTheStandardEdition(t *testing.T) {
	costs := Plan(CompanyS, Standard, QuotaOf(Standard))
	if len(costs) != len(feeds) {
		t.Errorf("%d costs, %d feeds", len(costs), len(feeds))
	}
	// 12 people: 96 rows in 4 days are 2 calls a day. 40 announcements: 6 lists a day, and 2 calls each of 6 times.
	for feed, want := range map[string]int{"attendance": 60, "notices": 6*30 + 40*6*2, "reads": 600, "directory": 30, "roster": 0} {
		if c := cost(t, costs, feed); c.Month != want || !c.Fits {
			t.Errorf("%s: %d calls, fits %t; want %d", feed, c.Month, c.Fits, want)
		}
	}
	if c := cost(t, costs, "filelog"); c.Fits || c.Least != Exclusive {
		t.Errorf("%+v", c)
	}
	total := 0
	for _, c := range costs {
		if c.Fits {
			total += c.Month
		}
	}
	if total > 4_000 {
		t.Errorf("%d calls, more than what is not reserved", total)
	}
}

func TestThePlanSaysWhatDoesNotFit(t *testing.T) {
	if c := cost(t, Plan(CompanyM, Standard, QuotaOf(Standard)), "drive"); c.Fits || !c.Push {
		t.Errorf("60,000 files on the standard edition: %+v", c)
	}
	if c := cost(t, Plan(CompanyM, Professional, QuotaOf(Professional)), "drive"); !c.Fits {
		t.Errorf("60,000 files on the professional edition: %+v", c)
	}
	if c := cost(t, Plan(CompanyL, Exclusive, QuotaOf(Exclusive)), "attendance"); c.Fits || c.Month != 30*600*8 {
		t.Errorf("30,000 people: %+v", c)
	}
}

func TestTheMatrixHasASentenceForWhatIsLost(t *testing.T) {
	for _, line := range Matrix() {
		whole := line.Gives == [3]Gives{Whole, Whole, Whole}
		if whole != (line.Lost == "") || !whole && !lang.Has(line.Lost) {
			t.Errorf("%+v", line)
		}
	}
	for _, f := range feeds {
		if !slices.ContainsFunc(Matrix(), func(l Line) bool { return l.Job == f.name }) {
			t.Errorf("no line for %s", f.name)
		}
	}
}
