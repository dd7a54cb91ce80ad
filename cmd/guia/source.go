package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"guia"
	"guia/intake"
	"guia/permit"
	"guia/source/dingtalk"
)

func (p *program) sourceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "source", Args: cobra.ArbitraryArgs, RunE: p.group}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Args: needs(0, 0), RunE: p.looking(func(ctx context.Context, s *session) error { return s.listSources(ctx) })},
		p.sourceAddCommand(), p.sourcePlanCommand(),
		&cobra.Command{Use: "matrix", Args: needs(0, 0), RunE: func(*cobra.Command, []string) error { return p.matrix() }},
		p.sourceProbeCommand(), p.sourceFeedCommand(), p.sourcePullCommand(), p.sourceStatusCommand(), p.sourceCoverageCommand(), p.sourceRemoveCommand(),
	)
	return cmd
}

// tenantSettings are the settings of a connection to DingTalk that stand in the ledger.
type tenantSettings struct {
	Corp    string `json:"corp"`
	AppKey  string `json:"app_key"`
	Edition string `json:"edition"`
	Agent   int64  `json:"agent,omitempty"`
	Robot   string `json:"robot,omitempty"`
	API     string `json:"api,omitempty"`
	OAPI    string `json:"oapi,omitempty"`
	Push    string `json:"push,omitempty"` // how what DingTalk pushes reaches us: pushStream, pushCallback, pushOff; empty: see [pushOf]
}

// How what DingTalk pushes reaches us.
const (
	pushStream   = "stream"
	pushCallback = "callback"
	pushOff      = "off"
)

// tenantSecret is what stands in the key database only.
type tenantSecret struct {
	Secret        string `json:"secret,omitempty"`
	Operator      string `json:"operator,omitempty"`
	OperatorUnion string `json:"operator_union,omitempty"`
	Token         string `json:"token,omitempty"` // of posts to our address
	Key           string `json:"key,omitempty"`   // likewise
}

// mostSecret is the longest application secret.
const mostSecret = 4096

func (p *program) sourceAddCommand() *cobra.Command {
	var set tenantSettings
	var secret tenantSecret
	var name, entity, file, posts string
	cmd := &cobra.Command{Use: "add KIND", Args: needs(1, 1)}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&name, "name", string(dingtalk.Name), "")
	f.StringVar(&set.Corp, "corp", "", "")
	f.StringVar(&set.AppKey, "app-key", "", "")
	f.StringVar(&file, "secret-file", "", "")
	f.StringVar(&set.Edition, "edition", "", "")
	f.StringVar(&entity, "entity", "", "")
	f.StringVar(&secret.Operator, "operator", "", "")
	f.StringVar(&secret.OperatorUnion, "operator-union", "", "")
	f.Int64Var(&set.Agent, "agent", 0, "")
	f.StringVar(&set.Robot, "robot", "", "")
	f.StringVar(&set.API, "api", "", "")
	f.StringVar(&set.OAPI, "oapi", "", "")
	f.StringVar(&set.Push, "push", "", "")
	f.StringVar(&posts, "callback-file", "", "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseWord(p.text("place.kind"), args[0], string(dingtalk.Name)); err != nil {
			return err
		}
		if set.Edition != "" {
			if _, err := parseEdition(set.Edition); err != nil {
				return err
			}
		}
		if set.Push != "" {
			if err := refuseWord("--push", set.Push, pushStream, pushCallback, pushOff); err != nil {
				return err
			}
		}
		if p.holder == nil { // secrets travel with the command, never among its words
			var err error
			if p.input, err = p.readSecrets(file, posts); err != nil {
				return err
			}
		}
		if len(p.input) > 0 && json.Unmarshal(p.input, &secret) != nil { // operators stay as the words have them
			return guia.Refuse(guia.Invalid, "source.secret_none", "-")
		}
		return p.inside(func(ctx context.Context, s *session) error { return s.addTenant(ctx, name, entity, set, secret) })(cmd, args)
	}
	return cmd
}

func parseEdition(s string) (dingtalk.Edition, error) {
	if err := refuseWord("--edition", s, dingtalk.Standard.String(), dingtalk.Professional.String(), dingtalk.Exclusive.String()); err != nil {
		return 0, err
	}
	e, _ := dingtalk.ParseEdition(s)
	return e, nil
}

// readSecrets reads the application's secret, and token and key for posts; of files that are not named, nothing.
func (p *program) readSecrets(file, posts string) ([]byte, error) {
	var told tenantSecret
	if file != "" {
		b, err := p.readSecret(file)
		if err != nil {
			return nil, err
		}
		told.Secret = string(b)
	}
	if posts != "" {
		b, err := p.readSecret(posts)
		if err != nil {
			return nil, err
		}
		words := strings.Fields(string(b))
		if len(words) != 2 {
			return nil, guia.Refuse(guia.Invalid, "dingtalk.stream_callback")
		}
		told.Token, told.Key = words[0], words[1]
	}
	return json.Marshal(told)
}

// readSecret reads a secret from a file, or from the standard input for "-".
func (p *program) readSecret(file string) ([]byte, error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(p.abs(file))
		if err != nil {
			return nil, guia.RefuseCause(guia.Invalid, err, "import.unreadable", file, reasonOf(err))
		}
		defer f.Close() // only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, mostSecret+1))
	text := strings.TrimSpace(string(b))
	if err != nil || text == "" || len(b) > mostSecret {
		return nil, guia.RefuseCause(guia.Invalid, err, "source.secret_none", file)
	}
	return []byte(text), nil
}

// addTenant connects a tenant, or changes what is told of one: what is not told stays.
func (s *session) addTenant(ctx context.Context, name, entity string, set tenantSettings, secret tenantSecret) error {
	before, err := s.Intake.Connection(ctx, name)
	known := err == nil
	if err != nil && guia.KindOf(err) != guia.NotFound {
		return err
	}
	if known {
		old, oldSecret, err := s.tenant(ctx, &before)
		if err != nil {
			return err
		}
		entity = keptOr(entity, before.Entity)
		set = tenantSettings{
			keptOr(set.Corp, old.Corp), keptOr(set.AppKey, old.AppKey), keptOr(set.Edition, old.Edition), keptOr(set.Agent, old.Agent),
			keptOr(set.Robot, old.Robot), keptOr(set.API, old.API), keptOr(set.OAPI, old.OAPI), keptOr(set.Push, old.Push),
		}
		secret = tenantSecret{
			keptOr(secret.Secret, oldSecret.Secret), keptOr(secret.Operator, oldSecret.Operator), keptOr(secret.OperatorUnion, oldSecret.OperatorUnion),
			keptOr(secret.Token, oldSecret.Token), keptOr(secret.Key, oldSecret.Key),
		}
	}
	if err := s.askFor(&set, &secret); err != nil {
		return err
	}
	if err := s.refuseSecond(ctx, name, set.Corp); err != nil {
		return err
	}
	set.Edition = keptOr(set.Edition, dingtalk.Standard.String())
	client, err := dingtalk.New(config(&set, &secret)) // checks, and calls nothing
	if err != nil {
		return err
	}
	client.Close()
	settings, err := json.Marshal(set)
	if err != nil {
		return err
	}
	hidden, err := json.Marshal(secret)
	if err != nil {
		return err
	}
	c := intake.Connection{Name: name, Source: dingtalk.Name, Entity: entity, Settings: settings}
	if err := s.Intake.Connect(ctx, s.actor, s.Keys, c, hidden); err != nil {
		return err
	}
	if s.json {
		c.Feeds = before.Feeds
		return s.emit(lineOfSource(&c, &set))
	}
	if known {
		s.say("source.changed", name)
		return nil
	}
	s.say("source.added", name)
	s.say("source.next", name)
	return nil
}

// refuseSecond refuses a second connection to an organisation: cursors and the mark of what was received go by the organisation, so each
// would take for read what only the other one has seen.
func (s *session) refuseSecond(ctx context.Context, name, corp string) error {
	all, err := s.Intake.Connections(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Source != dingtalk.Name || c.Name == name {
			continue
		}
		set, _, err := s.tenant(ctx, &c)
		if err != nil {
			return err
		}
		if set.Corp == corp {
			return guia.Refuse(guia.Conflict, "source.corp_known", corp, c.Name)
		}
	}
	return nil
}

// keptOr is what was told, else what was known.
func keptOr[T comparable](told, known T) T {
	var nothing T
	if told == nothing {
		return known
	}
	return told
}

// askFor asks whoever sits at the terminal for what is missing; where nobody does, it says what to give.
func (s *session) askFor(set *tenantSettings, secret *tenantSecret) error {
	person := s.program.holder == nil && s.terminal && term.IsTerminal(int(os.Stdin.Fd()))
	var missing []string
	for _, q := range []struct {
		flag string
		into *string
	}{{"--corp", &set.Corp}, {"--app-key", &set.AppKey}, {"--secret-file", &secret.Secret}, {"--operator", &secret.Operator}, {"--operator-union", &secret.OperatorUnion}} {
		needed := !strings.HasPrefix(q.flag, "--operator")
		switch {
		case *q.into != "":
			continue
		case !person && needed:
			missing = append(missing, q.flag)
			continue
		case !person:
			continue
		}
		fmt.Fprint(s.stderr, s.text("source.ask."+strings.TrimPrefix(q.flag, "--"))+": ")
		if q.flag == "--secret-file" {
			b, err := term.ReadPassword(int(os.Stdin.Fd())) // it is not shown
			fmt.Fprintln(s.stderr)
			if err != nil {
				return err
			}
			*q.into = strings.TrimSpace(string(b))
			continue
		}
		line, err := readLine(os.Stdin)
		if err != nil {
			return err
		}
		*q.into = line
	}
	if len(missing) > 0 {
		return guia.Refuse(guia.Invalid, "source.missing", strings.Join(missing, ", "))
	}
	return nil
}

// readLine reads one line byte by byte: what stands behind it is for the next question.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < mostSecret {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' || err == io.EOF && len(line) > 0 {
			break
		}
		if err != nil {
			return "", err
		}
		line = append(line, one[:n]...)
	}
	return strings.TrimSpace(string(line)), nil
}

// tenant reads the settings and the secret of a connection.
func (s *session) tenant(ctx context.Context, c *intake.Connection) (set tenantSettings, secret tenantSecret, err error) {
	if c.Source != dingtalk.Name {
		return set, secret, guia.Refuse(guia.Invalid, "source.kind", c.Name, string(c.Source))
	}
	hidden, err := s.Intake.Secret(ctx, s.Keys, c.Name)
	if err == nil && hidden != nil {
		err = json.Unmarshal(hidden, &secret)
	}
	if err == nil {
		err = json.Unmarshal(c.Settings, &set)
	}
	if _, ours := errors.AsType[*json.SyntaxError](err); ours {
		err = guia.Refuse(guia.Damaged, "check.state_differs", "intake_connection") // its text would be the secret's
	}
	return set, secret, err
}

func config(set *tenantSettings, secret *tenantSecret) dingtalk.Config {
	edition, _ := dingtalk.ParseEdition(set.Edition) // it was checked when it was told
	return dingtalk.Config{
		Edition: edition,
		CorpID:  set.Corp, AppKey: set.AppKey, AppSecret: dingtalk.Secret(secret.Secret), API: set.API, OAPI: set.OAPI,
		AgentID: set.Agent, RobotCode: set.Robot, Operator: secret.Operator, OperatorUnion: secret.OperatorUnion,
	}
}

// only returns the connection of a name, or, without one, the only one there is.
func (s *session) only(ctx context.Context, name string) (intake.Connection, error) {
	if name != "" {
		return s.Intake.Connection(ctx, name)
	}
	all, err := s.Intake.Connections(ctx)
	if err != nil {
		return intake.Connection{}, err
	}
	if len(all) != 1 {
		var names []string
		for _, c := range all {
			names = append(names, c.Name)
		}
		return intake.Connection{}, guia.Refuse(guia.Invalid, "source.which", strings.Join(names, ", "))
	}
	return all[0], nil
}

// sourceLine is a connection as --json prints it. Its secret and who acts there are shown to nobody.
type sourceLine struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Entity string `json:"entity,omitempty"`
	tenantSettings
	Feeds []feedLine `json:"feeds"`
}

func lineOfSource(c *intake.Connection, set *tenantSettings) sourceLine {
	line := sourceLine{Name: c.Name, Source: string(c.Source), Entity: c.Entity, tenantSettings: *set, Feeds: []feedLine{}}
	for _, f := range c.Feeds {
		line.Feeds = append(line.Feeds, feedLine{Source: c.Name, Feed: f.Name, On: true, Purpose: f.Purpose, Ground: f.Ground, Class: f.Class})
	}
	return line
}

func (s *session) listSources(ctx context.Context) error {
	if err := s.may(ctx, permit.ActBrowse); err != nil {
		return err
	}
	all, err := s.Intake.Connections(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for i := range all {
		c := &all[i]
		var set tenantSettings
		if err := json.Unmarshal(c.Settings, &set); err != nil {
			return err
		}
		if s.json {
			if err := s.emit(lineOfSource(c, &set)); err != nil {
				return err
			}
		}
		var on []string
		for _, f := range c.Feeds {
			on = append(on, f.Name)
		}
		rows = append(rows, []string{c.Name, string(c.Source), set.Edition, c.Entity, strings.Join(on, ", ")})
	}
	switch {
	case s.json:
	case len(rows) == 0:
		s.say("source.none")
	default:
		s.table([]string{s.text("col.name"), s.text("col.source"), s.text("col.edition"), s.text("col.entity"), s.text("col.feeds_on")}, rows)
	}
	return nil
}

func (p *program) sourceRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "remove NAME", Args: needs(1, 1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.inside(func(ctx context.Context, s *session) error {
			if err := s.Intake.Disconnect(ctx, s.actor, s.Keys, args[0]); err != nil {
				return err
			}
			if s.json {
				return s.emit(struct {
					Name    string `json:"name"`
					Removed bool   `json:"removed"`
				}{args[0], true})
			}
			s.say("source.removed", args[0])
			return nil
		})(cmd, args)
	}
	return cmd
}

// feedLine is a feed as --json prints it.
type feedLine struct {
	Source  string `json:"source"`
	Feed    string `json:"feed"`
	On      bool   `json:"on"`
	Purpose string `json:"purpose,omitempty"`
	Ground  string `json:"ground,omitempty"`
	Class   string `json:"class,omitempty"`
}

func (p *program) sourceFeedCommand() *cobra.Command {
	var feed intake.EnabledFeed
	var off bool
	cmd := &cobra.Command{Use: "feed NAME [FEED]", Args: needs(1, 2)}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&feed.Purpose, "purpose", "", "")
	f.StringVar(&feed.Ground, "ground", "", "")
	f.StringVar(&feed.Class, "class", "", "")
	f.BoolVar(&off, "off", false, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return p.looking(func(ctx context.Context, s *session) error { return s.listFeeds(ctx, args[0]) })(cmd, args)
		}
		feed.Name = args[1]
		if err := refuseWord(p.text("place.feed"), feed.Name, allFeeds()...); err != nil {
			return err
		}
		return p.inside(func(ctx context.Context, s *session) error {
			if off {
				feed.Purpose, feed.Ground, feed.Class = "", "", ""
				if err := s.Intake.DisableFeed(ctx, s.actor, args[0], feed.Name); err != nil {
					return err
				}
			} else if err := s.Intake.EnableFeed(ctx, s.actor, args[0], feed); err != nil {
				if guia.KindOf(err) == guia.Invalid { // with a proposal
					s.note("source.propose", feed.Name, s.text("source.feed."+feed.Name+".purpose"), s.text("source.feed."+feed.Name+".ground"), feedClass[feed.Name])
				}
				return err
			}
			if s.json {
				return s.emit(feedLine{args[0], feed.Name, !off, feed.Purpose, feed.Ground, feed.Class})
			}
			if off {
				s.say("source.feed_off", feed.Name, args[0])
			} else {
				s.say("source.feed_on", feed.Name, args[0])
			}
			return nil
		})(cmd, args)
	}
	return cmd
}

// feedClass is the retention class that is proposed for each feed.
var feedClass = map[string]string{
	"directory": "staff", "reads": "notices", "notices": "notices", "filelog": "files", "attendance": "attendance", "meetings": "meetings",
	"drive": "files", "roster": "staff", dingtalk.FeedConversations: "messages", dingtalk.FeedEvents: "events",
}

// allFeeds are the feeds that can be turned on: those that are pulled, then those that are pushed only.
func allFeeds() []string {
	return append(dingtalk.Feeds(), dingtalk.FeedConversations, dingtalk.FeedEvents)
}

// listFeeds shows what is on and why, and proposes the least for what is off.
func (s *session) listFeeds(ctx context.Context, name string) error {
	if err := s.may(ctx, permit.ActBrowse); err != nil {
		return err
	}
	c, err := s.Intake.Connection(ctx, name)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, feed := range allFeeds() {
		i := slices.IndexFunc(c.Feeds, func(f intake.EnabledFeed) bool { return f.Name == feed })
		line := feedLine{Source: name, Feed: feed}
		row := []string{feed, s.text("source.off"), s.text("source.feed." + feed + ".purpose"), s.text("source.feed." + feed + ".ground"), feedClass[feed]}
		if i >= 0 {
			f := c.Feeds[i]
			line.On, line.Purpose, line.Ground, line.Class = true, f.Purpose, f.Ground, f.Class
			row = []string{feed, s.text("source.on"), f.Purpose, f.Ground, f.Class}
		}
		if s.json {
			if err := s.emit(line); err != nil {
				return err
			}
		}
		rows = append(rows, row)
	}
	if !s.json {
		for _, row := range rows {
			s.print(s.bold(plain(row[0])) + "  " + row[1] + "\n")
			s.pairs("  "+s.text("col.purpose"), plain(row[2]), "  "+s.text("col.ground"), plain(row[3]), "  "+s.text("col.class"), plain(row[4]))
		}
		s.print("\n")
		s.say("source.feeds_off_proposed")
	}
	return nil
}
