// Package intake turns a record into an event and commits it.
//
// The model: a connector's page of records becomes events, each sealed, and all of them are committed in one transaction together
// with the cursor behind the page and the keyed hashes by which the records will be recognised. Hence exactly once: after a crash
// the page is pulled again and every record of it is either stored or not, never twice.
//
// A record is recognised by its key at the source. The same key with another content than it had last is an edit of the first, also
// when it once had that content (see version.go); of what is no message, another time of the same row as well. A record that another source has told before (the same text in the same minute) is
// kept too, linked by same_as and counted once; so is a mail without a time that another one has told under the same Message-ID, and an
// edit of a linked message to what it was last edited to there.
package intake

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"guia"
	"guia/classify"
	"guia/db"
	"guia/durable"
	"guia/ledger"
	"guia/source"
	"guia/vault"
)

// Desk takes records in. It works on one page at a time; concurrent calls wait for each other.
type Desk struct {
	ledger *ledger.Ledger
	vault  *vault.Vault
	rules  *classify.Rulebook

	mu     sync.Mutex
	onStep func(name string) // a test listens to the trip of a datum
}

// Open returns the desk of a data directory.
func Open(l *ledger.Ledger, rules *classify.Rulebook) *Desk {
	return &Desk{ledger: l, vault: l.Vault(), rules: rules, onStep: func(string) {}}
}

// TestOnlySteps lets fn hear the names of the functions that records pass, in their order. fn is called by several goroutines. It is
// called before the desk is used.
func (d *Desk) TestOnlySteps(fn func(name string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onStep = fn
}

// Feed is what all records of one source instance share.
type Feed struct {
	Source     guia.SourceName
	Instance   string // which file or tenant; may be personal, is stored as a keyed hash only
	Entity     string // the legal entity the records belong to
	Class      string // retention class
	Channel    guia.Channel
	Grade      guia.Grade
	Normaliser string
	Import     guia.RecordID // the import.started event
	Again      bool          // the instance is read once more: what it told of a known record was known then
}

// Counts says what became of records.
type Counts struct {
	New    int64 `json:"new"`    // stored
	Known  int64 `json:"known"`  // stored before, left alone
	Edited int64 `json:"edited"` // of the new ones: another content under a known key
	Linked int64 `json:"linked"` // of the new ones: the same as a record of another source
	Marked int64 `json:"marked"` // of the new ones: with something a person should look at
	Gaps   int64 `json:"gaps"`   // of the new ones: a part of the source that could not be read
}

// Add adds up.
func (c *Counts) Add(d Counts) {
	c.New += d.New
	c.Known += d.Known
	c.Edited += d.Edited
	c.Linked += d.Linked
	c.Marked += d.Marked
	c.Gaps += d.Gaps
}

// Accept commits the records of one page and the cursor behind them, and returns the places of the new ones. This is the function to
// read first:
//
//  1. normalise every record into fields — nothing is stored
//  2. classify it, and compute the keyed hashes it is recognised by — nothing is stored
//  3. recognise what is known, edited, or told by another source — nothing is stored
//  4. seal what is new, in parallel; attachments become blobs — orphan blobs at most
//  5. commit: leaf, tree, row, recognition and cursor together — everything of this page is stored, once
//
// Progress carries the counts of the source so far; it is stored with the cursor and returned with this page added, or, on an error, as
// it was.
func (d *Desk) Accept(ctx context.Context, feed Feed, records []source.Record, at Progress) ([]guia.Seq, Progress, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onStep("intake.Accept")
	pending := make([]*item, len(records))
	err := onAllProcessors(len(records), func(i int) (err error) {
		d.onStep("intake.normalize")
		if pending[i], err = normalize(feed, &records[i]); err != nil { // 1
			return fmt.Errorf("normalise record %d of the page: %w", i+1, err) // where it stood may name people
		}
		c := pending[i].content
		d.onStep("classify.Classify")
		verdict := d.rules.Classify(c.Header.Type, c.Fields, apart(c)...) // 2
		c.Fields.Set("tier", string(verdict.Tier))
		c.Fields.Set("tier.basis", verdict.Basis)
		d.identify(feed, pending[i])
		return nil
	})
	if err != nil {
		return nil, at, err
	}
	fresh, told, counts, err := d.recognise(ctx, feed, pending) // 3
	if err != nil {
		return nil, at, fmt.Errorf("recognise records: %w", err)
	}
	marked, err := d.seal(ctx, fresh) // 4
	if err != nil {
		return nil, at, err
	}
	after := at
	after.Counts.Add(counts)
	after.Counts.Marked += marked
	seqs, err := d.commit(ctx, feed, fresh, told, after) // 5
	if err != nil {
		return nil, at, err
	}
	return seqs, after, nil
}

// onAllProcessors calls fn with 0 to n-1 and returns the error of the least of them for which there is one. After an error others may
// not be called.
func onAllProcessors(n int, fn func(i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n)
	at, errs := make([]int, workers), make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for at[w] = w; at[w] < n; at[w] += workers {
				if errs[w] = fn(at[w]); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	var first error
	least := n
	for w, err := range errs {
		if err != nil && at[w] < least {
			first, least = err, at[w]
		}
	}
	return first
}

// apart names the fields whose bytes will be kept apart.
func apart(c *vault.Content) (fields []string) {
	for _, f := range c.Files {
		fields = append(fields, f.Field)
	}
	return fields
}

// item is one record on its way.
type item struct {
	content *vault.Content
	text    string
	minute  int64 // when it was said, in minutes since 1970; 0 when unknown or not a message
	key     mac   // by its key at the source
	like    mac   // by what it says; zero when it says too little, or enough records say it
	mail    bool  // it is recognised by its Message-ID and not by the minute
	placed  bool  // the places behind the first were looked up
	linked  bool  // it is another record of a message that was told
	digest  digest
	sealed  vault.Sealed
}

// mac is a keyed hash behind a prefix that keeps neighbours together, so that an import touches few pages.
type mac [20]byte

// identify computes the keyed hashes of a record.
func (d *Desk) identify(feed Feed, it *item) {
	c := it.content
	whole := d.vault.MAC("seen:content", string(c.Header.Type), c.Fields.Get("subject"), it.text, c.Fields.Get("text.html"), about(c), attached(c))
	copy(it.digest[:], whole[:])
	it.key = d.seenKey(feed.Source, c.Stream, c.Fields.Get("source_key"))
	if it.minute != 0 && it.text != "" {
		it.like = d.like(it)
	}
	if it.like == (mac{}) {
		it.like = d.likeMail(it)
		it.mail = it.like != (mac{})
	}
}

// seenKey is by what the first record of a key at a source is recognised.
func (d *Desk) seenKey(source guia.SourceName, stream, key string) mac {
	owner := d.vault.StreamOwner(source, stream)
	return prefixed(binary.BigEndian.Uint32(owner[:4]), d.vault.MAC("seen:key", string(source), stream, key))
}

// about is what else makes a record another one: for a directory entry everything about the person or the conversation, for a message
// who said it, when and to whom. A name that changed since does not make an old message an edited one.
func about(c *vault.Content) string {
	var b strings.Builder
	message := isMessage(c.Header.Type)
	for _, field := range c.Fields {
		if message {
			if field.Name == "sender.key" || field.Name == "time" || strings.HasPrefix(field.Name, "recipient.") {
				b.WriteString(field.Name)
				b.Write(field.Value)
				b.WriteByte(0)
			}
			continue
		}
		if strings.HasPrefix(field.Name, "member.") || strings.HasPrefix(field.Name, "sender.") || field.Name == "department" || field.Name == "conversation.name" {
			b.Write(field.Value)
			b.WriteByte(0)
		}
	}
	return b.String()
}

// attached is the names of the attachments. Whether their bytes were there does not matter: an export without them is none that says
// something else.
func attached(c *vault.Content) string {
	var b strings.Builder
	for _, field := range c.Fields {
		if strings.HasPrefix(field.Name, "file.") && strings.HasSuffix(field.Name, ".name") {
			b.Write(field.Value)
			b.WriteByte(0)
		}
	}
	return b.String()
}

func prefixed(prefix uint32, sum [16]byte) (m mac) {
	binary.BigEndian.PutUint32(m[:4], prefix)
	copy(m[4:], sum[:])
	return m
}

// seen is a row of recognition.
type seen struct {
	seq     guia.Seq
	content []byte
}

// recognise sorts out what is known, makes edits of records whose content changed, and links what another source has told. It returns
// the items to be stored, and the keys of which it is to be remembered what was told last.
func (d *Desk) recognise(ctx context.Context, feed Feed, pending []*item) ([]*item, versions, Counts, error) {
	var counts Counts
	instance := d.instance(feed)
	known, err := d.known(ctx, feed, pending, instance)
	if err != nil {
		return nil, nil, counts, err
	}
	gone, err := d.erased(ctx, feed, pending)
	if err != nil {
		return nil, nil, counts, err
	}
	told := versions{}
	fresh := make([]*item, 0, len(pending))
	for _, it := range pending {
		if gone[it] { // known, and to stay forgotten
			counts.Known++
			continue
		}
		v, first, err := d.version(told, it, feed, known)
		if err != nil {
			return nil, nil, counts, err
		}
		if !first {
			news, err := d.isNews(ctx, feed, v, it, known)
			if err != nil {
				return nil, nil, counts, err
			}
			if !news {
				counts.Known++
				continue
			}
			d.makeEdit(it)
			linked, err := d.linkEdit(ctx, it, v.seq)
			if err != nil {
				return nil, nil, counts, err
			}
			if linked {
				counts.Linked++
			}
			counts.Edited++
			fresh = append(fresh, it)
			continue
		}
		linked, err := d.link(ctx, it, instance, known)
		if err != nil {
			return nil, nil, counts, err
		}
		if linked {
			counts.Linked++
		}
		fresh = append(fresh, it)
	}
	for _, it := range fresh {
		counts.New++
		if len(it.content.Fields.Bytes("mark")) > 0 {
			counts.Marked++
		}
		switch f := it.content.Fields; {
		case it.content.Header.Type == guia.SourceGap:
			counts.Gaps++
		case it.content.Header.Type == guia.MessageEdited && f.Get("edit_of") != f.Get("source_key"):
			counts.Edited++ // the source itself tells of the edit
		}
	}
	return fresh, told, counts, nil
}

// known finds the rows that may recognise the items.
func (d *Desk) known(ctx context.Context, feed Feed, pending []*item, instance digest) (map[mac]seen, error) {
	macs := make([]mac, 0, 2*len(pending))
	for _, it := range pending {
		macs = append(macs, it.key)
		if it.like != (mac{}) {
			macs = append(macs, it.like)
		}
	}
	known, err := d.lookUp(ctx, macs)
	if err != nil {
		return nil, err
	}
	macs = macs[:0]
	for _, it := range pending {
		row, stored := known[it.key]
		first, said := known[it.like]
		switch {
		case !stored && said && string(first.content) == string(instance[:]):
			macs = append(macs, d.places(it.like, instance)...)
			it.placed = true
		case !stored && said:
			macs = append(macs, linkOf(it.like, instance))
		case stored && !strings.HasPrefix(string(row.content), string(it.digest[:])):
			macs = append(macs, d.editKeyOf(it))
		}
	}
	more, err := d.lookUp(ctx, macs)
	maps.Copy(known, more)
	return known, err
}

// completes reports whether the record brings the bytes of an attachment that was missing when it was stored first.
func (d *Desk) completes(ctx context.Context, first guia.Seq, c *vault.Content) (bool, error) {
	e, err := d.ledger.Event(ctx, first)
	if err != nil {
		return false, err
	}
	for _, f := range c.Files {
		why := e.Fields.Get(f.Field + ".missing")
		if f.Field != "raw.file" && e.Fields.Bytes(f.Field) == nil && why != "" && why != damagedInSource {
			return true, nil
		}
	}
	return false, nil
}

// completed is what a record is recognised by that completes one of that digest.
func (d *Desk) completed(of digest) (fresh digest) {
	sum := d.vault.MAC("seen:completed", hex.EncodeToString(of[:]))
	copy(fresh[:], sum[:])
	return fresh
}

// corrected is what a record is recognised by that tells other times than one of that digest.
func (d *Desk) corrected(of digest, f guia.Fields) (fresh digest) {
	sum := d.vault.MAC("seen:corrected", hex.EncodeToString(of[:]), when(f))
	copy(fresh[:], sum[:])
	return fresh
}

// editKeyOf is by what the item is recognised as an edit.
func (d *Desk) editKeyOf(it *item) mac {
	c := it.content
	return d.editKey(c.Header.Source, c.Stream, c.Fields.Get("source_key"), it.digest)
}

// editKey is by what an edit is recognised: key and content.
func (d *Desk) editKey(source guia.SourceName, stream, key string, content digest) (m mac) {
	first := d.seenKey(source, stream, key)
	sum := d.vault.MAC("seen:edit", string(source), stream, key, hex.EncodeToString(content[:]))
	copy(m[:4], first[:4])
	copy(m[4:], sum[:])
	return m
}

// makeEdit turns a record whose key is known with another content into a fact of its own: an edit, recognised by key and content.
func (d *Desk) makeEdit(it *item) {
	c := it.content
	key := c.Fields.Get("source_key")
	if c.Header.Type == guia.MessageSent || c.Header.Type == guia.MailSent {
		c.Header.Type = guia.MessageEdited
		c.Fields.Set("edit_of", key)
	}
	it.key = d.editKeyOf(it)
	it.like = mac{}
}

// lookUp finds the rows of the macs.
func (d *Desk) lookUp(ctx context.Context, macs []mac) (map[mac]seen, error) {
	const most = 64
	found := map[mac]seen{}
	for len(macs) > 0 {
		n := min(most, len(macs))
		args := make([]any, most)
		for i := range args {
			args[i] = macs[min(i, n-1)][:] // one statement serves all: the last is repeated
		}
		rows, err := d.ledger.Database().Query(ctx, lookUpQuery, args...)
		if err != nil {
			return nil, err
		}
		if err := scanSeen(rows, found); err != nil {
			return nil, err
		}
		macs = macs[n:]
	}
	return found, nil
}

var lookUpQuery = "SELECT mac, seq, content FROM intake_seen WHERE mac IN (?" + strings.Repeat(", ?", 63) + ")"

func scanSeen(rows *sql.Rows, into map[mac]seen) error {
	defer rows.Close()
	for rows.Next() {
		var m mac
		var key sql.RawBytes
		var seq uint64
		var content []byte
		if err := rows.Scan(&key, &seq, &content); err != nil {
			return err
		}
		if len(key) != len(m) {
			return guia.Refuse(guia.Damaged, "intake.seen_damaged")
		}
		copy(m[:], key)
		into[m] = seen{guia.Seq(seq), content}
	}
	return rows.Err()
}

// seal encrypts the items on all processors. An attachment whose input is damaged is given up, and the record says so; marked counts
// the records that were not marked before.
func (d *Desk) seal(ctx context.Context, items []*item) (marked int64, err error) {
	contents := make([]*vault.Content, len(items))
	for i, it := range items {
		contents[i] = it.content
	}
	keys, err := d.vault.Keys(ctx, contents)
	if err != nil {
		return 0, fmt.Errorf("seal records: %w", err)
	}
	var fresh atomic.Int64
	err = onAllProcessors(len(items), func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.onStep("vault.Put")
		isMarked, err := d.put(ctx, keys, items[i])
		if isMarked {
			fresh.Add(1)
		}
		return err
	})
	if err != nil {
		if durable.IsFull(err) { // told by the blob store; the database tells it by itself
			err = guia.RefuseCause(guia.Blocked, err, "db.full")
		}
		return 0, fmt.Errorf("seal records: %w", err)
	}
	return fresh.Load(), nil
}

// put encrypts one item, without the attachments whose input is damaged; marked reports whether that gave it its first mark. What the
// operating system refuses is no damage: it may go well the next time.
func (d *Desk) put(ctx context.Context, keys vault.Keys, it *item) (marked bool, err error) {
	for {
		it.sealed, err = d.vault.Put(ctx, keys, it.content)
		broken, ok := errors.AsType[*vault.UnreadableError](err)
		if !ok || ctx.Err() != nil {
			return marked, err
		}
		if _, system := errors.AsType[syscall.Errno](err); system || !giveUp(it.content, broken.Field) {
			return marked, err
		}
		c := it.content
		if mark := c.Fields.Get("mark"); mark == "" {
			marked = true
			c.Fields.Set("mark", source.MarkTruncated)
		} else if !slices.Contains(strings.Fields(mark), source.MarkTruncated) {
			c.Fields.Set("mark", mark+" "+source.MarkTruncated)
		}
	}
}

// damagedInSource is why the bytes of an attachment are missing that its source could not read: offering it again brings nothing new.
const damagedInSource = "damaged in the source"

// giveUp takes an attachment out of the content and says that it is missing.
func giveUp(c *vault.Content, field string) bool {
	at := slices.IndexFunc(c.Files, func(f vault.File) bool { return f.Field == field })
	if at < 0 || field == "raw.file" {
		return false
	}
	c.Files = slices.Delete(slices.Clone(c.Files), at, at+1)
	c.Fields.Set(field, "")
	c.Fields.Set(field+".missing", damagedInSource)
	return true
}

// commit stores the items, how they will be recognised, and the cursor, in one transaction of the ledger.
func (d *Desk) commit(ctx context.Context, feed Feed, items []*item, told versions, at Progress) ([]guia.Seq, error) {
	weight := 0
	sealed := make([]vault.Sealed, len(items))
	for i, it := range items {
		sealed[i] = it.sealed
		weight += len(it.sealed.Row) + 512
	}
	var seqs []guia.Seq
	err := d.ledger.Batch(ctx, weight, func(tx *ledger.Tx) error {
		var err error
		if seqs, err = tx.Append(sealed...); err != nil {
			return err
		}
		if err := d.remember(tx.Tx, items, seqs, d.instance(feed)); err != nil {
			return fmt.Errorf("store recognition: %w", err)
		}
		if err := d.rememberVersions(tx.Tx, told); err != nil {
			return fmt.Errorf("store recognition: %w", err)
		}
		return d.storeProgress(tx.Tx, feed, at)
	})
	if err != nil {
		return nil, fmt.Errorf("commit records: %w", err)
	}
	return seqs, nil
}

// remember stores the recognition rows, in ascending order, many a statement.
func (d *Desk) remember(tx *db.Tx, items []*item, seqs []guia.Seq, instance digest) error {
	rows := make([]seenRow, 0, 2*len(items))
	for i, it := range items {
		rows = append(rows, seenRow{it.key, seqs[i], it.digest[:]})
		switch {
		case it.linked:
			rows = append(rows, seenRow{it.like, seqs[i], d.linkSeal(it.like, seqs[i])})
		case it.like != (mac{}):
			rows = append(rows, seenRow{it.like, seqs[i], instance[:]})
		}
	}
	sortRows(rows)
	const most = 64
	for len(rows) > 0 {
		n := 1
		for n*2 <= min(len(rows), most) {
			n *= 2
		}
		args := make([]any, 0, 3*n)
		for _, r := range rows[:n] {
			args = append(args, r.mac[:], uint64(r.seq), r.content)
		}
		// An edit back to an earlier text is recognised by the row of the first that said it.
		query := "INSERT INTO intake_seen (mac, seq, content) VALUES (?, ?, ?)" + strings.Repeat(", (?, ?, ?)", n-1) + " ON CONFLICT (mac) DO NOTHING"
		if _, err := tx.Exec(query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// instanceKey names a source instance in intake_cursor without telling it.
func (d *Desk) instanceKey(feed Feed) string {
	sum := d.vault.MAC("cursor", string(feed.Source), feed.Instance)
	return string(feed.Source) + "/" + hex.EncodeToString(sum[:])
}
