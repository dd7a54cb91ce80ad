package mapped

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	_ "time/tzdata" // zones are known on every machine
	"unicode"
	"unicode/utf8"

	"guia"
)

// assumedZone is where times without a zone are taken to have been told, when the mapping says nothing.
const assumedZone = "Asia/Macau"

// errAmbiguous says that a time could mean two days.
var errAmbiguous = errors.New("day or month first")

// layout is a format of times. It is one of the words unix, unix-ms, unix-us, unix-ns, iso, rfc2822, or made of YYYY YY MM M DD D hh h mm
// ss f (digits of a fraction) ap (AM, PM, 上午, 下午) Z (an offset) and of other characters that stand for themselves. Where no YYYY, DD or hh stands, yyyy, dd and HH mean the same.
type layout struct {
	word string
	toks []string
}

var layoutTokens = []string{"YYYY", "YY", "MM", "M", "DD", "D", "hh", "h", "mm", "ss", "ap", "f", "Z"}

// parseLayout reads a format as a mapping writes it.
func parseLayout(s string) (layout, error) {
	switch s {
	case "unix", "unix-ms", "unix-us", "unix-ns", "iso", "rfc2822":
		return layout{word: s}, nil
	}
	for _, also := range []struct{ spelling, token string }{{"y", "Y"}, {"d", "D"}, {"H", "h"}} { // dd/MM/yyyy HH:mm
		if !strings.Contains(s, also.token) {
			s = strings.ReplaceAll(s, also.spelling, also.token)
		}
	}
	var l layout
	has := map[byte]int{}
	for rest := s; rest != ""; {
		tok := ""
		for _, t := range layoutTokens {
			if strings.HasPrefix(rest, t) {
				tok = t
				break
			}
		}
		if tok == "" {
			_, size := utf8.DecodeRuneInString(rest)
			tok = rest[:size]
		} else {
			has[tok[0]]++
			for tok == "f" && len(rest) > 1 && rest[1] == 'f' {
				rest = rest[1:]
			}
		}
		l.toks = append(l.toks, tok)
		rest = rest[min(len(tok), len(rest)):]
	}
	if has['Y'] != 1 || has['M'] != 1 || has['D'] != 1 {
		return l, errors.New("a format names the year, the month and the day once each")
	}
	if has['h'] > 1 || has['m'] != has['h'] || has['s'] > has['m'] || has['f'] > has['s'] {
		return l, errors.New("a format names hours and minutes together, then seconds, then fractions")
	}
	return l, nil
}

// clock reads what sources write as times. It remembers zones, because looking one up costs more than reading a row.
type clock struct {
	layouts []layout
	zone    string // in which local times were told
	zones   map[string]*time.Location
}

func newClock(m *Mapping) *clock {
	c := &clock{zone: m.Zone, zones: map[string]*time.Location{}}
	if c.zone == "" {
		c.zone = assumedZone
	}
	for _, s := range m.Times {
		l, _ := parseLayout(s) // checked by ReadMapping
		c.layouts = append(c.layouts, l)
	}
	return c
}

func (c *clock) location(name string) *time.Location {
	loc, ok := c.zones[name]
	if !ok {
		loc, _ = zoneOf(name)
		if len(c.zones) < 1000 {
			c.zones[name] = loc
		}
	}
	return loc
}

// civil is a time as it was written.
type civil struct {
	year, month, day, hour, minute, second, nano int
	precision                                    guia.Precision
	zone                                         string // "" when it was not told
	afternoon, forenoon                          bool
}

// read finds out when s is. told is the zone that another column names, if any. The error is errAmbiguous, or says that s is no time
// in any of the formats.
func (c *clock) read(s, told string) (at guia.Moment, zone, basis string, err error) {
	s = strings.TrimSpace(s)
	var t civil
	ok := false
	for _, l := range c.layouts {
		if strings.HasPrefix(l.word, "unix") {
			if at, ok := unix(s, l.word); ok {
				return at, "UTC", "source", nil
			}
			continue
		}
		if t, ok = l.read(s); ok {
			break
		}
	}
	if len(c.layouts) == 0 {
		if at, ok := unix(s, ""); ok {
			return at, "UTC", "source", nil
		}
		if t, ok = iso(s); !ok {
			if t, ok = rfc2822(s); !ok && dayOrMonthFirst(s) {
				return at, "", "", errAmbiguous
			}
		}
	}
	if !ok {
		return at, "", "", errors.New("no time in any of the formats")
	}
	return c.moment(t, told)
}

func (c *clock) moment(t civil, told string) (at guia.Moment, zone, basis string, err error) {
	bad := errors.New("no such time")
	if t.afternoon && t.hour < 12 {
		t.hour += 12
	} else if t.forenoon && t.hour == 12 {
		t.hour = 0
	}
	if t.year < 1 || t.year > 9999 || t.month < 1 || t.month > 12 || t.day < 1 || t.hour > 24 || t.minute > 59 || t.second > 60 ||
		t.hour == 24 && t.minute+t.second+t.nano > 0 ||
		t.day > time.Date(t.year, time.Month(t.month)+1, 0, 0, 0, 0, 0, time.UTC).Day() {
		return at, "", "", bad
	}
	zone, basis = t.zone, "source"
	var loc *time.Location
	if zone == "" && told != "" {
		zone = told
		if loc = c.location(zone); loc == nil {
			zone = ""
		}
	}
	if zone == "" {
		zone, basis = c.zone, "assumed"
	}
	if zone == "Z" || zone == "+00:00" || zone == "-00:00" {
		zone = "UTC"
	}
	if loc = c.location(zone); loc == nil {
		return at, "", "", bad
	}
	if t.precision == guia.Day {
		return guia.Moment{Time: time.Date(t.year, time.Month(t.month), t.day, 0, 0, 0, 0, time.UTC), Precision: guia.Day}, zone, basis, nil
	}
	u := time.Date(t.year, time.Month(t.month), t.day, t.hour, t.minute, t.second, t.nano, loc).UTC()
	if u.Year() < 1 || u.Year() > 9999 {
		return at, "", "", bad
	}
	return exact(u, t.precision), zone, basis, nil
}

// exact makes sure that nothing finer than the precision remains: an old zone with odd seconds makes a minute a second.
func exact(u time.Time, p guia.Precision) guia.Moment {
	if p == guia.Minute && u.Second() != 0 {
		p = guia.Second
	}
	return guia.Moment{Time: u, Precision: p}
}

// unix reads a count since 1970: of seconds, perhaps with a fraction, or of the unit the word names. Without a word the number of
// digits says which, and only counts that mean the years 2001 to 2286 are times.
func unix(s, word string) (guia.Moment, bool) {
	whole, fraction, dot := strings.Cut(s, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || len(digits) > 19 || strings.Trim(digits, "0123456789") != "" || word == "" && len(digits) != len(whole) {
		return guia.Moment{}, false
	}
	if word == "" {
		switch {
		case len(digits) == 10:
			word = "unix"
		case len(digits) == 13 && !dot:
			word = "unix-ms"
		case len(digits) == 16 && !dot:
			word = "unix-us"
		default:
			return guia.Moment{}, false
		}
	}
	n := int64(0)
	for i := range len(digits) {
		if n > (1<<63-1-9)/10 {
			return guia.Moment{}, false
		}
		n = n*10 + int64(digits[i]-'0')
	}
	if whole[0] == '-' {
		n = -n
	}
	var t time.Time
	p := guia.Second
	switch word {
	case "unix":
		if n > 1<<38 || n < -(1<<36) {
			return guia.Moment{}, false
		}
		t = time.Unix(n, 0)
		if dot {
			nano, precision, ok := fractionOf(fraction)
			if !ok || n < 0 {
				return guia.Moment{}, false
			}
			t, p = time.Unix(n, int64(nano)), precision
		}
	case "unix-ms":
		t, p = time.UnixMilli(n), guia.Millisecond
	case "unix-us":
		t, p = time.UnixMicro(n), guia.Microsecond
	case "unix-ns":
		t, p = time.Unix(0, n), guia.Nanosecond
	}
	t = t.UTC()
	return guia.Moment{Time: t, Precision: p}, (!dot || word == "unix") && t.Year() >= 1 && t.Year() <= 9999
}

// fractionOf reads 1 to 9 digits after the point. More are cut off: no clock that people own has them.
func fractionOf(digits string) (nano int, p guia.Precision, ok bool) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" || len(digits) > 18 {
		return 0, 0, false
	}
	digits = digits[:min(len(digits), 9)]
	for i := range 9 {
		nano *= 10
		if i < len(digits) {
			nano += int(digits[i] - '0')
		}
	}
	return nano, guia.Millisecond + guia.Precision((len(digits)-1)/3), true
}

// cutDigits takes from least to most digits off the front.
func cutDigits(s *string, least, most int) (n int, ok bool) {
	i := 0
	for i < most && i < len(*s) && (*s)[i] >= '0' && (*s)[i] <= '9' {
		n = n*10 + int((*s)[i]-'0')
		i++
	}
	*s = (*s)[i:]
	return n, i >= least
}

// halves are the spellings of before and after noon; the second of each pair is the afternoon.
var halves = [...][2]string{{"AM", "PM"}, {"am", "pm"}, {"a.m.", "p.m."}, {"上午", "下午"}, {"早上", "晚上"}, {"凌晨", "中午"}}

func cutHalf(s *string, t *civil) bool {
	for _, pair := range halves {
		for i, half := range pair {
			if rest, ok := strings.CutPrefix(*s, half); ok {
				*s = strings.TrimLeft(rest, " ")
				t.afternoon, t.forenoon = i == 1, i == 0
				return true
			}
		}
	}
	return false
}

// cutZone takes Z, UTC, GMT or an offset off the front.
func cutZone(s *string) (zone string, ok bool) {
	for _, word := range []string{"Z", "UTC", "GMT"} {
		if rest, ok := strings.CutPrefix(*s, word); ok && (rest == "" || word == "Z") {
			*s = rest
			return "UTC", true
		}
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(*s, "UTC"), "GMT")
	if rest == "" || rest[0] != '+' && rest[0] != '-' {
		return "", false
	}
	sign := rest[:1]
	rest = rest[1:]
	hours, ok := cutDigits(&rest, 1, 2)
	if !ok {
		return "", false
	}
	minutes := 0
	if after, colon := strings.CutPrefix(rest, ":"); colon || rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		rest = after
		if minutes, ok = cutDigits(&rest, 2, 2); !ok {
			return "", false
		}
	}
	if hours > 18 || minutes > 59 {
		return "", false
	}
	*s = rest
	return fmt.Sprintf("%s%02d:%02d", sign, hours, minutes), true
}

// read reads s in this format and nothing else.
func (l layout) read(s string) (t civil, ok bool) {
	switch l.word {
	case "iso":
		return iso(s)
	case "rfc2822":
		return rfc2822(s)
	}
	t.precision = guia.Day
	for _, tok := range l.toks {
		var ok bool
		switch tok {
		case "YYYY":
			t.year, ok = cutDigits(&s, 4, 4)
		case "YY": // as POSIX has it: 69 to 99 are of the last century
			t.year, ok = cutDigits(&s, 2, 2)
			t.year += 2000
			if t.year >= 2069 {
				t.year -= 100
			}
		case "MM":
			t.month, ok = cutDigits(&s, 2, 2)
		case "M":
			t.month, ok = cutDigits(&s, 1, 2)
		case "DD":
			t.day, ok = cutDigits(&s, 2, 2)
		case "D":
			t.day, ok = cutDigits(&s, 1, 2)
		case "hh":
			t.hour, ok = cutDigits(&s, 2, 2)
		case "h":
			t.hour, ok = cutDigits(&s, 1, 2)
		case "mm":
			t.minute, ok = cutDigits(&s, 2, 2)
			t.precision = max(t.precision, guia.Minute)
		case "ss":
			t.second, ok = cutDigits(&s, 2, 2)
			t.precision = max(t.precision, guia.Second)
		case "f":
			digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
			s = s[len(digits):]
			t.nano, t.precision, ok = fractionOf(digits)
		case "ap":
			ok = cutHalf(&s, &t)
		case "Z":
			t.zone, ok = cutZone(&s)
		default:
			trimmed := strings.TrimPrefix(s, tok)
			ok = trimmed != s
			if strings.TrimSpace(tok) == "" {
				trimmed = strings.TrimLeftFunc(s, unicode.IsSpace)
				ok = trimmed != s
			}
			s = trimmed
		}
		if !ok {
			return t, false
		}
	}
	return t, s == ""
}

// iso reads what begins with the year and therefore means one day only: 2024-03-01, 2024/3/1, 2024.3.1, 2024年3月1日, with a time of day
// after a space, a T or nothing, and an offset.
func iso(s string) (t civil, ok bool) {
	if t.year, ok = cutDigits(&s, 4, 4); !ok {
		return t, false
	}
	separator := ""
	for _, candidate := range []string{"-", "/", ".", "年"} {
		if rest, found := strings.CutPrefix(s, candidate); found {
			s, separator = rest, candidate
			break
		}
	}
	if separator == "" {
		return t, false
	}
	if t.month, ok = cutDigits(&s, 1, 2); !ok {
		return t, false
	}
	if separator == "年" {
		separator = "月"
	}
	if s, ok = strings.CutPrefix(s, separator); !ok {
		return t, false
	}
	if t.day, ok = cutDigits(&s, 1, 2); !ok {
		return t, false
	}
	if separator == "月" {
		if s, ok = strings.CutPrefix(s, "日"); !ok {
			return t, false
		}
	}
	t.precision = guia.Day
	if s == "" {
		return t, true
	}
	before := s
	s = strings.TrimLeft(strings.TrimPrefix(s, "T"), " \u3000")
	if s == before && separator != "月" {
		return t, false
	}
	half := cutHalf(&s, &t)
	if t.hour, ok = cutDigits(&s, 1, 2); !ok || !strings.HasPrefix(s, ":") {
		return t, false
	}
	s = s[1:]
	if t.minute, ok = cutDigits(&s, 2, 2); !ok {
		return t, false
	}
	t.precision = guia.Minute
	if strings.HasPrefix(s, ":") {
		s = s[1:]
		if t.second, ok = cutDigits(&s, 2, 2); !ok {
			return t, false
		}
		t.precision = guia.Second
		if s != "" && (s[0] == '.' || s[0] == ',') {
			digits := s[1 : len(s)-len(strings.TrimLeft(s[1:], "0123456789"))]
			s = s[1+len(digits):]
			if t.nano, t.precision, ok = fractionOf(digits); !ok {
				return t, false
			}
		}
	}
	s = strings.TrimLeft(s, " ")
	if !half {
		cutHalf(&s, &t)
	}
	if s != "" {
		if t.zone, ok = cutZone(&s); !ok {
			return t, false
		}
	}
	return t, s == ""
}

// rfc2822 reads dates of mail: "Fri, 1 Mar 2024 16:05:09 +0800".
func rfc2822(s string) (t civil, ok bool) {
	if !strings.ContainsAny(s, "abcdefghijklmnoprstuvy") || len(s) > 64 {
		return t, false
	}
	at, err := mail.ParseDate(s)
	if err != nil {
		return t, false
	}
	name, offset := at.Zone()
	zone := at.Format("-07:00")
	if offset == 0 {
		if name != "UTC" && name != "GMT" && name != "" { // a name whose offset the library does not know
			return t, false
		}
		zone = "UTC"
	}
	p := guia.Second
	if strings.Count(s, ":") < 2 || strings.Count(s, ":") == 2 && strings.HasSuffix(zone, s[max(0, len(s)-5):]) {
		p = guia.Minute
		if at.Second() != 0 {
			p = guia.Second
		}
	}
	return civil{at.Year(), int(at.Month()), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, p, zone, false, false}, true
}

// dayOrMonthFirst reports whether s begins like 03/04/2024: two numbers of which nobody knows which is the month, and a year.
func dayOrMonthFirst(s string) bool {
	_, ok := cutDigits(&s, 1, 2)
	if !ok || s == "" || strings.IndexByte("/.-", s[0]) < 0 {
		return false
	}
	separator := s[:1]
	s = s[1:]
	if _, ok = cutDigits(&s, 1, 2); !ok || !strings.HasPrefix(s, separator) {
		return false
	}
	s = s[1:]
	_, ok = cutDigits(&s, 2, 4)
	return ok
}
