package slack

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"guia"
	"guia/source"
)

// FuzzItems compares the cutting of arrays with the standard library's reading of them.
func FuzzItems(f *testing.F) {
	for _, seed := range []string{
		`[]`, ` [ {"a":1} , {"b":"]}\"\\"} ] `, `[{"a":[{}]},7,null,"x",[1]]`, "\xEF\xBB\xBF[{}]", `[{`, `[{}`, `{}`, `[,]`, `[{}]x`, `[}`, `[[]]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want []json.RawMessage
		valid := json.Unmarshal(data, &want) == nil && bytes.ContainsRune(data, '[')
		s := newItems(iotest.OneByteReader(bytes.NewReader(data)))
		n, gaps := 0, 0
		for {
			it, ok := s.next()
			if !ok {
				break
			}
			if it.gap != "" {
				gaps++
			}
			if valid && n < len(want) && !bytes.Equal(bytes.TrimSpace(it.raw), bytes.TrimSpace(want[n])) {
				t.Fatalf("element %d is %q, want %q", n, it.raw, want[n])
			}
			if valid && n < len(want) && (it.gap == "") != (want[n][0] == '{') {
				t.Fatalf("element %d: gap %q", n, it.gap)
			}
			if n++; n > len(data)+1 {
				t.Fatal("more elements than bytes")
			}
		}
		if valid && n != len(want) {
			t.Fatalf("%d elements, want %d", n, len(want))
		}
		if gaps == 0 && !valid && json.Valid(data) {
			t.Fatalf("%q was read without a gap", data)
		}
	})
}

// FuzzMessage reads one element of a day file as a message, a user and a conversation.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"message","user":"U1","text":"<@U1> &amp; <http://x|y>","ts":"1.5"}`,
		`{"subtype":"message_changed","message":{"ts":"1","text":"b","edited":{"ts":"2"}},"previous":{"ts":"1","text":"a"}}`,
		`{"subtype":"message_deleted","ts":"3","deleted_ts":"1","previous_message":{"ts":"1"}}`,
		`{"blocks":[{"type":"rich_text","elements":[{"type":"rich_text_list","elements":[{"elements":[{"text":"x"}]}]}]},{"type":"table","rows":[[{"type":"raw_text","text":"c"}]]}]}`,
		`{"text":7,"ts":1.25,"files":[{"size":-9,"mode":"hidden_by_limit"}],"attachments":[{"fields":[{"title":"a","value":7}]}]}`,
		`{"id":"U1","updated":1,"deleted":true,"profile":{"email":"a"},"members":["U1"]}`,
		"{\"text\":\"\xff\",\"username\":\"\\ud800\"}",
	} {
		f.Add([]byte(seed))
	}
	e := &Export{files: &files{}, names: &directory{people: map[string]source.Person{"U1": {ID: "U1", Name: "陳"}}, folders: map[string]conversation{"general": {ID: "C1"}}}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, records := range [][]source.Record{e.readMessage("general", raw), e.readMessage("\xff", raw), readUser(raw), readConversation(raw, "group")} {
			for _, r := range records {
				if r.Key == "" || len(r.Key) > 4096 || !utf8.ValidString(r.Key) || !utf8.ValidString(r.Text) || !utf8.ValidString(r.Sender.ID+r.Sender.Name) {
					t.Fatalf("%q gives %+v", raw, r)
				}
				if _, err := guia.ParseMoment(r.Time.String()); r.HasTime && err != nil {
					t.Fatalf("%q: %v", raw, err)
				}
				if r.Sender != (source.Person{}) && r.Sender.ID == "" {
					t.Fatalf("%q: a sender without an identifier", raw)
				}
			}
		}
	})
}

// FuzzExport opens bytes as a zip and reads it to the end, twice, with the same answers.
func FuzzExport(f *testing.F) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"users.json": `[{"id":"U1","name":"a"}]`, "channels.json": `[{"id":"C1","name":"g"}]`, "g/2024-01-01.json": `[{"user":"U1","text":"x","ts":"1.000001"}]`,
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-10])
	path := filepath.Join(f.TempDir(), "x.zip")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := Open(path)
		if err != nil {
			if guia.KindOf(err) != guia.Invalid {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		defer e.Close()
		var after source.Cursor
		for {
			page, err := e.Pull(context.Background(), after)
			if err != nil {
				t.Fatal(err)
			}
			again, err := e.Pull(context.Background(), after)
			if err != nil || len(again.Records) != len(page.Records) || again.Next != page.Next {
				t.Fatalf("%q: %d records to %q, then %d to %q (%v)", after, len(page.Records), page.Next, len(again.Records), again.Next, err)
			}
			if after = page.Next; page.Done {
				return
			}
		}
	})
}
