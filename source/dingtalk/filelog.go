package dingtalk

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// feedFileLog tells what was done with files (dingtalk-api.md 7.1), in the exclusive edition. The log names files; it has no identifier of
// them.
var feedFileLog = &feed{"filelog", JobFileLog, 4 * time.Hour, []step{{"rows", true, (*Source).fileLog}}}

// fileLogOverlap is how long a row may take to appear in the log.
const fileLogOverlap = 24 * time.Hour

// fileLogRow is a row of fileAuditLogs.
type fileLogRow struct {
	BizID     text   `json:"bizId"`
	Created   number `json:"gmtCreate"`
	UserID    text   `json:"userId"`
	RealName  text   `json:"realName"`
	Operator  text   `json:"operatorName"`
	Org       text   `json:"orgName"`
	Action    text   `json:"action"`
	ActionIs  text   `json:"actionView"`
	Module    text   `json:"operateModuleView"`
	Platform  text   `json:"platformView"`
	PlatformN text   `json:"platform"`
	IP        text   `json:"ipAddress"`
	Status    number `json:"status"`
	File      text   `json:"resource"`
	Extension text   `json:"resourceExtension"`
	Size      number `json:"resourceSize"`
	Space     text   `json:"targetSpaceId"`
	Receiver  text   `json:"receiverName"`
	ReceiverT text   `json:"receiverTypeView"`
	Wiki      text   `json:"workSpaceName"`
	Members   []struct {
		Name text `json:"memberName"`
		Role text `json:"permissionRoleView"`
	} `json:"docMemberList"`
	Receivers []struct {
		Name text `json:"receiverName"`
	} `json:"docReceiverList"`
}

// actions are the types of the 34 actions.
var actions = [34]guia.Type{
	guia.FileUploaded, guia.FileDeleted, guia.FileDownloaded, guia.FileViewed, guia.FileChanged, // upload to overwrite
	guia.FileShared, guia.FileChanged, guia.FileMoved, guia.FileShared, guia.FileMoved, // external link, rename, move, forward, hand-over
	guia.FileUploaded, guia.FileDeleted, guia.FileExported, guia.FileViewed, guia.FileChanged, // make, delete, export, preview, roll back a document
	guia.FileShared, guia.FileMoved, guia.FileUploaded, guia.FileChanged, guia.FileUploaded, // share in the app, move, duplicate, comment, import
	guia.AccessChanged, guia.FileChanged, guia.FileDeleted, guia.FileUploaded, guia.AccessChanged, // collaborators, rename, recall, wiki upload, public
	guia.AccessChanged, guia.AccessChanged, guia.AccessChanged, guia.AccessChanged, guia.AccessChanged, // members only; wiki public, members only, add, remove
	guia.AccessChanged, guia.FileViewed, guia.FileDownloaded, guia.FileMoved, // wiki members, preview, download, move
}

// fileLog: the place is creation time and number of the last row.
func (s *Source) fileLog(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	a := args{}
	a.set(apiFileLog, "startDate", s.round.from.Add(-fileLogOverlap).UnixMilli())
	a.set(apiFileLog, "endDate", s.round.to.UnixMilli())
	p, err := s.c.page(ctx, s.feed.job, apiFileLog, a, at)
	if err != nil {
		return nil, "", false, err
	}
	records := each(s, p, func(row fileLogRow, raw []byte) []source.Record {
		return []source.Record{s.logged(&row, raw, p.answer)}
	})
	return records, p.next, p.more, nil
}

func (s *Source) logged(row *fileLogRow, raw []byte, a *answer) source.Record {
	if row.BizID == "" {
		return s.odd(raw, a, 0)
	}
	kind := guia.RecordKept
	if n, err := strconv.Atoi(string(row.Action)); err == nil && n >= 0 && n < len(actions) {
		kind = actions[n]
	}
	r := s.record(kind, "log/"+string(row.BizID), raw, a)
	if inMillis(&r, row.Created); !r.HasTime && kind == guia.RecordKept {
		r.Marks = append(r.Marks, source.MarkNoTime)
	}
	if id := cmp.Or(row.UserID, row.RealName, row.Operator); id != "" {
		r.Sender = source.Person{ID: string(id), Name: string(cmp.Or(row.RealName, row.Operator))}
	}
	r.Subject = string(row.File)
	for _, to := range row.Receivers {
		r.Recipients = append(r.Recipients, string(to.Name))
	}
	if row.Receiver != "" {
		r.Recipients = append(r.Recipients, string(row.Receiver))
	}
	var access []string
	for _, m := range row.Members {
		access = append(access, string(m.Name)+" ("+string(m.Role)+")")
	}
	size := ""
	if row.Size > 0 {
		size = row.Size.String()
	}
	r.Text = lines("action", string(row.Action)+" "+string(row.ActionIs), "module", string(row.Module), "file", string(row.File),
		"extension", string(row.Extension), "size", size, "space", string(row.Space), "wiki", string(row.Wiki),
		"to", string(row.Receiver), "kind of receiver", string(row.ReceiverT), "access", strings.Join(access, ", "), "organisation", string(row.Org))
	r.Extra.Set("action", string(row.Action))
	r.Extra.Set("platform", string(cmp.Or(row.Platform, row.PlatformN)))
	r.Extra.Set("ip", string(row.IP))
	r.Extra.Set("person.key", string(row.UserID))
	r.Extra.Set("item.parent", string(row.Space))
	return r
}
