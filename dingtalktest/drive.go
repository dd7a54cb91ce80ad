package dingtalktest

import (
	"path"
	"slices"
	"strings"
	"time"
)

var driveCalls = []endpoint{
	{method: "GET", path: "/v1.0/drive/spaces", scope: "Drive.Space.Read", do: listSpaces},
	{method: "GET", path: "/v1.0/storage/spaces/{spaceId}", scope: "Storage.Space.Read", do: getSpace},
	{method: "GET", path: "/v1.0/storage/orgs/{corpId}", scope: "Storage.Org.Read", do: orgStorage},
	{method: "GET", path: "/v1.0/storage/spaces/{spaceId}/dentries", scope: "Storage.File.Read", do: listDentries},
	{method: "POST", path: "/v1.0/storage/spaces/{spaceId}/dentries/listAll", scope: "Storage.File.Read", do: listAllDentries},
	{method: "POST", path: "/v1.0/storage/spaces/{spaceId}/dentries/query", scope: "Storage.File.Read", do: getDentries},
	{method: "POST", path: "/v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/query", scope: "Storage.File.Read", do: getDentry},
	{method: "GET", path: "/v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/versions", scope: "Storage.File.Read", do: listVersions},
	{method: "POST", path: "/v2.0/storage/spaces/dentries/{dentryUuid}/permissions/query", scope: "Storage.Permission.Read", do: listPermissions},
	{method: "GET", path: "/v2.0/storage/spaces/dentries/{dentryUuid}/permissions/inheritances", scope: "Storage.Permission.Read", do: getInheritance},
	{method: "GET", path: "/v2.0/storage/spaces/dentries/{dentryUuid}/permissions/scopes", do: getShareScope},
	{method: "GET", path: "/v1.0/drive/spaces/{spaceId}/files/{fileId}/permissions", do: oldPermissions},
	{method: "POST", path: "/v1.0/storage/events/subscribe", scope: "Storage.Event.Write", do: subscribeStorage},
	{method: "GET", path: "/v1.0/storage/recycleBins", scope: "Storage.RecycleBin.Read", do: recycleBin},
	{method: "GET", path: "/v1.0/storage/recycleBins/{recycleBinId}/recycleItems", scope: "Storage.RecycleBin.Read", do: recycleItems},
}

// minute is the precision that storage and approvals sometimes write moments with.
const minuteTime = "2006-01-02T15:04Z"

func written(m time.Time) string {
	if m.Second()%5 == 0 { // some rows have the short form
		return m.UTC().Format(minuteTime)
	}
	return m.UTC().Format(time.RFC3339)
}

func (f *file) dentry() object {
	o := object{
		"id": f.id, "uuid": f.uuid, "spaceId": f.space.id, "parentId": f.parent, "type": "FILE", "name": f.name, "path": f.path(), "version": f.version,
		"status": "NORMAL", "creatorId": f.creator.union, "modifierId": f.modifier.union, "createTime": written(f.created), "modifiedTime": written(f.modified),
		"partitionType": "PUBLIC_OSS_PARTITION", "storageDriver": "DINGTALK", "properties": object{"readOnly": false}, "appProperties": object{},
	}
	if f.folder {
		o["type"] = "FOLDER"
		return o
	}
	o["extension"], o["size"] = f.extension(), f.size()
	if strings.HasPrefix(f.extension(), "a") { // online documents: axls, adoc
		o["storageDriver"] = "ALIDOC"
	}
	return o
}

func category(ext string) string {
	if slices.Contains([]string{"png", "jpg"}, ext) {
		return "IMAGE"
	}
	return "DOCUMENT"
}

// acting is the person that a storage call is made as. A pull sees what that person may see.
func (c *call) acting() *person {
	if !c.need("unionId") {
		return nil
	}
	p := c.t.company.byUnion(c.text("unionId"))
	if p == nil {
		c.fail(newFault(400, "paramError.unionId", "unionId不合法"))
	}
	return p
}

// sees is true for the administrator, the members of the space's department and, in the company's space, everybody.
func (c *call) sees(p *person, s *space) bool {
	return c.t.company.admins[p.index] > 0 || s.dept == 0 || s.dept == p.dept
}

func (c *call) space() *space {
	p := c.acting()
	if p == nil {
		return nil
	}
	s := c.t.files.spaces[c.text("spaceId")]
	switch {
	case s == nil:
		c.fail(newFault(404, "spaceNotExist", "空间不存在"))
		return nil
	case !c.sees(p, s):
		c.fail(newFault(403, "permissionDenied", "没有权限"))
		return nil
	}
	return s
}

func (c *call) file(name string) *file {
	s := c.space()
	if s == nil {
		return nil
	}
	f := c.t.files.find(c.text(name))
	if f == nil || f.space != s {
		c.fail(newFault(404, "dentryNotExist", "文件不存在"))
		return nil
	}
	return f
}

func listSpaces(c *call) object {
	p := c.acting()
	if p == nil || !c.need("spaceType", "maxResults") {
		return nil
	}
	if c.text("spaceType") != "org" {
		return c.fail(newFault(400, "param.error", "spaceType不合法"))
	}
	var in []*space
	for _, s := range c.t.files.order {
		if c.sees(p, s) {
			in = append(in, s)
		}
	}
	page, token := byToken(c, in, c.size("maxResults", 20, 50))
	rows := []object{}
	for _, s := range page {
		rows = append(rows, object{
			"spaceId": s.id, "spaceName": s.name, "spaceType": "org", "quota": int64(100) << 30, "usedQuota": s.used(), "permissionMode": "acl",
			"createTime": written(s.created), "modifyTime": written(s.created),
		})
	}
	return object{"spaces": rows, "nextToken": token}
}

func partitions(used int64) []object {
	return []object{{"partitionType": "PUBLIC_OSS_PARTITION", "quota": object{"used": used, "max": int64(100) << 30, "reserved": 0, "type": "SHARE"}}}
}

func getSpace(c *call) object {
	s := c.space()
	if s == nil {
		return nil
	}
	return object{"space": object{
		"id": s.id, "corpId": c.t.company.id, "name": s.name, "ownerType": "USER", "ownerId": s.owner.union, "creatorId": s.owner.union, "modifierId": s.owner.union,
		"quota": int64(100) << 30, "usedQuota": s.used(), "status": "NORMAL", "scene": "org", "sceneId": "0",
		"capabilities": object{"canSearch": true, "canRename": true, "canRecordRecentFile": true}, "partitions": partitions(s.used()),
		"createTime": written(s.created), "modifiedTime": written(s.created),
	}}
}

func orgStorage(c *call) object {
	if c.acting() == nil {
		return nil
	}
	var used int64
	for _, s := range c.t.files.order {
		used += s.used()
	}
	return object{"org": object{"corpId": c.t.company.id, "partitions": partitions(used)}}
}

// sorted is by the order that was asked for, newest first when none was; what changes while a walk goes on moves in it.
func sorted(c *call, files []*file) []*file {
	key, up := c.text("orderBy"), strings.EqualFold(c.text("order"), "ASC")
	slices.SortStableFunc(files, func(a, b *file) int {
		var o int
		switch key {
		case "NAME":
			o = strings.Compare(a.name, b.name)
		case "SIZE":
			o = int(a.size() - b.size())
		case "CREATE_TIME":
			o = a.created.Compare(b.created)
		default:
			o = a.modified.Compare(b.modified)
		}
		if !up {
			o = -o
		}
		if o == 0 {
			o = strings.Compare(a.id, b.id)
		}
		return o
	})
	return files
}

func listDentries(c *call) object {
	s := c.space()
	if s == nil || !c.need("parentId") {
		return nil
	}
	var in []*file
	for _, f := range s.files {
		if f.parent == c.text("parentId") && f.deleted.IsZero() {
			in = append(in, f)
		}
	}
	o := dentries(c, sorted(c, in), c.size("maxResults", 20, 50))
	for _, d := range o["dentries"].([]object) { // this call only says the category
		if ext, ok := d["extension"].(string); ok {
			d["category"] = category(ext)
		}
	}
	return o
}

func dentries(c *call, in []*file, size int) object {
	page, token := byToken(c, in, size)
	rows := []object{}
	for _, f := range page {
		rows = append(rows, f.dentry())
	}
	return object{"dentries": rows, "nextToken": token}
}

func listAllDentries(c *call) object {
	s := c.space()
	if s == nil {
		return nil
	}
	option := c.in("option")
	var in []*file
	for _, f := range s.files {
		if f.deleted.IsZero() {
			in = append(in, f)
		}
	}
	o := dentries(option, sorted(option, in), option.size("maxResults", 20, 50))
	c.bad = option.bad
	return o
}

func getDentry(c *call) object {
	f := c.file("dentryId")
	if f == nil {
		return nil
	}
	if !f.deleted.IsZero() {
		return c.fail(newFault(404, "dentryNotExist", "文件不存在"))
	}
	return object{"dentry": f.dentry()}
}

func getDentries(c *call) object {
	s := c.space()
	if s == nil || !c.need("dentryIds") {
		return nil
	}
	rows := []object{}
	for _, id := range c.list("dentryIds") {
		f := c.t.files.find(id)
		if f == nil || f.space != s || !f.deleted.IsZero() {
			rows = append(rows, object{"spaceId": s.id, "dentryId": id, "success": false, "errorCode": "dentryNotExist"})
			continue
		}
		rows = append(rows, object{"spaceId": s.id, "dentryId": id, "success": true, "dentry": f.dentry()})
	}
	return object{"resultItems": rows}
}

func listVersions(c *call) object {
	f := c.file("dentryId")
	if f == nil {
		return nil
	}
	var all []object
	for v := f.version; v >= 1; v-- {
		o := f.dentry()
		o["version"], o["size"] = v, f.sizeOf(v)
		all = append(all, o)
	}
	page, token := byToken(c, all, c.size("maxResults", 20, 50))
	return object{"dentries": append([]object{}, page...), "nextToken": token}
}

func recycleBin(c *call) object {
	if c.acting() == nil || !c.need("recycleBinScope", "scopeId") {
		return nil
	}
	if c.t.files.spaces[c.text("scopeId")] == nil {
		return c.fail(newFault(404, "spaceNotExist", "空间不存在"))
	}
	return object{"recycleBin": object{"id": "bin" + c.text("scopeId"), "scope": "SPACE", "scopeId": c.text("scopeId")}}
}

func recycleItems(c *call) object {
	s := c.t.files.spaces[strings.TrimPrefix(c.text("recycleBinId"), "bin")]
	if c.acting() == nil || s == nil {
		return c.fail(newFault(404, "spaceNotExist", "回收站不存在"))
	}
	var in []*file
	for _, f := range s.files {
		if passed(f.deleted, c.now) {
			in = append(in, f)
		}
	}
	page, token := byToken(c, in, c.size("maxResults", 20, 50))
	rows := []object{}
	for _, f := range page {
		rows = append(rows, object{
			"id": "r" + f.id, "dentryId": f.id, "originalName": f.name, "originalPath": path.Dir(f.path()), "operatorId": f.modifier.union,
			"operatorTime": written(f.deleted), "size": f.size(), "spaceId": s.id, "type": "FILE",
		})
	}
	return object{"recycleItems": rows, "nextToken": token}
}

// subscribeStorage: the switch in the console alone delivers nothing.
func subscribeStorage(c *call) object {
	if c.acting() == nil || !c.need("scope", "scopeId") {
		return nil
	}
	if c.t.files.watched == nil {
		c.t.files.watched = map[string]bool{}
	}
	c.t.files.watched[c.text("scope")+" "+c.text("scopeId")] = true
	return object{"success": true}
}
