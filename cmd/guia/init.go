package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guia"
	"guia/directory"
	"guia/durable"
	"guia/lang"
	"guia/permit"
	"guia/seal"
)

func (p *program) initCommand() *cobra.Command {
	var login string
	var recipients []string
	cmd := &cobra.Command{Use: "init", Args: needs(0, 0), RunE: func(cmd *cobra.Command, _ []string) error {
		return p.init(cmd.Context(), login, recipients)
	}}
	cmd.Flags().StringVar(&login, "user", "", "")
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "")
	return cmd
}

// init makes the data directory. The order, with what is there after a crash behind each step:
//
//  1. the recovery key, in a file beside the directory — a key to nothing
//  2. the directory with its first user — complete, without escrow; `guia key escrow` adds it, `guia doctor` says so
//  3. the escrow copy and its event — complete
func (p *program) init(ctx context.Context, login string, recipients []string) (err error) {
	if login == "" {
		login = validLogin(p.login)
	}
	if _, err := os.Stat(filepath.Join(p.path, "VERSION")); err == nil {
		return guia.Refuse(guia.Conflict, "directory.exists", p.path)
	}
	recovery := ""
	if len(recipients) == 0 {
		recovery = p.path + ".recovery-key"
		recipient, err := writeRecoveryKey(recovery, p.path) // 1
		if err != nil {
			return err
		}
		recipients = []string{recipient}
	}
	for _, r := range recipients { // before anything is made: the whole look is Escrow's
		if len(r) != 62 || !strings.HasPrefix(r, "age1") {
			return guia.Refuse(guia.Invalid, "seal.recipient", r)
		}
	}
	first := permit.User{ID: guia.NewPersonID(), Login: login, OSLogin: p.login, Grants: []permit.Grant{
		{Role: permit.Administrator, Scope: permit.Everything},
		{Role: permit.Officer, Scope: permit.Everything},
	}}
	d, err := directory.Create(ctx, p.path, first) // 2
	if err != nil {
		if recovery != "" {
			err = errors.Join(err, os.Remove(recovery))
		}
		return err
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	actor := guia.Actor{User: first.ID, Login: login, Via: "os-login", Reason: p.reason}
	escrow, err := d.WriteEscrow(ctx, actor, recipients, true) // 3
	if err != nil {
		return err
	}
	if err := d.Main.Reserve(); err != nil {
		return err
	}
	keys, err := d.Ledger.LogKeys(ctx)
	if err != nil {
		return err
	}
	reserved := int64(0) // less on a disk that has no room
	if info, err := os.Stat(d.Main.Path() + "-wal"); err == nil {
		reserved = info.Size()
	}
	if p.json {
		return p.emit(struct {
			Directory string `json:"directory"`
			User      string `json:"user"`
			Origin    string `json:"origin"`
			VKey      string `json:"vkey"`
			Recovery  string `json:"recovery_key,omitempty"`
			Escrow    string `json:"escrow"`
			Reserved  int64  `json:"reserved_bytes"` // for the write-ahead log
		}{p.path, login, d.Ledger.Origin(), keys[0].VKey, recovery, escrow, reserved})
	}
	if p.quiet {
		p.print(keys[0].VKey + "\n")
		return nil
	}
	p.say("init.done", p.path, login)
	p.say("init.reserved", lang.Bytes(reserved), filepath.Base(d.Main.Path())+"-wal")
	p.print("\n")
	p.say("init.vkey")
	p.print("  " + keys[0].VKey + "\n\n")
	if recovery != "" {
		p.say("init.recovery", recovery)
	} else {
		p.say("init.escrow", escrow)
	}
	p.print("\n")
	p.say("init.next")
	return nil
}

// writeRecoveryKey makes a recovery key and writes it beside the directory, where only its owner can read it. It refuses to touch one
// that is there.
func writeRecoveryKey(path, dir string) (recipient string, err error) {
	identity, recipient, err := seal.NewIdentity()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, l := range []lang.Language{lang.TraditionalChinese, lang.Portuguese, lang.English} { // whoever opens the safe may read any of them
		text.WriteString("# " + lang.Text(l, "init.recovery_file", plain(dir)) + "\n")
	}
	fmt.Fprintf(&text, "# %s\n# %s\n%s\n", time.Now().UTC().Format(time.RFC3339), recipient, identity)
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", filepath.Dir(path))
	}
	f, err := durable.CreateExclusive(path)
	if err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", filepath.Dir(path))
	}
	if _, err := f.Write([]byte(text.String())); err != nil {
		return "", errors.Join(err, f.Abort())
	}
	if err := f.Commit(); errors.Is(err, os.ErrExist) {
		return "", guia.RefuseCause(guia.Conflict, err, "init.recovery_exists", path)
	} else if err != nil {
		return "", guia.RefuseCause(guia.Blocked, err, "directory.unwritable", filepath.Dir(path))
	}
	return recipient, nil
}
