package dingtalktest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// The vector of section 13.2, which was measured.
const (
	vectorToken  = "tokenxxxx"
	vectorKey    = "o1w0aum42yaptlz8alnhwikjd3jenzt9cb9wmzptgus"
	vectorSecret = "X1VSe9cTJUMZu60d3kyLYTrBq5578ZRJtteU94wG0Q4Uk6E/wQYeJRIC0/UFW5Wkya1Ihz9oXAdLlyC9TRaqsQ=="
)

func TestCallbacksAreSignedAndEncryptedAsMeasured(t *testing.T) {
	if got := signature(vectorToken, "1605695694141", "WelUQl6bCqcBa2fM", vectorSecret); got != "f36f4ba5337d426c7d4bca0dbcb06b3ddc1388fc" {
		t.Errorf("got signature %s", got)
	}
	key, err := base64.StdEncoding.DecodeString(vectorKey + "=")
	if err != nil {
		t.Fatal(err)
	}
	message, owner, err := unseal(key, vectorSecret)
	if err != nil || string(message) != "success" || owner != "dingxxxxxx" {
		t.Errorf("got %q of %q, %v", message, owner, err)
	}
	again, err := seal(key, make([]byte, 16), []byte("x"), "y")
	if err != nil {
		t.Fatal(err)
	}
	if message, owner, err = unseal(key, again); err != nil || string(message) != "x" || owner != "y" {
		t.Errorf("got %q of %q, %v", message, owner, err)
	}
}

// hook is an application's address: it answers with success, or with an error while it is down.
type hook struct {
	mu   sync.Mutex
	key  []byte
	app  string
	down bool
	got  []map[string]any
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var in struct{ Encrypt string }
	q := r.URL.Query()
	var event map[string]any
	if json.NewDecoder(r.Body).Decode(&in) != nil || q.Get("signature") != signature(vectorToken, q.Get("timestamp"), q.Get("nonce"), in.Encrypt) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	text, owner, err := unseal(h.key, in.Encrypt)
	if err != nil || owner != h.app || json.Unmarshal(text, &event) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.got = append(h.got, event)
	secret, _ := seal(h.key, make([]byte, 16), []byte("success"), h.app)
	fmt.Fprint(w, jsonText(object{"msg_signature": signature(vectorToken, "1", "n", secret), "timeStamp": "1", "nonce": "n", "encrypt": secret}))
}

func TestCallbacksAreTriedThreeTimesAndThenWrittenDown(t *testing.T) {
	tenant := New(Company{}, Options{})
	key, _ := base64.StdEncoding.DecodeString(vectorKey + "=")
	h := &hook{key: key, app: tenant.App().Key}
	s := httptest.NewServer(h)
	defer s.Close()
	if err := tenant.SetCallback(h.app, s.URL, vectorToken, vectorKey); err != nil {
		t.Fatal(err)
	}
	tenant.Emit("robot_msg_read", map[string]any{"userId": "u"})
	last := h.got[len(h.got)-1]
	if h.got[0]["EventType"] != "check_url" || last["EventType"] != "robot_msg_read" || last["UserId"] != "u" {
		t.Errorf("got %v, want check_url and then an event with capitals", h.got)
	}
	h.down = true
	tenant.Join(1)
	h.down = false
	n := len(h.got)
	tenant.Clock().Advance(9 * time.Second)
	if len(h.got) != n {
		t.Error("tried again too early")
	}
	tenant.Clock().Advance(time.Second)
	if len(h.got) != n+1 || h.got[n]["EventType"] != "user_add_org" {
		t.Errorf("got %v after ten seconds", h.got[n:])
	}
	h.down = true
	tenant.Join(1)
	tenant.Clock().Advance(time.Minute)
	tenant.mu.Lock()
	failed := tenant.takeFailed(h.app, 200)
	again := tenant.takeFailed(h.app, 200)
	tenant.mu.Unlock()
	if len(failed) != 1 || failed[0].kind != "user_add_org" || len(again) != 0 {
		t.Errorf("got %v and then %v, want the event once", failed, again)
	}
}

func TestADayMovesTheClockAndTellsTheStory(t *testing.T) {
	tenant := New(Company{Size: "M"}, Options{})
	first := midnight(tenant.Clock().Now())
	for i := range dismissal + 1 {
		tenant.Do(first.AddDate(0, 0, i))
	}
	if got, want := tenant.Clock().Now(), first.AddDate(0, 0, dismissal+1).Add(-time.Second); !got.Equal(want) {
		t.Errorf("the clock stands at %s, want %s", got, want)
	}
	salesman := tenant.company.userID(tenant.company.cast["salesman"])
	if tenant.company.here(salesman) != nil {
		t.Error("the salesman was not dismissed")
	}
	client, open := 0, 0
	for _, f := range tenant.files.byID {
		if len(f.shares) > 0 && f.shares[0].corp == clientCorp {
			client++
		}
		if f.link {
			open++
		}
	}
	if client != dismissal+1 || open != 1 || len(tenant.audit) < 200 || len(tenant.received) < 100 {
		t.Errorf("got %d reports with the client, %d open links, %d lines, %d messages", client, open, len(tenant.audit), len(tenant.received))
	}
}
