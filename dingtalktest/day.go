package dingtalktest

import (
	"fmt"
	"slices"
	"time"
)

// Do lets a day of work go on: people move files, meet, ask for approval, talk to the robot. The clock moves through the day to its
// end, subscribers learn of each thing at its moment. A day that is over already is done without the clock.
func (t *Tenant) Do(day time.Time) { t.work(midnight(day), true) }

// dismissal is the day, from the tenant's first, on which the salesman goes.
const dismissal = 4

// volume is how many of each thing a day of work has; at a weekend there is a quarter of the robot's messages and nothing else. S comes to
// two hundred robot messages a month.
type volume struct {
	files, meetings, approvals, robot, operations int
}

var volumes = map[string]volume{
	"S": {6, 1, 1, 9, 1}, "M": {60, 6, 8, 30, 4}, "L": {900, 60, 120, 400, 20},
}

// act is one thing that is done at a moment. It is called with t.mu held.
type act struct {
	at time.Time
	do func(at time.Time)
}

func (t *Tenant) work(day time.Time, now bool) {
	t.mu.Lock()
	acts := t.plan(day)
	t.mu.Unlock()
	for _, a := range acts {
		if now {
			t.clock.MoveTo(a.at)
		}
		t.mu.Lock()
		t.stream.past = !now
		a.do(a.at)
		t.stream.past = false
		pushes := t.takeOutbox()
		t.mu.Unlock()
		t.push(pushes)
	}
	if now {
		t.clock.MoveTo(day.AddDate(0, 0, 1).Add(-time.Second))
	}
}

// plan draws the acts of a day, in their order.
func (t *Tenant) plan(day time.Time) []act {
	v, c := volumes[t.company.spec.Size], t.company
	if wd := day.Weekday(); wd == time.Saturday || wd == time.Sunday {
		v = volume{robot: v.robot / 4}
	}
	d := roll(c.spec.Seed, "day", day.Unix())
	here := c.present()
	var acts []act
	add := func(n int, do func(who *person, d dice, at time.Time)) {
		for range n {
			own := dice(d.next())
			at := day.Add(9*time.Hour + own.span(9*time.Hour))
			who := c.person(pick(&own, here))
			place := len(acts)
			for place > 0 && acts[place-1].at.After(at) {
				place--
			}
			acts = append(acts, act{})
			copy(acts[place+1:], acts[place:])
			acts[place] = act{at, func(at time.Time) { do(who, own, at) }}
		}
	}
	add(v.files, t.handleFile)
	add(v.meetings, t.meet)
	add(v.approvals, t.ask)
	add(v.operations, t.administer)
	add(v.robot, t.chat)
	if day.Equal(midnight(c.start).AddDate(0, 0, dismissal)) {
		acts = append(acts, act{day.Add(18*time.Hour + 30*time.Minute), func(time.Time) {
			t.leave(c.userID(c.cast["salesman"]), leaving{forced: []string{"严重违反公司规章制度"}, memo: "測試資料：解僱，佣金有爭議"})
		}})
	}
	if v.files > 0 {
		add(1, func(_ *person, d dice, at time.Time) { t.shareReport(&d, at) })
	}
	return acts
}

// handleFile is one thing that somebody does with a file.
func (t *Tenant) handleFile(who *person, d dice, at time.Time) {
	s := t.spaceOf(who)
	f := s.files[d.n(len(s.files))]
	if f.folder || !f.deleted.IsZero() || d.percent(20) {
		theme := pick(&d, []string{"minutes", "relatório", "safety", "staff"})
		name := fmt.Sprintf("%s %s.%s", pick(&d, themeNames[theme]), at.In(Shanghai).Format("0102-150405"), map[string]string{"staff": "csv"}[theme])
		if theme != "staff" {
			name += pick(&d, []string{"docx", "txt", "md"})
		}
		f = t.addFile(s, pick(&d, s.folders()), name, theme, who, at)
		t.log(at, who, 0, f, &d)
		return
	}
	switch action := pick(&d, []int{2, 2, 3, 3, 3, 4, 6, 8, 1}); action {
	case 4:
		f.edit(who, at)
		t.storageEvent("storage_dentry_update", f, who)
		t.log(at, who, 4, f, &d)
	case 1:
		if f.link || len(f.shares) > 0 || !d.percent(30) {
			t.log(at, who, 3, f, &d)
			return
		}
		f.deleted, f.modifier = at, who
		t.storageEvent("storage_dentry_delete", f, who)
		t.log(at, who, 1, f, &d)
	case 8:
		r := t.log(at, who, 8, f, &d)
		g := pick(&d, t.groups)
		r.to, r.toType = g.name, 1
	default:
		t.log(at, who, action, f, &d)
	}
}

// shareReport is the accountant's habit: a client report goes to the group with the client in it.
func (t *Tenant) shareReport(d *dice, at time.Time) {
	who := t.company.person(t.company.cast["accountant"])
	if t.company.gone[who.index] {
		return
	}
	s := t.spaceOf(who)
	f := t.addFile(s, "0", "客戶報告 "+at.In(Shanghai).Format("20060102")+".docx", "report", who, at)
	t.log(at, who, 0, f, d)
	f.shares = append(f.shares, share{kind: "USER", id: "client-test-01", corp: clientCorp, name: "測試客戶有限公司", role: "DOWNLOADER"})
	r := t.log(at.Add(time.Second), who, 8, f, d)
	for _, g := range t.groups {
		if g.outside {
			r.to, r.toType = g.name, 1
			t.write(g, groupMessage{at: at, from: who.id, kind: "text", content: object{"content": "附上本期客戶報告，請查收。（測試資料）"}})
			t.write(g, groupMessage{at: at.Add(7 * time.Minute), from: "client-test-01", outside: true, kind: "text", content: object{"content": "收到，多謝！ Obrigado."}})
		}
	}
}

func (t *Tenant) meet(who *person, d dice, at time.Time) {
	k := &conference{
		id: d.uuid(), title: pick(&d, []string{"週會", "Reunião de obra", "Safety toolbox talk", "客戶會議", "预算讨论"}), host: who, from: at,
		until: at.Add(10*time.Minute + d.span(80*time.Minute)).Truncate(time.Second), outsider: d.percent(15),
	}
	k.members = []int{who.index}
	here := t.company.present()
	for range 2 + d.n(6) {
		if i := pick(&d, here); !slices.Contains(k.members, i) { // nobody is there twice
			k.members = append(k.members, i)
		}
	}
	if d.percent(40) {
		k.region = pick(&d, []string{"cn-shenzhen", "cn-zhangjiakou", "cn-shanghai", "ap-southeast-1"})
		k.lines = []string{"大家好，現在開始。", "Bom dia a todos.", "Let us look at the list.", "佣金的問題下次再談。", "謝謝各位。"}
	}
	t.conferences = append(t.conferences, k)
	t.emit("meeting_status_change", object{"openConfModel": object{
		"conferenceId": k.id, "title": k.title, "status": 1, "creatorId": who.union, "startTime": at.UnixMilli(), "attendNum": len(k.members),
	}, "changeScene": "start", "statusSeqNum": 1})
}

func (t *Tenant) ask(who *person, d dice, at time.Time) {
	a := &approval{
		id: d.opaque(12) + d.hex(6), code: LeaveForm, title: who.name + "提交的請假", who: who, by: t.company.person(t.company.cast["director"]), at: at,
		decided: at.Add(d.span(30 * time.Hour)), refused: d.percent(10), business: at.In(Shanghai).Format("200601021504") + d.hex(4),
	}
	if d.percent(30) {
		a.code, a.title = ReleaseForm, who.name+"提交的文件外發申請"
	}
	t.approvals = append(t.approvals, a)
	t.emit("bpms_instance_change", object{
		"processInstanceId": a.id, "processCode": a.code, "bizCategoryId": "", "businessId": a.business, "type": "start", "title": a.title, "businessType": "",
		"url": "", "createTime": at.UnixMilli(), "staffId": who.id,
	})
}

func (t *Tenant) administer(_ *person, d dice, at time.Time) {
	admin := t.company.person(t.company.cast["admin"])
	o := &operation{at: at, who: admin, first: "通讯录", second: pick(&d, []string{"修改成员", "导出通讯录", "修改部门"}), detail: "測試操作"}
	if d.percent(40) {
		o.first, o.second, o.subject = "存储", "UPDATE_QUOTA", pick(&d, t.files.order)
	}
	t.operations = append(t.operations, o)
	t.screenshots = append(t.screenshots, &screenshot{at: at, who: t.company.person(pick(&d, t.company.present())), platform: 1 + d.n(4), record: d.percent(20), scene: "聊天"})
}

var talk = []string{
	"請問假期餘額還有多少？", "Bom dia, onde está a política de dados?", "Good morning, my payslip is missing.", "收到，謝謝", "这个客户的资料可以发给珠海同事吗？",
	"地盤今日有訪客，需要登記嗎？", "Preciso do relatório até sexta-feira.", "Pwede po bang magpalit ng shift bukas?",
}

// chat is a message to the robot; the salesman and the manager speak of the commission.
func (t *Tenant) chat(who *person, d dice, at time.Time) {
	text := pick(&d, talk)
	switch who.index {
	case t.company.cast["salesman"]:
		text = "經理，路環項目的佣金 3% 甚麼時候發？合約已經簽了。"
	case t.company.cast["salesmanager"]:
		text = "佣金要等客戶付款後才計算，之前講過的。"
	}
	var g *group
	if d.percent(50) {
		for _, own := range t.groups {
			if own.robot && d.percent(60) {
				g = own
			}
		}
	}
	t.emitMessage(t.say(who, g, text, nil, at))
}
