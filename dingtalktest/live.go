package dingtalktest

import (
	"context"
	"slices"
	"time"
)

// Deed is one thing that is done at the company while somebody watches, in the words of whoever stands beside.
type Deed struct {
	At   time.Time
	Kind string // one of [Deeds]
	Who  string // a name
	What string // what was said, or the name of a thing; empty where there is none
}

// routine is what happens one after the other, and then again. Read as a story: on top of a day's work the salesman asks for his
// commission until he is dismissed; then others speak of it.
var routine = []string{
	"clock", "say", "notify", "read", "claim", "clock", "file", "claim", "read", "join", "announce", "claim", "meet", "say", "read", "claim", "apply", "clock",
	"dismiss", "say", "claim", "read", "file", "claim", "clock",
}

// Deeds are the kinds of deeds: somebody clocks in, or out, says something to the robot, sends it a file, opens what the company sent; the
// company sends a notice, announces; people meet, apply for something, join, leave; the salesman claims his commission and is dismissed.
func Deeds() []string {
	return []string{"in", "out", "say", "file", "read", "notify", "announce", "meet", "apply", "join", "leave", "claim", "dismiss"}
}

// live is what was done while somebody watched: all else of a tenant is drawn.
type live struct {
	deeds   int
	claims  int
	punches []punch
	sent    []*robotMessage
	opened  map[string]map[int]time.Time // who has opened what was sent, and when
	joined  []string
}

// Name is the company's name.
func (t *Tenant) Name() string { return t.company.name }

// Live lets the company go about its work, a deed every pause or so, until ctx ends or most deeds are done; zero is no end. tell is called
// with each one when subscribers have been told. The n-th deed of a seed is the same whenever it is done, as long as nobody else changes
// the company; it is done at the present moment of the clock, which is not moved.
func (t *Tenant) Live(ctx context.Context, pause time.Duration, most int, tell func(Deed)) {
	for n := 0; most == 0 || n < most; n++ {
		deed, d := t.step()
		tell(deed)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + d.span(pause+1)):
		}
	}
}

// step does the next deed. Its dice are good for the pause after it.
func (t *Tenant) step() (Deed, dice) {
	t.mu.Lock()
	n := t.live.deeds
	t.live.deeds++
	d := roll(t.company.spec.Seed, "deed", int64(n))
	deed := Deed{At: t.clock.Now(), Kind: routine[n%len(routine)]}
	t.do(&deed, &d)
	pushes := t.takeOutbox()
	t.mu.Unlock()
	t.push(pushes)
	return deed, d
}

// do does a deed of a kind; where there is nobody to do it, somebody says something instead.
func (t *Tenant) do(deed *Deed, d *dice) {
	c := t.company
	who := c.person(pick(d, c.present()))
	deed.Who = who.name
	switch deed.Kind {
	case "clock":
		deed.Kind = t.clockIn(who, deed.At)
	case "file":
		s := t.spaceOf(who)
		f := pick(d, slices.DeleteFunc(slices.Clone(s.files), func(f *file) bool { return f.folder || !f.deleted.IsZero() || f.archived }))
		deed.What = f.name
		t.emitMessage(t.say(who, t.listening(d), "", f, deed.At))
	case "notify":
		deed.Who, deed.What = c.person(c.cast["hr"]).name, pick(d, notices)
		t.send(deed.At, d)
	case "read":
		if m, who := t.reader(d); m != nil {
			deed.Who = who.name
			t.live.opened[m.key][who.index] = deed.At
			t.tellOpened(m, who.index, deed.At)
			return
		}
		deed.Kind = "say"
		t.saying(deed, who, pick(d, talk), d)
	case "announce":
		admin := c.person(c.cast["admin"])
		deed.Who, deed.What = admin.name, pick(d, headlines)
		t.publish(&board{sender: admin, title: deed.What, content: deed.What + "（測試資料）", at: deed.At, depts: []int64{1}})
	case "meet":
		t.meet(who, *d, deed.At)
		deed.What = t.conferences[len(t.conferences)-1].title
	case "apply":
		t.ask(who, *d, deed.At)
		deed.What = t.approvals[len(t.approvals)-1].title
	case "join":
		dept := pick(d, c.leaves())
		id := t.join(dept.id)
		t.live.joined = append(t.live.joined, id)
		deed.Who, deed.What = c.find(id).name, dept.name
		t.emit("user_add_org", object{"timeStamp": t.stamp(), "userId": []string{id}})
	case "dismiss":
		t.dismiss(deed)
	case "claim":
		t.claim(deed, d)
	default:
		t.saying(deed, who, pick(d, talk), d)
	}
}

// dismiss lets the salesman go, and after him those who came while somebody watched.
func (t *Tenant) dismiss(deed *Deed) {
	c := t.company
	if who := c.here(c.userID(c.cast["salesman"])); who != nil {
		deed.Who = who.name
		t.leave(who.id, leaving{forced: []string{"严重违反公司规章制度"}, memo: "測試資料：解僱，佣金有爭議"})
		return
	}
	deed.Kind = "leave"
	who := c.find(t.live.joined[0]) // each round of the routine hires one before
	t.live.joined = t.live.joined[1:]
	deed.Who = who.name
	t.leave(who.id, leaving{reason: []string{"个人发展"}, memo: "測試資料"})
}

// claims are said in turn by the salesman and the manager, and when he is gone by the manager and the company's human resources.
var (
	claims = []string{
		"經理，路環那三份合約的佣金 MOP 86,400 甚麼時候發？", "佣金要等客戶付款後才計算。", "客戶上個月已經付清。協議寫明簽約即付。", "Fala com a directora; eu não decido a comissão.",
	}
	aftermath = []string{
		"請保留所有與佣金有關的訊息和文件。", "A DSAL pediu os documentos sobre a comissão.", "Who has the signed commission agreement?", "佣金協議在共享盤，不要刪除。",
	}
)

func (t *Tenant) claim(deed *Deed, d *dice) {
	c, n := t.company, t.live.claims
	t.live.claims++
	parts, lines := [2]string{"salesman", "salesmanager"}, claims
	if c.gone[c.cast["salesman"]] {
		parts, lines, deed.Kind = [2]string{"hr", "salesmanager"}, aftermath, "say"
	}
	who := c.person(c.cast[parts[n%2]])
	deed.Who = who.name
	t.saying(deed, who, lines[n%len(lines)], d)
}

var (
	notices   = []string{"請細閱新的個人資料處理政策。", "Leia a nova política de dados pessoais.", "Please read the staff notice about the archive.", "請於星期五前提交工時表。"}
	headlines = []string{"假期安排", "Política de dados pessoais", "Staff notice: DingTalk archive", "颱風期間上班安排"}
)

func (t *Tenant) saying(deed *Deed, who *person, text string, d *dice) {
	deed.What = text
	t.emitMessage(t.say(who, t.listening(d), text, nil, deed.At))
}

// listening is a group with the robot in it, or none for one to one.
func (t *Tenant) listening(d *dice) *group {
	var all []*group
	for _, g := range t.groups {
		if g.robot {
			all = append(all, g)
		}
	}
	if d.percent(30) {
		return nil
	}
	return pick(d, all)
}

// clockIn lets somebody clock in, or out when they were in. It returns which.
func (t *Tenant) clockIn(who *person, at time.Time) string {
	day, check, kind := midnight(at), "OnDuty", "in"
	if len(t.live.clocked(who, day))%2 == 1 {
		check, kind = "OffDuty", "out"
	}
	x := punch{
		id: day.Unix()/86400*1_000_000 + 500_000 + int64(len(t.live.punches)), who: who, day: day, check: check, planned: at.Truncate(time.Hour), at: at,
		result: "Normal", place: workplace(who),
	}
	t.live.punches = append(t.live.punches, x)
	o := x.record(t.company)
	t.emit("attendance_check_record", object{"dataList": []object{{
		"userId": who.id, "checkTime": at.UnixMilli(), "address": o["userAddress"], "latitude": o["userLatitude"], "longitude": o["userLongitude"],
		"locationMethod": o["locationMethod"], "locationResult": o["locationResult"], "groupId": o["groupId"], "bizId": o["bizId"], "corpId": t.company.id,
	}}})
	return kind
}

// clocked are the punches of somebody on a day that were made while somebody watched.
func (l *live) clocked(who *person, day time.Time) (all []punch) {
	for _, x := range l.punches {
		if x.who.index == who.index && x.day.Equal(day) {
			all = append(all, x)
		}
	}
	return all
}

// send sends a message of the app's robot to everybody. Who opens it is not drawn but done.
func (t *Tenant) send(at time.Time, d *dice) {
	a := t.apps[t.appKeys()[0]]
	m := &robotMessage{key: d.opaque(32), robot: a.RobotCode, app: a.Key, to: t.company.present(), at: at}
	t.robots[m.key] = m
	t.live.sent = append(t.live.sent, m)
	if t.live.opened == nil {
		t.live.opened = map[string]map[int]time.Time{}
	}
	t.live.opened[m.key] = map[int]time.Time{}
}

// reader is somebody who has not opened something that was sent, the newest first; nil when all have.
func (t *Tenant) reader(d *dice) (*robotMessage, *person) {
	for _, m := range slices.Backward(t.live.sent) {
		left := slices.DeleteFunc(slices.Clone(m.to), func(i int) bool {
			return t.company.gone[i] || !t.live.opened[m.key][i].IsZero()
		})
		if len(left) > 0 {
			return m, t.company.person(pick(d, left))
		}
	}
	return nil, nil
}
