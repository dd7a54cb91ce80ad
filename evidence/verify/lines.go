package verify

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"guia"
	"guia/canon"
	"guia/proof"
)

// batchBytes is how much of a file of lines one worker takes at a time.
const batchBytes = 256 << 10

// batch is some whole lines on their way through a worker. The results are in the order of the lines.
type batch struct {
	text     []byte
	first    int64 // number of the first line, from 1
	lines    []outcome
	findings []Finding
	withheld map[string]*Withheld
	done     chan struct{}
}

// outcome is what the collector, who sees the lines in order, needs of one.
type outcome struct {
	number int64 // of the line
	index  int64 // -1 when it could not be read
	parsed bool  // the leaf too
	placed bool  // its proof fits, or there is no root to compare with
	facts  facts
	files  []fileUse
	proof  *proofFile // the tlog-proof of this event
	stray  *stray     // its proof fails
}

// fileUse is a disclosed field that names an attachment.
type fileUse struct {
	field   string
	ref     canon.FileRef
	missing bool // the event has a field that says why the bytes are not there
}

// lines verifies a file of lines on all cores. Memory stays within a few batches, or lines when they are longer.
func (v *verification) lines(e *entry, custody bool) {
	work, order := make(chan *batch), make(chan *batch, 2*v.limits.Workers)
	var stop atomic.Bool // too much is wrong: only the digest is still wanted
	var workers sync.WaitGroup
	for range v.limits.Workers {
		workers.Go(func() {
			c := checker{v: v, file: e.name}
			for b := range work {
				c.batch(b)
				close(b.done)
			}
		})
	}
	var readErr error
	workers.Go(func() {
		defer close(order)
		defer close(work)
		readErr = v.split(e, &stop, func(b *batch) {
			order <- b
			work <- b
		})
	})
	last, faulty := int64(-1), 0
	v.doubtful = nil
	for b := range order {
		<-b.done
		last = v.collect(e, b, last, custody)
		if faulty += len(b.findings); faulty > 10*v.limits.Findings {
			stop.Store(true)
		}
	}
	workers.Wait()
	v.contentError(e, readErr)
	v.cut = v.cut || !e.whole
	if stop.Load() {
		v.find(stageLines, Finding{File: e.name, Sentence: Sentence{"verify.line.stopped", nil}})
	}
}

// split reads the content, sets the digest, and gives away whole lines in batches of their own memory.
func (v *verification) split(e *entry, stop *atomic.Bool, give func(*batch)) error {
	content, hash := v.open(e), sha256.New()
	number := int64(1)
	var rest []byte
	for {
		room := int(min(batchBytes, e.size+1)) // one more byte, so that a small file ends in the first batch
		text := make([]byte, len(rest), max(room, 2*len(rest)))
		copy(text, rest)
		n, err := io.ReadFull(content, text[len(rest):cap(text)])
		text = text[:len(rest)+n]
		hash.Write(text[len(rest):])
		end := len(text)
		if err == nil {
			end = bytes.LastIndexByte(text, '\n') + 1
		}
		rest = text[end:]
		if len(rest) > v.limits.LineBytes && !stop.Swap(true) {
			give(&batch{first: number, done: make(chan struct{}), findings: []Finding{
				{File: e.name, Line: number, stage: stageLines, Sentence: Sentence{"verify.line.long", []any{v.limits.LineBytes}}},
			}})
		}
		if stop.Load() {
			rest = nil
		} else if end > 0 {
			b := &batch{text: text[:end:end], first: number, done: make(chan struct{})}
			number += int64(bytes.Count(b.text, []byte("\n")))
			give(b)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			hash.Sum(e.digest[:0])
			e.read = true
			return nil
		default:
			return err
		}
	}
}

// collect takes the results of a batch in order. last is the index of the line before.
func (v *verification) collect(e *entry, b *batch, last int64, custody bool) int64 {
	broken := map[int64]int{} // by line, the finding that it has not the form: then its number may be garbled as well
	for _, f := range b.findings {
		at := v.find(f.stage, f)
		if f.Key == "verify.line.form" && f.Event != nil && at >= 0 {
			broken[f.Line] = at
		}
	}
	for i := range b.lines {
		line := &b.lines[i]
		find := func(s stage, field, key string, args ...any) {
			f := Finding{File: e.name, Line: line.number, Event: eventOf(line.index), Sentence: Sentence{key, args}}
			if s == stageFiles {
				f.about = args[0].(string)
			}
			v.find(s, f.in(field))
		}
		if at, isBroken := broken[line.number]; isBroken {
			v.doubtful = append(v.doubtful, at)
		}
		if line.placed {
			v.placed = true
			for _, at := range v.doubtful {
				if n := *v.faults[at].Event; n <= last || n >= line.index {
					f := &v.faults[at]
					f.Event, f.Field, f.Part = nil, "", ""
				}
			}
			v.doubtful = nil
			if line.index <= last {
				find(stageLines, "", "verify.line.order", last)
			}
			last = line.index
		}
		if line.stray != nil && len(v.strays) < mostStrays {
			v.strays = append(v.strays, line.stray)
		}
		if !line.parsed {
			continue
		}
		ascends := v.tally.add(&line.facts, custody)
		x := v.tally.streams[line.facts.header.Stream]
		if !line.placed && x != nil {
			x.unsure = true
		}
		if !ascends && !x.unsure {
			find(stageStreams, "", "verify.stream.order", line.facts.header.Stream.String(), line.facts.header.Count)
		}
		if line.proof != nil {
			line.proof.e.referenced = true
		}
		for _, use := range line.files {
			file := v.byName[FileName(use.ref.Digest)]
			switch {
			case file != nil:
				file.referenced = true
				if file.size != use.ref.Size {
					find(stageFiles, use.field, "verify.file.size", file.name, file.size, use.ref.Size)
				}
			case use.missing:
				v.report.FilesMissing++
			default:
				find(stageFiles, use.field, "verify.file.absent", FileName(use.ref.Digest))
			}
		}
	}
	if !custody {
		for name, w := range b.withheld {
			v.tally.withhold(name, Redacted, w.Redacted)
			v.tally.withhold(name, Erased, w.Erased)
		}
	}
	return last
}

func eventOf(index int64) *int64 {
	if index < 0 {
		return nil
	}
	return &index
}

// checker verifies lines. It belongs to one goroutine and uses its memory again.
type checker struct {
	v           *verification
	file        string
	line        Line
	commitments []canon.Commitment
	block       []byte
	batchOf     *batch
	number      int64
	index       int64
}

func (c *checker) batch(b *batch) {
	if b.text == nil {
		return
	}
	c.batchOf, c.number = b, b.first
	for text := range bytes.Lines(b.text) {
		b.lines = append(b.lines, c.check(text))
		c.number++
		if len(b.findings) > 10*c.v.limits.Findings {
			break // the collector will stop the rest
		}
	}
	b.text = nil
}

func (c *checker) find(s stage, field, key string, args ...any) {
	b := c.batchOf
	f := Finding{File: c.file, Line: c.number, Event: eventOf(c.index), Sentence: Sentence{key, args}, stage: s}
	if key == "verify.proof.hashes" {
		f.about = args[0].(string)
	}
	b.findings = append(b.findings, f.in(field))
}

// check verifies one line by itself: all that needs no other line.
func (c *checker) check(text []byte) outcome {
	l := &c.line
	c.index = -1
	if len(text) > c.v.limits.LineBytes {
		c.find(stageLines, "", "verify.line.long", c.v.limits.LineBytes)
		return outcome{number: c.number, index: -1}
	}
	if fault := l.parse(text); fault != nil {
		if len(l.Leaf) > 0 {
			c.index = l.Index
		}
		c.find(stageLines, fault.Field, fault.Key, fault.Args...)
		return outcome{number: c.number, index: c.index}
	}
	c.index = l.Index
	out := outcome{number: c.number, index: l.Index}
	leaf, err := canon.ParseLeaf(l.Leaf)
	if err != nil {
		c.find(stageLines, "", "verify.leaf.form")
	} else {
		out.parsed = true
		out.facts.take(l, &leaf)
		c.fields(l, &leaf, &out)
	}
	if c.v.checkpoint != nil {
		if l.Index >= c.v.checkpoint.Size {
			c.find(stageLines, "", "verify.line.beyond", c.v.checkpoint.Size)
		} else if proof.CheckInclusion(c.v.checkpoint.Root, c.v.checkpoint.Size, l.Index, proof.LeafHash(l.Leaf), l.Proof) != nil {
			c.find(stageLines, "", "verify.line.proof")
			out.stray = &stray{c.file, c.number, l.Index, proof.LeafHash(l.Leaf), slices.Clone(l.Proof)}
		} else {
			out.placed = true
		}
	} else {
		out.placed = true
	}
	if p := c.v.proofs[l.Index]; p != nil {
		out.proof = p
		if p.hashes != hashesDigest(l.Proof) {
			c.find(stageProofs, "", "verify.proof.hashes", p.e.name)
		}
	}
	return out
}

// fields checks values against commitments, and the commitments against the leaf.
func (c *checker) fields(l *Line, leaf *canon.Leaf, out *outcome) {
	if len(l.Fields) != leaf.FieldCount {
		c.find(stageLines, "", "verify.fields.count", len(l.Fields), leaf.FieldCount)
	}
	c.commitments = c.commitments[:0]
	for i := range l.Fields {
		f := &l.Fields[i]
		sound := guia.ValidFieldName(f.Name)
		if !sound {
			c.find(stageLines, f.Name, "verify.field.name")
		}
		if i > 0 && l.Fields[i-1].Name >= f.Name {
			c.find(stageLines, f.Name, "verify.field.order", l.Fields[i-1].Name)
		}
		c.commitments = append(c.commitments, canon.Commitment{Name: f.Name, Hash: f.Commitment})
		if f.Withheld != "" {
			if sound {
				c.batchOf.withhold(f)
			}
			continue
		}
		if canon.Commit(f.Salt, f.Value) != f.Commitment {
			c.find(stageLines, f.Name, "verify.field.commitment")
			continue
		}
		c.value(l, f, out)
	}
	c.block = canon.AppendFields(c.block[:0], c.commitments)
	if sha256.Sum256(c.block) != leaf.FieldsHash {
		c.find(stageLines, "", "verify.fields.hash")
	}
}

// value checks what a disclosed value must look like.
func (c *checker) value(l *Line, f *Field, out *outcome) {
	switch {
	case len(f.Value) == 0:
		c.find(stageLines, f.Name, "verify.field.empty")
	case f.Name != "raw" && !utf8.Valid(f.Value):
		c.find(stageLines, f.Name, "verify.field.utf8")
	case f.Name == "grade" && !isGrade(f.Value), f.Name == "channel" && !isChannel(f.Value):
		c.find(stageLines, f.Name, "verify.field.value")
	case canon.IsFile(f.Name):
		ref, err := canon.ParseFileRef(string(f.Value))
		if err != nil {
			c.find(stageFiles, f.Name, "verify.file.reference")
			return
		}
		use := fileUse{field: f.Name, ref: ref}
		for i := range l.Fields {
			use.missing = use.missing || l.Fields[i].Name == f.Name+".missing"
		}
		out.files = append(out.files, use)
	}
}

func (b *batch) withhold(f *Field) {
	if b.withheld == nil {
		b.withheld = map[string]*Withheld{}
	}
	class := fieldClass(f.Name)
	w := b.withheld[class]
	if w == nil {
		w = &Withheld{Field: class}
		b.withheld[class] = w
	}
	if f.Withheld == Erased {
		w.Erased++
	} else {
		w.Redacted++
	}
}

// hashesDigest stands for the hashes of a proof where they are compared later.
func hashesDigest(hashes []proof.Hash) [32]byte {
	joined := make([]byte, 0, len(hashes)*32)
	for _, h := range hashes {
		joined = append(joined, h[:]...)
	}
	return sha256.Sum256(joined)
}
