package main

import "context"

// openFollowers opens what this program keeps beside the ledger; the caller holds mu.
func (h *holder) openFollowers(context.Context) error { return nil }
