-- Where the journal has been taken up to, and the hour (Unix hours) before
-- which records have been pruned; one row.
CREATE TABLE state (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	segment INTEGER NOT NULL,
	offset  INTEGER NOT NULL,
	pruned  INTEGER NOT NULL
);
INSERT INTO state (one, segment, offset, pruned) VALUES (1, 0, 0, -9223372036854775808);

-- One row for each exchange: the record as the journal has it (record.proto). The
-- gateway's ids sort by the time at which they were made.
CREATE TABLE exchanges (
	id     TEXT PRIMARY KEY NOT NULL,
	record BLOB NOT NULL
);

-- Exchanges whose id does not tell when they began. Unix microseconds.
CREATE TABLE strays (
	start INTEGER NOT NULL,
	id    TEXT    NOT NULL,
	PRIMARY KEY (start, id)
) WITHOUT ROWID;

-- Sums over the exchanges that began in one hour. An hour has up to 16 parts,
-- which add up: part = 64 times the Unix hour, plus a number. rollup.go says
-- what the bytes mean.
CREATE TABLE rollup (
	part INTEGER PRIMARY KEY,
	sums BLOB NOT NULL
);
