package dingtalk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"guia"
	"guia/source"
)

// feedDrive lists the spaces of the organisation and what lies in them, and asks once for each kind of storage of a space in which region
// it lies (dingtalk-api.md 10). It sees what the operator may see. No content is downloaded.
var feedDrive = &feed{"drive", JobDrive, 7 * 24 * time.Hour, []step{
	{"spaces", true, (*Source).spaces},
	{"files", true, (*Source).files},
}}

// spaceRow is a row of drive/spaces.
type spaceRow struct {
	ID      text   `json:"spaceId"`
	Name    text   `json:"spaceName"`
	Kind    text   `json:"spaceType"`
	Quota   number `json:"quota"`
	Used    number `json:"usedQuota"`
	Mode    text   `json:"permissionMode"`
	Created text   `json:"createTime"`
}

// listSpaces asks for a page of spaces; the last one is remembered.
func (s *Source) listSpaces(ctx context.Context, at string) (rowsPage, error) {
	return s.keep("spaces "+at, func() (rowsPage, error) {
		a := args{}
		a.set(apiSpaces, "unionId", s.c.cfg.OperatorUnion)
		a.set(apiSpaces, "spaceType", "org")
		return s.c.page(ctx, s.feed.job, apiSpaces, a, at)
	})
}

// spaces: the place is that in the list of spaces.
func (s *Source) spaces(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	p, err := s.listSpaces(ctx, at)
	if err != nil {
		return nil, "", false, err
	}
	records := each(s, p, func(row spaceRow, raw []byte) []source.Record {
		if row.ID == "" {
			return []source.Record{s.odd(raw, p.answer, 0)}
		}
		r := s.record(guia.SpaceSeen, "space/"+string(row.ID), raw, p.answer)
		inWords(&r, string(row.Created))
		r.Subject = string(row.Name)
		r.Text = lines("space", string(row.Name), "kind", string(row.Kind), "permissions", string(row.Mode), "quota", row.Quota.String(),
			"used", row.Used.String())
		r.Extra.Set("item.key", string(row.ID))
		r.Extra.Set("item.type", "space")
		return []source.Record{r}
	})
	return records, p.next, p.more, nil
}

// dentry is a file or folder.
type dentry struct {
	ID        text   `json:"id"`
	UUID      text   `json:"uuid"`
	Space     text   `json:"spaceId"`
	Parent    text   `json:"parentId"`
	Kind      text   `json:"type"`
	Name      text   `json:"name"`
	Path      text   `json:"path"`
	Size      number `json:"size"`
	Version   number `json:"version"`
	Status    text   `json:"status"`
	Creator   text   `json:"creatorId"`
	Modifier  text   `json:"modifierId"`
	Created   text   `json:"createTime"`
	Modified  text   `json:"modifiedTime"`
	Partition text   `json:"partitionType"`
	Driver    text   `json:"storageDriver"`
}

// files: the place is the space on its page, the page of spaces, and the place inside of the space.
func (s *Source) files(ctx context.Context, at string) ([]source.Record, string, bool, error) {
	one, page, inner := 0, "", ""
	if at != "" {
		var cut int
		if n, err := fmt.Sscanf(at, "%d %d", &one, &cut); n != 2 || err != nil || one < 0 || cut < 0 {
			return nil, "", false, source.RefuseCursor()
		}
		rest := at[min(len(at), len(fmt.Sprintf("%d %d ", one, cut))):]
		if cut > len(rest) {
			return nil, "", false, source.RefuseCursor()
		}
		page, inner = rest[:cut], rest[cut:]
	}
	spaces, err := s.listSpaces(ctx, page)
	if err != nil {
		return nil, "", false, err
	}
	var records []source.Record
	var p rowsPage
	var row spaceRow
	if one < len(spaces.rows) && fits(spaces.rows[one], &row) && row.ID != "" {
		if records, p, err = s.filesIn(ctx, string(row.ID), inner); err != nil {
			return nil, "", false, err
		}
	}
	switch {
	case p.more:
		return records, fmt.Sprintf("%d %d %s%s", one, len(page), page, p.next), true, nil
	case one+1 < len(spaces.rows):
		return records, fmt.Sprintf("%d %d %s", one+1, len(page), page), true, nil
	case spaces.more:
		return records, fmt.Sprintf("0 %d %s", len(spaces.next), spaces.next), true, nil
	}
	return records, "", false, nil
}

// filesIn lists one page of a space.
func (s *Source) filesIn(ctx context.Context, space, inner string) ([]source.Record, rowsPage, error) {
	a := args{path: []string{space}, query: map[string][]string{"unionId": {s.c.cfg.OperatorUnion}}}
	p, err := s.c.page(ctx, s.feed.job, apiDentries, a, inner)
	if f := faultIn(err); f != nil && slices.Contains(findings, f.Kind) {
		return []source.Record{s.gap("space/"+space, f)}, rowsPage{}, nil
	}
	if err != nil {
		return nil, p, err
	}
	var sample []dentry // of the first page: one file of each kind of storage
	records := each(s, p, func(d dentry, raw []byte) []source.Record {
		if d.ID == "" {
			return []source.Record{s.odd(raw, p.answer, 0)}
		}
		same := func(have dentry) bool { return have.Partition == d.Partition && have.Driver == d.Driver }
		if inner == "" && d.Kind == "FILE" && d.Driver == "DINGTALK" && !slices.ContainsFunc(sample, same) {
			sample = append(sample, d)
		}
		r := s.record(guia.FileSeen, "file/"+space+"/"+string(d.ID), raw, p.answer)
		if d.Creator != "" {
			r.Sender = source.Person{ID: unionPrefix + string(d.Creator)}
		}
		inWords(&r, string(d.Modified))
		r.Subject = string(d.Name)
		r.Text = lines("name", string(d.Name), "path", string(d.Path), "size", d.Size.String(), "version", d.Version.String(), "status", string(d.Status),
			"modified", string(d.Modified), "by", string(d.Modifier), "storage", string(d.Driver), "partition", string(d.Partition), "uuid", string(d.UUID))
		r.Extra.Set("item.key", string(d.ID))
		r.Extra.Set("item.parent", space+"/"+string(d.Parent))
		r.Extra.Set("item.type", strings.ToLower(string(d.Kind)))
		r.Extra.Set("status", string(d.Status))
		return []source.Record{r}
	})
	for _, d := range sample {
		r, err := s.region(ctx, space, &d)
		if err != nil {
			return nil, p, err
		}
		records = append(records, r)
	}
	return records, p, nil
}

// region asks where a file would be downloaded from, and downloads nothing. What it answers besides opens the file for 15 minutes; of the
// answer only the region is kept.
func (s *Source) region(ctx context.Context, space string, d *dentry) (source.Record, error) {
	a := args{path: []string{space, string(d.ID)}, query: map[string][]string{"unionId": {s.c.cfg.OperatorUnion}}, body: map[string]any{"option": map[string]any{"preferIntranet": false}}}
	key := "region/" + space + "/" + string(d.Partition)
	ans, err := s.c.call(ctx, s.feed.job, apiDownload, a)
	if f := faultIn(err); f != nil && (slices.Contains(findings, f.Kind) || f.Code == "fileArchived") {
		return s.gap(key, f), nil
	}
	if err != nil {
		return source.Record{}, err
	}
	value, _ := dig(ans.body, "headerSignatureInfo.region") // an odd answer is as good as none
	var region text
	if value == nil || !fits(value, &region) {
		return s.gap(key, &Fault{Kind: Unexpected, API: apiDownload.String(), Request: ans.request}), nil
	}
	r := s.record(guia.SpaceSeen, key, value, ans)
	r.Text = lines("region", string(region), "partition", string(d.Partition), "storage", string(d.Driver), "asked for file", string(d.ID))
	r.Extra.Set("item.key", space)
	r.Extra.Set("item.type", "space")
	inRegion(&r, string(region), "region of the download of one file of this space and storage")
	return r, nil
}
