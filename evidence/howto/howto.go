// Package howto writes HOW-TO-VERIFY.txt, the recipe by which a stranger checks a bundle without any program of ours.
//
// The model: the recipe is one POSIX shell script that needs nothing but openssl and sha256sum. It stands in the text three
// times, in Chinese, Portuguese and English, each time with the same commands and with comments in the section's language, so that
// an expert can follow every step and say what it proves. It shares no code with package verify: it is the second opinion.
//
// Guaranteed, and tested by running the commands as they are extracted from the text: a bundle that package verify proves, the
// recipe proves, and a changed value, salt, proof, checkpoint or attachment it names.
//
// Not guaranteed: the recipe does not read the container (unpacking comes first, with any program), demands fewer spellings than
// package verify, and does not compare sizes of attachments, streams and the lists on the cover.
package howto

import (
	"bytes"
	_ "embed"
	"strings"
	"unicode/utf8"

	"guia/lang"
)

//go:embed check.sh
var commands string

// The lines between which the commands of a section stand.
const (
	Begin = "-----8<----- begin"
	End   = "-----8<----- end"
)

// width is the length of a line of text; a Chinese character takes two places.
const width = 92

// languages are those of the text, in its order.
var languages = []lang.Language{lang.TraditionalChinese, lang.Portuguese, lang.English}

// Text returns the content of HOW-TO-VERIFY.txt, which begins with the line where each language begins. It is the same for every bundle
// of a release.
func Text() []byte {
	var where, parts bytes.Buffer
	before := len(languages) + 2 // the lines that say where, and an empty one; lines count from 1
	for i, l := range languages {
		if i > 0 {
			parts.WriteString("\n\n")
		}
		line := before + bytes.Count(parts.Bytes(), []byte("\n"))
		where.WriteString(lang.Text(l, "howto.where", line, lang.Text(l, "howto.title")) + "\n")
		part(&parts, l)
	}
	where.WriteByte('\n')
	return append(where.Bytes(), parts.Bytes()...)
}

// part writes the text in one language.
func part(b *bytes.Buffer, l lang.Language) {
	title := lang.Text(l, "howto.title")
	b.WriteString(title + "\n" + strings.Repeat("=", places(title)) + "\n")
	for _, key := range []string{"howto.what", "howto.need", "howto.steps", "howto.answer", "howto.time", "howto.proves", "howto.not"} {
		b.WriteByte('\n')
		for paragraph := range strings.SplitSeq(lang.Text(l, key), "\n") {
			wrap(b, "", paragraph)
		}
	}
	b.WriteString("\n" + Begin + "\n")
	for line := range strings.Lines(commands) {
		if step, ok := strings.CutPrefix(line, "#: "); ok {
			wrap(b, "# ", lang.Text(l, "howto.step."+strings.TrimSpace(step)))
		} else {
			b.WriteString(line)
		}
	}
	b.WriteString(End + "\n")
}

// places is how wide a text is on the screen.
func places(s string) (n int) {
	for _, r := range s {
		n++
		if r >= 0x2e80 {
			n++
		}
	}
	return n
}

// wrap writes a paragraph in lines that begin with prefix. A line may end at a space or after a Chinese character, but closing
// punctuation does not begin one. A paragraph that begins with spaces keeps them and is not broken: it is a command.
func wrap(b *bytes.Buffer, prefix, s string) {
	if strings.HasPrefix(s, "  ") {
		b.WriteString(prefix + s + "\n")
		return
	}
	line, length := "", 0
	flush := func() {
		b.WriteString(strings.TrimRight(prefix+line, " ") + "\n")
		line, length = "", 0
	}
	for s != "" {
		word := nextWord(s)
		s = s[len(word):]
		if length > 0 && length+places(strings.TrimRight(word, " ")) > width-len(prefix) {
			flush()
		}
		line += word
		length += places(word)
	}
	flush()
}

// nextWord returns the first piece that must not be broken: a word with its space, or a Chinese character with what clings to it.
func nextWord(s string) string {
	r, end := utf8.DecodeRuneInString(s)
	wide := r >= 0x2e80
	for end < len(s) {
		next, size := utf8.DecodeRuneInString(s[end:])
		switch {
		case strings.ContainsRune("，。、：；）」？！", next):
		case wide, next >= 0x2e80, s[end-1] == ' ':
			return s[:end]
		}
		end += size
	}
	return s
}
