package mbox

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"guia"
	"guia/source"
)

// FuzzSplit cuts bytes into messages: every byte is in one piece or between two, and how the bytes arrive changes nothing.
func FuzzSplit(f *testing.F) {
	from := "From a Fri Mar  1 09:00:00 2024\n"
	for _, seed := range []string{
		from + "A: b\n\nx\n\n" + from + "C: d\n\n", "\n\n" + from + from, "\xEF\xBB\xBF" + from + "A: b\r\n\r\nFrom me\r\n\r\n", "From: a\n\nFrom here\n",
		from + "A: b\n\n" + strings.Repeat("x", 3000) + "\n\n" + from + ">From x\nB: c\n", "no mail", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all := pieces(bytes.NewReader(data))
		slow := pieces(iotest.OneByteReader(bytes.NewReader(data)))
		if len(all) != len(slow) {
			t.Fatalf("%d pieces, byte by byte %d", len(all), len(slow))
		}
		last := int64(0)
		for i, p := range all {
			if !bytes.Equal(p.raw, slow[i].raw) || p.start != slow[i].start || p.end != slow[i].end || p.gap != slow[i].gap {
				t.Fatalf("piece %d is %+v, byte by byte %+v", i, p, slow[i])
			}
			if p.gap != "" {
				continue
			}
			if p.start < last || p.end < p.start+p.size || p.end > int64(len(data)) || !bytes.Equal(p.raw, data[p.start:p.start+p.size]) {
				t.Fatalf("piece %d: %+v is not what stands there", i, p)
			}
			if between := data[last:p.start]; !p.quoted && len(between) > 0 || p.quoted && !bytes.Contains(between, []byte("From ")) {
				t.Fatalf("before piece %d: %q is lost", i, between)
			}
			last = p.end
		}
	})
}

func pieces(in io.Reader) (all []piece) {
	s := newSplitter(in, "x")
	for {
		p, ok := s.next()
		if !ok {
			return all
		}
		all = append(all, p)
	}
}

// FuzzMail reads bytes as one message.
func FuzzMail(f *testing.F) {
	for _, seed := range []string{
		"From: =?big5?B?s6+kaqTl?= <a@b>\nTo: \"x, y\" <c@d>, e@f (g)\nSubject: =?utf-8?Q?=E6?= =?utf-8?Q?=9C=83?=\nDate: 1 Mar 2024 09:00 +0800\nMessage-ID: <x@y>\n\nbody",
		"Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a\nContent-Type: multipart/alternative; boundary=\"a-b\"\n\n--a-b\nContent-Type: text/html\n\n<p>y\n--a-b--\n--a--\n",
		"Content-Disposition: attachment; filename*0*=gb18030''%D6; filename*1=x; filename*=utf-8''%E4%B8%AD\nContent-Transfer-Encoding: base64\n\nQQ==QkI=Qw",
		"Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: quoted-printable\n\n=1B$B=\n=ZZ=3",
		"A\n b\n:\nFrom: <\nDate: Mon, 99\n\n\xff>From x\n",
	} {
		f.Add([]byte(seed))
	}
	m := &Mailbox{files: &source.Input{Entries: []source.Entry{{Name: "x.eml"}}}, mailbox: "x"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := m.record(place{}, piece{raw: raw, size: int64(len(raw)), quoted: true})
		for _, s := range append([]string{r.Key, r.Text, r.HTML, r.Subject, r.Sender.ID, r.Sender.Name, r.Sender.Address, r.TimeOriginal, r.ReplyTo, r.Thread}, r.Recipients...) {
			if !utf8.ValidString(s) {
				t.Fatalf("%q is not UTF-8", s)
			}
		}
		if _, err := guia.ParseMoment(r.Time.String()); r.HasTime && err != nil {
			t.Fatal(err)
		}
		if r.Key == "" || len(r.Key) > 4096 || r.Sender != (source.Person{}) && r.Sender.ID == "" {
			t.Fatalf("got %+v", r)
		}
		for _, file := range r.Files {
			in, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, in)
			if err != nil || n > int64(len(raw)) || !utf8.ValidString(file.Name) || file.Name == "" {
				t.Fatalf("file %+v of %d bytes: %v", file, n, err)
			}
		}
	})
}
