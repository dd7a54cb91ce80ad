package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"guia"
	"guia/canon"
	"guia/ledger"
	"guia/permit"
	"guia/proof"
	"guia/vault"
)

func (p *program) showCommand() *cobra.Command {
	var raw, proofOnly bool
	cmd := &cobra.Command{Use: "show SEQ", Args: needs(1, 1)}
	cmd.Flags().BoolVar(&raw, "raw", false, "")
	cmd.Flags().BoolVar(&proofOnly, "proof", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		seq, err := parseSeq(args[0])
		if err != nil {
			return err
		}
		if raw && proofOnly {
			return guia.Refuse(guia.Invalid, "cmd.exclusive", "--raw", "--proof")
		}
		return p.inside(func(ctx context.Context, s *session) error {
			switch {
			case proofOnly:
				return s.showProof(ctx, seq)
			case raw:
				return s.showRaw(ctx, seq)
			}
			return s.show(ctx, seq)
		})(cmd, args)
	}
	return cmd
}

func parseSeq(s string) (guia.Seq, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 10, 63)
	if err != nil {
		return 0, guia.Refuse(guia.Invalid, "cmd.seq", s)
	}
	return guia.Seq(n), nil
}

// proven is the proof of one event, checked.
type proven struct {
	leafProof  proof.LeafProof
	checkpoint proof.Checkpoint
}

// prove makes the inclusion proof of an event in the newest checkpoint, and checks it as a stranger would.
func (s *session) prove(ctx context.Context, e ledger.Entry) (proven, error) {
	note, err := s.Ledger.Checkpoint(ctx)
	if err != nil {
		return proven{}, err
	}
	trust, err := s.Ledger.Trust(ctx)
	if err != nil {
		return proven{}, err
	}
	c, err := trust.Open(note)
	if err != nil {
		return proven{}, guia.RefuseCause(guia.Damaged, err, "ledger.checkpoint_unsigned")
	}
	hashes, err := proof.Inclusion(s.Ledger, c.Size, int64(e.Seq))
	if err != nil {
		return proven{}, err
	}
	p := proof.LeafProof{Index: int64(e.Seq), Hashes: hashes, Checkpoint: note}
	if _, err := p.Check(proof.LeafHash(e.Text), trust); err != nil {
		return proven{}, guia.RefuseCause(guia.Damaged, err, "show.unproven", uint64(e.Seq))
	}
	return proven{p, c}, nil
}

// showProof prints the C2SP tlog-proof of an event. It holds nothing personal: whoever may browse there may have it.
func (s *session) showProof(ctx context.Context, seq guia.Seq) error {
	if err := s.may(ctx, permit.ActBrowse); err != nil {
		return err
	}
	e, err := s.Ledger.Entry(ctx, seq)
	if err != nil {
		return err
	}
	limits, err := s.scopes(ctx, permit.ActBrowse)
	if err != nil {
		return err
	}
	allowed, err := limits.allowAll(ctx, []guia.Seq{seq})
	if err != nil {
		return err
	}
	if !allowed {
		return s.do(ctx, permit.ActBrowse, func(*ledger.Tx) error { return guia.Refuse(guia.Denied, "show.outside", uint64(seq)) })
	}
	p, err := s.prove(ctx, e)
	if err != nil {
		return err
	}
	text, err := proof.FormatProof(p.leafProof)
	if err != nil {
		return err
	}
	if s.json {
		return s.emit(struct {
			Seq   uint64 `json:"seq"`
			Leaf  string `json:"leaf"`
			Hash  string `json:"leaf_hash"`
			Proof string `json:"tlog_proof"`
		}{uint64(seq), string(e.Text), proof.LeafHash(e.Text).String(), string(text)})
	}
	s.print(string(text))
	return nil
}

// open records that the user opens an event, after it was found to be within what they may see. A refusal is recorded too.
func (s *session) open(ctx context.Context, seq guia.Seq) (ledger.Entry, []vault.Disclosure, error) {
	limits, err := s.scopes(ctx, permit.ActOpen)
	if err != nil {
		return ledger.Entry{}, nil, err
	}
	if len(limits.all) == 0 {
		return ledger.Entry{}, nil, s.may(ctx, permit.ActOpen)
	}
	entry, fields, err := s.Ledger.Disclose(ctx, seq)
	if err != nil {
		return entry, nil, err
	}
	event := guia.Event{Seq: seq, Header: entry.Leaf.Header}
	for _, d := range fields {
		event.Fields = append(event.Fields, guia.Field{Name: d.Name, Value: d.Value})
	}
	allowed := limits.allow(&event)
	err = s.do(ctx, permit.ActOpen, func(tx *ledger.Tx) error {
		var f guia.Fields
		f.Set("seqs", canon.FormatSeqs([]guia.Seq{seq}))
		t := guia.RecordOpened
		if !allowed {
			t = guia.ActRefused
			f.Set("act.outcome", "refused")
		}
		_, err := tx.Record(t, f)
		return err
	})
	if err == nil && !allowed {
		err = guia.Refuse(guia.Denied, "show.outside", uint64(seq))
	}
	return entry, fields, err
}

// shownField is one field as `guia show --json` prints it.
type shownField struct {
	Name       string `json:"name"`
	Value      string `json:"value,omitempty"`
	Base64     string `json:"base64,omitempty"` // instead of value, where the bytes are no text
	Salt       string `json:"salt,omitempty"`
	Commitment string `json:"commitment"`
	Erased     bool   `json:"erased,omitempty"`
}

func (s *session) show(ctx context.Context, seq guia.Seq) error {
	entry, fields, err := s.open(ctx, seq)
	if err != nil {
		return err
	}
	p, err := s.prove(ctx, entry)
	if err != nil {
		return err
	}
	if s.json {
		return s.showJSON(entry, fields, p)
	}
	s.print(s.bold(s.text("show.event", uint64(seq), string(entry.Leaf.Type))) + "\n\n")
	s.print(indent(strings.TrimSuffix(string(entry.Text), "\n"), "  ") + "\n\n")
	s.print(s.bold(s.text("show.fields")) + "\n")
	var pairs []string
	for _, d := range fields {
		pairs = append(pairs, "  "+d.Name, s.value(d))
	}
	s.pairs(pairs...)
	s.print("\n" + s.bold(s.text("show.proof")) + "\n")
	s.pairs(
		"  "+s.text("show.leaf_hash"), hex.EncodeToString(hashBytes(proof.LeafHash(entry.Text))),
		"  "+s.text("show.hashes"), strconv.Itoa(len(p.leafProof.Hashes)),
		"  "+s.text("show.tree"), fmt.Sprintf("%d  %s", p.checkpoint.Size, p.checkpoint.Root),
		"  "+s.text("show.origin"), p.checkpoint.Origin,
	)
	s.say("show.proven", uint64(seq), p.checkpoint.Size)
	return nil
}

func hashBytes(h proof.Hash) []byte { return h[:] }

// value is a field's value for a terminal: text over several lines, and only the size of what is no text or long.
func (s *session) value(d vault.Disclosure) string {
	switch {
	case d.Forgotten:
		return s.text("show.erased")
	case d.Name == "raw" || !utf8.Valid(d.Value) || len(d.Value) > 16<<10:
		return s.text("show.bytes", s.number(int64(len(d.Value))))
	}
	lines := strings.Split(strings.TrimRight(string(d.Value), "\n"), "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (s *session) showJSON(entry ledger.Entry, fields []vault.Disclosure, p proven) error {
	shown := make([]shownField, len(fields))
	for i, d := range fields {
		f := shownField{Name: d.Name, Commitment: hex.EncodeToString(d.Commitment[:]), Erased: d.Forgotten}
		if !d.Forgotten {
			f.Salt = base64.StdEncoding.EncodeToString(d.Salt[:])
			if utf8.Valid(d.Value) {
				f.Value = string(d.Value)
			} else {
				f.Base64 = base64.StdEncoding.EncodeToString(d.Value)
			}
		}
		shown[i] = f
	}
	hashes := make([]string, len(p.leafProof.Hashes))
	for i, h := range p.leafProof.Hashes {
		hashes[i] = h.String()
	}
	return s.emit(struct {
		Seq        uint64       `json:"seq"`
		Leaf       string       `json:"leaf"`
		LeafHash   string       `json:"leaf_hash"`
		Fields     []shownField `json:"fields"`
		Proof      []string     `json:"proof"`
		Checkpoint string       `json:"checkpoint"`
	}{uint64(entry.Seq), string(entry.Text), proof.LeafHash(entry.Text).String(), shown, hashes, string(p.leafProof.Checkpoint)})
}

// showRaw prints the bytes as they were received, and nothing else.
func (s *session) showRaw(ctx context.Context, seq guia.Seq) error {
	entry, fields, err := s.open(ctx, seq)
	if err != nil {
		return err
	}
	for _, d := range fields {
		switch {
		case d.Name == "raw" && d.Forgotten, d.Name == "raw.file" && d.Forgotten:
			return guia.Refuse(guia.NotFound, "show.raw_erased", uint64(seq))
		case d.Name == "raw":
			s.print(string(d.Value))
			return nil
		case d.Name == "raw.file":
			return s.Vault.OpenFile(ctx, seq, entry.Leaf.Header, entry.Row, d.Name, s.stdout)
		}
	}
	return guia.Refuse(guia.NotFound, "show.no_raw", uint64(seq))
}
