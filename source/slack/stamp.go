package slack

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// stamp is a time as Slack writes it: seconds since 1970, in messages with six digits after the point, which together make the
// message unique in its conversation. A number is accepted for a string; it is kept as written.
type stamp string

// UnmarshalJSON never fails: what is no stamp becomes text that [stamp.moment] refuses, or nothing when it is too long for one.
func (s *stamp) UnmarshalJSON(b []byte) error {
	switch text := ""; {
	case len(b) > 64 || string(b) == "null":
		*s = ""
	case json.Unmarshal(b, &text) == nil:
		*s = stamp(text)
	default:
		*s = stamp(strings.ToValidUTF8(string(b), "\uFFFD"))
	}
	return nil
}

// moment returns the instant, with the precision of the digits written.
func (s stamp) moment() (guia.Moment, bool) {
	whole, fraction, point := strings.Cut(string(s), ".")
	if len(whole) > 12 || !digits(whole) || point && (len(fraction) > 9 || !digits(fraction)) {
		return guia.Moment{}, false
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds == 0 || seconds > 253402300799 { // the year 9999; 0 is how an absent time is written
		return guia.Moment{}, false
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return guia.Moment{}, false
	}
	precision := guia.Second
	switch n := len(fraction); {
	case n > 6:
		precision = guia.Nanosecond
	case n > 3:
		precision = guia.Microsecond
	case n > 0:
		precision = guia.Millisecond
	}
	return guia.Moment{Time: time.Unix(seconds, nanos).UTC(), Precision: precision}, true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// into sets the time of a record, as far as there is one.
func (s stamp) into(r *source.Record) {
	r.TimeOriginal, r.TimeBasis = string(s), "none"
	r.Time, r.HasTime = s.moment()
	if r.HasTime {
		r.TimeZone, r.TimeBasis = "UTC", "source"
	}
}
