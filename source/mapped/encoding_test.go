package mapped_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"guia/source"
	"guia/source/mapped"
	"guia/source/sourcetest"
)

func TestEncodingsAreRecognised(t *testing.T) {
	hant := "日期,發送人,內容\n2024-03-01 09:00,陳大文,請問合同什麼時候可以收到？我們公司的會計說還沒有付款\n"
	hans := "日期,发送人,内容\n2024-03-01 09:00,陈大文,请问合同什么时候可以收到？我们公司的会计说还没有付款\n"
	for _, c := range []struct {
		name, text string
		want       mapped.Encoding
	}{
		{"ascii", "a,b\n1,2\n", mapped.UTF8},
		{"utf-8", hant, mapped.UTF8},
		{"utf-8 with mark", "\xef\xbb\xbf" + hans, mapped.UTF8},
		{"utf-8 cut inside a character", (hant + "我")[:len(hant)+2], mapped.UTF8},
		{"utf-8 with one bad byte", strings.Repeat(hant, 3) + "\xff", mapped.UTF8},
		{"utf-16le", string(utf16Of([]byte(hant), false)), mapped.UTF16LE},
		{"utf-16be", string(utf16Of([]byte(hans), true)), mapped.UTF16BE},
		{"utf-16le without mark", string(utf16Of([]byte(hans), false)[2:]), mapped.UTF16LE},
		{"utf-16be without mark", string(utf16Of([]byte(hant), true)[2:]), mapped.UTF16BE},
		{"big5", big5(t, hant), mapped.Big5},
		{"gb18030", gb(t, hans), mapped.GB18030},
		{"gb18030, traditional", gb(t, hant), mapped.GB18030},
		{"big5, short", big5(t, "發送人,內容\n陳大文,請問你收到了嗎\n"), mapped.Big5},
		{"gb18030, short", gb(t, "发送人,内容\n陈大文,请问你收到了吗\n"), mapped.GB18030},
		{"big5, Cantonese", big5(t, "姓名,訊息\n阿強,你哋今日幾點返工？我仲喺澳門\n"), mapped.Big5},
		{"gb18030, a name beside Latin letters", gb(t, "name,text\nana,李娜OK\nbea,VIP轻轨\n"), mapped.GB18030},
		{"big5, a name beside Latin letters", big5(t, "name,text\nana,李娜OK\nbea,VIP輕軌\n"), mapped.Big5},
		{"windows-1252", western(t, "João Conceição: A comissão não foi paga"), mapped.Windows1252},
		{"windows-1252, capitals", western(t, "DATA;REMETENTE;MENSAGEM\n1;CONCEIÇÃO;A COMISSÃO NÃO FOI PAGA\n"), mapped.Windows1252},
		{"windows-1252, signs", western(t, "a;b\n1;“É à 1.ª hora – ou não é?” 100 €\n"), mapped.Windows1252},
		{"windows-1252, one letter", western(t, "name;text\nana;amanhã\n"), mapped.Windows1252},
	} {
		if got, _ := mapped.Recognise([]byte(c.text)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestUndecodableBytesAreReplacedMarkedAndKept(t *testing.T) {
	m := mapping(t, "encoding: utf-8\nfields: {text: b, type: {constant: record.kept}}")
	for file, content := range map[string]string{"a.csv": "a,b\n1,ol\xe1\n", "a.jsonl": "{\"b\":\"ol\xe1\"}\n", "a.json": "[{\"b\":\"ol\xe1\"}]"} {
		r := sourcetest.All(t, open(t, put(t, file, []byte(content)), m))[0]
		if r.Text != "ol\uFFFD" || !slices.Contains(r.Marks, source.MarkBadEncoding) || !bytes.Contains(r.Raw, []byte("\xe1")) {
			t.Errorf("%s: text %q, marks %v, raw %q", file, r.Text, r.Marks, r.Raw)
		}
	}
	m.Encoding = mapped.Big5 // what the mapping declares wins
	r := sourcetest.All(t, open(t, put(t, "a.csv", []byte("a,b\n1,"+big5(t, "許功蓋")+"\n")), m))[0]
	if r.Text != "許功蓋" || len(r.Marks) != 1 {
		t.Errorf("big5: text %q, marks %v", r.Text, r.Marks)
	}
	r = sourcetest.All(t, open(t, put(t, "a.json", []byte(`[{"b":"`+big5(t, "許功蓋")+`"}]`)), m))[0]
	if r.Text != "許功蓋" {
		t.Errorf("big5 in JSON, whose second bytes are backslashes: text %q", r.Text)
	}
}

func western(t *testing.T, s string) string {
	t.Helper()
	out, err := charmap.Windows1252.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPortugueseOfWindowsIsReadWithAndWithoutSayingSo(t *testing.T) {
	file := []byte(western(t, "Nome;Mensagem\nJoão Conceição;A comissão não foi paga\n"))
	for _, said := range []string{"", "encoding: windows-1252\n"} {
		m := mapping(t, said+"fields: {sender.name: Nome, text: Mensagem, type: {constant: record.kept}}")
		r := sourcetest.All(t, open(t, put(t, "a.csv", file), m))[0]
		if r.Sender.Name != "João Conceição" || r.Text != "A comissão não foi paga" || slices.Contains(r.Marks, source.MarkBadEncoding) {
			t.Errorf("%q: %q says %q, marks %v", said, r.Sender.Name, r.Text, r.Marks)
		}
	}
}
