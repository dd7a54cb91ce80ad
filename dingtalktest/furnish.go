package dingtalktest

import "time"

var themeNames = map[string][]string{
	"minutes": {"會議記錄", "週會紀要"}, "relatório": {"Relatório", "Plano de obra"}, "safety": {"Safety briefing", "Site notice"}, "staff": {"員工名單", "薪金表"},
}

// disputeLines are said in turn by the salesman and the manager.
var disputeLines = []string{
	"經理，路環那三份合約都簽了，佣金按 3% 算是 MOP 86,400，對嗎？", "對，客戶付了訂金就發。（測試資料）", "客戶上星期已經付了。", "我問一下財務。",
	"已經過了月底，還沒收到。", "公司說要等全數收款。", "協議裏沒有這樣寫。", "這個你跟人事談吧。",
}

// furnish gives the company its groups, drive and devices as they were when the tenant's time begins, and the threads of the story:
// a dismissed salesman whose commission is in dispute, an accountant who shares client reports, an external link that stays open.
func (t *Tenant) furnish() {
	t.stream.past = true
	defer func() { t.stream.past = false }()
	c := t.company
	start := c.start.AddDate(0, 0, -t.options.History)
	t.assemble()
	admin := c.person(c.cast["admin"])
	common := t.addSpace("公司文件 Documentos", 0, admin, "SHENZHEN")
	regions := []string{"SHENZHEN", "ZHANGJIAKOU", "SHANGHAI", "SINGAPORE", "UNKNOWN"}
	for n, d := range c.leaves() {
		if len(c.members(d)) > 0 {
			t.addSpace(d.name, d.id, c.person(c.members(d)[0]), regions[n%len(regions)])
		}
	}
	for _, s := range t.files.order {
		d := roll(c.spec.Seed, "space "+s.name)
		for _, folder := range []string{"2025", "2026"} {
			f := t.addFile(s, "0", folder, "", s.owner, start.AddDate(0, -6, 0))
			for i, theme := range []string{"minutes", "safety", "relatório"} {
				at := start.AddDate(0, -5, 0).Add(time.Duration(i)*time.Hour + d.span(100*24*time.Hour))
				t.addFile(s, f.id, pick(&d, themeNames[theme])+" "+at.In(Shanghai).Format("0102")+".docx", theme, s.owner, at)
			}
		}
	}
	hr, salesman := c.person(c.cast["hr"]), c.person(c.cast["salesman"])
	t.addFile(t.spaceOf(hr), "0", "薪金表 2026.csv", "staff", hr, start.AddDate(0, -2, 0))
	deal := t.addFile(t.spaceOf(salesman), "0", "佣金協議.docx", "commission", salesman, start.AddDate(0, -3, 0))
	deal.edit(c.person(c.cast["salesmanager"]), start.AddDate(0, -1, 0))
	open := t.addFile(common, "0", "投標文件 Proposta.docx", "relatório", admin, start.AddDate(0, -4, 0))
	open.link = true
	d := roll(c.spec.Seed, "link")
	t.log(start.Add(time.Hour), admin, 5, open, &d)
	common.files[1].archived = true

	manager := c.person(c.cast["salesmanager"])
	dd := roll(c.spec.Seed, "dispute")
	t.dispute = &group{id: "cid" + dd.opaque(16), members: []int{salesman.index, manager.index}}
	for n, line := range disputeLines {
		who := []*person{salesman, manager}[n%2]
		at := c.start.AddDate(0, 0, n-2*len(disputeLines)).Add(time.Duration(n*37) * time.Minute)
		t.write(t.dispute, groupMessage{at: at, from: who.id, kind: "text", content: object{"content": line}})
	}
	for n, i := range c.present()[:min(len(c.present()), 40)] {
		t.devices = append(t.devices, &device{c.person(i), []string{"Win", "Mac"}[n%2], 1 + n%4, start.AddDate(0, -n%6, 0)})
	}
}

// spaceOf is the space of somebody's department, the company's for who has none.
func (t *Tenant) spaceOf(p *person) *space {
	for _, s := range t.files.order {
		if s.dept == p.dept {
			return s
		}
	}
	return t.files.order[0]
}

func (s *space) folders() []string {
	ids := []string{"0"}
	for _, f := range s.files {
		if f.folder {
			ids = append(ids, f.id)
		}
	}
	return ids
}
