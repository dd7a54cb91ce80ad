package dingtalk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"guia/source/dingtalk"
)

// now is when all tests happen: 2026-11-20 12:00 in Macau.
var now = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

const secret = "s3cr3t-value-of-the-app"

// tenant answers calls as the reference describes them, one handler for each path. It is no simulation of DingTalk.
type tenant struct {
	t      *testing.T
	server *httptest.Server
	answer map[string]func(q request) any

	mu    sync.Mutex
	calls map[string]int
	token int
	fail  func(q request) (status int, body string) // first asked; status 0: go on
}

// request is one call: its query and body in one map.
type request struct {
	path, token string
	arg         map[string]any
}

func (q request) text(name string) string { return fmt.Sprint(q.arg[name]) }

func (q request) number(name string) int {
	n, err := strconv.ParseFloat(q.text(name), 64)
	if err != nil {
		return 0
	}
	return int(n)
}

// old is an answer of the old host.
func old(result string) string {
	return `{"errcode":0,"errmsg":"ok","request_id":"old-1","result":` + result + `}`
}

func newTenant(t *testing.T) *tenant {
	f := &tenant{t: t, answer: map[string]func(request) any{}, calls: map[string]int{}}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	f.answer["/v1.0/oauth2/accessToken"] = func(q request) any {
		if q.text("appSecret") != secret {
			return 400
		}
		f.token++
		return fmt.Sprintf(`{"accessToken":"tok-en-%d","expireIn":7200}`, f.token)
	}
	return f
}

func (f *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", now.Add(2*time.Second).Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	q := request{path: r.URL.Path, token: r.Header.Get("x-acs-dingtalk-access-token"), arg: map[string]any{}}
	for k, v := range r.URL.Query() {
		q.arg[k] = v[0]
	}
	if q.token == "" {
		q.token = r.URL.Query().Get("access_token")
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &q.arg)
	}
	if err != nil {
		f.t.Errorf("%s: body %q: %v", r.URL.Path, body, err)
	}
	f.calls[q.path]++
	if f.fail != nil {
		if status, body := f.fail(q); status != 0 {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return
		}
	}
	fn := f.answer[q.path]
	if fn == nil {
		_, _ = io.WriteString(w, `{"errcode":404,"errmsg":"请求的URI地址不存在"}`)
		return
	}
	switch a := fn(q).(type) {
	case string:
		_, _ = io.WriteString(w, a)
	case int:
		w.WriteHeader(a)
		_, _ = io.WriteString(w, `{"code":"invalidClientIdOrSecret","message":"no","requestid":"r"}`)
	}
}

// count is how often a path was called.
func (f *tenant) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[path]
}

func (f *tenant) config() dingtalk.Config {
	return dingtalk.Config{
		CorpID: "dingcorp1", AppKey: "key1", AppSecret: secret, API: f.server.URL, OAPI: f.server.URL, AgentID: 7, RobotCode: "robot1",
		Operator: "manager1", OperatorUnion: "unionmanager1", Now: func() time.Time { return now },
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func (f *tenant) client(change ...func(*dingtalk.Config)) *dingtalk.Client {
	f.t.Helper()
	cfg := f.config()
	for _, fn := range change {
		fn(&cfg)
	}
	c, err := dingtalk.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

func (f *tenant) feed(name string, opt dingtalk.Options) *dingtalk.Source {
	f.t.Helper()
	s, err := dingtalk.Open(f.client(), name, opt)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// slice writes rows from to from+size as a JSON array.
func slice(rows []string, from, size int) string {
	from = min(max(from, 0), len(rows))
	return "[" + strings.Join(rows[from:min(from+size, len(rows))], ",") + "]"
}

// The company: departments 1 (root), 2, 3, 10 below 2, and 230 people, the first with unmistakable names.
const (
	canaryName  = "黃小燕-Canária"
	canaryPhone = "66990011"
	canaryID    = "wong.siuin.canary"
)

func (f *tenant) company() {
	children := map[int]string{
		1:  `[{"dept_id":3,"name":"Contabilidade","parent_id":1},{"dept_id":"2","name":"工程部","parent_id":"1","auto_add_user":"true"}]`,
		2:  `[{"dept_id":10,"name":"地盤","parent_id":2}]`,
		10: `[]`, 3: `[]`,
	}
	f.answer["/topapi/v2/department/listsub"] = func(q request) any { return old(children[q.number("dept_id")]) }
	members := map[int][]string{1: nil, 2: {user(0, 2, 3), user(1, 2)}, 3: {user(0, 2, 3), user(2, 3)}}
	ids := map[int][]string{2: {id(0), id(1)}, 3: {id(0), id(2)}}
	for n := 3; n < 230; n++ {
		members[10] = append(members[10], user(n, 10))
		ids[10] = append(ids[10], id(n))
	}
	f.answer["/topapi/v2/user/list"] = func(q request) any {
		all, at := members[q.number("dept_id")], q.number("cursor")
		if next := at + q.number("size"); next < len(all) {
			return old(fmt.Sprintf(`{"has_more":true,"next_cursor":%d,"list":%s}`, next, slice(all, at, q.number("size"))))
		}
		return old(fmt.Sprintf(`{"has_more":false,"list":%s}`, slice(all, at, q.number("size"))))
	}
	f.answer["/topapi/user/listid"] = func(q request) any {
		list, _ := json.Marshal(ids[q.number("dept_id")])
		return old(`{"userid_list":` + string(list) + `}`)
	}
	f.answer["/topapi/role/list"] = func(q request) any {
		if q.number("offset") > 0 {
			return old(`{"hasMore":false,"list":[]}`)
		}
		return old(`{"hasMore":true,"list":[{"groupId":1,"name":"職務","roles":[{"id":501,"name":"財務"},{"id":502,"name":"empty"}]}]}`)
	}
	f.answer["/topapi/role/simplelist"] = func(q request) any {
		if q.number("role_id") == 502 {
			return old(`{"hasMore":false}`)
		}
		return old(fmt.Sprintf(`{"hasMore":"false","list":[{"userid":%q,"name":%q}]}`, canaryID, canaryName))
	}
	f.answer["/topapi/user/listadmin"] = func(request) any {
		return old(fmt.Sprintf(`[{"userid":"manager1","sys_level":1},{"userid":%q,"sys_level":2}]`, canaryID))
	}
	f.answer["/v1.0/contact/empLeaveRecords"] = func(q request) any {
		if q.text("nextToken") == "p+/=2" {
			return `{"records":[{"userId":"gone2","name":"Gone Dois","stateCode":"86","leaveTime":"2026-11-02T01:02:03Z"}]}`
		}
		return `{"nextToken":"p+/=2","records":[{"userId":"gone1","name":"Gone Um","mobile":"62000001","stateCode":"853","leaveTime":"2026-11-01T01:02:03Z","leaveReason":"x"}]}`
	}
}

func id(n int) string {
	if n == 0 {
		return canaryID
	}
	return fmt.Sprintf("user%03d", n)
}

func user(n int, depts ...int) string {
	list, _ := json.Marshal(depts)
	switch n {
	case 0:
		return fmt.Sprintf(`{"userid":%q,"unionid":"U0","name":%q,"mobile":%q,"state_code":"853","title":"會計","job_number":17,"hired_date":"1577808000000","dept_id_list":%s,"active":"true","admin":false}`,
			canaryID, canaryName, canaryPhone, list)
	case 1:
		return fmt.Sprintf(`{"userid":"user001","name":"陸生","state_code":"86","dept_id_list":%s,"active":true}`, list)
	case 5: // a row that is not what is documented
		return `{"userid":{"odd":true},"name":"X"}`
	}
	return fmt.Sprintf(`{"userid":%q,"name":"Pessoa %d","dept_id_list":%s,"active":true}`, id(n), n, list)
}
