package dingtalktest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"
)

// dice are drawn from the seed, a word and a number, so that a thing is the same in whatever order things are asked for.
type dice uint64

func roll(seed uint64, word string, n ...int64) dice {
	h := fnv.New64a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	h.Write([]byte(word))
	for _, i := range n {
		binary.BigEndian.PutUint64(b[:], uint64(i))
		h.Write(b[:])
	}
	d := dice(h.Sum64())
	d.next()
	return d
}

// next is splitmix64.
func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n is a number from 0 to k-1.
func (d *dice) n(k int) int { return int(d.next() % uint64(k)) }

// percent is true in p of 100 cases.
func (d *dice) percent(p int) bool { return d.n(100) < p }

func (d *dice) span(longest time.Duration) time.Duration {
	return time.Duration(d.next() % uint64(longest)).Truncate(time.Millisecond)
}

func (d *dice) hex(digits int) string {
	b := make([]byte, 0, digits)
	for len(b) < digits/2+1 {
		b = binary.BigEndian.AppendUint64(b, d.next())
	}
	return hex.EncodeToString(b)[:digits]
}

// opaque is an id as DingTalk writes them: letters, digits, and now and then characters that a URL must escape.
func (d *dice) opaque(bytes int) string {
	b := make([]byte, 0, bytes+8)
	for len(b) < bytes {
		b = binary.BigEndian.AppendUint64(b, d.next())
	}
	return base64.StdEncoding.EncodeToString(b[:bytes])
}

func (d *dice) uuid() string {
	s := d.hex(32)
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", s[:8], s[8:12], s[13:16], s[17:20], s[20:32])
}

func pick[T any](d *dice, from []T) T { return from[d.n(len(from))] }
