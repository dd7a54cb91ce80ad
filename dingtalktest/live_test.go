package dingtalktest_test

import (
	"slices"
	"testing"
	"time"

	"guia/dingtalktest"
)

// lived is what is done at a company while somebody watches.
func lived(t *testing.T, tenant *dingtalktest.Tenant, most int) (all []dingtalktest.Deed) {
	t.Helper()
	tenant.Live(t.Context(), 0, most, func(d dingtalktest.Deed) { all = append(all, d) })
	return all
}

func TestWhatIsDoneLiveIsDrawnFromTheSeed(t *testing.T) {
	one, again := dingtalktest.New(dingtalktest.Company{Seed: 3}, dingtalktest.Options{}), dingtalktest.New(dingtalktest.Company{Seed: 3}, dingtalktest.Options{})
	other := dingtalktest.New(dingtalktest.Company{Seed: 4}, dingtalktest.Options{})
	deeds := lived(t, one, 60)
	if got := lived(t, again, 60); !slices.Equal(got, deeds) {
		t.Errorf("the same seed tells another story: %v, %v", got, deeds)
	}
	if slices.Equal(lived(t, other, 60), deeds) {
		t.Error("another seed tells the same story")
	}
	for _, kind := range dingtalktest.Deeds() {
		if !slices.ContainsFunc(deeds, func(d dingtalktest.Deed) bool { return d.Kind == kind }) {
			t.Errorf("nobody ever did %q", kind)
		}
	}
	salesman := one.Cast()["salesman"]
	if one.Person(salesman).Name != "" {
		t.Error("the salesman was not dismissed")
	}
	if n := len(one.People()); n < 10 || n > 14 {
		t.Errorf("%d people work here after a while", n)
	}
}

func TestWhatIsDoneLiveIsAlsoAnswered(t *testing.T) {
	sunday := time.Date(2026, 11, 22, 12, 0, 0, 0, dingtalktest.Shanghai)
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{Start: sunday})
	c := start(t, tenant)
	var who []string
	for _, p := range tenant.People() {
		who = append(who, p.UserID)
	}
	clocked := 0
	for _, d := range lived(t, tenant, 25) {
		if d.Kind == "in" || d.Kind == "out" {
			clocked++
		}
	}
	o := c.ok("POST", "/attendance/listRecord", map[string]any{
		"userIds": who, "checkDateFrom": sunday.Format(time.DateOnly) + " 00:00:00", "checkDateTo": sunday.Format(time.DateOnly) + " 23:59:59",
	})
	if rows := o["recordresult"].([]any); len(rows) != clocked || clocked == 0 { // nobody works on a Sunday otherwise
		t.Errorf("%d punches were made and %d are told", clocked, len(rows))
	}
}
