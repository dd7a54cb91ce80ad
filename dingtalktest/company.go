package dingtalktest

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Company is drawn from a seed. The zero value is company S of seed 0.
type Company struct {
	Seed uint64
	Size string // "S", "M" or "L"
}

// company is the directory. People are made when they are asked for; what differs from the draw is kept.
type company struct {
	spec     Company
	id       string // corpId
	name     string
	founded  time.Time
	start    time.Time // of the tenant's clock
	staff    int       // people drawn: those of the plan, and as many more as left before the beginning
	depts    []*dept   // parents before children, in the order of the directory
	byID     map[int64]*dept
	changed  map[int]*person
	joined   []int        // people who came after the beginning
	gone     map[int]bool // people who left, drawn or later
	staying  []int        // see [company.present]
	asOf     int
	leavers  []int // in the order of leaving
	told     map[int]leaving
	admins   map[int]int // 1 main, 2 sub
	roles    []*roleGroup
	cast     map[string]int // people with a part in the story
	unions   map[string]int
	mainland *dept // the subsidiary across the border
}

// dept is a department; its members are drawn people from first to last, and those who moved in.
type dept struct {
	id       int64
	parent   int64
	name     string
	first    int
	last     int // one past
	extra    []int
	without  map[int]bool
	hidden   bool
	managers []string
}

// plan is a department to be founded: a share of the people, and departments below it.
type plan struct {
	name  string
	share int // of a hundred people of the company
	below []plan
}

var plans = map[string]struct {
	name  string
	staff int
	plan  []plan
}{
	"S": {"松山測試會計師事務所", 12, []plan{
		{name: "管理層 Direcção", share: 17},
		{name: "審計部 Auditoria", share: 25},
		{name: "稅務部", share: 17},
		{name: "業務拓展部", share: 17},
		{name: "行政部", share: 8},
		{name: "珠海代表处", share: 16},
	}},
	"M": {"燈塔測試建築工程有限公司", 300, []plan{
		{name: "總經理辦公室", share: 2},
		{name: "人力資源部", share: 3},
		{name: "財務部 Contabilidade", share: 4},
		{name: "銷售部", share: 7},
		{name: "採購部", share: 4},
		{name: "工程部", below: []plan{
			{name: "路環地盤", share: 20}, {name: "氹仔地盤", share: 20}, {name: "黑沙環地盤", share: 18}, {name: "機電組", share: 7},
		}},
		{name: "安全部 Safety", share: 3},
		{name: "珠海分公司", below: []plan{{name: "设计室", share: 6}, {name: "采购办", share: 6}}},
	}},
	"L": {"濠江測試娛樂酒店股份有限公司", 30_000, nil},
}

func found(spec Company, start time.Time) *company {
	if spec.Size == "" {
		spec.Size = "S"
	}
	p, ok := plans[spec.Size]
	if !ok {
		panic("dingtalktest: no company of size " + spec.Size) // this program is wrong
	}
	if spec.Size == "L" {
		p.plan = largePlan()
	}
	d := roll(spec.Seed, "company")
	left := p.staff * 4 / 100
	c := &company{
		spec: spec, id: "ding" + d.hex(32), name: p.name, start: start, founded: start.AddDate(-6, 0, 0), staff: p.staff + left,
		byID: map[int64]*dept{}, changed: map[int]*person{}, gone: map[int]bool{}, told: map[int]leaving{}, admins: map[int]int{}, unions: map[string]int{},
	}
	c.add(&dept{id: 1, name: p.name})
	at := c.settle(p.plan, 1, 0)
	last := c.depts[len(c.depts)-1]
	last.last += c.staff - at // what rounding left over
	c.mainland = c.depts[slices.IndexFunc(c.depts, func(d *dept) bool { return d.name == p.plan[len(p.plan)-1].name })]
	c.appoint()
	c.dismiss(left)
	c.roles = c.offices()
	return c
}

// largePlan is a casino operator: divisions, departments, shifts.
func largePlan() []plan {
	var all []plan
	for _, division := range []string{"博彩營運 Gaming", "酒店營運", "餐飲 F&B", "保安 Segurança", "工程維修", "資訊科技", "財務", "人力資源", "市場推廣", "法律合規"} {
		p := plan{name: division}
		for i := range 6 {
			sub := plan{name: fmt.Sprintf("%s %d部", division, i+1)}
			for _, shift := range []string{"早更", "中更", "夜更"} {
				sub.below = append(sub.below, plan{name: shift})
			}
			p.below = append(p.below, sub)
		}
		all = append(all, p)
	}
	return append(all, plan{name: "珠海横琴服务公司", below: []plan{{name: "呼叫中心"}, {name: "研发中心"}}})
}

func (c *company) add(d *dept) {
	c.depts = append(c.depts, d)
	c.byID[d.id] = d
}

// settle founds the departments of a plan and gives each its people, one after the other.
func (c *company) settle(all []plan, parent int64, at int) int {
	for _, p := range all {
		d := &dept{id: 900_000_001 + int64(len(c.depts))*37, parent: parent, name: p.name, first: at}
		switch {
		case len(p.below) == 0 && p.share == 0:
			at = min(at+c.staff/182, c.staff)
		default:
			at = min(at+(p.share*c.staff+50)/100, c.staff)
		}
		d.last = at
		c.add(d)
		at = c.settle(p.below, d.id, at)
	}
	return at
}

// appoint gives out the parts of the story and the offices.
func (c *company) appoint() {
	leaves := c.leaves()
	c.cast = map[string]int{"admin": 0, "director": 1}
	for part, at := range map[string]int{"accountant": 1, "hr": 4, "salesman": 3, "salesmanager": 3} {
		d := leaves[at%len(leaves)]
		switch part {
		case "hr":
			d = leaves[1]
			if c.spec.Size == "S" {
				d = leaves[4]
			}
		case "accountant":
			if c.spec.Size != "S" {
				d = leaves[2]
			}
		case "salesmanager":
			c.cast[part] = d.first
			continue
		case "salesman":
			c.cast[part] = d.first + 1
			continue
		}
		c.cast[part] = d.first
	}
	c.admins = map[int]int{c.cast["admin"]: 1, c.cast["hr"]: 2}
	for _, d := range leaves {
		d.managers = []string{c.userID(d.first)}
	}
}

// dismiss says who left before the beginning: n people, none with a part in the story and no head of a department.
func (c *company) dismiss(n int) {
	heads := map[int]bool{}
	for _, d := range c.leaves() {
		heads[d.first] = true
	}
	lots := map[int]uint64{}
	for i := range c.staff {
		if d := roll(c.spec.Seed, "leaver", int64(i)); n > 0 && !c.has(i) && !heads[i] {
			lots[i] = d.next()
			c.leavers = append(c.leavers, i)
		}
	}
	slices.SortFunc(c.leavers, func(a, b int) int { return cmp.Compare(lots[a], lots[b]) })
	c.leavers = c.leavers[:min(n, len(c.leavers))]
	for _, i := range c.leavers {
		c.gone[i] = true
	}
	slices.SortFunc(c.leavers, func(a, b int) int {
		return c.leaving(a).last.Compare(c.leaving(b).last)
	})
}

// has says whether somebody has a part in the story.
func (c *company) has(index int) bool {
	for _, i := range c.cast {
		if i == index {
			return true
		}
	}
	return false
}

// leaves are the departments that have people of their own.
func (c *company) leaves() []*dept {
	var all []*dept
	for _, d := range c.depts {
		if d.last > d.first {
			all = append(all, d)
		}
	}
	return all
}

// leaf is the department somebody was drawn into.
func (c *company) leaf(index int) *dept {
	for _, d := range c.depts {
		if index >= d.first && index < d.last {
			return d
		}
	}
	return c.depts[0]
}

// members are the people of one department, not of those below, in a stable order.
func (c *company) members(d *dept) []int {
	all := make([]int, 0, d.last-d.first+len(d.extra))
	for i := d.first; i < d.last; i++ {
		if !c.gone[i] && !d.without[i] {
			all = append(all, i)
		}
	}
	for _, i := range d.extra {
		if !c.gone[i] {
			all = append(all, i)
		}
	}
	return all
}

// present are all people who work here now. It is not for changing. Nobody comes back, so the numbers of those who came and went say whether
// it is still true.
func (c *company) present() []int {
	if n := len(c.gone) + len(c.joined); c.staying != nil && c.asOf == n {
		return c.staying
	}
	var all []int
	for i := range c.staff {
		if !c.gone[i] {
			all = append(all, i)
		}
	}
	for _, i := range c.joined {
		if !c.gone[i] {
			all = append(all, i)
		}
	}
	c.staying, c.asOf = slices.Clip(all), len(c.gone)+len(c.joined)
	return c.staying
}

// below are a department and all departments under it.
func (c *company) below(id int64) map[int64]bool {
	in := map[int64]bool{id: true}
	for _, d := range c.depts { // parents come first
		if in[d.parent] {
			in[d.id] = true
		}
	}
	return in
}

func (c *company) app() App {
	d := roll(c.spec.Seed, "app")
	key := "dingtest" + d.hex(12)
	return App{Key: key, Secret: d.hex(64), Name: "合規存檔", AgentID: 3_000_000_001, RobotCode: key, Scopes: []string{Any}, Fields: []string{"mobile", "email"}}
}
