package dingtalktest

import "fmt"

// fault is a refusal. Each dialect writes it in its own way; a fault of one dialect only has no words for the other.
type fault struct {
	status  int      // new dialect
	code    string   // new dialect
	scopes  []string // new dialect: accessdenieddetail.requiredScopes
	errcode int      // old dialect
	sub     string   // old dialect: the gateway's code, errcode is 88 then
	message string
}

// oldFault is a refusal of the old dialect.
func oldFault(code int, message string) *fault {
	return &fault{status: 400, code: fmt.Sprint(code), errcode: code, message: message}
}

// newFault is a refusal of the new dialect.
func newFault(status int, code, message string) *fault {
	return &fault{status: status, code: code, errcode: 400002, message: message}
}

// gateway is a refusal of the gateway in front of both dialects.
func gateway(sub string, status int, code, message string) *fault {
	return &fault{status: status, code: code, errcode: 88, sub: sub, message: message}
}

// Words of the gateway. Sources: the live probes and the examples that the description quotes.
func missingToken() *fault {
	return gateway("40000", 400, "AuthenticationFailed.MissingParameter", "access_token is blank")
}

func badToken() *fault {
	return gateway("40014", 400, "InvalidAuthentication", "不合法的access_token")
}

func notGranted(app *App, scope string) *fault {
	f := gateway("60011", 403, "Forbidden.AccessDenied.AccessTokenPermissionDenied",
		"应用尚未开通所需的权限：["+scope+"]，点击链接申请并开通即可：https://open-dev.dingtalk.com/appscope/apply?content="+app.Key+"%23"+scope+
			"，requiredScopes=["+scope+"]")
	f.scopes = []string{scope}
	return f
}

func foreignAddress(app *App, remote string) *fault {
	return gateway("60020", 403, "Forbidden.AccessDenied.IpNotInWhiteList",
		"访问ip不在白名单之中，请参考FAQ：https://open.dingtalk.com/document/org-faq/app-faq,request ip="+remote+" appKey("+app.Key+")")
}

// The throttling codes have twins in the new dialect; in the old one they stand in errcode itself.
func throttled(errcode int, code, message string) *fault {
	return &fault{status: 403, code: "Forbidden.AccessDenied." + code, errcode: errcode, message: message}
}

func appTooFast(path string, qps int) *fault {
	return throttled(90018, "QpsLimitForAppkeyAndApi", fmt.Sprintf("您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了, apiPath=%s, limit=%d/1s", path, qps))
}

func pathTooFast(path string) *fault {
	return throttled(90002, "QpsLimitForApi", "钉钉开放平台当前接口的所有请求都被暂时禁用了, apiPath="+path+", limit=1200/1s")
}

func monthSpent() *fault {
	return throttled(90020, "ApiCountLimitForOrg", "企业当月调用接口次数已达上限")
}

func busy() *fault {
	return &fault{status: 503, code: "serviceBusy", errcode: -1, message: "系统繁忙"}
}

func broken() *fault {
	return &fault{status: 500, code: "unknownError", errcode: -1, message: "系统繁忙"}
}

// Words of the calls behind the gate.
func missing(name string) *fault {
	return &fault{status: 400, code: "paramError", errcode: 400002, message: "缺少参数 " + name}
}

func wrong(name string) *fault {
	return &fault{status: 400, code: "paramError", errcode: 400002, message: "参数 " + name + " 不合法"}
}

// old writes a refusal in the old dialect; shut is true when the code stands in the text only.
func (f *fault) old(request string, shut bool) object {
	if f.sub == "" {
		return object{"errcode": f.errcode, "errmsg": f.message, "request_id": request}
	}
	o := object{"errcode": f.errcode, "errmsg": "ding talk error[subcode=" + f.sub + ",submsg=" + f.message + "]", "request_id": request}
	if !shut {
		o["sub_code"], o["sub_msg"] = f.sub, f.message
	}
	return o
}

func (f *fault) new(request string) object {
	o := object{"code": f.code, "message": f.message, "requestid": request}
	if f.scopes != nil {
		o["accessdenieddetail"] = object{"requiredScopes": f.scopes}
	}
	return o
}
