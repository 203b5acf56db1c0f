-- The batches of each gateway as they came: seal.go says what the bytes of a batch
-- mean. count is how many records it has; link is SHA-256 over the link before and
-- the batch.
CREATE TABLE ledger_seals (
	gateway text   NOT NULL,
	seq     bigint NOT NULL,
	count   bigint NOT NULL,
	batch   bytea  NOT NULL,
	link    bytea  NOT NULL,
	PRIMARY KEY (gateway, seq)
);
ALTER TABLE ledger_seals ALTER COLUMN batch SET STORAGE EXTERNAL;

-- The end of a gateway's chain: seals and records up to it, and the last link. -1:
-- what an older version stored is still to be sealed.
ALTER TABLE ledger_positions ADD COLUMN seals bigint NOT NULL DEFAULT -1;
ALTER TABLE ledger_positions ALTER COLUMN seals SET DEFAULT 0;
ALTER TABLE ledger_positions ADD COLUMN sealed bigint NOT NULL DEFAULT 0;
ALTER TABLE ledger_positions ADD COLUMN head bytea NOT NULL DEFAULT '';
