package dingtalk

import "time"

// Company is what the cost of feeds depends on. Zeros are taken as they are.
type Company struct {
	People, Departments, Roles int
	Notices                    int // announcements a month
	Sent                       int // robot messages and work notifications a month whose readers are asked for
	FileActions                int // rows of the file log a month
	Files, Spaces              int
	Meetings                   int // a month
}

// Companies of the size that the product is judged by, with volumes of a usual month.
var (
	CompanyS = Company{12, 4, 10, 40, 200, 2_000, 3_000, 5, 40}
	CompanyM = Company{300, 30, 20, 60, 600, 40_000, 60_000, 40, 400}
	CompanyL = Company{30_000, 1_500, 100, 150, 4_000, 4_000_000, 5_000_000, 2_000, 8_000}
)

// Cost is what one feed is expected to spend.
type Cost struct {
	Feed   string
	First  int // paid calls of the first round, once
	Month  int // paid calls a month from then on
	Exempt int // calls a month that are not counted
	// Pushed is how many deliveries a month the same facts cost as events; 0: there are no such events, or they tell too little.
	Pushed int
	// Push is the advice to let DingTalk push, because the calls do not suffice and the deliveries do.
	Push bool
	// Fits: the calls of this feed and of those before it are covered by what they may use.
	Fits   bool
	Points []string
	Least  Edition
	Probe  bool // whether the tenant has the call is found out by calling it
}

// Plan says, before anything is switched on, what each feed costs this company, in the order in which feeds are served when calls are
// short. The numbers are those of a month of 30 days with 22 working days, rounded up.
func Plan(co Company, edition Edition, quota Quota) []Cost {
	pages := func(n, size int) int { return max(1, (n+size-1)/size) }
	rounds := func(every time.Duration) int { return int((30*24*time.Hour + every - 1) / every) }
	userPages := co.Departments + co.People/100
	ages := len(noticeAges)
	attendanceDaysARound := 1 + int(attendanceOverlap/(24*time.Hour))
	batches := pages(co.People, attendanceUsers)
	checks := pages(min(co.People, attendanceUsers)*2*attendanceDaysARound, apiAttendance.size)
	logRounds := rounds(feedFileLog.every)
	logged := co.FileActions / 30 * (24 + int(feedFileLog.every.Hours())) / 24 // in the time that a round reads
	costs := []Cost{
		{Feed: "reads", Month: co.Sent * len(readAges), Pushed: co.Sent * min(co.People, 20), Points: []string{"qyapi_robot_sendmsg", "qyapi_base"}},
		{
			Feed: "directory", First: 1, Month: rounds(feedDirectory.every), Exempt: rounds(feedDirectory.every) * (co.Departments + userPages + co.Roles + 2),
			Points: []string{"qyapi_get_department_list", "qyapi_get_department_member", "qyapi_get_member", "Contact.Common.Read"},
		},
		{
			Feed: "notices", First: pages(co.Notices*2, apiNoticeIDs.size) + co.Notices*2*(1+pages(co.People, apiReaders.size)),
			Month:  rounds(feedNotices.every)*ages + co.Notices*ages*(1+pages(co.People, apiReaders.size)),
			Points: []string{"qyapi_blackboard_read", "qyapi_blackboard_manage"},
		},
		{
			Feed: "filelog", First: pages(co.FileActions, apiFileLog.size), Month: logRounds * pages(logged, apiFileLog.size),
			Points: apiFileLog.points, Least: Exclusive,
		},
		{
			Feed: "attendance", First: batches * pages(min(co.People, attendanceUsers)*2*22, apiAttendance.size), Month: rounds(feedAttendance.every) * batches * checks,
			Exempt: rounds(feedAttendance.every) * 2 * co.Departments, Pushed: co.People * 2 * 22, Points: apiAttendance.points,
		},
		{
			Feed: "roster", Exempt: rounds(feedRoster.every) * (1 + pages(co.People, apiOnJob.size) + pages(co.People, rosterUsers)), Points: apiRosterMeta.points,
		},
		{
			Feed: "meetings", First: pages(co.Meetings, apiMeetings.size) + 2*co.Meetings, Month: rounds(feedMeetings.every) + 2*co.Meetings*(24+int(meetingOverlap.Hours()))/24,
			Pushed: 2 * co.Meetings, Points: apiMeetings.points, Probe: true,
		},
		{
			Feed: "drive", First: pages(co.Spaces, apiSpaces.size) + co.Spaces + pages(co.Files, apiDentries.size), Points: []string{"Drive.Space.Read", "Storage.File.Read", "Storage.DownloadInfo.Read"},
			Month: rounds(feedDrive.every) * (pages(co.Spaces, apiSpaces.size) + co.Spaces + pages(co.Files, apiDentries.size)), Pushed: co.Files / 50,
		},
	}
	calls, deliveries := 0, 0
	for i := range costs {
		c := &costs[i]
		if c.Least > edition {
			continue
		}
		limit := quota.Calls
		if c.Feed != string(JobReads) {
			limit = quota.Calls * (100 - reservePercent) / 100
		}
		c.Fits = calls+c.Month <= limit
		if !c.Fits && c.Pushed > 0 && deliveries+c.Pushed <= quota.Deliveries {
			c.Push = true
			deliveries += c.Pushed
			continue
		}
		if c.Fits {
			calls += c.Month
		}
	}
	return costs
}

// Gives says how much of a job an edition can do.
type Gives uint8

// How much.
const (
	Nothing Gives = iota
	Part
	Whole
	Unknown // no source says; found out by a probe
)

// String is the word for tables that programs read.
func (g Gives) String() string {
	return [...]string{"nothing", "part", "whole", "unknown"}[g&3]
}

// Line is one line of the edition matrix.
type Line struct {
	Job   string
	Gives [3]Gives // by [Edition]
	Lost  string   // sentence in lang: what is lost where it is not whole
}

// Matrix says what each job gets from each edition (dingtalk-api.md 1.5, 3, 4, 7, 8, 12).
func Matrix() []Line {
	return []Line{
		{"directory", [3]Gives{Whole, Whole, Whole}, ""},
		{"reads", [3]Gives{Part, Part, Part}, "dingtalk.lost.reads"},
		{"notices", [3]Gives{Whole, Whole, Whole}, ""},
		{"attendance", [3]Gives{Whole, Whole, Whole}, ""},
		{"roster", [3]Gives{Part, Part, Part}, "dingtalk.lost.roster"},
		{"drive", [3]Gives{Part, Whole, Whole}, "dingtalk.lost.drive"},
		{"meetings", [3]Gives{Unknown, Unknown, Unknown}, "dingtalk.lost.meetings"},
		{"filelog", [3]Gives{Nothing, Nothing, Whole}, "dingtalk.lost.filelog"},
		{"conversations", [3]Gives{Part, Part, Part}, "dingtalk.lost.conversations"},
		{"groups", [3]Gives{Nothing, Nothing, Whole}, "dingtalk.lost.groups"},
		{"screenshots", [3]Gives{Nothing, Nothing, Whole}, "dingtalk.lost.screenshots"},
		{"logins", [3]Gives{Nothing, Nothing, Nothing}, "dingtalk.lost.logins"},
	}
}
