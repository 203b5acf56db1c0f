-- Documents as they stand; a removed one has no body. revision is the number of
-- the audit record of the last change.
CREATE TABLE facts (
	kind     TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	body     BLOB,
	revision INTEGER NOT NULL,
	PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX facts_revision ON facts (revision);

-- One row for each change; at in Unix microseconds.
CREATE TABLE audit (
	seq    INTEGER PRIMARY KEY NOT NULL,
	at     INTEGER NOT NULL,
	actor  TEXT    NOT NULL,
	kind   TEXT    NOT NULL,
	name   TEXT    NOT NULL,
	before BLOB,
	after  BLOB,
	link   TEXT    NOT NULL
);
CREATE INDEX audit_name ON audit (kind, name, seq);
