package verify

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"guia/lang"
)

// TestEverySentenceExists compares the keys in the sources with those of package lang, in both directions.
func TestEverySentenceExists(t *testing.T) {
	sources, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, file := range sources {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(verify\.[a-z0-9.]*[a-z0-9])"`).FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
	}
	if len(used) < 80 {
		t.Fatalf("only %d keys found: the search has gone blind", len(used))
	}
	for key := range used {
		if !lang.Has(key) {
			t.Errorf("no sentence for %s", key)
		}
	}
	text, err := os.ReadFile("../../lang/en/verify.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if key, _, _ := strings.Cut(line, " = "); strings.HasPrefix(key, "verify.") && !used[key] {
			t.Errorf("nobody says %s", key)
		}
	}
}

// TestOnlyAGradeThatIsThereIsCalledWithheld has acts of the program, which have no grade, among the records.
func TestOnlyAGradeThatIsThereIsCalledWithheld(t *testing.T) {
	f := newFixture(t, 30)
	for i := range f.all {
		if f.all[i].Index >= 28 { // two acts without a grade
			f.drop(i, "grade")
			f.records, f.custody = append(f.records, f.all[i]), f.custody[:len(f.custody)-1]
		}
	}
	said := func() (all string) {
		for _, line := range check(f.pack(), f.trust()).provenance().Lines {
			all += line.In(func(key string, args ...any) string { return lang.Text(lang.English, key, args...) }) + "\n"
		}
		return all
	}
	for _, want := range []string{"2 records that never had a grade", "guia: 2 records, happened inside Guia, without a grade"} {
		if s := said(); !strings.Contains(s, want) || strings.Contains(s, "not disclosed") {
			t.Errorf("got\n%s", s)
		}
	}
	f.withhold(0, "grade", Redacted)
	for _, want := range []string{"2 records that never had a grade", "1 record whose grade is not disclosed", "grade ?"} {
		if s := said(); !strings.Contains(s, want) {
			t.Errorf("no %q in\n%s", want, s)
		}
	}
}

// TestWordsSayWhatWasProvenAndWhatNot reads whole reports in every language.
func TestWordsSayWhatWasProvenAndWhatNot(t *testing.T) {
	f := newFixture(t, 30)
	f.older, f.exhibit = []int64{7}, []int64{4}
	f.withhold(0, "sender.name", Redacted)
	good := f.pack()
	f.files[nameView] = []byte("another view")
	names, files := unpack(t, good)
	files[nameView] = []byte("another view")
	damaged := zipOf(names, files)
	for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese, lang.SimplifiedChinese} {
		for _, c := range []struct {
			bundle []byte
			trust  Trust
			want   []string
		}{
			{good, f.trust(), []string{"verify.verdict.proven", "verify.cannot.truth", "verify.cannot.time", "verify.provenance"}},
			{good, Trust{}, []string{"verify.verdict.unproven", "verify.proven.key.none"}},
			{good, trustIn(t, newSigner(t)), []string{"verify.verdict.unproven", "verify.proven.key.none"}},
			{damaged, f.trust(), []string{"verify.verdict.damaged"}},
		} {
			var all []string
			for _, p := range check(c.bundle, c.trust).Words() {
				for _, s := range append([]Sentence{p.Heading}, p.Lines...) {
					all = append(all, s.In(func(key string, args ...any) string { return lang.Text(l, key, args...) }))
				}
			}
			for _, line := range all {
				if strings.Contains(line, "verify.") || regexp.MustCompile(`\{\d\}|%!`).MatchString(line) {
					t.Errorf("%s: unfinished sentence %q", l, line)
				}
			}
			for _, key := range c.want {
				if !slices.Contains(all, lang.Text(l, key)) {
					t.Errorf("%s: %s is not said", l, key)
				}
			}
			if joined := strings.Join(all, "\n"); &c.bundle[0] == &damaged[0] && (!strings.Contains(joined, nameView) || slices.Contains(all, lang.Text(l, "verify.proven"))) {
				t.Errorf("%s: a damaged bundle: %s", l, joined)
			}
		}
	}
}
