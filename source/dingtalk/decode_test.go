package dingtalk

import (
	"encoding/json"
	"strings"
	"testing"

	"guia"
	"guia/source"
)

func TestValuesAreReadAsTheReferenceShowsThem(t *testing.T) {
	type row struct {
		T text   `json:"t"`
		N number `json:"n"`
		F flag   `json:"f"`
	}
	for body, want := range map[string]row{
		`{}`:                                {},
		`{"t":null,"n":null,"f":null}`:      {},
		`{"t":"a","n":7,"f":true}`:          {"a", 7, true},
		`{"t":7,"n":"7","f":"true"}`:        {"7", 7, true},
		`{"t":true,"n":"","f":"Y"}`:         {"true", 0, true},
		`{"t":"","n":-3,"f":1}`:             {"", -3, true},
		`{"n":9007199254740993,"f":"N"}`:    {"", 9007199254740993, false},
		`{"n":"7.0","f":"0","more":[1,{}]}`: {"", 7, false},
	} {
		var got row
		if err := read([]byte(body), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{`{"t":[]}`, `{"t":{}}`, `{"n":"x"}`, `{"n":7.5}`, `{"n":99999999999999999999}`, `{"f":"perhaps"}`, `{"f":[]}`, `{} {}`, `{`, ``, `7`, `[]`} {
		var got row
		if err := read([]byte(body), &got); err == nil {
			t.Errorf("%s is read as %+v", body, got)
		} else if strings.Contains(err.Error(), "perhaps") || strings.Contains(err.Error(), "99999") {
			t.Errorf("the error repeats the value: %v", err)
		}
	}
}

func TestListsMayBeMissing(t *testing.T) {
	for body, want := range map[string]int{`{}`: 0, `{"result":null}`: 0, `{"result":{}}`: 0, `{"result":{"list":null}}`: 0, `{"result":{"list":[]}}`: 0, `{"result":{"list":[1,2]}}`: 2, `{"result":[]}`: -1, `{"result":{"list":{}}}`: -1} {
		rows, err := list([]byte(body), "result.list")
		if (err != nil) != (want < 0) || want >= 0 && len(rows) != want {
			t.Errorf("%s: %d rows, %v", body, len(rows), err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"t":"a","n":"7","f":"Y","l":[1,"2"]}`, `{"t":1e9}`, `{"n":-0}`, `{} x`, "{\"t\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got struct {
			T text   `json:"t"`
			N number `json:"n"`
			F flag   `json:"f"`
			L []text `json:"l"`
		}
		if read(body, &got) == nil && !json.Valid(body) {
			t.Fatalf("%q is no JSON and was read", body)
		}
		_, _ = list(body, "a.b")
	})
}

// FuzzRows reads any bytes as the rows of every feed.
func FuzzRows(f *testing.F) {
	for _, s := range []string{
		`{"bizId":"1","gmtCreate":1,"action":5,"docMemberList":[{"memberName":"a"}]}`, `{"userid":"a","dept_id_list":[1,"2"],"state_code":"86"}`,
		`{"id":1,"userId":"a","userCheckTime":"1"}`, `{"conferenceId":"c","startTime":1}`, `{"id":"d","type":"FILE","modifiedTime":"2022-07-29T14:55Z"}`,
		`{"unionId":"u","joinTime":1650000000}`, `{"id":"n","gmtCreate":"2024-01-01 10:00:00"}`, "{\"userid\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	s := &Source{c: &Client{cfg: Config{CorpID: "c"}}, feed: feedDirectory}
	a := &answer{api: apiUsers}
	t0 := &tree{by: map[number]string{1: "", 2: "a"}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 {
			return
		}
		p := rowsPage{answer: a, rows: []json.RawMessage{raw}}
		all := each(s, p, func(u user, raw []byte) []source.Record { return []source.Record{s.person(&u, t0, raw, a)} })
		all = append(all, each(s, p, func(r attendanceRow, raw []byte) []source.Record { return []source.Record{s.clocked(&r, raw, a)} })...)
		all = append(all, each(s, p, func(r fileLogRow, raw []byte) []source.Record { return []source.Record{s.logged(&r, raw, a)} })...)
		all = append(all, each(s, p, func(r member, raw []byte) []source.Record { return []source.Record{s.joined("m", &r, raw, a)} })...)
		all = append(all, each(s, p, func(r noticeRow, raw []byte) []source.Record { return s.published("n", &r, a) })...)
		for _, r := range all {
			if r.Key == "" || r.Sender != (source.Person{}) && r.Sender.ID == "" {
				t.Fatalf("%q gives %+v", raw, r)
			}
			if _, err := guia.ParseMoment(r.Time.String()); r.HasTime && err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
		}
	})
}

func TestTimesKeepTheirPrecisionAndSayTheirZone(t *testing.T) {
	for s, want := range map[string]string{
		"2022-01-01T10:00:00Z": "2022-01-01T10:00:00Z source UTC", "2022-07-29T14:55Z": "2022-07-29T14:55Z source", "2024-03-01 08:00:00": "2024-03-01T00:00:00Z assumed +08:00",
		"1650000000000": "2022-04-15T05:20:00.000Z source", "1628650483": "2021-08-11T02:54:43Z source", "": "none", "soon": "none", "2024-03-01": "2024-03-01 assumed",
	} {
		var r source.Record
		inWords(&r, s)
		got := r.TimeBasis
		if r.HasTime {
			got = r.Time.String() + " " + got + " " + r.TimeZone
		}
		if !strings.HasPrefix(got, strings.TrimSuffix(want, " UTC")) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
