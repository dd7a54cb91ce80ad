// Package blobtest says what every blob.Store must do.
//
// An implementation calls Run, and Damage if its stored bytes can be changed
// behind its back, from a test of its own.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"guia/blob"
)

// Run checks a store. open returns an empty one for each subtest and sees to
// its end with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, f := range map[string]func(*testing.T, blob.Store){
		"what was put is opened":                       putAndOpen,
		"a blob is stored once":                        once,
		"an unknown blob is not found":                 unknown,
		"deleting is final and may be repeated":        deleting,
		"a failing reader stores nothing":              failingReader,
		"an ended context stops everything":            endedContext,
		"walk sees every blob in order":                walk,
		"sweep removes the old and unwanted only":      sweep,
		"concurrent puts, opens and sweeps agree":      concurrent,
		"digests have one spelling":                    digests,
		"a reader may be closed before its end":        closeEarly,
		"a blob put again is young for a later sweep":  putAgain,
		"a reader is asked for no more than it offers": oddReaders,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

// Damage checks that changed bytes are noticed and healed. corrupt replaces
// the stored bytes of a blob by what change makes of them.
func Damage(t *testing.T, open func(t *testing.T) (s blob.Store, corrupt func(d blob.Digest, change func([]byte) []byte))) {
	content := pattern(100_000)
	for name, change := range map[string]func([]byte) []byte{
		"first byte changed": func(b []byte) []byte { b[0] ^= 1; return b },
		"last byte changed":  func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b },
		"cut short":          func(b []byte) []byte { return b[:len(b)-1] },
		"emptied":            func(b []byte) []byte { return nil },
		"longer":             func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s, corrupt := open(t)
			d := put(t, s, content)
			corrupt(d, change)
			_, err := read(s, d)
			if !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), d.String()) {
				t.Fatalf("reading it: %v, want ErrDamaged naming %s", err, d)
			}
			// A reader that knows the size and never asks for io.EOF.
			if size, err := s.Stat(t.Context(), d); err == nil {
				r, err := s.Open(t.Context(), d)
				if err != nil {
					t.Fatal(err)
				}
				for left := max(size, 1); left > 0 && err == nil; {
					var n int
					n, err = r.Read(make([]byte, min(left, 1000)))
					left -= int64(n)
				}
				if !errors.Is(err, blob.ErrDamaged) {
					t.Errorf("reading exactly %d bytes: %v, want ErrDamaged", size, err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
			put(t, s, content)
			if got, err := read(s, d); err != nil || !bytes.Equal(got, content) {
				t.Errorf("after putting it again: %d bytes, %v", len(got), err)
			}
		})
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 7))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func put(t *testing.T, s blob.Store, content []byte) blob.Digest {
	t.Helper()
	d, n, err := s.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if d != blob.Digest(sha256.Sum256(content)) || n != int64(len(content)) {
		t.Fatalf("put %d bytes: got digest %s and size %d", len(content), d, n)
	}
	return d
}

func read(s blob.Store, d blob.Digest) ([]byte, error) {
	r, err := s.Open(context.Background(), d)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func all(t *testing.T, s blob.Store) []blob.Digest {
	t.Helper()
	var ds []blob.Digest
	if err := s.Walk(t.Context(), func(d blob.Digest, _ int64) error { ds = append(ds, d); return nil }); err != nil {
		t.Fatal(err)
	}
	return ds
}

func putAndOpen(t *testing.T, s blob.Store) {
	for _, n := range []int{0, 1, 4096, 1<<20 + 1} {
		content := pattern(n)
		d := put(t, s, content)
		got, err := read(s, d)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: read %d, %v", n, len(got), err)
		}
		if size, err := s.Stat(t.Context(), d); err != nil || size != int64(n) {
			t.Errorf("%d bytes: size %d, %v", n, size, err)
		}
	}
}

func once(t *testing.T, s blob.Store) {
	put(t, s, []byte("x"))
	d := put(t, s, []byte("x"))
	if got := all(t, s); !slices.Equal(got, []blob.Digest{d}) {
		t.Errorf("the store holds %v", got)
	}
}

func unknown(t *testing.T, s blob.Store) {
	d := blob.Digest(sha256.Sum256([]byte("never put")))
	if _, err := s.Open(t.Context(), d); !errors.Is(err, blob.ErrNotFound) || !strings.Contains(err.Error(), d.String()) {
		t.Errorf("open: %v, want ErrNotFound naming the digest", err)
	}
	if _, err := s.Stat(t.Context(), d); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v, want ErrNotFound", err)
	}
	if got := all(t, s); len(got) != 0 {
		t.Errorf("an empty store holds %v", got)
	}
}

func deleting(t *testing.T, s blob.Store) {
	d, other := put(t, s, []byte("x")), put(t, s, []byte("y"))
	for range 2 {
		if err := s.Delete(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := read(s, d); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("after deleting: %v, want ErrNotFound", err)
	}
	if got := all(t, s); !slices.Equal(got, []blob.Digest{other}) {
		t.Errorf("the store holds %v", got)
	}
	put(t, s, []byte("x"))
	if _, err := read(s, d); err != nil {
		t.Errorf("put again after deleting: %v", err)
	}
}

func failingReader(t *testing.T, s blob.Store) {
	broken := errors.New("the line broke")
	_, _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(pattern(100_000)), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
	if got := all(t, s); len(got) != 0 {
		t.Errorf("the store holds %v", got)
	}
	swept, err := s.Sweep(t.Context(), func(blob.Digest) bool { return true }, time.Now().Add(time.Hour))
	if err != nil || swept != (blob.Swept{}) {
		t.Errorf("it left something to sweep: %+v, %v", swept, err)
	}
}

func endedContext(t *testing.T, s blob.Store) {
	d := put(t, s, []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Open(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	_, _, putErr := s.Put(ctx, strings.NewReader("y"))
	_, openErr := s.Open(ctx, d)
	_, statErr := s.Stat(ctx, d)
	_, sweepErr := s.Sweep(ctx, func(blob.Digest) bool { return false }, time.Now().Add(time.Hour))
	for what, err := range map[string]error{
		"put": putErr, "open": openErr, "stat": statErr, "sweep": sweepErr,
		"delete": s.Delete(ctx, d),
		"walk":   s.Walk(ctx, func(blob.Digest, int64) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	if got := all(t, s); !slices.Equal(got, []blob.Digest{d}) {
		t.Errorf("the store holds %v", got)
	}
}

func walk(t *testing.T, s blob.Store) {
	want := map[blob.Digest]int64{}
	for n := range 40 {
		want[put(t, s, pattern(n))] = int64(n)
	}
	var last string
	seen := 0
	err := s.Walk(t.Context(), func(d blob.Digest, size int64) error {
		if n, ok := want[d]; !ok || n != size {
			t.Errorf("%s of %d bytes was never put", d, size)
		}
		if d.String() <= last {
			t.Errorf("%s comes after %s", d, last)
		}
		last = d.String()
		seen++
		return s.Delete(t.Context(), d) // allowed
	})
	if err != nil || seen != len(want) {
		t.Errorf("%d blobs, %v, want %d", seen, err, len(want))
	}
	put(t, s, []byte("a"))
	put(t, s, []byte("b"))
	stop := errors.New("enough")
	calls := 0
	if err := s.Walk(t.Context(), func(blob.Digest, int64) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, %v, want one and its error", calls, err)
	}
}

func sweep(t *testing.T, s blob.Store) {
	kept, orphan := put(t, s, []byte("kept")), put(t, s, []byte("orphan"))
	keep := func(d blob.Digest) bool { return d == kept }
	swept, err := s.Sweep(t.Context(), keep, time.Now().Add(-time.Hour))
	if err != nil || swept != (blob.Swept{}) || len(all(t, s)) != 2 {
		t.Fatalf("young blobs: %+v, %v", swept, err)
	}
	swept, err = s.Sweep(t.Context(), keep, time.Now().Add(time.Hour))
	if err != nil || swept != (blob.Swept{Blobs: 1, Bytes: 6}) {
		t.Errorf("old blobs: %+v, %v", swept, err)
	}
	if got := all(t, s); !slices.Equal(got, []blob.Digest{kept}) {
		t.Errorf("the store holds %v, want %s without %s", got, kept, orphan)
	}
}

// A blob that is put, swept for, and put again: whoever got nil from the last
// Put finds it, when the sweep's moment lies before that Put.
func concurrent(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20 {
				content := pattern(1000 + (w+i)%3)
				before := time.Now().Add(-time.Minute)
				d, _, err := s.Put(context.Background(), bytes.NewReader(content))
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				if _, err := s.Sweep(context.Background(), func(blob.Digest) bool { return false }, before); err != nil {
					t.Errorf("sweep: %v", err)
				}
				if got, err := read(s, d); err != nil || !bytes.Equal(got, content) {
					t.Errorf("read: %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if got := all(t, s); len(got) != 3 {
		t.Errorf("the store holds %d blobs, want 3", len(got))
	}
}

// The sweep asks about a blob, and it is put again before the answer.
func putAgain(t *testing.T, s blob.Store) {
	d := put(t, s, []byte("x"))
	olderThan := time.Now().Add(20 * time.Millisecond)
	for time.Now().Before(olderThan) { // the first copy becomes old
	}
	swept, err := s.Sweep(t.Context(), func(blob.Digest) bool {
		put(t, s, []byte("x"))
		return false
	}, olderThan)
	if err != nil || swept != (blob.Swept{}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
	if _, err := read(s, d); err != nil {
		t.Errorf("the blob put during the sweep: %v", err)
	}
}

func digests(t *testing.T, s blob.Store) {
	d := put(t, s, []byte("x"))
	if got, err := blob.ParseDigest(d.String()); err != nil || got != d {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "abc", strings.ToUpper(d.String()), d.String() + "00", d.String()[:62] + "zz", " " + d.String()[1:]} {
		if _, err := blob.ParseDigest(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func closeEarly(t *testing.T, s blob.Store) {
	d := put(t, s, pattern(100_000))
	r, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func oddReaders(t *testing.T, s blob.Store) {
	content := pattern(5000)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
	} {
		d, n, err := s.Put(t.Context(), wrap(bytes.NewReader(content)))
		if err != nil || n != 5000 || d != blob.Digest(sha256.Sum256(content)) {
			t.Errorf("%s: %s, %d, %v", name, d, n, err)
		}
	}
	r, err := s.Open(t.Context(), blob.Digest(sha256.Sum256(content)))
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(r, content); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
