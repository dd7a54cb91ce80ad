package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"guia"
	"guia/durable"
)

// demoMark stands in a folder that `guia demo` made and may remove.
const demoMark = "GUIA-DEMO"

// demo is the whole line on one page: it imports, searches, packs and verifies with the commands that a newcomer would type, and
// shows each with its output.
type demo struct {
	*program
	dir  string // everything the demo makes is in here
	seed uint64
}

func (p *program) demoCommand() *cobra.Command {
	d := &demo{program: p}
	cmd := &cobra.Command{Use: "demo", Args: needs(0, 0), RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) }}
	flags := cmd.Flags()
	flags.StringVar(&d.dir, "out", "guia-demo", "")
	flags.Uint64Var(&d.seed, "seed", 853, "")
	return cmd
}

// run makes the folder anew and goes through the line.
func (d *demo) run(ctx context.Context) error {
	if d.json {
		return guia.Refuse(guia.Invalid, "demo.no_json")
	}
	d.dir = d.abs(d.dir)
	if err := d.clean(); err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	s, err := d.scenario()
	if err != nil {
		return err
	}
	bundle, redacted := filepath.Join(d.dir, "dispute.asice"), filepath.Join(d.dir, "dispute-redacted.asice")
	vkey := filepath.Join(d.dir, "log.vkey")
	steps := []step{{"demo.init", []string{"init"}}}
	for _, args := range s.imports {
		steps = append(steps, step{"demo.import", append([]string{"import"}, args...)})
	}
	for _, q := range s.queries {
		steps = append(steps, step{"demo.search", []string{"search", q, "--limit", "3"}})
	}
	steps = append(steps,
		step{"demo.case", []string{"case", "new", s.name, "--reason", s.reason}},
		step{"demo.add", []string{"case", "add", "1", "--query", s.query}},
		step{"demo.bundle", []string{"bundle", "1", "-o", bundle, "--reason", s.reason}},
		step{"demo.redact", append([]string{"bundle", "1", "-o", redacted}, s.redact...)},
		step{"demo.vkey", []string{"key", "status", "--vkey"}},
		step{"demo.verify", []string{"verify", bundle, "--key", vkey}},
		step{"demo.verify_redacted", []string{"verify", redacted, "--key", vkey}},
	)
	for _, st := range steps {
		if st.key == "demo.verify" {
			if err := d.keep(ctx, vkey); err != nil {
				return err
			}
		}
		if err := d.show(ctx, st); err != nil {
			return err
		}
	}
	if err := d.tamper(ctx, bundle, vkey); err != nil {
		return err
	}
	if err := d.show(ctx, step{"demo.check", []string{"check"}}); err != nil {
		return err
	}
	d.print("\n" + d.text("demo.end", d.dir, bundle, redacted, s.last) + "\n")
	return nil
}

type step struct {
	key  string
	args []string
}

// show prints a command as one would type it, and carries it out.
func (d *demo) show(ctx context.Context, st step) error {
	if code := d.play(ctx, st); code != codeDone {
		return exit(code)
	}
	return nil
}

func (d *demo) play(ctx context.Context, st step) int {
	d.print("\n" + d.bold(d.text(st.key)) + "\n")
	data := []string{"--dir", filepath.Join(d.dir, "data")}
	typed := st.args
	if st.args[0] != "verify" { // which needs no directory
		typed = append(slices.Clone(data), st.args...)
	}
	shown := make([]string, len(typed))
	for i, a := range typed {
		if rel, err := filepath.Rel(d.env.dir, a); err == nil && filepath.IsAbs(a) {
			a = rel
		}
		if strings.ContainsAny(a, " \"'*") {
			a = "'" + a + "'"
		}
		shown[i] = a
	}
	d.print("$ guia " + strings.Join(shown, " ") + "\n")
	e := d.env
	e.args = append(append(data, "--lang", d.language.String()), st.args...)
	return run(ctx, e)
}

// keep writes the verifier key to a file, as somebody would who got it by another way than the bundle.
func (d *demo) keep(ctx context.Context, file string) error {
	var out bytes.Buffer
	e := d.env
	e.stdout, e.args = &out, []string{"--dir", filepath.Join(d.dir, "data"), "key", "status", "--vkey"}
	if code := run(ctx, e); code != codeDone {
		return exit(code)
	}
	return durable.WriteFile(file, out.Bytes(), 0o600)
}

// tamper changes one bit of the bundle and demands that the verifier finds it: the demo fails when it does not.
func (d *demo) tamper(ctx context.Context, bundle, vkey string) error {
	whole, err := os.ReadFile(bundle)
	if err != nil {
		return err
	}
	changed := filepath.Join(d.dir, "dispute-tampered.asice")
	whole[len(whole)/2] ^= 1
	if err := durable.WriteFile(changed, whole, 0o600); err != nil {
		return err
	}
	if code := d.play(ctx, step{"demo.tamper", []string{"verify", changed, "--key", vkey}}); code != codeDamaged {
		return errors.New("the verifier did not find the changed bit")
	}
	d.print(d.text("demo.tamper_found") + "\n")
	return nil
}

// clean removes what an earlier demo made, and nothing else.
func (d *demo) clean() error {
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unreadable", d.dir)
	}
	if _, err := os.Stat(filepath.Join(d.dir, demoMark)); err != nil {
		return guia.Refuse(guia.Conflict, "demo.not_ours", d.dir)
	}
	return os.RemoveAll(d.dir)
}

func (d *demo) begin() error {
	if err := durable.MkdirAll(d.dir, 0o700); err != nil {
		return guia.RefuseCause(guia.Blocked, err, "directory.unwritable", d.dir)
	}
	return durable.WriteFile(filepath.Join(d.dir, demoMark), []byte("made by guia demo; may be removed\n"), 0o600)
}

// scenario is what the demo tells: which files, which questions, what is withheld.
type scenario struct {
	imports [][]string
	queries []string
	query   string // what goes into the case
	name    string
	reason  string
	redact  []string
	last    string // to be tried by hand
}

// scenario prefers real chat where the test data is at hand, and invents a company otherwise.
func (d *demo) scenario() (scenario, error) {
	archive := filepath.Join(d.getenv("GUIA_TESTDATA"), "chat", "zulip-archive-slice.tar.gz")
	if _, err := os.Stat(archive); err == nil && d.getenv("GUIA_TESTDATA") != "" {
		d.print(d.text("demo.real", archive) + "\n")
		return scenario{
			imports: [][]string{{archive, "--mapping", "zulip", "--entity", "Community"}},
			queries: []string{`"loose bvars"`, "naïve OR naive", "induct* -tactic"},
			query:   `"loose bvars"`, name: "Loose bound variables", reason: "demonstration",
			redact: []string{"--redact", "field=sender.*", "--redact", "passage=bvars"},
			last:   "metaprogram*",
		}, nil
	}
	company := newCompany(d.seed)
	dir := filepath.Join(d.dir, "company")
	d.print(d.text("demo.company", company.name, strconv.FormatUint(d.seed, 10)) + "\n")
	if err := company.write(dir); err != nil {
		return scenario{}, err
	}
	return scenario{
		imports: [][]string{
			{filepath.Join(dir, "chat"), "--mapping", filepath.Join(dir, "chat.yaml"), "--entity", company.name},
			{filepath.Join(dir, "accounts.mbox"), "--mailbox", "accounts", "--entity", company.name},
		},
		queries: []string{"佣金", "comissao", company.salesman.name, "commission -draft"},
		query:   "佣金 OR comissão OR commission",
		name:    "Commission of " + company.salesman.name, reason: "labour dispute",
		redact: []string{"--redact", "person=" + company.accountant.name, "--redact", "passage=" + company.figure},
		last:   "OBRIGADO",
	}, nil
}
