package guia

import (
	"fmt"
	"time"
)

// Zone is the company's zone. A day that somebody names, and a time of day without a zone, are of this one, whatever machine Guia runs
// on; so are days and times in tables. It has had no summer time since 1979.
var Zone = time.FixedZone("Asia/Macau", 8*60*60)

// Precision is how exactly a source told the time.
type Precision uint8

// The precisions, coarse to fine.
const (
	Day Precision = iota + 1
	Minute
	Second
	Millisecond
	Microsecond
	Nanosecond
)

// String is the precision's name in output for programs.
func (p Precision) String() string {
	names := [...]string{"day", "minute", "second", "millisecond", "microsecond", "nanosecond"}
	if p < Day || int(p) > len(names) {
		return fmt.Sprintf("precision(%d)", uint8(p))
	}
	return names[p-Day]
}

// layouts are the spellings of the field "time": UTC, with exactly the digits the source gave.
var layouts = map[Precision]string{
	Day:         "2006-01-02",
	Minute:      "2006-01-02T15:04Z",
	Second:      "2006-01-02T15:04:05Z",
	Millisecond: "2006-01-02T15:04:05.000Z",
	Microsecond: "2006-01-02T15:04:05.000000Z",
	Nanosecond:  "2006-01-02T15:04:05.000000000Z",
}

// Moment is a point in time as a source told it: the instant in UTC, and how exactly it was told. A day is kept as the source's
// calendar day at 00:00 UTC; its zone is in the field time.zone.
type Moment struct {
	Time      time.Time
	Precision Precision
}

// String is the value of the field "time": UTC, RFC 3339, with exactly the digits of the precision
// ("2024-03-01", "2024-03-01T08:15Z", "2024-03-01T08:15:30.123Z").
func (m Moment) String() string {
	return m.Time.UTC().Format(layouts[m.Precision])
}

// ParseMoment reads what [Moment.String] writes and nothing else; the years 1 to 9999 are accepted.
func ParseMoment(s string) (Moment, error) {
	precision := map[int]Precision{10: Day, 17: Minute, 20: Second, 24: Millisecond, 27: Microsecond, 30: Nanosecond}[len(s)]
	if precision == 0 {
		return Moment{}, fmt.Errorf("time of %d bytes has none of the six spellings", len(s))
	}
	t, err := time.Parse(layouts[precision], s)
	if err != nil || t.Year() < 1 {
		return Moment{}, fmt.Errorf("time %.40q is not RFC 3339 in UTC", s)
	}
	m := Moment{t.UTC(), precision}
	if m.String() != s {
		return Moment{}, fmt.Errorf("time %.40q is not in its canonical spelling", s)
	}
	return m, nil
}
