-- Batches as they came: seal.go says what the bytes of a batch mean. count is how
-- many records it has; link is SHA-256 over the link before and the batch.
CREATE TABLE seals (
	seq   INTEGER PRIMARY KEY,
	count INTEGER NOT NULL,
	batch BLOB    NOT NULL,
	link  BLOB    NOT NULL
);

-- The end of the chain: seals and records up to it, and the last link. -1: what an
-- older version stored is still to be sealed.
ALTER TABLE state ADD COLUMN seals INTEGER NOT NULL DEFAULT -1;
ALTER TABLE state ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN head BLOB NOT NULL DEFAULT x'';
