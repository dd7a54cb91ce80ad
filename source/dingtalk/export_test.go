package dingtalk

import (
	"crypto/tls"
	"net/http"
)

// Trust lets a client trust the certificate of a test server.
func Trust(c *Client, cfg *tls.Config) {
	c.http.Transport.(*http.Transport).TLSClientConfig = cfg
}
