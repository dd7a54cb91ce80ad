package guiatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// Company is a source that invents the records of a small company: a directory of people, channels, messages in Chinese, Portuguese
// and English, attachments, edits, and a message without a usable time now and then. The same seed gives the same records.
type Company struct {
	Seed    uint64
	Records int // in all
	Page    int // records in a page
	// Large makes every n-th message carry an attachment of 300 KB, beyond what stands inside a row; never when 0.
	Large int

	closed bool
}

var _ source.Source = (*Company)(nil)

// Name implements source.Source.
func (c *Company) Name() guia.SourceName { return "mapped" }

// Instance implements source.Source.
func (c *Company) Instance() string { return "company-" + strconv.FormatUint(c.Seed, 10) }

// Pull implements source.Source.
func (c *Company) Pull(ctx context.Context, after source.Cursor) (source.Page, error) {
	if err := ctx.Err(); err != nil {
		return source.Page{}, err
	}
	if c.closed {
		return source.Page{}, errors.New("company is closed")
	}
	first := 0
	if after != "" {
		var err error
		if first, err = strconv.Atoi(string(after)); err != nil || first < 0 || first > c.Records {
			return source.Page{}, source.RefuseCursor()
		}
	}
	end := min(c.Records, first+c.Page)
	page := source.Page{Next: source.Cursor(strconv.Itoa(end)), Done: end == c.Records, Read: int64(end), Total: int64(c.Records)}
	for i := first; i < end; i++ {
		page.Records = append(page.Records, c.Record(i))
	}
	return page, nil
}

// Close implements source.Source.
func (c *Company) Close() error { c.closed = true; return nil }

var (
	people = []source.Person{
		{ID: "p-chan", Name: "陳大文", Address: "chan@example.mo", Title: "會計師", Department: "會計部"},
		{ID: "p-wong", Name: "黃麗華", Address: "wong@example.mo", Title: "人事經理", Department: "人事部"},
		{ID: "p-joao", Name: "João Gonçalves", Address: "joao@example.mo", Title: "Engenheiro", Department: "Obras"},
		{ID: "p-ines", Name: "Inês d'Assumpção", Address: "ines@example.mo", Title: "Jurista", Department: "Jurídico"},
		{ID: "p-mary", Name: "Mary O'Neill", Address: "mary@example.mo", Phone: "+853 6600 0001", Title: "Clerk", Department: "Accounts"},
		{ID: "p-lei", Name: "李小龍", Address: "lei@example.mo", Title: "司機", Department: "運輸"},
		{ID: "p-ana", Name: "Ana Conceição", Address: "ana@example.mo", Title: "Diretora", Department: "Direção"},
	}
	channels = []struct{ id, name, kind string }{
		{"c-geral", "Geral 公司", "channel"}, {"c-obra", "Obra da Taipa 氹仔地盤", "group"}, {"c-contas", "會計 Accounts", "channel"}, {"c-d1", "", "direct"},
	}
	words = []string{
		"合同", "今日", "收到", "請覆核", "發票", "氹仔", "工地", "下星期", "薪金", "保密", "謝謝", "已簽名", "會議", "延期",
		"contrato", "amanhã", "reunião", "fatura", "obrigação", "pagamento", "férias", "não", "confirmação", "relatório", "às nove",
		"invoice", "deadline", "please", "review", "salary", "the lease", "of the flat", "meeting", "signed", "confidential", "tomorrow",
	}
)

// Record returns the i-th record.
func (c *Company) Record(i int) source.Record {
	r := rand.New(rand.NewPCG(c.Seed, uint64(i)))
	switch {
	case i < len(people):
		return c.personSeen(people[i])
	case i < len(people)+len(channels):
		return c.channelSeen(i - len(people))
	}
	channel := channels[r.IntN(len(channels))]
	who := people[r.IntN(len(people))]
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC).Add(time.Duration(i)*97*time.Second + time.Duration(r.IntN(60))*time.Second)
	text := sentence(r)
	m := source.Record{
		Key: fmt.Sprintf("%s/%d", channel.id, i), Type: guia.MessageSent,
		Stream: channel.id, StreamName: channel.name, StreamKind: channel.kind,
		Time: guia.Moment{Time: at, Precision: guia.Second}, HasTime: true,
		TimeOriginal: at.In(time.FixedZone("", 8*3600)).Format(time.RFC3339), TimeZone: "+08:00", TimeBasis: "source",
		Sender: who, Text: text, Raw: []byte(`{"text":` + strconv.Quote(text) + `}`), RawType: "application/json", Origin: fmt.Sprintf("company.json#%d", i),
	}
	switch {
	case i%41 == 0:
		m.HasTime, m.Time, m.TimeOriginal, m.TimeZone, m.TimeBasis = false, guia.Moment{}, "yesterday", "", "none"
		m.Marks = []string{source.MarkNoTime}
	case i%17 == 0:
		m.ReplyTo = m.Key
	}
	if i%13 == 0 {
		m.Files = append(m.Files, c.file(fmt.Sprintf("fatura-%d.pdf", i), 200+r.IntN(3000), uint64(i)))
	}
	if c.Large > 0 && i%c.Large == 0 {
		m.Files = append(m.Files, c.file(fmt.Sprintf("planta-%d.bin", i), 300<<10, uint64(i)))
	}
	return m
}

// Edited returns the i-th record as it would be seen after its text was changed at the source.
func (c *Company) Edited(i int) source.Record {
	r := c.Record(i)
	r.Text += " (corrigido 已更正)"
	return r
}

func (c *Company) personSeen(p source.Person) source.Record {
	return source.Record{
		Key: "person/" + p.ID, Type: guia.PersonSeen, Stream: "directory", StreamName: "Directory", StreamKind: "feed",
		Time: guia.Moment{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Precision: guia.Day}, HasTime: true, TimeOriginal: "1/1/2026", TimeZone: "Asia/Macau", TimeBasis: "source",
		Sender: p, Raw: []byte(p.ID), RawType: "text/plain", Origin: "people.csv",
	}
}

func (c *Company) channelSeen(i int) source.Record {
	ch := channels[i]
	m := source.Record{
		Key: "channel/" + ch.id, Type: guia.ChannelSeen, Stream: ch.id, StreamName: ch.name, StreamKind: ch.kind,
		TimeBasis: "none", Raw: []byte(ch.id), RawType: "text/plain", Origin: "channels.csv",
	}
	for _, p := range people {
		m.Members = append(m.Members, p.ID)
	}
	return m
}

func (c *Company) file(name string, size int, stream uint64) source.File {
	return source.File{Name: name, MediaType: "application/octet-stream", Size: int64(size), Open: func() (io.ReadCloser, error) {
		var seed [32]byte
		copy(seed[:], fmt.Sprintf("%d %d", c.Seed, stream))
		content := make([]byte, size)
		_, err := rand.NewChaCha8(seed).Read(content)
		return io.NopCloser(bytes.NewReader(content)), err
	}}
}

func sentence(r *rand.Rand) string {
	list := make([]string, 3+r.IntN(25))
	for i := range list {
		list[i] = words[r.IntN(len(words))]
	}
	return strings.Join(list, " ")
}
