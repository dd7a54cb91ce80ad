package main

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/evidence/verify"
)

func (p *program) verifyCommand() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{Use: "verify BUNDLE", Args: needs(1, 1)}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var vkeys []string
		for _, key := range keys {
			read, err := p.verifierKeys(key)
			if err != nil {
				return err
			}
			vkeys = append(vkeys, read...)
		}
		trust, err := verify.TrustKeys(vkeys...)
		if err != nil {
			return guia.RefuseCause(guia.Invalid, err, "verify_cmd.key", strings.Join(keys, ", "))
		}
		return p.verify(p.abs(args[0]), trust)
	}
	return cmd
}

// verifierKeys are the keys that a flag names: keys as they were printed, or those in a file.
func (p *program) verifierKeys(s string) ([]string, error) {
	if keys, ok := verify.KeysIn(s); ok {
		return keys, nil
	}
	text, err := readSmall(p.abs(s))
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, err, "verify_cmd.key", s)
	}
	keys, ok := verify.KeysIn(string(text))
	if !ok {
		return nil, guia.Refuse(guia.Invalid, "verify_cmd.key", s)
	}
	return keys, nil
}

// mostSmall is the largest key or checkpoint file that is read.
const mostSmall = 256 << 10

// readSmall reads a file that people hand over: a key, a checkpoint.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, err, "import.unreadable", path, reasonOf(err))
	}
	defer f.Close() // only read
	text, err := io.ReadAll(io.LimitReader(f, mostSmall+1))
	if err != nil {
		return nil, guia.RefuseCause(guia.Invalid, err, "import.unreadable", path, reasonOf(err))
	}
	if len(text) > mostSmall {
		return nil, guia.Refuse(guia.Invalid, "cmd.file_large", path, mostSmall>>10)
	}
	return text, nil
}

// verify checks a bundle: 0 proven, 1 not proven because no key vouches for it, it is no bundle or it cannot be read, 3 damage.
func (p *program) verify(path string, trust verify.Trust) error {
	f, err := os.Open(path)
	if err != nil {
		return guia.RefuseCause(guia.Invalid, err, "import.unreadable", path, reasonOf(err))
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return guia.RefuseCause(guia.Invalid, err, "import.unreadable", path, reasonOf(err))
	}
	if !info.Mode().IsRegular() {
		return guia.Refuse(guia.Invalid, "cmd.no_file", path)
	}
	g := p.begin("verify_cmd.progress", true)
	report := verify.Verify(f, info.Size(), trust, verify.Limits{Progress: func(done, of int64) { g.at(done, of, "") }})
	g.end()
	words := report.Words()
	switch {
	case p.json:
		if err := p.emit(report); err != nil {
			return err
		}
	case p.quiet:
		p.print(plain(path) + ": " + plain(words[0].Heading.In(p.text)) + "\n")
	default:
		for i, paragraph := range words {
			if i > 0 {
				p.print("\n")
			}
			p.print(p.bold(plain(paragraph.Heading.In(p.text))) + "\n")
			for _, line := range paragraph.Lines {
				p.print("  " + plain(line.In(p.text)) + "\n") // what stands in a bundle is foreign text
			}
		}
	}
	switch report.Verdict {
	case verify.Proven:
		return nil
	case verify.Damaged:
		return exit(codeDamaged)
	case verify.Unproven, verify.Unreadable, verify.NoBundle:
	}
	return exit(codeFailed)
}
