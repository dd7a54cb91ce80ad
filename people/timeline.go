package people

import (
	"cmp"
	"slices"
	"strings"

	"guia"
)

// history is all that is known of one person. Everything in this file is a function of it alone.
type history struct {
	person    guia.PersonID
	source    guia.SourceName
	key       string
	listings  []listing
	sightings []sighting
	latest    [][parts]int // for each sighting, which one up to it showed each part of a value last; -1 for none
}

// listing is one directory entry, or the end of all, which may say how the person was last known.
type listing struct {
	seq            guia.Seq
	since, until   Day
	told, captured int64
	left           bool
	observed       bool // since is the day of capture
	value
}

// sighting is how messages of one day showed their sender.
type sighting struct {
	source      guia.SourceName
	seq         guia.Seq // the first of them
	day         Day
	first, last uint64 // milliseconds of the day
	value
}

// later orders listings: a later day takes over; on one day what was told later, then what reached us later, then the place.
func later(a, b listing) int {
	return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.told, b.told), cmp.Compare(a.captured, b.captured), cmp.Compare(a.seq, b.seq))
}

// state is what holds on one day.
type state struct {
	value
	listed   bool
	observed bool // that it begins on this day
	seqs     []guia.Seq
}

// entries are the person's intervals, by day. Neighbours that say the same are one, with the events of the first.
func (h history) entries() []Entry {
	h.listings = slices.DeleteFunc(slices.Clone(h.listings), func(f listing) bool { return f.until != 0 && f.until == f.since }) // further names
	slices.SortFunc(h.listings, later)
	slices.SortFunc(h.sightings, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.last, b.last), cmp.Compare(a.seq, b.seq))
	})
	h.latest = latestShown(h.sightings)
	var found []Entry
	open := false // the last of found still holds
	for _, day := range h.changes() {
		now, here := h.at(day)
		if open {
			last := &found[len(found)-1]
			if here && now.listed == last.Listed && now.value == (value{last.Name, last.Department, last.Address, last.Phone, last.Title}) {
				continue
			}
			last.Until, last.UntilObserved = day, now.observed
		}
		if open = here; here {
			found = append(found, Entry{
				Person: h.person, Source: h.source, Key: h.key,
				Name: now.name, Department: now.department, Address: now.address, Phone: now.phone, Title: now.title,
				From: day, FromObserved: now.observed, Listed: now.listed, Seqs: now.seqs,
			})
		}
	}
	return found
}

func latestShown(sightings []sighting) [][parts]int {
	latest := make([][parts]int, len(sightings))
	last := [parts]int{-1, -1, -1, -1, -1}
	for i := range sightings {
		for k, part := range sightings[i].parts() {
			if *part != "" {
				last[k] = i
			}
		}
		latest[i] = last
	}
	return latest
}

// changes are the days on which something may begin or end, ascending.
func (h history) changes() []Day {
	var days []Day
	if len(h.listings) > 0 && h.listings[0].left {
		days = append(days, 0)
	}
	for _, f := range h.listings {
		days = append(days, f.since)
		if f.until != 0 {
			days = append(days, f.until)
		}
	}
	for _, f := range h.sightings {
		days = append(days, f.day)
	}
	slices.Sort(days)
	return slices.Compact(days)
}

// at is what holds at the end of a day, and whether the person was there at all. h is sorted.
func (h history) at(day Day) (now state, here bool) {
	for i := len(h.listings) - 1; i >= 0; i-- {
		f := &h.listings[i]
		if f.since > day || f.until != 0 && f.until <= day {
			continue
		}
		if f.left {
			return state{observed: f.observed && f.since == day}, false // a message after somebody left does not bring them back
		}
		now = state{value: f.value, listed: true, observed: f.observed && f.since == day, seqs: []guia.Seq{f.seq}}
		break
	}
	// What the directory does not tell, the latest message that shows it does.
	ended := h.lastEnd(day)
	newest, _ := slices.BinarySearchFunc(h.sightings, day+1, func(f sighting, d Day) int { return cmp.Compare(f.day, d) })
	if newest > 0 {
		latest := &h.latest[newest-1]
		for k, have := range now.parts() {
			if i := latest[k]; *have == "" && i >= 0 && h.sightings[i].day >= ended {
				*have = *h.sightings[i].parts()[k]
				now.seqs = append(now.seqs, h.sightings[i].seq)
			}
		}
	}
	here = now.listed || now.value != (value{})
	if last, only := h.leaving(day); last != nil && !now.listed && (here || only) {
		now.lastKnown(last)
		here = true
	}
	slices.Sort(now.seqs)
	now.seqs = slices.Compact(now.seqs)
	return now, here
}

// leaving is the directory's next word after this day, when it is that the person has left, and how they were last known; only when
// nothing else tells that they were there before.
func (h history) leaving(day Day) (last *listing, only bool) {
	i := slices.IndexFunc(h.listings, func(f listing) bool { return f.since > day })
	if i < 0 || !h.listings[i].left || h.listings[i].value == (value{}) {
		return nil, false
	}
	last = &h.listings[i]
	return last, i == 0 && (len(h.sightings) == 0 || h.sightings[0].day >= last.since)
}

// lastKnown completes what is known of a day by how the person was known last.
func (s *state) lastKnown(f *listing) {
	before := s.value
	last := f.parts()
	for k, have := range s.parts() {
		if *have == "" {
			*have = *last[k]
		}
	}
	if s.value != before {
		s.seqs = append(s.seqs, f.seq)
	}
}

// lastEnd is the latest day up to this one on which the person left: what messages showed before it no longer holds after it.
func (h history) lastEnd(day Day) (end Day) {
	for _, f := range h.listings {
		if f.left && f.since <= day {
			end = max(end, f.since)
		}
	}
	return end
}

// addresses are the e-mail addresses the person ever had, each with the earliest day's event.
func (h history) addresses() map[string]sighting {
	found := map[string]sighting{}
	note := func(address string, day Day, seq guia.Seq) {
		folded := foldAddress(address)
		if !strings.Contains(folded, "@") {
			return
		}
		if have, ok := found[folded]; !ok || day < have.day || day == have.day && seq < have.seq {
			found[folded] = sighting{source: h.source, seq: seq, day: day}
		}
	}
	for _, f := range h.listings {
		note(f.address, f.since, f.seq)
	}
	for _, f := range h.sightings {
		note(f.address, f.day, f.seq)
	}
	return found
}
