package main

import (
	"strings"

	"github.com/spf13/cobra"

	"guia"
)

func (p *program) fieldsCommand() *cobra.Command {
	return &cobra.Command{Use: "fields", Args: needs(0, 0), RunE: func(*cobra.Command, []string) error { return p.fields() }}
}

// fieldKey is the key of the sentence that says what a field holds.
func fieldKey(name string) string { return "field." + strings.ReplaceAll(name, "####", "n") }

// fields lists the registered fields: the words that a mapping and a redaction may use. It needs no data directory.
func (p *program) fields() error {
	var rows [][]string
	for _, f := range guia.Registry {
		meaning := p.text(fieldKey(f.Name))
		if p.json {
			err := p.emit(struct {
				Name    string `json:"name"`
				Slot    string `json:"slot"`
				Meaning string `json:"meaning"`
			}{f.Name, f.Slot.String(), meaning})
			if err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{f.Name, f.Slot.String(), meaning})
	}
	if !p.json {
		p.table([]string{p.text("col.field"), p.text("col.slot"), p.text("col.meaning")}, rows)
	}
	return nil
}
