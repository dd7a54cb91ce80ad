package dingtalktest_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"guia/dingtalktest"
)

// TestACompanyHasTheStaffAndTheVolumesOfItsSize founds each company with a history, and says how many of each thing there must be.
func TestACompanyHasTheStaffAndTheVolumesOfItsSize(t *testing.T) {
	for _, x := range []struct {
		size                           string
		seeds                          uint64
		history, staff                 int
		meetings, documents, said, log int // at least
	}{
		{"S", 2, 30, 12, 20, 90, 200, 100},
		{"M", 2, 90, 300, 380, 1_000, 2_000, 3_800},
		{"L", 1, 3, 30_000, 60, 1_000, 300, 900},
	} {
		for seed := range x.seeds {
			tenant := dingtalktest.New(dingtalktest.Company{Seed: seed, Size: x.size}, dingtalktest.Options{Edition: dingtalktest.Exclusive, History: x.history, QPS: -1})
			if n := len(tenant.People()); n != x.staff {
				t.Errorf("%s of seed %d: got %d people, want %d", x.size, seed, n, x.staff)
			}
			for what, n := range map[string][2]int{
				"meetings": {len(tenant.Meetings()), x.meetings}, "documents": {len(tenant.Documents()), x.documents}, "robot messages": {len(tenant.Received()), x.said},
				"rows of the file audit log": {auditRows(start(t, tenant)), x.log},
			} {
				if n[0] < n[1] || n[0] > 2*n[1] {
					t.Errorf("%s of seed %d: got %d %s in %d days, want %d or up to twice as many", x.size, seed, n[0], what, x.history, n[1])
				}
			}
		}
	}
}

func auditRows(c *client) (n int) {
	span := "/v1.0/exclusive/fileAuditLogs?startDate=0&endDate=4000000000000&pageSize=500"
	for next := ""; ; {
		list := c.ok("GET", span+next, nil)["list"].([]any)
		if len(list) == 0 {
			return n
		}
		n += len(list)
		last := list[len(list)-1]
		next = "&nextGmtCreate=" + fmt.Sprint(dig(c.t, last, "gmtCreate")) + "&nextBizId=" + fmt.Sprint(dig(c.t, last, "bizId"))
	}
}

// TestNinetyDaysAreThereInFiveSecondsAnd300MB is the limit of what a test may wait for before it begins. Measured: 0.2 s and 5 MB for M.
func TestNinetyDaysAreThereInFiveSecondsAnd300MB(t *testing.T) {
	began := time.Now()
	tenant := dingtalktest.New(dingtalktest.Company{Size: "M"}, dingtalktest.Options{Edition: dingtalktest.Exclusive, History: 90})
	took := time.Since(began)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if took > 5*time.Second || m.HeapAlloc > 300<<20 {
		t.Errorf("%v and %d MB", took, m.HeapAlloc>>20)
	}
	runtime.KeepAlive(tenant)
}
