package dingtalk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1" // DingTalk signs with it
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"guia"
)

// CallbackOptions say how posts to our address are received.
type CallbackOptions struct {
	PushOptions

	Token Secret // both as they stand in the developer console
	Key   Secret // 43 characters
}

// Callback receives what DingTalk posts to an address of ours, where the Stream cannot be used (dingtalk-api.md 13.2). It is an
// [http.Handler] and may be used concurrently.
//
// A post is answered with success when what it told is durable, and not before: DingTalk posts it again after 10 and after 30 seconds
// otherwise, and then never. When one could not be kept, [Callback.Done] is closed, [Callback.Err] says why, and [Callback.Since] stays
// before it: whoever runs it says so, and keeps the loss as [Callback.Lost]. What is not signed with the token, is older than [window], or is for another application, is refused and touches nothing.
// Refusals do not say why: whoever does not know the token learns nothing.
type Callback struct {
	box   *inbox
	token string
	key   []byte

	mu     sync.Mutex
	coming []time.Time // when posts came that are not durable
	err    error
	done   chan struct{}
}

const (
	// window is how far the clock of a post may be from ours, as DingTalk has it for robots (dingtalk-api.md 3.3). What is posted twice
	// within it is known by its identifier.
	window = time.Hour
	// padding is the block of PKCS#7: 32, although that of AES is 16.
	padding = 32
	// maxPost is the most bytes of a post: an event of the largest size, encrypted and in Base64.
	maxPost = maxFrame/3*4 + 4096
)

// NewCallback checks the options and calls nothing. It refuses (invalid) a token or key that cannot be one.
func NewCallback(c *Client, opt CallbackOptions) (*Callback, error) {
	box, err := newInbox(c, opt.PushOptions)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(string(opt.Key) + "=")
	if err != nil || len(key) != 32 || opt.Token == "" {
		return nil, guia.Refuse(guia.Invalid, "dingtalk.stream_callback")
	}
	return &Callback{box: box, token: string(opt.Token), key: key, done: make(chan struct{})}, nil
}

// Done is closed when a post could not be kept.
func (h *Callback) Done() <-chan struct{} { return h.done }

// Err is why the first post could not be kept that could not: the error of [PushOptions.Keep], or of the budget; nil until then.
func (h *Callback) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Since is up to when all that DingTalk posted is durable: when the earliest post came that is not, else now. After an error it stays. It
// is stored now and then, and told to [Callback.Lost] when posts are received again; an older value makes a longer loss be told.
func (h *Callback) Since() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := h.box.c.cfg.Now()
	for _, came := range h.coming {
		if came.Before(since) {
			since = came
		}
	}
	return since
}

// came notes that something is posted, before it is read. The function that it returns is called with nil when that is durable or was
// refused, and with the error when it could not be kept.
func (h *Callback) came() (ended func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.box.c.cfg.Now()
	h.coming = append(h.coming, now)
	return func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil {
			i := slices.Index(h.coming, now)
			h.coming = slices.Delete(h.coming, i, i+1)
			return
		}
		if h.err == nil {
			h.err = err
			close(h.done)
		}
	}
}

// Counts say what became of posts.
func (h *Callback) Counts() PushCounts { return h.box.counts() }

// Lost keeps the fact that posts of that time may be lost, for the feeds that are on and that no call makes up for; it returns when that is
// durable. Whoever was not there to answer knows from when to when.
func (h *Callback) Lost(ctx context.Context, from, to time.Time) error {
	return h.box.lost(ctx, from, to, "nobody answered the posts of DingTalk: events may be lost")
}

// errPost is a post that DingTalk did not make.
var errPost = errors.New("not signed by DingTalk for this application")

// ServeHTTP implements [http.Handler].
func (h *Callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	var unkept error
	ended := h.came()
	defer func() { ended(unkept) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPost))
	if err != nil {
		h.box.count(PushCounts{Refused: 1})
		http.Error(w, "too large, or broken off", http.StatusRequestEntityTooLarge)
		return
	}
	q := r.URL.Query()
	message, owner, err := h.open(cmp.Or(q.Get("msg_signature"), q.Get("signature")), q.Get("timestamp"), q.Get("nonce"), body)
	if err != nil {
		h.box.count(PushCounts{Refused: 1})
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	p := postOf(message)
	if p.topic != "check_url" {
		// When DingTalk waits no longer it is kept all the same, and known when it is posted again.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepTime)
		defer cancel()
		if unkept = h.box.take(ctx, []push{p}); unkept != nil {
			http.Error(w, "try again", http.StatusInternalServerError)
			return
		}
	}
	answer, err := h.success(owner)
	if err != nil {
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_, _ = w.Write(answer) // when it does not arrive, the post comes again and is known
}

// open checks and decrypts a post. The signature comes first: nothing of a post without it is looked at.
func (h *Callback) open(signature, timestamp, nonce string, body []byte) (message []byte, owner string, err error) {
	var post struct {
		Encrypt string `json:"encrypt"`
	}
	if read(body, &post) != nil || post.Encrypt == "" {
		return nil, "", errPost
	}
	want := sign(h.token, timestamp, nonce, post.Encrypt)
	if subtle.ConstantTimeCompare([]byte(signature), []byte(want)) != 1 {
		return nil, "", errPost
	}
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return nil, "", errPost
	}
	if age := h.box.c.cfg.Now().Sub(time.UnixMilli(ms)); age > window || age < -window {
		return nil, "", errPost
	}
	message, owner, err = unseal(h.key, post.Encrypt)
	if err != nil {
		return nil, "", err
	}
	if cfg := &h.box.c.cfg; owner != cfg.AppKey && owner != cfg.CorpID {
		return nil, "", errPost
	}
	return message, owner, nil
}

// success is the answer that ends the delivery of a post.
func (h *Callback) success(owner string) ([]byte, error) {
	nonce := rand.Text()[:16]
	stamp := millis(h.box.c.cfg.Now())
	encrypted, err := encrypt(h.key, []byte("success"), owner)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{
		"msg_signature": sign(h.token, stamp, nonce, encrypted), "timeStamp": stamp, "nonce": nonce, "encrypt": encrypted,
	})
}

// sign is the signature: the SHA-1 of the parts in their order.
func sign(parts ...string) string {
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// unseal decrypts what was encrypted with the key: 16 random bytes, a length, the message, and for whom it is.
func unseal(key []byte, encrypted string) (message []byte, owner string, err error) {
	data, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, "", errPost
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, "", err
	}
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > padding || pad > len(data) || bytes.Count(data[len(data)-pad:], []byte{byte(pad)}) != pad {
		return nil, "", errPost
	}
	data = data[:len(data)-pad]
	if len(data) < 20 {
		return nil, "", errPost
	}
	n := binary.BigEndian.Uint32(data[16:])
	data = data[20:]
	if uint64(n) > uint64(len(data)) {
		return nil, "", errPost
	}
	return data[:n], string(data[n:]), nil
}

// encrypt is the inverse of [unseal].
func encrypt(key, message []byte, owner string) (string, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	data := make([]byte, 16, 20+len(message)+len(owner)+padding)
	rand.Read(data)
	data = binary.BigEndian.AppendUint32(data, uint32(len(message)))
	data = append(append(data, message...), owner...)
	pad := padding - len(data)%padding
	data = append(data, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	return base64.StdEncoding.EncodeToString(data), nil
}

// postOf reads a post: what the Stream has in its headers stands beside the members of the event.
func postOf(message []byte) push {
	p := push{via: "HTTP", data: bytes.Clone(message)}
	var head struct {
		Event text `json:"EventType"`
		Time  text `json:"EventTime"`
		Stamp text `json:"timeStamp"`
		Corp  text `json:"CorpId"`
		ID    text `json:"eventId"`
		Biz   text `json:"BizId"`
	}
	if !fits(message, &head) || head.Event == "" || len(head.Event) > maxPushID || len(head.ID) > maxPushID || len(head.Biz) > maxPushID || len(head.Corp) > maxPushID {
		p.odd = errPush.Error()
		return p
	}
	p.topic, p.corp, p.born = string(head.Event), string(head.Corp), cmp.Or(head.Time, head.Stamp)
	p.id = string(cmp.Or(head.ID, head.Biz))
	if p.id == "" {
		p.id = digest(message)
	}
	return p
}
