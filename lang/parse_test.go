package lang

import (
	"strings"
	"testing"
)

func TestLanguagesAreUnderstoodAsPeopleAndSystemsWriteThem(t *testing.T) {
	for tag, want := range map[string]Language{
		"en": English, "en_US.UTF-8": English, "C": English, "C.UTF-8": English, "POSIX": English, "pt": Portuguese, "pt_PT.UTF-8": Portuguese, "PT-br": Portuguese,
		"zh": TraditionalChinese, "zh_MO": TraditionalChinese, "zh-HK": TraditionalChinese, "zh_TW.Big5": TraditionalChinese, "zh-Hant": TraditionalChinese, "yue": TraditionalChinese,
		"zh_CN.UTF-8": SimplifiedChinese, "zh-Hans": SimplifiedChinese, "zh-Hans-MO": SimplifiedChinese, "zh_SG": SimplifiedChinese, "zh-Hant-CN": TraditionalChinese,
	} {
		if got, ok := Parse(tag); !ok || got != want {
			t.Errorf("%q: %s, %t; want %s", tag, got, ok, want)
		}
	}
	for _, tag := range []string{"", "de", "xx-pt", "-", "."} {
		if got, ok := Parse(tag); ok || got != English {
			t.Errorf("%q is understood as %s", tag, got)
		}
	}
	for _, c := range []struct {
		env  string
		want Language
	}{
		{"", English},
		{"LANG=pt_PT.UTF-8", Portuguese},
		{"LANG=pt_PT LC_ALL=zh_MO", TraditionalChinese},
		{"LC_ALL=pt GUIA_LANG=zh-Hans", SimplifiedChinese},
		{"GUIA_LANG=xx LANG=pt", Portuguese},
		{"LC_MESSAGES=zh_CN LANG=pt", SimplifiedChinese},
	} {
		got := FromEnvironment(func(name string) string {
			for pair := range strings.FieldsSeq(c.env) {
				if key, value, _ := strings.Cut(pair, "="); key == name {
					return value
				}
			}
			return ""
		})
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.env, got, c.want)
		}
	}
}

func TestPlacesAreFilledOnceWithWhatIsGiven(t *testing.T) {
	for _, c := range []struct {
		sentence string
		args     []any
		want     string
	}{
		{"{0} of {1}", []any{3, "ten"}, "3 of ten"},
		{"{1} before {0}, {1} again", []any{"a", "b"}, "b before a, b again"},
		{"{0}{1}", []any{"{1}", "{0}"}, "{1}{0}"}, // what a user typed is not filled again
		{"{0} {10}", []any{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, "ten"}, "0 ten"},
		{"{0} and {2}", []any{"a"}, "a and {2}"},
		{"no place", []any{"a"}, "no place"},
		{"{0}", nil, "{0}"},
		{"{0} {0|record is|records are} new", []any{1}, "1 record is new"},
		{"{0} {0|record is|records are} new", []any{"1"}, "1 record is new"},
		{"{0} {0|record is|records are} new", []any{0}, "0 records are new"}, // also in Portuguese: CLDR, pt-PT
		{"{0} {0|record is|records are} new", []any{"1,001"}, "1,001 records are new"},
		{"{0|O|Os} {0} {1||s}", []any{2, 1}, "Os 2 "},
		{"{\"error\":{0}} {x} {", []any{7}, "{\"error\":7} {x} {"},
		{"{0|one} {-1} {0|a|b|c}", []any{7}, "{0|one} {-1} {0|a|b|c}"},
	} {
		if got := fill(English, c.sentence, c.args); got != c.want {
			t.Errorf("%q: got %q, want %q", c.sentence, got, c.want)
		}
	}
	if got := Text(English, "no.such.key", 7, "x"); got != "no.such.key [7 x]" {
		t.Errorf("a key that does not exist: %q", got)
	}
}

// TestMainlandWordsAreUsed: simplified sentences say what mainland readers say, and no row of the list is dead.
func TestMainlandWordsAreUsed(t *testing.T) {
	for key, want := range map[string]string{
		"cmd.unknown": "没有“x”这个命令。“y --help”列出各命令。", "import.indexing": "正在建立索引", "cmd.held": "x 已由另一进程打开，而该进程没有响应。请待其结束后再执行此命令。",
		"check.recognition_count": "有 x 行用于辨认记录；应有 y 行。", "mapped.nothing": "x 内没有可用此映射表读取的文件。请检查映射表的“files:”和“format:”。",
	} {
		if got := Text(SimplifiedChinese, key, "x", "y"); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	text, err := files.ReadFile("zh-Hans.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, sentence := range catalogs[TraditionalChinese]() {
		all.WriteString(sentence + "\n")
	}
	for line := range strings.Lines(string(text)) {
		from, to, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		switch {
		case strings.HasPrefix(line, "#"):
		case !ok || Simplify(to) != to:
			t.Errorf("%q is no row of a traditional and a simplified word", line)
		case !strings.Contains(all.String(), from):
			t.Errorf("%s stands in no sentence", from)
		}
	}
}

func TestSimplifiedSentencesKeepWhatUsersWrote(t *testing.T) {
	const name = "陳繁體學會" // would be converted
	traditional, simplified := Text(TraditionalChinese, "permit.unknown", name), Text(SimplifiedChinese, "permit.unknown", name)
	if !strings.Contains(traditional, name) || !strings.Contains(simplified, name) {
		t.Errorf("a name was changed: %q, %q", traditional, simplified)
	}
	if Simplify(name) == name || simplified == traditional {
		t.Errorf("nothing is converted: %q", simplified)
	}
}
