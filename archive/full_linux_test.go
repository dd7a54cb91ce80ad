package archive_test

import (
	"errors"
	"path/filepath"
	"testing"

	"guia"
	"guia/archive"
	"guia/guiatest"
	"guia/guiatest/disk"
)

// TestAFullDiskLeavesNoHalfSet backs up to a file system of its own that is too small, in a process of its own.
func TestAFullDiskLeavesNoHalfSet(t *testing.T) {
	disk.Small(t, "9m", fillDisk)
}

func fillDisk(t *testing.T, small string) {
	c := newCompany(t, 250)
	c.place = filepath.Join(small, "place")
	first := c.backup(t)
	for _, records := range []int{600, 1200} { // too large in the blobs, then in the databases
		c.Import(&guiatest.Company{Seed: uint64(records), Records: records, Page: 200, Large: 20})
		_, err := archive.Backup(t.Context(), c.Directory.Directory, c.Owner, c.place, nil)
		if err == nil {
			t.Fatalf("%d records: the disk is not small enough", records)
		}
		if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Key != "archive.place_full" || refusal.Args[0] != c.place {
			t.Errorf("%d records: the error does not say which disk is full: %v", records, err)
		}
		if left := entries(t, c.place); len(left) != 1 || left[0] != filepath.Base(first.Set) {
			t.Errorf("%d records: left %v", records, left)
		}
	}
	if _, err := archive.Verify(t.Context(), first.Set); err != nil {
		t.Errorf("the set from before: %v", err)
	}
}
