package dingtalk

import "strings"

// endpoint is one call of the interface, as dingtalk-api.md describes it. All of them only read.
type endpoint struct {
	method, path string // with {places}
	old          bool   // on the old host
	exempt       bool   // does not count against the monthly quota (1.5)
	points       []string
	edition      Edition // the least that has it
	unproven     bool    // known from the SDK only: a probe
	array        bool    // the answer is an array
	wrap         string  // the member of the body that holds the arguments

	style pager
	rows  string // where in the answer the rows are
	size  int    // rows a page
}

// String is the call as records and messages name it.
func (e *endpoint) String() string {
	return e.method + " " + e.path
}

// fill puts values into the places of the path.
func (e *endpoint) fill(values []string, escape func(string) string) string {
	path := e.path
	for _, v := range values {
		i, j := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
		path = path[:i] + escape(v) + path[j+1:]
	}
	return path
}

// The calls, with the section of the reference.
var (
	// 1.3, 1.5
	apiToken = &endpoint{method: "POST", path: "/v1.0/oauth2/accessToken", exempt: true}
	apiUsage = &endpoint{method: "GET", path: "/v1.0/microApp/resources/useInfos", unproven: true, array: true}

	// 2
	apiDepartments = &endpoint{
		method: "POST", path: "/topapi/v2/department/listsub", old: true, exempt: true,
		points: []string{"qyapi_get_department_list"}, rows: "result",
	}
	apiDepartment = &endpoint{method: "POST", path: "/topapi/v2/department/get", old: true, exempt: true, points: []string{"qyapi_get_department_list"}}
	apiUsers      = &endpoint{
		method: "POST", path: "/topapi/v2/user/list", old: true, exempt: true,
		points: []string{"qyapi_get_department_member"}, style: byCursor, rows: "result.list", size: 100,
	}
	apiUserIDs = &endpoint{
		method: "POST", path: "/topapi/user/listid", old: true, exempt: true,
		points: []string{"qyapi_get_member"}, rows: "result.userid_list",
	}
	apiAdmins = &endpoint{
		method: "POST", path: "/topapi/user/listadmin", old: true, exempt: true,
		points: []string{"qyapi_get_member"}, rows: "result",
	}
	apiRoles = &endpoint{
		method: "POST", path: "/topapi/role/list", old: true, exempt: true,
		points: []string{"qyapi_get_department_list"}, style: byOffset, rows: "result.list", size: 20,
	}
	apiRoleMembers = &endpoint{
		method: "POST", path: "/topapi/role/simplelist", old: true, exempt: true,
		points: []string{"qyapi_get_department_member"}, style: byOffset, rows: "result.list", size: 100,
	}
	apiScopes  = &endpoint{method: "GET", path: "/auth/scopes", old: true, points: []string{"qyapi_base"}}
	apiLeavers = &endpoint{
		method: "GET", path: "/v1.0/contact/empLeaveRecords",
		points: []string{"Contact.Common.Read"}, style: byToken, rows: "records", size: 50,
	}

	// 4, 5
	apiRobotRead = &endpoint{
		method: "GET", path: "/v1.0/robot/oToMessages/readStatus", points: []string{"qyapi_robot_sendmsg"},
		rows: "messageReadInfoList",
	}
	apiGroupRead = &endpoint{
		method: "POST", path: "/v1.0/robot/groupMessages/query", points: []string{"qyapi_robot_sendmsg"},
		style: byToken, rows: "readUserIds", size: 200,
	}
	apiNotificationRead = &endpoint{
		method: "POST", path: "/topapi/message/corpconversation/getsendresult", old: true,
		points: []string{"qyapi_base"},
	}

	// 6
	apiNoticeIDs = &endpoint{
		method: "POST", path: "/topapi/blackboard/listids", old: true, points: []string{"qyapi_blackboard_read"},
		wrap: "query_request", style: byPage, rows: "result", size: 30,
	}
	apiNotice  = &endpoint{method: "GET", path: "/v1.0/blackboard/get_blackboard", points: []string{"qyapi_blackboard_manage"}}
	apiReaders = &endpoint{
		method: "GET", path: "/v1.0/blackboard/readers", points: []string{"qyapi_blackboard_manage"},
		style: byToken, rows: "users", size: 500,
	}

	// 7.1
	apiFileLog = &endpoint{
		method: "GET", path: "/v1.0/exclusive/fileAuditLogs", points: []string{"Custom.OpFileAudit.Read"},
		edition: Exclusive, style: byKeyset, rows: "list", size: 500,
	}

	// 8
	apiRosterMeta = &endpoint{
		method: "POST", path: "/topapi/smartwork/hrm/roster/meta/get", old: true, exempt: true,
		points: []string{"qyapi_hrm_read_user"}, rows: "result",
	}
	apiOnJob = &endpoint{
		method: "POST", path: "/topapi/smartwork/hrm/employee/queryonjob", old: true, exempt: true,
		points: []string{"qyapi_hrm_read_user"}, style: byNextOffset, rows: "result.data_list", size: 50,
	}
	apiRoster = &endpoint{method: "POST", path: "/v1.0/hrm/rosters/lists/query", exempt: true, points: []string{"qyapi_hrm_read_user"}, rows: "result"}

	// 9
	apiAttendance = &endpoint{
		method: "POST", path: "/attendance/list", old: true, points: []string{"qyapi_get_attendance_data"},
		style: byOffsetLimit, rows: "recordresult", size: 50,
	}

	// 10
	apiSpaces = &endpoint{
		method: "GET", path: "/v1.0/drive/spaces", points: []string{"Drive.Space.Read"},
		style: byToken, rows: "spaces", size: 50,
	}
	apiDentries = &endpoint{
		method: "POST", path: "/v1.0/storage/spaces/{spaceId}/dentries/listAll", points: []string{"Storage.File.Read"},
		wrap: "option", style: byToken, rows: "dentries", size: 50,
	}
	apiDownload = &endpoint{
		method: "POST", path: "/v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/downloadInfos/query",
		points: []string{"Storage.DownloadInfo.Read"},
	}

	// 11
	apiMeetings = &endpoint{
		method: "GET", path: "/v1.0/conference/videoConferences/histories/dataLists", unproven: true,
		points: []string{"VideoConference.Conference.Read"}, style: byToken, rows: "list", size: 50,
	}
	apiMeetingMembers = &endpoint{
		method: "GET", path: "/v1.0/conference/videoConferences/{conferenceId}/members",
		points: []string{"VideoConference.Conference.Read"}, style: byToken, rows: "memberModels", size: 100,
	}
	apiRecordings = &endpoint{
		method: "GET", path: "/v1.0/conference/videoConferences/{conferenceId}/cloudRecords/getVideos",
		points: []string{"VideoConference.Conference.Read"}, rows: "videoList",
	}
)

// Edition is what a tenant has bought.
type Edition uint8

// The editions.
const (
	Standard Edition = iota
	Professional
	Exclusive
)

// String is the edition's word in settings.
func (e Edition) String() string {
	switch e {
	case Standard:
		return "standard"
	case Professional:
		return "professional"
	case Exclusive:
		return "exclusive"
	}
	return "unknown"
}

// ParseEdition reads what [Edition.String] writes.
func ParseEdition(s string) (Edition, bool) {
	for _, e := range []Edition{Standard, Professional, Exclusive} {
		if e.String() == s {
			return e, true
		}
	}
	return 0, false
}
