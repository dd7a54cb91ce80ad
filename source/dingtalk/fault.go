package dingtalk

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"guia"
)

// FaultKind is what a refused call means for whoever called.
type FaultKind uint8

// The kinds of fault.
const (
	Busy        FaultKind = iota + 1 // the service or the network failed: the call may succeed when tried again
	Throttled                        // too many calls: wait
	BadToken                         // the access token is not accepted any more
	Credentials                      // application key and secret do not belong together
	Permission                       // a permission point was not granted to the application
	Scope                            // the person or department is outside of what the application may see
	Acting                           // the user on whose behalf the call is made may not do that
	NoEdition                        // this tenant's edition or contract does not have it
	NoCalls                          // the calls of this month are spent
	Address                          // our network address is not on the application's list
	BadRequest                       // the call was wrong
	NotFound                         // there is no such thing, or no such call
	Unexpected                       // the answer is not what is documented
)

// String is the word in records and logs.
func (k FaultKind) String() string {
	words := [...]string{
		"", "busy", "throttled", "token", "credentials", "permission", "scope", "acting-user", "edition", "quota", "address", "bad-request",
		"not-found", "unexpected",
	}
	if int(k) < len(words) {
		return words[k]
	}
	return "fault"
}

// Fault is a call that DingTalk refused or did not answer. It holds nothing that DingTalk said in words: that may name people.
type Fault struct {
	Kind    FaultKind
	API     string        // the call, as in the reference: method and path with its places
	Code    string        // DingTalk's code
	Status  int           // of HTTP; 0 when there was no answer
	Request string        // DingTalk's identifier of the call
	Points  []string      // for Permission: what to grant
	IP      string        // for Address: our address as DingTalk saw it
	Wait    time.Duration // for Throttled: how long at least
}

// Error is for logs.
func (f *Fault) Error() string {
	s := fmt.Sprintf("%s: %s", f.API, f.Kind)
	if f.Code != "" {
		s += " " + f.Code
	}
	if f.Request != "" {
		s += " request " + f.Request
	}
	return s
}

// refusal is the fault as a sentence with what to do next.
func (f *Fault) refusal() error {
	code := f.Code
	if code == "" {
		code = "?"
	}
	switch f.Kind {
	case Throttled:
		return guia.RefuseCause(guia.Upstream, f, "dingtalk.throttled", f.API, int(max(1, f.Wait.Minutes())))
	case BadToken:
		return guia.RefuseCause(guia.Upstream, f, "dingtalk.token", f.API)
	case Credentials:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.credentials")
	case Permission:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.permission", f.API, strings.Join(f.Points, ", "))
	case Scope:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.scope", f.API)
	case Acting:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.acting", f.API)
	case NoEdition:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.edition", f.API, code)
	case NoCalls:
		return guia.RefuseCause(guia.Upstream, f, "dingtalk.quota")
	case Address:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.address", f.IP)
	case BadRequest:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.bad_request", f.API, code, f.Request)
	case NotFound:
		return guia.RefuseCause(guia.Invalid, f, "dingtalk.not_found", f.API, code)
	case Unexpected:
		return guia.RefuseCause(guia.Upstream, f, "dingtalk.unexpected", f.API, f.Request)
	case Busy:
	}
	return guia.RefuseCause(guia.Upstream, f, "dingtalk.busy", f.API)
}

// oldCodes are the codes of the old host, also where they stand in sub_code (dingtalk-api.md 1.4).
var oldCodes = map[string]FaultKind{
	"-1": Busy, "15": Busy,
	"40000": BadToken, "40014": BadToken, "42001": BadToken,
	"40096": Credentials,
	"60011": Permission,
	"60020": Address,
	"50002": Scope, "50004": Scope,
	"400002": BadRequest, "40035": BadRequest, "40068": BadRequest, "40069": BadRequest, "33012": BadRequest, "33011": BadRequest,
	"60003": NotFound, "60121": NotFound, "60019": NotFound, "49000": NotFound, "70001": NotFound, "22": NotFound, "404": NotFound,
	"90002": Throttled, "90018": Throttled, "143103": Throttled, "143104": Throttled, "1111": Throttled,
	"90003": Throttled, "90004": Throttled, "90005": Throttled, "90006": Throttled, "90007": Throttled, "90008": Throttled,
	"90009": Throttled, "90010": Throttled, "90011": Throttled, "90012": Throttled, "90013": Throttled, "90014": Throttled,
	"90020": NoCalls,
}

// newCodes are the codes of the new host; of those with dots the longest beginning counts.
var newCodes = map[string]FaultKind{
	"systemError": Busy, "system.error": Busy, "unknownError": Busy, "serviceBusy": Busy, "operationTimeout": Busy, "internalError": Busy,
	"InvalidAuthentication": BadToken, "AuthenticationFailed": BadToken,
	"invalidClientIdOrSecret":                            Credentials,
	"Forbidden.AccessDenied.AccessTokenPermissionDenied": Permission,
	"Forbidden.AccessDenied.IpNotInWhiteList":            Address,
	"corpNotOpenHrm":                                     NoEdition, "orgAuthLevelNotEnough": NoEdition,
	"spaceNotExist": NotFound, "dentryNotExist": NotFound, "processQueryKey.expireTime": NotFound,
	"permissionDenied": Acting, "accessDenied": Acting, "no.priviledge": Acting,
	"fileArchived": Throttled,
	"paramError":   BadRequest, "param": BadRequest, "badRequest": BadRequest, "operationNotSupported": BadRequest,
	"unsupported.operation": BadRequest, "request.overlimit": BadRequest,
}

// trouble is every member that an error body has in either dialect.
type trouble struct {
	ErrCode    *text  `json:"errcode"`
	SubCode    text   `json:"sub_code"`
	ErrMsg     text   `json:"errmsg"`
	SubMsg     text   `json:"sub_msg"`
	RequestID  text   `json:"request_id"`
	Code       text   `json:"code"`
	Message    text   `json:"message"`
	RequestID2 text   `json:"requestid"`
	Status     text   `json:"status"`
	Wait       number `json:"wait"`
	Punish     text   `json:"punish"`
	Denied     struct {
		Scopes []text `json:"requiredScopes"`
	} `json:"accessdenieddetail"`
}

var (
	subcode   = regexp.MustCompile(`subcode=(-?[0-9]{1,9})`)
	codeForm  = regexp.MustCompile(`^-?[A-Za-z0-9][A-Za-z0-9._:-]{0,79}$`)
	scopeList = regexp.MustCompile(`requiredScopes"?\s*[=:]?\s*\[?([A-Za-z0-9_., "]{1,1000})`)
	ipForm    = regexp.MustCompile(`[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}`)
)

// banned is how long an address is locked out that called 10,000 times in 20 seconds.
const banned = 5 * time.Minute

// faultOf reads an answer as a fault, nil when it is none. It never fails: what cannot be read is unexpected or busy.
func faultOf(api *endpoint, status int, body []byte) *Fault {
	f := &Fault{API: api.String(), Status: status}
	var e trouble
	object := len(body) > 0 && body[0] == '{'
	if object && !fits(body, &e) { // members with other names than in errors, or none: what counts is the code
		var code struct {
			ErrCode *text `json:"errcode"`
			Code    text  `json:"code"`
		}
		if !fits(body, &code) && status < 300 {
			f.Kind = Unexpected
			return f
		}
		e = trouble{ErrCode: code.ErrCode, Code: code.Code}
	}
	f.Request = clean(string(e.RequestID))
	if f.Request == "" {
		f.Request = clean(string(e.RequestID2))
	}
	said := string(e.ErrMsg) + " " + string(e.SubMsg) + " " + string(e.Message)
	switch {
	case e.Punish != "" || e.Status == "1111":
		f.Kind, f.Code, f.Wait = Throttled, "1111", max(banned, time.Duration(min(e.Wait, 1440))*time.Minute)
	case e.ErrCode != nil && *e.ErrCode != "0" && *e.ErrCode != "":
		f.Code = string(*e.ErrCode)
		if m := subcode.FindStringSubmatch(said); f.Code == "88" && e.SubCode == "" && m != nil {
			e.SubCode = text(m[1])
		}
		if f.Code == "88" && e.SubCode != "" {
			f.Code = string(e.SubCode)
		}
		f.Kind = oldCodes[f.Code]
		if k, ok := kindOfCode(f.Code); f.Kind == 0 && ok { // a few gateways put the words of the new host there
			f.Kind = k
		}
		if f.Kind == 0 {
			f.Kind = BadRequest
		}
	case status >= 400:
		f.Code = string(e.Code)
		f.Kind = kindOfStatus(api, status, f.Code)
	case status >= 300:
		f.Kind = Unexpected
	case object && api.old && e.ErrCode == nil:
		f.Kind = Unexpected
	case api.array && len(body) > 0 && body[0] == '[', object:
		return nil
	case strings.Contains(strings.ToLower(string(body[:min(len(body), 1000)])), "<html"):
		f.Kind, f.Wait = Throttled, banned // the page that locked out addresses see
	default:
		f.Kind = Unexpected
	}
	f.Code = clean(f.Code)
	switch f.Kind {
	case Permission:
		f.Points = pointsIn(&e, said)
		if len(f.Points) == 0 {
			f.Points = api.points
		}
	case Address:
		f.IP = addressIn(said)
	case Throttled:
		f.Wait = max(f.Wait, time.Second)
	default:
	}
	return f
}

// kindOfStatus is the kind of an error of the new host.
func kindOfStatus(api *endpoint, status int, code string) FaultKind {
	if k, ok := kindOfCode(code); ok {
		return k
	}
	switch {
	case status == 429:
		return Throttled
	case status >= 500:
		return Busy
	case status == 404:
		return NotFound
	case status == 401:
		return BadToken
	case status == 403 && api.edition == Exclusive: // which code a lower edition gives is nowhere documented
		return NoEdition
	case status == 403:
		return Permission
	}
	return BadRequest
}

// kindOfCode looks a code of the new host up, then what it begins with.
func kindOfCode(code string) (FaultKind, bool) {
	switch {
	case strings.Contains(code, "ApiCountLimit"):
		return NoCalls, true
	case strings.Contains(code, "QpsLimit"), strings.Contains(code, "QpmLimit"), strings.HasSuffix(code, "SuitekeyAndOrgAndApi"):
		return Throttled, true
	case strings.HasPrefix(code, "invalidParameter"):
		return BadRequest, true
	}
	for code != "" {
		if k, ok := newCodes[code]; ok {
			return k, true
		}
		code = code[:max(0, strings.LastIndexByte(code, '.'))]
	}
	return 0, false
}

// pointsIn finds the permission points that an answer asks for.
func pointsIn(e *trouble, said string) (points []string) {
	names := make([]string, 0, len(e.Denied.Scopes))
	for _, s := range e.Denied.Scopes {
		names = append(names, string(s))
	}
	if m := scopeList.FindStringSubmatch(said); len(names) == 0 && m != nil {
		names = strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(`, "`, r) })
	}
	for _, name := range names {
		if clean(name) == name && name != "" && len(points) < 10 && !slices.Contains(points, name) {
			points = append(points, name)
		}
	}
	return points
}

// addressIn finds the network address in a text; "?" when there is none.
func addressIn(said string) string {
	for _, s := range ipForm.FindAllString(said, 20) {
		if ip, err := netip.ParseAddr(s); err == nil {
			return ip.String()
		}
	}
	return "?"
}

// clean lets only through what looks like a code or an identifier.
func clean(s string) string {
	if codeForm.MatchString(s) {
		return s
	}
	return ""
}
