package dingtalk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"guia"
	"guia/source"
)

// feedRoster tells which fields Smart HR has about people and, when asked to, for how many people each is filled in (dingtalk-api.md 8).
// There is no call that counts: the values are read, counted and let go; none is kept.
var feedRoster = &feed{"roster", JobRoster, 7 * 24 * time.Hour, []step{{"fields", true, (*Source).roster}}}

// rosterUsers is how many people one call takes.
const rosterUsers = 100

func (s *Source) roster(ctx context.Context, _ string) ([]source.Record, string, bool, error) {
	p, err := s.c.page(ctx, s.feed.job, apiRosterMeta, args{body: map[string]any{"agentid": s.c.cfg.AgentID}}, "")
	if f := faultIn(err); f != nil && f.Kind == NoEdition { // Smart HR is not opened: a fact, and a good one
		return []source.Record{s.gap("fields", f)}, "", false, nil
	}
	if err != nil {
		return nil, "", false, err
	}
	var filled map[string]int
	people := 0
	if s.opt.CountRoster {
		if filled, people, err = s.countRoster(ctx); err != nil {
			return nil, "", false, err
		}
	}
	return each(s, p, func(group struct {
		ID     text              `json:"group_id"`
		Name   text              `json:"group_name"`
		Fields []json.RawMessage `json:"field_meta_info_list"`
	}, raw []byte,
	) (records []source.Record) {
		for n, one := range group.Fields {
			var field struct {
				Code text `json:"field_code"`
				Name text `json:"field_name"`
			}
			if !fits(one, &field) || field.Code == "" {
				records = append(records, s.odd(one, p.answer, n))
				continue
			}
			r := s.record(guia.FieldSeen, "field/"+string(group.ID)+"/"+string(field.Code), one, p.answer)
			r.Subject = string(field.Name)
			known := ""
			if filled != nil {
				n := filled[string(group.ID)+"/"+string(field.Code)]
				known = fmt.Sprintf("%d of %d people", n, people)
				r.Extra.Set("count", strconv.Itoa(people))
				r.Extra.Set("count.filled", strconv.Itoa(n))
				r.Marks = append(r.Marks, "counted-without-values")
			}
			r.Text = lines("group", string(group.Name), "field", string(field.Name), "code", string(field.Code), "filled in for", known)
			r.Extra.Set("item.key", string(field.Code))
			r.Extra.Set("item.parent", string(group.ID))
			r.Extra.Set("item.type", "field")
			records = append(records, r)
		}
		return records
	}), "", false, nil
}

// countRoster reads the values of everybody and keeps the numbers.
func (s *Source) countRoster(ctx context.Context) (filled map[string]int, people int, err error) {
	var users []string
	err = s.c.all(ctx, s.feed.job, apiOnJob, args{body: map[string]any{"status_list": "2,3,5,-1"}}, func(p rowsPage) error {
		for _, raw := range p.rows {
			var id text
			if fits(raw, &id) && id != "" {
				users = append(users, string(id))
			}
		}
		if len(users) > maxUsers {
			return errors.New("more people than the limit")
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	slices.Sort(users)
	users = slices.Compact(users)
	filled = map[string]int{}
	for some := range slices.Chunk(users, rosterUsers) {
		p, err := s.c.page(ctx, s.feed.job, apiRoster, args{body: map[string]any{
			"appAgentId": s.c.cfg.AgentID, "userIdList": some, "text2SelectConvert": true,
		}}, "")
		if err != nil {
			return nil, 0, err
		}
		for _, raw := range p.rows {
			if err := countFields(raw, filled); err != nil {
				return nil, 0, (&Fault{Kind: Unexpected, API: apiRoster.String(), Request: p.request}).refusal()
			}
		}
		people += len(p.rows)
	}
	return filled, people, nil
}

// countFields adds one person's fields that have a value.
func countFields(raw []byte, filled map[string]int) error {
	var row struct {
		Fields []struct {
			Group  text `json:"groupId"`
			Code   text `json:"fieldCode"`
			Values []struct {
				Label text `json:"label"`
				Value text `json:"value"`
			} `json:"fieldValueList"`
		} `json:"fieldDataList"`
	}
	if err := read(raw, &row); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, f := range row.Fields {
		key := string(f.Group) + "/" + string(f.Code)
		for _, v := range f.Values {
			if cmp.Or(v.Value, v.Label) != "" && !seen[key] {
				seen[key] = true
				filled[key]++
			}
		}
	}
	return nil
}
