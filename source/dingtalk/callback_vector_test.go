package dingtalk

import (
	"encoding/base64"
	"testing"
)

// The vector of dingtalk-api.md 13.2.
const (
	vectorToken   = "tokenxxxx"
	vectorKey     = "o1w0aum42yaptlz8alnhwikjd3jenzt9cb9wmzptgus"
	vectorEncrypt = "X1VSe9cTJUMZu60d3kyLYTrBq5578ZRJtteU94wG0Q4Uk6E/wQYeJRIC0/UFW5Wkya1Ihz9oXAdLlyC9TRaqsQ=="
)

func TestThePublishedVectorOpens(t *testing.T) {
	if got := sign(vectorToken, "1605695694141", "WelUQl6bCqcBa2fM", vectorEncrypt); got != "f36f4ba5337d426c7d4bca0dbcb06b3ddc1388fc" {
		t.Errorf("signature %s", got)
	}
	key, err := base64.StdEncoding.DecodeString(vectorKey + "=")
	if err != nil {
		t.Fatal(err)
	}
	message, owner, err := unseal(key, vectorEncrypt)
	if err != nil || string(message) != "success" || owner != "dingxxxxxx" {
		t.Errorf("%q for %q, %v", message, owner, err)
	}
	for n := range 70 { // every length of padding
		again, err := encrypt(key, make([]byte, n), owner)
		if err != nil {
			t.Fatal(err)
		}
		if message, owner, err = unseal(key, again); err != nil || len(message) != n || owner != "dingxxxxxx" {
			t.Errorf("%d bytes: %q %q %v", n, message, owner, err)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	key, _ := base64.StdEncoding.DecodeString(vectorKey + "=")
	f.Add(vectorEncrypt)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if message, owner, err := unseal(key, s); err == nil && len(message)+len(owner)+20 > len(s) {
			t.Errorf("%d and %d bytes out of %d", len(message), len(owner), len(s))
		}
	})
}
