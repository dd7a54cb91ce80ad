package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"guia"
	"guia/durable"
	"guia/lang"
)

// program is one command as somebody typed it.
type program struct {
	env
	language lang.Language
	holder   *holder // the data directory is open in this process for somebody else already: we are a guest
	broken   error   // stdout does not take any more

	path       string // the data directory
	as         string
	reason     string
	json       bool
	quiet      bool
	checks     bool   // the command is check
	reasonSaid string // the key of the reason that was said last
	stopped    string // the key of what is said when it is interrupted; empty when what it stored stays stored
}

// The exit codes.
const (
	codeDone = iota
	codeFailed
	codeWrong
	codeDamaged
)

// codeLater is what a process that holds the data directory answers a guest that must wait until it has ended; no command exits with it.
const codeLater = 255

func init() { cobra.EnableCommandSorting = false } // help lists commands in the order in which a newcomer meets them

// run carries out one command and returns its exit code.
func run(ctx context.Context, e env) int { return newProgram(e).execute(ctx) }

func newProgram(e env) *program {
	p := &program{env: e, language: lang.FromEnvironment(e.getenv)}
	// The language and the form of errors are needed before the words can be understood.
	for i, arg := range e.args {
		value, is := strings.CutPrefix(arg, "--lang=")
		if !is && arg == "--lang" && i+1 < len(e.args) {
			value, is = e.args[i+1], true
		}
		if l, ok := lang.Parse(value); is && ok {
			p.language = l
		}
		p.json = p.json || arg == "--json"
	}
	return p
}

func (p *program) execute(ctx context.Context) int {
	root := p.tree()
	root.SetArgs(p.args)
	err := root.ExecuteContext(ctx)
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	if err == nil {
		err = p.broken
	}
	if err == nil {
		return codeDone
	}
	return p.report(ctx, err)
}

// report prints an error for people, or for programs, and returns its code.
func (p *program) report(ctx context.Context, err error) int {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) && p.broken != nil {
		return codeFailed // whoever read our output has gone: nobody to tell
	}
	s, code := p.describe(ctx, err)
	if p.json {
		// Errors in writing an error have nowhere to go.
		_ = (&program{env: env{stdout: p.stderr}}).emit(map[string]said{"error": s})
		return code
	}
	text := s.String()
	if advised[s.Key] {
		do := "cmd.damaged"
		if p.checks {
			do = "cmd.damaged_check"
		}
		text += "\n" + p.text(do)
	}
	_, _ = io.WriteString(p.stderr, "guia: "+text+"\n")
	return code
}

// advised are the sentences about damage that say what is damaged and leave it to who shows them what to do about it: check names the same
// things, and must not send anybody to check.
var advised = map[string]bool{
	"db.corrupt": true, "db.packed_damaged": true, "ledger.head_differs": true, "ledger.entries_missing": true, "ledger.row_missing": true,
	"ledger.leaf_damaged": true, "ledger.tile_damaged": true,
}

// said is an error as --json prints it.
type said struct {
	Kind    string `json:"kind"`
	Key     string `json:"key"`
	Message string `json:"message"`
	Cause   string `json:"cause,omitempty"` // for whoever runs the machine; in no particular language
}

// String is the error for people.
func (s said) String() string {
	if s.Cause == "" {
		return s.Message
	}
	return s.Message + "\n(" + s.Cause + ")"
}

// describe puts an error into words and returns the exit code that belongs to it.
func (p *program) describe(ctx context.Context, err error) (s said, code int) {
	code = codeFailed
	refusal, ok := errors.AsType[*guia.Refusal](err)
	switch {
	case ok && !(interrupted(ctx, err) && refusal.Kind != guia.Damaged):
		s = said{Kind: refusal.Kind.String(), Key: refusal.Key, Message: p.text(refusal.Key, refusal.Args...)}
		switch refusal.Kind {
		case guia.Invalid:
			code = codeWrong
		case guia.Damaged:
			code = codeDamaged
		default:
			code = codeFailed
		}
		if refusal.Cause != nil && refusal.Kind != guia.Invalid {
			s.Cause = refusal.Cause.Error()
		}
	case interrupted(ctx, err):
		key := cmp.Or(p.stopped, "cmd.interrupted")
		s = said{Kind: "interrupted", Key: key, Message: p.text(key)}
	case durable.IsFull(err):
		s = said{Kind: guia.Blocked.String(), Key: "db.full", Message: p.text("db.full"), Cause: err.Error()}
	default:
		s = said{Kind: "failed", Key: "cmd.failed", Message: p.text("cmd.failed", err.Error())}
	}
	return s, code
}

// interrupted reports whether the command ended because it was told to.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// tree builds the commands with their words in the user's language.
func (p *program) tree() *cobra.Command {
	root := &cobra.Command{
		Use: "guia", SilenceErrors: true, SilenceUsage: true, Args: cobra.ArbitraryArgs,
		RunE: p.group, CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVar(&p.path, "dir", "", "")
	flags.StringVar(&p.as, "as", "", "")
	flags.StringVar(&p.reason, "reason", "", "")
	flags.BoolVar(&p.json, "json", p.json, "")
	flags.BoolVarP(&p.quiet, "quiet", "q", false, "")
	flags.String("lang", "", "")
	flags.BoolP("help", "h", false, "")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return p.settle(cmd) }
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(p.flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _ = p.help(cmd) }) // what cannot be written has nobody to read it
	root.SetUsageFunc(p.help)
	root.AddCommand(p.commands()...)
	help := p.helpCommand(root)
	root.SetHelpCommand(help)
	root.AddCommand(help)
	p.word(root)
	return root
}

// commands are all commands in the order in which a newcomer meets them.
func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.initCommand(), p.importCommand(), p.sourceCommand(), p.serveCommand(), p.searchCommand(), p.logCommand(), p.showCommand(), p.caseCommand(), p.bundleCommand(),
		p.verifyCommand(), p.peopleCommand(), p.anchorCommand(), p.tilesCommand(), p.checkCommand(), p.backupCommand(), p.restoreCommand(), p.keyCommand(),
		p.userCommand(), p.fieldsCommand(), p.indexCommand(), p.doctorCommand(), p.versionCommand(), p.demoCommand(),
	}
}

// settle reads what the flags for all commands say.
func (p *program) settle(cmd *cobra.Command) error {
	if name, err := cmd.Flags().GetString("lang"); err == nil && name != "" {
		if _, ok := lang.Parse(name); !ok {
			return guia.Refuse(guia.Invalid, "cmd.lang", name)
		}
	}
	if name := p.getenv("GUIA_LANG"); name != "" && p.holder == nil { // a guest has said so where the command was typed
		if _, ok := lang.Parse(name); !ok {
			p.note("cmd.lang", "GUIA_LANG="+name)
		}
	}
	if p.path == "" {
		p.path = p.defaultDirectory()
	}
	p.path = p.abs(p.path)
	if len(p.reason) > 4096 {
		return guia.Refuse(guia.Invalid, "cmd.reason_long", 4096)
	}
	return nil
}

// keyOf is the middle of a command's keys in lang: "case add" is case_add, the root is guia.
func keyOf(cmd *cobra.Command) string {
	path := strings.Fields(cmd.CommandPath())
	if len(path) > 1 {
		path = path[1:]
	}
	return strings.ReplaceAll(strings.Join(path, "_"), "-", "_")
}

// places are the words that say what a command takes: FILE, CASE.
var places = regexp.MustCompile(`[A-Z]{2,}`)

// word gives every command and flag its sentences, and what it takes a name.
func (p *program) word(cmd *cobra.Command) {
	cmd.Use = places.ReplaceAllStringFunc(cmd.Use, func(place string) string { return p.text("place." + strings.ToLower(place)) })
	key := "cmd." + keyOf(cmd)
	cmd.Short = p.text(key + ".short")
	cmd.Long = p.text(key + ".long")
	cmd.Example = p.text(key + ".example")
	cmd.DisableFlagsInUseLine = true
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Usage = p.text(flagKey(cmd, f.Name)) })
	for _, sub := range cmd.Commands() {
		p.word(sub)
	}
}

// flagKey is the key of a flag's sentence: its own for this command where there is one, else that of all flags of its name.
func flagKey(cmd *cobra.Command, name string) string {
	name = strings.ReplaceAll(name, "-", "_")
	if own := "flag." + keyOf(cmd) + "." + name; lang.Has(own) {
		return own
	}
	return "flag." + name
}

// group is what a command does that only has commands below it: without words it shows them, with wrong ones it suggests.
func (p *program) group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return p.help(cmd)
	}
	for cmd.SuggestionsMinimumDistance = 1; cmd.SuggestionsMinimumDistance <= 2; cmd.SuggestionsMinimumDistance++ { // the nearest first
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return guia.Refuse(guia.Invalid, "cmd.unknown_near", args[0], cmd.CommandPath()+" "+near[0])
		}
	}
	return guia.Refuse(guia.Invalid, "cmd.unknown", args[0], cmd.CommandPath())
}

// needs refuses a command with fewer or more words than it takes. most of -1 is any number.
func needs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return guia.Refuse(guia.Invalid, "cmd.too_few", cmd.UseLine(), cmd.CommandPath())
		case most >= 0 && len(args) > most:
			return guia.Refuse(guia.Invalid, "cmd.too_many", args[most], cmd.UseLine(), cmd.CommandPath())
		}
		return nil
	}
}

// flagError turns what pflag says into our words.
func (p *program) flagError(cmd *cobra.Command, err error) error {
	path := cmd.CommandPath()
	typed := func(name, short string) string {
		if len(name) > 1 || short == "" {
			return "--" + name
		}
		return "-" + name
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return guia.RefuseCause(guia.Invalid, err, "cmd.flag_unknown", typed(e.GetSpecifiedName(), e.GetSpecifiedShortnames()), path)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return guia.RefuseCause(guia.Invalid, err, "cmd.flag_value", typed(e.GetSpecifiedName(), e.GetSpecifiedShortnames()), path)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return guia.RefuseCause(guia.Invalid, err, "cmd.flag_invalid", e.GetValue(), e.GetFlag().Name, path)
	}
	return guia.RefuseCause(guia.Invalid, err, "cmd.flag_syntax", err.Error(), path)
}
