package dingtalktest

import "time"

// Person is somebody who works at the company now, as the company itself knows them and not as an answer shows them.
type Person struct {
	UserID, UnionID, Name, Mobile, Email string
	Department                           int64
}

// Person is the one of a user id; the zero Person when nobody of that id works here.
func (t *Tenant) Person(userID string) Person {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.company.here(userID).fact()
}

// People are all who work here now, in the order in which they came.
func (t *Tenant) People() []Person {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Person
	for _, i := range t.company.present() {
		all = append(all, t.company.person(i).fact())
	}
	return all
}

func (p *person) fact() Person {
	if p == nil {
		return Person{}
	}
	return Person{p.id, p.union, p.name, p.mobile, p.email, p.dept}
}

// Document is a file or folder of the company that is not deleted.
type Document struct {
	Space, ID, UUID, Name string
	Folder                bool
	Region                string // where its bytes lie
	Bytes                 []byte // of its newest version
}

// Documents are all files and folders, space by space.
func (t *Tenant) Documents() []Document {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Document
	for _, s := range t.files.order {
		for _, f := range s.files {
			if !f.deleted.IsZero() {
				continue
			}
			d := Document{s.id, f.id, f.uuid, f.name, f.folder, s.region, nil}
			if !f.folder {
				d.Bytes = f.bytes(f.version)
			}
			all = append(all, d)
		}
	}
	return all
}

// Meeting is a conference that has begun; Members and Host are union ids, outsiders not among them.
type Meeting struct {
	ID, Title, Host string
	From, Until     time.Time
	Members         []string
	Outsider        bool   // somebody of another company took part
	Region          string // where the recording lies; empty when none was made
}

// Meetings are all conferences so far, in the order in which they were planned.
func (t *Tenant) Meetings() []Meeting {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Meeting
	for _, k := range t.conferences {
		if k.from.After(t.clock.Now()) {
			continue
		}
		m := Meeting{ID: k.id, Title: k.title, Host: k.host.union, From: k.from, Until: k.until, Outsider: k.outsider, Region: k.region}
		for _, i := range k.members {
			m.Members = append(m.Members, t.company.person(i).union)
		}
		all = append(all, m)
	}
	return all
}

// Heard is a message that somebody addressed to the robot.
type Heard struct {
	ID, UserID, Conversation string // the conversation is empty for one to one
	Text, DownloadCode       string // one of both
	At                       time.Time
}

// Received are all messages to the robot so far, in the order in which they were written.
func (t *Tenant) Received() []Heard {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Heard
	for _, m := range t.received {
		h := Heard{ID: m.id, UserID: m.from.id, Text: m.text, DownloadCode: m.code, At: m.at}
		if m.group != nil {
			h.Conversation = m.group.id
		}
		all = append(all, h)
	}
	return all
}
