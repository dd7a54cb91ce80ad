package dingtalk_test

import (
	"strings"
	"testing"
	"time"

	"guia/source/dingtalk"
)

// The gateway knows permission points and no editions: it asks for one that this tenant cannot grant.
func TestAPermissionOfAHigherEditionIsNotAskedFor(t *testing.T) {
	f := newTenant(t)
	f.fail = func(q request) (int, string) {
		if q.path != "/v1.0/exclusive/fileAuditLogs" {
			return 0, ""
		}
		return 403, `{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","message":"x","requestid":"r","accessdenieddetail":{"requiredScopes":["Custom.OpFileAudit.Read"]}}`
	}
	for edition, want := range map[dingtalk.Edition]string{dingtalk.Standard: "edition", dingtalk.Exclusive: "permission"} {
		s, err := dingtalk.Open(f.client(func(cfg *dingtalk.Config) { cfg.Edition = edition }), "filelog", dingtalk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Pull(t.Context(), ""); err == nil || !strings.Contains(err.Error(), ": "+want+" ") {
			t.Errorf("%s: %v", edition, err)
		}
	}
}

func TestARoundSaysOfWhichTimeItTellsAndWhenTheNextIsDue(t *testing.T) {
	f := newTenant(t)
	f.company()
	s := f.feed("directory", dingtalk.Options{Every: time.Hour})
	p, err := s.Pull(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, whole := s.Period(p.Next); whole || !s.Due(p.Next).IsZero() || !s.Due("").IsZero() || !s.Due("of nobody").IsZero() {
		t.Errorf("in the middle, at %s: a whole round", p.Next)
	}
	for !p.Done {
		if p, err = s.Pull(t.Context(), p.Next); err != nil {
			t.Fatal(err)
		}
	}
	from, until, whole := s.Period(p.Next)
	if !p.From.Equal(from) || !p.Until.Equal(until) {
		t.Errorf("the last page tells of the time from %s until %s", p.From, p.Until)
	}
	if !whole || !until.Equal(now) || !from.Equal(now.AddDate(0, 0, -30)) || !s.Due(p.Next).Equal(now.Add(time.Hour)) {
		t.Errorf("from %s until %s, %t, due %s", from, until, whole, s.Due(p.Next))
	}
}

// That a file is archived is an answer, and DingTalk bills it; being throttled is none.
func TestWhatIsAnsweredIsCounted(t *testing.T) {
	for code, want := range map[string]int{"fileArchived": 1, "Forbidden.AccessDenied.QpsLimitForApi": 0} {
		f := newTenant(t)
		f.fail = func(q request) (int, string) {
			if q.path == "/v1.0/exclusive/fileAuditLogs" {
				return 403, `{"code":"` + code + `","message":"x","requestid":"r"}`
			}
			return 0, ""
		}
		c := f.client(func(*dingtalk.Config) {})
		s, err := dingtalk.Open(c, "filelog", dingtalk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Pull(t.Context(), ""); err == nil {
			t.Errorf("%s is no error", code)
		}
		if u, _ := c.Usage(); u.Spent() != want {
			t.Errorf("%s: %d calls are counted, want %d", code, u.Spent(), want)
		}
	}
}

func TestTheEndOfAPullKeepsExactlyWhatWasSpent(t *testing.T) {
	f := newTenant(t)
	f.company()
	var kept dingtalk.Usage
	c := f.client(func(cfg *dingtalk.Config) {
		cfg.Budget = dingtalk.NewBudget(dingtalk.QuotaOf(dingtalk.Standard), dingtalk.Usage{}, func(u dingtalk.Usage) error { kept = u; return nil }, cfg.Now)
	})
	s, err := dingtalk.Open(c, "directory", dingtalk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for p, err := s.Pull(t.Context(), ""); !p.Done; p, err = s.Pull(t.Context(), p.Next) {
		if err != nil {
			t.Fatal(err)
		}
	}
	spent, _ := c.Usage()
	if kept.Spent() <= spent.Spent() {
		t.Errorf("%d are kept of %d: nothing was kept ahead", kept.Spent(), spent.Spent())
	}
	if err := c.KeepUsage(); err != nil || kept.Spent() != spent.Spent() {
		t.Errorf("%d are kept of %d, %v", kept.Spent(), spent.Spent(), err)
	}
}
