package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"guia"
	"guia/index"
	"guia/people"
)

// parts are the followers by what they answer.
type parts struct {
	using  sync.RWMutex // held for writing while they are thrown away
	index  *index.Index
	people *people.People
}

func (h *holder) indexPath() string  { return filepath.Join(h.Followers(), "index.db") }
func (h *holder) peoplePath() string { return filepath.Join(h.Followers(), "people.db") }

// person is the pseudonym of a person as a source knows them.
func (h *holder) person(source guia.SourceName, key string) guia.PersonID {
	return guia.PersonID(h.Vault.PersonOwner(source, key))
}

// openFollowers opens what this program keeps beside the ledger; the caller holds the followers' lock. Files that are damaged, or have
// seen a ledger which is no longer there (before a restore), begin anew.
func (h *holder) openFollowers(ctx context.Context) (err error) {
	size := h.Ledger.Size()
	h.parts.index, err = index.Open(ctx, h.indexPath())
	if guia.KindOf(err) == guia.Damaged {
		if err = index.Remove(h.indexPath()); err == nil {
			h.parts.index, err = index.Open(ctx, h.indexPath())
		}
	}
	if err != nil {
		return err
	}
	h.followers.add(&index.Follower{Index: h.parts.index, Person: h.person}, h.parts.index)
	at, err := h.parts.index.Cursor(ctx)
	if err == nil && guia.Seq(at) > size {
		err = h.parts.index.Reset(ctx)
	}
	if err != nil {
		return err
	}
	if h.parts.people, err = people.Open(h.peoplePath(), h.person); err != nil {
		return err
	}
	h.followers.add(h.parts.people, h.parts.people)
	return h.parts.people.Settle(ctx, size)
}

// throwAway deletes what the followers keep. They are opened anew by whoever needs them next.
func (h *holder) throwAway() error {
	h.parts.using.Lock()
	defer h.parts.using.Unlock()
	err := h.followers.close()
	// People's file is one like the index's: database, log and what belongs to it.
	return errors.Join(err, index.Remove(h.indexPath()), index.Remove(h.peoplePath()))
}
