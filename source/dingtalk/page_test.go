package dingtalk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/source"
)

// listing answers seven rows in pages of three, in each style as dingtalk-api.md 1.6 describes it.
func listing(t *testing.T) *httptest.Server {
	rows := []string{}
	for i := range 7 {
		rows = append(rows, fmt.Sprintf(`{"n":%d,"gmtCreate":%d,"bizId":"%d"}`, i, 100+i/2, 50-i))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arg := map[string]any{}
		for k, v := range r.URL.Query() {
			arg[k] = v[0]
		}
		if body, err := io.ReadAll(r.Body); err != nil || len(body) > 0 && json.Unmarshal(body, &arg) != nil {
			t.Error("body", err)
		}
		if inner, ok := arg["option"].(map[string]any); ok {
			arg = inner
		}
		number := func(name string) int { n, _ := strconv.Atoi(fmt.Sprint(arg[name])); return n }
		page := func(from int) string {
			return "[" + strings.Join(rows[min(from, 7):min(from+3, 7)], ",") + "]"
		}
		first := func(name string, want any) {
			if _, ok := arg[name]; !ok {
				t.Errorf("%s: no %s", r.URL.Path, name)
			}
			if want != nil && fmt.Sprint(arg[name]) != fmt.Sprint(want) {
				t.Errorf("%s: %s is %v, want %v", r.URL.Path, name, arg[name], want)
			}
		}
		switch r.URL.Path {
		case "/v1.0/token/a%2Fb", "/v1.0/token/a/b", "/v1.0/option":
			first("maxResults", 3)
			at, next := 0, ""
			if s, ok := arg["nextToken"].(string); ok {
				at, _ = strconv.Atoi(strings.TrimPrefix(s, "+/= "))
			}
			if at+3 < 7 {
				next = fmt.Sprintf(`,"nextToken":"+/= %d"`, at+3)
			}
			fmt.Fprintf(w, `{"rows":%s%s}`, page(at), next)
		case "/v1.0/int":
			first("nextToken", nil)
			at := number("nextToken")
			fmt.Fprintf(w, `{"rows":%s,"hasMore":%t,"nextToken":%d}`, page(at), at+3 < 7, at+3)
		case "/topapi/cursor":
			first("size", 3)
			at := number("cursor")
			fmt.Fprintf(w, `{"errcode":0,"result":{"rows":%s,"has_more":"%t","next_cursor":%d}}`, page(at), at+3 < 7, at+3)
		case "/topapi/offset":
			first("size", 3)
			at := number("offset")
			fmt.Fprintf(w, `{"errcode":0,"result":{"rows":%s,"hasMore":%t}}`, page(at), at+3 < 7)
		case "/topapi/limit":
			first("limit", 3)
			at := number("offset")
			fmt.Fprintf(w, `{"errcode":0,"rows":%s,"hasMore":%t}`, page(at), at+3 < 7)
		case "/topapi/nextoffset":
			at, next := number("offset"), ""
			if at+3 < 7 {
				next = fmt.Sprintf(`,"next_cursor":%d`, at+3)
			}
			fmt.Fprintf(w, `{"errcode":0,"result":{"rows":%s%s}}`, page(at), next)
		case "/topapi/page":
			first("page_size", 3)
			fmt.Fprintf(w, `{"errcode":0,"result":%s}`, page((number("page")-1)*3))
		case "/v1.0/pagenumber":
			first("pageSize", 3)
			fmt.Fprintf(w, `{"data":%s}`, page((number("pageNumber")-1)*3))
		case "/v1.0/keyset":
			at := 0
			if arg["nextBizId"] != nil {
				at = 51 - number("nextBizId")
				first("nextGmtCreate", 100+(at-1)/2)
			}
			fmt.Fprintf(w, `{"list":%s}`, page(at))
		case "/v1.0/forward":
			first("forward", nil)
			first("count", 3)
			at := number("cursor")
			fmt.Fprintf(w, `{"items":%s,"hasNext":%t,"nextCursor":"%d"}`, page(at), at+3 < 7, at+3)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestEveryStyleOfPagesIsReadToTheEndAndFromEveryPlace(t *testing.T) {
	server := listing(t)
	c, err := New(Config{CorpID: "c", AppKey: "k", AppSecret: "s", API: server.URL, OAPI: server.URL, Wait: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.token, c.expires = "t", time.Now().Add(time.Hour)
	for _, e := range []*endpoint{
		{method: "GET", path: "/v1.0/token/{x}", style: byToken, rows: "rows"},
		{method: "POST", path: "/v1.0/option", wrap: "option", style: byToken, rows: "rows"},
		{method: "GET", path: "/v1.0/int", style: byIntToken, rows: "rows"},
		{method: "POST", path: "/topapi/cursor", old: true, style: byCursor, rows: "result.rows"},
		{method: "POST", path: "/topapi/offset", old: true, style: byOffset, rows: "result.rows"},
		{method: "POST", path: "/topapi/limit", old: true, style: byOffsetLimit, rows: "rows"},
		{method: "POST", path: "/topapi/nextoffset", old: true, style: byNextOffset, rows: "result.rows"},
		{method: "POST", path: "/topapi/page", old: true, style: byPage, rows: "result"},
		{method: "POST", path: "/v1.0/pagenumber", style: byPageNumber, rows: "data"},
		{method: "GET", path: "/v1.0/keyset", style: byKeyset, rows: "list"},
		{method: "GET", path: "/v1.0/forward", style: byForward, rows: "items"},
	} {
		e.size, e.exempt = 3, true
		a := args{}
		if strings.Contains(e.path, "{") {
			a.path = []string{"a/b"}
		}
		var places []string
		var whole []string
		for place := ""; ; {
			p, err := c.page(t.Context(), JobBase, e, a, place)
			if err != nil {
				t.Fatalf("%s at %q: %v", e, place, err)
			}
			for _, row := range p.rows {
				whole = append(whole, string(row))
			}
			if !p.more {
				break
			}
			places = append(places, p.next)
			place = p.next
		}
		if len(whole) != 7 || len(slices.Compact(slices.Clone(whole))) != 7 || len(places) != 2 {
			t.Errorf("%s: %d rows at %q", e, len(whole), places)
		}
		for i, place := range places { // after a restart, and backwards
			p, err := c.page(t.Context(), JobBase, e, a, places[len(places)-1-i])
			if err != nil || len(p.rows) == 0 || string(p.rows[0]) != whole[3*(len(places)-i)] {
				t.Errorf("%s at %q: %v", e, place, err)
			}
		}
		if e.style != byToken {
			if _, err := c.page(t.Context(), JobBase, e, a, "nonsense"); guia.KindOf(err) != guia.Invalid {
				t.Errorf("%s: a foreign place: %v", e, err)
			}
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add("", `{"nextToken":"a","hasMore":true}`)
	f.Add("7 8", `{"next_cursor":7,"has_more":"true"}`)
	f.Add("12", `{"nextCursor":"x","hasNext":1}`)
	f.Fuzz(func(t *testing.T, place, body string) {
		var around paging
		if !fits([]byte(body), &around) {
			return
		}
		rows := []json.RawMessage{[]byte(`{}`), []byte(body)}
		for s := single; s <= byForward; s++ {
			e := &endpoint{method: "POST", path: "/x", style: s, size: 2}
			if a := (args{}); !s.apply(e, &a, place) {
				continue
			}
			next, more, err := s.follow(e, place, &around, rows)
			if err != nil || !more {
				continue
			}
			if next == "" || next == place || len(next) > maxPlace {
				t.Fatalf("style %d goes from %q to %q", s, place, next)
			}
			if a := (args{}); !s.apply(e, &a, next) {
				t.Fatalf("style %d names %q, which is no place", s, next)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, c := range []string{"", "1 0 1 0 .", "1 5 6 5 .", "1 1 2 1 .a+b", "1 2 1 0 .", "2 0 0 0 .", "1 00 1 0 ."} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, c string) {
		s := &Source{feed: feedDirectory, opt: Options{Backfill: time.Hour}}
		p, err := s.parse(source.Cursor(c), time.Now())
		if err != nil {
			if guia.KindOf(err) != guia.Invalid {
				t.Fatal(err)
			}
			return
		}
		if c != "" && string(p.cursor()) != c {
			t.Fatalf("%q is read as %q", c, p.cursor())
		}
	})
}
