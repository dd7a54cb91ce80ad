package dingtalk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// feedDirectory tells of departments, people, roles, administrators and leavers (dingtalk-api.md 2). All of its calls but that for leavers
// are exempt from the quota.
var feedDirectory = &feed{"directory", JobDirectory, 24 * time.Hour, []step{
	{"departments", true, (*Source).departments},
	{"users", true, (*Source).directoryUsers},
	{"roles", false, (*Source).roles},
	{"admins", false, (*Source).admins},
	{"leavers", false, (*Source).leavers},
}}

// Limits on what is remembered of a tenant.
const (
	maxDepartments = 100_000
	maxUsers       = 1_000_000
)

// department is a row of department/listsub.
type department struct {
	ID     number `json:"dept_id"`
	Name   text   `json:"name"`
	Parent number `json:"parent_id"`

	raw json.RawMessage
	ans *answer
}

// tree is the departments that the application may see, ascending by number.
type tree struct {
	list []department
	by   map[number]string // name
}

// loadTree walks the departments once a round. Where the application may not see the whole organisation, it begins at those it may see.
func (s *Source) loadTree(ctx context.Context) (*tree, error) {
	if s.tree != nil {
		return s.tree, nil
	}
	t := &tree{by: map[number]string{1: ""}}
	open := []number{1}
	for len(open) > 0 {
		p, err := s.c.page(ctx, s.feed.job, apiDepartments, args{body: map[string]any{"dept_id": int64(open[0])}}, "")
		if f := faultIn(err); f != nil && f.Kind == Scope && open[0] == 1 {
			delete(t.by, 1)
			if open, err = s.authorised(ctx, t); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		open = open[1:]
		for _, raw := range p.rows {
			if id := t.add(raw, p.answer); id > 0 {
				open = append(open, id)
			}
		}
	}
	slices.SortStableFunc(t.list, func(a, b department) int { return cmp.Compare(a.ID, b.ID) })
	s.tree = t
	return t, nil
}

// add takes a department up and returns its number; 0 when it is known, odd, or one too many.
func (t *tree) add(raw json.RawMessage, a *answer) number {
	var d department
	if !fits(raw, &d) || d.ID <= 0 {
		t.list = append(t.list, department{raw: raw, ans: a})
		return 0
	}
	if _, known := t.by[d.ID]; known || len(t.list) >= maxDepartments {
		return 0
	}
	t.by[d.ID] = string(d.Name)
	d.raw, d.ans = raw, a
	t.list = append(t.list, d)
	return d.ID
}

// authorised takes up the departments that the application may see, where that is not the whole organisation.
func (s *Source) authorised(ctx context.Context, t *tree) (open []number, err error) {
	ans, err := s.c.call(ctx, s.feed.job, apiScopes, args{})
	if err != nil {
		return nil, err
	}
	var scope struct {
		Org struct {
			Depts []number `json:"authed_dept"`
		} `json:"auth_org_scopes"`
	}
	if !fits(ans.body, &scope) {
		return nil, (&Fault{Kind: Unexpected, API: apiScopes.String(), Request: ans.request}).refusal()
	}
	for _, id := range scope.Org.Depts {
		one, err := s.c.call(ctx, s.feed.job, apiDepartment, args{body: map[string]any{"dept_id": int64(id)}})
		if f := faultIn(err); f != nil && (f.Kind == NotFound || f.Kind == Scope) {
			continue
		}
		if err != nil {
			return nil, err
		}
		raw, err := dig(one.body, "result")
		if err != nil || raw == nil {
			return nil, (&Fault{Kind: Unexpected, API: apiDepartment.String(), Request: one.request}).refusal()
		}
		if id := t.add(raw, one); id > 1 {
			open = append(open, id)
		}
	}
	return open, nil
}

// numbers are all departments, the root among them, ascending.
func (t *tree) numbers() []number {
	all := make([]number, 0, len(t.by))
	for id := range t.by {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

const departmentsAPage = 500

// departments: the place is how many were told.
func (s *Source) departments(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	t, err := s.loadTree(ctx)
	if err != nil {
		return nil, "", false, err
	}
	from, ok := count(at, len(t.list))
	if !ok {
		return nil, "", false, source.RefuseCursor()
	}
	to := min(from+departmentsAPage, len(t.list))
	var records []source.Record
	for i, d := range t.list[from:to] {
		if d.ID <= 0 {
			records = append(records, s.odd(d.raw, d.ans, from+i))
			continue
		}
		r := s.record(guia.DepartmentSeen, "department/"+d.ID.String(), d.raw, d.ans)
		r.Subject = string(d.Name)
		r.Text = lines("name", string(d.Name), "parent", d.Parent.String())
		r.Extra.Set("department.key", d.ID.String())
		r.Extra.Set("department.parent", d.Parent.String())
		records = append(records, r)
	}
	return records, strconv.Itoa(to), to < len(t.list), nil
}

// count reads a place that is a number of things.
func count(at string, most int) (int, bool) {
	if at == "" {
		return 0, true
	}
	n, err := strconv.Atoi(at)
	return n, err == nil && n >= 0 && n <= most
}

// user is a row of user/list.
type user struct {
	UserID  text     `json:"userid"`
	UnionID text     `json:"unionid"`
	Name    text     `json:"name"`
	Title   text     `json:"title"`
	Number  text     `json:"job_number"`
	Hired   number   `json:"hired_date"`
	Manager text     `json:"manager_userid"`
	Depts   []number `json:"dept_id_list"`
	Mobile  text     `json:"mobile"`
	State   text     `json:"state_code"`
	Email   text     `json:"email"`
	OrgMail text     `json:"org_email"`
	Place   text     `json:"work_place"`
	Active  flag     `json:"active"`
	Admin   flag     `json:"admin"`
	Boss    flag     `json:"boss"`
	Senior  flag     `json:"senior"`
	Own     flag     `json:"exclusive_account"`
}

// phoneClass says which of DingTalk's contracting entities an account belongs to: that of the mainland has the accounts whose number
// begins with +86 (dingtalk-api.md 1.1). Without the permission to see numbers it is unknown.
func phoneClass(state, mobile string) string {
	state = strings.TrimPrefix(strings.TrimSpace(state), "+")
	if code, _, ok := strings.Cut(strings.TrimPrefix(mobile, "+"), "-"); ok && state == "" {
		state = code // "+853-66666666"
	}
	switch {
	case state == "86":
		return "86"
	case state != "":
		return "other"
	case len(mobile) == 11 && mobile[0] == '1' && digits(mobile): // mainland numbers are written without their prefix
		return "86"
	}
	return "unknown"
}

// directoryUsers: the place is a department and a place in the list of its direct members. Who is in several departments is told in the
// first of them.
func (s *Source) directoryUsers(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	t, err := s.loadTree(ctx)
	if err != nil {
		return nil, "", false, err
	}
	all := t.numbers()
	if len(all) == 0 {
		return nil, "", false, nil
	}
	dept, inner := all[0].String(), ""
	if at != "" {
		dept, inner, _ = strings.Cut(at, " ")
	}
	if !digits(dept) {
		return nil, "", false, source.RefuseCursor()
	}
	n, _ := strconv.ParseInt(dept, 10, 64)
	i, found := slices.BinarySearch(all, number(n))
	if !found { // it was removed meanwhile
		if inner = ""; i == len(all) {
			return nil, "", false, nil
		}
	}
	p, err := s.c.page(ctx, s.feed.job, apiUsers, args{body: map[string]any{"dept_id": int64(all[i])}}, inner)
	if err != nil {
		return nil, "", false, err
	}
	records := each(s, p, func(u user, raw []byte) []source.Record {
		first := all[i]
		for _, d := range u.Depts {
			if _, ok := t.by[d]; ok {
				first = min(first, d)
			}
		}
		if first != all[i] {
			return nil
		}
		return []source.Record{s.person(&u, t, raw, p.answer)}
	})
	switch {
	case p.more:
		return records, all[i].String() + " " + p.next, true, nil
	case i+1 < len(all):
		return records, all[i+1].String(), true, nil
	}
	return records, "", false, nil
}

// person is a directory entry.
func (s *Source) person(u *user, t *tree, raw []byte, a *answer) source.Record {
	if u.UserID == "" {
		return s.odd(raw, a, 0)
	}
	r := s.record(guia.PersonSeen, "user/"+string(u.UserID), raw, a)
	var names, numbers []string
	slices.Sort(u.Depts)
	for _, d := range u.Depts {
		if name := t.by[d]; name != "" {
			names = append(names, name)
		}
		numbers = append(numbers, d.String())
	}
	r.Sender = source.Person{
		ID: string(u.UserID), Name: string(u.Name), Address: string(cmp.Or(u.OrgMail, u.Email)), Phone: string(u.Mobile), Title: string(u.Title),
		Department: strings.Join(names, "; "),
	}
	class := phoneClass(string(u.State), string(u.Mobile))
	hired := ""
	if u.Hired > 0 {
		hired = time.UnixMilli(int64(u.Hired)).In(serverTime).Format(time.DateOnly)
	}
	r.Text = lines("departments", strings.Join(numbers, " "), "number", string(u.Number), "hired", hired, "manager", string(u.Manager),
		"work place", string(u.Place), "active", yes(u.Active), "administrator", yes(u.Admin), "principal", yes(u.Boss), "protected", yes(u.Senior),
		"exclusive account", yes(u.Own), "telephone class", class, "union id", string(u.UnionID))
	r.Extra.Set("person.key", string(u.UserID))
	r.Extra.Set("phone.class", class)
	return r
}

// roles: the place is that in the list of groups of roles.
func (s *Source) roles(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	p, err := s.c.page(ctx, s.feed.job, apiRoles, args{}, at)
	if err != nil {
		return nil, "", false, err
	}
	var records []source.Record
	for n, raw := range p.rows {
		var group struct {
			ID    number            `json:"groupId"`
			Name  text              `json:"name"`
			Roles []json.RawMessage `json:"roles"`
		}
		if !fits(raw, &group) {
			records = append(records, s.odd(raw, p.answer, n))
			continue
		}
		for _, one := range group.Roles {
			var role struct {
				ID   number `json:"id"`
				Name text   `json:"name"`
			}
			if !fits(one, &role) || role.ID == 0 {
				records = append(records, s.odd(one, p.answer, n))
				continue
			}
			r, err := s.role(ctx, int64(role.ID), one, p.answer)
			if err != nil {
				return nil, "", false, err
			}
			r.Subject = string(role.Name)
			r.Text = lines("role", string(role.Name), "group", string(group.Name))
			records = append(records, r)
		}
	}
	return records, p.next, p.more, nil
}

// role is a role with the people who hold it; its raw bytes are the row of the role and those of its members, a line each.
func (s *Source) role(ctx context.Context, id int64, raw []byte, a *answer) (source.Record, error) {
	r := s.record(guia.RoleSeen, "role/"+strconv.FormatInt(id, 10), bytes.Clone(raw), a)
	r.RawType = "application/x-ndjson"
	err := s.c.all(ctx, s.feed.job, apiRoleMembers, args{body: map[string]any{"role_id": id}}, func(p rowsPage) error {
		for _, row := range p.rows {
			var m struct {
				UserID text `json:"userid"`
			}
			if fits(row, &m) && m.UserID != "" && len(r.Raw) < maxAnswer-len(row)-1 {
				r.Members = append(r.Members, string(m.UserID))
				r.Raw = append(append(r.Raw, '\n'), row...)
			}
		}
		return nil
	})
	slices.Sort(r.Members)
	r.Members = slices.Compact(r.Members)
	return r, err
}

// admins are the administrators of the tenant, as two roles of the system.
func (s *Source) admins(ctx context.Context, _ string) ([]source.Record, string, bool, error) {
	p, err := s.c.page(ctx, s.feed.job, apiAdmins, args{}, "")
	if err != nil {
		return nil, "", false, err
	}
	var records []source.Record
	for level, name := range []string{1: "main administrators", 2: "sub-administrators"} {
		if level == 0 {
			continue
		}
		r := s.record(guia.RoleSeen, "role/system/"+strconv.Itoa(level), nil, p.answer)
		r.RawType, r.Subject, r.Text = "application/x-ndjson", name, lines("role", name)
		for _, row := range p.rows {
			var m struct {
				UserID text   `json:"userid"`
				Level  number `json:"sys_level"`
			}
			if fits(row, &m) && m.UserID != "" && int(m.Level) == level {
				r.Members = append(r.Members, string(m.UserID))
				r.Raw = append(append(r.Raw, row...), '\n')
			}
		}
		if len(r.Members) > 0 {
			slices.Sort(r.Members)
			records = append(records, r)
		}
	}
	return records, "", false, nil
}

// leaverOverlap is how far back of the round a leaver is looked for who is entered late.
const leaverOverlap = 7 * 24 * time.Hour

// leavers: the place is that in the list of who left.
func (s *Source) leavers(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	from := later(s.round.from.Add(-leaverOverlap), s.round.to.AddDate(-1, 0, 1))
	const layout = "2006-01-02T15:04:05Z"
	a := args{}
	a.set(apiLeavers, "startTime", from.Format(layout))
	a.set(apiLeavers, "endTime", s.round.to.Format(layout))
	p, err := s.c.page(ctx, s.feed.job, apiLeavers, a, at)
	if err != nil {
		return nil, "", false, err
	}
	records := each(s, p, func(row struct {
		UserID text `json:"userId"`
		Name   text `json:"name"`
		Mobile text `json:"mobile"`
		State  text `json:"stateCode"`
		Left   text `json:"leaveTime"`
		Reason text `json:"leaveReason"`
	}, raw []byte,
	) []source.Record {
		if row.UserID == "" {
			return []source.Record{s.odd(raw, p.answer, 0)}
		}
		r := s.record(guia.PersonLeft, "left/"+string(row.UserID)+"/"+string(row.Left), raw, p.answer)
		r.Sender = source.Person{ID: string(row.UserID), Name: string(row.Name), Phone: string(row.Mobile)}
		inWords(&r, string(row.Left))
		r.Text = lines("reason", string(row.Reason))
		r.Extra.Set("person.key", string(row.UserID))
		r.Extra.Set("phone.class", phoneClass(string(row.State), string(row.Mobile)))
		if r.HasTime {
			r.Extra.Set("valid.until", r.Time.Time.In(serverTime).Format(time.DateOnly))
		}
		return []source.Record{r}
	})
	return records, p.next, p.more, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
