package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"guia/httpd"
	"guia/source/dingtalk"
)

// tally names a number that is added up as long as the program runs: what, and the values of its labels.
type tally [4]string

// tallies are the numbers that stand nowhere else.
type tallies struct {
	mu sync.Mutex
	n  map[tally]int64
}

func (t *tallies) add(what tally, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[tally]int64{}
	}
	t.n[what] += n
}

// samples are the tallies of one kind with labels of these names.
func (t *tallies) samples(kind string, names ...string) (out []httpd.Sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, what := range slices.SortedFunc(maps.Keys(t.n), func(a, b tally) int { return slices.Compare(a[:], b[:]) }) {
		if what[0] != kind {
			continue
		}
		s := httpd.Sample{Value: float64(t.n[what])}
		for i, name := range names {
			s.Labels = append(s.Labels, name, what[i+1])
		}
		out = append(out, s)
	}
	return out
}

// metrics are the numbers of this moment. Labels are names of connections, feeds, jobs and kinds: nothing of the company's.
func (k *keeper) metrics(ctx context.Context) ([]httpd.Metric, error) {
	behind, err := k.behind()
	following := 1.0
	if err != nil {
		following = 0
	}
	one := func(v float64) []httpd.Sample { return []httpd.Sample{{Value: v}} }
	all := []httpd.Metric{
		{Name: "guia_events", Kind: "gauge", Help: "Events in the ledger.", Samples: one(float64(k.Ledger.Size()))},
		{Name: "guia_index_behind_events", Kind: "gauge", Help: "Events that the index has not seen yet.", Samples: one(float64(behind))},
		{Name: "guia_index_running", Kind: "gauge", Help: "1 when the index follows the ledger.", Samples: one(following)},
		{Name: "guia_records_kept_total", Kind: "counter", Help: "Records stored since the start.", Samples: k.tallies.samples("kept", "connection", "feed", "channel")},
		{Name: "guia_records_known_total", Kind: "counter", Help: "Records that were stored before and came again, since the start.", Samples: k.tallies.samples("known", "connection", "feed", "channel")},
		{Name: "guia_gaps_total", Kind: "counter", Help: "Parts of a source that could not be read, since the start.", Samples: k.tallies.samples("gaps", "connection", "feed", "channel")},
		{Name: "guia_errors_total", Kind: "counter", Help: "What went wrong since the start, by kind.", Samples: k.tallies.samples("errors", "connection", "kind")},
	}
	spent, err := k.spending(ctx)
	return slices.Concat(all, k.pushing(), spent), err
}

// pushing are the numbers of what is pushed, since the connection was last changed.
func (k *keeper) pushing() []httpd.Metric {
	open := httpd.Metric{Name: "guia_stream_connected", Kind: "gauge", Help: "1 when the Stream is connected."}
	opened := httpd.Metric{Name: "guia_stream_opened_total", Kind: "counter", Help: "Connections of the Stream so far."}
	since := httpd.Metric{Name: "guia_stream_whole_until_timestamp_seconds", Kind: "gauge", Help: "Up to when nothing that was pushed is missing without having been made up for."}
	pushes := httpd.Metric{Name: "guia_pushes_total", Kind: "counter", Help: "Deliveries, by what became of them; delivered is all."}
	for _, w := range k.byName() {
		var n dingtalk.PushCounts
		if s := w.stream.Load(); s != nil {
			state := s.State()
			n = state.Counts
			up := 0.0
			if state.Connected {
				up = 1
			}
			open.Samples = append(open.Samples, httpd.Sample{Value: up, Labels: []string{"connection", w.c.Name}})
			opened.Samples = append(opened.Samples, httpd.Sample{Value: float64(state.Opened), Labels: []string{"connection", w.c.Name}})
			if !state.Since.IsZero() {
				since.Samples = append(since.Samples, httpd.Sample{Value: float64(state.Since.Unix()), Labels: []string{"connection", w.c.Name}})
			}
		} else if h := w.callback.Load(); h != nil {
			n = h.Counts()
		} else {
			continue
		}
		for _, one := range []struct {
			what string
			n    int64
		}{
			{"delivered", n.Delivered}, {"kept", n.Kept}, {"again", n.Again}, {"off", n.Off}, {"foreign", n.Foreign}, {"odd", n.Odd}, {"empty", n.Empty}, {"refused", n.Refused},
		} {
			pushes.Samples = append(pushes.Samples, httpd.Sample{Value: float64(one.n), Labels: []string{"connection", w.c.Name, "what", one.what}})
		}
	}
	return []httpd.Metric{open, opened, since, pushes}
}

func (k *keeper) byName() []*worker {
	workers := k.all()
	slices.SortFunc(workers, func(a, b *worker) int { return cmp.Compare(a.c.Name, b.c.Name) })
	return workers
}

// spending are the month's numbers of each connection, as guia source status shows them.
func (k *keeper) spending(ctx context.Context) ([]httpd.Metric, error) {
	calls := httpd.Metric{Name: "guia_source_calls", Kind: "gauge", Help: "Calls of this month, by job; those of other programs are the job other."}
	callsLeft := httpd.Metric{Name: "guia_source_calls_left", Kind: "gauge", Help: "Calls that are left of this month's quota."}
	deliveries := httpd.Metric{Name: "guia_source_deliveries", Kind: "gauge", Help: "Deliveries of this month that the quota counts, by job."}
	deliveriesLeft := httpd.Metric{Name: "guia_source_deliveries_left", Kind: "gauge", Help: "Deliveries that are left of this month's quota."}
	deferred := httpd.Metric{Name: "guia_source_deferred", Kind: "gauge", Help: "Calls of this month that were not made, by job and reason."}
	success := httpd.Metric{Name: "guia_source_last_success_timestamp_seconds", Kind: "gauge", Help: "Up to when the last whole round of a feed tells."}
	add := func(m *httpd.Metric, v float64, labels ...string) {
		m.Samples = append(m.Samples, httpd.Sample{Value: v, Labels: labels})
	}
	for _, w := range k.byName() {
		line, err := k.statusOf(ctx, &w.c)
		if err != nil {
			return nil, err
		}
		add(&callsLeft, float64(max(0, line.CallsOf-line.Calls)), "connection", w.c.Name)
		add(&deliveriesLeft, float64(max(0, line.DeliverOf-line.Deliveries)), "connection", w.c.Name)
		for _, j := range line.Jobs {
			add(&calls, float64(j.Calls), "connection", w.c.Name, "job", j.Job)
			add(&deliveries, float64(j.Deliveries), "connection", w.c.Name, "job", j.Job)
			if j.Deferred > 0 {
				add(&deferred, float64(j.Deferred), "connection", w.c.Name, "job", j.Job, "why", j.Why)
			}
		}
		for _, f := range line.Feeds {
			if until, err := time.Parse(time.RFC3339, f.Until); err == nil {
				add(&success, float64(until.Unix()), "connection", w.c.Name, "feed", f.Feed)
			}
		}
	}
	return []httpd.Metric{calls, callsLeft, deliveries, deliveriesLeft, deferred, success}, nil
}
