-- Documents as they stand; a removed one has no body. revision is the number of
-- the audit record of the last change.
CREATE TABLE facts (
	kind     text   NOT NULL,
	name     text   NOT NULL,
	body     bytea,
	revision bigint NOT NULL UNIQUE,
	PRIMARY KEY (kind, name)
);

-- The end of the trail; one row, which a writer locks, so that revisions become
-- visible in their order.
CREATE TABLE facts_head (
	one  integer PRIMARY KEY CHECK (one = 1),
	seq  bigint  NOT NULL,
	link text    NOT NULL
);
INSERT INTO facts_head (one, seq, link) VALUES (1, 0, '');

-- One row for each change; at in Unix microseconds.
CREATE TABLE facts_audit (
	seq    bigint PRIMARY KEY,
	at     bigint NOT NULL,
	actor  text   NOT NULL,
	kind   text   NOT NULL,
	name   text   NOT NULL,
	before bytea,
	after  bytea,
	link   text   NOT NULL
);
CREATE INDEX facts_audit_name ON facts_audit (kind, name, seq);
