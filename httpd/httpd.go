// Package httpd is the only way in: a server with limits on this machine's own address, whether the program is well, and what it has
// counted.
//
// The model: whoever runs the program asks /healthz (does it run), /readyz (can it do its work; why not) and /metrics (numbers, in the text
// format of Prometheus). What is answered is looked up at that moment; nothing is kept here.
//
// Guaranteed: the server listens on a loopback address only, ends slow and oversized requests, and leaves no goroutine behind. It answers
// only who asks this machine by its own name: no page of a website may, whatever address the website gives its name (DNS rebinding).
//
// Not guaranteed: who asks. Every program on this machine may: no answer of this package holds personal data or a secret. A proxy that
// hands on requests as its own is such a program.
package httpd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"guia"
)

// Limits of a request.
const (
	headerTime = 10 * time.Second
	bodyTime   = 30 * time.Second
	answerTime = time.Minute
	idleTime   = 2 * time.Minute
	mostHeader = 32 << 10
	// leaveTime is how long requests that were begun may take when the server ends.
	leaveTime = 5 * time.Second
)

// Listen opens a port. It refuses (invalid) an address that is not one of this machine's own, such as 127.0.0.1:8530, and (blocked) one that
// cannot be opened. Port 0 is any free one.
func Listen(address string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return nil, guia.RefuseCause(guia.Invalid, err, "httpd.address", address)
	}
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, guia.RefuseCause(guia.Blocked, err, "httpd.taken", address)
	}
	return l, nil
}

// Serve answers requests until ctx ends; requests that were begun are then finished, for five seconds at most. It closes l. Its error is why
// it ended before it was told to.
//
// What is asked under another name than a loopback address or localhost is refused, and so is what a browser says a page of another origin
// asks. posted are patterns of [http.ServeMux]; what fits one reaches h whoever asks: a proxy hands it on from elsewhere.
func Serve(ctx context.Context, l net.Listener, h http.Handler, posted ...string) error {
	paths := http.NewServeMux()
	paths.Handle("/", own(h))
	for _, pattern := range posted {
		paths.Handle(pattern, h)
	}
	s := &http.Server{
		Handler: headed(paths), ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime, WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: mostHeader,
	}
	ended := make(chan struct{})
	left := make(chan struct{})
	go func() {
		defer close(left)
		select {
		case <-ctx.Done():
		case <-ended:
		}
		leaving, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer stop()
		if s.Shutdown(leaving) != nil {
			_ = s.Close() // nothing is left to wait for
		}
	}()
	err := s.Serve(l)
	close(ended)
	<-left
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// headed lets no answer be kept or be taken for something else.
func headed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// own hands on only what is asked by no page of a website. A browser tells the name under which a page reaches us, and that it is a page of
// another origin; a page can change neither.
func own(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isLoopback(r.Host):
			http.Error(w, "ask 127.0.0.1 or localhost: this name is not answered", http.StatusMisdirectedRequest)
		case isForeign(r):
			http.Error(w, "asked by a page of another origin", http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// isLoopback reports whether a host, with or without a port, is this machine's by itself and not by what a name server says.
func isLoopback(host string) bool {
	u := url.URL{Host: host}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
}

// isForeign reports whether a browser says that a page of another origin asks; other programs say nothing.
func isForeign(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	return site != "" && site != "none" && site != "same-origin" || origin != "" && origin != "http://"+r.Host
}

// Check is one thing that must be so for the program to do its work.
type Check struct {
	Name string
	Why  string // why it is not so; empty when it is
}

// Healthz answers that the program runs.
func Healthz() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
}

// Readyz answers 200 when all checks are so and 503 when one is not, with a line for each.
func Readyz(look func(context.Context) []Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, lines := http.StatusOK, ""
		for _, c := range look(r.Context()) {
			if c.Why == "" {
				lines += "ok " + c.Name + "\n"
				continue
			}
			code, lines = http.StatusServiceUnavailable, lines+"not ok "+c.Name+": "+c.Why+"\n"
		}
		text(w, code, lines)
	})
}

func text(w http.ResponseWriter, code int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(s)) // whoever asked has gone
}
