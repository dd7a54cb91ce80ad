package dingtalktest

import (
	"slices"
	"time"
)

var conferenceCalls = []endpoint{
	{method: "GET", path: "/v1.0/conference/videoConferences/histories/dataLists", scope: "VideoConference.Conference.Read", do: conferenceHistory},
	{method: "GET", path: "/v1.0/conference/orgConferences", scope: "VideoConference.Conference.Read", do: runningConferences},
	{method: "GET", path: "/v1.0/conference/videoConferences/{conferenceId}", scope: "VideoConference.Conference.Read", do: getConference},
	{method: "GET", path: "/v1.0/conference/videoConferences/{conferenceId}/members", scope: "VideoConference.Conference.Read", do: conferenceMembers},
	{method: "GET", path: "/v1.0/conference/videoConferences/{conferenceId}/cloudRecords/getVideos", scope: "VideoConference.Conference.Read", do: recordings},
	{method: "GET", path: "/v1.0/conference/videoConferences/{conferenceId}/cloudRecords/getTexts", scope: "VideoConference.Conference.Read", do: recordedTexts},
	{method: "GET", path: "/v1.0/conference/videoConferences/{conferenceId}/cloudRecords/videos/getPlayInfos", scope: "VideoConference.Conference.Read", do: playInfo},
}

type conference struct {
	id       string
	title    string
	host     *person
	from     time.Time
	until    time.Time
	members  []int
	outsider bool   // somebody of another company took part
	region   string // where the recording lies; empty when none was made
	lines    []string
}

func (t *Tenant) conference(id string) *conference {
	for _, k := range t.conferences {
		if k.id == id {
			return k
		}
	}
	return nil
}

func (c *call) meeting() *conference {
	k := c.t.conference(c.text("conferenceId"))
	if k == nil || k.from.After(c.now) {
		c.fail(newFault(404, "conferenceNotExist", "会议不存在"))
		return nil
	}
	return k
}

func conferenceHistory(c *call) object {
	if !c.need("startTime", "endTime", "realData") {
		return nil
	}
	from, until, size := c.milli("startTime"), c.milli("endTime"), c.size("maxResults", 20, 100)
	var in []*conference
	for _, k := range c.t.conferences {
		if !k.from.Before(from) && !k.from.After(until) && !k.until.After(c.now) {
			in = append(in, k)
		}
	}
	page, token := byToken(c, in, size)
	rows := []object{}
	for _, k := range page {
		rows = append(rows, object{
			"conferenceId": k.id, "title": k.title, "creatorId": k.host.union, "creatorNick": k.host.name, "deptName": c.t.company.byID[k.host.dept].name,
			"scene": "conference", "freeType": "free", "startTime": k.from.UnixMilli(), "endTime": k.until.UnixMilli(),
			"timeLength": k.until.Sub(k.from).Milliseconds(), "userCount": len(k.members),
		})
	}
	return object{"list": rows, "nextToken": token}
}

func runningConferences(c *call) object {
	var in []*conference
	for _, k := range c.t.conferences {
		if !k.from.After(c.now) && k.until.After(c.now) {
			in = append(in, k)
		}
	}
	page, token := byToken(c, in, c.size("maxResults", 20, 100))
	rows := []object{}
	for _, k := range page {
		rows = append(rows, object{
			"conferenceId": k.id, "title": k.title, "creatorId": k.host.union, "creatorNick": k.host.name, "roomCode": "900000000",
			"startTime": k.from.UnixMilli(), "endTime": 0, "status": 1, "bizType": "normal",
		})
	}
	return object{"onGoingConfList": rows, "totalCount": len(in), "hasMore": token != "", "nextToken": token}
}

func getConference(c *call) object {
	k := c.meeting()
	if k == nil {
		return nil
	}
	status, end, recorded := 1, int64(0), 0
	if !k.until.After(c.now) {
		status, end = 2, k.until.UnixMilli()
	}
	o := object{
		"conferenceId": k.id, "title": k.title, "creatorId": k.host.union, "creatorNick": k.host.name, "status": status, "startTime": k.from.UnixMilli(),
		"endTime": end, "confDuration": k.until.Sub(k.from).Milliseconds(), "attendNum": len(k.members), "invitedNum": len(k.members), "activeNum": 0,
		"roomCode": "900000000", "externalLinkUrl": "https://meeting.dingtalk.test/j/" + k.id[:8], "bizType": "normal", "minutesStatus": 0,
		"scheduleConferenceId": "", "extensionAppSettings": []object{},
	}
	if k.region != "" {
		recorded, o["cloudRecordOwnerUnionId"] = 2, k.host.union
	}
	o["cloudRecordStatus"] = recorded
	return object{"confInfo": o}
}

func conferenceMembers(c *call) object {
	k := c.meeting()
	if k == nil {
		return nil
	}
	rows := []object{}
	for _, i := range k.members {
		p := c.t.company.person(i)
		d := roll(uint64(p.salt), k.id)
		join := k.from.Add(d.span(3 * time.Minute))
		rows = append(rows, object{
			"conferenceId": k.id, "unionId": p.union, "userNick": p.name, "host": p.index == k.host.index, "coHost": false, "outerOrgMember": false,
			"pstnJoin": false, "joinTime": join.UnixMilli(), "leaveTime": k.until.UnixMilli(), "duration": k.until.Sub(join).Milliseconds(), "attendStatus": 2,
			"jobNumber": p.job,
		})
	}
	if k.outsider {
		rows = append(rows, object{
			"conferenceId": k.id, "unionId": "TstOutsideriEiE", "userNick": "外部客戶 Cliente", "host": false, "coHost": false, "outerOrgMember": true, "pstnJoin": false,
			"joinTime": k.from.UnixMilli(), "leaveTime": k.until.UnixMilli(), "duration": k.until.Sub(k.from).Milliseconds(), "attendStatus": 2, "jobNumber": "",
		})
	}
	page, token := byToken(c, rows, c.size("maxResults", 20, 100))
	return object{"memberModels": page, "totalCount": len(rows), "nextToken": token}
}

func (k *conference) record(now time.Time) object {
	d := roll(7, k.id)
	return object{
		"recordId": d.hex(24), "mediaId": d.hex(32), "regionId": k.region, "recordType": 1, "duration": k.until.Sub(k.from).Milliseconds(),
		"fileSize": int64(k.until.Sub(k.from)/time.Second) * 90_000, "startTime": k.from.UnixMilli(), "endTime": k.until.UnixMilli(), "unionId": k.host.union,
	}
}

func recordings(c *call) object {
	k := c.meeting()
	if k == nil || c.acting() == nil {
		return nil
	}
	rows := []object{}
	if k.region != "" && !k.until.After(c.now) {
		rows = append(rows, k.record(c.now))
	}
	return object{"videoList": rows}
}

func playInfo(c *call) object {
	k := c.meeting()
	if k == nil || c.acting() == nil || !c.need("mediaId", "regionId") {
		return nil
	}
	r := k.record(c.now)
	if k.region == "" || c.text("mediaId") != r["mediaId"] || c.text("regionId") != k.region {
		return c.fail(newFault(404, "recordNotExist", "录制不存在"))
	}
	address := "https://" + k.region + ".media.dingtalk.test/" + c.text("mediaId")
	return object{"playUrl": address + ".m3u8", "mp4FileUrl": address + ".mp4", "duration": r["duration"], "fileSize": r["fileSize"], "status": 2}
}

// recordedTexts gives the place of the next page inside of each paragraph, in a field that is really spelt nextTtoken.
func recordedTexts(c *call) object {
	k := c.meeting()
	if k == nil || c.acting() == nil {
		return nil
	}
	lines := k.lines
	if k.region == "" {
		lines = nil
	}
	lines = slices.Clone(lines)
	if c.text("direction") == "1" {
		slices.Reverse(lines)
	}
	page, next, more := byNumber(c, lines, "nextToken", c.size("maxResults", 20, 100))
	rows := []object{}
	for n, line := range page {
		place := next - len(page) + n
		p := c.t.company.person(k.members[place%len(k.members)])
		from := k.from.Add(time.Duration(place) * 20 * time.Second).UnixMilli()
		rows = append(rows, object{
			"nextTtoken": place + 1, "nickName": p.name, "unionId": p.union, "paragraph": line, "recordId": 1, "startTime": from, "endTime": from + 15_000, "status": 1,
			"sentenceList": []object{{"sentence": line, "unionId": p.union, "startTime": from, "endTime": from + 15_000, "wordList": []object{}}},
		})
	}
	return object{"hasMore": more, "paragraphList": rows}
}
