package dingtalktest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"path"
	"strings"
	"time"
)

// fileStore are the company's drive spaces.
type fileStore struct {
	spaces  map[string]*space
	order   []*space
	byID    map[string]*file
	watched map[string]bool // "ORG corpId" or "SPACE spaceId", subscribed for change events
}

type space struct {
	id      string
	number  int64
	name    string
	dept    int64 // zero is the company's own
	owner   *person
	created time.Time
	region  string // where its bytes lie
	files   []*file
}

// file is a file or folder. Its bytes are drawn from its id, version and theme.
type file struct {
	id       string
	uuid     string
	space    *space
	parent   string
	folder   bool
	name     string
	version  int64
	creator  *person
	modifier *person
	created  time.Time
	modified time.Time
	deleted  time.Time
	archived bool
	shares   []share
	link     bool // an external link is open
	theme    string
	salt     dice
	sizes    map[int64]int64 // by version, once known
}

func (s *fileStore) find(id string) *file { return s.byID[id] }

func (s *space) used() int64 {
	var n int64
	for _, f := range s.files {
		if !f.folder {
			n += f.size()
		}
	}
	return n
}

func (t *Tenant) addSpace(name string, dept int64, owner *person, region string) *space {
	if t.files.spaces == nil {
		t.files.spaces, t.files.byID = map[string]*space{}, map[string]*file{}
	}
	n := 24_000_000_000 + t.next()
	s := &space{id: fmt.Sprint(n), number: n, name: name, dept: dept, owner: owner, created: t.company.founded, region: region}
	t.files.spaces[s.id] = s
	t.files.order = append(t.files.order, s)
	return s
}

func (t *Tenant) addFile(s *space, parent, name, theme string, who *person, at time.Time) *file {
	d := roll(t.company.spec.Seed, "file", t.next())
	f := &file{
		id: fmt.Sprint(150_000_000_000 + t.next()), uuid: d.hex(32), space: s, parent: parent, folder: theme == "", name: name, version: 1,
		creator: who, modifier: who, created: at, modified: at, theme: theme, salt: d,
	}
	s.files = append(s.files, f)
	t.files.byID[f.id] = f
	t.storageEvent("storage_dentry_create", f, who)
	return f
}

func (f *file) edit(who *person, at time.Time) {
	f.version++
	f.modifier, f.modified = who, at
}

// storageEvent tells who subscribed to the space or the company.
func (t *Tenant) storageEvent(kind string, f *file, who *person) {
	for _, in := range [][2]string{{"ORG", t.company.id}, {"SPACE", f.space.id}} {
		if t.files.watched[in[0]+" "+in[1]] {
			t.emit(kind, object{
				"spaceId": f.space.id, "dentryId": f.id, "extension": f.extension(), "type": map[bool]string{true: "FOLDER", false: "FILE"}[f.folder],
				"unionId": who.union, "eventScope": in[0], "eventScopeId": in[1],
			})
			return
		}
	}
}

func (f *file) extension() string { return strings.TrimPrefix(path.Ext(f.name), ".") }

func (f *file) path() string {
	for _, up := range f.space.files {
		if up.id == f.parent {
			return up.path() + "/" + f.name
		}
	}
	return "/" + f.name
}

func (f *file) size() int64 {
	if f.folder {
		return 0
	}
	return f.sizeOf(f.version)
}

func (f *file) sizeOf(version int64) int64 {
	n, ok := f.sizes[version]
	if !ok {
		if f.sizes == nil {
			f.sizes = map[int64]int64{}
		}
		n = int64(len(f.bytes(version)))
		f.sizes[version] = n
	}
	return n
}

// bytes are the content of one version.
func (f *file) bytes(version int64) []byte {
	d := roll(uint64(f.salt), "bytes", version)
	text := f.text(&d, version)
	switch f.extension() {
	case "docx":
		return docx(text)
	case "csv":
		return []byte("\ufeff" + text)
	default:
		return []byte(text)
	}
}

// text is what stands in the file, in the language of its theme.
func (f *file) text(d *dice, version int64) string {
	money := 1000 * (5 + d.n(400))
	switch f.theme {
	case "commission":
		return fmt.Sprintf("佣金協議（測試資料）\n業務代表每簽成一份合約，公司支付合約金額的 3%% 作為佣金。\n合約金額：MOP %d\n版本：%d\n如員工離職，已簽合約之佣金仍須於三十日內支付。\n", money*10, version)
	case "report":
		return fmt.Sprintf("客戶報告（測試資料）\n客戶：測試客戶有限公司\n本期收入：MOP %d\n聯絡人電話：+853 6200 %04d\n納稅人編號：8%07d\n", money, d.n(10000), d.n(10_000_000))
	case "relatório":
		return fmt.Sprintf("Relatório de obra (dados de teste)\nVersão %d\nCusto previsto: MOP %d\nResponsável: %s\nDocumento: %s\n",
			version, money, d.name(portuguese), paper(portuguese, d.n(10000), "19800101"))
	case "safety":
		return fmt.Sprintf("Site safety briefing (test data)\nRevision %d\nFirst aider: %s, tel. +853 62%06d\nAll workers wear helmets in the marked area.\n", version, d.name(filipino), d.n(1_000_000))
	case "staff":
		var b strings.Builder
		b.WriteString("姓名,證件號碼,電話,薪金,備註\n")
		for i := range 12 {
			k := pick(d, []kind{macanese, commuter, filipino})
			state, mobile := phone(k, 600_000+d.n(9999))
			fmt.Fprintf(&b, "%s,%s,+%s %s,%d,測試資料%d\n", d.name(k), paper(k, d.n(10000), "19900101"), state, mobile, 12_000+d.n(30_000), i)
		}
		return b.String()
	default:
		return fmt.Sprintf("會議記錄（測試資料）第%d版\n出席：%s、%s\n事項：%s\n", version, d.name(macanese), d.name(macanese),
			pick(d, []string{"預算檢討", "新制度宣讀", "客戶投訴跟進", "設備採購"}))
	}
}

// docx is the smallest word-processor file that readers accept.
func docx(text string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name, content string) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			panic(err) // a buffer in memory does not fail
		}
	}
	put("[Content_Types].xml", `<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`)
	put("_rels/.rels", `<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`)
	var body strings.Builder
	for line := range strings.Lines(text) {
		line = strings.NewReplacer("&", "&amp;", "<", "&lt;", "\n", "").Replace(line)
		body.WriteString(`<w:p><w:r><w:t xml:space="preserve">` + line + `</w:t></w:r></w:p>`)
	}
	put("word/document.xml", `<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>`+body.String()+`</w:body></w:document>`)
	if err := z.Close(); err != nil {
		panic(err) // a buffer in memory does not fail
	}
	return b.Bytes()
}
