package dingtalktest

// The client's company, to which the accountant shared a report.
const clientCorp = "dingtestclient0000000000000000000000"

// share is one permission on a file or folder.
type share struct {
	kind, id, corp, name string // member: ORG, DEPT, USER, CONVERSATION
	role                 string
	seconds              int64 // zero is forever
}

var roleNames = map[string]string{"OWNER": "所有者", "MANAGER": "管理者", "EDITOR": "可编辑", "DOWNLOADER": "可查看/下载", "READER": "仅查看"}

func (c *call) byUUID() *file {
	if c.acting() == nil {
		return nil
	}
	for _, s := range c.t.files.order {
		for _, f := range s.files {
			if f.uuid == c.text("dentryUuid") {
				return f
			}
		}
	}
	c.fail(newFault(404, "dentryNotExist", "文件不存在"))
	return nil
}

// shares are those of the file and of its space.
func (t *Tenant) shares(f *file) []share {
	all := []share{{kind: "USER", id: f.creator.id, corp: t.company.id, name: f.creator.name, role: "OWNER"}}
	if f.space.dept == 0 {
		all = append(all, share{kind: "ORG", id: t.company.id, corp: t.company.id, name: t.company.name, role: "DOWNLOADER"})
	} else {
		d := t.company.byID[f.space.dept]
		all = append(all, share{kind: "DEPT", id: jsonText(d.id), corp: t.company.id, name: d.name, role: "EDITOR"})
	}
	return append(all, f.shares...)
}

func listPermissions(c *call) object {
	f := c.byUUID()
	if f == nil {
		return nil
	}
	option := c.in("option")
	page, token := byToken(option, c.t.shares(f), option.size("maxResults", 30, 30))
	rows := []object{}
	for _, s := range page {
		o := object{
			"dentryUuid": f.uuid, "member": object{"type": s.kind, "id": s.id, "corpId": s.corp, "name": s.name},
			"role": object{"id": s.role, "name": roleNames[s.role]},
		}
		if s.seconds > 0 {
			o["duration"] = s.seconds
		}
		rows = append(rows, o)
	}
	c.bad = option.bad
	return object{"permissions": rows, "nextToken": token}
}

func getInheritance(c *call) object {
	f := c.byUUID()
	if f == nil {
		return nil
	}
	if len(f.shares) > 0 {
		return object{"inheritance": "BREAK"}
	}
	return object{"inheritance": "PASS_ON"}
}

// getShareScope. Judgement: only ORG_READ is known from a sample; a file with an open link says PUBLIC_READ here, others PRIVATE.
func getShareScope(c *call) object {
	f := c.byUUID()
	switch {
	case f == nil:
		return nil
	case f.link:
		return object{"scope": "PUBLIC_READ", "scopeWithRole": "PUBLIC_READ"}
	case f.space.dept == 0:
		return object{"scope": "ORG_READ", "scopeWithRole": "ORG_READ"}
	}
	return object{"scope": "PRIVATE", "scopeWithRole": "PRIVATE"}
}

func oldPermissions(c *call) object {
	f := c.file("fileId")
	if f == nil {
		return nil
	}
	in, out := []object{}, []object{}
	for _, s := range c.t.shares(f) {
		o := object{"role": s.role, "extend": true, "member": object{"corpId": s.corp, "memberId": s.id, "memberName": s.name, "memberType": s.kind}}
		if s.corp == c.t.company.id {
			in = append(in, o)
		} else {
			out = append(out, o)
		}
	}
	return object{"members": in, "outMembers": out}
}
