package dingtalk_test

import (
	"strings"
	"testing"
	"time"

	"guia"
	"guia/guiatest"
	"guia/intake"
	"guia/source"
	"guia/source/dingtalk"
)

// round takes a whole round in, each page twice, as after a crash between storing and answering.
func (f *tenant) round(d *guiatest.Directory, s source.Source, at source.Cursor) (source.Cursor, intake.Counts) {
	f.t.Helper()
	feed := guiatest.Feed()
	feed.Source, feed.Instance, feed.Channel, feed.Grade, feed.Normaliser = s.Name(), s.Instance(), guia.ChannelAPI, guia.GradeA, dingtalk.Normaliser
	feed.Import = guia.NewRecordID() // a round tells the state of the tenant at one moment
	var counts intake.Counts
	for {
		for again := range 2 {
			p, err := s.Pull(f.t.Context(), at)
			if err != nil {
				f.t.Fatal(err)
			}
			_, after, err := d.Intake.Accept(f.t.Context(), feed, p.Records, intake.Progress{})
			if err != nil {
				f.t.Fatal(err)
			}
			if again == 0 {
				counts.Add(after.Counts)
				continue
			}
			if after.Counts.New != 0 {
				f.t.Errorf("pulled again from %q: %+v", at, after.Counts)
			}
			at = p.Next
			if p.Done {
				return at, counts
			}
		}
	}
}

func TestRoundsStoreWhatIsNewAndNothingTwice(t *testing.T) {
	f := newTenant(t)
	f.company()
	clock := now
	c := f.client(func(cfg *dingtalk.Config) { cfg.Now = func() time.Time { return clock } })
	s, err := dingtalk.Open(c, "directory", dingtalk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := guiatest.New(t)
	at, counts := f.round(d, s, "")
	want := int64(3 + 229 + 1 + 2 + 2 + 2) // departments, people, an odd row, roles, administrators, leavers
	if counts.New != want || counts.Known != 0 {
		t.Fatalf("first round: %+v, want %d", counts, want)
	}
	next := func(what string, news int64) {
		t.Helper()
		clock = clock.Add(25 * time.Hour)
		if at, counts = f.round(d, s, at); counts.New != news || counts.Known != want-news {
			t.Errorf("%s: %+v, want %d new of %d", what, counts, news, want)
		}
	}
	next("nothing has changed", 0)
	list := f.answer["/topapi/v2/user/list"]
	promoted := func(q request) any {
		return strings.Replace(list(q).(string), `"title":"會計"`, `"title":"會計主任"`, 1)
	}
	f.answer["/topapi/v2/user/list"] = promoted
	next("somebody was promoted", 1)
	f.answer["/topapi/v2/user/list"] = list
	next("and the old title came back", 1)
	children := f.answer["/topapi/v2/department/listsub"]
	f.answer["/topapi/v2/department/listsub"] = func(q request) any {
		return strings.Replace(children(q).(string), "地盤", "地盤一", 1)
	}
	next("a department was renamed: it, and those in it", 1+226)
}
