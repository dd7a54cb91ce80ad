package index

import "slices"

// once leaves, of the answers that are records of one message, the first in the ledger. The answers are those of the parts, which are
// newest first; what the asker may not see is not among them and hides nothing.
//
// Only a copy says that its message is told twice, so the copies among the answers are gathered first. Where there are none, as
// usual, nothing has to be looked at.
func (s *search) once(parts []searched, answers [][]uint32) {
	if s.copies {
		return
	}
	var copies []uint64
	for i, p := range parts {
		if p.copies == 0 || len(answers[i]) == 0 {
			continue
		}
		messages := p.column(s.eval.r, colMessage)
		for _, d := range answers[i] {
			if v := messages.at(int(d)); v&1 != 0 {
				copies = append(copies, v)
			}
		}
	}
	if len(copies) == 0 || s.eval.r.err != nil {
		return
	}
	s.told = newTold(copies)
	for i, p := range slices.Backward(parts) {
		if len(answers[i]) == 0 {
			continue
		}
		messages := p.column(s.eval.r, colMessage)
		if s.eval.r.err != nil {
			return
		}
		firsts := answers[i][:0]
		for _, d := range answers[i] {
			if t := s.told.find(messages.at(int(d))); t != nil {
				if t.records++; t.records > 1 {
					continue
				}
			}
			firsts = append(firsts, d)
		}
		answers[i] = firsts
	}
}

// messages is the column that says which message a document of the part that is being searched is a record of; nil when no message is
// among the answers twice.
func (s *search) messages() *column {
	if s.told == nil {
		return nil
	}
	return s.eval.terms.column(s.eval.r, colMessage)
}

// told counts the records of messages, by the value of colMessage without its lowest bit. It is a table with open addressing: what it
// looks up is random already.
type told []telling

type telling struct {
	message uint64
	records uint32 // among the answers so far
	used    bool
}

func newTold(copies []uint64) told {
	size := 4
	for size < 2*len(copies) {
		size *= 2
	}
	t := make(told, size)
	for _, v := range copies {
		*t.place(v) = telling{message: v >> 1, used: true}
	}
	return t
}

// place is where the message is, or would be.
func (t told) place(v uint64) *telling {
	mask := uint64(len(t) - 1)
	for i := v >> 1 & mask; ; i = (i + 1) & mask {
		if p := &t[i]; !p.used || p.message == v>>1 {
			return p
		}
	}
}

// find returns the message's count, nil when it has no copy among the answers.
func (t told) find(v uint64) *telling {
	if p := t.place(v); p.used {
		return p
	}
	return nil
}

// copies is how many records of the message are no hits.
func (t told) copies(v uint64) int {
	if t == nil {
		return 0
	}
	if p := t.find(v); p != nil {
		return int(p.records) - 1
	}
	return 0
}
