package evidence

import (
	"context"
	"slices"

	"guia"
	"guia/evidence/verify"
)

// fillCover makes the cover from the lines that were written, and from nothing else but the tree.
func (b *build) fillCover(ctx context.Context) error {
	c := &b.cover
	*c = verify.Cover{
		Format: verify.Format, Case: b.facts.caseName, Origin: b.l.Origin(), Size: b.size, Root: b.root.String(),
		Created: b.created.UTC().Format("2006-01-02T15:04:05Z"), Program: b.req.Program, Files: int64(len(b.files)),
	}
	if len(c.Program) > 100 {
		c.Program = c.Program[:100]
	}
	b.tally.Fill(c)
	for i := range c.Streams {
		id, err := guia.ParseID16(c.Streams[i].Stream)
		if err != nil {
			return err
		}
		of, err := b.l.StreamCount(ctx, id)
		if err != nil {
			return err
		}
		c.Streams[i].Of = max(c.Streams[i].Of, int64(of))
	}
	c.Claims = b.claims()
	return nil
}

// claims are the sentences that stand on the cover: what the bundle shows, and what it does not. They are keys of package lang.
func (b *build) claims() []string {
	claims := []string{"claim.unchanged", "claim.no_outside_time", "claim.not_truth", "claim.positions", "claim.key_from_elsewhere", "claim.searches", "claim.view_is_no_proof"}
	when := func(condition bool, claim string) {
		if condition {
			claims = append(claims, claim)
		}
	}
	grade := map[string]string{"A": "claim.grade_a", "B": "claim.grade_b", "C": "claim.grade_c", "D": "claim.grade_d", "?": "claim.grade_unknown"}
	for _, g := range b.cover.Grades {
		claims = append(claims, grade[g.Grade])
	}
	gaps, holes := false, false
	for _, s := range b.cover.Sources {
		gaps = gaps || s.Gaps > 0
	}
	for _, s := range b.cover.Streams {
		holes = holes || !s.Complete
	}
	r := b.req.Redact
	when(gaps, "claim.gaps")
	when(holes, "claim.holes")
	when(!holes, "claim.no_holes")
	when(b.cover.Redacted > 0, "claim.redacted")
	when(b.cover.Erased > 0, "claim.erased")
	when(b.facts.missing > 0, "claim.files_missing")
	when(b.facts.timeless > 0, "claim.times_missing")
	when(r.Persons(), "claim.persons_withheld")
	when(r.Persons(), "claim.persons_may_remain")
	when(r.has("passage"), "claim.passages_withheld")
	when(r.searches() && len(b.files) > 0, "claim.files_not_searched")
	slices.Sort(claims)
	return slices.Compact(claims)
}

// claimOrder is the order in which people read the claims: what is shown, what is not, and how far the parts reach.
var claimOrder = []string{
	"claim.unchanged", "claim.key_from_elsewhere", "claim.not_truth", "claim.no_outside_time", "claim.positions", "claim.no_holes", "claim.holes",
	"claim.gaps", "claim.grade_a", "claim.grade_b", "claim.grade_c", "claim.grade_d", "claim.grade_unknown", "claim.times_missing",
	"claim.files_missing", "claim.redacted", "claim.persons_withheld", "claim.persons_may_remain", "claim.passages_withheld", "claim.files_not_searched", "claim.erased",
	"claim.searches", "claim.view_is_no_proof",
}
