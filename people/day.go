package people

import (
	"time"

	"guia"
)

// Day is a calendar day, counted from 1 January of the year 1, which is 1. The zero Day means that there is none.
type Day int32

// ParseDay reads "2026-03-01".
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return 0, guia.Refuse(guia.Invalid, "people.day", s)
	}
	return dayIn(t), nil
}

// DayOf returns the day of an instant in [guia.Zone].
func DayOf(t time.Time) Day { return dayIn(t.In(guia.Zone)) }

// String is "2026-03-01", and empty for no day.
func (d Day) String() string {
	if d == 0 {
		return ""
	}
	return d.midnight().Format(time.DateOnly)
}

// Before is the day before, and no day for none.
func (d Day) Before() Day { return max(d, 1) - 1 }

// midnight is the day's beginning as if it were a day in UTC.
func (d Day) midnight() time.Time { return dayZero.AddDate(0, 0, int(d)) }

var dayZero = time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)

// dayIn is the calendar day that t shows in its own zone.
func dayIn(t time.Time) Day {
	y, m, d := t.Date()
	const day = 24 * 60 * 60
	return Day((time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() - dayZero.Unix()) / day)
}

// dayOf is the day of a moment: what a source told as a day stays that day.
func dayOf(t time.Time, p guia.Precision) Day {
	if p == guia.Day {
		return dayIn(t.UTC())
	}
	return DayOf(t)
}

// start is when the day of a moment of that precision begins.
func (d Day) start(p guia.Precision) time.Time {
	if p == guia.Day {
		return d.midnight()
	}
	y, m, day := d.midnight().Date()
	return time.Date(y, m, day, 0, 0, 0, 0, guia.Zone)
}

// parsedDay reads the day of the fields valid.from and valid.until, of which only the day counts.
func parsedDay(s string) (Day, bool) {
	m, err := guia.ParseMoment(s)
	if err != nil {
		return 0, false
	}
	return dayOf(m.Time, m.Precision), true
}
