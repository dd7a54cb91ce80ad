-- intake: what was erased and must not come back with the next import of the same export: a keyed hash, under a label of its own, of
-- where the record stood at its source.
CREATE TABLE intake_tombstone (
	mac BLOB PRIMARY KEY
) WITHOUT ROWID;

-- vault: keys whose destruction was recorded and is not finished.
CREATE TABLE vault_doomed (
	kek INTEGER PRIMARY KEY
);
