package dingtalktest

import (
	"fmt"
	"slices"
	"time"
)

var rosterCalls = []endpoint{
	{path: "/topapi/smartwork/hrm/roster/meta/get", scope: "qyapi_hrm_read_user", free: true, do: rosterMeta},
	{path: "/topapi/smartwork/hrm/employee/field/grouplist", scope: "qyapi_hrm_read_user", do: fieldGroups},
	{method: "POST", path: "/v1.0/hrm/rosters/lists/query", scope: "qyapi_hrm_read_user", free: true, do: rosterValues},
	{method: "GET", path: "/v1.0/hrm/rosters/meta/authorities/fields", scope: "qyapi_hrm_read_user", do: authorisedFields},
}

type field struct {
	code, name, kind string
	filled           int // for how many people of a hundred
	value            func(p *person, c *company, d *dice) string
}

type fieldGroup struct {
	id, name string
	detail   bool
	fields   []field
}

func say(s string) func(*person, *company, *dice) string {
	return func(*person, *company, *dice) string { return s }
}

func oneOf(words ...string) func(*person, *company, *dice) string {
	return func(_ *person, _ *company, d *dice) string { return pick(d, words) }
}

// roster is the company's Smart HR form. The sync from the old personnel files is on: papers, bank accounts and health notes are filled.
var roster = []fieldGroup{
	{"sys00", "基础信息", false, []field{
		{"sys00-name", "姓名", "TextField", 100, func(p *person, _ *company, _ *dice) string { return p.name }},
		{"sys00-email", "邮箱", "TextField", 70, func(p *person, _ *company, _ *dice) string { return p.email }},
		{"sys00-mobile", "手机号", "TextField", 100, func(p *person, _ *company, _ *dice) string { return "+" + p.stateCode + "-" + p.mobile }},
		{"sys00-jobNumber", "工号", "TextField", 100, func(p *person, _ *company, _ *dice) string { return p.job }},
		{"sys00-position", "职位", "TextField", 95, func(p *person, _ *company, _ *dice) string { return p.title }},
		{"sys00-dept", "部门", "TextField", 100, func(p *person, c *company, _ *dice) string { return c.byID[p.dept].name }},
		{"sys00-confirmJoinTime", "入职时间", "DDDateField", 100, func(p *person, _ *company, _ *dice) string { return p.hired.Format(time.DateOnly) }},
	}},
	{"sys01", "工作信息", false, []field{
		{"sys01-employeeType", "员工类型", "DDSelectField", 90, say("全职")},
		{"sys01-employeeStatus", "员工状态", "DDSelectField", 100, func(p *person, c *company, _ *dice) string {
			return map[string]string{"2": "试用", "3": "正式"}[c.status(p.index, c.start)]
		}},
	}},
	{"sys02", "个人信息", false, []field{
		{"sys02-certNo", "证件号码", "TextField", 85, func(p *person, _ *company, _ *dice) string { return p.paper }},
		{"sys02-birthTime", "出生日期", "DDDateField", 80, func(p *person, _ *company, _ *dice) string {
			return p.birth[:4] + "-" + p.birth[4:6] + "-" + p.birth[6:]
		}},
		{"sys02-sexType", "性别", "DDSelectField", 90, oneOf("男", "女")},
		{"sys02-nationType", "民族", "DDSelectField", 25, oneOf("汉族", "壮族")},
		{"sys02-politicalStatus", "政治面貌", "DDSelectField", 12, oneOf("群众", "中共党员")},
		{"sys02-marriage", "婚姻状况", "DDSelectField", 60, oneOf("已婚", "未婚")},
		{"sys02-address", "住址", "TextField", 75, func(p *person, _ *company, d *dice) string { return address(p, d) }},
	}},
	{"sys04", "银行卡信息", false, []field{
		{"sys04-bankAccountNo", "银行卡号", "TextField", 80, func(p *person, _ *company, _ *dice) string { return fmt.Sprintf("0199%012d", p.index) }},
		{"sys04-accountBank", "开户行", "TextField", 80, oneOf("測試銀行澳門分行", "测试银行珠海支行")},
	}},
	{"sys05", "合同信息", false, []field{
		{"sys05-contractCompanyName", "合同公司", "DDSelectField", 90, func(p *person, c *company, _ *dice) string {
			if p.kind == mainlander {
				return c.name + "（珠海）"
			}
			return c.name
		}},
	}},
	{"sys06", "紧急联系人", true, []field{
		{"sys06-urgentContactsName", "紧急联系人姓名", "TextField", 65, func(p *person, _ *company, d *dice) string { return d.name(p.kind) }},
		{"sys06-urgentContactsPhone", "联系人电话", "TextField", 65, func(p *person, _ *company, _ *dice) string { _, m := phone(p.kind, 500_000+p.index); return m }},
	}},
	{"sys08", "个人材料", false, []field{{"sys08-forntIDcard", "身份证（人像面）", "DDPhotoField", 30, say("[\"test-data\"]")}}},
	{"custom8c1f", "健康申報", false, []field{
		{"6f1d2a90-1111-4c7e-a0de-7a5717e57da7", "健康備註 Observações de saúde", "TextField", 18, oneOf("測試：對花生過敏", "Teste: hipertensão", "Test: pregnant, light duty")},
	}},
}

func address(p *person, d *dice) string {
	switch p.kind {
	case mainlander, commuter:
		return fmt.Sprintf("珠海市香洲区测试路%d号%d栋%d室", 1+d.n(300), 1+d.n(20), 101+d.n(2000))
	case portuguese:
		return fmt.Sprintf("Rua do Teste, n.º %d, %d.º andar %c, Taipa", 1+d.n(300), 1+d.n(30), 'A'+rune(d.n(6)))
	default:
		return fmt.Sprintf("澳門測試大馬路%d號測試大廈%d樓%c座", 1+d.n(300), 1+d.n(30), 'A'+rune(d.n(6)))
	}
}

func (c *call) agent() bool {
	for _, name := range []string{"agentid", "appAgentId"} {
		if _, ok := c.arg(name); ok {
			if c.number(name, 0) == c.app.AgentID {
				return true
			}
			c.fail(wrong(name))
			return false
		}
	}
	c.fail(missing("agentid"))
	return false
}

func rosterMeta(c *call) object {
	if !c.agent() {
		return nil
	}
	groups := []object{}
	for _, g := range roster {
		fields := []object{}
		for _, f := range g.fields {
			fields = append(fields, object{"field_code": f.code, "field_name": f.name, "derived": false})
		}
		groups = append(groups, object{"group_id": g.id, "group_name": g.name, "detail": g.detail, "field_meta_info_list": fields})
	}
	return object{"result": groups, "success": true}
}

func fieldGroups(c *call) object {
	if !c.agent() {
		return nil
	}
	groups := []object{}
	for _, g := range roster {
		fields := []object{}
		for _, f := range g.fields {
			fields = append(fields, object{"field_code": f.code, "field_name": f.name, "field_type": f.kind})
		}
		groups = append(groups, object{"group_id": g.id, "has_detail": g.detail, "field_list": fields})
	}
	return object{"result": groups, "success": true}
}

func authorisedFields(c *call) object {
	if !c.agent() {
		return nil
	}
	rows := []object{}
	for _, g := range roster {
		for _, f := range g.fields {
			o := object{"fieldCode": f.code, "fieldName": f.name, "fieldType": f.kind}
			if f.kind == "DDSelectField" {
				o["optionText"] = `[]`
			}
			rows = append(rows, o)
		}
	}
	return object{"result": rows}
}

// rosterValues shows people who were present after Smart HR was opened, leavers too. A field that is not filled comes without a value.
func rosterValues(c *call) object {
	if !c.agent() || !c.need("userIdList") {
		return nil
	}
	ids, filter := c.list("userIdList"), c.list("fieldFilterList")
	if len(ids) == 0 || len(ids) > 100 || len(filter) > 100 {
		return c.fail(newFault(400, "param.error", "userIdList最多100个"))
	}
	rows := []object{}
	for _, id := range ids {
		p := c.t.company.find(id)
		if p == nil {
			continue
		}
		var data []object
		for _, g := range roster {
			for _, f := range g.fields {
				if len(filter) > 0 && !slices.Contains(filter, f.code) {
					continue
				}
				d := roll(uint64(p.salt), f.code)
				value := object{"itemIndex": 0}
				if d.percent(f.filled) {
					v := f.value(p, c.t.company, &d)
					value["label"], value["value"] = v, v
				}
				data = append(data, object{"groupId": g.id, "fieldCode": f.code, "fieldName": f.name, "fieldValueList": []object{value}})
			}
		}
		rows = append(rows, object{"corpId": c.t.company.id, "userId": p.id, "unionId": p.union, "fieldDataList": data})
	}
	return object{"result": rows}
}
