package seal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// FuzzMAC compares with crypto/hmac.
func FuzzMAC(f *testing.F) {
	f.Add([]byte("key"), []byte("message"))
	f.Add(bytes.Repeat([]byte{0xaa}, 64), bytes.Repeat([]byte("x"), 500))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, message []byte) {
		key = key[:min(len(key), sha256.BlockSize)]
		want := hmac.New(sha256.New, key)
		want.Write(message)
		m := newMAC(key)
		if got := m.sum(append(m.inner[:len(m.inner):len(m.inner)], message...)); !bytes.Equal(got[:], want.Sum(nil)) {
			t.Errorf("key %x, message %x: %x, crypto/hmac says %x", key, message, got, want.Sum(nil))
		}
	})
}
