package mbox

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"guia"
)

// readDate reads a Date field (RFC 5322 sections 3.3 and 4.3): the instant with the precision written, the zone, and whether the
// zone was named by one of the American abbreviations, which RFC 5322 defines but programs elsewhere use for other zones. A date
// without a zone, or with a zone that is a mere abbreviation, is none.
func readDate(value string) (m guia.Moment, zone, basis string, ok bool) {
	words := strings.Fields(strings.ReplaceAll(withoutComments(value), ",", " "))
	if len(words) > 0 && len(words[0]) >= 3 && slices.Contains(weekdays, strings.ToLower(words[0][:3])) && !digits(words[0]) {
		words = words[1:]
	}
	if len(words) == 1 { // not RFC 5322, but an instant
		t, err := time.Parse(time.RFC3339, words[0])
		if err != nil || t.Nanosecond() != 0 || t.UTC().Year() < 1900 || t.UTC().Year() > 9999 {
			return m, "", "", false
		}
		return guia.Moment{Time: t.UTC(), Precision: guia.Second}, offsetName(t), "source", true
	}
	if len(words) < 5 {
		return m, "", "", false
	}
	day, ok1 := number(words[0], 1, 31)
	month := slices.Index(months, strings.ToLower(words[1][:min(3, len(words[1]))])) + 1
	year, ok2 := number(words[2], 0, 9999)
	clock := strings.Split(words[3], ":")
	if !ok1 || !ok2 || month == 0 || len(clock) < 2 || len(clock) > 3 {
		return m, "", "", false
	}
	switch n := len(words[2]); { // RFC 5322 section 4.3
	case n == 2 && year < 50:
		year += 2000
	case n == 2 || n == 3:
		year += 1900
	case n != 4 || year < 1900:
		return m, "", "", false
	}
	hour, ok1 := number(clock[0], 0, 23)
	minute, ok2 := number(clock[1], 0, 59)
	second, precision := 0, guia.Minute
	if len(clock) == 3 {
		var ok3 bool
		second, ok3 = number(clock[2], 0, 59)
		precision = guia.Second
		ok2 = ok2 && ok3
	}
	offset, basis, ok3 := readZone(words[4])
	if !ok1 || !ok2 || !ok3 {
		return m, "", "", false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.FixedZone("", offset))
	if t.Day() != day || t.UTC().Year() > 9999 { // the 31st of June
		return m, "", "", false
	}
	return guia.Moment{Time: t.UTC(), Precision: precision}, offsetName(t), basis, true
}

var (
	weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	months   = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	american = map[string]int{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
)

// readZone returns the offset in seconds.
func readZone(s string) (offset int, basis string, ok bool) {
	switch strings.ToUpper(s) {
	case "GMT", "UT", "UTC", "Z":
		return 0, "source", true
	}
	if hours, known := american[strings.ToUpper(s)]; known {
		return hours * 3600, "assumed", true
	}
	s = strings.Replace(s, ":", "", 1)
	if len(s) != 5 || s[0] != '+' && s[0] != '-' {
		return 0, "", false
	}
	hours, ok1 := number(s[1:3], 0, 23)
	minutes, ok2 := number(s[3:], 0, 59)
	offset = hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, "source", ok1 && ok2
}

func offsetName(t time.Time) string {
	if _, offset := t.Zone(); offset == 0 {
		return "UTC"
	}
	return t.Format("-07:00")
}

func number(s string, low, high int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && digits(s) && n >= low && n <= high
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// withoutComments removes what stands in parentheses.
func withoutComments(s string) string {
	var b strings.Builder
	depth := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')':
			depth = max(depth-1, 0)
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}
