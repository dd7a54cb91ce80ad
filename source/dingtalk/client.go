package dingtalk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"guia"
)

// The base URLs of the mainland and the international service. No source names an international twin of the old host.
const (
	MainlandAPI      = "https://api.dingtalk.com"
	MainlandOAPI     = "https://oapi.dingtalk.com"
	InternationalAPI = "https://api.dingtalk.io"
)

// maxAnswer is the most bytes of one answer: rows, and the answer whole beside them, stay below the limit of a page (package source).
const maxAnswer = 4 << 20

// maxRetries is how often a call is repeated that the service did not answer (dingtalk-api.md 1.4).
const maxRetries = 3

// Secret is a text that no log, error or encoding shows.
type Secret string

// String hides the secret.
func (s Secret) String() string { return "[redacted]" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Config says which tenant is read, and as whom.
type Config struct {
	CorpID    string // the organisation
	AppKey    string
	AppSecret Secret

	API, OAPI string // base URLs of the new and the old host; empty: mainland. Plain http is for this machine only

	AgentID       int64   // of the application, for Smart HR and work notifications
	RobotCode     string  // for read results of the robot
	Edition       Edition // what the tenant has bought: of a call that it does not have, no permission point is asked for
	Operator      string  // userId on whose behalf announcements are read: a main administrator
	OperatorUnion string  // unionId on whose behalf files and recordings are read: a main administrator

	Budget *Budget // nil: the standard edition's, kept nowhere

	// For tests; nil is the real thing.
	Now   func() time.Time
	Wait  func(ctx context.Context, d time.Duration) error
	Proxy func(*http.Request) (*url.URL, error) // nil: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment
}

// Client calls both hosts of the Open Platform with one access token. It may be used concurrently. It holds nothing that must survive
// a crash.
type Client struct {
	cfg       Config
	api, oapi *url.URL
	http      *http.Client

	mu      sync.Mutex
	token   string
	expires time.Time

	pace sync.Mutex
	next map[string]time.Time // per call: when the next one may start
}

// New checks the configuration and calls nothing. It refuses (invalid) what is missing, and URLs other than https.
func New(cfg Config) (*Client, error) {
	if cfg.CorpID == "" || cfg.AppKey == "" || cfg.AppSecret == "" || clean(cfg.CorpID) == "" {
		return nil, guia.Refuse(guia.Invalid, "dingtalk.incomplete")
	}
	if cfg.API == "" && cfg.OAPI == "" {
		cfg.API, cfg.OAPI = MainlandAPI, MainlandOAPI
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Wait == nil {
		cfg.Wait = wait
	}
	if cfg.Proxy == nil {
		cfg.Proxy = http.ProxyFromEnvironment
	}
	if cfg.Budget == nil {
		cfg.Budget = NewBudget(QuotaOf(Standard), Usage{}, nil, cfg.Now)
	}
	c := &Client{cfg: cfg, next: map[string]time.Time{}}
	var err error
	if c.api, err = base(cfg.API); err != nil {
		return nil, err
	}
	if c.oapi, err = base(cfg.OAPI); err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy: cfg.Proxy, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 15 * time.Second,
			ResponseHeaderTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
		Timeout: 2 * time.Minute,
		// The token stands in the address of the old host: it is shown to nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// base reads a base URL.
func base(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, guia.Refuse(guia.Invalid, "dingtalk.address_bad", s)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	here := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !here) {
		return nil, guia.Refuse(guia.Invalid, "dingtalk.address_bad", s)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// answer is what a call brought, as received, with what is known of where it came from.
type answer struct {
	api     *endpoint
	body    []byte
	request string
	peer    string        // digest of the certificate; empty without TLS
	offset  time.Duration // how far the other clock was ahead
	hasTime bool          // the other clock was told
}

// call asks for an answer: it keeps the pace of the call, spends from the budget, renews the token when it is not accepted, and repeats
// what was not answered. An error is a refusal with the remedy, or the context's.
func (c *Client) call(ctx context.Context, job Job, e *endpoint, a args) (*answer, error) {
	renewed := false
	for tries := 0; ; {
		if err := c.keepPace(ctx, e); err != nil {
			return nil, err
		}
		token, err := c.tokenFor(ctx, e)
		if err != nil {
			return nil, err
		}
		if err := c.cfg.Budget.spend(job, e); err != nil {
			return nil, err
		}
		ans, fault := c.once(ctx, e, a, token)
		if fault == nil {
			return ans, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if fault.Kind == Permission && e.edition > c.cfg.Edition { // granting it is not possible: the gateway knows points, not editions
			fault.Kind = NoEdition
		}
		switch fault.Kind {
		case BadToken:
			if renewed || e == apiToken || e == apiOpen {
				return nil, fault.refusal()
			}
			c.forget(token)
			renewed = true
			continue
		case Throttled, Busy:
			if fault.Kind == Throttled && fault.Code != "fileArchived" || fault.Status == 0 {
				c.cfg.Budget.refund(job, e) // neither is billed; that a file is archived is an answer
			}
			if tries++; tries > maxRetries || fault.Wait > 10*time.Second || fault.Code == "fileArchived" {
				return nil, fault.refusal()
			}
			if err := c.cfg.Wait(ctx, time.Duration(tries)*time.Second); err != nil {
				return nil, err
			}
			continue
		case NoCalls:
			c.cfg.Budget.exhausted()
		default:
		}
		return nil, fault.refusal()
	}
}

// once makes one call.
func (c *Client) once(ctx context.Context, e *endpoint, a args, token string) (*answer, *Fault) {
	fault := func(kind FaultKind) *Fault { return &Fault{Kind: kind, API: e.String()} }
	u := *c.api
	if e.old {
		u = *c.oapi
	}
	u.RawPath = u.EscapedPath() + e.fill(a.path, url.PathEscape)
	u.Path += e.fill(a.path, func(s string) string { return s })
	query := a.clone().query
	if query == nil {
		query = url.Values{}
	}
	if e.old && token != "" {
		query.Set("access_token", token)
	}
	u.RawQuery = query.Encode()
	var body io.Reader
	if e.method == "POST" {
		if a.body == nil {
			a.body = map[string]any{}
		}
		b, err := json.Marshal(a.body)
		if err != nil {
			return nil, fault(BadRequest)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, e.method, u.String(), body)
	if err != nil {
		return nil, fault(BadRequest)
	}
	req.Header.Set("Content-Type", "application/json;charset=utf-8")
	req.Header.Set("User-Agent", "Guia/"+Version)
	if !e.old && token != "" {
		req.Header.Set("x-acs-dingtalk-access-token", token)
	}
	before := c.cfg.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fault(Busy) // its text has the address with the token in it
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fault(Busy)
	}
	if len(got) > maxAnswer {
		f := fault(Unexpected)
		f.Status = res.StatusCode
		return nil, f
	}
	got = bytes.TrimSpace(got)
	if f := faultOf(e, res.StatusCode, got); f != nil {
		return nil, f
	}
	ans := &answer{api: e, body: got}
	var id trouble
	if fits(got, &id) {
		ans.request = clean(string(id.RequestID))
		if ans.request == "" {
			ans.request = clean(string(id.RequestID2))
		}
	}
	ans.peer = peerOf(res)
	if told, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		ans.offset, ans.hasTime = told.Sub(before.Truncate(time.Second)), true // the header has whole seconds
	}
	return ans, nil
}

// peerOf is the digest of the certificate of the machine that answered; empty without TLS.
func peerOf(res *http.Response) string {
	if res == nil || res.TLS == nil || len(res.TLS.PeerCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(res.TLS.PeerCertificates[0].Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// keepPace waits until the call may be made: each at most so many times a second.
func (c *Client) keepPace(ctx context.Context, e *endpoint) error {
	gap := time.Second / time.Duration(max(1, c.cfg.Budget.Quota().QPS))
	c.pace.Lock()
	now := c.cfg.Now()
	at := c.next[e.path]
	if at.Before(now) {
		at = now
	}
	c.next[e.path] = at.Add(gap)
	c.pace.Unlock()
	if d := at.Sub(now); d > 0 {
		return c.cfg.Wait(ctx, d)
	}
	return ctx.Err()
}

// tokenFor returns the token of the application; empty for the calls that take its key and secret. One goroutine asks while others wait.
func (c *Client) tokenFor(ctx context.Context, e *endpoint) (string, error) {
	if e == apiToken || e == apiOpen {
		return "", nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && c.cfg.Now().Before(c.expires) {
		return c.token, nil
	}
	ans, err := c.call(ctx, JobBase, apiToken, args{body: map[string]any{"appKey": c.cfg.AppKey, "appSecret": string(c.cfg.AppSecret)}})
	if err != nil {
		return "", err
	}
	var t struct {
		Token   text   `json:"accessToken"`
		Seconds number `json:"expireIn"`
	}
	if err := read(ans.body, &t); err != nil || t.Token == "" {
		return "", (&Fault{Kind: Unexpected, API: apiToken.String(), Request: ans.request}).refusal()
	}
	life := time.Duration(min(max(t.Seconds, 1), 86400)) * time.Second
	c.token, c.expires = string(t.Token), c.cfg.Now().Add(life-life/20) // a call takes its time
	return c.token, nil
}

// forget drops a token that was not accepted.
func (c *Client) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token = ""
	}
}

// faultIn returns the fault that a refusal was made of.
func faultIn(err error) *Fault {
	f, _ := errors.AsType[*Fault](err)
	return f
}
