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
	"guia/directory"
	"guia/durable"
)

// demoMark stands in a folder that `guia demo` made and may remove.
const demoMark = "GUIA-DEMO"

// demo shows Guia at work. First the whole line: it imports, searches, packs and verifies with the commands that a newcomer would type, and
// shows each with the beginning of its output. Then a simulated company goes about its work on DingTalk, and guia serve keeps what it does
// (demo_live.go).
type demo struct {
	*program
	dir      string // everything the demo makes is in here
	seed     uint64
	once     bool
	live     bool
	speed    float64
	troubles []string // kinds of misbehaviour to be shown

	titled string // the title that was printed last
}

func (p *program) demoCommand() *cobra.Command {
	d := &demo{program: p}
	cmd := &cobra.Command{Use: "demo", Args: needs(0, 0), RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) }}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&d.dir, "out", "guia-demo", "")
	flags.Uint64Var(&d.seed, "seed", 853, "")
	flags.BoolVar(&d.once, "once", false, "")
	flags.BoolVar(&d.live, "live", false, "")
	flags.Float64Var(&d.speed, "speed", 1, "")
	flags.StringSliceVar(&d.troubles, "misbehave", nil, "")
	return cmd
}

// run makes the folder anew, goes through the line, and lets the company work: until it is told to stop where a person watches or --live was
// given, else for a short while.
func (d *demo) run(ctx context.Context) error {
	if d.json {
		return guia.Refuse(guia.Invalid, "demo.no_json")
	}
	if !(d.speed > 0 && d.speed <= mostSpeed) {
		return guia.Refuse(guia.Invalid, "demo.speed", mostSpeed)
	}
	for _, kind := range d.troubles {
		if err := refuseWord("--misbehave", kind, troubleNames()...); err != nil {
			return err
		}
	}
	d.once = d.once || !d.live && !d.terminal
	d.dir = d.abs(d.dir)
	d.path = d.data()
	if err := d.clean(ctx); err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	if d.live {
		if err := d.show(ctx, step{"demo.init", []string{"init"}, 1}); err != nil {
			return err
		}
	} else if err := d.line(ctx); err != nil {
		return err
	}
	return d.work(ctx)
}

// line goes through the whole line once.
func (d *demo) line(ctx context.Context) error {
	s, err := d.scenario()
	if err != nil {
		return err
	}
	d.print(d.text("demo.shortened") + "\n")
	bundle, redacted := filepath.Join(d.dir, "dispute.asice"), filepath.Join(d.dir, "dispute-redacted.asice")
	vkey := filepath.Join(d.dir, "log.vkey")
	steps := []step{{"demo.import", []string{"init"}, 1}}
	for _, args := range s.imports {
		steps = append(steps, step{"demo.import", append([]string{"import"}, args...), 1})
	}
	for _, q := range s.queries {
		steps = append(steps, step{"demo.search", []string{"search", q, "--limit", "3"}, 3})
	}
	steps = append(steps,
		step{"demo.case", []string{"case", "new", s.name, "--reason", s.reason}, 1},
		step{"demo.case", []string{"case", "add", "1", "--query", s.query}, 1},
		step{"demo.bundle", []string{"bundle", "1", "-o", bundle, "--reason", s.reason}, 1},
		step{"demo.bundle", append([]string{"bundle", "1", "-o", redacted}, s.redact...), 1},
	)
	for _, st := range steps {
		if err := d.show(ctx, st); err != nil {
			return err
		}
	}
	if err := d.keep(ctx, vkey); err != nil {
		return err
	}
	for _, st := range []step{
		{"demo.verify", []string{"verify", bundle, "--key", vkey}, 1},
		{"demo.verify", []string{"verify", redacted, "--key", vkey}, 1},
	} {
		if err := d.show(ctx, st); err != nil {
			return err
		}
	}
	if err := d.tamper(ctx, bundle, vkey); err != nil {
		return err
	}
	if err := d.show(ctx, step{"demo.check", []string{"check"}, -2}); err != nil {
		return err
	}
	d.print(d.text("demo.end", d.relative(bundle), d.relative(redacted)) + "\n")
	return nil
}

// step is one command that is shown.
type step struct {
	title string
	args  []string
	lines int // of its output that are shown: so many from the beginning, or below zero from the end
}

// show prints a command as one would type it, carries it out, and prints what it said.
func (d *demo) show(ctx context.Context, st step) error {
	if code := d.play(ctx, st); code != codeDone {
		return exit(code)
	}
	return nil
}

func (d *demo) play(ctx context.Context, st step) int {
	d.title(st.title)
	d.print("$ " + d.typed(st.args) + "\n")
	out, errOut, code := d.carryOut(ctx, st.args)
	if code == codeFailed || code == codeWrong {
		d.print(out + errOut)
		return code
	}
	lines := strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
	if st.lines >= 0 {
		lines = lines[:min(len(lines), st.lines)]
	} else {
		lines = lines[max(0, len(lines)+st.lines):]
	}
	for _, line := range lines {
		d.print(line + "\n")
	}
	return code
}

// title says what the next commands are for, once.
func (d *demo) title(key string) {
	if key != d.titled {
		d.print("\n" + d.bold(d.text(key)) + "\n")
	}
	d.titled = key
}

// carryOut carries a command out, and returns all it printed.
func (d *demo) carryOut(ctx context.Context, args []string) (stdout, stderr string, code int) {
	var out, errOut bytes.Buffer
	e := d.env
	e.errTerminal = false // no progress bars
	e.stdout, e.stderr, e.args = &out, &errOut, d.words(args)
	code = run(ctx, e)
	return out.String(), errOut.String(), code
}

// words are those of a command, with what all commands of the demo share.
func (d *demo) words(args []string) []string {
	return slices.Concat([]string{"--dir", d.data(), "--lang", d.language.String()}, args)
}

func (d *demo) data() string { return filepath.Join(d.dir, "data") }

// typed is a command as one would type it.
func (d *demo) typed(args []string) string {
	if args[0] != "verify" { // which needs no directory
		args = slices.Concat([]string{"--dir", d.data()}, args)
	}
	shown := make([]string, len(args)+1)
	shown[0] = "guia"
	if name := d.abs(os.Args[0]); strings.ContainsRune(os.Args[0], filepath.Separator) {
		shown[0] = d.relative(name)
	}
	for i, a := range args {
		if a = d.relative(a); strings.ContainsAny(a, " \"'*") {
			a = "'" + a + "'"
		}
		shown[i+1] = a
	}
	return strings.Join(shown, " ")
}

// relative is a path as one would type it here.
func (d *demo) relative(path string) string {
	if rel, err := filepath.Rel(d.env.dir, path); err == nil && filepath.IsAbs(path) && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

// keep writes the verifier key to a file, as somebody would who got it by another way than the bundle.
func (d *demo) keep(ctx context.Context, file string) error {
	args := []string{"key", "status", "--vkey"}
	d.title("demo.verify")
	d.print("$ " + d.typed(args) + " > " + d.relative(file) + "\n")
	key, said, code := d.carryOut(ctx, args)
	if code != codeDone {
		d.print(said)
		return exit(code)
	}
	return durable.WriteFile(file, []byte(key), 0o600)
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
	if code := d.play(ctx, step{"demo.tamper", []string{"verify", changed, "--key", vkey}, 3}); code != codeDamaged {
		return errors.New("the verifier did not find the changed bit")
	}
	return nil
}

// clean removes what an earlier demo made, and nothing else.
func (d *demo) clean(ctx context.Context) error {
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
	if held, err := directory.Open(ctx, d.data()); errors.Is(err, directory.ErrHeld) {
		return d.refuseHeld(err)
	} else if err == nil {
		_ = held.Close(ctx) // it is about to go
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
}

// scenario prefers real chat where the test data is at hand, and invents a company otherwise.
func (d *demo) scenario() (scenario, error) {
	archive := filepath.Join(d.getenv("GUIA_TESTDATA"), "chat", "zulip-archive-slice.tar.gz")
	if _, err := os.Stat(archive); err == nil && d.getenv("GUIA_TESTDATA") != "" {
		d.print(d.text("demo.real", archive) + "\n")
		return scenario{
			imports: [][]string{{archive, "--mapping", "zulip", "--entity", "Community"}},
			queries: []string{`"loose bvars"`, "naïve OR naive"},
			query:   `"loose bvars"`, name: "Loose bound variables", reason: "demonstration",
			redact: []string{"--redact", "field=sender.*", "--redact", "passage=bvars"},
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
		queries: []string{"佣金", "comissao"},
		query:   "佣金 OR comissão OR commission",
		name:    "Commission of " + company.salesman.name, reason: "labour dispute",
		redact: []string{"--redact", "person=" + company.accountant.name, "--redact", "passage=" + company.figure},
	}, nil
}
