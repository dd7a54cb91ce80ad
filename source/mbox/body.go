package mbox

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"guia/extract"
	"guia/source"
)

const (
	maxDepth = 20      // of parts in parts
	maxParts = 500     // of a message
	maxText  = 4 << 20 // bytes of text; raw has the rest
	maxHTML  = 1 << 20 // bytes of HTML that are kept as such
)

// body collects what a message says and carries (RFC 2045, 2046).
type body struct {
	charset string // of the message, for parameters with 8-bit bytes
	html    string // the first page, as formatted
	files   []source.File
	parts   int
	clean   bool // everything could be decoded
	whole   bool // nothing was left out because of a limit
}

// chunk is a piece of text in the order of reading.
type chunk struct {
	text string
	html bool
}

// part reads a message or part whose header is h. What is not to be read as text becomes a file. kind is the media type of a part
// that names none.
func (b *body) part(h *header, raw []byte, kind string, depth int) []chunk {
	b.parts++
	contentType := h.get("content-type")
	params := map[string]string{}
	if len(bytes.TrimSpace(contentType)) > 0 {
		var ok bool
		kind, params, ok = mediaType(contentType, b.charset)
		b.clean = b.clean && ok
	}
	disposition, more, ok := mediaType(h.get("content-disposition"), b.charset)
	b.clean = b.clean && ok
	name := more["filename"]
	if name == "" {
		name = params["name"]
	}
	encoding := strings.ToLower(strings.TrimSpace(string(h.get("content-transfer-encoding"))))
	encoding, _, _ = strings.Cut(encoding, " ")

	if strings.HasPrefix(kind, "multipart/") && depth < maxDepth {
		if pieces := splitParts(raw, params["boundary"]); len(pieces) > 0 {
			return b.multipart(kind, pieces, depth)
		}
		kind = "text/plain" // no boundary, or one that does not occur: a person can still read it
	}
	if (kind == "text/plain" || kind == "text/html" || kind == "text" || kind == "") && disposition != "attachment" && (name == "" || depth == 0) {
		return b.text(kind, params["charset"], decodeTransfer(encoding, raw))
	}
	b.file(name, kind, encoding, raw)
	return nil
}

// multipart reads the parts; of alternatives the first that is plain text, else the last that says something (RFC 2046 section
// 5.1.4: the last is the richest). Files in any of them are kept.
func (b *body) multipart(kind string, pieces [][]byte, depth int) (chunks []chunk) {
	inner := "text/plain"
	if kind == "multipart/digest" {
		inner = "message/rfc822"
	}
	var best []chunk
	plain := false
	for _, piece := range pieces {
		if b.parts >= maxParts {
			b.whole = false
			break
		}
		h := readHeader(piece)
		said := b.part(&h, piece[h.body:], inner, depth+1)
		if kind != "multipart/alternative" {
			chunks = append(chunks, said...)
			continue
		}
		if isPlain := says(said, false); isPlain && !plain || !plain && says(said, true) {
			best, plain = said, isPlain
		}
	}
	return append(chunks, best...)
}

// says reports whether there is something to read, as HTML or as plain text.
func says(chunks []chunk, html bool) bool {
	for _, c := range chunks {
		if c.html == html && strings.TrimSpace(c.text) != "" {
			return true
		}
	}
	return false
}

// text decodes a part to read.
func (b *body) text(kind, set string, raw []byte) []chunk {
	if len(raw) > 4*maxText {
		raw, b.whole = raw[:4*maxText], false
	}
	if kind == "text/html" && set == "" && !utf8.Valid(raw) {
		if bytes.Contains(bytes.ToLower(raw[:min(len(raw), 1024)]), []byte("charset=")) { // the page names it itself
			_, set, _ = charset.DetermineEncoding(raw, "")
		}
	}
	text, ok := toUTF8(raw, set)
	b.clean = b.clean && ok
	if kind == "text/html" {
		if b.html == "" && len(text) <= maxHTML {
			b.html = text
		}
		return []chunk{{text, true}}
	}
	return []chunk{{text, false}}
}

// file keeps a part as a file, whose bytes are decoded when they are asked for.
func (b *body) file(name, kind, encoding string, raw []byte) {
	if !validType(kind) {
		kind = "application/octet-stream"
	}
	if name == "" {
		name = fmt.Sprintf("part-%d%s", len(b.files)+1, endings[kind])
	}
	if len(name) > 1000 {
		name = strings.ToValidUTF8(name[:1000], "")
	}
	b.files = append(b.files, source.File{Name: name, MediaType: kind, Size: -1, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(decodeTransfer(encoding, raw))), nil
	}})
}

// endings are for files without a name.
var endings = map[string]string{
	"message/rfc822": ".eml", "text/calendar": ".ics", "text/plain": ".txt", "text/html": ".html", "image/png": ".png",
	"image/jpeg": ".jpg", "image/gif": ".gif", "application/pdf": ".pdf", "application/ms-tnef": ".dat",
}

// validType accepts type/subtype in the characters of RFC 2045 section 5.1.
func validType(kind string) bool {
	major, minor, ok := strings.Cut(kind, "/")
	return ok && major != "" && minor != "" && len(kind) <= 200 && strings.IndexFunc(major+minor, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?=`, r)
	}) < 0
}

// take puts what was read into the record.
func (b *body) take(r *source.Record, chunks []chunk) {
	var text strings.Builder
	for _, c := range chunks {
		s := c.text
		if c.html {
			var whole bool
			s, whole = extract.HTML([]byte(s), maxText)
			b.whole = b.whole && whole
		}
		s = strings.Trim(lines(s), "\n")
		if strings.TrimSpace(s) == "" {
			continue
		}
		if text.Len() > 0 {
			text.WriteByte('\n')
		}
		if room := maxText - text.Len(); len(s) > room {
			s, b.whole = strings.ToValidUTF8(s[:max(room, 0)], ""), false
		}
		text.WriteString(s)
	}
	r.Text = text.String()
	if b.html != r.Text {
		r.HTML = b.html
	}
	r.Files = b.files
	if !b.clean {
		mark(r, source.MarkBadEncoding)
	}
	if !b.whole {
		mark(r, source.MarkOversize)
	}
}

// lines returns s with line feeds for all line ends and without other control characters than tabs.
func lines(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }) < 0 {
		return s
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// decodeTransfer undoes a Content-Transfer-Encoding; one that nobody knows changes nothing.
func decodeTransfer(encoding string, raw []byte) []byte {
	switch encoding {
	case "base64":
		return decodeBase64(raw)
	case "quoted-printable":
		return decodeQuotedPrintable(raw)
	}
	return raw
}

// splitParts cuts a multipart body at its boundary lines (RFC 2046 section 5.1.1), without the text before the first and after the
// last. Where the last is missing the part goes on to the end.
func splitParts(raw []byte, boundary string) (pieces [][]byte) {
	if boundary == "" {
		return nil
	}
	delimiter := []byte("--" + boundary)
	start, at := -1, 0
	for len(pieces) < maxParts {
		i := bytes.Index(raw[at:], delimiter)
		if i < 0 {
			break
		}
		i += at
		if i > 0 && raw[i-1] != '\n' {
			at = i + 1
			continue
		}
		line, _, _ := bytes.Cut(raw[i+len(delimiter):], []byte("\n"))
		next := min(i+len(delimiter)+len(line)+1, len(raw))
		ending := bytes.TrimRight(line, " \t\r")
		last := bytes.Equal(ending, []byte("--"))
		if len(ending) > 0 && !last { // the boundary of another multipart, which begins like this one
			at = i + 1
			continue
		}
		if start >= 0 {
			pieces = append(pieces, bytes.TrimSuffix(bytes.TrimSuffix(raw[start:max(start, i)], []byte("\n")), []byte("\r")))
		}
		start, at = next, next
		if last {
			return pieces
		}
	}
	if start >= 0 && start < len(raw) {
		pieces = append(pieces, raw[start:])
	}
	return pieces
}
