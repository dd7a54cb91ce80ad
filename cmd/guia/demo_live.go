package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"guia"
	"guia/dingtalktest"
	"guia/durable"
	"guia/source/dingtalk"
)

// How the company is watched.
const (
	livePause = 3 * time.Second       // between two deeds
	oncePause = 60 * time.Millisecond // likewise, with --once
	onceDeeds = 50
	mostSpeed = 1000
	tellEvery = 5 * time.Second        // at most so often it is told what Guia kept
	settles   = 100 * time.Millisecond // how often it is asked whether all has arrived
	patience  = 20 * time.Second       // for what should happen at once
	history   = 3                      // days that the company has worked before
	pageLimit = 3                      // rows: what a company of twelve has would fit on one page otherwise, and nobody would see a page turned
)

// demoFeeds are what the standard edition gives, and the company of the demo turns on.
var demoFeeds = []string{"directory", "reads", "notices", "attendance", "meetings", "drive", "roster", dingtalk.FeedConversations, dingtalk.FeedEvents}

// office is a simulated company at work, and Guia beside it, as somebody sees both who has nothing but Guia's commands, its log and its port.
type office struct {
	*demo
	tenant *dingtalktest.Tenant
	at     dingtalktest.Addresses

	mu     sync.Mutex // also: one line is printed at a time
	part   []byte     // of a line of the log
	said   []logged
	more   chan struct{}      // closed when there is another line
	kept   map[string]float64 // what was told
	missed map[bool]bool      // likewise, since the Stream was opened
	asking http.Client
}

// logged is a line of the log of guia serve, as far as it is shown.
type logged struct {
	Msg    string `json:"msg"`
	Listen string `json:"listen"`
	Feed   string `json:"feed"`
	Why    string `json:"why"`
	Err    string `json:"err"`
	New    int64  `json:"new"`
	Gaps   int64  `json:"gaps"`
	Pulled bool   `json:"pulled"`
	Error  said   `json:"error"` // what it ended with
}

// work opens the company on a port of this machine, connects it, and lets both run.
func (d *demo) work(ctx context.Context) error {
	o := &office{
		demo: d, more: make(chan struct{}), kept: map[string]float64{}, missed: map[bool]bool{}, asking: http.Client{Timeout: patience},
		tenant: dingtalktest.New(dingtalktest.Company{Seed: d.seed}, dingtalktest.Options{Start: time.Now(), History: history, PageLimit: pageLimit}),
	}
	o.tenant.Clock().Run()
	living, stop := context.WithCancel(context.WithoutCancel(ctx)) // Guia ends first
	defer stop()
	ready, ended := make(chan dingtalktest.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- o.tenant.Serve(living, "127.0.0.1:0", func(a dingtalktest.Addresses) { ready <- a })
	}()
	select {
	case o.at = <-ready:
	case err := <-ended:
		return err
	}
	err := o.connect(ctx)
	if err == nil {
		err = o.serve(ctx)
	}
	stop()
	return errors.Join(err, <-ended)
}

// connect connects the company, with the commands that its administrator would type.
func (o *office) connect(ctx context.Context) error {
	app, admin := o.tenant.App(), o.tenant.Person(o.tenant.Cast()["admin"])
	secret := filepath.Join(o.dir, "app-secret.txt")
	if err := durable.WriteFile(secret, []byte(app.Secret+"\n"), 0o600); err != nil {
		return err
	}
	o.title("demo.connect")
	o.print(o.text("demo.tenant", o.tenant.Name(), o.at.API) + "\n")
	err := o.show(ctx, step{"demo.connect", []string{
		"source", "add", string(dingtalk.Name), "--corp", o.tenant.CorpID(), "--app-key", app.Key, "--secret-file", secret, "--entity", o.tenant.Name(),
		"--operator", admin.UserID, "--operator-union", admin.UnionID, "--agent", strconv.FormatInt(app.AgentID, 10), "--robot", app.RobotCode,
		"--api", o.at.API, "--oapi", o.at.API,
	}, 1})
	for i, feed := range demoFeeds {
		if err != nil {
			return err
		}
		on := []string{
			"source", "feed", string(dingtalk.Name), feed, "--purpose", o.text("source.feed." + feed + ".purpose"), "--ground", o.text("source.feed." + feed + ".ground"),
			"--class", feedClass[feed],
		}
		if i == 0 {
			err = o.show(ctx, step{"demo.connect", on, 1})
		} else if _, said, code := o.carryOut(ctx, on); code != codeDone {
			o.print(said)
			err = exit(code)
		}
	}
	if err == nil {
		o.print(o.text("demo.feeds", strings.Join(demoFeeds[1:], ", ")) + "\n")
	}
	return err
}

// serve runs guia serve beside the company.
func (o *office) serve(ctx context.Context) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	args := []string{"serve", "--listen", "127.0.0.1:0"}
	o.print("$ " + o.typed(args) + "\n")
	e := o.env
	e.stdout, e.stderr, e.errTerminal, e.args = io.Discard, o, false, o.words(append(args, "--json"))
	ended := make(chan int, 1)
	go func() { ended <- run(serving, e) }()

	at, up := o.until(ctx, ended, func(l *logged) bool { return l.Msg == "serving" })
	var err error
	if up {
		err = o.watch(ctx, "http://"+at.Listen, ended)
	}
	stop()
	if code := <-ended; code != codeDone {
		return errors.Join(err, exit(code))
	}
	if err != nil {
		return err
	}
	if !o.once {
		o.print("\n" + o.text("demo.stopped", o.relative(o.dir)) + "\n")
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return o.look(ctx)
}

// look shows what the company's life has left behind.
func (o *office) look(ctx context.Context) error {
	for _, st := range []step{
		{"demo.left", []string{"source", "status"}, 15},
		{"demo.left", []string{"search", "佣金", "--limit", "3"}, 4},
		{"demo.left", []string{"check"}, -2},
	} {
		if err := o.show(ctx, st); err != nil {
			return err
		}
	}
	o.print("\n" + o.text("demo.once", o.relative(o.dir)) + "\n")
	return nil
}

// watch tells what the company does and what Guia keeps of it.
func (o *office) watch(ctx context.Context, port string, ended chan int) error {
	asked := !o.once && o.terminal && term.IsTerminal(int(os.Stdin.Fd()))
	o.welcome(port, asked)
	o.until(ctx, ended, func(l *logged) bool { return l.Msg == "stream open" })

	pause, most := livePause, 0
	if o.once {
		pause, most = oncePause, onceDeeds
	}
	pause = time.Duration(float64(pause) / o.speed)
	if o.once {
		o.tenant.Live(ctx, pause, most, o.deed)
		o.settle(ctx, port, ended)
		if len(o.kept) == 0 && ctx.Err() == nil {
			return errors.New("guia serve kept nothing of what the company did")
		}
		for _, kind := range o.troubles {
			o.misbehave(ctx, kind, port, ended)
		}
		return nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	living, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { o.tenant.Live(living, pause, most, o.deed) })
	typed := make(chan string)
	if asked {
		go o.listen(living, typed)
	}
	wanted := slices.Clone(o.troubles)
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case code := <-ended:
			ended <- code
			return nil
		case kind := <-typed:
			if slices.Contains(troubleNames(), kind) {
				o.misbehave(living, kind, port, ended)
			} else if kind != "" {
				o.tell(o.text("demo.type", strings.Join(troubleNames(), ", ")))
			}
		case <-tick.C:
			o.arrived(living, port)
			if len(wanted) > 0 {
				o.misbehave(living, wanted[0], port, ended)
				wanted = wanted[1:]
			}
		}
	}
}

// welcome says where Guia answers, and what to try.
func (o *office) welcome(port string, asked bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.print(o.text("demo.addresses", port) + "\n")
	o.title("demo.next")
	salesman := o.tenant.Person(o.tenant.Cast()["salesman"])
	for _, args := range [][]string{
		{"search", "佣金"},
		{"log", "-n", "10"},
		{"source", "status"},
		{"source", "coverage"},
		{"people", salesman.Name},
		{"case", "new", o.text("demo.case_name")},
	} {
		o.print("  " + o.typed(args) + "\n")
	}
	if asked {
		o.print(o.text("demo.type", strings.Join(troubleNames(), ", ")) + "\n")
	}
	o.title(map[bool]string{true: "demo.live_once", false: "demo.live"}[o.once])
}

// listen hands on the lines that are typed. It ends with the program: nothing wakes who waits for a terminal.
func (o *office) listen(ctx context.Context, typed chan<- string) {
	for {
		line, err := readLine(os.Stdin)
		if err != nil {
			return
		}
		select {
		case typed <- line:
		case <-ctx.Done():
			return
		}
	}
}

// deed tells what somebody did.
func (o *office) deed(d dingtalktest.Deed) {
	o.tell(o.text("demo.deed."+d.Kind, plain(d.Who), plain(d.What)))
}

// tell prints a line with the time.
func (o *office) tell(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tellLocked(line)
}

func (o *office) tellLocked(line string) {
	o.print(time.Now().In(guia.Zone).Format(time.TimeOnly) + "  " + line + "\n")
}

// Write takes the log of guia serve, and tells what concerns somebody who watches.
func (o *office) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.part = append(o.part, b...)
	for {
		line, rest, whole := bytes.Cut(o.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		var l logged
		if json.Unmarshal(line, &l) != nil {
			o.tellLocked(plain(string(line))) // what it is that the log should not hold is seen best as it is
		}
		o.part = rest
		o.said = append(o.said, l)
		close(o.more)
		o.more = make(chan struct{})
		if told := o.news(&l); told != "" {
			o.tellLocked(o.bold("Guia") + "  " + told)
		}
	}
}

// news is what a line of the log says to somebody who watches; most say nothing.
func (o *office) news(l *logged) string {
	switch l.Msg {
	case "":
		return l.Error.Message
	case "round":
		if l.New+l.Gaps > 0 {
			return o.text("demo.news.round", l.Feed, l.New, l.Gaps)
		}
	case "deferred":
		return o.text("demo.news.deferred", l.Feed, o.text("source.why."+l.Why))
	case "stream open":
		o.missed = map[bool]bool{}
		return o.text("demo.news.open")
	case "stream lost":
		return o.text("demo.news.lost")
	case "missing": // one line a feed is too many for a look
		if told := o.missed[l.Pulled]; told {
			return ""
		}
		o.missed[l.Pulled] = true
		return o.text(map[bool]string{true: "demo.news.missing", false: "demo.news.missing_gap"}[l.Pulled])
	case "trouble":
		return cmp.Or(l.Feed, "-") + ": " + l.Err
	}
	return ""
}

// until waits for a line of the log, which may have been said already. It waits no longer than it should take.
func (o *office) until(ctx context.Context, ended chan int, fits func(*logged) bool) (logged, bool) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for at := 0; ; at++ {
		o.mu.Lock()
		more, here := o.more, at < len(o.said)
		var l logged
		if here {
			l = o.said[at]
		}
		o.mu.Unlock()
		if here && fits(&l) {
			return l, true
		}
		if here {
			continue
		}
		at--
		select {
		case <-more:
		case code := <-ended:
			ended <- code
			return logged{}, false
		case <-ctx.Done():
			return logged{}, false
		case <-late.C:
			return logged{}, false
		}
	}
}

// numbers reads the port of guia serve.
func (o *office) numbers(ctx context.Context, port string) (map[string]float64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, port+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	r, err := o.asking.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			all[line[:at]], _ = strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64) // a page of our own
		}
	}
	return all, nil
}

// sum adds up the samples of a metric.
func sum(all map[string]float64, metric string) (n float64) {
	for name, value := range all {
		if name == metric || strings.HasPrefix(name, metric+"{") {
			n += value
		}
	}
	return n
}

// arrived tells what Guia has kept since this was told last, and what it has spent.
func (o *office) arrived(ctx context.Context, port string) {
	all, err := o.numbers(ctx, port)
	if err != nil {
		return // it is ending
	}
	var news []string
	now := map[string]float64{}
	for name, value := range all {
		if feed := label(name, "guia_records_kept_total", "feed"); feed != "" {
			now[feed] += value
		}
	}
	for _, feed := range slices.Sorted(maps.Keys(now)) {
		if n := now[feed] - o.kept[feed]; n > 0 {
			news = append(news, fmt.Sprintf("%s %.0f", feed, n))
		}
	}
	if o.kept = now; len(news) == 0 {
		return
	}
	calls, deliveries := sum(all, "guia_source_calls"), sum(all, "guia_source_deliveries")
	o.tell(o.bold("Guia") + "  " + o.text("demo.kept", strings.Join(news, ", "), o.number(int64(all["guia_events"])), o.number(int64(calls)),
		o.number(int64(calls+sum(all, "guia_source_calls_left"))), o.number(int64(deliveries)),
		o.number(int64(deliveries+sum(all, "guia_source_deliveries_left")))))
}

// label is the value of a label of a sample; empty when it is of another metric.
func label(sample, metric, name string) string {
	labels, is := strings.CutPrefix(sample, metric+"{")
	if _, value, has := strings.Cut(labels, name+`="`); is && has {
		value, _, _ = strings.Cut(value, `"`)
		return value
	}
	return ""
}

// settle waits until each feed that is pulled was read or refused, and nothing more arrives, and tells what has come.
func (o *office) settle(ctx context.Context, port string, ended chan int) {
	for _, feed := range demoFeeds {
		if slices.Contains(dingtalk.Feeds(), feed) {
			o.until(ctx, ended, func(l *logged) bool {
				return l.Feed == feed && (l.Msg == "round" || l.Msg == "deferred" || l.Msg == "trouble" || l.Msg == "not due")
			})
		}
	}
	last, still := -1.0, 0
	for deadline := time.Now().Add(patience); still < 4 && time.Now().Before(deadline) && ctx.Err() == nil; {
		if all, err := o.numbers(ctx, port); err == nil && all["guia_events"] == last && all["guia_index_behind_events"] == 0 {
			still++
		} else {
			last, still = all["guia_events"], 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(settles):
		}
	}
	o.arrived(ctx, port)
}
