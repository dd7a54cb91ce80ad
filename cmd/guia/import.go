package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/intake"
	"guia/permit"
	"guia/source"
	"guia/source/mapped"
	"guia/source/mbox"
	"guia/source/slack"
)

// importOptions are the flags of `guia import`.
type importOptions struct {
	kind, mapping, entity, class, mailbox, grade string
	guess, again, dryRun                         bool
}

func (p *program) importCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{Use: "import FILE|FOLDER", Args: needs(1, 1)}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.kind, "source", "auto", "")
	f.StringVar(&o.mapping, "mapping", "", "")
	f.BoolVar(&o.guess, "guess", false, "")
	f.StringVar(&o.entity, "entity", "", "")
	f.StringVar(&o.class, "class", "general", "")
	f.StringVar(&o.mailbox, "mailbox", "", "")
	f.StringVar(&o.grade, "grade", string(guia.GradeC), "")
	f.BoolVar(&o.again, "again", false, "")
	f.BoolVar(&o.dryRun, "dry-run", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := p.abs(args[0])
		if err := o.check(path); err != nil {
			return err
		}
		if _, ships := mapped.Example(o.mapping); !ships {
			o.mapping = p.abs(o.mapping)
		}
		switch {
		case o.guess:
			return p.guess(path, o.kind)
		case o.dryRun:
			return p.dryRun(cmd.Context(), path, o)
		}
		return p.inside(func(ctx context.Context, s *session) error { return s.importFrom(ctx, path, o) })(cmd, args)
	}
	return cmd
}

// check refuses what makes no sense before anything is opened.
func (o *importOptions) check(path string) error {
	if err := refuseWord("--source", o.kind, "auto", "slack", "mbox", "mapped"); err != nil {
		return err
	}
	// A file could be edited before it is handed in: it is never of grade A, and B is a statement that somebody signed.
	if err := refuseWord("--grade", o.grade, string(guia.GradeC), string(guia.GradeD)); err != nil {
		return err
	}
	if len(o.entity) > 100 || len(o.class) > 64 || o.class == "" {
		return guia.Refuse(guia.Invalid, "import.label_long")
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return guia.Refuse(guia.Invalid, "source.no_file", path) // opening a pipe waits for a writer
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return guia.RefuseCause(guia.Invalid, err, "import.unreadable", path, reasonOf(err))
	}
	return f.Close()
}

// reasonOf is what the operating system said, without the path.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// input is an open source and what is known of how it came to us.
type input struct {
	source.Source
	channel    guia.Channel
	normaliser string
}

// remarks are what is to be told of an input that was read: how many messages stand in more than one of its files, and which of these the
// mapping does not read.
func (in *input) remarks() (repeats int64, leftOut []string) {
	if read, ok := in.Source.(*mapped.Source); ok {
		return read.Repeated(), read.LeftOut()
	}
	return 0, nil
}

// remark tells people the same.
func (p *program) remark(path string, repeats int64, leftOut []string) {
	if len(leftOut) > 0 {
		p.say("import.not_read", firstNames(leftOut), filepath.Join(path, leftOut[0]))
	}
	if repeats > 0 {
		p.say("import.repeats", p.number(repeats))
	}
}

// open opens the file or folder as what it is said, or looks like, to be.
func (o *importOptions) open(path string) (input, error) {
	kind := o.kind
	if kind == "auto" {
		kind = "mapped"
		if o.mapping == "" {
			kind = recognise(path)
		}
	}
	v, _ := programVersion()
	in := input{channel: guia.ChannelFile, normaliser: kind + " guia/" + v}
	var err error
	switch kind {
	case "slack":
		in.channel = guia.ChannelExport // Slack made it, a person handed it in: hence never better than C
		in.Source, err = slack.Open(path)
	case "mbox":
		in.Source, err = mbox.Open(path, mbox.Options{Mailbox: o.mailbox})
	case "mapped":
		if o.mapping == "" {
			return in, guia.Refuse(guia.Invalid, "import.mapping_needed", path, strings.Join(mapped.Examples(), ", "))
		}
		var m mapped.Mapping
		if m, err = readMapping(o.mapping); err == nil {
			in.Source, err = mapped.Open(path, m)
		}
	default:
		looked, err := source.OpenInput(path) // refuses a damaged zip
		if err != nil {
			return in, err
		}
		_ = looked.Close() // only read
		return in, guia.Refuse(guia.Invalid, "import.unknown", path)
	}
	return in, err
}

// readMapping reads a mapping by the name of one that ships with the program, or from a file.
func readMapping(name string) (mapped.Mapping, error) {
	if m, ok := mapped.Example(name); ok {
		return m, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return mapped.Mapping{}, guia.RefuseCause(guia.Invalid, err, "import.mapping_unreadable", name, reasonOf(err), strings.Join(mapped.Examples(), ", "))
	}
	defer f.Close() // only read
	return mapped.ReadMapping(f)
}

// recognise looks at names and first bytes and says what kind of source it is; empty when nothing fits.
func recognise(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if info.IsDir() {
		return byNames(os.DirFS(path))
	}
	if z, err := zip.OpenReader(path); err == nil {
		defer z.Close() // only read
		if strings.EqualFold(filepath.Ext(path), ".xlsx") {
			return "mapped"
		}
		return byNames(z)
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() // only read
	head := make([]byte, 4096)
	n, _ := io.ReadFull(f, head) // a short file is short
	return byContent(path, head[:n])
}

// byNames looks at the names in a folder or zip, at most 100,000 of them.
func byNames(files fs.FS) string {
	kind, seen := "", 0
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, unread error) error { // what cannot be read does not decide
		if unread != nil || d.IsDir() {
			return nil //nolint:nilerr // see above: the walk goes on
		}
		if seen++; seen > 100_000 {
			return fs.SkipAll
		}
		switch base, ext := filepath.Base(name), strings.ToLower(filepath.Ext(name)); {
		case (base == "channels.json" || base == "users.json") && strings.Count(name, "/") <= 1:
			kind = "slack"
			return fs.SkipAll
		case ext == ".mbox" || ext == ".eml":
			kind = "mbox"
		case kind == "" && (ext == ".csv" || ext == ".tsv" || ext == ".json" || ext == ".jsonl" || ext == ".ndjson" || ext == ".xlsx"):
			kind = "mapped"
		}
		return nil
	})
	return kind
}

// byContent looks at the name of a file and its first bytes.
func byContent(path string, head []byte) string {
	first, _, _ := strings.Cut(string(head), "\n")
	name, _, header := strings.Cut(first, ":")
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case ext == ".mbox" || ext == ".eml" || strings.HasPrefix(first, "From "):
		return "mbox"
	case header && name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz-") == "":
		return "mbox" // a header of mail: "Return-Path:", "Received:", "From:"
	case ext == ".gz" || ext == ".tgz" || ext == ".tar" || ext == ".csv" || ext == ".tsv" || ext == ".txt" || ext == ".json" || ext == ".jsonl" || ext == ".ndjson":
		return "mapped"
	}
	return ""
}

// importResult is what `guia import --json` prints.
type importResult struct {
	Import string `json:"import"`
	Source string `json:"source"`
	intake.Counts
	Again   bool           `json:"known_before"`               // this very file was imported before; nothing was read
	Earlier *intake.Counts `json:"last_import,omitempty"`      // what that import brought
	Before  int64          `json:"stored_before"`              // of the new ones: stored before the import was interrupted
	Repeats int64          `json:"in_several_files,omitempty"` // messages without identifiers that several files of the input tell
	LeftOut []string       `json:"left_out,omitempty"`         // files of the input that the mapping does not read
	Events  uint64         `json:"events"`                     // in the ledger now
	Seconds float64        `json:"seconds"`
}

// importFrom reads the input to its end. Interrupted at any moment, the same command goes on behind the last page that was stored.
func (s *session) importFrom(ctx context.Context, path string, o importOptions) error {
	defer spareMemory()()
	start := time.Now()
	// Also whether this file was imported before is for those to know who may import.
	if err := s.may(ctx, permit.ActImport); err != nil {
		return err
	}
	in, err := o.open(path)
	if err != nil {
		return err
	}
	defer in.Close() // only read
	feed := intake.Feed{
		Source: in.Name(), Instance: in.Instance(), Entity: o.entity, Class: o.class, Channel: in.channel,
		Grade: guia.Grade(o.grade), Normaliser: in.normaliser,
	}
	before, err := s.Intake.Progress(ctx, feed)
	if err != nil {
		return err
	}
	at, known, stored := before, before.Done && !o.again, int64(0)
	if !known {
		if !before.Done {
			stored = before.Counts.New // by this import, before it was interrupted
		}
		if at, err = s.pull(ctx, path, in, feed, o.again); err != nil {
			return err
		}
	}
	if err := s.searchable(ctx); err != nil {
		return err
	}
	result := importResult{
		Import: at.Import.String(), Source: string(feed.Source), Counts: at.Counts, Again: known, Before: stored, Events: uint64(s.Ledger.Size()),
		Seconds: time.Since(start).Seconds(),
	}
	if !known {
		result.Repeats, result.LeftOut = in.remarks()
	}
	if s.json {
		if known {
			result.Counts, result.Earlier = intake.Counts{}, &at.Counts
		}
		return s.emit(result)
	}
	if at.Counts == (intake.Counts{}) {
		s.say("import.empty", path)
		return nil
	}
	s.tellImport(path, result)
	return nil
}

// importHeap is what the heap of an import stays below as long as its records are of usual size.
const importHeap = 96 << 20

var usualHeap = debug.SetMemoryLimit(-1)

// spareMemory makes the collector work harder, instead of letting garbage grow to the size of what is in use, until the returned
// function is called. What an import takes does not depend on the size of its input.
func spareMemory() func() {
	debug.SetMemoryLimit(min(importHeap, usualHeap))
	return func() { debug.SetMemoryLimit(usualHeap) }
}

// pull hashes the input and has intake take it in.
func (s *session) pull(ctx context.Context, path string, in input, feed intake.Feed, again bool) (at intake.Progress, err error) {
	digest, err := s.digest(ctx, path)
	if err != nil {
		return at, err
	}
	if err := s.follow(ctx); err != nil { // searchable while it grows
		return at, err
	}
	g := s.begin("import.progress", true)
	defer g.end()
	var stored int64
	at, err = s.Intake.Import(ctx, s.actor, feed, in, digest, again, func(page source.Page, c intake.Counts) {
		stored = c.New
		g.at(page.Read, page.Total, s.text("import.progress_more", s.number(c.New)))
	})
	if err != nil {
		g.end()
		if stored > 0 || at.Counts.New > 0 {
			s.note("import.stopped", s.number(max(stored, at.Counts.New)))
		}
	}
	return at, err
}

// searchable waits until what was imported can be found.
func (s *session) searchable(ctx context.Context) error {
	g := s.begin("import.indexing", false)
	defer g.end()
	return s.caughtUp(ctx, func(done, of guia.Seq) { g.at(int64(done), int64(of), "") })
}

func (s *session) tellImport(path string, r importResult) {
	if r.Again {
		s.say("import.known_before")
	} else {
		s.say("import.done", s.number(r.New), s.decimal(r.Seconds))
		if r.Before > 0 {
			s.say("import.resumed", s.number(r.Before))
		}
	}
	if s.quiet {
		return
	}
	s.pairs(
		"  "+s.text("import.new"), s.number(r.New),
		"  "+s.text("import.known"), s.number(r.Known),
		"  "+s.text("import.edited"), s.number(r.Edited),
		"  "+s.text("import.linked"), s.number(r.Linked),
		"  "+s.text("import.marked"), s.number(r.Marked),
		"  "+s.text("import.gaps"), s.number(r.Gaps),
	)
	switch {
	case r.Gaps > 0 && r.Gaps == r.New:
		s.say("import.only_gaps")
	case r.Gaps > 0:
		s.say("import.look_at_gaps")
	}
	if r.Marked > 0 {
		s.say("import.look_at_marks")
	}
	s.remark(path, r.Repeats, r.LeftOut)
	s.print("\n")
	s.say("import.next")
}

// digest is "sha256:<hex> <size>" of a file; of a folder, of the list of its files in sha256sum form (digest, two spaces, name with
// slashes, ascending), and the sum of their sizes.
func (s *session) digest(ctx context.Context, path string) (string, error) {
	g := s.begin("import.hashing", true)
	defer g.end()
	info, err := os.Stat(path)
	if err != nil {
		return "", guia.RefuseCause(guia.Invalid, err, "import.unreadable", path, reasonOf(err))
	}
	if !info.IsDir() {
		sum, n, err := hashFile(ctx, path, func(n int64) { g.at(n, info.Size(), "") })
		return fmt.Sprintf("sha256:%x %d", sum, n), err
	}
	list, total := sha256.New(), int64(0)
	err = fs.WalkDir(os.DirFS(path), ".", func(name string, d fs.DirEntry, err error) error { // in lexical order
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		sum, n, err := hashFile(ctx, filepath.Join(path, name), func(n int64) { g.at(total+n, 0, "") })
		if err != nil {
			return err
		}
		total += n
		fmt.Fprintf(list, "%x  %s\n", sum, name)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		err = guia.RefuseCause(guia.Invalid, err, "import.unreadable", path, reasonOf(err))
	}
	return fmt.Sprintf("sha256:%x %d", list.Sum(nil), total), err
}

func hashFile(ctx context.Context, path string, tell func(int64)) (sum []byte, n int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close() // only read
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, n, err
		}
		k, err := f.Read(buf)
		h.Write(buf[:k])
		n += int64(k)
		tell(n)
		if err == io.EOF {
			return h.Sum(nil), n, nil
		}
		if err != nil {
			return nil, n, err
		}
	}
}
