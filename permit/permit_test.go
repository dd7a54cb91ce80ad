package permit

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guia"
	"guia/db"
)

func open(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "guia.db"), db.Options{Durability: db.Disposable, Migrations: db.Main()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func write(t testing.TB, d *db.DB, fn func(*db.Tx) error) {
	t.Helper()
	if err := d.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, d *db.DB, login string, grants ...Grant) guia.Actor {
	t.Helper()
	id := guia.NewPersonID()
	write(t, d, func(tx *db.Tx) error {
		if err := AddUser(tx, id, login, ""); err != nil {
			return err
		}
		for _, g := range grants {
			if err := AddGrant(tx, id, g); err != nil {
				return err
			}
		}
		return nil
	})
	return guia.Actor{User: id, Login: login}
}

func everywhere(roles ...Role) (grants []Grant) {
	for _, r := range roles {
		grants = append(grants, Grant{r, Everything})
	}
	return grants
}

func check(t testing.TB, d *db.DB, actor guia.Actor, act Act) (single bool, err error) {
	t.Helper()
	write(t, d, func(tx *db.Tx) error { single, err = Check(tx, actor, act); return nil })
	return single, err
}

// matrix is who may do what, as it was decided: not as the table in the code says. Changing one means thinking about the other.
const matrix = `
administrator  import log.browse check anchor.compare backup key.status key.rotate_log key.rotate_epoch key.escrow user.manage doctor source.manage
officer        import search open log.browse case.manage bundle.export check anchor.compare doctor keys.destroy approve source.manage
operator       import backup check doctor log.browse
reviewer       search open log.browse
auditor        log.browse check anchor.compare key.status doctor
approver       approve
`

const acts = "import search open log.browse case.manage bundle.export check anchor.compare backup key.status key.rotate_log key.rotate_epoch key.escrow user.manage approve doctor keys.destroy source.manage"

func TestEachRoleMayDoItsActsAndNoOther(t *testing.T) {
	d := open(t)
	seen := 0
	for line := range strings.Lines(strings.TrimSpace(matrix)) {
		words := strings.Fields(line)
		role, err := ParseRole(words[0])
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, scope := range []string{Everything, "entity:acme"} {
			actor := add(t, d, words[0]+map[string]string{Everything: "", "entity:acme": "-acme"}[scope], Grant{role, scope})
			for act := range strings.FieldsSeq(acts) {
				_, err := check(t, d, actor, Act(act))
				if allowed, want := guia.KindOf(err) != guia.Denied, slices.Contains(words[1:], act); allowed != want {
					t.Errorf("%s within %s, %s: allowed %t, want %t", role, scope, act, allowed, want)
				}
				scopes, err := Scopes(t.Context(), d, actor.User, Act(act))
				if err != nil || slices.Contains(words[1:], act) != slices.Equal(scopes, []string{scope}) {
					t.Errorf("%s, %s: scopes %v, %v", role, act, scopes, err)
				}
			}
		}
	}
	if seen != len(Roles) {
		t.Errorf("%d roles in the matrix, %d in the code", seen, len(Roles))
	}
	for _, list := range Roles {
		for _, act := range list {
			if !slices.Contains(strings.Fields(acts), string(act)) {
				t.Errorf("%s is not in the matrix", act)
			}
		}
	}
	for act := range strings.FieldsSeq(acts) {
		if want := act == "key.rotate_log" || act == "keys.destroy"; NeedsSecond(Act(act)) != want {
			t.Errorf("%s needs a second person: %t", act, !want)
		}
	}
}

func TestNobodyWithoutAccountOrWithAClosedOneMayDoAnything(t *testing.T) {
	d := open(t)
	ana := add(t, d, "ana", everywhere(Administrator)...)
	chan1 := add(t, d, "chan", everywhere(Administrator, Officer)...)
	bare := add(t, d, "bare")
	write(t, d, func(tx *db.Tx) error { return SetDisabled(tx, chan1.User, true) })
	for who, c := range map[string]struct {
		actor guia.Actor
		key   string
	}{
		"nobody":           {guia.Actor{}, "permit.unknown"},
		"a stranger":       {guia.Actor{User: guia.NewPersonID()}, "permit.unknown"},
		"a closed one":     {chan1, "permit.disabled"},
		"without a role":   {bare, "permit.denied"},
		"named like one":   {guia.Actor{User: guia.NewPersonID(), Login: "ana"}, "permit.unknown"},
		"with an approver": {guia.Actor{User: bare.User, Approver: ana.User}, "permit.denied"},
	} {
		for act := range strings.FieldsSeq(acts) {
			_, err := check(t, d, c.actor, Act(act))
			if refusal, ok := errors.AsType[*guia.Refusal](err); !ok || refusal.Kind != guia.Denied || refusal.Key != c.key {
				t.Errorf("%s, %s: %v", who, act, err)
			}
		}
	}
	if scopes, err := Scopes(t.Context(), d, chan1.User, ActSearch); err != nil || len(scopes) > 0 {
		t.Errorf("a closed account searches within %v, %v", scopes, err)
	}
	write(t, d, func(tx *db.Tx) error { return SetDisabled(tx, chan1.User, false) })
	if _, err := check(t, d, chan1, ActSearch); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	d := open(t)
	ana := add(t, d, "ana", everywhere(Administrator)...)
	add(t, d, "scoped", Grant{Administrator, "entity:acme"})
	try := func(fn func(*db.Tx) error) error {
		return d.Write(t.Context(), fn)
	}
	disable := func(tx *db.Tx) error { return SetDisabled(tx, ana.User, true) }
	revoke := func(tx *db.Tx) error { return RemoveGrant(tx, ana.User, Grant{Administrator, Everything}) }
	for what, fn := range map[string]func(*db.Tx) error{"disabled": disable, "without the role": revoke} {
		if err := try(fn); guia.KindOf(err) != guia.Conflict {
			t.Errorf("the last one %s: %v", what, err)
		}
		if _, err := check(t, d, ana, ActUsers); err != nil {
			t.Errorf("the last one %s, afterwards: %v", what, err)
		}
	}
	second := add(t, d, "second", everywhere(Administrator)...)
	if err := try(disable); err != nil {
		t.Errorf("one of two: %v", err)
	}
	if err := try(func(tx *db.Tx) error { return SetDisabled(tx, second.User, true) }); guia.KindOf(err) != guia.Conflict {
		t.Errorf("the other one is disabled, this is the last: %v", err)
	}
	if err := try(func(tx *db.Tx) error { return RemoveGrant(tx, second.User, Grant{Reviewer, Everything}) }); guia.KindOf(err) != guia.NotFound {
		t.Errorf("a role that was not given: %v", err)
	}
}

func TestAccountsAndGrantsAreChecked(t *testing.T) {
	d := open(t)
	ana := add(t, d, "ana", everywhere(Administrator)...)
	for login, kind := range map[string]guia.Kind{
		"ana": guia.Conflict, "": guia.Invalid, "a b": guia.Invalid, "a/b": guia.Invalid, "陳": guia.Invalid, "a\n": guia.Invalid,
		strings.Repeat("x", 65): guia.Invalid, strings.Repeat("x", 64): 0, "A.b-c_9": 0,
	} {
		if err := d.Write(t.Context(), func(tx *db.Tx) error { return AddUser(tx, guia.NewPersonID(), login, "") }); guia.KindOf(err) != kind || kind == 0 && err != nil {
			t.Errorf("login %q: %v", login, err)
		}
	}
	hex := strings.Repeat("0a", 16)
	for _, c := range []struct {
		g  Grant
		ok bool
	}{
		{Grant{Reviewer, "*"}, true},
		{Grant{Reviewer, "*"}, true},
		{Grant{Reviewer, "entity:Acme Ltd."}, true},
		{Grant{Reviewer, "stream:" + hex}, true},
		{Grant{Reviewer, "person:" + hex}, true},
		{Grant{Reviewer, ""}, false},
		{Grant{Reviewer, "**"}, false},
		{Grant{Reviewer, "*:x"}, false},
		{Grant{Reviewer, "entity:"}, false},
		{Grant{Reviewer, "entity:" + strings.Repeat("x", 101)}, false},
		{Grant{Reviewer, "stream:" + strings.ToUpper(hex)}, false},
		{Grant{Reviewer, "person:1"}, false},
		{Grant{Reviewer, "galaxy:x"}, false},
		{Grant{"owner", "*"}, false},
		{Grant{"", "*"}, false},
	} {
		err := d.Write(t.Context(), func(tx *db.Tx) error { return AddGrant(tx, ana.User, c.g) })
		if c.ok && err != nil || !c.ok && guia.KindOf(err) != guia.Invalid {
			t.Errorf("%v: %v", c.g, err)
		}
	}
	users, err := Users(t.Context(), d)
	if err != nil || len(users) != 3 {
		t.Fatalf("%d users, %v", len(users), err)
	}
	i := slices.IndexFunc(users, func(u User) bool { return u.ID == ana.User })
	if got := users[i]; got.Login != "ana" || got.Disabled || len(got.Grants) != 5 {
		t.Errorf("%+v", got)
	}
}

func TestASecondPersonIsNeededWhereThereIsOne(t *testing.T) {
	d := open(t)
	ana := add(t, d, "ana", everywhere(Administrator, Approver, Officer)...)
	if single, err := check(t, d, ana, ActRotateLog); err != nil || !single {
		t.Errorf("alone, though an approver herself: %t, %v", single, err)
	}
	if single, err := check(t, d, ana, ActBackup); err != nil || single {
		t.Errorf("an act that needs nobody: %t, %v", single, err)
	}
	add(t, d, "reviewer", everywhere(Reviewer, Auditor, Operator, Administrator)...)
	if single, err := check(t, d, ana, ActRotateLog); err != nil || !single {
		t.Errorf("beside somebody who may not approve: %t, %v", single, err)
	}
	for _, role := range []Role{Approver, Officer} {
		second := add(t, d, string(role), Grant{role, "entity:acme"})
		if single, err := check(t, d, ana, ActRotateLog); guia.KindOf(err) != guia.Blocked || single {
			t.Errorf("beside an %s: %t, %v", role, single, err)
		}
		withApproval := ana
		withApproval.Approver = second.User
		if single, err := check(t, d, withApproval, ActRotateLog); err != nil || single {
			t.Errorf("approved by an %s: %t, %v", role, single, err)
		}
		write(t, d, func(tx *db.Tx) error { return SetDisabled(tx, second.User, true) })
		if single, err := check(t, d, ana, ActRotateLog); err != nil || !single {
			t.Errorf("beside a closed %s: %t, %v", role, single, err)
		}
	}
}

func TestAnApprovalIsForOneActOfOnePersonOnce(t *testing.T) {
	d := open(t)
	asker, other, approver := guia.NewPersonID(), guia.NewPersonID(), guia.NewPersonID()
	ask := func() (id string) {
		t.Helper()
		write(t, d, func(tx *db.Tx) (err error) { id, err = Ask(tx, asker, ActForget, "person 1"); return err })
		return id
	}
	answer := func(id string, by guia.PersonID, yes bool) error {
		return d.Write(t.Context(), func(tx *db.Tx) error { _, err := Answer(tx, id, by, yes); return err })
	}
	use := func(id string, by guia.PersonID, act Act, argument string) (who guia.PersonID, err error) {
		err = d.Write(t.Context(), func(tx *db.Tx) error { who, err = Use(tx, id, by, act, argument); return err })
		return who, err
	}
	id := ask()
	if _, err := use(id, asker, ActForget, "person 1"); guia.KindOf(err) != guia.Denied {
		t.Errorf("not answered: %v", err)
	}
	if err := answer(id, asker, true); guia.KindOf(err) != guia.Denied {
		t.Errorf("by the asker: %v", err)
	}
	if err := answer("0000000000", approver, true); guia.KindOf(err) != guia.NotFound {
		t.Errorf("an unknown request: %v", err)
	}
	if err := answer(id, approver, true); err != nil {
		t.Fatal(err)
	}
	if err := answer(id, other, false); guia.KindOf(err) != guia.Conflict {
		t.Errorf("answered twice: %v", err)
	}
	for what, try := range map[string]func() (guia.PersonID, error){
		"by another":      func() (guia.PersonID, error) { return use(id, other, ActForget, "person 1") },
		"for another act": func() (guia.PersonID, error) { return use(id, asker, ActRotateLog, "person 1") },
		"for another":     func() (guia.PersonID, error) { return use(id, asker, ActForget, "person 2") },
		"for nothing":     func() (guia.PersonID, error) { return use(id, asker, ActForget, "") },
		"by the approver": func() (guia.PersonID, error) { return use(id, approver, ActForget, "person 1") },
		"an unknown one":  func() (guia.PersonID, error) { return use("ffffffffff", asker, ActForget, "person 1") },
		"a refused one": func() (guia.PersonID, error) {
			r := ask()
			_ = answer(r, approver, false)
			return use(r, asker, ActForget, "person 1")
		},
		"an unanswered": func() (guia.PersonID, error) { return use(ask(), asker, ActForget, "person 1") },
	} {
		if who, err := try(); guia.KindOf(err) != guia.Denied && guia.KindOf(err) != guia.NotFound || who != (guia.PersonID{}) {
			t.Errorf("%s: %s, %v", what, who, err)
		}
	}
	open, err := Requests(t.Context(), d)
	if err != nil || len(open) != 2 {
		t.Errorf("%d open requests, %v", len(open), err)
	}
	if who, err := use(id, asker, ActForget, "person 1"); err != nil || who != approver {
		t.Errorf("as asked: %s, %v", who, err)
	}
	if _, err := use(id, asker, ActForget, "person 1"); guia.KindOf(err) != guia.Denied {
		t.Errorf("used twice: %v", err)
	}
	// Spent in a transaction that failed is not spent.
	id = ask()
	if err := answer(id, approver, true); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	err = d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := Use(tx, id, asker, ActForget, "person 1")
		return errors.Join(err, stop)
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if _, err := use(id, asker, ActForget, "person 1"); err != nil {
		t.Errorf("after a failed act: %v", err)
	}
}
