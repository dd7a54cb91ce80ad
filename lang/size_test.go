package lang

import "testing"

// A size is divided by 1024 and says so, with the decimal sign of the language.
func TestSizesAreInTheUnitsTheyName(t *testing.T) {
	for n, want := range map[Bytes][2]string{
		0: {"0 B", "0 B"}, 1023: {"1023 B", "1023 B"}, 1536: {"1.5 KiB", "1,5 KiB"}, 1 << 20: {"1.0 MiB", "1,0 MiB"},
		5 << 29: {"2.5 GiB", "2,5 GiB"}, 1023 << 20: {"1.0 GiB", "1,0 GiB"}, 3 << 40: {"3.0 TiB", "3,0 TiB"},
	} {
		if got := [2]string{n.In(TraditionalChinese), n.In(Portuguese)}; got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	if got := Text(Portuguese, "doctor.disk.ok", Bytes(5<<29)); got != Text(Portuguese, "doctor.disk.ok", "2,5 GiB") {
		t.Errorf("in a sentence: %s", got)
	}
}
