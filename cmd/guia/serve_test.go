package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
	limit := time.After(time.Minute)
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
	case <-time.After(time.Minute):
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
	q, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.at+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
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
	// Other commands are carried out meanwhile, also those that change something.
	boss := c.Cast()["admin"]
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
