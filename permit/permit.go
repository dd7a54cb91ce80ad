// Package permit says who may do what, to whom it is delegated, and which acts need a second person.
//
// The model: a user is a random pseudonym with a login. A user holds roles, each within a scope: everything ("*"), a legal entity
// ("entity:NAME"), a stream ("stream:HEX") or a person ("person:HEX"). A role allows acts; the table is [Roles]. Some acts need the
// approval of another user who may approve; where nobody else could give it, the act is done single-handed and the event says so
// (mark "single-handed").
//
// Every question is answered inside the transaction that carries out the act, so that a role taken away a moment ago counts. The
// package changes its tables only in the transactions it is given; the events that record a change are the caller's (account).
//
// Every statement reads the rows themselves and no index (no index holds a column with an empty text behind it): the hashes of the tables
// ([ledger.Ledger.StateIsOurs]) cover the rows, and a damaged index would grant and deny without anybody noticing. The tables are small.
package permit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"guia"
	"guia/db"
)

// Act is something a user may try to do.
type Act string

// The acts.
const (
	ActImport      Act = "import"
	ActSearch      Act = "search"
	ActOpen        Act = "open"
	ActBrowse      Act = "log.browse"
	ActCase        Act = "case.manage"
	ActExport      Act = "bundle.export"
	ActCheck       Act = "check"
	ActAnchor      Act = "anchor.compare"
	ActBackup      Act = "backup"
	ActKeyStatus   Act = "key.status"
	ActRotateLog   Act = "key.rotate_log"
	ActRotateEpoch Act = "key.rotate_epoch"
	ActEscrow      Act = "key.escrow"
	ActUsers       Act = "user.manage"
	ActApprove     Act = "approve"
	ActDoctor      Act = "doctor"
	ActForget      Act = "keys.destroy"
	ActSources     Act = "source.manage"
)

// Role is a set of acts.
type Role string

// The roles. A small company gives its one administrator several.
const (
	Administrator Role = "administrator" // runs the machine; sees no content
	Officer       Role = "officer"       // legal officer, data protection officer: content, cases, bundles
	Operator      Role = "operator"      // imports and backs up
	Reviewer      Role = "reviewer"      // reads what is within the scope
	Auditor       Role = "auditor"       // checks everything, reads no content
	Approver      Role = "approver"      // may be the second person
)

// Roles is the permission table.
var Roles = map[Role][]Act{
	Administrator: {ActImport, ActBrowse, ActCheck, ActAnchor, ActBackup, ActKeyStatus, ActRotateLog, ActRotateEpoch, ActEscrow, ActUsers, ActDoctor, ActSources},
	Officer:       {ActImport, ActSearch, ActOpen, ActBrowse, ActCase, ActExport, ActCheck, ActAnchor, ActDoctor, ActForget, ActApprove, ActSources},
	Operator:      {ActImport, ActBackup, ActCheck, ActDoctor, ActBrowse},
	Reviewer:      {ActSearch, ActOpen, ActBrowse},
	Auditor:       {ActBrowse, ActCheck, ActAnchor, ActKeyStatus, ActDoctor},
	Approver:      {ActApprove},
}

// second lists the acts that need a second person.
var second = map[Act]bool{ActRotateLog: true, ActForget: true}

// NeedsSecond reports whether the act needs the approval of another user.
func NeedsSecond(act Act) bool { return second[act] }

// Everything is the scope without limits.
const Everything = "*"

// CheckScope accepts "*", "entity:NAME", "stream:HEX" and "person:HEX".
func CheckScope(scope string) error {
	kind, value, _ := strings.Cut(scope, ":")
	switch kind {
	case Everything:
		if scope == Everything {
			return nil
		}
	case "entity":
		if value != "" && len(value) <= 100 {
			return nil
		}
	case "stream", "person":
		if _, err := guia.ParseID16(value); err == nil {
			return nil
		}
	}
	return guia.Refuse(guia.Invalid, "permit.scope", scope)
}

// ParseRole accepts the names of [Roles].
func ParseRole(s string) (Role, error) {
	if _, ok := Roles[Role(s)]; ok {
		return Role(s), nil
	}
	names := make([]string, 0, len(Roles))
	for r := range Roles {
		names = append(names, string(r))
	}
	slices.Sort(names)
	return "", guia.Refuse(guia.Invalid, "permit.role", s, strings.Join(names, ", "))
}

// Check answers whether the actor may do act at all (in some scope), inside the transaction of the act. It returns nil, or a refusal
// of kind denied (no role allows it, or the account is disabled) or blocked (it needs an approval). singleHanded is true when
// the act needs a second person and nobody else could be it. The approver in actor is believed: it must come from [Use] or [Approved],
// never from whoever acts. People's acts go through package ledger, which sees to that.
func Check(tx *db.Tx, actor guia.Actor, act Act) (singleHanded bool, err error) {
	if err := May(tx, actor, act); err != nil {
		return false, err
	}
	if !second[act] || actor.Approver != (guia.PersonID{}) {
		return false, nil
	}
	others, err := approvers(tx, actor.User)
	if err != nil {
		return false, err
	}
	if others > 0 {
		return false, guia.Refuse(guia.Blocked, "permit.second", string(act))
	}
	return true, nil
}

// May is [Check] without the second person: whether the actor may do act, or ask for the approval that it needs. It returns nil or a
// refusal of kind denied.
func May(tx *db.Tx, actor guia.Actor, act Act) error {
	var disabled int
	err := tx.QueryRow("SELECT disabled FROM permit_user WHERE id || '' = ?", []any{actor.User.String()}, &disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return guia.Refuse(guia.Denied, "permit.unknown", actor.Login)
	}
	if err != nil {
		return err
	}
	if disabled != 0 {
		return guia.Refuse(guia.Denied, "permit.disabled", actor.Login)
	}
	grants, err := grants(tx, actor.User)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(grants, func(g Grant) bool { return slices.Contains(Roles[g.Role], act) }) {
		return guia.Refuse(guia.Denied, "permit.denied", actor.Login, string(act), strings.Join(rolesWith(act), ", "))
	}
	return nil
}

// MayView is [May] for a directory that is only viewed: outside of a transaction, and nothing records a refusal.
func MayView(ctx context.Context, d *db.DB, actor guia.Actor, act Act) error {
	scopes, err := Scopes(ctx, d, actor.User, act)
	if err == nil && len(scopes) == 0 {
		err = guia.Refuse(guia.Denied, "permit.denied_view", actor.Login, string(act), strings.Join(rolesWith(act), ", "))
	}
	return err
}

func rolesWith(act Act) []string {
	var names []string
	for r, acts := range Roles {
		if slices.Contains(acts, act) {
			names = append(names, string(r))
		}
	}
	slices.Sort(names)
	return names
}

// approvers counts the active users besides one who may approve.
func approvers(tx *db.Tx, besides guia.PersonID) (n int, err error) {
	roles := rolesWith(ActApprove)
	args := []any{besides.String()}
	for _, r := range roles {
		args = append(args, r)
	}
	err = tx.QueryRow(`SELECT COUNT(DISTINCT u.id) FROM permit_user u JOIN permit_grant g ON g.user_id || '' = u.id || ''
		WHERE u.disabled = 0 AND u.id || '' <> ? AND g.role IN (?`+strings.Repeat(", ?", len(roles)-1)+`)`, args, &n)
	return n, err
}

// Grant is one role within one scope.
type Grant struct {
	Role  Role
	Scope string
}

func grants(tx *db.Tx, user guia.PersonID) ([]Grant, error) {
	rows, err := tx.Query("SELECT role, scope FROM permit_grant WHERE user_id || '' = ? ORDER BY role, scope", user.String())
	if err != nil {
		return nil, err
	}
	return scanGrants(rows)
}

func scanGrants(rows *sql.Rows) ([]Grant, error) {
	defer rows.Close()
	var all []Grant
	for rows.Next() {
		var g Grant
		if err := rows.Scan(&g.Role, &g.Scope); err != nil {
			return nil, damaged("permit_grant", err)
		}
		all = append(all, g)
	}
	return all, rows.Err()
}

// Scopes returns within which scopes the user may do act; empty when nowhere. It is for reading; an act asks [Check] too.
func Scopes(ctx context.Context, d *db.DB, user guia.PersonID, act Act) ([]string, error) {
	rows, err := d.Query(ctx, `SELECT g.role, g.scope FROM permit_grant g JOIN permit_user u ON u.id || '' = g.user_id || ''
		WHERE g.user_id || '' = ? AND u.disabled = 0 ORDER BY g.scope`, user.String())
	if err != nil {
		return nil, fmt.Errorf("read scopes: %w", err)
	}
	all, err := scanGrants(rows)
	if err != nil {
		return nil, fmt.Errorf("read scopes: %w", err)
	}
	var scopes []string
	for _, g := range all {
		if slices.Contains(Roles[g.Role], act) && !slices.Contains(scopes, g.Scope) {
			scopes = append(scopes, g.Scope)
		}
	}
	return scopes, nil
}

// User is an account.
type User struct {
	ID       guia.PersonID
	Login    string
	OSLogin  string // the operating system's login that this account belongs to, empty for none
	Disabled bool
	Grants   []Grant
}

// Users returns all accounts by login. Rows that the program does not write are a refusal of kind damaged.
func Users(ctx context.Context, d *db.DB) ([]User, error) {
	var users []User
	err := d.Snapshot(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT id, login, os_login, disabled FROM permit_user ORDER BY login || ''")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var u User
			var id string
			if err := rows.Scan(&id, &u.Login, &u.OSLogin, &u.Disabled); err != nil {
				return damaged("permit_user", err)
			}
			if u.ID, err = guia.ParseID16(id); err != nil {
				return damaged("permit_user", err)
			}
			users = append(users, u)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range users {
			rows, err := tx.QueryContext(ctx, "SELECT role, scope FROM permit_grant WHERE user_id || '' = ? ORDER BY role, scope", users[i].ID.String())
			if err != nil {
				return err
			}
			if users[i].Grants, err = scanGrants(rows); err != nil {
				return err
			}
		}
		return nil
	})
	return users, db.Explain(err)
}

func damaged(table string, err error) error {
	return guia.RefuseCause(guia.Damaged, err, "permit.damaged", table)
}

// AddUser stores a new account without roles. The login is 1 to 64 letters, digits, dots, hyphens and underscores, and free.
func AddUser(tx *db.Tx, id guia.PersonID, login, osLogin string) error {
	if !validLogin(login) {
		return guia.Refuse(guia.Invalid, "permit.login", login)
	}
	var n int
	if err := tx.QueryRow("SELECT COUNT(os_login) FROM permit_user WHERE login || '' = ?", []any{login}, &n); err != nil {
		return err
	}
	if n > 0 {
		return guia.Refuse(guia.Conflict, "permit.login_taken", login)
	}
	_, err := tx.Exec("INSERT INTO permit_user (id, login, os_login, disabled) VALUES (?, ?, ?, 0)", id.String(), login, osLogin)
	return err
}

func validLogin(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

// SetDisabled closes or reopens an account. The last administrator cannot be closed.
func SetDisabled(tx *db.Tx, id guia.PersonID, disabled bool) error {
	value := 0
	if disabled {
		value = 1
	}
	if _, err := tx.Exec("UPDATE permit_user SET disabled = ? WHERE id || '' = ?", value, id.String()); err != nil {
		return err
	}
	return keepAdministrator(tx)
}

// AddGrant gives a role within a scope; giving it twice changes nothing. Role and scope must be such.
func AddGrant(tx *db.Tx, id guia.PersonID, g Grant) error {
	if err := CheckScope(g.Scope); err != nil {
		return err
	}
	if _, err := ParseRole(string(g.Role)); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO permit_grant (user_id, role, scope) VALUES (?, ?, ?) ON CONFLICT (user_id, role, scope) DO NOTHING", id.String(), string(g.Role), g.Scope)
	return err
}

// RemoveGrant takes a role away. The last administrator keeps theirs.
func RemoveGrant(tx *db.Tx, id guia.PersonID, g Grant) error {
	r, err := tx.Exec("DELETE FROM permit_grant WHERE user_id || '' = ? AND role = ? AND scope = ?", id.String(), string(g.Role), g.Scope)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, guia.Refuse(guia.NotFound, "permit.no_grant", string(g.Role), g.Scope))
	}
	return keepAdministrator(tx)
}

func keepAdministrator(tx *db.Tx) error {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM permit_user u JOIN permit_grant g ON g.user_id || '' = u.id || ''
		WHERE u.disabled = 0 AND g.role = ? AND g.scope = ?`, []any{string(Administrator), Everything}, &n)
	if err == nil && n == 0 {
		return guia.Refuse(guia.Conflict, "permit.last_administrator")
	}
	return err
}

// Request is an act that waits for, or has, an approval. Argument binds the approval to what was asked.
type Request struct {
	ID       string
	Act      Act
	Argument string
	AskedBy  guia.PersonID
	State    string // asked, approved, refused, used
	Answerer guia.PersonID
}

// Ask stores a request and returns its id.
func Ask(tx *db.Tx, by guia.PersonID, act Act, argument string) (string, error) {
	var b [5]byte
	rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	_, err := tx.Exec("INSERT INTO permit_request (id, act, argument, asked_by, state, answered_by) VALUES (?, ?, ?, ?, 'asked', '')",
		id, string(act), argument, by.String())
	return id, err
}

// Open returns the request of the same user for the same act and argument that nobody has answered yet, or whose approval was not used,
// and whether there is one.
func Open(tx *db.Tx, by guia.PersonID, act Act, argument string) (r Request, found bool, err error) {
	var id string
	err = tx.QueryRow(`SELECT id FROM permit_request WHERE asked_by = ? AND act = ? AND argument = ? AND state IN ('asked', 'approved')
		ORDER BY state, id LIMIT 1`, []any{by.String(), string(act), argument}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err == nil {
		r, err = request(tx, id)
	}
	return r, err == nil, err
}

// Answer approves or refuses a request. Whoever asked cannot answer.
func Answer(tx *db.Tx, id string, by guia.PersonID, approve bool) (Request, error) {
	r, err := request(tx, id)
	if err != nil {
		return r, err
	}
	if r.State != "asked" {
		return r, guia.Refuse(guia.Conflict, "permit.answered", id)
	}
	if r.AskedBy == by {
		return r, guia.Refuse(guia.Denied, "permit.own_request", id)
	}
	r.State, r.Answerer = "refused", by
	if approve {
		r.State = "approved"
	}
	_, err = tx.Exec("UPDATE permit_request SET state = ?, answered_by = ? WHERE id = ?", r.State, by.String(), id)
	return r, err
}

// Use is [Approved], and the approval is spent.
func Use(tx *db.Tx, id string, by guia.PersonID, act Act, argument string) (guia.PersonID, error) {
	approver, err := Approved(tx, id, by, act, argument)
	if err != nil {
		return guia.PersonID{}, err
	}
	_, err = tx.Exec("UPDATE permit_request SET state = 'used' WHERE id = ?", id)
	return approver, err
}

// Approved returns who approved the request, which must have been asked by the same user for the same act and argument, and not be
// spent.
func Approved(tx *db.Tx, id string, by guia.PersonID, act Act, argument string) (guia.PersonID, error) {
	r, err := request(tx, id)
	if err != nil {
		return guia.PersonID{}, err
	}
	if r.State != "approved" || r.AskedBy != by || r.Act != act || r.Argument != argument {
		return guia.PersonID{}, guia.Refuse(guia.Denied, "permit.not_approved", id, string(act))
	}
	return r.Answerer, nil
}

func request(tx *db.Tx, id string) (Request, error) {
	r := Request{ID: id}
	var asked, answered string
	err := tx.QueryRow("SELECT act, argument, asked_by, state, answered_by FROM permit_request WHERE id = ?", []any{id}, &r.Act, &r.Argument, &asked, &r.State, &answered)
	if errors.Is(err, sql.ErrNoRows) {
		return r, guia.Refuse(guia.NotFound, "permit.no_request", id)
	}
	if err != nil {
		return r, err
	}
	r.AskedBy, err = guia.ParseID16(asked)
	if answered != "" && err == nil {
		r.Answerer, err = guia.ParseID16(answered)
	}
	if err != nil {
		return r, damaged("permit_request", err)
	}
	return r, nil
}

// Requests returns the requests that nobody has answered yet, and the approved ones that were not used.
func Requests(ctx context.Context, d *db.DB) ([]Request, error) {
	rows, err := d.Query(ctx, "SELECT id, act, argument, asked_by, state FROM permit_request WHERE state IN ('asked', 'approved') ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Request
	for rows.Next() {
		var r Request
		var asked string
		if err := rows.Scan(&r.ID, &r.Act, &r.Argument, &asked, &r.State); err != nil {
			return nil, damaged("permit_request", err)
		}
		if r.AskedBy, err = guia.ParseID16(asked); err != nil {
			return nil, damaged("permit_request", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}
