-- Runs that rated exchanges again: who, when (Unix microseconds), which period and
-- prices. outcome is JSON, and empty until the run is through.
CREATE TABLE ratings_runs (
	id      TEXT PRIMARY KEY NOT NULL,
	at      INTEGER NOT NULL,
	actor   TEXT    NOT NULL,
	since   INTEGER NOT NULL,
	until   INTEGER NOT NULL,
	version TEXT    NOT NULL,
	note    TEXT    NOT NULL,
	outcome TEXT    NOT NULL
);

-- What each run changed, in the order in which it did; the last one of an exchange
-- counts. Costs are nano-dollars; rerate.go says what the bytes of attempts mean.
CREATE TABLE ratings (
	n           INTEGER PRIMARY KEY,
	exchange    TEXT    NOT NULL,
	run         TEXT    NOT NULL,
	start       INTEGER NOT NULL,
	old_cost    INTEGER NOT NULL,
	old_status  TEXT    NOT NULL,
	old_version TEXT    NOT NULL,
	new_cost    INTEGER NOT NULL,
	new_status  TEXT    NOT NULL,
	new_version TEXT    NOT NULL,
	attempts    BLOB    NOT NULL,
	UNIQUE (exchange, run)
);
CREATE INDEX ratings_start ON ratings (start);

-- What ratings add to the sums of an hour, as in rollup.
CREATE TABLE rerated (
	hour INTEGER PRIMARY KEY,
	sums BLOB NOT NULL
);
