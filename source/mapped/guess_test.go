package mapped_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/source/mapped"
	"guia/source/sourcetest"
)

func TestGuessFindsWhatPeopleWrite(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		want                map[string]string // target to column
		unplaced, times     []string
	}{
		{
			"Portuguese", "a.csv", "Data;Hora;Remetente;Mensagem;Cor\n13/04/2024;09:15;Ana;olá;azul\n03/04/2024;10:00;Rui;sim;\n",
			map[string]string{"sender.name": "Remetente", "text": "Mensagem", "time": "Data+Hora"},
			[]string{"Cor"},
			nil,
		},
		{
			"traditional", "a.csv", "時間,發送人,內容,部門\n2024-03-01 09:00,陳大文,早晨,會計\n",
			map[string]string{"time": "時間", "sender.name": "發送人", "text": "內容", "department": "部門"},
			nil, nil,
		},
		{
			"simplified in GB18030", "a.csv", gb(t, "时间,发送者,内容,群名\n2024-03-01 09:00,陈大文,早上好，合同收到了吗,工程\n"),
			map[string]string{"time": "时间", "sender.name": "发送者", "text": "内容", "stream.name": "群名"},
			nil, nil,
		},
		{
			"day or month", "a.csv", "Date,From,Message\n03/04/2024 9:15 PM,Ana,hi\n",
			map[string]string{"time": "Date"},
			nil,
			[]string{"D/M/YYYY h:mm ap", "M/D/YYYY h:mm ap"},
		},
		{
			"json", "a.json", `{"meta":{"x":[{"id":1}]},"messages":[{"id":7,"from":{"name":"Ana"},"text":"hi","date":"2024-03-01T09:00:00Z","flags":[1]}]}`,
			map[string]string{"key": "id", "text": "text", "time": "date", "sender.name": "from.name"},
			[]string{"flags[]"},
			nil,
		},
		{"xlsx", "a.xlsx", string(xlsxOf(rows(3, true), nil)), map[string]string{"time": "Hora", "text": "Mensagem", "stream.name": "Sala", "key": "ID"}, nil, nil},
	} {
		path := put(t, c.file, []byte(c.content))
		p, err := mapped.Guess(path)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for target, column := range c.want {
			v := p.Mapping.Fields[target]
			got := v.From
			for _, j := range v.Join {
				if j.From != "" {
					got = strings.TrimPrefix(got+"+"+j.From, "+")
				}
			}
			if got != column {
				t.Errorf("%s: %s from %q, want %q", c.name, target, got, column)
			}
		}
		if !slices.Equal(p.Unplaced, c.unplaced) || !slices.Equal(p.Times, c.times) {
			t.Errorf("%s: unplaced %q, want %q; times %q, want %q", c.name, p.Unplaced, c.unplaced, p.Times, c.times)
		}
		var b bytes.Buffer
		if err := p.Mapping.Write(&b); err != nil {
			t.Fatal(err)
		}
		back, err := mapped.ReadMapping(&b)
		if err != nil {
			t.Errorf("%s: what was proposed cannot be read: %v", c.name, err)
			continue
		}
		if len(p.Times) > 0 {
			back.Times = p.Times[:1]
		}
		for _, r := range sourcetest.All(t, open(t, path, back)) {
			if r.Type != guia.MessageSent || !r.HasTime || r.Sender.Name == "" || r.Text == "" {
				t.Errorf("%s: with the proposed mapping: %s, time %v, text %q", c.name, r.Type, r.HasTime, r.Text)
			}
		}
	}
}
