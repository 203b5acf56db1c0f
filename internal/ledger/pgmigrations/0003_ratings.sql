-- Runs that rated exchanges again: who, when (Unix microseconds), which period and
-- prices. outcome is JSON, and empty until the run is through.
CREATE TABLE ledger_ratings_runs (
	id      text PRIMARY KEY,
	at      bigint NOT NULL,
	actor   text   NOT NULL,
	since   bigint NOT NULL,
	until   bigint NOT NULL,
	version text   NOT NULL,
	note    text   NOT NULL,
	outcome text   NOT NULL
);

-- What each run changed, in the order in which it did; the last one of an exchange
-- counts. Costs are nano-dollars; rerate.go says what the bytes of attempts mean.
CREATE TABLE ledger_ratings (
	n           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	exchange    text COLLATE "C" NOT NULL,
	run         text   NOT NULL,
	start       bigint NOT NULL,
	old_cost    bigint NOT NULL,
	old_status  text   NOT NULL,
	old_version text   NOT NULL,
	new_cost    bigint NOT NULL,
	new_status  text   NOT NULL,
	new_version text   NOT NULL,
	attempts    bytea  NOT NULL,
	UNIQUE (exchange, run)
);
CREATE INDEX ledger_ratings_start ON ledger_ratings (start);

-- What ratings add to the sums of an hour, as in ledger_rollup.
CREATE TABLE ledger_rerated (
	hour bigint PRIMARY KEY,
	sums bytea NOT NULL
);
