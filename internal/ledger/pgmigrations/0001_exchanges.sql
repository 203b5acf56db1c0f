-- Up to where the journal of each gateway has been taken.
CREATE TABLE ledger_positions (
	gateway  text PRIMARY KEY,
	segment  bigint NOT NULL,
	position bigint NOT NULL
);

-- The hour (Unix hours) before which records have been pruned; one row.
CREATE TABLE ledger_state (
	one    boolean PRIMARY KEY CHECK (one),
	pruned bigint NOT NULL
);
INSERT INTO ledger_state (one, pruned) VALUES (true, -9223372036854775808);

-- One row for each exchange: the record as the journal has it (record.proto). Ids
-- sort by the time at which they were made.
CREATE TABLE ledger_exchanges (
	id      text COLLATE "C" PRIMARY KEY,
	gateway text NOT NULL,
	record  bytea NOT NULL
);
ALTER TABLE ledger_exchanges ALTER COLUMN record SET STORAGE EXTERNAL;

-- Exchanges whose id does not tell when they began. Unix microseconds.
CREATE TABLE ledger_strays (
	start bigint NOT NULL,
	id    text COLLATE "C" NOT NULL,
	PRIMARY KEY (start, id)
);

-- Sums over the exchanges of a gateway that began in one hour. An hour has up to
-- 16 parts, which add up: part = 64 times the Unix hour, plus a number. rollup.go
-- says what the bytes mean.
CREATE TABLE ledger_rollup (
	part    bigint NOT NULL,
	gateway text NOT NULL,
	sums    bytea NOT NULL,
	PRIMARY KEY (part, gateway)
);
ALTER TABLE ledger_rollup ALTER COLUMN sums SET STORAGE EXTERNAL;
