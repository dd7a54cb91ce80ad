// Package index answers searches; it can be thrown away and rebuilt.
//
// The model: an index is a follower of the ledger. It is given batches of documents, in the order of their ledger sequence numbers,
// and keeps in a file of its own which words stand where, with the few fields that searches filter by. It does not keep the text:
// snippets are made by [Highlight] from what the vault returns. Words, two-character Chinese words, single characters, phrases and
// beginnings of words are found exactly: no hit that does not hold the words, no count that is an estimate. Traditional and simplified
// Chinese find each other, and so do accented and plain letters (see lang.Fold).
//
// Inside it is an inverted index: documents gather in a buffer in memory, are written as an immutable segment together with the
// cursor, and segments are merged now and then so that there are never many. A segment lies in slots, rows of fixed size in an
// SQLite file.
//
// Permission comes first: a [Scope] says what the one who asks may see; other documents are not counted, not ranked and do not
// influence the ranking of those that are.
//
// A message that several sources tell is kept in several documents and counted once: of those that answer a question, and that the
// asker may see, the first in the ledger is the hit, and it says how many more there are ([Hit.Copies]).
//
// Guaranteed: after a killed process the index answers as of some earlier cursor, which [Index.Cursor] returns, and following from
// there makes it what it would have been. Two indexes that were given the same documents give the same answers, however the documents
// were batched. After [Index.Forget] no byte of the file, its log or temporary files tells a word of the forgotten documents that no
// other document holds.
//
// Limits: of one document the first 32 MiB of text are indexed, and of one word in one document the first 230,000 places. Places of
// forgotten documents in the columns (some 20 bytes each) stay until their whole segment is forgotten.
//
// Not guaranteed: that the file survives a power cut (synchronous=OFF). Damage is noticed by checksums when it is read (kind damaged);
// the remedy is [Remove] and following the ledger from the beginning. The file is plaintext at rest: the disk must be encrypted.
package index

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"guia"
	"guia/db"
	"guia/lang"
)

// Doc is what the index is told about a ledger entry.
type Doc struct {
	Seq     uint64 // of the ledger; ascending
	Time    time.Time
	HasTime bool     // false for a record without a usable time: it is listed last and outside every time range
	Kind    string   // event type, such as message.sent
	Entity  string   // legal entity
	Stream  string   // conversation, as a pseudonym
	Person  string   // who said or did it, as an identifier; may be empty
	Text    []string // title, text, names of files and of the conversation: no phrase reaches from one into the next

	// Message is the record that first told the message (the document's own, or the one its same_as names). It is not looked up: the
	// first record may be forgotten.
	Message guia.RecordID
	Copy    bool // another record told the message before
}

// message is the value of colMessage: of the identifier, which is random, 63 bits are enough.
func (d *Doc) message() uint64 {
	v := binary.BigEndian.Uint64(d.Message[:8]) &^ 1
	if d.Copy {
		v |= 1
	}
	return v
}

const (
	// version of what is in the file. Another one is thrown away when it is opened.
	version = 3
	// bufferMost is how much memory the buffer takes before it is written.
	bufferMost = 32 << 20
	// applyStep is after how many documents waiting searches are let through.
	applyStep = 64
	// textMost is how many bytes of the texts of one document are indexed.
	textMost = 32 << 20
)

// Index is an open index. Its methods may be called by many goroutines; those that write queue, and searches go on meanwhile.
type Index struct {
	path string

	// writing is held by whoever changes the index. Lock order: writing, then mu.
	writing sync.Mutex
	counted bool   // store knows the free slots
	saved   uint64 // cursor in the file
	lastID  int64
	broken  error // a commit broke off: only opening the file again tells what it holds

	// mu is held by searches for reading. Writers hold it only to put documents into the buffer and to exchange segments.
	mu       sync.RWMutex
	db       *db.DB
	store    *store
	segments []*segment // ascending by ledger sequence
	buffer   *buffer
	next     uint64
}

// Open opens or creates the index in the file at path. One that was written by another version of the program is emptied: its cursor
// is then 0. Searches need nothing to be loaded first.
func Open(ctx context.Context, path string) (*Index, error) {
	x := &Index{path: path, buffer: newBuffer()}
	if err := x.open(ctx); err != nil {
		return nil, fmt.Errorf("open index %s: %w", filepath.Base(path), err)
	}
	return x, nil
}

func (x *Index) open(ctx context.Context) error {
	ok, err := x.load(ctx)
	if ok || err != nil {
		return err
	}
	// Empty, or of another version.
	if err := x.db.Close(); err != nil {
		return err
	}
	if err := Remove(x.path); err != nil {
		return err
	}
	if x.db, err = openFile(ctx, x.path); err != nil {
		return err
	}
	x.store = &store{db: x.db}
	x.counted = true
	x.segments, x.next, x.saved, x.lastID = nil, 0, 0, 0
	return x.create(ctx)
}

// openFile: Forgetful makes SQLite overwrite what it moves between pages.
func openFile(ctx context.Context, path string) (*db.DB, error) {
	return db.Open(ctx, path, db.Options{Durability: db.Disposable, Forgetful: true})
}

func (x *Index) create(ctx context.Context) error {
	return x.db.Write(ctx, func(tx *db.Tx) error {
		statements := []string{
			"CREATE TABLE index_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
			"CREATE TABLE index_segment (id INTEGER PRIMARY KEY, meta TEXT NOT NULL)",
			"INSERT INTO index_state (name, value) VALUES ('cursor', 0)",
			"INSERT INTO index_state (name, value) VALUES ('sum', " + strconv.FormatInt(catalogSum(0, nil), 10) + ")",
			"INSERT INTO index_state (name, value) VALUES ('version', " + strconv.Itoa(fileVersion()) + ")",
		}
		for _, table := range slotTables {
			statements = append(statements, "CREATE TABLE "+table+" (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
		}
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// fileVersion also counts changes of the folding: what was indexed under another one would not be found.
func fileVersion() int { return version*1000 + lang.FoldVersion }

// load reads cursor and segments and reports whether the file holds an index of this version.
func (x *Index) load(ctx context.Context) (ok bool, err error) {
	if x.db, err = openFile(ctx, x.path); err != nil {
		return false, err
	}
	x.store = &store{db: x.db}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.db.Close())
		}
	}()
	var tables int
	if err := x.db.QueryRow(ctx, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'index_state'").Scan(&tables); err != nil || tables == 0 {
		return false, err
	}
	var have int
	err = x.db.QueryRow(ctx, "SELECT value FROM index_state WHERE name = 'version'").Scan(&have)
	if errors.Is(err, sql.ErrNoRows) || err == nil && have != fileVersion() {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, x.loadSegments(ctx)
}

func (x *Index) loadSegments(ctx context.Context) error {
	if err := x.db.QueryRow(ctx, "SELECT value FROM index_state WHERE name = 'cursor'").Scan(&x.saved); err != nil {
		return err
	}
	x.next = x.saved
	rows, err := x.db.Query(ctx, "SELECT id, meta FROM index_segment ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	x.segments = nil
	sums := map[int64]uint32{}
	for rows.Next() {
		var id int64
		var text []byte
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		var meta segmentMeta
		if err := json.Unmarshal(text, &meta); err != nil || !meta.sound() {
			return damaged("row of a segment is unreadable")
		}
		x.lastID = max(x.lastID, id)
		s := newSegment(id, meta)
		s.sum = crc32.Checksum(text, castagnoli)
		sums[id] = s.sum
		x.insert(s)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var sum int64
	if err := x.db.QueryRow(ctx, "SELECT value FROM index_state WHERE name = 'sum'").Scan(&sum); err != nil {
		return err
	}
	if sum != catalogSum(x.saved, sums) {
		return damaged("cursor and segments do not belong together")
	}
	return nil
}

// catalogSum is the checksum of the cursor and the rows of the segments, whose checksums are given. With the names of slots, which hold
// checksums of what lies in them, it makes the file one tree.
func catalogSum(cursor uint64, segments map[int64]uint32) int64 {
	b := binary.LittleEndian.AppendUint64(nil, cursor)
	for _, id := range slices.Sorted(maps.Keys(segments)) {
		b = binary.LittleEndian.AppendUint64(b, uint64(id))
		b = binary.LittleEndian.AppendUint32(b, segments[id])
	}
	return int64(crc32.Checksum(b, castagnoli))
}

// insert puts a segment in its place: ascending by sequence numbers, which do not overlap.
func (x *Index) insert(s *segment) {
	i := len(x.segments)
	for i > 0 && x.segments[i-1].minSeq > s.minSeq {
		i--
	}
	x.segments = append(x.segments, nil)
	copy(x.segments[i+1:], x.segments[i:])
	x.segments[i] = s
}

func (m *segmentMeta) sound() bool {
	return m.Docs > 0 && len(m.Width) == columnCount && len(m.Columns) == columnCount && len(m.Lists) == columnCount-firstList
}

// Remove deletes the index in the file at path, which is not open. It is no error if there is none.
func Remove(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close writes what is in the buffer and closes the file. Closing twice does nothing. After an error the file is as after a crash.
func (x *Index) Close() error {
	err := x.Flush(context.Background())
	x.writing.Lock()
	defer x.writing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if errors.Is(err, errClosed) {
		return nil
	}
	x.broken = errClosed
	return errors.Join(err, x.db.Close())
}

var errClosed = errors.New("index is closed")

// Cursor returns the sequence number that the index wants next: everything before it has been applied. After opening it is what the
// file holds, which after a crash may be less than what was applied before.
func (x *Index) Cursor(context.Context) (uint64, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.next, nil
}

// Apply adds documents, ascending by sequence number, and moves the cursor to next. Those before the cursor are left out: applying a
// batch again changes nothing. On return searches find them; they are in the file after a later Flush, which Apply makes itself when
// the buffer is full. Documents and cursor reach the file in the same transaction.
func (x *Index) Apply(ctx context.Context, docs []Doc, next uint64) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if err := x.usable(); err != nil {
		return err
	}
	for i := range docs {
		if i > 0 && docs[i].Seq <= docs[i-1].Seq || docs[i].Seq >= next {
			return fmt.Errorf("apply to index: sequence number %d is out of order", docs[i].Seq)
		}
	}
	for len(docs) > 0 && docs[0].Seq < x.next {
		docs = docs[1:]
	}
	for len(docs) > 0 {
		n := min(len(docs), applyStep)
		x.mu.Lock()
		for i := range docs[:n] {
			x.buffer.add(&docs[i])
		}
		x.next = docs[n-1].Seq + 1
		x.mu.Unlock()
		docs = docs[n:]
		if x.buffer.memory() >= bufferMost {
			if err := x.flush(ctx); err != nil {
				return err
			}
		}
	}
	x.mu.Lock()
	x.next = max(x.next, next)
	x.mu.Unlock()
	return nil
}

// Flush writes the buffer and the cursor to the file.
func (x *Index) Flush(ctx context.Context) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if err := x.usable(); err != nil {
		return err
	}
	return x.flush(ctx)
}

func (x *Index) usable() error { return x.broken }

// flush writes the buffer as a segment and moves the cursor, in this order:
func (x *Index) flush(ctx context.Context) error {
	if x.next == x.saved {
		return nil
	}
	var fresh *segment
	if x.buffer.docs > 0 {
		// 1. The slots, in transactions of their own. A crash leaves them free.
		if err := x.count(ctx); err != nil {
			return err
		}
		meta, err := writeBuffer(ctx, x.store, x.buffer)
		if err != nil {
			x.store.release(meta.Slots)
			return fmt.Errorf("write segment: %w", err)
		}
		fresh = newSegment(x.lastID+1, meta)
	}
	// 2. The row of the segment and the cursor, together.
	err := x.commit(ctx, nil, fresh, x.next)
	if err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	// 3. Searches look at the segment instead of the buffer.
	x.mu.Lock()
	if fresh != nil {
		x.insert(fresh)
		x.buffer.clear()
	}
	x.mu.Unlock()
	return x.merge(ctx)
}

// commit replaces segments in the file by another one, and moves the cursor. fresh may be nil.
func (x *Index) commit(ctx context.Context, old []*segment, fresh *segment, cursor uint64) error {
	sums := map[int64]uint32{}
	for _, s := range x.segments {
		sums[s.id] = s.sum
	}
	for _, s := range old {
		delete(sums, s.id)
	}
	var text []byte
	if fresh != nil {
		var err error
		if text, err = json.Marshal(fresh.meta); err != nil {
			return err
		}
		fresh.sum = crc32.Checksum(text, castagnoli)
		sums[fresh.id] = fresh.sum
	}
	err := x.db.Write(ctx, func(tx *db.Tx) error {
		for _, s := range old {
			if _, err := tx.Exec("DELETE FROM index_segment WHERE id = ?", s.id); err != nil {
				return err
			}
		}
		if fresh != nil {
			if _, err := tx.Exec("INSERT INTO index_segment (id, meta) VALUES (?, ?)", fresh.id, string(text)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("UPDATE index_state SET value = ? WHERE name = 'cursor'", int64(cursor)); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE index_state SET value = ? WHERE name = 'sum'", catalogSum(cursor, sums))
		return err
	})
	switch {
	case errors.Is(err, db.ErrUnclear):
		x.broken = err
	case err != nil && fresh != nil:
		x.store.release(fresh.meta.Slots)
	case err == nil:
		x.saved = cursor
		if fresh != nil {
			x.lastID = max(x.lastID, fresh.id)
		}
	}
	return err
}

// count makes the store know its free slots. Only writers need it, so opening for a search does not pay for it.
func (x *Index) count(ctx context.Context) error {
	if x.counted {
		return nil
	}
	used := map[slotID]bool{}
	for _, s := range x.segments {
		for _, id := range s.meta.Slots {
			used[id] = true
		}
	}
	err := x.db.Write(ctx, func(tx *db.Tx) error { return x.store.recount(tx, used) })
	x.counted = err == nil
	return err
}

// Reset throws everything away: the file is deleted and begun anew, with cursor 0. Following the ledger from there rebuilds it.
func (x *Index) Reset(ctx context.Context) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if errors.Is(x.broken, errClosed) {
		return x.broken
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.db.Close(); err != nil {
		return fmt.Errorf("reset index: %w", err)
	}
	x.broken = errClosed // until it is open again
	if err := Remove(x.path); err != nil {
		return fmt.Errorf("reset index: %w", err)
	}
	x.buffer = newBuffer()
	x.segments, x.next, x.saved, x.lastID, x.counted = nil, 0, 0, 0, false
	if err := x.open(ctx); err != nil {
		return fmt.Errorf("reset index: %w", err)
	}
	x.broken = nil
	return nil
}

// Stats are numbers for the operator.
type Stats struct {
	Docs     int    // that can be found
	Segments int    // in the file
	Bytes    int64  // of the segments in the file
	Buffered int    // documents that are only in memory
	Cursor   uint64 // that the file holds
}

// Stats returns them.
func (x *Index) Stats() Stats {
	x.writing.Lock()
	defer x.writing.Unlock()
	st := Stats{Docs: x.buffer.docs, Segments: len(x.segments), Buffered: x.buffer.docs, Cursor: x.saved}
	for _, s := range x.segments {
		st.Docs += s.docs - s.dead
		st.Bytes += s.meta.Bytes
	}
	return st
}
