package dingtalktest_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"guia/dingtalktest"
)

// The words are those of the description, sections 1.2 to 1.5; request ids are the tenant's own.
func TestRefusalsHaveTheShapesThatAreDocumented(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	app := tenant.App()
	app.IPs = []string{"198.51.100.7"}
	good := c.token

	for _, x := range []struct {
		name, token, method, path string
		before                    func()
		status                    int
		want                      map[string]string
	}{
		{name: "no token, new", path: "/v1.0/drive/spaces", method: "GET", status: 400, want: map[string]string{"code": "AuthenticationFailed.MissingParameter"}},
		{name: "bad token, new", token: "x", path: "/v1.0/drive/spaces", method: "GET", status: 400, want: map[string]string{"code": "InvalidAuthentication", "message": "不合法的access_token"}},
		{name: "unknown path, new", token: good, path: "/v1.0/nothing", method: "GET", status: 200, want: map[string]string{"errcode": "404", "errmsg": "请求的URI地址不存在"}},
		{name: "no token, old", path: "/topapi/v2/user/get", method: "POST", status: 200, want: map[string]string{"errcode": "88", "sub_code": "40000"}},
		{name: "bad token, old", token: "x", path: "/topapi/v2/user/get", method: "POST", status: 200, want: map[string]string{
			"errcode": "88", "sub_code": "40014", "sub_msg": "不合法的access_token", "errmsg": "ding talk error[subcode=40014,submsg=不合法的access_token]",
		}},
		{name: "unknown path, old", token: good, path: "/topapi/nothing", method: "POST", status: 200, want: map[string]string{"errcode": "22", "errmsg": "Invalid method"}},
		{name: "code in the text only", token: "x", path: "/topapi/v2/user/get", method: "POST", before: func() {
			tenant.Order(dingtalktest.Trouble{Kind: dingtalktest.HideSubCode, Times: 1})
		}, status: 200, want: map[string]string{"errcode": "88", "sub_code": "", "errmsg": "ding talk error[subcode=40014,submsg=不合法的access_token]"}},
		{
			name: "point taken, new", token: good, path: "/v1.0/drive/spaces", method: "GET", before: func() { tenant.Revoke(app.Key, "Drive.Space.Read") },
			status: 403, want: map[string]string{"code": "Forbidden.AccessDenied.AccessTokenPermissionDenied"},
		},
		{
			name: "point taken, old", token: good, path: "/topapi/v2/user/get", method: "POST", before: func() { tenant.Revoke(app.Key, "qyapi_get_member") },
			status: 200, want: map[string]string{"errcode": "88", "sub_code": "60011"},
		},
		{name: "edition too low", token: good, path: "/v1.0/exclusive/fileAuditLogs", method: "GET", status: 403, want: map[string]string{
			"code": "Forbidden.AccessDenied.AccessTokenPermissionDenied",
		}},
		{name: "throttled, new", token: good, path: "/v1.0/drive/spaces", method: "GET", before: func() {
			tenant.Order(dingtalktest.Trouble{Kind: dingtalktest.Throttle, Times: 1})
		}, status: 403, want: map[string]string{"code": "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"}},
		{name: "throttled, old", token: good, path: "/topapi/v2/user/get", method: "POST", before: func() {
			tenant.Order(dingtalktest.Trouble{Kind: dingtalktest.Throttle, Times: 1})
		}, status: 200, want: map[string]string{"errcode": "90018"}},
		{name: "busy, old", token: good, path: "/topapi/v2/user/get", method: "POST", before: func() {
			tenant.Order(dingtalktest.Trouble{Kind: dingtalktest.Busy, Times: 1})
		}, status: 200, want: map[string]string{"errcode": "-1"}},
		{name: "busy, new", token: good, path: "/v1.0/drive/spaces", method: "GET", before: func() {
			tenant.Order(dingtalktest.Trouble{Kind: dingtalktest.Busy, Times: 1})
		}, status: 503, want: map[string]string{"code": "serviceBusy"}},
		{name: "banned", token: good, path: "/v1.0/drive/spaces", method: "GET", before: func() {
			tenant.Order(dingtalktest.Trouble{Kind: dingtalktest.BanJSON, Times: 1})
		}, status: 200, want: map[string]string{"status": "1111", "wait": "5", "source": "x5", "punish": "deny"}},
		{
			name: "foreign address, new", token: good, path: "/v1.0/storage/recycleBins", method: "GET", before: func() { tenant.AddApp(app) },
			status: 403, want: map[string]string{"code": "Forbidden.AccessDenied.IpNotInWhiteList"},
		},
		{name: "foreign address, old", token: good, path: "/topapi/v2/user/get", method: "POST", status: 200, want: map[string]string{"errcode": "88", "sub_code": "60020"}},
	} {
		if x.before != nil {
			x.before()
		}
		c.token = x.token
		status, o := c.do(x.method, x.path, nil)
		if status != x.status {
			t.Errorf("%s: got status %d, want %d: %v", x.name, status, x.status, o)
		}
		for k, want := range x.want {
			got := ""
			switch v := o[k].(type) {
			case string:
				got = v
			case json.Number:
				got = v.String()
			}
			if got != want {
				t.Errorf("%s: got %s %q, want %q", x.name, k, got, want)
			}
		}
	}
	c.token = good
	_, o := c.do("GET", "/v1.0/drive/spaces", nil)
	if !strings.Contains(o["message"].(string), "127.0.0.1") || !strings.Contains(o["message"].(string), app.Key) {
		t.Errorf("the refusal of an address does not name it: %v", o)
	}
	tenant.Order(dingtalktest.Trouble{Kind: dingtalktest.BanHTML, Times: 1})
	if _, raw := c.raw("GET", "/v1.0/drive/spaces", nil); !strings.HasPrefix(string(raw), "<!doctype html>") {
		t.Errorf("got %q, want a ban page", raw)
	}
}

func TestDeniedAnswersNameTheirPoint(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	_, o := c.do("GET", "/v1.0/exclusive/fileAuditLogs", nil)
	got := texts(dig(t, o, "accessdenieddetail", "requiredScopes"))
	if len(got) != 1 || got[0] != "Custom.OpFileAudit.Read" {
		t.Errorf("got %v, want the point that is missing", got)
	}
	tenant.SetEdition(dingtalktest.Exclusive)
	c.ok("GET", "/v1.0/exclusive/fileAuditLogs?startDate=0&endDate=1&pageSize=1", nil)
}

func TestOneTokenIsGoodOnBothDialectsUntilItEnds(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	app := tenant.App()
	o := c.ok("GET", "/gettoken?appkey="+app.Key+"&appsecret="+app.Secret, nil)
	if o["access_token"] != c.token {
		t.Errorf("two dialects gave two tokens: %v and %v", o["access_token"], c.token)
	}
	tenant.Clock().Advance(time.Hour)
	if again := c.login(app); again != c.token {
		t.Errorf("a valid token was replaced: %v", again)
	}
	c.ok("POST", "/topapi/v2/department/listsub", nil)
	tenant.Clock().Advance(time.Hour)
	if _, o := c.do("POST", "/topapi/v2/department/listsub", nil); o["sub_code"] != "40014" {
		t.Errorf("got %v, want a token that ended", o)
	}
	if again := c.login(app); again == c.token {
		t.Error("a token that ended was given again")
	}
	if _, o := c.do("GET", "/gettoken?appkey=x&appsecret=y", nil); o["errcode"] != json.Number("40096") {
		t.Errorf("got %v, want 40096", o)
	}
}

func TestOnlyCountedCallsUseTheMonthUp(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{QPS: -1})
	c := start(t, tenant)
	for range 3 {
		c.ok("POST", "/topapi/v2/department/listsub", nil) // exempt
		c.ok("POST", "/attendance/listRecord", map[string]any{
			"userIds": []string{tenant.Cast()["admin"]}, "checkDateFrom": "2026-11-16 00:00:00", "checkDateTo": "2026-11-20 00:00:00",
		})
	}
	c.do("POST", "/topapi/nothing", nil)
	if u := tenant.Usage(); u.Calls != 3 {
		t.Errorf("got %d counted calls, want 3", u.Calls)
	}
	tenant.Spend(4997, 0)
	if _, o := c.do("POST", "/attendance/listRecord", nil); o["errcode"] != json.Number("90020") {
		t.Errorf("got %v, want 90020", o)
	}
	if status, o := c.do("GET", "/v1.0/drive/spaces", nil); status != 403 || o["code"] != "Forbidden.AccessDenied.ApiCountLimitForOrg" {
		t.Errorf("got %d %v, want the twin of 90020", status, o)
	}
	c.ok("POST", "/topapi/v2/department/listsub", nil)
	tenant.SetEdition(dingtalktest.Professional)
	c.do("GET", "/v1.0/drive/spaces", nil)
	tenant.Clock().MoveTo(time.Date(2026, 12, 1, 0, 0, 0, 0, dingtalktest.Shanghai))
	if u := tenant.Usage(); u.Calls != 0 {
		t.Errorf("got %d calls in a new month, want 0", u.Calls)
	}
}

func TestAnAppMayCallAPathSoOftenASecond(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{Pace: func() time.Time { return now }})
	c := start(t, tenant)
	for range 20 {
		c.ok("POST", "/topapi/v2/department/listsub", nil)
	}
	if _, o := c.do("POST", "/topapi/v2/department/listsub", nil); o["errcode"] != json.Number("90018") {
		t.Errorf("got %v, want 90018", o)
	}
	c.ok("POST", "/topapi/user/listadmin", nil)
	now = now.Add(time.Second)
	c.ok("POST", "/topapi/v2/department/listsub", nil)
}

func TestOldCallsTakeFormsAndJSON(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	id := tenant.Cast()["director"]
	form := c.ok("POST", "/topapi/v2/user/get", url.Values{"userid": {id}})
	asJSON := c.ok("POST", "/topapi/v2/user/get", map[string]any{"userid": id})
	if dig(t, form, "result", "unionid") != dig(t, asJSON, "result", "unionid") {
		t.Errorf("a form and JSON have different answers: %v %v", form, asJSON)
	}
	c.ok("POST", "/topapi/message/corpconversation/asyncsend_v2", url.Values{
		"agent_id": {"3000000001"}, "userid_list": {id}, "msg": {`{"msgtype":"text","text":{"content":"1"}}`},
	})
}

func TestFieldsAndDepartmentsOutsideOfTheScopeAreNotShown(t *testing.T) {
	app := dingtalktest.App{Key: "k", Secret: "s", AgentID: 1, Scopes: []string{dingtalktest.Any}}
	tenant := dingtalktest.New(dingtalktest.Company{Size: "M"}, dingtalktest.Options{Apps: []dingtalktest.App{app}})
	c := start(t, tenant)
	subs := dig(t, c.ok("POST", "/topapi/v2/department/listsub", nil), "result").([]any)
	first := dig(t, subs[0], "dept_id").(json.Number)
	id, _ := first.Int64()
	o := c.ok("POST", "/topapi/v2/user/get", map[string]any{"userid": tenant.Cast()["admin"]})
	if _, ok := dig(t, o, "result").(map[string]any)["mobile"]; ok {
		t.Error("a phone number was shown without the field permission")
	}
	app.Departments = []int64{id}
	tenant.AddApp(app)
	if got := dig(t, c.ok("POST", "/topapi/v2/department/listsub", nil), "result").([]any); len(got) != 1 {
		t.Errorf("got %d departments, want the one in scope", len(got))
	}
	if _, o := c.do("POST", "/topapi/v2/user/get", map[string]any{"userid": tenant.Cast()["accountant"]}); o["errcode"] != json.Number("50002") {
		t.Errorf("got %v, want 50002", o)
	}
}

func TestAnAddressThatFloodsIsBannedForFiveMinutes(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{Pace: func() time.Time { return now }})
	answer := func() string {
		w := httptest.NewRecorder()
		tenant.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/topapi/nothing", nil))
		return w.Body.String()
	}
	for range 10_000 {
		if got := answer(); !strings.HasPrefix(got, "{") {
			t.Fatalf("banned too early: %s", got)
		}
	}
	if got := answer(); !strings.HasPrefix(got, "<!doctype html>") {
		t.Errorf("got %s, want a ban page", got)
	}
	now = now.Add(4 * time.Minute)
	if got := answer(); !strings.HasPrefix(got, "<!doctype html>") {
		t.Errorf("got %s after four minutes, want a ban page", got)
	}
	now = now.Add(time.Minute)
	if got := answer(); !strings.HasPrefix(got, "{") {
		t.Errorf("got %s after five minutes", got)
	}
}
