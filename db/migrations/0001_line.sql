-- The line: what happened (ledger), what was said (vault), how far each source was read (intake), who may act (permit), cases (matter).
-- Every table is named after the package that owns it; no other package's queries mention it.

-- ledger: the leaves, the texts that were hashed, packed (db/pack.go). Numbers count from 0 and equal the leaf's index in the tree.
CREATE TABLE ledger_leaf (
	first INTEGER PRIMARY KEY,
	count INTEGER NOT NULL,
	data  BLOB NOT NULL
);

-- ledger: complete tiles of 256 hashes, and the newest partial tile of every level above 0 (rewritten when it grows).
-- level and idx are those of C2SP tlog-tiles.
CREATE TABLE ledger_tile (
	level  INTEGER NOT NULL,
	idx    INTEGER NOT NULL,
	hashes BLOB NOT NULL,
	PRIMARY KEY (level, idx)
);

-- ledger: the one row that says how large the tree is and what it hashes to. It moves in the same transaction as the entries.
CREATE TABLE ledger_head (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	origin TEXT NOT NULL,
	size   INTEGER NOT NULL,
	root   BLOB NOT NULL,
	clock  INTEGER NOT NULL
);

-- ledger: every signed checkpoint, verbatim.
CREATE TABLE ledger_checkpoint (
	size INTEGER PRIMARY KEY,
	note BLOB NOT NULL
);

-- ledger: the log's verifier keys in order; from is the size of the tree when the key came into force, statement the old key's
-- signed word for it (empty for the first).
CREATE TABLE ledger_key (
	number    INTEGER PRIMARY KEY,
	from_size INTEGER NOT NULL,
	vkey      TEXT NOT NULL,
	statement BLOB NOT NULL
);

-- ledger: every stream by the keyed hash of what it stands for, its pseudonym, and how many events it has.
CREATE TABLE ledger_stream (
	owner BLOB PRIMARY KEY,
	name  BLOB NOT NULL UNIQUE,
	count INTEGER NOT NULL
);

-- vault: the encrypted fields of the event of the same number (docs/format/vault.md), packed.
CREATE TABLE vault_row (
	first INTEGER PRIMARY KEY,
	count INTEGER NOT NULL,
	data  BLOB NOT NULL
);

-- intake: what has been stored, by keyed hash: once by its key at the source, once by what it says (for same_as).
-- The hash begins with a locality prefix (stream, minute), so that an import touches few pages.
CREATE TABLE intake_seen (
	mac     BLOB PRIMARY KEY,
	seq     INTEGER NOT NULL,
	content BLOB
) WITHOUT ROWID;

-- intake: how far a source was read; it moves in the same transaction as the records before it.
CREATE TABLE intake_cursor (
	source  TEXT PRIMARY KEY,
	cursor  TEXT NOT NULL,
	done    INTEGER NOT NULL,
	counts  TEXT NOT NULL,
	changed TEXT NOT NULL
);

-- permit: users, what they may do, and acts that wait for a second person.
CREATE TABLE permit_user (
	id       TEXT PRIMARY KEY,
	login    TEXT NOT NULL UNIQUE,
	os_login TEXT NOT NULL,
	disabled INTEGER NOT NULL
);
CREATE TABLE permit_grant (
	user_id TEXT NOT NULL,
	role    TEXT NOT NULL,
	scope   TEXT NOT NULL,
	PRIMARY KEY (user_id, role, scope)
);
CREATE TABLE permit_request (
	id       TEXT PRIMARY KEY,
	act      TEXT NOT NULL,
	argument TEXT NOT NULL,
	asked_by TEXT NOT NULL,
	state    TEXT NOT NULL,
	answered_by TEXT NOT NULL
);

-- evidence: cases and the events in them; names are encrypted fields of the events that opened them.
CREATE TABLE evidence_case (
	id     TEXT PRIMARY KEY,
	opened INTEGER NOT NULL,
	number INTEGER NOT NULL UNIQUE
);
CREATE TABLE evidence_item (
	case_id TEXT NOT NULL,
	seq     INTEGER NOT NULL,
	PRIMARY KEY (case_id, seq)
);
