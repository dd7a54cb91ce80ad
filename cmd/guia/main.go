// Command guia imports chat archives into a ledger that can be proven, searches them, and packs what a court asks for.
//
// The model: one process holds the data directory. A command opens it, or, when another process has it open, is carried out by that
// process through its socket (socket.go); to the user both look the same. A command asks for nothing before it acts and keeps
// nothing in memory that is not committed: ended at any moment, it goes on where it was when it is given again.
//
// Exit codes: 0 done, 1 failed (also when interrupted), 2 wrong use, 3 damage found (docs/decisions/008-exit-codes.md). This is the
// only place that turns the kinds of refusal into codes.
//
// Guaranteed: what a command reported as done is durable; who acted is known to the ledger before any content is shown.
//
// Not guaranteed: that the account is the person. Whoever may read the data directory may name another account with --as; the event
// then says "asserted" instead of "os-login".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the command at a committed state. From then on signals do what they do by default: the second kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, system()))
}
