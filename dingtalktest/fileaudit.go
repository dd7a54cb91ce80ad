package dingtalktest

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

var auditCalls = []endpoint{
	{method: "GET", path: "/v1.0/exclusive/fileAuditLogs", scope: "Custom.OpFileAudit.Read", edition: Exclusive, do: fileAuditLogs},
}

// auditRow is one line of the file audit log. It names files and has no file id.
type auditRow struct {
	id       int64
	at       time.Time
	who      *person
	action   int
	file     *file
	platform int
	to       string // receiver: a group or a person
	toType   int
}

var (
	actionWords = map[int]string{
		0: "上传", 1: "删除", 2: "下载", 3: "预览", 4: "覆盖", 5: "创建外链", 6: "重命名", 7: "移动", 8: "复制/转发", 9: "离职交接", 10: "创建文档",
		11: "删除文档", 12: "导出文档", 13: "预览文档", 14: "还原文档", 15: "应用内分享文档", 16: "移动文档", 17: "创建副本", 18: "评论", 19: "导入", 20: "修改协作者",
		21: "重命名文档", 22: "撤回文件", 23: "上传知识库", 24: "文档企业公开", 25: "文档仅成员可见", 26: "知识库企业公开", 27: "知识库仅成员可见",
		28: "知识库添加成员", 29: "知识库移除成员", 30: "知识库修改成员", 31: "知识库预览", 32: "知识库下载", 33: "知识库移动",
	}
	platformWords = map[int]string{0: "iOS", 1: "Android", 2: "Web", 11: "Windows", 12: "Mac"}
	receiverWords = map[int]string{0: "单聊", 1: "群聊", 2: "钉盘", 3: "文档"}
)

// log writes a line. Rows are kept in the order of their moment and number, for the walk goes by these.
func (t *Tenant) log(at time.Time, who *person, action int, f *file, d *dice) *auditRow {
	r := &auditRow{id: 88_000_000_000 + t.next(), at: at, who: who, action: action, file: f, platform: pick(d, []int{0, 1, 2, 11, 12})}
	place, _ := slices.BinarySearchFunc(t.audit, r, func(a, b *auditRow) int {
		if o := a.at.Compare(b.at); o != 0 {
			return o
		}
		return int(a.id - b.id)
	})
	t.audit = slices.Insert(t.audit, place, r)
	return r
}

func (r *auditRow) row(c *company) object {
	ip := fmt.Sprintf("192.0.2.%d", 1+r.who.index%250) // RFC 5737: documentation addresses
	if r.who.kind == mainlander {
		ip = fmt.Sprintf("203.0.113.%d", 1+r.who.index%250)
	}
	o := object{
		"bizId": strconv.FormatInt(r.id, 10), "gmtCreate": r.at.UnixMilli(), "gmtModified": r.at.UnixMilli(), "userId": r.who.id, "realName": r.who.name,
		"operatorName": r.who.name, "orgName": c.name, "action": r.action, "actionView": actionWords[r.action], "operateModule": 1, "operateModuleView": "钉盘",
		"platform": r.platform, "platformView": platformWords[r.platform], "ipAddress": ip, "status": 0, "resource": r.file.name,
		"resourceExtension": r.file.extension(), "resourceSize": r.file.size(), "targetSpaceId": r.file.space.number,
	}
	if r.to != "" {
		o["receiverName"], o["receiverType"], o["receiverTypeView"] = r.to, r.toType, receiverWords[r.toType]
	}
	return o
}

// fileAuditLogs walks by key: the last row's moment and number, both or neither. The number is a text in the row and an integer here.
func fileAuditLogs(c *call) object {
	if !c.need("startDate", "endDate", "pageSize") {
		return nil
	}
	size := c.number("pageSize", 0)
	if size < 1 || size > 500 {
		return c.fail(newFault(400, "param.invalid", "pageSize最大500"))
	}
	_, m := c.arg("nextGmtCreate")
	_, k := c.arg("nextBizId")
	if m != k {
		return c.fail(newFault(400, "param.error", "nextGmtCreate和nextBizId必须同时传"))
	}
	from, until := c.milli("startDate"), c.milli("endDate")
	moment, id := c.number("nextGmtCreate", 0), c.number("nextBizId", 0)
	var page []*auditRow
	for _, r := range c.t.audit {
		at := r.at.UnixMilli()
		if r.at.Before(from) || r.at.After(until) || r.at.After(c.now) || k && (at < moment || at == moment && r.id <= id) {
			continue
		}
		if page = append(page, r); len(page) == int(size) {
			break
		}
	}
	rows := []object{}
	for _, r := range spoil(c, page) {
		rows = append(rows, r.row(c.t.company))
	}
	return object{"list": rows}
}
