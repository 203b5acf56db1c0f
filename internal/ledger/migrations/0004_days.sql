-- Sums over the exchanges that began in one day of UTC: those of its hours, kept
-- once more when the day is over. day is the Unix day. sums is NULL until they
-- are made, and again when the sums of an hour of the day have changed; rerated is
-- what ratings add to them.
CREATE TABLE days (
	day     INTEGER PRIMARY KEY,
	sums    BLOB,
	rerated BLOB
);
CREATE INDEX days_due ON days (day) WHERE sums IS NULL;
INSERT INTO days (day) SELECT DISTINCT CASE WHEN part >= 0 THEN part / 1536 ELSE (part - 1535) / 1536 END FROM rollup;
