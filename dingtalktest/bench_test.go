package dingtalktest_test

import (
	"testing"

	"guia/dingtalktest"
)

// BenchmarkNinetyDays founds company M and lets it work for 90 days: what a long test waits for before it begins.
func BenchmarkNinetyDays(b *testing.B) {
	for b.Loop() {
		dingtalktest.New(dingtalktest.Company{Size: "M"}, dingtalktest.Options{Edition: dingtalktest.Exclusive, History: 90})
	}
}

// BenchmarkLargeCompany founds company L with one day of work.
func BenchmarkLargeCompany(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		dingtalktest.New(dingtalktest.Company{Size: "L"}, dingtalktest.Options{Edition: dingtalktest.Exclusive, History: 3})
	}
}
