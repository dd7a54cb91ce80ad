package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/dingtalktest"
	"guia/directory"
	"guia/guiatest"
	"guia/lang"
)

// simulated is a simulated tenant on real ports, and the real program that is connected to it.
type simulated struct {
	ownDirectory
	*dingtalktest.Tenant
	at    dingtalktest.Addresses
	said  strings.Builder // everything that the program printed
	token string          // an access token, which is a secret too
}

// simulate founds a company whose clock stands at the present, and connects the program to it.
func simulate(t *testing.T, o dingtalktest.Options) *simulated {
	t.Helper()
	c := tenantOf(t, o)
	c.connect()
	return c
}

// tenantOf is [simulate] without a data directory.
func tenantOf(t *testing.T, o dingtalktest.Options) *simulated {
	t.Helper()
	o.Start = time.Now()
	if o.QPS == 0 {
		o.QPS = -1
	}
	c := &simulated{ownDirectory: ownDirectory{t, t.TempDir()}, Tenant: dingtalktest.New(dingtalktest.Company{}, o)}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan dingtalktest.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- c.Serve(ctx, "127.0.0.1:0", func(a dingtalktest.Addresses) { ready <- a })
	}()
	c.at = <-ready
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	app := c.App()
	c.token = c.ask("/v1.0/oauth2/accessToken", "", map[string]any{"appKey": app.Key, "appSecret": app.Secret})["accessToken"].(string)
	return c
}

// another is the same tenant, and a data directory of its own.
func (c *simulated) another() *simulated {
	c.t.Helper()
	other := &simulated{ownDirectory: ownDirectory{c.t, c.t.TempDir()}, Tenant: c.Tenant, at: c.at, token: c.token}
	other.connect()
	return other
}

func (c *simulated) connect() {
	c.t.Helper()
	app, admin := c.App(), c.Cast()["admin"]
	who := c.ask("/topapi/v2/user/get", c.token, map[string]any{"userid": admin})["result"].(map[string]any)
	if err := os.WriteFile(filepath.Join(c.root, "secret.txt"), []byte(app.Secret+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.must("init")
	c.must("source", "add", "dingtalk", "--corp", c.CorpID(), "--app-key", app.Key, "--secret-file", "secret.txt", "--entity", "Company Ltd.",
		"--operator", admin, "--operator-union", who["unionid"].(string), "--agent", strconv.FormatInt(app.AgentID, 10), "--robot", app.RobotCode,
		"--api", c.at.API, "--oapi", c.at.API)
}

// ask calls the tenant as a program of nobody's would.
func (c *simulated) ask(path, token string, body any) map[string]any {
	c.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.at.API+path+"?access_token="+token, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	r, err := (&http.Client{}).Do(q)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// command is the real program.
func (c *simulated) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), "guia", args...)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "GUIA_DIR="+c.path(""), "HOME="+c.root, "LC_ALL=C.UTF-8", "GUIA_LANG=en", "GUIA_USER=", "NO_PROXY=127.0.0.1")
	return cmd
}

// run runs the program and returns its exit code and what it printed.
func (c *simulated) run(args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	cmd := c.command(args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else if err != nil {
		c.t.Fatal(err)
	}
	c.said.WriteString(out.String() + errOut.String())
	return code, out.String(), errOut.String()
}

func (c *simulated) must(args ...string) string {
	c.t.Helper()
	code, out, errOut := c.run(args...)
	if code != codeDone {
		c.t.Fatalf("guia %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out
}

func (c *simulated) on(feeds ...string) {
	c.t.Helper()
	for _, feed := range feeds {
		c.must("source", "feed", "dingtalk", feed, "--purpose", "test", "--ground", "Law 8/2005, Article 6", "--class", "staff")
	}
}

// pull pulls, and returns what became of each feed.
func (c *simulated) pull(args ...string) (code int, rounds map[string]roundLine, errOut string) {
	c.t.Helper()
	code, out, errOut := c.run(append([]string{"source", "pull", "--json"}, args...)...)
	rounds = map[string]roundLine{}
	for line := range strings.Lines(out) {
		var r roundLine
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		rounds[r.Feed] = r
	}
	return code, rounds, errOut
}

// records are all records of the tenant: how often each key with its content is stored.
func (c *simulated) records() map[string]int {
	c.t.Helper()
	d, err := directory.Open(c.t.Context(), c.path(""))
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string]int{}
	for seq := range d.Ledger.Size() {
		e, err := d.Ledger.Event(c.t.Context(), seq)
		if err != nil {
			c.t.Fatal(err)
		}
		if e.Source != guia.Own {
			all[fmt.Sprintf("%s %s %s", e.Fields.Get("source_key"), e.Type, e.Text())]++
		}
	}
	guiatest.MustCheck(c.t, d)
	if err := d.Close(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	return all
}

// standardFeeds are those that the standard edition has.
var standardFeeds = []string{"directory", "reads", "notices", "attendance", "meetings", "drive", "roster"}

func TestTheConnectorMeetsTheTenant(t *testing.T) {
	c := simulate(t, dingtalktest.Options{History: 5})
	c.Announce("假期安排", "請各位同事細閱。")
	c.Clock().Advance(10 * time.Second)
	if code, _, errOut := c.pull(); code != codeFailed || !strings.Contains(errOut, "source.all_off") {
		t.Fatalf("before any feed is on: %d %s", code, errOut)
	}
	c.on(standardFeeds...)
	code, rounds, errOut := c.pull()
	if code != codeDone {
		t.Fatal(errOut)
	}
	for feed, least := range map[string]int64{"directory": 20, "attendance": 300, "meetings": 5, "drive": 50, "roster": 20, "notices": 0, "reads": 0} {
		if r := rounds[feed]; r.State != roundDone || r.New < least || r.Known != 0 || r.Edited != 0 {
			t.Errorf("%+v", r)
		}
	}
	// The whole staff, under the names that the tenant has.
	for part, id := range c.Cast() {
		name := c.ask("/topapi/v2/user/get", c.token, map[string]any{"userid": id})["result"].(map[string]any)["name"].(string)
		if out := c.must("people", name, "--json"); !strings.Contains(out, id) {
			t.Errorf("%s is not found among the people: %s", part, out)
		}
		if out := c.must("search", name, "--json"); !strings.Contains(out, "person.seen") {
			t.Errorf("%s is not found: %s", part, out)
		}
	}
	if out := c.must("log", "--content", "--type", "person.seen", "-n", "0", "--json"); strings.Count(out, "\n") != 12 {
		t.Errorf("not 12 people:\n%s", out)
	}
	var status statusLine
	if err := json.Unmarshal([]byte(c.must("source", "status", "--json")), &status); err != nil {
		t.Fatal(err)
	}
	leavers := 1 // which the connector counts, and the tenant does not: no source says whether that call is exempt
	if spent := c.Usage().Calls; status.Calls != spent+leavers {
		t.Errorf("%d calls are counted here, %d there: %v", status.Calls, spent, c.Usage().Paths)
	}
	before := c.records()
	for key, n := range before {
		if n != 1 {
			t.Errorf("%s: %d times", key, n)
		}
	}
	requests := len(c.Requests())
	if code, rounds, errOut = c.pull(); code != codeDone || len(c.Requests()) != requests {
		t.Errorf("what is not due was asked for: %s", errOut)
	}
	for feed, r := range rounds {
		if r.State != roundNotDue || r.Next == "" {
			t.Errorf("%s: %+v", feed, r)
		}
	}
	code, rounds, errOut = c.pull("dingtalk", "--now")
	if code != codeDone {
		t.Fatal(errOut)
	}
	after := c.records()
	for key, n := range after {
		// An announcement of a moment ago comes with this round or came with the first; and of the archived file the region, which the first asking restored.
		if isNews := strings.HasPrefix(key, "notice/") || strings.HasPrefix(key, "region/"); n != 1 || before[key] == 0 && !isNews {
			t.Errorf("pulled twice, %d times: %s", n, key)
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(rounds)), slices.Sorted(slices.Values(standardFeeds))) || rounds["directory"].New != 0 || rounds["attendance"].New != 0 {
		t.Errorf("%+v", rounds)
	}
	if n := strings.Count(strings.Join(slices.Collect(maps.Keys(after)), "\n"), "notice.published"); n != 1 {
		t.Errorf("%d announcements", n)
	}
	coverage := c.must("source", "coverage", "--json")
	for _, want := range []string{`"name":"DingTalk attendance"`, `"channel":"api"`, `"grade":"A"`, "fileArchived", `"rounds":[{"from":`} {
		if !strings.Contains(coverage, want) {
			t.Errorf("%s is not in the coverage:\n%s", want, coverage)
		}
	}
	c.keepsItsSecrets()
}

// keepsItsSecrets greps everything that was printed, and the data directory, for the application's secret and an access token.
func (c *simulated) keepsItsSecrets() {
	c.t.Helper()
	for name, secret := range map[string]string{"secret": c.App().Secret, "token": c.token} {
		if strings.Contains(c.said.String(), secret) {
			c.t.Errorf("the %s was printed", name)
		}
		err := filepath.WalkDir(c.path(""), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(secret)) {
				c.t.Errorf("the %s is in %s", name, path)
			}
			return err
		})
		if err != nil {
			c.t.Error(err)
		}
	}
}

func TestAKilledPullIsFinishedByTheNext(t *testing.T) {
	warm := simulate(t, dingtalktest.Options{History: 5})
	feeds := []string{"directory", "attendance", "meetings", "drive"}
	warm.on(feeds...)
	warm.pull() // the archived file is restored by the asking
	whole := warm.another()
	whole.on(feeds...)
	if code, _, errOut := whole.pull(); code != codeDone {
		t.Fatal(errOut)
	}
	want := whole.records()
	killed := warm.another()
	killed.on(feeds...)
	for _, calls := range []int{4, 14, 9, 20} {
		at := len(killed.Requests()) + calls
		pull := killed.command("source", "pull", "--quiet")
		if err := pull.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- pull.Wait() }()
		for running := true; running; {
			select {
			case err := <-ended:
				t.Fatalf("it ended before %d calls: %v", calls, err)
			default:
			}
			if len(killed.Requests()) >= at {
				if err := pull.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; err == nil {
					t.Error("it was not killed")
				}
				running = false
			}
			runtime.Gosched()
		}
	}
	if code, _, errOut := killed.pull(); code != codeDone {
		t.Fatal(errOut)
	}
	got := killed.records()
	for key, n := range got {
		if n != 1 || want[key] != 1 {
			t.Errorf("%d times, wanted %d: %s", n, want[key], key)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
}

// TestWhatTheAdministratorSeesWhenTheTenantMisbehaves lets the tenant misbehave in each way, and reads the sentence.
func TestWhatTheAdministratorSeesWhenTheTenantMisbehaves(t *testing.T) {
	order := func(k dingtalktest.Kind, path string, times int) func(*simulated) {
		return func(c *simulated) { c.Order(dingtalktest.Trouble{Kind: k, Path: path, Times: times}) }
	}
	ready := simulate(t, dingtalktest.Options{}) // a directory that is connected, for all of them
	ready.on(append([]string{"filelog"}, standardFeeds...)...)
	for _, m := range []struct {
		name   string
		do     func(*simulated)
		feed   string
		code   int
		key    string // of the sentence; empty: nothing is said
		saying string

		options dingtalktest.Options
	}{
		{"throttled once", order(dingtalktest.Throttle, "/attendance", 1), "attendance", 0, "", "", dingtalktest.Options{}},
		{"busy for good", order(dingtalktest.Busy, "/v1.0/drive", 0), "drive", 1, "dingtalk.busy", "did not answer GET /v1.0/drive/spaces", dingtalktest.Options{}},
		{"a gateway's page", order(dingtalktest.BreakHTML, "/v1.0/drive", 1), "drive", 0, "", "", dingtalktest.Options{}},
		{"locked out", order(dingtalktest.BanHTML, "/topapi", 0), "directory", 1, "dingtalk.throttled", "at least 5 minutes", dingtalktest.Options{}},
		{"half an answer", order(dingtalktest.CutAnswer, "/topapi/v2/user/list", 0), "directory", 1, "dingtalk.unexpected", "not what DingTalk documents", dingtalktest.Options{}},
		{"token expired", order(dingtalktest.ExpireToken, "/topapi", 1), "directory", 0, "", "", dingtalktest.Options{}},
		{"a token in a circle", order(dingtalktest.LoopToken, "/v1.0/storage", 0), "drive", 1, "dingtalk.unexpected", "listAll is not what DingTalk documents", dingtalktest.Options{PageLimit: 2}},
		{"month spent by others", func(c *simulated) { c.Spend(5_000, 0) }, "attendance", 1, "dingtalk.quota", "calls of this month are spent", dingtalktest.Options{}},
		{"a permission revoked", func(c *simulated) { c.Revoke(c.App().Key, "qyapi_get_attendance_data") }, "attendance", 2, "dingtalk.permission", "publish the application: qyapi_get_attendance_data.", dingtalktest.Options{}},
		{"our address is not listed", func(c *simulated) {
			app := c.App()
			app.IPs = []string{"192.0.2.1"}
			c.AddApp(app)
		}, "directory", 2, "dingtalk.address", "refuses calls from the address 127.0.0.1", dingtalktest.Options{}},
		{"another secret", func(c *simulated) {
			app := c.App()
			app.Secret = "changed-" + app.Secret
			c.AddApp(app)
		}, "directory", 2, "dingtalk.credentials", "Copy both again", dingtalktest.Options{}},
		{"a lower edition", func(*simulated) {}, "filelog", 2, "dingtalk.edition", "belongs to a higher edition", dingtalktest.Options{}},
		{"an operator who is no administrator", func(c *simulated) { c.must("source", "add", "dingtalk", "--operator", c.Cast()["salesman"]) }, "notices", 2, "dingtalk.bad_request", "POST /topapi/blackboard/listids and answered 400002", dingtalktest.Options{}},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			c := tenantOf(t, m.options)
			if err := os.CopyFS(c.path(""), os.DirFS(ready.path(""))); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(c.path(""), 0o700); err != nil {
				t.Fatal(err)
			}
			c.must("source", "add", "dingtalk", "--api", c.at.API, "--oapi", c.at.API)
			m.do(c)
			code, rounds, errOut := c.pull("dingtalk", m.feed)
			if code != m.code || m.key != "" && (!strings.Contains(errOut, `"`+m.key+`"`) || !strings.Contains(errOut, m.saying)) {
				t.Errorf("exit code %d, %s %+v", code, errOut, rounds)
			}
			if m.key != "" && (rounds[m.feed].State != roundFailed || rounds[m.feed].Error == nil || rounds[m.feed].Error.Key != m.key) {
				t.Errorf("%+v", rounds)
			}
			for key, n := range c.records() {
				if n != 1 {
					t.Errorf("%s: %d times", key, n)
				}
			}
			c.keepsItsSecrets()
		})
	}
}

func TestASpentMonthDefersAndSaysSo(t *testing.T) {
	c := simulate(t, dingtalktest.Options{})
	c.on("directory", "attendance")
	c.Spend(5_000, 0) // by another program of the company's
	if code, _, errOut := c.pull("dingtalk", "attendance"); code != codeFailed || !strings.Contains(errOut, "dingtalk.quota") {
		t.Fatalf("%d %s", code, errOut)
	}
	paid := c.Usage().Calls
	code, rounds, errOut := c.pull()
	if a := rounds["attendance"]; code != codeDone || a.State != roundDeferred || a.Why != "spent" {
		t.Errorf("%d %s %+v", code, errOut, a)
	}
	// What costs nothing is read: all but the leavers, for whom the round stays open.
	if d := rounds["directory"]; d.State != roundDeferred || d.Why != "spent" || d.New < 20 {
		t.Errorf("%+v", d)
	}
	if now := c.Usage().Calls; now != paid {
		t.Errorf("%d calls were made that nothing is left for", now-paid)
	}
	_, out, _ := c.run("source", "pull")
	if !strings.Contains(out, "The rest of attendance waits for the next month") {
		t.Error(out)
	}
	if out := c.must("source", "status"); !strings.Contains(out, "5,000 / 5,000") || !strings.Contains(out, "the month's calls are spent") {
		t.Error(out)
	}
}

// No source gives everything, and no sentence says that one does.
func TestNoSentenceClaimsAFullArchive(t *testing.T) {
	for _, key := range lang.Keys() {
		for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese, lang.SimplifiedChinese} {
			for _, claim := range []string{"full archive", "complete archive", "arquivo completo", "arquivo integral", "完整存檔", "完整存档", "完整歸檔"} {
				if strings.Contains(strings.ToLower(lang.Text(l, key)), claim) {
					t.Errorf("%s: %s claims %q", l, key, claim)
				}
			}
		}
	}
}
