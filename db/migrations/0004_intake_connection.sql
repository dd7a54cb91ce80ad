-- intake: the sources that are asked again and again. What is secret or tells who acts there is in the key database.
CREATE TABLE intake_connection (
	name     TEXT PRIMARY KEY,
	source   TEXT NOT NULL,
	entity   TEXT NOT NULL,
	settings TEXT NOT NULL -- JSON
);

-- intake: a feed of a source is on when it has a row.
CREATE TABLE intake_feed (
	connection TEXT NOT NULL,
	feed       TEXT NOT NULL,
	purpose    TEXT NOT NULL,
	ground     TEXT NOT NULL,
	class      TEXT NOT NULL,
	PRIMARY KEY (connection, feed)
);

-- intake: what was spent of a source's quotas in a month; it outlives the connection, as the quota is the company's.
CREATE TABLE intake_usage (
	connection TEXT NOT NULL,
	month      TEXT NOT NULL, -- 2006-01 by the clock of the source
	usage      TEXT NOT NULL, -- JSON
	PRIMARY KEY (connection, month)
);
