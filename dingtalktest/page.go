package dingtalktest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cut is one page: the rows from start on, and where the next page starts. The rows of a walk keep their order; what is put
// before the place a walk has reached makes a row come twice, as with DingTalk's own offsets.
func cut[T any](c *call, rows []T, start, size int) (page []T, next int, more bool) {
	if start > len(rows) {
		start = len(rows)
	}
	page = rows[start:min(start+size, len(rows))]
	next = start + len(page)
	return spoil(c, page), next, next < len(rows)
}

// spoil makes the page worse where that was ordered.
func spoil[T any](c *call, page []T) []T {
	if len(c.t.trouble) == 0 || len(page) == 0 {
		return page
	}
	page = slices.Clone(page)
	p := c.path()
	if c.t.takes(DropRow, p) {
		page = slices.Delete(page, len(page)/2, len(page)/2+1)
	}
	if len(page) > 0 && c.t.takes(DuplicateRow, p) {
		page = append(page, page[len(page)/2])
	}
	if c.t.takes(ReorderRows, p) {
		slices.Reverse(page)
	}
	return page
}

// path is the path that was called.
func (c *call) path() string {
	p := c.end.path
	for k, v := range c.names {
		p = strings.Replace(p, "{"+k+"}", v, 1)
	}
	return p
}

// small is the size of a page with a token or cursor: such a page may be shorter than was asked.
func (c *call) small(size int) int {
	if l := c.t.options.PageLimit; l > 0 && l < size {
		return l
	}
	return size
}

// byToken pages with an opaque text that is absent on the first page and empty at the end.
func byToken[T any](c *call, rows []T, size int) (page []T, token string) {
	asked := c.text("nextToken")
	start, ok := c.position(asked)
	if !ok {
		c.fail(&fault{status: 400, code: "paramError.nextToken", errcode: 40068, message: "nextToken不合法"})
		return nil, ""
	}
	page, next, more := cut(c, rows, start, c.small(size))
	if !more {
		return page, ""
	}
	return page, c.token(asked, next)
}

// byNumber pages with a number and a flag.
func byNumber[T any](c *call, rows []T, name string, size int) (page []T, next int, more bool) {
	start := int(c.number(name, 0))
	if start < 0 {
		c.fail(&fault{status: 400, code: "paramError." + name, errcode: 40068, message: name + "不合法"})
		return nil, 0, false
	}
	page, next, more = cut(c, rows, start, c.small(size))
	if more && c.t.takes(LoopToken, c.path()) {
		next = start
	}
	return page, next, more
}

// byOffset pages with a number that the caller adds to; a short page would lose rows, so these are never made smaller.
func byOffset[T any](c *call, rows []T, size int) (page []T, more bool) {
	start := c.number("offset", 0)
	if start < 0 {
		c.fail(oldFault(40068, "不合法的偏移量"))
		return nil, false
	}
	page, _, more = cut(c, rows, int(start), size)
	return page, more
}

// byPage pages with a number that begins at one.
func byPage[T any](c *call, rows []T, name string, size int) []T {
	n := c.number(name, 1)
	if n < 1 {
		c.fail(wrong(name))
		return nil
	}
	page, _, _ := cut(c, rows, (int(n)-1)*size, size)
	return page
}

// token is the place of the next page, unreadable and good for this feed only.
func (c *call) token(asked string, next int) string {
	p := c.path()
	if c.t.takes(LoopToken, p) && asked != "" {
		return asked
	}
	mark := fmt.Sprintf("%x", roll(c.t.company.spec.Seed, p, int64(next)))
	if c.t.takes(DeadToken, p) {
		mark = "dead"
	}
	return base64.StdEncoding.EncodeToString([]byte(mark + " " + strconv.Itoa(next)))
}

func (c *call) position(token string) (int, bool) {
	if token == "" || token == "0" {
		return 0, true
	}
	b, err := base64.StdEncoding.DecodeString(token)
	mark, place, _ := strings.Cut(string(b), " ")
	n, bad := strconv.Atoi(place)
	if err != nil || bad != nil || mark != fmt.Sprintf("%x", roll(c.t.company.spec.Seed, c.path(), int64(n))) {
		return 0, false
	}
	return n, true
}
