package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"guia/dingtalktest"
	"guia/source/dingtalk"
)

// trouble is one way in which the company's DingTalk misbehaves, and what its administrator sees of it.
type trouble struct {
	name  string
	order func(*office)
	see   []string // a command; none: the numbers of a metric are shown
	count string   // that metric
	undo  func(*office)
}

// disorder lets the tenant misbehave until it is told to calm down.
func disorder(kind dingtalktest.Kind, path string, times int) func(*office) {
	return func(o *office) { o.tenant.Order(dingtalktest.Trouble{Kind: kind, Path: path, Times: times}) }
}

func calm(o *office) { o.tenant.Calm() }

// attendancePoint is the permission point that is taken away.
const attendancePoint = "qyapi_get_attendance_data"

func pullNow(feed string) []string {
	return []string{"source", "pull", string(dingtalk.Name), feed, "--now"}
}

func troubles() []trouble {
	probe := []string{"source", "probe", string(dingtalk.Name)}
	return []trouble{
		{"throttle", disorder(dingtalktest.Throttle, "/attendance/", 0), pullNow("attendance"), "", calm},
		{"broken", disorder(dingtalktest.BreakHTML, "/attendance/", 0), pullNow("attendance"), "", calm},
		{
			"revoke", func(o *office) { o.tenant.Revoke(o.tenant.App().Key, attendancePoint) }, pullNow("attendance"), "",
			func(o *office) { o.tenant.Grant(o.tenant.App().Key, attendancePoint) },
		},
		{"page", disorder(dingtalktest.LoopToken, "", 0), pullNow("drive"), "", calm},
		{"edition", func(o *office) { o.tenant.SetEdition(dingtalktest.Exclusive) }, probe, "", func(o *office) { o.tenant.SetEdition(dingtalktest.Standard) }},
		{"drop", func(o *office) { o.tenant.DropStream(o.tenant.App().Key) }, nil, "guia_stream", calm},
		{"duplicate", disorder(dingtalktest.DuplicatePush, "", 5), nil, "guia_pushes_total", calm},
		{"reorder", disorder(dingtalktest.ReorderPush, "", 5), nil, "guia_pushes_total", calm},
		{"quota", func(o *office) { o.tenant.Spend(5000, 3000) }, pullNow("attendance"), "", func(*office) {}},
	}
}

// troubleNames are what --misbehave takes.
func troubleNames() (names []string) {
	for _, t := range troubles() {
		names = append(names, t.name)
	}
	return names
}

// opened is how often the Stream was opened so far.
func (o *office) opened() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.said {
		if l.Msg == "stream open" {
			n++
		}
	}
	return n
}

// afterTrouble is how many deeds are done to see what becomes of what is pushed.
const afterTrouble = 8

// misbehave lets DingTalk misbehave, and shows what the administrator sees.
func (o *office) misbehave(ctx context.Context, name, port string, ended chan int) {
	all := troubles()
	t := all[slices.IndexFunc(all, func(t trouble) bool { return t.name == name })]
	o.tell(o.bold(o.text("demo.trouble." + name)))
	opened := o.opened()
	t.order(o)
	if t.see != nil {
		o.mu.Lock()
		o.print("$ " + o.typed(t.see) + "\n")
		o.mu.Unlock()
		out, said, _ := o.carryOut(ctx, t.see)
		t.undo(o)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.print(out + said)
		return
	}
	if name == "drop" {
		o.until(ctx, ended, func(*logged) bool { return o.opened() > opened })
	}
	o.tenant.Live(ctx, oncePause, afterTrouble, o.deed)
	t.undo(o)
	o.settle(ctx, port, ended)
	numbers, err := o.numbers(ctx, port)
	if err != nil {
		return // it is ending
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.print("$ curl -s " + port + "/metrics | grep ^" + t.count + "\n")
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		if strings.HasPrefix(name, t.count) {
			o.print(fmt.Sprintf("%s %.0f\n", name, numbers[name]))
		}
	}
}
