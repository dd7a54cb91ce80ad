package dingtalktest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// person is one member of the company.
type person struct {
	index     int
	id        string // userid
	union     string
	name      string
	kind      kind
	stateCode string
	mobile    string
	email     string
	title     string
	job       string // job number
	dept      int64
	hired     time.Time
	birth     string // yyyymmdd
	paper     string
	salt      dice
}

// leaving is what Smart HR says about somebody who went.
type leaving struct {
	last   time.Time
	reason []string // the person's own
	forced []string // the company's
	memo   string
	before int // employment status before: 2 probation, 3 regular
}

const firstUser = 7_100_000_000_000_000 // user ids of test people begin here

func (c *company) userID(index int) string { return strconv.FormatInt(firstUser+int64(index), 10) }

// index is the number in a user id; ok is false for somebody who was never here.
func (c *company) index(userID string) (int, bool) {
	n, err := strconv.ParseInt(userID, 10, 64)
	i := int(n - firstUser)
	if err != nil || n < firstUser || i >= c.staff+len(c.joined) {
		return 0, false
	}
	return i, true
}

// find is the person of a user id, nil when nobody ever had it.
func (c *company) find(userID string) *person {
	if i, ok := c.index(userID); ok {
		return c.person(i)
	}
	return nil
}

// here is the person of a user id who works here now.
func (c *company) here(userID string) *person {
	if i, ok := c.index(userID); ok && !c.gone[i] {
		return c.person(i)
	}
	return nil
}

// byUnion is the person of a union id.
func (c *company) byUnion(union string) *person {
	if len(c.unions) < c.staff+len(c.joined) {
		for i := len(c.unions); i < c.staff+len(c.joined); i++ {
			c.unions[unionID(c.spec.Seed, i)] = i
		}
	}
	if i, ok := c.unions[union]; ok && !c.gone[i] {
		return c.person(i)
	}
	return nil
}

func unionID(seed uint64, index int) string {
	d := roll(seed, "union", int64(index))
	return "Tst" + plain.Replace(d.opaque(15)) + "iEiE"
}

var plain = strings.NewReplacer("+", "x", "/", "y", "=", "")

func (p *person) open() string { d := roll(uint64(p.salt), "open"); return "op" + d.hex(20) }

// person draws somebody, or finds what was changed.
func (c *company) person(index int) *person {
	if p := c.changed[index]; p != nil {
		return p
	}
	d := roll(c.spec.Seed, "person", int64(index))
	p := &person{index: index, id: c.userID(index), union: unionID(c.spec.Seed, index), salt: d}
	home := c.leaf(index)
	switch share := d.n(100); {
	case index >= c.mainland.first && index < c.staff:
		p.kind = mainlander
	case share < 55:
		p.kind = macanese
	case share < 64:
		p.kind = portuguese
	case share < 80:
		p.kind = filipino
	default:
		p.kind = commuter
	}
	p.name = d.name(p.kind)
	p.dept = home.id
	p.stateCode, p.mobile = phone(p.kind, index)
	p.job = fmt.Sprintf("TEST-%05d", index+1)
	p.email = fmt.Sprintf("t%05d@%s.test", index+1, strings.ToLower(c.spec.Size))
	p.birth = fmt.Sprintf("%d%02d%02d", 1965+d.n(38), 1+d.n(12), 1+d.n(28))
	p.paper = paper(p.kind, index, p.birth)
	p.hired = midnight(c.founded.AddDate(0, 0, d.n(5*365)))
	p.title = pick(&d, []string{"文員", "主任", "技術員 Técnico", "Operator", "專員", "助理 Assistente"})
	for part, i := range c.cast {
		if i == index {
			p.title = map[string]string{
				"admin": "資訊管理員", "director": "董事 Director", "accountant": "會計師", "hr": "人事主管", "salesman": "業務代表", "salesmanager": "業務經理",
			}[part]
		}
	}
	return p
}

// change lets a person differ from the draw.
func (c *company) change(index int, how func(*person)) {
	p := *c.person(index)
	how(&p)
	c.changed[index] = &p
}

// leaving is how somebody went, as it was told to [Tenant.Leave] or drawn.
func (c *company) leaving(index int) leaving {
	if l, ok := c.told[index]; ok {
		return l
	}
	p := c.person(index)
	d := roll(uint64(p.salt), "leaving")
	l := leaving{last: p.hired.AddDate(0, 0, 200+d.n(160)), before: 3, memo: "測試資料：個人發展"}
	if d.percent(30) {
		l.forced, l.memo = []string{"合同到期不续签"}, "測試資料：合約期滿"
	} else {
		l.reason = []string{pick(&d, []string{"家庭原因", "个人发展", "薪酬"})}
	}
	return l
}

// Cast are the user ids of the people with a part in the story: admin, director, hr, accountant (shares client reports), salesman
// (dismissed, disputes a commission) and salesmanager.
func (t *Tenant) Cast() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := map[string]string{}
	for part, i := range t.company.cast {
		m[part] = t.company.userID(i)
	}
	return m
}

// CorpID is the company's id.
func (t *Tenant) CorpID() string { return t.company.id }

// Canaries are the names, phones, e-mail addresses and papers of people: what must not turn up in a log or an error.
func (t *Tenant) Canaries() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for i := range t.company.staff + len(t.company.joined) {
		p := t.company.person(i)
		all = append(all, p.name, p.mobile, p.email, p.paper)
	}
	return all
}
