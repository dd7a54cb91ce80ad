// Package lang holds every sentence a user can read, in traditional Chinese (as written in Macau), Portuguese and English; simplified
// Chinese is derived from the traditional by conversion, with a list of words that are not only written with other characters.
//
// The model: a sentence has a key ("import.done") and, in each language, a text with numbered places: "{0} of {1}". A word that depends
// on a number stands in a place too: "{0} {0|record is|records are} new" (Unicode CLDR plural rules: English and Portuguese have one and
// other, Chinese has no such words). The texts stand in en/*.txt, pt/*.txt and zh-Hant/*.txt, one "key = sentence" a line; a test demands
// that all three know the same keys with the same places, and that every key in the code exists.
package lang

import (
	"embed"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Language is one of the four.
type Language uint8

// The languages.
const (
	English Language = iota
	Portuguese
	TraditionalChinese
	SimplifiedChinese
)

// String is the language's BCP 47 tag.
func (l Language) String() string { return [...]string{"en", "pt", "zh-Hant", "zh-Hans"}[l] }

// Parse understands BCP 47 tags and the names of locales (LANG): "pt", "pt_PT.UTF-8", "zh-Hant", "zh_MO", "zh-HK", "zh_CN", "en_US".
// "zh" alone is traditional: it is Macau's.
func Parse(s string) (Language, bool) {
	tag, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(s, "_", "-")), ".")
	parts := strings.Split(tag, "-")
	switch parts[0] {
	case "en", "c", "posix":
		return English, true
	case "pt":
		return Portuguese, true
	case "zh", "yue":
		for _, p := range parts[1:] {
			switch p {
			case "hant": // the script before the place: zh-Hant-CN
				return TraditionalChinese, true
			case "hans", "cn", "sg":
				return SimplifiedChinese, true
			}
		}
		return TraditionalChinese, true
	}
	return English, false
}

// FromEnvironment picks the first language that GUIA_LANG, LC_ALL, LC_MESSAGES or LANG name; English otherwise.
func FromEnvironment(getenv func(string) string) Language {
	for _, name := range []string{"GUIA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if l, ok := Parse(getenv(name)); ok {
			return l
		}
	}
	return English
}

//go:embed en/*.txt pt/*.txt zh-Hant/*.txt zh-Hans.txt
var files embed.FS

var catalogs = [...]func() map[string]string{
	English:            sync.OnceValue(func() map[string]string { return read("en") }),
	Portuguese:         sync.OnceValue(func() map[string]string { return read("pt") }),
	TraditionalChinese: sync.OnceValue(func() map[string]string { return read("zh-Hant") }),
}

func read(dir string) map[string]string {
	sentences := map[string]string{}
	names, err := fs.Glob(files, dir+"/*.txt")
	if err != nil {
		panic(err) // the pattern is constant
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // the file is embedded
		}
		for line := range strings.Lines(string(text)) {
			key, sentence, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " = ")
			if ok && !strings.HasPrefix(key, "#") {
				sentences[strings.TrimSpace(key)] = strings.ReplaceAll(sentence, `\n`, "\n")
			}
		}
	}
	return sentences
}

// Text returns the sentence with its places filled. A key that does not exist comes back as itself with its arguments, so that a
// defect is visible and nothing is lost; a test keeps that from happening.
func Text(l Language, key string, args ...any) string {
	from := l
	if l == SimplifiedChinese {
		from = TraditionalChinese
	}
	sentence, ok := catalogs[from]()[key]
	if !ok {
		if len(args) == 0 {
			return key
		}
		return fmt.Sprintf("%s %v", key, args)
	}
	if l == SimplifiedChinese { // before the places are filled: what users wrote stays as they wrote it
		sentence = Simplify(mainland().Replace(sentence))
	}
	return fill(l, sentence, args)
}

// mainland replaces the words of zh-Hans.txt.
var mainland = sync.OnceValue(func() *strings.Replacer {
	text, err := files.ReadFile("zh-Hans.txt")
	if err != nil {
		panic(err) // the file is embedded
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		if from, to, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " = "); ok && !strings.HasPrefix(line, "#") {
			words = append(words, from, to)
		}
	}
	return strings.NewReplacer(words...)
})

// Has reports whether the key exists.
func Has(key string) bool { _, ok := catalogs[English]()[key]; return ok }

// Keys returns every key that any language knows, sorted.
func Keys() []string {
	all := map[string]bool{}
	for _, c := range catalogs {
		for key := range c() {
			all[key] = true
		}
	}
	keys := make([]string, 0, len(all))
	for key := range all {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// fill replaces the places: {0} by the first argument, {0|record|records} by the word for as many as it says.
func fill(l Language, sentence string, args []any) string {
	if len(args) == 0 {
		return sentence
	}
	var b strings.Builder
	for {
		begin := strings.IndexByte(sentence, '{')
		if begin < 0 {
			break
		}
		b.WriteString(sentence[:begin])
		sentence = sentence[begin:]
		inside, rest, closed := strings.Cut(sentence[1:], "}")
		n, one, other, ok := parsePlace(inside)
		switch {
		case !closed || !ok || n >= len(args): // a brace of the sentence itself
			b.WriteByte('{')
			rest = sentence[1:]
		case one == "" && other == "":
			if size, ok := args[n].(Bytes); ok {
				b.WriteString(size.In(l))
				break
			}
			fmt.Fprint(&b, args[n])
		case fmt.Sprint(args[n]) == "1":
			b.WriteString(one)
		default:
			b.WriteString(other)
		}
		sentence = rest
	}
	return b.String() + sentence
}

// parsePlace reads what stands between the braces of a place: its number, and the words for one and for any other number.
func parsePlace(inside string) (n int, one, other string, ok bool) {
	parts := strings.Split(inside, "|")
	n, err := strconv.Atoi(parts[0])
	if err != nil || n < 0 || len(parts) != 1 && len(parts) != 3 {
		return 0, "", "", false
	}
	if len(parts) == 3 {
		one, other = parts[1], parts[2]
	}
	return n, one, other, true
}
