package guia

import (
	"errors"
	"fmt"
)

// Kind says what sort of answer a refusal is. Doors turn kinds into exit codes and HTTP statuses; nothing else does.
type Kind uint8

// The kinds of refusal.
const (
	Invalid  Kind = iota + 1 // the question makes no sense: wrong words, bad input (exit 2)
	Denied                   // the actor may not do that
	NotFound                 // there is no such thing
	Conflict                 // it exists already, or somebody else holds it
	Held                     // a hold forbids it
	Blocked                  // it waits for something: an approval, another version
	Upstream                 // somebody else's system did not answer
	Damaged                  // stored data is not what it was (exit 3): the writer stops and a human is woken
)

// String is the kind's name in JSON output.
func (k Kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return "failed"
}

var kindNames = [...]string{"", "invalid", "denied", "not_found", "conflict", "held", "blocked", "upstream", "damaged"}

// Refusal is an answer a user can read: what is wrong and what to do next, as a sentence of package lang in three languages. Args
// fill the sentence's places; they hold identifiers, digests, numbers and what the user typed, never stored personal data.
type Refusal struct {
	Kind  Kind
	Key   string // sentence in lang
	Args  []any
	Cause error // for the operator's log; may be nil
}

// Refuse returns a [Refusal] as an error.
func Refuse(kind Kind, key string, args ...any) error {
	return &Refusal{Kind: kind, Key: key, Args: args}
}

// RefuseCause is [Refuse] that keeps the error which led to it.
func RefuseCause(kind Kind, cause error, key string, args ...any) error {
	return &Refusal{Kind: kind, Key: key, Args: args, Cause: cause}
}

// Error is for logs: the kind, the sentence's key, and the cause. What the user reads comes from lang.
func (r *Refusal) Error() string {
	s := fmt.Sprintf("%s: %s", r.Kind, r.Key)
	if len(r.Args) > 0 {
		s += fmt.Sprintf(" %v", r.Args)
	}
	if r.Cause != nil {
		s += ": " + r.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// KindOf returns the kind of the first refusal in err's chain, or 0 when there is none.
func KindOf(err error) Kind {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Kind
	}
	return 0
}
