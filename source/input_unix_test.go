//go:build unix

package source_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guia"
	"guia/source"
)

func TestAPipeIsRefusedAndNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := source.OpenInput(pipe)
	if guia.KindOf(err) != guia.Invalid || !strings.Contains(err.Error(), "source.no_file [pipe]") {
		t.Errorf("got %v", err)
	}
}
