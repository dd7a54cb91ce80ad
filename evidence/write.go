package evidence

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"

	"guia"
	"guia/canon"
	"guia/evidence/howto"
	"guia/evidence/verify"
	"guia/ledger"
	"guia/proof"
	"guia/vault"
)

// write writes the container, file by file in a fixed order. For the same ledger, checkpoint and request it writes the same bytes.
func (b *build) write(ctx context.Context, w io.Writer) error {
	out, err := verify.NewWriter(w)
	if err != nil {
		return err
	}
	b.total = len(b.items)
	b.facts = newViewFacts()
	if err := b.writeLines(ctx, out, "records.jsonl", b.items, false); err != nil {
		return err
	}
	custody, err := b.custody(ctx)
	if err != nil {
		return err
	}
	b.total += len(custody)
	if err := b.writeLines(ctx, out, "custody.jsonl", custody, true); err != nil {
		return err
	}
	if err := b.writeFiles(ctx, out); err != nil {
		return err
	}
	if err := b.writeProofs(out); err != nil {
		return err
	}
	if err := b.writeKeys(out); err != nil {
		return err
	}
	if err := b.fillCover(ctx); err != nil {
		return err
	}
	if err := out.Add("cover.json", verify.FormatCover(b.cover)); err != nil {
		return err
	}
	if err := b.writeView(out); err != nil {
		return err
	}
	if err := out.Add("HOW-TO-VERIFY.txt", howto.Text()); err != nil {
		return err
	}
	return out.Finish(b.sign)
}

// sign lets the log sign the manifest, and demands that it used the key of the checkpoint: in between it may have been rotated.
func (b *build) sign(text []byte) ([]byte, error) {
	note, err := testOnlySign(b.l, text)
	if err != nil {
		return nil, err
	}
	if _, _, err := proof.SignatureBytes(note, b.signer.VKey()); err != nil {
		return nil, guia.RefuseCause(guia.Conflict, err, "evidence.key_changed")
	}
	return note, nil
}

// testOnlySign is replaced by the test that a stranger's signature is not taken.
var testOnlySign = func(l *ledger.Ledger, text []byte) ([]byte, error) { return verify.SignManifestNote(text, l.Signer()) }

// writeLines writes events as lines and takes from each line what the rest of the bundle is made of: counts, attachments, proofs
// of exhibits, and what people read.
func (b *build) writeLines(ctx context.Context, out *verify.Writer, name string, seqs []guia.Seq, custody bool) error {
	w, err := out.Create(name)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(w, 256<<10)
	var text []byte
	err = b.each(ctx, seqs, custody, func(d *disclosed) error {
		if d.line.Proof, err = b.prover.Inclusion(d.line.Index); err != nil {
			return fmt.Errorf("prove event %d: %w", d.line.Index, err)
		}
		if text = verify.AppendLine(text[:0], &d.line); len(text) > testOnlyLimits.line {
			return guia.Refuse(guia.Invalid, "evidence.line_long", d.line.Index, len(text), testOnlyLimits.line)
		}
		if _, err := buffered.Write(text); err != nil {
			return err
		}
		if err := b.tally.Add(&d.line, custody); err != nil {
			return err
		}
		for i := range d.fields {
			if ref, ok := fileOf(d.fields, i); ok && !d.hidden(i) {
				if _, known := b.files[ref.Digest]; !known {
					b.files[ref.Digest] = original{d.Seq, d.fields[i].Name}
				}
			}
		}
		if !custody {
			b.noteImport(d.fields)
			if _, wanted := b.exhibits[d.Seq]; wanted {
				b.exhibits[d.Seq] = d.line.Proof
			}
		}
		b.facts.add(&d.line, &d.Leaf.Header, custody)
		if b.done++; b.progress != nil {
			b.progress(b.done, b.total)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return buffered.Flush()
}

// noteImport notes which import brought an event: the chain of custody tells of it.
func (b *build) noteImport(fields []vault.Disclosure) {
	if id, err := guia.ParseID16(value(fields, "import")); err == nil {
		b.imports[id] = true
	}
}

// disclosed is one event on its way into a line.
type disclosed struct {
	ledger.Entry
	fields []vault.Disclosure
	judgement
	line verify.Line

	err  error
	done chan struct{}
}

// each decrypts and judges events on all processors and calls fn with them in order.
func (b *build) each(ctx context.Context, seqs []guia.Seq, custody bool, fn func(*disclosed) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	work, order := make(chan *disclosed), make(chan *disclosed, 256)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for d := range work {
				d.err = b.disclose(ctx, d, custody)
				close(d.done)
			}
		})
	}
	var readErr error
	workers.Go(func() {
		defer close(order)
		defer close(work)
		readErr = eachEntry(ctx, b.l, seqs, func(e ledger.Entry) error {
			d := &disclosed{Entry: e, done: make(chan struct{})}
			select {
			case order <- d:
			case <-ctx.Done():
				return ctx.Err()
			}
			work <- d
			return nil
		})
	})
	for d := range order {
		<-d.done
		err := d.err
		if err == nil {
			err = fn(d)
		}
		if err != nil {
			cancel()
			for d := range order { // let the others end
				<-d.done
			}
			return err
		}
	}
	return readErr
}

// disclose decrypts one event and makes its line, but for the proof.
func (b *build) disclose(ctx context.Context, d *disclosed, custody bool) (err error) {
	if d.fields, err = b.l.Vault().Disclose(ctx, d.Seq, d.Leaf, d.Row); err != nil {
		return err
	}
	d.judgement = b.redactor.judge(d.Seq, &d.Leaf.Header, d.fields, custody)
	d.line = verify.Line{Index: int64(d.Seq), Leaf: d.Text, Fields: make([]verify.Field, len(d.fields))}
	for i, f := range d.fields {
		field := verify.Field{Name: f.Name, Commitment: f.Commitment}
		switch {
		case f.Forgotten:
			field.Withheld = verify.Erased
		case d.hidden(i):
			field.Withheld = verify.Redacted
		default:
			field.Salt, field.Value = f.Salt, f.Value
		}
		d.line.Fields[i] = field
	}
	return nil
}

// writeFiles writes the originals of attachments, by digest.
func (b *build) writeFiles(ctx context.Context, out *verify.Writer) error {
	digests := slices.SortedFunc(maps.Keys(b.files), func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })
	for _, digest := range digests {
		from := b.files[digest]
		e, err := b.l.Entry(ctx, from.seq)
		if err != nil {
			return err
		}
		w, err := out.Create(verify.FileName(digest))
		if err != nil {
			return err
		}
		if err := b.l.Vault().OpenFile(ctx, from.seq, e.Leaf.Header, e.Row, from.field, w); err != nil {
			return err
		}
	}
	return nil
}

// writeProofs writes the checkpoint, the consistency proofs and the proofs of exhibits.
func (b *build) writeProofs(out *verify.Writer) error {
	if err := out.Add("checkpoint", b.checkpoint); err != nil {
		return err
	}
	written := map[int64]bool{}
	for _, note := range b.older {
		size, err := noteSize(note)
		if err != nil {
			return err
		}
		if written[size] || size == b.size {
			continue
		}
		written[size] = true
		hashes, err := b.prover.Consistency(size)
		if err != nil {
			return fmt.Errorf("prove growth since %d: %w", size, err)
		}
		text, err := proof.FormatConsistency(proof.Growth{Old: size, Hashes: hashes, Checkpoint: b.checkpoint})
		if err != nil {
			return err
		}
		growth, older := verify.GrowthNames(size, b.size)
		if err := errors.Join(out.Add(growth, text), out.Add(older, note)); err != nil {
			return err
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(b.exhibits)) {
		text, err := proof.FormatProof(proof.LeafProof{Index: int64(seq), Hashes: b.exhibits[seq], Checkpoint: b.checkpoint})
		if err != nil {
			return err
		}
		if err := out.Add(verify.ProofName(int64(seq)), text); err != nil {
			return err
		}
	}
	return nil
}

// writeKeys writes the key that signed and how it came into force.
func (b *build) writeKeys(out *verify.Writer) error {
	pem, err := proof.VKeyPEM(b.signer.VKey())
	if err != nil {
		return err
	}
	if err := errors.Join(out.Add("keys/log.vkey", []byte(b.signer.VKey()+"\n")), out.Add("keys/log.pem", pem)); err != nil {
		return err
	}
	for n, k := range b.keys[1:] {
		if err := out.Add(verify.RotationName(n+1), k.Statement); err != nil {
			return err
		}
	}
	return nil
}

// measure counts and hashes what is written.
type measure struct {
	w      io.Writer
	hash   hash.Hash
	size   int64
	failed error // what the disk said
}

func newMeasure(w io.Writer) *measure { return &measure{w: w, hash: sha256.New()} }

// Write passes on and measures.
func (m *measure) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.hash.Write(p[:n])
	m.size += int64(n)
	m.failed = cmp.Or(m.failed, err)
	return n, err
}

func (m *measure) ref() (r canon.FileRef) {
	m.hash.Sum(r.Digest[:0])
	r.Size = m.size
	return r
}

// noteSize reads the size of a checkpoint whose signature was verified before.
func noteSize(note []byte) (int64, error) {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	c, err := proof.ParseCheckpoint(append(slices.Clone(text), '\n'))
	return c.Size, err
}
