package dingtalktest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"guia/dingtalktest"
)

func TestATenantServesOnRealPortsUntilItIsTold(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan dingtalktest.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- tenant.Serve(ctx, "127.0.0.1:0", func(a dingtalktest.Addresses) { ready <- a })
	}()
	a := <-ready
	if a.API == "" || !strings.HasPrefix(a.Stream, "ws://") || a.Files == a.API {
		t.Errorf("got %+v, want two ports and a Stream", a)
	}
	app := tenant.App()
	resp, err := (&http.Client{}).Get(a.API + "/gettoken?appkey=" + app.Key + "&appsecret=" + app.Secret)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var o map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil || o["access_token"] == nil {
		t.Errorf("got %v, %v", o, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAClockThatRunsRingsByItself(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	l := connect(c, tenant)
	first := tenant.Join(1)
	f := l.next()
	tenant.Clock().Advance(12900 * time.Millisecond) // nobody answered: due again ten seconds after three
	tenant.Clock().Run()
	if again := l.next(); again.Headers["eventId"] != f.Headers["eventId"] || !strings.Contains(again.Data, first) {
		t.Errorf("got %+v, want the event again", again)
	}
}

func TestSigningInGivesTheMainAdministrator(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := plain.Get(c.api.URL + "/oauth2/auth?redirect_uri=http%3A%2F%2Flocalhost%2Fback&response_type=code&scope=openid&state=s1&client_id=" + c.app.Key)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil || back.Query().Get("state") != "s1" {
		t.Fatalf("got %v, %v", back, err)
	}
	body := map[string]any{"clientId": c.app.Key, "clientSecret": c.app.Secret, "grantType": "authorization_code", "code": back.Query().Get("code")}
	o := c.ok("POST", "/v1.0/oauth2/userAccessToken", body)
	if status, o := c.do("POST", "/v1.0/oauth2/userAccessToken", body); status != 400 {
		t.Errorf("got %d %v for a code that was used", status, o)
	}
	again := c.ok("POST", "/v1.0/oauth2/userAccessToken", map[string]any{
		"clientId": c.app.Key, "clientSecret": c.app.Secret, "grantType": "refresh_token", "refreshToken": o["refreshToken"],
	})
	appToken := c.token
	c.token = again["accessToken"].(string)
	union := c.ok("GET", "/v1.0/contact/users/me", nil)["unionId"]
	c.token = appToken
	if status, o := c.do("GET", "/v1.0/contact/users/me", nil); status != 400 {
		t.Errorf("got %d %v with an app token", status, o)
	}
	if got := dig(t, c.ok("POST", "/topapi/user/getbyunionid", map[string]any{"unionid": union}), "result", "userid"); got != tenant.Cast()["admin"] {
		t.Errorf("got %v, want the administrator", got)
	}
	code := tenant.AuthCode(c.app.Key, tenant.Cast()["hr"])
	if got := dig(t, c.ok("POST", "/topapi/v2/user/getuserinfo", map[string]any{"code": code}), "result", "sys_level"); got != json.Number("2") {
		t.Errorf("got level %v, want 2", got)
	}
}

func TestTheMonthsCallsCanBeRead(t *testing.T) {
	tenant := dingtalktest.New(dingtalktest.Company{}, dingtalktest.Options{})
	c := start(t, tenant)
	tenant.Spend(40, 0)
	_, raw := c.raw("GET", "/v1.0/microApp/resources/useInfos?benefitCode=api_count&periodType=month&startTime=202611&endTime=202611", nil)
	if got := strings.TrimSpace(string(raw)); got != `[[{"period":"202611","quotaNum":5000,"usedNum":41}]]` {
		t.Errorf("got %s", got)
	}
}
