package dingtalktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Serve opens two ports, one for both dialects and the Stream at addr and one for files beside it, and answers until ctx ends. ready
// is called once with the addresses. The clock is not started: see [Clock.Run].
func (t *Tenant) Serve(ctx context.Context, addr string, ready func(Addresses)) error {
	api, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("open %s: %w", addr, err)
	}
	host, _, err := net.SplitHostPort(api.Addr().String())
	if err != nil {
		api.Close()
		return err
	}
	files, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		api.Close()
		return fmt.Errorf("open a port for files: %w", err)
	}
	a := Addresses{
		API: "http://" + api.Addr().String(), Stream: "ws://" + api.Addr().String() + "/connect", Files: "http://" + files.Addr().String(),
	}
	t.SetAddresses(a)
	servers := []*http.Server{
		{Handler: t.Handler(), ReadHeaderTimeout: 10 * time.Second},
		{Handler: t.Files(), ReadHeaderTimeout: 10 * time.Second},
	}
	ended := make(chan error, len(servers))
	for i, l := range []net.Listener{api, files} {
		go func() { ended <- servers[i].Serve(l) }()
	}
	ready(a)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-ended:
		err = fmt.Errorf("serve: %w", err)
	}
	for _, s := range servers {
		err = errors.Join(err, s.Close())
	}
	t.mu.Lock()
	open := t.stream.open
	t.mu.Unlock()
	for _, c := range open {
		c.close()
	}
	return err
}
