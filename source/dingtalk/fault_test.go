package dingtalk

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"guia"
	"guia/lang"
)

// answers are error bodies as dingtalk-api.md 1.4 shows them, and what they mean.
var answers = []struct {
	name   string
	api    *endpoint
	status int
	body   string
	kind   FaultKind
	code   string
}{
	{"old: ok", apiUsers, 200, `{"errcode":0,"errmsg":"ok","request_id":"r"}`, 0, ""},
	{"old: ok in quotes", apiUsers, 200, `{"errcode":"0","errmsg":"ok"}`, 0, ""},
	{"old: without a code", apiUsers, 200, `{"result":[]}`, Unexpected, ""},
	{"old: busy", apiUsers, 200, `{"errcode":-1,"errmsg":"系统繁忙"}`, Busy, "-1"},
	{"old: bad token", apiUsers, 200, `{"errcode":88,"sub_code":"40014","sub_msg":"不合法的access_token","errmsg":"ding talk error[subcode=40014,submsg=不合法的access_token]","request_id":"r1"}`, BadToken, "40014"},
	{"old: bad token in the text", apiUsers, 200, `{"errcode":88,"errmsg":"ding talk error[subcode=40014,submsg=x]"}`, BadToken, "40014"},
	{"old: blank token", apiUsers, 200, `{"errcode":88,"sub_code":40000,"errmsg":"access_token is blank"}`, BadToken, "40000"},
	{"old: expired", apiUsers, 200, `{"errcode":42001,"errmsg":"x"}`, BadToken, "42001"},
	{"old: permission", apiUsers, 200, `{"errcode":88,"sub_code":"60011","sub_msg":"没有调用该接口的权限 requiredScopes=[qyapi_get_member]","errmsg":"x"}`, Permission, "60011"},
	{"old: address", apiUsers, 200, `{"errcode":88,"sub_code":"60020","sub_msg":"访问ip不在白名单之中,请求ip=203.0.113.7, appKey(dingabc)","errmsg":"x"}`, Address, "60020"},
	{"old: scope", apiUsers, 200, `{"errcode":50004,"errmsg":"x"}`, Scope, "50004"},
	{"old: bad parameter", apiUsers, 200, `{"errcode":400002,"errmsg":"x"}`, BadRequest, "400002"},
	{"old: no such user", apiUsers, 200, `{"errcode":60121,"errmsg":"找不到该用户"}`, NotFound, "60121"},
	{"old: no such call", apiUsers, 200, `{"errcode":22,"errmsg":"Invalid method"}`, NotFound, "22"},
	{"old: pace of the call", apiUsers, 200, `{"errcode":88,"sub_code":"90002","errmsg":"x"}`, Throttled, "90002"},
	{"old: pace of the app", apiUsers, 200, `{"errcode":90018,"errmsg":"x"}`, Throttled, "90018"},
	{"old: month", apiUsers, 200, `{"errcode":90020,"errmsg":"x"}`, NoCalls, "90020"},
	{"old: a code nobody knows", apiUsers, 200, `{"errcode":123456,"errmsg":"x"}`, BadRequest, "123456"},
	{"old: bad key", apiUsers, 200, `{"errcode":40096,"errmsg":"x"}`, Credentials, "40096"},
	{"new: ok", apiReaders, 200, `{"users":[]}`, 0, ""},
	{"new: unknown path", apiReaders, 200, `{"errcode":404,"errmsg":"请求的URI地址不存在"}`, NotFound, "404"},
	{"new: bad token", apiReaders, 400, `{"code":"InvalidAuthentication","requestid":"r-2","message":"不合法的access_token"}`, BadToken, "InvalidAuthentication"},
	{"new: no token", apiReaders, 400, `{"code":"AuthenticationFailed.MissingParameter","message":"x"}`, BadToken, "AuthenticationFailed.MissingParameter"},
	{"new: permission", apiReaders, 403, `{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","message":"x","accessdenieddetail":{"requiredScopes":["Contact.User.Read","a b"]}}`, Permission, "Forbidden.AccessDenied.AccessTokenPermissionDenied"},
	{"new: address", apiReaders, 403, `{"code":"Forbidden.AccessDenied.IpNotInWhiteList","message":"ip 2001:db8::7 not allowed"}`, Address, "Forbidden.AccessDenied.IpNotInWhiteList"},
	{"new: pace", apiReaders, 403, `{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi","message":"x"}`, Throttled, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"},
	{"new: month", apiReaders, 403, `{"code":"Forbidden.AccessDenied.ApiCountLimitForOrg","message":"x"}`, NoCalls, "Forbidden.AccessDenied.ApiCountLimitForOrg"},
	{"new: parameter", apiReaders, 400, `{"code":"paramError.unionId","message":"x"}`, BadRequest, "paramError.unionId"},
	{"new: invalid parameter", apiReaders, 400, `{"code":"invalidParameterFoo","message":"x"}`, BadRequest, "invalidParameterFoo"},
	{"new: no space", apiReaders, 404, `{"code":"spaceNotExist","message":"x"}`, NotFound, "spaceNotExist"},
	{"new: operator", apiReaders, 403, `{"code":"accessDenied","message":"x"}`, Acting, "accessDenied"},
	{"new: Smart HR", apiRoster, 400, `{"code":"corpNotOpenHrm","message":"x"}`, NoEdition, "corpNotOpenHrm"},
	{"new: verification", apiReaders, 403, `{"code":"orgAuthLevelNotEnough","message":"x"}`, NoEdition, "orgAuthLevelNotEnough"},
	{"new: exclusive call elsewhere", apiFileLog, 403, `{"code":"whatever","message":"x"}`, NoEdition, "whatever"},
	{"new: down", apiReaders, 503, `{"code":"operationTimeout","message":"x"}`, Busy, "operationTimeout"},
	{"new: down without words", apiReaders, 502, `<html>bad gateway</html>`, Busy, ""},
	{"locked out", apiReaders, 200, `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}`, Throttled, "1111"},
	{"locked out, page", apiReaders, 200, "<!DOCTYPE html>\n<HTML>\n", Throttled, ""},
	{"a redirect", apiReaders, 302, ``, Unexpected, ""},
	{"nothing", apiReaders, 200, ``, Unexpected, ""},
	{"an array where none belongs", apiReaders, 200, `[]`, Unexpected, ""},
	{"an array", apiUsage, 200, `[[]]`, 0, ""},
	{"personal words as a code", apiReaders, 400, `{"code":"黃小燕 66990011","message":"x"}`, BadRequest, ""},
}

func TestEveryErrorShapeHasAKind(t *testing.T) {
	for _, a := range answers {
		f := faultOf(a.api, a.status, []byte(a.body))
		if a.kind == 0 {
			if f != nil {
				t.Errorf("%s: %v", a.name, f)
			}
			continue
		}
		if f == nil || f.Kind != a.kind || f.Code != a.code {
			t.Errorf("%s: %v, want %s %s", a.name, f, a.kind, a.code)
		}
	}
}

func TestRefusalsNameTheRemedyAndNothingThatDingTalkSaid(t *testing.T) {
	for _, a := range answers {
		f := faultOf(a.api, a.status, []byte(a.body))
		if f == nil {
			continue
		}
		err := f.refusal()
		r, ok := errors.AsType[*guia.Refusal](err)
		if !ok || !lang.Has(r.Key) || r.Kind != guia.Invalid && r.Kind != guia.Upstream {
			t.Errorf("%s: %v", a.name, err)
			continue
		}
		for _, l := range []lang.Language{lang.English, lang.Portuguese, lang.TraditionalChinese} {
			if s := lang.Text(l, r.Key, r.Args...); strings.Contains(s, "{") || strings.Contains(s, "黃小燕") || strings.Contains(s, "submsg") {
				t.Errorf("%s: %s", a.name, s)
			}
		}
		if strings.Contains(err.Error(), "66990011") || strings.Contains(err.Error(), "dingabc") {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}

func TestPermissionPointsAndAddressesAreFound(t *testing.T) {
	for _, a := range answers {
		f := faultOf(a.api, a.status, []byte(a.body))
		switch a.name {
		case "old: permission":
			if !slices.Equal(f.Points, []string{"qyapi_get_member"}) {
				t.Errorf("%s: %q", a.name, f.Points)
			}
		case "new: permission":
			if !slices.Equal(f.Points, []string{"Contact.User.Read"}) {
				t.Errorf("%s: %q", a.name, f.Points)
			}
		case "old: address":
			if f.IP != "203.0.113.7" {
				t.Errorf("%s: %q", a.name, f.IP)
			}
		case "new: address":
			if f.IP != "2001:db8::7" {
				t.Errorf("%s: %q", a.name, f.IP)
			}
		case "locked out", "locked out, page":
			if f.Wait != 5*time.Minute {
				t.Errorf("%s: %v", a.name, f.Wait)
			}
		}
	}
	// Where the answer names none, those of the reference count.
	f := faultOf(apiLeavers, 403, []byte(`{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied"}`))
	if !slices.Equal(f.Points, []string{"Contact.Common.Read"}) {
		t.Errorf("%q", f.Points)
	}
}

func FuzzFault(f *testing.F) {
	for _, a := range answers {
		f.Add(a.status, []byte(a.body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, e := range []*endpoint{apiUsers, apiFileLog, apiUsage} {
			fault := faultOf(e, status, body)
			if fault == nil {
				if status >= 300 {
					t.Fatalf("status %d is no fault", status)
				}
				continue
			}
			if fault.Kind < Busy || fault.Kind > Unexpected || clean(fault.Code) != fault.Code || clean(fault.Request) != fault.Request || fault.Wait < 0 || fault.Wait > 25*time.Hour {
				t.Fatalf("%+v", fault)
			}
			if r, ok := errors.AsType[*guia.Refusal](fault.refusal()); !ok || !lang.Has(r.Key) {
				t.Fatalf("%+v", fault)
			}
		}
	})
}
