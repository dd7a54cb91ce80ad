package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"guia/durable"
)

// company is an invented accounting firm in Macau with a quarrel about a commission: the same seed tells the same story. Names and
// numbers are invented; telephone numbers begin with 6200, addresses end in .example.
type company struct {
	name       string
	staff      []colleague
	salesman   colleague // was dismissed and claims a commission
	accountant colleague
	director   colleague
	figure     string // the disputed amount
	random     *rand.Rand
}

type colleague struct{ id, name, department string }

var (
	companyNames = []string{"Hou Kong Contabilidade, Lda.", "Praia Grande Accounting Ltd.", "鏡湖會計師事務所"}
	surnames     = []string{"Chan 陳", "Wong 黃", "Lei 李", "Ho 何", "Fong 馮", "Leong 梁", "Ng 吳", "Cheong 張"}
	givenNames   = []string{"Tai Man 大文", "Sok I 淑儀", "Ka Wai 家偉", "Mei Leng 美玲", "Chi Keong 志強", "Weng San 詠珊"}
	portuguese   = []string{"Ana Rodrigues", "João Xavier", "Teresa Nolasco", "Rui Assunção"}
	filipino     = []string{"Maricel Santos", "Jun-Jun Reyes"}
	departments  = []string{"Vendas 營業部", "Contabilidade 會計部", "Administração 行政部"}
	smallTalk    = []string{
		"午飯想食乜？", "收到，謝謝", "好的，明天上午十點開會", "The meeting moved to three o'clock.", "Bom dia a todos!", "已經發送給客戶了",
		"Podes confirmar a factura 2024/117?", "Client asks for the report in Portuguese as well.", "請大家提交六月份的工時表",
		"Não se esqueçam da formação de sexta-feira.", "報告初稿在共享資料夾", "Printer on the 7th floor is out of paper again.",
		"O relatório anual está quase pronto.", "客户说付款会迟两天", "I will call the bank tomorrow.", "Obrigado, já recebi.",
	}
)

func newCompany(seed uint64) *company {
	r := rand.New(rand.NewPCG(seed, 0x6d6f))
	c := &company{random: r, name: companyNames[r.IntN(len(companyNames))]}
	used := map[string]bool{}
	for i := range 12 {
		name := ""
		for name == "" || used[name] {
			switch {
			case i%5 == 2:
				name = portuguese[r.IntN(len(portuguese))]
			case i%6 == 4:
				name = filipino[r.IntN(len(filipino))]
			default:
				family, familyHan, _ := strings.Cut(surnames[r.IntN(len(surnames))], " ")
				given := givenNames[r.IntN(len(givenNames))]
				at := strings.LastIndexByte(given, ' ')
				name = family + " " + given[:at] + " " + familyHan + given[at+1:]
			}
		}
		used[name] = true
		c.staff = append(c.staff, colleague{fmt.Sprintf("u%02d", i+1), name, departments[i%len(departments)]})
	}
	c.salesman, c.accountant, c.director = c.staff[0], c.staff[1], c.staff[2]
	c.figure = fmt.Sprintf("MOP %d,%03d", 20+r.IntN(60), r.IntN(1000))
	return c
}

// line is one message of the export.
type line struct {
	ID    string `json:"id"`
	Room  string `json:"room"`
	Time  string `json:"time"`
	From  string `json:"from"`
	Name  string `json:"name"`
	Dept  string `json:"dept"`
	Text  string `json:"text"`
	Reply string `json:"reply,omitempty"`
	File  string `json:"file,omitempty"`
}

const demoMapping = `# How the invented chat export is read. docs/format/mapping.md explains every word.
guia-mapping: 1
source: {name: demo, description: invented export of a chat}
files: ["*.jsonl"]
fields:
  key: id
  type: {constant: message.sent}
  stream: room
  stream.name: room
  stream.kind: {constant: group}
  time: time
  sender.key: from
  sender.name: name
  department: dept
  text: text
  reply_to: {path: reply, optional: true}
  file.path: {path: file, optional: true}
`

// write puts the company's exports into dir: a folder with the chat and its files, the mapping, and a mailbox.
func (c *company) write(dir string) error {
	files := map[string]string{
		"chat.yaml":                  demoMapping,
		"chat/messages.jsonl":        c.chat(),
		"chat/files/acordo-佣金協議.txt": c.agreement(),
		"accounts.mbox":              c.mail(),
	}
	for _, sub := range []string{"", "chat", "chat/files"} {
		if err := durable.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := durable.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// chat is four months of messages in three rooms, with the quarrel in them.
func (c *company) chat() string {
	macau := time.FixedZone("", 8*3600)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, macau)
	rooms := []string{"營業部 Vendas", "全體 Todos", "Contabilidade 會計"}
	story := map[int]line{ // by message number
		180: {Room: rooms[0], From: c.director.id, Text: fmt.Sprintf("%s，今年首季的佣金按百分之三計，合共 %s，下月發放。", c.salesman.name, c.figure)},
		181: {Room: rooms[0], From: c.salesman.id, Text: "收到，謝謝！佣金協議我已經簽好，見附件。", File: "files/acordo-佣金協議.txt", Reply: "m180"},
		260: {Room: rooms[2], From: c.accountant.id, Text: fmt.Sprintf("A comissão de %s é de %s; posso lançar em Abril?", c.salesman.name, c.figure)},
		261: {Room: rooms[2], From: c.director.id, Text: "Espera. Só depois de o cliente pagar.", Reply: "m260"},
		420: {Room: rooms[0], From: c.salesman.id, Text: "請問佣金甚麼時候發放？四月的糧單上沒有。"},
		421: {Room: rooms[0], From: c.director.id, Text: "The commission was subject to payment by the client. That was clear from the start.", Reply: "m420"},
		423: {Room: rooms[0], From: c.salesman.id, Text: "Nobody said that before. 佣金協議裏沒有這一條。", Reply: "m421"},
	}
	names := map[string]colleague{}
	for _, s := range c.staff {
		names[s.id] = s
	}
	var b strings.Builder
	for i := range 600 {
		at = at.Add(time.Duration(5+c.random.IntN(170)) * time.Minute)
		who := c.staff[c.random.IntN(len(c.staff))]
		l := line{Room: rooms[c.random.IntN(len(rooms))], From: who.id, Text: smallTalk[c.random.IntN(len(smallTalk))]}
		if told, ok := story[i]; ok {
			l = told
		}
		l.ID, l.Time = fmt.Sprintf("m%d", i), at.Format("2006-01-02T15:04:05-07:00")
		l.Name, l.Dept = names[l.From].name, names[l.From].department
		text, err := json.Marshal(l)
		if err != nil {
			panic(err) // a struct of strings
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String()
}

func (c *company) agreement() string {
	return fmt.Sprintf("佣金協議 / Acordo de comissão\n\n%s\n%s: 3%%\n%s\n", c.name, c.salesman.name, c.figure)
}

// mail is a mailbox with the letter of dismissal and the answer.
func (c *company) mail() string {
	return fmt.Sprintf(`From director@firm.example Fri Jun 26 10:00:00 2026
From: =?utf-8?q?Direc=C3=A7=C3=A3o?= <director@firm.example>
To: salesman@firm.example
Subject: Termination of employment
Date: Fri, 26 Jun 2026 18:00:00 +0800
Message-ID: <letter-1@firm.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Dear %[1]s,
your employment ends on 31 July 2026. No commission is owed.

From salesman@firm.example Sat Jun 27 02:00:00 2026
From: salesman@firm.example
To: director@firm.example
Subject: Re: Termination of employment
Date: Sat, 27 Jun 2026 10:00:00 +0800
Message-ID: <letter-2@firm.example>
In-Reply-To: <letter-1@firm.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

The commission of %[2]s was confirmed in writing in March. 我會向勞工事務局投訴。

`, c.salesman.name, c.figure)
}
