package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// directory is what messages need to know about people and conversations.
type directory struct {
	people   map[string]source.Person // by identifier; at most maxPeople
	channels map[string]string        // name by identifier
	folders  map[string]conversation  // by the name of their folder
}

// conversation is one line of channels.json, groups.json, dms.json or mpims.json.
type conversation struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []string `json:"members"`
	Topic   struct {
		Value string `json:"value"`
	} `json:"topic"`
	Purpose struct {
		Value string `json:"value"`
	} `json:"purpose"`

	kind string
}

// user is one line of users.json.
type user struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	RealName string `json:"real_name"`
	Deleted  bool   `json:"deleted"`
	IsBot    bool   `json:"is_bot"`
	Updated  stamp  `json:"updated"`
	Profile  struct {
		RealName    string `json:"real_name"`
		DisplayName string `json:"display_name"`
		Email       string `json:"email"`
		Phone       string `json:"phone"`
		Title       string `json:"title"`
	} `json:"profile"`
}

// kinds are the stream kinds of the four lists.
var kinds = map[role]string{roleChannels: "channel", roleGroups: "group", roleDirects: "direct", roleMultis: "group"}

// readDirectory reads the lists at the top of an export. What is damaged in them is left out here; it becomes a gap when its part
// is pulled.
func readDirectory(ctx context.Context, f *files, parts []part) (*directory, error) {
	d := &directory{people: map[string]source.Person{}, channels: map[string]string{}, folders: map[string]conversation{}}
	for _, p := range parts {
		if p.role > roleMultis {
			break
		}
		items, closer := f.items(p.Entry)
		for n := 0; ; n++ {
			it, ok := items.next()
			if !ok {
				break
			}
			if n%256 == 0 && ctx.Err() != nil {
				break
			}
			if p.role == roleUsers {
				d.addUser(it)
			} else {
				d.addConversation(it, kinds[p.role])
			}
		}
		if closer != nil {
			_ = closer() // nothing was written
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *directory) addUser(it item) {
	var u user
	if it.gap == "" && decode(it.raw, &u) && u.ID != "" && len(u.ID) <= maxID && len(d.people) < maxPeople {
		p := u.person()
		d.people[p.ID] = source.Person{ID: p.ID, Name: p.Name, Address: p.Address}
	}
}

func (d *directory) addConversation(it item, kind string) {
	var c conversation
	if it.gap != "" || !decode(it.raw, &c) || c.ID == "" || len(c.ID) > maxID {
		return
	}
	c.kind, c.Members = kind, nil
	if c.Name != "" {
		d.channels[c.ID] = c.Name
		if _, taken := d.folders[c.Name]; !taken {
			d.folders[c.Name] = c
		}
	}
	if _, taken := d.folders[c.ID]; !taken {
		d.folders[c.ID] = c
	}
}

// in returns the conversation whose messages lie in a folder. A folder in no list is its own identifier.
func (d *directory) in(folder string) (c conversation, listed bool) {
	c, listed = d.folders[folder]
	if !listed {
		if folder = strings.ToValidUTF8(folder, "\uFFFD"); len(folder) > maxID {
			folder = shortDigest([]byte(folder))
		}
		c = conversation{ID: folder, Name: folder, kind: "channel"}
	}
	return c, listed
}

// person is the user as a sender: the full name, else the one shown, else the handle.
func (u *user) person() source.Person {
	return source.Person{
		ID:      u.ID,
		Name:    first(u.RealName, u.Profile.RealName, u.Profile.DisplayName, u.Name),
		Address: u.Profile.Email,
		Phone:   u.Profile.Phone,
		Title:   u.Profile.Title,
	}
}

// first returns the first string that is not empty.
func first(strings ...string) string {
	for _, s := range strings {
		if s != "" {
			return s
		}
	}
	return ""
}

// readUser reads one line of users.json, nil when it is not one. A name that is shown instead of the full one is a record of its own.
func readUser(raw []byte) []source.Record {
	var u user
	if !decode(raw, &u) || u.ID == "" || len(u.ID) > maxID {
		return nil
	}
	r := source.Record{
		Key: "user/" + u.ID + "/" + shortDigest(raw), Type: guia.PersonSeen, Sender: u.person(), Raw: raw, RawType: "application/json",
	}
	u.Updated.into(&r)
	day := ""
	if r.HasTime {
		day = r.Time.Time.In(guia.Zone).Format(time.DateOnly)
	}
	switch {
	case u.IsBot || u.ID == "USLACKBOT":
		r.Type, r.Subject = guia.RecordKept, "bot_user"
		if !r.HasTime {
			r.Marks = append(r.Marks, source.MarkNoTime)
		}
	case u.Deleted:
		r.Type = guia.PersonLeft
		r.Extra.Set("person.key", u.ID)
		r.Extra.Set("valid.until", day)
	default:
		r.Extra.Set("person.key", u.ID)
		r.Extra.Set("valid.from", day)
	}
	markEncoding(&r)
	shown := u.Profile.DisplayName
	if r.Type == guia.RecordKept || shown == "" || shown == r.Sender.Name {
		return []source.Record{r}
	}
	also := source.Record{
		Key: r.Key + "/display_name", Type: guia.PersonSeen, Subject: guia.AlsoKnownAs, Sender: source.Person{ID: u.ID, Name: shown},
		Raw: raw, RawType: r.RawType,
	}
	u.Updated.into(&also)
	also.Extra.Set("person.key", u.ID)
	markEncoding(&also)
	return []source.Record{r, also}
}

// readConversation reads one line of the lists of conversations, nil when it is not one.
func readConversation(raw []byte, kind string) []source.Record {
	var c conversation
	if !decode(raw, &c) || c.ID == "" || len(c.ID) > maxID {
		return nil
	}
	r := source.Record{
		Key: "conversation/" + c.ID + "/" + shortDigest(raw), Type: guia.ChannelSeen, Stream: c.ID, StreamName: c.Name, StreamKind: kind,
		Subject: c.Topic.Value, Text: c.Purpose.Value, Members: c.Members, Raw: raw, RawType: "application/json",
	}
	if len(r.Members) > maxMembers {
		r.Members = r.Members[:maxMembers]
		r.Marks = append(r.Marks, source.MarkOversize)
	}
	markEncoding(&r)
	return []source.Record{r}
}

// shortDigest tells versions of a directory entry apart.
func shortDigest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}

// maxMembers is how many members of a conversation become fields of its record, which has [guia.MaxFields] at most; raw has all.
const maxMembers = 1000

// maxID is the longest identifier that is taken over; Slack's have about eleven characters.
const maxID = 200

// decode reads a JSON value, tolerating values of an unexpected type, which are left empty; false when it is no JSON.
func decode(raw []byte, into any) bool {
	err := json.Unmarshal(raw, into)
	_, odd := errors.AsType[*json.UnmarshalTypeError](err)
	return err == nil || odd
}
