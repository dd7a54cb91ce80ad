package guiatest_test

import (
	"testing"

	"guia/guiatest"
	"guia/source"
	"guia/source/sourcetest"
)

func TestCompanyIsASource(t *testing.T) {
	sourcetest.Run(t, func(*testing.T) source.Source { return &guiatest.Company{Seed: 7, Records: 120, Page: 25} }, sourcetest.Options{MinRecords: 120})
}

func TestACompanyIsTakenInOnce(t *testing.T) {
	t.Parallel()
	d := guiatest.New(t)
	c := &guiatest.Company{Seed: 1, Records: 150, Page: 40, Large: 50}
	first := d.Import(c)
	if first.Counts.New != 150 || !first.Done {
		t.Errorf("%+v", first)
	}
	d.Reopen()
	if again := d.Import(c); again != first {
		t.Errorf("imported again: %+v, first %+v", again, first)
	}
	again, err := d.Intake.Import(t.Context(), d.Owner, guiatest.Feed(), c, "", true, nil)
	if err != nil || again.Counts.New != 0 || again.Counts.Known != 150 {
		t.Errorf("read again from the beginning: %+v, %v", again.Counts, err)
	}
	compareContents(t, "import", contentsOf(t, d.Directory), expected(c))
}
