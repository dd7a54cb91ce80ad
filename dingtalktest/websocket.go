package dingtalktest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// The server's side of RFC 6455: text frames out, masked frames in, ping, pong, close, fragments. No extensions.

const (
	maxFrame = 1 << 20

	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

type socket struct {
	conn net.Conn
	in   *bufio.Reader
	mu   sync.Mutex // of writing
}

// upgrade answers the handshake (RFC 6455 section 4.2). known is called before the answer, so that who has the answer is known;
// what is sent meanwhile goes after it.
func upgrade(w http.ResponseWriter, r *http.Request, known func(*socket)) (*socket, error) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-WebSocket-Version") != "13" || key == "" {
		return nil, errors.New("not a WebSocket handshake")
	}
	h, ok := w.(http.Hijacker)
	if !ok {
		return nil, errors.New("the connection cannot be taken over")
	}
	conn, rw, err := h.Hijack()
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, in: rw.Reader}
	s.mu.Lock()
	defer s.mu.Unlock()
	known(s)
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	return s, err
}

func (s *socket) close() { s.conn.Close() }

func (s *socket) send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write(opText, b)
}

func (s *socket) write(op byte, b []byte) error {
	head := []byte{0x80 | op}
	switch n := len(b); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write(append(head, b...))
	return err
}

// receive is the next text, fragments put together. It answers pings, and ends with the connection or a close frame.
func (s *socket) receive() ([]byte, error) {
	var text []byte
	for {
		op, last, b, err := s.read()
		if err != nil {
			return nil, err
		}
		switch op {
		case opPing:
			if err := s.write(opPong, b); err != nil {
				return nil, err
			}
		case opPong:
		case opClose:
			return nil, errors.Join(io.EOF, s.write(opClose, b[:min(len(b), 2)]))
		default:
			if text = append(text, b...); len(text) > maxFrame {
				return nil, errors.New("message too long")
			}
			if last {
				return text, nil
			}
		}
	}
}

// read is one frame (RFC 6455 section 5.2). A client must mask.
func (s *socket) read() (op byte, last bool, b []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(s.in, head[:]); err != nil {
		return 0, false, nil, err
	}
	if head[1]&0x80 == 0 {
		return 0, false, nil, errors.New("a client's frame without a mask")
	}
	n := uint64(head[1] & 0x7f)
	var long [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(s.in, long[:2])
		n = uint64(binary.BigEndian.Uint16(long[:2]))
	case 127:
		_, err = io.ReadFull(s.in, long[:8])
		n = binary.BigEndian.Uint64(long[:8])
	}
	if err != nil {
		return 0, false, nil, err
	}
	if n > maxFrame {
		return 0, false, nil, errors.New("frame too long")
	}
	var mask [4]byte
	if _, err = io.ReadFull(s.in, mask[:]); err != nil {
		return 0, false, nil, err
	}
	b = make([]byte, n)
	if _, err = io.ReadFull(s.in, b); err != nil {
		return 0, false, nil, err
	}
	for i := range b {
		b[i] ^= mask[i%4]
	}
	return head[0] & 0x0f, head[0]&0x80 != 0, b, nil
}
