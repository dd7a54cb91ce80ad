-- The key database: small, forgetful (secure_delete), with backups of its own short rotation.

-- seal: key-encryption keys, each wrapped under the epoch key. owner is a keyed hash of whose it is (a person, a stream).
CREATE TABLE seal_key (
	id      INTEGER PRIMARY KEY,
	owner   BLOB NOT NULL,
	class   TEXT NOT NULL,
	wrapped BLOB NOT NULL,
	UNIQUE (owner, class)
);

-- seal: other secrets wrapped under the epoch key: the log's signing key, the keys of keyed hashes.
CREATE TABLE seal_secret (
	name    TEXT PRIMARY KEY,
	wrapped BLOB NOT NULL
);

-- seal: which epoch key wraps everything above, without telling it: a keyed hash of a constant. next is the next id of seal_key,
-- so that an id is never used twice.
CREATE TABLE seal_epoch (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	number INTEGER NOT NULL,
	proof  BLOB NOT NULL,
	next   INTEGER NOT NULL
);
