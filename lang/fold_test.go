package lang

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TestFoldMeetsReaders lists texts that a reader calls the same.
func TestFoldMeetsReaders(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Não há Informação à ÀÉÎÕÜ ção", "nao ha informacao a aeiou cao"},
		{"Na\u0303o ha\u0301", "nao ha"}, // the same letters, decomposed
		{"STRASSE Straße Ærø Łódź İstanbul", "strasse strasse aero lodz istanbul"},
		{"漢字轉換後，臺灣裡面著名的檯曆", "汉字转换后,台湾里面着名的台历"},
		{"說説说 為爲为 衛衞卫 線綫线", "说说说 为为为 卫卫卫 线线线"},
		{"ＤｉｎｇＴａｌｋ　１２３", "dingtalk 123"},
		{"ｶﾞｷﾞ が か\u3099", "ガギ が が"},
		{"한국 \u1112\u1161\u11ab", "한국 한"},
		{"soft\u00adhyphen zero\u200bwidth 葛\U000e0100城", "softhyphen zerowidth 葛城"},
		{"ﬁnal ① Ⅳ №5 …", "final 1 iv no5 ..."},
		{"Ελληνικά ΛΌΓΟΣ Ёлка", "ελληνικα λογοσ елка"},
		{"\u9e97\uf988", "丽丽"}, // a compatibility ideograph
		{"a\xffb", "a\ufffdb"},
		{"👍🏽 好", "👍🏽 好"},
		{"", ""},
	} {
		if got := Fold(c.text); got != c.want {
			t.Errorf("Fold(%q): got %q, want %q", c.text, got, c.want)
		}
	}
}

// TestFoldShortCutsAreTheRule compares the table of simple folds with the whole rule, for every character alone and with an accent.
func TestFoldShortCutsAreTheRule(t *testing.T) {
	f := NewFolder()
	for r := rune(1); r <= 0xffff; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if unseen(r) {
			if got := Fold(string(r)); got != "" {
				t.Errorf("Fold(%U): got %q, want nothing", r, got)
			}
			continue
		}
		for _, s := range []string{string(r), string(r) + "\u0301"} {
			want := string(foldPiece(nil, s, f.simple))
			if got := Fold(s); got != want {
				t.Errorf("Fold(%+q): got %q, want %q", s, got, want)
			}
		}
	}
}

// TestHanTablesAreWhole checks what the tables promise: pairs, nothing maps twice, no result is itself mapped.
func TestHanTablesAreWhole(t *testing.T) {
	all := map[rune]rune{}
	for _, pairs := range []string{hanSimplified, hanVariants} {
		rs := []rune(pairs)
		if len(rs)%2 != 0 {
			t.Fatalf("odd number of characters: %d", len(rs))
		}
		for i := 0; i < len(rs); i += 2 {
			if all[rs[i]] != 0 {
				t.Errorf("%c is listed twice", rs[i])
			}
			if rs[i] == rs[i+1] || rs[i] < 0x3400 || rs[i] > 0x9fff || rs[i+1] < 0x3400 || rs[i+1] > 0x9fff {
				t.Errorf("%c%c is not a pair of two different characters of the basic plane", rs[i], rs[i+1])
			}
			all[rs[i]] = rs[i+1]
		}
	}
	for from, to := range all {
		if all[to] != 0 {
			t.Errorf("%c becomes %c, which becomes %c", from, to, all[to])
		}
	}
	if len(all) < 3000 {
		t.Errorf("only %d pairs", len(all))
	}
}

func TestSimplifyLeavesTheRestAlone(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"《個人資料保護法》第8/2005號法律", "《个人资料保护法》第8/2005号法律"},
		{"Não há ÀÉ, straße", "Não há ÀÉ, straße"},
		{"著名的妳", "著名的妳"},
		{"已是简体", "已是简体"},
		{"澳門特別行政區政府，數據轉移與隱私影響評估；員工、僱主、勞動關係", "澳门特别行政区政府，数据转移与隐私影响评估；员工、雇主、劳动关系"},
	} {
		if got := Simplify(c.text); got != c.want {
			t.Errorf("Simplify(%q): got %q, want %q", c.text, got, c.want)
		}
	}
}

// TestFoldMapPointsBack finds folded words in originals whose bytes have other lengths.
func TestFoldMapPointsBack(t *testing.T) {
	for _, c := range []struct{ text, find, want string }{
		{"A informação é útil", "informacao", "informação"},
		{"a informac\u0327a\u0303o", "informacao", "informac\u0327a\u0303o"},
		{"去臺灣。", "台湾", "臺灣"},
		{"ﬁm", "f", "ﬁ"},
		{"x ｶﾞｽ y", "ガ", "ｶﾞ"},
		{"Straße", "ss", "ß"},
		{"fim", "fim", "fim"},
	} {
		f := FoldMap(c.text)
		if f.Text != Fold(c.text) {
			t.Errorf("FoldMap(%q).Text: got %q, want %q", c.text, f.Text, Fold(c.text))
		}
		at := strings.Index(f.Text, c.find)
		start, end := f.Source(at, at+len(c.find))
		if got := c.text[start:end]; got != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.find, c.text, got, c.want)
		}
	}
}

// TestFoldStartsFast holds the tables to a cost that no command notices.
func TestFoldStartsFast(t *testing.T) {
	best := time.Hour
	for range 5 {
		start := time.Now()
		buildSimpleFolds()
		best = min(best, time.Since(start))
	}
	if best > 5*time.Millisecond {
		t.Errorf("building the tables took %v, want at most 5ms", best)
	}
	t.Logf("tables built in %v", best)
}

// FuzzFold: the result is valid, folds to itself, does not depend on the normal form of the input, and agrees with FoldMap.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "Não", "Na\u0303o", "臺灣，說", "ｶﾞ", "\xff\xc0", "한", "①Ⅳ№", "e\u0301\u0323", "ﬃ", "ǅ", "\u0344", "ΐΰ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Fold(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Fold(%+q) is not valid: %+q", s, got)
		}
		if again := Fold(got); again != got {
			t.Fatalf("Fold(%+q) is %+q, and folded again %+q", s, got, again)
		}
		if m := FoldMap(s); m.Text != got {
			t.Fatalf("FoldMap(%+q).Text: got %+q, want %+q", s, m.Text, got)
		} else if start, end := m.Source(0, len(got)); len(got) > 0 && (start < 0 || end > len(s) || start >= end) {
			t.Fatalf("Source of all of %+q: %d to %d", s, start, end)
		}
		if utf8.ValidString(s) && len(s) < 40 { // longer runs of marks are cut by the stream-safe form
			if nfd := Fold(norm.NFD.String(s)); nfd != got {
				t.Fatalf("Fold(%+q): got %+q, decomposed %+q", s, got, nfd)
			}
		}
		Simplify(s)
	})
}

func BenchmarkFold(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"latin", strings.Repeat("A transferência de dados pessoais para fora da RAEM; please review the attached file by Friday. ", 100)},
		{"han", strings.Repeat("請各位同事注意，澳門個人資料保護法規定，資料轉移須事先通知。会议改到下午三点。", 100)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			f := NewFolder()
			var dst []byte
			for b.Loop() {
				dst = f.Append(dst[:0], c.text)
			}
		})
	}
}

// TestWhatIsWrittenInMacauIsFoundFromTheMainland: 甚麼 and 什么 are one word.
func TestWhatIsWrittenInMacauIsFoundFromTheMainland(t *testing.T) {
	for _, pair := range [][2]string{{"甚麼", "什么"}, {"為甚麼", "为什么"}, {"甚至", "甚至"}} {
		if a, b := Fold(pair[0]), Fold(pair[1]); a != b {
			t.Errorf("%s folds to %s, %s to %s", pair[0], a, pair[1], b)
		}
	}
}
