package httpd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"guia"
	"guia/httpd"
)

func TestOnlyThisMachinesOwnAddressesAreOpened(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":8530", "192.0.2.1:0", "localhost:0", "127.0.0.1", "[::]:0", ""} {
		if l, err := httpd.Listen(address); guia.KindOf(err) != guia.Invalid {
			t.Errorf("%q: %v %v", address, l, err)
		}
	}
	l, err := httpd.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := httpd.Listen(l.Addr().String()); guia.KindOf(err) != guia.Blocked {
		t.Errorf("a taken port: %v", err)
	}
}

// ask serves a handler for one request.
func ask(t *testing.T, h http.Handler) (code int, head http.Header, body string) {
	t.Helper()
	return askAs(t, h, "/", nil)
}

// askAs is ask for a path, by somebody who says more.
func askAs(t *testing.T, h http.Handler, path string, say func(*http.Request), posted ...string) (code int, head http.Header, body string) {
	t.Helper()
	l, err := httpd.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- httpd.Serve(ctx, l, h, posted...) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if say != nil {
		say(q)
	}
	r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(b)
}

func TestNoPageOfAWebsiteIsAnswered(t *testing.T) {
	asked := 0
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })
	for _, c := range []struct {
		host   string // empty: as it is
		header []string
		want   int
	}{
		{"", nil, http.StatusOK},
		{"localhost", nil, http.StatusOK},
		{"LOCALHOST:1", nil, http.StatusOK},
		{"127.1.2.3:8530", nil, http.StatusOK},
		{"[::1]:8530", nil, http.StatusOK},
		{"", []string{"Sec-Fetch-Site", "none"}, http.StatusOK},                  // typed by a person
		{"", []string{"Sec-Fetch-Site", "same-origin"}, http.StatusOK},           // from one of our pages
		{"localhost:1", []string{"Origin", "http://localhost:1"}, http.StatusOK}, // likewise
		// A page whose name leads to this machine.
		{"rebound.evil.example", nil, http.StatusMisdirectedRequest},
		{"rebound.evil.example:8530", []string{"Origin", "http://rebound.evil.example:8530", "Sec-Fetch-Site", "same-origin"}, http.StatusMisdirectedRequest},
		{"localhost.evil.example", nil, http.StatusMisdirectedRequest},
		{"127.0.0.1.evil.example", nil, http.StatusMisdirectedRequest},
		{"192.0.2.1:8530", nil, http.StatusMisdirectedRequest},
		// A page that asks this machine by its own name.
		{"", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden}, // of another program on this machine
		{"", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"", []string{"Origin", "null"}, http.StatusForbidden},
		{"localhost:1", []string{"Origin", "http://localhost:2"}, http.StatusForbidden},
	} {
		before := asked
		code, head, _ := askAs(t, h, "/metrics", func(r *http.Request) {
			if c.host != "" {
				r.Host = c.host
			}
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
		}, "/posts/{name}")
		if code != c.want || asked-before != map[bool]int{true: 1}[c.want == http.StatusOK] || head.Get("Cache-Control") != "no-store" {
			t.Errorf("%q %v: %d", c.host, c.header, code)
		}
	}
}

func TestWhatAProxyHandsOnReachesOnePathOnly(t *testing.T) {
	h := http.NewServeMux()
	h.HandleFunc("/posts/{name}", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "post to "+r.PathValue("name")) })
	h.HandleFunc("/", func(http.ResponseWriter, *http.Request) { t.Error("a page of our own was answered") })
	proxy := func(r *http.Request) { r.Host = "guia.example.com" }
	if code, _, body := askAs(t, h, "/posts/name", proxy, "/posts/{name}"); code != http.StatusOK || body != "post to name" {
		t.Errorf("%d %s", code, body)
	}
	for _, path := range []string{"/", "/posts", "/metrics", "/posts/../metrics", "/posts/%2e%2e/metrics", "//posts/../metrics", "/posts/", "/posts/name/metrics", "/posts%2fname"} {
		if code, _, body := askAs(t, h, path, proxy, "/posts/{name}"); code == http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// A request of HTTP/1.0 may name no host, and nobody knows then by what name it came.
func TestARequestWithoutAHostIsRefused(t *testing.T) {
	l, err := httpd.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- httpd.Serve(ctx, l, httpd.Healthz()) }()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || !strings.Contains(string(answer), " 421 ") {
		t.Errorf("%s: %v", answer, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnswersSayWhatIsWrong(t *testing.T) {
	code, head, body := ask(t, httpd.Healthz())
	if code != http.StatusOK || body != "ok\n" || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", code, body, head)
	}
	checks := []httpd.Check{{Name: "directory"}, {Name: "index", Why: "12 events behind"}}
	code, _, body = ask(t, httpd.Readyz(func(context.Context) []httpd.Check { return checks }))
	if code != http.StatusServiceUnavailable || body != "ok directory\nnot ok index: 12 events behind\n" {
		t.Errorf("%d %s", code, body)
	}
	code, _, body = ask(t, httpd.Readyz(func(context.Context) []httpd.Check { return checks[:1] }))
	if code != http.StatusOK || body != "ok directory\n" {
		t.Errorf("%d %s", code, body)
	}
	code, _, body = ask(t, httpd.Metrics(func(context.Context) ([]httpd.Metric, error) { return nil, errors.New("Chan Tai Man") }))
	if code != http.StatusInternalServerError || strings.Contains(body, "Chan") {
		t.Errorf("%d %s", code, body)
	}
}

// The expected text is written from the description of the format, with its three escapes.
func TestExposition(t *testing.T) {
	got := httpd.Exposition([]httpd.Metric{
		{Name: "guia_events", Kind: "gauge", Help: "Events.\nAll \\ of them.", Samples: []httpd.Sample{{Value: 12345678}}},
		{Name: "guia_empty", Kind: "gauge", Help: "Nothing."},
		{Name: "guia_errors_total", Kind: "counter", Help: "Errors.", Samples: []httpd.Sample{
			{Value: 1, Labels: []string{"connection", `a"b\c` + "\n", "kind", "busy"}}, {Value: 0.5, Labels: []string{"connection", "d"}},
		}},
	})
	want := `# HELP guia_events Events.\nAll \\ of them.
# TYPE guia_events gauge
guia_events 1.2345678e+07
# HELP guia_errors_total Errors.
# TYPE guia_errors_total counter
guia_errors_total{connection="a\"b\\c\n",kind="busy"} 1
guia_errors_total{connection="d"} 0.5
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
