package httpd_test

import (
	"context"
	"errors"
	"io"
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
	l, err := httpd.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- httpd.Serve(ctx, l, h) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), http.NoBody)
	if err != nil {
		t.Fatal(err)
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
