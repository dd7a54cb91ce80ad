package slack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/source"
	"guia/source/slack"
	"guia/source/sourcetest"
)

// workspace is a small company as Slack's help describes an export of it: three people and one who left, an app, a public and a
// private channel, a direct message.
var workspace = map[string]string{
	"users.json": `[
		{"id":"U01","team_id":"T1","name":"chan","deleted":false,"real_name":"陳大文","profile":{"real_name":"陳大文","display_name":"David","email":"chan@example.mo","phone":"+853 6200 0001","title":"會計主任"},"is_bot":false,"updated":1700000000},
		{"id":"U02","name":"conceicao","deleted":false,"real_name":"Conceição Araújo","profile":{"real_name":"Conceição Araújo","email":"conceicao@example.mo","title":"Advogada"},"updated":1690000000},
		{"id":"U03","name":"kim","deleted":true,"profile":{"real_name":"Kim Walsh","email":"kim@example.mo"},"updated":1701388800},
		{"id":"U04","name":"reports","deleted":false,"is_bot":true,"real_name":"Reports","profile":{"bot_id":"B01"},"updated":1690000001}
	]`,
	"channels.json": `[{"id":"C01","name":"general","created":1690000000,"creator":"U01","is_archived":false,"members":["U01","U02","U03"],
		"topic":{"value":"公告","creator":"U01","last_set":1690000100},"purpose":{"value":"Everybody","creator":"","last_set":0}}]`,
	"groups.json":           `[{"id":"G01","name":"direcção","members":["U01","U02"]}]`,
	"dms.json":              `[{"id":"D01","created":1690000000,"members":["U01","U02"]}]`,
	"mpims.json":            `[]`,
	"integration_logs.json": `[{"user_id":"U01","app_id":"1","change_type":"added"}]`,
	"general/2023-11-14.json": `[
		{"client_msg_id":"5a","type":"message","user":"U01","text":"大家早晨 &lt;3 <@U02> <@U09|old> <#C01|> <#C77|legal> <!here> <https://example.mo/a?x=1&amp;y=2|agenda> <mailto:chan@example.mo|chan@example.mo>","ts":"1700000000.123456","user_profile":{"real_name":"陳大文","name":"chan"}},
		{"type":"message","user":"U02","text":"Reunião às 15h","ts":"1700000010.000200","edited":{"user":"U02","ts":"1700000099.000000"},"thread_ts":"1700000010.000200","reply_count":1,"replies":[{"user":"U03","ts":"1700000020.000300"}]},
		{"type":"message","user":"U03","text":"OK","ts":"1700000020.000300","thread_ts":"1700000010.000200","parent_user_id":"U02"},
		{"type":"message","subtype":"channel_join","user":"U03","text":"<@U03> has joined the channel","ts":"1700000021.000100"},
		{"type":"message","subtype":"channel_topic","user":"U01","topic":"公告","text":"<@U01> set the channel topic: 公告","ts":"1700000022.000100"},
		{"type":"message","subtype":"bot_message","bot_id":"B01","username":"Reports","text":"","ts":"1700000023.000100","attachments":[{"fallback":"f","pretext":"Daily","title":"Sales","title_link":"https://example.mo/s","text":"*Total* &amp; more","fields":[{"title":"MOP","value":"1,200"},{"title":"n","value":7}],"footer":"bot"}]},
		{"type":"message","user":"U02","text":"","ts":"1700000024.000100","blocks":[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"Olá "},{"type":"user","user_id":"U01"},{"type":"text","text":", ver "},{"type":"link","url":"https://example.mo/","text":"sítio"},{"type":"emoji","name":"wave"}]},{"type":"rich_text_list","style":"ordered","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"um"}]},{"type":"rich_text_section","elements":[{"type":"text","text":"dois"}]}]},{"type":"rich_text_quote","elements":[{"type":"text","text":"cit."}]}]},{"type":"section","text":{"type":"mrkdwn","text":"a &amp; <@U02>"},"fields":[{"type":"plain_text","text":"<raw>"}]}]},
		{"type":"message","user":"U01","text":"see files","ts":"1700000025.000100","files":[
			{"id":"F01","name":"合同.pdf","title":"合同","mimetype":"application/pdf","size":5,"url_private":"https://files.slack.com/files-pri/T1-F01/x.pdf?t=xoxe-1"},
			{"id":"F02","name":"plan.xlsx","mimetype":"application/vnd.ms-excel","size":3,"url_private":"https://files.slack.com/x"},
			{"id":"F03","mode":"tombstone"}]},
		{"type":"message","user":"U02","text":"look <https://news.example/1>","ts":"1700000026.000100","attachments":[{"from_url":"https://news.example/1","title":"Preview","text":"not said by her"}]}
	]`,
	"general/2023-11-15.json": `[
		{"type":"message","subtype":"message_changed","hidden":true,"ts":"1700090000.000300","message":{"type":"message","user":"U01","text":"second","ts":"1700090000.000100","edited":{"user":"U01","ts":"1700090001.000000"}},"previous":{"type":"message","user":"U01","text":"first","ts":"1700090000.000100"}},
		{"type":"message","subtype":"message_deleted","hidden":true,"ts":"1700090010.000300","deleted_ts":"1700090009.000100","previous_message":{"type":"message","user":"U02","text":"apagado","ts":"1700090009.000100"}},
		{"type":"message","subtype":"tombstone","text":"This message was deleted.","user":"USLACKBOT","hidden":true,"ts":"1700090020.000100","thread_ts":"1700090020.000100"},
		{"type":"message","user":"U01","text":"no time"},
		{"type":"message","text":"nobody","ts":"1700090030.000100"}
	]`,
	"direcção/2023-11-15.json":     `[{"type":"message","user":"U01","text":"confidencial","ts":"1700090040.000100"}]`,
	"D01/2023-11-15.json":          `[{"type":"message","user":"U02","text":"só entre nós","ts":"1700090050.000100"}]`,
	"__uploads/F01/合同.pdf":         "%PDF-",
	"C01/attachments/F02-plan.xls": "xls",
}

func open(t testing.TB, path string) *slack.Export {
	t.Helper()
	e, err := slack.Open(path)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// byKey returns the only record with a key.
func byKey(t testing.TB, records []source.Record, key string) source.Record {
	t.Helper()
	var found []source.Record
	for _, r := range records {
		if r.Key == key {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d records have the key %s", len(found), key)
	}
	return found[0]
}

func TestMessagesAreReadAsSlackDescribesThem(t *testing.T) {
	records := sourcetest.All(t, open(t, sourcetest.Zip(t, workspace)))
	for _, want := range []struct {
		key, typ, time, original, sender, name, text, subject string
		replyTo, editOf, stream, streamName, kind             string
	}{
		{
			key: "C01/1700000000.123456", typ: "message.sent", time: "2023-11-14T22:13:20.123456Z", original: "1700000000.123456", sender: "U01", name: "陳大文",
			text:   "大家早晨 <3 @Conceição Araújo @old #general #legal @here agenda (https://example.mo/a?x=1&y=2) chan@example.mo",
			stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700000010.000200/edited/1700000099.000000", typ: "message.edited", time: "2023-11-14T22:14:59.000000Z", original: "1700000099.000000",
			sender: "U02", name: "Conceição Araújo", text: "Reunião às 15h", editOf: "C01/1700000010.000200", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700000020.000300", typ: "message.sent", time: "2023-11-14T22:13:40.000300Z", original: "1700000020.000300", sender: "U03", name: "Kim Walsh",
			text: "OK", replyTo: "C01/1700000010.000200", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700000021.000100", typ: "record.kept", time: "2023-11-14T22:13:41.000100Z", original: "1700000021.000100", sender: "U03", name: "Kim Walsh",
			text: "@Kim Walsh has joined the channel", subject: "channel_join", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700000022.000100", typ: "record.kept", time: "2023-11-14T22:13:42.000100Z", original: "1700000022.000100", sender: "U01", name: "陳大文",
			text: "@陳大文 set the channel topic: 公告", subject: "channel_topic", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700000023.000100", typ: "message.sent", time: "2023-11-14T22:13:43.000100Z", original: "1700000023.000100", sender: "B01", name: "Reports",
			text: "Daily\nSales (https://example.mo/s)\n*Total* & more\nMOP: 1,200\nn: 7\nbot", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700000024.000100", typ: "message.sent", time: "2023-11-14T22:13:44.000100Z", original: "1700000024.000100", sender: "U02", name: "Conceição Araújo",
			text: "Olá @陳大文, ver sítio (https://example.mo/):wave:\n1. um\n2. dois\n> cit.\na & @Conceição Araújo\n<raw>", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700000026.000100", typ: "message.sent", time: "2023-11-14T22:13:46.000100Z", original: "1700000026.000100", sender: "U02", name: "Conceição Araújo",
			text: "look https://news.example/1", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700090000.000100", typ: "message.sent", time: "2023-11-15T23:13:20.000100Z", original: "1700090000.000100", sender: "U01", name: "陳大文",
			text: "first", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700090000.000100/edited/1700090001.000000", typ: "message.edited", time: "2023-11-15T23:13:21.000000Z", original: "1700090001.000000",
			sender: "U01", name: "陳大文", text: "second", editOf: "C01/1700090000.000100", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700090009.000100", typ: "message.sent", time: "2023-11-15T23:13:29.000100Z", original: "1700090009.000100", sender: "U02", name: "Conceição Araújo",
			text: "apagado", stream: "C01", streamName: "general", kind: "channel",
		},
		{
			key: "C01/1700090009.000100/deleted", typ: "message.deleted", time: "2023-11-15T23:13:30.000300Z", original: "1700090010.000300", sender: "U02", name: "Conceição Araújo",
			editOf: "C01/1700090009.000100", stream: "C01", streamName: "general", kind: "channel",
		},
		{key: "C01/1700090020.000100/deleted", typ: "message.deleted", editOf: "C01/1700090020.000100", stream: "C01", streamName: "general", kind: "channel"},
		{
			key: "G01/1700090040.000100", typ: "message.sent", time: "2023-11-15T23:14:00.000100Z", original: "1700090040.000100", sender: "U01", name: "陳大文",
			text: "confidencial", stream: "G01", streamName: "direcção", kind: "group",
		},
		{
			key: "D01/1700090050.000100", typ: "message.sent", time: "2023-11-15T23:14:10.000100Z", original: "1700090050.000100", sender: "U02", name: "Conceição Araújo",
			text: "só entre nós", stream: "D01", kind: "direct",
		},
	} {
		r := byKey(t, records, want.key)
		got := want
		got.typ, got.original, got.sender, got.name, got.text = string(r.Type), r.TimeOriginal, r.Sender.ID, r.Sender.Name, r.Text
		got.subject, got.replyTo, got.editOf, got.stream, got.streamName, got.kind = r.Subject, r.ReplyTo, r.EditOf, r.Stream, r.StreamName, r.StreamKind
		got.time = ""
		if r.HasTime {
			got.time = r.Time.String()
		}
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if r.ReplyTo != r.Thread && r.EditOf == "" {
			t.Errorf("%s: thread %q, replies to %q", r.Key, r.Thread, r.ReplyTo)
		}
		if !json.Valid(r.Raw) || !strings.Contains(workspace[strings.Split(r.Origin, "#")[0]], string(r.Raw)) {
			t.Errorf("%s: raw bytes are not as they stand in %s", r.Key, r.Origin)
		}
	}
}

func TestPeopleAndConversationsAreRecords(t *testing.T) {
	records := sourcetest.All(t, open(t, sourcetest.Zip(t, workspace)))
	people := map[string]source.Record{}
	var also []source.Record
	conversations := map[string]source.Record{}
	for _, r := range records {
		switch {
		case r.Subject == guia.AlsoKnownAs:
			also = append(also, r)
		case strings.HasPrefix(r.Key, "user/"):
			people[r.Sender.ID] = r
		case strings.HasPrefix(r.Key, "conversation/"):
			conversations[r.Stream] = r
		}
	}
	chan1 := people["U01"]
	if want := (source.Person{ID: "U01", Name: "陳大文", Address: "chan@example.mo", Phone: "+853 6200 0001", Title: "會計主任"}); chan1.Sender != want {
		t.Errorf("got %+v, want %+v", chan1.Sender, want)
	}
	if got := chan1.Extra.Get("person.key") + " " + chan1.Extra.Get("valid.from") + " " + string(chan1.Type); got != "U01 2023-11-15 person.seen" { // 06:13 in Macau
		t.Errorf("got %s", got)
	}
	if len(also) != 1 || also[0].Type != guia.PersonSeen || also[0].Sender != (source.Person{ID: "U01", Name: "David"}) || also[0].Key != chan1.Key+"/display_name" {
		t.Errorf("the name that is shown is told as %+v", also)
	}
	kim := people["U03"]
	if got := kim.Sender.Name + " " + kim.Extra.Get("valid.until") + " " + string(kim.Type); got != "Kim Walsh 2023-12-01 person.left" {
		t.Errorf("got %s", got)
	}
	if got := string(people["U04"].Type) + " " + people["U04"].Subject; got != "record.kept bot_user" {
		t.Errorf("an app's account is %s", got)
	}
	general := conversations["C01"]
	if got := fmt.Sprint(general.Type, general.StreamName, general.StreamKind, general.Members, general.Subject, general.Text); got != "channel.seengeneralchannel[U01 U02 U03]公告Everybody" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(conversations["G01"].StreamKind, conversations["D01"].StreamKind, conversations["D01"].Members); got != "groupdirect[U01 U02]" {
		t.Errorf("got %s", got)
	}
}

func TestFilesAreOpenedWhenTheyAreThereAndMissedAloud(t *testing.T) {
	r := byKey(t, sourcetest.All(t, open(t, sourcetest.Zip(t, workspace))), "C01/1700000025.000100")
	if len(r.Files) != 3 {
		t.Fatalf("%d files", len(r.Files))
	}
	for i, want := range []struct{ name, typ, bytes, missing string }{
		{"合同.pdf", "application/pdf", "%PDF-", ""},
		{"plan.xlsx", "application/vnd.ms-excel", "xls", ""},
		{"F03", "", "", "deleted in Slack before the export"},
	} {
		f := r.Files[i]
		if f.Name != want.name || f.MediaType != want.typ || f.Missing != want.missing {
			t.Errorf("got %+v, want %+v", f, want)
		}
		if f.Open == nil {
			continue
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		in.Close()
		if err != nil || string(got) != want.bytes || f.Size != int64(len(got)) {
			t.Errorf("%s: got %q (%v), announced %d bytes", f.Name, got, err, f.Size)
		}
	}
	bare := maps.Clone(workspace)
	delete(bare, "__uploads/F01/合同.pdf")
	if f := byKey(t, sourcetest.All(t, open(t, sourcetest.Zip(t, bare))), "C01/1700000025.000100").Files[0]; f.Open != nil || f.Missing != "not in the export, which holds a link only" {
		t.Errorf("got %+v", f)
	}
}

func TestWhatIsOddIsKeptAndMarked(t *testing.T) {
	files := maps.Clone(workspace)
	files["unlisted/2023-11-15.json"] = `[{"type":"message","user":"U01","text":"x` + "\xff" + `","ts":"1700090060.000100"}]`
	records := sourcetest.All(t, open(t, sourcetest.Zip(t, files)))
	if got := byKey(t, records, "unlisted/1700090060.000100"); !slices.Equal(got.Marks, []string{"conversation-not-listed", source.MarkBadEncoding}) || got.Text != "x\uFFFD" {
		t.Errorf("got %q %v", got.Text, got.Marks)
	}
	if got := byKey(t, records, "C01/1700090030.000100"); !slices.Equal(got.Marks, []string{source.MarkNoSender}) {
		t.Errorf("got %v", got.Marks)
	}
	at := slices.IndexFunc(records, func(r source.Record) bool { return r.Text == "no time" })
	if at < 0 || records[at].HasTime || !slices.Equal(records[at].Marks, []string{source.MarkNoTime}) || !strings.HasPrefix(records[at].Key, "C01/raw/") {
		t.Errorf("a message without a time: %+v", records[max(at, 0)])
	}
	at = slices.IndexFunc(records, func(r source.Record) bool { return strings.HasPrefix(r.Origin, "integration_logs.json") })
	if at < 0 || records[at].Type != guia.SourceGap || records[at].Extra.Get("reason") != "this part of a Slack export is not read" {
		t.Errorf("the app activity log was passed over in silence")
	}
}

func TestDamageIsAGapAndTheRestIsRead(t *testing.T) {
	files := maps.Clone(workspace)
	const day = "general/2023-11-14.json"
	for name, c := range map[string]struct{ text, reason string }{
		"cut off":      {`[{"type":"message","user":"U01","text":"a","ts":"1.000001"},{"type":"mess`, "the file ends in the middle"},
		"no array":     {`{"ok":false}`, "not a JSON array"},
		"empty":        {``, "the file ends in the middle"},
		"no object":    {`[{"type":"message","user":"U01","text":"a","ts":"1.000001"}, 7, null]`, "not a JSON object"},
		"no JSON":      {`[{"type":"message","user":U01}, {"type":"message","user":"U01","text":"a","ts":"1.000001"}]`, "not the JSON that Slack describes"},
		"two arrays":   {`[{"type":"message","user":"U01","text":"a","ts":"1.000001"}][]`, "something follows the end of the JSON array"},
		"no comma":     {`[{"type":"message","user":"U01","text":"a","ts":"1.000001"} {}]`, "elements are not separated by commas"},
		"huge message": {`[{"type":"message","text":"` + strings.Repeat("x", 9<<20) + `"},{"type":"message","user":"U01","text":"a","ts":"1.000001"}]`, "larger than the limit for one message"},
	} {
		files[day] = c.text
		records := sourcetest.All(t, open(t, sourcetest.Zip(t, files)))
		reasons := ""
		for _, r := range records {
			if r.Type == guia.SourceGap && strings.HasPrefix(r.Origin, day) {
				reasons += r.Extra.Get("reason") + ";"
				if len(r.Raw) == 0 || len(r.Raw) > 64<<10 {
					t.Errorf("%s: gap with %d raw bytes", name, len(r.Raw))
				}
			}
		}
		if !strings.HasPrefix(reasons, c.reason+";") {
			t.Errorf("%s: gaps %q, want %q", name, reasons, c.reason)
		}
		if strings.Contains(c.text, "1.000001") {
			byKey(t, records, "C01/1.000001")
		}
		byKey(t, records, "D01/1700090050.000100")
	}
}

func TestAnOlderAndANewerExportAgreeInEitherOrder(t *testing.T) {
	older, newer := maps.Clone(workspace), maps.Clone(workspace)
	older["general/2023-11-14.json"] = `[{"type":"message","user":"U02","text":"Reunião às 14h","ts":"1700000010.000200"},
		{"type":"message","user":"U01","text":"same","ts":"1700000011.000200"}]`
	newer["general/2023-11-14.json"] = `[{"type":"message","user":"U01","text":"same","ts":"1700000011.000200","reactions":[{"name":"+1","users":["U02"],"count":1}]},
		{"type":"message","user":"U02","text":"Reunião às 15h","ts":"1700000010.000200","edited":{"user":"U02","ts":"1700000099.000000"}}]`
	type version struct {
		typ          guia.Type
		editOf, text string
	}
	read := func(files map[string]string, into map[string]version) {
		for _, r := range sourcetest.All(t, open(t, sourcetest.Zip(t, files))) {
			v := version{r.Type, r.EditOf, r.Text}
			if have, ok := into[r.Key]; ok && have != v {
				t.Errorf("%s is %+v in one export and %+v in the other", r.Key, have, v)
			}
			into[r.Key] = v
		}
	}
	first, second := map[string]version{}, map[string]version{}
	read(older, first)
	read(newer, first)
	read(newer, second)
	read(older, second)
	if !maps.Equal(first, second) {
		t.Error("the order of the exports matters")
	}
	want := map[string]version{
		"C01/1700000010.000200":                          {guia.MessageSent, "", "Reunião às 14h"},
		"C01/1700000010.000200/edited/1700000099.000000": {guia.MessageEdited, "C01/1700000010.000200", "Reunião às 15h"},
		"C01/1700000011.000200":                          {guia.MessageSent, "", "same"},
	}
	for key, v := range want {
		if first[key] != v {
			t.Errorf("%s is %+v, want %+v", key, first[key], v)
		}
	}
}

func TestFolderAndZipGiveTheSame(t *testing.T) {
	nested := map[string]string{}
	for name, text := range workspace {
		nested["My export/"+name] = text
	}
	nested["__MACOSX/My export/._users.json"] = "junk"
	want := sourcetest.All(t, open(t, sourcetest.Zip(t, workspace)))
	for name, path := range map[string]string{"folder": sourcetest.Folder(t, workspace), "zip of the folder": sourcetest.Zip(t, nested)} {
		got := sourcetest.All(t, open(t, path))
		if len(got) != len(want) {
			t.Errorf("%s: %d records, want %d", name, len(got), len(want))
			continue
		}
		for i := range got {
			if got[i].Key != want[i].Key || got[i].Text != want[i].Text || got[i].Origin != want[i].Origin {
				t.Errorf("%s: record %d is %s at %s, want %s at %s", name, i, got[i].Key, got[i].Origin, want[i].Key, want[i].Origin)
			}
		}
	}
}

func TestWhatIsNoExportIsRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, filepath.Join(t.TempDir(), "none.zip"), t.TempDir(), sourcetest.Zip(t, map[string]string{"a/b.json": "[]"})} {
		_, err := slack.Open(path)
		if guia.KindOf(err) != guia.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// bulky is an export of several pages, with long messages and an edit log.
func bulky() map[string]string {
	files := maps.Clone(workspace)
	for day := 1; day <= 4; day++ {
		var b strings.Builder
		for i := range 900 {
			fmt.Fprintf(&b, `,{"type":"message","user":"U0%d","text":"第%d則訊息 %s","ts":"17%02d%06d.%06d"}`, 1+i%3, i, strings.Repeat("á", i%50*40), day, i, i)
		}
		files[fmt.Sprintf("general/2024-01-0%d.json", day)] = "[" + b.String()[1:] + "]"
	}
	return files
}

func TestConformance(t *testing.T) {
	files := bulky()
	path := sourcetest.Zip(t, files)
	moved := filepath.Join(t.TempDir(), "renamed.zip")
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(moved, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	folder, moved2 := sourcetest.Folder(t, files), sourcetest.Folder(t, files)
	canaries := []string{"陳大文", "Conceição Araújo", "chan@example.mo", "confidencial", "direcção", "6200 0001"}
	for name, paths := range map[string][2]string{"zip": {path, moved}, "folder": {folder, moved2}} {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) source.Source { return open(t, paths[0]) }, sourcetest.Options{
				Moved:      func(t *testing.T) source.Source { return open(t, paths[1]) },
				Canaries:   canaries,
				MinRecords: 3600,
			})
		})
	}
}
