package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"guia"
	"guia/db"
	"guia/dingtalktest"
)

// serving is the real program, running as guia serve.
type serving struct {
	t    *testing.T
	cmd  *exec.Cmd
	at   string // http://host:port
	done chan struct{}
	err  error // what Wait said

	mu   sync.Mutex
	said []string      // what it has logged
	more chan struct{} // closed when there is another line
}

// serve starts the program and returns when it answers.
func (c *simulated) serve(args ...string) *serving {
	c.t.Helper()
	s := &serving{t: c.t, cmd: c.command(append([]string{"serve", "--json", "--listen", "127.0.0.1:0"}, args...)...), done: make(chan struct{}), more: make(chan struct{})}
	out, err := s.cmd.StderrPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	var printed bytes.Buffer
	s.cmd.Stdout = &printed
	if err := s.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			s.mu.Lock()
			s.said = append(s.said, lines.Text())
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
		s.err = s.cmd.Wait()
	}()
	c.t.Cleanup(func() {
		s.kill()
		c.said.WriteString(s.log() + printed.String())
		c.keepsItsSecrets()
		for _, name := range c.Canaries() {
			if strings.Contains(s.log(), name) {
				c.t.Errorf("%s stands in the log", name)
			}
		}
	})
	var line struct {
		Listen string `json:"listen"`
	}
	if err := json.Unmarshal([]byte(s.until(`"msg":"serving"`)), &line); err != nil {
		c.t.Fatal(err)
	}
	s.at = "http://" + line.Listen
	return s
}

func (s *serving) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n") + "\n"
}

// until waits for a line of the log with all these words, and returns it.
func (s *serving) until(words ...string) string {
	s.t.Helper()
	limit := time.After(30 * time.Second)
	for i := 0; ; {
		s.mu.Lock()
		lines, more := s.said[i:], s.more
		i = len(s.said)
		s.mu.Unlock()
		for _, line := range lines {
			missing := false
			for _, word := range words {
				missing = missing || !strings.Contains(line, word)
			}
			if !missing {
				return line
			}
		}
		select {
		case <-more:
		case <-s.done:
			s.mu.Lock()
			n := len(s.said)
			s.mu.Unlock()
			if n == i {
				s.t.Fatalf("it ended and never said %q: %v\n%s", words, s.err, s.log())
			}
		case <-limit:
			s.t.Fatalf("it never said %q\n%s", words, s.log())
		}
	}
}

// kill ends the program without a word.
func (s *serving) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.done
}

// stop asks the program to end, and returns its exit code.
func (s *serving) stop() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("it does not end\n%s", s.log())
	}
	if e, ok := errors.AsType[*exec.ExitError](s.err); ok {
		return e.ExitCode()
	}
	return 0
}

// get asks the program for a page.
func (s *serving) get(path string) (code int, page string) {
	s.t.Helper()
	return s.getAs("", path)
}

// getAs asks the program for a page under another name of the machine.
func (s *serving) getAs(host, path string) (code int, page string) {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.at+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	q.Host = host
	r, err := (&http.Client{}).Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// metric is the value of a sample, by its whole name with labels; empty when there is none.
func (s *serving) metric(sample string) string {
	s.t.Helper()
	_, page := s.get("/metrics")
	for line := range strings.Lines(page) {
		if value, is := strings.CutPrefix(line, sample+" "); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// rounds waits until a round of each feed is done.
func (s *serving) rounds(feeds ...string) {
	s.t.Helper()
	for _, feed := range feeds {
		s.until(`"msg":"round"`, `"feed":"`+feed+`"`)
	}
}

func TestServePullsWhatIsDueAndAnswersMeanwhile(t *testing.T) {
	c := simulate(t, dingtalktest.Options{History: 2})
	c.on("directory", "reads", "attendance")
	s := c.serve()
	s.rounds("reads", "directory", "attendance")
	if first := strings.Index(s.log(), `"feed":"reads"`); first < 0 || first > strings.Index(s.log(), `"feed":"directory"`) {
		t.Errorf("what cannot be read later was not read first:\n%s", s.log())
	}
	if code, page := s.get("/healthz"); code != http.StatusOK || page != "ok\n" {
		t.Errorf("healthz: %d %s", code, page)
	}
	if code, page := s.get("/readyz"); code != http.StatusOK || page != "ok directory\nok writer\nok index\nok clock\n" {
		t.Errorf("readyz: %d %s", code, page)
	}
	if n := s.metric(`guia_records_kept_total{connection="dingtalk",feed="directory",channel="api"}`); n == "" || n == "0" {
		t.Errorf("%q records of the directory", n)
	}
	if n := s.metric(`guia_source_last_success_timestamp_seconds{connection="dingtalk",feed="attendance"}`); n == "" {
		t.Error("no time of the last success")
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid)); err == nil { // on Linux
		var kilobytes int
		_, after, _ := strings.Cut(string(status), "VmRSS:")
		if _, err := fmt.Sscan(after, &kilobytes); err != nil || kilobytes > 100_000 {
			t.Errorf("it takes %d kB: %v", kilobytes, err)
		}
	}
	// Other commands are carried out meanwhile, also those that change something.
	boss := c.Cast()["admin"]
	if out := c.must("serve", "--plan", "--json"); strings.Count(out, `"rounds":1,`) != 2 || strings.Count(out, `"rounds":24,`) != 1 || strings.Count(out, `"fits":true`) != 3 {
		t.Errorf("the plan of a day has other rounds than one of the directory, one of the attendance, and 24 of the readers: %s", out)
	}
	for _, args := range [][]string{
		{"search", "test"},
		{"log"},
		{"show", "1"},
		{"source", "status"},
		{"source", "plan", "dingtalk"},
		{"source", "pull"},
		{"case", "new", "Dispute", "--reason", "test"},
		{"check"},
		{"key", "status"},
		{"people", boss},
		{"source", "list"},
	} {
		c.must(args...)
	}
	if code, _, errOut := c.run("source", "feed", "dingtalk", "meetings", "--purpose", "test", "--ground", "test", "--class", "staff"); code != codeDone {
		t.Error(errOut)
	}
	s.rounds("meetings") // it was turned on while the program runs
	if code := s.stop(); code != codeDone {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
	for key, n := range c.records() {
		if n != 1 {
			t.Errorf("%d times: %s", n, key)
		}
	}
	again, requests := c.serve(), len(c.Requests())
	for _, feed := range []string{"directory", "reads", "attendance", "meetings"} {
		again.until(`"msg":"not due"`, `"feed":"`+feed+`"`)
	}
	if len(c.Requests()) != requests {
		t.Error("what is not due was asked for")
	}
	if code := again.stop(); code != codeDone || strings.Contains(again.log(), `"msg":"round"`) {
		t.Errorf("what is not due was read again: %d\n%s", code, again.log())
	}
}

// becomes waits until a sample has a value.
func (s *serving) becomes(sample, value string) {
	s.t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; {
		now := s.metric(sample)
		if now == value {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%s is %q and never %s\n%s", sample, now, value, s.log())
		}
	}
}

func kept(feed, channel string) string {
	return `guia_records_kept_total{connection="dingtalk",feed="` + feed + `",channel="` + channel + `"}`
}

// onceEach fails for every record that is stored twice, and returns how many there are whose keys begin so.
func (c *simulated) onceEach(prefix string) (n int) {
	c.t.Helper()
	for key, times := range c.records() {
		if times != 1 {
			c.t.Errorf("%d times: %s", times, key)
		}
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

func TestWhatIsPushedIsKeptAndWhatWasLostIsMadeUpFor(t *testing.T) {
	c := simulate(t, dingtalktest.Options{})
	c.on("conversations", "directory")
	s := c.serve()
	s.rounds("directory")
	s.until(`"msg":"stream open"`)
	boss := c.Cast()["admin"]
	c.Say(boss, "", "請備份合同")
	s.becomes(kept("conversations", "push"), "1")
	if out := c.must("search", "合同", "--json"); !strings.Contains(out, "message.sent") {
		t.Errorf("what was said is not found: %s", out)
	}
	if out := c.must("source", "coverage", "--json"); !strings.Contains(out, `"channel":"push","grade":"A"`) || strings.Contains(out, `"name":""`) {
		t.Errorf("the coverage does not say that it was pushed, or what it was: %s", out)
	}
	var status statusLine
	if err := json.Unmarshal([]byte(c.must("source", "status", "--json")), &status); err != nil || status.Deliveries != 1 {
		t.Errorf("%d deliveries are counted: %v", status.Deliveries, err)
	}
	c.DropStream(c.App().Key)
	s.until(`"msg":"missing"`, `"feed":"directory"`, `"pulled":true`)
	s.until(`"msg":"round"`, `"feed":"directory"`, `"made_up":true`)
	s.until(`"msg":"stream open"`, `"opened":2`)
	c.Say(boss, "", "第二個備份")
	s.becomes(kept("conversations", "push"), "3") // the gap is one
	if err := json.Unmarshal([]byte(c.must("source", "status", "--json")), &status); err != nil || status.Deliveries != c.Usage().Deliveries || status.Calls < c.Usage().Calls {
		t.Errorf("%d calls and %d deliveries are counted here, there %+v: %v", status.Calls, status.Deliveries, c.Usage(), err)
	}
	calls, deliveries := 0, 0
	for _, j := range status.Jobs {
		calls, deliveries = calls+j.Calls, deliveries+j.Deliveries
	}
	if calls != status.Calls || deliveries != status.Deliveries {
		t.Errorf("the jobs have spent %d calls and %d deliveries, all together %d and %d", calls, deliveries, status.Calls, status.Deliveries)
	}
	_, page := s.get("/metrics")
	for _, private := range append(c.Canaries(), "Company", "合同", boss) {
		if strings.Contains(page, private) {
			t.Errorf("%s stands in the metrics", private)
		}
	}
	// A fact of the loss for what no call makes up for.
	if out := c.must("log", "--type", "source.gap", "--content", "--json"); strings.Count(out, "messages to the robot are lost") != 1 {
		t.Errorf("the gap is not told once: %s", out)
	}
	if code := s.stop(); code != codeDone {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
	if n := c.onceEach("gap/stream/"); n != 1 {
		t.Errorf("%d gaps", n)
	}
}

func TestAKilledServerLosesNothingAndKeepsNothingTwice(t *testing.T) {
	c := simulate(t, dingtalktest.Options{})
	c.on("directory", "events")
	hired := map[string]bool{}
	for range 2 {
		s := c.serve()
		s.until(`"msg":"stream open"`)
		for range 2 {
			hired[c.Join(1)] = true
		}
		s.kill() // somewhere between the frame and its acknowledgement, or in a round
	}
	s := c.serve()
	s.until(`"msg":"stream open"`)
	for range 3 {
		c.Clock().Advance(time.Minute) // what was not acknowledged is pushed again
	}
	c.Emit("bpms_instance_change", map[string]any{"processInstanceId": "p1", "type": "start"})
	s.becomes(kept("events", "push"), "2") // it, and the gap of the time between the runs
	s.until(`"msg":"round"`, `"made_up":true`)
	if code := s.stop(); code != codeDone {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
	c.onceEach("")
	for id := range hired {
		if out := c.must("people", id, "--json"); !strings.Contains(out, id) {
			t.Errorf("%s was hired while the program was killed, and is not known", id)
		}
	}
	c.must("check")
}

func TestAStoppedPullGoesOnAtTheNextStart(t *testing.T) {
	c := simulate(t, dingtalktest.Options{History: 1})
	feeds := []string{"directory", "meetings"}
	c.on(feeds...)
	at := len(c.Requests()) + 9
	s := c.serve()
	for len(c.Requests()) < at {
		runtime.Gosched()
	}
	if code := s.stop(); code != codeDone || !strings.Contains(s.log(), `"msg":"stopped"`) || strings.Contains(s.log(), `"msg":"trouble"`) {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
	if !strings.Contains(c.must("source", "status", "--json"), `"open":true`) {
		t.Error("no round was stopped in the middle")
	}
	s = c.serve()
	for _, feed := range feeds { // some are done already
		s.until(`"feed":"` + feed + `"`)
	}
	s.stop()
	whole := c.another()
	whole.on(feeds...)
	if code, _, errOut := whole.pull(); code != codeDone {
		t.Fatal(errOut)
	}
	if want, got := whole.records(), c.records(); !maps.Equal(got, want) {
		t.Errorf("%d records, wanted %d", len(got), len(want))
	}
}

func TestPostsOfDingTalkAreKeptWhereTheStreamCannotBe(t *testing.T) {
	c := simulate(t, dingtalktest.Options{})
	c.on("events")
	const token, key = "tokenxxxx", "o1w0aum42yaptlz8alnhwikjd3jenzt9cb9wmzptgus"
	if err := os.WriteFile(filepath.Join(c.root, "posts.txt"), []byte(token+"\n"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must("source", "add", "dingtalk", "--push", "callback", "--callback-file", "posts.txt")
	s := c.serve()
	s.until(`"msg":"callback"`)
	if err := c.SetCallback(c.App().Key, s.at+"/dingtalk/dingtalk", token, key); err != nil {
		t.Fatal(err)
	}
	c.Emit("bpms_instance_change", map[string]any{"processInstanceId": "p1", "type": "start"})
	s.becomes(kept("events", "push"), "1")
	if code, _ := s.get("/dingtalk/other"); code != http.StatusNotFound {
		t.Errorf("a connection that does not exist answers %d", code)
	}
	// A proxy hands on posts under the name by which DingTalk knows us, and under that name nothing else is answered.
	for path, want := range map[string]int{"/dingtalk/dingtalk": http.StatusMethodNotAllowed, "/metrics": http.StatusMisdirectedRequest, "/readyz": http.StatusMisdirectedRequest} {
		if code, _ := s.getAs("guia.example.com", path); code != want {
			t.Errorf("%s as guia.example.com: %d", path, code)
		}
	}
	if code := s.stop(); code != codeDone {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
	if n := c.onceEach("gap/stream/"); n != 0 {
		t.Errorf("%d gaps before anything was missed", n)
	}
	s = c.serve()
	s.until(`"msg":"missing"`)
	s.becomes(kept("events", "push"), "1") // while the program was stopped, nobody answered
	s.stop()
	if n := c.onceEach("gap/stream/"); n != 1 {
		t.Errorf("%d gaps", n)
	}
	if strings.Contains(c.must("source", "list", "--json")+s.log(), key) {
		t.Error("the key was shown")
	}
}

// refuseSeen lets the running program's database refuse what it has never seen, or no longer.
func (c *simulated) refuseSeen(refuse bool) {
	c.t.Helper()
	ctx := c.t.Context()
	d, err := db.Open(ctx, c.path("guia.db"), db.Options{Durability: db.Durable, Forgetful: true, Migrations: db.Main()})
	if err != nil {
		c.t.Fatal(err)
	}
	query := "DROP TRIGGER refuse"
	if refuse {
		query = "CREATE TRIGGER refuse BEFORE INSERT ON intake_seen BEGIN SELECT RAISE(ABORT, 'no'); END"
	}
	err = d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(query)
		return err
	})
	if err = errors.Join(err, d.Close()); err != nil {
		c.t.Fatal(err)
	}
}

func TestAPostThatCannotBeKeptIsToldAndIsALoss(t *testing.T) {
	c := simulate(t, dingtalktest.Options{})
	c.on("events")
	const token, key = "tokenxxxx", "o1w0aum42yaptlz8alnhwikjd3jenzt9cb9wmzptgus"
	if err := os.WriteFile(filepath.Join(c.root, "posts.txt"), []byte(token+"\n"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must("source", "add", "dingtalk", "--push", "callback", "--callback-file", "posts.txt")
	s := c.serve()
	s.until(`"msg":"callback"`)
	if err := c.SetCallback(c.App().Key, s.at+"/dingtalk/dingtalk", token, key); err != nil {
		t.Fatal(err)
	}
	c.refuseSeen(true)
	c.Emit("bpms_instance_change", map[string]any{"processInstanceId": "p1", "type": "start"})
	var failed, missing struct {
		Time, From time.Time
		Kind       string
	}
	if err := json.Unmarshal([]byte(s.until(`"msg":"trouble"`, `"feed":"stream"`)), &failed); err != nil {
		t.Fatal(err)
	}
	if n := s.metric(`guia_errors_total{connection="dingtalk",kind="` + failed.Kind + `"}`); n != "1" {
		t.Errorf("%q errors of kind %q", n, failed.Kind)
	}
	c.refuseSeen(false)
	if err := json.Unmarshal([]byte(s.until(`"msg":"missing"`)), &missing); err != nil || !missing.From.Before(failed.Time) {
		t.Errorf("missing from %s on, and it failed at %s: %v", missing.From, failed.Time, err)
	}
	s.becomes(kept("events", "push"), "1") // from when on nobody could keep anything
	c.Clock().Advance(10 * time.Second)
	s.becomes(kept("events", "push"), "2") // DingTalk posts it again
	if code := s.stop(); code != codeDone {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
	if n := c.onceEach("gap/stream/"); n != 1 {
		t.Errorf("%d gaps", n)
	}
}

func TestWhatServeIsRefusedIsToldAndTheRestGoesOn(t *testing.T) {
	c := simulate(t, dingtalktest.Options{})
	c.on("attendance", "meetings", "drive", "roster")
	c.Revoke(c.App().Key, "qyapi_get_attendance_data")
	c.Spend(5_000, 0) // what costs nothing is read all the same
	if err := os.WriteFile(filepath.Join(c.root, "other.txt"), []byte("another-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := c.serve()
	s.until(`"msg":"trouble"`, `"feed":"attendance"`, `"kind":"permission"`, `"key":"dingtalk.permission"`, "qyapi_get_attendance_data")
	s.until(`"msg":"round"`, `"feed":"roster"`)
	s.until(`"msg":"trouble"`, `"feed":"meetings"`, `"key":"dingtalk.quota"`)
	s.until(`"msg":"deferred"`, `"feed":"drive"`, `"why":"spent"`)
	s.becomes(`guia_errors_total{connection="dingtalk",kind="permission"}`, "1")
	s.becomes(`guia_source_calls_left{connection="dingtalk"}`, "0")
	if n := s.metric(`guia_source_deferred{connection="dingtalk",job="drive",why="spent"}`); n == "" {
		t.Error("no number says that something waits")
	}
	c.must("source", "add", "dingtalk", "--secret-file", "other.txt") // what a running program goes by can be changed
	s.until(`"msg":"trouble"`, `"kind":"credentials"`)
	if code := s.stop(); code != codeDone {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
}

func TestServeIsNoGuestOfAnotherCommand(t *testing.T) {
	p := newProgram(env{getenv: func(string) string { return "" }})
	nothing := func(context.Context, *session) error { return nil }
	p.holder = &holder{}
	if err := p.reside(t.Context(), nothing); !errors.Is(err, exit(codeLater)) {
		t.Errorf("inside a command that ends: %v", err)
	}
	p.holder.resident = true
	if err := p.reside(t.Context(), nothing); guia.KindOf(err) != guia.Held {
		t.Errorf("inside the running program: %v", err)
	}
}

// TestSoakAServerThatIsKilledAgainAndAgain kills the program at moments that nobody chose, while events are pushed and feeds pulled.
func TestSoakAServerThatIsKilledAgainAndAgain(t *testing.T) {
	if os.Getenv("GUIA_SOAK") != "1" {
		t.Skip("GUIA_SOAK is not set: killing the program 30 times takes a minute; twice is always done")
	}
	c := simulate(t, dingtalktest.Options{History: 5})
	c.on("directory", "attendance", "meetings", "events")
	hired := map[string]bool{}
	for n := range 30 {
		s := c.serve()
		at := len(c.Requests()) + n%7
		for len(c.Requests()) < at {
			runtime.Gosched()
		}
		if n%2 == 0 {
			s.until(`"msg":"stream open"`)
		}
		hired[c.Join(1)] = true
		s.kill()
		c.Clock().Advance(time.Second)
	}
	s := c.serve()
	s.until(`"msg":"stream open"`)
	c.Clock().Advance(time.Minute)
	s.until(`"feed":"directory"`, `"made_up":true`)
	for _, feed := range []string{"attendance", "meetings"} {
		s.until(`"feed":"` + feed + `"`)
	}
	if code := s.stop(); code != codeDone {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
	c.onceEach("")
	for id := range hired {
		if out := c.must("people", id, "--json"); !strings.Contains(out, id) {
			t.Errorf("%s is not known", id)
		}
	}
}

// The table of metrics and the program name the same ones.
func TestMetricsAreExplained(t *testing.T) {
	doc, err := os.ReadFile("../../docs/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("serve_metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`guia_[a-z_]+`)
	sorted := func(b []byte) []string {
		all := names.FindAllString(string(b), -1)
		slices.Sort(all)
		return slices.Compact(all)
	}
	if told, there := sorted(doc), sorted(program); !slices.Equal(told, there) || len(there) < 10 {
		t.Errorf("docs/serve.md explains %q, the program has %q", told, there)
	}
}
