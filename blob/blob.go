// Package blob keeps bytes under their own digest, on disk or S3.
//
// Model. A blob is a sequence of bytes that never changes; its name is its
// SHA-256. [Store] is a plug point: [Dir] keeps blobs in a directory, and
// package blobtest says what every implementation must do. What a blob means
// and who refers to it is known elsewhere: blobs nobody refers to are
// harmless, and [Store.Sweep] removes them.
//
// Guarantees. When Put returns, the blob is durable. What Open delivers up to
// io.EOF has the digest it was asked for; otherwise the end is [ErrDamaged].
// A crash at any moment leaves whole blobs and abandoned temporary files.
//
// Not guaranteed. Nothing is encrypted here, and deleting is not erasing: the
// bytes may survive on the medium (see durable.Shred). Callers store sealed
// bytes and destroy keys. Open delivers bytes before it knows that they are
// right: a caller that cannot take them back reads to the end first.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// Digest is the SHA-256 of a blob.
type Digest [sha256.Size]byte

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest is the inverse of String; upper case is refused, so that a blob
// has one name only.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) == 2*len(d) {
		if _, err := hex.Decode(d[:], []byte(s)); err == nil && d.String() == s {
			return d, nil
		}
	}
	return Digest{}, fmt.Errorf("%.70q is not a SHA-256 in lower-case hexadecimal", s)
}

var (
	// ErrNotFound: there is no blob of this digest. It may have been deleted.
	ErrNotFound = errors.New("there is no such blob")
	// ErrDamaged: the stored bytes are not those of the digest. Stop, tell a
	// human, and restore the blob by putting the right bytes again.
	ErrDamaged = errors.New("the stored bytes are damaged")
)

// Store keeps blobs. Its methods may be called concurrently. Errors name the
// digest. When ctx ends, methods return its error.
type Store interface {
	// Put stores what r delivers up to io.EOF and returns its digest and size.
	// The blob is durable when Put returns nil. Putting what is there already
	// is no error; it replaces a damaged copy, and protects from a Sweep under
	// way like a new blob. After an error nothing was stored and no temporary
	// file is left; after a crash a temporary file may be.
	Put(ctx context.Context, r io.Reader) (Digest, int64, error)

	// Open returns a reader of the blob, or ErrNotFound. The last Read returns
	// io.EOF if all bytes together had the digest and else ErrDamaged, at the
	// latest with the last byte.
	Open(ctx context.Context, d Digest) (io.ReadCloser, error)

	// Stat returns the size in bytes, or ErrNotFound. It does not read the
	// blob: a damaged one can have a size.
	Stat(ctx context.Context, d Digest) (int64, error)

	// Delete removes the blob; it stays removed after a crash. Deleting what
	// is not there is no error.
	Delete(ctx context.Context, d Digest) error

	// Walk calls fn with every blob and its size, in ascending order of
	// digests, and stops at the first error of fn, which it returns. Blobs put
	// or deleted meanwhile may be in or not; fn may delete.
	Walk(ctx context.Context, fn func(Digest, int64) error) error

	// Sweep removes blobs that were put before olderThan and that keep does
	// not want, and temporary files not written to since. A caller puts first
	// and refers to the blob later: olderThan must leave it the time, and a
	// reference to an old blob must begin with another Put. What was removed
	// is counted also when there is an error; sweep again.
	Sweep(ctx context.Context, keep func(Digest) bool, olderThan time.Time) (Swept, error)
}

// Swept says what a sweep removed.
type Swept struct {
	Blobs int
	Temps int // temporary files that a crash left
	Bytes int64
}
