package blob_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guia/blob"
	"guia/durable"
	"guia/guiatest/disk"
)

func fill(root string) error {
	ctx := context.Background()
	s, err := blob.OpenDir(root)
	if err != nil {
		return err
	}
	small, _, err := s.Put(ctx, strings.NewReader("fits"))
	if err != nil {
		return err
	}
	_, _, err = s.Put(ctx, bytes.NewReader(make([]byte, 1<<20)))
	if said := fmt.Sprint(err); !durable.IsFull(err) || !strings.Contains(said, "no space left") {
		return fmt.Errorf("on a full disk: %s, want an error that says so", said)
	}
	if temps, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil {
		return err
	} else if len(temps) != 0 {
		return fmt.Errorf("%d temporary files left", len(temps))
	}
	if n, err := s.Stat(ctx, small); err != nil {
		return fmt.Errorf("the blob from before: %w", err)
	} else if n != 4 {
		return fmt.Errorf("the blob from before: %d bytes", n)
	}
	if _, _, err := s.Put(ctx, strings.NewReader("fits again")); err != nil {
		return fmt.Errorf("after the disk was full: %w", err)
	}
	return nil
}

func TestAFullDiskIsNamedAndLeavesNothingBehind(t *testing.T) {
	disk.Small(t, "256k", func(t *testing.T, root string) {
		if err := fill(root); err != nil {
			t.Error(err)
		}
	})
}
