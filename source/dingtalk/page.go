package dingtalk

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"guia/source"
)

// pager is a style of pagination (dingtalk-api.md 1.6). A place is printable text: "" is the first page, and the same place asks for the
// same page after a restart.
type pager uint8

const (
	single        pager = iota // everything in one answer
	byToken                    // maxResults, nextToken; ends without one
	byIntToken                 // nextToken from 0, hasMore
	byCursor                   // cursor from 0, size; next_cursor, has_more
	byOffset                   // offset from 0, size; hasMore
	byOffsetLimit              // the same, size is called limit
	byNextOffset               // offset from 0, size; next_cursor, absent at the end
	byPage                     // page from 1, page_size; ends with a short page
	byPageNumber               // pageNumber from 1, pageSize; ends with a short page
	byKeyset                   // nextGmtCreate and nextBizId of the last row, both or neither; ends with a short page
	byForward                  // cursor from 0, count, forward; nextCursor, hasNext
)

// args are the arguments of a call: values for places of the path, the query, and the body.
type args struct {
	path  []string
	query url.Values
	body  map[string]any
}

// set puts a value where the call takes it: the query of a GET, else the body.
func (a *args) set(e *endpoint, name string, value any) {
	if e.method == "GET" {
		if a.query == nil {
			a.query = url.Values{}
		}
		switch v := value.(type) {
		case string:
			a.query.Set(name, v)
		case int:
			a.query.Set(name, strconv.Itoa(v))
		case int64:
			a.query.Set(name, strconv.FormatInt(v, 10))
		}
		return
	}
	if a.body == nil {
		a.body = map[string]any{}
	}
	if e.wrap == "" {
		a.body[name] = value
		return
	}
	inner, ok := a.body[e.wrap].(map[string]any)
	if !ok {
		inner = map[string]any{}
		a.body[e.wrap] = inner
	}
	inner[name] = value
}

// clone is a copy that can be changed.
func (a args) clone() args {
	c := args{path: a.path}
	if a.query != nil {
		c.query = maps.Clone(a.query)
	}
	c.body = maps.Clone(a.body)
	for name, value := range c.body {
		if inner, ok := value.(map[string]any); ok {
			c.body[name] = maps.Clone(inner)
		}
	}
	return c
}

// paging is what answers say about the next page.
type paging struct {
	NextToken   text `json:"nextToken"`
	HasMore     flag `json:"hasMore"`
	HasMore2    flag `json:"has_more"`
	HasNext     flag `json:"hasNext"`
	NextCursor  text `json:"next_cursor"`
	NextCursor2 text `json:"nextCursor"`
}

// rowsPage is one page of rows.
type rowsPage struct {
	*answer
	rows []json.RawMessage
	next string
	more bool
}

// apply puts a place into the arguments; false when it is no place of this style.
func (s pager) apply(e *endpoint, a *args, place string) bool {
	if s == single {
		return place == ""
	}
	if s == byToken {
		a.set(e, "maxResults", e.size)
		if place != "" {
			a.set(e, "nextToken", place)
		}
		return true
	}
	if s == byKeyset {
		a.set(e, "pageSize", e.size)
		if place == "" {
			return true
		}
		created, biz, ok := strings.Cut(place, " ")
		if !ok || !digits(created) || !digits(biz) {
			return false
		}
		a.set(e, "nextGmtCreate", created)
		a.set(e, "nextBizId", biz)
		return true
	}
	n := int64(0)
	if place != "" {
		if !digits(place) {
			return false
		}
		n, _ = strconv.ParseInt(place, 10, 64)
	}
	names := map[pager][2]string{
		byIntToken: {"nextToken", "maxResults"}, byCursor: {"cursor", "size"}, byOffset: {"offset", "size"}, byOffsetLimit: {"offset", "limit"},
		byNextOffset: {"offset", "size"}, byPage: {"page", "page_size"}, byPageNumber: {"pageNumber", "pageSize"}, byForward: {"cursor", "count"},
	}[s]
	if s == byPage || s == byPageNumber {
		n = max(n, 1)
	}
	a.set(e, names[0], n)
	a.set(e, names[1], e.size)
	if s == byForward {
		a.set(e, "forward", "true")
	}
	return true
}

func digits(s string) bool {
	return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == ""
}

// follow finds the place of the next page; more is false at the end.
func (s pager) follow(e *endpoint, place string, p *paging, rows []json.RawMessage) (next string, more bool, err error) {
	at := int64(0)
	if digits(place) {
		at, _ = strconv.ParseInt(place, 10, 64)
	}
	switch s {
	case single:
		return "", false, nil
	case byToken:
		next, more = string(p.NextToken), p.NextToken != ""
	case byIntToken:
		next, more = string(p.NextToken), bool(p.HasMore)
	case byCursor:
		next, more = string(p.NextCursor), bool(p.HasMore2)
	case byForward:
		next, more = string(p.NextCursor2), bool(p.HasNext)
	case byOffset, byOffsetLimit:
		next, more = strconv.FormatInt(at+int64(e.size), 10), bool(p.HasMore)
	case byNextOffset:
		next, more = string(p.NextCursor), p.NextCursor != ""
	case byPage, byPageNumber:
		next, more = strconv.FormatInt(max(at, 1)+1, 10), len(rows) >= e.size
	case byKeyset:
		if more = len(rows) >= e.size; more {
			var last struct {
				GmtCreate number `json:"gmtCreate"`
				BizID     text   `json:"bizId"`
			}
			if err := read(rows[len(rows)-1], &last); err != nil {
				return "", false, err
			}
			next = last.GmtCreate.String() + " " + string(last.BizID)
			if !digits(string(last.BizID)) {
				return "", false, errOdd
			}
		}
	}
	if !more {
		return "", false, nil
	}
	counted := s != byToken && s != byKeyset
	if next == place || next == "" || len(next) > maxPlace || counted && !digits(next) { // a token that leads nowhere or in a circle
		return "", false, errOdd
	}
	return next, true, nil
}

// maxPlace is the longest place of a page; with what stands around it, a cursor stays below 4096 bytes.
const maxPlace = 1000

// page asks for one page of rows.
func (c *Client) page(ctx context.Context, job Job, e *endpoint, a args, place string) (rowsPage, error) {
	a = a.clone()
	if !e.style.apply(e, &a, place) {
		return rowsPage{}, source.RefuseCursor()
	}
	ans, err := c.call(ctx, job, e, a)
	if err != nil {
		return rowsPage{}, err
	}
	p := rowsPage{answer: ans}
	odd := func(error) (rowsPage, error) {
		return rowsPage{}, (&Fault{Kind: Unexpected, API: e.String(), Request: ans.request}).refusal()
	}
	if p.rows, err = list(ans.body, e.rows); err != nil {
		return odd(err)
	}
	var around paging
	where, _, _ := strings.Cut(e.rows, ".")
	inner, err := dig(ans.body, where)
	if err != nil {
		return odd(err)
	}
	if err := read(ans.body, &around); err != nil {
		return odd(err)
	}
	if bytes.HasPrefix(inner, []byte("{")) {
		if err := read(inner, &around); err != nil { // what stands beside the rows wins
			return odd(err)
		}
	}
	if p.next, p.more, err = e.style.follow(e, place, &around, p.rows); err != nil {
		return odd(err)
	}
	return p, nil
}

// all asks for all pages and hands each to fn.
func (c *Client) all(ctx context.Context, job Job, e *endpoint, a args, fn func(rowsPage) error) error {
	for place := ""; ; {
		p, err := c.page(ctx, job, e, a, place)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil || !p.more {
			return err
		}
		place = p.next
	}
}
