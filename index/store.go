package index

import (
	"container/list"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sync"

	"guia"
	"guia/db"
)

// A slot is a row of fixed size that holds one piece of a segment. Slots are never deleted: a free one is overwritten in place by the
// next piece of its size, or with zeros when something has to be forgotten. So no copy of a term stays behind in a page that the
// database keeps for later. Sizes are chosen so that slots fill the 16 KiB pages of package db exactly.
//
// Its bytes: length of the content (4), content, padding of zeros. Whoever names a slot also says what the checksum of its content is,
// so that a write that was lost is noticed as a changed byte is: the names form a tree, with the rows of the segments at its root.
var slotSizes = [...]int{1000, 2016, 4056, 5424, 8144, 16304, 65536, 262144, 1 << 20}

const (
	slotHead = 4
	slotRoom = 16304 - slotHead // what fits into a slot of one page
	slotMost = 1<<20 - slotHead

	writeBatch = 1 << 20 // bytes of slots in one transaction
	cacheSize  = 64 << 20
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	slotTables = [len(slotSizes)]string{"index_slot0", "index_slot1", "index_slot2", "index_slot3", "index_slot4", "index_slot5", "index_slot6", "index_slot7", "index_slot8"}
)

// slotID names a slot: from the lowest bit, the number of its table (4 bits), its row there, from 1 (28 bits), and the CRC-32C of row,
// table, length and content (32 bits). A bare one is without the checksum.
type slotID uint64

func slotOf(table int, row int64) slotID { return slotID(row)<<4 | slotID(table) }

func (id slotID) table() int   { return int(id & 15) }
func (id slotID) row() int64   { return int64(uint32(id) >> 4) }
func (id slotID) bare() slotID { return id & math.MaxUint32 }

// sealed is the name of the bare slot id with this length and content.
func (id slotID) sealed(data []byte) slotID {
	sum := crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint32(nil, uint32(id)), castagnoli), castagnoli, data)
	return slotID(sum)<<32 | id.bare()
}

// store reads and writes slots. Reading is safe at any time; writing is done by one goroutine.
type store struct {
	db    *db.DB
	cache cache

	last [len(slotSizes)]int64 // highest row of each table
	free [len(slotSizes)][]slotID
	wait []slotWrite
	size int // bytes in wait
}

type slotWrite struct {
	id   slotID
	data []byte
	add  bool
}

// put stores content in a slot and returns its name. The content is written by the next flush, which put calls when much is waiting.
func (s *store) put(ctx context.Context, content []byte) (slotID, error) {
	table := 0
	for slotSizes[table]-slotHead < len(content) {
		if table++; table == len(slotSizes) {
			return 0, fmt.Errorf("store piece of %d bytes: the most is %d", len(content), slotMost)
		}
	}
	w := slotWrite{data: make([]byte, slotSizes[table])}
	binary.LittleEndian.PutUint32(w.data, uint32(len(content)))
	copy(w.data[slotHead:], content)
	if f := s.free[table]; len(f) > 0 {
		w.id = f[len(f)-1]
		s.free[table] = f[:len(f)-1]
	} else {
		s.last[table]++
		w.id, w.add = slotOf(table, s.last[table]), true
	}
	w.id = w.id.sealed(w.data[:slotHead+len(content)])
	s.wait = append(s.wait, w)
	if s.size += len(w.data); s.size >= writeBatch {
		return w.id, s.flush(ctx)
	}
	return w.id, nil
}

// flush writes the waiting slots in a transaction of their own. A slot that no segment names is free: after a crash here nothing is
// lost and nothing has to be cleaned up.
func (s *store) flush(ctx context.Context) error {
	if len(s.wait) == 0 {
		return nil
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		for _, w := range s.wait {
			var err error
			if w.add {
				_, err = tx.Exec("INSERT INTO "+slotTables[w.id.table()]+" (id, data) VALUES (?, ?)", w.id.row(), w.data)
			} else {
				_, err = tx.Exec("UPDATE "+slotTables[w.id.table()]+" SET data = ? WHERE id = ?", w.data, w.id.row())
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	s.wait, s.size = s.wait[:0], 0
	return err
}

// release makes slots free. The caller knows that no search looks at them any more.
func (s *store) release(ids []slotID) {
	s.cache.drop(ids)
	for _, id := range ids {
		s.free[id.table()] = append(s.free[id.table()], id.bare())
	}
}

// recount finds the free slots: all that exist and are not in used. It is what makes a crash harmless.
func (s *store) recount(tx *db.Tx, used map[slotID]bool) error {
	for table := range slotSizes {
		if err := tx.QueryRow("SELECT COALESCE(MAX(id), 0) FROM "+slotTables[table], nil, &s.last[table]); err != nil {
			return err
		}
		s.free[table] = nil
		for row := s.last[table]; row > 0; row-- {
			if id := slotOf(table, row); !used[id] {
				s.free[table] = append(s.free[table], id)
			}
		}
	}
	return nil
}

// wipe overwrites every free slot with zeros.
func (s *store) wipe(ctx context.Context) error {
	for table, ids := range s.free {
		zeros := make([]byte, slotSizes[table])
		for len(ids) > 0 {
			n := min(len(ids), max(1, writeBatch/slotSizes[table]))
			err := s.db.Write(ctx, func(tx *db.Tx) error {
				for _, id := range ids[:n] {
					// The database writes only pages that differ: what is zero already costs a read.
					if _, err := tx.Exec("UPDATE "+slotTables[table]+" SET data = ? WHERE id = ?", zeros, id.row()); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			ids = ids[n:]
		}
	}
	return nil
}

// reader reads slots, for a search within one snapshot of the database, for a pass over everything without one: a snapshot that is
// held for long keeps the write-ahead log from being reused. It remembers the first error and then returns nothing, so that loops over
// postings need no error of their own: the caller asks err at the end.
type reader struct {
	ctx   context.Context
	store *store
	tx    *sql.Tx // nil for a pass over everything, which also leaves the cache as it is
	stmt  [len(slotSizes)]*sql.Stmt
	err   error
}

// read calls fn with a reader over the state committed before the call and returns its error or fn's.
func (s *store) read(ctx context.Context, fn func(*reader) error) error {
	return s.db.Snapshot(ctx, func(tx *sql.Tx) error {
		r := &reader{ctx: ctx, store: s, tx: tx}
		err := fn(r)
		for _, stmt := range r.stmt {
			if stmt != nil {
				stmt.Close()
			}
		}
		if r.err != nil {
			return r.err
		}
		return err
	})
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// slot returns the content of a slot, which the caller must not change; empty after an error.
func (r *reader) slot(id slotID) []byte {
	if r.err != nil {
		return nil
	}
	if data := r.store.cache.get(id); data != nil {
		return data
	}
	data, err := r.load(id)
	if err != nil {
		r.fail(fmt.Errorf("read slot %d of table %d: %w", id.row(), id.table(), err))
		return nil
	}
	if r.tx != nil {
		r.store.cache.set(id, data)
	}
	return data
}

func (r *reader) load(id slotID) ([]byte, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	rows, err := r.query(id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, err
		}
		return nil, damaged("slot is missing")
	}
	var raw sql.RawBytes
	if err := rows.Scan(&raw); err != nil {
		return nil, err
	}
	if len(raw) < slotHead {
		return nil, damaged("slot is short")
	}
	n := binary.LittleEndian.Uint32(raw)
	if int64(n) > int64(len(raw)-slotHead) || id.sealed(raw[:slotHead+n]) != id {
		return nil, damaged("slot has a wrong checksum")
	}
	return append(make([]byte, 0, n), raw[slotHead:slotHead+n]...), nil
}

func (r *reader) query(id slotID) (*sql.Rows, error) {
	table := id.table()
	text := "SELECT data FROM " + slotTables[table] + " WHERE id = ?"
	if r.tx == nil {
		return r.store.db.Query(r.ctx, text, id.row())
	}
	if r.stmt[table] == nil {
		stmt, err := r.tx.PrepareContext(r.ctx, text) //nolint:sqlclosecheck // read closes it when the search is over
		if err != nil {
			return nil, err
		}
		r.stmt[table] = stmt
	}
	return r.stmt[table].QueryContext(r.ctx, id.row())
}

// damaged is the refusal that says: this index is not what was written. The remedy is [Index.Reset] and following the ledger again.
func damaged(what string) error {
	return guia.RefuseCause(guia.Damaged, fmt.Errorf("%s", what), "index.damaged")
}

// blob returns content that lies in several slots. It is kept by the caller, not in the cache.
func (r *reader) blob(ids []slotID, size int) []byte {
	out := make([]byte, 0, size)
	for _, id := range ids {
		data := r.store.cache.get(id)
		if data == nil {
			var err error
			if r.err != nil {
				return nil
			}
			if data, err = r.load(id); err != nil {
				r.fail(fmt.Errorf("read slot %d of table %d: %w", id.row(), id.table(), err))
				return nil
			}
		}
		out = append(out, data...)
	}
	return out
}

// cache keeps the content of recently read slots, least recently used out first.
type cache struct {
	mu    sync.Mutex
	size  int
	order list.List                // of cached
	byID  map[slotID]*list.Element // by bare name
}

type cached struct {
	id   slotID
	data []byte
}

func (c *cache) get(id slotID) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[id.bare()]
	if e == nil || e.Value.(cached).id != id {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(cached).data
}

func (c *cache) set(id slotID, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = map[slotID]*list.Element{}
	}
	if c.byID[id.bare()] != nil || len(data) == 0 {
		return
	}
	c.byID[id.bare()] = c.order.PushFront(cached{id, data})
	for c.size += len(data); c.size > cacheSize; {
		c.remove(c.order.Back())
	}
}

// drop forgets slots that become free.
func (c *cache) drop(ids []slotID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if e := c.byID[id.bare()]; e != nil {
			c.remove(e)
		}
	}
}

func (c *cache) remove(e *list.Element) {
	k := e.Value.(cached)
	c.order.Remove(e)
	delete(c.byID, k.id.bare())
	c.size -= len(k.data)
}
