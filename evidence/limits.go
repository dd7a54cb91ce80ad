package evidence

import (
	"context"

	"guia"
	"guia/evidence/verify"
	"guia/ledger"
	"guia/proof"
)

// limits are what the verifier takes; a test that they are heeded makes them smaller.
type limits struct {
	line        int
	files       int
	file, total int64
}

var testOnlyLimits = limits{verify.MostLineBytes, verify.MostFiles, verify.MostFileBytes, verify.MostTotalBytes}

const (
	// smallRow is the size up to which a row without blobs cannot hold a line that is too long: compression shrinks a thousandfold
	// at most, and base64 adds a third.
	smallRow = 32 << 10
	// otherEntries is more than the files of a bundle that are neither attachments nor exhibits nor statements of changed keys.
	otherEntries = 32
	// longestProof is more than the hashes of any proof.
	longestProof = 63
)

// fits refuses, before the intent, what the verifier would refuse for its size. Only records that may be large are decrypted.
func (b *build) fits(ctx context.Context) error {
	var large []guia.Seq
	err := eachEntry(ctx, b.l, b.items, func(e ledger.Entry) error {
		blobs, err := b.l.Vault().Blobs(e.Row)
		if err == nil && (len(blobs) > 0 || len(e.Row) > smallRow) {
			large = append(large, e.Seq)
		}
		return err
	})
	if err != nil {
		return err
	}
	keys, err := b.l.LogKeys(ctx)
	if err != nil {
		return err
	}
	most, total := testOnlyLimits, int64(0)
	seen := map[[32]byte]bool{}
	var text []byte
	err = b.each(ctx, large, false, func(d *disclosed) error {
		d.line.Proof = make([]proof.Hash, longestProof)
		text = verify.AppendLine(text[:0], &d.line)
		if len(text) > most.line {
			return guia.Refuse(guia.Invalid, "evidence.line_long", uint64(d.Seq), len(text), most.line)
		}
		for i := range d.fields {
			ref, ok := fileOf(d.fields, i)
			if !ok || d.hidden(i) || seen[ref.Digest] {
				continue
			}
			seen[ref.Digest] = true
			if total += ref.Size; ref.Size > most.file || total > most.total {
				return guia.Refuse(guia.Invalid, "evidence.files_large", uint64(d.Seq), most.file, most.total)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n := len(seen) + len(b.exhibits) + len(keys) + otherEntries; n > most.files {
		return guia.Refuse(guia.Invalid, "evidence.files_many", n, most.files)
	}
	return nil
}
