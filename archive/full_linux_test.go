package archive_test

import (
	"path/filepath"
	"strings"
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
		if guia.KindOf(err) != 0 && guia.KindOf(err) != guia.Blocked || !strings.Contains(err.Error(), "full") && !strings.Contains(err.Error(), "no space") {
			t.Errorf("%d records: the error does not say why: %v", records, err)
		}
		if left := entries(t, c.place); len(left) != 1 || left[0] != filepath.Base(first.Set) {
			t.Errorf("%d records: left %v", records, left)
		}
	}
	if _, err := archive.Verify(t.Context(), first.Set); err != nil {
		t.Errorf("the set from before: %v", err)
	}
}
