package mbox_test

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/source"
	"guia/source/mbox"
	"guia/source/sourcetest"
)

// Mails in the character sets that are met in Macau; the first subject is cut in the middle of a character. Bytes are written as the mail programs write them; what they say is in the
// tests below, by hand.
const (
	plain = "Return-Path: <ana@example.mo>\r\n" +
		"Received: from a by b; Fri, 1 Mar 2024 00:00:00 +0000\r\n" +
		"From: =?UTF-8?Q?Ana_Concei=C3=A7=C3=A3o?= <Ana@Example.MO>\r\n" +
		"To: =?big5?B?s6+kaqTl?= <chan@example.mo>, \"Walsh, Kim\" <kim@example.mo>\r\n" +
		"Cc: undisclosed-recipients:;\r\n" +
		"Subject: =?utf-8?B?5pyD6K0=?=\r\n =?utf-8?B?sOe0gOmMhA==?= / ata\r\n" +
		"Date: Fri, 01 Mar 2024 16:15:30 +0800 (CST)\r\n" +
		"Message-ID: <one@example.mo>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"Ol=C3=A1,\r\nsegue a ac=\r\nta.\r\n>From here on it is mine.\r\nFrom the start, no.\r\n"
	big5 = "From: \"=?Big5?Q?=B3=AF=A4j=A4=E5?=\" <chan@example.mo>\n" +
		"To: ana@example.mo (Ana)\n" +
		"Subject: Re: =?gb2312?B?u+HS6bzNwrw=?=\n" +
		"In-Reply-To: <one@example.mo>\nReferences: <zero@example.mo>\n\t<one@example.mo>\n" +
		"Date: 1 Mar 2024 09:00 GMT\nMessage-ID: <two@example.mo>\n" +
		"Content-Type: text/plain; charset=\"Big5\"\nContent-Transfer-Encoding: 8bit\n\n" +
		"\xa4\xa4\xa4\xe5\n"
	rich = "From: Kim Walsh <kim@example.mo>\n" +
		"Subject: =?ISO-8859-1?Q?Informa=E7=E3o?=\nDate: Mon, 4 Mar 24 10:00:00 EST\nMessage-ID: <three@example.mo>\n" +
		"MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"out\"\n\nThis is a multi-part message.\n" +
		"--out\nContent-Type: multipart/alternative; boundary=out-in\n\n" +
		"--out-in\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\nSW5mb3JtYefjbw==\n" +
		"--out-in\nContent-Type: text/html; charset=utf-8\n\n<p>Informa&ccedil;&atilde;o <a href=\"https://example.mo\">aqui</a></p>\n" +
		"--out-in--\n" +
		"--out\nContent-Type: application/pdf; name=\"=?UTF-8?B?5ZCI5ZCM?=.pdf\"\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\nJVBE\nRi0=\n" +
		"--out\nContent-Type: application/octet-stream\nContent-Disposition: attachment;\n filename*0*=gb18030''%D6%D0;\n filename*1*=%CE%C4;\n filename*2=.txt\n\nconte\xfado\n" +
		"--out\nContent-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\neJ8+Ig==\n" +
		"--out\nContent-Type: message/rfc822\n\nFrom: x@example.mo\nSubject: inner\n\nhidden words\n" +
		"--out--\nepilogue\n"
	htmlOnly = "From: news@example.mo\nSubject: n\nDate: Tue, 5 Mar 2024 10:00:00 -0000\nMessage-ID: <four@example.mo>\n" +
		"Content-Type: text/html\n\n<html><head><meta charset=\"big5\"></head><body><p>\xa4\xa4\xa4\xe5</p><p>fim</p></body></html>\n"
	odd = "Subject: no sender, no time\nthis line is no field\nDate: yesterday\n\nbody\xff\n"
)

func open(t testing.TB, path string) *mbox.Mailbox {
	t.Helper()
	m, err := mbox.Open(path, mbox.Options{Mailbox: "ana"})
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// all reads mail to its end and puts the bytes of every file where it says why they are missing.
func all(t testing.TB, path string) (records []source.Record) {
	t.Helper()
	sourcetest.Each(t, open(t, path), func(r source.Record) {
		for i := range r.Files {
			if r.Files[i].Open == nil {
				continue
			}
			in, err := r.Files[i].Open()
			if err != nil {
				t.Fatal(err)
			}
			bytes, err := io.ReadAll(in)
			in.Close()
			if err != nil {
				t.Fatal(err)
			}
			r.Files[i].Missing = string(bytes)
		}
		records = append(records, r)
	})
	return records
}

// eml reads a single message.
func eml(t testing.TB, raw string) source.Record {
	t.Helper()
	records := all(t, filepath.Join(sourcetest.Folder(t, map[string]string{"x.eml": raw}), "x.eml"))
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	return records[0]
}

func TestMailIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []struct {
		raw, key, subject, sender, address, time, original, zone, basis, text, replyTo, thread string
		recipients                                                                             []string
	}{
		{
			raw: plain, key: "one@example.mo", subject: "會議紀錄 / ata", sender: "Ana Conceição", address: "Ana@Example.MO",
			time: "2024-03-01T08:15:30Z", original: "Fri, 01 Mar 2024 16:15:30 +0800 (CST)", zone: "+08:00", basis: "source",
			text:       "Olá,\nsegue a acta.\n>From here on it is mine.\nFrom the start, no.",
			recipients: []string{"陳大文 <chan@example.mo>", "\"Walsh, Kim\" <kim@example.mo>", "undisclosed-recipients:;"},
		},
		{
			raw: big5, key: "two@example.mo", subject: "Re: 会议纪录", sender: "陳大文", address: "chan@example.mo",
			time: "2024-03-01T09:00Z", original: "1 Mar 2024 09:00 GMT", zone: "UTC", basis: "source", text: "中文",
			replyTo: "one@example.mo", thread: "zero@example.mo", recipients: []string{"ana@example.mo (Ana)"},
		},
		{
			raw: rich, key: "three@example.mo", subject: "Informação", sender: "Kim Walsh", address: "kim@example.mo",
			time: "2024-03-04T15:00:00Z", original: "Mon, 4 Mar 24 10:00:00 EST", zone: "-05:00", basis: "assumed", text: "Informação",
		},
		{
			raw: htmlOnly, key: "four@example.mo", subject: "n", sender: "", address: "news@example.mo",
			time: "2024-03-05T10:00:00Z", original: "Tue, 5 Mar 2024 10:00:00 -0000", zone: "UTC", basis: "source", text: "中文\nfim",
		},
	} {
		r := eml(t, want.raw)
		got := want
		got.key, got.subject, got.sender, got.address, got.text = r.Key, r.Subject, r.Sender.Name, r.Sender.Address, r.Text
		got.time, got.original, got.zone, got.basis = r.Time.String(), r.TimeOriginal, r.TimeZone, r.TimeBasis
		got.replyTo, got.thread, got.recipients = r.ReplyTo, r.Thread, r.Recipients
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("got  %q\nwant %q", fmt.Sprintf("%q", got)[len(want.raw):], fmt.Sprintf("%q", want)[len(want.raw):])
		}
		if string(r.Raw) != want.raw || r.RawType != "message/rfc822" || r.Type != guia.MailSent || r.StreamKind != "mailbox" || r.Stream != "ana" {
			t.Errorf("%s: raw bytes, type or stream are wrong: %s %s %s", r.Key, r.Type, r.RawType, r.Stream)
		}
		if len(r.Marks) > 0 {
			t.Errorf("%s: marks %v", r.Key, r.Marks)
		}
	}
}

func TestAttachmentsAreFiles(t *testing.T) {
	r := eml(t, rich)
	want := []string{
		"合同.pdf application/pdf %PDF-", "中文.txt application/octet-stream conte\xfado", "winmail.dat application/ms-tnef x\x9f>\"",
		"part-4.eml message/rfc822 From: x@example.mo\nSubject: inner\n\nhidden words",
	}
	var got []string
	for _, f := range r.Files {
		got = append(got, f.Name+" "+f.MediaType+" "+f.Missing)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if r.HTML != "<p>Informa&ccedil;&atilde;o <a href=\"https://example.mo\">aqui</a></p>" {
		t.Errorf("HTML is %q", r.HTML)
	}
}

func TestWhatIsOddIsKeptAndMarked(t *testing.T) {
	r := eml(t, odd)
	if want := []string{source.MarkNoSender, source.MarkNoTime, "malformed-header", source.MarkBadEncoding}; !slices.Equal(r.Marks, want) {
		t.Errorf("marks %v, want %v", r.Marks, want)
	}
	if r.Text != "body\uFFFD" || r.HasTime || r.TimeOriginal != "yesterday" || r.TimeBasis != "none" || !strings.HasPrefix(r.Key, "sha256:") {
		t.Errorf("got %+v", r)
	}
}

func TestDates(t *testing.T) {
	for date, want := range map[string]string{
		"Fri, 01 Mar 2024 16:15:30 +0800":    "2024-03-01T08:15:30Z +08:00 source",
		"1 Mar 2024 16:15 -0330":             "2024-03-01T19:45Z -03:30 source",
		"Fri, 1 Mar 2024 16:15:30 UT":        "2024-03-01T16:15:30Z UTC source",
		"Fri,1 Mar 99 16:15:30 (a(b)) +0000": "1999-03-01T16:15:30Z UTC source",
		"Fri, 1 March 2024 16:15:30 +08:00":  "2024-03-01T08:15:30Z +08:00 source",
		"2024-03-01T16:15:30+08:00":          "2024-03-01T08:15:30Z +08:00 source",
		"Fri, 1 Mar 2024 16:15:30 PST":       "2024-03-02T00:15:30Z -08:00 assumed",
		"Fri, 1 Mar 2024 16:15:30":           "",
		"Fri, 1 Mar 2024 16:15:30 HKT":       "",
		"31 Jun 2024 16:15:30 +0000":         "",
		"1 Mar 2024 16:15:60 +0000":          "",
		"1 Mar 2024 24:00:00 +0000":          "",
		"2024-03-01":                         "",
		"":                                   "",
	} {
		r := eml(t, "From: a@example.mo\nDate: "+date+"\nReceived: from x by y; Fri, 1 Mar 2024 00:00:00 +0000\n\nx\n")
		got := ""
		if r.HasTime {
			got = r.Time.String() + " " + r.TimeZone + " " + r.TimeBasis
		}
		if got != want || r.HasTime == slices.Contains(r.Marks, source.MarkNoTime) {
			t.Errorf("%q is %q %v, want %q", date, got, r.Marks, want)
		}
	}
}

// archive is an mbox with the two quotings and bodies that speak of "From ".
func archive() (text string, raws []string) {
	raws = []string{
		"From: a@example.mo\nMessage-ID: <m1@x>\nDate: 1 Mar 2024 09:00:00 +0000\n\nDear all,\n\nFrom tomorrow we meet at 9.\n\n>From my desk\n>>From quoted twice\n",
		"From: b@example.mo\nMessage-ID: <m2@x>\nDate: 1 Mar 2024 09:01:00 +0000\n\nFrom Monday 4 March 2024 10:00 on.\n\nFrom me Mon Mar  4 10:00:00 2024\nno header follows, so this is text\n",
		"From: c@example.mo\nMessage-ID: <m3@x>\nDate: 1 Mar 2024 09:02:00 +0000\n\n",
		"From: d@example.mo\nMessage-ID: <m4@x>\nDate: 1 Mar 2024 09:03:00 +0000\n\nlast line without an end",
	}
	lines := []string{
		"From a@example.mo Fri Mar  1 09:00:00 2024\n", "From - Fri Mar 01 09:01:00 2024\n",
		"From 1234567890@xxx Fri Mar 01 09:02:00 +0000 2024\n", "From d@example.mo Fri Mar  1 09:03 GMT 2024\n",
	}
	for i := range raws {
		text += lines[i] + raws[i]
		if i < 3 {
			text += "\n"
		}
	}
	return text, raws
}

func TestMboxIsCutAtFromLinesOnly(t *testing.T) {
	text, raws := archive()
	for name, convert := range map[string]func(string) string{
		"line feeds":   func(s string) string { return s },
		"with returns": func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	} {
		records := all(t, filepath.Join(sourcetest.Folder(t, map[string]string{"Inbox": convert(text)}), "Inbox"))
		if len(records) != len(raws) {
			t.Errorf("%s: %d messages, want %d", name, len(records), len(raws))
			continue
		}
		for i, r := range records {
			if string(r.Raw) != convert(raws[i]) {
				t.Errorf("%s: message %d is %q, want %q", name, i, r.Raw, convert(raws[i]))
			}
			if r.Key != fmt.Sprintf("m%d@x", i+1) {
				t.Errorf("%s: message %d has the key %q", name, i, r.Key)
			}
		}
		if want := "Dear all,\n\nFrom tomorrow we meet at 9.\n\nFrom my desk\n>From quoted twice"; records[0].Text != want {
			t.Errorf("%s: text is %q, want %q", name, records[0].Text, want)
		}
	}
}

func TestSameMessageIDWithOtherBytesIsKept(t *testing.T) {
	copy1 := "From: a@example.mo\nMessage-ID: <same@x>\nDate: 1 Mar 2024 09:00:00 +0000\n\nfirst\n"
	copy2 := strings.Replace(copy1, "first", "second", 1)
	records := all(t, sourcetest.Folder(t, map[string]string{"1.eml": copy1, "2.eml": copy2, "3.eml": copy1, "4.eml": strings.Replace(copy1, "same@x", "other@x", 1)}))
	var keys []string
	for _, r := range records {
		keys = append(keys, r.Key)
	}
	if len(keys) != 4 || keys[0] != "same@x" || !strings.HasPrefix(keys[1], "same@x/") || keys[2] != "same@x" || keys[3] != "other@x" {
		t.Errorf("keys %q", keys)
	}
}

func TestFoldersMaildirsAndZips(t *testing.T) {
	text, _ := archive()
	files := map[string]string{
		"cur/1.host:2,S": plain, "new/2.host": big5, ".Sent/cur/3.host:2,S": rich, "Arquivo/antigo.mbox": text, "notes.txt": "no mail at all",
		"Arquivo/antigo.msf": "index", ".DS_Store": "x",
	}
	want := map[string]string{
		"one@example.mo": "ana", "two@example.mo": "ana", "three@example.mo": "ana/.Sent", "m1@x": "ana/Arquivo/antigo", "m2@x": "ana/Arquivo/antigo",
		"m3@x": "ana/Arquivo/antigo", "m4@x": "ana/Arquivo/antigo", "gap/notes.txt#0": "",
	}
	for name, path := range map[string]string{"folder": sourcetest.Folder(t, files), "zip": sourcetest.Zip(t, files)} {
		got := map[string]string{}
		for _, r := range all(t, path) {
			got[r.Key] = r.Stream
			if (r.Type == guia.SourceGap) != (r.Extra.Get("reason") == "neither a message nor an mbox") {
				t.Errorf("%s: %s says %q", name, r.Type, r.Extra.Get("reason"))
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// TestAnotherMailboxIsAnotherReading: a name that was wrong can be corrected; the name of the file does not matter.
func TestAnotherMailboxIsAnotherReading(t *testing.T) {
	text, _ := archive()
	seen := map[string]string{}
	for _, c := range []struct{ file, mailbox, same string }{
		{"Inbox.mbox", "", "unnamed"}, {"copy.mbox", "", "unnamed"}, {"Inbox.mbox", "ana", "ana"}, {"copy.mbox", "ana", "ana"}, {"Inbox.mbox", "rui", "rui"},
	} {
		m, err := mbox.Open(filepath.Join(sourcetest.Folder(t, map[string]string{c.file: text}), c.file), mbox.Options{Mailbox: c.mailbox})
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[c.same]; ok && was != m.Instance() {
			t.Errorf("%s as %q: instance %s, was %s", c.file, c.mailbox, m.Instance(), was)
		}
		seen[c.same] = m.Instance()
		m.Close()
	}
	if seen["ana"] == seen["rui"] || seen["ana"] == seen["unnamed"] {
		t.Errorf("instances %v: a corrected name would be taken for known", seen)
	}
}

func TestWhatIsNoMailIsRefused(t *testing.T) {
	dir := sourcetest.Folder(t, map[string]string{"a.json": `{"from":"x"}`, "b.yaml": "kind: list\nname: x\n", "empty": "", "e.eml": "", "c/d.txt": "From here", "bad.zip": "PK\x03\x04xx"})
	for _, path := range []string{"a.json", "b.yaml", "empty", "bad.zip", "none"} {
		if _, err := mbox.Open(filepath.Join(dir, path), mbox.Options{}); guia.KindOf(err) != guia.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := mbox.Open(sourcetest.Folder(t, map[string]string{"x": "y"}), mbox.Options{}); guia.KindOf(err) != guia.Invalid {
		t.Errorf("a folder without mail: %v", err)
	}
}

func TestAMessageAboveTheLimitIsKeptAsAFile(t *testing.T) {
	big := "From: a@example.mo\nMessage-ID: <big@x>\nDate: 1 Mar 2024 09:00:00 +0000\n\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\n", 65<<20/49)
	text, _ := archive()
	path := filepath.Join(sourcetest.Folder(t, map[string]string{"Inbox": "From a Fri Mar  1 09:00:00 2024\n" + big + "\n" + text}), "Inbox")
	records := all(t, path)
	if len(records) != 5 || records[4].Key != "m4@x" {
		t.Fatalf("%d messages", len(records))
	}
	r := records[0]
	if r.Key != "big@x" || !slices.Contains(r.Marks, source.MarkOversize) || len(r.Raw) != 1<<20 || len(r.Files) != 1 {
		t.Fatalf("key %s, marks %v, %d raw bytes, %d files", r.Key, r.Marks, len(r.Raw), len(r.Files))
	}
	if r.Files[0].Missing != big || r.Files[0].Size != int64(len(big)) {
		t.Errorf("the file has %d bytes, announced %d, want %d", len(r.Files[0].Missing), r.Files[0].Size, len(big))
	}
}

func TestConformance(t *testing.T) {
	text, _ := archive()
	var b strings.Builder
	b.WriteString(text + "\n\n")
	for i := range 1500 {
		fmt.Fprintf(&b, "From a@x Fri Mar  1 09:00:00 2024\nFrom: =?UTF-8?Q?Ana_Concei=C3=A7=C3=A3o?= <ana@example.mo>\nTo: chan@example.mo\nSubject: %d 會議\n"+
			"Date: Fri, 1 Mar 2024 16:%02d:%02d +0800\nMessage-ID: <%d@x>\nContent-Type: text/plain; charset=utf-8\n\n正文 %s\n\n", i, i/60, i%60, i-i%7/6, strings.Repeat("ç", i%90*50))
	}
	for i, raw := range []string{plain, big5, rich, htmlOnly, odd} {
		fmt.Fprintf(&b, "From x Fri Mar  1 09:00:0%d 2024\n%s\n", i, strings.ReplaceAll(raw, "\r\n", "\n"))
	}
	files := map[string]string{"Inbox.mbox": b.String(), "um.eml": plain, "cur/1:2,S": big5, "outro": rich, "x.txt": "junk", "dois.eml": odd}
	single := map[string]string{"Inbox.mbox": b.String()}
	for name, paths := range map[string][2]string{
		"mbox":   {filepath.Join(sourcetest.Folder(t, single), "Inbox.mbox"), filepath.Join(sourcetest.Folder(t, map[string]string{"Outro.mbox": b.String()}), "Outro.mbox")},
		"folder": {sourcetest.Folder(t, files), sourcetest.Folder(t, files)},
		"zip":    {sourcetest.Zip(t, files), sourcetest.Zip(t, files)},
	} {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) source.Source { return open(t, paths[0]) }, sourcetest.Options{
				Moved:      func(t *testing.T) source.Source { return open(t, paths[1]) },
				Canaries:   []string{"Ana Conceição", "chan@example.mo", "會議", "正文"},
				MinRecords: 1500,
			})
		})
	}
}
