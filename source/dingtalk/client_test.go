package dingtalk_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/source"
	"guia/source/dingtalk"
)

func pull(t *testing.T, c *dingtalk.Client, feed string) (source.Page, error) {
	t.Helper()
	s, err := dingtalk.Open(c, feed, dingtalk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Pull(context.Background(), "")
}

func TestATokenIsAskedForOnceAndRenewedWhenItIsRefused(t *testing.T) {
	f := newTenant(t)
	f.company()
	f.fileLog(&[]string{})
	c := f.client()
	for range 3 {
		if _, err := pull(t, c, "directory"); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.count("/v1.0/oauth2/accessToken"); n != 1 {
		t.Errorf("%d tokens", n)
	}
	for _, host := range []struct {
		feed    string
		refusal func(request) (int, string)
	}{
		{"directory", func(q request) (int, string) {
			if strings.HasPrefix(q.path, "/topapi/") && q.token == "tok-en-1" {
				return 200, `{"errcode":88,"sub_code":"40014","sub_msg":"不合法的access_token","errmsg":"ding talk error[subcode=40014,submsg=不合法的access_token]"}`
			}
			return 0, ""
		}},
		{"filelog", func(q request) (int, string) {
			if q.path == "/v1.0/exclusive/fileAuditLogs" && q.token == "tok-en-2" {
				return 400, `{"code":"InvalidAuthentication","requestid":"r","message":"不合法的access_token"}`
			}
			return 0, ""
		}},
	} {
		f.fail = host.refusal
		if _, err := pull(t, c, host.feed); err != nil {
			t.Errorf("%s: %v", host.feed, err)
		}
	}
	if n := f.count("/v1.0/oauth2/accessToken"); n != 3 {
		t.Errorf("%d tokens after two refusals", n)
	}
	f.fail = func(q request) (int, string) {
		if q.path == "/v1.0/exclusive/fileAuditLogs" {
			return 400, `{"code":"InvalidAuthentication"}`
		}
		return 0, ""
	}
	before := f.count("/v1.0/exclusive/fileAuditLogs")
	if _, err := pull(t, c, "filelog"); guia.KindOf(err) != guia.Upstream || !strings.Contains(err.Error(), "dingtalk.token") {
		t.Errorf("%v", err)
	}
	if n := f.count("/v1.0/exclusive/fileAuditLogs") - before; n != 2 {
		t.Errorf("%d calls with a token that is never accepted", n)
	}
}

func TestATokenEndsBeforeItExpires(t *testing.T) {
	f := newTenant(t)
	f.fileLog(&[]string{})
	at := now
	c := f.client(func(cfg *dingtalk.Config) { cfg.Now = func() time.Time { return at } })
	for _, later := range []time.Duration{0, 6800 * time.Second, 40 * time.Second} {
		at = at.Add(later)
		if _, err := pull(t, c, "filelog"); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.count("/v1.0/oauth2/accessToken"); n != 2 {
		t.Errorf("%d tokens in 6840 seconds", n)
	}
}

func TestWhatIsBusyIsTriedThreeTimesMoreAndNotBilledWhenThrottled(t *testing.T) {
	f := newTenant(t)
	f.fileLog(&[]string{})
	var waits []time.Duration
	c := f.client(func(cfg *dingtalk.Config) {
		cfg.Wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	})
	failures := 2
	f.fail = func(q request) (int, string) {
		if q.path == "/v1.0/exclusive/fileAuditLogs" && failures > 0 {
			failures--
			return 403, `{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi","message":"x"}`
		}
		return 0, ""
	}
	if _, err := pull(t, c, "filelog"); err != nil {
		t.Fatal(err)
	}
	if u, _ := c.Usage(); u.Spent() != 1 {
		t.Errorf("billed %d", u.Spent())
	}
	pauses := 0
	for _, d := range waits {
		if d >= time.Second {
			pauses++
		}
	}
	if pauses != 2 {
		t.Errorf("waited %v", waits)
	}
	failures = 99
	before := f.count("/v1.0/exclusive/fileAuditLogs")
	_, err := pull(t, c, "filelog")
	if n := f.count("/v1.0/exclusive/fileAuditLogs") - before; n != 4 || guia.KindOf(err) != guia.Upstream {
		t.Errorf("%d calls, %v", n, err)
	}
}

func TestEachCallKeepsItsPace(t *testing.T) {
	f := newTenant(t)
	f.company()
	var longest time.Duration
	c := f.client(func(cfg *dingtalk.Config) {
		cfg.Wait = func(_ context.Context, d time.Duration) error { longest = max(longest, d); return nil }
	})
	if _, err := pull(t, c, "directory"); err != nil { // four departments are asked for with a clock that stands still
		t.Fatal(err)
	}
	if longest != 3*50*time.Millisecond {
		t.Errorf("the fourth call waits %v, want 150ms", longest)
	}
}

func TestNothingSecretStandsInErrorsOrLogs(t *testing.T) {
	f := newTenant(t)
	f.company()
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	cfg := f.config()
	log.Info("config", slog.Any("cfg", cfg), slog.Any("secret", cfg.AppSecret))
	fmt.Fprintf(&said, "%v %+v %#v %s", cfg, cfg, cfg, cfg.AppSecret)
	if text, err := json.Marshal(cfg.AppSecret); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("%s, %v", text, err)
	}
	for _, fail := range []func(q request) (int, string){
		func(request) (int, string) { return 500, canaryName },
		func(request) (int, string) { return 200, `{"errcode":60121,"errmsg":"` + canaryName + `"}` },
		func(q request) (int, string) { return 302, q.token },
		func(q request) (int, string) {
			return 400, `{"code":"` + canaryName + `","message":"` + q.token + `","requestid":"` + canaryPhone + ` x"}`
		},
		func(request) (int, string) {
			return 200, `{"errcode":0,"result":{"` + canaryName + `":[` + canaryPhone + `}`
		},
		func(request) (int, string) {
			return 200, `{"errcode":0,"result":"` + canaryName + `","list":"` + canaryName + `"}`
		},
	} {
		f.fail = func(q request) (int, string) {
			if strings.Contains(q.path, "oauth2") {
				return 0, ""
			}
			return fail(q)
		}
		c := f.client()
		for _, feed := range dingtalk.Feeds() {
			if _, err := pull(t, c, feed); err != nil {
				log.Error("pull", slog.Any("err", err))
			}
		}
	}
	f.fail = nil
	c := f.client()
	if _, err := pull(t, c, "directory"); err != nil {
		t.Fatal(err)
	}
	f.server.Close() // without an answer: the address has the token in it
	if _, err := pull(t, c, "directory"); err != nil {
		log.Error("pull", slog.Any("err", err))
	}
	for _, canary := range []string{secret, "tok-en", canaryName, canaryPhone, canaryID, "access_token=tok"} {
		if strings.Contains(said.String(), canary) {
			t.Errorf("%q is told:\n%.2000s", canary, said.String())
		}
	}
	if !strings.Contains(said.String(), "dingtalk.busy") {
		t.Error("nothing was told")
	}
}

func TestATokenIsNotCarriedElsewhere(t *testing.T) {
	f := newTenant(t)
	f.company()
	var got string
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.String() }))
	defer thief.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "oauth2") {
			f.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, thief.URL+r.URL.String(), http.StatusFound)
	}))
	defer front.Close()
	c := f.client(func(cfg *dingtalk.Config) { cfg.API, cfg.OAPI = front.URL, front.URL })
	if _, err := pull(t, c, "directory"); guia.KindOf(err) != guia.Upstream {
		t.Errorf("%v", err)
	}
	if got != "" {
		t.Error("a redirect was followed")
	}
}

func TestOnlyEncryptedAddressesAreCalled(t *testing.T) {
	for _, url := range []string{"http://api.dingtalk.com", "ftp://127.0.0.1", "https://user@api.dingtalk.com", "https://", "127.0.0.1:80", "https://x/?a=b"} {
		cfg := newTenant(t).config()
		cfg.API = url
		if _, err := dingtalk.New(cfg); guia.KindOf(err) != guia.Invalid {
			t.Errorf("%s: %v", url, err)
		}
	}
	cfg := newTenant(t).config()
	cfg.API, cfg.OAPI = dingtalk.InternationalAPI, "https://gateway.example.mo/dingtalk/"
	if _, err := dingtalk.New(cfg); err != nil {
		t.Error(err)
	}
}

func TestAHugeAnswerIsRefused(t *testing.T) {
	f := newTenant(t)
	f.answer["/v1.0/exclusive/fileAuditLogs"] = func(request) any {
		return `{"list":[],"x":"` + strings.Repeat("x", 5<<20) + `"}`
	}
	if _, err := pull(t, f.client(), "filelog"); guia.KindOf(err) != guia.Upstream || !strings.Contains(err.Error(), "dingtalk.unexpected") {
		t.Errorf("%v", err)
	}
}

func TestAPageTokenThatLeadsNowhereEndsTheReading(t *testing.T) {
	f := newTenant(t)
	f.answer["/v1.0/drive/spaces"] = func(request) any {
		return `{"spaces":[{"spaceId":"1"}],"nextToken":"again"}`
	}
	s := f.feed("drive", dingtalk.Options{})
	p, err := s.Pull(context.Background(), "")
	for n := 0; err == nil && n < 5; n++ {
		p, err = s.Pull(context.Background(), p.Next)
	}
	if guia.KindOf(err) != guia.Upstream || !strings.Contains(err.Error(), "dingtalk.unexpected") {
		t.Errorf("%v", err)
	}
}

func TestWhatTheBudgetForbidsIsToldAndTheRestKept(t *testing.T) {
	f := newTenant(t)
	f.company()
	f.answer["/attendance/list"] = func(q request) any {
		return `{"errcode":0,"errmsg":"ok","hasMore":false,"recordresult":[]}`
	}
	budget := dingtalk.NewBudget(dingtalk.Quota{Calls: 5, Deliveries: 1, QPS: 1000}, dingtalk.Usage{}, nil, func() time.Time { return now })
	c := f.client(func(cfg *dingtalk.Config) { cfg.Budget = budget })
	s, err := dingtalk.Open(c, "attendance", dingtalk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Pull(context.Background(), "") // 4 of 5 calls are not reserved; none of them finds anything
	if err != nil || !first.Done || len(first.Records) != 0 || f.count("/attendance/list") != 4 {
		t.Fatalf("%+v, %v, %d calls", first, err, f.count("/attendance/list"))
	}
	_, err = s.Pull(context.Background(), first.Next)
	d, ok := errors.AsType[*dingtalk.Deferral](err)
	if !ok || d.Why != dingtalk.WhyReserve || guia.KindOf(err) != guia.Upstream || !strings.Contains(err.Error(), "dingtalk.deferred") {
		t.Errorf("%v", err)
	}
	if f.count("/attendance/list") != 4 {
		t.Error("a call was made that the budget forbids")
	}
}

func TestTheEnvironmentNamesTheProxy(t *testing.T) {
	if os.Getenv("GUIA_TEST_PROXY") != "" { // the program with a proxy in its environment
		cfg := newTenant(t).config()
		cfg.API, cfg.OAPI = "", ""
		c, err := dingtalk.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pull(t, c, "directory"); guia.KindOf(err) != guia.Upstream {
			t.Fatal(err)
		}
		return
	}
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Method + " " + r.Host:
		default:
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestTheEnvironmentNamesTheProxy$")
	cmd.Env = append(os.Environ(), "GUIA_TEST_PROXY=1", "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := <-asked; got != "CONNECT api.dingtalk.com:443" {
		t.Errorf("the proxy was asked for %q", got)
	}
}

func TestTheCertificateOfWhoAnsweredIsKept(t *testing.T) {
	f := newTenant(t)
	rows := logRows(1)
	f.fileLog(&rows)
	server := httptest.NewTLSServer(f)
	defer server.Close()
	c := f.client(func(cfg *dingtalk.Config) { cfg.API, cfg.OAPI = server.URL, server.URL })
	if _, err := pull(t, c, "filelog"); guia.KindOf(err) != guia.Upstream {
		t.Errorf("a certificate that nobody signed: %v", err)
	}
	dingtalk.Trust(c, &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	p, err := pull(t, c, "filelog")
	if err != nil {
		t.Fatal(err)
	}
	if peer := p.Records[0].Extra.Get("peer"); len(peer) != 7+64 {
		t.Errorf("peer %q", peer)
	}
}

func TestNoAnswerIsTriedAgainLater(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	f := newTenant(t)
	c := f.client(func(cfg *dingtalk.Config) { cfg.API = "http://" + l.Addr().String(); cfg.OAPI = cfg.API })
	if _, err := pull(t, c, "directory"); guia.KindOf(err) != guia.Upstream || !strings.Contains(err.Error(), "dingtalk.busy") {
		t.Errorf("%v", err)
	}
}
