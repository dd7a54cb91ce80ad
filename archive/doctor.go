package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"guia"
	"guia/blob"
	"guia/directory"
	"guia/durable"
	"guia/evidence"
	"guia/lang"
	"guia/ledger"
	"guia/proof"
	"guia/seal"
)

// Severity says how urgent a finding is.
type Severity string

// The severities.
const (
	OK   Severity = "ok"
	Warn Severity = "warn" // somebody should look at it this week
	Bad  Severity = "bad"  // something can be lost, or read by others, as long as it stays so
)

// Finding is the answer to one question about a directory. Args hold numbers, days and identifiers, nothing personal.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Key      string   `json:"key"` // sentence in lang
	Args     []any    `json:"args,omitempty"`
	Do       string   `json:"do,omitempty"` // sentence in lang that says what to do; empty when nothing
}

// Health is how a directory is.
type Health struct {
	Findings []Finding
	Numbers  Numbers
}

// Worst is the severity of the worst finding.
func (h Health) Worst() Severity {
	worst := OK
	for _, f := range h.Findings {
		if f.Severity == Bad || worst == OK {
			worst = f.Severity
		}
		if worst == Bad {
			break
		}
	}
	return worst
}

// Numbers says how much there is, without saying of whom.
type Numbers struct {
	Events   uint64            `json:"events"`
	Types    map[string]uint64 `json:"types"`
	Sources  map[string]uint64 `json:"sources"`
	Blobs    int64             `json:"blobs"`
	Files    map[string]int64  `json:"files"` // bytes of the files that every directory has
	Keys     int               `json:"keys"`
	Epoch    int               `json:"epoch"`
	Free     int64             `json:"free"`
	Followed map[string]uint64 `json:"followed"` // follower and its cursor
}

// The limits beyond which Doctor speaks up. Judgement: a company that backs up on Fridays is not to be warned on Thursdays.
const (
	backupWarn    = 8 * 24 * time.Hour
	backupBad     = 31 * 24 * time.Hour
	leastFree     = 1 << 30
	largeLog      = 256 << 20
	lagging       = 2048 // events: what the ledger hands to a follower at once
	uncovered     = 60 * time.Second
	clockLeap     = 2 * time.Second
	mostLooked    = 2000     // files beside the directory that are looked at for a recovery key
	recoveryBytes = 64 << 10 // of each
)

// Doctor looks at an open directory and answers one question after another: space, permissions, recovery key, escrow, backups,
// followers, checkpoints, clock, write-ahead log, unfinished acts, orphans, versions. It reads every leaf, some seconds a million,
// and decrypts only what Guia itself recorded about backups, bundles and escrow copies. It records nothing and repairs nothing. `guia check` says whether what
// is stored is undamaged; this says whether it is looked after.
func Doctor(ctx context.Context, d *directory.Directory, followers ...ledger.Follower) (Health, error) {
	x := &examination{d: d, ctx: ctx, now: time.Now()}
	if err := x.examine(followers); err != nil {
		return x.h, fmt.Errorf("doctor: %w", err)
	}
	return x.h, nil
}

// examination is a Doctor at work.
type examination struct {
	d   *directory.Directory
	ctx context.Context
	now time.Time
	h   Health

	referred   map[blob.Digest]bool
	newest     time.Time       // capture time of the newest event
	escrowed   time.Time       // newest escrow.written
	escrow     guia.Fields     // what it says
	recipients map[string]bool // everybody for whom an escrow copy was ever written
	finished   time.Time       // newest backup.finished that succeeded
	unfinished []ledger.Entry
	underway   bool
}

func (x *examination) examine(followers []ledger.Follower) error {
	if err := x.readLedger(); err != nil {
		return err
	}
	for _, look := range []func() error{
		x.disk, x.permissions, x.recoveryKey, x.escrowCopy, x.backups, func() error { return x.follow(followers) }, x.checkpoint, x.clock,
		x.log, x.intents, x.forgetting, x.orphans, x.version,
	} {
		if err := look(); err != nil {
			return err
		}
	}
	return nil
}

func (x *examination) find(check string, s Severity, key string, args ...any) {
	f := Finding{Check: check, Severity: s, Key: "doctor." + check + "." + key, Args: args}
	if s != OK {
		f.Do = f.Key + ".do"
	}
	x.h.Findings = append(x.h.Findings, f)
}

// readLedger walks all events once.
func (x *examination) readLedger() error {
	if release, err := x.d.HoldStill(); err == nil {
		release()
	} else {
		x.underway = true // the newest backup is being made this moment
	}
	n := &x.h.Numbers
	n.Types, n.Sources, n.Files, n.Followed = map[string]uint64{}, map[string]uint64{}, map[string]int64{}, map[string]uint64{}
	x.referred, x.recipients = map[blob.Digest]bool{}, map[string]bool{}
	open := map[guia.Type]*ledger.Entry{}                                                                               // intents without outcome
	outcomes := map[guia.Type]guia.Type{guia.BackupFinished: guia.BackupStarted, guia.TilesExported: guia.TilesStarted} // of bundles evidence tells
	size := x.d.Ledger.Size()
	err := x.d.Ledger.Entries(x.ctx, 0, size, func(e ledger.Entry) error {
		n.Events++
		n.Types[string(e.Leaf.Type)]++
		n.Sources[string(e.Leaf.Source)]++
		x.newest = later(x.newest, e.Leaf.Captured)
		digests, err := x.d.Vault.Blobs(e.Row)
		if err != nil {
			return guia.RefuseCause(guia.Damaged, err, "vault.damaged", uint64(e.Seq), "row")
		}
		for _, digest := range digests {
			x.referred[digest] = true
		}
		if e.Leaf.Source != guia.Own {
			return x.ctx.Err()
		}
		switch e.Leaf.Type {
		case guia.BackupStarted, guia.TilesStarted:
			if earlier := open[e.Leaf.Type]; earlier != nil {
				x.unfinished = append(x.unfinished, *earlier)
			}
			open[e.Leaf.Type] = &e
		case guia.BackupFinished, guia.TilesExported:
			delete(open, outcomes[e.Leaf.Type])
			if e.Leaf.Type == guia.BackupFinished {
				event, err := x.d.Vault.Read(x.ctx, e.Seq, e.Leaf.Header, e.Row)
				if err != nil {
					return err
				}
				if event.Fields.Get("act.outcome") == "done" {
					x.finished = later(x.finished, e.Leaf.Captured)
				}
			}
		case guia.BackupRestored: // of the set whose making was under way when it was copied: it was whole
			if made := open[guia.BackupStarted]; made != nil {
				x.finished = later(x.finished, made.Leaf.Captured)
				delete(open, guia.BackupStarted)
			}
		case guia.EscrowWritten:
			event, err := x.d.Vault.Read(x.ctx, e.Seq, e.Leaf.Header, e.Row)
			if err != nil {
				return err
			}
			x.escrowed, x.escrow = e.Leaf.Captured, event.Fields
			for _, r := range recipientsOf(event.Fields) {
				x.recipients[r] = true
			}
		default:
		}
		return x.ctx.Err()
	})
	if x.underway {
		delete(open, guia.BackupStarted)
	}
	for _, t := range []guia.Type{guia.BackupStarted, guia.BundleStarted, guia.TilesStarted} {
		if e := open[t]; e != nil {
			x.unfinished = append(x.unfinished, *e)
		}
	}
	return err
}

// recipientsOf are those whom an event names for whom an escrow copy was written.
func recipientsOf(f guia.Fields) (all []string) {
	for _, field := range f {
		if strings.HasPrefix(field.Name, "recipient.") {
			all = append(all, string(field.Value))
		}
	}
	return all
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// disk asks for room: backing up writes the main database once more, and cleaning it after an erasure twice (db.Scrub).
func (x *examination) disk() error {
	n := &x.h.Numbers
	for _, name := range []string{databaseName, databaseName + "-wal", keysName} {
		if info, err := os.Stat(filepath.Join(x.d.Path, name)); err == nil {
			n.Files[name] = info.Size()
		}
	}
	free, err := durable.FreeSpace(x.d.Path)
	if err != nil {
		return err
	}
	n.Free = free
	switch need := n.Files[databaseName]; {
	case free < leastFree || free < 2*need:
		x.find("disk", Bad, "full", lang.Bytes(free), lang.Bytes(max(leastFree, 3*need)))
	case free < 3*need || free < 5*leastFree:
		x.find("disk", Warn, "low", lang.Bytes(free), lang.Bytes(max(5*leastFree, 3*need)))
	default:
		x.find("disk", OK, "ok", lang.Bytes(free))
	}
	return nil
}

// permissions demands that nobody else can read what is plaintext or a key.
func (x *examination) permissions() error {
	if runtime.GOOS == "windows" {
		return nil // permissions there are lists that os.FileMode does not show
	}
	for _, name := range []string{".", databaseName, keysName, "epoch.key", "followers", "escrow"} {
		info, err := os.Stat(filepath.Join(x.d.Path, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		// Below a closed directory a file's own permissions do not matter.
		if info.Mode().Perm()&0o077 != 0 && (name == "." || name == "epoch.key") {
			x.find("permissions", Bad, "open", name, fmt.Sprintf("%04o", info.Mode().Perm()))
			return nil
		}
	}
	x.find("permissions", OK, "ok")
	return nil
}

// recoveryKey looks for a key that opens backups of this directory in the places where `guia init` leaves it: whoever takes the machine
// then has the backups too. The keys of other directories lie where they lie.
func (x *examination) recoveryKey() error {
	path, err := filepath.Abs(x.d.Path)
	if err != nil {
		return err
	}
	known, err := x.d.Recipients()
	if err != nil {
		return err
	}
	for _, r := range known { // of a copy that was written a moment before a crash
		x.recipients[r] = true
	}
	for _, dir := range []string{path, x.d.EscrowFolder(), filepath.Dir(path)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // not there, or not ours to read
		}
		for _, e := range entries[:min(len(entries), mostLooked)] {
			if e.Type().IsRegular() && x.holdsRecoveryKey(filepath.Join(dir, e.Name())) {
				x.find("recovery", Bad, "beside", e.Name())
				return nil
			}
		}
	}
	x.find("recovery", OK, "ok")
	return nil
}

// holdsRecoveryKey reports whether the identity of somebody for whom an escrow copy was written stands in the file.
func (x *examination) holdsRecoveryKey(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > recoveryBytes {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(f, recoveryBytes))
	return err == nil && slices.ContainsFunc(seal.RecipientsIn(text), func(r string) bool { return x.recipients[r] })
}

// escrowCopy asks whether the copy of the epoch key is the one that was recorded: another cannot be expected to open.
func (x *examination) escrowCopy() error {
	epoch := x.d.Keys.Epoch()
	x.h.Numbers.Epoch = epoch
	path := x.d.EscrowPath(epoch)
	copied, err := os.ReadFile(path)
	recorded := x.escrow.Get("digest")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.find("escrow", Bad, "missing", epoch)
	case err != nil:
		return err
	case recorded != "" && directory.EscrowDigest(copied) != recorded:
		x.find("escrow", Bad, "differs", epoch)
	default:
		written := x.escrowed
		if info, err := os.Stat(path); err == nil && written.IsZero() { // what was recorded is better than what a copying tool left
			written = info.ModTime()
		}
		x.find("escrow", OK, "ok", epoch, written.UTC().Format(time.DateOnly))
	}
	known, err := x.d.Recipients()
	if err != nil {
		return err
	}
	if recorded := recipientsOf(x.escrow); len(recorded) > 0 && !slices.Equal(slices.Sorted(slices.Values(known)), slices.Sorted(slices.Values(recorded))) {
		x.find("recipients", Bad, "differ")
	}
	var n int
	if n, err = x.d.Keys.Count(x.ctx); err == nil {
		x.h.Numbers.Keys = n
	}
	return err
}

func (x *examination) backups() error {
	age := x.now.Sub(x.finished)
	days := int(age / (24 * time.Hour))
	switch {
	case x.finished.IsZero():
		x.find("backup", Bad, "none")
	case age > backupBad:
		x.find("backup", Bad, "old", days, x.finished.Format(time.DateOnly))
	case age > backupWarn:
		x.find("backup", Warn, "old", days, x.finished.Format(time.DateOnly))
	default:
		x.find("backup", OK, "ok", x.finished.Format(time.DateOnly))
	}
	return nil
}

func (x *examination) follow(followers []ledger.Follower) error {
	if len(followers) == 0 { // where nothing can be written none is opened
		x.find("followers", OK, "unseen")
		return nil
	}
	size := x.d.Ledger.Size()
	behind := false
	for _, f := range followers {
		at, err := f.Cursor(x.ctx)
		if err != nil {
			x.find("followers", Bad, "unreadable", f.Name())
			behind = true
			continue
		}
		x.h.Numbers.Followed[f.Name()] = uint64(at)
		switch {
		case at > size:
			x.find("followers", Bad, "ahead", f.Name(), uint64(at), uint64(size))
			behind = true
		case size-at > lagging:
			x.find("followers", Warn, "lagging", f.Name(), uint64(size-at))
			behind = true
		}
	}
	if !behind {
		x.find("followers", OK, "ok", len(followers))
	}
	return nil
}

// checkpoint asks how long the oldest event without a signature over it has been waiting.
func (x *examination) checkpoint() error {
	size := x.d.Ledger.Size()
	note, found, err := x.d.Ledger.CheckpointBefore(x.ctx, size)
	if err != nil {
		return err
	}
	signed := int64(0)
	if found {
		trust, err := x.d.Ledger.Trust(x.ctx)
		if err != nil {
			return err
		}
		var c proof.Checkpoint
		if c, err = trust.Open(note); err != nil {
			return guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
		}
		signed = c.Size
	}
	if guia.Seq(signed) < size {
		e, err := x.d.Ledger.Entry(x.ctx, guia.Seq(signed))
		if err != nil {
			return err
		}
		if waiting := x.now.Sub(e.Leaf.Captured); waiting > uncovered {
			x.find("checkpoint", Warn, "behind", uint64(size)-uint64(signed), int(waiting/time.Second))
			return nil
		}
	}
	x.find("checkpoint", OK, "ok", signed)
	return nil
}

func (x *examination) clock() error {
	if ahead := x.newest.Sub(x.now); ahead > clockLeap {
		x.find("clock", Bad, "behind", ahead.Round(time.Second).String())
		return nil
	}
	x.find("clock", OK, "ok")
	return nil
}

func (x *examination) log() error {
	if n := x.h.Numbers.Files[databaseName+"-wal"]; n > largeLog {
		x.find("log", Warn, "large", lang.Bytes(n))
		return nil
	}
	x.find("log", OK, "ok")
	return nil
}

func (x *examination) intents() error {
	bundles, err := evidence.Unfinished(x.ctx, x.d.Ledger)
	if err != nil {
		return err
	}
	for _, e := range x.unfinished {
		act, _, _ := strings.Cut(string(e.Leaf.Type), ".") // backup, tiles
		x.find("intents", Warn, act, uint64(e.Seq), e.Leaf.Captured.Format(time.RFC3339))
	}
	for _, b := range bundles {
		x.find("intents", Warn, "bundle", uint64(b.Started), b.At.Format(time.RFC3339))
	}
	if len(x.unfinished)+len(bundles) == 0 {
		x.find("intents", OK, "ok")
	}
	return nil
}

func (x *examination) forgetting() error {
	doomed, err := x.d.Vault.Doomed(x.ctx)
	if err != nil {
		return err
	}
	if len(doomed) > 0 && !x.underway {
		x.find("forgetting", Bad, "unfinished", len(doomed))
		return nil
	}
	x.find("forgetting", OK, "ok")
	return nil
}

// orphans counts what crashes and refused imports left: blobs that no event refers to, and temporary files.
func (x *examination) orphans() error {
	var orphans, temps int
	var size int64
	err := x.d.Blobs.Walk(x.ctx, func(digest blob.Digest, n int64) error {
		x.h.Numbers.Blobs++
		if !x.referred[digest] {
			orphans++
			size += n
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = filepath.WalkDir(x.d.Path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && durable.IsTemp(e.Name()) {
			temps++
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was being renamed
		}
		return err
	})
	if err != nil {
		return err
	}
	if orphans+temps > 0 {
		x.find("orphans", Warn, "found", orphans, temps, lang.Bytes(size))
		return nil
	}
	x.find("orphans", OK, "ok")
	return nil
}

func (x *examination) version() error {
	if x.d.Viewed {
		x.find("writable", Warn, "not")
	}
	x.find("version", OK, "ok", directory.Format, strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS+"/"+runtime.GOARCH)
	return nil
}
