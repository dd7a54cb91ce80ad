package dingtalktest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// callback pushes events to an address of the app's, encrypted and signed.
type callback struct {
	app, address, token string
	key                 []byte
	owner               string
	client              *http.Client
}

// SetCallback registers an address for an app's events: token and the 43 characters of the key are the app's choice. The address is
// asked with check_url first, and must answer as it answers events. Events go there when the app has no Stream open.
func (t *Tenant) SetCallback(app, address, token, key string) error {
	k, err := base64.StdEncoding.DecodeString(key + "=")
	if err != nil || len(k) != 32 {
		return errors.New("the key is not 43 characters of base64")
	}
	h := &callback{app: app, address: address, token: token, key: k, owner: app, client: &http.Client{
		Timeout: 2500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true},
	}}
	if err := h.call(t, object{"EventType": "check_url"}); err != nil {
		return fmt.Errorf("check_url: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.callback = h
	return nil
}

// post sends one event; what is not answered with success is tried again after 10 and 30 seconds.
func (h *callback) post(t *Tenant, o outgoing) {
	if o.empty {
		return
	}
	body := object{"EventType": o.kind, "EventTime": strconv.FormatInt(o.born.UnixMilli(), 10), "CorpId": t.company.id, "BizId": "1", "eventId": o.id}
	for k, v := range o.data {
		if strings.HasPrefix(o.kind, "robot_") { // HTTP push writes these names with a capital, Stream does not
			k = strings.ToUpper(k[:1]) + k[1:]
		}
		body[k] = v
	}
	if h.call(t, body) != nil {
		t.again(o)
	}
}

func (h *callback) call(t *Tenant, body object) error {
	d := roll(t.company.spec.Seed, "nonce "+jsonText(body))
	at, nonce := strconv.FormatInt(t.clock.Now().UnixMilli(), 10), d.hex(16)
	secret, err := seal(h.key, []byte(d.hex(16)), []byte(jsonText(body)), h.owner)
	if err != nil {
		return err
	}
	q := url.Values{"signature": {signature(h.token, at, nonce, secret)}, "timestamp": {at}, "nonce": {nonce}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, h.address+"?"+q.Encode(), strings.NewReader(jsonText(object{"encrypt": secret})))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var reply struct {
		Signature string `json:"msg_signature"`
		Time      any    `json:"timeStamp"`
		Nonce     string `json:"nonce"`
		Encrypt   string `json:"encrypt"`
	}
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxBody))
	dec.UseNumber()
	if err := dec.Decode(&reply); err != nil {
		return err
	}
	if reply.Signature != signature(h.token, fmt.Sprint(reply.Time), reply.Nonce, reply.Encrypt) {
		return errors.New("the answer's signature is wrong")
	}
	said, owner, err := unseal(h.key, reply.Encrypt)
	if err != nil || owner != h.owner || string(said) != "success" {
		return fmt.Errorf("the answer is not success: %w", err)
	}
	return nil
}

func signature(parts ...string) string {
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// seal writes 16 random bytes, the length, the message and the owner, padded to 32 bytes, in AES-256-CBC.
func seal(key, random, message []byte, owner string) (string, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	b := slices.Clone(random)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	b = append(append(b, message...), owner...)
	pad := 32 - len(b)%32
	b = append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b), nil
}

func unseal(key []byte, secret string) (message []byte, owner string, err error) {
	b, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(b) < 32 || len(b)%16 != 0 {
		return nil, "", errors.New("not encrypted")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, "", err
	}
	cipher.NewCBCDecrypter(block, key[:16]).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > 32 || pad > len(b)-20 {
		return nil, "", errors.New("bad padding")
	}
	b = b[:len(b)-pad]
	n := binary.BigEndian.Uint32(b[16:20])
	if int(n) > len(b)-20 {
		return nil, "", errors.New("bad length")
	}
	return b[20 : 20+n], string(b[20+n:]), nil
}
