// Package proof is the mathematics of the ledger: tree hashes, inclusion and
// consistency proofs, and the signed texts that carry them.
//
// Model. Leaves are hashed into the binary tree of RFC 9162 §2.1 with SHA-256.
// The tree is kept as tiles of height 8 in the sense of c2sp.org/tlog-tiles:
// rows of up to 256 hashes. A checkpoint (c2sp.org/tlog-checkpoint) names the
// origin, size and root of a tree and is signed with Ed25519 as a signed note.
// A tlog-proof (c2sp.org/tlog-proof) shows that a leaf is in a checkpoint's
// tree, a consistency file (the request body of c2sp.org/tlog-witness) that a
// tree only grew, a rotation that one log key took over from another. The
// arithmetic is that of golang.org/x/mod/sumdb/tlog and note; this package
// adds the tiles, the texts and the strictness.
//
// Guarantees. What a Check or Open function accepts follows from the key or
// root that the caller passed in, under the usual assumptions on SHA-256 and
// Ed25519: nothing in the text itself is trusted. Every text has one encoding
// only: a parser accepts exactly what the formatter writes, so a changed byte
// is a changed meaning or an error. (Signature lines of unknown keys are the
// exception: the specification says to ignore them.) Parsers read at most
// [MaxText] bytes and do bounded work.
//
// Not guaranteed. A proof says that a leaf is in a tree, never when it got
// there, nor that the leaf is true, nor that nothing was left out. A log that
// shows different trees to different people signs both; that is found by
// comparing checkpoints, with each other, with time-stamps or with witnesses.
//
// The package does no I/O and keeps no state. Values are safe for concurrent
// reading; [Builder] and [Prover] belong to one goroutine at a time.
package proof
