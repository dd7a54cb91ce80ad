-- ledger: for each table of state beside the ledger, a keyed hash over its rows and the size of the ledger when it last changed, in the
-- transaction that changed it. Whoever can write the file but has no keys cannot make a row fit.
CREATE TABLE ledger_state (
	name TEXT PRIMARY KEY,
	size INTEGER NOT NULL,
	mac  BLOB NOT NULL
);
