package dingtalk

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// isDeferral reports whether the budget has forbidden a call.
func isDeferral(err error) bool {
	_, ok := errors.AsType[*Deferral](err)
	return ok
}

// digest tells rows apart that have no identifier.
func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}

// lines writes names and values below each other and leaves out what is empty. It is the text of a record that nobody wrote: what can
// be searched, and by what a changed row is known.
func lines(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			b.WriteString(pairs[i] + ": " + strings.ReplaceAll(pairs[i+1], "\n", " ") + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func yes(f flag) string {
	if f {
		return "yes"
	}
	return "no"
}

// inMillis sets the time of a record from milliseconds since 1970. Some samples have seconds (dingtalk-api.md 1.7).
func inMillis(r *source.Record, n number) {
	if n <= 0 || n > 253402300799999 {
		r.TimeBasis = "none"
		return
	}
	r.HasTime, r.TimeBasis, r.TimeZone, r.TimeOriginal = true, "source", "UTC", n.String()
	r.Time = guia.Moment{Time: time.UnixMilli(int64(n)).UTC(), Precision: guia.Millisecond}
	if n < 100_000_000_000 {
		r.Time = guia.Moment{Time: time.Unix(int64(n), 0).UTC(), Precision: guia.Second}
	}
}

// inWords sets the time of a record from one of the other spellings: ISO 8601 with a zone, to the minute or finer; or without one, by
// the clock of DingTalk's servers, which is an assumption.
func inWords(r *source.Record, s string) {
	for _, l := range []struct {
		layout    string
		precision guia.Precision
		zoned     bool
	}{
		{"2006-01-02T15:04:05Z07:00", guia.Second, true},
		{"2006-01-02T15:04Z07:00", guia.Minute, true},
		{"2006-01-02 15:04:05", guia.Second, false},
		{"2006-01-02T15:04:05", guia.Second, false},
		{"2006-01-02 15:04", guia.Minute, false},
		{"2006-01-02", guia.Day, false},
	} {
		t, err := time.ParseInLocation(l.layout, s, serverTime)
		if err != nil || t.Year() < 1 || t.Year() > 9999 {
			continue
		}
		r.HasTime, r.TimeBasis, r.TimeZone, r.TimeOriginal = true, "assumed", "+08:00", s
		if l.zoned {
			r.TimeBasis, r.TimeZone = "source", t.Format("-07:00")
		}
		if l.precision == guia.Day {
			t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		}
		if t.Nanosecond() != 0 {
			l.precision = guia.Nanosecond
		}
		r.Time = guia.Moment{Time: t.UTC(), Precision: l.precision}
		return
	}
	if n := number(0); digits(s) && n.UnmarshalJSON([]byte(s)) == nil {
		inMillis(r, n)
		return
	}
	r.TimeBasis = "none"
}

// regionOf is the country of a region as DingTalk names it (dingtalk-api.md 10, 11); empty when it is not known, which counts as outside
// of Macau.
func regionOf(region string) (country string) {
	switch r := strings.ToUpper(region); {
	case r == "ZHANGJIAKOU", r == "SHENZHEN", r == "SHANGHAI", strings.HasPrefix(r, "CN-") && r != "CN-HONGKONG":
		return "CN"
	case r == "CN-HONGKONG":
		return "HK"
	case r == "SINGAPORE", r == "AP-SOUTHEAST-1":
		return "SG"
	}
	return ""
}

// inRegion sets where a datum is kept.
func inRegion(r *source.Record, region, basis string) {
	r.Extra.Set("region", region)
	if country := regionOf(region); country != "" {
		r.Extra.Set("place", country)
		r.Extra.Set("place.basis", basis)
	}
}
