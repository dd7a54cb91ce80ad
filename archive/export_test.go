package archive

import (
	"context"
	"testing"
	"time"

	"guia/directory"
)

// OnlyTestNow examines a directory as if it were another time.
func OnlyTestNow(t *testing.T, d *directory.Directory, now time.Time, fn func(Health)) {
	t.Helper()
	x := &examination{d: d, ctx: context.Background(), now: now}
	if err := x.examine(nil); err != nil {
		t.Fatal(err)
	}
	fn(x.h)
}

// ParseManifest reads a manifest, for the fuzz test.
var ParseManifest = parseManifest

// Text is the manifest's text, for the fuzz test.
func (m Manifest) Text() []byte { return m.text() }

// OnlyTestBetweenCopies runs fn between the copies of the two databases of a backup.
func OnlyTestBetweenCopies(t *testing.T, fn func()) {
	betweenCopies = fn
	t.Cleanup(func() { betweenCopies = func() {} })
}
