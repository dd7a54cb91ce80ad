package dingtalk

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"guia"
	"guia/source"
)

// FuzzFrame reads frames of foreign bytes: whatever comes, there is at least one record with a key, a reason where it is a gap, and an
// answer that is JSON.
func FuzzFrame(f *testing.F) {
	for _, event := range []string{"user_add_org", "robot_msg_read", "attendance_check_record", "blackboard_sent", "storage_dentry_delete", "meeting_status_change", "chat_update_title", "x"} {
		for _, data := range []string{
			`{}`, `{"userId":["a","b"],"timeStamp":"1","deptId":[1]}`, `{"userId":"a","operatTime":"9","processQueryKey":"k"}`, `[]`, `"x"`,
			`{"dataList":[{"userId":"a","checkTime":1,"address":"x"}]}`, `{"blackboardId":"b"}`, `{"spaceId":1,"dentryId":2}`, `{"openConfModel":{"conferenceId":"c"}}`,
		} {
			raw, _ := json.Marshal(map[string]any{"type": "EVENT", "headers": map[string]string{"topic": "*", "messageId": "m", "eventType": event, "eventId": "e"}, "data": data})
			f.Add(raw)
		}
	}
	f.Add([]byte(`{"type":"CALLBACK","headers":{"topic":"/v1.0/im/bot/messages/get","messageId":"m"},"data":"{\"msgId\":\"1\",\"conversationId\":\"c\",\"content\":{\"richText\":[{\"text\":\"a\"},{\"downloadCode\":\"x\"}]}}"}`))
	f.Add([]byte(`{"headers":{"messageId":"m"},"type":"EVENT","data":{"errCode":20001}}`))
	c, err := New(Config{CorpID: "dingcorp1", AppKey: "k", AppSecret: "s", Now: func() time.Time { return time.Unix(1795147200, 0) }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		fr := parseFrame(raw)
		var answer map[string]any
		if err := json.Unmarshal(fr.done(), &answer); err != nil {
			t.Fatal(err)
		}
		var got []source.Record
		box, err := newInbox(c, PushOptions{Feeds: Pushed(), Keep: func(_ context.Context, _ string, records []source.Record) error {
			got = append(got, records...)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		p := fr.push("")
		if err := box.take(t.Context(), []push{p}); err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 && !p.empty && (p.corp == "" || p.corp == "dingcorp1") && !slices.Contains(neverKept, p.topic) {
			t.Fatal("nothing was kept")
		}
		for _, r := range got {
			if r.Key == "" || len(r.Key) > 4096 || len(r.Raw) == 0 || r.Origin == "" || r.Stream == "" || !utf8.ValidString(r.Key+r.Text+r.Stream+r.Thread+r.Origin) {
				t.Errorf("%+v", r)
			}
			if r.Type == guia.SourceGap && r.Extra.Get("reason") == "" {
				t.Errorf("a gap without a reason: %+v", r)
			}
			if strings.Contains(strings.ToLower(string(r.Raw)), `"sessionwebhook"`) {
				t.Errorf("kept: %s", r.Raw)
			}
		}
	})
}
