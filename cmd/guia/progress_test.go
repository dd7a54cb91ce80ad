package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"guia/lang"
)

// TestProgressCountsItsOwnWork: what an interrupted command had done before says nothing about how fast this one is.
func TestProgressCountsItsOwnWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgram(env{stderr: &out, getenv: func(string) string { return "" }})
		g := p.begin("import.progress", true)
		const total = 1000 << 20
		g.at(800<<20, total, "") // goes on where it was
		for i := int64(1); i <= 10; i++ {
			<-time.After(10 * time.Second)
			g.at((800+i)<<20, total, "")
		}
		g.end()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, "81%") || !strings.Contains(last, "~31m40s") { // 190 MiB at 6 MiB a minute
			t.Errorf("the last line is %q", last)
		}
	})
}

func TestNumbersAreWrittenAsPeopleReadThem(t *testing.T) {
	for l, want := range map[lang.Language][3]string{
		lang.English: {"12,345", "1.5 KiB", "0.3"}, lang.Portuguese: {"12\u202f345", "1,5 KiB", "0,3"}, lang.TraditionalChinese: {"12,345", "1.5 KiB", "0.3"},
	} {
		p := &program{language: l}
		if got := [3]string{p.number(12345), p.size(1536), p.decimal(0.26)}; got != want {
			t.Errorf("%s: %q, want %q", l, got, want)
		}
	}
}
