package dingtalktest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

var tokenCalls = []endpoint{
	{method: "POST", path: "/v1.0/oauth2/accessToken", free: true, open: true, do: accessToken},
	{method: "POST", path: "/v1.0/oauth2/{corpId}/token", open: true, do: unifiedToken},
	{method: "GET", path: "/gettoken", free: true, open: true, do: oldToken},
	{method: "POST", path: "/v1.0/oauth2/userAccessToken", free: true, open: true, do: userToken},
	{method: "POST", path: "/v1.0/oauth2/jsapiTickets", free: true, do: jsapiTicket},
	{method: "GET", path: "/v1.0/contact/users/me", scope: "Contact.User.Read", free: true, user: true, do: whoAmI},
	{method: "POST", path: "/topapi/v2/user/getuserinfo", scope: "qyapi_base", free: true, do: userByCode},
	{method: "GET", path: "/auth/scopes", scope: "qyapi_base", do: authScopes},
}

// grant is what stands behind a token, a refresh token or a code.
type grant struct {
	app   string
	who   *person
	until time.Time
}

type tokens struct {
	valid   map[string]grant
	current map[string]string // the app's present token
	codes   map[string]grant  // of the login page and of the client: single use
	refresh map[string]grant
	second  time.Time // of the pace
	calls   map[string]int
}

func (k *tokens) begin() {
	k.valid, k.current, k.codes, k.refresh = map[string]grant{}, map[string]string{}, map[string]grant{}, map[string]grant{}
}

func (k *tokens) find(token string, now time.Time) (app string, who *person) {
	g, ok := k.valid[token]
	if !ok || !now.Before(g.until) {
		return "", nil
	}
	return g.app, g.who
}

// appToken gives the same token while it is valid, and a new one in the last twelfth of its life; the old one ends in its own time.
func (t *Tenant) appToken(a *App) (token string, left int) {
	now := t.clock.Now()
	token = t.tokens.current[a.Key]
	if t.tokens.valid[token].until.Sub(now) <= t.options.TokenLife/12 {
		d := roll(t.company.spec.Seed, "token "+a.Key, t.next())
		token = d.hex(32)
		t.tokens.current[a.Key] = token
		t.tokens.valid[token] = grant{app: a.Key, until: now.Add(t.options.TokenLife)}
		maps.DeleteFunc(t.tokens.valid, func(_ string, g grant) bool { return !now.Before(g.until) })
	}
	return token, int(t.tokens.valid[token].until.Sub(now) / time.Second)
}

// client is the app behind a key and a secret.
func (c *call) client(key, secret string) *App {
	a := c.t.apps[c.text(key)]
	if a == nil || a.Secret != c.text(secret) {
		return nil
	}
	return a
}

func accessToken(c *call) object {
	a := c.client("appKey", "appSecret")
	if a == nil {
		return c.fail(newFault(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret"))
	}
	token, left := c.t.appToken(a)
	return object{"accessToken": token, "expireIn": left}
}

func unifiedToken(c *call) object {
	a := c.client("client_id", "client_secret")
	if a == nil || c.text("grant_type") != "client_credentials" || c.text("corpId") != c.t.company.id {
		return c.fail(newFault(500, "unknownError", "未知错误"))
	}
	token, left := c.t.appToken(a)
	return object{"access_token": token, "expires_in": left}
}

func oldToken(c *call) object {
	if c.text("appkey") == "" || c.text("appsecret") == "" {
		return c.fail(oldFault(40035, "不合法的参数"))
	}
	a := c.client("appkey", "appsecret")
	if a == nil {
		return c.fail(oldFault(40096, "不合法的appKey或appSecret"))
	}
	token, left := c.t.appToken(a)
	return object{"access_token": token, "expires_in": left}
}

func userToken(c *call) object {
	a := c.client("clientId", "clientSecret")
	if a == nil {
		return c.fail(newFault(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret"))
	}
	from, used := c.t.tokens.codes, c.text("code")
	if c.text("grantType") == "refresh_token" {
		from, used = c.t.tokens.refresh, c.text("refreshToken")
	}
	g, ok := from[used]
	delete(from, used)
	if !ok || g.app != a.Key || !c.now.Before(g.until) {
		return c.fail(newFault(400, "invalidParameter.authCode.notFound", "不合法的临时授权码"))
	}
	d := roll(c.t.company.spec.Seed, "user token", c.t.next())
	token, again := d.hex(32), d.hex(32)
	c.t.tokens.valid[token] = grant{a.Key, g.who, c.now.Add(7200 * time.Second)}
	c.t.tokens.refresh[again] = grant{a.Key, g.who, c.now.AddDate(0, 0, 30)}
	return object{"accessToken": token, "refreshToken": again, "expireIn": 7200, "corpId": c.t.company.id}
}

func jsapiTicket(c *call) object {
	d := roll(c.t.company.spec.Seed, "jsapi "+c.app.Key, c.now.Unix()/7200)
	return object{"jsapiTicket": d.hex(64), "expireIn": 7200}
}

func whoAmI(c *call) object {
	o := object{"nick": c.who.name, "unionId": c.who.union, "openId": c.who.open(), "visitor": false}
	if c.app.sees("mobile") {
		o["mobile"], o["stateCode"] = c.who.mobile, c.who.stateCode
	}
	if c.app.sees("email") {
		o["email"] = c.who.email
	}
	return o
}

// AuthCode is a sign-in code for a person, as dd.requestAuthCode and the login page give it: 5 minutes, single use.
func (t *Tenant) AuthCode(app, userID string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.authCode(app, t.company.find(userID))
}

func (t *Tenant) authCode(app string, who *person) string {
	d := roll(t.company.spec.Seed, "code", t.next())
	code := d.hex(32)
	t.tokens.codes[code] = grant{app, who, t.clock.Now().Add(5 * time.Minute)}
	return code
}

func userByCode(c *call) object {
	g, ok := c.t.tokens.codes[c.text("code")]
	delete(c.t.tokens.codes, c.text("code"))
	if !ok || g.app != c.app.Key || !c.now.Before(g.until) {
		return c.fail(oldFault(40078, "不存在的临时授权码"))
	}
	level := map[bool]int{true: 1, false: 0}[c.t.company.admins[g.who.index] == 1]
	if c.t.company.admins[g.who.index] == 2 {
		level = 2
	}
	d := roll(c.t.company.spec.Seed, "device", int64(g.who.index))
	return object{"result": object{
		"userid": g.who.id, "unionid": g.who.union, "associated_unionid": "", "device_id": d.hex(32),
		"sys": level > 0, "sys_level": level, "name": g.who.name,
	}}
}

func authScopes(c *call) object {
	fields := append([]string{"name", "avatar", "userid", "unionid", "position", "department"}, c.app.Fields...)
	slices.Sort(fields)
	depts := c.app.Departments
	if len(depts) == 0 {
		depts = []int64{1}
	}
	return object{
		"auth_user_field": fields, "condition_field": []string{},
		"auth_org_scopes": object{"authed_user": []string{}, "authed_dept": depts},
	}
}

// login is the login host's page: here everybody who asks is the main administrator, who agrees at once.
func (t *Tenant) login(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if r.URL.Path != "/oauth2/auth" || err != nil || t.apps[q.Get("client_id")] == nil || q.Get("response_type") != "code" {
		http.Error(w, "invalid request", http.StatusBadRequest)
		return
	}
	code := t.authCode(q.Get("client_id"), t.company.person(t.company.cast["admin"]))
	back.RawQuery = url.Values{"code": {code}, "authCode": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}
