-- Sums over the exchanges of a gateway that began in one day of UTC: those of its
-- hours, kept once more when the day is over. day is the Unix day. The gateway
-- without a name has what ratings add to all of them. sums is NULL until they are
-- made, and again when the sums of an hour of the day have changed. Who changes the
-- sums of an hour, and who sums up its day, locks the row first.
CREATE TABLE ledger_days (
	day     bigint NOT NULL,
	gateway text   NOT NULL,
	sums    bytea,
	PRIMARY KEY (day, gateway)
);
ALTER TABLE ledger_days ALTER COLUMN sums SET STORAGE EXTERNAL;
CREATE INDEX ledger_days_due ON ledger_days (day) WHERE sums IS NULL;
INSERT INTO ledger_days (day, gateway)
	SELECT DISTINCT floor(part / 1536::numeric)::bigint, gateway FROM ledger_rollup
	UNION SELECT DISTINCT floor(hour / 24::numeric)::bigint, '' FROM ledger_rerated;

-- Which exchanges are strays.
CREATE INDEX ledger_strays_id ON ledger_strays (id);
