package dingtalk_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/guiatest"
	"guia/intake"
	"guia/source"
	"guia/source/dingtalk"
	"guia/source/sourcetest"
)

// list is a source of records that are there already.
type list struct {
	records []source.Record
	closed  bool
}

func (l *list) Name() guia.SourceName { return dingtalk.Name }
func (l *list) Instance() string      { return "dingcorp1/pushed" }
func (l *list) Close() error          { l.closed = true; return nil }
func (l *list) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	switch {
	case l.closed:
		return source.Page{}, guia.RefuseCause(guia.Invalid, os.ErrClosed, "source.closed")
	case ctx.Err() != nil:
		return source.Page{}, ctx.Err()
	case after == "":
		return source.Page{Records: l.records, Next: "end", Done: true}, nil
	case after == "end":
		return source.Page{Next: "end", Done: true}, nil
	}
	return source.Page{}, source.RefuseCursor()
}

// pushed are events as the reference has them, and what they become.
var pushed = []struct {
	event, data, feed string
	want              []source.Record // what is compared is set
}{
	{"user_add_org", exempted, "directory", []source.Record{
		{Type: guia.RecordKept, Key: "event/e/user001", Thread: "user/user001", Sender: source.Person{ID: "user001"}},
		{Type: guia.RecordKept, Key: "event/e/user002", Thread: "user/user002"},
	}},
	{"user_modify_org", `{"timeStamp":"1795147100000","userId":["user001"],"diffInfo":{"userid":"user001","prev":{"name":"a"},"curr":{"name":"b"}}}`, "directory", []source.Record{{Type: guia.RecordKept, Key: "event/e/user001", Thread: "user/user001"}}},
	{"user_leave_org", `{"timeStamp":"1795147100000","userId":["user001"]}`, "directory", []source.Record{{Type: guia.PersonLeft, Key: "event/e/user001", Thread: "user/user001", Sender: source.Person{ID: "user001"}}}},
	{"org_dept_create", `{"timeStamp":"1795147100000","deptId":[17,18]}`, "directory", []source.Record{
		{Type: guia.RecordKept, Key: "event/e/department/17", Thread: "department/17"},
		{Type: guia.RecordKept, Key: "event/e/department/18", Thread: "department/18"},
	}},
	{"org_dept_remove", `{"timeStamp":1795147100000,"deptId":17}`, "directory", []source.Record{{Type: guia.RecordKept, Key: "event/e/department/17"}}},
	{"org_admin_add", exempted, "directory", []source.Record{{Type: guia.RecordKept, Key: "event/e/user001"}, {Type: guia.RecordKept, Key: "event/e/user002"}}},
	{"label_conf_add", `{"timeStamp":"1795147100000"}`, "directory", []source.Record{{Type: guia.RecordKept, Key: "event/e"}}},
	{"robot_msg_read", `{"userId":"user001","unionId":"U1","operatTime":"1795147050000","robotCode":"robot1","openConversationId":"cid1","processQueryKey":"pq1"}`, "reads", []source.Record{
		{Type: guia.MessageRead, Key: "sent/group/pq1/read/user001", Thread: "sent/group/pq1", Sender: source.Person{ID: "user001"}, TimeOriginal: "1795147050000"},
		{Type: guia.RecordKept, Key: "sent/group/pq1/read/user001/at/1795147050000", Thread: "sent/group/pq1/read/user001", TimeOriginal: "1795147050000"},
	}},
	{"robot_msg_read", `{"UserId":"user001","UnionId":"U1","OperatTime":1795147050000,"RobotCode":"robot1","ProcessQueryKey":"ours"}`, "reads", []source.Record{
		{Type: guia.MessageRead, Key: "sent/people/ours/read/user001", TimeOriginal: "1795147050000"},
		{Type: guia.RecordKept, Key: "sent/people/ours/read/user001/at/1795147050000"},
	}},
	{"robot_msg_recall", `{"userId":"user001","operatTime":"1795147050000","processQueryKey":"pq1"}`, "reads", []source.Record{{Type: guia.MessageDeleted, EditOf: "sent/people/pq1"}}},
	{"attendance_check_record", `{"dataList":[{"userId":"user001","checkTime":1795147050000,"address":"canary-place","latitude":22.19,"longitude":113.54,"locationMethod":"MAP","locationResult":"Normal","groupId":1,"bizId":"biz1","deviceSN":"canary-device","checkByUser":true,"corpId":"dingcorp1"}]}`, "attendance", []source.Record{
		{Type: guia.AttendanceChecked, Key: "punch/user001/1795147050000", Sender: source.Person{ID: "user001"}, TimeOriginal: "1795147050000"},
	}},
	{"watermark_check_in", `{"userId":"user001","timeStamp":1795147050000,"photoUrl":"canary-place","place":"canary-place"}`, "attendance", []source.Record{{Type: guia.RecordKept, Key: "event/e"}}},
	{"blackboard_sent", `{"unionId":"U1","blackboardId":"b1","blackboardType":"x","categoryId":"1","categoryName":"通告","receivers":{"staffIds":"[]"},"dentry":{"sourceDentryUuid":"u"}}`, "notices", []source.Record{{Type: guia.RecordKept, Key: "notice/b1/sent", Thread: "notice/b1", Sender: source.Person{ID: "union:U1"}}}},
	{"storage_dentry_update", `{"spaceId":"5","dentryId":"77","extension":"pdf","type":"FILE","unionId":"U1","eventScope":"ORG","eventScopeId":"dingcorp1"}`, "drive", []source.Record{{Type: guia.FileChanged, Key: "event/e", Thread: "file/5/77", Sender: source.Person{ID: "union:U1"}}}},
	{"meeting_status_change", `{"openConfModel":{"conferenceId":"c1","title":"週會","status":"END","creatorId":"U1","startTime":1795147050000,"attendNum":3},"changeScene":"end","statusSeqNum":4}`, "meetings", []source.Record{{Type: guia.RecordKept, Key: "meeting/c1/status/4", Thread: "meeting/c1", Subject: "週會"}}},
	{"meeting_asr_result_event", `{"openConfModel":{"conferenceId":"c1"},"text":"canary-words"}`, "meetings", nil},
	{"chat_update_title", `{"chatId":"chat1","openConversationId":"cid1","corpId":"dingcorp1","operator":"user001","operatorUnionId":"U1","title":"新名","timeStamp":1795147050000}`, dingtalk.FeedConversations, []source.Record{{Type: guia.RecordKept, Key: "event/e", Stream: "cid1", StreamKind: "group", Subject: "新名", Sender: source.Person{ID: "user001"}}}},
	{"chat_add_member", `{"openConversationId":"cid1","operator":"user001","userId":["a","b"],"timeStamp":1795147050000}`, dingtalk.FeedConversations, []source.Record{{Type: guia.RecordKept, Key: "event/e", Stream: "cid1"}}},
	{"hrm_user_record_change", `{"actionType":"add","staffId":"user001"}`, "roster", []source.Record{{Type: guia.RecordKept, Key: "event/e", Sender: source.Person{ID: "user001"}}}},
	{"bpms_instance_change", `{"processInstanceId":"p1","type":"finish","result":"agree","title":"請假","staffId":"user001","createTime":1}`, dingtalk.FeedEvents, []source.Record{{Type: guia.RecordKept, Key: "event/e", Subject: "請假"}}},
	{"something_new", `{"type":{"odd":true}}`, dingtalk.FeedEvents, []source.Record{{Type: guia.RecordKept, Key: "event/e"}}},
}

func TestEventsBecomeRecords(t *testing.T) {
	for _, c := range pushed {
		f, k := newPushing(t), &kept{}
		f.run(k, func(_ *dingtalk.Config, o *dingtalk.StreamOptions) {
			o.Sent = func(_ context.Context, key string) (dingtalk.SentKind, bool) {
				return dingtalk.SentToPeople, key == "ours"
			}
		})
		l := f.link()
		l.send(frameOf("m", c.event, "e", c.data))
		l.acked("m")
		got := k.of(c.feed)
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v", c.event, got)
			continue
		}
		for i, want := range c.want {
			r := got[i]
			if r.Type != want.Type || want.Key != "" && r.Key != want.Key || r.Thread != want.Thread && want.Thread != "" || r.EditOf != want.EditOf ||
				want.Sender.ID != "" && r.Sender.ID != want.Sender.ID || want.Subject != r.Subject || want.TimeOriginal != "" && r.TimeOriginal != want.TimeOriginal || !r.HasTime {
				t.Errorf("%s: %+v, want %+v", c.event, r, want)
			}
			stream := "dingcorp1/" + c.feed
			if want.Stream != "" {
				stream = want.Stream
			}
			if r.Stream != stream {
				t.Errorf("%s: stream %q, want %q", c.event, r.Stream, stream)
			}
			if strings.Contains(string(r.Raw)+r.Text, "canary") {
				t.Errorf("%s: %s", c.event, r.Raw)
			}
		}
		if len(got) > 0 {
			sourcetest.Run(t, func(*testing.T) source.Source { return &list{records: got} }, sourcetest.Options{OnePage: true})
		}
	}
}

func TestAMessageToTheRobotIsRead(t *testing.T) {
	f, k := newPushing(t), &kept{}
	f.run(k)
	l := f.link()
	say := func(old, new string) source.Record {
		t.Helper()
		l.send(strings.Replace(said("m"+new, "msg"+new), text(old)[1:len(text(old))-1], text(new)[1:len(text(new))-1], 1))
		l.reply()
		all := k.of(dingtalk.FeedConversations)
		return all[len(all)-1]
	}
	r := say("isAdmin", "isAdmin")
	if r.Type != guia.MessageSent || r.Key != "msgisAdmin" || r.Stream != "cidGroup1" || r.StreamName != "銷售 Vendas" || r.StreamKind != "group" || r.Sender.ID != canaryID ||
		r.Sender.Name != canaryName || strings.TrimSpace(r.Text) != "佣金 comissão?" || r.TimeOriginal != "1795147000123" || len(r.Recipients) != 2 || r.Recipients[1] != "user001" {
		t.Errorf("%+v", r)
	}
	if strings.Contains(string(r.Raw), "canary-webhook") || !strings.Contains(string(r.Raw), `"senderId":"$:enc"`) {
		t.Errorf("raw %s", r.Raw)
	}
	const plain = `"msgtype":"text","text":{"content":" 佣金 comissão?"}`
	if r = say(plain, `"msgtype":"file","content":{"downloadCode":"dc1","fileName":"合同.pdf"}`); len(r.Files) != 1 || r.Files[0].Name != "合同.pdf" || !strings.Contains(r.Files[0].Missing, "dc1") || r.Text != "" {
		t.Errorf("file: %+v", r)
	}
	if r = say(plain, `"msgtype":"richText","content":{"richText":[{"text":"um"},{"downloadCode":"dc2","type":"picture"},{"text":"dois"}]}`); r.Text != "um\ndois" || len(r.Files) != 1 || r.Files[0].Name != "picture" {
		t.Errorf("rich: %+v", r)
	}
	if r = say(plain, `"msgtype":"audio","content":{"downloadCode":"dc3","duration":1,"recognition":"falado"}`); r.Text != "falado" || len(r.Files) != 1 {
		t.Errorf("audio: %+v", r)
	}
	if r = say(plain, `"msgtype":"odd","content":["what"]`); r.Type != guia.MessageSent {
		t.Errorf("unknown: %+v", r)
	}
	if r = say(text(canaryID), `""`); r.Sender.ID != "union:U0" {
		t.Errorf("outsider: %+v", r.Sender)
	}
	if r = say(`"conversationType":"2"`, `"conversationType":"1"`); r.StreamKind != "direct" {
		t.Errorf("alone: %+v", r)
	}
	sourcetest.Run(t, func(*testing.T) source.Source { return &list{records: k.of(dingtalk.FeedConversations)} }, sourcetest.Options{OnePage: true})
}

// intoLedger keeps in a real ledger.
func intoLedger(t *testing.T, d *guiatest.Directory, total *intake.Counts) func(context.Context, string, []source.Record) error {
	imported := guia.NewRecordID()
	return func(ctx context.Context, feed string, records []source.Record) error {
		to := guiatest.Feed()
		to.Source, to.Instance, to.Channel, to.Grade, to.Normaliser, to.Import = dingtalk.Name, "dingcorp1/"+feed, guia.ChannelPush, guia.GradeA, dingtalk.Normaliser, imported
		_, after, err := d.Intake.Accept(ctx, to, records, intake.Progress{})
		total.Add(after.Counts)
		return err
	}
}

func TestWhatIsPushedAndPulledIsStoredOnce(t *testing.T) {
	for _, pushFirst := range []bool{true, false} {
		f := newPushing(t)
		f.answer["/v1.0/robot/oToMessages/readStatus"] = func(request) any {
			return `{"sendStatus":"SUCCESS","messageReadInfoList":[{"userId":"user001","name":"x","readStatus":"READ"}]}`
		}
		d := guiatest.New(t)
		var counts intake.Counts
		s := f.run(&kept{}, func(_ *dingtalk.Config, o *dingtalk.StreamOptions) {
			o.Keep = intoLedger(t, d, &counts)
			o.Sent = func(context.Context, string) (dingtalk.SentKind, bool) { return dingtalk.SentToPeople, true }
		})
		l := f.link()
		push := func() {
			l.send(frameOf("m", "robot_msg_read", "e", `{"userId":"user001","unionId":"U1","operatTime":"1795147050000","robotCode":"robot1","openConversationId":"cid1","processQueryKey":"pq1"}`))
			l.acked("m")
		}
		pull := func() intake.Counts {
			src := f.feed("reads", dingtalk.Options{Sent: sentOnce})
			_, got := f.round(d, src, "")
			return got
		}
		if pushFirst {
			push()
			if got := pull(); counts.New != 2 || got.New != 1 || got.Known != 1 { // new is the count of readers
				t.Errorf("pushed %+v, pulled %+v", counts, got)
			}
		} else {
			got := pull()
			push()
			if got.New != 2 || counts.New != 1 || counts.Known != 1 || counts.Edited != 0 { // new is the time
				t.Errorf("pulled %+v, pushed %+v", got, counts)
			}
		}
		s.stop()
		_ = s.end()
	}
}

func sentOnce(_ context.Context, _, to time.Time) ([]dingtalk.Sent, error) {
	return []dingtalk.Sent{{Kind: dingtalk.SentToPeople, Key: "pq1", At: to.Add(-2 * time.Hour)}}, nil
}
