-- Where the journal has been taken up to; one row.
CREATE TABLE position (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	segment INTEGER NOT NULL,
	offset  INTEGER NOT NULL
);
INSERT INTO position (one, segment, offset) VALUES (1, 0, 0);

-- One row for each exchange: the record as JSON, and what queries look for.
-- Times are Unix microseconds, money nano-dollars.
CREATE TABLE exchanges (
	seq         INTEGER PRIMARY KEY,
	id          TEXT    NOT NULL UNIQUE,
	start       INTEGER NOT NULL,
	key         TEXT    NOT NULL,
	name        TEXT    NOT NULL,
	customer    TEXT    NOT NULL,
	model       TEXT    NOT NULL,
	outcome     TEXT    NOT NULL,
	fault       TEXT    NOT NULL,
	pricing     TEXT    NOT NULL,
	input       INTEGER NOT NULL,
	cache_read  INTEGER NOT NULL,
	cache_write INTEGER NOT NULL,
	output      INTEGER NOT NULL,
	reasoning   INTEGER NOT NULL,
	cost        INTEGER NOT NULL,
	record      TEXT    NOT NULL
);
CREATE INDEX exchanges_start ON exchanges (start, id);

-- One row for each attempt of an exchange.
CREATE TABLE attempts (
	exchange    INTEGER NOT NULL REFERENCES exchanges (seq),
	n           INTEGER NOT NULL,
	target      TEXT    NOT NULL,
	failed      INTEGER NOT NULL,
	pricing     TEXT    NOT NULL,
	input       INTEGER NOT NULL,
	cache_read  INTEGER NOT NULL,
	cache_write INTEGER NOT NULL,
	output      INTEGER NOT NULL,
	reasoning   INTEGER NOT NULL,
	cost        INTEGER NOT NULL,
	PRIMARY KEY (exchange, n)
) WITHOUT ROWID;
