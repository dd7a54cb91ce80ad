package dingtalktest

var wikiCalls = []endpoint{
	{method: "GET", path: "/v2.0/wiki/workspaces", scope: "Wiki.Workspace.Read", do: listWikis},
	{method: "GET", path: "/v2.0/wiki/nodes", scope: "Wiki.Node.Read", do: listNodes},
	{method: "POST", path: "/v1.0/convFile/conversations/spaces/query", scope: "ConvFile.Space.Read", do: groupSpace},
}

// A wiki is a drive space in another dress: its nodes are the files and folders of that space. The company has one.
func (c *call) wiki() *space {
	if !c.need("operatorId") {
		return nil
	}
	if c.t.company.byUnion(c.text("operatorId")) == nil {
		c.fail(newFault(400, "paramError.operatorId", "operatorId不合法"))
		return nil
	}
	return c.t.files.order[0]
}

func listWikis(c *call) object {
	s := c.wiki()
	if s == nil {
		return nil
	}
	all := []object{{
		"workspaceId": "wiki" + s.id, "name": "公司知識庫", "type": "TEAM", "corpId": c.t.company.id, "teamId": "", "rootNodeId": "root" + s.id, "permissionRole": "READER",
		"url": "https://alidocs.dingtalk.test/i/spaces/" + s.id, "creatorId": s.owner.union, "modifierId": s.owner.union, "createTime": written(s.created),
		"modifiedTime": written(s.created), "description": "", "cover": "", "icon": object{"type": "emoji", "value": "book"},
	}}
	page, token := byToken(c, all, c.size("maxResults", 20, 30))
	return object{"workspaces": page, "nextToken": token}
}

func listNodes(c *call) object {
	s := c.wiki()
	if s == nil || !c.need("parentNodeId") {
		return nil
	}
	parent := c.text("parentNodeId")
	if parent == "root"+s.id {
		parent = "0"
	} else if f := c.byNode(s, parent); f != nil {
		parent = f.id
	} else {
		return c.fail(newFault(404, "nodeNotExist", "节点不存在"))
	}
	var in []*file
	for _, f := range s.files {
		if f.parent == parent && f.deleted.IsZero() {
			in = append(in, f)
		}
	}
	page, token := byToken(c, sorted(c, in), c.size("maxResults", 20, 50))
	rows := []object{}
	for _, f := range page {
		o := object{
			"nodeId": f.uuid, "workspaceId": "wiki" + s.id, "name": f.name, "type": "FILE", "category": category(f.extension()), "extension": f.extension(),
			"hasChildren": f.folder, "size": f.size(), "creatorId": f.creator.union, "modifierId": f.modifier.union, "createTime": written(f.created),
			"modifiedTime": written(f.modified), "createTimestamp": f.created.UnixMilli(), "modifiedTimestamp": f.modified.UnixMilli(),
			"url": "https://alidocs.dingtalk.test/i/nodes/" + f.uuid,
		}
		if f.folder {
			o["type"], o["category"] = "FOLDER", "OTHER"
		}
		if c.flag("withPermissionRole") {
			o["permissionRole"] = "READER"
		}
		rows = append(rows, o)
	}
	return object{"nodes": rows, "nextToken": token}
}

func (c *call) byNode(s *space, uuid string) *file {
	for _, f := range s.files {
		if f.uuid == uuid {
			return f
		}
	}
	return nil
}

// groupSpace is where the files of a group lie: here the space of the department whose group it is, or the company's.
func groupSpace(c *call) object {
	if c.acting() == nil {
		return nil
	}
	g := c.conversation()
	if g == nil {
		return nil
	}
	s := c.t.spaceOf(c.t.company.person(g.owner))
	return object{"space": object{"spaceId": s.id, "corpId": c.t.company.id, "createTime": written(s.created), "modifiedTime": written(s.created)}}
}
