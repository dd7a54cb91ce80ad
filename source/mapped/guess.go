package mapped

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"guia"
)

// Proposal is a mapping that nobody has looked at yet, and what it leaves open. A person reads it before it is used.
type Proposal struct {
	Mapping Mapping
	// Unplaced are the columns or JSON paths of which no target could be found. They stay in the raw bytes.
	Unplaced []string
	// Times are the two lists of formats between which the values do not decide (day or month first), each of which reads all of
	// them. Mapping.Times is then empty, and reading refuses until one of them is chosen.
	Times [][]string
	// LeftOut are the files of a folder or zip that the mapping does not read, because they are of another format: first those that another
	// mapping could read. Of a tar they
	// are not told: it would have to be read whole.
	LeftOut []string
}

// words are the names that columns have in exports, by target, folded by fold. The first that is found in the header is taken.
var words = []struct {
	target string
	names  []string
}{
	{"key", []string{"id", "messageid", "msgid", "uuid", "消息id", "訊息id", "訊息編號", "消息编号", "消息編號", "編號", "编号", "identificador", "codigo", "iddamensagem", "idmensagem", "recordid", "訊息識別碼", "消息标识"}},
	{"time", []string{
		"timestamp", "datetime", "sentat", "senton", "createdat", "createtime", "sendtime", "senttime", "messagetime", "msgtime", "ts", "發送時間", "发送时间", "傳送時間", "傳送日期", "消息时间", "訊息時間",
		"日期時間", "日期时间", "發送日期", "发送日期", "創建時間", "创建时间", "建立時間", "dataehora", "datahora", "datadeenvio", "horadeenvio", "enviadoem", "criadoem", "time", "時間", "时间", "date", "日期", "data", "created", "sent", "hora",
		"dateandtime", "dateutc", "datesent", "sentdate", "senddate", "messagedate", "createddate", "createdtime", "creationdate", "postedat", "發件時間", "发件时间", "發言時間", "发言时间", "發佈時間", "发布时间", "寄件日期", "datadecriacao", "datadamensagem", "horadamensagem", "momento", "when", "quando",
	}},
	{"sender.key", []string{"senderid", "userid", "fromid", "authorid", "senderuserid", "staffid", "employeeid", "發送人id", "发送人id", "發送者id", "发送者id", "用戶id", "用户id", "員工編號", "员工编号", "工號", "工号", "iddoremetente", "idremetente", "iddoutilizador", "idusuario"}},
	{"sender.name", []string{
		"sender", "sendername", "senderfullname", "sendernick", "from", "author", "authorname", "fromname", "user", "username", "displayname", "nickname", "發送人", "发送人", "發送者", "发送者", "發件人", "发件人", "寄件者", "寄件人", "傳送者",
		"傳送人", "發言人", "发言人", "作者", "用戶", "用户", "姓名", "暱稱", "昵称", "成員", "成员", "remetente", "autor", "de", "enviadopor", "utilizador", "usuario", "nomedoremetente", "nome", "name",
		"fromuser", "sentby", "postedby", "writtenby", "發言者", "发言者", "發送人姓名", "发送人姓名", "發送者姓名", "发送者姓名", "發送人暱稱", "发送人昵称", "員工姓名", "员工姓名", "emissor", "enviadode", "publicadopor", "nomedoutilizador",
	}},
	{"sender.address", []string{"email", "senderemail", "fromemail", "emailaddress", "fromaddress", "mail", "郵箱", "邮箱", "電郵", "电邮", "電子郵件", "电子邮件", "電郵地址", "correio", "correioeletronico", "enderecodeemail", "emaildoremetente", "發件人郵箱", "发件人邮箱", "寄件者電郵", "emaildoautor"}},
	{"sender.phone", []string{"phone", "mobile", "telephone", "phonenumber", "tel", "電話", "电话", "手機", "手机", "手機號碼", "手机号", "手机号码", "電話號碼", "telefone", "telemovel", "celular", "手機號", "移动电话", "流動電話", "numerodetelefone", "numerodetelemovel"}},
	{"sender.title", []string{"jobtitle", "sendertitle", "usertitle", "authortitle", "fromtitle", "position", "職位", "职位", "職務", "职务", "職稱", "cargo", "funcao", "categoria"}},
	{"department", []string{"department", "dept", "部門", "部门", "departamento", "departmentname", "部門名稱", "部门名称", "nomedodepartamento"}},
	{"text", []string{"content", "text", "message", "body", "msg", "contents", "messagetext", "messagecontent", "內容", "内容", "訊息", "消息", "信息", "訊息內容", "消息內容", "消息内容", "聊天内容", "聊天內容", "正文", "文本", "mensagem", "conteudo", "texto", "corpo", "corpodamensagem", "bodytext", "messagebody", "comment", "post", "內文", "内文", "發言內容", "发言内容", "發送內容", "发送内容", "郵件內容", "邮件内容", "conteudodamensagem", "textodamensagem", "comentario"}},
	{"subject", []string{"subject", "主題", "主题", "assunto", "主旨", "郵件主題", "邮件主题", "topic", "話題", "话题", "topico", "tema", "title", "標題", "标题", "titulo"}},
	{"stream", []string{"conversationid", "channelid", "chatid", "groupid", "roomid", "openconversationid", "會話id", "会话id", "群id", "群組id", "idconversa", "iddaconversa", "idcanal", "conversationkey", "對話id", "对话id", "頻道id", "频道id", "聊天室id", "iddocanal", "iddogrupo"}},
	{"stream.name", []string{"conversation", "channel", "chat", "group", "room", "conversationname", "channelname", "chatname", "groupname", "群組", "群组", "群名", "群名稱", "群名称", "群聊", "會話", "会话", "會話名稱", "会话名称", "頻道", "频道", "聊天室", "對話", "对话", "conversa", "canal", "grupo", "sala", "roomname", "chatroom", "chatsession", "chattitle", "grouptitle", "群聊名稱", "群聊名称", "群組名稱", "群组名称", "對話名稱", "对话名称", "頻道名稱", "频道名称", "nomedogrupo", "nomedaconversa", "nomedocanal"}},
	{"recipients", []string{"to", "recipients", "recipient", "receiver", "receivers", "收件人", "收件者", "接收人", "接收者", "destinatario", "destinatarios", "para", "touser", "sentto", "收訊人", "收信人", "enviadopara"}},
	{"reply_to", []string{"replyto", "replytoid", "inreplyto", "replytomessageid", "quotedmessageid", "回覆", "回复", "回覆id", "回复id", "respostaa", "emrespostaa"}},
	{"thread", []string{"threadid", "thread", "threadts", "rootid"}},
	{"file.name", []string{"filename", "attachment", "attachments", "file", "附件", "文件名", "文件", "檔案", "檔案名稱", "附件名稱", "附件名称", "anexo", "anexos", "ficheiro", "arquivo"}},
}

// Columns that hold the day and the time of day apart.
var (
	dayWords  = []string{"date", "日期", "data", "發送日期", "发送日期", "datadeenvio", "sentdate", "messagedate", "dia"}
	hourWords = []string{"time", "時間", "时间", "hora", "發送時間", "发送时间", "horadeenvio", "horas", "senttime", "messagetime", "時刻", "时刻"}
)

// fold makes names comparable: lower case, without accents, spaces and punctuation.
func fold(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return norm.NFC.String(b.String())
}

// Limits of what Guess looks at.
const (
	guessRows = 1000
	guessJSON = 64 << 20
)

// Guess looks at the beginning of an input and proposes a mapping from the names of its columns or JSON members, in Chinese, Portuguese
// and English, and from what the first values look like. It refuses an input in which it finds no table and no list of objects.
func Guess(name string) (Proposal, error) {
	p := Proposal{Mapping: Mapping{Header: 1, Name: strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))}}
	m := &p.Mapping
	in, err := openInput(name, func(name string) choice {
		if byExtension[strings.ToLower(path.Ext(name))] != "" {
			return taken
		}
		return leftOut
	})
	if err != nil {
		return p, err
	}
	defer func() { _ = in.close() }()
	h, err := in.file(0)
	if _, left := errors.AsType[notTaken](err); atEnd(err) || left {
		return p, guia.Refuse(guia.Invalid, "mapped.nothing", filepath.Base(name))
	}
	if err != nil {
		return p, err
	}
	defer func() { _ = h.close() }()
	m.Format = byExtension[strings.ToLower(path.Ext(h.name))]
	if in, ok := in.(*listing); !ok || !in.from.Sole {
		m.Files = []string{"**/*" + strings.ToLower(path.Ext(h.name))}
		for i := 0; ok && i < len(in.files); i++ {
			if other := in.files[i].name; !strings.EqualFold(path.Ext(other), path.Ext(h.name)) {
				p.LeftOut = append(p.LeftOut, other)
			}
		}
		if ok {
			p.LeftOut = append(p.LeftOut, in.left...)
		}
	}
	var columns []string
	var rows [][]string
	switch m.Format {
	case "csv", "xlsx":
		columns, rows, err = tableSample(name, h.name, m.Format)
	case "json", "jsonl":
		columns, rows, err = jsonSample(h, m)
	default:
		err = guia.Refuse(guia.Invalid, "mapped.format", filepath.Base(name), strings.Join(formats, ", "))
	}
	if err != nil {
		return p, err
	}
	if len(columns) == 0 || len(rows) == 0 {
		return p, guia.Refuse(guia.Invalid, "mapped.guess", h.name)
	}
	p.place(columns, rows)
	return p, nil
}

// tableSample reads the header and the first rows with the reader that will read the whole.
func tableSample(name, file, format string) (columns []string, rows [][]string, err error) {
	m := Mapping{Header: 1, Format: format, Fields: map[string]Value{"type": {Constant: string(guia.RecordKept)}}}
	if format == "xlsx" {
		m.Format = ""
	}
	s, err := Open(name, m)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	ctx := context.Background()
	s.m.Header = 0
	for len(rows) <= guessRows {
		_, next, err := s.record(ctx)
		if atEnd(err) || err == nil && len(rows) > 0 && (s.open == nil || s.open.h.name != file) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		s.at = next
		if s.open != nil && s.open.row.gap == "" {
			rows = append(rows, slices.Clone(s.open.row.cells))
		}
	}
	if len(rows) == 0 {
		return nil, nil, nil
	}
	return columnNames(rows[0]), rows[1:], nil
}

// jsonSample finds the list of records and flattens the first of them.
func jsonSample(h *handle, m *Mapping) (columns []string, rows [][]string, err error) {
	b, err := io.ReadAll(io.LimitReader(h.r, guessJSON+1))
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	enc, mark := Recognise(b[:min(len(b), sampleSize)])
	var records [][]byte
	if m.Format == "json" && len(b) <= guessJSON {
		b = b[mark:]
		if enc.wide() {
			w := newWindow(bytes.NewReader(b), enc, 0, nil)
			for w.more() {
			}
			b = w.bytes()
		}
		text, _ := enc.text(b)
		doc, err := parseObject([]byte(text), nil)
		if err != nil {
			return nil, nil, guia.RefuseCause(guia.Invalid, err, "mapped.guess", h.name)
		}
		best := -1
		lists(doc.whole, steps{}, 0, func(p steps, list [][]byte) {
			names, _ := flatten(list[:min(len(list), 20)])
			if score := placed(names)*1_000_000 + min(len(list), 999_999); score > best {
				best, records = score, list
				m.Records = strings.TrimSuffix(p.String(), "[]")
			}
		})
		if m.Records == "." {
			m.Records = ""
		}
	} else if m.Format == "json" {
		return nil, nil, guia.Refuse(guia.Invalid, "mapped.guess.large", h.name, guessJSON>>20)
	} else {
		w := newWindow(bytes.NewReader(b[mark:]), enc, int64(mark), nil)
		l := &lineReader{w: w, line: 1}
		var r row
		for len(records) < guessRows && l.next(context.Background(), &r) == nil {
			if r.gap == "" {
				records = append(records, bytes.Clone(r.doc.whole))
			}
		}
	}
	columns, rows = flatten(records[:min(len(records), guessRows)])
	return columns, rows, nil
}

// lists calls f with every list of objects in a checked JSON value, and the path to its elements.
func lists(b []byte, p steps, depth int, f func(p steps, list [][]byte)) {
	if depth > 4 {
		return
	}
	switch b[0] {
	case '{':
		_, _ = eachMember(b, 0, 1, func(name, value []byte) {
			key, _ := unquote(name)
			lists(value, append(slices.Clip(p), step{name: key}), depth+1, f)
		})
	case '[':
		p = append(slices.Clip(p), step{each: true})
		var list [][]byte
		_, _ = eachElement(b, 0, 1, func(value []byte) {
			if value[0] == '{' {
				list = append(list, value)
			}
		})
		if len(list) > 0 {
			f(p, list)
			inner := map[string][][]byte{}
			for _, value := range list[:min(len(list), 100)] {
				lists(value, p, depth+1, func(p steps, list [][]byte) { inner[p.String()] = append(inner[p.String()], list...) })
			}
			for _, name := range slices.Sorted(maps.Keys(inner)) {
				p, _ := parsePath(name)
				f(p, inner[name])
			}
		}
	}
}

// flatten lists the paths to scalars in checked objects, and their values.
func flatten(records [][]byte) (columns []string, rows [][]string) {
	at := map[string]int{}
	for _, record := range records {
		row := make([]string, len(columns))
		var walk func(b []byte, p steps, depth int)
		walk = func(b []byte, p steps, depth int) {
			switch {
			case b[0] == '{' && depth < 4:
				_, _ = eachMember(b, 0, 1, func(name, value []byte) {
					key, _ := unquote(name)
					walk(value, append(slices.Clip(p), step{name: key}), depth+1)
				})
			case b[0] == '[' && depth < 4:
				p = append(slices.Clip(p), step{each: true})
				_, _ = eachElement(b, 0, 1, func(value []byte) { walk(value, p, depth+1) })
			case len(p) > 0:
				name := p.String()
				i, ok := at[name]
				if !ok {
					if len(columns) == maxColumns {
						return
					}
					i = len(columns)
					at[name] = i
					columns = append(columns, name)
				}
				for len(row) <= i {
					row = append(row, "") //nolint:makezero // a new column, behind those that were known
				}
				if row[i] == "" {
					row[i], _ = scalar(b)
				}
			}
		}
		if len(record) > 0 && record[0] == '{' {
			walk(record, nil, 0)
			rows = append(rows, row)
		}
	}
	return columns, rows
}

// placed counts the columns for which there is a word.
func placed(columns []string) (n int) {
	for _, w := range words {
		if find(columns, w.names, nil) >= 0 {
			n++
		}
	}
	return n
}

// find returns the column with the first of the names; JSON paths are compared whole and by their last name.
func find(columns, names []string, taken []bool) int {
	for _, want := range names {
		for i, column := range columns {
			if taken != nil && taken[i] {
				continue
			}
			last := column[strings.LastIndexByte(column, '.')+1:]
			if fold(column) == want || fold(last) == want && !strings.Contains(column, "[]") || fold(strings.ReplaceAll(column, "[]", "")) == want {
				return i
			}
		}
	}
	return -1
}

// place finds a target for each column and looks at the values.
func (p *Proposal) place(columns []string, rows [][]string) {
	m := &p.Mapping
	m.Fields = map[string]Value{}
	taken := make([]bool, len(columns))
	from := func(i int) Value {
		taken[i] = true
		return Value{From: columns[i], Column: m.Format == "csv" || m.Format == "xlsx"}
	}
	values := func(i int) (out []string) {
		for _, row := range rows {
			if i < len(row) && strings.TrimSpace(row[i]) != "" {
				out = append(out, strings.TrimSpace(row[i]))
			}
		}
		return out
	}

	day, hour := find(columns, dayWords, nil), find(columns, hourWords, nil)
	apart := day >= 0 && hour >= 0 && day != hour && len(values(hour)) > 0
	for _, v := range values(max(hour, 0)) {
		apart = apart && len(v) < 16 && strings.Contains(v, ":") && !strings.ContainsAny(v, "/-年")
	}
	var times []string
	if apart {
		m.Fields["time"] = Value{Join: []Value{from(day), {Constant: " "}, from(hour)}}
		for _, row := range rows {
			if day < len(row) && hour < len(row) && row[day] != "" {
				times = append(times, strings.TrimSpace(row[day])+" "+strings.TrimSpace(row[hour]))
			}
		}
	}
	for _, w := range words {
		if w.target == "time" && apart {
			continue
		}
		i := find(columns, w.names, taken)
		if i < 0 {
			continue
		}
		if w.target == "time" && !slices.ContainsFunc(values(i), looksLikeTime) {
			continue
		}
		m.Fields[w.target] = from(i)
		switch w.target {
		case "time":
			times = values(i)
		case "text":
			v := m.Fields["text"]
			v.HTML = mostly(values(i), func(s string) bool {
				return strings.Contains(s, "</") || strings.Contains(s, "<br") || strings.Contains(s, "<p>")
			})
			m.Fields["text"] = v
		case "recipients":
			v := m.Fields["recipients"]
			if mostly(values(i), func(s string) bool { return strings.Contains(s, ";") }) {
				v.Split = ";"
			}
			m.Fields["recipients"] = v
		case "key":
			if have := values(i); len(have) > 0 && len(slices.Compact(slices.Sorted(slices.Values(have)))) < len(have) {
				delete(m.Fields, "key") // an identifier that is there twice is none
				taken[i] = false
			}
		}
	}
	if v, ok := m.Fields["stream.name"]; ok {
		if _, has := m.Fields["stream"]; !has {
			m.Fields["stream"] = v
		}
	}
	_, text := m.Fields["text"]
	_, sender := m.Fields["sender.name"]
	_, when := m.Fields["time"]
	if text && (sender || when) {
		m.Fields["type"] = Value{Constant: string(guia.MessageSent)}
	} else {
		m.Fields["type"] = Value{Constant: string(guia.RecordKept)}
	}
	p.formats(times)
	for i, column := range columns {
		if !taken[i] {
			p.Unplaced = append(p.Unplaced, column)
		}
	}
}

func mostly(values []string, is func(string) bool) bool {
	n := 0
	for _, v := range values {
		if is(v) {
			n++
		}
	}
	return n > 0 && n*5 >= len(values)
}

func looksLikeTime(s string) bool {
	_, ok := unix(s, "")
	if !ok {
		_, ok = iso(s)
	}
	if !ok {
		_, ok = rfc2822(s)
	}
	return ok || dayOrMonthFirst(s)
}

// formats finds the formats of times that are not clear by themselves. A first number above 12 is a day; a second one too.
func (p *Proposal) formats(times []string) {
	shapes := map[string]int{}
	dayFirst, monthFirst := false, false
	for _, s := range times {
		if !dayOrMonthFirst(s) {
			continue
		}
		rest := s
		first, _ := cutDigits(&rest, 1, 2)
		rest = rest[1:]
		second, _ := cutDigits(&rest, 1, 2)
		dayFirst, monthFirst = dayFirst || first > 12, monthFirst || second > 12
		shapes[shape(s)]++
	}
	if len(shapes) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(shapes), func(a, b string) int {
		return cmp.Or(cmp.Compare(shapes[b], shapes[a]), cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	var days, months []string
	for _, name := range names {
		days = append(days, "D"+name[:1]+"M"+name)
		months = append(months, "M"+name[:1]+"D"+name)
	}
	clear := clearFormats(times)
	days, months = append(days, clear...), append(months, clear...)
	switch {
	case dayFirst && !monthFirst:
		p.Mapping.Times = days
	case monthFirst && !dayFirst:
		p.Mapping.Times = months
	default:
		p.Times = [][]string{days, months}
	}
}

// clearFormats are the formats of the times that are clear by themselves: once formats are named, no others are read.
func clearFormats(times []string) []string {
	formats := []string{"iso"}
	for _, s := range times {
		for _, word := range []string{"unix", "unix-ms", "unix-us"} {
			at, ok := unix(s, "")
			named, same := unix(s, word)
			if ok && same && at == named && !slices.Contains(formats, word) {
				formats = append(formats, word)
			}
		}
		if _, ok := rfc2822(s); ok && !slices.Contains(formats, "rfc2822") {
			formats = append(formats, "rfc2822")
		}
	}
	return formats
}

// shape is the format of what follows the two first numbers of a time: "/YYYY hh:mm".
func shape(s string) string {
	separator := s[strings.IndexAny(s, "/.-")]
	rest := s[strings.LastIndexByte(s[:min(len(s), 6)], separator)+1:]
	before := len(rest)
	cutDigits(&rest, 2, 4)
	out := string(separator) + "YYYY"
	if before-len(rest) == 2 {
		out = string(separator) + "YY"
	}
	if rest == "" {
		return out
	}
	if strings.HasPrefix(rest, ",") {
		out, rest = out+",", rest[1:]
	}
	out += " "
	rest = strings.TrimLeft(rest, " ")
	var t civil
	ap := cutHalf(&rest, &t)
	if ap {
		out += "ap"
	}
	out += "h:mm"
	if strings.Count(rest, ":") > 1 {
		out += ":ss"
	}
	if i := strings.IndexByte(rest, '.'); i >= 0 && !strings.Contains(rest, "a.m.") && !strings.Contains(rest, "p.m.") {
		out += ".f"
	}
	if tail := strings.TrimLeft(rest, "0123456789:. "); !ap && cutHalf(&tail, &t) {
		if strings.Contains(rest, " ") {
			out += " "
		}
		out += "ap"
	}
	return out
}

// Write writes the mapping as a file that [ReadMapping] reads back the same.
func (m Mapping) Write(w io.Writer) error {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("guia-mapping: %d", Version)
	if m.Name != "" || m.Description != "" {
		line("source:")
		if m.Name != "" {
			line("  name: %s", quote(m.Name))
		}
		if m.Description != "" {
			line("  description: %s", quote(m.Description))
		}
	}
	text := func(key, value string) {
		if value != "" {
			line("%s: %s", key, quote(value))
		}
	}
	list := func(key string, values []string) {
		if len(values) > 0 {
			line("%s: %s", key, quoteAll(values))
		}
	}
	list("files", m.Files)
	text("format", m.Format)
	text("encoding", string(m.Encoding))
	text("delimiter", m.Delimiter)
	if m.Header != 1 {
		line("header: %d", m.Header)
	}
	list("sheets", m.Sheets)
	text("records", m.Records)
	text("zone", m.Zone)
	list("times", m.Times)
	if m.Pattern != "" {
		line("path:")
		line("  pattern: %s", quote(m.Pattern))
		if len(m.Decode) > 0 {
			line("  decode:")
			for _, part := range slices.Sorted(maps.Keys(m.Decode)) {
				line("    %s: %s", quote(part), quoteAll(m.Decode[part]))
			}
		}
	}
	line("fields:")
	for _, target := range slices.Sorted(maps.Keys(m.Fields)) {
		line("  %s: %s", target, m.Fields[target].yaml())
	}
	_, err := w.Write(b.Bytes())
	return err
}

// yaml is the value in one line.
func (v Value) yaml() string {
	var parts []string
	add := func(key, value string) { parts = append(parts, key+": "+value) }
	switch {
	case v.From != "" && v.Column:
		add("column", quote(v.From))
	case v.From != "":
		if v.Decode == nil && v.Values == nil && v.Split == "" && !v.HTML && !v.Optional {
			return quote(v.From)
		}
		add("path", quote(v.From))
	case v.Constant != "":
		add("constant", quote(v.Constant))
	case v.Part != "":
		add("file", quote(v.Part))
	default:
		var all []string
		for _, j := range v.Join {
			all = append(all, j.yaml())
		}
		add("join", "["+strings.Join(all, ", ")+"]")
	}
	if v.Decode != nil {
		add("decode", quoteAll(v.Decode))
	}
	if v.Values != nil {
		var all []string
		for _, from := range slices.Sorted(maps.Keys(v.Values)) {
			all = append(all, quote(from)+": "+quote(v.Values[from]))
		}
		add("values", "{"+strings.Join(all, ", ")+"}")
	}
	if v.Split != "" {
		add("split", quote(v.Split))
	}
	if v.HTML {
		add("html", "true")
	}
	if v.Optional {
		add("optional", "true")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// quote writes text as a double-quoted scalar, which YAML shares with JSON.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // text, into memory
	return strings.TrimSuffix(b.String(), "\n")
}

func quoteAll(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
