package intake

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"guia"
	"guia/db"
	"guia/ledger"
	"guia/permit"
	"guia/seal"
)

// Connection is a source that is asked again and again, such as a tenant of a service. Nothing of it is read before a feed is on.
type Connection struct {
	Name     string // 1 to 32 lower-case letters, digits and hyphens
	Source   guia.SourceName
	Entity   string          // the legal entity that its records belong to
	Settings json.RawMessage // an object, without secrets and identifiers of people
	Feeds    []EnabledFeed   // those that are on, by name
}

// EnabledFeed is a feed that is on, and why it may be.
type EnabledFeed struct {
	Name    string
	Purpose string // what it is read for
	Ground  string // the legal ground
	Class   string // retention class of what it brings
}

// Limits of what is told about a connection.
const (
	mostSettings = 4096
	mostReason   = 1000 // bytes of a purpose or a ground
)

func secretOf(connection string) string { return "source/" + connection }

// Connect connects a source, or changes the settings of one; its feeds stay as they are. secret, when not nil, is what only the connector
// may see (keys, identifiers of who acts there), and is kept in the key database. It refuses (invalid) what is not as [Connection] says,
// and (conflict) a name that a source of another kind has.
//
// On return connection, secret and the event source.added are durable. After a crash in the middle the secret may be the new one while
// the settings are the earlier ones; calling again finishes it. Who may not do it changes nothing.
func (d *Desk) Connect(ctx context.Context, actor guia.Actor, keys *seal.Keeper, c Connection, secret []byte) error {
	if err := c.check(); err != nil {
		return err
	}
	allowed := func(tx *ledger.Tx) error {
		var kind string
		err := tx.QueryRow("SELECT source FROM intake_connection WHERE name = ?", []any{c.Name}, &kind)
		if err == nil && kind != string(c.Source) {
			return guia.Refuse(guia.Conflict, "intake.connection_taken", c.Name, kind)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	if secret != nil { // a queued function does no I/O: the secret is stored before it, but only for who may
		if err := d.ledger.Do(ctx, actor, permit.ActSources, allowed); err != nil {
			return err
		}
		if err := keys.SetSecret(ctx, secretOf(c.Name), secret); err != nil {
			return err
		}
	}
	return d.ledger.Do(ctx, actor, permit.ActSources, func(tx *ledger.Tx) error {
		if err := allowed(tx); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO intake_connection (name, source, entity, settings) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET entity = excluded.entity, settings = excluded.settings`, c.Name, string(c.Source), c.Entity, string(c.Settings))
		if err != nil {
			return err
		}
		var f guia.Fields
		f.Set("name", c.Name)
		f.Set("connector", string(c.Source))
		f.Set("entity", c.Entity)
		f.Set("settings", string(c.Settings))
		_, err = tx.Record(guia.SourceAdded, f)
		return err
	})
}

func (c *Connection) check() error {
	name, err := guia.ParseSourceName(c.Name) // the same form
	if err != nil || string(name) != c.Name {
		return guia.RefuseCause(guia.Invalid, err, "intake.connection_name", c.Name)
	}
	var object map[string]any
	if len(c.Settings) > mostSettings || json.Unmarshal(c.Settings, &object) != nil || len(c.Entity) > 100 {
		return guia.Refuse(guia.Invalid, "intake.connection_settings", c.Name)
	}
	return nil
}

// Disconnect turns all feeds of a connection off and forgets its settings and its secret. What it brought stays, and so does how far it
// was read and what it has spent: connected again under the same name, it goes on there.
//
// The secret goes last: after a crash before that, calling again finishes it.
func (d *Desk) Disconnect(ctx context.Context, actor guia.Actor, keys *seal.Keeper, name string) error {
	c, err := d.Connection(ctx, name)
	secret, err2 := d.Secret(ctx, keys, name)
	if guia.KindOf(err) == guia.NotFound && secret != nil { // a crash left it
		err = nil
	}
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	err = d.ledger.Do(ctx, actor, permit.ActSources, func(tx *ledger.Tx) error {
		if c.Name == "" {
			return nil
		}
		return disconnect(tx, &c)
	})
	if err != nil || secret == nil {
		return err
	}
	return keys.SetSecret(ctx, secretOf(name), nil)
}

func disconnect(tx *ledger.Tx, c *Connection) error {
	for _, feed := range c.Feeds {
		if err := disable(tx, c.Name, feed.Name); err != nil {
			return err
		}
	}
	if _, err := tx.Exec("DELETE FROM intake_connection WHERE name = ?", c.Name); err != nil {
		return err
	}
	var f guia.Fields
	f.Set("name", c.Name)
	f.Set("connector", string(c.Source))
	_, err := tx.Record(guia.SourceRemoved, f)
	return err
}

// Secret returns what only the connector of a connection may see; nil when there is none.
func (d *Desk) Secret(ctx context.Context, keys *seal.Keeper, connection string) ([]byte, error) {
	secret, _, err := keys.Secret(ctx, secretOf(connection))
	if len(secret) == 0 {
		secret = nil
	}
	return secret, err
}

// EnableFeed turns a feed on, or changes why it is. Purpose, ground and retention class are demanded. It refuses (not found) a connection
// that does not exist; whether it has such a feed is the connector's to say. On return it is durable, with the event feed.enabled.
func (d *Desk) EnableFeed(ctx context.Context, actor guia.Actor, connection string, feed EnabledFeed) error {
	for _, s := range []string{feed.Name, feed.Purpose, feed.Ground, feed.Class} {
		if strings.TrimSpace(s) == "" || len(s) > mostReason {
			return guia.Refuse(guia.Invalid, "intake.feed_incomplete", feed.Name)
		}
	}
	if len(feed.Class) > 64 {
		return guia.Refuse(guia.Invalid, "intake.feed_incomplete", feed.Name)
	}
	return d.ledger.Do(ctx, actor, permit.ActSources, func(tx *ledger.Tx) error {
		var one int
		err := tx.QueryRow("SELECT 1 FROM intake_connection WHERE name = ?", []any{connection}, &one)
		if errors.Is(err, sql.ErrNoRows) {
			return guia.Refuse(guia.NotFound, "intake.no_connection", connection)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO intake_feed (connection, feed, purpose, ground, class) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (connection, feed) DO UPDATE SET purpose = excluded.purpose, ground = excluded.ground, class = excluded.class`,
			connection, feed.Name, feed.Purpose, feed.Ground, feed.Class)
		if err != nil {
			return err
		}
		var f guia.Fields
		f.Set("name", connection)
		f.Set("feed", feed.Name)
		f.Set("feed.purpose", feed.Purpose)
		f.Set("feed.ground", feed.Ground)
		f.Set("feed.class", feed.Class)
		_, err = tx.Record(guia.FeedEnabled, f)
		return err
	})
}

// DisableFeed turns a feed off; one that is off (not found) is told. What it brought stays.
func (d *Desk) DisableFeed(ctx context.Context, actor guia.Actor, connection, feed string) error {
	return d.ledger.Do(ctx, actor, permit.ActSources, func(tx *ledger.Tx) error { return disable(tx, connection, feed) })
}

func disable(tx *ledger.Tx, connection, feed string) error {
	r, err := tx.Exec("DELETE FROM intake_feed WHERE connection = ? AND feed = ?", connection, feed)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, guia.Refuse(guia.NotFound, "intake.feed_off", connection, feed))
	}
	var f guia.Fields
	f.Set("name", connection)
	f.Set("feed", feed)
	_, err = tx.Record(guia.FeedDisabled, f)
	return err
}

// Connections returns all connections by name, with the feeds that are on. It refuses (damaged) when somebody else wrote the tables: a
// changed address would be told the secret, and a feed that nobody turned on would be read.
func (d *Desk) Connections(ctx context.Context) ([]Connection, error) {
	for _, table := range []string{"intake_connection", "intake_feed"} {
		if err := d.ledger.StateIsOurs(ctx, table); err != nil {
			return nil, err
		}
	}
	var all []Connection
	err := d.ledger.Database().Snapshot(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT name, source, entity, settings FROM intake_connection ORDER BY name")
		if err != nil {
			return err
		}
		defer rows.Close()
		at := map[string]int{}
		for rows.Next() {
			var c Connection
			if err := rows.Scan(&c.Name, &c.Source, &c.Entity, (*[]byte)(&c.Settings)); err != nil {
				return err
			}
			at[c.Name] = len(all)
			all = append(all, c)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		feeds, err := tx.QueryContext(ctx, "SELECT connection, feed, purpose, ground, class FROM intake_feed ORDER BY connection, feed")
		if err != nil {
			return err
		}
		defer feeds.Close()
		for feeds.Next() {
			var name string
			var feed EnabledFeed
			if err := feeds.Scan(&name, &feed.Name, &feed.Purpose, &feed.Ground, &feed.Class); err != nil {
				return err
			}
			if i, ok := at[name]; ok {
				all[i].Feeds = append(all[i].Feeds, feed)
			}
		}
		return feeds.Err()
	})
	return all, db.Explain(err)
}

// Connection returns one connection by its name, or a refusal of kind not found.
func (d *Desk) Connection(ctx context.Context, name string) (Connection, error) {
	all, err := d.Connections(ctx)
	if err != nil {
		return Connection{}, err
	}
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
	}
	return Connection{}, guia.Refuse(guia.NotFound, "intake.no_connection", name)
}

// KeepUsage stores what a month of a connection has cost, as the connector writes it, durably before it returns. It is no act and leaves
// no event.
func (d *Desk) KeepUsage(ctx context.Context, connection, month string, usage []byte) error {
	return d.ledger.Batch(ctx, len(usage), func(tx *ledger.Tx) error {
		_, err := tx.Exec(`INSERT INTO intake_usage (connection, month, usage) VALUES (?, ?, ?)
			ON CONFLICT (connection, month) DO UPDATE SET usage = excluded.usage`, connection, month, string(usage))
		return err
	})
}

// Usage returns what [Desk.KeepUsage] stored last of the newest month; nil when nothing was.
func (d *Desk) Usage(ctx context.Context, connection string) ([]byte, error) {
	var usage []byte
	err := d.ledger.Database().QueryRow(ctx, "SELECT usage FROM intake_usage WHERE connection = ? ORDER BY month DESC LIMIT 1", connection).Scan(&usage)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", db.Explain(err))
	}
	return usage, nil
}
