package intake

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"guia"
	"guia/lang"
)

// The records of one message are found by what it says, and by the minute in which it was said. Somebody may say the same twice in a
// minute, so the records of one text have places: the first that an instance of a source tells belongs to the first that another one
// told, the second to the second. At each place there is a row of the record that told it first, and one of each record that is linked
// to it. Of the same text by two people each has a place of its own.
//
// A mail that no time or too short a text tells of is found by its Message-ID, where it says the same under it: careless programs give
// one to several mails.

const (
	// likeLength is the least number of characters of a text that is recognised without its sender.
	likeLength = 24
	// mostAlike is how many records of one instance that say the same in one minute are linked.
	mostAlike = 4
)

// instance tells the instances of sources apart.
func (d *Desk) instance(feed Feed) digest {
	sum := d.vault.MAC("seen:instance", string(feed.Source), feed.Instance)
	return digest(sum[:8])
}

// like is by what the first record that says what the item says is recognised; zero when it says too little.
func (d *Desk) like(it *item) mac {
	text, sender := collapse(it.text), ""
	if len(text) < 4*likeLength && utf8.RuneCountInString(text) < likeLength {
		if sender = strings.ToLower(it.content.Fields.Get("sender.name")); sender == "" {
			return mac{} // "ok" from nobody is not the same as "ok" from nobody
		}
	}
	return prefixed(uint32(it.minute), d.vault.MAC("seen:like", strconv.FormatInt(it.minute, 10), text, sender))
}

// likeMail is by what a mail is recognised that [Desk.like] cannot tell; zero for one without a Message-ID, and for what is no mail.
func (d *Desk) likeMail(it *item) mac {
	c := it.content
	id := messageID(c.Fields.Get("source_key"))
	if c.Header.Type != guia.MailSent || id == "" {
		return mac{}
	}
	return prefixed(0, d.vault.MAC("seen:mail", id, c.Fields.Get("subject"), collapse(it.text), c.Fields.Get("text.html"), attached(c)))
}

// messageID is the Message-ID in the key of a mail, empty when there is none. A source that finds several mails under one adds "/" and a
// digest of 16 digits to it.
func messageID(key string) string {
	if at := len(key) - 17; at > 0 && key[at] == '/' {
		if _, err := hex.DecodeString(key[at+1:]); err == nil {
			key = key[:at]
		}
	}
	if !strings.Contains(key, "@") {
		return ""
	}
	return strings.Trim(key, "<>")
}

// placeOf is the row of the n-th place of what says the same.
func (d *Desk) placeOf(like mac, n int) mac {
	if n == 0 {
		return like
	}
	return prefixed(binary.BigEndian.Uint32(like[:4]), d.vault.MAC("seen:place", string(like[:]), strconv.Itoa(n)))
}

// linkOf is by what the record is recognised that an instance told of a message which another one had told at this place. It stands
// beside the row of the first, and says whose it is: when the first is forgotten, this one takes its place.
func linkOf(first mac, instance digest) (m mac) {
	copy(m[:linkShared], first[:linkShared])
	copy(m[linkShared:], instance[:])
	return m
}

const linkShared = len(mac{}) - len(digest{})

// linkSeal is the content of the row of a linked record.
func (d *Desk) linkSeal(link mac, seq guia.Seq) []byte {
	sum := d.vault.MAC("seen:link", string(link[:]), strconv.FormatUint(uint64(seq), 10))
	return sum[:8]
}

// linksTo returns the rows of the records that are linked to the one of this row.
func (d *Desk) linksTo(ctx context.Context, first mac) (map[mac]seen, error) {
	low, high := linkOf(first, digest{}), linkOf(first, digest{255, 255, 255, 255, 255, 255, 255, 255})
	rows, err := d.ledger.Database().Query(ctx, "SELECT mac, seq, content FROM intake_seen WHERE mac BETWEEN ? AND ?", low[:], high[:])
	if err != nil {
		return nil, err
	}
	found := map[mac]seen{}
	if err := scanSeen(rows, found); err != nil {
		return nil, err
	}
	delete(found, first)
	return found, nil
}

// places are the rows that tell whether the places behind the first are taken.
func (d *Desk) places(like mac, instance digest) []mac {
	macs := make([]mac, 0, 2*mostAlike)
	for n := 1; n < mostAlike; n++ {
		place := d.placeOf(like, n)
		macs = append(macs, place, linkOf(place, instance))
	}
	return macs
}

// link finds the item's place among the records that say the same, and names the first record of its message when another instance has
// told it. known is completed by what this page tells.
func (d *Desk) link(ctx context.Context, it *item, instance digest, known map[mac]seen) (linked bool, err error) {
	if it.like == (mac{}) {
		return false, nil
	}
	like := it.like
	for n := range mostAlike {
		if n == 1 && !it.placed && known[like].seq != 0 { // it was stored before this page
			places, err := d.lookUp(ctx, d.places(like, instance))
			if err != nil {
				return false, err
			}
			for place, row := range places {
				if _, taken := known[place]; !taken {
					known[place] = row
				}
			}
		}
		it.like = d.placeOf(like, n)
		own := linkOf(it.like, instance)
		row, told := known[it.like]
		_, mine := known[own]
		switch {
		case !told:
			known[it.like] = seen{content: instance[:]}
			return false, nil
		case mine || string(row.content) == string(instance[:]):
			continue
		}
		e, err := d.ledger.Event(ctx, row.seq)
		if err != nil {
			return false, err
		}
		if mayCopy(it.content.Fields, e.Fields) && sameSender(e.Fields, it.content.Fields, e.Source == it.content.Header.Source) {
			first := e.Fields.Get("same_as") // of the one whose place it took
			if first == "" {
				first = e.Record.String()
			}
			it.content.Fields.Set("same_as", first)
			it.like, it.linked = own, true
			known[own] = seen{}
			return true, nil
		}
	}
	it.like = mac{}
	return false, nil
}

// linkEdit names, when the item is an edit of a message that another source has told and has told edited to the same, the first record of that
// edit. first is where the message of the item was stored. It looks at what the other source told last: earlier edits stay apart.
func (d *Desk) linkEdit(ctx context.Context, it *item, first guia.Seq) (linked bool, err error) {
	if it.content.Header.Type != guia.MessageEdited || first == 0 { // 0: it came in this page
		return false, nil
	}
	e, err := d.ledger.Event(ctx, first)
	if err != nil {
		return false, err
	}
	copies, err := d.copies(ctx, &e)
	if err != nil {
		return false, err
	}
	for _, one := range copies {
		latest, err := d.Latest(ctx, &one)
		if err != nil {
			return false, err
		}
		if latest == one.Seq {
			continue
		}
		edited, err := d.ledger.Event(ctx, latest)
		if err != nil {
			return false, err
		}
		same := edited.Type == guia.MessageEdited && collapse(edited.Text()) == collapse(it.text) && edited.Fields.Get("subject") == it.content.Fields.Get("subject")
		if same && len(edited.Withheld) == 0 && mayCopy(it.content.Fields, edited.Fields) {
			it.content.Fields.Set("same_as", message(&edited))
			return true, nil
		}
	}
	return false, nil
}

// copies returns the other records of the message of an event, in the order of the ledger.
func (d *Desk) copies(ctx context.Context, e *guia.Event) (others []guia.Event, err error) {
	t := d.tell(e)
	if t.item == nil {
		return nil, nil
	}
	var seqs []guia.Seq
	for n := range mostAlike {
		place := d.placeOf(t.item.like, n)
		rows, err := d.lookUp(ctx, []mac{place})
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		links, err := d.linksTo(ctx, place)
		if err != nil {
			return nil, err
		}
		maps.Copy(rows, links)
		for _, row := range rows {
			seqs = append(seqs, row.seq)
		}
	}
	slices.Sort(seqs)
	for _, seq := range seqs {
		if seq == e.Seq {
			continue
		}
		other, err := d.ledger.Event(ctx, seq)
		if err != nil {
			return nil, err
		}
		if message(&other) == message(e) {
			others = append(others, other)
		}
	}
	return others, nil
}

// message is the record that told the message of an event first.
func message(e *guia.Event) string {
	if first := e.Fields.Get("same_as"); first != "" {
		return first
	}
	return e.Record.String()
}

// collapse makes every run of white space one blank, so that sources that wrap lines differently tell the same text.
func collapse(s string) string {
	if !strings.ContainsAny(s, "\t\n\r") && !strings.Contains(s, "  ") {
		return strings.Trim(s, " ") // most texts
	}
	var b strings.Builder
	b.Grow(len(s))
	space := true
	for i := range len(s) {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\r':
			if !space {
				b.WriteByte(' ')
			}
			space = true
		default:
			b.WriteByte(c)
			space = false
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// mayCopy reports whether a record may be linked to the first of its message. The first stands for the message wherever messages are
// counted: what could have been edited before it was handed in never stands for what could not, nor does one entity's record for
// another's.
func mayCopy(f, first guia.Fields) bool {
	return f.Get("entity") == first.Get("entity") && f.Get("grade") >= first.Get("grade") // A is the best
}

// sameSender reports whether two records may mean the same person: one of them names nobody, or they name the same address, the same
// key, or the same whole name. Whoever has another address is another person, also at the same domain; so is whoever has another key at
// the same system, for there are namesakes. Two people who say the same in the same minute are two people.
func sameSender(a, b guia.Fields, oneSource bool) bool {
	who := func(f guia.Fields) (name, address, key string) {
		name, key = f.Get("sender.name"), f.Get("sender.key")
		if key == name || strings.HasSuffix(key, "/"+name) { // made from the name: it tells nobody from a namesake
			key = ""
		}
		return wholeName(name), lang.Fold(f.Get("sender.address")), key
	}
	name, address, key := who(a)
	otherName, otherAddress, otherKey := who(b)
	switch {
	case address != "" && otherAddress != "":
		return address == otherAddress
	case key != "" && otherKey != "" && (key == otherKey || oneSource && systemOf(key) == systemOf(otherKey)):
		return key == otherKey
	case name+address+key == "" || otherName+otherAddress+otherKey == "":
		return true
	}
	return name != "" && name == otherName
}

// systemOf is the name that source.name of a mapping put in front of a key: number 1 of two tables is not one person.
func systemOf(key string) string {
	system, _, named := strings.Cut(key, "/")
	if !named {
		return ""
	}
	return system
}

// wholeName is a name as it is compared: its words, in whatever order. An address that stands for a name is one.
func wholeName(name string) string {
	name = lang.Fold(name)
	if strings.Contains(name, "@") {
		return name
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	slices.Sort(words)
	return strings.Join(words, " ")
}
