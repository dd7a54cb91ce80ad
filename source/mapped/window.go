package mapped

import (
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// window is a sliding view on a file: what is not taken yet, growing at the end as far as a reader needs to look. Memory is the
// longest look, not the file.
//
// Readers scan bytes in which ASCII means ASCII. For UTF-16 these are made by translation, and the bytes as received are kept
// beside them; every 16-bit unit has a known length in both, so that places in one are places in the other.
type window struct {
	r   io.Reader
	enc Encoding

	buf []byte // what readers scan; [pos:] is not taken yet
	pos int
	off int64 // place in the file of buf[pos]
	err error // why r ended

	raw    []byte // UTF-16 only: the bytes behind buf[pos:] and those that do not make a whole character yet
	rawPos int
	units  int // bytes of raw that are translated already
}

const (
	readSize = 64 << 10
	keptRaw  = 64 << 10 // of what is larger than the limits or beyond repair, this much is kept in the gap
)

// newWindow begins at off, where r stands. It uses the memory of old, a window that is not needed any more; nil for none.
func newWindow(r io.Reader, enc Encoding, off int64, old *window) *window {
	w := &window{r: r, enc: enc, off: off}
	if old != nil && cap(old.buf) <= 4*readSize {
		w.buf, w.raw = old.buf[:0], old.raw[:0]
	}
	return w
}

// bytes is what can be scanned without reading more. It is valid until the next call of more.
func (w *window) bytes() []byte { return w.buf[w.pos:] }

// more reads on; false means that nothing follows and why is in err.
func (w *window) more() bool {
	if w.err != nil {
		return false
	}
	if w.pos > 0 {
		w.buf = w.buf[:copy(w.buf, w.buf[w.pos:])]
		w.pos = 0
	}
	if w.enc.wide() {
		return w.moreWide()
	}
	w.buf, w.err = readMore(w.r, w.buf)
	return w.err == nil
}

// readMore appends what r has to b, at least a byte unless it returns an error.
func readMore(r io.Reader, b []byte) ([]byte, error) {
	if cap(b)-len(b) < readSize/2 {
		b = append(make([]byte, 0, max(2*cap(b), 2*readSize)), b...)
	}
	for range 100 {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if n > 0 {
			return b, nil // an error comes back at the next call
		}
		if err != nil {
			return b, err
		}
	}
	return b, io.ErrNoProgress
}

// moreWide reads UTF-16 and translates whole characters.
func (w *window) moreWide() bool {
	if w.rawPos > 0 {
		w.raw = w.raw[:copy(w.raw, w.raw[w.rawPos:])]
		w.units -= w.rawPos
		w.rawPos = 0
	}
	before := len(w.buf)
	for len(w.buf) == before && w.err == nil {
		w.raw, w.err = readMore(w.r, w.raw)
		for w.units+2 <= len(w.raw) {
			r := w.unit(w.units)
			size := 2
			if utf16.IsSurrogate(r) {
				if w.units+4 > len(w.raw) && w.err == nil && r < 0xDC00 {
					break // its second half is not read yet
				}
				pair := rune(utf8.RuneError)
				if w.units+4 <= len(w.raw) {
					pair = utf16.DecodeRune(r, w.unit(w.units+2))
				}
				r = pair
				if pair != utf8.RuneError {
					size = 4
				}
			}
			w.buf = utf8.AppendRune(w.buf, r)
			w.units += size
		}
		if w.err != nil && w.units < len(w.raw) { // half a unit at the end of the file
			w.buf = utf8.AppendRune(w.buf, utf8.RuneError)
			w.units = len(w.raw)
		}
	}
	return len(w.buf) > before
}

func (w *window) unit(at int) rune {
	if w.enc == UTF16BE {
		return rune(w.raw[at])<<8 | rune(w.raw[at+1])
	}
	return rune(w.raw[at]) | rune(w.raw[at+1])<<8
}

// take moves past the next n scanned bytes and returns the bytes as received behind them. They are valid until the next more.
func (w *window) take(n int) []byte {
	scanned := w.buf[w.pos : w.pos+n]
	w.pos += n
	if !w.enc.wide() {
		w.off += int64(n)
		return scanned
	}
	size := 0
	for len(scanned) > 0 {
		r, width := utf8.DecodeRune(scanned)
		scanned = scanned[width:]
		size += 2
		if r > 0xFFFF {
			size += 2
		}
	}
	size = min(size, len(w.raw)-w.rawPos)
	raw := w.raw[w.rawPos : w.rawPos+size]
	w.rawPos += size
	w.off += int64(size)
	return raw
}

// behind returns the bytes as received behind the scanned bytes [from, to) of [window.bytes], without moving.
func (w *window) behind(from, to int) []byte {
	if !w.enc.wide() {
		return w.buf[w.pos+from : w.pos+to]
	}
	saved := *w
	w.take(from)
	raw := w.take(to - from)
	*w = saved
	return raw
}

// drop moves past n scanned bytes and appends what fits into kept.
func (w *window) drop(n int, kept []byte) []byte {
	raw := w.take(n)
	return append(kept, raw[:min(len(raw), keptRaw-len(kept))]...)
}

// dropRest reads to the end of the file, keeping the beginning.
func (w *window) dropRest(kept []byte) []byte {
	for {
		kept = w.drop(len(w.bytes()), kept)
		if !w.more() {
			return kept
		}
	}
}
