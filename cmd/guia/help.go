package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"guia"
)

// topics are pages of `guia help` that are not about one command.
var topics = []string{"start", "accounts", "exit-codes", "json", "directory", "times", "mapping", "languages"}

func topicKey(topic string) string { return "help." + strings.ReplaceAll(topic, "-", "_") }

func (p *program) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "help [COMMAND|TOPIC]", Args: cobra.ArbitraryArgs, RunE: func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			for _, topic := range topics {
				if args[0] == topic && p.json {
					return p.emit(map[string]string{"topic": topic, "text": p.text(topicKey(topic) + ".long")})
				}
				if args[0] == topic {
					p.print(p.text(topicKey(topic)+".long") + "\n")
					return nil
				}
			}
		}
		cmd, rest, err := root.Find(args)
		if err != nil || cmd == nil || len(rest) > 0 && cmd == root {
			return p.group(root, args)
		}
		if len(rest) > 0 && cmd.HasAvailableSubCommands() {
			return p.group(cmd, rest)
		}
		if len(rest) > 0 {
			return guia.Refuse(guia.Invalid, "cmd.too_many", rest[0], cmd.UseLine(), cmd.CommandPath())
		}
		return p.help(cmd)
	}}
}

// help prints the page of one command.
func (p *program) help(cmd *cobra.Command) error {
	if p.json {
		return p.emit(p.pageOf(cmd))
	}
	var b strings.Builder
	section := func(key string) { b.WriteString("\n" + p.bold(p.text(key)) + "\n") }
	b.WriteString(cmd.Long + "\n")
	section("help.usage")
	b.WriteString("  " + p.usage(cmd) + "\n")
	if cmd.Example != "" {
		section("help.examples")
		b.WriteString(indent(cmd.Example, "  ") + "\n")
	}
	var rows [][2]string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			rows = append(rows, [2]string{sub.Name(), sub.Short})
		}
	}
	if len(rows) > 0 {
		section("help.commands")
		p.list(&b, rows)
	}
	if !cmd.HasParent() {
		section("help.topics")
		rows = nil
		for _, topic := range topics {
			rows = append(rows, [2]string{topic, p.text(topicKey(topic) + ".short")})
		}
		p.list(&b, rows)
	}
	p.flags(&b, "help.flags", cmd.NonInheritedFlags())
	p.flags(&b, "help.global_flags", cmd.InheritedFlags())
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n" + p.text("help.more", cmd.CommandPath()) + "\n")
	}
	p.print(b.String())
	return nil
}

// usage is how a command is typed.
func (p *program) usage(cmd *cobra.Command) string {
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
		return cmd.UseLine()
	}
	return cmd.CommandPath() + " " + p.text("place.command")
}

// page is the help of one command as --json prints it.
type page struct {
	Command  string     `json:"command"`
	Short    string     `json:"short"`
	Long     string     `json:"long"`
	Usage    string     `json:"usage"`
	Examples []string   `json:"examples"`
	Commands []page     `json:"commands,omitempty"`
	Topics   []string   `json:"topics,omitempty"`
	Flags    []flagLine `json:"flags,omitempty"`
}

type flagLine struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"` // what it takes
	Usage   string `json:"usage"`
	Default string `json:"default,omitempty"`
}

// pageOf describes a command, the commands below it briefly.
func (p *program) pageOf(cmd *cobra.Command) page {
	described := page{Command: cmd.CommandPath(), Short: cmd.Short, Long: cmd.Long, Usage: p.usage(cmd), Examples: []string{}}
	if cmd.Example != "" {
		described.Examples = strings.Split(cmd.Example, "\n")
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			described.Commands = append(described.Commands, page{Command: sub.CommandPath(), Short: sub.Short, Long: sub.Long, Usage: p.usage(sub), Examples: []string{}})
		}
	}
	if !cmd.HasParent() {
		described.Topics = topics
	}
	for _, set := range []*pflag.FlagSet{cmd.NonInheritedFlags(), cmd.InheritedFlags()} {
		set.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				value, usage := pflag.UnquoteUsage(f)
				if f.Value.Type() == "bool" {
					value = ""
				}
				described.Flags = append(described.Flags, flagLine{f.Name, value, usage, defaultOf(f)})
			}
		})
	}
	return described
}

func indent(s, by string) string { return by + strings.ReplaceAll(s, "\n", "\n"+by) }

// flags lists the flags that are not hidden.
func (p *program) flags(b *strings.Builder, head string, set *pflag.FlagSet) {
	var rows [][2]string
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		if value != "" && f.Value.Type() != "bool" {
			name += " " + value
		}
		if usual := defaultOf(f); usual != "" {
			usage += fmt.Sprintf(" (%s)", p.text("help.default", usual))
		}
		rows = append(rows, [2]string{name, usage})
	})
	if len(rows) > 0 {
		b.WriteString("\n" + p.bold(p.text(head)) + "\n")
		p.list(b, rows)
	}
}

// defaultOf is what a flag is without being given, where that is anything.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "false", "[]", "0":
		return ""
	}
	return f.DefValue
}

// list writes names and sentences in two columns; sentences are wrapped where the width is known.
func (p *program) list(b *strings.Builder, rows [][2]string) {
	most := 0
	for _, r := range rows {
		most = max(most, columns(r[0]))
	}
	width := p.width
	if !p.terminal || width < 60 {
		width = 100
	}
	for _, r := range rows {
		lead := "  " + r[0] + strings.Repeat(" ", most-columns(r[0])+2)
		for i, line := range wrap(r[1], width-most-4) {
			if i > 0 {
				lead = strings.Repeat(" ", most+4)
			}
			b.WriteString(lead + line + "\n")
		}
	}
}

// wrap breaks a text into lines of at most n columns: between words, and anywhere between wide characters.
func wrap(s string, n int) []string {
	n = max(n, 24)
	var lines []string
	line, used, space := "", 0, -1 // space: length of line up to its last blank
	for _, r := range s {
		w := runeColumns(r)
		if used+w > n && line != "" {
			rest := ""
			if w < 2 && r != ' ' && space > 0 {
				line, rest = line[:space], strings.TrimPrefix(line[space:], " ")
			}
			lines = append(lines, strings.TrimRight(line, " "))
			line, used, space = rest, columns(rest), -1
			if r == ' ' {
				continue
			}
		}
		if r == ' ' {
			space = len(line)
		}
		line += string(r)
		used += w
	}
	return append(lines, line)
}

// refuseWord refuses a value of a flag that is none of the known words.
func refuseWord(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return guia.Refuse(guia.Invalid, "cmd.word", value, flag, strings.Join(known, ", "))
}
