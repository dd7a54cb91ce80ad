package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"guia"
	"guia/ledger"
)

// followers are what the commands of this process keep up to date together. One goroutine applies events; commands wait for it.
type followers struct {
	mu     sync.Mutex
	all    []*watched
	files  []io.Closer
	cancel context.CancelFunc
	ended  chan struct{} // the goroutine has ended
	err    error         // why, when it was not told to
}

// watched is a follower whose cursor can be waited for.
type watched struct {
	ledger.Follower
	mu    sync.Mutex
	next  guia.Seq
	moved chan struct{} // closed and replaced when next grows
}

// Apply implements [ledger.Follower].
func (w *watched) Apply(ctx context.Context, events []guia.Event, next guia.Seq) error {
	if err := w.Follower.Apply(ctx, events, next); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = next
	close(w.moved)
	w.moved = make(chan struct{})
	return nil
}

func (w *watched) at() (guia.Seq, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next, w.moved
}

// follow begins to keep the followers up to date, once per process.
func (h *holder) follow(ctx context.Context) error {
	f := &h.followers
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil {
		return nil
	}
	if err := h.openFollowers(ctx); err != nil {
		return errors.Join(err, f.closeFiles())
	}
	targets := make([]ledger.Follower, len(f.all))
	for i, w := range f.all {
		at, err := w.Cursor(ctx)
		if err != nil {
			return errors.Join(err, f.closeFiles())
		}
		w.mu.Lock()
		w.next = at
		w.mu.Unlock()
		targets[i] = w
	}
	following, cancel := context.WithCancel(context.Background()) // it serves all commands, and ends when the directory is closed
	f.cancel, f.ended, f.err = cancel, make(chan struct{}), nil
	go func() {
		defer close(f.ended)
		err := h.Ledger.Follow(following, targets...)
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
	}()
	return nil
}

// add opens one follower; the caller holds mu.
func (f *followers) add(follower ledger.Follower, file io.Closer) {
	f.all = append(f.all, &watched{Follower: follower, moved: make(chan struct{})})
	f.files = append(f.files, file)
}

// caughtUp returns when the followers have seen everything that was committed before the call.
func (h *holder) caughtUp(ctx context.Context, tell func(done, of guia.Seq)) error {
	if err := h.follow(ctx); err != nil {
		return err
	}
	size := h.Ledger.Size()
	f := &h.followers
	f.mu.Lock()
	all, ended := f.all, f.ended
	f.mu.Unlock()
	for _, w := range all {
		for {
			at, moved := w.at()
			if at >= size {
				break
			}
			tell(at, size)
			select {
			case <-moved:
			case <-ctx.Done():
				return ctx.Err()
			case <-ended:
				if now, _ := w.at(); now < size {
					return f.why()
				}
			}
		}
	}
	return nil
}

// errRebuilt says that the followers were thrown away while somebody waited for them.
var errRebuilt = guia.Refuse(guia.Conflict, "index.rebuilt")

// why is what ended following.
func (f *followers) why() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	return errRebuilt
}

// close ends following and closes the followers' files.
func (f *followers) close() error {
	f.mu.Lock()
	cancel, ended := f.cancel, f.ended
	f.mu.Unlock()
	if cancel != nil {
		cancel()
		<-ended
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel = nil
	return f.closeFiles()
}

func (f *followers) closeFiles() error {
	var errs []error
	for _, file := range f.files {
		errs = append(errs, file.Close())
	}
	f.all, f.files = nil, nil
	return errors.Join(errs...)
}
