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
		unplaced            []string
		times               [][]string
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
			[][]string{{"D/M/YYYY h:mm ap", "iso"}, {"M/D/YYYY h:mm ap", "iso"}},
		},
		{
			"day or month, and times that are clear", "a.csv", "Date,From,Message\n2024-03-05 09:15,Ana,a\n05/03/2024 10:00,Ana,b\n1709600000,Ana,c\n1709600000123,Ana,d\n\"Tue, 5 Mar 2024 09:15:00 +0800\",Ana,e\n",
			map[string]string{"time": "Date"},
			nil,
			[][]string{{"D/M/YYYY h:mm", "iso", "unix", "unix-ms", "rfc2822"}, {"M/D/YYYY h:mm", "iso", "unix", "unix-ms", "rfc2822"}},
		},
		{
			"a title beside a subject", "a.json", `[{"when":"2024-03-01T09:00:00Z","user":{"name":"Ana","title":"Clerk"},"title":"Ms","topic":"overtime","text":"hi"}]`,
			map[string]string{"time": "when", "sender.name": "user.name", "sender.title": "user.title", "subject": "topic", "text": "text"},
			[]string{"title"},
			nil,
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
		if !slices.Equal(p.Unplaced, c.unplaced) || !slices.EqualFunc(p.Times, c.times, slices.Equal) {
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
			back.Times = p.Times[0]
		}
		for _, r := range sourcetest.All(t, open(t, path, back)) {
			if r.Type != guia.MessageSent || !r.HasTime || r.Sender.Name == "" || r.Text == "" {
				t.Errorf("%s: with the proposed mapping: %s, time %v, text %q", c.name, r.Type, r.HasTime, r.Text)
			}
		}
	}
}

// TestGuessKnowsTheHeadersOfUsualExports: each column under its header, as programs write it.
func TestGuessKnowsTheHeadersOfUsualExports(t *testing.T) {
	for _, export := range []string{
		"訊息編號=key 發送人=sender.name 發送時間=time 消息内容=text 群名称=stream.name",
		"消息ID=key 发送人姓名=sender.name 发送人ID=sender.key 发送时间=time 聊天内容=text 会话名称=stream.name",
		"發言者=sender.name 發言時間=time 發言內容=text 群聊名稱=stream.name",
		"寄件者=sender.name 收件者=recipients 日期=time 主旨=subject 內文=text",
		"发件人=sender.name 收件人=recipients 发件时间=time 主题=subject 邮件内容=text 附件=file.name",
		"員工姓名=sender.name 工號=sender.key 部門名稱=department 手機號=sender.phone 發件時間=time 訊息內容=text",
		"Remetente=sender.name Data=time Hora=time Mensagem=text Assunto=subject Conversa=stream.name",
		"Emissor=sender.name Enviado_em=time Conteúdo_da_mensagem=text Nome_do_grupo=stream.name",
		"De=sender.name Para=recipients Data_de_envio=time Hora_de_envio=time Corpo=text Nome_do_canal=stream.name",
		"Autor=sender.name Data_de_criação=time Comentário=text Nome_da_conversa=stream.name Número_de_telemóvel=sender.phone",
		"From=sender.name To=recipients Sent=time Body=text Chat=stream.name",
		"Author=sender.name Created_at=time Text=text Channel=stream.name",
		"Posted_by=sender.name Posted_at=time Post=text Room_Name=stream.name",
		"From_User=sender.name To_User=recipients Sent_Date=time Message_Body=text Chat_Session=stream.name",
		"Sender=sender.name Date=time Time=time Comment=text",
	} {
		var head, row []string
		want := map[string][]string{}
		for column := range strings.FieldsSeq(export) {
			name, target, _ := strings.Cut(column, "=")
			name = strings.ReplaceAll(name, "_", " ")
			value := "v"
			if target == "time" {
				value = "2024-03-14 10:00"
			}
			head, row, want[target] = append(head, name), append(row, value), append(want[target], name)
		}
		if len(want["time"]) == 2 { // the day and the time of day, side by side
			at := slices.Index(head, want["time"][0])
			row[at], row[at+1] = "2024-03-14", "10:00"
		}
		p, err := mapped.Guess(put(t, "a.csv", []byte(strings.Join(head, ",")+"\n"+strings.Join(row, ",")+"\n")))
		if err != nil {
			t.Errorf("%s: %v", export, err)
			continue
		}
		for target, columns := range want {
			v := p.Mapping.Fields[target]
			var got []string
			if v.From != "" {
				got = append(got, v.From)
			}
			for _, j := range v.Join {
				if j.From != "" {
					got = append(got, j.From)
				}
			}
			if !slices.Equal(got, columns) {
				t.Errorf("%s: %s is read from %q, want %q", export, target, got, columns)
			}
		}
		if len(p.Unplaced) > 0 {
			t.Errorf("%s: no place for %q", export, p.Unplaced)
		}
	}
}
