package evidence

import (
	"bytes"
	"compress/gzip"
	"encoding/ascii85"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"guia/evidence/verify"
	"guia/source"
)

// encodings are the ways in which sources put a text into another.
var encodings = map[string]func(string) string{
	"JSON": func(s string) string {
		b, _ := json.Marshal(s)
		return string(b)
	},
	"JSON in ASCII": func(s string) string { return strconv.QuoteToASCII(s) },
	"escaped bytes": func(s string) string { return each(s, `\x%02x`) },
	"address":       url.QueryEscape,
	"HTML":          html.EscapeString,
	"entities":      func(s string) (e string) { return entities(s, "&#%d;") },
	"hexadecimal entities": func(s string) (e string) {
		return entities(s, "&#x%X;")
	},
	"base64":          func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 unpadded": func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"base64 for URLs": func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"base64 in lines": func(s string) (e string) {
		b := base64.StdEncoding.EncodeToString([]byte("of a mail that has several lines, and this is the first: " + s))
		for ; len(b) > 76; b = b[76:] {
			e += b[:76] + "\r\n"
		}
		return e + b
	},
	"base64 in a path": func(s string) string {
		return "/files/" + base64.RawURLEncoding.EncodeToString([]byte("to: "+s)) + "/x"
	},
	"base64 among other bytes": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x0a\x80\xff" + s + "\xfe\x01"))
	},
	"data URL": func(s string) string { return "data:text/plain;base64," + base64.StdEncoding.EncodeToString([]byte(s)) },
	"quoted-printable": func(s string) string {
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		_, _ = w.Write([]byte(strings.Repeat("-", 70) + " " + s))
		_ = w.Close()
		return b.String()
	},
	"escapes of JavaScript": func(s string) (e string) {
		for _, u := range utf16.Encode([]rune(s)) {
			e += fmt.Sprintf("%%u%04X", u)
		}
		return e
	},
	"braces of JavaScript": func(s string) (e string) { return entities(s, `\u{%x}`) },
	"octal digits":         func(s string) string { return each(s, `\%03o`) },
	"base32":               func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) },
	"base32 in a path": func(s string) string {
		return "/files/" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte("to: "+s))) + "/x"
	},
	"hexadecimal digits": func(s string) string { return hex.EncodeToString([]byte(s)) },
	"encoded words":      func(s string) string { return mime.BEncoding.Encode("utf-8", strings.Repeat("è", 24)+" "+s) },
	"encoded words Q":    func(s string) string { return mime.QEncoding.Encode("utf-8", strings.Repeat("è", 24)+" "+s) },
}

// each puts every byte into a form.
func each(s, form string) (e string) {
	for i := range len(s) {
		e += fmt.Sprintf(form, s[i])
	}
	return e
}

func entities(s, form string) (e string) {
	for _, r := range s {
		e += fmt.Sprintf(form, r)
	}
	return e
}

// However a name is encoded, also twice, it is found; and the same encodings of somebody else's name hold nothing.
func TestANameIsFoundUnderEveryEncoding(t *testing.T) {
	for _, shown := range []string{"陳大文", "João Conceição", "chan.tm@acme.example"} {
		var a acquaintance
		a.name(shown, 0)
		for outer, wrap := range encodings {
			for inner, encode := range encodings {
				for _, w := range []struct {
					who   string
					found bool
				}{{shown, true}, {"林小玲 Lam Sio Leng", false}} {
					text := "before, " + wrap(encode(w.who)) + ", after"
					if got := len(a.namedIn("subject", text)) > 0; got != w.found {
						t.Errorf("%s as %s as %s in %q: %v", w.who, inner, outer, text, got)
					}
				}
			}
		}
	}
}

// Bytes that are escaped are read in every character set of the region, whichever way they are escaped.
func TestANameIsFoundInEveryCharacterSet(t *testing.T) {
	utf16le := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	utf16be := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	for _, w := range []struct {
		shown string
		sets  []encoding.Encoding
	}{
		{"陳大文", []encoding.Encoding{simplifiedchinese.GBK, simplifiedchinese.GB18030, traditionalchinese.Big5, utf16le, utf16be}},
		{"林玲", []encoding.Encoding{simplifiedchinese.GBK, traditionalchinese.Big5, utf16le, utf16be}},
		{"João", []encoding.Encoding{charmap.ISO8859_1, charmap.Windows1252, utf16le, utf16be}},
	} {
		var a acquaintance
		a.name(w.shown, 0)
		for _, set := range w.sets {
			s, err := set.NewEncoder().String(w.shown)
			must(t, err)
			many, err := set.NewEncoder().String(strings.Repeat(w.shown+"\n", 16))
			must(t, err)
			for how, escape := range map[string]func(string) string{
				"address":          url.QueryEscape,
				"every byte":       func(s string) string { return each(s, "%%%02x") },
				"quoted-printable": func(s string) string { return each(s, "=%02X") },
				"JSON":             func(s string) string { return each(s, `\x%02x`) },
				"octal digits":     func(s string) string { return each(s, `\%03o`) },
				"hexadecimal":      func(s string) string { return hex.EncodeToString([]byte(s)) },
				"base64":           func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
				"in a path":        func(s string) string { return "files/" + base64.RawURLEncoding.EncodeToString([]byte("1: "+s)) + "/x" },
				"base64, twice":    func(s string) string { return encodings["base64"](encodings["base64"](s)) },
				"base64, a long one": func(s string) string {
					if strings.HasPrefix(s, "Nobody") {
						return s
					}
					return base64.StdEncoding.EncodeToString([]byte(many))
				},
				"JSON in an address": func(s string) string { return url.QueryEscape(each(s, `\x%02x`)) },
			} {
				if text := "https://oa.acme.example/leave?name=" + escape(s); len(a.namedIn("subject", text)) == 0 {
					t.Errorf("%s in %v as %s is not found in %q", w.shown, set, how, text)
				}
				if text := "陳，https://oa.acme.example/leave?name=" + escape("Nobody"); len(a.namedIn("subject", text)) > 0 {
					t.Errorf("%s in %v as %s is found in %q", w.shown, set, how, text)
				}
			}
		}
	}
}

// A browser shows no comments and no tags, whatever stands in them.
func TestANameIsFoundBetweenTags(t *testing.T) {
	var a acquaintance
	a.name("陳大文", 0)
	for _, page := range []string{"陳<!-- a>b -->大文", "陳<!-->大<!-- <b> --!>文", `<p>陳<b title="a>b">大</b><i x='<">'>文`, "陳<!-- a\n<!-- b>-->大文"} {
		if len(a.namedIn("text.html", page)) == 0 {
			t.Errorf("not found in %q", page)
		}
	}
	if page := `<!-- 陳 --> 大<!-- x -->`; len(a.namedIn("text.html", page)) > 0 {
		t.Errorf("found in %q", page)
	}
}

// What is encoded and cannot be undone could hold any name; what only looks long cannot.
func TestBytesAsReceivedThatCannotBeUndoneAreNotSearchable(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(strings.Repeat("ask Chan Tai Man about it; ", 3) + "0123456789 abcdefgh"))
	_ = z.Close()
	b64 := base64.StdEncoding.EncodeToString
	var little bytes.Buffer
	z = gzip.NewWriter(&little)
	_, _ = z.Write([]byte("Ana"))
	_ = z.Close()
	a85 := make([]byte, 40)
	a85 = a85[:ascii85.Encode(a85, []byte("Ana Silva is ill"))]
	deep := `"x"`
	for range 10 {
		deep = base64.StdEncoding.EncodeToString([]byte(deep))[:min(1<<16, len(base64.StdEncoding.EncodeToString([]byte(deep))))]
	}
	for what, w := range map[string]struct {
		raw  string
		want bool
	}{
		"compressed":               {`{"z":"` + b64(packed.Bytes()) + `"}`, false},
		"compressed, in lines":     {`{"z":"` + b64(packed.Bytes())[:76] + `\r\n` + b64(packed.Bytes())[76:] + `"}`, false},
		"compressed, in base64":    {`{"z":"` + b64([]byte(b64(packed.Bytes()))) + `"}`, false},
		"a short picture":          {`{"src":"data:image\/gif;base64,R0lGODlhAQABAIAAAAUEBA=="}`, false},
		"another character set":    {`{"from":"=?gb2312?B?s8K088jL?="}`, false},
		"a part of a mail":         {`{"part":"Content-Transfer-Encoding: 8bit\r\n\r\nwords"}`, false},
		"too many layers":          {`{"z":"` + deep + `"}`, false},
		"bytes of no set":          {`{"u":"?k=%1f%8b%08%00%81%8d"}`, false},
		"a long run of digits":     {`{"x":"` + strings.Repeat("1f8b0800818d01", 12) + `"}`, false},
		"bytes of a set":           {`{"u":"?name=Jo%E3o"}`, true},
		"text in base64":           {`{"z":"` + b64([]byte(strings.Repeat("words and more words, ", 8))) + `"}`, true},
		"words in Unicode":         {`{"from":"=?utf-8?Q?Jo=C3=A3o?="}`, true},
		"a digest":                 {`{"sha256":"` + strings.Repeat("0123456789abcdef", 4) + `"}`, true},
		"identifiers":              {`{"id":"F024BERPE","thread":"1512085950.000216","uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}`, true},
		"the address of a file":    {`{"url":"https:\/\/files.example.com\/files-pri\/T024BE7LD-F024BERPE\/download\/The_Contract_of_the_Flat_in_Rua_da_Praia_v2.pdf"}`, true},
		"a table on the web":       {`https://docs.google.com/spreadsheets/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit?usp=sharing`, true},
		"a folder on the web":      {`https://acme-my.sharepoint.com/personal/ana_acme_com/Documents/Forms/EqTz4Xb0n2hKrJk9dQ7vW8sBv1Ld3uYpG5cNfM6aRt0oZg?e=4Kd8Rw`, true},
		"a page of a newspaper":    {`https://news.example.mo/Politics/2026/01/Government-Of-Macau-Announces-New-Rules-For-Personal-Data_And_Much_More-v2`, true},
		"parameters of a page":     {`https://oa.acme.example/view?t=0012&id=8f14e45f&page=001`, true},
		"a folder of a year":       {`D:\2019\Contracts\2018`, true},
		"compressed, in a path":    {`https://oa.acme.example/view/` + base64.RawURLEncoding.EncodeToString(packed.Bytes()) + `/edit`, false},
		"two numbers in a path":    {`https://acme.sharepoint.com/sites/Sales/6ba7b810-9dad-11d1-80b4-00c04fd430c8/7d444840-9dc0-11d1-b245-5ffdce74fad2/v2`, true},
		"a folder of a year, long": {`https://acme-my.sharepoint.com/personal/ana_acme_com/Documents2026/EqTz4Xb0n2hKrJk9dQ7vW8sBv1Ld3uYpG5cNfM6aRt0oZg/Forms2?e=4Kd8Rw`, true},
		"a page in camels":         {`https://news.example.mo/Politics/2026/ActionPlanForMacau/ViewDocumentList/SharedDocuments/TheGovernmentAnnouncesNewRules2`, true},
		"a deep folder":            {`D:\Pessoal\AnaSilva\OneDrive - Acme\2026\Q1\Contracts\Flat 12B Rua da Praia\Version_2_Final_Signed (3).pdf`, true},
		"a channel's messages":     {`https://acme.slack.com/archives/C024BE91L/p1512085950000216?thread_ts=1512085950.000216&cid=C024BE91L`, true},
		"a meeting":                {`https://teams.microsoft.com/l/meetup-join/19%3ameeting_NjM2YzQ0ZTQtYjk3YS00ZTg2LWE5YmYtYjMxYzQ5ZjQxNzY3%40thread.v2/0`, true},
		"a rule of hyphens":        {`Title A1b` + strings.Repeat("-", 80) + `B2c ` + strings.Repeat("/", 80), true},
		"a number with zeros":      {`{"Invoice":"INV-2026-` + strings.Repeat("0", 30) + `1234-Macau-Branch-Office-Document"}`, true},
		"compressed, a few bytes":  {`{"z":"` + b64(little.Bytes()) + `"}`, false},
		"the same in hexadecimal":  {`{"z":"` + hex.EncodeToString(little.Bytes()) + `"}`, false},
		"bytes of ascii85":         {"<~" + string(a85) + "~>", false},
		"uuencode":                 {"look:\nbegin 644 list.txt\n#0V%T\n`\nend\n", false},
		"bytes in base32":          {`{"z":"` + base32.StdEncoding.EncodeToString(noise(60)) + `"}`, false},
		"small base32":             {`{"z":"` + strings.ToLower(base32.StdEncoding.EncodeToString(noise(60))) + `"}`, false},
		"text in base32":           {`{"z":"` + base32.StdEncoding.EncodeToString([]byte(strings.Repeat("words and more words, ", 8))) + `"}`, true},
		"capitals and numbers":     {`MACAU-INTERNATIONAL-AIRPORT-CARGO-2026/MFM-HKG-NX123-FLIGHT-SCHEDULE-SUMMER-B737-A320-REVISED`, true},
		"a word nobody should use": {`{"x":"` + strings.Repeat("Donaudampfschiff", 8) + `"}`, true},
	} {
		if got := searchable("application/json", []byte(w.raw)); got != w.want {
			t.Errorf("%s, %q: searchable %v, want %v", what, w.raw, got, w.want)
		}
	}
}

// Bytes that are no text are never taken for words, however they fall and wherever they stand.
func TestNoBytesInBase64AreTakenForWords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	missed, b := 0, make([]byte, 0, 300)
	for i := range 1500 {
		b = b[:leastSealed*3/4+i%250]
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		for _, text := range []string{base64.StdEncoding.EncodeToString(b), "https://oa.acme.example/d/" + base64.RawURLEncoding.EncodeToString(b) + "/edit"} {
			if searchable("", []byte(text)) {
				missed++
				t.Logf("searchable: %s", text)
			}
		}
	}
	if missed > 0 {
		t.Errorf("%d of 3000", missed)
	}
}

// noise is bytes as those that are compressed or encrypted.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(3, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// What stands around bytes that cannot be looked through, however much of it, does not let them pass: what fills up a field, the header and the
// empty rows of a picture, text in the same base64.
func TestBytesAmongOthersAreNotTakenForWords(t *testing.T) {
	text := []byte(strings.Repeat("words and more words, ", 200))
	for what, around := range map[string]func(b []byte, n int) []byte{
		"zeros behind":      func(b []byte, n int) []byte { return append(b, make([]byte, n)...) },
		"zeros before":      func(b []byte, n int) []byte { return append(make([]byte, n), b...) },
		"ones behind":       func(b []byte, n int) []byte { return append(b, bytes.Repeat([]byte{0xff}, n)...) },
		"two bytes behind":  func(b []byte, n int) []byte { return append(b, bytes.Repeat([]byte{0xff, 0}, n/2)...) },
		"small numbers":     func(b []byte, n int) []byte { return append(b, bytes.Repeat([]byte{1, 0, 0, 0, 2, 0, 0, 0}, n/8)...) },
		"text before":       func(b []byte, n int) []byte { return append(text[:n:n], b...) },
		"text on each side": func(b []byte, n int) []byte { return slices.Concat(text[:n], b, text[:n]) },
	} {
		missed, r := 0, rand.New(rand.NewPCG(3, 4)) // the same bytes in whatever order
		for _, size := range []int{48, 64, 96} {
			for _, n := range []int{40, 200, 1000, 4000} {
				for range 10 {
					b := make([]byte, size)
					for k := range b {
						b[k] = byte(r.Uint32())
					}
					b = around(b, n)
					for _, encoded := range []string{base64.StdEncoding.EncodeToString(b), "/d/" + base64.RawURLEncoding.EncodeToString(b) + "/edit"} {
						if searchable("application/json", []byte(`{"state":"`+encoded+`"}`)) {
							missed++
							t.Logf("searchable: %s", encoded)
						}
					}
				}
			}
		}
		if missed > 0 {
			t.Errorf("%s: %d of 240", what, missed)
		}
	}
	for what, raw := range map[string]string{
		"a bitmap":                             "Qk2eAgAAAAAAAD4AAAAoAAAA" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff, 0xff, 0, 0}, 40)),
		"an empty OLE document":                "0M8R4KGxGuEAAAAAAAAAAAAAAAAAAAAAPgADAP7/CQAGAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAEAAAAgAAAAEAAAD+////",
		"text and bytes in hexadecimal digits": hex.EncodeToString(text[:2000]) + hex.EncodeToString(noise(64)),
	} {
		if searchable("", []byte(raw)) {
			t.Errorf("%s is searchable", what)
		}
	}
}

// What a name stands in is withheld, whatever it is encoded in, and bytes that cannot be looked through: nothing else of the record.
func TestAnEncodedNameIsWithheldFromABundle(t *testing.T) {
	o := newOffice(t)
	chan1 := says("1", "Chan", "words")
	chan1.Sender = source.Person{ID: "U0CHAN77", Name: "陳大文", Address: "chan.tm@acme.example"}
	records := []source.Record{chan1}
	hidden := base64.StdEncoding.EncodeToString([]byte("ask 陳大文 about it"))
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("陳大文")
	must(t, err)
	line := func(s string) string { return s + strings.Repeat(" ", 64-len(s)) }
	for i, w := range []struct{ text, raw, html string }{
		{text: "nobody", raw: `{"x":"{\"body\":\"` + hidden + `\"}"}`},
		{text: "nobody", raw: `{"x":"a\u003db \u003dE9\u003d99\u003dB3=E5=A4=A7=\r\n=E6=96=87"}`},
		{text: "nobody", raw: `{"x":"` + strings.Repeat("/9j/4AAQSkZJRgABAQ", 5) + `"}`},
		{text: "nobody", raw: `{}`, html: `<a href="data:text/html;base64,` + hidden + `">`},
		{text: line("before") + line(hidden) + "after", raw: `{}`},
		{text: line("before") + line("https://oa.acme.example/leave?name="+url.QueryEscape(gbk)), raw: `{"url":"?name=` + url.QueryEscape(gbk) + `"}`},
		{text: line("before") + line("?k=%1f%8b%08%00%81%8d") + "after", raw: `{}`},
		{text: "nobody at all", raw: `{"token":"a1B2c3","text":"nobody at all"}`},
	} {
		r := says(strconv.Itoa(i+2), "Ana", w.text)
		r.Raw, r.HTML = []byte(w.raw), w.html
		records = append(records, r)
	}
	places := o.bring("acme", records...)
	p := o.build(o.request(o.open("case", places...), "person=U0CHAN77"))
	for i, want := range []string{"[raw]", "[raw]", "[raw]", "[raw text.html]", "[raw text.0001]", "[raw text.0001]", "[raw text.0001]", "[]"} {
		if got := fmt.Sprint(p.withheld(places[i+1], verify.Redacted)); got != want {
			t.Errorf("of message %d %v is withheld, want %v", i+2, got, want)
		}
	}
}

// Whatever a text says, undoing it ends, within its limits.
func FuzzMeaning(f *testing.F) {
	f.Add(`{"a":"\u4f63\ud83d\ude00&lt;\x41"}`)
	f.Add("=?utf-8?B?6Zmz5aSn?= =?utf-8?Q?=E6=96=87?=")
	f.Add(strings.Repeat("QUFB", 100) + "\r\n" + strings.Repeat("/+-_", 40) + "==")
	f.Add(strings.Repeat("&amp;", 50) + strings.Repeat("%25", 50) + strings.Repeat(`\\`, 50) + "=\r\n=3D")
	f.Add(strings.Repeat("<", 100) + ">")
	f.Add("%b3%c2%u9673\\u{9673}\\351=E3<!-- a>b -->e999b3")
	f.Fuzz(func(t *testing.T, text string) {
		m := undo(text)
		n := 0
		for _, one := range append(m.texts, m.shreds...) {
			n += len(one)
		}
		if n > 2*(mostUndone*len(text)+undoneBesides) {
			t.Errorf("%d bytes are undone of %d", n, len(text))
		}
	})
}
