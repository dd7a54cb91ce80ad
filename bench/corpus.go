package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// words are enough to make text whose letters, words and scripts are mixed as in a Macau office; the frequencies fall off as in
// language (Zipf), which decides how long posting lists are.
var words = strings.Fields(`the of and to in is for that on with we are this be as it by at from have not will an or your our please
meeting contract client payment invoice report commission deadline tomorrow attached confirm salary overtime agreement signed manager
de que não para uma com por os do da em um no na se as mais como mas foi ao ele das tem seu sua ou ser quando muito há nos já está
contrato cliente pagamento factura relatório comissão prazo amanhã anexo confirmar salário reunião assinado gerente obrigado férias
佣金 合同 客戶 付款 報告 會議 明天 收到 謝謝 附件 確認 請問 公寓 加班費 經理 簽署 發票 員工 勞工局 投訴 文件 上午 下午 星期五 我們 沒有 可以 已經 今日 香港 澳門 內地 銀行 轉帳 電話 地址 身份證 合约 客户 会议 报告 加班 员工 电话`)

// corpus makes text; the same seed makes the same.
type corpus struct {
	r    *rand.Rand
	zipf *rand.Zipf
}

func newCorpus(seed uint64) *corpus {
	r := rand.New(rand.NewPCG(seed, 1))
	return &corpus{r, rand.NewZipf(r, 1.2, 4, uint64(len(words)+20000))}
}

// text is about n bytes long. Rare words are made up: names, numbers, product codes.
func (c *corpus) text(n int) string {
	var b strings.Builder
	b.Grow(n + 16)
	for b.Len() < n {
		switch i := int(c.zipf.Uint64()); {
		case i < len(words):
			b.WriteString(words[i])
		case i%3 == 0:
			fmt.Fprintf(&b, "%d", i*7919)
		default:
			fmt.Fprintf(&b, "%s%d", words[i%40], i)
		}
		if c.r.IntN(12) == 0 {
			b.WriteByte('.')
		}
		b.WriteByte(' ')
	}
	return b.String()[:b.Len()-1]
}

// record is a chat message of about n bytes in one of 200 streams by one of 300 people.
func (c *corpus) record(i, n int) source.Record {
	text := c.text(n)
	at := time.Unix(1_700_000_000+int64(i)*20, 0).UTC()
	return source.Record{
		Key: fmt.Sprintf("m%d", i), Type: guia.MessageSent, Stream: fmt.Sprintf("room-%d", c.r.IntN(200)), StreamName: "Sales", StreamKind: "channel",
		Time: guia.Moment{Time: at, Precision: guia.Second}, HasTime: true, TimeOriginal: fmt.Sprint(at.Unix()), TimeZone: "UTC", TimeBasis: "source",
		Sender: source.Person{ID: fmt.Sprintf("u%d", c.r.IntN(300)), Name: "Chan Tai Man"},
		Text:   text, Raw: fmt.Appendf(nil, `{"id":%d,"text":%q}`, i, text), RawType: "application/json", Origin: fmt.Sprintf("chat.jsonl#%d", i),
	}
}
