package slack

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// block is any block, element or text object of Block Kit (docs.slack.dev, "Reference: Block Kit"). Text is a string in rich text
// and an object elsewhere, elements and fields are blocks again.
type block struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	URL      string          `json:"url"`
	UserID   string          `json:"user_id"`
	Channel  string          `json:"channel_id"`
	Group    string          `json:"usergroup_id"`
	Name     string          `json:"name"`
	Range    string          `json:"range"`
	Fallback string          `json:"fallback"`
	AltText  string          `json:"alt_text"`
	Title    json.RawMessage `json:"title"`
	Style    json.RawMessage `json:"style"` // of a list: bullet or ordered
	Elements []block         `json:"elements"`
	Fields   []block         `json:"fields"`
	Rows     [][]block       `json:"rows"`
	Element  *block          `json:"accessory"`
}

// attachment is what an app adds below its message, or a message that was passed on; previews of links are attachments too.
type attachment struct {
	Fallback  string `json:"fallback"`
	Pretext   string `json:"pretext"`
	Author    string `json:"author_name"`
	Title     string `json:"title"`
	TitleLink string `json:"title_link"`
	Text      string `json:"text"`
	Footer    string `json:"footer"`
	FromURL   string `json:"from_url"`
	Share     bool   `json:"is_share"`
	Fields    []struct {
		Title string          `json:"title"`
		Value json.RawMessage `json:"value"`
	} `json:"fields"`
	Blocks []block `json:"blocks"`
}

const (
	maxText        = 1 << 20 // bytes of text made from blocks; raw has the rest
	maxDepth       = 16      // of blocks in blocks
	maxAttachments = 100     // of a message; Slack's own limit
	maxFields      = 1000    // of an attachment
)

// text is what the message says: its text, else its blocks; and its attachments, unless they are previews that Slack made. Whole is
// false when something was left out because of a limit.
func (d *directory) text(m *message) (said string, whole bool) {
	said, whole = d.unescape(m.Text), true
	if strings.TrimSpace(said) == "" {
		var b strings.Builder
		var blocks []block
		decode(m.Blocks, &blocks) // what is no block says nothing; raw has it
		d.blocks(&b, blocks, 0)
		said = strings.TrimSpace(b.String())
		whole = b.Len() <= maxText
	}
	empty := said == ""
	for i, a := range m.Attachments {
		if i == maxAttachments || len(a.Fields) > maxFields {
			return said, false
		}
		if preview := a.FromURL != "" && !a.Share; preview && !empty {
			continue
		}
		more := d.attachment(&a)
		if more != "" && !strings.Contains(said, more) {
			said = strings.TrimLeft(said+"\n"+more, "\n")
		}
	}
	return said, whole
}

func (d *directory) attachment(a *attachment) string {
	var lines []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(lines, s) {
			lines = append(lines, s)
		}
	}
	add(d.unescape(a.Pretext))
	add(d.unescape(a.Author))
	add(link(a.TitleLink, d.unescape(a.Title)))
	add(d.unescape(a.Text))
	for _, f := range a.Fields {
		value := strings.Trim(string(f.Value), "\"")
		if s, ok := str(f.Value); ok {
			value = s
		}
		add(strings.TrimPrefix(d.unescape(f.Title)+": "+d.unescape(value), ": "))
	}
	var b strings.Builder
	d.blocks(&b, a.Blocks, 0)
	add(b.String())
	if len(lines) == 0 {
		add(d.unescape(a.Fallback))
	}
	add(d.unescape(a.Footer))
	return strings.Join(lines, "\n")
}

// blocks writes what blocks say, each on lines of its own.
func (d *directory) blocks(b *strings.Builder, blocks []block, depth int) {
	for i := range blocks {
		if depth > maxDepth || b.Len() > maxText {
			return
		}
		bl := &blocks[i]
		switch bl.Type {
		case "rich_text", "context", "actions":
			d.blocks(b, bl.Elements, depth+1)
		case "rich_text_section", "rich_text_preformatted":
			d.line(b, "", bl.Elements)
		case "rich_text_quote":
			d.line(b, "> ", bl.Elements)
		case "rich_text_list":
			style, _ := str(bl.Style)
			for n := range bl.Elements {
				mark := "- "
				if style == "ordered" {
					mark = strconv.Itoa(n+1) + ". "
				}
				d.line(b, mark, bl.Elements[n].Elements)
			}
		case "plain_text":
			plain, _ := str(bl.Text)
			d.put(b, plain)
		case "table":
			for _, row := range bl.Rows {
				d.blocks(b, row, depth+1)
			}
		default:
			if title := d.object(bl.Title); title != "" {
				d.put(b, title)
			}
			d.put(b, first(d.object(bl.Text), bl.AltText))
			d.blocks(b, bl.Fields, depth+1)
			d.blocks(b, bl.Elements, depth+1)
		}
	}
}

func (d *directory) put(b *strings.Builder, s string) {
	if s != "" {
		b.WriteString(s)
		b.WriteByte('\n')
	}
}

// line writes the inline elements of rich text after a mark.
func (d *directory) line(b *strings.Builder, mark string, elements []block) {
	b.WriteString(mark)
	for _, e := range elements {
		text, _ := str(e.Text)
		switch e.Type {
		case "link":
			text = link(e.URL, text)
		case "user":
			text = d.mention(e.UserID)
		case "channel":
			text = "#" + first(d.channels[e.Channel], e.Channel)
		case "usergroup":
			text = "@" + e.Group
		case "broadcast":
			text = "@" + e.Range
		case "emoji":
			text = ":" + e.Name + ":"
		case "date":
			text = e.Fallback
		}
		b.WriteString(text)
		if b.Len() > maxText {
			break
		}
	}
	b.WriteByte('\n')
}

// object reads a text object of Block Kit, or a plain string.
func (d *directory) object(raw json.RawMessage) string {
	if s, ok := str(raw); ok {
		return d.unescape(s)
	}
	var o struct{ Type, Text string }
	if len(raw) == 0 || !decode(raw, &o) {
		return ""
	}
	if o.Type == "plain_text" {
		return o.Text
	}
	return d.unescape(o.Text)
}

func str(raw json.RawMessage) (s string, ok bool) {
	ok = len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil
	return s, ok
}

// unescape turns Slack's mrkdwn references and its three escapes into text (docs.slack.dev, "Formatting message text"). Emphasis
// stays as it was typed.
func (d *directory) unescape(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	var b strings.Builder
	for {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			break
		}
		end := strings.IndexAny(s[open+1:], "<>")
		if end < 0 {
			break
		}
		b.WriteString(entities.Replace(s[:open]))
		inside := s[open+1 : open+1+end]
		if s[open+1+end] == '<' { // no reference after all
			b.WriteString(entities.Replace("<" + inside))
			s = s[open+1+end:]
			continue
		}
		b.WriteString(d.reference(inside))
		s = s[open+end+2:]
	}
	b.WriteString(entities.Replace(s))
	return b.String()
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// reference reads what stands between angle brackets.
func (d *directory) reference(s string) string {
	if s == "" {
		return "<>"
	}
	target, label, labelled := strings.Cut(s, "|")
	label = entities.Replace(label)
	switch target[:min(1, len(target))] {
	case "@":
		if labelled && label != "" {
			return "@" + strings.TrimPrefix(label, "@")
		}
		return d.mention(target[1:])
	case "#":
		return "#" + first(strings.TrimPrefix(label, "#"), d.channels[target[1:]], target[1:])
	case "!":
		if label != "" { // a date's fallback, or a group's name
			return label
		}
		word, _, _ := strings.Cut(target[1:], "^")
		if word == "subteam" {
			word = strings.TrimPrefix(target[1:], "subteam^")
		}
		return "@" + word
	}
	return link(entities.Replace(target), label)
}

func (d *directory) mention(id string) string {
	return "@" + first(d.people[id].Name, id)
}

// link is a label with its address, or the address alone when the label says no more.
func link(address, label string) string {
	plain := strings.TrimPrefix(strings.TrimPrefix(address, "mailto:"), "tel:")
	switch {
	case label == "" || label == address:
		return address
	case address == "":
		return label
	case label == plain || label == strings.TrimPrefix(strings.TrimPrefix(plain, "https://"), "http://"):
		if plain != address {
			return plain
		}
		return address
	}
	return label + " (" + address + ")"
}
