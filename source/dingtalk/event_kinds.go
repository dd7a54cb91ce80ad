package dingtalk

import (
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

// event is a delivery on its way to records. Those of a pulled feed have its stream. Where the event tells the very fact that a call tells,
// the record has the key and the content of the pulled one, and the two are stored once: readings of what the robot sent. Where it tells
// that something happened to what a call describes, its thread is the key of that description; and a row of attendance has as its
// thread the key of the punch it is the result of.
type event struct {
	*push
	at  *Source
	box *inbox
}

// record begins a record with the bytes of this part of the event. It happened when DingTalk says the event was born.
func (e *event) record(t guia.Type, key string, raw []byte) source.Record {
	r := e.at.record(t, key, raw, &answer{api: &endpoint{method: e.via, path: cmp.Or(e.topic, "?")}, request: clean(e.id), peer: e.peer})
	r.Origin, _ = cutText(r.Origin, 200)
	r.Extra.Set("api", r.Origin)
	e.inTime(&r, e.born)
	return r
}

// inTime sets the time of a record.
func (e *event) inTime(r *source.Record, t text) {
	r.HasTime, r.Time, r.TimeOriginal, r.TimeZone = false, guia.Moment{}, "", ""
	inWords(r, string(t))
	r.Marks = slices.DeleteFunc(r.Marks, func(m string) bool { return m == source.MarkNoTime })
	if !r.HasTime && (r.Type == guia.RecordKept || r.Type == guia.MessageSent) {
		r.Marks = append(r.Marks, source.MarkNoTime)
	}
}

// key names a part of the event.
func (e *event) key(part string) string {
	key := "event/" + cmp.Or(e.id, digest(e.data))
	if part != "" {
		key += "/" + part
	}
	return key
}

// texts is a list of strings, or one that stands alone.
type texts []text

// UnmarshalJSON implements [json.Unmarshaler].
func (t *texts) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]text)(t))
	}
	var one text
	if err := one.UnmarshalJSON(b); err != nil {
		return err
	}
	if *t = nil; one != "" {
		*t = texts{one}
	}
	return nil
}

// read turns the event into records. Member names are told apart without regard to case: posts to our address write some of them
// otherwise than the Stream does (dingtalk-api.md 13.2).
func (e *event) read(ctx context.Context) ([]source.Record, error) {
	switch e.topic {
	case robotTopic:
		return e.said()
	case "isw_user_msg_received":
		return e.saidToService()
	case "robot_msg_read":
		return e.readByOne(ctx)
	case "robot_msg_recall":
		return e.recalled(ctx)
	case "attendance_check_record":
		return e.punches()
	case "blackboard_sent":
		return e.announced()
	case "storage_dentry_create", "storage_dentry_update", "storage_dentry_delete":
		return e.stored()
	}
	switch e.at.feed.name {
	case feedDirectory.name:
		return e.inDirectory()
	case feedMeetings.name:
		return e.met()
	}
	return e.kept()
}

// about is what most events name.
type about struct {
	stamp, staff, actor, group, title, status, kind, change, action, result, item text
	users, depts                                                                  texts
}

// about reads what is there of it; what is odd is left out, and is in the raw bytes.
func (e *event) about() (a about, err error) {
	var members map[string]json.RawMessage
	if err := read(e.data, &members); err != nil || members == nil {
		return a, errPush
	}
	for name, value := range members {
		if len(value) == 0 {
			continue
		}
		switch strings.ToLower(name) {
		case "userid":
			_ = a.users.UnmarshalJSON(value)
		case "deptid":
			_ = a.depts.UnmarshalJSON(value)
		}
		for known, into := range map[string]*text{
			"timestamp": &a.stamp, "staffid": &a.staff, "operator": &a.actor, "openconversationid": &a.group, "title": &a.title, "status": &a.status,
			"type": &a.kind, "changetype": &a.change, "actiontype": &a.action, "result": &a.result, "processinstanceid": &a.item,
		} {
			if strings.EqualFold(known, name) {
				_ = into.UnmarshalJSON(value)
			}
		}
	}
	if len(a.users) > maxPushedRows || len(a.depts) > maxPushedRows {
		return a, errPush
	}
	e.born = cmp.Or(e.born, a.stamp)
	return a, nil
}

// kept is an event of which nothing more is known than its name and what it names.
func (e *event) kept() ([]source.Record, error) {
	a, err := e.about()
	if err != nil {
		return nil, err
	}
	r := e.record(guia.RecordKept, e.key(""), trimmed(e.data, unkept(e.topic)))
	who := cmp.Or(a.staff, a.actor)
	if who == "" && len(a.users) == 1 {
		who = a.users[0]
	}
	if who != "" {
		r.Sender = source.Person{ID: string(who)}
		r.Extra.Set("person.key", string(who))
	}
	for _, u := range a.users {
		r.Members = append(r.Members, string(u))
	}
	if a.group != "" && e.at.feed.name == FeedConversations {
		r.Stream, r.StreamName, r.StreamKind = string(a.group), "", "group"
	}
	r.Subject = string(a.title)
	r.Text = lines("event", e.topic, "title", string(a.title), "kind", string(cmp.Or(a.kind, a.change, a.action)), "status", string(a.status),
		"result", string(a.result), "instance", string(a.item))
	r.Extra.Set("action", e.topic)
	r.Extra.Set("status", string(cmp.Or(a.status, a.result)))
	r.Extra.Set("item.key", string(a.item))
	return []source.Record{r}, nil
}

// inDirectory tells of each person or department of an event of the directory. That somebody has left is a fact of its own; of all else the
// pulled description is what counts.
func (e *event) inDirectory() ([]source.Record, error) {
	a, err := e.about()
	if err != nil {
		return nil, err
	}
	var records []source.Record
	one := func(t guia.Type, part, thread string) *source.Record {
		r := e.record(t, e.key(part), e.data)
		r.Thread, r.Text = thread, lines("event", e.topic)
		r.Extra.Set("action", e.topic)
		records = append(records, r)
		return &records[len(records)-1]
	}
	for _, u := range a.users {
		t := guia.RecordKept
		if e.topic == "user_leave_org" {
			t = guia.PersonLeft
		}
		r := one(t, string(u), "user/"+string(u))
		r.Sender = source.Person{ID: string(u)}
		r.Extra.Set("person.key", string(u))
		if t == guia.PersonLeft && r.HasTime {
			r.Extra.Set("valid.until", r.Time.Time.In(serverTime).Format(time.DateOnly))
		}
	}
	for _, d := range a.depts {
		r := one(guia.RecordKept, "department/"+string(d), "department/"+string(d))
		r.Extra.Set("department.key", string(d))
	}
	if len(records) == 0 {
		return e.kept()
	}
	return records, nil
}

// sentKey is the key under which the readers of something are pulled.
func (e *event) sentKey(ctx context.Context, key, group text) string {
	kind := SentToPeople
	if group != "" {
		kind = SentToGroup
	}
	if e.box.opt.Sent != nil {
		if told, ok := e.box.opt.Sent(ctx, string(key)); ok {
			kind = told
		}
	}
	return "sent/" + string(kind) + "/" + string(key)
}

// readByOne is that somebody has read what the robot sent, and when. The reading is the fact that is also pulled; the pull has no time, and
// may have been first, so the time stands in a record of its own beside it.
func (e *event) readByOne(ctx context.Context) ([]source.Record, error) {
	var row struct {
		User  text `json:"userId"`
		Union text `json:"unionId"`
		At    text `json:"operatTime"`
		Key   text `json:"processQueryKey"`
		Group text `json:"openConversationId"`
	}
	if err := read(e.data, &row); err != nil {
		return nil, err
	}
	who := string(row.User)
	if who == "" && row.Union != "" {
		who = unionPrefix + string(row.Union)
	}
	if who == "" || row.Key == "" {
		return nil, errPush
	}
	key := e.sentKey(ctx, row.Key, row.Group)
	r := e.record(guia.MessageRead, key+"/read/"+who, e.data)
	r.Thread, r.Sender = key, source.Person{ID: who}
	e.inTime(&r, cmp.Or(row.At, e.born))
	r.Extra.Set("person.key", who)
	t := e.record(guia.RecordKept, key+"/read/"+who+"/at/"+string(row.At), e.data)
	t.Thread, t.Sender = key+"/read/"+who, r.Sender
	e.inTime(&t, cmp.Or(row.At, e.born))
	t.Text = lines("event", e.topic, "read", string(row.At))
	t.Extra.Set("action", e.topic)
	t.Extra.Set("person.key", who)
	return []source.Record{r, t}, nil
}

// recalled is that something the robot sent was taken back.
func (e *event) recalled(ctx context.Context) ([]source.Record, error) {
	var row struct {
		Key   text `json:"processQueryKey"`
		Group text `json:"openConversationId"`
		At    text `json:"operatTime"`
		User  text `json:"userId"`
	}
	if err := read(e.data, &row); err != nil {
		return nil, err
	}
	if row.Key == "" {
		return nil, errPush
	}
	r := e.record(guia.MessageDeleted, e.sentKey(ctx, row.Key, row.Group)+"/recalled", e.data)
	r.EditOf = e.sentKey(ctx, row.Key, row.Group)
	e.inTime(&r, cmp.Or(row.At, e.born))
	if row.User != "" {
		r.Sender = source.Person{ID: string(row.User)}
	}
	return []source.Record{r}, nil
}

// punchKey names a clocking in or out; attendance that is pulled names its result.
func punchKey(user, at text) string { return "punch/" + string(user) + "/" + string(at) }

// punches are clockings in and out, without where somebody stood and with which device.
func (e *event) punches() ([]source.Record, error) {
	rows, err := list(e.data, "dataList")
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || len(rows) > maxPushedRows {
		return nil, errPush
	}
	var records []source.Record
	for _, raw := range rows {
		var row struct {
			User     text `json:"userId"`
			At       text `json:"checkTime"`
			Method   text `json:"locationMethod"`
			Location text `json:"locationResult"`
			ID       text `json:"bizId"`
			By       text `json:"checkByUser"`
		}
		if err := read(raw, &row); err != nil {
			return nil, err
		}
		if row.User == "" || row.At == "" {
			return nil, errPush
		}
		r := e.record(guia.AttendanceChecked, punchKey(row.User, row.At), trimmed(raw, unkept(e.topic)))
		r.Sender = source.Person{ID: string(row.User)}
		e.inTime(&r, row.At)
		r.Text = lines("check", "punch", "place", string(row.Location), "method", string(row.Method), "by user", string(row.By), "number", string(row.ID))
		r.Extra.Set("person.key", string(row.User))
		r.Extra.Set("action", "punch")
		r.Extra.Set("status", string(row.Location))
		r.Extra.Set("platform", string(row.Method))
		records = append(records, r)
	}
	return records, nil
}

// announced is that an announcement was really published; what it says is pulled.
func (e *event) announced() ([]source.Record, error) {
	var row struct {
		ID       text `json:"blackboardId"`
		Union    text `json:"unionId"`
		Category text `json:"categoryName"`
	}
	if err := read(e.data, &row); err != nil {
		return nil, err
	}
	if row.ID == "" {
		return nil, errPush
	}
	key := "notice/" + string(row.ID)
	r := e.record(guia.RecordKept, key+"/sent", e.data)
	r.Thread, r.Text = key, lines("event", e.topic, "category", string(row.Category))
	if row.Union != "" {
		r.Sender = source.Person{ID: unionPrefix + string(row.Union)}
	}
	r.Extra.Set("action", e.topic)
	r.Extra.Set("item.key", string(row.ID))
	return []source.Record{r}, nil
}

// stored is that a file or folder was made, changed or deleted.
func (e *event) stored() ([]source.Record, error) {
	var row struct {
		Space     text `json:"spaceId"`
		Dentry    text `json:"dentryId"`
		Extension text `json:"extension"`
		Kind      text `json:"type"`
		Union     text `json:"unionId"`
	}
	if err := read(e.data, &row); err != nil {
		return nil, err
	}
	if row.Space == "" || row.Dentry == "" {
		return nil, errPush
	}
	t := guia.FileUploaded
	switch e.topic {
	case "storage_dentry_update":
		t = guia.FileChanged
	case "storage_dentry_delete":
		t = guia.FileDeleted
	}
	r := e.record(t, e.key(""), e.data)
	r.Thread = "file/" + string(row.Space) + "/" + string(row.Dentry)
	r.Text = lines("event", e.topic, "extension", string(row.Extension), "kind", string(row.Kind))
	if row.Union != "" {
		r.Sender = source.Person{ID: unionPrefix + string(row.Union)}
	}
	r.Extra.Set("action", e.topic)
	r.Extra.Set("item.key", string(row.Dentry))
	r.Extra.Set("item.parent", string(row.Space))
	if kind := strings.ToLower(string(row.Kind)); kind == "file" || kind == "folder" {
		r.Extra.Set("item.type", kind)
	}
	return []source.Record{r}, nil
}

// met is that something happened in a meeting.
func (e *event) met() ([]source.Record, error) {
	var row struct {
		Meeting struct {
			ID      text `json:"conferenceId"`
			Title   text `json:"title"`
			Status  text `json:"status"`
			Creator text `json:"creatorId"`
		} `json:"openConfModel"`
		ID    text `json:"conferenceId"`
		Scene text `json:"changeScene"`
		Nth   text `json:"statusSeqNum"`
	}
	if err := read(e.data, &row); err != nil {
		return nil, err
	}
	id := cmp.Or(row.Meeting.ID, row.ID)
	if id == "" {
		return e.kept()
	}
	key := e.key("")
	if row.Nth != "" && e.topic == "meeting_status_change" {
		key = "meeting/" + string(id) + "/status/" + string(row.Nth)
	}
	r := e.record(guia.RecordKept, key, e.data)
	r.Thread, r.Subject = "meeting/"+string(id), string(row.Meeting.Title)
	r.Text = lines("event", e.topic, "title", string(row.Meeting.Title), "status", string(row.Meeting.Status), "scene", string(row.Scene))
	if row.Meeting.Creator != "" {
		r.Sender = source.Person{ID: unionPrefix + string(row.Meeting.Creator)}
	}
	r.Extra.Set("action", e.topic)
	r.Extra.Set("item.key", string(id))
	r.Extra.Set("status", string(row.Meeting.Status))
	return []source.Record{r}, nil
}

// cutText shortens a text to at most so many bytes, between characters.
func cutText(s string, most int) (string, bool) {
	if len(s) <= most {
		return s, false
	}
	return strings.ToValidUTF8(s[:most], ""), true
}

// millis writes a moment as DingTalk does.
func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
